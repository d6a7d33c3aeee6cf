//! Filters about what is not in a document alone: members, the groups of a user through groups of groups, extensions, `meta`.
//! What the database finds is held against `matches` over resources that are put together here, from plain lists of edges.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Who is in which group: users, groups (some in a circle), and somebody whom nobody knows.
const EDGES: [(&str, &[&str]); 6] = [
    ("Staff", &["Sales", "Support", "u0"]),
    ("Sales", &["u1", "u2", "u3", "Abroad"]),
    ("Support", &["u3", "u4", "nobody"]),
    ("Abroad", &["u5", "u6", "Sales"]),
    ("Guests", &["u7", "u1"]),
    ("Empty", &[]),
];

const USERS: usize = 12;

async fn settle(store: &Store) -> (Vec<Resource>, Vec<Resource>) {
    let texts = ["a", "Ab", "b"];
    let mut users = Vec::new();
    for number in 0..USERS {
        let pick = |step: usize| texts[number / step % texts.len()];
        let mut body = json!({ "userName": format!("{}{number}", pick(1)), "active": number % 3 != 0 });
        if number % 2 == 0 {
            body[ENTERPRISE] = json!({ "department": pick(2), "manager": { "value": format!("u{}", number / 3) } });
        }
        if number % 3 == 0 {
            body[ENTERPRISE]["employeeNumber"] = pick(1).into();
        }
        if number % 4 == 1 {
            body["emails"] = json!([{ "value": pick(2), "type": "work" }, { "value": "b", "type": "home" }]);
        }
        let new = new_user(store, &format!("u{number}"), body);
        let moment = at(i64::try_from(number % 4).unwrap());
        users.push(insert(store, NewResource { now: moment, ..new }).await);
    }
    let mut groups = Vec::new();
    for (number, (name, _)) in EDGES.into_iter().enumerate() {
        let mut new = group(store, name);
        if number % 2 == 0 {
            new.document.insert("externalId", ["a", "Ab"][number / 2 % 2].into());
            new.values = store.indexed_values(TENANT, &group_type(), &new.document);
        }
        groups.push(insert(store, new).await);
    }
    for (resource, (_, members)) in groups.iter_mut().zip(EDGES) {
        let key = resource.key;
        let members: Vec<Member> = members.iter().map(|id| Member { value: (*id).to_owned(), kind: None }).collect();
        let later = at(i64::try_from(members.len()).unwrap());
        resource.version = store
            .write(move |tx| {
                tx.add_members(TENANT, key, &members)?;
                tx.touch_resource(key, None, later)
            })
            .await
            .unwrap();
        resource.modified = later;
    }
    (users, groups)
}

/// The groups of a resource, and whether each is direct, by going up until nothing is new.
fn groups_of(id: &str) -> BTreeMap<&'static str, bool> {
    let above = |member: &str| -> BTreeSet<&'static str> {
        EDGES.into_iter().filter(|(_, members)| members.contains(&member)).map(|(name, _)| name).collect()
    };
    let direct = above(id);
    let mut all = direct.clone();
    loop {
        let next: BTreeSet<&'static str> = all.iter().flat_map(|name| above(name)).collect();
        if next.is_subset(&all) {
            return all.into_iter().map(|name| (name, direct.contains(name))).collect();
        }
        all.extend(next);
    }
}

/// A resource as a client sees it.
fn whole(kind: &ResourceType, resource: &Resource) -> Map<String, Value> {
    let mut derived = Map::new();
    let list: Vec<Value> = if kind.name == "User" {
        let shown = |(name, is_direct): (&str, bool)| {
            let kind = if is_direct { "direct" } else { "indirect" };
            json!({ "value": name, "display": name, "type": kind })
        };
        groups_of(&resource.id).into_iter().map(shown).collect()
    } else {
        let members = EDGES.into_iter().find(|(name, _)| *name == resource.id).map_or(&[][..], |(_, members)| members);
        let is_group = |id: &str| EDGES.iter().any(|(name, _)| *name == id);
        let shown = |id: &&str| match *id {
            "nobody" => json!({ "value": id }),
            id if is_group(id) => json!({ "value": id, "type": "Group" }),
            id => json!({ "value": id, "type": "User" }),
        };
        members.iter().map(shown).collect()
    };
    if !list.is_empty() {
        derived.insert(if kind.name == "User" { "groups" } else { "members" }.into(), list.into());
    }
    let meta = Meta {
        created: resource.created,
        last_modified: resource.modified,
        version: resource.version,
        derived: 0,
        location: String::new(),
        resource_type: kind.name.clone(),
    };
    complete(kind, &resource.id, &resource.document, &meta, derived)
}

