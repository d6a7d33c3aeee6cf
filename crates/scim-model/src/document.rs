//! What is stored of a resource, and what a write wants to store.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{error::shortened, quirks::Quirk};

/// The attributes of a resource in canonical form: canonical names, declared types, schema order, extensions nested under
/// their URN, nothing unassigned.
///
/// It never holds what others decide (`id`, `meta`, `schemas`, `groups`), nor a value that is never returned. Only
/// [`accept`](crate::accept) and [`patch`](crate::patch) make new ones; reading a stored one back does not check it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document(pub(crate) Map<String, Value>);

impl Document {
    /// A document without attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes attributes that are in canonical form already, such as a stored document.
    pub fn from_map(attributes: Map<String, Value>) -> Self {
        Self(attributes)
    }

    /// The attributes.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The attributes.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// The value of a core attribute, by its canonical name; or a whole extension, by its URN.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The text of a core attribute, by its canonical name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Takes an attribute out, by its canonical name; for a store that keeps members elsewhere.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }

    /// Puts an attribute in that is in canonical form already; for a store that keeps members elsewhere.
    pub fn insert(&mut self, name: impl Into<String>, value: Value) {
        self.0.insert(name.into(), value);
    }

    /// Whether the user may work: `active`, or true where it is not said.
    pub fn is_active(&self) -> bool {
        self.get("active").and_then(Value::as_bool).unwrap_or(true)
    }
}

/// A tolerance that a request needed, to be counted per connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note {
    /// What was tolerated.
    pub quirk: Quirk,
    /// Where: the path of the attribute as far as it is known, else the name that was sent. Never a value.
    pub attribute: String,
}

/// How many notes are kept of one request, beside the first one of each quirk.
const MOST_NOTES: usize = 100;

/// Collects notes, each once.
#[derive(Debug, Default)]
pub(crate) struct Notes(BTreeSet<Note>);

impl Notes {
    pub(crate) fn add(&mut self, quirk: Quirk, attribute: &str) {
        if self.0.len() < MOST_NOTES || !self.0.iter().any(|note| note.quirk == quirk) {
            self.0.insert(Note { quirk, attribute: shortened(attribute.to_owned(), 150) });
        }
    }

    pub(crate) fn merge(&mut self, others: Self) {
        for Note { quirk, attribute } in others.0 {
            self.add(quirk, &attribute);
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Note> {
        self.0.into_iter().collect()
    }
}

/// What a valid write wants: the new document, and what is not part of it.
#[derive(Clone, PartialEq)]
pub struct Draft {
    /// The document as it is to be after the write.
    pub document: Document,
    /// Values that are never returned, such as a password, by the path of their attribute. Only those that were sent.
    pub secrets: BTreeMap<String, String>,
    /// Paths of attributes whose elements have an identity (`members`) and for which a list was sent, be it an empty one. A
    /// store that keeps members elsewhere tells by it a PUT that empties a group from one that does not speak of members.
    pub listed: BTreeSet<String>,
    /// What was tolerated, each once, in the order of [`Quirk`].
    pub notes: Vec<Note>,
}

impl fmt::Debug for Draft {
    /// Names the secrets but hides them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Draft")
            .field("document", &self.document)
            .field("secrets", &self.secrets.keys())
            .field("listed", &self.listed)
            .field("notes", &self.notes)
            .finish()
    }
}
