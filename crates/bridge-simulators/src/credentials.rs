//! Credentials that a freshly started simulator accepts.
//!
//! All are made up, but have the form that the vendor documents, so that a client may check the form first.

/// Glance PAPI (dossier sections 2 and 3).
pub mod glance {
    /// An active administrator of the group, for `PartnerLogin`.
    pub const PARTNER_LOGIN: &str = "admin.acme.glance.net";
    /// That administrator's password, for `PartnerPW`.
    pub const PARTNER_PASSWORD: &str = "fake-glance-password";
    /// Id of the group, for `PartnerID`.
    pub const PARTNER_ID: &str = "98765";
    /// Key of the group that signs a LoginKey.
    pub const API_KEY: &str = "FakeGlanceApiKey";
    /// Partner User ID of the administrator: part of the message that a LoginKey signs.
    pub const ADMINISTRATOR_ID: &str = "glance-admin";
    /// An administrator who is no longer active: refused with the right password too.
    pub const INACTIVE_LOGIN: &str = "former.admin.acme.glance.net";
    /// A second group, whose users are invisible but hold their addresses.
    pub const OTHER_PARTNER_ID: &str = "11111";
}

/// NetSapiens API v2 (dossier section 2).
pub mod netsapiens {
    /// The domain that the keys and the sign-in below belong to.
    pub const DOMAIN: &str = "acme.example";
    /// A second domain of the same system: login names are unique across both.
    pub const OTHER_DOMAIN: &str = "other.example";
    /// API key of an Office Manager of [`DOMAIN`], reading and writing.
    pub const API_KEY: &str = "nsd_FakeKeyForTheSimulator0000000000000000000000000011111111";
    /// The same, but read-only: every write is 403.
    pub const READ_ONLY_API_KEY: &str = "nsd_FakeReadOnlyKey00000000000000000000000000000000022222222";
    /// A reseller's key: both domains.
    pub const RESELLER_API_KEY: &str = "nsr_FakeResellerKey00000000000000000000000000000000033333333";
    /// A super user's key: everything, and may create keys.
    pub const SUPER_USER_API_KEY: &str = "nss_FakeSuperUserKey0000000000000000000000000000000044444444";
    /// A basic user's key: its scope is too low for everything the bridge does.
    pub const BASIC_USER_API_KEY: &str = "nsu_FakeBasicUserKey0000000000000000000000000000000055555555";
    /// A key of [`DOMAIN`] limited to the model `device`: users are out of its reach.
    pub const DEVICES_ONLY_API_KEY: &str = "nsd_FakeDevicesOnlyKey00000000000000000000000000000066666666";
    /// A key of [`DOMAIN`] limited to the model `subscriber`: devices and phone numbers are out of its reach.
    pub const USERS_ONLY_API_KEY: &str = "nsd_FakeUsersOnlyKey0000000000000000000000000000000077777777";
    /// `client_id` for `POST /tokens`.
    pub const CLIENT_ID: &str = "scim-bridge";
    /// `client_secret` for `POST /tokens`.
    pub const CLIENT_SECRET: &str = "fake-client-secret";
    /// `username` for `POST /tokens`: an Office Manager of [`DOMAIN`].
    pub const USERNAME: &str = "bridge@acme.example";
    /// `password` for `POST /tokens`.
    pub const PASSWORD: &str = "fake-pbx-password";
}

/// CRM.COM Web API (dossier section 2).
pub mod crm_com {
    /// User name of the API user, who may create users.
    pub const USERNAME: &str = "bridge";
    /// That user's password.
    pub const PASSWORD: &str = "fake-crm-password-1";
    /// The organisation.
    pub const ORGANISATION: &str = "ACME";
    /// Web API key of the same user, for HTTP Basic.
    pub const WEB_API_KEY: &str = "FAKE0WEB0API0KEY0000000000000001";
    /// Id of the only organisational unit.
    pub const UNIT_ID: &str = "EE63A82C4FEBE02FF34E90DD1EBA5ABE";
    /// Name of that unit.
    pub const UNIT_NAME: &str = "Support";
}
