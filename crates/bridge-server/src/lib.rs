//! The bridge: SCIM over HTTP, use cases, delivery worker, administration, command line.
