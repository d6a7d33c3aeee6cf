//! Each promise of the writer, with the fault that would break it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use rusqlite::functions::FunctionFlags;
use tokio::task::JoinHandle;

use super::*;
use crate::driver::parameters;
use crate::testing::{note, noted, store};
use crate::{Options, Store};

/// A write that stops the writer until it is let go.
struct Gate {
    go: Sender<()>,
    task: JoinHandle<Result<(), StoreError>>,
}

impl Gate {
    /// Returns once the writer is inside.
    async fn close(store: &Store) -> Self {
        let (go, wait) = channel();
        let (inside, is_inside) = oneshot::channel();
        let (wait, inside): (Mutex<Receiver<()>>, _) = (Mutex::new(wait), Mutex::new(Some(inside)));
        let store = store.clone();
        let task = tokio::spawn(async move {
            store
                .write(move |_| {
                    if let Some(inside) = inside.lock().unwrap().take() {
                        inside.send(()).unwrap();
                        wait.lock().unwrap().recv().unwrap();
                    }
                    Ok::<_, StoreError>(())
                })
                .await
        });
        is_inside.await.unwrap();
        Self { go, task }
    }

    async fn open(self) -> Result<(), StoreError> {
        self.go.send(()).unwrap();
        self.task.await.unwrap()
    }
}

/// Queues a write behind a gate; returns once it is in the queue.
async fn queue<F>(store: &Store, closure: F) -> JoinHandle<Result<(), StoreError>>
where
    F: Fn(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
{
    let queued = || store.inner.writer.queue.max_capacity() - store.inner.writer.queue.capacity();
    let before = queued();
    let writing = store.clone();
    let task = tokio::spawn(async move { writing.write(closure).await });
    while queued() == before {
        tokio::task::yield_now().await;
    }
    task
}

async fn queue_note(store: &Store, name: &str) -> JoinHandle<Result<(), StoreError>> {
    let name = name.to_owned();
    queue(store, move |tx| tx.set_meta(&name, "here")).await
}

/// Writes more than the database has room for.
fn fill(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.set_meta("big", &"x".repeat(10_000_000))
}

/// From now on the database cannot grow by more than a few pages.
async fn limit_size(store: &Store) {
    store
        .write(|tx| {
            let pages = tx.session().query_one("PRAGMA page_count", &parameters![], |row| row.integer(0))?;
            let limit = format!("PRAGMA max_page_count = {}", pages.unwrap_or_default() + 20);
            tx.session().query_one(&limit, &parameters![], |row| row.integer(0)).map(drop)
        })
        .await
        .unwrap();
}

/// A store whose writer has a function `fail()` that fails as the disk would.
fn failing_store(options: &Options) -> Store {
    Store::open_with(options, |connection| {
        connection.create_scalar_function("fail", 0, FunctionFlags::SQLITE_UTF8, |_| -> rusqlite::Result<i64> {
            Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_WRITE), None))
        })
    })
    .unwrap()
}

fn meet_io_error(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let sql = "UPDATE meta SET value = fail()";
    tx.set_meta("lost", "here")?;
    tx.session().execute(sql, &parameters![]).map(drop)
}

fn is_unavailable(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_)))
}

#[tokio::test]
async fn writes_that_are_queued_together_share_one_commit() {
    let store = store();
    let gate = Gate::close(&store).await;
    let before = store.statistics();
    let mut tasks = Vec::new();
    for number in 0..20 {
        tasks.push(queue_note(&store, &format!("n{number}")).await);
    }
    gate.open().await.unwrap();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let after = store.statistics();
    assert_eq!((after.writes - before.writes, after.commits - before.commits), (21, 1));
    assert_eq!(noted(&store, "n19").await.as_deref(), Some("here"));
}

#[tokio::test]
async fn a_group_is_bounded() {
    let store = store();
    let gate = Gate::close(&store).await;
    let before = store.statistics().commits;
    let mut tasks = Vec::new();
    for number in 0..100 {
        tasks.push(queue_note(&store, &format!("n{number}")).await);
    }
    gate.open().await.unwrap();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.statistics().commits - before, 2);
}

