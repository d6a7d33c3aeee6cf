//! CRM.COM Web API (CRM.COM dossier): JSON envelopes, HTTP 200 for business errors, users made from templates.
//!
//! Choices where the dossier leaves one: members that a method does not know are ignored; a phone extension for a
//! template without CTI is ignored; a page of `users/list` has 100 rows unless told otherwise and shows inactive users;
//! an ordinary user may sign in (which shows a test whether its password works) but may not call `users/…`; there are
//! no groups; the API user `bridge` is a user too, but not among the accounts of the control endpoint.

mod codes;
mod parameters;
mod tokens;
mod users;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::codes::{BusinessError, Code, failure, success};
use self::parameters::{
    Identifier, fields_set, identifier, invalid, is_username, missing, new_password, query_identifier, required_text,
    take_person, text,
};
use self::tokens::Tokens;
use self::users::{User, Users, named_id, new_id};
use crate::credentials::crm_com as credentials;
use crate::options::{CrmComOptions, UserTemplate};
use crate::vendor::{UNKNOWN_OPERATION, Vendor};
use crate::wire::{Reply, Request, masked_json, masked_pairs};

const BASE_PATH: &str = "/crmapi/rest/v2/";
const DEFAULT_PAGE: usize = 100;
const SECRETS: &[&str] = &["token", "password", "password_confirmation", "old_password"];

const PASSWORD_TOKEN: &str = "authentication/token";
const WEB_API_KEY_TOKEN: &str = "authentication/web_api_key/token";
const CREATE: &str = "users/create";
const SHOW: &str = "users/show";
const LIST: &str = "users/list";
const CHANGE_PASSWORD: &str = "users/change_password";
/// The operation name of the custom method, whatever its path is.
const UPDATE: &str = "users/update";

/// The simulated CRM.COM installation.
pub(crate) struct CrmCom {
    options: CrmComOptions,
    tokens: Tokens,
    users: Users,
}

impl CrmCom {
    pub(crate) fn new(options: CrmComOptions) -> Self {
        let tokens = Tokens::new(options.claims_as_strings);
        let mut installation = Self { options, tokens, users: Users::default() };
        installation.reset();
        installation
    }

    fn carry_out(&mut self, operation: &str, call: &Call, now: Timestamp) -> Result<Reply, BusinessError> {
        match operation {
            PASSWORD_TOKEN => return self.sign_in_by_password(&call.body, now),
            WEB_API_KEY_TOKEN => return self.sign_in_by_key(call, now),
            _ => self.authorize(call, now)?,
        }
        match operation {
            CREATE => self.create(&call.body, now),
            SHOW => self.show(&call.query),
            LIST => self.list(&call.query),
            CHANGE_PASSWORD => self.change_password(&call.body, now),
            _ => self.update(&call.body, now),
        }
    }

    fn sign_in_by_password(&self, body: &Map<String, Value>, now: Timestamp) -> Result<Reply, BusinessError> {
        let username = required_text(body, "username")?;
        let password = required_text(body, "password")?;
        let organisation = required_text(body, "organisation")?;
        let unit = unit(body)?;
        let user = self.users.by_username(username).filter(|user| {
            user.active && user.password == password && organisation.eq_ignore_ascii_case(credentials::ORGANISATION)
        });
        match user {
            Some(user) => self.token(&user.username, unit, now),
            None => Err(Code::InvalidCredentials.says("The user name or password is wrong")),
        }
    }

    fn sign_in_by_key(&self, call: &Call, now: Timestamp) -> Result<Reply, BusinessError> {
        let unit = unit(&call.body)?;
        let (scheme, encoded) = call.authorization.split_once(' ').unwrap_or_default();
        let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        // The form without the colon has been seen in use.
        let key = decoded.as_deref().map(|text| text.strip_suffix(':').unwrap_or(text));
        if scheme.eq_ignore_ascii_case("basic") && key == Some(credentials::WEB_API_KEY) {
            self.token(credentials::USERNAME, unit, now)
        } else {
            Err(Code::InvalidCredentials.says("The Web API key is wrong"))
        }
    }

    fn token(&self, username: &str, unit: &str, now: Timestamp) -> Result<Reply, BusinessError> {
        let token = self.tokens.issue(&new_id(), username, credentials::ORGANISATION, unit, now);
        let token = token.map_err(|error| Code::InvalidRequest.says(format!("No token could be signed: {error}")))?;
        Ok(success(Some(json!({"token": token}))))
    }

