//! References between the operations of a bulk request (RFC 7644 section 3.7.2): `bulkId:` and a name stand for the id of
//! the resource that another operation creates.
//!
//! They are found as a whole text (`"value": "bulkId:ann"`), at the end of an address (`"$ref": "../Users/bulkId:ann"`) and
//! in the filter of a path (`members[value eq "bulkId:ann"]`). The last two are left alone where no operation has that name.

use std::{collections::BTreeMap, ops::Range};

use serde_json::{Map, Value};

use super::{PREFIX, Request};
use crate::error::{ScimError, quoted};

/// What became of the resources that a request creates, by their bulkIds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct References(BTreeMap<String, Created>);

/// What became of a bulkId.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Created {
    /// Its operation has not been run.
    NotYet,
    /// The id of the resource.
    Id(String),
    /// Its operation failed.
    Failed,
}

impl References {
    /// Before anything is run.
    pub fn of(request: &Request) -> Self {
        let names = request.entries.iter().filter_map(|entry| entry.creates());
        Self(names.map(|bulk_id| (bulk_id.to_owned(), Created::NotYet)).collect())
    }

    /// Notes the id of a resource; none if it was not created.
    pub fn set(&mut self, bulk_id: &str, id: Option<&str>) {
        let created = id.map_or(Created::Failed, |id| Created::Id(id.to_owned()));
        self.0.insert(bulk_id.to_owned(), created);
    }

    /// The id that a bulkId stands for.
    ///
    /// # Errors
    ///
    /// 400 if no operation has it, 409 if that operation was not carried out.
    pub fn id_of(&self, bulk_id: &str) -> Result<&str, ScimError> {
        match self.0.get(bulk_id) {
            Some(Created::Id(id)) => Ok(id),
            Some(Created::Failed | Created::NotYet) => {
                let name = quoted(&format!("{PREFIX}{bulk_id}"));
                let detail = format!("It refers to {name}, and that operation was not carried out");
                Err(ScimError::new(409, None, detail))
            }
            None => {
                let detail = format!("No operation of this request has the bulkId {}", quoted(bulk_id));
                Err(ScimError::invalid_value(detail))
            }
        }
    }

