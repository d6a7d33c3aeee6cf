//! A user's life, as each target sees it.

use bridge_server::operations;
use bridge_simulators::{Fault, Simulator};
use bridge_store::AccountState;
use bridge_tests::samples::{ann, entra_user, okta_user};
use bridge_tests::{Bridge, account_name, account_where, calls_of};
use serde_json::{Value, json};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The account of somebody at each target: Glance, PBX, CRM.
fn accounts_of(bridge: &Bridge, name: &str) -> [Option<Value>; 3] {
    let email = format!("{name}@acme.example");
    [
        account_where(&bridge.glance().accounts(), "UserAddress", &format!("{name}.acme.glance.net")).cloned(),
        account_where(&bridge.pbx().accounts(), "login-username", &email).cloned(),
        account_where(&bridge.crm().accounts(), "username", name).cloned(),
    ]
}

#[tokio::test]
async fn a_user_that_okta_creates_has_an_account_in_every_target() {
    let bridge = Bridge::start().await;
    let created = bridge.post("/Users", ann()).await.has_status(201);
    let [glance, pbx, crm] = accounts_of(&bridge, "ann").map(Option::unwrap);
    assert_eq!(glance["PartnerUserID"], created.id());
    assert_eq!(glance["UserFirst"], "Ann");
    assert_eq!(glance["UserEmail"], "ann@acme.example");
    assert_eq!(glance["UserSuspended"], false);
    assert_eq!(pbx["user"], "1000");
    assert_eq!(pbx["name-last-name"], "Roe");
    assert_eq!(pbx["user-scope"], "Basic User");
    assert_eq!(pbx["language-token"], "en_US");
    assert_eq!(crm["udf_string_1"], created.id());
    assert_eq!(crm["cti_phone_extension_number"], "1000", "the CRM gets the extension that the PBX has confirmed");
    assert_eq!(crm["active"], true);
    bridge.stop().await;
}

#[tokio::test]
async fn a_user_that_entra_creates_has_an_account_in_every_target() {
    let bridge = Bridge::start().await;
    let created = bridge.post("/Users", entra_user("eve")).await.has_status(201);
    assert_eq!(created.body["active"], true);
    let [glance, pbx, crm] = accounts_of(&bridge, "eve").map(Option::unwrap);
    assert_eq!(glance["UserLast"], "Roe");
    assert_eq!(pbx["department"], "Support");
    assert_eq!(crm["email"], "eve@acme.example");
    bridge.stop().await;
}

#[tokio::test]
async fn a_change_reaches_the_targets_that_it_concerns_and_no_other() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", entra_user("eve")).await.has_status(201).id();
    let before = bridge.glance().calls().len();
    let operations = json!([{"op": "Replace", "path": format!("{ENTERPRISE}:department"), "value": "Sales"}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    let [_, pbx, _] = accounts_of(&bridge, "eve").map(Option::unwrap);
    assert_eq!(pbx["department"], "Sales");
    assert_eq!(bridge.glance().calls().len(), before, "Glance has no department");
    bridge.stop().await;
}

#[tokio::test]
async fn a_new_name_changes_glance_and_pbx_and_is_a_task_at_the_crm() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let operations = json!([{"op": "replace", "value": {"name": {"givenName": "Anne", "familyName": "Rowe"}}}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    let [glance, pbx, _] = accounts_of(&bridge, "ann").map(Option::unwrap);
    assert_eq!((&glance["UserFirst"], &glance["UserLast"]), (&json!("Anne"), &json!("Rowe")));
    assert_eq!((&pbx["name-first-name"], &pbx["name-last-name"]), (&json!("Anne"), &json!("Rowe")));
    assert_eq!(bridge.account(&id, "crm").await.state, AccountState::Task);
    bridge.stop().await;
}

#[tokio::test]
async fn a_new_user_name_renames_the_glance_address_and_the_pbx_login() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let operations = json!([{"op": "replace", "value": {"userName": "anne@acme.example"}}]);
    let patched = bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    assert_eq!(patched.id(), id);
    let glance = bridge.glance().accounts();
    assert_eq!(glance.len(), 1);
    assert_eq!(glance[0]["UserAddress"], "anne.acme.glance.net");
    assert_eq!(bridge.pbx().accounts()[0]["login-username"], "anne@acme.example");
    assert_eq!(bridge.pbx().accounts()[0]["user"], "1000");
    bridge.stop().await;
}

#[tokio::test]
async fn all_that_a_rename_leaves_to_a_person_is_one_task() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let value = json!({"userName": "anne@acme.example", "name": {"familyName": "Rowe"}});
    bridge.patch(&format!("/Users/{id}"), json!([{"op": "replace", "value": value}])).await.has_status(200);
    let reason = bridge.until_state(&id, "crm", AccountState::Task).await.reason.unwrap();
    let words = ["set last_name to Rowe", "username cannot be changed"];
    assert!(words.iter().all(|word| reason.text.contains(word)), "{}", reason.text);
    assert_eq!(reason.code, "cannot-update");
    bridge.stop().await;
}

