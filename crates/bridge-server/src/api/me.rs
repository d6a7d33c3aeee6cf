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

use super::{
    answer::{self, Conditions},
    body::ScimBody,
    place::Place,
    query::Query,
    resources::{Change, heed},
};
use crate::{
    auth::no_caller,
    bridge::Bridge,
    error::ApiError,
    provisioning::{self, Caller, View},
};

/// The user that a token stands for, and the permanent address.
pub(super) struct Myself {
    caller: Caller,
    place: Place,
}

impl FromRequest for Myself {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let Some(caller) = request.extensions_mut().remove::<Caller>() else { return ready(Err(no_caller())) };
        let Some(id) = caller.user.clone() else {
            let detail = "This token stands for no user: /Me is there for tokens made with 'token new --user'";
            return ready(Err(ApiError::NotImplemented(detail.to_owned())));
        };
        let place = Place::from_request(request, payload).into_inner();
        ready(place.map(|place| Self { caller, place: place.of_user(id) }))
    }
}

/// A change of that user.
pub(super) struct MyChange(Change);

impl FromRequest for MyChange {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let myself = Myself::from_request(request, payload).into_inner();
        ready(myself.and_then(|Myself { caller, place }| Change::by(caller, place, request)).map(Self))
    }
}

/// `GET /Me`.
pub(super) async fn read(
    bridge: Data<Bridge>,
    Myself { caller, place }: Myself,
    query: Query,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    let users = place.resource_type()?;
    let projection = query.projection(users)?;
    heed(&bridge, &caller, &place, query.forgiven_of_one(users))?;
    let view = View::of(users, &projection);
    let shown = provisioning::read(&bridge, &caller, &users.name, place.id(), view).await?;
    located(answer::read(&bridge, &place, shown, &projection, &conditions)?, place.location())
}

/// `POST /Me`: who has a token is there already.
pub(super) async fn create(_: Myself) -> Result<HttpResponse, ApiError> {
    Err(ApiError::Forbidden("This token stands for a user that is there already, it cannot make one".into()))
}

/// `PUT /Me`.
pub(super) async fn replace(MyChange(change): MyChange, body: ScimBody) -> Result<HttpResponse, ApiError> {
    let location = change.location();
    located(change.replace(body).await?, location)
}

/// `PATCH /Me`.
pub(super) async fn patch(MyChange(change): MyChange, body: ScimBody) -> Result<HttpResponse, ApiError> {
    let location = change.location();
    located(change.patch(body).await?, location)
}

/// `DELETE /Me`.
pub(super) async fn delete(MyChange(change): MyChange) -> Result<HttpResponse, ApiError> {
    change.delete().await
}

/// The answer with the permanent address, which is never that of the request.
fn located(mut answer: HttpResponse, location: String) -> Result<HttpResponse, ApiError> {
    let location = HeaderValue::try_from(location).map_err(ApiError::internal)?;
    answer.headers_mut().insert(header::LOCATION, location.clone());
    answer.headers_mut().insert(header::CONTENT_LOCATION, location);
    Ok(answer)
}
