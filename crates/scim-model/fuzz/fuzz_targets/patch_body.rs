//! Any JSON as a PATCH of a user and of a group: no panic, nothing but what may be stored, and the members of a group come
//! out the same whether they are rows or part of the document.

#![no_main]

use libfuzzer_sys::fuzz_target;
use scim_model::{MemberChange, Replacement, patch, split_members};
use scim_model_fuzz::{CATALOG, ID, check, sample};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    for resource_type in CATALOG.resource_types() {
        let before = sample(resource_type);
        let result = patch(resource_type, &before, ID, &body, Replacement::OfParts);
        match &result {
            Ok(draft) => check(resource_type, draft),
            Err(error) => assert!(error.status == 400 && !error.detail.is_empty(), "{error:?}"),
        }
        let Ok(Some(split)) = split_members(resource_type, &body) else { continue };
        let mut document = before.clone();
        let mut members = match document.remove("members") {
            Some(Value::Array(members)) => members,
            _ => Vec::new(),
        };
        let rest = patch(resource_type, &document, ID, &split.rest, Replacement::OfParts);
        assert_eq!(result.is_ok(), rest.is_ok(), "{result:?}\n{rest:?}");
        if let (Ok(whole), Ok(rest)) = (result, rest) {
            split.changes.into_iter().for_each(|change| apply(&mut members, change));
            let mut apart = rest.document;
            if !members.is_empty() {
                apart.insert("members", members.into());
            }
            assert_eq!(whole.document, apart);
        }
    }
});

/// What a store with a row per member does.
fn apply(members: &mut Vec<Value>, change: MemberChange) {
    match change {
        MemberChange::Add(added) => {
            for member in added {
                if !members.iter().any(|known| known["value"] == member["value"]) {
                    members.push(member);
                }
            }
        }
        MemberChange::Remove(ids) => members.retain(|member| !ids.iter().any(|id| member["value"] == id.as_str())),
        MemberChange::Replace(all) => *members = all,
    }
}
