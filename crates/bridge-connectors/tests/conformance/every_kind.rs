//! What every connector must do, whatever its target: each sentence is one test per kind.

use std::collections::BTreeSet;
use std::time::Duration;

use bridge_connectors::{Existence, Observed, Presence, TargetError};
use bridge_mapping::TargetKind;
use bridge_simulators::Fault;
use serde_json::{Value, json};

use crate::subject::{SECRET, Subject};

macro_rules! for_every_kind {
    ($($sentence:ident),* $(,)?) => {
        mod glance {
            $(#[tokio::test] async fn $sentence() { super::$sentence(crate::subject::Subject::glance().await).await; })*
        }
        mod netsapiens {
            $(#[tokio::test] async fn $sentence() { super::$sentence(crate::subject::Subject::netsapiens().await).await; })*
        }
        mod crm_com {
            $(#[tokio::test] async fn $sentence() { super::$sentence(crate::subject::Subject::crm_com().await).await; })*
        }
    };
}

for_every_kind! {
    an_account_that_was_made_is_found_and_needs_nothing_more,
    an_account_that_is_not_there_is_absent,
    an_update_sends_only_what_differs,
    a_suspended_account_is_suspended_and_comes_back_as_it_was,
    an_account_in_step_causes_no_call,
    a_deleted_account_is_gone_and_deleting_it_again_is_done,
    every_account_is_listed_once,
    an_account_of_somebody_else_is_found_by_its_natural_key,
    a_second_account_with_the_same_key_is_a_conflict,
    a_create_whose_reply_is_lost_leaves_doubt_and_is_found,
    a_create_that_never_arrived_leaves_doubt_and_is_made_again,
    an_update_whose_reply_is_lost_leaves_doubt_and_is_found,
    an_account_that_is_gone_cannot_be_updated,
    a_wrong_credential_is_unauthorized_whatever_is_asked,
    a_target_that_asks_for_a_pause_is_given_one,
    a_target_that_is_not_well_leaves_doubt_about_writes_only,
    an_unreadable_reply_leaves_doubt,
    a_reply_that_never_comes_leaves_doubt,
    a_target_that_is_not_there_leaves_no_doubt,
    a_refusal_carries_the_targets_reason_without_the_persons_values,
    a_credential_that_the_target_quotes_is_masked,
    a_probe_proves_address_and_credential,
    no_secret_is_ever_shown,
}

async fn an_account_that_was_made_is_found_and_needs_nothing_more(subject: Subject) {
    let made = subject.created().await;
    assert_eq!(made.existence, Existence::Present);
    let found = subject.observe().await;
    assert_eq!(found.existence, Existence::Present);
    assert_eq!(found.remote_id, made.remote_id);
    assert_eq!(found.active, Some(true));
    assert!(found.evidence.natural_key && found.evidence.email, "{found:?}");
    assert_eq!(found.evidence.marker, subject.connector.traits().has_marker);
    for observed in [made, found] {
        let plan = subject.plan(Presence::Active, &observed, None);
        assert!(plan.is_empty(), "{plan:?} for {observed:?}");
    }
}

async fn an_account_that_is_not_there_is_absent(subject: Subject) {
    assert_eq!(subject.observe().await.existence, Existence::Absent);
}

async fn an_update_sends_only_what_differs(mut subject: Subject) {
    subject.created().await;
    let (field, value) = subject.change.clone();
    subject.set(field, value.clone());
    let found = subject.observe().await;
    let (after, _) = subject.converge(Presence::Active, &found, None).await;
    assert_eq!(subject.remote().unwrap()[field], value);
    let sent = subject.simulator.calls().pop().unwrap()["fields"].clone();
    assert_eq!(sent[field], value);
    assert!(sent.get("UserFirst").is_none() && sent.get("first_name").is_none(), "{sent}");
    assert!(subject.plan(Presence::Active, &after, None).is_empty());
    assert!(subject.plan(Presence::Active, &subject.observe().await, None).is_empty());
}

async fn a_suspended_account_is_suspended_and_comes_back_as_it_was(subject: Subject) {
    subject.created().await;
    let before = subject.remote().unwrap();
    let (suspended, kept) = subject.converge(Presence::Suspended, &subject.observe().await, None).await;
    assert_eq!(suspended.active, Some(false));
    let found = subject.observe().await;
    assert_eq!(found.active, Some(false), "{found:?}");
    assert_ne!(without_times(subject.remote().unwrap()), without_times(before.clone()));
    assert!(subject.plan(Presence::Suspended, &found, kept.as_ref()).calls.is_empty());
    let (back, _) = subject.converge(Presence::Active, &found, kept.as_ref()).await;
    assert_eq!(back.active, Some(true));
    assert_eq!(without_times(subject.remote().unwrap()), without_times(before));
    assert_eq!(subject.observe().await.active, Some(true));
}

fn without_times(mut account: Value) -> Value {
    account
        .as_object_mut()
        .unwrap()
        .retain(|name, _| !name.contains("modified") && !name.contains("updated") && name != "log_information");
    account
}

async fn an_account_in_step_causes_no_call(subject: Subject) {
    let made = subject.created().await;
    assert!(subject.plan(Presence::Suspended, &Observed::absent(), None).is_empty());
    assert!(subject.plan(Presence::Absent, &Observed::absent(), None).is_empty());
    assert!(subject.plan(Presence::Active, &made, None).calls.is_empty());
}

async fn a_deleted_account_is_gone_and_deleting_it_again_is_done(subject: Subject) {
    let made = subject.created().await;
    if !subject.connector.traits().can_delete {
        // The next best is a user who cannot sign in.
        subject.converge(Presence::Absent, &made, None).await;
        assert_eq!(subject.observe().await.active, Some(false));
        return;
    }
    let (gone, _) = subject.converge(Presence::Absent, &made, None).await;
    assert_eq!(gone, Observed::absent());
    assert_eq!(subject.remote(), None);
    assert_eq!(subject.observe().await.existence, Existence::Absent);
    let (gone, _) = subject.converge(Presence::Absent, &made, None).await;
    assert_eq!(gone, Observed::absent());
}

async fn every_account_is_listed_once(subject: Subject) {
    let mut expected = BTreeSet::new();
    for number in 0..1050 {
        let (key, account) = match subject.kind() {
            TargetKind::Glance => {
                let id = format!("id-{number}");
                (id.clone(), json!({"PartnerUserID": id, "UserAddress": format!("u{number}.acme.glance.net")}))
            }
            TargetKind::Netsapiens => {
                let user = (2000 + number).to_string();
                let login = format!("u{number}@acme.example");
                (
                    user.clone(),
                    json!({"user": user, "name-first-name": "U", "name-last-name": "N", "email-address": login, "login-username": login}),
                )
            }
            TargetKind::CrmCom => {
                let username = format!("user.{number}");
                (
                    username.clone(),
                    json!({"username": username, "first_name": "U", "last_name": "N", "email": format!("{username}@acme.example")}),
                )
            }
        };
        expected.insert(key);
        subject.simulator.seed(account);
    }
    let field =
        if subject.kind() == TargetKind::Glance { "PartnerUserID" } else { &subject.schema().natural_key().name };
    let mut found = Vec::new();
    let mut page = None;
    loop {
        let (accounts, next) = subject.connector.list(page.as_ref()).await.unwrap();
        found.extend(accounts.iter().map(|account| account.fields[field].as_str().unwrap().to_owned()));
        page = next;
        if page.is_none() {
            break;
        }
    }
    // The API's own users are listed too where they are users like any other.
    found.retain(|key| expected.contains(key));
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}

fn stranger(kind: TargetKind) -> Value {
    match kind {
        TargetKind::Glance => json!({
            "PartnerUserID": "badge-7", "UserAddress": "dana.ortiz.acme.glance.net", "UserEmail": "other@acme.example"
        }),
        TargetKind::Netsapiens => json!({
            "user": "1042", "name-first-name": "Other", "name-last-name": "Person", "email-address": "other@acme.example",
            "login-username": "other@acme.example"
        }),
        TargetKind::CrmCom => json!({
            "username": "dana.ortiz", "first_name": "Other", "last_name": "Person", "email": "other@acme.example"
        }),
    }
}

async fn an_account_of_somebody_else_is_found_by_its_natural_key(subject: Subject) {
    subject.simulator.seed(stranger(subject.kind()));
    let found = subject.observe().await;
    assert_eq!(found.existence, Existence::Present);
    assert!(found.evidence.natural_key, "{found:?}");
    let evidence = found.evidence;
    assert!(!evidence.marker && !evidence.remote_id && !evidence.email && !evidence.unique_key, "{evidence:?}");
}

async fn a_second_account_with_the_same_key_is_a_conflict(subject: Subject) {
    subject.simulator.seed(stranger(subject.kind()));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Conflict { .. }), "{error:?}");
    assert!(error.leaves_doubt());
    // Our own, made by a call that we do not remember.
    subject.simulator.reset();
    subject.created().await;
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Conflict { .. }), "{error:?}");
    assert_eq!(subject.simulator.accounts().iter().filter(|account| account.to_string().contains("Ortiz")).count(), 1);
}

