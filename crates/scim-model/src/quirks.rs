//! What real clients send beside the RFC's letter. Each tolerance is one function here, with its source and its fixture.
//!
//! Sources are the notes on Entra ID ("entra"), Okta ("okta"), other clients ("others") and the numbered interoperability
//! cases ("case"). Fixtures are the files in `crates/scim-model/fixtures`, run by `fixtures.rs`. What clients ask by filters
//! and query strings is in [`asking`], how they address and pack their requests in [`sending`].

pub(crate) mod asking;
mod demand;
mod quirk;
pub(crate) mod sending;

use std::{borrow::Cow, collections::HashSet, fmt, slice};

use scim_filter::{Filter, Literal, Operator};
use serde_json::{Map, Value};

pub use self::quirk::Quirk;
use crate::{
    catalog::{ENTERPRISE_URN, GROUP_URN, Resolved, ResourceType, USER_URN},
    document::Notes,
    error::ScimError,
    schema::{Attribute, Type},
    value::{self, Place},
};

/// What a PATCH operation does (RFC 7644 section 3.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Replace,
    Remove,
}

/// Entra ID writes `Add`, `Replace`, `Remove`; others capitals throughout. Source: entra 3.3, cases 8, 9, 11.
/// Fixture: `operation-case.json`.
pub(crate) fn operation(text: &str, notes: &mut Notes) -> Option<Operation> {
    let known = [("add", Operation::Add), ("replace", Operation::Replace), ("remove", Operation::Remove)];
    let (name, operation) = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()))?;
    if name != text {
        notes.add(Quirk::OperationCase, "op");
    }
    Some(operation)
}

/// An operation without a path sets what the keys of its value name, as RFC 7644 section 3.5.2.1 has it. The interoperability
/// profile has it refused (section 6.5.1.1), and Okta and Entra ID send nothing else. Source: okta 4.5, entra 3.2, case 2.
/// Fixture: `okta.json`.
pub(crate) fn no_path(value: Option<&Value>, notes: &mut Notes) {
    if matches!(value, Some(Value::Object(members)) if !members.is_empty()) {
        notes.add(Quirk::NoPath, "path");
    }
}

/// The member of a message, in any letter case. JSON itself tells `operations` from `Operations` (RFC 8259 section 8.3), and
/// RFC 7644 has one spelling. Source: case 11, Microsoft's Postman tests. Fixture: `operation-case.json`.
pub(crate) fn member<'a>(message: &'a Map<String, Value>, name: &str, notes: &mut Notes) -> Option<&'a Value> {
    message.get(name).or_else(|| {
        let (_, value) = message.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        notes.add(Quirk::MemberCase, name);
        Some(value)
    })
}

/// Takes such a member out of a message, which is left with null in its place.
pub(crate) fn take_member(message: &mut Map<String, Value>, name: &str, notes: &mut Notes) -> Option<Value> {
    if let Some(value) = message.get_mut(name) {
        return Some(value.take());
    }
    let (_, value) = message.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    notes.add(Quirk::MemberCase, name);
    Some(value.take())
}

/// Members that the message does not have are overlooked, as attributes are that no schema knows. Source: others 11.3.
/// Fixture: `unknown.json`.
pub(crate) fn unknown_members(message: &Map<String, Value>, known: &[&str], notes: &mut Notes) {
    for name in message.keys().filter(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name))) {
        notes.add(Quirk::UnknownAttribute, name);
    }
}

/// The attribute of that name in a body or element: its letter case does not count (RFC 7643 section 2.1).
pub(crate) fn attribute_of<'a>(attributes: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let other = || attributes.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    attributes.get(name).or_else(other)
}

