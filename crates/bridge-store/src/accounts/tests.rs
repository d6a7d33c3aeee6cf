//! Wanted, claimed, settled: the life of an account that is also its delivery.

use serde_json::json;

use super::*;
use crate::testing::{TENANT, add, at, insert, store, user};
use crate::{BRAKE, NewResource, Reason, Store, Want, Wanted};

/// What a test does to the account of one resource at the target `pbx`.
struct Desk {
    store: Store,
    resource: i64,
}

impl Desk {
    async fn new() -> Self {
        let store = store();
        let resource = add(&store, "ann").await.key;
        Self { store, resource }
    }

    async fn want(&self, want: Want, now: i64) -> Result<Wanted, StoreError> {
        let resource = self.resource;
        self.store.write(move |tx| tx.want(resource, "pbx", &want, at(now))).await
    }

    async fn want_due(&self, now: i64) -> Wanted {
        self.want(Want::due(at(now)), now).await.unwrap()
    }

    /// Claims with a lease of a minute.
    async fn claim(&self, now: i64) -> Option<Account> {
        claim(&self.store, now, 1).await.pop()
    }

    async fn settle(&self, token: i64, settlement: Settlement) -> Result<bool, StoreError> {
        let resource = self.resource;
        self.store.write(move |tx| tx.settle(resource, "pbx", token, &settlement)).await
    }

    async fn row(&self) -> Account {
        let resource = self.resource;
        self.store.read(|db| db.account(resource, "pbx")).await.unwrap().unwrap()
    }

    async fn next_due(&self) -> Option<Timestamp> {
        self.store.read(|db| db.next_due(TENANT, "pbx")).await.unwrap()
    }
}

async fn claim(store: &Store, now: i64, limit: usize) -> Vec<Account> {
    store.write(move |tx| tx.claim(TENANT, "pbx", at(now), at(now + 60), limit)).await.unwrap()
}

async fn want_for(store: &Store, resource: i64, want: Want) -> Result<Wanted, StoreError> {
    store.write(move |tx| tx.want(resource, "pbx", &want, at(0))).await
}

fn token(account: &Account) -> i64 {
    account.lease.unwrap().token
}

fn with_key(key: &str) -> Want {
    Want { natural_key: Some(key.into()), ..Want::due(at(0)) }
}

#[tokio::test]
async fn each_cause_raises_wanted_and_the_first_makes_the_account() {
    let desk = Desk::new().await;
    assert_eq!(desk.want_due(0).await, Wanted { wanted: 1, state: AccountState::Due });
    assert_eq!(desk.want_due(1).await, Wanted { wanted: 2, state: AccountState::Due });
    let row = desk.row().await;
    assert_eq!((row.tenant.as_str(), row.wanted, row.applied, row.due_at), (TENANT, 2, 0, at(1)));
}

#[tokio::test]
async fn what_is_taken_for_the_first_cause_is_a_further_one_if_there_is_an_account() {
    let desk = Desk::new().await;
    let other = add(&desk.store, "bob").await.key;
    let first =
        |resource: i64, want: Want| desk.store.write(move |tx| tx.want_new(TENANT, resource, "pbx", &want, at(3)));
    assert_eq!(first(desk.resource, with_key("1001")).await.unwrap().wanted, 1);
    assert_eq!(first(desk.resource, with_key("1001")).await.unwrap().wanted, 2);
    let taken = first(other, with_key("1001")).await;
    assert_eq!(taken, Err(StoreError::taken("natural key", desk.resource)));
    assert_eq!(first(other, with_key("1002")).await.unwrap().wanted, 1);
    assert_eq!((desk.row().await.wanted, desk.row().await.natural_key.as_deref()), (2, Some("1001")));
}

#[tokio::test]
async fn nothing_is_wanted_for_a_resource_that_does_not_exist() {
    let store = store();
    assert_eq!(want_for(&store, 77, Want::due(at(0))).await, Err(StoreError::NotFound("resource")));
    assert_eq!(want_for(&store, 77, with_key("1001")).await, Err(StoreError::NotFound("resource")));
}

