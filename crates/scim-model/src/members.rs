//! Reads a PATCH of a group as changes of single members, so that a store with a row per member need not load them all.
//!
//! Operations on members and on other attributes do not meet, so the two can be applied apart: the members as rows, the
//! rest by [`patch`](crate::patch) to the document without members. The forms are those of entra 4 and okta 6; the meaning
//! is the same as that of [`patch`](crate::patch), which a property test holds against it.

use std::collections::HashSet;

use scim_filter::{Filter, Literal, Operator};
use serde_json::{Map, Value, json};

use crate::{
    catalog::{Home, ResourceType},
    document::{Note, Notes},
    error::ScimError,
    patch,
    quirks::{self, Operation, Quirk},
    schema::Attribute,
    target::Target,
    value::{self, Place},
};

/// One change of the members, to be applied in order.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberChange {
    /// These are members, too: elements in canonical form. Who is one already stays as he is.
    Add(Vec<Value>),
    /// These are no members any longer, by their `value`. Who is none is no error.
    Remove(Vec<String>),
    /// These are the members, and nobody else.
    Replace(Vec<Value>),
}

/// A PATCH taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberPatch {
    /// The changes of members, in order. Empty if the request does not speak of them.
    pub changes: Vec<MemberChange>,
    /// The message without them, for [`patch`](crate::patch). Its operations keep their numbers.
    pub rest: Value,
    /// What was tolerated.
    pub notes: Vec<Note>,
}

/// Takes the changes of members out of a PATCH message.
///
/// `None` if one of them depends on more than the ids of members (`members[display eq "Jo"]`): then load the members and
/// apply the whole message by [`patch`](crate::patch).
///
/// # Errors
///
/// As [`patch`](crate::patch), for the operations on members.
pub fn split_members(resource_type: &ResourceType, body: &Value) -> Result<Option<MemberPatch>, ScimError> {
    value::screen(body)?;
    let mut reader = Reader { resource_type, changes: Vec::new(), notes: Notes::default() };
    let message = patch::Message::read(body, &mut reader.notes)?;
    let count = message.operations.len();
    let mut rest = Vec::with_capacity(count);
    for (index, operation) in message.operations.iter().enumerate() {
        match reader.read(operation).map_err(|error| error.in_operation(index, count))? {
            Reading::Rest(operation) => rest.push(operation),
            Reading::NeedsMembers => return Ok(None),
        }
    }
    let rest = json!({ "schemas": [patch::PATCH_URN], "Operations": rest });
    Ok(Some(MemberPatch { changes: reader.changes, rest, notes: reader.notes.into_vec() }))
}

struct Reader<'a> {
    resource_type: &'a ResourceType,
    changes: Vec<MemberChange>,
    notes: Notes,
}

enum Reading {
    /// What is left of the operation.
    Rest(Value),
    /// It cannot be decided without the members.
    NeedsMembers,
}

/// An operation that does nothing, in the place of one that was taken out.
fn nothing() -> Reading {
    Reading::Rest(json!({ "op": "add", "value": {} }))
}

impl<'a> Reader<'a> {
    fn read(&mut self, operation: &Value) -> Result<Reading, ScimError> {
        let patch::Step { kind, path, value } = patch::Step::read(operation, &mut self.notes)?;
        let Some(path) = path else {
            return match value {
                Some(Value::Object(members)) if kind != Operation::Remove => self.read_object(kind, members),
                _ => Ok(Reading::Rest(operation.clone())),
            };
        };
        let mut notes = Notes::default();
        match Target::of_path(self.resource_type, path, &mut notes) {
            Ok(Target::Attribute(selection)) if selection.resolved.attribute.has_identity() => {
                self.notes.merge(notes);
                let resolved = selection.resolved;
                let place = Place::of(resolved.schema, resolved.attribute);
                match (kind, resolved.sub, &selection.filter, value) {
                    (Operation::Remove, None, Some(filter), _) => match ids(resolved.attribute, filter) {
                        Some(ids) => self.changes.push(MemberChange::Remove(ids)),
                        None => return Ok(Reading::NeedsMembers),
                    },
                    (_, None, None, Some(value)) if !value.is_array() && quirks::is_unassigned(value) => {
                        return Err(value::empty_list(place));
                    }
                    (_, None, None, value) => self.push(kind, resolved.attribute, value, place)?,
                    (_, Some(sub), ..) if sub.is_read_only() => {
                        self.notes.add(Quirk::ReadOnlyAttribute, &resolved.path());
                    }
                    _ => return Ok(Reading::NeedsMembers),
                }
                Ok(nothing())
            }
            // Also an object under the URN of a schema may hold members, but nobody sends that.
            Ok(Target::Schema(_)) => Ok(Reading::NeedsMembers),
            // Faults of other paths are found, in their place, when the rest is applied.
            _ => Ok(Reading::Rest(operation.clone())),
        }
    }

