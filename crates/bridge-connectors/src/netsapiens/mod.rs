//! A domain PBX by NetSapiens API v2 (dossier netsapiens.md).


use secrecy::SecretString;

/// How to reach one domain of a NetSapiens platform.
#[derive(Debug, Clone)]
pub struct Config {
    /// The domain whose users are driven.
    pub domain: String,
    /// How to sign in.
    pub credential: Credential,
    /// Name of a dial policy that denies all calls; set on suspension if the provider has one.
    pub suspend_dial_policy: Option<String>,
    /// Remove the user's devices on suspension. They are not restored on return.
    pub delete_devices_on_suspend: bool,
    /// Create with `synchronous=yes`, so that the answer carries the user.
    pub synchronous: bool,
}

/// How to sign in (netsapiens.md section 2).
#[derive(Debug, Clone)]
pub enum Credential {
    /// An API key, untimed.
    ApiKey(SecretString),
    /// The password grant of `/tokens`.
    Password {
        /// OAuth client.
        client_id: String,
        /// OAuth client secret.
        client_secret: SecretString,
        /// Portal login.
        username: String,
        /// Its password.
        password: SecretString,
    },
}
