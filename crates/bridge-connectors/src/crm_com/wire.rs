//! Accounts to calls and replies to results, without any IO (crmcom.md sections 1 and 3 to 10).

use std::collections::BTreeMap;

use bridge_mapping::{Account, AccountSchema, FieldValue, SecretSource, TargetKind};
use serde_json::{Map, Value, json};

use super::errors::{ErrorClass, ErrorPattern, classify, named_field};
use super::{Config, ListBy, ListFilter, TemplateBy};
use crate::difference::{Change, To, difference, evidence, steering};
use crate::error::TargetError;
use crate::http::{Reply, encode};
use crate::mask::{Known, clean};
use crate::observed::{Effect, Existence, Observed};
use crate::plan::{Call, CallValue, Encoding, Method, Plan, Rekey, Task};
use crate::reading::{is_empty, same_folded, text};
use crate::wanted::{AccountKeys, Presence, Wanted};

pub(super) const USERNAME: &str = "username";
pub(super) const EMAIL: &str = "email";
const TEMPLATE: &str = "user_template_identifier";
const PASSWORD: &str = "password";
const FIRST_NAME: &str = "first_name";
const LAST_NAME: &str = "last_name";
/// Both names in one, as the API returns them (section 4); ours only for comparing.
const PERSON_NAME: &str = "person_name";
/// The secret that a soft lock-out puts in the password's place; by this name the engine keeps it.
pub(super) const LOCKED_PASSWORD: &str = "password_while_locked_out";
/// In a snapshot: what became of the password in this suspension, one [`Rotation`].
const ROTATED: &str = "soft_lock_out";

pub(super) const CREATE: &str = "users/create";
pub(super) const CHANGE_PASSWORD: &str = "users/change_password";

fn schema() -> &'static AccountSchema {
    AccountSchema::embedded(TargetKind::CrmCom)
}

/// The calls that make the account match, as far as the API reaches; the rest are tasks (section 7).
pub(super) fn plan(config: &Config, wanted: &Wanted<'_>, observed: &Observed) -> Plan {
    let is_new = match observed.existence {
        Existence::Absent => true,
        Existence::Unknown => wanted.keys.remote_id.is_none(),
        Existence::Present => false,
    };
    match (wanted.presence, wanted.account) {
        (Presence::Active, Some(account)) if is_new => create(config, wanted.keys, account),
        (Presence::Active, account) if !is_new => bring_back(config, wanted, account, observed),
        (Presence::Suspended | Presence::Absent, _) if observed.existence != Existence::Absent => {
            lock_out(config, wanted, observed)
        }
        _ => Plan::default(),
    }
}

fn create(config: &Config, keys: &AccountKeys, account: &Account) -> Plan {
    let mut fields = Vec::new();
    let mut known = BTreeMap::new();
    for Change { field, to, .. } in difference(schema(), account, &BTreeMap::new(), true) {
        let name = field.name.clone();
        match to {
            To::Value(value) => {
                let value = as_known(&name, value);
                known.insert(name.clone(), value.clone());
                fields.push((name.clone(), CallValue::Plain(as_sent(config, &name, value))));
            }
            To::Secret(source) => {
                let of = field.same_as.clone().unwrap_or_else(|| name.clone());
                fields.push((name, CallValue::Secret(source, of)));
            }
            To::Empty => {}
        }
    }
    // What was not sent is empty. Said so, because a value that comes later is then surely a difference.
    for field in schema().fields.iter().filter(|field| !field.secret && !field.call_only) {
        known.entry(field.name.clone()).or_insert(Value::Null);
    }
    // The marker is ours to write, whatever the rules say about this field.
    if !keys.marker.is_empty() {
        fields.retain(|(name, _)| *name != config.marker_field);
        known.insert(config.marker_field.clone(), json!(keys.marker));
        fields.push((config.marker_field.clone(), CallValue::Plain(json!(keys.marker))));
    }
    fields.extend(steering(schema(), account).into_iter().map(|(name, value)| (name, CallValue::Plain(value))));
    let effect = Effect { existence: Some(Existence::Present), active: Some(true), fields: known, ..Effect::default() };
    Plan { calls: vec![Call { creates: true, ..call(CREATE, fields, effect) }], ..Plan::default() }
}

/// User names are sent in lower case (section 13).
fn as_known(name: &str, value: Value) -> Value {
    match (name, value) {
        (USERNAME, Value::String(username)) => Value::String(username.trim().to_lowercase()),
        (_, value) => value,
    }
}

