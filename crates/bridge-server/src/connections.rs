//! What is known of each connection: who speaks at the other end, in which dialect, and what had to be forgiven.
//!
//! A dialect is not configured but heard: one tenant may be spoken to in several at once (Entra ID's provision-on-demand
//! ignores the flag that changes its PATCH, `idp/entra.md` section 1.1). What was heard is kept in memory and written down
//! now and then; it helps people and decides nothing, except that a connection whose profile is strict forgives nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge_store::StoreError;
use jiff::Timestamp;
use metrics::counter;
use scim_model::{Note, Quirk, ScimError, ScimType};
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::bridge::Bridge;
use crate::clock::later;
use crate::config::Profile;
use crate::error::ApiError;
use crate::landscape::Tenant;
use crate::provisioning::{Caller, Received};

/// Under which names in the table `meta` connections are written down.
const META: &str = "connection/";

/// How often what was heard is written down.
const EVERY: Duration = Duration::from_secs(60);

/// Longest name of a client that is kept, in characters.
const LONGEST_CLIENT: usize = 120;

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// As the RFCs write it.
    Rfc,
    /// Okta, by the name it gives itself (`idp/okta.md` section 2).
    Okta,
    /// Entra ID without its flag: `Add`, `Replace`, `Remove`, texts for booleans (`idp/entra.md` section 3.3).
    EntraLegacy,
    /// Entra ID with `aadOptscim062020`: dotted and URN keys in an operation without a path (the same section).
    EntraFlag,
    /// The URNs of SCIM 1.1 and early drafts: OneLogin (`idp/others.md` section 2).
    LegacyUrns,
}

impl Dialect {
    /// The dialects that one write gives away.
    fn heard(client: Option<&str>, quirks: &BTreeSet<Quirk>) -> BTreeSet<Self> {
        let mut dialects = BTreeSet::new();
        if client.is_some_and(|client| client.to_ascii_lowercase().contains("okta")) {
            dialects.insert(Self::Okta);
        }
        for quirk in quirks {
            match quirk {
                Quirk::OperationCase => dialects.insert(Self::EntraLegacy),
                Quirk::DottedKey | Quirk::UrnKey | Quirk::PathKey => dialects.insert(Self::EntraFlag),
                Quirk::LegacyUrn => dialects.insert(Self::LegacyUrns),
                _ => false,
            };
        }
        if dialects.is_empty() && quirks.iter().all(|quirk| quirk.is_by_the_rfc()) {
            dialects.insert(Self::Rfc);
        }
        dialects
    }
}

/// What is known of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Known {
    /// What the client called itself last.
    pub client: Option<String>,
    /// The dialects it was heard to speak.
    pub dialects: BTreeSet<Dialect>,
    /// Writes that were understood.
    pub writes: u64,
    /// What had to be forgiven, in writes and in what was asked, by its stable name.
    pub quirks: BTreeMap<String, Forgiven>,
    /// The first write.
    pub first: Option<Timestamp>,
    /// The last write.
    pub last: Option<Timestamp>,
}

impl Known {
    /// Each quirk counts once for each request.
    fn forgive(&mut self, notes: &[Note]) {
        for note in notes {
            self.quirks.entry(note.quirk.as_str().to_owned()).or_default().attribute.clone_from(&note.attribute);
        }
        let quirks: BTreeSet<Quirk> = notes.iter().map(|note| note.quirk).collect();
        for quirk in quirks {
            self.quirks.entry(quirk.as_str().to_owned()).or_default().count += 1;
        }
    }
}

/// A tolerance that a connection needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgiven {
    /// In how many requests.
    pub count: u64,
    /// Where it was met last: the path of an attribute, never a value.
    pub attribute: String,
}

/// What a query was forgiven.
#[derive(Debug, Default)]
pub(crate) struct Forgiveness {
    /// In its filter.
    pub(crate) filter: Vec<Note>,
    /// Elsewhere.
    pub(crate) elsewhere: Vec<Note>,
}

/// Tenant and connection.
type Name = (String, String);

/// All connections that wrote something, or asked for something in a way that had to be forgiven.
#[derive(Default)]
pub struct Connections {
    known: Mutex<BTreeMap<Name, Known>>,
    changed: Mutex<BTreeSet<Name>>,
}

impl Connections {
    /// What was written down earlier.
    pub(crate) fn read(db: &bridge_store::Db<'_>) -> Result<Self, StoreError> {
        let mut known = BTreeMap::new();
        for (name, text) in db.meta_with_prefix(META)? {
            let Some((tenant, connection)) = name[META.len()..].split_once('/') else { continue };
            let read: Known = serde_json::from_str(&text)
                .map_err(|error| StoreError::Corrupt(format!("what is known of a connection: {error}")))?;
            known.insert((tenant.to_owned(), connection.to_owned()), read);
        }
        Ok(Self { known: Mutex::new(known), changed: Mutex::default() })
    }

    /// Takes note of a write that was understood.
    pub(crate) fn heard(&self, caller: &Caller, received: &Received, notes: &[Note]) {
        let quirks = counted(caller, notes);
        self.learn(caller, |known| {
            known.writes += 1;
            known.first.get_or_insert(received.at);
            known.last = Some(received.at);
            if let Some(client) = &received.user_agent {
                let printable = client.chars().filter(|letter| !letter.is_control());
                known.client = Some(printable.take(LONGEST_CLIENT).collect());
            }
            known.dialects.extend(Dialect::heard(received.user_agent.as_deref(), &quirks));
            known.forgive(notes);
        });
    }

    /// Takes note of what had to be forgiven in the way in which something was asked for.
    pub(crate) fn asked(&self, caller: &Caller, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        counted(caller, notes);
        self.learn(caller, |known| known.forgive(notes));
    }

