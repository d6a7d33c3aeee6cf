//! What no well-behaved client sends, and what some send all the same: every answer is SCIM, a 4xx says what is wrong, and
//! nothing is ever answered 5xx or in HTML (DESIGN section 6, interop cases 17 to 35).

#![expect(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bridge_server::token::Token;
use bridge_store::{Options, RequestQuery, Store};
use bridge_tests::replay::{SCIM_JSON, check_always};
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Answer, Bridge, Setup};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

/// A second tenant beside `default`.
const GLOBEX: &str = "[tenants.globex]\nextensions = []\n";

/// A bridge that answers when a write is stored: these tests are about the door, not about the targets behind it.
async fn bridge() -> Bridge {
    Bridge::with(Setup { more: GLOBEX.to_owned(), ..Setup::default().wait("0s") }).await
}

async fn send(bridge: &Bridge, method: &str, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = bridge.request(method.parse().unwrap(), path).header("Content-Type", "application/scim+json");
    let answer = Answer::of(request.body(body)).await;
    check_always(&answer, &format!("{method} {path}"));
    answer
}

async fn get(bridge: &Bridge, path: &str) -> Answer {
    let answer = bridge.get(path).await;
    check_always(&answer, path);
    answer
}

/// Sends bytes as they are, for what an HTTP library would put right. Gives status, head and body of the answer.
async fn raw(bridge: &Bridge, request: Vec<u8>) -> (u16, String, String) {
    let address = bridge.running.scim_addr;
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The bridge may have answered and closed before it has taken everything.
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the bridge does not close: {error}");
        }
        String::from_utf8(answer).unwrap()
    };
    let answer = tokio::task::spawn_blocking(exchange).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_lowercase(), body.to_owned())
}

async fn raw_get(bridge: &Bridge, target: &str) -> (u16, String, String) {
    let token = &bridge.token;
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    raw(bridge, request.into_bytes()).await
}

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

#[tokio::test]
async fn nobody_is_let_in_without_a_good_token_of_that_tenant() {
    let bridge = bridge().await;
    let globex = bridge.running.new_token("globex", "other").await.unwrap();
    let ask = async |base: &str, authorization: Option<&str>| {
        let url = format!("http://{}{base}/Users", bridge.running.scim_addr);
        let mut request = reqwest::Client::new().get(url);
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let answer = Answer::of(request).await;
        check_always(&answer, base);
        answer
    };
    let (ours, theirs) = (format!("Bearer {}", bridge.token), format!("Bearer {globex}"));
    let unknown = "Bearer scimb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    ask("/scim/v2", Some(&ours)).await.has_status(200);
    ask("/t/default/scim/v2", Some(&ours)).await.has_status(200);
    ask("/t/globex/scim/v2", Some(&theirs)).await.has_status(200);
    for authorization in
        [None, Some(""), Some("Bearer"), Some("Bearer non-token"), Some("Basic YTpi"), Some("Digest x")]
    {
        let answer = ask("/scim/v2", authorization).await.has_status(401);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{authorization:?}");
    }

    let words = ask("/scim/v2", Some(unknown)).await.has_status(401).detail().to_owned();
    for (base, authorization) in [
        ("/scim/v2", theirs.as_str()),
        ("/t/globex/scim/v2", ours.as_str()),
        ("/t/nobody/scim/v2", ours.as_str()),
        ("/t/nobody/scim/v2", unknown),
    ] {
        assert_eq!(ask(base, Some(authorization)).await.has_status(401).detail(), words, "{base}");
    }
}

#[tokio::test]
async fn a_token_that_another_process_revokes_is_refused_soon() {
    let bridge = bridge().await;
    let (kept, revoked) = (&bridge.token, bridge.running.new_token("default", "leaked").await.unwrap());
    let status = async |token: &str| {
        let request = reqwest::Client::new().get(format!("{}/Users?count=0", bridge.scim_url())).bearer_auth(token);
        Answer::of(request).await.status
    };
    assert_eq!((status(kept).await, status(&revoked).await), (200, 200));
    // What `token revoke` does beside a running server.
    let visitor = Store::open(&Options::visit(bridge.folder().join("bridge.db"))).unwrap();
    let selector = Token::parse(&revoked).unwrap().selector();
    assert!(visitor.write(move |tx| tx.revoke_credential("default", &selector, Timestamp::UNIX_EPOCH)).await.unwrap());
    visitor.close().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while status(&revoked).await != 401 {
        assert!(tokio::time::Instant::now() < deadline, "the revoked token is still good");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(kept).await, 200);
}

