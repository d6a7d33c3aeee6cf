//! What is too much of a resource, and of one request, where nothing else bounds it: a document that grows request by request,
//! and work that grows with operations, conditions and values at once (RFC 7644 section 3.12: `invalidValue`, `tooMany`).

use serde_json::Value;

use crate::{
    catalog::ResourceType,
    change::Change,
    document::Document,
    error::ScimError,
    quirks::{self, Operation},
    schema::Attribute,
};

/// How long the JSON text of a resource may be, in bytes. A certificate or picture of the longest kind does not fit twice.
const LARGEST_DOCUMENT: usize = 256 * 1024;

/// How much work one request may be. A step is a look at an element: for a condition, or to compare it with another. Two
/// thousand ordinary operations on the longest list fit in.
const MOST_STEPS: usize = 4_000_000;

/// So many bytes of an element are one step more wherever it is looked at.
const BYTES_READ: usize = 256;

/// So many bytes are one step more for each element into which they are written.
const BYTES_WRITTEN: usize = 8;

/// Refuses a document that has become too large. What is no larger than before stays possible, so that whoever is there can be
/// changed and can leave.
pub(crate) fn check_size(
    resource_type: &ResourceType,
    document: &Document,
    current: Option<&Document>,
) -> Result<(), ScimError> {
    let size = size(resource_type, document);
    if size <= LARGEST_DOCUMENT || current.is_some_and(|current| size <= self::size(resource_type, current)) {
        return Ok(());
    }
    let largest = counted(resource_type, document).max_by_key(|(_, size)| *size).map_or("", |(name, _)| name);
    Err(ScimError::invalid_value(format!(
        "The resource would have {size} bytes of JSON, most in {largest}, {LARGEST_DOCUMENT} at most: send fewer or shorter \
         values"
    )))
}

fn size(resource_type: &ResourceType, document: &Document) -> usize {
    counted(resource_type, document).map(|(_, size)| size).sum()
}

/// The length of each attribute. Members do not count: a store keeps them elsewhere. Nor does what each resource has, and what
/// changes when somebody leaves: `active`, and the name, which Entra ID makes longer then (see
/// [`quirks::name_before_deletion`]).
fn counted<'a>(
    resource_type: &'a ResourceType,
    document: &'a Document,
) -> impl Iterator<Item = (&'a str, usize)> + use<'a> {
    let is_free = |attribute: &Attribute| {
        attribute.has_identity() || attribute.required || quirks::cannot_be_unassigned(attribute)
    };
    let free = resource_type.schema.attributes.iter().filter(move |attribute| is_free(attribute));
    let free: Vec<&str> = free.map(|attribute| attribute.name.as_str()).collect();
    let counted = document.as_map().iter().filter(move |(name, _)| !free.contains(&name.as_str()));
    counted.map(|(name, value)| (name.as_str(), name.len() + value.to_string().len()))
}

/// What is left of the work that one request may be.
#[derive(Debug)]
pub(crate) struct Work(usize);

impl Default for Work {
    fn default() -> Self {
        Self(MOST_STEPS)
    }
}

impl Work {
    /// Refuses an operation for which not enough is left.
    pub(crate) fn spend(&mut self, change: &Change<'_>, current: Option<&Value>) -> Result<(), ScimError> {
        self.0 = self.0.checked_sub(steps(change, current)).ok_or_else(|| {
            ScimError::too_many(
                "The operations look at too many values together: send them in several requests, or name fewer conditions",
            )
        })?;
        Ok(())
    }
}

/// How much work an operation is. Where there is one value, the size of the request bounds it.
fn steps(change: &Change<'_>, current: Option<&Value>) -> usize {
    let attribute = change.selection.resolved.attribute;
    if !attribute.multi_valued {
        return 0;
    }
    let elements = current.map_or(&[][..], elements);
    let looks = weight(elements);
    let writes = || {
        let part = change.value.filter(|_| change.operation != Operation::Remove);
        elements.len() * part.map_or(0, |part| bytes(part) / BYTES_WRITTEN)
    };
    match (&change.selection.filter, change.selection.resolved.sub, change.value) {
        (Some(filter), ..) => looks * filter.paths().len() + writes(),
        (None, Some(_), _) => looks + writes(),
        (None, None, None) => 0,
        (None, None, Some(sent)) => {
            let sent = self::elements(sent);
            // What is listed to be removed may be compared with each element.
            let is_compared = change.operation == Operation::Remove && !attribute.has_identity();
            weight(sent) + looks * if is_compared { sent.len() } else { 1 }
        }
    }
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        single => std::slice::from_ref(single),
    }
}

fn weight(elements: &[Value]) -> usize {
    elements.iter().map(|element| 1 + bytes(element) / BYTES_READ).sum()
}

/// How long its texts are.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes).sum(),
        Value::Object(parts) => parts.values().map(bytes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
