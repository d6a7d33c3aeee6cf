//! Glance PAPI (Glance dossier): form fields in, XML out, HTTP 200 for failures too.
//!
//! Choices where the dossier leaves one: unknown fields are ignored, of a repeated field the first counts; field names,
//! file names, keys and roles are compared without letter case; users that were made in the portal may lack a
//! `PartnerUserID` (seeded ones can); the administrators themselves are not listed among the users. A seeded account
//! whose `PartnerID` is another group's is in the control list only: its address is taken, the API never shows it.

mod directory;
mod login_key;
mod xml;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::directory::{Criteria, Directory, NONE, Pattern, Taken, User, fold};
use self::xml::Document;
use crate::credentials::glance as credentials;
use crate::options::GlanceOptions;
use crate::vendor::{UNKNOWN_OPERATION, Vendor};
use crate::wire::{Reply, Request, masked_pairs};

const BASE_PATH: &str = "/PAPI/";
const OPERATIONS: [&str; 5] = ["NewUser.asp", "UpdateUser.asp", "DeleteUser.asp", "ShowUsers.asp", "ShowRoles.asp"];
const SECRETS: &[&str] = &["PartnerPW", "PartnerAuth", "UserPW"];

const ID_LIMIT: usize = 255;
const ADDRESS_LIMIT: usize = 127;
const PASSWORD_LIMIT: usize = 49;
const PASSWORD_LEAST: usize = 8;
const NAME_LIMIT: usize = 49;
const EMAIL_LIMIT: usize = 127;
const ROLE_SEARCH_LIMIT: usize = 255;
const PAGE_START_LIMIT: usize = 15;

/// Audio conferencing services that exist: Glance Free Conferencing and the test service.
const AUDIO_PROVIDERS: [i64; 2] = [1, 666];

/// The simulated Glance.
pub(crate) struct Glance {
    options: GlanceOptions,
    directory: Directory,
}

/// Why a request fails, as the text of the failure document.
struct Refusal(String);

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

impl From<Taken> for Refusal {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::PartnerUserId => "The PartnerUserID is already in use".into(),
            Taken::Address => "The UserAddress is already in use".into(),
        }
    }
}

impl Glance {
    pub(crate) fn new(options: GlanceOptions) -> Self {
        Self { options, directory: Directory::default() }
    }

    fn carry_out(&mut self, operation: &str, fields: &Fields, now: Timestamp) -> Result<Reply, Refusal> {
        sign_in(fields, now)?;
        match operation {
            "NewUser.asp" => self.new_user(fields),
            "UpdateUser.asp" => self.update_user(fields),
            "DeleteUser.asp" => self.delete_user(fields),
            "ShowUsers.asp" => self.show_users(fields),
            "ShowRoles.asp" => Ok(self.show_roles()),
            _ => Err("Unknown operation".into()),
        }
    }

    fn new_user(&mut self, fields: &Fields) -> Result<Reply, Refusal> {
        let partner_user_id = fields.required("PartnerUserID", ID_LIMIT)?.to_owned();
        let address = fields.required("UserAddress", ADDRESS_LIMIT)?.to_owned();
        let mut user = User {
            group: credentials::PARTNER_ID.to_owned(),
            partner_user_id: Some(partner_user_id),
            address: String::new(),
            ..User::default()
        };
        self.set_address(&mut user, &address)?;
        self.set_common(&mut user, fields)?;
        if let Some(text) = fields.given("AudioProvider") {
            let provider = text.trim().parse().ok().filter(|provider| AUDIO_PROVIDERS.contains(provider));
            user.audio_provider = Some(provider.ok_or("The AudioProvider is unknown")?);
        }
        if let Some(seats) = self.options.seats {
            let used = self.directory.users().filter(|user| user.group == credentials::PARTNER_ID).count();
            if used >= seats {
                return Err("The group has no free seat".into());
            }
        }
        let audio_provider = user.audio_provider;
        let number = self.directory.add(user)?;
        if let Some(url) = fields.given("OKURL") {
            let mut reply = Reply::html(302, "Object moved");
            reply.header = Some(("Location", url.to_owned()));
            return Ok(reply);
        }
        let mut document = Document::with_status("OK");
        if audio_provider.is_some() {
            let code = 1_391_095 + number;
            document.text(1, "dialIn", "1 (605) 555-0100");
            document.text(1, "hostCode", &format!("*{code}"));
            document.text(1, "guestCode", &code.to_string());
        }
        Ok(Reply::xml(document.finish(), "OK"))
    }

