//! `/Bulk`: many writes in one request (RFC 7644 section 3.7).
//!
//! The message is read here, each operation on its own: one that cannot be meant fails alone. What the operations do, and
//! in which order, is `provisioning::bulk`.

use actix_web::{HttpResponse, web::Data};
use percent_encoding::percent_decode_str;
use scim_model::ScimError;
use serde_json::{Map, Value, json};

use super::{
    answer,
    body::BulkBody,
    place::{Place, type_at},
};
use crate::{
    bridge::Bridge,
    error::ApiError,
    landscape::Tenant,
    provisioning::{self, BulkAction, BulkOperation, BulkOutcome, Caller, Received, ResourceId},
};

/// URN of bulk requests.
const REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// URN of the answers to them.
const RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// `POST /Bulk`.
pub(super) async fn run(
    bridge: Data<Bridge>,
    caller: Caller,
    received: Received,
    place: Place,
    BulkBody(body): BulkBody,
) -> Result<HttpResponse, ApiError> {
    let most = bridge.landscape().config.server.bulk_max_operations;
    let message = Message::read(&body, most)?;
    let operations = message.operations.iter().map(|one| operation(&place.tenant, one)).collect();
    let outcomes = provisioning::run_bulk(&bridge, &caller, &received, operations, message.fail_on_errors).await;
    let results: Vec<Value> =
        outcomes.into_iter().map(|outcome| result(&place.tenant, message.operations, outcome)).collect();
    answer::json(&json!({ "schemas": [RESPONSE_URN], "Operations": results }))
}

/// A bulk request.
struct Message<'a> {
    operations: &'a [Value],
    /// After so many errors nothing more is done.
    fail_on_errors: Option<usize>,
}

impl<'a> Message<'a> {
    /// Names in any letter case, numbers in quotes and a forgotten URN are taken, as in other messages (`idp/others.md`
    /// section 11).
    fn read(body: &'a Value, most: usize) -> Result<Self, ApiError> {
        match member(body, "schemas") {
            None | Some(Value::Null) => {}
            Some(Value::Array(urns)) if urns.is_empty() || urns.iter().any(is_request_urn) => {}
            Some(_) => return Err(invalid_syntax(format!("schemas must be a list with {REQUEST_URN}"))),
        }
        let operations = match member(body, "Operations") {
            Some(Value::Array(operations)) if !operations.is_empty() => operations.as_slice(),
            _ => return Err(invalid_syntax("A bulk request needs Operations, a list of at least one")),
        };
        if operations.len() > most {
            let detail = format!("The request has {} operations, the most is maxOperations ({most})", operations.len());
            return Err(ScimError::new(413, None, detail).into());
        }
        Ok(Self { operations, fail_on_errors: fail_on_errors(member(body, "failOnErrors"))? })
    }
}

fn is_request_urn(urn: &Value) -> bool {
    urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(REQUEST_URN))
}

/// A number from 1; 0 and less stand for no limit.
fn fail_on_errors(value: Option<&Value>) -> Result<Option<usize>, ApiError> {
    let number = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse::<i64>().ok(),
        Some(_) => None,
    };
    match number {
        Some(number) => Ok(usize::try_from(number).ok().filter(|number| *number > 0)),
        None => Err(ScimError::invalid_value("failOnErrors must be a whole number").into()),
    }
}

/// One operation, ready to be run.
fn operation(tenant: &Tenant, sent: &Value) -> Result<BulkOperation, ApiError> {
    if !sent.is_object() {
        return Err(invalid_syntax("An operation is an object with method and path"));
    }
    let method = text(sent, "method")?.ok_or_else(|| invalid_syntax("An operation needs a method"))?;
    let path = text(sent, "path")?.ok_or_else(|| invalid_syntax("An operation needs a path"))?;
    let (endpoint, id) = split_path(tenant, path)?;
    let kind = type_at(&tenant.catalog, &endpoint)?;
    let (resource_type, endpoint) = (kind.name.clone(), kind.endpoint.clone());
    let data = || member(sent, "data").cloned().unwrap_or(Value::Null);
    let method = method.to_ascii_uppercase();
    let action = match (method.as_str(), id) {
        ("POST", None) => BulkAction::Create(data()),
        ("PUT", Some(id)) => BulkAction::Replace(id, data()),
        ("PATCH", Some(id)) => BulkAction::Patch(id, data()),
        ("DELETE", Some(id)) => BulkAction::Delete(id),
        ("POST" | "PUT" | "PATCH" | "DELETE", _) => {
            let detail = "POST goes to an endpoint such as /Users, PUT, PATCH and DELETE to a resource below it";
            return Err(ScimError::new(405, None, detail).into());
        }
        _ => return Err(ScimError::new(405, None, "The methods of bulk are POST, PUT, PATCH and DELETE").into()),
    };
    let bulk_id = text(sent, "bulkId")?.map(str::to_owned);
    let if_match = text(sent, "version")?.map(str::to_owned);
    Ok(BulkOperation { resource_type, endpoint, action, bulk_id, if_match })
}

/// Endpoint and resource of a path: relative, as the RFC says, or the whole address.
fn split_path(tenant: &Tenant, path: &str) -> Result<(String, Option<ResourceId>), ApiError> {
    let relative = path.strip_prefix(&tenant.base_url).unwrap_or(path);
    let relative = relative.split('?').next().unwrap_or_default().trim_matches('/');
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    match relative.split_once('/') {
        None => Ok((decode(relative), None)),
        Some((_, id)) if id.contains('/') => {
            Err(ApiError::NotFound("There is nothing at this path, see ResourceTypes".into()))
        }
        Some((endpoint, id)) => Ok((decode(endpoint), Some(ResourceId::of(decode(id))))),
    }
}

/// What came of an operation, as RFC 7644 section 3.7.3 wants it.
fn result(tenant: &Tenant, sent: &[Value], outcome: BulkOutcome) -> Value {
    let echo = |name| sent.get(outcome.number).and_then(|sent| member(sent, name)).and_then(Value::as_str);
    let mut result = Map::new();
    if let Some(method) = echo("method") {
        result.insert("method".to_owned(), method.to_ascii_uppercase().into());
    }
    if let Some(bulk_id) = echo("bulkId") {
        result.insert("bulkId".to_owned(), bulk_id.into());
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
    Value::Object(result)
}

/// A member of a message, by its name in any letter case.
fn member<'a>(message: &'a Value, name: &str) -> Option<&'a Value> {
    let members = message.as_object()?;
    members
        .get(name)
        .or_else(|| members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn text<'a>(message: &'a Value, name: &str) -> Result<Option<&'a str>, ApiError> {
    match member(message, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid_syntax(format!("{name} must be a text"))),
    }
}

fn invalid_syntax(detail: impl Into<String>) -> ApiError {
    ScimError::invalid_syntax(detail).into()
}
