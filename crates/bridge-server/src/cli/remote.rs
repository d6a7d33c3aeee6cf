//! Commands that speak to the admin API of a running bridge: `account`, `target`, `task`, `request`, `link`, `connection`, `store`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::{Span, SpanRelativeTo, Timestamp};
use reqwest::Method;
use serde_json::json;

use super::client::{Remote, cell, lines};
use super::{Exit, portrait};
use crate::clock::Clock;

/// Which account.
#[derive(Debug, Args)]
pub(super) struct Name {
    /// The user, by SCIM id or userName.
    pub(super) resource: String,
    /// The name of the target.
    pub(super) target: String,
    /// The tenant; can be left out if there is only one.
    #[arg(long)]
    pub(super) tenant: Option<String>,
}

/// Which accounts.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Only of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only at this target.
    #[arg(long)]
    target: Option<String>,
    /// At most so many; 100 if nothing is said.
    #[arg(long)]
    limit: Option<usize>,
}

/// Which accounts to let go: one, or all that the brake of a target holds.
#[derive(Debug, Args)]
pub(super) struct Released {
    /// The user, by SCIM id or userName.
    #[arg(required_unless_present = "held_at")]
    resource: Option<String>,
    /// The name of the target.
    #[arg(required_unless_present = "held_at")]
    target: Option<String>,
    /// All accounts that the brake of this target holds.
    #[arg(long, value_name = "TARGET", conflicts_with = "resource")]
    held_at: Option<String>,
    /// The tenant; can be left out if there is only one.
    #[arg(long)]
    tenant: Option<String>,
}

impl Released {
    fn path<'a>(&'a self, tenant: &'a str) -> Vec<&'a str> {
        match self {
            Self { held_at: Some(target), .. } => vec!["targets", tenant, target, "release"],
            Self { resource, target, .. } => {
                let [resource, target] = [resource, target].map(|part| part.as_deref().unwrap_or_default());
                vec!["accounts", tenant, resource, target, "release"]
            }
        }
    }
}

/// Accounts that are parked, held or under review.
#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// Accounts with their state and reason.
    List {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        which: Which,
        /// waiting, due, settled, parked, held, task, handed_over or out_of_scope.
        #[arg(long)]
        state: Option<String>,
    },
    /// A user's accounts: the state of each, why, what was left out of it, and what can be done.
    Show {
        #[command(flatten)]
        remote: Remote,
        /// The user, by SCIM id or userName.
        resource: String,
        /// Only the account at this target.
        target: Option<String>,
        /// The tenant; can be left out if there is only one.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Make an account due now.
    Retry {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        name: Name,
    },
    /// Let a held account go; or say that the account under review is ours.
    Release {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        which: Released,
    },
    /// Forget an account without touching the target.
    Drop {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        name: Name,
    },
}

/// How every target is doing, and how full the pools are.
#[derive(Debug, Subcommand)]
pub(super) enum Target {
    /// The targets with their condition and queue, and the pools with their values.
    List {
        #[command(flatten)]
        remote: Remote,
    },
}

/// What a person must do in a target.
#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// The open tasks.
    List {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        which: Which,
    },
    /// A task is done: the account is read and compared again.
    Done {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        name: Name,
    },
}