    /// Data with ids in the place of references.
    ///
    /// # Errors
    ///
    /// Those of [`References::id_of`].
    pub fn resolved(&self, data: &Value) -> Result<Value, ScimError> {
        Ok(match data {
            Value::String(text) => Value::String(self.resolved_text(text)?),
            Value::Array(values) => {
                Value::Array(values.iter().map(|value| self.resolved(value)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| Ok((name.clone(), self.resolved(value)?));
                Value::Object(members.iter().map(member).collect::<Result<_, ScimError>>()?)
            }
            plain => plain.clone(),
        })
    }

    fn resolved_text(&self, text: &str) -> Result<String, ScimError> {
        let mut resolved = String::with_capacity(text.len());
        let mut end = 0;
        for part in in_text(text) {
            if !part.is_whole && !self.0.contains_key(part.bulk_id) {
                continue;
            }
            resolved.push_str(&text[end..part.range.start]);
            resolved.push_str(self.id_of(part.bulk_id)?);
            end = part.range.end;
        }
        resolved.push_str(&text[end..]);
        Ok(resolved)
    }

    /// The data of a create without the values that refer to a resource which is not there yet, and the attributes that had
    /// them, whole. A value that has parts is left out with all of them: a member without its `value` is none.
    pub fn without_open(&self, data: &Value) -> (Value, Map<String, Value>) {
        let Value::Object(members) = data else { return (data.clone(), Map::new()) };
        let (mut rest, mut open) = (Map::new(), Map::new());
        for (name, value) in members {
            let kept = self.closed(value);
            if kept.as_ref() != Some(value) {
                open.insert(name.clone(), value.clone());
            }
            rest.extend(kept.map(|kept| (name.clone(), kept)));
        }
        (Value::Object(rest), open)
    }

    /// What is left of a value without open references; `None` if that is nothing.
    fn closed(&self, value: &Value) -> Option<Value> {
        match value {
            Value::String(text) => {
                let is_open = in_text(text).iter().any(|part| self.0.get(part.bulk_id) == Some(&Created::NotYet));
                (!is_open).then(|| value.clone())
            }
            Value::Array(values) => {
                let kept: Vec<Value> = values.iter().filter_map(|value| self.closed(value)).collect();
                (values.is_empty() || !kept.is_empty()).then_some(Value::Array(kept))
            }
            Value::Object(members) => {
                let mut kept = Map::new();
                for (name, value) in members {
                    match self.closed(value) {
                        Some(value) => {
                            kept.insert(name.clone(), value);
                        }
                        None if value.is_string() => return None,
                        None => {}
                    }
                }
                (members.is_empty() || !kept.is_empty()).then_some(Value::Object(kept))
            }
            plain => Some(plain.clone()),
        }
    }
}

/// The bulkIds that occur in some data.
pub(super) fn named(data: &Value) -> Vec<&str> {
    match data {
        Value::String(text) => in_text(text).into_iter().map(|part| part.bulk_id).collect(),
        Value::Array(values) => values.iter().flat_map(named).collect(),
        Value::Object(members) => members.values().flat_map(named).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// A reference in a text.
struct Part<'a> {
    /// Where `bulkId:` begins, and where the name ends.
    range: Range<usize>,
    bulk_id: &'a str,
    /// Whether the text is nothing else.
    is_whole: bool,
}

fn in_text(text: &str) -> Vec<Part<'_>> {
    if !text.contains(PREFIX) {
        return Vec::new();
    }
    if let Some(bulk_id) = text.strip_prefix(PREFIX) {
        return vec![Part { range: 0..text.len(), bulk_id, is_whole: true }];
    }
    if let Some((address, bulk_id)) = text.rsplit_once("/bulkId:")
        && !text.contains(char::is_whitespace)
    {
        return vec![Part { range: address.len() + 1..text.len(), bulk_id, is_whole: false }];
    }
    let quoted = text.match_indices("\"bulkId:").filter_map(|(quote, start)| {
        let begin = quote + start.len();
        let bulk_id = text[begin..].split('"').next().filter(|rest| begin + rest.len() < text.len())?;
        Some(Part { range: quote + 1..begin + bulk_id.len(), bulk_id, is_whole: false })
    });
    quoted.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn references() -> References {
        let mut references = References(BTreeMap::from([("bob".to_owned(), Created::NotYet)]));
        references.set("ann", Some("1"));
        references.set("cid", None);
        references
    }

    #[test]
    fn references_become_ids_wherever_they_stand() {
        let check =
            |data: Value, expected: Value| assert_eq!(references().resolved(&data).unwrap(), expected, "{data}");
        check(json!({"members": [{"value": "bulkId:ann"}]}), json!({"members": [{"value": "1"}]}));
        check(json!({"$ref": "https://x/Users/bulkId:ann"}), json!({"$ref": "https://x/Users/1"}));
        check(json!({"path": "members[value eq \"bulkId:ann\"]"}), json!({"path": "members[value eq \"1\"]"}));
        check(
            json!({"path": "m[a eq \"bulkId:ann\" or b eq \"bulkId:ann\"].c"}),
            json!({"path": "m[a eq \"1\" or b eq \"1\"].c"}),
        );
        check(json!({"note": "see /bulkId:nobody", "n": 1}), json!({"note": "see /bulkId:nobody", "n": 1}));
        check(json!("a bulkId: b"), json!("a bulkId: b"));
        check(json!("x \"bulkId:ann"), json!("x \"bulkId:ann"));
    }

    #[test]
    fn a_reference_to_nothing_is_the_clients_fault_and_one_to_a_failure_a_conflict() {
        let status = |text: &str| references().resolved(&json!({"value": text})).unwrap_err().status;
        assert_eq!(status("bulkId:nobody"), 400);
        assert_eq!(status("bulkId:"), 400);
        assert_eq!(status("bulkId:cid"), 409);
        assert_eq!(status("bulkId:bob"), 409);
    }

    #[test]
    fn what_refers_to_the_future_is_left_out_with_all_its_parts() {
        let check = |data: Value, rest: Value, open: Value| {
            let (found, owed) = references().without_open(&data);
            assert_eq!((found, Value::Object(owed)), (rest, open), "{data}");
        };
        let members = json!([{"value": "bulkId:bob", "type": "User"}, {"value": "bulkId:ann"}]);
        check(
            json!({"displayName": "x", "members": members}),
            json!({"displayName": "x", "members": [{"value": "bulkId:ann"}]}),
            json!({"members": members}),
        );
        let manager =
            json!({"urn:x:User": {"department": "d", "manager": {"value": "bulkId:bob", "displayName": "B"}}});
        check(manager.clone(), json!({"urn:x:User": {"department": "d"}}), manager);
        let alone = json!({"members": [{"value": "bulkId:bob"}]});
        check(alone.clone(), json!({}), alone);
        check(json!({"members": [], "name": {}}), json!({"members": [], "name": {}}), json!({}));
    }
}
