//! Where a wanted account differs from the observed one, by the characteristics of the account schema.

use std::collections::BTreeMap;

use bridge_mapping::{Account, AccountSchema, FieldSchema, FieldValue, SecretSource};
use serde_json::Value;

use crate::observed::{Evidence, Observed};
use crate::reading::{is_empty, same, same_folded, share_email, text};
use crate::wanted::AccountKeys;

/// One field that must change.
#[derive(Debug, Clone)]
pub(crate) struct Change<'a> {
    pub(crate) field: &'a FieldSchema,
    pub(crate) to: To,
    /// The observed value is known, so the difference is certain.
    pub(crate) certain: bool,
}

/// What a field must become.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum To {
    Value(Value),
    Empty,
    Secret(SecretSource),
}

/// The fields of `account` that differ from `observed` or are not known to be equal, in the schema's order.
///
/// Secrets can never be compared: they are part of it only with `secrets`. Fields that only steer a call are no part.
pub(crate) fn difference<'a>(
    schema: &'a AccountSchema,
    account: &Account,
    observed: &BTreeMap<String, Value>,
    secrets: bool,
) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for field in &schema.fields {
        let Some(wanted) = account.fields.get(&field.name) else { continue };
        if field.call_only {
            continue;
        }
        let known = observed.get(&field.name);
        let to = match wanted {
            FieldValue::Secret(source) if secrets => To::Secret(*source),
            FieldValue::Secret(_) => continue,
            FieldValue::Plain(value) if known.is_some_and(|known| same_field(field, value, known)) => continue,
            FieldValue::Plain(value) if is_empty(value) => To::Empty,
            FieldValue::Plain(value) => To::Value(value.clone()),
        };
        changes.push(Change { field, to, certain: known.is_some() });
    }
    changes
}

/// What the account says about the create call itself: its fields that are no part of the state at the target.
pub(crate) fn steering(schema: &AccountSchema, account: &Account) -> Vec<(String, Value)> {
    let fields = schema.fields.iter().filter(|field| field.call_only);
    let stated = fields.filter_map(|field| {
        let value = account.fields.get(&field.name)?.plain()?;
        (!is_empty(value)).then(|| (field.name.clone(), value.clone()))
    });
    stated.collect()
}

/// Whether two values of a field are the same to the target.
pub(crate) fn same_field(field: &FieldSchema, one: &Value, other: &Value) -> bool {
    same(one, other)
        || (field.case_insensitive
            && text(one).is_some_and(|one| text(other).is_some_and(|other| same_folded(&one, &other))))
}

/// Which of our keys a found account equals.
///
/// `marker` is the field that carries the SCIM id, if this target has one; `email` is the field of the address.
/// Handles are compared to the letter: one that differs in case is somebody else's (glance.md section 13).
pub(crate) fn evidence(
    schema: &AccountSchema,
    keys: &AccountKeys,
    observed: &Observed,
    marker: Option<&str>,
    email: &str,
) -> Evidence {
    let found = |name: &str| observed.fields.get(name).and_then(text);
    let equals = |field: &FieldSchema| {
        keys.field(&field.name).is_some_and(|key| {
            found(&field.name)
                .is_some_and(|found| found == key.trim() || (field.case_insensitive && same_folded(&found, key)))
        })
    };
    Evidence {
        remote_id: keys.remote_id.is_some() && keys.remote_id == observed.remote_id,
        marker: marker.and_then(found).is_some_and(|found| !keys.marker.is_empty() && found == keys.marker),
        natural_key: equals(schema.natural_key()),
        unique_key: schema.fields.iter().any(|field| field.unique && !field.natural_key && equals(field)),
        email: keys.field(email).is_some_and(|key| found(email).is_some_and(|found| share_email(key, &found))),
    }
}
