//! The keys of one kind of target, as its connector wants them: one complete credential, secrets resolved, settings for templates.

use std::collections::BTreeMap;

use bridge_connectors::{crm_com, glance, netsapiens};
use secrecy::{ExposeSecret as _, SecretString};

use super::{ConnectorConfig, build::Reader, file, secret::SecretSource};

/// What comes out: the connector's part, the settings that templates see, the privileged values that are allowed.
pub(super) struct Connection {
    pub(super) config: ConnectorConfig,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) allow: BTreeMap<String, Vec<String>>,
}

/// Reads the keys of a kind; `path` is the target's table. Problems go to the reader; `None` only if there are some.
pub(super) fn read(reader: &mut Reader<'_>, path: &[&str], connection: file::Connection) -> Option<Connection> {
    match connection {
        file::Connection::Glance(keys) => read_glance(reader, path, keys),
        file::Connection::Netsapiens(keys) => read_netsapiens(reader, path, keys),
        file::Connection::CrmCom(keys) => read_crm_com(reader, path, keys),
    }
}

impl ConnectorConfig {
    /// Whether both sign in with the same secrets.
    #[must_use]
    pub fn has_same_secrets(&self, other: &Self) -> bool {
        let expose = |secrets: Vec<&SecretString>| {
            secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect::<Vec<_>>()
        };
        expose(self.secrets()) == expose(other.secrets())
    }

    fn secrets(&self) -> Vec<&SecretString> {
        match self {
            Self::Glance(config) => match &config.credential {
                glance::Credential::Password(secret) | glance::Credential::LoginKey { api_key: secret, .. } => {
                    vec![secret]
                }
            },
            Self::Netsapiens(config) => match &config.credential {
                netsapiens::Credential::ApiKey(secret) => vec![secret],
                netsapiens::Credential::Password { client_secret, password, .. } => vec![client_secret, password],
            },
            Self::CrmCom(config) => match &config.credential {
                crm_com::Credential::WebApiKey(secret) | crm_com::Credential::Password { password: secret, .. } => {
                    vec![secret]
                }
            },
        }
    }
}

fn read_glance(reader: &mut Reader<'_>, path: &[&str], keys: file::Glance) -> Option<Connection> {
    let mut form = Form { reader, path };
    if keys.address_suffix.is_empty() || !keys.address_suffix.starts_with('.') {
        form.problem("address_suffix", "starts with a dot, such as \".glance.net\"");
    }
    if let Some(domain) = &keys.address_domain
        && !format!(".{domain}").ends_with(&keys.address_suffix)
    {
        form.problem("address_domain", &format!("does not end in {}, as every address here must", keys.address_suffix));
    }
    let credential = match (keys.partner_password, keys.api_key) {
        (Some(password), None) => form.secret("partner_password", &password).map(glance::Credential::Password),
        (None, Some(api_key)) => {
            form.needs(
                "partner_id",
                keys.partner_id.as_ref(),
                "goes with api_key: the group's id is part of what is signed",
            );
            let partner_user_id = form.needs(
                "partner_user_id",
                keys.partner_user_id.as_ref(),
                "goes with api_key: the administrator's own partner user id",
            );
            let api_key = form.secret("api_key", &api_key);
            api_key
                .zip(partner_user_id)
                .map(|(api_key, partner_user_id)| glance::Credential::LoginKey { api_key, partner_user_id })
        }
        (Some(_), Some(_)) => form.refuse("api_key", "there is a partner_password too; keep one of them"),
        (None, None) => form.refuse("", "needs partner_password, or api_key with partner_user_id and partner_id"),
    };
    let settings = settings([
        ("address_suffix", Some(keys.address_suffix.clone())),
        ("address_domain", keys.address_domain),
        ("partner_id", keys.partner_id.clone()),
    ]);
    let config = glance::Config {
        partner_login: keys.partner_login,
        credential: credential?,
        partner_id: keys.partner_id,
        address_suffix: keys.address_suffix,
        element_names: keys.element_names,
    };
    Some(Connection { config: ConnectorConfig::Glance(config), settings, allow: BTreeMap::new() })
}

fn read_netsapiens(reader: &mut Reader<'_>, path: &[&str], keys: file::Netsapiens) -> Option<Connection> {
    let mut form = Form { reader, path };
    let is_domain = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if !is_domain(&keys.domain) {
        form.problem("domain", "is up to 64 letters, digits, dots, dashes and underscores");
    }
    let credential = match (keys.api_key, keys.client_id.or(keys.username.clone())) {
        (Some(api_key), None) => form.secret("api_key", &api_key).map(netsapiens::Credential::ApiKey),
        (None, Some(client_id)) => {
            let why = "a sign-in needs client_id, client_secret, username and password";
            let username = form.needs("username", keys.username.as_ref(), why);
            let client_secret = form.needed_secret("client_secret", keys.client_secret.as_ref(), why);
            let password = form.needed_secret("password", keys.password.as_ref(), why);
            match (username, client_secret, password) {
                (Some(username), Some(client_secret), Some(password)) => {
                    Some(netsapiens::Credential::Password { client_id, client_secret, username, password })
                }
                _ => None,
            }
        }
        (Some(_), Some(_)) => form.refuse("api_key", "there is a sign-in too; keep one of them"),
        (None, None) => form.refuse("", "needs api_key, or a sign-in: client_id, client_secret, username and password"),
    };
    let settings = settings([("domain", Some(keys.domain.clone()))]);
    let mut allow = BTreeMap::new();
    if !keys.allow_scopes.is_empty() {
        allow.insert("user-scope".to_owned(), keys.allow_scopes);
    }
    let config = netsapiens::Config {
        domain: keys.domain,
        credential: credential?,
        suspend_dial_policy: keys.suspend_dial_policy,
        delete_devices_on_suspend: keys.delete_devices_on_suspend,
        synchronous: keys.synchronous,
    };
    Some(Connection { config: ConnectorConfig::Netsapiens(config), settings, allow })
}

