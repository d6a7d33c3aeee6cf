//! Applies a PATCH request (RFC 7644 section 3.5.2), all of it or nothing.

use serde_json::Value;

use crate::{
    catalog::ResourceType,
    document::{Document, Draft, Notes},
    editor::{Editor, Unknown},
    error::{ScimError, quoted},
    limits::check_size,
    quirks::{self, Operation, Quirk},
    value::screen,
};

/// URN of PATCH requests.
pub const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// How many operations one request may have.
const MOST_OPERATIONS: usize = 2_000;

/// What `replace` does to the parts of a single complex attribute, such as `name`, that it does not send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replacement {
    /// They stay (RFC 7644 section 3.5.2.3).
    #[default]
    OfParts,
    /// They go (draft-zollner-scim-interop-profile-01 section 6.5.2.1).
    OfTheWhole,
}

/// Applies the operations of a PATCH request to a document, in order.
///
/// # Errors
///
/// 400; the detail begins with the number of the operation. `invalidSyntax`: no such message or `op`. `invalidPath`: the
/// path cannot be read. `noTarget`: `remove` without a path. `invalidValue`: a type, a required attribute.
/// `mutability`: read-only and immutable attributes. `tooMany`: more work than one request may be.
pub fn patch(
    resource_type: &ResourceType,
    current: &Document,
    id: &str,
    body: &Value,
    replacement: Replacement,
) -> Result<Draft, ScimError> {
    screen(body)?;
    let mut editor = Editor::new(resource_type, Some(id), current.clone(), Unknown::Path).replacing(replacement);
    let message = Message::read(body, &mut editor.notes)?;
    let count = message.operations.len();
    for (index, operation) in message.operations.iter().enumerate() {
        let applied =
            Step::read(operation, &mut editor.notes).and_then(|step| editor.apply(step.kind, step.path, step.value));
        applied.map_err(|error| error.in_operation(index, count))?;
    }
    editor.keep_name(current);
    let draft = editor.finish()?;
    check_size(resource_type, &draft.document, Some(current))?;
    Ok(draft)
}

/// A PATCH message.
pub(crate) struct Message<'a> {
    /// At least one.
    pub(crate) operations: &'a [Value],
}

impl<'a> Message<'a> {
    pub(crate) fn read(body: &'a Value, notes: &mut Notes) -> Result<Self, ScimError> {
        let Value::Object(message) = body else {
            return Err(ScimError::invalid_syntax("The body must be a PatchOp message: an object with Operations"));
        };
        quirks::unknown_members(message, &["schemas", "Operations"], notes);
        check_schemas(quirks::member(message, "schemas", notes), notes)?;
        let operations = match quirks::member(message, "Operations", notes) {
            Some(Value::Array(operations)) => operations.as_slice(),
            Some(single @ Value::Object(_)) => {
                notes.add(Quirk::SingleForList, "Operations");
                std::slice::from_ref(single)
            }
            _ => &[],
        };
        match operations.len() {
            0 => Err(ScimError::invalid_syntax("A PatchOp message needs Operations, a list of at least one")),
            count if count > MOST_OPERATIONS => Err(ScimError::invalid_syntax(format!(
                "{count} operations are too many: send {MOST_OPERATIONS} at most"
            ))),
            _ => Ok(Self { operations }),
        }
    }
}

/// The URN of the message is often forgotten, sometimes another one; only something else than a list is refused (others
/// 11.3, case 123).
fn check_schemas(schemas: Option<&Value>, notes: &mut Notes) -> Result<(), ScimError> {
    let is_list = schemas.is_none_or(|schemas| schemas.is_array() || schemas.is_null());
    quirks::names_message(schemas, PATCH_URN, notes);
    if is_list {
        return Ok(());
    }
    Err(ScimError::invalid_syntax(format!("schemas must be a list with {PATCH_URN}")))
}

/// One operation of a PATCH message.
pub(crate) struct Step<'a> {
    pub(crate) kind: Operation,
    pub(crate) path: Option<&'a str>,
    pub(crate) value: Option<&'a Value>,
}

impl<'a> Step<'a> {
    pub(crate) fn read(operation: &'a Value, notes: &mut Notes) -> Result<Self, ScimError> {
        let needs_op = || ScimError::invalid_syntax("an operation is an object with op: add, replace or remove");
        let members = operation.as_object().ok_or_else(needs_op)?;
        quirks::unknown_members(members, &["op", "path", "value"], notes);
        let [op, path, value] = ["op", "path", "value"].map(|name| quirks::member(members, name, notes));
        let Some(Value::String(name)) = op else { return Err(needs_op()) };
        let Some(kind) = quirks::operation(name, notes) else {
            return Err(ScimError::invalid_syntax(format!("op is add, replace or remove, not {}", quoted(name))));
        };
        let path = match path {
            None | Some(Value::Null) => {
                quirks::no_path(value, notes);
                None
            }
            Some(Value::String(path)) if path.trim().is_empty() => {
                notes.add(Quirk::EmptyPath, "path");
                None
            }
            Some(Value::String(path)) => Some(path.as_str()),
            Some(_) => return Err(ScimError::invalid_path("path must be a text")),
        };
        Ok(Self { kind, path, value })
    }
}
