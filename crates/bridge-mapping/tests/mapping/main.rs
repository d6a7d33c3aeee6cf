//! The mapper seen from outside: a SCIM user goes in as a client sends it, an account comes out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic: that is how it fails")]

mod every_field;
mod idp_users;
mod limits;
mod mistakes;
mod properties;
mod rules;
mod support;
mod time_zones;
