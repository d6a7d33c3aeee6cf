//! What a target's worker and the requests that wait for it share: its condition, its queue, a bell.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bridge_connectors::Manners;
use tokio::sync::Notify;

use super::condition::Condition;

/// One target's lane. Survives a reload of the configuration.
#[derive(Default)]
pub struct Lane {
    bell: Notify,
    condition: Mutex<Condition>,
    /// What the last contact with the target showed; nothing before the first.
    contact: Mutex<Option<Contact>>,
    in_flight: AtomicUsize,
    /// The turns of whoever calls the target, before and after a reload.
    manners: Mutex<Option<Manners>>,
    /// Moving average of how long one account takes, in microseconds.
    pace: AtomicU64,
}

/// What a contact with a target showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// It answered us.
    Answered,
    /// It could not be reached, or did not accept our credential.
    Failed,
}

impl Lane {
    /// Tells the worker that there may be something to do.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Completes when somebody rang since the last time.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// The condition of the target at this moment.
    pub fn condition(&self) -> Condition {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the condition.
    pub fn change<T>(&self, change: impl FnOnce(&mut Condition) -> T) -> T {
        change(&mut self.condition.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the last contact showed; `None` before the first.
    pub fn last_contact(&self) -> Option<Contact> {
        *self.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a contact.
    pub fn note(&self, contact: Contact) {
        *self.contact.lock().unwrap_or_else(PoisonError::into_inner) = Some(contact);
    }

    /// The turns of the target: those that there were before, if they are to be as many as they were.
    pub fn manners(&self, max_in_flight: usize, rate_per_second: u32) -> Manners {
        let mut manners = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = match &*manners {
            Some(before) => before.or_new(max_in_flight, rate_per_second),
            None => Manners::new(max_in_flight, rate_per_second),
        };
        manners.insert(turns).clone()
    }

    /// Counts an account that is being worked on, until the guard is dropped.
    pub fn enter(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { lane: self }
    }

    /// Accounts being worked on.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes note of how long one account took.
    pub fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let average = match self.pace.load(Ordering::Relaxed) {
            0 => micros,
            before => before - before / 8 + micros / 8,
        };
        self.pace.store(average, Ordering::Relaxed);
    }

    /// How long a queue of this length takes at the pace seen so far.
    pub fn time_for(&self, queue: u64, at_once: usize) -> Duration {
        let at_once = u64::try_from(at_once.max(1)).unwrap_or(u64::MAX);
        Duration::from_micros(self.pace.load(Ordering::Relaxed).saturating_mul(queue / at_once))
    }
}

/// An account being worked on.
pub struct InFlight<'a> {
    lane: &'a Lane,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.lane.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_measured_by_the_pace_seen_so_far() {
        let lane = Lane::default();
        assert_eq!(lane.time_for(100, 2), Duration::ZERO, "nothing is known yet");
        lane.took(Duration::from_millis(200));
        assert_eq!(lane.time_for(100, 2), Duration::from_secs(10));
        assert_eq!(lane.time_for(1, 2), Duration::ZERO);
    }

    #[test]
    fn accounts_in_flight_are_counted_until_they_are_done() {
        let lane = Lane::default();
        let first = lane.enter();
        let second = lane.enter();
        assert_eq!(lane.in_flight(), 2);
        drop((first, second));
        assert_eq!(lane.in_flight(), 0);
    }
}
