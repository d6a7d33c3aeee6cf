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

mod account;

pub use account::{
    Account, AccountCount, AccountQuery, AccountState, Change, Doubt, Lease, PLANNED, Reason, SecretsAre, Settlement,
    Want, Wanted,
};

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

/// A SCIM resource; with its document, or with the JSON text of it where it only has to be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource<D = Document> {
    /// The key inside the store; grows with each new resource and is never used again.
    pub key: i64,
    /// Tenant it belongs to.
    pub tenant: String,
    /// Name of the resource type: `User`, `Group`.
    pub resource_type: String,
    /// The public `id`.
    pub id: String,
    /// What the client set, without derived attributes; a group without its members (see [`Member`]).
    pub document: D,
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

impl<D> Resource<D> {
    /// Whether its accounts are to be usable: clients see it, and it is active. Who has none of it leaves, or is gone.
    #[must_use]
    pub fn has_access(&self) -> bool {
        self.active && self.state == ResourceState::Live
    }
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
pub struct Page<D = Document> {
    /// How many resources match in all.
    pub total: u64,
    /// The resources of this page, in key order.
    pub resources: Vec<Resource<D>>,
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

/// A member of a group as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedMember {
    /// Public id of the member.
    pub value: String,
    /// `User` or `Group`: what it is, or what the client said.
    pub kind: Option<String>,
    /// Whether there is such a resource.
    pub is_known: bool,
    /// Its `displayName`, else its `userName`.
    pub display: Option<String>,
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
    /// Whether the group names the member itself; if not, one of its groups does, or one of theirs.
    pub is_direct: bool,
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
    /// Public id of the one user that it stands for; `None` if it is an identity provider's.
    pub subject: Option<String>,
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
    /// Masked body, as JSON text.
    pub body: Option<String>,
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

/// Which requests of the journal, beside a [`RequestQuery`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only those that were refused.
    pub failed: bool,
    /// Received at this moment or later.
    pub since: Option<Timestamp>,
    /// Received before this moment.
    pub until: Option<Timestamp>,
    /// About the resource of the query, or sent for a user of this name of whom there is no resource; in lower case.
    pub user_name: Option<String>,
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