    fn update_user(&mut self, fields: &Fields) -> Result<Reply, Refusal> {
        let (number, mut user) = self.selected(fields)?;
        if let Some(address) = fields.given("UserAddress") {
            limited("UserAddress", address, ADDRESS_LIMIT)?;
            self.set_address(&mut user, address)?;
        }
        self.set_common(&mut user, fields)?;
        let active = fields.given("UserActive").map(|text| yes_or_no("UserActive", text)).transpose()?;
        let suspended = fields.given("UserSuspended").map(|text| yes_or_no("UserSuspended", text)).transpose()?;
        // When both are sent, UserSuspended wins.
        user.suspended = suspended.or(active.map(|active| !active)).unwrap_or(user.suspended);
        self.directory.replace(number, user)?;
        Ok(success())
    }

    fn delete_user(&mut self, fields: &Fields) -> Result<Reply, Refusal> {
        let (number, _) = self.selected(fields)?;
        self.directory.remove(number);
        Ok(success())
    }

    fn show_users(&self, fields: &Fields) -> Result<Reply, Refusal> {
        let count = fields.given("PageCount").ok_or("PageCount is missing")?;
        let count = count.trim().parse().ok().filter(|count| (1..=1000).contains(count));
        let count: usize = count.ok_or("PageCount must be an integer from 1 to 1000")?;
        let start = match fields.given("PageStart") {
            None => 0,
            Some(text) => {
                limited("PageStart", text, PAGE_START_LIMIT)?;
                text.trim().parse().map_err(|_| "PageStart is not a page of this list")?
            }
        };
        let criterion = |name: &str, limit: usize, read: fn(&str) -> Pattern| match fields.given(name) {
            None => Ok(None),
            Some(text) => limited(name, text, limit).map(|()| Some(read(text))),
        };
        let criteria = Criteria {
            partner_user_id: criterion("PartnerUserID", ID_LIMIT, Pattern::with_wildcards_or_none)?,
            address: criterion("UserAddress", ADDRESS_LIMIT, Pattern::with_wildcards)?,
            role: criterion("UserRole", ROLE_SEARCH_LIMIT, Pattern::exact_or_none)?,
        };
        let page = self.directory.search(credentials::PARTNER_ID, &criteria, start, count);
        let mut document = Document::with_status("OK");
        document.line(1, "<users>");
        for user in &page.users {
            document.line(2, "<user>");
            document.text(3, "partneruserid", user.partner_user_id.as_deref().unwrap_or_default());
            document.text(3, "useraddress", &user.address);
            document.text(3, "userfirst", &user.first);
            document.text(3, "userlast", &user.last);
            document.text(3, "useremail", &user.email);
            document.text(3, "userrole", user.role.as_deref().unwrap_or_default());
            if self.options.shows_suspended {
                document.text(3, "usersuspended", if user.suspended { "1" } else { "0" });
                document.text(3, "useractive", if user.suspended { "0" } else { "1" });
            }
            document.line(2, "</user>");
        }
        document.line(1, "</users>");
        if let Some(next) = page.next {
            document.text(1, "nextpage", &next.to_string());
        }
        Ok(Reply::xml(document.finish(), format!("OK, {} users", page.users.len())))
    }

    /// Only roles that somebody has are listed; users without one count under `-none-`.
    fn show_roles(&self) -> Reply {
        let mut counts: std::collections::BTreeMap<&str, (usize, usize)> = std::collections::BTreeMap::new();
        for user in self.directory.users().filter(|user| user.group == credentials::PARTNER_ID) {
            let (active, inactive) = counts.entry(user.role.as_deref().unwrap_or(NONE)).or_default();
            *(if user.suspended { inactive } else { active }) += 1;
        }
        let mut document = Document::with_status("OK");
        for (name, (active, inactive)) in counts {
            let name = quick_xml::escape::partial_escape(name);
            let users = active + inactive;
            document.line(
                1,
                &format!(
                    "<role><name>{name}</name><activeusers>{active}</activeusers>\
                     <inactiveusers>{inactive}</inactiveusers><users>{users}</users></role>"
                ),
            );
        }
        Reply::xml(document.finish(), "OK")
    }

    /// The user that `PartnerUserID` selects.
    fn selected(&self, fields: &Fields) -> Result<(u64, User), Refusal> {
        let id = fields.required("PartnerUserID", ID_LIMIT)?;
        let number = self.directory.by_partner_user_id(credentials::PARTNER_ID, id);
        let found = number.and_then(|number| self.directory.get(number).map(|user| (number, user.clone())));
        found.ok_or_else(|| "No user has this PartnerUserID".into())
    }

    fn set_address(&self, user: &mut User, address: &str) -> Result<(), Refusal> {
        if !is_glance_address(address, &self.options.address_suffix) {
            return Err("The UserAddress is not a valid Glance Address".into());
        }
        user.address = address.to_owned();
        Ok(())
    }