/// An identifier is an object with exactly one member (section 1).
fn as_sent(config: &Config, name: &str, value: Value) -> Value {
    if name != TEMPLATE {
        return value;
    }
    match config.template_by {
        TemplateBy::Name => json!({ "name": value }),
        TemplateBy::Id => json!({ "id": value }),
    }
}

/// Active is wanted and the user is there: the fields, and the state.
fn bring_back(config: &Config, wanted: &Wanted<'_>, account: Option<&Account>, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    let mut changes: Vec<(String, Value)> = Vec::new();
    let mut drift: Vec<(String, Value)> = Vec::new();
    for Change { field, to, certain } in account.map(|account| changes_of(account, observed)).unwrap_or_default() {
        let name = field.name.clone();
        let value = match to {
            To::Value(value) => as_known(&name, value),
            To::Empty => Value::Null,
            To::Secret(_) => continue,
        };
        // As in a create: by the marker the bridge knows its own, so neither a call nor a person writes anything else there.
        // A call may write the marker of who took the account over; no person is asked to: the id of the user is known.
        let is_ours = !wanted.keys.marker.is_empty() && name == config.marker_field;
        if is_ours && (value != json!(wanted.keys.marker) || config.update_method.is_none()) {
            continue;
        }
        match (name.as_str(), &config.update_method) {
            (USERNAME, _) => plan.rekey = rekey(observed, &value).or(plan.rekey),
            // What nobody has seen is not a difference that a person could act on.
            (_, None) | (TEMPLATE, Some(_)) if certain => drift.push((name, value)),
            (_, None) | (TEMPLATE, Some(_)) => {}
            (_, Some(_)) => changes.push((name, value)),
        }
    }
    let active = (observed.active == Some(false)).then_some(true);
    match (&config.update_method, changes.is_empty() && active.is_none()) {
        (Some(method), false) => plan.calls.push(update(method, wanted, observed, changes, active)),
        (None, _) if active.is_some() => plan.tasks.push(by_hand("cannot-reactivate", "Activate", wanted, observed)),
        _ => {}
    }
    if !drift.is_empty() {
        plan.tasks.push(drift_task(wanted, observed, &drift));
    }
    let rotation = Rotation::of(wanted);
    let may_be_locked = matches!(rotation, Rotation::Asked | Rotation::Done | Rotation::Unclear);
    let is_locked_for_good = may_be_locked && !wanted.made.contains(LOCKED_PASSWORD);
    if is_locked_for_good {
        plan.tasks.push(by_hand("cannot-set-password", "Set a new password for", wanted, observed));
    } else if may_be_locked {
        let back = change_password(wanted, observed, locked_password(), own_password(wanted.account));
        // Only a password that was surely rotated must surely come back; else the person's own one is still there.
        let if_refused = (rotation != Rotation::Done).then(Effect::default);
        plan.calls.push(Call { if_refused, ..back });
    }
    if wanted.secrets_changed && !is_locked_for_good {
        plan.tasks.push(by_hand("cannot-set-password", "Set the new password of", wanted, observed));
    }
    plan
}

/// What differs. The API returns both names in one: if that one is what ours make, neither differs.
fn changes_of(account: &Account, observed: &Observed) -> Vec<Change<'static>> {
    let names = [FIRST_NAME, LAST_NAME].map(|name| account.text(name).unwrap_or_default().trim());
    let joined = names.join(" ");
    let person = observed.fields.get(PERSON_NAME).and_then(text);
    let names_are_known = observed.fields.contains_key(FIRST_NAME) || observed.fields.contains_key(LAST_NAME);
    let mut changes = difference(schema(), account, &observed.fields, false);
    if let (Some(person), false) = (person, names_are_known) {
        let is_same = same_folded(&person, joined.trim());
        changes.retain(|change| !is_name(change) || !is_same);
        for change in changes.iter_mut().filter(|change| is_name(change)) {
            change.certain = true;
        }
    }
    changes
}

fn is_name(change: &Change<'_>) -> bool {
    change.field.name == FIRST_NAME || change.field.name == LAST_NAME
}

fn rekey(observed: &Observed, to: &Value) -> Option<Rekey> {
    let from = observed.fields.get(USERNAME).and_then(text)?;
    Some(Rekey { field: USERNAME.to_owned(), from, to: text(to)? })
}

