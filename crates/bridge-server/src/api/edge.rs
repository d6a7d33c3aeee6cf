//! The outermost layer: whatever happens further in, the answer is SCIM (RFC 7644 section 3.12) and carries a request id.
//!
//! Okta shows a Java parser error and Entra quarantines the connection when an answer is HTML or empty text, so unknown
//! addresses, wrong methods, failures of middleware and panics are all put into the Error schema here. This is also the one
//! place where a failed request is logged.

use std::{
    any::Any,
    fmt,
    future::{Ready, ready},
    panic::AssertUnwindSafe,
    time::{Duration, Instant, SystemTime},
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use futures_util::FutureExt;
use metrics::histogram;
use percent_encoding::percent_decode_str;
use scim_model::ScimError;
use tracing::{Instrument, Span, debug, error, field, info, info_span, warn};
use uuid::Uuid;

use super::{
    manner,
    unread::{Keeping, Rest},
};
use crate::{
    bridge::Bridge,
    error::{ApiError, SCIM_JSON},
    provisioning::Received,
};

/// Carries the request id to the client.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names one request in answers, logs and journal. Grows with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(Uuid);

impl RequestId {
    /// From the system's time, like `Uuid::now_v7`, which would ask the system for random bytes each time.
    fn new() -> Self {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self(uuid::Builder::from_unix_timestamp_millis(milliseconds, &rand::random()).into_uuid())
    }

    /// The id that the request got when it arrived.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().copied().unwrap_or_else(Self::new)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// A failure that left no response behind to be changed; renders as the answer to that request.
#[derive(Debug)]
struct Unanswered {
    error: ApiError,
    id: RequestId,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, formatter)
    }
}

impl ResponseError for Unanswered {
    fn status_code(&self) -> StatusCode {
        self.error.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = self.error.render(&self.id.to_string());
        add_id(&mut answer, self.id);
        answer
    }
}

/// Gives the request its id, lets it through, and sees to it that the answer is SCIM.
///
/// # Errors
/// Only such as render as a SCIM answer.
pub(super) async fn answer_in_scim(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = RequestId::new();
    let began = Instant::now();
    let method = name_of(request.method());
    request.extensions_mut().insert(id);
    manner::straighten_path(&mut request);
    let rest = Rest::of(&mut request);
    let span = span_of(&request, id, method);
    let outcome = go_through(request, next).instrument(span.clone()).await;
    let _entered = span.enter();
    let took = began.elapsed();
    match outcome {
        Ok((mut response, None)) => {
            log(response.status(), None, method, took, Some(response.request()));
            add_id(response.response_mut(), id);
            Ok(response.map_into_left_body())
        }
        Ok((response, Some(error))) => {
            log(error.status(), Some(&error), method, took, Some(response.request()));
            Ok(replace(response, &error, id, rest).map_into_right_body())
        }
        Err(error) => {
            log(error.status(), Some(&error), method, took, None);
            Err(Unanswered { error, id }.into())
        }
    }
}

/// What the log lines of a request have in common. A client may write anything into an address, a name or a token too: of
/// the address only an id that can be one of ours is told.
fn span_of(request: &ServiceRequest, id: RequestId, method: &'static str) -> Span {
    let resource = || request.path().rsplit('/').find_map(|part| Uuid::try_parse(part).ok()).map(field::display);
    info_span!("request", request.id = %id, method, resource.id = resource())
}

/// The route that a request took; none if it took none.
fn route_of(request: Option<&HttpRequest>) -> Option<String> {
    request.and_then(HttpRequest::match_pattern).filter(|route| !route.is_empty())
}

/// Lets the request through. Gives the answer, with the error to answer instead if it is not SCIM; or only an error, when
/// there is no answer to put it into.
async fn go_through<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<(ServiceResponse<B>, Option<ApiError>), ApiError> {
    if percent_decode_str(request.path()).decode_utf8().is_err() {
        return Err(ScimError::invalid_syntax("The address is not UTF-8 after percent-decoding").into());
    }
    // After a panic the request is gone, and nothing else is shared with it.
    match AssertUnwindSafe(async { next.call(request).await }).catch_unwind().await {
        Ok(Ok(response)) => {
            let error = error_of(&response);
            Ok((response, error))
        }
        Ok(Err(error)) => {
            Err(own_error(&error).unwrap_or_else(|| foreign_error(error.as_response_error().status_code())))
        }
        Err(panic) => Err(ApiError::internal(format!("panic: {}", words(&*panic)))),
    }
}

