//! The configuration: one TOML file, read once into one typed tree (DESIGN.md section 9).
//!
//! Everything after [`Config::load`] trusts the types: names are valid, secrets are resolved, addresses are addresses and every reference
//! points at something. What the file may hold is [`file`]; how it becomes this tree is [`build`]; every refusal is a [`ConfigError`] with the
//! line and column of the culprit.

mod build;
mod connection;
mod defaults;
mod error;
mod file;
mod indexed;
mod keys;
mod locate;
mod schema;
mod secret;
#[cfg(test)]
mod tests;
mod unknown;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bridge_connectors::{crm_com, glance, netsapiens};
use bridge_mapping::{Limit, ScopeConfig, TargetKind};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

pub(crate) use self::build::is_loopback;
use self::secret::Secrets;
pub use self::{
    error::{ConfigError, ConfigProblem, Position},
    keys::SecretKey,
    schema::json_schema,
};

/// The whole configuration of one bridge.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses, waiting time and limits of the two HTTP servers.
    pub server: ServerConfig,
    /// Where resources, accounts and the journal are kept.
    pub store: StoreConfig,
    /// Where alerts go; none: they are only logged.
    pub alerts: Option<AlertsConfig>,
    /// The tenants by name.
    pub tenants: BTreeMap<String, TenantConfig>,
    /// The file this was read from, to say lines in later errors and to read secrets again.
    pub origin: Origin,
}

/// Where a configuration came from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The file, when there was one.
    pub path: Option<PathBuf>,
    /// Where relative paths start.
    pub base: PathBuf,
    /// The text as read.
    pub text: Arc<str>,
}

/// `[server]`: the two HTTP servers.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address of the SCIM server; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address of health, metrics and the admin API; port 0 takes a free one.
    pub admin_listen: SocketAddr,
    /// How identity providers reach [`ServerConfig::listen`]; start of every `meta.location`. Without trailing slash in the path's last segment.
    pub public_url: Url,
    /// Whether the file gave `public_url`; if not, it follows the address that was really taken.
    pub public_url_is_given: bool,
    /// How long a SCIM request waits for its own accounts. Zero: answer at commit.
    pub wait: Duration,
    /// Largest request body, in bytes.
    pub max_body: u64,
    /// Operations of one bulk request at most.
    pub bulk_max_operations: usize,
    /// Longest body of a bulk request, in bytes; never more than `max_body`.
    pub bulk_max_payload: u64,
    /// Bearer token of the admin API; must be there when `admin_listen` is not loopback.
    pub admin_token: Option<SecretString>,
    /// Threads of the SCIM server; none: one per core.
    pub workers: Option<usize>,
    /// How long a stop waits for requests and calls in flight.
    pub shutdown_grace: Duration,
}

/// `[store]`: the database.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Which database, and where.
    pub url: StoreUrl,
    /// Keys that seal stored secrets: the first encrypts, all decrypt. Empty until [`StoreConfig::ensure_keys`] has made the key file.
    pub keys: Vec<SecretKey>,
    /// Whether the file named the keys.
    pub keys_are_given: bool,
    /// Days that journal entries are kept.
    pub journal_days: u32,
    /// Days that a deleted user is remembered.
    pub deleted_days: u32,
    /// Days that the audit trail is kept.
    pub audit_days: u32,
    /// Attributes indexed beside the usual ones, as SCIM paths.
    pub index: Vec<String>,
}

/// The address of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:PATH`; a relative path starts at the configuration file.
    Sqlite(PathBuf),
}

/// `[alerts]`: the webhook.
#[derive(Debug, Clone)]
pub struct AlertsConfig {
    /// Receives each alert as a POST of JSON.
    pub webhook: Url,
    /// Sent as `Authorization: Bearer …`, when there is one.
    pub token: Option<SecretString>,
}

/// `[tenants.NAME]`: one customer.
#[derive(Debug, Clone)]
pub struct TenantConfig {
    /// Target kinds whose extension schema is advertised to this tenant's identity provider.
    pub extensions: Vec<TargetKind>,
    /// Whether a POST takes up the inactive user who has its userName or externalId, instead of being answered 409.
    pub restore_on_create: bool,
    /// How fast each connection may send requests; none: as fast as it can.
    pub requests: Option<RequestLimit>,
    /// Pools of scarce values by name; rules use them as `assigned.NAME`.
    pub pools: BTreeMap<String, PoolConfig>,
    /// What the connections are forgiven, by name; who is not named is lenient.
    pub profiles: BTreeMap<String, Profile>,
    /// The targets by name.
    pub targets: BTreeMap<String, TargetConfig>,
}

