//! A bridge with its two HTTP servers: what `serve`, `demo` and the end-to-end tests start.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use bridge_store::{Credential, StoreError};
use tokio::task::JoinHandle;
use tracing::{info, warn};
use url::Url;

use crate::bridge::{Bridge, StartError};
use crate::clock::{Clock, later};
use crate::config::{Config, scim_base};
use crate::landscape::Landscape;
use crate::token::Token;
use crate::worker::Condition;
use crate::{admin, api, telemetry};

/// How often the metrics put their histograms in order.
const UPKEEP: Duration = Duration::from_secs(5);

/// How often secrets are fetched again while a target refuses them.
const SECRETS_EVERY: Duration = Duration::from_secs(60);

/// A running bridge. [`Running::stop`] ends it properly; dropping it ends its servers without waiting.
pub struct Running {
    /// Where SCIM is served.
    pub scim_addr: SocketAddr,
    /// Where health, metrics and the admin API are served.
    pub admin_addr: SocketAddr,
    /// The bridge itself.
    pub bridge: Arc<Bridge>,
    reloader: Arc<Reloader>,
    scim: ServerHandle,
    admin: ServerHandle,
    chores: [JoinHandle<()>; 2],
}

/// Takes the addresses, starts the bridge, then the servers. Port 0 takes a free one; `public_url` follows the address
/// that was taken, unless the configuration names it. Needs a running tokio.
///
/// # Errors
/// What the bridge cannot start with, and addresses that are taken.
pub async fn start(mut config: Config, clock: Clock) -> Result<Running, StartError> {
    let metrics = telemetry::metrics().map_err(io::Error::other)?;
    let (scim_listener, scim_addr) = listen(config.server.listen)?;
    let (admin_listener, admin_addr) = listen(config.server.admin_listen)?;
    follow_address(&mut config, scim_addr);
    let bridge = Bridge::start(config, clock).await?;
    let reloader = Arc::new(Reloader::new(bridge.clone(), scim_addr));
    let scim = run(api::serve(bridge.clone(), scim_listener)?);
    let admin = run(admin::serve(bridge.clone(), metrics.clone(), admin_listener)?);
    let chores = [
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                metrics.run_upkeep();
            }
        }),
        tokio::spawn(watch_secrets(reloader.clone())),
    ];
    info!("SCIM at {scim_addr}, administration at {admin_addr}");
    Ok(Running { scim_addr, admin_addr, bridge, reloader, scim, admin, chores })
}

impl Running {
    /// SCIM base URL of a tenant at the address that was taken.
    #[must_use]
    pub fn scim_url(&self, tenant: &str) -> String {
        scim_base(&format!("http://{}", self.scim_addr), tenant)
    }

    /// Base URL of the admin server at the address that was taken.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin_addr)
    }

    /// Makes a connection token for a tenant: the one time that it is shown.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn new_token(&self, tenant: &str, label: &str) -> Result<String, StoreError> {
        self.put_token(tenant, label, None).await
    }

    /// Makes a token that stands for one user, named by id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn new_token_of_user(&self, tenant: &str, user: &str) -> Result<String, StoreError> {
        self.put_token(tenant, user, Some(user.to_owned())).await
    }

    async fn put_token(&self, tenant: &str, label: &str, subject: Option<String>) -> Result<String, StoreError> {
        let token = Token::generate();
        let credential = Credential {
            selector: token.selector(),
            hash: token.hash().to_vec(),
            tenant: tenant.to_owned(),
            connection: label.to_owned(),
            label: label.to_owned(),
            scopes: "scim".to_owned(),
            created: self.bridge.clock.now(),
            expires: None,
            revoked: None,
            last_used: None,
            subject,
        };
        self.bridge.store.write(move |tx| tx.put_credential(&credential)).await?;
        Ok(token.expose().to_owned())
    }

    /// Takes another configuration; if it cannot be used, the present one stays. Addresses, threads, the database, its keys
    /// and the alert webhook stay as they are until a restart, which is said in the log; and with the admin API's address
    /// stays its token.
    ///
    /// # Errors
    /// Why the configuration cannot be used.
    pub async fn reload(&self, config: Config) -> Result<(), StartError> {
        self.reloader.take(config).await
    }

    /// Takes no more requests, answers those under way, finishes or gives back the calls in flight, closes the database.
    pub async fn stop(self) {
        self.scim.stop(true).await;
        self.bridge.stop().await;
        self.admin.stop(true).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.chores.iter().for_each(JoinHandle::abort);
        // The commands are sent at once; the futures would only wait for the end. A server that has stopped ignores them.
        drop(self.scim.stop(false));
        drop(self.admin.stop(false));
    }
}

