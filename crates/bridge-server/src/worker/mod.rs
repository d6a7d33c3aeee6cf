//! Makes accounts match: one lane per target claims what is due and converges it (DESIGN, section 7).
//!
//! A lane takes leavers first, keeps to the target's concurrency, stops while the target is paused or broken, and never
//! holds up another target or tenant. [`step`] is one turn of it.

mod backoff;
mod brake;
mod carry;
mod condition;
pub mod duty;
pub mod found;
pub mod holder;
mod lane;
mod look;
pub mod memory;
pub mod pool;
mod prepare;
mod replace;
pub mod secrets;
pub mod settle;
mod waiters;
pub mod waves;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bridge_connectors::TargetError;
use bridge_mapping::GroupRef;
use bridge_store::{Account as Row, Resource, StoreError};
use jiff::Timestamp;
use tokio::task::JoinSet;
use tracing::{Instrument, error, info, info_span, warn};

use crate::alerts::{Alert, AlertKind, Subject};
use crate::bridge::{Bridge, Epoch};
use crate::clock::later;
use crate::config::Mode;
use crate::landscape::{Target, Tenant};
use crate::provisioning::group_refs;

pub use condition::Condition;
pub use lane::{Contact, Lane};
pub use waiters::{Waiters, Waiting};
pub use work::VERIFYING;

/// Without a bell a lane looks again after this long, in case something became due that nobody rang for.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// How long a lane rests after the store failed it.
const AFTER_STORE_ERROR: Duration = Duration::from_secs(1);

/// What a worker reads before it works.
pub(crate) struct Loaded {
    pub(crate) resource: Resource,
    pub(crate) groups: Vec<GroupRef>,
    pub(crate) assigned: BTreeMap<String, String>,
}

/// What a lane does after a turn.
enum Next {
    /// Look again at once.
    Turn,
    /// Wait for the bell, for a place to become free, or for this moment.
    Rest(Timestamp),
    /// Probe the blocked target at this moment.
    Probe(Timestamp),
}

/// Runs the lane of one target until the bridge stops or another configuration takes over.
pub(crate) async fn run_lane(bridge: Arc<Bridge>, tenant: Arc<Tenant>, target: Arc<Target>, epoch: Epoch) {
    let span = info_span!("lane", tenant = %tenant.name, target.name = %target.name);
    async {
        let mut working = JoinSet::new();
        while !epoch.is_over() {
            let next = turn(&bridge, &tenant, &target, &mut working).await;
            tokio::select! {
                () = epoch.over() => {}
                () = wait(&bridge, &target, &mut working, next) => {}
            }
        }
        // What is in flight ends by itself: every call has a timeout.
        while working.join_next().await.is_some() {}
    }
    .instrument(span)
    .await;
}

/// Claims and starts what is due. Never cut short, so that no claim is lost.
async fn turn(bridge: &Arc<Bridge>, tenant: &Arc<Tenant>, target: &Arc<Target>, working: &mut JoinSet<()>) -> Next {
    while working.try_join_next().is_some() {}
    let latest = later(bridge.clock.now(), LOOK_AT_LEAST_EVERY);
    if let Some(probe_at) = target.lane.condition().probe_at() {
        return Next::Probe(probe_at);
    }
    if let Some(until) = target.lane.condition().rests_until(bridge.clock.now()) {
        return Next::Rest(until);
    }
    let free = target.settings.accounts_at_once().saturating_sub(working.len());
    if target.settings.mode == Mode::Hold || free == 0 {
        return Next::Rest(latest);
    }
    match claim(bridge, target, free).await {
        // What is due was taken by somebody else, or cannot be taken.
        Ok(Claimed::Rows(claimed)) if claimed.is_empty() => Next::Rest(later(bridge.clock.now(), AFTER_STORE_ERROR)),
        Ok(Claimed::Rows(claimed)) => {
            for row in claimed {
                let (bridge, tenant, target) = (bridge.clone(), tenant.clone(), target.clone());
                working.spawn(async move { converge(&bridge, &tenant, &target, row).await }.in_current_span());
            }
            Next::Turn
        }
        Ok(Claimed::NothingBefore(due)) => Next::Rest(due.map_or(latest, |due| due.min(latest))),
        Err(error) => {
            error!(%error, "The store does not say what is due");
            Next::Rest(later(bridge.clock.now(), AFTER_STORE_ERROR))
        }
    }
}

async fn wait(bridge: &Bridge, target: &Target, working: &mut JoinSet<()>, next: Next) {
    match next {
        Next::Turn => {}
        Next::Rest(until) => tokio::select! {
            () = target.lane.rung() => {}
            () = bridge.clock.sleep_until(until) => {}
            _ = working.join_next(), if !working.is_empty() => {}
        },
        Next::Probe(at) => probe(bridge, target, at).await,
    }
}

/// What a lane found to do.
enum Claimed {
    /// These accounts are ours to work on now.
    Rows(Vec<Row>),
    /// Nothing is due before this moment, as far as is known.
    NothingBefore(Option<Timestamp>),
}

