//! A resource as clients see it: what is stored, and what is derived from other rows (RFC 7643 sections 3.1 and 4.1.2).
//!
//! A user's `groups` come from the members of groups, a group's `members` from a row each, the state of the targets from
//! the accounts. Each costs a read, so it is made only for whoever asks.
//!
//! The entity tag tells them apart too: what an answer shows of other resources changes without its own version (RFC 9110
//! section 8.8.1). Of a group whose members are not all read with it the tag changes with every write of the tenant.

use std::hash::{DefaultHasher, Hash, Hasher};

use bridge_store::{Account as Row, Db, GroupOf, NamedMember, Resource, StoreError};
use jiff::Timestamp;
use scim_filter::Filter;
use scim_model::{FullResource, Meta, PROVISIONING_URN, Projection, ResourceType, complete};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::landscape::Tenant;

/// Members that are read along with their group; more of them follow page by page ([`MoreMembers`]).
const FIRST_MEMBERS: usize = 200;

/// Members on each further page.
const MEMBERS: usize = 1000;

/// Which derived attributes are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    /// The groups of a user.
    pub groups: bool,
    /// The members of a group.
    pub members: bool,
    /// The state of a user's accounts.
    pub targets: bool,
    /// Nothing is shown: the answer has no body.
    pub is_brief: bool,
}

impl View {
    /// What an answer with this projection shows.
    #[must_use]
    pub fn of(kind: &ResourceType, projection: &Projection) -> Self {
        let shows = |name| projection.shows(kind, name);
        Self { groups: shows("groups"), members: shows("members"), targets: shows(PROVISIONING_URN), is_brief: false }
    }

    /// What a filter must see to be decided.
    fn of_filter(filter: &Filter) -> Self {
        let paths = filter.paths();
        let names = |name| paths.iter().any(|path| path.is(name));
        let is_provisioning = |urn: &String| urn.eq_ignore_ascii_case(PROVISIONING_URN);
        Self {
            groups: names("groups"),
            members: names("members"),
            targets: paths.iter().any(|path| path.schema.as_ref().is_some_and(is_provisioning)),
            is_brief: false,
        }
    }
}

/// A resource as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The complete resource, before any projection. The members of a group stand last.
    pub resource: FullResource,
    /// Counts the changes.
    pub version: i64,
    /// Its absolute address.
    pub location: String,
    /// When it was last changed.
    pub modified: Timestamp,
    /// The members that follow those in `resource`; none if these are all.
    pub more_members: Option<MoreMembers>,
}

/// Derived attributes, name and JSON text.
type Derived = Vec<(String, String)>;

/// Where the rest of a group's members begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoreMembers {
    group: i64,
    after: String,
}

/// A resource as clients see it.
pub(super) fn show(
    db: &Db<'_>,
    tenant: &Tenant,
    kind: &ResourceType,
    resource: &Resource,
    view: View,
) -> Result<Shown, StoreError> {
    let text = serde_json::to_string(&resource.document).map_err(internal)?;
    show_with(db, tenant, kind, resource, text, view)
}

/// The same of a resource whose document nobody has parsed, nor need.
pub(super) fn show_text(
    db: &Db<'_>,
    tenant: &Tenant,
    kind: &ResourceType,
    mut resource: Resource<String>,
    view: View,
) -> Result<Shown, StoreError> {
    let text = std::mem::take(&mut resource.document);
    show_with(db, tenant, kind, &resource, text, view)
}

fn show_with<D>(
    db: &Db<'_>,
    tenant: &Tenant,
    kind: &ResourceType,
    resource: &Resource<D>,
    document: String,
    view: View,
) -> Result<Shown, StoreError> {
    let mut meta = meta(tenant, kind, resource);
    let (derived, more_members) = derived_with_members(db, tenant, kind, resource, view)?;
    meta.derived = fingerprint(db, tenant, &derived, more_members.as_ref())?;
    Ok(Shown {
        version: resource.version,
        location: meta.location.clone(),
        modified: resource.modified,
        resource: FullResource { id: resource.id.clone(), document, meta, derived },
        more_members,
    })
}

