//! `demo`: a bridge, three simulators and a throw-away database on this machine, and sample users that Okta and Entra ID
//! would send, pushed through the real SCIM endpoint. Every request is printed as a line one can paste.

mod samples;
mod stage;
mod verdict;

use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::signals::Signals;
use super::{Exit, Output, table};
use samples::{Sent, Step};
use stage::Stage;

/// Bridge, simulators and sample users on this machine.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Push the sample users through, look at every account in the simulators, and exit: 0 if all are right.
    #[arg(long)]
    once: bool,
    /// Print addresses and token as one line of JSON once all is up. Sample users are sent only with --once: a
    /// second line then says what came of them.
    #[arg(long)]
    json: bool,
    /// Port of the SCIM server; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Port of the admin server; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    admin_port: u16,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let out = Output::new(self.json);
        self.show(out).await
    }

    async fn show(self, out: Output) -> anyhow::Result<Exit> {
        let mut signals = Signals::listen()?;
        let stage = Stage::build(self.port, self.admin_port).await?;
        announce(out, &stage)?;
        let mut exit = Exit::Done;
        if self.once || !self.json {
            // Who is in a hurry to leave need not see the end.
            tokio::select! {
                verdict = play(out, &stage) => exit = verdict?,
                stop = signals.stop() => {
                    stop?;
                    stage.tear_down().await;
                    return Ok(Exit::Failed);
                }
            }
        }
        if !self.once {
            out.line("\n# Everything stays up until Ctrl-C.")?;
            signals.stop().await?;
            exit = Exit::Done;
        }
        stage.tear_down().await;
        Ok(exit)
    }
}

/// Says where everything is.
fn announce(out: Output, stage: &Stage) -> anyhow::Result<()> {
    let (glance, pbx, crm) =
        (stage.simulators.glance.url(), stage.simulators.netsapiens.url(), stage.simulators.crm_com.url());
    out.json_line(&json!({
        "scim_url": stage.scim_url(), "token": stage.token, "admin_url": stage.running.admin_url(),
        "targets": { "glance": glance, "netsapiens": pbx, "crm_com": crm },
    }))?;
    out.line("# A bridge in front of three simulated targets, in memory of this process only. Paste what you like.")?;
    out.line(format_args!("export SCIM={}", stage.scim_url()))?;
    out.line(format_args!("export TOKEN={}", stage.token))?;
    out.line(format_args!("export ADMIN={}", stage.running.admin_url()))?;
    out.line(format_args!("export GLANCE={glance} PBX={pbx} CRM={crm}"))?;
    out.line("")?;
    out.line("curl -s $ADMIN/readyz")?;
    out.line("curl -s $ADMIN/admin/v1/accounts")?;
    out.line("curl -s $GLANCE/_sim/accounts; curl -s $PBX/_sim/accounts; curl -s $CRM/_sim/accounts")?;
    Ok(())
}

/// Sends the sample users and looks at what became of them.
async fn play(out: Output, stage: &Stage) -> anyhow::Result<Exit> {
    let mut sent = Sent::default();
    let mut is_right = true;
    for step in samples::steps() {
        is_right &= send(out, stage, &step, &mut sent).await.with_context(|| step.title)?;
    }
    stage.until_at_rest().await?;
    let people = samples::people();
    let verdicts = verdict::judge(stage, &people, &sent).await?;
    out.line("\n# What the targets hold now, read from the simulators:")?;
    for line in table::lines(&verdict::rows(&people, &verdicts)) {
        out.line(line)?;
    }
    for wrong in verdicts.iter().filter_map(|verdict| verdict.wrong.as_ref()) {
        out.line(format_args!("# WRONG: {wrong}"))?;
        tracing::error!("{wrong}");
        is_right = false;
    }
    let tasks = stage.tasks().await?;
    for task in &tasks {
        out.line(format_args!("# task for a person: {task}"))?;
    }
    let wrong: Vec<&String> = verdicts.iter().filter_map(|verdict| verdict.wrong.as_ref()).collect();
    out.json_line(&json!({ "ok": is_right, "accounts": verdicts.len(), "wrong": wrong, "tasks": tasks }))?;
    Ok(if is_right { Exit::Done } else { Exit::Failed })
}

/// Sends one request; whether it was answered as expected.
async fn send(out: Output, stage: &Stage, step: &Step, sent: &mut Sent) -> anyhow::Result<bool> {
    let path = sent.fill(step.path);
    let body = step.body.as_ref().map(|body| sent.fill(&body.to_string()));
    out.line(format_args!("\n# {}", step.title))?;
    out.line(curl(step.method, &path, body.as_deref()))?;
    let began = Instant::now();
    let answer = stage.send(step.method, &path, body).await?;
    let took = began.elapsed().as_millis();
    let found = answer.body.get("totalResults").map(|total| format!(", totalResults {total}")).unwrap_or_default();
    out.line(format_args!("# {}{found} in {took} ms", answer.status))?;
    if let Some(detail) = answer.body.get("detail").and_then(|detail| detail.as_str()) {
        out.line(format_args!("# {detail}"))?;
    }
    if let (Some(person), Some(id)) = (step.creates, answer.body.get("id").and_then(|id| id.as_str())) {
        sent.remember(person, id);
    }
    let is_expected = answer.status == step.status
        && step.total.is_none_or(|total| answer.body.get("totalResults") == Some(&total.into()));
    if !is_expected {
        tracing::error!(status = answer.status, "{}: not what was expected", step.title);
    }
    Ok(is_expected)
}

/// A line for a shell in which SCIM and TOKEN are set.
fn curl(method: &str, path: &str, body: Option<&str>) -> String {
    let quoted = |text: &str| text.replace('\'', r"'\''");
    let mut line = match method {
        "GET" => format!("curl -s \"$SCIM\"'{}' -H \"Authorization: Bearer $TOKEN\"", quoted(path)),
        _ => format!("curl -s -X {method} \"$SCIM\"'{}' -H \"Authorization: Bearer $TOKEN\"", quoted(path)),
    };
    if let Some(body) = body {
        line.push_str(&format!(" -H 'Content-Type: application/scim+json' -d '{}'", quoted(body)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_line_one_can_paste() {
        assert_eq!(
            curl("GET", "/Users?filter=userName+eq+%22a%22", None),
            "curl -s \"$SCIM\"'/Users?filter=userName+eq+%22a%22' -H \"Authorization: Bearer $TOKEN\""
        );
        assert_eq!(
            curl("PATCH", "/Users/1", Some(r#"{"n":"O'Hara"}"#)),
            "curl -s -X PATCH \"$SCIM\"'/Users/1' -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/scim+json' -d '{\"n\":\"O'\\''Hara\"}'"
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_demo_ends_with_every_account_right() {
        let demo = Demo { once: true, json: true, port: 0, admin_port: 0 };
        assert_eq!(demo.show(Output::silent()).await.unwrap(), Exit::Done);
    }
}
