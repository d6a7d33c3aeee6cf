//! The use cases behind the SCIM endpoints: read, list, create, replace, patch, delete (DESIGN, section 6).
//!
//! A write is judged for every target, stored with the duty to make the accounts match in one transaction, and answered
//! once the accounts are right, or cannot be right soon.

mod bulk;
mod create;
mod groups;
mod guess;
mod journal;
mod judge;
mod open;
mod regroup;
mod search;
mod transaction;
mod update;
mod view;
mod wait;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use bridge_mapping::GroupRef;
use bridge_store::{Account as Row, Db, Doubt, GroupOf, ListQuery as StoreQuery, Resource, ResourceState, Start};
use bridge_store::{StoreError, is_pointed};
use jiff::Timestamp;
use scim_filter::Filter;
use scim_model::{Draft, Replacement, ResourceType, ScimError};
use serde_json::Value;

use crate::bridge::Bridge;
use crate::config::Profile;
use crate::connections::judge_strictly;
use crate::error::ApiError;
use crate::landscape::Tenant;

pub use bulk::{BulkDone, BulkOutcome, run_bulk};
pub use create::create;
pub use guess::Guesses;
pub use journal::mask_secrets;
pub(crate) use journal::secret_names;
pub use judge::{Judged, Surroundings, judge};
pub use open::{OpenRequests, ResourceLocks, Unanswered};
pub(crate) use regroup::run as regroup;
pub use search::{Position, Search, SearchPage, SearchStart, search};
pub use update::{delete, patch, replace};
pub use view::{MoreMembers, Shown, View};

/// Who calls: a credential that was accepted for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The tenant whose data the caller may see and change.
    pub tenant: String,
    /// The connection of the credential.
    pub connection: String,
    /// What the administrator calls it.
    pub label: String,
    /// Id of the one user that the credential stands for; none if it is an identity provider's.
    pub user: Option<String>,
}

/// A request as it arrived, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// As in logs and answers.
    pub request_id: String,
    /// HTTP method.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// When it arrived.
    pub at: Timestamp,
    /// Whether its answer waits for the accounts. That of an operation in a bulk request does not.
    pub waits: bool,
}

/// A write as a client asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// For the journal.
    pub received: &'a Received,
    /// Name of the resource type: `User`, `Group`.
    pub resource_type: &'a str,
    /// What the answer shows.
    pub view: View,
    /// Versions that the client does not want to change: the header `If-None-Match`.
    pub if_none_match: Option<&'a str>,
}

/// Which resources to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// What they must match.
    pub filter: Option<Filter>,
    /// The position of the first one, from 1.
    pub start_index: u64,
    /// At most so many.
    pub count: u64,
    /// What is shown of them.
    pub view: View,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPage {
    /// How many match in all.
    pub total: u64,
    /// The position of the first one, from 1.
    pub start_index: u64,
    /// The resources.
    pub resources: Vec<Shown>,
}

/// GET by id.
///
/// # Errors
/// 404 if there is no live resource of this type and id in the caller's tenant.
pub async fn read(
    bridge: &Bridge,
    caller: &Caller,
    resource_type: &str,
    id: &str,
    view: View,
) -> Result<Shown, ApiError> {
    let tenant = tenant(bridge, caller)?;
    let kind = resource_type_of(&tenant, resource_type)?;
    let read = bridge.store.read(|db| {
        let resource = live(db.resource_text_by_id(&tenant.name, resource_type, id)?, resource_type, id)?;
        Ok(view::show_text(db, &tenant, kind, resource, view)?)
    });
    read.await
}

/// A list, filtered or not. `shape` makes the answer of it, on the thread that reads: what was read need not change hands.
///
/// # Errors
/// 400 `tooMany` if the filter costs too much, `invalidFilter` if it cannot be used; those of `shape`.
pub async fn list<T: Send + 'static>(
    bridge: &Bridge,
    caller: &Caller,
    resource_type: &str,
    query: &ListQuery,
    shape: impl FnOnce(ListPage) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let tenant = tenant(bridge, caller)?;
    resource_type_of(&tenant, resource_type)?;
    let (scanned, name, wanted) = (tenant.clone(), resource_type.to_owned(), query.clone());
    let search = move |db: &Db<'_>| {
        let kind = resource_type_of(&scanned, &name)?;
        let asked = StoreQuery {
            tenant: &scanned.name,
            resource_type: kind,
            filter: wanted.filter.as_ref(),
            start: Start::Index(wanted.start_index.max(1)),
            count: usize::try_from(wanted.count).unwrap_or(usize::MAX),
        };
        // A filter sees what a client sees, the location and the state of the targets included.
        let page =
            db.list_texts(&asked, &|db, resource, rest| view::show_to_filter(db, &scanned, kind, resource, rest))?;
        let show = |resource| view::show_text(db, &scanned, kind, resource, wanted.view);
        let resources = page.resources.into_iter().map(show).collect::<Result<_, StoreError>>()?;
        shape(ListPage { total: page.total, start_index: wanted.start_index.max(1), resources })
    };
    // Members may be many, however few the groups are.
    let reads_members = |filter: &Filter| filter.paths().iter().any(|path| path.is("members"));
    let is_pointed = query.filter.as_ref().is_some_and(|filter| is_pointed(filter) && !reads_members(filter));
    if is_pointed { bridge.store.read(search).await } else { bridge.store.scan(search).await }
}

