//! An account, or a key, that another user of this bridge has (DESIGN, section 7, "Adoption"). Whoever is about to let go of it
//! is waited for; else a person is told whose it is, and what helps. Who frees something wakes those that were parked for it.

use std::collections::BTreeMap;

use bridge_connectors::{Observed, Plan};
use bridge_mapping::{Account, AccountSchema};
use bridge_store::{
    Account as Row, AccountState, Change, Doubt, Reason, Resource, ResourceState, Settlement, StoreError, Tx, Want,
};
use jiff::Timestamp;
use serde_json::Value;

use super::backoff;
use super::duty::plain_reason;
use super::work::{End, Step, Work};

/// The code of a row that waits until another user of this bridge lets go of an account or a key.
const WAITING_FOR_ACCOUNT: &str = "waiting-for-account";
/// The code of a row whose account or key another user of this bridge has for good.
pub const LINKED_ELSEWHERE: &str = "linked-elsewhere";
/// Parked rows that are looked at in one go.
const SLICE: usize = 500;

impl Work<'_> {
    /// The row of another user of this bridge whose account was found.
    pub(super) async fn holder(&self, seen: &Observed, account: &Account) -> Result<Option<Row>, StoreError> {
        let Some(remote_id) = seen.remote_id.as_ref().filter(|id| self.row.remote_id.as_ref() != Some(*id)) else {
            return Ok(None);
        };
        let (tenant, target) = (&self.tenant.name, &self.target.name);
        let holder = self.bridge.store.read(|db| db.account_by_remote_id(tenant, target, remote_id)).await?;
        match holder.filter(|holder| holder.resource != self.row.resource) {
            // It may be one whose create was not seen to succeed.
            None if seen.evidence.natural_key => self.key_holder(account).await,
            holder => Ok(holder),
        }
    }

    /// The row of another user of this bridge that has the natural key of this account.
    pub(super) async fn key_holder(&self, account: &Account) -> Result<Option<Row>, StoreError> {
        let key = account.natural_key(self.target.rules.schema());
        let Some(key) = key.filter(|key| self.row.natural_key.as_ref() != Some(key)) else { return Ok(None) };
        let (tenant, target) = (&self.tenant.name, &self.target.name);
        let holder = self.bridge.store.read(|db| db.account_by_natural_key(tenant, target, &key)).await?;
        Ok(holder.filter(|holder| holder.resource != self.row.resource))
    }

    /// Nothing is made with a key that another user of this bridge has: what is at the target under that key is looked at, and
    /// then it is that user's. `None` if nobody has it.
    pub(super) async fn key_of_another(&mut self, account: &Account, plan: &Plan) -> Result<Option<Step>, StoreError> {
        let is_renamed = self.target.rules.schema().natural_key().update && !plan.calls.is_empty();
        if !is_renamed && !plan.calls.iter().any(|call| call.creates) {
            return Ok(None);
        }
        let Some(holder) = self.key_holder(account).await? else { return Ok(None) };
        if !self.has_looked {
            self.doubt = self.doubt.max(Doubt::Read);
            return Ok(Some(Step::NextRound));
        }
        self.held(&holder, None).await.map(Some)
    }

    /// What comes of an account or a key that `holder` has. Whoever holds an account of its own, which others may wait for,
    /// waits for nobody: they would wait for each other.
    pub(super) async fn held(&self, holder: &Row, candidate: Option<Value>) -> Result<Step, StoreError> {
        let whose = self.bridge.store.read(|db| db.resource_by_key(holder.resource)).await?;
        let whose = whose.ok_or(StoreError::NotFound("resource"))?;
        if is_unfinished(holder) && self.remote_id().is_none() {
            let now = self.bridge.clock.now();
            let at = backoff::next_attempt(self.row.attempts.saturating_add(1), None, now, rand::random());
            let text = format!(
                "{} has the account or the key still, and is about to change or to go; looked at again",
                of(&whose)
            );
            let reason = plain_reason(WAITING_FOR_ACCOUNT, text);
            return Ok(Step::from(End::Again { at, state: AccountState::Due, reason, counts: true }));
        }
        let reason = linked_elsewhere(&whose, &self.resource, &self.target.name, candidate.as_ref());
        Ok(Step::from(End::Parked { reason, candidate }))
    }
}

/// Whether something is still to become of the account of a row.
pub(super) fn is_unfinished(row: &Row) -> bool {
    row.lease.is_some() || row.applied < row.wanted
}

