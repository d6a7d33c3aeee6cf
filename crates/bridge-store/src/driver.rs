//! The seam between statements and databases (DESIGN section 5).
//!
//! There is one text per query, with placeholders written `?1`. Only this file knows which database runs it: the rest of
//! the crate speaks in [`Session`], [`Parameter`] and [`Row`]. SQLite takes `?1` as it is; a database that writes
//! placeholders differently rewrites the text here, once. Column types are text, bigint and blob only.

use std::cell::RefCell;
use std::time::Instant;

use jiff::Timestamp;
use rusqlite::ErrorCode;
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde_json::Value;

use crate::error::StoreError;

/// Builds the parameters of a statement: `parameters![tenant, key]`.
macro_rules! parameters {
    ($($value:expr),* $(,)?) => { [$($crate::driver::Parameter::from($value)),*] };
}
pub(crate) use parameters;

/// A value given to a statement.
#[derive(Debug, Clone)]
pub(crate) enum Parameter<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Owned(String),
    Blob(&'a [u8]),
}

impl From<i64> for Parameter<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Parameter<'_> {
    fn from(value: bool) -> Self {
        Self::Integer(i64::from(value))
    }
}

impl From<u32> for Parameter<'_> {
    fn from(value: u32) -> Self {
        Self::Integer(i64::from(value))
    }
}

impl From<usize> for Parameter<'_> {
    fn from(value: usize) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<'a> From<&'a str> for Parameter<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Parameter<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl From<String> for Parameter<'_> {
    fn from(value: String) -> Self {
        Self::Owned(value)
    }
}

impl<'a> From<&'a [u8]> for Parameter<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(value)
    }
}

impl From<Timestamp> for Parameter<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Integer(value.as_millisecond())
    }
}

impl From<&Value> for Parameter<'_> {
    fn from(value: &Value) -> Self {
        Self::Owned(value.to_string())
    }
}

impl<'a, T> From<Option<T>> for Parameter<'a>
where
    Parameter<'a>: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

impl rusqlite::ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Owned(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

/// One row of a result. Columns are read by position, from 0.
pub(crate) struct Row<'r>(&'r rusqlite::Row<'r>);

impl Row<'_> {
    pub(crate) fn integer(&self, column: usize) -> Result<i64, StoreError> {
        self.0.get(column).map_err(StoreError::corrupt)
    }

    pub(crate) fn optional_integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.0.get(column).map_err(StoreError::corrupt)
    }

    /// A count or size, which cannot be negative.
    pub(crate) fn count(&self, column: usize) -> Result<u64, StoreError> {
        u64::try_from(self.integer(column)?).map_err(StoreError::corrupt)
    }

    pub(crate) fn is_true(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.integer(column)? != 0)
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, StoreError> {
        self.0.get(column).map_err(StoreError::corrupt)
    }

    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        self.0.get(column).map_err(StoreError::corrupt)
    }

    pub(crate) fn optional_blob(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(column).map_err(StoreError::corrupt)
    }

    pub(crate) fn time(&self, column: usize) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(self.integer(column)?).map_err(StoreError::corrupt)
    }

    pub(crate) fn optional_time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        let milliseconds = self.optional_integer(column)?;
        milliseconds.map(|value| Timestamp::from_millisecond(value).map_err(StoreError::corrupt)).transpose()
    }

    /// A word that stands for a variant of an enum.
    pub(crate) fn word<T: std::str::FromStr<Err = StoreError>>(&self, column: usize) -> Result<T, StoreError> {
        self.with_text(column, |text| text.unwrap_or_default().parse())
    }

    /// JSON text read as `T`.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        self.with_text(column, |text| serde_json::from_str(text.unwrap_or_default()).map_err(StoreError::corrupt))
    }

    pub(crate) fn optional_json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<Option<T>, StoreError> {
        self.with_text(column, |text| {
            text.map(|text| serde_json::from_str(text).map_err(StoreError::corrupt)).transpose()
        })
    }

    /// Lends the text of a column without copying it.
    fn with_text<T>(
        &self,
        column: usize,
        read: impl FnOnce(Option<&str>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let value = self.0.get_ref(column).map_err(StoreError::corrupt)?;
        read(value.as_str_or_null().map_err(StoreError::corrupt)?)
    }
}

/// One connection to the database, inside a transaction.
pub(crate) struct Session<'c> {
    connection: &'c rusqlite::Connection,
    /// When a scan has to give up.
    deadline: Option<Instant>,
    /// The first error after which the database cannot be trusted to go on.
    fatal: RefCell<Option<String>>,
}

impl<'c> Session<'c> {
    pub(crate) fn new(connection: &'c rusqlite::Connection, deadline: Option<Instant>) -> Self {
        Self { connection, deadline, fatal: RefCell::new(None) }
    }

    /// The I/O error or damage that a statement of this session met, if any.
    pub(crate) fn fatal(&self) -> Option<String> {
        self.fatal.borrow().clone()
    }

    /// Fails with [`StoreError::TooMany`] once the deadline of a scan has passed.
    pub(crate) fn check_deadline(&self) -> Result<(), StoreError> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(StoreError::TooMany),
            _ => Ok(()),
        }
    }

    /// Runs a statement and returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<usize, StoreError> {
        let run = || self.connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(parameters));
        run().map_err(|error| self.failure(&error))
    }

    /// Runs an INSERT into a table whose column `key` the database numbers. Returns the key of the new row; `None` if
    /// `ON CONFLICT DO NOTHING` kept it out.
    ///
    /// `RETURNING` would say the same, but makes SQLite build a table for the answer, which costs more than the row.
    pub(crate) fn insert(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Option<i64>, StoreError> {
        let inserted = self.execute(sql, parameters)?;
        Ok((inserted > 0).then(|| self.connection.last_insert_rowid()))
    }

    /// Runs a query and reads all its rows.
    pub(crate) fn query<T>(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, parameters, |row| {
            found.push(read(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Runs a query and reads its first row, if there is one.
    pub(crate) fn query_one<T>(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        let mut read = Some(read);
        self.each(sql, parameters, |row| {
            if let Some(read) = read.take() {
                found = Some(read(row)?);
            }
            Ok(false)
        })?;
        Ok(found)
    }

    /// Runs a query and hands over one row after the other until `visit` says false.
    pub(crate) fn each(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        mut visit: impl FnMut(&Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.failure(&error))?;
        let mut rows = statement.query(rusqlite::params_from_iter(parameters)).map_err(|error| self.failure(&error))?;
        while let Some(row) = rows.next().map_err(|error| self.failure(&error))? {
            self.check_deadline()?;
            if !visit(&Row(row))? {
                break;
            }
        }
        Ok(())
    }

    /// Turns the database's error into a decision, and remembers it if there is no going on after it.
    fn failure(&self, error: &rusqlite::Error) -> StoreError {
        let (decision, is_fatal) = decide(error);
        if is_fatal {
            self.fatal.borrow_mut().get_or_insert_with(|| error.to_string());
        }
        decision
    }
}

/// What an error of the database means for the caller, and whether the writer has to stop because of it.
pub(crate) fn decide(error: &rusqlite::Error) -> (StoreError, bool) {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => (StoreError::TooMany, false),
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::OutOfMemory
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly,
        ) => (StoreError::Unavailable(text), false),
        Some(ErrorCode::SystemIoFailure) => (StoreError::Unavailable(text), true),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (StoreError::Corrupt(text), true),
        _ => (StoreError::Internal(text), false),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        decide(&error).0
    }
}
