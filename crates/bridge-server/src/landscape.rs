//! What a configuration describes, ready to be used: tenants with their schemas, targets with compiled rules and a
//! connector. Built at start and at every reload; nothing in it changes afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bridge_connectors::{CommonConfig, Connector, Manners, crm_com, glance, netsapiens};
use bridge_mapping::{MappingError, Rules, RulesConfig, TargetKind, extension_schema};
use bridge_store::Range as PoolRange;
use scim_model::{Catalog, ResourceType};

use crate::clock::Clock;
use crate::config::{Config, ConnectorConfig, Mode, PoolConfig, Profile, RequestLimit, TargetConfig, TenantConfig};
use crate::provisioning::secret_names;
use crate::worker::Lane;
use crate::worker::waves;

/// Every tenant of a configuration.
pub struct Landscape {
    /// The configuration it was built from.
    pub config: Config,
    tenants: BTreeMap<String, Arc<Tenant>>,
}

/// One customer: schemas, pools and targets.
pub struct Tenant {
    /// Its name, as in the URL.
    pub name: String,
    /// `{public_url}/t/{tenant}/scim/v2`, or `{public_url}/scim/v2` for the tenant named `default`.
    pub base_url: String,
    /// The schemas it advertises.
    pub catalog: Catalog,
    /// Whether a POST takes up an inactive user (`restore_on_create`).
    pub restore_on_create: bool,
    /// How fast each of its connections may send requests.
    pub requests: Option<RequestLimit>,
    /// Its pools by name.
    pub pools: BTreeMap<String, Pool>,
    /// Users with every extension that rules may read.
    pub users: ResourceType,
    /// The names of attributes whose values are secrets.
    pub secrets: Vec<String>,
    /// Its targets that are not retired, by name.
    pub targets: BTreeMap<String, Arc<Target>>,
    /// The names of those that are.
    pub retired: BTreeSet<String>,
    profiles: BTreeMap<String, Profile>,
}

/// A pool of scarce values.
#[derive(Debug, Clone)]
pub struct Pool {
    /// The values, in the order they are handed out.
    pub ranges: Vec<PoolRange>,
    /// The target that says whether a value is really free.
    pub confirmed_by: Option<String>,
    /// How long a confirmed value rests after its account is gone.
    pub cool_off: Duration,
}

/// One downstream system of one tenant.
pub struct Target {
    /// The name of its tenant.
    pub tenant: String,
    /// Its own name, which is its identity.
    pub name: String,
    /// What the configuration says of it.
    pub settings: TargetConfig,
    /// How resources become accounts there.
    pub rules: Rules,
    /// Speaks to it.
    pub connector: Arc<dyn Connector>,
    /// The targets whose account must be settled before one is made here.
    pub after: BTreeSet<String>,
    /// Its condition and its queue; survives a reload.
    pub lane: Arc<Lane>,
}

/// Why a configuration that was read cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LandscapeError {
    /// A rule, limit or setting of a target does not fit.
    #[error("tenants.{tenant}.targets.{target}.{error}")]
    Mapping {
        /// The tenant.
        tenant: String,
        /// The target.
        target: String,
        /// The key, the place in the rule, and what is wrong.
        error: Box<MappingError>,
    },
    /// The schemas of a tenant do not fit together.
    #[error("tenants.{tenant}.extensions: {error}")]
    Schema {
        /// The tenant.
        tenant: String,
        /// What is wrong.
        error: scim_model::SchemaError,
    },
    /// A pool is confirmed by a target that has no field for its values.
    #[error("tenants.{tenant}.pools.{pool}.confirmed_by: {}", no_use(target, pool))]
    Pool {
        /// The tenant.
        tenant: String,
        /// The pool.
        pool: String,
        /// The target.
        target: String,
    },
    /// A connector cannot be built from its configuration.
    #[error("tenants.{tenant}.targets.{target}: {error}")]
    Connector {
        /// The tenant.
        tenant: String,
        /// The target.
        target: String,
        /// What is wrong.
        error: bridge_connectors::ConfigError,
    },
    /// Targets wait for each other.
    #[error("tenants.{tenant}: these targets wait for each other: {}; set `after = []` on one of them", targets.join(", "))]
    Circle {
        /// The tenant.
        tenant: String,
        /// The targets of the circle.
        targets: Vec<String>,
    },
}

/// Why a target confirms nothing of a pool, and what to do.
pub(crate) fn no_use(target: &str, pool: &str) -> String {
    format!(
        "no rule of {target} uses assigned.{pool}, so it knows nothing of its values; name the target that has a field for them"
    )
}

