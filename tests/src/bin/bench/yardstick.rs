//! What the bridge is compared with: a static answer of actix-web, and one-row commits of SQLite.

use std::path::Path;
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};

use crate::Result;
use crate::load::count;
use crate::server::{ADDRESS, WORKERS};

/// How many bytes the static answer has.
pub(crate) const SIZE: &str = "BENCH_SIZE";

/// Serves a static answer, whatever is asked.
pub(crate) fn serve() -> Result<()> {
    let size: usize = std::env::var(SIZE)?.parse()?;
    let address = std::env::var(ADDRESS)?;
    let body = web::Bytes::from("x".repeat(size));
    let answer = move || {
        let body = body.clone();
        let handler = move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/scim+json").body(body) }
        };
        App::new().default_service(web::to(handler))
    };
    let server = HttpServer::new(answer).workers(WORKERS).disable_signals().bind(address)?;
    actix_web::rt::System::new().block_on(server.run())?;
    Ok(())
}

/// Commits of one row of this size per second, one after the other, as durable as those of the bridge.
pub(crate) fn commits_per_second(folder: &Path, size: usize, time: Duration) -> Result<f64> {
    let connection = rusqlite::Connection::open(folder.join("raw.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE IF NOT EXISTS raw (key INTEGER PRIMARY KEY, document TEXT NOT NULL)")?;
    let mut insert = connection.prepare("INSERT INTO raw (document) VALUES (?1)")?;
    let document = "x".repeat(size);
    let (started, mut commits) = (Instant::now(), 0);
    while started.elapsed() < time {
        insert.execute([&document])?;
        commits += 1;
    }
    Ok(count(commits) / started.elapsed().as_secs_f64())
}
