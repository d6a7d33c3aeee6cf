//! Pools: scarce values handed out to resources (DESIGN section 7, "Pools").
//!
//! A pool walks its ranges once: `position` counts the values it has passed, and every value it passed has a row or was
//! skipped because it had one. Values given back have rows too, found by the time from which they are free. So neither a
//! nearly full pool nor a large one makes handing out slower, and a value rests as long as possible before it is used again.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::driver::{Row, parameters};
use crate::{Assignment, AssignmentState, Db, PoolUsage, StoreError, Tx};

/// How many rows one look at the values ahead reads.
const AHEAD: usize = 500;

/// The longest number a range may hold, in digits: more would not fit its count into 64 bits.
const DIGITS: usize = 18;

/// The consecutive numbers `first` to `last`, both included, written with `width` digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolRange {
    first: u64,
    last: u64,
    width: usize,
}

/// The ranges of a pool, in the order they are handed out: `1000-1999,5000-5099`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRanges(Vec<PoolRange>);

impl PoolRange {
    fn len(self) -> u64 {
        self.last - self.first + 1
    }

    fn value(self, offset: u64) -> String {
        format!("{:0width$}", self.first + offset, width = self.width)
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

impl fmt::Display for PoolRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:0width$}-{:0width$}", self.first, self.last, width = self.width)
    }
}

impl FromStr for PoolRange {
    type Err = String;

    /// `1000-1999`, or a single value. Both ends have the same number of digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.trim(), last.trim());
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number || digits.len() > DIGITS {
                return Err(format!("{digits:?} in the range {text:?} is not a number of 1 to {DIGITS} digits"));
            }
            digits.parse::<u64>().map_err(|error| error.to_string())
        };
        let range = Self { first: number(first)?, last: number(last)?, width: first.len() };
        if first.len() != last.len() {
            return Err(format!("both ends of the range {text:?} must have the same number of digits"));
        }
        if range.last < range.first { Err(format!("the range {text:?} ends before it begins")) } else { Ok(range) }
    }
}

impl PoolRanges {
    /// Ranges in the order they are handed out.
    ///
    /// # Errors
    /// A sentence that says which ranges overlap.
    pub fn new(ranges: Vec<PoolRange>) -> Result<Self, String> {
        for (number, range) in ranges.iter().enumerate() {
            let overlaps = |other: &&PoolRange| {
                other.width == range.width && other.first <= range.last && range.first <= other.last
            };
            if let Some(other) = ranges[..number].iter().find(overlaps) {
                return Err(format!("the ranges {other} and {range} overlap"));
            }
        }
        Ok(Self(ranges))
    }

    /// How many values there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.iter().map(|range| range.len()).sum()
    }

    /// Whether a value belongs to the ranges.
    #[must_use]
    pub fn contains(&self, value: &str) -> bool {
        self.0.iter().any(|range| range.offset(value).is_some())
    }

    /// The range that holds the value at `position`, and where in it.
    fn at(&self, position: u64) -> Option<(PoolRange, u64)> {
        let mut offset = position;
        for range in &self.0 {
            if offset < range.len() {
                return Some((*range, offset));
            }
            offset -= range.len();
        }
        None
    }
}

impl fmt::Display for PoolRanges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, range) in self.0.iter().enumerate() {
            write!(formatter, "{}{range}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for PoolRanges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text.split(',').map(|range| range.trim().parse()).collect::<Result<_, _>>()?)
    }
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

    /// The value that `reserve` would hand out to a resource that has none; nothing is reserved.
    ///
    /// # Errors
    /// [`StoreError::PoolEmpty`].
    pub fn next_free(
        &self,
        tenant: &str,
        pool: &str,
        ranges: &PoolRanges,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        Ok(self.candidate(tenant, pool, ranges, now)?.value)
    }

