//! The end of the work on an account, written down in one transaction: the row, the journal, the pool, and the accounts
//! that waited for this one.

use std::collections::BTreeMap;
use std::sync::Arc;

use bridge_connectors::Observed;
use bridge_store::{
    Account as Row, AccountState, Change, Doubt, Reason, ResourceState, SecretsAre, Settlement, StoreError, Tx, Want,
};
use jiff::Timestamp;

use super::duty;
use super::holder::{Had, LINKED_ELSEWHERE};
use super::memory::{Memory, Unapplied};
use super::work::{End, Work};
use crate::alerts::{Alert, AlertKind, REFUSED, Subject};
use crate::clock::later;
use crate::config::ConnectorConfig;
use crate::landscape::{Pool, Target, Tenant};

/// The code of a row that waits for another target.
pub const WAITING_FOR_TARGET: &str = "waiting-for-target";

impl Work<'_> {
    /// Writes down how the work ended, tells whoever waits, and rings for a person where one must act.
    pub(super) async fn settle(mut self, mut end: End) -> Result<(), StoreError> {
        let bridge = self.bridge;
        let now = bridge.clock.now();
        self.forget_at_rest(&mut end);
        let mut settlement = match end {
            End::LeaseLost => return self.write_down_calls().await,
            end => self.settlement(end, now)?,
        };
        let rung = match self.write_down(settlement.clone(), now).await {
            Err(StoreError::Taken(taken)) => {
                let text = match self.adopted_value.take() {
                    Some((pool, value)) if pool == taken.what => {
                        format!(
                            "the account at the target has the {pool} {value}, which another user of this bridge holds"
                        )
                    }
                    _ => "the account at the target belongs to another user of this bridge".to_owned(),
                };
                let reason = Some(duty::plain_reason(LINKED_ELSEWHERE, &text));
                let parked = Settlement::of(&self.row, AccountState::Parked, now);
                settlement = Settlement { reason, remote_id: None, ..parked };
                self.write_down(settlement.clone(), now).await?
            }
            written => written?,
        };
        let Some(rung) = rung else { return Ok(()) };
        rung.iter().for_each(|target| target.lane.ring());
        let somebody_tells = bridge.waiters.moved(self.row.resource, &self.target.name);
        self.call_a_person(&settlement, somebody_tells, now);
        Ok(())
    }

    /// What is not remembered of an account that has come to rest. One that was given back is somebody else's again: nothing
    /// will be done to it, and the next create takes it over like the first one.
    fn forget_at_rest(&mut self, end: &mut End) {
        let End::Done { natural_key, .. } = end else { return };
        self.memory.unapplied = Unapplied::default();
        if self.memory.to_give_back(&self.resource).is_none() {
            return;
        }
        self.row.remote_id = None;
        self.observed = Observed::default();
        self.memory = Memory::default();
        self.doubt = Doubt::None;
        *natural_key = Change::Clear;
    }

    /// One transaction: the row, the journal, the pools, the accounts that waited for this one. Returns the targets that
    /// have something to do now; `None` if the lease is lost, and only the journal is written.
    async fn write_down(&self, settlement: Settlement, now: Timestamp) -> Result<Option<Vec<Arc<Target>>>, StoreError> {
        let Some(lease) = self.row.lease else { return Ok(None) };
        let (resource, target, tenant) = (self.row.resource, self.row.target.clone(), self.tenant.name.clone());
        let confirmed = self.confirmed_pools(&settlement);
        let returns = Returns::of(self.tenant, now);
        let lets_go = self.lets_go(&settlement);
        let is_gone = self.resource.state != ResourceState::Live;
        let dependents = Dependents::of(self.tenant);
        let users: Vec<Arc<Target>> = self.users_of_changed_pools();
        let (calls, adopted_value) = (self.calls.clone(), self.adopted_value.clone());
        self.bridge
            .store
            .write(move |tx| {
                let is_settled = tx.settle(resource, &target, lease.token, &settlement)?;
                for call in &calls {
                    tx.add_call(call)?;
                }
                if !is_settled {
                    return Ok::<_, StoreError>(None);
                }
                if let Some((pool, value)) = &adopted_value {
                    tx.replace_assignment(&tenant, pool, resource, value, now)?;
                }
                for pool in &confirmed {
                    tx.confirm(&tenant, pool, resource, now)?;
                }
                if is_gone {
                    returns.release(tx, resource, now)?;
                }
                let mut rung = Vec::new();
                if let Some((had, own)) = &lets_go
                    && had.wake(tx, &tenant, &own.name, now)?
                {
                    rung.push(own.clone());
                }
                for user in &users {
                    let row = tx.account(resource, &user.name)?;
                    // Whoever works on it now has the value of before.
                    let has_former = |row: &Row| row.state.is_answer() || row.lease.is_some();
                    if row.is_some_and(|row| has_former(&row) && row.state != AccountState::HandedOver) {
                        tx.want(resource, &user.name, &Want::due(now), now)?;
                        rung.push(user.clone());
                    }
                }
                rung.extend(dependents.release(tx, resource, now)?);
                Ok(Some(rung))
            })
            .await
    }

    /// What the account had and has no more, which others of its target may have been parked for.
    fn lets_go(&self, settlement: &Settlement) -> Option<(Had, Arc<Target>)> {
        let own = self.tenant.targets.get(&self.target.name)?;
        let is_let_go = self.had.is_let_go(settlement, &self.observed, own.rules.schema());
        is_let_go.then(|| (self.had.clone(), own.clone()))
    }

    /// Whoever has the account now, what was called was called.
    async fn write_down_calls(&self) -> Result<(), StoreError> {
        let calls = self.calls.clone();
        self.bridge.store.write(move |tx| calls.iter().try_for_each(|call| tx.add_call(call).map(drop))).await
    }

    /// The other targets whose rules use a pool value that changed in this delivery.
    fn users_of_changed_pools(&self) -> Vec<Arc<Target>> {
        let uses = |target: &&Arc<Target>| {
            target.name != self.target.name && target.rules.pools().iter().any(|pool| self.changed_pools.contains(pool))
        };
        self.tenant.targets.values().filter(uses).cloned().collect()
    }

    /// Rings the alert, unless the waiting request tells the identity provider itself.
    fn call_a_person(&self, settlement: &Settlement, somebody_tells: bool, now: Timestamp) {
        let kind = match settlement.state {
            AccountState::Parked => AlertKind::Parked,
            AccountState::Task => AlertKind::Task,
            AccountState::Settled | AccountState::HandedOver | AccountState::OutOfScope => {
                return self.bridge.alerts.over(&self.tenant.name, &self.target.name, &self.resource.id);
            }
            AccountState::Waiting | AccountState::Due | AccountState::Held => return,
        };
        let Some(reason) = &settlement.reason else { return };
        let is_live = self.resource.has_access();
        let is_told = somebody_tells
            && is_live
            && self.target.settings.required
            && kind == AlertKind::Parked
            && duty::is_refusal(reason);
        if is_told {
            return;
        }
        self.bridge.alerts.ring(Alert {
            kind,
            tenant: self.tenant.name.clone(),
            subject: Subject::Target(self.target.name.clone()),
            resource: Some(self.resource.id.clone()),
            remote_id: settlement.remote_id.clone().or_else(|| found_there(settlement)),
            code: reason.code.clone(),
            fields: self.fields_in_question(reason),
            text: self.without_data(kind, reason),
            at: now,
        });
    }

    /// The fields that a person must look at, by name.
    fn fields_in_question(&self, reason: &Reason) -> Vec<String> {
        let mut fields = self.task_fields.clone();
        fields.extend(reason.field.clone().filter(|field| !self.task_fields.contains(field)));
        fields
    }

    /// What an alert says. A task's text names the person and the values, and a target's words may; both stay on the row.
    fn without_data(&self, kind: AlertKind, reason: &Reason) -> String {
        if kind == AlertKind::Task {
            return "a person must act in the target; `scim-bridge task list` says what to do".to_owned();
        }
        if self.quotes_target {
            return REFUSED.to_owned();
        }
        reason.text.clone()
    }

    fn settlement(&self, end: End, now: Timestamp) -> Result<Settlement, StoreError> {
        let state = match &end {
            End::Done { state, .. } | End::Again { state, .. } => *state,
            End::Parked { .. } => AccountState::Parked,
            End::LeaseLost => self.row.state,
        };
        let base = Settlement {
            doubt: self.doubt,
            remote_id: self.remote_id(),
            observed: serde_json::to_value(&self.observed).ok(),
            kept: self.memory.column()?,
            last_write_at: self.last_write_at,
            candidate: None,
            ..Settlement::of(&self.row, state, now)
        };
        Ok(match end {
            End::LeaseLost => base,
            End::Done { reason, natural_key, proof, .. } => Settlement {
                reason,
                natural_key,
                proof,
                digest: Some(self.expectation()),
                secrets: self.secrets_after(),
                failing_since: None,
                ..base
            },
            End::Again { at, reason, counts, .. } => Settlement {
                due_at: at,
                urgent: self.row.urgent,
                attempts: self.row.attempts + u32::from(counts),
                failing_since: counts.then(|| self.row.failing_since.unwrap_or(now)).or(self.row.failing_since),
                reason: Some(reason),
                natural_key: self.replaced_key(),
                ..base
            },
            End::Parked { reason, candidate } => Settlement {
                reason: Some(reason),
                candidate,
                // A secret that was refused is not sent again with the next change.
                secrets: self.secrets_after(),
                natural_key: self.replaced_key(),
                attempts: self.row.attempts.saturating_add(1),
                failing_since: self.row.failing_since.or(Some(now)),
                ..base
            },
        })
    }

    /// A secret is erased once it has served; a soft lock-out at CRM.COM needs the password that the bridge set until the
    /// account is left for good.
    fn secrets_after(&self) -> SecretsAre {
        match &self.target.settings.connection {
            ConnectorConfig::CrmCom(config) if config.soft_lock_out && self.row.remote_id.is_some() => {
                SecretsAre::Served
            }
            ConnectorConfig::CrmCom(_) | ConnectorConfig::Glance(_) | ConnectorConfig::Netsapiens(_) => {
                SecretsAre::Erased
            }
        }
    }

    /// What the row stands for once it is settled; a later write that expects the same leaves it alone.
    fn expectation(&self) -> String {
        duty::expectation(&self.resource, &self.map(), &self.target.settings)
    }

    /// The pools whose value this target has now confirmed.
    fn confirmed_pools(&self, settlement: &Settlement) -> Vec<String> {
        if !matches!(settlement.state, AccountState::Settled | AccountState::Task) || self.row.remote_id.is_none() {
            return Vec::new();
        }
        let mapping = self.map();
        mapping
            .pools
            .iter()
            .filter(|pool| {
                let confirmed_by = self.tenant.pools.get(*pool).and_then(|pool| pool.confirmed_by.as_deref());
                confirmed_by.is_none_or(|target| target == self.target.name)
            })
            .cloned()
            .collect()
    }
}

