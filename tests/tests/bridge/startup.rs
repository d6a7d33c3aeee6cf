//! What the program says once it is up, and how it takes signals: `serve`, `check --online`, `demo`, `sim`.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use bridge_simulators::{Fault, Options, Simulators};
use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Setup, account_where, calls_of, write_secrets};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::commands::Said;

/// The lines of a stream, which can be waited for.
pub(super) struct Voice {
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Voice {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stream).lines().map_while(Result::ok);
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        Self { lines, heard: Vec::new() }
    }

    /// The first line with these words, whether it was said before or is still to come.
    #[track_caller]
    pub(super) fn hear(&mut self, words: &str) -> String {
        loop {
            if let Some(line) = self.heard.iter().find(|line| line.contains(words)) {
                return line.clone();
            }
            let next = self.lines.recv_timeout(Duration::from_secs(20));
            assert!(next.is_ok(), "{words:?} is not said: {:#?}", self.heard);
            self.heard.extend(next);
        }
    }

    /// Everything, once the stream has ended.
    fn all(mut self) -> String {
        self.heard.extend(self.lines.iter());
        self.heard.join("\n")
    }
}

/// A program that stays up. It ends when dropped.
pub(super) struct Process {
    child: Child,
    out: Voice,
    pub(super) err: Voice,
}

