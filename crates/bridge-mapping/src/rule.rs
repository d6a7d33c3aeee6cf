//! One rule in any of its forms, as text and compiled (DESIGN section 8).

use std::borrow::Cow;

use minijinja::Environment;
use scim_filter::{AttributePath, Filter, PatchPath};
use scim_model::{Returned, Type};
use serde_json::Value;

use crate::{
    FieldSchema,
    template::{self, Cause, Place, Simple, Surroundings, Template, Unusable},
};

/// Who wrote a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It ships with the bridge.
    Default,
    /// It stands in the target's `map`.
    Configured,
}

/// The compiled rule of one field.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) origin: Origin,
    /// As written, for the lineage.
    pub(crate) text: String,
    /// Tried in order; the first that yields a value wins. Empty: the field is never set.
    pub(crate) sources: Vec<Source>,
    /// The reason in the lineage if none does.
    pub(crate) no_value: String,
}

/// Where a value may come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Already converted and checked.
    Constant(Value),
    /// The id of the SCIM resource.
    Id,
    /// The value of a pool.
    Pool(String),
    /// What a path selects.
    Path(PathSource),
    /// A secret that the identity provider sends, by its key among the secrets of a draft.
    Secret(String),
    /// What a template prints.
    Template(Template),
    /// By membership.
    Groups(GroupTable),
    /// The bridge makes a secret.
    Generate,
}

impl Source {
    /// As the lineage names it.
    pub(crate) fn words(&self) -> Cow<'_, str> {
        match self {
            Source::Constant(_) => "constant".into(),
            Source::Id => "id".into(),
            Source::Pool(pool) => format!("pool {pool}").into(),
            Source::Path(path) => path.text.as_str().into(),
            Source::Secret(key) => key.as_str().into(),
            Source::Generate => "generated".into(),
            Source::Template(template) => template.source.as_str().into(),
            Source::Groups(_) => "groups".into(),
        }
    }
}

/// A compiled path.
#[derive(Debug, Clone)]
pub(crate) struct PathSource {
    /// The path in canonical form, for the lineage.
    pub(crate) text: String,
    pub(crate) place: Place,
    /// Only if elements must be chosen.
    pub(crate) selecting: Option<PatchPath>,
    /// `groups` is not in a document, so it is made from the subject.
    pub(crate) is_groups: bool,
}

/// A value by group; the first group in the order of the file wins.
#[derive(Debug, Clone)]
pub(crate) struct GroupTable {
    /// Display name, the same folded, and the value.
    pub(crate) entries: Vec<(String, String, Value)>,
    /// The value of `*`.
    pub(crate) otherwise: Option<Value>,
    /// Whether to wait for a membership before `otherwise` or nothing applies: the field can only be set once.
    pub(crate) waits: bool,
}

impl GroupTable {
    pub(crate) fn names(&self) -> Vec<String> {
        self.entries.iter().map(|(name, ..)| name.clone()).collect()
    }
}

/// A mistake in a rule: in which text, where, and what.
pub(crate) struct Mistake {
    pub(crate) text: Option<String>,
    pub(crate) offset: usize,
    pub(crate) message: String,
}

impl Mistake {
    fn whole(message: impl Into<String>) -> Mistake {
        Mistake { text: None, offset: 0, message: message.into() }
    }
}

/// Compiles the rule of one field.
pub(crate) struct Compiler<'a> {
    pub(crate) field: &'a FieldSchema,
    pub(crate) origin: Origin,
    pub(crate) surroundings: &'a Surroundings<'a>,
    pub(crate) environment: &'a mut Environment<'static>,
    /// Settings that a default rule would have needed.
    pub(crate) missing_settings: Vec<String>,
}

