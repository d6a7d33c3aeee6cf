//! Lists that are sorted, walked by cursor, or go over several resource types (RFC 7644 sections 3.4.2.1, 3.4.2.3 and
//! 3.4.3, RFC 9865). Without an order one type follows the other, each in the order its resources were made.

use std::sync::Arc;

use bridge_store::{Db, ListQuery as StoreQuery, Place, Resource, SortedQuery, SortedStart, Start, StoreError};
use scim_filter::{AttributePath, Filter};
use scim_model::{ResourceType, SortValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::view::{show, show_to_filter};
use super::{Caller, Shown, View, resource_type_of, tenant};
use crate::bridge::Bridge;
use crate::error::ApiError;
use crate::landscape::Tenant;

/// What to search for.
#[derive(Debug, Clone)]
pub struct Search {
    /// Names of the resource types, in their order, and what is shown of their resources.
    pub types: Vec<(String, View)>,
    /// What the resources must match; what a type does not know has no value there.
    pub filter: Option<Filter>,
    /// What they are sorted by, and whether descending.
    pub order: Option<(AttributePath, bool)>,
    /// Where the page begins.
    pub start: SearchStart,
    /// At most so many.
    pub count: u64,
}

/// Where a page of a search begins.
#[derive(Debug, Clone)]
pub enum SearchStart {
    /// At the n-th match, counted from 1.
    Index(u64),
    /// After a position; none is the beginning.
    After(Option<Position>),
}

/// A position in a search: the resource that was shown last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Its type.
    #[serde(rename = "t")]
    resource_type: String,
    /// Its key.
    #[serde(rename = "k")]
    key: i64,
    /// What it was sorted by.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    value: Option<SortValue>,
}

/// Part of what a search finds.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// How many match in all.
    pub total: u64,
    /// The resources, with the name of their type.
    pub resources: Vec<(String, Shown)>,
    /// The position of the last one, if there are more.
    pub next: Option<Position>,
}

/// What a page is made of, as it is stored.
struct Found {
    total: u64,
    resources: Vec<Resource>,
    next: Option<Position>,
}

/// Searches several types, or one in a special way.
///
/// # Errors
/// 400 `tooMany` if it costs too much.
pub async fn search(bridge: &Bridge, caller: &Caller, search: Search) -> Result<SearchPage, ApiError> {
    let tenant = tenant(bridge, caller)?;
    let run = move |db: &Db<'_>| {
        let types: Vec<&ResourceType> =
            search.types.iter().map(|(name, _)| resource_type_of(&tenant, name)).collect::<Result<_, _>>()?;
        let found = match &search.order {
            Some((by, is_descending)) => sorted(db, &tenant, &types, &search, by, *is_descending)?,
            None => one_after_the_other(db, &tenant, &types, &search)?,
        };
        let mut resources = Vec::with_capacity(found.resources.len());
        for resource in &found.resources {
            let kind = resource_type_of(&tenant, &resource.resource_type)?;
            let view = search.types.iter().find(|(name, _)| *name == kind.name).map(|(_, view)| *view);
            let shown = show(db, &tenant, kind, resource, view.unwrap_or_default())?;
            resources.push((kind.name.clone(), shown));
        }
        Ok::<_, ApiError>(SearchPage { total: found.total, resources, next: found.next })
    };
    bridge.store.scan(run).await
}

fn sorted(
    db: &Db<'_>,
    tenant: &Arc<Tenant>,
    types: &[&ResourceType],
    search: &Search,
    by: &AttributePath,
    is_descending: bool,
) -> Result<Found, ApiError> {
    let start = match &search.start {
        SearchStart::Index(index) => SortedStart::Index(*index),
        SearchStart::After(None) => SortedStart::Index(1),
        SearchStart::After(Some(position)) => {
            SortedStart::After(Place { value: position.value.clone(), key: position.key })
        }
    };
    let query = SortedQuery {
        tenant: &tenant.name,
        resource_types: types,
        filter: search.filter.as_ref(),
        by,
        is_descending,
        start,
        count: count_of(search),
    };
    let page = db.list_sorted(&query, &|db, resource, filter| seen(db, tenant, resource, filter))?;
    let last = page.resources.last().map(|resource| resource.resource_type.clone());
    let next = page.next.zip(last).map(|(place, resource_type)| Position {
        resource_type,
        key: place.key,
        value: place.value,
    });
    Ok(Found { total: page.total, resources: page.resources, next })
}

fn one_after_the_other(
    db: &Db<'_>,
    tenant: &Arc<Tenant>,
    types: &[&ResourceType],
    search: &Search,
) -> Result<Found, ApiError> {
    let mut found = Found { total: 0, resources: Vec::new(), next: None };
    let mut skip = match &search.start {
        SearchStart::Index(index) => index.saturating_sub(1),
        SearchStart::After(_) => 0,
    };
    let mut after = match &search.start {
        SearchStart::After(position) => position.as_ref(),
        SearchStart::Index(_) => None,
    };
    // One more than asked for says whether there is a next page.
    let wanted = if search.count == 0 { 0 } else { count_of(search).saturating_add(1) };
    for kind in types {
        let is_passed = after.is_some_and(|position| position.resource_type != kind.name);
        let start = match after {
            Some(position) if !is_passed => Start::After(position.key),
            _ if matches!(search.start, SearchStart::After(_)) => Start::After(0),
            _ => Start::Index(skip.saturating_add(1)),
        };
        let count = if is_passed { 0 } else { wanted - found.resources.len() };
        let query =
            StoreQuery { tenant: &tenant.name, resource_type: kind, filter: search.filter.as_ref(), start, count };
        let page = db.list_with(&query, &|db, resource, rest| seen(db, tenant, resource, rest))?;
        found.total += page.total;
        skip = skip.saturating_sub(page.total);
        found.resources.extend(page.resources);
        if !is_passed {
            after = None;
        }
    }
    if found.resources.len() > count_of(search) {
        found.resources.truncate(count_of(search));
        found.next = found.resources.last().map(|last| Position {
            resource_type: last.resource_type.clone(),
            key: last.key,
            value: None,
        });
    }
    Ok(found)
}

/// A filter and an order see what a client sees, the location and the state of the targets included.
fn seen(db: &Db<'_>, tenant: &Tenant, resource: &Resource, filter: &Filter) -> Result<Map<String, Value>, StoreError> {
    let Some(kind) = tenant.resource_type(&resource.resource_type) else {
        return Err(StoreError::Internal(format!("no resource type {}", resource.resource_type)));
    };
    show_to_filter(db, tenant, kind, resource, filter)
}

fn count_of(search: &Search) -> usize {
    usize::try_from(search.count).unwrap_or(usize::MAX)
}
