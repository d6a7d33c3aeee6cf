//! Whatever a resource shows can be searched for, and what can be searched for is what `/Schemas` says (RFC 7644 section
//! 3.4.2.2): the answers of the database, attribute by attribute.

use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge};
use serde_json::{Value, json};

use crate::escaped;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const TELEPHONY: &str = "urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User";
const PROVISIONING: &str = "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User";
const PBX: &str = "urn:ietf:params:scim:schemas:extension:bridgeNetsapiens:2.0:User";

/// A user with a value of every kind, in every attribute of the core and enterprise schemas that a client may set.
fn everything() -> Value {
    let element = |value: &str| json!([{"value": value, "display": "Shown", "type": "work", "primary": true}]);
    let mut user = okta_user("ann");
    for (name, value) in [
        (
            "name",
            json!({
                "formatted": "Ms. Ann \"B.\" Roe", "familyName": "Röe", "givenName": "Ann", "middleName": "Bea",
                "honorificPrefix": "Ms.", "honorificSuffix": "III"
            }),
        ),
        ("nickName", json!("Annie \\ AR")),
        ("profileUrl", json!("https://acme.example/ann")),
        ("title", json!("Agent, 1st level")),
        ("userType", json!("Employee")),
        ("preferredLanguage", json!("en-GB")),
        ("timezone", json!("Europe/Berlin")),
        ("emails", element("ann@acme.example")),
        ("phoneNumbers", element("+49 30 123")),
        ("ims", element("ann.roe")),
        ("photos", element("https://acme.example/ann.png")),
        (
            "addresses",
            json!([{
                "formatted": "1 Main St\nSpringfield", "streetAddress": "1 Main St", "locality": "Springfield",
                "region": "IL", "postalCode": "62701", "country": "US", "type": "home", "primary": false
            }]),
        ),
        ("entitlements", element("desk")),
        ("roles", element("Agent")),
        ("x509Certificates", element("TUlJQw==")),
        (
            ENTERPRISE,
            json!({
                "employeeNumber": "4711", "costCenter": "K 9", "organization": "Acme", "division": "EMEA",
                "department": "R&D", "manager": {"value": "u9", "$ref": "../Users/u9"}
            }),
        ),
        (
            TELEPHONY,
            json!({"extension": "4242", "areaCode": "415", "voicemailEnabled": true, "directoryListed": false}),
        ),
        (PBX, json!({"area-code": 415, "department": "Support"})),
    ] {
        user[name] = value;
    }
    user
}

/// A value as a filter writes it.
fn literal(value: &Value) -> String {
    value.to_string()
}

/// The values of one attribute in a resource or in a part of one.
fn values(whole: &Value, name: &str) -> Vec<Value> {
    let elements = whole.as_array().cloned().unwrap_or_else(|| vec![whole.clone()]);
    let found = elements.iter().filter_map(|element| element.get(name));
    found.flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])).collect()
}

async fn search(bridge: &Bridge, endpoint: &str, filter: &str) -> Answer {
    bridge.get(&format!("/{endpoint}?attributes=id&filter={}", escaped(filter))).await
}

/// What a filter on one attribute must answer, for each that a schema describes. Gives the number of values it looked for.
async fn check(bridge: &Bridge, endpoint: &str, resource: &Value, described: &Value, prefix: &str) -> usize {
    let id = resource["id"].as_str().unwrap();
    let home = prefix.strip_suffix(':').and_then(|urn| resource.get(urn)).unwrap_or(resource);
    let mut count = 0;
    for attribute in described.as_array().unwrap() {
        let name = attribute["name"].as_str().unwrap();
        let whole = values(home, name);
        count += check_one(bridge, endpoint, id, attribute, &format!("{prefix}{name}"), &whole).await;
        for part in attribute["subAttributes"].as_array().into_iter().flatten() {
            let part_name = part["name"].as_str().unwrap();
            let path = format!("{prefix}{name}.{part_name}");
            count += check_one(bridge, endpoint, id, part, &path, &values(&json!(whole), part_name)).await;
        }
    }
    count
}

async fn check_one(
    bridge: &Bridge,
    endpoint: &str,
    id: &str,
    attribute: &Value,
    path: &str,
    values: &[Value],
) -> usize {
    let present = search(bridge, endpoint, &format!("{path} pr")).await;
    if attribute["returned"] == "never" {
        assert_eq!((present.status, present.scim_type()), (403, "sensitive"), "{path}");
        return 0;
    }
    assert_eq!(finds(present, id, path), !values.is_empty(), "{path} pr");
    if attribute["type"] == "complex" {
        return 0;
    }
    for value in values {
        let equal = search(bridge, endpoint, &format!("{path} eq {}", literal(value))).await;
        assert!(finds(equal, id, path), "{path} eq {value}");
        let other = search(bridge, endpoint, &format!("id eq \"{id}\" and not ({path} eq {})", literal(value))).await;
        assert!(!finds(other, id, path), "not ({path} eq {value})");
    }
    values.len()
}

fn finds(answer: Answer, id: &str, what: &str) -> bool {
    assert_eq!(answer.status, 200, "{what}: {:#}", answer.body);
    answer.body["Resources"].as_array().unwrap().iter().any(|resource| resource["id"] == id)
}

#[tokio::test]
async fn a_resource_is_found_by_every_value_that_it_shows() {
    let bridge = Bridge::start().await;
    bridge.post("/Users", okta_user("bob")).await.has_status(201);
    let id = bridge.post("/Users", everything()).await.has_status(201).id();
    let members = json!([{"value": id}]);
    let staff = json!({"schemas": [GROUP], "displayName": "Staff", "externalId": "g1", "members": members});
    let staff = bridge.post("/Groups", staff).await.has_status(201).id();
    bridge.post("/Groups", json!({"schemas": [GROUP], "displayName": "Empty"})).await.has_status(201);
    bridge.until_at_rest(&id).await;

    let mut user = bridge.get(&format!("/Users/{id}")).await.has_status(200).body;
    let where_it_is = bridge.get(&format!("/Users/{id}?attributes={PROVISIONING}")).await.has_status(200).body;
    user[PROVISIONING] = where_it_is[PROVISIONING].clone();
    let group = bridge.get(&format!("/Groups/{staff}")).await.has_status(200).body;
    let mut count = 0;
    for schema in bridge.get("/Schemas").await.has_status(200).body["Resources"].as_array().unwrap() {
        let urn = schema["id"].as_str().unwrap();
        count += match urn {
            USER => check(&bridge, "Users", &user, &schema["attributes"], "").await,
            GROUP => check(&bridge, "Groups", &group, &schema["attributes"], "").await,
            _ => check(&bridge, "Users", &user, &schema["attributes"], &format!("{urn}:")).await,
        };
    }
    assert!(count > 80, "so many values were looked for: {count}");
    // What every resource has stands in no schema (RFC 7643 section 3.1).
    for (endpoint, resource) in [("Users", &user), ("Groups", &group)] {
        for path in ["id", "schemas", "meta.resourceType", "meta.created", "meta.lastModified", "meta.location"] {
            let (name, part) = path.split_once('.').unwrap_or((path, ""));
            let whole = values(resource, name);
            let shown = if part.is_empty() { whole } else { values(&json!(whole), part) };
            let found = check_one(&bridge, endpoint, resource["id"].as_str().unwrap(), &json!({}), path, &shown).await;
            assert!(found > 0, "{path}");
        }
    }
    bridge.stop().await;
}
