//! What becomes of a password that the identity provider sends, where the target can be locked only by changing it
//! (crmcom.md, section 7).

use bridge_mapping::TargetKind;
use bridge_server::operations;
use bridge_simulators::credentials;
use bridge_store::AccountState;
use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup, account_name, calls_of};
use serde_json::{Value, json};

use super::startup::Stage;

/// What the identity provider sends for the CRM alone.
const SUPPLIED: &str = "C0rrect-h0rse-77!";

/// Ann with that password.
fn ann() -> Value {
    let mut user = okta_user("ann");
    user[TargetKind::CrmCom.extension_urn()] = json!({ "password": SUPPLIED });
    user
}

fn locked() -> Setup {
    Setup::default().crm("soft_lock_out = true")
}

/// Whether Ann can sign in to the CRM with that password.
async fn signs_in(bridge: &Bridge) -> bool {
    let body = json!({
        "username": "ann", "password": SUPPLIED, "organisation": credentials::crm_com::ORGANISATION,
        "unit_identifier": {"name": credentials::crm_com::UNIT_NAME},
    });
    let url = format!("{}authentication/token", bridge.crm().api_url());
    let answer = Answer::of(reqwest::Client::new().post(url).json(&body)).await.has_status(200);
    answer.body["status"]["code"] == "OK"
}

async fn patch(bridge: &Bridge, id: &str, value: Value) {
    let operations = json!([{ "op": "replace", "value": value }]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    bridge.until_at_rest(id).await;
}

#[tokio::test]
async fn who_leaves_cannot_sign_in_with_the_password_of_the_identity_provider_and_who_returns_can() {
    let bridge = Bridge::with(locked()).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert!(signs_in(&bridge).await);
    patch(&bridge, &id, json!({"active": false})).await;
    assert!(!signs_in(&bridge).await, "{:#?}", calls_of(bridge.crm(), "change_password"));
    patch(&bridge, &id, json!({"active": true})).await;
    assert!(signs_in(&bridge).await, "{:#?}", calls_of(bridge.crm(), "change_password"));
    bridge.stop().await;
}

#[tokio::test]
async fn a_password_is_a_task_once_where_the_api_cannot_set_it_and_none_where_it_was_set() {
    let bridge = Bridge::with(locked()).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    patch(&bridge, &id, json!({"active": false})).await;
    patch(&bridge, &id, json!({"active": true})).await;
    let account = bridge.account(&id, "crm").await;
    assert_eq!(account.state, AccountState::Settled, "the account was made with it: {:?}", account.reason);
    patch(&bridge, &id, json!({TargetKind::CrmCom.extension_urn(): {"password": "An0ther-h0rse-88!"}})).await;
    let task = bridge.until_state(&id, "crm", AccountState::Task).await;
    assert_eq!(task.reason.unwrap().code, "cannot-set-password");
    let name = account_name(&id, "crm");
    operations::task_done(&bridge.running.bridge, &name, "test").await.unwrap();
    bridge.until_state(&id, "crm", AccountState::Settled).await;
    bridge.stop().await;
}

#[tokio::test]
async fn who_was_deleted_and_comes_back_can_sign_in_with_the_password_of_before_or_a_new_one() {
    for posts_it_again in [false, true] {
        let bridge = Bridge::with(locked()).await;
        let mut back = okta_user("ann");
        let mut first = ann();
        if posts_it_again {
            back = ann();
            first[TargetKind::CrmCom.extension_urn()] = json!({ "password": "An0ther-h0rse-88!" });
        }
        let id = bridge.post("/Users", first).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        bridge.delete(&format!("/Users/{id}")).await.has_status(204);
        bridge.until_state(&id, "crm", AccountState::Task).await;
        assert!(!signs_in(&bridge).await, "{:#?}", calls_of(bridge.crm(), "change_password"));
        bridge.post("/Users", back).await.has_status(201);
        assert!(signs_in(&bridge).await, "{:#?}", calls_of(bridge.crm(), "change_password"));
        assert_eq!(bridge.crm().accounts().len(), 1);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn who_comes_back_and_whose_password_nobody_knows_any_more_is_a_task_for_a_person_and_no_refusal() {
    let folder = tempfile::tempdir().unwrap();
    // The extension stays, so that it is no task.
    let setup = || locked().pbx("settle_lag = \"0s\"\non_delete = \"suspend\"");
    let bridge = Bridge::with(with_key(setup(), folder.path(), "first", "A")).await;
    let id = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.until_state(&id, "crm", AccountState::Task).await;
    let bridge = bridge.restart_with(with_key(setup(), folder.path(), "second", "B")).await;
    let id = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    let task = bridge.until_state(&id, "crm", AccountState::Task).await;
    assert_eq!(task.reason.unwrap().code, "cannot-set-password");
    assert_eq!(calls_of(bridge.crm(), "change_password").len(), 1, "{:#?}", calls_of(bridge.crm(), "change_password"));
    operations::task_done(&bridge.running.bridge, &account_name(&id, "crm"), "test").await.unwrap();
    bridge.until_state(&id, "crm", AccountState::Settled).await;
    bridge.stop().await;
}

/// `store.keys` with the one key in this file.
fn with_key(setup: Setup, folder: &std::path::Path, name: &str, letter: &str) -> Setup {
    std::fs::write(folder.join(name), format!("{}A=", letter.repeat(42))).unwrap();
    Setup { store: format!("keys = [{{ file = \"{}\" }}]", folder.join(name).display()), ..setup }
}

#[tokio::test]
async fn who_has_a_password_whose_key_is_gone_can_still_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let bridge = Bridge::with(with_key(locked(), folder.path(), "first", "A")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert!(bridge.account(&id, "crm").await.secret.is_some());
    let bridge = bridge.restart_with(with_key(locked(), folder.path(), "second", "B")).await;
    patch(&bridge, &id, json!({TargetKind::CrmCom.extension_urn(): {"password": "An0ther-h0rse-88!"}})).await;
    bridge.until_state(&id, "crm", AccountState::Task).await;
    bridge.stop().await;
}

#[tokio::test]
async fn who_leaves_after_the_target_got_another_name_cannot_sign_in() {
    let stage = Stage::set().await;
    let name = |name: &str| {
        let lines = format!("soft_lock_out = true{}", if name == "crm" { "" } else { "\nrenamed_from = \"crm\"" });
        stage.write(&Setup::default().crm(&lines));
        let text = std::fs::read_to_string(&stage.file).unwrap();
        std::fs::write(&stage.file, text.replace("targets.crm", &format!("targets.{name}"))).unwrap();
    };
    name("crm");
    let token = stage.token();
    let (serve, [scim, _]) = stage.serve("info");
    let send = async |scim: &str, method: reqwest::Method, path: &str, body: Value| {
        let request = reqwest::Client::new().request(method, format!("{scim}{path}")).bearer_auth(&token);
        Answer::of(request.header("Content-Type", "application/scim+json").body(body.to_string())).await
    };
    let id = send(&scim, reqwest::Method::POST, "/Users", ann()).await.has_status(201).id();
    serve.end();
    name("desk");
    let (serve, [scim, _]) = stage.serve("info");
    let off = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "value": {"active": false}}],
    });
    send(&scim, reqwest::Method::PATCH, &format!("/Users/{id}"), off).await.has_status(200);
    let changes = || calls_of(&stage.simulators.crm_com, "change_password");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while changes().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "no password is changed");
        tokio::task::yield_now().await;
    }
    serve.end();
    assert_eq!(changes()[0]["outcome"], "OK", "{:#?}", changes());
    stage.simulators.stop().await;
}