    /// The token of the call is that of an active user who may manage users.
    fn authorize(&self, call: &Call, now: Timestamp) -> Result<(), BusinessError> {
        let in_query = call.query.iter().find(|(name, _)| name == "token").map(|(_, token)| token.as_str());
        let in_body = call.body.get("token").and_then(Value::as_str);
        let token = if call.is_get { in_query } else { in_body };
        let token = token.filter(|token| !token.is_empty()).ok_or_else(|| missing("token"))?;
        let username = self.tokens.username(token, now);
        let user = username.and_then(|username| self.users.by_username(&username)).filter(|user| user.active);
        match user {
            None => Err(Code::InvalidToken.says("The token is invalid or has expired")),
            Some(user) if user.system_user => Ok(()),
            Some(_) => Err(Code::PermissionDenied.says("The user has no right to manage users")),
        }
    }

    fn create(&mut self, body: &Map<String, Value>, now: Timestamp) -> Result<Reply, BusinessError> {
        let template = identifier(body, "user_template_identifier", &["id", "name"])?;
        let username = required_text(body, "username")?;
        required_text(body, "first_name")?;
        required_text(body, "last_name")?;
        let password = new_password(body, self.options.password_policy)?;
        let template = self.template(&template)?.clone();
        if self.options.assumed_limits && !is_username(username) {
            return Err(invalid("username", "does not meet the user name policy"));
        }
        if self.users.by_username(username).is_some() {
            return Err(Code::UsernameAlreadyExists.says("The username is already used"));
        }
        let mut user = User {
            id: new_id(),
            username: username.to_owned(),
            password: password.to_owned(),
            active: true,
            cti_enabled: template.cti_enabled,
            security_profile: template.security_profile,
            template: template.name,
            contact_id: new_id(),
            created: now.to_string(),
            updated: now.to_string(),
            ..User::default()
        };
        self.take_fields(&mut user, body)?;
        let fields = fields_set(text(body, "fields_set")?);
        let data = user.to_json(fields.as_deref());
        self.users.add(user);
        Ok(success(Some(data)))
    }

    fn show(&self, query: &[(String, String)]) -> Result<Reply, BusinessError> {
        let identifier = query_identifier(query, "user_identifier", &["id", "username"])?;
        let fields = fields_set(parameter(query, "fields_set"));
        match self.user(&identifier) {
            Ok(user) => Ok(success(Some(user.to_json(fields.as_deref())))),
            Err(_) if self.options.not_found_as_null => Ok(success(Some(Value::Null))),
            Err(error) => Err(error),
        }
    }

