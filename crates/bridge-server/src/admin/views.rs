//! Rows as the admin API shows them; every name of a member is in camelCase, as in SCIM. Of a person's data only the userName
//! is shown, by which a person is known to whoever asks, and an account under review, because a person must decide: no
//! other natural keys and observed fields, no secrets.

use std::collections::BTreeMap;

use bridge_connectors::Observed;
use bridge_mapping::AccountSchema;
use bridge_store::{Account, AccountState, Doubt, Reason, RequestEntry, ResourceState};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::bridge::Bridge;
use crate::explain::{Explained, ExplainedAccount, LeftOut, NotUnderstood};
use crate::operations::{NamedAccount, NamedRequest, RequestStory};
use crate::worker::duty;

/// An account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountView {
    tenant: String,
    resource: String,
    user_name: Option<String>,
    resource_state: ResourceState,
    target: String,
    state: AccountState,
    reason: Option<ReasonView>,
    remote_id: Option<String>,
    attempts: u32,
    due_at: Timestamp,
    /// When it is looked at next, if that is a matter of time.
    next: Option<Timestamp>,
    urgent: bool,
    in_doubt: bool,
    failing_since: Option<Timestamp>,
    candidate: Option<CandidateView>,
    updated: Timestamp,
}

impl AccountView {
    pub(super) fn of(
        bridge: &Bridge,
        NamedAccount { id, user_name, state: resource_state, account }: NamedAccount,
    ) -> Self {
        let state = shown_state(&account);
        let tenant = bridge.tenant(&account.tenant);
        let target = tenant.as_ref().and_then(|tenant| tenant.targets.get(&account.target));
        let schema = target.map(|target| target.rules.schema());
        let seen = account.candidate.and_then(|seen| serde_json::from_value(seen).ok());
        Self {
            tenant: account.tenant,
            resource: id,
            user_name,
            resource_state,
            target: account.target,
            state,
            reason: account.reason.map(ReasonView::from),
            remote_id: account.remote_id,
            attempts: account.attempts,
            due_at: account.due_at,
            next: (account.state == AccountState::Due).then_some(account.due_at),
            urgent: account.urgent,
            in_doubt: account.doubt != Doubt::None,
            failing_since: account.failing_since,
            candidate: seen.map(|seen| CandidateView::of(seen, schema)),
            updated: account.updated,
        }
    }
}

/// Why an account is in its state.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReasonView {
    code: String,
    field: Option<String>,
    attribute: Option<String>,
    text: String,
    retry_helps: bool,
}

impl From<Reason> for ReasonView {
    fn from(Reason { code, field, attribute, text, retry_helps }: Reason) -> Self {
        Self { code, field, attribute, text, retry_helps }
    }
}

/// An account that was found at the target and may be the user's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CandidateView {
    remote_id: Option<String>,
    natural_key: Option<Value>,
    /// The natural key and what else is unique at the target, by field.
    keys: BTreeMap<String, Value>,
    active: Option<bool>,
    /// Everything that is known of it, by the vendor's names.
    fields: BTreeMap<String, Value>,
    /// What of ours it equals.
    equal: Vec<&'static str>,
    unmanageable: Option<String>,
}

impl CandidateView {
    fn of(seen: Observed, schema: Option<&AccountSchema>) -> Self {
        let known = |name: &String| Some((name.clone(), seen.fields.get(name)?.clone()));
        let unique =
            schema.into_iter().flat_map(|schema| &schema.fields).filter(|field| field.natural_key || field.unique);
        let keys: BTreeMap<String, Value> = unique.filter_map(|field| known(&field.name)).collect();
        let evidence = [
            (seen.evidence.marker, "marker"),
            (seen.evidence.natural_key, "naturalKey"),
            (seen.evidence.unique_key, "uniqueKey"),
            (seen.evidence.email, "email"),
        ];
        Self {
            natural_key: schema.and_then(|schema| keys.get(&schema.natural_key().name).cloned()),
            keys,
            remote_id: seen.remote_id,
            active: seen.active,
            fields: seen.fields,
            equal: evidence.into_iter().filter_map(|(is_equal, name)| is_equal.then_some(name)).collect(),
            unmanageable: seen.unmanageable,
        }
    }
}

/// A user with all accounts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExplainedView {
    tenant: String,
    resource: String,
    user_name: Option<String>,
    resource_state: ResourceState,
    active: bool,
    not_understood: Vec<NotUnderstood>,
    accounts: Vec<ExplainedAccountView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainedAccountView {
    #[serde(flatten)]
    account: AccountView,
    left_out: Vec<LeftOut>,
    /// Who has the candidate, if another user of this bridge has it.
    held_by: Option<String>,
}

impl ExplainedView {
    /// With the account at one target only, or with all.
    pub(super) fn of(bridge: &Bridge, explained: Explained, target: Option<&str>) -> Self {
        let Explained { resource, not_understood, accounts } = explained;
        let is_asked = |account: &NamedAccount| target.is_none_or(|target| account.account.target == target);
        let shown = accounts.into_iter().filter(|explained| is_asked(&explained.account));
        let shown = shown.map(|ExplainedAccount { account, left_out, held_by }| {
            let account = AccountView::of(bridge, account);
            ExplainedAccountView { account, left_out, held_by }
        });
        Self {
            user_name: resource.document.text("userName").map(str::to_owned),
            tenant: resource.tenant,
            resource: resource.id,
            resource_state: resource.state,
            active: resource.active,
            not_understood,
            accounts: shown.collect(),
        }
    }
}

/// Work that begins when a time is over is due then; whoever reads the list sees that it waits.
fn shown_state(account: &Account) -> AccountState {
    match &account.reason {
        Some(reason) if account.state == AccountState::Due && reason.code == duty::WAITING_FOR_GROUP => {
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
        // What is no JSON, which nothing here has written, is shown as it is.
        let parse = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
        let body = body.map(parse);
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
