//! What is on its way follows the configuration: accounts of a target whose mode is `hold` are held, those that it held are let
//! go with another mode, parked ones are tried again by changed rules, and nobody waits for a target that comes first no more
//! (DESIGN, section 7, "Mode").
//!
//! A mode rules at once, by the lane of its target, which claims nothing in mode `hold`. The rows follow it in slices, beside
//! everything else, and nobody waits for them: there may be a million. What a crash leaves undone, the next start does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge_store::{Account, AccountQuery, AccountState, StoreError, Tx, Want};
use jiff::Timestamp;
use tokio::sync::Notify;
use tracing::error;

use crate::bridge::{Bridge, mode_hold};
use crate::config::Mode;
use crate::landscape::{Landscape, Target};
use crate::worker::settle::Dependents;

/// Rows that one write moves.
const SLICE: usize = 500;
/// How long it rests after the store failed it.
const AFTER_STORE_ERROR: Duration = Duration::from_secs(60);

/// What is to follow the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Followers {
    /// What is held because of a target's mode, or is not and ought to be.
    pub(crate) modes: bool,
    /// What is parked.
    pub(crate) parked: bool,
    /// What waits for another target.
    pub(crate) waiting: bool,
}

/// What is still to follow.
#[derive(Default)]
pub(crate) struct Following {
    asked: Mutex<Followers>,
    bell: Notify,
}

impl Following {
    /// Has these follow the configuration that rules now.
    pub(crate) fn ask(&self, followers: Followers) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.modes |= followers.modes;
        asked.parked |= followers.parked;
        asked.waiting |= followers.waiting;
        self.bell.notify_one();
    }

    /// What was asked since the last time.
    fn take(&self) -> Followers {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether another mode has come meanwhile, which goes first.
    fn is_overtaken(&self) -> bool {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).modes
    }
}

/// Has rows follow the configuration until the bridge stops.
pub(crate) async fn run(bridge: Arc<Bridge>) {
    loop {
        let mut left = bridge.following.take();
        if left == Followers::default() {
            tokio::select! {
                () = bridge.stopped() => return,
                () = bridge.following.bell.notified() => continue,
            }
        }
        if let Err(error) = follow(&bridge, &mut left).await {
            error!(%error, "Accounts could not be moved with the configuration, which rules all the same");
            tokio::select! {
                () = bridge.stopped() => {}
                () = bridge.following.bell.notified() => {}
                () = bridge.clock.sleep(AFTER_STORE_ERROR) => {}
            }
        }
        // What failed, or was overtaken, is begun anew.
        bridge.following.ask(left);
        if bridge.is_stopping() {
            return;
        }
    }
}

/// Moves what is to follow, and takes note of what is done.
async fn follow(bridge: &Bridge, left: &mut Followers) -> Result<(), StoreError> {
    if left.modes && hold_back(bridge).await? && walk(bridge, AccountState::Held, lets_go, make_due).await? {
        left.modes = false;
    }
    if left.parked && walk(bridge, AccountState::Parked, lets_go, make_due).await? {
        left.parked = false;
    }
    if left.waiting && walk(bridge, AccountState::Waiting, |_| true, release).await? {
        left.waiting = false;
    }
    Ok(())
}

fn is_to_stop(bridge: &Bridge) -> bool {
    bridge.is_stopping() || bridge.following.is_overtaken()
}

/// Holds what is due at targets in mode `hold`. False if it did not come to its end.
async fn hold_back(bridge: &Bridge) -> Result<bool, StoreError> {
    for target in bridge.landscape().targets().filter(|target| target.settings.mode == Mode::Hold) {
        let mut is_more = true;
        while is_more {
            if is_to_stop(bridge) {
                return Ok(false);
            }
            let (tenant, name, now) = (target.tenant.clone(), target.name.clone(), bridge.clock.now());
            is_more = bridge.store.write(move |tx| hold_some(tx, &tenant, &name, now)).await?;
        }
    }
    Ok(true)
}

/// Holds the next that are due at a target. False if these were the last.
fn hold_some(tx: &mut Tx<'_>, tenant: &str, target: &str, now: Timestamp) -> Result<bool, StoreError> {
    // What is held is not due any more, so the next are the first again.
    let rows = tx.queued(tenant, target, SLICE)?;
    for row in &rows {
        let want = Want { state: AccountState::Held, reason: Some(mode_hold()), urgent: row.urgent, ..Want::due(now) };
        tx.want_row(row, &want, now)?;
    }
    Ok(rows.len() == SLICE)
}

