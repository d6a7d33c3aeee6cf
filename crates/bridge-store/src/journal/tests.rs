//! What was received and sent can be looked up until it is pruned.

use serde_json::json;

use super::*;
use crate::Store;
use crate::testing::{TENANT, at, store};

fn received(request_id: &str, resource: Option<i64>, seconds: i64) -> RequestEntry {
    RequestEntry {
        key: 0,
        tenant: TENANT.into(),
        request_id: request_id.into(),
        connection: Some("okta".into()),
        method: "POST".into(),
        path: "/Users".into(),
        body: Some(r#"{"userName":"ann","password":"***"}"#.into()),
        resource,
        notes: None,
        received: at(seconds),
        status: None,
        outcome: None,
        finished: None,
    }
}

fn made(resource: i64, target: &str, seconds: i64) -> CallEntry {
    CallEntry {
        key: 0,
        tenant: TENANT.into(),
        resource,
        target: target.into(),
        operation: "POST users".into(),
        call: json!({ "method": "POST" }),
        outcome: "ok".into(),
        answer: Some(json!({ "status": 201 })),
        attempt: 1,
        at: at(seconds),
        duration: 52,
    }
}

async fn add_request(store: &Store, entry: RequestEntry) -> i64 {
    store.write(move |tx| tx.add_request(&entry)).await.unwrap()
}

async fn add_call(store: &Store, entry: CallEntry) -> i64 {
    store.write(move |tx| tx.add_call(&entry)).await.unwrap()
}

async fn requests(store: &Store, query: RequestQuery) -> Vec<String> {
    let found = store.read(|db| db.requests(&query)).await.unwrap();
    found.into_iter().map(|entry| entry.request_id).collect()
}

#[tokio::test]
async fn a_request_is_read_back_and_finished_once_it_is_answered() {
    let store = store();
    let key = add_request(&store, received("r1", Some(7), 1)).await;
    let find = |tenant: &'static str| store.read(move |db| db.request(tenant, "r1"));
    assert_eq!(find(TENANT).await.unwrap(), Some(RequestEntry { key, ..received("r1", Some(7), 1) }));
    assert_eq!(find("globex").await.unwrap(), None);
    let finish = |tenant: &'static str| {
        store.write(move |tx| tx.finish_request(tenant, "r1", 400, Some("the address is taken"), at(2)))
    };
    assert!(!finish("globex").await.unwrap());
    assert!(finish(TENANT).await.unwrap());
    let finished = find(TENANT).await.unwrap().unwrap();
    assert_eq!((finished.status, finished.finished), (Some(400), Some(at(2))));
    assert_eq!(finished.outcome.as_deref(), Some("the address is taken"));
}

#[tokio::test]
async fn requests_are_listed_newest_first_and_page_by_page() {
    let store = store();
    let mut keys = Vec::new();
    for (number, resource) in [Some(1), None, Some(2), Some(1)].into_iter().enumerate() {
        keys.push(add_request(&store, received(&format!("r{number}"), resource, 1)).await);
    }
    add_request(&store, RequestEntry { tenant: "globex".into(), ..received("other", Some(1), 1) }).await;
    let query = |resource, before, limit| RequestQuery { tenant: TENANT.into(), resource, before, limit };
    assert_eq!(requests(&store, query(None, None, 0)).await, ["r3", "r2", "r1", "r0"]);
    assert_eq!(requests(&store, query(None, Some(keys[2]), 1)).await, ["r1"]);
    assert_eq!(requests(&store, query(Some(1), None, 0)).await, ["r3", "r0"]);
    assert_eq!(requests(&store, query(Some(1), Some(keys[3]), 0)).await, ["r0"]);
}

#[tokio::test]
async fn the_last_calls_of_a_resource_are_listed_in_the_order_they_were_made() {
    let store = store();
    for (target, seconds) in [("glance", 1), ("pbx", 2), ("pbx", 3), ("pbx", 4)] {
        add_call(&store, made(7, target, seconds)).await;
    }
    add_call(&store, made(8, "pbx", 5)).await;
    let calls = async |target: Option<&'static str>, limit| {
        let found = store.read(move |db| db.calls_of(7, target, limit)).await.unwrap();
        found.into_iter().map(|call| call.at).collect::<Vec<_>>()
    };
    assert_eq!(calls(None, 10).await, [at(1), at(2), at(3), at(4)]);
    assert_eq!(calls(Some("pbx"), 2).await, [at(3), at(4)]);
    let first = store.read(|db| db.calls_of(8, None, 1)).await.unwrap().pop().unwrap();
    assert_eq!(first, CallEntry { key: first.key, ..made(8, "pbx", 5) });
}

#[tokio::test]
async fn pruning_removes_what_is_older_in_slices() {
    let store = store();
    store
        .write(|tx| {
            for seconds in 0..1200 {
                tx.add_request(&received("r", None, seconds))?;
            }
            for seconds in 1190..1210 {
                tx.add_call(&made(1, "pbx", seconds))?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let prune = |after| store.write(move |tx| tx.prune_requests(at(1195), after));
    assert_eq!(prune(0).await.unwrap(), Swept { removed: 1000, next: Some(1000) });
    assert_eq!(prune(1000).await.unwrap(), Swept { removed: 195, next: None });
    assert_eq!(prune(0).await.unwrap(), Swept::default());
    assert_eq!(store.write(|tx| tx.prune_calls(at(1195), 0)).await.unwrap(), Swept { removed: 5, next: None });
    let query = RequestQuery { tenant: TENANT.into(), ..RequestQuery::default() };
    assert_eq!(requests(&store, query).await.len(), 5);
}

/// Few, or more than a slice: what follows is removed when it is old, and they are when they are.
#[tokio::test]
async fn what_was_written_while_the_clock_was_ahead_keeps_nothing_else_from_being_removed() {
    for ahead in [1, 2_500] {
        let store = store();
        let fill = move |tx: &mut Tx<'_>| {
            for seconds in (0..10).chain(std::iter::repeat_n(90_000, ahead)).chain(10..8_000) {
                tx.add_request(&received("r", None, seconds))?;
                tx.add_call(&made(1, "pbx", seconds))?;
            }
            Ok::<_, StoreError>(())
        };
        store.write(fill).await.unwrap();
        let prune = async |before: i64| {
            let (mut removed, mut slices) = (0, 0);
            let mut next = (Some(0), Some(0));
            while let (Some(requests), calls) = next {
                let prune = move |tx: &mut Tx<'_>| {
                    let swept = tx.prune_requests(at(before), requests)?;
                    assert_eq!(tx.prune_calls(at(before), calls.unwrap_or_default())?, swept);
                    Ok::<_, StoreError>(swept)
                };
                let swept = store.write(prune).await.unwrap();
                removed += swept.removed;
                slices += 1;
                next = (swept.next, swept.next);
            }
            (removed, slices)
        };
        assert_eq!(prune(7_000).await.0, 7_000, "{ahead}");
        let (removed, slices) = prune(7_000).await;
        assert_eq!(removed, 0);
        assert!(slices <= 2, "what is there is not gone through: {slices} slices");
        assert_eq!(prune(100_000).await.0, 1_000 + ahead);
    }
}
