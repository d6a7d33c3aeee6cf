//! `/Me`: the user that the token stands for (RFC 7644 section 3.11), under another name than its permanent address.
//!
//! Most tokens are an identity provider's and stand for nobody: for them this is not implemented. One that an administrator
//! has made for a user (`token new --user`) opens this and discovery, nothing else (`auth`).

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{self, HeaderValue},
    web::Data,
};
use scim_model::ResourceType;

use super::{
    answer::{self, Conditions},
    body::ScimBody,
    place::Place,
    query::Query,
};
use crate::{
    auth::no_caller,
    bridge::Bridge,
    error::ApiError,
    provisioning::{self, Ask, Caller, Received, View},
};

/// The endpoint of the permanent address.
const USERS: &str = "Users";

/// The user that a token stands for.
pub(super) struct Myself {
    caller: Caller,
    id: String,
}

impl FromRequest for Myself {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(caller) = request.extensions_mut().remove::<Caller>() else { return ready(Err(no_caller())) };
        ready(match caller.user.clone() {
            Some(id) => Ok(Self { caller, id }),
            None => {
                let detail = "This token stands for no user: /Me is there for tokens made with 'token new --user'";
                Err(ApiError::NotImplemented(detail.to_owned()))
            }
        })
    }
}

/// `GET /Me`.
pub(super) async fn read(
    bridge: Data<Bridge>,
    myself: Myself,
    place: Place,
    query: Query,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    let place = place.at(USERS);
    let users = place.resource_type()?;
    let projection = query.projection(users)?;
    let view = View::of(users, &projection);
    let shown = provisioning::read(&bridge, &myself.caller, &users.name, &myself.id, view).await?;
    let location = shown.location.clone();
    located(answer::read(&bridge, &place, shown, &projection, &conditions)?, location)
}

/// `POST /Me`: who has a token is there already.
pub(super) async fn create(_: Myself) -> Result<HttpResponse, ApiError> {
    Err(ApiError::Forbidden("This token stands for a user that is there already, it cannot make one".into()))
}

/// `PUT /Me`.
pub(super) async fn replace(
    bridge: Data<Bridge>,
    myself: Myself,
    received: Received,
    place: Place,
    query: Query,
    conditions: Conditions,
    ScimBody(body): ScimBody,
) -> Result<HttpResponse, ApiError> {
    let place = place.at(USERS);
    let users = place.resource_type()?;
    let projection = query.projection(users)?;
    let ask = myself.ask(&received, users, View::of(users, &projection), &conditions);
    let shown = provisioning::replace(&bridge, &ask, &myself.id, body, conditions.if_match()).await?;
    let location = shown.location.clone();
    located(answer::ok(&bridge, &place, shown, &projection)?, location)
}

/// `PATCH /Me`.
pub(super) async fn patch(
    bridge: Data<Bridge>,
    myself: Myself,
    received: Received,
    place: Place,
    query: Query,
    conditions: Conditions,
    ScimBody(body): ScimBody,
) -> Result<HttpResponse, ApiError> {
    let place = place.at(USERS);
    let users = place.resource_type()?;
    let projection = query.projection(users)?;
    let ask = myself.ask(&received, users, View::of(users, &projection), &conditions);
    let shown = provisioning::patch(&bridge, &ask, &myself.id, body, conditions.if_match()).await?;
    let location = shown.location.clone();
    located(answer::ok(&bridge, &place, shown, &projection)?, location)
}

/// `DELETE /Me`.
pub(super) async fn delete(
    bridge: Data<Bridge>,
    myself: Myself,
    received: Received,
    place: Place,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    let place = place.at(USERS);
    let ask = myself.ask(&received, place.resource_type()?, View::default(), &conditions);
    provisioning::delete(&bridge, &ask, &myself.id, conditions.if_match()).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl Myself {
    fn ask<'a>(
        &'a self,
        received: &'a Received,
        users: &'a ResourceType,
        view: View,
        conditions: &'a Conditions,
    ) -> Ask<'a> {
        let if_none_match = conditions.if_none_match();
        Ask { caller: &self.caller, received, resource_type: &users.name, view, if_none_match }
    }
}

/// The answer with the permanent address, which is never that of the request.
fn located(mut answer: HttpResponse, location: String) -> Result<HttpResponse, ApiError> {
    let location = HeaderValue::try_from(location).map_err(ApiError::internal)?;
    answer.headers_mut().insert(header::LOCATION, location.clone());
    answer.headers_mut().insert(header::CONTENT_LOCATION, location);
    Ok(answer)
}