/// Replaces the configuration of a running bridge, one replacement after another: a person's new file, and secrets that were
/// fetched again for the present one, which concern only the targets that refused them.
struct Reloader {
    bridge: Arc<Bridge>,
    scim_addr: SocketAddr,
    /// What the bridge was started with: the parts that it cannot follow stay so.
    started: Config,
    turn: tokio::sync::Mutex<()>,
}

impl Reloader {
    fn new(bridge: Arc<Bridge>, scim_addr: SocketAddr) -> Self {
        let started = bridge.landscape().config.clone();
        Self { bridge, scim_addr, started, turn: tokio::sync::Mutex::new(()) }
    }

    /// Takes a new configuration, once it is its turn.
    async fn take(&self, config: Config) -> Result<(), StartError> {
        let _turn = self.turn.lock().await;
        self.replace(config).await
    }

    /// Takes the present configuration with fresh secrets, if a target that refuses its secret has another one now.
    async fn fetch_secrets(&self) {
        let _turn = self.turn.lock().await;
        let (config, changed) = changed_secrets(&self.bridge.landscape());
        if changed.is_empty() {
            return;
        }
        match self.bridge.take_secrets(config, &changed).await {
            Ok(()) => info!("A target's secret has changed and was fetched again"),
            Err(error) => warn!("A target's secret has changed and cannot be used: {error}"),
        }
    }

    async fn replace(&self, mut config: Config) -> Result<(), StartError> {
        for setting in needs_restart(&self.started, &config) {
            warn!("{setting} has changed, which takes effect at the next start");
        }
        if config.server.admin_listen != self.started.server.admin_listen {
            // The token that the file has now is the one for the new address; the old one is still listened on.
            config.server.admin_token.clone_from(&self.bridge.landscape().config.server.admin_token);
        }
        follow_address(&mut config, self.scim_addr);
        self.bridge.reload(config).await
    }
}

/// Fetches secrets again while a target refuses the ones we have, once a minute: a password that was changed where it is
/// kept needs no restart.
async fn watch_secrets(reloader: Arc<Reloader>) {
    let clock = &reloader.bridge.clock;
    loop {
        clock.sleep_until(later(clock.now(), SECRETS_EVERY)).await;
        reloader.fetch_secrets().await;
    }
}

/// The present configuration with fresh secrets for those targets that refuse theirs, and which of these have others now.
fn changed_secrets(landscape: &Landscape) -> (Config, BTreeSet<(String, String)>) {
    let mut config = landscape.config.clone();
    let mut changed = BTreeSet::new();
    for target in landscape.targets().filter(|target| matches!(target.lane.condition(), Condition::Paused { .. })) {
        match config.refresh_secrets(&target.tenant, &target.name) {
            Ok(true) => {
                changed.insert((target.tenant.clone(), target.name.clone()));
            }
            Ok(false) => {}
            Err(error) => warn!("The secrets of {} cannot be fetched again: {error}", target.name),
        }
    }
    (config, changed)
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let taken = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(taken)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn run(server: Server) -> ServerHandle {
    let handle = server.handle();
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "An HTTP server has ended");
        }
    });
    handle
}

fn follow_address(config: &mut Config, address: SocketAddr) {
    if !config.server.public_url_is_given
        && let Ok(url) = Url::parse(&format!("http://{address}"))
    {
        config.server.public_url = url;
    }
}

/// The changed settings that a running bridge cannot follow.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (server, next) = (&old.server, &new.server);
    let webhook = |config: &Config| config.alerts.as_ref().map(|alerts| alerts.webhook.clone());
    let changes = [
        ("server.listen", server.listen != next.listen),
        ("server.admin_listen", server.admin_listen != next.admin_listen),
        ("server.workers", server.workers != next.workers),
        ("server.shutdown_grace", server.shutdown_grace != next.shutdown_grace),
        ("store", old.store.url != new.store.url || old.store.index != new.store.index),
        ("store.keys", old.store.has_other_keys(&new.store)),
        ("alerts.webhook", webhook(old) != webhook(new)),
    ];
    changes.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect()
}

#[cfg(test)]
mod tests {
    use bridge_simulators::{Options, credentials};
    use jiff::Timestamp;

