//! The bridge that runs: the store, the clock, the tenants of the present configuration, and the lanes that work for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bridge_store::{Reason, StoreError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::alerts::{AlertKind, Alerts};
use crate::auth::KnownTokens;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, StoreConfig, StoreUrl};
use crate::connections::{self, Connections};
use crate::following::{self, Followers, Following};
use crate::forewarning;
use crate::housekeeping;
use crate::landscape::{Landscape, LandscapeError, Target, Tenant, is_same_place, names_place_within};
use crate::provisioning::{self, Guesses, OpenRequests, ResourceLocks, Unanswered};
use crate::seal::Sealer;
use crate::worker::{self, Lane, Waiters};

/// Everything that serves requests and works on accounts.
pub struct Bridge {
    /// Resources, accounts, assignments, credentials and the journal.
    pub store: bridge_store::Store,
    /// The time.
    pub clock: Clock,
    /// Where a person is called.
    pub alerts: Alerts,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) known_tokens: KnownTokens,
    pub(crate) waiters: Waiters,
    pub(crate) open_requests: OpenRequests,
    /// What pools will hand out next.
    pub(crate) guesses: Arc<Guesses>,
    pub(crate) locks: ResourceLocks,
    pub(crate) unanswered: Unanswered,
    /// Who speaks at the other end of each connection.
    pub connections: Connections,
    /// What is still to follow the configuration.
    pub(crate) following: Following,
    /// Rung when a group changed.
    pub(crate) regroup: Notify,
    landscape: RwLock<Arc<Landscape>>,
    lanes: Mutex<HashMap<(String, String), Arc<Lane>>>,
    epoch: watch::Sender<u64>,
    tasks: Mutex<JoinSet<()>>,
}