#[tokio::test]
async fn many_causes_are_one_delivery() {
    let desk = Desk::new().await;
    for now in 0..10 {
        desk.want_due(now).await;
    }
    let claimed = desk.claim(10).await.unwrap();
    assert!(desk.settle(token(&claimed), Settlement::of(&claimed, AccountState::Settled, at(11))).await.unwrap());
    let row = desk.row().await;
    assert_eq!((row.state, row.wanted, row.applied, row.lease), (AccountState::Settled, 10, 10, None));
    assert_eq!(desk.claim(20).await, None);
    assert_eq!(desk.next_due().await, None);
}

#[tokio::test]
async fn a_leased_account_is_not_claimed_again_before_the_lease_ends() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let first = desk.claim(0).await.unwrap();
    assert_eq!(first.lease, Some(Lease { token: 1, until: at(60) }));
    assert_eq!(desk.claim(59).await, None);
    let second = desk.claim(60).await.unwrap();
    assert_eq!(token(&second), 2);
}

#[tokio::test]
async fn a_lease_taken_over_leaves_doubt_and_the_first_holder_cannot_settle() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let first = desk.claim(0).await.unwrap();
    assert_eq!(first.doubt, Doubt::None);
    let second = desk.claim(60).await.unwrap();
    assert_eq!(second.doubt, Doubt::Create, "the first may have made the account");
    assert_eq!(second.last_write_at, Some(at(60)), "it may have written until its lease ended");
    assert!(!desk.settle(token(&first), Settlement::of(&first, AccountState::Settled, at(61))).await.unwrap());
    assert_eq!(desk.row().await, second, "nothing was written");
    let known = Settlement {
        remote_id: Some("r1".into()),
        doubt: Doubt::None,
        ..Settlement::of(&second, AccountState::Due, at(61))
    };
    assert!(desk.settle(token(&second), known).await.unwrap());
    desk.claim(61).await.unwrap();
    assert_eq!(desk.claim(200).await.unwrap().doubt, Doubt::Read, "an account that is there is read first");
}

#[tokio::test]
async fn a_lease_can_be_prolonged_by_its_holder_alone() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let (resource, mine) = (desk.resource, token(&claimed));
    let renew = |token| desk.store.write(move |tx| tx.renew(resource, "pbx", token, at(300)));
    assert!(renew(mine).await.unwrap());
    assert!(!renew(mine + 1).await.unwrap());
    assert_eq!(desk.claim(299).await, None);
    assert!(desk.claim(300).await.is_some());
}

#[tokio::test]
async fn a_cause_that_comes_during_the_work_keeps_the_account_due() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    desk.want_due(5).await;
    let settled = Settlement {
        remote_id: Some("r1".into()),
        digest: Some("d1".into()),
        ..Settlement::of(&claimed, AccountState::Settled, at(6))
    };
    assert!(desk.settle(token(&claimed), settled).await.unwrap());
    let row = desk.row().await;
    assert_eq!((row.state, row.wanted, row.applied, row.due_at), (AccountState::Due, 2, 1, at(5)));
    assert_eq!(row.remote_id.as_deref(), Some("r1"), "what was done is known");
    assert!(desk.claim(6).await.is_some());
}

#[tokio::test]
async fn a_cause_that_comes_during_the_work_decides_state_and_key() {
    let desk = Desk::new().await;
    desk.want(with_key("1001"), 0).await.unwrap();
    let claimed = desk.claim(0).await.unwrap();
    let held = Want { state: AccountState::Held, urgent: true, ..with_key("1002") };
    desk.want(held, 5).await.unwrap();
    let settled =
        Settlement { natural_key: Change::Set("1001".into()), ..Settlement::of(&claimed, AccountState::Parked, at(6)) };
    assert!(desk.settle(token(&claimed), settled).await.unwrap());
    let row = desk.row().await;
    assert_eq!((row.state, row.natural_key.as_deref(), row.urgent), (AccountState::Held, Some("1002"), true));
}

#[tokio::test]
async fn a_retry_does_not_count_as_an_answer() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let again = Settlement {
        due_at: at(30),
        attempts: 1,
        failing_since: Some(at(1)),
        ..Settlement::of(&claimed, AccountState::Due, at(1))
    };
    assert!(desk.settle(token(&claimed), again).await.unwrap());
    let row = desk.row().await;
    assert_eq!((row.applied, row.attempts, row.failing_since), (0, 1, Some(at(1))));
    assert_eq!(desk.next_due().await, Some(at(30)));
    assert_eq!(desk.claim(29).await, None);
    assert!(desk.claim(30).await.is_some());
}

