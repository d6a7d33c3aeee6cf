//! A person is called before something runs out, once for each thing.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_server::config::Config;
use bridge_store::Credential;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::secrets::webhook;

/// A little more than the time between two looks.
const A_LOOK: Duration = Duration::from_secs(61);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A bridge whose clock is set by hand and whose alerts are heard.
async fn start(ranges: &str) -> (Bridge, Clock, Receiver<Value>) {
    let (address, alerts) = webhook();
    let clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap());
    let more = format!("[alerts]\nwebhook = \"{address}\"");
    let setup = Setup { clock: clock.clone(), ranges: ranges.to_owned(), more, ..Setup::default() };
    (Bridge::with(setup.wait("0s")).await, clock, alerts)
}

/// What rings up to the first alert of this code, told apart from others by words of its text.
async fn until_rung(clock: &Clock, alerts: &Receiver<Value>, code: &str, words: &str) -> Vec<Value> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let mut heard: Vec<Value> = Vec::new();
    loop {
        clock.advance(A_LOOK);
        heard.extend(alerts.try_iter());
        let is_it = |alert: &Value| alert["code"] == code && alert["text"].as_str().unwrap().contains(words);
        if heard.iter().any(is_it) {
            return heard;
        }
        assert!(tokio::time::Instant::now() < deadline, "{code} {words} does not ring: {heard:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn codes(alerts: &[Value]) -> Vec<&str> {
    alerts.iter().map(|alert| alert["code"].as_str().unwrap()).collect()
}

async fn add_users(bridge: &Bridge, names: &[&str]) {
    for name in names {
        let id = bridge.post("/Users", okta_user(name)).await.has_status(201).id();
        bridge.until_at_rest(&id).await;
    }
}

/// A token of an identity provider.
async fn add_token(bridge: &Bridge, selector: &str, expires: Timestamp) {
    let credential = Credential {
        selector: selector.to_owned(),
        hash: vec![0; 32],
        tenant: "default".to_owned(),
        connection: selector.to_owned(),
        label: selector.to_owned(),
        scopes: "scim".to_owned(),
        created: bridge.running.bridge.clock.now(),
        expires: Some(expires),
        revoked: None,
        last_used: None,
        subject: None,
    };
    bridge.running.bridge.store.write(move |tx| tx.put_credential(&credential)).await.unwrap();
}

#[tokio::test]
async fn a_pool_that_is_nearly_used_up_rings_once_and_once_more_when_it_is_empty() {
    let (bridge, clock, alerts) = start(r#"["1000-1003"]"#).await;
    add_users(&bridge, &["ann", "bob", "cid"]).await;
    let rung = until_rung(&clock, &alerts, "pool-low", "").await;
    let alert = rung.iter().find(|alert| alert["code"] == "pool-low").unwrap();
    let expected = json!({
        "kind": "pool_low", "tenant": "default", "pool": "extension", "code": "pool-low", "resource": null,
        "remote_id": null, "fields": [], "at": alert["at"],
        "text": "1 of 4 values of the pool extension are free: add a range before it is empty",
    });
    assert_eq!(*alert, expected);
    add_users(&bridge, &["dan"]).await;
    let rung = until_rung(&clock, &alerts, "pool-empty", "extension has no free value").await;
    assert_eq!(codes(&rung), ["pool-empty"]);
    // With more values it is another pool: it may run out again.
    let text = bridge.file().replace(r#"["1000-1003"]"#, r#"["1000-1009"]"#);
    bridge.running.reload(Config::parse(&text, bridge.folder()).unwrap()).await.unwrap();
    add_users(&bridge, &["eve", "fay"]).await;
    let rung = until_rung(&clock, &alerts, "pool-low", "4 of 10").await;
    assert_eq!(codes(&rung), ["pool-low"]);
    bridge.stop().await;
}

#[tokio::test]
async fn what_was_said_is_not_said_again_after_a_restart() {
    let (bridge, clock, alerts) = start(r#"["1000-1003"]"#).await;
    add_users(&bridge, &["ann", "bob", "cid"]).await;
    let end = clock.now() + DAY * 10;
    add_token(&bridge, "okta", end).await;
    add_token(&bridge, "later", end + DAY * 100).await;
    let rung = until_rung(&clock, &alerts, "token-ends", "okta").await;
    let mut rung = codes(&rung);
    rung.sort_unstable();
    assert_eq!(rung, ["pool-low", "token-ends"]);
    let bridge = bridge.restart().await;
    // One more token: when it rings, everything was looked at once more.
    add_token(&bridge, "entra", end).await;
    let rung = until_rung(&clock, &alerts, "token-ends", "entra").await;
    assert_eq!(codes(&rung), ["token-ends"], "{rung:#?}");
    let expected = json!({
        "kind": "token_ends", "tenant": "default", "token": "entra", "code": "token-ends", "resource": null,
        "remote_id": null, "fields": [], "text": rung[0]["text"], "at": rung[0]["at"],
    });
    assert_eq!(rung[0], expected);
    let text = rung[0]["text"].as_str().unwrap();
    assert!(text.contains(&end.strftime("%Y-%m-%d %H:%M").to_string()), "{text}");
    bridge.stop().await;
}

#[tokio::test]
async fn metrics_tell_how_long_a_token_lasts_and_how_many_values_a_pool_has_left() {
    let (bridge, clock, _alerts) = start(r#"["1000-1003"]"#).await;
    add_token(&bridge, "seven-days", clock.now() + DAY * 7).await;
    add_token(&bridge, "ended", clock.now() - DAY).await;
    let metrics = reqwest::get(format!("{}/metrics", bridge.admin_url())).await.unwrap().text().await.unwrap();
    for (token, seconds) in [("seven-days", 604_800), ("ended", 0)] {
        let labels = format!("tenant=\"default\",connection=\"{token}\",token=\"{token}\"");
        let line = format!("scim_bridge_token_seconds_left{{{labels}}} {seconds}");
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    assert!(metrics.contains("\nscim_bridge_pool_free{tenant=\"default\",pool=\"extension\"} "), "{metrics}");
    bridge.stop().await;
}

#[tokio::test]
async fn accounts_that_cannot_be_counted_keep_no_other_metric_from_being_shown() {
    let tenants = "[tenants.spoilt]\n[tenants.spoilt.pools.desks]\nranges = [\"10-19\"]\n";
    let bridge = Bridge::with(Setup { more: tenants.to_owned(), ..Setup::default() }).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let database = rusqlite::Connection::open(bridge.folder().join("bridge.db")).unwrap();
    let spoil = "UPDATE account SET state = 'unreadable' WHERE target = 'crm'";
    assert_eq!(database.execute(spoil, []).unwrap(), 1);
    let metrics = reqwest::get(format!("{}/metrics", bridge.admin_url())).await.unwrap().text().await.unwrap();
    for (name, value) in [("size", 10), ("used", 0), ("free", 10)] {
        let line = format!("scim_bridge_pool_{name}{{tenant=\"spoilt\",pool=\"desks\"}} {value}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    bridge.stop().await;
}
