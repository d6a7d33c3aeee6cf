//! `token`: the credentials that identity providers present. They work on the database directly, beside a server that may
//! be running on it.

use std::path::Path;

use anyhow::{Context as _, bail};
use bridge_store::{Credential, Options, Resource, ResourceState, Store, StoreError};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use jiff::{Span, SpanRelativeTo, Timestamp};
use scim_filter::AttributePath;
use scim_model::{Catalog, fold};
use serde_json::{Value, json};

use super::{ConfigFile, Exit, Output, only_tenant, table};
use crate::clock::Clock;
use crate::config::{Config, StoreUrl, scim_base};
use crate::token;

/// Connection tokens, the identity provider's credential.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token. It is shown this once; the database keeps only its hash.
    New(New),
    /// The tokens there are, without the tokens themselves.
    List(List),
    /// End a token: a running server refuses it within a second.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct New {
    #[command(flatten)]
    file: ConfigFile,
    /// What you call it, such as "okta production".
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    label: String,
    /// The tenant it opens; can be left out if there is only one.
    #[arg(long)]
    tenant: Option<String>,
    /// The connection it belongs to; tokens that replace each other share one. Default: the label.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    connection: Option<String>,
    /// The user, by id or userName, that the token stands for: it then opens /Me and discovery, nothing else.
    #[arg(long, value_name = "USERNAME_OR_ID")]
    user: Option<String>,
    /// When it ends: a duration such as "365d", or a moment such as "2027-01-31T00:00:00Z". Default: never.
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    file: ConfigFile,
    /// Only of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    file: ConfigFile,
    /// Its id, as `token list` shows it.
    id: String,
    /// The tenant it opens; can be left out if there is only one.
    #[arg(long)]
    tenant: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Token {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let now = Clock::system().now();
        match self {
            Self::New(command) => command.run(now).await,
            Self::List(command) => command.run(now).await,
            Self::Revoke(command) => command.run(now).await,
        }
    }
}

impl New {
    async fn run(self, now: Timestamp) -> anyhow::Result<Exit> {
        let config = Config::load_without_secrets(&self.file.config)?;
        let tenant = tenant_of(self.tenant, &config, &self.file.config)?;
        check_tenant(&config, &tenant, &self.file.config)?;
        let expires = self.expires.as_deref().map(|text| moment(text, now)).transpose()?;
        let store = open(&config)?;
        let subject = match &self.user {
            Some(user) => Some(user_id(&store, &tenant, user).await?),
            None => None,
        };
        let token = token::Token::generate();
        let credential = Credential {
            selector: token.selector(),
            hash: token.hash().to_vec(),
            tenant: tenant.clone(),
            connection: self.connection.unwrap_or_else(|| self.label.clone()),
            label: self.label,
            scopes: "scim".to_owned(),
            created: now,
            expires,
            revoked: None,
            last_used: None,
            subject,
        };
        let stored = credential.clone();
        store.write(move |tx| tx.put_credential(&stored)).await?;
        store.close().await;
        let scim_url = scim_base(config.server.public_url.as_str(), &tenant);
        let out = Output::new(self.json);
        let mut shown = view(&credential, now);
        shown["token"] = json!(token.expose());
        shown["scimUrl"] = json!(scim_url);
        out.json(&shown)?;
        out.line(format_args!("Base URL: {scim_url}"))?;
        out.line(format_args!("Token:    {}", token.expose()))?;
        out.line("It is not shown again.")?;
        Ok(Exit::Done)
    }
}

