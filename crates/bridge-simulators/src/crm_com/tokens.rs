//! Tokens of the CRM.COM Web API, release R12 and later: a JWT, HS256, that lives two hours (CRM.COM dossier
//! section 2).

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

/// Absolute life of a token, used or not.
const LIFE_SECONDS: i64 = 2 * 60 * 60;

/// Signs and checks tokens with a key that is made at the start.
pub(crate) struct Tokens {
    secret: [u8; 32],
    claims_as_strings: bool,
}

impl Tokens {
    pub(crate) fn new(claims_as_strings: bool) -> Self {
        Self { secret: rand::random(), claims_as_strings }
    }

    /// A new token of a user; `session` is its id.
    pub(crate) fn issue(
        &self,
        session: &str,
        username: &str,
        organisation: &str,
        unit: &str,
        now: Timestamp,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let second = |second: i64| if self.claims_as_strings { json!(second.to_string()) } else { json!(second) };
        let claims = json!({
            "jti": session,
            "usr": username,
            "org": organisation,
            "oun": unit,
            "iat": second(now.as_second()),
            "exp": second(now.as_second() + LIFE_SECONDS),
        });
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&self.secret))
    }

    /// The user name of a token that this installation signed and that has not expired.
    pub(crate) fn username(&self, token: &str, now: Timestamp) -> Option<String> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would ask the wall clock, and not read numbers in strings.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let decoding_key = DecodingKey::from_secret(&self.secret);
        let claims = jsonwebtoken::decode::<Value>(token, &decoding_key, &validation).ok()?.claims;
        let expires = claims.get("exp")?;
        let expires = expires.as_i64().or_else(|| expires.as_str()?.parse().ok())?;
        (now.as_second() < expires).then(|| claims.get("usr")?.as_str().map(str::to_owned)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_two_hours_on_the_given_clock() {
        for claims_as_strings in [false, true] {
            let tokens = Tokens::new(claims_as_strings);
            let at = |second: i64| Timestamp::from_second(second).unwrap();
            let token = tokens.issue("S", "bridge", "ACME", "U", at(1000)).unwrap();
            assert_eq!(tokens.username(&token, at(1000)).as_deref(), Some("bridge"));
            assert_eq!(tokens.username(&token, at(1000 + 7199)).as_deref(), Some("bridge"));
            assert_eq!(tokens.username(&token, at(1000 + 7200)), None);
            assert_eq!(tokens.username(&format!("{token}x"), at(1000)), None);
            assert_eq!(Tokens::new(false).username(&token, at(1000)), None);
        }
    }
}
