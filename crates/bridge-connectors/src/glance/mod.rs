//! Glance partner API: HTML form in, XML out (dossier glance.md).

mod login_key;
mod wire;
mod xml;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bridge_mapping::TargetKind;
use secrecy::{ExposeSecret, SecretString};
use tracing::warn;
use url::Url;

use crate::http::{Body, Http, Request};
use crate::mask::{Known, clean, hide};
use crate::{
    AccountKeys, Call, Clock, CommonConfig, ConfigError, Connector, Effect, Method, Observed, PageToken, Plan,
    ProbeReport, TargetError, Traits, Wanted,
};
use wire::{Answer, DELETE_USER, NEW_USER, PARTNER_USER_ID, SHOW_USERS, UPDATE_USER, USER_ADDRESS};

/// How to reach a Glance group.
#[derive(Debug, Clone)]
pub struct Config {
    /// Glance address of the group's administrator (`PartnerLogin`).
    pub partner_login: String,
    /// How that administrator signs in.
    pub credential: Credential,
    /// Id of the Glance group (`PartnerID`); required with a LoginKey.
    pub partner_id: Option<String>,
    /// What every Glance address ends in: `.glance.net`. Checked by the mapper, before an account gets here.
    pub address_suffix: String,
    /// Element names of ShowUsers that differ from the known ones, lower case, to the field they carry
    /// (`UserAddress`, …, also `UserSuspended`, `UserActive`). Empty for Glance as we know it (glance.md section 13).
    pub element_names: BTreeMap<String, String>,
}

/// How the administrator signs in (glance.md section 2).
#[derive(Debug, Clone)]
pub enum Credential {
    /// `PartnerPW`.
    Password(SecretString),
    /// `PartnerAuth`, signed afresh for each request (glance.md section 3).
    LoginKey {
        /// The group's API key.
        api_key: SecretString,
        /// Partner user id of the administrator.
        partner_user_id: String,
    },
}

/// A connector for one Glance group.
pub struct Glance {
    http: Http,
    config: Config,
    told_unknown_names: AtomicBool,
}

/// Rows of one page of ShowUsers when all are listed (1 to 1000, section 8).
const PAGE: &str = "500";

/// Builds a connector.
///
/// # Errors
/// An address that is not https, or a LoginKey without the group id that it signs.
pub fn connect(common: &CommonConfig, config: Config, clock: Clock) -> Result<Glance, ConfigError> {
    if config.partner_login.trim().is_empty() {
        return Err(ConfigError("partner_login is empty".to_owned()));
    }
    if matches!(config.credential, Credential::LoginKey { .. }) && config.partner_id.is_none() {
        return Err(ConfigError("a LoginKey signs the group id: set partner_id".to_owned()));
    }
    Ok(Glance { http: Http::new(common, true, clock)?, config, told_unknown_names: AtomicBool::new(false) })
}

#[async_trait]
impl Connector for Glance {
    fn kind(&self) -> TargetKind {
        TargetKind::Glance
    }

    fn base_url(&self) -> &Url {
        self.http.base()
    }

    fn traits(&self) -> Traits {
        Traits {
            read_first: false,
            settle_lag: Duration::ZERO,
            can_delete: true,
            can_suspend: true,
            has_marker: true,
            call_limit: self.http.call_limit(),
        }
    }

    fn plan(&self, wanted: &Wanted<'_>, observed: &Observed) -> Plan {
        wire::plan(wanted, observed)
    }

    async fn observe(&self, keys: &AccountKeys) -> Result<Observed, TargetError> {
        let mut handles: Vec<&str> = [keys.remote_id.as_deref(), keys.field(PARTNER_USER_ID), Some(&keys.marker)]
            .into_iter()
            .flatten()
            .filter(|handle| !handle.is_empty())
            .collect();
        handles.dedup();
        for handle in handles {
            if let Some(found) = self.find(PARTNER_USER_ID, handle).await? {
                return Ok(wire::with_evidence(found, keys));
            }
        }
        if let Some(address) = keys.field(USER_ADDRESS)
            && let Some(found) = self.find(USER_ADDRESS, address).await?
        {
            return Ok(wire::with_evidence(found, keys));
        }
        Ok(Observed::absent())
    }

