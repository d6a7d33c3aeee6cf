//! Who did what, per tenant in a chain of hashes: an entry cannot be changed or taken out without breaking the chain.

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::driver::{Row, parameters};
use crate::{AuditEntry, Db, StoreError, Tx};

/// How many entries one prune removes.
const SLICE: i64 = 1000;

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

/// Number and hash before the first entry of a chain that was never pruned.
fn origin() -> (i64, String) {
    (0, String::new())
}

fn anchor_name(tenant: &str) -> String {
    format!("audit/{tenant}")
}

impl Db<'_> {
    /// Entries of a tenant in the order of the chain, after number `after`.
    pub fn audit(&self, tenant: &str, after: i64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let sql =
            concat!("SELECT ", columns!(), " FROM audit WHERE tenant = ?1 AND number > ?2 ORDER BY number LIMIT ?3");
        self.session().query(sql, &parameters![tenant, after, limit], entry)
    }

    /// Follows the chain of a tenant from its beginning; `None` if it is whole. A scan.
    pub fn verify_audit(&self, tenant: &str) -> Result<Option<AuditBreak>, StoreError> {
        let (mut number, mut hash) = self.audit_anchor(tenant)?;
        let mut broken = None;
        let sql = concat!("SELECT ", columns!(), " FROM audit WHERE tenant = ?1 ORDER BY number");
        self.session().each(sql, &parameters![tenant], |row| {
            let entry = entry(row)?;
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

    /// The last entry that was pruned.
    fn audit_anchor(&self, tenant: &str) -> Result<(i64, String), StoreError> {
        let Some(text) = self.meta(&anchor_name(tenant))? else { return Ok(origin()) };
        serde_json::from_str(&text).map_err(StoreError::corrupt)
    }

    /// Number and hash of the last entry.
    fn audit_head(&self, tenant: &str) -> Result<(i64, String), StoreError> {
        let sql = "SELECT number, hash FROM audit WHERE tenant = ?1 ORDER BY number DESC LIMIT 1";
        match self.session().query_one(sql, &parameters![tenant], |row| Ok((row.integer(0)?, row.text(1)?)))? {
            Some(head) => Ok(head),
            None => self.audit_anchor(tenant),
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

    /// Removes the beginning of a tenant's chain up to a time, at most 1,000 entries, and remembers where the rest goes on.
    /// Returns how many.
    pub fn prune_audit(&mut self, tenant: &str, before: Timestamp) -> Result<usize, StoreError> {
        let mut last = None;
        let sql = "SELECT number, hash, at FROM audit WHERE tenant = ?1 ORDER BY number LIMIT ?2";
        self.session().each(sql, &parameters![tenant, SLICE], |row| {
            let is_old = row.time(2)? < before;
            if is_old {
                last = Some((row.integer(0)?, row.text(1)?));
            }
            Ok(is_old)
        })?;
        let Some((number, hash)) = last else { return Ok(0) };
        self.set_meta(&anchor_name(tenant), &json!([number, hash]).to_string())?;
        self.session().execute("DELETE FROM audit WHERE tenant = ?1 AND number <= ?2", &parameters![tenant, number])
    }
}

#[cfg(test)]
mod tests;
