//! What the address of a request points at: a resource type of a tenant, maybe one resource.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use percent_encoding::percent_decode_str;
use scim_model::{Catalog, ResourceType};

use super::DEFAULT_TENANT;
use crate::{bridge::Bridge, error::ApiError, landscape::Tenant};

/// The endpoint of users.
const USERS: &str = "Users";

/// The resource type at an endpoint.
///
/// # Errors
/// 404 for what is nothing at all.
pub(super) fn type_at<'a>(catalog: &'a Catalog, endpoint: &str) -> Result<&'a ResourceType, ApiError> {
    let found = catalog.by_endpoint(endpoint);
    found.ok_or_else(|| ApiError::NotFound("There is nothing at this address, see ResourceTypes".into()))
}

/// The tenant of an address and the parts behind its base URL, decoded.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) tenant: Arc<Tenant>,
    endpoint: String,
    id: String,
}

impl Place {
    /// The resource type at this endpoint.
    ///
    /// # Errors
    /// 404 for what is nothing at all.
    pub(super) fn resource_type(&self) -> Result<&ResourceType, ApiError> {
        type_at(&self.tenant.catalog, &self.endpoint)
    }

    /// The permanent address of a user of the same tenant.
    pub(super) fn of_user(self, id: String) -> Self {
        Self { endpoint: USERS.to_owned(), id, ..self }
    }

    /// This address, absolute.
    pub(super) fn location(&self) -> String {
        format!("{}/{}/{}", self.tenant.base_url, self.endpoint, self.id)
    }

    /// The id of the resource. Whatever the client put there; the store knows whether there is such a resource.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl FromRequest for Place {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(find(request))
    }
}

fn find(request: &HttpRequest) -> Result<Place, ApiError> {
    let parts = request.match_info();
    let bridge =
        request.app_data::<Data<Bridge>>().ok_or_else(|| ApiError::internal("no bridge behind this server"))?;
    let tenant = bridge.tenant(parts.get("tenant").unwrap_or(DEFAULT_TENANT));
    // Whoever comes here has a token of that tenant, so it can only have left the configuration this moment.
    let tenant = tenant.ok_or_else(|| ApiError::NotFound("This tenant is no longer served here".into()))?;
    // The name of a resource type or the URN of a schema stand where other addresses have an id.
    let id = ["id", "name", "urn"].iter().find_map(|part| parts.get(part));
    Ok(Place { tenant, endpoint: decode(parts.get("endpoint")), id: decode(id) })
}

/// The router leaves `%2F`, `%2B` and `%25` as they are. That the bytes are UTF-8 was seen to at the edge.
fn decode(part: Option<&str>) -> String {
    percent_decode_str(part.unwrap_or_default()).decode_utf8_lossy().into_owned()
}