impl List {
    async fn run(self, now: Timestamp) -> anyhow::Result<Exit> {
        let config = Config::load_without_secrets(&self.file.config)?;
        let store = open(&config)?;
        let credentials = store.read(|db| db.credentials(self.tenant.as_deref())).await?;
        if let Some(tenant) = self.tenant.as_ref().filter(|_| credentials.is_empty()) {
            // One that has left the file may still have tokens.
            check_tenant(&config, tenant, &self.file.config)?;
        }
        let out = Output::new(self.json);
        let views: Vec<Value> = credentials.iter().map(|credential| view(credential, now)).collect();
        out.json(&json!({ "tokens": views }))?;
        let mut rows =
            vec![table::row(["id", "tenant", "connection", "label", "state", "made", "ends", "last used", "user"])];
        let text = |moment: Option<Timestamp>| moment.map_or_else(|| "-".to_owned(), day);
        rows.extend(credentials.iter().map(|credential| {
            vec![
                credential.selector.clone(),
                credential.tenant.clone(),
                credential.connection.clone(),
                credential.label.clone(),
                state(credential, now).to_owned(),
                day(credential.created),
                text(credential.expires),
                text(credential.last_used),
                credential.subject.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        }));
        for line in table::lines(&rows) {
            out.line(line)?;
        }
        Ok(Exit::Done)
    }
}

impl Revoke {
    async fn run(self, now: Timestamp) -> anyhow::Result<Exit> {
        let config = Config::load_without_secrets(&self.file.config)?;
        let tenant = tenant_of(self.tenant, &config, &self.file.config)?;
        let store = open(&config)?;
        let (of, id) = (tenant.clone(), self.id.clone());
        let is_done = store.write(move |tx| tx.revoke_credential(&of, &id, now)).await?;
        store.close().await;
        if !is_done {
            bail!("tenant {tenant:?} has no token {:?} that is still good", self.id);
        }
        let out = Output::new(self.json);
        out.json(&json!({ "done": true, "id": self.id }))?;
        out.line(format_args!("{} is revoked", self.id))?;
        Ok(Exit::Done)
    }
}

/// Refuses a tenant that the file does not have.
fn check_tenant(config: &Config, tenant: &str, file: &Path) -> anyhow::Result<()> {
    if config.tenants.contains_key(tenant) {
        return Ok(());
    }
    let known: Vec<&str> = config.tenants.keys().map(String::as_str).collect();
    bail!("there is no tenant {tenant:?} in {}; there are {}", file.display(), known.join(", "))
}

/// The tenant that is named, or the only one there is.
fn tenant_of(given: Option<String>, config: &Config, file: &Path) -> anyhow::Result<String> {
    given.map_or_else(|| only_tenant(config, file), Ok)
}

/// The id of a user named by id or by userName.
async fn user_id(store: &Store, tenant: &str, name: &str) -> anyhow::Result<String> {
    let catalog = Catalog::new(Vec::new())?;
    let user_name = AttributePath::named("userName");
    let user_name = catalog.resource_type("User").and_then(|users| users.resolve(&user_name));
    let folded = user_name.map_or_else(|| name.to_owned(), |user_name| fold(user_name.leaf(), name));
    let is_live = |resource: &Resource| resource.state == ResourceState::Live;
    let found = store
        .read(|db| {
            let by_id = db.resource_by_id(tenant, "User", name)?.filter(is_live);
            let by_name = db.resources_by_value(tenant, "User", "userName", &folded)?.into_iter().find(is_live);
            Ok::<_, StoreError>(by_id.or(by_name))
        })
        .await?;
    match found {
        Some(user) => Ok(user.id),
        None => bail!("tenant {tenant:?} has no user with the id or userName {name:?}"),
    }
}

/// The database of a configuration, beside a server that may be running on it.
fn open(config: &Config) -> Result<Store, StoreError> {
    let StoreUrl::Sqlite(path) = &config.store.url;
    Store::open(&Options::visit(Path::new(path)))
}

fn view(credential: &Credential, now: Timestamp) -> Value {
    json!({
        "id": credential.selector, "tenant": credential.tenant, "connection": credential.connection,
        "label": credential.label, "state": state(credential, now), "created": credential.created,
        "expires": credential.expires, "revoked": credential.revoked, "lastUsed": credential.last_used, "user": credential.subject,
    })
}

fn state(credential: &Credential, now: Timestamp) -> &'static str {
    match credential {
        Credential { revoked: Some(_), .. } => "revoked",
        Credential { expires: Some(end), .. } if *end <= now => "expired",
        _ => "good",
    }
}

fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A duration from now, or a moment; either way in the future.
fn moment(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let wrong =
        || format!("{text:?} is neither a duration such as \"365d\" nor a moment such as \"2027-01-31T00:00:00Z\"");
    let moment = match text.parse::<Span>() {
        Ok(span) => now.checked_add(span.to_duration(SpanRelativeTo::days_are_24_hours()).with_context(wrong)?)?,
        Err(_) => text.parse::<Timestamp>().with_context(wrong)?,
    };
    if moment <= now {
        bail!("{text:?} is in the past");
    }
    Ok(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_duration_or_a_moment_in_the_future() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(moment(text, now).ok().map(|moment| moment.to_string()).as_deref(), expected, "{text}");
        };
        check("365d", Some("2027-01-01T00:00:00Z"));
        check("12h", Some("2026-01-01T12:00:00Z"));
        check("2027-01-31T00:00:00Z", Some("2027-01-31T00:00:00Z"));
        check("2025-01-31T00:00:00Z", None);
        check("-1d", None);
        check("soon", None);
    }
}