#[tokio::test]
async fn a_new_cause_ends_the_back_off() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let later = Settlement { due_at: at(3000), attempts: 7, ..Settlement::of(&claimed, AccountState::Due, at(1)) };
    desk.settle(token(&claimed), later).await.unwrap();
    desk.want_due(10).await;
    let claimed = desk.claim(10).await.unwrap();
    assert_eq!(claimed.attempts, 0);
}

#[tokio::test]
async fn every_answer_raises_applied_and_nothing_else_does() {
    for state in AccountState::ALL.iter().copied() {
        let desk = Desk::new().await;
        desk.want_due(0).await;
        let claimed = desk.claim(0).await.unwrap();
        assert!(desk.settle(token(&claimed), Settlement::of(&claimed, state, at(1))).await.unwrap());
        let row = desk.row().await;
        assert_eq!((row.state, row.applied == row.wanted), (state, state.is_answer()), "{state}");
    }
}

#[tokio::test]
async fn urgent_accounts_come_first_and_the_others_by_due_time() {
    let store = store();
    let mut keys = Vec::new();
    for (name, due, urgent) in [("a", 3, false), ("b", 1, false), ("c", 9, true), ("d", 2, false), ("e", 20, true)] {
        let key = add(&store, name).await.key;
        want_for(&store, key, Want { urgent, ..Want::due(at(due)) }).await.unwrap();
        keys.push(key);
    }
    let claimed = claim(&store, 10, 3).await;
    let order: Vec<i64> = claimed.iter().map(|account| account.resource).collect();
    assert_eq!(order, [keys[2], keys[1], keys[3]]);
    assert_eq!(claim(&store, 10, 3).await.len(), 1, "what is not due yet is left");
    assert_eq!(store.read(|db| db.next_due(TENANT, "pbx")).await.unwrap(), Some(at(20)));
}

#[tokio::test]
async fn the_next_moment_of_a_target_is_the_end_of_a_lease_if_that_comes_first() {
    let desk = Desk::new().await;
    assert_eq!(desk.next_due().await, None);
    desk.want_due(0).await;
    assert_eq!(desk.next_due().await, Some(at(0)));
    desk.claim(0).await.unwrap();
    assert_eq!(desk.next_due().await, Some(at(60)));
}

#[tokio::test]
async fn one_account_is_claimed_only_if_it_is_due() {
    let desk = Desk::new().await;
    let resource = desk.resource;
    let claim = |now| desk.store.write(move |tx| tx.claim_one(resource, "pbx", at(now), at(now + 60)));
    assert_eq!(claim(0).await.unwrap(), None, "there is none");
    desk.want_due(5).await;
    assert_eq!(claim(4).await.unwrap(), None);
    assert!(claim(5).await.unwrap().is_some());
    assert_eq!(claim(6).await.unwrap(), None, "it is leased");
}

#[tokio::test]
async fn a_held_account_stays_held_until_it_is_released() {
    let desk = Desk::new().await;
    let reason = Reason {
        code: "mode-hold".into(),
        field: None,
        attribute: None,
        text: "the mode of the target".into(),
        retry_helps: false,
    };
    let held = Want { state: AccountState::Held, reason: Some(reason.clone()), ..Want::due(at(0)) };
    desk.want(held, 0).await.unwrap();
    assert_eq!(desk.want_due(1).await, Wanted { wanted: 2, state: AccountState::Held });
    assert_eq!(desk.row().await.reason.as_ref(), Some(&reason));
    assert_eq!(desk.claim(2).await, None);
    let released = desk.want(Want { release: true, ..Want::due(at(3)) }, 3).await.unwrap();
    assert_eq!(released.state, AccountState::Due);
    assert_eq!(desk.row().await.reason, None);
    for (code, now) in [(BRAKE, 4), (crate::PLANNED, 6)] {
        let claimed = desk.claim(now).await.unwrap();
        let judged = Reason { code: code.into(), ..reason.clone() };
        let held = Settlement { reason: Some(judged), ..Settlement::of(&claimed, AccountState::Held, at(now)) };
        desk.settle(token(&claimed), held).await.unwrap();
        assert_eq!(desk.next_due().await, None);
        assert_eq!(desk.want_due(now + 1).await.state, AccountState::Due, "{code}: what is wanted now is judged");
    }
}

