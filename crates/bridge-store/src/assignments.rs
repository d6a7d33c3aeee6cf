//! Pools: scarce values handed out to resources (DESIGN section 7, "Pools").
//!
//! A pool walks its ranges once: `position` counts the values it has passed, and every value it passed has a row or was
//! skipped because it had one. Values given back have rows too, found by the time from which they are free. So neither a
//! nearly full pool nor a large one makes handing out slower, and a value rests as long as possible before it is used again.

use jiff::Timestamp;

use crate::driver::{Row, parameters};
use crate::{Assignment, AssignmentState, Db, PoolUsage, Range, StoreError, Tx};

/// How many rows one look at the values ahead reads.
const AHEAD: usize = 500;

impl Range {
    fn len(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// The text of the value at `offset`, from 0.
    #[must_use]
    pub fn value(self, offset: u64) -> String {
        format!("{:0width$}", self.first + offset, width = self.width)
    }

    /// How many values the ranges of a pool have.
    #[must_use]
    pub fn size(ranges: &[Self]) -> u64 {
        ranges.iter().map(|range| range.len()).sum()
    }

    /// The value that comes `steps` after another one, over all ranges of a pool; none behind the last one, or if the other
    /// is in no range.
    #[must_use]
    pub fn following(ranges: &[Self], value: &str, steps: u64) -> Option<String> {
        let mut before = 0;
        for range in ranges {
            if let Some(offset) = range.offset(value) {
                let (range, offset) = at(ranges, before + offset + steps)?;
                return Some(range.value(offset));
            }
            before += range.len();
        }
        None
    }

    /// Where in the range a value is.
    fn offset(self, value: &str) -> Option<u64> {
        if value.len() != self.width || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = value.parse::<u64>().ok()?;
        (self.first..=self.last).contains(&number).then(|| number - self.first)
    }
}

/// The range that holds the value at `position` of all ranges, and where in it.
fn at(ranges: &[Range], position: u64) -> Option<(Range, u64)> {
    let mut offset = position;
    for range in ranges {
        if offset < range.len() {
            return Some((*range, offset));
        }
        offset -= range.len();
    }
    None
}

fn contains(ranges: &[Range], value: &str) -> bool {
    ranges.iter().any(|range| range.offset(value).is_some())
}

/// The text by which changed ranges are noticed.
fn text(ranges: &[Range]) -> String {
    let texts: Vec<String> =
        ranges.iter().map(|range| format!("{}-{}", range.value(0), range.value(range.len() - 1))).collect();
    texts.join(",")
}

macro_rules! columns {
    () => {
        "tenant, pool, value, resource, state, free_at, updated"
    };
}

fn assignment(row: &Row<'_>) -> Result<Assignment, StoreError> {
    Ok(Assignment {
        tenant: row.text(0)?,
        pool: row.text(1)?,
        value: row.text(2)?,
        resource: row.optional_integer(3)?,
        state: row.word(4)?,
        free_at: row.optional_time(5)?,
        updated: row.time(6)?,
    })
}

/// A value that can be handed out, and where the walk over the ranges stands after it.
struct Candidate {
    value: String,
    position: u64,
}

impl Db<'_> {
    /// The values a resource has, by pool.
    pub fn assignments_of(&self, resource: i64) -> Result<Vec<Assignment>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM assignment WHERE resource = ?1 ORDER BY pool");
        self.session().query(sql, &parameters![resource], assignment)
    }

    /// What is known about a value of a pool; `None` if it was never handed out.
    pub fn assignment(&self, tenant: &str, pool: &str, value: &str) -> Result<Option<Assignment>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM assignment WHERE tenant = ?1 AND pool = ?2 AND value = ?3");
        self.session().query_one(sql, &parameters![tenant, pool, value], assignment)
    }

    /// The values of a pool that are or were in use, in their order, after `after`.
    pub fn assignments_where(
        &self,
        tenant: &str,
        pool: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Assignment>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM assignment WHERE tenant = ?1 AND pool = ?2 AND value > ?3 ORDER BY value LIMIT ?4"
        );
        self.session().query(sql, &parameters![tenant, pool, after, limit], assignment)
    }

    /// The value that `reserve` would hand out to a resource that has none; nothing is reserved. `None` if there is none.
    pub fn next_free(
        &self,
        tenant: &str,
        pool: &str,
        ranges: &[Range],
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        Ok(self.candidate(tenant, pool, ranges, now)?.map(|candidate| candidate.value))
    }

    /// Whether at least `count` values of a pool were never in use. Looks only at what lies ahead of the walk.
    pub fn has_unused(&self, tenant: &str, pool: &str, ranges: &[Range], count: u64) -> Result<bool, StoreError> {
        let mut position = self.walked(tenant, pool, ranges)?;
        let mut unused = Range::size(ranges).saturating_sub(position);
        while let Some((range, offset)) = at(ranges, position) {
            let sql = "SELECT count(*) FROM assignment WHERE tenant = ?1 AND pool = ?2 AND value >= ?3 AND value <= ?4";
            let (first, last) = (range.value(offset), range.value(range.len() - 1));
            let used = self.session().query_one(sql, &parameters![tenant, pool, first, last], |row| row.count(0))?;
            unused = unused.saturating_sub(used.unwrap_or_default());
            position += range.len() - offset;
        }
        Ok(unused >= count)
    }

    /// How far the walk over the values of a pool has come. Other ranges than last time are walked from their beginning: what
    /// is in use has a row and is passed over.
    fn walked(&self, tenant: &str, pool: &str, ranges: &[Range]) -> Result<u64, StoreError> {
        let sql = "SELECT position FROM pool WHERE tenant = ?1 AND pool = ?2 AND ranges = ?3";
        let walked = self.session().query_one(sql, &parameters![tenant, pool, text(ranges)], |row| row.count(0))?;
        Ok(walked.unwrap_or_default())
    }

    /// How full a pool is. A scan over its rows.
    pub fn pool_usage(
        &self,
        tenant: &str,
        pool: &str,
        ranges: &[Range],
        now: Timestamp,
    ) -> Result<PoolUsage, StoreError> {
        let mut usage = PoolUsage { size: Range::size(ranges), ..PoolUsage::default() };
        let mut out = 0;
        let sql = "SELECT value, state, free_at FROM assignment WHERE tenant = ?1 AND pool = ?2";
        self.session().each(sql, &parameters![tenant, pool], |row| {
            let (state, free_at) = (row.word(1)?, row.optional_time(2)?);
            let is_cooling = state == AssignmentState::Free && free_at.is_some_and(|free_at| free_at > now);
            match state {
                AssignmentState::Held => usage.held += 1,
                AssignmentState::Confirmed => usage.confirmed += 1,
                AssignmentState::Foreign => usage.foreign += 1,
                AssignmentState::Free => usage.cooling += u64::from(is_cooling),
            }
            let is_out = state != AssignmentState::Free || is_cooling;
            out += u64::from(is_out && contains(ranges, &row.text(0)?));
            Ok(true)
        })?;
        usage.free = usage.size.saturating_sub(out);
        Ok(usage)
    }

    /// The value of a resource in a pool.
    fn value_of(&self, tenant: &str, pool: &str, resource: i64) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM assignment WHERE resource = ?3 AND tenant = ?1 AND pool = ?2";
        self.session().query_one(sql, &parameters![tenant, pool, resource], |row| row.text(0))
    }

    /// The next value to hand out: one that was never used, else the one that has been free for longest.
    fn candidate(
        &self,
        tenant: &str,
        pool: &str,
        ranges: &[Range],
        now: Timestamp,
    ) -> Result<Option<Candidate>, StoreError> {
        let mut position = self.walked(tenant, pool, ranges)?;
        while let Some((range, offset)) = at(ranges, position) {
            let ahead = "SELECT value FROM assignment WHERE tenant = ?1 AND pool = ?2 AND value >= ?3 AND value <= ?4 \
                         ORDER BY value LIMIT ?5";
            let (first, last) = (range.value(offset), range.value(range.len() - 1));
            let mut expected = offset;
            let mut is_gap = false;
            let mut seen = 0;
            self.session().each(ahead, &parameters![tenant, pool, first, last, AHEAD], |row| {
                seen += 1;
                // Values of another width sort in between: they are not of this range.
                if let Some(found) = range.offset(&row.text(0)?) {
                    is_gap = found > expected;
                    expected += u64::from(!is_gap);
                }
                Ok(!is_gap)
            })?;
            let position_here = position - offset;
            if is_gap || (seen < AHEAD && expected < range.len()) {
                return Ok(Some(Candidate { value: range.value(expected), position: position_here + expected + 1 }));
            }
            position = position_here + expected;
        }
        let free = "SELECT value FROM assignment WHERE tenant = ?1 AND pool = ?2 AND state = 'free' AND free_at <= ?3 \
                    ORDER BY free_at, value";
        let mut found = None;
        self.session().each(free, &parameters![tenant, pool, now], |row| {
            let value = row.text(0)?;
            if contains(ranges, &value) {
                found = Some(value);
            }
            Ok(found.is_none())
        })?;
        Ok(found.map(|value| Candidate { value, position }))
    }
}

