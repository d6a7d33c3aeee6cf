//! Who is let in, and what strangers learn.

use std::time::Duration;

use bridge_server::token::Token;
use bridge_store::{Options, RequestQuery, Store};
use bridge_tests::Answer;
use bridge_tests::replay::{SCIM_JSON, check_always};
use bridge_tests::samples::ann;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::{bridge, get, raw};

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
