//! The keys that seal stored secrets (DESIGN.md section 7, passwords): from the configuration, or from a key file beside the database.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretBox};

use super::{ConfigError, StoreConfig, StoreUrl};

/// One 256-bit key; cannot be printed.
#[derive(Debug)]
pub struct SecretKey(SecretBox<[u8; 32]>);

impl Clone for SecretKey {
    fn clone(&self) -> Self {
        Self(SecretBox::new(Box::new(*self.0.expose_secret())))
    }
}

impl SecretKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// Reads the base64 form of 32 bytes.
    ///
    /// # Errors
    /// Says what is wrong with the text, never the text itself.
    pub fn from_base64(text: &str) -> Result<Self, String> {
        let bytes =
            STANDARD.decode(text.trim()).map_err(|_| "a key is 32 bytes in base64; this is not base64".to_owned())?;
        let length = bytes.len();
        let bytes =
            <[u8; 32]>::try_from(bytes).map_err(|_| format!("a key is 32 bytes in base64; this holds {length}"))?;
        Ok(Self::new(bytes))
    }

    /// The bytes, for the cipher only.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl StoreConfig {
    /// Fills [`StoreConfig::keys`] when the file names none: from the key file beside the database, made here on first use.
    ///
    /// Returns the path of the key file if it was made just now, so that the start can say so.
    ///
    /// # Errors
    /// The key file cannot be read, written, or does not hold a key.
    pub fn ensure_keys(&mut self) -> Result<Option<PathBuf>, ConfigError> {
        if !self.keys.is_empty() {
            return Ok(None);
        }
        let StoreUrl::Sqlite(database) = &self.url;
        let path = key_file(database);
        let (key, is_new) = match std::fs::read_to_string(&path) {
            Ok(text) => (SecretKey::from_base64(&text).map_err(|text| ConfigError::about_file(&path, &text))?, false),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = SecretKey::new(rand::random());
                write_private(&path, &STANDARD.encode(key.bytes()))
                    .map_err(|error| ConfigError::about_file(&path, &format!("cannot be made: {error}")))?;
                (key, true)
            }
            Err(error) => return Err(ConfigError::about_file(&path, &format!("cannot be read: {error}"))),
        };
        self.keys.push(key);
        Ok(is_new.then_some(path))
    }
}

impl StoreConfig {
    /// The key file that [`StoreConfig::ensure_keys`] would make now.
    pub(crate) fn missing_key_file(&self) -> Option<PathBuf> {
        let StoreUrl::Sqlite(database) = &self.url;
        let path = key_file(database);
        (self.keys.is_empty() && !path.exists()).then_some(path)
    }

    /// Why a database with sealed secrets gets no new key: it opens none of them.
    pub(crate) fn lost_key(path: &Path) -> ConfigError {
        ConfigError::about_file(
            path,
            "is missing, and the database beside it holds passwords that it sealed: put it back from where the database \
             came from, or name its key in store.keys. If it is lost, write any other 32 bytes in base64 there: accounts \
             with such a password then stop and say so",
        )
    }

    /// Whether another file names other keys than those that are in use here. One that names none means the key file, which
    /// only a start reads.
    pub(crate) fn has_other_keys(&self, other: &Self) -> bool {
        match (self.keys_are_given, other.keys_are_given) {
            (false, false) => false,
            (true, true) => !self.keys.iter().map(SecretKey::bytes).eq(other.keys.iter().map(SecretKey::bytes)),
            (true, false) | (false, true) => true,
        }
    }
}

/// `bridge.db` → `bridge.db.key`.
fn key_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

/// Writes a file that only its owner can read, and refuses to replace one.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path) -> StoreConfig {
        StoreConfig {
            url: StoreUrl::Sqlite(folder.join("bridge.db")),
            keys: Vec::new(),
            keys_are_given: false,
            journal_days: 30,
            deleted_days: 90,
            audit_days: 365,
            index: Vec::new(),
        }
    }

    #[test]
    fn the_key_file_is_made_once_and_then_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = store(folder.path());
        let path = first.ensure_keys().unwrap().unwrap();
        assert_eq!(path, folder.path().join("bridge.db.key"));
        let mut second = store(folder.path());
        assert_eq!(second.ensure_keys().unwrap(), None);
        assert_eq!(first.keys[0].bytes(), second.keys[0].bytes());
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_the_key_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = store(folder.path()).ensure_keys().unwrap().unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_file_with_something_else_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bridge.db.key"), "not a key").unwrap();
        let error = store(folder.path()).ensure_keys().unwrap_err();
        assert!(error.to_string().contains("bridge.db.key"), "{error}");
        assert_eq!(std::fs::read_to_string(folder.path().join("bridge.db.key")).unwrap(), "not a key");
    }

    #[test]
    fn a_key_is_never_printed() {
        assert!(!format!("{:?}", SecretKey::new([65; 32])).contains("65"));
    }
}
