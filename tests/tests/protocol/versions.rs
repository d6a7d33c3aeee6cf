//! Entity tags (RFC 7644 section 3.14, RFC 9110 section 13): never demanded, always heeded.

use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{bridge, escaped, is_refused, with_users};

const HEAD: &str = r#"{"Operations": [{"op": "replace", "path": "displayName", "value": "Head"}]}"#;

/// A user and a group, by address.
async fn resources(bridge: &Bridge) -> [String; 2] {
    let user = bridge.post("/Users", okta_user("ann")).await.has_status(201);
    let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Staff"});
    let group = bridge.post("/Groups", group).await.has_status(201);
    for created in [&user, &group] {
        assert_eq!((created.header("etag"), &created.body["meta"]["version"]), ("W/\"1\"", &json!("W/\"1\"")));
    }
    [format!("/Users/{}", user.id()), format!("/Groups/{}", group.id())]
}

async fn send(bridge: &Bridge, method: Method, path: &str, header: (&str, &str), body: &str) -> Answer {
    let request = bridge.request(method, path).header("Content-Type", "application/scim+json");
    Answer::of(request.header(header.0, header.1).body(body.to_owned())).await
}

#[tokio::test]
async fn every_answer_with_a_resource_carries_its_version() {
    let bridge = bridge().await;
    for path in resources(&bridge).await {
        let read = bridge.get(&path).await.has_status(200);
        assert_eq!(read.header("etag"), "W/\"1\"", "{path}");
        let head = Answer::of(bridge.request(Method::HEAD, &path)).await.has_status(200);
        assert_eq!((head.header("etag"), &head.body), ("W/\"1\"", &Value::Null), "{path}");
        let patched = send(&bridge, Method::PATCH, &path, ("Accept", "*/*"), HEAD).await;
        assert!([200, 204].contains(&patched.status), "{path}");
        assert_eq!(patched.header("etag"), "W/\"2\"", "{path}");
        let mut body = read.body.clone();
        body["displayName"] = json!("Chief");
        let put = bridge.put(&path, body).await.has_status(200);
        assert_eq!((put.header("etag"), &put.body["meta"]["version"]), ("W/\"3\"", &json!("W/\"3\"")), "{path}");
    }
}

#[tokio::test]
async fn a_read_of_what_the_client_has_is_304_without_a_body() {
    let bridge = bridge().await;
    for path in resources(&bridge).await {
        for method in [Method::GET, Method::HEAD] {
            for tag in ["W/\"1\"", "\"1\"", "*", "W/\"7\", W/\"1\""] {
                let answer = send(&bridge, method.clone(), &path, ("If-None-Match", tag), "").await.has_status(304);
                assert_eq!((answer.header("etag"), &answer.body), ("W/\"1\"", &Value::Null), "{path} {tag}");
            }
            send(&bridge, method.clone(), &path, ("If-None-Match", "W/\"2\""), "").await.has_status(200);
        }
    }
}

#[tokio::test]
async fn the_version_of_a_group_tells_what_it_shows_of_its_members() {
    let bridge = bridge().await;
    let [user, _] = resources(&bridge).await;
    let unknown = (0..250).map(|number| json!({"value": format!("00-{number}")}));
    // The member stands among those that are read with the group, or behind them.
    for more in [0, 1, 250] {
        let mut members: Vec<Value> = unknown.clone().take(more).collect();
        members.push(json!({"value": user.trim_start_matches("/Users/")}));
        let body = json!({"displayName": format!("Staff {more}"), "members": members});
        let path = format!("/Groups/{}", bridge.post("/Groups", body).await.has_status(201).id());
        let tag = bridge.get(&path).await.header("etag").to_owned();
        let again = async |tag: &str| send(&bridge, Method::GET, &path, ("If-None-Match", tag), "").await;
        again(&tag).await.has_status(304);
        let rename = json!({"Operations": [{"op": "replace", "path": "displayName", "value": format!("Ann {more}")}]});
        send(&bridge, Method::PATCH, &user, ("Accept", "*/*"), &rename.to_string()).await.has_status(200);
        let renamed = again(&tag).await.has_status(200);
        assert!(renamed.body["members"].as_array().unwrap().iter().any(|one| one["display"] == format!("Ann {more}")));
        assert_eq!(renamed.body["meta"]["version"], renamed.header("etag"));
        let tag = renamed.header("etag").to_owned();
        again(&tag).await.has_status(304);
        // Who does not look at the members has the version that counts the changes of the group.
        let without = format!("{path}?excludedAttributes=members");
        assert_eq!(bridge.get(&without).await.header("etag"), "W/\"1\"");
        send(&bridge, Method::GET, &without, ("If-None-Match", "W/\"1\""), "").await.has_status(304);
        // What is derived is no part of what is written.
        send(&bridge, Method::DELETE, &path, ("If-Match", &tag), "").await.has_status(204);
    }
}

