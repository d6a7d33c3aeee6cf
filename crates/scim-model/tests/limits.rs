//! What is too much: depth, length, number, work. The answer is 400 and says so, whatever the rest of the request holds.

#![expect(clippy::expect_used, reason = "a test may panic, and so may its helpers")]

use scim_model::{Catalog, Context, Document, Replacement, ScimError, ScimType, USER_URN, accept, patch};
use serde_json::{Value, json};

fn post(attribute: &str, value: Value) -> Result<Document, ScimError> {
    let catalog = Catalog::new(Vec::new()).expect("the embedded schemas fit together");
    let user = catalog.resource_type("User").expect("there are users");
    let body = json!({ "schemas": [USER_URN], "userName": "jo@corp.example", (attribute): value });
    accept(user, body, Context::Create).map(|draft| draft.document)
}

fn send(operations: Vec<Value>) -> Result<Document, ScimError> {
    let catalog = Catalog::new(Vec::new()).expect("the embedded schemas fit together");
    let user = catalog.resource_type("User").expect("there are users");
    let current = post("title", json!("Clerk")).expect("the body is fine");
    patch(user, &current, "u1", &json!({ "Operations": operations }), Replacement::OfParts).map(|draft| draft.document)
}

fn check(result: Result<Document, ScimError>, scim_type: ScimType, detail: &str) {
    let error = result.expect_err(detail);
    assert_eq!((error.status, error.scim_type), (400, Some(scim_type)), "{error}");
    assert!(error.detail.contains(detail), "{error}");
}

#[test]
fn a_body_is_only_so_deep() {
    let deep = |levels: usize| (0..levels).fold(json!("x"), |inner, _| json!([inner]));
    assert!(post("shoeSize", deep(15)).is_ok());
    check(post("shoeSize", deep(25)), ScimType::InvalidSyntax, "nested more than 20 levels");
    check(send(vec![json!({ "op": "add", "path": "title", "value": deep(25) })]), ScimType::InvalidSyntax, "nested");
}

#[test]
fn a_text_is_only_so_long() {
    assert!(post("title", "x".repeat(16 * 1024).into()).is_ok());
    check(post("title", "x".repeat(16 * 1024 + 1).into()), ScimType::InvalidValue, "title is longer");
    let certificate = |length: usize| post("x509Certificates", json!([{ "value": "A".repeat(length) }]));
    assert!(certificate(100_000).is_ok());
    check(certificate(300_000), ScimType::InvalidValue, "x509Certificates.value is longer");
    check(post("x509Certificates", json!([{ "value": "no base64!" }])), ScimType::InvalidValue, "bytes in base64");
}

#[test]
fn a_list_has_only_so_many_values() {
    let emails = |from: usize, to: usize| -> Vec<Value> {
        (from..to).map(|number| json!({ "value": format!("jo{number}@corp.example") })).collect()
    };
    assert!(post("emails", emails(0, 500).into()).is_ok());
    check(post("emails", emails(0, 501).into()), ScimType::InvalidValue, "emails takes at most 500 values");
    let add = |from, to| json!({ "op": "add", "path": "emails", "value": emails(from, to) });
    check(send(vec![add(0, 300), add(300, 600)]), ScimType::InvalidValue, "emails takes at most 500 values");
}

#[test]
fn a_group_has_as_many_members_as_it_has() {
    let catalog = Catalog::new(Vec::new()).expect("the embedded schemas fit together");
    let group = catalog.resource_type("Group").expect("there are groups");
    let members: Vec<Value> = (0..5_000).map(|number| json!({ "value": format!("u{number}") })).collect();
    let body = json!({ "displayName": "Everybody", "members": members });
    let draft = accept(group, body, Context::Create).expect("the body is fine");
    assert_eq!(draft.document.get("members").and_then(Value::as_array).map(Vec::len), Some(5_000));
}

#[test]
fn a_patch_has_only_so_many_operations() {
    let operations = |count| vec![json!({ "op": "replace", "path": "title", "value": "Lead" }); count];
    assert!(send(operations(2_000)).is_ok());
    check(send(operations(2_001)), ScimType::InvalidSyntax, "2001 operations are too many: send 2000 at most");
}

fn photos(count: usize, length: usize) -> Value {
    let photo = |number: usize| json!({ "value": format!("https://corp.example/{number}/{}", "x".repeat(length)) });
    (0..count).map(photo).collect()
}

/// A document as the store may hold one from before there was a limit.
fn large() -> Document {
    let mut large = post("title", json!("Clerk")).expect("the body is fine");
    large.insert("photos", photos(490, 16_000));
    large
}

fn change(current: &Document, operations: Value) -> Result<Document, ScimError> {
    let catalog = Catalog::new(Vec::new()).expect("the embedded schemas fit together");
    let user = catalog.resource_type("User").expect("there are users");
    let body = json!({ "Operations": operations });
    patch(user, current, "u1", &body, Replacement::OfParts).map(|draft| draft.document)
}

fn put(current: &Document, body: Value) -> Result<Document, ScimError> {
    let catalog = Catalog::new(Vec::new()).expect("the embedded schemas fit together");
    let user = catalog.resource_type("User").expect("there are users");
    accept(user, body, Context::Replace { current, id: "u1" }).map(|draft| draft.document)
}

