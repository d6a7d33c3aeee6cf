//! References between the operations of a bulk request (RFC 7644 section 3.7.2): `bulkId:` and a name stand for the id of
//! the resource that another operation creates.
//!
//! They are found as a whole text (`"value": "bulkId:ann"`), at the end of an address (`"$ref": "../Users/bulkId:ann"`) and
//! in the filter of a path (`members[value eq "bulkId:ann"]`). The last two are left alone where no operation has that name.
//!
//! Where resources refer to each other (section 3.7.1), one of them is created before the other: what refers to the future is
//! [`Open`] until that is decided, and no longer, so that nothing later is put back by it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde_json::{Map, Value};

use super::{PREFIX, Request, order};
use crate::error::{ScimError, quoted};

/// What became of the resources that a request creates, by their bulkIds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct References {
    created: BTreeMap<String, Created>,
    /// The circle of each entry: see [`order::Order`].
    circles: Vec<usize>,
}

/// What became of a bulkId.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Created {
    /// The circle of the operation that creates it.
    circle: usize,
    fate: Fate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// Its operation has not been run.
    NotYet,
    /// The id of the resource.
    Id(String),
    /// Its operation failed.
    Failed,
}

/// What a resource is created without, because it refers to resources that refer to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Open {
    /// Paths of attributes, and the values that are left out: a list of multi-valued ones.
    parts: Vec<(String, Value)>,
    /// The bulkIds of which nothing is known yet.
    waits_for: BTreeSet<String>,
}

/// What can be made up for when everything is decided.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settled {
    /// Paths of attributes and values to add to them.
    pub parts: Vec<(String, Value)>,
    /// Whether that is all that was left out.
    pub is_whole: bool,
}

impl Open {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Notes that the operation with this bulkId has been run.
    pub fn decide(&mut self, bulk_id: &str) {
        self.waits_for.remove(bulk_id);
    }

    /// Whether everything is decided that it refers to.
    pub fn is_decided(&self) -> bool {
        self.waits_for.is_empty()
    }
}

impl References {
    /// Before anything is run.
    pub fn of(request: &Request) -> Self {
        let circles = order::of(&request.entries).circles;
        let named = request.entries.iter().zip(&circles).filter_map(|(entry, circle)| Some((entry.creates()?, circle)));
        let unborn = |circle: &usize| Created { circle: *circle, fate: Fate::NotYet };
        let created = named.map(|(bulk_id, circle)| (bulk_id.to_owned(), unborn(circle))).collect();
        Self { created, circles }
    }

    /// Notes the id of a resource; none if it was not created.
    pub fn set(&mut self, bulk_id: &str, id: Option<&str>) {
        if let Some(created) = self.created.get_mut(bulk_id) {
            created.fate = id.map_or(Fate::Failed, |id| Fate::Id(id.to_owned()));
        }
    }

    /// The id that a bulkId stands for.
    ///
    /// # Errors
    ///
    /// 400 if no operation has it, 409 if that operation was not carried out.
    pub fn id_of(&self, bulk_id: &str) -> Result<&str, ScimError> {
        match self.created.get(bulk_id).map(|created| &created.fate) {
            Some(Fate::Id(id)) => Ok(id),
            Some(Fate::Failed | Fate::NotYet) => {
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
            if !part.is_whole && !self.created.contains_key(part.bulk_id) {
                continue;
            }
            resolved.push_str(&text[end..part.range.start]);
            resolved.push_str(self.id_of(part.bulk_id)?);
            end = part.range.end;
        }
        resolved.push_str(&text[end..]);
        Ok(resolved)
    }

    /// The data of a create, the entry with this number, without the values that refer to a resource which is not there yet, or
    /// which refers to this one and could not be created: whatever the order, such a reference refuses nothing. A value that has
    /// parts is left out with all of them: a member without its `value` is none.
    ///
    /// # Errors
    ///
    /// 400 if something left out names a bulkId that no operation has.
    pub fn without_open(&self, number: usize, data: &Value) -> Result<(Value, Open), ScimError> {
        let Value::Object(members) = data else { return Ok((data.clone(), Open::default())) };
        let mut parts = Vec::new();
        let circle = self.circles.get(number).copied();
        let rest = self.split(circle, None, members, &mut parts);
        let mut waits_for = BTreeSet::new();
        for bulk_id in parts.iter().flat_map(|(_, value)| named(value)) {
            match self.created.get(bulk_id) {
                Some(Created { fate: Fate::NotYet, .. }) => drop(waits_for.insert(bulk_id.to_owned())),
                Some(_) => {}
                None => drop(self.id_of(bulk_id)?),
            }
        }
        Ok((Value::Object(rest), Open { parts, waits_for }))
    }

    /// What remains of attributes; those of an extension (`urn`) are taken apart like those of the core.
    fn split(
        &self,
        circle: Option<usize>,
        urn: Option<&str>,
        attributes: &Map<String, Value>,
        open: &mut Vec<(String, Value)>,
    ) -> Map<String, Value> {
        let mut rest = Map::new();
        for (name, value) in attributes {
            let path = || urn.map_or_else(|| name.clone(), |urn| format!("{urn}:{name}"));
            let is_open = |value: &Value| self.is_open(circle, value);
            let kept = match value {
                Value::Array(values) => {
                    let (left_out, kept): (Vec<Value>, Vec<Value>) = values.iter().cloned().partition(is_open);
                    if !left_out.is_empty() {
                        open.push((path(), Value::Array(left_out)));
                    }
                    (values.is_empty() || !kept.is_empty()).then_some(Value::Array(kept))
                }
                Value::Object(parts) if urn.is_none() && is_extension(name, parts) => {
                    let kept = self.split(circle, Some(name), parts, open);
                    (parts.is_empty() || !kept.is_empty()).then_some(Value::Object(kept))
                }
                value if is_open(value) => {
                    open.push((path(), value.clone()));
                    None
                }
                value => Some(value.clone()),
            };
            rest.extend(kept.map(|kept| (name.clone(), kept)));
        }
        rest
    }

    /// Whether something in it refers to what is not there yet, or to what was to stand in this circle and failed.
    fn is_open(&self, circle: Option<usize>, value: &Value) -> bool {
        let is_open = |created: &Created| match created.fate {
            Fate::NotYet => true,
            Fate::Failed => Some(created.circle) == circle,
            Fate::Id(_) => false,
        };
        named(value).into_iter().any(|bulk_id| self.created.get(bulk_id).is_some_and(is_open))
    }

    /// What is to be added of that which was left out. What refers to a resource that was not created stays out.
    pub fn settled(&self, open: &Open) -> Settled {
        let mut settled = Settled { parts: Vec::new(), is_whole: true };
        for (path, value) in &open.parts {
            let found = match value {
                Value::Array(values) => {
                    let found: Vec<Value> = values.iter().filter_map(|value| self.resolved(value).ok()).collect();
                    settled.is_whole &= found.len() == values.len();
                    (!found.is_empty()).then_some(Value::Array(found))
                }
                value => {
                    let found = self.resolved(value).ok();
                    settled.is_whole &= found.is_some();
                    found
                }
            };
            settled.parts.extend(found.map(|value| (path.clone(), value)));
        }
        settled
    }
}

/// Whether an attribute is the home of those of an extension: an object under a URN, which holds no value of its own that
/// refers to anything.
fn is_extension(name: &str, parts: &Map<String, Value>) -> bool {
    let is_urn = name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("urn:"));
    is_urn && !parts.values().any(|part| part.as_str().is_some_and(|text| !in_text(text).is_empty()))
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

