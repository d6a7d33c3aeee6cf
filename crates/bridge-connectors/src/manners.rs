//! How many calls a target takes, at once and per second (glance.md section 10, netsapiens.md section 11, crmcom.md
//! section 11).

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;

/// The turns of one target. Clones share them: two connectors of one target, as there are while the first finishes what
/// was begun before a change of the configuration, together keep to what one may do.
#[derive(Debug, Clone)]
pub struct Manners {
    max_in_flight: usize,
    rate_per_second: u32,
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) rate: Option<Arc<DefaultDirectRateLimiter>>,
}

impl Manners {
    /// So many HTTP calls under way at the same time, at least one, and so many begun per second; 0 is unlimited.
    #[must_use]
    pub fn new(max_in_flight: usize, rate_per_second: u32) -> Self {
        let limiter = |rate| Arc::new(RateLimiter::direct(Quota::per_second(rate)));
        Self {
            max_in_flight,
            rate_per_second,
            turns: Arc::new(Semaphore::new(max_in_flight.max(1))),
            rate: NonZeroU32::new(rate_per_second).map(limiter),
        }
    }

    /// HTTP calls under way at the same time.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// HTTP calls begun per second; 0 is unlimited.
    #[must_use]
    pub fn rate_per_second(&self) -> u32 {
        self.rate_per_second
    }

    /// These turns if they are as many as that, else new ones.
    #[must_use]
    pub fn or_new(&self, max_in_flight: usize, rate_per_second: u32) -> Self {
        let is_same = (self.max_in_flight, self.rate_per_second) == (max_in_flight, rate_per_second);
        if is_same { self.clone() } else { Self::new(max_in_flight, rate_per_second) }
    }
}
