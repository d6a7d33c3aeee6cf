//! Answers with a body: resources and lists of them, shaped by the client's projection.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder,
    dev::Payload,
    http::{StatusCode, header},
    web::Data,
};
use scim_model::{Projection, write_list};
use serde::Serialize;

use super::{member_stream::Parts, place::Place};
use crate::{
    bridge::Bridge,
    error::{ApiError, SCIM_JSON},
    provisioning::{self, ListPage, Shown},
};

/// Conditions of RFC 7644 section 3.14 that the client put on its request.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
}

impl Conditions {
    /// The version that the client wants to change.
    pub(super) fn if_match(&self) -> Option<&str> {
        self.if_match.as_deref()
    }

    /// Versions that the client has, or does not want to change.
    pub(super) fn if_none_match(&self) -> Option<&str> {
        self.if_none_match.as_deref()
    }

    /// 412 for a POST that is to depend on a version: what is made by it has none yet, and the endpoint itself is always there
    /// (RFC 9110 section 13.1.1).
    pub(super) fn check_of_endpoint(&self) -> Result<(), ApiError> {
        let names_any = |tags: &str| tags.split(',').any(|tag| tag.trim() == "*");
        if self.if_match().is_none_or(names_any) {
            return Ok(());
        }
        let detail = "If-Match names a version, and what POST makes has none before: leave the header out".to_owned();
        Err(ApiError::PreconditionFailed(detail))
    }

    /// Whether the client has this version already.
    fn has(&self, etag: &str) -> bool {
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let listed = |tags: &String| tags.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag));
        self.if_none_match.as_ref().is_some_and(listed)
    }
}

impl FromRequest for Conditions {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text =
            |name| request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        ready(Ok(Self { if_match: text(header::IF_MATCH), if_none_match: text(header::IF_NONE_MATCH) }))
    }
}

/// 201 with the new resource and its address.
pub(super) fn created(
    bridge: &Data<Bridge>,
    place: &Place,
    shown: Shown,
    projection: &Projection,
) -> Result<HttpResponse, ApiError> {
    let location = shown.location.clone();
    let mut answer = resource(StatusCode::CREATED, bridge, place, shown, projection)?;
    let location = header::HeaderValue::try_from(location).map_err(ApiError::internal)?;
    answer.headers_mut().insert(header::LOCATION, location);
    Ok(answer)
}

/// 200 with the resource.
pub(super) fn ok(
    bridge: &Data<Bridge>,
    place: &Place,
    shown: Shown,
    projection: &Projection,
) -> Result<HttpResponse, ApiError> {
    resource(StatusCode::OK, bridge, place, shown, projection)
}

/// 204 with the version that the group has now: the tag of the group without its members, by which a write can be bound to it
/// too. That of the whole would have to be read.
pub(super) fn no_content(shown: &Shown) -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::ETAG, shown.resource.meta.etag())).finish()
}

/// 200 with the resource, or 304 if the client has that version already; 412 if it wants another one.
pub(super) fn read(
    bridge: &Data<Bridge>,
    place: &Place,
    shown: Shown,
    projection: &Projection,
    conditions: &Conditions,
) -> Result<HttpResponse, ApiError> {
    if conditions.if_match().is_some_and(|tags| !provisioning::names_version(tags, shown.version)) {
        return Err(ApiError::PreconditionFailed("The resource has another version than If-Match names".to_owned()));
    }
    let etag = shown.resource.meta.etag();
    if conditions.has(&etag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    ok(bridge, place, shown, projection)
}

/// The body of a list.
pub(super) enum PageBody {
    Whole(Vec<u8>),
    /// A group has more members than one read brings.
    InParts(Parts),
}

/// Makes the body of a list.
pub(super) fn page(place: &Place, page: ListPage, projection: &Projection) -> Result<PageBody, ApiError> {
    let resource_type = place.resource_type()?;
    let ListPage { total, start_index, resources } = page;
    if resources.iter().all(|shown| shown.more_members.is_none()) {
        let resources = resources.iter().map(|shown| &shown.resource);
        let body = write_list(resource_type, resources, projection, total, start_index);
        return Ok(PageBody::Whole(body.map_err(ApiError::internal)?));
    }
    let mut parts = Parts::default();
    for shown in resources {
        parts.separate();
        parts.resource(resource_type, shown, projection)?;
    }
    Ok(PageBody::InParts(parts.in_list(total, start_index)?))
}

/// 200 with a page of a list.
pub(super) fn list(
    bridge: &Data<Bridge>,
    place: &Place,
    page: PageBody,
    projection: &Projection,
) -> Result<HttpResponse, ApiError> {
    let mut answer = scim(StatusCode::OK);
    Ok(match page {
        PageBody::Whole(body) => answer.body(body),
        PageBody::InParts(parts) => {
            answer.streaming(parts.stream(bridge, &place.tenant, place.resource_type()?, projection))
        }
    })
}

/// 200 with any SCIM message.
pub(super) fn json(message: &impl Serialize) -> Result<HttpResponse, ApiError> {
    let body = serde_json::to_vec(message).map_err(ApiError::internal)?;
    Ok(scim(StatusCode::OK).body(body))
}

/// The beginning of an answer with a SCIM body.
pub(super) fn scim(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::CONTENT_TYPE, header::HeaderValue::from_static(SCIM_JSON)));
    answer
}

fn resource(
    status: StatusCode,
    bridge: &Data<Bridge>,
    place: &Place,
    shown: Shown,
    projection: &Projection,
) -> Result<HttpResponse, ApiError> {
    let resource_type = place.resource_type()?;
    let mut answer = scim(status);
    answer.insert_header((header::ETAG, shown.resource.meta.etag()));
    if shown.more_members.is_none() {
        let mut body = Vec::with_capacity(shown.resource.document.len() + 512);
        shown.resource.write(resource_type, projection, &mut body).map_err(ApiError::internal)?;
        return Ok(answer.body(body));
    }
    let mut parts = Parts::default();
    parts.resource(resource_type, shown, projection)?;
    Ok(answer.streaming(parts.stream(bridge, &place.tenant, resource_type, projection)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_the_client_has_is_recognised() {
        let check = |if_none_match: Option<&str>, expected: bool| {
            let conditions = Conditions { if_none_match: if_none_match.map(str::to_owned), ..Conditions::default() };
            assert_eq!(conditions.has("W/\"3\""), expected, "{if_none_match:?}");
        };
        check(Some("W/\"3\""), true);
        check(Some("\"3\""), true);
        check(Some("W/\"1\", W/\"3\""), true);
        check(Some("*"), true);
        check(Some("W/\"30\""), false);
        check(Some(""), false);
        check(None, false);
    }
}
