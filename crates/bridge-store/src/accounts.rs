//! Accounts, which are also the deliveries: wanted, claimed under a lease, settled (DESIGN sections 2 and 7).
//!
//! Whoever changes the course of an account from outside a lease raises `wanted`. Settling compares: if `wanted` rose since
//! the claim, the later cause decides what happens next.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use crate::driver::{Parameter, Row, parameters};
use crate::{
    Account, AccountCount, AccountQuery, AccountState, Change, Db, Doubt, Lease, SecretsAre, Settlement, StoreError, Tx,
};

/// More queued accounts than this are not counted.
const QUEUE_COUNTED: u64 = 10_000;

/// Accounts per page if the caller does not say.
const PAGE: usize = 100;

macro_rules! columns {
    () => {
        "resource, target, tenant, wanted, applied, state, reason, urgent, attempts, due_at, lease_token, lease_until, \
         doubt, remote_id, natural_key, digest, observed, kept, secret, secret_pending, last_write_at, failing_since, \
         proof, candidate, updated"
    };
}

/// Numbers the leases. No lease outlives the one process that serves a database (see [`Tx::release_leases_as_doubt`]), so no two
/// have the same token, be they of the same row or of one that was made after it was dropped.
#[derive(Debug, Default)]
pub(crate) struct Leases(AtomicI64);

impl Leases {
    fn next(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The order is that of the index `account_due`: nothing is sorted.
const QUEUED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM account WHERE tenant = ?1 AND target = ?2 AND state = 'due' ORDER BY urgent, due_at LIMIT ?3"
);

/// The condition is that of the partial index `account_parked_for`: only then is it used.
const PARKED_FOR: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM account WHERE tenant = ?1 AND target = ?2 AND state = 'parked' \
      AND (candidate IS NOT NULL OR natural_key IS NULL) AND resource > ?3 ORDER BY resource LIMIT ?4"
);

/// The statement of [`Db::accounts_where`].
fn where_sql(query: &AccountQuery) -> String {
    // The text of these conditions is that of the partial indexes: only then are they used.
    let states = match query.state {
        None => "?3 = ''",
        Some(AccountState::Due) => "state = 'due' AND ?3 <> ''",
        Some(AccountState::Settled | AccountState::OutOfScope) => "state = ?3",
        Some(
            AccountState::Waiting
            | AccountState::Parked
            | AccountState::Held
            | AccountState::Task
            | AccountState::HandedOver,
        ) => "state <> 'settled' AND state <> 'out_of_scope' AND state <> 'due' AND state = ?3",
    };
    // Nor is an index used for "any tenant, or this one".
    let tenant = if query.tenant.is_some() { "tenant = ?1" } else { "?1 = ''" };
    let target = if query.target.is_some() { "target = ?2" } else { "?2 = ''" };
    // A page begins where the one before it ended, and not at the beginning.
    let columns = columns!();
    format!(
        "SELECT {columns} FROM account WHERE {states} AND {tenant} AND {target} \
         AND (resource, target) > (?4, ?5) ORDER BY resource, target LIMIT ?6"
    )
}

fn account(row: &Row<'_>) -> Result<Account, StoreError> {
    let lease = match (row.optional_integer(10)?, row.optional_time(11)?) {
        (Some(token), Some(until)) => Some(Lease { token, until }),
        _ => None,
    };
    Ok(Account {
        resource: row.integer(0)?,
        target: row.text(1)?,
        tenant: row.text(2)?,
        wanted: row.integer(3)?,
        applied: row.integer(4)?,
        state: row.word(5)?,
        reason: row.optional_json(6)?,
        urgent: row.is_true(7)?,
        attempts: u32::try_from(row.integer(8)?).map_err(StoreError::corrupt)?,
        due_at: row.time(9)?,
        lease,
        doubt: row.word(12)?,
        remote_id: row.optional_text(13)?,
        natural_key: row.optional_text(14)?,
        digest: row.optional_text(15)?,
        observed: row.optional_json(16)?,
        kept: row.optional_json(17)?,
        secret: row.optional_blob(18)?,
        secret_pending: row.is_true(19)?,
        last_write_at: row.optional_time(20)?,
        failing_since: row.optional_time(21)?,
        proof: row.optional_json(22)?,
        candidate: row.optional_json(23)?,
        updated: row.time(24)?,
    })
}

