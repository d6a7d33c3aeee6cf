//! Who is gone for good is forgotten, and nobody else.

use crate::testing::{TENANT, add, at, store};
use crate::{AccountState, Doubt, Member, ResourceState, Settlement, Store, Want};

async fn departed(store: &Store, before: i64) -> Vec<(i64, bool)> {
    let mut all = Vec::new();
    // One at a time: each page goes on where the one before ended.
    let mut last = None;
    loop {
        let page = store.scan(move |db| db.departed(at(before), last, 1)).await.unwrap();
        let [found] = page.as_slice() else { return all };
        last = Some(*found);
        all.push((found.key, found.is_finished));
    }
}

async fn forget(store: &Store, key: i64) -> bool {
    store.write(move |tx| tx.forget(key)).await.unwrap()
}

/// A user who is deleted in that second.
async fn leaver(store: &Store, name: &str, second: i64) -> i64 {
    let (key, version) = (add(store, name).await.key, 1);
    let delete = store.write(move |tx| tx.set_resource_state(key, version, ResourceState::Deleted, at(second)));
    assert!(delete.await.unwrap());
    key
}

/// An account that was worked on, with this outcome.
async fn settle(store: &Store, key: i64, change: impl Fn(Settlement) -> Settlement + Send + Sync + 'static) {
    let write = store.write(move |tx| {
        tx.want(key, "pbx", &Want::due(at(0)), at(0))?;
        let row = tx.claim_one(key, "pbx", at(0), at(60))?.unwrap();
        tx.settle(key, "pbx", row.lease.unwrap().token, &change(Settlement::of(&row, AccountState::Settled, at(1))))
    });
    assert!(write.await.unwrap());
}

#[tokio::test]
async fn who_left_is_found_in_order_and_forgotten_once() {
    let store = store();
    let (late, early) = (leaver(&store, "late", 20).await, leaver(&store, "early", 10).await);
    let living = add(&store, "living").await.key;
    assert_eq!(departed(&store, 10).await, []);
    assert_eq!(departed(&store, 11).await, [(early, true)]);
    assert_eq!(departed(&store, 21).await, [(early, true), (late, true)]);
    assert!(forget(&store, early).await && !forget(&store, early).await);
    assert!(!forget(&store, living).await);
    assert_eq!(departed(&store, 21).await, [(late, true)]);
}

#[tokio::test]
async fn whoever_has_an_account_or_needs_a_person_is_remembered() {
    let store = store();
    let check = async |name: &str, change: fn(Settlement) -> Settlement, is_finished: bool| {
        let key = leaver(&store, name, 10).await;
        settle(&store, key, change).await;
        assert!(departed(&store, 11).await.contains(&(key, is_finished)), "{name}");
        assert_eq!(forget(&store, key).await, is_finished, "{name}");
    };
    check("nothing left", |settled| settled, true).await;
    check("out of scope", |settled| Settlement { state: AccountState::OutOfScope, ..settled }, true).await;
    check("suspended", |settled| Settlement { remote_id: Some("1000".into()), ..settled }, false).await;
    check("in doubt", |settled| Settlement { doubt: Doubt::Create, ..settled }, false).await;
    check("a task", |settled| Settlement { state: AccountState::Task, ..settled }, false).await;
    check("parked", |settled| Settlement { state: AccountState::Parked, ..settled }, false).await;
    check("due", |settled| Settlement { state: AccountState::Due, ..settled }, false).await;
    check("held", |settled| Settlement { state: AccountState::Held, ..settled }, false).await;
}

#[tokio::test]
async fn whoever_is_being_worked_on_holds_a_value_or_has_members_is_remembered() {
    let store = store();
    let worked_on = leaver(&store, "worked on", 10).await;
    let claim = store.write(move |tx| {
        tx.want(worked_on, "pbx", &Want::due(at(0)), at(0))?;
        tx.claim_one(worked_on, "pbx", at(0), at(60)).map(drop)
    });
    claim.await.unwrap();
    let holder = leaver(&store, "holder", 10).await;
    store.write(move |tx| tx.replace_assignment(TENANT, "extension", holder, "1000", at(0))).await.unwrap();
    let group = leaver(&store, "group", 10).await;
    let member = Member { value: "ann".into(), kind: None };
    store.write(move |tx| tx.add_members(TENANT, group, std::slice::from_ref(&member)).map(drop)).await.unwrap();
    let handed_over = leaver(&store, "handed over", 10).await;
    settle(&store, handed_over, |settled| Settlement { remote_id: Some("1000".into()), ..settled }).await;
    let heir = add(&store, "heir").await.key;
    assert!(store.write(move |tx| tx.hand_over(handed_over, heir, "pbx", None, at(2))).await.unwrap());
    assert_eq!(departed(&store, 11).await, [(worked_on, false), (holder, false), (group, false), (handed_over, true)]);
    for key in [worked_on, holder, group] {
        assert!(!forget(&store, key).await);
    }
    assert!(forget(&store, handed_over).await, "another has the account now");
}
