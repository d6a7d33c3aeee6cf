//! Lists and filters (RFC 7644 section 3.4.2): as much of a filter as the indexes and columns can decide becomes SQL, the
//! rest is decided by [`scim_model::matches`] on the candidates, within the deadline of a scan. Never a wrong answer.

use std::collections::BTreeSet;

use scim_filter::{AttributePath, Filter, Literal, Operator};
use scim_model::{Meta, ResourceType, Type, complete, fold, is_beyond, matches, nearest_timestamp};
use serde_json::{Map, Value, json};

use crate::driver::{Parameter, Row, parameters};
use crate::index::{Index, index_name};
use crate::resources::{columns, resource, resource_text, tree_name};
use crate::{Db, ListQuery, Page, Resource, Start, StoreError};

/// More index look-ups than this in one filter are not worth a statement: all resources are looked at instead.
const LOOKUPS: usize = 100;

/// How many members of a group are read at once when a filter asks about them.
const MEMBERS: usize = 1000;

/// Makes the full resource that a filter, or the rest of one, is matched against.
pub type Show<'a> = dyn Fn(&Db<'_>, &Resource, &Filter) -> Result<Map<String, Value>, StoreError> + 'a;

/// Reads a resource, with its document in one form or the other.
type Read<D> = fn(&Row<'_>) -> Result<Resource<D>, StoreError>;

/// What SQL can say about a filter. The resources it selects include all that match.
#[derive(Debug, Default)]
struct Narrowed {
    /// A statement that yields keys.
    keys: Option<String>,
    /// Conditions on the columns of `resource`.
    conditions: Vec<String>,
    /// What is left to be decided on each candidate; `None` if SQL decides it all.
    rest: Option<Filter>,
}

impl Narrowed {
    fn undecided(filter: &Filter) -> Self {
        Self { rest: Some(filter.clone()), ..Self::default() }
    }
}

/// Whether a filter asks for one resource, or very few, by an id or an index: such a list may be read inline.
#[must_use]
pub fn is_pointed(filter: &Filter) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().any(is_pointed),
        Filter::Compare(path, Operator::Eq, Literal::String(_)) if path.schema.is_none() => match &path.sub_attribute {
            None => ["id", "userName", "externalId", "emails"].iter().any(|name| path.is(name)),
            Some(_) => path.is("emails") && path.sub_is("value"),
        },
        _ => false,
    }
}

/// The resources that may fulfil a filter.
pub(crate) struct Candidates<'a> {
    /// From which tables, under which conditions; resources are called `r`.
    pub(crate) from: String,
    /// The parameters of that text.
    pub(crate) parameters: Vec<Parameter<'a>>,
    /// What is left to be decided on each; `None` if SQL decides it all.
    pub(crate) rest: Option<Filter>,
}

/// Builds the statement for one filter.
struct Compiler<'a> {
    tenant: &'a str,
    resource_type: &'a ResourceType,
    index: &'a Index,
    parameters: Vec<Parameter<'a>>,
    lookups: usize,
}

impl<'a> Compiler<'a> {
    /// The placeholder of a further parameter.
    fn bind(&mut self, parameter: impl Into<Parameter<'a>>) -> String {
        self.parameters.push(parameter.into());
        format!("?{}", self.parameters.len())
    }

    fn narrow(&mut self, filter: &Filter) -> Narrowed {
        match filter {
            // A search over all types asks for attributes of one of them.
            _ if is_beyond(self.resource_type, filter) => {
                let nothing = "SELECT key AS resource FROM resource WHERE 0 = 1".to_owned();
                Narrowed { keys: Some(nothing), ..Narrowed::default() }
            }
            Filter::And(filters) => self.all(filters),
            Filter::Or(filters) => self.any(filter, filters),
            Filter::Compare(path, operator, literal) => {
                self.compare(path, *operator, literal, filter).unwrap_or_else(|| Narrowed::undecided(filter))
            }
            Filter::ValuePathCompare { attribute, sub_attribute, operator, literal, .. } => {
                // Some element has the value; whether it is the one the inner filter means is decided later.
                let mut path = attribute.clone();
                path.sub_attribute.clone_from(sub_attribute);
                let outer = self.compare(&path, *operator, literal, filter).unwrap_or_default();
                Narrowed { rest: Some(filter.clone()), ..outer }
            }
            Filter::ValuePath(attribute, inner) => {
                let outer = self.element(attribute, inner).unwrap_or_default();
                Narrowed { rest: Some(filter.clone()), ..outer }
            }
            Filter::Not(_) | Filter::Present(_) | Filter::ValuePathPresent { .. } => Narrowed::undecided(filter),
        }
    }

