//! `on_rekey = "recreate"`: a key that cannot be renamed changes, and a new account takes the old one's place.

use bridge_server::clock::Clock;
use bridge_simulators::{Fault, Simulator};
use bridge_store::{Account, AccountState, Doubt};
use bridge_tests::samples::ann;
use bridge_tests::{Bridge, Setup, account_name, account_where, calls_of};
use serde_json::{Value, json};

use super::secrets::webhook;

const EXTENSION: &str = "urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User:extension";
const RECREATE: &str = "settle_lag = \"0s\"\non_rekey = \"recreate\"";

/// A bridge whose PBX recreates, and Ann with the extension 1000 in it.
async fn with_ann_in_the_pbx(lines: &str) -> (Bridge, String) {
    let bridge = Bridge::with(Setup::default().wait("0s").pbx(&format!("{RECREATE}\n{lines}"))).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_eq!(extensions(bridge.pbx()), ["1000"]);
    (bridge, id)
}

/// The identity provider gives her another one.
async fn move_to(bridge: &Bridge, id: &str, extension: &str) {
    let operations = json!([{"op": "replace", "path": EXTENSION, "value": extension}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
}

async fn set_active(bridge: &Bridge, id: &str, active: bool) {
    let operations = json!([{"op": "replace", "value": {"active": active}}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
}

/// Ann's extensions, those of replaced accounts too.
fn extensions(pbx: &Simulator) -> Vec<String> {
    let accounts = pbx.accounts().into_iter().filter(|account| account["email-address"] == "ann@acme.example");
    let mut extensions: Vec<String> = accounts.map(|account| account["user"].as_str().unwrap().to_owned()).collect();
    extensions.sort_unstable();
    extensions
}

fn user<'a>(accounts: &'a [Value], extension: &str) -> &'a Value {
    account_where(accounts, "user", extension).unwrap()
}

fn is_settled_at(account: &Account, target: &str, remote_id: &str) -> bool {
    account.target == target
        && account.state == AccountState::Settled
        && account.remote_id.as_deref() == Some(remote_id)
}

/// Whether a write to the PBX has to show before it goes on.
fn is_settling(accounts: &[Account]) -> bool {
    let pbx = accounts.iter().find(|account| account.target == "pbx");
    pbx.and_then(|account| account.reason.as_ref()).is_some_and(|reason| reason.code == "settling")
}

async fn until_moved(bridge: &Bridge, id: &str, extension: &str) {
    let moved = |accounts: &[Account]| accounts.iter().any(|account| is_settled_at(account, "pbx", extension));
    bridge.until(id, "moved", moved).await;
}

#[tokio::test]
async fn another_extension_is_a_new_pbx_user_and_the_old_one_goes_after_it() {
    let (bridge, id) = with_ann_in_the_pbx("").await;
    move_to(&bridge, &id, "1500").await;
    until_moved(&bridge, &id, "1500").await;
    assert_eq!(extensions(bridge.pbx()), ["1500"]);
    assert_eq!(user(&bridge.pbx().accounts(), "1500")["login-username"], "ann@acme.example");
    let writes: Vec<String> = bridge
        .pbx()
        .calls()
        .iter()
        .filter(|call| call["method"] != "GET")
        .map(|call| call["operation"].as_str().unwrap().to_owned())
        .collect();
    // The login is freed before the new one is made; the old one goes last, locked out first.
    let expected = ["PUT users/{user}", "POST users", "PUT users/{user}", "DELETE users/{user}"];
    assert_eq!(writes[1..], expected, "{writes:?}");
    let account = bridge.account(&id, "pbx").await;
    assert_eq!(account.natural_key.as_deref(), Some("1500"));
    assert_eq!(account.kept.and_then(|kept| kept.get("replaced").cloned()), None);
    bridge.stop().await;
}

#[tokio::test]
async fn with_on_rekey_refuse_another_extension_is_refused_and_everything_stays() {
    let bridge = Bridge::with(Setup::default().pbx("settle_lag = \"0s\"\non_rekey = \"refuse\"")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let path = format!("/Users/{id}");
    let before = (bridge.get(&path).await.body, bridge.pbx().accounts(), bridge.crm().accounts());
    let operations = json!([{"op": "replace", "path": EXTENSION, "value": "1500"}]);
    let refused = bridge.patch(&path, operations).await.has_status(400).names(&["pbx", "user"]);
    assert!(refused.detail().contains("cannot be changed"), "{}", refused.detail());
    bridge.until_at_rest(&id).await;
    let mut after = (bridge.get(&path).await.body, bridge.pbx().accounts(), bridge.crm().accounts());
    let [was, is] = [&before.0, &after.0].map(|user| user["meta"].clone());
    assert_ne!(was["version"], is["version"], "it was changed and changed back");
    after.0["meta"] = was;
    assert_eq!(after, before);
    assert_eq!(bridge.account(&id, "pbx").await.state, AccountState::Settled);
    bridge.stop().await;
}

#[tokio::test]
async fn whatever_reply_is_lost_there_is_one_pbx_user_at_the_end() {
    for operation in ["PUT users/{user}", "POST users", "DELETE users/{user}"] {
        for fault in [Fault::DropAfterApply, Fault::DropBefore] {
            let (bridge, id) = with_ann_in_the_pbx("").await;
            bridge.pbx().fail_next(1, fault.clone(), Some(operation));
            move_to(&bridge, &id, "1500").await;
            until_moved(&bridge, &id, "1500").await;
            assert_eq!(extensions(bridge.pbx()), ["1500"], "{operation} {fault:?}");
            assert_eq!(user(&bridge.pbx().accounts(), "1500")["login-username"], "ann@acme.example");
            let made = calls_of(bridge.pbx(), "POST users").iter().filter(|call| call["status"] == 200).count();
            assert!(made <= 2, "{operation} {fault:?}: made {made} times");
            bridge.stop().await;
        }
    }
}

#[tokio::test]
async fn a_slow_pbx_is_given_its_settle_lag_before_the_login_is_used_again() {
    let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let setup = Setup { clock: clock.clone(), ..Setup::default().wait("0s") };
    let bridge = Bridge::with(setup.pbx("settle_lag = \"10s\"\non_rekey = \"recreate\"")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    clock.advance(std::time::Duration::from_secs(60));
    move_to(&bridge, &id, "1500").await;
    bridge.until(&id, "settling", is_settling).await;
    assert_eq!(user(&bridge.pbx().accounts(), "1000")["login-username"], "1000@acme.example");
    assert_eq!(calls_of(bridge.pbx(), "POST users").len(), 1);
    assert_eq!(bridge.account(&id, "pbx").await.remote_id.as_deref(), Some("1000"));
    let moved = |accounts: &[Account]| {
        clock.advance(std::time::Duration::from_millis(100));
        accounts.iter().any(|account| is_settled_at(account, "pbx", "1500"))
    };
    bridge.until(&id, "moved", moved).await;
    assert_eq!(extensions(bridge.pbx()), ["1500"]);
    bridge.stop().await;
}

#[tokio::test]
async fn an_extension_that_changes_again_while_the_old_user_is_being_removed_is_changed_again() {
    let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let setup = Setup { clock: clock.clone(), ..Setup::default().wait("0s") };
    let bridge = Bridge::with(setup.pbx("settle_lag = \"10s\"\non_rekey = \"recreate\"")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    clock.advance(std::time::Duration::from_secs(60));
    move_to(&bridge, &id, "1500").await;
    let removed = |accounts: &[Account]| {
        let is_removed = !calls_of(bridge.pbx(), "DELETE users/{user}").is_empty();
        if !is_removed {
            clock.advance(std::time::Duration::from_millis(100));
        }
        is_removed && accounts.iter().all(|account| account.lease.is_none())
    };
    bridge.until(&id, "removed", removed).await;
    assert!(
        bridge.account(&id, "pbx").await.kept.is_some_and(|kept| kept.get("replaced").is_some()),
        "not verified yet"
    );
    move_to(&bridge, &id, "1600").await;
    let moved = |accounts: &[Account]| {
        clock.advance(std::time::Duration::from_millis(100));
        accounts.iter().any(|account| is_settled_at(account, "pbx", "1600"))
    };
    bridge.until(&id, "moved again", moved).await;
    assert_eq!(extensions(bridge.pbx()), ["1600"]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_taken_extension_changes_nothing_and_the_old_account_stays_as_it_was() {
    let (bridge, id) = with_ann_in_the_pbx("adopt = \"never\"").await;
    bridge.pbx().seed(json!({
        "user": "1500", "name-first-name": "Other", "name-last-name": "Person", "email-address": "other@acme.example",
        "login-username": "other@acme.example"
    }));
    move_to(&bridge, &id, "1500").await;
    let parked = bridge.until_state(&id, "pbx", AccountState::Parked).await;
    assert_eq!(parked.remote_id.as_deref(), Some("1000"));
    assert_eq!(extensions(bridge.pbx()), ["1000"]);
    assert_eq!(user(&bridge.pbx().accounts(), "1000")["login-username"], "ann@acme.example");
    // Somebody makes room, and a person says so.
    assert!(bridge.pbx().remove("1500"));
    let name = account_name(&id, "pbx");
    bridge_server::operations::retry(&bridge.running.bridge, &name, "test").await.unwrap();
    until_moved(&bridge, &id, "1500").await;
    assert_eq!(extensions(bridge.pbx()), ["1500"]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_new_account_that_is_refused_gives_the_old_one_its_login_back() {
    let (bridge, id) = with_ann_in_the_pbx("").await;
    bridge.pbx().fail_next(1, Fault::Refuse("the domain is full".to_owned()), Some("POST users"));
    move_to(&bridge, &id, "1500").await;
    let parked = bridge.until_state(&id, "pbx", AccountState::Parked).await;
    assert!(parked.reason.unwrap().text.contains("the domain is full"));
    assert_eq!(parked.remote_id.as_deref(), Some("1000"));
    assert_eq!(extensions(bridge.pbx()), ["1000"]);
    assert_eq!(user(&bridge.pbx().accounts(), "1000")["login-username"], "ann@acme.example");
    // She leaves: the old account is the one that goes.
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.until(&id, "gone", |_| extensions(bridge.pbx()).is_empty()).await;
    bridge.stop().await;
}

#[tokio::test]
async fn what_a_pbx_said_of_a_new_account_is_in_no_alert_however_late_the_row_is_parked() {
    let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let (address, alerts) = webhook();
    let more = format!("[alerts]\nwebhook = \"{address}\"");
    let setup = Setup { clock: clock.clone(), more, ..Setup::default().wait("0s") };
    let bridge = Bridge::with(setup.pbx("settle_lag = \"10s\"\non_rekey = \"recreate\"")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    clock.advance(std::time::Duration::from_secs(60));
    move_to(&bridge, &id, "1500").await;
    bridge.until(&id, "settling", is_settling).await;
    bridge.pbx().fail_next(1, Fault::Refuse("Bob Planted has the seat".to_owned()), Some("POST users"));
    // The old account gets its login back one delivery later.
    bridge.pbx().fail_next(1, Fault::Status(429, Some(1)), Some("PUT users"));
    let parked = |accounts: &[Account]| {
        clock.advance(std::time::Duration::from_millis(100));
        accounts.iter().any(|account| account.target == "pbx" && account.state == AccountState::Parked)
    };
    bridge.until(&id, "parked", parked).await;
    assert!(bridge.account(&id, "pbx").await.reason.unwrap().text.contains("Bob Planted"));
    bridge.stop().await;
    let alert = alerts.try_iter().find(|alert| alert["kind"] == "parked").unwrap();
    assert!(!alert.to_string().contains("Planted"), "{alert}");
}

#[tokio::test]
async fn who_leaves_in_the_middle_leaves_with_every_account() {
    let (bridge, id) = with_ann_in_the_pbx("").await;
    bridge.pbx().fail_next(1, Fault::DropAfterApply, Some("POST users"));
    move_to(&bridge, &id, "1500").await;
    bridge.until(&id, "made", |_| extensions(bridge.pbx()).contains(&"1500".to_owned())).await;
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.until(&id, "gone", |_| extensions(bridge.pbx()).is_empty()).await;
    bridge.stop().await;
}

#[tokio::test]
async fn who_leaves_before_a_new_account_was_made_leaves_with_the_old_one_as_a_leaver_does() {
    use bridge_server::clock::Clock;
    for (on_deactivate, on_delete, scope, at_the_end) in [
        ("suspend", "delete", "No Portal", &["1500"][..]),
        ("suspend", "keep", "No Portal", &["1000", "1500"]),
        ("keep", "delete", "Basic User", &["1500"]),
    ] {
        let case = format!("on_deactivate = \"{on_deactivate}\"\non_delete = \"{on_delete}\"");
        let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
        let setup = Setup { clock: clock.clone(), ..Setup::default().wait("0s") };
        let bridge = Bridge::with(setup.pbx(&format!("{RECREATE}\n{case}"))).await;
        let id = bridge.post("/Users", ann()).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        bridge.pbx().fail_next(1, Fault::DropBefore, Some("POST users"));
        move_to(&bridge, &id, "1500").await;
        let in_doubt = |accounts: &[Account]| {
            accounts.iter().any(|account| account.target == "pbx" && account.doubt == Doubt::Create)
        };
        bridge.until(&id, "in doubt", in_doubt).await;
        set_active(&bridge, &id, false).await;
        let settled = |accounts: &[Account]| {
            clock.advance(std::time::Duration::from_millis(100));
            accounts.iter().any(|account| is_settled_at(account, "pbx", "1000"))
        };
        bridge.until(&id, "settled", settled).await;
        assert_eq!(extensions(bridge.pbx()), ["1000"], "{case}");
        assert_eq!(user(&bridge.pbx().accounts(), "1000")["user-scope"], scope, "{case}");
        // Who comes back gets the new extension after all.
        set_active(&bridge, &id, true).await;
        let moved = |accounts: &[Account]| {
            clock.advance(std::time::Duration::from_millis(100));
            accounts.iter().any(|account| is_settled_at(account, "pbx", "1500"))
        };
        bridge.until(&id, "moved", moved).await;
        assert_eq!(extensions(bridge.pbx()), at_the_end, "{case}");
        assert_eq!(user(&bridge.pbx().accounts(), "1500")["user-scope"], "Basic User", "{case}");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn another_user_name_is_a_new_crm_user_and_a_task_to_deactivate_the_old_one() {
    for fault in [None, Some(Fault::DropAfterApply), Some(Fault::DropBefore)] {
        let bridge = Bridge::with(Setup::default().wait("0s").crm("on_rekey = \"recreate\"")).await;
        let id = bridge.post("/Users", ann()).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        let old = bridge.account(&id, "crm").await.remote_id.unwrap();
        if let Some(fault) = fault.clone() {
            bridge.crm().fail_next(1, fault, Some("users/create"));
        }
        let operations = json!([{"op": "replace", "path": "userName", "value": "anna@acme.example"}]);
        bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
        let row = bridge.until_state(&id, "crm", AccountState::Task).await;
        let names: Vec<Value> = bridge
            .crm()
            .accounts()
            .into_iter()
            .filter(|account| account["udf_string_1"] == json!(id))
            .map(|account| account["username"].clone())
            .collect();
        assert_eq!(names, ["ann", "anna"], "{fault:?}");
        let reason = row.reason.unwrap();
        assert_eq!(reason.code, "cannot-suspend");
        assert!(reason.text.contains("user ann "), "the old one is meant: {}", reason.text);
        let new = row.remote_id.unwrap();
        assert_ne!(new, old);
        // A person has done it.
        bridge.crm().seed(json!({"username": "ann", "active": false}));
        let name = account_name(&id, "crm");
        bridge_server::operations::task_done(&bridge.running.bridge, &name, "test").await.unwrap();
        let row = bridge.until_state(&id, "crm", AccountState::Settled).await;
        assert_eq!(row.remote_id, Some(new));
        assert_eq!(row.kept.and_then(|kept| kept.get("replaced").cloned()), None);
        bridge.stop().await;
    }
}
