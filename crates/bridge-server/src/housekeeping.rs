//! What has to happen without anybody asking: old entries of the journal and the audit trail go, and users who were deleted long
//! ago (`deleted_days`); a create that was rejected long ago is given up
//! (DESIGN, section 6: after 30 days `on_delete` applies), an attribute that is newly indexed gets its index; and what is to be
//! done when the wall clock is set, while the bridge runs or while it does not (section 7, "Leases").

use std::sync::Arc;
use std::time::Duration;

use bridge_store::{Rebase, ResourceState, Store, StoreError, Swept, Tx, Want};
use jiff::Timestamp;
use tracing::{error, info, warn};

use crate::bridge::Bridge;
use crate::clock::{Clock, Jump, Seen, earlier};
use crate::landscape::Landscape;
use crate::worker::Condition;
use crate::worker::memory::Memory;
use crate::worker::settle::Returns;

/// How often it is looked after.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How often the clock is looked at.
const CLOCK_EVERY: Duration = Duration::from_secs(1);
/// How often it is written down what the clock shows.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// Under which name in the table `meta` that is.
const SEEN: &str = "clock";
/// A rejected create that nobody took up for so long is treated as deleted.
const REJECTED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Resources that one write deals with.
const SLICE: usize = 100;

/// Looks after the store until the bridge stops.
pub(crate) async fn run(bridge: Arc<Bridge>) {
    loop {
        // What is removed is gone for good, even if it was the clock that was wrong.
        tidy(&bridge, bridge.clock.cautious_now()).await;
        tokio::select! {
            () = bridge.stopped() => return,
            () = bridge.clock.sleep(EVERY) => {}
        }
    }
}

/// Takes up what an earlier run has seen of the clock. To be done before anything is claimed, given up or removed.
///
/// # Errors
/// Those of the store.
pub(crate) async fn take_up_clock(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    if let Some(text) = store.read(|db| db.meta(SEEN)).await? {
        let seen: Seen = serde_json::from_str(&text)
            .map_err(|error| StoreError::Corrupt(format!("what the clock showed when the bridge ran last: {error}")))?;
        let Some(jump) = clock.take_up(&seen) else {
            if let Some(by) = clock.is_off_by() {
                warn!("The clock of this machine was set by {by:#} before the restart, and is not believed for a day");
            }
            return Ok(());
        };
        let by = jump.by.abs();
        warn!(
            "The clock of this machine is {by:#} behind the time at which the bridge ran last: it was set back. What is due \
             is moved with it"
        );
        rebase(store, jump).await?;
    }
    write_down_clock(store, clock).await
}

/// For the next run, what this one has seen of the clock.
async fn write_down_clock(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let seen = serde_json::to_string(&clock.seen()).map_err(|error| StoreError::Internal(error.to_string()))?;
    store.write(move |tx| tx.set_meta(SEEN, &seen)).await
}

/// Looks after the clock until the bridge stops.
pub(crate) async fn watch_clock(bridge: Arc<Bridge>) {
    let mut written = (bridge.clock.steady(), bridge.clock.is_off_by());
    loop {
        tokio::select! {
            () = bridge.stopped() => {}
            () = bridge.clock.sleep(CLOCK_EVERY) => {}
        }
        look_at_clock(&bridge).await;
        let (steady, off_by) = (bridge.clock.steady(), bridge.clock.is_off_by());
        if bridge.is_stopping() || steady.saturating_sub(written.0) >= SEEN_EVERY || off_by != written.1 {
            written = (steady, off_by);
            if let Err(error) = write_down_clock(&bridge.store, &bridge.clock).await {
                error!(%error, "What the clock shows could not be written down");
            }
        }
        if bridge.is_stopping() {
            return;
        }
    }
}

/// Looks whether the clock was set.
async fn look_at_clock(bridge: &Bridge) {
    let was_off = bridge.clock.is_off_by();
    if let Some(jump) = bridge.clock.compare() {
        warn!(
            "The clock of this machine was set by {:#}. What is due is moved with it; until it has gone evenly for a \
             day, or is set back, what would be given up or removed by its time is kept",
            jump.by
        );
        if let Err(error) = follow(bridge, jump).await {
            error!(%error, "Due times could not be moved with the clock");
        }
    }
    if was_off.is_some() && bridge.clock.is_off_by().is_none() {
        info!("The clock of this machine is believed again");
    }
}

/// Moves what is due with the clock.
async fn follow(bridge: &Bridge, jump: Jump) -> Result<(), StoreError> {
    rebase(&bridge.store, jump).await?;
    for target in bridge.landscape().targets() {
        target.lane.change(|condition: &mut Condition| condition.rebase(jump.by));
        target.lane.ring();
    }
    Ok(())
}

async fn rebase(store: &Store, jump: Jump) -> Result<(), StoreError> {
    let rebase = Rebase { by: jump.by, before: jump.before, now: jump.now };
    while store.write(move |tx| tx.rebase(&rebase)).await? > 0 {}
    Ok(())
}

