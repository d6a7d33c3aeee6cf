//! A database full of users, made by writes into the store: over HTTP it would take minutes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bridge_server::clock::Clock;
use bridge_server::config::Config;
use bridge_server::provisioning::{Surroundings, judge};
use bridge_server::running::{self, Running};
use bridge_simulators::Simulators;
use bridge_store::{AccountState, Member, NewResource, Range, StoreError, Want};
use bridge_tests::samples::okta_user;
use bridge_tests::{Setup, write_secrets};
use scim_model::{Context, accept};
use serde_json::{Value, json};

use crate::Result;
use crate::server::{Server, WORKERS, free_address};

/// Users that are mapped to find out how long it takes.
const MAPPED: usize = 1000;

/// Users of one write; each is some ten rows.
const BATCH: usize = 200;

/// Users who are in no group at first, so that they can be added; fewer where there are few users.
pub(crate) const OUTSIDE: usize = 300;

/// Members of the small group.
const FEW: usize = 10;

/// How long a target far away takes to answer.
pub(crate) const FAR: Duration = Duration::from_millis(50);

/// Calls that may be in flight to each target far away.
pub(crate) const IN_FLIGHT: u32 = 32;

/// What the targets are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Targets {
    /// In mode `hold`: nothing is sent, and each user has an account at every target from the beginning.
    Held,
    /// They answer at once. No user has an account, or the bridge would begin by making them.
    Near,
    /// They take [`FAR`] to answer, and many calls at once.
    Far,
}

/// A bridge that is ready to be started, and who is in it.
pub(crate) struct Population {
    /// Ids of the users, in the order in which a list shows them.
    pub(crate) ids: Vec<String>,
    /// A group of a few users, and one of nearly all of them.
    pub(crate) groups: [Group; 2],
    /// The connection token.
    pub(crate) token: String,
    /// The systems that hold the accounts.
    pub(crate) simulators: Simulators,
    /// How long mapping one user for all targets took.
    pub(crate) mapping: Duration,
    config: PathBuf,
    scim: SocketAddr,
    admin: SocketAddr,
}

/// A group of the population.
pub(crate) struct Group {
    /// Its id.
    pub(crate) id: String,
    /// How many of the first users are in it.
    pub(crate) members: usize,
}

impl Population {
    /// Makes the database of a bridge with so many users in an empty folder.
    pub(crate) async fn make(folder: &Path, users: usize, targets: Targets) -> Result<Self> {
        let latency = if targets == Targets::Far { FAR } else { Duration::ZERO };
        let options = bridge_simulators::Options { latency, ..bridge_simulators::Options::default() };
        let simulators = bridge_simulators::start(options).await?;
        let (scim, admin) = (free_address()?, free_address()?);
        fs::create_dir_all(folder)?;
        write_secrets(folder);
        let config = folder.join("bridge.toml");
        let text = setup(targets).file(&simulators, &folder.join("bridge.db"));
        let text = ["listen", "admin_listen"].iter().zip([scim, admin]).fold(text, |text, (key, address)| {
            text.replacen(&format!("\n{key} = \"127.0.0.1:0\""), &format!("\n{key} = \"{address}\""), 1)
        });
        fs::write(&config, text.replacen("workers = 1", &format!("workers = {WORKERS}"), 1))?;
        let running = running::start(Config::load(&config)?, Clock::system()).await?;
        let token = running.new_token("default", "bench").await?;
        let ids = fill(&running, users, targets == Targets::Held).await;
        let mapping = mapping(&running);
        let inside = users - OUTSIDE.min(users / 3);
        let groups = [("1", inside.min(FEW)), ("2", inside)]
            .map(|(digit, members)| Group { id: format!("01900000-0000-7000-9000-00000000000{digit}"), members });
        let grouped = match &ids {
            Ok(ids) if targets == Targets::Held => gather(&running, ids, &groups).await,
            _ => Ok(()),
        };
        running.stop().await;
        grouped?;
        Ok(Self { groups, ids: ids?, token, simulators, mapping: mapping?, config, scim, admin })
    }

    /// Starts the bridge.
    pub(crate) fn serve(&self) -> Result<Server> {
        Server::bridge(&self.config, self.scim, self.admin)
    }
}

fn setup(targets: Targets) -> Setup {
    let ranges = r#"["1000000-9999999"]"#.to_owned();
    // Requests are counted as they are for everybody, and none is refused.
    let limits = "limits = { requests_per_second = 1000000 }";
    let setup = Setup { ranges, ..Setup::default() }.wait("0s").tenant(limits);
    match targets {
        Targets::Held => setup.glance("mode = \"hold\"").pbx("mode = \"hold\"").crm("mode = \"hold\""),
        Targets::Near => setup,
        Targets::Far => {
            let wide = format!("max_in_flight = {IN_FLIGHT}");
            setup.glance(&wide).pbx(&format!("settle_lag = \"0s\"\n{wide}")).crm(&wide)
        }
    }
}

