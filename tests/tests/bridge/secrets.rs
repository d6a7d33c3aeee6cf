//! No secret appears in a journal row, an answer, or the database; no personal data in a log line.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};

use bridge_simulators::{Fault, credentials};
use bridge_store::AccountState;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Answer, Bridge, Setup, write_secrets};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::startup::Stage;

/// A password as an identity provider sends it.
const SUPPLIED: &str = "kJ8!random";

/// A rule that passes that password on.
const PASSED_ON: &str = "[tenants.default.targets.glance.map]\nUserPW = \"password\"";

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
    let setup = Setup::default().glance(PASSED_ON);
    let bridge = Bridge::with(setup).await;
    let created = bridge.post("/Users", ann()).await.has_status(201);
    let id = created.id();
    bridge.until_at_rest(&id).await;
    let operations = json!([{"op": "replace", "path": "password", "value": format!("{SUPPLIED}2")}]);
    let patched = bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    bridge.until_at_rest(&id).await;
    // Groups have no password, but a client may send one all the same.
    let group = json!({"displayName": "Sales", "password": SUPPLIED});
    let group = bridge.post("/Groups", group).await.has_status(201).id();
    let operations = json!([{"op": "replace", "path": "password", "value": SUPPLIED}]);
    bridge.patch(&format!("/Groups/{group}"), operations).await;
    let extension = json!({"urn:ietf:params:scim:schemas:extension:bridgeGlance:2.0:User": {"UserPW": SUPPLIED}});
    bridge.put(&format!("/Groups/{group}"), extension).await.has_status(400);
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
    let setup = Setup::default().glance(PASSED_ON);
    std::fs::write(&config, setup.file(&simulators, &folder.path().join("bridge.db"))).unwrap();
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
    assert!(printed.contains("UserPW"), "the rule is in the plan: {printed}");
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

/// Passes connections on to a server and keeps what is sent to it: where it does so, and what has been sent.
fn recorder(upstream: &str) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (upstream, sent) = (upstream.trim_start_matches("http://").to_owned(), Arc::new(Mutex::new(Vec::new())));
    let recorded = sent.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&upstream).unwrap());
            let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                // Either end may leave first; there is nobody to be told.
                let _ = std::io::copy(&mut answers, &mut back);
                let _ = back.shutdown(Shutdown::Both);
            });
            let recorded = recorded.clone();
            std::thread::spawn(move || {
                let mut bytes = [0; 8192];
                while let Ok(count @ 1..) = client.read(&mut bytes) {
                    recorded.lock().unwrap().extend_from_slice(&bytes[..count]);
                    if server.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
                let _ = server.shutdown(Shutdown::Both);
            });
        }
    });
    (address, sent)
}

/// What stands behind each of these words, up to the first character that does not fit.
fn after(sent: &Arc<Mutex<Vec<u8>>>, word: &str, fits: impl Fn(char) -> bool) -> Vec<String> {
    let sent = String::from_utf8_lossy(&sent.lock().unwrap()).into_owned();
    let found = sent.match_indices(word).map(|(at, word)| sent[at + word.len()..].split(|letter| !fits(letter)).next());
    found.map(|found| found.unwrap_or_default().to_owned()).collect()
}

/// Everything that a journal, an audit trail and the rows of the accounts say.
async fn rows(database: &std::path::Path) -> String {
    let store = bridge_store::Store::open(&bridge_store::Options::visit(database)).unwrap();
    let read = store.scan(|db| {
        let requests =
            db.requests(&bridge_store::RequestQuery { tenant: "default".to_owned(), ..Default::default() })?;
        let accounts = db.accounts_where(&bridge_store::AccountQuery { limit: 1_000, ..Default::default() })?;
        let mut text = format!("{requests:?} {accounts:?} {:?}", db.audit("default", 0, 1_000)?);
        for resource in requests.iter().filter_map(|request| request.resource) {
            text += &format!("{:?}", db.calls_of(resource, None, 1_000)?);
        }
        Ok::<_, bridge_store::StoreError>(text)
    });
    let text = read.await.unwrap();
    store.close().await;
    text
}

