//! Turns JSON values of a request into values of an attribute's type (RFC 7643 section 2.3).
//!
//! Unassigned (`null`, an empty text, list or object) is `None` everywhere (RFC 7643 section 2.5). The messages name the
//! attribute and what it takes, never the value that was sent.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt, mem,
};

use jiff::{SignedDuration, Timestamp, civil, fmt::temporal::Pieces, tz::Offset};
use serde_json::{Map, Value};

use crate::{
    document::Notes,
    error::{ScimError, quoted},
    matching::folded,
    quirks::{self, Quirk},
    schema::{Attribute, Type},
};

/// How many values a list may have, unless its elements have an identity (members): those are bounded by the body alone.
const MOST_ELEMENTS: usize = 500;

/// How long a text may be, in bytes.
const LONGEST_TEXT: usize = 16 * 1024;

/// How long a reference or binary value may be, in bytes: certificates, pictures inside `data:` addresses.
const LONGEST_BINARY: usize = 256 * 1024;

/// How deep a body may be nested. The deepest sensible one, an element inside an extension inside a PATCH message, has 8.
const DEEPEST_BODY: usize = 20;

/// Where a value belongs, for messages and notes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) schema: Option<&'a str>,
    pub(crate) attribute: &'a str,
    pub(crate) sub: Option<&'a str>,
}

impl<'a> Place<'a> {
    pub(crate) fn of(schema: Option<&'a str>, attribute: &'a Attribute) -> Self {
        Self { schema, attribute: &attribute.name, sub: None }
    }

    pub(crate) fn sub(self, name: &'a str) -> Self {
        Self { sub: Some(name), ..self }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = self.schema {
            write!(formatter, "{schema}:")?;
        }
        formatter.write_str(self.attribute)?;
        match self.sub {
            Some(sub) => write!(formatter, ".{sub}"),
            None => Ok(()),
        }
    }
}

/// Refuses what no part of the bridge can work with: deep nesting, and texts that no database stores.
pub(crate) fn screen(body: &Value) -> Result<(), ScimError> {
    screen_within(body, "the body", 0)
}

fn screen_within(value: &Value, name: &str, depth: usize) -> Result<(), ScimError> {
    if depth > DEEPEST_BODY {
        return Err(ScimError::invalid_syntax(format!("The body is nested more than {DEEPEST_BODY} levels deep")));
    }
    let has_nul = |text: &str| text.bytes().any(|byte| byte == 0);
    match value {
        Value::String(text) if has_nul(text) => {
            Err(ScimError::invalid_value(format!("{} holds the character U+0000: remove it", quoted(name))))
        }
        Value::Array(elements) => elements.iter().try_for_each(|element| screen_within(element, name, depth + 1)),
        Value::Object(members) => members.iter().try_for_each(|(key, member)| {
            if has_nul(key) {
                return Err(ScimError::invalid_value(format!("The name {} holds the character U+0000", quoted(key))));
            }
            screen_within(member, key, depth + 1)
        }),
        _ => Ok(()),
    }
}

/// The value of a whole attribute: a list where it is multi-valued.
pub(crate) fn whole(
    attribute: &Attribute,
    value: &Value,
    place: Place<'_>,
    notes: &mut Notes,
) -> Result<Option<Value>, ScimError> {
    if attribute.multi_valued {
        let elements = elements(attribute, value, place, notes)?;
        return Ok((!elements.is_empty()).then_some(Value::Array(elements)));
    }
    single(attribute, quirks::list_for_single(value, place, notes), place, notes)
}

/// The values of a multi-valued attribute, repeated ones left out, at most one of them primary (the last).
pub(crate) fn elements(
    attribute: &Attribute,
    value: &Value,
    place: Place<'_>,
    notes: &mut Notes,
) -> Result<Vec<Value>, ScimError> {
    let sent = quirks::single_for_list(value, place, notes);
    check_count(attribute, sent, place)?;
    let mut converted = Vec::with_capacity(sent.len());
    for element in sent {
        match single(attribute, element, place, notes)? {
            Some(element) => converted.push(element),
            None if attribute.has_identity() && !value.is_null() && !quirks::is_unassigned(value) => {
                return Err(ScimError::invalid_value(format!("{place}: an element has no value. Send value in each")));
            }
            None => {}
        }
    }
    quirks::several_primary(&converted, place, notes);
    let mut elements = Vec::with_capacity(converted.len());
    append(attribute, &mut elements, converted);
    Ok(elements)
}

