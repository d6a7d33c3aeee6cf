//! Which remote account is a resource's, as a person says it: the one under review, or any other. What another user of this
//! bridge has must be given up there first, and what a target refuses to look for is not linked.

use bridge_connectors::{AccountKeys, Existence, TargetError};
use bridge_store::{AccountState, StoreError, Want};
use tracing::warn;

use super::{AccountName, change};
use crate::bridge::Bridge;
use crate::config::Mode;
use crate::worker::holder::who_has_it;

/// Why an account is not linked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Another user of this bridge has it: says who, and what helps.
    #[error("{0}")]
    Held(String),
    /// The target does not look for such an id: says what it said.
    #[error("{target} does not have that account. {error}")]
    Refused {
        /// The target.
        target: String,
        /// What it said.
        error: TargetError,
    },
    /// What else can go wrong in the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets an account go that is held; by the brake, too, which then begins to count anew. Or says that the account under
/// review, found at the target, is ours: it becomes the account of this resource.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such account, or none was found that waits for a decision; [`LinkError::Held`].
pub async fn release(bridge: &Bridge, name: &AccountName, actor: &str) -> Result<(), LinkError> {
    let released = change(bridge, name, actor, "release", |tx, account, target, now| {
        let found = account.candidate.as_ref().and_then(|candidate| candidate.get("remote_id")?.as_str());
        if let (false, Some(remote_id)) = (account.state == AccountState::Held, found) {
            return tx.link(account.resource, target, Some(remote_id), now);
        }
        // A configuration that was read has the brake asked again, which holds it still: it need not be in that state now.
        if !tx.release_brake(account.resource, target)? && account.state != AccountState::Held {
            return Err(StoreError::NotFound("account under review"));
        }
        tx.want(account.resource, target, &Want { release: true, ..Want::due(now) }, now).map(drop)
    });
    match released.await {
        Ok(()) => Ok(()),
        Err(error) => Err(with_holder(bridge, &name.target, error).await),
    }
}

/// Points an account to another remote account, or to none. Returns whether the target was asked if it has that account:
/// one that is held, or does not answer, says nothing about it.
///
/// # Errors
/// [`StoreError::NotFound`] if there is no such account, here or at the target; [`LinkError::Refused`] if the target does not
/// look for such an id; [`LinkError::Held`] if another user has that account.
pub async fn set_link(
    bridge: &Bridge,
    name: &AccountName,
    remote_id: Option<String>,
    actor: &str,
) -> Result<bool, LinkError> {
    let is_there = match &remote_id {
        Some(remote_id) => is_at_target(bridge, name, remote_id).await?,
        None => Some(true),
    };
    if is_there == Some(false) {
        return Err(StoreError::NotFound("account at the target").into());
    }
    let linked = change(bridge, name, actor, "link", move |tx, account, target, now| {
        tx.link(account.resource, target, remote_id.as_deref(), now)
    });
    match linked.await {
        Ok(()) => Ok(is_there.is_some()),
        Err(error) => Err(with_holder(bridge, &name.target, error).await),
    }
}

/// Whether a target has an account with this id; `None` if it cannot be asked.
async fn is_at_target(bridge: &Bridge, name: &AccountName, remote_id: &str) -> Result<Option<bool>, LinkError> {
    let Some(tenant) = bridge.tenant(&name.tenant) else { return Ok(None) };
    let Some(target) = tenant.targets.get(&name.target) else { return Ok(None) };
    if target.settings.mode == Mode::Hold || target.lane.condition().blocked(bridge.clock.now()).is_some() {
        return Ok(None);
    }
    let keys = AccountKeys { remote_id: Some(remote_id.to_owned()), ..AccountKeys::default() };
    match target.connector.observe(&keys).await {
        Ok(seen) => Ok(Some(seen.existence == Existence::Present)),
        Err(TargetError::Missing) => Ok(Some(false)),
        Err(error @ (TargetError::Refused { .. } | TargetError::Conflict { .. })) => {
            Err(LinkError::Refused { target: target.name.clone(), error })
        }
        Err(
            error @ (TargetError::Unavailable { .. }
            | TargetError::Throttled { .. }
            | TargetError::Unauthorized { .. }
            | TargetError::Garbled { .. }),
        ) => {
            warn!(target.name = %target.name, %error, "Whether {} has that account is not known", target.name);
            Ok(None)
        }
    }
}

/// Says who has an account that is taken.
async fn with_holder(bridge: &Bridge, target: &str, error: StoreError) -> LinkError {
    let StoreError::Taken(taken) = &error else { return LinkError::Store(error) };
    match bridge.store.read(|db| db.resource_by_key(taken.resource)).await {
        Ok(Some(holder)) => LinkError::Held(who_has_it(&holder, target)),
        Ok(None) => LinkError::Store(error),
        Err(why) => LinkError::Store(why),
    }
}
