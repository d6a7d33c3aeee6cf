//! Accounts to calls and replies to results, without any IO (netsapiens.md sections 3 to 10).

use std::collections::BTreeMap;

use bridge_mapping::{Account, AccountSchema, FieldValue, TargetKind};
use serde_json::{Map, Value, json};

use super::Config;
use crate::difference::{To, difference, evidence, same_field, steering};
use crate::error::TargetError;
use crate::http::{Reply, encode};
use crate::mask::{Known, clean};
use crate::observed::{Effect, Existence, Observed};
use crate::plan::{Call, CallValue, Encoding, Method, Plan, Rekey, Task};
use crate::reading::{is_empty, same_folded, share_email, text};
use crate::wanted::{AccountKeys, Presence, Wanted};

pub(super) const USER: &str = "user";
pub(super) const LOGIN: &str = "login-username";
pub(super) const EMAIL: &str = "email-address";
const SCOPE: &str = "user-scope";
const DIAL_POLICY: &str = "dial-policy";
const VOICEMAIL: &str = "voicemail-enabled";
/// Asks a create to answer with the user (section 4, row 1).
const SYNCHRONOUS: &str = "synchronous";
/// How many devices a suspended user has left; ours, not the vendor's.
pub(super) const DEVICES: &str = "devices";
/// Sent with every PUT, changed or not (section 6).
const REQUIRED: [&str; 4] = ["name-first-name", "name-last-name", EMAIL, SCOPE];
/// The scope of a user who may not sign in. Some releases write a space after it (section 5).
const NO_PORTAL: &str = "No Portal";
/// Integers on early v44 servers, strings since (section 4, rows 11, 39, 41).
const ONCE_INTEGERS: [&str; 3] = ["voicemail-login-pin", "caller-id-number", "caller-id-number-emergency"];
/// v45 corrected the spelling (section 4, row 25).
const ANNOUNCE: &str = "directory-announce-in-dial-by-name-enabled";
const ANNOUNCE_V44: &str = "directory-annouce-in-dial-by-name-enabled";

pub(super) const REMOVE_DEVICES: &str = "DELETE devices";
pub(super) const RELEASE_NUMBERS: &str = "PUT phonenumbers";
pub(super) const CREATE: &str = "POST users";
pub(super) const UPDATE: &str = "PUT user";
pub(super) const DELETE: &str = "DELETE user";

fn schema() -> &'static AccountSchema {
    AccountSchema::embedded(TargetKind::Netsapiens)
}

/// The release of the server, as far as the wire depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    major: u32,
    minor: u32,
}

impl Release {
    /// Before `/version` was asked.
    pub(super) const ASSUMED: Self = Self { major: 45, minor: 0 };

    /// Reads `apiversion`: `45.0`, `v44.3.1`, `NetSapiens 45.0.2`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        let mut parts = digits.split(|letter: char| !letter.is_ascii_digit());
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        Some(Self { major, minor })
    }

    fn spells(self, name: &str) -> &str {
        if name == ANNOUNCE && self.major < 45 { ANNOUNCE_V44 } else { name }
    }
}

/// Names of fields whose spelling depends on the release.
pub(super) fn depends_on_release(call: &Call) -> bool {
    call.fields.iter().any(|(name, _)| name == ANNOUNCE || name == ANNOUNCE_V44)
}

/// Writes the fields of a call as this release spells them.
pub(super) fn spell(call: &mut Call, release: Release) {
    for (name, _) in &mut call.fields {
        if name == ANNOUNCE || name == ANNOUNCE_V44 {
            *name = release.spells(ANNOUNCE).to_owned();
        }
    }
}

/// `domains/{domain}/users`, and below.
pub(super) fn users_path(config: &Config, below: &[&str]) -> String {
    let mut path = format!("domains/{}/users", encode(&config.domain));
    for segment in below {
        path.push('/');
        path.push_str(&encode(segment));
    }
    path
}

/// `domains/{domain}/phonenumbers`.
pub(super) fn numbers_path(config: &Config) -> String {
    format!("domains/{}/phonenumbers", encode(&config.domain))
}

