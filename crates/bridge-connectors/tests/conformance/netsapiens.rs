//! What is particular to a NetSapiens PBX (netsapiens.md).

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bridge_connectors::{
    AccountKeys, Clock, CommonConfig, Connector, Existence, Manners, Observed, Presence, TargetError, netsapiens,
};
use bridge_mapping::TargetKind;
use bridge_simulators::{Fault, NetsapiensOptions, PbxVersion, credentials};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use crate::subject::{PATIENCE, Subject, netsapiens_config, netsapiens_password};

async fn pbx(config: netsapiens::Config, options: NetsapiensOptions) -> Subject {
    Subject::netsapiens_with(config, options, PATIENCE).await
}

fn with_key(key: &str) -> netsapiens::Config {
    netsapiens::Config { credential: netsapiens::Credential::ApiKey(key.into()), ..netsapiens_config() }
}

/// A call of the test itself, as another client of the platform would make it.
async fn outside(subject: &Subject, method: reqwest::Method, path: &str, body: Value) -> Value {
    let url = format!("{}/domains/acme.example/{path}", subject.simulator.api_url());
    let request = reqwest::Client::new().request(method, url).bearer_auth(credentials::netsapiens::API_KEY);
    let request = if body.is_null() { request } else { request.json(&body) };
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_token_that_the_platform_quotes_is_masked() {
    let config = netsapiens::Config { credential: netsapiens_password(), ..netsapiens_config() };
    let subject = pbx(config, NetsapiensOptions::default()).await;
    for operation in [subject.create, subject.read] {
        subject.simulator.fail_next(1, Fault::Echo, Some(operation));
        let error = match operation == subject.create {
            true => subject.send(&subject.create_call()).await.map(|_| ()).unwrap_err(),
            false => subject.connector.observe(&subject.keys()).await.map(|_| ()).unwrap_err(),
        };
        assert!(matches!(&error, TargetError::Refused { reason, .. } if reason == "Refused to ***"), "{error:?}");
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_the_call_repeated() {
    let config = netsapiens::Config { credential: netsapiens_password(), ..netsapiens_config() };
    let subject = pbx(config, NetsapiensOptions::default()).await;
    subject.created().await;
    // Only the server's clock moves: the connector believes that its token is good.
    subject.simulator.advance(Duration::from_secs(26 * 3600));
    assert_eq!(subject.observe().await.existence, Existence::Present);
    let tokens = |subject: &Subject| subject.operations().iter().filter(|name| name.contains("tokens")).count();
    assert_eq!(tokens(&subject), 2);
    // The connector's own clock moves: it renews before it is told.
    subject.hands.fetch_add(50 * 3600, Ordering::Relaxed);
    assert_eq!(subject.observe().await.existence, Existence::Present);
    assert_eq!(tokens(&subject), 3);
    subject.connector.refresh_credentials().await;
    subject.observe().await;
    assert_eq!(tokens(&subject), 4);
}

#[tokio::test]
async fn a_server_without_tokens_is_asked_by_the_legacy_call() {
    let config = netsapiens::Config { credential: netsapiens_password(), ..netsapiens_config() };
    let subject = pbx(config, NetsapiensOptions { legacy_tokens_only: true, ..NetsapiensOptions::default() }).await;
    subject.created().await;
    subject.connector.probe().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_unauthorized() {
    let netsapiens::Credential::Password { client_id, client_secret, username, .. } = netsapiens_password() else {
        panic!("a password")
    };
    let credential =
        netsapiens::Credential::Password { client_id, client_secret, username, password: "wrong-password".into() };
    let subject = pbx(netsapiens::Config { credential, ..netsapiens_config() }, NetsapiensOptions::default()).await;
    let error = subject.connector.probe().await.unwrap_err();
    assert!(matches!(error, TargetError::Unauthorized { .. }), "{error:?}");
}

#[tokio::test]
async fn both_releases_are_spoken_to_in_their_own_spelling() {
    for version in [PbxVersion::V44, PbxVersion::V45] {
        let mut subject = pbx(netsapiens_config(), NetsapiensOptions { version, ..NetsapiensOptions::default() }).await;
        subject.set("directory-announce-in-dial-by-name-enabled", json!("no"));
        let made = subject.created().await;
        for observed in [made, subject.observe().await] {
            assert_eq!(observed.fields["directory-announce-in-dial-by-name-enabled"], json!("no"), "{version:?}");
            assert!(subject.plan(Presence::Active, &observed, None).is_empty());
        }
        let (_, kept) = subject.converge(Presence::Suspended, &subject.observe().await, None).await;
        assert_eq!(subject.observe().await.active, Some(false), "{version:?}");
        subject.converge(Presence::Active, &subject.observe().await, kept.as_ref()).await;
        assert_eq!(subject.observe().await.active, Some(true), "{version:?}");
    }
}

#[tokio::test]
async fn a_server_that_wants_integers_gets_them_once_it_says_so() {
    let options =
        NetsapiensOptions { version: PbxVersion::V44, numbers_as_integers: true, ..NetsapiensOptions::default() };
    let mut subject = pbx(netsapiens_config(), options).await;
    subject.set("caller-id-number", json!("18585551234"));
    subject.created().await;
    let found = subject.observe().await;
    assert!(subject.plan(Presence::Active, &found, None).is_empty(), "{found:?}");
}

#[tokio::test]
async fn a_strict_server_gets_its_four_required_fields() {
    let mut subject =
        pbx(netsapiens_config(), NetsapiensOptions { strict_put: true, ..NetsapiensOptions::default() }).await;
    subject.created().await;
    subject.set("department", json!(""));
    let (_, _) = subject.converge(Presence::Active, &subject.observe().await, None).await;
    assert!(subject.plan(Presence::Active, &subject.observe().await, None).is_empty());
    let (_, kept) = subject.converge(Presence::Suspended, &subject.observe().await, None).await;
    subject.converge(Presence::Active, &subject.observe().await, kept.as_ref()).await;
    assert_eq!(subject.observe().await.active, Some(true));
}

#[tokio::test]
async fn an_asynchronous_create_is_visible_after_the_lag() {
    let config = netsapiens::Config { synchronous: false, ..netsapiens_config() };
    let options = NetsapiensOptions { replication_lag: Duration::from_secs(8), ..NetsapiensOptions::default() };
    let subject = pbx(config, options).await;
    let made = subject.created().await;
    assert_eq!(made.remote_id.as_deref(), Some("1042"));
    assert_eq!(subject.observe().await.existence, Existence::Absent);
    subject.simulator.advance(subject.connector.traits().settle_lag);
    assert_eq!(subject.observe().await.existence, Existence::Present);
}

fn dana_elsewhere() -> Value {
    json!({
        "user": "1077", "name-first-name": "Dana", "name-last-name": "Ortiz", "email-address": "dana.ortiz@acme.example",
        "login-username": "Dana.Ortiz@acme.example"
    })
}

#[tokio::test]
async fn a_login_on_another_extension_is_found_by_searching_everywhere() {
    let subject = Subject::netsapiens().await;
    for number in 0..150 {
        let login = format!("u{number}@acme.example");
        subject.simulator.seed(json!({
            "user": (2000 + number).to_string(), "name-first-name": "U", "name-last-name": "N", "email-address": login,
            "login-username": login
        }));
    }
    subject.simulator.seed(dana_elsewhere());
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Conflict { .. }), "{error:?}");
    assert_eq!(subject.observe().await.existence, Existence::Absent);
    let keys = AccountKeys { search: true, ..subject.keys() };
    let found = subject.connector.observe(&keys).await.unwrap();
    assert_eq!(found.remote_id.as_deref(), Some("1077"));
    assert!(found.evidence.unique_key && found.evidence.email && !found.evidence.natural_key);
    // The account keeps its extension; whether it is made anew is the engine's decision.
    let rekey = subject.plan(Presence::Active, &found, None).rekey.unwrap();
    assert_eq!((rekey.from.as_str(), rekey.to.as_str()), ("1077", "1042"));
}

#[tokio::test]
async fn a_login_in_another_domain_is_found_nowhere() {
    let subject = Subject::netsapiens().await;
    let mut elsewhere = dana_elsewhere();
    elsewhere["domain"] = json!(credentials::netsapiens::OTHER_DOMAIN);
    subject.simulator.seed(elsewhere);
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Conflict { .. }), "{error:?}");
    let keys = AccountKeys { search: true, ..subject.keys() };
    assert_eq!(subject.connector.observe(&keys).await.unwrap().existence, Existence::Absent);
}

