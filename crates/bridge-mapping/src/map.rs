//! Applies the rules of one target to one user. Pure: the same input gives the same account, with the reason for every
//! field (DESIGN sections 2 and 8).

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, HashSet},
};

use scim_model::{Document, ResourceType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    Account, Fault, FieldSchema, FieldValue, Rules, SecretSource,
    rule::{GroupTable, Origin, PathSource, Rule, Source},
    rules::{FieldRules, ScopeRules},
};

/// A group that the user is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRef {
    /// SCIM id.
    pub id: String,
    /// Display name, by which rules know it.
    pub display_name: String,
}

/// A user as the mapper sees it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// SCIM id.
    pub id: &'a str,
    /// The attributes.
    pub document: &'a Document,
    /// The type of users in this tenant's catalog.
    pub resource_type: &'a ResourceType,
    /// The groups the user is in.
    pub groups: &'a [GroupRef],
    /// Values of pools that the user holds or is about to get, by pool.
    pub assigned: &'a BTreeMap<String, String>,
    /// The attribute paths of secrets that are at hand (the keys of a draft's secrets).
    pub supplied_secrets: &'a BTreeSet<String>,
    /// Whether no membership need be waited for any more: `group_wait` is over, or the account exists.
    pub group_wait_over: bool,
}

/// What a target should hold for a user, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Whether the user has an account at this target.
    pub scope: Scope,
    /// The account. Without fields if the user has none.
    pub account: Account,
    /// For every field of the account schema, by name: where the value came from, or why there is none.
    pub lineage: BTreeMap<String, Lineage>,
    /// Values that break a limit, in schema order.
    pub problems: Vec<Problem>,
    /// The pools whose value this user's rules came to. One that is missing in [`Subject::assigned`] can be reserved, and
    /// the user mapped again.
    pub pools: BTreeSet<String>,
}

impl Mapping {
    /// Whether the target cannot take this user as the user is now.
    pub fn is_refused(&self) -> bool {
        self.problems.iter().any(|problem| problem.refuses)
    }
}

/// Whether a user has an account at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Yes.
    In,
    /// No.
    Out {
        /// Why not, for an administrator.
        reason: String,
    },
    /// Not before a membership is known that decides a field only creation can set.
    Waiting {
        /// The field.
        field: String,
        /// The groups that could decide.
        groups: Vec<String>,
    },
}

/// Where the value of one field came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The text of the rule; empty if there is none. For the extension, the path of the attribute.
    pub rule: String,
    /// The SCIM attribute, or `constant`, `generated`, `group: NAME`, `pool NAME`, `same as FIELD`.
    pub source: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is in the account.
    Set,
    /// There is no value.
    Absent {
        /// Why.
        reason: Cow<'static, str>,
    },
    /// There is a value that the target would not take.
    LeftOut {
        /// What is wrong with it.
        problem: Box<Problem>,
    },
}

/// A value that does not fit, said for the administrator who can change it. Never contains the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The vendor's field.
    pub field: String,
    /// The SCIM attribute it came from, if one did.
    pub attribute: Option<String>,
    /// A stable word: those of [`Fault`], and `required`, `not-applicable`, `template`.
    pub code: Cow<'static, str>,
    /// Field, limit and attribute in one sentence of under 200 characters.
    pub message: String,
    /// Whether the write is refused for it: a natural key, a field the target requires, or set through our extension.
    pub refuses: bool,
}

/// The longest message: identity providers cut longer ones.
const LONGEST_MESSAGE: usize = 199;

/// The account that a target should hold for a user.
pub fn map(subject: &Subject<'_>, rules: &Rules) -> Mapping {
    let mut mapper = Mapper {
        subject,
        rules,
        extension: subject.document.get(rules.kind.extension_urn()).and_then(Value::as_object),
        memberships: Memberships::of(subject.groups),
        account: Vec::with_capacity(rules.fields.len()),
        lineage: Vec::with_capacity(rules.fields.len()),
        problems: Vec::new(),
        pools: BTreeSet::new(),
        scope: Scope::In,
    };
    match excluded(&rules.scope, subject, &mapper.memberships) {
        Some(reason) => mapper.stay_out(reason),
        None => rules.fields.iter().for_each(|field| mapper.fill(field)),
    }
    mapper.finish()
}

