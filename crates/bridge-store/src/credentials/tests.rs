//! Tokens are found by selector, ended once, and their use is noted coarsely.

use super::*;
use crate::Store;
use crate::testing::{TENANT, at, store};

fn credential(selector: &str, tenant: &str) -> Credential {
    Credential {
        selector: selector.into(),
        hash: vec![1, 2, 3],
        tenant: tenant.into(),
        connection: "okta".into(),
        label: "production".into(),
        scopes: "scim".into(),
        created: at(0),
        expires: Some(at(1000)),
        revoked: None,
        last_used: None,
        subject: None,
    }
}

async fn put(store: &Store, selector: &str, tenant: &str) -> Result<(), StoreError> {
    let credential = credential(selector, tenant);
    store.write(move |tx| tx.put_credential(&credential)).await
}

async fn find(store: &Store, selector: &'static str) -> Option<Credential> {
    store.read(|db| db.credential_by_selector(selector)).await.unwrap()
}

#[tokio::test]
async fn a_credential_is_found_by_its_selector_alone() {
    let store = store();
    put(&store, "s1", TENANT).await.unwrap();
    assert_eq!(find(&store, "s1").await, Some(credential("s1", TENANT)));
    assert_eq!(find(&store, "S1").await, None);
    assert_eq!(put(&store, "s1", "globex").await, Err(StoreError::taken("selector", 0)));
    assert_eq!(find(&store, "s1").await.unwrap().tenant, TENANT);
}

#[tokio::test]
async fn a_credential_keeps_the_user_that_it_stands_for() {
    let store = store();
    let of_ann = Credential { subject: Some("ann".into()), ..credential("s1", TENANT) };
    let stored = of_ann.clone();
    store.write(move |tx| tx.put_credential(&stored)).await.unwrap();
    assert_eq!(find(&store, "s1").await, Some(of_ann));
}

#[tokio::test]
async fn credentials_are_listed_for_a_tenant_or_for_all() {
    let store = store();
    for (selector, tenant) in [("s1", TENANT), ("s2", "globex"), ("s3", TENANT)] {
        put(&store, selector, tenant).await.unwrap();
    }
    let list = async |tenant: Option<&'static str>| {
        let found = store.read(|db| db.credentials(tenant)).await.unwrap();
        found.into_iter().map(|credential| credential.selector).collect::<Vec<_>>()
    };
    assert_eq!(list(Some(TENANT)).await, ["s1", "s3"]);
    assert_eq!(list(None).await, ["s1", "s2", "s3"]);
}

#[tokio::test]
async fn a_credential_is_revoked_once_and_only_by_its_tenant() {
    let store = store();
    put(&store, "s1", TENANT).await.unwrap();
    let revoke = |tenant: &'static str, now| store.write(move |tx| tx.revoke_credential(tenant, "s1", at(now)));
    assert!(!revoke("globex", 1).await.unwrap());
    assert!(revoke(TENANT, 2).await.unwrap());
    assert!(!revoke(TENANT, 3).await.unwrap());
    assert_eq!(find(&store, "s1").await.unwrap().revoked, Some(at(2)));
}

#[tokio::test]
async fn use_is_noted_once_an_hour() {
    let store = store();
    put(&store, "s1", TENANT).await.unwrap();
    let touch = |now| store.write(move |tx| tx.touch_credential("s1", at(now)));
    assert!(touch(0).await.unwrap());
    assert!(!touch(3599).await.unwrap());
    assert!(touch(3600).await.unwrap());
    assert_eq!(find(&store, "s1").await.unwrap().last_used, Some(at(3600)));
}

#[test]
fn the_hash_is_not_printed() {
    let printed = format!("{:?}", credential("s1", TENANT));
    assert!(printed.contains("s1") && !printed.contains("hash"), "{printed}");
}