/// Whether a sub-attribute of `meta` is the version, which also tells what is derived.
fn is_version(sub_attribute: &str) -> bool {
    sub_attribute.eq_ignore_ascii_case("version")
}

fn internal(error: serde_json::Error) -> StoreError {
    StoreError::Internal(error.to_string())
}

/// Members that are not read together may have changed with whatever was written.
fn tag_of_many(db: &Db<'_>, tenant: &Tenant) -> Result<u64, StoreError> {
    let mut hasher = DefaultHasher::new();
    db.last_audit(&tenant.name)?.hash(&mut hasher);
    Ok(hasher.finish().max(1))
}

/// Tells apart what is derived; 0 for nothing.
fn fingerprint(
    db: &Db<'_>,
    tenant: &Tenant,
    derived: &[(String, String)],
    more_members: Option<&MoreMembers>,
) -> Result<u64, StoreError> {
    if more_members.is_some() {
        return tag_of_many(db, tenant);
    }
    if derived.is_empty() {
        return Ok(0);
    }
    let mut hasher = DefaultHasher::new();
    derived.hash(&mut hasher);
    Ok(hasher.finish().max(1))
}

/// What is derived, the first members of a group at the end, and where the rest of them begins.
fn derived_with_members<D>(
    db: &Db<'_>,
    tenant: &Tenant,
    kind: &ResourceType,
    resource: &Resource<D>,
    view: View,
) -> Result<(Derived, Option<MoreMembers>), StoreError> {
    let mut derived = derived(db, tenant, kind, resource, view)?;
    if !view.members || !kind.has_members() {
        return Ok((derived, None));
    }
    let page = db.named_members_of(resource.key, "", FIRST_MEMBERS)?;
    let more_members = rest(resource.key, &page, FIRST_MEMBERS);
    derived.extend(members(tenant, page).map(|members| ("members".to_owned(), members.to_string())));
    Ok((derived, more_members))
}

/// A resource as a filter sees it: whatever it asks about, and all of that.
pub(super) fn show_to_filter(
    db: &Db<'_>,
    tenant: &Tenant,
    kind: &ResourceType,
    resource: &Resource,
    filter: &Filter,
) -> Result<Map<String, Value>, StoreError> {
    let view = View::of_filter(filter);
    let parse = |(name, text): (String, String)| Ok((name, serde_json::from_str(&text)?));
    let derived = derived(db, tenant, kind, resource, view)?.into_iter().map(parse);
    let mut derived: Map<String, Value> = derived.collect::<Result<_, _>>().map_err(internal)?;
    if view.members && kind.has_members() {
        let members = members(tenant, all_members(db, resource.key)?);
        derived.extend(members.map(|members| ("members".to_owned(), members)));
    }
    let mut meta = meta(tenant, kind, resource);
    if filter.paths().iter().any(|path| path.is("meta") && path.sub_attribute.as_deref().is_none_or(is_version)) {
        let view = View::of(kind, &Projection::default());
        let (shown, more_members) = derived_with_members(db, tenant, kind, resource, view)?;
        meta.derived = fingerprint(db, tenant, &shown, more_members.as_ref())?;
    }
    Ok(complete(kind, &resource.id, &resource.document, &meta, derived))
}

/// The next page of members, as they stand in the list, and where the one after it begins.
pub(super) fn next_members(
    db: &Db<'_>,
    tenant: &Tenant,
    more: &MoreMembers,
) -> Result<(Vec<Value>, Option<MoreMembers>), StoreError> {
    let page = db.named_members_of(more.group, &more.after, MEMBERS)?;
    let more = rest(more.group, &page, MEMBERS);
    Ok((page.into_iter().map(|member| member_value(tenant, member)).collect(), more))
}

/// All members of a group, in the order of their ids.
pub(super) fn all_members(db: &Db<'_>, group: i64) -> Result<Vec<NamedMember>, StoreError> {
    let mut members = db.named_members_of(group, "", MEMBERS)?;
    let mut read = members.len();
    while read == MEMBERS
        && let Some(last) = members.last()
    {
        let page = db.named_members_of(group, &last.value, MEMBERS)?;
        read = page.len();
        members.extend(page);
    }
    Ok(members)
}

