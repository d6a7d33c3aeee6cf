//! The bridge from the outside: SCIM in, the targets' APIs out.

#![expect(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod adoption;
mod clock;
mod commands;
mod connections;
mod crash;
mod forewarnings;
mod forgetting;
mod groups;
mod leavers;
mod life;
mod limits;
mod memberships;
mod namesakes;
mod parameters;
mod passwords;
mod pools;
mod refusals;
mod rekey;
mod restart;
mod returners;
mod scope;
mod secrets;
mod shown;
mod startup;
mod strict;
mod surroundings;
mod tenancy;
mod weather;
