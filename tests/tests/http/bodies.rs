//! Bodies, filters and media types that cannot be meant.

use bridge_tests::Answer;
use bridge_tests::replay::{SCIM_JSON, check_always};
use bridge_tests::samples::{ann, okta_user};
use reqwest::Method;
use serde_json::{Value, json};

use super::{bridge, get, raw, send};

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_with_its_place() {
    let bridge = bridge().await;
    let cases: [(&[u8], &str); 9] = [
        (b"", "empty"),
        (b"{", "line 1"),
        (b"{\"userName\":\n\n oops}", "line 3 column 2"),
        (b"{\"userName\": \"ann\",}", "line 1"),
        (b"[{\"userName\": \"ann\"}]", "array"),
        (b"\"ann\"", "text"),
        (b"null", "null"),
        (b"<user/>", "line 1 column 1"),
        (b"{\"userName\": \"\xff\"}", "line 1"),
    ];
    for (body, words) in cases {
        for (method, path) in [("POST", "/Users"), ("PUT", "/Users/x"), ("PATCH", "/Users/x")] {
            let answer = send(&bridge, method, path, body).await.has_status(400).names(&[words]);
            assert_eq!(answer.scim_type(), "invalidSyntax", "{method} {words}");
        }
    }
    assert_eq!(get(&bridge, "/Users").await.body["totalResults"], 0);
}

#[tokio::test]
async fn a_user_of_the_wrong_shape_is_refused_by_the_name_of_the_attribute() {
    let bridge = bridge().await;
    let user = |name: &str, value: Value| {
        let mut user = ann();
        user[name] = value;
        user
    };
    let cases = [
        (user("userName", json!({"a": 1})), "userName"),
        (user("userName", json!(["ann", "bob"])), "userName"),
        (user("userName", json!(null)), "userName"),
        (user("userName", json!("")), "userName"),
        (user("name", json!("Ann")), "name"),
        (user("name", json!({"givenName": {"a": 1}})), "givenName"),
        (user("active", json!("maybe")), "active"),
        (user("active", json!([true, false])), "active"),
        (user("emails", json!([{"value": 7.5}])), "emails"),
        (user("displayName", json!({"a": "b"})), "displayName"),
        (user("schemas", json!("urn:ietf:params:scim:schemas:core:2.0:User")), "schemas"),
        (user("schemas", json!(["urn:nothing"])), "schemas"),
        (user("displayName", json!("a\u{0}b")), "NUL"),
        (json!({}), "userName"),
    ];
    for (body, name) in cases {
        let answer = send(&bridge, "POST", "/Users", body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}: {:#}", answer.body);
        assert!(["invalidValue", "invalidSyntax"].contains(&answer.scim_type()), "{name}: {:#}", answer.body);
        assert!(answer.detail().contains(name), "{name}: {}", answer.detail());
    }
    assert_eq!(get(&bridge, "/Users").await.body["totalResults"], 0);
}

#[tokio::test]
async fn a_patch_that_cannot_be_meant_is_refused_and_changes_nothing() {
    let bridge = bridge().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let path = format!("/Users/{id}");
    let patch = |operations: Value| json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    let cases = [
        (patch(json!([{"op": "move", "path": "title", "value": "x"}])), &["invalidSyntax", "invalidValue"][..]),
        (patch(json!([{"path": "title", "value": "x"}])), &["invalidSyntax", "invalidValue"]),
        (patch(json!([{"op": 7, "path": "title", "value": "x"}])), &["invalidSyntax", "invalidValue"]),
        (patch(json!([{"op": "replace", "path": "emails[type eq", "value": "x"}])), &["invalidPath"]),
        (patch(json!([{"op": "replace", "path": "emails[type eq \"work\"", "value": "x"}])), &["invalidPath"]),
        (patch(json!([{"op": "replace", "path": "..", "value": "x"}])), &["invalidPath"]),
        (patch(json!([{"op": "replace", "path": 7, "value": "x"}])), &["invalidPath", "invalidSyntax"]),
        (patch(json!([{"op": "remove"}])), &["noTarget"]),
        (patch(json!([{"op": "replace", "path": "userName", "value": ""}])), &["invalidValue"]),
        (patch(json!([{"op": "remove", "path": "userName"}])), &["invalidValue", "mutability"]),
        (patch(json!([{"op": "replace", "value": "x"}])), &["invalidValue", "invalidSyntax"]),
        (patch(json!({"op": "replace", "value": []})), &["invalidSyntax", "invalidValue"]),
        (patch(json!("replace")), &["invalidSyntax", "invalidValue"]),
        (patch(json!(["replace"])), &["invalidSyntax", "invalidValue"]),
        (json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}), &["invalidSyntax", "invalidValue"]),
    ];
    for (body, keywords) in cases {
        let answer = send(&bridge, "PATCH", &path, body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}: {:#}", answer.body);
        assert!(keywords.contains(&answer.scim_type()), "{body}: {:#}", answer.body);
    }
    let user = get(&bridge, &path).await;
    assert_eq!(user.body["meta"]["version"], "W/\"1\"");
    assert_eq!(user.body["userName"], "ann@acme.example");
}

