//! Users of the PBX: list, read, create, change, delete (NetSapiens dossier sections 3, 4, 6 and 7).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::access::Access;
use super::fields::{self, Default, FIELDS, Kind, LOGIN, PRIVILEGED_SCOPES, REQUIRED, SCOPE, SITE, USER};
use super::system::{Domain, User};
use super::{ApiError, Netsapiens, Parameters, accepted, is_synchronous, moment, required_text};
use crate::options::PbxVersion;
use crate::wire::Reply;

/// Rows that a list filtered by site has at most.
const SITE_ROWS: usize = 100;

impl Netsapiens {
    pub(crate) fn list_users(&self, domain: &str, parameters: &Parameters) -> Result<Reply, ApiError> {
        let start = parameters.number("start", 0, 0, usize::MAX)?;
        let mut limit = parameters.number("limit", 100, 1, 1000)?;
        let site = parameters.get("site");
        if site.is_some() {
            limit = limit.min(SITE_ROWS);
        }
        let domains = self.system.domains.iter().filter(|(name, _)| domain == "*" || *name == domain);
        let users = domains.flat_map(|(name, domain)| visible(domain).map(move |user| (name, user)));
        let fitting = users.filter(|(_, user)| site.is_none() || user.text(SITE) == site);
        let rows: Vec<Value> = fitting.skip(start).take(limit).map(|(name, user)| self.render(name, user)).collect();
        Ok(Reply::json(200, &json!(rows), format!("200, {} users", rows.len())))
    }

    pub(crate) fn light_list_users(&self, domain: &str, parameters: &Parameters) -> Result<Reply, ApiError> {
        let default = "user,domain,site,name-first-name,name-last-name,department,directory-name-number-dtmf-mapping";
        let wanted: Vec<&str> = parameters.get("fields").unwrap_or(default).split(',').map(str::trim).collect();
        let rows: Vec<Value> = visible(self.domain(domain)?)
            .map(|user| {
                let full = self.render(domain, user);
                let some = |name: &&str| full.get(*name).map(|value| ((*name).to_owned(), value.clone()));
                Value::Object(wanted.iter().filter_map(some).collect())
            })
            .collect();
        Ok(Reply::json(200, &json!(rows), format!("200, {} users", rows.len())))
    }

    pub(crate) fn count_users(&self, domain: &str) -> Result<Reply, ApiError> {
        let total = visible(self.domain(domain)?).count();
        Ok(Reply::json(200, &json!({"total": total}), "200"))
    }

    pub(crate) fn read_user(&self, domain: &str, extension: &str) -> Result<Reply, ApiError> {
        let user = self.domain(domain)?.seen().get(extension).ok_or_else(|| no_user(domain, extension))?;
        Ok(Reply::json(200, &self.render(domain, user), "200"))
    }

