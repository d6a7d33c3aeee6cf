//! Tables for planning and reading, without a network.

use std::collections::BTreeSet;

use bridge_mapping::TargetKind;
use serde_json::json;

use super::super::Credential;
use super::*;
use crate::Presence::{Absent, Active, Suspended};
use crate::testing::{account, after, keys, lines, present};

fn config() -> Config {
    Config {
        credential: Credential::WebApiKey("key".into()),
        unit: None,
        template_by: TemplateBy::Name,
        templates: BTreeMap::new(),
        marker_field: "udf_string_1".into(),
        soft_lock_out: false,
        update_method: None,
        list_by: None,
        error_patterns: Vec::new(),
    }
}

fn with_update() -> Config {
    Config { update_method: Some("users/update".into()), ..config() }
}

fn with_lock_out() -> Config {
    Config { soft_lock_out: true, ..config() }
}

fn dana() -> Value {
    json!({
        "user_template_identifier": "Agent", "username": "Dana.Ortiz", "password": {"secret": "generated"},
        "password_confirmation": {"secret": "generated"}, "first_name": "Dana", "last_name": "Ortiz",
        "email": "dana.ortiz@acme.example"
    })
}

fn with(changes: &Value) -> Value {
    let mut dana = dana();
    dana.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    dana
}

/// Dana as users/show returns her.
fn seen() -> Value {
    json!({
        "username": "dana.ortiz", "person_name": "Dana Ortiz", "email": "dana.ortiz@acme.example", "udf_string_1": "scim-1",
        "cti_phone_extension_number": "1042"
    })
}

fn planned(config: &Config, presence: Presence, fields: &Value, observed: &Observed, kept: Option<Value>) -> Plan {
    let account = account(TargetKind::CrmCom, fields);
    let kept: Option<BTreeMap<String, Value>> = kept.map(|kept| serde_json::from_value(kept).unwrap());
    let keys = keys(None);
    let made = BTreeSet::from([LOCKED_PASSWORD.to_owned()]);
    let wanted = Wanted {
        presence,
        account: Some(&account),
        keys: &keys,
        kept: kept.as_ref(),
        secrets_changed: false,
        made: &made,
    };
    plan(config, &wanted, observed)
}

fn check(config: &Config, presence: Presence, fields: &Value, observed: &Observed, expected: &[&str]) {
    let plan = planned(config, presence, fields, observed, None);
    assert_eq!(lines(&plan), expected, "{presence:?} {fields} {observed:?}");
}

