//! What a target does not take: refused before anything is stored, a create taken back, an update undone.

use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_simulators::{Fault, Options};
use bridge_store::{AccountState, ResourceState};
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, account_where, calls_of};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::secrets::webhook;

/// A bridge before a CRM.COM that asks so much of a password.
async fn with_password_policy(length: usize, digits: usize) -> Bridge {
    let mut simulators = Options::default();
    simulators.crm_com.password_policy = bridge_simulators::PasswordPolicy { length, letters: 2, digits, others: 1 };
    Bridge::with(Setup { simulators, ..Setup::default().wait("0s") }).await
}

#[tokio::test]
async fn a_password_that_the_policy_refuses_is_made_again_stronger() {
    let bridge = with_password_policy(20, 6).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_state(&id, "crm", AccountState::Settled).await;
    assert_eq!(calls_of(bridge.crm(), "users/create").len(), 2);
    assert_eq!(bridge.crm().accounts().iter().filter(|account| account["username"] == "ann").count(), 1);
    bridge.stop().await;
}

#[tokio::test]
async fn a_password_that_no_policy_of_ours_meets_is_made_twice_and_parked_with_the_reason() {
    let bridge = with_password_policy(40, 6).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let row = bridge.until_state(&id, "crm", AccountState::Parked).await;
    let reason = row.reason.unwrap();
    assert_eq!(
        (reason.field.as_deref(), reason.code.as_str()),
        (Some("password"), "COM.CRM.EXCEPTION.USERS.PASSWORDPOLICYEXCEPTION")
    );
    assert!(reason.text.contains("password policy"), "{}", reason.text);
    assert_eq!(calls_of(bridge.crm(), "users/create").len(), 2);
    assert_eq!(row.secret, None, "what was refused is not kept");
    bridge.stop().await;
}

#[tokio::test]
async fn a_value_that_breaks_a_targets_rule_is_refused_with_target_field_limit_and_attribute() {
    let bridge = Bridge::start().await;
    let mut user = ann();
    user["urn:ietf:params:scim:schemas:extension:bridgeNetsapiens:2.0:User"] = json!({"area-code": 7});
    let answer = bridge.post("/Users", user).await.has_status(400).names(&["pbx", "area-code", "100", "999"]);
    assert_eq!(answer.scim_type(), "invalidValue");
    assert_eq!(bridge.get("/Users").await.body["totalResults"], 0, "nothing is stored");
    let calls = [bridge.glance(), bridge.pbx(), bridge.crm()].map(|target| target.accounts().len());
    assert_eq!(calls, [0, 0, 0], "nothing is sent");
    bridge.stop().await;
}

