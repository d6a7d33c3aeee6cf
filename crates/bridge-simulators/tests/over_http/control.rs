//! Faults, calls log, seeding, clock, start and stop: what all three simulators have in common.

use std::pin::pin;
use std::time::Duration;

use crate::common::{control, options, try_control};
use bridge_simulators::credentials::{crm_com, glance, netsapiens};
use bridge_simulators::{Fault, Options, Simulator, Simulators, start, start_glance, start_netsapiens};
use serde_json::{Value, json};

/// A create call of each API for one person; the answer, or a transport error.
async fn create(simulators: &Simulators, target: &str, name: &str) -> Result<(u16, String), reqwest::Error> {
    let client = reqwest::Client::new();
    let request = match target {
        "glance" => client.post(format!("{}NewUser.asp", simulators.glance.api_url())).form(&[
            ("PartnerLogin", glance::PARTNER_LOGIN),
            ("PartnerPW", glance::PARTNER_PASSWORD),
            ("PartnerUserID", name),
            ("UserAddress", &format!("{name}.glance.net")),
        ]),
        "netsapiens" => client
            .post(format!("{}/domains/acme.example/users", simulators.netsapiens.api_url()))
            .bearer_auth(netsapiens::API_KEY)
            .json(&json!({
                "user": name, "name-first-name": "A", "name-last-name": "B", "email-address": "a@acme.example",
                "user-scope": "Basic User",
            })),
        _ => {
            let sign_in = json!({"username": crm_com::USERNAME, "password": crm_com::PASSWORD, "organisation": crm_com::ORGANISATION});
            let url = format!("{}authentication/token", simulators.crm_com.api_url());
            let token: Value = client.post(url).json(&sign_in).send().await?.json().await?;
            client.post(format!("{}users/create", simulators.crm_com.api_url())).json(&json!({
                "token": token["data"]["token"], "user_template_identifier": {"name": "Agent"}, "username": name,
                "password": "Gx7!qv02Lm", "password_confirmation": "Gx7!qv02Lm", "first_name": "A", "last_name": "B",
            }))
        }
    };
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

/// Waits until the simulator has logged a further call of an operation.
async fn has_logged(simulator: &Simulator, operation: &str, before: usize) {
    let is_it = |call: &Value| call["operation"].as_str().is_some_and(|name| name.starts_with(operation));
    while !simulator.calls().iter().skip(before).any(is_it) {
        tokio::task::yield_now().await;
    }
}

fn simulator<'a>(simulators: &'a Simulators, target: &str) -> &'a Simulator {
    match target {
        "glance" => &simulators.glance,
        "netsapiens" => &simulators.netsapiens,
        _ => &simulators.crm_com,
    }
}

