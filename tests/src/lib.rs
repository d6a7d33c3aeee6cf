//! A running bridge in front of running simulators, and few words to speak to both.
//!
//! Everything goes through the front door: SCIM over HTTP into the bridge, the targets' own APIs out of it. What a test
//! wants to know of a target it asks the simulator.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may panic: that is how it fails")]

mod answer;
pub mod replay;
pub mod samples;

use std::path::Path;
use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_server::config::Config;
use bridge_server::operations::AccountName;
use bridge_server::running::{self, Running};
use bridge_simulators::{Options, Simulator, Simulators, credentials};
use bridge_store::{Account, AccountState};
use serde_json::Value;

pub use answer::Answer;

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a bridge is set up. What a test does not set is what an ordinary tenant has: three required targets, a pool of
/// extensions that the PBX confirms. Only requests are as many as the test sends: a machine may be as fast as it can.
#[derive(Debug, Clone)]
pub struct Setup {
    /// `server.wait`.
    pub wait: String,
    /// Ranges of the pool `extension`.
    pub ranges: String,
    /// Further lines of `[server]`.
    pub server: String,
    /// Further lines of `[store]`.
    pub store: String,
    /// Further lines of `[tenants.default.targets.glance]`.
    pub glance: String,
    /// Further lines of `[tenants.default.targets.pbx]`.
    pub pbx: String,
    /// Further lines of `[tenants.default.targets.crm]`.
    pub crm: String,
    /// What the CRM target is called.
    pub crm_name: String,
    /// Further lines of `[tenants.default]`.
    pub tenant: String,
    /// Further tables at the end of the file.
    pub more: String,
    /// How the simulators behave.
    pub simulators: Options,
    /// The clock of the bridge; a hand-set one for what only happens tomorrow.
    pub clock: Clock,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            wait: "10s".to_owned(),
            ranges: r#"["1000-1999"]"#.to_owned(),
            server: String::new(),
            store: String::new(),
            glance: String::new(),
            pbx: r#"settle_lag = "0s""#.to_owned(),
            crm: String::new(),
            crm_name: "crm".to_owned(),
            tenant: String::new(),
            more: String::new(),
            simulators: Options::default(),
            clock: Clock::system(),
        }
    }
}

impl Setup {
    /// Lines for the Glance target.
    #[must_use]
    pub fn glance(mut self, lines: &str) -> Self {
        self.glance = lines.to_owned();
        self
    }

    /// Lines for the PBX target, instead of the default `settle_lag = "0s"`.
    #[must_use]
    pub fn pbx(mut self, lines: &str) -> Self {
        self.pbx = lines.to_owned();
        self
    }

    /// Lines for the CRM target.
    #[must_use]
    pub fn crm(mut self, lines: &str) -> Self {
        self.crm = lines.to_owned();
        self
    }

    /// Lines for the tenant.
    #[must_use]
    pub fn tenant(mut self, lines: &str) -> Self {
        self.tenant = lines.to_owned();
        self
    }

    /// `server.wait`.
    #[must_use]
    pub fn wait(mut self, wait: &str) -> Self {
        self.wait = wait.to_owned();
        self
    }

