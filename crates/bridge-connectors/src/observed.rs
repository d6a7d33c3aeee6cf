//! What we last saw of an account, and what a successful call changes about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether the account is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existence {
    /// Never looked.
    #[default]
    Unknown,
    /// Looked, and it was not there.
    Absent,
    /// There.
    Present,
}

/// An account as last seen at the target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// Whether it is there.
    pub existence: Existence,
    /// The target's own handle.
    pub remote_id: Option<String>,
    /// Usable, suspended, or not known.
    pub active: Option<bool>,
    /// Known fields by the vendor's names. Null is known to be empty; a missing field is unknown.
    pub fields: BTreeMap<String, Value>,
    /// Which of the asked keys it equals.
    pub evidence: Evidence,
    /// Why this account cannot be driven through the API, if it cannot.
    pub unmanageable: Option<String>,
}

/// Which of our keys the found account equals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// The remote id that we had stored.
    pub remote_id: bool,
    /// Our marker, the SCIM id.
    pub marker: bool,
    /// The natural key.
    pub natural_key: bool,
    /// A further key that is unique at the target.
    pub unique_key: bool,
    /// The e-mail address.
    pub email: bool,
}

/// What a successful call means for the account; missing parts are unchanged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effect {
    /// Whether it is there now.
    pub existence: Option<Existence>,
    /// The target's own handle.
    pub remote_id: Option<String>,
    /// Whether it is usable now.
    pub active: Option<bool>,
    /// Fields whose value is now known.
    pub fields: BTreeMap<String, Value>,
    /// What was kept of a suspension ([`crate::Plan::keep`]) and is to be remembered otherwise from now on.
    pub kept: BTreeMap<String, Value>,
}

impl Observed {
    /// An account that is not there.
    #[must_use]
    pub fn absent() -> Self {
        Self { existence: Existence::Absent, ..Self::default() }
    }

    /// Takes over what a successful call changed, as if it had been read back.
    pub fn apply(&mut self, effect: &Effect) {
        if let Some(existence) = effect.existence {
            if existence != Existence::Present {
                *self = Self { existence, ..Self::default() };
                return;
            }
            self.existence = existence;
        }
        if effect.remote_id.is_some() {
            self.remote_id.clone_from(&effect.remote_id);
        }
        if effect.active.is_some() {
            self.active = effect.active;
        }
        self.fields.extend(effect.fields.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_effect_adds_what_was_sent_to_what_was_known() {
        let mut observed = Observed { existence: Existence::Present, active: Some(true), ..Observed::default() };
        observed.fields.insert("UserFirst".into(), json!("Dana"));
        observed.fields.insert("UserLast".into(), json!("Ortiz"));
        let fields = BTreeMap::from([("UserLast".to_owned(), json!("Otero"))]);
        observed.apply(&Effect { active: Some(false), fields, ..Effect::default() });
        assert_eq!(observed.fields["UserFirst"], json!("Dana"));
        assert_eq!(observed.fields["UserLast"], json!("Otero"));
        assert_eq!(observed.active, Some(false));
        assert_eq!(observed.existence, Existence::Present);
    }

    #[test]
    fn an_account_that_was_deleted_keeps_no_fields() {
        let mut observed =
            Observed { existence: Existence::Present, remote_id: Some("7".into()), ..Observed::default() };
        observed.fields.insert("user".into(), json!("7"));
        observed.apply(&Effect { existence: Some(Existence::Absent), ..Effect::default() });
        assert_eq!(observed, Observed::absent());
    }

    #[test]
    fn an_observation_stored_by_an_older_release_is_still_read() {
        let observed: Observed = serde_json::from_value(json!({"existence": "present"})).unwrap();
        assert_eq!(observed.existence, Existence::Present);
        assert_eq!(observed.active, None);
    }
}