    fn all(&mut self, filters: &[Filter]) -> Narrowed {
        // What asks for very few resources decides alone: the others cost least on the candidates that are left.
        if let Some(position) = filters.iter().position(is_pointed) {
            let pointed = self.narrow(&filters[position]);
            if pointed.keys.is_some() {
                let (mut conditions, mut rest) = (pointed.conditions, Vec::from_iter(pointed.rest));
                for (_, filter) in filters.iter().enumerate().filter(|(other, _)| *other != position) {
                    match self.has_member(filter) {
                        Some(condition) => conditions.push(condition),
                        None => rest.push(filter.clone()),
                    }
                }
                return Narrowed { keys: pointed.keys, conditions, rest: Filter::all(rest) };
            }
        }
        let mut all = Narrowed::default();
        let mut rest = Vec::new();
        for filter in filters {
            let narrowed = self.narrow(filter);
            all.keys = match (all.keys, narrowed.keys) {
                (Some(left), Some(right)) => {
                    Some(format!("SELECT resource FROM ({left}) AS a INTERSECT SELECT resource FROM ({right}) AS b"))
                }
                (left, right) => left.or(right),
            };
            all.conditions.extend(narrowed.conditions);
            rest.extend(narrowed.rest);
        }
        all.rest = if rest.len() > 1 { Some(Filter::And(rest)) } else { rest.pop() };
        all
    }

    /// Whether a candidate has one member, asked of the rows: Entra ID asks it of groups with any number of members
    /// (entra 2, "existence checks").
    fn has_member(&mut self, filter: &Filter) -> Option<String> {
        let Filter::Compare(path, Operator::Eq, Literal::String(member)) = filter else { return None };
        let resolved = self.resource_type.resolve(path)?;
        if !resolved.attribute.has_identity() || index_name(resolved) != "members.value" {
            return None;
        }
        let member = self.bind(member.clone());
        Some(format!("EXISTS (SELECT 1 FROM member AS m WHERE m.resource = r.key AND m.member = {member})"))
    }

    fn any(&mut self, filter: &Filter, filters: &[Filter]) -> Narrowed {
        let (mut keys, mut is_decided) = (Vec::new(), true);
        for part in filters {
            let narrowed = self.narrow(part);
            let Some(part) = narrowed.keys else { return Narrowed::undecided(filter) };
            is_decided &= narrowed.conditions.is_empty() && narrowed.rest.is_none();
            keys.push(format!("SELECT resource FROM ({part}) AS o"));
        }
        let rest = (!is_decided).then(|| filter.clone());
        Narrowed { keys: Some(keys.join(" UNION ")), conditions: Vec::new(), rest }
    }

    /// A comparison inside the brackets of a value path, if an index knows the sub-attribute.
    fn element(&mut self, attribute: &AttributePath, inner: &Filter) -> Option<Narrowed> {
        match inner {
            Filter::And(filters) => filters.iter().find_map(|filter| self.element(attribute, filter)),
            Filter::Compare(path, operator @ (Operator::Eq | Operator::Sw), literal) => {
                let mut whole = attribute.clone();
                whole.sub_attribute = Some(path.name.clone());
                self.compare(&whole, *operator, literal, inner)
            }
            _ => None,
        }
    }