/// Whether the `schemas` of a message name it; none at all, or an empty list, says nothing and is `None`. Each is to be
/// there once, in its own letter case (RFC 7643 section 3: URNs are compared as they stand). Source: others 11.3, case 123.
/// Fixture: `sending.json`.
pub(crate) fn names_message(schemas: Option<&Value>, urn: &str, notes: &mut Notes) -> Option<bool> {
    let urns = match schemas {
        None | Some(Value::Null) => &[],
        Some(Value::Array(urns)) => urns.as_slice(),
        Some(_) => return Some(false),
    };
    if is_repeated(urns) || !urns.iter().any(|known| known == urn) {
        notes.add(Quirk::Schemas, "schemas");
    }
    let is_meant = |known: &Value| known.as_str().is_some_and(|known| known.eq_ignore_ascii_case(urn));
    (!urns.is_empty()).then(|| urns.iter().any(is_meant))
}

/// Whether a URN is twice in a list of `schemas`, which RFC 7643 section 3 rules out. Source and fixture as above.
pub(crate) fn is_repeated(urns: &[Value]) -> bool {
    let mut known = HashSet::new();
    !urns.iter().filter_map(Value::as_str).all(|urn| known.insert(urn))
}

/// Of several values that are primary the last one is. Source: RFC 7643 section 2.4, where at most one may be; case 47.
/// Fixture: `lists.json`.
pub(crate) fn several_primary(elements: &[Value], place: Place<'_>, notes: &mut Notes) {
    if elements.iter().filter(|element| element.get("primary") == Some(&Value::Bool(true))).count() > 1 {
        notes.add(Quirk::SeveralPrimary, &place.to_string());
    }
}

/// The same attribute twice in one object, in two letter cases: the names are one name (RFC 7643 section 2.1), and the last
/// value counts, as of a name that is there twice. Source: as of `sending::put_member`. Fixture: `sending.json`.
pub(crate) fn named_again<'a>(
    named: &mut HashSet<(Option<&'a str>, &'a str)>,
    key: &str,
    resolved: Resolved<'a>,
    notes: &mut Notes,
) {
    let name = resolved.attribute.name.as_str();
    if name.eq_ignore_ascii_case(key) && !named.insert((resolved.schema, name)) {
        notes.add(Quirk::RepeatedMember, name);
    }
}

/// Null, and an empty text, list or object, are no value (RFC 7643 section 2.5; the empty text is the clients' own).
/// Source: entra 3.3 number 4, okta 7, case 98. Fixture: `unassigned.json`.
pub(crate) fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Nothing, said with a value: an empty text or object. RFC 7643 section 2.5 knows null and the empty list. Source and fixture
/// as above.
pub(crate) fn empty_value(value: &Value, place: Place<'_>, notes: &mut Notes) {
    if matches!(value, Value::String(_) | Value::Object(_)) && is_unassigned(value) {
        notes.add(Quirk::EmptyValue, &place.to_string());
    }
}

/// Booleans as texts in any letter case, also in filters (`roles[primary eq "True"]`). Source: others 11.4, cases 1 to 7, 93.
/// Fixture: `text-for-boolean.json`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}

/// A whole number: as JSON has it, with a fraction of zero or an exponent (`5.0`: some languages know no other numbers; RFC
/// 7643 section 2.3.4 wants no fractional digits), or as a text. Beyond 2^53 a number with a fraction is no longer exact and
/// not taken. Source: others 11.4. Fixture: `numbers.json`.
pub(crate) fn whole_number(value: &Value, place: &dyn fmt::Display, notes: &mut Notes) -> Option<i64> {
    const MOST_EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if !number.is_f64() => number.as_i64(),
        Value::Number(number) => {
            let double = number.as_f64().filter(|double| double.fract() == 0.0 && double.abs() <= MOST_EXACT)?;
            notes.add(Quirk::DecimalForInteger, &place.to_string());
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range just above")]
            Some(double as i64)
        }
        Value::String(text) => {
            let number = text.trim().parse().ok()?;
            notes.add(Quirk::TextForNumber, &place.to_string());
            Some(number)
        }
        _ => None,
    }
}

/// A number as JSON has it, or as a text. Source and fixture as above.
pub(crate) fn decimal(value: &Value, place: Place<'_>, notes: &mut Notes) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => {
            let number = serde_json::from_str::<serde_json::Number>(text.trim()).ok()?;
            notes.add(Quirk::TextForNumber, &place.to_string());
            Some(Value::Number(number))
        }
        _ => None,
    }
}

