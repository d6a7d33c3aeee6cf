//! In which order the operations of a bulk request are run: what refers to a resource comes after what creates it.

use std::collections::BTreeMap;

use super::{Action, Entry, ResourceId, references};

/// See [`super::Request::order`].
pub(super) fn of(entries: &[Entry]) -> Vec<usize> {
    let creators: BTreeMap<&str, usize> =
        entries.iter().enumerate().filter_map(|(number, entry)| Some((entry.creates()?, number))).collect();
    let needs = |number: usize| {
        let named = named(&entries[number]);
        named.into_iter().filter_map(|bulk_id| creators.get(bulk_id).copied()).collect::<Vec<_>>().into_iter()
    };
    let mut order = Vec::with_capacity(entries.len());
    let mut is_met = vec![false; entries.len()];
    for number in 0..entries.len() {
        // A stack instead of recursion: a chain may be as long as the request.
        let mut open = Vec::new();
        if !std::mem::replace(&mut is_met[number], true) {
            open.push((number, needs(number)));
        }
        while let Some((current, rest)) = open.last_mut() {
            match rest.next() {
                Some(next) if !std::mem::replace(&mut is_met[next], true) => open.push((next, needs(next))),
                Some(_) => {}
                None => {
                    order.push(*current);
                    open.pop();
                }
            }
        }
    }
    order
}

/// The bulkIds that an entry refers to.
fn named(entry: &Entry) -> Vec<&str> {
    let Ok(operation) = &entry.operation else { return Vec::new() };
    let mut named = operation.action.data().map(references::named).unwrap_or_default();
    if let Action::Change(ResourceId::Created(bulk_id), _) = &operation.action {
        named.push(bulk_id);
    }
    named
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Change, Operation};
    use super::*;
    use crate::ScimError;

    fn entry(bulk_id: Option<&str>, action: Action) -> Entry {
        let (resource_type, endpoint) = ("Group".to_owned(), "Groups".to_owned());
        let operation = Ok(Operation { resource_type, endpoint, action, if_match: None });
        Entry { method: None, bulk_id: bulk_id.map(str::to_owned), operation }
    }

    fn create(bulk_id: &str, needs: &[&str]) -> Entry {
        let members: Vec<Value> = needs.iter().map(|need| json!({"value": format!("bulkId:{need}")})).collect();
        entry(Some(bulk_id), Action::Create(json!({"members": members})))
    }

    fn delete(bulk_id: &str) -> Entry {
        entry(None, Action::Change(ResourceId::Created(bulk_id.to_owned()), Change::Delete))
    }

    #[test]
    fn an_operation_comes_after_what_it_refers_to() {
        let failed = Entry { method: None, bulk_id: None, operation: Err(ScimError::invalid_syntax("x")) };
        assert_eq!(of(&[create("a", &[]), create("b", &["a"]), create("c", &[])]), [0, 1, 2]);
        assert_eq!(of(&[create("a", &["c"]), create("b", &[]), create("c", &["b"])]), [1, 2, 0]);
        assert_eq!(of(&[delete("a"), create("a", &[])]), [1, 0]);
        assert_eq!(of(&[create("a", &["b"]), create("b", &["a"])]), [1, 0]);
        assert_eq!(of(&[create("a", &["a", "nobody"])]), [0]);
        assert_eq!(of(&[failed, create("a", &[])]), [0, 1]);
    }

    #[test]
    fn a_chain_may_be_as_long_as_the_request() {
        let names: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        let chain: Vec<_> = names.windows(2).map(|pair| create(&pair[0], &[pair[1].as_str()])).collect();
        let expected: Vec<usize> = (0..chain.len()).rev().collect();
        assert_eq!(of(&chain), expected);
    }
}
