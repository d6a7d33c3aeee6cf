//! A template-user system: CRM.COM Web API V4 (dossier crmcom.md).


use std::collections::BTreeMap;

use secrecy::SecretString;

/// How to reach one organisation of a CRM.COM installation.
#[derive(Debug, Clone)]
pub struct Config {
    /// How to sign in.
    pub credential: Credential,
    /// Unit id of the session; the user's default unit if missing.
    pub unit: Option<String>,
    /// Whether the account's template is a name or an id.
    pub template_by: TemplateBy,
    /// The installation's user templates, by what accounts call them; the API cannot list them.
    pub templates: BTreeMap<String, Template>,
    /// The user defined field that carries the SCIM id: `udf_string_1`.
    pub marker_field: String,
    /// On suspension rotate the password that the bridge set, so that nobody can sign in with it (crmcom.md section 7).
    pub soft_lock_out: bool,
    /// A method of the installation's own that updates a user, such as `users/update`; the product has none.
    pub update_method: Option<String>,
    /// What `users/list` is asked for; without it accounts cannot be listed.
    pub list_by: Option<ListBy>,
}

/// How to sign in (crmcom.md section 2).
#[derive(Debug, Clone)]
pub enum Credential {
    /// A Web API key, the form that the vendor recommends.
    WebApiKey(SecretString),
    /// A user of the organisation.
    Password {
        /// Its name.
        username: String,
        /// Its password.
        password: SecretString,
        /// Name of the organisation.
        organisation: String,
    },
}

/// What identifies a user template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TemplateBy {
    /// `user_template_identifier = {"name": …}`.
    #[default]
    Name,
    /// `user_template_identifier = {"id": …}`.
    Id,
}

/// What the configuration says about one user template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Template {
    /// Its accounts are CTI enabled: an extension is required, and only then allowed.
    pub cti: bool,
}

/// The one filter that `users/list` demands (crmcom.md section 5), for example `unit_identifier` by `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListBy {
    /// Which filter.
    pub filter: ListFilter,
    /// The member of the identifier: `id`, `name`, `code`.
    pub by: String,
    /// Its value.
    pub value: String,
}

/// A filter of `users/list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFilter {
    /// Users of a security profile.
    SecurityProfile,
    /// Users of a unit; deprecated from R18.
    Unit,
    /// Users of a group; deprecated from R18.
    Group,
    /// Users of a business unit; from R18.
    BusinessUnit,
}