/// What identity providers sent, and what came of it.
#[derive(Debug, Subcommand)]
pub(super) enum Request {
    /// Requests, newest first; refused log-ins too.
    List {
        #[command(flatten)]
        remote: Remote,
        /// The tenant; can be left out if there is only one.
        #[arg(long)]
        tenant: Option<String>,
        /// Only about this user (by SCIM id or userName) or group (by SCIM id).
        #[arg(long)]
        resource: Option<String>,
        /// Only about this user (by userName or SCIM id), or refused creates of that userName.
        #[arg(long, conflicts_with = "resource")]
        user: Option<String>,
        /// Only what was refused.
        #[arg(long)]
        failed: bool,
        /// Received since: a time ago such as "2h", or a moment such as "2027-01-31T00:00:00Z".
        #[arg(long, value_name = "WHEN")]
        since: Option<String>,
        /// Received before: as for --since.
        #[arg(long, value_name = "WHEN")]
        until: Option<String>,
        /// At most so many; 100 if nothing is said.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// One request, and the calls that were made for it.
    Show {
        #[command(flatten)]
        remote: Remote,
        /// The request id, as in answers and logs.
        id: String,
        /// The tenant; can be left out if there is only one.
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Which remote account belongs to which resource.
#[derive(Debug, Subcommand)]
pub(super) enum Link {
    /// The links.
    List {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        which: Which,
    },
    /// Point an account to another remote account.
    Set {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        name: Name,
        /// The target's id of the account; without it the link is removed.
        #[arg(long)]
        remote_id: Option<String>,
    },
}

/// Who speaks at the other end, in which dialect, what was forgiven.
#[derive(Debug, Subcommand)]
pub(super) enum Connection {
    /// The connections that wrote something.
    List {
        #[command(flatten)]
        remote: Remote,
        /// Only of this tenant.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// One connection, with everything that it was forgiven.
    Show {
        #[command(flatten)]
        remote: Remote,
        /// The name of the connection, as its tokens have it.
        connection: String,
        /// The tenant; can be left out if there is only one.
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// The database.
#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Copy the database into a new file on the machine of the bridge, while everything goes on.
    Backup {
        #[command(flatten)]
        remote: Remote,
        /// The new file.
        path: PathBuf,
    },
}

impl Account {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::List { remote, which, state } => {
                let mut query = which.query();
                query.extend(state.map(|state| ("state", state)));
                let answer = remote.list("accounts", query, "after", which.limit).await?;
                remote.show(
                    &answer,
                    "accounts",
                    &[
                        "tenant",
                        "userName",
                        "resource",
                        "resourceState",
                        "target",
                        "state",
                        "next",
                        "remoteId",
                        "reason",
                    ],
                )
            }
            Self::Show { remote, resource, target, tenant } => {
                let tenant = remote.tenant(tenant.as_deref())?;
                let query: Vec<_> = target.map(|target| ("target", target)).into_iter().collect();
                let answer = remote.ask(Method::GET, &["accounts", &tenant, &resource], &query, None).await?;
                let out = remote.output();
                out.json(&answer)?;
                for line in portrait::lines(&answer, &remote.repeated()) {
                    out.line(line)?;
                }
                Ok(Exit::Done)
            }
            Self::Retry { remote, name } => remote.act("accounts", &name, "retry").await,
            Self::Release { remote, which } => {
                let tenant = remote.tenant(which.tenant.as_deref())?;
                let answer = remote.ask(Method::POST, &which.path(&tenant), &[], None).await?;
                remote.done(&answer)
            }
            Self::Drop { remote, name } => remote.act("accounts", &name, "drop").await,
        }
    }
}

impl Target {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let Self::List { remote } = self;
        let answer = remote.ask(Method::GET, &["targets"], &[], None).await?;
        remote.show(
            &answer,
            "targets",
            &["tenant", "target", "kind", "mode", "up", "condition", "queue", "inFlight"],
        )?;
        let out = remote.output();
        let columns = ["tenant", "pool", "size", "used", "free"];
        if answer["pools"].as_array().is_some_and(|pools| !pools.is_empty()) {
            out.line("")?;
            for line in lines(&answer, "pools", &columns) {
                out.line(line)?;
            }
        }
        for warning in answer["warnings"].as_array().into_iter().flatten() {
            out.line(format_args!("warning: {}", cell(warning)))?;
        }
        Ok(Exit::Done)
    }
}

impl Task {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::List { remote, which } => {
                let answer = remote.list("tasks", which.query(), "after", which.limit).await?;
                remote.show(&answer, "tasks", &["tenant", "userName", "resource", "target", "updated", "reason"])
            }
            Self::Done { remote, name } => remote.act("tasks", &name, "done").await,
        }
    }
}

