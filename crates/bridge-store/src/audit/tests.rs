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
    let prune = |before| store.write(move |tx| tx.prune_audit(TENANT, at(before)));
    assert_eq!(prune(3).await.unwrap(), 2);
    assert_eq!(verify(&store, TENANT).await, None);
    assert_eq!(prune(100).await.unwrap(), 3);
    assert_eq!(prune(100).await.unwrap(), 0);
    assert_eq!(add(&store, TENANT, "user6", 6).await, 6, "numbers go on after the last");
    assert_eq!(verify(&store, TENANT).await, None);
    tamper(&store, "UPDATE audit SET subject = 'x' WHERE tenant = 'acme' AND number = 6").await;
    assert_eq!(verify(&store, TENANT).await, Some(AuditBreak::Changed(6)));
}
