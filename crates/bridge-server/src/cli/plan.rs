//! `plan`: what a user would cause in each target. Pure: no database, no network, no secret is read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bridge_connectors::{AccountKeys, Existence, MASK, MaskedCall, Observed, Presence, Task, Wanted};
use bridge_mapping::{Account, FieldValue, GroupRef, Lineage, Lineages, Outcome, Scope, SecretSource};
use clap::Args;
use scim_model::{Context, Draft, accept};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ConfigFile, Exit, Output, check, only_tenant};
use crate::config::Config;
use crate::landscape::{Landscape, Tenant};
use crate::provisioning::{Judged, Surroundings, judge};

/// The accounts and exact calls that a user would cause.
#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    file: ConfigFile,
    /// The user as the identity provider would send it, a SCIM JSON file; "-" reads standard input. Its `groups` count as
    /// memberships.
    #[arg(long, value_name = "FILE")]
    user: PathBuf,
    /// The tenant; can be left out if there is only one.
    #[arg(long)]
    tenant: Option<String>,
    /// As after `group_wait`: no membership is waited for any more.
    #[arg(long)]
    after_group_wait: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let config = Config::load_without_secrets(&self.file.config)?;
        let name = self.tenant.map_or_else(|| only_tenant(&config, &self.file.config), Ok)?;
        let landscape = check::compile(config).map_err(|error| error.in_file(&self.file.config))?;
        let Some(tenant) = landscape.tenant(&name) else {
            let known: Vec<&str> = landscape.tenants().map(|tenant| tenant.name.as_str()).collect();
            bail!("there is no tenant {name:?}; there are {}", known.join(", "));
        };
        let user = read(&self.user).with_context(|| format!("{}", self.user.display()))?;
        let plans = plan(&landscape, tenant, user, self.after_group_wait)?;
        let is_accepted = plans.iter().all(|plan| !plan.refuses);
        let out = Output::new(self.json);
        out.json(&json!({ "tenant": tenant.name, "accepted": is_accepted, "targets": plans.iter().map(TargetPlan::json).collect::<Vec<_>>() }))?;
        for line in plans.iter().flat_map(TargetPlan::lines) {
            out.line(line)?;
        }
        out.line(if is_accepted { "\nThe user would be accepted." } else { "\nThe user would be refused." })?;
        Ok(if is_accepted { Exit::Done } else { Exit::Failed })
    }
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path)?;
    }
    serde_json::from_str(&text).context("is not JSON")
}

/// What one target would be asked for.
struct TargetPlan {
    judged: Judged,
    /// A value of each pool.
    assigned: Arc<BTreeMap<String, String>>,
    /// Whether the whole write would be refused for this target.
    refuses: bool,
    calls: Vec<MaskedCall>,
    tasks: Vec<Task>,
    /// Why there is no call, if there is none.
    rests: Option<String>,
}

/// Plans a user who is new everywhere.
fn plan(
    landscape: &Landscape,
    tenant: &Tenant,
    user: Value,
    after_group_wait: bool,
) -> anyhow::Result<Vec<TargetPlan>> {
    let id = user.get("id").and_then(Value::as_str).map_or_else(|| Uuid::nil().to_string(), str::to_owned);
    let groups = groups(&user);
    let draft: Draft =
        accept(&tenant.users, user, Context::Create).map_err(|error| anyhow::anyhow!("{}", error.detail))?;
    let is_active = draft.document.get("active") != Some(&Value::Bool(false));
    let assigned = Arc::new(first_values(landscape, &tenant.name));
    let has_account = if after_group_wait { tenant.targets.keys().cloned().collect() } else { Default::default() };
    let around = Surroundings {
        groups,
        assigned: (*assigned).clone(),
        supplied: draft.secrets.keys().cloned().collect(),
        has_account,
    };
    let judged = judge(tenant, &id, &draft.document, &around);
    Ok(judged.into_iter().map(|judged| plan_target(judged, &assigned, &id, is_active, after_group_wait)).collect())
}

/// The value that a user would hold of each pool if nobody else had one.
fn first_values(landscape: &Landscape, tenant: &str) -> BTreeMap<String, String> {
    let pools = landscape.config.tenants.get(tenant).into_iter().flat_map(|tenant| &tenant.pools);
    pools.filter_map(|(name, pool)| pool.ranges.first().map(|range| (name.clone(), range.text(range.first)))).collect()
}

/// The memberships that the file claims; a real identity provider would send them with the groups.
fn groups(user: &Value) -> Vec<GroupRef> {
    let text = |group: &Value, name: &str| group.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let groups = user.get("groups").and_then(Value::as_array);
    groups
        .into_iter()
        .flatten()
        .map(|group| GroupRef { id: text(group, "value"), display_name: text(group, "display") })
        .collect()
}

