//! What this bridge offers (RFC 7643 sections 5 to 7, RFC 7644 section 4, RFC 9865 section 4).
//!
//! Clients act on every word of it: SailPoint chooses PATCH or PUT by it, authentik splits member lists by
//! `bulk.maxOperations`, Entra derives its attribute list from the schemas. So it names what
//! works, and nothing else.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, web::Data};
use scim_model::{ResourceType, Schema, list_response};
use serde_json::{Value, json};

use super::{
    answer, cursor,
    place::Place,
    query::{DEFAULT_COUNT, MAX_COUNT, Query},
    resources,
};
use crate::{auth::Anybody, bridge::Bridge, error::ApiError, landscape::Tenant};

/// URN of the schema of the ServiceProviderConfig.
const CONFIGURATION_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// A request for something that is whole on every request: a filter is refused, other parameters are overlooked and counted
/// (RFC 7644 section 4).
pub(super) struct Asked {
    bridge: Data<Bridge>,
    place: Place,
}

impl Asked {
    fn by(request: &HttpRequest) -> Result<Self, ApiError> {
        let nothing = &mut Payload::None;
        let bridge = request.app_data::<Data<Bridge>>().cloned();
        let bridge = bridge.ok_or_else(|| ApiError::internal("no bridge behind this server"))?;
        let Anybody(caller) = Anybody::from_request(request, nothing).into_inner()?;
        let place = Place::from_request(request, nothing).into_inner()?;
        let query = Query::from_request(request, nothing).into_inner()?;
        if query.has_filter() {
            return Err(ApiError::Forbidden("This cannot be filtered, it is always whole".into()));
        }
        resources::heed(&bridge, &caller, &place, query.forgiven_of_none())?;
        Ok(Self { bridge, place })
    }
}

impl FromRequest for Asked {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::by(request))
    }
}

/// `GET /ServiceProviderConfig`.
pub(super) async fn configuration(Asked { bridge, place }: Asked) -> Result<HttpResponse, ApiError> {
    let landscape = bridge.landscape();
    let server = &landscape.config.server;
    answer::json(&json!({
        "schemas": [CONFIGURATION_URN],
        "patch": { "supported": true },
        "bulk": {
            "supported": true,
            "maxOperations": server.bulk_max_operations,
            "maxPayloadSize": server.bulk_max_payload,
        },
        "filter": { "supported": true, "maxResults": MAX_COUNT },
        "changePassword": { "supported": sends_passwords(&place.tenant) },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_COUNT,
            "maxPageSize": MAX_COUNT,
            "cursorTimeout": cursor::TIMEOUT.as_secs(),
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token made with 'scim-bridge token new', sent as 'Authorization: Bearer'",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
        "meta": meta(&place.tenant, "ServiceProviderConfig", "ServiceProviderConfig"),
    }))
}

/// `GET /ResourceTypes`.
pub(super) async fn resource_types(Asked { place, .. }: Asked) -> Result<HttpResponse, ApiError> {
    list(place.tenant.catalog.resource_types().iter().map(|resource_type| show_type(&place.tenant, resource_type)))
}

/// `GET /ResourceTypes/{name}`.
pub(super) async fn resource_type(Asked { place, .. }: Asked) -> Result<HttpResponse, ApiError> {
    let found =
        place.tenant.catalog.resource_types().iter().find(|candidate| candidate.name.eq_ignore_ascii_case(place.id()));
    let found = found.ok_or_else(|| ApiError::NotFound("There is no resource type of that name".into()))?;
    answer::json(&show_type(&place.tenant, found))
}

/// `GET /Schemas`.
pub(super) async fn schemas(Asked { place, .. }: Asked) -> Result<HttpResponse, ApiError> {
    list(place.tenant.catalog.schemas().iter().map(|schema| show_schema(&place.tenant, schema)))
}

/// `GET /Schemas/{urn}`.
pub(super) async fn schema(Asked { place, .. }: Asked) -> Result<HttpResponse, ApiError> {
    let found = place.tenant.catalog.schemas().iter().find(|candidate| candidate.id.eq_ignore_ascii_case(place.id()));
    let found = found.ok_or_else(|| ApiError::NotFound("There is no schema with that URN".into()))?;
    answer::json(&show_schema(&place.tenant, found))
}

fn list(resources: impl Iterator<Item = Value>) -> Result<HttpResponse, ApiError> {
    let resources: Vec<Value> = resources.collect();
    let total = resources.len() as u64;
    answer::json(&list_response(resources, total, 1))
}

fn show_type(tenant: &Tenant, resource_type: &ResourceType) -> Value {
    let mut shown = resource_type.to_json();
    shown["meta"] = meta(tenant, "ResourceType", &format!("ResourceTypes/{}", resource_type.name));
    shown
}

fn show_schema(tenant: &Tenant, schema: &Schema) -> Value {
    let mut shown = schema.to_json();
    shown["meta"] = meta(tenant, "Schema", &format!("Schemas/{}", schema.id));
    shown
}

fn meta(tenant: &Tenant, resource_type: &str, path: &str) -> Value {
    json!({ "resourceType": resource_type, "location": format!("{}/{path}", tenant.base_url) })
}

/// Whether a password that the provider sends reaches any account.
fn sends_passwords(tenant: &Tenant) -> bool {
    tenant.targets.values().any(|target| target.rules.uses_password())
}
