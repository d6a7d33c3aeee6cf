//! Resources: unique values, versions, states, and being found again.

use serde_json::json;

use super::*;
use crate::testing::{TENANT, add, at, document, insert, new_user, store, user, user_type};
use crate::{Store, Taken};

async fn set_state(store: &Store, resource: &Resource, state: ResourceState) -> Result<bool, StoreError> {
    let (key, version) = (resource.key, resource.version);
    store.write(move |tx| tx.set_resource_state(key, version, state, at(1))).await
}

async fn update(store: &Store, resource: &Resource, user_name: &str, active: bool) -> Result<Resource, StoreError> {
    let document = document(json!({ "userName": user_name, "active": active }));
    let values = store.indexed_values(TENANT, &user_type(), &document);
    let (key, version) = (resource.key, resource.version);
    store.write(move |tx| tx.update_resource(key, version, &document, &values, active, at(1))).await
}

async fn found(store: &Store, attribute: &str, value: &str) -> Vec<(i64, ResourceState)> {
    let found = store.read(|db| db.resources_by_value(TENANT, "User", attribute, value)).await.unwrap();
    found.into_iter().map(|resource| (resource.key, resource.state)).collect()
}

async fn count(store: &Store) -> u64 {
    store.read(|db| db.resource_count(TENANT, "User")).await.unwrap()
}

async fn by_key(store: &Store, key: i64) -> Option<Resource> {
    store.read(|db| db.resource_by_key(key)).await.unwrap()
}

fn taken(what: &str, resource: i64) -> StoreError {
    StoreError::Taken(Taken { what: what.into(), resource })
}

#[tokio::test]
async fn a_resource_is_read_back_as_it_was_stored() {
    let store = store();
    let ann = add(&store, "ann").await;
    assert_eq!((ann.version, ann.state, ann.connection.as_str()), (1, ResourceState::Live, "okta"));
    assert_eq!(by_key(&store, ann.key).await, Some(ann.clone()));
    let by_id = |tenant: &'static str, kind: &'static str| store.read(move |db| db.resource_by_id(tenant, kind, "ann"));
    assert_eq!(by_id(TENANT, "User").await.unwrap(), Some(ann));
    assert_eq!(by_id(TENANT, "Group").await.unwrap(), None);
    assert_eq!(by_id("globex", "User").await.unwrap(), None);
}

