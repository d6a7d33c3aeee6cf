//! What the demo plays on: simulators, a database in a folder that goes away, a bridge in front of them, a token.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bridge_simulators::{Options, Simulators, credentials};
use bridge_store::{AccountQuery, AccountState};
use serde_json::Value;

use crate::clock::Clock;
use crate::config::Config;
use crate::operations::{self, NamedAccount};
use crate::running::{self, Running};

/// How long the accounts may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// The one tenant of the demo.
pub(super) const TENANT: &str = "default";

/// Everything that runs.
pub(super) struct Stage {
    pub(super) simulators: Simulators,
    pub(super) running: Running,
    pub(super) token: String,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

/// An answer of the bridge.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Stage {
    /// Starts everything on loopback.
    pub(super) async fn build(port: u16, admin_port: u16) -> anyhow::Result<Self> {
        let simulators = bridge_simulators::start(Options::default()).await.context("the simulators do not start")?;
        let folder = tempfile::Builder::new().prefix("scim-bridge-demo-").tempdir()?;
        write_secrets(folder.path())?;
        let config = Config::parse(&file(&simulators, port, admin_port), folder.path())?;
        let running = running::start(config, Clock::system()).await.context("the bridge does not start")?;
        let token = running.new_token(TENANT, "demo").await?;
        Ok(Self { simulators, running, token, client: reqwest::Client::new(), _folder: folder })
    }

    /// SCIM base URL of the tenant.
    pub(super) fn scim_url(&self) -> String {
        self.running.scim_url(TENANT)
    }

    /// Sends a request as an identity provider would.
    pub(super) async fn send(&self, method: &str, path: &str, body: Option<String>) -> anyhow::Result<Answer> {
        let method: reqwest::Method = method.parse()?;
        let mut request = self.client.request(method, format!("{}{path}", self.scim_url())).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/scim+json").body(body);
        }
        let reply = request.send().await?;
        let status = reply.status().as_u16();
        let text = reply.text().await?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        Ok(Answer { status, body })
    }

    /// Every account there is.
    pub(super) async fn accounts(&self) -> anyhow::Result<Vec<NamedAccount>> {
        let query = AccountQuery { tenant: Some(TENANT.to_owned()), limit: 1_000, ..AccountQuery::default() };
        Ok(operations::list_accounts(&self.running.bridge, query).await?)
    }

    /// Waits until nothing is under way any more.
    pub(super) async fn until_at_rest(&self) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let accounts = self.accounts().await?;
            let moving = accounts
                .iter()
                .filter(|NamedAccount { account, .. }| !account.state.is_answer() || account.applied < account.wanted)
                .count();
            if moving == 0 {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{moving} accounts are still under way after {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a person would have to do in a target.
    pub(super) async fn tasks(&self) -> anyhow::Result<Vec<String>> {
        let tasks = self.accounts().await?.into_iter().filter(|account| account.account.state == AccountState::Task);
        Ok(tasks
            .map(|NamedAccount { id, account, .. }| {
                let text = account.reason.map(|reason| reason.text).unwrap_or_default();
                format!("{} {id}: {text}", account.target)
            })
            .collect())
    }

    /// Ends everything.
    pub(super) async fn tear_down(self) {
        self.running.stop().await;
        self.simulators.stop().await;
    }
}

fn write_secrets(folder: &Path) -> std::io::Result<()> {
    let secrets = [
        ("glance_password", credentials::glance::PARTNER_PASSWORD),
        ("pbx_api_key", credentials::netsapiens::API_KEY),
        ("crm_web_api_key", credentials::crm_com::WEB_API_KEY),
    ];
    secrets.iter().try_for_each(|(name, secret)| std::fs::write(folder.join(name), secret))
}

/// The configuration: what an ordinary customer with all three targets would write.
fn file(simulators: &Simulators, port: u16, admin_port: u16) -> String {
    let [glance, pbx, crm] =
        [simulators.glance.api_url(), simulators.netsapiens.api_url(), simulators.crm_com.api_url()];
    let (login, partner, domain) =
        (credentials::glance::PARTNER_LOGIN, credentials::glance::PARTNER_ID, credentials::netsapiens::DOMAIN);
    format!(
        r#"
[server]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin_port}"
wait = "10s"
shutdown_grace = "5s"

[store]
url = "sqlite:bridge.db"

[tenants.{TENANT}]
extensions = ["glance", "netsapiens", "crm_com"]

[tenants.{TENANT}.pools.extension]
ranges = ["1000-1999"]
confirmed_by = "netsapiens"

[tenants.{TENANT}.targets.glance]
kind = "glance"
base_url = "{glance}"
partner_login = "{login}"
partner_id = "{partner}"
partner_password = {{ file = "glance_password" }}
address_domain = "acme.glance.net"
max_in_flight = 4
rate_per_second = 0

[tenants.{TENANT}.targets.netsapiens]
kind = "netsapiens"
base_url = "{pbx}"
domain = "{domain}"
api_key = {{ file = "pbx_api_key" }}
suspend_dial_policy = "Deny All"
settle_lag = "0s"
max_in_flight = 4
rate_per_second = 0

[tenants.{TENANT}.targets.crm_com]
kind = "crm_com"
base_url = "{crm}"
web_api_key = {{ file = "crm_web_api_key" }}
template = "Contact centre agent"
templates."Contact centre agent" = {{ cti = true }}
templates.Agent = {{ cti = false }}
max_in_flight = 4
rate_per_second = 0
"#
    )
}
