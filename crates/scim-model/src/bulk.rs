//! Bulk requests: many writes in one message (RFC 7644 section 3.7).
//!
//! The message is read as a whole, its operations each on its own: one that cannot be meant carries its error and fails
//! alone. [`Request::order`] says in which order they have to be run, and [`References`] puts the ids of resources in the
//! place of the names that other operations gave them.

mod order;
mod references;

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use serde_json::Value;

pub use self::references::{Open, References, Settled};
use crate::{
    catalog::Catalog,
    document::{Note, Notes},
    error::{ScimError, quoted},
    quirks::{self, Quirk, names_message, sending, take_member, unknown_members},
};

/// URN of bulk requests.
pub const REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// URN of the answers to them.
pub const RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// How a reference begins.
const PREFIX: &str = "bulkId:";

/// A bulk request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its operations as they stand, at least one.
    pub entries: Vec<Entry>,
    /// After so many errors nothing more is done.
    pub fail_on_errors: Option<usize>,
    /// What was tolerated in the message itself, not in the data of its operations.
    pub notes: Vec<Note>,
}

/// One entry of `Operations`.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What its answer repeats: the method, in capitals.
    pub method: Option<String>,
    /// What its answer repeats, and what others call the resource that it creates.
    pub bulk_id: Option<String>,
    /// What it means.
    pub operation: Result<Operation, ScimError>,
}

/// An operation that can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Name of the resource type.
    pub resource_type: String,
    /// Where its resources are, such as `Users`.
    pub endpoint: String,
    /// What to do.
    pub action: Action,
    /// The version that it wants to change.
    pub if_match: Option<String>,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// POST.
    Create(Value),
    /// PUT, PATCH and DELETE.
    Change(ResourceId, Change),
}

/// What is done to a resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// PUT.
    Replace(Value),
    /// PATCH.
    Patch(Value),
    /// DELETE.
    Delete,
}

impl Change {
    /// What the client sent.
    pub fn body(&self) -> Option<&Value> {
        match self {
            Self::Replace(body) | Self::Patch(body) => Some(body),
            Self::Delete => None,
        }
    }
}

/// Which resource an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceId {
    /// One that is there, by its id.
    Known(String),
    /// One that the same request creates, by its bulkId.
    Created(String),
}

impl Request {
    /// Reads a request for resources below `base_url` with at most `most` operations.
    ///
    /// Names in any letter case, numbers in quotes and a forgotten URN are taken, as in other messages (`idp/others.md`
    /// section 11).
    ///
    /// # Errors
    ///
    /// 400 `invalidSyntax` for another message, 400 `invalidValue` for a `failOnErrors` that is no number, 413 for too many
    /// operations (section 3.7.4).
    pub fn read(body: Value, catalog: &Catalog, base_url: &str, most: usize) -> Result<Self, ScimError> {
        let Value::Object(mut message) = body else {
            return Err(ScimError::invalid_syntax("A bulk request is an object with Operations"));
        };
        let mut notes = Notes::default();
        unknown_members(&message, &["schemas", "Operations", "failOnErrors"], &mut notes);
        let schemas = take_member(&mut message, "schemas", &mut notes);
        if names_message(schemas.as_ref(), REQUEST_URN, &mut notes) == Some(false) {
            return Err(ScimError::invalid_syntax(format!("schemas must be a list with {REQUEST_URN}")));
        }
        let operations = match take_member(&mut message, "Operations", &mut notes) {
            Some(Value::Array(operations)) if !operations.is_empty() => operations,
            _ => return Err(ScimError::invalid_syntax("A bulk request needs Operations, a list of at least one")),
        };
        if operations.len() > most {
            let detail = format!("The request has {} operations, the most is maxOperations ({most})", operations.len());
            return Err(ScimError::new(413, None, detail));
        }
        let fail_on_errors = take_member(&mut message, "failOnErrors", &mut notes);
        let fail_on_errors = self::fail_on_errors(fail_on_errors, &mut notes)?;
        let mut names = BTreeSet::new();
        let entries = operations.into_iter().map(|sent| {
            let mut entry = Entry::read(sent, catalog, base_url, &mut notes);
            if let Some(bulk_id) = entry.creates()
                && !names.insert(bulk_id.to_owned())
            {
                let detail = format!("The bulkId {} stands for another operation", quoted(bulk_id));
                entry.operation = Err(ScimError::invalid_value(detail));
            }
            entry
        });
        let entries = entries.collect();
        Ok(Self { entries, fail_on_errors, notes: notes.into_vec() })
    }

    /// The order in which the entries are run: as they stand, but after those that create what they refer to. Where two
    /// wait for each other, the earlier one goes last.
    pub fn order(&self) -> Vec<usize> {
        order::of(&self.entries).numbers
    }
}

