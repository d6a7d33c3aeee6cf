//! Keeps resources, accounts, assignments, credentials and the journal (DESIGN section 5).
//!
//! ```text
//! store.read(|db| …).await     by key or unique value, at most 200 rows: inline
//! store.scan(|db| …).await     lists, candidates, counts: own thread, deadline
//! store.write(|tx| …).await    the only way to write; the closure may run again
//! ```
//!
//! [`Db`] has what can be read, [`Tx`] also what can be written; their methods are spread over the files named after the
//! tables. Every statement names the tenant, or an internal key that no client can choose. Time is always an argument.

mod error;
pub mod rows;
mod driver;

pub use error::{StoreError, Taken};
pub use rows::*;
