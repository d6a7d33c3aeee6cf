//! Sorted lists (RFC 7644 section 3.4.2.3). Resources without a value come last, of equal ones the older comes first;
//! descending is the same order backwards.
//!
//! Where an index has the order already, SQL walks along it; by a time of the resource SQL sorts the keys. Everything else is
//! sorted here, all of it within the deadline of a scan: the order of a page is that of the whole list, or there is no page.

use std::cmp::Ordering;

use jiff::Timestamp;
use scim_filter::{AttributePath, Filter};
use scim_model::{ResourceType, SortValue, Type, matches, sort_value};

use crate::driver::{Parameter, parameters};
use crate::index::index_name;
use crate::query::{Candidates, Show, after_prefix};
use crate::resources::{columns, resource, tree_name};
use crate::{Db, Resource, StoreError};

/// Which resources of a tenant a sorted list shows, and in which order.
#[derive(Debug, Clone)]
pub struct SortedQuery<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The resource types; sorted together.
    pub resource_types: &'a [&'a ResourceType],
    /// What they must match.
    pub filter: Option<&'a Filter>,
    /// The attribute; a type that does not know it has no values.
    pub by: &'a AttributePath,
    /// Whether the order is turned round.
    pub is_descending: bool,
    /// Where the page begins.
    pub start: SortedStart,
    /// How many resources at most; 0 asks for the total alone.
    pub count: usize,
}

/// Where a page of a sorted list begins.
#[derive(Debug, Clone, PartialEq)]
pub enum SortedStart {
    /// At the n-th match, counted from 1.
    Index(u64),
    /// After a place of the order.
    After(Place),
}

/// A place of a sorted list, whether or not a resource is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// What the resource is sorted by.
    pub value: Option<SortValue>,
    /// The key of the resource.
    pub key: i64,
}

/// Part of a sorted list.
#[derive(Debug, Clone)]
pub struct SortedPage {
    /// How many resources match in all.
    pub total: u64,
    /// The resources of this page, in order.
    pub resources: Vec<Resource>,
    /// The place of the last one, if there are more after it.
    pub next: Option<Place>,
}

impl Place {
    /// The ascending order.
    fn order(&self, other: &Self) -> Ordering {
        let values = match (&self.value, &other.value) {
            (Some(one), Some(two)) => one.cmp(two),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        values.then(self.key.cmp(&other.key))
    }
}

/// An order that the database gives without reading a document.
enum Kept {
    /// A column of `resource` that every resource has a value in. There is an index on `id`; by the others the keys are sorted
    /// for each page, as creation follows the keys only where no clock was ever set back.
    Column(Column),
    /// The tree of values, under this name; whether every resource is in it.
    Tree { attribute: String, is_whole: bool },
}

#[derive(Clone, Copy)]
enum Column {
    Id,
    Created,
    Modified,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Id => "r.id",
            Self::Created => "r.created",
            Self::Modified => "r.modified",
        }
    }

    fn of(path: &AttributePath) -> Option<Self> {
        match (&path.sub_attribute, path.schema.is_none()) {
            (None, true) if path.is("id") => Some(Self::Id),
            (Some(_), true) if path.is("meta") && path.sub_is("created") => Some(Self::Created),
            (Some(_), true) if path.is("meta") && path.sub_is("lastModified") => Some(Self::Modified),
            _ => None,
        }
    }

    fn value(self, resource: &Resource) -> SortValue {
        match self {
            Self::Id => SortValue::Text(resource.id.clone()),
            Self::Created => SortValue::Time(resource.created),
            Self::Modified => SortValue::Time(resource.modified),
        }
    }
}

/// The part of a kept order with values, or the part without.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Band {
    Valued,
    Bare,
}

