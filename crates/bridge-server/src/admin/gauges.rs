//! What is measured when somebody asks for the metrics: how every target is doing, how many accounts are in each state,
//! how full the pools are, how long the tokens last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bridge_store::{AccountCount, AccountState, StoreError};
use jiff::Timestamp;
use metrics::gauge;
use tracing::warn;

use crate::bridge::Bridge;
use crate::clock::later;
use crate::operations;

/// What is counted by a scan is not counted at every question.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// Resources whose accounts one scan counts.
const SLICE: i64 = 2_000;
/// How long one question goes on counting accounts. Of very many, the next one does the rest; until then the numbers of the
/// last count stand.
const COUNT_FOR: Duration = Duration::from_secs(1);

/// When was counted last, and how far the count of accounts has come.
#[derive(Default)]
pub(super) struct Gauges {
    counted: Mutex<Option<Timestamp>>,
    tally: tokio::sync::Mutex<Option<Tally>>,
}

/// Accounts that have been counted so far.
#[derive(Default)]
struct Tally {
    counts: HashMap<(String, String, AccountState), u64>,
    after: i64,
}

impl Gauges {
    /// Measures. What cannot be measured keeps nothing else from being shown.
    pub(super) async fn measure(&self, bridge: &Bridge) {
        let said = |outcome: Result<(), StoreError>, what: &str| {
            if let Err(error) = outcome {
                warn!(%error, "{what} could not be measured");
            }
        };
        said(targets(bridge).await, "How the targets are doing");
        let off_by = bridge.clock.is_off_by().unwrap_or_default();
        gauge!("scim_bridge_clock_set_seconds").set(off_by.as_secs_f64());
        let is_time = self.is_time(bridge.clock.now());
        if is_time {
            said(pools(bridge).await, "How full the pools are");
            said(tokens(bridge).await, "How long the tokens last");
        }
        said(self.accounts(bridge, is_time).await, "How many accounts there are");
    }

    /// Whether it is to be counted now; if so, not again soon.
    fn is_time(&self, now: Timestamp) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = counted.is_none_or(|last| later(last, COUNT_EVERY) <= now);
        if is_time {
            *counted = Some(now);
        }
        is_time
    }

    /// Counts accounts, or goes on with it, and shows the numbers once all are counted.
    async fn accounts(&self, bridge: &Bridge, is_time: bool) -> Result<(), StoreError> {
        // Whoever asks while another one counts is shown what there is.
        let Ok(mut tally) = self.tally.try_lock() else { return Ok(()) };
        if tally.is_none() && !is_time {
            return Ok(());
        }
        let mut counting = tally.take().unwrap_or_default();
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < COUNT_FOR {
            let after = counting.after;
            let (slice, next) = bridge.store.scan(move |db| db.account_counts(after, SLICE)).await?;
            for AccountCount { tenant, target, state, count } in slice {
                *counting.counts.entry((tenant, target, state)).or_default() += count;
            }
            let Some(next) = next else {
                counting.show(bridge);
                return Ok(());
            };
            counting.after = next;
        }
        *tally = Some(counting);
        Ok(())
    }
}

impl Tally {
    fn show(&self, bridge: &Bridge) {
        for target in bridge.landscape().targets() {
            for state in AccountState::ALL {
                let counted = self.counts.get(&(target.tenant.clone(), target.name.clone(), *state));
                let labels =
                    [("tenant", target.tenant.clone()), ("target", target.name.clone()), ("state", state.to_string())];
                gauge!("scim_bridge_accounts", &labels).set(counted.copied().unwrap_or_default() as f64);
            }
        }
    }
}

async fn targets(bridge: &Bridge) -> Result<(), StoreError> {
    for status in operations::targets(bridge).await? {
        let labels = [("tenant", status.tenant), ("target", status.target)];
        if let Some(is_up) = status.up {
            gauge!("scim_bridge_target_up", &labels).set(f64::from(u8::from(is_up)));
        }
        gauge!("scim_bridge_target_queue", &labels).set(status.queue as f64);
        gauge!("scim_bridge_target_in_flight", &labels).set(status.in_flight as f64);
    }
    Ok(())
}

async fn pools(bridge: &Bridge) -> Result<(), StoreError> {
    for pool in operations::pools(bridge).await? {
        let labels = [("tenant", pool.tenant), ("pool", pool.pool)];
        gauge!("scim_bridge_pool_size", &labels).set(pool.size as f64);
        gauge!("scim_bridge_pool_used", &labels).set(pool.used as f64);
        gauge!("scim_bridge_pool_free", &labels).set(pool.free as f64);
    }
    Ok(())
}

async fn tokens(bridge: &Bridge) -> Result<(), StoreError> {
    let now = bridge.clock.now();
    for credential in bridge.store.scan(|db| db.credentials(None)).await? {
        let Some(end) = credential.expires.filter(|_| credential.subject.is_none()) else { continue };
        let left = if credential.revoked.is_some() { 0 } else { end.duration_since(now).as_secs().max(0) };
        let labels =
            [("tenant", credential.tenant), ("connection", credential.connection), ("token", credential.selector)];
        gauge!("scim_bridge_token_seconds_left", &labels).set(left as f64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_scan_is_counted_at_most_once_a_minute() {
        let gauges = Gauges::default();
        let second = |seconds| Timestamp::from_second(seconds).unwrap();
        assert!(gauges.is_time(second(0)));
        assert!(!gauges.is_time(second(59)));
        assert!(gauges.is_time(second(60)));
    }
}
