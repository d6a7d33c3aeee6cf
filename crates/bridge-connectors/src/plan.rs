//! A plan: the exact calls that make an account match, and what the API cannot do (DESIGN section 2).
//!
//! A call names its secrets and does not hold them until they are filled in; whatever is printed or kept of a call goes
//! through [`Call::masked`].

use std::collections::BTreeMap;

use bridge_mapping::SecretSource;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::error::TargetError;
use crate::mask::Known;
use crate::observed::Effect;

/// What stands in for a secret wherever a call is shown.
pub const MASK: &str = "***";

/// What makes an account match.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The calls, in the order in which they are sent. Empty: the account matches, as far as the API reaches.
    pub calls: Vec<Call>,
    /// What a person must do, because the API cannot.
    pub tasks: Vec<Task>,
    /// Values that a suspension overwrites. To be stored before the first call is sent and given back as
    /// [`crate::Wanted::kept`].
    pub keep: Option<BTreeMap<String, Value>>,
    /// A key that cannot be renamed differs; `on_rekey` decides. The calls act on the old key.
    pub rekey: Option<Rekey>,
}

impl Plan {
    /// Nothing to send, nothing for a person to do, no key that differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.tasks.is_empty() && self.rekey.is_none()
    }
}

/// A key that the API cannot rename differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekey {
    /// The vendor's field.
    pub field: String,
    /// As the target has it.
    pub from: String,
    /// As it is wanted.
    pub to: String,
}

/// What a person must do at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Stable code: `cannot-clear`, `cannot-update`, `cannot-suspend`, `cannot-reactivate`, `cannot-delete`, …
    pub code: &'static str,
    /// What to do, with field names and wanted values.
    pub text: String,
    /// The vendor's fields it is about.
    pub fields: Vec<String>,
}

impl Task {
    pub(crate) fn new(code: &'static str, text: impl Into<String>, fields: &[&str]) -> Self {
        Self { code, text: text.into(), fields: fields.iter().map(|&field| field.to_owned()).collect() }
    }
}

/// An HTTP method that a plan may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are HTTP's own")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// As written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// How a call's fields travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// One JSON object.
    Json,
    /// No body.
    None,
}

/// One call of a plan. It holds no credentials: those are added while sending.
#[derive(Debug, Clone)]
pub struct Call {
    /// What the vendor calls it: `NewUser.asp`, `POST users`, `users/create`.
    pub operation: String,
    /// The HTTP method.
    pub method: Method,
    /// Relative to the connector's base URL, percent-encoded.
    pub path: String,
    /// How the fields travel.
    pub encoding: Encoding,
    /// The fields, in the order in which they are written.
    pub fields: Vec<(String, CallValue)>,
    /// The call makes an account, so a lost reply may mean a second one.
    pub creates: bool,
    /// What success means.
    pub effect: Effect,
    /// The call may be refused without leaving anything undone; then this is its effect, and work goes on.
    pub if_refused: Option<Effect>,
}

/// A field's value in a call.
#[derive(Debug, Clone)]
pub enum CallValue {
    /// May be shown.
    Plain(Value),
    /// A secret still to be filled in: where it comes from, and the account's field that it belongs to.
    Secret(SecretSource, String),
    /// A secret ready to be sent; never shown, never serialised.
    Filled(SecretString),
}

impl Call {
    /// The secrets that must be filled in before this call can be sent; each account field once.
    #[must_use]
    pub fn needs_secrets(&self) -> Vec<(String, SecretSource)> {
        let mut needed: Vec<(String, SecretSource)> = Vec::new();
        for (_, value) in &self.fields {
            if let CallValue::Secret(source, field) = value
                && !needed.iter().any(|(known, _)| known == field)
            {
                needed.push((field.clone(), *source));
            }
        }
        needed
    }

    /// Fills in the secret of an account field, wherever the call needs it.
    pub fn fill(&mut self, field: &str, secret: SecretString) {
        for (_, value) in &mut self.fields {
            if matches!(value, CallValue::Secret(_, wanted) if wanted == field) {
                *value = CallValue::Filled(secret.clone());
            }
        }
    }

    /// What `plan` prints and the journal keeps: the call without its secrets.
    #[must_use]
    pub fn masked(&self, base: &Url) -> MaskedCall {
        let body = match self.encoding {
            Encoding::None => Value::Null,
            Encoding::Form | Encoding::Json => Value::Object(self.object(|_| Value::String(MASK.to_owned()))),
        };
        MaskedCall {
            operation: self.operation.clone(),
            method: self.method,
            url: format!("{}/{}", base.as_str().trim_end_matches('/'), self.path),
            body,
        }
    }

    /// The plain value of a field as text, if it has one.
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        self.fields.iter().find(|(name, _)| name == field).and_then(|(_, value)| match value {
            CallValue::Plain(value) => crate::reading::text(value),
            CallValue::Secret(..) | CallValue::Filled(_) => None,
        })
    }

    /// The fields as a JSON object, secrets included; `None` when a secret has not been filled in.
    pub(crate) fn body(&self) -> Option<Map<String, Value>> {
        if self.fields.iter().any(|(_, value)| matches!(value, CallValue::Secret(..))) {
            return None;
        }
        Some(
            self.object(|secret| {
                Value::String(secret.map_or_else(String::new, |text| text.expose_secret().to_owned()))
            }),
        )
    }

    /// What must not appear in an error's reason.
    pub(crate) fn known(&self) -> Vec<Known> {
        let known = |(name, value): &(String, CallValue)| match value {
            CallValue::Plain(value) => crate::reading::text(value).map(|text| Known::field(name, &text)),
            CallValue::Filled(secret) => Some(Known::secret(secret.expose_secret())),
            CallValue::Secret(..) => None,
        };
        self.fields.iter().filter_map(known).collect()
    }

    fn object(&self, secret: impl Fn(Option<&SecretString>) -> Value) -> Map<String, Value> {
        let value = |value: &CallValue| match value {
            CallValue::Plain(plain) => plain.clone(),
            CallValue::Secret(..) => secret(None),
            CallValue::Filled(text) => secret(Some(text)),
        };
        self.fields.iter().map(|(name, field)| (name.clone(), value(field))).collect()
    }
}

/// A call was sent before its secrets were filled in.
pub(crate) fn secret_missing(call: &Call) -> TargetError {
    let field = call.needs_secrets().into_iter().next().map(|(field, _)| field);
    TargetError::Refused {
        code: "secret-missing".to_owned(),
        field,
        reason: "the secret of this field is no longer known".to_owned(),
        retry_helps: false,
    }
}

/// A call without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskedCall {
    /// What the vendor calls it.
    pub operation: String,
    /// The HTTP method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// The fields; null when the call has no body.
    pub body: Value,
}
