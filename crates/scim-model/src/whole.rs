//! Full resources whose document is still the text that is stored: what an answer shows of it is copied, not parsed (the
//! rules are those of [`complete`] and [`project`]).

use serde_json::{Map, Value};

use crate::{
    catalog::ResourceType,
    document::Document,
    present::{LIST_RESPONSE_URN, Meta, Projection, complete, project},
    schema::{Attribute, Returned},
    text::{Elements, Members},
};

/// A resource as a client sees it, before any projection.
#[derive(Debug, Clone, PartialEq)]
pub struct FullResource {
    /// The public id.
    pub id: String,
    /// The JSON text of a [`Document`].
    pub document: String,
    /// What the bridge knows about it.
    pub meta: Meta,
    /// What the bridge derives, name and JSON text: `groups`, `members`, whole extensions under their URN. Stands last, in
    /// this order.
    pub derived: Vec<(String, String)>,
}

impl FullResource {
    /// Appends the JSON of what the projection shows.
    ///
    /// # Errors
    /// The document, or what is derived, is no JSON.
    pub fn write(
        &self,
        resource_type: &ResourceType,
        projection: &Projection,
        into: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let begin = into.len();
        if projection.is_everything() && self.copy(resource_type, into).is_some() {
            return Ok(());
        }
        into.truncate(begin);
        let document: Document = serde_json::from_str(&self.document)?;
        let mut full = complete(resource_type, &self.id, &document, &self.meta, Map::new());
        for (name, text) in &self.derived {
            full.insert(name.clone(), serde_json::from_str(text)?);
        }
        serde_json::to_writer(into, &project(resource_type, full, projection))
    }

    /// Copies what is shown by default; `None` if that cannot be told without parsing.
    fn copy(&self, resource_type: &ResourceType, into: &mut Vec<u8>) -> Option<()> {
        let mut named = vec![false; resource_type.extensions.len()];
        let mut members = Members::of(&self.document)?;
        for (name, value) in members.by_ref() {
            let is_whole = match resource_type.extensions.iter().position(|(schema, _)| schema.id == name) {
                Some(position) => {
                    *named.get_mut(position)? = true;
                    let schema = &resource_type.extensions.get(position)?.0;
                    value != "{}" && members_are(value, |name, value| is_plain(schema.attribute(name), value))
                }
                None => is_plain(resource_type.core_attribute(name), value),
            };
            if !is_whole || self.derived.iter().any(|(derived, _)| derived == name) {
                return None;
            }
        }
        if !members.is_whole() {
            return None;
        }
        into.extend_from_slice(b"{\"schemas\":[");
        write_text(&resource_type.schema.id, into);
        for ((schema, _), _) in resource_type.extensions.iter().zip(named).filter(|(_, is_named)| *is_named) {
            into.push(b',');
            write_text(&schema.id, into);
        }
        into.extend_from_slice(b"],\"id\":");
        write_text(&self.id, into);
        into.push(b',');
        let inside = self.document.strip_prefix('{')?.strip_suffix('}')?;
        if !inside.is_empty() {
            into.extend_from_slice(inside.as_bytes());
            into.push(b',');
        }
        into.extend_from_slice(b"\"meta\":");
        write_meta(&self.meta, into);
        for (name, value) in &self.derived {
            if !is_plain(resource_type.core_attribute(name), value) {
                return None;
            }
            into.push(b',');
            write_text(name, into);
            into.push(b':');
            into.extend_from_slice(value.as_bytes());
        }
        into.push(b'}');
        Some(())
    }
}

/// Appends the value of `meta`, like [`Meta::to_json`].
fn write_meta(meta: &Meta, into: &mut Vec<u8>) {
    let times = [("created", meta.created), ("lastModified", meta.last_modified)];
    into.extend_from_slice(b"{\"resourceType\":");
    write_text(&meta.resource_type, into);
    for (name, time) in times {
        into.extend_from_slice(format!(",\"{name}\":\"{time}\"").as_bytes());
    }
    into.extend_from_slice(b",\"location\":");
    write_text(&meta.location, into);
    into.extend_from_slice(b",\"version\":");
    write_text(&meta.etag(), into);
    into.push(b'}');
}

/// Whether an answer shows the value of an attribute as it is, unless the client asks for less.
fn is_plain(attribute: Option<&Attribute>, value: &str) -> bool {
    let Some(attribute) = attribute.filter(|attribute| is_shown_by_default(attribute)) else { return false };
    let is_part = |name: &str, _: &str| attribute.sub(name).is_some_and(is_shown_by_default);
    let is_whole = |value: &str| match value.as_bytes().first() {
        Some(b'{') => value != "{}" && members_are(value, is_part),
        Some(b'[') => false,
        _ => true,
    };
    match Elements::of(value) {
        Some(mut elements) => elements.all(is_whole) && elements.is_whole(),
        None => is_whole(value),
    }
}

fn is_shown_by_default(attribute: &Attribute) -> bool {
    matches!(attribute.returned, Returned::Always | Returned::Default)
}

/// Whether all members of an object are as `check` says.
fn members_are(object: &str, mut check: impl FnMut(&str, &str) -> bool) -> bool {
    Members::of(object).is_some_and(|mut members| members.all(|(name, value)| check(name, value)) && members.is_whole())
}

/// Appends a JSON string.
fn write_text(text: &str, into: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        into.push(b'"');
        into.extend_from_slice(text.as_bytes());
        into.push(b'"');
    } else {
        into.extend_from_slice(Value::from(text).to_string().as_bytes());
    }
}

/// Writes a page of a list around its resources, like [`list_response`](crate::list_response).
///
/// # Errors
/// Those of [`FullResource::write`].
pub fn write_list<'a>(
    resource_type: &ResourceType,
    resources: impl ExactSizeIterator<Item = &'a FullResource>,
    projection: &Projection,
    total: u64,
    start_index: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    let count = resources.len();
    let mut list = format!(
        "{{\"schemas\":[\"{LIST_RESPONSE_URN}\"],\"totalResults\":{total},\"startIndex\":{start_index},\
         \"itemsPerPage\":{count},\"Resources\":["
    )
    .into_bytes();
    for (number, resource) in resources.enumerate() {
        if number > 0 {
            list.push(b',');
        } else {
            list.reserve((resource.document.len() + 512) * count);
        }
        resource.write(resource_type, projection, &mut list)?;
    }
    list.extend_from_slice(b"]}");
    Ok(list)
}

#[cfg(test)]
mod tests;
