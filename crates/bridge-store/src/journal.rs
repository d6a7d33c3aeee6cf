//! The journal: each SCIM write as received and each target call as made (DESIGN section 2). Secrets are masked by the
//! caller before anything gets here.

use jiff::Timestamp;

use crate::driver::{Row, parameters};
use crate::prune::{SLICE, Swept};
use crate::{CallEntry, Db, RequestEntry, RequestQuery, StoreError, Tx};

/// Entries per page if the caller does not say.
const PAGE: usize = 100;

macro_rules! request_columns {
    () => {
        "key, tenant, request_id, connection, method, path, resource, received, status, outcome, finished, notes, body"
    };
}

macro_rules! call_columns {
    () => {
        "key, tenant, resource, target, operation, outcome, attempt, at, duration, call, answer"
    };
}

fn request(row: &Row<'_>) -> Result<RequestEntry, StoreError> {
    let status = row.optional_integer(8)?.map(u16::try_from).transpose().map_err(StoreError::corrupt)?;
    Ok(RequestEntry {
        key: row.integer(0)?,
        tenant: row.text(1)?,
        request_id: row.text(2)?,
        connection: row.optional_text(3)?,
        method: row.text(4)?,
        path: row.text(5)?,
        resource: row.optional_integer(6)?,
        received: row.time(7)?,
        status,
        outcome: row.optional_text(9)?,
        finished: row.optional_time(10)?,
        notes: row.optional_json(11)?,
        body: row.optional_text(12)?,
    })
}

fn call(row: &Row<'_>) -> Result<CallEntry, StoreError> {
    Ok(CallEntry {
        key: row.integer(0)?,
        tenant: row.text(1)?,
        resource: row.integer(2)?,
        target: row.text(3)?,
        operation: row.text(4)?,
        outcome: row.text(5)?,
        attempt: u32::try_from(row.integer(6)?).map_err(StoreError::corrupt)?,
        at: row.time(7)?,
        duration: row.integer(8)?,
        call: row.json(9)?,
        answer: row.optional_json(10)?,
    })
}

impl Db<'_> {
    /// Requests of a tenant, newest first.
    pub fn requests(&self, query: &RequestQuery) -> Result<Vec<RequestEntry>, StoreError> {
        let limit = if query.limit == 0 { PAGE } else { query.limit };
        let before = query.before.unwrap_or(i64::MAX);
        match query.resource {
            Some(resource) => {
                let sql = concat!(
                    "SELECT ",
                    request_columns!(),
                    " FROM request WHERE resource = ?4 AND tenant = ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3"
                );
                self.session().query(sql, &parameters![&query.tenant, before, limit, resource], request)
            }
            None => {
                let sql = concat!(
                    "SELECT ",
                    request_columns!(),
                    " FROM request WHERE tenant = ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3"
                );
                self.session().query(sql, &parameters![&query.tenant, before, limit], request)
            }
        }
    }

    /// The request of a tenant with that request id; the last one, if a client chose the id twice.
    pub fn request(&self, tenant: &str, request_id: &str) -> Result<Option<RequestEntry>, StoreError> {
        let sql = concat!(
            "SELECT ",
            request_columns!(),
            " FROM request WHERE tenant = ?1 AND request_id = ?2 ORDER BY key DESC LIMIT 1"
        );
        self.session().query_one(sql, &parameters![tenant, request_id], request)
    }

    /// The last calls made for a resource, at one target or at all, oldest first.
    pub fn calls_of(&self, resource: i64, target: Option<&str>, limit: usize) -> Result<Vec<CallEntry>, StoreError> {
        let sql = concat!(
            "SELECT ",
            call_columns!(),
            " FROM call WHERE resource = ?1 AND (?2 = '' OR target = ?2) ORDER BY key DESC LIMIT ?3"
        );
        let mut calls = self.session().query(sql, &parameters![resource, target.unwrap_or_default(), limit], call)?;
        calls.reverse();
        Ok(calls)
    }
}

