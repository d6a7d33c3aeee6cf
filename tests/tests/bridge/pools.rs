//! Extensions out of a pool.

use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_server::config::Config;
use bridge_server::operations;
use bridge_simulators::Fault;
use bridge_store::{AccountState, AssignmentState};
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, account_name, account_where, calls_of};
use jiff::Timestamp;
use serde_json::{Value, json};

#[tokio::test]
async fn each_user_gets_an_extension_of_their_own_and_keeps_it() {
    let bridge = Bridge::start().await;
    let first = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    bridge.post("/Users", okta_user("bob")).await.has_status(201);
    let extension = |name: &str| {
        let accounts = bridge.pbx().accounts();
        account_where(&accounts, "login-username", &format!("{name}@acme.example")).unwrap()["user"].clone()
    };
    assert_eq!((extension("ann"), extension("bob")), (json!("1000"), json!("1001")));
    let operations = json!([{"op": "replace", "value": {"name": {"familyName": "Rowe"}}}]);
    bridge.patch(&format!("/Users/{first}"), operations).await.has_status(200);
    assert_eq!(extension("ann"), json!("1000"));
    bridge.stop().await;
}

#[tokio::test]
async fn users_who_come_in_the_same_moment_get_an_extension_each_and_all_their_accounts_have_it() {
    let bridge = std::sync::Arc::new(Bridge::start().await);
    let mut coming = tokio::task::JoinSet::new();
    for number in 0..24 {
        let bridge = bridge.clone();
        coming.spawn(async move {
            let mut user = okta_user(&format!("user{number}"));
            // One of four is refused in the middle of it: somebody else may get what was meant for that one.
            if number % 4 == 3 {
                user["userName"] = json!("user0@acme.example");
            }
            bridge.post("/Users", user).await.status
        });
    }
    let mut statuses = coming.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[201; 18].as_slice(), &[409; 6]].concat());
    let users = bridge.get("/Users").await.body;
    for user in users["Resources"].as_array().unwrap() {
        bridge.until_at_rest(user["id"].as_str().unwrap()).await;
    }
    let (pbx, crm) = (bridge.pbx().accounts(), bridge.crm().accounts());
    let number = |account: &Value, field: &str| account[field].as_str().unwrap().to_owned();
    let mut extensions: Vec<String> = pbx.iter().map(|account| number(account, "user")).collect();
    let mut at_the_crm: Vec<String> = crm.iter().map(|account| number(account, "cti_phone_extension_number")).collect();
    extensions.sort_unstable();
    at_the_crm.sort_unstable();
    assert_eq!(extensions, (1000..1018).map(|extension| extension.to_string()).collect::<Vec<_>>());
    assert_eq!(at_the_crm, extensions);
}

#[tokio::test]
async fn an_extension_that_somebody_at_the_pbx_has_is_passed_over_in_the_same_delivery() {
    let bridge = Bridge::start().await;
    for extension in ["1000", "1001"] {
        bridge.pbx().seed(json!({
            "user": extension, "name-first-name": "Old", "name-last-name": "Hand",
            "login-username": format!("old{extension}@acme.example"), "email-address": "old@acme.example",
            "user-scope": "Basic User"
        }));
    }
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let pbx = bridge.pbx().accounts();
    let own = account_where(&pbx, "login-username", "ann@acme.example").unwrap();
    assert_eq!(own["user"], "1002");
    assert_eq!(bridge.crm().accounts()[0]["cti_phone_extension_number"], "1002");
    let foreign = bridge.running.bridge.store.read(|db| db.assignment("default", "extension", "1000")).await.unwrap();
    assert_eq!(foreign.unwrap().state, AssignmentState::Foreign);
    bridge.stop().await;
}

#[tokio::test]
async fn an_account_that_is_being_made_when_the_extension_gives_way_gets_the_new_one() {
    let setup = Setup::default().wait("0s").glance("after = []\nmap.UserLast = \"{{ assigned.extension }}\"");
    let bridge = Bridge::with(setup).await;
    seed_strangers(&bridge, 1000..1001);
    bridge.glance().fail_next(1, Fault::Slow(Duration::from_millis(500)), Some("NewUser"));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until(&id, "being made", |_| calls_of(bridge.glance(), "NewUser").len() == 1).await;
    bridge.until_state(&id, "pbx", AccountState::Settled).await;
    assert!(bridge.account(&id, "glance").await.lease.is_some(), "it is still being made");
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.glance().accounts()[0]["UserLast"], "1001");
    bridge.stop().await;
}

/// Extensions that belong to people of whom the bridge knows nothing.
fn seed_strangers(bridge: &Bridge, extensions: std::ops::Range<u32>) {
    for extension in extensions {
        bridge.pbx().seed(json!({
            "user": extension.to_string(), "name-first-name": "Old", "name-last-name": "Hand",
            "login-username": format!("old{extension}@acme.example"), "email-address": "old@acme.example",
            "user-scope": "Basic User"
        }));
    }
}