/// The calls that make the account match.
pub(super) fn plan(config: &Config, release: Release, wanted: &Wanted<'_>, observed: &Observed) -> Plan {
    let is_new = match observed.existence {
        Existence::Absent => true,
        Existence::Unknown => wanted.keys.remote_id.is_none(),
        Existence::Present => false,
    };
    let mut plan = match (wanted.presence, wanted.account) {
        (Presence::Active, Some(account)) if is_new => create(config, account),
        _ if observed.existence == Existence::Absent => Plan::default(),
        (presence, account) => match extension(wanted, observed) {
            None => Plan::default(),
            Some(extension) => match presence {
                Presence::Active => update(config, wanted, account, observed, &extension),
                Presence::Suspended => suspend(config, wanted, observed, &extension),
                Presence::Absent => remove(config, wanted, observed, &extension),
            },
        },
    };
    for call in &mut plan.calls {
        spell(call, release);
    }
    plan
}

/// The extension that the account has, or else the one that it is known by.
fn extension(wanted: &Wanted<'_>, observed: &Observed) -> Option<String> {
    let known = observed.remote_id.as_deref().or(wanted.keys.remote_id.as_deref()).or_else(|| wanted.keys.field(USER));
    known.or_else(|| wanted.account.and_then(|account| account.text(USER))).map(str::to_owned)
}

fn create(config: &Config, account: &Account) -> Plan {
    let Some(extension) = account.text(USER) else { return Plan::default() };
    let mut steering = steering(schema(), account);
    // The setting decides where the account says nothing.
    if config.synchronous && !steering.iter().any(|(name, _)| name == SYNCHRONOUS) {
        steering.push((SYNCHRONOUS.to_owned(), json!("yes")));
    }
    let mut fields: Vec<_> = steering.into_iter().map(|(name, value)| (name, CallValue::Plain(value))).collect();
    let mut known = BTreeMap::new();
    for change in difference(schema(), account, &BTreeMap::new(), true) {
        let name = change.field.name.clone();
        match change.to {
            To::Value(value) => {
                known.insert(name.clone(), value.clone());
                fields.push((name, CallValue::Plain(value)));
            }
            To::Secret(source) => fields.push((name.clone(), CallValue::Secret(source, name))),
            // The server applies its own default to what is not sent.
            To::Empty => {}
        }
    }
    let effect = Effect {
        existence: Some(Existence::Present),
        remote_id: Some(extension.to_owned()),
        active: Some(true),
        fields: known,
        ..Effect::default()
    };
    let call = call(CREATE, Method::Post, users_path(config, &[]), fields, effect);
    Plan { calls: vec![Call { creates: true, ..call }], ..Plan::default() }
}

fn update(
    config: &Config,
    wanted: &Wanted<'_>,
    account: Option<&Account>,
    observed: &Observed,
    extension: &str,
) -> Plan {
    let mut plan = Plan::default();
    let mut changes: BTreeMap<&str, CallValue> = BTreeMap::new();
    let differing = account.map(|account| difference(schema(), account, &observed.fields, wanted.secrets_changed));
    for change in differing.unwrap_or_default() {
        let field = change.field;
        let name = field.name.as_str();
        if name == USER {
            plan.rekey = rekey(account, extension);
            continue;
        }
        if !field.update {
            continue;
        }
        match change.to {
            To::Value(value) => _ = changes.insert(name, CallValue::Plain(value)),
            To::Secret(source) => _ = changes.insert(name, CallValue::Secret(source, name.to_owned())),
            To::Empty if field.clearable => _ = changes.insert(name, CallValue::Plain(json!(""))),
            To::Empty if change.certain => plan.tasks.push(cannot_clear(name, extension)),
            To::Empty => {}
        }
    }
    restore(config, wanted, account, observed, extension, &mut changes, &mut plan);
    if !changes.is_empty() {
        let sources = [account.map(plain_fields), Some(observed.fields.clone())];
        plan.calls.push(put(config, extension, changes, &sources, &observed.fields));
    }
    plan
}

