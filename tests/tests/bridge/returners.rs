//! Who comes back is the same person, and a namesake is not: POST for an inactive user (`restore_on_create`), and the name
//! that Entra ID gives to a user it deleted.

use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_simulators::Fault;
use bridge_store::AccountState;
use bridge_tests::samples::{ann, entra_user, okta_user};
use bridge_tests::{Answer, Bridge, Setup, calls_of};
use serde_json::{Value, json};

/// A bridge that takes inactive users up.
async fn restoring_bridge() -> Bridge {
    Bridge::with(Setup::default().tenant("restore_on_create = true")).await
}

/// Ann, who has left.
async fn inactive_ann(bridge: &Bridge) -> String {
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
    bridge.until_at_rest(&id).await;
    id
}

fn renamed(name: &str) -> Value {
    let mut user = ann();
    user["userName"] = json!(name);
    user
}

async fn user_count(bridge: &Bridge) -> u64 {
    bridge.get("/Users").await.has_status(200).body["totalResults"].as_u64().unwrap()
}

#[tokio::test]
async fn who_is_there_is_not_made_a_second_time_by_name_or_external_id() {
    let bridge = Bridge::start().await;
    let id = inactive_ann(&bridge).await;
    bridge.post("/Users", ann()).await.has_status(409).names(&["userName"]);
    let again = bridge.post("/Users", renamed("ann.roe@acme.example")).await.has_status(409).names(&["externalId"]);
    assert_eq!(again.scim_type(), "uniqueness");
    assert_eq!(bridge.get(&format!("/Users/{id}")).await.body["active"], false);
    assert_eq!((user_count(&bridge).await, bridge.glance().accounts().len()), (1, 1));
    bridge.stop().await;
}

#[tokio::test]
async fn two_identity_providers_may_use_the_same_external_id() {
    let bridge = Bridge::start().await;
    bridge.post("/Users", ann()).await.has_status(201);
    let other = bridge.running.new_token("default", "entra").await.unwrap();
    let mut user = okta_user("bob");
    user["externalId"] = ann()["externalId"].clone();
    let request = reqwest::Client::new().post(format!("{}/Users", bridge.scim_url())).bearer_auth(other);
    Answer::of(request.header("Content-Type", "application/scim+json").body(user.to_string())).await.has_status(201);
    bridge.stop().await;
}

#[tokio::test]
async fn a_post_takes_up_the_inactive_user_where_the_tenant_wants_that() {
    let bridge = restoring_bridge().await;
    let id = inactive_ann(&bridge).await;
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Staff", "members": [{"value": id}]
    });
    bridge.post("/Groups", group).await.has_status(201);
    let back = bridge.post("/Users", ann()).await.has_status(201);
    assert_eq!((back.id(), &back.body["active"]), (id.clone(), &json!(true)));
    assert_eq!(back.body["groups"][0]["display"], "Staff", "what the user was a member of stays");
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.glance().accounts()[0]["UserSuspended"], false);
    bridge.post("/Users", ann()).await.has_status(409);
    assert_eq!((user_count(&bridge).await, bridge.glance().accounts().len()), (1, 1));
    bridge.stop().await;
}

#[tokio::test]
async fn who_was_renamed_while_away_is_taken_up_by_external_id() {
    let bridge = restoring_bridge().await;
    let id = inactive_ann(&bridge).await;
    let back = bridge.post("/Users", renamed("ann.poe@acme.example")).await.has_status(201);
    assert_eq!((back.id(), &back.body["userName"]), (id.clone(), &json!("ann.poe@acme.example")));
    bridge.until_at_rest(&id).await;
    let accounts = bridge.glance().accounts();
    assert_eq!((accounts.len(), &accounts[0]["UserSuspended"]), (1, &json!(false)));
    bridge.stop().await;
}

#[tokio::test]
async fn a_namesake_takes_nobody_up() {
    let bridge = restoring_bridge().await;
    let id = inactive_ann(&bridge).await;
    let mut namesake = ann();
    namesake["externalId"] = json!("00u-another-ann");
    bridge.post("/Users", namesake).await.has_status(409).names(&["userName"]);
    assert_eq!(bridge.get(&format!("/Users/{id}")).await.body["active"], false);
    bridge.stop().await;
}

