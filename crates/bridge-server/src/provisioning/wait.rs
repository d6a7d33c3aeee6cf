//! A request waits for its own accounts (DESIGN, section 6, step 5), and what their refusal means for its answer (step 6).

use std::collections::BTreeSet;
use std::time::Duration;

use bridge_store::{Account as Row, AccountState, Reason, StoreError};

use super::Received;
use crate::bridge::Bridge;
use crate::error::Refusal;
use crate::landscape::Tenant;
use crate::worker::{VERIFYING, duty};

/// What the waiting came to.
#[derive(Debug)]
pub(super) enum Waited {
    /// Every account is right, or somebody is still working on it: nothing speaks against 2xx.
    Answerable,
    /// A required target refused for good.
    Refused(Refusal),
}

impl Received {
    /// How long its answer waits for the accounts.
    pub(super) fn patience(&self, bridge: &Bridge) -> Duration {
        if self.waits { bridge.landscape().config.server.wait } else { Duration::ZERO }
    }
}

/// Waits until the accounts of a resource have come to an end, up to `patience`. Accounts at `parked_before` were refused
/// before this write; they do not speak against it.
pub(super) async fn for_accounts(
    bridge: &Bridge,
    tenant: &Tenant,
    resource: i64,
    parked_before: &BTreeSet<String>,
    patience: Duration,
) -> Result<Waited, StoreError> {
    if patience.is_zero() {
        return Ok(Waited::Answerable);
    }
    let waiting = bridge.waiters.wait_for(resource, parked_before);
    let deadline = tokio::time::Instant::now() + patience;
    let mut is_late = false;
    loop {
        let moved = waiting.next_move();
        let rows = bridge.store.read(|db| db.accounts_of(resource)).await?;
        if let Some(refusal) = rows.iter().find_map(|row| refused(tenant, row, parked_before)) {
            return Ok(Waited::Refused(refusal));
        }
        let mut is_worth_it = false;
        for row in rows.iter().filter(|row| is_open(row)) {
            is_worth_it |= is_worth_waiting(bridge, tenant, row, &rows, patience)
                && is_queue_short(bridge, tenant, row, patience).await?;
        }
        if !is_worth_it || is_late {
            return Ok(Waited::Answerable);
        }
        // Whatever came at the last moment still counts.
        is_late = tokio::time::timeout_at(deadline, moved).await.is_err();
    }
}

/// Whether work on the account goes on.
fn is_open(row: &Row) -> bool {
    match row.state {
        AccountState::Due | AccountState::Waiting => {
            row.reason.as_ref().is_none_or(|reason| reason.code != VERIFYING && reason.code != duty::WAITING_FOR_GROUP)
        }
        AccountState::Settled
        | AccountState::Parked
        | AccountState::Held
        | AccountState::Task
        | AccountState::HandedOver
        | AccountState::OutOfScope => false,
    }
}

/// Whether the account can be right soon. Nobody waits for a target that is paused, broken or held, nor for one behind
/// such a one.
fn is_worth_waiting(bridge: &Bridge, tenant: &Tenant, row: &Row, rows: &[Row], patience: Duration) -> bool {
    let Some(target) = tenant.targets.get(&row.target) else { return false };
    let latest = crate::clock::later(bridge.clock.now(), patience);
    if !target.lane.condition().takes_calls_by(latest) || !target.sends() {
        return false;
    }
    if row.state == AccountState::Waiting {
        let open_before = rows.iter().filter(|other| target.after.contains(&other.target) && is_open(other));
        return open_before.into_iter().any(|other| is_worth_waiting(bridge, tenant, other, rows, patience));
    }
    // A retry that is further away than the patience will not come in time.
    if row.lease.is_none() && row.due_at > latest {
        return false;
    }
    true
}

/// Whether the accounts before this one take no longer than the patience.
async fn is_queue_short(bridge: &Bridge, tenant: &Tenant, row: &Row, patience: Duration) -> Result<bool, StoreError> {
    let Some(target) = tenant.targets.get(&row.target) else { return Ok(false) };
    let at_once = target.settings.accounts_at_once();
    if row.lease.is_some() || target.lane.in_flight() < at_once {
        return Ok(true);
    }
    let now = bridge.clock.now();
    let queue = bridge.store.read(|db| db.queue_length(&tenant.name, &target.name, now)).await?;
    Ok(target.lane.time_for(queue, at_once) <= patience)
}

/// The refusal of a required target, if the row is one.
fn refused(tenant: &Tenant, row: &Row, parked_before: &BTreeSet<String>) -> Option<Refusal> {
    let target = tenant.targets.get(&row.target).filter(|target| target.settings.required)?;
    if row.state != AccountState::Parked || row.applied < row.wanted || parked_before.contains(&row.target) {
        return None;
    }
    let reason = row.reason.as_ref().filter(|reason| duty::is_refusal(reason))?;
    Some(refusal(&target.name, reason))
}

fn refusal(target: &str, reason: &Reason) -> Refusal {
    Refusal {
        conflict: reason.code == "conflict",
        target: target.to_owned(),
        field: reason.field.clone(),
        attribute: reason.attribute.clone(),
        code: reason.code.clone(),
        cause: reason.text.clone(),
        retry_helps: reason.retry_helps,
    }
}
