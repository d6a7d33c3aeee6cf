//! What has to be true of one account now: a pure judgement over the resource as it is, its mapping, and what the target's
//! configuration says of leavers (DESIGN, sections 2 and 7).

use bridge_connectors::{Existence, Observed, Presence};
use bridge_mapping::{Account, Mapping, Problem, Scope};
use bridge_store::{Account as Row, AccountState, Doubt, Reason, Resource, ResourceState};
use jiff::Timestamp;

use super::holder::LINKED_ELSEWHERE;
use super::memory::Memory;
use crate::clock::later;
use crate::config::{Deprovision, TargetConfig};

/// Reason of an account that waits for a membership which decides what only creation can set.
pub const WAITING_FOR_GROUP: &str = "waiting-for-group";

/// What has to be true of one account.
#[derive(Debug, PartialEq)]
pub enum Duty {
    /// It is there, usable, with these fields.
    Provision(Account),
    /// It is there but unusable, or gone.
    Deprovision(Presence),
    /// It is as it was before we took it over.
    GiveBack(Account, Presence),
    /// Nothing has to be true; the row rests in this state.
    Rest(AccountState, Option<Reason>),
    /// Nothing can be said before this moment, or before a membership comes.
    Wait(Timestamp, Reason),
    /// The mapping breaks a rule of the target; a person must look.
    Park(Reason),
}

impl Duty {
    /// Whether the account is nobody's any more, as far as this bridge goes.
    pub fn is_leaving(&self) -> bool {
        match self {
            Self::Deprovision(_) | Self::GiveBack(..) | Self::Rest(..) => true,
            Self::Provision(_) | Self::Wait(..) | Self::Park(_) => false,
        }
    }
}

/// Judges one account.
pub fn duty(
    resource: &Resource,
    mapping: &Mapping,
    row: &Row,
    observed: &Observed,
    memory: &Memory,
    settings: &TargetConfig,
) -> Duty {
    if row.state == AccountState::HandedOver {
        return Duty::Rest(AccountState::HandedOver, row.reason.clone());
    }
    let leave = |how, rest: Duty| {
        if !has_account(row, observed) {
            return rest;
        }
        match how {
            Deprovision::Suspend => Duty::Deprovision(Presence::Suspended),
            Deprovision::Delete => Duty::Deprovision(Presence::Absent),
            Deprovision::Keep => rest,
        }
    };
    let settled = Duty::Rest(AccountState::Settled, None);
    match resource.state {
        ResourceState::Deleted => leave(settings.on_delete, settled),
        ResourceState::Rejected => match memory.to_give_back(resource) {
            Some(_) if observed.existence == Existence::Absent => settled,
            Some(before) => Duty::GiveBack(before.account(settings.kind), before.presence()),
            None => leave(Deprovision::Suspend, settled),
        },
        ResourceState::Live if !resource.active => leave(settings.on_deactivate, settled),
        ResourceState::Live => match &mapping.scope {
            Scope::Out { reason } => {
                let reason = plain_reason("out-of-scope", reason);
                leave(settings.on_unscoped, Duty::Rest(AccountState::OutOfScope, Some(reason)))
            }
            Scope::Waiting { field, groups } => Duty::Wait(
                later(resource.created, settings.group_wait),
                Reason {
                    code: WAITING_FOR_GROUP.to_owned(),
                    field: Some(field.clone()),
                    attribute: Some("groups".to_owned()),
                    text: format!(
                        "{field} is set at creation only and depends on a membership of {}",
                        groups.join(", ")
                    ),
                    retry_helps: false,
                },
            ),
            Scope::In => match refusals(mapping).next() {
                Some(problem) => Duty::Park(problem_reason(problem)),
                None => Duty::Provision(mapping.account.clone()),
            },
        },
    }
}

/// Whether there is, or may be, an account at the target that is ours.
pub fn has_account(row: &Row, observed: &Observed) -> bool {
    row.remote_id.is_some() || row.doubt == Doubt::Create || observed.existence == Existence::Present
}

/// The problems for which a required target refuses the write.
pub fn refusals(mapping: &Mapping) -> impl Iterator<Item = &Problem> {
    mapping.problems.iter().filter(|problem| problem.refuses)
}

/// A mapping problem as the reason of a parked row.
pub fn problem_reason(problem: &Problem) -> Reason {
    Reason {
        code: problem.code.to_string(),
        field: Some(problem.field.clone()),
        attribute: problem.attribute.clone(),
        text: problem.message.clone(),
        retry_helps: false,
    }
}

/// Codes of parked rows that call for a person but do not refuse the document.
const NOT_REFUSALS: [&str; 6] =
    ["review", "unmanageable", "pool-foreign", "does-not-converge", "not-applied", LINKED_ELSEWHERE];

/// Whether a parked row says that its target does not take the document.
pub fn is_refusal(reason: &Reason) -> bool {
    !NOT_REFUSALS.contains(&reason.code.as_str())
}

/// A reason without a field.
pub fn plain_reason(code: &str, text: impl Into<String>) -> Reason {
    Reason { code: code.to_owned(), field: None, attribute: None, text: text.into(), retry_helps: false }
}

/// What a settled row stands for, in one comparable text. A write after which the same is expected, leaves a settled row
/// alone (DESIGN, section 2).
pub fn expectation(resource: &Resource, mapping: &Mapping, settings: &TargetConfig) -> String {
    let leave = |how: Deprovision| match how {
        Deprovision::Suspend => "suspended".to_owned(),
        Deprovision::Delete => "absent".to_owned(),
        Deprovision::Keep => "kept".to_owned(),
    };
    match resource.state {
        ResourceState::Deleted => leave(settings.on_delete),
        ResourceState::Rejected => "rejected".to_owned(),
        ResourceState::Live if !resource.active => leave(settings.on_deactivate),
        ResourceState::Live => match &mapping.scope {
            Scope::Out { .. } => format!("out of scope, {}", leave(settings.on_unscoped)),
            Scope::Waiting { field, .. } => format!("waiting for {field}"),
            Scope::In => mapping.account.digest(),
        },
    }
}
