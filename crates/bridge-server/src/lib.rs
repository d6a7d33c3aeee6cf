//! The bridge itself: SCIM over HTTP, the use cases behind it, the worker that makes accounts match, administration and
//! the command line.
//!
//! A POST walks through these rooms in this order: [`auth`] says who calls, [`api`] reads the request, [`provisioning`]
//! judges it and stores it, [`worker`] makes the targets match, [`api`] answers.

pub mod admin;
pub mod alerts;
pub mod api;
pub mod auth;
pub mod bridge;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connections;
pub mod error;
pub mod explain;
mod following;
mod forewarning;
pub mod housekeeping;
pub mod landscape;
pub mod operations;
pub mod provisioning;
pub mod running;
pub mod seal;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod throttle;
pub mod token;
pub mod worker;
