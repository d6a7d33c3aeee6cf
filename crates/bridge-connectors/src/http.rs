//! One HTTP client per target: waits its turn, sends, and reads a reply of bounded size.
//!
//! Only transport is judged here (DESIGN section 7): a connection that was never made leaves no doubt, a reply that never
//! came does, if the call writes. What a status or a body means is each target's own business.

use std::error::Error as _;
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::{Host, Url};

use crate::error::{ConfigError, TargetError, shorten};
use crate::{Clock, CommonConfig, Manners, Method};

/// A reply longer than this is not read.
const LONGEST_REPLY: usize = 16 * 1024 * 1024;
/// A target that asks for a longer pause gets this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything outside RFC 3986's unreserved letters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a path segment or a query value.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// One target's HTTP client.
pub(crate) struct Http {
    client: reqwest::Client,
    base: Url,
    timeout: Duration,
    manners: Manners,
    clock: Clock,
}

/// One request.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Relative to the base, percent-encoded, query included.
    pub(crate) path: &'a str,
    /// What the server is told to send.
    pub(crate) accept: &'static str,
    /// The Authorization header.
    pub(crate) authorization: Option<SecretString>,
    pub(crate) body: Body<'a>,
    /// The request changes something, so a lost reply leaves doubt.
    pub(crate) writes: bool,
}

/// What a request carries.
pub(crate) enum Body<'a> {
    None,
    Form(&'a [(String, String)]),
    Json(&'a Value),
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: String,
    /// The request changed something, if it was understood.
    pub(crate) writes: bool,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The errors that mean the same at every target: throttled, not well, or redirected.
    pub(crate) fn transport_error(&self) -> Option<TargetError> {
        match self.status {
            429 => Some(TargetError::Throttled { retry_after: self.retry_after }),
            408 | 500..=599 => Some(self.unavailable(format!("HTTP {}", self.status))),
            // Nobody acts on a request that it sends elsewhere.
            300..=399 => Some(TargetError::Unauthorized {
                reason: format!("HTTP {}, a redirect; check the target's base_url", self.status),
            }),
            _ => None,
        }
    }

    pub(crate) fn unavailable(&self, reason: String) -> TargetError {
        TargetError::Unavailable { reason, retry_after: self.retry_after, doubt: self.writes }
    }
}

impl Http {
    /// Builds the client of one target.
    ///
    /// # Errors
    /// An address that is not http or https, that carries credentials or a query, or that would send credentials in the
    /// clear beyond this machine where the vendor forbids it (`https_only`).
    pub(crate) fn new(config: &CommonConfig, https_only: bool, clock: Clock) -> Result<Self, ConfigError> {
        let base = base(&config.base_url, https_only)?;
        let client = reqwest::Client::builder()
            .timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("scim-bridge/", env!("CARGO_PKG_VERSION")));
        // What stays on this machine goes past no proxy, whatever the environment says: plain http is allowed here alone.
        let client = if is_here(&base) { client.no_proxy() } else { client };
        let client = client.build().map_err(|error| ConfigError(format!("no HTTP client: {}", deepest(&error))))?;
        Ok(Self { client, base, timeout: config.timeout, manners: config.manners.clone(), clock })
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The longest that a connector spends on one call of a plan: waiting for its turn, the call, and what follows from
    /// it (a renewed token, a look at what a refusal meant).
    pub(crate) fn call_limit(&self) -> Duration {
        self.timeout * 3
    }

    /// Ends `work` at [`Self::call_limit`], with doubt.
    pub(crate) async fn limited<T>(
        &self,
        work: impl Future<Output = Result<T, TargetError>>,
    ) -> Result<T, TargetError> {
        match tokio::time::timeout(self.call_limit(), work).await {
            Ok(result) => result,
            Err(_) => Err(TargetError::Unavailable {
                reason: format!("not done within {} s", self.call_limit().as_secs()),
                retry_after: None,
                doubt: true,
            }),
        }
    }

    /// Waits for its turn, sends, and reads the whole reply.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Reply, TargetError> {
        let turn = async {
            let permit = self.manners.turns.acquire().await;
            if let Some(rate) = &self.manners.rate {
                rate.until_ready().await;
            }
            permit
        };
        // No turn within a timeout: nothing was sent, and the caller's lease is running.
        let Ok(Ok(_permit)) = tokio::time::timeout(self.timeout, turn).await else {
            return Err(TargetError::Throttled { retry_after: None });
        };
        let writes = request.writes;
        let built = self.build(request)?;
        let response = self.client.execute(built).await.map_err(|error| self.failure(&error, writes))?;
        self.read(response, writes).await
    }

    fn build(&self, request: Request<'_>) -> Result<reqwest::Request, TargetError> {
        let refused = |reason: String| TargetError::Refused {
            code: "unsendable".to_owned(),
            field: None,
            reason,
            retry_helps: false,
        };
        let url = Url::parse(&format!("{}{}", self.base, request.path))
            .map_err(|error| refused(format!("no address: {error}")))?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, url).header(ACCEPT, request.accept);
        if let Some(authorization) = request.authorization {
            let mut value = HeaderValue::from_str(authorization.expose_secret())
                .map_err(|_| TargetError::Unauthorized { reason: "the credential is not text".to_owned() })?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        builder = match request.body {
            Body::None => builder,
            Body::Form(fields) => builder.form(fields),
            Body::Json(value) => builder.json(value),
        };
        builder.build().map_err(|_| refused("the call cannot be written as HTTP".to_owned()))
    }

    async fn read(&self, mut response: reqwest::Response, writes: bool) -> Result<Reply, TargetError> {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| pause(text, self.now()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(&error, writes))? {
            if body.len() + chunk.len() > LONGEST_REPLY {
                return Err(TargetError::Garbled { reason: "the reply is larger than 16 MiB".to_owned() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, retry_after, body: String::from_utf8_lossy(&body).into_owned(), writes })
    }

    fn failure(&self, error: &reqwest::Error, writes: bool) -> TargetError {
        let (reason, doubt) = if error.is_connect() {
            (format!("no connection: {}", deepest(error)), false)
        } else if error.is_timeout() {
            (format!("no reply within {} s", self.timeout.as_secs_f32()), writes)
        } else {
            ("the connection broke before the reply was complete".to_owned(), writes)
        };
        TargetError::Unavailable { reason, retry_after: None, doubt }
    }
}

/// Whether an address is on this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The base address with a trailing slash, if calls may be sent there.
fn base(url: &Url, https_only: bool) -> Result<Url, ConfigError> {
    match url.scheme() {
        "https" => {}
        "http" if is_here(url) || !https_only => {}
        "http" => return Err(ConfigError("base_url must be https: each call carries the credential".to_owned())),
        other => return Err(ConfigError(format!("base_url must be https, not {other}"))),
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError("base_url must be an address alone: no credentials, no query".to_owned()));
    }
    let mut base = url.clone();
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    Ok(base)
}

/// The innermost cause, which says most ("Connection refused"), without any address.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = "cannot be reached".to_owned();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    if text.contains("InvalidContentType") {
        text = "what listens there speaks no TLS; base_url needs another port, or http".to_owned();
    }
    shorten(&text, 80)
}

