//! Keeps resources, accounts, assignments, credentials and the journal (DESIGN section 5).
//!
//! ```text
//! store.read(|db| …).await     by key or unique value, at most 200 rows: inline
//! store.scan(|db| …).await     lists, candidates, counts: own thread, deadline
//! store.write(|tx| …).await    the only way to write; the closure may run again
//! ```
//!
//! [`Db`] has what can be read, [`Tx`] also what can be written; their methods are spread over the files named after the
//! tables. Every statement names the tenant, or an internal key that no client can choose. Time is always an argument.

mod accounts;
mod assignments;
mod audit;
mod brake;
mod credentials;
mod driver;
mod error;
mod forget;
mod index;
mod journal;
mod members;
mod meta;
mod paging;
mod prune;
mod query;
mod rebase;
mod requests;
mod resources;
mod rows;
mod sorting;
mod sqlite;
#[cfg(test)]
mod testing;

use std::cell::RefCell;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use audit::AuditBreak;
pub use brake::{BRAKE, BrakeLimit, Braked, SHARE_FROM};
pub use error::{StoreError, Taken};
pub use forget::Departed;
pub use prune::Swept;
pub use query::{Show, is_pointed};
pub use rebase::Rebase;
pub use rows::*;
pub use sorting::{Place, SortedPage, SortedQuery, SortedStart};

use driver::Session;
use sqlite::{Role, idle::Idle, lock::Lock, readers::Readers, writer::Writer};

/// How long a scan may take.
const SCAN_DEADLINE: Duration = Duration::from_secs(2);

/// How to open a store.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The database file; `None` makes a temporary one that goes with the store.
    pub path: Option<PathBuf>,
    /// Paths of attributes to index beside the usual ones (see [`Store::reindex`]).
    pub indexed: Vec<String>,
    /// Whether to be the one process that serves this database. `token` and other short commands do without.
    pub lock: bool,
}

impl Options {
    /// The database at `path`, with the lock.
    pub fn serve(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), lock: true, ..Self::default() }
    }

    /// The database at `path`, beside a process that may be serving it.
    pub fn visit(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }
}

/// What a store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Closures that were run and answered after their commit, refused ones included.
    pub writes: u64,
    /// Commits they took.
    pub commits: u64,
}

/// The database. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// The fields are dropped in this order: nothing may use the database once the lock is free or the directory is gone.
struct Inner {
    writer: Writer,
    readers: Readers,
    shared: Arc<Shared>,
    path: PathBuf,
    /// Given back when the store is closed, so that the next process need not wait for the last clone.
    lock: Mutex<Option<Lock>>,
    _directory: Option<tempfile::TempDir>,
}

/// What sessions know beside the database.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) index: index::Index,
    pub(crate) anchors: paging::Anchors,
    pub(crate) leases: accounts::Leases,
}

