//! The Glance simulator over real HTTP: what it accepts, what it refuses, and what it answers.

use crate::common::{NOW_SECONDS, options};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bridge_simulators::credentials::glance as credentials;
use bridge_simulators::{GlanceOptions, Options, Simulator, start_glance};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;

const OK: &str = "<?xml version=\"1.0\" standalone=\"yes\"?>\n<response>\n  <status>OK</status>\n</response>\n";

async fn glance() -> Simulator {
    start_glance(&options()).await.unwrap()
}

/// Posts a form exactly as given: status and body.
async fn post_raw(glance: &Simulator, operation: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let url = format!("{}{operation}", glance.api_url());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = client.post(url).form(fields).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Posts a form with the administrator's password.
async fn post(glance: &Simulator, operation: &str, fields: &[(&str, &str)]) -> String {
    let mut all = vec![("PartnerLogin", credentials::PARTNER_LOGIN), ("PartnerPW", credentials::PARTNER_PASSWORD)];
    all.extend_from_slice(fields);
    let (status, body) = post_raw(glance, operation, &all).await;
    assert_eq!(status, 200, "{operation} {fields:?}");
    body
}

/// The reason of a failure document, if it is one.
fn reason(body: &str) -> Option<&str> {
    assert!(body.starts_with("<?xml version=\"1.0\" standalone=\"yes\"?>\n<response>\n  <status>"), "{body}");
    let (_, rest) = body.split_once("<status>Failed</status>\n  <reason>")?;
    rest.split_once("</reason>").map(|(reason, _)| reason)
}

/// The texts of all elements of one name.
fn texts<'a>(body: &'a str, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    body.split(open.as_str()).skip(1).filter_map(|rest| rest.split_once(close.as_str()).map(|(text, _)| text)).collect()
}

const DANA: [(&str, &str); 6] = [
    ("PartnerUserID", "b7c1f2d0-emp-4711"),
    ("UserAddress", "dana.ortiz.acme.glance.net"),
    ("UserFirst", "Dana"),
    ("UserLast", "Ortiz"),
    ("UserEmail", "dana.ortiz@acme.example"),
    ("UserRole", "Support"),
];

async fn add(glance: &Simulator, id: &str, address: &str, more: &[(&str, &str)]) {
    let mut fields = vec![("PartnerUserID", id), ("UserAddress", address)];
    fields.extend_from_slice(more);
    assert_eq!(post(glance, "NewUser.asp", &fields).await, OK);
}

#[tokio::test]
async fn a_user_is_created_shown_changed_suspended_and_deleted() {
    let glance = glance().await;
    assert_eq!(post(&glance, "NewUser.asp", &DANA).await, OK);
    let shown = post(&glance, "ShowUsers.asp", &[("PageCount", "1"), ("PartnerUserID", "b7c1f2d0-emp-4711")]).await;
    let expected = r#"<?xml version="1.0" standalone="yes"?>
<response>
  <status>OK</status>
  <users>
    <user>
      <partneruserid>b7c1f2d0-emp-4711</partneruserid>
      <useraddress>dana.ortiz.acme.glance.net</useraddress>
      <userfirst>Dana</userfirst>
      <userlast>Ortiz</userlast>
      <useremail>dana.ortiz@acme.example</useremail>
      <userrole>Support</userrole>
      <usersuspended>0</usersuspended>
      <useractive>1</useractive>
    </user>
  </users>
</response>
"#;
    assert_eq!(shown, expected);

    let id = ("PartnerUserID", "b7c1f2d0-emp-4711");
    let update =
        [id, ("UserLast", "Ortiz & Sons"), ("UserSuspended", "1"), ("UserFirst", ""), ("UserPW", "longenough")];
    assert_eq!(post(&glance, "UpdateUser.asp", &update).await, OK);
    let shown = post(&glance, "ShowUsers.asp", &[("PageCount", "1"), id]).await;
    assert_eq!(texts(&shown, "userlast"), ["Ortiz &amp; Sons"]);
    assert_eq!(texts(&shown, "userfirst"), ["Dana"], "an empty field is ignored");
    assert_eq!((texts(&shown, "usersuspended"), texts(&shown, "useractive")), (vec!["1"], vec!["0"]));
    assert_eq!(texts(&shown, "useremail"), ["dana.ortiz@acme.example"]);
    let account = json!({
        "PartnerID": "98765", "PartnerUserID": "b7c1f2d0-emp-4711", "UserAddress": "dana.ortiz.acme.glance.net",
        "UserFirst": "Dana", "UserLast": "Ortiz & Sons", "UserEmail": "dana.ortiz@acme.example", "UserRole": "Support",
        "UserSuspended": true, "AudioProvider": null, "has_password": true,
    });
    assert_eq!(glance.accounts(), [account]);

    assert_eq!(post(&glance, "DeleteUser.asp", &[id]).await, OK);
    assert_eq!(reason(&post(&glance, "DeleteUser.asp", &[id]).await), Some("No user has this PartnerUserID"));
    assert_eq!(post(&glance, "NewUser.asp", &DANA).await, OK, "deletion frees both keys");
    glance.stop().await;
}