impl Process {
    fn start(arguments: &[&str], log: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bridge-under-test"))
            .args(arguments)
            .env("RUST_LOG", log)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (Voice::of(child.stdout.take().unwrap()), Voice::of(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    }

    /// SIGTERM; how it ended, and all that it wrote to standard error.
    pub(super) fn end(mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        let err = std::mem::replace(&mut self.err, Voice::of(std::io::empty()));
        (status, err.all())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        if self.child.kill().is_ok() {
            self.child.wait().unwrap();
        }
    }
}

/// Simulators, and a configuration for a bridge in front of them.
pub(super) struct Stage {
    pub(super) simulators: Simulators,
    pub(super) folder: tempfile::TempDir,
    pub(super) file: PathBuf,
}

impl Stage {
    pub(super) async fn set() -> Self {
        let simulators = bridge_simulators::start(Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_secrets(folder.path());
        let file = folder.path().join("bridge.toml");
        let stage = Self { simulators, folder, file };
        stage.write(&Setup::default());
        stage
    }

    pub(super) fn write(&self, setup: &Setup) {
        std::fs::write(&self.file, setup.file(&self.simulators, &self.folder.path().join("bridge.db"))).unwrap();
    }

    /// The PBX does not know the key that the bridge has.
    fn with_wrong_key(self) -> Self {
        std::fs::write(self.folder.path().join("pbx_api_key"), "nsd_of_somebody_else").unwrap();
        self
    }

    /// Makes a token for the tenant.
    pub(super) fn token(&self) -> String {
        let made = self.run(&["token", "new", "--label", "test", "--json"]);
        let made: Value = serde_json::from_str(&made.out).unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Said {
        Said::by(&[arguments, &["--config", self.file.to_str().unwrap()]].concat())
    }

    /// A server, what it logs, and where it serves SCIM and administration.
    pub(super) fn serve(&self, log: &str) -> (Process, [String; 2]) {
        let mut serve = Process::start(&["serve", "--config", self.file.to_str().unwrap()], log);
        let line = serve.err.hear("SCIM at 127.0.0.1:");
        let (_, addresses) = line.split_once("SCIM at ").unwrap();
        let (scim, admin) = addresses.split_once(", administration at ").unwrap();
        (serve, [format!("http://{scim}/scim/v2"), format!("http://{admin}")])
    }
}

#[tokio::test]
async fn serve_says_where_it_listens_and_what_each_target_answered() {
    let stage = Stage::set().await.with_wrong_key();
    let (mut serve, [scim, admin]) = stage.serve("info");
    for (address, status) in [(format!("{scim}/Users"), 401), (format!("{admin}/healthz"), 200)] {
        let answer = reqwest::get(&address).await.unwrap();
        assert_eq!(answer.status(), status, "{address}");
    }
    serve.err.hear("glance: Glance group");
    serve.err.hear("crm: CRM.COM: signed in");
    let refused = serve.err.hear("pbx refuses our credential");
    assert!(refused.contains("WARN"), "{refused}");
    let (status, log) = serve.end();
    assert!(status.success(), "{status}\n{log}");
    for target in ["glance: Glance", "crm: CRM.COM", "pbx refuses"] {
        assert_eq!(log.matches(target).count(), 1, "one line for each target:\n{log}");
    }
    assert!(log.contains("Stopped"), "{log}");
    stage.simulators.stop().await;
}

#[tokio::test]
async fn the_metric_of_a_target_tells_what_its_last_answer_was() {
    let stage = Stage::set().await;
    stage.simulators.glance.fail_next(1, Fault::Status(503, None), None);
    let (mut serve, [scim, admin]) = stage.serve("info");
    serve.err.hear("glance: The target is not available");
    serve.err.hear("pbx: NetSapiens");
    let up = async |target: &str| {
        let metrics = reqwest::get(format!("{admin}/metrics")).await.unwrap().text().await.unwrap();
        let start = format!("scim_bridge_target_up{{tenant=\"default\",target=\"{target}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    };
    assert_eq!((up("glance").await.as_deref(), up("pbx").await.as_deref()), (Some("0"), Some("1")));
    let token = stage.token();
    let ann = Client::new().post(format!("{scim}/Users")).bearer_auth(&token).body(okta_user("ann").to_string());
    Answer::of(ann.header("Content-Type", "application/scim+json")).await.has_status(201);
    let deadline = Instant::now() + Duration::from_secs(20);
    while up("glance").await.as_deref() != Some("1") {
        assert!(Instant::now() < deadline, "it has answered since");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    serve.end();
    stage.simulators.stop().await;
}

#[tokio::test]
async fn check_online_tells_a_good_credential_from_a_bad_one() {
    let stage = Stage::set().await;
    let good = stage.run(&["check", "--online"]);
    assert_eq!(good.code, Some(0), "{good:?}");
    let online = |report: &Value, target: &str| {
        let targets = report["tenants"][0]["targets"].as_array().unwrap();
        targets.iter().find(|shown| shown["name"] == target).unwrap()["online"].clone()
    };
    let stage = stage.with_wrong_key();
    let bad = stage.run(&["check", "--online"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    let row = |said: &Said| said.out.lines().find(|line| line.starts_with("pbx")).unwrap().to_owned();
    assert!(row(&good).contains("NetSapiens") && row(&bad).contains("does not accept our sign-in"), "{bad:?}");
    let headline = bad.out.lines().next().unwrap();
    assert!(headline.ends_with("the file is good, 1 of its targets not: pbx"), "{headline}");
    let bad = stage.run(&["check", "--online", "--json"]);
    let report: Value = serde_json::from_str(&bad.out).unwrap();
    assert_eq!((bad.code, &report["ok"]), (Some(1), &json!(false)), "{report:#}");
    assert_eq!(online(&report, "pbx")["ok"], false, "{report:#}");
    for target in ["glance", "crm"] {
        assert_eq!(online(&report, target)["ok"], true, "{report:#}");
    }
    assert_eq!(stage.run(&["check"]).code, Some(0), "nobody is asked without --online");
    let text = std::fs::read_to_string(&stage.file).unwrap();
    std::fs::write(&stage.file, text.replace("base_url = \"http:", "base_url = \"https:")).unwrap();
    let plain = stage.run(&["check", "--online"]);
    assert!(row(&plain).contains("speaks no TLS"), "{plain:?}");
    stage.simulators.stop().await;
}

#[tokio::test]
async fn the_demo_prints_addresses_and_token_on_one_line_and_stays_up_until_it_is_told() {
    let mut demo = Process::start(&["demo", "--json"], "trace");
    let line = demo.out.hear("");
    let printed: Value = serde_json::from_str(&line).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names(&printed), ["admin_url", "scim_url", "targets", "token"].map(str::to_owned).into());
    assert_eq!(names(&printed["targets"]), ["crm_com", "glance", "netsapiens"].map(str::to_owned).into());
    let token = printed["token"].as_str().unwrap();
    let users = Client::new().get(format!("{}/Users", printed["scim_url"].as_str().unwrap())).bearer_auth(token);
    let users = Answer::of(users).await.has_status(200);
    assert_eq!(users.body["totalResults"], 0, "sample users are sent only with --once");
    let ready = reqwest::get(format!("{}/readyz", printed["admin_url"].as_str().unwrap())).await.unwrap();
    assert_eq!(ready.status(), 200);
    for target in names(&printed["targets"]) {
        let url = format!("{}/_sim/accounts", printed["targets"][&target].as_str().unwrap());
        assert_eq!(Answer::of(Client::new().get(url)).await.has_status(200).body, json!([]), "{target}");
    }
    assert_eq!(demo.child.try_wait().unwrap(), None, "it stays up");
    let (status, log) = demo.end();
    assert!(status.success(), "{status}\n{log}");
    // Most talkative as it is, the log does not give the token away.
    assert!(log.contains("GET") && !log.contains(token), "{log}");
}

#[tokio::test]
async fn the_fault_switches_are_where_sim_says() {
    let mut sim = Process::start(&["sim", "--json"], "error");
    let printed: Value = serde_json::from_str(&sim.out.hear("")).unwrap();
    let send = async |method: Method, url: String, body: Option<Value>| {
        let request = Client::new().request(method, url);
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
    };
    let seeds = [
        ("glance", json!({"PartnerUserID": "7", "UserAddress": "ann.acme.glance.net"})),
        ("netsapiens", json!({"user": "1400", "login-username": "ann@acme.example"})),
        ("crm_com", json!({"username": "ann"})),
    ];
    for (target, seed) in seeds {
        let url = printed[target]["url"].as_str().unwrap();
        let switch = |path: &str| format!("{url}/_sim{path}");
        let api = printed[target]["base_url"].as_str().unwrap().to_owned();
        assert!(api.starts_with(url), "{target}: {api}");
        let order = json!({"next": 1, "fault": "status:503"});
        let ordered = send(Method::POST, switch("/faults"), Some(order)).await;
        assert!((200..300).contains(&ordered.0), "{target}: {ordered:?}");
        let path = match target {
            "glance" => "ShowUsers.asp",
            "netsapiens" => "/version",
            _ => "authentication/token",
        };
        let method = if target == "crm_com" { Method::POST } else { Method::GET };
        assert_eq!(send(method, format!("{api}{path}"), None).await.0, 503, "{target}");
        let (status, calls) = send(Method::GET, switch("/calls"), None).await;
        assert_eq!((status, &calls[0]["status"]), (200, &json!(503)), "{target}: {calls}");
        let many = json!({"next": 100, "fault": "status:503"});
        let ordered = send(Method::POST, switch("/faults"), Some(many)).await;
        assert!((200..300).contains(&ordered.0), "{target}: {ordered:?}");
        let seeded = send(Method::POST, switch("/accounts"), Some(seed)).await;
        assert!((200..300).contains(&seeded.0), "{target}: {seeded:?}");
        let (_, accounts) = send(Method::GET, switch("/accounts"), None).await;
        assert_eq!(accounts.as_array().unwrap().len(), 1, "{target}: {accounts}");
        let cleared = send(Method::DELETE, switch("/faults"), None).await;
        assert!((200..300).contains(&cleared.0), "{target}: {cleared:?}");
        let (_, kept) = send(Method::GET, switch("/accounts"), None).await;
        assert_eq!(kept, accounts, "{target}: faults are cleared, nothing else");
        let method = if target == "crm_com" { Method::POST } else { Method::GET };
        assert_ne!(send(method, format!("{api}{path}"), None).await.0, 503, "{target}");
        let reset = send(Method::DELETE, switch(""), None).await;
        assert!((200..300).contains(&reset.0), "{target}: {reset:?}");
        for list in ["/accounts", "/calls"] {
            assert_eq!(send(Method::GET, switch(list), None).await, (200, json!([])), "{target}{list}");
        }
    }
    let (status, log) = sim.end();
    assert!(status.success(), "{status}\n{log}");
}

#[tokio::test]
async fn sighup_takes_a_good_file_and_refuses_a_bad_one() {
    let stage = Stage::set().await;
    let token = stage.token();
    let (mut serve, [scim, admin]) = stage.serve("info");
    let users = format!("{scim}/Users");
    let first_name = async |name: &str| {
        let request = Client::new().post(&users).bearer_auth(&token).body(okta_user(name).to_string());
        Answer::of(request.header("Content-Type", "application/scim+json")).await.has_status(201);
        let accounts = stage.simulators.glance.accounts();
        account_where(&accounts, "UserAddress", &format!("{name}.acme.glance.net")).unwrap()["UserFirst"].clone()
    };
    assert_eq!(first_name("ann").await, "Ann");
    let map = "[tenants.default.targets.glance.map]\nUserFirst = { value = \"Someone\" }";
    stage.write(&Setup::default().glance(map));
    serve.signal("HUP");
    serve.err.hear("The configuration was read again");
    assert_eq!(first_name("bob").await, "Someone");
    stage.write(&Setup::default().glance(&format!("{map}\nUserLats = \"name.familyName\"")));
    serve.signal("HUP");
    serve.err.hear("The configuration is refused, the old one stays");
    serve.err.hear("UserLats");
    let metrics = reqwest::get(format!("{admin}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\nscim_bridge_refused_reloads_total 1\n"), "{metrics}");
    assert_eq!(first_name("cid").await, "Someone");
    let (status, log) = serve.end();
    assert!(status.success(), "{status}\n{log}");
    stage.simulators.stop().await;
}

#[tokio::test]
async fn check_refuses_what_a_reload_would_refuse_and_changes_nothing() {
    let stage = Stage::set().await;
    let token = stage.token();
    let (serve, [scim, _]) = stage.serve("info");
    let ann = Client::new().post(format!("{scim}/Users")).bearer_auth(&token).body(okta_user("ann").to_string());
    Answer::of(ann.header("Content-Type", "application/scim+json")).await.has_status(201);
    assert_eq!(stage.run(&["check"]).code, Some(0));
    stage.write(&Setup { crm_name: "other".to_owned(), ..Setup::default() });
    for _ in 0..2 {
        let refused = stage.run(&["check"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.out.contains("tenants.default.targets.crm: it holds accounts"), "{refused:?}");
        assert!(!refused.out.contains(": good"), "{refused:?}");
    }
    let okta = "[tenants.default.connections.okta]\nprofile = \"strict\"";
    stage.write(&Setup { more: okta.to_owned(), ..Setup::default() });
    let warned = stage.run(&["check"]);
    assert_eq!(warned.code, Some(0), "{warned:?}");
    assert!(warned.out.contains("warning: tenants.default.connections.okta: no token has"), "{warned:?}");
    assert!(warned.out.contains("are: test"), "{warned:?}");
    serve.end();
    stage.simulators.stop().await;
}

#[tokio::test]
async fn a_simulator_says_which_port_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = Said::by(&["sim", "--glance-port", &port]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(&format!("cannot listen on 127.0.0.1:{port}: ")), "{said:?}");
}

#[tokio::test]
async fn a_database_without_the_key_that_sealed_its_passwords_is_not_served() {
    let stage = Stage::set().await;
    let token = stage.token();
    stage.write(&Setup::default().wait("0s"));
    stage.simulators.crm_com.fail_next(1000, Fault::Status(503, None), Some("users/create"));
    let (serve, [scim, _]) = stage.serve("info");
    let ann = Client::new().post(format!("{scim}/Users")).bearer_auth(&token).body(okta_user("ann").to_string());
    Answer::of(ann.header("Content-Type", "application/scim+json")).await.has_status(201);
    let deadline = Instant::now() + Duration::from_secs(20);
    while calls_of(&stage.simulators.crm_com, "users/create").is_empty() {
        assert!(Instant::now() < deadline, "{:#?}", stage.simulators.crm_com.calls());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    serve.end();
    let key = stage.folder.path().join("bridge.db.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let mut refused = Process::start(&["serve", "--config", stage.file.to_str().unwrap()], "info");
    let said = refused.err.hear("bridge.db.key");
    assert!(["error: ", "is missing", "put it back"].iter().all(|words| said.contains(words)), "{said}");
    assert_eq!(refused.child.wait().unwrap().code(), Some(1));
    assert!(!key.exists(), "no other key takes its place");
    std::fs::write(&key, kept).unwrap();
    stage.serve("info").0.end();
    stage.simulators.stop().await;
}
