//! Measures the store as DESIGN section 11 asks: `cargo run --release -p bridge-store --example rates -- 100000`.
//!
//! Fills a database (in the given directory, else a temporary one) up to the given number of users with all rows of a create
//! for three targets, then prints what one more create, change, read and page cost, beside one-row commits of plain SQLite.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bridge_store::{AuditEntry, ListQuery, NewResource, Options, RequestEntry, Start, Store, StoreError, Want};
use jiff::Timestamp;
use scim_filter::Filter;
use scim_model::{Catalog, Document, ResourceType};
use serde_json::{Value, json};

const TENANT: &str = "acme";
const CONNECTIONS: u64 = 8;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn id(number: u64) -> String {
    format!("018f0000-0000-7000-8000-{number:012x}")
}

fn body(number: u64) -> Value {
    // Names come in no order, as they do in life.
    let name = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16;
    json!({
        "userName": format!("user{name:x}@example.com"),
        "externalId": format!("00u{name:x}"),
        "displayName": format!("Person {name:x}"),
        "active": true,
        "name": { "givenName": "Person", "familyName": format!("{name:x}") },
        "emails": [{ "value": format!("user{name:x}@example.com"), "type": "work", "primary": true }],
        "phoneNumbers": [{ "value": "+49 30 901820", "type": "work" }],
        "title": "Representative",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "employeeNumber": format!("{name}"), "department": "Sales" }
    })
}

async fn create(store: Store, kind: Arc<ResourceType>, number: u64) -> Result<(), StoreError> {
    let body = body(number);
    let Value::Object(attributes) = body.clone() else { return Ok(()) };
    let document = Document::from_map(attributes);
    let new = NewResource {
        tenant: TENANT.into(),
        resource_type: "User".into(),
        id: id(number),
        values: store.indexed_values(TENANT, &kind, &document),
        document,
        active: true,
        connection: "okta".into(),
        now: now(),
    };
    let request = RequestEntry {
        key: 0,
        tenant: TENANT.into(),
        request_id: format!("r{number:012x}"),
        connection: Some("okta".into()),
        method: "POST".into(),
        path: "/Users".into(),
        body: Some(body.to_string()),
        resource: None,
        notes: None,
        received: now(),
        status: Some(201),
        outcome: None,
        finished: Some(now()),
    };
    store
        .write(move |tx| {
            let resource = tx.insert_resource(&new)?;
            for target in ["glance", "pbx", "crm"] {
                let key = new.values.last().map(|value| value.value.clone());
                tx.want(resource.key, target, &Want { natural_key: key, ..Want::due(now()) }, now())?;
            }
            let mut request = request.clone();
            request.resource = Some(resource.key);
            tx.add_request(&request)?;
            tx.add_audit(&audit(&resource.id, "create"))?;
            Ok(())
        })
        .await
}

async fn deactivate(store: Store, kind: Arc<ResourceType>, number: u64) -> Result<(), StoreError> {
    let found = store.read(|db| db.resource_by_id(TENANT, "User", &id(number))).await?;
    let resource = found.ok_or(StoreError::NotFound("resource"))?;
    let mut document = resource.document.clone();
    document.insert("active", Value::Bool(!resource.active));
    let values = store.indexed_values(TENANT, &kind, &document);
    store
        .write(move |tx| {
            let active = !resource.active;
            tx.update_resource(resource.key, resource.version, &document, &values, active, now())?;
            for target in ["glance", "pbx", "crm"] {
                tx.want(resource.key, target, &Want { urgent: true, ..Want::due(now()) }, now())?;
            }
            tx.add_audit(&audit(&resource.id, "update"))?;
            Ok(())
        })
        .await
}

fn audit(subject: &str, action: &str) -> AuditEntry {
    AuditEntry {
        number: 0,
        tenant: TENANT.into(),
        at: now(),
        actor: "okta".into(),
        action: action.into(),
        subject: subject.into(),
        detail: None,
        hash: String::new(),
    }
}