async fn claim(bridge: &Bridge, target: &Target, limit: usize) -> Result<Claimed, StoreError> {
    let (tenant, name) = (target.tenant.clone(), target.name.clone());
    let now = bridge.clock.now();
    // An idle lane must not write: first look, then claim.
    let due = bridge.store.read(|db| db.next_due(&tenant, &name)).await?;
    if due.is_none_or(|due| due > now) {
        return Ok(Claimed::NothingBefore(due));
    }
    let until = later(now, work::LEASE);
    let rows = bridge.store.write(move |tx| tx.claim(&tenant, &name, now, until, limit)).await?;
    Ok(Claimed::Rows(rows))
}

/// Claims and converges one due account of the target. Returns whether there was one.
pub async fn step(bridge: &Bridge, tenant: &Tenant, target: &Target) -> Result<bool, StoreError> {
    match claim(bridge, target, 1).await? {
        Claimed::NothingBefore(_) => Ok(false),
        Claimed::Rows(rows) => {
            let found = !rows.is_empty();
            for row in rows {
                converge(bridge, tenant, target, row).await;
            }
            Ok(found)
        }
    }
}

/// Converges one claimed account. A failure of the store leaves the lease to run out; the account is then in doubt.
async fn converge(bridge: &Bridge, tenant: &Tenant, target: &Target, row: Row) {
    let _in_flight = target.lane.enter();
    let started = bridge.clock.now();
    let (resource, attempt) = (row.resource, row.attempts + 1);
    if let Err(error) = try_converge(bridge, tenant, target, row).await {
        error!(resource.key = resource, attempt, %error, "The work on an account could not be written down");
    }
    let took = bridge.clock.now().duration_since(started);
    target.lane.took(took.try_into().unwrap_or_default());
}

async fn try_converge(bridge: &Bridge, tenant: &Tenant, target: &Target, row: Row) -> Result<(), StoreError> {
    let Some(loaded) = load(bridge, row.resource).await? else {
        return Err(StoreError::NotFound("resource"));
    };
    let mut work = work::Work::new(bridge, tenant, target, loaded, row)?;
    let end = match work.reserve_missing().await? {
        Some(end) => end,
        None => work.run().await?,
    };
    work.settle(end).await
}

/// The resource as it is now, with what its mapping needs.
pub(crate) async fn load(bridge: &Bridge, resource: i64) -> Result<Option<Loaded>, StoreError> {
    bridge
        .store
        .read(|db| {
            let Some(resource) = db.resource_by_key(resource)? else { return Ok(None) };
            let groups = group_refs(db.groups_of(&resource.tenant, &resource.id)?);
            let assigned = db.assignments_of(resource.key)?;
            let assigned = assigned.into_iter().map(|assignment| (assignment.pool, assignment.value));
            Ok(Some(Loaded { groups, assigned: assigned.collect(), resource }))
        })
        .await
}

/// Waits until a blocked target may be probed, probes it, and lets calls through again if it answers.
async fn probe(bridge: &Bridge, target: &Target, probe_at: Timestamp) {
    bridge.clock.sleep_until(probe_at).await;
    target.connector.refresh_credentials().await;
    match target.connector.probe().await {
        Ok(_) => {
            target.lane.note(Contact::Answered);
            target.lane.change(Condition::recovered);
            info!("{} answers again", target.name);
            bridge.ring_about(target, AlertKind::TargetRecovered, "recovered", "the target answers again".to_owned());
        }
        Err(TargetError::Unauthorized { reason }) => {
            bridge.target_refused_credential(target, &reason);
        }
        Err(error) => {
            let now = bridge.clock.now();
            target.lane.note(Contact::Failed);
            target.lane.change(|condition| condition.probe_failed(error.retry_after(), now));
            warn!(%error, "{} does not answer yet", target.name);
        }
    }
}

impl Bridge {
    /// A target could not be reached.
    pub(crate) fn target_failed(&self, target: &Target, reason: &str) {
        let now = self.clock.now();
        target.lane.note(Contact::Failed);
        if target.lane.change(|condition| condition.failed(reason, now)) {
            warn!(target.name = %target.name, "{} cannot be reached, calls stop until it answers a probe", target.name);
            self.ring_about(target, AlertKind::TargetPaused, "target-unavailable", reason.to_owned());
            self.waiters.all_moved();
        }
    }

    /// A target asked for patience: nobody calls it for so long, leavers neither, for it would not take them.
    pub(crate) fn target_throttled(&self, target: &Target, asked: Option<Duration>) {
        let now = self.clock.now();
        target.lane.change(|condition| condition.throttled(asked, now));
        self.waiters.all_moved();
    }

    /// A target refused our credential.
    pub(crate) fn target_refused_credential(&self, target: &Target, reason: &str) {
        let now = self.clock.now();
        target.lane.note(Contact::Failed);
        if target.lane.change(|condition| condition.refused_credential(reason, now)) {
            warn!(target.name = %target.name, "{} refuses our credential and is paused", target.name);
            self.ring_about(target, AlertKind::TargetPaused, "target-unauthorized", reason.to_owned());
            self.waiters.all_moved();
        }
    }

    pub(crate) fn ring_about(&self, target: &Target, kind: AlertKind, code: &str, text: String) {
        self.alerts.ring(Alert {
            kind,
            tenant: target.tenant.clone(),
            subject: Subject::Target(target.name.clone()),
            resource: None,
            remote_id: None,
            code: code.to_owned(),
            fields: Vec::new(),
            text,
            at: self.clock.now(),
        });
    }
}
