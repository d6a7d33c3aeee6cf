//! Connection tokens: what an identity provider sends as `Authorization: Bearer scimb_…` (DESIGN section 9).
//!
//! A token is 256 random bits behind a prefix that secret scanners can recognise. It is shown once. The store keeps its
//! SHA-256, which needs no salt because nobody can guess 256 bits, and finds the row by the first bytes of that hash.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How every token begins.
pub const PREFIX: &str = "scimb_";

/// Random bytes of a token.
const SECRET_BYTES: usize = 32;

/// Bytes of the hash that find the row.
const SELECTOR_BYTES: usize = 8;

/// A connection token, whole. Cannot be printed by accident.
#[derive(Clone)]
pub struct Token {
    text: String,
    hash: [u8; 32],
}

impl Token {
    /// A new token.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_secret(&rand::random())
    }

    /// The token of these random bytes.
    #[must_use]
    pub fn from_secret(secret: &[u8; SECRET_BYTES]) -> Self {
        Self::of(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)))
    }

    /// Reads a token; `None` if the text cannot be one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let secret = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (secret.len() == SECRET_BYTES).then(|| Self::of(text.to_owned()))
    }

    fn of(text: String) -> Self {
        let hash = Sha256::digest(text.as_bytes()).into();
        Self { text, hash }
    }

    /// The text to hand to the administrator, once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What the store finds the credential by: the first 8 bytes of the hash, in hexadecimal. Not secret.
    #[must_use]
    pub fn selector(&self) -> String {
        self.hash[..SELECTOR_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the store keeps instead of the token.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Whether `stored` is the hash of this token. Takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.hash.ct_eq(stored).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({PREFIX}…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_as_itself() {
        let token = Token::generate();
        let read = Token::parse(token.expose()).unwrap();
        assert_eq!(read.selector(), token.selector());
        assert!(read.matches(token.hash()));
        assert_eq!(token.expose().len(), PREFIX.len() + 43);
    }

    #[test]
    fn two_tokens_differ() {
        let (one, other) = (Token::generate(), Token::generate());
        assert_ne!(one.selector(), other.selector());
        assert!(!one.matches(other.hash()));
        assert!(!one.matches(&one.hash()[..31]));
        assert!(!one.matches(&[]));
    }

    #[test]
    fn the_selector_is_the_beginning_of_the_hash() {
        let token = Token::from_secret(&[0; 32]);
        assert_eq!(token.expose(), "scimb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(token.selector().len(), 16);
        assert_eq!(u64::from_str_radix(&token.selector(), 16).unwrap().to_be_bytes(), token.hash()[..8]);
    }

    #[test]
    fn what_is_not_a_token_is_not_read() {
        let whole = Token::from_secret(&[7; 32]);
        let check = |text: &str| assert!(Token::parse(text).is_none(), "{text}");
        check("");
        check("non-token");
        check("scimb_");
        check("scimb_short");
        check(&whole.expose()[PREFIX.len()..]);
        check(&format!("{}A", whole.expose()));
        check(&whole.expose().to_uppercase());
        check(&format!(" {}", whole.expose()));
        check("eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl");
    }

    #[test]
    fn a_token_does_not_show_in_logs() {
        let token = Token::from_secret(&[7; 32]);
        assert_eq!(format!("{token:?}"), "Token(scimb_…)");
    }
}
