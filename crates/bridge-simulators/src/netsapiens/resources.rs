//! What surrounds the users of the PBX: domain, sites, devices and phone numbers (NetSapiens dossier sections 3, 8
//! and 9). The replication lag concerns users only.

use serde_json::{Map, Value, json};

use super::fields::RECORDING;
use super::users::no_user;
use super::{ApiError, Netsapiens, Parameters, accepted, is_synchronous, required_text};
use crate::wire::Reply;

const SIP_PASSWORD: &str = "device-sip-registration-password";

impl Netsapiens {
    pub(crate) fn read_domain(&self, domain: &str) -> Result<Reply, ApiError> {
        let place = self.domain(domain)?;
        let resources = place.seen().len() + place.devices.values().map(|devices| devices.len()).sum::<usize>();
        let mut body = Map::new();
        body.insert("domain".to_owned(), json!(domain));
        body.insert("reseller".to_owned(), json!("acme"));
        let defaults = [
            "dial-plan",
            "dial-policy",
            "time-zone",
            "area-code",
            "caller-id-name",
            "caller-id-number",
            "language-token",
        ];
        for name in defaults {
            body.insert(name.to_owned(), json!(self.domain_default(domain, name)));
        }
        body.insert("single-sign-on-enabled".to_owned(), json!("no"));
        let locked = if self.options.domain_locked { "yes" } else { "no" };
        body.insert("is-domain-locked".to_owned(), json!(locked));
        body.insert("limits-max-users".to_owned(), json!(self.options.max_users));
        body.insert("limits-max-subcriber-resources-total".to_owned(), json!(0));
        body.insert("limits-max-sites".to_owned(), json!(self.options.max_sites));
        body.insert("limits-max-departments".to_owned(), json!(0));
        body.insert("limits-max-active-calls-total".to_owned(), json!(0));
        body.insert("limits-max-active-calls-total-offnet".to_owned(), json!(0));
        body.insert("count-subcriber-resources-total".to_owned(), json!(resources));
        Ok(Reply::json(200, &Value::Object(body), "200"))
    }

    /// What a user's field of this name is when it was never set.
    pub(crate) fn domain_default(&self, domain: &str, name: &str) -> Option<Value> {
        let value = match name {
            "dial-plan" => json!(domain),
            "dial-policy" => json!(self.options.dial_policies.first()?),
            "time-zone" => json!("US/Eastern"),
            "area-code" => json!(858),
            "caller-id-name" => json!("Acme"),
            "caller-id-number" if self.options.numbers_as_integers => json!(18_585_550_100_i64),
            "caller-id-number" => json!("18585550100"),
            "language-token" => json!("en_US"),
            _ => return None,
        };
        Some(value)
    }

    pub(crate) fn list_sites(&self, domain: &str) -> Result<Reply, ApiError> {
        let rows: Vec<_> = self.domain(domain)?.sites.values().collect();
        Ok(Reply::json(200, &json!(rows), "200"))
    }

    pub(crate) fn light_list_sites(&self, domain: &str) -> Result<Reply, ApiError> {
        let rows: Vec<_> = self.domain(domain)?.sites.keys().map(|site| json!({"site": site})).collect();
        Ok(Reply::json(200, &json!(rows), "200"))
    }

    pub(crate) fn count_sites(&self, domain: &str) -> Result<Reply, ApiError> {
        Ok(Reply::json(200, &json!({"total": self.domain(domain)?.sites.len()}), "200"))
    }

    pub(crate) fn read_site(&self, domain: &str, site: &str) -> Result<Reply, ApiError> {
        let found = self.domain(domain)?.sites.get(site).ok_or_else(|| no_site(domain, site))?;
        Ok(Reply::json(200, &json!(found), "200"))
    }

    pub(crate) fn create_site(&mut self, domain: &str, body: &Map<String, Value>) -> Result<Reply, ApiError> {
        let site = required_text(body, "site")?.to_owned();
        if self.domain(domain)?.sites.contains_key(&site) {
            return Err(ApiError::new(409, format!("Site {site} already exists")));
        }
        self.add_site(domain, &site, body.clone())?;
        Ok(accepted())
    }

