//! In which order the operations of a bulk request are run: what refers to a resource comes after what creates it.
//!
//! Nobody needs a change, so it is run when whatever the resource refers to has been decided, round a circle too.

use std::collections::BTreeMap;

use super::{Action, Entry, ResourceId, references};

/// The order of the entries, and which of them refer to each other.
pub(super) struct Order {
    /// See [`super::Request::order`].
    pub(super) numbers: Vec<usize>,
    /// For each entry a number that it shares with those to which it refers and which, in the end, refer to it.
    pub(super) circles: Vec<usize>,
}

/// Tarjan's walk: whoever is left has met all that it needs, but for what stands in a circle with it.
pub(super) fn of(entries: &[Entry]) -> Order {
    let creators: BTreeMap<&str, usize> =
        entries.iter().enumerate().filter_map(|(number, entry)| Some((entry.creates()?, number))).collect();
    let needs = |number: usize| {
        let named = named(&entries[number]);
        named.into_iter().filter_map(|bulk_id| creators.get(bulk_id).copied()).collect::<Vec<_>>().into_iter()
    };
    let (mut numbers, mut circles) = (Vec::with_capacity(entries.len()), vec![None; entries.len()]);
    // When each entry was met, from 1, and the earliest that it leads back to.
    let (mut met, mut earliest) = (vec![0; entries.len()], vec![0; entries.len()]);
    let (mut count, mut undecided) = (0, Vec::new());
    for number in 0..entries.len() {
        // A stack instead of recursion: a chain may be as long as the request.
        let mut open: Vec<(usize, std::vec::IntoIter<usize>)> = Vec::new();
        let mut next = (met[number] == 0).then_some(number);
        loop {
            if let Some(found) = next.take() {
                count += 1;
                (met[found], earliest[found]) = (count, count);
                undecided.push(found);
                open.push((found, needs(found)));
            }
            let Some((current, rest)) = open.last_mut() else { break };
            let current = *current;
            match rest.next() {
                Some(needed) if met[needed] == 0 => next = Some(needed),
                Some(needed) if circles[needed].is_none() => earliest[current] = earliest[current].min(met[needed]),
                Some(_) => {}
                None => {
                    numbers.push(current);
                    open.pop();
                    if let Some((before, _)) = open.last() {
                        earliest[*before] = earliest[*before].min(earliest[current]);
                    }
                    while earliest[current] == met[current]
                        && circles[current].is_none()
                        && let Some(one) = undecided.pop()
                    {
                        circles[one] = Some(current);
                    }
                }
            }
        }
    }
    let circles = circles.into_iter().enumerate().map(|(number, circle)| circle.unwrap_or(number)).collect();
    Order { numbers, circles }
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

    fn order(entries: &[Entry]) -> Vec<usize> {
        of(entries).numbers
    }

    #[test]
    fn an_operation_comes_after_what_it_refers_to() {
        let failed = Entry { method: None, bulk_id: None, operation: Err(ScimError::invalid_syntax("x")) };
        assert_eq!(order(&[create("a", &[]), create("b", &["a"]), create("c", &[])]), [0, 1, 2]);
        assert_eq!(order(&[create("a", &["c"]), create("b", &[]), create("c", &["b"])]), [1, 2, 0]);
        assert_eq!(order(&[delete("a"), create("a", &[])]), [1, 0]);
        assert_eq!(order(&[create("a", &["b"]), create("b", &["a"])]), [1, 0]);
        assert_eq!(order(&[create("a", &["a", "nobody"])]), [0]);
        assert_eq!(order(&[failed, create("a", &[])]), [0, 1]);
    }

    #[test]
    fn whoever_refers_to_each_other_stands_in_one_circle() {
        let check = |entries: &[Entry], expected: &[&[usize]]| {
            let circles = of(entries).circles;
            for one in 0..entries.len() {
                let found: Vec<usize> = (0..entries.len()).filter(|other| circles[*other] == circles[one]).collect();
                let circle = expected.iter().find(|circle| circle.contains(&one)).unwrap();
                assert_eq!(found, *circle, "{one} of {circles:?}");
            }
        };
        check(&[create("a", &["b"]), create("b", &[])], &[&[0], &[1]]);
        check(&[create("a", &["b"]), create("b", &["a"]), delete("a")], &[&[0, 1], &[2]]);
        let two = [create("a", &["b", "c"]), create("b", &["a"]), create("c", &["d"]), create("d", &["c"])];
        check(&two, &[&[0, 1], &[2, 3]]);
        let round = [create("a", &["b"]), create("b", &["c"]), create("c", &["a"]), create("d", &["a", "nobody"])];
        check(&round, &[&[0, 1, 2], &[3]]);
    }

    #[test]
    fn a_change_comes_when_the_circle_of_its_resource_is_closed() {
        let circle = [create("p", &["q"]), create("q", &["r"]), create("r", &["p"])];
        for change in 0..=circle.len() {
            let mut entries = circle.to_vec();
            entries.insert(change, delete("q"));
            assert_eq!(order(&entries).last(), Some(&change), "{change}");
        }
    }

    #[test]
    fn a_chain_may_be_as_long_as_the_request() {
        let names: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        let chain: Vec<_> = names.windows(2).map(|pair| create(&pair[0], &[pair[1].as_str()])).collect();
        let expected: Vec<usize> = (0..chain.len()).rev().collect();
        assert_eq!(order(&chain), expected);
    }
}
