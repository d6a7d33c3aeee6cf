//! Requests that wait for their own accounts (DESIGN, section 6, step 5).
//!
//! A request subscribes to its resource, then looks at the accounts whenever a worker says that one of them moved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Who waits for which resource.
#[derive(Default)]
pub struct Waiters {
    waiting: Mutex<HashMap<i64, Entry>>,
}

struct Entry {
    moved: Arc<Notify>,
    requests: usize,
}

/// A place in the waiting room; leaving it is dropping it.
pub struct Waiting<'a> {
    waiters: &'a Waiters,
    resource: i64,
    moved: Arc<Notify>,
}

impl Waiters {
    /// Begins to wait for the accounts of the resource with this key. What happened before is for the caller to read.
    pub fn wait_for(&self, resource: i64) -> Waiting<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = waiting.entry(resource).or_insert_with(|| Entry { moved: Arc::default(), requests: 0 });
        entry.requests += 1;
        Waiting { waiters: self, resource, moved: entry.moved.clone() }
    }

    /// Wakes the requests that wait for this resource. Returns whether there is one.
    pub fn moved(&self, resource: i64) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.get(&resource) {
            Some(entry) => {
                entry.moved.notify_waiters();
                true
            }
            None => false,
        }
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
            entry.requests -= 1;
            if entry.requests == 0 {
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
        let waiting = waiters.wait_for(7);
        let next = waiting.next_move();
        assert!(waiters.moved(7));
        next.await;
    }

    #[test]
    fn nobody_waits_once_the_request_has_left() {
        let waiters = Waiters::default();
        drop(waiters.wait_for(7));
        assert!(!waiters.moved(7));
    }
}
