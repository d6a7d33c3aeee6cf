//! Comparing what a target says with what is wanted: targets write numbers as strings, empty as null, and pad with spaces.

use serde_json::Value;

/// A scalar as text, trimmed; `None` for null, for empty text and for anything that is not a scalar.
pub(crate) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Wanted empty, or known to be empty.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Equal to a reader: `15` and `"15"`, null and `""`, `"No Portal "` and `"No Portal"`.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    one == other || (is_scalar(one) && is_scalar(other) && text(one) == text(other)) || same_number(one, other)
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

/// Equal as numbers: `1` and `1.0`, `"2.50"` and `2.5`. Two strings are never compared as numbers (`"007"` is not `"7"`).
fn same_number(one: &Value, other: &Value) -> bool {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
    (one.is_number() || other.is_number()) && number(one).is_some_and(|one: f64| number(other) == Some(one))
}

/// Equal without regard to case and surrounding space, as addresses and login names are compared. Nothing equals empty.
pub(crate) fn same_folded(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim(), other.trim());
    !one.is_empty() && one.to_lowercase() == other.to_lowercase()
}

/// One of the e-mail addresses (joined by `;`) of one side is one of the other's.
pub(crate) fn share_email(one: &str, other: &str) -> bool {
    one.split(';').any(|one| other.split(';').any(|other| same_folded(one, other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_as_a_reader_would() {
        let check = |one: Value, other: Value, expected: bool| {
            assert_eq!(same(&one, &other), expected, "{one} and {other}");
            assert_eq!(same(&other, &one), expected, "{other} and {one}");
        };
        check(json!("Dana"), json!("Dana"), true);
        check(json!("Dana"), json!("dana"), false);
        check(json!(15), json!("15"), true);
        check(json!(1), json!(1.0), true);
        check(json!(2.5), json!("2.50"), true);
        check(json!("007"), json!("7"), false);
        check(json!(null), json!(""), true);
        check(json!(null), json!("  "), true);
        check(json!(null), json!(0), false);
        check(json!("No Portal "), json!("No Portal"), true);
        check(json!({"name": "Agents"}), json!({"name": "Agents"}), true);
        check(json!({"name": "Agents"}), json!({}), false);
        check(json!([]), json!(null), false);
    }

    #[test]
    fn emails_meet_in_any_of_their_parts() {
        assert!(share_email("a@x.example;B@x.example", "b@X.example"));
        assert!(!share_email("a@x.example;", ";b@x.example"));
        assert!(!share_email("", ""));
    }
}
