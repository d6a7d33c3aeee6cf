//! Leavers are out everywhere, whatever their data.

use bridge_simulators::Fault;
use bridge_store::AccountState;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, calls_of};
use serde_json::{Value, json};

#[tokio::test]
async fn a_leaver_with_bad_data_is_still_out() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let mut leaver = bridge.get(&format!("/Users/{id}")).await.body;
    leaver["active"] = json!(false);
    leaver["userName"] = json!("???");
    leaver["emails"] = json!([]);
    leaver["urn:ietf:params:scim:schemas:extension:bridgeNetsapiens:2.0:User"] = json!({"area-code": 7});
    bridge.put(&format!("/Users/{id}"), leaver).await.has_status(200);
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.glance().accounts()[0]["UserSuspended"], true);
    let pbx = &bridge.pbx().accounts()[0];
    assert_eq!(pbx["user-scope"], "No Portal");
    assert_eq!(pbx["login-username"], "ann@acme.example", "no other field is sent");
    bridge.stop().await;
}

#[tokio::test]
async fn a_leaver_whose_target_is_down_is_answered_and_pressed_until_out() {
    let bridge = Bridge::with(Setup::default().wait("200ms")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    bridge.pbx().fail_next(2, Fault::Status(503, None), Some("PUT users/{user}"));
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.get(&format!("/Users/{id}")).await.has_status(404);
    bridge.until(&id, "out of the PBX", |_| bridge.pbx().accounts().is_empty()).await;
    bridge.stop().await;
}

#[tokio::test]
async fn leavers_are_claimed_before_anything_else_of_a_target() {
    let setup = Setup::default().wait("0s").glance("max_in_flight = 1");
    let bridge = Bridge::with(setup).await;
    let leaver = bridge.post("/Users", okta_user("leaver")).await.has_status(201).id();
    bridge.until_at_rest(&leaver).await;
    bridge.glance().fail_next(1, Fault::Slow(std::time::Duration::from_millis(800)), Some("NewUser"));
    for number in 0..10 {
        bridge.post("/Users", okta_user(&format!("joiner{number}"))).await.has_status(201);
    }
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{leaver}"), off).await.has_status(200);
    bridge.until_state(&leaver, "glance", AccountState::Settled).await;
    let operations: Vec<String> = bridge
        .glance()
        .calls()
        .iter()
        .filter_map(|call| call["operation"].as_str().map(str::to_owned))
        .skip_while(|operation| !operation.starts_with("NewUser"))
        .skip(1)
        .collect();
    let suspended = operations.iter().position(|operation| operation.starts_with("UpdateUser")).unwrap();
    assert!(suspended <= 2, "the leaver came after {suspended} others: {operations:?}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_user_who_leaves_while_the_account_is_being_made_ends_suspended() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    bridge.glance().fail_next(1, Fault::Slow(std::time::Duration::from_millis(500)), Some("NewUser"));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until(&id, "being made", |_| calls_of(bridge.glance(), "NewUser").len() == 1).await;
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
    bridge
        .until(&id, "suspended at Glance", |_| {
            bridge.glance().accounts().iter().any(|account| account["UserSuspended"] == true)
        })
        .await;
    bridge.until_at_rest(&id).await;
    let usable = |account: &Value| account["user-scope"] != "No Portal";
    assert!(!bridge.pbx().accounts().iter().any(usable), "{:#?}", bridge.pbx().accounts());
    assert_eq!(calls_of(bridge.glance(), "NewUser").len(), 1);
    bridge.stop().await;
}

#[tokio::test]
async fn a_suspension_in_a_slow_pbx_is_read_back_after_its_settle_lag() {
    use bridge_server::clock::Clock;
    let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let setup = Setup { clock: clock.clone(), ..Setup::default() }.pbx(r#"settle_lag = "10s""#);
    let bridge = Bridge::with(setup).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
    let account = bridge.account(&id, "pbx").await;
    assert_eq!(account.reason.as_ref().map(|reason| reason.code.as_str()), Some("verifying"), "{account:#?}");
    assert_eq!(account.proof, None);
    clock.advance(std::time::Duration::from_secs(11));
    let account = bridge.until_state(&id, "pbx", AccountState::Settled).await;
    assert_eq!(account.proof.unwrap()["presence"], "suspended");
    bridge.stop().await;
}
