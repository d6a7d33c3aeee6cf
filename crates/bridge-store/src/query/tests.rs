//! Lists and filters: the answer of the database is that of `matches` over all documents, whatever the indexes say.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::*;
use crate::testing::{TENANT, add, at, filter, group, group_type, insert, new_user, store, user, user_type};
use crate::{Member, NewResource, Options, ResourceState, Store};

async fn list_of(store: &Store, kind: ResourceType, text: Option<&str>, start: Start, count: usize) -> Page {
    let filter = text.map(filter);
    store
        .scan(move |db| {
            let filter = filter.as_ref();
            db.list(&ListQuery { tenant: TENANT, resource_type: &kind, filter, start, count })
        })
        .await
        .unwrap()
}

async fn list(store: &Store, text: Option<&str>, start: Start, count: usize) -> Page {
    list_of(store, user_type(), text, start, count).await
}

fn ids(page: &Page) -> Vec<&str> {
    page.resources.iter().map(|resource| resource.id.as_str()).collect()
}

async fn found(store: &Store, text: &str) -> Vec<String> {
    let page = list(store, Some(text), Start::Index(1), 100).await;
    assert_eq!(page.total, page.resources.len() as u64);
    page.resources.into_iter().map(|resource| resource.id).collect()
}

async fn delete(store: &Store, resource: &Resource) {
    let (key, version) = (resource.key, resource.version);
    store.write(move |tx| tx.set_resource_state(key, version, ResourceState::Deleted, at(1))).await.unwrap();
}

async fn people(store: &Store, count: usize) -> Vec<Resource> {
    let mut people = Vec::new();
    for number in 0..count {
        people.push(add(store, &format!("u{number:03}")).await);
    }
    people
}

#[tokio::test]
async fn a_list_shows_live_resources_of_the_tenant_and_type_in_the_order_they_were_made() {
    let store = store();
    let people = people(&store, 3).await;
    insert(&store, NewResource { tenant: "globex".into(), ..user(&store, "other") }).await;
    insert(&store, group(&store, "Staff")).await;
    delete(&store, &people[1]).await;
    let page = list(&store, None, Start::Index(1), 100).await;
    assert_eq!((page.total, ids(&page), page.next), (2, vec!["u000", "u002"], None));
    assert_eq!(found(&store, "userName sw \"u\"").await, ["u000", "u002"]);
    assert_eq!(found(&store, "userName co \"o\"").await, Vec::<String>::new(), "another tenant's users are not seen");
    assert_eq!(found(&store, "id eq \"Staff\"").await, Vec::<String>::new(), "a group is no user");
    assert_eq!(found(&store, "id eq \"u001\"").await, Vec::<String>::new(), "it is deleted");
}

#[tokio::test]
async fn pages_by_index_join_without_gap_or_overlap_and_say_the_total() {
    let store = store();
    people(&store, 25).await;
    for text in [None, Some("userName sw \"u\""), Some("userName co \"u\"")] {
        let mut seen = Vec::new();
        for start in [1, 11, 21, 31] {
            let page = list(&store, text, Start::Index(start), 10).await;
            assert_eq!(page.total, 25, "{text:?}");
            seen.extend(page.resources.into_iter().map(|resource| resource.id));
        }
        let expected: Vec<String> = (0..25).map(|number| format!("u{number:03}")).collect();
        assert_eq!(seen, expected, "{text:?}");
        let cold = list(&store, text, Start::Index(18), 2).await;
        assert_eq!(ids(&cold), ["u017", "u018"], "{text:?}");
        let far = list(&store, text, Start::Index(u64::MAX), usize::MAX).await;
        assert_eq!((far.total, far.resources.len()), (25, 0));
        let before_first = list(&store, text, Start::Index(0), usize::MAX).await;
        assert_eq!((before_first.total, before_first.resources.len()), (25, 25));
        let total_alone = list(&store, text, Start::Index(1), 0).await;
        assert_eq!((total_alone.total, total_alone.resources.len()), (25, 0));
    }
}

#[tokio::test]
async fn pages_by_cursor_join_without_gap_or_overlap() {
    let store = store();
    people(&store, 25).await;
    for text in [None, Some("userName sw \"u\""), Some("userName co \"u\"")] {
        let (mut seen, mut start) = (Vec::new(), Some(0));
        while let Some(after) = start {
            let page = list(&store, text, Start::After(after), 10).await;
            assert_eq!(page.total, 25);
            start = page.next;
            seen.extend(page.resources.into_iter().map(|resource| resource.id));
        }
        assert_eq!(seen.len(), 25, "{text:?}");
        assert!(seen.is_sorted(), "{text:?}");
    }
}

