//! Every SCIM write goes into the journal as it arrived, without its secrets (DESIGN, section 2).

use bridge_store::{RequestEntry, StoreError};
use scim_model::{Note, ResourceType, Returned};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};
use tracing::error;

use super::{Ask, Caller, Received, Shown};
use crate::bridge::Bridge;
use crate::error::ApiError;

/// What stands where a secret was.
const MASK: &str = "***";

/// The names of the attributes that a schema never returns. The schemas of users say so of what is sent to groups too: only
/// users have secrets.
pub(crate) fn secret_names(users: &ResourceType) -> Vec<String> {
    users
        .extensions
        .iter()
        .map(|(schema, _)| schema)
        .chain([&users.schema])
        .flat_map(|schema| &schema.attributes)
        .filter(|attribute| attribute.returned == Returned::Never)
        .map(|attribute| attribute.name.clone())
        .collect()
}

/// The JSON text of a body with every value masked that has one of these names, wherever the client put it: as a member,
/// under its URN, or as the target of a PATCH operation.
///
/// # Errors
/// 500 if a value cannot be written.
pub fn mask_secrets(secrets: &[String], body: &Value) -> Result<String, ApiError> {
    serde_json::to_string(&Masked { value: body, secrets }).map_err(ApiError::internal)
}

/// A value that is written without its secrets.
struct Masked<'a> {
    value: &'a Value,
    secrets: &'a [String],
}

impl Serialize for Masked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let masked = |value| Masked { value, secrets: self.secrets };
        match self.value {
            Value::Array(items) => serializer.collect_seq(items.iter().map(masked)),
            Value::Object(members) => {
                let path = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("path"));
                let path = path.and_then(|(_, path)| path.as_str());
                let sets_a_secret = path.is_some_and(|path| is_secret(path, self.secrets));
                let hides =
                    |name: &str| is_secret(name, self.secrets) || (sets_a_secret && name.eq_ignore_ascii_case("value"));
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, member) in members {
                    if hides(name) {
                        map.serialize_entry(name, MASK)?;
                    } else {
                        map.serialize_entry(name, &masked(member))?;
                    }
                }
                map.end()
            }
            other => other.serialize(serializer),
        }
    }
}

/// `password`, `Password`, `password.value`, `urn:…:User:voicemail-login-pin`, with a value filter or without: any part of
/// the name counts, because whoever misspells a path still sends a secret.
fn is_secret(name: &str, secrets: &[String]) -> bool {
    let mut parts = name.split(|letter: char| matches!(letter, ':' | '.' | '[' | ']') || letter.is_whitespace());
    parts.any(|part| secrets.iter().any(|secret| part.eq_ignore_ascii_case(secret)))
}

/// The entry of a write that was stored.
pub(super) fn entry(
    caller: &Caller,
    received: &Received,
    body: Option<String>,
    notes: &[Note],
    status: u16,
    now: jiff::Timestamp,
) -> RequestEntry {
    let notes: Vec<Value> =
        notes.iter().map(|note| json!({ "quirk": note.quirk.as_str(), "attribute": note.attribute })).collect();
    RequestEntry {
        key: 0,
        tenant: caller.tenant.clone(),
        request_id: received.request_id.clone(),
        connection: Some(caller.connection.clone()),
        method: received.method.to_owned(),
        path: received.path.clone(),
        body,
        resource: None,
        notes: (!notes.is_empty()).then(|| Value::Array(notes)),
        received: received.at,
        status: Some(status),
        outcome: None,
        finished: Some(now),
    }
}

/// Writes down a write that was denied: its entry is corrected if it was stored before its targets refused it, else made.
/// The answer does not depend on it.
pub(super) async fn denied(
    bridge: &Bridge,
    caller: &Caller,
    received: &Received,
    body: Option<String>,
    why: &ApiError,
) {
    let now = bridge.clock.now();
    let mut entry = entry(caller, received, body, &[], why.status().as_u16(), now);
    entry.outcome = Some(why.to_scim(&received.request_id).detail);
    write(bridge, entry).await;
}

/// Writes down a create that was answered with the answer of the same one, which was still open.
pub(super) async fn joined(bridge: &Bridge, ask: &Ask<'_>, body: String, answer: &Result<Shown, ApiError>) {
    if let Err(why) = answer {
        return denied(bridge, ask.caller, ask.received, Some(body), why).await;
    }
    let mut entry = entry(ask.caller, ask.received, Some(body), &[], 201, bridge.clock.now());
    entry.outcome = Some("the same create was open already; this is its answer".to_owned());
    write(bridge, entry).await;
}

/// Corrects the entry of a request, or makes one.
async fn write(bridge: &Bridge, entry: RequestEntry) {
    let (request_id, now) = (entry.request_id.clone(), entry.finished.unwrap_or(entry.received));
    let written: Result<(), StoreError> = bridge
        .store
        .write(move |tx| {
            let (status, outcome) = (entry.status.unwrap_or_default(), entry.outcome.as_deref());
            if !tx.finish_request(&entry.tenant, &entry.request_id, status, outcome, now)? {
                tx.add_request(&entry)?;
            }
            Ok(())
        })
        .await;
    if let Err(error) = written {
        error!(request.id = %request_id, %error, "A request could not be written to the journal");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &Value, expected: &Value) {
        let secrets = ["password".to_owned(), "voicemail-login-pin".to_owned()];
        let masked: Value = serde_json::from_str(&mask_secrets(&secrets, body).unwrap()).unwrap();
        assert_eq!(masked, *expected);
    }

    #[test]
    fn secrets_are_masked_wherever_a_client_puts_them() {
        check(&json!({"userName": "ann", "Password": "x"}), &json!({"userName": "ann", "Password": "***"}));
        check(
            &json!({"Operations": [{"op": "replace", "value": {"password": "x", "active": true}}]}),
            &json!({"Operations": [{"op": "replace", "value": {"password": "***", "active": true}}]}),
        );
        check(
            &json!({"Operations": [{"op": "replace", "path": "password", "value": "x"}]}),
            &json!({"Operations": [{"op": "replace", "path": "password", "value": "***"}]}),
        );
        check(
            &json!({"Operations": [{"op": "replace", "path": "password.value", "value": "x"}]}),
            &json!({"Operations": [{"op": "replace", "path": "password.value", "value": "***"}]}),
        );
        check(
            &json!({"urn:a:2.0:User:voicemail-login-pin": "1234", "urn:a:2.0:User": {"voicemail-login-pin": 1}}),
            &json!({"urn:a:2.0:User:voicemail-login-pin": "***", "urn:a:2.0:User": {"voicemail-login-pin": "***"}}),
        );
    }
}
