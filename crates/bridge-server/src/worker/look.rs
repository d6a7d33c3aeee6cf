//! Looking an account up and deciding whose it is, before and between the calls (DESIGN, section 7, "Adoption").

use std::collections::BTreeMap;

use bridge_connectors::{AccountKeys, Existence, Observed, Presence, TargetError};
use bridge_mapping::{Account, FieldValue, Mapping};
use bridge_store::{AccountState, Doubt, StoreError};
use serde_json::Value;

use super::duty::{self, plain_reason};
use super::found::{self, Found, Inquiry};
use super::holder;
use super::memory::Before;
use super::pool;
use super::work::{End, FOREIGN, LEASE, Step, Work, candidate};
use crate::clock::later;

impl Work<'_> {
    /// Whether the account must be seen before anything is written (DESIGN, section 7).
    pub(super) fn must_look(&self) -> bool {
        if self.has_looked {
            return false;
        }
        let reads_first = self.target.connector.traits().read_first && self.observed.existence == Existence::Unknown;
        self.doubt != Doubt::None || reads_first
    }

    /// Whether a suspension that has to repeat a name repeats the wanted one: what was read may be the account before our own
    /// last write, which may have reached it, and would be taken back. Who leaves is suspended all the same, under the name
    /// that was read where the target takes no other.
    pub(super) fn must_repeat_wanted(&self, presence: Presence, mapping: &Mapping) -> bool {
        let shows = |written| self.bridge.clock.now() >= later(written, self.target.settings.settle_lag);
        let is_read_too_early = self.has_looked && !self.last_write_at.is_none_or(shows);
        let is_takeable = !self.repeats_read && duty::refusals(mapping).next().is_none();
        presence == Presence::Suspended && is_read_too_early && is_takeable
    }

    /// Looks the account up and decides whose it is. `None` when work goes on with what was seen.
    pub(super) async fn look(
        &mut self,
        presence: Presence,
        keys: &AccountKeys,
        mapping: &Mapping,
    ) -> Result<Option<Step>, StoreError> {
        if !self.keep_lease().await? {
            return Ok(Some(Step::from(End::LeaseLost)));
        }
        let started = self.bridge.clock.now();
        let seen = match self.observe(keys).await? {
            Some(seen) => seen,
            None => return Ok(Some(Step::from(End::LeaseLost))),
        };
        self.note("observe", &Value::Null, started, seen.as_ref().err());
        let seen = match seen {
            // The account that is being replaced is not the one that takes its place.
            Ok(seen)
                if self.memory.replaced.as_ref().is_some_and(|old| seen.remote_id.as_ref() == Some(&old.remote_id)) =>
            {
                Observed::absent()
            }
            Ok(seen) => seen,
            Err(error) => return Ok(Some(Step::from(self.failed(&error, false)))),
        };
        self.answered();
        self.has_looked = true;
        let pooled = pool::of_natural_key(&self.target.rules, mapping);
        let holder = self.holder(&seen, &mapping.account).await?;
        let inquiry = Inquiry {
            linked: self.row.remote_id.as_deref(),
            held: holder.is_some(),
            doubt: self.doubt,
            pooled: pooled.is_some(),
            adopt: self.target.settings.adopt,
            last_write_at: self.last_write_at,
            settle_lag: self.target.settings.settle_lag,
            presence,
            now: self.bridge.clock.now(),
        };
        let verdict = match found::whose(&seen, &inquiry) {
            // Whatever the rule: what another user of this bridge has is not taken over.
            Found::Adopt if holder.is_some() => Found::Review,
            verdict => verdict,
        };
        if let Some(why) = &seen.unmanageable
            && verdict != Found::Nobody
        {
            let reason = plain_reason("unmanageable", why.clone());
            return Ok(Some(Step::from(End::Parked { reason, candidate: candidate(&seen) })));
        }
        if let Some(holder) = holder.filter(|_| presence == Presence::Active)
            && (verdict == Found::Review || (verdict == Found::Stranger && holder::is_unfinished(&holder)))
        {
            return self.held(&holder, candidate(&seen)).await.map(Some);
        }
        let step = match verdict {
            Found::Nobody => {
                self.row.remote_id = None;
                self.see(Observed::absent());
                // What is to be given back and is not there any more is not made again.
                self.memory.to_give_back(&self.resource).map(|_| Step::NextRound)
            }
            Found::Ours => {
                self.see(seen);
                None
            }
            Found::Adopt => match self.value_of_another(&seen, pooled.as_deref(), mapping).await? {
                Some(step) => Some(step),
                None => {
                    self.adopt(seen, pooled, mapping);
                    Some(Step::NextRound)
                }
            },
            Found::TooEarly(at) => {
                let reason = plain_reason("settling", "a write may not show yet; the account is looked up again");
                Some(Step::from(End::Again { at, state: AccountState::Due, reason, counts: false }))
            }
            // Whoever it is, it is not an account of ours: nothing of ours is left to suspend or remove.
            Found::Review | Found::Stranger | Found::Foreign if presence != Presence::Active => {
                self.row.remote_id = None;
                self.see(Observed::absent());
                None
            }
            Found::Foreign => match pooled {
                Some(pool) => return self.take_another(&pool).await.map(Some),
                None => None,
            },
            Found::Review => {
                let which = seen.remote_id.as_ref().map(|id| format!(" (remote id {id})")).unwrap_or_default();
                let text = format!(
                    "an account with these keys{which} was there before; decide with `account release` or `link set`"
                );
                let reason = plain_reason("review", text);
                Some(Step::from(End::Parked { reason, candidate: candidate(&seen) }))
            }
            Found::Stranger => {
                let reason = plain_reason("conflict", "an account with these keys belongs to somebody else");
                Some(Step::from(End::Parked { reason, candidate: candidate(&seen) }))
            }
        };
        Ok(step)
    }

    /// Reads the account, however many pages that takes; the lease is renewed meanwhile. `None`: the lease is lost.
    pub(super) async fn observe(
        &mut self,
        keys: &AccountKeys,
    ) -> Result<Option<Result<Observed, TargetError>>, StoreError> {
        let target = self.target;
        let mut reading = target.connector.observe(keys);
        loop {
            let renewal = later(self.bridge.clock.now(), LEASE / 2);
            tokio::select! {
                seen = &mut reading => return Ok(Some(seen)),
                () = self.bridge.clock.sleep_until(renewal) => {
                    if !self.renew_lease(LEASE).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Takes over what was seen: there is no doubt any more.
    fn see(&mut self, seen: Observed) {
        if seen.existence == Existence::Present {
            // Linked by hand: what was there before us is remembered, and its log-in is left alone.
            if self.row.digest.is_none() && self.row.observed.is_none() && self.row.remote_id.is_some() {
                self.memory.adopted.get_or_insert_with(|| Before::of(&seen, &self.resource));
                self.memory.first_contact = true;
            }
            self.row.remote_id.clone_from(&seen.remote_id);
        }
        self.observed = seen;
        self.doubt = Doubt::None;
        self.search = false;
    }

    /// What comes of an account that cannot be taken over, because the pool value that it has is another user's.
    async fn value_of_another(
        &self,
        seen: &Observed,
        pooled: Option<&str>,
        mapping: &Mapping,
    ) -> Result<Option<Step>, StoreError> {
        let field = &self.target.rules.schema().natural_key().name;
        let own =
            seen.fields.get(field).and_then(Value::as_str).filter(|own| mapping.account.text(field) != Some(*own));
        let (Some(pool), Some(own)) = (pooled, own) else { return Ok(None) };
        let held = self.bridge.store.read(|db| db.assignment(&self.tenant.name, pool, own)).await?;
        let holder = held.and_then(|held| held.resource).filter(|holder| *holder != self.row.resource);
        let Some(holder) = holder else { return Ok(None) };
        let holder = self.bridge.store.read(|db| db.resource_by_key(holder)).await?;
        let holder = holder.ok_or(StoreError::NotFound("resource"))?;
        let text = format!("the account with these keys has the {pool} {own}: {}", holder::who_holds_it(&holder));
        let reason = plain_reason(holder::LINKED_ELSEWHERE, text);
        Ok(Some(Step::from(End::Parked { reason, candidate: candidate(seen) })))
    }

    /// Makes an account that was there before ours. A pool value gives way to the account's own.
    fn adopt(&mut self, seen: Observed, pooled: Option<String>, mapping: &Mapping) {
        self.memory.adopted = Some(Before::of(&seen, &self.resource));
        self.memory.first_contact = true;
        let field = &self.target.rules.schema().natural_key().name;
        if let Some(pool) = pooled
            && let Some(own) = seen.fields.get(field).and_then(Value::as_str)
            && mapping.account.text(field) != Some(own)
        {
            self.assigned.insert(pool.clone(), own.to_owned());
            self.changed_pools.insert(pool.clone());
            self.adopted_value = Some((pool, own.to_owned()));
        }
        self.row.remote_id.clone_from(&seen.remote_id);
        self.observed = seen;
        self.doubt = Doubt::None;
        self.search = false;
    }

    /// Never rewrite log-in fields on first contact.
    pub(super) fn without_log_in(&self, mut account: Account) -> Account {
        let schema = self.target.rules.schema();
        account.fields.retain(|name, _| schema.field(name).is_none_or(|field| !field.natural_key && !field.unique));
        account
    }

    /// The pool's value belongs to somebody we do not know: marks it and takes the next, in the same delivery.
    async fn take_another(&mut self, pool: &str) -> Result<Step, StoreError> {
        if self.foreign == FOREIGN {
            let text =
                format!("{FOREIGN} values of the pool {pool} in a row belong to somebody else; look at its ranges");
            return Ok(Step::from(End::Parked { reason: plain_reason("pool-foreign", text), candidate: None }));
        }
        self.foreign += 1;
        match pool::replace_foreign(self.bridge, self.tenant, &self.resource, pool).await {
            Ok(value) => {
                self.assigned.insert(pool.to_owned(), value);
                self.changed_pools.insert(pool.to_owned());
                self.has_looked = false;
                self.doubt = Doubt::Read;
                Ok(Step::NextRound)
            }
            Err(StoreError::PoolEmpty { pool }) => Ok(Step::from(pool::empty(&pool))),
            Err(error) => Err(error),
        }
    }

    /// What the account can be found by.
    pub(super) fn keys(&self, account: Option<&Account>) -> AccountKeys {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.observed.fields {
            if let Value::String(text) = value {
                fields.insert(name.clone(), text.clone());
            }
        }
        for (name, value) in account.iter().flat_map(|account| &account.fields) {
            if let FieldValue::Plain(Value::String(text)) = value {
                fields.insert(name.clone(), text.clone());
            }
        }
        // What a create was sent with is what a lost account is found by, whatever the resource says by now.
        if self.doubt == Doubt::Create
            && let Some(creating) = &self.memory.creating
        {
            fields.extend(creating.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let natural_key = &self.target.rules.schema().natural_key().name;
        if let Some(key) = &self.row.natural_key
            && !fields.contains_key(natural_key)
        {
            fields.insert(natural_key.clone(), key.clone());
        }
        AccountKeys {
            remote_id: self.row.remote_id.clone(),
            fields,
            marker: self.resource.id.clone(),
            search: self.search,
        }
    }

    /// A create was refused. If an account with our keys is there after all, work goes on with it; else the refusal stands.
    pub(super) async fn look_after_refusal(&mut self, refusal: &TargetError) -> Result<Option<Step>, StoreError> {
        let mapping = self.map();
        let keys = self.keys(Some(&mapping.account));
        if let Some(step) = self.look(Presence::Active, &keys, &mapping).await? {
            return Ok(Some(step));
        }
        match self.observed.existence {
            Existence::Present => Ok(Some(Step::NextRound)),
            Existence::Absent | Existence::Unknown => Ok(Some(Step::from(self.failed(refusal, false)))),
        }
    }
}