impl Store {
    /// Opens the database, making and migrating it where needed; a visitor does neither while somebody serves it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if another process serves it (a visitor: with older tables) or the file cannot be used;
    /// [`StoreError::Corrupt`] if it is damaged or was made by a newer version.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        Self::open_with(options, |_| Ok(()))
    }

    /// Reads the database at `path`, if there is one, and changes nothing in it: it is not even brought up to date.
    ///
    /// # Errors
    /// Those of `closure`, and [`StoreError`] if the file cannot be read.
    pub fn peek<T>(
        path: &Path,
        closure: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        closure(&Db::new(Session::new(&connection, None), Arc::default())).map(Some)
    }

    /// Opens the database; `prepare` may change the writer's connection, so that tests can inject faults.
    fn open_with(
        options: &Options,
        prepare: impl FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, StoreError> {
        let (path, directory) = match &options.path {
            Some(path) => (path.clone(), None),
            None => {
                let directory = tempfile::Builder::new().prefix("scim-bridge-").tempdir();
                let directory = directory.map_err(|error| StoreError::Unavailable(error.to_string()))?;
                (directory.path().join("bridge.db"), Some(directory))
            }
        };
        let lock = if options.lock { Some(Lock::take(&path)?) } else { None };
        let role = if options.lock || options.path.is_none() { Role::Serves } else { Role::Visits };
        let mut connection = sqlite::open(&path, role)?;
        prepare(&mut connection)?;
        let shared = Arc::new(Shared { index: index::Index::new(&options.indexed), ..Shared::default() });
        Tx::new(Db::new(Session::new(&connection, None), Arc::clone(&shared))).load_index(options.lock)?;
        let idle = Arc::new(Idle::default());
        let readers = Readers::start(&path, Arc::clone(&idle))?;
        let writer = Writer::start(connection, Arc::clone(&shared), idle, role)?;
        let inner = Inner { writer, readers, shared, path, lock: Mutex::new(lock), _directory: directory };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads by key or unique value, on the calling thread: for what takes microseconds, at most 200 rows.
    ///
    /// # Errors
    /// Those of `closure`, and [`StoreError`] if there is no connection.
    #[expect(clippy::unused_async, reason = "on a database behind a network this waits")]
    pub async fn read<T, E: From<StoreError>>(&self, closure: impl FnOnce(&Db<'_>) -> Result<T, E>) -> Result<T, E> {
        self.inner.readers.read(&self.inner.shared, false, closure)
    }

    /// Like [`Store::read`], and sees what another process has written the moment before. `read` sees that some 50 ms later.
    ///
    /// # Errors
    /// Those of `read`.
    #[expect(clippy::unused_async, reason = "on a database behind a network this waits")]
    pub async fn read_newest<T, E: From<StoreError>>(
        &self,
        closure: impl FnOnce(&Db<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inner.readers.read(&self.inner.shared, true, closure)
    }

    /// Reads lists, candidates and counts, on a thread of the store.
    ///
    /// # Errors
    /// Those of `closure`; [`StoreError::TooMany`] after the deadline; [`StoreError::Unavailable`] if too many wait.
    pub async fn scan<T, E>(&self, closure: impl FnOnce(&Db<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.scan_within(SCAN_DEADLINE, closure).await
    }

    /// Like [`Store::scan`], with another deadline than 2 seconds: for reports that nobody waits for at a browser.
    ///
    /// # Errors
    /// Those of `scan`.
    pub async fn scan_within<T, E>(
        &self,
        deadline: Duration,
        closure: impl FnOnce(&Db<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.readers.scan(&self.inner.shared, deadline, closure).await
    }

    /// Writes. What the closure did is on the disk when this returns `Ok`, and undone when it returns `Err`.
    ///
    /// The closure may run more than once, so it changes nothing but `tx`; it touches at most 2,000 rows, or those that one
    /// write of a group names. Once queued it runs even if the caller no longer waits.
    ///
    /// # Errors
    /// Those of `closure`; [`StoreError::Unavailable`] if the outcome could not be made to last.
    pub async fn write<F, T, E>(&self, closure: F) -> Result<T, E>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.writer.write(closure).await
    }

    /// Copies the database as it is now into a new file, while everything goes on.
    ///
    /// # Errors
    /// [`StoreError::FileExists`] if there is a file already, [`StoreError::BadPlace`] if none can be made there,
    /// [`StoreError::Unavailable`] if it cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let (from, to) = (self.inner.path.clone(), to.to_owned());
        let copy = tokio::task::spawn_blocking(move || sqlite::backup(&from, &to));
        copy.await.unwrap_or_else(|error| Err(StoreError::Internal(error.to_string())))
    }

    /// Why the store cannot write any more, if it cannot: `/readyz` is 503 and the server exits.
    #[must_use]
    pub fn is_failed(&self) -> Option<String> {
        self.inner.writer.failure()
    }

    /// Resolves when the store cannot write any more, with the reason. Never resolves otherwise.
    pub fn failed(&self) -> impl Future<Output = String> + Send + 'static {
        self.inner.writer.failed()
    }

    /// Writes what is queued and refuses what comes later. Whoever serves the database moves the log into it.
    pub async fn close(&self) {
        self.inner.writer.close().await;
        self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// What has been done since the store was opened.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let counters = &self.inner.writer.counters;
        Statistics {
            writes: counters.writes.load(Ordering::Relaxed),
            commits: counters.commits.load(Ordering::Relaxed),
        }
    }

    /// The files of the database, its key file among them, that other accounts of this machine can read or write.
    #[must_use]
    pub fn files_open_to_others(&self) -> Vec<PathBuf> {
        sqlite::files::open_to_others(&self.inner.path)
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }
}

/// What can be read, at one state of the database.
pub struct Db<'c> {
    session: Session<'c>,
    shared: Arc<Shared>,
    /// Nothing is remembered where something may be written in between.
    seen_groups: Option<RefCell<members::SeenGroups>>,
}

impl<'c> Db<'c> {
    pub(crate) fn new(session: Session<'c>, shared: Arc<Shared>) -> Self {
        Self { session, shared, seen_groups: None }
    }

    /// For a transaction that only reads, with the groups that were read at the same state before.
    pub(crate) fn snapshot(session: Session<'c>, shared: Arc<Shared>, seen_groups: members::SeenGroups) -> Self {
        Self { session, shared, seen_groups: Some(RefCell::new(seen_groups)) }
    }

    /// The groups that have been read.
    pub(crate) fn into_seen_groups(self) -> members::SeenGroups {
        self.seen_groups.map(RefCell::into_inner).unwrap_or_default()
    }

    pub(crate) fn seen_groups(&self) -> Option<&RefCell<members::SeenGroups>> {
        self.seen_groups.as_ref()
    }

    pub(crate) fn session(&self) -> &Session<'c> {
        &self.session
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// What can be written, and what can be read, inside one transaction.
pub struct Tx<'c> {
    db: Db<'c>,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(db: Db<'c>) -> Self {
        Self { db }
    }
}

impl<'c> Deref for Tx<'c> {
    type Target = Db<'c>;

    fn deref(&self) -> &Db<'c> {
        &self.db
    }
}