impl Tx<'_> {
    /// Adds a request as received; returns its key.
    pub fn add_request(&mut self, entry: &RequestEntry) -> Result<i64, StoreError> {
        self.put_request(entry, entry.resource)
    }

    /// Adds a request that turned out to be about this resource; returns its key.
    pub fn add_request_about(&mut self, entry: &RequestEntry, resource: i64) -> Result<i64, StoreError> {
        self.put_request(entry, Some(resource))
    }

    fn put_request(&self, entry: &RequestEntry, resource: Option<i64>) -> Result<i64, StoreError> {
        let sql = "INSERT INTO request (tenant, request_id, connection, method, path, resource, received, status, \
                   outcome, finished, notes, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let parameters = parameters![
            &entry.tenant,
            &entry.request_id,
            entry.connection.as_ref(),
            &entry.method,
            &entry.path,
            resource,
            entry.received,
            entry.status.map(i64::from),
            entry.outcome.as_ref(),
            entry.finished,
            entry.notes.as_ref(),
            entry.body.as_ref(),
        ];
        self.session().insert(sql, &parameters)?.ok_or(StoreError::NotFound("request"))
    }

    /// Notes what was answered to a request; false if there is no such request (any more).
    pub fn finish_request(
        &mut self,
        tenant: &str,
        request_id: &str,
        status: u16,
        outcome: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE request SET status = ?3, outcome = ?4, finished = ?5 WHERE key = \
                   (SELECT max(key) FROM request WHERE tenant = ?1 AND request_id = ?2)";
        Ok(self.session().execute(sql, &parameters![tenant, request_id, i64::from(status), outcome, now])? > 0)
    }

    /// Adds a call as made; returns its key.
    pub fn add_call(&mut self, entry: &CallEntry) -> Result<i64, StoreError> {
        let sql = "INSERT INTO call (tenant, resource, target, operation, outcome, attempt, at, duration, call, answer) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let parameters = parameters![
            &entry.tenant,
            entry.resource,
            &entry.target,
            &entry.operation,
            &entry.outcome,
            entry.attempt,
            entry.at,
            entry.duration,
            &entry.call,
            entry.answer.as_ref(),
        ];
        self.session().insert(sql, &parameters)?.ok_or(StoreError::NotFound("call"))
    }

    /// Removes the requests from before a time that are among the 1,000 after this key. See [`Swept`].
    pub fn prune_requests(&mut self, before: Timestamp, after: i64) -> Result<Swept, StoreError> {
        let sweep = Sweep {
            page: "SELECT key, received FROM request WHERE key > ?1 ORDER BY key LIMIT ?2",
            delete: "DELETE FROM request WHERE key > ?1 AND key <= ?2 AND received < ?3",
        };
        sweep.run(self, before, after)
    }

    /// Removes the calls from before a time that are among the 1,000 after this key. See [`Swept`].
    pub fn prune_calls(&mut self, before: Timestamp, after: i64) -> Result<Swept, StoreError> {
        let sweep = Sweep {
            page: "SELECT key, at FROM call WHERE key > ?1 ORDER BY key LIMIT ?2",
            delete: "DELETE FROM call WHERE key > ?1 AND key <= ?2 AND at < ?3",
        };
        sweep.run(self, before, after)
    }
}

/// The statements that remove what is old from a table of the journal.
struct Sweep {
    page: &'static str,
    delete: &'static str,
}

impl Sweep {
    fn run(&self, tx: &Tx<'_>, before: Timestamp, after: i64) -> Result<Swept, StoreError> {
        let read = |row: &Row<'_>| Ok((row.integer(0)?, row.time(1)? < before));
        let page = tx.session().query(self.page, &parameters![after, SLICE], read)?;
        let Some((last, _)) = page.last().copied() else { return Ok(Swept::default()) };
        let has_old = page.iter().any(|(_, is_old)| *is_old);
        let removed = if has_old { tx.session().execute(self.delete, &parameters![after, last, before])? } else { 0 };
        let goes_on = page.len() == SLICE
            && (has_old
                || tx.is_old_beyond(last, |key| {
                    let next = tx.session().query_one(self.page, &parameters![key, 1_usize], read)?;
                    Ok(next.map(|(_, is_old)| is_old))
                })?);
        Ok(Swept { removed, next: goes_on.then_some(last) })
    }
}

#[cfg(test)]
mod tests;
