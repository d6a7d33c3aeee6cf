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
    Account, Fault, FieldSchema, FieldValue, Lineages, Rules, SecretSource,
    lineage::{By, Fate, From, Membership, Note, Why},
    rule::{GroupTable, Origin, PathSource, Rule, Source},
    rules::{Compiled, FieldRules, ScopeRules},
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
    /// For every field of the account schema: where the value came from, or why there is none.
    pub lineage: Lineages,
    /// Values that break a limit, in schema order.
    pub problems: Vec<Problem>,
    /// The pools whose value this user's rules came to. One that is missing in [`Subject::assigned`] can be reserved, and
    /// the user mapped again.
    pub pools: BTreeSet<String>,
}

impl Mapping {
    /// Of a user who is to have no account, for a reason that is no rule's. Nothing is mapped: there is no lineage.
    pub fn out_of_scope(rules: &Rules, reason: String) -> Self {
        Self {
            scope: Scope::Out { reason },
            account: Account::new(rules.compiled.kind),
            lineage: Lineages::new(rules.clone(), Vec::new()),
            problems: Vec::new(),
            pools: BTreeSet::new(),
        }
    }

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

/// The field of a template-user system that says which fields of telephony a user has.
const TEMPLATE: &str = "user_template_identifier";

/// The account that a target should hold for a user.
pub fn map(subject: &Subject<'_>, rules: &Rules) -> Mapping {
    let compiled = &*rules.compiled;
    let mut mapper = Mapper {
        subject,
        rules: compiled,
        extension: subject.document.get(compiled.kind.extension_urn()).and_then(Value::as_object),
        memberships: Memberships::of(subject.groups),
        account: Vec::with_capacity(compiled.fields.len()),
        notes: Vec::with_capacity(compiled.fields.len()),
        problems: Vec::new(),
        pools: BTreeSet::new(),
        scope: Scope::In,
    };
    match excluded(&compiled.scope, subject, &mapper.memberships) {
        Some(reason) => mapper.stay_out(reason),
        None => compiled.fields.iter().for_each(|field| mapper.fill(field)),
    }
    mapper.finish(rules)
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
    Value(Cow<'a, Value>),
    /// Converted when the rule was compiled.
    Constant(&'a Value),
    /// The constant that a membership stands for.
    ByGroup(&'a Value, Membership),
    Secret(SecretSource),
    Fault(Fault),
    Wait(&'a GroupTable),
}

struct Mapper<'a> {
    subject: &'a Subject<'a>,
    rules: &'a Compiled,
    extension: Option<&'a Map<String, Value>>,
    memberships: Memberships<'a>,
    account: Vec<(String, FieldValue)>,
    /// In schema order: every field is noted once.
    notes: Vec<Note>,
    problems: Vec<Problem>,
    pools: BTreeSet<String>,
    scope: Scope,
}

impl<'a> Mapper<'a> {
    fn finish(self, rules: &Rules) -> Mapping {
        let is_out = matches!(self.scope, Scope::Out { .. });
        let mut account = Account::new(self.rules.kind);
        if !is_out {
            account.fields = self.account.into_iter().collect();
        }
        let problems = if is_out { Vec::new() } else { self.problems };
        let lineage = Lineages::new(rules.clone(), self.notes);
        Mapping { scope: self.scope, account, lineage, problems, pools: self.pools }
    }

    fn stay_out(&mut self, reason: String) {
        for _ in &self.rules.fields {
            self.absent(By::Rule, Why::Said("the user has no account at this target"));
        }
        self.scope = Scope::Out { reason };
    }

    /// Fills one field: from the extension, else by its rule.
    fn fill(&mut self, rules: &'a FieldRules) {
        let field = &*rules.field;
        if let Some(other) = &field.same_as {
            return self.repeat(rules, other);
        }
        if field.cti && self.awaits_template() {
            return self.absent(By::Rule, Why::Said("waits for the user's template, which a membership decides"));
        }
        if field.cti && !self.is_cti() {
            return self.not_applicable(rules);
        }
        if self.fill_from_extension(rules) {
            return;
        }
        match &rules.rule {
            None if field.cti => self.missing_cti(rules),
            None => self.absent(By::Rule, Why::Said("no rule sets it")),
            Some(rule) => self.fill_by_rule(rules, rule),
        }
    }

    /// Whether the identity provider itself said what the field holds.
    fn fill_from_extension(&mut self, rules: &'a FieldRules) -> bool {
        let field = &*rules.field;
        if field.secret {
            let is_supplied = self.subject.supplied_secrets.contains(&rules.extension_path);
            if is_supplied {
                self.set(rules, By::Extension, From::Extension, FieldValue::Secret(SecretSource::Supplied));
            }
            return is_supplied;
        }
        let Some(extension) = self.extension else { return false };
        let names = std::iter::once(&field.name).chain(&field.aliases);
        let Some(value) = names.filter_map(|name| extension.get(name)).find(|value| !is_empty(value)) else {
            return false;
        };
        match field.convert(value) {
            Ok(Some(value)) => self.set(rules, By::Extension, From::Extension, FieldValue::Plain(value)),
            Ok(None) => return false,
            Err(fault) => self.leave_out(rules, By::Extension, From::Extension, &fault, true),
        }
        true
    }

    fn fill_by_rule(&mut self, rules: &'a FieldRules, rule: &'a Rule) {
        for (position, source) in rule.sources.iter().enumerate() {
            let from = From::Source(position);
            match self.evaluate(source) {
                Yield::Nothing => {}
                Yield::Constant(value) => {
                    return self.set(rules, By::Rule, from, FieldValue::Plain(value.clone()));
                }
                Yield::ByGroup(value, membership) => {
                    let from = From::Group(position, membership);
                    return self.set(rules, By::Rule, from, FieldValue::Plain(value.clone()));
                }
                Yield::Secret(secret) => return self.set(rules, By::Rule, from, FieldValue::Secret(secret)),
                Yield::Wait(table) => return self.wait(rules, table),
                Yield::Fault(fault) => return self.leave_out(rules, By::Rule, from, &fault, false),
                Yield::Value(value) => match rules.field.convert(&value) {
                    Ok(Some(value)) => return self.set(rules, By::Rule, from, FieldValue::Plain(value)),
                    Ok(None) => {}
                    Err(fault) => return self.leave_out(rules, By::Rule, from, &fault, false),
                },
            }
        }
        self.without_value(rules, rule);
    }

    fn evaluate(&mut self, source: &'a Source) -> Yield<'a> {
        match source {
            Source::Constant(value) => Yield::Constant(value),
            Source::Id => Yield::Value(Cow::Owned(self.subject.id.into())),
            Source::Pool(pool) => {
                self.came_to_pool(pool);
                let value = self.subject.assigned.get(pool);
                value.map_or(Yield::Nothing, |value| Yield::Value(Cow::Owned(value.as_str().into())))
            }
            Source::Path(path) => self.select(path).map_or(Yield::Nothing, Yield::Value),
            Source::Secret(key) if self.subject.supplied_secrets.contains(key) => Yield::Secret(SecretSource::Supplied),
            Source::Secret(_) => Yield::Nothing,
            Source::Generate => Yield::Secret(SecretSource::Generated),
            Source::Template(template) => {
                template.pools.iter().for_each(|pool| self.came_to_pool(pool));
                match template.render(&self.rules.environment, self.subject) {
                    Ok(Some(text)) => Yield::Value(Cow::Owned(Value::String(text))),
                    Ok(None) => Yield::Nothing,
                    Err(kind) => {
                        let demand = format!("come from a template that works ({kind})");
                        Yield::Fault(Fault { code: "template", demand })
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
        for (entry, (_, folded, value)) in table.entries.iter().enumerate() {
            if self.memberships.contains(folded) {
                return Yield::ByGroup(value, Membership::Named(entry));
            }
        }
        match &table.otherwise {
            _ if table.waits && !self.subject.group_wait_over => Yield::Wait(table),
            Some(value) => Yield::ByGroup(value, Membership::Other),
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
    fn without_value(&mut self, rules: &FieldRules, rule: &Rule) {
        let field = &*rules.field;
        if field.cti {
            return self.missing_cti(rules);
        }
        if field.required {
            let waiting = rule.sources.iter().find_map(|source| match source {
                Source::Groups(table) if table.waits => Some(table),
                _ => None,
            });
            if let Some(table) = waiting {
                return self.wait(rules, table); // only a membership can decide, however long it takes
            }
            match rule.origin {
                Origin::Default => self.leave_user_out(format!("{}: {}", field.name, rule.no_value)),
                Origin::Configured => {
                    let fault = Fault { code: "required", demand: "have a value, and its rule yields none".to_owned() };
                    return self.leave_out(rules, By::Rule, attribute_of(rule), &fault, false);
                }
            }
        }
        self.absent(By::Rule, Why::NoValue);
    }

    fn leave_user_out(&mut self, reason: String) {
        if !matches!(self.scope, Scope::Out { .. }) {
            self.scope = Scope::Out { reason };
        }
    }

    fn wait(&mut self, rules: &FieldRules, table: &GroupTable) {
        if self.scope == Scope::In {
            self.scope = Scope::Waiting { field: rules.field.name.clone(), groups: table.names() };
        }
        self.absent(By::Rule, Why::Said("waits for a membership, because only creation can set it"));
    }

    /// Whether nobody knows yet if the user's template is CTI enabled.
    fn awaits_template(&self) -> bool {
        matches!(&self.scope, Scope::Waiting { field, .. } if field == TEMPLATE)
    }

    fn is_cti(&self) -> bool {
        let template = self.account.iter().find(|(name, _)| name == TEMPLATE);
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
            return self.leave_out(rules, By::Extension, From::Extension, &fault, true);
        }
        self.absent(By::Rule, Why::Said("the user's template is not CTI enabled"));
    }

    /// A field that a CTI-enabled template cannot do without.
    fn missing_cti(&mut self, rules: &FieldRules) {
        let fault =
            Fault { code: "required", demand: "have a value, as the user's template is CTI enabled".to_owned() };
        self.leave_out(rules, By::Rule, From::Nowhere, &fault, true);
    }

    /// A secret that repeats another field.
    fn repeat(&mut self, rules: &FieldRules, other: &str) {
        let first = self.account.iter().find(|(name, _)| name == other).map(|(_, value)| value.clone());
        match first {
            Some(value) => self.set(rules, By::Other, From::Other, value),
            None => self.absent(By::Other, Why::NoOther),
        }
    }

    fn set(&mut self, rules: &FieldRules, by: By, from: From, value: FieldValue) {
        self.account.push((rules.field.name.clone(), value));
        self.notes.push(Note { by, from, fate: Fate::Set });
    }

    fn absent(&mut self, by: By, why: Why) {
        self.notes.push(Note { by, from: From::Nowhere, fate: Fate::Absent(why) });
    }

    fn leave_out(&mut self, rules: &FieldRules, by: By, from: From, fault: &Fault, refuses: bool) {
        let field = &*rules.field;
        let refuses = refuses || field.required || field.natural_key;
        let problem = problem(field, from.words(rules).as_deref(), fault, refuses);
        self.problems.push(problem.clone());
        self.notes.push(Note { by, from, fate: Fate::LeftOut(Box::new(problem)) });
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
fn attribute_of(rule: &Rule) -> From {
    let is_attribute = |source: &Source| matches!(source, Source::Path(_) | Source::Template(_) | Source::Secret(_));
    rule.sources.iter().position(is_attribute).map_or(From::Nowhere, From::Source)
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
    let fields = &rules.compiled.fields;
    let mut problems = Vec::new();
    let value_of = |name: &str| {
        let rules = fields.iter().find(|rules| rules.field.name == name)?;
        key_of(rules, secrets).and_then(|key| secrets.get(key))
    };
    for rules in fields.iter().filter(|rules| rules.field.secret) {
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
