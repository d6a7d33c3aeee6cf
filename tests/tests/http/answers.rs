//! What every answer has: heads, versions, compression, discovery without nulls.

use bridge_tests::Answer;
use bridge_tests::replay::{SCIM_JSON, check_always};
use bridge_tests::samples::ann;
use reqwest::Method;
use serde_json::{Value, json};

use super::{bridge, get, raw};

#[tokio::test]
async fn head_is_get_without_its_body() {
    let bridge = bridge().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    for (path, status) in [
        ("/Users".to_owned(), 200),
        (format!("/Users/{id}"), 200),
        ("/Schemas".to_owned(), 200),
        ("/ServiceProviderConfig".to_owned(), 200),
        ("/Users/nobody".to_owned(), 404),
    ] {
        let answer = Answer::of(bridge.request(Method::HEAD, &path)).await.has_status(status);
        assert_eq!(answer.body, Value::Null, "{path}");
        assert_eq!(answer.header("content-type"), SCIM_JSON, "{path}");
    }
}

#[tokio::test]
async fn a_version_is_an_etag_that_reads_and_writes_can_be_bound_to() {
    let bridge = bridge().await;
    let created = bridge.post("/Users", ann()).await.has_status(201);
    let (path, first) = (format!("/Users/{}", created.id()), created.header("etag").to_owned());
    assert_eq!(first, "W/\"1\"");
    assert_eq!(created.body["meta"]["version"], first.as_str());
    assert_eq!(created.header("location"), format!("{}{path}", bridge.scim_url()));

    let cached = Answer::of(bridge.request(Method::GET, &path).header("If-None-Match", &first)).await.has_status(304);
    assert_eq!(cached.header("etag"), first);

    let title = |text: &str| json!({"Operations": [{"op": "replace", "path": "title", "value": text}]}).to_string();
    let patch = async |if_match: &str, text: &str| {
        let request = bridge.request(Method::PATCH, &path).header("Content-Type", "application/scim+json");
        Answer::of(request.header("If-Match", if_match).body(title(text))).await
    };
    assert_eq!(patch(&first, "Lead").await.has_status(200).header("etag"), "W/\"2\"");
    let late = patch(&first, "Head").await.has_status(412);
    check_always(&late, "If-Match");
    assert_eq!(patch("*", "Head").await.has_status(200).body["title"], "Head");
    Answer::of(bridge.request(Method::GET, &path).header("If-None-Match", &first)).await.has_status(200);
    Answer::of(bridge.request(Method::DELETE, &path).header("If-Match", &first)).await.has_status(412);
    Answer::of(bridge.request(Method::DELETE, &path)).await.has_status(204);
}

#[tokio::test]
async fn lists_are_compressed_for_who_asks_and_nobody_else() {
    let bridge = bridge().await;
    for path in ["/Users", "/Schemas"] {
        for (accept, coding) in [(Some("gzip,deflate"), "gzip"), (Some("identity"), ""), (Some("br"), ""), (None, "")] {
            let mut request = bridge.request(Method::GET, path);
            if let Some(accept) = accept {
                request = request.header("Accept-Encoding", accept);
            }
            let response = request.send().await.unwrap();
            let actual = response.headers().get("content-encoding").map_or("", |coding| coding.to_str().unwrap());
            assert_eq!((response.status().as_u16(), actual), (200, coding), "{path} {accept:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request_after_an_error() {
    let bridge = bridge().await;
    let token = &bridge.token;
    let one = |path: &str, close: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{close}\r\n")
    };
    let both = one("/scim/v2/Users/nobody", "") + &one("/scim/v2/Users", "Connection: close\r\n");
    let (_, _, rest) = raw(&bridge, both.into_bytes()).await;
    assert!(rest.contains("HTTP/1.1 200 OK"), "{rest}");
}

#[tokio::test]
async fn discovery_is_whole_truthful_and_free_of_nulls() {
    let bridge = bridge().await;
    let schemas = get(&bridge, "/Schemas").await.has_status(200);
    let types = get(&bridge, "/ResourceTypes").await.has_status(200);
    get(&bridge, "/Schemas?filter=id+pr").await.has_status(403);
    for resource in [&schemas, &types].into_iter().flat_map(|list| list.body["Resources"].as_array().unwrap()) {
        let location = resource["meta"]["location"].as_str().unwrap();
        let path = location.strip_prefix(&bridge.scim_url()).unwrap_or_else(|| panic!("{location}"));
        assert_eq!(get(&bridge, path).await.has_status(200).body, *resource, "{path}");
        assert!(!has_null(resource), "{path}");
    }
    let schema_of = |id: &str| {
        let all = schemas.body["Resources"].as_array().unwrap();
        all.iter().find(|schema| schema["id"] == id).unwrap_or_else(|| panic!("no schema {id}")).clone()
    };
    for resource_type in types.body["Resources"].as_array().unwrap() {
        schema_of(resource_type["schema"].as_str().unwrap());
        for extension in resource_type["schemaExtensions"].as_array().unwrap() {
            schema_of(extension["schema"].as_str().unwrap());
        }
    }
    // Entra derives its attribute list from these (entra.md section 6).
    let user = schema_of("urn:ietf:params:scim:schemas:core:2.0:User");
    let attribute = |name: &str| {
        let all = user["attributes"].as_array().unwrap();
        all.iter().find(|attribute| attribute["name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let type_values = |name: &str| {
        let attribute = attribute(name);
        let parts = attribute["subAttributes"].as_array().unwrap().clone();
        parts.into_iter().find(|part| part["name"] == "type").map(|part| part["canonicalValues"].clone())
    };
    attribute("externalId");
    attribute("active");
    assert_eq!(type_values("emails"), Some(json!(["work", "home", "other"])));
    assert_eq!(type_values("addresses"), Some(json!(["work", "home", "other"])));
    assert_eq!(type_values("phoneNumbers"), Some(json!(["work", "home", "mobile", "fax", "pager", "other"])));
    assert_eq!(type_values("roles"), Some(Value::Null));
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
