//! Replays recorded-style fixtures against a running bridge.
//!
//! A fixture is a conversation as an identity provider leads it: `tests/fixtures/{provider}/{name}.json`, with its origin
//! in our dossiers of what providers send. Values of an answer can be saved and stand in later requests as `{{name}}`.
//!
//! ```json
//! {
//!   "says": "A user that is not there is created",
//!   "origin": "okta.md section 4.2",
//!   "headers": { "User-Agent": "Okta SCIM Client 1.0.0" },
//!   "steps": [{
//!     "request": { "method": "POST", "path": "/Users", "body": { "userName": "jo@acme.example" } },
//!     "expect": { "status": 201, "body": { "id": "<string>" }, "absent": ["/password"] },
//!     "save": { "id": "/id" }
//!   }]
//! }
//! ```
//!
//! What is expected of a body is a part of it: other members may be there, but an array has exactly these elements.
//! A fixture with `profiles` is led with a connection of each: what Okta sends needs no forgiveness but for operations without
//! a path, so its conversations without them are led with a strict one too.
//! `<any>`, `<string>` and `<integer>` stand for values that only the bridge knows. A step with `after` comes so many seconds
//! after the one before it, by a hand-set clock. What must hold for every answer is
//! checked with each step: see [`check_always`].

#![expect(clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bridge_server::clock::Clock;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Answer, Bridge, Setup};

/// Media type of every body.
pub const SCIM_JSON: &str = "application/scim+json;charset=utf-8";

/// One test function for each fixture of a folder, and one that no fixture is forgotten.
#[macro_export]
macro_rules! replay_fixtures {
    ($folder:literal: $($name:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::replay::replay($folder, stringify!($name)).await;
            }
        )+

        #[test]
        fn every_fixture_of_the_folder_is_replayed() {
            $crate::replay::assert_complete($folder, &[$(stringify!($name)),+]);
        }
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    says: String,
    origin: String,
    /// `server.wait` of the bridge, if it is not the usual one.
    wait: Option<String>,
    /// Further lines of the tenant, if it is not the usual one.
    #[serde(default)]
    tenant: String,
    /// The profiles of the connection with which the conversation is led, each with a bridge of its own; one that needs no
    /// forgiveness is led with a strict connection too.
    #[serde(default = "lenient")]
    profiles: Vec<String>,
    /// What this client sends with every request.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// What this step shows, for the reader.
    says: Option<String>,
    /// How often it is made; `{{n}}` counts from 1.
    #[serde(default = "once")]
    repeat: usize,
    /// Seconds that pass before it, each time.
    #[serde(default)]
    after: u64,
    request: Request,
    expect: Expect,
    /// Names for parts of the answer, by JSON pointer.
    #[serde(default)]
    save: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    /// Beside those of the client; null leaves one of those out.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    /// A saved resource to send back, with the members of `body` put over its own.
    echo: Option<String>,
    body: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    /// JSON pointers to what must not be in the body.
    #[serde(default)]
    absent: Vec<String>,
    /// Words that the detail of an error has.
    #[serde(default)]
    names: Vec<String>,
}

fn once() -> usize {
    1
}

