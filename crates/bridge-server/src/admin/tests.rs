//! The admin API over HTTP, in front of a bridge without tenants.
