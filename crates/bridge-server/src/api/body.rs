//! The body of a SCIM request: media type, coding and size (RFC 7644 section 3.1). What says that it is something else than
//! JSON is refused before it is read; its text is read by `scim_model::read_body`.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::header::{self, HeaderMap},
    web::{Bytes, BytesMut, Data},
};
use futures_util::{Stream, StreamExt, future::LocalBoxFuture};
use scim_model::{Note, ScimError, is_json, read_body};
use serde_json::Value;

use crate::{bridge::Bridge, config::ServerConfig, error::ApiError};

/// How long a client may take to send a body. Longer than any provider waits for its answer (Okta: 60 s).
const PATIENCE: Duration = Duration::from_secs(60);

/// A JSON object that arrived as the body of a request.
#[derive(Debug)]
pub struct ScimBody {
    /// What it says.
    pub value: Value,
    /// What was tolerated in its text.
    pub notes: Vec<Note>,
}

impl FromRequest for ScimBody {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = receive(request, payload, |server| server.max_body);
        Box::pin(body)
    }
}

/// The body of a bulk request, which has a limit of its own.
#[derive(Debug)]
pub(super) struct BulkBody(pub(super) ScimBody);

impl FromRequest for BulkBody {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = receive(request, payload, |server| server.bulk_max_payload);
        Box::pin(async { body.await.map(Self) })
    }
}

/// Reads a body, under one of the limits that the configuration sets.
fn receive(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: fn(&ServerConfig) -> u64,
) -> impl Future<Output = Result<ScimBody, ApiError>> + 'static {
    let (request, payload) = (request.clone(), payload.take());
    async move {
        let bridge =
            request.app_data::<Data<Bridge>>().ok_or_else(|| ApiError::internal("no bridge behind this server"))?;
        let limit = limit(&bridge.landscape().config.server);
        check_headers(request.headers(), limit)?;
        let bytes = tokio::time::timeout(PATIENCE, read(payload, limit))
            .await
            .map_err(|_| ScimError::new(408, None, "The body did not arrive in time"))??;
        let (value, notes) = read_body(&bytes)?;
        Ok(ScimBody { value, notes })
    }
}

/// Refuses by the headers alone what need not be read.
fn check_headers(headers: &HeaderMap, limit: u64) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(media_type) = text(header::CONTENT_TYPE).filter(|media_type| !is_json(media_type)) {
        return Err(unsupported(format!("Content-Type {}", printable(media_type))));
    }
    if let Some(coding) = text(header::CONTENT_ENCODING).filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(unsupported(format!("Content-Encoding {}", printable(coding))));
    }
    match text(header::CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok()) {
        Some(length) if length > limit => Err(ApiError::TooLarge { limit }),
        _ => Ok(()),
    }
}

fn unsupported(what: String) -> ApiError {
    ApiError::UnsupportedMediaType(format!("{what} is not understood here, send application/scim+json"))
}

/// The beginning of a header value, without what a log could trip over.
fn printable(text: &str) -> String {
    text.chars().filter(|character| character.is_ascii_graphic()).take(60).collect()
}

/// Reads a body up to `limit` bytes and not a chunk further.
async fn read(
    mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    limit: u64,
) -> Result<BytesMut, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| ScimError::invalid_syntax(format!("The body did not arrive whole: {error}")))?;
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(ApiError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use futures_util::stream;

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn both_media_types_any_charset_and_none_are_taken() {
        let check = |value: &'static str| check_headers(&headers(&[(header::CONTENT_TYPE, value)]), 10).unwrap();
        check("application/scim+json");
        check("application/json");
        check("application/scim+json; charset=utf-8");
        check("application/scim+json;charset=UTF-8");
        check("Application/JSON; charset=iso-8859-1; q=1");
        check("");
        check_headers(&headers(&[]), 10).unwrap();
    }

    #[test]
    fn other_media_types_are_refused_by_name() {
        let check = |value: &'static str| {
            let error = check_headers(&headers(&[(header::CONTENT_TYPE, value)]), 10).unwrap_err();
            assert_eq!(error.status().as_u16(), 415, "{value}");
            assert!(error.to_string().contains(value), "{error}");
        };
        check("text/plain");
        check("application/x-www-form-urlencoded");
        check("application/xml");
        check("multipart/form-data");
        check("application/json-patch+json");
        let error = check_headers(&headers(&[(header::CONTENT_ENCODING, "gzip")]), 10).unwrap_err();
        assert_eq!(error.status().as_u16(), 415);
    }

    #[test]
    fn a_body_that_says_it_is_too_long_is_not_read() {
        let check = |length, expected| {
            let result = check_headers(&headers(&[(header::CONTENT_LENGTH, length)]), 10);
            assert_eq!(result.map_err(|error| error.status().as_u16()).err(), expected, "{length}");
        };
        check("10", None);
        check("11", Some(413));
        check("99999999999", Some(413));
    }

    #[actix_web::test]
    async fn reading_stops_at_the_limit() {
        let chunks = |count: usize| stream::iter((0..count).map(|_| Ok(Bytes::from_static(b"0123456789"))));
        assert_eq!(read(chunks(2), 20).await.unwrap().len(), 20);
        let mut endless = stream::repeat_with(|| Ok(Bytes::from_static(b"0123456789")));
        assert_eq!(read(&mut endless, 25).await.unwrap_err().status().as_u16(), 413);
    }

    #[actix_web::test]
    async fn a_body_that_breaks_off_is_the_clients_fault() {
        let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(PayloadError::Incomplete(None))]);
        assert_eq!(read(broken, 25).await.unwrap_err().status().as_u16(), 400);
    }
}
