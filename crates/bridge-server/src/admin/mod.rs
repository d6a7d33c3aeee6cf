//! The admin server: health, metrics, and an API to see and move what is parked, held, a task or under review
//! (DESIGN.md section 9).
//!
//! ```text
//! GET  /healthz, /readyz, /metrics          no token: no data of persons
//! GET  /admin/v1/targets
//! POST /admin/v1/targets/{tenant}/{target}/release      what its brake holds
//! GET  /admin/v1/accounts?tenant=&target=&state=&limit=&after=
//! GET  /admin/v1/accounts/{tenant}/{resource}?target=   what is known of one user's accounts
//! POST /admin/v1/accounts/{tenant}/{resource}/{target}/retry | release | adopt | drop
//! GET  /admin/v1/tasks?tenant=&target=
//! POST /admin/v1/tasks/{tenant}/{resource}/{target}/done
//! GET  /admin/v1/requests?tenant=&resource=&user=&failed=&since=&until=&limit=&before=
//! GET  /admin/v1/requests/{id}?tenant=
//! GET  /admin/v1/links?tenant=&target=
//! PUT  /admin/v1/links/{tenant}/{resource}/{target}     {"remoteId": "…" or null}
//! POST /admin/v1/store/backup                           {"path": "…"}
//! ```
//!
//! Errors are `application/problem+json` (RFC 9457).

mod accounts;
mod connections;
mod gauges;
mod guard;
mod health;
mod journal;
mod known;
mod links;
mod problem;
mod store;
mod views;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer};
use metrics_exporter_prometheus::PrometheusHandle;

pub use problem::Problem;

use crate::bridge::Bridge;

/// What the audit trail calls whoever uses this API.
const ACTOR: &str = "administrator";
/// Largest body of a request, in bytes.
const LARGEST_BODY: usize = 16 * 1024;

/// Serves the admin API on the listener until the server's handle stops it.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(bridge: Arc<Bridge>, metrics: PrometheusHandle, listener: TcpListener) -> io::Result<Server> {
    let (bridge, metrics, gauges) = (Data::from(bridge), Data::new(metrics), Data::new(gauges::Gauges::default()));
    let server = HttpServer::new(move || {
        App::new().app_data(bridge.clone()).app_data(metrics.clone()).app_data(gauges.clone()).configure(routes)
    });
    Ok(server.workers(1).shutdown_timeout(5).disable_signals().listen(listener)?.run())
}

fn routes(config: &mut ServiceConfig) {
    config
        .app_data(web::JsonConfig::default().limit(LARGEST_BODY).error_handler(|error, _| Problem::body(&error).into()))
        .app_data(web::QueryConfig::default().error_handler(|error, _| Problem::query(&error).into()))
        .route("/healthz", web::get().to(health::alive))
        .route("/readyz", web::get().to(health::ready))
        .route("/metrics", web::get().to(health::metrics))
        .service(web::scope("/admin/v1").wrap(from_fn(guard::admit)).configure(admin_routes))
        .default_service(web::to(nothing_here));
}

fn admin_routes(config: &mut ServiceConfig) {
    const ACCOUNT: &str = "/{tenant}/{resource}/{target}";
    config
        .route("/targets", web::get().to(accounts::targets))
        .route("/targets/{tenant}/{target}/release", web::post().to(accounts::release_held))
        .route("/accounts", web::get().to(accounts::list))
        .route("/accounts/{tenant}/{resource}", web::get().to(accounts::show))
        .route(&format!("/accounts{ACCOUNT}/retry"), web::post().to(accounts::retry))
        .route(&format!("/accounts{ACCOUNT}/release"), web::post().to(accounts::release))
        .route(&format!("/accounts{ACCOUNT}/adopt"), web::post().to(accounts::release))
        .route(&format!("/accounts{ACCOUNT}/drop"), web::post().to(accounts::drop))
        .route("/tasks", web::get().to(accounts::tasks))
        .route(&format!("/tasks{ACCOUNT}/done"), web::post().to(accounts::task_done))
        .route("/connections", web::get().to(connections::list))
        .route("/requests", web::get().to(journal::list))
        .route("/requests/{id}", web::get().to(journal::show))
        .route("/links", web::get().to(links::list))
        .route(&format!("/links{ACCOUNT}"), web::put().to(links::set))
        .route("/store/backup", web::post().to(store::backup))
        .default_service(web::to(nothing_here));
}

async fn nothing_here() -> Result<&'static str, Problem> {
    Err(Problem::not_found("no such address"))
}

#[cfg(test)]
mod tests;
