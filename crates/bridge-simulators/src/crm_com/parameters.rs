//! Reading parameters of CRM.COM calls: texts, identifiers, user defined fields, passwords (CRM.COM dossier sections
//! 1, 3 and 8).

use serde_json::{Map, Value};

use super::codes::{BusinessError, Code};
use super::users::User;
use crate::options::PasswordPolicy;

/// Longest text where the dossier assumes a length.
const TEXT_LIMIT: usize = 100;

/// How something is named: by the one member of an identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identifier {
    pub(crate) field: String,
    pub(crate) value: String,
}

/// An identifier object of a POST: exactly one of the `known` fields.
pub(crate) fn identifier(body: &Map<String, Value>, name: &str, known: &[&str]) -> Result<Identifier, BusinessError> {
    let members = match body.get(name) {
        None | Some(Value::Null) => return Err(missing(name)),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(invalid(name, "must be an object")),
    };
    let mut given = members.iter();
    let (Some((field, value)), None) = (given.next(), given.next()) else {
        return Err(if members.is_empty() { missing(name) } else { only_one(name) });
    };
    let value = value.as_str().filter(|value| !value.is_empty()).ok_or_else(|| missing(name))?;
    checked(name, field, value, known)
}

/// An identifier in a query string, `name=field=value`: exactly once, exactly one of the `known` fields.
pub(crate) fn query_identifier(
    query: &[(String, String)],
    name: &str,
    known: &[&str],
) -> Result<Identifier, BusinessError> {
    let mut values = query.iter().filter(|(given, _)| given == name).map(|(_, value)| value);
    let (Some(text), None) = (values.next(), values.next()) else {
        return Err(if query.iter().any(|(given, _)| given == name) { only_one(name) } else { missing(name) });
    };
    match text.split_once('=') {
        Some((field, value)) if !value.is_empty() => checked(name, field, value, known),
        _ => Err(missing(name)),
    }
}

fn checked(name: &str, field: &str, value: &str, known: &[&str]) -> Result<Identifier, BusinessError> {
    if known.contains(&field) {
        Ok(Identifier { field: field.to_owned(), value: value.to_owned() })
    } else {
        Err(invalid(name, &format!("takes one of {}", known.join(", "))))
    }
}

/// A text that must be there and not empty.
pub(crate) fn required_text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, BusinessError> {
    text(body, name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
}

/// A text that may be absent or null.
pub(crate) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, BusinessError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(name, "must be a string")),
    }
}

/// The names in `fields_set`; absent means all.
pub(crate) fn fields_set(text: Option<&str>) -> Option<Vec<String>> {
    let names: Vec<String> = text?.split(',').map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()).collect();
    (!names.is_empty()).then_some(names)
}

/// Takes names, e-mail, IP address and user defined fields of a body into `user`; null clears.
pub(crate) fn take_person(user: &mut User, body: &Map<String, Value>, limits: bool) -> Result<(), BusinessError> {
    for (name, value) in body {
        let limited = |text: &str| {
            let too_long = limits && text.chars().count() > TEXT_LIMIT;
            if too_long { Err(invalid(name, &format!("is longer than {TEXT_LIMIT} characters"))) } else { Ok(()) }
        };
        match name.as_str() {
            "first_name" | "last_name" | "email" | "ip_address" => {
                let given = text(body, name)?.unwrap_or_default();
                limited(given)?;
                let optional = Some(given.to_owned()).filter(|given| !given.is_empty());
                match name.as_str() {
                    "first_name" => user.first_name = required_text(body, name)?.to_owned(),
                    "last_name" => user.last_name = required_text(body, name)?.to_owned(),
                    "email" => user.email = checked_email(optional)?,
                    _ => user.ip_address = checked_ip_address(optional)?,
                }
            }
            _ => match user_defined_kind(name) {
                None => {}
                Some(_) if value.is_null() => drop(user.user_defined.remove(name)),
                Some(kind) => {
                    let fits = match kind {
                        "string" => value.as_str().map(limited).transpose()?.is_some(),
                        "float" => value.is_number(),
                        _ => is_date(value),
                    };
                    if !fits {
                        return Err(invalid(name, &format!("must be a {kind}")));
                    }
                    user.user_defined.insert(name.clone(), value.clone());
                }
            },
        }
    }
    Ok(())
}

/// `string`, `float` or `date` for `udf_string_1` to `_8`, `udf_float_1` to `_4`, `udf_date_1` to `_4`.
pub(crate) fn user_defined_kind(name: &str) -> Option<&'static str> {
    let (kind, number) = name.strip_prefix("udf_")?.split_once('_')?;
    let (kind, last) = match kind {
        "string" => ("string", 8),
        "float" => ("float", 4),
        "date" => ("date", 4),
        _ => return None,
    };
    (1..=last).any(|known: u8| known.to_string() == number).then_some(kind)
}

