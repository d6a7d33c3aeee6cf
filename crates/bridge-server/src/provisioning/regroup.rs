//! What a change of groups means for the accounts of their members (DESIGN section 6, "Group writes").
//!
//! A group write leaves rows in the backlog, in its own transaction. One task takes them up, maps the touched users with the
//! groups they are in now, a slice at a time, and raises `wanted` where an account changes; an equal digest costs no call.
//! A crash loses nothing: what is left of a job is in its row.
//!
//! Users are mapped outside the transaction that raises `wanted`. That is safe: whoever changes a user, or its groups,
//! in between has mapped it with these groups ([`Consequences`] checks that), or has left a later job behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bridge_store::{Backlog, Db, Resource, ResourceState, StoreError, Tx, Want};
use jiff::Timestamp;
use scim_model::ResourceType;
use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use super::judge::{Judged, Surroundings, judge};
use super::surroundings;
use super::transaction::{Consequences, Failure, concerns, misses};
use crate::bridge::Bridge;
use crate::clock::later;
use crate::landscape::{Target, Tenant};

/// The kind of these jobs in the backlog.
const KIND: &str = "regroup";

/// Users that are mapped, and written, at once: other writes wait no longer than for these.
const SLICE: usize = 100;

/// Without a bell the task looks again after this long.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(60);

/// How long looking at one slice may take: nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the task rests after the store failed it.
const AFTER_STORE_ERROR: Duration = Duration::from_secs(1);

/// What a group write changed.
pub(super) struct Touched {
    /// Its name, by which rules know it: all its members are concerned.
    pub(super) all: bool,
    /// Ids of those who came or went.
    pub(super) members: BTreeSet<String>,
}

/// What a row of the backlog asks for. Its subject is the group that changed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Job {
    /// These come first, all at once.
    members: Vec<String>,
    /// Then all members of these groups, one group after the other; in the first, from the row's position on.
    groups: Vec<i64>,
    /// Groups that were met on the way: each is walked once, however often it is found, and a circle ends.
    met: BTreeSet<i64>,
    /// The group was deleted: its rows go, and after the last of them the group itself. Jobs of before must not do that,
    /// they may have begun at another group and have other members before them.
    purge: bool,
}

/// Writes down what a group write means for others. Nothing, where no rule of the tenant asks about groups.
pub(super) fn remember(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    group: &Resource,
    touched: &Touched,
    now: Timestamp,
) -> Result<(), StoreError> {
    // The rows of a deleted group have to go in any case.
    if !uses_groups(tenant) && group.state == ResourceState::Live {
        return Ok(());
    }
    let members: Vec<&String> = touched.members.iter().collect();
    for slice in members.chunks(SLICE) {
        let members = slice.iter().map(|member| (*member).clone()).collect();
        add(tx, &row(&tenant.name, group.key, now), &Job { members, ..Job::default() }, "")?;
    }
    if touched.all {
        let purge = group.state == ResourceState::Deleted;
        let job = Job { groups: vec![group.key], met: BTreeSet::from([group.key]), purge, ..Job::default() };
        add(tx, &row(&tenant.name, group.key, now), &job, "")?;
    }
    Ok(())
}

fn row(tenant: &str, group: i64, now: Timestamp) -> Backlog {
    Backlog {
        key: 0,
        tenant: tenant.to_owned(),
        kind: KIND.to_owned(),
        subject: group,
        position: String::new(),
        detail: None,
        created: now,
    }
}

/// Puts a job, or what is left of it, behind all others: the next slice belongs to somebody else.
fn add(tx: &mut Tx<'_>, row: &Backlog, job: &Job, position: &str) -> Result<(), StoreError> {
    let detail = serde_json::to_value(job).map_err(|error| StoreError::Internal(error.to_string()))?;
    let row = Backlog { position: position.to_owned(), detail: Some(detail), ..row.clone() };
    tx.add_backlog(&row).map(drop)
}

fn uses_groups(tenant: &Tenant) -> bool {
    // Nobody knows what the rules of a retired target would say.
    !tenant.retired.is_empty() || tenant.targets.values().any(|target| target.rules.uses_groups())
}

