//! `/Me`: the user that a token stands for (RFC 7644 section 3.11).

use std::process::Command;

use bridge_tests::samples::ann;
use bridge_tests::{Answer, Bridge};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{bridge, is_refused, with_users};

/// A bridge whose token stands for ann, and her address.
async fn as_ann() -> (Bridge, String) {
    let mut bridge = bridge().await;
    let created = bridge.post("/Users", ann()).await.has_status(201);
    bridge.token = bridge.running.new_token_of_user("default", &created.id()).await.unwrap();
    (bridge, created.header("location").to_owned())
}

#[tokio::test]
async fn a_token_of_a_user_reads_and_changes_that_user() {
    let (bridge, address) = as_ann().await;
    let read = bridge.get("/Me").await.has_status(200);
    assert_eq!((&read.body["userName"], &read.body["meta"]["location"]), (&json!("ann@acme.example"), &json!(address)));
    let is_located = |answer: &Answer| {
        assert_eq!(
            (answer.header("location"), answer.header("content-location")),
            (address.as_str(), address.as_str())
        );
    };
    is_located(&read);
    let some = bridge.get("/Me?attributes=userName").await.has_status(200);
    assert!(some.body.get("emails").is_none());
    let patched =
        bridge.patch("/Me", json!([{"op": "replace", "path": "title", "value": "Lead"}])).await.has_status(200);
    assert_eq!((&patched.body["title"], patched.header("etag")), (&json!("Lead"), "W/\"2\""));
    is_located(&patched);
    let mut body = patched.body.clone();
    body["title"] = json!("Head");
    let put = bridge.put("/Me", body).await.has_status(200);
    assert_eq!(put.body["title"], "Head");
    is_located(&put);
    let request = |method: Method| bridge.request(method, "/Me");
    Answer::of(request(Method::GET).header("If-None-Match", "W/\"3\"")).await.has_status(304);
    Answer::of(request(Method::DELETE).header("If-Match", "W/\"1\"")).await.has_status(412);
    Answer::of(request(Method::HEAD)).await.has_status(200);
    bridge.delete("/Me").await.has_status(204);
    is_refused(&bridge.get("/Me").await, 401, "");
}

#[tokio::test]
async fn who_was_switched_off_does_not_come_back_by_their_own_token() {
    let (mut bridge, address) = as_ann().await;
    let id = address.rsplit('/').next().unwrap();
    let own = bridge.token.clone();
    bridge.token = bridge.running.new_token("default", "okta").await.unwrap();
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
    let provider = std::mem::replace(&mut bridge.token, own);
    is_refused(&bridge.get("/Me").await, 401, "");
    let on = json!([{"op": "replace", "path": "active", "value": true}]);
    is_refused(&bridge.patch("/Me", on).await, 401, "");
    is_refused(&bridge.put("/Me", ann()).await, 401, "");
    is_refused(&bridge.get("/ServiceProviderConfig").await, 401, "");
    bridge.token = provider;
    assert_eq!(bridge.get(&format!("/Users/{id}")).await.body["active"], false);
}

#[tokio::test]
async fn nobody_changes_by_their_own_token_who_they_are_and_what_they_may_do() {
    let (bridge, _) = as_ann().await;
    let before = bridge.get("/Me").await.has_status(200).body;
    let pbx = "urn:ietf:params:scim:schemas:extension:bridgeNetsapiens:2.0:User";
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    for (path, value) in [
        ("userName", json!("boss@acme.example")),
        ("externalId", json!("00uboss")),
        ("active", json!(false)),
        ("userType", json!("Employee")),
        ("roles", json!([{"value": "admin"}])),
        ("entitlements", json!([{"value": "all"}])),
        (&format!("{pbx}:user-scope"), json!("Office Manager")),
        (&format!("{pbx}:voicemail-login-pin"), json!("123456")),
        (&format!("{enterprise}:department"), json!("Board")),
    ] {
        let answer = bridge.patch("/Me", json!([{"op": "replace", "path": path, "value": value}])).await;
        is_refused(&answer, 403, "");
        answer.names(&[path.split(':').next_back().filter(|_| !path.contains(':')).unwrap_or("urn:")]);
    }
    assert_eq!(bridge.get("/Me").await.body, before);
}

#[tokio::test]
async fn a_token_of_a_user_opens_nothing_else_but_discovery() {
    let (bridge, address) = as_ann().await;
    let id = address.rsplit('/').next().unwrap();
    for path in ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes"] {
        bridge.get(path).await.has_status(200);
    }
    for path in ["", "/Users", "/Groups", &format!("/Users/{id}")] {
        is_refused(&bridge.get(path).await, 403, "");
    }
    is_refused(&bridge.post("/Me", ann()).await, 403, "");
    for path in ["/Users", "/Groups", "/.search", "/Users/.search", "/Bulk"] {
        is_refused(&bridge.post(path, json!({})).await, 403, "");
    }
    is_refused(&bridge.put(&format!("/Users/{id}"), ann()).await, 403, "");
    is_refused(&bridge.patch(&format!("/Users/{id}"), json!([])).await, 403, "");
    is_refused(&bridge.delete(&format!("/Users/{id}")).await, 403, "");
}

#[tokio::test]
async fn a_token_that_stands_for_nobody_has_no_me() {
    let bridge = with_users(&["ann"]).await;
    is_refused(&bridge.get("/Me").await, 501, "");
    is_refused(&bridge.post("/Me", ann()).await, 501, "");
    is_refused(&bridge.put("/Me", ann()).await, 501, "");
    is_refused(&bridge.patch("/Me", json!([])).await, 501, "");
    is_refused(&bridge.delete("/Me").await, 501, "");
}

#[tokio::test]
async fn the_command_makes_a_token_for_a_user_by_name_or_id() {
    let mut bridge = with_users(&["ann"]).await;
    let id = bridge.get("/Users").await.body["Resources"][0]["id"].as_str().unwrap().to_owned();
    let file = bridge.folder().join("bridge.toml");
    std::fs::write(&file, bridge.file()).unwrap();
    let run = |user: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bridge-under-test"));
        command.args(["token", "new", "--json", "--label", "self-service", "--user", user, "--config"]);
        command.arg(&file).output().unwrap()
    };
    for user in [id.as_str(), "ANN@acme.example"] {
        let made: Value = serde_json::from_slice(&run(user).stdout).unwrap();
        assert_eq!(made["user"], id.as_str());
        bridge.token = made["token"].as_str().unwrap().to_owned();
        assert_eq!(bridge.get("/Me").await.has_status(200).id(), id, "{user}");
    }
    let unknown = run("nobody");
    assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("nobody"));
}
