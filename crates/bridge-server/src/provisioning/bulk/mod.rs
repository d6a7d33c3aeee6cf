//! The operations of a bulk request (RFC 7644 section 3.7), one after the other, each as if it had come alone: judged,
//! stored in a transaction of its own, in journal and audit trail with the id of the request and its number.
//!
//! An operation comes after those whose resources it refers to, wherever they stand. Where two resources refer to each
//! other, the first is created without its reference, which is added when the other is there (section 3.7.1). Nobody waits
//! for accounts: a thousand operations answer when they are stored, and what a target refuses later is parked and alerted.

mod references;

use std::collections::{BTreeMap, BTreeSet};

use scim_model::{PATCH_URN, ScimError};
use serde_json::{Map, Value, json};

use super::{Ask, Caller, Received, View, create, delete, patch, replace};
use crate::bridge::Bridge;
use crate::error::ApiError;

/// An operation that can be run.
#[derive(Debug, Clone)]
pub struct BulkOperation {
    /// Name of the resource type.
    pub resource_type: String,
    /// Where its resources are, such as `Users`.
    pub endpoint: String,
    /// What to do.
    pub action: BulkAction,
    /// What others call the resource that it creates.
    pub bulk_id: Option<String>,
    /// The version that it wants to change.
    pub if_match: Option<String>,
}

/// What an operation does.
#[derive(Debug, Clone)]
pub enum BulkAction {
    /// POST.
    Create(Value),
    /// PUT.
    Replace(ResourceId, Value),
    /// PATCH.
    Patch(ResourceId, Value),
    /// DELETE.
    Delete(ResourceId),
}

/// Which resource an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceId {
    /// One that is there, by its id.
    Known(String),
    /// One that the same request creates, by its bulkId.
    Created(String),
}

impl ResourceId {
    /// The resource of a path, where `bulkId:` says that it is created by the same request.
    #[must_use]
    pub fn of(text: String) -> Self {
        match text.strip_prefix(references::PREFIX) {
            Some(bulk_id) => Self::Created(bulk_id.to_owned()),
            None => Self::Known(text),
        }
    }
}

/// What came of an operation.
#[derive(Debug)]
pub struct BulkOutcome {
    /// Its position in the request, from 0.
    pub number: usize,
    /// Under which id it is in the journal.
    pub request_id: String,
    /// Type and id of its resource, if it is about one.
    pub resource: Option<(String, String)>,
    /// Whether it was done.
    pub result: Result<BulkDone, ApiError>,
}

/// An operation that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkDone {
    /// HTTP status.
    pub status: u16,
    /// Version of the resource; none if it is deleted.
    pub version: Option<i64>,
}

/// Runs operations; gives what came of those that were run, in the order of the request. After `fail_on_errors` of them
/// have failed no further one is begun.
pub async fn run_bulk(
    bridge: &Bridge,
    caller: &Caller,
    received: &Received,
    operations: Vec<Result<BulkOperation, ApiError>>,
    fail_on_errors: Option<usize>,
) -> Vec<BulkOutcome> {
    let twice = named_twice(&operations);
    let mut run =
        Run { bridge, caller, received, created: BTreeMap::new(), outcomes: BTreeMap::new(), owed: Vec::new() };
    for operation in operations.iter().flatten() {
        if let (Some(bulk_id), BulkAction::Create(_)) = (&operation.bulk_id, &operation.action) {
            run.created.insert(bulk_id.clone(), Created::NotYet);
        }
    }
    let mut errors = 0;
    for number in order(&operations) {
        let outcome = match &operations[number] {
            Ok(operation) if twice.contains(&number) => {
                let bulk_id = operation.bulk_id.as_deref().unwrap_or_default();
                let why = ScimError::invalid_value(format!("The bulkId {bulk_id:?} stands for another operation"));
                run.outcome(number, None, Err(why.into()))
            }
            Ok(operation) => run.operation(number, operation).await,
            Err(why) => run.outcome(number, None, Err(why.clone())),
        };
        errors += usize::from(outcome.result.is_err());
        run.outcomes.insert(number, outcome);
        if fail_on_errors.is_some_and(|most| errors >= most) {
            break;
        }
    }
    run.settle_debts().await;
    run.outcomes.into_values().collect()
}

/// The operations whose bulkId an earlier one has.
fn named_twice(operations: &[Result<BulkOperation, ApiError>]) -> BTreeSet<usize> {
    let mut known = BTreeSet::new();
    let is_known = |operation: &Result<BulkOperation, ApiError>| match operation {
        Ok(BulkOperation { bulk_id: Some(bulk_id), action: BulkAction::Create(_), .. }) => {
            !known.insert(bulk_id.clone())
        }
        _ => false,
    };
    let repeated = operations.iter().map(is_known).enumerate().filter(|(_, is_known)| *is_known);
    repeated.map(|(number, _)| number).collect()
}

