//! A template-user system: CRM.COM Web API V4 (dossier crmcom.md).

mod errors;
mod sign_in;
mod wire;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bridge_mapping::TargetKind;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

use crate::http::{Body, Http, Request, encode};
use crate::mask::{Known, clean};
use crate::token::Tokens;
use crate::{
    AccountKeys, Call, Clock, CommonConfig, ConfigError, Connector, Effect, Method, Observed, PageToken, Plan,
    ProbeReport, TargetError, Traits, Wanted,
};
pub use errors::{ErrorClass, ErrorPattern};
use wire::{Answer, Failure, USERNAME};

/// How to reach one organisation of a CRM.COM installation.
#[derive(Debug, Clone)]
pub struct Config {
    /// How to sign in.
    pub credential: Credential,
    /// Unit id of the session; the user's default unit if missing.
    pub unit: Option<String>,
    /// Whether the account's template is a name or an id.
    pub template_by: TemplateBy,
    /// The installation's user templates, by what accounts call them; the API cannot list them. The mapper goes by them.
    pub templates: BTreeMap<String, Template>,
    /// The user defined field that carries the SCIM id: `udf_string_1`.
    pub marker_field: String,
    /// On suspension rotate the password that the bridge set, so that nobody can sign in with it (crmcom.md section 7).
    pub soft_lock_out: bool,
    /// A method of the installation's own that updates a user, such as `users/update`; the product has none.
    pub update_method: Option<String>,
    /// What `users/list` is asked for; without it accounts cannot be listed.
    pub list_by: Option<ListBy>,
    /// Lines that come before the built-in table of error codes: the installation's real codes, as they become known.
    pub error_patterns: Vec<ErrorPattern>,
}

/// How to sign in (crmcom.md section 2).
#[derive(Debug, Clone)]
pub enum Credential {
    /// A Web API key, the form that the vendor recommends.
    WebApiKey(SecretString),
    /// A user of the organisation.
    Password {
        /// Its name.
        username: String,
        /// Its password.
        password: SecretString,
        /// Name of the organisation.
        organisation: String,
    },
}

/// What identifies a user template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TemplateBy {
    /// `user_template_identifier = {"name": …}`.
    #[default]
    Name,
    /// `user_template_identifier = {"id": …}`.
    Id,
}

/// What the configuration says about one user template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Template {
    /// Its accounts are CTI enabled: an extension is required, and only then allowed.
    pub cti: bool,
}

/// The one filter that `users/list` demands (crmcom.md section 5), for example `unit_identifier` by `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListBy {
    /// Which filter.
    pub filter: ListFilter,
    /// The member of the identifier: `id`, `name`, `code`.
    pub by: String,
    /// Its value.
    pub value: String,
}

/// A filter of `users/list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFilter {
    /// Users of a security profile.
    SecurityProfile,
    /// Users of a unit; deprecated from R18.
    Unit,
    /// Users of a group; deprecated from R18.
    Group,
    /// Users of a business unit; from R18.
    BusinessUnit,
}

/// A connector for one organisation.
pub struct CrmCom {
    http: Http,
    config: Config,
    tokens: Tokens,
    /// `users/create` was answered by 404: the probe asks for it too, until it is there.
    create_is_absent: AtomicBool,
}

/// Rows of a page of `users/list`.
const PAGE: usize = 100;

/// Builds a connector.
///
/// # Errors
/// An unusable address or marker field, or a credential that cannot be sent.
pub fn connect(common: &CommonConfig, config: Config, clock: Clock) -> Result<CrmCom, ConfigError> {
    let is_string_field = config
        .marker_field
        .strip_prefix("udf_string_")
        .is_some_and(|number| number.len() == 1 && ('1'..='8').any(|digit| number.starts_with(digit)));
    if !is_string_field {
        return Err(ConfigError("marker_field must be one of udf_string_1 to udf_string_8".to_owned()));
    }
    Ok(CrmCom {
        http: Http::new(common, false, clock)?,
        config,
        tokens: Tokens::default(),
        create_is_absent: AtomicBool::new(false),
    })
}