/// An extension cannot be renamed (section 6), and the login name is unique in the whole system: the old user takes the
/// system's own login name, `extension@domain`, so that the new one can have the person's. Safer than deleting first: until
/// the new user is there, the old one has its phones, voice mail and numbers, and a login that can be given back.
pub(super) fn make_way(config: &Config, replaced: &Observed, account: &Account) -> Vec<Call> {
    let (Some(extension), Some(wanted)) = (replaced.remote_id.as_deref(), account.text(LOGIN)) else {
        return Vec::new();
    };
    let is_in_the_way = replaced.fields.get(LOGIN).and_then(text).is_some_and(|login| same_folded(&login, wanted));
    if !is_in_the_way {
        return Vec::new();
    }
    let own = format!("{extension}@{}", config.domain);
    let free = if same_folded(&own, wanted) { format!("{extension}.replaced@{}", config.domain) } else { own };
    let changes = BTreeMap::from([(LOGIN, CallValue::Plain(json!(free)))]);
    vec![put(config, extension, changes, &[Some(replaced.fields.clone())], &replaced.fields)]
}

fn rekey(account: Option<&Account>, extension: &str) -> Option<Rekey> {
    let to = account?.text(USER)?;
    (to.trim() != extension).then(|| Rekey { field: USER.to_owned(), from: extension.to_owned(), to: to.to_owned() })
}

/// Takes back what a suspension set and the account itself does not state: from the snapshot, else the default.
fn restore(
    config: &Config,
    wanted: &Wanted<'_>,
    account: Option<&Account>,
    observed: &Observed,
    extension: &str,
    changes: &mut BTreeMap<&str, CallValue>,
    plan: &mut Plan,
) {
    if wanted.kept.is_none() && observed.active != Some(false) {
        return;
    }
    for (name, denied) in suspension(config) {
        let is_stated = account.and_then(|account| account.fields.get(name)).is_some_and(|value| !empty_field(value));
        // Somebody has set another value meanwhile: that one stays.
        let is_denied = observed.fields.get(name).is_none_or(|known| same(name, known, &denied));
        if is_stated || !is_denied {
            continue;
        }
        let kept = wanted.kept.and_then(|kept| kept.get(name)).filter(|value| !is_empty(value)).cloned();
        match kept.or_else(|| schema().field(name).and_then(|field| field.default.clone())) {
            Some(value) if same(name, &value, &denied) => {}
            Some(value) => _ = changes.insert(name, CallValue::Plain(value)),
            None => plan.tasks.push(Task::new(
                "cannot-reactivate",
                format!(
                    "Set {name} of PBX user {extension}: it still denies calls, and its former value is not known."
                ),
                &[name],
            )),
        }
    }
}

fn empty_field(value: &FieldValue) -> bool {
    value.plain().is_some_and(is_empty)
}

fn suspend(config: &Config, wanted: &Wanted<'_>, observed: &Observed, extension: &str) -> Plan {
    let mut plan = lock_out(config, wanted, observed, extension);
    let has_devices = !plan.calls.is_empty() || observed.fields.get(DEVICES).and_then(Value::as_u64) != Some(0);
    if config.delete_devices_on_suspend && has_devices {
        plan.calls.push(remove_devices(config, extension));
    }
    plan
}

/// The call after which the user can no longer do anything, if the user still can.
fn lock_out(config: &Config, wanted: &Wanted<'_>, observed: &Observed, extension: &str) -> Plan {
    let mut plan = Plan::default();
    let mut changes = BTreeMap::new();
    for (name, denied) in suspension(config) {
        if !observed.fields.get(name).is_some_and(|known| same(name, known, &denied)) {
            changes.insert(name, CallValue::Plain(denied));
        }
    }
    if !changes.is_empty() {
        if wanted.kept.is_none() {
            let known = suspension(config).into_iter().map(|(name, _)| name);
            let kept = known.filter_map(|name| Some((name.to_owned(), observed.fields.get(name)?.clone())));
            plan.keep = Some(kept.collect::<BTreeMap<_, _>>()).filter(|kept| !kept.is_empty());
        }
        // Nothing else changes on the way out: the names are those that are there. An account is wanted only where these
        // are not known for sure, or are to be given back; the scope that it would let in with is none of them.
        let mut names = wanted.account.map(plain_fields);
        for (name, _) in suspension(config) {
            names.iter_mut().for_each(|names| _ = names.remove(name));
        }
        let sources = [names, Some(observed.fields.clone())];
        plan.calls.push(put(config, extension, changes, &sources, &observed.fields));
    }
    plan
}

