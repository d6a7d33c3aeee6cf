//! The control endpoints below `/_sim`: accounts, calls, faults, clock, reset.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::core::Core;
use crate::fault::{FORMS, parse_order};

/// Adds the control endpoints to a simulator's server.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(
        web::scope("/_sim")
            .service(web::resource("/accounts").route(web::get().to(list_accounts)).route(web::post().to(seed_account)))
            .service(web::resource("/accounts/{key:.*}").route(web::delete().to(remove_account)))
            .service(web::resource("/calls").route(web::get().to(list_calls)))
            .service(web::resource("/faults").route(web::post().to(order_fault)).route(web::delete().to(clear_faults)))
            .service(web::resource("/clock").route(web::get().to(read_clock)).route(web::post().to(advance_clock)))
            .service(web::resource(["", "/"]).route(web::delete().to(reset)))
            .default_service(web::to(unknown)),
    );
}

/// The JSON array of all accounts: vendor field names, no passwords, `has_password`.
async fn list_accounts(core: Data<Core>) -> HttpResponse {
    HttpResponse::Ok().json(core.accounts())
}

/// Seeds one account, or each of an array: one with a new key is added, a known one gets the given fields.
async fn seed_account(core: Data<Core>, body: Bytes) -> HttpResponse {
    let allowed = "an object (or an array of objects) with the vendor's field names; its natural key is required";
    let accounts = match serde_json::from_slice(&body) {
        Ok(Value::Array(accounts)) => accounts,
        Ok(account @ Value::Object(_)) => vec![account],
        Ok(_) => return refused("the body must be a JSON object or an array of them", allowed),
        Err(error) => return refused(&format!("the body is not JSON: {error}"), allowed),
    };
    for account in &accounts {
        if let Err(reason) = core.seed(account) {
            return refused(&reason, allowed);
        }
    }
    HttpResponse::Created().json(json!({"seeded": accounts.len()}))
}

/// Removes one account by its natural key, as a person in the vendor's own screens would.
async fn remove_account(core: Data<Core>, key: Path<String>) -> HttpResponse {
    if core.remove(&key) {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::NotFound().json(json!({"error": "no such account"}))
    }
}

/// The JSON array of the calls so far, oldest first.
async fn list_calls(core: Data<Core>) -> HttpResponse {
    HttpResponse::Ok().json(core.calls())
}

async fn order_fault(core: Data<Core>, body: Bytes) -> HttpResponse {
    let operations = core.operations();
    let body = serde_json::from_slice(&body).map_err(|error| format!("the body is not JSON: {error}"));
    match body.and_then(|body| parse_order(&body, &operations)) {
        Ok(order) => {
            let answer = json!({"next": order.left, "fault": order.fault.name(), "operations": order.operations});
            core.order(order);
            HttpResponse::Created().json(answer)
        }
        Err(reason) => {
            let allowed = json!({
                "next": "number of calls, at least 1; default 1",
                "fault": FORMS,
                "retry_after": "seconds, only with status",
                "operation": operations,
            });
            HttpResponse::BadRequest().json(json!({"error": reason, "allowed": allowed}))
        }
    }
}

/// No faults any more; everything else stays.
async fn clear_faults(core: Data<Core>) -> HttpResponse {
    core.clear_faults();
    HttpResponse::NoContent().finish()
}

async fn read_clock(core: Data<Core>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"now": core.now().to_string()}))
}

async fn advance_clock(core: Data<Core>, body: Bytes) -> HttpResponse {
    let body: Result<Value, _> = serde_json::from_slice(&body);
    match body.ok().as_ref().and_then(|body| body.get("advance_seconds")).and_then(Value::as_u64) {
        Some(seconds) => {
            core.advance(Duration::from_secs(seconds));
            read_clock(core).await
        }
        None => refused("'advance_seconds' is required", r#"{"advance_seconds": a whole number, 0 or more}"#),
    }
}

/// Back to no accounts, no calls, no faults. The clock stays.
async fn reset(core: Data<Core>) -> HttpResponse {
    core.reset();
    HttpResponse::NoContent().finish()
}

async fn unknown(request: HttpRequest) -> HttpResponse {
    let endpoints = [
        "GET /_sim/accounts",
        "POST /_sim/accounts",
        "DELETE /_sim/accounts/{key}",
        "GET /_sim/calls",
        "POST /_sim/faults",
        "DELETE /_sim/faults",
        "GET /_sim/clock",
        "POST /_sim/clock",
        "DELETE /_sim",
    ];
    let error = format!("no control endpoint {} {}", request.method(), request.path());
    HttpResponse::build(StatusCode::NOT_FOUND).json(json!({"error": error, "endpoints": endpoints}))
}

fn refused(reason: &str, allowed: &str) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({"error": reason, "allowed": allowed}))
}
