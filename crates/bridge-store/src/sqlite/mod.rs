//! SQLite: how it is opened, written to and read from (DESIGN section 5).

pub(crate) mod lock;
pub(crate) mod readers;
pub(crate) mod writer;

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::error::StoreError;

/// How long to wait for another process, such as `scim-bridge token`, that is writing.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection; more than the crate has.
pub(crate) const STATEMENTS: usize = 256;

/// Pages in the log before the writer moves them into the database: 64 MiB.
const CHECKPOINT_PAGES: i64 = 16_384;

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Opens the database for writing, making and migrating it where needed.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(StoreError::Unavailable(format!("{} cannot be used with a write-ahead log", path.display())));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    embedded::migrations::runner().run(&mut connection).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Has statements prepared once. Without the planner's stability guarantee SQLite prepares those that touch a table with a
/// partial index again whenever a parameter changes, which costs more than running them.
pub(crate) fn keep_statements(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Copies the database as it is now into a new file (SQLite's online backup).
///
/// One step under one snapshot: a copy in several steps would begin again with every commit of the writer.
pub(crate) fn backup(from: &Path, to: &Path) -> Result<(), StoreError> {
    let unavailable =
        |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("no backup to {}: {error}", to.display()));
    // Making the file is the check that it was not there.
    std::fs::File::create_new(to).map_err(|error| unavailable(&error))?;
    let copy = || -> rusqlite::Result<rusqlite::backup::StepResult> {
        let source = Connection::open_with_flags(from, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        source.busy_timeout(BUSY_TIMEOUT)?;
        source.pragma_update(None, "wal_autocheckpoint", 0)?;
        let mut copy = Connection::open(to)?;
        let result = rusqlite::backup::Backup::new(&source, &mut copy)?.step(-1)?;
        Ok(result)
    };
    let outcome = match copy() {
        Ok(rusqlite::backup::StepResult::Done) => return Ok(()),
        Ok(other) => unavailable(&format!("{other:?}")),
        Err(error) => unavailable(&error),
    };
    std::fs::remove_file(to).map_err(|error| unavailable(&error))?;
    Err(outcome)
}
