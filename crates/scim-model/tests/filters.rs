//! Which resources a filter finds (RFC 7644 section 3.4.2.2), which filters are refused, and what a path selects.

#![expect(clippy::expect_used, reason = "a test may panic, and so may its helpers")]

use scim_filter::{Filter, PatchPath};
use scim_model::{Catalog, ScimType, check_filter, check_filter_of_all, fold, get, matches};
use serde_json::{Map, Value, json};

fn catalog() -> Catalog {
    Catalog::new(Vec::new()).expect("the embedded schemas fit together")
}

/// Jo as an answer shows her.
fn jo() -> Map<String, Value> {
    let resource = json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
        ],
        "id": "0193-Ab",
        "externalId": "00uAbC",
        "userName": "Jo.Roe@Corp.Example",
        "name": { "familyName": "Röe", "givenName": "Jo" },
        "displayName": "Jo \"JR\" Röe \\ Ops",
        "active": true,
        "emails": [
            { "value": "Jo@Corp.Example", "type": "work", "primary": true },
            { "value": "jo@home.example", "type": "home" }
        ],
        "addresses": [{ "country": "DE", "type": "work" }],
        "roles": [{ "value": "Admin", "primary": true }],
        "groups": [{ "value": "g1", "display": "Sales EMEA" }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": "70031",
            "department": "ΟΔΟΣ",
            "manager": { "value": "u9" }
        },
        "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User": {
            "targets": [{ "name": "pbx", "state": "parked" }, { "name": "crm", "state": "settled" }]
        },
        "meta": {
            "resourceType": "User",
            "created": "2026-01-31T09:30:00Z",
            "lastModified": "2026-01-31T09:30:00.5Z",
            "version": "W/\"3\""
        }
    });
    resource.as_object().cloned().expect("it is an object")
}

