//! What can go wrong with a SCIM request, and the one place that knows status codes (RFC 7644 section 3.12).
//!
//! A variant says who has to act: the client (its request is wrong), the administrator of the identity provider (the data is
//! refused), or nobody but time (a retry helps). [`ApiError::render`] turns it into an answer that identity providers can
//! read: always the flat Error body, never HTML, the detail under 200 characters because Okta and Entra show it in their logs.

use std::{error::Error, fmt, sync::Arc};

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{StatusCode, header},
};
use bridge_store::StoreError;
use scim_model::{ScimError, ScimType};

/// Media type of every SCIM answer (RFC 7644 section 3.1).
pub const SCIM_JSON: &str = "application/scim+json;charset=utf-8";

/// How long a detail may be, in characters.
const LONGEST_DETAIL: usize = 200;

/// Why a SCIM request is not answered with 2xx.
#[derive(Debug, Clone)]
pub enum ApiError {
    /// The request breaks a rule of the protocol or of a schema.
    Scim(ScimError),
    /// 401: no credential, or one that is not valid for this tenant.
    Unauthorized(String),
    /// 403: the credential is valid, but not for this.
    Forbidden(String),
    /// 404: no such resource or no such address.
    NotFound(String),
    /// 409 `uniqueness`: another resource has the value.
    Taken {
        /// The attribute that must be unique.
        attribute: String,
        /// What to do about it.
        detail: String,
    },
    /// 412: the resource is not the version that `If-Match` names.
    PreconditionFailed(String),
    /// 400 `invalidValue` or 409 `uniqueness`: a target does not take the account.
    Refused(Box<Refusal>),
    /// 429: too much at once.
    Throttled {
        /// What is too much.
        detail: String,
        /// Seconds after which the client should try again.
        retry_after_s: u32,
    },
    /// 503: not now.
    Unavailable {
        /// What is not available.
        detail: String,
        /// Seconds after which the client should try again.
        retry_after_s: u32,
    },
    /// 413: the body is longer than `server.max_body`.
    TooLarge {
        /// The longest body that is accepted, in bytes.
        limit: u64,
    },
    /// 415: the body is in a format that SCIM does not know.
    UnsupportedMediaType(String),
    /// 405: the address exists, but not for this method.
    MethodNotAllowed,
    /// 501: part of the protocol that this bridge does not offer.
    NotImplemented(String),
    /// 500: a defect or a failure of the bridge itself. The client gets a fixed text, the log gets the source.
    Internal {
        /// What failed.
        source: Arc<dyn Error + Send + Sync>,
    },
}

/// A target's reason not to take an account, in our own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whether the reason is that somebody else holds a value (409), not that a value is wrong (400).
    pub conflict: bool,
    /// The name of the target.
    pub target: String,
    /// The account field that is refused.
    pub field: Option<String>,
    /// The SCIM attribute that the field came from.
    pub attribute: Option<String>,
    /// Stable code of the reason.
    pub code: String,
    /// The reason, as a clause for the administrator.
    pub cause: String,
    /// Whether the same request may succeed later.
    pub retry_helps: bool,
}

impl ApiError {
    /// A failure of the bridge itself.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal { source: Arc::from(source.into()) }
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Scim(error) => StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Taken { .. } => StatusCode::CONFLICT,
            Self::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
            Self::Refused(refusal) if refusal.conflict => StatusCode::CONFLICT,
            Self::Refused(_) => StatusCode::BAD_REQUEST,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The keyword of RFC 7644 table 9, for the statuses that have one.
    #[must_use]
    pub fn scim_type(&self) -> Option<ScimType> {
        match self {
            Self::Scim(error) => error.scim_type,
            Self::Taken { .. } => Some(ScimType::Uniqueness),
            Self::Refused(refusal) if refusal.conflict => Some(ScimType::Uniqueness),
            Self::Refused(_) => Some(ScimType::InvalidValue),
            Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::PreconditionFailed(_)
            | Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::TooLarge { .. }
            | Self::UnsupportedMediaType(_)
            | Self::MethodNotAllowed
            | Self::NotImplemented(_)
            | Self::Internal { .. } => None,
        }
    }

    /// The error as the client of that request sees it; the journal keeps the same words.
    #[must_use]
    pub fn to_scim(&self, request_id: &str) -> ScimError {
        ScimError::new(self.status().as_u16(), self.scim_type(), self.detail(request_id))
    }

