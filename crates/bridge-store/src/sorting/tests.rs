//! Sorted lists: every way to a page gives the order of the whole list.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::*;
use crate::testing::{TENANT, add, at, filter, group, group_type, insert, new_user, store, user_type};
use crate::{Options, ResourceState, Store};

/// Which sort, and from where.
#[derive(Clone)]
struct Asked {
    types: Vec<ResourceType>,
    filter: Option<&'static str>,
    by: String,
    is_descending: bool,
}

fn users(by: &str, is_descending: bool) -> Asked {
    Asked { types: vec![user_type()], filter: None, by: by.to_owned(), is_descending }
}

async fn page(store: &Store, asked: &Asked, start: SortedStart, count: usize) -> SortedPage {
    let asked = asked.clone();
    let read = move |db: &Db<'_>| {
        let filter = asked.filter.map(filter);
        let types: Vec<&ResourceType> = asked.types.iter().collect();
        let query = SortedQuery {
            tenant: TENANT,
            resource_types: &types,
            filter: filter.as_ref(),
            by: &AttributePath::parse(&asked.by).unwrap(),
            is_descending: asked.is_descending,
            start,
            count,
        };
        let kind = user_type();
        db.list_sorted(&query, &|db, resource, filter| db.shown(&kind, resource, filter))
    };
    store.scan(read).await.unwrap()
}

async fn all(store: &Store, asked: &Asked) -> Vec<String> {
    let page = page(store, asked, SortedStart::Index(1), 1000).await;
    assert_eq!((page.total, page.next), (page.resources.len() as u64, None));
    page.resources.into_iter().map(|resource| resource.id).collect()
}

/// The whole list, page by page, by cursor and by index.
async fn walked(store: &Store, asked: &Asked, count: usize) -> [Vec<String>; 2] {
    let mut by_cursor = Vec::new();
    let mut start = SortedStart::Index(1);
    loop {
        let page = page(store, asked, start, count).await;
        by_cursor.extend(page.resources.into_iter().map(|resource| resource.id));
        assert!(by_cursor.len() < 100, "the walk does not end");
        match page.next {
            Some(place) => start = SortedStart::After(place),
            None => break,
        }
    }
    let mut by_index = Vec::new();
    for index in (1..).step_by(count) {
        let page = page(store, asked, SortedStart::Index(index), count).await;
        if page.resources.is_empty() {
            break;
        }
        by_index.extend(page.resources.into_iter().map(|resource| resource.id));
    }
    [by_cursor, by_index]
}

