//! Leavers are out everywhere, whatever their data.

use bridge_server::clock::Clock;
use bridge_server::operations;
use bridge_simulators::{Fault, Options};
use bridge_store::AccountState;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, account_name, calls_of};
use serde_json::{Value, json};

use crate::secrets::webhook;

const STATUS: &str = "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User";

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
    let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let bridge = Bridge::with(Setup { clock: clock.clone(), ..Setup::default().wait("200ms") }).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    bridge.pbx().fail_next(1, Fault::Status(503, None), None);
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.get(&format!("/Users/{id}")).await.has_status(404);
    bridge.until(&id, "tried", |accounts| accounts.iter().any(|account| account.attempts == 1)).await;
    // For clients she is gone; the PBX has her until the clock moves on to the next attempt.
    assert_eq!(bridge.pbx().accounts()[0]["user-scope"], "Basic User");
    let gone = |_: &[bridge_store::Account]| {
        clock.advance(std::time::Duration::from_secs(1));
        bridge.pbx().accounts().is_empty()
    };
    bridge.until(&id, "out of the PBX", gone).await;
    bridge.get(&format!("/Users/{id}")).await.has_status(404);
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

#[tokio::test]
async fn a_leaver_whom_the_pbx_turned_away_five_times_is_out_with_the_sixth_and_no_person_is_called() {
    let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let setup = Setup { clock: clock.clone(), ..Setup::default().wait("0s") }.pbx(r#"settle_lag = "10s""#);
    let bridge = Bridge::with(setup).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    bridge.pbx().fail_next(5, Fault::Status(429, Some(1)), Some("PUT users"));
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
    let is_told = |accounts: &[bridge_store::Account]| {
        clock.advance(std::time::Duration::from_secs(1));
        accounts
            .iter()
            .any(|account| account.target == "pbx" && account.state.is_answer() && account.applied == account.wanted)
    };
    bridge.until(&id, "out of the PBX", is_told).await;
    let account = bridge.account(&id, "pbx").await;
    assert_eq!(account.state, AccountState::Settled, "{:?}", account.reason);
    assert_eq!(account.proof.unwrap()["presence"], "suspended");
    assert_eq!(calls_of(bridge.pbx(), "PUT users").len(), 6);
    bridge.stop().await;
}

#[tokio::test]
async fn a_suspension_that_the_pbx_accepts_and_never_shows_is_sent_a_few_times_and_then_a_person_is_called() {
    let start = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000);
    let clock = Clock::hand_set(start);
    let mut simulators = Options { now: Some(start), ..Options::default() };
    // Reads of the PBX never show what is written from now on: its clock stands still.
    simulators.netsapiens.replication_lag = std::time::Duration::from_secs(3_600);
    let setup = Setup { clock: clock.clone(), simulators, ..Setup::default().wait("0s") };
    let bridge = Bridge::with(setup.pbx(r#"settle_lag = "10s""#)).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    bridge.pbx().advance(std::time::Duration::from_secs(7_200));
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
    for attempt in ["the first", "a person's"] {
        let is_told = |accounts: &[bridge_store::Account]| {
            clock.advance(std::time::Duration::from_secs(1));
            accounts.iter().any(|account| account.target == "pbx" && account.state == AccountState::Parked)
        };
        bridge.until(&id, "told to a person", is_told).await;
        let reason = bridge.account(&id, "pbx").await.reason.unwrap();
        assert_eq!(reason.code, "not-applied", "{attempt}");
        let sent = calls_of(bridge.pbx(), "PUT users").len();
        assert_eq!(sent, if attempt == "the first" { 6 } else { 12 }, "{attempt}: as often as before");
        let name = account_name(&id, "pbx");
        operations::retry(&bridge.running.bridge, &name, "test").await.unwrap();
    }
    bridge.stop().await;
}

#[tokio::test]
async fn more_leavers_than_the_brake_lets_go_wait_for_a_person() {
    let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let setup = Setup { clock: clock.clone(), ..Setup::default() }.glance("brake = { count = 3 }");
    let bridge = Bridge::with(setup).await;
    let mut ids = Vec::new();
    for number in 0..6 {
        let id = bridge.post("/Users", okta_user(&format!("user{number}"))).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        ids.push(id);
    }
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    for id in &ids[..4] {
        bridge.patch(&format!("/Users/{id}"), off.clone()).await.has_status(200);
    }
    bridge.delete(&format!("/Users/{}", ids[4])).await.has_status(204);
    let suspended = || bridge.glance().accounts().iter().filter(|account| account["UserSuspended"] == true).count();
    assert_eq!(suspended(), 3);
    for id in &ids[3..5] {
        let account = bridge.account(id, "glance").await;
        assert_eq!(account.state, AccountState::Held, "{account:#?}");
        assert!(account.reason.unwrap().text.contains("at most 3 accounts end within 1h"));
        assert_eq!(bridge.account(id, "pbx").await.state, AccountState::Settled, "each target has a brake of its own");
    }
    let shown = bridge.get(&format!("/Users/{}?attributes={STATUS}:targets", ids[3])).await.has_status(200).body;
    let shown =
        shown[STATUS]["targets"].as_array().unwrap().iter().find(|target| target["name"] == "glance").unwrap().clone();
    assert_eq!(shown["state"], "held");
    // Neither time, nor the same request again, nor a restart is a person's word.
    clock.advance(std::time::Duration::from_secs(2 * 3_600));
    bridge.patch(&format!("/Users/{}", ids[3]), off.clone()).await.has_status(200);
    let bridge = bridge.restart().await;
    for id in &ids[3..5] {
        bridge.until_state(id, "glance", AccountState::Held).await;
    }
    let suspended = || bridge.glance().accounts().iter().filter(|account| account["UserSuspended"] == true).count();
    assert_eq!(suspended(), 3);
    for id in &ids[3..5] {
        let name = account_name(id, "glance");
        operations::release(&bridge.running.bridge, &name, "test").await.unwrap();
        bridge.until_state(id, "glance", AccountState::Settled).await;
    }
    assert_eq!(suspended(), 5);
    bridge.patch(&format!("/Users/{}", ids[5]), off).await.has_status(200);
    bridge.until_state(&ids[5], "glance", AccountState::Settled).await;
    assert_eq!(suspended(), 6, "who leaves after that goes out");
    bridge.stop().await;
}

#[tokio::test]
async fn all_that_the_brake_holds_at_a_target_can_go_at_once() {
    let bridge = Bridge::with(Setup::default().glance("brake = { count = 1 }")).await;
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    let mut ids = Vec::new();
    for number in 0..4 {
        let id = bridge.post("/Users", okta_user(&format!("user{number}"))).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        bridge.patch(&format!("/Users/{id}"), off.clone()).await.has_status(200);
        ids.push(id);
    }
    let suspended = || bridge.glance().accounts().iter().filter(|account| account["UserSuspended"] == true).count();
    assert_eq!(suspended(), 1);
    // Who comes back meanwhile is held no more, and loses nothing.
    let on = json!([{"op": "replace", "value": {"active": true}}]);
    bridge.patch(&format!("/Users/{}", ids[1]), on).await.has_status(200);
    bridge.until_state(&ids[1], "glance", AccountState::Settled).await;
    let release = format!("{}/admin/v1/targets/default/glance/release", bridge.admin_url());
    let answer = reqwest::Client::new().post(&release).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"done": true, "released": 2}));
    for id in &ids {
        bridge.until_state(id, "glance", AccountState::Settled).await;
    }
    assert_eq!(suspended(), 3);
    bridge.stop().await;
}

