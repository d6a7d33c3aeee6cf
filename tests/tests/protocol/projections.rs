//! What a write shows of the resource that it made or changed: `attributes` and `excludedAttributes` (RFC 7644 sections
//! 3.5.2 and 3.9).

use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{bridge, is_refused};

const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A user with an extension, and without a password, which could not be compared with the one before.
fn user(name: &str) -> Value {
    let mut user = okta_user(name);
    user.as_object_mut().unwrap().remove("password");
    user[ENTERPRISE] = json!({"department": "Support", "employeeNumber": "4711"});
    user
}

fn group(name: &str, member: &str) -> Value {
    json!({"schemas": [GROUP], "displayName": name, "externalId": name, "members": [{"value": member}]})
}

/// What a write with this query shows, by POST, PUT and PATCH: each writes the same, and each shows the same.
async fn shown(bridge: &Bridge, endpoint: &str, resource: &Value, query: &str) -> Value {
    let operations = json!([{"op": "replace", "path": "displayName", "value": resource["displayName"]}]);
    let changes = json!({"schemas": [PATCH], "Operations": operations});
    let created = bridge.post(&format!("/{endpoint}?{query}"), resource.clone()).await.has_status(201);
    let path = format!("/{endpoint}/{}?{query}", created.id());
    for (method, body) in [(Method::PUT, resource), (Method::PATCH, &changes)] {
        let request = bridge.request(method.clone(), &path).header("Content-Type", "application/scim+json");
        let answer = Answer::of(request.body(body.to_string())).await.has_status(200);
        assert_eq!(answer.body, created.body, "{method} {path}");
    }
    let read = bridge.get(&path).await.has_status(200);
    assert_eq!(read.body, created.body, "{path}");
    let whole = bridge.get(&format!("/{endpoint}/{}", created.id())).await.has_status(200);
    assert_eq!(whole.body["displayName"], resource["displayName"], "all of it is stored");
    created.body
}

/// The names of what is shown, in order.
fn names(shown: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_write_of_a_user_shows_the_attributes_that_the_client_asks_for() {
    let bridge = bridge().await;
    let some = shown(&bridge, "Users", &user("ann"), "attributes=userName,name.familyName").await;
    assert_eq!(names(&some), ["id", "name", "schemas", "userName"]);
    assert_eq!(some["name"], json!({"familyName": "Roe"}));
    let part = shown(&bridge, "Users", &user("bob"), &format!("attributes={ENTERPRISE}:department")).await;
    assert_eq!(names(&part), ["id", "schemas", ENTERPRISE]);
    assert_eq!(part[ENTERPRISE], json!({"department": "Support"}));
    let extension = shown(&bridge, "Users", &user("cleo"), &format!("attributes={ENTERPRISE}")).await;
    assert_eq!(extension[ENTERPRISE], json!({"department": "Support", "employeeNumber": "4711"}));
    assert_eq!(names(&extension), ["id", "schemas", ENTERPRISE]);
}

#[tokio::test]
async fn a_write_of_a_user_leaves_out_the_attributes_that_the_client_excludes() {
    let bridge = bridge().await;
    let whole = bridge.post("/Users", user("zoe")).await.has_status(201).body;
    let fewer = shown(&bridge, "Users", &user("ann"), "excludedAttributes=emails,id,meta.location").await;
    let expected: Vec<&str> = names(&whole).into_iter().filter(|name| *name != "emails").collect();
    assert_eq!(names(&fewer), expected, "an id is always shown");
    assert!(fewer["meta"].get("location").is_none() && fewer["meta"].get("created").is_some());
    let without = shown(&bridge, "Users", &user("bob"), &format!("excludedAttributes={ENTERPRISE}")).await;
    let expected: Vec<&str> = names(&whole).into_iter().filter(|name| *name != ENTERPRISE).collect();
    assert_eq!(names(&without), expected);
    let part = shown(&bridge, "Users", &user("cleo"), &format!("excludedAttributes={ENTERPRISE}:department")).await;
    assert_eq!(part[ENTERPRISE], json!({"employeeNumber": "4711"}));
}

#[tokio::test]
async fn a_write_of_a_group_shows_what_the_client_asks_for() {
    let bridge = bridge().await;
    let ann = bridge.post("/Users", user("ann")).await.has_status(201).id();
    let name = shown(&bridge, "Groups", &group("Sales", &ann), "attributes=displayName").await;
    assert_eq!((names(&name), &name["displayName"]), (vec!["displayName", "id", "schemas"], &json!("Sales")));
    let ids = shown(&bridge, "Groups", &group("Support", &ann), "attributes=members.value").await;
    assert_eq!((names(&ids), &ids["members"]), (vec!["id", "members", "schemas"], &json!([{"value": ann}])));
    let without = shown(&bridge, "Groups", &group("Staff", &ann), "excludedAttributes=members").await;
    assert_eq!(names(&without), ["displayName", "externalId", "id", "meta", "schemas"]);
}

#[tokio::test]
async fn a_write_that_is_asked_to_show_too_much_is_refused_before_anything_is_written() {
    let bridge = bridge().await;
    let too_much = format!("attributes={}", ["title"; 1_001].join(","));
    is_refused(&bridge.post(&format!("/Users?{too_much}"), user("ann")).await, 400, "invalidValue");
    assert_eq!(bridge.get("/Users").await.has_status(200).body["totalResults"], 0);
    let ann = bridge.post("/Users", user("ann")).await.has_status(201);
    let title = json!([{"op": "replace", "path": "title", "value": "Agent"}]);
    is_refused(&bridge.patch(&format!("/Users/{}?{too_much}", ann.id()), title).await, 400, "invalidValue");
    let read = bridge.get(&format!("/Users/{}", ann.id())).await.has_status(200);
    assert_eq!(read.body, ann.body, "nothing is written");
}