    /// A comparison, if an index or a column knows the attribute.
    fn compare(
        &mut self,
        path: &AttributePath,
        operator: Operator,
        literal: &Literal,
        filter: &Filter,
    ) -> Option<Narrowed> {
        let resolved = self.resource_type.resolve(path)?;
        let name = index_name(resolved);
        let conditions = match name.as_str() {
            "active" => self.active(operator, literal),
            "meta.lastModified" => self.time("r.modified", operator, literal),
            "meta.created" => self.time("r.created", operator, literal),
            _ => None,
        };
        if let Some(condition) = conditions {
            return Some(Narrowed { keys: None, conditions: vec![condition], rest: Some(filter.clone()) });
        }
        let Literal::String(text) = literal else { return None };
        let is_group = self.resource_type.name == "Group";
        let decided = |keys| Some(Narrowed { keys: Some(keys), conditions: Vec::new(), rest: None });
        self.lookups += 1;
        if self.lookups > LOOKUPS {
            return None;
        }
        match (name.as_str(), operator) {
            ("id", Operator::Eq) => {
                let id = self.bind(text.clone());
                decided(format!("SELECT key AS resource FROM resource WHERE tenant = ?1 AND id = {id}"))
            }
            ("members.value", Operator::Eq) if is_group => {
                let member = self.bind(text.clone());
                decided(format!("SELECT resource FROM member WHERE tenant = ?1 AND member = {member}"))
            }
            ("groups.value", Operator::Eq) if !is_group => {
                let group = self.bind(text.clone());
                // The group, the groups in it, and so on; then everybody in them, once.
                decided(format!(
                    "WITH RECURSIVE down (key) AS ( \
                       SELECT key FROM resource WHERE tenant = ?1 AND id = {group} AND state = 'live' \
                       UNION SELECT g.key FROM down CROSS JOIN member AS m CROSS JOIN resource AS g \
                       WHERE m.resource = down.key AND m.kind = 'Group' AND g.tenant = ?1 AND g.id = m.member \
                       AND g.state = 'live') \
                     SELECT DISTINCT u.key AS resource FROM down CROSS JOIN member AS m CROSS JOIN resource AS u \
                     WHERE m.resource = down.key AND u.tenant = ?1 AND u.id = m.member"
                ))
            }
            (_, Operator::Eq | Operator::Sw) => {
                let leaf = match resolved.leaf().kind {
                    Type::Complex => resolved.leaf().value()?,
                    _ => resolved.leaf(),
                };
                if !self.index.is_searchable(self.tenant, self.resource_type, &name) {
                    return None;
                }
                let value = fold(leaf, text);
                let attribute = self.bind(tree_name(&self.resource_type.name, &name));
                let within = format!("FROM resource_value WHERE tenant = ?1 AND attribute = {attribute}");
                if operator == Operator::Eq {
                    let value = self.bind(value);
                    return decided(format!("SELECT resource {within} AND value = {value}"));
                }
                // The values that begin with the text lie between it and the next text that does not.
                let end = after_prefix(&value);
                let value = self.bind(value);
                let below = end.map_or(String::new(), |end| format!(" AND value < {}", self.bind(end)));
                decided(format!("SELECT DISTINCT resource {within} AND value >= {value}{below}"))
            }
            _ => None,
        }
    }

    /// The column holds what the document says, or true where it says nothing.
    fn active(&mut self, operator: Operator, literal: &Literal) -> Option<String> {
        match (operator, literal) {
            (Operator::Eq, Literal::Boolean(value)) => Some(format!("r.active = {}", self.bind(*value))),
            _ => None,
        }
    }

    /// Times are compared in whole milliseconds here, and exactly on the candidates.
    fn time(&mut self, column: &str, operator: Operator, literal: &Literal) -> Option<String> {
        let Literal::String(text) = literal else { return None };
        let milliseconds = nearest_timestamp(text)?.as_millisecond();
        let (least, most) = (milliseconds.saturating_sub(1), milliseconds.saturating_add(1));
        match operator {
            Operator::Gt | Operator::Ge => Some(format!("{column} >= {}", self.bind(least))),
            Operator::Lt | Operator::Le => Some(format!("{column} <= {}", self.bind(most))),
            Operator::Eq => Some(format!("{column} >= {} AND {column} <= {}", self.bind(least), self.bind(most))),
            Operator::Ne | Operator::Co | Operator::Sw | Operator::Ew => None,
        }
    }
}

/// The statement with only those parameters that it asks for, numbered anew: parts of a filter that were compiled and then
/// left to be decided on the candidates have left theirs behind.
fn only_used<'a>(sql: &str, parameters: Vec<Parameter<'a>>) -> (String, Vec<Parameter<'a>>) {
    // Values are never part of the text, so a question mark is always a placeholder.
    let number_at = |rest: &str| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        (rest[..digits].parse::<usize>().unwrap_or_default(), digits)
    };
    let asked: BTreeSet<usize> = sql.split('?').skip(1).map(|rest| number_at(rest).0).collect();
    let mut parts = sql.split('?');
    let mut renumbered = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, digits) = number_at(part);
        let position = asked.range(..=number).count();
        renumbered.push_str(&format!("?{position}{}", &part[digits..]));
    }
    let used = parameters.into_iter().enumerate().filter(|(position, _)| asked.contains(&(position + 1)));
    (renumbered, used.map(|(_, parameter)| parameter).collect())
}

