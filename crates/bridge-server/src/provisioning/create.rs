//! POST: a new resource, or an old one taken up again (DESIGN, section 6, steps 4 to 6, and section 7, "Adoption").
//!
//! Who has the userName or, on the same connection, the externalId of a live user is not made a second time: 409, or with
//! `restore_on_create` the inactive user is taken up (`okta.md` section 4.5; `interop-cases.md` case 57 and section G).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bridge_store::{Db, IndexedValue, NewResource, Resource, ResourceState, StoreError, Tx};
use scim_model::{Context, Draft, ResourceType, accept};
use serde_json::Value;
use uuid::Uuid;

use super::guess::Guess;
use super::judge::{Surroundings, judge, refuse};
use super::open::{CreateKey, Place};
use super::transaction::{Consequences, Failure, Stored, audit, taken_error};
use super::view::show;
use super::wait::{self, Waited};
use super::{Ask, Shown, group_refs, groups, journal, resource_type_of, tenant, understood};
use crate::bridge::Bridge;
use crate::error::ApiError;
use crate::landscape::Tenant;

/// A race on the same resource is run again so many times.
const TRIES: usize = 5;

/// The attributes by which an identity provider tells who somebody is.
const IDENTITY: [&str; 2] = ["userName", "externalId"];

/// Creates a resource and its accounts.
///
/// # Errors
/// 400 what the schemas or a required target do not take, 409 a userName or externalId that is taken, 503 when not now.
pub async fn create(bridge: &Bridge, ask: &Ask<'_>, body: Value) -> Result<Shown, ApiError> {
    let tenant = tenant(bridge, ask.caller)?;
    let kind = resource_type_of(&tenant, ask.resource_type)?;
    if kind.has_members() {
        return groups::create(bridge, ask, &tenant, kind, body).await;
    }
    let masked = journal::mask_secrets(&tenant.secrets, &body)?;
    let draft = accept(kind, body, Context::Create).map_err(ApiError::Scim);
    let draft = match draft.and_then(|draft| understood(ask, &tenant, draft)) {
        Ok(draft) => draft,
        Err(why) => {
            journal::denied(bridge, ask.caller, ask.received, Some(masked), &why).await;
            return Err(why);
        }
    };
    let create = Create { bridge, ask, tenant: &tenant, kind, draft, masked };
    match create.key() {
        None => create.run().await,
        Some(key) => match bridge.open_requests.open(key).await {
            Place::Joined(answer) => {
                journal::joined(bridge, ask, create.masked, &answer).await;
                answer
            }
            Place::First(first) => {
                let answer = create.run().await;
                first.answer(&answer);
                answer
            }
        },
    }
}

struct Create<'a> {
    bridge: &'a Bridge,
    ask: &'a Ask<'a>,
    tenant: &'a Arc<Tenant>,
    kind: &'a ResourceType,
    draft: Draft,
    masked: String,
}

/// What a create starts from.
struct Basis {
    /// Nobody was looked for: the write sees whether there is anybody with the same userName or externalId, or was.
    is_newcomer: bool,
    /// A rejected resource with the same userName or externalId: its row is taken up.
    rejected: Option<Resource>,
    around: Surroundings,
    /// What is expected, or learned, of pools.
    guess: Option<Guess>,
}

