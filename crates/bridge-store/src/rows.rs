//! The rows of the store as its callers see them (DESIGN section 5).
//!
//! Times are stored in whole milliseconds since 1970; what is finer is cut off.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use scim_model::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StoreError;

/// An enum that is stored as a word.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word it is stored and printed as.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = StoreError;

            fn from_str(text: &str) -> Result<Self, StoreError> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err(StoreError::Corrupt(format!("{other:?} is no {}", stringify!($name)))),
                }
            }
        }
    };
}

words! {
    /// Whether SCIM clients see a resource.
    ResourceState {
        /// In lists, its unique values are taken.
        Live = "live",
        /// A create that a required target refused: 404, in no list, its userName free.
        Rejected = "rejected",
        /// Deleted by the client; kept until its accounts are dealt with, and for hand-over.
        Deleted = "deleted",
    }
}

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

words! {
    /// What is known about a value of a pool.
    AssignmentState {
        /// Reserved for a resource, not yet seen in the target.
        Held = "held",
        /// The target has it for the resource.
        Confirmed = "confirmed",
        /// The target has it for somebody we do not know.
        Foreign = "foreign",
        /// Given back; free again from `free_at` on.
        Free = "free",
    }
}

/// A SCIM resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The key inside the store; grows with each new resource and is never used again.
    pub key: i64,
    /// Tenant it belongs to.
    pub tenant: String,
    /// Name of the resource type: `User`, `Group`.
    pub resource_type: String,
    /// The public `id`.
    pub id: String,
    /// What the client set, without derived attributes; a group without its members (see [`Member`]).
    pub document: Document,
    /// 1 at creation, one more with each change.
    pub version: i64,
    /// Whether the person may use the accounts.
    pub active: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
    /// Whether clients see it.
    pub state: ResourceState,
    /// Name of the connection that created it.
    pub connection: String,
}

/// A value by which a resource is found, folded for comparison.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexedValue {
    /// Path of the attribute: `userName`, `emails.value`.
    pub attribute: String,
    /// The folded value (`scim_model::fold`).
    pub value: String,
    /// Whether only one live resource of the tenant and type may have it.
    pub unique: bool,
}

/// A resource to be stored.
#[derive(Debug, Clone)]
pub struct NewResource {
    /// Tenant it belongs to.
    pub tenant: String,
    /// Name of the resource type: `User`, `Group`.
    pub resource_type: String,
    /// The public `id`, made by the caller.
    pub id: String,
    /// What the client set.
    pub document: Document,
    /// What it can be found by: `Store::indexed_values`.
    pub values: Vec<IndexedValue>,
    /// Whether the person may use the accounts.
    pub active: bool,
    /// Name of the connection that creates it.
    pub connection: String,
    /// The time of creation.
    pub now: Timestamp,
}

/// Part of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// How many resources match in all.
    pub total: u64,
    /// The resources of this page, in key order.
    pub resources: Vec<Resource>,
    /// Where the next page begins (`Start::After`); `None` if this was the last.
    pub next: Option<i64>,
}

/// Where a page of a list begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the n-th match, counted from 1 (RFC 7644 section 3.4.2.4).
    Index(u64),
    /// After the resource with this key (RFC 9865); 0 begins at the first.
    After(i64),
}

/// Which resources of a tenant and type a list shows.
#[derive(Debug, Clone, Copy)]
pub struct ListQuery<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The resource type.
    pub resource_type: &'a scim_model::ResourceType,
    /// What they must match.
    pub filter: Option<&'a scim_filter::Filter>,
    /// Where the page begins.
    pub start: Start,
    /// How many resources at most; 0 asks for the total alone.
    pub count: usize,
}

/// One edge of a group's membership. The member need not be known (yet).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Public id of the member.
    pub value: String,
    /// `User` or `Group`, if the client said so.
    pub kind: Option<String>,
}

/// A group as its member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOf {
    /// Key of the group.
    pub key: i64,
    /// Public id of the group.
    pub id: String,
    /// Its `displayName`; empty if it has none.
    pub display_name: String,
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

/// Who works on an account, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Counts the claims of this account; settling needs it.
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

/// How the work on a claimed account ended. Begin with [`Settlement::of`] and change what the work changed.
///
/// If `wanted` rose since the claim, the later cause decides: `state`, `reason`, `urgent`, `attempts`, `due_at` and
/// `natural_key` stay as it set them. What was seen and done is always written.
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
    /// `Clear` removes the secrets the claim read (not newer ones) and ends `secret_pending`.
    pub secret: Change<Vec<u8>>,
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
            secret: Change::Keep,
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

/// A value of a pool and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Tenant.
    pub tenant: String,
    /// Name of the pool.
    pub pool: String,
    /// The value.
    pub value: String,
    /// Key of the resource that has it.
    pub resource: Option<i64>,
    /// What is known about it.
    pub state: AssignmentState,
    /// From when on a given-back value may be handed out again.
    pub free_at: Option<Timestamp>,
    /// When the row was last changed.
    pub updated: Timestamp,
}