/// The order in which operations are run: as they stand, but after those that create what they refer to. Where two wait
/// for each other, the earlier one goes last.
fn order(operations: &[Result<BulkOperation, ApiError>]) -> Vec<usize> {
    let mut creators: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, operation) in operations.iter().enumerate() {
        if let Ok(BulkOperation { bulk_id: Some(bulk_id), action: BulkAction::Create(_), .. }) = operation {
            creators.entry(bulk_id).or_insert(number);
        }
    }
    let needs = |number: usize| -> Vec<usize> {
        let Ok(operation) = &operations[number] else { return Vec::new() };
        let mut named = Vec::new();
        match &operation.action {
            BulkAction::Create(data) => references::named(data, &mut named),
            BulkAction::Replace(id, data) | BulkAction::Patch(id, data) => {
                references::named(data, &mut named);
                named.extend(bulk_id_of(id));
            }
            BulkAction::Delete(id) => named.extend(bulk_id_of(id)),
        }
        named.iter().filter_map(|bulk_id| creators.get(bulk_id).copied()).collect()
    };
    let mut order = Vec::with_capacity(operations.len());
    let mut is_met = vec![false; operations.len()];
    for number in 0..operations.len() {
        // A stack instead of recursion: a chain may be as long as the request.
        let mut open = Vec::new();
        if !std::mem::replace(&mut is_met[number], true) {
            open.push((number, needs(number).into_iter()));
        }
        while let Some((current, rest)) = open.last_mut() {
            match rest.next() {
                Some(next) if !std::mem::replace(&mut is_met[next], true) => {
                    open.push((next, needs(next).into_iter()));
                }
                Some(_) => {}
                None => {
                    order.push(*current);
                    open.pop();
                }
            }
        }
    }
    order
}

fn bulk_id_of(id: &ResourceId) -> Option<&str> {
    match id {
        ResourceId::Known(_) => None,
        ResourceId::Created(bulk_id) => Some(bulk_id),
    }
}

/// What became of a bulkId.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Created {
    /// Its operation has not been run.
    NotYet,
    /// The id of the resource.
    Id(String),
    /// Its operation failed.
    Failed,
}

/// References that a resource was created without.
struct Debt {
    number: usize,
    resource_type: String,
    endpoint: String,
    id: String,
    /// The attributes that hold them, as sent.
    attributes: Map<String, Value>,
}

struct Run<'a> {
    bridge: &'a Bridge,
    caller: &'a Caller,
    received: &'a Received,
    created: BTreeMap<String, Created>,
    outcomes: BTreeMap<usize, BulkOutcome>,
    owed: Vec<Debt>,
}

