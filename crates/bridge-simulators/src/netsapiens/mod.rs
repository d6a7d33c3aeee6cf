//! NetSapiens API v2 (NetSapiens dossier): JSON, Bearer credentials, asynchronous writes.
//!
//! Choices where the dossier leaves one: a field that the version does not know is refused with 400, and so is the
//! other version's spelling of row 25 (option `ignore_unknown_fields`); a PUT is a partial update in which an empty
//! string clears; a credential of one domain gets 403 for any other; a reached user or site limit is 400; deleting a
//! user leaves its devices and numbers. Not simulated: `/jwt`, `/addresses`, creating keys.

mod access;
mod fields;
mod resources;
mod routes;
mod system;
mod time_zones;
mod users;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::access::{Access, Reach, Tokens};
use self::routes::{LEGACY_TOKEN, Operation, ROUTES, Route};
use self::system::{Domain, System};
use crate::credentials::netsapiens as credentials;
use crate::options::{NetsapiensOptions, PbxVersion};
use crate::vendor::{UNKNOWN_OPERATION, Vendor};
use crate::wire::{Reply, Request, masked_json, masked_pairs};

const BASE_PATH: &str = "/ns-api/v2";
const LEGACY_TOKEN_PATH: &str = "/ns-api/oauth2/token";
const LARGEST_BODY: usize = 25 * 1024 * 1024;
const SECRETS: &[&str] = &[
    "client_secret",
    "password",
    "access_token",
    "refresh_token",
    "device-sip-registration-password",
    "voicemail-login-pin",
];

/// The simulated PBX.
pub(crate) struct Netsapiens {
    options: NetsapiensOptions,
    tokens: Tokens,
    system: System,
}

/// An HTTP failure with its message.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: u16,
    message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn reply(&self) -> Reply {
        let body = json!({"code": self.status, "message": self.message});
        Reply::json(self.status, &body, format!("{} {}", self.status, self.message))
    }
}

impl Netsapiens {
    pub(crate) fn new(options: NetsapiensOptions) -> Self {
        Self { options, tokens: Tokens::default(), system: System::new() }
    }

