//! The SCIM filter and PATCH-path grammar (RFC 7644 sections 3.4.2.2 and 3.5.2): text to tree and back.

mod error;
mod filter;
mod limits;
mod literal;
mod parser;
mod path;

pub use error::ParseError;
pub use filter::{Filter, Operator};
pub use limits::Limits;
pub use literal::{Literal, Number};
pub use path::{AttributePath, PatchPath, UrnPath};

#[cfg(test)]
mod tests;
