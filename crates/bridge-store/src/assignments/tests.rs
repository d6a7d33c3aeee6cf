//! Scarce values: who gets which, and when one is free again.

use super::*;
use crate::testing::{TENANT, at, store};
use crate::{PoolUsage, Store};

const POOL: &str = "extension";

fn range(first: u64, last: u64, width: usize) -> Range {
    Range { first, last, width }
}

async fn reserve(store: &Store, ranges: &[Range], resource: i64, now: i64) -> Result<String, StoreError> {
    let ranges = ranges.to_vec();
    store.write(move |tx| tx.reserve(TENANT, POOL, &ranges, resource, at(now))).await
}

async fn confirm(store: &Store, resource: i64) -> bool {
    store.write(move |tx| tx.confirm(TENANT, POOL, resource, at(0))).await.unwrap()
}

async fn release(store: &Store, resource: i64, cool_until: i64, now: i64) -> Option<String> {
    store.write(move |tx| tx.release(TENANT, POOL, resource, at(cool_until), at(now))).await.unwrap()
}

fn empty() -> Result<String, StoreError> {
    Err(StoreError::PoolEmpty { pool: POOL.into() })
}

#[tokio::test]
async fn values_are_handed_out_in_the_order_of_the_ranges() {
    let store = store();
    let ranges = [range(98, 99, 4), range(7, 8, 1)];
    for (resource, expected) in [(1, "0098"), (2, "0099"), (3, "7"), (4, "8")] {
        assert_eq!(reserve(&store, &ranges, resource, 0).await.as_deref(), Ok(expected));
    }
    assert_eq!(reserve(&store, &ranges, 5, 0).await, empty());
}

#[tokio::test]
async fn a_resource_keeps_the_value_it_has() {
    let store = store();
    let ranges = [range(1, 3, 1)];
    assert_eq!(reserve(&store, &ranges, 1, 0).await.as_deref(), Ok("1"));
    assert_eq!(reserve(&store, &ranges, 1, 0).await.as_deref(), Ok("1"));
    assert!(confirm(&store, 1).await);
    assert!(!confirm(&store, 1).await, "it was confirmed already");
    assert!(!confirm(&store, 2).await, "it holds none");
    assert_eq!(reserve(&store, &[range(5, 6, 1)], 1, 0).await.as_deref(), Ok("1"), "even out of the ranges");
    let held = store.read(|db| db.assignments_of(1)).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].value.as_str(), held[0].state), ("1", AssignmentState::Confirmed));
}

#[tokio::test]
async fn pools_and_tenants_have_their_own_values() {
    let store = store();
    let ranges = [range(1, 1, 1)];
    assert_eq!(reserve(&store, &ranges, 1, 0).await.as_deref(), Ok("1"));
    let did = store.write(move |tx| tx.reserve(TENANT, "did", &[range(1, 1, 1)], 1, at(0))).await;
    let other = store.write(move |tx| tx.reserve("globex", POOL, &[range(1, 1, 1)], 2, at(0))).await;
    assert_eq!((did.as_deref(), other.as_deref()), (Ok("1"), Ok("1")));
}

