//! What a person is shown of one account, of the requests, and of a configuration that does not fit what is there.

use bridge_simulators::Fault;
use bridge_store::AccountState;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, account_where};
use serde_json::{Value, json};

use crate::commands::{columns, run, with_user};
use crate::secrets::webhook;

/// Somebody whom the PBX had before.
fn annie() -> Value {
    json!({
        "user": "1400", "name-first-name": "Annie", "name-last-name": "Roe", "login-username": "ann@acme.example",
        "email-address": "ann@acme.example", "user-scope": "Basic User"
    })
}

#[tokio::test]
async fn who_is_under_review_is_shown_with_the_account_that_was_found_and_the_commands_that_settle_it() {
    let (address, alerts) = webhook();
    let bridge = Bridge::with(Setup { more: format!("[alerts]\nwebhook = \"{address}\""), ..Setup::default() }).await;
    bridge.pbx().seed(annie());
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_state(&id, "pbx", AccountState::Parked).await;
    let shown = run(&bridge, "account show ann@acme.example pbx").await.done();
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    let has = |words: &[&str]| lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(has(&["ann@acme.example", &id]), "{shown}");
    assert!(has(&["pbx: parked"]) && !has(&["glance: "]), "{shown}");
    assert!(has(&["review", "remote id 1400"]), "the reason names it: {shown}");
    assert!(has(&["candidate", "remote id 1400", "user = 1400", "login-username = ann@acme.example"]), "{shown}");
    let release = format!("scim-bridge account release {id} pbx");
    let link = format!("scim-bridge link set {id} pbx --remote-id");
    assert!(has(&[&release]) && has(&[&link]), "{shown}");
    let listed = run(&bridge, "account list --state parked --json").await.document();
    let account = &listed["accounts"][0];
    let candidate = json!(["1400", "1400", "Annie"]);
    let seen = &account["candidate"];
    assert_eq!(
        json!([seen["remoteId"], seen["naturalKey"], seen["fields"]["name-first-name"]]),
        candidate,
        "{account}"
    );
    assert!(!account.to_string().contains("remote_id"), "one spelling: {account}");
    bridge.stop().await;
    let told: Vec<Value> = alerts.try_iter().filter(|alert| alert["code"] == "review").collect();
    let [alert] = told.as_slice() else { panic!("one alert: {told:#?}") };
    assert!(alert["text"].as_str().unwrap().contains("remote id 1400"), "{alert}");
    let text = alert.to_string().to_lowercase();
    assert!(!text.contains("ann") && !text.contains("roe") && !text.contains('@'), "{text}");
}

