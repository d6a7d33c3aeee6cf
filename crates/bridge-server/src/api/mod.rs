//! SCIM over HTTP: which address means what (RFC 7644 section 3.2), and nothing else.
//!
//! ```text
//! edge          every answer in SCIM words, with a request id; panics, unknown addresses
//!   auth          401 before a body is read
//!     resources     Users and Groups: create, list, read, replace, patch, delete
//!     me            the user that a token stands for
//!     bulk          many writes in one request
//!     search        sorted, by cursor, over all types, by POST
//!     discovery     what is offered: ServiceProviderConfig, ResourceTypes, Schemas
//! ```
//!
//! A tenant lives at `/t/{tenant}/scim/v2`, the one named `default` also at `/scim/v2`.

mod answer;
mod body;
mod bulk;
mod cursor;
mod discovery;
mod edge;
pub(crate) mod manner;
mod me;
mod member_stream;
mod place;
mod query;
mod resources;
mod search;
mod unread;

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer,
    dev::Server,
    guard::{self, GuardContext},
    middleware::{Compress, from_fn},
    web::{self, Data, ServiceConfig},
};
use percent_encoding::percent_decode_str;

pub use self::{
    body::ScimBody,
    edge::RequestId,
    query::{DEFAULT_COUNT, MAX_COUNT, Query},
};
use crate::{
    auth::{self, LogBook},
    bridge::Bridge,
};

/// The tenant at `/scim/v2`.
pub const DEFAULT_TENANT: &str = "default";

/// How long an idle connection is kept. Longer than the pauses between the requests of one provisioning run.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Serves SCIM on the listener until the server's handle stops it.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(bridge: Arc<Bridge>, listener: TcpListener) -> io::Result<Server> {
    let config = bridge.landscape().config.server.clone();
    let (bridge, log_book) = (Data::from(bridge), Data::new(LogBook::default()));
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(bridge.clone())
            .app_data(log_book.clone())
            .wrap(from_fn(edge::answer_in_scim))
            .configure(routes)
    })
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(config.shutdown_grace.as_secs())
    .disable_signals();
    if let Some(workers) = config.workers {
        server = server.workers(workers);
    }
    Ok(server.listen(listener)?.run())
}

/// All SCIM addresses.
fn routes(config: &mut ServiceConfig) {
    for base in ["/scim/v2", "/t/{tenant}/scim/v2"] {
        config.service(web::scope(base).wrap(from_fn(auth::require_token)).configure(tenant_routes));
    }
}

/// The addresses below the base URL of a tenant. The order decides, and each address that does not fit costs time: single
/// resources come first, which are asked for most.
fn tenant_routes(config: &mut ServiceConfig) {
    config.service(
        web::resource("/{endpoint}/{id}")
            .guard(guard::fn_guard(names_a_resource))
            .get(resources::read)
            .route(web::head().to(resources::read))
            .put(resources::replace)
            .patch(resources::patch)
            .delete(resources::delete),
    );
    for path in ["/ServiceProviderConfig", "/ServiceConfiguration"] {
        config
            .service(web::resource(path).get(discovery::configuration).route(web::head().to(discovery::configuration)));
    }
    config
        .service(
            web::resource("/ResourceTypes")
                .get(discovery::resource_types)
                .route(web::head().to(discovery::resource_types)),
        )
        .service(
            web::resource("/ResourceTypes/{name}")
                .get(discovery::resource_type)
                .route(web::head().to(discovery::resource_type)),
        )
        .service(
            web::resource("/Schemas")
                .get(discovery::schemas)
                .route(web::head().to(discovery::schemas))
                .wrap(Compress::default()),
        )
        .service(web::resource("/Schemas/{urn}").get(discovery::schema).route(web::head().to(discovery::schema)))
        .service(web::resource("/Bulk").post(bulk::run))
        .service(
            web::resource("/Me")
                .get(me::read)
                .route(web::head().to(me::read))
                .post(me::create)
                .put(me::replace)
                .patch(me::patch)
                .delete(me::delete),
        )
        .service(
            web::resource("").get(search::at_base).route(web::head().to(search::at_base)).wrap(Compress::default()),
        )
        .service(web::resource("/.search").post(search::of_all).wrap(Compress::default()))
        .service(web::resource("/{endpoint}/.search").post(search::of_type).wrap(Compress::default()))
        .service(
            web::resource("/{endpoint}")
                .get(resources::list)
                .route(web::head().to(resources::list))
                .post(resources::create)
                .wrap(Compress::default()),
        );
}

/// Whether an address of two parts is that of a resource, and not one that is written out below.
fn names_a_resource(context: &GuardContext<'_>) -> bool {
    let mut parts = context.head().uri.path().rsplit('/').map(|part| percent_decode_str(part).decode_utf8_lossy());
    let (id, endpoint) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    id != ".search" && !matches!(&*endpoint, "ResourceTypes" | "Schemas")
}