#[tokio::test]
async fn a_value_never_confirmed_returns_at_once_but_fresh_ones_go_first() {
    let store = store();
    let ranges = [range(1, 2, 1)];
    assert_eq!(reserve(&store, &ranges, 1, 0).await.as_deref(), Ok("1"));
    assert_eq!(release(&store, 1, 1000, 5).await.as_deref(), Some("1"));
    assert_eq!(release(&store, 1, 1000, 5).await, None, "it has none any more");
    assert_eq!(reserve(&store, &ranges, 2, 5).await.as_deref(), Ok("2"));
    assert_eq!(reserve(&store, &ranges, 3, 5).await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn a_confirmed_value_cools_off_before_it_is_handed_out_again() {
    let store = store();
    let ranges = [range(1, 1, 1)];
    reserve(&store, &ranges, 1, 0).await.unwrap();
    confirm(&store, 1).await;
    release(&store, 1, 100, 10).await;
    assert_eq!(reserve(&store, &ranges, 2, 99).await, empty());
    assert_eq!(reserve(&store, &ranges, 2, 100).await.as_deref(), Ok("1"));
    let row = store.read(|db| db.assignment(TENANT, POOL, "1")).await.unwrap().unwrap();
    assert_eq!((row.resource, row.state, row.free_at), (Some(2), AssignmentState::Held, None));
}

#[tokio::test]
async fn of_free_values_the_one_that_rested_longest_goes_first() {
    let store = store();
    let ranges = [range(1, 3, 1)];
    for resource in 1..=3 {
        reserve(&store, &ranges, resource, 0).await.unwrap();
        confirm(&store, resource).await;
    }
    release(&store, 2, 20, 0).await;
    release(&store, 3, 10, 0).await;
    release(&store, 1, 30, 0).await;
    assert_eq!(reserve(&store, &ranges, 4, 50).await.as_deref(), Ok("3"));
    assert_eq!(reserve(&store, &ranges, 5, 50).await.as_deref(), Ok("2"));
    assert_eq!(reserve(&store, &ranges, 6, 50).await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn a_foreign_value_is_never_handed_out_until_the_target_gives_it_up() {
    let store = store();
    let ranges = [range(1, 2, 1)];
    reserve(&store, &ranges, 1, 0).await.unwrap();
    let mark = || store.write(|tx| tx.mark_foreign(TENANT, POOL, 1, at(1)));
    assert_eq!(mark().await.unwrap().as_deref(), Some("1"));
    assert_eq!(mark().await.unwrap(), None);
    assert_eq!(reserve(&store, &ranges, 1, 1).await.as_deref(), Ok("2"));
    assert_eq!(reserve(&store, &ranges, 2, 1).await, empty());
    let unmark = |value: &'static str| store.write(move |tx| tx.unmark_foreign(TENANT, POOL, value, at(2)));
    assert!(unmark("1").await.unwrap());
    assert!(!unmark("2").await.unwrap());
    assert_eq!(reserve(&store, &ranges, 2, 2).await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn an_adopted_account_brings_its_own_value_and_the_reserved_one_returns_at_once() {
    let store = store();
    let ranges = [range(1, 2, 1)];
    reserve(&store, &ranges, 1, 0).await.unwrap();
    let replace = |resource, value: &'static str| {
        store.write(move |tx| tx.replace_assignment(TENANT, POOL, resource, value, at(1)))
    };
    replace(1, "2").await.unwrap();
    replace(1, "2").await.unwrap();
    let held = store.read(|db| db.assignments_of(1)).await.unwrap();
    assert_eq!((held.len(), held[0].value.as_str(), held[0].state), (1, "2", AssignmentState::Confirmed));
    assert_eq!(replace(2, "2").await, Err(StoreError::taken(POOL, 1)));
    assert_eq!(reserve(&store, &ranges, 2, 1).await.as_deref(), Ok("1"), "the walk passes over what is in use");
    replace(2, "555").await.unwrap();
    assert_eq!(reserve(&store, &ranges, 3, 1).await.as_deref(), Ok("1"));
    assert_eq!(reserve(&store, &ranges, 4, 1).await, empty(), "a value from outside is not of the pool");
}

#[tokio::test]
async fn a_pool_that_grows_goes_on_with_its_new_values() {
    let store = store();
    assert_eq!(reserve(&store, &[range(1, 1, 1)], 1, 0).await.as_deref(), Ok("1"));
    assert_eq!(reserve(&store, &[range(1, 1, 1)], 2, 0).await, empty());
    assert_eq!(reserve(&store, &[range(1, 2, 1)], 2, 0).await.as_deref(), Ok("2"));
    assert_eq!(reserve(&store, &[range(0, 2, 1)], 3, 0).await.as_deref(), Ok("0"));
    assert_eq!(reserve(&store, &[range(0, 2, 1)], 4, 0).await, empty());
}

#[tokio::test]
async fn a_value_outside_the_ranges_is_not_handed_out_again() {
    let store = store();
    reserve(&store, &[range(1, 1, 1)], 1, 0).await.unwrap();
    release(&store, 1, 0, 0).await;
    assert_eq!(reserve(&store, &[range(2, 2, 1)], 2, 1).await.as_deref(), Ok("2"));
    assert_eq!(reserve(&store, &[range(2, 2, 1)], 3, 1).await, empty());
}

#[tokio::test]
async fn values_of_another_width_do_not_confuse_the_walk() {
    let store = store();
    let wide = [range(10, 12, 4)];
    for (resource, value) in [(90, "00100"), (91, "001"), (92, "0011x")] {
        store.write(move |tx| tx.replace_assignment(TENANT, POOL, resource, value, at(0))).await.unwrap();
    }
    for (resource, expected) in [(1, "0010"), (2, "0011"), (3, "0012")] {
        assert_eq!(reserve(&store, &wide, resource, 0).await.as_deref(), Ok(expected));
    }
    assert_eq!(reserve(&store, &wide, 4, 0).await, empty());
}

#[tokio::test]
async fn changed_ranges_are_walked_past_thousands_of_values_in_use() {
    let store = store();
    let first = [range(1, 1500, 4)];
    for slice in 0..15 {
        store
            .write(move |tx| {
                for resource in slice * 100 + 1..=slice * 100 + 100 {
                    tx.reserve(TENANT, POOL, &first, resource, at(0))?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }
    assert_eq!(reserve(&store, &first, 2000, 0).await, empty());
    assert_eq!(reserve(&store, &[range(1, 1501, 4)], 2000, 0).await.as_deref(), Ok("1501"));
    assert_eq!(reserve(&store, &[range(1, 1501, 4)], 2001, 0).await, empty());
}

#[tokio::test]
async fn the_next_free_value_is_seen_without_being_taken() {
    let store = store();
    let ranges = [range(1, 1, 1)];
    let next = async || store.read(|db| db.next_free(TENANT, POOL, &ranges, at(0))).await.unwrap();
    assert_eq!(next().await.as_deref(), Some("1"));
    assert_eq!(next().await.as_deref(), Some("1"));
    reserve(&store, &ranges, 1, 0).await.unwrap();
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn values_are_handed_over_but_not_on_top_of_others() {
    let store = store();
    let ranges = [range(1, 5, 1)];
    reserve(&store, &ranges, 1, 0).await.unwrap();
    store.write(move |tx| tx.reserve(TENANT, "did", &[range(7, 9, 1)], 1, at(0))).await.unwrap();
    store.write(move |tx| tx.reserve(TENANT, "did", &[range(7, 9, 1)], 2, at(0))).await.unwrap();
    assert_eq!(store.write(|tx| tx.hand_over_assignments(1, 2, at(1))).await.unwrap(), 1);
    let values = async |resource| {
        let held = store.read(|db| db.assignments_of(resource)).await.unwrap();
        held.into_iter().map(|row| row.value).collect::<Vec<_>>()
    };
    assert_eq!(values(2).await, ["8", "1"]);
    assert_eq!(values(1).await, ["7"]);
}

#[tokio::test]
async fn usage_counts_every_kind_of_value() {
    let store = store();
    let ranges = [range(1, 9, 1)];
    for resource in 1..=5 {
        reserve(&store, &ranges, resource, 0).await.unwrap();
    }
    store.write(|tx| tx.mark_foreign(TENANT, POOL, 1, at(0))).await.unwrap();
    confirm(&store, 2).await;
    confirm(&store, 3).await;
    release(&store, 3, 100, 0).await;
    release(&store, 4, 100, 0).await;
    store.write(|tx| tx.replace_assignment(TENANT, POOL, 6, "555", at(0))).await.unwrap();
    let usage = store.scan(move |db| db.pool_usage(TENANT, POOL, &ranges, at(50))).await.unwrap();
    let expected = PoolUsage { size: 9, held: 1, confirmed: 2, foreign: 1, cooling: 1, free: 5 };
    assert_eq!(usage, expected);
    let listed = store.read(|db| db.assignments_where(TENANT, POOL, "3", 2)).await.unwrap();
    let listed: Vec<&str> = listed.iter().map(|row| row.value.as_str()).collect();
    assert_eq!(listed, ["4", "5"]);
}

#[tokio::test]
async fn what_was_never_in_use_is_told_without_counting_what_is() {
    let store = store();
    let ranges = [range(10, 14, 2), range(20, 22, 2)];
    let has = async |count: u64| {
        let ranges = ranges.to_vec();
        store.read(move |db| db.has_unused(TENANT, POOL, &ranges, count)).await.unwrap()
    };
    assert!(has(8).await && !has(9).await);
    for resource in 1..=3 {
        reserve(&store, &ranges, resource, 0).await.unwrap();
    }
    assert!(has(5).await && !has(6).await);
    // An account that was there before has a value ahead of the walk, and one is given back behind it.
    store.write(|tx| tx.replace_assignment(TENANT, POOL, 4, "21", at(0))).await.unwrap();
    release(&store, 2, 0, 0).await;
    assert!(has(4).await && !has(5).await, "what was given back may be wanted again, and is not unused");
    for resource in 5..=9 {
        reserve(&store, &ranges, resource, 0).await.unwrap();
    }
    assert!(has(0).await && !has(1).await);
}