fn rest(group: i64, page: &[NamedMember], limit: usize) -> Option<MoreMembers> {
    let last = page.last().filter(|_| page.len() == limit)?;
    Some(MoreMembers { group, after: last.value.clone() })
}

/// The value of `members`; none if there are none.
fn members(tenant: &Tenant, members: Vec<NamedMember>) -> Option<Value> {
    (!members.is_empty()).then(|| members.into_iter().map(|member| member_value(tenant, member)).collect())
}

/// An element of `members`. What the client named and nobody knows (yet) is shown as it was named.
pub(super) fn member_value(tenant: &Tenant, member: NamedMember) -> Value {
    let NamedMember { value, kind, is_known, display } = member;
    let address = kind.as_ref().filter(|_| is_known).and_then(|kind| reference(tenant, kind, &value));
    let parts = [
        ("value", Some(Value::from(value))),
        ("$ref", address.map(Value::from)),
        ("display", display.map(Value::from)),
        ("type", kind.map(Value::from)),
    ];
    parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))).collect()
}

/// An element of `groups`.
#[derive(Serialize)]
struct GroupValue<'a> {
    value: &'a str,
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    display: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl<'a> GroupValue<'a> {
    fn of(tenant: &Tenant, group: &'a GroupOf) -> GroupValue<'a> {
        GroupValue {
            value: &group.id,
            reference: reference(tenant, "Group", &group.id),
            display: &group.display_name,
            kind: if group.is_direct { "direct" } else { "indirect" },
        }
    }
}

/// The absolute address of a resource.
fn reference(tenant: &Tenant, kind: &str, id: &str) -> Option<String> {
    let endpoint = &tenant.resource_type(kind)?.endpoint;
    Some(format!("{}/{endpoint}/{id}", tenant.base_url))
}

fn meta<D>(tenant: &Tenant, kind: &ResourceType, resource: &Resource<D>) -> Meta {
    Meta {
        created: resource.created,
        last_modified: resource.modified,
        version: resource.version,
        derived: 0,
        location: format!("{}/{}/{}", tenant.base_url, kind.endpoint, resource.id),
        resource_type: kind.name.clone(),
    }
}

/// What is derived, name and JSON text, but for the members of a group.
fn derived<D>(
    db: &Db<'_>,
    tenant: &Tenant,
    kind: &ResourceType,
    resource: &Resource<D>,
    view: View,
) -> Result<Derived, StoreError> {
    let mut derived = Vec::new();
    if view.groups && !kind.has_members() {
        let groups = db.groups_of(&tenant.name, &resource.id)?;
        if !groups.is_empty() {
            let groups: Vec<GroupValue<'_>> = groups.iter().map(|group| GroupValue::of(tenant, group)).collect();
            derived.push(("groups".to_owned(), serde_json::to_string(&groups).map_err(internal)?));
        }
    }
    if view.targets && kind.extension(PROVISIONING_URN).is_some() {
        let rows = db.accounts_of(resource.key)?;
        let targets = json!({ "targets": target_states(tenant, &rows) });
        derived.push((PROVISIONING_URN.to_owned(), targets.to_string()));
    }
    Ok(derived)
}

/// `targets[{name, kind, state, remoteId, lastError, updated}]` of the provisioning extension.
fn target_states(tenant: &Tenant, rows: &[Row]) -> Value {
    let state = |row: &Row| {
        let mut state = Map::new();
        state.insert("name".to_owned(), Value::from(row.target.as_str()));
        if let Some(target) = tenant.targets.get(&row.target) {
            state.insert("kind".to_owned(), Value::from(target.settings.kind.name()));
        }
        state.insert("state".to_owned(), Value::from(row.state.as_str()));
        if let Some(remote_id) = &row.remote_id {
            state.insert("remoteId".to_owned(), Value::from(remote_id.as_str()));
        }
        if let Some(reason) = &row.reason {
            state.insert("lastError".to_owned(), Value::from(format!("{} [{}]", reason.text, reason.code)));
        }
        state.insert("updated".to_owned(), Value::from(row.updated.to_string()));
        Value::Object(state)
    };
    rows.iter().map(state).collect()
}
