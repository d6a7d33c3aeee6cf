//! The chain: whole as long as nobody touches it.

use super::*;
use crate::Store;
use crate::testing::{TENANT, at, store};

async fn add(store: &Store, tenant: &str, subject: &str, seconds: i64) -> i64 {
    let entry = AuditEntry {
        number: 0,
        tenant: tenant.into(),
        at: at(seconds),
        actor: "okta".into(),
        action: "create".into(),
        subject: subject.into(),
        detail: Some(json!({ "z": 1, "a": [null, "x"] })),
        hash: String::new(),
    };
    store.write(move |tx| tx.add_audit(&entry)).await.unwrap()
}

/// Prunes until nothing more is old; returns how many entries went.
async fn prune(store: &Store, before: i64) -> usize {
    let (mut removed, mut next) = (0, Some(0));
    while let Some(after) = next {
        let swept = store.write(move |tx| tx.prune_audit(TENANT, at(before), after)).await.unwrap();
        removed += swept.removed;
        next = swept.next;
    }
    removed
}

async fn verify(store: &Store, tenant: &'static str) -> Option<AuditBreak> {
    store.scan(move |db| db.verify_audit(tenant)).await.unwrap()
}

async fn tamper(store: &Store, sql: &'static str) {
    let changed = store.write(move |tx| tx.session().execute(sql, &parameters![])).await.unwrap();
    assert_eq!(changed, 1);
}

async fn chain() -> Store {
    let store = store();
    for number in 1..=5 {
        assert_eq!(add(&store, TENANT, &format!("user{number}"), number).await, number);
    }
    assert_eq!(add(&store, "globex", "other", 1).await, 1, "every tenant has its own chain");
    store
}

#[tokio::test]
async fn a_chain_nobody_touched_is_whole() {
    let store = chain().await;
    assert_eq!(verify(&store, TENANT).await, None);
    assert_eq!(verify(&store, "globex").await, None);
    assert_eq!(verify(&store, "nobody").await, None);
    let entries = store.read(|db| db.audit(TENANT, 1, 2)).await.unwrap();
    let subjects: Vec<&str> = entries.iter().map(|entry| entry.subject.as_str()).collect();
    assert_eq!(subjects, ["user2", "user3"]);
}

#[tokio::test]
async fn a_changed_entry_breaks_the_chain() {
    for sql in [
        "UPDATE audit SET actor = 'root' WHERE tenant = 'acme' AND number = 3",
        "UPDATE audit SET at = at + 1 WHERE tenant = 'acme' AND number = 3",
        "UPDATE audit SET detail = NULL WHERE tenant = 'acme' AND number = 3",
        "UPDATE audit SET hash = 'x' WHERE tenant = 'acme' AND number = 3",
    ] {
        let store = chain().await;
        tamper(&store, sql).await;
        assert_eq!(verify(&store, TENANT).await, Some(AuditBreak::Changed(3)), "{sql}");
        assert_eq!(verify(&store, "globex").await, None);
    }
}

#[tokio::test]
async fn a_missing_entry_breaks_the_chain() {
    let store = chain().await;
    tamper(&store, "DELETE FROM audit WHERE tenant = 'acme' AND number = 1").await;
    assert_eq!(verify(&store, TENANT).await, Some(AuditBreak::Missing(1)));
}

#[tokio::test]
async fn a_pruned_chain_goes_on_from_where_it_was_cut() {
    let store = chain().await;
    assert_eq!(prune(&store, 3).await, 2);
    assert_eq!(verify(&store, TENANT).await, None);
    assert_eq!(prune(&store, 100).await, 3);
    assert_eq!(prune(&store, 100).await, 0);
    assert_eq!(add(&store, TENANT, "user6", 6).await, 6, "numbers go on after the last");
    assert_eq!(verify(&store, TENANT).await, None);
    tamper(&store, "UPDATE audit SET subject = 'x' WHERE tenant = 'acme' AND number = 6").await;
    assert_eq!(verify(&store, TENANT).await, Some(AuditBreak::Changed(6)));
}

#[tokio::test]
async fn what_was_written_while_the_clock_was_ahead_keeps_nothing_else_and_the_chain_is_whole() {
    let store = store();
    let times = [1, 2, 900, 901, 3, 4, 902, 5, 6];
    for (number, seconds) in (1..).zip(times) {
        add(&store, TENANT, &format!("user{number}"), seconds).await;
    }
    let numbers = async || {
        let entries = store.read(|db| db.audit(TENANT, 0, 100)).await.unwrap();
        entries.into_iter().map(|entry| entry.number).collect::<Vec<_>>()
    };
    assert_eq!(prune(&store, 5).await, 4);
    assert_eq!(numbers().await, [3, 4, 7, 8, 9]);
    assert_eq!(verify(&store, TENANT).await, None);
    assert_eq!(prune(&store, 100).await, 1, "the last one stays: new ones follow it");
    assert_eq!(numbers().await, [3, 4, 7, 9]);
    assert_eq!(add(&store, TENANT, "user10", 7).await, 10);
    assert_eq!(verify(&store, TENANT).await, None);
    for (missing, found) in [(4, 4), (7, 7), (9, 9)] {
        let sql = format!("DELETE FROM audit WHERE tenant = 'acme' AND number = {missing}");
        let attempt = move |tx: &mut Tx<'_>| {
            tx.session().execute(&sql, &parameters![])?;
            // Undone: nothing is kept of a write that fails.
            tx.verify_audit(TENANT).and_then(|broken| Err::<(), _>(StoreError::Internal(format!("{broken:?}"))))
        };
        let broken = store.write(attempt).await.unwrap_err();
        assert_eq!(broken, StoreError::Internal(format!("{:?}", Some(AuditBreak::Missing(found)))));
    }
    assert_eq!(prune(&store, 1_000).await, 5);
    assert_eq!(add(&store, TENANT, "user11", 8).await, 11);
    assert_eq!(verify(&store, TENANT).await, None);
}

/// As version 5 wrote it.
#[tokio::test]
async fn a_chain_that_was_cut_by_an_earlier_version_is_whole() {
    let store = chain().await;
    let third = store.read(|db| db.audit(TENANT, 2, 1)).await.unwrap().remove(0);
    let cut = json!([3, third.hash]).to_string();
    let cut = move |tx: &mut Tx<'_>| {
        tx.set_meta("audit/acme", &cut)?;
        tx.session().execute("DELETE FROM audit WHERE tenant = 'acme' AND number <= 3", &parameters![])
    };
    assert_eq!(store.write(cut).await.unwrap(), 3);
    assert_eq!(verify(&store, TENANT).await, None);
    assert_eq!(prune(&store, 100).await, 2);
    assert_eq!(add(&store, TENANT, "user6", 6).await, 6);
    assert_eq!(verify(&store, TENANT).await, None);
}