async fn a_create_whose_reply_is_lost_leaves_doubt_and_is_found(subject: Subject) {
    subject.simulator.fail_next(1, Fault::DropAfterApply, Some(subject.create));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Unavailable { doubt: true, .. }), "{error:?}");
    let found = subject.observe().await;
    assert_eq!(found.existence, Existence::Present);
    assert!(found.evidence.natural_key && found.evidence.email);
    assert!(subject.plan(Presence::Active, &found, None).is_empty());
}

async fn a_create_that_never_arrived_leaves_doubt_and_is_made_again(subject: Subject) {
    subject.simulator.fail_next(1, Fault::DropBefore, Some(subject.create));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Unavailable { doubt: true, .. }), "{error:?}");
    let absent = subject.observe().await;
    assert_eq!(absent.existence, Existence::Absent);
    let (made, _) = subject.converge(Presence::Active, &absent, None).await;
    assert_eq!(made.existence, Existence::Present);
}

async fn an_update_whose_reply_is_lost_leaves_doubt_and_is_found(mut subject: Subject) {
    let made = subject.created().await;
    let (field, value) = subject.change.clone();
    subject.set(field, value);
    subject.simulator.fail_next(1, Fault::DropAfterApply, Some(subject.update));
    let plan = subject.plan(Presence::Active, &made, None);
    let error = subject.send(&plan.calls[0]).await.unwrap_err();
    assert!(error.leaves_doubt(), "{error:?}");
    assert!(subject.plan(Presence::Active, &subject.observe().await, None).is_empty());
}