    /// The configuration file of this setup, for these simulators.
    #[must_use]
    pub fn file(&self, simulators: &Simulators, database: &Path) -> String {
        let Self { wait, ranges, server, store, glance, pbx, crm, crm_name, tenant, more, .. } = self;
        let [glance_url, pbx_url, crm_url] =
            [simulators.glance.api_url(), simulators.netsapiens.api_url(), simulators.crm_com.api_url()];
        let (login, partner) = (credentials::glance::PARTNER_LOGIN, credentials::glance::PARTNER_ID);
        let domain = credentials::netsapiens::DOMAIN;
        let database = database.display();
        let common = |lines: &str| {
            let defaults = ["rate_per_second = 0", "max_in_flight = 8"].into_iter();
            let is_given = |default: &&str| !lines.contains(default.split(' ').next().unwrap_or_default());
            defaults.filter(is_given).collect::<Vec<_>>().join("\n")
        };
        let [of_glance, of_pbx, of_crm] = [common(glance), common(pbx), common(crm)];
        let limits = if tenant.contains("limits") { "" } else { "limits = { requests_per_second = 0 }" };
        format!(
            r#"
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
wait = "{wait}"
workers = 1
shutdown_grace = "5s"
{server}

[store]
url = "sqlite:{database}"
{store}

[tenants.default]
extensions = ["glance", "netsapiens", "crm_com"]
{limits}
{tenant}

[tenants.default.pools.extension]
ranges = {ranges}
confirmed_by = "pbx"

[tenants.default.targets.glance]
kind = "glance"
base_url = "{glance_url}"
partner_login = "{login}"
partner_id = "{partner}"
partner_password = {{ file = "glance_password" }}
address_domain = "acme.glance.net"
{of_glance}
{glance}

[tenants.default.targets.pbx]
kind = "netsapiens"
base_url = "{pbx_url}"
domain = "{domain}"
api_key = {{ file = "pbx_api_key" }}
suspend_dial_policy = "Deny All"
{of_pbx}
{pbx}

[tenants.default.targets.{crm_name}]
kind = "crm_com"
base_url = "{crm_url}"
web_api_key = {{ file = "crm_web_api_key" }}
template = "Contact centre agent"
templates."Contact centre agent" = {{ cti = true }}
templates.Agent = {{ cti = false }}
{of_crm}
{crm}

{more}
"#
        )
    }
}

/// Writes the secrets that [`Setup::file`] names into a folder.
pub fn write_secrets(folder: &Path) {
    let secrets = [
        ("glance_password", credentials::glance::PARTNER_PASSWORD),
        ("pbx_api_key", credentials::netsapiens::API_KEY),
        ("crm_web_api_key", credentials::crm_com::WEB_API_KEY),
    ];
    for (name, secret) in secrets {
        std::fs::write(folder.join(name), secret).expect("a secret is written into the test's own folder");
    }
}

/// A running bridge with its simulators. Ends when dropped; [`Bridge::stop`] ends it properly.
pub struct Bridge {
    /// The bridge, for what only its inside knows.
    pub running: Running,
    /// The bearer token of the connection.
    pub token: String,
    simulators: Simulators,
    folder: tempfile::TempDir,
    setup: Setup,
    client: reqwest::Client,
}

impl Bridge {
    /// An ordinary bridge.
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// A bridge set up in a special way.
    pub async fn with(setup: Setup) -> Self {
        let simulators = bridge_simulators::start(setup.simulators.clone()).await.expect("simulators start");
        let folder = tempfile::tempdir().expect("a folder for the test");
        write_secrets(folder.path());
        Self::in_folder(setup, simulators, folder).await
    }

    async fn in_folder(setup: Setup, simulators: Simulators, folder: tempfile::TempDir) -> Self {
        let text = setup.file(&simulators, &folder.path().join("bridge.db"));
        let config = Config::parse(&text, folder.path()).expect("the configuration of the test is good");
        let running = running::start(config, setup.clock.clone()).await.expect("the bridge starts");
        let token = running.new_token("default", "test").await.expect("a token is made");
        let client = reqwest::Client::new();
        Self { running, token, simulators, folder, setup, client }
    }

    /// Stops the bridge and starts another one on the same database, in front of the same simulators.
    pub async fn restart(self) -> Self {
        let setup = self.setup.clone();
        self.restart_with(setup).await
    }

    /// As [`Bridge::restart`], with another configuration.
    pub async fn restart_with(self, setup: Setup) -> Self {
        let Self { running, simulators, folder, .. } = self;
        running.stop().await;
        Self::in_folder(setup, simulators, folder).await
    }

    /// Ends everything and waits for it.
    pub async fn stop(self) {
        self.running.stop().await;
        self.simulators.stop().await;
    }

    /// The Glance simulator.
    pub fn glance(&self) -> &Simulator {
        &self.simulators.glance
    }

    /// The PBX simulator.
    pub fn pbx(&self) -> &Simulator {
        &self.simulators.netsapiens
    }

