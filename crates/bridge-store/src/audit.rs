//! Who did what, per tenant in a chain of hashes: an entry cannot be changed or taken out without breaking the chain.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::driver::{Row, parameters};
use crate::prune::{SLICE, Swept};
use crate::{AuditEntry, Db, StoreError, Tx};

macro_rules! columns {
    () => {
        "number, tenant, at, actor, action, subject, detail, hash"
    };
}

fn entry(row: &Row<'_>) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        number: row.integer(0)?,
        tenant: row.text(1)?,
        at: row.time(2)?,
        actor: row.text(3)?,
        action: row.text(4)?,
        subject: row.text(5)?,
        detail: row.optional_json(6)?,
        hash: row.text(7)?,
    })
}

/// Where a chain is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditBreak {
    /// This entry, or the one before it, was changed.
    Changed(i64),
    /// This entry is missing.
    Missing(i64),
}

/// The hash of an entry that follows one with the hash `previous`.
fn chained(previous: &str, entry: &AuditEntry) -> String {
    let text = json!([
        previous,
        entry.tenant,
        entry.number,
        entry.at.as_millisecond(),
        entry.actor,
        entry.action,
        entry.subject,
        entry.detail,
    ]);
    Sha256::digest(text.to_string()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
        hex.extend([digit(byte >> 4), digit(byte & 15)]);
        hex
    })
}

/// Entries in a row that were pruned: the numbers of the first and the last, and the hash that the chain goes on with.
type Gap = (i64, i64, String);

/// What was pruned of a chain, as it is stored.
#[derive(Deserialize)]
#[serde(untagged)]
enum Gaps {
    /// Its beginning: number and hash of the last entry.
    Beginning(i64, String),
    /// In the order of the chain, with entries between them.
    Each(Vec<Gap>),
}

/// Adds an entry to what was pruned.
fn widen(gaps: &mut Vec<Gap>, number: i64, hash: String) {
    let place = gaps.partition_point(|(first, ..)| *first < number);
    // What was pruned right behind it, and right before it, is one gap with it.
    let behind = gaps.get(place).is_some_and(|(first, ..)| *first == number + 1).then(|| gaps.remove(place));
    let (last, hash) = behind.map_or((number, hash), |(_, last, hash)| (last, hash));
    match place.checked_sub(1).and_then(|before| gaps.get_mut(before)).filter(|gap| gap.1 == number - 1) {
        Some(before) => (before.1, before.2) = (last, hash),
        None => gaps.insert(place, (number, last, hash)),
    }
}

fn gaps_name(tenant: &str) -> String {
    format!("audit/{tenant}")
}

impl Db<'_> {
    /// Entries of a tenant in the order of the chain, after number `after`.
    pub fn audit(&self, tenant: &str, after: i64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let sql =
            concat!("SELECT ", columns!(), " FROM audit WHERE tenant = ?1 AND number > ?2 ORDER BY number LIMIT ?3");
        self.session().query(sql, &parameters![tenant, after, limit], entry)
    }

    /// The number of the last entry, which rises with every change of a tenant and never falls.
    pub fn last_audit(&self, tenant: &str) -> Result<i64, StoreError> {
        self.audit_head(tenant).map(|(number, _)| number)
    }

    /// Follows the chain of a tenant from its beginning; `None` if it is whole but for what was pruned. A scan.
    pub fn verify_audit(&self, tenant: &str) -> Result<Option<AuditBreak>, StoreError> {
        let gaps = self.audit_gaps(tenant)?;
        let (mut number, mut hash) = (0, String::new());
        let mut broken = None;
        let sql = concat!("SELECT ", columns!(), " FROM audit WHERE tenant = ?1 ORDER BY number");
        self.session().each(sql, &parameters![tenant], |row| {
            let entry = entry(row)?;
            if let Some((_, last, pruned)) = gaps.iter().find(|(first, ..)| *first == number + 1) {
                (number, hash) = (*last, pruned.clone());
            }
            if entry.number != number + 1 {
                broken = Some(AuditBreak::Missing(number + 1));
            } else if entry.hash != chained(&hash, &entry) {
                broken = Some(AuditBreak::Changed(entry.number));
            }
            number = entry.number;
            hash = entry.hash;
            Ok(broken.is_none())
        })?;
        Ok(broken)
    }

    fn audit_gaps(&self, tenant: &str) -> Result<Vec<Gap>, StoreError> {
        let Some(text) = self.meta(&gaps_name(tenant))? else { return Ok(Vec::new()) };
        Ok(match serde_json::from_str(&text).map_err(StoreError::corrupt)? {
            Gaps::Beginning(last, hash) => vec![(1, last, hash)],
            Gaps::Each(gaps) => gaps,
        })
    }

    /// Number and hash of the last entry, whether it is still there or not.
    fn audit_head(&self, tenant: &str) -> Result<(i64, String), StoreError> {
        let sql = "SELECT number, hash FROM audit WHERE tenant = ?1 ORDER BY number DESC LIMIT 1";
        match self.session().query_one(sql, &parameters![tenant], |row| Ok((row.integer(0)?, row.text(1)?)))? {
            Some(head) => Ok(head),
            // The last entry goes only when no other is left.
            None => Ok(self.audit_gaps(tenant)?.pop().map(|(_, last, hash)| (last, hash)).unwrap_or_default()),
        }
    }
}