/// The error that an answer stands for; `None` if it can stay as it is.
fn error_of<B>(response: &ServiceResponse<B>) -> Option<ApiError> {
    let status = response.status();
    let is_failure = status.is_client_error() || status.is_server_error();
    let is_scim = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == SCIM_JSON);
    let error = response.response().error().and_then(own_error);
    error.or_else(|| (is_failure && !is_scim).then(|| foreign_error(status)))
}

/// Answers with the error. Of the answer that it replaces, the header `Allow` stays.
fn replace<B>(
    response: ServiceResponse<B>,
    error: &ApiError,
    id: RequestId,
    rest: Option<Rest>,
) -> ServiceResponse<Keeping> {
    let mut answer = error.render(&id.to_string()).map_body(|_, body| Keeping::new(body, rest));
    add_id(&mut answer, id);
    if let Some(allow) = response.headers().get(header::ALLOW) {
        answer.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response.into_response(answer)
}

fn add_id<B>(answer: &mut HttpResponse<B>, id: RequestId) {
    let mut text = Uuid::encode_buffer();
    // Hexadecimal digits and dashes are always a valid header value.
    if let Ok(value) = HeaderValue::from_str(id.0.hyphenated().encode_lower(&mut text)) {
        answer.headers_mut().insert(REQUEST_ID, value);
    }
}

fn own_error(error: &Error) -> Option<ApiError> {
    error.as_error::<ApiError>().cloned()
}

/// An error that the web server found on its own: it has a status and no words of ours.
fn foreign_error(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::NotFound("There is nothing at this address, check the base URL".into()),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::MethodNotAllowed,
        status if status.is_client_error() => {
            let reason = status.canonical_reason().unwrap_or("the request cannot be understood");
            ScimError::new(status.as_u16(), None, reason).into()
        }
        status => ApiError::internal(format!("an answer with status {status} that is not ours")),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

/// One line per request: what came of it, without what the client sent. What a line tells is found out only if somebody
/// wants to read it.
fn log(
    status: StatusCode,
    error: Option<&ApiError>,
    method: &'static str,
    took: Duration,
    request: Option<&HttpRequest>,
) {
    let class = match status.as_u16() {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    histogram!("scim_bridge_request_seconds", "method" => method, "status" => class).record(took.as_secs_f64());
    let (status, took_ms) = (status.as_u16(), took.as_millis() as u64);
    match error {
        Some(ApiError::Internal { source }) => {
            error!(status, took_ms, route = route_of(request), "Request failed inside the bridge: {source}");
        }
        Some(ApiError::Unavailable { detail, .. }) => {
            warn!(status, took_ms, route = route_of(request), "Request put off: {detail}");
        }
        // A client that sends without end would fill the log (`throttle` says it once a minute).
        Some(ApiError::Throttled { .. }) => {
            debug!(status, took_ms, route = route_of(request), "Request refused with {status}");
        }
        _ if status >= 500 => warn!(status, took_ms, route = route_of(request), "Request answered with {status}"),
        Some(error) => {
            let scim_type = error.scim_type().map_or("", |scim_type| scim_type.as_str());
            info!(status, took_ms, route = route_of(request), scim_type, "Request refused with {status}");
        }
        None if status >= 400 => info!(status, took_ms, route = route_of(request), "Request refused with {status}"),
        None if method == "GET" || method == "HEAD" => {
            debug!(status, took_ms, route = route_of(request), "Request answered with {status}");
        }
        None => info!(status, took_ms, route = route_of(request), "Request answered with {status}"),
    }
}

/// The method as a word that can label a metric.
fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

impl FromRequest for Received {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(bridge) = request.app_data::<Data<Bridge>>() else {
            return ready(Err(ApiError::internal("no bridge behind this server")));
        };
        let user_agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        ready(Ok(Self {
            request_id: RequestId::of(request).to_string(),
            method: name_of(request.method()),
            path: request.path().to_owned(),
            user_agent: user_agent.map(str::to_owned),
            at: bridge.clock.now(),
            waits: true,
        }))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, middleware::from_fn, test, web};
    use serde_json::{Value, json};

    use super::*;

    async fn broken() -> HttpResponse {
        panic!("secret words")
    }

    async fn foreign() -> Result<HttpResponse, Error> {
        Err(actix_web::error::ErrorImATeapot("<html>"))
    }

    async fn fine() -> HttpResponse {
        HttpResponse::Ok().insert_header((header::CONTENT_TYPE, SCIM_JSON)).body("{}")
    }

    async fn refused() -> Result<HttpResponse, ApiError> {
        Err(ApiError::internal("secret words"))
    }

    async fn ask(method: Method, path: &str) -> (u16, header::HeaderMap, Value) {
        let app = App::new()
            .wrap(from_fn(answer_in_scim))
            .route("/broken", web::get().to(broken))
            .route("/foreign", web::get().to(foreign))
            .route("/refused", web::get().to(refused))
            .service(web::resource("/fine").get(fine).put(fine))
            .service(web::resource("/users/{id}").put(fine))
            .service(
                web::scope("/shut")
                    .wrap(from_fn(|_: ServiceRequest, _: Next<actix_web::body::BoxBody>| async {
                        Err::<ServiceResponse, _>(Error::from(ApiError::Unauthorized("no token".into())))
                    }))
                    .route("/in", web::get().to(fine)),
            );
        let app = test::init_service(app).await;
        let request = test::TestRequest::default().method(method).uri(path).to_request();
        let answer = match test::try_call_service(&app, request).await {
            Ok(answer) => answer.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
        (status, headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    #[actix_web::test]
    async fn every_failure_is_an_error_in_scim_with_a_request_id() {
        let cases = [
            (Method::GET, "/broken", 500),
            (Method::GET, "/refused", 500),
            (Method::GET, "/foreign", 418),
            (Method::GET, "/nowhere", 404),
            (Method::DELETE, "/fine", 405),
            (Method::GET, "/shut/in", 401),
            (Method::GET, "/shut/nowhere", 401),
            (Method::GET, "/%ff%fe", 400),
        ];
        for (method, path, expected) in cases {
            let (status, headers, body) = ask(method, path).await;
            assert_eq!(status, expected, "{path}");
            assert_eq!(headers.get("content-type").unwrap(), SCIM_JSON, "{path}");
            assert_eq!(headers.get("x-request-id").unwrap().len(), 36, "{path}");
            assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{path}");
            assert_eq!(body["status"], json!(expected.to_string()), "{path}");
            assert!(!body.to_string().contains("secret"), "{path}");
            assert!(!body.to_string().contains('<'), "{path}");
        }
    }

    #[actix_web::test]
    async fn a_failure_inside_names_the_request_that_the_header_names() {
        for path in ["/broken", "/refused"] {
            let (_, headers, body) = ask(Method::GET, path).await;
            let id = headers.get("x-request-id").unwrap().to_str().unwrap();
            assert!(body["detail"].as_str().unwrap().contains(id), "{body}");
        }
    }

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[actix_web::test]
    async fn a_log_line_tells_the_route_and_our_id_and_nothing_else_of_an_address() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let logging = tracing::subscriber::set_default(subscriber);
        ask(Method::PUT, "/users/ann@acme.example?token=s3cret").await;
        ask(Method::PUT, "/users/0192f0c1-2b3a-7c4d-8e5f-60718293a4b5/").await;
        ask(Method::GET, "/ann@acme.example").await;
        drop(logging);
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().count(), 3, "{log}");
        assert!(!log.contains("acme.example") && !log.contains("s3cret"), "{log}");
        assert_eq!(log.matches(r#"route="/users/{id}""#).count(), 2, "{log}");
        assert!(log.contains("resource.id=0192f0c1-2b3a-7c4d-8e5f-60718293a4b5"), "{log}");
    }

    #[actix_web::test]
    async fn a_wrong_method_is_told_the_right_ones() {
        let (_, headers, _) = ask(Method::DELETE, "/fine").await;
        assert_eq!(headers.get("allow").unwrap(), "GET, PUT");
    }

    #[actix_web::test]
    async fn a_good_answer_passes_with_its_request_id() {
        let (status, headers, body) = ask(Method::GET, "/fine").await;
        assert_eq!((status, body), (200, json!({})));
        assert!(headers.contains_key("x-request-id"));
    }
}
