//! PUT, PATCH and DELETE (DESIGN, section 6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bridge_store::{Account as Row, AccountState, Resource, ResourceState, StoreError};
use jiff::Timestamp;
use scim_model::bulk::Change;
use scim_model::{Context, Document, Draft, ResourceType, accept};
use serde_json::Value;

use super::judge::{Judged, Surroundings, dismiss, judge, refuse};
use super::open::Answered;
use super::transaction::{Consequences, Failure, Stored, concerns, taken_error};
use super::view::show;
use super::wait::{self, Waited};
use super::{
    Ask, Shown, check_version, groups, journal, live, meant_by_replace, resource_type_of, surroundings, tenant,
    understood,
};
use crate::alerts::{Alert, AlertKind, REFUSED, Subject};
use crate::bridge::Bridge;
use crate::error::{ApiError, Refusal};
use crate::landscape::{Target, Tenant};

/// A race on the version reads, changes and judges again so many times.
pub(super) const TRIES: usize = 5;

/// PUT.
///
/// # Errors
/// Those of [`super::create`], 404 for an unknown id, 412 if `if_match` names another version.
pub async fn replace(
    bridge: &Bridge,
    ask: &Ask<'_>,
    id: &str,
    body: Value,
    if_match: Option<&str>,
) -> Result<Shown, ApiError> {
    write(bridge, ask, id, Change::Replace(body), if_match).await
}

/// PATCH.
///
/// # Errors
/// Those of [`replace`].
pub async fn patch(
    bridge: &Bridge,
    ask: &Ask<'_>,
    id: &str,
    body: Value,
    if_match: Option<&str>,
) -> Result<Shown, ApiError> {
    write(bridge, ask, id, Change::Patch(body), if_match).await
}

/// DELETE. The resource is gone for clients at once; its accounts follow.
///
/// # Errors
/// 404 for an unknown id, 412 if `if_match` names another version.
pub async fn delete(bridge: &Bridge, ask: &Ask<'_>, id: &str, if_match: Option<&str>) -> Result<(), ApiError> {
    write(bridge, ask, id, Change::Delete, if_match).await.map(drop)
}

async fn write(
    bridge: &Bridge,
    ask: &Ask<'_>,
    id: &str,
    change: Change,
    if_match: Option<&str>,
) -> Result<Shown, ApiError> {
    let tenant = tenant(bridge, ask.caller)?;
    let kind = resource_type_of(&tenant, ask.resource_type)?;
    if kind.has_members() {
        return groups::change(bridge, ask, &tenant, kind, id, &change, if_match).await;
    }
    let masked = change.body().map(|body| journal::mask_secrets(&tenant.secrets, body)).transpose()?;
    let task = Task::Change(change);
    Update { bridge, ask, tenant: &tenant, kind, id, task, if_match, masked }.run().await
}

/// Nobody gets a turn at the resource.
pub(super) fn too_busy() -> ApiError {
    ApiError::Unavailable {
        detail: "The resource is being changed by several requests at once; try again".to_owned(),
        retry_after_s: 1,
    }
}

/// Attributes that decide who somebody is and what they may do, so that nobody changes them of themselves. Every extension is
/// one of them: rules make scopes, roles and extensions of what stands there.
const NOT_BY_ONESELF: [&str; 6] = ["userName", "externalId", "active", "userType", "roles", "entitlements"];

/// 403 if a user changes what only an identity provider may change of a user (`/Me`, RFC 7644 section 3.11).
fn check_own_change(current: &Document, draft: &Draft) -> Result<(), ApiError> {
    let (before, after) = (current.as_map(), draft.document.as_map());
    let changed = before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name));
    let is_guarded = |name: &&String| NOT_BY_ONESELF.contains(&name.as_str()) || name.starts_with("urn:");
    match changed.chain(draft.secrets.keys()).find(is_guarded) {
        None => Ok(()),
        Some(name) => Err(ApiError::Forbidden(format!("Nobody changes their own {name}: ask the identity provider"))),
    }
}

/// A POST that takes up an inactive user: what was sent replaces the document, as a PUT does, and a refusal leaves the user
/// as inactive as before.
pub(super) async fn take_up(
    bridge: &Bridge,
    ask: &Ask<'_>,
    tenant: &Arc<Tenant>,
    kind: &ResourceType,
    id: &str,
    draft: Draft,
    masked: &str,
) -> Result<Shown, ApiError> {
    let task = Task::TakeUp(draft);
    Update { bridge, ask, tenant, kind, id, task, if_match: None, masked: Some(masked.to_owned()) }.run().await
}