/// Filters over the attributes of one type, in pieces that indexes, columns, tables and none of them decide.
fn any_filter(is_user: bool) -> impl Strategy<Value = String> {
    let attributes = if is_user {
        vec![
            "userName",
            "id",
            "groups",
            "groups.value",
            "groups.display",
            "groups.type",
            "manager",
            "manager.value",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
            "URN:ietf:params:scim:schemas:CORE:2.0:User:userName",
            "emails",
            "schemas",
            "meta.version",
            "meta.resourceType",
        ]
    } else {
        vec![
            "displayName",
            "externalId",
            "id",
            "members",
            "members.value",
            "members.type",
            "members.display",
            "schemas",
            "meta.version",
            "meta.resourceType",
            "urn:ietf:params:scim:schemas:core:2.0:Group:members.value",
        ]
    };
    let (list, value) = if is_user { ("groups", "Sales") } else { ("members", "u3") };
    let text = prop::sample::select(vec![
        "a", "Ab", "b", "u1", "u3", "U3", "Sales", "sales", "Staff", "Abroad", "Guests", "nobody", "direct",
        "indirect", "User", "Group", "W/\"2\"", "s", "", ENTERPRISE,
    ]);
    let operator = prop::sample::select(vec!["eq", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]);
    let quoted = |text: &str| Value::from(text).to_string();
    let compare = (prop::sample::select(attributes.clone()), operator.clone(), text.clone())
        .prop_map(move |(attribute, operator, text)| format!("{attribute} {operator} {}", quoted(text)));
    let present = prop::sample::select(attributes).prop_map(|attribute| format!("{attribute} pr"));
    let null = prop::sample::select(vec![format!("{list} eq null"), format!("{list} ne null")]);
    let time = (prop::sample::select(vec!["created", "lastModified"]), operator.clone(), 0..6_i64).prop_filter_map(
        "times are ordered",
        |(name, operator, seconds)| {
            let is_order = !matches!(operator, "co" | "sw" | "ew");
            is_order.then(|| format!("meta.{name} {operator} \"{}\"", at(seconds)))
        },
    );
    let part = prop::sample::select(vec!["value", "type", "display"]);
    let element = (part.clone(), operator.clone(), text.clone(), part, text).prop_map(
        move |(part, operator, one, other, two)| {
            format!("{list}[{part} {operator} {} and not ({other} eq {})]", quoted(one), quoted(two))
        },
    );
    let after = prop::sample::select(vec!["User", "Group", "direct", "indirect"])
        .prop_map(move |kind| format!("{list}[type eq \"{kind}\"].value eq \"{value}\""));
    let leaf = prop_oneof![6 => compare, 1 => present, 1 => null, 2 => time, 2 => element, 1 => after];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

#[test]
fn filters_about_members_groups_extensions_and_meta_find_what_matches_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = store();
    let (users, groups) = runtime.block_on(settle(&store));
    for (kind, resources) in [(user_type(), users), (group_type(), groups)] {
        let wholes: Vec<_> = resources.iter().map(|one| (one.key, whole(&kind, one))).collect();
        let mut runner = TestRunner::new(Config { cases: 1500, failure_persistence: None, ..Config::default() });
        let checked = runner.run(&any_filter(kind.name == "User"), |text| {
            let wanted = filter(&text);
            let all: Vec<i64> =
                wholes.iter().filter(|(_, one)| matches(&kind, &wanted, one)).map(|(key, _)| *key).collect();
            let page = runtime.block_on(list_of(&store, kind.clone(), Some(&text), Start::Index(1), 100));
            let keys: Vec<i64> = page.resources.iter().map(|resource| resource.key).collect();
            prop_assert_eq!((keys, page.total), (all.clone(), all.len() as u64), "{}", text);
            Ok(())
        });
        checked.unwrap();
    }
}
