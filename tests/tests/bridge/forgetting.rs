//! What is forgotten of those who are gone, and when.

use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_server::housekeeping::tidy;
use bridge_server::operations;
use bridge_store::{AccountState, ResourceState};
use bridge_tests::samples::okta_user;
use bridge_tests::{Bridge, Setup, account_name};
use jiff::Timestamp;
use serde_json::json;

const DAY: Duration = Duration::from_hours(24);

fn clock() -> Clock {
    Clock::hand_set(Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

/// Lets so many days pass and tidies up.
async fn after(bridge: &Bridge, clock: &Clock, days: u32) {
    clock.advance(days * DAY);
    tidy(&bridge.running.bridge, clock.now()).await;
}

/// The ids of those who were deleted and are remembered.
async fn remembered(bridge: &Bridge) -> Vec<String> {
    let store = &bridge.running.bridge.store;
    let found = store.scan(|db| db.resources_in_state(ResourceState::Deleted, Timestamp::MAX, 1_000)).await.unwrap();
    found.into_iter().map(|resource| resource.id).collect()
}

async fn forget_account(bridge: &Bridge, id: &str, target: &str) {
    let name = account_name(id, target);
    operations::drop(&bridge.running.bridge, &name, "test").await.unwrap();
}

#[tokio::test]
async fn a_leaver_is_forgotten_ninety_days_after_the_last_account_is_gone_and_nobody_else_is() {
    let clock = clock();
    let setup = Setup { clock: clock.clone(), ..Setup::default().glance("on_delete = \"delete\"") };
    let bridge = Bridge::with(setup).await;
    let mut ids = Vec::new();
    for name in ["ann", "bob", "cid"] {
        let id = bridge.post("/Users", okta_user(name)).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        ids.push(id);
    }
    let [ann, bob, cid] = ids.try_into().unwrap();
    for leaver in [&ann, &bob] {
        bridge.delete(&format!("/Users/{leaver}")).await.has_status(204);
        bridge.until_state(leaver, "crm", AccountState::Task).await;
        bridge.until_at_rest(leaver).await;
    }
    after(&bridge, &clock, 91).await;
    assert_eq!(remembered(&bridge).await, [ann.clone(), bob.clone()], "a person must still act in the CRM");
    forget_account(&bridge, &ann, "crm").await;
    after(&bridge, &clock, 1).await;
    assert_eq!(remembered(&bridge).await, std::slice::from_ref(&bob));
    bridge.get(&format!("/Users/{cid}")).await.has_status(200);
    // Who is made anew is somebody new.
    let again = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    assert_ne!(again, ann);
    // Only what is old enough goes.
    bridge.delete(&format!("/Users/{cid}")).await.has_status(204);
    bridge.until_at_rest(&cid).await;
    forget_account(&bridge, &cid, "crm").await;
    after(&bridge, &clock, 80).await;
    assert_eq!(remembered(&bridge).await, [bob.clone(), cid.clone()]);
    after(&bridge, &clock, 11).await;
    assert_eq!(remembered(&bridge).await, [bob]);
    bridge.stop().await;
}

#[tokio::test]
async fn the_audit_trail_ends_where_the_configuration_says_and_is_whole_from_there_on() {
    let clock = clock();
    let store = "audit_days = 10\ndeleted_days = 5".to_owned();
    let bridge = Bridge::with(Setup { clock: clock.clone(), store, ..Setup::default() }).await;
    let id = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    clock.advance(9 * DAY);
    let operations = json!([{"op": "replace", "value": {"title": "Engineer"}}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    let actions = async || {
        let read =
            bridge.running.bridge.store.scan(|db| Ok((db.audit("default", 0, 1_000)?, db.verify_audit("default")?)));
        let (entries, broken): (Vec<bridge_store::AuditEntry>, _) =
            read.await.map_err(|error: bridge_store::StoreError| error).unwrap();
        assert_eq!(broken, None);
        entries.into_iter().map(|entry| entry.action).collect::<Vec<_>>()
    };
    after(&bridge, &clock, 0).await;
    assert_eq!(actions().await, ["create", "update"]);
    after(&bridge, &clock, 2).await;
    assert_eq!(actions().await, ["update"]);
    bridge.stop().await;
}

#[tokio::test]
async fn what_cannot_be_given_up_keeps_nothing_else_from_being_removed() {
    let clock = clock();
    let store = "audit_days = 10\njournal_days = 10\ndeleted_days = 5".to_owned();
    let bridge = Bridge::with(Setup { clock: clock.clone(), store, ..Setup::default() }).await;
    for name in ["ann", "bob"] {
        let id = bridge.post("/Users", okta_user(name)).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        bridge.delete(&format!("/Users/{id}")).await.has_status(204);
        bridge.until_state(&id, "crm", AccountState::Task).await;
        bridge.until_at_rest(&id).await;
        for target in ["crm", "pbx", "glance"] {
            forget_account(&bridge, &id, target).await;
        }
    }
    let database = rusqlite::Connection::open(bridge.folder().join("bridge.db")).unwrap();
    let spoilt = "UPDATE resource SET state = 'rejected', document = 'unreadable' WHERE key = 1";
    assert_eq!(database.execute(spoilt, []).unwrap(), 1);
    after(&bridge, &clock, 40).await;
    let left = |table: &str| -> i64 {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((left("resource"), left("request"), left("call"), left("audit")), (1, 0, 0, 0), "only the spoilt one");
    bridge.stop().await;
}
