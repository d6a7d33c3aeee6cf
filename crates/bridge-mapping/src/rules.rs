//! Compiles the rules of one target of one tenant, so that mapping a user parses nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use minijinja::Environment;
use scim_filter::Filter;
use scim_model::{Catalog, ResourceType};
use serde::Deserialize;

use crate::{
    AccountSchema, FieldSchema, MappingError, RulesConfig, TargetKind,
    error::Position,
    rule::{Compiler, Mistake, Origin, Rule, Source},
    template::{self, Surroundings},
};

/// The rules of one target, ready to map users. Cheap to clone: what was compiled is shared.
#[derive(Clone)]
pub struct Rules {
    pub(crate) compiled: Arc<Compiled>,
}

/// What [`Rules`] share.
pub(crate) struct Compiled {
    pub(crate) kind: TargetKind,
    /// In schema order.
    pub(crate) fields: Vec<FieldRules>,
    /// The positions of the fields, by name.
    pub(crate) by_name: Vec<usize>,
    pub(crate) scope: ScopeRules,
    pub(crate) environment: Environment<'static>,
    pub(crate) cti_templates: BTreeSet<String>,
    schema: AccountSchema,
    named: Named,
    /// The setting, with its value, that would keep users apart who have the same natural key.
    apart: Option<(String, String)>,
}

/// What the rules and the scope name beside attributes.
struct Named {
    pools: Vec<String>,
    groups: Vec<String>,
    uses_groups: bool,
    uses_password: bool,
}

impl fmt::Debug for Rules {
    /// Names the target and no more: the rest is long, and settings are nobody's business.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compiled { kind, named, .. } = &*self.compiled;
        formatter.debug_struct("Rules").field("kind", kind).field("pools", &named.pools).finish_non_exhaustive()
    }
}

/// What fills one field.
#[derive(Debug, Clone)]
pub(crate) struct FieldRules {
    pub(crate) field: Arc<FieldSchema>,
    /// `None` if neither the configuration nor the defaults name the field.
    pub(crate) rule: Option<Rule>,
    /// The path of its attribute in the target's extension.
    pub(crate) extension_path: String,
}

/// Who has an account.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScopeRules {
    pub(crate) filter: Option<ScopeFilter>,
    /// Display names as written, and folded.
    pub(crate) groups: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(crate) struct ScopeFilter {
    pub(crate) text: String,
    pub(crate) filter: Filter,
    /// Whether it asks for what is not in a document: `id` or `groups`.
    pub(crate) needs_more: bool,
}

/// A file of `schemas/mappings/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    /// Allowed values of a setting; the first is the default.
    #[serde(default)]
    settings: BTreeMap<String, Vec<String>>,
    /// The value of a setting with which users have keys of their own whom the default map gives the same natural key.
    #[serde(default)]
    apart: BTreeMap<String, String>,
    map: toml::Table,
}

/// The text of the default rules of a kind.
pub fn default_rules(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Glance => include_str!("../../../schemas/mappings/glance.toml"),
        TargetKind::Netsapiens => include_str!("../../../schemas/mappings/netsapiens.toml"),
        TargetKind::CrmCom => include_str!("../../../schemas/mappings/crm_com.toml"),
    }
}

