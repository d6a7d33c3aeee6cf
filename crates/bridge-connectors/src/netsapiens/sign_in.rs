//! Signing in to a NetSapiens platform: an API key, or a token of the password grant (netsapiens.md section 2).

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{Credential, wire};
use crate::error::TargetError;
use crate::http::{Body, Http, Reply, Request};
use crate::mask::{Known, clean};
use crate::plan::Method;
use crate::token::{Token, Tokens};

/// The life of a token that does not state it; the provider who states one says an hour.
const LIFE_IN_SECONDS: i64 = 3600;

/// The current bearer credential; fetches a token if there is none.
pub(super) async fn bearer(http: &Http, tokens: &Tokens, credential: &Credential) -> Result<SecretString, TargetError> {
    match credential {
        Credential::ApiKey(key) => Ok(key.clone()),
        Credential::Password { client_id, client_secret, username, password } => {
            let fields = [
                ("grant_type", "password"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose_secret()),
                ("username", username),
                ("password", password.expose_secret()),
            ];
            tokens.current(http.now(), fetch(http, &fields, tokens.known())).await
        }
    }
}

/// What must not appear in an error's reason.
pub(super) fn known(credential: &Credential) -> Vec<Known> {
    match credential {
        Credential::ApiKey(key) => vec![Known::secret(key.expose_secret())],
        Credential::Password { client_secret, password, .. } => {
            vec![Known::secret(client_secret.expose_secret()), Known::secret(password.expose_secret())]
        }
    }
}

async fn fetch(http: &Http, fields: &[(&str, &str)], mut known: Vec<Known>) -> Result<Token, TargetError> {
    let body: Value = fields.iter().map(|&(name, value)| (name.to_owned(), json!(value))).collect();
    let mut reply = http.send(post("tokens", Body::Json(&body))).await?;
    if reply.status == 404 {
        // The legacy twin, for servers that do not know `/tokens` yet.
        let form: Vec<(String, String)> =
            fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        reply = http.send(post("../oauth2/token/", Body::Form(&form))).await?;
    }
    known.extend(fields.iter().skip(2).map(|(_, value)| Known::secret(value)));
    token(&reply, http.now(), &known)
}

fn post<'a>(path: &'a str, body: Body<'a>) -> Request<'a> {
    Request { method: Method::Post, path, accept: "application/json", authorization: None, body, writes: false }
}

/// A 2xx without `access_token` is a failed sign-in.
fn token(reply: &Reply, now: Timestamp, secrets: &[Known]) -> Result<Token, TargetError> {
    if let Some(error) = reply.transport_error() {
        return Err(error);
    }
    let unauthorized = |said: &str| TargetError::Unauthorized { reason: clean(said, secrets) };
    if !reply.is_success() {
        return Err(unauthorized(
            &wire::message(reply).unwrap_or_else(|| format!("HTTP {} for a token", reply.status)),
        ));
    }
    let body = wire::json(reply)?;
    let Some(value) = body.get("access_token").and_then(Value::as_str).filter(|value| !value.is_empty()) else {
        return Err(unauthorized("the sign-in was answered without a token"));
    };
    let life = body.get("expires_in").and_then(crate::reading::text).and_then(|text| text.parse().ok());
    let life = SignedDuration::from_secs(life.unwrap_or(LIFE_IN_SECONDS));
    Ok(Token::living(value.into(), now, life))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reply_is_judged_by_its_token() {
        let check = |status: u16, body: &str, expected: Result<i64, &str>| {
            let reply = Reply { status, retry_after: None, body: body.to_owned(), writes: false };
            let token = token(&reply, Timestamp::UNIX_EPOCH, &[Known::secret("hunter2")]);
            let result = token.map(|token| token.renew_at.as_second()).map_err(|error| error.to_string());
            assert_eq!(result, expected.map_err(str::to_owned), "{status} {body}");
        };
        check(200, r#"{"access_token": "t", "expires_in": 400}"#, Ok(300));
        check(200, r#"{"access_token": "t", "expires_in": "400"}"#, Ok(300));
        check(200, r#"{"access_token": "t"}"#, Ok(2700));
        check(200, "{}", Err("The target does not accept our sign-in: the sign-in was answered without a token"));
        check(200, "<html>", Err("The target's reply could not be read: not JSON (HTTP 200)"));
        check(403, r#"{"message": "no hunter2"}"#, Err("The target does not accept our sign-in: no ***"));
        check(401, "", Err("The target does not accept our sign-in: HTTP 401 for a token"));
        check(503, "", Err("The target is not available: HTTP 503"));
    }
}