#[tokio::test]
async fn all_problems_of_all_targets_come_in_one_answer() {
    let bridge = Bridge::start().await;
    let mut user = ann();
    user["urn:ietf:params:scim:schemas:extension:bridgeNetsapiens:2.0:User"] = json!({"area-code": 7});
    user["urn:ietf:params:scim:schemas:extension:bridgeGlance:2.0:User"] = json!({"UserFirst": "x".repeat(50)});
    bridge.post("/Users", user).await.has_status(400).names(&["area-code", "UserFirst"]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_key_that_breaks_a_limit_is_refused_although_another_field_waits_for_a_group() {
    let rule = "map.user_template_identifier = { groups = { Leads = \"Contact centre agent\", \"*\" = \"Agent\" } }";
    let bridge = Bridge::with(Setup::default().crm(rule)).await;
    let mut user = ann();
    user["userName"] = json!("zq@acme.example");
    bridge.post("/Users", user).await.has_status(400).names(&["crm", "username", "at least 3"]);
    assert_eq!(bridge.get("/Users").await.body["totalResults"], 0, "nothing is stored");
    bridge.stop().await;
}

#[tokio::test]
async fn an_optional_value_that_does_not_fit_is_left_out_and_the_user_is_made() {
    let bridge = Bridge::start().await;
    let mut user = ann();
    user["name"]["givenName"] = json!("Ann-".repeat(15));
    let id = bridge.post("/Users", user).await.has_status(201).id();
    let glance = bridge.glance().accounts();
    assert_eq!(glance.len(), 1);
    assert_ne!(glance[0]["UserFirst"], json!("Ann-".repeat(15)), "Glance takes 49 characters");
    assert_eq!(bridge.pbx().accounts()[0]["name-first-name"], json!("Ann-".repeat(15)), "the PBX takes 64");
    bridge.until_at_rest(&id).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_user_that_glance_refuses_is_rejected_and_taken_up_again_by_the_next_post() {
    let bridge = Bridge::start().await;
    bridge.glance().fail_next(1, Fault::Refuse("role is not provisioned".to_owned()), Some("NewUser"));
    let refused = bridge.post("/Users", ann()).await.has_status(400).names(&["glance"]);
    assert!(refused.detail().len() < 200, "{}", refused.detail());
    assert_eq!(bridge.get("/Users").await.body["totalResults"], 0);
    let found = bridge.get("/Users?filter=userName%20eq%20%22ann%40acme.example%22").await;
    assert_eq!(found.body["totalResults"], 0, "its userName is free");
    assert_eq!(bridge.crm().accounts(), Vec::<Value>::new(), "what cannot be taken back is made last");
    // The PBX account was made meanwhile; it is ours, so it is suspended.
    let rejected = rejected(&bridge).await;
    bridge.until_at_rest(&rejected).await;
    assert_eq!(bridge.pbx().accounts()[0]["user-scope"], "No Portal");

    let second = bridge.post("/Users", ann()).await.has_status(201);
    assert_eq!(second.id(), rejected, "the same row is taken up");
    assert_eq!(bridge.pbx().accounts().len(), 1);
    let pbx = bridge.pbx().accounts();
    assert_eq!((&pbx[0]["user"], &pbx[0]["user-scope"]), (&json!("1000"), &json!("Basic User")));
    assert_eq!(bridge.glance().accounts().len(), 1);
    assert_eq!(bridge.crm().accounts().len(), 1);
    bridge.stop().await;
}

/// A bridge that takes over whom it finds in the PBX before it asks Glance, and Annie in that PBX.
async fn with_annie() -> (Bridge, Clock) {
    let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000));
    let setup = Setup::default().pbx("adopt = \"match\"\nsettle_lag = \"0s\"").glance(r#"after = ["pbx"]"#);
    let simulators = Options { latency: Duration::from_millis(100), ..Options::default() };
    let bridge = Bridge::with(Setup { clock: clock.clone(), simulators, ..setup }).await;
    bridge.pbx().seed(json!({
        "user": "1400", "name-first-name": "Annie", "name-last-name": "Rowe", "login-username": "ann@acme.example",
        "email-address": "ann@acme.example", "user-scope": "Advanced User", "department": "Sales"
    }));
    (bridge, clock)
}

/// What the PBX has, but for the times of changes.
fn in_the_pbx(bridge: &Bridge) -> Vec<Value> {
    let mut accounts = bridge.pbx().accounts();
    accounts.iter_mut().for_each(|account| account["last-modified-datetime"] = Value::Null);
    accounts
}

/// A POST of Ann that Glance refuses, up to the end of its consequences.
async fn refused_by_glance(bridge: &Bridge) -> String {
    bridge.glance().fail_next(1, Fault::Refuse("role is not provisioned".to_owned()), Some("NewUser"));
    bridge.post("/Users", ann()).await.has_status(400).names(&["glance"]);
    let rejected = rejected(bridge).await;
    bridge.until_at_rest(&rejected).await;
    rejected
}

/// Thirty days later.
async fn give_up(bridge: &Bridge, clock: &Clock, rejected: &str) {
    clock.advance(Duration::from_hours(31 * 24));
    bridge_server::housekeeping::tidy(&bridge.running.bridge, clock.now()).await;
    bridge.until_at_rest(rejected).await;
    assert_eq!(found(bridge, ResourceState::Deleted).await, [rejected]);
}

#[tokio::test]
async fn a_rejected_create_gives_an_adopted_account_back_as_it_was_however_often_it_is_repeated() {
    let (bridge, clock) = with_annie().await;
    let before = in_the_pbx(&bridge);
    let first = refused_by_glance(&bridge).await;
    assert_eq!(in_the_pbx(&bridge), before);
    assert_eq!(refused_by_glance(&bridge).await, first, "the same row is taken up");
    assert_eq!(in_the_pbx(&bridge), before);
    let names: Vec<Value> =
        calls_of(bridge.pbx(), "PUT users").iter().map(|call| call["fields"]["name-first-name"].clone()).collect();
    assert_eq!(names, ["Ann", "Annie", "Ann", "Annie"], "taken over, and given back");
    assert_eq!(bridge.account(&first, "pbx").await.remote_id, None, "it is nobody's of ours");
    give_up(&bridge, &clock, &first).await;
    assert_eq!(in_the_pbx(&bridge), before);
    bridge.stop().await;
}

#[tokio::test]
async fn a_create_that_is_repeated_after_an_account_could_not_be_given_back_gives_it_back_as_it_was() {
    for is_repeated in [true, false] {
        let (bridge, clock) = with_annie().await;
        let before = in_the_pbx(&bridge);
        let taken_over = async || {
            while calls_of(bridge.pbx(), "PUT users").is_empty() {
                tokio::task::yield_now().await;
            }
            bridge.pbx().fail_next(1, Fault::Refuse("the domain is locked".to_owned()), Some("PUT users"));
        };
        let (rejected, ()) = tokio::join!(refused_by_glance(&bridge), taken_over());
        let row = bridge.account(&rejected, "pbx").await;
        assert_eq!((row.state, row.remote_id.as_deref()), (AccountState::Parked, Some("1400")));
        if is_repeated {
            refused_by_glance(&bridge).await;
            assert_eq!(in_the_pbx(&bridge), before);
        } else {
            // Nobody tries again: it is still somebody's account, which `on_delete = "delete"` must not remove.
            give_up(&bridge, &clock, &rejected).await;
            assert_eq!(bridge.pbx().accounts()[0]["user-scope"], "Basic User");
        }
        bridge.stop().await;
    }
}

#[tokio::test]
async fn an_account_that_somebody_removed_before_it_was_given_back_is_not_made_again() {
    let (bridge, _) = with_annie().await;
    let taken_over = async || {
        while calls_of(bridge.pbx(), "PUT users").is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(bridge.pbx().remove("1400"));
    };
    let (rejected, ()) = tokio::join!(refused_by_glance(&bridge), taken_over());
    assert_eq!(bridge.pbx().accounts(), Vec::<Value>::new());
    assert_eq!(bridge.account(&rejected, "pbx").await.state, AccountState::Settled);
    bridge.stop().await;
}

/// The id of the one rejected resource.
pub(crate) async fn rejected(bridge: &Bridge) -> String {
    let [rejected] = found(bridge, ResourceState::Rejected).await.try_into().unwrap();
    rejected
}

/// The ids of the resources with Ann's userName in this state.
async fn found(bridge: &Bridge, state: ResourceState) -> Vec<String> {
    let store = &bridge.running.bridge.store;
    let found =
        store.read(|db| db.resources_by_value("default", "User", "userName", "ann@acme.example")).await.unwrap();
    found.into_iter().filter(|found| found.state == state).map(|found| found.id).collect()
}

#[tokio::test]
async fn a_refusal_by_an_optional_target_is_parked_and_does_not_refuse_the_user() {
    let bridge = Bridge::with(Setup::default().glance("required = false")).await;
    bridge.glance().fail_next(1, Fault::Refuse("no licence left".to_owned()), Some("NewUser"));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let account = bridge.until_state(&id, "glance", AccountState::Parked).await;
    assert!(account.reason.unwrap().text.contains("no licence left"));
    bridge.until_state(&id, "crm", AccountState::Settled).await;
    bridge.stop().await;
}

#[tokio::test]
async fn an_update_that_a_target_refuses_is_undone_and_the_reason_told() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.glance().fail_next(1, Fault::Refuse("address is taken".to_owned()), Some("UpdateUser"));
    let operations = json!([{"op": "replace", "value": {"userName": "anne@acme.example"}}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(400).names(&["glance", "address is taken"]);
    let user = bridge.get(&format!("/Users/{id}")).await.has_status(200).body;
    assert_eq!(user["userName"], "ann@acme.example");
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.glance().accounts()[0]["UserAddress"], "ann.acme.glance.net");
    assert_eq!(bridge.pbx().accounts()[0]["login-username"], "ann@acme.example", "the PBX is back as well");
    assert_eq!(bridge.account(&id, "glance").await.state, AccountState::Settled);
    bridge.stop().await;
}

#[tokio::test]
async fn a_second_user_with_the_same_user_name_is_a_conflict() {
    let bridge = Bridge::start().await;
    let first = bridge.post("/Users", ann()).await.has_status(201);
    let mut again = ann();
    again["userName"] = json!("ANN@acme.example");
    again["externalId"] = json!("00uother");
    let conflict = bridge.post("/Users", again).await.has_status(409);
    assert_eq!(conflict.scim_type(), "uniqueness");
    let user = bridge.get(&format!("/Users/{}", first.id())).await.body;
    assert_eq!(user["externalId"], "00uann", "the first one is unchanged");
    bridge.stop().await;
}

/// What a target would refuse is told to who can be made at all: a client that is told 409 looks for the user and goes on.
#[tokio::test]
async fn who_is_there_already_is_told_so_and_not_what_a_target_would_refuse() {
    let bridge = Bridge::start().await;
    bridge.post("/Users", ann()).await.has_status(201);
    let mut refused = okta_user("bob");
    refused["name"]["familyName"] = json!("x".repeat(200));
    let why = bridge.post("/Users", refused.clone()).await.has_status(400);
    assert_eq!(why.scim_type(), "invalidValue");
    refused["userName"] = json!("ANN@acme.example");
    let conflict = bridge.post("/Users", refused).await.has_status(409);
    assert_eq!(conflict.scim_type(), "uniqueness");
    assert_eq!(bridge.get("/Users").await.body["totalResults"], 1);
    bridge.stop().await;
}

#[tokio::test]
async fn two_users_that_would_share_a_glance_address_are_a_conflict_that_names_it() {
    let bridge = Bridge::with(Setup::default().crm(r#"username_from = "whole""#)).await;
    bridge.post("/Users", ann()).await.has_status(201);
    let mut other = okta_user("ann");
    other["userName"] = json!("ann@other.example");
    other["externalId"] = json!("00uother");
    bridge.post("/Users", other).await.has_status(409).names(&["glance", "UserAddress"]);
    assert_eq!(bridge.get("/Users").await.body["totalResults"], 1);
    bridge.stop().await;
}

#[tokio::test]
async fn of_two_parallel_posts_of_one_user_name_exactly_one_wins() {
    let bridge = std::sync::Arc::new(Bridge::start().await);
    let mut running = tokio::task::JoinSet::new();
    for number in 0..2 {
        let bridge = bridge.clone();
        running.spawn(async move {
            let mut user = ann();
            user["externalId"] = json!(format!("00u{number}"));
            bridge.post("/Users", user).await.status
        });
    }
    let mut statuses = running.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn a_repeated_post_joins_the_one_that_is_still_open() {
    let bridge = std::sync::Arc::new(Bridge::start().await);
    bridge.glance().fail_next(1, Fault::Slow(Duration::from_millis(500)), Some("NewUser"));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let bridge = bridge.clone();
        running.spawn(async move { bridge.post("/Users", ann()).await.has_status(201).id() });
    }
    let ids = running.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(bridge.glance().accounts().len(), 1);
}

#[tokio::test]
async fn a_parked_account_does_not_refuse_updates_that_have_nothing_to_do_with_it() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let path = format!("/Users/{id}");
    // A leaver is never refused, so this refusal is parked.
    bridge.glance().fail_next(2, Fault::Refuse("licence is gone".to_owned()), Some("UpdateUser"));
    let operations = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&path, operations).await.has_status(200);
    bridge.until_state(&id, "glance", AccountState::Parked).await;
    let operations = json!([{"op": "replace", "value": {"title": "Engineer"}}]);
    bridge.patch(&path, operations).await.has_status(200);
    assert!(account_where(&bridge.glance().accounts(), "UserAddress", "ann.acme.glance.net").is_some());
    bridge.stop().await;
}

#[tokio::test]
async fn a_refusal_that_the_identity_provider_is_not_told_calls_a_person_each_time() {
    let (address, alerts) = webhook();
    let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000));
    let more = format!("[alerts]\nwebhook = \"{address}\"");
    let bridge = Bridge::with(Setup { more, clock: clock.clone(), ..Setup::default() }).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let back = json!({"active": true, "name": {"familyName": "Rowe"}});
    for (change, cause) in [(json!({"active": false}), "the seat is locked"), (back, "no seat left")] {
        // Whatever rang within the hour is not repeated.
        clock.advance(Duration::from_hours(2));
        bridge.glance().fail_next(1, Fault::Refuse(cause.to_owned()), Some("UpdateUser"));
        let operations = json!([{"op": "replace", "value": change}]);
        bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
        let row = bridge.until_state(&id, "glance", AccountState::Parked).await;
        assert!(row.reason.unwrap().text.contains(cause));
    }
    // A refusal that is told in the answer calls nobody.
    bridge.glance().fail_next(2, Fault::Refuse("no seat left".to_owned()), Some("NewUser"));
    bridge.post("/Users", okta_user("bob")).await.has_status(400);
    bridge.stop().await;
    let alerts: Vec<Value> = alerts.try_iter().filter(|alert| alert["target"] == "glance").collect();
    let told: Vec<_> = alerts.iter().map(|alert| (&alert["kind"], &alert["resource"])).collect();
    assert_eq!(told, [(&json!("parked"), &json!(id)); 2], "{alerts:#?}");
}

