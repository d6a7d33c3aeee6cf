//! Calls a person when an account or a target needs one: each alert is logged and, where configured, posted to a webhook
//! (DESIGN.md section 7). Alerts carry ids, codes and our own words; no name, address or value of a person.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::{error, warn};

use crate::clock::{Clock, later};
use crate::config::{AlertsConfig, is_loopback};

/// Most alerts that wait for the webhook; the newest are dropped beyond it, and counted.
const LONGEST_QUEUE: usize = 1_000;
/// Most alerts of accounts that are remembered, so that they do not ring twice.
const MOST_REMEMBERED: usize = 10_000;
/// The same account and code ring once in this time.
const QUIET: SignedDuration = SignedDuration::from_hours(1);
/// How often one alert is posted before it is given up.
const MOST_ATTEMPTS: u32 = 8;
/// Longest wait for the webhook's answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How long a stop waits for the alerts that are left.
const LAST_CHANCE: Duration = Duration::from_secs(5);
/// Longest text of an alert, in characters.
const LONGEST_TEXT: usize = 500;

/// What the alert of an account says that a target refuses: the target's own words may name anybody.
pub const REFUSED: &str = "the target refuses the account; `scim-bridge account list` says why";

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// An account cannot be made to match without a person.
    Parked,
    /// A person must act in the target.
    Task,
    /// The brake of a target holds accounts that were to end.
    Held,
    /// Calls to a target have stopped.
    TargetPaused,
    /// Calls to a target go on.
    TargetRecovered,
    /// A pool is nearly used up.
    PoolLow,
    /// A pool has no free value.
    PoolEmpty,
    /// A token by which an identity provider signs in ends soon.
    TokenEnds,
}

impl AlertKind {
    /// The name in JSON, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Task => "task",
            Self::Held => "held",
            Self::TargetPaused => "target_paused",
            Self::TargetRecovered => "target_recovered",
            Self::PoolLow => "pool_low",
            Self::PoolEmpty => "pool_empty",
            Self::TokenEnds => "token_ends",
        }
    }
}

/// Where something is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// At this target.
    Target(String),
    /// With this pool.
    Pool(String),
    /// With the token of this id.
    Token(String),
}

impl Subject {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Target(name) | Self::Pool(name) | Self::Token(name) => name,
        }
    }
}

/// One alert, as it is posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What it is about.
    pub kind: AlertKind,
    /// The tenant.
    pub tenant: String,
    /// The target, pool or token, under the name of what it is.
    #[serde(flatten)]
    pub subject: Subject,
    /// The SCIM id of the resource, when it is about one account.
    pub resource: Option<String>,
    /// The target's own handle of that account, or of the one that was found there in its place.
    pub remote_id: Option<String>,
    /// Stable code.
    pub code: String,
    /// Names of the account's fields that it is about, never their values.
    pub fields: Vec<String>,
    /// What happened and what to do, without anybody's data.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// Takes alerts and never makes the caller wait.
pub struct Alerts {
    recent: Mutex<Recent>,
    outbox: Option<Arc<Outbox>>,
    stopping: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// The alerts that wait for the webhook.
#[derive(Default)]
struct Outbox {
    queue: Mutex<VecDeque<Alert>>,
    filled: Notify,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Alert>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_all(&self) -> VecDeque<Alert> {
        std::mem::take(&mut *self.lock())
    }
}

impl Alerts {
    /// Starts posting to the configured webhook; without one, alerts are only logged. Needs a running tokio.
    #[must_use]
    pub fn start(config: Option<AlertsConfig>, clock: Clock) -> Self {
        let (stopping, stops) = watch::channel(false);
        let outbox = config.is_some().then(Arc::<Outbox>::default);
        let task =
            config.zip(outbox.clone()).map(|(config, outbox)| tokio::spawn(post_all(config, clock, outbox, stops)));
        Self { recent: Mutex::default(), outbox, stopping, task: Mutex::new(task) }
    }

    /// Takes an alert, unless the same one rang within the hour.
    pub fn ring(&self, mut alert: Alert) {
        if !self.recent.lock().unwrap_or_else(PoisonError::into_inner).is_news(&alert) {
            count(alert.kind, "quiet");
            return;
        }
        alert.text = alert.text.chars().take(LONGEST_TEXT).collect();
        warn!(
            alert.kind = alert.kind.name(), tenant = %alert.tenant, subject.name = alert.subject.name(),
            resource.id = alert.resource.as_deref(), remote.id = alert.remote_id.as_deref(), code = %alert.code,
            fields = %alert.fields.join(","),
            "{}: {}", alert.subject.name(), alert.text
        );
        let Some(outbox) = &self.outbox else { return count(alert.kind, "logged") };
        let mut queue = outbox.lock();
        if queue.len() >= LONGEST_QUEUE {
            drop(queue);
            count(alert.kind, "dropped");
            error!("{LONGEST_QUEUE} alerts wait for the webhook, this one is only logged");
            return;
        }
        queue.push_back(alert);
        drop(queue);
        outbox.filled.notify_one();
    }

