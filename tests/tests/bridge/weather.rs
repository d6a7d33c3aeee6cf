//! Bad weather: targets that are down, slow, garbled, or refuse our credential.

use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_simulators::{Fault, Simulator};
use bridge_store::AccountState;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, calls_of};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The three targets of a bridge: name, simulator, the operation that creates.
fn targets(bridge: &Bridge) -> [(&'static str, &Simulator, &'static str); 3] {
    [("glance", bridge.glance(), "NewUser"), ("pbx", bridge.pbx(), "POST users"), ("crm", bridge.crm(), "users/create")]
}

/// Exactly one account in each target.
fn assert_one_each(bridge: &Bridge) {
    for (name, simulator, _) in targets(bridge) {
        assert_eq!(simulator.accounts().len(), 1, "{name}: {:#?}", simulator.calls());
    }
}

#[tokio::test]
async fn a_target_that_fails_twice_is_tried_again_while_the_request_waits() {
    let bridge = Bridge::start().await;
    for (_, simulator, operation) in targets(&bridge) {
        simulator.fail_next(1, Fault::Status(503, None), Some(operation));
    }
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_one_each(&bridge);
    bridge.stop().await;
}

#[tokio::test]
async fn a_lost_reply_ends_in_our_own_account_and_not_in_a_second_one() {
    let bridge = Bridge::start().await;
    for (_, simulator, operation) in targets(&bridge) {
        simulator.fail_next(1, Fault::DropAfterApply, Some(operation));
    }
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let accounts = bridge.until_at_rest(&id).await;
    assert!(accounts.iter().all(|account| account.state == AccountState::Settled), "{accounts:#?}");
    assert_one_each(&bridge);
    bridge.stop().await;
}

#[tokio::test]
async fn a_garbled_reply_leaves_one_account() {
    let bridge = Bridge::start().await;
    for (_, simulator, operation) in targets(&bridge) {
        simulator.fail_next(1, Fault::Garbage, Some(operation));
    }
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_one_each(&bridge);
    bridge.stop().await;
}

#[tokio::test]
async fn a_target_that_does_not_answer_in_time_gets_no_second_account() {
    let short = r#"timeout = "300ms""#;
    let setup = Setup::default().glance(short).crm(short).pbx("timeout = \"300ms\"\nsettle_lag = \"0s\"");
    let bridge = Bridge::with(setup).await;
    for (_, simulator, operation) in targets(&bridge) {
        simulator.fail_next(1, Fault::TimeoutAfterApply, Some(operation));
    }
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_one_each(&bridge);
    bridge.stop().await;
}

#[tokio::test]
async fn a_throttled_call_waits_as_long_as_the_target_asks() {
    let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let bridge = Bridge::with(Setup { clock: clock.clone(), wait: "0s".to_owned(), ..Setup::default() }).await;
    bridge.glance().fail_next(1, Fault::Status(429, Some(30)), Some("NewUser"));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let account = bridge
        .until(&id, "throttled", |accounts| {
            accounts.iter().any(|account| account.target == "glance" && account.attempts == 1)
        })
        .await
        .into_iter()
        .find(|account| account.target == "glance")
        .unwrap();
    let pause = account.due_at.duration_since(clock.now()).as_secs();
    assert!((30..=38).contains(&pause), "{pause}");
    assert_eq!(bridge.glance().accounts().len(), 0);
    clock.advance(Duration::from_secs(40));
    bridge.until_at_rest(&id).await;
    assert_one_each(&bridge);
    bridge.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_a_target_that_refuses_our_credential_and_it_is_tried_again_by_itself() {
    let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let bridge = Bridge::with(Setup { clock: clock.clone(), ..Setup::default() }).await;
    bridge.pbx().fail_next(2, Fault::Status(401, None), None);
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let pbx = bridge.account(&id, "pbx").await;
    assert_eq!((pbx.state, pbx.attempts), (AccountState::Due, 0), "no attempt is burnt");
    let status = bridge_server::operations::targets(&bridge.running.bridge).await.unwrap();
    assert!(status.iter().any(|target| target.target == "pbx" && target.condition.starts_with("paused")));
    let second = bridge.post("/Users", okta_user("bob")).await.has_status(201).id();
    assert_eq!(bridge.account(&second, "pbx").await.state, AccountState::Due);
    // The probe of the next minute finds the credential good again.
    bridge
        .until(&id, "probed", |_| {
            clock.advance(Duration::from_secs(61));
            !bridge.pbx().accounts().is_empty()
        })
        .await;
    bridge.until_at_rest(&id).await;
    bridge.until_at_rest(&second).await;
    assert_eq!(bridge.pbx().accounts().len(), 2);
    bridge.stop().await;
}

#[tokio::test]
async fn a_sick_target_holds_up_no_other() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    bridge.glance().fail_next(1000, Fault::Status(500, None), None);
    let mut ids = Vec::new();
    for name in ["ann", "bob", "eve"] {
        ids.push(bridge.post("/Users", okta_user(name)).await.has_status(201).id());
    }
    for id in &ids {
        bridge.until_state(id, "pbx", AccountState::Settled).await;
    }
    assert_eq!(bridge.pbx().accounts().len(), 3);
    assert_eq!(bridge.glance().accounts(), Vec::<Value>::new());
    bridge.stop().await;
}

