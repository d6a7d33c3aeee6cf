//! What raises `wanted`: a write, a membership, an assignment, a configuration, a person (DESIGN section 2).

use jiff::Timestamp;

use super::{Unique, json};
use crate::driver::parameters;
use crate::{Account, AccountState, BRAKE, PLANNED, Reason, StoreError, Tx, Want, Wanted};

impl Tx<'_> {
    /// Raises `wanted` of an account, making it if there is none, and sets where it goes from here.
    ///
    /// A handed-over row keeps its state. So does a held one, unless `want.release` is true, or the brake holds it, or that nothing
    /// but plans are made. Attempts begin again at 0.
    /// A lease stays with its holder, whose settling then leaves the new course alone.
    ///
    /// # Errors
    /// [`StoreError::Taken`] (`natural key`) if another account of the target has the natural key;
    /// [`StoreError::NotFound`] if there is no such resource.
    pub fn want(&mut self, resource: i64, target: &str, want: &Want, now: Timestamp) -> Result<Wanted, StoreError> {
        let (tenant, there) = self.before_want(resource, target)?;
        match there {
            Some(there) => self.raise(&tenant, resource, target, &there, want, now),
            None => {
                self.first_want(&tenant, resource, target, want, now)?;
                Ok(Wanted { wanted: 1, state: want.state })
            }
        }
    }

    /// Like [`Tx::want`] of an account whose row was read in this transaction, and not changed since.
    ///
    /// # Errors
    /// Those of [`Tx::want`].
    pub fn want_row(&mut self, row: &Account, want: &Want, now: Timestamp) -> Result<Wanted, StoreError> {
        let is_judged_anew = row.reason.as_ref().is_some_and(is_judged_anew);
        let natural_key = row.natural_key.clone();
        let there = RowThere { wanted: row.wanted, state: row.state, is_judged_anew, natural_key };
        self.raise(&row.tenant, row.resource, &row.target, &there, want, now)
    }

    fn raise(
        &self,
        tenant: &str,
        resource: i64,
        target: &str,
        there: &RowThere,
        want: &Want,
        now: Timestamp,
    ) -> Result<Wanted, StoreError> {
        let takes = want.natural_key.as_ref().filter(|key| there.natural_key.as_ref() != Some(*key));
        if let Some(key) = takes {
            self.check_free(tenant, target, Unique::NaturalKey, key, resource)?;
        }
        let stays = there.stays(want);
        let sql = "UPDATE account SET wanted = wanted + 1, state = CASE WHEN ?3 = 1 THEN state ELSE ?4 END, \
                   reason = CASE WHEN ?3 = 1 THEN reason ELSE ?5 END, \
                   urgent = CASE WHEN ?6 = 1 THEN 1 ELSE urgent END, attempts = 0, due_at = ?7, \
                   natural_key = coalesce(?8, natural_key), secret = coalesce(?9, secret), \
                   secret_pending = CASE WHEN ?10 = 1 THEN 1 ELSE secret_pending END, updated = ?11 \
                   WHERE resource = ?1 AND target = ?2";
        self.session().execute(
            sql,
            &parameters![
                resource,
                target,
                stays,
                want.state.as_str(),
                json(want.reason.as_ref())?,
                want.urgent,
                want.due_at,
                takes,
                want.secret.as_deref(),
                want.secret.is_some(),
                now,
            ],
        )?;
        Ok(Wanted { wanted: there.wanted + 1, state: if stays { there.state } else { want.state } })
    }

    /// Like [`Tx::want`] where there is most likely no account yet: what has to be known of one is asked only if there is.
    ///
    /// # Errors
    /// Those of [`Tx::want`], but for a resource that does not exist.
    pub fn want_new(
        &mut self,
        tenant: &str,
        resource: i64,
        target: &str,
        want: &Want,
        now: Timestamp,
    ) -> Result<Wanted, StoreError> {
        match self.insert_wanted(tenant, resource, target, want, now)? {
            0 => self.want(resource, target, want, now),
            _ => Ok(Wanted { wanted: 1, state: want.state }),
        }
    }

    /// Makes the row of an account that is wanted for the first time.
    fn first_want(
        &self,
        tenant: &str,
        resource: i64,
        target: &str,
        want: &Want,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.insert_wanted(tenant, resource, target, want, now)? == 0 {
            // There is no such row yet, so it is the natural key that somebody has.
            if let Some(key) = &want.natural_key {
                self.check_free(tenant, target, Unique::NaturalKey, key, resource)?;
            }
            return Err(StoreError::Internal(format!("an account at {target} could not be made")));
        }
        Ok(())
    }

    /// Makes the row unless there is one, or somebody has its natural key. Returns how many rows were made.
    fn insert_wanted(
        &self,
        tenant: &str,
        resource: i64,
        target: &str,
        want: &Want,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let sql = "INSERT INTO account (resource, target, tenant, wanted, applied, state, reason, urgent, attempts, \
                   due_at, claims, doubt, natural_key, secret, secret_pending, updated) \
                   VALUES (?1, ?2, ?3, 1, 0, ?4, ?5, ?6, 0, ?7, 0, 'none', ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";
        self.session().execute(
            sql,
            &parameters![
                resource,
                target,
                tenant,
                want.state.as_str(),
                json(want.reason.as_ref())?,
                want.urgent,
                want.due_at,
                want.natural_key.as_ref(),
                want.secret.as_deref(),
                want.secret.is_some(),
                now,
            ],
        )
    }

    /// What `want` has to know: the tenant, and of the row if there is one.
    fn before_want(&self, resource: i64, target: &str) -> Result<(String, Option<RowThere>), StoreError> {
        let sql = "SELECT r.tenant, a.wanted, a.state, a.natural_key, a.reason FROM resource AS r LEFT JOIN account AS a \
                   ON a.resource = r.key AND a.target = ?2 WHERE r.key = ?1";
        let before = self.session().query_one(sql, &parameters![resource, target], |row| {
            let there = match row.optional_integer(1)? {
                Some(wanted) => {
                    let state = row.word(2)?;
                    let reason: Option<Reason> = if state == AccountState::Held { row.optional_json(4)? } else { None };
                    let is_judged_anew = reason.as_ref().is_some_and(is_judged_anew);
                    Some(RowThere { wanted, state, is_judged_anew, natural_key: row.optional_text(3)? })
                }
                None => None,
            };
            Ok((row.text(0)?, there))
        })?;
        before.ok_or(StoreError::NotFound("resource"))
    }
}

/// What is there when an account is wanted.
struct RowThere {
    wanted: i64,
    state: AccountState,
    /// Whether what holds it is judged anew with each cause.
    is_judged_anew: bool,
    natural_key: Option<String>,
}

/// The brake decides again about what is wanted now, which may be that nothing ends; and where only plans are made, one is
/// made of what is wanted now.
fn is_judged_anew(held: &Reason) -> bool {
    held.code == BRAKE || held.code == PLANNED
}

impl RowThere {
    /// Whether the row keeps its state.
    fn stays(&self, want: &Want) -> bool {
        let is_held = self.state == AccountState::Held && !self.is_judged_anew;
        self.state == AccountState::HandedOver || (is_held && !want.release)
    }
}
