//! A connection that sends more than it may is told when to come again, and nothing of it is lost (okta.md section 2,
//! entra.md section 1.3).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_server::config::Config;
use bridge_tests::replay::check_always;
use bridge_tests::samples::ann;
use bridge_tests::{Answer, Bridge, Setup};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

/// A bridge whose tokens may send one request a second, and its clock.
async fn one_a_second() -> (Bridge, Clock) {
    let clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap());
    let more = "[tenants.globex]\n".to_owned();
    let setup = Setup { clock: clock.clone(), more, ..Setup::default() };
    (Bridge::with(setup.tenant("limits = { requests_per_second = 1, burst = 1 }")).await, clock)
}

async fn get_as(token: &str, url: &str) -> Answer {
    Answer::of(reqwest::Client::new().get(url).bearer_auth(token)).await
}

fn assert_told_to_wait(answer: &Answer) {
    check_always(answer, "a request that came too early");
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"), "{:#}", answer.body);
    assert!(answer.detail().contains(answer.header("x-request-id")), "{}", answer.detail());
}

#[tokio::test]
async fn a_create_that_came_too_early_makes_its_accounts_once_when_it_is_sent_again() {
    let (mut bridge, clock) = one_a_second().await;
    bridge.token = bridge.running.new_token("default", "hasty").await.unwrap();
    bridge.get("/Users").await.has_status(200);
    for _ in 0..3 {
        assert_told_to_wait(&bridge.post("/Users", ann()).await);
    }
    assert_eq!(bridge.glance().calls().len() + bridge.pbx().calls().len() + bridge.crm().calls().len(), 0);
    clock.advance(SECOND);
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    assert_eq!([bridge.glance(), bridge.pbx(), bridge.crm()].map(|target| target.accounts().len()), [1, 1, 1]);
    let metrics = reqwest::get(format!("{}/metrics", bridge.admin_url())).await.unwrap().text().await.unwrap();
    let counted = r#"scim_bridge_throttled_requests_total{tenant="default",connection="hasty"} 3"#;
    assert!(metrics.contains(counted), "{metrics}");
    bridge.stop().await;
}

#[tokio::test]
async fn what_a_connection_is_forgiven_is_counted_in_the_metrics() {
    let mut bridge = Bridge::start().await;
    bridge.token = bridge.running.new_token("default", "careless").await.unwrap();
    let counted = async |bridge: &Bridge, quirk: &str| {
        let metrics = reqwest::get(format!("{}/metrics", bridge.admin_url())).await.unwrap().text().await.unwrap();
        let labels = [r#"tenant="default""#, r#"connection="careless""#, &format!("quirk=\"{quirk}\"")];
        let is_asked = |line: &&str| {
            line.starts_with("scim_bridge_quirks_total{") && labels.iter().all(|label| line.contains(label))
        };
        metrics.lines().find(is_asked).map_or(0, |line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
    };
    let mut user = ann();
    user["active"] = json!("True");
    let id = bridge.post("/Users", user).await.has_status(201).id();
    assert_eq!(counted(&bridge, "text_for_boolean").await, 1);
    for (times, title) in [(1, "Agent"), (2, "Lead")] {
        let operations = json!([{"op": "Replace", "path": "title", "value": title}]);
        bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
        assert_eq!(counted(&bridge, "operation_case").await, times);
    }
    assert_eq!(counted(&bridge, "text_for_boolean").await, 1);
    bridge.stop().await;
}

#[tokio::test]
async fn a_leaver_that_came_too_early_is_out_when_it_is_sent_again() {
    let (bridge, clock) = one_a_second().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    assert_told_to_wait(&bridge.patch(&format!("/Users/{id}"), off.clone()).await);
    assert_told_to_wait(&bridge.delete(&format!("/Users/{id}")).await);
    clock.advance(SECOND);
    bridge.patch(&format!("/Users/{id}"), off).await.has_status(200);
    clock.advance(SECOND);
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    bridge.until(&id, "out of the PBX", |_| bridge.pbx().accounts().is_empty()).await;
    bridge.stop().await;
}

#[tokio::test]
async fn nothing_of_a_body_is_read_that_came_too_early() {
    let (bridge, _clock) = one_a_second().await;
    bridge.get("/Users").await.has_status(200);
    let address = bridge.running.scim_addr;
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1000\r\n\
         Content-Type: application/scim+json\r\n\r\n",
        bridge.token
    );
    // The body never comes. Who waited for it would not answer.
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        String::from_utf8(start.to_vec()).unwrap()
    };
    assert_eq!(tokio::task::spawn_blocking(exchange).await.unwrap(), "HTTP/1.1 429");
    bridge.stop().await;
}

#[tokio::test]
async fn each_token_is_limited_for_itself_and_no_stranger_uses_it_up() {
    let (bridge, _clock) = one_a_second().await;
    let users = format!("{}/Users", bridge.scim_url());
    let elsewhere = format!("http://{}/t/globex/scim/v2/Users", bridge.running.scim_addr);
    let unknown = format!("{}x", bridge.token);
    for _ in 0..3 {
        get_as(&bridge.token, &elsewhere).await.has_status(401);
        get_as(&unknown, &users).await.has_status(401);
    }
    bridge.get("/Users").await.has_status(200);
    assert_told_to_wait(&bridge.get("/Users").await);
    assert_told_to_wait(&bridge.get("/ServiceProviderConfig").await);
    let other = bridge.running.new_token("default", "other").await.unwrap();
    get_as(&other, &users).await.has_status(200);
    let globex = bridge.running.new_token("globex", "okta").await.unwrap();
    for _ in 0..30 {
        get_as(&globex, &elsewhere).await.has_status(200);
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_limit_that_was_changed_holds_without_a_restart() {
    let (bridge, clock) = one_a_second().await;
    let with = |limits: &str| {
        let limits = format!("limits = {{ {limits} }}");
        let text = bridge.file().replace("limits = { requests_per_second = 1, burst = 1 }", &limits);
        Config::parse(&text, bridge.folder()).unwrap()
    };
    /// Whether three requests at one time are all let through.
    async fn is_let_through(bridge: &Bridge) -> bool {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(Answer::of(bridge.request(Method::GET, "/Users?count=0")).await.status);
        }
        statuses == [200; 3]
    }
    assert!(!is_let_through(&bridge).await);
    for (limits, expected) in [("requests_per_second = 0", true), ("requests_per_second = 2, burst = 2", false)] {
        bridge.running.reload(with(limits)).await.unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while is_let_through(&bridge).await != expected {
            assert!(tokio::time::Instant::now() < deadline, "{limits} does not hold");
            clock.advance(SECOND);
        }
    }
    bridge.stop().await;
}
