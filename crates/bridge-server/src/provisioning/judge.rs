//! What a document means for every target of its tenant, before anything is stored (DESIGN, section 6, step 3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bridge_mapping::{GroupRef, Mapping, Problem, Scope, Subject, map};
use scim_model::{Document, ScimError};

use crate::error::{ApiError, Refusal};
use crate::landscape::{Target, Tenant};
use crate::worker::duty;

/// A target and the account that a document means for it.
#[derive(Clone)]
pub struct Judged {
    /// The target.
    pub target: Arc<Target>,
    /// The account, or why there is none.
    pub mapping: Mapping,
}

/// What the mapping reads beside the document.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The groups of the resource.
    pub groups: Vec<GroupRef>,
    /// Values that the resource holds, or would be given, by pool.
    pub assigned: BTreeMap<String, String>,
    /// SCIM attributes for which a secret is at hand.
    pub supplied: BTreeSet<String>,
    /// Targets at which the resource has an account already.
    pub has_account: BTreeSet<String>,
}

/// Maps a document for every target.
pub fn judge(tenant: &Tenant, id: &str, document: &Document, around: &Surroundings) -> Vec<Judged> {
    tenant.targets.values().map(|target| judge_for(tenant, target, id, document, around)).collect()
}

/// What a person who leaves means for every target: an account is ended as its row says, whatever the rules would make of the
/// document. Nothing is mapped for that.
pub(super) fn dismiss(tenant: &Tenant) -> Vec<Judged> {
    let leaves = |target: &Arc<Target>| {
        let reason = "the user is inactive or deleted".to_owned();
        Judged { target: target.clone(), mapping: Mapping::out_of_scope(&target.rules, reason) }
    };
    tenant.targets.values().map(leaves).collect()
}

/// Maps a document for one target.
pub(super) fn judge_for(
    tenant: &Tenant,
    target: &Arc<Target>,
    id: &str,
    document: &Document,
    around: &Surroundings,
) -> Judged {
    let subject = Subject {
        id,
        document,
        resource_type: &tenant.users,
        groups: &around.groups,
        assigned: &around.assigned,
        supplied_secrets: &around.supplied,
        group_wait_over: around.has_account.contains(&target.name),
    };
    Judged { target: target.clone(), mapping: map(&subject, &target.rules) }
}

/// Refuses what a required target would refuse: all problems in one answer. `around` is what it was judged with.
pub(super) fn refuse(judged: &[Judged], around: &Surroundings) -> Result<(), ApiError> {
    let required_pools = judged.iter().filter(|judged| judged.target.settings.required);
    let mut pools = required_pools.flat_map(|judged| &judged.mapping.pools);
    if let Some(pool) = pools.find(|pool| !around.assigned.contains_key(*pool)) {
        return Err(pool_empty(pool));
    }
    let required = judged.iter().filter(|judged| {
        judged.target.settings.required && matches!(judged.mapping.scope, Scope::In | Scope::Waiting { .. })
    });
    let problems: Vec<(&str, &Problem)> = required
        .flat_map(|judged| duty::refusals(&judged.mapping).map(|problem| (judged.target.name.as_str(), problem)))
        .collect();
    match problems.as_slice() {
        [] => Ok(()),
        [(target, problem)] => Err(refusal(target, problem).into()),
        several => {
            let parts: Vec<String> = several
                .iter()
                .map(|(target, problem)| format!("{target} {}: {}", problem.field, problem.message))
                .collect();
            Err(ApiError::Scim(ScimError::invalid_value(parts.join("; "))))
        }
    }
}

/// A pool has no value left for an account that needs one.
pub(super) fn pool_empty(pool: &str) -> ApiError {
    let refusal = Refusal {
        conflict: false,
        target: "bridge".to_owned(),
        field: None,
        attribute: None,
        code: "pool-empty".to_owned(),
        cause: format!("the pool {pool} has no free value; add a range in the configuration"),
        retry_helps: true,
    };
    refusal.into()
}

fn refusal(target: &str, problem: &Problem) -> Refusal {
    Refusal {
        conflict: false,
        target: target.to_owned(),
        field: Some(problem.field.clone()),
        attribute: problem.attribute.clone(),
        code: problem.code.to_string(),
        cause: problem.message.clone(),
        retry_helps: false,
    }
}
