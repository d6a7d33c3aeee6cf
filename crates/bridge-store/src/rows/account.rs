//! The row of an account, which is also its delivery (DESIGN sections 2 and 7), and how it is wanted, settled and asked for.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StoreError;

words! {
    /// Where the duty to make an account match stands (DESIGN section 3).
    AccountState {
        /// For a group, or for another target.
        Waiting = "waiting",
        /// To be worked on at `due_at`.
        Due = "due",
        /// In step with the resource.
        Settled = "settled",
        /// A person must look.
        Parked = "parked",
        /// The brake, or the mode of the target, holds it back.
        Held = "held",
        /// A person must act in the target.
        Task = "task",
        /// Another resource has taken over the account.
        HandedOver = "handed_over",
        /// The resource has no account at this target.
        OutOfScope = "out_of_scope",
    }
}

impl AccountState {
    /// True if work on the account has come to an end for now, well or not: who waits for it can be answered.
    /// Settling in such a state raises `applied`.
    #[must_use]
    pub fn is_answer(self) -> bool {
        match self {
            Self::Settled | Self::Parked | Self::Task | Self::HandedOver | Self::OutOfScope => true,
            Self::Waiting | Self::Due | Self::Held => false,
        }
    }
}

words! {
    /// Whether a call may have had an effect that we did not see.
    Doubt {
        /// What we observed last still holds.
        None = "none",
        /// Observe before the next write.
        Read = "read",
        /// A create may have had its effect: observe, and search by all keys, before the next write.
        Create = "create",
    }
}

/// Why an account is in its state, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code.
    pub code: String,
    /// Field of the target that is concerned.
    pub field: Option<String>,
    /// SCIM attribute that the field comes from.
    pub attribute: Option<String>,
    /// The cause in a sentence.
    pub text: String,
    /// Whether sending the same again can help.
    pub retry_helps: bool,
}

/// The code of an account that is held because its target is only planned for (`mode = "plan"`).
pub const PLANNED: &str = "mode-plan";

/// Who works on an account, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Tells this claim from all others; settling needs it.
    pub token: i64,
    /// From then on somebody else may claim the account.
    pub until: Timestamp,
}

/// An account at a target: our duty to make it match, which is also the delivery (DESIGN section 2).
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Key of the resource.
    pub resource: i64,
    /// Name of the target.
    pub target: String,
    /// Tenant of both.
    pub tenant: String,
    /// Raised by every cause to look at the account again.
    pub wanted: i64,
    /// The `wanted` that was read when the work that came to an end last was claimed.
    pub applied: i64,
    /// Where it stands.
    pub state: AccountState,
    /// Why, if there is something to say.
    pub reason: Option<Reason>,
    /// Claimed before anything else of the target: deactivations and deletes.
    pub urgent: bool,
    /// Attempts since the last success or the last new cause.
    pub attempts: u32,
    /// Not to be worked on before.
    pub due_at: Timestamp,
    /// Who works on it.
    pub lease: Option<Lease>,
    /// Whether the next write needs a look first.
    pub doubt: Doubt,
    /// The target's id of the account.
    pub remote_id: Option<String>,
    /// Folded natural key at the target, unique per tenant and target.
    pub natural_key: Option<String>,
    /// Digest of the account that was sent last.
    pub digest: Option<String>,
    /// What was last seen of the account.
    pub observed: Option<Value>,
    /// Values saved when it was suspended, to be restored.
    pub kept: Option<Value>,
    /// Secrets to be sent, sealed by the caller.
    pub secret: Option<Vec<u8>>,
    /// Whether the secrets still have to be sent.
    pub secret_pending: bool,
    /// Our last write to the target for this account.
    pub last_write_at: Option<Timestamp>,
    /// Since when every attempt failed.
    pub failing_since: Option<Timestamp>,
    /// What was read back after a suspension or removal.
    pub proof: Option<Value>,
    /// The account found in the target that a person must review.
    pub candidate: Option<Value>,
    /// When the row was last changed.
    pub updated: Timestamp,
}

impl Account {
    /// Whether there is, or may be, an account at the target: one that we know, one that a lost create may have made, or one
    /// that is perhaps being made at this moment.
    #[must_use]
    pub fn may_exist(&self) -> bool {
        self.remote_id.is_some() || self.doubt == Doubt::Create || self.lease.is_some()
    }
}

