//! Crashes, and a stop in the middle of work: whatever was answered holds, nothing is made twice.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bridge_server::clock::Clock;
use bridge_simulators::{Fault, Options, Simulators};
use bridge_store::AccountState;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Answer, Setup, calls_of, write_secrets};
use reqwest::Method;
use serde_json::{Value, json};

/// A bridge in a process of its own, which can be killed.
struct Process {
    child: Child,
    scim_url: String,
}

impl Process {
    /// Starts it and waits until it is ready.
    async fn start(config: &Path, ports: [u16; 2]) -> Self {
        Self::start_after("", config, ports).await
    }

    /// As [`Process::start`], after these commands of a shell.
    async fn start_after(commands: &str, config: &Path, [scim, admin]: [u16; 2]) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{commands} exec \"$0\" serve --config \"$1\"")])
            .arg(env!("CARGO_BIN_EXE_bridge-under-test"))
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ready = format!("http://127.0.0.1:{admin}/readyz");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match reqwest::get(&ready).await {
                Ok(response) if response.status().is_success() => break,
                _ => assert!(Instant::now() < deadline, "not ready: {:?}", child.try_wait()),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { child, scim_url: format!("http://127.0.0.1:{scim}/scim/v2") }
    }

    /// kill -9.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn send(&self, token: &str, method: Method, path: &str, body: Value) -> Answer {
        let request = reqwest::Client::new().request(method, format!("{}{path}", self.scim_url)).bearer_auth(token);
        Answer::of(request.header("Content-Type", "application/scim+json").body(body.to_string())).await
    }
}

/// A client of a bridge in a process of its own. Whoever asks does not mind if the process dies over it.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    scim_url: String,
    token: String,
}

impl Client {
    fn of(process: &Process, token: &str) -> Self {
        Self { http: reqwest::Client::new(), scim_url: process.scim_url.clone(), token: token.to_owned() }
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.scim_url)).bearer_auth(&self.token);
        let body = body.map(Value::to_string).unwrap_or_default();
        request.header("Content-Type", "application/scim+json").body(body)
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path, None)).await
    }

    /// The body of a 2xx, if it came by then.
    async fn accepted_by(&self, deadline: Instant, method: Method, path: &str, body: Option<&Value>) -> Option<Value> {
        let exchange = async {
            let response = self.request(method, path, body).send().await?;
            assert!(response.status().is_success(), "{}", response.status());
            response.text().await
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let text = tokio::time::timeout(left, exchange).await.ok()?.ok()?;
        Some(serde_json::from_str(&text).unwrap_or_default())
    }
}

/// Two ports that nobody listens on.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn new_token(config: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bridge-under-test"))
        .args(["token", "new", "--json", "--tenant", "default", "--label", "test", "--config"])
        .arg(config)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    printed["token"].as_str().unwrap().to_owned()
}

/// What is in the targets for a user name.
fn accounts_of(simulators: &Simulators, name: &str) -> [usize; 3] {
    let count = |accounts: Vec<Value>, field: &str, value: &str| {
        accounts.iter().filter(|account| account[field] == value).count()
    };
    [
        count(simulators.glance.accounts(), "UserAddress", &format!("{name}.acme.glance.net")),
        count(simulators.netsapiens.accounts(), "login-username", &format!("{name}@acme.example")),
        count(simulators.crm_com.accounts(), "username", name),
    ]
}

/// Simulators, and a configuration file for a bridge in a process of its own.
struct Stage {
    simulators: Simulators,
    folder: tempfile::TempDir,
    config: std::path::PathBuf,
    ports: [u16; 2],
}

impl Stage {
    async fn set(latency: Duration) -> Self {
        Self::set_with(latency, Setup::default().wait("100ms")).await
    }

    async fn set_with(latency: Duration, setup: Setup) -> Self {
        Self::before(Options { latency, ..Options::default() }, setup).await
    }

