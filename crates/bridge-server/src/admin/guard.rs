//! Who may use the admin API: whoever has the configured bearer token; without one, programs on this machine. A browser is
//! not such a program: what a web page makes it send carries an `Origin`, or a `Host` that is not this machine.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Problem;
use crate::bridge::Bridge;

/// Lets the request through, or refuses it before its body is read.
pub(super) async fn admit(
    bridge: Data<Bridge>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    match &bridge.landscape().config.server.admin_token {
        Some(token) if !is_bearer(header(header::AUTHORIZATION), token) => {
            return Err(
                Problem::new(StatusCode::UNAUTHORIZED, "send 'Authorization: Bearer' and the admin token").into()
            );
        }
        // The header is the client's word; the other end of the connection is not.
        None if header(header::ORIGIN).is_some()
            || !is_this_machine(header(header::HOST))
            || request.peer_addr().is_some_and(|peer| !peer.ip().is_loopback()) =>
        {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "without an admin token only programs on this machine are served",
            )
            .into());
        }
        Some(_) | None => (),
    }
    next.call(request).await
}

/// Whether the header carries the token. Takes the same time wherever they differ, and whatever their lengths.
fn is_bearer(header: Option<&str>, token: &SecretString) -> bool {
    let given =
        header.and_then(|header| header.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, given)) = given else { return false };
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(given.trim()).ct_eq(&digest(token.expose_secret())).into()
}

fn is_this_machine(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_compared_whole() {
        let check = |header: Option<&str>, expected: bool| {
            assert_eq!(is_bearer(header, &SecretString::from("t0ken")), expected, "{header:?}");
        };
        check(Some("Bearer t0ken"), true);
        check(Some("bearer  t0ken"), true);
        check(Some("Bearer t0ke"), false);
        check(Some("Bearer t0ken2"), false);
        check(Some("Basic t0ken"), false);
        check(Some("t0ken"), false);
        check(Some(""), false);
        check(None, false);
    }

    #[test]
    fn this_machine_has_few_names() {
        let check = |host: Option<&str>, expected: bool| assert_eq!(is_this_machine(host), expected, "{host:?}");
        check(Some("127.0.0.1:8081"), true);
        check(Some("127.0.0.1"), true);
        check(Some("localhost:8081"), true);
        check(Some("[::1]:8081"), true);
        check(Some("[::1]"), true);
        check(Some("evil.example:8081"), false);
        check(Some("localhost.evil.example"), false);
        check(Some("10.0.0.1:8081"), false);
        check(None, false);
    }
}