#[tokio::test]
async fn a_login_that_is_taken_cannot_be_moved_to() {
    let mut subject = Subject::netsapiens().await;
    let made = subject.created().await;
    let mut other = dana_elsewhere();
    other["login-username"] = json!("taken@acme.example");
    subject.simulator.seed(other);
    subject.set("login-username", json!("taken@acme.example"));
    let error = subject.send(&subject.plan(Presence::Active, &made, None).calls[0]).await.unwrap_err();
    assert!(
        matches!(&error, TargetError::Conflict { field: Some(field), .. } if field == "login-username"),
        "{error:?}"
    );
}

#[tokio::test]
async fn keys_that_may_not_enough_are_told_by_the_probe() {
    let check = async |key: &str, says: &str| {
        let subject = pbx(with_key(key), NetsapiensOptions::default()).await;
        let error = subject.connector.probe().await.unwrap_err();
        assert!(matches!(&error, TargetError::Unauthorized { reason } if reason.contains(says)), "{key} {error:?}");
    };
    check(credentials::netsapiens::READ_ONLY_API_KEY, "read-only").await;
    check(credentials::netsapiens::BASIC_USER_API_KEY, "").await;
    check(credentials::netsapiens::DEVICES_ONLY_API_KEY, "").await;
    let config = netsapiens::Config {
        domain: "nowhere.example".into(),
        ..with_key(credentials::netsapiens::SUPER_USER_API_KEY)
    };
    let subject = pbx(config, NetsapiensOptions::default()).await;
    let error = subject.connector.probe().await.unwrap_err();
    assert!(matches!(error, TargetError::Unauthorized { .. }), "{error:?}");
    // Nor is a domain that is not there taken for a user who is not there.
    let error = subject.connector.observe(&subject.keys()).await.unwrap_err();
    assert!(matches!(error, TargetError::Unauthorized { .. }), "{error:?}");
}

