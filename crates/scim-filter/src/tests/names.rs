//! Names of attributes, schemas before them, and the schema that looks like an attribute.

use crate::{AttributePath, Literal, Number, UrnPath};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn check(text: &str, schema: Option<&str>, name: &str, sub_attribute: Option<&str>) {
    let expected = AttributePath {
        schema: schema.map(str::to_owned),
        name: name.to_owned(),
        sub_attribute: sub_attribute.map(str::to_owned),
    };
    assert_eq!(AttributePath::parse(text), Ok(expected), "{text}");
}

#[test]
fn the_last_colon_ends_the_schema_and_a_dot_after_it_the_attribute() {
    check("userName", None, "userName", None);
    check("name.givenName", None, "name", Some("givenName"));
    check(&format!("{ENTERPRISE}:employeeNumber"), Some(ENTERPRISE), "employeeNumber", None);
    check(&format!("{ENTERPRISE}:manager.value"), Some(ENTERPRISE), "manager", Some("value"));
    check(&format!("{ENTERPRISE}:manager.$ref"), Some(ENTERPRISE), "manager", Some("$ref"));
    check("URN:IETF:Params:x:User:title", Some("URN:IETF:Params:x:User"), "title", None);
    check("urn:acme:scim:1.0:badge", Some("urn:acme:scim:1.0"), "badge", None);
    check(
        "http://schemas.corp.test/2006/ADSCIM/2.0/Group:code",
        Some("http://schemas.corp.test/2006/ADSCIM/2.0/Group"),
        "code",
        None,
    );
    check("urn:a::b", Some("urn:a:"), "b", None);
}

#[test]
fn names_hold_letters_digits_dollar_hyphen_and_underscore() {
    check("$ref", None, "$ref", None);
    check("user-first-name", None, "user-first-name", None);
    check("udf_string_1", None, "udf_string_1", None);
    check("a1$-_.b2$-_", None, "a1$-_", Some("b2$-_"));
}

#[test]
fn names_are_compared_in_any_letter_case() {
    let path = AttributePath::parse(&format!("{ENTERPRISE}:Manager.Value")).unwrap();
    assert!(path.is("manager") && path.sub_is("value") && path.schema_is(&ENTERPRISE.to_uppercase()));
    assert!(!path.is("value") && !path.sub_is("manager") && !path.schema_is("urn:other:User"));
    let plain = AttributePath::named("title");
    assert!(plain.is("TITLE") && !plain.sub_is("title") && !plain.schema_is(ENTERPRISE));
}

#[test]
fn a_known_schema_alone_is_the_whole_extension() {
    let known = [ENTERPRISE, "urn:acme:ext:1.0", "urn:a:b", "urn:a:b:c"];
    let split = |text: &str| AttributePath::split_urn(text, &known);
    let attribute = |text: &str| AttributePath::parse(text).map(UrnPath::Attribute);
    assert_eq!(split(ENTERPRISE), Ok(UrnPath::Schema(ENTERPRISE)));
    assert_eq!(split(&ENTERPRISE.to_uppercase()), Ok(UrnPath::Schema(ENTERPRISE)));
    assert_eq!(split("urn:acme:ext:1.0"), Ok(UrnPath::Schema("urn:acme:ext:1.0")));
    assert_eq!(split("urn:a:b:c"), Ok(UrnPath::Schema("urn:a:b:c")));
    assert_eq!(split("urn:a:b:d"), attribute("urn:a:b:d"));
    assert_eq!(split("URN:A:B:d"), attribute("urn:a:b:d"));
    assert_eq!(split(&format!("{ENTERPRISE}:department")), attribute(&format!("{ENTERPRISE}:department")));
    assert_eq!(split("urn:un:known:User"), attribute("urn:un:known:User"));
    assert_eq!(split("name.givenName"), attribute("name.givenName"));
    assert!(split("urn:un:known:2.0").is_err());
}

#[test]
fn a_parsed_path_can_still_be_recognised_as_a_schema() {
    let path = AttributePath::parse(&ENTERPRISE.to_lowercase()).unwrap();
    assert_eq!(path.as_schema(&[ENTERPRISE]), Some(ENTERPRISE));
    assert_eq!(path.as_schema(&["urn:other:User"]), None);
    assert_eq!(AttributePath::named("User").as_schema(&["User"]), None);
}

#[test]
fn numbers_follow_json_and_give_their_value() {
    let number = |text: &str| Number::parse(text).map(|number| (number.as_i64(), number.as_f64()));
    assert_eq!(number("0"), Some((Some(0), Some(0.0))));
    assert_eq!(number("-7"), Some((Some(-7), Some(-7.0))));
    assert_eq!(number("1.0"), Some((None, Some(1.0))));
    assert_eq!(number("2e3"), Some((None, Some(2000.0))));
    assert_eq!(number("1e999"), Some((None, None)));
    assert_eq!(number("9223372036854775807").and_then(|(integer, _)| integer), Some(i64::MAX));
    assert_eq!(number("9223372036854775808").and_then(|(integer, _)| integer), None);
    for text in
        ["", "-", "+1", "01", "-01", ".5", "1.", "1e", "1e+", "1.e3", "0x1", "1_000", "٣", "NaN", "inf", "1e1e1"]
    {
        assert_eq!(Number::parse(text), None, "{text}");
    }
    assert_eq!(Literal::Number(Number::from(-5)).to_string(), "-5");
}
