//! Wanted, claimed, settled: the life of an account that is also its delivery.

mod belonging;
mod lists;

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
    assert_eq!(first.lease.map(|lease| lease.until), Some(at(60)));
    assert_eq!(desk.row().await, first);
    assert_eq!(desk.claim(59).await, None);
    let second = desk.claim(60).await.unwrap();
    assert_ne!(token(&second), token(&first));
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
