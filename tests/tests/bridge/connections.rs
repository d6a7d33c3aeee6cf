//! Who speaks at the other end of a connection, and what it is forgiven.

use bridge_tests::samples::{ann, entra_user};
use bridge_tests::{Answer, Bridge, Setup};
use serde_json::{Value, json};

async fn known(bridge: &Bridge) -> Value {
    let url = format!("{}/admin/v1/connections?connection=test", bridge.admin_url());
    let answer = Answer::of(reqwest::Client::new().get(url)).await.has_status(200);
    answer.body["connections"][0].clone()
}

#[tokio::test]
async fn the_dialects_of_a_connection_are_heard_and_remembered() {
    let bridge = Bridge::start().await;
    let create = bridge.request(reqwest::Method::POST, "/Users").header("User-Agent", "Okta SCIM Client 1.0.0");
    let id = Answer::of(create.body(ann().to_string())).await.has_status(201).id();
    let legacy = json!([{"op": "Replace", "path": "active", "value": "False"}]);
    bridge.patch(&format!("/Users/{id}"), legacy).await.has_status(200);
    let flag = json!([{"op": "replace", "value": {"active": true, "name.familyName": "Rowe"}}]);
    bridge.patch(&format!("/Users/{id}"), flag).await.has_status(200);
    let expected = known(&bridge).await;
    assert_eq!(expected["dialects"], json!(["okta", "entra-legacy", "entra-flag"]));
    assert_eq!(expected["quirks"]["text_for_boolean"], json!({"count": 1, "attribute": "active"}));
    assert_eq!((&expected["writes"], &expected["profile"]), (&json!(3), &json!("lenient")));
    let bridge = bridge.restart().await;
    assert_eq!(known(&bridge).await, expected, "nothing is forgotten by a restart");
    bridge.stop().await;
}

#[tokio::test]
async fn a_strict_connection_is_forgiven_nothing_that_the_rfcs_do_not_allow() {
    let strict = "[tenants.default.connections.test]\nprofile = \"strict\"".to_owned();
    let bridge = Bridge::with(Setup { more: strict, ..Setup::default() }).await;
    let refused = bridge.post("/Users", entra_user("eve")).await.has_status(400);
    assert_eq!(refused.scim_type(), "invalidValue");
    refused.names(&["active", "strict", "true or false"]);
    assert_eq!(bridge.get("/Users").await.body["totalResults"], 0);
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let capital = json!([{"op": "Replace", "path": "title", "value": "Agent"}]);
    let refused = bridge.patch(&format!("/Users/{id}"), capital).await.has_status(400);
    assert_eq!(refused.scim_type(), "invalidSyntax");
    refused.names(&["op", "strict"]);
    let nowhere = json!([{"op": "replace", "path": "emails[type eq \"home\"].value", "value": "a@b.example"}]);
    let refused = bridge.patch(&format!("/Users/{id}"), nowhere).await.has_status(400);
    assert_eq!(refused.scim_type(), "noTarget");
    let right = json!([{"op": "replace", "path": "title", "value": "Agent"}]);
    assert_eq!(bridge.patch(&format!("/Users/{id}"), right).await.has_status(200).body["title"], "Agent");
    let part = json!([{"op": "add", "path": "name", "value": {"middleName": "Mary"}}]);
    let named = bridge.patch(&format!("/Users/{id}"), part).await.has_status(200);
    assert_eq!((&named.body["name"]["middleName"], &named.body["name"]["givenName"]), (&json!("Mary"), &json!("Ann")));
    let whole = json!([{"op": "replace", "path": "name", "value": {"givenName": "Ann", "familyName": "Rowe"}}]);
    let renamed = bridge.patch(&format!("/Users/{id}"), whole).await.has_status(200);
    assert_eq!(
        renamed.body["name"],
        json!({"familyName": "Rowe", "givenName": "Ann"}),
        "nothing else is left of the name"
    );
    bridge.stop().await;
}
