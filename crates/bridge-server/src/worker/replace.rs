//! A key changed that the target cannot rename, and `on_rekey = "recreate"`: a new account is made first, then the old one
//! goes by `on_delete` (DESIGN, section 7, "Keys that cannot be renamed").
//!
//! The row remembers the old account until it is gone, whatever is lost in between. As long as there is no new account, the
//! row's remote id stays that of the old one; a refusal on the way gives the old account back, with the old key.

use bridge_connectors::{AccountKeys, Call, Existence, Observed, Presence, TargetError, Wanted};
use bridge_mapping::Account;
use bridge_store::{AccountState, Doubt, Reason, StoreError};

use super::duty::plain_reason;
use super::memory::{NotReplaced, Replaced, Unapplied};
use super::work::{End, Step, Work, task_reason};
use crate::clock::later;
use crate::config::{Deprovision, Rekey};

impl Work<'_> {
    /// What a row that was left in the middle of a replacement means: there is no new account yet, as far as is known.
    pub(super) fn take_up_replacement(&mut self) {
        let Some(replaced) = &self.memory.replaced else { return };
        if self.row.remote_id.as_ref() != Some(&replaced.remote_id) {
            return;
        }
        self.row.remote_id = None;
        self.observed = Observed::default();
        // The row had a remote id, so nobody could tell that it was a create that was interrupted.
        if self.doubt != Doubt::None && self.memory.creating.is_some() {
            self.doubt = Doubt::Create;
            self.row.doubt = Doubt::Create;
        }
    }

    /// The remote id that the row goes by: the old one as long as there is no new account.
    pub(super) fn remote_id(&self) -> Option<String> {
        let old = self.memory.replaced.as_ref().map(|replaced| replaced.remote_id.clone());
        self.row.remote_id.clone().or(old)
    }

    /// Whether an account with another key is to be made in place of this one.
    pub(super) fn is_to_be_replaced(&self) -> bool {
        let was_refused = self.memory.not_replaced.as_ref().is_some_and(|refused| refused.wanted == self.row.wanted);
        self.target.settings.on_rekey == Rekey::Recreate && !was_refused && self.memory.replaced.is_none()
    }

    /// Sets the old account aside, once it was looked at. Nothing is sent yet: first the new place is looked at.
    pub(super) async fn begin_replacing(&mut self) -> Result<Step, StoreError> {
        let Some(remote_id) = self.row.remote_id.clone().filter(|_| self.has_looked) else {
            self.doubt = self.doubt.max(Doubt::Read);
            return Ok(Step::NextRound);
        };
        self.memory.not_replaced = None;
        self.memory.creating = None;
        self.memory.replaced = Some(Replaced {
            remote_id,
            observed: std::mem::take(&mut self.observed),
            suspension: self.memory.suspension.take(),
            unapplied: Unapplied::default(),
        });
        self.row.remote_id = None;
        self.doubt = Doubt::Read;
        self.has_looked = false;
        Ok(if self.store_preparation().await? { Step::NextRound } else { self.changed_meanwhile() })
    }

    /// Frees what the old account has and the new one needs. `None` once it is free.
    pub(super) async fn make_way(&mut self, account: &Account) -> Result<Option<Step>, StoreError> {
        let Some(replaced) = &self.memory.replaced else { return Ok(None) };
        let calls = self.target.connector.make_way(&replaced.observed, account);
        if calls.is_empty() {
            return Ok(None);
        }
        for call in &calls {
            match self.send_to_old(call).await? {
                None => {}
                // Nobody is in the way any more.
                Some(Err(TargetError::Missing)) => return Ok(None),
                Some(Err(error)) => return Ok(Some(Step::from(self.failed(&error, false)))),
                Some(Ok(end)) => return Ok(Some(Step::from(end))),
            }
        }
        if !self.store_preparation().await? {
            return Ok(Some(self.changed_meanwhile()));
        }
        let lag = self.target.settings.settle_lag;
        Ok((!lag.is_zero()).then(|| {
            let reason = plain_reason("settling", "the old account makes way; the new one is made once that must show");
            let at = later(self.bridge.clock.now(), lag);
            Step::from(End::Again { at, state: AccountState::Due, reason, counts: false })
        }))
    }

    /// Whether the old account can be the account again: there is no new one, and none may have been made.
    fn is_without_new_account(&self) -> bool {
        let is_there = self.row.remote_id.is_some() || self.observed.existence == Existence::Present;
        self.memory.replaced.is_some() && !is_there && self.doubt != Doubt::Create
    }

    /// The old account is the account again.
    fn take_back(&mut self) {
        let Some(replaced) = self.memory.replaced.take() else { return };
        self.row.remote_id = Some(replaced.remote_id);
        self.observed = replaced.observed;
        self.memory.suspension = replaced.suspension;
        self.memory.creating = None;
        self.doubt = Doubt::Read;
        self.has_looked = false;
        self.search = false;
    }

    /// Whoever leaves before a new account was made, leaves with the old one. True: judge again.
    pub(super) fn leaves_with_old_account(&mut self) -> bool {
        if self.is_without_new_account() {
            self.take_back();
            return true;
        }
        false
    }

    /// No new account can be made: the old one stays, and is put right as far as its key allows before the row is parked.
    pub(super) fn stays_with_old_account(&mut self, end: &End) -> bool {
        let End::Parked { reason, .. } = end else { return false };
        if !self.is_without_new_account() {
            return false;
        }
        let (wanted, reason) = (self.row.wanted, reason.clone());
        self.memory.not_replaced = Some(NotReplaced { wanted, reason, quotes_target: self.quotes_target });
        self.take_back();
        true
    }

    /// Why the account has the old key still, if a new one was refused.
    pub(super) fn refused_replacement(&mut self) -> Option<Reason> {
        let refused = self.memory.not_replaced.as_ref()?;
        self.quotes_target |= refused.quotes_target;
        Some(refused.reason.clone())
    }

    /// The new account has come to rest: now the old one goes.
    pub(super) async fn retire_old(&mut self, end: End) -> Result<Step, StoreError> {
        let (Some(replaced), End::Done { state, reason, natural_key, proof }) = (self.memory.replaced.clone(), end)
        else {
            return Ok(Step::from(self.lost_track()));
        };
        let presence = match self.target.settings.on_delete {
            Deprovision::Suspend => Presence::Suspended,
            Deprovision::Delete => Presence::Absent,
            Deprovision::Keep => return Ok(self.is_retired(End::Done { state, reason, natural_key, proof })),
        };
        let keys = AccountKeys { remote_id: Some(replaced.remote_id.clone()), ..AccountKeys::default() };
        if !self.keep_lease().await? {
            return Ok(Step::from(End::LeaseLost));
        }
        let started = self.bridge.clock.now();
        let Some(seen) = self.observe(&keys).await? else { return Ok(Step::from(End::LeaseLost)) };
        self.note("observe", &serde_json::Value::Null, started, seen.as_ref().err());
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => return Ok(Step::from(self.failed(&error, false))),
        };
        self.answered();
        if seen.existence != Existence::Present || !self.is_old_account(&replaced, &seen).await? {
            return Ok(self.is_retired(End::Done { state, reason, natural_key, proof }));
        }
        let kept = replaced.suspension.as_ref();
        let made = self.secrets.made();
        let wanted = Wanted { presence, account: None, keys: &keys, kept, secrets_changed: false, made: &made };
        let plan = self.target.connector.plan(&wanted, &seen);
        if plan.calls.is_empty() {
            let Some(task) = task_reason(&plan) else {
                return Ok(self.is_retired(End::Done { state, reason, natural_key, proof }));
            };
            self.task_fields.extend(plan.tasks.iter().flat_map(|task| task.fields.iter().cloned()));
            let text = reason.as_ref().map_or_else(|| task.text.clone(), |own| format!("{}; {}", own.text, task.text));
            let reason = Some(Reason { text, ..reason.unwrap_or(task) });
            return Ok(Step::from(End::Done { state: AccountState::Task, reason, natural_key, proof }));
        }
        if let Some(replaced) = &mut self.memory.replaced {
            replaced.observed = seen;
            replaced.suspension = replaced.suspension.take().or_else(|| plan.keep.clone());
        }
        self.make_secrets(&plan);
        if !self.store_preparation().await? {
            return Ok(self.changed_meanwhile());
        }
        for call in &plan.calls {
            match self.send_to_old(call).await? {
                None | Some(Err(TargetError::Missing)) => {}
                Some(Err(error)) => return Ok(Step::from(self.failed(&error, false))),
                Some(Ok(end)) => return Ok(Step::from(end)),
            }
        }
        if self.memory.replaced.as_mut().is_some_and(|replaced| replaced.unapplied.once_more()) {
            let text =
                "the target accepts the removal of the replaced account and does not carry it out; act there by hand";
            return Ok(Step::from(End::Parked { reason: plain_reason("not-applied", text), candidate: None }));
        }
        let lag = self.target.settings.settle_lag;
        Ok(if lag.is_zero() { Step::NextRound } else { Step::from(self.verify_later(lag)) })
    }

    /// The old account is gone. If the key has changed once more meanwhile, the new account is the next one to be replaced.
    fn is_retired(&mut self, end: End) -> Step {
        self.memory.replaced = None;
        if self.is_rekeyed && self.is_to_be_replaced() {
            return Step::NextRound;
        }
        Step::from(end)
    }

    fn lost_track(&self) -> End {
        let reason = plain_reason("changed", "the account changed meanwhile");
        End::Again { at: self.bridge.clock.now(), state: AccountState::Due, reason, counts: true }
    }

    /// Whether the account with the old remote id is still the one that we had: a PBX may have given its extension to
    /// somebody else since, and so may this bridge.
    async fn is_old_account(&self, replaced: &Replaced, seen: &Observed) -> Result<bool, StoreError> {
        let (tenant, target) = (&self.tenant.name, &self.target.name);
        let holder = self.bridge.store.read(|db| db.account_by_remote_id(tenant, target, &replaced.remote_id)).await?;
        if holder.is_some_and(|holder| holder.resource != self.row.resource) {
            return Ok(false);
        }
        let text = |observed: &Observed, name: &str| {
            observed.fields.get(name).and_then(serde_json::Value::as_str).map(str::to_lowercase)
        };
        let mut unique = self.target.rules.schema().fields.iter().filter(|field| field.unique && !field.natural_key);
        Ok(unique.all(|field| match (text(seen, &field.name), text(&replaced.observed, &field.name)) {
            (Some(seen), Some(known)) => seen == known,
            _ => true,
        }))
    }

    /// Sends one call to the old account. `None` when it succeeded; else its error, or that the lease is lost.
    async fn send_to_old(&mut self, call: &Call) -> Result<Option<Result<End, TargetError>>, StoreError> {
        if !self.keep_lease().await? {
            return Ok(Some(Ok(End::LeaseLost)));
        }
        let effect = match (self.carry(call).await?, &call.if_refused) {
            (Ok(effect), _) => effect,
            (Err(TargetError::Refused { .. } | TargetError::Conflict { .. }), Some(effect)) => effect.clone(),
            (Err(error), _) => return Ok(Some(Err(error))),
        };
        self.answered();
        if let Some(replaced) = &mut self.memory.replaced {
            replaced.observed.apply(&effect);
            replaced.suspension.iter_mut().for_each(|kept| kept.extend(effect.kept.clone()));
        }
        Ok(None)
    }
}