#[tokio::test]
async fn a_read_only_key_pauses_the_target_and_parks_nobody() {
    let subject = pbx(with_key(credentials::netsapiens::READ_ONLY_API_KEY), NetsapiensOptions::default()).await;
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(error, TargetError::Unauthorized { .. }), "{error:?}");
}

#[tokio::test]
async fn a_locked_domain_refuses_the_account() {
    let subject =
        pbx(netsapiens_config(), NetsapiensOptions { domain_locked: true, ..NetsapiensOptions::default() }).await;
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused { code, .. } if code == "http-403"), "{error:?}");
}

#[tokio::test]
async fn a_key_that_may_not_touch_devices_is_refused_the_removal_and_still_locks_the_leaver_out() {
    let subject = pbx(with_key(credentials::netsapiens::USERS_ONLY_API_KEY), NetsapiensOptions::default()).await;
    let made = subject.created().await;
    let calls = subject.plan(Presence::Absent, &made, None).calls;
    subject.send(&calls[0]).await.unwrap();
    for call in &calls[1..3] {
        let error = subject.send(call).await.unwrap_err();
        assert!(matches!(&error, TargetError::Refused { code, .. } if code == "http-403"), "{error:?}");
    }
    assert_eq!(subject.observe().await.active, Some(false));
}