impl Rules {
    /// Compiles the configured rules over the default ones.
    ///
    /// # Errors
    /// The first thing that cannot work, with its key, the rule's text and the place in it: unknown fields, attributes,
    /// filters, settings and pools; constants that break a limit; a field the target requires and nothing sets.
    pub fn compile(config: &RulesConfig, catalog: &Catalog) -> Result<Rules, MappingError> {
        let kind = config.kind;
        let resource_type =
            catalog.resource_type("User").ok_or_else(|| MappingError::at("map", "the catalog has no users"))?;
        let defaults: Defaults =
            toml::from_str(default_rules(kind)).map_err(|error| MappingError::at("map", error.to_string()))?;
        let settings = settings(config, &defaults)?;
        let schema = schema(config, &settings)?;
        let configured = configured(config, &schema)?;
        let surroundings = Surroundings { resource_type, settings: &settings, pools: &config.pools };
        let mut environment = template::environment();
        let mut fields = Vec::with_capacity(schema.fields.len());
        for field in &schema.fields {
            let default = defaults.map.get(&field.name).map(|value| (Origin::Default, field.name.as_str(), value));
            let own = configured.get(&field.name).map(|(key, value)| (Origin::Configured, *key, *value));
            let rule = match own.or(default) {
                None => None,
                Some((origin, key, value)) => {
                    Some(compile_field(field, origin, key, value, &surroundings, &mut environment)?)
                }
            };
            if field.required && field.same_as.is_none() && rule.as_ref().is_none_or(|rule| rule.sources.is_empty()) {
                let key = format!("map.{}", field.name);
                return Err(MappingError::at(key, "the target requires this field, so it needs a rule"));
            }
            let extension_path = format!("{}:{}", kind.extension_urn(), field.name);
            fields.push(FieldRules { field: Arc::clone(field), rule, extension_path });
        }
        let scope = scope(config, resource_type)?;
        let mut by_name: Vec<usize> = (0..fields.len()).collect();
        by_name.sort_by_key(|position| fields[*position].field.name.as_str());
        let named = Named::by(&fields, &scope);
        let cti_templates = config.cti_templates.iter().map(|name| name.to_lowercase()).collect();
        // A rule of one's own for the key reads what it likes.
        let is_own = configured.contains_key(&schema.natural_key().name);
        let apart = defaults.apart.into_iter().find(|(name, value)| !is_own && settings.get(name) != Some(value));
        let compiled = Compiled { kind, fields, by_name, scope, environment, cti_templates, schema, named, apart };
        Ok(Rules { compiled: Arc::new(compiled) })
    }

    /// The kind of the target.
    pub fn kind(&self) -> TargetKind {
        self.compiled.kind
    }

    /// The account schema with this target's limits.
    pub fn schema(&self) -> &AccountSchema {
        &self.compiled.schema
    }

    /// The pools whose values the rules can use (`assigned.NAME`). Which of them one user needs is in
    /// [`Mapping::pools`](crate::Mapping).
    pub fn pools(&self) -> &[String] {
        &self.compiled.named.pools
    }