/// Consecutive numbers of a pool, written with `width` digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first value.
    pub first: u64,
    /// The last value, itself included.
    pub last: u64,
    /// Digits of a value, leading zeros included.
    pub width: usize,
}

/// How full a pool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PoolUsage {
    /// Values of all ranges together.
    pub size: u64,
    /// Reserved, not yet confirmed.
    pub held: u64,
    /// In use.
    pub confirmed: u64,
    /// In use by somebody we do not know.
    pub foreign: u64,
    /// Given back, cooling off.
    pub cooling: u64,
    /// Can be handed out now.
    pub free: u64,
}

/// A connection token or client, as stored: never the token itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The part of the token that finds the row.
    pub selector: String,
    /// Hash of the secret part.
    pub hash: Vec<u8>,
    /// Tenant it opens.
    pub tenant: String,
    /// Connection it belongs to.
    pub connection: String,
    /// What the administrator calls it.
    pub label: String,
    /// What it may do, separated by blanks.
    pub scopes: String,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
    /// Since when it is refused.
    pub revoked: Option<Timestamp>,
    /// Last use, coarse (see `Tx::touch_credential`).
    pub last_used: Option<Timestamp>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("selector", &self.selector)
            .field("tenant", &self.tenant)
            .field("connection", &self.connection)
            .field("label", &self.label)
            .field("created", &self.created)
            .field("expires", &self.expires)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

/// A SCIM request as received, secrets already masked by the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestEntry {
    /// Position in the journal; 0 before it is stored.
    pub key: i64,
    /// Tenant.
    pub tenant: String,
    /// Request id, as in logs and answers.
    pub request_id: String,
    /// Connection that sent it; `None` if it was refused before that was known.
    pub connection: Option<String>,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Masked body.
    pub body: Option<Value>,
    /// Key of the resource it is about.
    pub resource: Option<i64>,
    /// Quirks applied and whatever else helps to understand it.
    pub notes: Option<Value>,
    /// When it was received.
    pub received: Timestamp,
    /// HTTP status answered; `None` while it is being worked on.
    pub status: Option<u16>,
    /// The answer in short, for a person.
    pub outcome: Option<String>,
    /// When it was answered.
    pub finished: Option<Timestamp>,
}

/// A target as it was last accepted (DESIGN section 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPlace {
    /// Tenant.
    pub tenant: String,
    /// Name of the target.
    pub target: String,
    /// What it pointed to.
    pub fingerprint: String,
    /// How many accounts are known to be there; counts up to 1,000.
    pub accounts: u64,
}

/// Which requests to list, newest first. Empty fields select all.
#[derive(Debug, Clone, Default)]
pub struct RequestQuery {
    /// Of this tenant.
    pub tenant: String,
    /// About this resource.
    pub resource: Option<i64>,
    /// Older than this entry (the last one of the previous page).
    pub before: Option<i64>,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

/// A call to a target as made, secrets already masked by the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct CallEntry {
    /// Position in the journal; 0 before it is stored.
    pub key: i64,
    /// Tenant.
    pub tenant: String,
    /// Key of the resource.
    pub resource: i64,
    /// Target.
    pub target: String,
    /// Name of the operation in the target's words.
    pub operation: String,
    /// The masked call: method, URL, body.
    pub call: Value,
    /// What came of it: `ok`, or the stable code of the error.
    pub outcome: String,
    /// What the target said, masked.
    pub answer: Option<Value>,
    /// Which attempt of the delivery it belongs to.
    pub attempt: u32,
    /// When it was sent.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration: i64,
}

/// Who did what, chained by hashes per tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Position in the tenant's chain, from 1; 0 before it is stored.
    pub number: i64,
    /// Tenant.
    pub tenant: String,
    /// When.
    pub at: Timestamp,
    /// Who: a connection, or an administrator.
    pub actor: String,
    /// What, as a stable code.
    pub action: String,
    /// On what: the id of a resource, the name of a target.
    pub subject: String,
    /// More about it.
    pub detail: Option<Value>,
    /// Hash over the previous entry's hash and this entry, in hexadecimal; empty before it is stored.
    pub hash: String,
}

/// A long job that goes on in slices: what is left of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    /// Key of the row; 0 before it is stored.
    pub key: i64,
    /// Tenant.
    pub tenant: String,
    /// Which kind of job, for example `members-changed`.
    pub kind: String,
    /// What it is about, for example the key of a group.
    pub subject: i64,
    /// How far it has come: the last member dealt with. Empty at the beginning.
    pub position: String,
    /// More about it.
    pub detail: Option<Value>,
    /// When it was begun.
    pub created: Timestamp,
}