/// The values that lock a user out: no portal, no voice mail, and no calls where the provider has a policy for it
/// (section 7, option a).
fn suspension(config: &Config) -> Vec<(&'static str, Value)> {
    let mut values = vec![(SCOPE, json!(NO_PORTAL)), (VOICEMAIL, json!("no"))];
    if let Some(policy) = &config.suspend_dial_policy {
        values.push((DIAL_POLICY, json!(policy)));
    }
    values
}

/// Whether these fields let the user in; `None` if that cannot be told.
pub(super) fn activity(config: &Config, fields: &BTreeMap<String, Value>) -> Option<bool> {
    let mut all_known = true;
    for (name, denied) in suspension(config) {
        match fields.get(name) {
            Some(value) if same(name, value, &denied) => {}
            Some(_) => return Some(true),
            None => all_known = false,
        }
    }
    all_known.then_some(false)
}

fn same(name: &str, one: &Value, other: &Value) -> bool {
    schema().field(name).is_some_and(|field| same_field(field, one, other))
}

/// Devices and numbers are not known to go with the user: first them, then the user (section 7). Before all, the user is
/// locked out: whatever of the rest our key may not do, nobody signs in any more. If that is refused, the rest goes on.
fn remove(config: &Config, wanted: &Wanted<'_>, observed: &Observed, extension: &str) -> Plan {
    let mut plan = lock_out(config, wanted, observed, extension);
    plan.calls.iter_mut().for_each(|call| call.if_refused = Some(Effect::default()));
    let of_user = Effect { remote_id: Some(extension.to_owned()), ..Effect::default() };
    let gone = Effect { existence: Some(Existence::Absent), ..Effect::default() };
    let numbers = Call {
        // The numbers are looked up while sending: those that lead to this extension go back to the inventory.
        fields: vec![
            ("dial-rule-application".to_owned(), CallValue::Plain(json!("available-number"))),
            ("dial-rule-translation-destination-user".to_owned(), CallValue::Plain(json!("[*]"))),
        ],
        encoding: Encoding::Json,
        ..bare(RELEASE_NUMBERS, Method::Put, numbers_path(config), of_user)
    };
    let delete = bare(DELETE, Method::Delete, users_path(config, &[extension]), gone);
    plan.calls.extend([remove_devices(config, extension), numbers, delete]);
    plan
}

/// One call of a plan, several on the wire: the devices are listed while sending, and each is deleted.
fn remove_devices(config: &Config, extension: &str) -> Call {
    let effect = Effect { fields: BTreeMap::from([(DEVICES.to_owned(), json!(0))]), ..Effect::default() };
    bare(REMOVE_DEVICES, Method::Delete, users_path(config, &[extension, "devices"]), effect)
}

/// A PUT of these changes and the four required fields, whose values come from the first source that has one.
fn put(
    config: &Config,
    extension: &str,
    mut changes: BTreeMap<&str, CallValue>,
    sources: &[Option<BTreeMap<String, Value>>],
    observed: &BTreeMap<String, Value>,
) -> Call {
    for name in REQUIRED {
        let values = sources.iter().flatten().filter_map(|source| source.get(name));
        if let Some(value) = values.into_iter().find(|value| !is_empty(value)) {
            changes.entry(name).or_insert_with(|| CallValue::Plain(value.clone()));
        }
    }
    let mut fields = Vec::new();
    let mut known = BTreeMap::new();
    for field in &schema().fields {
        let Some(value) = changes.remove(field.name.as_str()) else { continue };
        if let CallValue::Plain(value) = &value {
            let value = if is_empty(value) { Value::Null } else { value.clone() };
            known.insert(field.name.clone(), value);
        }
        fields.push((field.name.clone(), value));
    }
    let mut after = observed.clone();
    after.extend(known.clone());
    let active = activity(config, &after);
    let effect = Effect { remote_id: Some(extension.to_owned()), active, fields: known, ..Effect::default() };
    call(UPDATE, Method::Put, users_path(config, &[extension]), fields, effect)
}