#[tokio::test]
async fn a_refused_write_leaves_nothing_and_its_neighbours_stay() {
    let store = store();
    let gate = Gate::close(&store).await;
    let first = queue_note(&store, "first").await;
    let refused = queue(&store, |tx| {
        tx.set_meta("refused", "here")?;
        Err(StoreError::NotFound("resource"))
    })
    .await;
    let last = queue_note(&store, "last").await;
    gate.open().await.unwrap();
    assert_eq!(refused.await.unwrap(), Err(StoreError::NotFound("resource")));
    first.await.unwrap().unwrap();
    last.await.unwrap().unwrap();
    assert_eq!(noted(&store, "refused").await, None);
    assert_eq!(noted(&store, "first").await.as_deref(), Some("here"));
    assert_eq!(noted(&store, "last").await.as_deref(), Some("here"));
}

#[tokio::test]
async fn only_a_write_that_is_refused_halfway_makes_its_neighbours_run_again() {
    let check = |writes_first: bool, expected: usize| async move {
        let store = store();
        let gate = Gate::close(&store).await;
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let neighbour = queue(&store, move |tx| {
            counted.fetch_add(1, Ordering::Relaxed);
            tx.set_meta("neighbour", "here")
        })
        .await;
        let refused = queue(&store, move |tx| {
            if writes_first {
                tx.set_meta("refused", "here")?;
            }
            Err(StoreError::NotFound("resource"))
        })
        .await;
        gate.open().await.unwrap();
        neighbour.await.unwrap().unwrap();
        assert_eq!(refused.await.unwrap(), Err(StoreError::NotFound("resource")));
        assert_eq!(runs.load(Ordering::Relaxed), expected, "writes first: {writes_first}");
        assert_eq!(noted(&store, "neighbour").await.as_deref(), Some("here"));
        assert_eq!(noted(&store, "refused").await, None);
    };
    check(false, 1).await;
    check(true, 2).await;
}

#[tokio::test]
async fn a_disk_that_fills_up_while_a_group_runs_again_refuses_only_who_filled_it() {
    let store = store();
    limit_size(&store).await;
    let gate = Gate::close(&store).await;
    let first = queue_note(&store, "first").await;
    let runs = AtomicUsize::new(0);
    let grows =
        queue(
            &store,
            move |tx| {
                if runs.fetch_add(1, Ordering::Relaxed) == 0 { tx.set_meta("grows", "small") } else { fill(tx) }
            },
        )
        .await;
    let refused = queue(&store, |tx| {
        tx.set_meta("refused", "here")?;
        Err(StoreError::NotFound("resource"))
    })
    .await;
    gate.open().await.unwrap();
    first.await.unwrap().unwrap();
    assert!(is_unavailable(&grows.await.unwrap()));
    assert_eq!(refused.await.unwrap(), Err(StoreError::NotFound("resource")));
    assert_eq!(noted(&store, "first").await.as_deref(), Some("here"));
    assert_eq!(noted(&store, "refused").await, None);
}