/// A user of this bridge, for a person.
fn of(user: &Resource) -> String {
    match user.state {
        ResourceState::Live => format!("user {} of this bridge", user.id),
        ResourceState::Deleted => format!("the deleted user {} of this bridge", user.id),
        ResourceState::Rejected => format!("the refused user {} of this bridge", user.id),
    }
}

/// Whose an account is, and how another user gets it all the same.
pub fn who_has_it(holder: &Resource, target: &str) -> String {
    format!("{} has it; if that is wrong, `account drop {} {target}` first", of(holder), holder.id)
}

/// Who holds a value out of a pool, and what helps.
pub(super) fn who_holds_it(holder: &Resource) -> String {
    format!("{} holds it; once it is given up there, `account retry`", of(holder))
}

fn linked_elsewhere(holder: &Resource, own: &Resource, target: &str, candidate: Option<&Value>) -> Reason {
    let remote_id = candidate.and_then(|seen| seen.get("remote_id")?.as_str());
    let (what, then) = match remote_id {
        Some(remote_id) => (format!("the account with these keys (remote id {remote_id})"), "release"),
        None => ("the key of this account".to_owned(), "retry"),
    };
    let otherwise = if holder.state == ResourceState::Live {
        "give one of them another value, or else"
    } else {
        "if it is this user's:"
    };
    let (whose, holder, own) = (of(holder), &holder.id, &own.id);
    let text = format!(
        "{what} is that of {whose}; {otherwise} `account drop {holder} {target}`, then `account {then} {own} {target}`"
    );
    plain_reason(LINKED_ELSEWHERE, text)
}

/// What an account had before it was worked on, and others of this bridge may have been parked for.
#[derive(Debug, Clone)]
pub(super) struct Had {
    remote_id: Option<String>,
    natural_key: Option<String>,
    shown: BTreeMap<String, Value>,
}

impl Had {
    pub(super) fn of(row: &Row, observed: &Observed, schema: &AccountSchema) -> Self {
        let (remote_id, natural_key) = (row.remote_id.clone(), row.natural_key.clone());
        Self { remote_id, natural_key, shown: shown_keys(observed, schema) }
    }

    /// Whether some of it is free now.
    pub(super) fn is_let_go(&self, settlement: &Settlement, observed: &Observed, schema: &AccountSchema) -> bool {
        let lets_key_go = match &settlement.natural_key {
            Change::Keep => false,
            Change::Clear => self.natural_key.is_some(),
            Change::Set(key) => self.natural_key.as_ref().is_some_and(|had| had != key),
        };
        let lets_account_go = self.remote_id.is_some() && self.remote_id != settlement.remote_id;
        let now = shown_keys(observed, schema);
        lets_key_go || lets_account_go || self.shown.iter().any(|(name, value)| now.get(name) != Some(value))
    }

    /// Makes those accounts of the target due that were parked because of this one. Returns whether there is any.
    pub(super) fn wake(&self, tx: &mut Tx<'_>, tenant: &str, target: &str, now: Timestamp) -> Result<bool, StoreError> {
        let (mut after, mut has_woken) = (0, false);
        loop {
            let page = tx.parked_for_another(tenant, target, after, SLICE)?;
            for row in page.iter().filter(|row| self.is_in_the_way_of(row)) {
                tx.want_row(row, &Want { urgent: row.urgent, ..Want::due(now) }, now)?;
                has_woken = true;
            }
            match page.last() {
                Some(last) if page.len() == SLICE => after = last.resource,
                _ => return Ok(has_woken),
            }
        }
    }

    /// Whether a row was parked for what this account had: it could not have the natural key, or found this account.
    fn is_in_the_way_of(&self, row: &Row) -> bool {
        let is_for_holder =
            row.reason.as_ref().is_some_and(|reason| ["review", LINKED_ELSEWHERE].contains(&reason.code.as_str()));
        let found = row.candidate.as_ref().and_then(|seen| seen.get("remote_id")?.as_str());
        is_for_holder && (row.natural_key.is_none() || (found.is_some() && found == self.remote_id.as_deref()))
    }
}

/// The keys that an account shows, of which each can be one account's only.
fn shown_keys(observed: &Observed, schema: &AccountSchema) -> BTreeMap<String, Value> {
    let keys = schema.fields.iter().filter(|field| field.natural_key || field.unique);
    let shown = keys.filter_map(|field| Some((field.name.clone(), observed.fields.get(&field.name)?.clone())));
    shown.filter(|(_, value)| !value.is_null()).collect()
}