    fn list(&self, query: &[(String, String)]) -> Result<Reply, BusinessError> {
        let filters = ["security_profile_identifier", "unit_identifier", "group_identifier"];
        let given: Vec<&str> =
            filters.into_iter().filter(|filter| query.iter().any(|(name, _)| name == filter)).collect();
        let filter = match given.as_slice() {
            [filter] => *filter,
            [] => return Err(missing("security_profile_identifier, unit_identifier or group_identifier")),
            _ => return Err(Code::OnlyOneIdentifierAllowed.says("Exactly one filter is allowed")),
        };
        let wanted = query_identifier(query, filter, &["id", "name"])?;
        let is_named = |id: &str, name: &str| match wanted.field.as_str() {
            "id" => wanted.value == id,
            _ => wanted.value == name,
        };
        let profile = match filter {
            "security_profile_identifier" => {
                let profiles = self.users.iter().map(|user| user.security_profile.as_str());
                let mut profiles =
                    profiles.chain(self.options.templates.iter().map(|template| template.security_profile.as_str()));
                let found = profiles.find(|name| is_named(&named_id(name), name));
                Some(found.ok_or_else(|| Code::SecurityProfileNotFound.says("The security profile does not exist"))?)
            }
            "unit_identifier" if is_named(credentials::UNIT_ID, credentials::UNIT_NAME) => None,
            "unit_identifier" => return Err(Code::UnitNotFound.says("The unit does not exist")),
            _ => return Err(Code::GroupNotFound.says("The group does not exist")),
        };
        let number = |name: &str, default: usize| match parameter(query, name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| invalid(name, "must be a whole number")),
        };
        let offset = number("offset", 0)?;
        let results = number("number_of_results", DEFAULT_PAGE)?;
        if results == 0 {
            return Err(invalid("number_of_results", "must be at least 1"));
        }
        let fields = fields_set(parameter(query, "fields_set"));
        let fitting = self.users.iter().filter(|user| profile.is_none_or(|profile| user.security_profile == profile));
        let rows: Value = fitting.skip(offset).take(results).map(|user| user.to_json(fields.as_deref())).collect();
        let data = match &self.options.list_wrapper {
            None => rows,
            Some(name) => json!({name.as_str(): rows}),
        };
        Ok(success(Some(data)))
    }

    fn change_password(&mut self, body: &Map<String, Value>, now: Timestamp) -> Result<Reply, BusinessError> {
        let identifier = identifier(body, "user_identifier", &["id", "username"])?;
        let old_password = required_text(body, "old_password")?;
        let password = new_password(body, self.options.password_policy)?;
        let mut user = self.user(&identifier)?.clone();
        if user.password != old_password {
            return Err(Code::OldPasswordMismatch.says("The old password is wrong"));
        }
        user.password = password.to_owned();
        user.updated = now.to_string();
        self.users.replace(user);
        Ok(success(None))
    }

    /// The custom method: changes what is given.
    fn update(&mut self, body: &Map<String, Value>, now: Timestamp) -> Result<Reply, BusinessError> {
        let identifier = identifier(body, "user_identifier", &["id", "username"])?;
        let mut user = self.user(&identifier)?.clone();
        match body.get("active") {
            None | Some(Value::Null) => {}
            Some(Value::Bool(active)) => user.active = *active,
            Some(_) => return Err(invalid("active", "must be true or false")),
        }
        self.take_fields(&mut user, body)?;
        user.updated = now.to_string();
        let fields = fields_set(text(body, "fields_set")?);
        let data = user.to_json(fields.as_deref());
        self.users.replace(user);
        Ok(success(Some(data)))
    }

    /// The fields that creating and the custom method treat alike.
    fn take_fields(&self, user: &mut User, body: &Map<String, Value>) -> Result<(), BusinessError> {
        take_person(user, body, self.options.assumed_limits)?;
        if user.cti_enabled {
            let extension = text(body, "cti_phone_extension_number")?.filter(|extension| !extension.is_empty());
            user.cti_phone_extension_number = extension.map(str::to_owned).or(user.cti_phone_extension_number.take());
            if user.cti_phone_extension_number.is_none() {
                return Err(Code::CtiExtensionMandatory.says("The CTI phone extension number is mandatory"));
            }
        }
        match &user.email {
            None if self.options.email_required => Err(missing("email")),
            Some(email) if self.options.unique_email && self.users.has_email(email, &user.id) => {
                Err(Code::EmailAlreadyExists.says("The email address is already used"))
            }
            _ => Ok(()),
        }
    }

    fn template(&self, wanted: &Identifier) -> Result<&UserTemplate, BusinessError> {
        let fits = |template: &&UserTemplate| match wanted.field.as_str() {
            "id" => template.id == wanted.value,
            _ => template.name == wanted.value,
        };
        let found = self.options.templates.iter().find(fits);
        found.ok_or_else(|| Code::UserTemplateNotFound.says("The user template does not exist"))
    }

    fn user(&self, wanted: &Identifier) -> Result<&User, BusinessError> {
        let found = match wanted.field.as_str() {
            "id" => self.users.by_id(&wanted.value),
            _ => self.users.by_username(&wanted.value),
        };
        found.ok_or_else(|| Code::UserNotFound.says("The user does not exist"))
    }

    /// Whether a method exists in this installation, and the HTTP method it takes.
    fn takes(&self, operation: &str) -> Option<&'static str> {
        match operation {
            CREATE | CHANGE_PASSWORD if self.options.without_deprecated_methods => None,
            SHOW | LIST => Some("GET"),
            UNKNOWN_OPERATION => None,
            _ => Some("POST"),
        }
    }
}

