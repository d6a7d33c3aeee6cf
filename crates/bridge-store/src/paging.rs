//! Where the pages of a list begin (DESIGN section 11: page 9,000 costs what page 2 costs).
//!
//! A list walks in key order. The key before each page that was shown is remembered as an anchor, so that the next page, or
//! one near it, begins there instead of counting from the first. When resources have come or gone in the middle of the
//! order since, positions have shifted: an anchor then serves only the walk it belongs to, which it keeps from passing over
//! anybody, and only for a minute.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a walk may pause between two pages while the order shifts.
const WALK_PAUSE: Duration = Duration::from_secs(60);

/// Anchors kept per tenant and type.
const KEPT: usize = 2048;

/// Tenants and types with anchors; beyond, all are forgotten.
const LISTS: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Anchor {
    /// Key of the last resource before the position.
    key: i64,
    /// How often the order had shifted.
    shifts: u64,
    made: Instant,
}

/// Tenant and resource type.
type List = (String, String);

/// The anchors of all lists, by the position (from 1) of the resource after them.
#[derive(Debug, Default)]
pub(crate) struct Anchors(Mutex<HashMap<List, BTreeMap<u64, Anchor>>>);

impl Anchors {
    /// The nearest remembered position at or before `start`, and the key before it; (1, 0) if there is none.
    pub(crate) fn before(&self, tenant: &str, resource_type: &str, start: u64, shifts: u64) -> (u64, i64) {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(anchors) = lists.get(&(tenant.to_owned(), resource_type.to_owned())) else { return (1, 0) };
        let exact = anchors.get(&start).filter(|anchor| anchor.shifts == shifts || anchor.made.elapsed() < WALK_PAUSE);
        if let Some(anchor) = exact {
            return (start, anchor.key);
        }
        let near = anchors.range(..start).rev().find(|(_, anchor)| anchor.shifts == shifts);
        near.map_or((1, 0), |(position, anchor)| (*position, anchor.key))
    }

    /// Remembers that `key` is the last resource before `position`.
    pub(crate) fn remember(&self, tenant: &str, resource_type: &str, position: u64, key: i64, shifts: u64) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = (tenant.to_owned(), resource_type.to_owned());
        if lists.len() >= LISTS && !lists.contains_key(&list) {
            lists.clear();
        }
        let anchors = lists.entry(list).or_default();
        if anchors.len() >= KEPT && !anchors.contains_key(&position) {
            // Every second one is enough to begin near any page.
            let mut number = 0_usize;
            anchors.retain(|_, _| {
                number += 1;
                number.is_multiple_of(2)
            });
        }
        anchors.insert(position, Anchor { key, shifts, made: Instant::now() });
    }
}
