//! How what is old is taken from the beginning of a table whose rows are numbered as they are written: the journal, the audit
//! trail.
//!
//! Numbers rise with time, as a rule, so that nothing has to be searched through. While a clock stood wrong they do not: what was
//! written then stays until its own time has come, and what follows it goes when it is old.

use crate::{StoreError, Tx};

/// How many rows one write looks at.
pub(crate) const SLICE: usize = 1000;

/// What one slice came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many were removed.
    pub removed: usize,
    /// Where to go on, if there may be more to remove.
    pub next: Option<i64>,
}

impl Tx<'_> {
    /// Whether something old comes after a slice that has nothing old: it is looked for ever further away, so that it is found
    /// once there is as much of it as of what is in between. `is_old_after` says of the first row after a number whether it is
    /// old; `None`: there is no such row.
    pub(crate) fn is_old_beyond(
        &self,
        last: i64,
        is_old_after: impl Fn(i64) -> Result<Option<bool>, StoreError>,
    ) -> Result<bool, StoreError> {
        let mut distance = i64::try_from(SLICE).unwrap_or(i64::MAX);
        loop {
            match is_old_after(last.saturating_add(distance))? {
                Some(true) => return Ok(true),
                Some(false) => distance = distance.saturating_mul(2),
                None => return Ok(false),
            }
        }
    }
}
