//! People of this bridge who share an address.

use bridge_simulators::Fault;
use bridge_store::AccountState;
use bridge_tests::samples::okta_user;
use bridge_tests::{Bridge, Setup, account_where};
use serde_json::{Value, json};

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