#[tokio::test]
async fn a_refused_write_is_not_answered_before_the_commit_of_its_group() {
    let store = store();
    let gate = Gate::close(&store).await;
    let refused = queue(&store, |_| Err(StoreError::NotFound("resource"))).await;
    let (go, wait) = channel::<()>();
    let (inside, is_inside) = channel();
    let wait = Mutex::new(wait);
    let slow = queue(&store, move |tx| {
        inside.send(()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        tx.set_meta("slow", "here")
    })
    .await;
    gate.go.send(()).unwrap();
    // The refused one has been run by the time the slow one is.
    is_inside.recv().unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!refused.is_finished());
    go.send(()).unwrap();
    slow.await.unwrap().unwrap();
    assert_eq!(refused.await.unwrap(), Err(StoreError::NotFound("resource")));
    gate.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_group_in_which_all_are_refused_costs_no_commit() {
    let store = store();
    let before = store.statistics();
    let refused: Result<(), _> = store.write(|_| Err(StoreError::NotFound("resource"))).await;
    assert!(refused.is_err());
    let after = store.statistics();
    assert_eq!((after.writes - before.writes, after.commits - before.commits), (1, 0));
}

#[tokio::test]
async fn a_write_that_panics_is_refused_and_its_neighbours_stay() {
    let store = store();
    let gate = Gate::close(&store).await;
    let first = queue_note(&store, "first").await;
    let panics = queue(&store, |tx| {
        tx.set_meta("panicked", "here")?;
        panic!("out of luck")
    })
    .await;
    let last = queue_note(&store, "last").await;
    gate.open().await.unwrap();
    let refused = panics.await.unwrap();
    assert_eq!(refused, Err(StoreError::Internal("a write panicked: out of luck".into())));
    first.await.unwrap().unwrap();
    last.await.unwrap().unwrap();
    assert_eq!(noted(&store, "panicked").await, None);
    assert_eq!(noted(&store, "first").await.as_deref(), Some("here"));
    assert_eq!(store.is_failed(), None);
}

#[tokio::test]
async fn when_the_disk_is_full_only_the_write_that_filled_it_is_refused() {
    let store = store();
    limit_size(&store).await;
    let gate = Gate::close(&store).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let before = queue(&store, move |tx| {
        counted.fetch_add(1, Ordering::Relaxed);
        tx.set_meta("before", "here")
    })
    .await;
    let big = queue(&store, fill).await;
    let after = queue_note(&store, "after").await;
    gate.open().await.unwrap();
    assert!(is_unavailable(&big.await.unwrap()));
    before.await.unwrap().unwrap();
    after.await.unwrap().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 2, "what was dropped with the group runs again");
    assert_eq!(noted(&store, "before").await.as_deref(), Some("here"));
    assert_eq!(noted(&store, "after").await.as_deref(), Some("here"));
    assert_eq!(noted(&store, "big").await, None);
    assert_eq!(store.is_failed(), None);
}

#[tokio::test]
async fn a_write_that_overlooks_the_full_disk_is_refused_all_the_same() {
    let store = store();
    limit_size(&store).await;
    let overlooked = store
        .write(|tx| {
            assert!(fill(tx).is_err());
            Ok::<_, StoreError>(())
        })
        .await;
    assert!(is_unavailable(&overlooked));
    note(&store, "small", "here").await.unwrap();
}

#[tokio::test]
async fn the_writes_that_run_again_run_each_alone() {
    let store = store();
    limit_size(&store).await;
    let gate = Gate::close(&store).await;
    let before = store.statistics().commits;
    let first = queue_note(&store, "first").await;
    let second = queue_note(&store, "second").await;
    let big = queue(&store, fill).await;
    let again = queue(&store, fill).await;
    gate.open().await.unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert!(is_unavailable(&big.await.unwrap()));
    assert!(is_unavailable(&again.await.unwrap()));
    // The gate, which is refused nothing but writes nothing either, and the two notes.
    assert_eq!(store.statistics().commits - before, 3);
}

#[tokio::test]
async fn after_an_io_error_everybody_gets_unavailable_and_nothing_is_written_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::serve(directory.path().join("bridge.db"));
    let store = failing_store(&options);
    note(&store, "kept", "here").await.unwrap();
    let failed = store.failed();
    let gate = Gate::close(&store).await;
    let neighbour = queue_note(&store, "neighbour").await;
    let hit = queue(&store, meet_io_error).await;
    let behind = queue_note(&store, "behind").await;
    assert!(is_unavailable(&gate.open().await));
    assert!(is_unavailable(&neighbour.await.unwrap()));
    assert!(is_unavailable(&hit.await.unwrap()));
    assert!(is_unavailable(&behind.await.unwrap()));
    assert!(store.is_failed().unwrap().contains("disk I/O error"));
    assert_eq!(failed.await, store.is_failed().unwrap());
    assert!(is_unavailable(&note(&store, "later", "here").await));
    drop(store);
    let again = Store::open(&options).unwrap();
    assert_eq!(noted(&again, "kept").await.as_deref(), Some("here"));
    assert_eq!(noted(&again, "neighbour").await, None);
    assert_eq!(noted(&again, "lost").await, None);
    note(&again, "later", "here").await.unwrap();
}