#[tokio::test]
async fn a_natural_key_belongs_to_one_account_of_a_target() {
    let store = store();
    let (ann, bob) = (add(&store, "ann").await.key, add(&store, "bob").await.key);
    want_for(&store, ann, with_key("1001")).await.unwrap();
    want_for(&store, ann, with_key("1001")).await.unwrap();
    assert_eq!(want_for(&store, bob, with_key("1001")).await, Err(StoreError::taken("natural key", ann)));
    let elsewhere = store.write(move |tx| tx.want(bob, "glance", &with_key("1001"), at(0))).await;
    assert!(elsewhere.is_ok(), "another target has its own keys");
    want_for(&store, ann, with_key("1002")).await.unwrap();
    want_for(&store, bob, with_key("1001")).await.unwrap();
    let found = store.read(|db| db.account_by_natural_key(TENANT, "pbx", "1001")).await.unwrap();
    assert_eq!(found.unwrap().resource, bob);
}

#[tokio::test]
async fn a_natural_key_of_another_tenant_is_no_obstacle() {
    let store = store();
    let ann = add(&store, "ann").await.key;
    let other = insert(&store, NewResource { tenant: "globex".into(), ..user(&store, "ann") }).await.key;
    want_for(&store, ann, with_key("1001")).await.unwrap();
    want_for(&store, other, with_key("1001")).await.unwrap();
    assert_eq!(claim(&store, 0, 10).await.len(), 1, "a tenant's worker claims its own accounts");
}

#[tokio::test]
async fn a_remote_id_belongs_to_one_account_of_a_target() {
    let store = store();
    let (ann, bob) = (add(&store, "ann").await.key, add(&store, "bob").await.key);
    want_for(&store, ann, Want::due(at(0))).await.unwrap();
    want_for(&store, bob, Want::due(at(0))).await.unwrap();
    let mut results = Vec::new();
    for account in claim(&store, 0, 2).await {
        let settled =
            Settlement { remote_id: Some("r1".into()), ..Settlement::of(&account, AccountState::Settled, at(1)) };
        let (resource, token) = (account.resource, token(&account));
        results.push(store.write(move |tx| tx.settle(resource, "pbx", token, &settled)).await);
    }
    assert_eq!(results, [Ok(true), Err(StoreError::taken("remote id", ann))]);
    let found = store.read(|db| db.account_by_remote_id(TENANT, "pbx", "r1")).await.unwrap();
    assert_eq!(found.unwrap().resource, ann);
}

#[tokio::test]
async fn leases_from_before_a_restart_become_doubt() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let released = desk.store.write(|tx| tx.release_leases_as_doubt(at(1))).await.unwrap();
    assert_eq!(released, 1);
    assert!(!desk.settle(token(&claimed), Settlement::of(&claimed, AccountState::Settled, at(2))).await.unwrap());
    let again = desk.claim(2).await.unwrap();
    assert_eq!((again.doubt, again.last_write_at), (Doubt::Create, Some(at(1))), "it may have written until then");
    assert_ne!(token(&again), token(&claimed));
}

#[tokio::test]
async fn a_secret_is_kept_before_it_is_sent_and_erased_once_it_has_served() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let (resource, mine) = (desk.resource, token(&claimed));
    let kept = json!({ "dial_policy": "all" });
    let prepare = |token, secret: &'static [u8]| {
        let kept = kept.clone();
        desk.store.write(move |tx| tx.prepare(resource, "pbx", token, None, Some(secret), Some(&kept), at(1)))
    };
    assert!(!prepare(mine + 1, b"other").await.unwrap(), "the lease is lost");
    assert!(prepare(mine, b"sealed").await.unwrap());
    assert!(!prepare(mine, b"late").await.unwrap(), "another secret than the claimed one is there");
    let row = desk.row().await;
    assert_eq!((row.secret.as_deref(), row.secret_pending, row.kept), (Some(&b"sealed"[..]), true, Some(kept.clone())));
    let served = Settlement {
        secrets: SecretsAre::Erased,
        claimed_secret: Some(b"sealed".to_vec()),
        ..Settlement::of(&claimed, AccountState::Settled, at(2))
    };
    assert!(desk.settle(mine, served).await.unwrap());
    let row = desk.row().await;
    assert_eq!((row.secret, row.secret_pending), (None, false));
}

