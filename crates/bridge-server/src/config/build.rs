//! From the text of the file to [`Config`]: read, check each key, resolve secrets, check what refers to what. All problems are reported at once.

use std::{collections::BTreeMap, num::NonZeroU32, ops::RangeInclusive, path::Path, sync::Arc, time::Duration};

use bridge_connectors::CommonConfig;
use bridge_mapping::TargetKind;
use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};
use url::{Host, Url};

use super::{
    AlertsConfig, BrakeConfig, Config, ConfigError, ConfigProblem, Deprovision, Origin, PoolConfig, Position, Range,
    RequestLimit, SecretKey, ServerConfig, StoreConfig, StoreUrl, TargetConfig, TenantConfig, connection, defaults,
    file, indexed, locate, schema,
    secret::{AddressSource, STAND_IN, SecretSource, Secrets},
    unknown, values,
};

/// Identity providers give up after 60 s (okta.md section 2); the answer needs time too.
const LONGEST_WAIT: Duration = Duration::from_secs(50);

/// A connection that paused may send at once what it was allowed in so many seconds.
const BURST_SECONDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// authentik sends as many members per request as `bulk.maxOperations` says (others.md section 8): never one by one.
const MOST_BULK_OPERATIONS: RangeInclusive<usize> = 2..=10_000;

/// Reads `text`; relative paths start at `base`.
pub(super) fn config(text: &str, base: &Path, secrets: Secrets<'_>) -> Result<Config, ConfigError> {
    read(text, base, secrets, |reader| reader.file().and_then(|file| reader.config(file)))
}

/// Reads `server.admin_token` of `text`, and fetches no other secret.
pub(super) fn admin_token(text: &str, base: &Path) -> Result<Option<SecretString>, ConfigError> {
    read(text, base, Secrets::Fetch, |reader| {
        let server = reader.table::<file::Server>(reader.document, "", "server")?.unwrap_or_default();
        match &server.admin_token {
            Some(source) => reader.secret(&["server", "admin_token"], source).map(Some),
            None => Some(None),
        }
    })
}

fn read<T>(
    text: &str,
    base: &Path,
    secrets: Secrets<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
) -> Result<T, ConfigError> {
    let document =
        DeTable::parse(text).map_err(|error| ConfigError::new(vec![problem_of(text, "", &error)]))?.into_inner();
    let unknown = unknown::keys(text, &document, &schema::INLINED);
    if !unknown.is_empty() {
        return Err(ConfigError::new(unknown));
    }
    let mut reader = Reader { text, document: &document, base, secrets, problems: Vec::new() };
    match read(&mut reader) {
        Some(found) if reader.problems.is_empty() => Ok(found),
        _ => Err(ConfigError::new(reader.problems)),
    }
}

/// A problem that the TOML reader found below the table `path`.
fn problem_of(text: &str, path: &str, error: &toml::de::Error) -> ConfigProblem {
    let position = error.span().map(|span| Position::of(text, span.start));
    ConfigProblem { position, key: path.to_owned(), message: error.message().to_owned() }
}

/// Reads one document and gathers what is wrong with it.
pub(super) struct Reader<'text> {
    text: &'text str,
    document: &'text DeTable<'text>,
    base: &'text Path,
    secrets: Secrets<'text>,
    problems: Vec<ConfigProblem>,
}

impl<'text> Reader<'text> {
    /// Notes that something is wrong with the key at the end of `path`.
    pub(super) fn problem(&mut self, path: &[&str], message: &str) {
        let position = locate::span(self.document, path).map(|span| Position::of(self.text, span.start));
        self.problems.push(ConfigProblem { position, key: path.join("."), message: message.to_owned() });
    }

    /// Fetches a secret, or notes why it cannot be had.
    pub(super) fn secret(&mut self, path: &[&str], source: &SecretSource) -> Option<SecretString> {
        if !self.secrets.are_fetched_at(path) {
            return Some(SecretString::from(STAND_IN));
        }
        source.resolve(self.base).map_err(|message| self.problem(path, &message)).ok()
    }

    // From text to the shape of the file.

