//! A tenant with all three extensions, and users in it.

use std::collections::{BTreeMap, BTreeSet};

use bridge_mapping::{
    FieldValue, GroupRef, Lineage, Mapping, MappingError, Outcome, Problem, Rules, RulesConfig, Scope, Subject,
    TargetKind, extension_schema, map,
};
use scim_model::{Catalog, Context, Draft, accept};
use serde_json::{Value, json};

pub(crate) fn catalog() -> Catalog {
    Catalog::new(TargetKind::ALL.into_iter().map(extension_schema).collect()).unwrap()
}

/// A configuration in which the default rules of the kind work.
pub(crate) fn config(kind: TargetKind) -> RulesConfig {
    let mut config = RulesConfig::new(kind);
    let settings: &[(&str, &str)] = match kind {
        TargetKind::Glance => &[("address_domain", "acme.glance.net")],
        TargetKind::Netsapiens => &[("domain", "acme.example")],
        TargetKind::CrmCom => &[("template", "Agents")],
    };
    config.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    config.pools = BTreeSet::from(["extension".to_owned()]);
    config
}

/// The same with rules of its own, as TOML.
pub(crate) fn with_map(kind: TargetKind, map: &str) -> RulesConfig {
    RulesConfig { map: toml::from_str(map).unwrap(), ..config(kind) }
}

pub(crate) fn compile(config: &RulesConfig) -> Result<Rules, MappingError> {
    Rules::compile(config, &catalog())
}

/// A user of one tenant.
pub(crate) struct User {
    catalog: Catalog,
    draft: Draft,
    groups: Vec<GroupRef>,
    assigned: BTreeMap<String, String>,
    group_wait_over: bool,
}

/// Dana as a plain client sends her, with an extension from the pool.
pub(crate) fn dana() -> User {
    user(dana_json())
}

pub(crate) fn dana_json() -> Value {
    json!({
        "userName": "Dana.Ortiz@acme.example",
        "name": { "givenName": "Dana", "familyName": "Ortiz" },
        "emails": [{ "value": "dana.ortiz@acme.example", "type": "work", "primary": true }],
    })
}

pub(crate) fn user(mut body: Value) -> User {
    let mut schemas = vec!["urn:ietf:params:scim:schemas:core:2.0:User".to_owned()];
    schemas.extend(body.as_object().unwrap().keys().filter(|key| key.starts_with("urn:")).cloned());
    body["schemas"] = json!(schemas);
    let catalog = catalog();
    let draft = accept(catalog.resource_type("User").unwrap(), body, Context::Create).unwrap();
    let assigned = BTreeMap::from([("extension".to_owned(), "1042".to_owned())]);
    User { catalog, draft, groups: Vec::new(), assigned, group_wait_over: false }
}

impl User {
    /// Dana with one attribute of a target's extension.
    pub(crate) fn with_extension(kind: TargetKind, field: &str, value: impl Into<Value>) -> User {
        let mut body = dana_json();
        let value: Value = value.into();
        body[kind.extension_urn()] = json!({ field: value });
        user(body)
    }

    pub(crate) fn with(attribute: &str, value: impl Into<Value>) -> User {
        let mut body = dana_json();
        body[attribute] = value.into();
        user(body)
    }

    pub(crate) fn in_groups(mut self, names: &[&str]) -> User {
        self.groups = names
            .iter()
            .map(|name| GroupRef { id: format!("id-of-{name}"), display_name: (*name).to_owned() })
            .collect();
        self
    }

    pub(crate) fn without_assignments(mut self) -> User {
        self.assigned.clear();
        self
    }

    pub(crate) fn after_group_wait(mut self) -> User {
        self.group_wait_over = true;
        self
    }

    pub(crate) fn map(&self, rules: &Rules) -> Mapping {
        let supplied_secrets = self.draft.secrets.keys().cloned().collect();
        map(
            &Subject {
                id: "b7c1f2d0-4711",
                document: &self.draft.document,
                resource_type: self.catalog.resource_type("User").unwrap(),
                groups: &self.groups,
                assigned: &self.assigned,
                supplied_secrets: &supplied_secrets,
                group_wait_over: self.group_wait_over,
            },
            rules,
        )
    }

    pub(crate) fn map_with(&self, config: &RulesConfig) -> Mapping {
        self.map(&compile(config).unwrap())
    }

    pub(crate) fn secrets(&self) -> &BTreeMap<String, String> {
        &self.draft.secrets
    }
}

/// What a test asks of a mapping.
pub(crate) trait Answers {
    fn plain(&self, field: &str) -> Option<&Value>;
    fn lineage_of(&self, field: &str) -> Lineage;
    fn source_of(&self, field: &str) -> String;
    fn absent_because(&self, field: &str) -> String;
    fn problem_of(&self, field: &str) -> &Problem;
    fn out_because(&self) -> &str;
}

impl Answers for Mapping {
    fn plain(&self, field: &str) -> Option<&Value> {
        self.account.fields.get(field).and_then(FieldValue::plain)
    }

    fn lineage_of(&self, field: &str) -> Lineage {
        self.lineage.get(field).unwrap_or_else(|| panic!("{field} has no lineage"))
    }

    fn source_of(&self, field: &str) -> String {
        self.lineage_of(field).source.unwrap_or_else(|| panic!("{field}: {:?}", self.lineage_of(field)))
    }

    fn absent_because(&self, field: &str) -> String {
        match self.lineage_of(field).outcome {
            Outcome::Absent { reason } => reason.into_owned(),
            other => panic!("{field} is not absent: {other:?}"),
        }
    }

    fn problem_of(&self, field: &str) -> &Problem {
        self.problems.iter().find(|problem| problem.field == field).unwrap_or_else(|| panic!("{field} has no problem"))
    }

    fn out_because(&self) -> &str {
        match &self.scope {
            Scope::Out { reason } => reason,
            other => panic!("the user is not out of scope: {other:?}"),
        }
    }
}