    /// What an account rang for is over: when it comes again, it is news.
    pub fn over(&self, tenant: &str, target: &str, resource: &str) {
        let account = [tenant, target, resource].map(str::to_owned);
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).accounts.remove(&account);
    }

    /// Posts what is left, each once, and stops.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task
            && tokio::time::timeout(LAST_CHANCE, &mut task).await.is_err()
        {
            task.abort();
            let left = self.outbox.as_ref().map(|outbox| outbox.take_all()).unwrap_or_default();
            left.iter().for_each(|alert| count(alert.kind, "given_up"));
            warn!(alerts = left.len(), "The alert webhook does not answer, what was left for it is only in the log");
        }
    }
}

/// What rang lately. What rang longest ago is forgotten first, so that each alert costs the same however many there were.
#[derive(Default)]
struct Recent {
    /// What each account (tenant, target, resource) rang for: the code, by when.
    accounts: HashMap<Arc<[String; 3]>, HashMap<String, Timestamp>>,
    /// The same in the order in which they rang.
    order: VecDeque<(Arc<[String; 3]>, String, Timestamp)>,
    /// What a target, pool or token of a tenant rang last.
    subjects: HashMap<(String, Subject), (AlertKind, String, Timestamp)>,
}

impl Recent {
    /// Remembers the alert; whether it must be heard.
    fn is_news(&mut self, alert: &Alert) -> bool {
        // A clock that was set back must not silence anything for longer than that.
        let is_fresh = |at: &Timestamp| alert.at.duration_since(*at).abs() < QUIET;
        let Some(resource) = &alert.resource else {
            // A target that recovers and fails again is news each time; only the repetition is not.
            let key = (alert.tenant.clone(), alert.subject.clone());
            let news = (alert.kind, alert.code.clone(), alert.at);
            let last = self.subjects.get(&key);
            let is_same =
                last.is_some_and(|(kind, code, at)| *kind == alert.kind && *code == alert.code && is_fresh(at));
            if !is_same {
                self.subjects.insert(key, news);
            }
            return !is_same;
        };
        let account = Arc::new([&alert.tenant, alert.subject.name(), resource].map(str::to_owned));
        if self.accounts.get(&account).and_then(|codes| codes.get(&alert.code)).is_some_and(is_fresh) {
            return false;
        }
        // Beyond the limit something rings again within the hour, which is better than not at all.
        while self.order.len() >= MOST_REMEMBERED || self.order.front().is_some_and(|(_, _, at)| !is_fresh(at)) {
            let Some((oldest, code, at)) = self.order.pop_front() else { break };
            self.forget(&oldest, &code, at);
        }
        self.accounts.entry(account.clone()).or_default().insert(alert.code.clone(), alert.at);
        self.order.push_back((account, alert.code.clone(), alert.at));
        true
    }

    /// Forgets what rang at that time, unless it has rung again since.
    fn forget(&mut self, account: &[String; 3], code: &str, at: Timestamp) {
        let Some(codes) = self.accounts.get_mut(account) else { return };
        if codes.get(code) == Some(&at) {
            codes.remove(code);
        }
        if codes.is_empty() {
            self.accounts.remove(account);
        }
    }
}

/// What the webhook made of an alert.
enum Answer {
    Taken,
    /// Worth another attempt.
    Busy,
    /// It will never be taken.
    Refused(StatusCode),
}

/// Posts alerts one after another, until the stop; then each of the rest once.
async fn post_all(config: AlertsConfig, clock: Clock, outbox: Arc<Outbox>, mut stops: watch::Receiver<bool>) {
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    let client = if is_loopback(&config.webhook) { client.no_proxy() } else { client };
    let client = match client.build() {
        Ok(client) => client,
        Err(error) => return error!(%error, "Alerts are only logged: the HTTP client cannot be made"),
    };
    loop {
        // It leaves the queue once it is posted: what a stop cuts short is among those that are left.
        let next = outbox.lock().front().cloned();
        match next {
            Some(alert) => {
                post(&client, &config, &clock, &alert, &mut stops).await;
                outbox.lock().pop_front();
            }
            None if *stops.borrow() => return,
            None => tokio::select! {
                () = outbox.filled.notified() => (),
                // The sender is dropped with the bridge, which is a stop as well.
                changed = stops.changed() => if changed.is_err() { return },
            },
        }
    }
}

