//! Tables for planning and reading, without a network.

use std::collections::BTreeSet;

use bridge_mapping::TargetKind;
use serde_json::json;

use super::super::Credential;
use super::*;
use crate::Presence::{Absent, Active, Suspended};
use crate::testing::{account, after, keys, lines, present};

const V44: Release = Release { major: 44, minor: 3 };
const V45: Release = Release { major: 45, minor: 0 };

fn config() -> Config {
    Config {
        domain: "acme.example".into(),
        credential: Credential::ApiKey("nsd_key".into()),
        suspend_dial_policy: Some("Deny All".into()),
        delete_devices_on_suspend: false,
        synchronous: true,
    }
}

fn dana() -> Value {
    json!({
        "user": "1042", "name-first-name": "Dana", "name-last-name": "Ortiz", "login-username": "dana@acme.example",
        "email-address": "dana@acme.example", "user-scope": "Basic User"
    })
}

#[test]
fn a_user_who_is_replaced_gives_up_the_login_that_the_new_one_needs() {
    let check = |login: &str, wanted: &Value, expected: Option<&str>| {
        let old = present("1042", Some(true), &with(&json!({ "login-username": login })));
        let calls = make_way(&config(), &old, &account(TargetKind::Netsapiens, wanted));
        let sent = calls.first().map(|call| call.text(LOGIN).unwrap());
        assert_eq!(sent.as_deref(), expected, "{login} {wanted}");
        for call in calls {
            assert!(REQUIRED.iter().all(|name| call.text(name).is_some()), "{call:?}");
        }
    };
    let new = with(&json!({"user": "1043"}));
    check("Dana@acme.example", &new, Some("1042@acme.example"));
    check("somebody@acme.example", &new, None);
    check(
        "1042@acme.example",
        &with(&json!({"login-username": "1042@acme.example"})),
        Some("1042.replaced@acme.example"),
    );
    check("1042@acme.example", &json!({"user": "1043"}), None);
}

/// Dana as the server shows her.
fn seen() -> Value {
    with(
        &json!({"dial-policy": "US and Canada", "voicemail-enabled": "yes", "department": "Support", "area-code": 858}),
    )
}

fn locked() -> Value {
    let mut seen = seen();
    let changes = json!({"user-scope": "No Portal", "dial-policy": "Deny All", "voicemail-enabled": "no"});
    seen.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    seen
}

fn with(changes: &Value) -> Value {
    let mut dana = dana();
    dana.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    dana
}

struct Case<'a> {
    config: Config,
    presence: Presence,
    fields: Value,
    observed: Observed,
    kept: Option<BTreeMap<String, Value>>,
    release: Release,
    remote_id: Option<&'a str>,
}

impl Case<'_> {
    fn new(presence: Presence, fields: &Value, observed: Observed) -> Self {
        Self { config: config(), presence, fields: fields.clone(), observed, kept: None, release: V45, remote_id: None }
    }

    fn planned(&self) -> Plan {
        let account = account(TargetKind::Netsapiens, &self.fields);
        let keys = keys(self.remote_id);
        let kept = self.kept.as_ref();
        let wanted = Wanted {
            presence: self.presence,
            account: Some(&account),
            keys: &keys,
            kept,
            secrets_changed: false,
            made: &BTreeSet::new(),
        };
        plan(&self.config, self.release, &wanted, &self.observed)
    }

    fn gives(&self, expected: &[&str]) {
        assert_eq!(lines(&self.planned()), expected, "{:?} {} {:?}", self.presence, self.fields, self.observed);
    }
}

fn check(presence: Presence, fields: &Value, observed: Observed, expected: &[&str]) {
    Case::new(presence, fields, observed).gives(expected);
}

