//! The files of a database belong to the account that the bridge runs as: they hold personal data, and nobody else reads
//! them, whatever the umask says.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Makes a file that only its owner reads and writes. SQLite gives `-wal`, `-shm` and `-journal` the mode of their database.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if there is one; otherwise what keeps it from being made.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().write(true).create_new(true)).open(path)
}

/// The same options; a file made with them is its owner's alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// The file beside a database whose name goes on with `ending`: `bridge.db` and `-wal`, or `.lock`.
pub(crate) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Those of a database's files that other accounts of this machine can read or write.
pub(crate) fn open_to_others(database: &Path) -> Vec<PathBuf> {
    let files = ["", "-wal", "-shm", ".lock", ".key"].map(|ending| beside(database, ending));
    files.into_iter().filter(|path| is_open_to_others(path)).collect()
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    // A file that is not there, or cannot be looked at, is nothing to warn of.
    path.metadata().is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{Options, Store};

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn every_file_of_a_store_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.db");
        let store = Store::open(&Options::serve(&path)).unwrap();
        store.write(|tx| tx.set_meta("fact", "here")).await.unwrap();
        store.backup(&folder.path().join("copy.db")).await.unwrap();
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.file_name());
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["bridge.db", "bridge.db-shm", "bridge.db-wal", "bridge.db.lock", "copy.db"]);
        assert_eq!(store.files_open_to_others(), Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_stays_as_it_is_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.db");
        drop(Store::open(&Options::serve(&path)).unwrap());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let store = Store::open(&Options::serve(&path)).unwrap();
        store.write(|tx| tx.set_meta("fact", "here")).await.unwrap();
        assert_eq!(mode(&path), 0o640);
        assert!(store.files_open_to_others().contains(&path));
    }
}
