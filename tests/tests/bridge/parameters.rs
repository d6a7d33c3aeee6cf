//! Every parameter of every target is in the identity provider's reach: set through the target's extension, seen on the
//! wire under the vendor's name.

use std::collections::BTreeSet;

use bridge_mapping::{AccountSchema, FieldKind, FieldSchema, Format, Generator, TargetKind};
use bridge_simulators::{CrmComOptions, Options, Simulator, credentials};
use bridge_store::{Account, AccountState};
use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup, calls_of};
use serde_json::{Value, json};

/// What the simulators write into their log of calls in place of a secret.
const MASK: &str = "***";

/// A password that every target takes.
const PASSWORD: &str = "ch0sen-Secret-7";

/// Fields of which the wire never carries the value that the identity provider sets, and why.
const OUT_OF_REACH: &[(TargetKind, &str, &str)] = &[(
    TargetKind::CrmCom,
    "udf_string_1",
    "the mark by which the bridge knows its own accounts is the bridge's to write",
)];

/// A value for a field whose schema says less than the target knows: what must exist there beforehand, or has a form.
fn known_to_the_target(name: &str) -> Option<Value> {
    let value = match name {
        "PartnerUserID" => "employee-4711",
        "UserAddress" => "chosen.acme.glance.net",
        "UserRole" => "Host",
        // The setting of the target says yes.
        "synchronous" => "no",
        "user" => "4242",
        "UserEmail" | "login-username" | "email" => "chosen@acme.example",
        "email-address" => "chosen@acme.example;second@acme.example",
        "dial-plan" => "Restricted",
        "dial-policy" => "Permit All",
        "language-token" => "es_MX",
        "email-send-alert-new-voicemail-cc-list-csv" => "1001,1002",
        "caller-id-number" | "caller-id-number-emergency" => "18585551234",
        "emergency-address-id" => "5f3c0de1",
        "user_template_identifier" => "Agent",
        "username" => "chosen",
        "fields_set" => "id,username",
        "AudioProvider" => return Some(json!(1)),
        _ => return None,
    };
    Some(json!(value))
}

/// A value that the schema allows, and that neither the target nor the default rules would choose.
fn chosen(field: &FieldSchema) -> Value {
    if let Some(value) = known_to_the_target(&field.name) {
        return value;
    }
    let is_default = |value: &str| field.default.as_ref().is_some_and(|default| default == value);
    if let Some(value) = field.allowed.iter().find(|value| !is_default(value) && !field.privileged.contains(value)) {
        return json!(value);
    }
    match (field.kind, field.generator, field.format) {
        (_, Some(Generator::Pin), _) => json!("4711"),
        (_, Some(Generator::Password), _) => json!(PASSWORD),
        (_, _, Some(Format::Ip)) => json!("192.0.2.7"),
        (FieldKind::Date, ..) => json!("2031-02-28"),
        (FieldKind::Boolean, ..) => json!(field.default != Some(json!(true))),
        (FieldKind::Integer, ..) => json!(field.maximum.unwrap_or(i64::MAX).min(field.minimum.unwrap_or(0) + 77)),
        (FieldKind::Number, ..) => json!(2.5),
        (FieldKind::String, ..) => {
            let most = field.max_length.unwrap_or(usize::MAX);
            json!(format!("Chosen {}", field.name).chars().take(most).collect::<String>())
        }
    }
}

/// The calls that make an account, in the order in which they are sent.
fn operations(kind: TargetKind) -> &'static [&'static str] {
    match kind {
        TargetKind::Glance => &["NewUser", "UpdateUser"],
        TargetKind::Netsapiens => &["POST users"],
        TargetKind::CrmCom => &["users/create"],
    }
}

/// The value as the vendor's API writes it.
fn on_the_wire(kind: TargetKind, field: &FieldSchema, value: &Value) -> Value {
    match (kind, value) {
        _ if field.secret => json!(MASK),
        (TargetKind::Glance, Value::Bool(set)) => json!(if *set { "1" } else { "0" }),
        (TargetKind::Glance, Value::Number(number)) => json!(number.to_string()),
        (TargetKind::CrmCom, value) if field.name == "user_template_identifier" => json!({ "name": value }),
        _ => value.clone(),
    }
}

/// What the calls that made an account carried under a name; several if several calls did.
fn carried(calls: &[Value], name: &str) -> Vec<Value> {
    calls.iter().filter_map(|call| call["fields"].get(name)).cloned().collect()
}

