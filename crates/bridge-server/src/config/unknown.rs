//! Finds keys that the configuration does not have, with the one that was probably meant. The schema of the file says what there is.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{ConfigProblem, Position};

/// Every unknown key of `document`, which was read from `text`.
pub(super) fn keys(text: &str, document: &DeTable<'_>, schema: &Value) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    walk(text, document, schema, "", &mut problems);
    problems
}

fn walk(text: &str, table: &DeTable<'_>, schema: &Value, path: &str, problems: &mut Vec<ConfigProblem>) {
    let shape = Shape::of(schema, table);
    for (key, value) in table {
        let name: &str = key.get_ref();
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let inner = match (shape.known.get(name).copied(), shape.others) {
            (Some(inner), _) | (None, Others::Allowed(Some(inner))) => inner,
            (None, Others::Allowed(None)) => continue,
            (None, Others::Refused) => {
                let position = Some(Position::of(text, key.span().start));
                problems.push(ConfigProblem { position, key: path, message: shape.explain(name) });
                continue;
            }
        };
        if let DeValue::Table(value) = value.get_ref() {
            walk(text, value, inner, &path, problems);
        }
    }
}

/// What a schema says about the keys of one table.
struct Shape<'schema> {
    known: BTreeMap<&'schema str, &'schema Value>,
    others: Others<'schema>,
    /// Keys of other kinds of target, with the kind.
    elsewhere: BTreeMap<&'schema str, &'schema str>,
}

#[derive(Clone, Copy)]
enum Others<'schema> {
    Refused,
    /// Any key is fine; its value follows the schema, if there is one.
    Allowed(Option<&'schema Value>),
}

impl<'schema> Shape<'schema> {
    fn of(schema: &'schema Value, table: &DeTable<'_>) -> Self {
        let kind =
            table.iter().find(|(key, _)| key.get_ref() == "kind").and_then(|(_, value)| value.get_ref().as_str());
        let mut shape = Self { known: BTreeMap::new(), others: Others::Allowed(None), elsewhere: BTreeMap::new() };
        if let Value::Object(schema) = schema {
            shape.add(schema, kind);
        }
        shape
    }

    fn add(&mut self, schema: &'schema Map<String, Value>, kind: Option<&str>) {
        if let Some(Value::Object(properties)) = schema.get("properties") {
            self.known.extend(properties.iter().map(|(name, inner)| (name.as_str(), inner)));
        }
        for rule in ["additionalProperties", "unevaluatedProperties"] {
            match schema.get(rule) {
                Some(Value::Bool(false)) => self.others = Others::Refused,
                Some(inner @ Value::Object(_)) => self.others = Others::Allowed(Some(inner)),
                _ => (),
            }
        }
        for combination in ["allOf", "anyOf", "oneOf"] {
            let branches =
                || schema.get(combination).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
            // A kind that does not exist is reported as such; its table may hold the keys of all kinds.
            let kind = kind.filter(|kind| branches().any(|branch| kind_of(branch) == Some(kind)));
            for branch in branches() {
                match (kind_of(branch), kind) {
                    (Some(branch_kind), Some(kind)) if branch_kind != kind => {
                        let properties = branch.get("properties").and_then(Value::as_object).into_iter().flatten();
                        self.elsewhere.extend(properties.map(|(name, _)| (name.as_str(), branch_kind)));
                    }
                    _ => self.add(branch, kind),
                }
            }
        }
    }

    fn explain(&self, name: &str) -> String {
        if let Some(kind) = self.elsewhere.get(name) {
            return format!("unknown key here; it belongs to targets of kind \"{kind}\"");
        }
        match nearest(name, self.known.keys().copied()) {
            Some(near) => format!("unknown key; did you mean `{near}`?"),
            None => format!("unknown key; there are {}", self.known.keys().copied().collect::<Vec<_>>().join(", ")),
        }
    }
}

/// The kind of target that a branch of the schema describes.
fn kind_of(branch: &Map<String, Value>) -> Option<&str> {
    branch.get("properties")?.get("kind")?.get("const")?.as_str()
}

/// The known name that looks most like `name`, if one does.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
    let (distance, near) = known.map(|candidate| (distance(candidate), candidate)).min()?;
    (distance <= (name.len() / 3).max(1)).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found_and_a_far_one_is_not() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(nearest(name, ["listen", "wait", "public_url", "admin_listen"].into_iter()), expected, "{name}");
        };
        check("lisen", Some("listen"));
        check("publicUrl", Some("public_url"));
        check("WAIT", Some("wait"));
        check("admin-listen", Some("admin_listen"));
        check("frobnicate", None);
    }
}
