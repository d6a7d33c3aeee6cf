//! What a row remembers of an account beside what was last seen of it: the values a suspension overwrote, and the account
//! as it was before we took it over.

use std::collections::{BTreeMap, BTreeSet};

use bridge_connectors::{Observed, Presence};
use bridge_mapping::{Account, FieldValue, TargetKind};
use bridge_store::{Reason, Resource, ResourceState, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// So often a suspension or removal is accepted that then cannot be read back.
const UNAPPLIED: u32 = 5;

/// The `kept` column of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Saved once per suspension, before its first call; restored on return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<BTreeMap<String, Value>>,
    /// The log-in fields of the account were somebody's before us and have not been left alone for a whole delivery yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_contact: bool,
    /// The keys that a create was sent with whose reply has not been seen. They prove that an account is ours, whatever
    /// the resource says by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creating: Option<BTreeMap<String, String>>,
    /// The account at adoption, to be given back if the create is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Before>,
    /// The account that has the old key, until it is gone (`on_rekey = "recreate"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
    /// Why the account could not be replaced by one with the new key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_replaced: Option<NotReplaced>,
    /// The fields that were sent when the account was settled last. One that has no source any more is wanted empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sent: BTreeSet<String>,
    /// Suspensions or removals that the target accepted, none of which could be read back so far.
    #[serde(default, skip_serializing_if = "Unapplied::is_none")]
    pub unapplied: Unapplied,
}

/// How often something was accepted that then did not show. Failures of the target on the way are not counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Unapplied(u32);

impl Unapplied {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// It was accepted once more. True: it has been so often that a person must look.
    pub fn once_more(&mut self) -> bool {
        let is_too_often = self.0 >= UNAPPLIED;
        *self = if is_too_often { Self::default() } else { Self(self.0 + 1) };
        is_too_often
    }
}

/// An account that another one takes the place of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replaced {
    /// The target's own handle.
    pub remote_id: String,
    /// As last seen.
    pub observed: Observed,
    /// As [`Memory::suspension`], of this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<BTreeMap<String, Value>>,
    /// As [`Memory::unapplied`], of this account.
    #[serde(default, skip_serializing_if = "Unapplied::is_none")]
    pub unapplied: Unapplied,
}

/// A replacement that the target refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotReplaced {
    /// The cause that it was refused for: a later one tries again.
    pub wanted: i64,
    /// Why.
    pub reason: Reason,
    /// Whether that repeats what the target said, which may name anybody: no alert does.
    #[serde(default)]
    pub quotes_target: bool,
}

/// An account before we changed anything about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// Its fields, as far as they were known.
    pub fields: BTreeMap<String, Value>,
    /// Whether it was usable, if that was known.
    pub active: Option<bool>,
    /// The resource that took it over: as long as no create of it was accepted, it gives the account back.
    pub taken_by: i64,
}

impl Memory {
    /// Reads the column.
    pub fn read(column: Option<&Value>) -> Result<Self, StoreError> {
        match column {
            None => Ok(Self::default()),
            Some(kept) => serde_json::from_value(kept.clone())
                .map_err(|error| StoreError::Corrupt(format!("the kept values of an account: {error}"))),
        }
    }

    /// The column's new value; nothing to remember is no value.
    pub fn column(&self) -> Result<Option<Value>, StoreError> {
        if *self == Self::default() {
            return Ok(None);
        }
        serde_json::to_value(self)
            .map(Some)
            .map_err(|error| StoreError::Internal(format!("the kept values of an account: {error}")))
    }
}

impl Memory {
    /// The account as it was, if this resource has to give it back.
    pub fn to_give_back(&self, resource: &Resource) -> Option<&Before> {
        self.adopted.as_ref().filter(|before| before.is_given_back_by(resource))
    }

    /// The account with every field that we sent before, and that has no value any more, wanted empty.
    pub fn with_emptied(&self, mut account: Account) -> Account {
        for field in &self.sent {
            account.fields.entry(field.clone()).or_insert(FieldValue::Plain(Value::Null));
        }
        account
    }

    /// Takes note of what an account that is settled now was sent with.
    pub fn settled_with(&mut self, account: &Account) {
        let is_set = |value: &FieldValue| value.plain().is_some_and(|value| !value.is_null());
        self.sent = account.fields.iter().filter(|(_, value)| is_set(value)).map(|(name, _)| name.clone()).collect();
    }
}

impl Before {
    /// The account as it is seen now, when this resource takes it over.
    pub fn of(observed: &Observed, resource: &Resource) -> Self {
        Self { fields: observed.fields.clone(), active: observed.active, taken_by: resource.key }
    }

    /// Whether this resource took the account over and none of its creates was ever accepted, however often it was posted: a
    /// user that was accepted is deleted one day, and never rejected. An account that came from an accepted one is ours.
    pub fn is_given_back_by(&self, resource: &Resource) -> bool {
        self.taken_by == resource.key && resource.state == ResourceState::Rejected
    }

    /// The fields to be written back.
    pub fn account(&self, kind: TargetKind) -> Account {
        let mut account = Account::new(kind);
        let known = self.fields.iter().filter(|(_, value)| !value.is_null());
        account.fields.extend(known.map(|(name, value)| (name.clone(), FieldValue::Plain(value.clone()))));
        account
    }

    /// How the account stood.
    pub fn presence(&self) -> Presence {
        match self.active {
            Some(false) => Presence::Suspended,
            Some(true) | None => Presence::Active,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(fields: &[(&str, Value)]) -> Account {
        let mut account = Account::new(TargetKind::Netsapiens);
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), FieldValue::Plain(value.clone())));
        account.fields.extend(fields);
        account
    }

    #[test]
    fn a_field_that_lost_its_source_is_wanted_empty_once() {
        let mut memory = Memory::default();
        memory.settled_with(&account(&[("user", json!("1000")), ("department", json!("Sales"))]));
        let emptied = memory.with_emptied(account(&[("user", json!("1000"))]));
        assert_eq!(emptied, account(&[("user", json!("1000")), ("department", Value::Null)]));
        memory.settled_with(&emptied);
        assert_eq!(memory.with_emptied(account(&[("user", json!("1000"))])), account(&[("user", json!("1000"))]));
    }

    #[test]
    fn a_memory_survives_the_column() {
        let mut memory = Memory::default();
        assert_eq!(memory.column().unwrap(), None);
        memory.suspension = Some(BTreeMap::from([("user-scope".to_owned(), json!("Basic User"))]));
        memory.adopted = Some(Before { fields: BTreeMap::new(), active: Some(true), taken_by: 7 });
        let column = memory.column().unwrap();
        assert_eq!(Memory::read(column.as_ref()).unwrap(), memory);
    }
}