/// What an update is to do.
enum Task {
    /// What a PUT, PATCH or DELETE says.
    Change(Change),
    /// What a POST says of a user who is inactive.
    TakeUp(Draft),
}

struct Update<'a> {
    bridge: &'a Bridge,
    ask: &'a Ask<'a>,
    tenant: &'a Arc<Tenant>,
    kind: &'a ResourceType,
    id: &'a str,
    task: Task,
    if_match: Option<&'a str>,
    masked: Option<String>,
}

/// What an update starts from.
struct Basis {
    resource: Resource,
    rows: Vec<Row>,
}

/// A change that is stored.
struct Changed {
    resource: Resource,
    /// Targets at which the account was refused before this change.
    parked_before: BTreeSet<String>,
    stored: Stored,
}

impl Update<'_> {
    async fn run(&self) -> Result<Shown, ApiError> {
        let answer = match self.store_in_turn().await {
            Ok(changed) => self.converge(changed).await,
            Err(why) => Err(why),
        };
        if let Err(why) = &answer {
            journal::denied(self.bridge, self.ask.caller, self.ask.received, self.masked.clone(), why).await;
        }
        answer
    }

    /// Waits for the accounts; a refusal by a required target restores what was in force before.
    async fn converge(&self, Changed { resource, parked_before, stored }: Changed) -> Result<Shown, ApiError> {
        stored.rung.iter().for_each(|target| target.lane.ring());
        let patience = self.ask.received.patience(self.bridge);
        // Who goes before the end, or cannot wait, answers nothing: no later refusal may go back behind this write.
        let leaver = self.bridge.unanswered.unless_stayed(resource.key);
        let waited = wait::for_accounts(self.bridge, self.tenant, resource.key, &parked_before, patience).await?;
        leaver.stays();
        match waited {
            Waited::Refused(refusal) if resource.has_access() => {
                match self.restore(&resource).await {
                    Ok(()) => {}
                    // Somebody has the old userName by now, or a key: the refusal is what the client is told all the same. It
                    // takes the change for undone, which it is not, so a person is called.
                    Err(ApiError::Taken { .. } | ApiError::Refused(_)) => self.call_a_person(&resource, &refusal),
                    Err(why) => return Err(why),
                }
                Err(refusal.into())
            }
            // A write that leaves the user inactive, and a delete, is never refused.
            Waited::Refused(_) | Waited::Answerable => self.answer(resource, stored.shown).await,
        }
    }

    /// The resource as it is now, or as it was written if nobody waited; from here on its document is one that was answered.
    async fn answer(&self, resource: Resource, shown: Option<Shown>) -> Result<Shown, ApiError> {
        if let Some(shown) = shown
            && self.bridge.unanswered.last_answered(resource.key).is_none()
        {
            return Ok(shown);
        }
        let read = self.bridge.store.read(|db| {
            let now = db.resource_by_key(resource.key)?.unwrap_or_else(|| resource.clone());
            let shown = show(db, self.tenant, self.kind, &now, self.ask.view)?;
            Ok::<_, StoreError>((now, shown))
        });
        let (now, shown) = read.await?;
        if now.version == resource.version || now.state != ResourceState::Live {
            self.bridge.unanswered.end(resource.key);
        } else {
            let answered = Answered { document: resource.document.clone(), active: resource.active };
            self.bridge.unanswered.answered(resource.key, answered);
        }
        Ok(shown)
    }

    async fn store_in_turn(&self) -> Result<Changed, ApiError> {
        let _turn = self.bridge.locks.turn(self.id).await;
        for _ in 0..TRIES {
            match self.store().await {
                Ok(changed) => return Ok(changed),
                Err(Failure::Refused(why)) => return Err(why),
                Err(Failure::Again) => {}
            }
        }
        Err(too_busy())
    }

    async fn store(&self) -> Result<Changed, Failure> {
        let basis = self.bridge.store.read(|db| self.basis(db)).await?;
        check_version(&basis.resource, self.if_match, self.ask.if_none_match)?;
        let kind = self.kind;
        let current = &basis.resource.document;
        let draft = match &self.task {
            Task::TakeUp(_) if basis.resource.active => return Err(taken_error("userName").into()),
            Task::TakeUp(draft) => Ok(draft.clone()),
            Task::Change(Change::Delete) => return self.store_delete(basis).await,
            Task::Change(Change::Replace(body)) => {
                accept(kind, body.clone(), Context::Replace { current, id: self.id })
            }
            Task::Change(Change::Patch(body)) => {
                scim_model::patch(kind, current, self.id, body, meant_by_replace(self.ask, self.tenant))
            }
        };
        let draft = understood(self.ask, self.tenant, draft.map_err(ApiError::Scim)?)?;
        if self.ask.caller.user.is_some() {
            check_own_change(current, &draft)?;
        }
        self.store_draft(basis, draft).await
    }

    async fn store_draft(&self, basis: Basis, draft: Draft) -> Result<Changed, Failure> {
        let is_unchanged = draft.document == basis.resource.document && draft.secrets.is_empty();
        let supplied = draft.secrets.keys().cloned().collect();
        let (judged, around) = self.judge(&basis, &draft.document, supplied).await?;
        let Basis { resource, rows } = basis;
        // The same again may mean something else by now: other rules, a new target.
        let is_idle = || rows.iter().all(is_at_rest) && !judged.iter().any(|judged| concerns(&resource, judged, &rows));
        if is_unchanged && is_idle() {
            self.bridge.connections.heard(self.ask.caller, self.ask.received, &draft.notes);
            let stored = Stored { rung: Vec::new(), shown: None };
            return Ok(Changed { resource, parked_before: BTreeSet::new(), stored });
        }
        let is_active = draft.document.is_active();
        if is_active {
            refuse(&judged, &around)?;
        }
        let values = self.bridge.store.indexed_values(&self.tenant.name, self.kind, &draft.document);
        let now = self.bridge.clock.now();
        let (action, status) = match &self.task {
            Task::TakeUp(_) => ("take-up", 201),
            Task::Change(_) => ("update", 200),
        };
        let masked = self.masked.clone();
        let entry = journal::entry(self.ask.caller, self.ask.received, masked, &draft.notes, status, now);
        let before = Answered { document: resource.document.clone(), active: resource.active };
        let (key, version, document, notes) = (resource.key, resource.version, draft.document, draft.notes);
        let consequences = Consequences {
            supplied: draft.secrets,
            entry: Some(entry),
            shows: self.ask.received.patience(self.bridge).is_zero().then_some(self.ask.view),
            ..self.consequences(action, judged, around, now)
        };
        let changed = self
            .bridge
            .store
            .write(move |tx| {
                let resource = if is_unchanged {
                    tx.resource_by_key(key)?.filter(|now| now.version == version).ok_or(Failure::Again)?
                } else {
                    tx.update_resource(key, version, &document, &values, is_active, now)?
                };
                let stored = consequences.store(tx, &resource)?;
                Ok::<_, Failure>((resource, stored))
            })
            .await;
        let (resource, stored) = changed?;
        self.bridge.connections.heard(self.ask.caller, self.ask.received, &notes);
        if !is_unchanged && !self.ask.received.patience(self.bridge).is_zero() {
            self.bridge.unanswered.begin(key, before);
        }
        Ok(Changed { resource, parked_before: parked(&rows), stored })
    }

    async fn store_delete(&self, basis: Basis) -> Result<Changed, Failure> {
        let Basis { resource, rows } = basis;
        let now = self.bridge.clock.now();
        let (judged, around) = (dismiss(self.tenant), Surroundings::default());
        let entry = journal::entry(self.ask.caller, self.ask.received, None, &[], 204, now);
        let consequences = Consequences { entry: Some(entry), ..self.consequences("delete", judged, around, now) };
        let (key, version) = (resource.key, resource.version);
        let deleted = Resource { state: ResourceState::Deleted, ..resource };
        let changed = self
            .bridge
            .store
            .write(move |tx| {
                if !tx.set_resource_state(key, version, ResourceState::Deleted, now)? {
                    return Err(Failure::Again);
                }
                let stored = consequences.store(tx, &deleted)?;
                groups::leave_groups(tx, &deleted, now)?;
                Ok((deleted.clone(), stored))
            })
            .await;
        let (resource, stored) = changed?;
        Ok(Changed { resource, parked_before: parked(&rows), stored })
    }

    fn basis(&self, db: &bridge_store::Db<'_>) -> Result<Basis, Failure> {
        let found = db.resource_by_id(&self.tenant.name, &self.kind.name, self.id)?;
        let resource = live(found, &self.kind.name, self.id)?;
        let rows = db.accounts_of(resource.key)?;
        Ok(Basis { resource, rows })
    }

    /// What the document means for every target, and what that was judged with. Of who leaves nothing more has to be known.
    async fn judge(
        &self,
        Basis { resource, rows }: &Basis,
        document: &Document,
        supplied: BTreeSet<String>,
    ) -> Result<(Vec<Judged>, Surroundings), StoreError> {
        if !document.is_active() {
            return Ok((dismiss(self.tenant), Surroundings::default()));
        }
        let now = self.bridge.clock.now();
        let around = self.bridge.store.read(|db| surroundings(db, self.tenant, resource, rows, now)).await?;
        let around = Surroundings { supplied, ..around };
        Ok((judge(self.tenant, &resource.id, document, &around), around))
    }

    /// An update that a required target refused: the last document that was answered 2xx is in force again. If another
    /// write came in between, that one stands.
    async fn restore(&self, refused: &Resource) -> Result<(), ApiError> {
        let Some(before) = self.bridge.unanswered.last_answered(refused.key) else { return Ok(()) };
        let _turn = self.bridge.locks.turn(self.id).await;
        for _ in 0..TRIES {
            match self.store_restored(refused, before.clone()).await {
                Ok(Some(rung)) => {
                    self.bridge.unanswered.end(refused.key);
                    rung.iter().for_each(|target| target.lane.ring());
                    return Ok(());
                }
                Ok(None) => return Ok(()),
                // A membership that came or went in between changes nothing of the document.
                Err(Failure::Again) => {}
                Err(Failure::Refused(why)) => return Err(why),
            }
        }
        Err(too_busy())
    }

    /// Rings for an account that was refused, as if nobody had told.
    fn call_a_person(&self, resource: &Resource, refusal: &Refusal) {
        self.bridge.alerts.ring(Alert {
            kind: AlertKind::Parked,
            tenant: self.tenant.name.clone(),
            subject: Subject::Target(refusal.target.clone()),
            resource: Some(resource.id.clone()),
            remote_id: None,
            code: refusal.code.clone(),
            fields: refusal.field.iter().cloned().collect(),
            text: REFUSED.to_owned(),
            at: self.bridge.clock.now(),
        });
    }

    /// `None` if another write came in between.
    async fn store_restored(&self, refused: &Resource, before: Answered) -> Result<Option<Vec<Arc<Target>>>, Failure> {
        let basis = self.bridge.store.read(|db| self.basis(db)).await?;
        if basis.resource.version != refused.version {
            return Ok(None);
        }
        let (judged, around) = self.judge(&basis, &before.document, BTreeSet::new()).await?;
        let resource = basis.resource;
        let values = self.bridge.store.indexed_values(&self.tenant.name, self.kind, &before.document);
        let now = self.bridge.clock.now();
        let consequences = self.consequences("restore", judged, around, now);
        let (key, version) = (resource.key, resource.version);
        self.bridge
            .store
            .write(move |tx| {
                let resource = tx.update_resource(key, version, &before.document, &values, before.active, now)?;
                consequences.store(tx, &resource).map(|stored| Some(stored.rung))
            })
            .await
    }

    /// What this write stores beside the resource, without secrets and journal entry.
    fn consequences(
        &self,
        action: &'static str,
        judged: Vec<Judged>,
        around: Surroundings,
        now: Timestamp,
    ) -> Consequences {
        Consequences {
            tenant: self.tenant.clone(),
            judged,
            around,
            guess: None,
            supplied: BTreeMap::new(),
            sealer: self.bridge.sealer.clone(),
            entry: None,
            actor: self.ask.caller.connection.clone(),
            action,
            refuses: true,
            shows: None,
            now,
        }
    }
}

/// Nothing is to be done for this account, and nothing would come of trying again.
fn is_at_rest(row: &Row) -> bool {
    match row.state {
        AccountState::Settled | AccountState::Task | AccountState::OutOfScope | AccountState::HandedOver => {
            row.applied >= row.wanted
        }
        AccountState::Waiting | AccountState::Due | AccountState::Held | AccountState::Parked => false,
    }
}

fn parked(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().filter(|row| row.state == AccountState::Parked).map(|row| row.target.clone()).collect()
}