    fn read_object(&mut self, kind: Operation, members: &Map<String, Value>) -> Result<Reading, ScimError> {
        let mut rest = Map::new();
        let mut named = HashSet::new();
        for (key, value) in members {
            let mut notes = Notes::default();
            match Target::of_key(self.resource_type, Home::Core, key, &mut notes) {
                Ok(Target::Attribute(selection)) if selection.resolved.attribute.has_identity() => {
                    self.notes.merge(notes);
                    let resolved = selection.resolved;
                    let place = Place::of(resolved.schema, resolved.attribute);
                    quirks::named_again(&mut named, key, resolved, &mut self.notes);
                    if resolved.sub.is_some() || selection.filter.is_some() {
                        return Ok(Reading::NeedsMembers);
                    }
                    if !value.is_array() && quirks::is_unassigned(value) {
                        self.notes.add(Quirk::NotUnassigned, &place.to_string());
                    } else {
                        self.push(kind, resolved.attribute, Some(value), place)?;
                    }
                }
                Ok(Target::Schema(_)) => return Ok(Reading::NeedsMembers),
                _ => {
                    rest.insert(key.clone(), value.clone());
                }
            }
        }
        let op = if kind == Operation::Add { "add" } else { "replace" };
        Ok(Reading::Rest(json!({ "op": op, "value": rest })))
    }

    fn push(
        &mut self,
        kind: Operation,
        attribute: &'a Attribute,
        value: Option<&Value>,
        place: Place<'_>,
    ) -> Result<(), ScimError> {
        let Some(value) = value else {
            if kind != Operation::Remove {
                return Err(value::no_value(place));
            }
            self.changes.push(MemberChange::Replace(Vec::new()));
            return Ok(());
        };
        let elements = value::elements(attribute, value, place, &mut self.notes)?;
        self.changes.push(match kind {
            Operation::Add => MemberChange::Add(elements),
            Operation::Replace => MemberChange::Replace(elements),
            Operation::Remove => {
                self.notes.add(Quirk::RemoveWithValue, &place.to_string());
                let ids = elements.iter().filter_map(|element| value::identity(attribute, element));
                MemberChange::Remove(ids.map(|id| id.into_owned()).collect())
            }
        });
        Ok(())
    }
}

/// The ids that a filter names: `value eq "u1"`, or several with `or`.
fn ids(attribute: &Attribute, filter: &Filter) -> Option<Vec<String>> {
    match filter {
        Filter::Or(filters) => {
            let mut all = Vec::with_capacity(filters.len());
            for filter in filters {
                all.extend(ids(attribute, filter)?);
            }
            Some(all)
        }
        Filter::Compare(path, Operator::Eq, literal) if path.is("value") && path.sub_attribute.is_none() => {
            let id = match literal {
                Literal::String(text) => text.as_str(),
                Literal::Number(number) => number.as_str(),
                Literal::Boolean(_) | Literal::Null => return None,
            };
            let element = json!({ "value": id });
            value::identity(attribute, &element).map(|id| vec![id.into_owned()])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalog, document::Note};

    #[test]
    fn the_name_of_a_member_is_ignored_without_a_look_at_the_members() {
        let catalog = Catalog::new(Vec::new()).unwrap();
        let group = catalog.resource_type("Group").unwrap();
        let check = |op: &str, path: &str| {
            let body = json!({ "Operations": [{ "op": op, "path": path, "value": "Jo" }] });
            let split = split_members(group, &body).unwrap().expect("no member has to be read");
            assert_eq!(split.changes, [], "{op} {path}");
            let ignored = Note { quirk: Quirk::ReadOnlyAttribute, attribute: "members.display".to_owned() };
            assert!(split.notes.contains(&ignored), "{op} {path}");
        };
        check("replace", "members[value eq \"u1\"].display");
        check("add", "members[type eq \"User\"].displayName");
        check("remove", "members.display");
    }
}