#[test]
fn a_user_is_made_synchronously_with_all_fields_in_the_vendors_order() {
    let create = r#"POST domains/acme.example/users {"synchronous":"yes","user":"1042","name-first-name":"Dana","name-last-name":"Ortiz","login-username":"dana@acme.example","email-address":"dana@acme.example","user-scope":"Basic User"}"#;
    check(Active, &dana(), Observed::absent(), &[create]);
    check(Active, &dana(), Observed::default(), &[create]);
    // What the account says comes before the setting.
    let waits_for_nothing = create.replace(r#""synchronous":"yes""#, r#""synchronous":"no""#);
    check(Active, &with(&json!({"synchronous": "no"})), Observed::absent(), &[&waits_for_nothing]);
    check(Suspended, &dana(), Observed::absent(), &[]);
    check(Absent, &dana(), Observed::absent(), &[]);
    let mut case = Case::new(
        Active,
        &json!({"user": "1042", "voicemail-login-pin": {"secret": "generated"}, "department": ""}),
        Observed::absent(),
    );
    case.config.synchronous = false;
    case.gives(&[r#"POST domains/acme.example/users {"user":"1042","voicemail-login-pin":"***"}"#]);
}

#[test]
fn after_a_create_nothing_is_left_to_do() {
    let plan = Case::new(Active, &dana(), Observed::absent()).planned();
    check(Active, &dana(), after(&plan, Observed::absent()), &[]);
}

#[test]
fn the_four_required_fields_go_with_every_change() {
    let put = |change: &str| {
        format!(
            r#"PUT domains/acme.example/users/1042 {{"name-first-name":"Dana","name-last-name":"Ortiz","email-address":"dana@acme.example","user-scope":"Basic User"{change}}}"#
        )
    };
    let check_change = |change: Value, sent: &str| {
        let case = Case::new(Active, &with(&change), present("1042", Some(true), &seen()));
        case.gives(&[&put(sent)]);
        let plan = case.planned();
        check(Active, &with(&change), after(&plan, case.observed), &[]);
    };
    check(Active, &dana(), present("1042", Some(true), &seen()), &[]);
    check_change(json!({"department": "Sales"}), r#","department":"Sales""#);
    check_change(json!({"department": ""}), r#","department":"""#);
    check_change(json!({"department": null}), r#","department":"""#);
    check_change(json!({"area-code": 619}), r#","area-code":619"#);
    // Compared as a reader would.
    check(Active, &with(&json!({"login-username": "DANA@acme.example"})), present("1042", Some(true), &seen()), &[]);
    check(Active, &with(&json!({"area-code": "858"})), present("1042", Some(true), &seen()), &[]);
    // Names come from what is there when they are not wanted.
    let fields = json!({"user": "1042", "department": "Sales"});
    Case::new(Active, &fields, present("1042", Some(true), &seen())).gives(&[&put(r#","department":"Sales""#)]);
    // A changed required field stands once.
    check(
        Active,
        &with(&json!({"name-last-name": "Otero"})),
        present("1042", Some(true), &seen()),
        &[
            r#"PUT domains/acme.example/users/1042 {"name-first-name":"Dana","name-last-name":"Otero","email-address":"dana@acme.example","user-scope":"Basic User"}"#,
        ],
    );
    // What nobody has seen is sent.
    let unseen = present("1042", Some(true), &dana());
    Case::new(Active, &with(&json!({"status-message": "away"})), unseen).gives(&[&put(r#","status-message":"away""#)]);
}

#[test]
fn what_cannot_be_cleared_is_a_task() {
    check(
        Active,
        &with(&json!({"dial-policy": ""})),
        present("1042", Some(true), &seen()),
        &["task cannot-clear dial-policy"],
    );
    check(Active, &with(&json!({"dial-plan": ""})), present("1042", Some(true), &seen()), &[]);
}

#[test]
fn an_extension_is_not_renamed() {
    check(Active, &with(&json!({"user": "1043"})), present("1042", Some(true), &seen()), &["rekey user 1042 1043"]);
}

#[test]
fn a_suspension_keeps_what_it_overwrites() {
    let put = r#"PUT domains/acme.example/users/1042 {"name-first-name":"Dana","name-last-name":"Ortiz","email-address":"dana@acme.example","user-scope":"No Portal","dial-policy":"Deny All","voicemail-enabled":"no"}"#;
    let keep = r#"keep {"dial-policy":"US and Canada","user-scope":"Basic User","voicemail-enabled":"yes"}"#;
    check(Suspended, &json!({}), present("1042", Some(true), &seen()), &[put, keep]);
    // Where what was seen may be older than our last write, the names are those that are wanted.
    let renamed = with(&json!({"name-last-name": "Otero"}));
    let put_renamed = put.replace("Ortiz", "Otero");
    check(Suspended, &renamed, present("1042", Some(true), &seen()), &[&put_renamed, keep]);
    let mut again = Case::new(Suspended, &json!({}), present("1042", Some(true), &seen()));
    again.kept = Some(BTreeMap::from([("user-scope".to_owned(), json!("Office Manager"))]));
    again.gives(&[put]);
    check(Suspended, &dana(), present("1042", Some(false), &locked()), &[]);
    // A scope with a space at its end is the same scope.
    let mut padded = locked();
    padded["user-scope"] = json!("No Portal ");
    check(Suspended, &dana(), present("1042", None, &padded), &[]);
    // Half suspended: only the rest is sent, beside the required.
    let mut half = locked();
    half["voicemail-enabled"] = json!("yes");
    check(
        Suspended,
        &dana(),
        present("1042", Some(true), &half),
        &[
            r#"PUT domains/acme.example/users/1042 {"name-first-name":"Dana","name-last-name":"Ortiz","email-address":"dana@acme.example","user-scope":"No Portal","voicemail-enabled":"no"}"#,
            r#"keep {"dial-policy":"Deny All","user-scope":"No Portal","voicemail-enabled":"yes"}"#,
        ],
    );
    // Without the provider's policy there is none to set.
    let mut without = Case::new(Suspended, &dana(), present("1042", Some(true), &seen()));
    without.config.suspend_dial_policy = None;
    assert!(!lines(&without.planned()).concat().contains("dial-policy"));
}

#[test]
fn a_suspended_user_is_known_to_be_suspended() {
    let case = Case::new(Suspended, &dana(), present("1042", Some(true), &seen()));
    let after = after(&case.planned(), case.observed);
    assert_eq!(after.active, Some(false));
    check(Suspended, &dana(), after, &[]);
}

#[test]
fn devices_go_with_a_suspension_if_so_configured() {
    let devices = "DELETE domains/acme.example/users/1042/devices null";
    let case = |observed| {
        let mut case = Case::new(Suspended, &dana(), observed);
        case.config.delete_devices_on_suspend = true;
        case
    };
    let first = case(present("1042", Some(true), &seen()));
    let planned = lines(&first.planned());
    assert!(planned[0].starts_with("PUT ") && planned[1] == devices, "{planned:?}");
    // The reply to the first call was kept, the second was never made.
    case(present("1042", Some(false), &locked())).gives(&[devices]);
    let mut left = locked();
    left["devices"] = json!(2);
    case(present("1042", Some(false), &left)).gives(&[devices]);
    case(after(&first.planned(), first.observed.clone())).gives(&[]);
}

#[test]
fn a_return_restores_what_was_kept_and_what_is_wanted_comes_first() {
    let kept = |value: Value| Some(serde_json::from_value::<BTreeMap<String, Value>>(value).unwrap());
    let back = |fields: &Value, kept, expected: &[&str]| {
        let mut case = Case::new(Active, fields, present("1042", Some(false), &locked()));
        case.kept = kept;
        case.gives(expected);
        let after = after(&case.planned(), case.observed);
        assert_eq!(after.active, Some(true));
    };
    let start = r#"PUT domains/acme.example/users/1042 {"name-first-name":"Dana","name-last-name":"Ortiz","email-address":"dana@acme.example","user-scope":"#;
    let snapshot =
        || kept(json!({"user-scope": "Office Manager", "dial-policy": "US and Canada", "voicemail-enabled": "yes"}));
    back(
        &dana(),
        snapshot(),
        &[&format!(r#"{start}"Basic User","dial-policy":"US and Canada","voicemail-enabled":"yes"}}"#)],
    );
    let mut unstated = dana();
    unstated.as_object_mut().unwrap().remove("user-scope");
    back(
        &unstated,
        snapshot(),
        &[&format!(r#"{start}"Office Manager","dial-policy":"US and Canada","voicemail-enabled":"yes"}}"#)],
    );
    // Voice mail was off before; a wanted policy comes before the kept one.
    back(
        &with(&json!({"dial-policy": "Permit All"})),
        kept(json!({"user-scope": "Basic User", "dial-policy": "US and Canada", "voicemail-enabled": "no"})),
        &[&format!(r#"{start}"Basic User","dial-policy":"Permit All"}}"#)],
    );
    // No snapshot: what has a default returns, what has none is a task.
    back(
        &unstated,
        None,
        &[&format!(r#"{start}"Basic User","voicemail-enabled":"yes"}}"#), "task cannot-reactivate dial-policy"],
    );
}

#[test]
fn a_value_set_by_somebody_during_the_suspension_stays() {
    let mut changed = locked();
    changed["dial-policy"] = json!("Permit All");
    let mut case = Case::new(Active, &dana(), present("1042", Some(true), &changed));
    case.kept = Some(BTreeMap::from([
        ("dial-policy".to_owned(), json!("US and Canada")),
        ("voicemail-enabled".to_owned(), json!("yes")),
    ]));
    case.gives(&[
        r#"PUT domains/acme.example/users/1042 {"name-first-name":"Dana","name-last-name":"Ortiz","email-address":"dana@acme.example","user-scope":"Basic User","voicemail-enabled":"yes"}"#,
    ]);
}

#[test]
fn a_user_without_portal_by_choice_stays_as_it_is() {
    let mut seen = seen();
    seen["user-scope"] = json!("No Portal");
    let mut fields = dana();
    fields.as_object_mut().unwrap().remove("user-scope");
    check(Active, &fields, present("1042", Some(true), &seen), &[]);
}

#[test]
fn a_user_is_locked_out_and_loses_devices_and_numbers_before_it_goes() {
    let gone = [
        "DELETE domains/acme.example/users/1042/devices null",
        r#"PUT domains/acme.example/phonenumbers {"dial-rule-application":"available-number","dial-rule-translation-destination-user":"[*]"}"#,
        "DELETE domains/acme.example/users/1042 null",
    ];
    check(Absent, &dana(), present("1042", Some(false), &locked()), &gone);
    let planned = Case::new(Absent, &dana(), present("1042", Some(true), &seen())).planned();
    let lines_of = lines(&planned);
    assert_eq!(lines_of[1..4], gone);
    assert!(lines_of[0].starts_with("PUT domains/acme.example/users/1042 "), "{lines_of:?}");
    assert!(lines_of[0].contains(r#""user-scope":"No Portal""#), "{lines_of:?}");
    // Who may not be changed can still be removed, and comes back as before if that does not happen.
    assert_eq!(planned.calls[0].if_refused, Some(Effect::default()));
    assert_eq!(planned.keep.unwrap()["user-scope"], "Basic User");
    let wanted = Wanted {
        presence: Absent,
        account: None,
        keys: &keys(Some("10/42")),
        kept: None,
        secrets_changed: false,
        made: &BTreeSet::new(),
    };
    let planned = lines(&plan(&config(), V45, &wanted, &Observed::default()));
    assert_eq!(planned[3], "DELETE domains/acme.example/users/10%2F42 null");
}

#[test]
fn the_spelling_follows_the_release() {
    let fields = json!({"user": "1042", "directory-announce-in-dial-by-name-enabled": "no"});
    let spelled = |release| {
        let mut case = Case::new(Active, &fields, Observed::absent());
        case.release = release;
        case.planned()
    };
    assert!(lines(&spelled(V45))[0].contains(r#""directory-announce-in-dial-by-name-enabled":"no""#));
    assert!(lines(&spelled(V44))[0].contains(r#""directory-annouce-in-dial-by-name-enabled":"no""#));
    // What is known of the account keeps one name.
    assert!(spelled(V44).calls[0].effect.fields.contains_key("directory-announce-in-dial-by-name-enabled"));
    let shown = json!({"user": "1042", "directory-annouce-in-dial-by-name-enabled": "no"});
    assert_eq!(user(&config(), &shown).unwrap().fields["directory-announce-in-dial-by-name-enabled"], json!("no"));
    let mut call = spelled(V45).calls[0].clone();
    assert!(depends_on_release(&call));
    spell(&mut call, V44);
    assert!(call.fields.iter().any(|(name, _)| name == "directory-annouce-in-dial-by-name-enabled"));
}

#[test]
fn a_release_is_read_from_what_servers_write() {
    let check = |text: &str, expected: Option<(u32, u32)>| {
        assert_eq!(Release::parse(text), expected.map(|(major, minor)| Release { major, minor }), "{text}");
    };
    check("45.0.1", Some((45, 0)));
    check("v44.3", Some((44, 3)));
    check("NetSapiens 44", Some((44, 0)));
    check("", None);
    check("latest", None);
    check("99999999999999", None);
}

#[test]
fn a_user_is_read_in_any_of_its_forms() {
    let check = |body: Value, expected: Option<(&str, Option<bool>)>| {
        let user = user(&config(), &body);
        let found = user.as_ref().map(|user| (user.remote_id.as_deref().unwrap_or_default(), user.active));
        assert_eq!(found, expected, "{body}");
    };
    check(json!({"user": "1042"}), Some(("1042", None)));
    check(json!({"user": 1042, "user-scope": "Basic User"}), Some(("1042", Some(true))));
    check(json!([{"user": "1042", "scope": "Basic User"}]), Some(("1042", Some(true))));
    check(
        json!({"user": "1042", "user-scope": "No Portal ", "dial-policy": "Deny All", "voicemail-enabled": "no"}),
        Some(("1042", Some(false))),
    );
    check(json!({"user": "1042", "user-scope": "No Portal", "voicemail-enabled": false}), Some(("1042", None)));
    check(json!({"code": 202, "message": "Accepted"}), None);
    check(json!([]), None);
    check(json!([{"user": "1"}, {"user": "2"}]), None);
    check(json!("1042"), None);
    let with_pin = user(&config(), &json!({"user": "1042", "voicemail-login-pin": "4711"})).unwrap();
    assert!(!with_pin.fields.contains_key("voicemail-login-pin"));
    let old =
        user(&config(), &json!({"user": "1042", "first_name": "Dana ", "subscriber_login": "d@x", "department": ""}))
            .unwrap();
    assert_eq!(old.fields["name-first-name"], json!("Dana"));
    assert_eq!(old.fields["login-username"], json!("d@x"));
    assert_eq!(old.fields["department"], Value::Null);
}

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, retry_after: None, body: body.to_owned(), writes: true }
}

#[test]
fn a_status_and_a_message_make_an_error() {
    let check = |status: u16, body: &str, is_update: bool, expected: &str| {
        let error = error(&reply(status, body), is_update, &[Known::field("user", "1042")]);
        let field = match &error {
            TargetError::Refused { field, .. } | TargetError::Conflict { field, .. } => {
                field.clone().unwrap_or_default()
            }
            _ => String::new(),
        };
        assert_eq!(format!("{} {field}", error.code()).trim(), expected, "{status} {body}");
        assert!(!error.to_string().contains("1042"), "{error}");
    };
    check(400, r#"{"code":400,"message":"bad"}"#, false, "http-400");
    check(
        400,
        r#"{"code":400,"message":"caller-id-number-emergency must be an integer"}"#,
        false,
        "http-400 caller-id-number-emergency",
    );
    check(400, "", false, "http-400");
    check(401, "", false, "target-unauthorized");
    check(403, r#"{"code":403,"message":"Permission Denied"}"#, false, "target-unauthorized");
    check(404, r#"{"code":404,"message":"User 1042 does not exist in domain acme.example"}"#, true, "target-missing");
    check(404, r#"{"code":404,"message":"Domain acme.example does not exist"}"#, false, "target-unauthorized");
    check(404, r#"{"code":404,"message":"No Route Found [92]"}"#, false, "no-route");
    check(404, "<html>Not found</html>", false, "target-unauthorized");
    check(404, "", false, "target-missing");
    check(409, r#"{"code":409,"message":"UID already exists."}"#, false, "target-conflict");
    check(409, r#"{"code":409,"message":"UID already exists."}"#, true, "target-conflict login-username");
    check(429, "", false, "target-throttled");
    check(500, r#"{"code":500,"message":"User 1042"}"#, false, "target-unavailable");
    check(418, "tea for 1042", false, "http-418");
}

#[test]
fn numbers_become_integers_only_where_the_server_asks_for_it() {
    let body = json!({"caller-id-number": "18585551234", "voicemail-login-pin": "0012", "department": "7"});
    let body = body.as_object().unwrap();
    let changed = with_integers(body, "caller-id-number must be an integer").unwrap();
    assert_eq!(changed["caller-id-number"], json!(18_585_551_234_u64));
    assert_eq!(changed["department"], json!("7"));
    assert_eq!(with_integers(body, "department is too long"), None);
    let body = json!({"caller-id-number": "[*]"});
    assert_eq!(with_integers(body.as_object().unwrap(), "caller-id-number"), None);
}

#[test]
fn numbers_and_devices_of_an_extension_are_found() {
    let numbers = json!([
        {"phonenumber": "18585551234", "dial-rule-application": "to-user", "dial-rule-translation-destination-user": "1042"},
        {"phonenumber": 18585551235_u64, "dial-rule-application": "to-user", "dial-rule-translation-destination-user": 1042},
        {"phonenumber": "18585551236", "dial-rule-application": "to-user", "dial-rule-translation-destination-user": "104"},
        {"phonenumber": "18585551237", "dial-rule-application": "available-number", "dial-rule-translation-destination-user": "[*]"},
        "odd", null,
    ]);
    assert_eq!(numbers_of(&numbers, "1042"), ["18585551234", "18585551235"]);
    assert!(numbers_of(&json!({}), "1042").is_empty());
    assert_eq!(devices(&json!([{"device": "1042a"}, {"device": 1042}, {}, 7])), ["1042a", "1042"]);
}

fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("user|user-scope|dial-policy|message|phonenumber|device|[a-z]{1,3}", inner), 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest::proptest! {
    #[test]
    fn no_reply_makes_the_reader_panic(status in 100u16..600, text in ".*", body in any_json()) {
        for text in [text, body.to_string()] {
            let reply = reply(status, &text);
            let _ = json(&reply);
            let _ = message(&reply);
            let _ = error(&reply, true, &[]);
        }
        let _ = user(&config(), &body);
        let _ = numbers_of(&body, "1042");
        let _ = devices(&body);
    }
}