    fn file(&mut self) -> Option<file::File> {
        let server = self.table::<file::Server>(self.document, "", "server").map(Option::unwrap_or_default);
        let store = self.table::<file::Store>(self.document, "", "store").map(Option::unwrap_or_default);
        let alerts = self.table::<file::Alerts>(self.document, "", "alerts");
        let tenants = self.named_tables(self.document, "", "tenants", Self::tenant);
        Some(file::File { server: server?, store: store?, alerts: alerts?, tenants: tenants? })
    }

    fn tenant(&mut self, path: &str, tenant: &Spanned<DeValue<'text>>) -> Option<file::Tenant> {
        let table = self.as_table(path, tenant)?.clone();
        let extensions = self.table::<Vec<TargetKind>>(&table, path, "extensions").map(Option::unwrap_or_default);
        let restore_on_create = self.table::<bool>(&table, path, "restore_on_create").map(Option::unwrap_or_default);
        let limits = self.table::<file::RequestLimits>(&table, path, "limits").map(Option::unwrap_or_default);
        let pools =
            self.named_tables(&table, path, "pools", |reader, path, value| reader.value::<file::Pool>(path, value));
        let connections = self.named_tables(&table, path, "connections", |reader, path, value| {
            reader.value::<file::ConnectionKeys>(path, value)
        });
        let targets = self.named_tables(&table, path, "targets", Self::target);
        let (extensions, restore_on_create, limits) = (extensions?, restore_on_create?, limits?);
        let (pools, connections, targets) = (pools?, connections?, targets?);
        Some(file::Tenant { extensions, restore_on_create, limits, pools, connections, targets })
    }

    fn target(&mut self, path: &str, target: &Spanned<DeValue<'text>>) -> Option<file::Target> {
        #[derive(Deserialize)]
        struct Kind {
            kind: TargetKind,
        }
        let Kind { kind } = self.value(path, target)?;
        let names: Vec<&str> = path.split('.').chain(["scope", "groups"]).collect();
        let scope = self.as_table(path, target).and_then(|table| entry(table, "scope")).map(Spanned::get_ref);
        if let Some(DeValue::Table(scope)) = scope
            && let Some(DeValue::Array(groups)) = entry(scope, "groups").map(Spanned::get_ref)
            && groups.is_empty()
        {
            self.problem(&names, "is empty; name the groups, or leave the key out: then everybody has an account here");
        }
        let common = self.value(path, target);
        let connection = match kind {
            TargetKind::Glance => self.value(path, target).map(file::Connection::Glance),
            TargetKind::Netsapiens => self.value(path, target).map(file::Connection::Netsapiens),
            TargetKind::CrmCom => self.value(path, target).map(file::Connection::CrmCom),
        };
        Some(file::Target { common: common?, connection: connection? })
    }

    /// Reads `value` as a `T`. Of a table every wrong entry is noted: it is set aside, and the rest read again.
    fn value<T: DeserializeOwned>(&mut self, path: &str, value: &Spanned<DeValue<'text>>) -> Option<T> {
        let mut rest = value.clone();
        let mut aside: Vec<String> = Vec::new();
        loop {
            let error = match T::deserialize(ValueDeserializer::from(rest.clone())) {
                Ok(read) => return aside.is_empty().then_some(read),
                Err(error) => error,
            };
            if aside.iter().any(|name| error.message() == format!("missing field `{name}`")) {
                return None;
            }
            let (DeValue::Table(table), Some(span)) = (rest.get_mut(), error.span()) else {
                self.problems.push(problem_of(self.text, path, &error));
                return None;
            };
            // What is missing is told of the table, which begins where its first entry may.
            let is_missing = error.message().starts_with("missing field");
            let inner = if is_missing { Vec::new() } else { locate::path_at(table, span.start) };
            let key: Vec<&str> = std::iter::once(path).chain(inner.iter().map(String::as_str)).collect();
            self.problems.push(problem_of(self.text, &key.join("."), &error));
            let name = inner.into_iter().next()?;
            table.remove(name.as_str());
            aside.push(name);
        }
    }

