//! Requests per second and latencies of a durable bridge, beside a static answer and raw SQLite (DESIGN section 11).
//!
//! Everything happens in one run, on one machine, and is compared inside that run: absolute numbers belong to a machine,
//! ratios to the bridge. The servers are processes of their own, so that their CPU and memory can be told from those of the
//! load, which comes from this process over eight connections that stay open.
//!
//! | variable | default | |
//! |---|---|---|
//! | `BENCH_USERS` | `1000,100000` | populations, smallest first; `1000,1000000` is what the goals are about |
//! | `BENCH_SENT` | `500` | users of the run to targets far away (`10000` for the goal, `0` for no such run) |
//! | `BENCH_SECONDS` | `3` | longest time of one measurement |
//! | `BENCH_ONLY` | everything | measurements, of `reads`, `filter`, `lists`, `groups`, `writes`, `sending`: for work on one of them |
//! | `BENCH_FOLDER` | `target` of this repository | where the databases lie: the disk that is measured |
//!
//! The targets are in mode `hold`: users are mapped for all three, and their accounts are stored with the user, but nothing
//! is sent, because simulators on the same cores would be measured too. One more measurement, at the smallest population,
//! is in mode `send`, and one sends a run of users to simulators that take their time.

mod load;
mod population;
mod report;
mod runs;
mod server;
mod yardstick;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use runs::{MEASUREMENTS, Plan};

/// Which server this process is; without it, it is the one that measures.
const ROLE: &str = "BENCH_ROLE";

/// As in the real binary; the static answer has it as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let role = std::env::var(ROLE).unwrap_or_default();
    let outcome = match role.as_str() {
        "serve" => return bridge_server::cli::main(),
        "static" => yardstick::serve(),
        _ => plan().and_then(|plan| runs::measure(&plan)).and_then(|rows| report::print(&rows)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::fail(&*error),
    }
}

fn plan() -> Result<Plan> {
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let users = variable("BENCH_USERS", "1000,100000");
    let users: std::result::Result<Vec<usize>, _> = users.split(',').map(|count| count.trim().parse()).collect();
    let seconds: f64 = variable("BENCH_SECONDS", "3").parse()?;
    let folder = variable("BENCH_FOLDER", concat!(env!("CARGO_MANIFEST_DIR"), "/../target"));
    let sent = variable("BENCH_SENT", "500").parse()?;
    let only = variable("BENCH_ONLY", &MEASUREMENTS.join(","));
    let only: Vec<&'static str> =
        MEASUREMENTS.into_iter().filter(|name| only.split(',').any(|it| it == *name)).collect();
    Ok(Plan { users: users?, sent, only, time: Duration::try_from_secs_f64(seconds)?, folder: PathBuf::from(folder) })
}
