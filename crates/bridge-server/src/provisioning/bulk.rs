//! The operations of a bulk request (RFC 7644 section 3.7), one after the other, each as if it had come alone: judged,
//! stored in a transaction of its own, in journal and audit trail with the id of the request and its number.
//!
//! An operation comes after those whose resources it refers to, wherever they stand. Where resources refer to each other,
//! the first is created without its references, which are added as soon as the others are there (section 3.7.1) and before
//! anything else is done to it. If one of the others cannot be created, its reference stays out: soft references refuse
//! nothing, and the answer shows the resource as it is. Nobody waits for accounts: a thousand operations answer when they are
//! stored, and what a target refuses later is parked and alerted.

use std::collections::BTreeMap;

use scim_model::{
    PATCH_URN, Projection,
    bulk::{Action, Change, Entry, Open, Operation, References, Request, ResourceId, Settled},
};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::{Ask, Caller, Received, Shown, View, create, delete, patch, read, replace, resource_type_of, tenant};
use crate::bridge::Bridge;
use crate::error::ApiError;

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
#[derive(Debug, Clone, PartialEq)]
pub struct BulkDone {
    /// HTTP status.
    pub status: u16,
    /// Version of the resource; none if it is deleted.
    pub version: Option<i64>,
    /// The resource, where it is not all that was asked for.
    pub shown: Option<Shown>,
}

/// Runs the operations of a request; gives what came of those that were run, in their order. After so many errors as the
/// request allows no further one is begun.
pub async fn run_bulk(bridge: &Bridge, caller: &Caller, received: &Received, request: &Request) -> Vec<BulkOutcome> {
    let references = References::of(request);
    let mut run = Run { bridge, caller, received, references, outcomes: BTreeMap::new(), owed: Vec::new() };
    let mut errors = 0;
    for number in request.order() {
        let entry = &request.entries[number];
        let outcome = run.entry(number, entry).await;
        errors += usize::from(outcome.result.is_err());
        run.outcomes.insert(number, outcome);
        if let Some(bulk_id) = entry.creates() {
            run.owed.iter_mut().for_each(|debt| debt.open.decide(bulk_id));
        }
        run.settle_debts(Open::is_decided).await;
        if request.fail_on_errors.is_some_and(|most| errors >= most) {
            break;
        }
    }
    run.settle_debts(|_| true).await;
    run.outcomes.into_values().collect()
}

/// References that a resource was created without.
struct Debt {
    number: usize,
    resource_type: String,
    endpoint: String,
    id: String,
    open: Open,
}

struct Run<'a> {
    bridge: &'a Bridge,
    caller: &'a Caller,
    received: &'a Received,
    references: References,
    outcomes: BTreeMap<usize, BulkOutcome>,
    owed: Vec<Debt>,
}

