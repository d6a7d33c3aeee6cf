//! The NetSapiens simulator over real HTTP: what it accepts, what it refuses, and what it answers.

use std::time::Duration;

use crate::common::options;
use bridge_simulators::credentials::netsapiens as credentials;
use bridge_simulators::{NetsapiensOptions, Options, PbxVersion, Simulator, start_netsapiens};
use serde_json::{Value, json};

async fn pbx() -> Simulator {
    start_netsapiens(&options()).await.unwrap()
}

async fn pbx_with(netsapiens: NetsapiensOptions) -> Simulator {
    start_netsapiens(&Options { netsapiens, ..options() }).await.unwrap()
}

/// A call with a credential: status and body. A null body sends none.
async fn call_as(pbx: &Simulator, credential: &str, call: &str, body: Value) -> (u16, Value) {
    let (method, path) = call.split_once(' ').unwrap();
    let url = format!("{}/{path}", pbx.api_url());
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), url);
    if !credential.is_empty() {
        request = request.bearer_auth(credential);
    }
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

async fn call(pbx: &Simulator, call: &str, body: Value) -> (u16, Value) {
    call_as(pbx, credentials::API_KEY, call, body).await
}

fn dana() -> Value {
    json!({
        "synchronous": "yes", "user": "1042", "name-first-name": "Dana", "name-last-name": "Ortiz",
        "login-username": "dana.ortiz@acme.example", "email-address": "dana.ortiz@acme.example",
        "user-scope": "Basic User", "department": "Support", "site": "Bristol", "time-zone": "Europe/London",
        "voicemail-enabled": "yes", "language-token": "en_US",
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

fn error(status: u16, message: &str) -> (u16, Value) {
    (status, json!({"code": status, "message": message}))
}

fn accepted() -> (u16, Value) {
    (202, json!({"code": 202, "message": "Accepted"}))
}

const USERS: &str = "domains/acme.example/users";

#[tokio::test]
async fn a_user_is_created_read_changed_and_deleted() {
    let pbx = pbx().await;
    let (status, user) = call(&pbx, &format!("POST {USERS}"), dana()).await;
    assert_eq!(status, 200);
    for (name, value) in [
        ("domain", json!("acme.example")),
        ("user", json!("1042")),
        ("name-first-name", json!("Dana")),
        ("login-username", json!("dana.ortiz@acme.example")),
        ("user-scope", json!("Basic User")),
        ("site", json!("Bristol")),
        ("time-zone", json!("Europe/London")),
        ("dial-plan", json!("acme.example")),
        ("dial-policy", json!("US and Canada")),
        ("account-status", json!("new")),
        ("user-presence-status", json!("inactive")),
        ("created-datetime", json!("2033-05-18T03:33:20+00:00")),
        ("directory-name-number-dtmf-mapping", json!(678)),
        ("directory-announce-in-dial-by-name-enabled", json!("yes")),
        ("privacy", json!("no")),
        ("ring-no-answer-timeout-seconds", json!(25)),
        ("limits-max-data-storage-kilobytes", json!(50_000)),
        ("limits-max-active-calls-total", json!(15)),
    ] {
        assert_eq!(user[name], value, "{name}");
    }
    assert!(user.get("synchronous").is_none());
    assert_eq!(call(&pbx, &format!("GET {USERS}/1042"), Value::Null).await, (200, user.clone()));
    assert_eq!(call(&pbx, "GET domains/~/users/1042", Value::Null).await, (200, user));
    assert_eq!(
        call(&pbx, "GET domains/acme.example/sites/Bristol", Value::Null).await,
        (200, json!({"site": "Bristol"}))
    );

    let change = json!({"name-last-name": "Smith", "department": "", "ring-no-answer-timeout-seconds": 40});
    assert_eq!(call(&pbx, &format!("PUT {USERS}/1042"), change).await, accepted());
    let (_, user) = call(&pbx, &format!("GET {USERS}/1042"), Value::Null).await;
    assert_eq!(user["directory-name-number-dtmf-mapping"], 764);
    assert_eq!(user["ring-no-answer-timeout-seconds"], 40);
    assert_eq!(user["name-first-name"], "Dana", "what a PUT leaves out stays");
    assert!(user.get("department").is_none(), "an empty string clears");

    assert_eq!(call(&pbx, &format!("DELETE {USERS}/1042"), Value::Null).await, accepted());
    let gone = error(404, "User 1042 does not exist in domain acme.example");
    assert_eq!(call(&pbx, &format!("GET {USERS}/1042"), Value::Null).await, gone);
    assert_eq!(call(&pbx, &format!("DELETE {USERS}/1042"), Value::Null).await, gone);
    assert_eq!(call(&pbx, &format!("PUT {USERS}/1042"), json!({"site": "x"})).await, gone);
    assert_eq!(call(&pbx, &format!("POST {USERS}"), dana_with(json!({"synchronous": null}))).await, accepted());
    pbx.stop().await;
}

#[tokio::test]
async fn each_bad_field_of_a_new_user_is_named() {
    let pbx = pbx().await;
    let check = async |changes: Value, expected: &str| {
        let answer = call(&pbx, &format!("POST {USERS}"), dana_with(changes.clone())).await;
        assert_eq!(answer, error(400, expected), "{changes}");
    };
    for required in ["user", "name-first-name", "name-last-name", "email-address", "user-scope"] {
        check(json!({required: null}), &format!("{required} is required")).await;
        check(json!({required: ""}), &format!("{required} is required")).await;
    }
    let not_allowed = "has a value that is not allowed";
    check(json!({"synchronous": "maybe"}), "synchronous must be one of yes, no").await;
    check(json!({"user": "12345678901234567"}), &format!("user {not_allowed}")).await;
    check(json!({"user": 1042}), "user must be a string").await;
    check(json!({"email-address": "nobody"}), &format!("email-address {not_allowed}")).await;
    check(json!({"time-zone": "America/Chicago"}), &format!("time-zone {not_allowed}")).await;
    check(json!({"dial-plan": "nowhere"}), &format!("dial-plan {not_allowed}")).await;
    check(json!({"dial-policy": "nothing"}), &format!("dial-policy {not_allowed}")).await;
    check(json!({"emergency-address-id": "x"}), &format!("emergency-address-id {not_allowed}")).await;
    check(json!({"privacy": true}), "privacy must be a string").await;
    check(json!({"privacy": "maybe"}), "privacy must be one of yes, no").await;
    check(json!({"area-code": 99}), "area-code must be 100 to 999").await;
    check(json!({"area-code": "858"}), "area-code must be an integer").await;
    check(json!({"limits-max-data-storage-kilobytes": -1}), "limits-max-data-storage-kilobytes must be 0 or more")
        .await;
    check(json!({"voicemail-login-pin": 1234}), "voicemail-login-pin must be a string").await;
    check(json!({"department": "x".repeat(65)}), "department is longer than 64 characters").await;
    check(json!({"account-status": "new"}), "account-status is not a field of this request").await;
    let other_spelling = "directory-annouce-in-dial-by-name-enabled";
    check(json!({other_spelling: "yes"}), &format!("{other_spelling} is not a field of this request")).await;
    assert_eq!(pbx.accounts(), Vec::<Value>::new());
    pbx.stop().await;
}

#[tokio::test]
async fn an_extension_is_unique_in_its_domain_and_a_login_in_the_whole_system() {
    let pbx = pbx().await;
    call(&pbx, &format!("POST {USERS}"), dana()).await;
    pbx.seed(json!({"domain": "other.example", "user": "2000", "login-username": "far@acme.example"}));
    let duplicate = error(409, "UID already exists.");
    let check = async |changes: Value, expected: &(u16, Value)| {
        let body = dana_with(json!({"synchronous": null, "login-username": null}));
        let mut body = body.as_object().unwrap().clone();
        body.extend(changes.as_object().unwrap().clone());
        assert_eq!(call(&pbx, &format!("POST {USERS}"), body.into()).await, *expected, "{changes}");
    };
    check(json!({"user": "1042"}), &duplicate).await;
    check(json!({"user": "1043", "login-username": "Dana.Ortiz@ACME.example"}), &duplicate).await;
    check(json!({"user": "1043", "login-username": "far@acme.example"}), &duplicate).await;
    check(json!({"user": "1043", "login-username": "2000@other.example"}), &accepted()).await;
    check(json!({"user": "2000"}), &accepted()).await;
    check(json!({"user": "1044", "login-username": "2000@acme.example"}), &duplicate).await;
    let put = |login: &str| json!({"login-username": login});
    assert_eq!(call(&pbx, &format!("PUT {USERS}/2000"), put("far@acme.example")).await, duplicate);
    assert_eq!(call(&pbx, &format!("PUT {USERS}/2000"), put("near@acme.example")).await, accepted());
    check(json!({"user": "1044", "login-username": "2000@acme.example"}), &accepted()).await;
    assert_eq!(call(&pbx, &format!("PUT {USERS}/2000"), put("")).await, duplicate, "the default is taken by now");
    pbx.stop().await;
}

#[tokio::test]
async fn each_key_reaches_what_its_kind_allows() {
    let pbx = pbx().await;
    let read = format!("GET {USERS}");
    let write = format!("POST {USERS}");
    let check = async |key: &str, call: &str, expected: u16, message: &str| {
        let body = if call.starts_with("GET") { Value::Null } else { dana() };
        let (status, answer) = call_as(&pbx, key, call, body).await;
        assert_eq!(status, expected, "{key} {call} {answer}");
        if status >= 400 {
            assert_eq!((&answer["code"], &answer["message"]), (&json!(expected), &json!(message)), "{key} {call}");
        }
    };
    let invalid = "The credential is invalid or has expired";
    check("", &read, 401, "The Authorization header is missing").await;
    check("nsd_wrong", &read, 401, invalid).await;
    check(&credentials::API_KEY.replace("nsd_", "nsr_"), &read, 401, invalid).await;
    check(credentials::READ_ONLY_API_KEY, &read, 200, "").await;
    check(credentials::READ_ONLY_API_KEY, &write, 403, "Permission Denied").await;
    check(credentials::BASIC_USER_API_KEY, &read, 403, "Permission Denied").await;
    check(credentials::DEVICES_ONLY_API_KEY, &read, 403, "Permission Denied").await;
    check(
        credentials::DEVICES_ONLY_API_KEY,
        &format!("GET {USERS}/1042/devices"),
        404,
        "User 1042 does not exist in domain acme.example",
    )
    .await;
    check(credentials::USERS_ONLY_API_KEY, &read, 200, "").await;
    check(credentials::USERS_ONLY_API_KEY, &format!("GET {USERS}/1042/devices"), 403, "Permission Denied").await;
    check(credentials::API_KEY, &write, 200, "").await;
    let elsewhere = "Domain not found or access denied";
    check(credentials::API_KEY, "GET domains/other.example/users", 403, elsewhere).await;
    check(credentials::API_KEY, "GET domains/none.example/count", 403, elsewhere).await;
    check(credentials::API_KEY, "GET domains/*/users", 403, elsewhere).await;
    check(credentials::RESELLER_API_KEY, "GET domains/other.example/users", 200, "").await;
    check(credentials::RESELLER_API_KEY, "GET domains/none.example/count", 404, "Domain none.example does not exist")
        .await;
    check(credentials::SUPER_USER_API_KEY, "GET domains/*/users", 200, "").await;

    let scope = |scope: &str| dana_with(json!({"user": "1", "login-username": null, "user-scope": scope}));
    for privileged in ["Reseller", "Super User", "NDP"] {
        assert_eq!(call(&pbx, &write, scope(privileged)).await, error(403, "Permission Denied"), "{privileged}");
    }
    assert_eq!(call_as(&pbx, credentials::SUPER_USER_API_KEY, &write, scope("NDP")).await.0, 200);

    let describe = async |key: &str| call_as(&pbx, key, "GET apikeys/~", Value::Null).await.1;
    let described = describe(credentials::API_KEY).await;
    assert_eq!(described["key-id"], &credentials::API_KEY[..12]);
    assert_eq!((&described["user-scope"], &described["readonly"]), (&json!("Office Manager"), &json!("no")));
    assert_eq!(describe(credentials::READ_ONLY_API_KEY).await["readonly"], "yes");
    assert_eq!(describe(credentials::DEVICES_ONLY_API_KEY).await["allowed-models"], json!(["device"]));
    assert_eq!(describe(credentials::SUPER_USER_API_KEY).await["can-create-keys"], "yes");
    pbx.stop().await;
}

fn sign_in() -> Value {
    json!({
        "grant_type": "password", "client_id": credentials::CLIENT_ID, "client_secret": credentials::CLIENT_SECRET,
        "username": credentials::USERNAME, "password": credentials::PASSWORD,
    })
}

#[tokio::test]
async fn a_token_lives_an_hour_and_is_refreshed_for_a_day() {
    let pbx = pbx().await;
    let grant = async |body: Value| call_as(&pbx, "", "POST tokens", body).await;
    let (status, token) = grant(sign_in()).await;
    assert_eq!((status, &token["expires_in"], &token["token_type"]), (200, &json!(3600), &json!("Bearer")));
    for name in ["scope", "user", "domain", "territory", "uid", "login", "username", "client_id", "apiversion"] {
        assert!(token[name].is_string(), "{name}");
    }
    let count = async |token: &Value| {
        call_as(&pbx, token["access_token"].as_str().unwrap(), &format!("GET {USERS}/count"), Value::Null).await
    };
    assert_eq!(count(&token).await, (200, json!({"total": 0})));
    pbx.advance(Duration::from_secs(3599));
    assert_eq!(count(&token).await.0, 200);
    pbx.advance(Duration::from_secs(1));
    assert_eq!(count(&token).await, error(401, "The credential is invalid or has expired"));

    let refresh = |token: &Value| {
        let mut body = sign_in();
        body["grant_type"] = json!("refresh_token");
        body["refresh_token"] = token["refresh_token"].clone();
        body
    };
    let (status, renewed) = grant(refresh(&token)).await;
    assert_eq!((status, count(&renewed).await.0), (200, 200));
    assert_eq!(grant(refresh(&token)).await, error(401, "Invalid refresh token"));
    pbx.advance(Duration::from_secs(24 * 3600));
    assert_eq!(grant(refresh(&renewed)).await, error(401, "Invalid refresh token"));

    let refused = async |name: &str, value: Value, expected: (u16, Value)| {
        let mut body = sign_in();
        body[name] = value;
        assert_eq!(grant(body).await, expected, "{name}");
    };
    refused("password", json!("guess"), error(401, "Invalid user name or password")).await;
    refused("username", json!("nobody"), error(401, "Invalid user name or password")).await;
    refused("client_secret", json!("guess"), error(401, "Invalid client credentials")).await;
    refused("client_id", json!(""), error(400, "client_id is required")).await;
    refused("grant_type", json!("magic"), error(400, "grant_type must be password, refresh_token or mfa")).await;
    refused("grant_type", json!("mfa"), error(400, "The user has no second factor")).await;
    assert!(pbx.calls().iter().all(|call| call["fields"].get("password").is_none_or(|password| password == "***")));
    pbx.stop().await;
}

#[tokio::test]
async fn an_older_server_grants_tokens_at_the_form_encoded_address_only() {
    let pbx = pbx_with(NetsapiensOptions { legacy_tokens_only: true, ..NetsapiensOptions::default() }).await;
    assert_eq!(call_as(&pbx, "", "POST tokens", sign_in()).await, error(404, "No Route Found [92]"));
    let url = format!("{}/ns-api/oauth2/token/", pbx.url());
    let response = reqwest::Client::new().post(url).form(&sign_in()).send().await.unwrap();
    let token: Value = response.json().await.unwrap();
    let access_token = token["access_token"].as_str().unwrap();
    assert_eq!(call_as(&pbx, access_token, &format!("GET {USERS}"), Value::Null).await, (200, json!([])));
    pbx.stop().await;
}

#[tokio::test]
async fn lists_are_paged_filtered_and_counted() {
    let pbx = pbx().await;
    for number in 1000..1250 {
        let site = if number % 2 == 0 { "Bristol" } else { "Leeds" };
        pbx.seed(json!({"user": number.to_string(), "site": site, "name-last-name": "Smith"}));
    }
    pbx.seed(json!({"user": "9000", "service-code": "system-fax"}));
    let page = async |query: &str| {
        let (status, rows) = call(&pbx, &format!("GET {USERS}{query}"), Value::Null).await;
        assert_eq!(status, 200, "{query}");
        let rows = rows.as_array().unwrap().clone();
        (rows.len(), rows.first().map(|row| row["user"].clone()))
    };
    assert_eq!(page("").await, (100, Some(json!("1000"))));
    assert_eq!(page("?start=200&limit=100").await, (50, Some(json!("1200"))));
    assert_eq!(page("?start=300").await, (0, None));
    assert_eq!(page("?limit=1000").await, (250, Some(json!("1000"))));
    assert_eq!(page("?site=Leeds&limit=1000").await, (100, Some(json!("1001"))));
    assert_eq!(page("?site=Rome").await, (0, None));
    for bad in ["limit=0", "limit=1001", "limit=x", "start=-1"] {
        let (status, _) = call(&pbx, &format!("GET {USERS}?{bad}"), Value::Null).await;
        assert_eq!(status, 400, "{bad}");
    }
    assert_eq!(call(&pbx, &format!("GET {USERS}/count"), Value::Null).await, (200, json!({"total": 250})));
    let (_, rows) = call(&pbx, &format!("GET {USERS}/list"), Value::Null).await;
    let expected = json!({
        "user": "1000", "domain": "acme.example", "site": "Bristol", "name-last-name": "Smith",
        "directory-name-number-dtmf-mapping": 764,
    });
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]), (250, &expected));
    let (_, rows) = call(&pbx, &format!("GET {USERS}/list?fields=user,login-username"), Value::Null).await;
    assert_eq!(rows[1], json!({"user": "1001", "login-username": "1001@acme.example"}));
    pbx.stop().await;
}

