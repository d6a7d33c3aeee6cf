//! What is measured, in which order, and what it is compared with.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::load::{self, Limit, Measured, Turn, count, request};
use crate::population::{self, FAR, Group, IN_FLIGHT, OUTSIDE, Population, Targets};
use crate::report::Row;
use crate::server::Server;
use crate::{Result, yardstick};

/// Users of a page, in lists.
const PAGE: usize = 100;
/// Writes of one measurement: the population should stay what its name says.
const WRITES: usize = 4000;

/// A run of users that takes longer has failed.
const LONGEST_RUN: Duration = Duration::from_secs(1800);

/// What can be asked for by name.
pub(crate) const MEASUREMENTS: [&str; 6] = ["reads", "filter", "lists", "groups", "writes", "sending"];

/// How much is measured.
pub(crate) struct Plan {
    /// Which of [`MEASUREMENTS`].
    pub(crate) only: Vec<&'static str>,
    /// Populations.
    pub(crate) users: Vec<usize>,
    /// Users that are sent to targets far away.
    pub(crate) sent: usize,
    /// Longest time of one measurement.
    pub(crate) time: Duration,
    /// Where the databases lie.
    pub(crate) folder: PathBuf,
}

/// Runs everything; the rows in the order of the table.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Row>> {
    std::fs::create_dir_all(&plan.folder)?;
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&plan.folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rows = Vec::new();
    let mut smallest = None;
    for users in &plan.users {
        let place = folder.path().join(users.to_string());
        let population = runtime.block_on(Population::make(&place, *users, Targets::Held))?;
        let bench = Bench { plan, users: *users, server: population.serve()?, population, first: smallest };
        let found = bench.all(&place, &mut rows)?;
        smallest = smallest.or(Some(found));
    }
    if let (Some(users), true) = (plan.users.first(), plan.has("sending")) {
        rows.push(sending(plan, *users, folder.path(), &runtime)?);
    }
    if plan.sent > 0 && plan.has("sending") {
        rows.push(sending_far(plan, folder.path(), &runtime)?);
    }
    Ok(rows)
}

impl Plan {
    fn has(&self, measurement: &str) -> bool {
        self.only.contains(&measurement)
    }
}

/// What the smallest population found, for larger ones to be compared with.
#[derive(Debug, Clone, Copy)]
struct Found {
    filter: Duration,
}

/// A served population.
struct Bench<'a> {
    plan: &'a Plan,
    users: usize,
    population: Population,
    server: Server,
    first: Option<Found>,
}

