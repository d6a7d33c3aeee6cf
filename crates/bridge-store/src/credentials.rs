//! Connection tokens: found by their selector, compared by hash, never stored themselves (DESIGN section 9).

use jiff::Timestamp;

use crate::driver::{Row, parameters};
use crate::{Credential, Db, StoreError, Tx};

/// Uses of a credential closer together than this are written down once, in milliseconds: an hour.
const USE_GRAIN: i64 = 3_600_000;

macro_rules! columns {
    () => {
        "selector, hash, tenant, connection, label, scopes, created, expires, revoked, last_used, subject"
    };
}

fn credential(row: &Row<'_>) -> Result<Credential, StoreError> {
    Ok(Credential {
        selector: row.text(0)?,
        hash: row.optional_blob(1)?.unwrap_or_default(),
        tenant: row.text(2)?,
        connection: row.text(3)?,
        label: row.text(4)?,
        scopes: row.text(5)?,
        created: row.time(6)?,
        expires: row.optional_time(7)?,
        revoked: row.optional_time(8)?,
        last_used: row.optional_time(9)?,
        subject: row.optional_text(10)?,
    })
}

impl Db<'_> {
    /// The credential of a selector, revoked and expired ones included: the caller judges.
    pub fn credential_by_selector(&self, selector: &str) -> Result<Option<Credential>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM credential WHERE selector = ?1");
        self.session().query_one(sql, &parameters![selector], credential)
    }

    /// The credentials of a tenant, or of all tenants, in the order they were made.
    pub fn credentials(&self, tenant: Option<&str>) -> Result<Vec<Credential>, StoreError> {
        let sql =
            concat!("SELECT ", columns!(), " FROM credential WHERE ?1 = '' OR tenant = ?1 ORDER BY created, selector");
        self.session().query(sql, &parameters![tenant.unwrap_or_default()], credential)
    }
}

impl Tx<'_> {
    /// Adds a credential.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if there is one with that selector.
    pub fn put_credential(&mut self, credential: &Credential) -> Result<(), StoreError> {
        let sql = concat!(
            "INSERT INTO credential (",
            columns!(),
            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING"
        );
        let added = self.session().execute(
            sql,
            &parameters![
                &credential.selector,
                credential.hash.as_slice(),
                &credential.tenant,
                &credential.connection,
                &credential.label,
                &credential.scopes,
                credential.created,
                credential.expires,
                credential.revoked,
                credential.last_used,
                credential.subject.as_deref(),
            ],
        )?;
        if added == 0 { Err(StoreError::taken("selector", 0)) } else { Ok(()) }
    }

    /// Ends a credential of the tenant; false if there is none that was still open.
    pub fn revoke_credential(&mut self, tenant: &str, selector: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE credential SET revoked = ?3 WHERE tenant = ?1 AND selector = ?2 AND revoked IS NULL";
        Ok(self.session().execute(sql, &parameters![tenant, selector, now])? > 0)
    }

    /// Notes that a credential was used, if that was not noted within the hour. Returns whether it was written now.
    pub fn touch_credential(&mut self, selector: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE credential SET last_used = ?2 WHERE selector = ?1 AND (last_used IS NULL OR last_used <= ?3)";
        let before = now.as_millisecond().saturating_sub(USE_GRAIN);
        Ok(self.session().execute(sql, &parameters![selector, now, before])? > 0)
    }
}

#[cfg(test)]
mod tests;
