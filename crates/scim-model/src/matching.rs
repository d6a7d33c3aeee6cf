//! Whether a resource fulfils a filter (RFC 7644 section 3.4.2.2), compared by the type of the attribute.
//!
//! A multi-valued attribute fulfils a comparison if one of its values does; without a value only `ne` (and `eq null`) hold.
//! A complex attribute without a sub-attribute stands for its `value`. An attribute that the type does not have has no value
//! (section 3.4.2.1); [`check_filter`] refuses it where one type is searched, [`check_filter_of_all`] where none has it.

use std::{borrow::Cow, cmp::Ordering};

use scim_filter::{AttributePath, Filter, Literal, Operator};
use serde_json::{Map, Value};

use crate::{
    catalog::{Resolved, ResourceType},
    error::{ScimError, ScimType, quoted},
    quirks,
    schema::{Attribute, Returned, Type},
    select,
    value::instant,
};

/// The form in which two texts of an attribute are compared: as they are where letter case counts, else in lower case
/// (Unicode), letter by letter, so that the form of a part is a part of the form: the Greek sigma has one form only.
pub fn fold(attribute: &Attribute, text: &str) -> String {
    folded(attribute, text).into_owned()
}

/// [`fold`] without a copy where the text is in that form already.
pub(crate) fn folded<'a>(attribute: &Attribute, text: &'a str) -> Cow<'a, str> {
    if attribute.case_exact || text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else if text.is_ascii() {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        let lower = text.chars().flat_map(char::to_lowercase);
        Cow::Owned(lower.map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect())
    }
}

/// Whether the full resource, as [`complete`](crate::complete) makes it, fulfils the filter.
pub fn matches(resource_type: &ResourceType, filter: &Filter, resource: &Map<String, Value>) -> bool {
    let values_at = |path: &AttributePath| {
        resource_type.resolve(path).map(|resolved| (resolved, select::values(resource, resolved, None)))
    };
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| matches(resource_type, filter, resource)),
        Filter::Or(filters) => filters.iter().any(|filter| matches(resource_type, filter, resource)),
        Filter::Not(filter) => !matches(resource_type, filter, resource),
        Filter::Compare(path, operator, literal) => match values_at(path) {
            Some((resolved, values)) => compare(resolved.leaf(), &values, *operator, literal),
            None => holds_without_value(*operator, literal),
        },
        Filter::Present(path) => values_at(path).is_some_and(|(_, values)| !values.is_empty()),
        Filter::ValuePath(path, filter) => values_at(path).is_some_and(|(resolved, values)| {
            values.iter().any(|element| element_matches(resolved.attribute, filter, element))
        }),
        Filter::ValuePathCompare { attribute, filter, sub_attribute, operator, literal } => {
            match selected(resource_type, attribute, filter, sub_attribute.as_deref(), resource) {
                Some((leaf, values)) => compare(leaf, &values, *operator, literal),
                None => holds_without_value(*operator, literal),
            }
        }
        Filter::ValuePathPresent { attribute, filter, sub_attribute } => {
            selected(resource_type, attribute, filter, sub_attribute.as_deref(), resource)
                .is_some_and(|(_, values)| !values.is_empty())
        }
    }
}

/// Whether the filter, a single condition, asks for a value of an attribute that the type does not have, so that no resource
/// of the type fulfils it.
pub fn is_beyond(resource_type: &ResourceType, filter: &Filter) -> bool {
    let is_unknown = |path: &AttributePath| resource_type.resolve(path).is_none();
    match filter {
        Filter::And(_) | Filter::Or(_) | Filter::Not(_) => false,
        Filter::Compare(path, operator, literal)
        | Filter::ValuePathCompare { attribute: path, operator, literal, .. } => {
            is_unknown(path) && !holds_without_value(*operator, literal)
        }
        Filter::Present(path) | Filter::ValuePath(path, _) | Filter::ValuePathPresent { attribute: path, .. } => {
            is_unknown(path)
        }
    }
}

fn selected<'a>(
    resource_type: &'a ResourceType,
    path: &AttributePath,
    filter: &Filter,
    sub: Option<&str>,
    resource: &'a Map<String, Value>,
) -> Option<(&'a Attribute, Vec<&'a Value>)> {
    let resolved = with_sub(resource_type.resolve(path)?, sub)?;
    Some((resolved.leaf(), select::values(resource, resolved, Some(filter))))
}