/// `[tenants.NAME.limits]`: how fast each connection may send requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimit {
    /// So many a second for as long as it likes.
    pub per_second: NonZeroU32,
    /// So many at once after a pause.
    pub burst: NonZeroU32,
}

/// What a connection is forgiven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What real clients send is understood.
    #[default]
    Lenient,
    /// What the RFCs or the SCIM interoperability profile (draft-zollner-scim-interop-profile-01) do not allow is refused, so
    /// that a client's faults show.
    Strict,
}

/// `[tenants.NAME.pools.NAME]`: values that are handed out one per resource.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// The values, in the order they are handed out.
    pub ranges: Vec<Range>,
    /// The target that says whether a value is really free.
    pub confirmed_by: Option<String>,
    /// How long a confirmed value rests after its account is gone.
    pub cool_off: Duration,
}

/// Consecutive numbers, printed with leading zeros up to `width` digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first value.
    pub first: u64,
    /// The last value, itself included.
    pub last: u64,
    /// Digits of a value.
    pub width: usize,
}

/// `[tenants.NAME.targets.NAME]`: one downstream system.
#[derive(Debug, Clone)]
pub struct TargetConfig {
    /// Which connector speaks to it.
    pub kind: TargetKind,
    /// Root of its API, with a trailing slash.
    pub base_url: Url,
    /// Whether a write that this target would refuse is refused as a whole.
    pub required: bool,
    /// Whether calls are made, kept back, or only planned.
    pub mode: Mode,
    /// What happens with an account that was there before.
    pub adopt: Adopt,
    /// What an inactive user means.
    pub on_deactivate: Deprovision,
    /// What a deleted user means.
    pub on_delete: Deprovision,
    /// What a user who left this target's scope means.
    pub on_unscoped: Deprovision,
    /// What happens when a key changes that this target cannot rename.
    pub on_rekey: Rekey,
    /// Targets whose account must be settled first; none: the order follows from pools and from what a target cannot undo.
    pub after: Option<Vec<String>>,
    /// How long one call may take.
    pub timeout: Duration,
    /// Calls at the same time.
    pub max_in_flight: usize,
    /// Calls per second; 0 is unlimited.
    pub rate_per_second: u32,
    /// How long a write may take to show in a read.
    pub settle_lag: Duration,
    /// How long a group table on a creation-only field waits for a named group.
    pub group_wait: Duration,
    /// How many accounts may end before a person is asked.
    pub brake: BrakeConfig,
    /// Whether this target left the configuration on purpose, though it holds accounts.
    pub retired: bool,
    /// The name this target had before.
    pub renamed_from: Option<String>,
    /// Limits of account fields that differ from the account's schema.
    pub limits: BTreeMap<String, Limit>,
    /// Mapping rules by account field, in the order of the file.
    pub map: toml::Table,
    /// Rules that say which resources have an account here.
    pub scope: ScopeConfig,
    /// What templates see as `target.NAME`.
    pub settings: BTreeMap<String, String>,
    /// Privileged values that rules may produce, by account field, though they are refused by default.
    pub allow: BTreeMap<String, Vec<String>>,
    /// Credentials and peculiarities of the kind.
    pub connection: ConnectorConfig,
}

/// `[tenants.NAME.targets.NAME.brake]`: how many accounts may end in a window of time before a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrakeConfig {
    /// At most so many.
    pub count: Option<u32>,
    /// At most so many of a hundred of the target's accounts.
    pub share: Option<u8>,
    /// In this time.
    pub window: Duration,
}

/// The part of a target's configuration that only its connector understands.
#[derive(Debug, Clone)]
pub enum ConnectorConfig {
    /// Glance partner API.
    Glance(glance::Config),
    /// NetSapiens API v2.
    Netsapiens(netsapiens::Config),
    /// CRM.COM Web API V4.
    CrmCom(crm_com::Config),
}

/// Whether calls to a target are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Calls are made.
    Send,
    /// Calls wait for a person; the first contact with a live system starts so.
    Hold,
    /// Calls are only planned and written to the journal.
    Plan,
}

/// What happens with an account that was at the target before us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Adopt {
    /// A person decides.
    Review,
    /// It becomes ours if natural key and e-mail are both equal.
    Match,
    /// It never becomes ours.
    Never,
}

