//! A bridge with its two HTTP servers: what `serve`, `demo` and the end-to-end tests start.

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
use crate::clock::Clock;
use crate::config::{Config, scim_base};
use crate::token::Token;
use crate::{admin, api, telemetry};

/// How often the metrics put their histograms in order.
const UPKEEP: Duration = Duration::from_secs(5);

/// A running bridge. [`Running::stop`] ends it properly; dropping it ends its servers without waiting.
pub struct Running {
    /// Where SCIM is served.
    pub scim_addr: SocketAddr,
    /// Where health, metrics and the admin API are served.
    pub admin_addr: SocketAddr,
    /// The bridge itself.
    pub bridge: Arc<Bridge>,
    scim: ServerHandle,
    admin: ServerHandle,
    upkeep: JoinHandle<()>,
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
    let scim = run(api::serve(bridge.clone(), scim_listener)?);
    let admin = run(admin::serve(bridge.clone(), metrics.clone(), admin_listener)?);
    let upkeep = tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            metrics.run_upkeep();
        }
    });
    info!("SCIM at {scim_addr}, administration at {admin_addr}");
    Ok(Running { scim_addr, admin_addr, bridge, scim, admin, upkeep })
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
        };
        self.bridge.store.write(move |tx| tx.put_credential(&credential)).await?;
        Ok(token.expose().to_owned())
    }

    /// Takes another configuration; if it cannot be used, the present one stays. Addresses, threads, the database and the
    /// alert webhook stay as they are until a restart, which is said in the log.
    ///
    /// # Errors
    /// Why the configuration cannot be used.
    pub async fn reload(&self, mut config: Config) -> Result<(), StartError> {
        for setting in needs_restart(&self.bridge.landscape().config, &config) {
            warn!("{setting} has changed, which takes effect at the next start");
        }
        follow_address(&mut config, self.scim_addr);
        self.bridge.reload(config).await
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
        self.upkeep.abort();
        // The commands are sent at once; the futures would only wait for the end. A server that has stopped ignores them.
        drop(self.scim.stop(false));
        drop(self.admin.stop(false));
    }
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
        ("alerts.webhook", webhook(old) != webhook(new)),
    ];
    changes.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect()
}
