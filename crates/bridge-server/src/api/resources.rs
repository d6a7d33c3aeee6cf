//! Users and groups: create, read, list, replace, patch, delete (RFC 7644 sections 3.3 to 3.6).
//!
//! Each handler is a table of contents: the extractors say who calls and what arrived, a use case does the work, `answer`
//! shapes what the client sees.

use actix_web::{HttpResponse, web::Data};
use scim_model::{Projection, ResourceType};

use super::{
    answer::{self, Conditions},
    body::ScimBody,
    place::Place,
    query::Query,
    search,
};
use crate::{
    bridge::Bridge,
    error::ApiError,
    provisioning::{self, Ask, Caller, ListQuery, Received, View},
};

/// `POST /Users`.
pub(super) async fn create(
    bridge: Data<Bridge>,
    caller: Caller,
    received: Received,
    place: Place,
    query: Query,
    ScimBody(body): ScimBody,
) -> Result<HttpResponse, ApiError> {
    let resource_type = place.resource_type()?;
    let projection = query.projection(resource_type)?;
    let ask = ask(&caller, &received, resource_type, &projection);
    let shown = provisioning::create(&bridge, &ask, body).await?;
    answer::created(&bridge, &place, shown, &projection)
}

/// `GET /Users/{id}`.
pub(super) async fn read(
    bridge: Data<Bridge>,
    caller: Caller,
    place: Place,
    query: Query,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    let resource_type = place.resource_type()?;
    let projection = query.projection(resource_type)?;
    let view = View::of(resource_type, &projection);
    let shown = provisioning::read(&bridge, &caller, &resource_type.name, place.id(), view).await?;
    answer::read(&bridge, &place, shown, &projection, &conditions)
}

/// `GET /Users`.
pub(super) async fn list(
    bridge: Data<Bridge>,
    caller: Caller,
    place: Place,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    page(&bridge, &caller, &place, &query).await
}

/// A page of one resource type, as `GET /Users` and `POST /Users/.search` answer it.
pub(super) async fn page(
    bridge: &Data<Bridge>,
    caller: &Caller,
    place: &Place,
    query: &Query,
) -> Result<HttpResponse, ApiError> {
    let resource_type = place.resource_type()?;
    if !query.is_plain() {
        return search::page(bridge, caller, place, &[resource_type], query).await;
    }
    let projection = query.projection(resource_type)?;
    let wanted = ListQuery {
        filter: query.filter(&[resource_type])?,
        start_index: query.start_index()?,
        count: query.count()?,
        view: View::of(resource_type, &projection),
    };
    let (there, shown) = (place.clone(), projection.clone());
    let shape = move |page| answer::page(&there, page, &shown);
    let page = provisioning::list(bridge, caller, &resource_type.name, &wanted, shape).await?;
    answer::list(bridge, place, page, &projection)
}

/// `PUT /Users/{id}`.
pub(super) async fn replace(
    bridge: Data<Bridge>,
    caller: Caller,
    received: Received,
    place: Place,
    query: Query,
    conditions: Conditions,
    ScimBody(body): ScimBody,
) -> Result<HttpResponse, ApiError> {
    let resource_type = place.resource_type()?;
    let projection = query.projection(resource_type)?;
    let ask = Ask { if_none_match: conditions.if_none_match(), ..ask(&caller, &received, resource_type, &projection) };
    let shown = provisioning::replace(&bridge, &ask, place.id(), body, conditions.if_match()).await?;
    answer::ok(&bridge, &place, shown, &projection)
}

/// `PATCH /Users/{id}`. A group is not shown unless the client names attributes (RFC 7644 section 3.5.2): it may have many
/// members, and Entra ID takes members in this answer for the whole list (entra 4).
pub(super) async fn patch(
    bridge: Data<Bridge>,
    caller: Caller,
    received: Received,
    place: Place,
    query: Query,
    conditions: Conditions,
    ScimBody(body): ScimBody,
) -> Result<HttpResponse, ApiError> {
    let resource_type = place.resource_type()?;
    let projection = query.projection(resource_type)?;
    let is_brief = resource_type.has_members() && !query.names_attributes();
    let mut ask =
        Ask { if_none_match: conditions.if_none_match(), ..ask(&caller, &received, resource_type, &projection) };
    if is_brief {
        ask.view = View::default();
    }
    let shown = provisioning::patch(&bridge, &ask, place.id(), body, conditions.if_match()).await?;
    if is_brief { Ok(answer::no_content(&shown)) } else { answer::ok(&bridge, &place, shown, &projection) }
}

/// `DELETE /Users/{id}`.
pub(super) async fn delete(
    bridge: Data<Bridge>,
    caller: Caller,
    received: Received,
    place: Place,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    let resource_type = &place.resource_type()?.name;
    let (view, if_none_match) = (View::default(), conditions.if_none_match());
    let ask = Ask { caller: &caller, received: &received, resource_type, view, if_none_match };
    provisioning::delete(&bridge, &ask, place.id(), conditions.if_match()).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn ask<'a>(
    caller: &'a Caller,
    received: &'a Received,
    resource_type: &'a ResourceType,
    projection: &Projection,
) -> Ask<'a> {
    let view = View::of(resource_type, projection);
    Ask { caller, received, resource_type: &resource_type.name, view, if_none_match: None }
}