/// Creates a user and gives the calls by which the account came to be.
async fn create(bridge: &Bridge, simulator: &Simulator, kind: TargetKind, user: Value, what: &str) -> Vec<Value> {
    let calls = || operations(kind).iter().flat_map(|operation| calls_of(simulator, operation)).collect::<Vec<_>>();
    let before: BTreeSet<u64> = calls().iter().filter_map(|call| call["n"].as_u64()).collect();
    let answer = bridge.post("/Users", user).await;
    assert_eq!(answer.status, 201, "{what}: {:#}", answer.body);
    bridge.until_at_rest(&answer.id()).await;
    let is_new = |call: &Value| call["n"].as_u64().is_some_and(|number| !before.contains(&number));
    calls().into_iter().filter(is_new).collect()
}

/// Sets each field of a kind, for one user each, and says what is not as it should be.
async fn check(kind: TargetKind) {
    let bridge = Bridge::start().await;
    let simulator = match kind {
        TargetKind::Glance => bridge.glance(),
        TargetKind::Netsapiens => bridge.pbx(),
        TargetKind::CrmCom => bridge.crm(),
    };
    let ordinary = create(&bridge, simulator, kind, okta_user("ordinary"), "an ordinary user").await;
    let mut wrong = Vec::new();
    let mut names = 0;
    for field in &AccountSchema::embedded(kind).fields {
        for spelling in [&field.name].into_iter().chain(&field.aliases) {
            let value = chosen(field);
            let expected = on_the_wire(kind, field, &value);
            names += 1;
            let mut user = okta_user(&format!("user{names}"));
            user[kind.extension_urn()] = json!({ spelling: value });
            if let Some(other) = &field.same_as {
                user[kind.extension_urn()][other] = value.clone();
            }
            let calls = create(&bridge, simulator, kind, user, &format!("{kind} {spelling} = {value}")).await;
            let found = carried(&calls, &field.name);
            let reason = OUT_OF_REACH.iter().find(|(of, name, _)| *of == kind && *name == field.name);
            match (found.contains(&expected), reason) {
                (true, None) if carried(&ordinary, &field.name).contains(&expected) && !field.secret => {
                    wrong.push(format!("{spelling}: an ordinary user has {expected} too, so this shows nothing"));
                }
                (true, None) | (false, Some(_)) => {}
                (true, Some((_, _, reason))) => wrong.push(format!("{spelling} does travel, although {reason}")),
                (false, None) => wrong.push(format!("{spelling}: {expected} is not in {found:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{kind}:\n{}", wrong.join("\n"));
    bridge.stop().await;
}

/// Whether a value that arrives after the account was made can travel: the schema says so, and for the CRM whether the
/// installation has a method of its own that updates users.
fn travels_later(kind: TargetKind, field: &FieldSchema) -> bool {
    match kind {
        TargetKind::CrmCom => is_plain(field) && field.name != "user_template_identifier",
        TargetKind::Glance | TargetKind::Netsapiens => field.update,
    }
}

/// Whether the CRM keeps the field as it is sent: it neither names nor signs in the user, steers the call or is the mark.
fn is_plain(field: &FieldSchema) -> bool {
    !field.natural_key && !field.secret && !field.call_only && field.name != "udf_string_1"
}

/// Changes each field that a kind can change, for one user, and says what does not travel.
async fn check_updates(kind: TargetKind, operation: &str) {
    let method = Some("users/update".to_owned());
    let crm_com = CrmComOptions { update_method: method, ..CrmComOptions::default() };
    let simulators = Options { crm_com, ..Options::default() };
    let setup = Setup { simulators, ..Setup::default() }.crm("update_method = \"users/update\"");
    let bridge = Bridge::with(setup).await;
    let simulator = match kind {
        TargetKind::Glance => bridge.glance(),
        TargetKind::Netsapiens => bridge.pbx(),
        TargetKind::CrmCom => bridge.crm(),
    };
    let ordinary = create(&bridge, simulator, kind, okta_user("ordinary"), "an ordinary user").await;
    let id = bridge.get("/Users").await.body["Resources"][0]["id"].as_str().unwrap().to_owned();
    let mut wrong = Vec::new();
    let fields = &AccountSchema::embedded(kind).fields;
    for field in fields.iter().filter(|field| travels_later(kind, field)) {
        let value = chosen(field);
        let expected = on_the_wire(kind, field, &value);
        let before = calls_of(simulator, operation).len();
        patch(&bridge, kind, &id, field).await;
        let found = carried(&calls_of(simulator, operation)[before..], &field.name);
        if !found.contains(&expected) {
            wrong.push(format!("{}: {expected} is not in {found:?}", field.name));
        } else if carried(&ordinary, &field.name).contains(&expected) && !field.secret {
            wrong.push(format!("{}: it was {expected} before, so this shows nothing", field.name));
        }
    }
    assert!(wrong.is_empty(), "{kind}:\n{}", wrong.join("\n"));
    bridge.stop().await;
}

/// Changes one field of a user through the extension; the account at the target once it is at rest.
async fn patch(bridge: &Bridge, kind: TargetKind, id: &str, field: &FieldSchema) -> Vec<Account> {
    let (path, value) = (format!("{}:{}", kind.extension_urn(), field.name), chosen(field));
    let answer = bridge.patch(&format!("/Users/{id}"), json!([{"op": "add", "path": path, "value": value}])).await;
    assert_eq!(answer.status, 200, "{path} = {value}: {:#}", answer.body);
    bridge.until_at_rest(id).await
}

#[tokio::test]
async fn every_parameter_that_an_installation_of_the_crm_can_change_is_changed_by_the_identity_provider() {
    check_updates(TargetKind::CrmCom, "users/update").await;
}

#[tokio::test]
async fn every_parameter_that_glance_can_change_is_changed_by_the_identity_provider() {
    check_updates(TargetKind::Glance, "UpdateUser").await;
}

#[tokio::test]
async fn every_parameter_that_the_pbx_can_change_is_changed_by_the_identity_provider() {
    check_updates(TargetKind::Netsapiens, "PUT users").await;
}

#[tokio::test]
async fn every_parameter_of_the_crm_that_changes_becomes_a_task_that_says_what_to_write() {
    let bridge = Bridge::start().await;
    let mut wrong = Vec::new();
    for field in &AccountSchema::embedded(TargetKind::CrmCom).fields {
        assert!(!field.update, "{}: the manual has no call that changes it", field.name);
        let id = bridge.post("/Users", okta_user(&field.name.replace('_', "-"))).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
        let rows = patch(&bridge, TargetKind::CrmCom, &id, field).await;
        let row = rows.into_iter().find(|row| row.target == "crm").unwrap();
        let value = chosen(field);
        let words = match field.name.as_str() {
            // Nothing is left to be done for what steers the create, and the mark is the bridge's to write.
            "fields_set" | "udf_string_1" => None,
            "username" => Some("username cannot be changed".to_owned()),
            _ if field.secret => Some("Set the new password".to_owned()),
            name => Some(format!("set {name} to {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))),
        };
        let is_right = match (&words, &row.reason) {
            (None, None) => row.state == AccountState::Settled,
            (Some(words), Some(reason)) => row.state == AccountState::Task && reason.text.contains(words),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{}: {words:?}, but {} {:?}", field.name, row.state, row.reason));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    bridge.stop().await;
}

#[tokio::test]
async fn the_field_of_the_crm_that_carries_the_mark_is_free_once_another_one_carries_it() {
    let bridge = Bridge::with(Setup::default().crm("marker_field = \"udf_string_8\"")).await;
    let mut user = okta_user("ann");
    user[TargetKind::CrmCom.extension_urn()] = json!({"udf_string_1": "Chosen", "udf_string_2": "Chosen too"});
    let calls = create(&bridge, bridge.crm(), TargetKind::CrmCom, user, "a user with the freed field").await;
    let id = bridge.get("/Users").await.body["Resources"][0]["id"].clone();
    let sent = |name: &str| carried(&calls, name);
    assert_eq!((sent("udf_string_1"), sent("udf_string_2")), (vec![json!("Chosen")], vec![json!("Chosen too")]));
    assert_eq!(sent("udf_string_8"), [id], "the mark is the SCIM id");
    bridge.stop().await;
}

#[tokio::test]
async fn the_password_that_the_identity_provider_sets_opens_the_crm() {
    let bridge = Bridge::start().await;
    let mut user = okta_user("ann");
    user[TargetKind::CrmCom.extension_urn()] = json!({"password": PASSWORD});
    let id = bridge.post("/Users", user).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let sign_in = format!("{}authentication/token", bridge.crm().api_url());
    for (password, expected) in
        [(PASSWORD, "OK"), ("kJ8!random", "COM.CRM.EXCEPTION.SECURITY.INVALIDCREDENTIALSEXCEPTION")]
    {
        let body = json!({
            "username": "ann", "password": password, "organisation": credentials::crm_com::ORGANISATION,
            "unit_identifier": {"name": credentials::crm_com::UNIT_NAME},
        });
        let answer = Answer::of(reqwest::Client::new().post(&sign_in).json(&body)).await.has_status(200);
        assert_eq!(answer.body["status"]["code"], expected, "{:#}", answer.body);
    }
    bridge.stop().await;
}

#[tokio::test]
async fn every_parameter_of_glance_can_be_set_by_the_identity_provider() {
    check(TargetKind::Glance).await;
}

#[tokio::test]
async fn every_parameter_of_the_pbx_can_be_set_by_the_identity_provider() {
    check(TargetKind::Netsapiens).await;
}

#[tokio::test]
async fn every_parameter_of_the_crm_can_be_set_by_the_identity_provider() {
    check(TargetKind::CrmCom).await;
}