    fn api_version(&self) -> &'static str {
        match self.options.version {
            PbxVersion::V44 => "44.3",
            PbxVersion::V45 => "45.0",
        }
    }

    fn domain(&self, name: &str) -> Result<&Domain, ApiError> {
        self.system.domains.get(name).ok_or_else(|| no_domain(name))
    }

    fn domain_mut(&mut self, name: &str) -> Result<&mut Domain, ApiError> {
        self.system.domains.get_mut(name).ok_or_else(|| no_domain(name))
    }

    fn route(&self, request: &Request) -> Option<(&'static Route, Vec<String>)> {
        if request.method == "POST" && request.path.trim_end_matches('/') == LEGACY_TOKEN_PATH {
            return Some((&LEGACY_TOKEN, Vec::new()));
        }
        let segments = request.segments(BASE_PATH)?;
        let found = routes::find(&request.method, &segments, self.options.version)?;
        let is_gone = found.0.operation == Operation::Token && self.options.legacy_tokens_only;
        (!is_gone).then_some(found)
    }

    fn carry_out(&mut self, request: &Request, now: Timestamp) -> Result<Reply, ApiError> {
        if request.body.len() > LARGEST_BODY {
            return Err(ApiError::new(400, "The body is too large"));
        }
        let (route, arguments) = self.route(request).ok_or_else(|| ApiError::new(404, "No Route Found [92]"))?;
        self.system.settle(now);
        match route.operation {
            Operation::Version => return Ok(self.version(now)),
            Operation::Token => {
                let body = json_body(request)?;
                let field = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
                return self.grant(field, now);
            }
            Operation::LegacyToken => {
                let body = request.form_pairs();
                let field = |name: &str| body.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
                return self.grant(field, now);
            }
            _ => {}
        }
        let access = self.tokens.access(request.authorization.as_deref(), now)?;
        if route.operation == Operation::ReadKey {
            let key = access.describe_key().ok_or_else(|| ApiError::new(404, "No API key is in use"))?;
            return Ok(Reply::json(200, &key, "200"));
        }
        let is_write = request.method != "GET";
        self.check_rights(access, route.operation, is_write)?;
        let mut arguments = arguments.iter();
        let mut next = || arguments.next().map(String::as_str).unwrap_or_default();
        let domain = self.reached_domain(access, next(), route.operation)?;
        self.serve(access, route.operation, &domain, [next(), next()], request, now)
    }

    fn serve(
        &mut self,
        access: Access,
        operation: Operation,
        domain: &str,
        [first, second]: [&str; 2],
        request: &Request,
        now: Timestamp,
    ) -> Result<Reply, ApiError> {
        use Operation as O;
        let has_body = matches!(request.method.as_str(), "POST" | "PUT");
        let body = if has_body { json_body(request)? } else { Map::new() };
        let parameters = Parameters(request.query_pairs());
        let is_user_path = !matches!(operation, O::ReadSite | O::UpdateSite | O::DeleteNumber);
        if is_user_path && !first.is_empty() && first != "~" && !fields::is_extension(first) {
            return Err(ApiError::new(400, "The user in the path must have at most 16 characters"));
        }
        match operation {
            O::Version | O::Token | O::LegacyToken | O::ReadKey => Err(ApiError::new(404, "No Route Found [92]")),
            O::ReadDomain => self.read_domain(domain),
            O::CountDomain => self.domain(domain).map(|_| Reply::json(200, &json!({"total": 1}), "200")),
            O::ListUsers => self.list_users(domain, &parameters),
            O::LightListUsers => self.light_list_users(domain, &parameters),
            O::CountUsers => self.count_users(domain),
            O::ReadUser => self.read_user(domain, first),
            O::CreateUser => self.create_user(access, domain, &body, now),
            O::UpdateUser => self.update_user(access, domain, first, &body, now),
            O::DeleteUser => self.delete_user(domain, first, now),
            O::WelcomeMail => self.welcome_mail(domain, first, &body),
            O::ListDevices => self.list_devices(domain, first),
            O::CountDevices => self.count_devices(domain, first),
            O::ReadDevice => self.read_device(domain, first, second),
            O::CreateDevice => self.create_device(domain, first, &body),
            O::UpdateDevice => self.update_device(domain, first, second, &body),
            O::DeleteDevice => self.delete_device(domain, first, second),
            O::ListSites => self.list_sites(domain),
            O::LightListSites => self.light_list_sites(domain),
            O::CountSites => self.count_sites(domain),
            O::ReadSite => self.read_site(domain, first),
            O::CreateSite => self.create_site(domain, &body),
            O::UpdateSite => self.update_site(domain, first, &body),
            O::ListNumbers => self.list_numbers(domain, &parameters),
            O::CreateNumber => self.create_number(domain, &body),
            O::UpdateNumber => self.update_number(domain, &body),
            O::DeleteNumber => self.delete_number(domain, first),
        }
    }

    fn version(&self, now: Timestamp) -> Reply {
        let body = json!({
            "apiversion": self.api_version(),
            "hostname": "core1.pbx.example",
            "current-time": moment(now),
        });
        Reply::json(200, &body, "200")
    }

    fn grant(&mut self, field: impl Fn(&str) -> Option<String>, now: Timestamp) -> Result<Reply, ApiError> {
        let version = self.api_version();
        let token = self.tokens.grant(field, version, now)?;
        Ok(Reply::json(200, &token, "200"))
    }

    /// Whether the credential may do this at all.
    fn check_rights(&self, access: Access, operation: Operation, is_write: bool) -> Result<(), ApiError> {
        let is_out_of_models = access.only_model.is_some_and(|only| operation.model() != Some(only));
        let is_refused = access.reach == Reach::BasicUser
            || is_out_of_models
            || is_write && (access.read_only || self.options.domain_locked);
        if is_refused { Err(ApiError::new(403, "Permission Denied")) } else { Ok(()) }
    }

    /// The domain of the path, within reach of the credential: `~` is its own, `*` stands for all in a list of users.
    fn reached_domain(&self, access: Access, name: &str, operation: Operation) -> Result<String, ApiError> {
        if name == "*" && access.reach.is_wide() && operation == Operation::ListUsers {
            return Ok(name.to_owned());
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name != "~" && name != "*" && !(name.chars().all(is_name) && (1..=64).contains(&name.len())) {
            return Err(ApiError::new(400, "The domain in the path is not a domain name"));
        }
        let name = if name == "~" { credentials::DOMAIN } else { name };
        if !access.reach.is_wide() && name != credentials::DOMAIN {
            return Err(ApiError::new(403, "Domain not found or access denied"));
        }
        self.domain(name).map(|_| name.to_owned())
    }
}

