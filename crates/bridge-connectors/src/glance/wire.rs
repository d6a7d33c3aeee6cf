//! Accounts to calls and replies to results, without any IO (glance.md sections 4 to 10).

use std::collections::BTreeMap;

use bridge_mapping::{Account, AccountSchema, FieldValue, TargetKind};
use serde_json::{Value, json};

use super::xml::{self, Element};
use crate::difference::{To, difference, evidence};
use crate::error::TargetError;
use crate::http::Reply;
use crate::observed::{Effect, Existence, Observed};
use crate::plan::{Call, CallValue, Encoding, Method, Plan, Task};
use crate::reading::{is_empty, text};
use crate::wanted::{AccountKeys, Presence, Wanted};

pub(super) const PARTNER_USER_ID: &str = "PartnerUserID";
pub(super) const USER_ADDRESS: &str = "UserAddress";
const USER_EMAIL: &str = "UserEmail";
const USER_ROLE: &str = "UserRole";
const USER_SUSPENDED: &str = "UserSuspended";
const USER_ACTIVE: &str = "UserActive";
/// "Omitted, empty or `-none-` = no role" (section 4); the one value that can be cleared.
const NO_ROLE: &str = "-none-";

pub(super) const NEW_USER: &str = "NewUser.asp";
pub(super) const UPDATE_USER: &str = "UpdateUser.asp";
pub(super) const DELETE_USER: &str = "DeleteUser.asp";
pub(super) const SHOW_USERS: &str = "ShowUsers.asp";

fn schema() -> &'static AccountSchema {
    AccountSchema::embedded(TargetKind::Glance)
}

/// The calls that make the account match.
pub(super) fn plan(wanted: &Wanted<'_>, observed: &Observed) -> Plan {
    if observed.existence == Existence::Absent && wanted.presence != Presence::Active {
        return Plan::default();
    }
    if let Some(reason) = &observed.unmanageable {
        return Plan { tasks: vec![link_by_hand(wanted.presence, reason)], ..Plan::default() };
    }
    // Never looked and no handle stored: first contact, where the create itself is safe (section 10, idempotency).
    let is_first = observed.existence == Existence::Unknown && wanted.keys.remote_id.is_none();
    match (wanted.presence, wanted.account) {
        (Presence::Active, Some(account)) if is_first || observed.existence == Existence::Absent => {
            create(wanted.keys, account)
        }
        (Presence::Active, account) => match handle(wanted, observed) {
            Some(handle) => update(wanted, account, observed, &handle),
            None => Plan::default(),
        },
        (Presence::Suspended, _) if observed.active == Some(false) => Plan::default(),
        (Presence::Suspended, _) => one(handle(wanted, observed).map(|handle| switch(&handle, true))),
        (Presence::Absent, _) => one(handle(wanted, observed).map(|handle| delete(&handle))),
    }
}

fn one(call: Option<Call>) -> Plan {
    Plan { calls: call.into_iter().collect(), ..Plan::default() }
}

/// The PartnerUserID that the account has, or is going to have. An adopted account keeps its own: PAPI cannot change it.
fn handle(wanted: &Wanted<'_>, observed: &Observed) -> Option<String> {
    let known = observed.remote_id.clone().or_else(|| wanted.keys.remote_id.clone());
    known.or_else(|| own_handle(wanted.keys, wanted.account))
}

/// The PartnerUserID that we give to an account of ours.
fn own_handle(keys: &AccountKeys, account: Option<&Account>) -> Option<String> {
    let mapped = account.and_then(|account| account.text(PARTNER_USER_ID)).or_else(|| keys.field(PARTNER_USER_ID));
    mapped.or(Some(keys.marker.as_str())).filter(|handle| !handle.is_empty()).map(str::to_owned)
}

