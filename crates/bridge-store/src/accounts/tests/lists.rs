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
    let query = AccountQuery { tenant: Some("globex".into()), ..AccountQuery::default() };
    assert_eq!(store.scan(move |db| db.accounts_where(&query)).await.unwrap(), []);
}

#[tokio::test]
async fn accounts_are_counted_by_slices_and_gaps_between_them_are_passed_over() {
    let store = store();
    let mut keys = Vec::new();
    for number in 0..12 {
        let key = add(&store, &format!("user{number}")).await.key;
        keys.push(key);
        // Nobody has an account between the first three and the last three.
        if (3..9).contains(&number) {
            continue;
        }
        for (target, state) in [("glance", AccountState::Settled), ("pbx", AccountState::Due)] {
            let want = Want { state, ..Want::due(at(0)) };
            store.write(move |tx| tx.want(key, target, &want, at(0))).await.unwrap();
        }
    }
    let count =
        |target: &str, state, count| AccountCount { tenant: TENANT.into(), target: target.into(), state, count };
    let both = |number| vec![count("glance", AccountState::Settled, number), count("pbx", AccountState::Due, number)];
    let slice = async |after| store.scan(move |db| db.account_counts(after, 2)).await.unwrap();
    assert_eq!(slice(keys[0] - 1).await, (both(2), Some(keys[2] - 1)));
    assert_eq!(slice(keys[2] - 1).await, (both(1), Some(keys[9] - 1)));
    assert_eq!(slice(keys[9] - 1).await, (both(2), Some(keys[11] - 1)));
    assert_eq!(slice(keys[11] - 1).await, (both(1), None));
    assert_eq!(slice(i64::MAX).await, (Vec::new(), None));
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
async fn what_is_due_is_taken_from_the_queue_slice_by_slice_and_a_worker_in_between_does_not_undo_it() {
    let store = store();
    let mut keys = Vec::new();
    for (name, due, urgent) in [("ann", 0, false), ("bob", 900, false), ("eve", 5, true)] {
        let key = add(&store, name).await.key;
        want_for(&store, key, Want { urgent, ..Want::due(at(due)) }).await.unwrap();
        keys.push(key);
    }
    let claimed = claim(&store, 0, 1).await.pop().unwrap();
    let hold = async || {
        let hold = |tx: &mut Tx<'_>| {
            let rows = tx.queued(TENANT, "pbx", 2)?;
            for row in &rows {
                tx.want_row(row, &Want { state: AccountState::Held, urgent: row.urgent, ..Want::due(at(1)) }, at(1))?;
            }
            Ok::<_, StoreError>(rows.iter().map(|row| row.resource).collect::<Vec<_>>())
        };
        store.write(hold).await.unwrap()
    };
    assert_eq!(hold().await, [keys[0], keys[1]], "leased, and due later");
    assert_eq!(hold().await, [keys[2]]);
    assert_eq!(hold().await, Vec::<i64>::new());
    let (resource, mine) = (claimed.resource, token(&claimed));
    let settled = Settlement::of(&claimed, AccountState::Settled, at(2));
    assert!(store.write(move |tx| tx.settle(resource, "pbx", mine, &settled)).await.unwrap());
    let row = store.read(|db| db.account(resource, "pbx")).await.unwrap().unwrap();
    assert_eq!((row.state, row.applied), (AccountState::Held, 1));
}

/// The plan of a query must name the index: a table of millions is behind it.
#[tokio::test]
async fn the_worker_s_questions_are_answered_by_indexes() {
    let store = store();
    let plan_of = async |sql: &str| {
        let plan = store
            .read(|db| {
                let explained = format!("EXPLAIN QUERY PLAN {sql}");
                let count = (1..=6).filter(|number| sql.contains(&format!("?{number}"))).count();
                db.session().query(&explained, &parameters!["a", "b", "c", "d", "e", "f"][..count], |row| row.text(3))
            })
            .await
            .unwrap();
        plan.join("; ")
    };
    let check = async |sql: &str, index: &str| {
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
    check(QUEUED, "account_due (tenant=? AND target=?)").await;
    check(PARKED_FOR, "account_parked_for (tenant=? AND target=? AND resource>?)").await;
    // Each page begins where the one before it ended.
    let held = AccountQuery { state: Some(AccountState::Held), ..AccountQuery::default() };
    check(&where_sql(&held), "account_unsettled (state=? AND (resource,target)>(?,?))").await;
    check(&where_sql(&AccountQuery::default()), "PRIMARY KEY ((resource,target)>(?,?))").await;
    // What is due at a target is few among all, as a rule, and must be put into this order.
    let due = AccountQuery {
        state: Some(AccountState::Due),
        tenant: Some(TENANT.into()),
        target: Some("pbx".into()),
        ..AccountQuery::default()
    };
    let plan = plan_of(&where_sql(&due)).await;
    assert!(plan.contains("account_due"), "{plan}");
}