#[tokio::test]
async fn what_was_left_out_of_an_account_and_what_was_not_understood_is_shown_with_it() {
    let bridge = Bridge::start().await;
    let mut user = ann();
    user["nickNmae"] = json!("Annie");
    user["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = json!({"department": "D".repeat(65)});
    let created = bridge.post("/Users", user).await.has_status(201);
    let id = created.id();
    bridge.until_at_rest(&id).await;
    let shown = run(&bridge, &format!("account show {id} --json")).await.document();
    assert_eq!(columns(&shown["notUnderstood"], &["attribute"]), [json!(["nickNmae"])], "{shown}");
    assert_eq!(shown["notUnderstood"][0]["request"], created.header("x-request-id"));
    let accounts = shown["accounts"].as_array().unwrap();
    let pbx = accounts.iter().find(|account| account["target"] == "pbx").unwrap();
    let left_out = columns(&pbx["leftOut"], &["field", "code"]);
    assert_eq!(left_out, [json!(["department", "too-long"])], "{pbx}");
    assert!(pbx["leftOut"][0]["attribute"].as_str().unwrap().ends_with("department"), "{pbx}");
    assert_eq!(pbx["remoteId"], "1000");
    let printed = run(&bridge, &format!("account show {id}")).await.done();
    for words in ["glance: settled", "pbx: settled", "crm: settled", "left out: department", "not understood: nickNmae"]
    {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    assert!(!printed.contains(&"D".repeat(65)), "limits are shown, not values");
    run(&bridge, "account show nobody").await.complains(&["there is no such resource"]);
    run(&bridge, &format!("account show {id} nowhere")).await.complains(&["there is no target \"nowhere\""]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_group_that_rules_name_and_nobody_pushed_is_warned_of_until_it_is_there() {
    let crm = r#"map.user_template_identifier = { groups = { "Team Leads" = "Agent", "*" = "Contact centre agent" } }"#;
    let bridge = Bridge::with(Setup::default().crm(crm)).await;
    let warning = "tenants.default.targets.crm: no group \"Team Leads\" exists in the tenant";
    let said = async || {
        let (listed, checked) = (run(&bridge, "target list").await.done(), run(&bridge, "check").await.done());
        assert_eq!(listed.contains(warning), checked.contains(warning), "{listed}\n{checked}");
        listed.contains(warning)
    };
    assert!(said().await);
    let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "TEAM leads"});
    bridge.post("/Groups", group).await.has_status(201);
    assert!(!said().await, "the case of letters does not count");
    let listed = run(&bridge, "target list --json").await.document();
    assert_eq!(listed["warnings"], json!([]));
    bridge.stop().await;
}

#[tokio::test]
async fn requests_are_found_by_what_came_of_them_by_user_and_by_time() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    with_user(&bridge, "bob").await;
    let name = |user: &str| okta_user(user)["userName"].as_str().unwrap().to_owned();
    bridge.post("/Users", okta_user("ann")).await.has_status(409);
    let listed = async |arguments: &str| {
        let listed = run(&bridge, format!("request list --json {arguments}").trim_end()).await.document();
        columns(&listed["requests"], &["status", "userName"])
    };
    let created = |user: &str| json!([201, name(user)]);
    let refused = || json!([409, name("ann")]);
    assert_eq!(listed("").await, [refused(), created("bob"), created("ann")]);
    assert_eq!(listed("--failed").await, [refused()]);
    assert_eq!(listed(&format!("--user {}", name("ann"))).await, [refused(), created("ann")]);
    assert_eq!(listed(&format!("--user {id}")).await, [created("ann")], "what was refused is nobody's");
    assert_eq!(listed(&format!("--user {id} --failed")).await, [] as [Value; 0]);
    run(&bridge, "request list --user nobody@acme.example").await.complains(&["there is no such user"]);
    assert_eq!(listed("--since 1h --limit 1").await, [refused()]);
    assert_eq!(listed("--until 1h").await, [] as [Value; 0]);
    assert_eq!(listed("--since 2020-01-01T00:00:00Z --until 2999-01-01T00:00:00Z --failed").await, [refused()]);
    let table = run(&bridge, "request list").await.done();
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["received", "id", "connection", "method", "path", "status", "userName", "outcome"]);
    run(&bridge, "request list --since soon").await.complains(&["\"soon\"", "2h"]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_link_to_an_account_that_the_target_does_not_have_is_refused() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    let before = bridge.accounts(&id).await;
    for target in ["crm", "pbx", "glance"] {
        let wrong = format!("link set {id} {target} --remote-id 98989");
        run(&bridge, &wrong).await.complains(&["there is no such account at the target"]);
    }
    // A target that refuses the question has no such account either, and says why.
    let crooked = run(&bridge, &format!("link set {id} pbx --remote-id ../../x")).await;
    crooked.complains(&["The target refused", "pbx"]);
    assert_eq!(bridge.accounts(&id).await, before, "nothing has changed");
    // A target that does not answer says nothing about it.
    bridge.crm().fail_next(1, Fault::Status(503, None), Some("users/show"));
    let unknown = run(&bridge, &format!("link set {id} crm --remote-id 98989")).await.done();
    assert!(unknown.contains("the target was not asked"), "{unknown}");
    bridge.stop().await;
}

#[tokio::test]
async fn the_accounts_of_a_refused_create_are_told_from_those_of_a_user() {
    let bridge = Bridge::start().await;
    bridge.crm().fail_next(1, Fault::Refuse("no licence left".to_owned()), Some("users/create"));
    bridge.post("/Users", okta_user("ann")).await.has_status(400);
    with_user(&bridge, "bob").await;
    let listed = run(&bridge, "account list --target glance --json").await.document();
    assert_eq!(columns(&listed["accounts"], &["resourceState"]), [json!(["rejected"]), json!(["live"])]);
    let table = run(&bridge, "account list --target glance").await.done();
    let row = table.lines().find(|line| line.contains("ann")).unwrap();
    assert!(row.contains("rejected"), "{table}");
    assert!(account_where(&bridge.glance().accounts(), "UserFirst", "Ann").is_some());
    bridge.stop().await;
}

/// The names of all members, but those that are not the bridge's own: a vendor's, a client's.
fn names(value: &Value, found: &mut Vec<String>) {
    const OTHERS: [&str; 6] = ["fields", "keys", "body", "call", "answer", "quirks"];
    match value {
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                found.push(name.clone());
                if !OTHERS.contains(&name.as_str()) {
                    names(member, found);
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn all_names_in_the_json_of_the_admin_api_are_written_alike() {
    let bridge = Bridge::start().await;
    bridge.pbx().seed(annie());
    let created = bridge.post("/Users", ann()).await.has_status(201);
    bridge.until_state(&created.id(), "pbx", AccountState::Parked).await;
    with_user(&bridge, "bob").await;
    let (id, request) = (created.id(), created.header("x-request-id").to_owned());
    let lists = ["account list", "task list", "link list", "request list", "connection list", "target list"];
    let one = [format!("account show {id}"), format!("request show {request}")];
    for command in lists.map(str::to_owned).into_iter().chain(one) {
        let mut found = Vec::new();
        names(&run(&bridge, &format!("{command} --json")).await.document(), &mut found);
        found.retain(|name| name.contains('_'));
        assert_eq!(found, [] as [String; 0], "{command}");
    }
    bridge.stop().await;
}
