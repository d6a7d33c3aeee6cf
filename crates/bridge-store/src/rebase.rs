//! What was to happen after some time still happens after that time when the wall clock is set (DESIGN section 7, "Leases").
//!
//! Whether a row was written before or after the clock was set is told by `updated`. Each row is moved once, so this can be
//! repeated until nothing is left.

use jiff::{SignedDuration, Timestamp};

use crate::driver::parameters;
use crate::{StoreError, Tx};

/// How many rows one write moves.
const SLICE: usize = 2000;
/// The clock was set at most so long before that was noticed.
const NOTICED_WITHIN: SignedDuration = SignedDuration::from_secs(10);
/// What is written while rows are being moved bears a time of at most so much later.
const MOVED_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// The wall clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebase {
    /// By how much: forward if positive.
    pub by: SignedDuration,
    /// What it would show if it had not been set.
    pub before: Timestamp,
    /// What it shows.
    pub now: Timestamp,
}

impl Tx<'_> {
    /// Moves due times, leases and the rest of pool values with the clock, at most 2,000 of each. Returns how many; repeat
    /// until it is 0.
    pub fn rebase(&mut self, rebase: &Rebase) -> Result<usize, StoreError> {
        let by = i64::try_from(rebase.by.as_millis()).unwrap_or(i64::MAX);
        if rebase.by.is_negative() { self.rebase_backward(by, rebase.now) } else { self.rebase_forward(by, rebase) }
    }

    fn rebase_forward(&mut self, by: i64, Rebase { before, now, .. }: &Rebase) -> Result<usize, StoreError> {
        let due = "UPDATE account SET due_at = due_at + ?1, updated = ?3 WHERE (resource, target) IN \
                   (SELECT resource, target FROM account WHERE state = 'due' AND due_at > ?2 AND updated <= ?2 LIMIT ?4)";
        let moved = self.session().execute(due, &parameters![by, *before, *now, SLICE])?;
        let leased = "UPDATE account SET lease_until = lease_until + ?1 WHERE lease_token IS NOT NULL \
                      AND lease_until > ?2 AND lease_until <= ?3";
        self.session().execute(leased, &parameters![by, *before, *now])?;
        let rest = "UPDATE assignment SET free_at = free_at + ?1, updated = ?3 WHERE (tenant, pool, value) IN \
                    (SELECT tenant, pool, value FROM assignment WHERE state = 'free' AND free_at > ?2 AND updated <= ?2 \
                    LIMIT ?4)";
        Ok(moved + self.session().execute(rest, &parameters![by, *before, *now, SLICE])?)
    }

    fn rebase_backward(&mut self, by: i64, now: Timestamp) -> Result<usize, StoreError> {
        let after = |by| now.checked_add(by).unwrap_or(Timestamp::MAX);
        let (first, last) = (after(-NOTICED_WITHIN), after(MOVED_WITHIN));
        // A write that bears a time to come would keep its account from being looked at until then.
        let due = "UPDATE account SET due_at = CASE WHEN due_at > ?2 THEN due_at + ?1 ELSE due_at END, \
                   last_write_at = CASE WHEN last_write_at > ?2 THEN ?2 ELSE last_write_at END, updated = ?2 \
                   WHERE (resource, target) IN (SELECT resource, target FROM account WHERE state = 'due' \
                   AND (due_at > ?2 OR last_write_at > ?2) AND (updated < ?3 OR updated > ?4) LIMIT ?5)";
        let moved = self.session().execute(due, &parameters![by, now, first, last, SLICE])?;
        // A value that came to rest before the clock was wrong may rest for longer; one that did since may not.
        let rest = "UPDATE assignment SET free_at = free_at + ?1, updated = ?2 WHERE (tenant, pool, value) IN \
                    (SELECT tenant, pool, value FROM assignment WHERE state = 'free' AND free_at > ?2 AND updated > ?3 \
                    LIMIT ?4)";
        Ok(moved + self.session().execute(rest, &parameters![by, now, last, SLICE])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TENANT, add, at, store};
    use crate::{Account, Store, Want};

    async fn rebase(store: &Store, by: i64, now: i64) -> usize {
        let rebase = Rebase { by: SignedDuration::from_secs(by), before: at(now - by), now: at(now) };
        store.write(move |tx| tx.rebase(&rebase)).await.unwrap()
    }

    async fn want(store: &Store, resource: i64, due: i64, now: i64) {
        store.write(move |tx| tx.want(resource, "pbx", &Want::due(at(due)), at(now))).await.unwrap();
    }

    async fn row(store: &Store, resource: i64) -> Account {
        store.read(|db| db.account(resource, "pbx")).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn what_was_due_in_five_minutes_is_due_in_five_minutes_when_the_clock_is_set_forward() {
        let store = store();
        let [ann, bob, eve] =
            [add(&store, "ann").await.key, add(&store, "bob").await.key, add(&store, "eve").await.key];
        want(&store, ann, 400, 100).await;
        want(&store, bob, 50, 50).await;
        // The clock shows 100 and is set to 3700; Eve is wanted after that.
        want(&store, eve, 3_800, 3_701).await;
        assert_eq!(rebase(&store, 3_600, 3_700).await, 1);
        assert_eq!(rebase(&store, 3_600, 3_700).await, 0, "each is moved once");
        let due = [row(&store, ann).await.due_at, row(&store, bob).await.due_at, row(&store, eve).await.due_at];
        assert_eq!(due, [at(4_000), at(50), at(3_800)]);
    }

    #[tokio::test]
    async fn what_was_due_in_five_minutes_is_due_in_five_minutes_when_the_clock_is_set_back() {
        let store = store();
        let [ann, eve] = [add(&store, "ann").await.key, add(&store, "eve").await.key];
        want(&store, ann, 10_300, 10_000).await;
        let claimed = |now: i64, until: i64| store.write(move |tx| tx.claim(TENANT, "pbx", at(now), at(until), 1));
        let row_of_ann = claimed(10_300, 10_400).await.unwrap().remove(0);
        let token = row_of_ann.lease.unwrap().token;
        let again = crate::Settlement {
            due_at: at(10_600),
            last_write_at: Some(at(10_300)),
            ..crate::Settlement::of(&row_of_ann, crate::AccountState::Due, at(10_300))
        };
        store.write(move |tx| tx.settle(ann, "pbx", token, &again)).await.unwrap();
        // The clock shows 10,300 and is set to 6,700; Eve is wanted after that.
        want(&store, eve, 6_800, 6_699).await;
        assert_eq!(rebase(&store, -3_600, 6_700).await, 1);
        assert_eq!(rebase(&store, -3_600, 6_700).await, 0);
        let moved = row(&store, ann).await;
        assert_eq!((moved.due_at, moved.last_write_at), (at(7_000), Some(at(6_700))));
        assert_eq!(row(&store, eve).await.due_at, at(6_800));
    }

    #[tokio::test]
    async fn work_under_way_keeps_its_lease_and_a_value_its_rest() {
        let store = store();
        let ann = add(&store, "ann").await.key;
        want(&store, ann, 0, 0).await;
        store.write(|tx| tx.claim(TENANT, "pbx", at(0), at(120), 1)).await.unwrap();
        let ranges = [crate::Range { first: 1000, last: 1000, width: 4 }];
        let reserve = move |tx: &mut Tx<'_>| {
            tx.reserve(TENANT, "extension", &ranges, ann, at(0))?;
            tx.confirm(TENANT, "extension", ann, at(0))?;
            tx.release(TENANT, "extension", ann, at(1_000), at(0))
        };
        store.write(reserve).await.unwrap();
        assert_eq!(rebase(&store, 3_600, 3_610).await, 1);
        assert_eq!(row(&store, ann).await.lease.unwrap().until, at(3_720));
        let value = store.read(|db| db.assignment(TENANT, "extension", "1000")).await.unwrap().unwrap();
        assert_eq!(value.free_at, Some(at(4_600)));
    }
}
