//! Resources: create, read, list, replace, patch, delete (RFC 7644 sections 3.3 to 3.6).
//!
//! Each handler is a table of contents: the extractors say who calls and what arrived, a use case does the work, `answer`
//! shapes what the client sees.

use actix_web::{HttpResponse, web::Data};
use scim_model::{PROVISIONING_URN, Projection, ResourceType};

use super::{
    answer::{self, Conditions},
    body::ScimBody,
    place::Place,
    query::Query,
};
use crate::{
    bridge::Bridge,
    error::ApiError,
    provisioning::{self, Caller, ListQuery, Received},
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
    let shown = provisioning::create(&bridge, &caller, &received, &resource_type.name, body).await?;
    answer::created(resource_type, shown, &projection)
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
    let provisioning = shows_provisioning(resource_type, &projection);
    let shown = provisioning::read(&bridge, &caller, &resource_type.name, place.id(), provisioning).await?;
    answer::read(resource_type, shown, &projection, &conditions)
}

/// `GET /Users`.
pub(super) async fn list(
    bridge: Data<Bridge>,
    caller: Caller,
    place: Place,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let resource_type = place.resource_type()?;
    let projection = query.projection(resource_type)?;
    let wanted = ListQuery {
        filter: query.filter(resource_type)?,
        start_index: query.start_index()?,
        count: query.count()?,
        with_provisioning: shows_provisioning(resource_type, &projection),
    };
    let page = provisioning::list(&bridge, &caller, &resource_type.name, &wanted).await?;
    answer::list(resource_type, page, &projection)
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
    let (name, id, if_match) = (&resource_type.name, place.id(), conditions.if_match());
    let shown = provisioning::replace(&bridge, &caller, &received, name, id, body, if_match).await?;
    answer::ok(resource_type, shown, &projection)
}

/// `PATCH /Users/{id}`.
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
    let (name, id, if_match) = (&resource_type.name, place.id(), conditions.if_match());
    let shown = provisioning::patch(&bridge, &caller, &received, name, id, body, if_match).await?;
    answer::ok(resource_type, shown, &projection)
}

/// `DELETE /Users/{id}`.
pub(super) async fn delete(
    bridge: Data<Bridge>,
    caller: Caller,
    received: Received,
    place: Place,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    let resource_type = place.resource_type()?;
    provisioning::delete(&bridge, &caller, &received, &resource_type.name, place.id(), conditions.if_match()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whether the answer needs the state of every target, which costs another read.
fn shows_provisioning(resource_type: &ResourceType, projection: &Projection) -> bool {
    projection.shows(resource_type, PROVISIONING_URN)
}
