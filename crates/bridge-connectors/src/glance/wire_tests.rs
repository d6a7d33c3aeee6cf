//! Tables for planning and reading, without a network.

use std::collections::BTreeSet;

use bridge_mapping::TargetKind;
use serde_json::json;

use super::*;
use crate::Presence::{Absent, Active, Suspended};
use crate::testing::{account, after, keys, lines, present};

fn dana() -> Value {
    json!({
        "PartnerUserID": "scim-1", "UserAddress": "Dana.Ortiz.acme.glance.net", "UserFirst": "Dana", "UserLast": "Ortiz",
        "UserEmail": "dana.ortiz@acme.example", "UserRole": "Support"
    })
}

fn with(changes: &Value) -> Value {
    let mut dana = dana();
    let fields = dana.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        fields.insert(name.clone(), value.clone());
    }
    dana
}

fn planned(presence: Presence, fields: &Value, observed: &Observed, secrets_changed: bool) -> Plan {
    let account = account(TargetKind::Glance, fields);
    let keys = keys(None);
    plan(
        &Wanted { presence, account: Some(&account), keys: &keys, kept: None, secrets_changed, made: &BTreeSet::new() },
        observed,
    )
}

fn check(presence: Presence, fields: &Value, observed: &Observed, expected: &[&str]) {
    assert_eq!(lines(&planned(presence, fields, observed, false)), expected, "{presence:?} {fields} {observed:?}");
}

