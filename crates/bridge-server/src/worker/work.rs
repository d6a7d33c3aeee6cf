//! One account is made to match: look, plan, send, settle (DESIGN, section 7). One function for all targets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bridge_connectors::{Call, Effect, Existence, Observed, Plan, Presence, TargetError, Wanted};
use bridge_mapping::{Account, GroupRef, Mapping, SecretSource, Subject};
use bridge_store::{Account as Row, AccountState, CallEntry, Change, Doubt, Reason, Resource, StoreError};
use jiff::Timestamp;
use scim_model::ResourceType;
use serde_json::Value;

use super::backoff;
use super::duty::{self, Duty, plain_reason};
use super::holder::Had;
use super::lane::Contact;
use super::memory::Memory;
use super::secrets::Secrets;
use crate::bridge::Bridge;
use crate::clock::later;
use crate::config::{Mode, Rekey};
use crate::landscape::{Target, Tenant};

/// An account that needs more rounds than this does not converge.
const ROUNDS: usize = 32;
/// So many pool values in a row may turn out to be somebody else's in one delivery.
pub(super) const FOREIGN: usize = 20;
/// How long a claim lasts.
pub(super) const LEASE: Duration = Duration::from_secs(120);

/// One claimed account and everything known about it.
pub(super) struct Work<'a> {
    pub(super) bridge: &'a Bridge,
    pub(super) tenant: &'a Tenant,
    pub(super) target: &'a Target,
    pub(super) users: &'a ResourceType,
    pub(super) resource: Resource,
    pub(super) row: Row,
    pub(super) groups: Vec<GroupRef>,
    pub(super) assigned: BTreeMap<String, String>,
    pub(super) observed: Observed,
    /// What it had when the work began.
    pub(super) had: Had,
    pub(super) memory: Memory,
    pub(super) secrets: Secrets,
    pub(super) doubt: Doubt,
    pub(super) last_write_at: Option<Timestamp>,
    pub(super) calls: Vec<CallEntry>,
    pub(super) adopted_value: Option<(String, String)>,
    pub(super) lease_until: Timestamp,
    pub(super) has_looked: bool,
    pub(super) search: bool,
    pub(super) was_missing: bool,
    /// A create was sent before this one, and what became of it was not seen.
    pub(super) repeats_create: bool,
    /// A suspension or removal has been sent in this delivery.
    pub(super) has_ended: bool,
    pub(super) foreign: usize,
    /// The account is as it should be but for its key, which the target cannot change.
    pub(super) is_rekeyed: bool,
    /// A suspension repeats what the account is wanted to say, not what was read of it: see [`Work::must_repeat_wanted`].
    repeats_wanted: bool,
    /// The target took no such suspension.
    pub(super) repeats_read: bool,
    /// Pools whose value for this resource changed: other targets may use it.
    pub(super) changed_pools: BTreeSet<String>,
    /// Names of the fields that a person must change at the target.
    pub(super) task_fields: Vec<String>,
    /// The reason of a parked row repeats what the target said.
    pub(super) quotes_target: bool,
}

/// How the work on an account ended.
#[derive(Debug)]
pub(super) enum End {
    /// The account is as it should be, or as near as its target's API can bring it.
    Done { state: AccountState, reason: Option<Reason>, natural_key: Change<String>, proof: Option<Value> },
    /// Not now.
    Again { at: Timestamp, state: AccountState, reason: Reason, counts: bool },
    /// A person must look.
    Parked { reason: Reason, candidate: Option<Value> },
    /// Somebody else took the account over while we worked: nothing may be written.
    LeaseLost,
}

pub(super) enum Step {
    End(Box<End>),
    NextRound,
}

