//! What is known of one user for whoever asks why the accounts are as they are: what targets do not get, and why; what the
//! identity provider sent that no schema knows (DESIGN, sections 2 and 8).

use std::collections::BTreeSet;

use bridge_mapping::{Mapping, Outcome};
use bridge_store::{Account, Db, RequestEntry, RequestQuery, Resource, ResourceState, StoreError};
use jiff::Timestamp;
use scim_filter::AttributePath;
use scim_model::{Quirk, fold};
use serde::Serialize;
use serde_json::Value;

use crate::bridge::Bridge;
use crate::landscape::{Landscape, Target};
use crate::operations::{NamedAccount, folded_user_name, resource_named};
use crate::provisioning::{Surroundings, judge};
use crate::worker;

/// How many writes are looked through for what was not understood.
const WRITES: usize = 50;

/// A resource and its accounts.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The resource.
    pub resource: Resource,
    /// What was sent and no schema knows, since the whole resource was last sent.
    pub not_understood: Vec<NotUnderstood>,
    /// The accounts, by target.
    pub accounts: Vec<ExplainedAccount>,
}

/// An account, and what of it is worth telling.
#[derive(Debug, Clone)]
pub struct ExplainedAccount {
    /// The account.
    pub account: NamedAccount,
    /// What the target does not get.
    pub left_out: Vec<LeftOut>,
    /// SCIM id of the other resource that has the account found in a review.
    pub held_by: Option<String>,
}

/// An attribute that no schema knows.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotUnderstood {
    /// As the identity provider calls it.
    attribute: String,
    /// The request that had it last.
    request: String,
    /// When that was received.
    received: Timestamp,
}

/// A value that a target does not get, because it would not take it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// The target's field.
    field: String,
    /// The SCIM attribute that it comes from, if it comes from one.
    attribute: Option<String>,
    /// Stable code.
    code: String,
    /// What is wrong, without the value.
    message: String,
    /// Whether the account is not made or changed at all for this.
    refused: bool,
}

/// What is known of the resource with this SCIM id, or else of the user of this name.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such resource.
pub async fn explain(bridge: &Bridge, tenant: &str, name: &str) -> Result<Explained, StoreError> {
    let (of, named, folded) = (tenant.to_owned(), name.to_owned(), folded_user_name(bridge, tenant, name));
    let read = bridge.store.scan(move |db| {
        let resource = resource_named(db, &of, &named, &folded)?.ok_or(StoreError::NotFound("resource"))?;
        let query = RequestQuery { tenant: of, resource: Some(resource.key), limit: WRITES, ..RequestQuery::default() };
        let (rows, requests) = (db.accounts_of(resource.key)?, db.requests(&query)?);
        let rows = rows.into_iter().map(|row| Ok((held_by(db, &row)?, row))).collect::<Result<Vec<_>, StoreError>>()?;
        Ok::<_, StoreError>((resource, rows, requests))
    });
    let (resource, rows, requests) = read.await?;
    let loaded = worker::load(bridge, resource.key).await?.ok_or(StoreError::NotFound("resource"))?;
    let around = Surroundings {
        groups: loaded.groups,
        assigned: loaded.assigned,
        supplied: BTreeSet::new(),
        has_account: rows
            .iter()
            .filter(|(_, row)| row.remote_id.is_some())
            .map(|(_, row)| row.target.clone())
            .collect(),
    };
    let judged = match bridge.tenant(tenant) {
        Some(tenant) if resource.resource_type == "User" => judge(&tenant, &resource.id, &resource.document, &around),
        _ => Vec::new(),
    };
    let accounts = rows.into_iter().map(|(held_by, row)| {
        let judged = judged.iter().find(|judged| judged.target.name == row.target);
        let left_out = judged.map(|judged| left_out(&judged.target, &judged.mapping)).unwrap_or_default();
        ExplainedAccount { account: NamedAccount::of(&resource, row), left_out, held_by }
    });
    let accounts = accounts.collect();
    Ok(Explained { not_understood: not_understood(&requests), accounts, resource })
}