#[tokio::test]
async fn a_user_who_is_patched_again_and_again_grows_to_a_limit_and_can_leave() {
    let bridge = bridge().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let path = format!("/Users/{id}");
    let add = |round: usize| {
        let photo =
            |number: usize| json!({"value": format!("https://acme.example/{round}/{number}/{}", "x".repeat(9_000))});
        let photos: Vec<Value> = (0..10).map(photo).collect();
        json!({"Operations": [{"op": "add", "path": "photos", "value": photos}]}).to_string()
    };
    for round in 0..2 {
        send(&bridge, "PATCH", &path, add(round)).await.has_status(200);
    }
    let refused = send(&bridge, "PATCH", &path, add(2)).await.has_status(400).names(&["photos", "262144"]);
    assert_eq!(refused.scim_type(), "invalidValue");
    assert_eq!(get(&bridge, &path).await.body["photos"].as_array().unwrap().len(), 20);
    let conditions: Vec<String> = (0..20).map(|number| format!("value co \"q{number}\"")).collect();
    let look = json!({"op": "replace", "path": format!("photos[{}].display", conditions.join(" or ")), "value": "x"});
    let refused = send(&bridge, "PATCH", &path, json!({"Operations": vec![look; 1_500]}).to_string()).await;
    assert_eq!(refused.has_status(400).scim_type(), "tooMany");
    let leave = json!({"Operations": [{"op": "replace", "path": "active", "value": false}]});
    send(&bridge, "PATCH", &path, leave.to_string()).await.has_status(200);
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_never_becomes_the_whole_list() {
    let bridge = bridge().await;
    bridge.post("/Users", ann()).await.has_status(201);
    let deep = format!("{}active pr{}", "(".repeat(500), ")".repeat(500));
    let long = format!("userName eq \"{}\"", "a".repeat(20_000));
    let filters = [
        "",
        " ",
        "userName",
        "userName eq",
        "userName eq \"ann",
        "userName is \"ann\"",
        "eq \"ann\"",
        "userName eq \"ann\" and",
        "(userName eq \"ann\"",
        "userName eq \"ann\")",
        "emails[type eq \"work\"",
        "shoeSize eq 44",
        "active gt true",
        "urn:nothing:2.0:User:x eq \"y\"",
        "userName eq \"a\u{0}b\"",
        "'; drop table resource; --",
        deep.as_str(),
        long.as_str(),
    ];
    for filter in filters {
        let escaped: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = bridge.get(&format!("/Users?filter={escaped}")).await;
        check_always(&answer, filter);
        assert_eq!(answer.status, 400, "{filter}: {:#}", answer.body);
        assert_eq!(answer.scim_type(), "invalidFilter", "{filter}");
        assert!(answer.body.get("Resources").is_none(), "{filter}");
    }
    let secret = get(&bridge, "/Users?filter=password+sw+%22k%22").await.has_status(403).names(&["password"]);
    assert_eq!(secret.scim_type(), "sensitive");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_without_being_read() {
    let bridge = bridge().await;
    let ten_megabytes = 10 << 20;
    let head = |length: &str| {
        let token = &bridge.token;
        format!(
            "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/scim+json\r\n{length}\r\n\r\n"
        )
    };
    // Nothing of the announced body is ever sent: the answer cannot have waited for it.
    let announced = head(&format!("Content-Length: {ten_megabytes}")).into_bytes();
    let (status, head_of_answer, body) = raw(&bridge, announced).await;
    assert_eq!(status, 413, "{body}");
    assert!(head_of_answer.contains("connection: close"), "{head_of_answer}");
    assert!(body.contains("1048576"), "{body}");

    let mut unannounced = head("Transfer-Encoding: chunked").into_bytes();
    for _ in 0..20 {
        unannounced.extend_from_slice(b"10000\r\n");
        unannounced.extend_from_slice(&[b' '; 0x10000]);
        unannounced.extend_from_slice(b"\r\n");
    }
    let (status, _, body) = raw(&bridge, unannounced).await;
    assert_eq!(status, 413, "{body}");

    let sent = send(&bridge, "POST", "/Users", vec![b' '; ten_megabytes]).await.has_status(413);
    assert_eq!(sent.body["status"], "413");
    assert_eq!(get(&bridge, "/Users").await.body["totalResults"], 0);
}

#[tokio::test]
async fn a_body_that_is_nested_too_deep_is_refused() {
    let bridge = bridge().await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let body = format!("{{\"userName\": {}1{}}}", open.repeat(50_000), close.repeat(50_000));
        send(&bridge, "POST", "/Users", body).await.has_status(400);
    }
    let nested = format!("{{\"userName\": \"ann\", \"name\": {}{}}}", "[".repeat(100), "]".repeat(100));
    send(&bridge, "POST", "/Users", nested).await.has_status(400);
}

#[tokio::test]
async fn other_media_types_are_refused_and_the_usual_ones_taken() {
    let bridge = bridge().await;
    let post = async |media_type: Option<&str>, name: &str| {
        let mut request = bridge.request(Method::POST, "/Users").body(okta_user(name).to_string());
        if let Some(media_type) = media_type {
            request = request.header("Content-Type", media_type);
        }
        let answer = Answer::of(request).await;
        check_always(&answer, media_type.unwrap_or("none"));
        answer
    };
    let refused =
        ["text/plain", "application/x-www-form-urlencoded", "application/xml", "text/html; charset=utf-8", "nonsense"];
    for media_type in refused {
        post(Some(media_type), "ann").await.has_status(415).names(&[media_type.split(';').next().unwrap()]);
    }
    let taken = [
        None,
        Some("application/scim+json"),
        Some("application/json"),
        Some("application/scim+json; charset=utf-8"),
        Some("application/json;charset=UTF-8"),
        Some("APPLICATION/SCIM+JSON; charset=iso-8859-1"),
    ];
    for (number, media_type) in taken.into_iter().enumerate() {
        post(media_type, &format!("user{number}")).await.has_status(201);
    }
    let compressed = bridge.request(Method::POST, "/Users").header("Content-Encoding", "gzip").body("{}");
    Answer::of(compressed).await.has_status(415).names(&["gzip"]);
}

#[tokio::test]
async fn whatever_a_client_accepts_it_gets_scim() {
    let bridge = bridge().await;
    for accept in ["application/scim+json", "application/json", "*/*", "text/html", "application/xml;q=0.9", ""] {
        let answer = Answer::of(bridge.request(Method::GET, "/Users").header("Accept", accept)).await.has_status(200);
        assert_eq!(answer.header("content-type"), SCIM_JSON, "{accept}");
    }
}
