//! Requests that wait for their own accounts (DESIGN, section 6, step 5).
//!
//! A request subscribes to its resource, then looks at the accounts whenever a worker says that one of them moved.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Who waits for which resource.
#[derive(Default)]
pub struct Waiters {
    waiting: Mutex<HashMap<i64, Entry>>,
}

struct Entry {
    moved: Arc<Notify>,
    /// For each request, the targets whose refusal it does not tell its client: they refused before it.
    requests: Vec<BTreeSet<String>>,
}

/// A place in the waiting room; leaving it is dropping it.
pub struct Waiting<'a> {
    waiters: &'a Waiters,
    resource: i64,
    parked_before: BTreeSet<String>,
    moved: Arc<Notify>,
}

impl Waiters {
    /// Begins to wait for the accounts of the resource with this key, of which those at `parked_before` were refused before.
    /// What happened before is for the caller to read.
    pub fn wait_for(&self, resource: i64, parked_before: &BTreeSet<String>) -> Waiting<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = waiting.entry(resource).or_insert_with(|| Entry { moved: Arc::default(), requests: Vec::new() });
        entry.requests.push(parked_before.clone());
        Waiting { waiters: self, resource, parked_before: parked_before.clone(), moved: entry.moved.clone() }
    }

    /// Wakes the requests that wait for this resource: its account at `target` moved. Returns whether one of them tells its
    /// client if that target refuses.
    pub fn moved(&self, resource: i64, target: &str) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = waiting.get(&resource) else { return false };
        entry.moved.notify_waiters();
        entry.requests.iter().any(|parked_before| !parked_before.contains(target))
    }

    /// Wakes everybody: the condition of a target changed.
    pub fn all_moved(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.values().for_each(|entry| entry.moved.notify_waiters());
    }
}

impl Waiting<'_> {
    /// A future that completes when an account of the resource moves after this call.
    pub fn next_move(&self) -> impl Future<Output = ()> + use<> {
        let moved = self.moved.clone();
        let notified = moved.clone().notified_owned();
        async move {
            notified.await;
            drop(moved);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = waiting.get_mut(&self.resource) {
            if let Some(own) = entry.requests.iter().position(|other| *other == self.parked_before) {
                entry.requests.swap_remove(own);
            }
            if entry.requests.is_empty() {
                waiting.remove(&self.resource);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_move_between_looking_and_waiting_is_not_missed() {
        let waiters = Waiters::default();
        let waiting = waiters.wait_for(7, &BTreeSet::new());
        let next = waiting.next_move();
        assert!(waiters.moved(7, "pbx"));
        next.await;
    }

    #[test]
    fn nobody_waits_once_the_request_has_left() {
        let waiters = Waiters::default();
        drop(waiters.wait_for(7, &BTreeSet::new()));
        assert!(!waiters.moved(7, "pbx"));
    }

    #[test]
    fn a_refusal_is_told_by_a_request_that_came_before_it() {
        let waiters = Waiters::default();
        let later = waiters.wait_for(7, &BTreeSet::from(["pbx".to_owned()]));
        assert_eq!((waiters.moved(7, "pbx"), waiters.moved(7, "glance")), (false, true));
        let first = waiters.wait_for(7, &BTreeSet::new());
        assert!(waiters.moved(7, "pbx"));
        drop(first);
        assert!(!waiters.moved(7, "pbx"));
        drop(later);
        assert!(!waiters.moved(7, "glance"));
    }
}
