//! What has to happen without anybody asking: old journal entries go, a create that was rejected long ago is given up
//! (DESIGN, section 6: after 30 days `on_delete` applies), and an attribute that is newly indexed gets its index.

use std::sync::Arc;
use std::time::Duration;

use bridge_store::{ResourceState, StoreError, Want};
use jiff::Timestamp;
use tracing::{error, info};

use crate::bridge::Bridge;
use crate::clock::{earlier, later};

/// How often it is looked after.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// A rejected create that nobody took up for so long is treated as deleted.
const REJECTED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Resources that one write deals with.
const SLICE: usize = 100;

/// Looks after the store until the bridge stops.
pub(crate) async fn run(bridge: Arc<Bridge>) {
    loop {
        let now = bridge.clock.now();
        if let Err(error) = tidy(&bridge, now).await {
            error!(%error, "Old entries could not be removed");
        }
        tokio::select! {
            () = bridge.stopped() => return,
            () = bridge.clock.sleep_until(later(now, EVERY)) => {}
        }
    }
}

/// Removes what is past its time.
///
/// # Errors
/// Those of the store.
pub async fn tidy(bridge: &Bridge, now: Timestamp) -> Result<(), StoreError> {
    let days = bridge.landscape().config.store.journal_days;
    let before = earlier(now, Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    while bridge.store.write(move |tx| tx.prune(before)).await?.more {}
    give_up_rejected(bridge, now).await?;
    index(bridge).await
}

/// Goes through the resources of before, where the configuration names a further attribute to index.
async fn index(bridge: &Bridge) -> Result<(), StoreError> {
    for tenant in bridge.landscape().tenants() {
        for resource_type in tenant.catalog.resource_types() {
            let resources = bridge.store.reindex(&tenant.name, resource_type).await?;
            if resources > 0 {
                info!(tenant = %tenant.name, resources, "Attributes that are newly indexed can be searched fast now");
            }
        }
    }
    Ok(())
}

async fn give_up_rejected(bridge: &Bridge, now: Timestamp) -> Result<(), StoreError> {
    let before = earlier(now, REJECTED_FOR);
    loop {
        let old = bridge.store.scan(move |db| db.resources_in_state(ResourceState::Rejected, before, SLICE)).await?;
        if old.is_empty() {
            return Ok(());
        }
        info!(resources = old.len(), "Creates that were rejected long ago are given up");
        bridge
            .store
            .write(move |tx| {
                for resource in &old {
                    tx.set_resource_state(resource.key, resource.version, ResourceState::Deleted, now)?;
                    for row in tx.accounts_of(resource.key)? {
                        tx.want(resource.key, &row.target, &Want { urgent: true, ..Want::due(now) }, now)?;
                    }
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        for target in bridge.landscape().targets() {
            target.lane.ring();
        }
    }
}