fn plan_target(
    judged: Judged,
    assigned: &Arc<BTreeMap<String, String>>,
    id: &str,
    is_active: bool,
    after_group_wait: bool,
) -> TargetPlan {
    let mapping = &judged.mapping;
    let is_refused = mapping.is_refused();
    let rests = match &mapping.scope {
        Scope::Out { reason } => Some(format!("no account here: {reason}")),
        Scope::Waiting { field, groups } if after_group_wait => Some(format!(
            "waits without end for a membership of {}, because {field} has no value without one: add \"*\" to its table",
            groups.join(", ")
        )),
        Scope::Waiting { field, groups } => Some(format!(
            "waits for a membership of {}, which decides {field} (--after-group-wait shows what happens without one)",
            groups.join(", ")
        )),
        Scope::In if !is_active => Some("no account is made before the user is active".to_owned()),
        Scope::In if is_refused => Some("no call is made with values that the target would refuse".to_owned()),
        Scope::In => None,
    };
    let is_wanted = !matches!(mapping.scope, Scope::Out { .. });
    let refuses = is_refused && is_active && is_wanted && judged.target.settings.required;
    let (mut calls, mut tasks) = (Vec::new(), Vec::new());
    if rests.is_none() {
        let keys = keys(&mapping.account, id);
        let wanted = Wanted {
            presence: Presence::Active,
            account: Some(&mapping.account),
            keys: &keys,
            kept: None,
            secrets_changed: false,
            made: &BTreeSet::new(),
        };
        let observed = Observed { existence: Existence::Absent, ..Observed::default() };
        let plan = judged.target.connector.plan(&wanted, &observed);
        calls = plan.calls.iter().map(|call| call.masked(judged.target.connector.base_url())).collect();
        tasks = plan.tasks;
    }
    TargetPlan { judged, assigned: assigned.clone(), refuses, calls, tasks, rests }
}

fn keys(account: &Account, id: &str) -> AccountKeys {
    let text = |(name, value): (&String, &FieldValue)| Some((name.clone(), value.plain()?.as_str()?.to_owned()));
    AccountKeys {
        remote_id: None,
        fields: account.fields.iter().filter_map(text).collect(),
        marker: id.to_owned(),
        search: false,
    }
}

impl TargetPlan {
    fn json(&self) -> Value {
        let (target, mapping) = (&self.judged.target, &self.judged.mapping);
        json!({
            "name": target.name, "kind": target.settings.kind, "mode": target.settings.mode, "required": target.settings.required,
            "scope": mapping.scope, "refuses": self.refuses, "rests": self.rests,
            "account": mapping.account.fields, "lineage": told(&mapping.lineage), "problems": mapping.problems,
            "calls": self.calls, "tasks": self.tasks, "standIns": self.stand_ins().collect::<BTreeMap<_, _>>(),
        })
    }

    /// The pools whose value this plan uses, with the value that stands for whatever the bridge hands out.
    fn stand_ins(&self) -> impl Iterator<Item = (&String, &String)> {
        let used = |(pool, _): &(&String, &String)| self.judged.mapping.pools.contains(*pool);
        self.assigned.iter().filter(used)
    }

    fn lines(&self) -> Vec<String> {
        let (target, mapping) = (&self.judged.target, &self.judged.mapping);
        let mut lines =
            vec![String::new(), format!("{} ({}, {})", target.name, target.settings.kind, target.settings.base_url)];
        let width = mapping.account.fields.keys().map(|name| name.chars().count()).max().unwrap_or_default();
        for field in &target.rules.schema().fields {
            if let Some(value) = mapping.account.fields.get(&field.name) {
                let lineage = mapping.lineage.get(&field.name).map(|lineage| origin(&lineage)).unwrap_or_default();
                lines.push(format!("  {:width$} = {}{lineage}", field.name, printed(value)));
            }
        }
        let mut told = BTreeSet::new();
        for (name, lineage) in mapping.lineage.iter() {
            if let Outcome::LeftOut { problem } = &lineage.outcome {
                let what = if problem.refuses { "refused" } else { "left out" };
                lines.push(format!("  {what}: {name}: {} [{}]", problem.message, problem.code));
                told.insert(name);
            }
        }
        for problem in mapping.problems.iter().filter(|problem| !told.contains(problem.field.as_str())) {
            let what = if problem.refuses { "refused" } else { "problem" };
            lines.push(format!("  {what}: {}: {} [{}]", problem.field, problem.message, problem.code));
        }
        lines.extend(self.stand_ins().map(|(pool, value)| {
            format!("  {value} stands for the first free value of the pool {pool}: no database is read")
        }));
        lines.extend(self.rests.iter().map(|reason| format!("  {reason}")));
        for call in &self.calls {
            lines.push(format!("  {} {}", call.method.as_str(), call.url));
            for (name, value) in call.body.as_object().into_iter().flatten() {
                lines.push(format!("    {name} = {value}"));
            }
        }
        lines.extend(self.tasks.iter().map(|task| format!("  task for a person: {}", task.text)));
        lines
    }
}

fn printed(value: &FieldValue) -> String {
    match value {
        FieldValue::Plain(value) => value.to_string(),
        FieldValue::Secret(SecretSource::Generated) => format!("{MASK} (made when it is sent)"),
        FieldValue::Secret(SecretSource::Supplied) => format!("{MASK} (as the identity provider sent it)"),
    }
}

