//! The commands that a person types beside a bridge that runs (README, "Commands"): what they print, what they do, how
//! they end.

use std::process::Command;
use std::time::{Duration, Instant};

use bridge_simulators::Fault;
use bridge_store::AccountState;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, account_where};
use serde_json::{Value, json};

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Said {
    /// Runs the program with these arguments, to its end.
    pub(super) fn by(arguments: &[&str]) -> Self {
        Self::in_environment(arguments, &[])
    }

    /// The same with these variables in its environment.
    fn in_environment(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bridge-under-test"));
        let output = command.args(arguments).envs(variables.iter().copied()).output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Self { code: output.status.code(), out, err }
    }

    /// Expects that it is done.
    #[track_caller]
    pub(super) fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// Expects that it is done and prints one document.
    #[track_caller]
    pub(super) fn document(self) -> Value {
        let text = self.done();
        serde_json::from_str(&text).unwrap()
    }

    /// Expects that it failed, printed nothing for programs, and says why.
    #[track_caller]
    pub(super) fn complains(self, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:?}");
        assert!(self.err.starts_with("error: ") && self.err.lines().count() == 1, "{self:?}");
        assert!(words.iter().all(|word| self.err.contains(word)), "{words:?} in {self:?}");
    }
}

/// Runs a command, its arguments written with spaces, with the configuration of a running bridge.
pub(super) async fn run(bridge: &Bridge, command: &str) -> Said {
    run_in(bridge, command, &[]).await
}