/// Removes what is past its time. One chore that fails keeps no other from being done: it is tried again the next time.
pub async fn tidy(bridge: &Bridge, now: Timestamp) {
    let said = |outcome: Result<(), StoreError>, failure: &str| {
        if let Err(error) = outcome {
            error!(%error, "{failure}");
        }
    };
    said(prune_journal(bridge, now).await, "Old entries of the journal could not be removed");
    said(prune_audit(bridge, now).await, "Old entries of the audit trail could not be removed");
    said(give_up_rejected(bridge, now).await, "Creates that were rejected long ago could not be given up");
    said(forget_departed(bridge, now).await, "Users who were deleted long ago could not be forgotten");
    said(index(bridge).await, "Attributes that are newly indexed could not be gone through");
}

async fn prune_journal(bridge: &Bridge, now: Timestamp) -> Result<(), StoreError> {
    let before = earlier(now, days(bridge.landscape().config.store.journal_days));
    sweep(bridge, move |tx, after| tx.prune_requests(before, after)).await?;
    sweep(bridge, move |tx, after| tx.prune_calls(before, after)).await
}

/// Removes who was deleted long ago, with all that is known of them, unless a target still has an account of theirs.
async fn forget_departed(bridge: &Bridge, now: Timestamp) -> Result<(), StoreError> {
    let before = earlier(now, days(bridge.landscape().config.store.deleted_days));
    let (mut last, mut forgotten) = (None, 0);
    loop {
        let page = bridge.store.scan(move |db| db.departed(before, last, SLICE)).await?;
        let Some(end) = page.last() else { break };
        last = Some(*end);
        let finished: Vec<i64> = page.iter().filter(|found| found.is_finished).map(|found| found.key).collect();
        if finished.is_empty() {
            continue;
        }
        let forget = move |tx: &mut Tx<'_>| {
            finished.iter().try_fold(0, |count, key| tx.forget(*key).map(|is_gone| count + usize::from(is_gone)))
        };
        let gone: Result<usize, StoreError> = bridge.store.write(forget).await;
        forgotten += gone?;
    }
    if forgotten > 0 {
        info!(resources = forgotten, "Users who were deleted long ago are forgotten");
    }
    Ok(())
}

async fn prune_audit(bridge: &Bridge, now: Timestamp) -> Result<(), StoreError> {
    let landscape = bridge.landscape();
    let before = earlier(now, days(landscape.config.store.audit_days));
    for tenant in landscape.tenants() {
        let name = tenant.name.clone();
        sweep(bridge, move |tx, after| tx.prune_audit(&name, before, after)).await?;
    }
    Ok(())
}

/// Removes slice by slice what is old.
async fn sweep(
    bridge: &Bridge,
    slice: impl Fn(&mut Tx<'_>, i64) -> Result<Swept, StoreError> + Send + Sync + 'static,
) -> Result<(), StoreError> {
    let slice = Arc::new(slice);
    let mut next = Some(0);
    while let Some(after) = next {
        let slice = slice.clone();
        next = bridge.store.write(move |tx| slice(tx, after)).await?.next;
    }
    Ok(())
}

fn days(count: u32) -> Duration {
    Duration::from_hours(u64::from(count) * 24)
}

/// Goes through the resources of before, where the configuration names a further attribute to index.
async fn index(bridge: &Bridge) -> Result<(), StoreError> {
    for tenant in bridge.landscape().tenants() {
        for resource_type in tenant.catalog.resource_types() {
            let resources = bridge.store.reindex(&tenant.name, resource_type).await?;
            if resources > 0 {
                info!(tenant = %tenant.name, resources, "Attributes that are newly indexed can be searched fast now");
            }
        }
    }
    Ok(())
}

/// Treats creates that were rejected long ago as deleted.
async fn give_up_rejected(bridge: &Bridge, now: Timestamp) -> Result<(), StoreError> {
    loop {
        let landscape = bridge.landscape();
        if !bridge.store.write(move |tx| give_up_some(tx, &landscape, now)).await? {
            return Ok(());
        }
        for target in bridge.landscape().targets() {
            target.lane.ring();
        }
    }
}

/// Gives up those that were rejected first; false if there are none. Read and written in one transaction: one that is
/// posted again meanwhile is not given up.
fn give_up_some(tx: &mut Tx<'_>, landscape: &Landscape, now: Timestamp) -> Result<bool, StoreError> {
    let old = tx.resources_in_state(ResourceState::Rejected, earlier(now, REJECTED_FOR), SLICE)?;
    for resource in &old {
        tx.set_resource_state(resource.key, resource.version, ResourceState::Deleted, now)?;
        for row in tx.accounts_of(resource.key)? {
            // What was somebody's before, and could not be given back, is left as it is.
            if Memory::read(row.kept.as_ref())?.to_give_back(resource).is_some() {
                tx.drop_account(resource.key, &row.target)?;
                continue;
            }
            tx.want(resource.key, &row.target, &Want { urgent: true, ..Want::due(now) }, now)?;
        }
        if let Some(tenant) = landscape.tenant(&resource.tenant) {
            Returns::of(tenant, now).release(tx, resource.key, now)?;
        }
    }
    if !old.is_empty() {
        info!(resources = old.len(), "Creates that were rejected long ago are given up");
    }
    Ok(!old.is_empty())
}
