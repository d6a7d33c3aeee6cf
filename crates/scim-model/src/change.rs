//! What one operation makes of the value of one attribute (RFC 7644 sections 3.5.2.1 to 3.5.2.3).
//!
//! `add` and `replace` are the same for single values. A partial object is merged, an absent element of a value path is
//! made, and what is absent can be removed again: nobody is answered `noTarget` for a state that is already there.

use std::collections::HashSet;

use scim_filter::Filter;
use serde_json::{Map, Value};

use crate::{
    document::Notes,
    editor::Naming,
    error::ScimError,
    matching::element_matches,
    patch::Replacement,
    quirks::{self, Operation, Quirk},
    schema::{Attribute, Mutability, Type},
    target::Selection,
    value::{self, Place},
};

/// An operation on one attribute.
pub(crate) struct Change<'a> {
    pub(crate) operation: Operation,
    pub(crate) selection: &'a Selection<'a>,
    pub(crate) value: Option<&'a Value>,
    pub(crate) naming: Naming,
    /// Of the attribute, without its sub-attribute.
    pub(crate) place: Place<'a>,
    pub(crate) replacement: Replacement,
}

impl Change<'_> {
    fn attribute(&self) -> &Attribute {
        self.selection.resolved.attribute
    }
}

/// The value after the operation; `None` is unassigned.
pub(crate) fn apply(
    change: &Change<'_>,
    current: Option<Value>,
    notes: &mut Notes,
) -> Result<Option<Value>, ScimError> {
    let attribute = change.attribute();
    match (&change.selection.filter, change.selection.resolved.sub) {
        (Some(filter), _) => {
            let mut elements = list(current);
            change_selected(change, filter, &mut elements, notes)?;
            Ok(assigned(elements))
        }
        (None, Some(sub)) if attribute.multi_valued => {
            let mut elements = list(current);
            change_part_of_all(change, sub, &mut elements, notes)?;
            Ok(assigned(elements))
        }
        (None, Some(sub)) => {
            let part = part_value(change, sub, notes)?;
            let mut parts = object(current);
            set_part(sub, &mut parts, part, change.place)?;
            Ok(assigned_object(attribute, parts))
        }
        (None, None) if attribute.multi_valued => change_list(change, current, notes),
        (None, None) => change_single(change, current, notes),
    }
}

fn change_single(change: &Change<'_>, current: Option<Value>, notes: &mut Notes) -> Result<Option<Value>, ScimError> {
    let (attribute, place) = (change.attribute(), change.place);
    let Some(value) = change.value.filter(|_| change.operation != Operation::Remove) else {
        if change.value.is_some_and(|value| !value.is_null()) {
            notes.add(Quirk::RemoveWithValue, &place.to_string());
        }
        if attribute.required && change.naming == Naming::Path {
            return Err(ScimError::mutability(format!("{place} is required and cannot be removed: replace it")));
        }
        return Ok(None);
    };
    // A complex attribute with a `value` (a manager) is that value; one without (a name) is the sum of its parts.
    let replaces = change.operation == Operation::Replace && change.replacement == Replacement::OfTheWhole;
    let merges = attribute.kind == Type::Complex && attribute.value().is_none() && !replaces;
    match (merges, quirks::list_for_single(value, place, notes), current) {
        (true, Value::Object(sent), Some(Value::Object(mut parts))) if !sent.is_empty() => {
            for (sub, part) in value::parts(attribute, sent, place, notes)? {
                set_part(sub, &mut parts, part, place)?;
            }
            Ok(assigned_object(attribute, parts))
        }
        (_, value, _) => value::whole(attribute, value, place, notes),
    }
}

fn change_list(change: &Change<'_>, current: Option<Value>, notes: &mut Notes) -> Result<Option<Value>, ScimError> {
    let (attribute, place) = (change.attribute(), change.place);
    if attribute.has_identity() && change.value.is_some_and(is_empty_but_no_list) {
        return match change.naming {
            Naming::Key => {
                notes.add(Quirk::NotUnassigned, &place.to_string());
                Ok(current)
            }
            Naming::Path => Err(value::empty_list(place)),
        };
    }
    match (change.operation, change.value) {
        (Operation::Remove, None | Some(Value::Null)) => Ok(None),
        (Operation::Remove, Some(value)) => {
            notes.add(Quirk::RemoveWithValue, &place.to_string());
            let mut elements = list(current);
            remove_equal(attribute, &mut elements, value, place, notes)?;
            Ok(assigned(elements))
        }
        (Operation::Add, Some(value)) => {
            let added = value::elements(attribute, value, place, notes)?;
            let mut elements = list(current);
            value::append(attribute, &mut elements, added);
            value::check_count(attribute, &elements, place)?;
            Ok(assigned(elements))
        }
        (_, Some(value)) => value::whole(attribute, value, place, notes),
        (_, None) => Ok(current),
    }
}