#[tokio::test]
async fn suspension_understands_all_documented_words_and_wins_over_the_deprecated_field() {
    let glance = glance().await;
    add(&glance, "1", "a.glance.net", &[]).await;
    let table: [(&[(&str, &str)], bool); 10] = [
        (&[("UserSuspended", "1")], true),
        (&[("UserSuspended", "0")], false),
        (&[("UserSuspended", "yes")], true),
        (&[("UserSuspended", "no")], false),
        (&[("UserSuspended", "TRUE")], true),
        (&[("UserFirst", "A")], true),
        (&[("UserSuspended", "false")], false),
        (&[("UserActive", "0")], true),
        (&[("UserActive", "true")], false),
        (&[("UserActive", "1"), ("UserSuspended", "1")], true),
    ];
    for (fields, suspended) in table {
        let mut all = vec![("PartnerUserID", "1")];
        all.extend_from_slice(fields);
        assert_eq!(post(&glance, "UpdateUser.asp", &all).await, OK);
        assert_eq!(glance.accounts()[0]["UserSuspended"], suspended, "{fields:?}");
    }
    glance.stop().await;
}

#[tokio::test]
async fn each_rule_for_a_new_user_is_enforced() {
    let glance = glance().await;
    add(&glance, "taken", "taken.glance.net", &[]).await;
    glance.seed(
        json!({"PartnerID": credentials::OTHER_PARTNER_ID, "PartnerUserID": "far", "UserAddress": "far.glance.net"}),
    );
    let long = |count: usize| "x".repeat(count);
    let check = async |fields: &[(&str, &str)], expected: Option<&str>| {
        let answer = post(&glance, "NewUser.asp", fields).await;
        assert_eq!(reason(&answer), expected, "{fields:?}");
    };
    let id = ("PartnerUserID", "1");
    let address = ("UserAddress", "a.glance.net");
    check(&[address], Some("PartnerUserID is missing")).await;
    check(&[("PartnerUserID", ""), address], Some("PartnerUserID is missing")).await;
    check(&[("PartnerUserID", &long(256)), address], Some("PartnerUserID is longer than 255 characters")).await;
    check(&[id], Some("UserAddress is missing")).await;
    let bad_address = Some("The UserAddress is not a valid Glance Address");
    for bad in ["a.example", ".a.glance.net", "a-.glance.net", "a b.glance.net", "glance.net"] {
        check(&[id, ("UserAddress", bad)], bad_address).await;
    }
    let too_long = format!("{}.glance.net", long(117));
    check(&[id, ("UserAddress", &too_long)], Some("UserAddress is longer than 127 characters")).await;
    check(&[id, address, ("UserPW", "1234567")], Some("UserPW must have at least 8 characters")).await;
    check(&[id, address, ("UserPW", &long(50))], Some("UserPW is longer than 49 characters")).await;
    check(&[id, address, ("UserFirst", &long(50))], Some("UserFirst is longer than 49 characters")).await;
    check(&[id, address, ("UserLast", &long(50))], Some("UserLast is longer than 49 characters")).await;
    check(&[id, address, ("UserEmail", &long(128))], Some("UserEmail is longer than 127 characters")).await;
    check(&[id, address, ("UserRole", &long(32))], Some("UserRole is longer than 31 characters")).await;
    check(&[id, address, ("UserRole", "Nobody")], Some("The UserRole is not provisioned")).await;
    check(&[id, address, ("AudioProvider", "2")], Some("The AudioProvider is unknown")).await;
    check(&[("PartnerUserID", "TAKEN"), address], Some("The PartnerUserID is already in use")).await;
    check(&[id, ("UserAddress", "Taken.glance.net")], Some("The UserAddress is already in use")).await;
    check(&[id, ("UserAddress", "far.glance.net")], Some("The UserAddress is already in use")).await;
    assert_eq!(glance.accounts().len(), 2);
    let full = [
        ("PartnerUserID", &*long(255)),
        ("UserAddress", "a.glance.net"),
        ("UserPW", &long(49)),
        ("UserFirst", &long(49)),
        ("UserRole", "-none-"),
    ];
    check(&full, None).await;
    check(&[("PartnerUserID", "far"), ("UserAddress", "b.glance.net")], None).await;
    check(&[("partneruserid", "case"), ("USERADDRESS", "c.glance.net")], None).await;
    glance.stop().await;
}

