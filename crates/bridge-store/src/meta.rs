//! Small facts about the installation, by name; among them the fingerprint of each target (DESIGN section 9).

use crate::driver::parameters;
use crate::{Db, StoreError, Tx};

impl Db<'_> {
    /// The fact of that name.
    pub fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.session().query_one("SELECT value FROM meta WHERE name = ?1", &parameters![name], |row| row.text(0))
    }

    /// All facts whose name begins with `prefix`, by name.
    pub fn meta_with_prefix(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let length = prefix.chars().count();
        self.session().query(
            "SELECT name, value FROM meta WHERE name >= ?1 AND substr(name, 1, ?2) = ?1 ORDER BY name",
            &parameters![prefix, length],
            |row| Ok((row.text(0)?, row.text(1)?)),
        )
    }

    /// What a target pointed to when it was last accepted.
    pub fn fingerprint(&self, tenant: &str, target: &str) -> Result<Option<String>, StoreError> {
        self.meta(&fingerprint_name(tenant, target))
    }

    /// The fingerprints of all targets of a tenant, by target.
    pub fn fingerprints(&self, tenant: &str) -> Result<Vec<(String, String)>, StoreError> {
        let prefix = fingerprint_name(tenant, "");
        let found = self.meta_with_prefix(&prefix)?;
        Ok(found.into_iter().map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect())
    }
}

impl Tx<'_> {
    /// Writes a fact.
    pub fn set_meta(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        self.session().execute(
            "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            &parameters![name, value],
        )?;
        Ok(())
    }

    /// Forgets a fact; false if there was none.
    pub fn remove_meta(&mut self, name: &str) -> Result<bool, StoreError> {
        Ok(self.session().execute("DELETE FROM meta WHERE name = ?1", &parameters![name])? > 0)
    }

    /// Remembers what a target points to.
    pub fn set_fingerprint(&mut self, tenant: &str, target: &str, fingerprint: &str) -> Result<(), StoreError> {
        self.set_meta(&fingerprint_name(tenant, target), fingerprint)
    }

    /// Forgets a target; false if it was not known.
    pub fn remove_fingerprint(&mut self, tenant: &str, target: &str) -> Result<bool, StoreError> {
        self.remove_meta(&fingerprint_name(tenant, target))
    }
}

/// Names of tenants and targets hold no slash.
fn fingerprint_name(tenant: &str, target: &str) -> String {
    format!("fingerprint/{tenant}/{target}")
}