    async fn send(&self, call: &Call) -> Result<Effect, TargetError> {
        self.http.limited(self.carry_out(call)).await
    }

    async fn list(&self, page: Option<&PageToken>) -> Result<(Vec<Observed>, Option<PageToken>), TargetError> {
        let mut criteria = vec![("PageCount", PAGE)];
        if let Some(page) = page {
            criteria.push(("PageStart", &page.cursor));
        }
        let shown = self.show(&criteria).await?;
        let mut seen = page.map(|page| page.seen.clone()).unwrap_or_default();
        let users: Vec<Observed> = shown
            .users
            .into_iter()
            .filter(|user| user.remote_id.as_ref().is_none_or(|remote_id| seen.insert(remote_id.clone())))
            .collect();
        let next = match (shown.next, page) {
            (Some(next), Some(page)) if next == page.cursor => {
                return Err(TargetError::Garbled { reason: "ShowUsers names the same page again".to_owned() });
            }
            (next, _) => next.map(|cursor| PageToken { cursor, seen }),
        };
        Ok((users, next))
    }

    async fn probe(&self) -> Result<ProbeReport, TargetError> {
        let shown = self.show(&[("PageCount", "1")]).await?;
        let group = self.config.partner_id.as_deref().unwrap_or("of the administrator");
        let users = if shown.users.is_empty() { "has no users" } else { "shows its users" };
        Ok(ProbeReport { summary: format!("Glance group {group} {users}") })
    }

    async fn refresh_credentials(&self) {
        // Each request carries its credential; nothing is cached (section 2).
    }
}

impl Glance {
    async fn carry_out(&self, call: &Call) -> Result<Effect, TargetError> {
        let Some(form) = wire::form(call) else { return Err(crate::plan::secret_missing(call)) };
        if call.creates {
            for field in [PARTNER_USER_ID, USER_ADDRESS] {
                wire::exact(field, &call.text(field).unwrap_or_default())?;
            }
        }
        match self.write(&call.path, &form).await? {
            Answer::Ok(_) => Ok(call.effect.clone()),
            Answer::Failure(said) => self.explain(call, &clean(&said, &self.known(call))).await,
        }
    }

    /// Sends a write. A failure under a LoginKey is sent once more, because the key may have expired on its way
    /// (section 10): a repeat cannot do harm, for both keys are unique and the other calls may be repeated.
    async fn write(&self, path: &str, form: &[(String, String)]) -> Result<Answer, TargetError> {
        let first = self.post(path, form, true).await?;
        match (first, &self.config.credential) {
            (Answer::Failure(_), Credential::LoginKey { .. }) => self.post(path, form, true).await,
            (answer, _) => Ok(answer),
        }
    }

    /// Decides what a failure document means without reading its text: by looking at what is there (section 10).
    async fn explain(&self, call: &Call, reason: &str) -> Result<Effect, TargetError> {
        let refused = || TargetError::Refused {
            code: "glance-failure".to_owned(),
            field: None,
            reason: reason.to_owned(),
            retry_helps: false,
        };
        let conflict = |field: &str| TargetError::Conflict { field: Some(field.to_owned()), reason: reason.to_owned() };
        let handle = call.text(PARTNER_USER_ID).unwrap_or_default();
        let address = call.text(USER_ADDRESS).filter(|address| !address.contains('*'));
        let by_handle = self.find(PARTNER_USER_ID, &handle).await.map_err(in_doubt)?;
        match (call.operation.as_str(), by_handle) {
            (DELETE_USER, None) => return Ok(call.effect.clone()),
            (NEW_USER, Some(_)) => return Err(conflict(PARTNER_USER_ID)),
            (UPDATE_USER, None) => return Err(TargetError::Missing),
            _ => {}
        }
        let Some(address) = address else { return Err(refused()) };
        let holder = self.find(USER_ADDRESS, &address).await.map_err(in_doubt)?;
        let is_own = holder.as_ref().is_some_and(|holder| holder.remote_id.as_ref() == Some(&handle));
        if holder.is_some() && !is_own { Err(conflict(USER_ADDRESS)) } else { Err(refused()) }
    }