    /// The setting of the target, with the value that it would have to have, which keeps users apart who have the same natural
    /// key as things are. `None` if there is none.
    pub fn keeps_apart(&self) -> Option<(&str, &str)> {
        self.compiled.apart.as_ref().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether memberships can change an account or its scope.
    pub fn uses_groups(&self) -> bool {
        self.compiled.named.uses_groups
    }

    /// The groups that rules and scope name. Templates and filters may look at others too.
    pub fn group_names(&self) -> &[String] {
        &self.compiled.named.groups
    }

    /// The fields without which there is no account, and for which whoever is in none of the named groups waits without end:
    /// only creation can set them, and no `"*"` or other source gives them a value. Each with its groups.
    pub fn endless_waits(&self) -> Vec<(&str, Vec<String>)> {
        let is_certain = |source: &Source| match source {
            Source::Groups(table) => table.otherwise.is_some(),
            Source::Constant(_) | Source::Id | Source::Generate => true,
            Source::Path(_) | Source::Template(_) | Source::Pool(_) | Source::Secret(_) => false,
        };
        let mut found = Vec::new();
        for FieldRules { field, rule, .. } in self.compiled.fields.iter().filter(|rules| rules.field.required) {
            let Some(rule) = rule else { continue };
            let table = rule.sources.iter().find_map(|source| match source {
                Source::Groups(table) if table.waits => Some(table),
                _ => None,
            });
            if let Some(table) = table.filter(|_| !rule.sources.iter().any(is_certain)) {
                found.push((field.name.as_str(), table.names()));
            }
        }
        found
    }

    /// Whether a rule takes the user's SCIM password.
    pub fn uses_password(&self) -> bool {
        self.compiled.named.uses_password
    }

    /// Whether a field takes the secret that the identity provider sends as this attribute: by its rule, or because it is
    /// the field's own attribute in the target's extension.
    pub fn takes_secret(&self, path: &str) -> bool {
        let takes = |rules: &FieldRules| {
            let mut sources = rules.rule.iter().flat_map(|rule| &rule.sources);
            rules.extension_path == path || sources.any(|source| matches!(source, Source::Secret(key) if key == path))
        };
        self.compiled.fields.iter().filter(|rules| rules.field.secret).any(takes)
    }

    /// Checks the values of secrets that the identity provider sent: those that this target's fields would take.
    ///
    /// `secrets` are those of a SCIM draft: value by attribute path. Nothing of a value is in the problems.
    pub fn check_secrets(&self, secrets: &BTreeMap<String, String>) -> Vec<crate::Problem> {
        crate::map::check_secrets(self, secrets)
    }
}

impl Named {
    fn by(fields: &[FieldRules], scope: &ScopeRules) -> Named {
        let mut pools = BTreeSet::new();
        let mut names: Vec<String> = scope.groups.iter().map(|(name, _)| name.clone()).collect();
        let mut uses_groups = !names.is_empty() || scope.filter.as_ref().is_some_and(|filter| filter.needs_more);
        let mut uses_password = false;
        for source in fields.iter().filter_map(|field| field.rule.as_ref()).flat_map(|rule| &rule.sources) {
            match source {
                Source::Pool(pool) => {
                    pools.insert(pool.clone());
                }
                Source::Template(template) => {
                    pools.extend(template.pools.iter().cloned());
                    uses_groups |= template.uses_groups;
                }
                Source::Groups(table) => {
                    uses_groups = true;
                    names.extend(table.names());
                }
                Source::Path(path) => uses_groups |= path.is_groups,
                Source::Secret(key) => uses_password |= key == "password",
                Source::Constant(_) | Source::Id | Source::Generate => {}
            }
        }
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.to_lowercase()));
        Named { pools: pools.into_iter().collect(), groups: names, uses_groups, uses_password }
    }
}

/// The target's settings, completed by the defaults of those that have one.
fn settings(config: &RulesConfig, defaults: &Defaults) -> Result<BTreeMap<String, String>, MappingError> {
    let mut settings = config.settings.clone();
    for (name, allowed) in &defaults.settings {
        let value = settings.entry(name.clone()).or_insert_with(|| allowed.first().cloned().unwrap_or_default());
        if !allowed.contains(value) {
            return Err(MappingError::at(name.clone(), format!("must be one of {}", allowed.join(", "))));
        }
    }
    Ok(settings)
}

/// The account schema with the configured limits, endings and privileges.
fn schema(config: &RulesConfig, settings: &BTreeMap<String, String>) -> Result<AccountSchema, MappingError> {
    let mut schema = AccountSchema::embedded(config.kind).with_limits(&config.limits)?;
    for field in &mut schema.fields {
        if let Some(suffix) = field.suffix.clone() {
            let mut ending = settings.get(&suffix.setting).unwrap_or(&suffix.default).trim().to_lowercase();
            if !ending.starts_with('.') {
                ending.insert(0, '.');
            }
            if let Some((name, text)) = suffix.also.as_ref().and_then(|name| settings.get_key_value(name))
                && !format!(".{}", text.to_lowercase()).ends_with(&ending)
            {
                return Err(MappingError::at(name.clone(), format!("must end in {ending}")));
            }
            Arc::make_mut(field).suffix = Some(crate::Suffix { default: ending, ..suffix });
        }
    }
    for (name, values) in &config.allow {
        let key = format!("allow.{name}");
        let Some(position) = schema.position(name) else {
            return Err(MappingError::at(key, format!("{} has no field of this name", config.kind)));
        };
        let field = Arc::make_mut(&mut schema.fields[position]);
        if let Some(other) = values.iter().find(|value| !field.privileged.contains(value)) {
            let known = field.privileged.join(", ");
            return Err(MappingError::at(key, format!("{other:?} is not a privileged value (those are: {known})")));
        }
        field.privileged.retain(|value| !values.contains(value));
    }
    Ok(schema)
}

