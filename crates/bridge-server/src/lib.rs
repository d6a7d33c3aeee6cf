//! The bridge itself: SCIM over HTTP, the use cases behind it, the worker that makes accounts match, administration and
//! the command line.
//!
//! A POST walks through these rooms in this order: [`auth`] says who calls, [`api`] reads the request, [`provisioning`]
//! judges it and stores it, [`worker`] makes the targets match, [`api`] answers.

pub mod clock;
pub mod seal;
