//! What a membership means for an account, and when: after waiting for it, while a target is slow or refuses, for many at
//! once, and for who is not there yet (DESIGN section 6, "Group writes").

use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_simulators::Fault;
use bridge_simulators::credentials::netsapiens;
use bridge_store::{Account, AccountState};
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, account_where, calls_of};
use jiff::Timestamp;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

/// Who is in "Glance Hosts" is a host at Glance.
const HOSTS: &str = r#"map.UserRole = { groups = { "Glance Hosts" = "Host", "*" = "Agent" } }"#;

const PBX: &str = "urn:ietf:params:scim:schemas:extension:bridgeNetsapiens:2.0:User";

fn clock() -> Clock {
    Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap())
}

async fn create_group(bridge: &Bridge, name: &str, members: &[&str]) -> String {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members
    });
    bridge.post("/Groups", body).await.has_status(201).id()
}

async fn add_member(bridge: &Bridge, group: &str, id: &str) {
    let add = json!([{"op": "add", "path": "members", "value": [{"value": id}]}]);
    bridge.patch(&format!("/Groups/{group}"), add).await.has_status(204);
}

/// The names of the groups that a user shows.
async fn groups_of(bridge: &Bridge, id: &str) -> Vec<Value> {
    let shown = bridge.get(&format!("/Users/{id}")).await.has_status(200);
    let groups = shown.body["groups"].as_array().cloned().unwrap_or_default();
    groups.into_iter().map(|group| group["display"].clone()).collect()
}

/// The role at Glance of the only account there.
fn role(bridge: &Bridge) -> Value {
    bridge.glance().accounts()[0]["UserRole"].clone()
}

/// Ann, who waits for a group that decides what she is at the CRM, and the clock.
async fn waiting_for_a_group(table: &str) -> (Bridge, Clock, String) {
    let clock = clock();
    let crm = format!("map.user_template_identifier = {{ groups = {{ {table} }} }}");
    let bridge = Bridge::with(Setup { clock: clock.clone(), ..Setup::default() }.crm(&crm)).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until(&id, "waiting for a group", |accounts| waits_for_a_group(accounts) == Some(AccountState::Due)).await;
    (bridge, clock, id)
}

/// The state of the account at the CRM, if nobody works on it because it waits for a group.
fn waits_for_a_group(accounts: &[Account]) -> Option<AccountState> {
    let crm = accounts.iter().find(|account| account.target == "crm" && account.lease.is_none())?;
    crm.reason.as_ref().filter(|reason| reason.code == "waiting-for-group").map(|_| crm.state)
}