    async fn before(options: Options, setup: Setup) -> Self {
        let simulators = bridge_simulators::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_secrets(folder.path());
        let config = folder.path().join("bridge.toml");
        let ports = free_ports();
        let listen = |text: &str, key: &str, port: u16| {
            text.replace(&format!("\n{key} = \"127.0.0.1:0\""), &format!("\n{key} = \"127.0.0.1:{port}\""))
        };
        let file = setup.file(&simulators, &folder.path().join("bridge.db"));
        let file = listen(&listen(&file, "listen", ports[0]), "admin_listen", ports[1]);
        std::fs::write(&config, file).unwrap();
        Self { simulators, folder, config, ports }
    }
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_flight_and_ends_with_success() {
    let Stage { simulators, folder, config, ports } = Stage::set(Duration::from_millis(300)).await;
    let token = new_token(&config);
    let mut process = Process::start(&config, ports).await;
    let client = Client::of(&process, &token);
    Answer::of(client.request(Method::POST, "/Users", Some(&ann()))).await.has_status(201);
    // A word of the shell's own: not every machine has a program of that name.
    let killed = Command::new("sh").args(["-c", &format!("kill -TERM {}", process.child.id())]).status().unwrap();
    assert!(killed.success());
    let status = tokio::task::spawn_blocking(move || process.child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    let store = bridge_store::Store::open(&bridge_store::Options::visit(folder.path().join("bridge.db"))).unwrap();
    let rows = store.scan(|db| db.accounts_where(&bridge_store::AccountQuery::default())).await.unwrap();
    assert!(rows.iter().all(|row| row.lease.is_none()), "{rows:#?}");
    for row in rows.iter().filter(|row| row.remote_id.is_some()) {
        assert_eq!(row.state, AccountState::Settled, "{} was answered and is written down", row.target);
    }
    assert_eq!(simulators.netsapiens.accounts().len(), 1, "the call in flight was finished");
    simulators.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_answers_whom_the_bridge_still_owes_an_answer_and_takes_nobody_else() {
    let setup = Setup::default().wait("10s");
    let Stage { simulators, folder: _folder, config, ports } = Stage::set_with(Duration::ZERO, setup).await;
    let token = new_token(&config);
    let mut process = Process::start(&config, ports).await;
    simulators.glance.fail_next(1, Fault::Slow(Duration::from_millis(1_500)), Some("NewUser"));
    let client = Client::of(&process, &token);
    let waiting = tokio::spawn(Answer::of(client.request(Method::POST, "/Users", Some(&ann()))));
    until("under way", || !calls_of(&simulators.glance, "NewUser").is_empty()).await;
    let killed = Command::new("kill").args(["-TERM", &process.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    until("closed to others", || std::net::TcpStream::connect(("127.0.0.1", ports[0])).is_err()).await;
    assert!(process.child.try_wait().unwrap().is_none(), "it is still there for the one it took");
    waiting.await.unwrap().has_status(201);
    let status = tokio::task::spawn_blocking(move || process.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    simulators.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_whose_disk_refuses_says_so_and_ends_and_every_user_that_got_a_201_is_there_after_it() {
    // Nothing but the requests writes: the first write that fails is one that somebody waits for.
    let hold = r#"mode = "hold""#;
    let setup = Setup::default().wait("0s").glance(hold).pbx(hold).crm(hold);
    let Stage { simulators, folder: _folder, config, ports } = Stage::set_with(Duration::ZERO, setup).await;
    let token = new_token(&config);
    // No file may grow beyond 2 MiB; the signal that goes with it is ignored, so that the write itself fails.
    let mut process = Process::start_after("trap '' XFSZ; ulimit -f 4096;", &config, ports).await;
    let client = Client::of(&process, &token);
    let mut accepted = Vec::new();
    let refused = loop {
        let mut user = okta_user(&format!("user{}", accepted.len()));
        user["nickName"] = json!("x".repeat(16_000));
        let answer = Answer::of(client.request(Method::POST, "/Users", Some(&user))).await;
        if answer.status != 201 {
            break answer;
        }
        accepted.push(answer.id());
        assert!(accepted.len() < 1_000, "the disk takes it all");
    };
    assert_eq!(refused.status, 503, "{:#}", refused.body);
    assert_eq!(refused.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(refused.body["status"], "503");
    let status = tokio::task::spawn_blocking(move || process.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1), "whoever runs it starts it again");
    assert!(accepted.len() > 5, "{accepted:?}");
    let process = Process::start(&config, ports).await;
    for id in &accepted {
        client.get(&format!("/Users/{id}")).await.has_status(200);
    }
    process.kill();
    simulators.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_before_does_not_become_ours_because_the_bridge_died_while_it_was_looked_at() {
    let on_review = r#"adopt = "review""#;
    for (target, operation) in [("pbx", "GET users/{user}"), ("crm", "users/show")] {
        let setup = Setup::default().wait("0s").glance(r#"mode = "hold""#).crm(&format!("{on_review}\nafter = []"));
        let Stage { simulators, folder, config, ports } = Stage::set_with(Duration::ZERO, setup).await;
        simulators.netsapiens.seed(json!({
            "user": "1000", "name-first-name": "Annie", "name-last-name": "Roe", "login-username": "ann@acme.example",
            "email-address": "ann@acme.example", "user-scope": "Basic User"
        }));
        simulators.crm_com.seed(json!({
            "username": "ann", "first_name": "Annie", "last_name": "Roe", "email": "ann@acme.example",
            "password": "Old!passw0rd12"
        }));
        let simulator = if target == "pbx" { &simulators.netsapiens } else { &simulators.crm_com };
        simulator.fail_next(1, Fault::Timeout, Some(operation));
        let token = new_token(&config);
        let process = Process::start(&config, ports).await;
        let client = Client::of(&process, &token);
        Answer::of(client.request(Method::POST, "/Users", Some(&ann()))).await.has_status(201);
        until("being looked at", || !calls_of(simulator, operation).is_empty()).await;
        process.kill();
        let process = Process::start(&config, ports).await;
        let store = bridge_store::Store::open(&bridge_store::Options::visit(folder.path().join("bridge.db"))).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let row = loop {
            let rows = store.scan(|db| db.accounts_where(&bridge_store::AccountQuery::default())).await.unwrap();
            let row = rows.into_iter().find(|row| row.target == target && row.applied == row.wanted);
            match row {
                Some(row) => break row,
                None => assert!(Instant::now() < deadline, "{target} does not come to rest"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let reason = row.reason.map(|reason| reason.code);
        assert_eq!((row.state, reason.as_deref()), (AccountState::Parked, Some("review")), "{target}");
        process.kill();
        let names = [("first_name", "Annie"), ("name-first-name", "Annie")];
        assert!(simulator.accounts().iter().all(|account| names.iter().any(|(name, value)| account[*name] == *value)));
        simulators.stop().await;
    }
}

/// Waits until no account of this database has anything to be done, and returns them all.
async fn all_at_rest(database: &Path) -> Vec<bridge_store::Account> {
    let store = bridge_store::Store::open(&bridge_store::Options::visit(database)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let rows = store.scan(|db| db.accounts_where(&bridge_store::AccountQuery::default())).await.unwrap();
        let open: Vec<_> = rows.iter().filter(|row| !row.state.is_answer() || row.applied < row.wanted).collect();
        if open.is_empty() {
            return rows;
        }
        assert!(Instant::now() < deadline, "not at rest: {open:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a client was told of a user by a 2xx, the last time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Made,
    Deactivated,
    /// There was no answer to a DELETE.
    PerhapsDeleted,
    Deleted,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_any_moment_and_whatever_got_a_2xx_holds_in_each_target_and_nothing_else_is_there() {
    const ROUNDS: usize = 6;
    let Stage { simulators, folder, config, ports } = Stage::set(Duration::from_millis(15)).await;
    let token = new_token(&config);
    let off = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "value": {"active": false}}]
    });
    let mut told: Vec<(String, String, Told)> = Vec::new();
    let was_told = |told: &[(String, String, Told)]| {
        let kinds = [Told::Made, Told::Deactivated, Told::Deleted];
        kinds.iter().all(|kind| told.iter().any(|(_, _, last)| last == kind))
    };
    for round in 0.. {
        if round >= ROUNDS && was_told(&told) {
            break;
        }
        assert!(round < 10 * ROUNDS, "nobody lives long enough: {told:#?}");
        let process = Process::start(&config, ports).await;
        let client = Client::of(&process, &token);
        // The moment of death differs from round to round and from machine to machine.
        let death = Instant::now() + Duration::from_millis(60 + 70 * round as u64);
        let mut joiners = Vec::new();
        let join = async {
            for number in 0.. {
                let name = format!("user{round}x{number}");
                let user = okta_user(&name);
                let Some(body) = client.accepted_by(death, Method::POST, "/Users", Some(&user)).await else { return };
                joiners.push((name, body["id"].as_str().unwrap().to_owned(), Told::Made));
            }
        };
        // Meanwhile two who were told that they are in leave, one in each way.
        let mut stayers = told.iter_mut().filter(|(_, _, told)| *told == Told::Made);
        let (deactivated, deleted) = (stayers.next(), stayers.next());
        let deactivate = async {
            let Some((_, id, told)) = deactivated else { return };
            let path = format!("/Users/{id}");
            if client.accepted_by(death, Method::PATCH, &path, Some(&off)).await.is_some() {
                *told = Told::Deactivated;
            }
        };
        let delete = async {
            let Some((_, id, told)) = deleted else { return };
            *told = Told::PerhapsDeleted;
            if client.accepted_by(death, Method::DELETE, &format!("/Users/{id}"), None).await.is_some() {
                *told = Told::Deleted;
            }
        };
        tokio::join!(join, deactivate, delete);
        process.kill();
        told.extend(joiners);
    }
    let process = Process::start(&config, ports).await;
    let client = Client::of(&process, &token);
    let rows = all_at_rest(&folder.path().join("bridge.db")).await;
    // What was promised of a user holds; a request without an answer may have been carried out.
    for (name, id, last) in &told {
        let user = client.get(&format!("/Users/{id}")).await;
        match last {
            Told::Deleted => assert_eq!(user.status, 404, "{name}"),
            Told::PerhapsDeleted => assert!([200, 404].contains(&user.status), "{name} {}", user.status),
            Told::Deactivated => assert_eq!(user.body["active"], false, "{name}"),
            Told::Made => assert_eq!(user.body["userName"], format!("{name}@acme.example")),
        }
    }
    // And the targets have exactly that: an account for each user, out where the user is, and none beside them.
    let users = client.get("/Users?count=1000").await.has_status(200).body;
    let resources = users["Resources"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(users["totalResults"], resources.len());
    let name = |user: &Value| user["userName"].as_str().unwrap().trim_end_matches("@acme.example").to_owned();
    let active: BTreeSet<String> = resources.iter().filter(|user| user["active"] == true).map(name).collect();
    let all: BTreeSet<String> = resources.iter().map(name).collect();
    let named = |accounts: Vec<Value>, field: &str, suffix: &str| -> Vec<(String, Value)> {
        let of = |account: Value| (account[field].as_str().unwrap().trim_end_matches(suffix).to_owned(), account);
        accounts.into_iter().map(of).collect()
    };
    let glance = named(simulators.glance.accounts(), "UserAddress", ".acme.glance.net");
    let pbx = named(simulators.netsapiens.accounts(), "login-username", "@acme.example");
    let crm = named(simulators.crm_com.accounts(), "username", "");
    let who = |accounts: &[(String, Value)], is_in: fn(&Value) -> bool| -> Vec<String> {
        let mut names: Vec<String> =
            accounts.iter().filter(|(_, account)| is_in(account)).map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    };
    let of = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
    assert_eq!(who(&glance, |account| account["UserSuspended"] == false), of(&active));
    assert_eq!(who(&pbx, |account| account["user-scope"] != "No Portal"), of(&active));
    let gone: Vec<String> = who(&pbx, |_| true).into_iter().filter(|name| !all.contains(name)).collect();
    assert_eq!(gone, Vec::<String>::new(), "who is deleted is gone from the PBX");
    // CRM.COM can neither suspend nor delete: each who left has a task there, nobody else has.
    let tasks = rows.iter().filter(|row| row.target == "crm" && row.state == AccountState::Task).count();
    assert!(who(&crm, |_| true).iter().collect::<BTreeSet<_>>().is_superset(&active.iter().collect()));
    assert_eq!(crm.len(), active.len() + tasks, "{crm:#?}");
    process.kill();
    simulators.stop().await;
}

/// Asks again and again until a condition holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not {what} in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_the_middle_of_a_create_at_a_pbx_whose_reads_lag_leaves_one_account_at_the_end() {
    // How long the bridge waits until a write must show: for ever where it was carried out, as the test decides when it does.
    for (fault, settle_lag, posts) in [(Fault::TimeoutAfterApply, "1h", 1), (Fault::Timeout, "2s", 2)] {
        let mut options = Options { now: Some(Clock::system().now()), ..Options::default() };
        options.netsapiens.replication_lag = Duration::from_secs(8);
        let setup = Setup::default().wait("100ms").pbx(&format!("synchronous = false\nsettle_lag = \"{settle_lag}\""));
        let Stage { simulators, folder, config, ports } = Stage::before(options, setup).await;
        let pbx = &simulators.netsapiens;
        let token = new_token(&config);
        let process = Process::start(&config, ports).await;
        let client = Client::of(&process, &token);
        pbx.fail_next(1, fault.clone(), Some("POST users"));
        Answer::of(client.request(Method::POST, "/Users", Some(&ann()))).await.has_status(201);
        let is_hanging = |call: &Value| call["outcome"].as_str().is_some_and(|text| text.contains("timeout"));
        until("under way", || pbx.calls().iter().any(is_hanging)).await;
        process.kill();
        let process = Process::start(&config, ports).await;
        if posts == 1 {
            let reads =
                || pbx.calls().into_iter().skip_while(|call| !is_hanging(call)).filter(|call| call["status"] == 404);
            until("looked for twice", || reads().count() >= 2).await;
            assert_eq!(calls_of(pbx, "POST users").len(), 1, "what does not show yet may be there: {:#?}", pbx.calls());
            pbx.advance(Duration::from_secs(8));
        }
        let rows = all_at_rest(&folder.path().join("bridge.db")).await;
        let row = rows.iter().find(|row| row.target == "pbx").unwrap();
        assert_eq!((row.state, row.remote_id.as_deref()), (AccountState::Settled, Some("1000")), "{fault:?}: {row:#?}");
        assert_eq!(accounts_of(&simulators, "ann"), [1, 1, 1], "{fault:?}");
        assert_eq!((pbx.accounts().len(), &pbx.accounts()[0]["user"]), (1, &json!("1000")), "{fault:?}");
        assert_eq!(calls_of(pbx, "POST users").len(), posts, "{fault:?}: {:#?}", pbx.calls());
        process.kill();
        simulators.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_after_kill_9_in_the_middle_of_a_rename_is_suspended_under_the_new_name() {
    // The reads of the PBX show the rename never, as far as this test goes.
    let mut options = Options { now: Some(Clock::system().now()), ..Options::default() };
    options.netsapiens.replication_lag = Duration::from_secs(8);
    let setup = Setup::default().wait("100ms").pbx("settle_lag = \"1h\"");
    let Stage { simulators, folder: _folder, config, ports } = Stage::before(options, setup).await;
    let pbx = &simulators.netsapiens;
    let token = new_token(&config);
    let process = Process::start(&config, ports).await;
    let client = Client::of(&process, &token);
    let id = Answer::of(client.request(Method::POST, "/Users", Some(&ann()))).await.has_status(201).id();
    until("made everywhere", || accounts_of(&simulators, "ann") == [1, 1, 1]).await;
    let path = format!("/Users/{id}");
    let patch = |value: Value| {
        let urn = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
        json!({"schemas": [urn], "Operations": [{"op": "replace", "value": value}]})
    };
    pbx.fail_next(1, Fault::TimeoutAfterApply, Some("PUT users"));
    let rename = patch(json!({"name": {"familyName": "Rowe"}}));
    Answer::of(client.request(Method::PATCH, &path, Some(&rename))).await.has_status(200);
    let is_hanging = |call: &Value| call["outcome"].as_str().is_some_and(|text| text.contains("timeout"));
    until("under way", || pbx.calls().iter().any(is_hanging)).await;
    process.kill();
    let process = Process::start(&config, ports).await;
    let leave = patch(json!({"active": false}));
    Answer::of(client.request(Method::PATCH, &path, Some(&leave))).await.has_status(200);
    until("suspended", || pbx.accounts()[0]["user-scope"] == "No Portal").await;
    assert_eq!((pbx.accounts().len(), &pbx.accounts()[0]["name-last-name"]), (1, &json!("Rowe")), "{:#?}", pbx.calls());
    process.kill();
    simulators.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_left_the_scope_before_kill_9_in_the_middle_of_the_create_is_suspended_after_it() {
    let scope = r#"scope = { filter = 'userType ne "Contractor"' }"#;
    let setup = Setup::default().wait("100ms").glance(scope);
    let Stage { simulators, folder, config, ports } = Stage::set_with(Duration::ZERO, setup).await;
    let glance = &simulators.glance;
    let token = new_token(&config);
    let process = Process::start(&config, ports).await;
    glance.fail_next(1, Fault::TimeoutAfterApply, Some("NewUser"));
    let id = process.send(&token, Method::POST, "/Users", ann()).await.has_status(201).id();
    until("made", || glance.accounts().len() == 1).await;
    let leave = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "value": {"userType": "Contractor"}}]
    });
    process.send(&token, Method::PATCH, &format!("/Users/{id}"), leave).await.has_status(200);
    process.kill();
    let process = Process::start(&config, ports).await;
    let rows = all_at_rest(&folder.path().join("bridge.db")).await;
    let row = rows.iter().find(|row| row.target == "glance").unwrap();
    assert_eq!(row.state, AccountState::OutOfScope, "{row:#?}");
    assert_eq!(glance.accounts()[0]["UserSuspended"], true, "{:#?}", glance.calls());
    process.kill();
    simulators.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_the_middle_of_a_replacement_leaves_one_account_at_the_end() {
    for operation in ["PUT users/{user}", "POST users", "DELETE users/{user}"] {
        let setup = Setup::default().wait("100ms").pbx("settle_lag = \"0s\"\non_rekey = \"recreate\"");
        let Stage { simulators, folder: _folder, config, ports } = Stage::set_with(Duration::ZERO, setup).await;
        let pbx = &simulators.netsapiens;
        let extensions = || -> Vec<(Value, Value)> {
            let account = |account: &Value| (account["user"].clone(), account["login-username"].clone());
            pbx.accounts().iter().map(account).collect()
        };
        let token = new_token(&config);
        let process = Process::start(&config, ports).await;
        let id = process.send(&token, Method::POST, "/Users", ann()).await.has_status(201).id();
        until("made everywhere", || accounts_of(&simulators, "ann") == [1, 1, 1]).await;
        // Carried out, and no reply for as long as this process lives.
        pbx.fail_next(1, Fault::TimeoutAfterApply, Some(operation));
        let extension = "urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User:extension";
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": extension, "value": "1500"}]
        });
        process.send(&token, Method::PATCH, &format!("/Users/{id}"), body).await.has_status(200);
        let is_hanging =
            |call: &Value| call["outcome"].as_str().is_some_and(|text| text.contains("timeout-after-apply"));
        until("under way", || pbx.calls().iter().any(is_hanging)).await;
        process.kill();
        let process = Process::start(&config, ports).await;
        until("moved", || extensions() == [(json!("1500"), json!("ann@acme.example"))]).await;
        let posts = pbx.calls().iter().filter(|call| call["operation"] == "POST users").count();
        assert_eq!(posts, 2, "{operation}: made once, and once more under the new key");
        process.kill();
        simulators.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_the_middle_of_a_replacement_leaves_a_leaver_suspended() {
    for (fault, left) in [(Fault::Timeout, "1000"), (Fault::TimeoutAfterApply, "1500")] {
        let setup = Setup::default().wait("100ms").pbx("settle_lag = \"0s\"\non_rekey = \"recreate\"");
        let Stage { simulators, folder: _folder, config, ports } = Stage::set_with(Duration::ZERO, setup).await;
        let pbx = &simulators.netsapiens;
        let token = new_token(&config);
        let process = Process::start(&config, ports).await;
        let patch = |path: &str, value: Value| {
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "path": path, "value": value}]
            })
        };
        let id = process.send(&token, Method::POST, "/Users", ann()).await.has_status(201).id();
        until("made everywhere", || accounts_of(&simulators, "ann") == [1, 1, 1]).await;
        pbx.fail_next(1, fault.clone(), Some("POST users"));
        let extension = "urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User:extension";
        let body = patch(extension, json!("1500"));
        process.send(&token, Method::PATCH, &format!("/Users/{id}"), body).await.has_status(200);
        let is_hanging = |call: &Value| call["outcome"].as_str().is_some_and(|text| text.contains("timeout"));
        until("under way", || pbx.calls().iter().any(is_hanging)).await;
        // She leaves while the reply is waited for; then the process is gone.
        let body = patch("active", json!(false));
        process.send(&token, Method::PATCH, &format!("/Users/{id}"), body).await.has_status(200);
        process.kill();
        let process = Process::start(&config, ports).await;
        let accounts = || -> Vec<(Value, Value)> {
            pbx.accounts().iter().map(|account| (account["user"].clone(), account["user-scope"].clone())).collect()
        };
        let suspended = || accounts() == [(json!(left), json!("No Portal"))];
        until(&format!("suspended after {fault:?}"), suspended).await;
        process.kill();
        simulators.stop().await;
    }
}
