//! Groups: create, replace, patch, delete (DESIGN section 6, "Group writes").
//!
//! Members are rows of their own, so a change of one costs the same in a group of ten and of 100,000, and changes of the
//! same moment do not meet. A group write commits the membership and is answered; what it means for the accounts of its
//! members is `regroup`'s work, and never refuses or delays it. A member need not exist: it is kept, and joined when it
//! appears (`interop-cases.md` section G; RFC 7643 section 4.2 leaves it open).

use std::collections::BTreeSet;
use std::sync::Arc;

use bridge_store::{Member, NewResource, RequestEntry, Resource, ResourceState, Tx};
use jiff::Timestamp;
use scim_model::bulk::Change;
use scim_model::{Context, Document, Draft, MemberChange, Note, ResourceType, ScimError, accept, split_members};
use serde_json::Value;

use super::create::new_id;
use super::regroup::{self, Touched};
use super::transaction::{Failure, audit};
use super::update::{TRIES, too_busy};
use super::view::{all_members, member_value, show};
use super::{Ask, Shown, check_version, journal, live, meant_by_replace, understood};
use crate::bridge::Bridge;
use crate::error::ApiError;
use crate::landscape::Tenant;

/// The attribute whose elements are rows.
const MEMBERS: &str = "members";

/// POST.
pub(super) async fn create(
    bridge: &Bridge,
    ask: &Ask<'_>,
    tenant: &Arc<Tenant>,
    kind: &ResourceType,
    body: Value,
) -> Result<Shown, ApiError> {
    let masked = Some(journal::mask_secrets(&tenant.secrets, &body)?);
    let write = Write { bridge, ask, tenant, kind, masked };
    write.answer(write.create(body).await).await
}

/// PUT, PATCH and DELETE.
pub(super) async fn change(
    bridge: &Bridge,
    ask: &Ask<'_>,
    tenant: &Arc<Tenant>,
    kind: &ResourceType,
    id: &str,
    change: &Change,
    if_match: Option<&str>,
) -> Result<Shown, ApiError> {
    let masked = change.body().map(|body| journal::mask_secrets(&tenant.secrets, body)).transpose()?;
    let write = Write { bridge, ask, tenant, kind, masked };
    write.answer(write.change(id, change, if_match).await).await
}

struct Write<'a> {
    bridge: &'a Bridge,
    ask: &'a Ask<'a>,
    tenant: &'a Arc<Tenant>,
    kind: &'a ResourceType,
    masked: Option<String>,
}

/// What a PUT or PATCH makes of a group.
struct Edit {
    /// The attributes, without members.
    document: Document,
    /// What happens to the members, in order.
    members: Vec<MemberEdit>,
    notes: Vec<Note>,
    /// Whether it is only right for the version it was made of.
    needs_version: bool,
}

/// One change of the members.
enum MemberEdit {
    Add(Vec<Member>),
    Remove(Vec<String>),
    Replace(Vec<Member>),
}

/// What a group write stores beside the group and its members. Owned, because a write may run again.
struct Traces {
    tenant: Arc<Tenant>,
    entry: RequestEntry,
    action: &'static str,
    now: Timestamp,
}

impl Traces {
    /// Journal, audit trail, and the work that the change means for the accounts of the members.
    fn store(&self, tx: &mut Tx<'_>, group: &Resource, is_changed: bool, touched: &Touched) -> Result<(), Failure> {
        regroup::remember(tx, &self.tenant, group, touched, self.now)?;
        tx.add_request(&RequestEntry { resource: Some(group.key), ..self.entry.clone() })?;
        if is_changed {
            let actor = self.entry.connection.as_deref().unwrap_or_default();
            tx.add_audit(&audit(group, actor, self.action, self.now))?;
        }
        Ok(())
    }
}