#[tokio::test]
async fn who_comes_into_no_named_group_is_made_like_everybody_else_after_fifteen_minutes() {
    let (bridge, clock, id) = waiting_for_a_group(r#""Team Leads" = "Agent", "*" = "Contact centre agent""#).await;
    clock.advance(14 * MINUTE);
    // A write has all accounts looked at anew: this one would be made if it were time.
    let before = bridge.account(&id, "crm").await.wanted;
    let rename = json!([{"op": "replace", "path": "name.familyName", "value": "Rowe"}]);
    bridge.patch(&format!("/Users/{id}"), rename).await.has_status(200);
    assert!(bridge.account(&id, "crm").await.wanted > before);
    bridge.until(&id, "looked at", |accounts| waits_for_a_group(accounts) == Some(AccountState::Due)).await;
    assert_eq!(bridge.crm().accounts(), [] as [Value; 0]);
    clock.advance(2 * MINUTE);
    bridge.until_state(&id, "crm", AccountState::Settled).await;
    assert_eq!(bridge.crm().accounts()[0]["user_template"], "Contact centre agent");
    bridge.stop().await;
}

#[tokio::test]
async fn without_a_value_for_everybody_else_an_account_waits_until_a_group_comes() {
    let (bridge, clock, id) = waiting_for_a_group(r#""Team Leads" = "Agent""#).await;
    clock.advance(16 * MINUTE);
    // From now on only a membership can help, so nobody looks at it again before one comes.
    bridge.until(&id, "waiting on", |accounts| waits_for_a_group(accounts) == Some(AccountState::Waiting)).await;
    assert_eq!(bridge.crm().accounts(), [] as [Value; 0]);
    create_group(&bridge, "Team Leads", &[&id]).await;
    bridge.until_state(&id, "crm", AccountState::Settled).await;
    assert_eq!(bridge.crm().accounts()[0]["user_template"], "Agent");
    bridge.stop().await;
}

#[tokio::test]
async fn a_group_is_answered_while_the_account_of_its_new_member_is_still_being_changed() {
    let setup = Setup::default().glance(&format!("timeout = \"5s\"\n{HOSTS}"));
    let bridge = Bridge::with(setup).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let hosts = create_group(&bridge, "Glance Hosts", &[]).await;
    // No answer comes before the bridge gives the call up: whoever waits for it has seen the first attempt fail.
    bridge.glance().fail_next(1, Fault::Timeout, Some("UpdateUser"));
    add_member(&bridge, &hosts, &id).await;
    let is_open = |account: &Account| {
        account.target == "glance" && (account.attempts, account.applied < account.wanted) == (0, true)
    };
    bridge
        .until(&id, "the call is on its way", |accounts| {
            calls_of(bridge.glance(), "UpdateUser").len() == 1 && accounts.iter().any(is_open)
        })
        .await;
    assert_eq!(role(&bridge), "Agent");
    assert_eq!(groups_of(&bridge, &id).await, ["Glance Hosts"]);
    // The call that got no answer is made again.
    bridge.until(&id, "Host at Glance", |_| role(&bridge) == "Host").await;
    bridge.until_at_rest(&id).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_member_whose_account_refuses_the_change_is_a_member_all_the_same() {
    let bridge = Bridge::with(Setup::default().glance(HOSTS)).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let hosts = create_group(&bridge, "Glance Hosts", &[]).await;
    bridge.glance().fail_next(1, Fault::Refuse("no licence of that kind".to_owned()), Some("UpdateUser"));
    add_member(&bridge, &hosts, &id).await;
    let parked = bridge.until_state(&id, "glance", AccountState::Parked).await;
    let reason = parked.reason.unwrap().text;
    assert!(reason.contains("no licence of that kind"), "{reason}");
    assert_eq!((role(&bridge), groups_of(&bridge, &id).await), (json!("Agent"), vec![json!("Glance Hosts")]));
    let shown = bridge.get(&format!("/Groups/{hosts}")).await.has_status(200);
    assert_eq!(shown.body["members"][0]["value"], id.as_str());
    bridge.stop().await;
}

#[tokio::test]
async fn a_group_of_many_that_is_renamed_or_deleted_concerns_the_accounts_of_all_of_them() {
    let hold = r#"mode = "hold""#;
    let setup = Setup::default().wait("0s").glance(&format!("{hold}\n{HOSTS}")).pbx(hold).crm(hold);
    let bridge = Bridge::with(setup).await;
    let mut ids = Vec::new();
    // More than two slices of a hundred, and a part of one.
    for number in 0..250 {
        ids.push(bridge.post("/Users", okta_user(&format!("u{number:03}"))).await.has_status(201).id());
    }
    let members: Vec<&str> = ids.iter().map(String::as_str).collect();
    let group = create_group(&bridge, "Sales", &members).await;
    let wanted =
        |accounts: &[Account]| accounts.iter().find(|account| account.target == "glance").map(|account| account.wanted);
    let mut before = Vec::new();
    for id in &ids {
        before.push(wanted(&bridge.accounts(id).await));
    }
    let all_are_wanted_anew = async |before: &mut Vec<Option<i64>>, what: &str| {
        for (id, before) in ids.iter().zip(before) {
            let accounts = bridge.until(id, what, |accounts| wanted(accounts) > *before).await;
            *before = wanted(&accounts);
        }
    };
    let rename = json!([{"op": "replace", "path": "displayName", "value": "Glance Hosts"}]);
    bridge.patch(&format!("/Groups/{group}"), rename).await.has_status(204);
    all_are_wanted_anew(&mut before, "wanted anew after the group was renamed").await;
    bridge.delete(&format!("/Groups/{group}")).await.has_status(204);
    all_are_wanted_anew(&mut before, "wanted anew after the group was deleted").await;
    assert_eq!(bridge.glance().accounts(), [] as [Value; 0], "all calls wait for a person");
    bridge.stop().await;
}

#[tokio::test]
async fn who_was_put_into_a_group_before_it_could_be_made_is_in_it_once_it_is() {
    let bridge = Bridge::with(Setup::default().glance(HOSTS)).await;
    bridge.glance().fail_next(1, Fault::Refuse("no licence left".to_owned()), Some("NewUser"));
    bridge.post("/Users", ann()).await.has_status(400).names(&["glance"]);
    let id = crate::refusals::rejected(&bridge).await;
    let hosts = create_group(&bridge, "Glance Hosts", &[&id]).await;
    let members = async || bridge.get(&format!("/Groups/{hosts}")).await.has_status(200).body["members"].clone();
    assert_eq!(members().await[0].get("display"), None, "there is nobody yet");
    let made = bridge.post("/Users", ann()).await.has_status(201);
    assert_eq!((made.id(), &made.body["groups"][0]["display"]), (id.clone(), &json!("Glance Hosts")));
    bridge.until_at_rest(&id).await;
    assert_eq!(role(&bridge), "Host");
    assert_eq!(groups_of(&bridge, &id).await, ["Glance Hosts"]);
    assert_eq!(members().await[0]["display"], "Ann Roe");
    bridge.stop().await;
}

/// What the account of ann is at the PBX.
fn scope(bridge: &Bridge) -> Value {
    let accounts = bridge.pbx().accounts();
    account_where(&accounts, "login-username", "ann@acme.example").unwrap()["user-scope"].clone()
}

#[tokio::test]
async fn a_privileged_scope_of_the_pbx_is_given_only_where_the_configuration_allows_it() {
    let mut super_user = ann();
    super_user[PBX] = json!({"user-scope": "Super User"});
    let bridge = Bridge::start().await;
    let refused = bridge.post("/Users", super_user.clone()).await.has_status(400);
    assert_eq!(refused.names(&["pbx", "user-scope", "privileged"]).scim_type(), "invalidValue");
    assert_eq!(bridge.pbx().accounts(), [] as [Value; 0]);
    // The PBX itself lets only a key of that rank give it.
    std::fs::write(bridge.folder().join("pbx_api_key"), netsapiens::SUPER_USER_API_KEY).unwrap();
    let allowed = "settle_lag = \"0s\"\nallow_scopes = [\"Super User\"]";
    let bridge = bridge.restart_with(Setup::default().pbx(allowed)).await;
    let id = bridge.post("/Users", super_user.clone()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_eq!(scope(&bridge), "Super User");
    let mut reseller = okta_user("bob");
    reseller[PBX] = json!({"user-scope": "Reseller"});
    bridge.post("/Users", reseller).await.has_status(400).names(&["pbx", "user-scope", "privileged"]);
    bridge.stop().await;
}

#[tokio::test]
async fn the_scope_at_the_pbx_follows_the_groups_of_the_user() {
    let table =
        r#"map.user-scope = { groups = { "Supervisors" = "Call Center Supervisor", "*" = "Call Center Agent" } }"#;
    let bridge = Bridge::with(Setup::default().pbx(&format!("settle_lag = \"0s\"\n{table}"))).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_eq!(scope(&bridge), "Call Center Agent");
    let supervisors = create_group(&bridge, "Supervisors", &[&id]).await;
    bridge.until(&id, "a supervisor", |_| scope(&bridge) == "Call Center Supervisor").await;
    bridge.delete(&format!("/Groups/{supervisors}")).await.has_status(204);
    bridge.until(&id, "an agent again", |_| scope(&bridge) == "Call Center Agent").await;
    bridge.stop().await;
}