impl Compiler<'_> {
    /// The rule, with the sources that exist in this configuration.
    pub(crate) fn rule(&mut self, value: &toml::Value) -> Result<Rule, Mistake> {
        let mut sources = Vec::new();
        match value {
            toml::Value::Array(entries) => {
                for entry in entries {
                    sources.extend(self.source(entry, sources.len())?);
                }
            }
            single => sources.extend(self.source(single, 0)?),
        }
        let text = match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string().trim().to_owned(),
        };
        Ok(Rule { origin: self.origin, text, no_value: no_value(&sources), sources })
    }

    fn source(&mut self, value: &toml::Value, index: usize) -> Result<Option<Source>, Mistake> {
        match value {
            toml::Value::String(text) => match self.text(text, index) {
                Ok(source) => Ok(Some(source)),
                Err(unusable) => self.excused(text, unusable).map(|()| None),
            },
            toml::Value::Table(table) => self.table(table).map(Some),
            toml::Value::Array(_) => Err(Mistake::whole("a list of rules cannot hold another list")),
            other => Err(Mistake::whole(format!("a constant is written {{ value = {other} }}"))),
        }
    }

    /// A default rule whose setting or pool is missing does not exist; anything else is a mistake.
    fn excused(&mut self, text: &str, unusable: Unusable) -> Result<(), Mistake> {
        let message = match (unusable.cause, self.origin) {
            (Cause::Mistake(message), _) => message,
            (Cause::NoSetting(setting), Origin::Default) => {
                self.missing_settings.push(setting);
                return Ok(());
            }
            (Cause::NoPool(_), Origin::Default) => return Ok(()),
            (Cause::NoSetting(setting), Origin::Configured) => format!("the target has no setting \"{setting}\""),
            (Cause::NoPool(pool), Origin::Configured) => format!("the tenant has no pool \"{pool}\""),
        };
        Err(Mistake { text: Some(text.to_owned()), offset: unusable.offset, message })
    }

    fn text(&mut self, text: &str, index: usize) -> Result<Source, Unusable> {
        if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            return self.path(text);
        }
        if self.field.secret {
            let message =
                "a secret comes from a path such as \"password\" or from { generate = … }, never from a template";
            return Err(Unusable::mistake(0, message));
        }
        let setting = |name: &str| self.surroundings.settings.get(name);
        match template::simple(text, self.surroundings) {
            Some(Simple::Id) => Ok(Source::Id),
            Some(Simple::Path(path)) => {
                let start = text.find(&path).unwrap_or_default();
                self.path(&path).map_err(|unusable| Unusable { offset: start + unusable.offset, ..unusable })
            }
            Some(Simple::Pool(pool)) if self.surroundings.pools.contains(pool) => Ok(Source::Pool(pool.to_owned())),
            Some(Simple::Setting(name)) if setting(name).is_some() => {
                let value = setting(name).cloned().unwrap_or_default();
                self.constant(Value::String(value))
                    .map(Source::Constant)
                    .map_err(|message| Unusable::mistake(0, message))
            }
            _ => {
                let name = format!("{}#{index}", self.field.name);
                Template::compile(self.environment, name, text, self.surroundings).map(Source::Template)
            }
        }
    }

    fn path(&self, text: &str) -> Result<Source, Unusable> {
        let path = PatchPath::parse(text).map_err(|error| Unusable::mistake(error.position, error.message))?;
        if path.attribute.schema.is_none() && path.attribute.is("id") && path.attribute.sub_attribute.is_none() {
            return Ok(Source::Id);
        }
        let whole = AttributePath { sub_attribute: path.sub().map(str::to_owned), ..path.attribute.clone() };
        let Some(resolved) = self.surroundings.resource_type.resolve(&whole) else {
            return Err(self.unknown(text, &path));
        };
        let (attribute, leaf) = (resolved.attribute, resolved.leaf());
        let name_offset = attribute_offset(text, &path);
        if leaf.returned == Returned::Never {
            return if self.field.secret {
                Ok(Source::Secret(resolved.path()))
            } else {
                Err(Unusable::mistake(name_offset, format!("{} is a secret and {} is not", leaf.name, self.field.name)))
            };
        }
        if self.field.secret {
            let message = format!("{} is a secret and {} is not", self.field.name, leaf.name);
            return Err(Unusable::mistake(name_offset, message));
        }
        template::check_readable(attribute, name_offset)?;
        if resolved.schema == Some(scim_model::PROVISIONING_URN) {
            return Err(Unusable::mistake(0, "the state of accounts is not known to rules"));
        }
        if leaf.kind == Type::Complex {
            let parts: Vec<&str> = leaf.sub_attributes.iter().map(|sub| sub.name.as_str()).collect();
            let message = format!("{} has parts; name one of them: {}", leaf.name, parts.join(", "));
            return Err(Unusable::mistake(text.len(), message));
        }
        if let Some(filter) = &path.filter {
            let bracket = text.find('[').unwrap_or_default();
            if !attribute.multi_valued {
                return Err(Unusable::mistake(bracket, format!("{} is not a list", attribute.name)));
            }
            let on_list = AttributePath { sub_attribute: None, ..path.attribute.clone() };
            scim_model::check_filter(self.surroundings.resource_type, &Filter::ValuePath(on_list, filter.clone()))
                .map_err(|error| Unusable::mistake(bracket + 1, error.detail))?;
        }
        Ok(Source::Path(PathSource {
            text: path.to_string(),
            place: Place::new(resolved.schema, attribute, resolved.sub),
            is_groups: resolved.schema.is_none() && attribute.name == "groups",
            selecting: path.filter.is_some().then_some(path),
        }))
    }

    /// Which part of the path no schema knows, and where it stands.
    fn unknown(&self, text: &str, path: &PatchPath) -> Unusable {
        let attribute = AttributePath { sub_attribute: None, ..path.attribute.clone() };
        let resource_type = self.surroundings.resource_type;
        if let (Some(resolved), Some(sub)) = (resource_type.resolve(&attribute), path.sub()) {
            let message = format!("{} has no part \"{sub}\"", resolved.path());
            return Unusable::mistake(text.rfind(sub).unwrap_or_default(), message);
        }
        let is_schema =
            |urn: &str| resource_type.schema.id.eq_ignore_ascii_case(urn) || resource_type.extension(urn).is_some();
        match &path.attribute.schema {
            Some(urn) if is_schema(&attribute.to_string()) => Unusable::mistake(
                text.len(),
                format!("{urn}:{} is a whole schema; name an attribute of it", attribute.name),
            ),
            Some(urn) if !is_schema(urn) => Unusable::mistake(0, format!("there is no schema {urn}")),
            Some(urn) => {
                let name = &attribute.name;
                Unusable::mistake(attribute_offset(text, path), format!("{urn} has no attribute \"{name}\""))
            }
            None => {
                let name = &attribute.name;
                Unusable::mistake(attribute_offset(text, path), format!("no schema has an attribute \"{name}\""))
            }
        }
    }

    fn table(&self, table: &toml::Table) -> Result<Source, Mistake> {
        let mut entries = table.iter();
        let (Some((form, value)), None) = (entries.next(), entries.next()) else {
            return Err(Mistake::whole("a rule's table has one key: value, groups or generate"));
        };
        match (form.as_str(), value) {
            ("value", _) if self.field.secret => {
                Err(Mistake::whole("a secret must not stand in the configuration's rules; use { generate = … }"))
            }
            ("value", value) => {
                let constant =
                    scalar(value).ok_or_else(|| Mistake::whole("value must be a text, number or boolean"))?;
                self.constant(constant).map(Source::Constant).map_err(Mistake::whole)
            }
            ("generate", toml::Value::String(what)) => self.generate(what),
            ("groups", toml::Value::Table(groups)) => self.groups(groups).map(Source::Groups),
            ("generate" | "groups", _) => Err(Mistake::whole(format!(
                "write {}",
                if form == "groups" { "{ groups = { \"Group name\" = … } }" } else { "{ generate = \"password\" }" }
            ))),
            (other, _) => {
                Err(Mistake::whole(format!("there is no form of rule \"{other}\": use value, groups or generate")))
            }
        }
    }

    fn generate(&self, what: &str) -> Result<Source, Mistake> {
        match self.field.generator {
            Some(generator) if generator.name() == what => Ok(Source::Generate),
            Some(generator) => {
                Err(Mistake::whole(format!("{} takes {{ generate = \"{}\" }}", self.field.name, generator.name())))
            }
            None => {
                Err(Mistake::whole(format!("{} is not a secret, so nothing can be generated for it", self.field.name)))
            }
        }
    }

    fn groups(&self, groups: &toml::Table) -> Result<GroupTable, Mistake> {
        if self.field.secret {
            return Err(Mistake::whole("a secret must not stand in the configuration's rules; use { generate = … }"));
        }
        if groups.is_empty() {
            return Err(Mistake::whole(
                "names no group: write { groups = { \"Group name\" = …, \"*\" = … } }, or [] for no value",
            ));
        }
        let mut table = GroupTable { entries: Vec::new(), otherwise: None, waits: false };
        for (name, value) in groups {
            if table.otherwise.is_some() {
                return Err(Mistake::whole(format!("\"*\" fits everybody, so it must come after \"{name}\"")));
            }
            let constant = scalar(value)
                .ok_or_else(|| Mistake::whole(format!("the value of \"{name}\" must be a text, number or boolean")))?;
            let constant = self
                .constant(constant)
                .map_err(|message| Mistake::whole(format!("the value of \"{name}\": {message}")))?;
            if name == "*" {
                table.otherwise = Some(constant);
            } else {
                table.entries.push((name.clone(), name.to_lowercase(), constant));
            }
        }
        table.waits = self.field.create_only && !table.entries.is_empty();
        Ok(table)
    }

    /// A constant as the target takes it. What breaks a limit here breaks it for everybody, so it is a mistake.
    fn constant(&self, value: Value) -> Result<Value, String> {
        match self.field.convert(&value) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err("the value is empty; an empty list [] keeps a field unset".to_owned()),
            Err(fault) => Err(format!("{} must {}", self.field.name, fault.demand)),
        }
    }
}

