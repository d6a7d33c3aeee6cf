//! The handle of a running simulator.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::core::Core;
use crate::fault::Fault;
use crate::options::Options;
use crate::server;
use crate::vendor::Vendor;

/// A running simulator of one vendor's API. Dropping it ends it too, without waiting.
pub struct Simulator {
    url: String,
    base_path: &'static str,
    core: Arc<Core>,
    handle: ServerHandle,
    ended: Option<oneshot::Receiver<()>>,
}

impl Simulator {
    pub(crate) async fn start(vendor: Box<dyn Vendor>, options: &Options, port: u16) -> io::Result<Self> {
        let name = vendor.name();
        let base_path = vendor.base_path();
        let core = Arc::new(Core::new(vendor, Clock::new(options.now), options.latency, options.calls_kept));
        let running = server::start(name, SocketAddr::new(options.address, port), Arc::clone(&core)).await?;
        let url = format!("http://{}", running.address);
        Ok(Self { url, base_path, core, handle: running.handle, ended: Some(running.ended) })
    }

    /// The root, such as `http://127.0.0.1:40123`, without a slash at its end; control calls go to `{url}/_sim/…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The base URL of the API as the vendor writes it: with `/PAPI/`, `/ns-api/v2` or `/crmapi/rest/v2/`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}{}", self.url, self.base_path)
    }

    /// All accounts, with the vendor's field names; passwords are left out, `has_password` says whether there is one.
    #[must_use]
    pub fn accounts(&self) -> Vec<Value> {
        self.core.accounts()
    }

    /// How many accounts there are, without rendering them.
    #[must_use]
    pub fn account_count(&self) -> usize {
        self.core.account_count()
    }

    /// The calls so far in the order in which they were carried out, sign-ins included: `n`, `operation`, `method`,
    /// `path`, `fields` (credentials and passwords masked), `status` (null when no answer was sent), `outcome`.
    #[must_use]
    pub fn calls(&self) -> Vec<Value> {
        self.core.calls()
    }

    /// The most calls of the API that were under way at the same time.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.core.most_at_once()
    }

    /// Shows `fault` on the next `calls` calls, or on the next ones of `operation` (written as in the control call).
    ///
    /// An operation that this API does not have is reported in the log and hits nothing.
    pub fn fail_next(&self, calls: u32, fault: Fault, operation: Option<&str>) {
        if !self.core.fail_next(calls, fault, operation) {
            tracing::warn!(operation, "This simulator has no such operation; the fault is ignored");
        }
    }

    /// No faults any more; accounts and calls stay.
    pub fn clear_faults(&self) {
        self.core.clear_faults();
    }

    /// Back to no accounts, no calls, no faults. The clock and issued tokens stay.
    pub fn reset(&self) {
        self.core.reset();
    }

    /// Moves the simulator's clock on: expiry, token life, replication lag.
    pub fn advance(&self, by: Duration) {
        self.core.advance(by);
    }

    /// What the simulator's clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.core.now()
    }

    /// Puts an account there that was there before, or changes the given fields of one that is there, as a person in
    /// the vendor's own screens would. An account that makes no sense (no natural key, a key that somebody else
    /// holds) is reported in the log and left out.
    pub fn seed(&self, account: Value) {
        if let Err(reason) = self.core.seed(&account) {
            tracing::warn!(reason, "The account is not seeded");
        }
    }

    /// Removes an account by its natural key, as a person would; says whether there was one.
    pub fn remove(&self, key: &str) -> bool {
        self.core.remove(key)
    }

    /// Ends the server and its thread; open connections are cut.
    pub async fn stop(mut self) {
        let ended = self.ended.take();
        self.handle.stop(false).await;
        if let Some(ended) = ended {
            // An error means that the thread is gone, which is what we wait for.
            let _ = ended.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if self.ended.is_some() {
            // The command is sent at once; the future only waits for the end.
            drop(self.handle.stop(false));
        }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Simulator").field("url", &self.url).finish_non_exhaustive()
    }
}
