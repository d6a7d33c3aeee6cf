//! Plans and sends the calls that make a target's account match: Glance, NetSapiens, CRM.COM.
//!
//! Each kind of target is one module. `wire.rs` inside it is pure (accounts to calls, replies to results); `mod.rs` only
//! sends. A [`Plan`] holds the exact calls and never a credential; the connector adds credentials while sending.

mod difference;
mod error;
mod http;
mod manners;
mod mask;
mod observed;
mod plan;
mod reading;
#[cfg(test)]
mod testing;
mod token;
mod wanted;

pub mod crm_com;
pub mod glance;
pub mod netsapiens;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bridge_mapping::{Account, TargetKind};
use jiff::Timestamp;
use url::Url;

pub use error::{ConfigError, TargetError};
pub use manners::Manners;
pub use observed::{Effect, Evidence, Existence, Observed};
pub use plan::{Call, CallValue, Encoding, MASK, MaskedCall, Method, Plan, Rekey, Task};
pub use wanted::{AccountKeys, Presence, Wanted};

/// Tells the time; tests pass one whose hands they move.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A kind of downstream system that holds accounts.
///
/// Calls repeat after timeouts and crashes: `send` must be safe to repeat after `observe` said that the account still
/// differs.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The kind of target this connector speaks to.
    fn kind(&self) -> TargetKind;

    /// Where the target is, with a trailing slash; the path of a [`Call`] is relative to it.
    fn base_url(&self) -> &Url;

    /// What the engine must know about this target before it asks for a plan.
    fn traits(&self) -> Traits;

    /// Compares wanted with observed; returns the exact calls, and what this API cannot do. Pure.
    ///
    /// A field that `observed` does not know is sent, because sending is the only way to be sure of it.
    fn plan(&self, wanted: &Wanted<'_>, observed: &Observed) -> Plan;

    /// The calls by which an account that is to be replaced gives up what only one account can have, so that `account` can
    /// be made beside it. Pure.
    fn make_way(&self, _replaced: &Observed, _account: &Account) -> Vec<Call> {
        Vec::new()
    }

    /// Reads the account, by remote id or else by its natural keys.
    async fn observe(&self, keys: &AccountKeys) -> Result<Observed, TargetError>;

    /// Signs in, makes one call of a plan and says what it changed. A `Call` holds no credentials.
    ///
    /// Ends within [`Traits::call_limit`], whatever the target does.
    async fn send(&self, call: &Call) -> Result<Effect, TargetError>;

    /// Reads the target's accounts, page by page. The token of a page is good for the next call only.
    async fn list(&self, page: Option<&PageToken>) -> Result<(Vec<Observed>, Option<PageToken>), TargetError>;

    /// Makes the cheapest call that proves address and credentials.
    async fn probe(&self) -> Result<ProbeReport, TargetError>;

    /// Forgets cached tokens, so that the next call signs in again.
    async fn refresh_credentials(&self);
}

/// What the engine must know about a target (DESIGN section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// The account is observed before its first write, because a blind write could not be taken back.
    pub read_first: bool,
    /// How long after a write no "absent" and no "somebody else's" is final.
    pub settle_lag: Duration,
    /// The API can remove an account.
    pub can_delete: bool,
    /// The API can suspend an account; else suspension is a task for a person.
    pub can_suspend: bool,
    /// An account can carry our marker (the SCIM id), so that our own is recognised with certainty.
    pub has_marker: bool,
    /// No `send` takes longer than this, so a lease that outlasts it is safe.
    pub call_limit: Duration,
}

/// What a probe found, in one line for an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// For example "NetSapiens 45.0.1, API key of scope Office Manager".
    pub summary: String,
}

/// The place where the next page of [`Connector::list`] begins. Opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    cursor: String,
    /// Remote ids already given out; some targets repeat a row at a page's edge.
    seen: std::collections::BTreeSet<String>,
}

/// What every kind of target needs: an address and manners.
#[derive(Debug, Clone)]
pub struct CommonConfig {
    /// The API's root as its manual writes it, with or without the trailing slash.
    pub base_url: Url,
    /// Longest wait for one HTTP reply.
    pub timeout: Duration,
    /// How many HTTP calls it takes.
    pub manners: Manners,
}

impl CommonConfig {
    /// The manners that the dossier of this kind of target asks for (glance.md 10, netsapiens.md 11, crmcom.md 11).
    #[must_use]
    pub fn for_kind(kind: TargetKind, base_url: Url) -> Self {
        let max_in_flight = match kind {
            TargetKind::Glance => 1,
            TargetKind::Netsapiens | TargetKind::CrmCom => 2,
        };
        Self { base_url, timeout: Duration::from_secs(30), manners: Manners::new(max_in_flight, 5) }
    }
}
