//! The values that a path selects in a resource or document.

use scim_filter::{Filter, PatchPath};
use serde_json::{Map, Value};

use crate::{
    catalog::{Resolved, ResourceType},
    matching::{element_matches, with_sub},
};

/// The values that a path selects, in order: of a list its elements, of elements their sub-attribute. Nothing if no schema
/// knows the path. Takes a document as well as a full resource.
///
/// `emails[primary eq true].value`, `name.givenName`, `urn:…:User:department`; a path to a complex attribute yields
/// objects.
pub fn get<'a>(document: &'a Map<String, Value>, resource_type: &ResourceType, path: &PatchPath) -> Vec<&'a Value> {
    let resolved = resource_type.resolve(&path.attribute);
    match resolved.and_then(|resolved| with_sub(resolved, path.sub_attribute.as_deref())) {
        Some(resolved) => values(document, resolved, path.filter.as_deref()),
        None => Vec::new(),
    }
}

/// The values of an attribute, or of its sub-attribute, in those elements that fulfil the filter.
pub(crate) fn values<'a>(
    document: &'a Map<String, Value>,
    resolved: Resolved<'_>,
    filter: Option<&Filter>,
) -> Vec<&'a Value> {
    let home = match resolved.schema {
        None => Some(document),
        Some(urn) => document.get(urn).and_then(Value::as_object),
    };
    let Some(value) = home.and_then(|home| home.get(&resolved.attribute.name)) else { return Vec::new() };
    flat(value)
        .filter(|element| filter.is_none_or(|filter| element_matches(resolved.attribute, filter, element)))
        .filter_map(|element| match resolved.sub {
            None => Some(element),
            Some(sub) => element.get(&sub.name),
        })
        .flat_map(flat)
        .collect()
}

/// The elements of a list, or the value itself; nothing for null.
fn flat(value: &Value) -> impl Iterator<Item = &Value> {
    let (elements, single) = match value {
        Value::Array(elements) => (elements.as_slice(), None),
        Value::Null => (&[][..], None),
        single => (&[][..], Some(single)),
    };
    elements.iter().chain(single)
}
