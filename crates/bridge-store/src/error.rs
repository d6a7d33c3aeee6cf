//! What can go wrong in the store, named by what the caller should do next (STYLE, habit 8).

use std::fmt;
use std::path::PathBuf;

/// A value that must be unique is held by somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What is taken: an attribute (`userName`), `natural key`, `remote id`, or the name of a pool.
    pub what: String,
    /// Key of the resource that holds it.
    pub resource: i64,
}

/// Why a read or a write did not happen. A variant is a decision, not the name of a library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A unique value is held by another resource: answer 409 `uniqueness`, or look at the holder.
    #[error("{} is already taken", .0.what)]
    Taken(Taken),
    /// The resource has another version than expected: read, change and write again.
    #[error("the resource changed meanwhile, it is at version {found}")]
    Stale {
        /// The version the resource has now.
        found: i64,
    },
    /// There is no such row in this tenant.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Every value of the pool is in use or cooling off.
    #[error("the pool {pool} has no free value")]
    PoolEmpty {
        /// Name of the pool.
        pool: String,
    },
    /// The scan would take longer than its deadline: answer 400 `tooMany`.
    #[error("the search would take too long, narrow the filter")]
    TooMany,
    /// A file is in the way of the one that was asked for: answer 409.
    #[error("{} is there already: name a file that is not, or move that one away", .0.display())]
    FileExists(PathBuf),
    /// A file cannot be made where it was asked for: answer 400. Says what to do.
    #[error("{0}")]
    BadPlace(String),
    /// The store cannot serve now: answer 503. After a failed commit it stays so until a restart.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The database holds what it should not: damaged pages, or a row this version cannot read.
    #[error("the database is damaged or of another version: {0}")]
    Corrupt(String),
    /// A programming error: a closure panicked, or a statement is wrong.
    #[error("internal error in the store: {0}")]
    Internal(String),
}

impl StoreError {
    /// A row, column or document that cannot be read as what it should be.
    pub(crate) fn corrupt(what: impl fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }

    /// `what` is held by `resource`.
    pub(crate) fn taken(what: impl Into<String>, resource: i64) -> Self {
        Self::Taken(Taken { what: what.into(), resource })
    }
}
