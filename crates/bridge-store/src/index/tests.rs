//! Further indexes: kept up at once, used once they are complete, forgotten when they are no longer kept up.

use serde_json::json;

use crate::testing::{TENANT, insert, new_user, user_type};
use crate::{Options, Store};

fn open(path: &std::path::Path, indexed: &[&str]) -> Store {
    let indexed = indexed.iter().map(|&path| path.to_owned()).collect();
    Store::open(&Options { indexed, ..Options::serve(path) }).unwrap()
}

async fn add(store: &Store, id: &str) {
    insert(store, new_user(store, id, json!({ "userName": id, "title": "Dr", "nickName": id }))).await;
}

fn is_searchable(store: &Store, name: &str) -> bool {
    store.inner.shared.index.is_searchable(TENANT, &user_type(), name)
}

async fn with_title(store: &Store) -> usize {
    store.read(|db| db.resources_by_value(TENANT, "User", "title", "dr")).await.unwrap().len()
}

#[tokio::test]
async fn a_further_index_is_used_once_all_resources_have_been_gone_through() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    let store = open(&path, &[]);
    for number in 0..250 {
        add(&store, &format!("old{number}")).await;
    }
    assert_eq!(store.reindex(TENANT, &user_type()).await, Ok(0), "there is nothing to do");
    drop(store);
    let store = open(&path, &["title"]);
    add(&store, "new").await;
    assert!(!is_searchable(&store, "title"));
    assert_eq!(with_title(&store).await, 1);
    assert_eq!(store.reindex(TENANT, &user_type()).await, Ok(251));
    assert!(is_searchable(&store, "title"));
    assert_eq!(with_title(&store).await, 200, "as many as a look-up returns");
    assert_eq!(store.reindex(TENANT, &user_type()).await, Ok(0));
    drop(store);
    let store = open(&path, &["title"]);
    assert!(is_searchable(&store, "title"), "it is remembered");
}

#[tokio::test]
async fn an_index_that_is_no_longer_kept_up_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    let store = open(&path, &["title"]);
    store.reindex(TENANT, &user_type()).await.unwrap();
    drop(store);
    let store = open(&path, &[]);
    assert!(!is_searchable(&store, "title"));
    add(&store, "in between").await;
    drop(store);
    let store = open(&path, &["title"]);
    assert!(!is_searchable(&store, "title"));
    assert_eq!(with_title(&store).await, 0);
    store.reindex(TENANT, &user_type()).await.unwrap();
    assert_eq!(with_title(&store).await, 1);
}

#[tokio::test]
async fn a_visitor_does_not_forget_the_indexes_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.db");
    let store = open(&path, &["title"]);
    store.reindex(TENANT, &user_type()).await.unwrap();
    drop(Store::open(&Options::visit(&path)).unwrap());
    drop(store);
    assert!(is_searchable(&open(&path, &["title"]), "title"));
}

#[tokio::test]
async fn paths_that_a_type_does_not_know_or_that_are_no_text_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("bridge.db"), &["nosuch", "active", "name", "roles.value", "]["]);
    let body =
        json!({ "userName": "ann", "active": true, "roles": [{ "value": "Boss" }], "name": { "givenName": "A" } });
    let values = new_user(&store, "ann", body).values;
    let names: Vec<&str> = values.iter().map(|value| value.attribute.as_str()).collect();
    assert_eq!(names, ["roles.value", "userName"]);
    store.reindex(TENANT, &user_type()).await.unwrap();
    assert!(is_searchable(&store, "roles.value") && !is_searchable(&store, "active"));
}
