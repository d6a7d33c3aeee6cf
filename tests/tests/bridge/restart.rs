//! A restart, and a configuration that is read again: nothing accepted is lost, no account is forgotten.

use std::time::{Duration, Instant};

use bridge_server::config::Config;
use bridge_simulators::Fault;
use bridge_store::{AccountState, RequestQuery};
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, calls_of};
use serde_json::{Value, json};

#[tokio::test]
async fn what_was_not_done_before_a_restart_is_done_after_it() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    bridge.glance().fail_next(3, Fault::Status(503, None), None);
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let bridge = bridge.restart().await;
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.glance().accounts().len(), 1);
    assert_eq!(bridge.get(&format!("/Users/{id}")).await.has_status(200).id(), id);
    bridge.stop().await;
}

#[tokio::test]
async fn two_equal_creates_at_once_make_one_user_and_are_both_in_the_journal() {
    let bridge = Bridge::start().await;
    bridge.glance().fail_next(1, Fault::Slow(Duration::from_millis(500)), Some("NewUser.asp"));
    let (one, other) = tokio::join!(bridge.post("/Users", ann()), bridge.post("/Users", ann()));
    assert_eq!(one.has_status(201).id(), other.has_status(201).id());
    let query = RequestQuery { tenant: "default".to_owned(), ..RequestQuery::default() };
    let entries = bridge.running.bridge.store.read(|db| db.requests(&query)).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.status).collect::<Vec<_>>(), [Some(201), Some(201)]);
    assert_eq!(entries.iter().filter(|entry| entry.outcome.is_some()).count(), 1);
    bridge.stop().await;
}

#[tokio::test]
async fn an_attribute_that_is_newly_indexed_is_indexed_for_users_of_before_too() {
    let bridge = Bridge::start().await;
    bridge.post("/Users", ann()).await.has_status(201);
    let setup = Setup { store: r#"index = ["name.familyName"]"#.to_owned(), ..Setup::default() };
    let bridge = bridge.restart_with(setup).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while bridge.running.bridge.store.read(|db| db.meta("index/default/User")).await.unwrap().is_none() {
        assert!(Instant::now() < deadline, "the index is made in the background");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let found = bridge.get("/Users?filter=name.familyName+eq+%22roe%22").await.has_status(200);
    assert_eq!(found.body["totalResults"], 1);
    bridge.stop().await;
}

#[tokio::test]
async fn who_leaves_while_a_target_is_retired_is_out_when_it_comes_back() {
    for by_restart in [false, true] {
        let scope = r#"scope = { groups = ["Staff"] }"#;
        let bridge = Bridge::with(Setup::default().glance(scope)).await;
        let mut ids = Vec::new();
        for name in ["ann", "bob", "carl", "dora"] {
            ids.push(bridge.post("/Users", okta_user(name)).await.has_status(201).id());
        }
        let members: Vec<Value> = ids.iter().map(|id| json!({"value": id})).collect();
        let schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"];
        let staff = json!({"schemas": schemas, "displayName": "Staff", "members": members});
        let staff = bridge.post("/Groups", staff).await.has_status(201).id();
        for id in &ids {
            bridge.until_state(id, "glance", AccountState::Settled).await;
        }
        let with = |text: &str| Config::parse(text, bridge.folder()).unwrap();
        let target = "[tenants.default.targets.glance]";
        let retired = bridge.file().replace(target, &format!("{target}\nretired = true"));
        bridge.running.reload(with(&retired)).await.unwrap();
        bridge.delete(&format!("/Users/{}", ids[0])).await.has_status(204);
        let off = json!([{"op": "replace", "value": {"active": false}}]);
        bridge.patch(&format!("/Users/{}", ids[1]), off).await.has_status(200);
        let removed = json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", ids[2])}]);
        bridge.patch(&format!("/Groups/{staff}"), removed).await;
        for id in &ids[..3] {
            let row = bridge.until_state(id, "glance", AccountState::Due).await;
            assert_eq!(row.reason.unwrap().code, "retired", "a person sees why nothing is done");
        }
        assert!(calls_of(bridge.glance(), "UpdateUser").is_empty(), "nothing is done at a retired target");
        let bridge = if by_restart {
            bridge.restart().await
        } else {
            bridge.running.reload(with(&bridge.file())).await.unwrap();
            bridge
        };
        for id in &ids {
            bridge.until_at_rest(id).await;
        }
        let suspended: Vec<Value> =
            bridge.glance().accounts().iter().map(|account| account["UserSuspended"].clone()).collect();
        assert_eq!(suspended, [true, true, true, false], "by a restart: {by_restart}");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_target_that_holds_accounts_cannot_vanish_from_the_configuration() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_state(&id, "crm", AccountState::Settled).await;
    let elsewhere = bridge.crm().url().replace("127.0.0.1", "localhost");
    let text = bridge.file().replace(bridge.crm().url(), &elsewhere);
    let config = Config::parse(&text, bridge.folder()).unwrap();
    let refused = bridge.running.reload(config).await.unwrap_err().to_string();
    assert!(refused.contains("tenants.default.targets.crm") && refused.contains("points"), "{refused}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_target_gets_another_name_at_a_start_and_not_while_requests_may_mean_the_old_one() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_state(&id, "crm", AccountState::Settled).await;
    let text = bridge.file().replace("[tenants.default.targets.crm]", "[tenants.default.targets.till]");
    let text = text.replace("kind = \"crm_com\"", "kind = \"crm_com\"\nrenamed_from = \"crm\"");
    let config = Config::parse(&text, bridge.folder()).unwrap();
    let refused = bridge.running.reload(config).await.unwrap_err().to_string();
    assert!(refused.contains("tenants.default.targets.till") && refused.contains("restart"), "{refused}");
    bridge.account(&id, "crm").await;

    let setup = Setup { crm_name: "till".to_owned(), ..Setup::default().crm("renamed_from = \"crm\"") };
    let bridge = bridge.restart_with(setup).await;
    bridge.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "title", "value": "Head"}])).await;
    bridge.until_at_rest(&id).await;
    let account = bridge.account(&id, "till").await;
    assert_eq!(account.state, AccountState::Settled);
    assert_eq!((bridge.accounts(&id).await.len(), bridge.crm().accounts().len()), (3, 1));
    bridge.stop().await;
}

