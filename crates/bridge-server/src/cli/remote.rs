//! Commands that speak to the admin API of a running bridge: `account`, `target`, `task`, `request`, `link`, `connection`, `store`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::{Span, SpanRelativeTo, Timestamp};
use reqwest::{Client, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{Exit, Output, only_tenant, portrait, table};
use crate::api::DEFAULT_TENANT;
use crate::clock::Clock;
use crate::config::{self, Config};

/// Entries of a list, if the command does not say how many.
const USUAL: usize = 100;

/// Where the running bridge is.
#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The configuration file of the bridge: its admin address and token.
    #[arg(long, value_name = "FILE", required_unless_present = "admin_url")]
    config: Option<PathBuf>,
    /// The admin address, if it is another one than the configuration says.
    #[arg(long, value_name = "URL")]
    admin_url: Option<Url>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which account.
#[derive(Debug, Args)]
pub(super) struct Name {
    /// The user, by SCIM id or userName.
    resource: String,
    /// The name of the target.
    target: String,
    /// The tenant; can be left out if there is only one.
    #[arg(long)]
    tenant: Option<String>,
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

impl Remote {
    /// How a further command says where the bridge is.
    fn repeated(&self) -> String {
        let config = self.config.as_ref().map(|path| format!(" --config {}", path.display()));
        let admin_url = self.admin_url.as_ref().map(|url| format!(" --admin-url {url}"));
        config.into_iter().chain(admin_url).collect()
    }

    fn output(&self) -> Output {
        Output::new(self.json)
    }

    /// Root of the admin API and its token.
    fn place(&self) -> anyhow::Result<(Url, Option<SecretString>)> {
        let token = self.config.as_deref().map(config::admin_token).transpose()?.flatten();
        let root = match (&self.admin_url, &self.config) {
            (Some(url), _) => url.clone(),
            (None, Some(path)) => admin_root(path)?,
            (None, None) => bail!("--config or --admin-url says where the bridge is"),
        };
        Ok((root, token))
    }

    /// The tenant that is meant. One that is named is for the bridge to know, whatever the file says by now.
    fn tenant(&self, given: Option<&str>) -> anyhow::Result<String> {
        match (given, &self.config) {
            (Some(tenant), _) => Ok(tenant.to_owned()),
            (None, Some(path)) => only_tenant(&Config::load_without_secrets(path)?, path),
            (None, None) => Ok(DEFAULT_TENANT.to_owned()),
        }
    }

    /// Asks the admin API; a refusal is an error in its words.
    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let (root, token) = self.place()?;
        let url = address(&root, path, query)?;
        let mut request = Client::builder().build()?.request(method, url);
        if let Some(token) = token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await.with_context(|| format!("no bridge answers at {root}"))?;
        let status = reply.status();
        let text = reply.text().await?;
        let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if !status.is_success() {
            bail!("{}", answer["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned));
        }
        Ok(answer)
    }

    /// Asks for a list, page after page until there are `limit` entries or no more; `from` is what the place of a page is
    /// called in a query. The answer has the form of one page.
    async fn list(
        &self,
        name: &str,
        query: Vec<(&str, String)>,
        from: &str,
        limit: Option<usize>,
    ) -> anyhow::Result<Value> {
        let limit = limit.unwrap_or(USUAL);
        let (mut items, mut next) = (Vec::new(), Value::Null);
        loop {
            let mut page = query.clone();
            page.push(("limit", limit.saturating_sub(items.len()).to_string()));
            page.extend(
                (!next.is_null()).then(|| (from, next.as_str().map_or_else(|| next.to_string(), str::to_owned))),
            );
            let mut answer = self.ask(Method::GET, &[name], &page, None).await?;
            next = answer["next"].take();
            if let Value::Array(found) = answer[name].take() {
                items.extend(found);
            }
            if next.is_null() || items.len() >= limit {
                return Ok(json!({ name: items, "next": next }));
            }
        }
    }

    async fn act(&self, list: &str, name: &Name, action: &str) -> anyhow::Result<Exit> {
        let tenant = self.tenant(name.tenant.as_deref())?;
        let path = [list, &tenant, &name.resource, &name.target, action];
        let answer = self.ask(Method::POST, &path, &[], None).await?;
        self.done(&answer)
    }

    fn done(&self, answer: &Value) -> anyhow::Result<Exit> {
        let out = self.output();
        out.json(answer)?;
        if let Some(released) = answer["released"].as_u64() {
            out.line(format_args!("{released} released"))?;
            return Ok(Exit::Done);
        }
        let Some(state) = answer["state"].as_str() else {
            let is_sure = answer["targetWasAsked"] != false;
            out.line(if is_sure { "done" } else { "done; the target was not asked whether it has that account" })?;
            return Ok(Exit::Done);
        };
        let reason = if answer["reason"].is_null() { String::new() } else { format!(": {}", cell(&answer["reason"])) };
        if answer["done"] == false {
            out.line(format_args!("still {}{reason}", if state == "task" { "open" } else { state }))?;
            return Ok(Exit::Failed);
        }
        match state {
            "due" | "waiting" => out.line(format_args!("on its way{reason}"))?,
            _ => out.line(format_args!("done: {state}{reason}"))?,
        }
        Ok(Exit::Done)
    }

    /// Prints a list as a table.
    fn show(&self, answer: &Value, list: &str, columns: &[&str]) -> anyhow::Result<Exit> {
        let out = self.output();
        out.json(answer)?;
        for line in lines(answer, list, columns) {
            out.line(line)?;
        }
        if !answer["next"].is_null() {
            out.line("… and more; --limit shows more of them")?;
        }
        Ok(Exit::Done)
    }
}

/// The admin address of a configuration. An address that means every address is reached by loopback.
fn admin_root(path: &Path) -> anyhow::Result<Url> {
    let address = Config::load_without_secrets(path)?.server.admin_listen;
    if address.port() == 0 {
        bail!("admin_listen has port 0 in {}; say --admin-url", path.display());
    }
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    Ok(Url::parse(&format!("http://{}", std::net::SocketAddr::new(host, address.port())))?)
}

fn address(root: &Url, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Url> {
    let mut url = root.clone();
    match url.path_segments_mut() {
        Ok(mut segments) => segments.pop_if_empty().extend(["admin", "v1"]).extend(path),
        Err(()) => bail!("{root} is not an address of a server"),
    };
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

/// A list as the lines of a table.
fn lines(answer: &Value, list: &str, columns: &[&str]) -> Vec<String> {
    let mut rows = vec![columns.iter().map(|&column| column.to_owned()).collect::<Vec<_>>()];
    let items = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.extend(items.iter().map(|item| columns.iter().map(|&column| cell(&item[column])).collect()));
    table::lines(&rows)
}

/// A value as a cell: texts as they are, a reason by code and text.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(reason) => {
            let part = |name: &str| reason.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{}: {}", part("code"), part("text"))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_path_are_encoded() {
        let root = Url::parse("http://127.0.0.1:8081/").unwrap();
        let url = address(&root, &["accounts", "default", "a/b", "pbx", "retry"], &[]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8081/admin/v1/accounts/default/a%2Fb/pbx/retry");
        let url = address(&root, &["accounts"], &[("state", "parked".to_owned())]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8081/admin/v1/accounts?state=parked");
    }

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

    #[test]
    fn a_cell_is_short() {
        assert_eq!(cell(&Value::Null), "-");
        assert_eq!(cell(&json!("x")), "x");
        assert_eq!(cell(&json!(201)), "201");
        assert_eq!(
            cell(&json!({ "code": "taken", "text": "the address is taken", "field": null })),
            "taken: the address is taken"
        );
    }
}