/// Suspended or gone is wanted: the API can do neither (section 7).
fn lock_out(config: &Config, wanted: &Wanted<'_>, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    if observed.active == Some(false) {
        return plan;
    }
    match &config.update_method {
        Some(method) => plan.calls.push(update(method, wanted, observed, Vec::new(), Some(false))),
        None => {
            let code = if wanted.presence == Presence::Absent { "cannot-delete" } else { "cannot-suspend" };
            plan.tasks.push(by_hand(code, "Deactivate", wanted, observed));
        }
    }
    // Once per suspension: the snapshot remembers it, for a second rotation would need the first one's password. The lock is
    // an extra on a user whom a person must deactivate, so a refusal (the person has changed the password, section 7) leaves
    // nothing undone.
    let rotation = Rotation::of(wanted);
    if config.soft_lock_out && matches!(rotation, Rotation::None | Rotation::Asked) {
        let lock = change_password(wanted, observed, own_password(wanted.account), locked_password());
        let refused = if rotation == Rotation::None { Rotation::Refused } else { Rotation::Unclear };
        let effect = Effect { kept: Rotation::Done.kept(), ..lock.effect };
        let if_refused = Some(Effect { kept: refused.kept(), ..Effect::default() });
        plan.calls.push(Call { effect, if_refused, ..lock });
        plan.keep = Some(Rotation::Asked.kept());
    }
    plan
}

/// What became of the password in this suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotation {
    /// Nothing was asked for.
    None,
    /// Asked for, and the reply was not seen.
    Asked,
    /// The random password is in place.
    Done,
    /// Refused: the password is the person's own.
    Refused,
    /// Refused when it was asked for again: either the first call had its effect, or none had.
    Unclear,
}

impl Rotation {
    /// As the snapshot remembers it.
    fn of(wanted: &Wanted<'_>) -> Self {
        match wanted.kept.and_then(|kept| kept.get(ROTATED)) {
            None => Self::None,
            Some(Value::Bool(false)) => Self::Refused,
            Some(Value::String(word)) if word == "done" => Self::Done,
            Some(Value::String(word)) if word == "unclear" => Self::Unclear,
            Some(_) => Self::Asked,
        }
    }

    fn kept(self) -> BTreeMap<String, Value> {
        let value = match self {
            Self::None => return BTreeMap::new(),
            Self::Asked => json!(true),
            Self::Done => json!("done"),
            Self::Refused => json!(false),
            Self::Unclear => json!("unclear"),
        };
        BTreeMap::from([(ROTATED.to_owned(), value)])
    }
}

/// The random password of a locked-out user.
fn locked_password() -> CallValue {
    CallValue::Secret(SecretSource::Generated, LOCKED_PASSWORD.to_owned())
}

/// The password that the bridge set when it made the account.
fn own_password(account: Option<&Account>) -> CallValue {
    let source =
        account.and_then(|account| account.fields.get(PASSWORD)).map_or(SecretSource::Generated, |value| match value {
            FieldValue::Secret(source) => *source,
            FieldValue::Plain(_) => SecretSource::Generated,
        });
    CallValue::Secret(source, PASSWORD.to_owned())
}

fn change_password(wanted: &Wanted<'_>, observed: &Observed, old: CallValue, new: CallValue) -> Call {
    let fields = vec![
        ("user_identifier".to_owned(), CallValue::Plain(identifier(wanted, observed))),
        ("old_password".to_owned(), old),
        (PASSWORD.to_owned(), new.clone()),
        ("password_confirmation".to_owned(), new),
    ];
    call(CHANGE_PASSWORD, fields, Effect::default())
}

fn update(
    method: &str,
    wanted: &Wanted<'_>,
    observed: &Observed,
    changes: Vec<(String, Value)>,
    active: Option<bool>,
) -> Call {
    let mut fields = vec![("user_identifier".to_owned(), CallValue::Plain(identifier(wanted, observed)))];
    let mut known = BTreeMap::new();
    for (name, value) in changes {
        let sent = if is_empty(&value) { json!("") } else { value.clone() };
        fields.push((name.clone(), CallValue::Plain(sent)));
        known.insert(name, value);
    }
    if let Some(active) = active {
        fields.push(("active".to_owned(), CallValue::Plain(json!(active))));
    }
    call(method, fields, Effect { active, fields: known, ..Effect::default() })
}