#[async_trait]
impl Connector for CrmCom {
    fn kind(&self) -> TargetKind {
        TargetKind::CrmCom
    }

    fn base_url(&self) -> &Url {
        self.http.base()
    }

    fn traits(&self) -> Traits {
        Traits {
            read_first: true,
            settle_lag: Duration::ZERO,
            can_delete: false,
            can_suspend: self.config.update_method.is_some(),
            has_marker: true,
            call_limit: self.http.call_limit(),
        }
    }

    fn plan(&self, wanted: &Wanted<'_>, observed: &Observed) -> Plan {
        wire::plan(&self.config, wanted, observed)
    }

    async fn observe(&self, keys: &AccountKeys) -> Result<Observed, TargetError> {
        let id = keys.remote_id.as_deref().map(|id| ("id", id));
        let username = keys.field(USERNAME).map(|username| (USERNAME, username));
        for (by, value) in [id, username].into_iter().flatten() {
            if let Some(found) = self.show(by, value).await? {
                return Ok(wire::with_evidence(&self.config, found, keys));
            }
        }
        if keys.search && self.config.list_by.is_some() {
            return Ok(self.search(keys).await?.unwrap_or_else(Observed::absent));
        }
        Ok(Observed::absent())
    }

    async fn send(&self, call: &Call) -> Result<Effect, TargetError> {
        self.http.limited(self.carry_out(call)).await
    }

    async fn list(&self, page: Option<&PageToken>) -> Result<(Vec<Observed>, Option<PageToken>), TargetError> {
        let Some(list_by) = &self.config.list_by else {
            return Err(TargetError::Refused {
                code: "list-not-configured".to_owned(),
                field: None,
                reason: "users can be listed only by a configured list_by".to_owned(),
                retry_helps: false,
            });
        };
        let offset: usize = page.and_then(|page| page.cursor.parse().ok()).unwrap_or(0);
        let data =
            self.read(&wire::list_path(list_by, offset, PAGE)).await?.map_err(|failure| self.error(&failure, &[]))?;
        let Some(rows) = wire::rows(&data) else {
            return if data.is_null() { Ok((Vec::new(), None)) } else { Err(not_a("a list of users")) };
        };
        let mut seen = page.map(|page| page.seen.clone()).unwrap_or_default();
        let users: Vec<Observed> = rows
            .iter()
            .filter_map(wire::user)
            .filter(|user| user.remote_id.as_ref().is_some_and(|id| seen.insert(id.clone())))
            .collect();
        if rows.len() < PAGE || users.is_empty() {
            return Ok((users, None));
        }
        Ok((users, Some(PageToken { cursor: (offset + PAGE).to_string(), seen })))
    }

    async fn probe(&self) -> Result<ProbeReport, TargetError> {
        let token = self.token().await?;
        let own_name = match &self.config.credential {
            Credential::Password { username, .. } => Some(username.clone()),
            Credential::WebApiKey(_) => sign_in::user_of(&token),
        };
        if let Some(name) = &own_name {
            let shown = self.ask_for(USERNAME, name).await?;
            if shown.map_err(|failure| self.error(&failure, &[]))?.is_none() {
                return Err(TargetError::Unauthorized { reason: "the API user cannot see itself".to_owned() });
            }
        }
        if self.create_is_absent.load(Ordering::Relaxed) {
            self.look_for_create().await?;
        }
        let seen = if own_name.is_some() { "signed in, the API user is visible" } else { "signed in" };
        Ok(ProbeReport { summary: format!("CRM.COM: {seen}") })
    }

    async fn refresh_credentials(&self) {
        self.tokens.clear().await;
    }
}

