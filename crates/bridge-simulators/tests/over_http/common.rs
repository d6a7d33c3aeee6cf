//! What the tests of all three simulators share: a client, and short words for calls.

use bridge_simulators::{Options, Simulator};
use serde_json::Value;

/// The time at which test clocks stand: far from the wall clock, so that nothing can depend on it.
pub(crate) const NOW_SECONDS: i64 = 2_000_000_000;

/// Options with a clock that stands still.
pub(crate) fn options() -> Options {
    Options { now: jiff::Timestamp::from_second(NOW_SECONDS).ok(), ..Options::default() }
}

/// A control call that must succeed.
pub(crate) async fn control(simulator: &Simulator, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = try_control(simulator, method, path, body).await;
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    answer
}

/// A control call: status and body.
pub(crate) async fn try_control(simulator: &Simulator, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/_sim{path}", simulator.url());
    let method = method.parse().unwrap();
    let response = reqwest::Client::new().request(method, url).json(body).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}
