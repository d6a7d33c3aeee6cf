//! A domain PBX by NetSapiens API v2 (dossier netsapiens.md).

mod sign_in;
mod wire;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bridge_mapping::{Account, TargetKind};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tracing::warn;
use url::Url;

use crate::http::{Body, Http, Reply, Request, encode};
use crate::mask::{Known, clean};
use crate::reading::text;
use crate::token::Tokens;
use crate::{
    AccountKeys, Call, Clock, CommonConfig, ConfigError, Connector, Effect, Method, Observed, PageToken, Plan,
    ProbeReport, TargetError, Traits, Wanted,
};
use wire::{Release, USER};

/// How to reach one domain of a NetSapiens platform.
#[derive(Debug, Clone)]
pub struct Config {
    /// The domain whose users are driven.
    pub domain: String,
    /// How to sign in.
    pub credential: Credential,
    /// Name of a dial policy that denies all calls; set on suspension if the provider has one.
    pub suspend_dial_policy: Option<String>,
    /// Remove the user's devices on suspension. They are not restored on return.
    pub delete_devices_on_suspend: bool,
    /// Create with `synchronous=yes`, so that the answer carries the user.
    pub synchronous: bool,
}

/// How to sign in (netsapiens.md section 2).
#[derive(Debug, Clone)]
pub enum Credential {
    /// An API key, untimed.
    ApiKey(SecretString),
    /// The password grant of `/tokens`.
    Password {
        /// OAuth client.
        client_id: String,
        /// OAuth client secret.
        client_secret: SecretString,
        /// Portal login.
        username: String,
        /// Its password.
        password: SecretString,
    },
}

/// A connector for one domain.
pub struct Netsapiens {
    http: Http,
    config: Config,
    tokens: Tokens,
    /// What `/version` said, once it was asked.
    release: Mutex<Option<Release>>,
    /// Since when every call is answered by a bare 403.
    blocked_since: Mutex<Option<Timestamp>>,
}

/// Rows of a page; a provider caps at 100 (section 3).
const PAGE: usize = 100;
/// How long to keep quiet after a bare 403: quick repeats lengthen a block (section 11).
const BLOCK_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// "A replica may lag for about 10 s" (section 7).
const SETTLE_LAG: Duration = Duration::from_secs(10);

/// Builds a connector.
///
/// # Errors
/// An unusable address or domain.
pub fn connect(common: &CommonConfig, config: Config, clock: Clock) -> Result<Netsapiens, ConfigError> {
    let is_domain = !config.domain.is_empty()
        && config.domain.len() <= 64
        && config.domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !is_domain {
        return Err(ConfigError("domain must be 1 to 64 letters, digits, dots, dashes or underscores".to_owned()));
    }
    Ok(Netsapiens {
        http: Http::new(common, false, clock)?,
        config,
        tokens: Tokens::default(),
        release: Mutex::default(),
        blocked_since: Mutex::default(),
    })
}

#[async_trait]
impl Connector for Netsapiens {
    fn kind(&self) -> TargetKind {
        TargetKind::Netsapiens
    }

    fn base_url(&self) -> &Url {
        self.http.base()
    }

    fn traits(&self) -> Traits {
        Traits {
            read_first: true,
            settle_lag: SETTLE_LAG,
            can_delete: true,
            can_suspend: true,
            has_marker: false,
            call_limit: self.http.call_limit(),
        }
    }

    fn plan(&self, wanted: &Wanted<'_>, observed: &Observed) -> Plan {
        wire::plan(&self.config, self.known_release().unwrap_or(Release::ASSUMED), wanted, observed)
    }

    fn make_way(&self, replaced: &Observed, account: &Account) -> Vec<Call> {
        wire::make_way(&self.config, replaced, account)
    }

    async fn observe(&self, keys: &AccountKeys) -> Result<Observed, TargetError> {
        let mut extensions: Vec<&str> = keys.remote_id.as_deref().into_iter().chain(keys.field(USER)).collect();
        extensions.dedup();
        for extension in extensions {
            if let Some(found) = self.read_user(extension).await? {
                return Ok(wire::with_evidence(found, keys));
            }
        }
        if keys.search
            && let Some(found) = self.search(keys).await?
        {
            return Ok(wire::with_evidence(found, keys));
        }
        Ok(Observed::absent())
    }

    async fn send(&self, call: &Call) -> Result<Effect, TargetError> {
        self.http.limited(self.carry_out(call)).await
    }