#[tokio::test]
async fn each_rule_for_an_update_is_enforced() {
    let glance = glance().await;
    add(&glance, "1", "a.glance.net", &[("UserRole", "Support")]).await;
    add(&glance, "2", "b.glance.net", &[]).await;
    glance.seed(json!({"UserAddress": "portal.glance.net"}));
    let check = async |fields: &[(&str, &str)], expected: Option<&str>| {
        let answer = post(&glance, "UpdateUser.asp", fields).await;
        assert_eq!(reason(&answer), expected, "{fields:?}");
    };
    let id = ("PartnerUserID", "1");
    check(&[], Some("PartnerUserID is missing")).await;
    check(&[("PartnerUserID", "3")], Some("No user has this PartnerUserID")).await;
    check(&[("PartnerUserID", "-none-")], Some("No user has this PartnerUserID")).await;
    check(&[id, ("UserAddress", "b.glance.net")], Some("The UserAddress is already in use")).await;
    check(&[id, ("UserAddress", "b")], Some("The UserAddress is not a valid Glance Address")).await;
    check(&[id, ("UserRole", "Nobody")], Some("The UserRole is not provisioned")).await;
    check(&[id, ("UserPW", "short")], Some("UserPW must have at least 8 characters")).await;
    let words = "must be one of 1, 0, yes, no, true, false";
    check(&[id, ("UserSuspended", "maybe")], Some(&format!("UserSuspended {words}"))).await;
    check(&[id, ("UserActive", "2")], Some(&format!("UserActive {words}"))).await;
    check(&[id, ("UserAddress", "A.glance.net")], None).await;
    check(&[id, ("UserAddress", "c.glance.net"), ("UserRole", "")], None).await;
    assert_eq!(
        (&glance.accounts()[0]["UserAddress"], &glance.accounts()[0]["UserRole"]),
        (&json!("c.glance.net"), &json!(null))
    );
    add(&glance, "4", "a.glance.net", &[]).await;
    glance.stop().await;
}

