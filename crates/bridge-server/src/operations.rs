//! What a person does about accounts that are parked, held, a task, or under review: look, retry, release, drop, link
//! (DESIGN, section 9). Each is one small write, and an entry of the audit trail.

use bridge_store::{
    Account, AccountQuery, AccountState, AuditEntry, CallEntry, RequestEntry, RequestQuery, Resource, StoreError, Tx,
    Want,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::bridge::Bridge;
use crate::worker::settle::Dependents;

/// Which account: of a tenant, by the SCIM id of its resource, at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountName {
    /// The tenant.
    pub tenant: String,
    /// The SCIM id of the resource.
    pub resource: String,
    /// The target.
    pub target: String,
}

/// An account with the SCIM id of its resource.
#[derive(Debug, Clone)]
pub struct NamedAccount {
    /// SCIM id of the resource.
    pub id: String,
    /// The row.
    pub account: Account,
}

/// A request with the calls that were made for its resource.
#[derive(Debug, Clone)]
pub struct RequestStory {
    /// The request as received.
    pub request: RequestEntry,
    /// SCIM id of the resource it is about.
    pub resource: Option<String>,
    /// The calls to targets for that resource, oldest first.
    pub calls: Vec<CallEntry>,
}

/// How a target is doing.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// The tenant.
    pub tenant: String,
    /// The target.
    pub target: String,
    /// Its kind.
    pub kind: String,
    /// `send`, `hold`, `plan`.
    pub mode: String,
    /// `ok`, or why no call is made.
    pub condition: String,
    /// Accounts due by now.
    pub queue: u64,
    /// Accounts being worked on.
    pub in_flight: usize,
}

/// Accounts by tenant, target, state.
///
/// # Errors
/// Those of the store.
pub async fn list_accounts(bridge: &Bridge, query: AccountQuery) -> Result<Vec<NamedAccount>, StoreError> {
    bridge
        .store
        .scan(move |db| {
            let rows = db.accounts_where(&query)?;
            rows.into_iter()
                .map(|account| {
                    let resource = db.resource_by_key(account.resource)?;
                    let id = resource.map(|resource| resource.id).unwrap_or_default();
                    Ok(NamedAccount { id, account })
                })
                .collect()
        })
        .await
}

/// Makes an account due now: one that is parked, held, waiting or backing off. One that is at rest is read and compared,
/// because somebody may have changed it at the target.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such account.
pub async fn retry(bridge: &Bridge, name: &AccountName, actor: &str) -> Result<(), StoreError> {
    change(bridge, name, actor, "retry", |tx, account, target, now| match account.state {
        AccountState::Settled | AccountState::Task => tx.look_again(account.resource, target, now).map(|_| ()),
        _ => tx.want(account.resource, target, &Want { release: true, ..Want::due(now) }, now).map(|_| ()),
    })
    .await
}

/// Lets an account go that is held; by the brake, too, which then begins to count anew. Or says that the account under
/// review, found at the target, is ours: it becomes the account of this resource.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such account, or none was found that waits for a decision.
pub async fn release(bridge: &Bridge, name: &AccountName, actor: &str) -> Result<(), StoreError> {
    change(bridge, name, actor, "release", |tx, account, target, now| {
        let found = account.candidate.as_ref().and_then(|candidate| candidate.get("remote_id")?.as_str());
        match (account.state, found) {
            (AccountState::Held, _) => {
                tx.release_brake(account.resource, target)?;
                let want = Want { release: true, ..Want::due(now) };
                tx.want(account.resource, target, &want, now).map(|_| ())
            }
            (_, Some(remote_id)) => tx.link(account.resource, target, Some(remote_id), now),
            _ => Err(StoreError::NotFound("account under review")),
        }
    })
    .await
}

/// Accounts that one write lets go.
const SLICE: usize = 100;

/// Lets all accounts of a target go that its brake holds. Returns how many.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such target.
pub async fn release_held(bridge: &Bridge, tenant: &str, target: &str, actor: &str) -> Result<usize, StoreError> {
    let Some(lane) = bridge.tenant(tenant).and_then(|tenant| tenant.targets.get(target).cloned()) else {
        return Err(StoreError::NotFound("target"));
    };
    let now = bridge.clock.now();
    let mut query = AccountQuery {
        tenant: Some(tenant.to_owned()),
        target: Some(target.to_owned()),
        state: Some(AccountState::Held),
        limit: SLICE,
        ..AccountQuery::default()
    };
    let mut released = 0;
    loop {
        let page = list_accounts(bridge, query.clone()).await?;
        let Some(last) = page.last() else { break };
        query.after = Some((last.account.resource, last.account.target.clone()));
        let actor = actor.to_owned();
        released += bridge.store.write(move |tx| release_page(tx, &page, &actor, now)).await?;
    }
    lane.lane.ring();
    Ok(released)
}

