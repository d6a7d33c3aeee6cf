//! What is measured when somebody asks for the metrics: how every target is doing, how many accounts are in each state,
//! how full the pools are, how long the tokens last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bridge_store::{AccountState, StoreError};
use jiff::Timestamp;
use metrics::gauge;

use crate::bridge::Bridge;
use crate::clock::later;
use crate::operations;

/// Accounts are counted by a scan, so not at every question.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// When accounts were counted last.
#[derive(Default)]
pub(super) struct Gauges {
    counted: Mutex<Option<Timestamp>>,
}

impl Gauges {
    /// Measures.
    pub(super) async fn measure(&self, bridge: &Bridge) -> Result<(), StoreError> {
        for status in operations::targets(bridge).await? {
            let labels = [("tenant", status.tenant), ("target", status.target)];
            if let Some(is_up) = status.up {
                gauge!("scim_bridge_target_up", &labels).set(f64::from(u8::from(is_up)));
            }
            gauge!("scim_bridge_target_queue", &labels).set(status.queue as f64);
            gauge!("scim_bridge_target_in_flight", &labels).set(status.in_flight as f64);
        }
        let off_by = bridge.clock.is_off_by().unwrap_or_default();
        gauge!("scim_bridge_clock_set_seconds").set(off_by.as_secs_f64());
        if self.is_time(bridge.clock.now()) {
            count(bridge).await?;
        }
        Ok(())
    }

    /// Whether accounts are to be counted now; if so, not again soon.
    fn is_time(&self, now: Timestamp) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = counted.is_none_or(|last| later(last, COUNT_EVERY) <= now);
        if is_time {
            *counted = Some(now);
        }
        is_time
    }
}

async fn count(bridge: &Bridge) -> Result<(), StoreError> {
    let counts = bridge.store.scan(|db| db.account_counts(None)).await?;
    let counts: HashMap<_, _> =
        counts.into_iter().map(|count| ((count.tenant, count.target, count.state), count.count)).collect();
    for target in bridge.landscape().targets() {
        for state in AccountState::ALL {
            let count = counts.get(&(target.tenant.clone(), target.name.clone(), *state)).copied().unwrap_or_default();
            let labels =
                [("tenant", target.tenant.clone()), ("target", target.name.clone()), ("state", state.to_string())];
            gauge!("scim_bridge_accounts", &labels).set(count as f64);
        }
    }
    for pool in operations::pools(bridge).await? {
        let labels = [("tenant", pool.tenant), ("pool", pool.pool)];
        gauge!("scim_bridge_pool_size", &labels).set(pool.size as f64);
        gauge!("scim_bridge_pool_used", &labels).set(pool.used as f64);
        gauge!("scim_bridge_pool_free", &labels).set(pool.free as f64);
    }
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
    fn accounts_are_counted_at_most_once_a_minute() {
        let gauges = Gauges::default();
        let second = |seconds| Timestamp::from_second(seconds).unwrap();
        assert!(gauges.is_time(second(0)));
        assert!(!gauges.is_time(second(59)));
        assert!(gauges.is_time(second(60)));
    }
}