    use super::*;
    use crate::testing::{glance_alone, until};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_password_that_was_changed_where_it_is_kept_ends_the_pause() {
        let simulator = bridge_simulators::start_glance(&Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "old").unwrap();
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let running = start(glance_alone(&simulator.api_url(), folder.path()), clock.clone()).await.unwrap();
        let target = || running.bridge.tenant("default").unwrap().targets["glance"].clone();
        assert!(target().connector.probe().await.is_err());
        running.bridge.target_refused_credential(&target(), "the password is wrong");
        std::fs::write(folder.path().join("password"), credentials::glance::PARTNER_PASSWORD).unwrap();
        let works = || {
            clock.advance(SECRETS_EVERY);
            target().lane.condition() == Condition::Works
        };
        until("the target works again", works).await;
        assert!(target().connector.probe().await.is_ok());
        running.stop().await;
        simulator.stop().await;
    }

    /// A bridge without targets, with these lines in `[server]`, and what makes further configurations of its folder.
    async fn started(lines: &str) -> (Running, impl Fn(&str) -> Config) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "t0ken").unwrap();
        std::fs::write(folder.path().join("key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let config = move |lines: &str| {
            let text = format!("[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n{lines}\n[tenants.default]\n");
            Config::parse(&text, folder.path()).unwrap()
        };
        (start(config(lines), Clock::system()).await.unwrap(), config)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_admin_api_keeps_its_token_as_long_as_its_address() {
        let with_token = "admin_listen = \"127.0.0.1:0\"\nadmin_token = { file = \"token\" }";
        let (running, config) = started(with_token).await;
        let asks_for_token = async || {
            let answer = reqwest::get(format!("{}/admin/v1/accounts", running.admin_url())).await.unwrap();
            answer.status() == reqwest::StatusCode::UNAUTHORIZED
        };
        assert!(asks_for_token().await);
        // The second reload finds no difference to the first, and the old address is still the one that is served.
        for _ in 0..2 {
            running.reload(config("admin_listen = \"127.0.0.1:9\"")).await.unwrap();
            assert!(asks_for_token().await);
        }
        running.reload(config("admin_listen = \"127.0.0.1:0\"")).await.unwrap();
        assert!(!asks_for_token().await, "where the address is the same, the token follows the file");
        running.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_changed_store_key_is_named_as_what_needs_a_restart() {
        let (running, config) = started("admin_listen = \"127.0.0.1:0\"").await;
        let named = |lines: &str| needs_restart(&running.reloader.started, &config(lines));
        assert_eq!(named("admin_listen = \"127.0.0.1:0\""), Vec::<&str>::new(), "the key file beside the database");
        let other = named("admin_listen = \"127.0.0.1:0\"\n[store]\nkeys = [{ file = \"key\" }]");
        assert_eq!(other, ["store.keys"]);
        running.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_new_file_is_not_undone_by_secrets_that_were_being_fetched() {
        let (running, config) = started("admin_listen = \"127.0.0.1:0\"").await;
        let waits = "admin_listen = \"127.0.0.1:0\"\nwait = \"7s\"";
        // As if secrets were being fetched for the configuration before: nothing else is taken until they are.
        let turn = running.reloader.turn.lock().await;
        let mut reload = Box::pin(running.reload(config(waits)));
        let early = tokio::time::timeout(Duration::from_millis(200), &mut reload).await;
        assert!(early.is_err(), "a reload waits for its turn");
        drop(turn);
        reload.await.unwrap();
        running.reloader.fetch_secrets().await;
        assert_eq!(running.bridge.landscape().config.server.wait, Duration::from_secs(7));
        let turn = running.reloader.turn.lock().await;
        let fetching = running.reloader.fetch_secrets();
        assert!(tokio::time::timeout(Duration::from_millis(50), fetching).await.is_err(), "so does a look for secrets");
        drop(turn);
        running.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_public_address_follows_the_port_that_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\n[tenants.default]\n[tenants.acme]\n";
        let config = Config::parse(text, folder.path()).unwrap();
        let running = start(config.clone(), Clock::system()).await.unwrap();
        let base = running.bridge.tenant("acme").unwrap().base_url.clone();
        assert_eq!(base, format!("http://{}/t/acme/scim/v2", running.scim_addr));
        assert_eq!(base, running.scim_url("acme"));
        running.reload(config).await.unwrap();
        assert_eq!(running.bridge.tenant("default").unwrap().base_url, running.scim_url("default"));
        let taken = Config {
            server: crate::config::ServerConfig {
                listen: running.scim_addr,
                ..running.bridge.landscape().config.server.clone()
            },
            ..running.bridge.landscape().config.clone()
        };
        assert!(start(taken, Clock::system()).await.err().unwrap().to_string().contains("cannot listen on"));
        running.stop().await;
    }
}
