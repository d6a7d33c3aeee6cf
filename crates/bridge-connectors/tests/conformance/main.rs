//! One suite for every kind of target: the real connector against a simulator over real HTTP.
//!
//! Connector and simulator are written separately from the same documents, so a misread manual cannot agree with itself.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod crm_com;
mod every_kind;
mod glance;
mod netsapiens;
mod subject;