/// A LoginKey for the simulator's group.
fn login_key(expires: i64, user: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(credentials::API_KEY.as_bytes()).unwrap();
    mac.update(format!("{}{user}1{expires}", credentials::PARTNER_ID).as_bytes());
    format!("$1${expires}${}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn every_call_proves_who_makes_it() {
    let glance = glance().await;
    let check = async |fields: &[(&str, &str)], expected: Option<&str>| {
        for operation in ["ShowUsers.asp", "ShowRoles.asp"] {
            let mut all = vec![("PageCount", "1")];
            all.extend_from_slice(fields);
            let (status, answer) = post_raw(&glance, operation, &all).await;
            assert_eq!((status, reason(&answer)), (200, expected), "{fields:?}");
        }
    };
    let login = ("PartnerLogin", credentials::PARTNER_LOGIN);
    let password = ("PartnerPW", credentials::PARTNER_PASSWORD);
    let group = ("PartnerID", credentials::PARTNER_ID);
    check(&[], Some("PartnerLogin is missing")).await;
    check(&[login], Some("PartnerPW or PartnerAuth is missing")).await;
    let wrong = Some("The PartnerLogin or its password is wrong");
    check(&[login, ("PartnerPW", "guess")], wrong).await;
    check(&[("PartnerLogin", "nobody.glance.net"), password], wrong).await;
    check(&[("PartnerLogin", credentials::INACTIVE_LOGIN), password], Some("The PartnerLogin is not active")).await;
    check(&[login, password, ("PartnerID", "1")], Some("The PartnerID is not the group of the PartnerLogin")).await;
    check(&[login, password], None).await;
    check(&[login, password, group], None).await;

    let with_key = async |expires: i64, user: &str, expected: Option<&str>| {
        check(&[login, group, ("PartnerAuth", &login_key(expires, user))], expected).await;
    };
    with_key(NOW_SECONDS + 600, credentials::ADMINISTRATOR_ID, None).await;
    with_key(NOW_SECONDS + 86_400, credentials::ADMINISTRATOR_ID, None).await;
    let far = Some("The LoginKey expires too far ahead");
    with_key(NOW_SECONDS + 86_401, credentials::ADMINISTRATOR_ID, far).await;
    with_key(NOW_SECONDS, credentials::ADMINISTRATOR_ID, Some("The LoginKey has expired")).await;
    let unsigned = Some("The LoginKey is not signed with the group's API key");
    with_key(NOW_SECONDS + 600, "somebody", unsigned).await;
    check(&[login, ("PartnerAuth", "secret")], Some("The LoginKey is malformed")).await;

    glance.advance(std::time::Duration::from_secs(600));
    with_key(NOW_SECONDS + 600, credentials::ADMINISTRATOR_ID, Some("The LoginKey has expired")).await;
    glance.stop().await;
}

#[tokio::test]
async fn users_are_found_by_id_address_and_role_with_wildcards_and_none() {
    let glance = glance().await;
    add(&glance, "Sales-12", "ann.acme.glance.net", &[("UserRole", "Sales")]).await;
    add(&glance, "Sales-34", "ben.acme.glance.net", &[("UserRole", "Support")]).await;
    add(&glance, "Host-34", "cat.ri.glance.net", &[]).await;
    glance.seed(json!({"UserAddress": "dan.portal.glance.net", "UserRole": "Sales"}));
    glance.seed(json!({"PartnerID": "11111", "PartnerUserID": "Sales-99", "UserAddress": "eve.acme.glance.net"}));
    let check = async |criteria: &[(&str, &str)], expected: &[&str]| {
        let mut all = vec![("PageCount", "1000")];
        all.extend_from_slice(criteria);
        let answer = post(&glance, "ShowUsers.asp", &all).await;
        assert_eq!(reason(&answer), None, "{criteria:?}");
        let found: Vec<_> = texts(&answer, "useraddress").iter().map(|address| address[..3].to_owned()).collect();
        assert_eq!(found, expected, "{criteria:?}");
        assert!(!answer.contains("<nextpage>"));
    };
    check(&[], &["ann", "ben", "cat", "dan"]).await;
    check(&[("PartnerUserID", "Sales-34")], &["ben"]).await;
    check(&[("PartnerUserID", "sales-34")], &["ben"]).await;
    check(&[("PartnerUserID", "Sales-99")], &[]).await;
    check(&[("PartnerUserID", "Sales*")], &["ann", "ben"]).await;
    check(&[("PartnerUserID", "*34")], &["ben", "cat"]).await;
    check(&[("PartnerUserID", "*")], &["ann", "ben", "cat"]).await;
    check(&[("PartnerUserID", "Sa*34")], &[]).await;
    check(&[("PartnerUserID", "-none-")], &["dan"]).await;
    check(&[("UserAddress", "BEN.acme.glance.net")], &["ben"]).await;
    check(&[("UserAddress", "*.acme.glance.net")], &["ann", "ben"]).await;
    check(&[("UserAddress", "eve.acme.glance.net")], &[]).await;
    check(&[("UserRole", "Sales")], &["ann", "dan"]).await;
    check(&[("UserRole", "-none-")], &["cat"]).await;
    check(&[("UserRole", "Sales"), ("PartnerUserID", "-none-")], &["dan"]).await;
    check(&[("PartnerUserID", "Sales-12"), ("UserRole", "Support")], &[]).await;
    check(&[("PartnerUserID", ""), ("UserAddress", "")], &["ann", "ben", "cat", "dan"]).await;
    glance.stop().await;
}

#[tokio::test]
async fn a_list_is_read_page_by_page_with_a_cursor() {
    let glance = glance().await;
    for number in 1..=5 {
        add(&glance, &number.to_string(), &format!("u{number}.glance.net"), &[]).await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = post(&glance, "ShowUsers.asp", &[("PageCount", "2"), ("PageStart", &cursor)]).await;
        seen.extend(texts(&page, "partneruserid").iter().map(|id| (*id).to_owned()));
        match texts(&page, "nextpage").first() {
            Some(next) => cursor = (*next).to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["1", "2", "3", "4", "5"]);
    let check = async |fields: &[(&str, &str)], expected: &str| {
        assert_eq!(reason(&post(&glance, "ShowUsers.asp", fields).await), Some(expected), "{fields:?}");
    };
    check(&[], "PageCount is missing").await;
    for count in ["0", "1001", "-1", "many"] {
        check(&[("PageCount", count)], "PageCount must be an integer from 1 to 1000").await;
    }
    check(&[("PageCount", "1"), ("PageStart", "next")], "PageStart is not a page of this list").await;
    check(&[("PageCount", "1"), ("PageStart", &"1".repeat(16))], "PageStart is longer than 15 characters").await;
    check(&[("PageCount", "1"), ("PartnerUserID", &"1".repeat(256))], "PartnerUserID is longer than 255 characters")
        .await;
    check(&[("PageCount", "1"), ("UserAddress", &"1".repeat(128))], "UserAddress is longer than 127 characters").await;
    glance.stop().await;
}

#[tokio::test]
async fn roles_that_somebody_has_are_listed_with_their_counts() {
    let glance = glance().await;
    add(&glance, "1", "a.glance.net", &[("UserRole", "Support")]).await;
    add(&glance, "2", "b.glance.net", &[("UserRole", "support")]).await;
    add(&glance, "3", "c.glance.net", &[]).await;
    post(&glance, "UpdateUser.asp", &[("PartnerUserID", "2"), ("UserSuspended", "1")]).await;
    let expected = r#"<?xml version="1.0" standalone="yes"?>
<response>
  <status>OK</status>
  <role><name>-none-</name><activeusers>1</activeusers><inactiveusers>0</inactiveusers><users>1</users></role>
  <role><name>Support</name><activeusers>1</activeusers><inactiveusers>1</inactiveusers><users>2</users></role>
</response>
"#;
    assert_eq!(post(&glance, "ShowRoles.asp", &[]).await, expected);
    glance.stop().await;
}

#[tokio::test]
async fn audio_conferencing_and_the_browser_redirect_answer_differently() {
    let glance = glance().await;
    let fields = [("PartnerUserID", "1"), ("UserAddress", "a.glance.net"), ("AudioProvider", "1")];
    let answer = post(&glance, "NewUser.asp", &fields).await;
    assert_eq!(texts(&answer, "status"), ["OK"]);
    assert_eq!(texts(&answer, "dialIn"), ["1 (605) 555-0100"]);
    assert_eq!(texts(&answer, "hostCode"), [format!("*{}", texts(&answer, "guestCode")[0])]);
    let fields = [
        ("PartnerLogin", credentials::PARTNER_LOGIN),
        ("PartnerPW", credentials::PARTNER_PASSWORD),
        ("PartnerUserID", "2"),
        ("UserAddress", "b.glance.net"),
        ("OKURL", "http://127.0.0.1:1/done"),
    ];
    assert_eq!(post_raw(&glance, "NewUser.asp", &fields).await.0, 302);
    assert_eq!(glance.accounts().len(), 2);
    glance.stop().await;
}

#[tokio::test]
async fn other_paths_methods_and_bodies_are_answered_as_a_web_server_would() {
    let glance = glance().await;
    assert_eq!(post_raw(&glance, "NewUser", &[]).await.0, 404);
    assert_eq!(post_raw(&glance, "../NewUser.asp", &[]).await.0, 404);
    let client = reqwest::Client::new();
    let url = format!("{}ShowUsers.asp", glance.api_url());
    assert_eq!(client.put(&url).send().await.unwrap().status(), 405);
    // GET works, though a client must not use it.
    let query =
        format!("PartnerLogin={}&PartnerPW={}&PageCount=1", credentials::PARTNER_LOGIN, credentials::PARTNER_PASSWORD);
    let answer = client.get(format!("{url}?{query}")).send().await.unwrap().text().await.unwrap();
    assert_eq!(reason(&answer), None);
    let answer = client.post(&url).body(query).send().await.unwrap().text().await.unwrap();
    assert_eq!(reason(&answer), Some("PartnerLogin is missing"), "a body that is not declared as a form is not read");
    let calls = glance.calls();
    let fields = &calls.iter().find(|call| call["method"] == "GET").unwrap()["fields"];
    assert_eq!(fields["PartnerPW"], "***");
    glance.stop().await;
}

#[tokio::test]
async fn installation_options_change_the_rules() {
    let options = Options {
        glance: GlanceOptions {
            address_suffix: ".partner.example".to_owned(),
            role_limit: 70,
            roles: vec!["r".repeat(70)],
            seats: Some(1),
            empty_clears: true,
            shows_suspended: false,
        },
        ..options()
    };
    let glance = start_glance(&options).await.unwrap();
    let role = "r".repeat(70);
    add(&glance, "1", "xyz.partner.example", &[("UserRole", &role), ("UserFirst", "A")]).await;
    post(&glance, "UpdateUser.asp", &[("PartnerUserID", "1"), ("UserFirst", "")]).await;
    assert_eq!(glance.accounts()[0]["UserFirst"], "");
    let second = post(&glance, "NewUser.asp", &[("PartnerUserID", "2"), ("UserAddress", "b.partner.example")]).await;
    assert_eq!(reason(&second), Some("The group has no free seat"));
    let shown = post(&glance, "ShowUsers.asp", &[("PageCount", "1")]).await;
    assert!(shown.contains("useraddress") && !shown.contains("suspended") && !shown.contains("useractive"), "{shown}");
    assert_eq!(glance.most_at_once(), 1);
    glance.stop().await;
}
