//! Who is in which group, known or not yet, and what is left of a long job.

use serde_json::json;

use super::*;
use crate::testing::{TENANT, add, at, group, insert, store};
use crate::{ResourceState, Store};

fn member(value: &str) -> Member {
    Member { value: value.into(), kind: None }
}

async fn add_members(store: &Store, group: i64, members: &[&str]) -> Vec<String> {
    let members: Vec<Member> = members.iter().map(|value| member(value)).collect();
    store.write(move |tx| tx.add_members(TENANT, group, &members)).await.unwrap()
}

async fn remove_members(store: &Store, group: i64, members: &[&str]) -> Vec<String> {
    let members: Vec<String> = members.iter().map(|&value| value.to_owned()).collect();
    store.write(move |tx| tx.remove_members(group, &members)).await.unwrap()
}

#[tokio::test]
async fn only_members_that_were_not_there_are_added_and_only_those_that_were_are_removed() {
    let store = store();
    let staff = insert(&store, group(&store, "Staff")).await.key;
    assert_eq!(add_members(&store, staff, &["b", "a"]).await, ["b", "a"]);
    assert_eq!(add_members(&store, staff, &["a", "c"]).await, ["c"]);
    assert_eq!(remove_members(&store, staff, &["b", "x"]).await, ["b"]);
    let members = store.read(|db| db.members_of(staff, "", 10)).await.unwrap();
    assert_eq!(members, [member("a"), member("c")]);
    let count = store.read(|db| db.member_count(staff)).await.unwrap();
    assert_eq!(count, 2);
    assert!(store.read(|db| db.is_member(staff, "a")).await.unwrap());
    assert!(!store.read(|db| db.is_member(staff, "b")).await.unwrap());
}

#[tokio::test]
async fn members_are_listed_page_by_page_and_the_known_ones_with_what_they_are() {
    let store = store();
    let staff = insert(&store, group(&store, "Staff")).await.key;
    let (ann, _) = (add(&store, "ann").await, insert(&store, group(&store, "Guests")).await);
    add_members(&store, staff, &["zoe", "Guests", "ann"]).await;
    let page =
        async |after: &'static str, limit| store.read(|db| db.named_members_of(staff, after, limit)).await.unwrap();
    let known = |value: &str, kind: &str| NamedMember {
        value: value.into(),
        kind: Some(kind.into()),
        is_known: true,
        display: Some(value.into()),
    };
    let unknown = |value: &str, kind: Option<&str>| NamedMember {
        kind: kind.map(str::to_owned),
        is_known: false,
        display: None,
        ..known(value, "")
    };
    assert_eq!(page("", 2).await, [known("Guests", "Group"), known("ann", "User")]);
    assert_eq!(page("ann", 2).await, [unknown("zoe", None)]);
    store.write(move |tx| tx.set_resource_state(ann.key, 1, ResourceState::Deleted, at(1))).await.unwrap();
    assert_eq!(page("Guests", 1).await, [unknown("ann", Some("User"))], "what it was is remembered");
}

#[tokio::test]
async fn a_member_that_was_there_before_its_user_is_shown_as_that_user_once_it_is_there() {
    let store = store();
    let staff = insert(&store, group(&store, "Staff")).await.key;
    add_members(&store, staff, &["ann", "Guests"]).await;
    let shown = async || {
        let members = store.read(|db| db.named_members_of(staff, "", 10)).await.unwrap();
        members.into_iter().map(|member| (member.value, member.kind, member.display)).collect::<Vec<_>>()
    };
    let unknown = |value: &str| (value.to_owned(), None, None);
    let known = |value: &str, kind: &str| (value.to_owned(), Some(kind.to_owned()), Some(value.to_owned()));
    assert_eq!(shown().await, [unknown("Guests"), unknown("ann")]);
    let ann = add(&store, "ann").await;
    assert_eq!(shown().await, [unknown("Guests"), known("ann", "User")]);
    insert(&store, group(&store, "Guests")).await;
    assert_eq!(shown().await, [known("Guests", "Group"), known("ann", "User")]);
    let groups = store.read(move |db| db.groups_of(TENANT, &ann.id)).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.key).collect::<Vec<_>>(), [staff]);
}

