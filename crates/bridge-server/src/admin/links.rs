//! Links: which remote account belongs to which resource.

use actix_web::web::{Data, Json, Path, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::{Selection, named, next};
use super::views::LinkView;
use super::{ACTOR, Problem};
use crate::bridge::Bridge;
use crate::operations;

pub(super) async fn list(bridge: Data<Bridge>, Query(selection): Query<Selection>) -> Result<Json<Value>, Problem> {
    let query = selection.query(&bridge, None)?;
    let limit = query.limit;
    let page = operations::list_accounts(&bridge, query).await?;
    let next = next(&page, limit);
    let links: Vec<LinkView> =
        page.into_iter().filter(|account| account.account.remote_id.is_some()).map(LinkView::from).collect();
    Ok(Json(json!({ "links": links, "next": next })))
}

/// The remote account that a resource is to have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Link {
    remote_id: Option<String>,
}

pub(super) async fn set(
    bridge: Data<Bridge>,
    path: Path<(String, String, String)>,
    Json(link): Json<Link>,
) -> Result<Json<Value>, Problem> {
    if link.remote_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
        return Err(Problem::bad_request("remoteId is empty; send null to remove the link"));
    }
    let was_asked = operations::set_link(&bridge, &named(&bridge, path)?, link.remote_id, ACTOR).await?;
    Ok(Json(json!({ "done": true, "targetWasAsked": was_asked })))
}
