//! Glance partner API: HTML form in, XML out (dossier glance.md).

mod login_key;
mod wire;

use std::collections::BTreeMap;

use secrecy::SecretString;

/// How to reach a Glance group.
#[derive(Debug, Clone)]
pub struct Config {
    /// Glance address of the group's administrator (`PartnerLogin`).
    pub partner_login: String,
    /// How that administrator signs in.
    pub credential: Credential,
    /// Id of the Glance group (`PartnerID`); required with a LoginKey.
    pub partner_id: Option<String>,
    /// What every Glance address ends in: `.glance.net`.
    pub address_suffix: String,
    /// Element names of ShowUsers that differ from the known ones, lower case, to the field they carry
    /// (`UserAddress`, …, also `UserSuspended`, `UserActive`). Empty for Glance as we know it (glance.md section 13).
    pub element_names: BTreeMap<String, String>,
}

/// How the administrator signs in (glance.md section 2).
#[derive(Debug, Clone)]
pub enum Credential {
    /// `PartnerPW`.
    Password(SecretString),
    /// `PartnerAuth`, signed afresh for each request (glance.md section 3).
    LoginKey {
        /// The group's API key.
        api_key: SecretString,
        /// Partner user id of the administrator.
        partner_user_id: String,
    },
}