#[tokio::test]
async fn replacing_the_members_touches_only_who_came_or_went() {
    let store = store();
    let staff = insert(&store, group(&store, "Staff")).await.key;
    add_members(&store, staff, &["a", "b", "c"]).await;
    let wanted = ["b", "c", "d"].map(member);
    let changed = store.write(move |tx| tx.replace_members(TENANT, staff, &wanted)).await.unwrap();
    assert_eq!(changed, ["a", "d"]);
    let members = store.read(|db| db.members_of(staff, "", 10)).await.unwrap();
    assert_eq!(members, ["b", "c", "d"].map(member));
    let changed = store.write(move |tx| tx.replace_members(TENANT, staff, &[])).await.unwrap();
    assert_eq!(changed, ["b", "c", "d"]);
}

#[tokio::test]
async fn a_user_sees_its_live_groups_with_their_names_and_those_they_are_in() {
    let store = store();
    let mut keys = Vec::new();
    for name in ["Staff", "Guests", "Old", "Everybody"] {
        keys.push(insert(&store, group(&store, name)).await.key);
    }
    let [staff, guests, old, everybody] = keys[..] else { unreachable!("four groups were made") };
    for group in [staff, guests, old] {
        add_members(&store, group, &["ann"]).await;
    }
    // A circle: everybody holds the staff, and the staff holds everybody.
    add_members(&store, everybody, &["Staff", "ann"]).await;
    add_members(&store, guests, &["Everybody"]).await;
    add_members(&store, staff, &["Everybody"]).await;
    remove_members(&store, guests, &["ann"]).await;
    store.write(move |tx| tx.set_resource_state(old, 1, ResourceState::Deleted, at(1))).await.unwrap();
    let groups =
        async |tenant: &'static str, id: &'static str| store.read(|db| db.groups_of(tenant, id)).await.unwrap();
    let named = |key, name: &str, is_direct| GroupOf { key, id: name.into(), display_name: name.into(), is_direct };
    let of_ann = [named(everybody, "Everybody", true), named(guests, "Guests", false), named(staff, "Staff", true)];
    assert_eq!(groups(TENANT, "ann").await, of_ann);
    let of_staff = [named(everybody, "Everybody", true), named(guests, "Guests", false), named(staff, "Staff", false)];
    assert_eq!(groups(TENANT, "Staff").await, of_staff);
    assert_eq!(groups("globex", "ann").await, []);
}

#[tokio::test]
async fn who_is_gone_leaves_all_groups_of_its_tenant() {
    let store = store();
    let (staff, guests) =
        (insert(&store, group(&store, "Staff")).await.key, insert(&store, group(&store, "Guests")).await.key);
    add_members(&store, staff, &["ann", "bob"]).await;
    add_members(&store, guests, &["ann"]).await;
    let leave = |tenant: &'static str| store.write(move |tx| tx.leave_groups(tenant, "ann"));
    assert!(leave("globex").await.unwrap().is_empty());
    assert_eq!(leave(TENANT).await.unwrap(), [staff, guests]);
    assert_eq!(store.read(|db| db.member_count(staff)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_long_job_goes_on_where_it_was_left() {
    let store = store();
    let job = |subject| Backlog {
        key: 0,
        tenant: TENANT.into(),
        kind: "members-changed".into(),
        subject,
        position: String::new(),
        detail: Some(json!(["ann"])),
        created: at(0),
    };
    let mut keys = Vec::new();
    for subject in [7, 8] {
        let job = job(subject);
        keys.push(store.write(move |tx| tx.add_backlog(&job)).await.unwrap());
    }
    let first = keys[0];
    let next = async |kind: &'static str| store.read(|db| db.next_backlog(kind)).await.unwrap();
    assert_eq!(next("other").await, None);
    assert!(store.write(move |tx| tx.advance_backlog(first, "m500")).await.unwrap());
    let expected = Backlog { key: first, position: "m500".into(), ..job(7) };
    assert_eq!(next("members-changed").await, Some(expected));
    assert!(store.write(move |tx| tx.finish_backlog(first)).await.unwrap());
    assert!(!store.write(move |tx| tx.finish_backlog(first)).await.unwrap());
    assert!(!store.write(move |tx| tx.advance_backlog(first, "m900")).await.unwrap());
    assert_eq!(next("members-changed").await.unwrap().subject, 8);
}