impl Tx<'_> {
    /// Adds an entry to the chain of its tenant, whatever its number and hash say; returns its number.
    pub fn add_audit(&mut self, entry: &AuditEntry) -> Result<i64, StoreError> {
        let (last, previous) = self.audit_head(&entry.tenant)?;
        let mut entry = entry.clone();
        entry.number = last + 1;
        entry.hash = chained(&previous, &entry);
        let sql = concat!("INSERT INTO audit (", columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        self.session().execute(
            sql,
            &parameters![
                entry.number,
                &entry.tenant,
                entry.at,
                &entry.actor,
                &entry.action,
                &entry.subject,
                entry.detail.as_ref(),
                &entry.hash,
            ],
        )?;
        Ok(entry.number)
    }

    /// Removes the entries of a tenant from before a time that are among the 1,000 after this number, and remembers where the
    /// chain goes on behind them. See [`Swept`].
    pub fn prune_audit(&mut self, tenant: &str, before: Timestamp, after: i64) -> Result<Swept, StoreError> {
        let sql = "SELECT number, hash, at FROM audit WHERE tenant = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        let read = |row: &Row<'_>| Ok((row.integer(0)?, row.text(1)?, row.time(2)? < before));
        let page = self.session().query(sql, &parameters![tenant, after, SLICE], read)?;
        let Some(last) = page.last().map(|(number, ..)| *number) else { return Ok(Swept::default()) };
        let first = "SELECT number FROM audit WHERE tenant = ?1 ORDER BY number LIMIT 1";
        let first = self.session().query_one(first, &parameters![tenant], |row| row.integer(0))?;
        let head = self.audit_head(tenant)?.0;
        let mut gaps = self.audit_gaps(tenant)?;
        let mut keeps_one = first.is_some_and(|first| first <= after);
        let mut removed = 0;
        for (number, hash, is_old) in page {
            // New entries follow the last one: it stays as long as an earlier one does.
            if !is_old || (number == head && keeps_one) {
                keeps_one = true;
                continue;
            }
            let sql = "DELETE FROM audit WHERE tenant = ?1 AND number = ?2";
            removed += self.session().execute(sql, &parameters![tenant, number])?;
            widen(&mut gaps, number, hash);
        }
        let goes_on = last < head
            && (removed > 0
                || self.is_old_beyond(last, |number| {
                    let sql = "SELECT at FROM audit WHERE tenant = ?1 AND number > ?2 ORDER BY number LIMIT 1";
                    self.session().query_one(sql, &parameters![tenant, number], |row| Ok(row.time(0)? < before))
                })?);
        if removed > 0 {
            self.set_meta(&gaps_name(tenant), &json!(gaps).to_string())?;
        }
        Ok(Swept { removed, next: goes_on.then_some(last) })
    }
}

#[cfg(test)]
mod tests;
