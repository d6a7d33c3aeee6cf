//! A rule that is a template: `"{{ userName | before('@') | slug }}.acme.glance.net"` (DESIGN section 8).
//!
//! Templates see the attributes of the user by name, extensions by a short name (`enterprise.department`) or in
//! `resource['urn:…']`, and `id`, `groups` (display names), `assigned.POOL` and `target.SETTING`. A name that no schema
//! knows is an error when the rule is compiled. A template that prints an attribute without a value yields no value.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use minijinja::{
    Environment, ErrorKind, UndefinedBehavior, Value,
    value::{Enumerator, Object, ObjectRepr, Serde},
};
use scim_filter::AttributePath;
use scim_model::{Attribute, ResourceType, Returned, Type};
use serde_json::Value as Json;

use crate::{
    filters,
    map::Subject,
    scan::{self, Chain, Role},
};

/// Why a text cannot be a rule.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// Byte in the text.
    pub(crate) offset: usize,
    pub(crate) cause: Cause,
}

#[derive(Debug)]
pub(crate) enum Cause {
    /// It is wrong, whoever wrote it.
    Mistake(String),
    /// It needs a setting that the target does not have. A default rule then does not exist.
    NoSetting(String),
    /// It needs a pool that the tenant does not have. A default rule then does not exist.
    NoPool(String),
}

impl Unusable {
    pub(crate) fn mistake(offset: usize, message: impl Into<String>) -> Unusable {
        Unusable { offset, cause: Cause::Mistake(message.into()) }
    }
}

/// What there is to refer to.
pub(crate) struct Surroundings<'a> {
    pub(crate) resource_type: &'a ResourceType,
    pub(crate) settings: &'a BTreeMap<String, String>,
    pub(crate) pools: &'a BTreeSet<String>,
}

/// An environment with our filters and without any way to the outside.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // Printing undefined is an error, asking whether it is there is not: `{{ nickName or displayName }}`.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_debug(false);
    environment.remove_global("debug");
    filters::register(&mut environment);
    environment
}

/// A compiled template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// Its name in the environment.
    name: String,
    inputs: Vec<Input>,
    /// The attributes it reads, for the lineage.
    pub(crate) source: String,
    pub(crate) pools: Vec<String>,
    pub(crate) uses_groups: bool,
    /// Attributes without which it prints nothing, so that it need not be rendered to find out.
    needed: Vec<Place>,
}

/// Filters that yield nothing for an absent value.
const STRICT_FILTERS: [&str; 15] = [
    "after",
    "ascii",
    "before",
    "digits",
    "email",
    "family_name",
    "given_name",
    "initial",
    "language",
    "login",
    "lower",
    "slug",
    "truncate",
    "upper",
    "with_domain",
];

/// A variable and where its value comes from.
#[derive(Debug, Clone)]
enum Input {
    Id,
    Groups,
    Resource,
    Attribute { variable: String, place: Place },
    Extension { variable: String, urn: String },
    Assigned,
    Target(Value),
}

/// Where an attribute stands in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// URN of the extension; `None` for core attributes.
    pub(crate) schema: Option<String>,
    /// Canonical name.
    pub(crate) name: String,
    /// Canonical name of the sub-attribute.
    pub(crate) sub: Option<String>,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Simple,
    Complex,
    List,
}

impl Place {
    pub(crate) fn new(schema: Option<&str>, attribute: &Attribute, sub: Option<&Attribute>) -> Place {
        let shape = match attribute {
            list if list.multi_valued => Shape::List,
            complex if complex.kind == Type::Complex => Shape::Complex,
            _ => Shape::Simple,
        };
        Place {
            schema: schema.map(str::to_owned),
            name: attribute.name.clone(),
            sub: sub.map(|sub| sub.name.clone()),
            shape,
        }
    }

    /// The attribute's value in a document, without the sub-attribute.
    pub(crate) fn attribute_in<'a>(&self, document: &'a scim_model::Document) -> Option<&'a Json> {
        match &self.schema {
            None => document.get(&self.name),
            Some(urn) => document.get(urn)?.get(&self.name),
        }
    }

    /// Whether a single-valued attribute, or its sub-attribute, has no value.
    fn is_absent_in(&self, document: &scim_model::Document) -> bool {
        match (self.attribute_in(document), &self.sub) {
            (None, _) => true,
            (Some(value), Some(sub)) => value.get(sub).is_none(),
            (Some(_), None) => false,
        }
    }
}