#[tokio::test]
async fn asynchronous_writes_reach_reads_after_the_replication_lag() {
    let lag = Duration::from_secs(5);
    let pbx = pbx_with(NetsapiensOptions { replication_lag: lag, ..NetsapiensOptions::default() }).await;
    let seen = async || {
        let (status, user) = call(&pbx, &format!("GET {USERS}/1042"), Value::Null).await;
        let (_, count) = call(&pbx, &format!("GET {USERS}/count"), Value::Null).await;
        (status, user["name-first-name"].as_str().unwrap_or_default().to_owned(), count["total"].as_i64().unwrap())
    };
    let asynchronous = dana_with(json!({"synchronous": "no"}));
    assert_eq!(call(&pbx, &format!("POST {USERS}"), asynchronous.clone()).await, accepted());
    assert_eq!(seen().await, (404, String::new(), 0));
    assert_eq!(call(&pbx, &format!("POST {USERS}"), asynchronous).await.0, 409, "uniqueness knows it at once");
    pbx.advance(Duration::from_secs(3));
    assert_eq!(call(&pbx, &format!("PUT {USERS}/1042"), json!({"name-first-name": "D"})).await, accepted());
    pbx.advance(Duration::from_secs(2));
    assert_eq!(seen().await, (200, "Dana".to_owned(), 1));
    pbx.advance(Duration::from_secs(3));
    assert_eq!(seen().await, (200, "D".to_owned(), 1));
    assert_eq!(call(&pbx, &format!("DELETE {USERS}/1042"), Value::Null).await, accepted());
    assert_eq!(seen().await, (200, "D".to_owned(), 1));
    assert_eq!(call(&pbx, &format!("POST {USERS}"), dana()).await.0, 200, "a synchronous create waits for the copy");
    assert_eq!(seen().await, (200, "Dana".to_owned(), 1));
    pbx.advance(lag);
    assert_eq!(seen().await, (200, "Dana".to_owned(), 1), "the older delete does not come after it");
    pbx.stop().await;
}

