//! Who calls: the credential of a request becomes a [`Caller`], before any of the body is read (DESIGN section 6, step 1).
//!
//! It is a middleware and not an extractor, because actix polls the extractors of a handler together and one of them reads
//! the body. A request without a good credential for the tenant of its address is answered 401 in SCIM words; a token of
//! another tenant looks exactly like one that does not exist. Refused log-ins are counted, and written to the journal of
//! the tenant (without the token, and not more often than a person would want to read).

use std::{
    collections::HashMap,
    fmt,
    future::{Ready, ready},
    num::NonZeroU32,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest,
    body::{EitherBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap},
    middleware::Next,
    web::Data,
};
use bridge_store::{Credential, RequestEntry, StoreError};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use metrics::counter;
use serde_json::json;
use tracing::warn;

use crate::{
    api::{DEFAULT_TENANT, RequestId, manner},
    bridge::Bridge,
    clock::{Clock, later},
    config::RequestLimit,
    error::{ApiError, shortened},
    provisioning::Caller,
    throttle::{Bucket, TooFast},
    token::Token,
};

/// Uses of a token closer together than this are written down once.
const USE_GRAIN: Duration = Duration::from_secs(3600);

/// How long a credential is believed to be as it was read: `token revoke`, which writes to the database from a process of
/// its own, takes effect after that.
const BELIEVED: Duration = Duration::from_secs(1);

/// Credentials remembered at most; beyond, all are forgotten.
const REMEMBERED: usize = 1024;

/// How much of what a stranger sent is written to the journal, in characters: anybody can send 64 KiB of address.
const LONGEST_NOTED: usize = 200;

/// Refused log-ins per minute and tenant that are written to the journal.
const ENTRIES_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// Why a request may not go on. Each is a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// No `Authorization` header.
    NoCredential,
    /// User name and password.
    Basic,
    /// An `Authorization` header that holds no token of ours.
    Unreadable,
    /// No such token, or one of another tenant, or no such tenant: who asks must not learn which.
    Unknown,
    /// A token of this tenant that is past its time.
    Expired,
    /// A token of this tenant that an administrator has ended.
    Revoked,
    /// A token that stands for a user who is inactive or deleted.
    Inactive,
}

impl Stranger {
    /// Stable word for metrics and journal.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoCredential => "no-credential",
            Self::Basic => "basic",
            Self::Unreadable => "unreadable-token",
            Self::Unknown => "unknown-token",
            Self::Expired => "expired-token",
            Self::Revoked => "revoked-token",
            Self::Inactive => "inactive-user",
        }
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoCredential => {
                "The header Authorization is missing: send 'Authorization: Bearer' and a token of this bridge"
            }
            Self::Basic => {
                "User name and password are not accepted here: choose a bearer token (HTTP header) as authentication"
            }
            Self::Unreadable => {
                "The header Authorization holds no token of this bridge: such a token begins with 'scimb_'"
            }
            Self::Unknown => {
                "The token is not valid here: check that it was copied whole, and the address it is used with"
            }
            Self::Expired => "The token has expired: ask for a new one and enter it in the identity provider",
            Self::Revoked => "The token was revoked: ask for a new one and enter it in the identity provider",
            Self::Inactive => "The user that this token stands for is inactive or deleted: ask an administrator",
        })
    }
}

/// What the `Authorization` header holds. JSON web tokens and OAuth access tokens will be further variants.
#[derive(Debug)]
enum Presented {
    Token(Token),
}

impl Presented {
    /// `Bearer` is read in any letter case. Okta's "Header Auth" template sends what the administrator typed, so a token
    /// without that word is taken too (`idp/okta.md` section 2), and noted by `api::manner`; its prefix says that it is ours.
    fn read(headers: &HeaderMap) -> Result<Self, Stranger> {
        let value = headers.get(header::AUTHORIZATION).ok_or(Stranger::NoCredential)?;
        let text = value.to_str().map_err(|_| Stranger::Unreadable)?.trim();
        let token = match text.split_once(' ') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("basic") => return Err(Stranger::Basic),
            Some(_) => return Err(Stranger::Unreadable),
            None => text,
        };
        Token::parse(token).map(Self::Token).ok_or(Stranger::Unreadable)
    }
}

/// Why a request goes no further.
#[derive(Debug)]
pub enum NotIdentified {
    /// The request holds no good credential.
    Stranger(Stranger),
    /// It is known who calls, and that the connection sends more than it may.
    TooFast(TooFast),
    /// The store cannot say.
    Store(StoreError),
}