impl Tx<'_> {
    /// The value of the pool that a resource has, else the next free one, now held for it.
    ///
    /// # Errors
    /// [`StoreError::PoolEmpty`] if every value is in use or cooling off.
    pub fn reserve(
        &mut self,
        tenant: &str,
        pool: &str,
        ranges: &[Range],
        resource: i64,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        if let Some(value) = self.value_of(tenant, pool, resource)? {
            return Ok(value);
        }
        let candidate = self.candidate(tenant, pool, ranges, now)?;
        let candidate = candidate.ok_or_else(|| StoreError::PoolEmpty { pool: pool.to_owned() })?;
        let position = i64::try_from(candidate.position).map_err(StoreError::corrupt)?;
        let walked = parameters![tenant, pool, text(ranges), position];
        let sql = "UPDATE pool SET ranges = ?3, position = ?4 WHERE tenant = ?1 AND pool = ?2";
        if self.session().execute(sql, &walked)? == 0 {
            let sql = "INSERT INTO pool (tenant, pool, ranges, position) VALUES (?1, ?2, ?3, ?4)";
            self.session().execute(sql, &walked)?;
        }
        self.put(tenant, pool, &candidate.value, resource, AssignmentState::Held, now)?;
        Ok(candidate.value)
    }

    /// The target has the value that a resource holds for somebody we do not know: the resource loses it, and nobody gets
    /// it again. Returns the value; `None` if the resource held none.
    pub fn mark_foreign(
        &mut self,
        tenant: &str,
        pool: &str,
        resource: i64,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let sql = "UPDATE assignment SET state = 'foreign', resource = NULL, free_at = NULL, updated = ?4 \
                   WHERE resource = ?3 AND tenant = ?1 AND pool = ?2 RETURNING value";
        self.session().query_one(sql, &parameters![tenant, pool, resource, now], |row| row.text(0))
    }

    /// Makes a foreign value free again: the target no longer has it. False if it was not foreign.
    pub fn unmark_foreign(
        &mut self,
        tenant: &str,
        pool: &str,
        value: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE assignment SET state = 'free', free_at = ?4, updated = ?4 \
                   WHERE tenant = ?1 AND pool = ?2 AND value = ?3 AND state = 'foreign'";
        Ok(self.session().execute(sql, &parameters![tenant, pool, value, now])? > 0)
    }

    /// Notes that the target has the value that a resource holds; false if it holds none, or this was known.
    pub fn confirm(&mut self, tenant: &str, pool: &str, resource: i64, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE assignment SET state = 'confirmed', updated = ?4 \
                   WHERE resource = ?3 AND tenant = ?1 AND pool = ?2 AND state = 'held'";
        Ok(self.session().execute(sql, &parameters![tenant, pool, resource, now])? > 0)
    }

    /// Gives a resource's value back. Never confirmed, it is free at once; else from `cool_until` on. Returns the value.
    pub fn release(
        &mut self,
        tenant: &str,
        pool: &str,
        resource: i64,
        cool_until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let sql = "UPDATE assignment SET state = 'free', resource = NULL, \
                   free_at = CASE WHEN state = 'confirmed' THEN ?4 ELSE ?5 END, updated = ?5 \
                   WHERE resource = ?3 AND tenant = ?1 AND pool = ?2 RETURNING value";
        self.session().query_one(sql, &parameters![tenant, pool, resource, cool_until, now], |row| row.text(0))
    }

    /// Gives a resource the value its account has in the target, confirmed; the one it held returns at once.
    ///
    /// # Errors
    /// [`StoreError::Taken`], naming the pool, if another resource has the value.
    pub fn replace_assignment(
        &mut self,
        tenant: &str,
        pool: &str,
        resource: i64,
        value: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(holder) = self.assignment(tenant, pool, value)?.and_then(|row| row.resource)
            && holder != resource
        {
            return Err(StoreError::taken(pool, holder));
        }
        let sql = "UPDATE assignment SET state = 'free', resource = NULL, free_at = ?5, updated = ?5 \
                   WHERE resource = ?3 AND tenant = ?1 AND pool = ?2 AND value <> ?4";
        self.session().execute(sql, &parameters![tenant, pool, resource, value, now])?;
        self.put(tenant, pool, value, resource, AssignmentState::Confirmed, now)
    }

    /// Moves the values of one resource to another, which has none of these pools yet. Returns how many.
    pub fn hand_over_assignments(&mut self, from: i64, to: i64, now: Timestamp) -> Result<usize, StoreError> {
        let sql = "UPDATE assignment SET resource = ?2, updated = ?3 WHERE resource = ?1 AND NOT EXISTS \
                   (SELECT 1 FROM assignment AS has WHERE has.resource = ?2 AND has.tenant = assignment.tenant \
                   AND has.pool = assignment.pool)";
        self.session().execute(sql, &parameters![from, to, now])
    }

    fn put(
        &self,
        tenant: &str,
        pool: &str,
        value: &str,
        resource: i64,
        state: AssignmentState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO assignment (tenant, pool, value, resource, state, free_at, updated) \
                   VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6) ON CONFLICT (tenant, pool, value) DO UPDATE SET \
                   resource = excluded.resource, state = excluded.state, free_at = NULL, updated = excluded.updated";
        self.session().execute(sql, &parameters![tenant, pool, value, resource, state.as_str(), now])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