fn scalar(value: &toml::Value) -> Option<Value> {
    match value {
        toml::Value::String(text) => Some(Value::String(text.clone())),
        toml::Value::Integer(number) => Some((*number).into()),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number).map(Value::Number),
        toml::Value::Boolean(flag) => Some(Value::Bool(*flag)),
        toml::Value::Datetime(time) => Some(Value::String(time.to_string())),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

/// Where the attribute's name stands in the text of a path.
fn attribute_offset(text: &str, path: &PatchPath) -> usize {
    let start = path.attribute.schema.as_ref().and_then(|urn| text.find(urn.as_str()).map(|at| at + urn.len()));
    let start = start.unwrap_or_default();
    text[start..].find(&path.attribute.name).map_or(start, |at| start + at)
}

/// Why a rule yielded nothing.
fn no_value(sources: &[Source]) -> String {
    match sources {
        [] => "its rule has no source here".to_owned(),
        [Source::Groups(_)] => "the user is in none of the groups that the rule names".to_owned(),
        [one] => format!("{} has no value", source_name(one)),
        several => {
            let names: Vec<Cow<'_, str>> = several.iter().map(source_name).collect();
            format!("no value in {}", names.join(", "))
        }
    }
}

fn source_name(source: &Source) -> Cow<'_, str> {
    match source {
        Source::Constant(_) => "a constant".into(),
        Source::Generate => "a generated value".into(),
        other => other.words(),
    }
}
