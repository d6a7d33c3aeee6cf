//! What a row remembers of an account beside what was last seen of it: the values a suspension overwrote, and the account
//! as it was before we took it over.

use std::collections::BTreeMap;

use bridge_connectors::{Observed, Presence};
use bridge_mapping::{Account, FieldValue, TargetKind};
use bridge_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The `kept` column of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Saved once per suspension, before its first call; restored on return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<BTreeMap<String, Value>>,
    /// The account at adoption, to be given back if the create is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Before>,
}

/// An account before we changed anything about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// Its fields, as far as they were known.
    pub fields: BTreeMap<String, Value>,
    /// Whether it was usable, if that was known.
    pub active: Option<bool>,
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

impl Before {
    /// The account as it is seen now.
    pub fn of(observed: &Observed) -> Self {
        Self { fields: observed.fields.clone(), active: observed.active }
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