fn plain_fields(account: &Account) -> BTreeMap<String, Value> {
    account.fields.iter().filter_map(|(name, value)| Some((name.clone(), value.plain()?.clone()))).collect()
}

fn call(operation: &str, method: Method, path: String, fields: Vec<(String, CallValue)>, effect: Effect) -> Call {
    Call { fields, encoding: Encoding::Json, ..bare(operation, method, path, effect) }
}

fn bare(operation: &str, method: Method, path: String, effect: Effect) -> Call {
    Call {
        operation: operation.to_owned(),
        method,
        path,
        encoding: Encoding::None,
        fields: Vec::new(),
        creates: false,
        if_refused: None,
        effect,
    }
}

fn cannot_clear(field: &str, extension: &str) -> Task {
    Task::new(
        "cannot-clear",
        format!("Clear {field} of PBX user {extension}; the API cannot empty this field."),
        &[field],
    )
}

/// The names of protocol version 1 that the vendor's own examples still show (section 4).
fn modern(name: &str) -> &str {
    match name {
        "first_name" => "name-first-name",
        "last_name" => "name-last-name",
        "subscriber_login" => LOGIN,
        "email" => EMAIL,
        "scope" => SCOPE,
        "dial_plan" => "dial-plan",
        "dial_policy" => DIAL_POLICY,
        "time_zone" => "time-zone",
        other => other,
    }
}

/// Reads a user: an object, or a list of one (section 1).
pub(super) fn user(config: &Config, body: &Value) -> Option<Observed> {
    let object = match body {
        Value::Object(object) => object,
        Value::Array(list) if list.len() == 1 => list[0].as_object()?,
        _ => return None,
    };
    let mut fields = BTreeMap::new();
    for (name, value) in object {
        // A PIN comes with the answer in the clear; it is nobody's to keep.
        if let Some(field) = schema().field(modern(name)).filter(|field| !field.secret) {
            fields.insert(field.name.clone(), plain(value));
        }
    }
    let remote_id = fields.get(USER).and_then(text)?;
    // A server may leave out what is empty, and what cannot be empty may be left out for other reasons.
    for field in schema().fields.iter().filter(|field| field.clearable) {
        fields.entry(field.name.clone()).or_insert(Value::Null);
    }
    let active = activity(config, &fields);
    Some(Observed { existence: Existence::Present, remote_id: Some(remote_id), active, fields, ..Observed::default() })
}

/// A value without padding; booleans as the words that this API writes.
fn plain(value: &Value) -> Value {
    match value {
        Value::Bool(true) => json!("yes"),
        Value::Bool(false) => json!("no"),
        Value::String(text) if text.trim().is_empty() => Value::Null,
        Value::String(text) => json!(text.trim()),
        other => other.clone(),
    }
}

/// The found account with what it proves about our keys. This API has no field for a marker.
pub(super) fn with_evidence(mut observed: Observed, keys: &AccountKeys) -> Observed {
    observed.evidence = evidence(schema(), keys, &observed, None, EMAIL);
    observed
}

/// How well a listed user fits keys whose extension is not there (section 7, adopt): by login, then by e-mail address.
pub(super) fn fits_login(observed: &Observed, keys: &AccountKeys) -> bool {
    keys.field(LOGIN)
        .is_some_and(|login| observed.fields.get(LOGIN).and_then(text).is_some_and(|found| same_folded(&found, login)))
}