    /// Reads the entry `name` of the table at `path`: outer `None` is a problem, inner `None` an absent entry.
    fn table<T: DeserializeOwned>(&mut self, table: &DeTable<'text>, path: &str, name: &str) -> Option<Option<T>> {
        match entry(table, name) {
            Some(value) if path.is_empty() => self.value(name, value).map(Some),
            Some(value) => self.value(&format!("{path}.{name}"), value).map(Some),
            None => Some(None),
        }
    }

    /// Reads a table of tables by name; all of them, even after a bad one.
    fn named_tables<T>(
        &mut self,
        parent: &DeTable<'text>,
        path: &str,
        name: &str,
        mut read: impl FnMut(&mut Self, &str, &Spanned<DeValue<'text>>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let Some(value) = entry(parent, name) else { return Some(BTreeMap::new()) };
        let entries = self.as_table(&path, value)?;
        let read: Vec<_> = entries
            .iter()
            .map(|(key, value)| {
                Some((key.get_ref().to_string(), read(self, &format!("{path}.{}", key.get_ref()), value)?))
            })
            .collect();
        read.into_iter().collect()
    }

    fn as_table<'value>(
        &mut self,
        path: &str,
        value: &'value Spanned<DeValue<'text>>,
    ) -> Option<&'value DeTable<'text>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                let position = Some(Position::of(self.text, value.span().start));
                let message = format!("is a table of names, not a {}", other.type_str());
                self.problems.push(ConfigProblem { position, key: path.to_owned(), message });
                None
            }
        }
    }

    // From the shape of the file to the configuration.

    fn config(&mut self, file: file::File) -> Option<Config> {
        let server = self.server(file.server);
        let store = self.store(file.store);
        let alerts = file.alerts.map(|alerts| self.alerts(alerts));
        let tenants: Vec<_> = file.tenants.into_iter().map(|(name, tenant)| self.tenant_config(name, tenant)).collect();
        let tenants = tenants.into_iter().collect::<Option<BTreeMap<_, _>>>();
        let origin = Origin { path: None, base: self.base.to_owned(), text: Arc::from(self.text) };
        Some(Config { server: server?, store: store?, alerts: alerts.flatten(), tenants: tenants?, origin })
    }

    fn server(&mut self, server: file::Server) -> Option<ServerConfig> {
        let admin_token = server.admin_token.as_ref().map(|source| self.secret(&["server", "admin_token"], source));
        if !server.admin_listen.ip().is_loopback() && admin_token.is_none() {
            self.problem(&["server", "admin_token"], "is missing; beyond loopback the admin API needs a bearer token");
        }
        if server.wait.0 > LONGEST_WAIT {
            self.problem(&["server", "wait"], "is at most 50s; identity providers give up after 60 s");
        }
        if server.max_body.0 < 1024 {
            self.problem(&["server", "max_body"], "is at least 1KiB");
        }
        if !MOST_BULK_OPERATIONS.contains(&server.bulk_max_operations) {
            self.problem(&["server", "bulk_max_operations"], "is at least 2 and at most 10000");
        }
        if server.bulk_max_payload.0 < 1024 {
            self.problem(&["server", "bulk_max_payload"], "is at least 1KiB");
        }
        if server.listen == server.admin_listen && server.listen.port() != 0 {
            self.problem(&["server", "admin_listen"], "is the address of listen; give the admin server another port");
        }
        let public_url_is_given = server.public_url.is_some();
        if server.listen.ip().is_unspecified() && !public_url_is_given {
            self.problem(
                &["server", "public_url"],
                "is missing; listen is every address of this machine, clients need one",
            );
        }
        let public_url = match server.public_url {
            Some(url) => {
                self.plain_url(&["server", "public_url"], &url);
                url
            }
            None => Url::parse(&format!("http://{}", server.listen)).ok()?,
        };
        Some(ServerConfig {
            listen: server.listen,
            admin_listen: server.admin_listen,
            public_url,
            public_url_is_given,
            wait: server.wait.0,
            max_body: server.max_body.0,
            bulk_max_operations: server.bulk_max_operations,
            bulk_max_payload: server.bulk_max_payload.0.min(server.max_body.0),
            admin_token: admin_token.flatten(),
            workers: server.workers.map(usize::from),
            shutdown_grace: server.shutdown_grace.0,
        })
    }

    fn store(&mut self, store: file::Store) -> Option<StoreConfig> {
        let url = self.store_url(&store.url);
        let mut keys = Vec::new();
        let are_fetched = self.secrets.are_fetched_at(&["store", "keys"]);
        let sources = if are_fetched { store.keys.as_slice() } else { &[] };
        for source in sources {
            if let Some(text) = self.secret(&["store", "keys"], source) {
                match SecretKey::from_base64(secrecy::ExposeSecret::expose_secret(&text)) {
                    Ok(key) => keys.push(key),
                    Err(message) => self.problem(&["store", "keys"], &message),
                }
            }
        }
        for problem in indexed::problems(&store.index) {
            self.problem(&["store", "index"], &problem);
        }
        Some(StoreConfig {
            url: url?,
            keys,
            keys_are_given: !store.keys.is_empty(),
            journal_days: store.journal_days.get(),
            deleted_days: store.deleted_days.get(),
            audit_days: store.audit_days.get(),
            index: store.index,
        })
    }

    fn store_url(&mut self, text: &str) -> Option<StoreUrl> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.trim_start_matches("//").is_empty() => {
                Some(StoreUrl::Sqlite(self.base.join(path.trim_start_matches("//"))))
            }
            Some(("postgres" | "postgresql", _)) => {
                self.problem(
                    &["store", "url"],
                    "PostgreSQL is not built into this release; write \"sqlite:bridge.db\"",
                );
                None
            }
            _ => {
                self.problem(&["store", "url"], "is \"sqlite:PATH\"");
                None
            }
        }
    }

    fn alerts(&mut self, alerts: file::Alerts) -> Option<AlertsConfig> {
        let path = ["alerts", "webhook"];
        let webhook = match alerts.webhook {
            AddressSource::Plain(url) => url,
            AddressSource::Secret(source) => {
                let text = self.secret(&path, &source)?;
                let text = secrecy::ExposeSecret::expose_secret(&text);
                let text = if text == STAND_IN { "https://not-fetched.invalid/" } else { text };
                values::parse_url(text).map_err(|message| self.problem(&path, &message)).ok()?
            }
        };
        self.web_url(&path, &webhook);
        self.safe_url(&path, &webhook);
        let token = match &alerts.token {
            Some(source) => Some(self.secret(&["alerts", "token"], source)?),
            None => None,
        };
        Some(AlertsConfig { webhook, token })
    }

    fn tenant_config(&mut self, name: String, tenant: file::Tenant) -> Option<(String, TenantConfig)> {
        let path = ["tenants", name.as_str()];
        if !is_name(&name, "-") {
            self.problem(&path, "a tenant's name is part of its URL: up to 63 lower-case letters, digits and dashes, a letter or digit first");
        }
        let names: Vec<String> = tenant.targets.keys().cloned().collect();
        let orders: BTreeMap<String, Vec<String>> = tenant
            .targets
            .iter()
            .map(|(target, keys)| (target.clone(), keys.common.after.clone().unwrap_or_default()))
            .collect();
        self.order(&name, &orders);
        let pools: Vec<_> = tenant
            .pools
            .into_iter()
            .map(|(pool, keys)| (pool.clone(), self.pool(&name, &pool, keys, &names)))
            .collect();
        let targets: Vec<_> = tenant
            .targets
            .into_iter()
            .map(|(target, keys)| (target.clone(), self.target_config(&name, &target, keys, &names)))
            .collect();
        let targets =
            targets.into_iter().map(|(target, config)| Some((target, config?))).collect::<Option<BTreeMap<_, _>>>()?;
        let profiles = tenant.connections.into_iter().map(|(name, keys)| (name, keys.profile)).collect();
        let config = TenantConfig {
            extensions: tenant.extensions,
            restore_on_create: tenant.restore_on_create,
            requests: request_limit(&tenant.limits),
            pools: pools.into_iter().collect(),
            profiles,
            targets,
        };
        Some((name, config))
    }

    /// Checks that `after` names other targets and never leads back.
    fn order(&mut self, tenant: &str, orders: &BTreeMap<String, Vec<String>>) {
        for (target, after) in orders {
            let path = ["tenants", tenant, "targets", target, "after"];
            for earlier in after {
                if !orders.contains_key(earlier) {
                    self.problem(&path, &no_such_target(earlier, orders.keys().map(String::as_str)));
                }
            }
            if let Some(circle) = circle(target, orders) {
                self.problem(&path, &format!("leads back to itself: {}", circle.join(" after ")));
            }
        }
    }

    fn pool(&mut self, tenant: &str, name: &str, pool: file::Pool, targets: &[String]) -> PoolConfig {
        let path = ["tenants", tenant, "pools", name];
        let key = |key| [path[0], path[1], path[2], path[3], key];
        if !is_name(name, "_") {
            self.problem(&path, "a pool's name is used as assigned.NAME: up to 63 lower-case letters, digits and underscores, a letter first");
        }
        let ranges: Vec<Range> = pool.ranges.into_iter().map(|range| range.0).collect();
        if ranges.is_empty() {
            self.problem(&key("ranges"), "is empty; write [\"1000-1999\"]");
        }
        for (position, range) in ranges.iter().enumerate() {
            if ranges[..position].iter().any(|earlier| {
                earlier.width == range.width && earlier.first <= range.last && range.first <= earlier.last
            }) {
                self.problem(&key("ranges"), &format!("{range} overlaps an earlier range"));
            }
        }
        if let Some(target) = &pool.confirmed_by
            && !targets.contains(target)
        {
            self.problem(&key("confirmed_by"), &no_such_target(target, targets.iter().map(String::as_str)));
        }
        PoolConfig { ranges, confirmed_by: pool.confirmed_by, cool_off: pool.cool_off.0 }
    }

    fn target_config(
        &mut self,
        tenant: &str,
        name: &str,
        target: file::Target,
        targets: &[String],
    ) -> Option<TargetConfig> {
        let path = ["tenants", tenant, "targets", name];
        let key = |key| [path[0], path[1], path[2], path[3], key];
        if !is_name(name, "-_") {
            self.problem(&path, "a target's name is up to 63 lower-case letters, digits, dashes and underscores, a letter or digit first");
        }
        let file::Target { common, connection } = target;
        let kind = connection.kind();
        let base_url = self.base_url(&key("base_url"), kind, common.base_url);
        for (field, deprovision) in [
            ("on_deactivate", Some(common.on_deactivate)),
            ("on_delete", common.on_delete),
            ("on_unscoped", Some(common.on_unscoped)),
        ] {
            if kind == TargetKind::CrmCom && deprovision == Some(Deprovision::Delete) {
                self.problem(&key(field), "crm_com has no way to delete a user; write \"suspend\" or \"keep\"");
            }
        }
        if common.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
            self.problem(&key("timeout"), "is more than zero");
        }
        if common.brake.window.0.is_zero() {
            self.problem(&[path[0], path[1], path[2], path[3], "brake", "window"], "is more than zero");
        }
        if let Some(old) = &common.renamed_from
            && targets.contains(old)
        {
            self.problem(&key("renamed_from"), &format!("the target {old} is still here"));
        }
        let connection = connection::read(self, &path, connection);
        let base_url = base_url?;
        let connection = connection?;
        let usual = CommonConfig::for_kind(kind, base_url);
        let mut settings = connection.settings;
        settings.extend(common.settings);
        Some(TargetConfig {
            kind,
            base_url: usual.base_url,
            required: common.required,
            mode: common.mode,
            adopt: common.adopt,
            on_deactivate: common.on_deactivate,
            on_delete: common.on_delete.unwrap_or_else(|| defaults::on_delete(kind)),
            on_unscoped: common.on_unscoped,
            on_rekey: common.on_rekey,
            after: common.after,
            timeout: common.timeout.map_or(usual.timeout, |timeout| timeout.0),
            max_in_flight: common.max_in_flight.map_or(usual.manners.max_in_flight(), usize::from),
            rate_per_second: common.rate_per_second.unwrap_or(usual.manners.rate_per_second()),
            settle_lag: common.settle_lag.map_or_else(|| defaults::settle_lag(kind), |lag| lag.0),
            group_wait: common.group_wait.0,
            brake: BrakeConfig {
                count: Some(common.brake.count).filter(|count| *count > 0),
                share: common.brake.share.map(|share| share.0),
                window: common.brake.window.0,
            },
            retired: common.retired,
            renamed_from: common.renamed_from,
            limits: common.limits,
            map: common.map,
            scope: common.scope,
            settings,
            allow: connection.allow,
            connection: connection.config,
        })
    }

    fn base_url(&mut self, path: &[&str], kind: TargetKind, given: Option<Url>) -> Option<Url> {
        let Some(mut url) = given.or_else(|| Url::parse(defaults::base_url(kind)?).ok()) else {
            self.problem(path, &format!("is missing; each {kind} installation has its own address"));
            return None;
        };
        self.plain_url(path, &url);
        self.safe_url(path, &url);
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Some(url)
    }

    /// An address of a server and a path, nothing else.
    fn plain_url(&mut self, path: &[&str], url: &Url) {
        if self.web_url(path, url) && (url.query().is_some() || url.fragment().is_some()) {
            self.problem(path, "ends with the path; it has no query and no fragment");
        }
    }

    /// Whether it is an address of the web without user name and password; otherwise that is a problem.
    fn web_url(&mut self, path: &[&str], url: &Url) -> bool {
        let problem = if !matches!(url.scheme(), "http" | "https") {
            "starts with https://"
        } else if !url.username().is_empty() || url.password().is_some() {
            "holds a credential; credentials have their own keys"
        } else {
            return true;
        };
        self.problem(path, problem);
        false
    }

    /// Credentials travel only over https, or within this machine.
    fn safe_url(&mut self, path: &[&str], url: &Url) {
        if url.scheme() == "http" && !is_loopback(url) {
            self.problem(
                path,
                "starts with https://; plain http is for loopback only, because a credential is sent along",
            );
        }
    }
}

