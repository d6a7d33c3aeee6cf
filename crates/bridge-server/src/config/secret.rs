//! Secrets of the file: never written in it, always `{ env = "NAME" }` or `{ file = "path" }`.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use url::Url;

use super::values;

/// How to write a secret; part of every refusal.
const HOW: &str =
    "write { env = \"NAME\" } for an environment variable or { file = \"path\" } for a file that holds it";

/// Which secrets are fetched; a word stands in for each of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets<'a> {
    /// Each; one that cannot be had is a problem.
    Fetch,
    /// Those of the table with this path.
    Below(&'a [&'a str]),
    /// None.
    Skip,
}

impl Secrets<'_> {
    /// Whether the one with this path is fetched.
    pub(super) fn are_fetched_at(self, path: &[&str]) -> bool {
        match self {
            Self::Fetch => true,
            Self::Below(table) => path.starts_with(table),
            Self::Skip => false,
        }
    }
}

/// What stands in for a secret that is not fetched.
pub(super) const STAND_IN: &str = "not-fetched";

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretSource {
    /// An environment variable, by name.
    Environment(String),
    /// A file; white space at its ends is cut off.
    File(PathBuf),
}

impl SecretSource {
    /// Fetches the secret; a relative path starts at `base`.
    ///
    /// # Errors
    /// It is missing, empty or unreadable: says which, never the value.
    pub(super) fn resolve(&self, base: &Path) -> Result<SecretString, String> {
        let text = match self {
            Self::Environment(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("the environment variable {name} is not set"),
                std::env::VarError::NotUnicode(_) => format!("the environment variable {name} is not UTF-8"),
            })?,
            Self::File(path) => {
                let path = base.join(path);
                std::fs::read_to_string(&path)
                    .map_err(|error| format!("the file {} cannot be read: {error}", path.display()))?
            }
        };
        let text = match self {
            Self::Environment(_) => text.as_str(),
            Self::File(_) => text.trim(),
        };
        if text.is_empty() {
            return Err(match self {
                Self::Environment(name) => format!("the environment variable {name} is empty"),
                Self::File(path) => format!("the file {} is empty", path.display()),
            });
        }
        Ok(SecretString::from(text))
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Found::deserialize(deserializer)?.source().map_err(Error::custom)
    }
}

/// An address that may be a secret, as those of many chat services are: in the file, or where secrets are.
#[derive(Debug)]
pub(super) enum AddressSource {
    /// As it is.
    Plain(Url),
    /// Fetched like a secret.
    Secret(SecretSource),
}

impl<'de> Deserialize<'de> for AddressSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Found::deserialize(deserializer)? {
            Found::Text(text) => values::parse_url(&text).map(Self::Plain).map_err(Error::custom),
            Found::Table(entries) => Found::Table(entries).source().map(Self::Secret).map_err(Error::custom),
            Found::List(_) | Found::Other => {
                Err(Error::custom("an address is a text, or { env = \"NAME\" } or { file = \"path\" }"))
            }
        }
    }
}

/// Reads a list of secrets.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretSource>, D::Error> {
    match Found::deserialize(deserializer)? {
        Found::List(items) => items.into_iter().map(Found::source).collect::<Result<_, _>>().map_err(Error::custom),
        Found::Text(_) | Found::Table(_) | Found::Other => {
            Err(Error::custom(format!("a list of secrets is expected; for each {HOW}")))
        }
    }
}

/// Whatever stands where a secret is expected. Takes anything: serde's own refusals quote what they found, and that may be
/// the secret.
enum Found {
    Text(String),
    Table(Vec<(String, Found)>),
    List(Vec<Found>),
    Other,
}

impl Found {
    fn source(self) -> Result<SecretSource, String> {
        let Self::Table(entries) = self else {
            return Err(format!("a secret is not written in this file; {HOW}"));
        };
        let mut source = None;
        for (key, value) in entries {
            let found = match (key.as_str(), value) {
                ("env", Self::Text(name)) => SecretSource::Environment(name),
                ("file", Self::Text(path)) => SecretSource::File(path.into()),
                ("env" | "file", _) => return Err(format!("the source of a secret is a text; {HOW}")),
                _ => return Err(format!("a secret has no other keys than env and file; {HOW}")),
            };
            if source.replace(found).is_some() {
                return Err(format!("a secret has one source; {HOW}"));
            }
        }
        source.ok_or_else(|| format!("a secret has a source; {HOW}"))
    }
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Found;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a secret: {HOW}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        Ok(Found::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Found::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Found::Table(entries))
    }
}

impl JsonSchema for AddressSource {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<SecretSource>();
        json_schema!({
            "description": "An address; one that is a secret comes from an environment variable or a file.",
            "anyOf": [{ "type": "string" }, secret]
        })
    }
}

impl JsonSchema for SecretSource {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A secret: from an environment variable or from a file, never written here.",
            "properties": {
                "env": { "type": "string", "description": "Name of the environment variable." },
                "file": { "type": "string", "description": "Path of the file; relative to the configuration." }
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_file_is_trimmed_and_found_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "  s3cret \n").unwrap();
        let secret = SecretSource::File("key".into()).resolve(folder.path()).unwrap();
        assert_eq!(secret.expose_secret(), "s3cret");
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let check = |source: SecretSource, part: &str| {
            let error = source.resolve(folder.path()).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check(SecretSource::Environment("NO_SUCH_VARIABLE_HERE".into()), "NO_SUCH_VARIABLE_HERE is not set");
        check(SecretSource::File("nowhere".into()), "nowhere cannot be read");
        check(SecretSource::File("empty".into()), "empty is empty");
    }
}
