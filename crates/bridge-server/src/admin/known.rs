//! Names that nobody here has are refused together with those there are: an empty list would look like good news.

use super::Problem;
use crate::bridge::Bridge;

/// Refuses a tenant that the configuration does not have, or a target that this tenant (all of them, if none is named) does
/// not have. Retired targets count: they may hold accounts.
pub(super) fn names(bridge: &Bridge, tenant: Option<&str>, target: Option<&str>) -> Result<(), Problem> {
    let landscape = bridge.landscape();
    let tenants = &landscape.config.tenants;
    if let Some(name) = tenant.filter(|name| !tenants.contains_key(*name)) {
        return Err(missing("tenant", name, tenants.keys()));
    }
    let meant = tenants.iter().filter(|(name, _)| tenant.is_none_or(|tenant| tenant == name.as_str()));
    let mut targets: Vec<&String> = meant.flat_map(|(_, tenant)| tenant.targets.keys()).collect();
    targets.sort();
    targets.dedup();
    match target.filter(|name| !targets.iter().any(|known| known == name)) {
        Some(name) => Err(missing("target", name, targets)),
        None => Ok(()),
    }
}

/// `there is no tenant "x"; there are a, b`.
pub(super) fn missing<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a String>) -> Problem {
    let known: Vec<&str> = known.into_iter().map(String::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Problem::not_found(format!("there is no {what} {name:?}; there are {known}"))
}
