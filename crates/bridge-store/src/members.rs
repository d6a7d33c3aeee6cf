//! The members of groups: one row per edge, so that adding one member costs the same in a group of ten and of 100,000; and
//! the backlog, in which a long job remembers what is left of it (DESIGN section 6, "Group writes").
//!
//! A member is named by its public id and need not exist (yet). Nothing here touches the version of the group: see
//! `touch_resource`.

use crate::driver::{Row, parameters};
use crate::{Backlog, Db, GroupOf, Member, StoreError, Tx};

impl Db<'_> {
    /// The members of a group in the order of their ids, after `after`.
    pub fn members_of(&self, group: i64, after: &str, limit: usize) -> Result<Vec<Member>, StoreError> {
        let sql = "SELECT member, kind FROM member WHERE resource = ?1 AND member > ?2 ORDER BY member LIMIT ?3";
        self.session().query(sql, &parameters![group, after, limit], |row| {
            Ok(Member { value: row.text(0)?, kind: row.optional_text(1)? })
        })
    }

    /// How many members a group has.
    pub fn member_count(&self, group: i64) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM member WHERE resource = ?1";
        Ok(self.session().query_one(sql, &parameters![group], |row| row.count(0))?.unwrap_or_default())
    }

    /// Whether a group has this member.
    pub fn is_member(&self, group: i64, member: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM member WHERE resource = ?1 AND member = ?2";
        Ok(self.session().query_one(sql, &parameters![group, member], |row| row.integer(0))?.is_some())
    }

    /// Those members of a group that exist as live resources: public id and key, in the order of the ids, after `after`.
    pub fn known_members_of(&self, group: i64, after: &str, limit: usize) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = "SELECT m.member, r.key FROM member AS m CROSS JOIN resource AS r WHERE m.resource = ?1 \
                   AND m.member > ?2 AND r.tenant = m.tenant AND r.id = m.member AND r.state = 'live' \
                   ORDER BY m.member LIMIT ?3";
        self.session().query(sql, &parameters![group, after, limit], |row| Ok((row.text(0)?, row.integer(1)?)))
    }

    /// The live groups that have a member, by their ids.
    pub fn groups_of(&self, tenant: &str, member: &str) -> Result<Vec<GroupOf>, StoreError> {
        let sql = "SELECT r.key, r.id, r.document FROM member AS m CROSS JOIN resource AS r WHERE m.tenant = ?1 \
                   AND m.member = ?2 AND r.key = m.resource AND r.state = 'live' ORDER BY r.id";
        self.session().query(sql, &parameters![tenant, member], |row| {
            let document: scim_model::Document = row.json(2)?;
            let display_name = document.text("displayName").unwrap_or_default().to_owned();
            Ok(GroupOf { key: row.integer(0)?, id: row.text(1)?, display_name })
        })
    }

    /// The oldest job of that kind that is not finished.
    pub fn next_backlog(&self, kind: &str) -> Result<Option<Backlog>, StoreError> {
        let sql = "SELECT key, tenant, kind, subject, position, detail, created FROM backlog WHERE kind = ?1 \
                   ORDER BY key LIMIT 1";
        self.session().query_one(sql, &parameters![kind], backlog)
    }
}

fn backlog(row: &Row<'_>) -> Result<Backlog, StoreError> {
    Ok(Backlog {
        key: row.integer(0)?,
        tenant: row.text(1)?,
        kind: row.text(2)?,
        subject: row.integer(3)?,
        position: row.text(4)?,
        detail: row.optional_json(5)?,
        created: row.time(6)?,
    })
}

impl Tx<'_> {
    /// Adds members to a group; returns the ids of those it did not have. At most 2,000 at a time.
    pub fn add_members(&mut self, tenant: &str, group: i64, members: &[Member]) -> Result<Vec<String>, StoreError> {
        let sql = "INSERT INTO member (resource, member, tenant, kind) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        let mut added = Vec::new();
        for member in members {
            let parameters = parameters![group, &member.value, tenant, member.kind.as_ref()];
            if self.session().execute(sql, &parameters)? > 0 {
                added.push(member.value.clone());
            }
        }
        Ok(added)
    }

    /// Removes members from a group; returns the ids of those it had. At most 2,000 at a time.
    pub fn remove_members(&mut self, group: i64, members: &[String]) -> Result<Vec<String>, StoreError> {
        let mut removed = Vec::new();
        for member in members {
            let sql = "DELETE FROM member WHERE resource = ?1 AND member = ?2";
            if self.session().execute(sql, &parameters![group, member])? > 0 {
                removed.push(member.clone());
            }
        }
        Ok(removed)
    }

    /// Removes a member that is gone from all groups; returns the keys of the groups that had it.
    pub fn leave_groups(&mut self, tenant: &str, member: &str) -> Result<Vec<i64>, StoreError> {
        let sql = "DELETE FROM member WHERE tenant = ?1 AND member = ?2 RETURNING resource";
        let mut groups = self.session().query(sql, &parameters![tenant, member], |row| row.integer(0))?;
        groups.sort_unstable();
        Ok(groups)
    }

    /// Writes down a job that goes on after this transaction; returns its key.
    pub fn add_backlog(&mut self, entry: &Backlog) -> Result<i64, StoreError> {
        let sql =
            "INSERT INTO backlog (tenant, kind, subject, position, detail, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let parameters = parameters![
            &entry.tenant,
            &entry.kind,
            entry.subject,
            &entry.position,
            entry.detail.as_ref(),
            entry.created,
        ];
        self.session().insert(sql, &parameters)?.ok_or(StoreError::NotFound("backlog"))
    }

    /// Notes how far a job has come; false if it is finished.
    pub fn advance_backlog(&mut self, key: i64, position: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE backlog SET position = ?2 WHERE key = ?1";
        Ok(self.session().execute(sql, &parameters![key, position])? > 0)
    }

    /// Removes a job that is finished; false if it was already.
    pub fn finish_backlog(&mut self, key: i64) -> Result<bool, StoreError> {
        Ok(self.session().execute("DELETE FROM backlog WHERE key = ?1", &parameters![key])? > 0)
    }
}

#[cfg(test)]
mod tests;
