//! How fast a connection may send requests: 429 beyond that (RFC 6585 section 4).
//!
//! Identity providers send up to some 25 requests a second (`idp/entra.md` section 1.3). The limit is far above that: it is
//! there for the client that sends without end, and would take the bridge away from every other tenant. Every request counts,
//! a leaver's too: whether a PATCH deactivates somebody stands in its body, which nobody has read yet, and what is answered
//! 429 is not lost, because identity providers send it again (`idp/okta.md` section 2). A bulk request counts as one; how
//! much it may hold is limited by itself.

use std::time::Duration;

use governor::{
    Quota, RateLimiter,
    clock::Clock as Time,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use metrics::counter;
use tracing::warn;

use crate::{clock::Clock, config::RequestLimit, error::ApiError};

/// A bucket that is one number behind an atomic: no lock, nothing allocated.
type Limiter = RateLimiter<NotKeyed, InMemoryState, Steady, NoOpMiddleware<Duration>>;

/// Goes by the steady time: a wall clock that is set neither stops a client nor lets it through.
struct Steady(Clock);

impl Time for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.steady()
    }
}

/// The requests that one token may still send.
pub(crate) struct Bucket {
    limit: RequestLimit,
    requests: Limiter,
    /// Lines in the log: one a minute, or a client that sends without end would fill it.
    lines: Limiter,
}

/// A request that came too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFast {
    limit: RequestLimit,
    retry_after_s: u32,
    is_worth_a_line: bool,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(limit: RequestLimit, clock: &Clock) -> Self {
        let limiter = |quota| Limiter::direct_with_clock(quota, Steady(clock.clone()));
        let requests = limiter(Quota::per_second(limit.per_second).allow_burst(limit.burst));
        Self { limit, requests, lines: limiter(Quota::per_minute(std::num::NonZeroU32::MIN)) }
    }

    /// What it was made for.
    pub(crate) fn limit(&self) -> RequestLimit {
        self.limit
    }

    /// Takes one request out.
    ///
    /// # Errors
    /// It is empty.
    pub(crate) fn take(&self) -> Result<(), TooFast> {
        self.requests.check().map_err(|until| TooFast {
            limit: self.limit,
            retry_after_s: whole_seconds(until.wait_time_from(Time::now(self.requests.clock()))),
            is_worth_a_line: self.lines.check().is_ok(),
        })
    }
}

impl TooFast {
    /// Counts it, and says it now and then.
    pub(crate) fn note(&self, tenant: &str, connection: &str) {
        let labels = [("tenant", tenant.to_owned()), ("connection", connection.to_owned())];
        counter!("scim_bridge_throttled_requests_total", &labels).increment(1);
        if self.is_worth_a_line {
            let limit = self.limit.per_second;
            warn!(tenant, connection, "A connection sends more than {limit} requests a second and is told to wait");
        }
    }
}

impl From<TooFast> for ApiError {
    fn from(TooFast { limit, retry_after_s, .. }: TooFast) -> Self {
        let limit = limit.per_second;
        let detail = format!(
            "This connection sends more than {limit} requests a second [too-fast]: send again after {retry_after_s} s"
        );
        Self::Throttled { detail, retry_after_s }
    }
}

/// Rounded up, and never 0: Okta takes whole seconds only (`idp/okta.md` section 2).
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn limit(per_second: u32, burst: u32) -> RequestLimit {
        RequestLimit { per_second: NonZeroU32::new(per_second).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
    }

    fn taken(bucket: &Bucket, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(bucket.take().is_ok())).sum()
    }

    #[test]
    fn a_burst_goes_through_and_then_so_many_a_second() {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let bucket = Bucket::new(limit(25, 100), &clock);
        assert_eq!(taken(&bucket, 200), 100);
        for _ in 0..10 {
            clock.advance(Duration::from_secs(1));
            assert_eq!(taken(&bucket, 200), 25);
        }
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(taken(&bucket, 200), 100, "a pause fills it, and no more than that");
    }

    #[test]
    fn an_identity_provider_that_sends_25_a_second_is_never_stopped_by_the_default() {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let config = crate::config::Config::parse("[tenants.acme]\n", std::path::Path::new(".")).unwrap();
        let bucket = Bucket::new(config.tenants["acme"].requests.unwrap(), &clock);
        for _ in 0..600 {
            assert_eq!(taken(&bucket, 25), 25);
            clock.advance(Duration::from_secs(1));
        }
    }

    #[test]
    fn who_waits_as_long_as_it_is_told_is_let_through() {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        for per_second in [1, 3, 25, 500] {
            let bucket = Bucket::new(limit(per_second, 1), &clock);
            bucket.take().unwrap();
            let too_fast = bucket.take().unwrap_err();
            assert_eq!(too_fast.retry_after_s, 1, "{per_second}");
            clock.advance(Duration::from_secs(too_fast.retry_after_s.into()));
            bucket.take().unwrap();
        }
        assert_eq!([0, 1, 999, 1_000, 1_001].map(|wait| whole_seconds(Duration::from_millis(wait))), [1, 1, 1, 1, 2]);
    }

    #[test]
    fn a_wall_clock_that_is_set_neither_stops_a_client_nor_lets_it_through() {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let bucket = Bucket::new(limit(1, 1), &clock);
        bucket.take().unwrap();
        clock.set_wall(SignedDuration::from_hours(1));
        assert!(bucket.take().is_err());
        clock.set_wall(SignedDuration::from_hours(-2));
        clock.advance(Duration::from_secs(1));
        bucket.take().unwrap();
    }

    #[test]
    fn a_client_that_sends_without_end_is_worth_one_line_a_minute() {
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let bucket = Bucket::new(limit(1, 1), &clock);
        let mut lines = 0;
        for _ in 0..120 {
            for _ in 0..10 {
                lines += u32::from(bucket.take().is_err_and(|too_fast| too_fast.is_worth_a_line));
            }
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(lines, 2);
    }
}
