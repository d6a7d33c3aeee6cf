//! Whether a target may be called: a pause that a refused credential earned, and a breaker for a target that is down
//! (DESIGN, section 7, "A pause" and "Breaker").

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::later;

/// So many transport failures in a row open the breaker.
const FAILURES: u32 = 5;
/// How long the breaker stays open before its first probe; doubles up to [`PROBE_EVERY`].
const FIRST_PROBE: Duration = Duration::from_secs(5);
/// How often a paused or broken target is probed.
const PROBE_EVERY: Duration = Duration::from_secs(60);

/// What is known of a target's ability to take calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Condition {
    /// It answers. Counts the transport failures since the last answer.
    #[default]
    Works,
    /// It fails now and then, so many times in a row so far.
    Fails {
        /// Transport failures in a row.
        in_a_row: u32,
    },
    /// It refused our credential; no call is made but the probe.
    Paused {
        /// What the target said, fit for an administrator.
        reason: String,
        /// When the next probe is due.
        probe_at: Timestamp,
    },
    /// It could not be reached several times in a row; no call is made but the probe.
    Broken {
        /// The last failure, fit for an administrator.
        reason: String,
        /// When the next probe is due.
        probe_at: Timestamp,
        /// Probes that failed since the breaker opened.
        probes: u32,
    },
}

impl Condition {
    /// When a blocked target is to be probed; `None` while calls may be made.
    pub fn probe_at(&self) -> Option<Timestamp> {
        match self {
            Self::Works | Self::Fails { .. } => None,
            Self::Paused { probe_at, .. } | Self::Broken { probe_at, .. } => Some(*probe_at),
        }
    }

    /// Why no call is made, in words for an administrator; `None` while calls may be made.
    pub fn blocked(&self) -> Option<String> {
        match self {
            Self::Works | Self::Fails { .. } => None,
            Self::Paused { reason, .. } => Some(format!("paused: {reason}")),
            Self::Broken { reason, .. } => Some(format!("not reachable: {reason}")),
        }
    }

    /// After an answer of any kind: the target is there.
    pub fn answered(&mut self) {
        if matches!(self, Self::Fails { .. }) {
            *self = Self::Works;
        }
    }

    /// After a transport failure. Returns whether this one opened the breaker.
    pub fn failed(&mut self, reason: &str, now: Timestamp) -> bool {
        let in_a_row = match self {
            Self::Works => 1,
            Self::Fails { in_a_row } => *in_a_row + 1,
            Self::Paused { .. } | Self::Broken { .. } => return false,
        };
        let opens = in_a_row >= FAILURES;
        *self = if opens {
            Self::Broken { reason: reason.to_owned(), probe_at: later(now, FIRST_PROBE), probes: 0 }
        } else {
            Self::Fails { in_a_row }
        };
        opens
    }

    /// After the target refused the credential. Returns whether it was not paused before.
    pub fn refused_credential(&mut self, reason: &str, now: Timestamp) -> bool {
        let is_new = !matches!(self, Self::Paused { .. });
        *self = Self::Paused { reason: reason.to_owned(), probe_at: later(now, PROBE_EVERY) };
        is_new
    }

    /// After a probe of a blocked target failed: sets the next one.
    pub fn probe_failed(&mut self, now: Timestamp) {
        match self {
            Self::Works | Self::Fails { .. } => {}
            Self::Paused { probe_at, .. } => *probe_at = later(now, PROBE_EVERY),
            Self::Broken { probe_at, probes, .. } => {
                *probes = probes.saturating_add(1);
                let pause = FIRST_PROBE.saturating_mul(1_u32.checked_shl(*probes).unwrap_or(u32::MAX));
                *probe_at = later(now, pause.min(PROBE_EVERY));
            }
        }
    }

    /// The clock was set: the next probe is as far away as before.
    pub fn rebase(&mut self, by: SignedDuration) {
        if let Self::Paused { probe_at, .. } | Self::Broken { probe_at, .. } = self {
            *probe_at = probe_at.checked_add(by).unwrap_or(*probe_at);
        }
    }

    /// After a probe succeeded or the credential changed: calls may be made again.
    pub fn recovered(&mut self) {
        *self = Self::Works;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn five_failures_in_a_row_open_the_breaker_and_an_answer_between_them_does_not() {
        let mut condition = Condition::Works;
        for _ in 0..4 {
            assert!(!condition.failed("connection refused", NOW));
        }
        condition.answered();
        assert_eq!(condition, Condition::Works);
        for _ in 0..4 {
            assert!(!condition.failed("connection refused", NOW));
        }
        assert!(condition.failed("connection refused", NOW));
        assert_eq!(condition.probe_at(), Some(later(NOW, Duration::from_secs(5))));
        assert_eq!(condition.blocked().as_deref(), Some("not reachable: connection refused"));
    }

    #[test]
    fn probes_of_a_broken_target_grow_rarer_up_to_a_minute() {
        let mut condition = Condition::Broken { reason: "down".to_owned(), probe_at: NOW, probes: 0 };
        let pauses: Vec<i64> = (0..5)
            .map(|_| {
                condition.probe_failed(NOW);
                condition.probe_at().unwrap().as_second()
            })
            .collect();
        assert_eq!(pauses, [10, 20, 40, 60, 60]);
        condition.recovered();
        assert_eq!(condition, Condition::Works);
    }

    #[test]
    fn a_probe_is_as_far_away_as_before_when_the_clock_is_set_back() {
        let mut condition = Condition::default();
        condition.rebase(SignedDuration::from_hours(-1));
        assert_eq!(condition, Condition::Works);
        condition.refused_credential("PartnerPW is wrong", NOW);
        condition.rebase(SignedDuration::from_hours(-1));
        assert_eq!(condition.probe_at(), Some(NOW + SignedDuration::from_secs(60 - 3_600)));
    }

    #[test]
    fn a_refused_credential_pauses_once_and_is_probed_every_minute() {
        let mut condition = Condition::Works;
        assert!(condition.refused_credential("PartnerPW is wrong", NOW));
        assert!(!condition.refused_credential("PartnerPW is wrong", NOW));
        assert_eq!(condition.probe_at(), Some(later(NOW, Duration::from_secs(60))));
        assert!(!condition.failed("timeout", NOW), "a pause is not replaced by the breaker");
    }
}