impl Db<'_> {
    /// A page of the live resources of a tenant, sorted. `show` makes the full resource where a filter or the order needs
    /// more than the document.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] if the deadline of the scan comes first.
    pub fn list_sorted(&self, query: &SortedQuery<'_>, show: &Show<'_>) -> Result<SortedPage, StoreError> {
        if let ([resource_type], None) = (query.resource_types, query.filter)
            && let Some(kept) = self.kept_order(query.tenant, resource_type, query.by)
        {
            return self.walk(query, resource_type, &kept);
        }
        let mut places = Vec::new();
        for resource_type in query.resource_types {
            self.collect(query, resource_type, show, &mut places)?;
        }
        let turned = |order: Ordering| if query.is_descending { order.reverse() } else { order };
        places.sort_unstable_by(|one, two| turned(one.order(two)));
        self.check_deadline()?;
        let first = match &query.start {
            SortedStart::Index(index) => usize::try_from(index.saturating_sub(1)).unwrap_or(usize::MAX),
            SortedStart::After(place) => places.partition_point(|other| turned(other.order(place)).is_le()),
        };
        let total = places.len() as u64;
        let first = first.min(places.len());
        let last = first.saturating_add(query.count).min(places.len());
        let mut resources = Vec::with_capacity(last - first);
        for place in &places[first..last] {
            resources.extend(self.resource_by_key(place.key)?);
        }
        let next = if last < places.len() && last > first { Some(places.swap_remove(last - 1)) } else { None };
        Ok(SortedPage { total, resources, next })
    }

    /// The places of all resources of a type that match.
    fn collect(
        &self,
        query: &SortedQuery<'_>,
        resource_type: &ResourceType,
        show: &Show<'_>,
        places: &mut Vec<Place>,
    ) -> Result<(), StoreError> {
        let Candidates { from, parameters, rest } = match query.filter {
            Some(filter) => self.candidates(query.tenant, resource_type, filter),
            None => Candidates {
                from: "FROM resource AS r WHERE r.tenant = ?1 AND r.resource_type = ?2 AND r.state = 'live'".to_owned(),
                parameters: parameters![query.tenant, &resource_type.name].to_vec(),
                rest: None,
            },
        };
        let column = Column::of(query.by);
        let is_shown_only = column.is_none() && is_derived(resource_type, query.by);
        let asks = Filter::Present(query.by.clone());
        let sql = format!("SELECT {} {from}", columns!());
        self.session().each(&sql, &parameters, |row| {
            let resource = resource(row)?;
            if let Some(rest) = &rest
                && !matches(resource_type, rest, &show(self, &resource, rest)?)
            {
                return Ok(true);
            }
            let value = match column {
                Some(column) => Some(column.value(&resource)),
                None if is_shown_only => sort_value(resource_type, query.by, &show(self, &resource, &asks)?),
                None => sort_value(resource_type, query.by, resource.document.as_map()),
            };
            places.push(Place { value, key: resource.key });
            Ok(true)
        })
    }

    /// The order that the database gives for an attribute, if it does.
    fn kept_order(&self, tenant: &str, resource_type: &ResourceType, by: &AttributePath) -> Option<Kept> {
        if let Some(column) = Column::of(by) {
            return Some(Kept::Column(column));
        }
        let resolved = resource_type.resolve(by)?;
        // The tree has every value of a list, the order but one of them.
        let is_single = !resolved.attribute.multi_valued && !resolved.leaf().multi_valued;
        let is_text = matches!(resolved.leaf().kind, Type::String | Type::Reference);
        let name = index_name(resolved);
        if !is_single || !is_text || !self.shared().index.is_searchable(tenant, resource_type, &name) {
            return None;
        }
        let is_whole = resolved.attribute.required && resolved.sub.is_none();
        Some(Kept::Tree { attribute: tree_name(&resource_type.name, &name), is_whole })
    }

    /// A page of an order that the database gives.
    fn walk(&self, query: &SortedQuery<'_>, kind: &ResourceType, kept: &Kept) -> Result<SortedPage, StoreError> {
        let (total, _) = self.counted(query.tenant, &kind.name)?;
        let (mut skip, begin) = match &query.start {
            SortedStart::Index(index) => (index.saturating_sub(1), None),
            SortedStart::After(place) => (0, Some(self.uncut(query, kept, place)?)),
        };
        let mut after = begin.as_ref();
        let bands: &[Band] = match (kept, query.is_descending) {
            (Kept::Column(_) | Kept::Tree { is_whole: true, .. }, _) => &[Band::Valued],
            (Kept::Tree { .. }, false) => &[Band::Valued, Band::Bare],
            (Kept::Tree { .. }, true) => &[Band::Bare, Band::Valued],
        };
        // One more than asked for says whether there is a next page.
        let wanted = if query.count == 0 { 0 } else { query.count.saturating_add(1) };
        let mut found: Vec<Resource> = Vec::new();
        for band in bands {
            let room = wanted.saturating_sub(found.len());
            if room == 0 || skip >= total {
                break;
            }
            if let Some(place) = after {
                let is_here = place.value.is_some() == (*band == Band::Valued);
                // The bands before the place lie behind it.
                if !is_here && found.is_empty() && bands.last() != Some(band) {
                    continue;
                }
                after = after.filter(|_| is_here);
            }
            let slice = Slice { kind, kept, band: *band, after, skip, room };
            let part = self.band(&slice, query)?;
            after = None;
            if part.is_empty() && skip > 0 {
                skip = skip.saturating_sub(self.band_length(&slice, query)?);
            } else {
                skip = 0;
            }
            found.extend(part);
        }
        let has_more = found.len() > query.count;
        found.truncate(query.count);
        let last = found.last().filter(|_| has_more);
        let next = last.map(|resource| Place { value: value_of(kind, query.by, resource), key: resource.key });
        Ok(SortedPage { total, resources: found, next })
    }

    /// The place as the tree has it: there a long text stands in full, of which a cursor has the beginning only.
    fn uncut(&self, query: &SortedQuery<'_>, kept: &Kept, place: &Place) -> Result<Place, StoreError> {
        let (Kept::Tree { attribute, .. }, Some(SortValue::Text(beginning))) = (kept, &place.value) else {
            return Ok(place.clone());
        };
        if !place.value.as_ref().is_some_and(SortValue::may_be_cut) {
            return Ok(place.clone());
        }
        let end = after_prefix(beginning);
        let mut parameters = parameters![query.tenant, attribute, beginning, place.key].to_vec();
        let mut sql = "SELECT value FROM resource_value WHERE tenant = ?1 AND attribute = ?2 AND value >= ?3 \
                       AND resource = ?4"
            .to_owned();
        if let Some(end) = &end {
            sql.push_str(" AND value < ?5");
            parameters.push(Parameter::from(end));
        }
        let value = self.session().query_one(&sql, &parameters, |row| row.text(0))?;
        Ok(match (value, end) {
            (Some(value), _) => Place { value: Some(SortValue::Text(value)), key: place.key },
            // The resource has another value now. Rather all that begin like it once more than one of them never.
            (None, Some(end)) if query.is_descending => Place { value: Some(SortValue::Text(end)), key: i64::MIN },
            (None, _) => place.clone(),
        })
    }

    /// Resources of one band, in order.
    fn band(&self, slice: &Slice<'_>, query: &SortedQuery<'_>) -> Result<Vec<Resource>, StoreError> {
        let (sql, parameters) = slice.statement(query);
        let keys = self.session().query(&sql, &parameters, |row| row.integer(0))?;
        let mut resources = Vec::with_capacity(keys.len());
        for key in keys {
            resources.extend(self.resource_by_key(key)?);
        }
        Ok(resources)
    }

    fn band_length(&self, slice: &Slice<'_>, query: &SortedQuery<'_>) -> Result<u64, StoreError> {
        let (from, _, _, parameters) = slice.source(query);
        let count = self.session().query_one(&format!("SELECT count(*) {from}"), &parameters, |row| row.count(0))?;
        Ok(count.unwrap_or_default())
    }

    fn check_deadline(&self) -> Result<(), StoreError> {
        self.session().check_deadline()
    }
}

