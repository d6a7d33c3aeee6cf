//! The order in which a new user's accounts are made (DESIGN, section 6, step 5): a target that uses an assigned value
//! waits for the target that confirms it, and one that cannot delete goes last.

use std::collections::{BTreeMap, BTreeSet};

use bridge_mapping::{Rules, TargetKind};

use crate::config::{PoolConfig, TargetConfig};

/// For each target the targets whose account comes first.
///
/// # Errors
/// The targets of a circle.
pub fn predecessors(
    targets: &BTreeMap<&String, &TargetConfig>,
    pools: &BTreeMap<String, PoolConfig>,
    rules: &BTreeMap<String, Rules>,
) -> Result<BTreeMap<String, BTreeSet<String>>, Vec<String>> {
    let mut order = BTreeMap::new();
    for (name, target) in targets {
        let before = match &target.after {
            Some(after) => after.iter().cloned().collect(),
            None => confirming(name, pools, rules.get(*name)).chain(deletable(name, target, targets)).collect(),
        };
        order.insert((*name).clone(), before);
    }
    match circle(&order) {
        None => Ok(order),
        Some(targets) => Err(targets),
    }
}

/// The targets that confirm a pool which this target's rules read.
fn confirming<'a>(
    name: &'a str,
    pools: &'a BTreeMap<String, PoolConfig>,
    rules: Option<&'a Rules>,
) -> impl Iterator<Item = String> + 'a {
    let read = rules.map(Rules::pools).unwrap_or_default();
    read.iter().filter_map(|pool| pools.get(pool)?.confirmed_by.clone()).filter(move |confirming| confirming != name)
}

/// The targets that can delete, for one that cannot.
fn deletable<'a>(
    name: &'a str,
    target: &'a TargetConfig,
    targets: &'a BTreeMap<&'a String, &'a TargetConfig>,
) -> impl Iterator<Item = String> + 'a {
    let cannot_delete = |target: &TargetConfig| target.kind == TargetKind::CrmCom;
    targets
        .iter()
        .filter(move |(other, settings)| cannot_delete(target) && other.as_str() != name && !cannot_delete(settings))
        .map(|(other, _)| (*other).clone())
}

/// The targets that can never be reached because they wait for each other.
fn circle(order: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut done: BTreeSet<&String> = BTreeSet::new();
    loop {
        let ready: Vec<&String> = order
            .iter()
            .filter(|(name, before)| {
                !done.contains(name) && before.iter().all(|name| done.contains(name) || !order.contains_key(name))
            })
            .map(|(name, _)| name)
            .collect();
        if ready.is_empty() {
            break;
        }
        done.extend(ready);
    }
    let stuck: Vec<String> = order.keys().filter(|name| !done.contains(name)).cloned().collect();
    (!stuck.is_empty()).then_some(stuck)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(edges: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        edges.iter().map(|(name, before)| ((*name).to_owned(), set(before))).collect()
    }

    #[test]
    fn a_circle_is_named_and_a_chain_is_not_one() {
        assert_eq!(circle(&order(&[("crm", &["pbx", "glance"]), ("glance", &["pbx"]), ("pbx", &[])])), None);
        assert_eq!(circle(&order(&[("crm", &["retired"])])), None);
        let stuck = circle(&order(&[("crm", &["pbx"]), ("glance", &[]), ("pbx", &["crm"])]));
        assert_eq!(stuck, Some(vec!["crm".to_owned(), "pbx".to_owned()]));
    }
}
