//! The domains and users of the whole PBX system, and how writes reach the node that answers reads (NetSapiens dossier
//! section 7).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::fields::{LOGIN, USER};
use crate::credentials::netsapiens as credentials;

/// A user: only what was set; the rest are defaults of the server.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// By the field's name in v45.
    pub(crate) set: BTreeMap<&'static str, Value>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

impl User {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.set.get(name).and_then(Value::as_str)
    }

    pub(crate) fn extension(&self) -> &str {
        self.text(USER).unwrap_or_default()
    }

    /// The portal login: as set, else `{user}@{domain}`.
    pub(crate) fn login(&self, domain: &str) -> String {
        self.text(LOGIN).map_or_else(|| format!("{}@{domain}", self.extension()), str::to_owned)
    }
}

/// One domain.
#[derive(Debug, Default)]
pub(crate) struct Domain {
    /// What is true, by extension.
    users: BTreeMap<String, Arc<User>>,
    /// What reads see.
    replica: BTreeMap<String, Arc<User>>,
    pub(crate) sites: BTreeMap<String, Map<String, Value>>,
    /// By user, then device. Deleting a user leaves its devices, as nothing else is documented.
    pub(crate) devices: BTreeMap<String, BTreeMap<String, Map<String, Value>>>,
    pub(crate) numbers: BTreeMap<String, Map<String, Value>>,
}

impl Domain {
    /// The users that reads see, by extension.
    pub(crate) fn seen(&self) -> &BTreeMap<String, Arc<User>> {
        &self.replica
    }

    /// The users as they are, by extension.
    pub(crate) fn users(&self) -> &BTreeMap<String, Arc<User>> {
        &self.users
    }
}

/// A write that reads do not see yet.
#[derive(Debug)]
struct Pending {
    visible_at: Timestamp,
    domain: String,
    extension: String,
    user: Option<Arc<User>>,
}

/// All domains.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) domains: BTreeMap<String, Domain>,
    /// Domain and extension by folded login name.
    logins: HashMap<String, (String, String)>,
    pending: VecDeque<Pending>,
}

impl System {
    pub(crate) fn new() -> Self {
        let names = [credentials::DOMAIN, credentials::OTHER_DOMAIN];
        let domains = names.into_iter().map(|name| (name.to_owned(), Domain::default())).collect();
        // The sign-in of the API user is a login name of the system like any other.
        let logins = [(fold(credentials::USERNAME), Default::default())].into();
        Self { domains, logins, pending: VecDeque::new() }
    }

    /// Whether somebody other than `extension` of `domain` has this login name.
    pub(crate) fn is_login_taken(&self, login: &str, domain: &str, extension: &str) -> bool {
        self.logins.get(&fold(login)).is_some_and(|(held_in, holder)| held_in != domain || holder != extension)
    }

    /// Adds, changes (`Some`) or deletes (`None`) a user; reads see it at `visible_at`, or at once.
    pub(crate) fn write(&mut self, domain: &str, extension: &str, user: Option<User>, visible_at: Option<Timestamp>) {
        let Some(place) = self.domains.get_mut(domain) else { return };
        if let Some(before) = place.users.remove(extension) {
            self.logins.remove(&fold(&before.login(domain)));
        }
        let user = user.map(Arc::new);
        if let Some(user) = &user {
            self.logins.insert(fold(&user.login(domain)), (domain.to_owned(), extension.to_owned()));
            place.users.insert(extension.to_owned(), Arc::clone(user));
        }
        match visible_at {
            Some(visible_at) => {
                let (domain, extension) = (domain.to_owned(), extension.to_owned());
                self.pending.push_back(Pending { visible_at, domain, extension, user });
            }
            None => {
                self.pending.retain(|pending| pending.domain != domain || pending.extension != extension);
                show(place, extension, user);
            }
        }
    }

    /// Lets reads see the writes whose time has come.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.visible_at <= now) {
            if let Some(domain) = self.domains.get_mut(&pending.domain) {
                show(domain, &pending.extension, pending.user);
            }
        }
    }
}

fn show(domain: &mut Domain, extension: &str, user: Option<Arc<User>>) {
    match user {
        Some(user) => domain.replica.insert(extension.to_owned(), user),
        None => domain.replica.remove(extension),
    };
}

fn fold(text: &str) -> String {
    text.to_lowercase()
}