/// Lets those accounts go that the brake holds still.
fn release_page(tx: &mut Tx<'_>, page: &[NamedAccount], actor: &str, now: Timestamp) -> Result<usize, StoreError> {
    let mut released = 0;
    for NamedAccount { id, account } in page {
        let Account { resource, target, tenant, .. } = account;
        let is_held = tx.account(*resource, target)?.is_some_and(|row| row.state == AccountState::Held);
        if is_held && tx.release_brake(*resource, target)? {
            tx.want(*resource, target, &Want { release: true, ..Want::due(now) }, now)?;
            tx.add_audit(&entry(tenant, actor, "release", format!("{id}/{target}"), now))?;
            released += 1;
        }
    }
    Ok(released)
}

fn entry(tenant: &str, actor: &str, action: &str, subject: String, now: Timestamp) -> AuditEntry {
    AuditEntry {
        number: 0,
        tenant: tenant.to_owned(),
        at: now,
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject,
        detail: None,
        hash: String::new(),
    }
}

/// Forgets an account without touching the target.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such account.
pub async fn drop(bridge: &Bridge, name: &AccountName, actor: &str) -> Result<(), StoreError> {
    change(bridge, name, actor, "drop", |tx, account, target, _| tx.drop_account(account.resource, target).map(|_| ()))
        .await
}

/// Says that a person has done what the API could not: the account is read again and compared.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such task.
pub async fn task_done(bridge: &Bridge, name: &AccountName, actor: &str) -> Result<(), StoreError> {
    change(bridge, name, actor, "task-done", |tx, account, target, now| {
        if account.state != AccountState::Task {
            return Err(StoreError::NotFound("task"));
        }
        tx.look_again(account.resource, target, now).map(|_| ())
    })
    .await
}

/// Points an account to another remote account, or to none.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such account, [`StoreError::Taken`] if another one has that remote id.
pub async fn set_link(
    bridge: &Bridge,
    name: &AccountName,
    remote_id: Option<String>,
    actor: &str,
) -> Result<(), StoreError> {
    change(bridge, name, actor, "link", move |tx, account, target, now| {
        tx.link(account.resource, target, remote_id.as_deref(), now)
    })
    .await
}

/// The journal of requests, newest first.
///
/// # Errors
/// Those of the store.
pub async fn list_requests(bridge: &Bridge, query: RequestQuery) -> Result<Vec<RequestEntry>, StoreError> {
    bridge.store.scan(move |db| db.requests(&query)).await
}

/// One request and what came of it.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn show_request(bridge: &Bridge, tenant: &str, request_id: &str) -> Result<RequestStory, StoreError> {
    let (tenant, request_id) = (tenant.to_owned(), request_id.to_owned());
    bridge
        .store
        .scan(move |db| {
            let request = db.request(&tenant, &request_id)?.ok_or(StoreError::NotFound("request"))?;
            let (mut resource, mut calls) = (None, Vec::new());
            if let Some(key) = request.resource {
                resource = db.resource_by_key(key)?.map(|resource| resource.id);
                calls = db.calls_of(key, None, 200)?;
                calls.retain(|call| call.at >= request.received);
            }
            Ok(RequestStory { request, resource, calls })
        })
        .await
}

/// How every target is doing.
///
/// # Errors
/// Those of the store.
pub async fn targets(bridge: &Bridge) -> Result<Vec<TargetStatus>, StoreError> {
    let now = bridge.clock.now();
    let mut statuses = Vec::new();
    for target in bridge.landscape().targets() {
        let queue = bridge.store.read(|db| db.queue_length(&target.tenant, &target.name, now)).await?;
        statuses.push(TargetStatus {
            tenant: target.tenant.clone(),
            target: target.name.clone(),
            kind: target.settings.kind.to_string(),
            mode: format!("{:?}", target.settings.mode).to_lowercase(),
            condition: target.lane.condition().blocked(now).unwrap_or_else(|| "ok".to_owned()),
            queue,
            in_flight: target.lane.in_flight(),
        });
    }
    Ok(statuses)
}

async fn change(
    bridge: &Bridge,
    name: &AccountName,
    actor: &str,
    action: &str,
    change: impl Fn(&mut Tx<'_>, &Account, &str, Timestamp) -> Result<(), StoreError> + Send + 'static,
) -> Result<(), StoreError> {
    let now = bridge.clock.now();
    let (name, actor, action) = (name.clone(), actor.to_owned(), action.to_owned());
    let tenant = bridge.tenant(&name.tenant);
    let dependents = tenant.as_deref().map(Dependents::of);
    bridge
        .store
        .write(move |tx| {
            let resource = find(tx, &name)?;
            let account = tx.account(resource.key, &name.target)?.ok_or(StoreError::NotFound("account"))?;
            change(tx, &account, &name.target, now)?;
            if let Some(dependents) = &dependents {
                dependents.release(tx, resource.key, now)?;
            }
            tx.add_audit(&entry(&name.tenant, &actor, &action, format!("{}/{}", name.resource, name.target), now))?;
            Ok::<_, StoreError>(())
        })
        .await?;
    // The account itself, or one that waited for it.
    for target in tenant.iter().flat_map(|tenant| tenant.targets.values()) {
        target.lane.ring();
    }
    Ok(())
}

fn find(tx: &Tx<'_>, name: &AccountName) -> Result<Resource, StoreError> {
    tx.resource_of_any_type(&name.tenant, &name.resource)?.ok_or(StoreError::NotFound("resource"))
}
