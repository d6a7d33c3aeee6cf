//! The shape of the file: every table, every key, its type, its default and what it means. The JSON Schema that `check --print-schema` prints,
//! the check for unknown keys and the example file's test all come from here.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use bridge_connectors::crm_com::ErrorPattern;
use bridge_mapping::{Limit, ScopeConfig, TargetKind};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{
    Adopt, Deprovision, Mode, Profile, Rekey,
    secret::{self, AddressSource, SecretSource},
    values::{self, Period, RangeText, Share, Size},
};

/// Configuration of a SCIM provisioning bridge.
#[derive(Debug, JsonSchema)]
#[schemars(title = "scim-bridge", deny_unknown_fields)]
pub(super) struct File {
    /// The two HTTP servers.
    #[schemars(default)]
    pub(super) server: Server,
    /// The database.
    #[schemars(default)]
    pub(super) store: Store,
    /// Where alerts go. Without it they are only logged.
    pub(super) alerts: Option<Alerts>,
    /// The customers, by name: lower-case letters, digits and dashes. The tenant "default" is also served at /scim/v2.
    #[schemars(default)]
    pub(super) tenants: BTreeMap<String, Tenant>,
}

/// The two HTTP servers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    /// Address of the SCIM server. Port 0 takes a free one. TLS ends at a proxy in front.
    #[serde(deserialize_with = "values::listen")]
    #[schemars(with = "String")]
    pub(super) listen: SocketAddr,
    /// Address of health, metrics and the admin API. Beyond loopback `admin_token` is required.
    #[serde(deserialize_with = "values::listen")]
    #[schemars(with = "String")]
    pub(super) admin_listen: SocketAddr,
    /// How identity providers reach `listen`; start of every `meta.location`. Default: the address itself.
    #[serde(deserialize_with = "values::some_url")]
    #[schemars(with = "Option<String>")]
    pub(super) public_url: Option<Url>,
    /// How long a SCIM request waits for its own accounts; "0s" answers at commit. At most 50 s, because identity providers give up after 60 s.
    pub(super) wait: Period,
    /// Largest request body.
    pub(super) max_body: Size,
    /// Operations of one bulk request at most; 2 to 10000.
    pub(super) bulk_max_operations: usize,
    /// Largest body of a bulk request; `max_body` if that is smaller.
    pub(super) bulk_max_payload: Size,
    /// Bearer token of the admin API.
    pub(super) admin_token: Option<SecretSource>,
    /// Threads of the SCIM server. Default: one per core.
    pub(super) workers: Option<NonZeroUsize>,
    /// How long a stop waits for requests and calls in flight.
    pub(super) shutdown_grace: Period,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            admin_listen: (Ipv4Addr::LOCALHOST, 8081).into(),
            public_url: None,
            wait: Period(Duration::from_secs(4)),
            max_body: Size(1 << 20),
            bulk_max_operations: 1000,
            bulk_max_payload: Size(1 << 20),
            admin_token: None,
            workers: None,
            shutdown_grace: Period(Duration::from_secs(30)),
        }
    }
}

/// The database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Store {
    /// "sqlite:PATH"; a relative path starts at the configuration file.
    pub(super) url: String,
    /// Keys that seal stored secrets, 32 bytes in base64 each: the first encrypts, all decrypt. Default: a key file made beside the database.
    #[serde(deserialize_with = "secret::list")]
    pub(super) keys: Vec<SecretSource>,
    /// Days that the journal of requests and calls is kept.
    pub(super) journal_days: NonZeroU32,
    /// Days that a deleted user is remembered for whoever comes back; longer if an account, or something to be done, is left.
    pub(super) deleted_days: NonZeroU32,
    /// Days that the audit trail is kept.
    pub(super) audit_days: NonZeroU32,
    /// Attributes indexed for filters beside userName, externalId, displayName, emails.value and employeeNumber.
    pub(super) index: Vec<String>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: "sqlite:bridge.db".to_owned(),
            keys: Vec::new(),
            journal_days: NonZeroU32::MIN.saturating_add(29),
            deleted_days: NonZeroU32::MIN.saturating_add(89),
            audit_days: NonZeroU32::MIN.saturating_add(364),
            index: Vec::new(),
        }
    }
}