#[tokio::test]
async fn ten_quick_edits_become_few_calls() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    bridge.glance().fail_next(1, Fault::Slow(Duration::from_millis(300)), Some("UpdateUser"));
    for number in 0..10 {
        let operations = json!([{"op": "replace", "value": {"name": {"familyName": format!("Roe{number}")}}}]);
        bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    }
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.glance().accounts()[0]["UserLast"], "Roe9");
    let updates = calls_of(bridge.glance(), "UpdateUser").len();
    assert!(updates <= 4, "{updates} calls for ten edits");
    bridge.stop().await;
}

/// Waits until the create at the PBX has been tried once and its reply was lost.
async fn until_lost(bridge: &Bridge, id: &str) {
    bridge
        .until(id, "lost", |accounts| {
            accounts.iter().any(|account| account.target == "pbx" && account.attempts == 1 && account.lease.is_none())
        })
        .await;
}

#[tokio::test]
async fn a_leaver_whose_account_was_made_by_a_lost_reply_is_still_out() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    bridge.pbx().fail_next(1, Fault::DropAfterApply, Some("POST users"));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    until_lost(&bridge, &id).await;
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
    bridge.until_at_rest(&id).await;
    let pbx = bridge.pbx().accounts();
    assert_eq!((pbx.len(), &pbx[0]["user-scope"]), (1, &json!("No Portal")), "{pbx:#?}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_user_renamed_after_a_lost_reply_keeps_the_one_account() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    bridge.pbx().fail_next(1, Fault::DropAfterApply, Some("POST users"));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    until_lost(&bridge, &id).await;
    let rename = json!([{"op": "replace", "value": {"userName": "anne@acme.example"}}]);
    bridge.patch(&format!("/Users/{id}"), rename).await.has_status(200);
    bridge.until_at_rest(&id).await;
    let pbx = bridge.pbx().accounts();
    assert_eq!(pbx.len(), 1, "{pbx:#?}");
    assert_eq!((&pbx[0]["user"], &pbx[0]["login-username"]), (&json!("1000"), &json!("anne@acme.example")));
    bridge.stop().await;
}

#[tokio::test]
async fn an_account_that_a_person_removed_is_made_again_with_the_next_change() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    assert!(bridge.pbx().remove("1000"));
    let operations = json!([{"op": "replace", "value": {"name": {"familyName": "Rowe"}}}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    bridge.until_at_rest(&id).await;
    let pbx = bridge.pbx().accounts();
    assert_eq!((pbx.len(), &pbx[0]["name-last-name"]), (1, &json!("Rowe")));
    bridge.stop().await;
}