#[tokio::test]
async fn twenty_extensions_in_a_row_that_others_have_are_passed_over_and_one_more_calls_a_person() {
    let bridge = Bridge::start().await;
    seed_strangers(&bridge, 1000..1020);
    let id = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    bridge.until_state(&id, "pbx", AccountState::Settled).await;
    assert_eq!(bridge.account(&id, "pbx").await.remote_id.as_deref(), Some("1020"));
    seed_strangers(&bridge, 1021..1045);
    let id = bridge.post("/Users", okta_user("bob")).await.has_status(201).id();
    let row = bridge.until_state(&id, "pbx", AccountState::Parked).await;
    let reason = row.reason.unwrap();
    assert_eq!(reason.code, "pool-foreign");
    assert!(reason.text.contains("20 values of the pool extension"), "{}", reason.text);
    assert_eq!(bridge.pbx().accounts().len(), 45, "nobody's account is touched, none is made");
    // Whoever has looked at the ranges, and finds them right, lets it go on from there.
    let name = account_name(&id, "pbx");
    operations::retry(&bridge.running.bridge, &name, "test").await.unwrap();
    bridge.until_state(&id, "pbx", AccountState::Settled).await;
    assert_eq!(bridge.account(&id, "pbx").await.remote_id.as_deref(), Some("1045"));
    bridge.stop().await;
}

