//! What answers look like: full resources, parts of them, lists and errors.

#![expect(clippy::expect_used, reason = "a test may panic, and so may its helpers")]

use scim_model::{
    Catalog, Context, Document, ENTERPRISE_URN, Meta, PROVISIONING_URN, Projection, ScimError, ScimType, USER_URN,
    accept, complete, list_response, project,
};
use serde_json::{Map, Value, json};

fn catalog() -> Catalog {
    Catalog::new(Vec::new()).expect("the embedded schemas fit together")
}

fn meta() -> Meta {
    Meta {
        created: "2026-01-02T03:04:05Z".parse().expect("it is a time"),
        last_modified: "2026-01-02T03:04:05.678Z".parse().expect("it is a time"),
        version: 3,
        derived: 0,
        location: "https://scim.acme.example/t/acme/scim/v2/Users/u1".to_owned(),
        resource_type: "User".to_owned(),
    }
}

fn document(catalog: &Catalog) -> Document {
    let body = json!({
        "schemas": [USER_URN],
        "userName": "jo@corp.example",
        "name": { "givenName": "Jo", "familyName": "Roe" },
        "emails": [{ "value": "jo@corp.example", "type": "work" }, { "value": "jo@home.example", "type": "home" }],
        "password": "kJ8!random",
        (ENTERPRISE_URN): { "department": "R&D", "manager": { "value": "u9" } }
    });
    let user = catalog.resource_type("User").expect("there are users");
    accept(user, body, Context::Create).expect("the body is fine").document
}

fn resource(catalog: &Catalog) -> Map<String, Value> {
    let derived = json!({
        "groups": [{ "value": "g1", "display": "Sales" }],
        (PROVISIONING_URN): { "targets": [{ "name": "pbx", "state": "settled" }] }
    });
    let user = catalog.resource_type("User").expect("there are users");
    complete(user, "u1", &document(catalog), &meta(), derived.as_object().cloned().expect("it is an object"))
}

#[test]
fn a_full_resource_names_the_extensions_that_are_there() {
    let catalog = catalog();
    assert_eq!(
        Value::Object(resource(&catalog)),
        json!({
            "schemas": [USER_URN, ENTERPRISE_URN, PROVISIONING_URN],
            "id": "u1",
            "userName": "jo@corp.example",
            "name": { "familyName": "Roe", "givenName": "Jo" },
            "active": true,
            "emails": [{ "value": "jo@corp.example", "type": "work" }, { "value": "jo@home.example", "type": "home" }],
            (ENTERPRISE_URN): { "department": "R&D", "manager": { "value": "u9" } },
            "groups": [{ "value": "g1", "display": "Sales" }],
            (PROVISIONING_URN): { "targets": [{ "name": "pbx", "state": "settled" }] },
            "meta": {
                "resourceType": "User",
                "created": "2026-01-02T03:04:05Z",
                "lastModified": "2026-01-02T03:04:05.678Z",
                "location": "https://scim.acme.example/t/acme/scim/v2/Users/u1",
                "version": "W/\"3\""
            }
        })
    );
}

#[test]
fn a_projection_shows_what_is_asked_for() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let check = |attributes: Option<&str>, excluded: Option<&str>, expected: &[&str]| {
        let projection = Projection::parse(user, attributes, excluded).expect("the names are fine");
        let shown = project(user, resource(&catalog), &projection);
        assert_eq!(shown.keys().collect::<Vec<_>>(), expected, "{attributes:?} {excluded:?}");
    };
    let all = ["schemas", "id", "userName", "name", "active", "emails", ENTERPRISE_URN, "groups", "meta"];
    check(None, None, &all);
    check(Some(""), Some(" , "), &all);
    check(Some("id"), None, &["schemas", "id"]);
    check(Some("UserName, shoeSize,"), None, &["schemas", "id", "userName"]);
    check(Some("nothing"), None, &["schemas", "id"]);
    check(Some("password"), None, &["schemas", "id"]);
    check(Some("urn:ietf:params:scim:schemas:core:2.0:User:userName"), None, &["schemas", "id", "userName"]);
    check(Some(PROVISIONING_URN), None, &["schemas", "id", PROVISIONING_URN]);
    check(
        Some(&format!("{PROVISIONING_URN}:targets,userName")),
        None,
        &["schemas", "id", "userName", PROVISIONING_URN],
    );
    check(
        None,
        Some("id,schemas,groups,Emails"),
        &["schemas", "id", "userName", "name", "active", ENTERPRISE_URN, "meta"],
    );
    check(None, Some(ENTERPRISE_URN), &["schemas", "id", "userName", "name", "active", "emails", "groups", "meta"]);
    check(Some("userName,emails"), Some("emails"), &["schemas", "id", "userName"]);
    check(Some(r#"emails[type eq "a,b"],meta"#), None, &["schemas", "id", "emails", "meta"]);
}

#[test]
fn a_projection_reaches_into_attributes() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let check = |attributes: Option<&str>, excluded: Option<&str>, name: &str, expected: Value| {
        let projection = Projection::parse(user, attributes, excluded).expect("the names are fine");
        let shown = project(user, resource(&catalog), &projection);
        assert_eq!(shown.get(name).cloned().unwrap_or_default(), expected, "{attributes:?} {excluded:?}");
    };
    let values = json!([{ "value": "jo@corp.example" }, { "value": "jo@home.example" }]);
    check(Some("name.givenName"), None, "name", json!({ "givenName": "Jo" }));
    check(Some("name.givenName,name"), None, "name", json!({ "familyName": "Roe", "givenName": "Jo" }));
    check(Some("name.middleName"), None, "name", Value::Null);
    check(Some("emails.value"), None, "emails", values.clone());
    check(None, Some("emails.type"), "emails", values);
    check(Some("name"), Some("name.givenName"), "name", json!({ "familyName": "Roe" }));
    check(Some(&format!("{ENTERPRISE_URN}:manager")), None, ENTERPRISE_URN, json!({ "manager": { "value": "u9" } }));
    check(
        Some(&format!("{ENTERPRISE_URN}:manager.value")),
        None,
        ENTERPRISE_URN,
        json!({ "manager": { "value": "u9" } }),
    );
    check(Some("manager"), None, ENTERPRISE_URN, json!({ "manager": { "value": "u9" } }));
    check(None, Some("manager"), ENTERPRISE_URN, json!({ "department": "R&D" }));
    check(Some(ENTERPRISE_URN), None, "schemas", json!([USER_URN, ENTERPRISE_URN]));
    check(Some("userName"), None, "schemas", json!([USER_URN]));
    check(None, None, "schemas", json!([USER_URN, ENTERPRISE_URN]));
}