    /// How full a pool is. A scan over its rows.
    pub fn pool_usage(
        &self,
        tenant: &str,
        pool: &str,
        ranges: &PoolRanges,
        now: Timestamp,
    ) -> Result<PoolUsage, StoreError> {
        let mut usage = PoolUsage { size: ranges.size(), ..PoolUsage::default() };
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
            out += u64::from(is_out && ranges.contains(&row.text(0)?));
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
        ranges: &PoolRanges,
        now: Timestamp,
    ) -> Result<Candidate, StoreError> {
        let walked = "SELECT position FROM pool WHERE tenant = ?1 AND pool = ?2 AND ranges = ?3";
        // Other ranges than last time are walked from their beginning: what is in use has a row and is passed over.
        let mut position = self
            .session()
            .query_one(walked, &parameters![tenant, pool, ranges.to_string()], |row| row.count(0))?
            .unwrap_or_default();
        while let Some((range, offset)) = ranges.at(position) {
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
                return Ok(Candidate { value: range.value(expected), position: position_here + expected + 1 });
            }
            position = position_here + expected;
        }
        let free = "SELECT value FROM assignment WHERE tenant = ?1 AND pool = ?2 AND state = 'free' AND free_at <= ?3 \
                    ORDER BY free_at, value";
        let mut found = None;
        self.session().each(free, &parameters![tenant, pool, now], |row| {
            let value = row.text(0)?;
            if ranges.contains(&value) {
                found = Some(value);
            }
            Ok(found.is_none())
        })?;
        let value = found.ok_or_else(|| StoreError::PoolEmpty { pool: pool.to_owned() })?;
        Ok(Candidate { value, position })
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
        ranges: &PoolRanges,
        resource: i64,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        if let Some(value) = self.value_of(tenant, pool, resource)? {
            return Ok(value);
        }
        let candidate = self.candidate(tenant, pool, ranges, now)?;
        let walked = "INSERT INTO pool (tenant, pool, ranges, position) VALUES (?1, ?2, ?3, ?4) \
                      ON CONFLICT (tenant, pool) DO UPDATE SET ranges = excluded.ranges, position = excluded.position";
        let position = i64::try_from(candidate.position).map_err(StoreError::corrupt)?;
        self.session().execute(walked, &parameters![tenant, pool, ranges.to_string(), position])?;
        self.put(tenant, pool, &candidate.value, Some(resource), AssignmentState::Held, None, now)?;
        Ok(candidate.value)
    }

    /// Marks a value as in use by somebody we do not know; whoever held it here loses it.
    pub fn mark_foreign(&mut self, tenant: &str, pool: &str, value: &str, now: Timestamp) -> Result<(), StoreError> {
        self.put(tenant, pool, value, None, AssignmentState::Foreign, None, now)
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

    /// Notes that the target has the value for the resource; false if the resource does not hold it.
    pub fn confirm(
        &mut self,
        tenant: &str,
        pool: &str,
        value: &str,
        resource: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE assignment SET state = 'confirmed', updated = ?5 \
                   WHERE tenant = ?1 AND pool = ?2 AND value = ?3 AND resource = ?4";
        Ok(self.session().execute(sql, &parameters![tenant, pool, value, resource, now])? > 0)
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
        self.put(tenant, pool, value, Some(resource), AssignmentState::Confirmed, None, now)
    }

    /// Moves the values of one resource to another, which has none of these pools yet. Returns how many.
    pub fn hand_over_assignments(&mut self, from: i64, to: i64, now: Timestamp) -> Result<usize, StoreError> {
        let sql = "UPDATE assignment SET resource = ?2, updated = ?3 WHERE resource = ?1 AND NOT EXISTS \
                   (SELECT 1 FROM assignment AS has WHERE has.resource = ?2 AND has.tenant = assignment.tenant \
                   AND has.pool = assignment.pool)";
        self.session().execute(sql, &parameters![from, to, now])
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one row")]
    fn put(
        &self,
        tenant: &str,
        pool: &str,
        value: &str,
        resource: Option<i64>,
        state: AssignmentState,
        free_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO assignment (tenant, pool, value, resource, state, free_at, updated) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (tenant, pool, value) DO UPDATE SET \
                   resource = excluded.resource, state = excluded.state, free_at = excluded.free_at, \
                   updated = excluded.updated";
        self.session().execute(sql, &parameters![tenant, pool, value, resource, state.as_str(), free_at, now])?;
        Ok(())
    }
}