fn read_crm_com(reader: &mut Reader<'_>, path: &[&str], keys: file::CrmCom) -> Option<Connection> {
    let mut form = Form { reader, path };
    let is_marker = keys
        .marker_field
        .strip_prefix("udf_string_")
        .is_some_and(|number| matches!(number, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8"));
    if !is_marker {
        form.problem("marker_field", "is one of udf_string_1 to udf_string_8");
    }
    let credential = match (keys.web_api_key, keys.username) {
        (Some(key), None) => form.secret("web_api_key", &key).map(crm_com::Credential::WebApiKey),
        (None, Some(username)) => {
            let why = "a sign-in needs username, password and organisation";
            let organisation = form.needs("organisation", keys.organisation.as_ref(), why);
            let password = form.needed_secret("password", keys.password.as_ref(), why);
            organisation.zip(password).map(|(organisation, password)| crm_com::Credential::Password {
                username,
                password,
                organisation,
            })
        }
        (Some(_), Some(_)) => form.refuse("web_api_key", "there is a sign-in too; keep one of them"),
        (None, None) => form.refuse("", "needs web_api_key, or a sign-in: username, password and organisation"),
    };
    let template_by = match keys.template_by {
        file::TemplateBy::Name => crm_com::TemplateBy::Name,
        file::TemplateBy::Id => crm_com::TemplateBy::Id,
    };
    let settings = settings([
        ("marker_field", Some(keys.marker_field.clone())),
        ("unit", keys.unit.clone()),
        ("organisation", keys.organisation),
        ("template", keys.template.clone()),
        ("username_from", keys.username_from.map(|from| username_from(from).to_owned())),
    ]);
    let templates =
        keys.templates.into_iter().map(|(name, template)| (name, crm_com::Template { cti: template.cti })).collect();
    let config = crm_com::Config {
        credential: credential?,
        unit: keys.unit,
        template_by,
        templates,
        marker_field: keys.marker_field,
        soft_lock_out: keys.soft_lock_out,
        update_method: keys.update_method,
        list_by: keys.list_by.map(|list| crm_com::ListBy {
            filter: list_filter(list.filter),
            by: list.by,
            value: list.value,
        }),
        error_patterns: keys.error_patterns,
    };
    Some(Connection { config: ConnectorConfig::CrmCom(config), settings, allow: BTreeMap::new() })
}

fn username_from(from: file::UsernameFrom) -> &'static str {
    match from {
        file::UsernameFrom::Local => "local",
        file::UsernameFrom::Whole => "whole",
    }
}

fn list_filter(filter: file::ListFilter) -> crm_com::ListFilter {
    match filter {
        file::ListFilter::SecurityProfile => crm_com::ListFilter::SecurityProfile,
        file::ListFilter::Unit => crm_com::ListFilter::Unit,
        file::ListFilter::Group => crm_com::ListFilter::Group,
        file::ListFilter::BusinessUnit => crm_com::ListFilter::BusinessUnit,
    }
}

fn settings<const N: usize>(values: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The table of one target, with short ways to complain about its keys.
struct Form<'form, 'text> {
    reader: &'form mut Reader<'text>,
    path: &'form [&'form str],
}

impl Form<'_, '_> {
    /// Notes a problem of `key`, or of the table as a whole if `key` is empty.
    fn problem(&mut self, key: &str, message: &str) {
        let mut path = self.path.to_vec();
        path.extend((!key.is_empty()).then_some(key));
        self.reader.problem(&path, message);
    }

    /// The same, where a value was expected.
    fn refuse<T>(&mut self, key: &str, message: &str) -> Option<T> {
        self.problem(key, message);
        None
    }

    fn secret(&mut self, key: &str, source: &SecretSource) -> Option<SecretString> {
        let mut path = self.path.to_vec();
        path.push(key);
        self.reader.secret(&path, source)
    }

    fn needs(&mut self, key: &str, value: Option<&String>, why: &str) -> Option<String> {
        match value {
            Some(value) => Some(value.clone()),
            None => self.refuse(key, &format!("is missing; {why}")),
        }
    }

    fn needed_secret(&mut self, key: &str, source: Option<&SecretSource>, why: &str) -> Option<SecretString> {
        match source {
            Some(source) => self.secret(key, source),
            None => self.refuse(key, &format!("is missing; {why}")),
        }
    }
}