fn create(keys: &AccountKeys, account: &Account) -> Plan {
    let Some(handle) = own_handle(keys, Some(account)) else { return Plan::default() };
    let mut fields = vec![(PARTNER_USER_ID.to_owned(), CallValue::Plain(json!(handle)))];
    let mut known = BTreeMap::from([(PARTNER_USER_ID.to_owned(), json!(handle))]);
    for change in difference(schema(), account, &BTreeMap::new(), true) {
        let name = change.field.name.as_str();
        if name == PARTNER_USER_ID || name == USER_SUSPENDED {
            continue;
        }
        match change.to {
            To::Value(value) => {
                let value = as_sent(name, value);
                known.insert(name.to_owned(), value.clone());
                fields.push((name.to_owned(), CallValue::Plain(value)));
            }
            To::Empty => _ = known.insert(name.to_owned(), Value::Null),
            To::Secret(source) => fields.push((name.to_owned(), CallValue::Secret(source, name.to_owned()))),
        }
    }
    let effect = Effect {
        existence: Some(Existence::Present),
        remote_id: Some(handle.clone()),
        active: Some(true),
        fields: known,
        ..Effect::default()
    };
    let mut calls = vec![Call { creates: true, ..call(NEW_USER, fields, effect) }];
    if suspends_itself(account) {
        // NewUser knows no suspended state: it takes two calls (section 10).
        calls.push(switch(&handle, true));
    }
    Plan { calls, ..Plan::default() }
}

fn update(wanted: &Wanted<'_>, account: Option<&Account>, observed: &Observed, handle: &str) -> Plan {
    let mut plan = Plan::default();
    let mut fields = Vec::new();
    let mut effect = Effect { remote_id: Some(handle.to_owned()), ..Effect::default() };
    let changes = account.map(|account| difference(schema(), account, &observed.fields, wanted.secrets_changed));
    for change in changes.unwrap_or_default() {
        let name = change.field.name.as_str();
        if !change.field.update || name == USER_SUSPENDED {
            continue;
        }
        match change.to {
            To::Value(value) => {
                let value = as_sent(name, value);
                effect.fields.insert(name.to_owned(), value.clone());
                fields.push((name.to_owned(), CallValue::Plain(value)));
            }
            To::Empty if name == USER_ROLE => {
                effect.fields.insert(name.to_owned(), Value::Null);
                fields.push((name.to_owned(), CallValue::Plain(json!(NO_ROLE))));
            }
            // What an empty field does on update is not documented: never sent (section 13).
            To::Empty if change.certain => plan.tasks.push(cannot_clear(name, handle)),
            To::Empty => {}
            To::Secret(source) => fields.push((name.to_owned(), CallValue::Secret(source, name.to_owned()))),
        }
    }
    let suspended = account.is_some_and(suspends_itself);
    if observed.active != Some(!suspended) {
        fields.push((USER_SUSPENDED.to_owned(), CallValue::Plain(json!(flag(suspended)))));
        effect.active = Some(!suspended);
    }
    if !fields.is_empty() {
        fields.insert(0, (PARTNER_USER_ID.to_owned(), CallValue::Plain(json!(handle))));
        plan.calls.push(call(UPDATE_USER, fields, effect));
    }
    plan
}

/// The identity provider itself asked for a suspended account, by the field of that name.
fn suspends_itself(account: &Account) -> bool {
    account.fields.get(USER_SUSPENDED).and_then(FieldValue::plain).and_then(text).is_some_and(|text| is_true(&text))
}

fn switch(handle: &str, suspended: bool) -> Call {
    let fields = vec![
        (PARTNER_USER_ID.to_owned(), CallValue::Plain(json!(handle))),
        (USER_SUSPENDED.to_owned(), CallValue::Plain(json!(flag(suspended)))),
    ];
    let effect = Effect { remote_id: Some(handle.to_owned()), active: Some(!suspended), ..Effect::default() };
    call(UPDATE_USER, fields, effect)
}

fn delete(handle: &str) -> Call {
    let fields = vec![(PARTNER_USER_ID.to_owned(), CallValue::Plain(json!(handle)))];
    call(DELETE_USER, fields, Effect { existence: Some(Existence::Absent), ..Effect::default() })
}

fn call(operation: &str, fields: Vec<(String, CallValue)>, effect: Effect) -> Call {
    Call {
        operation: operation.to_owned(),
        method: Method::Post,
        path: operation.to_owned(),
        encoding: Encoding::Form,
        fields,
        creates: false,
        if_refused: None,
        effect,
    }
}