impl Vendor for Netsapiens {
    fn name(&self) -> &'static str {
        "netsapiens"
    }

    fn base_path(&self) -> &'static str {
        BASE_PATH
    }

    fn operations(&self) -> Vec<&'static str> {
        ROUTES.iter().chain([&LEGACY_TOKEN]).map(|route| route.name).collect()
    }

    fn operation(&self, request: &Request) -> &'static str {
        self.route(request).map_or(UNKNOWN_OPERATION, |(route, _)| route.name)
    }

    fn fields(&self, request: &Request) -> Value {
        let mut fields = masked_pairs(request.query_pairs(), SECRETS);
        fields.extend(masked_pairs(request.form_pairs(), SECRETS));
        if let Ok(Value::Object(body)) = request.json().map(|body| masked_json(body, SECRETS)) {
            fields.extend(body);
        }
        Value::Object(fields)
    }

    fn answer(&mut self, request: &Request, now: Timestamp) -> Reply {
        self.carry_out(request, now).unwrap_or_else(|error| error.reply())
    }

    /// A text that starts with a status code, such as `409 UID already exists.`, has that status; others are 400.
    fn refuse(&self, reason: &str) -> Reply {
        let (code, message) = reason.split_once(' ').unwrap_or((reason, ""));
        match code.parse() {
            Ok(status) if (400..500).contains(&status) => ApiError::new(status, message).reply(),
            _ => ApiError::new(400, reason).reply(),
        }
    }

    fn failure(&self, status: u16) -> Reply {
        ApiError::new(status, "The request failed").reply()
    }

    fn account_count(&self) -> usize {
        self.system.domains.values().map(|domain| domain.users().len()).sum()
    }

    fn accounts(&self) -> Vec<Value> {
        let mut accounts = Vec::new();
        for (name, domain) in &self.system.domains {
            for (extension, user) in domain.users() {
                let mut account = self.render(name, user);
                if let Some(members) = account.as_object_mut() {
                    let has_pin = members.shift_remove(fields::PIN).is_some();
                    members.insert("has_voicemail_login_pin".to_owned(), json!(has_pin));
                    // The PBX keeps no portal password that its API could set.
                    members.insert("has_password".to_owned(), json!(false));
                    let devices: Vec<&String> =
                        domain.devices.get(extension).into_iter().flat_map(|d| d.keys()).collect();
                    members.insert("devices".to_owned(), json!(devices));
                }
                accounts.push(account);
            }
        }
        accounts
    }

    fn seed(&mut self, account: &Value, now: Timestamp) -> Result<(), String> {
        self.seed_user(account, now)
    }

    /// The key is an extension of the first domain, or `domain/extension`.
    fn remove(&mut self, key: &str) -> bool {
        let (domain, extension) = key.split_once('/').unwrap_or((credentials::DOMAIN, key));
        let is_there = self.system.domains.get(domain).is_some_and(|place| place.users().contains_key(extension));
        self.system.write(domain, extension, None, None);
        is_there
    }

    fn reset(&mut self) {
        self.system = System::new();
    }
}

/// The parameters of a query string.
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str, default: usize, least: usize, greatest: usize) -> Result<usize, ApiError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (least..=greatest).contains(number));
        number.ok_or_else(|| ApiError::new(400, format!("{name} is out of range")))
    }
}

/// The body of a write: a JSON object, declared as JSON.
fn json_body(request: &Request) -> Result<Map<String, Value>, ApiError> {
    if !request.has_content_type("application/json") {
        return Err(ApiError::new(400, "Content-Type must be application/json"));
    }
    match request.json() {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(ApiError::new(400, "The body must be a JSON object")),
        Err(error) => Err(ApiError::new(400, format!("The body is not JSON: {error}"))),
    }
}

fn required_text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, ApiError> {
    let text = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| ApiError::new(400, format!("{name} is required")))
}

/// Whether a create waits for the local copy.
fn is_synchronous(body: &Map<String, Value>) -> Result<bool, ApiError> {
    match body.get("synchronous").map(Value::as_str) {
        None | Some(Some("no")) => Ok(false),
        Some(Some("yes")) => Ok(true),
        Some(_) => Err(ApiError::new(400, "synchronous must be one of yes, no")),
    }
}

/// The answer of a write that was put on its way.
fn accepted() -> Reply {
    Reply::json(202, &json!({"code": 202, "message": "Accepted"}), "202 Accepted")
}

fn no_domain(name: &str) -> ApiError {
    ApiError::new(404, format!("Domain {name} does not exist"))
}

/// A time as the PBX writes it.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