/// A template that is a single name, for which no template engine is needed.
pub(crate) enum Simple<'a> {
    Id,
    Pool(&'a str),
    Setting(&'a str),
    /// A path of our own grammar.
    Path(String),
}

/// Recognises `{{ id }}`, `{{ assigned.POOL }}`, `{{ target.SETTING }}`, `{{ userName }}` and `{{ name.givenName }}`.
pub(crate) fn simple<'a>(text: &'a str, surroundings: &Surroundings<'_>) -> Option<Simple<'a>> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let chains = scan::names(text);
    let [Chain { role: Role::Variable, names, indexed: false }] = chains.as_slice() else { return None };
    let names: Vec<&'a str> = names.iter().map(|(name, _)| *name).collect();
    if names.join(".") != inner {
        return None;
    }
    match names.as_slice() {
        ["id"] => Some(Simple::Id),
        ["assigned", pool] => Some(Simple::Pool(pool)),
        ["target", setting] => Some(Simple::Setting(setting)),
        ["groups", ..] => None,
        [name, sub @ ..] if sub.len() < 2 => {
            let path = AttributePath {
                schema: None,
                name: (*name).to_owned(),
                sub_attribute: sub.first().map(|sub| (*sub).to_owned()),
            };
            let resolved = surroundings.resource_type.resolve(&path)?;
            let is_simple = !resolved.attribute.multi_valued && resolved.leaf().kind != Type::Complex;
            is_simple.then(|| Simple::Path(path.to_string()))
        }
        _ => None,
    }
}

impl Template {
    /// Compiles a template and leaves it in the environment under `name`.
    pub(crate) fn compile(
        environment: &mut Environment<'static>,
        name: String,
        text: &str,
        surroundings: &Surroundings<'_>,
    ) -> Result<Template, Unusable> {
        environment.set_debug(true);
        let added = environment.add_template_owned(name.clone(), text.to_owned());
        environment.set_debug(false);
        added.map_err(|error| {
            let offset = error.range().map_or(0, |range| range.start);
            Unusable::mistake(offset, format!("is not a template: {}", error.detail().unwrap_or("syntax error")))
        })?;
        let free = match environment.get_template(&name) {
            Ok(template) => template.undeclared_variables(false),
            Err(error) => return Err(Unusable::mistake(0, error.to_string())),
        };
        let chains = scan::names(text);
        check_calls(environment, &chains)?;
        let mut reader =
            Reader { surroundings, inputs: Vec::new(), sources: Vec::new(), pools: Vec::new(), needed: Vec::new() };
        let globals: HashSet<&str> = environment.globals().map(|(name, _)| name).collect();
        let mut seen = HashSet::new();
        for chain in chains.iter().filter(|chain| chain.role == Role::Variable) {
            let (first, _) = chain.names[0];
            if free.contains(first) && !globals.contains(first) {
                reader.read(chain, seen.insert(first))?;
            }
        }
        // A word such as `if` or `or` is a name that is neither free nor a filter.
        let is_plain = |chain: &Chain<'_>| match chain.role {
            Role::Variable => free.contains(chain.names[0].0) && !chain.indexed,
            Role::Filter => STRICT_FILTERS.contains(&chain.names[0].0),
            Role::Test => false,
        };
        if !chains.iter().all(is_plain) {
            reader.needed.clear();
        }
        let uses_groups = reader.inputs.iter().any(|input| matches!(input, Input::Groups));
        reader.inputs.extend(reader.settings_used(&chains));
        Ok(Template {
            name,
            inputs: reader.inputs,
            source: reader.sources.join(", "),
            pools: reader.pools,
            uses_groups,
            needed: reader.needed,
        })
    }

    /// The text for one user; `None` if it prints something that has no value.
    pub(crate) fn render(
        &self,
        environment: &Environment<'static>,
        subject: &Subject<'_>,
    ) -> Result<Option<String>, ErrorKind> {
        if self.needed.iter().any(|place| place.is_absent_in(subject.document)) {
            return Ok(None);
        }
        let context = Value::from_pairs(self.inputs.iter().filter_map(|input| input.value(subject)));
        let rendered = environment.get_template(&self.name).and_then(|template| template.render(context));
        match rendered {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(None),
            Err(error) => Err(error.kind()),
        }
    }
}