#[tokio::test]
async fn after_a_failed_commit_everybody_gets_unavailable_and_nothing_is_written_any_more() {
    let is_broken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let broken = Arc::clone(&is_broken);
    let store = Store::open_with(&Options::default(), move |connection| {
        connection.commit_hook(Some(move || broken.load(Ordering::Relaxed)))
    })
    .unwrap();
    note(&store, "kept", "here").await.unwrap();
    let gate = Gate::close(&store).await;
    let written = queue_note(&store, "lost").await;
    let refused = queue(&store, |_| Err(StoreError::NotFound("resource"))).await;
    is_broken.store(true, Ordering::Relaxed);
    assert!(is_unavailable(&gate.open().await));
    assert!(is_unavailable(&written.await.unwrap()));
    assert!(is_unavailable(&refused.await.unwrap()), "what it saw may not be there");
    assert!(store.is_failed().unwrap().contains("COMMIT failed"));
    assert!(is_unavailable(&note(&store, "later", "here").await));
    assert_eq!(noted(&store, "kept").await.as_deref(), Some("here"), "reading goes on");
    assert_eq!(noted(&store, "lost").await, None);
}

#[tokio::test]
async fn a_write_goes_on_when_its_caller_no_longer_waits() {
    let store = store();
    let gate = Gate::close(&store).await;
    queue_note(&store, "left").await.abort();
    let last = queue_note(&store, "last").await;
    gate.open().await.unwrap();
    last.await.unwrap().unwrap();
    assert_eq!(noted(&store, "left").await.as_deref(), Some("here"));
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_refuses_what_comes_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    let store = Store::open(&Options::serve(&path)).unwrap();
    let gate = Gate::close(&store).await;
    let queued = queue_note(&store, "queued").await;
    let closing = store.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    gate.open().await.unwrap();
    queued.await.unwrap().unwrap();
    closed.await.unwrap();
    assert!(is_unavailable(&note(&store, "later", "here").await));
    assert_eq!(store.is_failed(), None, "a closed store has not failed");
    assert_eq!(noted(&store, "queued").await.as_deref(), Some("here"));
    let log = std::fs::metadata(directory.path().join("bridge.db-wal")).unwrap();
    assert_eq!(log.len(), 0, "the log has been moved into the database");
    store.close().await;
}

#[tokio::test]
async fn a_visitor_leaves_the_log_to_the_process_that_serves() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    let server = Store::open(&Options::serve(&path)).unwrap();
    let visitor = Store::open(&Options::visit(&path)).unwrap();
    note(&visitor, "token", "made").await.unwrap();
    let log = || std::fs::metadata(directory.path().join("bridge.db-wal")).unwrap().len();
    let before = log();
    assert!(before > 0);
    visitor.close().await;
    drop(visitor);
    assert_eq!(log(), before);
    server.close().await;
    assert_eq!(log(), 0);
}

#[tokio::test]
async fn a_visitor_changes_no_tables_under_a_running_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    // What a newer version finds: the tables of an older one, here none at all.
    let server = crate::Lock::take(&path).unwrap();
    let refusal = Store::open(&Options::visit(&path)).err().unwrap().to_string();
    assert!(refusal.contains("restart it with this version first"), "{refusal}");
    let tables = rusqlite::Connection::open(&path).unwrap();
    assert!(!tables.table_exists(None, "resource").unwrap());
    drop(server);
    let visitor = Store::open(&Options::visit(&path)).unwrap();
    note(&visitor, "token", "made").await.unwrap();
    let server = Store::open(&Options::serve(&path)).unwrap();
    assert_eq!(noted(&server, "token").await.as_deref(), Some("made"));
}

#[tokio::test]
async fn while_another_process_writes_a_write_is_refused_and_the_next_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    let store =
        Store::open_with(&Options::visit(&path), |connection| connection.busy_timeout(std::time::Duration::ZERO))
            .unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(is_unavailable(&note(&store, "refused", "here").await));
    assert_eq!(store.is_failed(), None);
    other.execute_batch("COMMIT").unwrap();
    note(&store, "accepted", "here").await.unwrap();
}
