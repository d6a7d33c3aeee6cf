//! Accounts that were there before the bridge, and people who come back.

use bridge_server::operations;
use bridge_simulators::Fault;
use bridge_store::AccountState;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, account_name, account_where, calls_of};
use serde_json::{Value, json};

/// Accounts that somebody made by hand for Ann.
fn seed_ann(bridge: &Bridge) {
    bridge.glance().seed(json!({
        "PartnerUserID": "badge-77", "UserAddress": "ann.acme.glance.net", "UserFirst": "Annie", "UserLast": "Roe",
        "UserEmail": "ann@acme.example"
    }));
    bridge.pbx().seed(json!({
        "user": "1400", "name-first-name": "Annie", "name-last-name": "Roe", "login-username": "ann@acme.example",
        "email-address": "ann@acme.example", "user-scope": "Basic User"
    }));
    bridge.crm().seed(json!({
        "username": "ann", "first_name": "Annie", "last_name": "Roe", "email": "ann@acme.example",
        "password": "Old!passw0rd12"
    }));
}

#[tokio::test]
async fn an_account_that_was_there_before_waits_for_a_person_and_nothing_is_changed() {
    let bridge = Bridge::start().await;
    seed_ann(&bridge);
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    for target in ["glance", "pbx"] {
        let account = bridge.until_state(&id, target, AccountState::Parked).await;
        assert_eq!(account.reason.unwrap().code, "review", "{target}");
        assert!(account.candidate.is_some(), "{target}");
    }
    assert_eq!(bridge.account(&id, "crm").await.state, AccountState::Waiting, "it comes after both");
    assert_eq!(bridge.glance().accounts()[0]["UserFirst"], "Annie");
    assert_eq!(bridge.pbx().accounts()[0]["name-first-name"], "Annie");
    assert_eq!(bridge.pbx().accounts().len(), 1);
    bridge.stop().await;
}

#[tokio::test]
async fn a_released_account_becomes_ours_and_keeps_its_log_in() {
    let bridge = Bridge::start().await;
    seed_ann(&bridge);
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_state(&id, "pbx", AccountState::Parked).await;
    bridge.until_state(&id, "glance", AccountState::Parked).await;
    for target in ["glance", "pbx"] {
        operations::release(&bridge.running.bridge, &account_name(&id, target), "test").await.unwrap();
        bridge.until_state(&id, target, AccountState::Settled).await;
    }
    let glance = &bridge.glance().accounts()[0];
    assert_eq!((&glance["PartnerUserID"], &glance["UserFirst"]), (&json!("badge-77"), &json!("Ann")));
    let pbx = &bridge.pbx().accounts()[0];
    assert_eq!((&pbx["user"], &pbx["name-first-name"]), (&json!("1400"), &json!("Ann")));
    assert_eq!(bridge.account(&id, "pbx").await.remote_id.as_deref(), Some("1400"));
    bridge.stop().await;
}