#[tokio::test]
async fn a_user_of_another_tenant_is_nobody() {
    let bridge = bridge().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let token = bridge.running.new_token("globex", "other").await.unwrap();
    let base = bridge.running.scim_url("globex");
    let ask = async |method: Method, path: &str, body: Value| {
        let request = reqwest::Client::new().request(method, format!("{base}{path}")).bearer_auth(&token);
        Answer::of(request.body(body.to_string())).await
    };
    let inactive = json!({"Operations": [{"op": "replace", "value": {"active": false}}]});
    ask(Method::GET, &format!("/Users/{id}"), Value::Null).await.has_status(404);
    ask(Method::PUT, &format!("/Users/{id}"), ann()).await.has_status(404);
    ask(Method::PATCH, &format!("/Users/{id}"), inactive).await.has_status(404);
    ask(Method::DELETE, &format!("/Users/{id}"), Value::Null).await.has_status(404);
    assert_eq!(ask(Method::GET, "/Users", Value::Null).await.has_status(200).body["totalResults"], 0);
    ask(Method::POST, "/Users", ann()).await.has_status(201);
    let ours = get(&bridge, &format!("/Users/{id}")).await.has_status(200);
    assert_eq!(ours.body["meta"]["version"], "W/\"1\"");
}

#[tokio::test]
async fn a_refused_log_in_is_in_the_journal_without_its_token() {
    let bridge = bridge().await;
    let wrong = "scimb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let request = reqwest::Client::new().get(format!("{}/Users?filter=x", bridge.scim_url())).bearer_auth(wrong);
    let id = Answer::of(request).await.has_status(401).header("x-request-id").to_owned();
    let query = RequestQuery { tenant: "default".to_owned(), ..RequestQuery::default() };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let entry = loop {
        let entries = bridge.running.bridge.store.read(|db| db.requests(&query)).await.unwrap();
        if let Some(entry) = entries.into_iter().find(|entry| entry.request_id == id) {
            break entry;
        }
        assert!(tokio::time::Instant::now() < deadline, "the refused log-in is not in the journal");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(entry.status, Some(401));
    assert!(!format!("{entry:?}").contains(wrong), "{entry:?}");
}

#[tokio::test]
async fn a_token_is_checked_before_anything_else_of_a_request() {
    let bridge = bridge().await;
    let requests = [
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 99999999\r\n\r\n",
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"use\r\n",
        "DELETE /scim/v2/Schemas HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /scim/v2/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /scim/v2/Users?filter=%22 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ];
    for request in requests {
        let (status, head, body) = raw(&bridge, request.as_bytes().to_vec()).await;
        assert_eq!(status, 401, "{request}: {body}");
        assert!(head.contains(SCIM_JSON), "{head}");
    }
}

#[tokio::test]
async fn an_odd_id_is_nobody() {
    let bridge = bridge().await;
    let long = "x".repeat(8_000);
    let ids = [
        "010101001010101011001010101011",
        "-1",
        "0",
        "null",
        "undefined",
        "00000000-0000-0000-0000-000000000000",
        "a%2Fb",
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e",
        "a%00b",
        "%00",
        "%25",
        "%F0%9F%92%A9",
        "M%C3%BCller",
        "%22",
        "';drop%20table%20resource;--",
        "a%20b",
        "a+b",
        "bulkId:1",
        "urn:ietf:params:scim:schemas:core:2.0:User",
        long.as_str(),
    ];
    for id in ids {
        let (status, head, body) = raw_get(&bridge, &format!("/scim/v2/Users/{id}")).await;
        assert_eq!(status, 404, "{id}: {body}");
        assert!(head.contains(SCIM_JSON), "{id}: {head}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["detail"].as_str().unwrap().chars().count() <= 200, "{id}");
    }
    send(&bridge, "DELETE", "/Users/010101001010101011001010101011", "").await.has_status(404);
}

#[tokio::test]
async fn an_address_that_does_not_decode_is_refused() {
    let bridge = bridge().await;
    for target in
        ["/scim/v2/Users/%ff%fe", "/scim/v2/%c3%28", "/scim/v2/Users?filter=%ff", "/scim/v2/Users?count=%c3%28"]
    {
        let (status, head, body) = raw_get(&bridge, target).await;
        assert_eq!(status, 400, "{target}: {body}");
        assert!(head.contains(SCIM_JSON), "{target}: {head}");
    }
    for target in ["/scim/v2/Users/%zz", "/scim/v2/Users/%", "/scim/v2/Users/100%"] {
        let (status, _, body) = raw_get(&bridge, target).await;
        assert_eq!(status, 404, "{target}: {body}");
    }
}

#[tokio::test]
async fn an_unknown_address_is_answered_in_scim() {
    let bridge = bridge().await;
    for path in ["/Nothing", "/Nothing/1", "/Users/1/2/3", "/Schemas/x", "/ResourceTypes/Robot", "/Robots", "/v1/Users"]
    {
        get(&bridge, path).await.has_status(404);
    }
    for target in ["/", "/favicon.ico", "/scim", "/scim/v1/Users", "/t//scim/v2/Users", "/t/default/scim/v3/Users"] {
        let (status, head, body) = raw_get(&bridge, target).await;
        assert_eq!(status, 404, "{target}: {body}");
        assert!(head.contains(SCIM_JSON), "{target}: {head}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_possible_is_told_the_possible_ones() {
    let bridge = bridge().await;
    let cases = [
        ("PUT", "/Users", "GET, HEAD, POST"),
        ("DELETE", "/Users", "GET, HEAD, POST"),
        ("POST", "/Users/1", "GET, HEAD, PUT, PATCH, DELETE"),
        ("POST", "/Schemas", "GET, HEAD"),
        ("PATCH", "/ServiceProviderConfig", "GET, HEAD"),
        ("DELETE", "/ResourceTypes/User", "GET, HEAD"),
        ("OPTIONS", "/Users", "GET, HEAD, POST"),
        ("BREW", "/Users", "GET, HEAD, POST"),
    ];
    for (method, path, allow) in cases {
        let answer = send(&bridge, method, path, "{}").await.has_status(405);
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let bridge = bridge().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        send(&bridge, method, "/Me", "{}").await.has_status(501);
    }
}

#[tokio::test]
async fn a_base_url_and_an_address_may_end_in_a_slash() {
    let bridge = bridge().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    for path in ["/Users/", "//Users", "/Users/?count=5", "/Users?", "/Users?&", "/Users/?&count=5&", "/Users??count=5"]
    {
        assert_eq!(get(&bridge, path).await.has_status(200).body["totalResults"], 1, "{path}");
    }
    for path in [format!("/Users/{id}/"), format!("/Users/{id}?"), format!("//Users//{id}")] {
        assert_eq!(get(&bridge, &path).await.has_status(200).id(), id, "{path}");
    }
    get(&bridge, "/ServiceProviderConfig/").await.has_status(200);
    get(&bridge, "/ServiceConfiguration").await.has_status(200);
    send(&bridge, "POST", "/Users/", okta_user("bob").to_string()).await.has_status(201);
}

#[tokio::test]
async fn unknown_query_parameters_are_overlooked_and_known_ones_never() {
    let bridge = bridge().await;
    for name in ["ann", "bob"] {
        bridge.post("/Users", okta_user(name)).await.has_status(201);
    }
    let filter = "filter=userName+eq+%22ann@acme.example%22";
    for query in [
        format!("{filter}&sortBy=userName&sortOrder=descending"),
        format!("tenant=1&x=%20&{filter}"),
        format!("aadOptscim062020?{filter}"),
        format!("FILTER={}", &filter["filter=".len()..]),
        format!("&&{filter}&&"),
    ] {
        assert_eq!(get(&bridge, &format!("/Users?{query}")).await.has_status(200).body["totalResults"], 1, "{query}");
    }
    get(&bridge, &format!("/Users?{filter}&filter=active+pr")).await.has_status(400).names(&["filter"]);
}

#[tokio::test]
async fn paging_numbers_are_brought_into_range_or_refused() {
    let bridge = bridge().await;
    for name in ["ann", "bob", "cid"] {
        bridge.post("/Users", okta_user(name)).await.has_status(201);
    }
    for (query, start_index, items) in [
        ("count=0", 1, 0),
        ("count=-7", 1, 0),
        ("startIndex=0", 1, 3),
        ("startIndex=-3&count=2", 1, 2),
        ("startIndex=3", 3, 1),
        ("count=99999999999999999999", 1, 3),
        ("startIndex=&count=", 1, 3),
    ] {
        let page = get(&bridge, &format!("/Users?{query}")).await.has_status(200);
        assert_eq!(page.body["totalResults"], 3, "{query}");
        assert_eq!(page.body["startIndex"], start_index, "{query}");
        assert_eq!(page.body["itemsPerPage"], items, "{query}");
    }
    let page = get(&bridge, "/Users?startIndex=99999999999999999999").await.has_status(200);
    assert_eq!((&page.body["totalResults"], &page.body["itemsPerPage"]), (&json!(3), &json!(0)));
    for query in ["count=ten", "startIndex=1.5", "count=1e2"] {
        assert_eq!(
            get(&bridge, &format!("/Users?{query}")).await.has_status(400).scim_type(),
            "invalidValue",
            "{query}"
        );
    }
}

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
