//! Reading: what it sees, how long it may take, and that it only reads.

use std::time::Duration;

use crate::driver::parameters;
use crate::testing::{note, noted, store};
use crate::{Db, Store, StoreError};

/// Never ends by itself.
fn count_for_ever(db: &Db<'_>) -> Result<(), StoreError> {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    db.session().query_one(sql, &parameters![], |row| row.integer(0)).map(drop)
}

/// Yields rows for ever, each at once.
fn walk_for_ever(db: &Db<'_>) -> Result<(), StoreError> {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    db.session().each(sql, &parameters![], |_| Ok(true))
}

#[tokio::test]
async fn a_scan_past_its_deadline_is_too_many_and_the_next_one_runs() {
    let store = store();
    note(&store, "fact", "here").await.unwrap();
    for _ in 0..4 {
        let scanned = store.scan_within(Duration::from_millis(1), count_for_ever).await;
        assert_eq!(scanned, Err(StoreError::TooMany));
        let scanned = store.scan_within(Duration::from_millis(1), walk_for_ever).await;
        assert_eq!(scanned, Err(StoreError::TooMany));
    }
    let found = store.scan(|db| db.meta("fact")).await.unwrap();
    assert_eq!(found.as_deref(), Some("here"));
}

#[tokio::test]
async fn a_scan_that_panics_is_an_error_and_the_next_ones_run_and_see_new_writes() {
    let store = store();
    for _ in 0..4 {
        let scanned: Result<(), StoreError> = store.scan(|_| panic!("out of luck")).await;
        assert_eq!(scanned, Err(StoreError::Internal("a scan panicked".into())));
    }
    note(&store, "fact", "here").await.unwrap();
    for _ in 0..4 {
        let found = store.scan(|db| db.meta("fact")).await.unwrap();
        assert_eq!(found.as_deref(), Some("here"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_one_state_of_the_database_from_beginning_to_end() {
    let store = store();
    note(&store, "fact", "before").await.unwrap();
    let writing = store.clone();
    let runtime = tokio::runtime::Handle::current();
    let seen = store
        .read(|db| {
            let first = db.meta("fact")?;
            std::thread::spawn(move || runtime.block_on(note(&writing, "fact", "after"))).join().unwrap()?;
            Ok::<_, StoreError>((first, db.meta("fact")?))
        })
        .await
        .unwrap();
    assert_eq!(seen, (Some("before".into()), Some("before".into())));
    assert_eq!(noted(&store, "fact").await.as_deref(), Some("after"));
}

#[tokio::test]
async fn a_read_that_panics_leaves_the_others_alone() {
    let store = store();
    note(&store, "fact", "here").await.unwrap();
    let reading = store.clone();
    let panicked = tokio::spawn(async move { reading.read::<(), StoreError>(|_| panic!("out of luck")).await }).await;
    assert!(panicked.is_err());
    assert_eq!(noted(&store, "fact").await.as_deref(), Some("here"));
}

#[tokio::test]
async fn reads_within_reads_have_connections_of_their_own() {
    fn nested(store: &Store, depth: usize) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = store.read(|db| {
            if depth == 0 {
                db.meta("fact")
            } else {
                Ok(std::thread::scope(|scope| scope.spawn(|| nested(store, depth - 1)).join().unwrap()))
            }
        });
        runtime.block_on(read).unwrap()
    }
    let store = store();
    note(&store, "fact", "here").await.unwrap();
    let found = std::thread::scope(|scope| scope.spawn(|| nested(&store, 12)).join().unwrap());
    assert_eq!(found.as_deref(), Some("here"));
}

#[tokio::test]
async fn a_reading_connection_cannot_write() {
    let store = store();
    let written =
        store.read(|db| db.session().execute("INSERT INTO meta (name, value) VALUES ('a', 'b')", &parameters![])).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
}