#[tokio::test]
async fn a_403_about_one_user_is_refused_whatever_is_asked_as_long_as_the_key_is_good() {
    let subject = Subject::netsapiens().await;
    let made = subject.created().await;
    let denied = Fault::Refuse("403 Permission Denied".into());
    let delete = subject.plan(Presence::Absent, &made, None).calls.pop().unwrap();
    subject.simulator.fail_next(1, denied.clone(), Some("DELETE users/{user}"));
    let deleted = subject.send(&delete).await.map(|_| ());
    subject.simulator.fail_next(1, denied, Some(subject.read));
    let read = subject.connector.observe(&subject.keys()).await.map(|_| ());
    for answer in [deleted, read] {
        assert!(matches!(&answer, Err(TargetError::Refused { code, .. }) if code == "http-403"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_create_that_does_not_find_a_site_is_refused_and_not_repeated() {
    let subject = Subject::netsapiens().await;
    let missing = Fault::Refuse("404 Site Nowhere does not exist in domain acme.example".into());
    subject.simulator.fail_next(1, missing, Some(subject.create));
    let answer = subject.send(&subject.create_call()).await.map(|_| ());
    assert!(matches!(&answer, Err(TargetError::Refused { code, .. }) if code == "http-404"), "{answer:?}");
}

#[tokio::test]
async fn a_refused_field_is_named() {
    let mut subject = Subject::netsapiens().await;
    subject.set("dial-policy", json!("Moon Calls"));
    let error = subject.send(&subject.create_call()).await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused { code, .. } if code == "http-400"), "{error:?}");
    assert!(!error.to_string().contains("Moon Calls"), "{error}");
}

#[tokio::test]
async fn devices_and_numbers_go_before_the_user() {
    let subject = Subject::netsapiens().await;
    let made = subject.created().await;
    for device in ["1042a", "1042b"] {
        outside(&subject, reqwest::Method::POST, "users/1042/devices", json!({"device": device})).await;
    }
    let number = json!({
        "phonenumber": "18585551234", "dial-rule-application": "to-user",
        "dial-rule-translation-destination-user": "1042", "dial-rule-translation-destination-host": "acme.example"
    });
    outside(&subject, reqwest::Method::POST, "phonenumbers", number).await;
    subject.converge(Presence::Absent, &made, None).await;
    assert_eq!(subject.observe().await.existence, Existence::Absent);
    let operations = subject.operations();
    assert_eq!(operations.iter().filter(|name| name.starts_with("DELETE") && name.contains("devices")).count(), 2);
    let numbers = outside(&subject, reqwest::Method::GET, "phonenumbers", Value::Null).await;
    assert_eq!(numbers[0]["dial-rule-application"], json!("available-number"), "{numbers}");
}

#[tokio::test]
async fn a_number_behind_the_first_page_leads_nowhere_either_once_its_user_is_gone() {
    let subject = Subject::netsapiens().await;
    let made = subject.created().await;
    for number in 0..205 {
        let user = if number % 101 == 100 { "1042" } else { "1043" };
        let number = json!({
            "phonenumber": format!("18585550{number:03}"), "dial-rule-application": "to-user",
            "dial-rule-translation-destination-user": user, "dial-rule-translation-destination-host": "acme.example"
        });
        outside(&subject, reqwest::Method::POST, "phonenumbers", number).await;
    }
    subject.converge(Presence::Absent, &made, None).await;
    let numbers = outside(&subject, reqwest::Method::GET, "phonenumbers?limit=1000", Value::Null).await;
    let leading_to = |user| {
        let numbers = numbers.as_array().unwrap().iter();
        numbers.filter(|number| number["dial-rule-translation-destination-user"] == user).count()
    };
    assert_eq!((leading_to("1042"), leading_to("1043"), leading_to("[*]")), (0, 203, 2));
}

#[tokio::test]
async fn devices_go_with_a_suspension_if_so_configured() {
    let config = netsapiens::Config { delete_devices_on_suspend: true, ..netsapiens_config() };
    let subject = pbx(config, NetsapiensOptions::default()).await;
    subject.created().await;
    outside(&subject, reqwest::Method::POST, "users/1042/devices", json!({"device": "1042a"})).await;
    let plan = subject.plan(Presence::Suspended, &subject.observe().await, None);
    // Only the first call gets through.
    subject.send(&plan.calls[0]).await.unwrap();
    let found = subject.observe().await;
    assert_eq!((found.active, &found.fields["devices"]), (Some(false), &json!(1)));
    subject.converge(Presence::Suspended, &found, plan.keep.as_ref()).await;
    assert_eq!(outside(&subject, reqwest::Method::GET, "users/1042/devices", Value::Null).await, json!([]));
    let found = subject.observe().await;
    assert!(subject.plan(Presence::Suspended, &found, plan.keep.as_ref()).calls.is_empty());
}

/// A server that answers every call alike, one after another, until it is told to stop.
struct Wall {
    port: u16,
    answers: mpsc::Sender<&'static str>,
}

impl Wall {
    fn built() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answers, next) = mpsc::channel::<&'static str>();
        std::thread::spawn(move || {
            for answer in next {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).unwrap();
                let reply = format!("HTTP/1.1 {answer}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
                stream.write_all(reply.as_bytes()).unwrap();
            }
        });
        Self { port, answers }
    }
}

