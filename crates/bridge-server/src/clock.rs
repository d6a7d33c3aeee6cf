//! The one place that reads the time. Everything else takes the time as an argument, so that a test can say what
//! tomorrow brings.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Where the bridge reads the time: the system's clock, or one that a test moves by hand.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    Hand(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self { source: Source::System }
    }

    /// A clock that stands at `now` until [`Clock::advance`] moves it.
    pub fn hand_set(now: Timestamp) -> Self {
        Self { source: Source::Hand(Arc::new(watch::Sender::new(now))) }
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock for everyone else")]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System => Timestamp::now(),
            Source::Hand(hand) => *hand.borrow(),
        }
    }

    /// Moves a hand-set clock forward and wakes whoever sleeps until a moment that has now come. Does nothing to the
    /// clock of the machine.
    pub fn advance(&self, by: Duration) {
        if let Source::Hand(hand) = &self.source {
            hand.send_modify(|now| *now = later(*now, by));
        }
    }

    /// Returns once `until` has come.
    pub async fn sleep_until(&self, until: Timestamp) {
        match &self.source {
            Source::System => {
                let wait = until.duration_since(self.now());
                tokio::time::sleep(wait.try_into().unwrap_or(Duration::ZERO)).await;
            }
            Source::Hand(hand) => {
                let mut moves = hand.subscribe();
                // The sender lives in `self`, so waiting can only end by the time having come.
                let _ = moves.wait_for(|now| *now >= until).await;
            }
        }
    }
}

/// `moment` plus `by`, never past the end of time.
pub fn later(moment: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| moment.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// `moment` minus `by`, never before the beginning of time.
pub fn earlier(moment: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| moment.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_hand_passes_its_moment() {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let until = later(clock.now(), Duration::from_secs(60));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(until).await }
        });
        clock.advance(Duration::from_secs(59));
        assert!(clock.now() < until);
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), until);
    }

    #[test]
    fn time_does_not_run_over_its_ends() {
        assert_eq!(later(Timestamp::MAX, Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(earlier(Timestamp::MIN, Duration::from_secs(1)), Timestamp::MIN);
    }
}
