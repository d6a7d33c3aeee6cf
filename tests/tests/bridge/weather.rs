//! Bad weather: targets that are down, slow, garbled, or refuse our credential.

use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_server::config::Config;
use bridge_simulators::{Fault, Options, Simulator};
use bridge_store::{AccountState, AssignmentState};
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, calls_of};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::secrets::webhook;

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
async fn a_target_that_asks_for_patience_is_left_alone_by_all_accounts_leavers_too() {
    let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let setup = Setup { clock: clock.clone(), ..Setup::default() }.wait("0s");
    let bridge = Bridge::with(setup.pbx("settle_lag = \"0s\"\nmax_in_flight = 1")).await;
    let leaver = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&leaver).await;
    let before = bridge.pbx().calls().len();
    bridge.pbx().fail_next(1, Fault::Status(429, Some(300)), None);
    let mut ids = vec![leaver.clone()];
    for name in ["bob", "eve", "tim", "zoe"] {
        let id = bridge.post("/Users", okta_user(name)).await.has_status(201).id();
        bridge.until_state(&id, "glance", AccountState::Settled).await;
        ids.push(id);
    }
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{leaver}"), off).await.has_status(200);
    bridge.until_state(&leaver, "glance", AccountState::Settled).await;
    let status = bridge_server::operations::targets(&bridge.running.bridge).await.unwrap();
    let pbx = status.iter().find(|target| target.target == "pbx").unwrap();
    assert!(pbx.condition.contains("no more calls"), "{}", pbx.condition);
    assert_eq!(bridge.pbx().calls().len() - before, 1, "{:#?}", bridge.pbx().calls());
    clock.advance(Duration::from_secs(380));
    for id in &ids {
        bridge.until_state(id, "pbx", AccountState::Settled).await;
    }
    let pbx = bridge.pbx().accounts();
    assert_eq!((pbx.len(), &pbx[0]["user-scope"]), (5, &json!("No Portal")), "{pbx:#?}");
    bridge.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_a_target_that_refuses_our_credential_and_it_is_tried_again_by_itself() {
    let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let (address, alerts) = webhook();
    let more = format!("[alerts]\nwebhook = \"{address}\"");
    let bridge = Bridge::with(Setup { clock: clock.clone(), more, ..Setup::default() }).await;
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
    // What waits for the webhook is posted before the end. A person is called once, and told when it is over.
    bridge.stop().await;
    let told: Vec<Value> = alerts.try_iter().collect();
    let kinds: Vec<(&Value, &Value)> = told.iter().map(|alert| (&alert["kind"], &alert["target"])).collect();
    let pbx = &json!("pbx");
    assert_eq!(kinds, [(&json!("target_paused"), pbx), (&json!("target_recovered"), pbx)], "{told:#?}");
}