/// Filters and tests must exist: MiniJinja itself would only notice when it comes to them.
fn check_calls(environment: &Environment<'static>, chains: &[Chain<'_>]) -> Result<(), Unusable> {
    let mut state = environment.empty_state();
    for Chain { role, names, .. } in chains {
        let (name, offset) = names[0];
        let unknown = match role {
            Role::Variable => continue,
            Role::Filter => (state.apply_filter(name, &[]).err(), ErrorKind::UnknownFilter, "filter"),
            Role::Test => (state.perform_test(name, &[]).err(), ErrorKind::UnknownTest, "test"),
        };
        if let (Some(error), kind, what) = unknown
            && error.kind() == kind
        {
            return Err(Unusable::mistake(offset, format!("there is no {what} \"{name}\"")));
        }
    }
    Ok(())
}

/// Collects what a template needs.
struct Reader<'a> {
    surroundings: &'a Surroundings<'a>,
    inputs: Vec<Input>,
    sources: Vec<String>,
    pools: Vec<String>,
    needed: Vec<Place>,
}

impl Reader<'_> {
    fn read(&mut self, chain: &Chain<'_>, is_first: bool) -> Result<(), Unusable> {
        let (first, offset) = chain.names[0];
        let second = chain.names.get(1).copied();
        let input = match first {
            "id" => {
                self.add_source("id");
                Input::Id
            }
            "groups" => {
                self.add_source("groups");
                Input::Groups
            }
            "resource" => {
                self.add_source("resource");
                Input::Resource
            }
            "assigned" => {
                let (pool, offset) = Self::named(chain, "assigned", "pool")?;
                if !self.surroundings.pools.contains(pool) {
                    return Err(Unusable { offset, cause: Cause::NoPool(pool.to_owned()) });
                }
                self.add_source(&format!("pool {pool}"));
                if !self.pools.iter().any(|known| known == pool) {
                    self.pools.push(pool.to_owned());
                }
                Input::Assigned
            }
            "target" => {
                let (setting, offset) = Self::named(chain, "target", "setting")?;
                if !self.surroundings.settings.contains_key(setting) {
                    return Err(Unusable { offset, cause: Cause::NoSetting(setting.to_owned()) });
                }
                return Ok(()); // one input for all settings: `settings_used`
            }
            _ => self.attribute(first, offset, second, chain.indexed)?,
        };
        if is_first {
            self.inputs.push(input);
        }
        Ok(())
    }

    /// The name after the dot of `assigned.NAME` or `target.NAME`.
    fn named<'n>(chain: &Chain<'n>, first: &str, what: &str) -> Result<(&'n str, usize), Unusable> {
        match (chain.names.get(1), chain.indexed) {
            (Some(second), false) => Ok(*second),
            _ => Err(Unusable::mistake(chain.names[0].1, format!("write {first}.NAME with the name of a {what}"))),
        }
    }

    fn attribute(
        &mut self,
        name: &str,
        offset: usize,
        second: Option<(&str, usize)>,
        indexed: bool,
    ) -> Result<Input, Unusable> {
        let resource_type = self.surroundings.resource_type;
        if let Some(resolved) = resource_type.resolve(&AttributePath::named(name)) {
            let attribute = resolved.attribute;
            check_readable(attribute, offset)?;
            if let Some((part, offset)) = second {
                check_part(attribute, part, offset)?;
            } else if indexed && !attribute.multi_valued {
                return Err(Unusable::mistake(offset, format!("{} is not a list", attribute.name)));
            }
            let path = resolved.path();
            self.add_source(&second.map_or(path.clone(), |(part, _)| format!("{path}.{part}")));
            let place = Place::new(resolved.schema, attribute, None);
            if !attribute.multi_valued {
                let part = second.and_then(|(part, _)| attribute.sub(part));
                self.needed.push(Place::new(resolved.schema, attribute, part));
            }
            return Ok(Input::Attribute { variable: name.to_owned(), place });
        }
        let extension =
            resource_type.extensions.iter().map(|(schema, _)| schema).find(|schema| is_short(&schema.id, name));
        let Some(schema) = extension.filter(|schema| schema.id != scim_model::PROVISIONING_URN) else {
            return Err(Unusable::mistake(offset, format!("no schema has an attribute \"{name}\"")));
        };
        if let Some((part, offset)) = second {
            match schema.attributes.iter().find(|attribute| attribute.name == part) {
                Some(attribute) => check_readable(attribute, offset)?,
                None => return Err(Unusable::mistake(offset, format!("{} has no attribute \"{part}\"", schema.id))),
            }
            self.add_source(&format!("{}:{part}", schema.id));
        } else {
            self.add_source(&schema.id);
        }
        Ok(Input::Extension { variable: name.to_owned(), urn: schema.id.clone() })
    }

    fn settings_used(&self, chains: &[Chain<'_>]) -> Option<Input> {
        let uses = chains.iter().any(|chain| chain.names[0].0 == "target" && chain.role == Role::Variable);
        uses.then(|| {
            Input::Target(Value::from_pairs(self.surroundings.settings.iter().map(|(k, v)| (k.clone(), v.clone()))))
        })
    }

    fn add_source(&mut self, source: &str) {
        if !self.sources.iter().any(|known| known == source) {
            self.sources.push(source.to_owned());
        }
    }
}

