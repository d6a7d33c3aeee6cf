//! What was found: a table for people, a line of JSON for programs.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::Result;
use crate::load::{CONNECTIONS, Measured};

/// One line of the table.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    work: String,
    users: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_second: Option<f64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    latencies: Option<Latencies>,
    /// Processor time of the server per request.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_microseconds: Option<f64>,
    /// The number that the goal is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    found: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    goal: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_met: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Latencies {
    p50_milliseconds: f64,
    p99_milliseconds: f64,
    max_milliseconds: f64,
}

impl Row {
    /// Requests.
    pub(crate) fn of_load(work: &str, users: usize, measured: &Measured, cpu: Option<Duration>) -> Self {
        let latencies = Latencies {
            p50_milliseconds: milliseconds(measured.percentile(50)),
            p99_milliseconds: milliseconds(measured.percentile(99)),
            max_milliseconds: milliseconds(measured.percentile(100)),
        };
        Self {
            per_second: Some(measured.per_second()),
            latencies: Some(latencies),
            cpu_microseconds: cpu.map(|cpu| cpu.as_secs_f64() * 1e6),
            ..Self::of_work(work, users)
        }
    }

    /// Neither requests nor a rate.
    pub(crate) fn of_work(work: &str, users: usize) -> Self {
        Self { work: work.to_owned(), users, ..Self::default() }
    }

    /// A rate.
    pub(crate) fn of_rate(work: &str, users: usize, per_second: f64) -> Self {
        Self { per_second: Some(per_second), ..Self::of_work(work, users) }
    }

    /// A time that must be short.
    pub(crate) fn of_time(work: &str, users: usize, time: Duration, goal: &'static str) -> Self {
        let most: f64 = first_number(goal);
        let time = milliseconds(time);
        Self::of_work(work, users).compared(format!("{time:.0} ms"), goal, time <= most)
    }

    /// Memory, in MiB.
    pub(crate) fn of_memory(work: &str, users: usize, memory: f64, goal: &'static str) -> Self {
        let most: f64 = first_number(goal);
        Self::of_work(work, users).compared(format!("{memory:.0} MiB"), goal, memory <= most)
    }

    /// Beside its goal.
    pub(crate) fn compared(self, found: String, goal: &'static str, is_met: bool) -> Self {
        Self { found, goal, is_met: Some(is_met), ..self }
    }

    fn line(&self) -> String {
        let number =
            |value: Option<f64>, digits: usize| value.map_or(String::new(), |value| format!("{value:.digits$}"));
        let latency = |of: fn(&Latencies) -> f64| number(self.latencies.as_ref().map(of), 2);
        let verdict = match self.is_met {
            None => "",
            Some(true) => " ✓",
            Some(false) => " ✗",
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {}{verdict} | {} |",
            self.work,
            thousands(self.users),
            self.per_second.map_or(String::new(), |rate| thousands(format!("{rate:.0}").parse().unwrap_or_default())),
            latency(|latencies| latencies.p50_milliseconds),
            latency(|latencies| latencies.p99_milliseconds),
            latency(|latencies| latencies.max_milliseconds),
            number(self.cpu_microseconds, 0),
            self.found,
            self.goal,
        )
    }
}

/// Prints the table, then the same as one line of JSON.
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
pub(crate) fn print(rows: &[Row]) -> Result<()> {
    let processors = std::thread::available_parallelism()?;
    println!("{processors} processors, {CONNECTIONS} connections, load and server on the same machine.\n");
    println!("| work | users | per second | p50 ms | p99 ms | max ms | CPU µs | found | goal |");
    println!("|---|--:|--:|--:|--:|--:|--:|---|---|");
    for row in rows {
        println!("{}", row.line());
    }
    println!("\n{}", serde_json::to_string(rows)?);
    Ok(())
}

/// Says what went wrong.
#[expect(clippy::print_stderr, reason = "a command complains on standard error")]
pub(crate) fn fail(error: &(dyn Error + Send + Sync)) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::FAILURE
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The limit that a goal begins with: `≤ 64 MiB`.
fn first_number(goal: &str) -> f64 {
    goal.split(' ').find_map(|word| word.parse().ok()).unwrap_or_default()
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap_or("")).collect();
    groups.join(",")
}
