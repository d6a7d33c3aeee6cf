//! How a command speaks to the admin API of a running bridge, and how it prints the answer.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Client, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::output::printable;
use super::remote::Name;
use super::{Exit, Output, only_tenant, table};
use crate::api::DEFAULT_TENANT;
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

impl Remote {
    /// How a further command says where the bridge is.
    pub(super) fn repeated(&self) -> String {
        let config = self.config.as_ref().map(|path| format!(" --config {}", path.display()));
        let admin_url = self.admin_url.as_ref().map(|url| format!(" --admin-url {url}"));
        config.into_iter().chain(admin_url).collect()
    }

    pub(super) fn output(&self) -> Output {
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

    /// Whether the bridge runs on this machine.
    pub(super) fn is_here(&self) -> anyhow::Result<bool> {
        Ok(config::is_loopback(&self.place()?.0))
    }

    /// The tenant that is meant. One that is named is for the bridge to know, whatever the file says by now.
    pub(super) fn tenant(&self, given: Option<&str>) -> anyhow::Result<String> {
        match (given, &self.config) {
            (Some(tenant), _) => Ok(tenant.to_owned()),
            (None, Some(path)) => only_tenant(&Config::load_without_secrets(path)?, path),
            (None, None) => Ok(DEFAULT_TENANT.to_owned()),
        }
    }

    /// Asks the admin API; a refusal is an error in its words.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let (root, token) = self.place()?;
        let url = address(&root, path, query)?;
        // The admin API is on this machine or beside it: its token is nothing for a proxy on the way to the internet.
        let mut request = Client::builder().no_proxy().build()?.request(method, url);
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
    pub(super) async fn list(
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

    pub(super) async fn act(&self, list: &str, name: &Name, action: &str) -> anyhow::Result<Exit> {
        let tenant = self.tenant(name.tenant.as_deref())?;
        let path = [list, &tenant, &name.resource, &name.target, action];
        let answer = self.ask(Method::POST, &path, &[], None).await?;
        self.done(&answer)
    }

    pub(super) fn done(&self, answer: &Value) -> anyhow::Result<Exit> {
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
    pub(super) fn show(&self, answer: &Value, list: &str, columns: &[&str]) -> anyhow::Result<Exit> {
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
pub(super) fn lines(answer: &Value, list: &str, columns: &[&str]) -> Vec<String> {
    let mut rows = vec![columns.iter().map(|&column| column.to_owned()).collect::<Vec<_>>()];
    let items = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.extend(items.iter().map(|item| columns.iter().map(|&column| cell(&item[column])).collect()));
    table::lines(&rows)
}

/// A value as a cell: texts in one line, a reason by code and text.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        Value::Object(reason) => {
            let part = |name: &str| reason.get(name).and_then(Value::as_str).unwrap_or_default();
            printable(&format!("{}: {}", part("code"), part("text")))
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
    fn a_cell_is_short() {
        assert_eq!(cell(&Value::Null), "-");
        assert_eq!(cell(&json!("x")), "x");
        assert_eq!(cell(&json!("a\u{1b}[2K\nb")), "a\\u{1b}[2K\\nb");
        assert_eq!(cell(&json!(201)), "201");
        assert_eq!(
            cell(&json!({ "code": "taken", "text": "the address is taken", "field": null })),
            "taken: the address is taken"
        );
    }
}