    /// Of a request whose first two operations refer to each other.
    fn references() -> References {
        let created = |circle, fate| Created { circle, fate };
        let ann = created(3, Fate::Id("1".to_owned()));
        let known = [("bob", created(0, Fate::NotYet)), ("ann", ann), ("cid", created(2, Fate::Failed))];
        let created = known.map(|(name, created)| (name.to_owned(), created)).into_iter().collect();
        References { created, circles: vec![0, 0, 2, 3] }
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
        let check = |data: Value, rest: Value, open: &[(&str, Value)]| {
            let (found, left_out) = references().without_open(1, &data).unwrap();
            let open: Vec<(String, Value)> =
                open.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
            assert_eq!((found, &left_out.parts), (rest, &open), "{data}");
            assert_eq!(left_out.is_decided(), open.is_empty(), "{data}");
        };
        check(
            json!({"displayName": "x", "members": [{"value": "bulkId:bob", "type": "User"}, {"value": "bulkId:ann"}]}),
            json!({"displayName": "x", "members": [{"value": "bulkId:ann"}]}),
            &[("members", json!([{"value": "bulkId:bob", "type": "User"}]))],
        );
        let manager = json!({"value": "bulkId:bob", "displayName": "B"});
        check(
            json!({"urn:x:User": {"department": "d", "manager": manager}}),
            json!({"urn:x:User": {"department": "d"}}),
            &[("urn:x:User:manager", manager.clone())],
        );
        check(json!({"urn:x:User:manager": manager}), json!({}), &[("urn:x:User:manager", manager)]);
        let alone = json!([{"value": "bulkId:bob"}]);
        check(json!({"members": alone}), json!({}), &[("members", alone)]);
        check(json!({"members": [], "name": {}}), json!({"members": [], "name": {}}), &[]);
        check(json!({"members": [{"value": "bulkId:cid"}]}), json!({"members": [{"value": "bulkId:cid"}]}), &[]);
        let nobody = json!({"manager": {"value": "bulkId:bob", "displayName": "bulkId:nobody"}});
        assert_eq!(references().without_open(1, &nobody).unwrap_err().status, 400);
    }

    #[test]
    fn what_was_left_out_comes_back_when_it_is_decided_as_far_as_it_can() {
        let members = json!([{"value": "bulkId:bob"}, {"value": "bulkId:ann"}]);
        let manager = json!({"value": "bulkId:bob"});
        let data = json!({"members": members, "urn:x:User": {"department": "d", "manager": manager}});
        let settled = |id: Option<&str>| {
            let mut references = references();
            let mut open = references.without_open(1, &data).unwrap().1;
            references.set("bob", id);
            assert!(!open.is_decided());
            open.decide("bob");
            assert!(open.is_decided());
            references.settled(&open)
        };
        let parts = [("members", json!([{"value": "2"}])), ("urn:x:User:manager", json!({"value": "2"}))];
        let parts = parts.map(|(path, value)| (path.to_owned(), value)).to_vec();
        assert_eq!(settled(Some("2")), Settled { parts, is_whole: true });
        assert_eq!(settled(None), Settled { parts: Vec::new(), is_whole: false });
    }

    #[test]
    fn what_failed_round_the_circle_is_left_out_and_refuses_nothing() {
        let mut references = references();
        references.set("bob", None);
        let data = json!({"members": [{"value": "bulkId:bob"}]});
        let (rest, open) = references.without_open(1, &data).unwrap();
        assert_eq!((rest, open.is_empty(), open.is_decided()), (json!({}), false, true));
        // From outside of it, it is a reference to a failure.
        let (rest, open) = references.without_open(2, &data).unwrap();
        assert_eq!((&rest, open.is_empty()), (&data, true));
        assert_eq!(references.resolved(&rest).unwrap_err().status, 409);
    }
}
