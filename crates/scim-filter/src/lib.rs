//! The SCIM filter and PATCH-path grammar (RFC 7644 sections 3.4.2.2 and 3.5.2): text to tree and back.
//!
//! ```
//! use scim_filter::{Filter, Operator, PatchPath};
//!
//! let filter = Filter::parse(r#"userName eq "jo" and not (emails[type eq "home"])"#)?;
//! assert_eq!(filter.to_string(), r#"userName eq "jo" and not (emails[type eq "home"])"#);
//!
//! let path = PatchPath::parse(r#"emails[type eq "work"].value"#)?;
//! assert!(path.attribute.is("Emails"));
//! assert_eq!(path.sub(), Some("value"));
//!
//! let error = Filter::parse("userName equals jo").unwrap_err();
//! assert_eq!(error.position, 9);
//! # Ok::<(), scim_filter::ParseError>(())
//! ```
//!
//! The crate knows no schema: whether an attribute exists, and how its values compare, is for the caller.
//!
//! # What is taken beyond the RFC
//!
//! Real clients send these, so they parse, and the caller sees what was meant; [`Filter::parse_noting`] and
//! [`PatchPath::parse_noting`] say which of them were needed ([`Leniency`]):
//!
//! - white space of any amount, and none beside quotes, parentheses and brackets;
//! - `emails[type eq "work"].value eq "…"`, the same with `pr`, and without `.value` ([`Filter::ValuePathCompare`],
//!   [`Filter::ValuePathPresent`]);
//! - `true`, `false` and `null` in any letter case;
//! - values without quotes (`userName sw O`), unless the [`Limits`] are strict. A bare value ends at a space, quote,
//!   parenthesis or bracket; it is a boolean, `null` or a number if it can be, else a text. A bare `and`, `or` or `not`
//!   is a forgotten value, and one that begins with another kind of quotation mark is refused: both are errors, not guesses.
//!
//! # What is refused although the RFC's figure 1 would allow it
//!
//! - `name.part[…]`: no schema can have elements below a sub-attribute (RFC 7643 section 2.3.8).
//! - Nesting deeper than [`Limits::DEEPEST`].
//!
//! # Round trip
//!
//! For every filter in normal form (see [`Filter`]) and every path, parsing what `Display` wrote gives an equal value. The
//! printed text never nests deeper than the text it came from, but may be longer: quotes and spaces are put where they were
//! left out.
//!
//! # Fuzzing
//!
//! From this directory, with a nightly toolchain and `cargo install cargo-fuzz`; `filter` and `path` are the targets:
//!
//! ```text
//! mkdir -p fuzz/corpus/filter
//! cargo +nightly fuzz run filter fuzz/corpus/filter fuzz/seeds/filter -- -max_total_time=600 -dict=fuzz/tokens.dict
//! ```
//!
//! The first directory receives what the run discovers and is not committed; the second is the seed.

mod error;
mod filter;
mod leniency;
mod limits;
mod literal;
mod parser;
mod path;

pub use error::ParseError;
pub use filter::{Filter, Operator};
pub use leniency::Leniency;
pub use limits::Limits;
pub use literal::{Literal, Number};
pub use path::{AttributePath, PatchPath, UrnPath};

#[cfg(test)]
mod tests;