    pub(crate) fn update_site(
        &mut self,
        domain: &str,
        site: &str,
        body: &Map<String, Value>,
    ) -> Result<Reply, ApiError> {
        let found = self.domain_mut(domain)?.sites.get_mut(site).ok_or_else(|| no_site(domain, site))?;
        found.extend(body.clone().into_iter().filter(|(name, _)| name != "site"));
        Ok(accepted())
    }

    /// Adds a site if the domain's limit allows.
    pub(crate) fn add_site(&mut self, domain: &str, site: &str, fields: Map<String, Value>) -> Result<(), ApiError> {
        let limit = self.options.max_sites;
        let place = self.domain_mut(domain)?;
        if limit > 0 && i64::try_from(place.sites.len()).is_ok_and(|count| count >= limit) {
            return Err(ApiError::new(400, "The maximum number of sites of the domain is reached"));
        }
        place.sites.insert(site.to_owned(), fields);
        Ok(())
    }

    pub(crate) fn list_devices(&self, domain: &str, user: &str) -> Result<Reply, ApiError> {
        let rows: Vec<Value> = self.devices(domain, user)?.map(without_password).collect();
        Ok(Reply::json(200, &json!(rows), "200"))
    }

    pub(crate) fn count_devices(&self, domain: &str, user: &str) -> Result<Reply, ApiError> {
        Ok(Reply::json(200, &json!({"total": self.devices(domain, user)?.count()}), "200"))
    }

    pub(crate) fn read_device(&self, domain: &str, user: &str, device: &str) -> Result<Reply, ApiError> {
        let found = self.domain(domain)?.devices.get(user).and_then(|devices| devices.get(device));
        let found = found.ok_or_else(|| no_device(domain, user, device))?;
        Ok(Reply::json(200, &without_password(found), "200"))
    }

    pub(crate) fn create_device(
        &mut self,
        domain: &str,
        user: &str,
        body: &Map<String, Value>,
    ) -> Result<Reply, ApiError> {
        let synchronous = is_synchronous(body)?;
        let name = required_text(body, "device")?.to_owned();
        self.check_device(body)?;
        let place = self.domain_mut(domain)?;
        if !place.users().contains_key(user) {
            return Err(no_user(domain, user));
        }
        let devices = place.devices.entry(user.to_owned()).or_default();
        if devices.contains_key(&name) {
            return Err(ApiError::new(409, format!("Device {name} already exists")));
        }
        let mut device: Map<String, Value> = [("domain", json!(domain)), ("user", json!(user))]
            .into_iter()
            .chain([
                ("device-push-enabled", json!("yes")),
                ("device-sip-registration-expiry-seconds", json!(60)),
                (SIP_PASSWORD, json!(format!("{:016x}", rand::random::<u64>()))),
            ])
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        device.extend(body.clone().into_iter().filter(|(name, _)| name != "synchronous"));
        devices.insert(name, device.clone());
        Ok(if synchronous { Reply::json(200, &Value::Object(device), "200") } else { accepted() })
    }

    pub(crate) fn update_device(
        &mut self,
        domain: &str,
        user: &str,
        device: &str,
        body: &Map<String, Value>,
    ) -> Result<Reply, ApiError> {
        self.check_device(body)?;
        let found = self.domain_mut(domain)?.devices.get_mut(user).and_then(|devices| devices.get_mut(device));
        let found = found.ok_or_else(|| no_device(domain, user, device))?;
        found.extend(body.clone().into_iter().filter(|(name, _)| name != "device"));
        Ok(accepted())
    }

    pub(crate) fn delete_device(&mut self, domain: &str, user: &str, device: &str) -> Result<Reply, ApiError> {
        let devices = self.domain_mut(domain)?.devices.get_mut(user);
        let removed = devices.and_then(|devices| devices.remove(device));
        removed.map(|_| accepted()).ok_or_else(|| no_device(domain, user, device))
    }

    fn devices(&self, domain: &str, user: &str) -> Result<impl Iterator<Item = &Map<String, Value>>, ApiError> {
        let place = self.domain(domain)?;
        if !place.seen().contains_key(user) {
            return Err(no_user(domain, user));
        }
        Ok(place.devices.get(user).into_iter().flat_map(|devices| devices.values()))
    }

