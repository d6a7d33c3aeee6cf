//! A list that takes too long is refused as too many, and never cut short: a page that is not whole would be read as
//! "nobody else is there" (RFC 7644 section 3.4.2, `tooMany`).

use std::time::Duration;

use super::*;
use crate::{SortedQuery, SortedStart};

/// So many that none of the lists is done within [`SHORT`], and each within [`LONG`].
const USERS: usize = 2_000;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(60);

async fn crowd() -> Store {
    let store = store();
    for hundred in 0..USERS / 100 {
        let people: Vec<NewResource> = (0..100)
            .map(|number| {
                let name = format!("u{:04}", hundred * 100 + number);
                new_user(&store, &name, json!({ "userName": name, "title": format!("Agent {name}") }))
            })
            .collect();
        let written: Result<(), StoreError> =
            store.write(move |tx| people.iter().try_for_each(|person| tx.insert_resource(person).map(drop))).await;
        written.unwrap();
    }
    store
}

/// The ids of a page and the total.
type Listed = Result<(u64, usize), StoreError>;

async fn plain(store: &Store, deadline: Duration, text: &'static str) -> Listed {
    let read = move |db: &Db<'_>| {
        let (kind, filter) = (user_type(), filter(text));
        let query = ListQuery {
            tenant: TENANT,
            resource_type: &kind,
            filter: Some(&filter),
            start: Start::Index(1),
            count: 10,
        };
        db.list(&query)
    };
    store.scan_within(deadline, read).await.map(|page| (page.total, page.resources.len()))
}

async fn sorted(store: &Store, deadline: Duration, text: Option<&'static str>, by: &'static str) -> Listed {
    let read = move |db: &Db<'_>| {
        let (kind, filter) = (user_type(), text.map(filter));
        let query = SortedQuery {
            tenant: TENANT,
            resource_types: &[&kind],
            filter: filter.as_ref(),
            by: &scim_filter::AttributePath::parse(by).unwrap(),
            is_descending: true,
            start: SortedStart::Index(1),
            count: 10,
        };
        db.list_sorted(&query, &|db, resource, filter| db.shown(&kind, resource, filter))
    };
    store.scan_within(deadline, read).await.map(|page| (page.total, page.resources.len()))
}

#[tokio::test]
async fn a_list_that_is_not_done_in_time_is_too_many_and_never_a_page() {
    let store = crowd().await;
    let all = USERS as u64;
    for (text, total) in [("title co \"u04\"", 100), ("title sw \"agent\"", all), ("title eq \"nobody\"", 0)] {
        assert_eq!(plain(&store, SHORT, text).await, Err(StoreError::TooMany), "{text}");
        let page = plain(&store, LONG, text).await.unwrap();
        assert_eq!(page, (total, total.min(10) as usize), "{text}: with time enough it is a list");
    }
    for (text, by, total) in
        [(None, "title", all), (Some("title co \"u04\""), "title", 100), (Some("title co \"u04\""), "userName", 100)]
    {
        assert_eq!(sorted(&store, SHORT, text, by).await, Err(StoreError::TooMany), "{text:?} by {by}");
        assert_eq!(sorted(&store, LONG, text, by).await, Ok((total, 10)), "{text:?} by {by}");
    }
}