#[tokio::test]
async fn of_many_creates_with_one_user_name_at_once_exactly_one_wins() {
    let store = store();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50 {
        let name = if number % 2 == 0 { "Ann@example.com" } else { "ann@EXAMPLE.com" };
        let new = new_user(&store, &format!("id{number}"), json!({ "userName": name }));
        let store = store.clone();
        tasks.spawn(async move { store.write(move |tx| tx.insert_resource(&new)).await });
    }
    let results = tasks.join_all().await;
    let winner = results.iter().find_map(|result| result.as_ref().ok()).unwrap().key;
    let losers = results.iter().filter(|result| **result == Err(taken("userName", winner))).count();
    assert_eq!(losers, 49);
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_user_name_is_free_in_another_tenant_and_an_id_is_not_reused() {
    let store = store();
    let ann = add(&store, "ann").await;
    insert(&store, NewResource { tenant: "globex".into(), ..user(&store, "ann") }).await;
    let same_id = new_user(&store, "ann", json!({ "userName": "bob" }));
    assert_eq!(store.write(move |tx| tx.insert_resource(&same_id)).await, Err(taken("id", ann.key)));
    assert_eq!(found(&store, "userName", "bob").await, []);
}

#[tokio::test]
async fn values_that_need_not_be_unique_may_be_shared() {
    let store = store();
    for id in ["1", "2"] {
        let body = json!({ "userName": id, "externalId": "x", "displayName": "Ann" });
        insert(&store, new_user(&store, id, body)).await;
    }
    assert_eq!(found(&store, "externalId", "x").await.len(), 2);
}

#[tokio::test]
async fn a_change_needs_the_version_it_was_made_from() {
    let store = store();
    let ann = add(&store, "ann").await;
    let changed = update(&store, &ann, "anne", false).await.unwrap();
    assert_eq!((changed.version, changed.active, changed.modified), (2, false, at(1)));
    assert_eq!(by_key(&store, ann.key).await, Some(changed));
    assert_eq!(update(&store, &ann, "anna", true).await, Err(StoreError::Stale { found: 2 }));
    let gone = Resource { key: 99, ..ann };
    assert_eq!(update(&store, &gone, "anna", true).await, Err(StoreError::NotFound("resource")));
}

#[tokio::test]
async fn of_many_changes_of_one_version_exactly_one_wins() {
    let store = store();
    let ann = add(&store, "ann").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (store, ann) = (store.clone(), ann.clone());
        tasks.spawn(async move { update(&store, &ann, &format!("ann{number}"), true).await.is_ok() });
    }
    let winners = tasks.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(winners, 1);
    assert_eq!(by_key(&store, ann.key).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_changed_user_name_moves_in_the_index_and_frees_the_old_one() {
    let store = store();
    let (ann, bob) = (add(&store, "ann").await, add(&store, "bob").await);
    assert_eq!(update(&store, &ann, "BOB", true).await, Err(taken("userName", bob.key)));
    let anne = update(&store, &ann, "Anne", true).await.unwrap();
    assert_eq!(found(&store, "userName", "ann").await, []);
    assert_eq!(found(&store, "userName", "anne").await, [(ann.key, ResourceState::Live)]);
    insert(&store, new_user(&store, "other", json!({ "userName": "ann" }))).await;
    update(&store, &anne, "ANNE", true).await.unwrap();
}

#[tokio::test]
async fn a_resource_that_is_gone_frees_its_user_name_and_is_still_found() {
    for state in [ResourceState::Rejected, ResourceState::Deleted] {
        let store = store();
        let body = json!({ "userName": "ann", "externalId": "X1" });
        let ann = insert(&store, new_user(&store, "first", body.clone())).await;
        assert!(set_state(&store, &ann, state).await.unwrap());
        assert_eq!(count(&store).await, 0);
        let second = insert(&store, new_user(&store, "second", body)).await;
        let both = [(second.key, ResourceState::Live), (ann.key, state)];
        assert_eq!(found(&store, "userName", "ann").await, both);
        assert_eq!(found(&store, "externalId", "X1").await, both);
        let gone = by_key(&store, ann.key).await.unwrap();
        assert_eq!(set_state(&store, &gone, ResourceState::Live).await, Err(taken("userName", second.key)));
        assert_eq!(count(&store).await, 1);
    }
}

#[tokio::test]
async fn a_state_changes_only_from_the_version_that_was_seen() {
    let store = store();
    let ann = add(&store, "ann").await;
    assert!(set_state(&store, &ann, ResourceState::Live).await.unwrap());
    assert_eq!(by_key(&store, ann.key).await.unwrap().version, 1, "it was live already");
    assert!(set_state(&store, &ann, ResourceState::Deleted).await.unwrap());
    assert!(!set_state(&store, &ann, ResourceState::Live).await.unwrap());
    let gone = by_key(&store, ann.key).await.unwrap();
    assert_eq!((gone.version, gone.state, gone.modified), (2, ResourceState::Deleted, at(1)));
}

#[tokio::test]
async fn a_rejected_resource_is_taken_up_again_under_its_id() {
    let store = store();
    let ann = add(&store, "ann").await;
    set_state(&store, &ann, ResourceState::Rejected).await.unwrap();
    let rejected = by_key(&store, ann.key).await.unwrap();
    let again = NewResource {
        connection: "entra".into(),
        now: at(5),
        ..new_user(&store, "ann", json!({ "userName": "anne" }))
    };
    let stale = again.clone();
    let key = ann.key;
    let refused = store.write(move |tx| tx.revive(key, 1, &stale)).await;
    assert_eq!(refused, Err(StoreError::Stale { found: 2 }));
    let version = rejected.version;
    let revived = store.write(move |tx| tx.revive(key, version, &again)).await.unwrap();
    assert_eq!(by_key(&store, ann.key).await, Some(revived.clone()));
    assert_eq!(
        (revived.state, revived.id.as_str(), revived.connection.as_str()),
        (ResourceState::Live, "ann", "entra")
    );
    assert_eq!(found(&store, "userName", "ann").await, []);
    assert_eq!(found(&store, "userName", "anne").await, [(ann.key, ResourceState::Live)]);
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_rejected_resource_is_not_taken_up_if_its_new_user_name_is_in_use() {
    let store = store();
    let ann = add(&store, "ann").await;
    set_state(&store, &ann, ResourceState::Rejected).await.unwrap();
    let bob = add(&store, "bob").await;
    let again = new_user(&store, "ann", json!({ "userName": "bob" }));
    let key = ann.key;
    let refused = store.write(move |tx| tx.revive(key, 2, &again)).await;
    assert_eq!(refused, Err(taken("userName", bob.key)));
    let rejected = by_key(&store, ann.key).await.unwrap();
    assert_eq!((rejected.state, rejected.version), (ResourceState::Rejected, 2), "nothing was written");
}

#[tokio::test]
async fn the_usual_attributes_are_indexed_folded_and_each_once() {
    let store = store();
    let body = json!({
        "userName": "Ann", "externalId": "Ab1", "displayName": "Ann Ähre", "title": "Dr",
        "emails": [{ "value": "A@x.com", "type": "work" }, { "value": "a@X.com", "type": "home" }, { "value": "b@x.com" }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "employeeNumber": "E7" }
    });
    let values = new_user(&store, "1", body).values;
    let values: Vec<(&str, &str, bool)> =
        values.iter().map(|value| (value.attribute.as_str(), value.value.as_str(), value.unique)).collect();
    let expected = [
        ("displayName", "ann ähre", false),
        ("emails.value", "a@x.com", false),
        ("emails.value", "b@x.com", false),
        ("enterprise:2.0:User:employeeNumber", "e7", false),
        ("externalId", "Ab1", false),
        ("userName", "ann", true),
    ];
    assert_eq!(values, expected);
}

#[tokio::test]
async fn a_group_s_version_rises_with_its_members() {
    let store = store();
    let ann = add(&store, "ann").await;
    let key = ann.key;
    let touch = |expected| store.write(move |tx| tx.touch_resource(key, expected, at(7)));
    assert_eq!(touch(None).await, Ok(2));
    assert_eq!(touch(Some(2)).await, Ok(3));
    assert_eq!(touch(Some(2)).await, Err(StoreError::Stale { found: 3 }));
    let missing = store.write(|tx| tx.touch_resource(99, None, at(7))).await;
    assert_eq!(missing, Err(StoreError::NotFound("resource")));
    assert_eq!(by_key(&store, key).await.unwrap().modified, at(7));
}

#[tokio::test]
async fn what_is_gone_for_long_is_found_and_purged_with_everything_that_belongs_to_it() {
    let store = store();
    let (ann, bob) = (add(&store, "ann").await, add(&store, "bob").await);
    let key = ann.key;
    store.write(move |tx| tx.want(key, "pbx", &crate::Want::due(at(0)), at(0)).map(drop)).await.unwrap();
    assert!(!store.write(move |tx| tx.purge_resource(key)).await.unwrap(), "it is live");
    set_state(&store, &ann, ResourceState::Deleted).await.unwrap();
    let gone = async |before| {
        let gone = store.read(move |db| db.resources_in_state(ResourceState::Deleted, at(before), 10)).await.unwrap();
        gone.into_iter().map(|resource| resource.key).collect::<Vec<_>>()
    };
    assert_eq!(gone(1).await, Vec::<i64>::new());
    assert_eq!(gone(2).await, [ann.key]);
    assert!(store.write(move |tx| tx.purge_resource(key)).await.unwrap());
    assert!(!store.write(move |tx| tx.purge_resource(key)).await.unwrap());
    assert_eq!(found(&store, "userName", "ann").await, []);
    assert_eq!(store.read(|db| db.accounts_of(key)).await.unwrap(), []);
    assert_eq!(count(&store).await, 1);
    let next = add(&store, "carl").await;
    assert!(next.key > bob.key, "keys are never used again");
}

/// A million deleted ones may be remembered.
#[tokio::test]
async fn the_few_who_were_rejected_are_not_looked_for_among_all_who_were_deleted() {
    let plan = |db: &Db<'_>| {
        let parameters = parameters![at(1), 10_usize, "rejected"];
        db.session().query(&format!("EXPLAIN QUERY PLAN {IN_STATE}"), &parameters, |row| row.text(3))
    };
    let plan = store().read(plan).await.unwrap();
    assert_eq!(plan, ["SEARCH r USING INDEX resource_gone (state=? AND modified<?)"]);
}

#[tokio::test]
async fn times_are_kept_in_whole_milliseconds() {
    let store = store();
    let fine = Timestamp::from_nanosecond(1_800_000_000_123_456_789).unwrap();
    let ann = insert(&store, NewResource { now: fine, ..user(&store, "ann") }).await;
    assert_eq!(ann.created, Timestamp::from_millisecond(1_800_000_000_123).unwrap());
    assert_eq!(by_key(&store, ann.key).await, Some(ann));
}

#[tokio::test]
async fn a_newcomer_is_stored_unless_somebody_has_or_had_the_name_or_the_external_id() {
    let store = store();
    let coming = async |id: &str, user_name: &str, external_id: &str| {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": user_name, "externalId": external_id, "displayName": "Somebody"
        });
        let new = new_user(&store, id, body);
        let stored = store.write(move |tx| tx.insert_newcomer(&new, &["externalId"])).await.unwrap();
        stored.map(|resource| resource.id)
    };
    assert_eq!(coming("1", "ann", "00u1").await.as_deref(), Some("1"));
    assert_eq!(coming("2", "ANN", "00u2").await, None, "the name is there, whatever its case");
    assert_eq!(coming("3", "bob", "00u1").await, None, "the externalId is there");
    assert_eq!(
        coming("4", "bob", "00U1").await.as_deref(),
        Some("4"),
        "externalIds are exact, display names are shared"
    );
    let ann = store.read(|db| db.resource_by_id(TENANT, "User", "1")).await.unwrap().unwrap();
    set_state(&store, &ann, ResourceState::Deleted).await.unwrap();
    assert_eq!(coming("5", "ann", "00u5").await, None, "who was there is known, too");
    assert_eq!((count(&store).await, found(&store, "displayName", "somebody").await.len()), (1, 2));
}

#[tokio::test]
async fn a_user_is_found_by_each_of_many_addresses() {
    const ADDRESSES: usize = 500;
    let store = store();
    let emails: Vec<_> = (0..ADDRESSES).map(|number| json!({ "value": format!("{number}@example.com") })).collect();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann", "emails": emails
    });
    let ann = insert(&store, new_user(&store, "1", body)).await;
    for number in [0, 1, VALUES - 1, VALUES, VALUES + 1, ADDRESSES - 1] {
        let address = format!("{number}@example.com");
        assert_eq!(found(&store, "emails.value", &address).await, [(ann.key, ResourceState::Live)], "{address}");
    }
}
