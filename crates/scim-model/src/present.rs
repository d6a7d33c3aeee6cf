//! What of a resource an answer shows (RFC 7643 section 7 "returned", RFC 7644 section 3.9), and lists (section 3.4.2).

use jiff::Timestamp;
use scim_filter::PatchPath;
use serde_json::{Map, Value, json};

use crate::{
    catalog::{Home, ResourceType},
    document::{Document, Note, Notes},
    error::ScimError,
    matching::with_sub,
    quirks::{Quirk, asking},
    schema::{Attribute, Returned},
};

/// URN of list responses.
pub const LIST_RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// How many attributes a request may name.
const MOST_NAMES: usize = 500;

/// What the bridge knows about a resource besides its document (RFC 7643 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_modified: Timestamp,
    /// Counts the changes; served as a weak entity tag.
    pub version: i64,
    /// Tells apart what is derived from other resources and shown with this version; 0 if nothing is.
    pub derived: u64,
    /// Absolute address.
    pub location: String,
    /// Name of the resource type.
    pub resource_type: String,
}

impl Meta {
    /// The entity tag: `W/"3"`, or `W/"3-9f2c"` where something derived is shown, which changes without the version.
    pub fn etag(&self) -> String {
        match self.derived {
            0 => format!("W/\"{}\"", self.version),
            derived => format!("W/\"{}-{derived:x}\"", self.version),
        }
    }

    /// The value of `meta`.
    pub fn to_json(&self) -> Value {
        json!({
            "resourceType": self.resource_type,
            "created": self.created.to_string(),
            "lastModified": self.last_modified.to_string(),
            "location": self.location,
            "version": self.etag(),
        })
    }
}

/// The full resource: the document, what only the bridge knows (`id`, `meta`), and what it derives (`groups`, whole
/// extensions under their URN). `schemas` names the extensions that are really there.
pub fn complete(
    resource_type: &ResourceType,
    id: &str,
    document: &Document,
    meta: &Meta,
    derived: Map<String, Value>,
) -> Map<String, Value> {
    let mut resource = Map::with_capacity(document.as_map().len() + derived.len() + 3);
    resource.insert("schemas".to_owned(), Value::Null);
    resource.insert("id".to_owned(), Value::from(id));
    for (name, value) in document.as_map() {
        resource.insert(name.clone(), value.clone());
    }
    resource.extend(derived);
    resource.insert("meta".to_owned(), meta.to_json());
    name_schemas(resource_type, &mut resource);
    resource
}

fn name_schemas(resource_type: &ResourceType, resource: &mut Map<String, Value>) {
    let present =
        resource_type.extensions.iter().map(|(schema, _)| &schema.id).filter(|urn| resource.contains_key(*urn));
    let schemas: Vec<Value> =
        std::iter::once(&resource_type.schema.id).chain(present).map(|urn| urn.as_str().into()).collect();
    resource.insert("schemas".to_owned(), Value::Array(schemas));
}

/// Which attributes a request wants to see: `attributes` and `excludedAttributes`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projection {
    included: Option<Vec<Choice>>,
    excluded: Vec<Choice>,
}

/// A name in one of the lists, in canonical letter case. Without an attribute it is a whole extension.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    schema: Option<String>,
    attribute: Option<String>,
    sub: Option<String>,
}

impl Choice {
    fn is_about(&self, schema: Option<&str>, attribute: &Attribute) -> bool {
        self.schema.as_deref() == schema && self.attribute.as_ref().is_none_or(|name| *name == attribute.name)
    }
}

impl Projection {
    /// Reads both parameters: names separated by commas, with or without their schema, or the URN of a whole extension.
    /// Names that no schema knows are ignored (clients ask for what other servers have); an empty list is no list.
    pub fn parse(
        resource_type: &ResourceType,
        attributes: Option<&str>,
        excluded: Option<&str>,
    ) -> Result<Self, ScimError> {
        Self::parse_noting(resource_type, attributes, excluded).map(|(projection, _)| projection)
    }

    /// As [`Projection::parse`], with what was tolerated.
    pub fn parse_noting(
        resource_type: &ResourceType,
        attributes: Option<&str>,
        excluded: Option<&str>,
    ) -> Result<(Self, Vec<Note>), ScimError> {
        let mut notes = Notes::default();
        let included = match attributes.filter(|names| !names.trim().is_empty()) {
            None => None,
            Some(names) => Some(choices(resource_type, names, "attributes", &mut notes)?),
        };
        let excluded = match excluded.filter(|names| !names.trim().is_empty()) {
            None => Vec::new(),
            Some(names) => choices(resource_type, names, "excludedAttributes", &mut notes)?,
        };
        Ok((Self { included, excluded }, notes.into_vec()))
    }

    /// Whether the client asked for nothing in particular.
    pub(crate) fn is_everything(&self) -> bool {
        self.included.is_none() && self.excluded.is_empty()
    }

    /// Whether an answer shows any of this attribute, so that the caller can save deriving it: `groups`, `members`, or the
    /// URN of a whole extension.
    pub fn shows(&self, resource_type: &ResourceType, name: &str) -> bool {
        match resource_type.home(name) {
            Some(Home::Extension(schema)) => {
                schema.attributes.iter().any(|attribute| self.part(Some(&schema.id), attribute) != Part::Nothing)
            }
            Some(Home::Core) => true,
            None => {
                resource_type.core_attribute(name).is_some_and(|attribute| self.part(None, attribute) != Part::Nothing)
            }
        }
    }