/// Part of a band.
struct Slice<'a> {
    kind: &'a ResourceType,
    kept: &'a Kept,
    band: Band,
    after: Option<&'a Place>,
    skip: u64,
    room: usize,
}

impl<'a> Slice<'a> {
    /// Selects the keys of the slice. Only keys are skipped; the documents of a page are read after that.
    fn statement(&self, query: &SortedQuery<'a>) -> (String, Vec<Parameter<'a>>) {
        let (from, value, key, mut parameters) = self.source(query);
        let (beyond, direction) = if query.is_descending { ("<", "DESC") } else { (">", "ASC") };
        let mut conditions = String::new();
        if let Some(place) = self.after {
            let number = parameters.len();
            match (value, &place.value) {
                (Some(value), Some(bound)) => {
                    conditions = format!(" AND ({value}, {key}) {beyond} (?{}, ?{})", number + 1, number + 2);
                    parameters.push(bound_parameter(bound));
                }
                _ => conditions = format!(" AND {key} {beyond} ?{}", number + 1),
            }
            parameters.extend(parameters![place.key]);
        }
        let order = match value {
            Some(value) => format!("{value} {direction}, {key} {direction}"),
            None => format!("{key} {direction}"),
        };
        let (limit, offset) = (parameters.len() + 1, parameters.len() + 2);
        parameters.extend(parameters![self.room, i64::try_from(self.skip).unwrap_or(i64::MAX)]);
        (format!("SELECT r.key {from}{conditions} ORDER BY {order} LIMIT ?{limit} OFFSET ?{offset}"), parameters)
    }