/// Refuses a list with more values than anybody has.
pub(crate) fn check_count(attribute: &Attribute, elements: &[Value], place: Place<'_>) -> Result<(), ScimError> {
    if elements.len() > MOST_ELEMENTS && !attribute.has_identity() {
        return Err(ScimError::invalid_value(format!("{place} takes at most {MOST_ELEMENTS} values")));
    }
    Ok(())
}

/// Adds values that the list does not have yet. Elements with an identity are compared by it, others by `value` and `type`
/// (what was sent for a known one is added to it), or as a whole. The last new primary wins.
pub(crate) fn append(attribute: &Attribute, elements: &mut Vec<Value>, added: Vec<Value>) {
    let primary = if attribute.has_identity() {
        append_new(attribute, elements, added);
        None
    } else {
        merge(attribute, elements, added)
    };
    keep_one_primary(elements, primary);
}

/// Adds elements with an identity. Of what was sent twice, the first stays.
fn append_new(attribute: &Attribute, elements: &mut Vec<Value>, added: Vec<Value>) {
    let mut new: HashSet<Cow<'_, str>> = added.iter().filter_map(|element| identity(attribute, element)).collect();
    for known in elements.iter().filter_map(|element| identity(attribute, element)) {
        new.remove(&known);
    }
    let is_new: Vec<bool> =
        added.iter().map(|element| identity(attribute, element).is_none_or(|value| new.remove(&value))).collect();
    elements.extend(added.into_iter().zip(is_new).filter_map(|(element, is_new)| is_new.then_some(element)));
}

/// Adds elements one after the other, each to the one that is the same, if there is one. Whichever is primary takes that from
/// the one before it. Says which is in the end.
fn merge(attribute: &Attribute, elements: &mut Vec<Value>, added: Vec<Value>) -> Option<usize> {
    let mut places = HashMap::with_capacity(elements.len() + added.len());
    for (place, known) in elements.iter().enumerate() {
        places.entry(Likeness::of(attribute, known)).or_insert(place);
    }
    let mut primary = elements.iter().rposition(is_primary);
    for element in added {
        let place = *places.entry(Likeness::of(attribute, &element)).or_insert(elements.len());
        let is_sent_as_primary = is_primary(&element);
        match (elements.get_mut(place), element) {
            (Some(Value::Object(known)), Value::Object(parts)) => {
                known.extend(parts);
                *known = ordered(&attribute.sub_attributes, mem::take(known));
            }
            (Some(_), _) => {}
            (None, element) => elements.push(element),
        }
        if is_sent_as_primary && let Some(before) = primary.replace(place).filter(|before| *before != place) {
            elements[before]["primary"] = Value::Bool(false);
        }
        primary = primary.filter(|place| is_primary(&elements[*place]));
    }
    primary
}

/// What two elements have in common that are the same, though they have no identity: the same `value` for the same `type`.
#[derive(PartialEq, Eq, Hash)]
enum Likeness {
    Value(String, Option<String>),
    /// All of it, in the order of the schema.
    Whole(String),
}

impl Likeness {
    fn of(attribute: &Attribute, element: &Value) -> Self {
        match identity(attribute, element) {
            Some(value) => Self::Value(value.into_owned(), element.get("type").map(Value::to_string)),
            None => Self::Whole(element.to_string()),
        }
    }
}

/// What an element is known by: its `value` in comparable form, or the value itself where elements are simple.
pub(crate) fn identity<'a>(attribute: &Attribute, element: &'a Value) -> Option<Cow<'a, str>> {
    let (leaf, value) = match (attribute.value(), element) {
        (Some(leaf), Value::Object(parts)) => (leaf, parts.get(&leaf.name)?),
        (None, Value::Object(_)) => return None,
        (_, simple) => (attribute, simple),
    };
    match value {
        Value::String(text) => Some(folded(leaf, text)),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(value) => Some(value.to_string().into()),
        _ => None,
    }
}

fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

/// At most one value is primary (RFC 7643 section 2.4): the preferred one, else the last.
pub(crate) fn keep_one_primary(elements: &mut [Value], preferred: Option<usize>) {
    let preferred = preferred.filter(|index| elements.get(*index).is_some_and(is_primary));
    let Some(kept) = preferred.or_else(|| elements.iter().rposition(is_primary)) else { return };
    for (index, element) in elements.iter_mut().enumerate() {
        if index != kept && is_primary(element) {
            element["primary"] = Value::Bool(false);
        }
    }
}

/// One value of the attribute's type; of a multi-valued attribute, one element.
pub(crate) fn single(
    attribute: &Attribute,
    value: &Value,
    place: Place<'_>,
    notes: &mut Notes,
) -> Result<Option<Value>, ScimError> {
    if quirks::is_unassigned(value) {
        quirks::empty_value(value, place, notes);
        return Ok(None);
    }
    match attribute.kind {
        Type::String => text(value, LONGEST_TEXT, "a text", place, notes),
        Type::Reference => text(value, LONGEST_BINARY, "the address of a resource, as a text", place, notes),
        Type::Binary => match text(value, LONGEST_BINARY, "bytes in base64", place, notes)? {
            Some(Value::String(text)) if !quirks::is_base64(&text, place, notes) => {
                Err(unfit(place, "bytes in base64", value))
            }
            converted => Ok(converted),
        },
        Type::Boolean => match value {
            Value::Bool(_) => Ok(Some(value.clone())),
            Value::String(text) => match quirks::boolean(text) {
                Some(boolean) => {
                    notes.add(Quirk::TextForBoolean, &place.to_string());
                    Ok(Some(Value::Bool(boolean)))
                }
                None => Err(unfit(place, "true or false", value)),
            },
            _ => Err(unfit(place, "true or false", value)),
        },
        Type::Integer => match quirks::whole_number(value, &place, notes) {
            Some(number) => Ok(Some(Value::from(number))),
            None => Err(unfit(place, "a whole number", value)),
        },
        Type::Decimal => match quirks::decimal(value, place, notes) {
            Some(number) => Ok(Some(number)),
            None => Err(unfit(place, "a number", value)),
        },
        Type::DateTime => match value {
            Value::String(text) if instant(text).is_some() => Ok(Some(value.clone())),
            _ => Err(unfit(place, "a date and time such as 2026-01-31T09:30:00Z", value)),
        },
        Type::Complex => complex(attribute, value, place, notes),
    }
}

fn complex(
    attribute: &Attribute,
    value: &Value,
    place: Place<'_>,
    notes: &mut Notes,
) -> Result<Option<Value>, ScimError> {
    let built;
    let object = match value {
        Value::Object(object) => quirks::value_in_text(attribute, object, place, notes),
        Value::Array(_) => return Err(unfit(place, "an object", value)),
        simple => match quirks::simple_for_complex(attribute, simple, place, notes) {
            Some(object) => {
                built = object;
                quirks::value_in_text(attribute, &built, place, notes)
            }
            None => return Err(unfit(place, "an object", value)),
        },
    };
    let mut parts = Map::new();
    let mut is_cleared = false;
    for (sub, part) in self::parts(attribute, &object, place, notes)? {
        match part {
            Some(part) => {
                parts.insert(sub.name.clone(), part);
            }
            None => is_cleared = true,
        }
    }
    if parts.is_empty() || (is_cleared && quirks::is_description(attribute, &parts)) {
        return Ok(None);
    }
    for sub in attribute.sub_attributes.iter().filter(|sub| sub.required) {
        if !parts.contains_key(&sub.name) {
            return Err(ScimError::invalid_value(format!("{} is required: send it in each", place.sub(&sub.name))));
        }
    }
    Ok(Some(Value::Object(ordered(&attribute.sub_attributes, parts))))
}