/// `{"id": …}` if it is known, else `{"username": …}`.
fn identifier(wanted: &Wanted<'_>, observed: &Observed) -> Value {
    match observed.remote_id.as_ref().or(wanted.keys.remote_id.as_ref()) {
        Some(id) => json!({ "id": id }),
        None => json!({ USERNAME: user_name(wanted, observed) }),
    }
}

fn user_name(wanted: &Wanted<'_>, observed: &Observed) -> String {
    let observed = observed.fields.get(USERNAME).and_then(text);
    let known = observed.or_else(|| wanted.keys.field(USERNAME).map(str::to_owned));
    known.or_else(|| wanted.account.and_then(|account| account.text(USERNAME)).map(str::to_owned)).unwrap_or_default()
}

fn call(method: &str, fields: Vec<(String, CallValue)>, effect: Effect) -> Call {
    Call {
        operation: method.to_owned(),
        method: Method::Post,
        path: method.to_owned(),
        encoding: Encoding::Json,
        fields,
        creates: false,
        if_refused: None,
        effect,
    }
}

fn by_hand(code: &'static str, deed: &str, wanted: &Wanted<'_>, observed: &Observed) -> Task {
    let name = user_name(wanted, observed);
    let text = format!("{deed} user {name} in CRM.COM (Foundation, User Management, Manage users); the API cannot.");
    Task::new(code, text, &[])
}

fn drift_task(wanted: &Wanted<'_>, observed: &Observed, drift: &[(String, Value)]) -> Task {
    let name = user_name(wanted, observed);
    let settings: Vec<String> = drift
        .iter()
        .map(|(field, value)| match text(value) {
            Some(value) => format!("set {field} to {value}"),
            None => format!("clear {field}"),
        })
        .collect();
    let fields: Vec<&str> = drift.iter().map(|(field, _)| field.as_str()).collect();
    let text = format!("Change user {name} in CRM.COM, the API cannot: {}.", settings.join(", "));
    Task::new("cannot-update", text, &fields)
}

/// `users/show` of one user. The token is added while sending; the second `=` stays raw (section 1).
pub(super) fn show_path(by: &str, value: &str) -> String {
    format!("users/show?user_identifier={by}={}", encode(value))
}

/// One page of `users/list`.
pub(super) fn list_path(list_by: &ListBy, offset: usize, rows: usize) -> String {
    let filter = match list_by.filter {
        ListFilter::SecurityProfile => "security_profile_identifier",
        ListFilter::Unit => "unit_identifier",
        ListFilter::Group => "group_identifier",
        ListFilter::BusinessUnit => "business_unit_identifier",
    };
    let by = encode(&list_by.by);
    format!("users/list?{filter}={by}={}&number_of_results={rows}&offset={offset}", encode(&list_by.value))
}

/// What the envelope of a reply says (section 1).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// `status.code` is `OK`.
    Ok(Value),
    /// Any other code.
    Failure(Failure),
    /// HTTP 404 without an envelope: nobody answers to this method.
    Absent,
}

/// What the failure of a call means. A wrong password in a change of password is the person's, not ours; and what a create
/// does not find is not the account (a unit, a group): to repeat it does not help.
pub(super) fn error_of(call: &Call, failure: &Failure, known: &[Known]) -> TargetError {
    match error(failure, known) {
        TargetError::Unauthorized { reason }
            if call.operation == CHANGE_PASSWORD && failure.class == ErrorClass::Credentials =>
        {
            TargetError::Refused {
                code: clean(&failure.code, known),
                field: Some(PASSWORD.to_owned()),
                reason,
                retry_helps: false,
            }
        }
        TargetError::Missing if call.creates => TargetError::Refused {
            code: clean(&failure.code, known),
            field: named_field(&failure.code, &failure.message).map(str::to_owned),
            reason: clean(failure.said(), known),
            retry_helps: false,
        },
        error => error,
    }
}

/// A business error.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) class: ErrorClass,
}

impl Failure {
    /// What it says of itself: the message, else the code.
    fn said(&self) -> &str {
        if self.message.is_empty() { &self.code } else { &self.message }
    }
}

