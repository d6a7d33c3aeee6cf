//! What a person does about accounts that are parked, held, a task, or under review: look, retry, release, drop, link
//! (DESIGN, section 9). Each is one small write, and an entry of the audit trail.

mod linking;

use bridge_store::{
    Account, AccountQuery, AccountState, AuditEntry, CallEntry, Db, RequestEntry, RequestFilter, RequestQuery,
    Resource, ResourceState, StoreError, Tx, Want,
};
use jiff::Timestamp;
use scim_filter::AttributePath;
use scim_model::fold;
use serde::Serialize;
use serde_json::Value;

use crate::bridge::Bridge;
use crate::clock::later;
use crate::landscape::{Pool, Tenant};
use crate::worker::Contact;
use crate::worker::settle::{Dependents, Returns};

pub use linking::{LinkError, release, set_link};

/// Which account: of a tenant, by the SCIM id of its resource, at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountName {
    /// The tenant.
    pub tenant: String,
    /// The SCIM id of the resource, or the userName of a user.
    pub resource: String,
    /// The target.
    pub target: String,
}

/// An account with the SCIM id of its resource.
#[derive(Debug, Clone)]
pub struct NamedAccount {
    /// SCIM id of the resource.
    pub id: String,
    /// Its userName, if it is a user.
    pub user_name: Option<String>,
    /// Whether it is there, deleted, or was refused.
    pub state: ResourceState,
    /// The row.
    pub account: Account,
}

impl NamedAccount {
    /// The account of a resource.
    pub(crate) fn of(resource: &Resource, account: Account) -> Self {
        let user_name = resource.document.text("userName").map(str::to_owned);
        Self { id: resource.id.clone(), user_name, state: resource.state, account }
    }
}

/// A request, and for which user it was.
#[derive(Debug, Clone)]
pub struct NamedRequest {
    /// The request as received.
    pub request: RequestEntry,
    /// The userName that the resource has now; else the one that was sent.
    pub user_name: Option<String>,
}

/// A request with the calls that were made for its resource.
#[derive(Debug, Clone)]
pub struct RequestStory {
    /// The request as received.
    pub request: NamedRequest,
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
    /// Whether the target answered when it was asked last, and takes calls; `None` before the first contact.
    pub up: Option<bool>,
    /// Accounts due by now.
    pub queue: u64,
    /// Accounts being worked on.
    pub in_flight: usize,
}

