//! The end of the work on an account, written down in one transaction: the row, the journal, the pool, and the accounts
//! that waited for this one.

use bridge_store::{Account as Row, AccountState, Change, Reason, Settlement, StoreError, Tx, Want};
use jiff::Timestamp;

use super::duty;
use super::pool;
use super::work::{End, Work};
use crate::alerts::{Alert, AlertKind};
use crate::landscape::{Target, Tenant};

/// The code of a row that waits for another target.
pub const WAITING_FOR_TARGET: &str = "waiting-for-target";

impl Work<'_> {
    /// Writes down how the work ended, tells whoever waits, and rings for a person where one must act.
    pub(super) async fn settle(self, end: End) -> Result<(), StoreError> {
        let bridge = self.bridge;
        let now = bridge.clock.now();
        let settlement = match end {
            End::LeaseLost => return Ok(()),
            end => self.settlement(end, now)?,
        };
        let Some(lease) = self.row.lease else { return Ok(()) };
        let (resource, target) = (self.row.resource, self.row.target.clone());
        let confirmed = self.confirmed_pools(&settlement);
        let ready = self.dependents();
        let (tenant, calls, adopted_value) = (self.tenant.name.clone(), self.calls, self.adopted_value);
        let (state, reason) = (settlement.state, settlement.reason.clone());
        let target_name = target.clone();
        let released = bridge
            .store
            .write(move |tx| {
                if let Some((pool, value)) = &adopted_value {
                    tx.replace_assignment(&tenant, pool, resource, value, now)?;
                }
                if !tx.settle(resource, &target, lease.token, &settlement)? {
                    return Ok::<_, StoreError>(None);
                }
                for call in &calls {
                    tx.add_call(call)?;
                }
                for pool in &confirmed {
                    tx.confirm(&tenant, pool, resource, now)?;
                }
                release_dependents(tx, resource, &ready, now).map(Some)
            })
            .await?;
        let Some(released) = released else { return Ok(()) };
        for target in released {
            target.lane.ring();
        }
        let somebody_waits = bridge.waiters.moved(resource);
        if !somebody_waits {
            let kind = match state {
                AccountState::Parked => Some(AlertKind::Parked),
                AccountState::Task => Some(AlertKind::Task),
                _ => None,
            };
            if let (Some(kind), Some(reason)) = (kind, reason) {
                bridge.alerts.ring(Alert {
                    kind,
                    tenant: self.tenant.name.clone(),
                    target: target_name,
                    resource: Some(self.resource.id.clone()),
                    code: reason.code,
                    text: reason.text,
                    at: now,
                });
            }
        }
        Ok(())
    }

    fn settlement(&self, end: End, now: Timestamp) -> Result<Settlement, StoreError> {
        let state = match &end {
            End::Done { state, .. } | End::Again { state, .. } => *state,
            End::Parked { .. } => AccountState::Parked,
            End::LeaseLost => self.row.state,
        };
        let base = Settlement {
            doubt: self.doubt,
            remote_id: self.row.remote_id.clone(),
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
                // A secret is erased once it has served.
                secret: Change::Clear,
                failing_since: None,
                ..base
            },
            End::Again { at, reason, counts, .. } => Settlement {
                due_at: at,
                urgent: self.row.urgent,
                attempts: self.row.attempts + u32::from(counts),
                failing_since: counts.then(|| self.row.failing_since.unwrap_or(now)).or(self.row.failing_since),
                reason: Some(reason),
                ..base
            },
            End::Parked { reason, candidate } => Settlement {
                reason: Some(reason),
                candidate,
                attempts: self.row.attempts.saturating_add(1),
                failing_since: self.row.failing_since.or(Some(now)),
                ..base
            },
        })
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
        pool::used(&mapping)
            .filter(|pool| {
                let confirmed_by = self.tenant.pools.get(*pool).and_then(|pool| pool.confirmed_by.as_deref());
                confirmed_by.is_none_or(|target| target == self.target.name)
            })
            .map(str::to_owned)
            .collect()
    }

    /// The targets that come after this one.
    fn dependents(&self) -> Vec<Dependent> {
        let follows = |target: &&std::sync::Arc<Target>| target.after.contains(&self.target.name);
        self.tenant.targets.values().filter(follows).map(|target| Dependent::new(self.tenant, target)).collect()
    }
}

/// A target that comes after others.
#[derive(Clone)]
struct Dependent {
    target: std::sync::Arc<Target>,
    /// Its predecessors, and whether each is required.
    after: Vec<(String, bool)>,
}

impl Dependent {
    fn new(tenant: &Tenant, target: &std::sync::Arc<Target>) -> Self {
        let required = |name: &String| tenant.targets.get(name).is_some_and(|target| target.settings.required);
        let after = target.after.iter().map(|name| (name.clone(), required(name))).collect();
        Self { target: target.clone(), after }
    }
}

/// Makes those accounts due whose predecessors have all come to an end. Returns their targets.
fn release_dependents(
    tx: &mut Tx<'_>,
    resource: i64,
    dependents: &[Dependent],
    now: Timestamp,
) -> Result<Vec<std::sync::Arc<Target>>, StoreError> {
    if dependents.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.accounts_of(resource)?;
    let mut released = Vec::new();
    for dependent in dependents {
        let waits = rows.iter().any(|row| row.target == dependent.target.name && waits_for_target(row));
        if waits && !is_blocked(&rows, &dependent.after) {
            tx.want(resource, &dependent.target.name, &Want::due(now), now)?;
            released.push(dependent.target.clone());
        }
    }
    Ok(released)
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