impl Run<'_> {
    async fn operation(&mut self, number: usize, operation: &BulkOperation) -> BulkOutcome {
        let BulkOperation { resource_type, endpoint, action, bulk_id, if_match } = operation;
        let resource = match self.target(action) {
            Ok(resource) => resource,
            Err(why) => return self.outcome(number, None, Err(why)),
        };
        let named = resource.clone().map(|id| (resource_type.clone(), id));
        let (bridge, if_match) = (self.bridge, if_match.as_deref());
        let received = self.received_as(number, action.method(), endpoint, resource.as_deref());
        let ask = self.ask(&received, resource_type);
        let id = resource.as_deref().unwrap_or_default();
        let data = match action {
            BulkAction::Create(data) => {
                let outcome = self.create(number, &received, operation, data).await;
                if let Some(bulk_id) = bulk_id {
                    let created = match (&outcome.result, &outcome.resource) {
                        (Ok(_), Some((_, id))) => Created::Id(id.clone()),
                        _ => Created::Failed,
                    };
                    self.created.insert(bulk_id.clone(), created);
                }
                return outcome;
            }
            BulkAction::Delete(_) => {
                let deleted = delete(bridge, &ask, id, if_match).await;
                return self.outcome(number, named, deleted.map(|()| BulkDone { status: 204, version: None }));
            }
            BulkAction::Replace(_, data) | BulkAction::Patch(_, data) => data,
        };
        let data = match references::resolved(data, &self.created) {
            Ok(data) => data,
            Err(why) => return self.outcome(number, named, Err(why.into())),
        };
        let shown = match action {
            BulkAction::Replace(..) => replace(bridge, &ask, id, data, if_match).await,
            _ => patch(bridge, &ask, id, data, if_match).await,
        };
        self.outcome(number, named, shown.map(|shown| BulkDone { status: 200, version: Some(shown.version) }))
    }

    /// Creates a resource; what refers to one that is not there yet is owed.
    async fn create(
        &mut self,
        number: usize,
        received: &Received,
        operation: &BulkOperation,
        data: &Value,
    ) -> BulkOutcome {
        let BulkOperation { resource_type, endpoint, .. } = operation;
        let (body, attributes) = references::without_open(data, &self.created);
        let body = match references::resolved(&body, &self.created) {
            Ok(body) => body,
            Err(why) => return self.outcome(number, None, Err(why.into())),
        };
        let shown = match create(self.bridge, &self.ask(received, resource_type), body).await {
            Ok(shown) => shown,
            Err(why) => return self.outcome(number, None, Err(why)),
        };
        let id = shown.resource.id.clone();
        if !attributes.is_empty() {
            let (resource_type, endpoint) = (resource_type.clone(), endpoint.clone());
            self.owed.push(Debt { number, resource_type, endpoint, id: id.clone(), attributes });
        }
        let done = BulkDone { status: 201, version: Some(shown.version) };
        self.outcome(number, Some((resource_type.clone(), id)), Ok(done))
    }

    /// Adds the references that resources were created without.
    async fn settle_debts(&mut self) {
        for Debt { number, resource_type, endpoint, id, attributes } in std::mem::take(&mut self.owed) {
            let result = match references::resolved(&Value::Object(attributes), &self.created) {
                Ok(value) => {
                    let operations = json!([{ "op": "add", "value": value }]);
                    let body = json!({ "schemas": [PATCH_URN], "Operations": operations });
                    let mut received = self.received_as(number, "PATCH", &endpoint, Some(&id));
                    received.request_id.push_str(".references");
                    patch(self.bridge, &self.ask(&received, &resource_type), &id, body, None).await
                }
                Err(why) => Err(why.into()),
            };
            let result = result.map(|shown| BulkDone { status: 201, version: Some(shown.version) });
            let outcome = self.outcome(number, Some((resource_type, id)), result);
            self.outcomes.insert(number, outcome);
        }
    }

    /// A write whose answer shows nothing but the version.
    fn ask<'b>(&'b self, received: &'b Received, resource_type: &'b str) -> Ask<'b> {
        Ask { caller: self.caller, received, resource_type, view: View::default(), if_none_match: None }
    }

    /// The id of the resource that an action is about; none for one that creates it.
    fn target(&self, action: &BulkAction) -> Result<Option<String>, ApiError> {
        match action {
            BulkAction::Create(_) => Ok(None),
            BulkAction::Replace(id, _) | BulkAction::Patch(id, _) | BulkAction::Delete(id) => match id {
                ResourceId::Known(id) => Ok(Some(id.clone())),
                ResourceId::Created(bulk_id) => Ok(Some(references::id_of(bulk_id, &self.created)?)),
            },
        }
    }

    /// The operation as if it had come alone: its own address, the id of the request with its number (from 1).
    fn received_as(&self, number: usize, method: &'static str, endpoint: &str, id: Option<&str>) -> Received {
        let base = self.received.path.rsplit_once('/').map_or("", |(base, _)| base);
        let id = id.map(|id| format!("/{id}")).unwrap_or_default();
        Received {
            request_id: self.request_id(number),
            method,
            path: format!("{base}/{endpoint}{id}"),
            waits: false,
            ..self.received.clone()
        }
    }

    fn request_id(&self, number: usize) -> String {
        format!("{}.{}", self.received.request_id, number + 1)
    }

    fn outcome(
        &self,
        number: usize,
        resource: Option<(String, String)>,
        result: Result<BulkDone, ApiError>,
    ) -> BulkOutcome {
        BulkOutcome { number, request_id: self.request_id(number), resource, result }
    }
}

impl BulkAction {
    fn method(&self) -> &'static str {
        match self {
            Self::Create(_) => "POST",
            Self::Replace(..) => "PUT",
            Self::Patch(..) => "PATCH",
            Self::Delete(_) => "DELETE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(bulk_id: &str, needs: &[&str]) -> Result<BulkOperation, ApiError> {
        let members: Vec<Value> = needs.iter().map(|need| json!({"value": format!("bulkId:{need}")})).collect();
        Ok(BulkOperation {
            resource_type: "Group".to_owned(),
            endpoint: "Groups".to_owned(),
            action: BulkAction::Create(json!({"members": members})),
            bulk_id: Some(bulk_id.to_owned()),
            if_match: None,
        })
    }

    fn delete_of(bulk_id: &str) -> Result<BulkOperation, ApiError> {
        Ok(BulkOperation {
            resource_type: "Group".to_owned(),
            endpoint: "Groups".to_owned(),
            action: BulkAction::Delete(ResourceId::of(format!("bulkId:{bulk_id}"))),
            bulk_id: None,
            if_match: None,
        })
    }

    #[test]
    fn an_operation_comes_after_what_it_refers_to() {
        assert_eq!(order(&[create("a", &[]), create("b", &["a"]), create("c", &[])]), [0, 1, 2]);
        assert_eq!(order(&[create("a", &["c"]), create("b", &[]), create("c", &["b"])]), [1, 2, 0]);
        assert_eq!(order(&[delete_of("a"), create("a", &[])]), [1, 0]);
        assert_eq!(order(&[create("a", &["b"]), create("b", &["a"])]), [1, 0]);
        assert_eq!(order(&[create("a", &["a", "nobody"])]), [0]);
        assert_eq!(order(&[Err(ApiError::MethodNotAllowed), create("a", &[])]), [0, 1]);
    }

    #[test]
    fn a_chain_may_be_as_long_as_the_request() {
        let names: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        let chain: Vec<_> = names.windows(2).map(|pair| create(&pair[0], &[pair[1].as_str()])).collect();
        let expected: Vec<usize> = (0..chain.len()).rev().collect();
        assert_eq!(order(&chain), expected);
    }
}
