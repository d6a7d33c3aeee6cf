//! What the tests of this crate share: a store, a clock set by hand, and people.

use jiff::Timestamp;
use scim_filter::Filter;
use scim_model::{Catalog, Context, Document, ResourceType, accept};
use serde_json::{Value, json};

use crate::{NewResource, Options, Resource, Store, StoreError};

/// The tenant of tests that need but one.
pub(crate) const TENANT: &str = "acme";

/// So many seconds after the tests begin.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(crate) fn store() -> Store {
    Store::open(&Options::default()).unwrap()
}

pub(crate) fn catalog() -> Catalog {
    Catalog::new(Vec::new()).unwrap()
}

pub(crate) fn user_type() -> ResourceType {
    catalog().resource_type("User").unwrap().clone()
}

pub(crate) fn group_type() -> ResourceType {
    catalog().resource_type("Group").unwrap().clone()
}

pub(crate) fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap()
}

/// The document of a user as the front door would accept it.
pub(crate) fn document(body: Value) -> Document {
    accept(&user_type(), body, Context::Create).unwrap().document
}

pub(crate) fn user(store: &Store, user_name: &str) -> NewResource {
    let body = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": user_name });
    new_user(store, user_name, body)
}

/// A user whose public id is given.
pub(crate) fn new_user(store: &Store, id: &str, body: Value) -> NewResource {
    let document = document(body);
    NewResource {
        tenant: TENANT.into(),
        resource_type: "User".into(),
        id: id.into(),
        values: store.indexed_values(TENANT, &user_type(), &document),
        active: document.is_active(),
        document,
        connection: "okta".into(),
        now: at(0),
    }
}

pub(crate) fn group(store: &Store, display_name: &str) -> NewResource {
    let body = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": display_name });
    let document = accept(&group_type(), body, Context::Create).unwrap().document;
    NewResource {
        tenant: TENANT.into(),
        resource_type: "Group".into(),
        id: display_name.into(),
        values: store.indexed_values(TENANT, &group_type(), &document),
        active: true,
        document,
        connection: "okta".into(),
        now: at(0),
    }
}

pub(crate) async fn insert(store: &Store, new: NewResource) -> Resource {
    store.write(move |tx| tx.insert_resource(&new)).await.unwrap()
}

/// Stores a user of that name.
pub(crate) async fn add(store: &Store, user_name: &str) -> Resource {
    insert(store, user(store, user_name)).await
}

/// Puts a fact into the table `meta`: the smallest write.
pub(crate) async fn note(store: &Store, name: &str, value: &str) -> Result<(), StoreError> {
    let (name, value) = (name.to_owned(), value.to_owned());
    store.write(move |tx| tx.set_meta(&name, &value)).await
}

pub(crate) async fn noted(store: &Store, name: &str) -> Option<String> {
    store.read(|db| db.meta(name)).await.unwrap()
}
