//! The journal: what identity providers sent, and what came of it.

use actix_web::web::{Data, Json, Path, Query};
use bridge_store::{RequestFilter, RequestQuery};
use jiff::Timestamp;
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
    /// The userName of a user, also of one whose create was refused, or a SCIM id.
    user: Option<String>,
    /// Only what was refused.
    #[serde(default)]
    failed: bool,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: Option<usize>,
    /// `next` of the page before.
    before: Option<i64>,
}

pub(super) async fn list(bridge: Data<Bridge>, Query(selection): Query<Selection>) -> Result<Json<Value>, Problem> {
    let tenant = selection.tenant.unwrap_or_else(|| DEFAULT_TENANT.to_owned());
    known::names(&bridge, Some(&tenant), None)?;
    let mut filter =
        RequestFilter { failed: selection.failed, since: selection.since, until: selection.until, user_name: None };
    let resource = match (selection.resource, &selection.user) {
        (Some(_), Some(_)) => return Err(Problem::bad_request("resource or user, not both")),
        (Some(id), None) => Some(key_of(&bridge, &tenant, &id).await?.ok_or_else(|| missing("resource"))?),
        (None, Some(name)) => {
            filter.user_name = Some(operations::folded_user_name(&bridge, &tenant, name));
            key_of(&bridge, &tenant, name).await?
        }
        (None, None) => None,
    };
    let limit = selection.limit.unwrap_or(100).clamp(1, 1_000);
    let query = RequestQuery { tenant, resource, before: selection.before, limit };
    let page = operations::list_requests(&bridge, query, filter).await?;
    if selection.user.is_some() && resource.is_none() && page.is_empty() {
        return Err(missing("user, nor a refused request for one of that name"));
    }
    let next = page.last().filter(|_| page.len() >= limit).map(|entry| entry.request.key);
    let requests: Vec<RequestView> = page.into_iter().map(RequestView::from).collect();
    Ok(Json(json!({ "requests": requests, "next": next })))
}

async fn key_of(bridge: &Bridge, tenant: &str, id: &str) -> Result<Option<i64>, Problem> {
    let folded = operations::folded_user_name(bridge, tenant, id);
    let found = bridge.store.read(|db| operations::resource_named(db, tenant, id, &folded)).await?;
    Ok(found.map(|resource| resource.key))
}

fn missing(what: &str) -> Problem {
    Problem::not_found(format!("there is no such {what} in this tenant"))
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
