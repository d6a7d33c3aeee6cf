//! `check`: is the configuration good? With `--online`, are the targets where it says, and do they know us?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge_mapping::TargetKind;
use bridge_store::{Credential, Store, StoreError, TargetPlace};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Exit, Output, table};
use crate::bridge::misfit;
use crate::clock::Clock;
use crate::config::{self, Config, ConfigError, ConfigProblem, ConnectorConfig, Deprovision, StoreUrl};
use crate::explain;
use crate::forewarning;
use crate::landscape::{Landscape, LandscapeError, Target, Tenant, is_same_place, no_use};

/// Is the configuration good?
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The configuration file.
    #[arg(long, value_name = "FILE", required_unless_present = "print_schema")]
    config: Option<PathBuf>,
    /// Make the cheapest call to each target that proves address and credential.
    #[arg(long)]
    online: bool,
    /// Print the JSON Schema of the configuration file, and do nothing else.
    #[arg(long)]
    print_schema: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        if self.print_schema {
            Output::new(true).json(&config::json_schema())?;
            return Ok(Exit::Done);
        }
        let Some(path) = self.config else { anyhow::bail!("--config says which file") };
        let out = Output::new(self.json);
        let landscape = match load(&path) {
            Ok(landscape) => landscape,
            Err(error) => {
                out.json(&json!({ "ok": false, "file": path, "problems": problems(&error) }))?;
                out.line(&error)?;
                return Ok(Exit::Failed);
            }
        };
        let known = Known::of(&landscape);
        if let Ok(known) = &known
            && let misfits = known.misfits(&landscape)
            && !misfits.is_empty()
        {
            let error = ConfigError::new(misfits).in_file(&path);
            out.json(&json!({ "ok": false, "file": path, "problems": problems(&error) }))?;
            out.line(&error)?;
            return Ok(Exit::Failed);
        }
        let mut probes = Vec::new();
        if self.online {
            for target in landscape.targets() {
                probes.push(probe(target).await);
            }
        }
        let is_ok = probes.iter().all(|probe| probe.error.is_none());
        let mut warnings = warnings(&landscape);
        match known {
            Ok(known) => warnings.extend(known.warnings(&landscape, Clock::system().now())),
            Err(error) => warnings.push(format!("store.url: whether this fits the database is not known: {error}")),
        }
        out.json(&json!({ "ok": is_ok, "file": path, "warnings": warnings, "tenants": tenants(&landscape, &probes) }))?;
        for line in lines(&path, &landscape, &probes) {
            out.line(line)?;
        }
        for warning in warnings {
            out.line(format_args!("warning: {warning}"))?;
        }
        Ok(if is_ok { Exit::Done } else { Exit::Failed })
    }
}

/// Reads the file and compiles its rules. All that is wrong with it is reported at once.
fn load(path: &Path) -> Result<Landscape, ConfigError> {
    compile(Config::load(path)?).map_err(|error| error.in_file(path))
}

/// Compiles every rule of every target; the problems of all targets together.
pub(super) fn compile(config: Config) -> Result<Landscape, ConfigError> {
    let mut problems = Vec::new();
    let mut rest = config.clone();
    let clock = Clock::system();
    loop {
        let (tenant, target, problem) = match Landscape::build(rest.clone(), &clock, |_, _| Arc::default()) {
            Ok(landscape) if problems.is_empty() => return Ok(landscape),
            Ok(_) => return Err(ConfigError::new(problems)),
            Err(LandscapeError::Mapping { tenant, target, error }) => {
                let message = error.to_string();
                let message = message.strip_prefix(&format!("{}: ", error.key)).unwrap_or(&message).to_owned();
                let problem = at(&config, &tenant, &target, &error.key, message);
                (tenant, target, problem)
            }
            Err(LandscapeError::Pool { tenant, pool, target }) => {
                let path = ["tenants", &tenant, "pools", &pool, "confirmed_by"];
                let (position, key, message) = (config.position(&path), path.join("."), no_use(&target, &pool));
                (tenant, target, ConfigProblem { position, key, message })
            }
            Err(LandscapeError::Connector { tenant, target, error }) => {
                let problem = at(&config, &tenant, &target, "", error.to_string());
                (tenant, target, problem)
            }
            Err(other) => {
                problems.push(ConfigProblem { position: None, key: String::new(), message: other.to_string() });
                return Err(ConfigError::new(problems));
            }
        };
        problems.push(problem);
        // Set aside, so that the others are looked at too.
        match rest.tenants.get_mut(&tenant).and_then(|tenant| tenant.targets.get_mut(&target)) {
            Some(target) => target.retired = true,
            None => return Err(ConfigError::new(problems)),
        }
    }
}