/// Bytes in base64 as RFC 4648 section 4 writes them, the padding left out or not (RFC 7643 section 2.3.6). Blanks and line
/// breaks, as RFC 7643 section 8.2 prints a certificate, the alphabet of RFC 4648 section 5, and the lines that a file
/// with a certificate has around it (RFC 7468) are overlooked. False for what is no base64. Source: as said. Fixture:
/// `certificates.json`.
pub(crate) fn is_base64(text: &str, place: Place<'_>, notes: &mut Notes) -> bool {
    let (mut length, mut padding, mut is_standard, mut is_for_addresses) = (0_usize, 0_usize, false, false);
    for byte in without_frame(text).bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        match byte {
            b'=' => padding += 1,
            _ if padding > 0 => return false,
            b'+' | b'/' => is_standard = true,
            b'-' | b'_' => is_for_addresses = true,
            _ if byte.is_ascii_alphanumeric() => {}
            _ => return false,
        }
        length += 1;
    }
    let is_whole = if padding == 0 { length % 4 != 1 } else { padding <= 2 && length % 4 == 0 };
    if !is_whole || (is_standard && is_for_addresses) {
        return false;
    }
    if is_for_addresses || length < text.len() {
        notes.add(Quirk::Base64Form, &place.to_string());
    }
    true
}

/// What stands between the first and the last line of a certificate in a file.
fn without_frame(text: &str) -> &str {
    let framed = text.trim().strip_prefix("-----BEGIN CERTIFICATE-----");
    framed.and_then(|rest| rest.strip_suffix("-----END CERTIFICATE-----")).unwrap_or(text)
}

/// A list of one for a single value: a manager as `[{"value": "u9"}]`. Source: entra 3.3 number 5, case 97.
/// Fixture: `manager-list.json`.
pub(crate) fn list_for_single<'a>(value: &'a Value, place: Place<'_>, notes: &mut Notes) -> &'a Value {
    match value {
        Value::Array(elements) if elements.len() == 1 => {
            notes.add(Quirk::ListForSingle, &place.to_string());
            &elements[0]
        }
        other => other,
    }
}

/// One value for a list of one. Source: entra 4, cases 97, 121. Fixture: `single-for-list.json`.
pub(crate) fn single_for_list<'a>(value: &'a Value, place: Place<'_>, notes: &mut Notes) -> &'a [Value] {
    match value {
        Value::Array(elements) => elements,
        single => {
            if !is_unassigned(single) {
                notes.add(Quirk::SingleForList, &place.to_string());
            }
            slice::from_ref(single)
        }
    }
}

/// A text (or number) for an object with a `value`: a manager as `"u9"`, roles, e-mails and members as texts.
/// Source: entra 3.3 numbers 5 and 6, cases 86, 87, 91, 121. Fixture: `text-for-complex.json`.
pub(crate) fn simple_for_complex(
    attribute: &Attribute,
    simple: &Value,
    place: Place<'_>,
    notes: &mut Notes,
) -> Option<Map<String, Value>> {
    let value = attribute.value()?;
    if !(simple.is_string() || simple.is_number()) {
        return None;
    }
    notes.add(Quirk::TextForComplex, &place.to_string());
    Some(Map::from_iter([(value.name.clone(), simple.clone())]))
}

/// Entra ID sends application roles as a JSON object inside the text of `value`. Its `displayName` becomes `display`, its
/// `id` is the directory's own and dropped. Source: entra 3.3 number 6, case 92. Fixture: `role-in-text.json`.
pub(crate) fn value_in_text<'a>(
    attribute: &Attribute,
    element: &'a Map<String, Value>,
    place: Place<'_>,
    notes: &mut Notes,
) -> Cow<'a, Map<String, Value>> {
    let text = match attribute_of(element, "value") {
        Some(Value::String(text)) if attribute.name == "roles" && text.trim_start().starts_with('{') => text,
        _ => return Cow::Borrowed(element),
    };
    let Ok(mut inner) = serde_json::from_str::<Map<String, Value>>(text) else { return Cow::Borrowed(element) };
    if !inner.get("value").is_some_and(|value| value.is_string() && !is_unassigned(value)) {
        return Cow::Borrowed(element);
    }
    notes.add(Quirk::ObjectInText, &place.to_string());
    inner.shift_remove("id");
    for (key, outer) in element {
        if !key.eq_ignore_ascii_case("value") {
            inner.insert(key.clone(), outer.clone());
        }
    }
    Cow::Owned(inner)
}

