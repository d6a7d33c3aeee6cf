//! Errors of the admin API: `application/problem+json` (RFC 9457), in words for an administrator.

use std::fmt;

use actix_web::error::{JsonPayloadError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use bridge_store::StoreError;
use serde_json::json;

use crate::operations::LinkError;

/// Why a request to the admin API is refused.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn body(error: &JsonPayloadError) -> Self {
        Self::new(error.status_code(), format!("the body is not what is expected: {error}"))
    }

    pub(super) fn query(error: &QueryPayloadError) -> Self {
        Self::bad_request(format!("the query is not what is expected: {error}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body =
            json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail });
        HttpResponse::build(self.status).content_type("application/problem+json").body(body.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::NotFound(_) => StatusCode::NOT_FOUND,
            StoreError::Taken(_)
            | StoreError::Stale { .. }
            | StoreError::PoolEmpty { .. }
            | StoreError::FileExists(_) => StatusCode::CONFLICT,
            StoreError::TooMany | StoreError::BadPlace(_) => StatusCode::BAD_REQUEST,
            StoreError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::Corrupt(_) | StoreError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%error, "A request to the admin API failed");
        }
        Self::new(status, error.to_string())
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Store(error) => error.into(),
            LinkError::Held(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            LinkError::Refused { .. } => Self::bad_request(error.to_string()),
        }
    }
}
