//! Many accounts at once, and the indexes that answer for them.

use super::*;

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