#[test]
fn filters_find_by_the_type_of_the_attribute() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let jo = jo();
    let check = |filter: &str, expected: bool| {
        let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(matches(user, &parsed, &jo), expected, "{filter}");
        check_filter(user, &parsed).unwrap_or_else(|error| panic!("{filter}: {error}"));
    };
    // Cases 14 and 15: letter case counts only where the schema says so.
    check(r#"userName eq "JO.ROE@CORP.EXAMPLE""#, true);
    check(r#"USERNAME eq "jo.roe@corp.example""#, true);
    check(r#"emails.value eq "jo@CORP.example""#, true);
    check(r#"externalId eq "00uabc""#, false);
    check(r#"externalId eq "00uAbC""#, true);
    check(r#"id eq "0193-Ab""#, true);
    check(r#"name.familyName eq "RÖE""#, true);
    check(r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "οδος""#, true);
    check(r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department sw "οδ""#, true);
    check(r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "jo.""#, true);
    // Case 40: quotes and backslashes.
    check(r#"displayName eq "jo \"JR\" röe \\ ops""#, true);
    // Parts of texts.
    check(r#"userName co "roe""#, true);
    check(r#"userName sw "jo""#, true);
    check(r#"userName ew ".EXAMPLE""#, true);
    check(r#"userName ew "jo""#, false);
    check(r#"userName gt "jo.""#, true);
    check(r#"userName lt "k""#, true);
    check(r#"userName ge "jo.roe@corp.example""#, true);
    // Booleans, also as texts (case 93).
    check("active eq true", true);
    check("active eq false", false);
    check("active ne false", true);
    check(r#"active eq "True""#, true);
    check(r#"roles[primary eq "True"].value eq "admin""#, true);
    check("emails[primary eq false] pr", false);
    // Case 39: both sides count.
    check(r#"userName eq "jo.roe@corp.example" and active eq true"#, true);
    check(r#"userName eq "jo.roe@corp.example" and active eq false"#, false);
    check(r#"userName eq "x" or (active eq true and not (title pr))"#, true);
    // Cases 36 and 37: value paths, with and without a part.
    check(r#"emails[type eq "work"].value eq "jo@corp.example""#, true);
    check(r#"emails[type eq "home"].value eq "jo@corp.example""#, false);
    check(r#"emails[type eq "work"] eq "jo@corp.example""#, true);
    check(r#"emails[type eq "work" and value co "@corp."]"#, true);
    check(r#"emails[type eq "home" and value co "@corp."]"#, false);
    check(r#"emails.type eq "home" and emails.value co "@corp.""#, true);
    check(r#"emails[type eq "other"].value pr"#, false);
    // The whole stands for its value.
    check(r#"emails eq "jo@home.example""#, true);
    check(r#"manager eq "u9""#, true);
    check(r#"id eq "0193-Ab" and manager eq "u9""#, true);
    check(r#"groups eq "g1""#, true);
    check(r#"groups.display eq "sales emea""#, true);
    // Presence, null and not equal.
    check("title pr", false);
    check("name pr", true);
    check("emails pr", true);
    check("title eq null", true);
    check("title ne null", false);
    check("userName eq null", false);
    check(r#"title eq "x""#, false);
    check(r#"title ne "x""#, true);
    check(r#"userName ne "JO.roe@corp.example""#, false);
    check(r#"emails.type ne "work""#, true);
    check(r#"roles.value ne "admin""#, false);
    check(r#"not (title eq "x")"#, true);
    // Points in time, whatever their offset and fraction.
    check(r#"meta.lastModified gt "2026-01-31T10:30:00.4999999+01:00""#, true);
    check(r#"meta.lastModified gt "2026-01-31T10:30:00.5+01:00""#, false);
    check(r#"meta.created eq "2026-01-31T04:30:00-05:00""#, true);
    check(r#"meta.created le "2026-01-31T09:30:00Z""#, true);
    check(r#"meta.created sw "2026-01""#, true);
    // What people write for "for ever", and for "always" in some systems.
    for end in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9999999-12:00", "9999-12-31T23:59:59"] {
        check(&format!(r#"meta.created lt "{end}""#), true);
        check(&format!(r#"meta.created ge "{end}""#), false);
        check(&format!(r#"meta.created eq "{end}""#), false);
    }
    check(r#"meta.created gt "-009999-01-01T00:00:00Z""#, true);
    check(r#"meta.created gt "-009999-01-01T00:00:00+14:00""#, true);
    check(r#"meta.created gt "0001-01-01T00:00:00Z""#, true);
    check("meta.Created gt 2015-10-10T14:38:21.8617979-07:00", true);
    // Numbers for texts.
    check("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq 70031", true);
    // What only answers know.
    check(r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#, true);
    check(r#"meta.resourceType eq "User""#, true);
    check(
        r#"urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User:targets[name eq "pbx" and state eq "parked"]"#,
        true,
    );
    check(
        r#"urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User:targets[name eq "crm" and state eq "parked"]"#,
        false,
    );
}

#[test]
fn group_filters_find_members() {
    let catalog = catalog();
    let group = catalog.resource_type("Group").expect("there are groups");
    let sales =
        json!({ "id": "g1", "displayName": "Sales EMEA & Co", "members": [{ "value": "u1" }, { "value": "u2" }] });
    let sales = sales.as_object().cloned().expect("it is an object");
    let check = |filter: &str, expected: bool| {
        let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(matches(group, &parsed, &sales), expected, "{filter}");
    };
    check(r#"displayName eq "sales emea & co""#, true);
    check(r#"id eq "g1" and members eq "u1""#, true);
    check(r#"members.value eq "u3""#, false);
    check(r#"members[value eq "u2"]"#, true);
    check(r#"members eq "U1""#, false);
}

#[test]
fn filters_that_cannot_be_meant_are_refused_and_find_nothing() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let jo = jo();
    let check = |filter: &str, detail: &str| {
        let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        let error = check_filter(user, &parsed).expect_err(filter);
        assert_eq!(error.scim_type, Some(ScimType::InvalidFilter), "{filter}");
        assert!(error.detail.contains(detail), "{filter}: {}", error.detail);
        assert!(!matches(user, &parsed, &jo), "{filter}");
    };
    check(r#"shoeSize eq 44"#, "A User has no attribute 'shoeSize'");
    check(r#"urn:acme:2.0:User:badge eq "77""#, "A User has no attribute 'urn:acme:2.0:User:badge'");
    check(r#"userName eq "nobody" or name.colour pr"#, "'name.colour'");
    check("shoeSize pr", "shoeSize");
    check(r#"emails[colour eq "red"]"#, "emails has no part 'colour'");
    check(r#"emails[type eq "work"].colour eq "red""#, "emails has no part 'colour'");
    check(r#"name eq "Jo""#, "name has parts");
    check("active gt true", "active is true or false");
    check(r#"active eq "maybe""#, "active is true or false");
    check(r#"meta.created gt "yesterday""#, "meta.created is a date and time");
    check("title gt null", "title can be equal to null");
}

#[test]
fn an_attribute_that_a_type_does_not_have_has_no_value_there() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let group = catalog.resource_type("Group").expect("there are groups");
    let staff = json!({"id": "g1", "displayName": "Staff", "meta": {"resourceType": "Group"}});
    let staff = staff.as_object().expect("it is an object");
    let check = |filter: &str, expected: bool| {
        let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(matches(group, &parsed, staff), expected, "{filter}");
        check_filter_of_all(&[user, group], &parsed).unwrap_or_else(|error| panic!("{filter}: {error}"));
        check_filter(group, &parsed).expect_err(filter);
    };
    check(r#"displayName eq "Staff" or userName eq "ann""#, true);
    check(r#"displayName eq "Staff" and userName eq "ann""#, false);
    check("userName pr", false);
    check("not (userName pr)", true);
    check(r#"userName ne "ann""#, true);
    check("userName eq null", true);
    check("userName ne null", false);
    check(r#"emails[type eq "work"]"#, false);
    check(r#"emails[type eq "work"].value ne "x""#, true);
    check(r#"emails[type eq "work"].value eq "x""#, false);
    check(r#"emails[type eq "work"].value pr"#, false);
    check(r#"members[value eq "u1"] or active ne true"#, true);
}

#[test]
fn a_filter_over_several_types_must_make_sense_for_one_of_them() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let group = catalog.resource_type("Group").expect("there are groups");
    let check = |filter: &str, status: u16, detail: &str| {
        let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        for types in [[user, group], [group, user]] {
            let error = check_filter_of_all(&types, &parsed).expect_err(filter);
            assert_eq!(error.status, status, "{filter}");
            assert!(error.detail.contains(detail), "{filter}: {}", error.detail);
        }
    };
    check(r#"displayName eq "Staff" or shoeSize ne 44"#, 400, "has no attribute 'shoeSize'");
    check(r#"displayName eq "Staff" or password sw "k""#, 403, "password cannot be searched for");
    check("not (active gt true)", 400, "active is true or false");
    check(r#"members[colour eq "red"]"#, 400, "members has no part 'colour'");
}

#[test]
fn a_password_is_not_searched_for() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let filter = Filter::parse(r#"password sw "a""#).expect("it is a filter");
    let error = check_filter(user, &filter).expect_err("it is a secret");
    assert_eq!((error.status, error.scim_type), (403, Some(ScimType::Sensitive)));
}

#[test]
fn paths_select_values_in_order() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let jo = jo();
    let check = |path: &str, expected: Value| {
        let parsed = PatchPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let values: Vec<Value> = get(&jo, user, &parsed).into_iter().cloned().collect();
        assert_eq!(Value::Array(values), expected, "{path}");
    };
    check("userName", json!(["Jo.Roe@Corp.Example"]));
    check("NAME.givenname", json!(["Jo"]));
    check("emails.value", json!(["Jo@Corp.Example", "jo@home.example"]));
    check("emails[primary eq true].value", json!(["Jo@Corp.Example"]));
    check(r#"emails[type eq "home"]"#, json!([{ "value": "jo@home.example", "type": "home" }]));
    check(r#"emails[type eq "other"].value"#, json!([]));
    check("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber", json!(["70031"]));
    check("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", json!(["u9"]));
    check("urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User:extension", json!([]));
    check("active", json!([true]));
    check("shoeSize", json!([]));
    check("name.colour", json!([]));
}

#[test]
fn texts_are_folded_where_letter_case_does_not_count() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let attribute = |name: &str| user.schema.attribute(name).expect("it is in the schema");
    assert_eq!(fold(attribute("userName"), "JO.Röe@CORP"), "jo.röe@corp");
    assert_eq!(fold(attribute("userName"), "ΟΔΟΣ"), fold(attribute("userName"), "οδος"));
    assert_eq!(fold(attribute("externalId"), "00uAbC"), "00uAbC");
}
