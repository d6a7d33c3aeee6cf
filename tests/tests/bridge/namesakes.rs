//! People of this bridge who share an address, or who get a key while somebody else of this bridge has its account still.

use std::time::Duration;

use bridge_simulators::Fault;
use bridge_store::{Account, AccountState, Doubt};
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, account_where};
use serde_json::{Value, json};

use crate::commands::run;

/// A user with the e-mail address of the family.
fn of_the_family(name: &str) -> Value {
    let mut user = okta_user(name);
    user["emails"] = json!([{"primary": true, "value": "family@acme.example", "type": "work"}]);
    user
}

#[tokio::test]
async fn a_create_that_failed_once_is_made_though_somebody_else_has_the_same_address() {
    for fault in [Fault::Status(503, None), Fault::DropAfterApply] {
        let unit = bridge_simulators::credentials::crm_com::UNIT_ID;
        let lines = format!("adopt = \"review\"\nlist_by = {{ filter = \"unit\", by = \"id\", value = \"{unit}\" }}");
        let bridge = Bridge::with(Setup::default().crm(&lines)).await;
        let ann = bridge.post("/Users", of_the_family("ann")).await.has_status(201).id();
        bridge.until_at_rest(&ann).await;
        for (simulator, create) in
            [(bridge.glance(), "NewUser"), (bridge.pbx(), "POST users"), (bridge.crm(), "users/create")]
        {
            simulator.fail_next(1, fault.clone(), Some(create));
        }
        let bob = bridge.post("/Users", of_the_family("bob")).await.has_status(201).id();
        for account in bridge.until_at_rest(&bob).await {
            assert_eq!((account.state, account.reason), (AccountState::Settled, None), "{} {fault:?}", account.target);
        }
        let pbx = bridge.pbx().accounts();
        assert_eq!(pbx.len(), 2, "{pbx:#?}");
        assert_eq!(account_where(&pbx, "login-username", "bob@acme.example").unwrap()["user"], "1001");
        assert_eq!((bridge.glance().accounts().len(), bridge.crm().accounts().len()), (2, 2), "{fault:?}");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_is_told_though_somebody_else_has_the_same_address() {
    let bridge = Bridge::start().await;
    bridge.post("/Users", of_the_family("ann")).await.has_status(201);
    bridge.pbx().fail_next(1, Fault::Refuse("no licence left".to_owned()), Some("POST users"));
    let refused = bridge.post("/Users", of_the_family("bob")).await.has_status(400).names(&["pbx"]);
    assert!(refused.detail().contains("no licence left"), "{}", refused.detail());
    bridge.stop().await;
}

/// Somebody else with Ann's userName, which she has no more.
fn another_ann() -> Value {
    let mut user = ann();
    user["externalId"] = json!("00uanother");
    user["emails"] = json!([{"primary": true, "value": "another.ann@acme.example", "type": "work"}]);
    user
}

/// Whether the account at a target is parked, or waits, for a reason with this code.
fn has_reason(accounts: &[Account], target: &str, code: &str) -> bool {
    let account = accounts.iter().find(|account| account.target == target);
    account.and_then(|account| account.reason.as_ref()).is_some_and(|reason| reason.code == code)
}

#[tokio::test]
async fn who_takes_the_name_of_somebody_being_renamed_gets_an_account_once_that_one_lets_go() {
    let bridge = Bridge::with(Setup::default().wait("0s").crm("required = false")).await;
    let first = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&first).await;
    bridge.glance().fail_next(2, Fault::Status(503, None), Some("UpdateUser"));
    bridge.pbx().fail_next(2, Fault::Status(503, None), Some("PUT users/{user}"));
    let rename = json!([{"op": "replace", "path": "userName", "value": "ann.new@acme.example"}]);
    bridge.patch(&format!("/Users/{first}"), rename).await.has_status(200);
    let second = bridge.post("/Users", another_ann()).await.has_status(201).id();
    for target in ["glance", "pbx"] {
        bridge.until(&second, "waiting", |accounts| has_reason(accounts, target, "waiting-for-account")).await;
    }
    for target in ["glance", "pbx"] {
        bridge.until_state(&second, target, AccountState::Settled).await;
        bridge.until_state(&first, target, AccountState::Settled).await;
    }
    let (glance, pbx) = (bridge.glance().accounts(), bridge.pbx().accounts());
    assert_eq!((glance.len(), pbx.len()), (2, 2), "{glance:#?} {pbx:#?}");
    let login = |name: &str| account_where(&pbx, "login-username", name).unwrap()["user"].clone();
    assert_eq!([login("ann.new@acme.example"), login("ann@acme.example")], [json!("1000"), json!("1001")]);
    assert_eq!(account_where(&glance, "UserAddress", "ann.acme.glance.net").unwrap()["PartnerUserID"], json!(second));
    bridge.stop().await;
}

#[tokio::test]
async fn who_is_created_before_a_deleted_namesake_is_gone_gets_an_account_once_that_one_is() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let first = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&first).await;
    bridge.pbx().fail_next(2, Fault::Status(503, None), Some("DELETE users/{user}"));
    bridge.delete(&format!("/Users/{first}")).await.has_status(204);
    let second = bridge.post("/Users", another_ann()).await.has_status(201).id();
    bridge.until(&second, "waiting", |accounts| has_reason(accounts, "pbx", "waiting-for-account")).await;
    bridge.until_state(&second, "pbx", AccountState::Settled).await;
    let pbx = bridge.pbx().accounts();
    assert_eq!(pbx.len(), 1, "{pbx:#?}");
    assert_eq!((&pbx[0]["user"], &pbx[0]["login-username"]), (&json!("1001"), &json!("ann@acme.example")));
    bridge.stop().await;
}