impl Bench<'_> {
    fn all(&self, folder: &Path, rows: &mut Vec<Row>) -> Result<Found> {
        let (idle, _) = self.server.memory()?;
        rows.push(Row::of_time("start to ready", self.users, self.server.ready_after, "≤ 100 ms at 1,000,000"));
        let deep = self.users.saturating_sub(PAGE);
        let (_, cold) = load::once(self.server.address, &self.page(deep / PAGE), 200)?;
        rows.push(Row::of_time("last page of a list, asked cold", self.users, cold, "≤ 200 ms"));
        let (user, _) = load::once(self.server.address, &self.get("/0"), 200)?;
        let mapping = self.population.mapping.as_secs_f64() * 1e6;
        rows.push(Row::of_work("map a user for three targets, with lineage", self.users).compared(
            format!("{mapping:.0} µs"),
            "< 50 µs",
            mapping < 50.0,
        ));
        if self.plan.has("reads") {
            self.reads(folder, user.len(), rows)?;
        }
        let filter = if self.plan.has("filter") { self.filter(rows)? } else { Duration::ZERO };
        if self.plan.has("lists") {
            self.lists(rows)?;
        }
        if self.plan.has("groups") {
            self.groups(rows)?;
        }
        if self.plan.has("writes") {
            self.writes(folder, user.len(), rows)?;
        }
        let (_, highest) = self.server.memory()?;
        rows.push(Row::of_memory("memory when idle", self.users, idle, "≤ 64 MiB"));
        rows.push(Row::of_memory("memory under load, highest", self.users, highest, "≤ 200 MiB at 1,000,000"));
        Ok(Found { filter })
    }

    /// GET by id beside a static answer of the same size.
    fn reads(&self, folder: &Path, size: usize, rows: &mut Vec<Row>) -> Result<()> {
        let fixed = Server::fixed(folder, size)?;
        let bytes = self.get("/0");
        let (measured, fixed_cpu) = self.timed(&fixed, 200, |_| bytes.clone())?;
        rows.push(Row::of_load("static answer of actix-web", self.users, &measured, Some(fixed_cpu)));
        drop(fixed);
        let any = |turn: Turn| self.get(&format!("/{}", self.somebody(turn.overall)));
        let (measured, cpu) = self.timed(&self.server, 200, any)?;
        let ratio = cpu.as_secs_f64() / fixed_cpu.as_secs_f64().max(1e-9);
        let row = Row::of_load("GET /Users/{id}", self.users, &measured, Some(cpu));
        rows.push(row.compared(format!("{ratio:.2} × CPU of static"), "≤ 2.5 × CPU of static", ratio <= 2.5));
        Ok(())
    }

    fn filter(&self, rows: &mut Vec<Row>) -> Result<Duration> {
        let query = |turn: Turn| {
            let name = population::name(self.somebody(turn.overall));
            self.ask(&format!("/scim/v2/Users?filter=userName%20eq%20%22{name}%40acme.example%22"))
        };
        let (measured, cpu) = self.timed(&self.server, 200, query)?;
        let median = measured.percentile(50);
        let row = Row::of_load("filter=userName eq", self.users, &measured, Some(cpu));
        rows.push(match self.first {
            None => row,
            Some(first) => {
                let ratio = median.as_secs_f64() / first.filter.as_secs_f64().max(1e-9);
                row.compared(format!("{ratio:.2} × p50 of the smallest"), "≤ 1.3 × (1,000,000 : 1,000)", ratio <= 1.3)
            }
        });
        Ok(median)
    }

    /// Every connection walks the whole list from its beginning, over and over.
    fn lists(&self, rows: &mut Vec<Row>) -> Result<()> {
        let pages = self.users.div_ceil(PAGE);
        let (measured, cpu) = self.timed(&self.server, 200, |turn| self.page(turn.own % pages))?;
        let row = Row::of_load("list, pages of 100 in order", self.users, &measured, Some(cpu));
        let goal = "≥ 2,000/s, the last pages as the first";
        let text = ends(&measured, pages).unwrap_or_else(|| "too few pages to compare".to_owned());
        rows.push(row.compared(text, goal, measured.per_second() >= 2000.0));
        Ok(())
    }

    /// One member more, in a small group and in a large one.
    fn groups(&self, rows: &mut Vec<Row>) -> Result<()> {
        let outside = OUTSIDE.min(self.users / 3);
        let add = |group: &Group| {
            let newcomer = |turn: Turn| &self.population.ids[self.users - 1 - turn.overall % outside];
            let request = |turn: Turn| {
                let body = json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                    "Operations": [{"op": "add", "path": "members", "value": [{"value": newcomer(turn)}]}],
                });
                request("PATCH", &format!("/scim/v2/Groups/{}", group.id), &self.population.token, &body.to_string())
            };
            with_cpu(&self.server, Limit { time: self.plan.time, requests: outside }, 204, request)
        };
        let [small, large] = &self.population.groups;
        let ((few, few_cpu), (many, many_cpu)) = (add(small)?, add(large)?);
        let work = |group: &Group| format!("one member more in a group of {}", group.members);
        rows.push(Row::of_load(&work(small), self.users, &few, Some(few_cpu)));
        let ratio = many.percentile(50).as_secs_f64() / few.percentile(50).as_secs_f64().max(1e-9);
        let row = Row::of_load(&work(large), self.users, &many, Some(many_cpu));
        let goal = "at 100,000 members as at 10 (≤ 1.3 ×)";
        rows.push(row.compared(format!("{ratio:.2} × p50 of the small group"), goal, ratio <= 1.3));
        Ok(())
    }

    /// Durable writes. SQLite alone is measured on the same disk before, between and after, because disks have moods.
    fn writes(&self, folder: &Path, size: usize, rows: &mut Vec<Row>) -> Result<()> {
        let alone = || yardstick::commits_per_second(folder, size, self.plan.time / 4);
        let create = |turn: Turn| {
            let body = population::body(self.users + turn.overall).to_string();
            request("POST", "/scim/v2/Users", &self.population.token, &body)
        };
        let switch = |turn: Turn| {
            // Everybody is switched off, then everybody on.
            let active = (turn.overall / self.users) % 2 == 1;
            let id = &self.population.ids[self.somebody(turn.overall)];
            request("PATCH", &format!("/scim/v2/Users/{id}"), &self.population.token, &patch(active).to_string())
        };
        let before = alone()?;
        let (creates, create_cpu) = self.counted(&self.server, 201, create)?;
        let between = alone()?;
        let (switches, switch_cpu) = self.counted(&self.server, 200, switch)?;
        let raw = (before + between + alone()?) / 3.0;
        rows.push(Row::of_rate("SQLite alone: one-row commits, FULL", self.users, raw));

        let ratio = creates.per_second() / raw.max(1e-9);
        let row = Row::of_load("POST /Users, durable, three targets", self.users, &creates, Some(create_cpu));
        let is_quick = creates.percentile(99) <= Duration::from_millis(25)
            && creates.percentile(100) <= Duration::from_millis(600);
        let least = if self.users < 10_000 { 0.7 } else { 0.4 };
        let goal = "≥ 0.7 × SQLite alone at 1,000, 0.4 × at 1,000,000; p99 ≤ 25 ms, max ≤ 600 ms";
        rows.push(row.compared(format!("{ratio:.2} × SQLite alone"), goal, is_quick && ratio >= least));

        let ratio = switches.per_second() / raw.max(1e-9);
        let row = Row::of_load("PATCH active, durable", self.users, &switches, Some(switch_cpu));
        let goal = "≥ 0.35 × SQLite alone at 1,000,000";
        rows.push(row.compared(format!("{ratio:.2} × SQLite alone"), goal, ratio >= 0.35));
        Ok(())
    }

    /// Measures for the time of the plan, after a tenth of it that does not count; with the server's CPU per request.
    fn timed(
        &self,
        server: &Server,
        status: u16,
        request: impl Fn(Turn) -> Vec<u8> + Sync,
    ) -> Result<(Measured, Duration)> {
        load::run(server.address, Limit { time: self.plan.time / 10, requests: usize::MAX }, status, &request)?;
        with_cpu(server, Limit { time: self.plan.time, requests: usize::MAX }, status, request)
    }

    /// Measures a bounded number of writes.
    fn counted(
        &self,
        server: &Server,
        status: u16,
        request: impl Fn(Turn) -> Vec<u8> + Sync,
    ) -> Result<(Measured, Duration)> {
        with_cpu(server, Limit { time: self.plan.time, requests: WRITES }, status, request)
    }

    /// A user who is far from the one before; each comes once before one comes again.
    fn somebody(&self, turn: usize) -> usize {
        // A prime, which no population of round size shares a factor with.
        (turn % self.users) * 7919 % self.users
    }

    /// GET of the user with this number: `/7`.
    fn get(&self, number: &str) -> Vec<u8> {
        let number: usize = number.trim_start_matches('/').parse().unwrap_or_default();
        self.ask(&format!("/scim/v2/Users/{}", self.population.ids[number]))
    }

    /// GET of a page, counted from 0.
    fn page(&self, page: usize) -> Vec<u8> {
        self.ask(&format!("/scim/v2/Users?startIndex={}&count={PAGE}", page * PAGE + 1))
    }

    fn ask(&self, path: &str) -> Vec<u8> {
        request("GET", path, &self.population.token, "")
    }
}