/// Takes up what group writes left, until the bridge stops.
pub(crate) async fn run(bridge: Arc<Bridge>) {
    while !bridge.is_stopping() {
        match step(&bridge).await {
            Ok(true) => {}
            Ok(false) => tokio::select! {
                () = bridge.stopped() => return,
                () = bridge.regroup.notified() => {}
                // Whoever wrote may have gone before it rang.
                () = bridge.clock.sleep_until(later(bridge.clock.now(), LOOK_AT_LEAST_EVERY)) => {}
            },
            Err(error) => {
                error!(%error, "The members of a changed group could not be looked at, this is tried again");
                tokio::select! {
                    () = bridge.stopped() => return,
                    () = bridge.clock.sleep_until(later(bridge.clock.now(), AFTER_STORE_ERROR)) => {}
                }
            }
        }
    }
}

/// Deals with the next slice. Returns whether there was one. A job that fails goes behind the others, so that it stops none.
pub(crate) async fn step(bridge: &Bridge) -> Result<bool, StoreError> {
    let Some(row) = bridge.store.read(|db| db.next_backlog(KIND)).await? else { return Ok(false) };
    let job: Job = serde_json::from_value(row.detail.clone().unwrap_or_default())
        .map_err(|error| StoreError::Corrupt(format!("a job of the backlog: {error}")))?;
    let done = work_on(bridge, row.clone(), job.clone()).await;
    if done.is_err() {
        let postponed: Result<(), StoreError> = bridge
            .store
            .write(move |tx| {
                tx.finish_backlog(row.key)?;
                add(tx, &row, &job, &row.position)
            })
            .await;
        postponed?;
    }
    done.map(|()| true)
}

async fn work_on(bridge: &Bridge, row: Backlog, job: Job) -> Result<(), StoreError> {
    let tenant = bridge.tenant(&row.tenant);
    if tenant.is_none() {
        warn!(tenant = %row.tenant, "A group of a tenant that is not in the configuration changed; its members are left alone");
    }
    let now = bridge.clock.now();
    let slice = {
        let (tenant, job, row) = (tenant.clone(), job.clone(), row.clone());
        bridge.store.scan_within(PATIENCE, move |db| look(db, tenant.as_deref(), &row, &job, now)).await?
    };
    let moved: Vec<(Resource, Consequences)> = match &tenant {
        Some(tenant) => slice.users.into_iter().map(|user| consequences(bridge, tenant, user, now)).collect(),
        None => Vec::new(),
    };
    let purged =
        job.groups.first().copied().filter(|group| job.purge && job.members.is_empty() && *group == row.subject);
    let (members, is_last) = (slice.members, slice.is_last);
    let rest = rest(job, slice.groups, is_last);
    let rung = bridge
        .store
        .write(move |tx| {
            let mut rung = Vec::new();
            for (user, consequences) in &moved {
                rung.extend(raise(tx, user, consequences, now)?);
            }
            if let Some(group) = purged {
                tx.remove_members(group, &members)?;
                if is_last {
                    tx.purge_resource(group)?;
                }
            }
            tx.finish_backlog(row.key)?;
            if let Some(rest) = &rest {
                let position = members.last().filter(|_| !is_last).map_or("", String::as_str);
                add(tx, &row, rest, position)?;
            }
            Ok::<_, StoreError>(rung)
        })
        .await?;
    rung.iter().for_each(|target: &Arc<Target>| target.lane.ring());
    Ok(())
}

/// What is left of a job after a slice in which these groups were found.
fn rest(mut job: Job, found: Vec<i64>, is_last: bool) -> Option<Job> {
    if !job.members.is_empty() {
        job.members.clear();
    } else if is_last && !job.groups.is_empty() {
        job.groups.remove(0);
    }
    job.groups.extend(found.into_iter().filter(|group| job.met.insert(*group)));
    (!job.groups.is_empty()).then_some(job)
}