#[tokio::test]
async fn a_namesake_of_somebody_deleted_who_never_got_an_account_gets_one() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    bridge.glance().fail_next(1, Fault::DropBefore, Some("NewUser"));
    let first = bridge.post("/Users", ann()).await.has_status(201).id();
    let in_doubt = |accounts: &[Account]| {
        accounts.iter().any(|account| account.target == "glance" && account.doubt == Doubt::Create)
    };
    bridge.until(&first, "in doubt", in_doubt).await;
    // Whether there is an account is not known for a while.
    bridge.glance().fail_next(1, Fault::Slow(Duration::from_secs(1)), Some("ShowUsers"));
    bridge.delete(&format!("/Users/{first}")).await.has_status(204);
    let second = bridge.post("/Users", another_ann()).await.has_status(201).id();
    assert_eq!(bridge.account(&second, "glance").await.state, AccountState::Parked);
    let account = bridge.until_state(&second, "glance", AccountState::Settled).await;
    assert_eq!(account.remote_id.as_ref(), Some(&second));
    assert!(account.natural_key.is_some());
    assert_eq!(bridge.glance().accounts().len(), 1);
    bridge.stop().await;
}

#[tokio::test]
async fn who_could_not_have_a_key_gets_it_when_its_holder_is_deleted_or_renamed() {
    for rename in [false, true] {
        let lines = "required = false\non_delete = \"delete\"";
        let crm = "required = false\nscope = { filter = \"title pr\" }";
        let bridge = Bridge::with(Setup::default().glance(lines).crm(crm)).await;
        let first = bridge.post("/Users", ann()).await.has_status(201).id();
        let mut namesake = another_ann();
        namesake["userName"] = json!("ann@other.example");
        let second = bridge.post("/Users", namesake).await.has_status(201).id();
        assert_eq!(bridge.account(&second, "glance").await.state, AccountState::Parked);
        if rename {
            let operations = json!([{"op": "replace", "path": "userName", "value": "anne@acme.example"}]);
            bridge.patch(&format!("/Users/{first}"), operations).await.has_status(200);
        } else {
            bridge.delete(&format!("/Users/{first}")).await.has_status(204);
        }
        let account = bridge.until_state(&second, "glance", AccountState::Settled).await;
        assert_eq!(account.remote_id.as_ref(), Some(&second));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_review_of_an_account_that_somebody_else_of_the_bridge_has_names_whose_it_is_and_what_helps() {
    let bridge = Bridge::with(Setup::default().wait("2s")).await;
    let first = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.delete(&format!("/Users/{first}")).await.has_status(204);
    bridge.until_at_rest(&first).await;
    let second = bridge.post("/Users", another_ann()).await.has_status(201).id();
    bridge.until_state(&second, "glance", AccountState::Parked).await;
    let again = run(&bridge, &format!("account retry {second} glance --json")).await;
    let again: Value = serde_json::from_str(&again.out).unwrap();
    let drop = format!("account drop {first} glance");
    let told = again["reason"]["text"].as_str().unwrap();
    for word in [&first, "deleted", &drop, "account release"] {
        assert!(told.contains(word), "{word} in {told}");
    }
    let shown = run(&bridge, &format!("account show {second} glance")).await.done();
    let commands: Vec<&str> = shown.lines().map(str::trim).filter(|line| line.starts_with("scim-bridge ")).collect();
    assert!(commands[0].contains(&drop) && commands[1].contains("account release"), "{shown}");
    for command in ["account release", "link set"] {
        let option = if command == "link set" { format!(" --remote-id {first}") } else { String::new() };
        let complaint = run(&bridge, &format!("{command} {second} glance{option}")).await;
        complaint.complains(&[&first, "deleted", &drop]);
    }
    run(&bridge, &drop).await.done();
    run(&bridge, &format!("account release {second} glance")).await.done();
    let account = bridge.until_state(&second, "glance", AccountState::Settled).await;
    assert_eq!(account.remote_id.as_ref(), Some(&first));
    assert_eq!(bridge.glance().accounts()[0]["UserSuspended"], false);
    bridge.stop().await;
}
