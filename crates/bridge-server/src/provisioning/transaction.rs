//! The one transaction of a SCIM write: the resource, its assignments, `wanted` raised on each account that changes, the
//! journal, the audit trail (DESIGN, section 6, step 4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bridge_mapping::Scope;
use bridge_store::{
    Account as Row, AccountState, AuditEntry, Doubt, RequestEntry, Resource, ResourceState, StoreError, Taken, Tx, Want,
};
use jiff::Timestamp;

use super::group_refs;
use super::guess::Guess;
use super::judge::{Judged, Surroundings, judge_for, pool_empty, refuse};
use super::view::{Shown, View, show};
use crate::config::{Adopt, Mode, Rekey};
use crate::error::{ApiError, Refusal};
use crate::landscape::{Target, Tenant};
use crate::seal::Sealer;
use crate::worker::{duty, pool, secrets, settle};

/// Why a write did not happen.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client gets this answer.
    Refused(ApiError),
    /// Something changed between reading and writing: read and judge again.
    Again,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale { .. } => Self::Again,
            StoreError::Taken(taken) => Self::Refused(taken_error(&taken.what)),
            StoreError::PoolEmpty { pool } => Self::Refused(pool_empty(&pool)),
            other => Self::Refused(other.into()),
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

/// A userName, or another unique attribute, that another resource has.
pub(super) fn taken_error(attribute: &str) -> ApiError {
    ApiError::Taken {
        attribute: attribute.to_owned(),
        detail: format!("Another resource has this {attribute}; link to it, or change the value"),
    }
}

/// Who did what to a resource.
pub(super) fn audit(resource: &Resource, actor: &str, action: &str, now: Timestamp) -> AuditEntry {
    AuditEntry {
        number: 0,
        tenant: resource.tenant.clone(),
        at: now,
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: resource.id.clone(),
        detail: None,
        hash: String::new(),
    }
}

/// What a write stores beside the resource. Owned, because a write may run again.
pub(super) struct Consequences {
    /// The tenant.
    pub(super) tenant: Arc<Tenant>,
    /// The document, judged with the values that `around` assumed.
    pub(super) judged: Vec<Judged>,
    /// What it was judged with.
    pub(super) around: Surroundings,
    /// What a new user was expected to get out of pools.
    pub(super) guess: Option<Guess>,
    /// Secrets that the write brought along, by SCIM attribute.
    pub(super) supplied: BTreeMap<String, String>,
    /// Seals them.
    pub(super) sealer: Arc<Sealer>,
    /// The request as received, for the journal; none for what no client asked for.
    pub(super) entry: Option<RequestEntry>,
    /// Who did it.
    pub(super) actor: String,
    /// What was done, as a stable code.
    pub(super) action: &'static str,
    /// Whether the write is refused for what a required target would not take. If not, the account is parked.
    pub(super) refuses: bool,
    /// What the answer shows; none if it is made later, when the accounts have been waited for.
    pub(super) shows: Option<View>,
    /// The present moment.
    pub(super) now: Timestamp,
}

/// What a resource has out of pools, by pool, and what that changes.
struct Reserved {
    assigned: BTreeMap<String, String>,
    /// By target.
    judged_again: BTreeMap<String, Judged>,
}

/// What came of storing a write.
pub(super) struct Stored {
    /// Targets that have something to do.
    pub(super) rung: Vec<Arc<Target>>,
    /// The resource as the client is told, if nobody waits for the accounts.
    pub(super) shown: Option<Shown>,
}

impl Consequences {
    /// Reserves what the accounts use out of pools, raises `wanted` where an account changes, and writes journal and audit
    /// trail.
    pub(super) fn store(&self, tx: &mut Tx<'_>, resource: &Resource) -> Result<Stored, Failure> {
        let rung = self.store_duties(tx, resource)?;
        if let Some(entry) = &self.entry {
            tx.add_request_about(entry, resource.key)?;
        }
        tx.add_audit(&audit(resource, &self.actor, self.action, self.now))?;
        let shown = self.shows.map(|view| show(tx, &self.tenant, &self.tenant.users, resource, view)).transpose()?;
        Ok(Stored { rung, shown })
    }