impl Vendor for CrmCom {
    fn name(&self) -> &'static str {
        "crm_com"
    }

    fn base_path(&self) -> &'static str {
        BASE_PATH
    }

    fn operations(&self) -> Vec<&'static str> {
        let mut operations = vec![PASSWORD_TOKEN, WEB_API_KEY_TOKEN, CREATE, SHOW, LIST, CHANGE_PASSWORD];
        operations.extend(self.options.update_method.as_ref().map(|_| UPDATE));
        operations
    }

    fn operation(&self, request: &Request) -> &'static str {
        let path = request.path.strip_prefix(BASE_PATH).unwrap_or_default();
        if self.options.update_method.as_deref() == Some(path) {
            return UPDATE;
        }
        let known = [PASSWORD_TOKEN, WEB_API_KEY_TOKEN, CREATE, SHOW, LIST, CHANGE_PASSWORD];
        known.into_iter().find(|known| *known == path).unwrap_or(UNKNOWN_OPERATION)
    }

    fn fields(&self, request: &Request) -> Value {
        let mut fields = masked_pairs(request.query_pairs(), SECRETS);
        if let Ok(Value::Object(body)) = request.json().map(|body| masked_json(body, SECRETS)) {
            fields.extend(body);
        }
        Value::Object(fields)
    }

    fn answer(&mut self, request: &Request, now: Timestamp) -> Reply {
        let operation = self.operation(request);
        match self.takes(operation) {
            None => return Reply::html(404, "HTTP Status 404 - Not Found"),
            Some(method) if method != request.method => {
                return Reply::html(405, "HTTP Status 405 - Method Not Allowed");
            }
            Some("POST") if !request.has_content_type("application/json") => {
                return Reply::html(415, "HTTP Status 415 - Unsupported Media Type");
            }
            Some(_) => {}
        }
        let answer = Call::read(request).and_then(|call| self.carry_out(operation, &call, now));
        answer.unwrap_or_else(|error| failure(&error))
    }

    /// A text that starts with a full error code is that code with the rest as message.
    fn refuse(&self, reason: &str) -> Reply {
        let (code, message) = reason.split_once(' ').unwrap_or((reason, ""));
        let error = if code.starts_with("COM.CRM.EXCEPTION.") {
            BusinessError { code: code.to_owned(), message: message.to_owned() }
        } else {
            Code::BusinessRule.says(reason)
        };
        failure(&error)
    }

    fn failure(&self, status: u16) -> Reply {
        Reply::html(status, &format!("HTTP Status {status}"))
    }

    fn account_count(&self) -> usize {
        self.users.iter().filter(|user| !user.system_user).count()
    }

    fn accounts(&self) -> Vec<Value> {
        self.users.iter().filter(|user| !user.system_user).map(User::to_account).collect()
    }

    fn seed(&mut self, account: &Value, now: Timestamp) -> Result<(), String> {
        let body = account.as_object().ok_or("an account is an object")?;
        let word = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let found = word("id").and_then(|id| self.users.by_id(id));
        let found = found.or_else(|| word("username").and_then(|username| self.users.by_username(username)));
        let is_new = found.is_none();
        let mut user = match (found, word("username")) {
            (Some(user), _) => user.clone(),
            (None, None) => return Err("'username' is required".to_owned()),
            (None, Some(_)) => User {
                id: word("id").map_or_else(new_id, str::to_owned),
                active: true,
                contact_id: new_id(),
                created: now.to_string(),
                ..User::default()
            },
        };
        if let Some(username) = word("username") {
            if self.users.by_username(username).is_some_and(|holder| holder.id != user.id) {
                return Err("'username' is held by another user".to_owned());
            }
            user.username = username.to_owned();
        }
        let template = word("user_template").or(is_new.then_some("Agent"));
        if let Some(name) = template {
            let template = self.options.templates.iter().find(|template| template.name == name);
            let template = template.ok_or("'user_template' is not a template")?;
            user.template = template.name.clone();
            user.cti_enabled = template.cti_enabled;
            user.security_profile = template.security_profile.clone();
        }
        user.password = word("password").map_or(user.password, str::to_owned);
        user.active = body.get("active").and_then(Value::as_bool).unwrap_or(user.active);
        let extension = word("cti_phone_extension_number").map(str::to_owned);
        user.cti_phone_extension_number = extension.or(user.cti_phone_extension_number);
        user.cti_enabled = body.get("cti_enabled").and_then(Value::as_bool).unwrap_or(user.cti_enabled);
        take_person(&mut user, body, false).map_err(|error| error.message)?;
        user.updated = now.to_string();
        if is_new {
            self.users.add(user);
        } else {
            self.users.replace(user);
        }
        Ok(())
    }

    fn remove(&mut self, key: &str) -> bool {
        let user = self.users.by_username(key).or_else(|| self.users.by_id(key));
        let id = user.map(|user| user.id.clone());
        id.is_some_and(|id| self.users.remove(&id))
    }

    fn reset(&mut self) {
        self.users = Users::default();
        self.users.add(User {
            id: named_id(credentials::USERNAME),
            username: credentials::USERNAME.to_owned(),
            password: credentials::PASSWORD.to_owned(),
            active: true,
            system_user: true,
            first_name: "Provisioning".to_owned(),
            last_name: "Bridge".to_owned(),
            security_profile: "API user".to_owned(),
            contact_id: named_id("contact of the API user"),
            ..User::default()
        });
    }
}

/// A call after its envelope has been read.
struct Call {
    is_get: bool,
    query: Vec<(String, String)>,
    body: Map<String, Value>,
    authorization: String,
}

impl Call {
    fn read(request: &Request) -> Result<Self, BusinessError> {
        let is_get = request.method == "GET";
        let body = match request.json() {
            _ if is_get => Map::new(),
            Ok(Value::Object(body)) => body,
            Ok(_) => return Err(Code::InvalidRequest.says("The body must be a JSON object")),
            Err(error) => return Err(Code::InvalidRequest.says(format!("The body is not JSON: {error}"))),
        };
        let authorization = request.authorization.clone().unwrap_or_default();
        Ok(Self { is_get, query: request.query_pairs(), body, authorization })
    }
}

/// The unit of a sign-in: the given id, or the user's default.
fn unit(body: &Map<String, Value>) -> Result<&str, BusinessError> {
    match text(body, "unit")? {
        None | Some("") => Ok(credentials::UNIT_ID),
        Some(unit) if unit == credentials::UNIT_ID => Ok(unit),
        Some(_) => Err(Code::UnitNotFound.says("The unit does not exist")),
    }
}

fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}