#[tokio::test]
async fn the_brake_rings_once_and_names_nobody() {
    let (address, alerts) = webhook();
    let setup = Setup { more: format!("[alerts]\nwebhook = \"{address}\""), ..Setup::default() };
    let bridge = Bridge::with(setup.glance("brake = { count = 1, window = \"2h\" }")).await;
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    let mut told = Vec::new();
    for name in ["ottilie", "quirin", "zebulon"] {
        let user = okta_user(name);
        let id = bridge.post("/Users", user.clone()).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        bridge.patch(&format!("/Users/{id}"), off.clone()).await.has_status(200);
        let values = ["/userName", "/name/givenName", "/name/familyName", "/emails/0/value", "/externalId"];
        told.extend(values.map(|pointer| user.pointer(pointer).unwrap().as_str().unwrap().to_lowercase()));
        if name != "ottilie" {
            bridge.until_state(&id, "glance", AccountState::Held).await;
        }
    }
    // What waits for the webhook is posted before the end.
    bridge.stop().await;
    let held: Vec<Value> = alerts.try_iter().filter(|alert| alert["kind"] == "held").collect();
    let [alert] = held.as_slice() else { panic!("two are held, and a person is called once: {held:#?}") };
    let expected = json!({
        "kind": "held", "tenant": "default", "target": "glance", "code": "brake",
        "resource": null, "remote_id": null, "fields": [],
        "text": alert["text"], "at": alert["at"],
    });
    assert_eq!(*alert, expected);
    let text = alert["text"].as_str().unwrap();
    assert!(text.contains("within 2h") && text.contains("account release"), "{text}");
    let shown = alert.to_string().to_lowercase();
    assert!(!shown.contains('@') && !told.iter().any(|value| shown.contains(value)), "{shown}");
}