    async fn list(&self, page: Option<&PageToken>) -> Result<(Vec<Observed>, Option<PageToken>), TargetError> {
        let start: usize = page.and_then(|page| page.cursor.parse().ok()).unwrap_or(0);
        let path = format!("{}?start={start}&limit={PAGE}", wire::users_path(&self.config, &[]));
        let listed = self.get(&path).await?;
        let Some(rows) = listed.as_array() else {
            return Err(TargetError::Garbled { reason: "the list of users is not a list".to_owned() });
        };
        let mut seen = page.map(|page| page.seen.clone()).unwrap_or_default();
        let users: Vec<Observed> = rows
            .iter()
            .filter_map(|row| wire::user(&self.config, row))
            .filter(|user| user.remote_id.as_ref().is_some_and(|remote_id| seen.insert(remote_id.clone())))
            .collect();
        // A page of nothing new is the end too: some servers begin to repeat themselves.
        if rows.len() < PAGE || users.is_empty() {
            self.compare_count(seen.len()).await?;
            return Ok((users, None));
        }
        Ok((users, Some(PageToken { cursor: (start + PAGE).to_string(), seen })))
    }

    async fn probe(&self) -> Result<ProbeReport, TargetError> {
        let version = self.ask_version().await?;
        let key = self.describe_key().await?;
        let users = self.count_users().await?;
        let domain = &self.config.domain;
        Ok(ProbeReport { summary: format!("NetSapiens {version}, {key}, {users} users in {domain}") })
    }

    async fn refresh_credentials(&self) {
        self.tokens.clear().await;
        *lock(&self.release) = None;
        *lock(&self.blocked_since) = None;
    }
}

impl Netsapiens {
    async fn carry_out(&self, call: &Call) -> Result<Effect, TargetError> {
        match call.operation.as_str() {
            wire::REMOVE_DEVICES => self.remove_devices(call).await?,
            wire::RELEASE_NUMBERS => self.release_numbers(call).await?,
            wire::DELETE => self.delete(&call.path).await?,
            _ => {
                return match (self.write(call).await, &call.if_refused) {
                    // Nobody is locked out who is gone already.
                    (Err(TargetError::Missing), Some(effect)) => Ok(effect.clone()),
                    (result, _) => result,
                };
            }
        }
        Ok(call.effect.clone())
    }

    /// A create or an update.
    async fn write(&self, call: &Call) -> Result<Effect, TargetError> {
        let mut call = call.clone();
        if wire::depends_on_release(&call) {
            wire::spell(&mut call, self.release().await?);
        }
        let Some(body) = call.body() else { return Err(crate::plan::secret_missing(&call)) };
        let mut reply = self.ask(call.method, &call.path, Some(&Value::Object(body.clone())), true).await?;
        if reply.status == 400
            && let Some(body) = wire::with_integers(&body, &wire::message(&reply).unwrap_or_default())
        {
            reply = self.ask(call.method, &call.path, Some(&Value::Object(body)), true).await?;
        }
        if !reply.is_success() {
            return Err(self.refusal(&reply, Some(&call)).await);
        }
        let answered = wire::json(&reply)?;
        let mut effect = call.effect;
        if let Some(user) = wire::user(&self.config, &answered).filter(|user| user.remote_id == effect.remote_id) {
            // The answer of a synchronous create: defaults included.
            effect.fields.extend(user.fields);
            effect.active = user.active.or(effect.active);
        }
        Ok(effect)
    }

    /// What a refusal about one account means, of a write or of a read. A 403 of the platform is a matter of this account
    /// alone (a user above the key's scope, devices that the key may not touch) if the credential is well; if it is not, it
    /// is the target's.
    async fn refusal(&self, reply: &Reply, call: Option<&Call>) -> TargetError {
        let mut known = call.map(Call::known).unwrap_or_default();
        known.extend(self.known());
        let is_update = call.is_some_and(|call| call.operation == wire::UPDATE);
        match wire::error(reply, is_update, &known) {
            TargetError::Unauthorized { reason } if reply.status == 403 => match self.probe().await {
                Ok(_) => TargetError::Refused { code: "http-403".to_owned(), field: None, reason, retry_helps: false },
                Err(error) => error,
            },
            // What a create does not find is not the account (a site): to repeat it does not help.
            TargetError::Missing if call.is_some_and(|call| call.creates) => TargetError::Refused {
                code: "http-404".to_owned(),
                field: None,
                reason: clean(&wire::message(reply).unwrap_or_default(), &known),
                retry_helps: false,
            },
            error => error,
        }
    }

    async fn remove_devices(&self, call: &Call) -> Result<(), TargetError> {
        let Some(listed) = self.get_if_there(&call.path).await? else { return Ok(()) };
        for device in wire::devices(&listed) {
            self.delete(&format!("{}/{}", call.path, encode(&device))).await?;
        }
        Ok(())
    }