impl Entry {
    fn read(sent: Value, catalog: &Catalog, base_url: &str, notes: &mut Notes) -> Self {
        let Value::Object(mut sent) = sent else {
            let why = ScimError::invalid_syntax("An operation is an object with method and path");
            return Self { method: None, bulk_id: None, operation: Err(why) };
        };
        unknown_members(&sent, &["method", "bulkId", "path", "version", "data"], notes);
        let [method, bulk_id, path, version] =
            ["method", "bulkId", "path", "version"].map(|name| text(take_member(&mut sent, name, notes), name));
        let data = take_member(&mut sent, "data", notes).unwrap_or_default();
        let method = method.map(|method| method.map(|method| in_capitals(&method, notes)));
        let repeated = [&method, &bulk_id].map(|text| text.clone().unwrap_or_default());
        let operation = || {
            let needed = |name| move || ScimError::invalid_syntax(format!("An operation needs a {name}"));
            let method = method?.ok_or_else(needed("method"))?;
            let path = path?.ok_or_else(needed("path"))?;
            let (endpoint, id) = split_path(&path, base_url)?;
            let kind = catalog.by_endpoint(&endpoint).ok_or_else(nothing_there)?;
            let action = Action::of(&method, id, data)?;
            let (bulk_id, version) = (bulk_id?, version?);
            sending::bulk_path(&path, &kind.endpoint, notes);
            if let Some(version) = &version {
                sending::tags(version, "version", notes);
            }
            if matches!(action, Action::Create(_)) {
                sending::bulk_id(bulk_id.as_deref(), notes);
            }
            let (resource_type, endpoint) = (kind.name.clone(), kind.endpoint.clone());
            Ok(Operation { resource_type, endpoint, action, if_match: version })
        };
        let operation = operation();
        let [method, bulk_id] = repeated;
        Self { method, bulk_id, operation }
    }

    /// What the others call the resource that it creates.
    pub fn creates(&self) -> Option<&str> {
        match &self.operation {
            Ok(Operation { action: Action::Create(_), .. }) => self.bulk_id.as_deref(),
            _ => None,
        }
    }
}

impl Action {
    fn of(method: &str, id: Option<ResourceId>, data: Value) -> Result<Self, ScimError> {
        Ok(match (method, id) {
            ("POST", None) => Self::Create(data),
            ("PUT", Some(id)) => Self::Change(id, Change::Replace(data)),
            ("PATCH", Some(id)) => Self::Change(id, Change::Patch(data)),
            ("DELETE", Some(id)) => Self::Change(id, Change::Delete),
            ("POST" | "PUT" | "PATCH" | "DELETE", _) => {
                let detail = "POST goes to an endpoint such as /Users, PUT, PATCH and DELETE to a resource below it";
                return Err(ScimError::new(405, None, detail));
            }
            _ => return Err(ScimError::new(405, None, "The methods of bulk are POST, PUT, PATCH and DELETE")),
        })
    }

    /// The data that it sends, in which references may stand.
    fn data(&self) -> Option<&Value> {
        match self {
            Self::Create(data) | Self::Change(_, Change::Replace(data) | Change::Patch(data)) => Some(data),
            Self::Change(_, Change::Delete) => None,
        }
    }
}

impl Change {
    /// Its method.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Replace(_) => "PUT",
            Self::Patch(_) => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl ResourceId {
    /// The resource of a path, where `bulkId:` says that it is created by the same request.
    fn of(text: String) -> Self {
        match text.strip_prefix(PREFIX) {
            Some(bulk_id) => Self::Created(bulk_id.to_owned()),
            None => Self::Known(text),
        }
    }
}

/// A method as HTTP writes it (RFC 9110 section 9.1: its letter case counts).
fn in_capitals(method: &str, notes: &mut Notes) -> String {
    let capitals = method.to_ascii_uppercase();
    if capitals != method {
        notes.add(Quirk::OperationCase, "method");
    }
    capitals
}

/// After how many errors a request ends, a number from 1 (RFC 7644 section 3.7).
fn fail_on_errors(value: Option<Value>, notes: &mut Notes) -> Result<Option<usize>, ScimError> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    match quirks::whole_number(&value, &"failOnErrors", notes) {
        Some(number) => Ok(sending::error_limit(number, notes)),
        None => Err(ScimError::invalid_value("failOnErrors must be a whole number")),
    }
}

fn text(value: Option<Value>, name: &str) -> Result<Option<String>, ScimError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ScimError::invalid_syntax(format!("{name} must be a text"))),
    }
}

/// Endpoint and resource of a path: relative, as the RFC says, or the whole address.
fn split_path(path: &str, base_url: &str) -> Result<(String, Option<ResourceId>), ScimError> {
    let relative = path.strip_prefix(base_url).unwrap_or(path);
    let relative = relative.split('?').next().unwrap_or_default().trim_matches('/');
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    match relative.split_once('/') {
        None => Ok((decode(relative), None)),
        Some((_, id)) if id.contains('/') => Err(nothing_there()),
        Some((endpoint, id)) => Ok((decode(endpoint), Some(ResourceId::of(decode(id))))),
    }
}

fn nothing_there() -> ScimError {
    ScimError::new(404, None, "There is nothing at this path, see ResourceTypes")
}