/// A problem of a key below a target's table.
fn at(config: &Config, tenant: &str, target: &str, key: &str, message: String) -> ConfigProblem {
    let mut path = vec!["tenants", tenant, "targets", target];
    path.extend(key.splitn(2, '.').filter(|part| !part.is_empty()));
    ConfigProblem { position: config.position(&path), key: path.join("."), message }
}

/// What is allowed and probably not meant.
fn warnings(landscape: &Landscape) -> Vec<String> {
    let mut warnings = Vec::new();
    if landscape.tenants().next().is_none() {
        warnings.push("there is no tenant, so nobody can connect; add a table [tenants.NAME]".to_owned());
    }
    for tenant in landscape.tenants().filter(|tenant| tenant.targets.is_empty()) {
        let name = &tenant.name;
        warnings.push(format!(
            "tenants.{name}: there is no target, so no account is made; add a table [tenants.{name}.targets.NAME]"
        ));
    }
    for target in landscape.targets() {
        warnings.extend(phones_still_work(target));
        warnings.extend(nobody_gets_an_extension(target));
        warnings.extend(some_wait_without_end(target));
    }
    warnings
}

/// Without a pool the extension of a PBX user comes from the identity provider alone, and who has none has no account.
fn nobody_gets_an_extension(target: &Target) -> Option<String> {
    let is_without = target.settings.kind == TargetKind::Netsapiens
        && target.rules.pools().is_empty()
        && !target.settings.map.contains_key("user");
    is_without.then(|| {
        format!(
            "tenants.{}.targets.{}: users without the attribute extension of bridgeTelephony have no account here, and nobody \
             is told; add [tenants.{}.pools.extension] to hand extensions out, or a rule for map.user",
            target.tenant, target.name, target.tenant
        )
    })
}

/// A group table without `"*"` on a field without which there is no account.
fn some_wait_without_end(target: &Target) -> Vec<String> {
    let warning = |(field, groups): (&str, Vec<String>)| {
        format!(
            "tenants.{}.targets.{}.map.{field}: who is in none of the groups ({}) waits for an account without end; add \
             \"*\" to the table, or let `scope` say who has no account here",
            target.tenant,
            target.name,
            groups.join(", ")
        )
    };
    target.rules.endless_waits().into_iter().map(warning).collect()
}

/// What the database of a configuration knows.
#[derive(Default)]
struct Known {
    places: Vec<TargetPlace>,
    credentials: Option<Vec<Credential>>,
    absent_groups: Vec<String>,
}

impl Known {
    /// Reads it, if there is one, and changes nothing.
    fn of(landscape: &Landscape) -> Result<Self, StoreError> {
        let StoreUrl::Sqlite(path) = &landscape.config.store.url;
        let known = Store::peek(path, |db| {
            Ok(Self {
                places: db.target_places()?,
                credentials: Some(db.credentials(None)?),
                absent_groups: explain::absent_groups(db, landscape)?,
            })
        })?;
        Ok(known.unwrap_or_default())
    }

