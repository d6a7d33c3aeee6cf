//! What holds for any request: nothing panics, what is accepted is in canonical form, what is repeated changes nothing more.
//! What a PATCH makes of a user and of a group is held against a model in `reference.rs`.

#![expect(clippy::expect_used, reason = "a test may panic, and so may its helpers")]

use proptest::{collection::vec, option, prelude::*, sample::select};
use scim_filter::Filter;
use scim_model::{
    Catalog, Context, Document, Draft, ENTERPRISE_URN, MemberChange, PATCH_URN, Replacement, ResourceType, accept,
    check_filter, fold, matches, patch, split_members,
};
use serde_json::{Map, Value, json};

/// Names and paths that mean something, and some that do not.
const NAMES: [&str; 43] = [
    "schemas",
    "id",
    "meta",
    "groups",
    "userName",
    "USERNAME",
    "active",
    "name",
    "name.givenName",
    "givenName",
    "familyName",
    "title",
    "password",
    "emails",
    "emails.value",
    "emails[type eq \"work\"]",
    "emails[type eq \"work\"].value",
    "emails[type eq \"work\"].primary",
    "emails[primary eq true].value",
    "emails[value co \"a\"].type",
    "emails[value eq \"a@b.example\"].value",
    "emails[type eq \"work\"].type",
    "addresses[type eq \"work\"].country",
    "addresses[country eq \"u1\"].country",
    "addresses",
    "roles",
    "roles[primary eq \"True\"].value",
    "members",
    "members[value eq \"u1\"]",
    "members[value eq \"u1\"].display",
    "members.value",
    "displayName",
    "manager",
    "value",
    "type",
    "primary",
    "$ref",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User",
    "urn:acme:1.0:User:badge",
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![9 => select(&NAMES[..]).prop_map(str::to_owned), 1 => ".{0,12}"]
}

fn text() -> impl Strategy<Value = String> {
    let known = select(vec!["", "u1", "work", "home", "True", "false", "a@b.example", "{\"value\":\"Admin\"}", "7"]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => ".{0,8}"]
}

/// Any JSON, in the vocabulary of clients.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name(), inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn operation() -> impl Strategy<Value = Value> {
    let verb = select(vec!["add", "replace", "remove", "Add", "Remove", "copy"]);
    (verb, option::weighted(0.8, name()), option::weighted(0.9, json_value())).prop_map(|(op, path, value)| {
        let mut operation = Map::new();
        operation.insert("op".to_owned(), op.into());
        operation.extend(path.map(|path| ("path".to_owned(), path.into())));
        operation.extend(value.map(|value| ("value".to_owned(), value)));
        operation.into()
    })
}

/// The operation with at most one member in a value without path, or under the URN of a schema: more are several changes,
/// which may contradict each other.
fn one_change(mut operation: Value) -> Value {
    let is_whole = operation.get("path").is_none_or(is_urn);
    if let (true, Some(value)) = (is_whole, operation.get_mut("value")) {
        keep_one(value);
    }
    operation
}

fn keep_one(value: &mut Value) {
    let Value::Object(members) = value else { return };
    *members = members.clone().into_iter().take(1).collect();
    for (_, member) in members.iter_mut().filter(|(name, _)| name.starts_with("urn:")) {
        keep_one(member);
    }
}

fn is_urn(path: &Value) -> bool {
    path.as_str().is_some_and(|path| path.trim().starts_with("urn:"))
}

fn catalog() -> Catalog {
    Catalog::new(Vec::new()).expect("the embedded schemas fit together")
}

fn start(resource_type: &ResourceType) -> Document {
    let body = match resource_type.name.as_str() {
        "User" => json!({
            "userName": "jo@corp.example",
            "name": { "givenName": "Jo" },
            "emails": [{ "value": "a@b.example", "type": "work", "primary": true }, { "value": "c@d.example" }],
        }),
        _ => json!({ "displayName": "Sales", "members": [{ "value": "u1" }, { "value": "u2" }] }),
    };
    accept(resource_type, body, Context::Create).expect("the body is fine").document
}