impl Create<'_> {
    /// What makes a repeated POST the same one: userName and externalId, both given.
    fn key(&self) -> Option<CreateKey> {
        let user_name = self.draft.document.text("userName")?.to_lowercase();
        let external_id = self.draft.document.text("externalId")?.to_owned();
        let (tenant, connection) = (self.ask.caller.tenant.clone(), self.ask.caller.connection.clone());
        Some(CreateKey { tenant, connection, user_name, external_id })
    }

    async fn run(&self) -> Result<Shown, ApiError> {
        let stored = match self.store_newcomer().await {
            Ok(stored) => Ok(stored),
            Err(Failure::Refused(why)) => Err(why),
            Err(Failure::Again) => match self.returner().await {
                Ok(Some(id)) => return self.take_up(&id).await,
                Ok(None) => self.store_with_patience().await,
                Err(why) => Err(why.into()),
            },
        };
        let answer = match stored {
            Ok((resource, stored)) => self.converge(resource, stored).await,
            Err(why) => Err(why),
        };
        if let Err(why) = &answer {
            journal::denied(self.bridge, self.ask.caller, self.ask.received, Some(self.masked.clone()), why).await;
        }
        answer
    }

    /// The id of the inactive user whose return this is, where the tenant wants that. Who has the name but another externalId is
    /// a namesake, who inherits nothing.
    async fn returner(&self) -> Result<Option<String>, StoreError> {
        if !self.tenant.restore_on_create {
            return Ok(None);
        }
        let values = self.indexed_values();
        let external_id = self.draft.document.text("externalId");
        let found = self.bridge.store.read(|db| {
            let mut live = BTreeMap::new();
            for value in identity(&values) {
                let holders =
                    db.resources_by_value(&self.tenant.name, &self.kind.name, &value.attribute, &value.value)?;
                let holders = holders.into_iter().filter(|holder| holder.state == ResourceState::Live);
                live.entry(value.unique).or_insert_with(Vec::new).extend(holders);
            }
            Ok::<_, StoreError>(live)
        });
        let mut live = found.await?;
        let mut holders = live.remove(&true).unwrap_or_default();
        if holders.is_empty() {
            holders = live.remove(&false).unwrap_or_default();
            holders.retain(|holder| holder.connection == self.ask.caller.connection);
        }
        let is_same = |holder: &Resource| {
            let known = holder.document.text("externalId");
            known.is_none() || external_id.is_none() || known == external_id
        };
        Ok(match holders.as_slice() {
            [holder] if !holder.active && is_same(holder) => Some(holder.id.clone()),
            _ => None,
        })
    }

    /// Makes the inactive user with this id what the POST says.
    async fn take_up(&self, id: &str) -> Result<Shown, ApiError> {
        super::update::take_up(self.bridge, self.ask, self.tenant, self.kind, id, self.draft.clone(), &self.masked)
            .await
    }

    /// Stores the user as one whom nobody knows, as most are: nothing is read before the write, which sees whether that is so.
    /// If it is not, or a target would refuse the user, those who are there have to be looked at first, and the user is judged
    /// beside them.
    async fn store_newcomer(&self) -> Result<(Resource, Stored), Failure> {
        let Some(guess) = Guess::of(&self.bridge.guesses, self.tenant) else { return Err(Failure::Again) };
        let around = Surroundings { assigned: guess.values().clone(), ..self.surroundings() };
        let basis = Basis { is_newcomer: true, rejected: None, around, guess: Some(guess) };
        self.store(self.indexed_values(), basis).await
    }

    /// Stores the user beside those who are there.
    async fn store_among_others(&self) -> Result<(Resource, Stored), Failure> {
        let values = self.indexed_values();
        let basis = self.bridge.store.read(|db| self.basis(db, &values)).await?;
        self.store(values, basis).await
    }

    async fn store_with_patience(&self) -> Result<(Resource, Stored), ApiError> {
        for _ in 0..TRIES {
            match self.store_among_others().await {
                Ok(stored) => return Ok(stored),
                Err(Failure::Refused(why)) => return Err(why),
                Err(Failure::Again) => {}
            }
        }
        Err(super::update::too_busy())
    }

    /// Waits for the accounts; a refusal by a required target takes the resource back.
    async fn converge(&self, resource: Resource, Stored { rung, shown }: Stored) -> Result<Shown, ApiError> {
        self.bridge.connections.heard(self.ask.caller, self.ask.received, &self.draft.notes);
        rung.iter().for_each(|target| target.lane.ring());
        // Who did not wait is told what was written.
        if let Some(shown) = shown {
            return Ok(shown);
        }
        let patience = self.ask.received.patience(self.bridge);
        let nothing_before = BTreeSet::new();
        let waited = wait::for_accounts(self.bridge, self.tenant, resource.key, &nothing_before, patience).await?;
        match waited {
            Waited::Refused(refusal) if resource.active => {
                self.reject(&resource).await?;
                Err(refusal.into())
            }
            Waited::Refused(_) | Waited::Answerable => {
                let shown = self.bridge.store.read(|db| {
                    let now = db.resource_by_key(resource.key)?.unwrap_or(resource);
                    show(db, self.tenant, self.kind, &now, self.ask.view)
                });
                Ok(shown.await?)
            }
        }
    }

    async fn store(
        &self,
        values: Vec<IndexedValue>,
        Basis { is_newcomer, rejected, around, guess }: Basis,
    ) -> Result<(Resource, Stored), Failure> {
        let document = self.draft.document.clone();
        let now = self.bridge.clock.now();
        let id = rejected.as_ref().map_or_else(|| new_id(now), |rejected| rejected.id.clone());
        let is_active = document.is_active();
        let judged = judge(self.tenant, &id, &document, &around);
        if is_active && let Err(why) = refuse(&judged, &around) {
            return Err(if is_newcomer { Failure::Again } else { why.into() });
        }
        let new = NewResource {
            tenant: self.tenant.name.clone(),
            resource_type: self.kind.name.clone(),
            id,
            document,
            values,
            active: is_active,
            connection: self.ask.caller.connection.clone(),
            now,
        };
        let entry =
            journal::entry(self.ask.caller, self.ask.received, Some(self.masked.clone()), &self.draft.notes, 201, now);
        let consequences = Consequences {
            tenant: self.tenant.clone(),
            judged,
            around,
            guess,
            supplied: self.draft.secrets.clone(),
            sealer: self.bridge.sealer.clone(),
            entry: Some(entry),
            actor: self.ask.caller.connection.clone(),
            action: "create",
            refuses: true,
            shows: self.ask.received.patience(self.bridge).is_zero().then_some(self.ask.view),
            now,
        };
        self.bridge
            .store
            .write(move |tx| {
                let resource = match &rejected {
                    _ if is_newcomer => tx.insert_newcomer(&new, &IDENTITY)?.ok_or(Failure::Again)?,
                    Some(rejected) => tx.revive(rejected.key, rejected.version, &new)?,
                    None => tx.insert_resource(&new)?,
                };
                if !is_newcomer {
                    resolve_external_id(tx, &consequences.tenant, &resource, now)?;
                }
                let stored = consequences.store(tx, &resource)?;
                Ok::<_, Failure>((resource, stored))
            })
            .await
    }

    fn indexed_values(&self) -> Vec<IndexedValue> {
        self.bridge.store.indexed_values(&self.tenant.name, self.kind, &self.draft.document)
    }

    /// What the mapping of a user reads who has nothing yet.
    fn surroundings(&self) -> Surroundings {
        Surroundings { supplied: self.draft.secrets.keys().cloned().collect(), ..Surroundings::default() }
    }

    /// Reads what the create starts from: who has its values, and the pool values it would be given.
    fn basis(&self, db: &Db<'_>, values: &[IndexedValue]) -> Result<Basis, Failure> {
        let mut rejected = None;
        let mut predecessor: Option<Resource> = None;
        for value in identity(values) {
            for found in db.resources_by_value(&self.tenant.name, &self.kind.name, &value.attribute, &value.value)? {
                match found.state {
                    ResourceState::Live if value.unique => return Err(taken_error(&value.attribute).into()),
                    ResourceState::Live => {}
                    // Another identity provider may use the same externalIds for other people.
                    _ if value.attribute == "externalId" && found.connection != self.ask.caller.connection => {}
                    ResourceState::Rejected => rejected = rejected.or(Some(found)),
                    ResourceState::Deleted if value.attribute == "externalId" => predecessor = Some(found),
                    ResourceState::Deleted => {}
                }
            }
        }
        let mut around = self.surroundings();
        let source = rejected.as_ref().or(predecessor.as_ref());
        if let Some(source) = source {
            let held = db.assignments_of(source.key)?;
            around.assigned.extend(held.into_iter().map(|assignment| (assignment.pool, assignment.value)));
        }
        if let Some(rejected) = &rejected {
            around.groups = group_refs(db.groups_of(&self.tenant.name, &rejected.id)?);
        }
        assume_free_values(db, self.tenant, &mut around, self.bridge.clock.now())?;
        // Who gets back what somebody had says nothing of what is handed out next.
        let guess = source.is_none().then(|| Guess::nothing(&self.bridge.guesses, self.tenant));
        Ok(Basis { is_newcomer: false, rejected, around, guess })
    }

    /// The create that a required target refused becomes `rejected`: 404, in no list, its userName free. If another
    /// write came in between, that one stands.
    async fn reject(&self, resource: &Resource) -> Result<(), ApiError> {
        let (key, version, now) = (resource.key, resource.version, self.bridge.clock.now());
        let actor = self.ask.caller.connection.clone();
        let rejected = resource.clone();
        self.bridge
            .store
            .write(move |tx| {
                if !tx.set_resource_state(key, version, ResourceState::Rejected, now)? {
                    return Ok::<_, StoreError>(());
                }
                for row in tx.accounts_of(key)? {
                    let want = bridge_store::Want { urgent: true, ..bridge_store::Want::due(now) };
                    tx.want(key, &row.target, &want, now)?;
                }
                tx.add_audit(&audit(&rejected, &actor, "reject", now))?;
                Ok(())
            })
            .await?;
        for target in self.tenant.targets.values() {
            target.lane.ring();
        }
        Ok(())
    }
}