/// The least text that is greater than every text with this beginning.
pub(crate) fn after_prefix(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

impl Db<'_> {
    /// A page of the live resources of a tenant. Filters see documents, `id`, `meta` without location, members and
    /// groups; a caller whose resources show more uses [`Db::list_with`].
    pub fn list(&self, query: &ListQuery<'_>) -> Result<Page, StoreError> {
        self.list_with(query, &|db, resource, rest| db.shown(query.resource_type, resource, rest))
    }

    /// A page of the live resources of a tenant. `show` makes the full resource that the rest of the filter, which no index
    /// decided, is matched against.
    pub fn list_with(&self, query: &ListQuery<'_>, show: &Show<'_>) -> Result<Page, StoreError> {
        self.listed(query, show, resource)
    }

    /// Like [`Db::list_with`], with the documents as the texts that are stored.
    pub fn list_texts(&self, query: &ListQuery<'_>, show: &Show<'_>) -> Result<Page<String>, StoreError> {
        self.listed(query, show, resource_text)
    }

    fn listed<D>(&self, query: &ListQuery<'_>, show: &Show<'_>, read: Read<D>) -> Result<Page<D>, StoreError> {
        let Some(filter) = query.filter else { return self.list_all(query, read) };
        let Candidates { from, parameters, rest } = self.candidates(query.tenant, query.resource_type, filter);
        match &rest {
            None => self.list_decided(query, &from, parameters, read),
            Some(rest) => self.list_candidates(query, &from, &parameters, rest, show, read),
        }
    }

    /// The live resources that may fulfil a filter.
    pub(crate) fn candidates<'a>(
        &'a self,
        tenant: &'a str,
        resource_type: &'a ResourceType,
        filter: &Filter,
    ) -> Candidates<'a> {
        let mut compiler = Compiler {
            tenant,
            resource_type,
            index: &self.shared().index,
            parameters: parameters![tenant, &resource_type.name].to_vec(),
            lookups: 0,
        };
        let narrowed = compiler.narrow(filter);
        let parameters = compiler.parameters;
        let mut conditions = "r.tenant = ?1 AND r.resource_type = ?2 AND r.state = 'live'".to_owned();
        for condition in &narrowed.conditions {
            conditions.push_str(" AND ");
            conditions.push_str(condition);
        }
        // CROSS JOIN keeps the order of the tables: first the keys from the index, then their rows.
        let from = match &narrowed.keys {
            Some(keys) => {
                format!("FROM ({keys}) AS c CROSS JOIN resource AS r WHERE r.key = c.resource AND {conditions}")
            }
            None => format!("FROM resource AS r WHERE {conditions}"),
        };
        let (from, parameters) = only_used(&from, parameters);
        Candidates { from, parameters, rest: narrowed.rest }
    }

    /// A page without a filter.
    fn list_all<D>(&self, query: &ListQuery<'_>, read: Read<D>) -> Result<Page<D>, StoreError> {
        let (tenant, resource_type) = (query.tenant, query.resource_type.name.as_str());
        let (total, shifts) = self.counted(tenant, resource_type)?;
        let nothing = Page { total, resources: Vec::new(), next: None };
        let after = match query.start {
            Start::Index(index) if index > total => return Ok(nothing),
            Start::Index(index) => self.key_before(tenant, resource_type, index.max(1), shifts)?,
            Start::After(key) => Some(key),
        };
        let Some(after) = after else { return Ok(nothing) };
        if query.count == 0 {
            return Ok(nothing);
        }
        let resources = self.resources_after(tenant, resource_type, after, query.count, read)?;
        let last = resources.last().map(|resource| resource.key);
        let next = last.filter(|_| resources.len() == query.count);
        if let (Start::Index(index), Some(last)) = (query.start, last) {
            let position = index.max(1) + resources.len() as u64;
            self.shared().anchors.remember(tenant, resource_type, position, last, shifts);
        }
        Ok(Page { total, resources, next })
    }

    /// The key of the resource before a position; `None` if the list is shorter.
    fn key_before(
        &self,
        tenant: &str,
        resource_type: &str,
        position: u64,
        shifts: u64,
    ) -> Result<Option<i64>, StoreError> {
        let (near, key) = self.shared().anchors.before(tenant, resource_type, position, shifts);
        let Some(skip) = position.checked_sub(near + 1) else { return Ok(Some(key)) };
        let sql = "SELECT r.key FROM resource AS r WHERE r.tenant = ?1 AND r.resource_type = ?2 AND r.state = 'live' \
                   AND r.key > ?3 ORDER BY r.key LIMIT 1 OFFSET ?4";
        let skip = i64::try_from(skip).map_err(StoreError::corrupt)?;
        self.session().query_one(sql, &parameters![tenant, resource_type, key, skip], |row| row.integer(0))
    }

    /// A page of what SQL selects.
    fn list_decided<D>(
        &self,
        query: &ListQuery<'_>,
        from: &str,
        mut parameters: Vec<Parameter<'_>>,
        read: Read<D>,
    ) -> Result<Page<D>, StoreError> {
        let (after, offset) = match query.start {
            Start::Index(index) => (0, index.saturating_sub(1)),
            Start::After(key) => (key, 0),
        };
        let count = format!("SELECT count(*) {from}");
        let number = parameters.len();
        let sql = format!(
            "SELECT {} {from} AND r.key > ?{} ORDER BY r.key LIMIT ?{} OFFSET ?{}",
            columns!(),
            number + 1,
            number + 2,
            number + 3
        );
        let shift = i64::try_from(offset).unwrap_or(i64::MAX);
        parameters.extend(parameters![after, query.count, shift]);
        let resources = self.session().query(&sql, &parameters, read)?;
        let is_all = after == 0 && offset == 0 && resources.len() < query.count;
        let total = if is_all {
            // What a look-up by a unique value always comes to: counting would be a second look-up.
            resources.len() as u64
        } else {
            parameters.truncate(number);
            self.session().query_one(&count, &parameters, |row| row.count(0))?.unwrap_or_default()
        };
        let next = resources.last().map(|resource| resource.key).filter(|_| resources.len() == query.count);
        Ok(Page { total, resources, next })
    }

    /// A page of those candidates that fulfil the rest of the filter.
    fn list_candidates<D>(
        &self,
        query: &ListQuery<'_>,
        from: &str,
        parameters: &[Parameter<'_>],
        rest: &Filter,
        show: &Show<'_>,
        read: Read<D>,
    ) -> Result<Page<D>, StoreError> {
        let sql = format!("SELECT {} {from} ORDER BY r.key", columns!());
        let mut page = Page { total: 0, resources: Vec::new(), next: None };
        self.session().each(&sql, parameters, |row| {
            let candidate = resource(row)?;
            if !matches(query.resource_type, rest, &show(self, &candidate, rest)?) {
                return Ok(true);
            }
            page.total += 1;
            let is_reached = match query.start {
                Start::Index(index) => page.total >= index,
                Start::After(key) => candidate.key > key,
            };
            if is_reached && page.resources.len() < query.count {
                page.resources.push(read(row)?);
            } else if is_reached && let Some(last) = page.resources.last() {
                page.next = Some(last.key);
            }
            Ok(true)
        })?;
        Ok(page)
    }

    /// The resource as far as the store knows it, with members or groups if the filter asks about them.
    pub(crate) fn shown(
        &self,
        resource_type: &ResourceType,
        resource: &Resource,
        filter: &Filter,
    ) -> Result<Map<String, Value>, StoreError> {
        let mut derived = Map::new();
        if mentions(filter, "groups") {
            let groups = self.groups_of(&resource.tenant, &resource.id)?;
            let groups: Vec<Value> = groups
                .iter()
                .map(|group| {
                    let kind = if group.is_direct { "direct" } else { "indirect" };
                    json!({ "value": group.id, "display": group.display_name, "type": kind })
                })
                .collect();
            if !groups.is_empty() {
                derived.insert("groups".into(), groups.into());
            }
        }
        if mentions(filter, "members") {
            let mut members: Vec<Value> = Vec::new();
            let mut after = String::new();
            loop {
                let slice = self.members_of(resource.key, &after, MEMBERS)?;
                members.extend(slice.iter().map(|member| match &member.kind {
                    Some(kind) => json!({ "value": member.value, "type": kind }),
                    None => json!({ "value": member.value }),
                }));
                match slice.into_iter().nth(MEMBERS - 1) {
                    Some(last) => after = last.value,
                    None => break,
                }
            }
            if !members.is_empty() {
                derived.insert("members".into(), members.into());
            }
        }
        let meta = Meta {
            created: resource.created,
            last_modified: resource.modified,
            version: resource.version,
            derived: 0,
            location: String::new(),
            resource_type: resource.resource_type.clone(),
        };
        Ok(complete(resource_type, &resource.id, &resource.document, &meta, derived))
    }
}

/// Whether a filter names an attribute, so that a derived one is worth making.
fn mentions(filter: &Filter, name: &str) -> bool {
    filter.paths().iter().any(|path| path.is(name))
}

#[cfg(test)]
mod tests;
