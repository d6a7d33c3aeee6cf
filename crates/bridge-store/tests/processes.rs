//! What only several processes show: a process that is killed, a disk that refuses, two that want one database.
//!
//! A test starts its own executable again with `STORE_CHILD` set and plays the child there.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bridge_store::{Options, Store, StoreError};

/// The database a child works on, if this process is one.
fn child_of() -> Option<PathBuf> {
    std::env::var_os("STORE_CHILD").map(PathBuf::from)
}

/// Runs one test of this executable as a child, through a shell that first runs `before`.
fn start(test: &str, database: &Path, before: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("STORE_CHILD", database)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "child: {text}").unwrap();
    out.flush().unwrap();
}

/// What the child says, line by line.
fn heard(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| Some(line.split_once("child: ")?.1.to_owned()))
}

async fn note(store: &Store, name: &str, value: String) -> Result<(), StoreError> {
    let name = name.to_owned();
    store.write(move |tx| tx.set_meta(&name, &value)).await
}

async fn noted(store: &Store, name: &str) -> Option<String> {
    store.read(|db| db.meta(name)).await.unwrap()
}

async fn missing(store: &Store, names: &[String]) -> Vec<String> {
    let mut missing = Vec::new();
    for name in names {
        if noted(store, name).await.is_none() {
            missing.push(name.clone());
        }
    }
    missing
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_kill_9_and_the_lock_is_free() {
    if let Some(path) = child_of() {
        let store = Store::open(&Options::serve(path)).unwrap();
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let store = store.clone();
            writers.spawn(async move {
                for number in 0.. {
                    let name = format!("{writer}/{number}");
                    note(&store, &name, "x".repeat(500)).await.unwrap();
                    say(&name);
                }
            });
        }
        writers.join_all().await;
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    let test = "what_was_acknowledged_is_there_after_kill_9_and_the_lock_is_free";
    for round in 1..=3 {
        let mut child = start(test, &path, "");
        let mut lines = heard(&mut child);
        let mut acknowledged: Vec<String> = lines.by_ref().take(150 * round).collect();
        let second = Store::open(&Options::serve(&path));
        assert!(matches!(second, Err(StoreError::Unavailable(_))), "the child serves this database");
        child.kill().unwrap();
        acknowledged.extend(lines);
        child.wait().unwrap();
        let store = Store::open(&Options::serve(&path)).unwrap();
        assert!(acknowledged.len() >= 150 * round);
        assert_eq!(missing(&store, &acknowledged).await, Vec::<String>::new());
        note(&store, "after", round.to_string()).await.unwrap();
    }
}

#[tokio::test]
async fn when_the_disk_refuses_nothing_is_acknowledged_that_is_not_there() {
    if let Some(path) = child_of() {
        let store = Store::open(&Options::serve(path)).unwrap();
        for number in 0.. {
            match note(&store, &number.to_string(), "x".repeat(50_000)).await {
                Ok(()) => say(&number.to_string()),
                Err(StoreError::Unavailable(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(store.is_failed().is_some());
        assert!(matches!(note(&store, "later", String::new()).await, Err(StoreError::Unavailable(_))));
        assert_eq!(noted(&store, "0").await.map(|text| text.len()), Some(50_000), "reading goes on");
        say("failed as it should");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    let test = "when_the_disk_refuses_nothing_is_acknowledged_that_is_not_there";
    // No file may grow beyond 2 MiB; the signal that goes with it is ignored, so that the write itself fails.
    let mut child = start(test, &path, "trap '' XFSZ; ulimit -f 4096;");
    let mut acknowledged: Vec<String> = heard(&mut child).collect();
    assert!(child.wait().unwrap().success());
    assert_eq!(acknowledged.pop().as_deref(), Some("failed as it should"));
    assert!(acknowledged.len() > 10, "{acknowledged:?}");
    let store = Store::open(&Options::serve(&path)).unwrap();
    assert_eq!(missing(&store, &acknowledged).await, Vec::<String>::new());
    assert_eq!(noted(&store, "later").await, None);
    note(&store, "later", "here".into()).await.unwrap();
}

#[tokio::test]
async fn a_visitor_reads_and_writes_beside_the_process_that_serves() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    let server = Store::open(&Options::serve(&path)).unwrap();
    let visitor = Store::open(&Options::visit(&path)).unwrap();
    note(&visitor, "token", "made".into()).await.unwrap();
    assert_eq!(noted(&server, "token").await.as_deref(), Some("made"));
    note(&server, "token", "seen".into()).await.unwrap();
    assert_eq!(noted(&visitor, "token").await.as_deref(), Some("seen"));
    let second = Store::open(&Options::serve(&path));
    assert!(matches!(&second, Err(StoreError::Unavailable(reason)) if reason.contains("another scim-bridge")));
    drop(server);
    drop(Store::open(&Options::serve(&path)).unwrap());
}

#[tokio::test]
async fn a_backup_is_made_while_the_store_is_written_to_and_never_overwrites() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy.db");
    let store = Store::open(&Options::serve(directory.path().join("bridge.db"))).unwrap();
    note(&store, "before", "here".into()).await.unwrap();
    let writing = store.clone();
    let writer = tokio::spawn(async move {
        for number in 0..50 {
            note(&writing, &format!("during {number}"), "x".repeat(1000)).await.unwrap();
        }
    });
    store.backup(&copy).await.unwrap();
    writer.await.unwrap();
    note(&store, "after", "here".into()).await.unwrap();
    let restored = Store::open(&Options::serve(&copy)).unwrap();
    assert_eq!(noted(&restored, "before").await.as_deref(), Some("here"));
    assert_eq!(noted(&restored, "after").await, None);
    note(&restored, "own", "life".into()).await.unwrap();
    drop(restored);
    let length = std::fs::metadata(&copy).unwrap().len();
    assert_eq!(store.backup(&copy).await, Err(StoreError::FileExists(copy.clone())));
    assert_eq!(std::fs::metadata(&copy).unwrap().len(), length, "the first copy is as it was");
    let nowhere = directory.path().join("no such directory").join("copy.db");
    assert!(
        matches!(store.backup(&nowhere).await, Err(StoreError::BadPlace(what_to_do)) if what_to_do.contains("make it"))
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    std::fs::write(&path, "a letter to the editor ".repeat(100)).unwrap();
    assert!(matches!(Store::open(&Options::serve(&path)), Err(StoreError::Corrupt(_))));
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("a letter"));
    let nowhere = Options::serve(directory.path().join("no such directory").join("bridge.db"));
    assert!(matches!(Store::open(&nowhere), Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_temporary_store_leaves_nothing_behind() {
    let store = Store::open(&Options::default()).unwrap();
    note(&store, "fact", "here".into()).await.unwrap();
    let path = store.path().to_owned();
    assert!(path.exists());
    drop(store);
    assert!(!path.parent().unwrap().exists());
}
