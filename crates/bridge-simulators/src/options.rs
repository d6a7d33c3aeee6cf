//! How the simulators are started: addresses, time, and what each vendor's installation looks like.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;

/// Settings of all three simulators. The default is loopback, free ports, no latency and the wall clock.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on.
    pub address: IpAddr,
    /// Port of each simulator; 0 takes a free one.
    pub ports: Ports,
    /// How late every API answer leaves (the work itself is done on arrival). Control calls are not delayed.
    pub latency: Duration,
    /// Where the simulators' clock stands. `None` follows the wall clock; `Some` stands still. Both can be advanced.
    pub now: Option<Timestamp>,
    /// How many calls the log keeps; the oldest are dropped first.
    pub calls_kept: usize,
    /// The Glance group.
    pub glance: GlanceOptions,
    /// The NetSapiens server.
    pub netsapiens: NetsapiensOptions,
    /// The CRM.COM installation.
    pub crm_com: CrmComOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: Ports::default(),
            latency: Duration::ZERO,
            now: None,
            calls_kept: 100_000,
            glance: GlanceOptions::default(),
            netsapiens: NetsapiensOptions::default(),
            crm_com: CrmComOptions::default(),
        }
    }
}

/// One port for each simulator; 0 takes a free one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// Port of the Glance simulator.
    pub glance: u16,
    /// Port of the NetSapiens simulator.
    pub netsapiens: u16,
    /// Port of the CRM.COM simulator.
    pub crm_com: u16,
}

/// What the Glance group looks like (dossier sections 4, 5, 10 and 13).
#[derive(Clone, Debug)]
pub struct GlanceOptions {
    /// What every Glance Address must end in.
    pub address_suffix: String,
    /// Roles made in the portal beforehand; any other is refused.
    pub roles: Vec<String>,
    /// Longest `UserRole` in characters: 31 (the portable limit) or 70.
    pub role_limit: usize,
    /// Most users in the group; `None` is without limit.
    pub seats: Option<usize>,
    /// What an empty field does in `UpdateUser.asp` (not documented): `false` leaves the value, `true` clears it.
    /// An empty `UserRole` always clears.
    pub empty_clears: bool,
    /// Whether `ShowUsers.asp` tells who is suspended (its elements are not documented).
    pub shows_suspended: bool,
}

impl Default for GlanceOptions {
    fn default() -> Self {
        Self {
            address_suffix: ".glance.net".to_owned(),
            roles: ["Agent", "Host", "Sales", "Supervisor", "Support"].map(str::to_owned).to_vec(),
            role_limit: 31,
            seats: None,
            empty_clears: false,
            shows_suspended: true,
        }
    }
}

/// Which release the NetSapiens server pretends to be (dossier section 4, rows 11, 25, 39 and 41).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PbxVersion {
    /// 44.3: spells `directory-annouce-in-dial-by-name-enabled`, has no `/users/list`, writes the scope `No Portal `
    /// with a space at its end.
    V44,
    /// 45.0.
    #[default]
    V45,
}

/// What the NetSapiens server and its domain look like (dossier sections 3 to 8 and 14).
#[derive(Clone, Debug)]
pub struct NetsapiensOptions {
    /// The release.
    pub version: PbxVersion,
    /// How long a write that was answered 202 stays invisible to reads, on the simulators' clock.
    pub replication_lag: Duration,
    /// Ignore fields that the release does not know instead of answering 400 (not documented which is right).
    pub ignore_unknown_fields: bool,
    /// Refuse a PUT that leaves out one of the four required fields, as the schema says; real servers were seen to
    /// keep the old values.
    pub strict_put: bool,
    /// Take `voicemail-login-pin`, `caller-id-number` and `caller-id-number-emergency` only as integers, like early
    /// v44 servers.
    pub numbers_as_integers: bool,
    /// Apply the assumed lengths of section 14 (names 64, e-mail 255, department 64, site 64, login 128).
    pub assumed_limits: bool,
    /// `POST /tokens` is unknown (404); only the form-encoded `/ns-api/oauth2/token/` answers.
    pub legacy_tokens_only: bool,
    /// Dial plans that exist, beside the one named like the domain.
    pub dial_plans: Vec<String>,
    /// Dial policies that exist; the first is the domain's default.
    pub dial_policies: Vec<String>,
    /// Emergency address ids that exist.
    pub emergency_addresses: Vec<String>,
    /// `limits-max-users` of each domain; 0 or less is without limit.
    pub max_users: i64,
    /// `limits-max-sites` of each domain; 0 or less is without limit.
    pub max_sites: i64,
    /// `is-domain-locked`: every write is 403.
    pub domain_locked: bool,
}