/// The parts that an object of the request sets (`Some`) or unassigns (`None`). Read-only and unknown ones are left out.
pub(crate) fn parts<'a>(
    attribute: &'a Attribute,
    object: &Map<String, Value>,
    place: Place<'_>,
    notes: &mut Notes,
) -> Result<Vec<(&'a Attribute, Option<Value>)>, ScimError> {
    let mut parts = Vec::with_capacity(object.len());
    let mut named = HashSet::new();
    for (key, part) in object {
        let Some((sub, quirk)) = quirks::sub_attribute(attribute, key) else {
            notes.add(Quirk::UnknownAttribute, &place.sub(key).to_string());
            continue;
        };
        let place = place.sub(&sub.name);
        if !named.insert(sub.name.as_str()) {
            notes.add(Quirk::RepeatedMember, &place.to_string());
        }
        if let Some(quirk) = quirk {
            notes.add(quirk, &place.to_string());
        }
        if sub.is_read_only() {
            notes.add(Quirk::ReadOnlyAttribute, &place.to_string());
            continue;
        }
        parts.push((sub, whole(sub, part, place, notes)?));
    }
    Ok(parts)
}

/// The members of an object in the order of their attributes; others after them.
pub(crate) fn ordered(attributes: &[Attribute], mut parts: Map<String, Value>) -> Map<String, Value> {
    let mut sorted = Map::new();
    for attribute in attributes {
        if let Some(part) = parts.swap_remove(&attribute.name) {
            sorted.insert(attribute.name.clone(), part);
        }
    }
    sorted.append(&mut parts);
    sorted
}

fn text(
    value: &Value,
    longest: usize,
    expected: &str,
    place: Place<'_>,
    notes: &mut Notes,
) -> Result<Option<Value>, ScimError> {
    match value {
        Value::String(text) if text.len() > longest => {
            Err(ScimError::invalid_value(format!("{place} is longer than the {longest} bytes it may have")))
        }
        Value::String(_) => Ok(Some(value.clone())),
        Value::Number(number) => {
            notes.add(Quirk::NumberForText, &place.to_string());
            Ok(Some(Value::String(number.to_string())))
        }
        _ => Err(unfit(place, expected, value)),
    }
}

/// A point in time as `xsd:dateTime` writes it, in UTC: any offset, any fraction up to nanoseconds, UTC where no offset is
/// given. The last days of the year 9999, by which people mean "for ever", are among them, though no timestamp reaches them.
pub(crate) fn instant(text: &str) -> Option<civil::DateTime> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(Offset::UTC.to_datetime(timestamp));
    }
    let pieces = Pieces::parse(text).ok()?;
    let (Some(time), Some(offset)) = (pieces.time(), pieces.to_numeric_offset()) else {
        return text.parse().ok();
    };
    let local = pieces.date().to_datetime(time);
    Some(local.saturating_sub(SignedDuration::from_secs(offset.seconds().into())))
}

/// The timestamp of a point in time as `xsd:dateTime` writes it, or the nearest one there is.
pub fn nearest_timestamp(text: &str) -> Option<Timestamp> {
    let instant = instant(text)?;
    let nearest = if instant.year() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Some(Offset::UTC.to_timestamp(instant).unwrap_or(nearest))
}

/// The error of `add` and `replace` without a value.
pub(crate) fn no_value(place: Place<'_>) -> ScimError {
    ScimError::invalid_value(format!("{place}: the operation has no value. Send one, or remove"))
}

/// The error of an empty value for a list whose elements have an identity (case 115).
pub(crate) fn empty_list(place: Place<'_>) -> ScimError {
    ScimError::invalid_value(format!(
        "{place}: the value is empty. To empty the list replace it with [], or remove it without a value"
    ))
}

fn unfit(place: Place<'_>, expected: &str, sent: &Value) -> ScimError {
    let sent = match sent {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text that is not one",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    ScimError::invalid_value(format!("{place} takes {expected}, but the client sent {sent}"))
}
