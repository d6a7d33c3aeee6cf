//! When to try again after a target could not be reached (DESIGN, section 7, "Errors carry the decision").

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::later;

/// The first pause; it doubles with every further attempt.
const FIRST: Duration = Duration::from_secs(1);
/// No pause grows past this.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// A target that asks for more patience than this is asked again anyway.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// The moment of the next attempt after `attempts` failed ones (at least one).
///
/// What the target asked for (`Retry-After`) is obeyed, up to an hour. Else the pause doubles from one second to fifteen
/// minutes. `jitter` between 0 and 1 adds up to a quarter, so that accounts that failed together do not return together.
pub(super) fn next_attempt(attempts: u32, asked: Option<Duration>, now: Timestamp, jitter: f64) -> Timestamp {
    let pause = match asked {
        Some(asked) => asked.min(LONGEST_ASKED),
        None => FIRST.saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST),
    };
    later(now, pause.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 4.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(attempts: u32, asked: Option<u64>, jitter: f64) -> f64 {
        let now = Timestamp::UNIX_EPOCH;
        let next = next_attempt(attempts, asked.map(Duration::from_secs), now, jitter);
        next.duration_since(now).as_secs_f64()
    }

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour() {
        assert_eq!(pause(1, None, 0.0), 1.0);
        assert_eq!(pause(2, None, 0.0), 2.0);
        assert_eq!(pause(5, None, 0.0), 16.0);
        assert_eq!(pause(11, None, 0.0), 900.0);
        assert_eq!(pause(4_000_000_000, None, 0.0), 900.0);
    }

    #[test]
    fn a_target_that_asks_for_patience_gets_it() {
        assert_eq!(pause(1, Some(30), 0.0), 30.0);
        assert_eq!(pause(9, Some(30), 0.0), 30.0);
        assert_eq!(pause(1, Some(1_000_000), 0.0), 3600.0);
    }

    #[test]
    fn jitter_adds_up_to_a_quarter_and_never_shortens() {
        assert_eq!(pause(3, None, 1.0), 5.0);
        assert_eq!(pause(3, None, 7.0), 5.0);
        assert_eq!(pause(3, None, -1.0), 4.0);
    }
}