fn checked_email(email: Option<String>) -> Result<Option<String>, BusinessError> {
    let is_email = |text: &str| {
        let parts = text.split_once('@');
        parts.is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace)
        })
    };
    match email {
        Some(text) if !is_email(&text) => Err(invalid("email", "must be an e-mail address")),
        other => Ok(other),
    }
}

fn checked_ip_address(address: Option<String>) -> Result<Option<String>, BusinessError> {
    match address {
        Some(text) if text.parse::<std::net::IpAddr>().is_err() => Err(invalid("ip_address", "must be an IP address")),
        other => Ok(other),
    }
}

/// `YYYY-MM-DD`, or the object form `{"day":1,"month":1,"year":1980}`: the wire form is not confirmed.
fn is_date(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        Value::Object(members) => {
            let part = |name: &str| members.get(name).and_then(Value::as_i64);
            let day_and_month = part("day").zip(part("month"));
            let date = part("year").zip(day_and_month).and_then(|(year, (day, month))| {
                jiff::civil::Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
            });
            date.is_some()
        }
        _ => false,
    }
}

/// Whether a user name follows the assumed policy: 3 to 50 letters, digits, `.`, `_`, `-`, `@`.
pub(crate) fn is_username(text: &str) -> bool {
    let length = text.chars().count();
    (3..=50).contains(&length) && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'))
}

/// A password and its confirmation under the installation's policy.
pub(crate) fn new_password(body: &Map<String, Value>, policy: PasswordPolicy) -> Result<&str, BusinessError> {
    let password = required_text(body, "password")?;
    if required_text(body, "password_confirmation")? != password {
        return Err(Code::PasswordConfirmationMismatch.says("The password and its confirmation differ"));
    }
    let count = |is: fn(&char) -> bool| password.chars().filter(is).count();
    let letters = count(|c| c.is_alphabetic());
    let digits = count(|c| c.is_numeric());
    let others = count(|c| !c.is_alphanumeric());
    let fits = letters + digits + others >= policy.length
        && letters >= policy.letters
        && digits >= policy.digits
        && others >= policy.others;
    if fits { Ok(password) } else { Err(Code::PasswordPolicy.says("The password does not meet the password policy")) }
}

pub(crate) fn missing(name: &str) -> BusinessError {
    Code::MandatoryParameterMissing.says(format!("The parameter {name} is mandatory"))
}

pub(crate) fn invalid(name: &str, reason: &str) -> BusinessError {
    Code::InvalidParameterValue.says(format!("The parameter {name} {reason}"))
}

fn only_one(name: &str) -> BusinessError {
    Code::OnlyOneIdentifierAllowed.says(format!("Exactly one identifier is allowed in {name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn user_defined_fields_are_eight_strings_four_floats_and_four_dates() {
        let check = |name: &str, expected| assert_eq!(user_defined_kind(name), expected, "{name}");
        check("udf_string_1", Some("string"));
        check("udf_string_8", Some("string"));
        check("udf_string_9", None);
        check("udf_string_01", None);
        check("udf_float_4", Some("float"));
        check("udf_float_5", None);
        check("udf_date_4", Some("date"));
        check("udf_date_0", None);
        check("udf_text_1", None);
    }

    #[test]
    fn a_date_is_a_day_of_the_calendar() {
        let check = |value: Value, expected| assert_eq!(is_date(&value), expected, "{value}");
        check(json!("1980-01-31"), true);
        check(json!("1980-02-31"), false);
        check(json!("19800131"), false);
        check(json!({"day": 31, "month": 1, "year": 1980}), true);
        check(json!({"day": 31, "month": 2, "year": 1980}), false);
        check(json!({"day": 31, "month": 1}), false);
        check(json!(1980), false);
    }

    #[test]
    fn a_password_meets_each_count_of_the_policy() {
        let policy = PasswordPolicy { length: 8, letters: 2, digits: 2, others: 1 };
        let check = |password: &str, expected: bool| {
            let body = json!({"password": password, "password_confirmation": password});
            assert_eq!(new_password(body.as_object().unwrap(), policy).is_ok(), expected, "{password}");
        };
        check("Gx7!qv02Lm", true);
        check("N3w!pass9", true);
        check("N3w!p9a", false);
        check("a2345678!", false);
        check("abcdefg1!", false);
        check("abcdef12", false);
    }

    #[test]
    fn an_identifier_in_a_query_may_contain_the_equals_sign_again() {
        let query = vec![("user_identifier".to_owned(), "username=a=b".to_owned())];
        let read = query_identifier(&query, "user_identifier", &["id", "username"]);
        assert_eq!(read.map(|identifier| identifier.value), Ok("a=b".to_owned()));
    }
}
