//! What is too much: depth, length, number. The answer is 400 and says so, whatever the rest of the request holds.

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