/// The same attribute with the sub-attribute that stands after the filter of a value path.
pub(crate) fn with_sub<'a>(resolved: Resolved<'a>, sub: Option<&str>) -> Option<Resolved<'a>> {
    match sub {
        None => Some(resolved),
        Some(name) => Some(Resolved { sub: Some(quirks::sub_attribute(resolved.attribute, name)?.0), ..resolved }),
    }
}

/// Whether one element of a multi-valued attribute fulfils the inner filter of a value path. The names in it are
/// sub-attributes; the elements of a simple attribute are called `value`.
pub(crate) fn element_matches(attribute: &Attribute, filter: &Filter, element: &Value) -> bool {
    let part = |path: &AttributePath| {
        if path.sub_attribute.is_some() {
            return None;
        }
        let (leaf, value) = match element {
            Value::Object(parts) => {
                let sub = quirks::sub_attribute(attribute, &path.name)?.0;
                (sub, parts.get(&sub.name))
            }
            simple if path.is("value") => (attribute, Some(simple)),
            _ => return None,
        };
        let values: Vec<&Value> = match value {
            Some(Value::Array(values)) => values.iter().collect(),
            other => other.into_iter().collect(),
        };
        Some((leaf, values))
    };
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| element_matches(attribute, filter, element)),
        Filter::Or(filters) => filters.iter().any(|filter| element_matches(attribute, filter, element)),
        Filter::Not(filter) => !element_matches(attribute, filter, element),
        Filter::Compare(path, operator, literal) => match part(path) {
            Some((leaf, values)) => compare(leaf, &values, *operator, literal),
            None => holds_without_value(*operator, literal),
        },
        Filter::Present(path) => part(path).is_some_and(|(_, values)| !values.is_empty()),
        Filter::ValuePath(..) | Filter::ValuePathCompare { .. } | Filter::ValuePathPresent { .. } => false,
    }
}

/// Whether a comparison holds for an attribute without a value.
fn holds_without_value(operator: Operator, literal: &Literal) -> bool {
    let asks_for_null = matches!(literal, Literal::Null);
    if asks_for_null { operator == Operator::Eq } else { operator == Operator::Ne }
}

fn compare(leaf: &Attribute, values: &[&Value], operator: Operator, literal: &Literal) -> bool {
    let standing_for_whole = if leaf.kind == Type::Complex { leaf.value() } else { None };
    let (leaf, values): (&Attribute, Vec<&Value>) = match standing_for_whole {
        Some(value) => (value, values.iter().filter_map(|element| element.get(&value.name)).collect()),
        None => (leaf, values.to_vec()),
    };
    if values.is_empty() {
        return holds_without_value(operator, literal);
    }
    match operator {
        _ if matches!(literal, Literal::Null) => operator == Operator::Ne,
        Operator::Ne => values.iter().any(|value| !is_true(leaf, value, Operator::Eq, literal)),
        _ => values.iter().any(|value| is_true(leaf, value, operator, literal)),
    }
}

fn is_true(leaf: &Attribute, value: &Value, operator: Operator, literal: &Literal) -> bool {
    let part_of_text = |test: fn(&str, &str) -> bool| match (value, text_of(literal)) {
        (Value::String(value), Some(literal)) => test(&folded(leaf, value), &folded(leaf, literal)),
        _ => false,
    };
    match operator {
        Operator::Eq if leaf.kind == Type::Boolean => {
            value.as_bool().is_some() && value.as_bool() == boolean_of(literal)
        }
        Operator::Eq => order(leaf, value, literal) == Some(Ordering::Equal),
        Operator::Ne => order(leaf, value, literal).is_some_and(Ordering::is_ne),
        Operator::Co => part_of_text(|value, literal| value.contains(literal)),
        Operator::Sw => part_of_text(|value, literal| value.starts_with(literal)),
        Operator::Ew => part_of_text(|value, literal| value.ends_with(literal)),
        Operator::Gt => order(leaf, value, literal).is_some_and(Ordering::is_gt),
        Operator::Ge => order(leaf, value, literal).is_some_and(Ordering::is_ge),
        Operator::Lt => order(leaf, value, literal).is_some_and(Ordering::is_lt),
        Operator::Le => order(leaf, value, literal).is_some_and(Ordering::is_le),
    }
}

