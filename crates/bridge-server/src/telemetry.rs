//! What the bridge tells about itself: log lines on standard error (text or JSON, filtered by `RUST_LOG`) and metrics for
//! Prometheus. Neither carries a name, an address or a token.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use clap::ValueEnum;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt};

/// Upper bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What is counted.
const COUNTERS: [(&str, &str); 5] = [
    ("scim_bridge_refused_logins_total", "SCIM requests without a good token, by reason"),
    ("scim_bridge_alerts_total", "Alerts by kind, and what became of them"),
    ("scim_bridge_quirks_total", "What each connection was forgiven"),
    ("scim_bridge_throttled_requests_total", "Requests answered 429, by connection"),
    (
        "scim_bridge_refused_reloads_total",
        "Configurations that were refused when they were read again; the old one stayed",
    ),
];

/// What is measured when somebody asks.
const GAUGES: [(&str, &str); 9] = [
    (
        "scim_bridge_target_up",
        "1 if the target answered when it was last asked and takes calls, 0 if not; not there before the first contact",
    ),
    ("scim_bridge_target_queue", "Accounts due at the target by now"),
    ("scim_bridge_target_in_flight", "Accounts that are being worked on"),
    (
        "scim_bridge_accounts",
        "Accounts by target and state, counted once a minute, and over a few questions if there are millions",
    ),
    ("scim_bridge_pool_size", "Values that the pool has"),
    ("scim_bridge_pool_used", "Values of the pool that nobody can get now, counted once a minute"),
    ("scim_bridge_pool_free", "Values of the pool that can be handed out, counted once a minute"),
    ("scim_bridge_token_seconds_left", "How long a token with an end lasts; 0 once it has ended or is revoked"),
    ("scim_bridge_clock_set_seconds", "By how much the clock of the machine was set, while that is not believed"),
];

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. `RUST_LOG` chooses what; without it, `default` does, for example `info`.
///
/// A process logs once: a second call changes nothing.
pub fn start_logging(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "Logging has started before");
    }
}

/// The process's metrics; the first call starts recording.
///
/// # Errors
/// Somebody else records this process's metrics.
pub fn metrics() -> Result<PrometheusHandle, MetricsError> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    HANDLE.get_or_init(|| record().map_err(|error| error.to_string())).clone().map_err(MetricsError)
}

/// Metrics cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be recorded: {0}")]
pub struct MetricsError(String);

fn record() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    for (name, meaning) in COUNTERS {
        metrics::describe_counter!(name, meaning);
    }
    for (name, meaning) in GAUGES {
        metrics::describe_gauge!(name, meaning);
    }
    metrics::describe_histogram!(
        "scim_bridge_request_seconds",
        "How long SCIM requests took, by method and class of status"
    );
    Ok(handle)
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_counted_in_buckets() {
        let handle = super::metrics().unwrap();
        metrics::histogram!("test_duration_seconds").record(0.3);
        let text = super::metrics().unwrap().render();
        assert!(text.contains("test_duration_seconds_bucket{le=\"0.5\"} 1"), "{text}");
        assert!(text.contains("test_duration_seconds_bucket{le=\"0.25\"} 0"), "{text}");
        drop(handle);
    }
}