/// Null, an empty text or object: a mistake rather than the wish to empty a group (case 115). An empty list is a list.
fn is_empty_but_no_list(value: &Value) -> bool {
    !value.is_array() && quirks::is_unassigned(value)
}

/// Removes the elements that a `remove` with a value lists, and nothing else (entra 4, cases 99 to 102). Where both have
/// a `value`, only that is compared.
fn remove_equal(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    value: &Value,
    place: Place<'_>,
    notes: &mut Notes,
) -> Result<(), ScimError> {
    let listed = value::elements(attribute, value, place, notes)?;
    let identities: HashSet<_> = listed.iter().filter_map(|element| value::identity(attribute, element)).collect();
    let without_identity = listed.iter().filter(|element| value::identity(attribute, element).is_none());
    let examples: Vec<&Map<String, Value>> = without_identity.filter_map(Value::as_object).collect();
    elements.retain(|element| {
        let is_listed = value::identity(attribute, element).is_some_and(|identity| identities.contains(&identity));
        let is_like = |example: &Map<String, Value>| example.iter().all(|(name, part)| element.get(name) == Some(part));
        !is_listed && !examples.iter().copied().any(is_like)
    });
    Ok(())
}

fn change_part_of_all(
    change: &Change<'_>,
    sub: &Attribute,
    elements: &mut Vec<Value>,
    notes: &mut Notes,
) -> Result<(), ScimError> {
    let place = change.place;
    if change.attribute().has_identity() {
        let name = &sub.name;
        return Err(ScimError::mutability(format!("{place}.{name} cannot be changed: add or remove whole elements")));
    }
    let part = part_value(change, sub, notes)?;
    if elements.is_empty() && part.is_some() {
        elements.push(Value::Object(Map::new()));
    }
    set_part_of(change.attribute(), sub, elements, |_| true, part.as_ref(), place)
}

fn change_selected(
    change: &Change<'_>,
    filter: &Filter,
    elements: &mut Vec<Value>,
    notes: &mut Notes,
) -> Result<(), ScimError> {
    let (attribute, place) = (change.attribute(), change.place);
    let selected: Vec<bool> = elements.iter().map(|element| element_matches(attribute, filter, element)).collect();
    let is_selected = |index: usize| selected.get(index).copied().unwrap_or(false);
    let finds_none = !selected.contains(&true);
    if let Some(sub) = change.selection.resolved.sub {
        let part = part_value(change, sub, notes)?;
        if finds_none && part.is_some() {
            return make_element(change, filter, elements, |parts| set_part(sub, parts, part, place), notes);
        }
        return set_part_of(attribute, sub, elements, is_selected, part.as_ref(), place);
    }
    let sent = match change.value {
        Some(value) if change.operation != Operation::Remove => {
            value::single(attribute, quirks::list_for_single(value, place, notes), place, notes)?
        }
        _ => None,
    };
    let Some(sent) = sent else {
        if change.operation != Operation::Add {
            remove_where(elements, is_selected);
        }
        return Ok(());
    };
    let Value::Object(sent) = sent else {
        // A simple element is replaced by the value sent, once.
        remove_where(elements, is_selected);
        value::append(attribute, elements, vec![sent]);
        return Ok(());
    };
    if finds_none {
        let overlay = |parts: &mut Map<String, Value>| {
            parts.extend(sent);
            Ok(())
        };
        return make_element(change, filter, elements, overlay, notes);
    }
    let mut implied = Map::new();
    if change.operation == Operation::Replace && !attribute.has_identity() {
        implied = quirks::implied_parts(attribute, filter, place, notes)?.unwrap_or_default();
    }
    let mut preferred = None;
    for (index, element) in elements.iter_mut().enumerate().filter(|(index, _)| is_selected(*index)) {
        let mut parts = match change.operation {
            // RFC 7644 section 3.5.2.3: the whole element is replaced. What selected it stays true.
            Operation::Replace if !attribute.has_identity() => implied.clone(),
            _ => object(Some(element.take())),
        };
        for sub in &attribute.sub_attributes {
            if let Some(part) = sent.get(&sub.name) {
                set_part(sub, &mut parts, Some(part.clone()), place)?;
            }
        }
        *element = Value::Object(value::ordered(&attribute.sub_attributes, parts));
        preferred = Some(index);
    }
    value::keep_one_primary(elements, preferred);
    Ok(())
}