/// The configured rules by the field's own name: key as written, and rule.
fn configured<'a>(
    config: &'a RulesConfig,
    schema: &AccountSchema,
) -> Result<BTreeMap<String, (&'a str, &'a toml::Value)>, MappingError> {
    let mut configured = BTreeMap::new();
    for (key, value) in &config.map {
        let at = || format!("map.{key}");
        let Some(field) = schema.field(key) else {
            let distance =
                |field: &Arc<FieldSchema>| strsim::damerau_levenshtein(&field.name.to_lowercase(), &key.to_lowercase());
            let alike = schema.fields.iter().min_by_key(|field| distance(field));
            let alike = alike.filter(|field| distance(field) <= (key.len() / 3).max(1));
            let hint = alike.map_or_else(String::new, |field| format!("; did you mean {}?", field.name));
            return Err(MappingError::at(at(), format!("{} has no field of this name{hint}", config.kind)));
        };
        if let Some(other) = &field.same_as {
            return Err(MappingError::at(at(), format!("is always the same as {other} and has no rule of its own")));
        }
        if let Some((other, _)) = configured.insert(field.name.clone(), (key.as_str(), value)) {
            return Err(MappingError::at(at(), format!("is another spelling of {other}, which has a rule already")));
        }
    }
    Ok(configured)
}

fn compile_field(
    field: &FieldSchema,
    origin: Origin,
    key: &str,
    value: &toml::Value,
    surroundings: &Surroundings<'_>,
    environment: &mut Environment<'static>,
) -> Result<Rule, MappingError> {
    let at = format!("map.{key}");
    let mut compiler = Compiler { field, origin, surroundings, environment, missing_settings: Vec::new() };
    let rule = compiler.rule(value).map_err(|mistake| located(&at, mistake))?;
    if let (true, true, Some(setting)) = (field.required, rule.sources.is_empty(), compiler.missing_settings.first()) {
        let message = format!("the target requires this field: set `{setting}`, or write a rule");
        return Err(MappingError::at(at, message));
    }
    Ok(rule)
}

fn located(key: &str, mistake: Mistake) -> MappingError {
    match mistake.text {
        Some(text) => MappingError::within(key, &text, mistake.offset, mistake.message),
        None => MappingError::at(key, mistake.message),
    }
}

fn scope(config: &RulesConfig, resource_type: &ResourceType) -> Result<ScopeRules, MappingError> {
    let filter = match &config.scope.filter {
        None => None,
        Some(text) => {
            let key = "scope.filter";
            let filter =
                Filter::parse(text).map_err(|error| MappingError::within(key, text, error.position, error.message))?;
            scim_model::check_filter(resource_type, &filter).map_err(|error| MappingError {
                key: key.to_owned(),
                rule: Some(text.clone()),
                position: unknown_name(&filter, resource_type, text),
                message: error.detail,
            })?;
            if let Some(path) = filter.paths().into_iter().find(|path| path.schema.is_none() && path.is("meta")) {
                let offset = text.find(&path.to_string()).unwrap_or_default();
                return Err(MappingError::within(key, text, offset, "meta is not known to rules"));
            }
            let needs_more =
                filter.paths().iter().any(|path| path.schema.is_none() && (path.is("groups") || path.is("id")));
            Some(ScopeFilter { text: text.clone(), filter, needs_more })
        }
    };
    let groups = config.scope.groups.iter().map(|name| (name.clone(), name.to_lowercase())).collect();
    Ok(ScopeRules { filter, groups })
}

/// The place of the first path in a filter that no schema knows.
fn unknown_name(filter: &Filter, resource_type: &ResourceType, text: &str) -> Option<Position> {
    let unknown = filter.paths().into_iter().find(|path| resource_type.resolve(path).is_none())?;
    text.find(&unknown.to_string()).map(|offset| Position::of(text, offset))
}
