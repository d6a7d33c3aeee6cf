//! Stand-ins for the three target APIs over real HTTP, with fault switches.
//!
//! Each simulator is its own server: the vendor's API as its dossier describes it (Glance PAPI, NetSapiens API v2,
//! CRM.COM Web API), and control endpoints below `/_sim`:
//!
//! | call | does |
//! |---|---|
//! | `GET /_sim/accounts` | all accounts, vendor field names, no passwords, `has_password` |
//! | `POST /_sim/accounts` | puts an account there, or changes one, as a person in the vendor's own screens would |
//! | `DELETE /_sim/accounts/{key}` | removes an account by its natural key, as a person would |
//! | `GET /_sim/calls` | the last calls (100,000 unless told otherwise), oldest first, secrets masked |
//! | `POST /_sim/faults` | `{"next": 2, "fault": "status:503", "retry_after": 5, "operation": "NewUser"}` |
//! | `DELETE /_sim/faults` | no faults; accounts and calls stay |
//! | `GET`, `POST /_sim/clock` | the clock; `{"advance_seconds": 60}` moves it on |
//! | `DELETE /_sim` | no accounts, no calls, no faults |
//!
//! It depends on nothing else of this project, so that a misread manual cannot agree with itself. Where a vendor's
//! documents leave a choice open, [`Options`] has a switch.

#![forbid(unsafe_code)]

mod call_log;
mod clock;
mod control;
mod core;
pub mod credentials;
mod crm_com;
mod fault;
mod glance;
mod netsapiens;
mod options;
mod server;
mod simulator;
mod vendor;
mod wire;

use std::io;

pub use fault::Fault;
pub use options::{
    CrmComOptions, GlanceOptions, NetsapiensOptions, Options, PasswordPolicy, PbxVersion, Ports, UserTemplate,
};
pub use simulator::Simulator;

/// Starts all three simulators, each on its own server. Works from any tokio runtime, actix's included.
///
/// # Errors
///
/// When an address cannot be bound or a thread cannot be started; whatever was started before is ended.
pub async fn start(options: Options) -> io::Result<Simulators> {
    Ok(Simulators {
        glance: start_glance(&options).await?,
        netsapiens: start_netsapiens(&options).await?,
        crm_com: start_crm_com(&options).await?,
    })
}

/// Starts the Glance simulator alone; otherwise as [`start`].
pub async fn start_glance(options: &Options) -> io::Result<Simulator> {
    let vendor = glance::Glance::new(options.glance.clone());
    Simulator::start(Box::new(vendor), options, options.ports.glance).await
}

/// Starts the NetSapiens simulator alone; otherwise as [`start`].
pub async fn start_netsapiens(options: &Options) -> io::Result<Simulator> {
    let vendor = netsapiens::Netsapiens::new(options.netsapiens.clone());
    Simulator::start(Box::new(vendor), options, options.ports.netsapiens).await
}

/// Starts the CRM.COM simulator alone; otherwise as [`start`].
pub async fn start_crm_com(options: &Options) -> io::Result<Simulator> {
    let vendor = crm_com::CrmCom::new(options.crm_com.clone());
    Simulator::start(Box::new(vendor), options, options.ports.crm_com).await
}

/// The three running simulators.
#[derive(Debug)]
pub struct Simulators {
    /// Glance PAPI.
    pub glance: Simulator,
    /// NetSapiens API v2.
    pub netsapiens: Simulator,
    /// CRM.COM Web API.
    pub crm_com: Simulator,
}

impl Simulators {
    /// Ends all three.
    pub async fn stop(self) {
        self.glance.stop().await;
        self.netsapiens.stop().await;
        self.crm_com.stop().await;
    }
}
