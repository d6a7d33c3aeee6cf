//! The brake of a target: how many accounts may end (be suspended, removed, or leave the scope) in a window of time before a
//! person is asked (DESIGN section 7, "Brake").
//!
//! It counts accounts, not calls or attempts: who was let through once may be tried again, however long the target is down.
//! It counts in the database, so a restart does not let go of it. What it holds stays held until a person lets it go, or
//! nothing has to end any more.
//!
//! An account's mark is `passed` (it may end, and counts), `released` (it may end, and does not count: a person's word, or the
//! window is over and it has not ended yet), `ended` (it has come to rest, and counts until the window is over) or `held`.

use jiff::Timestamp;

use crate::driver::parameters;
use crate::{Db, StoreError, Tx};

/// The code of the reason of an account that the brake holds.
pub const BRAKE: &str = "brake";

/// A share does not hold until so many accounts have ended: of a handful, each one is a large share.
pub const SHARE_FROM: u64 = 10;

/// What may end without a person. With neither `count` nor `share` everything may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrakeLimit {
    /// At most so many accounts of a target.
    pub count: Option<u64>,
    /// At most so many of a hundred of its accounts, from [`SHARE_FROM`] on.
    pub share: Option<u64>,
    /// What ended until this moment does not count any more.
    pub since: Timestamp,
}

/// What the brake says to one account that is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Braked {
    /// It may end.
    No,
    /// It is held: with it, so many more would have ended than may.
    Now,
    /// It was held before.
    Still,
}

impl Tx<'_> {
    /// Asks the brake whether an account may end, and counts it if so.
    pub fn brake(
        &mut self,
        tenant: &str,
        target: &str,
        resource: i64,
        limit: &BrakeLimit,
        now: Timestamp,
    ) -> Result<Braked, StoreError> {
        self.leave_window(tenant, target, limit.since)?;
        let mark = "SELECT state FROM brake WHERE resource = ?1 AND target = ?2";
        let mark = self.session().query_one(mark, &parameters![resource, target], |row| row.text(0))?;
        match mark.as_deref() {
            Some("passed" | "released") => return Ok(Braked::No),
            Some("ended") => {
                // It is counted in this window already.
                let again = "UPDATE brake SET state = 'passed' WHERE resource = ?1 AND target = ?2";
                self.session().execute(again, &parameters![resource, target])?;
                return Ok(Braked::No);
            }
            // The limit may have been lifted since.
            Some(_) if limit.count.is_some() || limit.share.is_some() => return Ok(Braked::Still),
            Some(_) | None => {}
        }
        let may_pass = self.may_pass(tenant, target, limit)?;
        let set = "INSERT INTO brake (resource, target, tenant, state, at) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT (resource, target) DO UPDATE SET state = excluded.state, at = excluded.at";
        let state = if may_pass { "passed" } else { "held" };
        self.session().execute(set, &parameters![resource, target, tenant, state, now])?;
        Ok(if may_pass { Braked::No } else { Braked::Now })
    }

    /// What passed until this moment does not count any more. Who has not ended yet may still be tried again.
    fn leave_window(&mut self, tenant: &str, target: &str, until: Timestamp) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM brake WHERE tenant = ?1 AND target = ?2 AND state = 'ended' AND at <= ?3",
            "UPDATE brake SET state = 'released' WHERE tenant = ?1 AND target = ?2 AND state = 'passed' AND at <= ?3",
        ] {
            self.session().execute(sql, &parameters![tenant, target, until])?;
        }
        Ok(())
    }

    /// A person lets an account go that the brake holds. What passed before counts no more: it was looked at. False if the
    /// brake does not hold it.
    pub fn release_brake(&mut self, resource: i64, target: &str) -> Result<bool, StoreError> {
        let release = "UPDATE brake SET state = 'released' WHERE resource = ?1 AND target = ?2 AND state = 'held'";
        if self.session().execute(release, &parameters![resource, target])? == 0 {
            return Ok(false);
        }
        let tenant = "SELECT tenant FROM brake WHERE resource = ?1 AND target = ?2";
        let tenant = self.session().query_one(tenant, &parameters![resource, target], |row| row.text(0))?;
        if let Some(tenant) = tenant {
            self.leave_window(&tenant, target, Timestamp::MAX)?;
        }
        Ok(true)
    }

    /// The account is as it should be: what the brake was told about it has served, and counts until the window is over.
    pub(crate) fn forget_brake(&mut self, resource: i64, target: &str) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM brake WHERE resource = ?1 AND target = ?2 AND state IN ('held', 'released')",
            "UPDATE brake SET state = 'ended' WHERE resource = ?1 AND target = ?2 AND state = 'passed'",
        ] {
            self.session().execute(sql, &parameters![resource, target])?;
        }
        Ok(())
    }
}

