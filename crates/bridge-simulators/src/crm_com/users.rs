//! The users of the CRM.COM installation and the user object that answers show (CRM.COM dossier sections 3 to 5).

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use crate::credentials::crm_com as credentials;

/// One user.
#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    /// 32 upper-case hex digits.
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) active: bool,
    /// May create users; also kept out of the list of accounts.
    pub(crate) system_user: bool,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) email: Option<String>,
    pub(crate) ip_address: Option<String>,
    pub(crate) template: String,
    pub(crate) cti_enabled: bool,
    pub(crate) cti_phone_extension_number: Option<String>,
    pub(crate) security_profile: String,
    /// `udf_string_1` and the like.
    pub(crate) user_defined: BTreeMap<String, Value>,
    /// Id of the Contact Information record that was made with the user.
    pub(crate) contact_id: String,
    pub(crate) created: String,
    pub(crate) updated: String,
}

impl User {
    pub(crate) fn person_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name).trim().to_owned()
    }

    /// The user object of `users/show`; with `fields` only those members.
    pub(crate) fn to_json(&self, fields: Option<&[String]>) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            if fields.is_none_or(|fields| fields.iter().any(|field| field == name)) {
                members.insert(name.to_owned(), value);
            }
        };
        put("id", json!(self.id));
        put("username", json!(self.username));
        put("active", json!(self.active));
        put("domain", Value::Null);
        put("developer", json!(false));
        put("super_user", json!(false));
        put("system_user", json!(self.system_user));
        put("person_name", json!(self.person_name()));
        put("cti_enabled", json!(self.cti_enabled));
        if self.cti_enabled {
            put("cti_phone_extension_number", json!(self.cti_phone_extension_number));
        }
        put("ip_address", json!(self.ip_address));
        put("email", json!(self.email));
        for (name, value) in &self.user_defined {
            put(name, value.clone());
        }
        put("contact_information", json!({"id": self.contact_id, "name": self.person_name()}));
        put("log_information", json!({"created_date": self.created, "updated_date": self.updated}));
        put("security_profile", json!({"id": named_id(&self.security_profile), "name": self.security_profile}));
        let unit = json!({"id": credentials::UNIT_ID, "name": credentials::UNIT_NAME});
        put("units_set", json!([{"default": true, "unit": unit}]));
        Value::Object(members)
    }

    /// The account as the control endpoint shows it: the user object and what the API keeps to itself.
    pub(crate) fn to_account(&self) -> Value {
        let mut account = self.to_json(None);
        if let Some(members) = account.as_object_mut() {
            members.insert("first_name".to_owned(), json!(self.first_name));
            members.insert("last_name".to_owned(), json!(self.last_name));
            members.insert("user_template".to_owned(), json!(self.template));
            members.insert("has_password".to_owned(), json!(!self.password.is_empty()));
        }
        account
    }
}

/// All users in the order of their creation; user names and e-mail addresses are compared without letter case.
#[derive(Debug, Default)]
pub(crate) struct Users {
    users: BTreeMap<u64, User>,
    by_id: HashMap<String, u64>,
    by_username: HashMap<String, u64>,
    by_email: HashMap<String, Vec<u64>>,
    last_number: u64,
}

impl Users {
    /// Adds a user whose user name is free.
    pub(crate) fn add(&mut self, user: User) {
        self.last_number += 1;
        self.put(self.last_number, user);
    }

    /// Puts a changed user in the place of the one with the same id.
    pub(crate) fn replace(&mut self, user: User) {
        if let Some(number) = self.by_id.get(&user.id).copied() {
            self.take(number);
            self.put(number, user);
        }
    }

    pub(crate) fn remove(&mut self, id: &str) -> bool {
        self.by_id.get(id).copied().and_then(|number| self.take(number)).is_some()
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&User> {
        self.by_id.get(id).and_then(|number| self.users.get(number))
    }

    pub(crate) fn by_username(&self, username: &str) -> Option<&User> {
        self.by_username.get(&fold(username)).and_then(|number| self.users.get(number))
    }

    /// Whether anybody but the user with `own_id` has this e-mail address.
    pub(crate) fn has_email(&self, email: &str, own_id: &str) -> bool {
        let holders = self.by_email.get(&fold(email)).map(Vec::as_slice).unwrap_or_default();
        holders.iter().filter_map(|number| self.users.get(number)).any(|user| user.id != own_id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    fn put(&mut self, number: u64, user: User) {
        self.by_id.insert(user.id.clone(), number);
        self.by_username.insert(fold(&user.username), number);
        if let Some(email) = &user.email {
            self.by_email.entry(fold(email)).or_default().push(number);
        }
        self.users.insert(number, user);
    }

    fn take(&mut self, number: u64) -> Option<User> {
        let user = self.users.remove(&number)?;
        self.by_id.remove(&user.id);
        self.by_username.remove(&fold(&user.username));
        if let Some(holders) = user.email.as_deref().and_then(|email| self.by_email.get_mut(&fold(email))) {
            holders.retain(|holder| *holder != number);
        }
        Some(user)
    }
}

/// A new id: 32 upper-case hex digits.
pub(crate) fn new_id() -> String {
    format!("{:032X}", rand::random::<u128>())
}

/// The id of something that is known by its name: always the same for the same name.
pub(crate) fn named_id(name: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(name.as_bytes()).iter().take(16).map(|byte| format!("{byte:02X}")).collect()
}

/// The form in which user names and e-mail addresses are compared.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}