/// Why the scope rules leave a user out.
fn excluded(scope: &ScopeRules, subject: &Subject<'_>, memberships: &Memberships<'_>) -> Option<String> {
    if let Some(filter) = &scope.filter {
        let is_in = if filter.needs_more {
            let mut resource = subject.document.as_map().clone();
            resource.insert("id".to_owned(), subject.id.into());
            resource.insert("groups".to_owned(), groups_value(subject));
            scim_model::matches(subject.resource_type, &filter.filter, &resource)
        } else {
            scim_model::matches(subject.resource_type, &filter.filter, subject.document.as_map())
        };
        if !is_in {
            return Some(format!("the user does not match the target's scope {}", filter.text));
        }
    }
    let is_member = || scope.groups.iter().any(|(_, folded)| memberships.contains(folded));
    if !scope.groups.is_empty() && !is_member() {
        let names: Vec<&str> = scope.groups.iter().map(|(name, _)| name.as_str()).collect();
        return Some(format!("the user is in none of the target's groups: {}", names.join(", ")));
    }
    None
}

/// The user's groups by folded name, made when first asked for: most users meet no rule about groups.
struct Memberships<'a> {
    groups: &'a [GroupRef],
    folded: OnceCell<HashSet<String>>,
}

impl<'a> Memberships<'a> {
    fn of(groups: &'a [GroupRef]) -> Memberships<'a> {
        Memberships { groups, folded: OnceCell::new() }
    }

    fn contains(&self, folded: &str) -> bool {
        let fold_all = || self.groups.iter().map(|group| group.display_name.to_lowercase()).collect();
        self.folded.get_or_init(fold_all).contains(folded)
    }
}

fn groups_value(subject: &Subject<'_>) -> Value {
    subject.groups.iter().map(|group| json!({ "value": group.id, "display": group.display_name })).collect()
}

/// What a source yields.
enum Yield<'a> {
    Nothing,
    Value {
        value: Cow<'a, Value>,
        source: Cow<'a, str>,
    },
    /// Converted when the rule was compiled.
    Constant {
        value: &'a Value,
        source: Cow<'a, str>,
    },
    Secret {
        secret: SecretSource,
        source: &'a str,
    },
    Fault {
        fault: Fault,
        source: &'a str,
    },
    Wait(&'a GroupTable),
}

struct Mapper<'a> {
    subject: &'a Subject<'a>,
    rules: &'a Rules,
    extension: Option<&'a Map<String, Value>>,
    memberships: Memberships<'a>,
    account: Vec<(String, FieldValue)>,
    /// In schema order: every field is noted once.
    lineage: Vec<Lineage>,
    problems: Vec<Problem>,
    pools: BTreeSet<String>,
    scope: Scope,
}

impl<'a> Mapper<'a> {
    fn finish(self) -> Mapping {
        let is_out = matches!(self.scope, Scope::Out { .. });
        let mut account = Account::new(self.rules.kind);
        if !is_out {
            account.fields = self.account.into_iter().collect();
        }
        let problems = if is_out { Vec::new() } else { self.problems };
        // Maps are built quickly from what is in order already.
        let mut lineage: Vec<Option<Lineage>> = self.lineage.into_iter().map(Some).collect();
        let in_order = self.rules.by_name.iter().filter_map(|position| {
            let lineage = lineage.get_mut(*position)?.take()?;
            Some((self.rules.fields[*position].field.name.clone(), lineage))
        });
        let lineage = in_order.collect();
        Mapping { scope: self.scope, account, lineage, problems, pools: self.pools }
    }

    fn stay_out(&mut self, reason: String) {
        for rules in &self.rules.fields {
            let rule = rules.rule.as_ref().map_or("", |rule| &rule.text);
            self.absent(rule, "the user has no account at this target");
        }
        self.scope = Scope::Out { reason };
    }

    /// Fills one field: from the extension, else by its rule.
    fn fill(&mut self, rules: &'a FieldRules) {
        let field = &*rules.field;
        if let Some(other) = &field.same_as {
            return self.repeat(field, other);
        }
        if field.cti && !self.is_cti() {
            return self.not_applicable(rules);
        }
        if self.fill_from_extension(rules) {
            return;
        }
        match &rules.rule {
            None if field.cti => self.missing_cti(field, ""),
            None => self.absent("", "no rule sets it"),
            Some(rule) => self.fill_by_rule(field, rule),
        }
    }