impl Landscape {
    /// Compiles every rule and makes every connector; no network call is made. `lane_of` gives the lane of a target by
    /// tenant and name, an existing one where the target was there before.
    pub fn build(
        config: Config,
        clock: &Clock,
        mut lane_of: impl FnMut(&str, &str) -> Arc<Lane>,
    ) -> Result<Self, LandscapeError> {
        let mut tenants = BTreeMap::new();
        for (name, tenant) in &config.tenants {
            let tenant = Tenant::build(name, tenant, config.server.public_url.as_str(), clock, &mut lane_of)?;
            tenants.insert(name.clone(), Arc::new(tenant));
        }
        Ok(Self { config, tenants })
    }

    /// A tenant by the name in the URL.
    pub fn tenant(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(name)
    }

    /// All tenants, by name.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// All targets of all tenants.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.tenants.values().flat_map(|tenant| tenant.targets.values())
    }
}

impl Tenant {
    /// The pools that a rule of a target takes values from.
    pub fn used_pools(&self) -> BTreeSet<&String> {
        self.targets.values().flat_map(|target| target.rules.pools()).collect()
    }

    fn build(
        name: &str,
        config: &TenantConfig,
        public_url: &str,
        clock: &Clock,
        lane_of: &mut impl FnMut(&str, &str) -> Arc<Lane>,
    ) -> Result<Self, LandscapeError> {
        // Rules may read any target extension; only the listed ones are advertised.
        let all = Catalog::new(TargetKind::ALL.map(extension_schema).to_vec())
            .map_err(|error| LandscapeError::Schema { tenant: name.to_owned(), error })?;
        let catalog = Catalog::new(config.extensions.iter().map(|kind| extension_schema(*kind)).collect())
            .map_err(|error| LandscapeError::Schema { tenant: name.to_owned(), error })?;
        let active: BTreeMap<&String, &TargetConfig> =
            config.targets.iter().filter(|(_, target)| !target.retired).collect();
        let retired = config.targets.keys().filter(|target| !active.contains_key(target)).cloned().collect();
        let mut rules = BTreeMap::new();
        for (target, settings) in &active {
            let compiled = Rules::compile(&rules_config(settings, config), &all).map_err(|error| {
                LandscapeError::Mapping { tenant: name.to_owned(), target: (*target).clone(), error: Box::new(error) }
            })?;
            rules.insert((*target).clone(), compiled);
        }
        let users = all.resource_type("User").cloned().ok_or_else(|| LandscapeError::Schema {
            tenant: name.to_owned(),
            error: scim_model::SchemaError::Unfit { schema: "User".to_owned(), reason: "it is not there".to_owned() },
        })?;
        let pools = pools(config);
        for (pool, Pool { confirmed_by, .. }) in &pools {
            let confirming = confirmed_by.as_ref().and_then(|target| rules.get_key_value(target));
            if let Some((target, _)) = confirming.filter(|(_, rules)| !rules.pools().contains(pool)) {
                let (tenant, pool, target) = (name.to_owned(), pool.clone(), target.clone());
                return Err(LandscapeError::Pool { tenant, pool, target });
            }
        }
        let waves = waves::predecessors(&active, &config.pools, &rules)
            .map_err(|targets| LandscapeError::Circle { tenant: name.to_owned(), targets })?;
        let mut targets = BTreeMap::new();
        for (target, rules) in rules {
            let settings = active[&target].clone();
            let lane = lane_of(name, &target);
            let manners = lane.manners(settings.max_in_flight, settings.rate_per_second);
            let connector = connect(&settings, manners, clock).map_err(|error| LandscapeError::Connector {
                tenant: name.to_owned(),
                target: target.clone(),
                error,
            })?;
            let after = waves.get(&target).cloned().unwrap_or_default();
            let built =
                Target { tenant: name.to_owned(), name: target.clone(), settings, rules, connector, after, lane };
            targets.insert(target, Arc::new(built));
        }
        let (name, base_url, profiles) = (name.to_owned(), base_url(public_url, name), config.profiles.clone());
        let (restore_on_create, requests) = (config.restore_on_create, config.requests);
        let secrets = secret_names(&users);
        Ok(Self {
            name,
            base_url,
            catalog,
            restore_on_create,
            requests,
            pools,
            users,
            secrets,
            targets,
            retired,
            profiles,
        })
    }

    /// What a connection is forgiven.
    pub fn profile(&self, connection: &str) -> Profile {
        self.profiles.get(connection).copied().unwrap_or_default()
    }

    /// A resource type by its name, `User`, with the extensions that are advertised.
    pub fn resource_type(&self, name: &str) -> Option<&ResourceType> {
        self.catalog.resource_type(name)
    }
}

impl Target {
    /// Whether calls are made at all.
    pub fn sends(&self) -> bool {
        self.settings.mode == Mode::Send
    }

