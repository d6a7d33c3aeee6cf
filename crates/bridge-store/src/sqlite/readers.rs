//! Connections for reading: inline for what takes microseconds, on threads of their own for scans (DESIGN section 5).

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::idle::{Idle, Kept};
use crate::driver::Session;
use crate::error::StoreError;
use crate::members::SeenGroups;
use crate::{Db, Shared};

/// How many scans run at once.
const SCAN_THREADS: usize = 2;

/// How many scans wait before further ones are refused.
const SCAN_QUEUE: usize = 256;

/// After how many steps of SQLite's machine the deadline is looked at: well under a millisecond.
const STEPS: i32 = 2000;

type Scan = Box<dyn FnOnce(&mut Connection) + Send>;

/// The read connections of one database.
pub(crate) struct Readers {
    path: PathBuf,
    pub(super) idle: Arc<Idle>,
    scans: SyncSender<Scan>,
}

impl Readers {
    /// Starts the scan threads.
    pub(crate) fn start(path: &Path, idle: Arc<Idle>) -> Result<Self, StoreError> {
        let (scans, queue) = mpsc::sync_channel::<Scan>(SCAN_QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..SCAN_THREADS {
            let connection = connect(path)?;
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("store-scan-{number}"))
                .spawn(move || scan_all(connection, &queue))
                .map_err(|error| StoreError::Unavailable(format!("no thread for scans: {error}")))?;
        }
        idle.give_back(connect(path)?.into());
        Ok(Self { path: path.to_owned(), idle, scans })
    }

    /// Runs `closure` on this thread, in a transaction that sees one state of the database: with `newest` the newest one,
    /// whoever wrote it, else the newest of this process (see [`Idle`]).
    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        shared: &Arc<Shared>,
        newest: bool,
        closure: impl FnOnce(&Db<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let kept = match self.idle.take() {
            Some(kept) => kept,
            None => connect(&self.path)?.into(),
        };
        // A connection on which the closure panicked, or whose snapshot cannot be ended, is not given back.
        let (connection, mut looking) = self.idle.look(kept, newest).map_err(StoreError::from)?;
        let db = Db::snapshot(Session::new(&connection, None), Arc::clone(shared), std::mem::take(&mut looking.groups));
        let result = closure(&db);
        looking.groups = db.into_seen_groups();
        self.idle.give_back(Kept { connection, looking: Some(looking) });
        result
    }

    /// Runs `closure` on a scan thread; fails with [`StoreError::TooMany`] after `deadline`, counted from its beginning.
    pub(crate) async fn scan<T, E>(
        &self,
        shared: &Arc<Shared>,
        deadline: Duration,
        closure: impl FnOnce(&Db<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(shared);
        let scan = Box::new(move |connection: &mut Connection| {
            drop(reply.send(with_deadline(connection, &shared, deadline, closure)));
        });
        match self.scans.try_send(scan) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(StoreError::Unavailable("too many searches at once".into()).into());
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(StoreError::Unavailable("the scan threads are gone".into()).into());
            }
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Internal("a scan panicked".into()).into()))
    }
}

/// The life of a scan thread.
fn scan_all(mut connection: Connection, queue: &Mutex<Receiver<Scan>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(scan) = next else { return };
        let run = std::panic::AssertUnwindSafe(|| scan(&mut connection));
        if std::panic::catch_unwind(run).is_err() {
            // The caller sees that nobody answers; the snapshot of the panicked scan must not stay open.
            tracing::error!("A scan panicked");
            if let Err(error) = end(&connection) {
                tracing::error!(%error, "A scan thread lost its connection");
                return;
            }
        }
    }
}

fn with_deadline<T, E: From<StoreError>>(
    connection: &mut Connection,
    shared: &Arc<Shared>,
    limit: Duration,
    closure: impl FnOnce(&Db<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let deadline = Instant::now() + limit;
    connection.progress_handler(STEPS, Some(move || Instant::now() >= deadline)).map_err(StoreError::from)?;
    let result = in_snapshot(connection, shared, deadline, closure);
    connection.progress_handler(0, None::<fn() -> bool>).map_err(StoreError::from)?;
    end(connection).map_err(StoreError::from)?;
    result
}

/// Leaves the snapshot open: past its deadline a scan cannot end it; its thread does it afterwards.
fn in_snapshot<T, E: From<StoreError>>(
    connection: &Connection,
    shared: &Arc<Shared>,
    deadline: Instant,
    closure: impl FnOnce(&Db<'_>) -> Result<T, E>,
) -> Result<T, E> {
    begin(connection).map_err(StoreError::from)?;
    closure(&Db::snapshot(Session::new(connection, Some(deadline)), Arc::clone(shared), SeenGroups::default()))
}

/// Begins a snapshot, with the first read that follows.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN")?.execute([]).map(drop)
}

/// Ends the snapshot, if one is open.
pub(super) fn end(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { Ok(()) } else { connection.prepare_cached("ROLLBACK")?.execute([]).map(drop) }
}

/// Opens a connection that only reads.
pub(crate) fn connect(path: &Path) -> Result<Connection, StoreError> {
    // Without its own mutex: a connection is used by one thread at a time.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(super::BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    // Only the writer moves the log, or the log grows without bound under load.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    super::keep_statements(&connection)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
