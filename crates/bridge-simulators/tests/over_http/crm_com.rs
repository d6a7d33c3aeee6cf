//! The CRM.COM simulator over real HTTP: what it accepts, what it refuses, and what it answers.

use std::time::Duration;

use crate::common::options;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bridge_simulators::credentials::crm_com as credentials;
use bridge_simulators::{CrmComOptions, Options, Simulator, start_crm_com};
use serde_json::{Value, json};

async fn crm() -> Simulator {
    start_crm_com(&options()).await.unwrap()
}

async fn crm_with(crm_com: CrmComOptions) -> Simulator {
    start_crm_com(&Options { crm_com, ..options() }).await.unwrap()
}

/// A POST as given: HTTP status and body.
async fn post_raw(crm: &Simulator, method: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}{method}", crm.api_url());
    let response = reqwest::Client::new().post(url).json(body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
}

async fn sign_in(crm: &Simulator, username: &str, password: &str) -> Value {
    let body = json!({"username": username, "password": password, "organisation": credentials::ORGANISATION});
    post_raw(crm, "authentication/token", &body).await.1
}

async fn token(crm: &Simulator) -> String {
    let answer = sign_in(crm, credentials::USERNAME, credentials::PASSWORD).await;
    answer["data"]["token"].as_str().unwrap().to_owned()
}

/// A POST with a fresh token; the answer's envelope.
async fn post(crm: &Simulator, method: &str, mut body: Value) -> Value {
    body["token"] = json!(token(crm).await);
    let (status, answer) = post_raw(crm, method, &body).await;
    assert_eq!(status, 200, "{method} {answer}");
    answer
}

/// A GET with a fresh token and the rest of the query exactly as given.
async fn get(crm: &Simulator, method: &str, query: &str) -> Value {
    let url = format!("{}{method}?token={}&{query}", crm.api_url(), token(crm).await);
    let response = reqwest::get(url).await.unwrap();
    assert_eq!(response.status(), 200, "{method} {query}");
    response.json().await.unwrap()
}

/// The module and name of an error code.
fn code(answer: &Value) -> &str {
    let code = answer["status"]["code"].as_str().unwrap();
    if code != "OK" {
        assert!(answer["data"].is_null() && !answer["status"]["message"].as_str().unwrap().is_empty(), "{answer}");
    }
    code.strip_prefix("COM.CRM.EXCEPTION.").unwrap_or(code)
}

fn dana() -> Value {
    json!({
        "user_template_identifier": {"name": "Contact centre agent"}, "username": "dana.ortiz", "password": "Gx7!qv02Lm",
        "password_confirmation": "Gx7!qv02Lm", "first_name": "Dana", "last_name": "Ortiz",
        "email": "dana.ortiz@acme.example", "cti_phone_extension_number": "1042", "udf_string_1": "b7c1f2d0-emp-4711",
    })
}

/// Dana with other or further members; null removes one.
fn dana_with(changes: Value) -> Value {
    let mut body = dana();
    let members = body.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.shift_remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    body
}