/// Addresses are sent in lower case (section 4).
fn as_sent(name: &str, value: Value) -> Value {
    match (name, value) {
        (USER_ADDRESS, Value::String(address)) => Value::String(address.trim().to_lowercase()),
        (_, value) => value,
    }
}

fn flag(set: bool) -> &'static str {
    if set { "1" } else { "0" }
}

fn cannot_clear(field: &str, handle: &str) -> Task {
    let text =
        format!("Clear {field} of the Glance user with {PARTNER_USER_ID} {handle}; the API cannot empty a field.");
    Task::new("cannot-clear", text, &[field])
}

fn link_by_hand(presence: Presence, reason: &str) -> Task {
    let deed = match presence {
        Presence::Active => "bring it into step",
        Presence::Suspended => "suspend it",
        Presence::Absent => "delete it",
    };
    Task::new(
        "cannot-manage",
        format!("Give the Glance account a Partner User ID, or {deed} by hand: {reason}."),
        &[PARTNER_USER_ID],
    )
}

/// A value for the wire: PAPI's forms know text only.
pub(super) fn form_value(value: &Value) -> String {
    match value {
        Value::Bool(set) => flag(*set).to_owned(),
        other => text(other).unwrap_or_default(),
    }
}

/// A value that ShowUsers can search for exactly: a `*` would be a wildcard (section 8).
pub(super) fn exact(field: &str, value: &str) -> Result<(), TargetError> {
    let refuse = |reason: &str| {
        Err(TargetError::Refused {
            code: "not-searchable".to_owned(),
            field: Some(field.to_owned()),
            reason: reason.to_owned(),
            retry_helps: false,
        })
    };
    if value.contains('*') {
        return refuse("a value with * cannot be searched for at Glance");
    }
    if value.eq_ignore_ascii_case(NO_ROLE) {
        return refuse("-none- has a meaning of its own at Glance");
    }
    Ok(())
}

/// What a reply is, before it is asked for its content.
#[derive(Debug)]
pub(super) enum Answer {
    /// `<status>` is `OK`.
    Ok(Element),
    /// A failure document, with everything that it says.
    Failure(String),
}

/// Success only if the status is 2xx, the body parses and `<status>` equals `OK` (section 10).
pub(super) fn answer(reply: &Reply) -> Result<Answer, TargetError> {
    if let Some(error) = reply.transport_error() {
        return Err(error);
    }
    match xml::parse(&reply.body) {
        Ok(root) if root.child("status").is_some() => {
            let status = root.child("status").map(|status| status.text.as_str()).unwrap_or_default();
            if reply.is_success() && status.eq_ignore_ascii_case("OK") {
                return Ok(Answer::Ok(root));
            }
            Ok(Answer::Failure(diagnostic(&root)))
        }
        _ if matches!(reply.status, 401 | 403) => {
            Err(TargetError::Unauthorized { reason: format!("HTTP {}", reply.status) })
        }
        _ if reply.status == 404 => {
            Err(TargetError::Unauthorized { reason: "HTTP 404: base_url does not lead to PAPI".to_owned() })
        }
        Ok(_) => Err(TargetError::Garbled { reason: format!("XML without a status (HTTP {})", reply.status) }),
        Err(reason) => Err(TargetError::Garbled { reason: format!("{reason} (HTTP {})", reply.status) }),
    }
}

/// The text of the status and of all other elements.
fn diagnostic(root: &Element) -> String {
    let texts: Vec<&str> =
        root.all().iter().map(|element| element.text.as_str()).filter(|text| !text.is_empty()).collect();
    texts.join(": ")
}

/// The users of a ShowUsers reply, the cursor of its next page, and element names that nobody knows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Users {
    pub(super) users: Vec<Observed>,
    pub(super) next: Option<String>,
    pub(super) unknown: Vec<String>,
}

const PAGE_START: &str = "PageStart";