impl CrmCom {
    async fn carry_out(&self, call: &Call) -> Result<Effect, TargetError> {
        let Some(fields) = call.body() else { return Err(crate::plan::secret_missing(call)) };
        match self.ask(&Question { path: &call.path, fields: Some(fields), writes: true }).await? {
            Answer::Absent if call.creates => {
                self.create_is_absent.store(true, Ordering::Relaxed);
                Err(wire::method_absent(&call.path))
            }
            // No probe asks for a method of the installation's own.
            Answer::Absent => Err(self.judged(wire::method_absent(&call.path), "http-404").await),
            Answer::Ok(data) if call.creates => self.created(call, &data).await,
            Answer::Ok(_) => Ok(call.effect.clone()),
            Answer::Failure(failure) => {
                let mut known = call.known();
                known.extend(self.known());
                let code = clean(&failure.code, &known);
                Err(self.judged(wire::error_of(call, &failure, &known), &code).await)
            }
        }
    }

    /// An error that speaks of our sign-in or our rights. The codes are not published and their patterns are wide (section
    /// 10): if the sign-in is well, it is a matter of this account alone.
    async fn judged(&self, error: TargetError, code: &str) -> TargetError {
        let TargetError::Unauthorized { reason } = error else { return error };
        match self.probe().await {
            Ok(_) => TargetError::Refused { code: code.to_owned(), field: None, reason, retry_helps: false },
            Err(error) => error,
        }
    }

    /// The new user's id comes with the answer, else from users/show (section 3).
    async fn created(&self, call: &Call, data: &Value) -> Result<Effect, TargetError> {
        let mut effect = call.effect.clone();
        let answered = wire::user(data);
        let user = match answered {
            Some(user) => Some(user),
            None => match call.text(USERNAME) {
                Some(username) => self.show(USERNAME, &username).await.map_err(after_create)?,
                None => None,
            },
        };
        let Some(user) = user else { return Err(not_a("a user with an id")) };
        effect.remote_id = user.remote_id;
        effect.active = user.active.or(effect.active);
        effect.fields.extend(user.fields);
        Ok(effect)
    }

    /// Reads one user, if it is there.
    async fn show(&self, by: &str, value: &str) -> Result<Option<Observed>, TargetError> {
        match self.ask_for(by, value).await? {
            Ok(user) => Ok(user),
            Err(failure) => {
                let code = clean(&failure.code, &self.known());
                Err(self.judged(self.error(&failure, &[Known::field(by, value)]), &code).await)
            }
        }
    }

    /// `users/show`; an error code and `OK` without data both mean that the user is not there (section 13).
    async fn ask_for(&self, by: &str, value: &str) -> Result<Result<Option<Observed>, Failure>, TargetError> {
        Ok(match self.read(&wire::show_path(by, value)).await? {
            Ok(Value::Null) => Ok(None),
            Ok(Value::Object(data)) if data.is_empty() => Ok(None),
            Ok(data) => Ok(Some(wire::user(&data).ok_or_else(|| not_a("a user with an id"))?)),
            Err(failure) if failure.class == ErrorClass::NotFound => Ok(None),
            Err(failure) => Err(failure),
        })
    }

    /// Reads the configured list for our marker, else for our e-mail address (section 9).
    async fn search(&self, keys: &AccountKeys) -> Result<Option<Observed>, TargetError> {
        let mut by_email = None;
        let mut page = None;
        loop {
            let (users, next) = self.list(page.as_ref()).await?;
            for user in users {
                let user = wire::with_evidence(&self.config, user, keys);
                if user.evidence.marker || user.evidence.natural_key {
                    return Ok(Some(user));
                }
                if by_email.is_none() && user.evidence.email {
                    by_email = Some(user);
                }
            }
            if next.is_none() {
                return Ok(by_email);
            }
            page = next;
        }
    }