/// The alert webhook.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Alerts {
    /// Receives each alert as a POST of JSON. An address that is a secret itself stands where secrets stand.
    pub(super) webhook: AddressSource,
    /// Sent along as `Authorization: Bearer …`.
    pub(super) token: Option<SecretSource>,
}

/// One customer: its own connections, targets, pools and data.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Tenant {
    /// Target kinds whose extension schema is advertised to the identity provider.
    #[schemars(default, with = "Vec<KindName>")]
    pub(super) extensions: Vec<TargetKind>,
    /// Whether a POST takes up the inactive user who has its userName or externalId, instead of being answered 409.
    #[schemars(default)]
    pub(super) restore_on_create: bool,
    /// How fast each connection may send requests; what is more is answered 429.
    #[schemars(default)]
    pub(super) limits: RequestLimits,
    /// Pools of scarce values; rules use them as `assigned.NAME`.
    #[schemars(default)]
    pub(super) pools: BTreeMap<String, Pool>,
    /// What is special about connections, by the name that their tokens have. A connection needs no entry.
    #[schemars(default)]
    pub(super) connections: BTreeMap<String, ConnectionKeys>,
    /// The downstream systems, by name. A target's name is its identity.
    #[schemars(default)]
    pub(super) targets: BTreeMap<String, Target>,
}

/// A bucket of requests for each token: `burst` when it is full, filled again by `requests_per_second`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RequestLimits {
    /// So many requests a second for as long as it likes; 0: no limit. Identity providers send up to 25.
    pub(super) requests_per_second: u32,
    /// So many at once after a pause. Default: what two seconds allow.
    pub(super) burst: Option<NonZeroU32>,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { requests_per_second: 500, burst: None }
    }
}

/// One identity provider's connection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionKeys {
    /// "lenient" takes what real clients send, "strict" refuses what the RFCs or the interoperability profile do not allow.
    #[serde(default)]
    pub(super) profile: Profile,
}

/// The kind of a target.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "says in the JSON Schema what TargetKind reads")]
enum KindName {
    Glance,
    Netsapiens,
    CrmCom,
}

/// Values handed out one per resource, such as PBX extensions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    /// The values, in the order they are handed out.
    pub(super) ranges: Vec<RangeText>,
    /// The target that says whether a value is really free.
    pub(super) confirmed_by: Option<String>,
    /// How long a confirmed value rests after its account is gone.
    #[serde(default = "thirty_days")]
    pub(super) cool_off: Period,
}

fn thirty_days() -> Period {
    Period(Duration::from_secs(30 * 86_400))
}

/// One downstream system.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Target {
    #[schemars(flatten)]
    pub(super) common: Common,
    #[schemars(flatten)]
    pub(super) connection: Connection,
}

/// Keys of a target of any kind.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Common {
    /// Root of the API. https, unless it is loopback. Glance has a default.
    #[serde(default, deserialize_with = "values::some_url")]
    #[schemars(with = "Option<String>")]
    pub(super) base_url: Option<Url>,
    /// Whether a write that this target would refuse is refused as a whole.
    #[serde(default = "yes")]
    pub(super) required: bool,
    /// "send", "hold" (calls wait for a person; start so with a live system) or "plan" (calls are only written to the journal).
    #[serde(default = "send")]
    pub(super) mode: Mode,
    /// An account that was there before: "review" (a person decides), "match" (natural key and e-mail both equal) or "never".
    #[serde(default = "review")]
    pub(super) adopt: Adopt,
    /// What an inactive user means here: "suspend", "delete" or "keep".
    #[serde(default = "suspend")]
    pub(super) on_deactivate: Deprovision,
    /// What a deleted user means here. Default: "delete" for netsapiens (a suspended extension would block its number), otherwise "suspend".
    pub(super) on_delete: Option<Deprovision>,
    /// What a user who left this target's scope means here.
    #[serde(default = "suspend")]
    pub(super) on_unscoped: Deprovision,
    /// A key changes that this target cannot rename: "keep" (the account keeps the old key, a task is raised), "recreate" (a new account, then the old one goes by `on_delete`) or "refuse".
    #[serde(default = "keep")]
    pub(super) on_rekey: Rekey,
    /// Targets whose account must be settled first. Default: follows from pools, and crm_com goes last.
    pub(super) after: Option<Vec<String>>,
    /// Longest wait for one reply.
    pub(super) timeout: Option<Period>,
    /// Calls at the same time.
    pub(super) max_in_flight: Option<NonZeroUsize>,
    /// Calls per second; 0 is unlimited.
    pub(super) rate_per_second: Option<u32>,
    /// How long a write may take to show in a read. Default: 10 s for netsapiens, otherwise none.
    pub(super) settle_lag: Option<Period>,
    /// How long a group table on a creation-only field waits for a named group before `*` applies.
    #[serde(default = "fifteen_minutes")]
    pub(super) group_wait: Period,
    /// How many accounts may end (be suspended, removed, leave the scope) before a person is asked; further ones are held.
    #[serde(default)]
    #[schemars(default)]
    pub(super) brake: Brake,
    /// This target left on purpose, though it holds accounts.
    #[serde(default)]
    pub(super) retired: bool,
    /// The name this target had before.
    pub(super) renamed_from: Option<String>,
    /// Limits of account fields that differ from the account schema: `{ UserRole = 70 }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, LimitShape>")]
    pub(super) limits: BTreeMap<String, Limit>,
    /// Mapping rules by account field; only what differs from the default map.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub(super) map: toml::Table,
    /// Who has an account here: users that match the filter and are in one of the groups. Default: everybody.
    #[serde(default)]
    #[schemars(with = "ScopeShape")]
    pub(super) scope: ScopeConfig,
    /// Further values that templates see as `target.NAME`.
    #[serde(default)]
    pub(super) settings: BTreeMap<String, String>,
}