    /// The targets that hold accounts and are gone from the file, or elsewhere: a start or a reload would refuse it.
    fn misfits(&self, landscape: &Landscape) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        for TargetPlace { tenant, target, fingerprint, .. } in self.places.iter().filter(|known| known.accounts > 0) {
            let is_retired = landscape.config.tenants.get(tenant).and_then(|tenant| tenant.targets.get(target));
            let targets = || landscape.targets().filter(|now| now.tenant == *tenant);
            let now = targets().find(|now| now.name == *target).map(|now| now.fingerprint());
            let is_renamed = targets().any(|now| now.settings.renamed_from.as_ref() == Some(target));
            let fits = now.as_ref().is_some_and(|now| is_same_place(now, fingerprint));
            if fits || is_renamed || is_retired.is_some_and(|target| target.retired) {
                continue;
            }
            let path = ["tenants", tenant, "targets", target];
            let (position, key) = (landscape.config.position(&path), path.join("."));
            problems.push(ConfigProblem { position, key, message: misfit(now.as_ref(), fingerprint) });
        }
        problems
    }

    /// Tokens that end soon, and tables of connections that no token has: a name that was mistyped, most likely.
    fn warnings(&self, landscape: &Landscape, now: Timestamp) -> Vec<String> {
        let Some(credentials) = &self.credentials else { return Vec::new() };
        let ending = forewarning::ending(credentials, now);
        let mut warnings: Vec<String> =
            ending.map(|one| format!("tenants.{}: {}", one.tenant, forewarning::end_of(one))).collect();
        warnings.extend(self.absent_groups.iter().cloned());
        for (tenant, config) in &landscape.config.tenants {
            let of_tenant =
                credentials.iter().filter(|credential| credential.tenant == *tenant && credential.subject.is_none());
            let names: BTreeSet<&str> = of_tenant.map(|credential| credential.connection.as_str()).collect();
            for name in config.profiles.keys().filter(|name| !names.contains(name.as_str())) {
                let there =
                    if names.is_empty() { "none".to_owned() } else { Vec::from_iter(names.iter().copied()).join(", ") };
                warnings.push(format!(
                    "tenants.{tenant}.connections.{name}: no token has this connection; those of the tokens are: {there}"
                ));
            }
        }
        warnings
    }
}

/// A user of a PBX who is suspended without a dial policy that denies calls keeps phones that ring and dial: only the portal
/// and voice mail are taken away (netsapiens.md section 7).
fn phones_still_work(target: &Target) -> Option<String> {
    let ConnectorConfig::Netsapiens(config) = &target.settings.connection else { return None };
    let settings = &target.settings;
    let suspends = [settings.on_deactivate, settings.on_delete, settings.on_unscoped].contains(&Deprovision::Suspend);
    let is_open = config.suspend_dial_policy.is_none() && !config.delete_devices_on_suspend;
    (suspends && is_open).then(|| {
        format!(
            "tenants.{}.targets.{}: the phones of a suspended user still work; set suspend_dial_policy to a policy of the \
             provider that denies all calls, or delete_devices_on_suspend = true",
            target.tenant, target.name
        )
    })
}

/// What a target answered.
struct Probe {
    tenant: String,
    target: String,
    summary: String,
    error: Option<String>,
}

async fn probe(target: &Target) -> Probe {
    let (summary, error) = match target.connector.probe().await {
        Ok(report) => (report.summary, None),
        Err(error) => (String::new(), Some(error.to_string())),
    };
    Probe { tenant: target.tenant.clone(), target: target.name.clone(), summary, error }
}

fn probe_of<'a>(probes: &'a [Probe], target: &Target) -> Option<&'a Probe> {
    probes.iter().find(|probe| probe.tenant == target.tenant && probe.target == target.name)
}

fn problems(error: &ConfigError) -> Vec<Value> {
    let view = |problem: &ConfigProblem| {
        let (line, column) = problem.position.map(|position| (position.line, position.column)).unzip();
        json!({ "line": line, "column": column, "key": problem.key, "message": problem.message })
    };
    error.problems().iter().map(view).collect()
}