#[tokio::test]
async fn a_pool_that_others_have_emptied_parks_the_account_until_it_has_a_further_range() {
    let setup = Setup { ranges: r#"["1000-1001"]"#.to_owned(), ..Setup::default() }.wait("0s");
    let bridge = Bridge::with(setup).await;
    seed_strangers(&bridge, 1000..1002);
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let row = bridge.until_state(&id, "pbx", AccountState::Parked).await;
    let reason = row.reason.unwrap();
    assert_eq!(reason.code, "pool-empty");
    assert!(reason.text.contains("extension") && reason.text.contains("add a range"), "{}", reason.text);
    assert_eq!(bridge.pbx().accounts().len(), 2);
    let text = bridge.file().replace(r#"["1000-1001"]"#, r#"["1000-1010"]"#);
    bridge.running.reload(Config::parse(&text, bridge.folder()).unwrap()).await.unwrap();
    bridge.until_state(&id, "pbx", AccountState::Settled).await;
    assert_eq!(bridge.account(&id, "pbx").await.remote_id.as_deref(), Some("1002"));
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.crm().accounts()[0]["cti_phone_extension_number"], "1002");
    bridge.stop().await;
}

#[tokio::test]
async fn an_empty_pool_refuses_the_user_and_says_so() {
    let bridge = Bridge::with(Setup { ranges: r#"["1000-1000"]"#.to_owned(), ..Setup::default() }).await;
    bridge.post("/Users", okta_user("ann")).await.has_status(201);
    bridge.post("/Users", okta_user("bob")).await.has_status(400).names(&["pool", "extension"]);
    assert_eq!(bridge.get("/Users").await.body["totalResults"], 1, "nothing is stored");
    bridge.stop().await;
}

#[tokio::test]
async fn an_empty_pool_parks_the_account_at_a_target_that_is_not_required_until_it_has_a_further_range() {
    let ranges = r#"["1000-1000"]"#.to_owned();
    let setup =
        Setup { ranges, ..Setup::default() }.pbx("settle_lag = \"0s\"\nrequired = false").crm("required = false");
    let bridge = Bridge::with(setup.clone()).await;
    bridge.post("/Users", okta_user("ann")).await.has_status(201);
    let id = bridge.post("/Users", okta_user("bob")).await.has_status(201).id();
    let row = bridge.until_state(&id, "pbx", AccountState::Parked).await;
    assert_eq!(row.reason.unwrap().code, "pool-empty");
    let text = bridge.file().replace(r#"["1000-1000"]"#, r#"["1000-1001"]"#);
    bridge.running.reload(Config::parse(&text, bridge.folder()).unwrap()).await.unwrap();
    bridge.until_state(&id, "pbx", AccountState::Settled).await;
    assert_eq!(bridge.account(&id, "pbx").await.remote_id.as_deref(), Some("1001"));
    bridge.until_at_rest(&id).await;
    let crm = bridge.crm().accounts();
    assert_eq!(
        account_where(&crm, "cti_phone_extension_number", "1001").map(|account| &account["username"]),
        Some(&json!("bob"))
    );
    bridge.stop().await;
}

#[tokio::test]
async fn behind_a_value_that_came_back_nobody_counts_on_one_that_somebody_has() {
    let ranges = "[\"1000-1002\"]\ncool_off = \"0s\"".to_owned();
    let setup = Setup { ranges, ..Setup::default() };
    let bridge = Bridge::with(setup.pbx("settle_lag = \"0s\"\nrequired = false").crm("required = false")).await;
    let mut ids = Vec::new();
    for name in ["ann", "bob", "cid"] {
        let id = bridge.post("/Users", okta_user(name)).await.has_status(201).id();
        bridge.until_state(&id, "pbx", AccountState::Settled).await;
        ids.push(id);
    }
    bridge.delete(&format!("/Users/{}", ids[1])).await.has_status(204);
    bridge.until_at_rest(&ids[1]).await;
    let dan = bridge.post("/Users", okta_user("dan")).await.has_status(201).id();
    bridge.until_state(&dan, "pbx", AccountState::Settled).await;
    assert_eq!(bridge.account(&dan, "pbx").await.remote_id.as_deref(), Some("1001"));
    let eve = bridge.post("/Users", okta_user("eve")).await.has_status(201).id();
    let row = bridge.until_state(&eve, "pbx", AccountState::Parked).await;
    assert_eq!((row.reason.unwrap().code, row.natural_key), ("pool-empty".to_owned(), None));
    bridge.stop().await;
}

#[tokio::test]
async fn who_is_out_of_scope_takes_no_value_out_of_a_pool() {
    let scope = "[tenants.default.targets.pbx.scope]\nfilter = 'title eq \"Phone\"'";
    let setup = Setup { more: scope.to_owned(), ..Setup::default() };
    let bridge = Bridge::with(setup.crm("map.user_template_identifier = { value = \"Agent\" }")).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let row = bridge.until_state(&id, "pbx", AccountState::OutOfScope).await;
    assert!(row.remote_id.is_none());
    let used = bridge.running.bridge.store.read(|db| db.assignment("default", "extension", "1000")).await.unwrap();
    assert_eq!(used, None);
    bridge.stop().await;
}

#[tokio::test]
async fn an_extension_that_the_identity_provider_sends_wins_over_the_pool() {
    let bridge = Bridge::start().await;
    let mut user = ann();
    user["urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User"] = json!({"extension": "4242"});
    let id = bridge.post("/Users", user).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.pbx().accounts()[0]["user"], "4242");
    let used = bridge.running.bridge.store.read(|db| db.assignment("default", "extension", "1000")).await.unwrap();
    assert_eq!(used, None, "nothing is taken out of the pool");
    bridge.stop().await;
}

#[tokio::test]
async fn a_value_returns_once_the_account_is_gone() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.pbx().accounts(), Vec::<Value>::new());
    let value = bridge.running.bridge.store.read(|db| db.assignment("default", "extension", "1000")).await.unwrap();
    let value = value.unwrap();
    assert_eq!((value.state, value.resource), (AssignmentState::Free, None));
    assert!(value.free_at.is_some(), "it was in use, so it cools off");
    bridge.stop().await;
}

#[tokio::test]
async fn the_value_of_a_leaver_whose_account_a_person_removed_comes_back_and_the_leaver_is_forgotten() {
    let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let ranges = "[\"1000-1000\"]\ncool_off = \"24h\"".to_owned();
    let setup = Setup { ranges, clock: clock.clone(), ..Setup::default() };
    let bridge = Bridge::with(setup.pbx("settle_lag = \"0s\"\non_delete = \"suspend\"")).await;
    let id = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.until_at_rest(&id).await;
    assert_eq!(bridge.account(&id, "pbx").await.remote_id.as_deref(), Some("1000"), "suspended, and still there");
    assert!(bridge.pbx().remove("1000"));
    let drop = async |target: &str| {
        operations::drop(&bridge.running.bridge, &account_name(&id, target), "test").await.unwrap();
    };
    let value = async || bridge.running.bridge.store.read(|db| db.assignment("default", "extension", "1000")).await;
    drop("crm").await;
    assert_eq!(value().await.unwrap().unwrap().state, AssignmentState::Confirmed, "the PBX has it, as far as is known");
    drop("glance").await;
    drop("pbx").await;
    let rests = value().await.unwrap().unwrap();
    assert_eq!((rests.state, rests.resource), (AssignmentState::Free, None));
    assert_eq!(rests.free_at, Some(clock.now() + Duration::from_hours(24)));
    bridge.post("/Users", okta_user("bob")).await.has_status(400).names(&["pool", "extension"]);
    clock.advance(Duration::from_hours(25));
    bridge.post("/Users", okta_user("bob")).await.has_status(201);
    clock.advance(Duration::from_hours(91 * 24));
    bridge_server::housekeeping::tidy(&bridge.running.bridge, clock.now()).await;
    let known = bridge.running.bridge.store.read(|db| db.resource_by_id("default", "User", &id)).await;
    assert_eq!(known.unwrap(), None);
    bridge.stop().await;
}