/// See [`fits_login`].
pub(super) fn fits_email(observed: &Observed, keys: &AccountKeys) -> bool {
    keys.field(EMAIL)
        .is_some_and(|email| observed.fields.get(EMAIL).and_then(text).is_some_and(|found| share_email(&found, email)))
}

/// The body of a 2xx reply; an empty one is an empty object.
pub(super) fn json(reply: &Reply) -> Result<Value, TargetError> {
    if reply.body.trim().is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_str(&reply.body)
        .map_err(|_| TargetError::Garbled { reason: format!("not JSON (HTTP {})", reply.status) })
}

/// What an error body says, if it has the platform's form `{"code", "message"}`.
pub(super) fn message(reply: &Reply) -> Option<String> {
    let body: Value = serde_json::from_str(&reply.body).ok()?;
    body.get("message").and_then(text)
}

/// What a reply outside 2xx means; 401 and 403 are the connector's own business (section 10).
pub(super) fn error(reply: &Reply, is_update: bool, known: &[Known]) -> TargetError {
    if let Some(error) = reply.transport_error() {
        return error;
    }
    let said = message(reply).unwrap_or_default();
    let reason = clean(&said, known);
    let refused = |code: String, field: Option<String>| TargetError::Refused {
        code,
        field,
        reason: reason.clone(),
        retry_helps: false,
    };
    match reply.status {
        404 if said.starts_with("No Route Found") => TargetError::Refused {
            code: "no-route".to_owned(),
            field: None,
            reason: "this server's release does not offer the call".to_owned(),
            retry_helps: false,
        },
        // The whole target is wrong, not this account.
        404 if said.starts_with("Domain") => TargetError::Unauthorized { reason },
        404 if json(reply).is_err() => {
            TargetError::Unauthorized { reason: "HTTP 404: base_url does not lead to ns-api/v2".to_owned() }
        }
        404 => TargetError::Missing,
        409 if is_update => TargetError::Conflict { field: Some(LOGIN.to_owned()), reason },
        409 => TargetError::Conflict { field: None, reason },
        401 | 403 => TargetError::Unauthorized { reason },
        status => refused(format!("http-{status}"), named_field(&said)),
    }
}

/// The longest field name that a message contains.
fn named_field(said: &str) -> Option<String> {
    let names = schema().fields.iter().map(|field| field.name.as_str());
    let named = names.filter(|name| name.len() > USER.len() && said.contains(name));
    named.max_by_key(|name| name.len()).map(str::to_owned)
}

/// The body with those fields as integers that early v44 servers want so, if the refusal names one (section 14).
pub(super) fn with_integers(body: &Map<String, Value>, said: &str) -> Option<Map<String, Value>> {
    let mut changed = body.clone();
    for name in ONCE_INTEGERS {
        let number = body.get(name).and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
        if let Some(number) = number {
            changed.insert(name.to_owned(), json!(number));
        }
    }
    let is_named = ONCE_INTEGERS.iter().any(|name| said.contains(name));
    (is_named && changed != *body).then_some(changed)
}

/// The numbers that lead to this extension (section 9).
pub(super) fn numbers_of(listed: &Value, extension: &str) -> Vec<String> {
    let leads_here = |number: &&Value| {
        number.get("dial-rule-application").and_then(Value::as_str) == Some("to-user")
            && number.get("dial-rule-translation-destination-user").and_then(text).as_deref() == Some(extension)
    };
    let numbers = listed.as_array().into_iter().flatten().filter(leads_here);
    numbers.filter_map(|number| number.get("phonenumber").and_then(text)).collect()
}

/// All listed numbers.
pub(super) fn numbers(listed: &Value) -> Vec<String> {
    let numbers = listed.as_array().into_iter().flatten();
    numbers.filter_map(|number| number.get("phonenumber").and_then(text)).collect()
}

/// The ids of listed devices.
pub(super) fn devices(listed: &Value) -> Vec<String> {
    listed.as_array().into_iter().flatten().filter_map(|device| device.get("device").and_then(text)).collect()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
