//! Those who are gone for good. A deleted user is remembered for a while: whoever comes back gets the same account, and the number
//! that it has (DESIGN section 7, "Adoption"); the number of an account that was deleted rests. Then nothing of the person is kept, unless a target still has an account of theirs or
//! something is left to be done.

use jiff::Timestamp;

use crate::driver::parameters;
use crate::{Db, StoreError, Tx};

/// A deleted resource, and whether it can be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departed {
    /// Its key.
    pub key: i64,
    /// When it was deleted.
    pub deleted: Timestamp,
    /// Whether no target has an account of it, and nobody has anything to do about it.
    pub is_finished: bool,
}

/// What is left of a resource `r`: an account, or work on one, a value of a pool, the memberships of a group.
macro_rules! left {
    () => {
        "CASE WHEN EXISTS (SELECT 1 FROM account AS a WHERE a.resource = r.key AND a.state <> 'handed_over' AND \
         (a.remote_id IS NOT NULL OR a.doubt <> 'none' OR a.lease_token IS NOT NULL OR a.applied < a.wanted \
         OR a.state NOT IN ('settled', 'out_of_scope'))) \
         OR EXISTS (SELECT 1 FROM assignment AS v WHERE v.resource = r.key) \
         OR EXISTS (SELECT 1 FROM member AS m WHERE m.resource = r.key) THEN 1 ELSE 0 END"
    };
}

impl Db<'_> {
    /// Resources that were deleted before a time, those that were deleted first first, after this one of the page before.
    pub fn departed(
        &self,
        before: Timestamp,
        after: Option<Departed>,
        limit: usize,
    ) -> Result<Vec<Departed>, StoreError> {
        let sql = concat!(
            "SELECT r.key, r.modified, ",
            left!(),
            " FROM resource AS r WHERE r.state <> 'live' AND r.state = 'deleted' AND r.modified < ?1 \
             AND (r.modified > ?2 OR (r.modified = ?2 AND r.key > ?3)) ORDER BY r.modified, r.key LIMIT ?4"
        );
        let (time, key) = after.map_or((Timestamp::UNIX_EPOCH, 0), |last| (last.deleted, last.key));
        self.session().query(sql, &parameters![before, time, key, limit], |row| {
            Ok(Departed { key: row.integer(0)?, deleted: row.time(1)?, is_finished: !row.is_true(2)? })
        })
    }
}

impl Tx<'_> {
    /// Forgets a deleted resource with all that is known of it; false, and nothing removed, if something of it is left.
    pub fn forget(&mut self, key: i64) -> Result<bool, StoreError> {
        let sql = concat!("SELECT ", left!(), " FROM resource AS r WHERE r.key = ?1 AND r.state = 'deleted'");
        let is_left = self.session().query_one(sql, &parameters![key], |row| row.is_true(0))?;
        if is_left.is_none_or(|is_left| is_left) { Ok(false) } else { self.purge_resource(key) }
    }
}

#[cfg(test)]
mod tests;