    /// Whether the identity provider itself said what the field holds.
    fn fill_from_extension(&mut self, rules: &'a FieldRules) -> bool {
        let field = &*rules.field;
        let path = rules.extension_path.as_str();
        if field.secret {
            let is_supplied = self.subject.supplied_secrets.contains(path);
            if is_supplied {
                self.set(field, path, path, FieldValue::Secret(SecretSource::Supplied));
            }
            return is_supplied;
        }
        let Some(extension) = self.extension else { return false };
        let names = std::iter::once(&field.name).chain(&field.aliases);
        let Some(value) = names.filter_map(|name| extension.get(name)).find(|value| !is_empty(value)) else {
            return false;
        };
        match field.convert(value) {
            Ok(Some(value)) => self.set(field, path, path, FieldValue::Plain(value)),
            Ok(None) => return false,
            Err(fault) => self.leave_out(field, path, Some(path), &fault, true),
        }
        true
    }

    fn fill_by_rule(&mut self, field: &'a FieldSchema, rule: &'a Rule) {
        for source in &rule.sources {
            match self.evaluate(source) {
                Yield::Nothing => {}
                Yield::Constant { value, source } => {
                    return self.set(field, &rule.text, source, FieldValue::Plain(value.clone()));
                }
                Yield::Secret { secret, source } => {
                    return self.set(field, &rule.text, source, FieldValue::Secret(secret));
                }
                Yield::Wait(table) => return self.wait(field, rule, table),
                Yield::Fault { fault, source } => {
                    return self.leave_out(field, &rule.text, Some(source), &fault, false);
                }
                Yield::Value { value, source } => match field.convert(&value) {
                    Ok(Some(value)) => return self.set(field, &rule.text, source, FieldValue::Plain(value)),
                    Ok(None) => {}
                    Err(fault) => return self.leave_out(field, &rule.text, Some(&source), &fault, false),
                },
            }
        }
        self.without_value(field, rule);
    }