    /// How much of an attribute is shown.
    fn part(&self, schema: Option<&str>, attribute: &Attribute) -> Part<'_> {
        match attribute.returned {
            Returned::Always => return Part::Whole,
            Returned::Never => return Part::Nothing,
            Returned::Default | Returned::Request => {}
        }
        let has_whole = |choices: &[&Choice]| choices.iter().any(|choice| choice.sub.is_none());
        let excluded: Vec<&Choice> = self.excluded.iter().filter(|choice| choice.is_about(schema, attribute)).collect();
        if has_whole(&excluded) {
            return Part::Nothing;
        }
        let without = excluded.iter().filter_map(|choice| choice.sub.as_deref()).collect();
        match &self.included {
            None if attribute.returned == Returned::Request => Part::Nothing,
            None => Part::Without(without),
            Some(included) => {
                let included: Vec<&Choice> =
                    included.iter().filter(|choice| choice.is_about(schema, attribute)).collect();
                if included.is_empty() {
                    Part::Nothing
                } else if has_whole(&included) {
                    Part::Without(without)
                } else {
                    let only = included.iter().filter_map(|choice| choice.sub.as_deref());
                    Part::Only(only.filter(|name| !without.contains(name)).collect())
                }
            }
        }
    }
}

/// How much of an attribute is shown.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Nothing,
    Whole,
    Without(Vec<&'a str>),
    Only(Vec<&'a str>),
}

fn choices(
    resource_type: &ResourceType,
    names: &str,
    parameter: &str,
    notes: &mut Notes,
) -> Result<Vec<Choice>, ScimError> {
    let names: Vec<String> =
        split(names).into_iter().filter_map(|name| asking::given(name, parameter, notes)).collect();
    if names.len() > MOST_NAMES {
        return Err(ScimError::invalid_value(format!("{parameter} may name {MOST_NAMES} attributes, not more")));
    }
    Ok(names.iter().filter_map(|name| choice(resource_type, name, notes)).collect())
}

/// What a name chooses; `None` for one that no schema knows.
fn choice(resource_type: &ResourceType, name: &str, notes: &mut Notes) -> Option<Choice> {
    if let Some(home) = resource_type.home(name) {
        asking::urn(resource_type, name, notes);
        let schema = match home {
            Home::Extension(schema) => Some(schema.id.clone()),
            Home::Core => None,
        };
        return Some(Choice { schema, attribute: None, sub: None });
    }
    let path = PatchPath::parse(name).ok();
    let resolved = path.as_ref().and_then(|path| {
        with_sub(resource_type.resolve(&path.attribute)?, path.sub_attribute.as_deref())
            .map(|resolved| (path, resolved))
    });
    let Some((path, resolved)) = resolved else {
        notes.add(Quirk::UnknownAttribute, name);
        return None;
    };
    asking::name(resource_type, &path.attribute, path.sub(), resolved, notes);
    if path.filter.is_some() {
        notes.add(Quirk::PathKey, &resolved.path());
    }
    Some(Choice {
        schema: resolved.schema.map(str::to_owned),
        attribute: Some(resolved.attribute.name.clone()),
        sub: resolved.sub.map(|sub| sub.name.clone()),
    })
}

/// Splits at the commas outside of quotes: a name may carry a filter (`emails[type eq "a,b"]`, Microsoft's Postman tests).
fn split(names: &str) -> Vec<&str> {
    let mut is_quoted = false;
    names
        .split(move |character| {
            is_quoted ^= character == '"';
            character == ',' && !is_quoted
        })
        .collect()
}

/// The part of a full resource that the projection shows.
pub fn project(
    resource_type: &ResourceType,
    mut resource: Map<String, Value>,
    projection: &Projection,
) -> Map<String, Value> {
    resource.retain(|name, value| match resource_type.extension(name) {
        Some(schema) => value.as_object_mut().is_some_and(|attributes| {
            attributes.retain(|name, value| show(projection, Some(&schema.id), schema.attribute(name), value));
            !attributes.is_empty()
        }),
        None => show(projection, None, resource_type.core_attribute(name), value),
    });
    name_schemas(resource_type, &mut resource);
    resource
}

/// Leaves of a value what is shown; false if that is nothing.
fn show(projection: &Projection, schema: Option<&str>, attribute: Option<&Attribute>, value: &mut Value) -> bool {
    let Some(attribute) = attribute else { return false };
    let keeps = |part: &Part<'_>, sub: &Attribute| match part {
        Part::Nothing => false,
        Part::Whole => true,
        Part::Without(names) => !names.contains(&sub.name.as_str()),
        Part::Only(names) => names.contains(&sub.name.as_str()),
    };
    let part = projection.part(schema, attribute);
    if part == Part::Nothing {
        return false;
    }
    let keeps =
        |name: &str| attribute.sub(name).is_some_and(|sub| sub.returned == Returned::Always || keeps(&part, sub));
    let trim = |parts: &mut Map<String, Value>| {
        parts.retain(|name, _| keeps(name));
        !parts.is_empty()
    };
    match value {
        Value::Object(parts) => trim(parts),
        Value::Array(elements) => {
            elements.retain_mut(|element| element.as_object_mut().is_none_or(trim));
            true
        }
        _ => true,
    }
}

/// A page of a list. The page may be empty; the numbers are numbers.
pub fn list_response(resources: Vec<Value>, total: u64, start_index: u64) -> Value {
    let mut list = json!({
        "schemas": [LIST_RESPONSE_URN],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
    });
    // Inside the macro they would be copied.
    list["Resources"] = Value::Array(resources);
    list
}