/// When so many accounts have ended in the window, further ones are held until `account release`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Brake {
    /// At most so many accounts; 0: no limit.
    pub(super) count: u32,
    /// At most this share of the target's accounts; the first ten are not held for it.
    pub(super) share: Option<Share>,
    /// In this time.
    pub(super) window: Period,
}

impl Default for Brake {
    fn default() -> Self {
        Self { count: 100, share: None, window: Period(Duration::from_secs(3_600)) }
    }
}

fn yes() -> bool {
    true
}

fn send() -> Mode {
    Mode::Send
}

fn review() -> Adopt {
    Adopt::Review
}

fn suspend() -> Deprovision {
    Deprovision::Suspend
}

fn keep() -> Rekey {
    Rekey::Keep
}

fn fifteen_minutes() -> Period {
    Period(Duration::from_secs(900))
}

/// A limit: the most characters or the largest value, or several bounds.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "says in the JSON Schema what Limit reads")]
enum LimitShape {
    /// Most characters of a text, largest value of a number.
    Most(i64),
    /// More than one bound at once.
    Bounds(BoundsShape),
}

/// Bounds of a field.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "says in the JSON Schema what Bounds reads")]
struct BoundsShape {
    /// Fewest characters, or smallest number.
    min: Option<i64>,
    /// Most characters, or largest number.
    max: Option<i64>,
    /// A regular expression the whole text must match.
    pattern: Option<String>,
}

/// Who has an account at a target.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "says in the JSON Schema what ScopeConfig reads")]
struct ScopeShape {
    /// A SCIM filter on the user, such as `userType eq "Employee"`.
    filter: Option<String>,
    /// Display names of groups; membership of one is enough. Without the key: no condition.
    #[schemars(default)]
    groups: Vec<String>,
}

/// Keys that only one kind of target has.
#[derive(Debug, JsonSchema)]
#[schemars(tag = "kind", rename_all = "snake_case")]
pub(super) enum Connection {
    Glance(Glance),
    Netsapiens(Netsapiens),
    CrmCom(CrmCom),
}

/// Glance partner API.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Glance {
    /// Glance address of an administrator of the group.
    pub(super) partner_login: String,
    /// That administrator's password. Either this, or `api_key`, `partner_user_id` and `partner_id`.
    pub(super) partner_password: Option<SecretSource>,
    /// The group's API key, which signs a login key for each request.
    pub(super) api_key: Option<SecretSource>,
    /// Partner user id of that administrator.
    pub(super) partner_user_id: Option<String>,
    /// Id of the Glance group.
    pub(super) partner_id: Option<String>,
    /// What every Glance address ends in.
    #[serde(default = "glance_suffix")]
    pub(super) address_suffix: String,
    /// What comes after the person in the default map: ann@… becomes `ann.ADDRESS_DOMAIN`. Must end in `address_suffix`.
    pub(super) address_domain: Option<String>,
    /// Element names of ShowUsers that differ from the known ones, to the field they carry.
    #[serde(default)]
    pub(super) element_names: BTreeMap<String, String>,
}

