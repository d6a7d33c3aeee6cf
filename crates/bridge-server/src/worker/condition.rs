//! Whether a target may be called: a pause that a refused credential earned, and a breaker for a target that is down
//! (DESIGN, section 7, "A pause" and "Breaker").

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backoff::LONGEST_ASKED;
use crate::clock::later;

/// So many transport failures in a row open the breaker.
const FAILURES: u32 = 5;
/// How long the breaker stays open before its first probe; doubles up to [`PROBE_EVERY`].
const FIRST_PROBE: Duration = Duration::from_secs(5);
/// How often a paused or broken target is probed.
const PROBE_EVERY: Duration = Duration::from_secs(60);

/// How long a target rests that asks for patience without saying how much; doubles up to [`LONGEST_REST`].
const FIRST_REST: Duration = Duration::from_secs(1);
/// No rest that a target did not ask for grows past this.
const LONGEST_REST: Duration = Duration::from_secs(60);

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
    /// It takes no more calls for a while: none is made, whatever is due, for calls that come nevertheless lengthen a block
    /// (netsapiens.md section 11).
    Resting {
        /// When calls may be made again.
        until: Timestamp,
        /// How long it rests this time.
        pause: Duration,
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
    /// When a blocked target is to be probed; `None` where no probe is needed.
    pub fn probe_at(&self) -> Option<Timestamp> {
        match self {
            Self::Works | Self::Fails { .. } | Self::Resting { .. } => None,
            Self::Paused { probe_at, .. } | Self::Broken { probe_at, .. } => Some(*probe_at),
        }
    }

    /// Until when a target rests that asked for it; `None` if it does not, or no longer.
    pub fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Resting { until, .. } => Some(*until).filter(|until| *until > now),
            Self::Works | Self::Fails { .. } | Self::Paused { .. } | Self::Broken { .. } => None,
        }
    }

    /// Whether calls can be made again by this moment, as far as is known.
    pub fn takes_calls_by(&self, moment: Timestamp) -> bool {
        match self {
            Self::Works | Self::Fails { .. } => true,
            Self::Resting { until, .. } => *until <= moment,
            Self::Paused { .. } | Self::Broken { .. } => false,
        }
    }

    /// Why no call is made now, in words for an administrator; `None` while calls may be made.
    pub fn blocked(&self, now: Timestamp) -> Option<String> {
        match self {
            Self::Works | Self::Fails { .. } => None,
            Self::Resting { .. } => {
                self.rests_until(now).map(|until| format!("resting until {until:.0}: it takes no more calls"))
            }
            Self::Paused { reason, .. } => Some(format!("paused: {reason}")),
            Self::Broken { reason, .. } => Some(format!("not reachable: {reason}")),
        }
    }

    /// After an answer of any kind: the target is there. What it asked for before holds.
    pub fn answered(&mut self, now: Timestamp) {
        match self {
            Self::Fails { .. } => *self = Self::Works,
            Self::Resting { until, .. } if *until <= now => *self = Self::Works,
            Self::Works | Self::Resting { .. } | Self::Paused { .. } | Self::Broken { .. } => {}
        }
    }

    /// After the target asked for patience, perhaps without saying how much.
    pub fn throttled(&mut self, asked: Option<Duration>, now: Timestamp) {
        let (until, pause) = match self {
            Self::Paused { .. } | Self::Broken { .. } => return,
            Self::Works | Self::Fails { .. } => (now, Duration::ZERO),
            Self::Resting { until, pause } => (*until, *pause),
        };
        let pause = match asked {
            Some(asked) => asked.min(LONGEST_ASKED),
            // What was under way when the rest began says nothing new.
            None if until > now => return,
            None => pause.saturating_mul(2).clamp(FIRST_REST, LONGEST_REST),
        };
        *self = Self::Resting { until: later(now, pause).max(until), pause };
    }

    /// After a transport failure. Returns whether this one opened the breaker.
    pub fn failed(&mut self, reason: &str, now: Timestamp) -> bool {
        let in_a_row = match self {
            Self::Resting { until, .. } if *until > now => return false,
            Self::Works | Self::Resting { .. } => 1,
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

    /// After a probe of a blocked target failed: sets the next one, not before the target wants to be asked again.
    pub fn probe_failed(&mut self, asked: Option<Duration>, now: Timestamp) {
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        match self {
            Self::Works | Self::Fails { .. } | Self::Resting { .. } => {}
            Self::Paused { probe_at, .. } => *probe_at = later(now, PROBE_EVERY.max(asked)),
            Self::Broken { probe_at, probes, .. } => {
                *probes = probes.saturating_add(1);
                let pause = FIRST_PROBE.saturating_mul(1_u32.checked_shl(*probes).unwrap_or(u32::MAX));
                *probe_at = later(now, pause.min(PROBE_EVERY).max(asked));
            }
        }
    }

    /// The clock was set: the next probe, or the end of a rest, is as far away as before.
    pub fn rebase(&mut self, by: SignedDuration) {
        if let Self::Paused { probe_at: next, .. }
        | Self::Broken { probe_at: next, .. }
        | Self::Resting { until: next, .. } = self
        {
            *next = next.checked_add(by).unwrap_or(*next);
        }
    }

    /// After a probe succeeded or the credential changed: calls may be made again, unless the target asked for patience.
    pub fn recovered(&mut self) {
        if !matches!(self, Self::Resting { .. }) {
            *self = Self::Works;
        }
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
        condition.answered(NOW);
        assert_eq!(condition, Condition::Works);
        for _ in 0..4 {
            assert!(!condition.failed("connection refused", NOW));
        }
        assert!(condition.failed("connection refused", NOW));
        assert_eq!(condition.probe_at(), Some(later(NOW, Duration::from_secs(5))));
        assert_eq!(condition.blocked(NOW).as_deref(), Some("not reachable: connection refused"));
    }

    #[test]
    fn probes_of_a_broken_target_grow_rarer_up_to_a_minute() {
        let mut condition = Condition::Broken { reason: "down".to_owned(), probe_at: NOW, probes: 0 };
        let pauses: Vec<i64> = (0..5)
            .map(|_| {
                condition.probe_failed(None, NOW);
                condition.probe_at().unwrap().as_second()
            })
            .collect();
        assert_eq!(pauses, [10, 20, 40, 60, 60]);
        condition.recovered();
        assert_eq!(condition, Condition::Works);
    }

    #[test]
    fn a_probe_that_is_asked_for_patience_is_repeated_no_sooner() {
        let mut paused = Condition::Works;
        paused.refused_credential("HTTP 403 for every call", NOW);
        let broken = Condition::Broken { reason: "down".to_owned(), probe_at: NOW, probes: 0 };
        for mut condition in [paused, broken] {
            for (asked, next) in [(300, 300), (1_000_000, 3_600)] {
                condition.probe_failed(Some(Duration::from_secs(asked)), NOW);
                assert_eq!(condition.probe_at(), Some(later(NOW, Duration::from_secs(next))), "{condition:?}");
            }
        }
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

    #[test]
    fn a_target_rests_as_long_as_it_asks_and_no_answer_or_reload_cuts_that_short() {
        let rest = |condition: &Condition| condition.rests_until(NOW).map(|until| until.as_second());
        let mut condition = Condition::Works;
        condition.throttled(Some(Duration::from_secs(300)), NOW);
        condition.throttled(Some(Duration::from_secs(10)), NOW);
        condition.throttled(None, NOW);
        condition.answered(NOW);
        condition.recovered();
        assert!(!condition.failed("timeout", NOW), "what was under way says nothing about after the rest");
        assert_eq!(rest(&condition), Some(300));
        assert!(!condition.takes_calls_by(NOW) && condition.takes_calls_by(later(NOW, Duration::from_secs(300))));
        assert_eq!(condition.probe_at(), None);
        condition.rebase(SignedDuration::from_hours(1));
        assert_eq!(rest(&condition), Some(3_900));
        condition.answered(later(NOW, Duration::from_secs(3_900)));
        assert_eq!(condition, Condition::Works);
        condition.throttled(Some(Duration::MAX), NOW);
        assert_eq!(rest(&condition), Some(3_600), "nobody is silenced for ever");
    }

    #[test]
    fn a_target_that_does_not_say_for_how_long_rests_longer_each_time_up_to_a_minute() {
        let mut condition = Condition::Works;
        let mut now = NOW;
        let pauses: Vec<i64> = (0..8)
            .map(|_| {
                condition.throttled(None, now);
                condition.throttled(None, now);
                let until = condition.rests_until(now).unwrap();
                let pause = until.duration_since(now).as_secs();
                now = until;
                pause
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        condition.answered(now);
        assert_eq!(condition.blocked(now), None);
    }
}
