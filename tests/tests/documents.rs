//! The documents say what is so: tables and examples of README.md are made by the code they describe, its configuration
//! and its commands are understood by the binary, and every place that ARCHITECTURE.md names is there.
//!
//! `UPDATE_DOCUMENTS=1 cargo test -p bridge-tests --test documents` writes the made sections anew.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic: that is how it fails")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use bridge_mapping::{AccountSchema, FieldKind, FieldSchema, TargetKind, default_rules};
use bridge_server::config::Config;
use bridge_simulators::Fault;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Answer, Bridge};
use serde_json::json;

const README: &str = include_str!("../../README.md");
const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");
const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
const UNIT: &str = include_str!("../../deploy/systemd/scim-bridge.service");
const MANIFEST: &str = include_str!("../../deploy/kubernetes/scim-bridge.yaml");

/// Held while README.md is written: several tests of this file may.
static WRITING: Mutex<()> = Mutex::new(());

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a made section of README.md, between `<!-- NAME -->` and `<!-- /NAME -->`, or writes it anew.
fn check_section(name: &str, made: &str) {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let path = root().join("README.md");
    let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&start).unwrap_or_else(|| panic!("README.md has no {start}"));
    let (found, after) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no {end}"));
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(path, format!("{before}{start}{made}{end}{after}")).unwrap();
    } else {
        assert_eq!(found, made, "{name} in README.md is out of date, run with UPDATE_DOCUMENTS=1");
    }
}

// What each target gets from which attribute.

#[test]
fn the_readme_shows_what_each_target_gets_by_the_default_maps() {
    let made = TargetKind::ALL.map(field_table).concat();
    check_section("fields", &made);
}

fn field_table(kind: TargetKind) -> String {
    let defaults: toml::Table = toml::from_str(default_rules(kind)).unwrap();
    let map = defaults["map"].as_table().unwrap();
    let schema = AccountSchema::embedded(kind);
    let mut text = format!("\n**{kind}**\n\n| field | from | rules of the target |\n|---|---|---|\n");
    let mut others = Vec::new();
    for field in &schema.fields {
        let name = &field.name;
        match (map.get(name), &field.same_as) {
            (Some(rule), _) => writeln!(text, "| `{name}` | {} | {} |", source(rule), limits(field)).unwrap(),
            (None, Some(other)) => writeln!(text, "| `{name}` | as `{other}` | {} |", limits(field)).unwrap(),
            (None, None) => others.push(format!("`{name}`")),
        }
    }
    writeln!(
        text,
        "\nWithout a default rule, to be set by a rule of yours or through the extension `{}`: {}.",
        kind.extension_urn(),
        others.join(", ")
    )
    .unwrap();
    text
}

/// A rule in words.
fn source(rule: &toml::Value) -> String {
    match rule {
        toml::Value::String(text) => code(&short(text)),
        toml::Value::Array(rules) => rules.iter().map(source).collect::<Vec<_>>().join(", else "),
        toml::Value::Table(table) => match table.iter().next().unwrap() {
            (form, toml::Value::String(what)) if form == "generate" => format!("a {what} that the bridge makes"),
            (_, value) => format!("always {}", code(value.as_str().unwrap())),
        },
        other => panic!("no rule is written {other}"),
    }
}

/// Code in a cell of a table, where a bar needs a backslash.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// `bridgeTelephony:site` for its long URN.
fn short(path: &str) -> String {
    match path.strip_prefix("urn:ietf:params:scim:schemas:extension:").and_then(|path| path.split_once(":2.0:User:")) {
        Some((schema, attribute)) => format!("{schema}:{attribute}"),
        None => path.to_owned(),
    }
}

fn limits(field: &FieldSchema) -> String {
    let mut limits = Vec::new();
    if field.natural_key {
        limits.push("**the key**".to_owned());
    }
    if field.required {
        limits.push("needed".to_owned());
    }
    if field.unique {
        limits.push("unique".to_owned());
    }
    match (field.min_length.filter(|least| *least > 1), field.max_length) {
        (Some(least), Some(most)) => limits.push(format!("{least} to {most} characters")),
        (Some(least), None) => limits.push(format!("at least {least} characters")),
        (None, Some(most)) => limits.push(format!("at most {most} characters")),
        (None, None) => {}
    }
    match (field.minimum, field.maximum) {
        (Some(least), Some(most)) => limits.push(format!("{least} to {most}")),
        (Some(least), None) => limits.push(format!("at least {least}")),
        (None, Some(most)) => limits.push(format!("at most {most}")),
        (None, None) => {}
    }
    limits.extend(field.meaning.clone());
    match field.allowed.as_slice() {
        [] => {}
        few if few.len() <= 4 => limits.push(few.iter().map(|value| code(value)).collect::<Vec<_>>().join(" or ")),
        many => limits.push(format!("one of {} values", many.len())),
    }
    if field.kind == FieldKind::Date {
        limits.push("YYYY-MM-DD".to_owned());
    }
    if !field.update {
        limits.push("set once".to_owned());
    }
    limits.join(", ")
}

