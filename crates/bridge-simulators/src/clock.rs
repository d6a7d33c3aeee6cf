//! The simulators' clock: the wall clock or a fixed time, moved on by tests.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// A clock that tests move on; it decides about expiry, token life and replication lag.
#[derive(Debug)]
pub(crate) struct Clock {
    fixed: Option<Timestamp>,
    advanced_milliseconds: AtomicI64,
}

impl Clock {
    pub(crate) fn new(fixed: Option<Timestamp>) -> Self {
        Self { fixed, advanced_milliseconds: AtomicI64::new(0) }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the edge where a simulator reads the time")]
    pub(crate) fn now(&self) -> Timestamp {
        let start = self.fixed.unwrap_or_else(Timestamp::now);
        let advanced = self.advanced_milliseconds.load(Ordering::Relaxed);
        Timestamp::from_millisecond(start.as_millisecond().saturating_add(advanced)).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn advance(&self, by: Duration) {
        let milliseconds = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        // A clock that would overflow stays at its end.
        let advance = |advanced: i64| Some(advanced.saturating_add(milliseconds));
        let _ = self.advanced_milliseconds.fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_it_is_advanced() {
        let clock = Clock::new(Some(Timestamp::UNIX_EPOCH));
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().as_second(), 90);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
