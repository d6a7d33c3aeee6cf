//! What a person does to accounts: link, look again, drop (DESIGN section 9).

use jiff::Timestamp;

use super::Unique;
use crate::driver::parameters;
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// Points an account to another remote account (or to none) by hand, in doubt and due at once. What was kept of the
    /// former one, and the secrets made for it, go with it.
    ///
    /// # Errors
    /// [`StoreError::Taken`] (`remote id`) if another account of the target has it; [`StoreError::NotFound`].
    pub fn link(
        &mut self,
        resource: i64,
        target: &str,
        remote_id: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let account = self.account(resource, target)?.ok_or(StoreError::NotFound("account"))?;
        if let Some(id) = remote_id {
            self.check_free(&account.tenant, target, Unique::RemoteId, id, resource)?;
        }
        let is_another = account.remote_id.as_deref() != remote_id;
        let sql = "UPDATE account SET wanted = wanted + 1, state = 'due', reason = NULL, attempts = 0, due_at = ?4, \
                   lease_token = NULL, lease_until = NULL, doubt = 'read', remote_id = ?3, digest = NULL, \
                   observed = NULL, candidate = NULL, \
                   kept = CASE WHEN ?5 = 1 THEN NULL ELSE kept END, \
                   secret = CASE WHEN ?5 = 1 THEN NULL ELSE secret END, \
                   secret_pending = CASE WHEN ?5 = 1 THEN 0 ELSE secret_pending END, \
                   proof = CASE WHEN ?5 = 1 THEN NULL ELSE proof END, \
                   last_write_at = CASE WHEN ?5 = 1 THEN NULL ELSE last_write_at END, \
                   failing_since = NULL, updated = ?4 WHERE resource = ?1 AND target = ?2";
        self.session().execute(sql, &parameters![resource, target, remote_id, now, is_another])?;
        Ok(())
    }

    /// Makes an account due at once and in doubt, so that it is read and compared whatever was sent last. False if there is
    /// none, or it was handed over.
    pub fn look_again(&mut self, resource: i64, target: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE account SET wanted = wanted + 1, state = 'due', reason = NULL, attempts = 0, due_at = ?3, \
                   doubt = CASE WHEN doubt = 'none' THEN 'read' ELSE doubt END, digest = NULL, updated = ?3 \
                   WHERE resource = ?1 AND target = ?2 AND state <> 'handed_over'";
        Ok(self.session().execute(sql, &parameters![resource, target, now])? > 0)
    }

    /// Forgets an account, whatever the target has; false if there was none.
    pub fn drop_account(&mut self, resource: i64, target: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM account WHERE resource = ?1 AND target = ?2";
        Ok(self.session().execute(sql, &parameters![resource, target])? > 0)
    }
}
