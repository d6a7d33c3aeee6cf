//! What a SCIM answer says when something is wrong (RFC 7644 section 3.12).
//!
//! The detail is read by the administrator of the identity provider, in the identity provider's own log. It says which
//! attribute is meant and what to do, stays under 200 characters and does not repeat the value.

use std::fmt;

use serde_json::{Value, json};

/// URN of error messages.
pub const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// How long a detail may be, in characters.
const LONGEST_DETAIL: usize = 200;

/// The keyword of an error (RFC 7644 table 9, RFC 9865 section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScimType {
    /// The filter cannot be parsed or uses an attribute in a way it does not allow.
    InvalidFilter,
    /// The filter yields more than the server calculates.
    TooMany,
    /// The value belongs to another resource.
    Uniqueness,
    /// The attribute cannot be changed that way.
    Mutability,
    /// The message is not what the protocol says.
    InvalidSyntax,
    /// The path of a PATCH operation cannot be parsed or fits no attribute.
    InvalidPath,
    /// The path of a PATCH operation leads nowhere.
    NoTarget,
    /// A value is missing or does not fit the attribute.
    InvalidValue,
    /// That version of the protocol is not spoken here.
    InvalidVers,
    /// The address of the request holds what must not be in a log.
    Sensitive,
    /// The cursor is none of ours, or belongs to another query (RFC 9865 section 2.1).
    InvalidCursor,
    /// The cursor is too old (RFC 9865 section 2.1).
    ExpiredCursor,
    /// A page by cursor has at least one resource (RFC 9865 section 2.1).
    InvalidCount,
}

impl ScimType {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

impl fmt::Display for ScimType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A refusal in the words of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// HTTP status.
    pub status: u16,
    /// Keyword, for the statuses that have one.
    pub scim_type: Option<ScimType>,
    /// What is wrong and what to do about it.
    pub detail: String,
}

impl ScimError {
    /// An error with any status. A detail that is too long loses its end.
    pub fn new(status: u16, scim_type: Option<ScimType>, detail: impl Into<String>) -> Self {
        Self { status, scim_type, detail: shortened(detail.into(), LONGEST_DETAIL) }
    }

    /// 400: a filter that cannot be used.
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidFilter), detail)
    }

    /// 400: a filter that yields too much.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::TooMany), detail)
    }

    /// 409: another resource has the value.
    pub fn uniqueness(detail: impl Into<String>) -> Self {
        Self::new(409, Some(ScimType::Uniqueness), detail)
    }

    /// 400: an attribute that cannot be changed that way.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::Mutability), detail)
    }

    /// 400: a message that is not what the protocol says.
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidSyntax), detail)
    }

    /// 400: a path that cannot be used.
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidPath), detail)
    }

    /// 400: an operation without anything to work on.
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::NoTarget), detail)
    }

    /// 400: a value that is missing or does not fit.
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidValue), detail)
    }

    /// 403: a secret in the address of a request (RFC 7644 section 7.5.2).
    pub fn sensitive(detail: impl Into<String>) -> Self {
        Self::new(403, Some(ScimType::Sensitive), detail)
    }

    /// 404: no such resource.
    pub fn not_found(resource_type: &str, id: &str) -> Self {
        Self::new(404, None, format!("There is no {resource_type} with the id {}", quoted(id)))
    }

    /// 412: the resource is not the version that `If-Match` names.
    pub fn precondition_failed() -> Self {
        Self::new(
            412,
            None,
            "The resource has changed since that version was read: read it again and repeat the change",
        )
    }

    /// The error of one operation of a PATCH request, which says so.
    pub(crate) fn in_operation(self, index: usize, count: usize) -> Self {
        Self::new(self.status, self.scim_type, format!("Operation {} of {count}: {}", index + 1, self.detail))
    }

    /// The body of the answer: flat, with the status as text.
    pub fn to_json(&self) -> Value {
        let mut body = json!({ "schemas": [ERROR_URN], "status": self.status.to_string() });
        if let Some(scim_type) = self.scim_type {
            body["scimType"] = scim_type.as_str().into();
        }
        body["detail"] = self.detail.as_str().into();
        body
    }
}

/// A name or path from a request, short enough and printable, in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let printable: String =
        text.chars().map(|character| if character.is_control() { '?' } else { character }).collect();
    format!("'{}'", shortened(printable, 80))
}

/// The text, or its beginning and an ellipsis.
pub(crate) fn shortened(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text,
        Some(_) => text.chars().take(longest - 1).chain(['…']).collect(),
    }
}
