//! The HTTP server of one simulator: a thread of its own with actix's runtime, so that it starts and stops from any
//! runtime.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServerHandle;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use tokio::sync::oneshot;

use crate::control;
use crate::core::{Core, Ending};
use crate::wire::Request;

/// Longest time that [`Ending::Hold`] keeps a connection.
const LONGEST_HOLD: Duration = Duration::from_secs(120);

/// A little more than the largest body that any of the vendors takes.
const LARGEST_BODY: usize = 26 * 1024 * 1024;

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServerHandle,
    /// Answers when the server's thread has ended.
    pub(crate) ended: oneshot::Receiver<()>,
}

/// Binds and starts a server; returns when it accepts connections.
pub(crate) async fn start(name: &str, address: SocketAddr, core: Arc<Core>) -> io::Result<Running> {
    let (started_sender, started) = oneshot::channel();
    let (ended_sender, ended) = oneshot::channel();
    std::thread::Builder::new().name(format!("{name} simulator")).spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            match bind(address, core) {
                Ok((address, server)) => {
                    let _ = started_sender.send(Ok((address, server.handle())));
                    if let Err(error) = server.await {
                        tracing::error!(%error, "A simulator stopped");
                    }
                }
                Err(error) => {
                    let _ = started_sender.send(Err(error));
                }
            }
        });
        let _ = ended_sender.send(());
    })?;
    let (address, handle) = started.await.map_err(|_| io::Error::other("the simulator's thread ended early"))??;
    Ok(Running { address, handle, ended })
}

fn bind(address: SocketAddr, core: Arc<Core>) -> io::Result<(SocketAddr, actix_web::dev::Server)> {
    let core = Data::from(core);
    let app = move || {
        App::new()
            .app_data(core.clone())
            .app_data(PayloadConfig::new(LARGEST_BODY))
            .configure(control::routes)
            .default_service(web::to(call))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(0)
        .tcp_nodelay(true)
        // Longer than the 90 s for which common clients keep an idle connection: no call may meet a closing one.
        .keep_alive(Duration::from_secs(150))
        // A client that leaves ends its call.
        .h1_allow_half_closed(false)
        .bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    let bound = server.addrs().first().copied().ok_or_else(|| io::Error::other("no address was bound"))?;
    Ok((bound, server.run()))
}

/// Any call outside `/_sim`.
async fn call(request: HttpRequest, body: Bytes, core: Data<Core>) -> HttpResponse {
    let _under_way = core.enter();
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let arrived = Request {
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        query: request.query_string().to_owned(),
        authorization: header(header::AUTHORIZATION),
        content_type: header(header::CONTENT_TYPE),
        body: body.to_vec(),
    };
    match core.call(&arrived) {
        Ending::Answer { reply, after } => {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = HttpResponse::build(status);
            response.content_type(reply.content_type);
            if let Some(header) = reply.header {
                response.insert_header(header);
            }
            response.body(reply.body)
        }
        Ending::Close => closed(),
        Ending::Hold => {
            tokio::time::sleep(LONGEST_HOLD).await;
            closed()
        }
    }
}

/// A response whose body fails before its head is flushed: the connection closes without a byte.
fn closed() -> HttpResponse {
    HttpResponse::Ok().body(Broken)
}

struct Broken;

impl MessageBody for Broken {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}