    /// What must stay the same as long as the target holds accounts: where they are. Compared by [`is_same_place`].
    pub fn fingerprint(&self) -> String {
        let place = match &self.settings.connection {
            ConnectorConfig::Glance(config) => config.partner_id.clone().unwrap_or_default(),
            ConnectorConfig::Netsapiens(config) => config.domain.clone(),
            ConnectorConfig::CrmCom(config) => match &config.credential {
                crm_com::Credential::Password { organisation, .. } => organisation.clone(),
                crm_com::Credential::WebApiKey(_) => String::new(),
            },
        };
        format!("{} {} {place}", self.settings.kind, self.settings.base_url)
    }
}

/// Whether two fingerprints can be one place: kind and address are equal, and so is the domain, group or organisation, where
/// both know it. A credential may or may not name it (a Web API key of CRM.COM does not), and another credential is not
/// another place.
pub fn is_same_place(one: &str, other: &str) -> bool {
    let (one, other) = (parts(one), parts(other));
    let is_same = |one: &str, other: &str| one.is_empty() || other.is_empty() || one.eq_ignore_ascii_case(other);
    one.0 == other.0 && one.1 == other.1 && is_same(one.2, other.2)
}

/// Whether a fingerprint names a domain, group or organisation.
pub fn names_place_within(fingerprint: &str) -> bool {
    !parts(fingerprint).2.is_empty()
}

/// Kind, address, and the domain, group or organisation.
fn parts(fingerprint: &str) -> (&str, &str, &str) {
    let (kind, rest) = fingerprint.split_once(' ').unwrap_or((fingerprint, ""));
    let (address, within) = rest.split_once(' ').unwrap_or((rest, ""));
    (kind, address.trim_end_matches('/'), within)
}

fn base_url(public_url: &str, tenant: &str) -> String {
    let root = public_url.trim_end_matches('/');
    match tenant {
        "default" => format!("{root}/scim/v2"),
        _ => format!("{root}/t/{tenant}/scim/v2"),
    }
}

fn pools(config: &TenantConfig) -> BTreeMap<String, Pool> {
    let range = |range: &crate::config::Range| PoolRange { first: range.first, last: range.last, width: range.width };
    let pool = |pool: &PoolConfig| Pool {
        ranges: pool.ranges.iter().map(range).collect(),
        confirmed_by: pool.confirmed_by.clone(),
        cool_off: pool.cool_off,
    };
    config.pools.iter().map(|(name, config)| (name.clone(), pool(config))).collect()
}

fn rules_config(target: &TargetConfig, tenant: &TenantConfig) -> RulesConfig {
    let cti_templates = match &target.connection {
        ConnectorConfig::CrmCom(config) => {
            config.templates.iter().filter(|(_, template)| template.cti).map(|(name, _)| name.clone()).collect()
        }
        ConnectorConfig::Glance(_) | ConnectorConfig::Netsapiens(_) => BTreeSet::new(),
    };
    RulesConfig {
        kind: target.kind,
        map: target.map.clone(),
        scope: target.scope.clone(),
        limits: target.limits.clone(),
        settings: target.settings.clone(),
        allow: target.allow.clone(),
        pools: tenant.pools.keys().cloned().collect(),
        cti_templates,
    }
}

fn connect(
    target: &TargetConfig,
    manners: Manners,
    clock: &Clock,
) -> Result<Arc<dyn Connector>, bridge_connectors::ConfigError> {
    let common = CommonConfig { base_url: target.base_url.clone(), timeout: target.timeout, manners };
    let clock = clock.clone();
    let now = Arc::new(move || clock.now());
    Ok(match &target.connection {
        ConnectorConfig::Glance(config) => Arc::new(glance::connect(&common, config.clone(), now)?),
        ConnectorConfig::Netsapiens(config) => Arc::new(netsapiens::connect(&common, config.clone(), now)?),
        ConnectorConfig::CrmCom(config) => Arc::new(crm_com::connect(&common, config.clone(), now)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_credential_is_no_other_place() {
        let check = |one: &str, other: &str, expected: bool| {
            assert_eq!(is_same_place(one, other), expected, "{one} and {other}");
            assert_eq!(is_same_place(other, one), expected, "{other} and {one}");
        };
        check("crm_com https://crm.example/ ", "crm_com https://crm.example/ ACME", true);
        check("crm_com https://crm.example/ Acme", "crm_com https://crm.example/ ACME", true);
        check("crm_com https://crm.example/ ACME", "crm_com https://crm.example/ OTHER", false);
        check("glance https://g.example/PAPI 98765", "glance https://g.example/PAPI/ ", true);
        check("glance https://g.example/PAPI 98765", "glance https://g.example/PAPI 98766", false);
        check("netsapiens https://p.example/ acme.example", "netsapiens https://q.example/ acme.example", false);
        check("glance https://p.example/ ", "netsapiens https://p.example/ ", false);
        check("crm_com https://crm.example/ ACME Group", "crm_com https://crm.example/ ACME", false);
    }
}