    pub(crate) fn create_user(
        &mut self,
        access: Access,
        domain: &str,
        body: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Reply, ApiError> {
        let synchronous = is_synchronous(body)?;
        let mut user = User { set: std::collections::BTreeMap::new(), created: now, modified: now };
        self.take_fields(access, domain, &mut user, body, false)?;
        let place = self.domain(domain)?;
        if self.options.max_users > 0 && i64::try_from(place.users().len()).is_ok_and(|n| n >= self.options.max_users) {
            return Err(ApiError::new(400, "The maximum number of users of the domain is reached"));
        }
        let extension = user.extension().to_owned();
        if place.users().contains_key(&extension) || self.system.is_login_taken(&user.login(domain), domain, &extension)
        {
            return Err(uid_exists());
        }
        self.ensure_site(domain, &user)?;
        let rendered = synchronous.then(|| self.render(domain, &user));
        let visible_at = if synchronous { None } else { self.visible_at(now) };
        self.system.write(domain, &extension, Some(user), visible_at);
        Ok(rendered.map_or_else(accepted, |user| Reply::json(200, &user, "200")))
    }

    pub(crate) fn update_user(
        &mut self,
        access: Access,
        domain: &str,
        extension: &str,
        body: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Reply, ApiError> {
        let before = self.domain(domain)?.users().get(extension).ok_or_else(|| no_user(domain, extension))?;
        let mut user = User::clone(before);
        self.take_fields(access, domain, &mut user, body, true)?;
        if self.system.is_login_taken(&user.login(domain), domain, extension) {
            return Err(uid_exists());
        }
        self.ensure_site(domain, &user)?;
        user.modified = now;
        let visible_at = self.visible_at(now);
        self.system.write(domain, extension, Some(user), visible_at);
        Ok(accepted())
    }

    pub(crate) fn delete_user(&mut self, domain: &str, extension: &str, now: Timestamp) -> Result<Reply, ApiError> {
        if !self.domain(domain)?.users().contains_key(extension) {
            return Err(no_user(domain, extension));
        }
        let visible_at = self.visible_at(now);
        self.system.write(domain, extension, None, visible_at);
        Ok(accepted())
    }

    /// Sends the welcome mail to nobody: only the call is checked.
    pub(crate) fn welcome_mail(
        &self,
        domain: &str,
        extension: &str,
        body: &Map<String, Value>,
    ) -> Result<Reply, ApiError> {
        if !self.domain(domain)?.users().contains_key(extension) {
            return Err(no_user(domain, extension));
        }
        for name in ["template", "subject"] {
            required_text(body, name)?;
        }
        Ok(Reply::json(200, &json!({"code": 200, "message": "OK"}), "200"))
    }

    /// The user as reads show it: what was set, the server's defaults, and the read-only fields.
    pub(crate) fn render(&self, domain: &str, user: &User) -> Value {
        let mut members = Map::new();
        members.insert("domain".to_owned(), json!(domain));
        for field in &FIELDS {
            let value = user.set.get(field.name).cloned().or_else(|| match field.default {
                Default::Nothing => None,
                Default::Text(text) => Some(json!(text)),
                Default::Number(number) => Some(json!(number)),
                Default::Domain => self.domain_default(domain, field.name),
                Default::Login => Some(json!(user.login(domain))),
                Default::DialByName => fields::dial_by_name(user.text("name-last-name")?).map(|keys| json!(keys)),
            });
            let version = self.options.version;
            let value = match value {
                // The v44 file spells this scope with a space at its end.
                Some(scope) if field.name == SCOPE && scope == "No Portal" && version == PbxVersion::V44 => {
                    Some(json!("No Portal "))
                }
                other => other,
            };
            if let Some(value) = value {
                members.insert(fields::spelled(field.name, version).to_owned(), value);
            }
        }
        members.insert("user-presence-status".to_owned(), json!("inactive"));
        members.insert("active-calls-total-current".to_owned(), json!(0));
        members.insert("account-status".to_owned(), json!("new"));
        members.insert("created-datetime".to_owned(), json!(moment(user.created)));
        members.insert("last-modified-datetime".to_owned(), json!(moment(user.modified)));
        Value::Object(members)
    }

    /// Takes the fields of a body into `user`. In an update an empty string clears, and what is left out stays.
    fn take_fields(
        &self,
        access: Access,
        domain: &str,
        user: &mut User,
        body: &Map<String, Value>,
        is_update: bool,
    ) -> Result<(), ApiError> {
        for (name, value) in body {
            if name == "synchronous" && !is_update {
                continue;
            }
            let field = fields::named(name, self.options.version).filter(|field| !is_update || field.name != USER);
            let Some(field) = field else {
                if self.options.ignore_unknown_fields {
                    continue;
                }
                return Err(ApiError::new(400, format!("{name} is not a field of this request")));
            };
            if value.as_str().is_some_and(str::is_empty) {
                if REQUIRED.contains(&field.name) {
                    return Err(ApiError::new(400, format!("{name} is required")));
                }
                user.set.remove(field.name);
                continue;
            }
            let value = fields::checked(field, value, &self.options, domain)
                .map_err(|reason| ApiError::new(400, format!("{name} {reason}")))?;
            user.set.insert(field.name, value);
        }
        let required = REQUIRED.iter().filter(|name| !is_update || **name != USER);
        for name in required {
            let is_there = if is_update && self.options.strict_put {
                body.contains_key(*name)
            } else {
                user.set.contains_key(name)
            };
            if !is_there {
                return Err(ApiError::new(400, format!("{name} is required")));
            }
        }
        let is_privileged = user.text(SCOPE).is_some_and(|scope| PRIVILEGED_SCOPES.contains(&scope));
        if is_privileged && !access.reach.is_wide() {
            return Err(ApiError::new(403, "Permission Denied"));
        }
        Ok(())
    }

    /// Makes the user's site if it is new and the domain's limit allows.
    fn ensure_site(&mut self, domain: &str, user: &User) -> Result<(), ApiError> {
        let Some(site) = user.text(SITE) else { return Ok(()) };
        if self.domain(domain)?.sites.contains_key(site) {
            return Ok(());
        }
        let fields = [(SITE.to_owned(), json!(site))].into_iter().collect();
        self.add_site(domain, site, fields)
    }

    fn visible_at(&self, now: Timestamp) -> Option<Timestamp> {
        let lag = self.options.replication_lag;
        (!lag.is_zero()).then(|| now.saturating_add(lag).unwrap_or(Timestamp::MAX))
    }

    /// Seeds a user: a new one, or the given fields of one that is there; values are taken as they are.
    pub(crate) fn seed_user(&mut self, account: &Value, now: Timestamp) -> Result<(), String> {
        let body = account.as_object().ok_or("an account is an object")?;
        let domain = body.get("domain").and_then(Value::as_str).unwrap_or(crate::credentials::netsapiens::DOMAIN);
        let extension = body.get(USER).and_then(Value::as_str).filter(|text| fields::is_extension(text));
        let extension = extension.ok_or("'user' is required: an extension of at most 16 characters")?;
        let place = self.system.domains.get(domain).ok_or("'domain' does not exist")?;
        let mut user = match place.users().get(extension) {
            Some(user) => User::clone(user),
            None => User { set: [(SCOPE, json!("Basic User"))].into_iter().collect(), created: now, modified: now },
        };
        for (name, value) in body {
            let field = fields::named(name, PbxVersion::V45).or_else(|| fields::named(name, PbxVersion::V44));
            let Some(field) = field else { continue };
            let value = match (field.kind, value) {
                (_, Value::Null) => None,
                (Kind::Choice(_), Value::String(text)) => Some(json!(text.trim_end())),
                (_, value) => Some(value.clone()),
            };
            match value {
                Some(value) => drop(user.set.insert(field.name, value)),
                None => drop(user.set.remove(field.name)),
            }
        }
        if self.system.is_login_taken(&user.login(domain), domain, extension) {
            return Err(format!("'{LOGIN}' is held by another user"));
        }
        user.modified = now;
        let (domain, extension) = (domain.to_owned(), extension.to_owned());
        self.system.write(&domain, &extension, Some(user), None);
        Ok(())
    }
}

/// The regular users that reads see: the service code `system-…` hides a user and takes it out of the count.
fn visible(domain: &Domain) -> impl Iterator<Item = &User> {
    let is_system = |user: &User| user.text("service-code").is_some_and(|code| code.starts_with("system-"));
    domain.seen().values().map(AsRef::as_ref).filter(move |user| !is_system(user))
}

pub(crate) fn no_user(domain: &str, extension: &str) -> ApiError {
    ApiError::new(404, format!("User {extension} does not exist in domain {domain}"))
}

/// The text does not tell whether the extension or the login name is taken.
fn uid_exists() -> ApiError {
    ApiError::new(409, "UID already exists.")
}