fn tenants(landscape: &Landscape, probes: &[Probe]) -> Vec<Value> {
    let target = |target: &Arc<Target>| {
        let online = probe_of(probes, target).map(|probe| match &probe.error {
            None => json!({ "ok": true, "summary": probe.summary }),
            Some(error) => json!({ "ok": false, "error": error }),
        });
        json!({
            "name": target.name, "kind": target.settings.kind, "baseUrl": target.settings.base_url, "mode": target.settings.mode,
            "required": target.settings.required, "after": target.after, "pools": target.rules.pools(),
            "groups": target.rules.group_names(), "online": online,
        })
    };
    landscape
        .tenants()
        .map(|tenant| {
            let targets: Vec<Value> = tenant.targets.values().map(target).collect();
            let pools: serde_json::Map<String, Value> =
                pools_of(landscape, tenant).map(|(name, pool)| (name.clone(), json!(size(pool)))).collect();
            json!({ "name": tenant.name, "scimUrl": tenant.base_url, "pools": pools, "targets": targets })
        })
        .collect()
}

/// The pools of a tenant as the file has them.
fn pools_of<'a>(
    landscape: &'a Landscape,
    tenant: &Tenant,
) -> impl Iterator<Item = (&'a String, &'a config::PoolConfig)> {
    landscape.config.tenants.get(&tenant.name).into_iter().flat_map(|tenant| &tenant.pools)
}

fn size(pool: &config::PoolConfig) -> u64 {
    pool.ranges.iter().map(|range| range.last - range.first + 1).sum()
}