impl Db<'_> {
    fn may_pass(&self, tenant: &str, target: &str, limit: &BrakeLimit) -> Result<bool, StoreError> {
        if limit.count.is_none() && limit.share.is_none() {
            return Ok(true);
        }
        let passed = "SELECT count(*) FROM brake WHERE tenant = ?1 AND target = ?2 AND state IN ('passed', 'ended')";
        let passed = self.session().query_one(passed, &parameters![tenant, target], |row| row.count(0))?;
        let with_this = passed.unwrap_or_default() + 1;
        if limit.count.is_some_and(|count| with_this > count) {
            return Ok(false);
        }
        let Some(share) = limit.share.filter(|_| with_this > SHARE_FROM) else { return Ok(true) };
        // Those that ended count among the accounts that there were. More need not be counted than it takes to pass.
        let needed = (with_this * 100).div_ceil(share.max(1)).saturating_sub(with_this - 1);
        let there = "SELECT count(*) FROM (SELECT 1 AS one FROM account WHERE tenant = ?1 AND target = ?2 \
                     AND remote_id IS NOT NULL LIMIT ?3) AS found";
        let limit = i64::try_from(needed).unwrap_or(i64::MAX);
        let there = self.session().query_one(there, &parameters![tenant, target, limit], |row| row.count(0))?;
        Ok(there.unwrap_or_default() >= needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TENANT, add, at, store};
    use crate::{AccountState, Settlement, Store, Want};

    async fn ask(store: &Store, resource: i64, limit: BrakeLimit, now: i64) -> Braked {
        store.write(move |tx| tx.brake(TENANT, "pbx", resource, &limit, at(now))).await.unwrap()
    }

    /// The account of a resource comes to rest.
    async fn settle(store: &Store, resource: i64, now: i64) {
        store.write(move |tx| tx.want(resource, "pbx", &Want::due(at(now)), at(now))).await.unwrap();
        let claimed = store.write(move |tx| tx.claim(TENANT, "pbx", at(now), at(now + 60), 1)).await.unwrap().remove(0);
        let settlement = Settlement::of(&claimed, AccountState::Settled, at(now));
        let token = claimed.lease.unwrap().token;
        assert!(store.write(move |tx| tx.settle(resource, "pbx", token, &settlement)).await.unwrap());
    }

    fn limit(count: u64, since: i64) -> BrakeLimit {
        BrakeLimit { count: Some(count), share: None, since: at(since) }
    }

    #[tokio::test]
    async fn no_more_accounts_end_in_the_window_than_may() {
        let store = store();
        let mut answers = Vec::new();
        for (resource, now) in [(1, 10), (2, 11), (1, 12), (3, 13), (4, 14)] {
            answers.push(ask(&store, resource, limit(2, 0), now).await);
        }
        // A second attempt at the first is not a third account.
        assert_eq!(answers, [Braked::No, Braked::No, Braked::No, Braked::Now, Braked::Now]);
        assert_eq!(ask(&store, 5, limit(2, 10), 70).await, Braked::No, "the first has left the window");
        assert_eq!(ask(&store, 6, limit(2, 10), 71).await, Braked::Now);
        assert_eq!(ask(&store, 3, limit(2, 1000), 1060).await, Braked::Still, "time is no approval");
    }

    #[tokio::test]
    async fn a_person_lets_go_and_those_that_come_later_go_too() {
        let store = store();
        for (resource, expected) in [(1, Braked::No), (2, Braked::Now), (3, Braked::Now)] {
            assert_eq!(ask(&store, resource, limit(1, 0), 10).await, expected);
        }
        assert!(store.write(|tx| tx.release_brake(2, "pbx")).await.unwrap());
        assert!(!store.write(|tx| tx.release_brake(2, "pbx")).await.unwrap());
        assert!(!store.write(|tx| tx.release_brake(1, "pbx")).await.unwrap(), "it was not held");
        assert_eq!(ask(&store, 2, limit(1, 0), 11).await, Braked::No);
        assert_eq!(ask(&store, 4, limit(1, 0), 12).await, Braked::No);
        assert_eq!(ask(&store, 5, limit(1, 0), 13).await, Braked::Now);
        assert_eq!(ask(&store, 3, limit(1, 0), 14).await, Braked::Still, "each waits for its own word");
    }

    #[tokio::test]
    async fn an_account_that_is_right_again_is_not_held_when_it_ends_some_day() {
        let store = store();
        let ann = add(&store, "ann").await.key;
        assert_eq!(ask(&store, 99, limit(1, 0), 10).await, Braked::No);
        assert_eq!(ask(&store, ann, limit(1, 0), 10).await, Braked::Now);
        settle(&store, ann, 11).await;
        assert_eq!(ask(&store, ann, limit(1, 1000), 2000).await, Braked::No);
    }

    #[tokio::test]
    async fn who_was_let_through_is_let_through_until_the_account_has_ended() {
        let store = store();
        let mut keys = Vec::new();
        for name in ["ann", "ben", "cleo", "dora"] {
            keys.push(add(&store, name).await.key);
        }
        let [ann, ben, cleo, dora] = keys[..] else { unreachable!() };
        assert_eq!(ask(&store, ann, limit(2, 0), 10).await, Braked::No);
        assert_eq!(ask(&store, ben, limit(2, 0), 11).await, Braked::No);
        assert_eq!(ask(&store, cleo, limit(2, 0), 12).await, Braked::Now);
        // The target is down for longer than the window, and others leave meanwhile.
        let later = limit(2, 1000);
        for (resource, expected) in [(50, Braked::No), (51, Braked::No), (52, Braked::Now)] {
            assert_eq!(ask(&store, resource, later, 1050).await, expected, "{resource}");
        }
        assert_eq!(ask(&store, ann, later, 1060).await, Braked::No, "she was let through");
        // A person's word for one does not take it from those who were let through before.
        assert!(store.write(move |tx| tx.release_brake(cleo, "pbx")).await.unwrap());
        for (resource, expected) in [(60, Braked::No), (61, Braked::No), (dora, Braked::Now)] {
            assert_eq!(ask(&store, resource, later, 1070).await, expected, "{resource}");
        }
        for resource in [50, 51, ben] {
            assert_eq!(ask(&store, resource, later, 1080).await, Braked::No, "{resource}");
        }
        // Once she is gone, that has served: another time is another account.
        settle(&store, ann, 1090).await;
        assert_eq!(ask(&store, ann, later, 1100).await, Braked::Now);
    }

    #[tokio::test]
    async fn who_ended_counts_once_and_until_the_window_is_over() {
        let store = store();
        let ann = add(&store, "ann").await.key;
        assert_eq!(ask(&store, ann, limit(1, 0), 10).await, Braked::No);
        settle(&store, ann, 11).await;
        assert_eq!(ask(&store, 50, limit(1, 0), 12).await, Braked::Now, "she counts");
        assert_eq!(ask(&store, ann, limit(1, 0), 13).await, Braked::No, "she is one account, not two");
        settle(&store, ann, 14).await;
        assert_eq!(ask(&store, 51, limit(1, 1000), 2000).await, Braked::No, "she has left the window");
        assert_eq!(ask(&store, ann, limit(1, 1000), 2001).await, Braked::Now, "and counts anew");
    }

    #[tokio::test]
    async fn a_share_is_one_of_the_accounts_that_there_were_and_spares_the_first_few() {
        let store = store();
        // 50 accounts, 30 %: 15 may end.
        for number in 0..50 {
            let key = add(&store, &format!("user{number}")).await.key;
            let row = move |tx: &mut Tx<'_>| {
                tx.want(key, "pbx", &Want::due(at(0)), at(0))?;
                tx.link(key, "pbx", Some(&format!("r{number}")), at(0))
            };
            store.write(row).await.unwrap();
        }
        let share = |percent| BrakeLimit { count: None, share: Some(percent), since: at(0) };
        let mut passed = 0;
        for resource in 1000..1050 {
            if ask(&store, resource, share(30), 10).await == Braked::No {
                passed += 1;
                // It is removed at the target.
                let key = passed;
                store.write(move |tx| tx.drop_account(key, "pbx")).await.unwrap();
            }
        }
        assert_eq!(passed, 15);
        assert_eq!(ask(&store, 2000, limit(0, 2000), 2001).await, Braked::Now);
        let empty = crate::testing::store();
        for resource in 0..i64::try_from(SHARE_FROM).unwrap() {
            assert_eq!(ask(&empty, resource, share(1), 10).await, Braked::No);
        }
        assert_eq!(ask(&empty, 100, share(1), 10).await, Braked::Now);
        let off = BrakeLimit { count: None, share: None, since: at(0) };
        assert_eq!(ask(&empty, 100, off, 10).await, Braked::No, "a brake that is taken away holds nothing");
    }
}
