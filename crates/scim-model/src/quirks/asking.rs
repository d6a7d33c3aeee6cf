//! What real clients write in filters, paths and query strings beside the RFC's letter.

use std::{borrow::Cow, collections::BTreeSet};

use percent_encoding::percent_decode;
use scim_filter::{AttributePath, Filter, Leniency, Literal};

use super::{Quirk, legacy_urn, sub_attribute};
use crate::{
    catalog::{Home, Resolved, ResourceType},
    document::Notes,
    error::ScimError,
    schema::{Attribute, Type},
};

/// Texts without quotes, `True` for `true`, blanks of any number, a comparison behind the brackets of a value path. Source: entra 3.1, others
/// 11.4, cases 38, 43, 45. Fixture: `filters.json`.
pub(crate) fn grammar(taken: BTreeSet<Leniency>, place: &str, notes: &mut Notes) {
    for leniency in taken {
        let quirk = match leniency {
            Leniency::LiteralCase => Quirk::LiteralCase,
            Leniency::UnquotedValue => Quirk::UnquotedValue,
            Leniency::OtherSpaces => Quirk::OtherSpaces,
            Leniency::ComparedValuePath => Quirk::ComparedValuePath,
        };
        notes.add(quirk, place);
    }
}

/// The names of a path as the bodies have them too: older URNs, no URN, `displayName` for `display`, another letter case.
/// Source: as there. Fixture: `filters.json`.
pub(crate) fn name(
    resource_type: &ResourceType,
    path: &AttributePath,
    sub: Option<&str>,
    resolved: Resolved<'_>,
    notes: &mut Notes,
) {
    match &path.schema {
        Some(urn) => self::urn(resource_type, urn, notes),
        None if resolved.schema.is_some() => notes.add(Quirk::BareEnterpriseAttribute, &resolved.path()),
        _ => {}
    }
    if path.name != resolved.attribute.name {
        notes.add(Quirk::OtherCase, &resolved.path());
    }
    match sub.and_then(|sub| sub_attribute(resolved.attribute, sub)).and_then(|(_, quirk)| quirk) {
        Some(Quirk::OtherName) if resolved.attribute.has_identity() => {}
        Some(quirk) => notes.add(quirk, &resolved.path()),
        None => {}
    }
}

/// A URN of an older draft, or in another letter case: a path is the name of an attribute, whose letter case does not count
/// (RFC 7643 section 2.1). Source: as there. Fixture: `legacy-urns.json`.
pub(crate) fn urn(resource_type: &ResourceType, urn: &str, notes: &mut Notes) {
    if legacy_urn(&resource_type.name, urn).is_some() {
        notes.add(Quirk::LegacyUrn, urn);
        return;
    }
    let known = match resource_type.home(urn) {
        Some(Home::Core) => &resource_type.schema.id,
        Some(Home::Extension(schema)) => &schema.id,
        None => return,
    };
    if known != urn {
        notes.add(Quirk::OtherCase, known);
    }
}

/// Booleans and numbers as texts, texts as numbers or booleans. Source: others 11.4, case 93. Fixture: `filters.json`.
fn literal(leaf: &Attribute, literal: &Literal, place: &str, notes: &mut Notes) {
    let leaf = leaf.value().filter(|_| leaf.kind == Type::Complex).unwrap_or(leaf);
    match (leaf.kind, literal) {
        (Type::Boolean, Literal::String(_)) => notes.add(Quirk::TextForBoolean, place),
        (Type::Integer | Type::Decimal, Literal::String(_)) => notes.add(Quirk::TextForNumber, place),
        (Type::String | Type::Reference | Type::Binary | Type::DateTime, Literal::Number(_)) => {
            notes.add(Quirk::NumberForText, place);
        }
        (Type::String | Type::Reference | Type::Binary | Type::DateTime, Literal::Boolean(_)) => {
            notes.add(Quirk::UnquotedValue, place);
        }
        _ => {}
    }
}

/// What a filter over these types needs forgiveness for, but for its grammar.
pub(crate) fn filter(resource_types: &[&ResourceType], asked: &Filter, notes: &mut Notes) {
    match asked {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().for_each(|asked| filter(resource_types, asked, notes));
        }
        Filter::Not(asked) => filter(resource_types, asked, notes),
        Filter::Compare(path, _, value) => {
            if let Some(resolved) = named(resource_types, path, None, notes) {
                literal(resolved.leaf(), value, &resolved.path(), notes);
            }
        }
        Filter::Present(path) => {
            named(resource_types, path, None, notes);
        }
        Filter::ValuePath(path, inner) => {
            if let Some(resolved) = named(resource_types, path, None, notes) {
                inner_filter(resolved, inner, notes);
            }
        }
        Filter::ValuePathCompare { attribute, filter, sub_attribute: sub, literal: value, .. } => {
            if let Some(resolved) = named(resource_types, attribute, sub.as_deref(), notes) {
                inner_filter(resolved, filter, notes);
                let leaf = sub.as_deref().and_then(|sub| sub_attribute(resolved.attribute, sub));
                literal(leaf.map_or(resolved.attribute, |(leaf, _)| leaf), value, &resolved.path(), notes);
            }
        }
        Filter::ValuePathPresent { attribute, filter, sub_attribute: sub } => {
            if let Some(resolved) = named(resource_types, attribute, sub.as_deref(), notes) {
                inner_filter(resolved, filter, notes);
            }
        }
    }
}

