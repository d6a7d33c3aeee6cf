//! The journal: what identity providers sent, and what came of it.

use actix_web::web::{Data, Json, Path, Query};
use bridge_store::RequestQuery;
use serde::Deserialize;
use serde_json::{Value, json};

use super::views::{RequestView, StoryView};
use super::{Problem, known};
use crate::api::DEFAULT_TENANT;
use crate::bridge::Bridge;
use crate::operations;

/// Which requests, newest first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    tenant: Option<String>,
    /// SCIM id of a resource, or the userName of a user.
    resource: Option<String>,
    limit: Option<usize>,
    /// `next` of the page before.
    before: Option<i64>,
}

pub(super) async fn list(bridge: Data<Bridge>, Query(selection): Query<Selection>) -> Result<Json<Value>, Problem> {
    let tenant = selection.tenant.unwrap_or_else(|| DEFAULT_TENANT.to_owned());
    known::names(&bridge, Some(&tenant), None)?;
    let resource = match selection.resource {
        Some(id) => Some(key_of(&bridge, &tenant, &id).await?),
        None => None,
    };
    let limit = selection.limit.unwrap_or(100).clamp(1, 1_000);
    let query = RequestQuery { tenant, resource, before: selection.before, limit };
    let page = operations::list_requests(&bridge, query).await?;
    let next = page.last().filter(|_| page.len() >= limit).map(|entry| entry.key);
    let requests: Vec<RequestView> = page.into_iter().map(RequestView::from).collect();
    Ok(Json(json!({ "requests": requests, "next": next })))
}

async fn key_of(bridge: &Bridge, tenant: &str, id: &str) -> Result<i64, Problem> {
    let folded = operations::folded_user_name(bridge, tenant, id);
    let found = bridge.store.read(|db| operations::resource_named(db, tenant, id, &folded)).await?;
    let missing = || Problem::not_found("there is no such resource in this tenant");
    found.map(|resource| resource.key).ok_or_else(missing)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfTenant {
    tenant: Option<String>,
}

pub(super) async fn show(
    bridge: Data<Bridge>,
    id: Path<String>,
    Query(OfTenant { tenant }): Query<OfTenant>,
) -> Result<Json<StoryView>, Problem> {
    let tenant = tenant.unwrap_or_else(|| DEFAULT_TENANT.to_owned());
    known::names(&bridge, Some(&tenant), None)?;
    let story = operations::show_request(&bridge, &tenant, &id).await?;
    Ok(Json(story.into()))
}
