//! Walking through a list by cursor (RFC 9865).

use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup};
use serde_json::{Value, json};

use crate::{is_refused, names, with_users};

const PEOPLE: [&str; 7] = ["gus", "ann", "eve", "cid", "dan", "fay", "bob"];

/// All names, page by page, and how long the pages were.
async fn walk(bridge: &Bridge, query: &str, count: usize) -> (Vec<String>, Vec<usize>) {
    let (mut seen, mut lengths, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = bridge.get(&format!("/Users?{query}&count={count}&cursor={cursor}")).await.has_status(200);
        assert!(page.body["totalResults"].is_u64() && page.body.get("startIndex").is_none(), "{:#}", page.body);
        assert_eq!(page.body["itemsPerPage"], names(&page).len());
        lengths.push(names(&page).len());
        seen.extend(names(&page).into_iter().map(str::to_owned));
        match page.body.get("nextCursor") {
            Some(next) => cursor = next.as_str().unwrap().to_owned(),
            None => return (seen, lengths),
        }
    }
}

async fn first_cursor(bridge: &Bridge, query: &str) -> String {
    let page = bridge.get(&format!("/Users?{query}&count=2&cursor=")).await.has_status(200);
    page.body["nextCursor"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_walk_by_cursor_shows_everybody_once_and_ends() {
    let bridge = with_users(&PEOPLE).await;
    let mut sorted = PEOPLE;
    sorted.sort_unstable();
    let backwards: Vec<&str> = sorted.into_iter().rev().collect();
    for (query, expected) in [
        ("x=1", PEOPLE.to_vec()),
        ("filter=active+eq+true", PEOPLE.to_vec()),
        ("sortBy=userName", sorted.to_vec()),
        ("sortBy=nickName", PEOPLE.to_vec()),
        ("sortBy=name.givenName&sortOrder=descending", backwards.clone()),
        ("sortBy=userName&sortOrder=descending&filter=active+eq+true", backwards),
    ] {
        let (seen, lengths) = walk(&bridge, query, 3).await;
        assert_eq!(
            (seen.iter().map(String::as_str).collect::<Vec<_>>(), lengths),
            (expected, vec![3, 3, 1]),
            "{query}"
        );
    }
    assert_eq!(walk(&bridge, "", 7).await.1, [7], "a full last page has no next one");
    let bare = bridge.get("/Users?cursor").await.has_status(200);
    assert_eq!((names(&bare).len(), bare.body.get("nextCursor")), (7, None));
}

#[tokio::test]
async fn a_walk_by_cursor_passes_over_nobody_when_others_come_and_go() {
    let bridge = with_users(&PEOPLE).await;
    for query in ["x=1", "sortBy=userName"] {
        let page = bridge.get(&format!("/Users?{query}&count=3&cursor=")).await.has_status(200);
        let cursor = page.body["nextCursor"].as_str().unwrap().to_owned();
        let shown: Vec<String> = names(&page).into_iter().map(str::to_owned).collect();
        let leaver = page.body["Resources"][2]["id"].as_str().unwrap();
        bridge.delete(&format!("/Users/{leaver}")).await.has_status(204);
        let rest = bridge.get(&format!("/Users?{query}&count=100&cursor={cursor}")).await.has_status(200);
        let all: Vec<&str> = shown.iter().map(String::as_str).chain(names(&rest)).collect();
        assert_eq!(all.len(), 7, "{query}: {all:?}");
        bridge.post("/Users", okta_user(&shown[2])).await.has_status(201);
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_query_only() {
    let bridge = with_users(&PEOPLE).await;
    let cursor = first_cursor(&bridge, "sortBy=userName").await;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~".contains(letter);
    assert!(cursor.chars().all(is_plain), "{cursor}");
    bridge.get(&format!("/Users?sortBy=userName&cursor={cursor}")).await.has_status(200);
    bridge.get(&format!("/Users?sortBy=userName&attributes=id&count=5&cursor={cursor}")).await.has_status(200);
    for query in ["", "sortBy=title", "sortBy=userName&sortOrder=descending", "sortBy=userName&filter=active+pr"] {
        is_refused(&bridge.get(&format!("/Users?{query}&cursor={cursor}")).await, 400, "invalidCursor");
    }
    is_refused(&bridge.get(&format!("?sortBy=userName&cursor={cursor}")).await, 400, "invalidCursor");
    let mut changed = cursor.clone().into_bytes();
    let place = changed.len() / 2;
    changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
    for cursor in [String::from_utf8(changed).unwrap().as_str(), "x", "abc%20", "%22", &cursor[..40]] {
        is_refused(&bridge.get(&format!("/Users?sortBy=userName&cursor={cursor}")).await, 400, "invalidCursor");
    }
}

#[tokio::test]
async fn a_cursor_of_another_tenant_is_none() {
    let more = "[tenants.globex]\nextensions = []\n".to_owned();
    let bridge = Bridge::with(Setup { more, ..Setup::default().wait("0s") }).await;
    for name in PEOPLE {
        bridge.post("/Users", okta_user(name)).await.has_status(201);
    }
    let cursor = first_cursor(&bridge, "").await;
    let token = bridge.running.new_token("globex", "globex").await.unwrap();
    let url = format!("{}/Users?cursor={cursor}", bridge.running.scim_url("globex"));
    let answer = Answer::of(reqwest::Client::new().get(url).bearer_auth(token)).await;
    is_refused(&answer, 400, "invalidCursor");
}

#[tokio::test]
async fn a_cursor_outlives_a_restart_and_not_a_day() {
    let clock = Clock::hand_set("2026-01-01T00:00:00Z".parse().unwrap());
    let bridge = Bridge::with(Setup { clock: clock.clone(), ..Setup::default().wait("0s") }).await;
    for name in PEOPLE {
        bridge.post("/Users", okta_user(name)).await.has_status(201);
    }
    let cursor = first_cursor(&bridge, "").await;
    let bridge = bridge.restart().await;
    clock.advance(Duration::from_secs(86_399));
    assert_eq!(names(&bridge.get(&format!("/Users?cursor={cursor}")).await.has_status(200)).len(), 5);
    clock.advance(Duration::from_secs(1));
    is_refused(&bridge.get(&format!("/Users?cursor={cursor}")).await, 400, "expiredCursor");
}

#[tokio::test]
async fn a_cursor_goes_with_a_count_and_without_an_index() {
    let bridge = with_users(&PEOPLE).await;
    is_refused(&bridge.get("/Users?cursor=&startIndex=1").await, 400, "invalidValue");
    for count in ["0", "-1", "ten"] {
        is_refused(&bridge.get(&format!("/Users?cursor=&count={count}")).await, 400, "invalidCount");
    }
    bridge.get("/Users?cursor=&count=99999").await.has_status(200);
}

#[tokio::test]
async fn a_search_by_post_walks_by_cursor_too() {
    let bridge = with_users(&PEOPLE).await;
    for path in ["/Users/.search", "/.search"] {
        let (mut seen, mut cursor) = (Vec::new(), json!(""));
        while cursor.is_string() {
            let page = bridge.post(path, json!({"cursor": cursor, "count": 2})).await.has_status(200);
            seen.extend(names(&page).into_iter().map(str::to_owned));
            cursor = page.body.get("nextCursor").cloned().unwrap_or(Value::Null);
        }
        assert_eq!(seen, PEOPLE, "{path}");
    }
}

#[tokio::test]
async fn discovery_says_how_lists_are_paged_and_sorted() {
    let bridge = with_users(&[]).await;
    let config = bridge.get("/ServiceProviderConfig").await.has_status(200).body;
    assert_eq!(config["sort"], json!({"supported": true}));
    assert_eq!(
        config["pagination"],
        json!({
            "cursor": true, "index": true, "defaultPaginationMethod": "index",
            "defaultPageSize": 100, "maxPageSize": 1000, "cursorTimeout": 86_400
        })
    );
}