impl Write<'_> {
    /// The group as it is after the write; a denied write goes into the journal.
    async fn answer(&self, written: Result<Resource, ApiError>) -> Result<Shown, ApiError> {
        match written {
            Ok(group) => {
                self.bridge.regroup.notify_one();
                let view = self.ask.view;
                Ok(self.bridge.store.read(|db| show(db, self.tenant, self.kind, &group, view)).await?)
            }
            Err(why) => {
                journal::denied(self.bridge, self.ask.caller, self.ask.received, self.masked.clone(), &why).await;
                Err(why)
            }
        }
    }

    async fn create(&self, body: Value) -> Result<Resource, ApiError> {
        let draft = self.understood(accept(self.kind, body, Context::Create))?;
        let Draft { mut document, notes, .. } = draft;
        let members = take_members(&mut document);
        let now = self.bridge.clock.now();
        let new = NewResource {
            tenant: self.tenant.name.clone(),
            resource_type: self.kind.name.clone(),
            id: new_id(now),
            values: self.bridge.store.indexed_values(&self.tenant.name, self.kind, &document),
            document,
            active: true,
            connection: self.ask.caller.connection.clone(),
            now,
        };
        let traces = self.traces("create", &notes, 201, now);
        let stored = self.bridge.store.write(move |tx| {
            let group = tx.insert_resource(&new)?;
            let added = tx.add_members(&new.tenant, group.key, &members)?;
            traces.store(tx, &group, true, &Touched { all: false, members: added.into_iter().collect() })?;
            Ok::<_, Failure>(group)
        });
        let stored = stored.await.inspect(|_| self.heard(&notes));
        stored.map_err(|failure| match failure {
            Failure::Refused(why) => why,
            Failure::Again => too_busy(),
        })
    }

    async fn change(&self, id: &str, change: &Change, if_match: Option<&str>) -> Result<Resource, ApiError> {
        for _ in 0..TRIES {
            match self.try_change(id, change, if_match).await {
                Ok(group) => return Ok(group),
                Err(Failure::Refused(why)) => return Err(why),
                Err(Failure::Again) => {}
            }
        }
        Err(too_busy())
    }

    async fn try_change(&self, id: &str, change: &Change, if_match: Option<&str>) -> Result<Resource, Failure> {
        let found = self.bridge.store.read(|db| db.resource_by_id(&self.tenant.name, &self.kind.name, id)).await?;
        let group = live(found, &self.kind.name, id)?;
        check_version(&group, if_match, self.ask.if_none_match)?;
        match change {
            Change::Delete => self.delete(group, if_match.is_some()).await,
            Change::Replace(body) => {
                let context = Context::Replace { current: &group.document, id };
                let draft = self.understood(accept(self.kind, body.clone(), context))?;
                self.store(&group, replacement(draft), if_match.is_some()).await
            }
            Change::Patch(body) => {
                let edit = self.patch(&group, body).await?;
                self.store(&group, edit, if_match.is_some()).await
            }
        }
    }

    /// A PATCH as changes of single members and of the other attributes; if it cannot be taken apart, all members are read.
    async fn patch(&self, group: &Resource, body: &Value) -> Result<Edit, ApiError> {
        let replace = meant_by_replace(self.ask, self.tenant);
        if let Some(split) = split_members(self.kind, body).map_err(ApiError::Scim)? {
            let mut draft = scim_model::patch(self.kind, &group.document, &group.id, &split.rest, replace);
            if let Ok(draft) = &mut draft {
                draft.notes.extend(split.notes);
            }
            let Draft { document, notes, .. } = self.understood(draft)?;
            let members = split.changes.into_iter().map(member_edit).collect();
            return Ok(Edit { document, members, notes, needs_version: false });
        }
        let (key, tenant) = (group.key, self.tenant.clone());
        let members = self.bridge.store.scan(move |db| all_members(db, key)).await?;
        let mut document = group.document.clone();
        document.insert(MEMBERS, members.into_iter().map(|member| member_value(&tenant, member)).collect());
        let draft = self.understood(scim_model::patch(self.kind, &document, &group.id, body, replace))?;
        let mut document = draft.document;
        let members = vec![MemberEdit::Replace(take_members(&mut document))];
        Ok(Edit { document, members, notes: draft.notes, needs_version: true })
    }

    async fn store(&self, group: &Resource, edit: Edit, names_version: bool) -> Result<Resource, Failure> {
        let Edit { document, members, notes, needs_version } = edit;
        let is_renamed = document.text("displayName") != group.document.text("displayName");
        let is_edited = document != group.document;
        let values = self.bridge.store.indexed_values(&self.tenant.name, self.kind, &document);
        let now = self.bridge.clock.now();
        let traces = self.traces("update", &notes, if self.ask.view.is_brief { 204 } else { 200 }, now);
        let (before, expected) = (group.clone(), (needs_version || names_version).then_some(group.version));
        let stored = self.bridge.store.write(move |tx| {
            let mut group = unchanged(tx, &before, expected)?;
            if is_edited {
                group = tx.update_resource(group.key, group.version, &document, &values, true, now)?;
            }
            let mut moved = BTreeSet::new();
            for edit in &members {
                moved.extend(match edit {
                    MemberEdit::Add(members) => tx.add_members(&group.tenant, group.key, members)?,
                    MemberEdit::Remove(members) => tx.remove_members(group.key, members)?,
                    MemberEdit::Replace(members) => tx.replace_members(&group.tenant, group.key, members)?,
                });
            }
            if !is_edited && !moved.is_empty() {
                group.version = tx.touch_resource(group.key, Some(group.version), now)?;
                group.modified = now;
            }
            let is_changed = is_edited || !moved.is_empty();
            traces.store(tx, &group, is_changed, &Touched { all: is_renamed, members: moved })?;
            Ok::<_, Failure>(group)
        });
        stored.await.inspect(|_| self.heard(&notes))
    }

    async fn delete(&self, group: Resource, names_version: bool) -> Result<Resource, Failure> {
        let now = self.bridge.clock.now();
        let traces = self.traces("delete", &[], 204, now);
        let expected = names_version.then_some(group.version);
        let stored = self.bridge.store.write(move |tx| {
            let group = unchanged(tx, &group, expected)?;
            if !tx.set_resource_state(group.key, group.version, ResourceState::Deleted, now)? {
                return Err(Failure::Again);
            }
            leave_groups(tx, &group, now)?;
            let group = Resource { state: ResourceState::Deleted, ..group };
            traces.store(tx, &group, true, &Touched { all: true, members: BTreeSet::new() })?;
            Ok(group)
        });
        stored.await
    }

    fn understood(&self, draft: Result<Draft, ScimError>) -> Result<Draft, ApiError> {
        understood(self.ask, self.tenant, draft.map_err(ApiError::Scim)?)
    }

    /// Takes note of how the client spoke.
    fn heard(&self, notes: &[Note]) {
        self.bridge.connections.heard(self.ask.caller, self.ask.received, notes);
    }

    fn traces(&self, action: &'static str, notes: &[Note], status: u16, now: Timestamp) -> Traces {
        let entry = journal::entry(self.ask.caller, self.ask.received, self.masked.clone(), notes, status, now);
        Traces { tenant: self.tenant.clone(), entry, action, now }
    }
}

