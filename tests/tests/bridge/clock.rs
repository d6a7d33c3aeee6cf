//! A clock that is set, while the bridge runs or while it does not, destroys nothing and delays nothing.

use std::time::Duration;

use bridge_server::clock::{Clock, Seen};
use bridge_server::operations;
use bridge_simulators::Fault;
use bridge_store::{RequestFilter, RequestQuery, ResourceState};
use bridge_tests::samples::okta_user;
use bridge_tests::{Bridge, Setup, account_where};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

const HOUR: Duration = Duration::from_secs(3_600);
const FORTY_DAYS: SignedDuration = SignedDuration::from_hours(40 * 24);

async fn readiness(bridge: &Bridge) -> Value {
    reqwest::get(format!("{}/readyz", bridge.admin_url())).await.unwrap().json().await.unwrap()
}

/// Moves the clock on by seconds until the bridge says that of it.
async fn until_clock_is(bridge: &Bridge, clock: &Clock, word: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let text = readiness(bridge).await["clock"].clone();
        if text.as_str().is_some_and(|text| text.starts_with(word)) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the clock is not {word:?}: {text}");
        clock.advance(Duration::from_secs(1));
    }
}

async fn journal(bridge: &Bridge) -> usize {
    let query = RequestQuery { tenant: "default".to_owned(), limit: 100, ..RequestQuery::default() };
    operations::list_requests(&bridge.running.bridge, query, RequestFilter::default()).await.unwrap().len()
}

async fn rejected(bridge: &Bridge) -> usize {
    let store = &bridge.running.bridge.store;
    store.scan(|db| db.resources_in_state(ResourceState::Rejected, Timestamp::MAX, 10)).await.unwrap().len()
}

