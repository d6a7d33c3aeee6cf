//! Encrypts the few secrets that must outlive a request: generated passwords until the call that uses them has been
//! answered, and passwords that the identity provider sent (DESIGN, section 7, "Passwords").
//!
//! XChaCha20-Poly1305 with a random 192-bit nonce. The first key encrypts, every key decrypts, so that a key can be
//! replaced without losing what the old one sealed. A sealed value is bound to the user it was made for (the associated
//! data): copied to the account of another one it does not open.

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

/// Layout of a sealed value: version (1 byte), key id (4), nonce (24), ciphertext with tag.
const VERSION: u8 = 1;
const KEY_ID: usize = 4;
const NONCE: usize = 24;

/// Seals and opens secrets with the keys of `store.keys`.
pub struct Sealer {
    keys: Vec<SealingKey>,
}

struct SealingKey {
    id: [u8; KEY_ID],
    cipher: XChaCha20Poly1305,
}

/// Why a sealed value cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No key is configured at all.
    #[error("no key to seal secrets with: set store.keys")]
    NoKey,
    /// The key that sealed the value is no longer in `store.keys`.
    #[error(
        "a stored secret was sealed with a key that is no longer in store.keys: put the old key back at the end of the list"
    )]
    UnknownKey,
    /// The value was changed or belongs to another account.
    #[error("a stored secret does not open: the row was changed or moved")]
    Broken,
}

impl Sealer {
    /// Takes 256-bit keys: the first one seals, all of them open.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a [u8; 32]>) -> Self {
        let keys = keys
            .into_iter()
            .map(|key| SealingKey { id: key_id(key), cipher: XChaCha20Poly1305::new(&(*key).into()) })
            .collect();
        Self { keys }
    }

    /// Encrypts `secret` for the place named by `owner`.
    pub fn seal(&self, owner: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.keys.first().ok_or(SealError::NoKey)?;
        let nonce = XNonce::generate();
        let sealed = key
            .cipher
            .encrypt(&nonce, Payload { msg: secret, aad: owner.as_bytes() })
            .map_err(|_| SealError::Broken)?;
        Ok([&[VERSION][..], &key.id, &nonce, &sealed].concat())
    }

    /// Decrypts what [`Sealer::seal`] made for the same `owner`.
    pub fn open(&self, owner: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Broken)?;
        let (id, rest) = rest.split_at_checked(KEY_ID).ok_or(SealError::Broken)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Broken)?;
        if *version != VERSION {
            return Err(SealError::Broken);
        }
        let key = self.keys.iter().find(|key| key.id == id).ok_or(SealError::UnknownKey)?;
        key.cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: owner.as_bytes() })
            .map_err(|_| SealError::Broken)
    }
}

fn key_id(key: &[u8; 32]) -> [u8; KEY_ID] {
    let digest = Sha256::digest(key);
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = [7; 32];
    const NEW: [u8; 32] = [8; 32];

    #[test]
    fn a_sealed_secret_opens_for_its_owner_only() {
        let sealer = Sealer::new([&OLD]);
        let sealed = sealer.seal("acme/ann/crm", b"Gx7!qv02Lm").unwrap();
        assert_eq!(sealer.open("acme/ann/crm", &sealed).unwrap(), b"Gx7!qv02Lm");
        assert!(matches!(sealer.open("acme/bob/crm", &sealed), Err(SealError::Broken)));
        assert!(!sealed.windows(10).any(|window| window == b"Gx7!qv02Lm"));
    }

    #[test]
    fn an_old_key_at_the_end_of_the_list_still_opens() {
        let sealed = Sealer::new([&OLD]).seal("a", b"secret").unwrap();
        assert_eq!(Sealer::new([&NEW, &OLD]).open("a", &sealed).unwrap(), b"secret");
        assert!(matches!(Sealer::new([&NEW]).open("a", &sealed), Err(SealError::UnknownKey)));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let sealer = Sealer::new([&OLD]);
        let sealed = sealer.seal("a", b"secret").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open("a", &changed).is_err(), "byte {index}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.open("a", &sealed[..length]).is_err(), "cut to {length}");
        }
    }
}
