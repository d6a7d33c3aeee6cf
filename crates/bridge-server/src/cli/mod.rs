//! The command line (DESIGN.md section 9). `check`, `plan`, `token`, `sim` and `demo` work without a running server; the rest
//! speaks to its admin API. Exit status: 0 done, 1 error, 2 differences found.

mod check;
mod client;
mod demo;
mod output;
mod plan;
mod portrait;
mod remote;
mod serve;
mod signals;
mod sim;
mod table;
mod token;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};

use crate::api::DEFAULT_TENANT;
use crate::config::Config;
use crate::telemetry::{self, LogFormat};
use output::Output;

/// A SCIM 2.0 provisioning bridge to Glance, NetSapiens and CRM.COM.
#[derive(Debug, Parser)]
#[command(name = "scim-bridge", version, max_term_width = 120)]
struct Cli {
    /// How log lines on standard error look.
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bridge, simulators and sample users on this machine: everything printed as lines one can paste.
    Demo(demo::Demo),
    /// The server. SIGHUP reads the configuration again, SIGTERM ends it properly.
    Serve(ConfigFile),
    /// The simulators alone, with fault switches.
    Sim(sim::Sim),
    /// Is the configuration good, and with --online each target's address and credential?
    Check(check::Check),
    /// The accounts and exact calls that a user would cause; touches nothing.
    Plan(plan::Plan),
    /// Connection tokens, the identity provider's credential.
    #[command(subcommand)]
    Token(token::Token),
    /// Accounts that are parked, held or under review.
    #[command(subcommand)]
    Account(remote::Account),
    /// How every target is doing, and how full the pools are.
    #[command(subcommand)]
    Target(remote::Target),
    /// What a person must do in a target.
    #[command(subcommand)]
    Task(remote::Task),
    /// What identity providers sent, and what came of it.
    #[command(subcommand)]
    Request(remote::Request),
    /// Which remote account belongs to which resource.
    #[command(subcommand)]
    Link(remote::Link),
    /// Who speaks at the other end of each connection, in which dialect, what was forgiven.
    #[command(subcommand)]
    Connection(remote::Connection),
    /// The database.
    #[command(subcommand)]
    Store(remote::Store),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// 0
    Done,
    /// 1: the command has said what is wrong.
    Failed,
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap would exit with 2, which here means differences.
            let is_question = !error.use_stderr();
            return if error.print().is_ok() && is_question { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    telemetry::start_logging(cli.log_format, default_filter(&cli.command));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(run(cli.command)) {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

/// A server tells what it does; a command tells what is wrong.
fn default_filter(command: &Command) -> &'static str {
    match command {
        Command::Serve(_) => "info,actix_server=warn,refinery_core=warn",
        _ => "error",
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    output::complain(error);
    ExitCode::FAILURE
}

async fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(demo) => demo.run().await,
        Command::Serve(file) => serve::run(&file.config).await,
        Command::Sim(sim) => sim.run().await,
        Command::Check(check) => check.run().await,
        Command::Plan(plan) => plan.run().await,
        Command::Token(token) => token.run().await,
        Command::Account(account) => account.run().await,
        Command::Target(target) => target.run().await,
        Command::Task(task) => task.run().await,
        Command::Request(request) => request.run().await,
        Command::Link(link) => link.run().await,
        Command::Connection(connection) => connection.run().await,
        Command::Store(store) => store.run().await,
    }
}

/// The tenant that a command means which names none: the only one there is, or else `default`.
fn only_tenant(config: &Config, file: &Path) -> anyhow::Result<String> {
    let known: Vec<&str> = config.tenants.keys().map(String::as_str).collect();
    match known.as_slice() {
        [] => bail!("there is no tenant in {} yet: add a table [tenants.NAME]", file.display()),
        [only] => Ok((*only).to_owned()),
        several if several.contains(&DEFAULT_TENANT) => Ok(DEFAULT_TENANT.to_owned()),
        several => bail!("say --tenant: in {} there are {}", file.display(), several.join(", ")),
    }
}

#[cfg(test)]
mod tests;