#[tokio::test]
async fn a_clock_that_is_set_forward_gives_nobody_up() {
    let clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap());
    let setup = Setup { clock: clock.clone(), store: "journal_days = 1".to_owned(), ..Setup::default() };
    let bridge = Bridge::with(setup).await;
    bridge.post("/Users", okta_user("early")).await.has_status(201);
    let entries = journal(&bridge).await;
    clock.advance(20 * HOUR);
    bridge.crm().fail_next(1, Fault::Refuse("no licence left".to_owned()), Some("users/create"));
    bridge.post("/Users", okta_user("rejected")).await.has_status(400);
    assert_eq!(rejected(&bridge).await, 1);
    assert!(account_where(&bridge.pbx().accounts(), "login-username", "rejected@acme.example").is_some());
    clock.set_wall(FORTY_DAYS);
    until_clock_is(&bridge, &clock, "was set by 960h").await;
    let all = journal(&bridge).await;
    // The bridge tidies up again: what is a day old by now goes, and by the clock that was set everything would.
    clock.advance(5 * HOUR);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while journal(&bridge).await == all {
        assert!(tokio::time::Instant::now() < deadline, "nothing was tidied up");
        tokio::task::yield_now().await;
    }
    assert_eq!(journal(&bridge).await, all - entries);
    assert_eq!(rejected(&bridge).await, 1, "it waits for its thirty days");
    clock.set_wall(-FORTY_DAYS);
    until_clock_is(&bridge, &clock, "ok").await;
    clock.advance(31 * 24 * HOUR);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while account_where(&bridge.pbx().accounts(), "login-username", "rejected@acme.example").is_some() {
        assert!(tokio::time::Instant::now() < deadline, "thirty days later it is given up");
        tokio::task::yield_now().await;
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_retry_comes_when_it_was_to_come_though_the_clock_is_set_back() {
    let clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap());
    let bridge = Bridge::with(Setup { clock: clock.clone(), ..Setup::default() }.wait("200ms")).await;
    bridge.glance().fail_next(1, Fault::Status(503, None), Some("NewUser"));
    let id = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    bridge.until(&id, "backing off", |accounts| accounts.iter().any(|account| account.attempts == 1)).await;
    clock.set_wall(-FORTY_DAYS);
    until_clock_is(&bridge, &clock, "was set by").await;
    clock.advance(HOUR);
    bridge.until(&id, "made at Glance", |_| bridge.glance().accounts().len() == 1).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_retry_comes_when_it_was_to_come_though_the_clock_was_set_back_while_the_bridge_was_down() {
    let clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap());
    let setup = Setup { clock: clock.clone(), ..Setup::default() }.wait("200ms");
    let bridge = Bridge::with(setup.clone()).await;
    bridge.glance().fail_next(1, Fault::Status(503, None), Some("NewUser"));
    let id = bridge.post("/Users", okta_user("ann")).await.has_status(201).id();
    bridge.until(&id, "backing off", |accounts| accounts.iter().any(|account| account.attempts == 1)).await;
    let clock = Clock::hand_set(clock.now() - FORTY_DAYS);
    let bridge = bridge.restart_with(Setup { clock: clock.clone(), ..setup }).await;
    let shown = readiness(&bridge).await["clock"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("was set by 960h ago"), "{shown}");
    clock.advance(HOUR);
    bridge.until(&id, "made at Glance", |_| bridge.glance().accounts().len() == 1).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_clock_that_was_set_forward_gives_nobody_up_after_a_restart_either() {
    let clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap());
    let setup = Setup { clock: clock.clone(), store: "journal_days = 1".to_owned(), ..Setup::default() };
    let bridge = Bridge::with(setup.clone()).await;
    bridge.post("/Users", okta_user("early")).await.has_status(201);
    let entries = journal(&bridge).await;
    clock.advance(20 * HOUR);
    bridge.crm().fail_next(1, Fault::Refuse("no licence left".to_owned()), Some("users/create"));
    bridge.post("/Users", okta_user("rejected")).await.has_status(400);
    clock.set_wall(FORTY_DAYS);
    until_clock_is(&bridge, &clock, "was set by 960h").await;
    let all = journal(&bridge).await;
    let clock = Clock::hand_set(clock.now());
    let bridge = bridge.restart_with(Setup { clock: clock.clone(), ..setup }).await;
    // It tidies up every hour: what is a day old by then goes, and if the clock were believed everything would.
    clock.advance(4 * HOUR);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while journal(&bridge).await == all {
        assert!(tokio::time::Instant::now() < deadline, "nothing was tidied up");
        clock.advance(Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
    assert_eq!((journal(&bridge).await, rejected(&bridge).await), (all - entries, 1));
    // A day later it is believed.
    clock.advance(24 * HOUR);
    until_clock_is(&bridge, &clock, "ok").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_clock_that_nobody_has_set_is_believed_after_a_restart() {
    let clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap());
    let setup = Setup { clock: clock.clone(), ..Setup::default() };
    let bridge = Bridge::with(setup.clone()).await;
    clock.advance(HOUR);
    // Nothing has run for a week: that cannot be told from a clock that was set forward.
    let later = Clock::hand_set(clock.now() + SignedDuration::from_hours(7 * 24));
    let bridge = bridge.restart_with(Setup { clock: later, ..setup }).await;
    assert_eq!(readiness(&bridge).await["clock"], "ok");
    bridge.stop().await;
}

#[tokio::test]
async fn what_the_clock_shows_is_written_down_each_minute_for_the_start_after_a_crash() {
    let clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap());
    let bridge = Bridge::with(Setup { clock: clock.clone(), ..Setup::default() }).await;
    let seen = async || {
        let text = bridge.running.bridge.store.read(|db| db.meta("clock")).await.unwrap().unwrap();
        serde_json::from_str::<Seen>(&text).unwrap().wall
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    for _ in 0..3 {
        let minute = clock.now() + SignedDuration::from_mins(1);
        while seen().await < minute {
            assert!(tokio::time::Instant::now() < deadline, "it is not written down");
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    }
    bridge.stop().await;
}