/// Retry-After in both its forms (RFC 9110 section 10.2.3): seconds, or a date.
fn pause(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let pause = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().ok()?)
    } else {
        let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now: Timestamp = "2015-10-21T07:27:30Z".parse().unwrap();
        let check =
            |text: &str, seconds: Option<u64>| assert_eq!(pause(text, now), seconds.map(Duration::from_secs), "{text}");
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("Wed, 21 Oct 2015 07:28:00 GMT", Some(30));
        check("Wed, 21 Oct 2015 07:00:00 GMT", Some(0));
        check("99999999", Some(24 * 60 * 60));
        check("99999999999999999999999", None);
        check("soon", None);
        check("-5", None);
        check("", None);
    }

    #[test]
    fn a_base_address_ends_in_a_slash_and_sends_no_credential_in_the_clear() {
        let check = |text: &str, expected: Option<&str>| {
            let base = base(&Url::parse(text).unwrap(), true).ok();
            assert_eq!(base.as_ref().map(Url::as_str), expected, "{text}");
        };
        check("https://www.glance.net/PAPI", Some("https://www.glance.net/PAPI/"));
        check("https://www.glance.net/PAPI/", Some("https://www.glance.net/PAPI/"));
        check("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/"));
        check("http://[::1]:8080/PAPI/", Some("http://[::1]:8080/PAPI/"));
        check("http://localhost/PAPI/", Some("http://localhost/PAPI/"));
        check("http://www.glance.net/PAPI/", None);
        check("ftp://www.glance.net/", None);
        check("https://user@www.glance.net/", None);
        check("https://www.glance.net/?a=b", None);
        assert!(base(&Url::parse("http://crm.acme.example/").unwrap(), false).is_ok());
    }

    #[test]
    fn replies_that_mean_the_same_everywhere_are_judged_here() {
        let reply = |status, writes| Reply { status, retry_after: None, body: String::new(), writes };
        assert_eq!(reply(429, true).transport_error(), Some(TargetError::Throttled { retry_after: None }));
        assert!(reply(503, true).transport_error().is_some_and(|error| error.leaves_doubt()));
        assert!(reply(503, false).transport_error().is_some_and(|error| !error.leaves_doubt()));
        assert!(matches!(reply(302, true).transport_error(), Some(TargetError::Unauthorized { .. })));
        assert_eq!(reply(200, true).transport_error(), None);
        assert_eq!(reply(400, true).transport_error(), None);
    }

    fn http(timeout: Duration, rate_per_second: u32, base_url: &str) -> Http {
        let base_url = Url::parse(base_url).unwrap();
        let common = CommonConfig { base_url, timeout, manners: Manners::new(1, rate_per_second) };
        Http::new(&common, false, std::sync::Arc::new(|| Timestamp::UNIX_EPOCH)).unwrap()
    }

    fn get(path: &str) -> Request<'_> {
        Request { method: Method::Get, path, accept: "*/*", authorization: None, body: Body::None, writes: true }
    }

    #[tokio::test]
    async fn a_call_that_gets_no_turn_was_not_sent() {
        // Nobody listens there: a call that is sent fails otherwise.
        let http = http(Duration::from_millis(20), 0, "http://127.0.0.1:9/");
        let turn = http.manners.turns.acquire().await.unwrap();
        assert_eq!(http.send(get("x")).await.map(|_| ()), Err(TargetError::Throttled { retry_after: None }));
        drop(turn);
        let error = http.send(get("x")).await.unwrap_err();
        assert!(matches!(error, TargetError::Unavailable { doubt: false, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_call_above_the_rate_waits_and_is_not_sent() {
        let http = http(Duration::from_millis(20), 1, "http://127.0.0.1:9/");
        assert!(http.manners.rate.as_ref().unwrap().check().is_ok());
        assert_eq!(http.send(get("x")).await.map(|_| ()), Err(TargetError::Throttled { retry_after: None }));
    }

    #[tokio::test]
    async fn two_connectors_of_one_target_share_its_turns_and_its_rate() {
        let manners = Manners::new(1, 1);
        let of = |manners: Manners| {
            let base_url = Url::parse("http://127.0.0.1:9/").unwrap();
            let common = CommonConfig { base_url, timeout: Duration::from_millis(20), manners };
            Http::new(&common, false, std::sync::Arc::new(|| Timestamp::UNIX_EPOCH)).unwrap()
        };
        let (before, after) = (of(manners.clone()), of(manners.or_new(1, 1)));
        let turn = before.manners.turns.acquire().await.unwrap();
        assert_eq!(after.send(get("x")).await.map(|_| ()), Err(TargetError::Throttled { retry_after: None }));
        drop(turn);
        assert!(before.manners.rate.as_ref().unwrap().check().is_ok());
        assert_eq!(after.send(get("x")).await.map(|_| ()), Err(TargetError::Throttled { retry_after: None }));
        let changed = of(manners.or_new(1, 0));
        let error = changed.send(get("x")).await.unwrap_err();
        assert!(matches!(error, TargetError::Unavailable { doubt: false, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn work_that_does_not_end_is_ended_with_doubt() {
        let http = http(Duration::from_millis(10), 0, "http://127.0.0.1:9/");
        let error = http.limited(std::future::pending::<Result<(), TargetError>>()).await.unwrap_err();
        assert!(matches!(error, TargetError::Unavailable { doubt: true, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_reply_without_end_is_not_read() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            // Ends when the client has had enough.
            while stream.write_all(&[b'x'; 65_536]).is_ok() {}
        });
        let error = http(Duration::from_secs(60), 0, &base_url).send(get("x")).await.unwrap_err();
        assert!(matches!(error, TargetError::Garbled { .. }), "{error:?}");
    }
}
