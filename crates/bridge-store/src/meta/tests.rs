//! Facts by name, and where the targets point.

use crate::testing::{TENANT, add, at, note, noted, store};
use crate::{AccountState, Settlement, Store, StoreError, TargetPlace, Want};

async fn put(store: &Store, target: &'static str, fingerprint: &'static str) {
    store.write(move |tx| tx.put_target_place(TENANT, target, fingerprint)).await.unwrap();
}

fn place(target: &str, fingerprint: &str, accounts: u64) -> TargetPlace {
    TargetPlace { tenant: TENANT.into(), target: target.into(), fingerprint: fingerprint.into(), accounts }
}

async fn places(store: &Store) -> Vec<TargetPlace> {
    store.read(|db| db.target_places()).await.unwrap()
}

#[tokio::test]
async fn a_fact_is_written_over_and_forgotten() {
    let store = store();
    assert_eq!(noted(&store, "a").await, None);
    note(&store, "a", "1").await.unwrap();
    note(&store, "a", "2").await.unwrap();
    note(&store, "b", "3").await.unwrap();
    assert_eq!(noted(&store, "a").await.as_deref(), Some("2"));
    let facts = store.read(|db| db.meta_with_prefix("a")).await.unwrap();
    assert_eq!(facts, [("a".to_owned(), "2".to_owned())]);
    assert!(store.write(|tx| tx.remove_meta("a")).await.unwrap());
    assert!(!store.write(|tx| tx.remove_meta("a")).await.unwrap());
}

#[tokio::test]
async fn a_target_is_known_by_its_place_and_holds_the_accounts_that_may_be_there() {
    let store = store();
    put(&store, "pbx", "old").await;
    put(&store, "pbx", "new").await;
    put(&store, "glance", "x").await;
    assert_eq!(places(&store).await, [place("glance", "x", 0), place("pbx", "new", 0)]);
    let key = add(&store, "ann").await.key;
    store.write(move |tx| tx.want(key, "pbx", &Want::due(at(0)), at(0)).map(drop)).await.unwrap();
    assert_eq!(places(&store).await[1].accounts, 0, "nothing is known to be there yet");
    let claimed = store.write(|tx| tx.claim(TENANT, "pbx", at(0), at(60), 1)).await.unwrap().pop().unwrap();
    let settled = Settlement { remote_id: Some("r1".into()), ..Settlement::of(&claimed, AccountState::Settled, at(1)) };
    store.write(move |tx| tx.settle(key, "pbx", claimed.lease.unwrap().token, &settled)).await.unwrap();
    assert_eq!(places(&store).await[1].accounts, 1);
    assert!(store.write(|tx| tx.remove_target_place(TENANT, "glance")).await.unwrap());
    assert_eq!(places(&store).await.len(), 1);
}

#[tokio::test]
async fn a_target_takes_its_accounts_along_when_it_is_renamed() {
    let store = store();
    put(&store, "pbx", "x").await;
    put(&store, "glance", "y").await;
    let key = add(&store, "ann").await.key;
    store.write(move |tx| tx.want(key, "pbx", &Want::due(at(0)), at(0)).map(drop)).await.unwrap();
    let rename = |old: &'static str, new: &'static str| store.write(move |tx| tx.rename_target(TENANT, old, new));
    assert_eq!(rename("pbx", "glance").await, Err(StoreError::taken("target", 0)));
    assert_eq!(rename("nosuch", "voice").await, Err(StoreError::NotFound("target")));
    rename("pbx", "voice").await.unwrap();
    assert_eq!(places(&store).await, [place("glance", "y", 0), place("voice", "x", 0)]);
    let targets = store.read(|db| db.accounts_of(key)).await.unwrap();
    assert_eq!(targets.iter().map(|account| account.target.as_str()).collect::<Vec<_>>(), ["voice"]);
}