/// Posts one alert, again with growing waits while the webhook is busy.
async fn post(
    client: &reqwest::Client,
    config: &AlertsConfig,
    clock: &Clock,
    alert: &Alert,
    stops: &mut watch::Receiver<bool>,
) {
    for attempt in 1..=MOST_ATTEMPTS {
        match post_once(client, config, alert).await {
            Answer::Taken => return count(alert.kind, "posted"),
            Answer::Refused(status) => {
                error!(%status, code = %alert.code, "The alert webhook refuses an alert");
                return count(alert.kind, "refused");
            }
            Answer::Busy if attempt == MOST_ATTEMPTS || *stops.borrow() => break,
            Answer::Busy => tokio::select! {
                () = clock.sleep_until(later(clock.now(), wait_after(attempt))) => (),
                _ = stops.changed() => (),
            },
        }
    }
    error!(code = %alert.code, "The alert webhook does not answer, this alert is only in the log");
    count(alert.kind, "given_up");
}

async fn post_once(client: &reqwest::Client, config: &AlertsConfig, alert: &Alert) -> Answer {
    let mut request = client.post(config.webhook.clone()).json(alert);
    if let Some(token) = &config.token {
        request = request.bearer_auth(token.expose_secret());
    }
    match request.send().await.map(|reply| reply.status()) {
        Ok(status) if status.is_success() => Answer::Taken,
        Ok(StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => Answer::Busy,
        Ok(status) if status.is_server_error() => Answer::Busy,
        Ok(status) => Answer::Refused(status),
        Err(_) => Answer::Busy,
    }
}

/// 1 s, 2 s, 4 s, … up to five minutes.
fn wait_after(attempt: u32) -> Duration {
    Duration::from_secs(1 << (attempt - 1).min(16)).min(LONGEST_WAIT)
}

fn count(kind: AlertKind, outcome: &'static str) {
    metrics::counter!("scim_bridge_alerts_total", "kind" => kind.name(), "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, HttpServer, web};
    use serde_json::Value;
    use tokio::sync::mpsc;

    use super::*;

    /// A webhook on a free port that answers with these statuses in turn, then 204; what it was sent comes out here.
    fn webhook(statuses: &[u16]) -> (AlertsConfig, mpsc::UnboundedReceiver<(Option<String>, Value)>) {
        let (sent, received) = mpsc::unbounded_channel();
        let statuses = Arc::new(Mutex::new(statuses.iter().copied().collect::<VecDeque<_>>()));
        let server = HttpServer::new(move || {
            let (sent, statuses) = (sent.clone(), statuses.clone());
            App::new().default_service(web::to(move |request: actix_web::HttpRequest, body: web::Json<Value>| {
                let token =
                    request.headers().get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
                sent.send((token, body.into_inner())).unwrap();
                let status = statuses.lock().unwrap().pop_front().unwrap_or(204);
                async move { HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish() }
            }))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let webhook = format!("http://{}/hook", server.addrs()[0]).parse().unwrap();
        tokio::spawn(server.run());
        (AlertsConfig { webhook, token: Some("t0ken".into()) }, received)
    }

    fn alert(resource: Option<&str>, code: &str, at: Timestamp) -> Alert {
        Alert {
            kind: if resource.is_some() { AlertKind::Parked } else { AlertKind::TargetPaused },
            tenant: "acme".to_owned(),
            subject: Subject::Target("glance".to_owned()),
            resource: resource.map(str::to_owned),
            remote_id: resource.map(|_| "1042".to_owned()),
            code: code.to_owned(),
            fields: vec!["UserAddress".to_owned()],
            text: "the address is taken".to_owned(),
            at,
        }
    }

    #[tokio::test]
    async fn an_alert_reaches_the_webhook_as_json_with_the_token() {
        let (config, mut received) = webhook(&[]);
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let alerts = Alerts::start(Some(config), clock.clone());
        alerts.ring(alert(Some("u1"), "taken", clock.now()));
        let (token, body) = received.recv().await.unwrap();
        assert_eq!(token.as_deref(), Some("Bearer t0ken"));
        assert_eq!(
            body,
            serde_json::json!({
                "kind": "parked", "tenant": "acme", "target": "glance", "resource": "u1", "remote_id": "1042",
                "code": "taken", "fields": ["UserAddress"], "text": "the address is taken", "at": "1970-01-01T00:00:00Z"
            })
        );
        alerts.stop().await;
    }

    #[tokio::test]
    async fn a_busy_webhook_is_asked_again_later() {
        let (config, mut received) = webhook(&[503, 429]);
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let alerts = Alerts::start(Some(config), clock.clone());
        alerts.ring(alert(Some("u1"), "taken", clock.now()));
        let mut posts = 0;
        while posts < 3 {
            tokio::select! {
                _ = received.recv() => posts += 1,
                () = tokio::task::yield_now() => clock.advance(Duration::from_secs(1)),
            }
        }
        alerts.stop().await;
        assert!(received.try_recv().is_err(), "an alert that was taken is not posted again");
    }

    #[tokio::test]
    async fn a_refused_alert_holds_up_nobody() {
        let (config, mut received) = webhook(&[400]);
        let clock = Clock::hand_set(Timestamp::UNIX_EPOCH);
        let alerts = Alerts::start(Some(config), clock.clone());
        alerts.ring(alert(Some("u1"), "one", clock.now()));
        alerts.ring(alert(Some("u1"), "two", clock.now()));
        assert_eq!(received.recv().await.unwrap().1["code"], "one");
        assert_eq!(received.recv().await.unwrap().1["code"], "two");
        alerts.stop().await;
    }

    #[tokio::test]
    async fn a_stop_posts_what_is_left() {
        let (config, mut received) = webhook(&[]);
        let alerts = Alerts::start(Some(config), Clock::hand_set(Timestamp::UNIX_EPOCH));
        for number in 0..5 {
            alerts.ring(alert(Some("u1"), &number.to_string(), Timestamp::UNIX_EPOCH));
        }
        alerts.stop().await;
        let mut codes = Vec::new();
        while let Ok((_, body)) = received.try_recv() {
            codes.push(body["code"].as_str().unwrap().to_owned());
        }
        assert_eq!(codes, ["0", "1", "2", "3", "4"]);
    }

    #[test]
    fn the_same_account_and_code_ring_once_an_hour() {
        let mut recent = Recent::default();
        let minute = |minutes: i64| Timestamp::from_second(60 * minutes).unwrap();
        let mut check = |resource: &str, code: &str, minutes: i64, expected: bool| {
            assert_eq!(
                recent.is_news(&alert(Some(resource), code, minute(minutes))),
                expected,
                "{resource} {code} at {minutes}"
            );
        };
        check("u1", "taken", 0, true);
        check("u1", "taken", 59, false);
        check("u1", "too-long", 59, true);
        check("u2", "taken", 59, true);
        check("u1", "taken", 60, true);
        check("u1", "taken", 61, false);
    }

    #[tokio::test]
    async fn what_is_over_and_comes_again_within_the_hour_rings_again() {
        let (config, mut received) = webhook(&[]);
        let alerts = Alerts::start(Some(config), Clock::hand_set(Timestamp::UNIX_EPOCH));
        let ring = || alerts.ring(alert(Some("u1"), "cannot-suspend", Timestamp::UNIX_EPOCH));
        ring();
        ring();
        alerts.over("acme", "glance", "u1");
        ring();
        ring();
        alerts.stop().await;
        let mut posted = 0;
        while received.try_recv().is_ok() {
            posted += 1;
        }
        assert_eq!(posted, 2);
    }

    #[test]
    fn what_rang_long_ago_is_forgotten_however_much_rings() {
        let mut recent = Recent::default();
        let second = |seconds: usize| Timestamp::from_second(seconds.try_into().unwrap()).unwrap();
        for number in 0..3 * MOST_REMEMBERED {
            assert!(recent.is_news(&alert(Some(&number.to_string()), "taken", second(number / 10_000))));
            assert!(recent.accounts.len() <= MOST_REMEMBERED && recent.order.len() == recent.accounts.len());
        }
        let last = (3 * MOST_REMEMBERED - 1).to_string();
        assert!(!recent.is_news(&alert(Some(&last), "taken", second(60))), "the latest are remembered");
        assert!(recent.is_news(&alert(Some("0"), "taken", second(60))), "the oldest rings again");
        assert!(recent.is_news(&alert(Some("1"), "taken", second(2 * 3600))));
        assert_eq!((recent.accounts.len(), recent.order.len()), (1, 1), "an hour later nothing else is left");
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nobody_for_long() {
        let mut recent = Recent::default();
        let day = Timestamp::from_second(86_400).unwrap();
        assert!(recent.is_news(&alert(Some("u1"), "taken", day)));
        assert!(recent.is_news(&alert(Some("u1"), "taken", Timestamp::UNIX_EPOCH)));
        assert!(!recent.is_news(&alert(Some("u1"), "taken", Timestamp::UNIX_EPOCH)));
    }

    #[test]
    fn a_target_that_fails_again_after_it_recovered_is_news() {
        let mut recent = Recent::default();
        let paused = alert(None, "unreachable", Timestamp::UNIX_EPOCH);
        let recovered = Alert { kind: AlertKind::TargetRecovered, code: "recovered".to_owned(), ..paused.clone() };
        assert!(recent.is_news(&paused));
        assert!(!recent.is_news(&paused));
        assert!(recent.is_news(&recovered));
        assert!(recent.is_news(&paused));
    }

    #[test]
    fn waits_grow_up_to_five_minutes() {
        let waits: Vec<_> = (1..=10).map(|attempt| wait_after(attempt).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    }
}