    /// Checks the documented fields of a device.
    fn check_device(&self, body: &Map<String, Value>) -> Result<(), ApiError> {
        let choices: [(&str, &[&str]); 5] = [
            ("device-push-enabled", &["yes", "no"]),
            ("device-srtp-enabled", &["yes", "no", "opportunistic"]),
            ("device-sip-nat-traversal-enabled", &["automatic", "none", "never", "fixed"]),
            ("device-provisioning-sip-transport-protocol", &["udp", "tcp", "tls"]),
            ("recording-configuration", RECORDING),
        ];
        for (name, allowed) in choices {
            if body.get(name).is_some_and(|value| !value.as_str().is_some_and(|text| allowed.contains(&text))) {
                return Err(ApiError::new(400, format!("{name} must be one of {}", allowed.join(", "))));
            }
        }
        let expiry = "device-sip-registration-expiry-seconds";
        if body.get(expiry).is_some_and(|value| value.as_u64().is_none()) {
            return Err(ApiError::new(400, format!("{expiry} must be an integer")));
        }
        let (model, address) = ("device-models-model", "device-provisioning-mac-address");
        if body.contains_key(model) != body.contains_key(address) {
            return Err(ApiError::new(400, format!("{model} and {address} must be given together")));
        }
        let known = &self.options.emergency_addresses;
        let emergency = body.get("emergency-address-id");
        if emergency.is_some_and(|id| !known.iter().any(|known| Some(known.as_str()) == id.as_str())) {
            return Err(ApiError::new(400, "emergency-address-id has a value that is not allowed"));
        }
        Ok(())
    }

    pub(crate) fn list_numbers(&self, domain: &str, parameters: &Parameters) -> Result<Reply, ApiError> {
        let start = parameters.number("start", 0, 0, usize::MAX)?;
        let limit = parameters.number("limit", 100, 1, 1000)?;
        let rows: Vec<_> = self.domain(domain)?.numbers.values().skip(start).take(limit).collect();
        Ok(Reply::json(200, &json!(rows), "200"))
    }

    pub(crate) fn create_number(&mut self, domain: &str, body: &Map<String, Value>) -> Result<Reply, ApiError> {
        let number = phone_number(body)?;
        if self.system.domains.values().any(|place| place.numbers.contains_key(&number)) {
            return Err(ApiError::new(409, "Phone number already exists"));
        }
        self.domain_mut(domain)?.numbers.insert(number, body.clone());
        Ok(accepted())
    }

    pub(crate) fn update_number(&mut self, domain: &str, body: &Map<String, Value>) -> Result<Reply, ApiError> {
        let number = phone_number(body)?;
        let found = self.domain_mut(domain)?.numbers.get_mut(&number).ok_or_else(|| no_number(domain, &number))?;
        found.extend(body.clone());
        Ok(accepted())
    }

    pub(crate) fn delete_number(&mut self, domain: &str, number: &str) -> Result<Reply, ApiError> {
        let removed = self.domain_mut(domain)?.numbers.remove(number);
        removed.map(|_| accepted()).ok_or_else(|| no_number(domain, number))
    }
}

/// The number: digits of E.164 without the plus sign.
fn phone_number(body: &Map<String, Value>) -> Result<String, ApiError> {
    let number = required_text(body, "phonenumber")?;
    let is_number = (1..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let error = || ApiError::new(400, "phonenumber must be digits of E.164 without +");
    is_number.then(|| number.to_owned()).ok_or_else(error)
}

/// The registration password is shown only when the device is made.
fn without_password(device: &Map<String, Value>) -> Value {
    let mut device = device.clone();
    device.shift_remove(SIP_PASSWORD);
    Value::Object(device)
}

fn no_site(domain: &str, site: &str) -> ApiError {
    ApiError::new(404, format!("Site {site} does not exist in domain {domain}"))
}

fn no_device(domain: &str, user: &str, device: &str) -> ApiError {
    ApiError::new(404, format!("Device {device} of user {user} does not exist in domain {domain}"))
}

fn no_number(domain: &str, number: &str) -> ApiError {
    ApiError::new(404, format!("Phone number {number} does not exist in domain {domain}"))
}
