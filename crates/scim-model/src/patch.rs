//! Applies a PATCH request (RFC 7644 section 3.5.2), all of it or nothing.

use serde_json::{Map, Value};

use crate::{
    catalog::ResourceType,
    document::{Document, Draft, Notes},
    editor::Editor,
    error::{ScimError, quoted},
    quirks::{self, Quirk},
    value::screen,
};

/// URN of PATCH requests.
pub const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// How many operations one request may have.
const MOST_OPERATIONS: usize = 2_000;

/// Applies the operations of a PATCH request to a document, in order.
///
/// # Errors
///
/// 400; the detail begins with the number of the operation. `invalidSyntax`: no such message or `op`. `invalidPath`: the
/// path cannot be read. `noTarget`: `remove` without a path. `invalidValue`: a type, a required attribute.
/// `mutability`: read-only and immutable attributes.
pub fn patch(resource_type: &ResourceType, current: &Document, id: &str, body: &Value) -> Result<Draft, ScimError> {
    screen(body)?;
    let Value::Object(message) = body else {
        return Err(ScimError::invalid_syntax("The body must be a PatchOp message: an object with Operations"));
    };
    let mut editor = Editor::new(resource_type, Some(id), current.clone());
    check_schemas(quirks::member(message, "schemas"), &mut editor.notes)?;
    let operations = match quirks::member(message, "Operations") {
        Some(Value::Array(operations)) => operations.as_slice(),
        Some(single @ Value::Object(_)) => {
            editor.notes.add(Quirk::SingleForList, "Operations");
            std::slice::from_ref(single)
        }
        _ => &[],
    };
    if operations.is_empty() {
        return Err(ScimError::invalid_syntax(
            "A PatchOp message needs Operations, a list with at least one operation",
        ));
    }
    if operations.len() > MOST_OPERATIONS {
        let count = operations.len();
        return Err(ScimError::invalid_syntax(format!(
            "{count} operations are too many: send {MOST_OPERATIONS} at most"
        )));
    }
    for (index, operation) in operations.iter().enumerate() {
        apply(operation, &mut editor).map_err(|error| error.in_operation(index, operations.len()))?;
    }
    editor.finish()
}

/// The URN of the message is often forgotten, sometimes another one; only something else than a list is refused (others
/// 11.3, case 123).
fn check_schemas(schemas: Option<&Value>, notes: &mut Notes) -> Result<(), ScimError> {
    match schemas {
        Some(Value::Array(urns)) => {
            if !urns.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_URN))) {
                notes.add(Quirk::Schemas, "schemas");
            }
            Ok(())
        }
        None | Some(Value::Null) => {
            notes.add(Quirk::Schemas, "schemas");
            Ok(())
        }
        Some(_) => Err(ScimError::invalid_syntax(format!("schemas must be a list with {PATCH_URN}"))),
    }
}

fn apply(operation: &Value, editor: &mut Editor<'_>) -> Result<(), ScimError> {
    let empty = Map::new();
    let members = operation.as_object().unwrap_or(&empty);
    let name = match quirks::member(members, "op") {
        Some(Value::String(name)) => name,
        _ => return Err(ScimError::invalid_syntax("an operation is an object with op: add, replace or remove")),
    };
    let Some(kind) = quirks::operation(name, &mut editor.notes) else {
        return Err(ScimError::invalid_syntax(format!("op is add, replace or remove, not {}", quoted(name))));
    };
    let path = match quirks::member(members, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) if path.trim().is_empty() => None,
        Some(Value::String(path)) => Some(path.as_str()),
        Some(_) => return Err(ScimError::invalid_path("path must be a text")),
    };
    editor.apply(kind, path, quirks::member(members, "value"))
}
