//! Users and groups: create, read, list, replace, patch, delete (RFC 7644 sections 3.3 to 3.6).
//!
//! Each handler is a table of contents: the extractors say who calls and what arrived, a use case does the work, `answer`
//! shapes what the client sees.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, web::Data};
use scim_model::ResourceType;

use super::{
    answer::{self, Conditions},
    body::ScimBody,
    place::Place,
    query::Query,
    search,
};
use crate::{
    bridge::Bridge,
    connections::{Forgiveness, judge_query_strictly},
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
    conditions: Conditions,
    body: ScimBody,
) -> Result<HttpResponse, ApiError> {
    conditions.check_of_endpoint()?;
    let resource_type = place.resource_type()?;
    let projection = query.projection(resource_type)?;
    heed(&bridge, &caller, &place, query.and(body.notes).forgiven_of_one(resource_type))?;
    let view = View::of(resource_type, &projection);
    let ask =
        Ask { caller: &caller, received: &received, resource_type: &resource_type.name, view, if_none_match: None };
    let shown = provisioning::create(&bridge, &ask, body.value).await?;
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
    heed(&bridge, &caller, &place, query.forgiven_of_one(resource_type))?;
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
    let (filter, forgiven) = query.filter(&[resource_type])?;
    heed(bridge, caller, place, query.forgiven(&[resource_type], forgiven))?;
    let wanted = ListQuery {
        filter,
        start_index: query.start_index()?,
        count: query.count()?,
        view: View::of(resource_type, &projection),
    };
    let (there, shown) = (place.clone(), projection.clone());
    let shape = move |page| answer::page(&there, page, &shown);
    let page = provisioning::list(bridge, caller, &resource_type.name, &wanted, shape).await?;
    answer::list(bridge, place, page, &projection)
}

/// Counts what a query was forgiven, or refuses it where the connection is strict.
pub(super) fn heed(bridge: &Bridge, caller: &Caller, place: &Place, forgiven: Forgiveness) -> Result<(), ApiError> {
    judge_query_strictly(&place.tenant, caller, &forgiven)?;
    bridge.connections.asked(caller, &[forgiven.filter, forgiven.elsewhere].concat());
    Ok(())
}

/// `PUT /Users/{id}`.
pub(super) async fn replace(change: Change, body: ScimBody) -> Result<HttpResponse, ApiError> {
    change.replace(body).await
}

/// `PATCH /Users/{id}`.
pub(super) async fn patch(change: Change, body: ScimBody) -> Result<HttpResponse, ApiError> {
    change.patch(body).await
}

/// `DELETE /Users/{id}`.
pub(super) async fn delete(change: Change) -> Result<HttpResponse, ApiError> {
    change.delete().await
}

/// A change of one resource, but for what the body says.
pub(super) struct Change {
    bridge: Data<Bridge>,
    caller: Caller,
    received: Received,
    place: Place,
    query: Query,
    conditions: Conditions,
}

impl Change {
    /// What this caller asks for at this place; the rest is in the request.
    pub(super) fn by(caller: Caller, place: Place, request: &HttpRequest) -> Result<Self, ApiError> {
        let nothing = &mut Payload::None;
        let bridge = request.app_data::<Data<Bridge>>().cloned();
        Ok(Self {
            bridge: bridge.ok_or_else(|| ApiError::internal("no bridge behind this server"))?,
            caller,
            received: Received::from_request(request, nothing).into_inner()?,
            place,
            query: Query::from_request(request, nothing).into_inner()?,
            conditions: Conditions::from_request(request, nothing).into_inner()?,
        })
    }

    /// Where the resource is.
    pub(super) fn location(&self) -> String {
        self.place.location()
    }

    pub(super) async fn replace(mut self, body: ScimBody) -> Result<HttpResponse, ApiError> {
        self.query = self.query.and(body.notes);
        let resource_type = self.place.resource_type()?;
        let projection = self.query.projection(resource_type)?;
        self.heed(resource_type)?;
        let ask = self.ask(resource_type, View::of(resource_type, &projection));
        let if_match = self.conditions.if_match();
        let shown = provisioning::replace(&self.bridge, &ask, self.place.id(), body.value, if_match).await?;
        answer::ok(&self.bridge, &self.place, shown, &projection)
    }

    /// A group is not shown unless the client names attributes (RFC 7644 section 3.5.2): it may have many members, and Entra
    /// ID takes members in this answer for the whole list (entra 4).
    pub(super) async fn patch(mut self, body: ScimBody) -> Result<HttpResponse, ApiError> {
        self.query = self.query.and(body.notes);
        let resource_type = self.place.resource_type()?;
        let projection = self.query.projection(resource_type)?;
        self.heed(resource_type)?;
        let is_brief = resource_type.has_members() && !self.query.names_attributes();
        let view =
            if is_brief { View { is_brief: true, ..View::default() } } else { View::of(resource_type, &projection) };
        let ask = self.ask(resource_type, view);
        let if_match = self.conditions.if_match();
        let shown = provisioning::patch(&self.bridge, &ask, self.place.id(), body.value, if_match).await?;
        if is_brief {
            return Ok(answer::no_content(&shown));
        }
        answer::ok(&self.bridge, &self.place, shown, &projection)
    }

    pub(super) async fn delete(self) -> Result<HttpResponse, ApiError> {
        let resource_type = self.place.resource_type()?;
        self.heed(resource_type)?;
        let ask = self.ask(resource_type, View::default());
        provisioning::delete(&self.bridge, &ask, self.place.id(), self.conditions.if_match()).await?;
        Ok(HttpResponse::NoContent().finish())
    }

    fn heed(&self, resource_type: &ResourceType) -> Result<(), ApiError> {
        heed(&self.bridge, &self.caller, &self.place, self.query.forgiven_of_one(resource_type))
    }

    fn ask<'a>(&'a self, resource_type: &'a ResourceType, view: View) -> Ask<'a> {
        let if_none_match = self.conditions.if_none_match();
        Ask { caller: &self.caller, received: &self.received, resource_type: &resource_type.name, view, if_none_match }
    }
}

impl FromRequest for Change {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload).into_inner();
        let place = Place::from_request(request, payload).into_inner();
        ready(caller.and_then(|caller| Self::by(caller, place?, request)))
    }
}