impl From<StoreError> for NotIdentified {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Credentials of tokens that were presented lately, so that not every request reads its own. Whether they are good is
/// judged anew each time. What each may still send is kept with them.
#[derive(Default)]
pub struct KnownTokens {
    by_hash: RwLock<HashMap<[u8; 32], Known>>,
}

#[derive(Clone)]
struct Known {
    credential: Arc<Credential>,
    /// None: it may send as much as it likes.
    bucket: Option<Arc<Bucket>>,
    read: Instant,
}

impl KnownTokens {
    /// The credential of a token, if it was read within the last second.
    fn recall(&self, token: &Token, now: Instant) -> Option<Known> {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let known = by_hash.get(token.hash())?;
        (now.saturating_duration_since(known.read) < BELIEVED).then(|| known.clone())
    }

    /// Remembers a credential that was found for a token. What is not there is not remembered: anybody can invent tokens.
    /// As long as the limit is the same, so is the bucket.
    fn remember(&self, token: &Token, found: Known, limit: Option<RequestLimit>, clock: &Clock) -> Known {
        let mut by_hash = self.by_hash.write().unwrap_or_else(PoisonError::into_inner);
        let bucket = by_hash.get(token.hash()).and_then(|known| known.bucket.clone());
        let bucket = bucket.filter(|bucket| Some(bucket.limit()) == limit);
        let bucket = bucket.or_else(|| Some(Bucket::new(limit?, clock).into()));
        if by_hash.len() >= REMEMBERED {
            by_hash.clear();
        }
        let known = Known { bucket, ..found };
        by_hash.insert(*token.hash(), known.clone());
        known
    }
}

/// Finds out who calls the tenant of that name, and counts the request.
///
/// # Errors
/// The reason for a 401, too many requests, or the failure of the store.
pub async fn identify(bridge: &Bridge, tenant: &str, headers: &HeaderMap) -> Result<Caller, NotIdentified> {
    let Presented::Token(token) = Presented::read(headers).map_err(NotIdentified::Stranger)?;
    let found = match bridge.known_tokens.recall(&token, Instant::now()) {
        Some(known) => Some(known),
        None => look_up(bridge, &token).await?,
    };
    let known = found.filter(|_| bridge.tenant(tenant).is_some());
    let (found, bucket) = known.map(|known| (known.credential, known.bucket)).unzip();
    let credential = judge(found, &token, tenant, bridge.clock.now()).map_err(NotIdentified::Stranger)?;
    if let Some(Err(too_fast)) = bucket.flatten().map(|bucket| bucket.take()) {
        too_fast.note(&credential.tenant, &credential.connection);
        return Err(NotIdentified::TooFast(too_fast));
    }
    if let Some(user) = &credential.subject
        && !is_at_work(bridge, tenant, user).await?
    {
        return Err(NotIdentified::Stranger(Stranger::Inactive));
    }
    Ok(Caller {
        tenant: credential.tenant.clone(),
        connection: credential.connection.clone(),
        label: credential.label.clone(),
        user: credential.subject.clone(),
    })
}

/// Whether the user that a token stands for is there and active: who has left must not let themselves in again.
async fn is_at_work(bridge: &Bridge, tenant: &str, user: &str) -> Result<bool, StoreError> {
    let found = bridge.store.read(|db| db.resource_of_any_type(tenant, user)).await?;
    Ok(found.is_some_and(|user| user.has_access()))
}

/// Reads the credential of a token, remembers it, and notes its use if it is good.
async fn look_up(bridge: &Bridge, token: &Token) -> Result<Option<Known>, StoreError> {
    // The time before the reading: what is revoked while it goes on is believed no longer than anything else.
    let asked = Instant::now();
    // Another process may have made it just now.
    let Some(credential) = bridge.store.read_newest(|db| db.credential_by_selector(&token.selector())).await? else {
        return Ok(None);
    };
    let (credential, now) = (Arc::new(credential), bridge.clock.now());
    let found = Known { credential: credential.clone(), bucket: None, read: asked };
    if judge(Some(credential.clone()), token, &credential.tenant, now).is_err() {
        return Ok(Some(found));
    }
    note_use(bridge, &credential, now);
    let limit = bridge.tenant(&credential.tenant).and_then(|tenant| tenant.requests);
    Ok(Some(bridge.known_tokens.remember(token, found, limit, &bridge.clock)))
}

/// Whether the stored credential is the presented one, of this tenant, and still good.
fn judge(
    found: Option<Arc<Credential>>,
    token: &Token,
    tenant: &str,
    now: Timestamp,
) -> Result<Arc<Credential>, Stranger> {
    match found.filter(|credential| token.matches(&credential.hash) && credential.tenant == tenant) {
        None => Err(Stranger::Unknown),
        Some(credential) if credential.revoked.is_some() => Err(Stranger::Revoked),
        Some(credential) if credential.expires.is_some_and(|end| end <= now) => Err(Stranger::Expired),
        Some(credential) => Ok(credential),
    }
}

/// Writes down once an hour that a token is in use, without keeping the request waiting.
fn note_use(bridge: &Bridge, credential: &Credential, now: Timestamp) {
    if credential.last_used.is_some_and(|last| now < later(last, USE_GRAIN)) {
        return;
    }
    let (store, selector) = (bridge.store.clone(), credential.selector.clone());
    tokio::spawn(async move {
        if let Err(error) = store.write(move |tx| tx.touch_credential(&selector, now)).await {
            warn!(%error, "The use of a token could not be written down");
        }
    });
}

/// Keeps strangers out of the SCIM addresses, and who sends too much: 401 or 429, or the request goes on with a [`Caller`]
/// among its extensions.
///
/// # Errors
/// Those of the service behind it.
pub async fn require_token(
    bridge: Data<Bridge>,
    log_book: Data<LogBook>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let tenant = request.match_info().get("tenant").unwrap_or(DEFAULT_TENANT);
    match identify(&bridge, tenant, request.headers()).await {
        Ok(caller) => {
            if let Err(why) = manner::heed(&bridge, &caller, &request) {
                return Ok(refuse(request, why));
            }
            request.extensions_mut().insert(caller);
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(NotIdentified::Stranger(stranger)) => {
            log_book.refused(&bridge, tenant, stranger, request.request());
            Ok(refuse(request, ApiError::Unauthorized(stranger.to_string())))
        }
        Err(NotIdentified::TooFast(too_fast)) => Ok(refuse(request, too_fast.into())),
        Err(NotIdentified::Store(error)) => Ok(refuse(request, error.into())),
    }
}

fn refuse<B>(request: ServiceRequest, error: ApiError) -> ServiceResponse<EitherBody<B>> {
    request.error_response(error).map_into_right_body()
}

/// An identity provider's. A token that stands for one user opens `/Me` (`api::me`) and discovery ([`Anybody`]).
impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions_mut().remove::<Self>();
        ready(match caller {
            Some(Self { user: None, .. }) => caller.ok_or_else(no_caller),
            Some(_) => Err(ApiError::Forbidden("This token stands for one user: it opens /Me, nothing else".into())),
            None => Err(no_caller()),
        })
    }
}