/// Reads the envelope, whatever the HTTP status: business errors arrive with 200, and may with another (section 13).
pub(super) fn answer(own: &[ErrorPattern], reply: &Reply) -> Result<Answer, TargetError> {
    let body: Option<Value> = serde_json::from_str(&reply.body).ok();
    let status = body.as_ref().and_then(|body| body.get("status")).and_then(Value::as_object);
    let code = status.and_then(|status| status.get("code")).and_then(text);
    if let (Some(body), Some(status), Some(code)) = (&body, status, code) {
        if code.eq_ignore_ascii_case("OK") && reply.is_success() {
            return Ok(Answer::Ok(body.get("data").cloned().unwrap_or(Value::Null)));
        }
        let part = |name: &str| status.get(name).and_then(text);
        let message = part("message").or_else(|| part("description")).unwrap_or_default();
        let class = classify(own, &code, &message);
        if !(code.eq_ignore_ascii_case("OK") || class == ErrorClass::Unknown && reply.transport_error().is_some()) {
            return Ok(Answer::Failure(Failure { code, message, class }));
        }
    }
    if let Some(error) = reply.transport_error() {
        return Err(error);
    }
    Err(match reply.status {
        401 | 403 => TargetError::Unauthorized { reason: format!("HTTP {}", reply.status) },
        404 => return Ok(Answer::Absent),
        _ => TargetError::Garbled { reason: format!("not an answer of this API (HTTP {})", reply.status) },
    })
}

/// Either the address is wrong, or the release has dropped the method (R18 and later, section 13).
pub(super) fn method_absent(path: &str) -> TargetError {
    let method = path.split('?').next().unwrap_or_default();
    TargetError::Unauthorized {
        reason: format!("HTTP 404 for {method}: base_url is wrong, or this release (R18 or later) has dropped it"),
    }
}

/// What a business error of a write means.
pub(super) fn error(failure: &Failure, known: &[Known]) -> TargetError {
    let Failure { code, message, class } = failure;
    let field = match class {
        // A policy may speak of the user name too, which a password must not contain.
        ErrorClass::Password => Some(PASSWORD.to_owned()),
        _ => named_field(code, message).map(str::to_owned),
    };
    let reason = clean(failure.said(), known);
    let is_email = field.as_deref() == Some(EMAIL);
    match class {
        ErrorClass::Token | ErrorClass::Credentials | ErrorClass::Rights => TargetError::Unauthorized { reason },
        ErrorClass::Conflict => TargetError::Conflict { field, reason },
        // Whether an address must be unique differs by release; an error about it is treated as a conflict (section 8).
        ErrorClass::Unknown if is_email => TargetError::Conflict { field, reason },
        ErrorClass::NotFound if field.as_deref() != Some(TEMPLATE) => TargetError::Missing,
        ErrorClass::NotFound | ErrorClass::Password | ErrorClass::Validation | ErrorClass::Unknown => {
            TargetError::Refused { code: clean(code, known), field, reason, retry_helps: false }
        }
    }
}

/// Reads a user object; `None` if it names nobody.
pub(super) fn user(data: &Value) -> Option<Observed> {
    let object = data.as_object()?;
    let id = object.get("id").and_then(text)?;
    let mut fields = BTreeMap::new();
    for (name, value) in object {
        let is_ours = schema().field(name).is_some_and(|field| !field.secret) || name == PERSON_NAME;
        if is_ours && !value.is_object() && !value.is_array() {
            let value = if is_empty(value) { Value::Null } else { value.clone() };
            fields.insert(name.clone(), value);
        }
    }
    let active = object.get("active").and_then(|active| match active {
        Value::Bool(active) => Some(*active),
        other => text(other).map(|text| text.eq_ignore_ascii_case("true") || text == "1"),
    });
    Some(Observed { existence: Existence::Present, remote_id: Some(id), active, fields, ..Observed::default() })
}

/// The rows of a list: a bare list, or the first list in an object (section 5).
pub(super) fn rows(data: &Value) -> Option<&Vec<Value>> {
    match data {
        Value::Array(rows) => Some(rows),
        Value::Object(object) => object.values().find_map(Value::as_array),
        _ => None,
    }
}

/// The found account with what it proves about our keys.
pub(super) fn with_evidence(config: &Config, mut observed: Observed, keys: &AccountKeys) -> Observed {
    observed.evidence = evidence(schema(), keys, &observed, Some(&config.marker_field), EMAIL);
    observed
}

/// The body of a POST with the session's token.
pub(super) fn with_token(fields: &Map<String, Value>, token: &str) -> Value {
    let mut body = Map::from_iter([("token".to_owned(), json!(token))]);
    body.extend(fields.clone());
    Value::Object(body)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