/// ` <- SOURCE   by RULE`. A list of rules is not repeated: its source says which one it was.
fn origin(lineage: &Lineage) -> String {
    let source = lineage.source.as_deref().unwrap_or("?");
    match lineage.rule.as_str() {
        rule if rule.is_empty() || rule == source || rule.starts_with('[') => format!("   <- {source}"),
        rule => format!("   <- {source}   by {rule}"),
    }
}

/// What was decided about the fields; not those that nobody ever spoke of.
fn told(lineage: &Lineages) -> BTreeMap<&str, Lineage> {
    let is_silent = |lineage: &Lineage| lineage.rule.is_empty() && matches!(lineage.outcome, Outcome::Absent { .. });
    lineage.iter().filter(|(_, lineage)| !is_silent(lineage)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[tenants.default.pools.extension]
ranges = ["1000-1999"]
confirmed_by = "pbx"

[tenants.default.targets.glance]
kind = "glance"
partner_login = "admin.acme.glance.net"
partner_password = { env = "NOT_SET_HERE" }
address_domain = "acme.glance.net"
[tenants.default.targets.glance.map]
UserRole = { groups = { "Glance Hosts" = "Host" } }

[tenants.default.targets.pbx]
kind = "netsapiens"
base_url = "https://pbx.example/ns-api/v2"
domain = "acme.example"
api_key = { env = "NOT_SET_HERE" }

[tenants.default.targets.crm]
kind = "crm_com"
base_url = "https://crm.example/crmapi/rest/v2/"
web_api_key = { env = "NOT_SET_HERE" }
template = "Contact centre agent"
templates."Contact centre agent" = { cti = true }
"#;

    fn planned(user: Value) -> anyhow::Result<Vec<TargetPlan>> {
        planned_by(FILE, user, false)
    }

    fn planned_by(text: &str, user: Value, after_group_wait: bool) -> anyhow::Result<Vec<TargetPlan>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.toml");
        std::fs::write(&path, text).unwrap();
        let landscape = check::compile(Config::load_without_secrets(&path).unwrap()).unwrap();
        plan(&landscape, landscape.tenant("default").unwrap(), user, after_group_wait)
    }

    fn lines(user: Value) -> String {
        planned(user).unwrap().iter().flat_map(TargetPlan::lines).collect::<Vec<_>>().join("\n")
    }

    fn ann() -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "Ann.Lee@acme.example",
            "name": { "givenName": "Ann", "familyName": "Lee" }, "emails": [{ "value": "ann.lee@acme.example", "primary": true }],
            "groups": [{ "value": "g1", "display": "Glance Hosts" }], "active": true
        })
    }

    #[test]
    fn a_new_user_is_shown_with_every_field_and_call() {
        insta::assert_snapshot!(lines(ann()));
    }

    #[test]
    fn the_same_for_programs() {
        let plans = planned(ann()).unwrap();
        insta::assert_json_snapshot!(plans.iter().map(TargetPlan::json).collect::<Vec<_>>());
    }

    #[test]
    fn a_value_that_a_target_would_refuse_is_named() {
        let mut user = ann();
        user["urn:ietf:params:scim:schemas:extension:bridgeGlance:2.0:User"] = json!({ "UserFirst": "A".repeat(50) });
        let plans = planned(user).unwrap();
        assert!(plans.iter().any(|plan| plan.refuses));
        insta::assert_snapshot!(plans.iter().flat_map(TargetPlan::lines).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_value_of_a_pool_is_only_said_to_be_a_free_one() {
        let printed = lines(ann());
        let stands = "1000 stands for the first free value of the pool extension";
        // The PBX, and the CRM that shows the extension.
        assert_eq!(printed.matches(stands).count(), 2, "{printed}");
    }

    #[test]
    fn who_waits_for_a_group_without_end_is_not_sent_round_in_a_circle() {
        let table = "[tenants.default.targets.crm]\nmap.user_template_identifier = { groups = { \"Team Leads\" = \"Contact centre agent\" } }";
        let text = FILE.replace("[tenants.default.targets.crm]", table).replace("template = ", "# ");
        let rests = |after_group_wait: bool| {
            let plans = planned_by(&text, ann(), after_group_wait).unwrap();
            plans.into_iter().find(|plan| plan.judged.target.name == "crm").unwrap().rests.unwrap()
        };
        assert!(rests(false).contains("--after-group-wait"), "{}", rests(false));
        let later = rests(true);
        assert!(!later.contains("--after-group-wait") && later.contains("add \"*\""), "{later}");
    }

    #[test]
    fn an_inactive_user_causes_no_call() {
        let mut user = ann();
        user["active"] = json!(false);
        assert!(planned(user).unwrap().iter().all(|plan| plan.calls.is_empty() && !plan.refuses));
    }

    #[test]
    fn what_is_no_user_is_refused_in_the_words_of_scim() {
        let error = planned(json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"] })).err().unwrap();
        assert!(error.to_string().contains("userName"), "{error}");
    }
}