#[tokio::test]
async fn a_password_that_was_changed_where_it_is_kept_ends_one_pause_and_changes_nothing_else() {
    for is_another_gone in [true, false] {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
        let setup = Setup { clock: clock.clone(), ..Setup::default().wait("0s") };
        let bridge = Bridge::with(setup.crm("after = []")).await;
        bridge.glance().fail_next(1, Fault::Refuse("no seat left".to_owned()), Some("NewUser"));
        bridge.pbx().fail_next(1_000, Fault::Status(401, None), None);
        bridge.crm().fail_next(1_000, Fault::Status(503, None), None);
        let id = bridge.post("/Users", ann()).await.has_status(201).id();
        bridge.until_state(&id, "glance", AccountState::Parked).await;
        let target = |name: &str| bridge.running.bridge.tenant("default").unwrap().targets[name].clone();
        let is_blocked = |name: &str| target(name).lane.condition().probe_at().is_some();
        let are_blocked = |_: &[bridge_store::Account]| {
            clock.advance(Duration::from_secs(1));
            is_blocked("pbx") && is_blocked("crm")
        };
        bridge.until(&id, "stopped before two targets", are_blocked).await;
        if is_another_gone {
            std::fs::remove_file(bridge.folder().join("glance_password")).unwrap();
        }
        std::fs::write(bridge.folder().join("pbx_api_key"), "nsd_another").unwrap();
        let before = target("pbx");
        let has_new_key = |_: &[bridge_store::Account]| {
            clock.advance(Duration::from_secs(1));
            !before.settings.connection.has_same_secrets(&target("pbx").settings.connection)
        };
        bridge.until(&id, "given the new key of the PBX", has_new_key).await;
        assert!(is_blocked("crm"), "{:?}", target("crm").lane.condition());
        let glance = bridge.account(&id, "glance").await;
        assert_eq!((glance.state, glance.wanted), (AccountState::Parked, 1), "a person must look, as before");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_pause_that_a_new_configuration_ends_is_told_and_so_is_the_next_one() {
    let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let (address, alerts) = webhook();
    let more = format!("[alerts]\nwebhook = \"{address}\"");
    let bridge = Bridge::with(Setup { clock, more, ..Setup::default() }.wait("0s")).await;
    let is_paused = async || {
        let status = bridge_server::operations::targets(&bridge.running.bridge).await.unwrap();
        status.iter().any(|target| target.target == "pbx" && target.condition.starts_with("paused"))
    };
    for name in ["ann", "bob"] {
        bridge.pbx().fail_next(1, Fault::Status(401, None), None);
        let id = bridge.post("/Users", okta_user(name)).await.has_status(201).id();
        let begun = std::time::Instant::now();
        while !is_paused().await {
            assert!(begun.elapsed() < Duration::from_secs(20), "the credential is refused");
            tokio::task::yield_now().await;
        }
        bridge.running.reload(Config::parse(&bridge.file(), bridge.folder()).unwrap()).await.unwrap();
        bridge.until_state(&id, "pbx", AccountState::Settled).await;
    }
    bridge.stop().await;
    let told: Vec<Value> = alerts.try_iter().filter(|alert| alert["target"] == "pbx").collect();
    let kinds: Vec<&Value> = told.iter().map(|alert| &alert["kind"]).collect();
    assert_eq!(kinds, ["target_paused", "target_recovered", "target_paused", "target_recovered"], "{told:#?}");
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
async fn a_target_after_none_is_not_held_up_by_those_that_it_would_wait_for() {
    for (after, made) in [("", 0), ("after = []", 1)] {
        let bridge = Bridge::with(Setup::default().wait("0s").crm(after)).await;
        bridge.pbx().fail_next(1000, Fault::Status(500, None), None);
        let id = bridge.post("/Users", ann()).await.has_status(201).id();
        let tried = |account: &bridge_store::Account| match account.target.as_str() {
            "glance" => account.state == AccountState::Settled,
            "pbx" => account.attempts > 0,
            _ => made == 0 || account.state == AccountState::Settled,
        };
        bridge.until(&id, "tried everywhere", |accounts| accounts.iter().all(tried)).await;
        assert_eq!(bridge.crm().accounts().len(), made, "{after:?}");
        assert_eq!(bridge.account(&id, "crm").await.state == AccountState::Waiting, made == 0, "{after:?}");
        bridge.stop().await;
    }
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

/// A bridge before a PBX whose reads show a write 8 s late, both on clocks that only the test moves.
async fn with_lagging_pbx(lines: &str) -> (Bridge, Clock) {
    let start = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000);
    let clock = Clock::hand_set(start);
    let mut simulators = Options { now: Some(start), ..Options::default() };
    simulators.netsapiens.replication_lag = Duration::from_secs(8);
    let setup = Setup { clock: clock.clone(), simulators, ..Setup::default().wait("0s") };
    (Bridge::with(setup.pbx(&format!("settle_lag = \"10s\"\n{lines}"))).await, clock)
}

/// Lets a second pass at a time, for both, until so many have; whatever is due meanwhile is done at its second.
async fn let_pass(bridge: &Bridge, clock: &Clock, id: &str, seconds: u64) {
    let is_waiting = |account: &bridge_store::Account| {
        account.lease.is_none() && (account.state != AccountState::Due || account.due_at > clock.now())
    };
    for _ in 0..seconds {
        bridge.pbx().advance(Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        bridge.until(id, "done with this second", |accounts| accounts.iter().all(is_waiting)).await;
    }
}

/// One user at the PBX, under the first value of the pool, of which no value counts as somebody else's.
async fn assert_one_under_1000(bridge: &Bridge) {
    let pbx = bridge.pbx().accounts();
    assert_eq!((pbx.len(), &pbx[0]["user"]), (1, &json!("1000")), "{:#?}", bridge.pbx().calls());
    let values = bridge.running.bridge.store.read(|db| db.assignments_where("default", "extension", "", 100)).await;
    assert!(values.unwrap().iter().all(|value| value.state != AssignmentState::Foreign));
}

#[tokio::test]
async fn a_lost_reply_of_a_pbx_whose_reads_lag_ends_in_one_account_under_its_first_extension() {
    for lines in ["", "synchronous = false"] {
        let (bridge, clock) = with_lagging_pbx(lines).await;
        bridge.pbx().fail_next(1, Fault::DropAfterApply, Some("POST users"));
        let id = bridge.post("/Users", ann()).await.has_status(201).id();
        until_lost(&bridge, &id).await;
        let_pass(&bridge, &clock, &id, 30).await;
        let account = bridge.account(&id, "pbx").await;
        assert_eq!((account.state, account.remote_id.as_deref()), (AccountState::Settled, Some("1000")), "{lines}");
        assert_one_under_1000(&bridge).await;
        assert_eq!(calls_of(bridge.pbx(), "POST users").len(), 1, "{lines}: {:#?}", bridge.pbx().calls());
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_create_that_the_pbx_carries_out_after_we_gave_up_ends_in_our_own_account() {
    let start = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000);
    let clock = Clock::hand_set(start);
    let mut simulators = Options { now: Some(start), ..Options::default() };
    simulators.netsapiens.replication_lag = Duration::from_secs(35);
    let setup = Setup { clock: clock.clone(), simulators, ..Setup::default().wait("0s") };
    let bridge = Bridge::with(setup.pbx("settle_lag = \"10s\"\ntimeout = \"2s\"\nsynchronous = false")).await;
    bridge.pbx().fail_next(1, Fault::TimeoutAfterApply, Some("POST users"));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until(&id, "being made", |_| calls_of(bridge.pbx(), "POST users").len() == 1).await;
    // The reply is given up after half a minute; the user shows five seconds later.
    bridge.pbx().advance(Duration::from_secs(30));
    clock.advance(Duration::from_secs(30));
    until_lost(&bridge, &id).await;
    let_pass(&bridge, &clock, &id, 40).await;
    let account = bridge.account(&id, "pbx").await;
    let state = (account.state, account.remote_id.as_deref());
    assert_eq!(state, (AccountState::Settled, Some("1000")), "{account:#?} {:#?}", bridge.pbx().calls());
    assert_one_under_1000(&bridge).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_create_that_shows_only_when_the_next_one_meets_it_is_known_to_be_ours() {
    let (bridge, clock) = with_lagging_pbx("synchronous = false").await;
    bridge.pbx().fail_next(1, Fault::DropAfterApply, Some("POST users"));
    bridge.pbx().fail_next(1, Fault::Slow(Duration::from_secs(2)), Some("POST users"));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    until_lost(&bridge, &id).await;
    // For us the first create must have shown by now; the PBX shows it only while the second one is under way.
    clock.advance(Duration::from_secs(15));
    bridge.until(&id, "made again", |_| calls_of(bridge.pbx(), "POST users").len() == 2).await;
    bridge.pbx().advance(Duration::from_secs(8));
    let at_rest = |accounts: &[bridge_store::Account]| {
        accounts.iter().any(|account| account.target == "pbx" && account.applied == account.wanted)
    };
    bridge.until(&id, "at rest", at_rest).await;
    let account = bridge.account(&id, "pbx").await;
    let state = (account.state, account.remote_id.as_deref());
    assert_eq!(state, (AccountState::Settled, Some("1000")), "{account:#?}");
    assert_one_under_1000(&bridge).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_pbx_whose_reads_lag_ends_as_the_user_does_whatever_its_reads_say_meanwhile() {
    let active = |active: bool| json!([{"op": "replace", "value": {"active": active}}]);
    let named = |name: &str| json!([{"op": "replace", "value": {"name": {"familyName": name}}}]);
    let cases = [
        ("a leaver comes back", vec![active(false), active(true)], "Basic User", "Roe"),
        ("who came back leaves", vec![active(false), active(true), active(false)], "No Portal", "Roe"),
        ("a name is taken back", vec![named("Rowe"), named("Roe")], "Basic User", "Roe"),
        ("a name changes as somebody leaves", vec![named("Rowe"), active(false)], "No Portal", "Rowe"),
    ];
    for (case, requests, scope, name) in cases {
        for fault in [None, Some(Fault::DropAfterApply), Some(Fault::DropBefore)] {
            let (bridge, clock) = with_lagging_pbx("").await;
            let id = bridge.post("/Users", ann()).await.has_status(201).id();
            bridge.until_at_rest(&id).await;
            let_pass(&bridge, &clock, &id, 60).await;
            let (last, earlier) = requests.split_last().unwrap();
            for request in earlier {
                if request == earlier.last().unwrap()
                    && let Some(fault) = &fault
                {
                    bridge.pbx().fail_next(1, fault.clone(), Some("PUT users"));
                }
                bridge.patch(&format!("/Users/{id}"), request.clone()).await.has_status(200);
                let_pass(&bridge, &clock, &id, 1).await;
            }
            bridge.patch(&format!("/Users/{id}"), last.clone()).await.has_status(200);
            let_pass(&bridge, &clock, &id, 40).await;
            let account = bridge.account(&id, "pbx").await;
            assert_eq!(account.state, AccountState::Settled, "{case}, {fault:?}: {account:#?}");
            let pbx = &bridge.pbx().accounts()[0];
            assert_eq!(pbx["user-scope"], scope, "{case}, {fault:?}: {:#?}", bridge.pbx().calls());
            // A suspension repeats the name, and never takes a newer one back because a read was too old.
            assert_eq!(pbx["name-last-name"], name, "{case}, {fault:?}: {:#?}", bridge.pbx().calls());
            bridge.stop().await;
        }
    }
}

#[tokio::test]
async fn a_leaver_is_suspended_under_the_old_name_where_the_pbx_takes_the_new_one_no_more() {
    let (bridge, clock) = with_lagging_pbx("").await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let_pass(&bridge, &clock, &id, 60).await;
    bridge.pbx().fail_next(1, Fault::DropBefore, Some("PUT users"));
    bridge.pbx().fail_next(1, Fault::Refuse("invalid name-last-name".to_owned()), Some("PUT users"));
    let named = json!([{"op": "replace", "value": {"name": {"familyName": "Rowe"}}}]);
    bridge.patch(&format!("/Users/{id}"), named).await.has_status(200);
    bridge
        .until(&id, "lost", |accounts| accounts.iter().any(|account| account.doubt == bridge_store::Doubt::Read))
        .await;
    let leave = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{id}"), leave).await.has_status(200);
    let_pass(&bridge, &clock, &id, 1).await;
    let pbx = &bridge.pbx().accounts()[0];
    assert_eq!((&pbx["user-scope"], &pbx["name-last-name"]), (&json!("No Portal"), &json!("Roe")), "at once");
    let_pass(&bridge, &clock, &id, 40).await;
    assert_eq!(bridge.account(&id, "pbx").await.state, AccountState::Settled);
    bridge.stop().await;
}

#[tokio::test]
async fn a_target_that_takes_one_call_at_a_time_gets_one_at_a_time_over_a_reload_too() {
    let bridge = Bridge::with(Setup::default().wait("0s").glance("max_in_flight = 1")).await;
    bridge.glance().fail_next(1, Fault::Slow(Duration::from_secs(1)), Some("NewUser"));
    let first = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    bridge.until(&first, "being made", |_| !calls_of(bridge.glance(), "NewUser").is_empty()).await;
    bridge.running.reload(Config::parse(&bridge.file(), bridge.folder()).unwrap()).await.unwrap();
    let second = bridge.post("/Users", okta_user("bob")).await.has_status(201).id();
    for id in [&first, &second] {
        bridge.until_state(id, "glance", AccountState::Settled).await;
    }
    assert_eq!(bridge.glance().most_at_once(), 1, "{:#?}", bridge.glance().calls());
    bridge.stop().await;
}