    /// The whole answer. `request_id` appears where a person will look for the request in our journal.
    #[must_use]
    pub fn render(&self, request_id: &str) -> HttpResponse {
        let mut answer = HttpResponseBuilder::new(self.status());
        answer.insert_header((header::CONTENT_TYPE, SCIM_JSON));
        match self {
            Self::Unauthorized(_) => {
                answer.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"scim\""));
            }
            // Whole seconds: Okta ignores an HTTP date and waits five minutes.
            Self::Throttled { retry_after_s, .. } | Self::Unavailable { retry_after_s, .. } => {
                answer.insert_header((header::RETRY_AFTER, *retry_after_s));
            }
            _ => {}
        }
        answer.body(self.to_scim(request_id).to_json().to_string())
    }

    fn detail(&self, request_id: &str) -> String {
        match self {
            Self::Scim(error) => error.detail.clone(),
            Self::Unauthorized(detail)
            | Self::Forbidden(detail)
            | Self::NotFound(detail)
            | Self::Taken { detail, .. }
            | Self::PreconditionFailed(detail)
            | Self::Unavailable { detail, .. }
            | Self::UnsupportedMediaType(detail)
            | Self::NotImplemented(detail) => detail.clone(),
            Self::Throttled { detail, .. } => format!("{detail}{}", Reference(request_id)),
            Self::Refused(refusal) => refusal.detail(request_id),
            Self::TooLarge { limit } => {
                format!("The body is longer than {limit} bytes, the most that is accepted here")
            }
            Self::MethodNotAllowed => "This method is not possible here, the header Allow names those that are".into(),
            Self::Internal { .. } => {
                format!("The bridge failed on this request, its log says why{}", Reference(request_id))
            }
        }
    }
}

impl Refusal {
    /// `glance: UserAddress from userName: the reason [code], a retry does not help (request …)`. Names that the reason
    /// mentions itself are not put before it. A reason that is too long loses its end, never the code or the request id.
    #[must_use]
    pub fn detail(&self, request_id: &str) -> String {
        let is_missing = |name: &&String| !self.cause.contains(name.as_str());
        let mut start = format!("{}: ", self.target);
        match (self.field.as_ref().filter(is_missing), self.attribute.as_ref().filter(is_missing)) {
            (Some(field), Some(attribute)) => start.push_str(&format!("{field} from {attribute}: ")),
            (Some(name), None) | (None, Some(name)) => start.push_str(&format!("{name}: ")),
            (None, None) => {}
        }
        let advice = if self.retry_helps { "a retry helps" } else { "a retry does not help" };
        let end = format!(" [{}], {advice}{}", self.code, Reference(request_id));
        let room = LONGEST_DETAIL.saturating_sub(start.chars().count() + end.chars().count());
        start + &shortened(&self.cause, room) + &end
    }
}

/// ` (request ID)`, or nothing where the id is not known.
struct Reference<'a>(&'a str);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(formatter, " (request {})", self.0) }
    }
}

/// The text, or its beginning and an ellipsis.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internal { source } => write!(formatter, "internal error: {source}"),
            _ => formatter.write_str(&self.detail("")),
        }
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Internal { source } => Some(&**source),
            _ => None,
        }
    }
}