#[tokio::test]
async fn a_refusal_is_final_at_once_also_where_writes_show_late() {
    let bridge = Bridge::with(Setup::default().pbx("")).await;
    bridge.pbx().fail_next(1, Fault::Refuse("extension is reserved".to_owned()), Some("POST users"));
    bridge.post("/Users", ann()).await.has_status(400).names(&["pbx", "extension is reserved"]);
    assert_eq!(bridge.crm().accounts(), Vec::<Value>::new());
    bridge.stop().await;
}

#[tokio::test]
async fn an_update_that_was_answered_is_not_undone_by_the_refusal_of_a_later_one() {
    let bridge = Bridge::with(Setup::default().wait("300ms")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let path = format!("/Users/{id}");
    bridge.glance().fail_next(1, Fault::Slow(Duration::from_millis(800)), Some("UpdateUser"));
    let first = json!([{"op": "replace", "value": {"name": {"familyName": "Rowe"}}}]);
    bridge.patch(&path, first).await.has_status(200);
    bridge.glance().fail_next(1, Fault::Refuse("address is taken".to_owned()), Some("UpdateUser"));
    let second = json!([{"op": "replace", "value": {"userName": "anne@acme.example"}}]);
    let answer = bridge.patch(&path, second).await;
    bridge.until(&id, "quiet", |accounts| accounts.iter().all(|account| account.lease.is_none())).await;
    let user = bridge.get(&path).await.body;
    assert_eq!(user["name"]["familyName"], "Rowe", "the second was answered {}", answer.status);
    bridge.stop().await;
}

#[tokio::test]
async fn a_refused_rename_is_told_also_when_somebody_has_taken_the_old_name_meanwhile() {
    let (address, alerts) = webhook();
    let more = format!("[alerts]\nwebhook = \"{address}\"");
    let bridge = Bridge::with(Setup { more, ..Setup::default().wait("3s").crm("required = false") }).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    bridge.glance().fail_next(1, Fault::Refuse("no such plan".to_owned()), Some("UpdateUser"));
    // What the refusal means is asked, which takes a while.
    bridge.glance().fail_next(1, Fault::Slow(Duration::from_secs(1)), Some("ShowUsers"));
    let rename = async {
        let operations = json!([{"op": "replace", "path": "userName", "value": "anne@acme.example"}]);
        bridge.patch(&format!("/Users/{id}"), operations).await
    };
    let take = async {
        while calls_of(bridge.glance(), "UpdateUser").is_empty() {
            tokio::task::yield_now().await;
        }
        let mut other = okta_user("ann");
        other["externalId"] = json!("somebody-else");
        bridge.post("/Users", other).await.has_status(201);
    };
    let (refused, ()) = tokio::join!(rename, take);
    refused.has_status(400).names(&["glance", "no such plan"]);
    assert_eq!(bridge.get(&format!("/Users/{id}")).await.body["userName"], "anne@acme.example", "it could not go back");
    bridge.stop().await;
    let is_meant = |alert: &Value| alert["resource"] == json!(id) && alert["kind"] == "parked";
    let alerts: Vec<Value> = alerts.try_iter().filter(is_meant).collect();
    let told: Vec<_> = alerts.iter().map(|alert| &alert["target"]).collect();
    assert_eq!(told, [&json!("glance")], "{alerts:#?}");
    assert!(!alerts[0].to_string().contains("plan"), "{alerts:#?}");
}

#[tokio::test]
async fn who_has_the_key_that_somebody_else_wants_is_named_with_a_way_out() {
    let bridge = Bridge::with(Setup::default().glance("scope = { filter = 'title pr' }")).await;
    let first = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    let mut namesake = okta_user("ann");
    namesake["userName"] = json!("ann@other.example");
    namesake["externalId"] = json!("somebody-else");
    namesake["emails"] = json!([{"value": "ann@other.example", "type": "work", "primary": true}]);
    let refused = bridge.post("/Users", namesake).await.has_status(409);
    refused.names(&["crm", "userName", &first, "username_from"]);
    bridge.stop().await;
}