/// When the values of a tenant's pools are given back by those who are gone.
#[derive(Clone)]
pub struct Returns {
    tenant: String,
    pools: BTreeMap<String, Return>,
}

/// When the value of a pool may be given back, and until when it then rests.
#[derive(Clone)]
struct Return {
    /// The target that must have no account any more; none: all of them.
    confirmed_by: Option<String>,
    rests_until: Timestamp,
}

impl Returns {
    /// Those of a tenant, for a value that is given back now.
    pub fn of(tenant: &Tenant, now: Timestamp) -> Self {
        let of =
            |pool: &Pool| Return { confirmed_by: pool.confirmed_by.clone(), rests_until: later(now, pool.cool_off) };
        let pools = tenant.pools.iter().map(|(name, pool)| (name.clone(), of(pool))).collect();
        Self { tenant: tenant.name.clone(), pools }
    }

    /// Gives the pool values of a resource back that is gone, once the target that confirms them has no account of it any
    /// more. What was never confirmed is free at once; the rest cools off.
    pub fn release(&self, tx: &mut Tx<'_>, resource: i64, now: Timestamp) -> Result<(), StoreError> {
        let rows = tx.accounts_of(resource)?;
        let is_away = |row: &Row| row.remote_id.is_none() && row.doubt == Doubt::None && row.applied >= row.wanted;
        for assignment in tx.assignments_of(resource)? {
            let Some(Return { confirmed_by, rests_until }) = self.pools.get(&assignment.pool) else { continue };
            let is_user = |row: &&Row| confirmed_by.as_ref().is_none_or(|target| row.target == *target);
            if rows.iter().filter(is_user).all(is_away) {
                tx.release(&self.tenant, &assignment.pool, resource, *rests_until, now)?;
            }
        }
        Ok(())
    }
}

