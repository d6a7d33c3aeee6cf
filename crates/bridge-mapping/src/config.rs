//! What a target's configuration says about mapping.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{Limit, TargetKind};

/// The mapping part of one target of one tenant.
#[derive(Debug, Clone)]
pub struct RulesConfig {
    /// The kind of the target.
    pub kind: TargetKind,
    /// The rules as in the file: account field = rule. They replace the default rule of the same field.
    pub map: toml::Table,
    /// Who has an account at all.
    pub scope: ScopeConfig,
    /// Limits that replace those of the account schema.
    pub limits: BTreeMap<String, Limit>,
    /// What templates see as `target.NAME`. The default rules read `address_domain` and the account schema
    /// `address_suffix` (glance), `domain` (netsapiens), `template` and `username_from` = `local` or `whole` (crm_com).
    pub settings: BTreeMap<String, String>,
    /// Privileged values that rules and the extension may set, by field: `allow = { user-scope = ["Reseller"] }`.
    pub allow: BTreeMap<String, Vec<String>>,
    /// The pools of the tenant. A default rule for a pool that is not here does not exist.
    pub pools: BTreeSet<String>,
    /// The templates (by the text the account holds) that are CTI enabled (crm_com).
    pub cti_templates: BTreeSet<String>,
}

impl RulesConfig {
    /// The configuration of a target that writes nothing.
    pub fn new(kind: TargetKind) -> RulesConfig {
        RulesConfig {
            kind,
            map: toml::Table::new(),
            scope: ScopeConfig::default(),
            limits: BTreeMap::new(),
            settings: BTreeMap::new(),
            allow: BTreeMap::new(),
            pools: BTreeSet::new(),
            cti_templates: BTreeSet::new(),
        }
    }
}

/// Which users have an account at a target: those that the filter matches and that are in one of the groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeConfig {
    /// A SCIM filter on the user, for example `userType eq "Employee"`.
    pub filter: Option<String>,
    /// Display names of groups; membership of one is enough. Empty = no condition.
    #[serde(default)]
    pub groups: Vec<String>,
}
