//! Which account is whose: keys, secrets, hand-over and links.

use super::*;

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
async fn who_works_on_an_account_that_is_dropped_cannot_settle_the_one_that_is_made_after_it() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let dropped = desk.claim(0).await.unwrap();
    let resource = desk.resource;
    assert!(desk.store.write(move |tx| tx.drop_account(resource, "pbx")).await.unwrap());
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    assert!(!desk.settle(token(&dropped), Settlement::of(&dropped, AccountState::Settled, at(1))).await.unwrap());
    assert_eq!(desk.row().await, claimed, "nothing was written");
    assert!(desk.settle(token(&claimed), Settlement::of(&claimed, AccountState::Settled, at(1))).await.unwrap());
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
    let handed = desk.store.write(move |tx| tx.hand_over(from, to, "pbx", None, at(9))).await.unwrap();
    assert!(handed);
    let old = desk.row().await;
    assert_eq!((old.state, old.remote_id, old.natural_key), (AccountState::HandedOver, None, None));
    let new = desk.store.read(|db| db.account(to, "pbx")).await.unwrap().unwrap();
    assert_eq!((new.remote_id.as_deref(), new.natural_key.as_deref()), (Some("r1"), Some("1001")));
    assert_eq!((new.state, new.doubt, new.due_at, new.digest), (AccountState::Due, Doubt::Read, at(9), None));
    assert_eq!(new.kept, Some(json!({ "policy": "x" })));
    assert_eq!(desk.want_due(10).await.state, AccountState::HandedOver, "nothing wakes the old one");
    let again = desk.store.write(move |tx| tx.hand_over(from, to, "pbx", None, at(11))).await.unwrap();
    assert!(!again);
}

#[tokio::test]
async fn nothing_is_handed_over_to_whoever_has_or_may_have_an_account_of_their_own() {
    for own in ["known", "lost", "being made"] {
        let desk = Desk::new().await;
        desk.want(with_key("1001"), 0).await.unwrap();
        let claimed = desk.claim(0).await.unwrap();
        let settled =
            Settlement { remote_id: Some("r1".into()), ..Settlement::of(&claimed, AccountState::Settled, at(1)) };
        desk.settle(token(&claimed), settled).await.unwrap();
        let (from, to) = (desk.resource, add(&desk.store, "ann2").await.key);
        want_for(&desk.store, to, with_key("1002")).await.unwrap();
        let mine = claim(&desk.store, 2, 1).await.pop().unwrap();
        let (remote_id, doubt) = if own == "known" { (Some("r2".into()), Doubt::None) } else { (None, Doubt::Create) };
        if own != "being made" {
            let settled = Settlement { remote_id, doubt, ..Settlement::of(&mine, AccountState::Parked, at(3)) };
            let lease = token(&mine);
            desk.store.write(move |tx| tx.settle(to, "pbx", lease, &settled)).await.unwrap();
        }
        let row = || desk.store.read(move |db| db.account(to, "pbx"));
        let before = (desk.row().await, row().await.unwrap());
        assert!(!desk.store.write(move |tx| tx.hand_over(from, to, "pbx", None, at(9))).await.unwrap(), "{own}");
        assert_eq!((desk.row().await, row().await.unwrap()), before, "{own}");
    }
}

#[tokio::test]
async fn a_worker_loses_the_account_that_is_handed_over_and_the_new_one_waits_for_its_lease() {
    let desk = Desk::new().await;
    desk.want_due(0).await;
    let claimed = desk.claim(0).await.unwrap();
    let (from, to) = (desk.resource, add(&desk.store, "ann2").await.key);
    desk.store.write(move |tx| tx.hand_over(from, to, "pbx", None, at(9))).await.unwrap();
    assert!(!desk.settle(token(&claimed), Settlement::of(&claimed, AccountState::Settled, at(10))).await.unwrap());
    assert_eq!(desk.claim(59).await, None);
    let taken = desk.claim(60).await.unwrap();
    assert_eq!((taken.resource, taken.doubt), (to, Doubt::Create), "it may have been made meanwhile");
    assert_eq!(taken.last_write_at, Some(at(60)));
}

#[tokio::test]
async fn secrets_are_handed_over_as_they_were_sealed_anew() {
    for sealed in [None, Some(&b"sealed for the second"[..])] {
        let desk = Desk::new().await;
        let secret = Some(b"sealed for the first".to_vec());
        desk.want(Want { secret, ..Want::due(at(0)) }, 0).await.unwrap();
        let (from, to) = (desk.resource, add(&desk.store, "ann2").await.key);
        desk.store.write(move |tx| tx.hand_over(from, to, "pbx", sealed, at(9))).await.unwrap();
        let new = desk.store.read(|db| db.account(to, "pbx")).await.unwrap().unwrap();
        assert_eq!((new.secret.as_deref(), new.secret_pending), (sealed, false));
        assert_eq!(desk.row().await.secret, None);
    }
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