    /// The fields that creating and updating treat alike.
    fn set_common(&self, user: &mut User, fields: &Fields) -> Result<(), Refusal> {
        let texts: [(&str, usize, &mut String); 3] = [
            ("UserFirst", NAME_LIMIT, &mut user.first),
            ("UserLast", NAME_LIMIT, &mut user.last),
            ("UserEmail", EMAIL_LIMIT, &mut user.email),
        ];
        for (name, limit, place) in texts {
            match fields.get(name) {
                Some("") if !self.options.empty_clears => {}
                Some(text) => {
                    limited(name, text, limit)?;
                    *place = text.to_owned();
                }
                None => {}
            }
        }
        if let Some(password) = fields.given("UserPW") {
            limited("UserPW", password, PASSWORD_LIMIT)?;
            if password.chars().count() < PASSWORD_LEAST {
                return Err(format!("UserPW must have at least {PASSWORD_LEAST} characters").into());
            }
            user.has_password = true;
        }
        if let Some(role) = fields.get("UserRole") {
            user.role = self.role(role)?;
        }
        Ok(())
    }

    /// A provisioned role in its own spelling; empty and `-none-` are no role.
    fn role(&self, text: &str) -> Result<Option<String>, Refusal> {
        if text.is_empty() || fold(text) == NONE {
            return Ok(None);
        }
        limited("UserRole", text, self.options.role_limit)?;
        let known = self.options.roles.iter().find(|role| fold(role) == fold(text));
        known.cloned().map(Some).ok_or_else(|| "The UserRole is not provisioned".into())
    }

    fn seeded(&self, account: &Value) -> Result<(Option<u64>, User), String> {
        let members = account.as_object().ok_or("an account is an object")?;
        let text = |name: &str| members.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        let group = text("PartnerID").unwrap_or_else(|| credentials::PARTNER_ID.to_owned());
        let id = members.get("PartnerUserID").and_then(Value::as_str).filter(|id| !id.is_empty());
        let address = members.get("UserAddress").and_then(Value::as_str).filter(|address| !address.is_empty());
        let by_id = id.and_then(|id| self.directory.by_partner_user_id(&group, id));
        let number = by_id.or_else(|| address.and_then(|address| self.directory.by_address(address)));
        let mut user = number.and_then(|number| self.directory.get(number).cloned()).unwrap_or_default();
        user.group = group;
        user.partner_user_id = id.map(str::to_owned).or(user.partner_user_id);
        user.address = address.map_or(user.address, str::to_owned);
        if user.address.is_empty() {
            return Err("'UserAddress' is required".to_owned());
        }
        user.first = text("UserFirst").unwrap_or(user.first);
        user.last = text("UserLast").unwrap_or(user.last);
        user.email = text("UserEmail").unwrap_or(user.email);
        user.role = text("UserRole").map_or(user.role, |role| Some(role).filter(|role| !role.is_empty()));
        if let Some(suspended) = text("UserSuspended") {
            user.suspended = yes_or_no("UserSuspended", &suspended).map_err(|Refusal(reason)| reason)?;
        }
        user.has_password = members.get("has_password").and_then(Value::as_bool).unwrap_or(user.has_password);
        Ok((number, user))
    }
}

impl Vendor for Glance {
    fn name(&self) -> &'static str {
        "glance"
    }

    fn base_path(&self) -> &'static str {
        BASE_PATH
    }

    fn operations(&self) -> Vec<&'static str> {
        OPERATIONS.to_vec()
    }

    fn operation(&self, request: &Request) -> &'static str {
        let path = request.path.to_ascii_lowercase();
        let name = path.strip_prefix("/papi/").unwrap_or_default();
        OPERATIONS.into_iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(UNKNOWN_OPERATION)
    }

    fn fields(&self, request: &Request) -> Value {
        Value::Object(masked_pairs(Fields::of(request).0, SECRETS))
    }

    fn answer(&mut self, request: &Request, now: Timestamp) -> Reply {
        let operation = self.operation(request);
        if operation == UNKNOWN_OPERATION {
            return Reply::html(404, "404 - File or directory not found.");
        }
        if !["GET", "POST"].contains(&request.method.as_str()) {
            return Reply::html(405, "405 - HTTP verb used to access this page is not allowed.");
        }
        let fields = Fields::of(request);
        self.carry_out(operation, &fields, now).unwrap_or_else(|Refusal(reason)| self.refuse(&reason))
    }

    fn refuse(&self, reason: &str) -> Reply {
        let mut document = Document::with_status("Failed");
        document.text(1, "reason", reason);
        Reply::xml(document.finish(), format!("Failed: {reason}"))
    }

    fn failure(&self, status: u16) -> Reply {
        Reply::html(status, &format!("{status} - Server error."))
    }

    fn account_count(&self) -> usize {
        self.directory.users().count()
    }

    fn accounts(&self) -> Vec<Value> {
        let account = |user: &User| {
            json!({
                "PartnerID": user.group,
                "PartnerUserID": user.partner_user_id,
                "UserAddress": user.address,
                "UserFirst": user.first,
                "UserLast": user.last,
                "UserEmail": user.email,
                "UserRole": user.role,
                "UserSuspended": user.suspended,
                "AudioProvider": user.audio_provider,
                "has_password": user.has_password,
            })
        };
        self.directory.users().map(account).collect()
    }

    fn seed(&mut self, account: &Value, _: Timestamp) -> Result<(), String> {
        let (number, user) = self.seeded(account)?;
        let seeded = match number {
            Some(number) => self.directory.replace(number, user),
            None => self.directory.add(user).map(|_| ()),
        };
        seeded.map_err(|taken| Refusal::from(taken).0)
    }

    fn remove(&mut self, key: &str) -> bool {
        let by_id = self.directory.by_partner_user_id(credentials::PARTNER_ID, key);
        by_id.or_else(|| self.directory.by_address(key)).and_then(|number| self.directory.remove(number)).is_some()
    }

    fn reset(&mut self) {
        self.directory = Directory::default();
    }
}