    /// Reserves what the accounts use out of pools, and raises `wanted` where an account changes.
    pub(super) fn store_duties(&self, tx: &mut Tx<'_>, resource: &Resource) -> Result<Vec<Arc<Target>>, Failure> {
        self.check_groups(tx, resource)?;
        let Reserved { assigned, judged_again } = self.reserve(tx, resource)?;
        let rows = tx.accounts_of(resource.key)?;
        let mut rung = Vec::new();
        let mut somebody_waits = rows.iter().any(settle::waits_for_target);
        for judged in &self.judged {
            let judged = judged_again.get(&judged.target.name).unwrap_or(judged);
            let row = rows.iter().find(|row| row.target == judged.target.name);
            match self.want(tx, resource, judged, &assigned, row, &rows)? {
                Some(AccountState::Due) => rung.push(judged.target.clone()),
                Some(AccountState::Waiting) => somebody_waits = true,
                _ => {}
            }
        }
        for row in rows.iter().filter(|row| misses(&self.tenant, resource, row)) {
            let text = "the target is retired; what was written meanwhile is done when it comes back";
            let reason = Some(duty::plain_reason(RETIRED, text));
            tx.want_row(row, &Want { urgent: !resource.has_access(), reason, ..Want::due(self.now) }, self.now)?;
        }
        if somebody_waits {
            // A predecessor may have come to an end in this very transaction.
            rung.extend(settle::Dependents::of(&self.tenant).release(tx, resource.key, self.now)?);
        }
        Ok(rung)
    }

    /// A membership that came or went since the judgement: judge again.
    fn check_groups(&self, tx: &Tx<'_>, resource: &Resource) -> Result<(), Failure> {
        if !resource.has_access() || !self.judged.iter().any(|judged| judged.target.rules.uses_groups()) {
            return Ok(());
        }
        let groups = group_refs(tx.groups_of(&self.tenant.name, &resource.id)?);
        if groups == self.around.groups { Ok(()) } else { Err(Failure::Again) }
    }

