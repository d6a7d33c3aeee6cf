//! `serve`: the bridge, until it is told to stop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bridge_connectors::TargetError;
use metrics::counter;
use tracing::{error, info, warn};

use super::Exit;
use super::signals::{Asked, Signals};
use crate::bridge::Bridge;
use crate::clock::Clock;
use crate::config::Config;
use crate::landscape::Target;
use crate::running::{self, Running};
use crate::worker::Contact;

/// Serves the configuration at `path`.
pub(super) async fn run(path: &Path) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let config = Config::load(path)?;
    for (name, tenant) in &config.tenants {
        info!(tenant = %name, targets = tenant.targets.len(), "Tenant {name}");
    }
    let running = running::start(config, Clock::system()).await.context("the bridge does not start")?;
    let probes = tokio::spawn(probe_all(running.bridge.clone()));
    let failed = running.bridge.store.failed();
    tokio::pin!(failed);
    let exit = loop {
        tokio::select! {
            asked = signals.next() => match asked? {
                Asked::Stop => break Exit::Done,
                Asked::Reload => reload(&running, path).await,
            },
            reason = &mut failed => {
                error!("The store cannot be written any more: {reason}");
                break Exit::Failed;
            }
        }
    };
    info!("Stopping");
    probes.abort();
    running.stop().await;
    info!("Stopped");
    Ok(exit)
}

/// Reads the file again; a bad one is refused and the old one stays.
async fn reload(running: &Running, path: &Path) {
    match Config::load(path) {
        Err(problems) => {
            counter!("scim_bridge_refused_reloads_total").increment(1);
            error!("The configuration is refused, the old one stays:\n{problems}");
        }
        Ok(config) => match running.reload(config).await {
            Ok(()) => info!("The configuration was read again"),
            Err(problem) => {
                counter!("scim_bridge_refused_reloads_total").increment(1);
                error!("The configuration is refused, the old one stays: {problem}");
            }
        },
    }
}

/// How often a target is asked again whose last contact failed.
const AGAIN: Duration = Duration::from_secs(60);

/// Says for each target whether address and credential are right. A target that refuses its credential is paused at once.
/// One that did not answer is asked again until it does: perhaps nothing else is to be sent there.
async fn probe_all(bridge: Arc<Bridge>) {
    for target in bridge.landscape().targets() {
        probe(&bridge, target).await;
    }
    loop {
        bridge.clock.sleep(AGAIN).await;
        // A target that is paused or broken is probed by its lane.
        let is_silent = |target: &&Arc<Target>| {
            target.lane.last_contact() == Some(Contact::Failed) && target.lane.condition().probe_at().is_none()
        };
        for target in bridge.landscape().targets().filter(is_silent) {
            probe(&bridge, target).await;
        }
    }
}

async fn probe(bridge: &Bridge, target: &Target) {
    match target.connector.probe().await {
        Ok(report) => {
            target.lane.note(Contact::Answered);
            info!(tenant = %target.tenant, target.name = %target.name, "{}: {}", target.name, report.summary);
        }
        Err(TargetError::Unauthorized { reason }) => bridge.target_refused_credential(target, &reason),
        Err(error) => {
            target.lane.note(Contact::Failed);
            warn!(tenant = %target.tenant, target.name = %target.name, "{}: {error}", target.name);
        }
    }
}
