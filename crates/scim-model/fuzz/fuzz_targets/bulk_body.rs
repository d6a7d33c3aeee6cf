//! Any JSON as a bulk request: no panic, never more operations than allowed, the same when it is written down and read
//! again, run in an order that waits for nothing but a circle, and no reference left once everything is there.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use scim_model::bulk::{Action, Change, Entry, Open, Operation, REQUEST_URN, References, Request, ResourceId};
use scim_model_fuzz::CATALOG;
use serde_json::{Value, json};

const BASE_URL: &str = "https://scim.acme.example/scim/v2";

/// How many operations a request may have.
const MOST: usize = 24;

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    let request = match Request::read(body, &CATALOG, BASE_URL, MOST) {
        Ok(request) => request,
        Err(error) => {
            assert!(matches!(error.status, 400 | 413) && !error.detail.is_empty(), "{error:?}");
            return;
        }
    };
    assert!((1..=MOST).contains(&request.entries.len()));
    let written = written(&request);
    let again = Request::read(written.clone(), &CATALOG, BASE_URL, MOST).expect("what is written down can be read");
    assert_eq!(again.fail_on_errors, request.fail_on_errors);
    for (entry, again) in request.entries.iter().zip(&again.entries) {
        match &entry.operation {
            Ok(_) => assert_eq!(entry, again),
            Err(error) => {
                assert!(matches!(error.status, 400 | 404 | 405) && !error.detail.is_empty(), "{error:?}");
                assert!(again.operation.is_err());
            }
        }
    }
    check_order(&request);
    check_references(&request, &written.to_string());
});

/// The request as a careful client writes it.
fn written(request: &Request) -> Value {
    let operations = request.entries.iter().map(|entry| {
        let Ok(operation) = &entry.operation else { return Value::Null };
        let path = match &operation.action {
            Action::Create(_) => format!("/{}", operation.endpoint),
            Action::Change(ResourceId::Known(id), _) => format!("/{}/{}", operation.endpoint, encoded(id)),
            Action::Change(ResourceId::Created(name), _) => {
                format!("/{}/bulkId:{}", operation.endpoint, encoded(name))
            }
        };
        let method = match &operation.action {
            Action::Create(_) => "POST",
            Action::Change(_, change) => change.method(),
        };
        let mut operation = json!({ "method": method, "path": path, "version": operation.if_match });
        if let Some(data) = data(entry) {
            operation["data"] = data.clone();
        }
        if let Some(bulk_id) = &entry.bulk_id {
            operation["bulkId"] = bulk_id.as_str().into();
        }
        operation
    });
    let operations: Vec<Value> = operations.collect();
    json!({ "schemas": [REQUEST_URN], "failOnErrors": request.fail_on_errors, "Operations": operations })
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn data(entry: &Entry) -> Option<&Value> {
    match &entry.operation {
        Ok(Operation { action: Action::Create(data), .. }) => Some(data),
        Ok(Operation { action: Action::Change(_, Change::Replace(data) | Change::Patch(data)), .. }) => Some(data),
        _ => None,
    }
}

/// Each entry is run once, and before what refers to it, unless the two wait for each other.
fn check_order(request: &Request) {
    let order = request.order();
    let count = request.entries.len();
    assert_eq!(order.iter().copied().collect::<BTreeSet<_>>().len(), count);
    assert!(order.len() == count && order.iter().all(|number| *number < count));
    let names: Vec<Option<&str>> = request.entries.iter().map(Entry::creates).collect();
    // Whether one entry refers to another: something of its data is open while only that one is.
    let mut needs = vec![vec![false; count]; count];
    for (creator, name) in names.iter().enumerate() {
        let Some(name) = name else { continue };
        let mut references = References::of(request);
        names.iter().flatten().filter(|known| *known != name).for_each(|known| references.set(known, Some("x")));
        for (number, entry) in request.entries.iter().enumerate() {
            let action = entry.operation.as_ref().map(|operation| &operation.action);
            let is_in_path = matches!(action, Ok(Action::Change(ResourceId::Created(id), _)) if id == name);
            let is_open = |data| {
                let split = references.without_open(number, &json!({ "data": data }));
                split.is_ok_and(|(_, open)| !open.is_empty())
            };
            let is_in_data = data(entry).is_some_and(is_open);
            needs[number][creator] = is_in_path || is_in_data;
        }
    }
    let direct = needs.clone();
    for middle in 0..count {
        for from in 0..count {
            for to in 0..count {
                needs[from][to] |= needs[from][middle] && needs[middle][to];
            }
        }
    }
    let mut is_run = vec![false; count];
    for number in order {
        for creator in (0..count).filter(|creator| direct[number][*creator] && *creator != number) {
            assert!(is_run[creator] || needs[creator][number], "{number} comes before {creator}");
        }
        is_run[number] = true;
    }
}

/// Nothing that is not there yet is sent along with a create, nothing is lost, and in the end no reference is left.
fn check_references(request: &Request, text: &str) {
    // An id that occurs nowhere, so that no name becomes part of another one by it.
    let mut id = "id".to_owned();
    while text.contains(&id) {
        id.push('d');
    }
    let mut references = References::of(request);
    let nobody = references.clone();
    let mut everybody = references.clone();
    request.entries.iter().filter_map(Entry::creates).for_each(|name| everybody.set(name, Some(&id)));
    for number in request.order() {
        let entry = &request.entries[number];
        let Some(data) = data(entry) else { continue };
        match references.without_open(number, data) {
            Ok((rest, open)) => check_split(data, &rest, &open, &references, &everybody),
            Err(error) => {
                assert_eq!(error.status, 400, "{error:?}");
                assert_eq!(everybody.resolved(data).map_err(|error| error.status), Err(400));
            }
        }
        match everybody.resolved(data) {
            Ok(resolved) => {
                // Only what refers to nobody of this request is left.
                assert_eq!(nobody.resolved(&resolved).as_ref(), Ok(&resolved), "a reference is left");
                assert_eq!(everybody.resolved(&resolved).as_ref(), Ok(&resolved));
            }
            Err(error) => assert_eq!(error.status, 400, "{error:?}"),
        }
        if let Some(name) = entry.creates() {
            references.set(name, Some(&id));
        }
    }
    assert_eq!(references, everybody);
}

/// What is sent along refers to nothing that is still to come, and what is left out comes back when everybody is there.
fn check_split(data: &Value, rest: &Value, open: &Open, references: &References, everybody: &References) {
    if let Err(error) = references.resolved(rest) {
        assert_eq!(error.status, 400, "{error:?}");
        assert_eq!(everybody.resolved(data).map_err(|error| error.status), Err(400));
    }
    let (Value::Object(members), Value::Object(kept)) = (data, rest) else {
        assert!(rest == data && open.is_empty());
        return;
    };
    assert!(kept.keys().all(|name| members.contains_key(name)));
    let settled = everybody.settled(open);
    let is_back = |name: &str| settled.parts.iter().any(|(path, _)| path.starts_with(name));
    for (name, value) in members {
        assert!(!settled.is_whole || kept.get(name) == Some(value) || is_back(name), "{name} is lost");
    }
}