    async fn release_numbers(&self, call: &Call) -> Result<(), TargetError> {
        let extension = call.effect.remote_id.as_deref().unwrap_or_default();
        for number in self.numbers_of(&call.path, extension).await? {
            let mut body = call.body().unwrap_or_default();
            body.insert("phonenumber".to_owned(), json!(number));
            let reply = self.ask(Method::Put, &call.path, Some(&Value::Object(body)), true).await?;
            if !reply.is_success() {
                return Err(self.refusal(&reply, Some(call)).await);
            }
        }
        Ok(())
    }

    /// The numbers that lead to this extension, from all pages of the list: one that is left behind calls whoever gets the
    /// extension next. They are read to the end before the first is released, so that no page moves meanwhile.
    async fn numbers_of(&self, path: &str, extension: &str) -> Result<Vec<String>, TargetError> {
        let mut seen = BTreeSet::new();
        let mut numbers = Vec::new();
        for start in (0..).step_by(PAGE) {
            let Some(listed) = self.get_if_there(&format!("{path}?start={start}&limit={PAGE}")).await? else { break };
            let is_new = wire::numbers(&listed).into_iter().filter(|number| seen.insert(number.clone())).count() > 0;
            numbers.extend(wire::numbers_of(&listed, extension));
            // A page of nothing new is the end too: a server may know no pages here.
            if !is_new || listed.as_array().is_none_or(|rows| rows.len() < PAGE) {
                break;
            }
        }
        numbers.sort();
        numbers.dedup();
        Ok(numbers)
    }

    /// Deletes what is at this path; what is not there counts as deleted.
    async fn delete(&self, path: &str) -> Result<(), TargetError> {
        let reply = self.ask(Method::Delete, path, None, true).await?;
        if reply.is_success() {
            return wire::json(&reply).map(|_| ());
        }
        match self.refusal(&reply, None).await {
            TargetError::Missing => Ok(()),
            error => Err(error),
        }
    }

    async fn read_user(&self, extension: &str) -> Result<Option<Observed>, TargetError> {
        let path = wire::users_path(&self.config, &[extension]);
        let Some(body) = self.get_if_there(&path).await? else { return Ok(None) };
        let Some(mut user) = wire::user(&self.config, &body) else {
            return Err(TargetError::Garbled { reason: "the answer is not a user".to_owned() });
        };
        if user.active == Some(false) && self.config.delete_devices_on_suspend {
            let devices = self.get_if_there(&wire::users_path(&self.config, &[extension, wire::DEVICES])).await?;
            let count = devices.map_or(0, |devices| wire::devices(&devices).len());
            user.fields.insert(wire::DEVICES.to_owned(), json!(count));
        }
        Ok(Some(user))
    }

    /// Reads the whole domain for our login name, else for our e-mail address: there is no search (section 7).
    async fn search(&self, keys: &AccountKeys) -> Result<Option<Observed>, TargetError> {
        let mut by_email = None;
        let mut page = None;
        loop {
            let (users, next) = self.list(page.as_ref()).await?;
            for user in users {
                if wire::fits_login(&user, keys) {
                    return Ok(Some(user));
                }
                if by_email.is_none() && wire::fits_email(&user, keys) {
                    by_email = Some(user);
                }
            }
            if next.is_none() {
                return Ok(by_email);
            }
            page = next;
        }
    }

    /// A walk by offsets can miss rows while users come and go: say so, the next walk will tell.
    async fn compare_count(&self, listed: usize) -> Result<(), TargetError> {
        let counted = self.count_users().await?;
        if counted > listed as u64 {
            warn!(listed, counted, "The list of PBX users is shorter than their count");
        }
        Ok(())
    }

    async fn count_users(&self) -> Result<u64, TargetError> {
        let body = self.get(&wire::users_path(&self.config, &["count"])).await?;
        let total = body.get("total").and_then(text).and_then(|total| total.parse().ok());
        total.ok_or_else(|| TargetError::Garbled { reason: "the count of users is not a number".to_owned() })
    }