#[test]
fn a_resource_is_only_so_large() {
    assert!(post("photos", photos(15, 16_000)).is_ok());
    check(post("photos", photos(17, 16_000)), ScimType::InvalidValue, "most in photos, 262144 at most: send fewer");
    let current = post("photos", photos(15, 16_000)).expect("the body is fine");
    let more = json!([{ "op": "add", "path": "photos", "value": photos(2, 16_001) }]);
    check(change(&current, more), ScimType::InvalidValue, "most in photos");
    let more = json!({ "schemas": [USER_URN], "userName": "jo@corp.example", "photos": photos(17, 16_000) });
    check(put(&current, more), ScimType::InvalidValue, "most in photos");
    // One value into each element is as much.
    let current = post("photos", photos(100, 10)).expect("the body is fine");
    let each = json!([{ "op": "add", "path": "photos.display", "value": "x".repeat(3_000) }]);
    check(change(&current, each), ScimType::InvalidValue, "most in photos");
}

#[test]
fn whoever_is_too_large_already_can_be_changed_and_can_leave() {
    let large = large();
    let mut body = Value::Object(large.as_map().clone());
    body["schemas"] = json!([USER_URN]);
    assert_eq!(put(&large, body.clone()).as_ref(), Ok(&large));
    body["active"] = json!(false);
    assert!(!put(&large, body).expect("who leaves is not refused").is_active());
    // As Entra ID deletes somebody.
    let renamed = format!("{}jo@corp.example", "0123456789abcdef".repeat(2));
    let leave = json!([
        { "op": "replace", "path": "active", "value": "False" },
        { "op": "replace", "path": "userName", "value": renamed },
    ]);
    assert!(!change(&large, leave).expect("who leaves is not refused").is_active());
    let title = |title: &str| change(&large, json!([{ "op": "replace", "path": "title", "value": title }]));
    assert!(title("Lead").is_ok());
    check(title("Manager"), ScimType::InvalidValue, "most in photos");
    assert!(change(&large, json!([{ "op": "remove", "path": "photos" }])).is_ok());
}

#[test]
fn the_members_of_a_group_do_not_count() {
    let catalog = Catalog::new(Vec::new()).expect("the embedded schemas fit together");
    let group = catalog.resource_type("Group").expect("there are groups");
    let members: Vec<Value> = (0..5_000).map(|number| json!({ "value": format!("{number:0100}") })).collect();
    let draft = accept(group, json!({ "displayName": "Everybody", "members": members }), Context::Create);
    let mut current = draft.expect("the body is fine").document;
    let rename = json!({ "Operations": [{ "op": "replace", "path": "displayName", "value": "Everybody else" }] });
    assert!(patch(group, &current, "g1", &rename, Replacement::OfParts).is_ok());
    current.remove("members");
    let add = json!({ "Operations": [{ "op": "add", "path": "members", "value": members }] });
    assert!(patch(group, &current, "g1", &add, Replacement::OfParts).is_ok());
}

#[test]
fn a_request_is_only_so_much_work() {
    let check_work = |current: &Document, operations: Vec<Value>| {
        check(change(current, Value::Array(operations)), ScimType::TooMany, "look at too many values together");
    };
    let conditions: Vec<String> = (0..20).map(|number| format!("value co \"q{number}\"")).collect();
    let path = format!("photos[{}].display", conditions.join(" or "));
    let many_conditions = vec![json!({ "op": "replace", "path": path, "value": "x" }); 1_900];
    let full = post("photos", photos(500, 10)).expect("the body is fine");
    check_work(&full, many_conditions.clone());
    // Long texts are more work than short ones.
    let long = post("photos", photos(15, 16_000)).expect("the body is fine");
    check_work(&long, many_conditions[..500].to_vec());
    // One long value for each of many elements.
    let everywhere =
        json!({ "op": "add", "path": "photos.value", "value": format!("https://x/{}", "x".repeat(100_000)) });
    check_work(&full, vec![everywhere]);
    // Many values, of which each is compared with each.
    check_work(&full, vec![json!({ "op": "remove", "path": "photos", "value": photos(500, 1) }); 17]);
}

#[test]
fn two_thousand_ordinary_operations_are_not_too_much_work() {
    let full = post("emails", (0..300).map(|number| json!({ "value": format!("jo{number}@corp.example") })).collect());
    let full = full.expect("the body is fine");
    let check = |operation: &dyn Fn(usize) -> Value| {
        let operations: Vec<Value> = (0..2_000).map(operation).collect();
        let changed = change(&full, Value::from(operations));
        assert!(changed.is_ok(), "{:?}", changed.err());
    };
    check(
        &|number| json!({ "op": "add", "path": "emails", "value": [{ "value": format!("jo{}@corp.example", number % 300) }] }),
    );
    check(&|number| json!({ "op": "remove", "path": format!("emails[value eq \"jo{number}@corp.example\"]") }));
    check(
        &|_| json!({ "op": "replace", "path": "emails[type eq \"work\" and primary eq true].value", "value": "jo@corp.example" }),
    );
    check(
        &|number| json!({ "op": "replace", "value": { "title": format!("Title {number}"), "name.givenName": "Jo" } }),
    );
}