#[tokio::test]
async fn a_newer_secret_is_not_erased_with_the_one_that_was_sent() {
    let desk = Desk::new().await;
    desk.want(Want { secret: Some(b"old".to_vec()), ..Want::due(at(0)) }, 0).await.unwrap();
    let claimed = desk.claim(0).await.unwrap();
    desk.want(Want { secret: Some(b"new".to_vec()), ..Want::due(at(1)) }, 1).await.unwrap();
    let served = Settlement { secrets: SecretsAre::Erased, ..Settlement::of(&claimed, AccountState::Settled, at(2)) };
    assert!(desk.settle(token(&claimed), served).await.unwrap());
    let row = desk.row().await;
    assert_eq!((row.secret.as_deref(), row.secret_pending), (Some(&b"new"[..]), true));
    // Kept for later, the same: what came in meanwhile is still to be sent, and served with the next delivery.
    for (number, pending) in [(3, true), (4, false)] {
        let claimed = desk.claim(number).await.unwrap();
        if pending {
            desk.want(Want { secret: Some(b"newest".to_vec()), ..Want::due(at(3)) }, 3).await.unwrap();
        }
        let served =
            Settlement { secrets: SecretsAre::Served, ..Settlement::of(&claimed, AccountState::Settled, at(4)) };
        assert!(desk.settle(token(&claimed), served).await.unwrap());
        let row = desk.row().await;
        assert_eq!((row.secret.as_deref(), row.secret_pending), (Some(&b"newest"[..]), pending));
    }
}

#[tokio::test]
async fn all_that_was_seen_is_read_back_as_it_was_written() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let settled = Settlement {
        reason: Some(Reason {
            code: "limit".into(),
            field: Some("UserRole".into()),
            attribute: Some("title".into()),
            text: "too long".into(),
            retry_helps: true,
        }),
        urgent: true,
        doubt: Doubt::Read,
        natural_key: Change::Set("ann@example.com".into()),
        digest: Some("d1".into()),
        observed: Some(json!({ "UserFirst": "Ann", "z": 1, "a": null })),
        kept: Some(json!({ "policy": "x" })),
        last_write_at: Some(at(3)),
        failing_since: Some(at(4)),
        proof: Some(json!("gone")),
        candidate: Some(json!({ "remote_id": "r9" })),
        ..Settlement::of(&claimed, AccountState::Parked, at(5))
    };
    let expected = settled.clone();
    assert!(desk.settle(token(&claimed), settled).await.unwrap());
    let row = desk.row().await;
    assert_eq!((row.reason, row.urgent, row.doubt), (expected.reason, true, Doubt::Read));
    assert_eq!((row.natural_key.as_deref(), row.digest), (Some("ann@example.com"), expected.digest));
    assert_eq!(row.observed.map(|value| value.to_string()), expected.observed.map(|value| value.to_string()));
    assert_eq!((row.kept, row.proof, row.candidate), (expected.kept, expected.proof, expected.candidate));
    assert_eq!((row.last_write_at, row.failing_since, row.updated), (Some(at(3)), Some(at(4)), at(5)));
}

#[tokio::test]
async fn an_account_is_handed_over_with_all_that_is_known_and_starts_in_doubt() {
    let desk = Desk::new().await;
    desk.want(with_key("1001"), 0).await.unwrap();
    let claimed = desk.claim(0).await.unwrap();
    let settled = Settlement {
        remote_id: Some("r1".into()),
        digest: Some("d1".into()),
        kept: Some(json!({ "policy": "x" })),
        ..Settlement::of(&claimed, AccountState::Settled, at(1))
    };
    desk.settle(token(&claimed), settled).await.unwrap();
    let (from, to) = (desk.resource, add(&desk.store, "ann2").await.key);
    let handed = desk.store.write(move |tx| tx.hand_over(from, to, "pbx", at(9))).await.unwrap();
    assert!(handed);
    let old = desk.row().await;
    assert_eq!((old.state, old.remote_id, old.natural_key), (AccountState::HandedOver, None, None));
    let new = desk.store.read(|db| db.account(to, "pbx")).await.unwrap().unwrap();
    assert_eq!((new.remote_id.as_deref(), new.natural_key.as_deref()), (Some("r1"), Some("1001")));
    assert_eq!((new.state, new.doubt, new.due_at, new.digest), (AccountState::Due, Doubt::Read, at(9), None));
    assert_eq!(new.kept, Some(json!({ "policy": "x" })));
    assert_eq!(desk.want_due(10).await.state, AccountState::HandedOver, "nothing wakes the old one");
    let again = desk.store.write(move |tx| tx.hand_over(from, to, "pbx", at(11))).await.unwrap();
    assert!(!again);
}

