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
            let now = bridge.clock.now();
            target.lane.note(Contact::Answered);
            target.lane.change(|condition| condition.answered(now));
            info!(tenant = %target.tenant, target.name = %target.name, "{}: {}", target.name, report.summary);
        }
        Err(TargetError::Unauthorized { reason }) => bridge.target_refused_credential(target, &reason),
        Err(error) => {
            target.lane.note(Contact::Failed);
            warn!(tenant = %target.tenant, target.name = %target.name, "{}: {error}", target.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use bridge_simulators::{Fault, Options, credentials};
    use jiff::Timestamp;

    use super::*;
    use crate::testing::{glance_alone, until};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_target_that_did_not_answer_at_the_start_is_asked_again() {
        let simulator = bridge_simulators::start_glance(&Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), credentials::glance::PARTNER_PASSWORD).unwrap();
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let config = glance_alone(&simulator.api_url(), folder.path());
        let running = running::start(config, clock.clone()).await.unwrap();
        let target = running.bridge.tenant("default").unwrap().targets["glance"].clone();
        assert_eq!(target.lane.last_contact(), None);
        simulator.fail_next(1, Fault::Status(503, None), None);
        let probes = tokio::spawn(probe_all(running.bridge.clone()));
        until("the target has not answered", || target.lane.last_contact() == Some(Contact::Failed)).await;
        let is_asked_again = || {
            clock.advance(AGAIN);
            target.lane.last_contact() == Some(Contact::Answered)
        };
        until("the target has answered", is_asked_again).await;
        probes.abort();
        running.stop().await;
        simulator.stop().await;
    }
}