/// Nothing unassigned anywhere, at most one primary in each list.
fn check_canonical(value: &Value) -> Result<(), TestCaseError> {
    match value {
        Value::Null => prop_assert!(false, "a null is stored"),
        Value::String(text) => prop_assert!(!text.is_empty(), "an empty text is stored"),
        Value::Array(elements) => {
            prop_assert!(!elements.is_empty(), "an empty list is stored");
            let primaries = elements.iter().filter(|element| element.get("primary") == Some(&Value::Bool(true)));
            prop_assert!(primaries.count() <= 1, "two are primary: {value}");
            elements.iter().try_for_each(check_canonical)?;
        }
        Value::Object(members) => {
            prop_assert!(!members.is_empty(), "an empty object is stored");
            members.values().try_for_each(check_canonical)?;
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn check_draft(resource_type: &ResourceType, draft: &Draft) -> Result<(), TestCaseError> {
    let document = Value::Object(draft.document.as_map().clone());
    check_canonical(&document)?;
    for name in draft.document.as_map().keys() {
        let is_known = resource_type.schema.attributes.iter().any(|attribute| attribute.name == *name)
            || resource_type.extensions.iter().any(|(schema, _)| schema.id == *name);
        prop_assert!(is_known, "{name} is stored");
        prop_assert!(!["id", "meta", "schemas", "groups", "password"].contains(&name.as_str()), "{name} is stored");
    }
    let again = accept(resource_type, document.clone(), Context::Replace { current: &draft.document, id: "u1" });
    let again = again.map(|draft| Value::Object(draft.document.into_map()).to_string());
    prop_assert_eq!(again, Ok(document.to_string()), "a PUT of itself");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_body_is_refused_or_stored_in_canonical_form(body in json_value(), keep in any::<bool>()) {
        let catalog = catalog();
        for resource_type in catalog.resource_types() {
            let mut body = body.clone();
            // Else nearly everything would fail for the want of a name.
            if let (true, Value::Object(members)) = (keep, &mut body) {
                members.remove("schemas");
                members.extend([("userName", "jo"), ("displayName", "Jo")].map(|(key, value)| (key.into(), value.into())));
            }
            if let Ok(draft) = accept(resource_type, body.clone(), Context::Create) {
                check_draft(resource_type, &draft)?;
            }
            let current = start(resource_type);
            if let Ok(draft) = accept(resource_type, body, Context::Replace { current: &current, id: "u1" }) {
                check_draft(resource_type, &draft)?;
            }
        }
    }

    #[test]
    fn any_patch_is_refused_or_leaves_the_canonical_form(operations in vec(operation(), 1..6)) {
        let catalog = catalog();
        for resource_type in catalog.resource_types() {
            let current = start(resource_type);
            let body = json!({ "schemas": [PATCH_URN], "Operations": operations });
            if let Ok(draft) = patch(resource_type, &current, "u1", &body, Replacement::OfParts) {
                check_draft(resource_type, &draft)?;
            }
        }
    }

    /// A client that saw no answer sends its request again.
    #[test]
    fn a_change_that_is_repeated_changes_nothing_more(operations in vec(operation(), 0..3), operation in operation()) {
        let catalog = catalog();
        let operation = one_change(operation);
        for resource_type in catalog.resource_types() {
            let send = |document: &Document, operations: &[Value]| {
                patch(resource_type, document, "u1", &json!({ "Operations": operations }), Replacement::OfParts).map(|draft| draft.document)
            };
            let current = start(resource_type);
            let current = send(&current, &operations).unwrap_or(current);
            if let Ok(once) = send(&current, std::slice::from_ref(&operation)) {
                prop_assert_eq!(send(&once, std::slice::from_ref(&operation)), Ok(once), "{} after {}", operation, json!(operations));
            }
        }
    }

    #[test]
    fn any_json_as_a_patch_message_is_answered(body in json_value()) {
        let catalog = catalog();
        for resource_type in catalog.resource_types() {
            let _ = patch(resource_type, &start(resource_type), "u1", &body, Replacement::OfParts);
        }
    }

    #[test]
    fn a_group_patch_taken_apart_does_the_same(operations in vec(group_operation(), 1..6)) {
        let catalog = catalog();
        let group = catalog.resource_type("Group").expect("there are groups");
        let body = json!({ "schemas": [PATCH_URN], "Operations": operations });
        let whole = patch(group, &start(group), "u1", &body, Replacement::OfParts);
        let apart = split_members(group, &body).and_then(|split| {
            let Some(split) = split else { return Ok(None) };
            let mut document = start(group);
            let mut members = match document.remove("members") {
                Some(Value::Array(members)) => members,
                _ => Vec::new(),
            };
            let mut rest = patch(group, &document, "u1", &split.rest, Replacement::OfParts)?.document;
            split.changes.into_iter().for_each(|change| apply_to_rows(&mut members, change));
            if !members.is_empty() {
                rest.insert("members", members.into());
            }
            Ok(Some(rest))
        });
        match (whole, apart) {
            (_, Ok(None)) => {}
            (Ok(whole), Ok(Some(apart))) => prop_assert_eq!(whole.document, apart),
            // Which of several faults is named may differ.
            (Err(whole), Err(apart)) => prop_assert_eq!(whole.status, apart.status),
            (whole, apart) => prop_assert!(false, "{:?}\n{:?}", whole, apart),
        }
    }

    #[test]
    fn equal_and_not_equal_part_the_users(path in select(single_paths()), literal in "[a-cA-C]{0,2}", value in "[a-cA-C]{1,2}") {
        let catalog = catalog();
        let user = catalog.resource_type("User").expect("there are users");
        let body = json!({ "Operations": [{ "op": "add", "path": path, "value": value }] });
        let document = patch(user, &start(user), "u1", &body, Replacement::OfParts).expect("the message is fine").document;
        let finds = |operator: &str| {
            let filter = Filter::parse(&format!("{path} {operator} \"{literal}\"")).expect("it is a filter");
            check_filter(user, &filter).expect("the attribute is known");
            matches(user, &filter, document.as_map())
        };
        let attribute = user.resolve(&path.parse().expect("it is a path")).expect("it is known").leaf();
        prop_assert_eq!(finds("eq"), fold(attribute, &value) == fold(attribute, &literal));
        prop_assert_eq!(finds("ne"), !finds("eq"));
        prop_assert_eq!(finds("ge"), finds("gt") || finds("eq"));
        prop_assert_eq!(finds("lt"), !finds("ge"));
        prop_assert!(!finds("sw") || finds("co"));
    }
}

/// Operations of which most are about members.
fn group_operation() -> impl Strategy<Value = Value> {
    let id = || select(vec!["u1", "u2", "u3", "U1"]);
    let element = move || {
        prop_oneof![
            4 => id().prop_map(|id| json!({ "value": id, "$ref": null })),
            1 => id().prop_map(Value::from),
            1 => Just(json!({ "display": "nobody" })),
        ]
    };
    let list = prop_oneof![
        4 => vec(element(), 0..4).prop_map(Value::from),
        1 => element(),
        1 => select(vec![Value::Null, json!(""), json!([null])]),
    ];
    let path = prop_oneof![
        3 => Just(Some("members".to_owned())),
        3 => vec(id(), 1..3).prop_map(|ids| {
            let filters: Vec<String> = ids.iter().map(|id| format!("value eq \"{id}\"")).collect();
            Some(format!("members[{}]", filters.join(" or ")))
        }),
        1 => Just(None),
        1 => Just(Some("displayName".to_owned())),
        1 => Just(Some("members.value".to_owned())),
        1 => Just(Some("members[value eq \"u1\"].display".to_owned())),
    ];
    let verb = select(vec!["add", "replace", "remove", "Remove"]);
    (verb, path, option::weighted(0.8, list)).prop_map(|(verb, path, list)| match (path, list) {
        (Some(path), _) if path == "displayName" => json!({ "op": verb, "path": path, "value": "Marketing" }),
        (Some(path), Some(list)) => json!({ "op": verb, "path": path, "value": list }),
        (Some(path), None) => json!({ "op": verb, "path": path }),
        (None, Some(list)) => json!({ "op": verb, "value": { "id": "u1", "displayName": "EMEA", "members": list } }),
        (None, None) => json!({ "op": verb, "value": { "displayName": "EMEA" } }),
    })
}

/// What a store with a row per member does.
fn apply_to_rows(members: &mut Vec<Value>, change: MemberChange) {
    let id = |member: &Value| member["value"].as_str().map(str::to_owned).unwrap_or_default();
    match change {
        MemberChange::Add(added) => {
            for member in added {
                if !members.iter().any(|known| id(known) == id(&member)) {
                    members.push(member);
                }
            }
        }
        MemberChange::Remove(ids) => members.retain(|member| !ids.contains(&id(member))),
        MemberChange::Replace(all) => *members = all,
    }
}

fn single_paths() -> Vec<String> {
    let core = ["title", "displayName", "name.givenName", "name.familyName"].map(str::to_owned);
    let enterprise = ["department", "manager.value"].map(|name| format!("{ENTERPRISE_URN}:{name}"));
    core.into_iter().chain(enterprise).collect()
}
