//! What no well-behaved client sends, and what some send all the same: every answer is SCIM, a 4xx says what is wrong, and
//! nothing is ever answered 5xx or in HTML (DESIGN section 6, interop cases 17 to 35).

#![expect(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod addresses;
mod answers;
mod bodies;
mod log_in;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bridge_tests::replay::check_always;
use bridge_tests::{Answer, Bridge, Setup};

/// A second tenant beside `default`.
const GLOBEX: &str = "[tenants.globex]\nextensions = []\n";

/// A bridge that answers when a write is stored: these tests are about the door, not about the targets behind it.
async fn bridge() -> Bridge {
    Bridge::with(Setup { more: GLOBEX.to_owned(), ..Setup::default().wait("0s") }).await
}

async fn send(bridge: &Bridge, method: &str, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = bridge.request(method.parse().unwrap(), path).header("Content-Type", "application/scim+json");
    let answer = Answer::of(request.body(body)).await;
    check_always(&answer, &format!("{method} {path}"));
    answer
}

async fn get(bridge: &Bridge, path: &str) -> Answer {
    let answer = bridge.get(path).await;
    check_always(&answer, path);
    answer
}

/// Sends bytes as they are, for what an HTTP library would put right. Gives status, head and body of the answer.
async fn raw(bridge: &Bridge, request: Vec<u8>) -> (u16, String, String) {
    let address = bridge.running.scim_addr;
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The bridge may have answered and closed before it has taken everything.
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the bridge does not close: {error}");
        }
        String::from_utf8(answer).unwrap()
    };
    let answer = tokio::task::spawn_blocking(exchange).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_lowercase(), body.to_owned())
}

async fn raw_get(bridge: &Bridge, target: &str) -> (u16, String, String) {
    let token = &bridge.token;
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    raw(bridge, request.into_bytes()).await
}