/// The part of that name, in any letter case; `displayName` for `display` (roles and members from Entra ID), `managerId`
/// for the `value` of a manager (SCIM 1.1, OneLogin). Source: entra 3.2, others 2, cases 12, 13, 120.
/// Fixture: `other-names.json`.
pub(crate) fn sub_attribute<'a>(attribute: &'a Attribute, name: &str) -> Option<(&'a Attribute, Option<Quirk>)> {
    if let Some(sub) = attribute.sub(name) {
        return Some((sub, (sub.name != name).then_some(Quirk::OtherCase)));
    }
    let other = if name.eq_ignore_ascii_case("displayName") {
        attribute.sub("display")
    } else if name.eq_ignore_ascii_case("managerId") && attribute.name == "manager" {
        attribute.value()
    } else {
        None
    };
    other.map(|sub| (sub, Some(Quirk::OtherName)))
}

/// The URNs of SCIM 1.1 and early drafts, and Microsoft's own for directory objects. Source: others 2 and 11.3, entra 4,
/// case 133. Fixture: `legacy-urns.json`.
pub(crate) fn legacy_urn(resource_type: &str, urn: &str) -> Option<&'static str> {
    let core = match resource_type {
        "User" => USER_URN,
        "Group" => GROUP_URN,
        _ => return None,
    };
    let is_any = |urns: &[&str]| urns.iter().any(|known| known.eq_ignore_ascii_case(urn));
    if is_any(&["urn:scim:schemas:core:2.0", "urn:scim:schemas:core:1.0"]) {
        return Some(core);
    }
    let microsoft = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/";
    let is_own = |rest: &str| rest.eq_ignore_ascii_case(resource_type);
    if urn.get(..microsoft.len()).is_some_and(|start| start.eq_ignore_ascii_case(microsoft))
        && urn.get(microsoft.len()..).is_some_and(is_own)
    {
        return Some(core);
    }
    match (resource_type, urn.to_ascii_lowercase().as_str()) {
        ("User", "urn:scim:schemas:core:2.0:user") => Some(USER_URN),
        ("Group", "urn:scim:schemas:core:2.0:group") => Some(GROUP_URN),
        (
            "User",
            "urn:scim:schemas:extension:enterprise:2.0"
            | "urn:scim:schemas:extension:enterprise:2.0:user"
            | "urn:scim:schemas:extension:enterprise:1.0",
        ) => Some(ENTERPRISE_URN),
        _ => None,
    }
}

/// An enterprise attribute without its URN: `path: "manager"`. Source: entra 2 and 3.3 number 5, case 89.
/// Fixture: `bare-manager.json`.
pub(crate) fn bare_enterprise_attribute<'a>(
    resource_type: &'a ResourceType,
    name: &str,
) -> Option<(&'a Attribute, Option<&'a str>)> {
    let enterprise = resource_type.extension(ENTERPRISE_URN)?;
    enterprise.attribute(name).map(|attribute| (attribute, Some(enterprise.id.as_str())))
}

/// Why a key of a body is not a plain name: `name.givenName`, `urn:…:User:department`, `emails[type eq "work"].value`.
/// Source: entra 3.2 and 3.3 ("flag dialect"), cases 77 to 81. Fixture: `dotted-and-urn-keys.json`.
pub(crate) fn key_form(key: &str) -> Option<Quirk> {
    if key.contains('[') {
        Some(Quirk::PathKey)
    } else if key.contains(':') {
        Some(Quirk::UrnKey)
    } else if key.contains('.') {
        Some(Quirk::DottedKey)
    } else {
        None
    }
}