    fn learn(&self, caller: &Caller, learn: impl FnOnce(&mut Known)) {
        let name = (caller.tenant.clone(), caller.connection.clone());
        learn(self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default());
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// The connections of a tenant, or of all tenants, by name.
    pub fn of(&self, tenant: Option<&str>) -> Vec<(Name, Known)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_asked = |name: &&Name| tenant.is_none_or(|tenant| name.0 == tenant);
        known.iter().filter(|(name, _)| is_asked(name)).map(|(name, known)| (name.clone(), known.clone())).collect()
    }

    /// What could not be written down is tried again.
    fn not_written(&self, names: &[String]) {
        let names = names.iter().filter_map(|name| name.strip_prefix(META)?.split_once('/'));
        let names = names.map(|(tenant, connection)| (tenant.to_owned(), connection.to_owned()));
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
    }

    fn take_changed(&self) -> Result<Vec<(String, String)>, StoreError> {
        let names = std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |name: Name| {
            let text = serde_json::to_string(known.get(&name)?);
            let text = text.map_err(|error| StoreError::Internal(error.to_string()));
            Some(text.map(|text| (format!("{META}{}/{}", name.0, name.1), text)))
        };
        names.into_iter().filter_map(row).collect()
    }
}

/// Writes down what was heard, until the bridge stops.
pub(crate) async fn run(bridge: Arc<Bridge>) {
    while !bridge.is_stopping() {
        tokio::select! {
            () = bridge.stopped() => {}
            () = bridge.clock.sleep_until(later(bridge.clock.now(), EVERY)) => {}
        }
        if let Err(error) = write_down(&bridge).await {
            error!(%error, "What is known of the connections could not be written down");
        }
    }
}

async fn write_down(bridge: &Bridge) -> Result<(), StoreError> {
    let rows = bridge.connections.take_changed()?;
    if rows.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
    let written: Result<(), StoreError> =
        bridge.store.write(move |tx| rows.iter().try_for_each(|(name, text)| tx.set_meta(name, text))).await;
    written.inspect_err(|_| bridge.connections.not_written(&names))
}

/// The quirks of a request, each once, which the metric has counted.
fn counted(caller: &Caller, notes: &[Note]) -> BTreeSet<Quirk> {
    let quirks: BTreeSet<Quirk> = notes.iter().map(|note| note.quirk).collect();
    for quirk in &quirks {
        let labels = [
            ("tenant", caller.tenant.clone()),
            ("connection", caller.connection.clone()),
            ("quirk", quirk.as_str().to_owned()),
        ];
        counter!("scim_bridge_quirks_total", &labels).increment(1);
    }
    quirks
}

/// A connection whose profile is strict is told what another one is forgiven.
///
/// # Errors
/// The first thing that the RFCs, or the interoperability profile, do not allow, with the status and keyword that they have for it.
pub(crate) fn judge_strictly(tenant: &Tenant, caller: &Caller, notes: &[Note]) -> Result<(), ApiError> {
    judge(tenant, caller, notes, Quirk::refusal)
}

/// The same for what a query asks: every fault of its filter is the filter's (RFC 7644 table 9), elsewhere there is none.
///
/// # Errors
/// 400 with the first thing that is not allowed.
pub(crate) fn judge_query_strictly(tenant: &Tenant, caller: &Caller, forgiven: &Forgiveness) -> Result<(), ApiError> {
    judge(tenant, caller, &forgiven.filter, |quirk| quirk.refusal().map(|_| (400, Some(ScimType::InvalidFilter))))?;
    judge(tenant, caller, &forgiven.elsewhere, |quirk| match quirk.refusal() {
        Some((status, Some(ScimType::InvalidFilter))) => Some((status, Some(ScimType::InvalidValue))),
        other => other,
    })
}

fn judge(
    tenant: &Tenant,
    caller: &Caller,
    notes: &[Note],
    refusal: impl Fn(Quirk) -> Option<(u16, Option<ScimType>)>,
) -> Result<(), ApiError> {
    if notes.is_empty() || tenant.profile(&caller.connection) != Profile::Strict {
        return Ok(());
    }
    let Some((note, refusal)) = notes.iter().find_map(|note| Some((note, refusal(note.quirk)?))) else { return Ok(()) };
    let Note { attribute, quirk, .. } = note;
    let detail = format!("This connection is strict: {} [{quirk}]; it is about {attribute}", quirk.demand());
    Err(match refusal {
        (401, _) => ApiError::Unauthorized(detail),
        (415, _) => ApiError::UnsupportedMediaType(detail),
        (status, keyword) => ApiError::Scim(ScimError::new(status, keyword, detail)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(client: Option<&str>, quirks: &[Quirk]) -> Vec<Dialect> {
        Dialect::heard(client, &quirks.iter().copied().collect()).into_iter().collect()
    }

    #[test]
    fn a_dialect_is_told_by_the_name_of_the_client_and_by_what_had_to_be_forgiven() {
        assert_eq!(heard(Some("Okta SCIM Client 1.0.0"), &[]), [Dialect::Okta]);
        assert_eq!(heard(None, &[Quirk::OperationCase, Quirk::TextForBoolean]), [Dialect::EntraLegacy]);
        assert_eq!(heard(None, &[Quirk::DottedKey, Quirk::UrnKey]), [Dialect::EntraFlag]);
        assert_eq!(heard(None, &[Quirk::LegacyUrn]), [Dialect::LegacyUrns]);
        assert_eq!(heard(Some("curl/8"), &[Quirk::ReadOnlyAttribute]), [Dialect::Rfc]);
        assert_eq!(heard(None, &[Quirk::SingleForList]), []);
    }
}