/// The targets of a tenant that come after others.
#[derive(Clone)]
pub struct Dependents {
    targets: Vec<Dependent>,
}

#[derive(Clone)]
struct Dependent {
    target: Arc<Target>,
    /// Its predecessors, and whether each is required.
    after: Vec<(String, bool)>,
}

impl Dependents {
    /// Those of a tenant.
    pub fn of(tenant: &Tenant) -> Self {
        let dependent = |target: &Arc<Target>| {
            let required = |name: &String| tenant.targets.get(name).is_some_and(|target| target.settings.required);
            let after = target.after.iter().map(|name| (name.clone(), required(name))).collect();
            Dependent { target: target.clone(), after }
        };
        Self { targets: tenant.targets.values().map(dependent).collect() }
    }

    /// Makes those accounts of a resource due whose predecessors have all come to an end. Returns their targets.
    pub fn release(&self, tx: &mut Tx<'_>, resource: i64, now: Timestamp) -> Result<Vec<Arc<Target>>, StoreError> {
        if self.targets.iter().all(|dependent| dependent.after.is_empty()) {
            return Ok(Vec::new());
        }
        let rows = tx.accounts_of(resource)?;
        let mut released = Vec::new();
        for row in rows.iter().filter(|row| waits_for_target(row)) {
            let Some(dependent) = self.targets.iter().find(|dependent| dependent.target.name == row.target) else {
                continue;
            };
            if !is_blocked(&rows, &dependent.after) {
                tx.want(resource, &row.target, &Want { urgent: row.urgent, ..Want::due(now) }, now)?;
                released.push(dependent.target.clone());
            }
        }
        Ok(released)
    }