#[tokio::test]
async fn a_worker_loses_the_account_that_is_handed_over_and_the_new_one_waits_for_its_lease() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let (from, to) = (desk.resource, add(&desk.store, "ann2").await.key);
    desk.store.write(move |tx| tx.hand_over(from, to, "pbx", at(9))).await.unwrap();
    assert!(!desk.settle(token(&claimed), Settlement::of(&claimed, AccountState::Settled, at(10))).await.unwrap());
    assert_eq!(desk.claim(59).await, None);
    assert_eq!(desk.claim(60).await.unwrap().resource, to);
}

#[tokio::test]
async fn secrets_are_not_handed_over_with_an_account() {
    let desk = Desk::new().await;
    desk.want(Want { secret: Some(b"sealed for the first".to_vec()), ..Want::due(at(0)) }, 0).await.unwrap();
    let (from, to) = (desk.resource, add(&desk.store, "ann2").await.key);
    desk.store.write(move |tx| tx.hand_over(from, to, "pbx", at(9))).await.unwrap();
    let new = desk.store.read(|db| db.account(to, "pbx")).await.unwrap().unwrap();
    assert_eq!((new.secret, new.secret_pending, desk.row().await.secret), (None, false, None));
}

#[tokio::test]
async fn what_was_held_during_the_work_is_no_reason_to_wake_when_the_lease_ends() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    desk.claim(0).await.unwrap();
    desk.want(Want { state: AccountState::Held, ..Want::due(at(1)) }, 1).await.unwrap();
    assert_eq!(desk.next_due().await, None);
}

#[tokio::test]
async fn an_account_is_linked_by_hand_and_then_read_first() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    desk.settle(token(&claimed), Settlement::of(&claimed, AccountState::Parked, at(1))).await.unwrap();
    let resource = desk.resource;
    desk.store.write(move |tx| tx.link(resource, "pbx", Some("r7"), at(2))).await.unwrap();
    let row = desk.claim(2).await.unwrap();
    assert_eq!((row.remote_id.as_deref(), row.doubt), (Some("r7"), Doubt::Read));
    let other = add(&desk.store, "bob").await.key;
    want_for(&desk.store, other, Want::due(at(0))).await.unwrap();
    let taken = desk.store.write(move |tx| tx.link(other, "pbx", Some("r7"), at(2))).await;
    assert_eq!(taken, Err(StoreError::taken("remote id", resource)));
    let missing = desk.store.write(move |tx| tx.link(other, "glance", Some("r7"), at(2))).await;
    assert_eq!(missing, Err(StoreError::NotFound("account")));
}

#[tokio::test]
async fn an_account_is_looked_at_again_whatever_was_sent_last() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let task = Settlement { digest: Some("d1".into()), ..Settlement::of(&claimed, AccountState::Task, at(1)) };
    desk.settle(token(&claimed), task).await.unwrap();
    let resource = desk.resource;
    assert!(desk.store.write(move |tx| tx.look_again(resource, "pbx", at(2))).await.unwrap());
    assert!(!desk.store.write(move |tx| tx.look_again(resource, "glance", at(2))).await.unwrap());
    let row = desk.claim(2).await.unwrap();
    assert_eq!((row.doubt, row.digest, row.wanted), (Doubt::Read, None, 2));
}

#[tokio::test]
async fn a_doubt_that_is_raised_while_a_call_is_under_way_outlives_it() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let resource = desk.resource;
    assert!(desk.store.write(move |tx| tx.look_again(resource, "pbx", at(1))).await.unwrap());
    let done = Settlement {
        digest: Some("d1".into()),
        doubt: Doubt::None,
        ..Settlement::of(&claimed, AccountState::Settled, at(2))
    };
    assert!(desk.settle(token(&claimed), done.clone()).await.unwrap());
    let row = desk.claim(3).await.unwrap();
    assert_eq!((row.doubt, row.digest.as_deref(), row.applied, row.wanted), (Doubt::Read, None, 1, 2));
    // Whoever then looks has the last word.
    let looked = Settlement { wanted: row.wanted, ..done };
    assert!(desk.settle(token(&row), looked).await.unwrap());
    let row = desk.row().await;
    assert_eq!((row.state, row.doubt, row.digest.as_deref()), (AccountState::Settled, Doubt::None, Some("d1")));
}