/// Runs `work` for the numbers from `first` on, over so many connections; returns how long each took.
async fn run<F, W>(first: u64, count: u64, connections: u64, work: W) -> Outcome<Vec<Duration>>
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
    W: Fn(u64) -> F + Clone + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    for connection in 0..connections {
        let work = work.clone();
        tasks.spawn(async move {
            let mut took = Vec::new();
            for number in (first..first + count).filter(|number| number % connections == connection) {
                let begun = Instant::now();
                work(number).await?;
                took.push(begun.elapsed());
            }
            Ok::<_, StoreError>(took)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    all.sort_unstable();
    Ok(all)
}

fn report(what: &str, begun: Instant, took: &[Duration]) {
    let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
    let at = |share: usize| took.get(took.len() * share / 1000).or(took.last()).copied().unwrap_or_default();
    println!("{what:<28} {rate:>9.0}/s   median {:>9.2?}   p99 {:>9.2?}   max {:>9.2?}", at(500), at(990), at(1000));
}

/// One-row commits of plain SQLite on the same disk.
fn raw(directory: &Path) -> Outcome<()> {
    let connection = rusqlite::Connection::open(directory.join("raw.db"))?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (v TEXT)")?;
    let begun = Instant::now();
    let mut took = Vec::new();
    for number in 0..3000 {
        let one = Instant::now();
        connection.prepare_cached("INSERT INTO t VALUES (?1)")?.execute([number.to_string()])?;
        took.push(one.elapsed());
    }
    took.sort_unstable();
    report("plain SQLite, one row", begun, &took);
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let size: u64 = arguments.next().unwrap_or_else(|| "10000".into()).parse()?;
    let temporary = tempfile::tempdir()?;
    let directory = arguments.next().map_or(temporary.path().to_owned(), Into::into);
    let path = directory.join("rates.db");
    let kind = Catalog::new(Vec::new())?.resource_type("User").cloned().ok_or("no users")?;
    let kind = Arc::new(kind);
    raw(temporary.path())?;

    let store = Store::open(&Options::serve(&path))?;
    let there = store.read(|db| db.resource_count(TENANT, "User")).await?;
    let creating = (store.clone(), kind.clone());
    let create = move |number| create(creating.0.clone(), creating.1.clone(), number);
    if there < size {
        let begun = Instant::now();
        let took = run(there, size - there, 64, create.clone()).await?;
        report("fill, 64 connections", begun, &took);
    }
    store.close().await;
    drop((create, store));
    let begun = Instant::now();
    let store = Store::open(&Options::serve(&path))?;
    println!("open with {size} users: {:.2?}", begun.elapsed());

    let there = store.read(|db| db.resource_count(TENANT, "User")).await?;
    let (begun, commits) = (Instant::now(), store.statistics().commits);
    let creating = (store.clone(), kind.clone());
    let took = run(there, 8000, CONNECTIONS, move |n| self::create(creating.0.clone(), creating.1.clone(), n)).await?;
    report("create, three targets", begun, &took);
    println!("    {:.1} writes per commit", 8000.0 / (store.statistics().commits - commits) as f64);
    let begun = Instant::now();
    let changing = (store.clone(), kind.clone());
    let scattered = move |number: u64| deactivate(changing.0.clone(), changing.1.clone(), number * 7919 % there);
    let took = run(1, 4000, CONNECTIONS, scattered).await?;
    report("change active", begun, &took);

    let reading = store.clone();
    let begun = Instant::now();
    let get = move |number: u64| {
        let store = reading.clone();
        async move { store.read(|db| db.resource_by_id(TENANT, "User", &id(number * 7919 % there))).await.map(drop) }
    };
    let took = run(1, 40_000, CONNECTIONS, get).await?;
    report("read by id", begun, &took);

    let reading = (store.clone(), kind.clone());
    let begun = Instant::now();
    let find = move |number: u64| {
        let (store, kind) = reading.clone();
        async move {
            let body = body(number * 7919 % there);
            let name = body["userName"].as_str().unwrap_or_default().to_uppercase();
            let filter = Filter::parse(&format!("userName eq \"{name}\"")).ok();
            store.read(|db| page(db, &kind, filter.as_ref(), Start::Index(1))).await.map(drop)
        }
    };
    let took = run(1, 20_000, CONNECTIONS, find).await?;
    report("filter userName eq", begun, &took);

    for position in [size / 2, size * 9 / 10] {
        let begun = Instant::now();
        let kind = kind.clone();
        store.scan(move |db| page(db, &kind, None, Start::Index(position))).await?;
        println!("page at {position}, cold: {:.2?}", begun.elapsed());
    }
    let (begun, mut took) = (Instant::now(), Vec::new());
    for number in 0..(size / 100).min(10_000) {
        let (one, kind) = (Instant::now(), kind.clone());
        store.scan(move |db| page(db, &kind, None, Start::Index(number * 100 + 1))).await?;
        took.push(one.elapsed());
    }
    let last = took.last().copied().unwrap_or_default();
    took.sort_unstable();
    report("walk, 100 users a page", begun, &took);
    println!("    the last page took {last:.2?}");

    let begun = Instant::now();
    let rows = store.write(|tx| tx.claim(TENANT, "glance", now(), now() + Duration::from_secs(60), 32)).await?;
    println!("claim of {} among {there}: {:.2?}", rows.len(), begun.elapsed());
    let length = std::fs::metadata(&path)?.len();
    println!("{} bytes per user on disk", length / there);
    Ok(())
}

fn page(
    db: &bridge_store::Db<'_>,
    kind: &ResourceType,
    filter: Option<&Filter>,
    start: Start,
) -> Result<usize, StoreError> {
    let found = db.list(&ListQuery { tenant: TENANT, resource_type: kind, filter, start, count: 100 })?;
    Ok(found.resources.len())
}