#[tokio::test]
async fn a_crm_user_that_was_there_before_waits_for_a_person_and_is_linked_by_the_release() {
    let bridge = Bridge::with(Setup::default().crm(r#"adopt = "review""#)).await;
    bridge.crm().seed(json!({
        "username": "ann", "first_name": "Annie", "last_name": "Roe", "email": "ann@acme.example",
        "password": "Old!passw0rd12"
    }));
    let before = bridge.crm().accounts();
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let account = bridge.until_state(&id, "crm", AccountState::Parked).await;
    assert_eq!(account.reason.unwrap().code, "review");
    assert!(account.candidate.is_some());
    operations::release(&bridge.running.bridge, &account_name(&id, "crm"), "test").await.unwrap();
    // The API cannot change what differs: a person is told, and it is not made or changed meanwhile.
    let account = bridge.until_state(&id, "crm", AccountState::Task).await;
    assert_eq!(account.remote_id.as_deref(), before[0]["id"].as_str());
    let task = account.reason.unwrap();
    assert!(task.code == "cannot-update" && task.text.contains("Ann"), "{task:?}");
    assert_eq!(bridge.crm().accounts(), before);
    let writes = ["users/create", "change_password"].map(|operation| calls_of(bridge.crm(), operation));
    assert_eq!(writes, [Vec::<Value>::new(), Vec::new()]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_call_that_was_under_way_when_a_person_took_the_account_away_is_in_the_journal() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let row = bridge.until_at_rest(&id).await.into_iter().find(|row| row.target == "glance").unwrap();
    bridge.glance().fail_next(1, Fault::Slow(std::time::Duration::from_millis(500)), Some("UpdateUser"));
    let operations = json!([{"op": "replace", "value": {"name": {"familyName": "Rowe"}}}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    while calls_of(bridge.glance(), "UpdateUser").is_empty() {
        tokio::task::yield_now().await;
    }
    operations::set_link(&bridge.running.bridge, &account_name(&id, "glance"), None, "test").await.unwrap();
    bridge.until_at_rest(&id).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let store = &bridge.running.bridge.store;
        let journal = store.read(|db| db.calls_of(row.resource, Some("glance"), 100)).await.unwrap();
        if journal.iter().any(|call| call.operation.starts_with("UpdateUser") && call.outcome == "ok") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{journal:#?}");
        tokio::task::yield_now().await;
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_released_account_keeps_a_log_in_that_is_not_what_the_rules_make() {
    let bridge = Bridge::start().await;
    bridge.pbx().seed(json!({
        "user": "1400", "name-first-name": "Annie", "name-last-name": "Roe", "login-username": "old.ann@acme.example",
        "email-address": "ann@acme.example", "user-scope": "Basic User"
    }));
    let mut user = ann();
    user["urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User"] = json!({"extension": "1400"});
    let id = bridge.post("/Users", user).await.has_status(201).id();
    bridge.until_state(&id, "pbx", AccountState::Parked).await;
    operations::release(&bridge.running.bridge, &account_name(&id, "pbx"), "test").await.unwrap();
    bridge.until_state(&id, "pbx", AccountState::Settled).await;
    let pbx = bridge.pbx().accounts();
    assert_eq!((pbx.len(), &pbx[0]["user"]), (1, &json!("1400")));
    assert_eq!(
        (&pbx[0]["login-username"], &pbx[0]["name-first-name"]),
        (&json!("old.ann@acme.example"), &json!("Ann")),
        "whoever signs in with it still can"
    );
    bridge.stop().await;
}

#[tokio::test]
async fn with_adopt_match_the_same_person_is_adopted_and_the_pool_value_gives_way() {
    let adopt = r#"adopt = "match""#;
    let setup = Setup::default().glance(adopt).crm(adopt).pbx("adopt = \"match\"\nsettle_lag = \"0s\"");
    let bridge = Bridge::with(setup).await;
    seed_ann(&bridge);
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.pbx().accounts().len(), 1);
    assert_eq!(bridge.pbx().accounts()[0]["name-first-name"], "Ann");
    assert_eq!(bridge.glance().accounts().len(), 1);
    assert_eq!(bridge.glance().accounts()[0]["UserFirst"], "Ann");
    let crm = bridge.crm().accounts();
    assert_eq!(crm.len(), 1);
    assert_eq!(bridge.account(&id, "crm").await.remote_id.as_deref(), crm[0]["id"].as_str());
    let reserved = bridge.running.bridge.store.read(|db| db.assignment("default", "extension", "1000")).await.unwrap();
    assert_eq!(reserved.unwrap().resource, None, "the reserved value is free again");
    assert_eq!(crm[0]["cti_phone_extension_number"], Value::Null, "the API cannot change what was there");
    bridge.stop().await;
}

#[tokio::test]
async fn with_adopt_match_an_account_whose_number_another_user_holds_waits_for_a_person() {
    let adopt = "adopt = \"match\"\nsettle_lag = \"0s\"";
    let bridge = Bridge::with(Setup::default().pbx(adopt).wait("0s")).await;
    // Bob gets the first number, and leaves before he has an account: it is his still.
    bridge.pbx().fail_next(1000, Fault::Status(503, None), None);
    let bob = bridge.post("/Users", okta_user("bob")).await.has_status(201).id();
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    bridge.patch(&format!("/Users/{bob}"), off).await.has_status(200);
    bridge.pbx().clear_faults();
    bridge.until_state(&bob, "pbx", AccountState::Settled).await;
    bridge.pbx().seed(json!({
        "user": "1000", "name-first-name": "Annie", "name-last-name": "Roe", "login-username": "ann@acme.example",
        "email-address": "ann@acme.example", "user-scope": "Basic User"
    }));
    let ann = bridge.post("/Users", ann()).await.has_status(201).id();
    let parked = bridge.until_state(&ann, "pbx", AccountState::Parked).await;
    let reason = parked.reason.unwrap();
    assert_eq!(reason.code, "linked-elsewhere");
    assert!(
        ["extension 1000", bob.as_str(), "account retry"].iter().all(|word| reason.text.contains(word)),
        "{reason:?}"
    );
    assert_eq!(bridge.pbx().accounts()[0]["name-first-name"], "Annie", "nothing was changed");
    bridge.stop().await;
}

#[tokio::test]
async fn with_adopt_match_a_namesake_is_not_adopted() {
    let bridge = Bridge::with(Setup::default().glance(r#"adopt = "match""#)).await;
    bridge.glance().seed(json!({
        "PartnerUserID": "badge-77", "UserAddress": "ann.acme.glance.net", "UserEmail": "ann@somewhere.example"
    }));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let account = bridge.until_state(&id, "glance", AccountState::Parked).await;
    assert_eq!(account.reason.unwrap().code, "review");
    bridge.stop().await;
}

#[tokio::test]
async fn with_adopt_never_a_taken_key_is_a_conflict_in_the_answer() {
    let bridge = Bridge::with(Setup::default().glance(r#"adopt = "never""#)).await;
    seed_ann(&bridge);
    bridge.post("/Users", ann()).await.has_status(409).names(&["glance"]);
    assert_eq!(bridge.glance().accounts()[0]["UserFirst"], "Annie");
    bridge.stop().await;
}

#[tokio::test]
async fn a_person_who_is_deleted_and_created_again_gets_the_old_account_back() {
    let bridge = Bridge::with(Setup::default().pbx("on_delete = \"suspend\"\nsettle_lag = \"0s\"")).await;
    let first = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.delete(&format!("/Users/{first}")).await.has_status(204);
    bridge.until_at_rest(&first).await;
    let second = bridge.post("/Users", ann()).await.has_status(201).id();
    assert_ne!(first, second);
    bridge.until_at_rest(&second).await;
    let pbx = bridge.pbx().accounts();
    assert_eq!(pbx.len(), 1, "{pbx:#?}");
    assert_eq!((&pbx[0]["user"], &pbx[0]["user-scope"]), (&json!("1000"), &json!("Basic User")));
    let glance = bridge.glance().accounts();
    assert_eq!(glance.len(), 1);
    assert_eq!(glance[0]["UserSuspended"], false);
    assert_eq!(bridge.crm().accounts().len(), 1);
    assert_eq!(bridge.account(&first, "pbx").await.state, AccountState::HandedOver);
    bridge.stop().await;
}

#[tokio::test]
async fn whose_account_was_deleted_comes_back_with_another_extension_and_the_one_of_before_rests() {
    let bridge = Bridge::start().await;
    for extension in ["1000", "1001"] {
        let id = bridge.post("/Users", ann()).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        let pbx = bridge.pbx().accounts();
        assert_eq!((pbx.len(), &pbx[0]["user"]), (1, &json!(extension)));
        assert_eq!(bridge.glance().accounts().len(), 1, "the same one");
        bridge.delete(&format!("/Users/{id}")).await.has_status(204);
        bridge.until_at_rest(&id).await;
        assert_eq!(bridge.pbx().accounts(), Vec::<Value>::new());
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_namesake_of_a_deleted_person_does_not_inherit_the_account() {
    let bridge = Bridge::with(Setup::default().wait("2s")).await;
    let first = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.delete(&format!("/Users/{first}")).await.has_status(204);
    bridge.until_at_rest(&first).await;
    let mut namesake = ann();
    namesake["externalId"] = json!("00uanother");
    let second = bridge.post("/Users", namesake).await.has_status(201).id();
    let account = bridge.until_state(&second, "glance", AccountState::Parked).await;
    assert_eq!(account.reason.unwrap().code, "review");
    assert_eq!(bridge.glance().accounts()[0]["UserSuspended"], true);
    assert_eq!(calls_of(bridge.glance(), "NewUser").len(), 1);
    assert_ne!(bridge.glance().accounts(), Vec::<Value>::new());
    bridge.stop().await;
}

#[tokio::test]
async fn what_a_deleted_person_had_goes_to_nobody_whom_another_identity_provider_calls_by_the_same_id() {
    let bridge = Bridge::with(Setup::default().pbx("settle_lag = \"0s\"\non_delete = \"suspend\"")).await;
    let id = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.until_at_rest(&id).await;
    let other = bridge.running.new_token("default", "entra").await.unwrap();
    let mut bob = okta_user("bob");
    bob["externalId"] = json!("00uann");
    let url = format!("{}/Users", bridge.scim_url());
    let request = reqwest::Client::new().post(url).bearer_auth(other).body(bob.to_string());
    bridge_tests::Answer::of(request.header("Content-Type", "application/scim+json")).await.has_status(201);
    let accounts = bridge.pbx().accounts();
    assert_eq!(account_where(&accounts, "login-username", "bob@acme.example").unwrap()["user"], "1001");
    assert_eq!(account_where(&accounts, "login-username", "ann@acme.example").unwrap()["user"], "1000");
    bridge.stop().await;
}