#[tokio::test]
async fn a_v44_server_has_its_own_spellings_and_fewer_paths() {
    let pbx = pbx_with(NetsapiensOptions { version: PbxVersion::V44, ..NetsapiensOptions::default() }).await;
    let (status, version) = call_as(&pbx, "", "GET version", Value::Null).await;
    assert_eq!((status, &version["apiversion"]), (200, &json!("44.3")));
    assert!(version["hostname"].is_string() && version["current-time"].is_string());
    let old = dana_with(
        json!({"directory-annouce-in-dial-by-name-enabled": "no", "user-scope": "No Portal", "voicemail-login-pin": 1234}),
    );
    let (status, user) = call(&pbx, &format!("POST {USERS}"), old).await;
    assert_eq!((status, &user["directory-annouce-in-dial-by-name-enabled"]), (200, &json!("no")));
    assert_eq!(user["user-scope"], "No Portal ");
    let new = json!({"directory-announce-in-dial-by-name-enabled": "no"});
    assert_eq!(call(&pbx, &format!("PUT {USERS}/1042"), new).await.0, 400);
    for missing in ["users/list", "sites/list", "sites/count"] {
        let answer = call(&pbx, &format!("GET domains/acme.example/{missing}"), Value::Null).await;
        assert_eq!(answer, error(404, "No Route Found [92]"), "{missing}");
    }
    pbx.stop().await;

    let lenient = NetsapiensOptions { ignore_unknown_fields: true, ..NetsapiensOptions::default() };
    let pbx = pbx_with(lenient).await;
    let body = dana_with(json!({"directory-annouce-in-dial-by-name-enabled": "no"}));
    let (status, user) = call(&pbx, &format!("POST {USERS}"), body).await;
    assert_eq!((status, &user["directory-announce-in-dial-by-name-enabled"]), (200, &json!("yes")));
    pbx.stop().await;
}