impl From<End> for Step {
    fn from(end: End) -> Self {
        Self::End(Box::new(end))
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(
        bridge: &'a Bridge,
        tenant: &'a Tenant,
        target: &'a Target,
        loaded: super::Loaded,
        mut row: Row,
    ) -> Result<Self, StoreError> {
        let observed = match &row.observed {
            None => Observed::default(),
            Some(value) => serde_json::from_value(value.clone())
                .map_err(|error| StoreError::Corrupt(format!("what was observed of an account: {error}")))?,
        };
        let had = Had::of(&row, &observed, target.rules.schema());
        let memory = Memory::read(row.kept.as_ref())?;
        if row.doubt == Doubt::Create && memory.creating.is_none() {
            // What was interrupted sent no create: its keys would be here.
            row.doubt = Doubt::Read;
        }
        let secrets = Secrets::open(&bridge.sealer, &row);
        let lease_until = row.lease.map_or(row.updated, |lease| lease.until);
        let mut work = Self {
            bridge,
            tenant,
            target,
            users: &tenant.users,
            resource: loaded.resource,
            groups: loaded.groups,
            assigned: loaded.assigned,
            observed,
            had,
            memory,
            secrets,
            doubt: row.doubt,
            last_write_at: row.last_write_at,
            calls: Vec::new(),
            adopted_value: None,
            lease_until,
            has_looked: false,
            search: row.doubt == Doubt::Create,
            was_missing: false,
            repeats_create: false,
            has_ended: false,
            foreign: 0,
            is_rekeyed: false,
            repeats_wanted: false,
            repeats_read: false,
            changed_pools: BTreeSet::new(),
            task_fields: Vec::new(),
            quotes_target: false,
            row,
        };
        work.take_up_replacement();
        Ok(work)
    }

    /// Works until the account is right or cannot be made so now.
    pub(super) async fn run(&mut self) -> Result<End, StoreError> {
        for _ in 0..ROUNDS {
            let mapping = self.map();
            let duty =
                duty::duty(&self.resource, &mapping, &self.row, &self.observed, &self.memory, &self.target.settings);
            let is_leaving = duty.is_leaving();
            if is_leaving && self.leaves_with_old_account() {
                continue;
            }
            let step = match duty {
                Duty::Rest(state, reason) => Step::from(End::Done {
                    state,
                    reason,
                    natural_key: self.freed_key(),
                    proof: self.row.proof.clone(),
                }),
                Duty::Wait(until, reason) => {
                    // Past that moment only a membership, which raises `wanted`, can help.
                    let is_over = until <= self.bridge.clock.now();
                    let state = if is_over { AccountState::Waiting } else { AccountState::Due };
                    Step::from(End::Again { at: until, state, reason, counts: false })
                }
                Duty::Park(reason) => Step::from(End::Parked { reason, candidate: None }),
                Duty::Provision(account) => {
                    let account = self.memory.with_emptied(account);
                    self.round(Presence::Active, Some(account), &mapping).await?
                }
                Duty::Deprovision(presence) => self.round(presence, None, &mapping).await?,
                Duty::GiveBack(account, presence) => self.round(presence, Some(account), &mapping).await?,
            };
            let Step::End(end) = step else { continue };
            if self.stays_with_old_account(&end) {
                continue;
            }
            let is_at_rest = matches!(*end, End::Done { .. });
            if is_at_rest && is_leaving && self.leaves_with_old_account() {
                // Only now is it known that no new account was made.
                continue;
            }
            if self.memory.replaced.is_none() || !is_at_rest || self.doubt == Doubt::Create {
                return Ok(*end);
            }
            if let Step::End(end) = self.retire_old(*end).await? {
                return Ok(*end);
            }
        }
        let reason = plain_reason("does-not-converge", format!("the account still differs after {ROUNDS} rounds"));
        Ok(End::Parked { reason, candidate: None })
    }

    /// The account as the rules want it now.
    pub(super) fn map(&self) -> Mapping {
        let supplied: BTreeSet<String> = self.secrets.supplied().collect();
        let has_account = duty::has_account(&self.row, &self.observed);
        let wait_is_over = self.bridge.clock.now() >= later(self.resource.created, self.target.settings.group_wait);
        bridge_mapping::map(
            &Subject {
                id: &self.resource.id,
                document: &self.resource.document,
                resource_type: self.users,
                groups: &self.groups,
                assigned: &self.assigned,
                supplied_secrets: &supplied,
                group_wait_over: has_account || wait_is_over,
            },
            &self.target.rules,
        )
    }

    async fn round(
        &mut self,
        presence: Presence,
        account: Option<Account>,
        mapping: &Mapping,
    ) -> Result<Step, StoreError> {
        let keys = self.keys(account.as_ref().or(Some(&mapping.account)));
        if self.must_look()
            && let Some(step) = self.look(presence, &keys, mapping).await?
        {
            return Ok(step);
        }
        let account =
            if self.memory.first_contact { account.map(|account| self.without_log_in(account)) } else { account };
        let keys = self.keys(account.as_ref());
        self.repeats_wanted = account.is_none() && self.must_repeat_wanted(presence, mapping);
        let plan = self.target.connector.plan(
            &Wanted {
                presence,
                account: account.as_ref().or(self.repeats_wanted.then_some(&mapping.account)),
                keys: &keys,
                kept: self.memory.suspension.as_ref(),
                secrets_changed: self.row.secret_pending && self.secrets.supplied().next().is_some(),
                made: &self.secrets.made(),
            },
            &self.observed,
        );
        if let Some(rekey) = &plan.rekey
            && self.target.settings.on_rekey == Rekey::Refuse
        {
            return Ok(Step::from(End::Parked { reason: self.rekey_reason(rekey), candidate: None }));
        }
        if self.target.settings.mode == Mode::Plan {
            return Ok(Step::from(self.only_planned(&plan)));
        }
        if let Some(end) = self.without_proof(presence, &plan) {
            return Ok(Step::from(end));
        }
        if let Some(end) = self.brake(presence, &plan).await? {
            return Ok(Step::from(end));
        }
        if let Some(account) = &account
            && let Some(step) = self.key_of_another(account, &plan).await?
        {
            return Ok(step);
        }
        if plan.rekey.is_some() && self.is_to_be_replaced() {
            return self.begin_replacing().await;
        }
        if plan.calls.iter().any(|call| call.creates)
            && let Some(account) = &account
            && let Some(step) = self.make_way(account).await?
        {
            return Ok(step);
        }
        if !self.prepare(&plan, presence).await? {
            return Ok(self.changed_meanwhile());
        }
        let has_calls = !plan.calls.is_empty();
        for call in &plan.calls {
            if let Some(step) = self.send(call).await? {
                return Ok(step);
            }
        }
        self.done(presence, account.as_ref(), &plan, has_calls).await
    }

    /// Sends one call. `None` when it succeeded.
    async fn send(&mut self, call: &Call) -> Result<Option<Step>, StoreError> {
        if !self.keep_lease().await? {
            return Ok(Some(Step::from(End::LeaseLost)));
        }
        let error = match (self.carry(call).await?, &call.if_refused) {
            (Ok(effect), _) => {
                self.answered();
                self.take_effect(&effect);
                return Ok(None);
            }
            (Err(TargetError::Conflict { .. } | TargetError::Refused { .. }), Some(effect)) => {
                self.answered();
                self.take_effect(effect);
                return Ok(None);
            }
            (Err(TargetError::Conflict { .. } | TargetError::Refused { .. }), None) if self.repeats_wanted => {
                self.answered();
                self.repeats_read = true;
                return Ok(Some(Step::NextRound));
            }
            (Err(error), _) => error,
        };
        if let TargetError::Refused { field: Some(field), .. } = &error
            && call.needs_secrets().contains(&(field.clone(), SecretSource::Generated))
            && self.secrets.make_another(field, self.target.rules.schema())
        {
            // What the bridge made up does not meet the target's policy: another one, once (DESIGN, section 7, "Passwords").
            self.answered();
            return Ok(Some(Step::NextRound));
        }
        if call.creates && matches!(error, TargetError::Conflict { .. } | TargetError::Refused { .. }) {
            self.forget_creation();
        }
        match &error {
            // A replica may lag behind: look before believing that the account is gone.
            TargetError::Missing if !self.was_missing => {
                self.answered();
                self.was_missing = true;
                self.doubt = Doubt::Read;
                self.has_looked = false;
                Ok(Some(Step::NextRound))
            }
            TargetError::Missing => {
                let reason = "the account is there when read and missing when written".to_owned();
                let error = TargetError::Unavailable { reason, retry_after: None, doubt: true };
                Ok(Some(Step::from(self.failed(&error, false))))
            }
            // The dossiers are silent about why a create fails: look everywhere once before believing it.
            TargetError::Conflict { .. } | TargetError::Refused { .. } if call.creates && !self.search => {
                self.answered();
                self.observed = Observed::default();
                self.doubt = if self.repeats_create { Doubt::Create } else { Doubt::Read };
                self.search = true;
                self.has_looked = false;
                self.look_after_refusal(&error).await
            }
            _ => Ok(Some(Step::from(self.failed(&error, call.creates)))),
        }
    }

    /// What a call means for the account is known now, as if it had been read back.
    fn take_effect(&mut self, effect: &Effect) {
        self.observed.apply(effect);
        if self.observed.remote_id.is_some() {
            self.row.remote_id.clone_from(&self.observed.remote_id);
        }
        if let Some(suspension) = &mut self.memory.suspension {
            suspension.extend(effect.kept.clone());
        }
    }

    /// Every call succeeded.
    async fn done(
        &mut self,
        presence: Presence,
        account: Option<&Account>,
        plan: &Plan,
        has_calls: bool,
    ) -> Result<Step, StoreError> {
        let mut proof = self.row.proof.clone();
        self.is_rekeyed = plan.rekey.is_some();
        if presence == Presence::Active {
            self.memory.suspension = None;
            self.memory.creating = None;
            self.memory.first_contact = false;
            if let Some(account) = account {
                self.memory.settled_with(account);
            }
            proof = None;
        } else if has_calls {
            self.doubt = Doubt::Read;
            self.has_ended = true;
            let lag = self.target.settings.settle_lag;
            if self.memory.unapplied.once_more() {
                let text = "the target accepts the suspension or removal and does not carry it out; act there by hand";
                let reason = plain_reason("not-applied", text);
                return Ok(Step::from(End::Parked { reason, candidate: None }));
            }
            if !lag.is_zero() {
                return Ok(Step::from(self.verify_later(lag)));
            }
            self.has_looked = false;
            return Ok(Step::NextRound);
        } else if self.has_looked && plan.tasks.is_empty() {
            proof = Some(serde_json::json!({
                "presence": presence,
                "readAt": self.bridge.clock.now().to_string(),
            }));
        }
        if plan.rekey.is_some()
            && let Some(reason) = self.refused_replacement()
        {
            return Ok(Step::from(End::Parked { reason, candidate: None }));
        }
        self.memory.not_replaced = None;
        let reason = task_reason(plan);
        self.task_fields = plan.tasks.iter().flat_map(|task| task.fields.iter().cloned()).collect();
        let renamed = plan.rekey.as_ref().map(|rekey| self.rekey_reason(rekey));
        // A person who goes there goes there once.
        self.task_fields.extend(renamed.iter().filter_map(|renamed| renamed.field.clone()));
        let reason = match (reason, renamed) {
            (Some(task), Some(renamed)) => Some(Reason { text: format!("{} {}", task.text, renamed.text), ..task }),
            (task, renamed) => task.or(renamed),
        };
        let state = match (&reason, &self.resource.state) {
            (Some(_), _) => AccountState::Task,
            (None, _) => self.resting_state(),
        };
        let natural_key = match account {
            Some(account) if presence == Presence::Active => self.own_key(account).map_or(Change::Keep, Change::Set),
            _ => self.freed_key(),
        };
        let reason = reason.or_else(|| self.resting_reason());
        Ok(Step::from(End::Done { state, reason, natural_key, proof }))
    }

    /// A suspension that was accepted, and that the target does not show whether it holds (glance.md section 13): to send it
    /// again and again would prove no more.
    fn without_proof(&self, presence: Presence, plan: &Plan) -> Option<End> {
        let was_sent = self.has_ended || self.row.reason.as_ref().is_some_and(|reason| reason.code == VERIFYING);
        let is_shown = self.observed.existence != Existence::Present || self.observed.active.is_some();
        let switches_only =
            plan.tasks.is_empty() && plan.calls.iter().all(|call| call.effect.active == Some(false) && !call.creates);
        if presence != Presence::Suspended || !was_sent || !self.has_looked || is_shown || !switches_only {
            return None;
        }
        let text = "suspended; the target took it and does not show it, so there is no proof";
        let reason = Some(plain_reason("not-shown", text));
        let (state, natural_key) = (self.resting_state(), self.freed_key());
        Some(End::Done { state, reason, natural_key, proof: None })
    }

    /// Where a row rests whose account is right: settled, or out of scope if that is why the account went.
    fn resting_state(&self) -> AccountState {
        match self.map().scope {
            bridge_mapping::Scope::Out { .. } if self.resource.active => AccountState::OutOfScope,
            _ => AccountState::Settled,
        }
    }

    fn resting_reason(&self) -> Option<Reason> {
        match self.map().scope {
            bridge_mapping::Scope::Out { reason } if self.resource.active => Some(plain_reason("out-of-scope", reason)),
            _ => None,
        }
    }

    /// A suspension or removal was sent; it counts as done once it has been read back.
    pub(super) fn verify_later(&self, lag: Duration) -> End {
        End::Again {
            at: later(self.bridge.clock.now(), lag),
            state: AccountState::Due,
            reason: plain_reason(VERIFYING, "done at the target; it is read back once the change must show"),
            counts: true,
        }
    }

    /// The natural key that the account really has, as far as it is known.
    fn own_key(&self, account: &Account) -> Option<String> {
        let schema = self.target.rules.schema();
        let field = schema.natural_key();
        let seen = self.observed.fields.get(&field.name).and_then(Value::as_str).map(|text| field.fold(text));
        seen.or_else(|| account.natural_key(schema))
    }

    /// The natural key after a pool value turned out to be somebody else's.
    pub(super) fn replaced_key(&self) -> Change<String> {
        if self.foreign == 0 {
            return Change::Keep;
        }
        self.map().account.natural_key(self.target.rules.schema()).map_or(Change::Keep, Change::Set)
    }

    /// Nobody needs the natural key any more once there is no account.
    fn freed_key(&self) -> Change<String> {
        let is_there = self.row.remote_id.is_some() || self.observed.existence == Existence::Present;
        // A doubt of the row's may have been settled in this delivery.
        let may_be_there = self.doubt == Doubt::Create;
        if !is_there && !may_be_there && self.resource.state != bridge_store::ResourceState::Live {
            Change::Clear
        } else {
            Change::Keep
        }
    }

    fn rekey_reason(&self, rekey: &bridge_connectors::Rekey) -> Reason {
        Reason {
            code: "cannot-rename".to_owned(),
            field: Some(rekey.field.clone()),
            attribute: None,
            text: format!("{} cannot be changed at the target; the account keeps the old one", rekey.field),
            retry_helps: false,
        }
    }

    /// A call failed: the error says what comes next.
    pub(super) fn failed(&mut self, error: &TargetError, creates: bool) -> End {
        let now = self.bridge.clock.now();
        self.quotes_target = true;
        if error.leaves_doubt() {
            self.doubt = if creates { Doubt::Create } else { self.doubt.max(Doubt::Read) };
        }
        let reason = Reason {
            code: error.code().to_owned(),
            field: None,
            attribute: None,
            text: error.to_string(),
            retry_helps: true,
        };
        let attempts = self.row.attempts.saturating_add(1);
        match error {
            TargetError::Unavailable { .. } | TargetError::Garbled { .. } | TargetError::Throttled { .. } => {
                let at = backoff::next_attempt(attempts, error.retry_after(), now, rand::random());
                if matches!(error, TargetError::Throttled { .. }) {
                    self.bridge.target_throttled(self.target, error.retry_after());
                } else {
                    self.bridge.target_failed(self.target, &reason.text);
                }
                End::Again { at, state: AccountState::Due, reason, counts: true }
            }
            TargetError::Unauthorized { .. } => {
                self.bridge.target_refused_credential(self.target, &reason.text);
                End::Again { at: now, state: AccountState::Due, reason, counts: false }
            }
            TargetError::Refused { field, retry_helps, .. } => {
                self.answered();
                let attribute = field.as_deref().and_then(|field| self.source_of(field));
                let reason = Reason { field: field.clone(), attribute, retry_helps: *retry_helps, ..reason };
                End::Parked { reason, candidate: None }
            }
            TargetError::Conflict { field, .. } => {
                self.answered();
                let attribute = field.as_deref().and_then(|field| self.source_of(field));
                let reason = Reason { field: field.clone(), attribute, code: "conflict".to_owned(), ..reason };
                End::Parked { reason, candidate: None }
            }
            TargetError::Missing => {
                self.answered();
                End::Parked { reason, candidate: None }
            }
        }
    }

    /// The SCIM attribute that an account field comes from.
    pub(super) fn source_of(&self, field: &str) -> Option<String> {
        self.map().lineage.get(field).and_then(|lineage| lineage.source)
    }

    /// The target answered, whatever it said.
    pub(super) fn answered(&self) {
        let now = self.bridge.clock.now();
        self.target.lane.note(Contact::Answered);
        self.target.lane.change(|condition| condition.answered(now));
    }
}

/// What a person must do by a plan, as the reason of a row.
pub(super) fn task_reason(plan: &Plan) -> Option<Reason> {
    plan.tasks.first().map(|task| Reason {
        code: task.code.to_owned(),
        field: task.fields.first().cloned(),
        attribute: None,
        text: plan.tasks.iter().map(|task| task.text.as_str()).collect::<Vec<_>>().join("; "),
        retry_helps: false,
    })
}

/// The code of a row whose suspension or removal was sent and is still to be read back.
pub const VERIFYING: &str = "verifying";

/// The account under review, for a person: its keys, never its secrets.
pub(super) fn candidate(seen: &Observed) -> Option<Value> {
    serde_json::to_value(seen).ok()
}
