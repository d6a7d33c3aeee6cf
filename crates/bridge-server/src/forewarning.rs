//! Calls a person before something runs out: the values of a pool, the life of a token by which an identity provider signs in
//! (DESIGN, sections 7 "Pools" and 9). What was said is kept in the database, so that each thing is said once, restarts
//! included. The credentials of targets have no known end: API keys live until they are revoked (netsapiens.md section 2,
//! crmcom.md section 2), and tokens that are fetched with them are renewed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bridge_store::{Credential, Range, StoreError};
use jiff::{SignedDuration, Timestamp};
use tracing::error;

use crate::alerts::{Alert, AlertKind, Subject};
use crate::bridge::Bridge;
use crate::operations::{self, PoolStatus};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);
/// How long before its end a token is spoken of.
const AHEAD: SignedDuration = SignedDuration::from_hours(14 * 24);
/// One in so many values is to be free.
const SHARE: u64 = 20;
/// So many values are to be free, whatever the share.
const FEW: u64 = 10;
/// How the facts in the table `meta` are called that say what a person was told.
const TOLD: &str = "told/";

/// How far a pool is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Low,
    Empty,
}

/// Something to tell: under which name it is remembered, what is remembered, and the words.
struct Warning {
    name: String,
    told: String,
    alert: Alert,
}

/// Looks until the bridge stops.
pub(crate) async fn run(bridge: Arc<Bridge>) {
    loop {
        if let Err(error) = look(&bridge).await {
            error!(%error, "Whether something runs out is not known");
        }
        tokio::select! {
            () = bridge.stopped() => return,
            () = bridge.clock.sleep(EVERY) => {}
        }
    }
}

/// Rings for what runs out and was not said yet; what is over is forgotten, so that it is said when it comes again.
async fn look(bridge: &Bridge) -> Result<(), StoreError> {
    let now = bridge.clock.now();
    let told: BTreeMap<String, String> = bridge.store.read(|db| db.meta_with_prefix(TOLD)).await?.into_iter().collect();
    let pools = scarce(bridge).await?;
    let credentials = bridge.store.scan(|db| db.credentials(None)).await?;
    let of_pools = pools.iter().filter_map(|pool| of_pool(pool, &told, now));
    let warnings: Vec<Warning> = of_pools.chain(ending(&credentials, now).map(|one| of_token(one, now))).collect();
    let news: Vec<(String, String)> = warnings
        .iter()
        .filter(|warning| told.get(&warning.name) != Some(&warning.told))
        .map(|warning| {
            bridge.alerts.ring(warning.alert.clone());
            (warning.name.clone(), warning.told.clone())
        })
        .collect();
    let over: Vec<String> =
        told.into_keys().filter(|name| !warnings.iter().any(|warning| warning.name == *name)).collect();
    if news.is_empty() && over.is_empty() {
        return Ok(());
    }
    bridge
        .store
        .write(move |tx| {
            news.iter().try_for_each(|(name, told)| tx.set_meta(name, told))?;
            over.iter().try_for_each(|name| tx.remove_meta(name).map(drop))
        })
        .await
}

/// The pools of which few values may be free. To count one is a scan over all its values, so it is not done as long as enough
/// were never in use.
async fn scarce(bridge: &Bridge) -> Result<Vec<PoolStatus>, StoreError> {
    let mut scarce = Vec::new();
    for tenant in bridge.landscape().tenants() {
        for (name, pool) in &tenant.pools {
            let (of, named, ranges) = (tenant.name.clone(), name.clone(), pool.ranges.clone());
            let enough = well_again(Range::size(&ranges));
            if !bridge.store.scan(move |db| db.has_unused(&of, &named, &ranges, enough)).await? {
                scarce.push(operations::pool(bridge, tenant, name, pool).await?);
            }
        }
    }
    Ok(scarce)
}

/// Fewer free values than these are few: one in twenty, and 10 at least; of a small pool half.
fn few(size: u64) -> u64 {
    (size / SHARE).max(FEW).min(size / 2)
}

/// A pool of which it was said that few are free is well again only when half as many again are: whoever comes and goes at
/// the edge rings no bell.
fn well_again(size: u64) -> u64 {
    few(size) + few(size) / 2
}

/// How far a pool is used up.
fn level(size: u64, free: u64, was_told: bool) -> Option<Level> {
    let few = few(size);
    match free {
        0 => Some(Level::Empty),
        free if free < few || (was_told && free < well_again(size)) => Some(Level::Low),
        _ => None,
    }
}