impl Request {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::List { remote, tenant, resource, user, failed, since, until, limit } => {
                let now = Clock::system().now();
                let moment = |text: Option<String>| text.map(|text| moment_ago(&text, now)).transpose();
                let (since, until) = (moment(since)?, moment(until)?);
                let mut query = vec![("tenant", remote.tenant(tenant.as_deref())?)];
                let chosen = [("resource", resource), ("user", user), ("since", since), ("until", until)];
                query.extend(chosen.into_iter().filter_map(|(name, value)| Some((name, value?))));
                query.extend(failed.then(|| ("failed", "true".to_owned())));
                let answer = remote.list("requests", query, "before", limit).await?;
                remote.show(
                    &answer,
                    "requests",
                    &["received", "id", "connection", "method", "path", "status", "userName", "outcome"],
                )
            }
            Self::Show { remote, id, tenant } => {
                let query = [("tenant", remote.tenant(tenant.as_deref())?)];
                let answer = remote.ask(Method::GET, &["requests", &id], &query, None).await?;
                let out = remote.output();
                out.json(&answer)?;
                out.line(format_args!("{answer:#}"))?;
                Ok(Exit::Done)
            }
        }
    }
}

impl Link {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::List { remote, which } => {
                let answer = remote.list("links", which.query(), "after", which.limit).await?;
                remote.show(&answer, "links", &["tenant", "resource", "target", "remoteId", "state"])
            }
            Self::Set { remote, name, remote_id } => {
                let tenant = remote.tenant(name.tenant.as_deref())?;
                let path = ["links", &tenant, &name.resource, &name.target];
                let answer = remote.ask(Method::PUT, &path, &[], Some(json!({ "remoteId": remote_id }))).await?;
                remote.done(&answer)
            }
        }
    }
}

impl Connection {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::List { remote, tenant } => {
                let query: Vec<_> = tenant.map(|tenant| ("tenant", tenant)).into_iter().collect();
                let answer = remote.ask(Method::GET, &["connections"], &query, None).await?;
                let columns = ["tenant", "connection", "profile", "client", "dialects", "writes", "last"];
                remote.show(&answer, "connections", &columns)
            }
            Self::Show { remote, connection, tenant } => {
                let query = [("tenant", remote.tenant(tenant.as_deref())?), ("connection", connection)];
                let answer = remote.ask(Method::GET, &["connections"], &query, None).await?;
                let connection = &answer["connections"][0];
                let out = remote.output();
                out.json(connection)?;
                out.line(format_args!("{connection:#}"))?;
                Ok(Exit::Done)
            }
        }
    }
}

impl Store {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let Self::Backup { remote, path } = self;
        let path = std::path::absolute(path)?;
        let answer = remote.ask(Method::POST, &["store", "backup"], &[], Some(json!({ "path": path }))).await?;
        // Whoever may not look into the folder does not know.
        if remote.is_here()? && matches!(path.try_exists(), Ok(false)) {
            bail!(
                "the server says that it has written {}, but there is no such file here: it sees other folders than you do \
                 (PrivateTmp, a container). Name one of its own, such as that of its database",
                path.display()
            );
        }
        remote.done(&answer)
    }
}

impl Which {
    fn query(&self) -> Vec<(&'static str, String)> {
        let pairs = [("tenant", self.tenant.clone()), ("target", self.target.clone())];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// A time ago, or a moment, as the admin API takes it.
fn moment_ago(text: &str, now: Timestamp) -> anyhow::Result<String> {
    let wrong = || format!("{text:?} is neither a time such as \"2h\" nor a moment such as \"2027-01-31T00:00:00Z\"");
    let moment = match text.parse::<Span>() {
        Ok(span) => now.checked_sub(span.to_duration(SpanRelativeTo::days_are_24_hours()).with_context(wrong)?)?,
        Err(_) => text.parse::<Timestamp>().with_context(wrong)?,
    };
    Ok(moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_ago_or_itself() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(moment_ago(text, now).ok().as_deref(), expected, "{text}");
        };
        check("2h", Some("2026-01-01T22:00:00Z"));
        check("1d", Some("2026-01-01T00:00:00Z"));
        check("2025-12-31T00:00:00Z", Some("2025-12-31T00:00:00Z"));
        check("soon", None);
    }
}