impl Db<'_> {
    /// The accounts of a resource, by target.
    pub fn accounts_of(&self, resource: i64) -> Result<Vec<Account>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM account WHERE resource = ?1 ORDER BY target");
        self.session().query(sql, &parameters![resource], account)
    }

    /// The account of a resource at a target.
    pub fn account(&self, resource: i64, target: &str) -> Result<Option<Account>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM account WHERE resource = ?1 AND target = ?2");
        self.session().query_one(sql, &parameters![resource, target], account)
    }

    /// The account that has a natural key (folded) at a target.
    pub fn account_by_natural_key(&self, tenant: &str, target: &str, key: &str) -> Result<Option<Account>, StoreError> {
        let sql =
            concat!("SELECT ", columns!(), " FROM account WHERE tenant = ?1 AND target = ?2 AND natural_key = ?3");
        self.session().query_one(sql, &parameters![tenant, target, key], account)
    }

    /// The account that has an id at a target.
    pub fn account_by_remote_id(&self, tenant: &str, target: &str, id: &str) -> Result<Option<Account>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM account WHERE tenant = ?1 AND target = ?2 AND remote_id = ?3");
        self.session().query_one(sql, &parameters![tenant, target, id], account)
    }

    /// Accounts in the order of resource and target. A state other than `settled` and `out_of_scope` is found by an index,
    /// `due` only at a given target; the rest is a scan.
    pub fn accounts_where(&self, query: &AccountQuery) -> Result<Vec<Account>, StoreError> {
        let sql = where_sql(query);
        let (resource, target) =
            query.after.as_ref().map_or((0, ""), |(resource, target)| (*resource, target.as_str()));
        let limit = if query.limit == 0 { PAGE } else { query.limit };
        self.session().query(
            &sql,
            &parameters![
                query.tenant.as_deref().unwrap_or_default(),
                query.target.as_deref().unwrap_or_default(),
                query.state.map_or("", AccountState::as_str),
                resource,
                target,
                limit,
            ],
            account,
        )
    }

    /// Accounts that are parked at a target because an account was found, or because another has their key; those of resources
    /// after a key.
    pub fn parked_for_another(
        &self,
        tenant: &str,
        target: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        self.session().query(PARKED_FOR, &parameters![tenant, target, after, limit], account)
    }

    /// Accounts that are due at a target, now or later, in the order of an index: to be taken from it, because the first page
    /// is the only one.
    pub fn queued(&self, tenant: &str, target: &str, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.session().query(QUEUED, &parameters![tenant, target, limit], account)
    }

    /// How many accounts of the next resources are in each state: those after a key, and so many keys on. Says where to go on,
    /// if there are further ones; all together are as many as there are rows, so nothing counts them at once.
    pub fn account_counts(&self, after: i64, keys: i64) -> Result<(Vec<AccountCount>, Option<i64>), StoreError> {
        let last = after.saturating_add(keys);
        let sql = "SELECT tenant, target, state, count(*) FROM account WHERE resource > ?1 AND resource <= ?2 \
                   GROUP BY tenant, target, state ORDER BY tenant, target, state";
        let counts = self.session().query(sql, &parameters![after, last], |row| {
            Ok(AccountCount { tenant: row.text(0)?, target: row.text(1)?, state: row.word(2)?, count: row.count(3)? })
        })?;
        let sql = "SELECT resource FROM account WHERE resource > ?1 ORDER BY resource LIMIT 1";
        let next = self.session().query_one(sql, &parameters![last], |row| row.integer(0))?;
        Ok((counts, next.map(|next| next - 1)))
    }

    /// Whether any account holds a sealed secret. A scan.
    pub fn holds_secrets(&self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM account WHERE secret IS NOT NULL LIMIT 1";
        Ok(self.session().query_one(sql, &parameters![], |row| row.is_true(0))?.is_some())
    }

    /// When there is next something to claim at a target: the earliest due time, or end of a lease. May lie in the past.
    pub fn next_due(&self, tenant: &str, target: &str) -> Result<Option<Timestamp>, StoreError> {
        let due = "SELECT due_at FROM account WHERE tenant = ?1 AND target = ?2 AND state = 'due' AND urgent = ?3 \
                   AND lease_token IS NULL ORDER BY due_at LIMIT 1";
        let leased = "SELECT lease_until FROM account WHERE tenant = ?1 AND target = ?2 AND lease_token IS NOT NULL \
                      AND state = 'due' ORDER BY lease_until LIMIT 1";
        let urgent = self.session().query_one(due, &parameters![tenant, target, true], |row| row.time(0))?;
        let usual = self.session().query_one(due, &parameters![tenant, target, false], |row| row.time(0))?;
        let lease = self.session().query_one(leased, &parameters![tenant, target], |row| row.time(0))?;
        Ok([urgent, usual, lease].into_iter().flatten().min())
    }

    /// How many accounts are due at a target by `now`, leased ones included; counts up to 10,000.
    pub fn queue_length(&self, tenant: &str, target: &str, now: Timestamp) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT 1 AS one FROM account WHERE tenant = ?1 AND target = ?2 AND state = 'due' \
                   AND due_at <= ?3 LIMIT ?4) AS queued";
        let limit = i64::try_from(QUEUE_COUNTED).unwrap_or(i64::MAX);
        let found = self.session().query_one(sql, &parameters![tenant, target, now, limit], |row| row.count(0))?;
        Ok(found.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Claims up to `limit` accounts of a target that are due and free: urgent ones first, then by due time.
    ///
    /// The token of a lease is in the row. A lease that ran out unsettled leaves doubt.
    pub fn claim(
        &mut self,
        tenant: &str,
        target: &str,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let mut claimed = Vec::new();
        for urgent in [true, false] {
            let sql = "SELECT resource FROM account WHERE tenant = ?1 AND target = ?2 AND state = 'due' AND urgent = ?3 \
                       AND due_at <= ?4 AND (lease_token IS NULL OR lease_until <= ?4) ORDER BY due_at LIMIT ?5";
            let left = limit.saturating_sub(claimed.len());
            let free =
                self.session().query(sql, &parameters![tenant, target, urgent, now, left], |row| row.integer(0))?;
            for resource in free {
                claimed.extend(self.claim_one(resource, target, now, lease_until)?);
            }
        }
        Ok(claimed)
    }

    /// Claims the account of a resource at a target, if it is due and free.
    pub fn claim_one(
        &mut self,
        resource: i64,
        target: &str,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<Account>, StoreError> {
        let Some(mut account) = self.account(resource, target)? else { return Ok(None) };
        let is_free = account.lease.is_none_or(|lease| lease.until <= now);
        if account.state != AccountState::Due || account.due_at > now || !is_free {
            return Ok(None);
        }
        if let Some(lost) = account.lease {
            account.doubt = doubt_after_loss(&account);
            account.last_write_at = Some(lost.until);
        }
        let token = self.shared().leases.next();
        let sql = "UPDATE account SET claims = claims + 1, lease_token = ?7, lease_until = ?3, doubt = ?4, \
                   last_write_at = ?5, updated = ?6 WHERE resource = ?1 AND target = ?2";
        let (doubt, written) = (account.doubt.as_str(), account.last_write_at);
        let parameters = parameters![resource, target, lease_until, doubt, written, now, token];
        self.session().execute(sql, &parameters)?;
        account.lease = Some(Lease { token, until: lease_until });
        account.updated = now;
        Ok(Some(account))
    }

    /// Prolongs a lease; false if it is lost.
    pub fn renew(
        &mut self,
        resource: i64,
        target: &str,
        token: i64,
        lease_until: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE account SET lease_until = ?4 WHERE resource = ?1 AND target = ?2 AND lease_token = ?3";
        Ok(self.session().execute(sql, &parameters![resource, target, token, lease_until])? > 0)
    }

    /// Ends a lease with what came of the work; false, and nothing written, if the lease is lost.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if another account of the target has the remote id or the natural key.
    pub fn settle(
        &mut self,
        resource: i64,
        target: &str,
        token: i64,
        settlement: &Settlement,
    ) -> Result<bool, StoreError> {
        let Some(current) = self.account(resource, target)? else { return Ok(false) };
        if current.lease.is_none_or(|lease| lease.token != token) {
            return Ok(false);
        }
        let is_last_word = current.wanted == settlement.wanted;
        if let Some(id) = &settlement.remote_id
            && current.remote_id.as_ref() != Some(id)
        {
            self.check_free(&current.tenant, target, Unique::RemoteId, id, resource)?;
        }
        let natural_key = match &settlement.natural_key {
            Change::Set(key) if is_last_word => {
                self.check_free(&current.tenant, target, Unique::NaturalKey, key, resource)?;
                Some(key)
            }
            Change::Clear if is_last_word => None,
            Change::Set(_) | Change::Clear | Change::Keep => current.natural_key.as_ref(),
        };
        let is_newer = current.secret != settlement.claimed_secret;
        let (secret, secret_pending) = match settlement.secrets {
            SecretsAre::Erased if !is_newer => (None, false),
            SecretsAre::Served if !is_newer => (current.secret.as_deref(), false),
            SecretsAre::Erased | SecretsAre::Served | SecretsAre::Untouched => {
                (current.secret.as_deref(), current.secret_pending)
            }
        };
        let applied = if settlement.state.is_answer() { settlement.wanted } else { current.applied };
        let reason = if is_last_word { settlement.reason.as_ref() } else { current.reason.as_ref() };
        let (state, urgent, attempts, due_at) = if is_last_word {
            (settlement.state, settlement.urgent, settlement.attempts, settlement.due_at)
        } else {
            (current.state, current.urgent, current.attempts, current.due_at)
        };
        // What raised `wanted` may have raised a doubt with it, which this work has not looked into.
        let (doubt, digest) = if is_last_word || current.doubt == Doubt::None {
            (settlement.doubt, settlement.digest.as_ref())
        } else {
            (settlement.doubt.max(current.doubt), None)
        };
        let sql = "UPDATE account SET applied = ?4, state = ?5, reason = ?6, urgent = ?7, attempts = ?8, due_at = ?9, \
                   lease_token = NULL, lease_until = NULL, doubt = ?10, remote_id = ?11, natural_key = ?12, \
                   digest = ?13, observed = ?14, kept = ?15, secret = ?16, secret_pending = ?17, last_write_at = ?18, \
                   failing_since = ?19, proof = ?20, candidate = ?21, updated = ?22 \
                   WHERE resource = ?1 AND target = ?2 AND lease_token = ?3";
        let changed = self.session().execute(
            sql,
            &parameters![
                resource,
                target,
                token,
                applied.max(current.applied),
                state.as_str(),
                json(reason)?,
                urgent,
                attempts,
                due_at,
                doubt.as_str(),
                settlement.remote_id.as_ref(),
                natural_key,
                digest,
                settlement.observed.as_ref(),
                settlement.kept.as_ref(),
                secret,
                secret_pending,
                settlement.last_write_at,
                settlement.failing_since,
                settlement.proof.as_ref(),
                settlement.candidate.as_ref(),
                settlement.now,
            ],
        )?;
        match settlement.state {
            AccountState::Settled | AccountState::OutOfScope | AccountState::Task | AccountState::HandedOver => {
                self.forget_brake(resource, target)?;
            }
            AccountState::Waiting | AccountState::Due | AccountState::Parked | AccountState::Held => {}
        }
        Ok(changed > 0)
    }

    /// Stores sealed secrets before they are sent, and the values saved for the return; false if the lease is lost, or if
    /// another secret than `claimed` has come in meanwhile.
    #[expect(clippy::too_many_arguments, reason = "the key, the lease, and what is exchanged under it")]
    pub fn prepare(
        &mut self,
        resource: i64,
        target: &str,
        token: i64,
        claimed: Option<&[u8]>,
        secret: Option<&[u8]>,
        kept: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if self.account(resource, target)?.is_none_or(|account| account.secret.as_deref() != claimed) {
            return Ok(false);
        }
        let sql = "UPDATE account SET secret = coalesce(?4, secret), \
                   secret_pending = CASE WHEN ?5 = 1 THEN 1 ELSE secret_pending END, kept = coalesce(?6, kept), \
                   updated = ?7 WHERE resource = ?1 AND target = ?2 AND lease_token = ?3";
        let parameters = parameters![resource, target, token, secret, secret.is_some(), kept, now];
        Ok(self.session().execute(sql, &parameters)? > 0)
    }

    /// Turns leases left from before this process into doubt: whoever held them is gone, and may have written until now.
    /// Returns how many there were.
    pub fn release_leases_as_doubt(&mut self, now: Timestamp) -> Result<usize, StoreError> {
        let sql = "UPDATE account SET lease_token = NULL, lease_until = NULL, \
                   doubt = CASE WHEN remote_id IS NULL THEN 'create' WHEN doubt = 'none' THEN 'read' ELSE doubt END, \
                   last_write_at = ?1, updated = ?1 WHERE lease_token IS NOT NULL";
        self.session().execute(sql, &parameters![now])
    }

    /// Moves an account with all that is known of it from one resource to another of the same tenant, which starts in
    /// doubt; the old row is `handed_over` and knows nothing any more. False, and nothing moved, if the old resource has no
    /// such account, or the new one has, or may have, an account of its own: nobody would know of that one any more.
    ///
    /// A worker that holds the old row loses its lease; the new row is not due before that lease would have ended. Secrets are
    /// sealed for their resource: those of the new one are what the caller has sealed anew.
    pub fn hand_over(
        &mut self,
        from: i64,
        to: i64,
        target: &str,
        secret: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(old) = self.account(from, target)? else { return Ok(false) };
        let has_own = self.account(to, target)?.is_some_and(|own| own.may_exist());
        if old.state == AccountState::HandedOver || has_own {
            return Ok(false);
        }
        let release = "UPDATE account SET wanted = wanted + 1, state = 'handed_over', reason = NULL, urgent = 0, \
                       lease_token = NULL, lease_until = NULL, doubt = 'none', remote_id = NULL, natural_key = NULL, \
                       digest = NULL, observed = NULL, kept = NULL, secret = NULL, secret_pending = 0, proof = NULL, \
                       candidate = NULL, updated = ?3 WHERE resource = ?1 AND target = ?2";
        self.session().execute(release, &parameters![from, target, now])?;
        // Whoever holds the lease may be making the account at this moment.
        let (doubt, written, due_at) = match old.lease {
            Some(lease) => (doubt_after_loss(&old), Some(lease.until), lease.until.max(now)),
            None => (old.doubt.max(Doubt::Read), old.last_write_at, now),
        };
        let take = "INSERT INTO account (resource, target, tenant, wanted, applied, state, urgent, attempts, due_at, \
                    claims, doubt, remote_id, natural_key, observed, kept, secret, secret_pending, last_write_at, candidate, \
                    updated) \
                    VALUES (?1, ?2, ?3, 1, 0, 'due', 0, 0, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?13, 0, ?10, ?11, ?12) \
                    ON CONFLICT (resource, target) DO UPDATE SET wanted = account.wanted + 1, state = 'due', \
                    reason = NULL, attempts = 0, due_at = excluded.due_at, doubt = excluded.doubt, \
                    remote_id = excluded.remote_id, \
                    natural_key = coalesce(account.natural_key, excluded.natural_key), observed = excluded.observed, \
                    kept = excluded.kept, secret = coalesce(excluded.secret, account.secret), \
                    last_write_at = excluded.last_write_at, candidate = excluded.candidate, \
                    updated = excluded.updated";
        self.session().execute(
            take,
            &parameters![
                to,
                target,
                &old.tenant,
                due_at,
                doubt.as_str(),
                old.remote_id.as_ref(),
                old.natural_key.as_ref(),
                old.observed.as_ref(),
                old.kept.as_ref(),
                written,
                old.candidate.as_ref(),
                now,
                secret,
            ],
        )?;
        Ok(true)
    }

    /// Fails if another account of the target than that of `resource` has this value.
    fn check_free(
        &self,
        tenant: &str,
        target: &str,
        unique: Unique,
        value: &str,
        resource: i64,
    ) -> Result<(), StoreError> {
        let (sql, what) = match unique {
            Unique::RemoteId => {
                ("SELECT resource FROM account WHERE tenant = ?1 AND target = ?2 AND remote_id = ?3", "remote id")
            }
            Unique::NaturalKey => {
                ("SELECT resource FROM account WHERE tenant = ?1 AND target = ?2 AND natural_key = ?3", "natural key")
            }
        };
        let holder = self.session().query_one(sql, &parameters![tenant, target, value], |row| row.integer(0))?;
        match holder {
            Some(holder) if holder != resource => Err(StoreError::taken(what, holder)),
            _ => Ok(()),
        }
    }
}

/// The doubt about an account whose lease ran out unsettled.
fn doubt_after_loss(account: &Account) -> Doubt {
    match account.doubt {
        // Whoever held the lease may have made an account, whatever was in doubt before.
        _ if account.remote_id.is_none() => Doubt::Create,
        Doubt::None => Doubt::Read,
        doubt => doubt,
    }
}

/// What only one account of a target can have.
#[derive(Debug, Clone, Copy)]
enum Unique {
    RemoteId,
    NaturalKey,
}

/// A value as the JSON text that is stored.
fn json<T: serde::Serialize>(value: Option<&T>) -> Result<Parameter<'static>, StoreError> {
    let text = value.map(serde_json::to_string).transpose().map_err(|error| StoreError::Internal(error.to_string()))?;
    Ok(Parameter::from(text))
}

mod by_hand;
#[cfg(test)]
mod tests;
mod wanting;