    /// What kind of credential this is. A key that may only read is as good as none.
    async fn describe_key(&self) -> Result<String, TargetError> {
        if matches!(self.config.credential, Credential::Password { .. }) {
            return Ok("token by password".to_owned());
        }
        let reply = self.ask(Method::Get, "apikeys/~", None, false).await?;
        if !reply.is_success() {
            // Describing the key is a courtesy of newer releases; what the key may do is proven by the next call.
            return match wire::error(&reply, false, &self.known()) {
                error @ (TargetError::Unavailable { .. } | TargetError::Throttled { .. }) => Err(error),
                error @ TargetError::Unauthorized { .. } if reply.status == 401 => Err(error),
                _ => Ok("API key".to_owned()),
            };
        }
        let key = wire::json(&reply)?;
        if key.get("readonly").and_then(text).is_some_and(|text| matches!(text.as_str(), "yes" | "true" | "1")) {
            return Err(TargetError::Unauthorized { reason: "the API key is read-only".to_owned() });
        }
        let scope = key.get("user-scope").and_then(text).unwrap_or_else(|| "unknown".to_owned());
        Ok(format!("API key of scope {}", clean(&scope, &self.known())))
    }

    /// What must not appear in an error's reason: the credential, and what it was exchanged for.
    fn known(&self) -> Vec<Known> {
        let mut known = sign_in::known(&self.config.credential);
        known.extend(self.tokens.known());
        known
    }

    fn known_release(&self) -> Option<Release> {
        *lock(&self.release)
    }

    async fn release(&self) -> Result<Release, TargetError> {
        if let Some(release) = self.known_release() {
            return Ok(release);
        }
        self.ask_version().await?;
        Ok(self.known_release().unwrap_or(Release::ASSUMED))
    }

    /// `/version` asks for no credential.
    async fn ask_version(&self) -> Result<String, TargetError> {
        let reply = self.http.send(request(Method::Get, "version", None, None, false)).await?;
        self.notice_block(&reply)?;
        if !reply.is_success() {
            return Err(wire::error(&reply, false, &self.known()));
        }
        let version = wire::json(&reply)?.get("apiversion").and_then(text).unwrap_or_default();
        *lock(&self.release) = Some(Release::parse(&version).unwrap_or(Release::ASSUMED));
        Ok(clean(&version, &self.known()))
    }

    /// Reads what is there for every credential that is well.
    async fn get(&self, path: &str) -> Result<Value, TargetError> {
        let reply = self.ask(Method::Get, path, None, false).await?;
        if reply.is_success() {
            return wire::json(&reply);
        }
        Err(match wire::error(&reply, false, &self.known()) {
            TargetError::Missing => TargetError::Garbled { reason: "HTTP 404 for a list".to_owned() },
            error => error,
        })
    }

    /// Reads what belongs to one account.
    async fn get_if_there(&self, path: &str) -> Result<Option<Value>, TargetError> {
        let reply = self.ask(Method::Get, path, None, false).await?;
        if reply.is_success() {
            return wire::json(&reply).map(Some);
        }
        match self.refusal(&reply, None).await {
            TargetError::Missing => Ok(None),
            error => Err(error),
        }
    }

    /// Signs in and asks; a token that is refused is renewed once.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>, writes: bool) -> Result<Reply, TargetError> {
        let bearer = sign_in::bearer(&self.http, &self.tokens, &self.config.credential).await?;
        let mut reply = self.http.send(request(method, path, body, Some(&bearer), writes)).await?;
        if reply.status == 401 && matches!(self.config.credential, Credential::Password { .. }) {
            self.tokens.forget(&bearer).await;
            let bearer = sign_in::bearer(&self.http, &self.tokens, &self.config.credential).await?;
            reply = self.http.send(request(method, path, body, Some(&bearer), writes)).await?;
        }
        self.notice_block(&reply)?;
        Ok(reply)
    }

    /// A 403 without the platform's words may be a block of our address for asking too fast (section 11): one long
    /// pause, and only if it is still there after that, a matter of rights.
    fn notice_block(&self, reply: &Reply) -> Result<(), TargetError> {
        let mut blocked_since = lock(&self.blocked_since);
        if reply.status != 403 || wire::message(reply).is_some() {
            *blocked_since = None;
            return Ok(());
        }
        let now = self.http.now();
        let pause = BLOCK_PAUSE - now.duration_since(*blocked_since.get_or_insert(now));
        if pause.is_positive() {
            let retry_after = reply.retry_after.or_else(|| Duration::try_from(pause).ok());
            return Err(TargetError::Throttled { retry_after });
        }
        Err(TargetError::Unauthorized {
            reason: "HTTP 403 for every call: rights, or our address is blocked".to_owned(),
        })
    }
}

fn request<'a>(
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    bearer: Option<&SecretString>,
    writes: bool,
) -> Request<'a> {
    Request {
        method,
        path,
        accept: "application/json",
        authorization: bearer.map(|bearer| format!("Bearer {}", bearer.expose_secret()).into()),
        body: body.map_or(Body::None, Body::Json),
        writes,
    }
}

/// A poisoned lock holds a value that is no worse than another: it is only a memory of the last reply.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