#[tokio::test]
async fn a_write_is_bound_to_the_version_that_the_client_names() {
    let bridge = bridge().await;
    for path in resources(&bridge).await {
        let body = bridge.get(&path).await.body.to_string();
        for (method, body) in [(Method::PUT, body.as_str()), (Method::PATCH, HEAD), (Method::DELETE, "")] {
            for header in
                [("If-Match", "W/\"7\""), ("If-Match", ""), ("If-None-Match", "*"), ("If-None-Match", "W/\"1\"")]
            {
                let refused = send(&bridge, method.clone(), &path, header, body).await;
                is_refused(&refused, 412, "");
            }
        }
        assert_eq!(bridge.get(&path).await.has_status(200).header("etag"), "W/\"1\"", "{path}: nothing has changed");
        let patched = send(&bridge, Method::PATCH, &path, ("If-None-Match", "W/\"7\""), HEAD).await;
        assert_eq!(patched.header("etag"), "W/\"2\"", "{path}");
        let patched = send(&bridge, Method::PATCH, &path, ("If-Match", "W/\"7\", W/\"2\""), HEAD).await;
        assert!([200, 204].contains(&patched.status), "{path}");
        send(&bridge, Method::DELETE, &path, ("If-Match", "*"), "").await.has_status(204);
        for header in [("If-Match", "*"), ("If-None-Match", "*")] {
            send(&bridge, Method::DELETE, &path, header, "").await.has_status(404);
        }
    }
}

#[tokio::test]
async fn a_read_or_a_create_is_not_done_for_a_version_that_is_not_there() {
    let bridge = bridge().await;
    for path in resources(&bridge).await {
        for method in [Method::GET, Method::HEAD] {
            for tag in ["W/\"9\"", ""] {
                let refused = send(&bridge, method.clone(), &path, ("If-Match", tag), "").await;
                assert_eq!((refused.status, refused.body.get("Resources")), (412, None), "{path} {tag}");
            }
            for tag in ["W/\"1\"", "*", "W/\"9\", W/\"1\""] {
                send(&bridge, method.clone(), &path, ("If-Match", tag), "").await.has_status(200);
            }
        }
        send(&bridge, Method::GET, &format!("{path}0"), ("If-Match", "W/\"9\""), "").await.has_status(404);
    }
    let (bob, team) = (okta_user("bob").to_string(), json!({"displayName": "Team"}).to_string());
    let bulk =
        json!({"Operations": [{"method": "POST", "path": "/Users", "bulkId": "bob", "data": okta_user("cleo")}]});
    for (path, body) in [("/Users", bob), ("/Groups", team), ("/Bulk", bulk.to_string())] {
        let refused = send(&bridge, Method::POST, path, ("If-Match", "W/\"1\""), &body).await;
        is_refused(&refused, 412, "");
        // The endpoint itself is there.
        let done = send(&bridge, Method::POST, path, ("If-Match", "*"), &body).await;
        assert!([200, 201].contains(&done.status), "{path}: {:#}", done.body);
    }
}

#[tokio::test]
async fn a_filter_finds_the_version_that_is_shown() {
    let bridge = with_users(&["ann", "bob"]).await;
    let ann = bridge.get("/Users?filter=userName%20sw%20%22ann%22").await.body["Resources"][0].clone();
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Sales",
        "members": [{"value": ann["id"]}],
    });
    bridge.post("/Groups", group).await.has_status(201);
    let shown = bridge.get(&format!("/Users/{}", ann["id"].as_str().unwrap())).await.body["meta"]["version"].clone();
    assert_ne!(shown, ann["meta"]["version"], "what is derived is part of it");
    let found = async |version: &Value| {
        let filter = format!("meta.version eq {version}");
        bridge.get(&format!("/Users?filter={}", escaped(&filter))).await.has_status(200).body["totalResults"].clone()
    };
    assert_eq!(found(&shown).await, 1);
    assert_eq!(found(&ann["meta"]["version"]).await, 1, "bob's, who is in no group");
    let groups = bridge.get("/Groups").await.body;
    let filter = format!("meta.version eq {}", groups["Resources"][0]["meta"]["version"]);
    assert_eq!(bridge.get(&format!("/Groups?filter={}", escaped(&filter))).await.body["totalResults"], 1);
}
