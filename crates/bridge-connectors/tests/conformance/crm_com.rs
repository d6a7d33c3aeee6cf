//! What is particular to CRM.COM (crmcom.md).

use std::sync::atomic::Ordering;
use std::time::Duration;

use bridge_connectors::{AccountKeys, Existence, Presence, TargetError, crm_com};
use bridge_simulators::{CrmComOptions, Fault, credentials};
use serde_json::json;

use crate::subject::{MARKER, PATIENCE, Subject, crm_com_config};

async fn crm(config: crm_com::Config, options: CrmComOptions) -> Subject {
    Subject::crm_com_with(config, options, PATIENCE).await
}

fn as_sold() -> crm_com::Config {
    crm_com::Config { update_method: None, ..crm_com_config() }
}

fn by_password() -> crm_com::Credential {
    crm_com::Credential::Password {
        username: credentials::crm_com::USERNAME.into(),
        password: credentials::crm_com::PASSWORD.into(),
        organisation: credentials::crm_com::ORGANISATION.into(),
    }
}

fn tokens(subject: &Subject) -> usize {
    subject.operations().iter().filter(|name| name.starts_with("authentication/")).count()
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_the_call_repeated() {
    for credential in [crm_com_config().credential, by_password()] {
        let config = crm_com::Config { credential, ..as_sold() };
        let subject = crm(config, CrmComOptions::default()).await;
        subject.created().await;
        assert_eq!(tokens(&subject), 1);
        // Only the server's clock moves: the connector believes that its token is good.
        subject.simulator.advance(Duration::from_secs(2 * 3600 + 1));
        assert_eq!(subject.observe().await.existence, Existence::Present);
        assert_eq!(tokens(&subject), 2);
        // The connector's own clock moves: it renews before it is told.
        subject.hands.fetch_add(2 * 3600 * 3 / 4 + 2 * 3600, Ordering::Relaxed);
        assert_eq!(subject.observe().await.existence, Existence::Present);
        assert_eq!(tokens(&subject), 3);
    }
}

#[tokio::test]
async fn claims_written_as_strings_are_read() {
    let subject = crm(as_sold(), CrmComOptions { claims_as_strings: true, ..CrmComOptions::default() }).await;
    subject.created().await;
    subject.hands.fetch_add(5300, Ordering::Relaxed);
    subject.observe().await;
    assert_eq!(tokens(&subject), 1);
    subject.hands.fetch_add(200, Ordering::Relaxed);
    subject.observe().await;
    assert_eq!(tokens(&subject), 2);
}

#[tokio::test]
async fn a_wrong_password_is_unauthorized_and_tried_once() {
    let credential = crm_com::Credential::Password {
        username: credentials::crm_com::USERNAME.into(),
        password: "wrong-password".into(),
        organisation: credentials::crm_com::ORGANISATION.into(),
    };
    let subject = crm(crm_com::Config { credential, ..as_sold() }, CrmComOptions::default()).await;
    let error = subject.connector.observe(&subject.keys()).await.unwrap_err();
    assert!(matches!(error, TargetError::Unauthorized { .. }), "{error:?}");
    assert_eq!(tokens(&subject), 1);
}

#[tokio::test]
async fn a_user_who_is_not_there_is_absent_in_either_form() {
    for not_found_as_null in [false, true] {
        let subject = crm(as_sold(), CrmComOptions { not_found_as_null, ..CrmComOptions::default() }).await;
        assert_eq!(subject.observe().await.existence, Existence::Absent);
    }
}

#[tokio::test]
async fn a_release_without_the_method_says_so_and_stays_paused() {
    let subject = crm(as_sold(), CrmComOptions { without_deprecated_methods: true, ..CrmComOptions::default() }).await;
    subject.connector.probe().await.unwrap();
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(
        matches!(&error, TargetError::Unauthorized { reason } if reason.contains("R18") && reason.contains("users/create")),
        "{error:?}"
    );
    // The probe would end the pause, so it asks for the method too.
    let error = subject.connector.probe().await.unwrap_err();
    assert!(matches!(error, TargetError::Unauthorized { .. }), "{error:?}");
}

#[tokio::test]
async fn a_probe_after_a_404_that_is_over_makes_no_user() {
    let subject = crm(as_sold(), CrmComOptions::default()).await;
    subject.simulator.fail_next(1, Fault::Status(404, None), Some("users/create"));
    subject.send(&subject.create_call()).await.unwrap_err();
    let before = subject.simulator.accounts().len();
    subject.connector.probe().await.unwrap();
    assert_eq!(subject.simulator.accounts().len(), before);
}

#[tokio::test]
async fn what_the_product_cannot_do_is_a_task_and_no_call() {
    let mut subject = crm(as_sold(), CrmComOptions::default()).await;
    let made = subject.created().await;
    for (presence, code) in [(Presence::Suspended, "cannot-suspend"), (Presence::Absent, "cannot-delete")] {
        let plan = subject.plan(presence, &made, None);
        assert!(plan.calls.is_empty());
        assert_eq!(plan.tasks[0].code, code);
    }
    subject.set("email", json!("other@acme.example"));
    let plan = subject.plan(Presence::Active, &subject.observe().await, None);
    assert!(plan.calls.is_empty());
    assert_eq!(
        (plan.tasks[0].code, plan.tasks[0].fields.as_slice()),
        ("cannot-update", ["email".to_owned()].as_slice())
    );
    // A person does it; then there is nothing left.
    subject.simulator.seed(json!({"username": "dana.ortiz", "email": "other@acme.example"}));
    assert!(subject.plan(Presence::Active, &subject.observe().await, None).is_empty());
    subject.simulator.seed(json!({"username": "dana.ortiz", "active": false}));
    assert!(subject.plan(Presence::Suspended, &subject.observe().await, None).is_empty());
}

#[tokio::test]
async fn a_soft_lock_out_rotates_the_password_and_back() {
    let config = crm_com::Config { soft_lock_out: true, ..as_sold() };
    let subject = crm(config, CrmComOptions::default()).await;
    let made = subject.created().await;
    let (found, kept) = subject.converge(Presence::Suspended, &made, None).await;
    assert_eq!(subject.operations().last().unwrap(), "users/change_password");
    assert!(subject.plan(Presence::Suspended, &found, kept.as_ref()).calls.is_empty());
    subject.converge(Presence::Active, &found, kept.as_ref()).await;
    // Giving back a password that was surely rotated is not done by halves.
    let back = subject.plan(Presence::Active, &made, kept.as_ref()).calls.remove(0);
    subject.simulator.fail_next(1, Fault::Refuse("old password is wrong".into()), Some("users/change_password"));
    let error = subject.send(&back).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
    assert!(back.if_refused.is_none());
}

#[tokio::test]
async fn a_soft_lock_out_that_is_refused_changes_nothing_and_nothing_is_given_back() {
    let config = crm_com::Config { soft_lock_out: true, ..as_sold() };
    let subject = crm(config, CrmComOptions::default()).await;
    let made = subject.created().await;
    // However the refusal is worded, it is about the person's password, not about our credential.
    for said in ["old password is wrong", "COM.CRM.EXCEPTION.SECURITY.INVALIDCREDENTIALSEXCEPTION wrong password"] {
        subject.simulator.fail_next(1, Fault::Refuse(said.into()), Some("users/change_password"));
        let (found, kept) = subject.converge(Presence::Suspended, &made, None).await;
        let plan = subject.plan(Presence::Suspended, &found, kept.as_ref());
        assert!(plan.calls.is_empty() && plan.tasks[0].code == "cannot-suspend", "{plan:?}");
        assert!(subject.plan(Presence::Active, &found, kept.as_ref()).is_empty());
    }
    // The bridge no longer holds the password that it set.
    let plan = subject.plan(Presence::Suspended, &made, None);
    let error = subject.connector.send(&plan.calls[0]).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_template_with_cti_takes_its_extension() {
    let mut subject = crm(as_sold(), CrmComOptions::default()).await;
    subject.set("user_template_identifier", json!("Contact centre agent"));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(
        matches!(&error, TargetError::Refused { field: Some(field), .. } if field == "cti_phone_extension_number"),
        "{error:?}"
    );
    subject.set("cti_phone_extension_number", json!("1042"));
    let made = subject.created().await;
    for observed in [made, subject.observe().await] {
        assert!(subject.plan(Presence::Active, &observed, None).is_empty());
    }
}

#[tokio::test]
async fn a_template_that_is_not_there_is_a_matter_of_configuration() {
    let mut subject = crm(as_sold(), CrmComOptions::default()).await;
    subject.set("user_template_identifier", json!("Astronaut"));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(
        matches!(&error, TargetError::Refused { field: Some(field), .. } if field == "user_template_identifier"),
        "{error:?}"
    );
    let config = crm_com::Config { template_by: crm_com::TemplateBy::Id, ..as_sold() };
    let mut subject = crm(config, CrmComOptions::default()).await;
    subject.set("user_template_identifier", json!("A0000000000000000000000000000001"));
    subject.created().await;
}

#[tokio::test]
async fn an_email_that_must_be_unique_is_a_conflict() {
    let subject = crm(as_sold(), CrmComOptions { unique_email: true, ..CrmComOptions::default() }).await;
    subject
        .simulator
        .seed(json!({"username": "other", "first_name": "O", "last_name": "P", "email": "dana.ortiz@acme.example"}));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(&error, TargetError::Conflict { field: Some(field), .. } if field == "email"), "{error:?}");
}

#[tokio::test]
async fn a_user_under_another_name_is_found_by_our_marker() {
    for list_wrapper in [None, Some("users".to_owned())] {
        let subject = crm(as_sold(), CrmComOptions { list_wrapper, ..CrmComOptions::default() }).await;
        subject.simulator.seed(json!({
            "username": "dana.married", "first_name": "Dana", "last_name": "Otero", "email": "dana.ortiz@acme.example",
            "udf_string_1": MARKER
        }));
        assert_eq!(subject.observe().await.existence, Existence::Absent);
        let keys = AccountKeys { search: true, ..subject.keys() };
        let found = subject.connector.observe(&keys).await.unwrap();
        assert_eq!(found.existence, Existence::Present);
        assert!(found.evidence.marker && !found.evidence.natural_key);
        assert_eq!(subject.plan(Presence::Active, &found, None).rekey.unwrap().from, "dana.married");
    }
}

#[tokio::test]
async fn a_list_needs_a_filter() {
    let subject = crm(crm_com::Config { list_by: None, ..as_sold() }, CrmComOptions::default()).await;
    assert_eq!(subject.connector.list(None).await.unwrap_err().code(), "list-not-configured");
}

#[tokio::test]
async fn an_error_of_rights_about_one_user_is_refused_as_long_as_the_sign_in_is_good() {
    let mut subject = Subject::crm_com().await;
    let denied = Fault::Refuse("COM.CRM.EXCEPTION.USERS.UNITNOTALLOWEDEXCEPTION Not in this unit".into());
    subject.simulator.fail_next(1, denied.clone(), Some(subject.create));
    let created = subject.send(&subject.create_call()).await.map(|_| ());
    let made = subject.created().await;
    subject.simulator.fail_next(1, denied.clone(), Some(subject.read));
    let read = subject.connector.observe(&subject.keys()).await.map(|_| ());
    let (field, value) = subject.change.clone();
    subject.set(field, value);
    let update = subject.plan(Presence::Active, &made, None).calls.remove(0);
    subject.simulator.fail_next(1, denied, Some(subject.update));
    let updated = subject.send(&update).await.map(|_| ());
    for answer in [created, read, updated] {
        let Err(TargetError::Refused { code, reason, .. }) = &answer else { panic!("{answer:?}") };
        assert_eq!(
            (code.as_str(), reason.as_str()),
            ("COM.CRM.EXCEPTION.USERS.UNITNOTALLOWEDEXCEPTION", "Not in this unit")
        );
    }
    subject.simulator.fail_next(1, Fault::Status(404, None), Some(subject.update));
    let answer = subject.send(&update).await.map(|_| ());
    assert!(matches!(&answer, Err(TargetError::Refused { code, .. }) if code == "http-404"), "{answer:?}");
}

#[tokio::test]
async fn a_create_that_does_not_find_a_unit_is_refused_and_not_repeated() {
    let subject = Subject::crm_com().await;
    let missing = Fault::Refuse("COM.CRM.EXCEPTION.USERS.UNITNOTFOUNDEXCEPTION No such unit".into());
    subject.simulator.fail_next(1, missing, Some(subject.create));
    let answer = subject.send(&subject.create_call()).await.map(|_| ());
    let Err(TargetError::Refused { code, reason, .. }) = &answer else { panic!("{answer:?}") };
    assert_eq!((code.as_str(), reason.as_str()), ("COM.CRM.EXCEPTION.USERS.UNITNOTFOUNDEXCEPTION", "No such unit"));
}