/// Each target with its create operation and a piece of a successful answer.
const TARGETS: [(&str, &str, &str); 3] = [
    ("glance", "NewUser", "<status>OK</status>"),
    ("netsapiens", "POST users", "Accepted"),
    ("crm_com", "users/create", r#""code":"OK""#),
];

#[tokio::test]
async fn each_fault_shows_itself_and_does_the_work_or_leaves_it() {
    let simulators = start(options()).await.unwrap();
    for (target, operation, success) in TARGETS {
        let simulator = simulator(&simulators, target);
        // Fault; whether the account exists afterwards; the HTTP status, or none for a transport error.
        let table = [
            ("status:503", false, Some(503)),
            ("status:429", false, Some(429)),
            ("drop-before-apply", false, None),
            ("drop-after-apply", true, None),
            ("timeout", false, None),
            ("timeout-after-apply", true, None),
            ("garbage", true, Some(200)),
            ("html", false, Some(200)),
            ("slow:1", true, Some(if target == "netsapiens" { 202 } else { 200 })),
            ("echo", false, Some(if target == "netsapiens" { 400 } else { 200 })),
            ("refuse:Not today", false, Some(if target == "netsapiens" { 400 } else { 200 })),
        ];
        for (number, (fault, is_done, status)) in table.into_iter().enumerate() {
            control(simulator, "POST", "/faults", &json!({"next": 1, "fault": fault, "operation": operation})).await;
            let name = format!("user{number}");
            let before = simulator.calls().len();
            let mut answer = pin!(create(&simulators, target, &name));
            if fault.starts_with("timeout") {
                let hanging = tokio::select! {
                    _ = &mut answer => false,
                    () = has_logged(simulator, operation, before) => true,
                };
                let wait = Duration::from_millis(20);
                assert!(hanging && tokio::time::timeout(wait, answer).await.is_err(), "{target} {fault}");
            } else {
                let answer = answer.await;
                assert_eq!(answer.as_ref().ok().map(|(status, _)| *status), status, "{target} {fault}");
                let text = answer.map(|(_, text)| text).unwrap_or_default();
                assert_eq!(text.contains(success), fault.starts_with("slow"), "{target} {fault} {text}");
                assert_eq!(text.contains("Not today"), fault.starts_with("refuse"), "{target} {fault} {text}");
            }
            let exists = simulator.accounts().iter().any(|account| account.to_string().contains(&name));
            assert_eq!(exists, is_done, "{target} {fault}");
            let call = simulator.calls().pop().unwrap();
            assert_eq!(call["status"], json!(status), "{target} {fault}");
            assert!(call["outcome"].as_str().unwrap().starts_with(&format!("fault {fault}")), "{call}");
        }
        let (_, text) = create(&simulators, target, "last").await.unwrap();
        assert!(text.contains(success), "{target}: every fault is used up");
    }
    simulators.stop().await;
}

#[tokio::test]
async fn a_fault_waits_for_its_operation_and_says_when_to_retry() {
    let simulators = start(options()).await.unwrap();
    let order = json!({"next": 2, "fault": "status:429", "retry_after": 7, "operation": "showusers"});
    let answer = control(&simulators.glance, "POST", "/faults", &order).await;
    assert_eq!(answer, json!({"next": 2, "fault": "status:429", "operations": ["ShowUsers.asp"]}));
    assert_eq!(create(&simulators, "glance", "ann").await.unwrap().0, 200);
    for expected in [429, 429, 200] {
        let url = format!("{}ShowUsers.asp", simulators.glance.api_url());
        let response = reqwest::Client::new().post(url).form(&[("PageCount", "1")]).send().await.unwrap();
        assert_eq!(response.status(), expected);
        let retry_after = response.headers().get("Retry-After").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(retry_after.as_deref(), (expected == 429).then_some("7"));
    }
    simulators.netsapiens.fail_next(1, Fault::Refuse("409 UID already exists.".to_owned()), Some("POST users"));
    let (status, text) = create(&simulators, "netsapiens", "1").await.unwrap();
    assert_eq!((status, text.as_str()), (409, r#"{"code":409,"message":"UID already exists."}"#));
    simulators.crm_com.fail_next(
        1,
        Fault::Refuse("COM.CRM.EXCEPTION.X.YEXCEPTION No".to_owned()),
        Some("users/create"),
    );
    let (_, text) = create(&simulators, "crm_com", "ann").await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["status"], json!({"code": "COM.CRM.EXCEPTION.X.YEXCEPTION", "message": "No", "description": ""}));
    simulators.glance.fail_next(1, Fault::Html, Some("no such operation"));
    assert_eq!(create(&simulators, "glance", "ben").await.unwrap().0, 200);
    simulators.stop().await;
}

#[tokio::test]
async fn a_wrong_control_call_is_told_what_is_allowed() {
    let simulator = start_glance(&options()).await.unwrap();
    let check = async |method: &str, path: &str, body: Value, status: u16, error: &str| {
        let (actual, answer) = try_control(&simulator, method, path, &body).await;
        assert_eq!((actual, answer["error"].as_str()), (status, Some(error)), "{method} {path} {body}");
        assert!(answer.get("allowed").is_some() || status == 404, "{answer}");
    };
    let faults = "/faults";
    check("POST", faults, json!([]), 400, "the body must be a JSON object").await;
    check("POST", faults, json!({}), 400, "'fault' is required and must be a string").await;
    check("POST", faults, json!({"fault": "explode"}), 400, "unknown fault 'explode'").await;
    check("POST", faults, json!({"fault": "html", "next": 0}), 400, "'next' must be a positive whole number of calls")
        .await;
    check("POST", faults, json!({"fault": "html", "operation": "x"}), 400, "unknown operation 'x'").await;
    check("POST", faults, json!({"fault": "html", "count": 1}), 400, "unknown member 'count'").await;
    let retry_after = "'retry_after' must be a whole number of seconds";
    check("POST", faults, json!({"fault": "status:503", "retry_after": "soon"}), 400, retry_after).await;
    check("POST", "/clock", json!({"advance_seconds": -1}), 400, "'advance_seconds' is required").await;
    check("POST", "/accounts", json!(1), 400, "the body must be a JSON object or an array of them").await;
    check("POST", "/accounts", json!({}), 400, "'UserAddress' is required").await;
    check("DELETE", "/accounts/nobody", Value::Null, 404, "no such account").await;
    check("GET", "/nothing", Value::Null, 404, "no control endpoint GET /_sim/nothing").await;
    simulator.stop().await;
}

#[tokio::test]
async fn accounts_are_seeded_changed_and_removed_by_hand_and_reset() {
    let simulators = start(options()).await.unwrap();
    let table = [
        (
            "glance",
            json!({"PartnerUserID": "ann", "UserAddress": "ann.glance.net"}),
            json!({"PartnerUserID": "ann", "UserLast": "Lee"}),
            "UserLast",
            "ann",
        ),
        (
            "netsapiens",
            json!({"user": "1042"}),
            json!({"user": "1042", "name-last-name": "Lee"}),
            "name-last-name",
            "1042",
        ),
        ("crm_com", json!({"username": "ann"}), json!({"username": "ann", "last_name": "Lee"}), "last_name", "ann"),
    ];
    for (target, account, change, field, key) in table {
        let simulator = simulator(&simulators, target);
        assert_eq!(control(simulator, "POST", "/accounts", &account).await, json!({"seeded": 1}), "{target}");
        control(simulator, "POST", "/accounts", &json!([change])).await;
        let accounts = control(simulator, "GET", "/accounts", &Value::Null).await;
        assert_eq!((accounts.as_array().unwrap().len(), &accounts[0][field]), (1, &json!("Lee")), "{target}");
        assert_eq!(accounts[0]["has_password"], false, "{target}");
        assert_eq!(accounts, json!(simulator.accounts()));
        control(simulator, "DELETE", &format!("/accounts/{key}"), &Value::Null).await;
        assert!(simulator.accounts().is_empty(), "{target}");
        assert!(!simulator.remove(key));

        create(&simulators, target, "1001").await.unwrap();
        simulator.fail_next(1, Fault::Html, None);
        control(simulator, "DELETE", if target == "glance" { "" } else { "/" }, &Value::Null).await;
        assert_eq!((simulator.accounts(), simulator.calls()), (vec![], vec![]), "{target}");
        create(&simulators, target, "1001").await.unwrap();
        assert_eq!(simulator.accounts().len(), 1, "{target}: a reset frees the keys and forgets the fault");
        assert_eq!(simulator.calls()[0]["n"], 1);
    }
    simulators.stop().await;
}

#[tokio::test]
async fn calls_are_logged_in_order_without_secrets() {
    let simulators = start(options()).await.unwrap();
    for (target, ..) in TARGETS {
        create(&simulators, target, "ann").await.unwrap();
        create(&simulators, target, "ann").await.unwrap();
    }
    let calls = |simulator: &Simulator| -> Vec<(String, Value, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        simulator
            .calls()
            .iter()
            .map(|call| (text(&call["operation"]), call["status"].clone(), text(&call["outcome"])))
            .collect()
    };
    let row = |operation: &str, status: u16, outcome: &str| (operation.to_owned(), json!(status), outcome.to_owned());
    let taken = "Failed: The PartnerUserID is already in use";
    assert_eq!(calls(&simulators.glance), [row("NewUser.asp", 200, "OK"), row("NewUser.asp", 200, taken)]);
    let taken = "409 UID already exists.";
    assert_eq!(calls(&simulators.netsapiens), [row("POST users", 202, "202 Accepted"), row("POST users", 409, taken)]);
    let taken = "COM.CRM.EXCEPTION.USERS.USERNAMEALREADYEXISTSEXCEPTION: The username is already used";
    let sign_in = row("authentication/token", 200, "OK");
    let expected = [sign_in.clone(), row("users/create", 200, "OK"), sign_in, row("users/create", 200, taken)];
    assert_eq!(calls(&simulators.crm_com), expected);
    let logged = control(&simulators.crm_com, "GET", "/calls", &Value::Null).await;
    assert_eq!(logged, json!(simulators.crm_com.calls()));
    let fields = &logged[1]["fields"];
    assert_eq!(
        (&fields["token"], &fields["password"], &fields["username"]),
        (&json!("***"), &json!("***"), &json!("ann"))
    );
    assert_eq!((&logged[1]["method"], &logged[1]["path"]), (&json!("POST"), &json!("/crmapi/rest/v2/users/create")));
    assert_eq!(simulators.glance.calls()[0]["fields"]["PartnerPW"], "***");
    let all = [simulators.glance.calls(), simulators.netsapiens.calls(), simulators.crm_com.calls()];
    let all = json!(all).to_string();
    for secret in [glance::PARTNER_PASSWORD, netsapiens::API_KEY, crm_com::PASSWORD, "Gx7!qv02Lm"] {
        assert!(!all.contains(secret), "{secret}");
    }
    simulators.stop().await;
}

#[tokio::test]
async fn the_clock_is_moved_on_by_a_control_call() {
    let simulator = start_netsapiens(&options()).await.unwrap();
    assert_eq!(control(&simulator, "GET", "/clock", &Value::Null).await, json!({"now": "2033-05-18T03:33:20Z"}));
    let moved = control(&simulator, "POST", "/clock", &json!({"advance_seconds": 40})).await;
    assert_eq!(moved, json!({"now": "2033-05-18T03:34:00Z"}));
    assert_eq!(simulator.now().to_string(), "2033-05-18T03:34:00Z");
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_the_server_even_while_a_call_hangs() {
    let simulators = start(options()).await.unwrap();
    simulators.glance.fail_next(1, Fault::Timeout, None);
    let url = format!("{}ShowRoles.asp", simulators.glance.api_url());
    let hanging = tokio::spawn(reqwest::Client::new().post(url.clone()).send());
    while simulators.glance.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    simulators.stop().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(reqwest::Client::new().post(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn dropping_a_simulator_ends_its_server() {
    let simulator = start_glance(&options()).await.unwrap();
    let url = simulator.url().to_owned();
    drop(simulator);
    while reqwest::get(&url).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn simulators_start_from_the_runtime_of_actix_too() {
    actix_web::rt::System::new().block_on(async {
        let simulators = start(Options::default()).await.unwrap();
        let (_, text) = create(&simulators, "glance", "ann").await.unwrap();
        assert!(text.contains("<status>OK</status>"));
        simulators.stop().await;
    });
}

#[tokio::test]
async fn a_port_can_be_chosen_and_a_taken_one_is_an_error() {
    let first = start_glance(&options()).await.unwrap();
    let port = first.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let mut taken = options();
    taken.ports.glance = port;
    let error = start_glance(&taken).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    first.stop().await;
    let again = start_glance(&taken).await.unwrap();
    assert_eq!(again.api_url(), format!("http://127.0.0.1:{port}/PAPI/"));
    again.stop().await;
}

#[tokio::test]
async fn latency_delays_answers_but_not_the_work() {
    let simulators = start(Options { latency: Duration::from_secs(60), ..options() }).await.unwrap();
    tokio::select! {
        answer = create(&simulators, "glance", "ann") => panic!("{answer:?} came too early"),
        () = has_logged(&simulators.glance, "NewUser", 0) => {}
    }
    assert_eq!(simulators.glance.accounts().len(), 1);
    simulators.stop().await;
}
