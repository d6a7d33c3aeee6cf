//! Accounts and targets: see them, move what waits for a person.

use actix_web::web::{Data, Json, Path, Query};
use bridge_store::{AccountQuery, AccountState};
use serde::Deserialize;
use serde_json::{Value, json};

use super::views::{AccountView, ExplainedView, ReasonView};
use super::{ACTOR, Problem, known};
use crate::bridge::Bridge;
use crate::explain;
use crate::operations::{self, AccountName, NamedAccount};

/// Most accounts in one answer.
const MOST: usize = 1_000;

/// Which accounts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    tenant: Option<String>,
    target: Option<String>,
    state: Option<String>,
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

impl Selection {
    /// The query, and how many accounts it asks for.
    pub(super) fn query(self, bridge: &Bridge, state: Option<AccountState>) -> Result<AccountQuery, Problem> {
        known::names(bridge, self.tenant.as_deref(), self.target.as_deref())?;
        let asked = match self.state.as_deref().map(str::parse::<AccountState>) {
            Some(Ok(state)) => Some(state),
            Some(Err(_)) => {
                let known: Vec<_> = AccountState::ALL.iter().map(|state| state.as_str()).collect();
                return Err(Problem::bad_request(format!("there is no such state; there are {}", known.join(", "))));
            }
            None => None,
        };
        let after = match self.after {
            Some(text) => {
                let position =
                    text.split_once(':').and_then(|(key, target)| Some((key.parse().ok()?, target.to_owned())));
                Some(position.ok_or_else(|| Problem::bad_request("after is the value of next in the page before"))?)
            }
            None => None,
        };
        let limit = self.limit.unwrap_or(100).clamp(1, MOST);
        Ok(AccountQuery { tenant: self.tenant, state: state.or(asked), target: self.target, after, limit })
    }
}

/// Where the next page begins, if this one is full.
pub(super) fn next(page: &[NamedAccount], limit: usize) -> Option<String> {
    let last = page.last().filter(|_| page.len() >= limit)?;
    Some(format!("{}:{}", last.account.resource, last.account.target))
}

pub(super) async fn list(bridge: Data<Bridge>, Query(selection): Query<Selection>) -> Result<Json<Value>, Problem> {
    answer(&bridge, "accounts", selection.query(&bridge, None)?).await
}

pub(super) async fn tasks(bridge: Data<Bridge>, Query(selection): Query<Selection>) -> Result<Json<Value>, Problem> {
    answer(&bridge, "tasks", selection.query(&bridge, Some(AccountState::Task))?).await
}

async fn answer(bridge: &Bridge, name: &str, query: AccountQuery) -> Result<Json<Value>, Problem> {
    let limit = query.limit;
    let page = operations::list_accounts(bridge, query).await?;
    let next = next(&page, limit);
    let accounts: Vec<AccountView> = page.into_iter().map(|account| AccountView::of(bridge, account)).collect();
    Ok(Json(json!({ name: accounts, "next": next })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AtTarget {
    target: Option<String>,
}

/// One user, with all accounts or the one at a target.
pub(super) async fn show(
    bridge: Data<Bridge>,
    path: Path<(String, String)>,
    Query(AtTarget { target }): Query<AtTarget>,
) -> Result<Json<ExplainedView>, Problem> {
    let (tenant, resource) = path.into_inner();
    known::names(&bridge, Some(&tenant), target.as_deref())?;
    let explained = explain::explain(&bridge, &tenant, &resource).await?;
    Ok(Json(ExplainedView::of(&bridge, explained, target.as_deref())))
}

/// `{tenant}/{resource}/{target}` in a path.
type AccountPath = Path<(String, String, String)>;

/// The account that a path names.
pub(super) fn named(bridge: &Bridge, path: AccountPath) -> Result<AccountName, Problem> {
    let (tenant, resource, target) = path.into_inner();
    known::names(bridge, Some(&tenant), None)?;
    Ok(AccountName { tenant, resource, target })
}

pub(super) async fn retry(bridge: Data<Bridge>, path: AccountPath) -> Result<Json<Value>, Problem> {
    let name = named(&bridge, path)?;
    operations::retry(&bridge, &name, ACTOR).await?;
    came_of(&bridge, &name).await
}

pub(super) async fn release(bridge: Data<Bridge>, path: AccountPath) -> Result<Json<Value>, Problem> {
    operations::release(&bridge, &named(&bridge, path)?, ACTOR).await?;
    done()
}

/// Everything that the brake of a target holds.
pub(super) async fn release_held(bridge: Data<Bridge>, path: Path<(String, String)>) -> Result<Json<Value>, Problem> {
    let (tenant, target) = path.into_inner();
    known::names(&bridge, Some(&tenant), Some(&target))?;
    let released = operations::release_held(&bridge, &tenant, &target, ACTOR).await?;
    Ok(Json(json!({ "done": true, "released": released })))
}

pub(super) async fn drop(bridge: Data<Bridge>, path: AccountPath) -> Result<Json<Value>, Problem> {
    operations::drop(&bridge, &named(&bridge, path)?, ACTOR).await?;
    done()
}

pub(super) async fn task_done(bridge: Data<Bridge>, path: AccountPath) -> Result<Json<Value>, Problem> {
    let name = named(&bridge, path)?;
    operations::task_done(&bridge, &name, ACTOR).await?;
    came_of(&bridge, &name).await
}

/// What came of work that a person asked for: `done` unless a person is still needed.
async fn came_of(bridge: &Bridge, name: &AccountName) -> Result<Json<Value>, Problem> {
    let Some(account) = operations::outcome(bridge, name).await? else { return done() };
    let needs_a_person = match account.state {
        AccountState::Parked | AccountState::Held | AccountState::Task => true,
        AccountState::Settled
        | AccountState::Waiting
        | AccountState::Due
        | AccountState::HandedOver
        | AccountState::OutOfScope => false,
    };
    Ok(Json(json!({ "done": !needs_a_person, "state": account.state, "reason": account.reason.map(ReasonView::from) })))
}

fn done() -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "done": true })))
}

pub(super) async fn targets(bridge: Data<Bridge>) -> Result<Json<Value>, Problem> {
    let (targets, pools) = (operations::targets(&bridge).await?, operations::pools(&bridge).await?);
    let landscape = bridge.landscape();
    let warnings = bridge.store.scan(move |db| explain::absent_groups(db, &landscape)).await?;
    Ok(Json(json!({ "targets": targets, "pools": pools, "warnings": warnings })))
}
