//! The LoginKey that can stand in for the administrator's password (glance.md section 3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// How long a key is good for: it is signed afresh for each request.
const LIFE_IN_SECONDS: i64 = 5 * 60;
const VERSION: &str = "1";

/// A key that is good for the next five minutes.
pub(super) fn fresh(api_key: &SecretString, partner_id: &str, partner_user_id: &str, now: Timestamp) -> SecretString {
    sign(api_key, partner_id, partner_user_id, now.as_second().saturating_add(LIFE_IN_SECONDS))
}

/// `$<version>$<expires>$<signature>`, signed over partner id, partner user id, version and expiry, joined by nothing.
fn sign(api_key: &SecretString, partner_id: &str, partner_user_id: &str, expires: i64) -> SecretString {
    let message = format!("{partner_id}{partner_user_id}{VERSION}{expires}");
    // HMAC takes a key of any length, so the error arm is never taken.
    let signature = Hmac::<Sha256>::new_from_slice(api_key.expose_secret().as_bytes())
        .map(|mac| URL_SAFE_NO_PAD.encode(mac.chain_update(message.as_bytes()).finalize().into_bytes()))
        .unwrap_or_default();
    format!("${VERSION}${expires}${signature}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_equals_the_test_vector_of_the_dossier() {
        let key = sign(&"RedactedApiKey".into(), "98765", "UserId", 1_392_680_360);
        assert_eq!(key.expose_secret(), "$1$1392680360$wfuY5eEn_3YTrFNgYarCilwUSArUbfZOFlahHiylqnY");
        assert_eq!(key.expose_secret().len(), 57);
    }

    #[test]
    fn a_fresh_key_expires_in_five_minutes() {
        let now = Timestamp::from_second(1_392_680_060).unwrap();
        let key = fresh(&"RedactedApiKey".into(), "98765", "UserId", now);
        assert!(key.expose_secret().starts_with("$1$1392680360$"));
    }
}