/// The fields of a request: of the form body, or of the query string of a GET.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn of(request: &Request) -> Self {
        Self(if request.method == "GET" { request.query_pairs() } else { request.form_pairs() })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A field that is there and not empty.
    fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str, limit: usize) -> Result<&str, Refusal> {
        let value = self.given(name).ok_or_else(|| format!("{name} is missing"))?;
        limited(name, value, limit)?;
        Ok(value)
    }
}

/// Every request carries its credentials (dossier section 2).
fn sign_in(fields: &Fields, now: Timestamp) -> Result<(), Refusal> {
    let login = fields.given("PartnerLogin").ok_or("PartnerLogin is missing")?;
    if fields.given("PartnerID").is_some_and(|id| id != credentials::PARTNER_ID) {
        return Err("The PartnerID is not the group of the PartnerLogin".into());
    }
    let password = fields.given("PartnerPW");
    let login_key = fields.given("PartnerAuth");
    if password.is_none() && login_key.is_none() {
        return Err("PartnerPW or PartnerAuth is missing".into());
    }
    if fold(login) == credentials::INACTIVE_LOGIN {
        return Err("The PartnerLogin is not active".into());
    }
    if fold(login) != credentials::PARTNER_LOGIN
        || password.is_some_and(|password| password != credentials::PARTNER_PASSWORD)
    {
        return Err("The PartnerLogin or its password is wrong".into());
    }
    if let Some(login_key) = login_key {
        let (group, administrator) = (credentials::PARTNER_ID, credentials::ADMINISTRATOR_ID);
        login_key::check(login_key, credentials::API_KEY, group, administrator, now.as_second())?;
    }
    Ok(())
}

fn success() -> Reply {
    Reply::xml(Document::with_status("OK").finish(), "OK")
}

fn limited(name: &str, value: &str, limit: usize) -> Result<(), Refusal> {
    if value.chars().count() > limit { Err(format!("{name} is longer than {limit} characters").into()) } else { Ok(()) }
}

fn yes_or_no(name: &str, text: &str) -> Result<bool, Refusal> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" => Ok(true),
        "0" | "no" | "false" => Ok(false),
        _ => Err(format!("{name} must be one of 1, 0, yes, no, true, false").into()),
    }
}

/// ASCII letters and digits, `.` and `-` inside but not at either end, then the suffix (dossier section 4).
fn is_glance_address(address: &str, suffix: &str) -> bool {
    let address = fold(address);
    let Some(person) = address.strip_suffix(&fold(suffix)) else { return false };
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_end(person.chars().next())
        && is_end(person.chars().next_back())
        && person.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::is_glance_address;

    #[test]
    fn a_glance_address_has_dots_and_dashes_only_inside() {
        let check = |address: &str, expected: bool| {
            assert_eq!(is_glance_address(address, ".glance.net"), expected, "{address}");
        };
        check("ja.acme.glance.net", true);
        check("John.Appleseed.ACME.glance.net", true);
        check("a.glance.net", true);
        check("a-b.glance.net", true);
        check("glance.net", false);
        check(".glance.net", false);
        check("-a.glance.net", false);
        check("a-.glance.net", false);
        check("a..glance.net", false);
        check("a_b.glance.net", false);
        check("ann\u{e9}.glance.net", false);
        check("a b.glance.net", false);
        check("dana.ortiz@acme.example", false);
        check("a.glance.net.example", false);
    }
}
