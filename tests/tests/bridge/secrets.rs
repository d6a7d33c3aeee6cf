//! No secret appears in a journal row, an answer, or the database; no personal data in a log line.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;

use bridge_simulators::{Fault, credentials};
use bridge_store::AccountState;
use bridge_tests::samples::ann;
use bridge_tests::{Bridge, Setup, write_secrets};
use serde_json::{Value, json};

/// A password as an identity provider sends it.
const SUPPLIED: &str = "kJ8!random";

fn planted(bridge: &Bridge) -> Vec<String> {
    let known = [
        credentials::glance::PARTNER_PASSWORD,
        credentials::netsapiens::API_KEY,
        credentials::crm_com::WEB_API_KEY,
        SUPPLIED,
    ];
    known.iter().map(|secret| (*secret).to_owned()).chain([bridge.token.clone()]).collect()
}

#[tokio::test]
async fn no_secret_is_in_the_database_the_journal_or_an_answer() {
    let setup = Setup::default().glance("[tenants.default.targets.glance.map]\nUserPW = \"password\"");
    let bridge = Bridge::with(setup).await;
    let created = bridge.post("/Users", ann()).await.has_status(201);
    let id = created.id();
    bridge.until_at_rest(&id).await;
    let operations = json!([{"op": "replace", "path": "password", "value": format!("{SUPPLIED}2")}]);
    let patched = bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    bridge.until_at_rest(&id).await;
    let secrets = planted(&bridge);
    for answer in [&created, &patched, &bridge.get(&format!("/Users/{id}")).await, &bridge.get("/Users").await] {
        let text = answer.body.to_string();
        assert!(!secrets.iter().any(|secret| text.contains(secret.as_str())), "{text}");
        assert!(!text.contains("password"), "{text}");
    }
    let resource = bridge.account(&id, "glance").await.resource;
    let journal = bridge
        .running
        .bridge
        .store
        .scan(move |db| {
            let requests =
                db.requests(&bridge_store::RequestQuery { tenant: "default".to_owned(), ..Default::default() })?;
            Ok::<_, bridge_store::StoreError>(format!("{requests:?} {:?}", db.calls_of(resource, None, 100)?))
        })
        .await
        .unwrap();
    assert!(journal.contains("***"), "the journal shows that there was a secret");
    assert!(!secrets.iter().any(|secret| journal.contains(secret.as_str())), "{journal}");
    // The rules use the password: it reached the target, and is not kept once it has served.
    assert_eq!(bridge.glance().accounts()[0]["has_password"], true);
    let folder = bridge.folder().to_owned();
    bridge.running.bridge.stop().await;
    for name in ["bridge.db", "bridge.db-wal"] {
        let Ok(bytes) = std::fs::read(folder.join(name)) else { continue };
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {name}");
        }
    }
}

#[tokio::test]
async fn neither_secrets_nor_names_are_in_the_log_or_in_what_plan_prints() {
    let simulators = bridge_simulators::start(bridge_simulators::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_secrets(folder.path());
    let config = folder.path().join("bridge.toml");
    std::fs::write(&config, Setup::default().file(&simulators, &folder.path().join("bridge.db"))).unwrap();
    std::fs::write(folder.path().join("ann.json"), ann().to_string()).unwrap();
    let binary = env!("CARGO_BIN_EXE_bridge-under-test");
    let plan = Command::new(binary)
        .args(["plan", "--config"])
        .arg(&config)
        .arg("--user")
        .arg(folder.path().join("ann.json"))
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&plan.stdout), String::from_utf8_lossy(&plan.stderr));
    assert!(plan.status.success(), "{printed}");
    assert!(printed.contains("NewUser") && printed.contains("ann.acme.glance.net"), "{printed}");
    let secrets = [
        credentials::glance::PARTNER_PASSWORD,
        credentials::netsapiens::API_KEY,
        credentials::crm_com::WEB_API_KEY,
        SUPPLIED,
    ];
    for secret in secrets {
        assert!(!printed.contains(secret), "{secret} is printed");
    }
    assert_eq!(simulators.glance.calls().len(), 0, "plan touches nothing");
    // The demo pushes real users through a real bridge; with the log at its most talkative.
    let demo = Command::new(binary).args(["demo", "--once"]).env("RUST_LOG", "trace").output().unwrap();
    let log = String::from_utf8_lossy(&demo.stderr).into_owned();
    assert!(demo.status.success(), "{log}");
    let printed = String::from_utf8_lossy(&demo.stdout).into_owned();
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is logged");
    }
    let ours: Vec<&str> = log.lines().filter(|line| line.contains("bridge_") || line.contains("scim_")).collect();
    for line in ours {
        assert!(!line.contains("@acme.example"), "a log line names a person: {line}");
    }
    assert!(!printed.is_empty());
    simulators.stop().await;
}

/// A webhook that takes every alert: its address, and what it was sent. What it has answered can be received.
pub(super) fn webhook() -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, alerts) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut read) = (stream.unwrap(), Vec::new());
            // An alert is small: it has arrived whole once the body is JSON.
            let alert = loop {
                let mut bytes = [0; 4096];
                let count = stream.read(&mut bytes).unwrap();
                read.extend_from_slice(&bytes[..count]);
                let text = String::from_utf8_lossy(&read).into_owned();
                let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                if let Ok(alert) = serde_json::from_str(body) {
                    break alert;
                }
                assert!(count > 0, "an alert is cut off: {text}");
            };
            if sender.send(alert).is_err() {
                return;
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    (address, alerts)
}

#[tokio::test]
async fn an_alert_carries_ids_and_field_names_and_the_row_carries_what_to_do() {
    let (address, alerts) = webhook();
    let next = || alerts.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    let setup = Setup { more: format!("[alerts]\nwebhook = \"{address}\""), ..Setup::default() };
    let bridge = Bridge::with(setup).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let operations = json!([{"op": "replace", "path": "name.familyName", "value": "Otero-Planted"}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    let row = bridge.until_state(&id, "crm", AccountState::Task).await;
    let text = row.reason.unwrap().text;
    assert!(text.contains("Otero-Planted") && text.contains("ann"), "{text}");
    let alert = next();
    assert_eq!(
        (alert["kind"].as_str(), alert["code"].as_str(), alert["resource"].as_str()),
        (Some("task"), Some("cannot-update"), Some(id.as_str()))
    );
    assert_eq!((alert["target"].as_str(), alert["remote_id"].as_str()), (Some("crm"), row.remote_id.as_deref()));
    assert_eq!(alert["fields"], json!(["last_name"]));
    let shown = alert.to_string().to_lowercase();
    assert!(!shown.contains("planted") && !shown.contains("ann@") && !shown.contains("user ann"), "{shown}");
    // What a target says may name anybody.
    bridge.pbx().fail_next(1, Fault::Refuse("Bob Planted has the seat".to_owned()), Some("PUT users/{user}"));
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
    let row = bridge.until_state(&id, "pbx", AccountState::Parked).await;
    assert!(row.reason.unwrap().text.contains("Bob Planted"));
    let alert = std::iter::repeat_with(next).find(|alert| alert["target"] == "pbx").unwrap();
    assert_eq!((alert["kind"].as_str(), alert["code"].as_str()), (Some("parked"), Some("http-400")));
    assert!(!alert.to_string().contains("Planted"), "{alert}");
    bridge.stop().await;
}