#[tokio::test]
async fn a_user_is_created_from_a_template_and_shown() {
    let crm = crm().await;
    let answer = post(&crm, "users/create", dana_with(json!({"fields_set": "id,username,active,email"}))).await;
    assert_eq!(answer["status"], json!({"code": "OK", "message": "", "description": ""}));
    let id = answer["data"]["id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)), "{id}");
    let expected = json!({"id": id, "username": "dana.ortiz", "active": true, "email": "dana.ortiz@acme.example"});
    assert_eq!(answer["data"], expected);

    let shown = get(&crm, "users/show", "user_identifier=username=dana.ortiz").await;
    let user = &shown["data"];
    for (name, value) in [
        ("id", json!(id)),
        ("active", json!(true)),
        ("domain", Value::Null),
        ("developer", json!(false)),
        ("super_user", json!(false)),
        ("system_user", json!(false)),
        ("person_name", json!("Dana Ortiz")),
        ("cti_enabled", json!(true)),
        ("cti_phone_extension_number", json!("1042")),
        ("ip_address", Value::Null),
        ("udf_string_1", json!("b7c1f2d0-emp-4711")),
    ] {
        assert_eq!(user.get(name), Some(&value), "{name}");
    }
    assert_eq!(user["contact_information"]["name"], "Dana Ortiz");
    assert_eq!(user["security_profile"]["name"], "Agent");
    assert_eq!(user["units_set"][0]["unit"]["id"], credentials::UNIT_ID);
    assert!(user.get("first_name").is_none(), "names are not returned apart");
    for query in [
        &*format!("user_identifier=id={id}"),
        "user_identifier=username%3Ddana.ortiz",
        "user_identifier=username=DANA.ortiz",
    ] {
        assert_eq!(get(&crm, "users/show", query).await["data"], *user, "{query}");
    }
    let some = get(&crm, "users/show", "user_identifier=username=dana.ortiz&fields_set=id,active").await;
    assert_eq!(some["data"], json!({"id": id, "active": true}));

    let account = &crm.accounts()[0];
    let known = (&account["first_name"], &account["user_template"], &account["has_password"]);
    assert_eq!(known, (&json!("Dana"), &json!("Contact centre agent"), &json!(true)));
    assert!(account.get("password").is_none());
    crm.stop().await;
}

#[tokio::test]
async fn each_rule_for_a_new_user_is_enforced() {
    let crm = crm().await;
    crm.seed(json!({"username": "taken", "email": "taken@acme.example"}));
    let check = async |changes: Value, expected: &str| {
        let answer = post(&crm, "users/create", dana_with(changes.clone())).await;
        assert_eq!(code(&answer), expected, "{changes} {answer}");
    };
    let missing = "COMMON.MANDATORYPARAMETERMISSINGEXCEPTION";
    for required in
        ["user_template_identifier", "username", "password", "password_confirmation", "first_name", "last_name"]
    {
        check(json!({required: null}), missing).await;
    }
    check(json!({"username": ""}), missing).await;
    check(json!({"user_template_identifier": {}}), missing).await;
    let both = json!({"user_template_identifier": {"name": "Agent", "id": "A0000000000000000000000000000001"}});
    check(both, "COMMON.ONLYONEIDENTIFIERALLOWEDEXCEPTION").await;
    let invalid = "COMMON.INVALIDPARAMETERVALUEEXCEPTION";
    check(json!({"user_template_identifier": {"code": "Agent"}}), invalid).await;
    check(json!({"user_template_identifier": "Agent"}), invalid).await;
    check(json!({"user_template_identifier": {"name": "agent"}}), "USERS.USERTEMPLATENOTFOUNDEXCEPTION").await;
    check(json!({"username": "taken"}), "USERS.USERNAMEALREADYEXISTSEXCEPTION").await;
    check(json!({"username": "Taken"}), "USERS.USERNAMEALREADYEXISTSEXCEPTION").await;
    check(json!({"username": credentials::USERNAME}), "USERS.USERNAMEALREADYEXISTSEXCEPTION").await;
    check(json!({"username": "a b c"}), invalid).await;
    check(json!({"username": "ab"}), invalid).await;
    check(json!({"username": "x".repeat(51)}), invalid).await;
    check(json!({"username": 5}), invalid).await;
    check(json!({"password_confirmation": "Gx7!qv02Ln"}), "USERS.PASSWORDCONFIRMATIONMISMATCHEXCEPTION").await;
    for weak in ["short1!", "12345678!", "abcdefgh1!", "abcdefg12"] {
        check(json!({"password": weak, "password_confirmation": weak}), "USERS.PASSWORDPOLICYEXCEPTION").await;
    }
    check(json!({"cti_phone_extension_number": null}), "USERS.CTIEXTENSIONMANDATORYEXCEPTION").await;
    check(json!({"cti_phone_extension_number": ""}), "USERS.CTIEXTENSIONMANDATORYEXCEPTION").await;
    check(json!({"email": "nobody"}), invalid).await;
    check(json!({"ip_address": "somewhere"}), invalid).await;
    check(json!({"first_name": "x".repeat(101)}), invalid).await;
    check(json!({"udf_string_8": "x".repeat(101)}), invalid).await;
    check(json!({"udf_string_2": 1}), invalid).await;
    check(json!({"udf_float_1": "1.5"}), invalid).await;
    check(json!({"udf_date_1": "31/01/1980"}), invalid).await;
    assert_eq!(crm.accounts().len(), 1);
    let full = json!({
        "user_template_identifier": {"id": "A0000000000000000000000000000002"}, "ip_address": "192.0.2.1", "udf_float_4": 1.5,
        "udf_date_4": "1980-01-31", "udf_string_8": "x", "username": "taken@acme.example",
    });
    check(full, "OK").await;
    let plain = json!({"user_template_identifier": {"name": "Agent"}, "cti_phone_extension_number": null, "email": "taken@acme.example"});
    check(plain, "OK").await;
    let ignored = json!({"user_template_identifier": {"name": "Supervisor"}, "username": "sam"});
    check(ignored, "OK").await;
    let user = get(&crm, "users/show", "user_identifier=username=sam").await;
    assert_eq!(user["data"].get("cti_phone_extension_number"), None);
    crm.stop().await;
}

#[tokio::test]
async fn the_installation_may_ask_more() {
    let options = CrmComOptions {
        unique_email: true,
        email_required: true,
        list_wrapper: Some("users".to_owned()),
        not_found_as_null: true,
        ..CrmComOptions::default()
    };
    let crm = crm_with(options).await;
    assert_eq!(code(&post(&crm, "users/create", dana()).await), "OK");
    let second =
        post(&crm, "users/create", dana_with(json!({"username": "second", "email": "DANA.ortiz@acme.example"}))).await;
    assert_eq!(code(&second), "USERS.EMAILALREADYEXISTSEXCEPTION");
    let third = post(&crm, "users/create", dana_with(json!({"username": "third", "email": null}))).await;
    assert_eq!(code(&third), "COMMON.MANDATORYPARAMETERMISSINGEXCEPTION");
    let list = get(&crm, "users/list", "security_profile_identifier=name=Agent").await;
    assert_eq!(list["data"]["users"].as_array().unwrap().len(), 1);
    let nobody = get(&crm, "users/show", "user_identifier=username=nobody").await;
    assert_eq!((code(&nobody), &nobody["data"]), ("OK", &Value::Null));
    crm.stop().await;
}

#[tokio::test]
async fn a_token_comes_from_a_password_or_a_web_api_key_and_lives_two_hours() {
    let crm = crm().await;
    let by_password = async |changes: Value| {
        let mut body = json!({"username": credentials::USERNAME, "password": credentials::PASSWORD, "organisation": credentials::ORGANISATION});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        post_raw(&crm, "authentication/token", &body).await.1
    };
    let wrong = "SECURITY.INVALIDCREDENTIALSEXCEPTION";
    let missing = "COMMON.MANDATORYPARAMETERMISSINGEXCEPTION";
    assert_eq!(code(&by_password(json!({})).await), "OK");
    assert_eq!(code(&by_password(json!({"unit": credentials::UNIT_ID})).await), "OK");
    assert_eq!(code(&by_password(json!({"unit": "X"})).await), "COMMON.UNITNOTFOUNDEXCEPTION");
    assert_eq!(code(&by_password(json!({"password": "guess"})).await), wrong);
    assert_eq!(code(&by_password(json!({"username": "nobody"})).await), wrong);
    assert_eq!(code(&by_password(json!({"organisation": "OTHER"})).await), wrong);
    assert_eq!(code(&by_password(json!({"organisation": null})).await), missing);

    let by_key = async |authorization: Option<String>| {
        let url = format!("{}authentication/web_api_key/token", crm.api_url());
        let mut request = reqwest::Client::new().post(url).json(&json!({}));
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let basic = |text: &str| Some(format!("Basic {}", STANDARD.encode(text)));
    let answer = by_key(basic(&format!("{}:", credentials::WEB_API_KEY))).await;
    assert_eq!(code(&answer), "OK");
    assert_eq!(code(&by_key(basic(credentials::WEB_API_KEY)).await), "OK");
    assert_eq!(code(&by_key(basic("guess:")).await), wrong);
    assert_eq!(code(&by_key(Some(format!("Bearer {}", credentials::WEB_API_KEY))).await), wrong);
    assert_eq!(code(&by_key(None).await), wrong);

    let token = answer["data"]["token"].as_str().unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(
        (&claims["usr"], &claims["org"], &claims["oun"]),
        (&json!("bridge"), &json!("ACME"), &json!(credentials::UNIT_ID))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 7200);

    let show = async |token: &str| {
        let url = format!("{}users/show?token={token}&user_identifier=username=bridge", crm.api_url());
        reqwest::get(url).await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(code(&show(token).await), "OK");
    crm.advance(Duration::from_secs(7199));
    assert_eq!(code(&show(token).await), "OK", "use does not shorten or lengthen it");
    crm.advance(Duration::from_secs(1));
    assert_eq!(code(&show(token).await), "SECURITY.INVALIDTOKENEXCEPTION");
    assert_eq!(code(&show("x.y.z").await), "SECURITY.INVALIDTOKENEXCEPTION");
    assert_eq!(code(&show("").await), missing);
    crm.stop().await;
}

#[tokio::test]
async fn the_token_belongs_in_the_body_of_a_post_and_in_the_query_of_a_get() {
    let crm = crm().await;
    let token = token(&crm).await;
    let (status, answer) = post_raw(&crm, &format!("users/create?token={token}"), &dana()).await;
    assert_eq!((status, code(&answer)), (200, "COMMON.MANDATORYPARAMETERMISSINGEXCEPTION"));
    let url = format!("{}users/show?user_identifier=username=bridge", crm.api_url());
    let answer: Value = reqwest::Client::new().get(url).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
    assert_eq!(code(&answer), "COMMON.MANDATORYPARAMETERMISSINGEXCEPTION");
    let calls = crm.calls();
    assert!(calls.iter().all(|call| !call.to_string().contains(&token)), "tokens are masked in the log");
    crm.stop().await;
}

#[tokio::test]
async fn users_are_shown_by_exactly_one_identifier_and_listed_by_exactly_one_filter() {
    let crm = crm().await;
    for number in 0..5 {
        let template = if number % 2 == 0 { "Agent" } else { "Supervisor" };
        crm.seed(json!({"username": format!("user{number}"), "user_template": template, "active": number != 4}));
    }
    let check = async |method: &str, query: &str, expected: &str| {
        assert_eq!(code(&get(&crm, method, query).await), expected, "{method} {query}");
    };
    let (missing, one) = ("COMMON.MANDATORYPARAMETERMISSINGEXCEPTION", "COMMON.ONLYONEIDENTIFIERALLOWEDEXCEPTION");
    let invalid = "COMMON.INVALIDPARAMETERVALUEEXCEPTION";
    check("users/show", "", missing).await;
    check("users/show", "user_identifier=", missing).await;
    check("users/show", "user_identifier=username=", missing).await;
    check("users/show", "user_identifier=email=a@acme.example", invalid).await;
    check("users/show", "user_identifier=username=user1&user_identifier=id=1", one).await;
    check("users/show", "user_identifier=username=nobody", "USERS.USERNOTFOUNDEXCEPTION").await;
    check("users/list", "", missing).await;
    check("users/list", "username=user1", missing).await;
    check("users/list", "business_unit_identifier=name=Support", missing).await;
    check("users/list", "unit_identifier=name=Support&group_identifier=name=x", one).await;
    check("users/list", "group_identifier=name=x", "COMMON.GROUPNOTFOUNDEXCEPTION").await;
    check("users/list", "unit_identifier=name=x", "COMMON.UNITNOTFOUNDEXCEPTION").await;
    check("users/list", "security_profile_identifier=name=x", "SECURITY.SECURITYPROFILENOTFOUNDEXCEPTION").await;
    check("users/list", "unit_identifier=name=Support&offset=x", invalid).await;
    check("users/list", "unit_identifier=name=Support&number_of_results=0", invalid).await;

    let names = async |query: &str| {
        let answer = get(&crm, "users/list", query).await;
        let rows = answer["data"].as_array().unwrap().clone();
        rows.iter().map(|row| row["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        names("security_profile_identifier=name=Agent").await,
        ["user0", "user2", "user4"],
        "inactive users too"
    );
    assert_eq!(names("security_profile_identifier=name=Agent&offset=1&number_of_results=1").await, ["user2"]);
    assert_eq!(names("security_profile_identifier=name=Agent&offset=3").await, Vec::<String>::new());
    let unit = format!("unit_identifier=id={}&fields_set=username", credentials::UNIT_ID);
    assert_eq!(names(&unit).await, ["bridge", "user0", "user1", "user2", "user3", "user4"]);
    crm.stop().await;
}

#[tokio::test]
async fn a_password_is_changed_only_with_the_old_one() {
    let crm = crm().await;
    post(&crm, "users/create", dana()).await;
    let change = async |changes: Value| {
        let mut body = json!({
            "user_identifier": {"username": "dana.ortiz"}, "old_password": "Gx7!qv02Lm", "password": "N3w!pass9",
            "password_confirmation": "N3w!pass9",
        });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        post(&crm, "users/change_password", body).await
    };
    let works = async |password: &str| code(&sign_in(&crm, "dana.ortiz", password).await) == "OK";
    assert!(works("Gx7!qv02Lm").await);
    assert_eq!(code(&change(json!({"old_password": "guess"})).await), "USERS.OLDPASSWORDMISMATCHEXCEPTION");
    assert_eq!(code(&change(json!({"old_password": null})).await), "COMMON.MANDATORYPARAMETERMISSINGEXCEPTION");
    let mismatch = change(json!({"password_confirmation": "other"})).await;
    assert_eq!(code(&mismatch), "USERS.PASSWORDCONFIRMATIONMISMATCHEXCEPTION");
    let weak = change(json!({"password": "weak", "password_confirmation": "weak"})).await;
    assert_eq!(code(&weak), "USERS.PASSWORDPOLICYEXCEPTION");
    let nobody = change(json!({"user_identifier": {"username": "nobody"}})).await;
    assert_eq!(code(&nobody), "USERS.USERNOTFOUNDEXCEPTION");
    let both = change(json!({"user_identifier": {"username": "dana.ortiz", "id": "1"}})).await;
    assert_eq!(code(&both), "COMMON.ONLYONEIDENTIFIERALLOWEDEXCEPTION");
    let done = change(json!({})).await;
    assert_eq!(done, json!({"status": {"code": "OK", "message": "", "description": ""}}), "no response data");
    assert!(!works("Gx7!qv02Lm").await && works("N3w!pass9").await);

    let own = sign_in(&crm, "dana.ortiz", "N3w!pass9").await;
    let mut body = dana_with(json!({"username": "another"}));
    body["token"] = own["data"]["token"].clone();
    let answer = post_raw(&crm, "users/create", &body).await.1;
    assert_eq!(code(&answer), "SECURITY.PERMISSIONDENIEDEXCEPTION");
    crm.seed(json!({"username": "dana.ortiz", "active": false}));
    assert!(!works("N3w!pass9").await, "an inactive user cannot sign in");
    crm.stop().await;
}

#[tokio::test]
async fn a_custom_method_changes_users_only_where_it_is_plugged_in() {
    let crm = crm().await;
    let body = json!({"token": token(&crm).await});
    assert_eq!(post_raw(&crm, "users/update", &body).await.0, 404);
    crm.stop().await;
    let crm =
        crm_with(CrmComOptions { update_method: Some("custom/user_change".to_owned()), ..CrmComOptions::default() })
            .await;
    post(&crm, "users/create", dana()).await;
    let update = async |changes: Value| {
        let mut body = json!({"user_identifier": {"username": "dana.ortiz"}});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        post(&crm, "custom/user_change", body).await
    };
    let answer = update(
        json!({"active": false, "last_name": "Smith", "email": "d@acme.example", "cti_phone_extension_number": "1043"}),
    )
    .await;
    let user = &answer["data"];
    assert_eq!(
        (&user["active"], &user["person_name"], &user["cti_phone_extension_number"]),
        (&json!(false), &json!("Dana Smith"), &json!("1043"))
    );
    assert_eq!(code(&update(json!({"active": "no"})).await), "COMMON.INVALIDPARAMETERVALUEEXCEPTION");
    assert_eq!(crm.calls().last().unwrap()["operation"], "users/update");
    crm.stop().await;
}

#[tokio::test]
async fn wrong_paths_methods_and_bodies_are_answered_as_the_server_would() {
    let crm = crm_with(CrmComOptions { without_deprecated_methods: true, ..CrmComOptions::default() }).await;
    for method in ["users/create", "users/change_password", "users/delete", "nowhere"] {
        assert_eq!(post_raw(&crm, method, &json!({})).await.0, 404, "{method}");
    }
    assert_eq!(post_raw(&crm, "users/show", &json!({})).await.0, 405);
    let client = reqwest::Client::new();
    let url = format!("{}authentication/token", crm.api_url());
    assert_eq!(client.get(&url).send().await.unwrap().status(), 405);
    assert_eq!(client.post(&url).body("{}").send().await.unwrap().status(), 415);
    let garbled = client.post(&url).header("Content-Type", "application/json").body("{").send().await.unwrap();
    assert_eq!(garbled.status(), 200);
    assert_eq!(code(&garbled.json().await.unwrap()), "COMMON.INVALIDREQUESTEXCEPTION");
    crm.stop().await;
}
