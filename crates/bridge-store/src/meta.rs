//! Small facts about the installation, by name; among them what each target points to (DESIGN section 9).

use crate::driver::parameters;
use crate::{Db, StoreError, TargetPlace, Tx};

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
        self.meta(&place_name(tenant, target))
    }

    /// All targets that were ever accepted and not forgotten, and whether they hold accounts.
    pub fn target_places(&self) -> Result<Vec<TargetPlace>, StoreError> {
        let mut places = Vec::new();
        for (name, fingerprint) in self.meta_with_prefix(PLACE)? {
            let Some((tenant, target)) = name[PLACE.len()..].split_once('/') else { continue };
            let accounts = self.accounts_at(tenant, target)?;
            places.push(TargetPlace { tenant: tenant.to_owned(), target: target.to_owned(), fingerprint, accounts });
        }
        Ok(places)
    }

    /// How many accounts a target is known to hold, up to 1,000: with a remote id, or else a natural key.
    fn accounts_at(&self, tenant: &str, target: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT 1 AS one FROM account WHERE tenant = ?1 AND target = ?2 \
                   AND remote_id IS NOT NULL LIMIT 1000) AS found";
        let found = self.session().query_one(sql, &parameters![tenant, target], |row| row.count(0))?;
        if let Some(found @ 1..) = found {
            return Ok(found);
        }
        let sql = "SELECT count(*) FROM (SELECT 1 AS one FROM account WHERE tenant = ?1 AND target = ?2 \
                   AND natural_key IS NOT NULL LIMIT 1000) AS found";
        Ok(self.session().query_one(sql, &parameters![tenant, target], |row| row.count(0))?.unwrap_or_default())
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
    pub fn put_target_place(&mut self, tenant: &str, target: &str, fingerprint: &str) -> Result<(), StoreError> {
        self.set_meta(&place_name(tenant, target), fingerprint)
    }

    /// Forgets a target; false if it was not known. Its accounts stay.
    pub fn remove_target_place(&mut self, tenant: &str, target: &str) -> Result<bool, StoreError> {
        self.remove_meta(&place_name(tenant, target))
    }

    /// Gives a target another name, with its accounts and calls. Touches all of them at once: for start-up.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if no target of that name was accepted; [`StoreError::Taken`] (`target`) if the new name is
    /// known already.
    pub fn rename_target(&mut self, tenant: &str, old: &str, new: &str) -> Result<(), StoreError> {
        let fingerprint = self.fingerprint(tenant, old)?.ok_or(StoreError::NotFound("target"))?;
        if self.fingerprint(tenant, new)?.is_some() {
            return Err(StoreError::taken("target", 0));
        }
        for sql in [
            "UPDATE account SET target = ?3 WHERE tenant = ?1 AND target = ?2",
            "UPDATE call SET target = ?3 WHERE tenant = ?1 AND target = ?2",
            "UPDATE brake SET target = ?3 WHERE tenant = ?1 AND target = ?2",
        ] {
            self.session().execute(sql, &parameters![tenant, old, new])?;
        }
        self.remove_target_place(tenant, old)?;
        self.put_target_place(tenant, new, &fingerprint)
    }
}

/// How the names of these facts begin.
const PLACE: &str = "target/";

/// Names of tenants and targets hold no slash.
fn place_name(tenant: &str, target: &str) -> String {
    format!("{PLACE}{tenant}/{target}")
}

#[cfg(test)]
mod tests;