    fn evaluate(&mut self, source: &'a Source) -> Yield<'a> {
        match source {
            Source::Constant(value) => Yield::Constant { value, source: "constant".into() },
            Source::Id => Yield::Value { value: Cow::Owned(self.subject.id.into()), source: "id".into() },
            Source::Pool(pool) => {
                self.came_to_pool(pool);
                let value = self.subject.assigned.get(pool);
                value.map_or(Yield::Nothing, |value| Yield::Value {
                    value: Cow::Owned(value.as_str().into()),
                    source: format!("pool {pool}").into(),
                })
            }
            Source::Path(path) => self
                .select(path)
                .map_or(Yield::Nothing, |value| Yield::Value { value, source: path.text.as_str().into() }),
            Source::Secret(key) if self.subject.supplied_secrets.contains(key) => {
                Yield::Secret { secret: SecretSource::Supplied, source: key }
            }
            Source::Secret(_) => Yield::Nothing,
            Source::Generate => Yield::Secret { secret: SecretSource::Generated, source: "generated" },
            Source::Template(template) => {
                template.pools.iter().for_each(|pool| self.came_to_pool(pool));
                match template.render(&self.rules.environment, self.subject) {
                    Ok(Some(text)) => {
                        Yield::Value { value: Cow::Owned(Value::String(text)), source: template.source.as_str().into() }
                    }
                    Ok(None) => Yield::Nothing,
                    Err(kind) => {
                        let demand = format!("come from a template that works ({kind})");
                        Yield::Fault { fault: Fault { code: "template", demand }, source: &template.source }
                    }
                }
            }
            Source::Groups(table) => self.by_group(table),
        }
    }

    fn came_to_pool(&mut self, pool: &str) {
        if !self.pools.contains(pool) {
            self.pools.insert(pool.to_owned());
        }
    }

    fn by_group(&self, table: &'a GroupTable) -> Yield<'a> {
        for (name, folded, value) in &table.entries {
            if self.memberships.contains(folded) {
                return Yield::Constant { value, source: format!("group: {name}").into() };
            }
        }
        match &table.otherwise {
            _ if table.waits && !self.subject.group_wait_over => Yield::Wait(table),
            Some(value) => Yield::Constant { value, source: "group: *".into() },
            None => Yield::Nothing,
        }
    }

    /// The first value that a path selects.
    fn select(&self, path: &'a PathSource) -> Option<Cow<'a, Value>> {
        let document = self.subject.document.as_map();
        let found = match &path.selecting {
            _ if path.is_groups => {
                let groups = Map::from_iter([("groups".to_owned(), groups_value(self.subject))]);
                let path = path.selecting.clone().or_else(|| path.text.parse().ok())?;
                let selected = scim_model::get(&groups, self.subject.resource_type, &path);
                return selected.into_iter().find(|value| !is_empty(value)).cloned().map(Cow::Owned);
            }
            Some(selecting) => scim_model::get(document, self.subject.resource_type, selecting)
                .into_iter()
                .find(|value| !is_empty(value)),
            None => {
                let attribute = path.place.attribute_in(self.subject.document)?;
                let elements = attribute.as_array().map_or(std::slice::from_ref(attribute), Vec::as_slice);
                let part = |element: &'a Value| match &path.place.sub {
                    None => Some(element),
                    Some(sub) => element.get(sub),
                };
                elements.iter().filter_map(part).find(|value| !is_empty(value))
            }
        };
        found.map(Cow::Borrowed)
    }

    /// Ends a field for which no source had a value.
    fn without_value(&mut self, field: &FieldSchema, rule: &Rule) {
        if field.cti {
            return self.missing_cti(field, &rule.text);
        }
        let reason = &rule.no_value;
        if field.required {
            let waiting = rule.sources.iter().find_map(|source| match source {
                Source::Groups(table) if table.waits => Some(table),
                _ => None,
            });
            if let Some(table) = waiting {
                return self.wait(field, rule, table); // only a membership can decide, however long it takes
            }
            match rule.origin {
                Origin::Default => self.leave_user_out(format!("{}: {reason}", field.name)),
                Origin::Configured => {
                    let fault = Fault { code: "required", demand: "have a value, and its rule yields none".to_owned() };
                    return self.leave_out(field, &rule.text, attribute_of(rule), &fault, false);
                }
            }
        }
        self.absent(&rule.text, reason.clone());
    }

    fn leave_user_out(&mut self, reason: String) {
        if !matches!(self.scope, Scope::Out { .. }) {
            self.scope = Scope::Out { reason };
        }
    }

    fn wait(&mut self, field: &FieldSchema, rule: &Rule, table: &GroupTable) {
        if self.scope == Scope::In {
            self.scope = Scope::Waiting { field: field.name.clone(), groups: table.names() };
        }
        self.absent(&rule.text, "waits for a membership, because only creation can set it");
    }

    fn is_cti(&self) -> bool {
        let template = self.account.iter().find(|(name, _)| name == "user_template_identifier");
        let template = template.and_then(|(_, value)| value.plain()).and_then(Value::as_str);
        template.is_some_and(|template| self.rules.cti_templates.contains(&template.to_lowercase()))
    }

    /// A field of CTI-enabled templates, for a template that is not.
    fn not_applicable(&mut self, rules: &'a FieldRules) {
        let field = &*rules.field;
        let is_set =
            self.extension.and_then(|extension| extension.get(&field.name)).is_some_and(|value| !is_empty(value));
        if is_set {
            let fault = Fault {
                code: "not-applicable",
                demand: "stay unset, as the user's template is not CTI enabled".to_owned(),
            };
            return self.leave_out(field, &rules.extension_path, Some(&rules.extension_path), &fault, true);
        }
        let rule = rules.rule.as_ref().map_or("", |rule| &rule.text);
        self.absent(rule, "the user's template is not CTI enabled");
    }

    /// A field that a CTI-enabled template cannot do without.
    fn missing_cti(&mut self, field: &FieldSchema, rule: &str) {
        let fault =
            Fault { code: "required", demand: "have a value, as the user's template is CTI enabled".to_owned() };
        self.leave_out(field, rule, None, &fault, true);
    }

    /// A secret that repeats another field.
    fn repeat(&mut self, field: &FieldSchema, other: &str) {
        let first = self.account.iter().find(|(name, _)| name == other).map(|(_, value)| value.clone());
        let rule = format!("same as {other}");
        match first {
            Some(value) => self.set(field, &rule, rule.clone(), value),
            None => self.absent(&rule, format!("there is no {other}")),
        }
    }

    fn set(&mut self, field: &FieldSchema, rule: &str, source: impl Into<String>, value: FieldValue) {
        self.account.push((field.name.clone(), value));
        self.note(rule, Some(source.into()), Outcome::Set);
    }

    fn absent(&mut self, rule: &str, reason: impl Into<Cow<'static, str>>) {
        self.note(rule, None, Outcome::Absent { reason: reason.into() });
    }

    fn leave_out(&mut self, field: &FieldSchema, rule: &str, attribute: Option<&str>, fault: &Fault, refuses: bool) {
        let refuses = refuses || field.required || field.natural_key;
        let problem = problem(field, attribute, fault, refuses);
        self.problems.push(problem.clone());
        self.note(rule, attribute.map(str::to_owned), Outcome::LeftOut { problem: Box::new(problem) });
    }

    fn note(&mut self, rule: &str, source: Option<String>, outcome: Outcome) {
        self.lineage.push(Lineage { rule: rule.to_owned(), source, outcome });
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

/// The attribute that an administrator would fill to give a rule a value.
fn attribute_of(rule: &Rule) -> Option<&str> {
    rule.sources.iter().find_map(|source| match source {
        Source::Path(path) => Some(path.text.as_str()),
        Source::Template(template) => Some(template.source.as_str()),
        Source::Secret(key) => Some(key.as_str()),
        _ => None,
    })
}

fn problem(field: &FieldSchema, attribute: Option<&str>, fault: &Fault, refuses: bool) -> Problem {
    let sentence = format!("{} must {}", field.name, fault.demand);
    let message = match attribute {
        None => sentence,
        Some(attribute) => {
            // The attribute of our extension has the field's own name, so the extension says enough.
            let own = attribute.strip_suffix(field.name.as_str()).and_then(|urn| urn.rsplit(':').nth(3));
            let from = own.map_or_else(|| attribute.to_owned(), |extension| format!("its attribute in {extension}"));
            format!("{sentence}; it comes from {from}")
        }
    };
    Problem {
        field: field.name.clone(),
        attribute: attribute.map(str::to_owned),
        code: fault.code.into(),
        message: shortened(message),
        refuses,
    }
}

fn shortened(message: String) -> String {
    if message.chars().count() <= LONGEST_MESSAGE {
        return message;
    }
    message.chars().take(LONGEST_MESSAGE - 1).chain(std::iter::once('…')).collect()
}

/// See [`Rules::check_secrets`].
pub(crate) fn check_secrets(rules: &Rules, secrets: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let value_of = |name: &str| {
        let rules = rules.fields.iter().find(|rules| rules.field.name == name)?;
        key_of(rules, secrets).and_then(|key| secrets.get(key))
    };
    for rules in rules.fields.iter().filter(|rules| rules.field.secret) {
        let Some(key) = key_of(rules, secrets) else { continue };
        let Some(text) = secrets.get(key) else { continue };
        let refuses = rules.field.required || key == rules.extension_path;
        if let Err(fault) = rules.field.check_text(text) {
            problems.push(problem(&rules.field, Some(key), &fault, refuses));
        }
        if let Some(other) = &rules.field.same_as
            && value_of(other) != Some(text)
        {
            let fault = Fault { code: "not-same", demand: format!("be the same as {other}") };
            problems.push(problem(&rules.field, Some(key), &fault, refuses));
        }
    }
    problems
}

/// The key of the supplied secret that a field would take.
fn key_of<'a>(rules: &'a FieldRules, secrets: &BTreeMap<String, String>) -> Option<&'a str> {
    if secrets.contains_key(&rules.extension_path) {
        return Some(&rules.extension_path);
    }
    let sources = rules.rule.iter().flat_map(|rule| &rule.sources);
    let mut keys = sources.filter_map(|source| match source {
        Source::Secret(key) => Some(key.as_str()),
        _ => None,
    });
    keys.find(|key| secrets.contains_key(*key))
}