fn with_cpu(
    server: &Server,
    limit: Limit,
    status: u16,
    request: impl Fn(Turn) -> Vec<u8> + Sync,
) -> Result<(Measured, Duration)> {
    let before = server.cpu()?;
    let measured = load::run(server.address, limit, status, request)?;
    let spent = server.cpu()?.saturating_sub(before);
    let each = spent.as_secs_f64() / count(measured.count()).max(1.0);
    Ok((measured, Duration::from_secs_f64(each)))
}

/// How much slower the last ten pages of the longest walk are than its first ten, in words.
fn ends(measured: &Measured, pages: usize) -> Option<String> {
    let walks = measured.by_connection.iter().flat_map(|latencies| latencies.chunks(pages));
    let walk = walks.max_by_key(|walk| walk.len()).filter(|walk| walk.len() >= 20)?;
    let total = |part: &[Duration]| part.iter().sum::<Duration>().as_secs_f64();
    let ratio = total(&walk[walk.len() - 10..]) / total(&walk[..10]).max(1e-9);
    Some(format!("ten pages up to page {}: {ratio:.2} × the first ten", walk.len()))
}

fn patch(active: bool) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "value": {"active": active}}],
    })
}

/// Creates while the accounts are being made, at simulators in this process.
fn sending(plan: &Plan, users: usize, folder: &Path, runtime: &Runtime) -> Result<Row> {
    let population = runtime.block_on(Population::make(&folder.join("send"), users, Targets::Near))?;
    let server = population.serve()?;
    let create = |turn: Turn| {
        let body = population::body(users + turn.overall).to_string();
        request("POST", "/scim/v2/Users", &population.token, &body)
    };
    let (measured, cpu) = with_cpu(&server, Limit { time: plan.time, requests: WRITES }, 201, create)?;
    Ok(Row::of_load("POST /Users while accounts are made", users, &measured, Some(cpu)))
}