/// What nobody may read in a rule.
pub(crate) fn check_readable(attribute: &Attribute, offset: usize) -> Result<(), Unusable> {
    let name = &attribute.name;
    match attribute.returned {
        Returned::Never => {
            Err(Unusable::mistake(offset, format!("{name} is a secret; only a secret field takes it, as a path")))
        }
        _ if matches!(name.as_str(), "meta" | "schemas") => {
            Err(Unusable::mistake(offset, format!("{name} is not known to rules")))
        }
        _ => Ok(()),
    }
}

fn check_part(attribute: &Attribute, part: &str, offset: usize) -> Result<(), Unusable> {
    match attribute.sub(part) {
        Some(sub) if sub.name == part => Ok(()),
        Some(sub) => Err(Unusable::mistake(offset, format!("write \"{}\"", sub.name))),
        None => Err(Unusable::mistake(offset, format!("{} has no part \"{part}\"", attribute.name))),
    }
}

/// Whether `name` is the short name of an extension: `enterprise`, `bridgeTelephony` or `telephony`, `acme` of
/// `urn:…:extension:acme:2.0:User`.
fn is_short(urn: &str, name: &str) -> bool {
    let Some(own) = urn.rsplit(':').nth(2) else { return false };
    let without_prefix = own.strip_prefix("bridge").unwrap_or_default();
    own == name || (!without_prefix.is_empty() && without_prefix.eq_ignore_ascii_case(name))
}

impl Input {
    /// The variable and its value; `None` leaves it undefined.
    fn value(&self, subject: &Subject<'_>) -> Option<(String, Value)> {
        let named = |name: &str, value| Some((name.to_owned(), value));
        match self {
            Input::Id => named("id", Value::from(subject.id)),
            Input::Groups => {
                let names = subject.groups.iter().map(|group| group.display_name.as_str());
                named("groups", names.map(Value::from).collect())
            }
            Input::Resource => named("resource", value_of(subject.document.as_map())),
            Input::Assigned => {
                let values = subject.assigned.iter().map(|(pool, value)| (pool.clone(), value.clone()));
                named("assigned", Value::from_pairs(values))
            }
            Input::Target(settings) => named("target", settings.clone()),
            Input::Extension { variable, urn } => {
                let attributes = subject.document.get(urn);
                named(variable, attributes.map_or_else(empty, value_of))
            }
            Input::Attribute { variable, place } => {
                let value = place.attribute_in(subject.document);
                match (place.shape, value) {
                    (Shape::List, value) => named(variable, list(value)),
                    (Shape::Complex, None) => named(variable, empty()),
                    (_, Some(Json::String(text))) => named(variable, Value::from(text.as_str())),
                    (_, Some(value)) => named(variable, value_of(value)),
                    (Shape::Simple, None) => None,
                }
            }
        }
    }
}

fn value_of(json: impl serde::Serialize) -> Value {
    Value::from(Serde(json))
}

fn empty() -> Value {
    Value::from_pairs(std::iter::empty::<(String, Value)>())
}

fn list(value: Option<&Json>) -> Value {
    let elements = value.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_primary = |element: &Json| element.get("primary") == Some(&Json::Bool(true));
    let main = elements.iter().position(is_primary).unwrap_or_default();
    Value::from_object(List { elements: elements.iter().map(value_of).collect(), main })
}

/// A multi-valued attribute: a list, on which `emails.value` means the primary element's value, else the first one's.
#[derive(Debug)]
struct List {
    elements: Vec<Value>,
    main: usize,
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(name) = key.as_str() {
            return self.get_value_by_str(name);
        }
        let index = i64::try_from(key.clone()).ok()?;
        let index = if index < 0 {
            self.elements.len().checked_sub(usize::try_from(-index).ok()?)?
        } else {
            usize::try_from(index).ok()?
        };
        self.elements.get(index).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let value = self.elements.get(self.main)?.get_attr(key).ok()?;
        (!value.is_undefined()).then_some(value)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.elements.len())
    }
}