#[tokio::test]
async fn the_same_put_again_causes_no_call() {
    let bridge = Bridge::start().await;
    let created = bridge.post("/Users", okta_user("bob")).await.has_status(201);
    let calls =
        |bridge: &Bridge| [bridge.glance(), bridge.pbx(), bridge.crm()].map(|simulator| simulator.calls().len());
    let before = calls(&bridge);
    let path = format!("/Users/{}", created.id());
    let put = bridge.put(&path, created.body.clone()).await.has_status(200);
    assert_eq!(put.body, created.body);
    assert_eq!(calls(&bridge), before);
    bridge.stop().await;
}

#[tokio::test]
async fn a_deactivated_user_is_suspended_where_the_api_can_and_a_task_where_it_cannot() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let path = format!("/Users/{id}");
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    let patched = bridge.patch(&path, off).await.has_status(200);
    assert_eq!(patched.body["active"], false);
    bridge.until_at_rest(&id).await;
    let [glance, pbx, crm] = accounts_of(&bridge, "ann").map(Option::unwrap);
    assert_eq!(glance["UserSuspended"], true);
    assert_eq!(pbx["user-scope"], "No Portal");
    assert_eq!(pbx["dial-policy"], "Deny All");
    assert_eq!(pbx["voicemail-enabled"], "no");
    assert_eq!(crm["active"], true);
    let crm = bridge.account(&id, "crm").await;
    assert_eq!(crm.state, AccountState::Task);
    for target in ["glance", "pbx"] {
        let account = bridge.account(&id, target).await;
        assert_eq!(account.state, AccountState::Settled, "{target}");
        assert_eq!(account.proof.unwrap()["presence"], "suspended", "{target} was read back");
    }
    assert_eq!(bridge.get(&path).await.has_status(200).body["active"], false);
    bridge.stop().await;
}