/// A run of new users to targets far away, beside the time that the calls alone would take if they were always as many at
/// once as they may be.
fn sending_far(plan: &Plan, folder: &Path, runtime: &Runtime) -> Result<Row> {
    let users = plan.sent;
    let population = runtime.block_on(Population::make(&folder.join("far"), 0, Targets::Far))?;
    let server = population.serve()?;
    let simulators = &population.simulators;
    let targets = [&simulators.glance, &simulators.netsapiens, &simulators.crm_com];
    let create =
        |turn: Turn| request("POST", "/scim/v2/Users", &population.token, &population::body(turn.overall).to_string());
    let begun = Instant::now();
    let limit = Limit { time: LONGEST_RUN, requests: users };
    load::run(server.address, limit, 201, create)?;
    while targets.iter().any(|target| target.account_count() < users) {
        if begun.elapsed() > LONGEST_RUN {
            return Err("the accounts are not made".into());
        }
        std::thread::sleep(FAR);
    }
    let took = begun.elapsed();
    let calls = targets.iter().map(|target| target.calls().len()).max().unwrap_or_default();
    let ideal = FAR.as_secs_f64() * count(calls) / f64::from(IN_FLIGHT);
    let share = 100.0 * ideal / took.as_secs_f64();
    let work = format!("a run of users to three targets that take {} ms", FAR.as_millis());
    let found = format!("{:.1} s, {share:.0} % of the ideal ({calls} calls at the busiest)", took.as_secs_f64());
    Ok(Row::of_work(&work, users).compared(found, "≥ 90 % at 10,000", share >= 90.0))
}
