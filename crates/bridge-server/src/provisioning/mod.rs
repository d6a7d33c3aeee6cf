//! The use cases behind the SCIM endpoints: read, list, create, replace, patch, delete (DESIGN, section 6).
//!
//! A write is judged for every target, stored with the duty to make the accounts match in one transaction, and answered
//! once the accounts are right, or cannot be right soon.

mod create;
mod journal;
mod judge;
mod open;
mod transaction;
mod update;
mod wait;

use std::sync::Arc;

use bridge_store::{Account as Row, ListQuery as StoreQuery, Resource, ResourceState, Start};
use jiff::Timestamp;
use scim_filter::Filter;
use scim_model::{Meta, ResourceType, ScimError, complete};
use serde_json::{Map, Value, json};

use crate::bridge::Bridge;
use crate::error::ApiError;
use crate::landscape::Tenant;

pub use create::create;
pub use journal::mask_secrets;
pub use judge::{Judged, Surroundings, judge};
pub use open::{OpenRequests, ResourceLocks, Unanswered};
pub use update::{delete, patch, replace};

/// URN of the read-only extension that shows the state of each target.
pub const PROVISIONING_URN: &str = "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User";

/// Who calls: a credential that was accepted for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The tenant whose data the caller may see and change.
    pub tenant: String,
    /// The connection of the credential.
    pub connection: String,
    /// What the administrator calls it.
    pub label: String,
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
}

/// A resource as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The complete resource, before any projection.
    pub resource: Map<String, Value>,
    /// Counts the changes.
    pub version: i64,
    /// Its absolute address.
    pub location: String,
    /// When it was last changed.
    pub modified: Timestamp,
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
    /// Whether the state of the targets is shown.
    pub with_provisioning: bool,
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
    with_provisioning: bool,
) -> Result<Shown, ApiError> {
    let tenant = tenant(bridge, caller)?;
    let kind = resource_type_of(&tenant, resource_type)?;
    let (resource, rows) = bridge
        .store
        .read(|db| {
            let resource = live(db.resource_by_id(&tenant.name, resource_type, id)?, resource_type, id)?;
            let rows = if with_provisioning { db.accounts_of(resource.key)? } else { Vec::new() };
            Ok::<_, ApiError>((resource, rows))
        })
        .await?;
    Ok(show(&tenant, kind, &resource, with_provisioning.then_some(rows.as_slice())))
}

/// A list, filtered or not.
///
/// # Errors
/// 400 `tooMany` if the filter costs too much, `invalidFilter` if it cannot be used.
pub async fn list(
    bridge: &Bridge,
    caller: &Caller,
    resource_type: &str,
    query: &ListQuery,
) -> Result<ListPage, ApiError> {
    let tenant = tenant(bridge, caller)?;
    resource_type_of(&tenant, resource_type)?;
    let (scanned, name, wanted) = (tenant.clone(), resource_type.to_owned(), query.clone());
    let search = move |db: &bridge_store::Db<'_>| {
        let kind = resource_type_of(&scanned, &name)?;
        let asked = StoreQuery {
            tenant: &scanned.name,
            resource_type: kind,
            filter: wanted.filter.as_ref(),
            start: Start::Index(wanted.start_index.max(1)),
            count: usize::try_from(wanted.count).unwrap_or(usize::MAX),
        };
        // A filter sees what a client sees, the location and the state of the targets included.
        let page = db.list_with(&asked, &|db, resource, _| {
            Ok(show(&scanned, kind, resource, Some(&db.accounts_of(resource.key)?)).resource)
        })?;
        let mut shown = Vec::with_capacity(page.resources.len());
        for resource in &page.resources {
            let rows = if wanted.with_provisioning { Some(db.accounts_of(resource.key)?) } else { None };
            shown.push(show(&scanned, kind, resource, rows.as_deref()));
        }
        Ok::<_, ApiError>((page.total, shown))
    };
    let is_pointed = query.filter.as_ref().is_some_and(bridge_store::is_pointed);
    let (total, resources) =
        if is_pointed { bridge.store.read(search).await? } else { bridge.store.scan(search).await? };
    Ok(ListPage { total, start_index: query.start_index.max(1), resources })
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

/// Only live resources are there for a client.
fn live(resource: Option<Resource>, resource_type: &str, id: &str) -> Result<Resource, ApiError> {
    resource
        .filter(|resource| resource.state == ResourceState::Live)
        .ok_or_else(|| ApiError::Scim(ScimError::not_found(resource_type, id)))
}

/// A resource as clients see it; with the state of its targets if their rows are given.
fn show(tenant: &Tenant, kind: &ResourceType, resource: &Resource, rows: Option<&[Row]>) -> Shown {
    let location = format!("{}/{}/{}", tenant.base_url, kind.endpoint, resource.id);
    let meta = Meta {
        created: resource.created,
        last_modified: resource.modified,
        version: resource.version,
        location: location.clone(),
        resource_type: kind.name.clone(),
    };
    let mut derived = Map::new();
    if let Some(rows) = rows {
        derived.insert(PROVISIONING_URN.to_owned(), json!({ "targets": target_states(tenant, rows) }));
    }
    Shown {
        resource: complete(kind, &resource.id, &resource.document, &meta, derived),
        version: resource.version,
        location,
        modified: resource.modified,
    }
}

/// `targets[{name, kind, state, remoteId, lastError, updated}]` of the provisioning extension.
fn target_states(tenant: &Tenant, rows: &[Row]) -> Value {
    let state = |row: &Row| {
        let mut state = Map::new();
        state.insert("name".to_owned(), Value::from(row.target.as_str()));
        if let Some(target) = tenant.targets.get(&row.target) {
            state.insert("kind".to_owned(), Value::from(target.settings.kind.name()));
        }
        state.insert("state".to_owned(), Value::from(row.state.as_str()));
        if let Some(remote_id) = &row.remote_id {
            state.insert("remoteId".to_owned(), Value::from(remote_id.as_str()));
        }
        if let Some(reason) = &row.reason {
            state.insert("lastError".to_owned(), Value::from(format!("{} [{}]", reason.text, reason.code)));
        }
        state.insert("updated".to_owned(), Value::from(row.updated.to_string()));
        Value::Object(state)
    };
    rows.iter().map(state).collect()
}
