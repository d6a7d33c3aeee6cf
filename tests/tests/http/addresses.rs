//! Addresses, methods and parameters that nobody knows.

use bridge_tests::replay::SCIM_JSON;
use bridge_tests::samples::{ann, okta_user};
use serde_json::{Value, json};

use super::{bridge, get, raw_get, send};

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
