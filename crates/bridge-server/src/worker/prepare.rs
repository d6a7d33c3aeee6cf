//! What is made safe before a call is sent: values that must not be lost are stored, and the lease outlasts the call (DESIGN,
//! section 7, "Leases", "Passwords" and "Deprovision").

use std::time::Duration;

use bridge_connectors::{Call, CallValue, Plan, Presence};
use bridge_store::{AccountState, StoreError};
use serde_json::Value;

use super::duty::plain_reason;
use super::work::{End, LEASE, Step, Work};
use crate::clock::later;

/// A lease is renewed when less than this would be left of it after a call.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

impl Work<'_> {
    /// Stores what must not be lost before the first call: saved values and generated secrets. False: the lease is lost.
    pub(super) async fn prepare(&mut self, plan: &Plan, presence: Presence) -> Result<bool, StoreError> {
        if presence == Presence::Active && plan.calls.is_empty() {
            return Ok(true);
        }
        let mut must_store = false;
        if let Some(keep) = &plan.keep
            && self.memory.suspension.is_none()
        {
            self.memory.suspension = Some(keep.clone());
            must_store = true;
        }
        must_store |= self.make_secrets(plan);
        must_store |= self.note_creation(plan);
        if must_store { self.store_preparation().await } else { Ok(true) }
    }

    /// Sees to the secrets that a plan needs. True: they are to be stored before they are sent.
    pub(super) fn make_secrets(&mut self, plan: &Plan) -> bool {
        let mut must_store = false;
        for (field, source) in plan.calls.iter().flat_map(Call::needs_secrets) {
            let attribute = self.source_of(&field);
            must_store |= self.secrets.ensure(&field, source, attribute.as_deref(), self.target.rules.schema());
        }
        must_store
    }

    /// The lease is gone, or a newer secret came in: begin again with what is there.
    pub(super) fn changed_meanwhile(&self) -> Step {
        let (at, reason) = (self.bridge.clock.now(), plain_reason("changed", "the account changed meanwhile"));
        Step::from(End::Again { at, state: AccountState::Due, reason, counts: false })
    }

    /// The keys of a create, stored before it is sent. If its reply is lost they are what the account is found by, and they
    /// say that a create may have been sent at all: an account that is found without them was there before.
    fn note_creation(&mut self, plan: &Plan) -> bool {
        let Some(create) = plan.calls.iter().find(|call| call.creates) else { return false };
        let text = |(name, value): &(String, CallValue)| match value {
            CallValue::Plain(Value::String(text)) => Some((name.clone(), text.clone())),
            CallValue::Plain(_) | CallValue::Secret(..) | CallValue::Filled(_) => None,
        };
        self.repeats_create = self.memory.creating.is_some();
        self.memory.creating = Some(create.fields.iter().filter_map(text).collect());
        true
    }

    /// The target said no to a create: it made no account. What an earlier one made, nobody knows still.
    pub(super) fn forget_creation(&mut self) {
        if !self.repeats_create {
            self.memory.creating = None;
        }
    }

    pub(super) async fn store_preparation(&mut self) -> Result<bool, StoreError> {
        let Some(lease) = self.row.lease else { return Ok(false) };
        let kept = self.memory.column()?;
        let secret = self.secrets.seal(&self.bridge.sealer, &self.row)?;
        let claimed = std::mem::replace(&mut self.row.secret, secret.clone());
        let (resource, target, now) = (self.row.resource, self.row.target.clone(), self.bridge.clock.now());
        self.bridge
            .store
            .write(move |tx| {
                tx.prepare(resource, &target, lease.token, claimed.as_deref(), secret.as_deref(), kept.as_ref(), now)
            })
            .await
    }

    /// A call is sent only if it ends before the lease does. False: the lease is lost.
    pub(super) async fn keep_lease(&mut self) -> Result<bool, StoreError> {
        let limit = self.target.connector.traits().call_limit + LEASE_MARGIN;
        if later(self.bridge.clock.now(), limit) < self.lease_until {
            return Ok(true);
        }
        self.renew_lease(LEASE.max(limit * 2)).await
    }

    /// Holds the account for so long from now on. False: the lease is lost.
    pub(super) async fn renew_lease(&mut self, time: Duration) -> Result<bool, StoreError> {
        let Some(lease) = self.row.lease else { return Ok(false) };
        let until = later(self.bridge.clock.now(), time);
        let (resource, target) = (self.row.resource, self.row.target.clone());
        let is_ours = self.bridge.store.write(move |tx| tx.renew(resource, &target, lease.token, until)).await?;
        if is_ours {
            self.lease_until = until;
        }
        Ok(is_ours)
    }
}