/// How long it takes to map a user for every target, with the reason of every field.
fn mapping(running: &Running) -> Result<Duration> {
    let tenant = running.bridge.tenant("default").ok_or("no tenant")?;
    let users: std::result::Result<Vec<_>, _> =
        (0..MAPPED).map(|number| accept(&tenant.users, body(number), Context::Create)).collect();
    let users = users.map_err(|error| error.to_string())?;
    let assigned = [("extension".to_owned(), "1000000".to_owned())].into();
    let around = Surroundings { assigned, ..Surroundings::default() };
    let begun = Instant::now();
    for user in &users {
        std::hint::black_box(judge(&tenant, "01900000", &user.document, &around));
    }
    Ok(begun.elapsed() / u32::try_from(users.len())?)
}

/// What a user is called in the sample data.
pub(crate) fn name(number: usize) -> String {
    format!("user{number:07}")
}

/// What an identity provider sends to create a user.
pub(crate) fn body(number: usize) -> Value {
    okta_user(&name(number))
}

async fn fill(running: &Running, users: usize, hold: bool) -> Result<Vec<String>> {
    let store = &running.bridge.store;
    let tenant = running.bridge.tenant("default").ok_or("no tenant")?;
    let kind = tenant.catalog.resource_type("User").ok_or("no users")?;
    let ranges = tenant.pools.get("extension").map(|pool| pool.ranges.clone()).ok_or("no pool")?;
    let now = running.bridge.clock.now();
    let mut ids = Vec::with_capacity(users);
    let numbers: Vec<usize> = (0..users).collect();
    for batch in numbers.chunks(BATCH) {
        let mut new = Vec::with_capacity(batch.len());
        for number in batch {
            let document = accept(kind, body(*number), Context::Create).map_err(|error| error.to_string())?.document;
            let values = store.indexed_values("default", kind, &document);
            let id = format!("01900000-0000-7000-8000-{number:012x}");
            ids.push(id.clone());
            let (tenant, resource_type) = ("default".to_owned(), "User".to_owned());
            let connection = "bench".to_owned();
            let user = NewResource { tenant, resource_type, id, document, values, active: true, connection, now };
            new.push((name(*number), user));
        }
        let ranges = ranges.clone();
        store.write(move |tx| new.iter().try_for_each(|(name, user)| put(tx, name, user, &ranges, hold))).await?;
    }
    Ok(ids)
}

/// Makes the groups.
async fn gather(running: &Running, ids: &[String], groups: &[Group]) -> Result<()> {
    let store = &running.bridge.store;
    let tenant = running.bridge.tenant("default").ok_or("no tenant")?;
    let kind = tenant.catalog.resource_type("Group").ok_or("no groups")?;
    for group in groups {
        let body = json!({ "schemas": [&kind.schema.id], "displayName": format!("Group of {}", group.members) });
        let document = accept(kind, body, Context::Create).map_err(|error| error.to_string())?.document;
        let new = NewResource {
            tenant: "default".to_owned(),
            resource_type: "Group".to_owned(),
            id: group.id.clone(),
            values: store.indexed_values("default", kind, &document),
            document,
            active: true,
            connection: "bench".to_owned(),
            now: running.bridge.clock.now(),
        };
        let key = store.write(move |tx| Ok::<_, StoreError>(tx.insert_resource(&new)?.key)).await?;
        for batch in ids[..group.members].chunks(1000) {
            let member = |id: &String| Member { value: id.clone(), kind: Some("User".to_owned()) };
            let members: Vec<Member> = batch.iter().map(member).collect();
            store.write(move |tx| tx.add_members("default", key, &members)).await?;
        }
    }
    Ok(())
}

/// One user with extension, and with accounts that are held.
fn put(
    tx: &mut bridge_store::Tx<'_>,
    name: &str,
    user: &NewResource,
    ranges: &[Range],
    hold: bool,
) -> std::result::Result<(), StoreError> {
    let key = tx.insert_resource(user)?.key;
    if !hold {
        return Ok(());
    }
    let extension = tx.reserve("default", "extension", ranges, key, user.now)?;
    for (target, natural_key) in
        [("glance", format!("{name}.acme.glance.net")), ("pbx", extension), ("crm", name.to_owned())]
    {
        let want = Want { state: AccountState::Held, natural_key: Some(natural_key), ..Want::due(user.now) };
        tx.want(key, target, &want, user.now)?;
    }
    Ok(())
}
