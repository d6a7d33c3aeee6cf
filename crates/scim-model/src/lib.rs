//! SCIM schemas, resources and protocol messages (RFC 7643, RFC 7644), without any IO.