async fn an_account_that_is_gone_cannot_be_updated(mut subject: Subject) {
    let made = subject.created().await;
    assert!(subject.simulator.remove(&subject.natural_key()));
    let (field, value) = subject.change.clone();
    subject.set(field, value);
    let plan = subject.plan(Presence::Active, &made, None);
    assert_eq!(subject.send(&plan.calls[0]).await, Err(TargetError::Missing));
}

async fn a_wrong_credential_is_unauthorized_whatever_is_asked(subject: Subject) {
    let subject = Subject::uninvited(subject.kind()).await;
    let unauthorized = |error: TargetError| {
        assert!(matches!(error, TargetError::Unauthorized { .. }), "{error:?}");
        assert!(!error.leaves_doubt());
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    };
    unauthorized(subject.connector.probe().await.unwrap_err());
    unauthorized(subject.connector.observe(&subject.keys()).await.unwrap_err());
    unauthorized(subject.connector.list(None).await.unwrap_err());
    unauthorized(subject.send(&subject.create_call()).await.unwrap_err());
    let suspend = subject.plan(
        Presence::Suspended,
        &Observed { existence: Existence::Present, remote_id: Some("1".into()), ..Observed::default() },
        None,
    );
    for call in &suspend.calls {
        unauthorized(subject.send(call).await.unwrap_err());
    }
}

async fn a_target_that_asks_for_a_pause_is_given_one(subject: Subject) {
    let throttled = Err(TargetError::Throttled { retry_after: Some(Duration::from_secs(7)) });
    subject.simulator.fail_next(1, Fault::Status(429, Some(7)), Some(subject.create));
    assert_eq!(subject.send(&subject.create_call()).await, throttled);
    subject.simulator.fail_next(1, Fault::Status(429, Some(7)), Some(subject.read));
    assert_eq!(subject.connector.observe(&subject.keys()).await.map(|_| ()), throttled.map(|_| ()));
}