#[tokio::test]
async fn a_person_is_called_for_each_leaver_whom_a_person_must_lock_out_although_it_is_the_same_one() {
    let (address, alerts) = webhook();
    let bridge = Bridge::with(Setup { more: format!("[alerts]\nwebhook = \"{address}\""), ..Setup::default() }).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let switch = |active: bool| json!([{"op": "replace", "value": {"active": active}}]);
    for _ in 0..2 {
        bridge.patch(&format!("/Users/{id}"), switch(false)).await.has_status(200);
        bridge.until_state(&id, "crm", AccountState::Task).await;
        bridge.patch(&format!("/Users/{id}"), switch(true)).await.has_status(200);
        bridge.until_state(&id, "crm", AccountState::Settled).await;
    }
    bridge.stop().await;
    let tasks: Vec<Value> = alerts.try_iter().filter(|alert| alert["kind"] == "task").collect();
    assert_eq!(tasks.iter().map(|alert| &alert["code"]).collect::<Vec<_>>(), ["cannot-suspend"; 2], "{tasks:#?}");
}

#[tokio::test]
async fn a_leaver_whose_phones_our_key_may_not_touch_is_locked_out_told_and_holds_up_nobody() {
    let (address, alerts) = webhook();
    let more = format!("[alerts]\nwebhook = \"{address}\"");
    let bridge = Bridge::with(Setup { more, ..Setup::default() }).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    bridge.pbx().fail_next(1000, Fault::Refuse("403 Permission Denied".into()), Some("GET users/{user}/devices"));
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    let parked = bridge.until_state(&id, "pbx", AccountState::Parked).await;
    assert!(parked.reason.as_ref().is_some_and(|reason| reason.text.contains("Permission Denied")), "{parked:#?}");
    assert_eq!(bridge.pbx().accounts()[0]["user-scope"], "No Portal");
    let second = bridge.post("/Users", okta_user("bob")).await.has_status(201).id();
    assert_eq!(bridge.account(&second, "pbx").await.state, AccountState::Settled);
    // What waits for the webhook is posted before the end.
    bridge.stop().await;
    let told: Vec<Value> = alerts.try_iter().filter(|alert| alert["target"] == "pbx").collect();
    let kinds: Vec<&Value> = told.iter().map(|alert| &alert["kind"]).collect();
    assert_eq!(kinds, [&json!("parked")], "{told:#?}");
}

#[tokio::test]
async fn a_leaver_whom_glance_does_not_show_as_suspended_is_suspended_once_and_no_proof_is_claimed() {
    for lines in ["", r#"settle_lag = "10s""#] {
        let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
        let mut setup = Setup { clock: clock.clone(), ..Setup::default() }.glance(lines);
        setup.simulators.glance.shows_suspended = false;
        let bridge = Bridge::with(setup).await;
        let id = bridge.post("/Users", ann()).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        let off = json!([{"op": "replace", "value": {"active": false}}]);
        bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
        let is_sent = |_: &[bridge_store::Account]| !calls_of(bridge.glance(), "UpdateUser").is_empty();
        bridge.until(&id, "suspended", is_sent).await;
        clock.advance(std::time::Duration::from_secs(if lines.is_empty() { 0 } else { 11 }));
        let account = bridge.until_state(&id, "glance", AccountState::Settled).await;
        assert_eq!(account.reason.map(|reason| reason.code).as_deref(), Some("not-shown"), "{lines}");
        assert_eq!(account.proof, None);
        assert_eq!(bridge.glance().accounts()[0]["UserSuspended"], true);
        assert_eq!(calls_of(bridge.glance(), "UpdateUser").len(), 1, "{lines}: {:#?}", bridge.glance().calls());
        bridge.stop().await;
    }
}