/// The pool values that a resource would be given now, where it holds none.
pub(super) fn assume_free_values(
    db: &Db<'_>,
    tenant: &Tenant,
    around: &mut Surroundings,
    now: jiff::Timestamp,
) -> Result<(), StoreError> {
    for name in tenant.used_pools() {
        let Some(config) = tenant.pools.get(name) else { continue };
        if !around.assigned.contains_key(name)
            && let Some(value) = db.next_free(&tenant.name, name, &config.ranges, now)?
        {
            around.assigned.insert(name.clone(), value);
        }
    }
    Ok(())
}

/// The values by which an identity provider tells who somebody is.
fn identity(values: &[IndexedValue]) -> impl Iterator<Item = &IndexedValue> {
    values.iter().filter(|value| IDENTITY.contains(&value.attribute.as_str()))
}

/// A person who was deleted and comes back with the same externalId gets the same numbers; who is still there is not made
/// a second time. An identity provider may use the ids that another one uses.
fn resolve_external_id(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    resource: &Resource,
    now: jiff::Timestamp,
) -> Result<(), Failure> {
    let Some(external_id) = resource.document.text("externalId") else { return Ok(()) };
    let found = tx.resources_by_value(&tenant.name, &resource.resource_type, "externalId", external_id)?;
    let is_other = |found: &&Resource| found.key != resource.key && found.connection == resource.connection;
    if found.iter().filter(is_other).any(|found| found.state == ResourceState::Live) {
        return Err(taken_error("externalId").into());
    }
    for predecessor in found.iter().filter(is_other).filter(|found| found.state == ResourceState::Deleted) {
        tx.hand_over_assignments(predecessor.key, resource.key, now)?;
    }
    Ok(())
}

/// A new public id. The time is part of it, so that ids sort by creation.
pub(super) fn new_id(now: jiff::Timestamp) -> String {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.subsec_nanosecond().unsigned_abs());
    Uuid::new_v7(time).to_string()
}