/// How full a pool is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// The tenant.
    pub tenant: String,
    /// The pool.
    pub pool: String,
    /// How many values it has.
    pub size: u64,
    /// How many of them nobody can get now: held, resting, or taken by somebody else at the target.
    pub used: u64,
    /// How many are left.
    pub free: u64,
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
                    let resource = db.resource_by_key(account.resource)?.ok_or(StoreError::NotFound("resource"))?;
                    Ok(NamedAccount::of(&resource, account))
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
    for NamedAccount { id, account, .. } in page {
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

/// Forgets an account without touching the target. Of who is gone, the pool values that it kept return.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such account.
pub async fn drop(bridge: &Bridge, name: &AccountName, actor: &str) -> Result<(), StoreError> {
    let returns = bridge.tenant(&name.tenant).map(|tenant| Returns::of(&tenant, bridge.clock.now()));
    change(bridge, name, actor, "drop", move |tx, account, target, now| {
        tx.drop_account(account.resource, target)?;
        let resource = tx.resource_by_key(account.resource)?;
        match &returns {
            Some(returns) if resource.is_some_and(|resource| resource.state != ResourceState::Live) => {
                returns.release(tx, account.resource, now)
            }
            _ => Ok(()),
        }
    })
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

/// What became of an account that was made due: its row once it has come to rest, or as it is after `server.wait`. Nobody
/// waits for a target that makes no calls, nor for an attempt that is further away.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such resource.
pub async fn outcome(bridge: &Bridge, name: &AccountName) -> Result<Option<Account>, StoreError> {
    let patience = bridge.landscape().config.server.wait;
    let folded = folded_user_name(bridge, &name.tenant, &name.resource);
    let found = bridge.store.read(|db| resource_named(db, &name.tenant, &name.resource, &folded)).await?;
    let key = found.ok_or(StoreError::NotFound("resource"))?.key;
    let tenant = bridge.tenant(&name.tenant);
    let target = tenant.as_ref().and_then(|tenant| tenant.targets.get(&name.target));
    // Whoever asks here is no client: what is refused meanwhile rings as if nobody waited.
    let all = tenant.iter().flat_map(|tenant| tenant.targets.keys().cloned()).collect();
    let waiting = bridge.waiters.wait_for(key, &all);
    let deadline = tokio::time::Instant::now() + patience;
    let mut is_late = false;
    loop {
        let moved = waiting.next_move();
        let rows = bridge.store.read(|db| db.accounts_of(key)).await?;
        let Some(row) = rows.into_iter().find(|row| row.target == name.target) else { return Ok(None) };
        let is_at_rest = row.state.is_answer() && row.applied == row.wanted;
        let now = bridge.clock.now();
        let is_far = row.lease.is_none() && row.due_at > later(now, patience);
        let works = target.is_some_and(|target| target.sends() && target.lane.condition().blocked(now).is_none());
        if is_at_rest || is_far || !works || is_late {
            return Ok(Some(row));
        }
        is_late = tokio::time::timeout_at(deadline, moved).await.is_err();
    }
}

/// The journal of requests, newest first.
///
/// # Errors
/// Those of the store.
pub async fn list_requests(
    bridge: &Bridge,
    query: RequestQuery,
    filter: RequestFilter,
) -> Result<Vec<NamedRequest>, StoreError> {
    bridge
        .store
        .scan(move |db| {
            let is_plain = filter == RequestFilter::default();
            let found = if is_plain { db.requests(&query)? } else { db.requests_where(&query, &filter)? };
            found.into_iter().map(|request| named_request(db, request)).collect()
        })
        .await
}

fn named_request(db: &Db<'_>, request: RequestEntry) -> Result<NamedRequest, StoreError> {
    let resource = request.resource.map(|key| db.resource_by_key(key)).transpose()?.flatten();
    let now = resource.as_ref().and_then(|resource| resource.document.text("userName"));
    // What is no JSON, which nothing here has written, names nobody.
    let body: Value = request.body.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let members = body.as_object();
    let sent = || members?.iter().find(|(name, _)| name.eq_ignore_ascii_case("userName"))?.1.as_str();
    let user_name = now.or_else(sent).map(str::to_owned);
    Ok(NamedRequest { request, user_name })
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
            Ok(RequestStory { request: named_request(db, request)?, resource, calls })
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
        let blocked = target.lane.condition().blocked(now);
        statuses.push(TargetStatus {
            tenant: target.tenant.clone(),
            target: target.name.clone(),
            kind: target.settings.kind.to_string(),
            mode: format!("{:?}", target.settings.mode).to_lowercase(),
            up: target.lane.last_contact().map(|contact| contact == Contact::Answered && blocked.is_none()),
            condition: blocked.unwrap_or_else(|| "ok".to_owned()),
            queue,
            in_flight: target.lane.in_flight(),
        });
    }
    Ok(statuses)
}

/// How full every pool is.
///
/// # Errors
/// Those of the store.
pub async fn pools(bridge: &Bridge) -> Result<Vec<PoolStatus>, StoreError> {
    let mut statuses = Vec::new();
    for tenant in bridge.landscape().tenants() {
        for (name, config) in &tenant.pools {
            statuses.push(pool(bridge, tenant, name, config).await?);
        }
    }
    Ok(statuses)
}

/// How full a pool is.
///
/// # Errors
/// Those of the store.
pub async fn pool(bridge: &Bridge, tenant: &Tenant, name: &str, pool: &Pool) -> Result<PoolStatus, StoreError> {
    let now = bridge.clock.now();
    let (of, named, ranges) = (tenant.name.clone(), name.to_owned(), pool.ranges.clone());
    let usage = bridge.store.scan(move |db| db.pool_usage(&of, &named, &ranges, now)).await?;
    let (tenant, pool, used) = (tenant.name.clone(), name.to_owned(), usage.size - usage.free);
    Ok(PoolStatus { tenant, pool, size: usage.size, used, free: usage.free })
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
    let folded = folded_user_name(bridge, &name.tenant, &name.resource);
    let dependents = tenant.as_deref().map(Dependents::of);
    bridge
        .store
        .write(move |tx| {
            let resource = resource_named(tx, &name.tenant, &name.resource, &folded)?;
            let resource = resource.ok_or(StoreError::NotFound("resource"))?;
            let account = tx.account(resource.key, &name.target)?.ok_or(StoreError::NotFound("account"))?;
            change(tx, &account, &name.target, now)?;
            if let Some(dependents) = &dependents {
                dependents.release(tx, resource.key, now)?;
            }
            // By its id: the trail outlives the person, whose name is not kept in it.
            tx.add_audit(&entry(&name.tenant, &actor, &action, format!("{}/{}", resource.id, name.target), now))?;
            Ok::<_, StoreError>(())
        })
        .await?;
    // The account itself, or one that waited for it.
    for target in tenant.iter().flat_map(|tenant| tenant.targets.values()) {
        target.lane.ring();
    }
    Ok(())
}

/// A name as userNames are compared in a tenant.
pub fn folded_user_name(bridge: &Bridge, tenant: &str, name: &str) -> String {
    let tenant = bridge.tenant(tenant);
    let path = AttributePath::named("userName");
    let user_name = tenant.as_ref().and_then(|tenant| tenant.users.resolve(&path));
    user_name.map_or_else(|| name.to_owned(), |user_name| fold(user_name.leaf(), name))
}

/// The resource with this SCIM id, or else the user who has this userName now.
///
/// # Errors
/// Those of the store.
pub fn resource_named(db: &Db<'_>, tenant: &str, name: &str, folded: &str) -> Result<Option<Resource>, StoreError> {
    if let Some(resource) = db.resource_of_any_type(tenant, name)? {
        return Ok(Some(resource));
    }
    let named = db.resources_by_value(tenant, "User", "userName", folded)?;
    Ok(named.into_iter().find(|user| user.state == ResourceState::Live))
}