#[test]
fn an_account_is_made_with_all_its_fields() {
    let new_user = r#"POST NewUser.asp {"PartnerUserID":"scim-1","UserAddress":"dana.ortiz.acme.glance.net","UserFirst":"Dana","UserLast":"Ortiz","UserEmail":"dana.ortiz@acme.example","UserRole":"Support"}"#;
    let unknown = Observed::default();
    check(Active, &dana(), &unknown, &[new_user]);
    check(Active, &dana(), &Observed::absent(), &[new_user]);
    // Nobody is made only to be suspended or deleted.
    check(Suspended, &dana(), &Observed::absent(), &[]);
    check(Absent, &dana(), &Observed::absent(), &[]);
    // Without a mapped id the SCIM id is the handle; empty fields are never sent.
    let short = json!({"UserAddress": "a.glance.net", "UserFirst": "", "UserRole": null});
    check(Active, &short, &unknown, &[r#"POST NewUser.asp {"PartnerUserID":"scim-1","UserAddress":"a.glance.net"}"#]);
    let secret = json!({"UserAddress": "a.glance.net", "UserPW": {"secret": "generated"}});
    check(
        Active,
        &secret,
        &unknown,
        &[r#"POST NewUser.asp {"PartnerUserID":"scim-1","UserAddress":"a.glance.net","UserPW":"***"}"#],
    );
    // Created suspended: two calls.
    let suspended = json!({"UserAddress": "a.glance.net", "UserSuspended": true});
    check(
        Active,
        &suspended,
        &unknown,
        &[
            r#"POST NewUser.asp {"PartnerUserID":"scim-1","UserAddress":"a.glance.net"}"#,
            r#"POST UpdateUser.asp {"PartnerUserID":"scim-1","UserSuspended":"1"}"#,
        ],
    );
}

#[test]
fn after_a_create_nothing_is_left_to_do() {
    for fields in [dana(), with(&json!({"UserSuspended": true})), with(&json!({"UserRole": ""}))] {
        let plan = planned(Active, &fields, &Observed::default(), false);
        check(Active, &fields, &after(&plan, Observed::default()), &[]);
    }
}

#[test]
fn only_what_differs_is_sent() {
    let seen = present("scim-1", Some(true), &dana());
    check(Active, &dana(), &seen, &[]);
    let cases = [
        (json!({"UserLast": "Otero"}), r#""UserLast":"Otero""#),
        (json!({"UserEmail": "d@acme.example"}), r#""UserEmail":"d@acme.example""#),
        (json!({"UserAddress": "D.acme.glance.net"}), r#""UserAddress":"d.acme.glance.net""#),
        (json!({"UserRole": "Sales"}), r#""UserRole":"Sales""#),
        (json!({"UserRole": ""}), r#""UserRole":"-none-""#),
        (json!({"UserFirst": "D", "UserLast": "O"}), r#""UserFirst":"D","UserLast":"O""#),
    ];
    for (change, sent) in cases {
        let expected = format!(r#"POST UpdateUser.asp {{"PartnerUserID":"scim-1",{sent}}}"#);
        check(Active, &with(&change), &seen, &[&expected]);
        let plan = planned(Active, &with(&change), &seen, false);
        check(Active, &with(&change), &after(&plan, seen.clone()), &[]);
    }
    // Letter case of an address is no difference, of a name it is.
    check(Active, &with(&json!({"UserAddress": "DANA.ortiz.acme.glance.net"})), &seen, &[]);
    check(
        Active,
        &with(&json!({"UserLast": "ORTIZ"})),
        &seen,
        &[r#"POST UpdateUser.asp {"PartnerUserID":"scim-1","UserLast":"ORTIZ"}"#],
    );
}

#[test]
fn what_nobody_has_seen_is_sent() {
    let seen = present("scim-1", None, &json!({"UserAddress": "dana.ortiz.acme.glance.net"}));
    let fields = json!({"UserAddress": "dana.ortiz.acme.glance.net", "UserLast": "Ortiz"});
    check(
        Active,
        &fields,
        &seen,
        &[r#"POST UpdateUser.asp {"PartnerUserID":"scim-1","UserLast":"Ortiz","UserSuspended":"0"}"#],
    );
}

#[test]
fn what_cannot_be_cleared_is_a_task() {
    let seen = present("scim-1", Some(true), &dana());
    check(Active, &with(&json!({"UserEmail": ""})), &seen, &["task cannot-clear UserEmail"]);
    check(
        Active,
        &with(&json!({"UserEmail": null, "UserLast": "Otero"})),
        &seen,
        &[r#"POST UpdateUser.asp {"PartnerUserID":"scim-1","UserLast":"Otero"}"#, "task cannot-clear UserEmail"],
    );
    // Nobody knows that there is anything to clear.
    let unseen = present("scim-1", Some(true), &json!({}));
    check(Active, &json!({"UserEmail": ""}), &unseen, &[]);
}

#[test]
fn suspension_and_return_send_the_flag_alone() {
    let suspend = r#"POST UpdateUser.asp {"PartnerUserID":"scim-1","UserSuspended":"1"}"#;
    let reinstate = r#"POST UpdateUser.asp {"PartnerUserID":"scim-1","UserSuspended":"0"}"#;
    let changed = with(&json!({"UserLast": "Otero"}));
    check(Suspended, &changed, &present("scim-1", Some(true), &dana()), &[suspend]);
    check(Suspended, &changed, &present("scim-1", None, &dana()), &[suspend]);
    check(Suspended, &changed, &present("scim-1", Some(false), &dana()), &[]);
    check(Suspended, &changed, &Observed::default(), &[suspend]);
    check(Active, &dana(), &present("scim-1", Some(false), &dana()), &[reinstate]);
    check(Active, &dana(), &present("scim-1", None, &dana()), &[reinstate]);
}

#[test]
fn an_account_goes_by_the_handle_that_it_has() {
    check(
        Absent,
        &dana(),
        &present("other", Some(true), &dana()),
        &[r#"POST DeleteUser.asp {"PartnerUserID":"other"}"#],
    );
    check(
        Suspended,
        &dana(),
        &present("other", Some(true), &dana()),
        &[r#"POST UpdateUser.asp {"PartnerUserID":"other","UserSuspended":"1"}"#],
    );
    let wanted = Wanted {
        presence: Absent,
        account: None,
        keys: &keys(Some("stored")),
        kept: None,
        secrets_changed: false,
        made: &BTreeSet::new(),
    };
    assert_eq!(lines(&plan(&wanted, &Observed::default())), [r#"POST DeleteUser.asp {"PartnerUserID":"stored"}"#]);
}

#[test]
fn an_account_without_handle_is_a_task() {
    let seen = Observed { unmanageable: Some("it has none".into()), ..present("", Some(true), &dana()) };
    for presence in [Active, Suspended, Absent] {
        check(presence, &dana(), &seen, &["task cannot-manage PartnerUserID"]);
    }
}

#[test]
fn a_password_is_sent_when_it_is_new() {
    let fields = with(&json!({"UserPW": {"secret": "supplied"}}));
    let seen = present("scim-1", Some(true), &dana());
    assert!(planned(Active, &fields, &seen, false).is_empty());
    let plan = planned(Active, &fields, &seen, true);
    assert_eq!(lines(&plan), [r#"POST UpdateUser.asp {"PartnerUserID":"scim-1","UserPW":"***"}"#]);
    let mut call = plan.calls[0].clone();
    assert_eq!(form(&call), None);
    assert_eq!(call.needs_secrets().len(), 1);
    call.fill("UserPW", "planted-secret".into());
    let sent: BTreeSet<(String, String)> = form(&call).unwrap().into_iter().collect();
    assert!(sent.contains(&("UserPW".to_owned(), "planted-secret".to_owned())));
}

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, retry_after: None, body: body.to_owned(), writes: true }
}

#[test]
fn success_is_a_status_of_ok_and_nothing_else() {
    let check = |status: u16, body: &str, expected: &str| {
        let found = match answer(&reply(status, body)) {
            Ok(Answer::Ok(_)) => "ok".to_owned(),
            Ok(Answer::Failure(said)) => format!("failure: {said}"),
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(found, expected, "{status} {body}");
    };
    check(200, "<?xml version=\"1.0\" standalone=\"yes\"?>\n<response>\n  <status>OK</status>\n</response>", "ok");
    check(200, "<response><status> ok </status></response>", "ok");
    check(200, "<response><status>OK</status><dialIn>1 (605) 555-0100</dialIn></response>", "ok");
    check(200, "<response><status>Failed</status><reason>no role</reason></response>", "failure: Failed: no role");
    check(200, "<response><status>OKAY</status></response>", "failure: OKAY");
    check(400, "<response><status>OK</status></response>", "failure: OK");
    check(404, "<response><status>Failed</status></response>", "failure: Failed");
    check(200, "<html><body>It works</body></html>", "target-garbled");
    check(200, "", "target-garbled");
    check(200, "<response><status>OK</status>", "target-garbled");
    check(401, "", "target-unauthorized");
    check(403, "<html/>", "target-unauthorized");
    check(404, "<html/>", "target-unauthorized");
    check(302, "", "target-unauthorized");
    check(429, "", "target-throttled");
    check(408, "", "target-unavailable");
    check(500, "<response><status>OK</status></response>", "target-unavailable");
    check(503, "<html/>", "target-unavailable");
}

fn shown(xml: &str) -> Users {
    users(&xml::parse(xml).unwrap(), &BTreeMap::new()).unwrap()
}

#[test]
fn a_list_is_read_whatever_its_elements_are_called() {
    let check = |xml: &str, ids: &[&str], active: &[Option<bool>], next: Option<&str>| {
        let shown = shown(xml);
        let found: Vec<&str> = shown.users.iter().map(|user| user.remote_id.as_deref().unwrap_or("none")).collect();
        assert_eq!(found, ids, "{xml}");
        assert_eq!(shown.users.iter().map(|user| user.active).collect::<Vec<_>>(), active, "{xml}");
        assert_eq!(shown.next.as_deref(), next, "{xml}");
    };
    check(
        "<response><status>OK</status><users><user><partneruserid>b7c1</partneruserid><useraddress>d.glance.net</useraddress>\
         <usersuspended>0</usersuspended><useractive>1</useractive></user></users><nextpage>4711</nextpage></response>",
        &["b7c1"],
        &[Some(true)],
        Some("4711"),
    );
    // No wrapper, other names, other case.
    check(
        "<Response><Status>OK</Status><User><PUID>a</PUID><Suspended>yes</Suspended></User>\
         <User><puid>b</puid><Active>false</Active></User></Response>",
        &["a", "b"],
        &[Some(false), Some(false)],
        None,
    );
    // Attributes; suspended wins over active.
    check(
        r#"<response status="OK"><u puid="a" suspended="true" active="true"/></response>"#,
        &["a"],
        &[Some(false)],
        None,
    );
    // The flag is missing or empty: unknown.
    check("<response><status>OK</status><user><puid>a</puid><suspended/></user></response>", &["a"], &[None], None);
    check("<response><status>OK</status><users/><nextpage></nextpage></response>", &[], &[], None);
    check("<response><status>OK</status><paging><next> 9 </next></paging></response>", &[], &[], Some("9"));
    check(
        "<response><status>OK</status><user><address>a.glance.net</address></user></response>",
        &["none"],
        &[None],
        None,
    );
}

#[test]
fn a_user_without_partner_user_id_cannot_be_driven() {
    let users = shown("<r><status>OK</status><user><puid/><username>a.glance.net</username></user></r>").users;
    assert!(users[0].unmanageable.is_some());
    assert_eq!(users[0].fields["UserAddress"], json!("a.glance.net"));
}

#[test]
fn no_role_is_a_known_absence() {
    let users = shown("<r><user><puid>a</puid><role>-none-</role><useremail/></user></r>").users;
    assert_eq!(users[0].fields["UserRole"], Value::Null);
    assert_eq!(users[0].fields["UserEmail"], Value::Null);
    assert!(!users[0].fields.contains_key("UserFirst"));
}

#[test]
fn names_that_nobody_knows_are_configured() {
    let xml = "<r><user><handle>a</handle><mail>a@b.example</mail><shoe>44</shoe></user></r>";
    let root = xml::parse(xml).unwrap();
    assert!(users(&root, &BTreeMap::new()).is_err());
    let names = [("handle", "PartnerUserID"), ("mail", "UserEmail")];
    let names = names.map(|(element, field)| (element.to_owned(), field.to_owned())).into();
    let users = users(&root, &names).unwrap();
    assert_eq!(users.users[0].remote_id.as_deref(), Some("a"));
    assert_eq!(users.users[0].fields["UserEmail"], json!("a@b.example"));
    assert_eq!(users.unknown, ["shoe"]);
}

#[test]
fn evidence_says_which_keys_the_account_equals() {
    let found = shown(
        "<r><user><puid>scim-1</puid><address>D.acme.glance.net</address><useremail>D@acme.example</useremail></user></r>",
    );
    let mut keys = keys(Some("scim-1"));
    keys.fields.insert("UserAddress".into(), "d.acme.glance.net".into());
    keys.fields.insert("UserEmail".into(), "d@acme.example".into());
    let evidence = with_evidence(found.users[0].clone(), &keys).evidence;
    assert!(evidence.remote_id && evidence.marker && evidence.natural_key && evidence.email);
    // Another case is another handle.
    let keys = AccountKeys { remote_id: None, marker: "SCIM-1".into(), ..keys };
    let evidence = with_evidence(found.users[0].clone(), &keys).evidence;
    assert!(!evidence.remote_id && !evidence.marker);
}

#[test]
fn values_with_a_meaning_to_the_search_are_not_searched_for() {
    assert!(exact("PartnerUserID", "b7c1f2d0-emp-4711").is_ok());
    assert!(exact("PartnerUserID", "Sales*").is_err());
    assert!(exact("PartnerUserID", "-NONE-").is_err());
}

proptest::proptest! {
    #[test]
    fn no_reply_makes_the_reader_panic(status in 100u16..600, body in ".*", names in proptest::collection::vec("user|puid|role|suspended|next|[a-z]{1,3}", 0..12)) {
        let _ = answer(&reply(status, &body));
        let tags: String = names.iter().map(|name| format!("<{name}>{body}</{name}>")).collect();
        if let Ok(Answer::Ok(root)) = answer(&reply(200, &format!("<r><status>OK</status><user>{tags}</user>{tags}</r>"))) {
            let _ = users(&root, &BTreeMap::new());
        }
    }
}
