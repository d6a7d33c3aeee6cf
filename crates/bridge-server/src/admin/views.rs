//! Rows as the admin API shows them. Of a person's data only the userName is shown, by which a
//! person is known to whoever asks: no natural keys, no observed fields, no secrets.

use bridge_store::{Account, AccountState, Doubt, Reason, RequestEntry};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::operations::{NamedAccount, NamedRequest, RequestStory};

/// An account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountView {
    tenant: String,
    resource: String,
    user_name: Option<String>,
    target: String,
    state: AccountState,
    reason: Option<Reason>,
    remote_id: Option<String>,
    attempts: u32,
    due_at: Timestamp,
    /// When it is looked at next, if that is a matter of time.
    next: Option<Timestamp>,
    urgent: bool,
    in_doubt: bool,
    failing_since: Option<Timestamp>,
    candidate: Option<Value>,
    updated: Timestamp,
}

impl From<NamedAccount> for AccountView {
    fn from(NamedAccount { id, user_name, account }: NamedAccount) -> Self {
        let state = shown_state(&account);
        Self {
            tenant: account.tenant,
            resource: id,
            user_name,
            target: account.target,
            state,
            reason: account.reason,
            remote_id: account.remote_id,
            attempts: account.attempts,
            due_at: account.due_at,
            next: (account.state == AccountState::Due).then_some(account.due_at),
            urgent: account.urgent,
            in_doubt: account.doubt != Doubt::None,
            failing_since: account.failing_since,
            candidate: account.candidate,
            updated: account.updated,
        }
    }
}

/// Work that begins when a time is over is due then; whoever reads the list sees that it waits.
fn shown_state(account: &Account) -> AccountState {
    match &account.reason {
        Some(reason) if account.state == AccountState::Due && reason.code == "waiting-for-group" => {
            AccountState::Waiting
        }
        _ => account.state,
    }
}

/// Which remote account belongs to a resource.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LinkView {
    tenant: String,
    resource: String,
    target: String,
    remote_id: Option<String>,
    state: AccountState,
}

impl From<NamedAccount> for LinkView {
    fn from(NamedAccount { id, account, .. }: NamedAccount) -> Self {
        Self {
            tenant: account.tenant,
            resource: id,
            target: account.target,
            remote_id: account.remote_id,
            state: account.state,
        }
    }
}

/// A request without its body.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestView {
    key: i64,
    tenant: String,
    id: String,
    connection: Option<String>,
    method: String,
    path: String,
    user_name: Option<String>,
    status: Option<u16>,
    outcome: Option<String>,
    received: Timestamp,
    finished: Option<Timestamp>,
}

impl From<NamedRequest> for RequestView {
    fn from(NamedRequest { request: entry, user_name }: NamedRequest) -> Self {
        Self {
            user_name,
            key: entry.key,
            tenant: entry.tenant,
            id: entry.request_id,
            connection: entry.connection,
            method: entry.method,
            path: entry.path,
            status: entry.status,
            outcome: entry.outcome,
            received: entry.received,
            finished: entry.finished,
        }
    }
}

/// A request with its masked body and the calls that were made for its resource.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoryView {
    #[serde(flatten)]
    request: RequestView,
    body: Option<Value>,
    notes: Option<Value>,
    resource: Option<String>,
    calls: Vec<CallView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallView {
    target: String,
    operation: String,
    call: Value,
    outcome: String,
    answer: Option<Value>,
    attempt: u32,
    at: Timestamp,
    duration_ms: i64,
}

impl From<RequestStory> for StoryView {
    fn from(story: RequestStory) -> Self {
        let RequestEntry { body, notes, .. } = story.request.request.clone();
        let calls = story.calls.into_iter().map(|call| CallView {
            target: call.target,
            operation: call.operation,
            call: call.call,
            outcome: call.outcome,
            answer: call.answer,
            attempt: call.attempt,
            at: call.at,
            duration_ms: call.duration,
        });
        Self { request: story.request.into(), body, notes, resource: story.resource, calls: calls.collect() }
    }
}