/// How a value stands to a literal; `None` if the type of the attribute does not compare them.
fn order(leaf: &Attribute, value: &Value, literal: &Literal) -> Option<Ordering> {
    match leaf.kind {
        Type::String | Type::Reference | Type::Binary => {
            Some(folded(leaf, value.as_str()?).cmp(&folded(leaf, text_of(literal)?)))
        }
        Type::DateTime => Some(instant(value.as_str()?)?.cmp(&instant(text_of(literal)?)?)),
        Type::Integer | Type::Decimal => {
            let number = number_of(literal)?;
            match (value.as_i64(), number.as_i64()) {
                (Some(value), Some(literal)) => Some(value.cmp(&literal)),
                _ => value.as_f64()?.partial_cmp(&number.as_f64()?),
            }
        }
        Type::Boolean | Type::Complex => None,
    }
}

fn text_of(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::String(text) => Some(text),
        Literal::Number(number) => Some(number.as_str()),
        Literal::Boolean(true) => Some("true"),
        Literal::Boolean(false) => Some("false"),
        Literal::Null => None,
    }
}

fn boolean_of(literal: &Literal) -> Option<bool> {
    match literal {
        Literal::Boolean(value) => Some(*value),
        Literal::String(text) => quirks::boolean(text),
        Literal::Number(_) | Literal::Null => None,
    }
}

fn number_of(literal: &Literal) -> Option<scim_filter::Number> {
    match literal {
        Literal::Number(number) => Some(number.clone()),
        Literal::String(text) => scim_filter::Number::parse(text.trim()),
        Literal::Boolean(_) | Literal::Null => None,
    }
}

/// Refuses a filter that cannot be meant: unknown attributes, values of another type, order where there is none, secrets.
pub fn check_filter(resource_type: &ResourceType, filter: &Filter) -> Result<(), ScimError> {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().try_for_each(|filter| check_filter(resource_type, filter))
        }
        Filter::Not(filter) => check_filter(resource_type, filter),
        Filter::Compare(path, operator, literal) => check_compare(known(resource_type, path)?, *operator, literal),
        Filter::Present(path) => known(resource_type, path).map(|_| ()),
        Filter::ValuePath(path, filter) => check_inner(known(resource_type, path)?, filter),
        Filter::ValuePathCompare { attribute, filter, sub_attribute, operator, literal } => {
            let resolved = known(resource_type, attribute)?;
            check_inner(resolved, filter)?;
            check_compare(known_sub(resolved, sub_attribute.as_deref())?, *operator, literal)
        }
        Filter::ValuePathPresent { attribute, filter, sub_attribute } => {
            let resolved = known(resource_type, attribute)?;
            check_inner(resolved, filter)?;
            known_sub(resolved, sub_attribute.as_deref()).map(|_| ())
        }
    }
}

/// Refuses a filter over several types that cannot be meant for any of them: each condition must make sense for one, and a
/// secret of one is nowhere searched for.
///
/// # Errors
///
/// What [`check_filter`] says of the type that has the attribute, or of the first.
pub fn check_filter_of_all(resource_types: &[&ResourceType], filter: &Filter) -> Result<(), ScimError> {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().try_for_each(|filter| check_filter_of_all(resource_types, filter))
        }
        Filter::Not(filter) => check_filter_of_all(resource_types, filter),
        condition => {
            let paths = condition.paths();
            accepted_by_some(resource_types, &paths, |resource_type| check_filter(resource_type, condition))
        }
    }
}

