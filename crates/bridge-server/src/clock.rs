//! The one place that reads the time. Everything else takes the time as an argument, so that a test can say what
//! tomorrow brings.
//!
//! There are two times: that of the wall, which a person or a time server may set, and the steady one, which only counts. When
//! they part (DESIGN, section 7, "Leases"), nobody can say which is right: work that is due goes by the wall, and what
//! destroys goes by whichever is behind, until the wall has been trusted again. The steady time ends with the process. What is
//! known of the next one is only what was written down ([`Seen`]): a wall that shows less than it did then was set back; one
//! that was set forward while nothing ran looks like time that has passed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The two times have parted when they differ by more than this.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);
/// A wall clock that has gone evenly for so long since it was set is believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// After so long the two are compared anew: a time server may slow the wall down or speed it up by a little.
const COMPARED_OVER: Duration = Duration::from_secs(60 * 60);

/// Where the bridge reads the time: the system's clock, or one that a test moves by hand.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    agreement: Arc<Mutex<Agreement>>,
}

#[derive(Clone, Debug)]
enum Source {
    System(Instant),
    Hand(Arc<watch::Sender<Reading>>),
}

/// Both times at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    wall: Timestamp,
    /// Since the clock was made.
    steady: Duration,
}

/// The wall clock was set while the bridge ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// By how much: forward if positive.
    pub by: SignedDuration,
    /// What it would show now if it had not been set.
    pub before: Timestamp,
    /// What it shows now.
    pub now: Timestamp,
}

/// What one process leaves for the next to know of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it showed.
    pub wall: Timestamp,
    /// By how much it was set without being believed yet.
    pub set_by: SignedDuration,
}

/// What is known of how the two times agree.
#[derive(Debug)]
struct Agreement {
    /// Where they were compared last and found to agree, or to have parted.
    reference: Reading,
    /// By how much the wall has been set since it was believed last.
    set_by: SignedDuration,
    /// When it was set last, by the steady time.
    set_at: Duration,
}

impl Clock {
    /// The clock of the machine.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock for everyone else")]
    pub fn system() -> Self {
        Self::of(Source::System(Instant::now()), Reading { wall: Timestamp::now(), steady: Duration::ZERO })
    }

    /// A clock that stands at `now` until [`Clock::advance`] moves it.
    pub fn hand_set(now: Timestamp) -> Self {
        let reading = Reading { wall: now, steady: Duration::ZERO };
        Self::of(Source::Hand(Arc::new(watch::Sender::new(reading))), reading)
    }

    fn of(source: Source, reading: Reading) -> Self {
        let agreement = Agreement { reference: reading, set_by: SignedDuration::ZERO, set_at: Duration::ZERO };
        Self { source, agreement: Arc::new(Mutex::new(agreement)) }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.read().wall
    }