#[tokio::test]
async fn who_cannot_be_taken_up_stays_there_inactive() {
    let bridge = restoring_bridge().await;
    let id = inactive_ann(&bridge).await;
    bridge.glance().fail_next(1, Fault::Refuse("no licence left".to_owned()), Some("UpdateUser"));
    bridge.post("/Users", ann()).await.has_status(400).names(&["no licence left"]);
    let read = bridge.get(&format!("/Users/{id}")).await.has_status(200);
    assert_eq!(read.body["active"], false);
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.post("/Users", ann()).await.has_status(201).id(), id);
    bridge.stop().await;
}

#[tokio::test]
async fn who_leaves_and_comes_back_while_the_account_is_being_made_gets_that_one() {
    let clock = Clock::hand_set(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000));
    let bridge = Bridge::with(Setup { clock: clock.clone(), ..Setup::default().wait("0s") }).await;
    bridge.glance().fail_next(1, Fault::Slow(Duration::from_millis(500)), Some("NewUser"));
    let first = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until(&first, "being made", |_| calls_of(bridge.glance(), "NewUser").len() == 1).await;
    bridge.delete(&format!("/Users/{first}")).await.has_status(204);
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until(&first, "made", |_| bridge.glance().accounts().len() == 1).await;
    // Nobody works for her before the lease of whoever made it has ended.
    clock.advance(Duration::from_secs(121));
    bridge.until_state(&id, "glance", AccountState::Settled).await;
    let accounts = bridge.glance().accounts();
    assert_eq!((accounts.len(), &accounts[0]["UserSuspended"]), (1, &json!(false)), "{:#?}", bridge.glance().calls());
    bridge.stop().await;
}

/// The addresses at Glance, and whether they are suspended.
fn at_glance(bridge: &Bridge) -> Vec<(Value, Value)> {
    let of = |account: &Value| (account["UserAddress"].clone(), account["UserSuspended"].clone());
    bridge.glance().accounts().iter().map(of).collect()
}

/// A user of the same person, or of a namesake, under a name of their own.
async fn another_ann(bridge: &Bridge, change: impl Fn(&mut Value)) -> String {
    let first = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&first).await;
    bridge.delete(&format!("/Users/{first}")).await.has_status(204);
    bridge.until_at_rest(&first).await;
    let mut user = renamed("ann.poe@acme.example");
    change(&mut user);
    let id = bridge.post("/Users", user).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    id
}