/// The group as it is now, if nobody has changed it since it was read. Members that came or went are no change, unless the
/// client named a version or the members were read too.
fn unchanged(tx: &Tx<'_>, before: &Resource, expected: Option<i64>) -> Result<Resource, Failure> {
    let now = tx.resource_by_key(before.key)?.filter(|now| now.state == ResourceState::Live);
    let now = now.filter(|now| match expected {
        Some(version) => now.version == version,
        None => now.document == before.document,
    });
    now.ok_or(Failure::Again)
}

/// Whoever is deleted is no member any more. The groups have changed for whoever looks at their version.
pub(super) fn leave_groups(tx: &mut Tx<'_>, gone: &Resource, now: Timestamp) -> Result<(), bridge_store::StoreError> {
    for group in tx.leave_groups(&gone.tenant, &gone.id)? {
        tx.touch_resource(group, None, now)?;
    }
    Ok(())
}

/// A PUT that does not speak of members keeps them (okta 6 number 7).
fn replacement(draft: Draft) -> Edit {
    let Draft { mut document, listed, notes, .. } = draft;
    let members = take_members(&mut document);
    let members = if listed.contains(MEMBERS) { vec![MemberEdit::Replace(members)] } else { Vec::new() };
    Edit { document, members, notes, needs_version: false }
}

fn member_edit(change: MemberChange) -> MemberEdit {
    match change {
        MemberChange::Add(elements) => MemberEdit::Add(members(&elements)),
        MemberChange::Remove(ids) => MemberEdit::Remove(ids),
        MemberChange::Replace(elements) => MemberEdit::Replace(members(&elements)),
    }
}

/// Takes the members out of a document: they are stored as rows.
fn take_members(document: &mut Document) -> Vec<Member> {
    match document.remove(MEMBERS) {
        Some(Value::Array(elements)) => members(&elements),
        _ => Vec::new(),
    }
}

/// The rows of elements in canonical form.
fn members(elements: &[Value]) -> Vec<Member> {
    let text = |element: &Value, name: &str| element.get(name).and_then(Value::as_str).map(str::to_owned);
    let row = |element: &Value| Some(Member { value: text(element, "value")?, kind: text(element, "type") });
    elements.iter().filter_map(row).collect()
}