/// Adds the element that a value path speaks of, if its filter says what it is. Members are not made that way: to change
/// a detail of somebody who is no member does not make him one.
fn make_element(
    change: &Change<'_>,
    filter: &Filter,
    elements: &mut Vec<Value>,
    fill: impl FnOnce(&mut Map<String, Value>) -> Result<(), ScimError>,
    notes: &mut Notes,
) -> Result<(), ScimError> {
    let (attribute, place) = (change.attribute(), change.place);
    let implied = if attribute.kind == Type::Complex && !attribute.has_identity() {
        quirks::implied_parts(attribute, filter, place, notes)?
    } else {
        None
    };
    let Some(mut parts) = implied else {
        notes.add(Quirk::NothingSelected, &change.selection.resolved.path());
        return Ok(());
    };
    fill(&mut parts)?;
    let element = Value::Object(value::ordered(&attribute.sub_attributes, parts));
    if !element_matches(attribute, filter, &element) {
        // `emails[value eq "old"].value` with a new value: made once, it would be made again when the request is repeated.
        notes.add(Quirk::NothingSelected, &change.selection.resolved.path());
        return Ok(());
    }
    notes.add(Quirk::ElementMade, &change.selection.resolved.path());
    elements.push(element);
    value::check_count(attribute, elements, place)?;
    let made = elements.len() - 1;
    value::keep_one_primary(elements, Some(made));
    Ok(())
}

/// Sets or clears a part of each selected element; an element of which nothing but a description is left goes.
fn set_part_of(
    attribute: &Attribute,
    sub: &Attribute,
    elements: &mut Vec<Value>,
    is_selected: impl Fn(usize) -> bool,
    part: Option<&Value>,
    place: Place<'_>,
) -> Result<(), ScimError> {
    let mut preferred = None;
    let mut emptied = HashSet::new();
    for (index, element) in elements.iter_mut().enumerate().filter(|(index, _)| is_selected(*index)) {
        let mut parts = object(Some(element.take()));
        let had_part = parts.contains_key(&sub.name);
        set_part(sub, &mut parts, part.cloned(), place)?;
        if parts.is_empty() || (part.is_none() && had_part && quirks::is_description(attribute, &parts)) {
            emptied.insert(index);
        }
        *element = Value::Object(value::ordered(&attribute.sub_attributes, parts));
        preferred = Some(index);
    }
    value::keep_one_primary(elements, preferred);
    remove_where(elements, |index| emptied.contains(&index));
    Ok(())
}

/// The value for a part; `None` unassigns it.
fn part_value(change: &Change<'_>, sub: &Attribute, notes: &mut Notes) -> Result<Option<Value>, ScimError> {
    match change.value {
        Some(value) if change.operation != Operation::Remove => {
            value::whole(sub, value, change.place.sub(&sub.name), notes)
        }
        _ => Ok(None),
    }
}

/// Sets or clears one part. The `$ref` of another value goes with that value.
fn set_part(
    sub: &Attribute,
    parts: &mut Map<String, Value>,
    part: Option<Value>,
    place: Place<'_>,
) -> Result<(), ScimError> {
    let before = parts.get(&sub.name);
    if before == part.as_ref() {
        return Ok(());
    }
    if sub.mutability == Mutability::Immutable && before.is_some() {
        let name = &sub.name;
        return Err(ScimError::mutability(format!("{place}.{name} cannot be changed: add or remove whole elements")));
    }
    if sub.name == "value" {
        parts.shift_remove("$ref");
    }
    match part {
        Some(part) => parts.insert(sub.name.clone(), part),
        None => parts.shift_remove(&sub.name),
    };
    Ok(())
}

fn remove_where(elements: &mut Vec<Value>, is_removed: impl Fn(usize) -> bool) {
    let mut index = 0;
    elements.retain(|_| {
        index += 1;
        !is_removed(index - 1)
    });
}

fn list(current: Option<Value>) -> Vec<Value> {
    match current {
        Some(Value::Array(elements)) => elements,
        None | Some(Value::Null) => Vec::new(),
        Some(single) => vec![single],
    }
}

fn object(current: Option<Value>) -> Map<String, Value> {
    match current {
        Some(Value::Object(parts)) => parts,
        _ => Map::new(),
    }
}

fn assigned(elements: Vec<Value>) -> Option<Value> {
    (!elements.is_empty()).then_some(Value::Array(elements))
}

/// A complex attribute that lost its `value` (a manager) or all its parts is unassigned.
fn assigned_object(attribute: &Attribute, parts: Map<String, Value>) -> Option<Value> {
    let is_without_value = attribute.value().is_some_and(|value| !parts.contains_key(&value.name));
    (!(parts.is_empty() || (is_without_value && quirks::is_description(attribute, &parts))))
        .then(|| Value::Object(value::ordered(&attribute.sub_attributes, parts)))
}
