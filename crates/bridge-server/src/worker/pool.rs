//! What a delivery does with values out of a pool (DESIGN, section 7, "Pools").

use bridge_mapping::{Mapping, Outcome, Rules};
use bridge_store::{Resource, StoreError};

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
