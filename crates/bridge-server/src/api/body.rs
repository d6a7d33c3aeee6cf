//! The body of a SCIM request: media types, size and syntax (RFC 7644 section 3.1, RFC 8259).
//!
//! Clients send `application/scim+json`, `application/json`, either with any charset, or no media type at all
//! (`idp/others.md` section 11). What says that it is something else is refused before it is read.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::header::{self, HeaderMap},
    web::{Bytes, BytesMut, Data},
};
use futures_util::{Stream, StreamExt, future::LocalBoxFuture};
use scim_model::ScimError;
use serde_json::Value;

use crate::{bridge::Bridge, config::ServerConfig, error::ApiError};

/// How long a client may take to send a body. Longer than any provider waits for its answer (Okta: 60 s).
const PATIENCE: Duration = Duration::from_secs(60);

/// A JSON object that arrived as the body of a request.
#[derive(Debug)]
pub struct ScimBody(pub Value);

impl FromRequest for ScimBody {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = receive(request, payload, |server| server.max_body);
        Box::pin(async { body.await.map(Self) })
    }
}

/// The body of a bulk request, which has a limit of its own.
#[derive(Debug)]
pub(super) struct BulkBody(pub(super) Value);

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
) -> impl Future<Output = Result<Value, ApiError>> + 'static {
    let (request, payload) = (request.clone(), payload.take());
    async move {
        let bridge =
            request.app_data::<Data<Bridge>>().ok_or_else(|| ApiError::internal("no bridge behind this server"))?;
        let limit = limit(&bridge.landscape().config.server);
        check_headers(request.headers(), limit)?;
        let bytes = tokio::time::timeout(PATIENCE, read(payload, limit))
            .await
            .map_err(|_| ScimError::new(408, None, "The body did not arrive in time"))??;
        parse(&bytes)
    }
}

/// Refuses by the headers alone what need not be read.
fn check_headers(headers: &HeaderMap, limit: u64) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(media_type) = text(header::CONTENT_TYPE) {
        check_media_type(media_type)?;
    }
    if let Some(coding) = text(header::CONTENT_ENCODING).filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(unsupported(format!("Content-Encoding {}", printable(coding))));
    }
    match text(header::CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok()) {
        Some(length) if length > limit => Err(ApiError::TooLarge { limit }),
        _ => Ok(()),
    }
}

fn check_media_type(value: &str) -> Result<(), ApiError> {
    let essence = value.split(';').next().unwrap_or_default().trim();
    let is_known =
        ["application/scim+json", "application/json", ""].iter().any(|known| essence.eq_ignore_ascii_case(known));
    if is_known { Ok(()) } else { Err(unsupported(format!("Content-Type {}", printable(essence)))) }
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

/// Reads a JSON object. A name that is there twice has its last value, as most JSON readers do. NUL in a text is refused
/// because no database can keep it.
fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ScimError::invalid_syntax("The body is empty, a JSON object is expected").into());
    }
    let body: Value = serde_json::from_slice(bytes)
        .map_err(|error| ScimError::invalid_syntax(format!("The body is not valid JSON: {error}")))?;
    if !body.is_object() {
        return Err(ScimError::invalid_syntax(format!("The body must be a JSON object, not {}", kind(&body))).into());
    }
    if has_nul(&body) {
        return Err(ScimError::invalid_value("The body contains the character NUL, which cannot be stored").into());
    }
    Ok(body)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The reader of JSON goes 128 levels deep, so this recursion ends.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use futures_util::stream;
    use serde_json::json;

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

    #[test]
    fn an_object_is_read() {
        assert_eq!(parse(br#" {"a": 1} "#).unwrap(), json!({"a": 1}));
        assert_eq!(parse(b"\xef\xbb\xbf{}").unwrap(), json!({}));
        assert_eq!(parse(br#"{"a": 1, "a": 2}"#).unwrap(), json!({"a": 2}));
    }

    #[test]
    fn what_is_no_json_object_is_refused_with_its_place() {
        let check = |body: &[u8], words: &str| {
            let error = parse(body).unwrap_err();
            assert_eq!(error.status().as_u16(), 400);
            assert!(error.to_string().contains(words), "{error}");
        };
        check(b"", "empty");
        check(b" \r\n", "empty");
        check(b"{\"userName\":\n  nope}", "line 2 column 4");
        check(b"{\"userName\": \"jo\"", "line 1 column 17");
        check(b"{} {}", "line 1 column 4");
        check(b"[]", "not an array");
        check(b"\"jo\"", "not a text");
        check(b"null", "not null");
        check(b"<html></html>", "line 1 column 1");
        check(b"{\"a\": \"\xff\xfe\"}", "line 1");
        check(b"{\"a\": \"\\ud800\"}", "line 1");
        check(br#"{"a": [{"b": "x\u0000y"}]}"#, "NUL");
        check(br#"{"a\u0000": 1}"#, "NUL");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_exhausts_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let error = parse(deep.as_bytes()).unwrap_err();
        assert_eq!(error.status().as_u16(), 400);
        assert!(error.to_string().contains("recursion limit"), "{error}");
        let objects = "{\"a\":".repeat(100_000);
        assert_eq!(parse(objects.as_bytes()).unwrap_err().status().as_u16(), 400);
    }
}
