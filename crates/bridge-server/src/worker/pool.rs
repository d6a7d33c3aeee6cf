//! What a delivery does with values out of a pool (DESIGN, section 7, "Pools").

use std::collections::BTreeMap;

use bridge_mapping::{Mapping, Outcome, Rules, Scope};
use bridge_store::{Resource, StoreError};

use super::duty::plain_reason;
use super::work::{End, Work};
use crate::bridge::Bridge;
use crate::landscape::Tenant;

/// How a lineage names a pool as the source of a field.
const SOURCE: &str = "pool ";

/// The pool that a mapped account's natural key came from, if it came from one.
pub fn of_natural_key(rules: &Rules, mapping: &Mapping) -> Option<String> {
    let lineage = mapping.lineage.get(&rules.schema().natural_key().name)?;
    let source = lineage.source.as_deref().filter(|_| matches!(lineage.outcome, Outcome::Set))?;
    source.split(", ").find_map(|part| part.strip_prefix(SOURCE)).map(str::to_owned)
}

/// Marks the value that the resource holds as somebody else's and reserves the next one.
pub async fn replace_foreign(
    bridge: &Bridge,
    tenant: &Tenant,
    resource: &Resource,
    pool: &str,
) -> Result<String, StoreError> {
    let Some(config) = tenant.pools.get(pool) else {
        return Err(StoreError::NotFound("pool"));
    };
    let ranges = config.ranges.clone();
    let (tenant, pool, key, now) = (tenant.name.clone(), pool.to_owned(), resource.key, bridge.clock.now());
    bridge
        .store
        .write(move |tx| {
            tx.mark_foreign(&tenant, &pool, key, now)?;
            tx.reserve(&tenant, &pool, &ranges, key, now)
        })
        .await
}

/// The pools of which a user has no value, where an account is wanted but for that; `map` maps with other values. Whom the
/// rules leave out anyhow needs none.
pub fn lacking(
    tenant: &Tenant,
    mapping: &Mapping,
    assigned: &BTreeMap<String, String>,
    map: impl FnOnce(BTreeMap<String, String>) -> Mapping,
) -> Vec<String> {
    let pools: Vec<String> = mapping.pools.iter().filter(|pool| !assigned.contains_key(*pool)).cloned().collect();
    if pools.is_empty() || !matches!(mapping.scope, Scope::Out { .. }) {
        return pools;
    }
    let any_value = |pool: &String| {
        let range = tenant.pools.get(pool)?.ranges.first()?;
        Some((pool.clone(), range.value(0)))
    };
    let mut with_values = assigned.clone();
    with_values.extend(pools.iter().filter_map(any_value));
    if matches!(map(with_values).scope, Scope::Out { .. }) { Vec::new() } else { pools }
}

impl Work<'_> {
    /// Takes a value of each pool that the account needs and the user has none of: the pool was empty when the user was
    /// written. Gives the end of the work if it still is.
    pub(super) async fn reserve_missing(&mut self) -> Result<Option<End>, StoreError> {
        let has_all = self.target.rules.pools().iter().all(|pool| self.assigned.contains_key(pool));
        if has_all || !self.resource.has_access() {
            return Ok(None);
        }
        let (mapping, held) = (self.map(), self.assigned.clone());
        let lacking = lacking(self.tenant, &mapping, &held, |assigned| {
            self.assigned = assigned;
            self.map()
        });
        self.assigned = held;
        for name in lacking {
            let Some(config) = self.tenant.pools.get(&name) else { continue };
            let (tenant, pool, ranges) = (self.tenant.name.clone(), name.clone(), config.ranges.clone());
            let (key, now) = (self.resource.key, self.bridge.clock.now());
            match self.bridge.store.write(move |tx| tx.reserve(&tenant, &pool, &ranges, key, now)).await {
                Ok(value) => {
                    self.assigned.insert(name.clone(), value);
                    self.changed_pools.insert(name);
                }
                Err(StoreError::PoolEmpty { pool }) => return Ok(Some(empty(&pool))),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// The account waits for a person who gives the pool a further range.
pub(super) fn empty(pool: &str) -> End {
    let text = format!("the pool {pool} has no free value; add a range");
    End::Parked { reason: plain_reason("pool-empty", text), candidate: None }
}
