//! Connections that wait for the next inline read, and the state of the database that each still looks at.
//!
//! To begin and end a snapshot costs as much as to read a row. So a connection goes on looking at its state as long as it is
//! the newest one: until this process commits, and not longer than [`KEPT_FOR`], because another process may commit too
//! (`scim-bridge token`). Nobody who waits looks at an old state, or the writer could not move the log into the database.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::readers::{begin, end};
use crate::members::SeenGroups;

/// How many connections are kept. More are opened when needed and closed after use.
const KEPT: usize = 8;

/// How long a state is looked at: so late what another process has written is seen.
pub(crate) const KEPT_FOR: Duration = Duration::from_millis(50);

/// A connection that waits.
pub(crate) struct Kept {
    pub(crate) connection: Connection,
    /// None: the next read begins anew.
    pub(crate) looking: Option<Looking>,
}

impl From<Connection> for Kept {
    fn from(connection: Connection) -> Self {
        Self { connection, looking: None }
    }
}

/// A state of the database that is looked at.
pub(crate) struct Looking {
    /// The commits of this process that came before it, at least.
    commits: u64,
    since: Instant,
    /// Groups that were read at this state.
    pub(crate) groups: SeenGroups,
}

/// The connections that wait.
#[derive(Default)]
pub(crate) struct Idle {
    connections: Mutex<Vec<Kept>>,
    /// How often this process has committed.
    commits: AtomicU64,
}

impl Idle {
    /// A connection, if one waits.
    pub(crate) fn take(&self) -> Option<Kept> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Has the connection look at the newest state: with `newest` the newest of all, else that of this process.
    pub(crate) fn look(&self, kept: Kept, newest: bool) -> rusqlite::Result<(Connection, Looking)> {
        // Asked before the state is looked at: what is committed in between makes it newer than its number, never older.
        let (commits, now) = (self.commits.load(Ordering::Acquire), Instant::now());
        let Kept { connection, looking } = kept;
        let is_newest = |looking: &Looking| {
            !newest && looking.commits == commits && now.saturating_duration_since(looking.since) < KEPT_FOR
        };
        if let Some(looking) = looking {
            if is_newest(&looking) {
                return Ok((connection, looking));
            }
            end(&connection)?;
        }
        begin(&connection)?;
        Ok((connection, Looking { commits, since: now, groups: SeenGroups::default() }))
    }

    /// Keeps a connection for the next read, unless enough are kept.
    pub(crate) fn give_back(&self, mut kept: Kept) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that a commit in this moment finds either the new number or the connection.
        let commits = self.commits.load(Ordering::Acquire);
        let is_old = kept.looking.as_ref().is_some_and(|looking| looking.commits != commits);
        if connections.len() < KEPT && (!is_old || kept.look_away()) {
            connections.push(kept);
        }
    }

    /// This process has committed: nobody who waits looks at what was before.
    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Release);
        self.look_away();
    }

    /// Nobody who waits looks at anything.
    pub(crate) fn look_away(&self) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).retain_mut(Kept::look_away);
    }
}

impl Kept {
    /// Ends the snapshot; false if that is not possible, and the connection must go.
    fn look_away(&mut self) -> bool {
        match self.looking.take() {
            Some(_) => {
                end(&self.connection).inspect_err(|error| tracing::warn!(%error, "A snapshot did not end")).is_ok()
            }
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sqlite::files;
    use crate::testing::{note, noted, store};
    use crate::{Options, Store, StoreError};

    use super::*;

    /// The fact, as an inline read sees it.
    async fn read(store: &Store, newest: bool) -> Option<String> {
        let fact = |db: &crate::Db<'_>| db.meta("fact");
        if newest { store.read_newest(fact).await.unwrap() } else { store.read(fact).await.unwrap() }
    }

    #[tokio::test]
    async fn a_read_sees_what_this_process_wrote_before() {
        let store = store();
        for turn in 0..100 {
            let written = turn.to_string();
            note(&store, "fact", &written).await.unwrap();
            assert_eq!(read(&store, false).await.as_deref(), Some(written.as_str()));
            assert_eq!(read(&store, false).await.as_deref(), Some(written.as_str()));
        }
    }

    #[tokio::test]
    async fn a_read_soon_sees_what_another_process_wrote_and_one_for_the_newest_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bridge.db");
        let store = Store::open(&Options::serve(&path)).unwrap();
        let visitor = Store::open(&Options::visit(&path)).unwrap();
        for turn in 0..10 {
            assert!(read(&store, false).await.is_none_or(|seen| seen != turn.to_string()));
            note(&visitor, "fact", &turn.to_string()).await.unwrap();
            assert_eq!(read(&store, true).await, Some(turn.to_string()));
        }
        note(&visitor, "fact", "last").await.unwrap();
        let begun = Instant::now();
        while read(&store, false).await.as_deref() != Some("last") {
            assert!(begun.elapsed() < KEPT_FOR * 100, "the old state is looked at for ever");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_read_does_not_keep_the_log_from_being_moved() {
        let store = store();
        note(&store, "fact", "first").await.unwrap();
        read(&store, false).await;
        note(&store, "fact", "second").await.unwrap();
        let other = Connection::open(store.path()).unwrap();
        let moved: (i64, i64, i64) = other
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        assert!(moved.0 == 0 && moved.1 > 0 && moved.1 == moved.2, "{moved:?}");
    }

    #[tokio::test]
    async fn the_log_begins_anew_however_many_read_between_the_writes() {
        let store = store();
        let log = files::beside(store.path(), "-wal");
        for turn in 0..150 {
            note(&store, "big", &turn.to_string().repeat(1 << 19)).await.unwrap();
            // A connection looks at this state when the next commit comes.
            read(&store, false).await;
        }
        // Some 190 MiB were written; the log is moved at 64.
        let length = log.metadata().unwrap().len() >> 20;
        assert!(length < 80, "{length} MiB");
    }

    #[tokio::test]
    async fn a_read_that_was_open_during_a_write_does_not_keep_its_state() {
        let store = store();
        note(&store, "fact", "first").await.unwrap();
        let (reading, runtime) = (store.clone(), tokio::runtime::Handle::current());
        let open = tokio::task::spawn_blocking(move || {
            let write = || {
                std::thread::spawn({
                    let (store, runtime) = (reading.clone(), runtime.clone());
                    move || runtime.block_on(note(&store, "fact", "second"))
                })
            };
            runtime.block_on(reading.read(|db| {
                let seen = db.meta("fact")?;
                write().join().unwrap()?;
                Ok::<_, StoreError>(seen)
            }))
        });
        assert_eq!(open.await.unwrap().unwrap().as_deref(), Some("first"));
        assert!(store.inner.readers.idle.connections.lock().unwrap().iter().all(|kept| kept.looking.is_none()));
        assert_eq!(noted(&store, "fact").await.as_deref(), Some("second"));
    }
}