#[tokio::test]
async fn an_account_linked_by_hand_knows_nothing_of_the_former_one() {
    let desk = Desk::new().await;
    desk.want(Want { secret: Some(b"sealed".to_vec()), ..Want::due(at(0)) }, 0).await.unwrap();
    let claimed = desk.claim(0).await.unwrap();
    let settled = Settlement {
        remote_id: Some("r1".into()),
        kept: Some(json!({ "suspension": {} })),
        proof: Some(json!({})),
        last_write_at: Some(at(1)),
        ..Settlement::of(&claimed, AccountState::Parked, at(1))
    };
    desk.settle(token(&claimed), settled).await.unwrap();
    let resource = desk.resource;
    let link = |to: &'static str| desk.store.write(move |tx| tx.link(resource, "pbx", Some(to), at(2)));
    link("r1").await.unwrap();
    let row = desk.row().await;
    assert!(row.kept.is_some() && row.secret.is_some() && row.secret_pending, "it is the same account");
    link("r2").await.unwrap();
    let row = desk.row().await;
    assert_eq!((row.kept, row.secret, row.secret_pending), (None, None, false));
    assert_eq!((row.proof, row.last_write_at, row.doubt), (None, None, Doubt::Read));
}

#[tokio::test]
async fn a_dropped_account_is_forgotten() {
    let desk = Desk::new().await;
    desk.want(with_key("1001"), 0).await.unwrap();
    let resource = desk.resource;
    assert!(desk.store.write(move |tx| tx.drop_account(resource, "pbx")).await.unwrap());
    assert!(!desk.store.write(move |tx| tx.drop_account(resource, "pbx")).await.unwrap());
    assert_eq!(desk.store.read(|db| db.accounts_of(resource)).await.unwrap(), []);
    let bob = add(&desk.store, "bob").await.key;
    want_for(&desk.store, bob, with_key("1001")).await.unwrap();
}

#[tokio::test]
async fn accounts_are_listed_by_tenant_target_and_state_and_page_by_page() {
    let store = store();
    let mut expected = Vec::new();
    for (number, state) in AccountState::ALL.iter().copied().cycle().take(24).enumerate() {
        let key = add(&store, &format!("user{number}")).await.key;
        for target in ["glance", "pbx"] {
            let want = Want { state, ..Want::due(at(0)) };
            store.write(move |tx| tx.want(key, target, &want, at(0))).await.unwrap();
            expected.push((key, target.to_owned(), state));
        }
    }
    let walk = async |state: Option<AccountState>, target: Option<&str>| {
        let mut query = AccountQuery {
            tenant: Some(TENANT.into()),
            state,
            target: target.map(str::to_owned),
            after: None,
            limit: 2,
        };
        let mut found = Vec::new();
        loop {
            let asked = query.clone();
            let page = store.scan(move |db| db.accounts_where(&asked)).await.unwrap();
            let Some(last) = page.last() else { return found };
            query.after = Some((last.resource, last.target.clone()));
            found.extend(page.into_iter().map(|account| (account.resource, account.target, account.state)));
        }
    };
    let of = |state: Option<AccountState>, target: Option<&str>| {
        let is = |row: &&(i64, String, AccountState)| {
            state.is_none_or(|state| row.2 == state) && target.is_none_or(|target| row.1 == target)
        };
        expected.iter().filter(is).cloned().collect::<Vec<_>>()
    };
    for state in AccountState::ALL.iter().copied().map(Some).chain([None]) {
        for target in [None, Some("pbx")] {
            assert_eq!(walk(state, target).await, of(state, target), "{state:?} {target:?}");
        }
    }
    let counts = store.scan(|db| db.account_counts(Some(TENANT))).await.unwrap();
    assert_eq!(counts.len(), 16);
    assert!(counts.iter().all(|count| count.count == 3), "{counts:?}");
    let elsewhere = store.scan(|db| db.account_counts(Some("globex"))).await.unwrap();
    assert_eq!(elsewhere, []);
    let query = AccountQuery { tenant: Some("globex".into()), ..AccountQuery::default() };
    assert_eq!(store.scan(move |db| db.accounts_where(&query)).await.unwrap(), []);
}