    /// Asks users/create for nothing: where it exists it misses its mandatory fields, and no user is made.
    async fn look_for_create(&self) -> Result<(), TargetError> {
        match self.ask(&Question { path: wire::CREATE, fields: Some(Map::new()), writes: false }).await? {
            Answer::Absent => Err(wire::method_absent(wire::CREATE)),
            Answer::Ok(_) | Answer::Failure(_) => {
                self.create_is_absent.store(false, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// What a business error of a read means.
    fn error(&self, failure: &Failure, asked: &[Known]) -> TargetError {
        let mut known = self.known();
        known.extend_from_slice(asked);
        match wire::error(failure, &known) {
            // A filter that is not there is a matter of configuration.
            TargetError::Missing => TargetError::Refused {
                code: clean(&failure.code, &known),
                field: None,
                reason: "what list_by names is not there".to_owned(),
                retry_helps: false,
            },
            error => error,
        }
    }

    async fn token(&self) -> Result<SecretString, TargetError> {
        self.tokens.current(self.http.now(), sign_in::fetch(&self.http, &self.config, self.known())).await
    }

    /// What must not appear in an error's reason: the credential, and what it was exchanged for.
    fn known(&self) -> Vec<Known> {
        let mut known = sign_in::known(&self.config.credential);
        known.extend(self.tokens.known());
        known
    }

    /// A read. The token travels in the query, so addresses are never logged (section 11).
    async fn read(&self, path: &str) -> Result<Result<Value, Failure>, TargetError> {
        match self.ask(&Question { path, fields: None, writes: false }).await? {
            Answer::Ok(data) => Ok(Ok(data)),
            Answer::Failure(failure) => Ok(Err(failure)),
            Answer::Absent => Err(wire::method_absent(path)),
        }
    }

    /// Asks with a token; one that is refused is renewed once.
    async fn ask(&self, question: &Question<'_>) -> Result<Answer, TargetError> {
        let token = self.token().await?;
        let answer = self.ask_with(question, &token).await?;
        if !matches!(&answer, Answer::Failure(failure) if failure.class == ErrorClass::Token) {
            return Ok(answer);
        }
        self.tokens.forget(&token).await;
        let token = self.token().await?;
        self.ask_with(question, &token).await
    }

    async fn ask_with(&self, question: &Question<'_>, token: &SecretString) -> Result<Answer, TargetError> {
        let reply = match &question.fields {
            Some(fields) => {
                let body = wire::with_token(fields, token.expose_secret());
                self.http.send(request(Method::Post, question.path, Body::Json(&body), question.writes)).await?
            }
            None => {
                let path = format!("{}&token={}", question.path, encode(token.expose_secret()));
                self.http.send(request(Method::Get, &path, Body::None, false)).await?
            }
        };
        wire::answer(&self.config.error_patterns, &reply)
    }
}

/// A POST of these fields, or a GET where there are none.
struct Question<'a> {
    path: &'a str,
    fields: Option<Map<String, Value>>,
    writes: bool,
}

fn request<'a>(method: Method, path: &'a str, body: Body<'a>, writes: bool) -> Request<'a> {
    Request { method, path, accept: "application/json", authorization: None, body, writes }
}

fn not_a(what: &str) -> TargetError {
    TargetError::Garbled { reason: format!("the answer is not {what}") }
}

/// The user was made, and reading it back failed: look again before the next write.
fn after_create(error: TargetError) -> TargetError {
    match error {
        TargetError::Unavailable { reason, retry_after, .. } => {
            TargetError::Unavailable { reason, retry_after, doubt: true }
        }
        TargetError::Throttled { retry_after } => {
            TargetError::Unavailable { reason: "throttled after the create".to_owned(), retry_after, doubt: true }
        }
        TargetError::Refused { reason, .. } | TargetError::Conflict { reason, .. } => {
            TargetError::Unavailable { reason, retry_after: None, doubt: true }
        }
        other @ (TargetError::Missing | TargetError::Unauthorized { .. } | TargetError::Garbled { .. }) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_was_made_is_looked_for_again_whatever_reading_it_back_is_answered() {
        let refused = |reason: &str| TargetError::Refused {
            code: "x".to_owned(),
            field: None,
            reason: reason.to_owned(),
            retry_helps: false,
        };
        let errors = [
            refused("Not in this unit"),
            TargetError::Conflict { field: None, reason: "twice".to_owned() },
            TargetError::Throttled { retry_after: None },
            TargetError::Unavailable { reason: "HTTP 503".to_owned(), retry_after: None, doubt: false },
        ];
        for error in errors {
            let after = after_create(error);
            assert!(matches!(&after, TargetError::Unavailable { doubt: true, .. }), "{after:?}");
        }
    }
}