    /// Reserves a value of each pool that an account uses. Where it is not the value that was assumed, the document is judged
    /// again with the real one, for the targets that use it.
    fn reserve(&self, tx: &mut Tx<'_>, resource: &Resource) -> Result<Reserved, Failure> {
        let mut assigned = self.around.assigned.clone();
        if !resource.has_access() {
            return Ok(Reserved { assigned, judged_again: BTreeMap::new() });
        }
        let used: BTreeSet<&str> = self
            .judged
            .iter()
            .filter(|judged| matches!(judged.mapping.scope, Scope::In))
            .flat_map(|judged| judged.mapping.pools.iter().map(String::as_str))
            .collect();
        let mut changed = BTreeSet::new();
        for name in used {
            let Some(config) = self.tenant.pools.get(name) else { continue };
            let value = match tx.reserve(&self.tenant.name, name, &config.ranges, resource.key, self.now) {
                Ok(value) => value,
                Err(StoreError::PoolEmpty { pool }) => {
                    if let Some(guess) = &self.guess {
                        guess.was_wrong(name);
                    }
                    if self.refuses && self.is_required(name) {
                        return Err(StoreError::PoolEmpty { pool }.into());
                    }
                    // The worker parks the account until there is one.
                    if assigned.remove(name).is_some() {
                        changed.insert(name.to_owned());
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(guess) = &self.guess {
                guess.handed_out(name, &value);
            }
            if assigned.insert(name.to_owned(), value.clone()) != Some(value) {
                changed.insert(name.to_owned());
            }
        }
        if changed.is_empty() {
            return Ok(Reserved { assigned, judged_again: BTreeMap::new() });
        }
        let around = Surroundings { assigned: assigned.clone(), ..self.around.clone() };
        let concerned = self.judged.iter().filter(|judged| !judged.mapping.pools.is_disjoint(&changed));
        let judged_again: Vec<Judged> = concerned
            .map(|judged| judge_for(&self.tenant, &judged.target, &resource.id, &resource.document, &around))
            .collect();
        // What was accepted was a guess: with what is known now it is judged from the beginning.
        let was_guessed = self.guess.as_ref().is_some_and(|guess| !guess.values().is_empty());
        if was_guessed && refuse(&judged_again, &around).is_err() {
            return Err(Failure::Again);
        }
        let by_target = |judged: Judged| (judged.target.name.clone(), judged);
        Ok(Reserved { assigned, judged_again: judged_again.into_iter().map(by_target).collect() })
    }

    /// Raises `wanted` of one account if it is to change. Returns the state that it is wanted in.
    fn want(
        &self,
        tx: &mut Tx<'_>,
        resource: &Resource,
        judged: &Judged,
        assigned: &BTreeMap<String, String>,
        row: Option<&Row>,
        rows: &[Row],
    ) -> Result<Option<AccountState>, Failure> {
        let Judged { target, mapping } = judged;
        let is_leaving = !resource.has_access();
        let has_secret = !is_leaving && self.supplied.keys().any(|path| target.rules.takes_secret(path));
        match row {
            // No account is made for an inactive user before its first activation.
            None if is_leaving => return Ok(None),
            Some(row) if is_left_alone(row, &duty::expectation(resource, mapping, &target.settings)) && !has_secret => {
                return Ok(None);
            }
            _ => {}
        }
        let has_account = row.is_some_and(Row::may_exist);
        let mut want = Want { urgent: is_leaving, ..Want::due(self.now) };
        if !is_leaving && let Scope::In = mapping.scope {
            let key = mapping.account.natural_key(target.rules.schema());
            let follows = target.rules.schema().natural_key().update || target.settings.on_rekey == Rekey::Recreate;
            want.natural_key = key.filter(|_| !has_account || follows);
        }
        if !is_leaving && !has_account {
            self.hold_back(&mut want, target, rows);
        }
        if !is_leaving
            && !has_account
            && let Scope::Out { reason } = &mapping.scope
            // Where nothing but a value is missing, the worker parks the account until the pool has one.
            && self.lacking(resource, judged, assigned).is_empty()
        {
            want.state = AccountState::OutOfScope;
            want.reason = Some(duty::plain_reason("out-of-scope", reason.clone()));
        }
        if target.settings.mode == Mode::Hold {
            want.state = AccountState::Held;
            want.reason = Some(crate::bridge::mode_hold());
        }
        if has_secret {
            let before = row.and_then(|row| row.secret.as_deref());
            let place = (self.tenant.name.as_str(), resource.key, target.name.as_str());
            want.secret = secrets::seal_supplied(&self.sealer, place, before, &self.supplied)?;
        }
        self.want_with_key(tx, resource, judged, &want, row)?;
        Ok(Some(want.state))
    }

    /// Whether an account at a required target takes a value of this pool.
    fn is_required(&self, pool: &str) -> bool {
        let required = self.judged.iter().filter(|judged| judged.target.settings.required);
        required.flat_map(|judged| &judged.mapping.pools).any(|used| used == pool)
    }

    /// The pools without a value for an account that is otherwise wanted.
    fn lacking(&self, resource: &Resource, judged: &Judged, assigned: &BTreeMap<String, String>) -> Vec<String> {
        pool::lacking(&self.tenant, &judged.mapping, assigned, |assigned| {
            let around = Surroundings { assigned, ..self.around.clone() };
            judge_for(&self.tenant, &judged.target, &resource.id, &resource.document, &around).mapping
        })
    }

    /// An account is made after those that it depends on (waves).
    fn hold_back(&self, want: &mut Want, target: &Target, rows: &[Row]) {
        let before: Vec<&str> = target
            .after
            .iter()
            .filter(|name| {
                let judged = self.judged.iter().find(|judged| judged.target.name == **name);
                let is_wanted = judged.is_some_and(|judged| !matches!(judged.mapping.scope, Scope::Out { .. }));
                let is_there = rows.iter().any(|row| row.target == **name && !settle::is_unfinished(row));
                is_wanted && !is_there
            })
            .map(String::as_str)
            .collect();
        if !before.is_empty() {
            want.state = AccountState::Waiting;
            want.reason = Some(settle::waiting_reason(before));
        }
    }

    /// Raises `wanted`; if another resource holds the natural key, decides what that means.
    fn want_with_key(
        &self,
        tx: &mut Tx<'_>,
        resource: &Resource,
        judged: &Judged,
        want: &Want,
        row: Option<&Row>,
    ) -> Result<(), Failure> {
        let target = &judged.target;
        let wanted = match row {
            None => tx.want_new(&resource.tenant, resource.key, &target.name, want, self.now),
            Some(row) => tx.want_row(row, want, self.now),
        };
        let holder = match wanted {
            Ok(_) => return Ok(()),
            Err(StoreError::Taken(Taken { resource: holder, .. })) => holder,
            Err(error) => return Err(error.into()),
        };
        let Some(holder) = tx.resource_by_key(holder)? else { return Err(Failure::Again) };
        let field = target.rules.schema().natural_key().name.clone();
        let attribute = judged.mapping.lineage.get(&field).and_then(|lineage| lineage.source);
        let held = |cause: &str| {
            let refusal = Refusal {
                conflict: true,
                target: target.name.clone(),
                field: Some(field.clone()),
                attribute: attribute.clone(),
                code: "key-taken".to_owned(),
                cause: cause.to_owned(),
                retry_helps: false,
            };
            Failure::Refused(refusal.into())
        };
        if holder.state == ResourceState::Live {
            let apart = target.rules.keeps_apart();
            let advice =
                apart.map(|(name, value)| format!("; {name} = {value:?} in the configuration keeps them apart"));
            let advice = advice.unwrap_or_default();
            let cause = format!("user {} of this bridge has the same value{advice}", holder.id);
            return if target.settings.required && self.refuses {
                Err(held(&cause))
            } else {
                self.park_without_key(tx, resource, target, want, &cause)
            };
        }
        // A namesake must not inherit somebody's voice mail: only the same person takes over at once.
        // Another identity provider may use the same externalIds for other people.
        let is_same_person = external_id(resource).is_some()
            && external_id(resource) == external_id(&holder)
            && resource.connection == holder.connection;
        let may_match = target.settings.adopt == Adopt::Match && shares_an_email(resource, &holder);
        // Who has an account of their own keeps that one.
        if (is_same_person || may_match) && self.take_over(tx, &holder, resource, target, want, row)? {
            return Ok(());
        }
        let has_own = row.is_some_and(Row::may_exist);
        match target.settings.adopt {
            Adopt::Never if target.settings.required && self.refuses => {
                Err(held(&format!("it belongs to the deleted user {}", holder.id)))
            }
            Adopt::Never | Adopt::Match | Adopt::Review => {
                let advice = if has_own {
                    "this one stays as it is; change the value, or remove that account"
                } else {
                    "link it by hand or change the value"
                };
                let text = format!("the account of the deleted user {} has this key; {advice}", holder.id);
                self.park_without_key(tx, resource, target, want, &text)
            }
        }
    }

    /// Takes the account of a resource that is gone over, with what locks it. False: there is none to be taken.
    fn take_over(
        &self,
        tx: &mut Tx<'_>,
        holder: &Resource,
        resource: &Resource,
        target: &Target,
        want: &Want,
        row: Option<&Row>,
    ) -> Result<bool, Failure> {
        let Some(old) = tx.account(holder.key, &target.name)? else { return Ok(false) };
        let own = want.secret.as_deref().or(row.and_then(|row| row.secret.as_deref()));
        let secret = secrets::seal_handed_over(&self.sealer, &old, resource.key, own)?;
        if !tx.hand_over(holder.key, resource.key, &target.name, secret.as_deref(), self.now)? {
            return Ok(false);
        }
        // Not before the lease of whoever worked for the old resource has ended.
        let due_at = tx.account(resource.key, &target.name)?.map_or(want.due_at, |row| row.due_at.max(want.due_at));
        let secret = want.secret.as_ref().and(secret);
        tx.want(resource.key, &target.name, &Want { due_at, secret, ..want.clone() }, self.now)?;
        Ok(true)
    }

    fn park_without_key(
        &self,
        tx: &mut Tx<'_>,
        resource: &Resource,
        target: &Target,
        want: &Want,
        text: &str,
    ) -> Result<(), Failure> {
        let reason = Some(duty::plain_reason("review", text));
        let parked = Want { state: AccountState::Parked, natural_key: None, reason, ..want.clone() };
        tx.want(resource.key, &target.name, &parked, self.now)?;
        Ok(())
    }
}

/// Whether an account is not, or may not be, what the document means for it.
pub(super) fn concerns(resource: &Resource, judged: &Judged, rows: &[Row]) -> bool {
    let Judged { target, mapping } = judged;
    match rows.iter().find(|row| row.target == target.name) {
        None => resource.has_access(),
        Some(row) => !is_left_alone(row, &duty::expectation(resource, mapping, &target.settings)),
    }
}

/// The code of a row whose target is retired, and that something was written for meanwhile.
const RETIRED: &str = "retired";

/// Whether the account is at a target that is retired, and does not stand there yet to be looked at when the target comes
/// back. What this means for the account nobody can say before: the rules are not there either.
pub(super) fn misses(tenant: &Tenant, resource: &Resource, row: &Row) -> bool {
    let is_noted = row.state == AccountState::Due && row.reason.as_ref().is_some_and(|reason| reason.code == RETIRED);
    let is_pressed = row.urgent || resource.has_access();
    tenant.retired.contains(&row.target)
        && row.state != AccountState::HandedOver
        && row.may_exist()
        && !(is_noted && is_pressed)
}

/// A row is left alone only if it is settled, unleased, free of doubt, and the account it stands for is the same.
fn is_left_alone(row: &Row, expectation: &str) -> bool {
    let is_at_rest = matches!(row.state, AccountState::Settled | AccountState::Task | AccountState::OutOfScope);
    is_at_rest
        && row.lease.is_none()
        && row.doubt == Doubt::None
        && row.applied >= row.wanted
        && row.digest.as_deref() == Some(expectation)
}

fn external_id(resource: &Resource) -> Option<&str> {
    resource.document.text("externalId")
}

fn shares_an_email(one: &Resource, other: &Resource) -> bool {
    let of = |resource: &Resource| -> BTreeSet<String> {
        let emails = resource.document.get("emails").and_then(serde_json::Value::as_array);
        emails.into_iter().flatten().filter_map(|email| email.get("value")?.as_str().map(str::to_lowercase)).collect()
    };
    !of(one).is_disjoint(&of(other))
}