// What the administrator of the identity provider sees when something fails.

#[tokio::test]
async fn the_readme_shows_errors_as_the_bridge_words_them() {
    let bridge = Bridge::start().await;
    let mut made = String::from("\n```text\n");
    let mut show = |what: &str, answer: &Answer| {
        let id = answer.header("x-request-id");
        let detail = answer.detail().replace(id, "0190f3c2-7a51-7c44-9d0e-3b1f6a2c8e57");
        let status = format!("{} {}", answer.status, answer.scim_type());
        writeln!(made, "{what}\n    {}\n    {detail}\n", status.trim_end()).unwrap();
    };
    let stranger = reqwest::Client::new().get(format!("{}/Users", bridge.scim_url())).bearer_auth("wrong");
    show("A token that is not one of the bridge's", &Answer::of(stranger).await.has_status(401));

    let long_name = okta_user(&"a".repeat(60));
    show(
        "A userName that makes a user name longer than CRM.COM takes: nothing is stored, nothing is sent",
        &bridge.post("/Users", long_name).await.has_status(400),
    );

    bridge.glance().fail_next(1, Fault::Refuse("User limit reached for this group".to_owned()), Some("NewUser.asp"));
    show("A user whom Glance refuses while the request waits", &bridge.post("/Users", ann()).await.has_status(400));

    let _ = bridge.post("/Users", okta_user("bob")).await.has_status(201);
    show("A userName that another user has", &bridge.post("/Users", okta_user("bob")).await.has_status(409));

    let unknown = bridge.get("/Users?filter=userName%20is%20%22ann%22").await.has_status(400);
    show("A filter that cannot be read", &unknown);
    let sales = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Sales"});
    let _ = bridge.post("/Groups", sales.clone()).await.has_status(201);
    show("A group whose name another one has", &bridge.post("/Groups", sales).await.has_status(409));
    made.truncate(made.trim_end().len());
    made.push_str("\n```\n\n");
    check_section("errors", &made);
    bridge.stop().await;
}

// Configurations and commands.

#[test]
fn every_configuration_in_the_documents_is_taken() {
    let of_manifest: String = MANIFEST
        .lines()
        .skip_while(|line| line.trim() != "bridge.toml: |")
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    let of_readme: Vec<&str> = blocks(README, "toml").filter(|block| block.contains("[store]")).collect();
    assert_eq!(of_readme.len(), 1, "README.md explains one whole configuration");
    for (name, text) in [("README.md", of_readme[0]), ("the Kubernetes manifest", &of_manifest)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.toml");
        fs::write(&path, text).unwrap();
        let config = Config::load_without_secrets(&path).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let targets = &config.tenants["acme"].targets;
        assert_eq!(targets.len(), 2, "{name}");
        let is_held = targets.values().all(|target| format!("{:?}", target.mode) == "Hold");
        assert!(is_held, "{name}: a first contact with a live system starts in hold");
    }
}

#[test]
fn every_command_in_the_documents_is_one_of_the_binary() {
    let text = format!("{README}\n{UNIT}\n{MANIFEST}").replace("\\\n#     ", "");
    let mut commands: Vec<&str> =
        text.split('`').skip(1).step_by(2).filter(|span| span.starts_with("scim-bridge ")).collect();
    for line in text.lines().filter(|line| line.contains("--config")) {
        // Before it may stand a path or who runs it, behind it a remark.
        let line = line.split("   #").next().unwrap_or_default();
        commands.extend(line.rfind("scim-bridge ").map(|place| line[place..].split('`').next().unwrap_or_default()));
    }
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (is_known, text) = help(&words[1..]);
        assert!(is_known, "`{command}` is no command of scim-bridge: {text}");
    }
}

#[test]
fn every_command_of_the_binary_is_in_the_readme() {
    let (_, text) = help(&[]);
    let commands = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> =
        commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(names.contains(&"serve"), "{text}");
    for name in names {
        assert!(README.contains(&format!("| `{name}")), "README.md has no line about `scim-bridge {name}`");
    }
}

