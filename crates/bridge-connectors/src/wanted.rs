//! What the engine asks of a connector: the account as it should be, and the keys to find it by.

use std::collections::{BTreeMap, BTreeSet};

use bridge_mapping::Account;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the account should stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// There, usable, with the wanted fields.
    Active,
    /// Not usable; made neither for this nor with other fields changed.
    Suspended,
    /// Gone.
    Absent,
}

/// What the account should be.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// How it should stand.
    pub presence: Presence,
    /// Its fields; `None` when only keys are left to act on. A suspension changes none of them, but a call that must repeat
    /// some takes them from here first. A field that is null or empty is wanted empty; a field that
    /// is missing is left alone.
    pub account: Option<&'a Account>,
    /// Where to find it.
    pub keys: &'a AccountKeys,
    /// What a suspension saved ([`crate::Plan::keep`]), to be restored on return. The engine drops it once a plan for
    /// [`Presence::Active`] is done.
    pub kept: Option<&'a BTreeMap<String, Value>>,
    /// A secret has a new value, so an update carries it too.
    pub secrets_changed: bool,
    /// The secrets that the bridge has made for this account, by name, and still knows. What a suspension set cannot be
    /// taken back without it.
    pub made: &'a BTreeSet<String>,
}

/// Everything an account may be found by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountKeys {
    /// The target's own handle, if it is known.
    pub remote_id: Option<String>,
    /// Natural and unique fields and the e-mail address, by the vendor's field names.
    pub fields: BTreeMap<String, String>,
    /// The SCIM id.
    pub marker: String,
    /// Look everywhere (the full list): a conflict said that somebody holds one of our keys.
    pub search: bool,
}

impl AccountKeys {
    /// A key by the vendor's field name, unless it is empty.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