#[tokio::test]
async fn what_is_signed_exchanged_or_made_on_the_way_is_nowhere_even_if_a_target_quotes_it() {
    let stage = Stage::set().await;
    stage.write(&Setup::default().glance(PASSED_ON));
    let [glance, pbx, crm] = [&stage.simulators.glance, &stage.simulators.netsapiens, &stage.simulators.crm_com];
    let (to_glance, glance_sent) = recorder(glance.url());
    let (to_crm, crm_sent) = recorder(crm.url());
    let signed = format!(
        "api_key = {{ file = \"glance_api_key\" }}\npartner_user_id = \"{}\"",
        credentials::glance::ADMINISTRATOR_ID
    );
    std::fs::write(stage.folder.path().join("glance_api_key"), credentials::glance::API_KEY).unwrap();
    let text = std::fs::read_to_string(&stage.file).unwrap();
    let text = text.replace("partner_password = { file = \"glance_password\" }", &signed);
    let text = text.replace(glance.url(), &to_glance).replace(crm.url(), &to_crm);
    std::fs::write(&stage.file, text).unwrap();
    let token = stage.token();
    let (serve, [scim, admin]) = stage.serve("trace");
    let send = async |method: Method, path: &str, body: Value| {
        let request = Client::new().request(method, format!("{scim}{path}")).bearer_auth(&token);
        Answer::of(request.header("Content-Type", "application/scim+json").body(body.to_string())).await
    };
    let mut shown = Vec::new();
    // Each target refuses one user, and quotes what the call was signed with: Glance twice, for a refused key is signed again.
    for (number, (simulator, operation)) in
        [(glance, "NewUser"), (pbx, "POST users"), (crm, "users/create")].into_iter().enumerate()
    {
        simulator.fail_next(if number == 0 { 2 } else { 1 }, Fault::Echo, Some(operation));
        let refused = send(Method::POST, "/Users", okta_user(&format!("refused{number}"))).await.has_status(400);
        shown.push(refused.names(&["Refused to ***"]).body.to_string());
    }
    let created = send(Method::POST, "/Users", ann()).await.has_status(201);
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "password", "value": format!("{SUPPLIED}2")}],
    });
    let patched = send(Method::PATCH, &format!("/Users/{}", created.id()), patch).await.has_status(200);
    shown.extend([created.body.to_string(), patched.body.to_string()]);
    let mut pages = vec!["/metrics".to_owned(), "/admin/v1/accounts".to_owned(), "/admin/v1/requests".to_owned()];
    let requests = Answer::of(Client::new().get(format!("{admin}/admin/v1/requests"))).await.body;
    let requests = requests["requests"].as_array().unwrap().iter().map(|request| request["id"].as_str().unwrap());
    pages.extend(requests.map(|id| format!("/admin/v1/requests/{id}")));
    assert_eq!(pages.len(), 3 + 5);
    for page in pages {
        shown.push(reqwest::get(format!("{admin}{page}")).await.unwrap().text().await.unwrap());
    }
    let (status, log) = serve.end();
    assert!(status.success() && log.contains("TRACE"), "{status}");
    let database = stage.folder.path().join("bridge.db");
    let (rows, file) = (rows(&database).await, std::fs::read(&database).unwrap());

    // What has really travelled: keys signed for one call each, a session, a password that nobody chose.
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let signatures = after(&glance_sent, "%241%24", |letter| is_word(letter) || letter == '%');
    let signatures: Vec<String> =
        signatures.iter().map(|key| key.split("%24").nth(1).unwrap()[..43].to_owned()).collect();
    let sessions = after(&crm_sent, "eyJ", is_word).into_iter().filter(|rest| rest.contains('.'));
    let sessions: Vec<String> = sessions.map(|rest| format!("eyJ{rest}")).collect();
    let passwords = after(&crm_sent, "\"password\":\"", |letter| letter != '"');
    let basic = after(&crm_sent, "Basic ", |letter| is_word(letter) || "+/=".contains(letter));
    for (what, found) in [("signature", &signatures), ("session", &sessions), ("password", &passwords)] {
        assert!(
            !found.is_empty() && found.iter().all(|secret| secret.len() >= 12),
            "no {what} has travelled: {found:?}"
        );
    }
    let known = [
        credentials::glance::API_KEY,
        credentials::netsapiens::API_KEY,
        credentials::crm_com::WEB_API_KEY,
        SUPPLIED,
        &token,
    ];
    let known = known.map(str::to_owned);
    for secret in known.iter().chain(&signatures).chain(&sessions).chain(&passwords).chain(&basic) {
        for (place, text) in [("log", &log), ("rows", &rows), ("answers", &shown.join("\n"))] {
            assert!(!text.contains(secret.as_str()), "{secret} is in the {place}");
        }
        assert!(!file.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in the database");
    }
    for text in [&log, &rows, &shown.join("\n")] {
        assert!(!text.contains("$1$") && !text.contains("%241%24"), "a signed key, or a part of one, is shown");
    }
    assert!(rows.contains("***"), "the rows show that there were secrets");
    stage.simulators.stop().await;
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
