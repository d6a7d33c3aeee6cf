//! The LoginKey: a time-limited signature in place of the administrator's password (Glance dossier section 3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Keys that expire further ahead than this many seconds are refused.
const LONGEST_LIFE_SECONDS: i64 = 86_400;

/// The only version of the format.
const VERSION: &str = "1";

/// Checks `$<version>$<expires>$<signature>` at `now` (Unix seconds); the error is the reason of the refusal.
pub(crate) fn check(
    login_key: &str,
    api_key: &str,
    partner_id: &str,
    partner_user_id: &str,
    now: i64,
) -> Result<(), &'static str> {
    let parts: Vec<&str> = login_key.split('$').collect();
    let ["", VERSION, expires_text, signature] = parts.as_slice() else {
        return Err("The LoginKey is malformed");
    };
    if expires_text.is_empty() || !expires_text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("The LoginKey is malformed");
    }
    let expires: i64 = expires_text.parse().map_err(|_| "The LoginKey is malformed")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "The LoginKey is malformed")?;
    let message = format!("{partner_id}{partner_user_id}{VERSION}{expires_text}");
    let mut mac = Hmac::<Sha256>::new_from_slice(api_key.as_bytes()).map_err(|_| "The group has no API key")?;
    mac.update(message.as_bytes());
    mac.verify_slice(&signature).map_err(|_| "The LoginKey is not signed with the group's API key")?;
    if now >= expires {
        return Err("The LoginKey has expired");
    }
    if expires - now > LONGEST_LIFE_SECONDS {
        return Err("The LoginKey expires too far ahead");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the dossier.
    const KEY: &str = "$1$1392680360$wfuY5eEn_3YTrFNgYarCilwUSArUbfZOFlahHiylqnY";
    const EXPIRES: i64 = 1_392_680_360;

    #[test]
    fn the_documented_test_vector_signs_in_until_it_expires_and_at_most_a_day_ahead() {
        let at = |now| check(KEY, "RedactedApiKey", "98765", "UserId", now);
        assert_eq!(KEY.len(), 57);
        assert_eq!(at(EXPIRES - 600), Ok(()));
        assert_eq!(at(EXPIRES - 1), Ok(()));
        assert_eq!(at(EXPIRES - 86_400), Ok(()));
        assert_eq!(at(EXPIRES), Err("The LoginKey has expired"));
        assert_eq!(at(EXPIRES - 86_401), Err("The LoginKey expires too far ahead"));
    }

    #[test]
    fn anything_else_is_refused() {
        let check = |key: &str, api_key: &str, partner_id: &str, user: &str, expected: &'static str| {
            assert_eq!(super::check(key, api_key, partner_id, user, EXPIRES - 600), Err(expected), "{key}");
        };
        let unsigned = "The LoginKey is not signed with the group's API key";
        check(KEY, "AnotherApiKey", "98765", "UserId", unsigned);
        check(KEY, "RedactedApiKey", "98766", "UserId", unsigned);
        check(KEY, "RedactedApiKey", "98765", "userid", unsigned);
        check(&KEY.replace("$1392680360", "$1392680361"), "RedactedApiKey", "98765", "UserId", unsigned);
        let malformed = "The LoginKey is malformed";
        check("", "RedactedApiKey", "98765", "UserId", malformed);
        check(&KEY.replacen("$1$", "$2$", 1), "RedactedApiKey", "98765", "UserId", malformed);
        check(&format!("{KEY}="), "RedactedApiKey", "98765", "UserId", malformed);
        check("$1$+1392680360$wfuY", "RedactedApiKey", "98765", "UserId", malformed);
        check("$1$99999999999999999999$wfuY", "RedactedApiKey", "98765", "UserId", malformed);
    }
}