/// What is to be said of a pool.
fn of_pool(pool: &PoolStatus, told: &BTreeMap<String, String>, now: Timestamp) -> Option<Warning> {
    let PoolStatus { tenant, pool, size, free, .. } = pool;
    let name = format!("{TOLD}pool/{tenant}/{pool}");
    let [low, empty] = ["low", "empty"].map(|level| format!("{level} {size}"));
    let before = told.get(&name);
    let is_known = before.is_some_and(|told| *told == low || *told == empty);
    let level = level(*size, *free, is_known)?;
    // It was empty and somebody left: that is no news, nor is the next one who comes.
    let level = if before == Some(&empty) { Level::Empty } else { level };
    let (kind, code, text, told) = match level {
        Level::Low => {
            let text = format!("{free} of {size} values of the pool {pool} are free: add a range before it is empty");
            (AlertKind::PoolLow, "pool-low", text, low)
        }
        Level::Empty => {
            let text = format!("the pool {pool} has no free value: who needs one gets no account; add a range");
            (AlertKind::PoolEmpty, "pool-empty", text, empty)
        }
    };
    let subject = Subject::Pool(pool.clone());
    Some(Warning { name, told, alert: alert(kind, tenant, subject, code, text, now) })
}

/// The tokens of identity providers that end soon and are not replaced yet: no other token of their connection that lasts
/// longer was used.
pub(crate) fn ending(credentials: &[Credential], now: Timestamp) -> impl Iterator<Item = &Credential> {
    let soon = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
    let is_good = move |one: &Credential| one.revoked.is_none() && one.expires.is_none_or(|end| end > now);
    let lasts = move |one: &Credential| is_good(one) && one.expires.is_none_or(|end| end > soon);
    credentials.iter().filter(move |one| {
        let is_replaced = || {
            credentials.iter().any(|other| {
                let is_same = other.tenant == one.tenant && other.connection == one.connection;
                is_same && lasts(other) && other.last_used.is_some()
            })
        };
        one.subject.is_none() && is_good(one) && !lasts(one) && !is_replaced()
    })
}

/// When a token ends and what to do, in words.
pub(crate) fn end_of(credential: &Credential) -> String {
    let end = credential.expires.map(|end| end.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
    format!(
        "the token {} of the connection {} ends at {end}: make another one with `token new`, and enter it at the identity \
         provider",
        credential.selector, credential.connection
    )
}

fn of_token(credential: &Credential, now: Timestamp) -> Warning {
    let subject = Subject::Token(credential.selector.clone());
    let told = credential.expires.map(|end| end.to_string()).unwrap_or_default();
    let text = end_of(credential);
    let alert = alert(AlertKind::TokenEnds, &credential.tenant, subject, "token-ends", text, now);
    Warning { name: format!("{TOLD}token/{}/{}", credential.tenant, credential.selector), told, alert }
}

fn alert(kind: AlertKind, tenant: &str, subject: Subject, code: &str, text: String, now: Timestamp) -> Alert {
    Alert {
        kind,
        tenant: tenant.to_owned(),
        subject,
        resource: None,
        remote_id: None,
        code: code.to_owned(),
        fields: Vec::new(),
        text,
        at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_nearly_used_up_below_one_in_twenty_or_ten_or_half_of_a_small_one() {
        let check = |size: u64, edge: u64| {
            assert_eq!(level(size, edge, false), None, "{edge} of {size}");
            if edge > 1 {
                assert_eq!(level(size, edge - 1, false), Some(Level::Low), "{} of {size}", edge - 1);
            }
            assert_eq!(level(size, 0, false), Some(Level::Empty), "{size}");
        };
        check(1_000, 50);
        check(200, 10);
        check(100, 10);
        check(20, 10);
        check(10, 5);
        check(2, 1);
        check(1, 1);
        assert_eq!(level(1_000, 74, true), Some(Level::Low), "not well yet");
        assert_eq!(level(1_000, 75, true), None);
    }

    #[test]
    fn a_token_ends_soon_unless_another_one_of_its_connection_is_in_use() {
        let day = |days: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days);
        let token = |selector: &str, expires: Option<i64>| Credential {
            selector: selector.to_owned(),
            hash: Vec::new(),
            tenant: "acme".to_owned(),
            connection: "okta".to_owned(),
            label: "okta".to_owned(),
            scopes: "scim".to_owned(),
            created: day(0),
            expires: expires.map(day),
            revoked: None,
            last_used: None,
            subject: None,
        };
        let check = |tokens: &[Credential], today: i64, expected: &[&str]| {
            let found: Vec<&str> = ending(tokens, day(today)).map(|one| one.selector.as_str()).collect();
            assert_eq!(found, expected, "day {today}");
        };
        let old = token("old", Some(100));
        check(std::slice::from_ref(&old), 85, &[]);
        check(std::slice::from_ref(&old), 86, &["old"]);
        check(std::slice::from_ref(&old), 100, &[]);
        check(&[Credential { revoked: Some(day(90)), ..old.clone() }], 91, &[]);
        check(&[Credential { subject: Some("u1".to_owned()), ..old.clone() }], 91, &[]);
        let new = token("new", None);
        check(&[old.clone(), new.clone()], 91, &["old"]);
        let used = Credential { last_used: Some(day(90)), ..new };
        check(&[old.clone(), used.clone()], 91, &[]);
        check(&[old.clone(), Credential { connection: "entra".to_owned(), ..used }], 91, &["old"]);
        check(&[old, Credential { last_used: Some(day(90)), ..token("short", Some(104)) }], 91, &["old", "short"]);
    }
}