    /// The tables of the band, its value column, its key column, and the parameters so far.
    fn source(&self, query: &SortedQuery<'a>) -> (String, Option<&'static str>, &'static str, Vec<Parameter<'a>>) {
        let live = "r.tenant = ?1 AND r.resource_type = ?2 AND r.state = 'live'";
        let mut parameters = parameters![query.tenant, &self.kind.name].to_vec();
        let attribute = match self.kept {
            Kept::Column(column) => {
                return (format!("FROM resource AS r WHERE {live}"), Some(column.name()), "r.key", parameters);
            }
            Kept::Tree { attribute, .. } => attribute,
        };
        parameters.push(Parameter::from(attribute));
        match self.band {
            Band::Valued => {
                let from = format!(
                    "FROM resource_value AS v CROSS JOIN resource AS r \
                     WHERE v.tenant = ?1 AND v.attribute = ?3 AND r.key = v.resource AND {live}"
                );
                (from, Some("v.value"), "v.resource", parameters)
            }
            Band::Bare => {
                let from = format!(
                    "FROM resource AS r WHERE {live} AND r.key NOT IN \
                     (SELECT resource FROM resource_value WHERE tenant = ?1 AND attribute = ?3)"
                );
                (from, None, "r.key", parameters)
            }
        }
    }
}

fn value_of(kind: &ResourceType, by: &AttributePath, resource: &Resource) -> Option<SortValue> {
    match Column::of(by) {
        Some(column) => Some(column.value(resource)),
        None => sort_value(kind, by, resource.document.as_map()),
    }
}

fn bound_parameter(value: &SortValue) -> Parameter<'_> {
    match value {
        SortValue::Text(text) => Parameter::from(text),
        SortValue::Time(time) => Parameter::from(Timestamp::clone(time)),
        SortValue::Boolean(value) => Parameter::from(*value),
        SortValue::Integer(value) => Parameter::from(*value),
        // No kept order has decimals; a cursor that says so is one of another attribute.
        SortValue::Decimal(_) => Parameter::Null,
    }
}

/// Whether the document does not have the attribute: the bridge derives it, or keeps it apart.
fn is_derived(resource_type: &ResourceType, by: &AttributePath) -> bool {
    let is_kept_apart = by.is("members") || by.is("meta");
    is_kept_apart || resource_type.resolve(by).is_some_and(|resolved| resolved.attribute.is_read_only())
}

#[cfg(test)]
mod tests;