#[tokio::test]
async fn sites_devices_numbers_and_the_domain_answer() {
    let pbx = pbx().await;
    let check = async |request: &str, body: Value, expected: (u16, Value)| {
        assert_eq!(
            call(
                &pbx,
                &format!(
                    "{} domains/acme.example{}",
                    request.split_once(' ').unwrap().0,
                    request.split_once(' ').unwrap().1
                ),
                body
            )
            .await,
            expected,
            "{request}"
        );
    };
    check("GET /count", Value::Null, (200, json!({"total": 1}))).await;
    let (_, domain) = call(&pbx, "GET domains/acme.example", Value::Null).await;
    assert_eq!(
        (&domain["dial-plan"], &domain["limits-max-users"], &domain["is-domain-locked"]),
        (&json!("acme.example"), &json!(0), &json!("no"))
    );

    check("POST /sites", json!({}), error(400, "site is required")).await;
    check("POST /sites", json!({"site": "Leeds"}), accepted()).await;
    check("POST /sites", json!({"site": "Leeds"}), error(409, "Site Leeds already exists")).await;
    check("PUT /sites/Leeds", json!({"area-code": 113}), accepted()).await;
    check("PUT /sites/Rome", json!({}), error(404, "Site Rome does not exist in domain acme.example")).await;
    check("GET /sites", Value::Null, (200, json!([{"site": "Leeds", "area-code": 113}]))).await;
    check("GET /sites/count", Value::Null, (200, json!({"total": 1}))).await;
    check("GET /sites/list", Value::Null, (200, json!([{"site": "Leeds"}]))).await;

    let devices = "/users/1042/devices";
    check(
        &format!("POST {devices}"),
        json!({"device": "1042"}),
        error(404, "User 1042 does not exist in domain acme.example"),
    )
    .await;
    call(&pbx, &format!("POST {USERS}"), dana()).await;
    check(&format!("POST {devices}"), json!({}), error(400, "device is required")).await;
    check(
        &format!("POST {devices}"),
        json!({"device": "1042", "device-models-model": "T54"}),
        error(400, "device-models-model and device-provisioning-mac-address must be given together"),
    )
    .await;
    check(
        &format!("POST {devices}"),
        json!({"device": "1042", "device-srtp-enabled": "on"}),
        error(400, "device-srtp-enabled must be one of yes, no, opportunistic"),
    )
    .await;
    check(&format!("POST {devices}"), json!({"device": "1042"}), accepted()).await;
    check(&format!("POST {devices}"), json!({"device": "1042"}), error(409, "Device 1042 already exists")).await;
    let (status, device) =
        call(&pbx, &format!("POST domains/acme.example{devices}"), json!({"device": "1042a", "synchronous": "yes"}))
            .await;
    assert_eq!((status, device["device-sip-registration-password"].as_str().map(str::len)), (200, Some(16)));
    let (_, device) = call(&pbx, &format!("GET domains/acme.example{devices}/1042a"), Value::Null).await;
    assert_eq!((&device["device"], device.get("device-sip-registration-password")), (&json!("1042a"), None));
    check(&format!("GET {devices}/count"), Value::Null, (200, json!({"total": 2}))).await;
    check(&format!("PUT {devices}/1042a"), json!({"device-push-enabled": "no"}), accepted()).await;
    check(&format!("DELETE {devices}/1042"), Value::Null, accepted()).await;
    check(
        &format!("DELETE {devices}/1042"),
        Value::Null,
        error(404, "Device 1042 of user 1042 does not exist in domain acme.example"),
    )
    .await;
    assert_eq!(pbx.accounts()[0]["devices"], json!(["1042a"]));

    check(
        "POST /phonenumbers",
        json!({"phonenumber": "+1"}),
        error(400, "phonenumber must be digits of E.164 without +"),
    )
    .await;
    check("POST /phonenumbers", json!({"phonenumber": "18585551234"}), accepted()).await;
    check("POST /phonenumbers", json!({"phonenumber": "18585551234"}), error(409, "Phone number already exists")).await;
    let route = json!({"phonenumber": "18585551234", "dial-rule-application": "to-user", "dial-rule-translation-destination-user": "1042"});
    check("PUT /phonenumbers", route.clone(), accepted()).await;
    check("GET /phonenumbers", Value::Null, (200, json!([route]))).await;
    check("DELETE /phonenumbers/18585551234", Value::Null, accepted()).await;

    let mail = json!({"template": "welcome_email.php", "subject": "New Account Setup"});
    check("POST /users/1042/email", json!({"subject": "x"}), error(400, "template is required")).await;
    check("POST /users/1042/email", mail, (200, json!({"code": 200, "message": "OK"}))).await;
    pbx.stop().await;
}

