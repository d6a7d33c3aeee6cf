//! `sim`: the simulators alone.

use std::time::Duration;

use bridge_simulators::{Options, Ports, Simulators, credentials};
use clap::Args;
use serde_json::{Value, json};

use super::signals::Signals;
use super::{Exit, Output};

/// Stand-ins for the three target APIs. Port 0 takes a free one.
#[derive(Debug, Args)]
pub(super) struct Sim {
    /// Port of the Glance simulator.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    glance_port: u16,
    /// Port of the NetSapiens simulator.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    netsapiens_port: u16,
    /// Port of the CRM.COM simulator.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    crm_com_port: u16,
    /// How late every answer leaves, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

impl Sim {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let mut signals = Signals::listen()?;
        let out = Output::new(self.json);
        let ports = Ports { glance: self.glance_port, netsapiens: self.netsapiens_port, crm_com: self.crm_com_port };
        let options = Options { ports, latency: Duration::from_millis(self.latency), ..Options::default() };
        let simulators = bridge_simulators::start(options).await?;
        out.json_line(&description(&simulators))?;
        for line in lines(&simulators) {
            out.line(line)?;
        }
        signals.stop().await?;
        simulators.stop().await;
        Ok(Exit::Done)
    }
}

/// Addresses and credentials, for programs.
fn description(simulators: &Simulators) -> Value {
    use credentials::{crm_com, glance, netsapiens};
    json!({
        "glance": {
            "url": simulators.glance.url(), "base_url": simulators.glance.api_url(),
            "partner_login": glance::PARTNER_LOGIN, "partner_password": glance::PARTNER_PASSWORD, "partner_id": glance::PARTNER_ID,
        },
        "netsapiens": {
            "url": simulators.netsapiens.url(), "base_url": simulators.netsapiens.api_url(),
            "domain": netsapiens::DOMAIN, "api_key": netsapiens::API_KEY,
        },
        "crm_com": {
            "url": simulators.crm_com.url(), "base_url": simulators.crm_com.api_url(),
            "web_api_key": crm_com::WEB_API_KEY, "username": crm_com::USERNAME, "password": crm_com::PASSWORD,
            "organisation": crm_com::ORGANISATION,
        },
    })
}

/// The same for people, with the fault switches.
fn lines(simulators: &Simulators) -> Vec<String> {
    use credentials::{crm_com, glance, netsapiens};
    let url = simulators.glance.url();
    vec![
        "# glance".to_owned(),
        format!("base_url = \"{}\"", simulators.glance.api_url()),
        format!("partner_login = \"{}\"", glance::PARTNER_LOGIN),
        format!("partner_id = \"{}\"", glance::PARTNER_ID),
        format!("# partner_password: {}", glance::PARTNER_PASSWORD),
        String::new(),
        "# netsapiens".to_owned(),
        format!("base_url = \"{}\"", simulators.netsapiens.api_url()),
        format!("domain = \"{}\"", netsapiens::DOMAIN),
        format!("# api_key: {}", netsapiens::API_KEY),
        String::new(),
        "# crm_com".to_owned(),
        format!("base_url = \"{}\"", simulators.crm_com.api_url()),
        format!("# web_api_key: {}", crm_com::WEB_API_KEY),
        String::new(),
        "# what each of them knows, and its fault switches".to_owned(),
        format!("curl -s {url}/_sim/accounts"),
        format!("curl -s {url}/_sim/calls"),
        format!(
            "curl -s {url}/_sim/faults -H 'Content-Type: application/json' -d '{{\"next\":1,\"fault\":\"status:503\"}}'"
        ),
        format!("curl -s -X DELETE {url}/_sim"),
        "# Ctrl-C ends them".to_owned(),
    ]
}
