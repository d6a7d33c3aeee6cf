//! Who calls the PBX: API keys by their form, access tokens, and what each may do (NetSapiens dossier section 2).

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ApiError;
use crate::credentials::netsapiens as credentials;

const TOKEN_LIFE: Duration = Duration::from_secs(3600);
const REFRESH_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How far a credential reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    SuperUser,
    Reseller,
    OfficeManager,
    BasicUser,
}

impl Reach {
    fn scope(self) -> &'static str {
        match self {
            Self::SuperUser => "Super User",
            Self::Reseller => "Reseller",
            Self::OfficeManager => "Office Manager",
            Self::BasicUser => "Basic User",
        }
    }

    /// Whether it reaches all domains.
    pub(crate) fn is_wide(self) -> bool {
        matches!(self, Self::SuperUser | Self::Reseller)
    }
}

/// The credential of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) reach: Reach,
    pub(crate) read_only: bool,
    /// The only model that the key may touch.
    pub(crate) only_model: Option<&'static str>,
    /// The key itself; `None` for an access token.
    key: Option<&'static Key>,
}

impl Access {
    /// The answer of `GET /apikeys/~`; a token is not an API key.
    pub(crate) fn describe_key(&self) -> Option<Value> {
        let key = self.key?;
        Some(json!({
            "description": key.description,
            "key-id": key.key.get(..12),
            "reseller": "acme",
            "domain": if key.reach.is_wide() { "*" } else { credentials::DOMAIN },
            "user-scope": key.reach.scope(),
            "ip-address": null,
            "readonly": if key.read_only { "yes" } else { "no" },
            "can-create-keys": if key.reach == Reach::SuperUser { "yes" } else { "no" },
            "allowed-models": key.only_model.map_or(json!("*"), |model| json!([model])),
        }))
    }
}

#[derive(Debug)]
struct Key {
    key: &'static str,
    description: &'static str,
    reach: Reach,
    read_only: bool,
    only_model: Option<&'static str>,
}

const fn key(key: &'static str, description: &'static str, reach: Reach) -> Key {
    Key { key, description, reach, read_only: false, only_model: None }
}

static KEYS: [Key; 7] = [
    key(credentials::API_KEY, "provisioning", Reach::OfficeManager),
    Key { read_only: true, ..key(credentials::READ_ONLY_API_KEY, "reports", Reach::OfficeManager) },
    key(credentials::RESELLER_API_KEY, "reseller", Reach::Reseller),
    key(credentials::SUPER_USER_API_KEY, "system", Reach::SuperUser),
    key(credentials::BASIC_USER_API_KEY, "one person", Reach::BasicUser),
    Key { only_model: Some("device"), ..key(credentials::DEVICES_ONLY_API_KEY, "phones", Reach::OfficeManager) },
    Key { only_model: Some("subscriber"), ..key(credentials::USERS_ONLY_API_KEY, "people", Reach::OfficeManager) },
];

/// The tokens that were issued.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    access: HashMap<String, Timestamp>,
    refresh: HashMap<String, Timestamp>,
}

impl Tokens {
    /// Answers a token request; `field` reads one of its fields.
    ///
    /// A refresh token serves once: it is exchanged for a new pair.
    pub(crate) fn grant(
        &mut self,
        field: impl Fn(&str) -> Option<String>,
        api_version: &str,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let required = |name: &str| {
            let value = field(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| ApiError::new(400, format!("{name} is required")))
        };
        let grant_type = required("grant_type")?;
        let is_client = required("client_id")? == credentials::CLIENT_ID
            && required("client_secret")? == credentials::CLIENT_SECRET;
        if !is_client {
            return Err(ApiError::new(401, "Invalid client credentials"));
        }
        match grant_type.as_str() {
            "password" => {
                let is_user = required("username")?.eq_ignore_ascii_case(credentials::USERNAME)
                    && required("password")? == credentials::PASSWORD;
                if !is_user {
                    return Err(ApiError::new(401, "Invalid user name or password"));
                }
            }
            "refresh_token" => {
                let expires = self.refresh.remove(&required("refresh_token")?);
                if expires.is_none_or(|expires| now >= expires) {
                    return Err(ApiError::new(401, "Invalid refresh token"));
                }
            }
            "mfa" => return Err(ApiError::new(400, "The user has no second factor")),
            _ => return Err(ApiError::new(400, "grant_type must be password, refresh_token or mfa")),
        }
        self.access.retain(|_, expires| now < *expires);
        self.refresh.retain(|_, expires| now < *expires);
        let access_token = format!("{:032x}", rand::random::<u128>());
        let refresh_token = format!("{:032x}", rand::random::<u128>());
        self.access.insert(access_token.clone(), now.saturating_add(TOKEN_LIFE).unwrap_or(Timestamp::MAX));
        self.refresh.insert(refresh_token.clone(), now.saturating_add(REFRESH_LIFE).unwrap_or(Timestamp::MAX));
        Ok(json!({
            "access_token": access_token,
            "refresh_token": refresh_token,
            "expires_in": TOKEN_LIFE.as_secs(),
            "token_type": "Bearer",
            "scope": Reach::OfficeManager.scope(),
            "user": "900",
            "domain": credentials::DOMAIN,
            "territory": "acme",
            "uid": format!("900@{}", credentials::DOMAIN),
            "login": credentials::USERNAME,
            "username": credentials::USERNAME,
            "displayName": "Provisioning Bridge",
            "user_email": credentials::USERNAME,
            "site": null,
            "group": null,
            "department": null,
            "client_id": credentials::CLIENT_ID,
            "apiversion": api_version,
        }))
    }

    /// The credential in an `Authorization` header.
    pub(crate) fn access(&self, authorization: Option<&str>, now: Timestamp) -> Result<Access, ApiError> {
        let header = authorization.ok_or_else(|| ApiError::new(401, "The Authorization header is missing"))?;
        let credential = match header.split_once(' ') {
            Some((scheme, credential)) if scheme.eq_ignore_ascii_case("bearer") => credential.trim(),
            _ => return Err(ApiError::new(401, "The Authorization header must be Bearer")),
        };
        if let Some(key) = KEYS.iter().find(|key| key.key == credential) {
            let Key { reach, read_only, only_model, .. } = *key;
            return Ok(Access { reach, read_only, only_model, key: Some(key) });
        }
        if self.access.get(credential).is_some_and(|expires| now < *expires) {
            return Ok(Access { reach: Reach::OfficeManager, read_only: false, only_model: None, key: None });
        }
        Err(ApiError::new(401, "The credential is invalid or has expired"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_documented_form() {
        for key in &KEYS {
            assert_eq!(key.key.len(), 60, "{}", key.key);
            let prefix = match key.reach {
                Reach::SuperUser => "nss_",
                Reach::Reseller => "nsr_",
                Reach::OfficeManager => "nsd_",
                Reach::BasicUser => "nsu_",
            };
            assert!(key.key.starts_with(prefix), "{}", key.key);
        }
    }
}
