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
    bridge.get("/Me").await.has_status(404);
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