#[tokio::test]
async fn a_block_of_our_address_is_waited_out_once() {
    let wall = Wall::built();
    let hands = Arc::new(AtomicI64::new(1_700_000_000));
    let shared = Arc::clone(&hands);
    let clock: Clock = Arc::new(move || Timestamp::from_second(shared.load(Ordering::Relaxed)).unwrap());
    let base_url = Url::parse(&format!("http://127.0.0.1:{}/ns-api/v2", wall.port)).unwrap();
    let common =
        CommonConfig { manners: Manners::new(2, 0), ..CommonConfig::for_kind(TargetKind::Netsapiens, base_url) };
    let connector = netsapiens::connect(&common, netsapiens_config(), clock).unwrap();
    let keys = AccountKeys { remote_id: Some("1042".into()), ..AccountKeys::default() };
    let answered = async |answer: &'static str| {
        wall.answers.send(answer).unwrap();
        connector.observe(&keys).await.map(|found| found.existence)
    };
    let pause = |seconds| Err(TargetError::Throttled { retry_after: Some(Duration::from_secs(seconds)) });
    assert_eq!(answered("403 Forbidden").await, pause(300));
    hands.fetch_add(200, Ordering::Relaxed);
    assert_eq!(answered("403 Forbidden").await, pause(100));
    hands.fetch_add(100, Ordering::Relaxed);
    let persisted = answered("403 Forbidden").await;
    assert!(matches!(&persisted, Err(TargetError::Unauthorized { .. })), "{persisted:?}");
    // Once something else was answered, the next one is a first one again.
    assert_eq!(answered("404 Not Found").await, Ok(Existence::Absent));
    assert_eq!(answered("403 Forbidden").await, pause(300));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let wall = Wall::built();
    let base_url = Url::parse(&format!("http://127.0.0.1:{}/ns-api/v2", wall.port)).unwrap();
    let common = CommonConfig::for_kind(TargetKind::Netsapiens, base_url);
    let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    let connector = netsapiens::connect(&common, netsapiens_config(), clock).unwrap();
    wall.answers.send("302 Found\r\nlocation: http://192.0.2.1/").unwrap();
    let error = connector.probe().await.unwrap_err();
    assert!(matches!(&error, TargetError::Unauthorized { reason } if reason.contains("base_url")), "{error:?}");
}

#[tokio::test]
async fn a_hard_deleted_user_is_made_again_as_new() {
    let subject = Subject::netsapiens().await;
    let made = subject.created().await;
    let (gone, _) = subject.converge(Presence::Absent, &made, None).await;
    assert_eq!(gone, Observed::absent());
    let (again, _) = subject.converge(Presence::Active, &gone, None).await;
    assert_eq!(again.existence, Existence::Present);
}