/// The field that an element of ShowUsers carries. The names are not documented; these are read (section 8).
fn field_of(element: &str) -> Option<&'static str> {
    Some(match element {
        "partneruserid" | "puid" => PARTNER_USER_ID,
        "useraddress" | "address" | "username" => USER_ADDRESS,
        "userfirst" | "firstname" | "first" => "UserFirst",
        "userlast" | "lastname" | "last" => "UserLast",
        "useremail" | "email" => USER_EMAIL,
        "userrole" | "role" | "rolename" => USER_ROLE,
        "suspended" | "usersuspended" => USER_SUSPENDED,
        "active" | "useractive" => USER_ACTIVE,
        "nextpage" | "nextpagestart" | "pagestart" | "next" => PAGE_START,
        _ => return None,
    })
}

/// Reads a ShowUsers reply, whatever it calls its elements.
///
/// # Errors
/// Users without any name that says who they are.
pub(super) fn users(root: &Element, names: &BTreeMap<String, String>) -> Result<Users, TargetError> {
    let known = |element: &Element| -> Option<String> {
        names.get(&element.name).cloned().or_else(|| field_of(&element.name).map(str::to_owned))
    };
    let mut result = Users::default();
    for element in root.all() {
        let fields: Vec<(String, &Element)> =
            element.children.iter().filter_map(|child| known(child).map(|field| (field, child))).collect();
        if fields.iter().any(|(field, _)| field == PARTNER_USER_ID || field == USER_ADDRESS) {
            result
                .unknown
                .extend(element.children.iter().filter(|child| known(child).is_none()).map(|child| child.name.clone()));
            result.users.push(user(&fields));
        } else if element.name == "user" && !element.children.is_empty() {
            return Err(TargetError::Garbled {
                reason: "users without known element names; set element_names for this target".to_owned(),
            });
        } else if let Some((_, next)) =
            fields.iter().find(|(field, child)| field == PAGE_START && !child.text.is_empty())
        {
            result.next = Some(next.text.clone());
        }
    }
    result.unknown.sort();
    result.unknown.dedup();
    Ok(result)
}

fn user(elements: &[(String, &Element)]) -> Observed {
    let mut observed = Observed { existence: Existence::Present, ..Observed::default() };
    let mut active_flag = None;
    for (field, element) in elements {
        let text = element.text.as_str();
        match field.as_str() {
            USER_SUSPENDED if !text.is_empty() => observed.active = Some(!is_true(text)),
            USER_ACTIVE if !text.is_empty() => active_flag = Some(is_true(text)),
            USER_SUSPENDED | USER_ACTIVE | PAGE_START => {}
            field => {
                let is_none = text.is_empty() || text.eq_ignore_ascii_case(NO_ROLE);
                let value = if is_none { Value::Null } else { json!(text) };
                observed.fields.entry(field.to_owned()).or_insert(value);
            }
        }
    }
    observed.active = observed.active.or(active_flag);
    observed.remote_id = observed.fields.get(PARTNER_USER_ID).and_then(text);
    if observed.remote_id.is_none() {
        observed.unmanageable =
            Some("it has no Partner User ID, so the API can neither change nor delete it".to_owned());
    }
    observed
}

fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "1" | "yes" | "true")
}

/// The user that was asked for by an exact value; anything else that came along is not it.
pub(super) fn only(users: Vec<Observed>, field: &str, value: &str) -> Option<Observed> {
    users.into_iter().find(|user| {
        user.fields.get(field).and_then(text).is_some_and(|found| crate::reading::same_folded(&found, value))
    })
}

/// The found account with what it proves about our keys.
pub(super) fn with_evidence(mut observed: Observed, keys: &AccountKeys) -> Observed {
    observed.evidence = evidence(schema(), keys, &observed, Some(PARTNER_USER_ID), USER_EMAIL);
    observed
}

/// The fields of a call as PAPI's form wants them; `None` when a secret is still missing. Empty fields are never sent.
pub(super) fn form(call: &Call) -> Option<Vec<(String, String)>> {
    let body = call.body()?;
    Some(
        body.iter()
            .filter(|(_, value)| !is_empty(value))
            .map(|(name, value)| (name.clone(), form_value(value)))
            .collect(),
    )
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
