//! What the common server needs from each simulated vendor.

use jiff::Timestamp;
use serde_json::Value;

use crate::wire::{Reply, Request};

/// One vendor's API: its rules and its accounts. Knows nothing of sockets, faults or logs.
pub(crate) trait Vendor: Send {
    /// Name for log messages and threads.
    fn name(&self) -> &'static str;

    /// Path of the API below the root, ending in a slash where the vendor's base URL does.
    fn base_path(&self) -> &'static str;

    /// All operation names, as [`Vendor::operation`] gives them.
    fn operations(&self) -> Vec<&'static str>;

    /// The operation that a call is, or `unknown`.
    fn operation(&self, request: &Request) -> &'static str;

    /// The fields of a call for the log, credentials and passwords masked.
    fn fields(&self, request: &Request) -> Value;

    /// Carries out a call.
    fn answer(&mut self, request: &Request, now: Timestamp) -> Reply;

    /// The API's own business refusal with the given reason.
    fn refuse(&self, reason: &str) -> Reply;

    /// An answer with an HTTP failure status.
    fn failure(&self, status: u16) -> Reply;

    /// All accounts with vendor field names; no password, but a boolean `has_password`.
    fn accounts(&self) -> Vec<Value>;

    /// How many accounts there are.
    fn account_count(&self) -> usize;

    /// Puts an account there, or changes the fields of one that is there, as a person in the vendor's own screens.
    fn seed(&mut self, account: &Value, now: Timestamp) -> Result<(), String>;

    /// Removes an account by its natural key, as a person would; says whether there was one.
    fn remove(&mut self, key: &str) -> bool;

    /// Back to no accounts.
    fn reset(&mut self);
}

/// The operation name of a call that the vendor does not know.
pub(crate) const UNKNOWN_OPERATION: &str = "unknown";
