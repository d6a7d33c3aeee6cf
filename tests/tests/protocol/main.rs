//! The parts of the protocol that not every client uses: searches by POST, sorted lists, cursors, `/Me`, `/Bulk`,
//! entity tags (RFC 7644, RFC 9865).

#![expect(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod bulk;
mod cursors;
mod discovery;
mod filters;
mod me;
mod projections;
mod searches;
mod versions;

use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup};
use serde_json::Value;

/// A bridge that answers when a write is stored: these tests are about the door, not about the targets behind it.
async fn bridge() -> Bridge {
    Bridge::with(Setup::default().wait("0s")).await
}

/// A bridge with these users, in this order.
async fn with_users(names: &[&str]) -> Bridge {
    let bridge = bridge().await;
    for name in names {
        bridge.post("/Users", okta_user(name)).await.has_status(201);
    }
    bridge
}

/// The first parts of the user names of a page.
fn names(answer: &Answer) -> Vec<&str> {
    let resources = answer.body["Resources"].as_array().unwrap().iter();
    resources.map(|user| user["userName"].as_str().unwrap().split('@').next().unwrap()).collect()
}

/// A text as part of a query string.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Expects a SCIM error of that status and keyword.
#[track_caller]
fn is_refused(answer: &Answer, status: u16, keyword: &str) {
    let found = (answer.status, answer.body["scimType"].as_str().unwrap_or_default());
    assert_eq!(found, (status, keyword), "{:#}", answer.body);
    let urn = Value::from("urn:ietf:params:scim:api:messages:2.0:Error");
    assert_eq!(answer.body["schemas"], Value::Array(vec![urn]));
}