async fn a_target_that_is_not_well_leaves_doubt_about_writes_only(subject: Subject) {
    for status in [500, 502, 503, 504] {
        subject.simulator.fail_next(1, Fault::Status(status, Some(3)), Some(subject.create));
        let error = subject.send(&subject.create_call()).await.unwrap_err();
        assert!(matches!(error, TargetError::Unavailable { doubt: true, .. }), "{status} {error:?}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
        subject.simulator.fail_next(1, Fault::Status(status, None), Some(subject.read));
        let error = subject.connector.observe(&subject.keys()).await.unwrap_err();
        assert!(matches!(error, TargetError::Unavailable { doubt: false, .. }), "{status} {error:?}");
    }
}

async fn an_unreadable_reply_leaves_doubt(subject: Subject) {
    subject.simulator.fail_next(1, Fault::Html, Some(subject.create));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Garbled { .. }), "{error:?}");
    assert_eq!(subject.observe().await.existence, Existence::Absent);
    subject.simulator.fail_next(1, Fault::Garbage, Some(subject.create));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Garbled { .. }), "{error:?}");
    assert!(error.leaves_doubt());
    assert_eq!(subject.observe().await.existence, Existence::Present);
    for fault in [Fault::Garbage, Fault::Html] {
        subject.simulator.fail_next(1, fault, Some(subject.read));
        let error = subject.connector.observe(&subject.keys()).await.unwrap_err();
        assert!(matches!(error, TargetError::Garbled { .. }), "{error:?}");
    }
}

async fn a_reply_that_never_comes_leaves_doubt(subject: Subject) {
    let subject = Subject::impatient(subject.kind()).await;
    subject.simulator.fail_next(1, Fault::TimeoutAfterApply, Some(subject.create));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Unavailable { doubt: true, .. }), "{error:?}");
    assert!(error.to_string().contains("no reply within"), "{error}");
    assert_eq!(subject.observe().await.existence, Existence::Present);
}

async fn a_target_that_is_not_there_leaves_no_doubt(subject: Subject) {
    let mut call = subject.create_call();
    let keys = subject.keys();
    let Subject { connector, simulator, .. } = subject;
    simulator.stop().await;
    for (field, _) in call.needs_secrets() {
        call.fill(&field, "Any-Secret-0815".into());
    }
    let error = connector.send(&call).await.unwrap_err();
    assert!(matches!(error, TargetError::Unavailable { doubt: false, .. }), "{error:?}");
    let error = connector.observe(&keys).await.unwrap_err();
    assert!(matches!(error, TargetError::Unavailable { doubt: false, .. }), "{error:?}");
}

async fn a_refusal_carries_the_targets_reason_without_the_persons_values(subject: Subject) {
    let secret = subject.secret();
    let reason = format!("dana.ortiz@acme.example has no seat, says {secret}");
    subject.simulator.fail_next(1, Fault::Refuse(reason), Some(subject.create));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    let TargetError::Refused { reason, retry_helps, .. } = &error else { panic!("{error:?}") };
    assert!(reason.contains("has no seat"), "{reason}");
    assert!(!retry_helps);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("dana.ortiz") && !shown.contains(secret), "{shown}");
    assert!(error.to_string().chars().count() < 200);
    assert_eq!(subject.observe().await.existence, Existence::Absent);
}

async fn a_credential_that_the_target_quotes_is_masked(subject: Subject) {
    // What signs a call may be exchanged or signed at run time: the configuration does not know it.
    subject.simulator.fail_next(1, Fault::Echo, Some(subject.create));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(format!("{error:?}").contains("Refused to ***\""), "{error:?}");
    subject.simulator.fail_next(1, Fault::Echo, Some(subject.read));
    if let Err(error) = subject.connector.observe(&subject.keys()).await {
        assert!(format!("{error:?}").contains("Refused to ***\""), "{error:?}");
    }
}

async fn a_probe_proves_address_and_credential(subject: Subject) {
    let report = subject.connector.probe().await.unwrap();
    assert!(!report.summary.is_empty() && !report.summary.contains(SECRET));
    assert_eq!(subject.simulator.accounts().iter().filter(|account| account.to_string().contains("Ortiz")).count(), 0);
}

async fn no_secret_is_ever_shown(subject: Subject) {
    let secret = subject.secret();
    let mut call = subject.create_call();
    assert!(!call.needs_secrets().is_empty());
    for (field, _) in call.needs_secrets() {
        call.fill(&field, secret.into());
    }
    assert!(call.needs_secrets().is_empty());
    let masked = call.masked(subject.connector.base_url());
    let shown = format!("{call:?} {masked:?} {}", serde_json::to_string(&masked).unwrap());
    assert!(!shown.contains(secret), "{shown}");
    assert!(masked.url.starts_with(subject.simulator.url()));
    assert!(shown.contains("***"));
    let effect = subject.connector.send(&call).await.unwrap();
    assert!(!format!("{effect:?}").contains(secret));
}