/// A cause to look at an account again.
#[derive(Debug, Clone)]
pub struct Want {
    /// `Due`, or the state that keeps it from being worked on: `Held`, `Waiting`, `OutOfScope`, ….
    pub state: AccountState,
    /// Claim it before anything else. An urgent row stays urgent until it is settled.
    pub urgent: bool,
    /// The natural key to take; `None` leaves the one it has.
    pub natural_key: Option<String>,
    /// Not to be worked on before.
    pub due_at: Timestamp,
    /// Why it is in that state.
    pub reason: Option<Reason>,
    /// Sealed secrets that have to be sent; `None` leaves those it has.
    pub secret: Option<Vec<u8>>,
    /// Whether a row that is held gets the new state too. If not, `wanted` rises and the row stays held.
    pub release: bool,
}

impl Want {
    /// Due at once, in no hurry.
    #[must_use]
    pub fn due(now: Timestamp) -> Self {
        Self {
            state: AccountState::Due,
            urgent: false,
            natural_key: None,
            due_at: now,
            reason: None,
            secret: None,
            release: false,
        }
    }
}

/// What `want` left behind; who waits for the account looks for `applied >= wanted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The raised counter.
    pub wanted: i64,
    /// The state the row has now.
    pub state: AccountState,
}

/// A column that others may change while an account is leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// Leave it.
    Keep,
    /// Write this.
    Set(T),
    /// Remove it.
    Clear,
}

/// What becomes of the secrets that a claim read. Newer ones that came in meanwhile stay, to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretsAre {
    /// As they were: what was to be sent still is.
    Untouched,
    /// Kept for later, and sent as far as they can be.
    Served,
    /// Not needed any more.
    Erased,
}

/// How the work on a claimed account ended. Begin with [`Settlement::of`] and change what the work changed.
///
/// If `wanted` rose since the claim, the later cause decides: `state`, `reason`, `urgent`, `attempts`, `due_at` and
/// `natural_key` stay as it set them, and a row that is in doubt stays so. What was seen and done is always written.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The `wanted` that the claim read. Becomes `applied` if the state is an answer.
    pub wanted: i64,
    /// The state it goes to.
    pub state: AccountState,
    /// Why.
    pub reason: Option<Reason>,
    /// Whether it stays urgent (a retry of something urgent).
    pub urgent: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// The next attempt or look.
    pub due_at: Timestamp,
    /// Whether the next write needs a look first.
    pub doubt: Doubt,
    /// The target's id of the account.
    pub remote_id: Option<String>,
    /// The natural key.
    pub natural_key: Change<String>,
    /// Digest of what was sent.
    pub digest: Option<String>,
    /// What was seen.
    pub observed: Option<Value>,
    /// Values saved for the return.
    pub kept: Option<Value>,
    /// What becomes of the secrets.
    pub secrets: SecretsAre,
    /// The secrets that the claim read.
    pub claimed_secret: Option<Vec<u8>>,
    /// Our last write to the target.
    pub last_write_at: Option<Timestamp>,
    /// Since when every attempt failed.
    pub failing_since: Option<Timestamp>,
    /// What was read back.
    pub proof: Option<Value>,
    /// The account to review.
    pub candidate: Option<Value>,
    /// The time of settling.
    pub now: Timestamp,
}

impl Settlement {
    /// In the given state, with everything else as the claim read it. Attempts, urgency and reason are cleared.
    #[must_use]
    pub fn of(account: &Account, state: AccountState, now: Timestamp) -> Self {
        Self {
            wanted: account.wanted,
            state,
            reason: None,
            urgent: false,
            attempts: 0,
            due_at: now,
            doubt: account.doubt,
            remote_id: account.remote_id.clone(),
            natural_key: Change::Keep,
            digest: account.digest.clone(),
            observed: account.observed.clone(),
            kept: account.kept.clone(),
            secrets: SecretsAre::Untouched,
            claimed_secret: account.secret.clone(),
            last_write_at: account.last_write_at,
            failing_since: account.failing_since,
            proof: account.proof.clone(),
            candidate: account.candidate.clone(),
            now,
        }
    }
}

/// Which accounts to list. Empty fields select all.
#[derive(Debug, Clone, Default)]
pub struct AccountQuery {
    /// Of this tenant.
    pub tenant: Option<String>,
    /// In this state.
    pub state: Option<AccountState>,
    /// At this target.
    pub target: Option<String>,
    /// After this row (resource, target) of the previous page.
    pub after: Option<(i64, String)>,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

/// How many accounts of a target are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountCount {
    /// Tenant.
    pub tenant: String,
    /// Target.
    pub target: String,
    /// State.
    pub state: AccountState,
    /// How many.
    pub count: u64,
}