/// What is done to a row that is in a state: by the target it belongs to, and by those of its tenant that come after others.
type Move = fn(&mut Tx<'_>, &Account, &Target, &Dependents, Timestamp) -> Result<(), StoreError>;

/// Whether accounts go on at a target.
fn lets_go(target: &Target) -> bool {
    target.settings.mode != Mode::Hold
}

/// Goes through all accounts in a state that an index knows, whatever their target, and moves those of targets that it
/// concerns. False if it did not come to its end.
async fn walk(
    bridge: &Bridge,
    state: AccountState,
    concerns: fn(&Target) -> bool,
    each: Move,
) -> Result<bool, StoreError> {
    let mut after = None;
    loop {
        let (landscape, now) = (bridge.landscape(), bridge.clock.now());
        // A million may be held at targets that are all in mode `hold`.
        if !landscape.targets().any(|target| concerns(target)) {
            return Ok(true);
        }
        if is_to_stop(bridge) {
            return Ok(false);
        }
        let page = AccountQuery { state: Some(state), after, limit: SLICE, ..AccountQuery::default() };
        let (asked, ruling) = (page.clone(), landscape.clone());
        let is_concerned = move |row: &Account| {
            let tenant = ruling.tenant(&row.tenant);
            tenant.and_then(|tenant| tenant.targets.get(&row.target)).is_some_and(|target| concerns(target))
        };
        let (is_any, end) = bridge
            .store
            .scan(move |db| {
                let rows = db.accounts_where(&asked)?;
                Ok::<_, StoreError>((rows.iter().any(is_concerned), end_of(&rows, asked.limit)))
            })
            .await?;
        after = end;
        if is_any {
            let ruling = landscape.clone();
            after = bridge.store.write(move |tx| walk_page(tx, &ruling, &page, each, now)).await?;
            landscape.targets().for_each(|target| target.lane.ring());
        }
        if after.is_none() {
            return Ok(true);
        }
    }
}

/// The last row of a page; `None` if there are no further ones.
fn end_of(rows: &[Account], limit: usize) -> Option<(i64, String)> {
    rows.last().filter(|_| rows.len() == limit).map(|row| (row.resource, row.target.clone()))
}

/// Returns the last row of the page; `None` if there are no further ones.
fn walk_page(
    tx: &mut Tx<'_>,
    landscape: &Landscape,
    page: &AccountQuery,
    each: Move,
    now: Timestamp,
) -> Result<Option<(i64, String)>, StoreError> {
    let dependents: BTreeMap<&str, Dependents> =
        landscape.tenants().map(|tenant| (tenant.name.as_str(), Dependents::of(tenant))).collect();
    let rows = tx.accounts_where(page)?;
    for row in &rows {
        let target = landscape.tenant(&row.tenant).and_then(|tenant| tenant.targets.get(&row.target));
        if let (Some(target), Some(dependents)) = (target, dependents.get(row.tenant.as_str())) {
            each(tx, row, target, dependents, now)?;
        }
    }
    Ok(end_of(&rows, page.limit))
}

/// Makes an account due, unless its target is in mode `hold`. One that is not made yet waits for those that come before it.
fn make_due(
    tx: &mut Tx<'_>,
    row: &Account,
    target: &Target,
    dependents: &Dependents,
    now: Timestamp,
) -> Result<(), StoreError> {
    if target.settings.mode == Mode::Hold {
        return Ok(());
    }
    let is_made = row.may_exist() || row.urgent;
    let waits_for = if is_made { None } else { dependents.waits(tx, row.resource, &row.target)? };
    let state = if waits_for.is_some() { AccountState::Waiting } else { AccountState::Due };
    let want = Want { state, reason: waits_for, urgent: row.urgent, release: true, ..Want::due(now) };
    tx.want_row(row, &want, now).map(drop)
}

/// Makes accounts due that wait for others which, by this configuration, come before them no more.
fn release(
    tx: &mut Tx<'_>,
    row: &Account,
    _: &Target,
    dependents: &Dependents,
    now: Timestamp,
) -> Result<(), StoreError> {
    dependents.release(tx, row.resource, now).map(drop)
}