fn lenient() -> Vec<String> {
    vec!["lenient".to_owned()]
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Leads the conversation of one fixture, once for each of its profiles.
pub async fn replay(folder_name: &str, name: &str) {
    let path = folder(folder_name).join(format!("{}.json", name.replace('_', "-")));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let fixture: Fixture = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(!fixture.says.is_empty() && !fixture.origin.is_empty(), "{name} says what it shows and where that is from");
    for profile in &fixture.profiles {
        lead(&format!("{name} ({profile})"), &fixture, profile).await;
    }
}

/// Leads a conversation with a bridge of its own.
async fn lead(name: &str, fixture: &Fixture, profile: &str) {
    let mut setup = Setup::default().tenant(&fixture.tenant);
    setup.more = format!("[tenants.default.connections.test]\nprofile = \"{profile}\"");
    if fixture.steps.iter().any(|step| step.after > 0) {
        setup.clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).expect("a time"));
    }
    let setup = match &fixture.wait {
        Some(wait) => setup.wait(wait),
        None => setup,
    };
    let clock = setup.clock.clone();
    let bridge = Bridge::with(setup).await;
    let mut saved = Map::new();
    saved.insert("token".to_owned(), Value::from(bridge.token.as_str()));
    saved.insert("base".to_owned(), Value::from(bridge.scim_url()));
    for (index, step) in fixture.steps.iter().enumerate() {
        let says = step.says.as_deref().unwrap_or("");
        let at = format!("{name}, step {} ({} {}) {says}", index + 1, step.request.method, step.request.path);
        for n in 1..=step.repeat {
            saved.insert("n".to_owned(), Value::from(n));
            clock.advance(Duration::from_secs(step.after));
            let answer = send(&bridge, &fixture.headers, &step.request, &saved).await;
            check_always(&answer, &at);
            check(&answer, &step.expect, &saved, &at);
            for (variable, pointer) in &step.save {
                let value = answer.body.pointer(pointer);
                let value = value.unwrap_or_else(|| panic!("{at}: nothing at {pointer} in {:#}", answer.body));
                saved.insert(variable.clone(), value.clone());
            }
        }
    }
    bridge.stop().await;
}

