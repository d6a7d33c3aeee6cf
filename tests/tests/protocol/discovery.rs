//! What is offered, and to whom: each tenant has the extensions that its configuration lists (RFC 7644 section 4, entra.md
//! section 6).

use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::bridge;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// The extensions of the three targets.
const TARGETS: [&str; 3] = [
    "urn:ietf:params:scim:schemas:extension:bridgeGlance:2.0:User",
    "urn:ietf:params:scim:schemas:extension:bridgeNetsapiens:2.0:User",
    "urn:ietf:params:scim:schemas:extension:bridgeCrmcom:2.0:User",
];

/// Which of the targets' extensions are in a list, under a key.
fn targets_in(list: &Value, key: &str) -> Vec<String> {
    let urns = list.as_array().unwrap().iter().map(|element| element[key].as_str().unwrap().to_owned());
    urns.filter(|urn| TARGETS.contains(&urn.as_str())).collect()
}

/// A schema, by its URN.
async fn schema(bridge: &Bridge, urn: &str) -> Value {
    bridge.get(&format!("/Schemas/{urn}")).await.has_status(200).body
}

/// What an array of attributes says of one of them; null if it is not there.
fn named(attributes: &Value, name: &str) -> Value {
    let found = attributes.as_array().unwrap().iter().find(|attribute| attribute["name"] == name);
    found.cloned().unwrap_or_default()
}

#[tokio::test]
async fn each_tenant_announces_the_extensions_that_it_lists_and_takes_no_others() {
    let more = "[tenants.globex]\nextensions = [\"glance\"]\n".to_owned();
    let bridge = Bridge::with(Setup { more, ..Setup::default().wait("0s") }).await;
    let token = bridge.running.new_token("globex", "theirs").await.unwrap();
    let globex = |method: Method, path: &str| -> RequestBuilder {
        let url = format!("http://{}/t/globex/scim/v2{path}", bridge.running.scim_addr);
        reqwest::Client::new().request(method, url).bearer_auth(&token).header("Content-Type", "application/scim+json")
    };
    let theirs = async |path: &str| Answer::of(globex(Method::GET, path)).await;

    let ours = bridge.get("/Schemas").await.has_status(200).body;
    assert_eq!(targets_in(&ours["Resources"], "id"), TARGETS);
    let other = theirs("/Schemas").await.has_status(200).body;
    assert_eq!(targets_in(&other["Resources"], "id"), TARGETS[..1]);
    assert_eq!(other["totalResults"].as_u64().unwrap() + 2, ours["totalResults"].as_u64().unwrap());
    let ours = bridge.get("/ResourceTypes/User").await.has_status(200).body;
    assert_eq!(targets_in(&ours["schemaExtensions"], "schema"), TARGETS);
    let other = theirs("/ResourceTypes/User").await.has_status(200).body;
    assert_eq!(targets_in(&other["schemaExtensions"], "schema"), TARGETS[..1]);
    for urn in &TARGETS[1..] {
        schema(&bridge, urn).await;
        theirs(&format!("/Schemas/{urn}")).await.has_status(404);
    }

    let mut user = okta_user("ann");
    user["schemas"] = json!([USER, TARGETS[0], TARGETS[1]]);
    user[TARGETS[0]] = json!({"UserFirst": "Annie"});
    user[TARGETS[1]] = json!({"area-code": 415});
    let kept = bridge.post("/Users", user.clone()).await.has_status(201).body;
    assert_eq!((&kept[TARGETS[0]], &kept[TARGETS[1]]), (&user[TARGETS[0]], &user[TARGETS[1]]));
    let made = Answer::of(globex(Method::POST, "/Users").body(user.to_string())).await.has_status(201);
    let read = theirs(&format!("/Users/{}", made.id())).await.has_status(200).body;
    for shown in [&made.body, &read] {
        assert_eq!(shown[TARGETS[0]], user[TARGETS[0]]);
        assert_eq!(shown.get(TARGETS[1]), None, "the tenant does not have this extension");
        assert!(!shown["schemas"].as_array().unwrap().contains(&json!(TARGETS[1])));
    }
    theirs(&format!("/Users?filter={}:area-code+eq+415", TARGETS[1])).await.has_status(400);
    let url = format!("{}/admin/v1/connections?connection=theirs", bridge.admin_url());
    let known = Answer::of(reqwest::Client::new().get(url)).await.has_status(200).body;
    let noted = &known["connections"][0]["quirks"]["unknown_schema"];
    assert_eq!(*noted, json!({"count": 1, "attribute": TARGETS[1]}));
    bridge.stop().await;
}

#[tokio::test]
async fn a_change_of_password_is_offered_where_it_reaches_an_account() {
    let offered = async |setup: Setup| {
        let bridge = Bridge::with(setup.wait("0s")).await;
        let configuration = bridge.get("/ServiceProviderConfig").await.has_status(200).body;
        bridge.stop().await;
        configuration["changePassword"].clone()
    };
    assert_eq!(offered(Setup::default()).await, json!({"supported": false}));
    let with_rule = Setup::default().glance(r#"map.UserPW = "password""#);
    assert_eq!(offered(with_rule).await, json!({"supported": true}));
}

#[tokio::test]
async fn the_schemas_have_what_entra_id_looks_for() {
    let bridge = bridge().await;
    let (user, group) = (schema(&bridge, USER).await, schema(&bridge, GROUP).await);
    for attributes in [&user["attributes"], &group["attributes"]] {
        let external_id = named(attributes, "externalId");
        assert_eq!((&external_id["type"], &external_id["multiValued"]), (&json!("string"), &json!(false)));
        assert_eq!((&external_id["caseExact"], &external_id["mutability"]), (&json!(true), &json!("readWrite")));
    }
    assert_eq!(named(&user["attributes"], "active")["type"], "boolean");
    let roles = named(&user["attributes"], "roles");
    assert_eq!(named(&roles["subAttributes"], "primary")["type"], "boolean");
    let members = named(&group["attributes"], "members");
    assert_eq!((&members["type"], &members["multiValued"]), (&json!("complex"), &json!(true)));
    assert_eq!(named(&members["subAttributes"], "value")["type"], "string");
}

#[tokio::test]
async fn the_configuration_is_found_by_the_name_that_microsoft_writes_too() {
    let bridge = bridge().await;
    let expected = bridge.get("/ServiceProviderConfig").await.has_status(200);
    let found = bridge.get("/ServiceConfiguration").await.has_status(200);
    assert_eq!(found.body, expected.body);
    assert_eq!(found.header("content-type"), expected.header("content-type"));
}

#[tokio::test]
async fn discovery_is_always_whole_so_a_filter_is_refused_and_the_rest_of_a_query_overlooked() {
    let bridge = bridge().await;
    for path in [
        "/ServiceProviderConfig",
        "/ResourceTypes",
        "/ResourceTypes/User",
        "/Schemas",
        "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
    ] {
        let whole = bridge.get(path).await.has_status(200).body;
        let overlooked = bridge.get(&format!("{path}?startIndex=2&count=1&sortBy=id&attributes=name")).await;
        assert_eq!(overlooked.has_status(200).body, whole, "{path}");
        bridge.get(&format!("{path}?filter=id%20pr")).await.has_status(403).names(&["filtered"]);
    }
}