#[tokio::test]
async fn the_queue_of_a_target_counts_what_is_due_by_now() {
    let store = store();
    for (name, due) in [("a", 0), ("b", 5), ("c", 50)] {
        let key = add(&store, name).await.key;
        want_for(&store, key, Want::due(at(due))).await.unwrap();
    }
    claim(&store, 0, 1).await;
    let queue = async |target: &'static str| store.read(|db| db.queue_length(TENANT, target, at(10))).await.unwrap();
    assert_eq!(queue("pbx").await, 2);
    assert_eq!(queue("glance").await, 0);
}

#[tokio::test]
async fn all_accounts_in_a_state_move_to_another_and_a_worker_in_between_does_not_undo_it() {
    let store = store();
    let (ann, bob) = (add(&store, "ann").await.key, add(&store, "bob").await.key);
    want_for(&store, ann, Want::due(at(0))).await.unwrap();
    want_for(&store, bob, Want::due(at(0))).await.unwrap();
    let claimed = claim(&store, 0, 1).await.pop().unwrap();
    let hold = || store.write(|tx| tx.move_state(TENANT, "pbx", AccountState::Due, AccountState::Held, at(1)));
    assert_eq!(hold().await.unwrap(), 2);
    assert_eq!(hold().await.unwrap(), 0);
    let (resource, mine) = (claimed.resource, token(&claimed));
    let settled = Settlement::of(&claimed, AccountState::Settled, at(2));
    assert!(store.write(move |tx| tx.settle(resource, "pbx", mine, &settled)).await.unwrap());
    let row = store.read(|db| db.account(resource, "pbx")).await.unwrap().unwrap();
    assert_eq!((row.state, row.applied), (AccountState::Held, 1));
    let release = || store.write(|tx| tx.move_state(TENANT, "pbx", AccountState::Held, AccountState::Due, at(3)));
    assert_eq!(release().await.unwrap(), 2);
    assert_eq!(claim(&store, 3, 10).await.len(), 2);
}

/// The plan of a query must name the index: a table of millions is behind it.
#[tokio::test]
async fn the_worker_s_questions_are_answered_by_indexes() {
    let store = store();
    let plan_of = async |sql: &'static str| {
        let plan = store
            .read(|db| {
                let explained = format!("EXPLAIN QUERY PLAN {sql}");
                db.session().query(&explained, &parameters!["a", "b", "c", "d", "e", "f"], |row| row.text(3))
            })
            .await
            .unwrap();
        plan.join("; ")
    };
    let check = async |sql: &'static str, index: &str| {
        let plan = plan_of(sql).await;
        assert!(plan.contains(index), "{sql}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    };
    check(
        "SELECT resource FROM account WHERE tenant = ?1 AND target = ?2 AND state = 'due' AND urgent = ?3 \
         AND due_at <= ?4 AND (lease_token IS NULL OR lease_until <= ?4) ORDER BY due_at LIMIT ?5 + 0 * ?6",
        "account_due",
    )
    .await;
    check(
        "SELECT lease_until FROM account WHERE tenant = ?1 AND target = ?2 AND lease_token IS NOT NULL \
         ORDER BY lease_until LIMIT 1 + 0 * (?3 + ?4 + ?5 + ?6)",
        "account_leased",
    )
    .await;
    check(
        "SELECT resource FROM account WHERE state <> 'settled' AND state <> 'out_of_scope' AND state <> 'due' \
         AND state = ?3 AND tenant = ?1 AND target = ?2 \
         AND (resource > ?4 OR (resource = ?4 AND target > ?5)) ORDER BY resource, target LIMIT ?6",
        "account_unsettled",
    )
    .await;
    // What is due at a target is few among all, and must be put into this order.
    let due = "SELECT resource FROM account WHERE state = 'due' AND ?3 <> '' AND tenant = ?1 AND target = ?2 \
               AND (resource > ?4 OR (resource = ?4 AND target > ?5)) ORDER BY resource, target LIMIT ?6";
    let plan = plan_of(due).await;
    assert!(plan.contains("account_due"), "{plan}");
}