/// The next members of a group whose first ones were shown, and where the ones after them begin.
///
/// # Errors
/// Those of the store.
pub async fn more_members(
    bridge: &Bridge,
    tenant: &Arc<Tenant>,
    more: MoreMembers,
) -> Result<(Vec<Value>, Option<MoreMembers>), StoreError> {
    let tenant = tenant.clone();
    bridge.store.scan(move |db| view::next_members(db, &tenant, &more)).await
}

/// The tenant of a caller.
fn tenant(bridge: &Bridge, caller: &Caller) -> Result<Arc<Tenant>, ApiError> {
    bridge
        .tenant(&caller.tenant)
        .ok_or_else(|| ApiError::NotFound(format!("There is no tenant {} in the configuration", caller.tenant)))
}

fn resource_type_of<'a>(tenant: &'a Tenant, name: &str) -> Result<&'a ResourceType, ApiError> {
    tenant.resource_type(name).ok_or_else(|| ApiError::NotFound(format!("There is no resource type {name}")))
}

/// A draft, unless it took more forgiveness than the connection is given.
fn understood(ask: &Ask<'_>, tenant: &Tenant, draft: Draft) -> Result<Draft, ApiError> {
    judge_strictly(tenant, ask.caller, &draft.notes)?;
    Ok(draft)
}

/// What this connection means by `replace`.
fn meant_by_replace(ask: &Ask<'_>, tenant: &Tenant) -> Replacement {
    match tenant.profile(&ask.caller.connection) {
        Profile::Lenient => Replacement::OfParts,
        Profile::Strict => Replacement::OfTheWhole,
    }
}

/// Only live resources are there for a client.
fn live<D>(resource: Option<Resource<D>>, resource_type: &str, id: &str) -> Result<Resource<D>, ApiError> {
    resource
        .filter(|resource| resource.state == ResourceState::Live)
        .ok_or_else(|| ApiError::Scim(ScimError::not_found(resource_type, id)))
}

/// 412 only where the client named a version: as the one that it wants to change, or as one that it does not (RFC 7644
/// section 3.14, RFC 9110 section 13.1).
fn check_version(resource: &Resource, if_match: Option<&str>, if_none_match: Option<&str>) -> Result<(), ApiError> {
    let names_current = |tags: &str| names_version(tags, resource.version);
    if !if_match.is_none_or(names_current) {
        return Err(ApiError::Scim(ScimError::precondition_failed()));
    }
    if if_none_match.is_some_and(names_current) {
        let detail = "The resource is there in the version that If-None-Match rules out".to_owned();
        return Err(ApiError::PreconditionFailed(detail));
    }
    Ok(())
}

/// Whether entity tags name a version, or any. What is derived is no part of what is written (see `Meta::etag`).
pub(crate) fn names_version(tags: &str, version: i64) -> bool {
    let version = version.to_string();
    let counted = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').split('-').next() == Some(&version);
    tags.split(',').map(str::trim).any(|tag| tag == "*" || counted(tag))
}

/// What the mapping of a stored resource reads beside its document.
fn surroundings(
    db: &Db<'_>,
    tenant: &Tenant,
    resource: &Resource,
    rows: &[Row],
    now: Timestamp,
) -> Result<Surroundings, StoreError> {
    // A lease is no account here: whoever waits for a group is worked on for a moment too.
    let has_account = |row: &&Row| row.remote_id.is_some() || row.doubt == Doubt::Create;
    let assigned = db.assignments_of(resource.key)?;
    let mut around = Surroundings {
        groups: group_refs(db.groups_of(&tenant.name, &resource.id)?),
        assigned: assigned.into_iter().map(|assignment| (assignment.pool, assignment.value)).collect(),
        supplied: BTreeSet::new(),
        has_account: rows.iter().filter(has_account).map(|row| row.target.clone()).collect(),
    };
    create::assume_free_values(db, tenant, &mut around, now)?;
    Ok(around)
}

/// Groups as rules see them.
pub(crate) fn group_refs(groups: Vec<GroupOf>) -> Vec<GroupRef> {
    groups.into_iter().map(|group| GroupRef { id: group.id, display_name: group.display_name }).collect()
}
