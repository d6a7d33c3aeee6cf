//! The account that a target should hold for one SCIM resource.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{AccountSchema, TargetKind};

/// Where the value of a secret field comes from. The value itself is never part of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// The bridge makes one, once, when a plan first contains the create.
    Generated,
    /// The identity provider sent one. The lineage's `source` is its key among the draft's secrets.
    Supplied,
}

/// The value of one field of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// A secret, known only by where it comes from. In JSON `{"secret": "generated"}`.
    Secret(#[serde(with = "marker")] SecretSource),
    /// A scalar of the type that the account schema states.
    Plain(Value),
}

impl FieldValue {
    /// The plain value, if it is one.
    pub fn plain(&self) -> Option<&Value> {
        match self {
            FieldValue::Plain(value) => Some(value),
            FieldValue::Secret(_) => None,
        }
    }
}

/// The JSON form of a secret: an object, which no plain field ever is.
mod marker {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::SecretSource;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Marker {
        secret: SecretSource,
    }

    pub(super) fn serialize<S: Serializer>(source: &SecretSource, serializer: S) -> Result<S::Ok, S::Error> {
        Marker { secret: *source }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretSource, D::Error> {
        Marker::deserialize(deserializer).map(|marker| marker.secret)
    }
}

/// What a target should hold. Built by [`map`](crate::map) only, so every value obeys the account schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Whose fields these are.
    pub kind: TargetKind,
    /// The fields by the vendor's name; a field that is not here is not sent.
    pub fields: BTreeMap<String, FieldValue>,
}

impl Account {
    /// An account without fields.
    pub fn new(kind: TargetKind) -> Account {
        Account { kind, fields: BTreeMap::new() }
    }

    /// SHA-256, in hex, of the plain fields. Secrets do not count, nor does the order in which anything arrived.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.kind.name());
        for (name, value) in &self.fields {
            let FieldValue::Plain(value) = value else { continue };
            // JSON never contains these bytes raw, so no two accounts print the same.
            hash.update([0x1e]);
            hash.update(name);
            hash.update([0x1f]);
            match value {
                Value::String(text) => {
                    hash.update("\"");
                    hash.update(text.len().to_le_bytes());
                    hash.update(text);
                }
                other => hash.update(other.to_string()),
            }
        }
        hex(&hash.finalize())
    }

    /// The field's text, if it is a plain string.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.plain()?.as_str()
    }

    /// The key by which the target knows the account, folded for comparison.
    pub fn natural_key(&self, schema: &AccountSchema) -> Option<String> {
        let field = schema.natural_key();
        self.text(&field.name).map(|text| field.fold(text))
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(fields: &[(&str, FieldValue)]) -> Account {
        Account {
            kind: TargetKind::Glance,
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }

    #[test]
    fn a_digest_sees_every_plain_field_and_no_secret() {
        let first = FieldValue::Plain(json!("Ann"));
        let plain = account(&[("UserFirst", first.clone())]);
        let secret = FieldValue::Secret(SecretSource::Generated);
        let with_secret = account(&[("UserFirst", first), ("UserPW", secret)]);
        assert_eq!(plain.digest(), with_secret.digest());
        assert_eq!(plain.digest().len(), 64);
        assert_ne!(plain.digest(), account(&[("UserFirst", FieldValue::Plain(json!("Anne")))]).digest());
        assert_ne!(plain.digest(), account(&[("UserLast", FieldValue::Plain(json!("Ann")))]).digest());
        assert_ne!(
            account(&[("a", FieldValue::Plain(json!("1")))]).digest(),
            account(&[("a", FieldValue::Plain(json!(1)))]).digest()
        );
    }

    #[test]
    fn an_account_survives_json() {
        let secret = FieldValue::Secret(SecretSource::Supplied);
        let account = account(&[("AudioProvider", FieldValue::Plain(json!(1))), ("UserPW", secret)]);
        let text = serde_json::to_string(&account).unwrap();
        assert!(text.contains(r#"{"secret":"supplied"}"#), "{text}");
        assert_eq!(serde_json::from_str::<Account>(&text).unwrap(), account);
    }
}