    /// The steady time: since the clock was made, whatever the wall is set to.
    pub fn steady(&self) -> Duration {
        match &self.source {
            Source::System(started) => started.elapsed(),
            Source::Hand(hand) => hand.borrow().steady,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock for everyone else")]
    fn read(&self) -> Reading {
        match &self.source {
            Source::System(_) => Reading { wall: Timestamp::now(), steady: self.steady() },
            Source::Hand(hand) => *hand.borrow(),
        }
    }

    /// The present moment for what cannot be undone: while the wall clock was set forward and is not believed yet, the time
    /// that it would show without that.
    pub fn cautious_now(&self) -> Timestamp {
        let reading = self.read();
        let agreement = self.agreement();
        let ahead = agreement.set_by + agreement.parted(reading).unwrap_or_default();
        reading.wall.checked_sub(ahead.max(SignedDuration::ZERO)).unwrap_or(Timestamp::MIN)
    }

    /// By how much the wall clock was set without being believed yet.
    pub fn is_off_by(&self) -> Option<SignedDuration> {
        Some(self.agreement().set_by).filter(|by| !by.is_zero())
    }

    /// Compares the two times. `Some` when the wall clock has been set since the last comparison.
    pub fn compare(&self) -> Option<Jump> {
        let reading = self.read();
        self.agreement().compare(reading)
    }

    /// What the next process has to know, should this one end now.
    pub fn seen(&self) -> Seen {
        Seen { wall: self.now(), set_by: self.agreement().set_by }
    }

    /// Takes up what an earlier process has seen: what it did not believe is not believed yet. `Some` when the wall shows
    /// less than it did then: it was set back by so much at least, how much more nobody knows.
    pub fn take_up(&self, seen: &Seen) -> Option<Jump> {
        let reading = self.read();
        let jump = Some(reading.wall.duration_since(seen.wall)).filter(|by| *by < -TOLERANCE);
        self.agreement().put_off_by(seen.set_by + jump.unwrap_or_default(), reading.steady);
        jump.map(|by| Jump { by, before: seen.wall, now: reading.wall })
    }

    fn agreement(&self) -> MutexGuard<'_, Agreement> {
        self.agreement.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves a hand-set clock forward and wakes whoever sleeps until a moment that has now come. Does nothing to the
    /// clock of the machine.
    pub fn advance(&self, by: Duration) {
        if let Source::Hand(hand) = &self.source {
            hand.send_modify(|hands| {
                hands.wall = later(hands.wall, by);
                hands.steady += by;
            });
        }
    }

    /// Sets the wall of a hand-set clock, as a person or a time server does. Does nothing to the clock of the machine.
    pub fn set_wall(&self, by: SignedDuration) {
        if let Source::Hand(hand) = &self.source {
            hand.send_modify(|hands| hands.wall = hands.wall.checked_add(by).unwrap_or(hands.wall));
        }
    }

    /// Returns once `until` has come.
    pub async fn sleep_until(&self, until: Timestamp) {
        match &self.source {
            Source::System(_) => {
                let wait = until.duration_since(self.now());
                tokio::time::sleep(wait.try_into().unwrap_or(Duration::ZERO)).await;
            }
            Source::Hand(hand) => {
                let mut moves = hand.subscribe();
                // The sender lives in `self`, so waiting can only end by the time having come.
                let _ = moves.wait_for(|hands| hands.wall >= until).await;
            }
        }
    }

    /// Returns after this time, whatever the wall clock is set to meanwhile.
    pub async fn sleep(&self, time: Duration) {
        match &self.source {
            Source::System(_) => tokio::time::sleep(time).await,
            Source::Hand(hand) => {
                let until = self.read().steady + time;
                let mut moves = hand.subscribe();
                // The sender lives in `self`, so waiting can only end by the time having come.
                let _ = moves.wait_for(|hands| hands.steady >= until).await;
            }
        }
    }
}

impl Agreement {
    /// By how much the wall has been set since the reference, if they have parted.
    fn parted(&self, reading: Reading) -> Option<SignedDuration> {
        let wall = reading.wall.duration_since(self.reference.wall);
        let steady = SignedDuration::try_from(reading.steady.saturating_sub(self.reference.steady)).ok()?;
        Some(wall - steady).filter(|by| by.abs() > TOLERANCE)
    }

    /// The wall is off by so much, as of now.
    fn put_off_by(&mut self, by: SignedDuration, now: Duration) {
        self.set_by = if by.abs() <= TOLERANCE { SignedDuration::ZERO } else { by };
        self.set_at = now;
    }

    fn compare(&mut self, reading: Reading) -> Option<Jump> {
        let jump = self.parted(reading);
        if let Some(by) = jump {
            self.put_off_by(self.set_by + by, reading.steady);
        } else if reading.steady.saturating_sub(self.set_at) >= BELIEVED_AFTER {
            self.set_by = SignedDuration::ZERO;
        }
        if jump.is_some() || reading.steady.saturating_sub(self.reference.steady) >= COMPARED_OVER {
            self.reference = reading;
        }
        let before = |by| reading.wall.checked_sub(by).unwrap_or(reading.wall);
        jump.map(|by| Jump { by, before: before(by), now: reading.wall })
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

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    #[test]
    fn a_wall_clock_that_is_set_is_noticed_once_and_slow_drift_never() {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        for _ in 0..100 {
            clock.advance(Duration::from_secs(600));
            clock.set_wall(SignedDuration::from_millis(300));
            assert_eq!(clock.compare(), None);
        }
        clock.advance(Duration::from_secs(1));
        let before = clock.now();
        clock.set_wall(HOUR);
        // Less than two seconds have been added by the drift since the two were compared anew.
        let jump = clock.compare().unwrap();
        assert!((jump.by - HOUR).abs() < SignedDuration::from_secs(3), "{jump:?}");
        assert!(jump.before.duration_since(before).abs() < SignedDuration::from_secs(3));
        assert_eq!(jump.now, clock.now());
        assert_eq!(clock.compare(), None);
        assert!(clock.is_off_by().is_some());
    }

    #[test]
    fn what_destroys_goes_by_the_time_that_is_behind_until_the_wall_is_believed() {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let check = |expected: SignedDuration| {
            assert_eq!(clock.now().duration_since(clock.cautious_now()), expected);
        };
        check(SignedDuration::ZERO);
        clock.set_wall(HOUR * 24 * 40);
        check(HOUR * 24 * 40);
        assert!(clock.compare().is_some());
        check(HOUR * 24 * 40);
        clock.advance(Duration::from_secs(23 * 3600));
        assert_eq!(clock.compare(), None);
        check(HOUR * 24 * 40);
        // Set again, the day begins again.
        clock.set_wall(HOUR);
        clock.compare().unwrap();
        clock.advance(Duration::from_secs(23 * 3600));
        assert_eq!(clock.compare(), None);
        check(HOUR * 24 * 40 + HOUR);
        clock.advance(Duration::from_secs(3600));
        assert_eq!((clock.compare(), clock.is_off_by()), (None, None));
        check(SignedDuration::ZERO);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_to_where_it_was_is_believed_at_once() {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        clock.set_wall(HOUR);
        clock.compare().unwrap();
        clock.set_wall(-HOUR);
        assert_eq!(clock.compare().unwrap().by, -HOUR);
        assert_eq!(clock.is_off_by(), None);
        clock.set_wall(-HOUR);
        assert_eq!(clock.cautious_now(), clock.now(), "nothing has to be held when the wall is behind");
    }

    #[test]
    fn a_clock_that_was_set_back_while_nothing_ran_is_noticed_and_what_was_not_believed_is_not_believed_yet() {
        let check = |shows: SignedDuration, set_by: SignedDuration, jump: Option<SignedDuration>, off_by| {
            let clock = Clock::hand_set(Timestamp::UNIX_EPOCH + shows);
            let seen = Seen { wall: Timestamp::UNIX_EPOCH, set_by };
            assert_eq!(clock.take_up(&seen).map(|jump| jump.by), jump, "{shows} {set_by}");
            assert_eq!(clock.is_off_by(), off_by, "{shows} {set_by}");
            assert_eq!(clock.compare(), None, "it is noticed once");
        };
        let (none, minute) = (SignedDuration::ZERO, SignedDuration::from_secs(60));
        check(none, none, None, None);
        check(-minute, none, None, None);
        check(-HOUR, none, Some(-HOUR), Some(-HOUR));
        check(HOUR * 24 * 40, none, None, None);
        check(HOUR, HOUR * 24, None, Some(HOUR * 24));
        // Set forward by a day, put right while nothing ran, for an hour.
        check(-HOUR * 23, HOUR * 24, Some(-HOUR * 23), Some(HOUR));
        check(-HOUR * 24, HOUR * 24, Some(-HOUR * 24), None);
    }

    #[test]
    fn time_does_not_run_over_its_ends() {
        assert_eq!(later(Timestamp::MAX, Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(earlier(Timestamp::MIN, Duration::from_secs(1)), Timestamp::MIN);
    }
}
