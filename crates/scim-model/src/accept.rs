//! Takes the body of a POST or PUT (RFC 7644 sections 3.3 and 3.5.1).

use serde_json::{Map, Value};

use crate::{
    catalog::{Home, ResourceType},
    document::{Document, Draft},
    editor::{Editor, Unknown},
    error::ScimError,
    limits::check_size,
    quirks::{self, Operation, Quirk},
    value::screen,
};

/// What the body is for.
#[derive(Debug, Clone, Copy)]
pub enum Context<'a> {
    /// POST.
    Create,
    /// PUT.
    Replace {
        /// The document as it is.
        current: &'a Document,
        /// The id in the address.
        id: &'a str,
    },
}

/// Judges the body of a POST or PUT and makes a document of it.
///
/// A PUT of what a GET returned changes nothing. A PUT without `active`, `members` or a password keeps them.
///
/// # Errors
///
/// 400 with `invalidSyntax` (no object, wrong `schemas`), `invalidValue` (a type, a required attribute, the size) or `mutability`
/// (another `id`, an immutable attribute).
pub fn accept(resource_type: &ResourceType, body: Value, context: Context<'_>) -> Result<Draft, ScimError> {
    screen(&body)?;
    let Value::Object(members) = body else {
        return Err(ScimError::invalid_syntax("The body must be a JSON object with the attributes of the resource"));
    };
    let id = match context {
        Context::Create => None,
        Context::Replace { id, .. } => Some(id),
    };
    let mut editor = Editor::new(resource_type, id, Document::new(), Unknown::Attribute);
    check_schemas(resource_type, &members, &mut editor)?;
    editor.apply_members(Operation::Replace, Home::Core, &members)?;
    if let Context::Replace { current, .. } = context {
        editor.inherit(current)?;
        editor.keep_name(current);
    }
    for attribute in resource_type.schema.attributes.iter().filter(|it| quirks::cannot_be_unassigned(it)) {
        editor.default(&attribute.name, Value::Bool(true));
    }
    let draft = editor.finish()?;
    let current = match context {
        Context::Create => None,
        Context::Replace { current, .. } => Some(current),
    };
    check_size(resource_type, &draft.document, current)?;
    Ok(draft)
}

/// `schemas` must be a list and name the core schema, by any URN it ever had. Extensions that it leaves out or makes up do
/// no harm, and a body without it is taken (others 11.3, case 123); RFC 7643 section 3 wants each that the body uses, once
/// and as it is.
fn check_schemas(
    resource_type: &ResourceType,
    members: &Map<String, Value>,
    editor: &mut Editor<'_>,
) -> Result<(), ScimError> {
    let core = &resource_type.schema.id;
    let urns = match quirks::attribute_of(members, "schemas") {
        None | Some(Value::Null) => {
            editor.notes.add(Quirk::Schemas, "schemas");
            return Ok(());
        }
        Some(Value::Array(urns)) => urns,
        Some(_) => return Err(ScimError::invalid_syntax(format!("schemas must be a list of URNs with {core}"))),
    };
    let mut has_core = false;
    let mut named = Vec::new();
    if quirks::is_repeated(urns) {
        editor.notes.add(Quirk::Schemas, "schemas");
    }
    for urn in urns {
        let Some(urn) = urn.as_str() else {
            return Err(ScimError::invalid_syntax(format!("schemas must be a list of URNs with {core}")));
        };
        let known = match resource_type.home(urn) {
            Some(Home::Core) => {
                has_core = true;
                core
            }
            Some(Home::Extension(schema)) => {
                named.push(schema.id.as_str());
                &schema.id
            }
            None => {
                editor.notes.add(Quirk::UnknownSchema, urn);
                continue;
            }
        };
        if quirks::legacy_urn(&resource_type.name, urn).is_some() {
            editor.notes.add(Quirk::LegacyUrn, urn);
        } else if known != urn {
            editor.notes.add(Quirk::Schemas, "schemas");
        }
    }
    for (key, _) in members.iter().filter(|(_, value)| !quirks::is_unassigned(value)) {
        if let Some(Home::Extension(schema)) = resource_type.home(key)
            && !named.contains(&schema.id.as_str())
        {
            editor.notes.add(Quirk::Schemas, "schemas");
        }
    }
    if has_core { Ok(()) } else { Err(ScimError::invalid_syntax(format!("schemas must name {core}"))) }
}