/// Members that were looked at.
struct Slice {
    /// Their ids, in order.
    members: Vec<String>,
    /// Whether none come after them.
    is_last: bool,
    /// The users among them whose accounts are not what they should be.
    users: Vec<Moved>,
    /// The groups among them.
    groups: Vec<i64>,
}

/// A user whose accounts are not what they should be.
struct Moved {
    user: Resource,
    around: Surroundings,
    judged: Vec<Judged>,
}

fn look(db: &Db<'_>, tenant: Option<&Tenant>, row: &Backlog, job: &Job, now: Timestamp) -> Result<Slice, StoreError> {
    let members: Vec<String> = match job.groups.first() {
        Some(group) if job.members.is_empty() => {
            db.members_of(*group, &row.position, SLICE)?.into_iter().map(|member| member.value).collect()
        }
        _ => job.members.clone(),
    };
    let is_last = !job.members.is_empty() || members.len() < SLICE;
    let mut slice = Slice { members, is_last, users: Vec::new(), groups: Vec::new() };
    let Some(tenant) = tenant.filter(|tenant| uses_groups(tenant)) else { return Ok(slice) };
    for id in &slice.members {
        let Some(user) = db.resource_of_any_type(&tenant.name, id)? else { continue };
        if tenant.resource_type(&user.resource_type).is_some_and(ResourceType::has_members) {
            slice.groups.push(user.key);
            continue;
        }
        if user.state != ResourceState::Live {
            continue;
        }
        let rows = db.accounts_of(user.key)?;
        let around = surroundings(db, tenant, &user, &rows, now)?;
        let judged = judge(tenant, &user.id, &user.document, &around);
        let is_concerned = judged.iter().any(|judged| concerns(&user, judged, &rows));
        if is_concerned || rows.iter().any(|row| misses(tenant, &user, row)) {
            slice.users.push(Moved { user, around, judged });
        }
    }
    Ok(slice)
}

fn consequences(bridge: &Bridge, tenant: &Arc<Tenant>, moved: Moved, now: Timestamp) -> (Resource, Consequences) {
    let Moved { user, around, judged } = moved;
    let consequences = Consequences {
        tenant: tenant.clone(),
        judged,
        around,
        guess: None,
        supplied: BTreeMap::new(),
        sealer: bridge.sealer.clone(),
        entry: None,
        actor: "bridge".to_owned(),
        action: "regroup",
        refuses: false,
        shows: None,
        now,
    };
    (user, consequences)
}

/// Raises `wanted` of one user's accounts, unless somebody else has judged it meanwhile.
fn raise(
    tx: &mut Tx<'_>,
    user: &Resource,
    consequences: &Consequences,
    now: Timestamp,
) -> Result<Vec<Arc<Target>>, StoreError> {
    let current = tx.resource_by_key(user.key)?;
    if current.is_none_or(|current| current.version != user.version) {
        return Ok(Vec::new());
    }
    match consequences.store_duties(tx, user) {
        Ok(rung) => Ok(rung),
        Err(Failure::Again) => Ok(Vec::new()),
        Err(Failure::Refused(why)) => {
            // The worker finds the same and parks the account with its reason; the other members go on.
            warn!(resource.id = %user.id, %why, "A change of groups cannot be carried out for one of its members");
            for row in tx.accounts_of(user.key)? {
                tx.want(user.key, &row.target, &Want::due(now), now)?;
            }
            Ok(consequences.tenant.targets.values().cloned().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_walked_once_however_often_it_is_found() {
        let job = Job { members: vec!["g1".to_owned()], ..Job::default() };
        let job = rest(job, vec![1, 1], true).unwrap();
        assert_eq!((job.members.len(), &job.groups[..]), (0, &[1][..]));
        let job = rest(job, vec![2, 3], false).unwrap();
        assert_eq!(job.groups, [1, 2, 3], "the walk through the first one goes on");
        let job = rest(job, vec![3, 1], true).unwrap();
        assert_eq!(job.groups, [2, 3]);
        let job = rest(job, vec![], true).unwrap();
        assert!(rest(job, vec![1, 2, 3], true).is_none(), "a circle ends");
    }
}