#[tokio::test]
async fn a_walk_by_index_passes_over_nobody_when_others_are_deleted_meanwhile() {
    let store = store();
    let people = people(&store, 30).await;
    let mut seen = BTreeSet::new();
    for (number, start) in [1, 11, 21].into_iter().enumerate() {
        let page = list(&store, None, Start::Index(start), 10).await;
        seen.extend(page.resources.iter().map(|resource| resource.key));
        delete(&store, &people[number * 10]).await;
    }
    let missed: Vec<&str> = people.iter().filter(|one| !seen.contains(&one.key)).map(|one| one.id.as_str()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[tokio::test]
async fn a_walk_that_begins_after_a_deletion_counts_anew() {
    let store = store();
    let people = people(&store, 30).await;
    list(&store, None, Start::Index(1), 10).await;
    delete(&store, &people[0]).await;
    let first = list(&store, None, Start::Index(1), 10).await;
    let second = list(&store, None, Start::Index(11), 10).await;
    assert_eq!((ids(&first)[9], ids(&second)[0]), ("u010", "u011"));
    let last = list(&store, None, Start::Index(29), 10).await;
    assert_eq!(ids(&last), ["u029"], "a position nobody walked to is counted");
    let beyond = list(&store, None, Start::Index(30), 10).await;
    assert_eq!((beyond.total, beyond.resources.len()), (29, 0));
}

#[tokio::test]
async fn text_is_compared_as_the_schema_says() {
    let store = store();
    let body = json!({ "userName": "Ann", "externalId": "Ab1", "displayName": "Ähre" });
    insert(&store, new_user(&store, "1", body)).await;
    for (text, is_found) in [
        ("userName eq \"aNN\"", true),
        ("USERNAME eq \"ann\"", true),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"ann\"", true),
        ("externalId eq \"Ab1\"", true),
        ("externalId eq \"ab1\"", false),
        ("displayName sw \"äH\"", true),
        ("displayName eq \"\"", false),
        ("displayName sw \"\"", true),
        ("userName eq \"an\"", false),
        ("userName eq \"Ann\" and externalId eq \"nobody\"", false),
        ("userName eq \"Ann\" or externalId eq \"nobody\"", true),
        ("not (userName eq \"ann\")", false),
        ("id eq \"1\" and active eq false", false),
        ("nickName eq \"ann\"", false),
    ] {
        assert_eq!(!found(&store, text).await.is_empty(), is_found, "{text}");
    }
}

#[tokio::test]
async fn a_user_is_found_once_though_several_of_its_values_match() {
    let store = store();
    let emails = json!([{ "value": "a@x.com", "type": "work" }, { "value": "a@y.com", "type": "home" }]);
    insert(&store, new_user(&store, "1", json!({ "userName": "ann", "emails": emails }))).await;
    assert_eq!(found(&store, "emails.value sw \"a@\"").await, ["1"]);
    assert_eq!(found(&store, "emails.value eq \"a@x.com\" or emails.value eq \"a@y.com\"").await, ["1"]);
    assert_eq!(found(&store, "emails[type eq \"work\" and value eq \"a@x.com\"]").await, ["1"]);
    assert_eq!(found(&store, "emails[type eq \"work\" and value eq \"a@y.com\"]").await, Vec::<String>::new());
    assert_eq!(found(&store, "emails[type eq \"home\"].value eq \"a@y.com\"").await, ["1"]);
    assert_eq!(found(&store, "emails[type eq \"work\"].value eq \"a@y.com\"").await, Vec::<String>::new());
    assert_eq!(found(&store, "emails eq \"A@Y.com\"").await, ["1"]);
}

#[tokio::test]
async fn groups_are_found_by_member_and_users_by_group() {
    let store = store();
    let ann = add(&store, "ann").await;
    add(&store, "bob").await;
    let staff = insert(&store, group(&store, "Staff")).await;
    insert(&store, group(&store, "Guests")).await;
    let member = Member { value: ann.id.clone(), kind: Some("User".into()) };
    let key = staff.key;
    store.write(move |tx| tx.add_members(TENANT, key, std::slice::from_ref(&member))).await.unwrap();
    for (text, is_found) in [
        ("members eq \"ann\"", true),
        ("members.value eq \"ann\"", true),
        ("members[value eq \"ann\"]", true),
        ("members[value eq \"ann\" and type eq \"User\"]", true),
        ("members[value eq \"ann\" and type eq \"Group\"]", false),
        ("id eq \"Staff\" and members eq \"ann\"", true),
        ("id eq \"Guests\" and members eq \"ann\"", false),
        ("displayName co \"taf\" and members eq \"ann\"", true),
        ("members eq \"bob\"", false),
        ("displayName eq \"staff\" and not (members eq \"bob\")", true),
        ("members pr", true),
    ] {
        let page = list_of(&store, group_type(), Some(text), Start::Index(1), 10).await;
        assert_eq!(ids(&page), if is_found { vec!["Staff"] } else { vec![] }, "{text}");
    }
    assert_eq!(found(&store, "groups eq \"Staff\"").await, ["ann"]);
    assert_eq!(found(&store, "groups.value eq \"Guests\"").await, Vec::<String>::new());
    assert_eq!(found(&store, "groups.display eq \"staff\"").await, ["ann"]);
    assert_eq!(found(&store, "not (groups pr)").await, ["bob"]);
}

#[tokio::test]
async fn resources_are_found_by_their_times_and_by_activity() {
    let store = store();
    let late = NewResource { now: at(3600), ..new_user(&store, "late", json!({ "userName": "b", "active": false })) };
    insert(&store, new_user(&store, "early", json!({ "userName": "a", "active": true }))).await;
    insert(&store, late).await;
    let (early, exact) = (at(1), at(3600));
    assert_eq!(found(&store, &format!("meta.lastModified gt \"{early}\"")).await, ["late"]);
    assert_eq!(found(&store, &format!("meta.lastModified ge \"{exact}\"")).await, ["late"]);
    assert_eq!(found(&store, &format!("meta.lastModified gt \"{exact}\"")).await, Vec::<String>::new());
    assert_eq!(found(&store, &format!("meta.created lt \"{exact}\"")).await, ["early"]);
    assert_eq!(found(&store, &format!("meta.lastModified eq \"{exact}\"")).await, ["late"]);
    // Beyond what a timestamp reaches, on both sides.
    for (operator, end, expected) in [
        ("lt", "9999-12-31T23:59:59Z", 2),
        ("le", "9999-12-31T23:59:59Z", 2),
        ("gt", "9999-12-31T23:59:59Z", 0),
        ("eq", "9999-12-31T23:59:59Z", 0),
        ("gt", "-009999-01-01T00:00:00Z", 2),
        ("lt", "-009999-01-01T00:00:00Z", 0),
    ] {
        let found = found(&store, &format!("meta.created {operator} \"{end}\"")).await;
        assert_eq!(found.len(), expected, "{operator} {end}");
    }
    assert_eq!(found(&store, "active eq false").await, ["late"]);
    assert_eq!(found(&store, "active eq true").await, ["early"]);
}

#[tokio::test]
async fn a_caller_may_show_more_than_the_store_knows() {
    let store = store();
    people(&store, 3).await;
    let kind = user_type();
    let wanted = filter("nickName eq \"second\"");
    let page = store
        .scan(move |db| {
            let query = ListQuery {
                tenant: TENANT,
                resource_type: &kind,
                filter: Some(&wanted),
                start: Start::Index(1),
                count: 10,
            };
            db.list_with(&query, &|_, resource, _| {
                let mut shown = resource.document.as_map().clone();
                if resource.id == "u001" {
                    shown.insert("nickName".into(), "second".into());
                }
                Ok(shown)
            })
        })
        .await
        .unwrap();
    assert_eq!(ids(&page), ["u001"]);
}

/// Such a list is read inline, so that nothing may make it look at everybody.
#[tokio::test]
async fn whoever_is_asked_for_by_name_is_looked_up_however_many_other_conditions_there_are() {
    let store = store();
    people(&store, 3).await;
    let kind = user_type();
    for other in ["title ne \"x\"", "displayName ne \"x\"", "(id eq \"x\" or active eq true)", "userName sw \"u\""] {
        let others = vec![other; 120].join(" and ");
        let wanted = filter(&format!("{others} and userName eq \"u001\""));
        assert!(is_pointed(&wanted), "{other}");
        let looked_at = std::cell::Cell::new(0);
        let page = store
            .read(|db| {
                let start = Start::Index(1);
                let query = ListQuery { tenant: TENANT, resource_type: &kind, filter: Some(&wanted), start, count: 10 };
                db.list_with(&query, &|_, resource, _| {
                    looked_at.set(looked_at.get() + 1);
                    let mut shown = resource.document.as_map().clone();
                    shown.insert("active".into(), true.into());
                    Ok(shown)
                })
            })
            .await
            .unwrap();
        assert_eq!((ids(&page), looked_at.get()), (vec!["u001"], 1), "{other}");
    }
}

#[test]
fn lists_by_id_or_unique_value_may_be_read_inline() {
    let check = |text: &str, expected: bool| assert_eq!(is_pointed(&filter(text)), expected, "{text}");
    check("userName eq \"ann\"", true);
    check("USERNAME eq \"ann\"", true);
    check("id eq \"1\" and members eq \"2\"", true);
    check("externalId eq \"1\"", true);
    check("emails eq \"a@x\"", true);
    check("emails.value eq \"a@x\"", true);
    check("emails.type eq \"work\"", false);
    check("urn:a:User:userName eq \"ann\"", false);
    check("displayName eq \"ann\"", false);
    check("userName sw \"ann\"", false);
    check("userName eq \"ann\" or active eq true", false);
    check("not (userName eq \"ann\")", false);
}

#[test]
fn the_texts_with_a_beginning_end_before_the_next_text() {
    let check = |prefix: &str, end: Option<&str>| assert_eq!(after_prefix(prefix).as_deref(), end, "{prefix:?}");
    check("ann", Some("ano"));
    check("a\u{10FFFF}", Some("b"));
    check("\u{10FFFF}", None);
    check("", None);
    check("\u{D7FF}", Some("\u{E000}"));
}

#[test]
fn a_statement_takes_only_the_parameters_it_asks_for() {
    let check = |sql: &str, expected: &str, kept: &[i64]| {
        let (renumbered, used) = only_used(sql, parameters![1_i64, 2_i64, 3_i64, 4_i64].to_vec());
        let numbers: Vec<i64> =
            used.iter().map(|one| if let Parameter::Integer(number) = one { *number } else { 0 }).collect();
        assert_eq!((renumbered.as_str(), numbers.as_slice()), (expected, kept), "{sql}");
    };
    check("a = ?1 AND b = ?2 AND c = ?3 AND d = ?4", "a = ?1 AND b = ?2 AND c = ?3 AND d = ?4", &[1, 2, 3, 4]);
    check("a = ?1 AND d = ?4 AND (b = ?1)", "a = ?1 AND d = ?2 AND (b = ?1)", &[1, 4]);
    check("d = ?4 AND b = ?2", "d = ?2 AND b = ?1", &[2, 4]);
}

#[tokio::test]
async fn alternatives_that_no_index_decides_are_decided_on_the_candidates() {
    let store = store();
    people(&store, 3).await;
    let early = at(-1);
    for (text, expected) in [
        (format!("userName sw \"u\" or (userName sw \"x\" and meta.created gt \"{early}\")"), 3),
        (format!("userName eq \"x\" or (userName eq \"u001\" and meta.created gt \"{early}\")"), 1),
        (format!("userName eq \"u001\" and (active eq true or userName eq \"x\") and meta.created gt \"{early}\""), 1),
        (format!("(userName eq \"u001\" or active eq false) and meta.created gt \"{early}\""), 1),
    ] {
        assert_eq!(found(&store, &text).await.len(), expected, "{text}");
    }
}

mod deadline;
mod village;

/// Filters out of pieces that indexes, columns and neither decide, over values that many people share.
fn any_filter() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec!["a", "A", "ab", "b", "ä", "Ä", "", "B1", "b1", "a@x", "ann0", "u1", "work"]);
    let attribute = prop::sample::select(vec![
        "userName",
        "externalId",
        "displayName",
        "emails.value",
        "emails",
        "emails.type",
        "title",
        "name.familyName",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
        "id",
        "nickName",
    ]);
    let operator = prop::sample::select(vec!["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]);
    let compare = (attribute.clone(), operator.clone(), text.clone())
        .prop_map(|(attribute, operator, text)| format!("{attribute} {operator} \"{text}\""));
    let present = attribute.prop_map(|attribute| format!("{attribute} pr"));
    let active =
        prop::sample::select(vec!["active eq true", "active eq false", "active ne true"]).prop_map(str::to_owned);
    let time = (operator.clone(), 0..4_i64).prop_filter_map("times are ordered", |(operator, seconds)| {
        let is_order = !matches!(operator, "co" | "sw" | "ew");
        is_order.then(|| format!("meta.created {operator} \"{}\"", at(seconds)))
    });
    let element = (text.clone(), text, operator)
        .prop_map(|(kind, value, operator)| format!("emails[type eq \"{kind}\" and value {operator} \"{value}\"]"));
    let leaf = prop_oneof![6 => compare, 1 => present, 1 => active, 1 => time, 1 => element];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

/// A crowd that shares values in every way the filters ask about.
async fn crowd(store: &Store) -> Vec<Resource> {
    let mut crowd = Vec::new();
    let texts = ["a", "Ab", "B1", "ä", "b"];
    for number in 0..60_usize {
        let pick = |step: usize| texts[(number / step) % texts.len()];
        let mut body = json!({ "userName": format!("{}{number}", pick(1)) });
        if number % 2 == 0 {
            body["externalId"] = pick(2).into();
        }
        if number % 3 == 0 {
            body["displayName"] = pick(3).into();
            body["title"] = pick(1).into();
        }
        if number % 4 < 2 {
            body["emails"] = json!([
                { "value": pick(4), "type": "work" },
                { "value": format!("{}@x", pick(1)), "type": pick(2) }
            ]);
        }
        if number % 5 == 0 {
            body["active"] = (number % 2 == 0).into();
            body["name"] = json!({ "familyName": pick(2) });
        }
        if number % 7 == 0 {
            body["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = json!({ "employeeNumber": pick(1) });
        }
        let new = new_user(store, &format!("u{number}"), body);
        let moment = at(i64::try_from(number % 4).unwrap());
        crowd.push(insert(store, NewResource { now: moment, ..new }).await);
    }
    crowd
}

fn expected(kind: &ResourceType, wanted: &Filter, crowd: &[Resource]) -> Vec<i64> {
    let is_match = |resource: &&Resource| {
        let meta = Meta {
            created: resource.created,
            last_modified: resource.modified,
            version: resource.version,
            derived: 0,
            location: String::new(),
            resource_type: "User".into(),
        };
        matches(kind, wanted, &complete(kind, &resource.id, &resource.document, &meta, Map::new()))
    };
    crowd.iter().filter(is_match).map(|resource| resource.key).collect()
}

fn check_against_matches(store: &Store, runtime: &tokio::runtime::Runtime, crowd: &[Resource], cases: u32) {
    let kind = user_type();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&(any_filter(), 0..70_u64, 0..30_usize), |(text, start, count)| {
        let wanted = filter(&text);
        let all = expected(&kind, &wanted, crowd);
        let by_index = runtime.block_on(list(store, Some(&text), Start::Index(start), count));
        let keys = |page: &Page| page.resources.iter().map(|resource| resource.key).collect::<Vec<_>>();
        let skipped = usize::try_from(start.saturating_sub(1)).unwrap();
        let page: Vec<i64> = all.iter().skip(skipped).take(count).copied().collect();
        prop_assert_eq!(keys(&by_index), page);
        prop_assert_eq!(by_index.total, all.len() as u64);
        let after = i64::try_from(start).unwrap();
        let by_cursor = runtime.block_on(list(store, Some(&text), Start::After(after), count));
        let page: Vec<i64> = all.iter().filter(|key| **key > after).take(count).copied().collect();
        prop_assert_eq!(keys(&by_cursor), page);
        prop_assert_eq!(by_cursor.total, all.len() as u64);
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn every_filter_finds_what_matches_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = store();
    let crowd = runtime.block_on(crowd(&store));
    check_against_matches(&store, &runtime, &crowd, 1500);
}

#[test]
fn every_filter_finds_what_matches_says_with_further_indexes_too() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let indexed = ["title", "name.familyName", "emails.type", "active", "nickName"].map(str::to_owned).to_vec();
    let store = Store::open(&Options { indexed, ..Options::default() }).unwrap();
    let crowd = runtime.block_on(crowd(&store));
    runtime.block_on(store.reindex(TENANT, &user_type())).unwrap();
    check_against_matches(&store, &runtime, &crowd, 1000);
}

#[test]
fn a_filter_with_hundreds_of_alternatives_is_answered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = store();
    runtime.block_on(people(&store, 3));
    let alternatives: Vec<String> = (0..300).map(|number| format!("id eq \"u{number:03}\"")).collect();
    let few = alternatives[..90].join(" or ");
    assert_eq!(runtime.block_on(found(&store, &few)).len(), 3);
    let many = Filter::Or(alternatives.iter().map(|text| filter(text)).collect());
    let kind = user_type();
    let page = runtime.block_on(store.scan(move |db| {
        let start = Start::Index(1);
        db.list(&ListQuery { tenant: TENANT, resource_type: &kind, filter: Some(&many), start, count: 10 })
    }));
    assert_eq!(page.unwrap().total, 3);
}

/// What is asked by value or id must not read the table of resources from its beginning.
#[tokio::test]
async fn filters_by_value_begin_with_the_index() {
    let store = store();
    let kind = user_type();
    let plans = store
        .read(|db| {
            let mut plans = Vec::new();
            for text in
                ["userName eq \"a\"", "emails.value sw \"a\"", "id eq \"a\" or externalId eq \"b\"", "groups eq \"g\""]
            {
                let mut compiler = Compiler {
                    tenant: TENANT,
                    resource_type: &kind,
                    index: &db.shared().index,
                    parameters: parameters![TENANT, "User"].to_vec(),
                    lookups: 0,
                };
                let narrowed = compiler.narrow(&filter(text));
                let sql = format!(
                    "EXPLAIN QUERY PLAN SELECT r.document FROM ({}) AS c CROSS JOIN resource AS r WHERE r.key = c.resource \
                     AND r.tenant = ?1 AND r.resource_type = ?2 AND r.state = 'live' ORDER BY r.key",
                    narrowed.keys.unwrap()
                );
                plans.push(db.session().query(&sql, &compiler.parameters, |row| row.text(3))?.join("; "));
            }
            Ok::<_, StoreError>(plans)
        })
        .await
        .unwrap();
    for plan in plans {
        assert!(!plan.contains("SCAN r") && !plan.contains("SCAN resource"), "{plan}");
        assert!(plan.contains("SEARCH r USING"), "{plan}");
    }
}

#[tokio::test]
async fn whether_one_group_has_one_member_is_asked_of_the_rows_and_not_of_its_list() {
    let store = store();
    let staff = insert(&store, group(&store, "Staff")).await.key;
    let ann = [crate::Member { value: "ann".into(), kind: None }];
    store.write(move |tx| tx.add_members(TENANT, staff, &ann)).await.unwrap();
    let total = async |text: &str| {
        let filter = filter(text);
        let asked = ListQuery {
            tenant: TENANT,
            resource_type: &group_type(),
            filter: Some(&filter),
            start: Start::Index(1),
            count: 10,
        };
        let unseen = |_: &Db<'_>, _: &Resource, _: &Filter| unreachable!("nobody need see the group");
        store.read(|db| db.list_with(&asked, &unseen)).await.unwrap().total
    };
    assert_eq!(total(r#"id eq "Staff" and members eq "ann""#).await, 1);
    assert_eq!(total(r#"members.value eq "ann" and id eq "Staff""#).await, 1);
    assert_eq!(total(r#"id eq "Staff" and members eq "bob""#).await, 0);
}

/// A search over all types asks groups for what only users have: whoever looks for a user name reads no group.
#[tokio::test]
async fn what_only_another_type_has_is_not_looked_for_in_every_resource() {
    let store = store();
    for name in ["Staff", "Sales", "Abacus"] {
        insert(&store, group(&store, name)).await;
    }
    let check = async |text: &'static str, expected: usize, read: usize| {
        let found = store.scan(move |db| {
            let (kind, wanted) = (group_type(), filter(text));
            let seen = std::cell::Cell::new(0);
            let query = ListQuery {
                tenant: TENANT,
                resource_type: &kind,
                filter: Some(&wanted),
                start: Start::Index(1),
                count: 9,
            };
            let page = db.list_with(&query, &|db, resource, rest| {
                seen.set(seen.get() + 1);
                db.shown(&kind, resource, rest)
            })?;
            Ok::<_, StoreError>((page.total, page.resources.len(), seen.get()))
        });
        assert_eq!(found.await.unwrap(), (expected as u64, expected, read), "{text}");
    };
    check("userName eq \"ann\"", 0, 0).await;
    check("userName eq \"ann\" or displayName eq \"staff\"", 1, 0).await;
    check("userName pr and displayName pr", 0, 0).await;
    check("emails[type eq \"work\"].value eq \"x\"", 0, 0).await;
    check("userName ne \"ann\"", 3, 3).await;
    check("not (userName eq \"ann\")", 3, 3).await;
}