/// Fails when the list of test functions and the files of the folder are not the same.
pub fn assert_complete(folder_name: &str, names: &[&str]) {
    let listed: BTreeSet<String> = names.iter().map(|name| format!("{}.json", name.replace('_', "-"))).collect();
    let files = fs::read_dir(folder(folder_name)).expect("the folder of fixtures is there");
    let files: BTreeSet<String> =
        files.map(|file| file.expect("it can be listed").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(listed, files, "tests and fixtures/{folder_name} differ");
}

async fn send(
    bridge: &Bridge,
    client: &BTreeMap<String, String>,
    request: &Request,
    saved: &Map<String, Value>,
) -> Answer {
    let method = request.method.parse().unwrap_or_else(|error| panic!("{}: {error}", request.method));
    let url = format!("{}{}", bridge.scim_url(), fill_text(&request.path, saved));
    let mut headers: BTreeMap<String, Option<String>> = BTreeMap::new();
    headers.insert("authorization".to_owned(), Some(format!("Bearer {}", bridge.token)));
    for (name, value) in client {
        headers.insert(name.to_lowercase(), Some(value.clone()));
    }
    for (name, value) in &request.headers {
        headers.insert(name.to_lowercase(), value.clone());
    }
    let body = match (&request.echo, &request.body) {
        (None, None) => None,
        (None, Some(body)) => Some(fill(body, saved)),
        (Some(name), over) => {
            let mut echoed = saved.get(name).unwrap_or_else(|| panic!("nothing is saved as {name}")).clone();
            if let (Value::Object(echoed), Some(Value::Object(over))) = (&mut echoed, over) {
                echoed.extend(over.iter().map(|(name, value)| (name.clone(), fill(value, saved))));
            }
            Some(echoed)
        }
    };
    if body.is_none() {
        headers.remove("content-type");
    }
    let mut sent = reqwest::Client::new().request(method, url);
    for (name, value) in headers {
        if let Some(value) = value {
            sent = sent.header(name, fill_text(&value, saved));
        }
    }
    if let Some(body) = body {
        sent = sent.body(body.to_string());
    }
    Answer::of(sent).await
}

/// What every answer owes to every client: SCIM and nothing else, no failure of ours, no password.
///
/// # Panics
/// When one of these does not hold.
pub fn check_always(answer: &Answer, at: &str) {
    assert!(answer.status < 500 || answer.status == 501, "{at}: {} {:#}", answer.status, answer.body);
    assert!(!answer.header("x-request-id").is_empty(), "{at}: no request id");
    if !answer.body.is_null() {
        assert_eq!(answer.header("content-type"), SCIM_JSON, "{at}");
    }
    assert!(answer.body.get("password").is_none(), "{at}: a password is shown");
    if answer.status >= 400 {
        let urn = Value::from("urn:ietf:params:scim:api:messages:2.0:Error");
        assert_eq!(answer.body["schemas"], Value::Array(vec![urn]), "{at}");
        assert_eq!(answer.body["status"], Value::from(answer.status.to_string()), "{at}");
        let detail = answer.detail();
        assert!(!detail.is_empty() && detail.chars().count() <= 200, "{at}: {detail}");
    }
    if let Some(resources) = answer.body.get("Resources") {
        let resources = resources.as_array().unwrap_or_else(|| panic!("{at}: Resources is no array"));
        for paging in ["totalResults", "itemsPerPage"] {
            assert!(answer.body[paging].is_u64(), "{at}: {paging} is no integer");
        }
        // A walk by cursor has no positions.
        assert!(answer.body.get("startIndex").is_none_or(Value::is_u64), "{at}: startIndex is no integer");
        assert_eq!(answer.body["itemsPerPage"], Value::from(resources.len()), "{at}");
        for resource in resources {
            assert!(resource["schemas"].is_array(), "{at}: a resource without schemas");
        }
    }
}

fn check(answer: &Answer, expect: &Expect, saved: &Map<String, Value>, at: &str) {
    assert_eq!(answer.status, expect.status, "{at}: {:#}", answer.body);
    for (name, value) in &expect.headers {
        let (actual, value) = (answer.header(name), fill_text(value, saved));
        let is_right = if value == "<any>" { !actual.is_empty() } else { actual == value };
        assert!(is_right, "{at}: header {name} is {actual:?}, not {value:?}");
    }
    if let Some(expected) = &expect.body
        && let Err(difference) = compare("", &answer.body, &fill(expected, saved))
    {
        panic!("{at}: {difference} in {:#}", answer.body);
    }
    for pointer in &expect.absent {
        let there = answer.body.pointer(pointer);
        assert!(there.is_none(), "{at}: {pointer} is there in {:#}", answer.body);
    }
    for word in &expect.names {
        assert!(answer.detail().contains(word.as_str()), "{at}: {:?} does not name {word:?}", answer.detail());
    }
}

/// Whether everything expected is in the actual value.
fn compare(place: &str, actual: &Value, expected: &Value) -> Result<(), String> {
    let is_right = match expected {
        Value::Object(members) => {
            for (name, member) in members {
                let place = format!("{place}/{name}");
                match actual.get(name) {
                    Some(actual) => compare(&place, actual, member)?,
                    None => return Err(format!("{place} is not there")),
                }
            }
            actual.is_object()
        }
        Value::Array(elements) => {
            let Some(actual) = actual.as_array().filter(|actual| actual.len() == elements.len()) else {
                return Err(format!("{place} has not {} elements", elements.len()));
            };
            for (index, (actual, element)) in actual.iter().zip(elements).enumerate() {
                compare(&format!("{place}/{index}"), actual, element)?;
            }
            true
        }
        Value::String(text) => match text.as_str() {
            "<any>" => !actual.is_null(),
            "<string>" => actual.as_str().is_some_and(|text| !text.is_empty()),
            "<integer>" => actual.is_i64() || actual.is_u64(),
            _ => actual == expected,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => actual == expected,
    };
    if is_right { Ok(()) } else { Err(format!("{place} is {actual}, not {expected}")) }
}

/// Puts saved values in the place of `{{name}}`; a text that is nothing else becomes the value itself.
fn fill(value: &Value, saved: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => {
            let whole = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
            match whole.and_then(|name| saved.get(name)) {
                Some(value) => value.clone(),
                None => Value::from(fill_text(text, saved)),
            }
        }
        Value::Array(values) => values.iter().map(|value| fill(value, saved)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), fill(value, saved))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn fill_text(text: &str, saved: &Map<String, Value>) -> String {
    saved.iter().fold(text.to_owned(), |text, (name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.replace(&format!("{{{{{name}}}}}"), &value)
    })
}