#[test]
fn a_projection_says_what_need_not_be_derived() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let group = catalog.resource_type("Group").expect("there are groups");
    let shows = |attributes: Option<&str>, excluded: Option<&str>, name: &str| {
        Projection::parse(user, attributes, excluded).expect("the names are fine").shows(user, name)
    };
    assert!(shows(None, None, "groups"));
    assert!(!shows(None, Some("groups"), "groups"));
    assert!(!shows(Some("userName"), None, "groups"));
    assert!(shows(Some("groups.value"), None, "groups"));
    assert!(!shows(None, None, PROVISIONING_URN));
    assert!(shows(Some(&format!("userName,{PROVISIONING_URN}")), None, PROVISIONING_URN));
    assert!(shows(Some("id"), Some("id"), "id"));
    // Case 116.
    let projection = Projection::parse(group, None, Some("members")).expect("the names are fine");
    assert!(!projection.shows(group, "members"));
}

#[test]
fn case_116_excluded_members_are_not_in_the_answer() {
    let catalog = catalog();
    let group = catalog.resource_type("Group").expect("there are groups");
    let body = json!({ "displayName": "Sales", "members": [{ "value": "u1" }] });
    let draft = accept(group, body, Context::Create).expect("the body is fine");
    let full = complete(group, "g1", &draft.document, &meta(), Map::new());
    let projection = Projection::parse(group, None, Some("members")).expect("the names are fine");
    assert!(full.contains_key("members"));
    assert!(!project(group, full, &projection).contains_key("members"));
}

#[test]
fn a_secret_is_neither_stored_nor_shown_nor_printed() {
    let catalog = catalog();
    let user = catalog.resource_type("User").expect("there are users");
    let body = json!({ "schemas": [USER_URN], "userName": "jo@corp.example", "password": "kJ8!random" });
    let draft = accept(user, body, Context::Create).expect("the body is fine");
    assert_eq!(draft.secrets.get("password").map(String::as_str), Some("kJ8!random"));
    assert_eq!(draft.document.get("password"), None);
    let printed = format!("{draft:?}");
    assert!(printed.contains("password") && !printed.contains("kJ8"), "{printed}");
}

#[test]
fn a_list_counts_in_numbers() {
    assert_eq!(
        list_response(vec![json!({ "id": "u1" })], 250, 101).to_string(),
        concat!(
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":250,"#,
            r#""startIndex":101,"itemsPerPage":1,"Resources":[{"id":"u1"}]}"#
        )
    );
    assert_eq!(list_response(Vec::new(), 0, 1)["Resources"], json!([]));
}

#[test]
fn an_error_is_flat_and_short() {
    assert_eq!(
        ScimError::uniqueness("userName is taken by another user").to_json().to_string(),
        concat!(
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","#,
            r#""scimType":"uniqueness","detail":"userName is taken by another user"}"#
        )
    );
    let error = ScimError::not_found("User", &"9\n".repeat(500));
    assert_eq!(error.to_json().get("scimType"), None);
    assert!(error.detail.chars().count() <= 200 && !error.detail.contains('\n'), "{}", error.detail);
    assert_eq!(ScimError::invalid_value("ü".repeat(300)).detail.chars().count(), 200);
    assert_eq!(ScimType::NoTarget.to_string(), "noTarget");
}