fn lines(path: &Path, landscape: &Landscape, probes: &[Probe]) -> Vec<String> {
    let failed: Vec<&str> =
        probes.iter().filter(|probe| probe.error.is_some()).map(|probe| probe.target.as_str()).collect();
    let mut lines = vec![match failed.as_slice() {
        [] => format!("{}: good", path.display()),
        failed => {
            format!("{}: the file is good, {} of its targets not: {}", path.display(), failed.len(), failed.join(", "))
        }
    }];
    for tenant in landscape.tenants() {
        lines.push(String::new());
        lines.push(format!("tenant {}: {}", tenant.name, tenant.base_url));
        for (name, pool) in pools_of(landscape, tenant) {
            let ranges: Vec<String> = pool.ranges.iter().map(ToString::to_string).collect();
            lines.push(format!("pool {name}: {} values, {}", size(pool), ranges.join(", ")));
        }
        let mut rows = vec![table::row(["target", "kind", "mode", "required", "after", "base URL", "online"])];
        for target in tenant.targets.values() {
            let after: Vec<&str> = target.after.iter().map(String::as_str).collect();
            let online =
                probe_of(probes, target).map_or("not asked", |probe| probe.error.as_deref().unwrap_or(&probe.summary));
            rows.push(vec![
                target.name.clone(),
                target.settings.kind.to_string(),
                format!("{:?}", target.settings.mode).to_lowercase(),
                if target.settings.required { "yes" } else { "no" }.to_owned(),
                if after.is_empty() { "-".to_owned() } else { after.join(", ") },
                target.settings.base_url.to_string(),
                online.to_owned(),
            ]);
        }
        lines.extend(table::lines(&rows));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[server]
public_url = "https://scim.acme.example"

[tenants.acme.pools.extension]
ranges = ["1000-1999", "0100-0149"]
confirmed_by = "pbx"

[tenants.acme.targets.glance]
kind = "glance"
partner_login = "admin.acme.glance.net"
partner_password = { file = "secret" }
address_domain = "acme.glance.net"

[tenants.acme.targets.pbx]
kind = "netsapiens"
base_url = "http://127.0.0.1:9/ns-api/v2"
domain = "acme.example"
api_key = { file = "secret" }
mode = "hold"
"#;

    fn parse(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "s3cret").unwrap();
        Config::parse(text, folder.path()).unwrap()
    }

    fn refused(text: &str) -> String {
        match compile(parse(text)) {
            Ok(_) => panic!("accepted:\n{text}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_good_file_is_shown_target_by_target() {
        let landscape = compile(parse(FILE)).unwrap();
        insta::assert_snapshot!(lines(Path::new("bridge.toml"), &landscape, &[]).join("\n"));
    }

    #[test]
    fn a_good_file_is_shown_to_programs() {
        let landscape = compile(parse(FILE)).unwrap();
        let answer =
            Probe { tenant: "acme".into(), target: "pbx".into(), summary: String::new(), error: Some("no".into()) };
        insta::assert_json_snapshot!(tenants(&landscape, &[answer]));
    }

    #[test]
    fn wrong_rules_of_all_targets_are_reported_with_their_lines() {
        let text = format!(
            "{FILE}\n[tenants.acme.targets.pbx.map]\nname-first-name = \"nam.givenName\"\n\
             [tenants.acme.targets.glance.map]\nUserFirst = \"name.givenName\"\nUserLats = \"name.familyName\"\n"
        );
        insta::assert_snapshot!(refused(&text));
    }

    #[test]
    fn a_pbx_whose_suspended_users_still_telephone_is_warned_of() {
        let check = |lines: &str, expected: usize| {
            let text = FILE.replace("mode = \"hold\"", lines);
            let warnings = warnings(&compile(parse(&text)).unwrap());
            assert_eq!(warnings.len(), expected, "{lines}: {warnings:?}");
            for warning in warnings {
                assert!(warning.contains("acme.targets.pbx") && warning.contains("suspend_dial_policy"), "{warning}");
            }
        };
        check("", 1);
        check("suspend_dial_policy = \"Deny All\"", 0);
        check("delete_devices_on_suspend = true", 0);
        check("delete_devices_on_suspend = false", 1);
        check("on_deactivate = \"delete\"\non_unscoped = \"delete\"\non_delete = \"delete\"", 0);
    }

    #[test]
    fn what_leaves_users_without_an_account_is_warned_of() {
        let good = FILE.replace("mode = \"hold\"", "suspend_dial_policy = \"Deny All\"");
        let warned = |text: &str| warnings(&compile(parse(text)).unwrap());
        assert_eq!(warned(&good), [] as [&str; 0]);
        let check = |text: &str, words: &[&str]| {
            let warnings = warned(text);
            assert!(
                warnings.len() == 1 && words.iter().all(|word| warnings[0].contains(word)),
                "{words:?}: {warnings:?}"
            );
        };
        check("", &["no tenant"]);
        check("[tenants.acme]\n", &["tenants.acme: there is no target"]);
        let (before, rest) = good.split_once("[tenants.acme.pools.extension]").unwrap();
        let (_, after) = rest.split_once("confirmed_by = \"pbx\"").unwrap();
        let without_pool = format!("{before}{after}");
        check(&without_pool, &["tenants.acme.targets.pbx: ", "pools.extension"]);
        assert_eq!(warned(&format!("{without_pool}map.user = \"employeeNumber\"\n")), [] as [&str; 0]);
        let crm = "[tenants.acme.targets.crm]\nkind = \"crm_com\"\nbase_url = \"http://127.0.0.1:9/\"\nweb_api_key = { file = \"secret\" }\n";
        let table =
            |entries: &str| format!("{good}\n{crm}map.user_template_identifier = {{ groups = {{ {entries} }} }}\n");
        check(&table("Leads = \"Agent\""), &["targets.crm.map.", "Leads", "\"*\""]);
        assert_eq!(warned(&table("Leads = \"Agent\", \"*\" = \"Other\"")), [] as [&str; 0]);
    }

    #[test]
    fn a_pool_is_confirmed_by_a_target_that_uses_it() {
        let refused = refused(&FILE.replace("confirmed_by = \"pbx\"", "confirmed_by = \"glance\""));
        let expected = "7:1: tenants.acme.pools.extension.confirmed_by: no rule of glance uses assigned.extension";
        assert!(refused.starts_with(expected), "{refused}");
    }

    #[test]
    fn a_limit_of_an_unknown_field_is_reported_with_its_line() {
        insta::assert_snapshot!(refused(&FILE.replace("mode = \"hold\"", "limits = { UserRole = 70 }")));
    }
}