#[test]
fn a_user_is_made_from_its_template_and_carries_our_marker() {
    let create = r#"POST users/create {"user_template_identifier":{"name":"Agent"},"username":"dana.ortiz","password":"***","password_confirmation":"***","first_name":"Dana","last_name":"Ortiz","email":"dana.ortiz@acme.example","udf_string_1":"scim-1"}"#;
    check(&config(), Active, &dana(), &Observed::absent(), &[create]);
    check(
        &config(),
        Active,
        &with(&json!({"udf_string_1": "of the rules", "ip_address": ""})),
        &Observed::absent(),
        &[create],
    );
    let briefly = format!(r#"{},"fields_set":"id,username"}}"#, create.trim_end_matches('}'));
    check(&config(), Active, &with(&json!({"fields_set": "id,username"})), &Observed::absent(), &[&briefly]);
    check(&config(), Suspended, &dana(), &Observed::absent(), &[]);
    check(&config(), Absent, &dana(), &Observed::absent(), &[]);
    let by_id = Config { template_by: TemplateBy::Id, ..config() };
    let plan = planned(&by_id, Active, &dana(), &Observed::absent(), None);
    assert!(lines(&plan)[0].contains(r#""user_template_identifier":{"id":"Agent"}"#));
    assert!(plan.calls[0].creates);
}

#[test]
fn both_passwords_are_one_secret() {
    let mut call = planned(&config(), Active, &dana(), &Observed::absent(), None).calls.remove(0);
    assert_eq!(call.needs_secrets(), [("password".to_owned(), SecretSource::Generated)]);
    assert!(call.body().is_none());
    call.fill("password", "planted-secret".into());
    assert!(call.needs_secrets().is_empty());
    let body = with_token(&call.body().unwrap(), "t");
    assert_eq!(body["token"], json!("t"));
    assert_eq!(body["password"], json!("planted-secret"));
    assert_eq!(body["password_confirmation"], json!("planted-secret"));
}

#[test]
fn after_a_create_nothing_is_left_to_do() {
    let plan = planned(&config(), Active, &dana(), &Observed::absent(), None);
    let mut observed = after(&plan, Observed::absent());
    check(&config(), Active, &dana(), &observed, &[]);
    // Nor after reading back, where both names come as one and the template does not come at all.
    observed = present("9C0A", Some(true), &seen());
    check(&config(), Active, &dana(), &observed, &[]);
}

#[test]
fn a_change_is_a_task() {
    let seen = present("9C0A", Some(true), &seen());
    let check_task = |change: Value, expected: &[&str]| check(&config(), Active, &with(&change), &seen, expected);
    check_task(json!({"email": "d@acme.example"}), &["task cannot-update email"]);
    check_task(json!({"email": ""}), &["task cannot-update email"]);
    check_task(json!({"email": "DANA.ortiz@acme.example"}), &[]);
    check_task(json!({"last_name": "Otero"}), &["task cannot-update first_name,last_name"]);
    check_task(
        json!({"cti_phone_extension_number": "1043", "email": "d@acme.example"}),
        &["task cannot-update email,cti_phone_extension_number"],
    );
    // The template is not shown, so nobody knows of a difference.
    check_task(json!({"user_template_identifier": "Supervisor"}), &[]);
    check_task(json!({"username": "dana.otero"}), &["rekey username dana.ortiz dana.otero"]);
    let made = after(&planned(&config(), Active, &dana(), &Observed::absent(), None), Observed::absent());
    check(
        &config(),
        Active,
        &with(&json!({"user_template_identifier": "Supervisor"})),
        &made,
        &["task cannot-update user_template_identifier"],
    );
}

#[test]
fn nobody_is_asked_to_write_the_marker_of_who_took_the_account_over() {
    let mut before = seen();
    before["udf_string_1"] = json!("scim-of-before");
    let seen = present("9C0A", Some(true), &before);
    let dana = with(&json!({"udf_string_1": "scim-1"}));
    check(&config(), Active, &dana, &seen, &[]);
    let call = r#"POST users/update {"user_identifier":{"id":"9C0A"},"udf_string_1":"scim-1"}"#;
    check(&with_update(), Active, &dana, &seen, &[call]);
}

#[test]
fn a_task_says_what_to_do() {
    let seen = present("9C0A", Some(true), &seen());
    let plan = planned(
        &config(),
        Active,
        &with(&json!({"email": "d@acme.example", "cti_phone_extension_number": null})),
        &seen,
        None,
    );
    assert_eq!(
        plan.tasks[0].text,
        "Change user dana.ortiz in CRM.COM, the API cannot: set email to d@acme.example, clear cti_phone_extension_number."
    );
}

#[test]
fn suspension_return_and_removal_are_tasks() {
    let active = present("9C0A", Some(true), &seen());
    let inactive = present("9C0A", Some(false), &seen());
    check(&config(), Suspended, &dana(), &active, &["task cannot-suspend"]);
    check(&config(), Absent, &dana(), &active, &["task cannot-delete"]);
    check(&config(), Suspended, &dana(), &inactive, &[]);
    check(&config(), Absent, &dana(), &inactive, &[]);
    check(&config(), Active, &dana(), &inactive, &["task cannot-reactivate"]);
}

#[test]
fn a_method_of_the_installation_does_what_the_product_cannot() {
    let active = present("9C0A", Some(true), &seen());
    let inactive = present("9C0A", Some(false), &seen());
    let known = json!({"user_template_identifier": "Agent", "username": "dana.ortiz", "person_name": "Dana Ortiz", "email": "old@acme.example"});
    check(
        &with_update(),
        Active,
        &dana(),
        &present("9C0A", Some(true), &known),
        &[r#"POST users/update {"user_identifier":{"id":"9C0A"},"email":"dana.ortiz@acme.example"}"#],
    );
    check(
        &with_update(),
        Suspended,
        &dana(),
        &active,
        &[r#"POST users/update {"user_identifier":{"id":"9C0A"},"active":false}"#],
    );
    check(
        &with_update(),
        Absent,
        &dana(),
        &active,
        &[r#"POST users/update {"user_identifier":{"id":"9C0A"},"active":false}"#],
    );
    check(
        &with_update(),
        Active,
        &dana(),
        &inactive,
        &[r#"POST users/update {"user_identifier":{"id":"9C0A"},"active":true}"#],
    );
    let plan = planned(&with_update(), Suspended, &dana(), &active, None);
    check(&with_update(), Suspended, &dana(), &after(&plan, active), &[]);
}

#[test]
fn a_soft_lock_out_rotates_the_password_once_and_back() {
    let active = present("9C0A", Some(true), &seen());
    let rotate = r#"POST users/change_password {"user_identifier":{"id":"9C0A"},"old_password":"***","password":"***","password_confirmation":"***"}"#;
    check(
        &with_lock_out(),
        Suspended,
        &dana(),
        &active,
        &[rotate, "task cannot-suspend", r#"keep {"soft_lock_out":true}"#],
    );
    let secrets =
        |plan: &Plan| -> Vec<String> { plan.calls[0].needs_secrets().into_iter().map(|(field, _)| field).collect() };
    let plan = planned(&with_lock_out(), Suspended, &dana(), &active, None);
    assert_eq!(secrets(&plan), ["password", LOCKED_PASSWORD]);
    let done = plan.calls[0].effect.kept.clone();
    let refused = plan.calls[0].if_refused.clone().unwrap().kept;
    let asked = plan.keep.unwrap();
    let again = planned(&with_lock_out(), Suspended, &dana(), &active, Some(json!(asked)));
    let unclear = again.calls[0].if_refused.clone().unwrap().kept;
    // What became of it, what a further look at the suspension sends, what the return sends, and whether that may fail.
    for (kept, further, back, may_fail) in [
        (asked, vec![rotate, "task cannot-suspend", r#"keep {"soft_lock_out":true}"#], vec![rotate], true),
        (done, vec!["task cannot-suspend"], vec![rotate], false),
        (refused, vec!["task cannot-suspend"], vec![], true),
        (unclear, vec!["task cannot-suspend"], vec![rotate], true),
    ] {
        let again = planned(&with_lock_out(), Suspended, &dana(), &active, Some(json!(kept)));
        assert_eq!(lines(&again), further, "{kept:?}");
        let plan = planned(&with_lock_out(), Active, &dana(), &active, Some(json!(kept)));
        assert_eq!(lines(&plan), back, "{kept:?}");
        for call in &plan.calls {
            assert_eq!(call.if_refused.is_some(), may_fail, "{kept:?}");
            assert_eq!(secrets(&plan), [LOCKED_PASSWORD, "password"]);
        }
    }
}

#[test]
fn a_password_that_was_rotated_and_that_nobody_knows_any_more_is_one_task_for_a_person() {
    let account = account(TargetKind::CrmCom, &dana());
    let keys = keys(None);
    for (state, expected) in [
        (json!("done"), &["task cannot-set-password"][..]),
        (json!("unclear"), &["task cannot-set-password"]),
        (json!(true), &["task cannot-set-password"]),
        (json!(false), &[]),
    ] {
        let kept = BTreeMap::from([(ROTATED.to_owned(), state)]);
        let secrets_changed = !expected.is_empty();
        let wanted = Wanted {
            presence: Active,
            account: Some(&account),
            keys: &keys,
            kept: Some(&kept),
            secrets_changed,
            made: &BTreeSet::new(),
        };
        assert_eq!(
            lines(&plan(&with_lock_out(), &wanted, &present("9C0A", Some(true), &seen()))),
            expected,
            "{kept:?}"
        );
    }
}

#[test]
fn a_user_goes_by_its_name_until_its_id_is_known() {
    let keys = AccountKeys { fields: BTreeMap::from([("username".to_owned(), "dana.ortiz".to_owned())]), ..keys(None) };
    let wanted = Wanted {
        presence: Suspended,
        account: None,
        keys: &keys,
        kept: None,
        secrets_changed: false,
        made: &BTreeSet::new(),
    };
    let planned = lines(&plan(&with_update(), &wanted, &Observed::default()));
    assert_eq!(planned, [r#"POST users/update {"user_identifier":{"username":"dana.ortiz"},"active":false}"#]);
}

#[test]
fn addresses_carry_one_raw_equals_sign() {
    assert_eq!(show_path("username", "dana ortiz=1&x"), "users/show?user_identifier=username=dana%20ortiz%3D1%26x");
    let list_by = ListBy { filter: ListFilter::Unit, by: "id".into(), value: "EE63".into() };
    assert_eq!(list_path(&list_by, 200, 100), "users/list?unit_identifier=id=EE63&number_of_results=100&offset=200");
}

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, retry_after: None, body: body.to_owned(), writes: true }
}

#[test]
fn an_envelope_counts_whatever_the_http_status() {
    let check = |status: u16, body: &str, expected: &str| {
        let found = match answer(&[], &reply(status, body)) {
            Ok(Answer::Ok(data)) => format!("ok {data}"),
            Ok(Answer::Failure(failure)) => format!("{:?}", failure.class),
            Ok(Answer::Absent) => "absent".to_owned(),
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(found, expected, "{status} {body}");
    };
    check(200, r#"{"status":{"code":"OK","message":"","description":""},"data":{"token":"t"}}"#, r#"ok {"token":"t"}"#);
    check(200, r#"{"data":null,"status":{"message":"careful","code":"ok"}}"#, "ok null");
    check(200, r#"{"status":{"code":"OK"}}"#, "ok null");
    check(200, r#"{"status":{"code":"COM.CRM.EXCEPTION.USERS.USERNOTFOUNDEXCEPTION","message":null}}"#, "NotFound");
    check(400, r#"{"status":{"code":"COM.CRM.EXCEPTION.USERS.USERNOTFOUNDEXCEPTION"}}"#, "NotFound");
    check(500, r#"{"status":{"code":"COM.CRM.EXCEPTION.SECURITY.INVALIDTOKENEXCEPTION"}}"#, "Token");
    check(500, r#"{"status":{"code":"E1"}}"#, "target-unavailable");
    check(500, r#"{"status":{"code":"OK"}}"#, "target-unavailable");
    check(200, r#"{"status":{"code":"E1"}}"#, "Unknown");
    check(200, "<html>", "target-garbled");
    check(200, "{}", "target-garbled");
    check(200, r#"{"status":"OK"}"#, "target-garbled");
    check(401, "", "target-unauthorized");
    check(403, "<html>", "target-unauthorized");
    check(404, "<html>", "absent");
    check(408, "", "target-unavailable");
    check(429, "", "target-throttled");
    check(503, "<html>", "target-unavailable");
}

#[test]
fn a_business_error_says_what_to_do_next() {
    let check = |code: &str, message: &str, expected: &str| {
        let class = classify(&[], code, message);
        let failure = Failure { code: code.to_owned(), message: message.to_owned(), class };
        let error = error(&failure, &[Known::field("username", "dana.ortiz")]);
        assert_eq!(error.to_string(), expected, "{code} {message}");
    };
    let users = |name: &str| format!("COM.CRM.EXCEPTION.USERS.{name}EXCEPTION");
    check(
        &users("USERNAMEALREADYEXISTS"),
        "The username dana.ortiz is already used",
        "The target has this username already: The username [username] is already used",
    );
    check(&users("EMAILNOTUNIQUE"), "In use", "The target has this email already: In use");
    check(&users("EMAIL"), "Strange", "The target has this email already: Strange");
    check(&users("USERNOTFOUND"), "", "The account is no longer at the target");
    check(
        &users("USERTEMPLATENOTFOUND"),
        "No such template",
        "The target refused user_template_identifier: No such template",
    );
    check(&users("PASSWORDPOLICY"), "Too short", "The target refused password: Too short");
    check(
        "COM.CRM.EXCEPTION.SECURITY.NOTALLOWEDEXCEPTION",
        "Not yours",
        "The target does not accept our sign-in: Not yours",
    );
    check("E1", "", "The target refused: E1");
}

#[test]
fn a_user_is_read_from_any_object_with_an_id() {
    let user = user(&json!({
        "id": "9C0A", "username": "dana.ortiz", "active": true, "ip_address": null, "email": "", "person_name": "Dana Ortiz",
        "units_set": [{}], "password": "never", "udf_string_1": "scim-1", "udf_float_1": 2.5
    }));
    let user = user.unwrap();
    assert_eq!(user.remote_id.as_deref(), Some("9C0A"));
    assert_eq!(user.active, Some(true));
    assert_eq!(user.fields["email"], Value::Null);
    assert_eq!(user.fields["ip_address"], Value::Null);
    assert_eq!(user.fields["udf_float_1"], json!(2.5));
    assert!(!user.fields.contains_key("password"));
    assert!(super::user(&json!({"username": "dana.ortiz"})).is_none());
    assert!(super::user(&json!([])).is_none());
    assert_eq!(super::user(&json!({"id": "1", "active": "false"})).unwrap().active, Some(false));
    assert_eq!(super::user(&json!({"id": "1"})).unwrap().active, None);
}

#[test]
fn a_list_is_bare_or_wrapped() {
    let check = |data: Value, expected: Option<usize>| assert_eq!(rows(&data).map(Vec::len), expected, "{data}");
    check(json!([{}, {}]), Some(2));
    check(json!({"total": 2, "users": [{}, {}], "more": []}), Some(2));
    check(json!({"total": 2}), None);
    check(json!(null), None);
}

#[test]
fn evidence_says_which_keys_the_user_equals() {
    let keys = AccountKeys {
        remote_id: Some("9C0A".into()),
        fields: [("username", "DANA.ortiz"), ("email", "Dana.Ortiz@acme.example")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..keys(None)
    };
    let evidence = with_evidence(&config(), present("9C0A", None, &seen()), &keys).evidence;
    assert!(evidence.remote_id && evidence.marker && evidence.natural_key && evidence.email && !evidence.unique_key);
    let stranger = present("9C0B", None, &json!({"username": "d", "udf_string_1": "scim-2"}));
    assert_eq!(with_evidence(&config(), stranger, &keys).evidence, crate::Evidence::default());
}

proptest::proptest! {
    #[test]
    fn no_reply_makes_the_reader_panic(status in 100u16..600, body in ".*", code in ".*", message in ".*") {
        let _ = answer(&[], &reply(status, &body));
        let envelope = json!({"status": {"code": code, "message": message}, "data": {"id": body}});
        if let Ok(Answer::Failure(failure)) = answer(&[], &reply(status, &envelope.to_string())) {
            assert!(error(&failure, &[]).to_string().chars().count() < 200);
        }
        let _ = user(&envelope["data"]);
    }
}