impl Run<'_> {
    async fn entry(&mut self, number: usize, entry: &Entry) -> BulkOutcome {
        let operation = match &entry.operation {
            Ok(operation) => operation,
            Err(why) => return self.outcome(number, None, Err(why.clone().into())),
        };
        let (id, done) = match &operation.action {
            Action::Create(data) => {
                let created = self.create(number, operation, data).await;
                if let Some(bulk_id) = &entry.bulk_id {
                    self.references.set(bulk_id, created.as_ref().ok().map(|(id, _)| id.as_str()));
                }
                created.map_or_else(|why| (None, Err(why)), |(id, done)| (Some(id), Ok(done)))
            }
            Action::Change(id, change) => match self.id(id) {
                Ok(id) => {
                    let done = self.change(number, operation, &id, change).await;
                    (Some(id), done)
                }
                Err(why) => (None, Err(why)),
            },
        };
        self.outcome(number, id.map(|id| (operation.resource_type.clone(), id)), done)
    }

    fn id(&self, id: &ResourceId) -> Result<String, ApiError> {
        Ok(match id {
            ResourceId::Known(id) => id.clone(),
            ResourceId::Created(bulk_id) => self.references.id_of(bulk_id)?.to_owned(),
        })
    }

    /// Creates a resource; what refers to one that is not there yet is owed.
    async fn create(
        &mut self,
        number: usize,
        operation: &Operation,
        data: &Value,
    ) -> Result<(String, BulkDone), ApiError> {
        let Operation { resource_type, endpoint, .. } = operation;
        let (body, open) = self.references.without_open(number, data)?;
        let body = self.references.resolved(&body)?;
        let received = self.received_as(number, "POST", endpoint, None);
        let shown = create(self.bridge, &self.ask(&received, resource_type), body).await?;
        let id = shown.resource.id.clone();
        if !open.is_empty() {
            let (resource_type, endpoint) = (resource_type.clone(), endpoint.clone());
            self.owed.push(Debt { number, resource_type, endpoint, id: id.clone(), open });
        }
        Ok((id, BulkDone { status: 201, version: Some(shown.version), shown: None }))
    }

    async fn change(
        &self,
        number: usize,
        operation: &Operation,
        id: &str,
        change: &Change,
    ) -> Result<BulkDone, ApiError> {
        let Operation { resource_type, endpoint, if_match, .. } = operation;
        let received = self.received_as(number, change.method(), endpoint, Some(id));
        let (ask, if_match) = (self.ask(&received, resource_type), if_match.as_deref());
        let shown = match change {
            Change::Replace(data) => replace(self.bridge, &ask, id, self.references.resolved(data)?, if_match).await?,
            Change::Patch(data) => patch(self.bridge, &ask, id, self.references.resolved(data)?, if_match).await?,
            Change::Delete => {
                delete(self.bridge, &ask, id, if_match).await?;
                return Ok(BulkDone { status: 204, version: None, shown: None });
            }
        };
        Ok(BulkDone { status: 200, version: Some(shown.version), shown: None })
    }

    /// Adds the references that resources were created without, where that is decided.
    async fn settle_debts(&mut self, is_decided: impl Fn(&Open) -> bool) {
        let decided: Vec<Debt> = self.owed.extract_if(.., |debt| is_decided(&debt.open)).collect();
        for debt in decided {
            if let Some(done) = self.settle(&debt).await
                && let Some(outcome) = self.outcomes.get_mut(&debt.number)
            {
                outcome.result = Ok(done);
            }
        }
    }

    /// What is to be said of a new resource now that its references are decided: what it is, if one of them stays out.
    async fn settle(&self, debt: &Debt) -> Option<BulkDone> {
        let Settled { parts, is_whole } = self.references.settled(&debt.open);
        let added = if parts.is_empty() { Ok(None) } else { self.add(debt, parts).await.map(Some) };
        let (request_id, id) = (self.request_id(debt.number), debt.id.as_str());
        match added {
            Ok(Some(version)) if is_whole => {
                return Some(BulkDone { status: 201, version: Some(version), shown: None });
            }
            Ok(_) => info!(
                request.id = request_id,
                resource.id = id,
                "Created without a reference to what could not be created with it"
            ),
            Err(why) => warn!(
                request.id = request_id,
                resource.id = id,
                status = why.status().as_u16(),
                "Created without references, which were refused"
            ),
        }
        let shown = self.shown(debt).await.ok()?;
        Some(BulkDone { status: 201, version: Some(shown.version), shown: Some(shown) })
    }

    /// Adds values to attributes of a new resource; gives its version.
    async fn add(&self, debt: &Debt, parts: Vec<(String, Value)>) -> Result<i64, ApiError> {
        let operations = parts.into_iter().map(|(path, value)| json!({ "op": "add", "path": path, "value": value }));
        let body = json!({ "schemas": [PATCH_URN], "Operations": operations.collect::<Vec<Value>>() });
        let mut received = self.received_as(debt.number, "PATCH", &debt.endpoint, Some(&debt.id));
        received.request_id.push_str(".references");
        let shown = patch(self.bridge, &self.ask(&received, &debt.resource_type), &debt.id, body, None).await?;
        Ok(shown.version)
    }

    /// The new resource as a GET shows it.
    async fn shown(&self, debt: &Debt) -> Result<Shown, ApiError> {
        let tenant = tenant(self.bridge, self.caller)?;
        let view = View::of(resource_type_of(&tenant, &debt.resource_type)?, &Projection::default());
        read(self.bridge, self.caller, &debt.resource_type, &debt.id, view).await
    }

    /// A write whose answer shows nothing but the version.
    fn ask<'b>(&'b self, received: &'b Received, resource_type: &'b str) -> Ask<'b> {
        Ask { caller: self.caller, received, resource_type, view: View::default(), if_none_match: None }
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