/// Who has the account that was found for this one.
fn held_by(db: &Db<'_>, row: &Account) -> Result<Option<String>, StoreError> {
    let found = row.candidate.as_ref().and_then(|seen| seen.get("remote_id")?.as_str());
    let Some(found) = found else { return Ok(None) };
    let holder = db.account_by_remote_id(&row.tenant, &row.target, found)?;
    let Some(holder) = holder.filter(|holder| holder.resource != row.resource) else { return Ok(None) };
    Ok(db.resource_by_key(holder.resource)?.map(|holder| holder.id))
}

/// What is left out of an account, or refused. Secrets are not looked at: what was sent of them may have served already.
fn left_out(target: &Target, mapping: &Mapping) -> Vec<LeftOut> {
    let lineages: Vec<_> = mapping.lineage.iter().map(|(_, lineage)| lineage.outcome).collect();
    let of_fields = lineages.iter().filter_map(|outcome| match outcome {
        Outcome::LeftOut { problem } => Some(&**problem),
        Outcome::Set | Outcome::Absent { .. } => None,
    });
    let mut told: Vec<LeftOut> = Vec::new();
    for problem in of_fields.chain(&mapping.problems) {
        let is_secret = target.rules.schema().field(&problem.field).is_some_and(|field| field.secret);
        if is_secret || told.iter().any(|known| known.field == problem.field) {
            continue;
        }
        told.push(LeftOut {
            field: problem.field.clone(),
            attribute: problem.attribute.clone(),
            code: problem.code.to_string(),
            message: problem.message.clone(),
            refused: problem.refuses,
        });
    }
    told
}

/// The unknown attributes of the writes, newest first, back to the one that had the whole resource.
fn not_understood(requests: &[RequestEntry]) -> Vec<NotUnderstood> {
    let unknown = Quirk::UnknownAttribute.as_str();
    let mut found: Vec<NotUnderstood> = Vec::new();
    for request in requests.iter().filter(|request| request.status.is_some_and(|status| status < 300)) {
        let notes = request.notes.as_ref().and_then(Value::as_array);
        let named = notes.into_iter().flatten().filter(|note| note["quirk"] == unknown);
        for attribute in named.filter_map(|note| note["attribute"].as_str()) {
            if !found.iter().any(|known| known.attribute == attribute) {
                let (request, received) = (request.request_id.clone(), request.received);
                found.push(NotUnderstood { attribute: attribute.to_owned(), request, received });
            }
        }
        if request.method != "PATCH" {
            break;
        }
    }
    found
}

/// The groups that rules of a target name and that are not there, each as a warning: perhaps they are still to be pushed,
/// perhaps a name is mistyped.
///
/// # Errors
/// Those of the store.
pub fn absent_groups(db: &Db<'_>, landscape: &Landscape) -> Result<Vec<String>, StoreError> {
    let display_name = AttributePath::named("displayName");
    let mut warnings = Vec::new();
    for target in landscape.targets() {
        let Some(tenant) = landscape.tenant(&target.tenant) else { continue };
        let attribute = tenant.resource_type("Group").and_then(|groups| groups.resolve(&display_name));
        let Some(attribute) = attribute else { continue };
        for name in target.rules.group_names() {
            let folded = fold(attribute.leaf(), name);
            let named = db.resources_by_value(&target.tenant, "Group", "displayName", &folded)?;
            if !named.iter().any(|group| group.state == ResourceState::Live) {
                warnings.push(format!(
                    "tenants.{}.targets.{}: no group {name:?} exists in the tenant, so what its rules say of it reaches \
                     nobody; is it still to be pushed, or is its name another one?",
                    target.tenant, target.name
                ));
            }
        }
    }
    Ok(warnings)
}
