//! Whether the process lives, whether it can work, and what it has counted.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use bridge_store::StoreError;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use super::gauges::Gauges;
use crate::bridge::Bridge;

/// Longest wait for the store's writer.
const PATIENCE: Duration = Duration::from_secs(2);

/// `/healthz`: the process answers.
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// `/readyz`: the store can be written and the worker works.
pub(super) async fn ready(bridge: Data<Bridge>) -> HttpResponse {
    match why_not(&bridge).await {
        None => HttpResponse::Ok().json(json!({ "status": "ok", "clock": clock(&bridge) })),
        Some(reason) => HttpResponse::ServiceUnavailable().json(json!({ "status": "unavailable", "reason": reason })),
    }
}

/// Whether the clock of the machine is believed.
fn clock(bridge: &Bridge) -> String {
    match bridge.clock.is_off_by() {
        None => "ok".to_owned(),
        Some(by) => format!("was set by {by:#}: what would be given up or removed by its time is kept"),
    }
}

async fn why_not(bridge: &Bridge) -> Option<String> {
    if bridge.is_stopping() {
        return Some("the bridge is stopping".to_owned());
    }
    if let Some(reason) = bridge.store.is_failed() {
        return Some(format!("the store cannot be written: {reason}"));
    }
    // An empty write goes the whole way: queue, transaction, commit.
    match tokio::time::timeout(PATIENCE, bridge.store.write(|_| Ok::<_, StoreError>(()))).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the store takes too long to write".to_owned()),
    }
}

/// `/metrics`: in the text format of Prometheus.
pub(super) async fn metrics(
    bridge: Data<Bridge>,
    gauges: Data<Gauges>,
    handle: Data<PrometheusHandle>,
) -> HttpResponse {
    gauges.measure(&bridge).await;
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}