/// What the binary answers to these words with `--help` behind them: whether it knows them all, and its text.
fn help(words: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bridge-under-test")).args(words).arg("--help").output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn every_link_of_the_documents_leads_to_a_file() {
    for text in [README, ARCHITECTURE] {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if !link.contains("://") && !path.is_empty() {
                assert!(root().join(path).exists(), "{link} leads nowhere");
            }
        }
    }
}

#[tokio::test]
async fn the_health_check_of_the_container_tells_a_bridge_that_works_from_one_that_does_not() {
    let bridge = Bridge::start().await;
    let line = DOCKERFILE.lines().skip_while(|line| !line.starts_with("HEALTHCHECK")).nth(1).unwrap();
    let words: Vec<String> = serde_json::from_str(line.trim().strip_prefix("CMD ").unwrap()).unwrap();
    let port = bridge.running.admin_addr.port();
    let ask = move || {
        let script = words[2].replace("127.0.0.1/8081", &format!("127.0.0.1/{port}"));
        Command::new(&words[0]).args([&words[1], &script]).output().unwrap().status.success()
    };
    let again = ask.clone();
    assert!(tokio::task::spawn_blocking(ask).await.unwrap(), "a bridge that works is healthy");
    bridge.stop().await;
    assert!(!tokio::task::spawn_blocking(again).await.unwrap(), "a bridge that has stopped is not");
}

/// The fenced blocks of a document in this language.
fn blocks<'a>(text: &'a str, language: &'a str) -> impl Iterator<Item = &'a str> {
    let parts = text.split("\n```").skip(1).step_by(2);
    parts.filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
}

#[test]
fn a_metric_that_the_readme_names_is_measured_and_the_other_way_round() {
    let names = |text: &str, mark: char| -> std::collections::BTreeSet<String> {
        let quoted = text.split(mark).filter(|part| part.starts_with("scim_bridge_"));
        quoted
            .filter(|part| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
            .map(str::to_owned)
            .collect()
    };
    let code = sources(&root().join("crates/bridge-server/src")).concat();
    assert_eq!(names(README, '`'), names(&code, '"'));
}

// Places in the code.

#[test]
fn every_place_that_the_architecture_names_is_there() {
    let spans: Vec<&str> = ARCHITECTURE.split('`').skip(1).step_by(2).filter(|span| !span.contains('\n')).collect();
    let (mut paths, mut items) = (0, 0);
    for span in spans {
        if span.contains("::") {
            check_item(span);
            items += 1;
        } else if span.contains('/') && !span.contains(' ') && !span.starts_with(['/', '{']) {
            assert!(root().join(span).exists(), "ARCHITECTURE.md names {span}, which is not there");
            paths += 1;
        }
    }
    assert!(paths > 10 && items > 20, "{paths} paths and {items} items");
}

/// `crate::module::item`: the module is a file, or a folder, and the rest is defined below it.
fn check_item(span: &str) {
    let mut parts = span.split("::");
    let name = parts.next().unwrap_or_default().replace('_', "-");
    let mut place = root().join("crates").join(name).join("src");
    assert!(place.is_dir(), "ARCHITECTURE.md names {span}: there is no such crate");
    let mut files = sources(&place);
    for part in parts {
        let (file, folder) = (place.join(format!("{part}.rs")), place.join(part));
        if file.is_file() || folder.is_dir() {
            files = if folder.is_dir() { sources(&folder) } else { Vec::new() };
            files.extend(file.is_file().then(|| fs::read_to_string(file).unwrap()));
            place = folder;
        } else {
            let is_there = files.iter().any(|text| defines(text, part));
            assert!(is_there, "ARCHITECTURE.md names {span}: {part} is not defined there");
        }
    }
}

/// The texts of the Rust files below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts
}

#[test]
fn a_name_counts_as_defined_only_where_it_is() {
    let check = |text: &str, expected: bool| assert_eq!(defines(text, "want"), expected, "{text}");
    check("    pub fn want(&mut self) {", true);
    check("pub struct want;", true);
    check("fn want_with_key() {}", false);
    check("tx.want(resource)", false);
    check("/// What we want.", false);
}

fn defines(text: &str, name: &str) -> bool {
    ["fn ", "struct ", "enum ", "trait ", "const ", "static ", "type ", "mod "].iter().any(|kind| {
        let word = format!("{kind}{name}");
        text.match_indices(&word).any(|(place, _)| {
            !text[place + word.len()..].starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
        })
    })
}
