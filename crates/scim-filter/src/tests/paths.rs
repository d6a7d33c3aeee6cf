//! Paths of RFC 7644 section 3.5.2, each form of its examples with values of ours.

use super::shape::shape;
use crate::{Limits, PatchPath};

/// The text reads as attribute, filter and what stands after the filter, and prints so that it reads the same again.
fn check(text: &str, attribute: &str, filter: Option<&str>, sub_attribute: Option<&str>) {
    let path = PatchPath::parse_with(text, &Limits::strict()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(path.attribute.to_string(), attribute, "{text}");
    assert_eq!(path.filter.as_deref().map(shape).as_deref(), filter, "{text}");
    assert_eq!(path.sub_attribute.as_deref(), sub_attribute, "{text}");
    assert_eq!(PatchPath::parse(&path.to_string()), Ok(path), "round trip of {text}");
}

#[test]
fn a_path_names_an_attribute() {
    check("members", "members", None, None);
    check("name.familyName", "name.familyName", None, None);
    check("displayName", "displayName", None, None);
    check(" title ", "title", None, None);
    check("members.$ref", "members.$ref", None, None);
    check(
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
        None,
        None,
    );
}

#[test]
fn a_path_selects_elements() {
    check(r#"addresses[type eq "home"]"#, "addresses", Some("type:eq:'home'"), None);
    check(r#"members[value eq "u-1"]"#, "members", Some("value:eq:'u-1'"), None);
    check(
        r#"emails[type eq "work" and value ew "corp.test"]"#,
        "emails",
        Some("(and type:eq:'work' value:ew:'corp.test')"),
        None,
    );
    check(
        r#"emails[not (type eq "work") or (primary eq true and value pr)]"#,
        "emails",
        Some("(or (not type:eq:'work') (and primary:eq:?true value:pr))"),
        None,
    );
}

#[test]
fn a_path_names_a_sub_attribute_of_selected_elements() {
    check(r#"members[value eq "u-1"].displayName"#, "members", Some("value:eq:'u-1'"), Some("displayName"));
    check(r#"addresses[type eq "home"].streetAddress"#, "addresses", Some("type:eq:'home'"), Some("streetAddress"));
    check(r#"members[value eq "u-1"].$ref"#, "members", Some("value:eq:'u-1'"), Some("$ref"));
    check(
        r#"urn:acme:scim:1.0:User:badges[colour eq "red"].number"#,
        "urn:acme:scim:1.0:User:badges",
        Some("colour:eq:'red'"),
        Some("number"),
    );
}

#[test]
fn the_sub_attribute_is_found_before_or_after_a_filter() {
    let sub = |text: &str| PatchPath::parse(text).ok().and_then(|path| path.sub().map(str::to_owned));
    assert_eq!(sub("name.givenName").as_deref(), Some("givenName"));
    assert_eq!(sub(r#"emails[type eq "work"].value"#).as_deref(), Some("value"));
    assert_eq!(sub(r#"emails[type eq "work"]"#), None);
    assert_eq!(sub("title"), None);
}