/// What the rows are is moved behind the mode, in the background: a million of them, or one that cannot be read, must not keep
/// a person from stopping everything.
#[tokio::test]
async fn a_mode_rules_at_once_and_at_the_start_whatever_becomes_of_the_rows_that_follow_it() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    bridge.glance().fail_next(1_000, Fault::Status(503, None), None);
    let mut ids = Vec::new();
    for name in ["ann", "bob"] {
        let id = bridge.post("/Users", okta_user(name)).await.has_status(201).id();
        bridge.until_state(&id, "glance", AccountState::Due).await;
        ids.push(id);
    }
    let database = rusqlite::Connection::open(bridge.folder().join("bridge.db")).unwrap();
    let change = |sql: &str| assert_eq!(database.execute(sql, []).unwrap(), 1);
    change("UPDATE account SET doubt = 'unreadable' WHERE resource = 1 AND target = 'glance'");
    let hold = Setup::default().wait("0s").glance(r#"mode = "hold""#);
    let text = bridge.file().replace("address_domain =", "mode = \"hold\"\naddress_domain =");
    bridge.running.reload(Config::parse(&text, bridge.folder()).unwrap()).await.unwrap();
    let modes = async |bridge: &Bridge| {
        let status = bridge_server::operations::targets(&bridge.running.bridge).await.unwrap();
        status.into_iter().filter(|target| target.target == "glance").map(|target| target.mode).collect::<Vec<_>>()
    };
    assert_eq!(modes(&bridge).await, ["hold"]);
    let bridge = bridge.restart_with(hold.clone()).await;
    assert_eq!(modes(&bridge).await, ["hold"], "it starts with that file, too");
    assert_eq!(bridge.get(&format!("/Users/{}", ids[1])).await.has_status(200).id(), ids[1]);
    change("UPDATE account SET doubt = 'none' WHERE resource = 1 AND target = 'glance'");
    // As if it had stopped in the middle: the next start goes on.
    let bridge = bridge.restart_with(hold).await;
    for id in &ids {
        bridge.until_state(id, "glance", AccountState::Held).await;
    }
    bridge.glance().clear_faults();
    let bridge = bridge.restart_with(Setup::default()).await;
    for id in &ids {
        bridge.until_state(id, "glance", AccountState::Settled).await;
    }
    bridge.stop().await;
}
