//! The brake of a target: before an account ends (is suspended, removed, or leaves the scope), it is asked whether a person
//! has to look first (DESIGN, section 7, "Brake"). An identity provider that empties a group by mistake is answered 2xx; its
//! users keep their accounts until `account release`.

use std::time::Duration;

use bridge_connectors::{Plan, Presence};
use bridge_store::{AccountState, BRAKE, BrakeLimit, Braked, ResourceState, StoreError};
use jiff::{SignedDuration, Timestamp};

use super::duty::plain_reason;
use super::work::{End, Work};
use crate::alerts::AlertKind;
use crate::clock::earlier;
use crate::config::BrakeConfig;

impl Work<'_> {
    /// Asks the brake before the calls of a plan are sent. `None`: they may be.
    pub(super) async fn brake(&self, presence: Presence, plan: &Plan) -> Result<Option<End>, StoreError> {
        // A rejected create ends an account that we have just made ourselves; nobody had it.
        let is_ending = presence != Presence::Active && !plan.calls.is_empty();
        if !is_ending || self.resource.state == ResourceState::Rejected {
            return Ok(None);
        }
        let (tenant, target, resource) = (self.tenant.name.clone(), self.target.name.clone(), self.resource.key);
        let config = self.target.settings.brake;
        let now = self.bridge.clock.now();
        // A clock that was set forward must not end the window.
        let counted_at = self.bridge.clock.cautious_now();
        let limit = limit(config, counted_at);
        let braked =
            self.bridge.store.write(move |tx| tx.brake(&tenant, &target, resource, &limit, counted_at)).await?;
        let text = format!("{} within {}; let it go with `account release`", most(config), period(config.window));
        match braked {
            Braked::No => return Ok(None),
            Braked::Still => {}
            Braked::Now => {
                let text = format!(
                    "more accounts are to end than go without a person, {} within {}: further ones are held; see \
                     `account list --state held`, let them go with `account release`",
                    most(config),
                    period(config.window)
                );
                self.bridge.ring_about(self.target, AlertKind::Held, BRAKE, text);
            }
        }
        let reason = plain_reason(BRAKE, format!("held, because without a person at most {text}"));
        Ok(Some(End::Again { at: now, state: AccountState::Held, reason, counts: false }))
    }
}

fn limit(config: BrakeConfig, now: Timestamp) -> BrakeLimit {
    BrakeLimit {
        count: config.count.map(u64::from),
        share: config.share.map(u64::from),
        since: earlier(now, config.window),
    }
}

/// How many go without a person.
fn most(config: BrakeConfig) -> String {
    match (config.count, config.share) {
        (Some(count), Some(share)) => format!("{count} accounts or {share} % of them end"),
        (Some(count), None) => format!("{count} accounts end"),
        (None, Some(share)) => format!("{share} % of the accounts end"),
        (None, None) => "all accounts end".to_owned(),
    }
}

fn period(window: Duration) -> String {
    SignedDuration::try_from(window).map_or_else(|_| "that time".to_owned(), |window| format!("{window:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_said_in_words() {
        let check = |count, share, seconds, expected: &str| {
            let window = Duration::from_secs(seconds);
            let text = format!("{} within {}", most(BrakeConfig { count, share, window }), period(window));
            assert_eq!(text, expected);
        };
        check(Some(100), None, 3_600, "100 accounts end within 1h");
        check(None, Some(10), 5_400, "10 % of the accounts end within 1h 30m");
        check(Some(5), Some(10), 86_400, "5 accounts or 10 % of them end within 24h");
    }
}