/// Whoever has a good token, be it an identity provider's or one that stands for a user.
#[derive(Debug)]
pub struct Anybody(pub Caller);

impl FromRequest for Anybody {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions_mut().remove::<Caller>().map(Self).ok_or_else(no_caller))
    }
}

/// A handler that is not behind [`require_token`].
pub(crate) fn no_caller() -> ApiError {
    ApiError::internal("a handler outside of the token check asks who calls")
}

/// Notes refused log-ins: all of them in the metrics, some of them in the journal of the tenant.
pub struct LogBook {
    entries: DefaultKeyedRateLimiter<String>,
}

impl Default for LogBook {
    fn default() -> Self {
        let quota = Quota::per_minute(ENTRIES_PER_MINUTE).allow_burst(ENTRIES_PER_MINUTE);
        Self { entries: RateLimiter::keyed(quota) }
    }
}

impl LogBook {
    fn refused(&self, bridge: &Bridge, tenant: &str, stranger: Stranger, request: &HttpRequest) {
        counter!("scim_bridge_refused_logins_total", "reason" => stranger.code()).increment(1);
        // An unknown tenant has no journal, and anybody can invent names.
        if bridge.tenant(tenant).is_none() || self.entries.check_key(&tenant.to_owned()).is_err() {
            return;
        }
        let now = bridge.clock.now();
        let entry = RequestEntry {
            key: 0,
            tenant: tenant.to_owned(),
            request_id: RequestId::of(request).to_string(),
            connection: None,
            method: shortened(request.method().as_str(), LONGEST_NOTED),
            path: shortened(request.path(), LONGEST_NOTED),
            body: None,
            resource: None,
            notes: Some(json!({ "refused": stranger.code() })),
            received: now,
            status: Some(401),
            outcome: Some(stranger.to_string()),
            finished: Some(now),
        };
        let store = bridge.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.write(move |tx| tx.add_request(&entry)).await {
                warn!(%error, "A refused log-in could not be written to the journal");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        [(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())].into_iter().collect()
    }

    fn credential(token: &Token) -> Credential {
        Credential {
            selector: token.selector(),
            hash: token.hash().to_vec(),
            tenant: "acme".into(),
            connection: "okta".into(),
            label: "Okta production".into(),
            scopes: "scim".into(),
            created: Timestamp::UNIX_EPOCH,
            expires: None,
            revoked: None,
            last_used: None,
            subject: None,
        }
    }

    fn known(token: &Token, read: Instant) -> Known {
        Known { credential: credential(token).into(), bucket: None, read }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_is_read_with_bearer_in_any_case_or_bare() {
        let token = Token::from_secret(&[7; 32]);
        for prefix in ["Bearer ", "bearer ", "BEARER   ", ""] {
            let read = Presented::read(&headers(&format!("{prefix}{}", token.expose())));
            let Presented::Token(read) = read.unwrap();
            assert_eq!(read.selector(), token.selector(), "{prefix}");
        }
    }

    #[test]
    fn what_holds_no_token_of_ours_is_refused_with_the_reason() {
        let check =
            |value: &str, stranger| assert_eq!(Presented::read(&headers(value)).unwrap_err(), stranger, "{value}");
        check("Basic dXNlcjpwYXNz", Stranger::Basic);
        check("non-token", Stranger::Unreadable);
        check("Bearer", Stranger::Unreadable);
        check("Bearer ", Stranger::Unreadable);
        check("Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl", Stranger::Unreadable);
        check("Digest username=\"jo\"", Stranger::Unreadable);
        check("", Stranger::Unreadable);
        assert_eq!(Presented::read(&HeaderMap::new()).unwrap_err(), Stranger::NoCredential);
    }

    #[test]
    fn a_good_token_of_the_tenant_is_let_in() {
        let token = Token::from_secret(&[7; 32]);
        let expiring = Credential { expires: Some(at(100)), ..credential(&token) };
        assert!(judge(Some(credential(&token).into()), &token, "acme", at(0)).is_ok());
        assert!(judge(Some(expiring.into()), &token, "acme", at(99)).is_ok());
    }

    #[test]
    fn a_token_that_is_not_good_here_is_refused() {
        let token = Token::from_secret(&[7; 32]);
        let check = |found: Option<Credential>, tenant: &str, stranger| {
            assert_eq!(judge(found.map(Arc::new), &token, tenant, at(100)).unwrap_err(), stranger);
        };
        check(None, "acme", Stranger::Unknown);
        check(Some(credential(&token)), "globex", Stranger::Unknown);
        check(Some(Credential { hash: vec![0; 32], ..credential(&token) }), "acme", Stranger::Unknown);
        check(Some(Credential { expires: Some(at(100)), ..credential(&token) }), "acme", Stranger::Expired);
        check(Some(Credential { revoked: Some(at(1)), ..credential(&token) }), "acme", Stranger::Revoked);
    }

    #[test]
    fn a_credential_is_believed_for_a_second_and_only_for_its_own_token() {
        let (known, token, read) = (KnownTokens::default(), Token::from_secret(&[7; 32]), Instant::now());
        let clock = Clock::hand_set(at(0));
        known.remember(&token, self::known(&token, read), None, &clock);
        assert!(known.recall(&token, read + Duration::from_millis(999)).is_some());
        assert!(known.recall(&token, read + BELIEVED).is_none());
        assert!(known.recall(&Token::from_secret(&[8; 32]), read).is_none());
    }

    #[test]
    fn invented_tokens_do_not_fill_the_memory() {
        let (known, now) = (KnownTokens::default(), Instant::now());
        for number in 0..=REMEMBERED {
            let token = Token::from_secret(&[u8::try_from(number % 256).unwrap(); 32]);
            let mut hash = *token.hash();
            hash[0] = u8::try_from(number / 256).unwrap();
            known.by_hash.write().unwrap().insert(hash, self::known(&token, now));
        }
        let token = Token::from_secret(&[9; 32]);
        known.remember(&token, self::known(&token, now), None, &Clock::hand_set(at(0)));
        assert_eq!(known.by_hash.read().unwrap().len(), 1);
    }

    #[test]
    fn a_token_that_is_read_again_has_no_more_to_send_than_before_unless_its_limit_changed() {
        let (known, token, now) = (KnownTokens::default(), Token::from_secret(&[7; 32]), Instant::now());
        let clock = Clock::hand_set(at(0));
        let limit = |burst| Some(RequestLimit { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(burst).unwrap() });
        let read = |limit| known.remember(&token, self::known(&token, now), limit, &clock).bucket;
        assert!(read(limit(1)).unwrap().take().is_ok());
        assert!(read(limit(1)).unwrap().take().is_err());
        assert!(read(limit(2)).unwrap().take().is_ok());
        assert!(read(None).is_none());
    }

    #[test]
    fn whether_another_tenants_token_is_good_does_not_show() {
        let token = Token::from_secret(&[7; 32]);
        let revoked = Credential { revoked: Some(at(1)), ..credential(&token) };
        let expired = Credential { expires: Some(at(1)), ..credential(&token) };
        for found in [None, Some(credential(&token)), Some(revoked), Some(expired)] {
            let found = found.map(Arc::new);
            assert_eq!(judge(found, &token, "globex", at(100)).unwrap_err(), Stranger::Unknown);
        }
    }
}