/// Refuses what every type refuses, and what would tell a secret of any. What a type that has the attributes says counts
/// more than what the others say.
pub(crate) fn accepted_by_some(
    resource_types: &[&ResourceType],
    paths: &[&AttributePath],
    check: impl Fn(&ResourceType) -> Result<(), ScimError>,
) -> Result<(), ScimError> {
    let (mut is_accepted, mut refusal) = (false, None);
    let has_all = |resource_type: &ResourceType| paths.iter().all(|path| resource_type.resolve(path).is_some());
    let (having, others): (Vec<&ResourceType>, Vec<_>) = resource_types.iter().partition(|kind| has_all(kind));
    for resource_type in having.into_iter().chain(others) {
        match check(resource_type) {
            Ok(()) => is_accepted = true,
            Err(error) if error.scim_type == Some(ScimType::Sensitive) => return Err(error),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    match refusal {
        Some(error) if !is_accepted => Err(error),
        _ => Ok(()),
    }
}

fn known<'a>(resource_type: &'a ResourceType, path: &AttributePath) -> Result<Resolved<'a>, ScimError> {
    let Some(resolved) = resource_type.resolve(path) else {
        let name = quoted(&path.to_string());
        return Err(ScimError::invalid_filter(format!(
            "A {} has no attribute {name}: see /Schemas",
            resource_type.name
        )));
    };
    if resolved.leaf().returned == Returned::Never {
        return Err(ScimError::sensitive(format!("{} cannot be searched for", resolved.path())));
    }
    Ok(resolved)
}

fn known_sub<'a>(resolved: Resolved<'a>, sub: Option<&str>) -> Result<Resolved<'a>, ScimError> {
    with_sub(resolved, sub).ok_or_else(|| {
        let name = quoted(sub.unwrap_or_default());
        ScimError::invalid_filter(format!("{} has no part {name}: see /Schemas", resolved.path()))
    })
}

/// Checks the inner filter of a value path; its names are sub-attributes.
pub(crate) fn check_inner(resolved: Resolved<'_>, filter: &Filter) -> Result<(), ScimError> {
    let resolved = Resolved { sub: None, ..resolved };
    let part = |path: &AttributePath| {
        if path.sub_attribute.is_some() {
            return known_sub(resolved, Some(&path.to_string()));
        }
        if resolved.attribute.kind != Type::Complex && path.is("value") {
            return Ok(resolved);
        }
        known_sub(resolved, Some(&path.name))
    };
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().try_for_each(|filter| check_inner(resolved, filter))
        }
        Filter::Not(filter) => check_inner(resolved, filter),
        Filter::Compare(path, operator, literal) => check_compare(part(path)?, *operator, literal),
        Filter::Present(path) => part(path).map(|_| ()),
        Filter::ValuePath(..) | Filter::ValuePathCompare { .. } | Filter::ValuePathPresent { .. } => {
            Err(ScimError::invalid_filter("A filter in brackets cannot hold brackets of its own"))
        }
    }
}

fn check_compare(resolved: Resolved<'_>, operator: Operator, literal: &Literal) -> Result<(), ScimError> {
    let refused = |reason: &str| Err(ScimError::invalid_filter(format!("{} {reason}", resolved.path())));
    let mut leaf = resolved.leaf();
    if leaf.kind == Type::Complex {
        match leaf.value() {
            Some(value) => leaf = value,
            None => return refused("has parts and is not compared as a whole: name one of them"),
        }
    }
    let is_equality = matches!(operator, Operator::Eq | Operator::Ne);
    if matches!(literal, Literal::Null) {
        return if is_equality { Ok(()) } else { refused("can be equal to null or not, nothing else") };
    }
    match leaf.kind {
        Type::Boolean if !is_equality => refused("is true or false: compare it with eq or ne"),
        Type::Boolean if boolean_of(literal).is_none() => refused("is true or false: compare it with one of these"),
        Type::Binary if is_ordering(operator) => refused("is binary and has no order: compare it with eq or ne"),
        Type::Integer | Type::Decimal if number_of(literal).is_none() => refused("is a number: compare it with one"),
        Type::DateTime if is_text_test(operator) => Ok(()),
        Type::DateTime if text_of(literal).and_then(instant).is_none() => {
            refused("is a date and time: compare it with one such as \"2026-01-31T09:30:00Z\"")
        }
        _ => Ok(()),
    }
}

fn is_ordering(operator: Operator) -> bool {
    matches!(operator, Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le)
}

fn is_text_test(operator: Operator) -> bool {
    matches!(operator, Operator::Co | Operator::Sw | Operator::Ew)
}