#[tokio::test]
async fn whoever_comes_back_has_no_task_at_the_crm_any_more_unless_a_person_has_done_it() {
    for is_done in [false, true] {
        let bridge = Bridge::start().await;
        let id = bridge.post("/Users", ann()).await.has_status(201).id();
        let set_active = async |active: bool| {
            let operations = json!([{"op": "replace", "value": {"active": active}}]);
            bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
            bridge.until_at_rest(&id).await;
            let row = bridge.account(&id, "crm").await;
            (row.state, row.reason.map(|reason| reason.code))
        };
        assert_eq!(set_active(false).await, (AccountState::Task, Some("cannot-suspend".to_owned())));
        if is_done {
            bridge.crm().seed(json!({"username": "ann", "active": false}));
            let name = account_name(&id, "crm");
            operations::task_done(&bridge.running.bridge, &name, "test").await.unwrap();
            bridge.until_state(&id, "crm", AccountState::Settled).await;
        }
        let expected = match is_done {
            false => (AccountState::Settled, None),
            true => (AccountState::Task, Some("cannot-reactivate".to_owned())),
        };
        assert_eq!(set_active(true).await, expected);
        assert_eq!(bridge.crm().accounts().len(), 1);
        assert_eq!(bridge.crm().accounts()[0]["active"], !is_done, "the API can change neither way");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_reactivated_user_gets_back_what_the_suspension_took() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", entra_user("eve")).await.has_status(201).id();
    let path = format!("/Users/{id}");
    let [_, before, _] = accounts_of(&bridge, "eve").map(Option::unwrap);
    for active in ["False", "True"] {
        let operations = json!([{"op": "Replace", "path": "active", "value": active}]);
        bridge.patch(&path, operations).await.has_status(200);
        bridge.until_at_rest(&id).await;
    }
    let [glance, after, _] = accounts_of(&bridge, "eve").map(Option::unwrap);
    assert_eq!(glance["UserSuspended"], false);
    for field in ["user", "user-scope", "dial-policy", "voicemail-enabled", "login-username"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_deleted_user_is_gone_for_clients_and_out_of_every_target() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let path = format!("/Users/{id}");
    bridge.delete(&path).await.has_status(204);
    bridge.get(&path).await.has_status(404);
    bridge.delete(&path).await.has_status(404);
    bridge.until_at_rest(&id).await;
    let [glance, pbx, crm] = accounts_of(&bridge, "ann");
    assert_eq!(glance.unwrap()["UserSuspended"], true, "on_delete of Glance is suspend");
    assert_eq!(pbx, None, "on_delete of the PBX is delete");
    assert!(crm.is_some());
    assert_eq!(bridge.account(&id, "crm").await.state, AccountState::Task);
    bridge.stop().await;
}

#[tokio::test]
async fn a_deleted_user_is_removed_from_glance_where_the_configuration_says_so() {
    let setup = bridge_tests::Setup::default().glance(r#"on_delete = "delete""#);
    let bridge = Bridge::with(setup).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.glance().accounts(), Vec::<Value>::new());
    // The address is free again.
    bridge.post("/Users", okta_user("ann")).await.has_status(201);
    bridge.stop().await;
}

#[tokio::test]
async fn no_account_is_made_for_an_inactive_user_before_the_first_activation() {
    let bridge = Bridge::start().await;
    let mut user = ann();
    user["active"] = json!(false);
    let id = bridge.post("/Users", user).await.has_status(201).id();
    assert_eq!(bridge.glance().accounts().len() + bridge.pbx().accounts().len() + bridge.crm().accounts().len(), 0);
    let on = json!([{"op": "replace", "value": {"active": true}}]);
    bridge.patch(&format!("/Users/{id}"), on).await.has_status(200);
    assert!(accounts_of(&bridge, "ann").iter().all(Option::is_some));
    bridge.stop().await;
}

#[tokio::test]
async fn a_user_without_an_email_has_no_pbx_account_and_the_state_says_why() {
    let bridge = Bridge::start().await;
    let mut user = ann();
    user["userName"] = json!("ann");
    user.as_object_mut().unwrap().remove("emails");
    let id = bridge.post("/Users", user).await.has_status(201).id();
    assert_eq!(bridge.pbx().accounts(), Vec::<Value>::new());
    let account = bridge.account(&id, "pbx").await;
    assert_eq!(account.state, AccountState::OutOfScope);
    assert!(account.reason.unwrap().text.contains("mail"));
    bridge.stop().await;
}

#[tokio::test]
async fn the_state_of_each_target_is_shown_in_scim_on_request() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    const PROVISIONING: &str = "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User";
    let usual = bridge.get(&format!("/Users/{id}")).await.has_status(200);
    assert_eq!(usual.body[PROVISIONING], Value::Null);
    let asked = bridge.get(&format!("/Users/{id}?attributes=userName,{PROVISIONING}:targets")).await.has_status(200);
    let targets = asked.body[PROVISIONING]["targets"].as_array().unwrap();
    let states: Vec<(&str, &str, &str)> = targets
        .iter()
        .map(|target| {
            (target["name"].as_str().unwrap(), target["kind"].as_str().unwrap(), target["state"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        states,
        [("crm", "crm_com", "settled"), ("glance", "glance", "settled"), ("pbx", "netsapiens", "settled")]
    );
    bridge.stop().await;
}

#[tokio::test]
async fn in_mode_hold_nothing_is_sent_until_the_mode_is_changed() {
    let setup = bridge_tests::Setup::default().glance(r#"mode = "hold""#);
    let bridge = Bridge::with(setup).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    assert_eq!(bridge.account(&id, "glance").await.state, AccountState::Held);
    assert_eq!(bridge.glance().calls(), Vec::<Value>::new());
    let bridge = bridge.restart_with(bridge_tests::Setup::default()).await;
    bridge.until_state(&id, "glance", AccountState::Settled).await;
    assert_eq!(bridge.glance().accounts().len(), 1);
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.crm().accounts().len(), 1, "what waited for Glance goes on");
    bridge.stop().await;
}

#[tokio::test]
async fn in_mode_plan_the_calls_are_journaled_and_not_sent() {
    let setup = bridge_tests::Setup::default().glance(r#"mode = "plan""#);
    let bridge = Bridge::with(setup).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let account = bridge.until_state(&id, "glance", AccountState::Held).await;
    let calls = bridge.running.bridge.store.read(|db| db.calls_of(account.resource, Some("glance"), 10)).await.unwrap();
    assert_eq!(calls.iter().map(|call| call.outcome.as_str()).collect::<Vec<_>>(), ["planned"]);
    // What is written later is planned as well.
    let operations = json!([{"op": "replace", "value": {"name": {"familyName": "Rowe"}}}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    let is_planned = |accounts: &[bridge_store::Account]| {
        accounts.iter().any(|account| {
            account.target == "glance"
                && account.state == AccountState::Held
                && account.wanted == 2
                && account.lease.is_none()
        })
    };
    bridge.until(&id, "planned again", is_planned).await;
    let calls = bridge.running.bridge.store.read(|db| db.calls_of(account.resource, Some("glance"), 10)).await.unwrap();
    let names: Vec<&Value> = calls.iter().map(|call| &call.call["body"]["UserLast"]).collect();
    assert_eq!(names, ["Roe", "Rowe"]);
    assert_eq!(calls_of(bridge.glance(), "NewUser"), Vec::<Value>::new());
    bridge.stop().await;
}

#[tokio::test]
async fn concurrent_patches_all_count_and_the_targets_get_the_last_state() {
    let bridge = std::sync::Arc::new(Bridge::start().await);
    let id = bridge.post("/Users", entra_user("eve")).await.has_status(201).id();
    bridge.pbx().fail_next(1, bridge_simulators::Fault::Slow(std::time::Duration::from_millis(200)), Some("PUT user"));
    let attributes = ["title", "nickName", "userType", "preferredLanguage", "timezone", "displayName"];
    let mut running = tokio::task::JoinSet::new();
    for attribute in attributes {
        let (bridge, path) = (bridge.clone(), format!("/Users/{id}"));
        running.spawn(async move {
            let value = if attribute == "timezone" { "US/Central" } else { "de" };
            let operations = json!([{"op": "replace", "path": attribute, "value": value}]);
            bridge.patch(&path, operations).await.has_status(200);
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let user = bridge.get(&format!("/Users/{id}")).await.has_status(200).body;
    for attribute in attributes {
        assert!(user[attribute].is_string(), "{attribute} of {user:#}");
    }
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.pbx().accounts()[0]["time-zone"], "US/Central");
    assert_eq!(bridge.pbx().accounts().len(), 1);
}

#[tokio::test]
async fn a_soft_lock_out_changes_the_crm_password_and_gives_it_back() {
    let bridge = Bridge::with(bridge_tests::Setup::default().crm("soft_lock_out = true")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    for active in [false, true] {
        let operations = json!([{"op": "replace", "value": {"active": active}}]);
        bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
        bridge.until_at_rest(&id).await;
    }
    let changes = calls_of(bridge.crm(), "change_password");
    let outcomes: Vec<&str> = changes.iter().filter_map(|call| call["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["OK", "OK"], "{changes:#?}");
    assert_eq!(bridge.account(&id, "crm").await.state, AccountState::Settled);
    bridge.stop().await;
}

#[tokio::test]
async fn a_user_whose_soft_lock_out_was_refused_comes_back() {
    let bridge = Bridge::with(bridge_tests::Setup::default().crm("soft_lock_out = true")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let refused = "COM.CRM.EXCEPTION.SECURITY.INVALIDCREDENTIALSEXCEPTION the old password is wrong";
    bridge.crm().fail_next(1, Fault::Refuse(refused.to_owned()), Some("users/change_password"));
    for active in [false, true] {
        let operations = json!([{"op": "replace", "value": {"active": active}}]);
        bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
        bridge.until_at_rest(&id).await;
        let expected = if active { AccountState::Settled } else { AccountState::Task };
        assert_eq!(bridge.account(&id, "crm").await.state, expected);
    }
    assert_eq!(calls_of(bridge.crm(), "change_password").len(), 1, "nothing was rotated, so nothing is given back");
    assert_eq!(bridge.account(&id, "crm").await.kept.unwrap().get("suspension"), None);
    bridge.stop().await;
}

#[tokio::test]
async fn a_soft_lock_out_whose_reply_is_lost_is_asked_for_again_and_given_back() {
    for fault in [Fault::DropBefore, Fault::DropAfterApply] {
        let bridge = Bridge::with(bridge_tests::Setup::default().wait("0s").crm("soft_lock_out = true")).await;
        let id = bridge.post("/Users", ann()).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        bridge.crm().fail_next(1, fault.clone(), Some("users/change_password"));
        for active in [false, true] {
            let operations = json!([{"op": "replace", "value": {"active": active}}]);
            bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
            let expected = if active { AccountState::Settled } else { AccountState::Task };
            bridge.until_state(&id, "crm", expected).await;
        }
        let changes = calls_of(bridge.crm(), "change_password");
        assert_eq!(changes.len(), 3, "{fault:?}: lost, again, back: {changes:#?}");
        assert_eq!(changes[2]["outcome"], "OK", "{fault:?}");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn users_are_found_by_the_state_of_their_targets_and_by_their_location() {
    let bridge = Bridge::start().await;
    let created = bridge.post("/Users", ann()).await.has_status(201);
    const STATE: &str = "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User:targets.state";
    let location = created.body["meta"]["location"].as_str().unwrap();
    for (filter, expected) in [
        (format!(r#"{STATE} eq "settled""#), 1),
        (format!(r#"{STATE} eq "parked""#), 0),
        (format!(r#"not ({STATE} eq "settled")"#), 0),
        (format!(r#"meta.location eq "{location}""#), 1),
    ] {
        let request = bridge.request(
            reqwest::Method::GET,
            &format!("/Users?filter={}", filter.replace(' ', "%20").replace('"', "%22")),
        );
        let found = bridge_tests::Answer::of(request).await.has_status(200);
        assert_eq!(found.body["totalResults"], expected, "{filter}");
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_retry_puts_right_what_somebody_has_changed_or_removed_at_the_targets() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let before = [bridge.glance(), bridge.pbx(), bridge.crm()].map(Simulator::accounts);
    let address = before[0][0]["UserAddress"].as_str().unwrap();
    assert!(bridge.glance().remove(address));
    bridge.pbx().seed(json!({"user": before[1][0]["user"], "name-first-name": "Somebody"}));
    assert_eq!(bridge.pbx().accounts()[0]["name-first-name"], "Somebody");
    for target in ["glance", "pbx"] {
        let name = account_name(&id, target);
        operations::retry(&bridge.running.bridge, &name, "test").await.unwrap();
        bridge.until_state(&id, target, AccountState::Settled).await;
    }
    assert_eq!(bridge.glance().accounts()[0]["UserAddress"], before[0][0]["UserAddress"]);
    assert_eq!(bridge.pbx().accounts()[0]["name-first-name"], before[1][0]["name-first-name"]);
    bridge.stop().await;
}
