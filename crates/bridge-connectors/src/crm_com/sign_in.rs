//! Signing in to CRM.COM: a token by Web API key or by user name and password (crmcom.md section 2).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{Config, Credential, wire};
use crate::error::TargetError;
use crate::http::{Body, Http, Request};
use crate::mask::Known;
use crate::plan::Method;
use crate::reading::text;
use crate::token::Token;

/// Before R12 a token is opaque and ends after an hour without use.
const OPAQUE_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// A token is renewed at the latest this long before its end.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// Fetches a token.
pub(super) async fn fetch(http: &Http, config: &Config, known: Vec<Known>) -> Result<Token, TargetError> {
    let mut body = Map::new();
    let (path, authorization) = match &config.credential {
        Credential::WebApiKey(key) => {
            // The key is the user name of HTTP Basic, the password is empty.
            let basic = format!("Basic {}", basic(key));
            ("authentication/web_api_key/token", Some(SecretString::from(basic)))
        }
        Credential::Password { username, password, organisation } => {
            body.insert("username".to_owned(), json!(username));
            body.insert("password".to_owned(), json!(password.expose_secret()));
            body.insert("organisation".to_owned(), json!(organisation));
            ("authentication/token", None)
        }
    };
    if let Some(unit) = &config.unit {
        body.insert("unit".to_owned(), json!(unit));
    }
    let body = Value::Object(body);
    let request = Request {
        method: Method::Post,
        path,
        accept: "application/json",
        authorization,
        body: Body::Json(&body),
        writes: false,
    };
    let data = match wire::answer(&config.error_patterns, &http.send(request).await?)? {
        wire::Answer::Ok(data) => data,
        wire::Answer::Absent => return Err(wire::method_absent(path)),
        // Whatever is wrong with a sign-in, it is not one account's fault.
        wire::Answer::Failure(failure) => {
            let said = if failure.message.is_empty() { &failure.code } else { &failure.message };
            return Err(TargetError::Unauthorized { reason: crate::mask::clean(said, &known) });
        }
    };
    match data.get("token").and_then(Value::as_str).filter(|token| !token.is_empty()) {
        Some(token) => Ok(judge(token, http.now())),
        None => Err(TargetError::Garbled { reason: "the sign-in was answered without a token".to_owned() }),
    }
}

/// A Web API key as HTTP Basic carries it.
fn basic(key: &SecretString) -> String {
    STANDARD.encode(format!("{}:", key.expose_secret()))
}

/// What must not appear in an error's reason.
pub(super) fn known(credential: &Credential) -> Vec<Known> {
    match credential {
        Credential::WebApiKey(key) => vec![Known::secret(key.expose_secret()), Known::secret(&basic(key))],
        Credential::Password { password, .. } => vec![Known::secret(password.expose_secret())],
    }
}

/// How long to use a token: three quarters of its life, and never its last ten minutes.
fn judge(token: &str, now: Timestamp) -> Token {
    let claims = claims(token);
    let seconds = |name: &str| claims.get(name).and_then(text).and_then(|text| text.parse::<i64>().ok());
    let issued = seconds("iat").unwrap_or(now.as_second());
    let Some(expires) = seconds("exp").filter(|expires| *expires > issued) else {
        return Token::living(token.into(), now, OPAQUE_LIFE);
    };
    // The life is what the server says; our clock may differ from its clock.
    let mut token = Token::living(token.into(), now, SignedDuration::from_secs(expires.saturating_sub(issued)));
    let latest = Timestamp::from_second(expires).ok().and_then(|expires| expires.checked_sub(MARGIN).ok());
    if let Some(latest) = latest.filter(|latest| *latest > now) {
        token.renew_at = token.renew_at.min(latest);
    }
    token
}

/// The user name in a token, if it tells one.
pub(super) fn user_of(token: &SecretString) -> Option<String> {
    claims(token.expose_secret()).get("usr").and_then(text)
}

/// The claims of a JWT, unverified: they only say when to renew. Empty for an opaque token.
fn claims(token: &str) -> Map<String, Value> {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
    payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &Value) -> String {
        format!("header.{}.signature", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        let now = 1_000_000;
        let check = |token: &str, used_for: i64| {
            let judged = judge(token, Timestamp::from_second(now).unwrap());
            assert_eq!(judged.renew_at.as_second() - now, used_for, "{token}");
        };
        check(&token(&json!({"iat": now, "exp": now + 7200})), 5400);
        check(&token(&json!({"iat": now.to_string(), "exp": (now + 7200).to_string()})), 5400);
        // Ten minutes before the end comes before three quarters.
        check(&token(&json!({"iat": now, "exp": now + 2000})), 1400);
        // Too short for ten minutes.
        check(&token(&json!({"iat": now, "exp": now + 400})), 300);
        // A server whose clock is a day behind.
        check(&token(&json!({"iat": now - 86_400, "exp": now - 86_400 + 7200})), 5400);
        check(&token(&json!({"exp": now + 7200})), 5400);
        check("EE63A82C4FEBE02FF34E90DD1EBA5ABE", 2700);
        check("a.b.c", 2700);
        check(&token(&json!({"iat": 9, "exp": 8})), 2700);
    }

    proptest::proptest! {
        #[test]
        fn no_token_makes_the_reader_panic(text in ".*", exp in proptest::prelude::any::<i64>(), iat in proptest::prelude::any::<i64>()) {
            judge(&text, Timestamp::UNIX_EPOCH);
            judge(&token(&json!({"iat": iat, "exp": exp})), Timestamp::UNIX_EPOCH);
        }
    }
}
