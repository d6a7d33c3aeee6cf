//! One test for each way in which other servers failed their clients: the numbered cases of interop-cases.md, each by its
//! number.
//!
//! The cases go through the front door of one running bridge that they share, with users and groups of their own. A few
//! need a bridge for themselves. Where a fixture leads the conversation already, the case is that fixture.

#![expect(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod connections;
mod filters;
mod group_changes;
mod user_changes;
mod users;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// How many cases interop-cases.md has.
const CASES: u32 = 137;

/// The bridge of the cases that run at this moment; the last one stops it.
static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

struct Shared {
    runtime: Runtime,
    bridge: Option<Bridge>,
}

impl Shared {
    fn get() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let runtime = Runtime::new().unwrap();
            let bridge = runtime.block_on(Bridge::with(Setup::default().wait("5s")));
            let started = Arc::new(Self { runtime, bridge: Some(bridge) });
            *shared = Arc::downgrade(&started);
            started
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(bridge) = self.bridge.take() {
            self.runtime.block_on(bridge.stop());
        }
    }
}

/// Runs a case with the shared bridge.
fn run(case: impl AsyncFnOnce(&Bridge)) {
    let shared = Shared::get();
    shared.runtime.block_on(case(shared.bridge.as_ref().unwrap()));
}

/// A user, as Okta makes one; the name is the case's own.
async fn user(bridge: &Bridge, name: &str) -> String {
    bridge.post("/Users", okta_user(name)).await.has_status(201).id()
}

/// A user without e-mail address, display name and the like.
async fn bare_user(bridge: &Bridge, name: &str) -> String {
    let body = json!({"schemas": [USER], "userName": format!("{name}@acme.example"), "active": true});
    bridge.post("/Users", body).await.has_status(201).id()
}

/// A group with these members.
async fn group(bridge: &Bridge, name: &str, members: &[&str]) -> String {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    let body = json!({"schemas": [GROUP], "displayName": name, "members": members});
    bridge.post("/Groups", body).await.has_status(201).id()
}

/// A user as a client reads it.
async fn read(bridge: &Bridge, id: &str) -> Value {
    bridge.get(&format!("/Users/{id}")).await.has_status(200).body
}

/// Changes a user, and reads it.
async fn change(bridge: &Bridge, id: &str, operations: Value) -> Value {
    let answer = bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
    let read = read(bridge, id).await;
    assert_eq!(answer.body, read, "the answer of a PATCH is the user as it is afterwards");
    read
}

/// Changes a group, and returns the ids of its members.
async fn change_group(bridge: &Bridge, id: &str, operations: Value) -> Vec<String> {
    bridge.patch(&format!("/Groups/{id}"), operations).await.has_status(204);
    members(bridge, id).await
}

/// The ids of the members of a group.
async fn members(bridge: &Bridge, id: &str) -> Vec<String> {
    let shown = bridge.get(&format!("/Groups/{id}")).await.has_status(200);
    let members = shown.body["members"].as_array().cloned().unwrap_or_default();
    members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
}

/// A list with a filter.
async fn search(bridge: &Bridge, endpoint: &str, filter: &str) -> Answer {
    let encoded = filter.bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text + &char::from(byte).to_string(),
        other => text + &format!("%{other:02X}"),
    });
    bridge.get(&format!("{endpoint}?filter={encoded}")).await
}

/// The ids that a filter finds.
async fn found(bridge: &Bridge, endpoint: &str, filter: &str) -> Vec<String> {
    let listed = search(bridge, endpoint, filter).await.has_status(200);
    let resources = listed.body["Resources"].as_array().unwrap();
    assert_eq!(listed.body["totalResults"], resources.len(), "{filter}");
    resources.iter().map(|resource| resource["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_case_has_its_test() {
    let sources = [
        include_str!("values.rs"),
        include_str!("connections.rs"),
        include_str!("filters.rs"),
        include_str!("users.rs"),
        include_str!("user_changes.rs"),
        include_str!("group_changes.rs"),
    ];
    let mut found: BTreeMap<u32, u32> = BTreeMap::new();
    for source in sources {
        let lines: Vec<&str> = source.lines().collect();
        for pair in lines.windows(2) {
            let [before, line] = pair else { continue };
            let name = line.strip_prefix("fn case_").or_else(|| line.strip_prefix("async fn case_"));
            let Some(name) = name else { continue };
            assert!(matches!(*before, "#[test]" | "#[tokio::test]"), "{line} is no test");
            *found.entry(name[..3].parse().unwrap()).or_default() += 1;
        }
    }
    let expected: BTreeMap<u32, u32> = (1..=CASES).map(|number| (number, 1)).collect();
    assert_eq!(found, expected);
}