    /// Why an account of this resource cannot be made yet at a target, if a predecessor has not come to an end.
    pub fn waits(&self, tx: &Tx<'_>, resource: i64, target: &str) -> Result<Option<Reason>, StoreError> {
        let Some(dependent) = self.targets.iter().find(|dependent| dependent.target.name == target) else {
            return Ok(None);
        };
        let rows = tx.accounts_of(resource)?;
        let names = dependent.after.iter().map(|(name, _)| name.as_str());
        Ok(is_blocked(&rows, &dependent.after).then(|| waiting_reason(names)))
    }
}

/// Whether a row waits for another target.
pub fn waits_for_target(row: &Row) -> bool {
    row.state == AccountState::Waiting && row.reason.as_ref().is_some_and(|reason| reason.code == WAITING_FOR_TARGET)
}

/// Whether one of the predecessors has not come to an end: it is still worked on, held, or required and refused.
pub fn is_blocked(rows: &[Row], after: &[(String, bool)]) -> bool {
    after.iter().any(|(name, is_required)| {
        rows.iter().find(|row| row.target == *name).is_some_and(|row| match row.state {
            AccountState::Due | AccountState::Waiting | AccountState::Held => true,
            AccountState::Parked => *is_required,
            AccountState::Settled | AccountState::Task | AccountState::HandedOver | AccountState::OutOfScope => false,
        })
    })
}

/// Whether the account at a predecessor has not come to an end, as far as the row alone tells.
pub fn is_unfinished(row: &Row) -> bool {
    matches!(row.state, AccountState::Due | AccountState::Waiting | AccountState::Held | AccountState::Parked)
}

/// Why an account waits for others.
pub fn waiting_reason<'a>(after: impl IntoIterator<Item = &'a str>) -> Reason {
    let names: Vec<&str> = after.into_iter().collect();
    duty::plain_reason(WAITING_FOR_TARGET, format!("made after the account at {}", names.join(", ")))
}

/// The remote id of an account that a person must judge.
fn found_there(settlement: &Settlement) -> Option<String> {
    Some(settlement.candidate.as_ref()?.get("remote_id")?.as_str()?.to_owned())
}
