//! `/Bulk`: many writes in one request (RFC 7644 section 3.7).
//!
//! The message is read by `scim_model::bulk`, what its operations ask for is done by `provisioning::bulk`.

use std::sync::Arc;

use actix_web::{HttpResponse, web::Data};
use scim_model::{
    Projection,
    bulk::{Entry, RESPONSE_URN, Request},
};
use serde_json::{Map, Value, json};
use tracing::warn;

use super::{
    answer::{self, Conditions},
    body::BulkBody,
    place::Place,
    query::Query,
    resources::heed,
};
use crate::{
    bridge::Bridge,
    error::ApiError,
    landscape::Tenant,
    provisioning::{self, BulkOutcome, Caller, Received, Shown},
};

/// `POST /Bulk`.
pub(super) async fn run(
    bridge: Data<Bridge>,
    caller: Caller,
    received: Received,
    place: Place,
    query: Query,
    conditions: Conditions,
    BulkBody(body): BulkBody,
) -> Result<HttpResponse, ApiError> {
    conditions.check_of_endpoint()?;
    let most = bridge.landscape().config.server.bulk_max_operations;
    let tenant = &place.tenant;
    let request = Request::read(body.value, &tenant.catalog, &tenant.base_url, most)?;
    heed(&bridge, &caller, &place, query.and([body.notes, request.notes.clone()].concat()).forgiven_of_none())?;
    let outcomes = provisioning::run_bulk(&bridge, &caller, &received, &request).await;
    let mut results = Vec::with_capacity(outcomes.len());
    for mut outcome in outcomes {
        let shown = outcome.result.as_mut().ok().and_then(|done| done.shown.take());
        let resource_type = outcome.resource.as_ref().map(|(resource_type, _)| resource_type.clone());
        let mut result = result(tenant, &request, outcome);
        if let (Some(shown), Some(resource_type)) = (shown, resource_type) {
            // What is done is done, and answered.
            match resource(&bridge, tenant, &resource_type, shown).await {
                Ok(resource) => drop(result.insert("response".to_owned(), resource)),
                Err(why) => warn!(status = why.status().as_u16(), "A resource of a bulk request cannot be shown"),
            }
        }
        results.push(Value::Object(result));
    }
    answer::json(&json!({ "schemas": [RESPONSE_URN], "Operations": results }))
}

/// What came of an operation, as RFC 7644 section 3.7.3 wants it.
fn result(tenant: &Tenant, request: &Request, outcome: BulkOutcome) -> Map<String, Value> {
    let mut result = Map::new();
    if let Some(Entry { method, bulk_id, .. }) = request.entries.get(outcome.number) {
        let repeated = [("method", method), ("bulkId", bulk_id)];
        result.extend(repeated.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into()))));
    }
    if let Some((resource_type, id)) = &outcome.resource
        && let Some(kind) = tenant.resource_type(resource_type)
    {
        result.insert("location".to_owned(), format!("{}/{}/{id}", tenant.base_url, kind.endpoint).into());
    }
    match outcome.result {
        Ok(done) => {
            if let Some(version) = done.version {
                result.insert("version".to_owned(), format!("W/\"{version}\"").into());
            }
            result.insert("status".to_owned(), done.status.to_string().into());
        }
        Err(why) => {
            result.insert("status".to_owned(), why.status().as_u16().to_string().into());
            result.insert("response".to_owned(), why.to_scim(&outcome.request_id).to_json());
        }
    }
    result
}

/// A resource that is not all that was asked for, whole: section 3.7 allows the body of a success, too.
async fn resource(bridge: &Bridge, tenant: &Arc<Tenant>, resource_type: &str, shown: Shown) -> Result<Value, ApiError> {
    let kind = tenant.resource_type(resource_type).ok_or_else(|| ApiError::internal("a resource of no type"))?;
    let mut text = Vec::new();
    shown.resource.write(kind, &Projection::default(), &mut text).map_err(ApiError::internal)?;
    let mut resource: Value = serde_json::from_slice(&text).map_err(ApiError::internal)?;
    let mut rest = shown.more_members;
    while let Some(more) = rest {
        let (members, next) = provisioning::more_members(bridge, tenant, more).await?;
        if let Some(shown) = resource["members"].as_array_mut() {
            shown.extend(members);
        }
        rest = next;
    }
    Ok(resource)
}