fn glance_suffix() -> String {
    ".glance.net".to_owned()
}

/// NetSapiens API v2.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Netsapiens {
    /// The domain whose users are driven.
    pub(super) domain: String,
    /// An API key of scope Office Manager or above. Either this, or the four keys of a sign-in.
    pub(super) api_key: Option<SecretSource>,
    /// OAuth client of a sign-in.
    pub(super) client_id: Option<String>,
    /// Secret of that client.
    pub(super) client_secret: Option<SecretSource>,
    /// Portal login of a sign-in.
    pub(super) username: Option<String>,
    /// Its password.
    pub(super) password: Option<SecretSource>,
    /// Dial policy that denies all calls, set on suspension.
    pub(super) suspend_dial_policy: Option<String>,
    /// Remove the user's devices on suspension; they are not restored on return.
    #[serde(default)]
    pub(super) delete_devices_on_suspend: bool,
    /// Create with synchronous=yes.
    #[serde(default = "yes")]
    pub(super) synchronous: bool,
    /// Privileged values of user-scope that rules may produce: "Reseller", "Super User", "NDP".
    #[serde(default)]
    pub(super) allow_scopes: Vec<String>,
}

/// CRM.COM Web API V4, releases R14 to R17.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CrmCom {
    /// A Web API key. Either this, or `username`, `password` and `organisation`.
    pub(super) web_api_key: Option<SecretSource>,
    /// A user of the organisation.
    pub(super) username: Option<String>,
    /// Its password.
    pub(super) password: Option<SecretSource>,
    /// Name of the organisation.
    pub(super) organisation: Option<String>,
    /// Unit id of the session. Default: the user's default unit.
    pub(super) unit: Option<String>,
    /// Whether templates are identified by "name" or "id".
    #[serde(default)]
    pub(super) template_by: TemplateBy,
    /// The installation's user templates; the API cannot list them.
    #[serde(default)]
    pub(super) templates: BTreeMap<String, Template>,
    /// The template of everybody whom no rule gives another one.
    pub(super) template: Option<String>,
    /// What the default map makes a user name of: the "local" part of userName, or the "whole" of it.
    pub(super) username_from: Option<UsernameFrom>,
    /// The user defined field that carries the SCIM id.
    #[serde(default = "crm_com_marker")]
    pub(super) marker_field: String,
    /// On suspension rotate the password that the bridge set.
    #[serde(default)]
    pub(super) soft_lock_out: bool,
    /// A method of the installation's own that updates a user, such as "users/update".
    pub(super) update_method: Option<String>,
    /// What users/list is asked for; without it accounts cannot be listed.
    pub(super) list_by: Option<ListBy>,
    /// What the installation's own error codes mean; asked before the built-in table.
    #[serde(default)]
    #[schemars(with = "Vec<ErrorPatternShape>")]
    pub(super) error_patterns: Vec<ErrorPattern>,
}

fn crm_com_marker() -> String {
    "udf_string_1".to_owned()
}

/// What identifies a user template.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TemplateBy {
    #[default]
    Name,
    Id,
}

/// What a CRM.COM user name is made of.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum UsernameFrom {
    Local,
    Whole,
}

/// One user template.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    /// Its accounts are CTI enabled: an extension is required, and only then allowed.
    #[serde(default)]
    pub(super) cti: bool,
}

/// What an error code means.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "says in the JSON Schema what ErrorPattern reads")]
struct ErrorPatternShape {
    /// Parts of the code, in their order, with "..." between them.
    pattern: String,
    /// "token", "credentials", "rights", "conflict", "not_found", "password", "validation" or "unknown".
    class: String,
}

/// The one filter that users/list demands.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListBy {
    /// Which filter: "security_profile", "unit", "group" or "business_unit".
    pub(super) filter: ListFilter,
    /// The member of the identifier: "id", "name" or "code".
    pub(super) by: String,
    /// Its value.
    pub(super) value: String,
}

/// A filter of users/list.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ListFilter {
    SecurityProfile,
    Unit,
    Group,
    BusinessUnit,
}