impl Default for NetsapiensOptions {
    fn default() -> Self {
        Self {
            version: PbxVersion::default(),
            replication_lag: Duration::ZERO,
            ignore_unknown_fields: false,
            strict_put: false,
            numbers_as_integers: false,
            assumed_limits: true,
            legacy_tokens_only: false,
            dial_plans: vec!["Restricted".to_owned()],
            dial_policies: ["US and Canada", "Permit All", "Deny All"].map(str::to_owned).to_vec(),
            emergency_addresses: vec!["5f3c0de1".to_owned()],
            max_users: 0,
            max_sites: 0,
            domain_locked: false,
        }
    }
}

/// A user template of CRM.COM: what it supplies to a user that is created from it.
#[derive(Clone, Debug)]
pub struct UserTemplate {
    /// 32 upper-case hex digits.
    pub id: String,
    /// Name, exact.
    pub name: String,
    /// The user's account is CTI enabled: the phone extension is then required.
    pub cti_enabled: bool,
    /// Name of the security profile.
    pub security_profile: String,
}

/// The installation's password policy (dossier section 8): least counts of each kind of character.
#[derive(Clone, Copy, Debug)]
pub struct PasswordPolicy {
    /// Least number of characters.
    pub length: usize,
    /// Least number of letters.
    pub letters: usize,
    /// Least number of digits.
    pub digits: usize,
    /// Least number of other characters.
    pub others: usize,
}

/// What the CRM.COM installation looks like (dossier sections 2, 3, 7, 8 and 13).
#[derive(Clone, Debug)]
pub struct CrmComOptions {
    /// The user templates.
    pub templates: Vec<UserTemplate>,
    /// The password policy.
    pub password_policy: PasswordPolicy,
    /// Apply the assumed rules of section 8 and 13: user names of 3 to 50 characters of a small set, other texts of
    /// at most 100 characters.
    pub assumed_limits: bool,
    /// Refuse an e-mail address that another user has.
    pub unique_email: bool,
    /// Refuse a user without e-mail address.
    pub email_required: bool,
    /// Answer `users/show` of an unknown user with `OK` and null data instead of an error code.
    pub not_found_as_null: bool,
    /// `users/list` answers an object with this member around the array; `None` is the bare array.
    pub list_wrapper: Option<String>,
    /// Write the numeric claims of the token as strings, as in the vendor's samples.
    pub claims_as_strings: bool,
    /// The deprecated methods `users/create` and `users/change_password` are gone (HTTP 404).
    pub without_deprecated_methods: bool,
    /// A custom method that changes a user, such as `users/update`; `None` (the product as sold) has none.
    pub update_method: Option<String>,
}

impl Default for CrmComOptions {
    fn default() -> Self {
        let template = |id: &str, name: &str, cti_enabled, security_profile: &str| UserTemplate {
            id: id.to_owned(),
            name: name.to_owned(),
            cti_enabled,
            security_profile: security_profile.to_owned(),
        };
        Self {
            templates: vec![
                template("A0000000000000000000000000000001", "Agent", false, "Agent"),
                template("A0000000000000000000000000000002", "Contact centre agent", true, "Agent"),
                template("A0000000000000000000000000000003", "Supervisor", false, "Supervisor"),
            ],
            password_policy: PasswordPolicy { length: 8, letters: 2, digits: 2, others: 1 },
            assumed_limits: true,
            unique_email: false,
            email_required: false,
            not_found_as_null: false,
            list_wrapper: None,
            claims_as_strings: false,
            without_deprecated_methods: false,
            update_method: None,
        }
    }
}