#[tokio::test]
async fn wrong_paths_and_bodies_are_answered_in_the_api_s_own_form() {
    let pbx = pbx().await;
    let nowhere = error(404, "No Route Found [92]");
    for path in [
        "GET nowhere",
        "PATCH domains/acme.example/users/1",
        "POST domains/acme.example/addresses",
        "DELETE domains/acme.example",
    ] {
        assert_eq!(call(&pbx, path, Value::Null).await, nowhere, "{path}");
    }
    let long = error(400, "The user in the path must have at most 16 characters");
    assert_eq!(call(&pbx, &format!("GET {USERS}/12345678901234567"), Value::Null).await, long);
    assert_eq!(call(&pbx, "GET domains/a%2Fb/users", Value::Null).await.0, 400);
    let url = format!("{}/{USERS}", pbx.api_url());
    let client = reqwest::Client::new();
    let send = async |content_type: &str, body: &str| {
        let request = client.post(&url).bearer_auth(credentials::API_KEY).header("Content-Type", content_type);
        request.body(body.to_owned()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send("application/json", "{").await, 400);
    assert_eq!(send("application/json", "[]").await, 400);
    assert_eq!(send("text/plain", &dana().to_string()).await, 400);
    assert_eq!(send("application/json; charset=utf-8", &dana().to_string()).await, 200);
    pbx.stop().await;
}

#[tokio::test]
async fn domain_limits_a_locked_domain_and_a_strict_put_refuse() {
    let limited = NetsapiensOptions { max_users: 1, max_sites: 1, strict_put: true, ..NetsapiensOptions::default() };
    let pbx = pbx_with(limited).await;
    assert_eq!(call(&pbx, "POST domains/acme.example/sites", json!({"site": "Leeds"})).await, accepted());
    let post = format!("POST {USERS}");
    let no_site = error(400, "The maximum number of sites of the domain is reached");
    assert_eq!(call(&pbx, &post, dana()).await, no_site);
    assert_eq!(call(&pbx, &post, dana_with(json!({"site": "Leeds"}))).await.0, 200);
    let second = dana_with(json!({"user": "1", "login-username": null, "site": null}));
    assert_eq!(call(&pbx, &post, second).await, error(400, "The maximum number of users of the domain is reached"));
    let put = format!("PUT {USERS}/1042");
    assert_eq!(call(&pbx, &put, json!({"department": "x"})).await, error(400, "name-first-name is required"));
    let full = json!({"name-first-name": "D", "name-last-name": "O", "email-address": "d@acme.example", "user-scope": "No Portal", "dial-policy": "Deny All"});
    assert_eq!(call(&pbx, &put, full).await, accepted());
    assert_eq!(call(&pbx, &put, json!({"user": "1043"})).await.0, 400, "an extension cannot be renamed");
    pbx.stop().await;
    let pbx = pbx_with(NetsapiensOptions { domain_locked: true, ..NetsapiensOptions::default() }).await;
    assert_eq!(call(&pbx, &post, dana()).await, error(403, "Permission Denied"));
    assert_eq!(call(&pbx, &format!("GET {USERS}"), Value::Null).await.0, 200);
    pbx.stop().await;
}
