//! What is particular to Glance (glance.md).

use bridge_connectors::{AccountKeys, Existence, Observed, Presence, TargetError, glance};
use bridge_simulators::{Fault, credentials};
use serde_json::json;

use crate::subject::{MARKER, PATIENCE, SECRET, Subject, glance_config};

fn login_key(api_key: &str) -> glance::Config {
    let credential = glance::Credential::LoginKey {
        api_key: api_key.into(),
        partner_user_id: credentials::glance::ADMINISTRATOR_ID.into(),
    };
    glance::Config { credential, ..glance_config() }
}

#[tokio::test]
async fn a_login_key_signs_every_call() {
    let subject = Subject::glance_with(login_key(credentials::glance::API_KEY), PATIENCE).await;
    subject.created().await;
    assert_eq!(subject.observe().await.existence, Existence::Present);
    subject.connector.probe().await.unwrap();
    let subject = Subject::glance_with(login_key(SECRET), PATIENCE).await;
    let error = subject.connector.probe().await.unwrap_err();
    assert!(matches!(error, TargetError::Unauthorized { .. }), "{error:?}");
}

#[tokio::test]
async fn a_login_key_that_glance_quotes_is_masked() {
    let subject = Subject::glance_with(login_key(credentials::glance::API_KEY), PATIENCE).await;
    // Signed twice, and each key is good for one call only.
    subject.simulator.fail_next(2, Fault::Echo, Some("NewUser"));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused { reason, .. } if reason == "Failed: Refused to ***"), "{error:?}");
    subject.simulator.fail_next(1, Fault::Echo, Some("ShowUsers"));
    let error = subject.connector.probe().await.unwrap_err();
    assert!(matches!(&error, TargetError::Unauthorized { reason } if reason == "Failed: Refused to ***"), "{error:?}");
}

#[tokio::test]
async fn a_failure_under_a_login_key_is_signed_again_once() {
    let subject = Subject::glance_with(login_key(credentials::glance::API_KEY), PATIENCE).await;
    subject.simulator.fail_next(1, Fault::Refuse("expired".into()), Some("NewUser"));
    subject.created().await;
    assert_eq!(subject.observe().await.existence, Existence::Present);
}

#[tokio::test]
async fn an_administrator_who_left_is_unauthorized() {
    let config = glance::Config { partner_login: credentials::glance::INACTIVE_LOGIN.into(), ..glance_config() };
    let subject = Subject::glance_with(config, PATIENCE).await;
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Unauthorized { .. }), "{error:?}");
}

#[tokio::test]
async fn a_first_contact_writes_before_it_reads() {
    let subject = Subject::glance().await;
    subject.converge(Presence::Active, &Observed::default(), None).await;
    assert_eq!(subject.operations(), ["NewUser.asp"]);
}

#[tokio::test]
async fn a_role_is_cleared_and_an_address_renamed() {
    let mut subject = Subject::glance().await;
    subject.created().await;
    subject.set("UserRole", json!(null));
    subject.set("UserAddress", json!("Dana.Otero.acme.glance.net"));
    let keys = AccountKeys { remote_id: Some(MARKER.into()), ..subject.keys() };
    let found = subject.connector.observe(&keys).await.unwrap();
    subject.converge(Presence::Active, &found, None).await;
    let found = subject.connector.observe(&keys).await.unwrap();
    assert_eq!(found.fields["UserAddress"], json!("dana.otero.acme.glance.net"));
    assert_eq!(found.fields["UserRole"], json!(null));
    assert!(subject.plan(Presence::Active, &found, None).is_empty());
}

#[tokio::test]
async fn an_address_that_somebody_holds_is_a_conflict_and_the_account_keeps_its_own() {
    let mut subject = Subject::glance().await;
    let made = subject.created().await;
    subject.simulator.seed(json!({"PartnerUserID": "other", "UserAddress": "taken.acme.glance.net"}));
    subject.set("UserAddress", json!("taken.acme.glance.net"));
    let call = subject.plan(Presence::Active, &made, None).calls.remove(0);
    let error = subject.send(&call).await.unwrap_err();
    assert!(matches!(&error, TargetError::Conflict { field: Some(field), .. } if field == "UserAddress"), "{error:?}");
}

#[tokio::test]
async fn an_unknown_role_is_refused_with_the_targets_words() {
    let mut subject = Subject::glance().await;
    subject.set("UserRole", json!("Astronaut"));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
    let made = {
        subject.set("UserRole", json!("Sales"));
        subject.created().await
    };
    subject.set("UserRole", json!("Astronaut"));
    let call = subject.plan(Presence::Active, &made, None).calls.remove(0);
    let error = subject.send(&call).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn an_adopted_account_is_driven_by_its_own_handle() {
    let subject = Subject::glance().await;
    subject.simulator.seed(json!({"PartnerUserID": "badge-7", "UserAddress": "dana.ortiz.acme.glance.net"}));
    let found = subject.observe().await;
    assert_eq!(found.remote_id.as_deref(), Some("badge-7"));
    let (after, _) = subject.converge(Presence::Active, &found, None).await;
    assert_eq!(after.remote_id.as_deref(), Some("badge-7"));
    let remote = subject.remote().unwrap();
    assert_eq!(remote["PartnerUserID"], json!("badge-7"));
    assert_eq!(remote["UserLast"], json!("Ortiz"));
}

#[tokio::test]
async fn an_account_without_handle_is_unmanageable() {
    let subject = Subject::glance().await;
    subject.simulator.seed(json!({"UserAddress": "dana.ortiz.acme.glance.net"}));
    let found = subject.observe().await;
    assert_eq!(found.existence, Existence::Present);
    assert!(found.unmanageable.is_some());
    let plan = subject.plan(Presence::Suspended, &found, None);
    assert!(plan.calls.is_empty());
    assert_eq!(plan.tasks[0].code, "cannot-manage");
}

#[tokio::test]
async fn an_account_wanted_suspended_by_its_field_is_made_in_two_calls() {
    let mut subject = Subject::glance().await;
    subject.set("UserSuspended", json!(true));
    subject.created().await;
    assert_eq!(subject.operations(), ["NewUser.asp", "UpdateUser.asp"]);
    assert_eq!(subject.observe().await.active, Some(false));
}

#[tokio::test]
async fn an_id_with_a_wildcard_is_not_sent() {
    let mut subject = Subject::glance().await;
    subject.set("PartnerUserID", json!("Sales*"));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert_eq!(error.code(), "not-searchable");
    assert!(subject.operations().is_empty());
}