/// The same with these variables in the environment of the command.
pub(super) async fn run_in(bridge: &Bridge, command: &str, variables: &[(&'static str, &'static str)]) -> Said {
    let file = bridge.folder().join("bridge.toml");
    let admin = format!("\nadmin_listen = \"{}\"", bridge.running.admin_addr);
    std::fs::write(&file, bridge.file().replace("\nadmin_listen = \"127.0.0.1:0\"", &admin)).unwrap();
    let command = format!("{command} --config {}", file.display());
    let variables = variables.to_vec();
    let run = move || Said::in_environment(&command.split(' ').collect::<Vec<_>>(), &variables);
    // The bridge answers on this thread.
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// A user who is everywhere, and the id.
pub(super) async fn with_user(bridge: &Bridge, name: &str) -> String {
    let id = bridge.post("/Users", okta_user(name)).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    id
}

async fn deactivate(bridge: &Bridge, id: &str) {
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
}

/// The fields of each entry of a list, side by side.
#[track_caller]
pub(super) fn columns(list: &Value, names: &[&str]) -> Vec<Value> {
    let items = list.as_array().unwrap();
    items.iter().map(|item| names.iter().map(|name| item[name].clone()).collect::<Value>()).collect()
}

#[tokio::test]
async fn a_parked_account_is_listed_with_its_reason_and_goes_on_once_it_is_retried() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    bridge.pbx().fail_next(1, Fault::Refuse("The seat is not free".to_owned()), Some("PUT users/{user}"));
    deactivate(&bridge, &id).await;
    bridge.until_state(&id, "pbx", AccountState::Parked).await;
    let listed = run(&bridge, "account list --state parked --json").await.document();
    assert_eq!(
        columns(&listed["accounts"], &["tenant", "resource", "target", "state", "remoteId"]),
        [json!(["default", id, "pbx", "parked", "1000"])]
    );
    let reason = &listed["accounts"][0]["reason"];
    assert_eq!(reason["code"], "http-400");
    assert!(reason["text"].as_str().unwrap().contains("The seat is not free"), "{reason}");
    let table = run(&bridge, "account list --tenant default --target pbx").await.done();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("tenant"), "{table}");
    assert!([id.as_str(), "parked", "http-400"].iter().all(|cell| lines[1].contains(cell)), "{table}");
    let retried = run(&bridge, &format!("account retry {id} pbx --json")).await.document();
    assert_eq!(retried, json!({"done": true, "state": "settled", "reason": null}), "what came of it is awaited");
    bridge.until_state(&id, "pbx", AccountState::Settled).await;
    assert_eq!(run(&bridge, "account list --state parked --json").await.document()["accounts"], json!([]));
    let page = run(&bridge, "account list --limit 2 --json").await.document();
    assert_eq!((page["accounts"].as_array().unwrap().len(), page["next"].is_string()), (2, true));
    assert!(run(&bridge, "account list --limit 2").await.done().contains("--limit shows more"));
    run(&bridge, "account list --state lost").await.complains(&["no such state", "parked", "settled"]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_list_shows_as_many_as_it_is_asked_for() {
    let bridge = Bridge::start().await;
    let many = 1_100;
    let now = bridge.running.bridge.clock.now();
    for number in 0..many {
        let user = okta_user(&format!("user{number}"));
        let new = bridge_store::NewResource {
            tenant: "default".to_owned(),
            resource_type: "User".to_owned(),
            id: format!("user-{number}"),
            document: serde_json::from_value(user).unwrap(),
            values: Vec::new(),
            active: true,
            connection: "test".to_owned(),
            now,
        };
        let write = bridge.running.bridge.store.write(move |tx| {
            let resource = tx.insert_resource(&new)?;
            for target in ["pbx", "glance"] {
                let want = bridge_store::Want { state: AccountState::Task, ..bridge_store::Want::due(now) };
                tx.want(resource.key, target, &want, now)?;
            }
            // What is not linked is no link: a page of links has fewer entries than it has accounts.
            tx.link(resource.key, "glance", Some(&new.id), now)?;
            tx.want(
                resource.key,
                "glance",
                &bridge_store::Want { state: AccountState::Task, ..bridge_store::Want::due(now) },
                now,
            )?;
            Ok::<_, bridge_store::StoreError>(())
        });
        write.await.unwrap();
    }
    for (list, name, all) in [("account", "accounts", 2 * many), ("task", "tasks", 2 * many), ("link", "links", many)] {
        for (limit, expected) in [(1_050, 1_050), (5_000, all)] {
            let page = run(&bridge, &format!("{list} list --limit {limit} --json")).await.document();
            assert_eq!(page[name].as_array().unwrap().len(), expected, "{list} {limit}");
            assert_eq!(page["next"].is_null(), limit == 5_000, "{list} {limit}");
        }
    }
    let table = run(&bridge, "task list --limit 5000").await.done();
    assert_eq!((table.lines().count(), table.contains("--limit")), (1 + 2 * many, false));
    bridge.stop().await;
}

#[tokio::test]
async fn an_account_under_review_becomes_ours_once_it_is_released() {
    let bridge = Bridge::start().await;
    bridge.pbx().seed(json!({
        "user": "1400", "name-first-name": "Annie", "name-last-name": "Roe", "login-username": "ann@acme.example",
        "email-address": "ann@acme.example", "user-scope": "Basic User"
    }));
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_state(&id, "pbx", AccountState::Parked).await;
    let listed = run(&bridge, "account list --state parked --json").await.document();
    let account = &listed["accounts"][0];
    assert_eq!((&account["reason"]["code"], account["candidate"].is_object()), (&json!("review"), true), "{account}");
    assert_eq!(run(&bridge, &format!("account release {id} pbx")).await.done(), "done\n");
    bridge.until_state(&id, "pbx", AccountState::Settled).await;
    assert_eq!(bridge.pbx().accounts().len(), 1);
    assert_eq!(bridge.pbx().accounts()[0]["name-first-name"], "Ann");
    run(&bridge, &format!("account release {id} pbx")).await.complains(&["no such account under review"]);
    bridge.stop().await;
}

#[tokio::test]
async fn what_the_brake_holds_is_released_one_by_one_or_all_at_once() {
    let bridge = Bridge::with(Setup::default().glance("brake = { count = 1 }")).await;
    let mut ids = Vec::new();
    for name in ["ann", "bob", "cid", "dan"] {
        let id = with_user(&bridge, name).await;
        deactivate(&bridge, &id).await;
        ids.push(id);
    }
    bridge.until_state(&ids[3], "glance", AccountState::Held).await;
    let held = run(&bridge, "account list --state held --json").await.document();
    assert_eq!(columns(&held["accounts"], &["resource"]), ids[1..].iter().map(|id| json!([id])).collect::<Vec<_>>());
    run(&bridge, &format!("account release {} glance --json", ids[1])).await.document();
    bridge.until_state(&ids[1], "glance", AccountState::Settled).await;
    assert_eq!(bridge.account(&ids[2], "glance").await.state, AccountState::Held, "one word lets one go");
    assert_eq!(run(&bridge, "account release --held-at glance").await.done(), "2 released\n");
    for id in &ids[2..] {
        bridge.until_state(id, "glance", AccountState::Settled).await;
    }
    let again = run(&bridge, "account release --held-at glance --json").await.document();
    assert_eq!(again, json!({"done": true, "released": 0}));
    bridge.stop().await;
}

#[tokio::test]
async fn a_task_is_listed_until_a_person_has_done_it_and_said_so() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    let operations = json!([{"op": "replace", "path": "name.familyName", "value": "Rowe"}]);
    bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    bridge.until_state(&id, "crm", AccountState::Task).await;
    let listed = run(&bridge, "task list --json").await.document();
    assert_eq!(columns(&listed["tasks"], &["tenant", "resource", "target"]), [json!(["default", id, "crm"])]);
    let text = listed["tasks"][0]["reason"]["text"].as_str().unwrap();
    assert!(text.contains("Rowe"), "the task says what to write: {text}");
    assert!(run(&bridge, "task list --target crm").await.done().contains("cannot-update"));
    // Said too early: the account is read, and the task stands.
    let early = run(&bridge, &format!("task done {id} crm")).await;
    assert_eq!((early.code, early.err.as_str()), (Some(1), ""), "{early:?}");
    assert!(early.out.starts_with("still open: cannot-update: ") && early.out.contains("Rowe"), "{early:?}");
    bridge.until_state(&id, "crm", AccountState::Task).await;
    bridge.crm().seed(json!({"username": "ann", "last_name": "Rowe"}));
    assert_eq!(run(&bridge, &format!("task done {id} crm")).await.done(), "done: settled\n");
    bridge.until_state(&id, "crm", AccountState::Settled).await;
    assert_eq!(run(&bridge, "task list --json").await.document()["tasks"], json!([]));
    run(&bridge, &format!("task done {id} crm")).await.complains(&["no such task"]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_request_is_found_by_its_id_with_what_came_of_it() {
    let bridge = Bridge::start().await;
    let created = bridge.post("/Users", ann()).await.has_status(201);
    let (id, request) = (created.id(), created.header("x-request-id").to_owned());
    bridge.until_at_rest(&id).await;
    let refused = bridge.post("/Users", json!({"schemas": ann()["schemas"]})).await.has_status(400);
    let listed = run(&bridge, "request list --json").await.document();
    assert_eq!(
        columns(&listed["requests"], &["id", "tenant", "connection", "method", "status"]),
        [
            json!([refused.header("x-request-id"), "default", "test", "POST", 400]),
            json!([request, "default", "test", "POST", 201])
        ],
        "newest first"
    );
    let of_user = run(&bridge, &format!("request list --resource {id} --json")).await.document();
    assert_eq!(columns(&of_user["requests"], &["id"]), [json!([request])]);
    assert!(run(&bridge, "request list --limit 1").await.done().contains(refused.header("x-request-id")));
    let shown = run(&bridge, &format!("request show {request} --json")).await;
    let printed = run(&bridge, &format!("request show {request}")).await.done();
    assert_eq!(shown.out, printed, "a person reads the same");
    let story = shown.document();
    assert_eq!((&story["resource"], &story["status"]), (&json!(id), &json!(201)));
    assert_eq!((&story["body"]["userName"], &story["body"]["password"]), (&json!("ann@acme.example"), &json!("***")));
    let calls = columns(&story["calls"], &["target", "attempt"]);
    for target in ["glance", "pbx", "crm"] {
        assert!(calls.contains(&json!([target, 1])), "{target} in {calls:?}");
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_user_is_named_by_user_name_and_a_name_that_is_not_there_is_not_taken_for_good_news() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    let user_name = okta_user("ann")["userName"].as_str().unwrap().to_owned();
    let listed = run(&bridge, "account list --target crm --json").await.document();
    assert_eq!(columns(&listed["accounts"], &["resource", "userName"]), [json!([id, user_name])]);
    assert!(run(&bridge, "account list").await.done().contains(&user_name));
    // Letter case does not count in a userName.
    let retry = format!("account retry {} crm", user_name.to_uppercase());
    assert_eq!(run(&bridge, &retry).await.done(), "done: settled\n");
    let requests = run(&bridge, &format!("request list --resource {user_name} --json")).await.document();
    assert_eq!(columns(&requests["requests"], &["method"]), [json!(["POST"])]);
    run(&bridge, "account retry nobody@acme.example crm").await.complains(&["no such resource"]);
    for list in ["account list", "task list", "link list", "request list", "connection list"] {
        let tenant = format!("{list} --tenant nope");
        run(&bridge, &tenant).await.complains(&["there is no tenant \"nope\"; there are default"]);
    }
    for list in ["account list", "task list", "link list"] {
        let target = format!("{list} --target nope");
        run(&bridge, &target).await.complains(&["there is no target \"nope\"; there are crm, glance, pbx"]);
    }
    run(&bridge, "connection show entra").await.complains(&["\"entra\"", "there are test"]);
    bridge.stop().await;
}

#[tokio::test]
async fn who_waits_for_a_group_is_listed_as_waiting_with_the_time_at_which_that_ends() {
    let crm = r#"map.user_template_identifier = { groups = { "Team Leads" = "Agent", "*" = "Contact centre agent" } }"#;
    let bridge = Bridge::with(Setup::default().crm(crm)).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let waits = |accounts: &[bridge_store::Account]| {
        accounts.iter().any(|account| account.target == "crm" && account.lease.is_none() && account.reason.is_some())
    };
    bridge.until(&id, "waiting for a group", waits).await;
    let due = bridge.account(&id, "crm").await.due_at.to_string();
    let listed = run(&bridge, "account list --target crm --json").await.document();
    assert_eq!(columns(&listed["accounts"], &["state", "next"]), [json!(["waiting", due])]);
    let table = run(&bridge, "account list --target crm").await.done();
    assert!(table.contains("waiting ") && table.contains(&due), "{table}");
    bridge.stop().await;
}

#[tokio::test]
async fn targets_are_listed_with_their_condition_and_pools_with_their_values() {
    let bridge = Bridge::start().await;
    with_user(&bridge, "ann").await;
    let listed = run(&bridge, "target list --json").await.document();
    let ok = |target: &str| json!(["default", target, "ok", 0]);
    assert_eq!(
        columns(&listed["targets"], &["tenant", "target", "condition", "queue"]),
        ["crm", "glance", "pbx"].map(ok)
    );
    assert_eq!(
        columns(&listed["pools"], &["tenant", "pool", "size", "used", "free"]),
        [json!(["default", "extension", 1000, 1, 999])]
    );
    let printed = run(&bridge, "target list").await.done();
    assert!(printed.contains("condition") && printed.contains("extension"), "{printed}");
    let metrics = reqwest::get(format!("{}/metrics", bridge.admin_url())).await.unwrap().text().await.unwrap();
    for name in ["target_up", "accounts", "pool_size", "pool_used", "request_seconds"] {
        assert!(metrics.contains(&format!("# HELP scim_bridge_{name} ")), "{name} in {metrics}");
    }
    bridge.stop().await;
}

#[tokio::test]
async fn the_journal_has_the_status_that_was_answered() {
    let bridge = Bridge::start().await;
    let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Sales"});
    let id = bridge.post("/Groups", group).await.has_status(201).id();
    let rename = json!([{"op": "replace", "path": "displayName", "value": "Support"}]);
    bridge.patch(&format!("/Groups/{id}"), rename.clone()).await.has_status(204);
    bridge.patch(&format!("/Groups/{id}?attributes=members"), rename).await.has_status(200);
    let listed = run(&bridge, &format!("request list --resource {id} --json")).await.document();
    let answered = [json!(["PATCH", 200]), json!(["PATCH", 204]), json!(["POST", 201])];
    assert_eq!(columns(&listed["requests"], &["method", "status"]), answered);
    bridge.stop().await;
}

#[test]
fn a_token_has_a_label() {
    let said = Said::by(&["token", "new", "--config", "nowhere.toml", "--label", ""]);
    assert_eq!((said.code, said.err.contains("--label")), (Some(1), true), "{said:?}");
    assert!(!said.err.contains("nowhere.toml: cannot be read"), "{said:?}");
}

#[test]
fn the_demo_that_ends_says_what_came_of_it() {
    let said = Said::by(&["demo", "--once", "--json"]);
    let lines: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((said.code, lines.len()), (Some(0), 2), "{said:?}");
    assert!(lines[0]["scim_url"].is_string());
    assert_eq!((&lines[1]["ok"], &lines[1]["wrong"]), (&json!(true), &json!([])), "{said:?}");
    assert!(!lines[1]["tasks"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_link_is_shown_and_can_be_set_to_the_account_that_a_person_made() {
    let bridge = Bridge::start().await;
    let (id, other) = (with_user(&bridge, "ann").await, with_user(&bridge, "bob").await);
    let remote_ids = async || {
        let listed = run(&bridge, "link list --target crm --json").await.document();
        columns(&listed["links"], &["tenant", "resource", "target", "remoteId"])
    };
    let at_crm = |name: &str| account_where(&bridge.crm().accounts(), "username", name).unwrap()["id"].clone();
    let (first, bobs) = (at_crm("ann"), at_crm("bob"));
    let of_bob = json!(["default", other, "crm", bobs]);
    assert_eq!(remote_ids().await, [json!(["default", id, "crm", first]), of_bob.clone()]);
    // Somebody deletes the account and makes another one by hand.
    assert!(bridge.crm().remove("ann"));
    bridge.crm().seed(json!({
        "username": "ann", "first_name": "Ann", "last_name": "Roe", "email": "ann@acme.example", "password": "Old!passw0rd12"
    }));
    let second = at_crm("ann");
    assert_ne!(first, second);
    let set = format!("link set {id} crm --remote-id {} --json", second.as_str().unwrap());
    assert_eq!(run(&bridge, &set).await.document(), json!({"done": true, "targetWasAsked": true}));
    bridge.until_at_rest(&id).await;
    assert_eq!(remote_ids().await, [json!(["default", id, "crm", second]), of_bob.clone()]);
    assert_eq!(bridge.crm().accounts().len(), 2, "nothing is made twice");
    let taken = format!("link set {id} crm --remote-id {}", bobs.as_str().unwrap());
    run(&bridge, &taken).await.complains(&[&other, "account drop"]);
    run(&bridge, &format!("account drop {id} crm")).await.done();
    assert_eq!(remote_ids().await, [of_bob], "the bridge knows nothing of it any more");
    assert_eq!(bridge.crm().accounts().len(), 2, "and leaves the target alone");
    run(&bridge, &format!("account drop {id} crm")).await.complains(&["no such account"]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_token_is_listed_without_itself_and_opens_nothing_once_it_is_revoked() {
    let mut bridge = Bridge::start().await;
    let made = run(&bridge, "token new --label spare --expires 1d --json").await.document();
    bridge.token = made["token"].as_str().unwrap().to_owned();
    bridge.get("/Users").await.has_status(200);
    let listed = run(&bridge, "token list --json").await;
    assert!(!listed.out.contains(&bridge.token), "{listed:?}");
    let listed = listed.document();
    let spare = listed["tokens"].as_array().unwrap().iter().find(|token| token["label"] == "spare").unwrap();
    assert_eq!((&spare["state"], &spare["tenant"]), (&json!("good"), &json!("default")));
    let id = spare["id"].as_str().unwrap().to_owned();
    assert_eq!(run(&bridge, &format!("token revoke {id}")).await.done(), format!("{id} is revoked\n"));
    // A server believes for a second what it has read of a token.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut answer = bridge.get("/Users").await;
    while answer.status == 200 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer = bridge.get("/Users").await;
    }
    answer.has_status(401).names(&["revoked"]);
    let table = run(&bridge, "token list --tenant default").await.done();
    let row = table.lines().find(|line| line.contains(&id)).unwrap();
    assert!(row.contains("revoked"), "{table}");
    run(&bridge, &format!("token revoke {id}")).await.complains(&["no token", &id, "still good"]);
    bridge.stop().await;
}

#[tokio::test]
async fn check_says_which_token_ends_soon() {
    let bridge = Bridge::start().await;
    run(&bridge, "token new --label okta --expires 15d").await.done();
    let soon = run(&bridge, "token new --label entra --expires 13d --json").await.document();
    let checked = run(&bridge, "check --json").await.document();
    let ends: Vec<&str> = checked["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let ends: Vec<&&str> = ends.iter().filter(|warning| warning.contains(" ends at ")).collect();
    assert_eq!(ends.len(), 1, "{checked}");
    assert!(ends[0].contains(soon["id"].as_str().unwrap()) && ends[0].contains("connection entra"), "{checked}");
    bridge.stop().await;
}

#[tokio::test]
async fn who_speaks_at_the_other_end_is_shown() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    let legacy = json!([{"op": "Replace", "path": "active", "value": "True"}]);
    bridge.patch(&format!("/Users/{id}"), legacy).await.has_status(200);
    let listed = run(&bridge, "connection list --json").await.document();
    assert_eq!(
        columns(&listed["connections"], &["tenant", "connection", "profile", "writes", "dialects"]),
        [json!(["default", "test", "lenient", 2, ["rfc", "entra-legacy"]])]
    );
    let table = run(&bridge, "connection list --tenant default").await.done();
    assert!(table.lines().count() == 2 && table.contains("lenient"), "{table}");
    let shown = run(&bridge, "connection show test --json").await.document();
    assert_eq!(shown["quirks"]["text_for_boolean"], json!({"count": 1, "attribute": "active"}));
    bridge.stop().await;
}

#[tokio::test]
async fn a_backup_is_a_database_with_everything_in_it() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    let copy = bridge.folder().join("copy.db");
    let backup = format!("store backup {} --json", copy.display());
    assert_eq!(run(&bridge, &backup).await.document(), json!({"done": true, "path": copy}));
    let store = bridge_store::Store::open(&bridge_store::Options::visit(&copy)).unwrap();
    let found = store.read(|db| db.resource_by_id("default", "User", &id)).await.unwrap();
    let accounts = store.read(|db| db.accounts_of(found.as_ref().unwrap().key)).await.unwrap();
    assert_eq!(accounts, bridge.accounts(&id).await);
    store.close().await;
    run(&bridge, &backup).await.complains(&["copy.db", "is there already"]);
    bridge.stop().await;
}

#[tokio::test]
async fn whoever_names_what_is_not_there_is_told_so() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    let check = async |command: &str, words: &[&str]| run(&bridge, command).await.complains(words);
    for command in ["account retry", "account release", "account drop", "task done", "link set"] {
        check(&format!("{command} nobody pbx --json"), &["there is no such resource"]).await;
        check(&format!("{command} {id} pbx --tenant other"), &["there is no tenant \"other\"; there are default"])
            .await;
        check(&format!("{command} {id} nowhere"), &["there is no such account"]).await;
    }
    check("account release --held-at nowhere", &["there is no target \"nowhere\"; there are crm, glance, pbx"]).await;
    check(&format!("task done {id} crm"), &["there is no such task"]).await;
    check("request show nothing --json", &["there is no such request"]).await;
    check("request list --resource nobody", &["there is no such resource"]).await;
    check("connection show nobody --json", &["\"nobody\"", "there are test"]).await;
    check("token revoke nothing --json", &["no token", "nothing"]).await;
    check("account list --admin-url http://127.0.0.1:1", &["no bridge answers at http://127.0.0.1:1"]).await;
    let account = run(&bridge, "account list --json").await.document();
    assert!(
        account["accounts"].as_array().unwrap().iter().all(|row| row["state"] == "settled"),
        "nothing has happened"
    );
    bridge.stop().await;
}