/// What a PUT keeps although it leaves it out: `active`, so that nobody is suspended or let back in by an omission, and the
/// members of a group. Source: okta 4.4 and 6 number 7, case 64. Fixture: `put-keeps.json`.
pub(crate) fn is_kept_when_absent(attribute: &Attribute) -> bool {
    attribute.has_identity() || cannot_be_unassigned(attribute)
}

/// Unassigning `active` says nothing about whether the user may work, so it changes nothing. Source: entra 3.3 number 4
/// (the null test goes over every mapped attribute). Fixture: `unassigned.json`.
pub(crate) fn cannot_be_unassigned(attribute: &Attribute) -> bool {
    attribute.kind == Type::Boolean && attribute.name == "active"
}

/// The name that a user had before Entra ID deleted it: a soft delete frees the name by putting the object id before it, in 32
/// hexadecimal digits without dashes, and the rename is provisioned together with `active` false, or before it. A local
/// part of nothing but 40 and more such digits is somebody's digest. Source: an implementer's account with the traffic of a
/// tenant, onyx-dot-app/onyx pull request 14074; entra 3.4. Fixture: `deleted-user-name.json`.
pub(crate) fn name_before_deletion(user_name: &str) -> Option<&str> {
    let (id, name) = user_name.split_at_checked(32)?;
    let is_hexadecimal = |text: &str| text.bytes().all(|letter| letter.is_ascii_hexdigit());
    let (own_part, _) = name.split_once('@')?;
    let is_digest = own_part.len() >= 8 && is_hexadecimal(own_part);
    (is_hexadecimal(id) && !own_part.is_empty() && !is_digest).then_some(name)
}

/// The parts that an element must have to be selected by a value path, so that an absent element can be made:
/// `type eq "work"` → `{"type": "work"}`. `None` if the filter does not say. Source: entra 3.3 numbers 2 and 6, cases 70 to
/// 74, 93. Fixture: `element-made.json`.
pub(crate) fn implied_parts(
    attribute: &Attribute,
    filter: &Filter,
    place: Place<'_>,
    notes: &mut Notes,
) -> Result<Option<Map<String, Value>>, ScimError> {
    let mut parts = Map::new();
    let filters = match filter {
        Filter::And(filters) => filters.as_slice(),
        single => slice::from_ref(single),
    };
    for filter in filters {
        let Filter::Compare(path, Operator::Eq, literal) = filter else { return Ok(None) };
        let Some((sub, _)) = sub_attribute(attribute, &path.name) else { return Ok(None) };
        if let Some(part) = value::single(sub, &literal_value(literal), place.sub(&sub.name), notes)? {
            parts.insert(sub.name.clone(), part);
        }
    }
    Ok(Some(parts))
}

fn literal_value(literal: &Literal) -> Value {
    match literal {
        Literal::String(text) => Value::String(text.clone()),
        Literal::Boolean(value) => Value::Bool(*value),
        Literal::Number(number) => serde_json::from_str(number.as_str()).unwrap_or(Value::Null),
        Literal::Null => Value::Null,
    }
}

/// Whether nothing is left but what describes an element (its type, whether it is primary, a name to read). When a client
/// clears the last other part, the element goes too: Entra ID clears `addresses[type eq "work"].country` and then wants the
/// address gone. Source: entra 3.3 number 4, case 98. Fixture: `value-path-clears.json`.
pub(crate) fn is_description(attribute: &Attribute, parts: &Map<String, Value>) -> bool {
    parts.keys().all(|name| matches!(name.as_str(), "type" | "primary" | "display" | "displayName" | "$ref"))
        && attribute.sub_attributes.iter().any(|sub| !matches!(sub.name.as_str(), "type" | "primary"))
}

/// Whether a finished element says nothing: `{"type": "work", "primary": true}`, sent by clients whose user has no such
/// address or number. Source: others 2, case 74. Fixture: `value-path-clears.json`.
pub(crate) fn says_nothing(attribute: &Attribute, element: &Value) -> bool {
    let Value::Object(parts) = element else { return false };
    !attribute.has_identity()
        && parts.keys().all(|name| matches!(name.as_str(), "type" | "primary"))
        && is_description(attribute, parts)
}
