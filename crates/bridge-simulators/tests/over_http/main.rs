//! The simulators, judged from outside over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
mod control;
mod crm_com;
mod glance;
mod netsapiens;
