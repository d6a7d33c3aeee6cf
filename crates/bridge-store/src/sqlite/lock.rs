//! The lock that lets one `serve` at a time work on a database (DESIGN section 5).
//!
//! It is a lock of the operating system on a file beside the database, so a crash leaves no stale lock behind: the file
//! stays, the lock goes with the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;

use super::files;
use crate::error::StoreError;

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the database at `path`, or fails at once if another process has it.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        // `bridge.db` is locked by `bridge.db.lock`.
        let beside = files::beside(path, ".lock");
        let unavailable =
            |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{}: {error}", beside.display()));
        let mut file = files::private(OpenOptions::new().create(true).truncate(false).write(true))
            .open(&beside)
            .map_err(|error| unavailable(&refusal(&beside, &error)))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(unavailable(&"another scim-bridge serves this database")),
            Err(TryLockError::Error(error)) => return Err(unavailable(&error)),
        }
        // Only for a person who wonders; the lock itself is not in the content.
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(|error| unavailable(&error))?;
        Ok(Self { file })
    }
}

/// What keeps us from a file, and what to do. Whoever runs a command as root first, makes files that the service cannot use.
fn refusal(path: &Path, error: &io::Error) -> String {
    match owner(path).filter(|_| error.kind() == io::ErrorKind::PermissionDenied) {
        Some(owner) => format!(
            "{error}: it belongs to {owner}; run scim-bridge as that account, or give the database's files to the one that \
             runs it (chown)"
        ),
        None => error.to_string(),
    }
}

#[cfg(unix)]
fn owner(path: &Path) -> Option<String> {
    let owner = std::os::unix::fs::MetadataExt::uid(&path.metadata().ok()?);
    Some(if owner == 0 { "root".to_owned() } else { format!("the account with uid {owner}") })
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<String> {
    None
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "The lock file could not be unlocked; it is free when the process ends");
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_account_is_said_to_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.db.lock");
        std::fs::write(&path, "").unwrap();
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let said = refusal(&path, &denied);
        assert!(said.contains("belongs to ") && said.contains("run scim-bridge as that account"), "{said}");
        assert!(!refusal(&path, &io::Error::from(io::ErrorKind::StorageFull)).contains("belongs to"));
        assert!(!refusal(&folder.path().join("none"), &denied).contains("belongs to"));
    }
}