/// Why the bridge does not start, or does not take a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A rule, schema or connector of it.
    #[error(transparent)]
    Landscape(#[from] LandscapeError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A target that holds accounts is gone from the configuration or points elsewhere.
    #[error("tenants.{tenant}.targets.{target}: {problem}")]
    Target {
        /// The tenant.
        tenant: String,
        /// The target.
        target: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// An address cannot be listened on, a file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// When a configuration is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Nothing else goes on yet.
    Start,
    /// Requests are under way that know the configuration of before.
    Reload,
}

/// The time during which one configuration rules.
#[derive(Clone)]
pub(crate) struct Epoch {
    number: u64,
    current: watch::Receiver<u64>,
}

impl Epoch {
    /// Whether the bridge stops or another configuration has taken over.
    pub(crate) fn is_over(&self) -> bool {
        *self.current.borrow() != self.number
    }

    /// Completes once it is over.
    pub(crate) async fn over(&self) {
        let mut current = self.current.clone();
        // The sender is dropped with the bridge, which is an end as well.
        let _ = current.wait_for(|number| *number != self.number).await;
    }
}

/// The epoch of a bridge that stops.
const STOPPED: u64 = u64::MAX;

impl Bridge {
    /// Opens the store, compiles the configuration, takes up what an earlier run left, and starts the lanes.
    pub async fn start(mut config: Config, clock: Clock) -> Result<Arc<Self>, StartError> {
        let StoreUrl::Sqlite(path) = &config.store.url;
        let options =
            bridge_store::Options { indexed: config.store.index.clone(), ..bridge_store::Options::serve(path.clone()) };
        let store = bridge_store::Store::open(&options)?;
        if let Some(path) = config.store.missing_key_file()
            && store.scan(|db| db.holds_secrets()).await?
        {
            return Err(StoreConfig::lost_key(&path).into());
        }
        if let Some(path) = config.store.ensure_keys()? {
            info!("Made the key file {}: keep it with the database, it seals stored secrets", path.display());
        }
        for path in store.files_open_to_others() {
            warn!("Other accounts of this machine can read or write {}: chmod 600 it", path.display());
        }
        let sealer = Arc::new(Sealer::new(config.store.keys.iter().map(|key| key.bytes())));
        let alerts = Alerts::start(config.alerts.clone(), clock.clone());
        let lanes = Mutex::new(HashMap::new());
        let landscape = Landscape::build(config, &clock, |tenant, target| lane_of(&lanes, tenant, target))?;
        housekeeping::take_up_clock(&store, &clock).await?;
        let now = clock.now();
        let left: usize = store.write(move |tx| tx.release_leases_as_doubt(now)).await?;
        if left > 0 {
            info!(accounts = left, "Took up accounts that were being worked on when the bridge stopped");
        }
        let connections = store.scan(Connections::read).await?;
        let bridge = Arc::new(Self {
            store,
            clock,
            alerts,
            sealer,
            known_tokens: KnownTokens::default(),
            waiters: Waiters::default(),
            open_requests: OpenRequests::default(),
            guesses: Arc::default(),
            locks: ResourceLocks::default(),
            unanswered: Unanswered::default(),
            connections,
            following: Following::default(),
            regroup: Notify::new(),
            landscape: RwLock::new(Arc::new(landscape)),
            lanes,
            epoch: watch::Sender::new(0),
            tasks: Mutex::new(JoinSet::new()),
        });
        let landscape = bridge.landscape();
        bridge.check_targets(&landscape, Moment::Start).await?;
        bridge.run_lanes(&landscape);
        bridge.following.ask(Followers { modes: true, waiting: true, parked: false });
        let mut tasks = bridge.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(housekeeping::run(bridge.clone()));
        tasks.spawn(following::run(bridge.clone()));
        tasks.spawn(provisioning::regroup(bridge.clone()));
        tasks.spawn(connections::run(bridge.clone()));
        tasks.spawn(housekeeping::watch_clock(bridge.clone()));
        tasks.spawn(forewarning::run(bridge.clone()));
        drop(tasks);
        Ok(bridge)
    }

    /// Takes another configuration. If it cannot be used, the present one stays.
    pub async fn reload(self: &Arc<Self>, config: Config) -> Result<(), StartError> {
        self.replace(config, |_| true).await?;
        // Changed rules may take what was refused, and may let go what waited.
        self.following.ask(Followers { parked: true, waiting: true, modes: false });
        Ok(())
    }

    /// Takes the present configuration with other secrets for these targets (tenant, name). Nothing changes for the others.
    pub async fn take_secrets(
        self: &Arc<Self>,
        config: Config,
        targets: &BTreeSet<(String, String)>,
    ) -> Result<(), StartError> {
        let is_meant = |target: &Target| targets.contains(&(target.tenant.clone(), target.name.clone()));
        self.replace(config, is_meant).await
    }

    /// Lets another configuration rule. What kept calls from those targets is over.
    async fn replace(self: &Arc<Self>, config: Config, recovers: impl Fn(&Target) -> bool) -> Result<(), StartError> {
        let landscape = Landscape::build(config, &self.clock, |tenant, target| lane_of(&self.lanes, tenant, target))?;
        self.check_targets(&landscape, Moment::Reload).await?;
        let landscape = Arc::new(landscape);
        *self.landscape.write().unwrap_or_else(PoisonError::into_inner) = landscape.clone();
        for target in landscape.targets().filter(|target| recovers(target)) {
            let was_blocked = target.lane.change(|condition| {
                let was_blocked = condition.probe_at().is_some();
                condition.recovered();
                was_blocked
            });
            if was_blocked {
                let text = "calls go on, with the configuration that was read again".to_owned();
                self.ring_about(target, AlertKind::TargetRecovered, "recovered", text);
            }
        }
        self.run_lanes(&landscape);
        // Rows that are there, and what requests that were under way have stored as the old modes meant it.
        self.following.ask(Followers { modes: true, ..Followers::default() });
        Ok(())
    }

    /// Stops the lanes and waits until what is in flight has ended.
    pub async fn stop(&self) {
        self.epoch.send_replace(STOPPED);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
        self.alerts.stop().await;
        self.store.close().await;
    }

    /// The present configuration, ready to be used.
    pub fn landscape(&self) -> Arc<Landscape> {
        self.landscape.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A tenant of the present configuration.
    pub fn tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        self.landscape().tenant(name).cloned()
    }

    /// Completes once the bridge is on its way down.
    pub(crate) async fn stopped(&self) {
        let mut epoch = self.epoch.subscribe();
        // The sender lives in `self`, so waiting can only end by the bridge stopping.
        let _ = epoch.wait_for(|epoch| *epoch == STOPPED).await;
    }

    /// Whether the bridge is on its way down.
    pub fn is_stopping(&self) -> bool {
        *self.epoch.borrow() == STOPPED
    }

    fn run_lanes(self: &Arc<Self>, landscape: &Landscape) {
        let mut number = 0;
        self.epoch.send_modify(|epoch| {
            if *epoch != STOPPED {
                *epoch += 1;
            }
            number = *epoch;
        });
        if number == STOPPED {
            return;
        }
        let epoch = Epoch { number, current: self.epoch.subscribe() };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        for tenant in landscape.tenants() {
            for target in tenant.targets.values() {
                tasks.spawn(worker::run_lane(self.clone(), tenant.clone(), target.clone(), epoch.clone()));
            }
        }
    }

    /// Refuses a configuration in which a target that holds accounts is missing or points elsewhere, and remembers where the
    /// targets are.
    async fn check_targets(&self, landscape: &Landscape, moment: Moment) -> Result<(), StartError> {
        let mut places: BTreeMap<(String, String), String> = BTreeMap::new();
        for target in landscape.targets() {
            places.insert((target.tenant.clone(), target.name.clone()), target.fingerprint());
        }
        let renamed = renames(landscape);
        // Nothing is renamed before everything is found to be good.
        let mut moved = Vec::new();
        for known in self.store.scan(|db| db.target_places()).await? {
            let (tenant, target, place) = (known.tenant, known.target, known.fingerprint);
            let key = (tenant.clone(), target.clone());
            if places.get(&key).is_some_and(|now| is_same_place(now, &place)) || is_retired(landscape, &key) {
                continue;
            }
            if let Some(new_name) = renamed.get(&key).cloned() {
                if moment == Moment::Reload {
                    let problem =
                        "a target gets another name only while no request means the old one: restart the bridge";
                    return Err(StartError::Target { tenant, target: new_name, problem: problem.to_owned() });
                }
                moved.push((key, new_name));
                continue;
            }
            if known.accounts == 0 {
                continue;
            }
            let problem = misfit(places.get(&key), &place);
            return Err(StartError::Target { tenant, target, problem });
        }
        self.store
            .write(move |tx| {
                for ((tenant, old), new) in &moved {
                    tx.rename_target(tenant, old, new)?;
                }
                for ((tenant, target), place) in &places {
                    let known = tx.fingerprint(tenant, target)?;
                    // A credential that does not name the organisation does not make it unknown.
                    let says_less = |known: &String| {
                        is_same_place(known, place) && names_place_within(known) && !names_place_within(place)
                    };
                    if known.as_ref() != Some(place) && !known.as_ref().is_some_and(says_less) {
                        tx.put_target_place(tenant, target, place)?;
                    }
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(())
    }
}

/// Why a target that holds accounts at one place does not fit the configuration, which has it at another or not at all.
pub(crate) fn misfit(now: Option<&String>, place: &str) -> String {
    match now {
        None => {
            "it holds accounts and is not in the configuration: put it back, with `retired = true` if nothing is to be \
                 done there any more, or name its successor with `renamed_from`"
                .to_owned()
        }
        Some(now) => format!(
            "it holds accounts at `{place}` and now points to `{now}`: give the new place a name of its own, or set the \
             old one back"
        ),
    }
}

/// Why an account is held whose target is in `mode = "hold"`.
pub(crate) fn mode_hold() -> Reason {
    worker::duty::plain_reason("mode-hold", "the target is in mode hold: nothing is sent until its mode is changed")
}

fn lane_of(lanes: &Mutex<HashMap<(String, String), Arc<Lane>>>, tenant: &str, target: &str) -> Arc<Lane> {
    let mut lanes = lanes.lock().unwrap_or_else(PoisonError::into_inner);
    lanes.entry((tenant.to_owned(), target.to_owned())).or_default().clone()
}

/// Old (tenant, target) to new name.
fn renames(landscape: &Landscape) -> BTreeMap<(String, String), String> {
    let renamed = |target: &Arc<Target>| {
        let old = target.settings.renamed_from.clone()?;
        Some(((target.tenant.clone(), old), target.name.clone()))
    };
    landscape.targets().filter_map(renamed).collect()
}

fn is_retired(landscape: &Landscape, (tenant, target): &(String, String)) -> bool {
    let tenant = landscape.config.tenants.get(tenant);
    tenant.and_then(|tenant| tenant.targets.get(target)).is_some_and(|target| target.retired)
}
