//! Who leaves the scope of a target: `on_unscoped` (README, "What happens to leavers, returners and renamed people").

use std::time::Duration;

use bridge_server::config::Config;
use bridge_simulators::Fault;
use bridge_store::{Account, AccountState, RequestQuery};
use bridge_tests::samples::ann;
use bridge_tests::{Bridge, Setup, calls_of};
use serde_json::{Value, json};

/// A PBX for everybody but contractors, and Ann in it.
async fn with_ann_in_scope(on_unscoped: &str) -> (Bridge, String) {
    let scope = r#"scope = { filter = 'userType ne "Contractor"' }"#;
    let pbx = format!("settle_lag = \"0s\"\n{on_unscoped}\n{scope}");
    let bridge = Bridge::with(Setup::default().pbx(&pbx)).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_eq!(scopes(&bridge), ["Basic User"]);
    (bridge, id)
}

async fn becomes(bridge: &Bridge, id: &str, user_type: &str) {
    let operations = json!([{"op": "replace", "value": {"userType": user_type}}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    bridge.until_at_rest(id).await;
}

/// What the PBX lets each of its users do.
fn scopes(bridge: &Bridge) -> Vec<Value> {
    bridge.pbx().accounts().iter().map(|account| account["user-scope"].clone()).collect()
}

#[tokio::test]
async fn whoever_leaves_the_scope_of_a_target_is_suspended_there_alone_and_comes_back_with_it() {
    for line in ["", r#"on_unscoped = "suspend""#] {
        let (bridge, id) = with_ann_in_scope(line).await;
        let before = bridge.pbx().accounts();
        becomes(&bridge, &id, "Contractor").await;
        assert_eq!(scopes(&bridge), ["No Portal"]);
        let account = bridge.account(&id, "pbx").await;
        assert_eq!((account.state, account.reason.unwrap().code.as_str()), (AccountState::OutOfScope, "out-of-scope"));
        assert_eq!(account.proof.unwrap()["presence"], "suspended", "it was read back");
        assert_eq!(bridge.glance().accounts()[0]["UserSuspended"], false);
        assert_eq!(bridge.get(&format!("/Users/{id}")).await.body["active"], true);
        becomes(&bridge, &id, "Employee").await;
        let after = bridge.pbx().accounts();
        for field in ["user", "user-scope", "dial-policy", "voicemail-enabled", "login-username"] {
            assert_eq!(after[0][field], before[0][field], "{field}");
        }
        bridge.stop().await;
    }
}

#[tokio::test]
async fn whoever_leaves_the_scope_of_a_target_that_then_deletes_is_gone_there_and_made_again_on_return() {
    let (bridge, id) = with_ann_in_scope(r#"on_unscoped = "delete""#).await;
    becomes(&bridge, &id, "Contractor").await;
    assert_eq!(bridge.pbx().accounts(), Vec::<Value>::new());
    assert_eq!(bridge.account(&id, "pbx").await.state, AccountState::OutOfScope);
    assert_eq!(bridge.crm().accounts()[0]["active"], true);
    becomes(&bridge, &id, "Employee").await;
    assert_eq!(scopes(&bridge), ["Basic User"]);
    assert_eq!(bridge.pbx().accounts()[0]["user"], "1000", "the extension is still theirs");
    assert_eq!(bridge.account(&id, "pbx").await.state, AccountState::Settled);
    bridge.stop().await;
}

#[tokio::test]
async fn whoever_leaves_the_scope_of_a_target_that_keeps_accounts_is_left_alone_there() {
    let (bridge, id) = with_ann_in_scope(r#"on_unscoped = "keep""#).await;
    let before = (bridge.pbx().accounts(), calls_of(bridge.pbx(), "PUT users").len());
    becomes(&bridge, &id, "Contractor").await;
    assert_eq!(bridge.account(&id, "pbx").await.state, AccountState::OutOfScope);
    let operations = json!([{"op": "replace", "value": {"name": {"familyName": "Rowe"}}}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.glance().accounts()[0]["UserLast"], "Rowe");
    assert_eq!((bridge.pbx().accounts(), calls_of(bridge.pbx(), "PUT users").len()), before);
    becomes(&bridge, &id, "Employee").await;
    assert_eq!(bridge.pbx().accounts()[0]["name-last-name"], "Rowe", "what was missed is made up for");
    bridge.stop().await;
}

#[tokio::test]
async fn whoever_leaves_the_scope_while_the_account_is_being_made_ends_suspended() {
    let scope = r#"scope = { filter = 'userType ne "Contractor"' }"#;
    let setup = Setup::default().wait("0s").glance(scope).pbx(&format!("settle_lag = \"0s\"\nafter = []\n{scope}"));
    let bridge = Bridge::with(setup).await;
    let slow = Fault::Slow(Duration::from_millis(500));
    bridge.glance().fail_next(1, slow.clone(), Some("NewUser"));
    bridge.pbx().fail_next(1, slow, Some("POST users"));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let are_sent = |_: &[Account]| {
        calls_of(bridge.glance(), "NewUser").len() == 1 && calls_of(bridge.pbx(), "POST users").len() == 1
    };
    bridge.until(&id, "being made", are_sent).await;
    let contractor = json!([{"op": "replace", "value": {"userType": "Contractor"}}]);
    bridge.patch(&format!("/Users/{id}"), contractor).await.has_status(200);
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.glance().accounts()[0]["UserSuspended"], true);
    assert_eq!(scopes(&bridge), ["No Portal"]);
    for target in ["glance", "pbx"] {
        assert_eq!(bridge.account(&id, target).await.state, AccountState::OutOfScope, "{target}");
    }
    bridge.stop().await;
}

#[tokio::test]
async fn whoever_loses_the_group_that_gives_an_account_while_it_is_being_made_ends_suspended() {
    let setup = Setup::default().wait("0s").pbx("settle_lag = \"0s\"\nscope = { groups = [\"Phones\"] }");
    let bridge = Bridge::with(setup).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_state(&id, "pbx", AccountState::OutOfScope).await;
    bridge.pbx().fail_next(1, Fault::Slow(Duration::from_millis(500)), Some("POST users"));
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Phones", "members": [{"value": id}]
    });
    let group = bridge.post("/Groups", group).await.has_status(201).id();
    bridge.until(&id, "being made", |_| calls_of(bridge.pbx(), "POST users").len() == 1).await;
    bridge.delete(&format!("/Groups/{group}")).await.has_status(204);
    bridge.until_state(&id, "pbx", AccountState::OutOfScope).await;
    assert_eq!(scopes(&bridge), ["No Portal"]);
    bridge.stop().await;
}

#[tokio::test]
async fn the_same_write_again_makes_the_accounts_follow_rules_that_have_changed() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let same = json!([{"op": "replace", "path": "userName", "value": ann()["userName"]}]);
    let version = bridge.get(&format!("/Users/{id}")).await.body["meta"]["version"].clone();
    let scope = "[tenants.default.targets.pbx.scope]\nfilter = 'title eq \"Phone\"'";
    let text = format!("{}\n{scope}\n", bridge.file());
    bridge.running.reload(Config::parse(&text, bridge.folder()).unwrap()).await.unwrap();
    assert_eq!(bridge.account(&id, "pbx").await.state, AccountState::Settled);
    bridge.patch(&format!("/Users/{id}"), same.clone()).await.has_status(200);
    bridge.until_state(&id, "pbx", AccountState::OutOfScope).await;
    let text = bridge.file();
    bridge.running.reload(Config::parse(&text, bridge.folder()).unwrap()).await.unwrap();
    bridge.patch(&format!("/Users/{id}"), same.clone()).await.has_status(200);
    bridge.until_state(&id, "pbx", AccountState::Settled).await;
    let shown = bridge.get(&format!("/Users/{id}")).await;
    assert_eq!(shown.body["meta"]["version"], version, "nothing of the user has changed");
    bridge.stop().await;
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_no_work_for_any_account() {
    let (bridge, id) = with_ann_in_scope("").await;
    let set = |name: &'static str, value: &'static str| json!([{"op": "replace", "path": name, "value": value}]);
    let path = format!("/Users/{id}");
    // A task is open at the CRM, and the PBX account is out of scope.
    bridge.patch(&path, set("name.familyName", "Rowe")).await.has_status(200);
    bridge.patch(&path, set("userType", "Contractor")).await.has_status(200);
    bridge.until_state(&id, "crm", AccountState::Task).await;
    bridge.until_state(&id, "pbx", AccountState::OutOfScope).await;
    bridge.until_at_rest(&id).await;
    let seen = async || {
        let query = RequestQuery { tenant: "default".to_owned(), ..RequestQuery::default() };
        let written = bridge.running.bridge.store.read(|db| db.requests(&query)).await.unwrap().len();
        let wanted: Vec<_> = bridge.accounts(&id).await.into_iter().map(|account| account.wanted).collect();
        (written, wanted)
    };
    let before = seen().await;
    bridge.patch(&path, set("userType", "Contractor")).await.has_status(200);
    assert_eq!(seen().await, before);
    bridge.stop().await;
}