    /// Looks for the one user with exactly this value.
    async fn find(&self, field: &str, value: &str) -> Result<Option<Observed>, TargetError> {
        wire::exact(field, value)?;
        let form = [("PageCount".to_owned(), "1".to_owned()), (field.to_owned(), value.to_owned())];
        match self.post(SHOW_USERS, &form, false).await? {
            Answer::Ok(root) => Ok(wire::only(self.read_users(&root)?.users, field, value)),
            // "Not found" may come as a failure (section 8), and so may a bad credential: only the latter fails always.
            Answer::Failure(_) => self.show(&[("PageCount", "1")]).await.map(|_| None),
        }
    }

    /// ShowUsers without an exact criterion: fails only when the credential does (section 10).
    async fn show(&self, criteria: &[(&str, &str)]) -> Result<wire::Users, TargetError> {
        let form: Vec<(String, String)> =
            criteria.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        match self.post(SHOW_USERS, &form, false).await? {
            Answer::Ok(root) => self.read_users(&root),
            Answer::Failure(said) => Err(TargetError::Unauthorized { reason: clean(&said, &self.credentials()) }),
        }
    }

    fn read_users(&self, root: &xml::Element) -> Result<wire::Users, TargetError> {
        let users = wire::users(root, &self.config.element_names)?;
        if !users.unknown.is_empty() && !self.told_unknown_names.swap(true, Ordering::Relaxed) {
            warn!(elements = ?users.unknown, "ShowUsers of Glance has elements that this bridge does not know");
        }
        Ok(users)
    }

    async fn post(&self, path: &str, form: &[(String, String)], writes: bool) -> Result<Answer, TargetError> {
        let (mut fields, secret) = self.sign_in();
        fields.extend_from_slice(form);
        let request = Request {
            method: Method::Post,
            path,
            accept: "application/xml, text/xml",
            authorization: None,
            body: Body::Form(&fields),
            writes,
        };
        match wire::answer(&self.http.send(request).await?)? {
            // A key is signed for one request, so this is the last place that knows it.
            Answer::Failure(said) => Ok(Answer::Failure(hide(&said, &[Known::secret(secret.expose_secret())]))),
            answer @ Answer::Ok(_) => Ok(answer),
        }
    }

    /// The fields that sign a request (section 2), and the secret among them.
    fn sign_in(&self) -> (Vec<(String, String)>, SecretString) {
        let config = &self.config;
        let partner_id = config.partner_id.as_deref().unwrap_or_default();
        let (field, secret) = match &config.credential {
            Credential::Password(password) => ("PartnerPW", password.clone()),
            Credential::LoginKey { api_key, partner_user_id } => {
                ("PartnerAuth", login_key::fresh(api_key, partner_id, partner_user_id, self.http.now()))
            }
        };
        let mut fields = vec![
            ("PartnerLogin".to_owned(), config.partner_login.clone()),
            (field.to_owned(), secret.expose_secret().to_owned()),
        ];
        if !partner_id.is_empty() {
            fields.push(("PartnerID".to_owned(), partner_id.to_owned()));
        }
        (fields, secret)
    }

    fn credentials(&self) -> Vec<Known> {
        match &self.config.credential {
            Credential::Password(password) => vec![Known::secret(password.expose_secret())],
            Credential::LoginKey { api_key, .. } => vec![Known::secret(api_key.expose_secret())],
        }
    }

    fn known(&self, call: &Call) -> Vec<Known> {
        let mut known = call.known();
        known.extend(self.credentials());
        known
    }
}

/// The write was answered with a failure, and what that means could not be found out: look again before the next write.
fn in_doubt(error: TargetError) -> TargetError {
    match error {
        TargetError::Unavailable { reason, retry_after, .. } => {
            TargetError::Unavailable { reason, retry_after, doubt: true }
        }
        other => other,
    }
}