impl file::Connection {
    fn kind(&self) -> TargetKind {
        match self {
            Self::Glance(_) => TargetKind::Glance,
            Self::Netsapiens(_) => TargetKind::Netsapiens,
            Self::CrmCom(_) => TargetKind::CrmCom,
        }
    }
}

/// None where there is no limit.
fn request_limit(limits: &file::RequestLimits) -> Option<RequestLimit> {
    let per_second = NonZeroU32::new(limits.requests_per_second)?;
    Some(RequestLimit { per_second, burst: limits.burst.unwrap_or_else(|| per_second.saturating_mul(BURST_SECONDS)) })
}

fn entry<'table, 'text>(table: &'table DeTable<'text>, name: &str) -> Option<&'table Spanned<DeValue<'text>>> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
}

/// Lower-case letters, digits and `others`; at most 63; never one of `others` first.
fn is_name(text: &str, others: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.starts_with(is_plain)
        && text.chars().all(|letter| is_plain(letter) || others.contains(letter))
}

/// Whether an address is on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn no_such_target<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match unknown::nearest(name, known.clone()) {
        Some(near) => format!("there is no target {name:?}; did you mean {near:?}?"),
        None => format!("there is no target {name:?}; there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// The way from `start` along `after` back to `start`, if there is one.
fn circle<'a>(start: &'a str, orders: &'a BTreeMap<String, Vec<String>>) -> Option<Vec<&'a str>> {
    fn walk<'a>(name: &'a str, start: &str, orders: &'a BTreeMap<String, Vec<String>>, way: &mut Vec<&'a str>) -> bool {
        way.push(name);
        for earlier in orders.get(name).into_iter().flatten() {
            if earlier == start {
                way.push(earlier);
                return true;
            }
            if !way.contains(&earlier.as_str()) && walk(earlier, start, orders, way) {
                return true;
            }
        }
        way.pop();
        false
    }
    let mut way = Vec::new();
    walk(start, start, orders, &mut way).then_some(way)
}
