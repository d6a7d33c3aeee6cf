//! The members of groups: one row per edge, so that adding one member costs the same in a group of ten and of 100,000; and
//! the backlog, in which a long job remembers what is left of it (DESIGN section 6, "Group writes").
//!
//! A member is named by its public id and need not exist (yet); `kind` says what it is as soon as that is known. Groups may
//! be members of groups, also in a circle. Nothing here touches the version of the group: see `touch_resource`.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use crate::driver::{Row, parameters};
use crate::{Backlog, Db, GroupOf, Member, NamedMember, StoreError, Tx};

/// Groups that are remembered at most; beyond, all are forgotten.
const SEEN: usize = 1000;

/// What is read of a member's document to name it; everything else is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Names {
    display_name: Option<String>,
    user_name: Option<String>,
}

/// A group that somebody is in.
#[derive(Debug, Clone)]
pub(crate) struct SeenGroup {
    as_member_sees_it: GroupOf,
    /// Whether it is itself a member of something.
    has_parents: bool,
}

/// Groups that were read at one state of the database, by key; `None` for what is no live group.
pub(crate) type SeenGroups = HashMap<i64, Option<SeenGroup>>;

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

    /// The members of a group in the order of their ids, after `after`, as a client sees them: those that exist with what
    /// they are and what they are called.
    pub fn named_members_of(&self, group: i64, after: &str, limit: usize) -> Result<Vec<NamedMember>, StoreError> {
        let sql = "SELECT m.member, m.kind, r.resource_type, r.document FROM member AS m LEFT JOIN resource AS r \
                   ON r.tenant = m.tenant AND r.id = m.member AND r.state = 'live' WHERE m.resource = ?1 \
                   AND m.member > ?2 ORDER BY m.member LIMIT ?3";
        self.session().query(sql, &parameters![group, after, limit], |row| {
            let names: Option<Names> = row.optional_json(3)?;
            let is_known = row.optional_text(2)?;
            Ok(NamedMember {
                value: row.text(0)?,
                display: names.and_then(|names| names.display_name.or(names.user_name)),
                is_known: is_known.is_some(),
                kind: is_known.or(row.optional_text(1)?),
            })
        })
    }

    /// The live groups that have a member, by their ids: those that name it, and those that name one of these groups.
    pub fn groups_of(&self, tenant: &str, member: &str) -> Result<Vec<GroupOf>, StoreError> {
        let sql = "SELECT resource FROM member WHERE tenant = ?1 AND member = ?2";
        let keys: Vec<i64> = self.session().query(sql, &parameters![tenant, member], |row| row.integer(0))?;
        let mut direct = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(group) = self.group_at(key)? else { continue };
            // Most people are in groups that are in no group: only the others are worth a walk.
            if group.has_parents {
                return self.groups_above(tenant, member);
            }
            direct.push(group.as_member_sees_it);
        }
        direct.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        Ok(direct)
    }

    /// A live group as a direct member sees it. The people of a page are mostly in the same groups: what was read of them at
    /// this state of the database is remembered.
    fn group_at(&self, key: i64) -> Result<Option<SeenGroup>, StoreError> {
        if let Some(seen) = self.seen_groups().and_then(|seen| seen.borrow().get(&key).cloned()) {
            return Ok(seen);
        }
        let sql = "SELECT r.key, r.id, r.document, 1, EXISTS (SELECT 1 FROM member AS m WHERE m.tenant = r.tenant \
                   AND m.member = r.id) FROM resource AS r WHERE r.key = ?1 AND r.state = 'live'";
        let group = self.session().query_one(sql, &parameters![key], |row| {
            Ok(SeenGroup { as_member_sees_it: group_of(row)?, has_parents: row.is_true(4)? })
        })?;
        if let Some(seen) = self.seen_groups() {
            let mut seen = seen.borrow_mut();
            if seen.len() >= SEEN {
                seen.clear();
            }
            seen.insert(key, group.clone());
        }
        Ok(group)
    }

    /// The same by a walk from group to group.
    fn groups_above(&self, tenant: &str, member: &str) -> Result<Vec<GroupOf>, StoreError> {
        // UNION lets every group in once, as direct and as indirect one: a circle of groups ends.
        let sql = "WITH RECURSIVE up (key, id, direct) AS ( \
                     SELECT r.key, r.id, 1 FROM member AS m CROSS JOIN resource AS r WHERE m.tenant = ?1 \
                     AND m.member = ?2 AND r.key = m.resource AND r.state = 'live' \
                     UNION SELECT r.key, r.id, 0 FROM up CROSS JOIN member AS m CROSS JOIN resource AS r \
                     WHERE m.tenant = ?1 AND m.member = up.id AND r.key = m.resource AND r.state = 'live') \
                   SELECT r.key, r.id, r.document, once.direct FROM (SELECT key, max(direct) AS direct FROM up GROUP BY key) \
                   AS once CROSS JOIN resource AS r WHERE r.key = once.key ORDER BY r.id";
        self.session().query(sql, &parameters![tenant, member], group_of)
    }

    /// The oldest job of that kind that is not finished.
    pub fn next_backlog(&self, kind: &str) -> Result<Option<Backlog>, StoreError> {
        let sql = "SELECT key, tenant, kind, subject, position, detail, created FROM backlog WHERE kind = ?1 \
                   ORDER BY key LIMIT 1";
        self.session().query_one(sql, &parameters![kind], backlog)
    }
}

fn group_of(row: &Row<'_>) -> Result<GroupOf, StoreError> {
    let names: Names = row.json(2)?;
    let display_name = names.display_name.unwrap_or_default();
    Ok(GroupOf { key: row.integer(0)?, id: row.text(1)?, display_name, is_direct: row.is_true(3)? })
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
    /// Adds members to a group; returns the ids of those it did not have. What a member is, the store knows better than
    /// the client.
    pub fn add_members(&mut self, tenant: &str, group: i64, members: &[Member]) -> Result<Vec<String>, StoreError> {
        let sql = "INSERT INTO member (resource, member, tenant, kind) VALUES (?1, ?2, ?3, coalesce((SELECT resource_type \
                   FROM resource WHERE tenant = ?3 AND id = ?2), ?4)) ON CONFLICT DO NOTHING";
        let mut added = Vec::new();
        for member in members {
            let parameters = parameters![group, &member.value, tenant, member.kind.as_ref()];
            if self.session().execute(sql, &parameters)? > 0 {
                added.push(member.value.clone());
            }
        }
        Ok(added)
    }

    /// Removes members from a group; returns the ids of those it had.
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

    /// Makes these the members of a group, and nobody else; returns the ids of those who came or went.
    pub fn replace_members(&mut self, tenant: &str, group: i64, members: &[Member]) -> Result<Vec<String>, StoreError> {
        if members.is_empty() {
            let sql = "DELETE FROM member WHERE resource = ?1 RETURNING member";
            let mut removed = self.session().query(sql, &parameters![group], |row| row.text(0))?;
            removed.sort_unstable();
            return Ok(removed);
        }
        let sql = "SELECT member FROM member WHERE resource = ?1";
        let before: Vec<String> = self.session().query(sql, &parameters![group], |row| row.text(0))?;
        let wanted: HashSet<&str> = members.iter().map(|member| member.value.as_str()).collect();
        let leavers: Vec<String> = before.into_iter().filter(|member| !wanted.contains(member.as_str())).collect();
        let mut changed = self.remove_members(group, &leavers)?;
        changed.extend(self.add_members(tenant, group, members)?);
        Ok(changed)
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