async fn people(store: &Store) {
    let people = [
        json!({"userName": "cleo", "externalId": "b", "title": "x", "active": true}),
        json!({"userName": "ANN", "externalId": "B", "title": "X", "active": false}),
        json!({"userName": "Bob", "nickName": "bo"}),
        json!({"userName": "dora", "externalId": "a", "active": true,
               "emails": [{"value": "z@x"}, {"value": "a@x", "primary": true}]}),
        json!({"userName": "emil", "emails": [{"value": "m@x"}, {"value": "b@x"}]}),
    ];
    for (number, mut body) in people.into_iter().enumerate() {
        body["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
        let id = body["userName"].as_str().unwrap().to_lowercase();
        let mut new = new_user(store, &id, body);
        new.now = at([5, 4, 3, 2, 1][number]);
        insert(store, new).await;
    }
}

#[tokio::test]
async fn letters_count_as_the_schema_says_and_the_missing_come_last() {
    let store = store();
    people(&store).await;
    let check = async |by: &str, expected: [&str; 5]| {
        assert_eq!(all(&store, &users(by, false)).await, expected, "{by}");
        let backwards: Vec<&str> = expected.into_iter().rev().collect();
        assert_eq!(all(&store, &users(by, true)).await, backwards, "{by} descending");
    };
    check("userName", ["ann", "bob", "cleo", "dora", "emil"]).await;
    check("externalId", ["ann", "dora", "cleo", "bob", "emil"]).await;
    check("title", ["cleo", "ann", "bob", "dora", "emil"]).await;
    check("emails.value", ["dora", "emil", "cleo", "ann", "bob"]).await;
    check("emails", ["dora", "emil", "cleo", "ann", "bob"]).await;
    check("meta.created", ["emil", "dora", "bob", "ann", "cleo"]).await;
    check("id", ["ann", "bob", "cleo", "dora", "emil"]).await;
    check("nickName", ["bob", "cleo", "ann", "dora", "emil"]).await;
}

#[tokio::test]
async fn a_filter_is_applied_before_the_order() {
    let store = store();
    people(&store).await;
    for (text, expected) in [
        ("externalId pr", vec!["ann", "cleo", "dora"]),
        ("userName sw \"d\"", vec!["dora"]),
        ("userName eq \"nobody\"", vec![]),
    ] {
        let asked = Asked { filter: Some(text), ..users("userName", false) };
        assert_eq!(all(&store, &asked).await, expected, "{text}");
    }
}

#[tokio::test]
async fn deleted_resources_and_other_tenants_are_not_in_the_order() {
    let store = store();
    people(&store).await;
    let gone = add(&store, "aaron").await;
    store.write(move |tx| tx.set_resource_state(gone.key, 1, ResourceState::Deleted, at(9))).await.unwrap();
    let mut other = crate::testing::user(&store, "abel");
    other.tenant = "globex".into();
    insert(&store, other).await;
    insert(&store, group(&store, "Abacus")).await;
    for by in ["userName", "displayName", "id", "meta.created", "title"] {
        assert_eq!(all(&store, &users(by, false)).await.len(), 5, "{by}");
    }
}

#[tokio::test]
async fn two_types_are_sorted_together() {
    let store = store();
    insert(&store, group(&store, "Mailroom")).await;
    for (id, name) in [("ann", "Zoe"), ("bob", "Abe")] {
        let body =
            json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": id, "displayName": name});
        insert(&store, new_user(&store, id, body)).await;
    }
    let both = Asked { types: vec![user_type(), group_type()], ..users("displayName", false) };
    assert_eq!(all(&store, &both).await, ["bob", "Mailroom", "ann"]);
    let one_knows = Asked { by: "userName".to_owned(), ..both };
    assert_eq!(all(&store, &one_knows).await, ["ann", "bob", "Mailroom"]);
}

#[tokio::test]
async fn a_place_stays_where_it_was_when_its_resource_goes() {
    let store = store();
    people(&store).await;
    for by in ["userName", "title"] {
        let asked = users(by, false);
        let first = page(&store, &asked, SortedStart::Index(1), 2).await;
        let last = first.resources.last().unwrap().clone();
        let (key, version) = (last.key, last.version);
        store.write(move |tx| tx.set_resource_state(key, version, ResourceState::Deleted, at(9))).await.unwrap();
        let rest = page(&store, &asked, SortedStart::After(first.next.unwrap()), 10).await;
        assert_eq!(rest.resources.len() as u64, rest.total - 1, "{by}");
        assert!(rest.resources.iter().all(|resource| !first.resources.contains(resource)), "{by}");
    }
}

/// Whatever has a value and whatever not: pages join to the whole list, along the index and beside it.
#[test]
fn pages_join_to_the_whole_list() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let values = prop::collection::vec(prop::option::of("[a-cA-C]{1,2}"), 0..14);
    let cases = (values, 1..5usize, any::<bool>());
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&cases, |(values, count, is_descending)| {
        runtime.block_on(async {
            let store = store();
            let mut expected: Vec<(bool, String, usize)> = Vec::new();
            for (number, value) in values.iter().enumerate() {
                let mut body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": format!("u{number}")});
                if let Some(value) = value {
                    body["displayName"] = json!(value);
                    body["nickName"] = json!(value);
                }
                insert(&store, new_user(&store, &format!("u{number}"), body)).await;
                expected.push((value.is_none(), value.clone().unwrap_or_default().to_lowercase(), number));
            }
            expected.sort();
            if is_descending {
                expected.reverse();
            }
            let expected: Vec<String> = expected.into_iter().map(|(_, _, number)| format!("u{number}")).collect();
            // One is indexed, the other is not.
            for by in ["displayName", "nickName"] {
                let asked = users(by, is_descending);
                prop_assert_eq!(&all(&store, &asked).await, &expected);
                for walk in walked(&store, &asked, count).await {
                    prop_assert_eq!(&walk, &expected);
                }
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

/// Texts that differ after more bytes than a cursor holds, as they are longer in lower case, in another order than they came.
#[tokio::test]
async fn long_texts_that_begin_alike_are_walked_through_once() {
    let store = store();
    let long = |end: &str| format!("{}{end}", "Ⱥ".repeat(8_000));
    let names = [long("c"), "A".to_owned(), long("a"), long("d"), long("a"), "zz".to_owned(), long("b")];
    for (number, name) in names.iter().enumerate() {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": format!("u{number}"), "displayName": name
        });
        insert(&store, new_user(&store, &format!("u{number}"), body)).await;
    }
    for (is_descending, expected) in
        [(false, ["u1", "u5", "u2", "u4", "u6", "u0", "u3"]), (true, ["u3", "u0", "u6", "u4", "u2", "u5", "u1"])]
    {
        let asked = users("displayName", is_descending);
        assert_eq!(all(&store, &asked).await, expected);
        for count in [1, 2, 3] {
            assert_eq!(walked(&store, &asked, count).await, [expected, expected], "{count} at a time");
        }
    }
}

/// The place of a page's end is not lost when its resource gets another value: nobody is passed over.
#[tokio::test]
async fn a_place_in_a_long_text_that_is_gone_passes_over_nobody() {
    let store = store();
    let long = |end: &str| format!("{}{end}", "Ⱥ".repeat(8_000));
    for (id, name) in [("u0", long("a")), ("u1", long("b")), ("u2", long("c"))] {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": id, "displayName": name
        });
        insert(&store, new_user(&store, id, body)).await;
    }
    for (is_descending, rest) in [(false, ["u0", "u1", "u2"]), (true, ["u2", "u1", "u0"])] {
        let asked = users("displayName", is_descending);
        let first = page(&store, &asked, SortedStart::Index(1), 1).await;
        let place = Place { key: i64::MAX, ..first.next.unwrap() };
        let page = page(&store, &asked, SortedStart::After(place), 10).await;
        let found: Vec<String> = page.resources.into_iter().map(|resource| resource.id).collect();
        assert_eq!(found, rest);
    }
}

/// All that the README says is sorted along an index: every band, from the beginning and from a place, in both directions.
#[tokio::test]
async fn a_list_sorted_by_an_index_is_read_along_it() {
    let store = Store::open(&Options { indexed: vec!["title".to_owned()], ..Options::default() }).unwrap();
    store.reindex(TENANT, &user_type()).await.unwrap();
    for (by, index) in [
        ("id", "SEARCH r USING INDEX resource_id"),
        ("userName", "SEARCH v USING PRIMARY KEY"),
        ("externalId", "SEARCH v USING PRIMARY KEY"),
        ("displayName", "SEARCH v USING PRIMARY KEY"),
        ("title", "SEARCH v USING PRIMARY KEY"),
    ] {
        let plans = store.scan(move |db| {
            let (kind, by) = (user_type(), AttributePath::parse(by).unwrap());
            let kept = db.kept_order(TENANT, &kind, &by).unwrap();
            let bands: &[Band] = if matches!(kept, Kept::Tree { is_whole: false, .. }) {
                &[Band::Valued, Band::Bare]
            } else {
                &[Band::Valued]
            };
            let mut plans = Vec::new();
            for (band, is_placed, is_descending) in
                bands.iter().flat_map(|band| [(*band, false, false), (*band, true, false), (*band, true, true)])
            {
                let value = (band == Band::Valued).then(|| SortValue::Text("a".into()));
                let place = Place { value, key: 7 };
                let types = [&kind];
                let query = SortedQuery {
                    tenant: TENANT,
                    resource_types: &types,
                    filter: None,
                    by: &by,
                    is_descending,
                    start: SortedStart::Index(1),
                    count: 10,
                };
                let after = is_placed.then_some(&place);
                let slice = Slice { kind: &kind, kept: &kept, band, after, skip: 0, room: 10 };
                let (sql, parameters) = slice.statement(&query);
                let explained = format!("EXPLAIN QUERY PLAN {sql}");
                let plan = db.session().query(&explained, &parameters, |row| row.text(3))?.join("; ");
                plans.push((band, plan));
            }
            Ok::<_, StoreError>(plans)
        });
        for (band, plan) in plans.await.unwrap() {
            let index = if band == Band::Valued { index } else { "SEARCH r USING COVERING INDEX resource_order" };
            assert!(plan.contains(index), "{by}: {plan}");
            assert!(!plan.contains("FOR ORDER BY") && !plan.contains("TEMP B-TREE"), "{by} is sorted anew: {plan}");
        }
    }
}

#[tokio::test]
async fn a_page_beyond_the_end_is_empty_and_a_count_of_zero_asks_for_the_total() {
    let store = store();
    people(&store).await;
    for by in ["userName", "externalId", "title"] {
        let asked = users(by, false);
        let far = page(&store, &asked, SortedStart::Index(u64::MAX), 10).await;
        assert_eq!((far.total, far.resources.len(), far.next), (5, 0, None), "{by}");
        let total = page(&store, &asked, SortedStart::Index(1), 0).await;
        assert_eq!((total.total, total.resources.len(), total.next), (5, 0, None), "{by}");
    }
}