/// How an account ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deprovision {
    /// It stays, unusable.
    Suspend,
    /// It is removed.
    Delete,
    /// It is left as it is.
    Keep,
}

/// What happens when a key changes that the target cannot rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rekey {
    /// The old key stays and a task is raised.
    Keep,
    /// A new account is made, then the old one goes by `on_delete`.
    Recreate,
    /// The change is refused.
    Refuse,
}

impl Config {
    /// Reads and checks the file at `path`; relative paths in it start at its folder.
    ///
    /// # Errors
    /// Every problem found, each with its place in the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, Secrets::Fetch)
    }

    /// As [`Config::load`], for commands that sign in nowhere: no secret is fetched, each is replaced by a word.
    ///
    /// # Errors
    /// Every other problem found, each with its place in the file.
    pub fn load_without_secrets(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, Secrets::Skip)
    }

    /// Checks `text`; relative paths in it start at `base`.
    ///
    /// # Errors
    /// Every problem found, each with its place in the text.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        build::config(text, base, Secrets::Fetch)
    }

    /// Fetches the secrets of one target again, for a credential that was changed where it is kept. No other secret is asked
    /// for, and what else has changed in the file meanwhile stays unread. Returns whether they are others now.
    ///
    /// # Errors
    /// A secret of this target cannot be had.
    pub fn refresh_secrets(&mut self, tenant: &str, target: &str) -> Result<bool, ConfigError> {
        let path = ["tenants", tenant, "targets", target];
        let mut fresh = build::config(&self.origin.text, &self.origin.base, Secrets::Below(&path))?;
        let fresh = fresh.tenants.get_mut(tenant).and_then(|tenant| tenant.targets.remove(target));
        let present = self.tenants.get_mut(tenant).and_then(|tenant| tenant.targets.get_mut(target));
        let (Some(fresh), Some(present)) = (fresh, present) else { return Ok(false) };
        let have_changed = !fresh.connection.has_same_secrets(&present.connection);
        present.connection = fresh.connection;
        Ok(have_changed)
    }

    fn load_with(path: &Path, secrets: Secrets<'_>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::unreadable(path, &source))?;
        let mut config = build::config(&text, folder_of(path), secrets).map_err(|error| error.in_file(path))?;
        config.origin.path = Some(path.to_owned());
        Ok(config)
    }

    /// The line and column of a key, given as the path of keys to it.
    #[must_use]
    pub fn position(&self, path: &[&str]) -> Option<Position> {
        locate::key(&self.origin.text, path)
    }
}

/// The admin token that the file at `path` names; only this secret is fetched.
///
/// # Errors
/// The file cannot be used, or the token cannot be had.
pub fn admin_token(path: &Path) -> Result<Option<SecretString>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::unreadable(path, &source))?;
    build::admin_token(&text, folder_of(path)).map_err(|error| error.in_file(path))
}

/// SCIM base URL of a tenant below a root; the tenant named `default` has a short one.
#[must_use]
pub fn scim_base(root: &str, tenant: &str) -> String {
    let root = root.trim_end_matches('/');
    match tenant {
        "default" => format!("{root}/scim/v2"),
        _ => format!("{root}/t/{tenant}/scim/v2"),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("."))
}

impl TargetConfig {
    /// Accounts that are worked on at the same time: while one of them is looked up or written down, the call of another
    /// is on its way. Where there is one call at a time, there is one account, so that leavers wait for no more.
    #[must_use]
    pub fn accounts_at_once(&self) -> usize {
        self.max_in_flight + self.max_in_flight / 2
    }

    /// The user templates of a CRM.COM installation whose accounts are CTI enabled; none for other kinds.
    #[must_use]
    pub fn cti_templates(&self) -> BTreeSet<String> {
        match &self.connection {
            ConnectorConfig::CrmCom(config) => {
                config.templates.iter().filter(|(_, template)| template.cti).map(|(name, _)| name.clone()).collect()
            }
            ConnectorConfig::Glance(_) | ConnectorConfig::Netsapiens(_) => BTreeSet::new(),
        }
    }
}

impl Range {
    /// The text of one value of this range.
    #[must_use]
    pub fn text(&self, number: u64) -> String {
        format!("{number:0width$}", width = self.width)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.text(self.first), self.text(self.last))
    }
}

impl ConnectorConfig {
    /// The kind of target that this configures.
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Glance(_) => TargetKind::Glance,
            Self::Netsapiens(_) => TargetKind::Netsapiens,
            Self::CrmCom(_) => TargetKind::CrmCom,
        }
    }
}