#[tokio::test]
async fn who_takes_the_name_of_a_former_self_back_loses_no_account_of_their_own() {
    let own = |email: &str| {
        let email = email.to_owned();
        move |user: &mut Value| {
            user["externalId"] = json!("00u-another-ann");
            user["emails"][0]["value"] = json!(email);
        }
    };
    let rename = json!([{"op": "replace", "path": "userName", "value": "ann@acme.example"}]);
    let both = json!([{"op": "replace", "value": {"userName": "ann@acme.example", "externalId": ann()["externalId"]}}]);
    for (how, adopt) in [("the same externalId", ""), ("by a later one", ""), ("by e-mail", r#"adopt = "match""#)] {
        let bridge = Bridge::with(Setup::default().glance(adopt)).await;
        let (id, operations) = match how {
            "the same externalId" => (another_ann(&bridge, |_| {}).await, &rename),
            "by a later one" => (another_ann(&bridge, own("ann.poe@acme.example")).await, &both),
            _ => (another_ann(&bridge, own("ann@acme.example")).await, &rename),
        };
        let before = bridge.account(&id, "glance").await.remote_id;
        bridge.patch(&format!("/Users/{id}"), operations.clone()).await.has_status(200);
        let parked = bridge.until_state(&id, "glance", AccountState::Parked).await;
        assert_eq!(parked.remote_id, before, "{how}");
        let told = parked.reason.unwrap().text;
        assert!(told.contains("the account of the deleted user") && told.contains("change the value"), "{told}");
        let [former, own] = ["ann.acme.glance.net", "ann.poe.acme.glance.net"].map(|address| json!(address));
        assert_eq!(at_glance(&bridge), [(former.clone(), json!(true)), (own.clone(), json!(false))], "{how}");
        bridge.delete(&format!("/Users/{id}")).await.has_status(204);
        bridge.until_state(&id, "glance", AccountState::Settled).await;
        assert_eq!(at_glance(&bridge), [(former, json!(true)), (own, json!(true))], "{how}");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn who_takes_a_key_of_a_deleted_user_is_refused_with_its_id_where_nothing_is_taken_over() {
    let bridge = Bridge::with(Setup::default().glance(r#"adopt = "never""#)).await;
    let first = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&first).await;
    bridge.delete(&format!("/Users/{first}")).await.has_status(204);
    bridge.until_at_rest(&first).await;
    let mut namesake = ann();
    namesake["externalId"] = json!("00u-another-ann");
    bridge.post("/Users", namesake).await.has_status(409).names(&["key-taken", &first]);
    bridge.stop().await;
}

/// The name of Eve after Entra ID deleted her.
const DELETED_NAME: &str = "283405f5a1b24c3d8e9f0a1b2c3d4e5feve@acme.example";

#[tokio::test]
async fn the_name_of_a_deleted_user_never_reaches_a_target() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", entra_user("eve")).await.has_status(201).id();
    let path = format!("/Users/{id}");
    let rename = json!({"op": "Replace", "path": "userName", "value": DELETED_NAME});
    let active = |value: &str| json!({"op": "Replace", "path": "active", "value": value});
    for operations in [
        json!([rename, active("False")]), // deleted
        json!([active("True")]),          // restored, before the rename back
        json!([rename]),                  // deleted, the rename first
        json!([active("False"), rename]),
        json!([active("True"), {"op": "Replace", "path": "userName", "value": "eve@acme.example"}]),
    ] {
        let patched = bridge.patch(&path, operations).await.has_status(200);
        bridge.until_at_rest(&id).await;
        let is_active = patched.body["active"] == true;
        assert_eq!(patched.body["userName"], if is_active { "eve@acme.example" } else { DELETED_NAME });
        let accounts = bridge.glance().accounts();
        let expected = (&json!("eve.acme.glance.net"), &json!(!is_active));
        assert_eq!((&accounts[0]["UserAddress"], &accounts[0]["UserSuspended"]), expected);
        assert_eq!(bridge.pbx().accounts()[0]["login-username"], "eve@acme.example");
    }
    for simulator in [bridge.glance(), bridge.pbx(), bridge.crm()] {
        let calls = serde_json::to_string(&calls_of(simulator, "")).unwrap();
        assert!(!calls.contains("283405f5"), "{calls}");
    }
    bridge.delete(&path).await.has_status(204);
    bridge.stop().await;
}

#[tokio::test]
async fn the_name_that_a_deletion_freed_can_be_used_and_is_not_taken_back() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let id = bridge.post("/Users", entra_user("eve")).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let path = format!("/Users/{id}");
    let deleted = json!([{"op": "replace", "value": {"active": false, "userName": DELETED_NAME}}]);
    bridge.patch(&path, deleted).await.has_status(200);
    let mut namesake = entra_user("eve");
    namesake["externalId"] = json!("another-eve");
    // Her accounts are still those of the first Eve: a target that tells people by name says so.
    bridge.post("/Users", namesake).await.has_status(409).names(&["key-taken"]);
    let bob = bridge.post("/Users", entra_user("bob")).await.has_status(201).id();
    let rename = json!([{"op": "replace", "value": {"active": false, "userName": "eve@acme.example"}}]);
    bridge.patch(&format!("/Users/{bob}"), rename).await.has_status(200);
    let back = json!([{"op": "replace", "value": {"active": true}}]);
    bridge.patch(&path, back).await.has_status(409).names(&["userName"]);
    assert_eq!(bridge.get(&path).await.body["active"], false);
    bridge.stop().await;
}