/// Used by actix before [`crate::api::edge`] renders the answer again, with the request id.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.render("")
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<ScimError> for ApiError {
    fn from(error: ScimError) -> Self {
        Self::Scim(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken(taken) => Self::Taken {
                detail: format!("{} is already taken by another resource", taken.what),
                attribute: taken.what,
            },
            // Who patches tries again before this is answered; what arrives here has lost every race.
            StoreError::Stale { .. } => Self::Unavailable {
                detail: "The resource is being changed by other requests, try again".into(),
                retry_after_s: 1,
            },
            StoreError::NotFound(what) => Self::NotFound(format!("There is no such {what}")),
            StoreError::PoolEmpty { pool } => ScimError::invalid_value(format!(
                "The pool {pool} has no free value [pool-empty]: extend its range or free a value, then try again"
            ))
            .into(),
            StoreError::TooMany => ScimError::too_many(
                "The search would take too long, narrow the filter or filter by an indexed attribute",
            )
            .into(),
            StoreError::Unavailable(reason) => {
                Self::Unavailable { detail: format!("The store is unavailable: {reason}"), retry_after_s: 5 }
            }
            // No request of an identity provider names a file.
            error @ (StoreError::Corrupt(_)
            | StoreError::Internal(_)
            | StoreError::FileExists(_)
            | StoreError::BadPlace(_)) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;
    use serde_json::{Value, json};

    use super::*;

    const REQUEST: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn body(answer: HttpResponse) -> Value {
        let bytes = answer.into_body().try_into_bytes().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn refusal() -> Refusal {
        Refusal {
            conflict: false,
            target: "glance".into(),
            field: Some("UserAddress".into()),
            attribute: Some("userName".into()),
            code: "too-long".into(),
            cause: "longer than 100 characters".into(),
            retry_helps: false,
        }
    }

    #[test]
    fn every_answer_is_a_flat_error_body_with_its_status_as_text() {
        let check = |error: ApiError, status: u16, scim_type: Option<&str>| {
            let answer = error.render(REQUEST);
            assert_eq!(answer.status().as_u16(), status, "{error:?}");
            assert_eq!(answer.headers().get("content-type").unwrap(), SCIM_JSON);
            let body = body(answer);
            assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
            assert_eq!(body["status"], json!(status.to_string()));
            assert_eq!(body.get("scimType").and_then(Value::as_str), scim_type, "{error:?}");
            assert!(!body["detail"].as_str().unwrap().is_empty());
            assert!(body["detail"].as_str().unwrap().chars().count() <= LONGEST_DETAIL);
        };
        check(ScimError::invalid_filter("no").into(), 400, Some("invalidFilter"));
        check(ApiError::Unauthorized("no token".into()), 401, None);
        check(ApiError::Forbidden("no".into()), 403, None);
        check(ApiError::NotFound("no".into()), 404, None);
        check(ApiError::Taken { attribute: "userName".into(), detail: "taken".into() }, 409, Some("uniqueness"));
        check(ApiError::PreconditionFailed("changed".into()), 412, None);
        check(refusal().into(), 400, Some("invalidValue"));
        check(Refusal { conflict: true, ..refusal() }.into(), 409, Some("uniqueness"));
        check(ApiError::Throttled { detail: "slow down".into(), retry_after_s: 7 }, 429, None);
        check(ApiError::Unavailable { detail: "not now".into(), retry_after_s: 7 }, 503, None);
        check(ApiError::TooLarge { limit: 1 }, 413, None);
        check(ApiError::UnsupportedMediaType("text/plain".into()), 415, None);
        check(ApiError::MethodNotAllowed, 405, None);
        check(ApiError::NotImplemented("Bulk".into()), 501, None);
        check(ApiError::internal("secret words"), 500, None);
        check(StoreError::PoolEmpty { pool: "extension".into() }.into(), 400, Some("invalidValue"));
        check(StoreError::TooMany.into(), 400, Some("tooMany"));
        check(StoreError::Stale { found: 3 }.into(), 503, None);
        check(StoreError::Corrupt("page 7".into()).into(), 500, None);
    }

    #[test]
    fn a_failure_shows_the_request_id_and_never_its_source() {
        let detail = ApiError::internal("secret words").to_scim(REQUEST).detail;
        assert!(detail.contains(REQUEST), "{detail}");
        assert!(!detail.contains("secret"), "{detail}");
    }

    #[test]
    fn a_refusal_names_target_field_attribute_cause_code_and_request() {
        assert_eq!(
            refusal().detail(REQUEST),
            "glance: UserAddress from userName: longer than 100 characters [too-long], a retry does not help \
             (request 01890a5d-ac96-774b-bcce-b302099a8057)"
        );
    }

    #[test]
    fn a_refusal_says_no_name_twice() {
        let cause = "UserAddress is longer than 100 characters; it comes from userName".to_owned();
        let detail = Refusal { cause, ..refusal() }.detail("");
        assert_eq!(
            detail,
            "glance: UserAddress is longer than 100 characters; it comes from userName [too-long], a retry does not help"
        );
    }

    #[test]
    fn a_long_cause_loses_its_end_and_nothing_behind_it() {
        let detail = Refusal { cause: "é".repeat(500), ..refusal() }.detail(REQUEST);
        assert_eq!(detail.chars().count(), LONGEST_DETAIL);
        assert!(detail.ends_with(&format!("é… [too-long], a retry does not help (request {REQUEST})")));
    }

    #[test]
    fn who_has_no_token_is_told_which_kind_to_send() {
        let answer = ApiError::Unauthorized("no token".into()).render(REQUEST);
        assert_eq!(answer.headers().get("www-authenticate").unwrap(), "Bearer realm=\"scim\"");
    }

    #[test]
    fn who_has_to_wait_is_told_how_many_whole_seconds() {
        let answer = ApiError::Unavailable { detail: "not now".into(), retry_after_s: 30 }.render(REQUEST);
        assert_eq!(answer.headers().get("retry-after").unwrap(), "30");
    }
}