    /// The CRM.COM simulator.
    pub fn crm(&self) -> &Simulator {
        &self.simulators.crm_com
    }

    /// SCIM base URL of the tenant `default`.
    pub fn scim_url(&self) -> String {
        format!("http://{}/scim/v2", self.running.scim_addr)
    }

    /// Base URL of the admin server.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.running.admin_addr)
    }

    /// The configuration file that it was started with.
    pub fn file(&self) -> String {
        self.setup.file(&self.simulators, &self.folder.path().join("bridge.db"))
    }

    /// The folder with the database and the secrets.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A request to be changed before it is sent.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.scim_url())).bearer_auth(&self.token)
    }

    /// GET below the SCIM base URL.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(reqwest::Method::GET, path)).await
    }

    /// POST of SCIM JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::POST, path, body).await
    }

    /// PUT of SCIM JSON.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::PUT, path, body).await
    }

    /// PATCH with these operations.
    pub async fn patch(&self, path: &str, operations: Value) -> Answer {
        let schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
        let body = serde_json::json!({"schemas": schemas, "Operations": operations});
        self.send(reqwest::Method::PATCH, path, body).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(reqwest::Method::DELETE, path)).await
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Value) -> Answer {
        let request = self.request(method, path).header("Content-Type", "application/scim+json");
        Answer::of(request.body(body.to_string())).await
    }

    /// The accounts of a user, by target. Empty for an unknown id.
    pub async fn accounts(&self, id: &str) -> Vec<Account> {
        let read = self.running.bridge.store.read(|db| match db.resource_by_id("default", "User", id)? {
            Some(resource) => db.accounts_of(resource.key),
            None => Ok(Vec::new()),
        });
        read.await.expect("the store answers")
    }

    /// The account of a user at a target.
    pub async fn account(&self, id: &str, target: &str) -> Account {
        let found = self.accounts(id).await.into_iter().find(|account| account.target == target);
        found.unwrap_or_else(|| panic!("{id} has no account at {target}"))
    }

    /// Waits until a condition on the accounts of a user holds.
    pub async fn until(&self, id: &str, what: &str, condition: impl Fn(&[Account]) -> bool) -> Vec<Account> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let accounts = self.accounts(id).await;
            if condition(&accounts) {
                return accounts;
            }
            assert!(tokio::time::Instant::now() < deadline, "not {what} within {PATIENCE:?}: {accounts:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until every account of a user has come to rest.
    pub async fn until_at_rest(&self, id: &str) -> Vec<Account> {
        self.until(id, "at rest", |accounts| {
            accounts.iter().all(|account| account.state.is_answer() && account.applied == account.wanted)
        })
        .await
    }

    /// Waits until the account of a user at a target is in a state.
    pub async fn until_state(&self, id: &str, target: &str, state: AccountState) -> Account {
        let is_there = |accounts: &[Account]| {
            accounts.iter().any(|account| account.target == target && account.state == state && account.lease.is_none())
        };
        let accounts = self.until(id, &format!("{state} at {target}"), is_there).await;
        accounts.into_iter().find(|account| account.target == target).expect("the condition found it")
    }
}

/// The account of a user of the default tenant at a target, as a person names it.
#[must_use]
pub fn account_name(id: &str, target: &str) -> AccountName {
    AccountName { tenant: "default".to_owned(), resource: id.to_owned(), target: target.to_owned() }
}

/// The calls of a simulator with this operation, in order.
pub fn calls_of(simulator: &Simulator, operation: &str) -> Vec<Value> {
    let is_asked = |call: &Value| call["operation"].as_str().is_some_and(|name| name.contains(operation));
    simulator.calls().into_iter().filter(is_asked).collect()
}

/// The one account of a simulator whose field has this value.
pub fn account_where<'a>(accounts: &'a [Value], field: &str, value: &str) -> Option<&'a Value> {
    accounts.iter().find(|account| account[field].as_str().is_some_and(|text| text.eq_ignore_ascii_case(value)))
}
