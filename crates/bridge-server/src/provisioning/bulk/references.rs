//! References between the operations of a bulk request (RFC 7644 section 3.7.2): `bulkId:` and a name stand for the id of
//! the resource that another operation creates.
//!
//! They are found as a whole text (`"value": "bulkId:ann"`), at the end of an address (`"$ref": "../Users/bulkId:ann"`) and
//! in the filter of a path (`members[value eq "bulkId:ann"]`). The last two are left alone where no operation has that name.

use std::collections::BTreeMap;

use scim_model::ScimError;
use serde_json::{Map, Value};

use super::Created;

/// How a reference begins.
pub(super) const PREFIX: &str = "bulkId:";

/// The bulkIds that occur in some data.
pub(super) fn named<'a>(data: &'a Value, found: &mut Vec<&'a str>) {
    match data {
        Value::String(text) => found.extend(in_text(text).into_iter().map(|part| part.bulk_id)),
        Value::Array(values) => values.iter().for_each(|value| named(value, found)),
        Value::Object(members) => members.values().for_each(|value| named(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The id that a bulkId stands for.
///
/// # Errors
/// 400 if no operation has it, 409 if that operation was not carried out.
pub(super) fn id_of(bulk_id: &str, created: &BTreeMap<String, Created>) -> Result<String, ScimError> {
    match created.get(bulk_id) {
        Some(Created::Id(id)) => Ok(id.clone()),
        Some(Created::Failed | Created::NotYet) => {
            let detail = format!("It refers to {PREFIX}{bulk_id}, and that operation was not carried out");
            Err(ScimError::new(409, None, detail))
        }
        None => Err(ScimError::invalid_value(format!("No operation of this request has the bulkId {bulk_id:?}"))),
    }
}

/// Data with ids in the place of references.
///
/// # Errors
/// Those of [`id_of`].
pub(super) fn resolved(data: &Value, created: &BTreeMap<String, Created>) -> Result<Value, ScimError> {
    Ok(match data {
        Value::String(text) => Value::String(resolved_text(text, created)?),
        Value::Array(values) => {
            Value::Array(values.iter().map(|value| resolved(value, created)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| Ok((name.clone(), resolved(value, created)?));
            Value::Object(members.iter().map(member).collect::<Result<_, ScimError>>()?)
        }
        plain => plain.clone(),
    })
}

/// The data of a create without the values that refer to a resource which is not there yet, and the attributes that had
/// them, whole. A value that has parts is left out with all of them: a member without its `value` is none.
pub(super) fn without_open(data: &Value, created: &BTreeMap<String, Created>) -> (Value, Map<String, Value>) {
    let Value::Object(members) = data else { return (data.clone(), Map::new()) };
    let (mut rest, mut open) = (Map::new(), Map::new());
    for (name, value) in members {
        let kept = closed(value, created);
        if kept.as_ref() != Some(value) {
            open.insert(name.clone(), value.clone());
        }
        rest.extend(kept.map(|kept| (name.clone(), kept)));
    }
    (Value::Object(rest), open)
}

/// What is left of a value without open references; `None` if that is nothing.
fn closed(value: &Value, created: &BTreeMap<String, Created>) -> Option<Value> {
    match value {
        Value::String(text) => {
            let is_open = in_text(text).iter().any(|part| created.get(part.bulk_id) == Some(&Created::NotYet));
            (!is_open).then(|| value.clone())
        }
        Value::Array(values) => {
            let kept: Vec<Value> = values.iter().filter_map(|value| closed(value, created)).collect();
            (values.is_empty() || !kept.is_empty()).then_some(Value::Array(kept))
        }
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, value) in members {
                match closed(value, created) {
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

/// A reference in a text.
struct Part<'a> {
    /// Where `bulkId:` begins, and where the name ends.
    range: std::ops::Range<usize>,
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

fn resolved_text(text: &str, created: &BTreeMap<String, Created>) -> Result<String, ScimError> {
    let mut resolved = String::with_capacity(text.len());
    let mut end = 0;
    for part in in_text(text) {
        if !part.is_whole && !created.contains_key(part.bulk_id) {
            continue;
        }
        resolved.push_str(&text[end..part.range.start]);
        resolved.push_str(&id_of(part.bulk_id, created)?);
        end = part.range.end;
    }
    resolved.push_str(&text[end..]);
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn created() -> BTreeMap<String, Created> {
        BTreeMap::from([
            ("ann".to_owned(), Created::Id("1".to_owned())),
            ("bob".to_owned(), Created::NotYet),
            ("cid".to_owned(), Created::Failed),
        ])
    }

    #[test]
    fn references_become_ids_wherever_they_stand() {
        let check = |data: Value, expected: Value| assert_eq!(resolved(&data, &created()).unwrap(), expected, "{data}");
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
        let status = |text: &str| resolved(&json!({"value": text}), &created()).unwrap_err().status;
        assert_eq!(status("bulkId:nobody"), 400);
        assert_eq!(status("bulkId:"), 400);
        assert_eq!(status("bulkId:cid"), 409);
        assert_eq!(status("bulkId:bob"), 409);
    }

    #[test]
    fn what_refers_to_the_future_is_left_out_with_all_its_parts() {
        let check = |data: Value, rest: Value, open: Value| {
            let (found, owed) = without_open(&data, &created());
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
