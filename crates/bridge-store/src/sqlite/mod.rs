//! SQLite: how it is opened, written to and read from (DESIGN section 5).

pub(crate) mod files;
pub(crate) mod idle;
pub(crate) mod lock;
pub(crate) mod readers;
pub(crate) mod writer;

use std::io::ErrorKind;
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
pub(crate) const CHECKPOINT_PAGES: i32 = 16_384;

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// In which role a process opens a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has the database to itself, tables and log included.
    Serves,
    /// Another process may serve it: tables are changed only if none does, the log is left alone.
    Visits,
}

/// Opens the database for writing, making and migrating it where the role allows it.
pub(crate) fn open(path: &Path, role: Role) -> Result<Connection, StoreError> {
    match files::create_private(path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(StoreError::Unavailable(no_database(path, &error))),
    }
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(StoreError::Unavailable(format!("{} cannot be used with a write-ahead log", path.display())));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    match role {
        Role::Serves => migrate(&mut connection)?,
        Role::Visits => migrate_unless_served(&mut connection, path)?,
    }
    // The writer moves the log itself, after a commit: within one, the connections that wait still look at what was before,
    // and the log would never start anew.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    keep_statements(&connection)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    embedded::migrations::runner().run(connection).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(())
}

/// For a process that only visits: changes tables under the lock of `serve`, and never under a running `serve`.
fn migrate_unless_served(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let newest = embedded::migrations::runner().get_migrations().iter().map(refinery::Migration::version).max();
    if made_by(connection)? >= newest {
        // Tables of a newer version are refused here too, and nothing is changed.
        return migrate(connection);
    }
    let _lock = lock::Lock::take(path).map_err(|error| {
        StoreError::Unavailable(format!(
            "the tables of {} are those of an older version, and a server is running on them: restart it with this \
             version first ({error})",
            path.display()
        ))
    })?;
    migrate(connection)
}

/// The newest change to the tables that the database has seen.
fn made_by(connection: &Connection) -> Result<Option<refinery::SchemaVersion>, StoreError> {
    if !connection.table_exists(None, "refinery_schema_history")? {
        return Ok(None);
    }
    Ok(connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))?)
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
    files::create_private(to).map_err(|error| no_place(to, &error))?;
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

/// Why there is no database, and what to do.
fn no_database(path: &Path, error: &std::io::Error) -> String {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            format!("there is no folder for {shown}: make it, and let the account that the bridge runs as own it")
        }
        _ => format!("{shown} cannot be made: {error}"),
    }
}

/// Why no file can be made at the place that somebody asked for, and what to do.
fn no_place(path: &Path, error: &std::io::Error) -> StoreError {
    let shown = path.display();
    match error.kind() {
        ErrorKind::AlreadyExists => StoreError::FileExists(path.to_owned()),
        ErrorKind::NotFound | ErrorKind::NotADirectory => StoreError::BadPlace(format!(
            "there is no folder for {shown}: make it on the machine of the bridge, or name another one"
        )),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::BadPlace(format!(
            "the bridge may not write {shown} ({error}): name a folder that the account it runs as may write to"
        )),
        _ => StoreError::Unavailable(format!("no backup to {shown}: {error}")),
    }
}

#[cfg(test)]
mod tests;