/// What the filter in the brackets of a value path needs forgiveness for; its names are sub-attributes.
pub(crate) fn inner_filter(resolved: Resolved<'_>, inner: &Filter, notes: &mut Notes) {
    let resolved = Resolved { sub: None, ..resolved };
    match inner {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().for_each(|inner| inner_filter(resolved, inner, notes));
        }
        Filter::Not(inner) => inner_filter(resolved, inner, notes),
        Filter::Compare(path, _, value) => {
            let leaf = part(resolved, path, notes);
            literal(leaf.leaf(), value, &leaf.path(), notes);
        }
        Filter::Present(path) => {
            part(resolved, path, notes);
        }
        // No attribute has such elements: the filter was refused.
        Filter::ValuePath(..) | Filter::ValuePathCompare { .. } | Filter::ValuePathPresent { .. } => {}
    }
}

/// The attribute of a path at the first type that has it.
fn named<'a>(
    resource_types: &[&'a ResourceType],
    path: &AttributePath,
    sub: Option<&str>,
    notes: &mut Notes,
) -> Option<Resolved<'a>> {
    let mut found = resource_types.iter().filter_map(|kind| kind.resolve(path).map(|resolved| (*kind, resolved)));
    let (kind, resolved) = found.next()?;
    name(kind, path, sub.or(path.sub_attribute.as_deref()), resolved, notes);
    Some(resolved)
}

/// What sorting by this path needs forgiveness for.
pub(crate) fn sort(resource_types: &[&ResourceType], path: &AttributePath, notes: &mut Notes) {
    named(resource_types, path, None, notes);
}

/// A part of an element; the elements of a simple attribute are called `value`.
fn part<'a>(resolved: Resolved<'a>, path: &AttributePath, notes: &mut Notes) -> Resolved<'a> {
    let Some((sub, quirk)) = sub_attribute(resolved.attribute, &path.name) else { return resolved };
    let part = Resolved { sub: Some(sub), ..resolved };
    if let Some(quirk) = quirk {
        notes.add(quirk, &part.path());
    }
    part
}

/// Parameters that say nothing where they stand are overlooked: those of the client's own, which administrators put behind
/// the base URL too (others 11.1), lists' own for a single resource, and all of them for discovery (RFC 7644 section 4).
/// Source: as said. Fixture: `queries.json`.
pub(crate) fn ignored(name: &str, notes: &mut Notes) {
    notes.add(Quirk::IgnoredParameter, name);
}

/// The pairs of a query string. OneLogin ends it with a stray `&`. Source: others 2 and 11.1, case 36.
/// Fixture: `queries.json`.
pub(crate) fn pairs<'a>(raw: &'a str, notes: &mut Notes) -> Vec<(&'a str, &'a str)> {
    if raw.is_empty() {
        return Vec::new();
    }
    let (given, stray): (Vec<&str>, Vec<&str>) = raw.split('&').partition(|pair| !pair.is_empty());
    if !stray.is_empty() {
        notes.add(Quirk::StraySeparator, "&");
    }
    given.into_iter().map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect()
}

/// The name behind a second question mark, before which a flag of the base URL may stand. Source: others 11.1, case 36.
/// Fixture: `queries.json`.
pub(crate) fn behind_question_mark<'a>(name: &'a str, notes: &mut Notes) -> &'a str {
    match name.rsplit_once('?') {
        None => name,
        Some((_, name)) => {
            notes.add(Quirk::StraySeparator, "?");
            name
        }
    }
}

/// `+` and percent escapes to text. A `+` is how forms write a blank, as many HTTP libraries do; a `%` that escapes nothing
/// stands for itself. Source: entra 3.1, cases 40 and 41. Fixture: `queries.json`.
pub(crate) fn decode<'a>(text: &'a str, notes: &mut Notes) -> Result<Cow<'a, str>, ScimError> {
    if !text.contains(['+', '%']) {
        return Ok(Cow::Borrowed(text));
    }
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
    if text.split('%').skip(1).any(|rest| !is_escape(rest)) {
        notes.add(Quirk::StrayPercent, "%");
    }
    let blanks = text.replace('+', " ");
    match percent_decode(blanks.as_bytes()).decode_utf8() {
        Ok(decoded) => Ok(Cow::Owned(decoded.into_owned())),
        Err(_) => Err(ScimError::invalid_syntax("The query string is not UTF-8 after percent-decoding")),
    }
}

/// A parameter, or the word that it takes, in any letter case. Source: others 11.1, case 36. Fixture: `queries.json`.
pub(crate) fn known_word(text: &str, known: &[&'static str], notes: &mut Notes) -> Option<&'static str> {
    let found = known.iter().find(|known| known.eq_ignore_ascii_case(text))?;
    if *found != text {
        notes.add(Quirk::ParameterCase, found);
    }
    Some(found)
}

/// A value without the blanks round it; `None` for one that says nothing. Source: others 11.1. Fixture: `queries.json`.
pub(crate) fn given(text: &str, parameter: &str, notes: &mut Notes) -> Option<String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        notes.add(Quirk::EmptyParameter, parameter);
        return None;
    }
    if trimmed != text {
        notes.add(Quirk::OtherSpaces, parameter);
    }
    Some(trimmed.to_owned())
}
