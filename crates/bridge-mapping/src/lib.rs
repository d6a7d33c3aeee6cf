//! Maps a SCIM resource to the account that a target should hold: pure, with lineage.
//!
//! [`AccountSchema`] says what an account of a [`TargetKind`] may hold, [`Rules`] how one tenant's target fills it,
//! and [`map`] applies the rules to one user. No IO and no clock: the same function serves provisioning, validation
//! before anything is stored, plan, explain, replay and tests (DESIGN sections 2 and 8).

mod account;
mod check;
mod config;
mod error;
mod extension;
mod filters;
mod kind;
mod lineage;
mod map;
mod rule;
mod rules;
mod scan;
mod schema;
mod template;

pub use account::{Account, FieldValue, SecretSource};
pub use check::Fault;
pub use config::{RulesConfig, ScopeConfig};
pub use error::{MappingError, Position};
pub use extension::extension_schema;
pub use kind::TargetKind;
pub use lineage::{Lineage, Lineages, Outcome};
pub use map::{GroupRef, Mapping, Problem, Scope, Subject, map};
pub use rules::{Rules, default_rules};
pub use schema::{AccountSchema, Bounds, FieldKind, FieldSchema, Format, Generator, Limit, Pattern, Suffix};
