//! Databases that an earlier version has made are brought up to date without losing what they say.

use rusqlite::{Connection, params};

use super::embedded;
use crate::testing::{TENANT, at};
use crate::{BrakeLimit, Braked, Options, Store};

/// The tables as a version had them that knew so many migrations.
fn made_at(path: &std::path::Path, version: i32) -> Connection {
    let mut connection = Connection::open(path).unwrap();
    let target = refinery::Target::Version(version);
    embedded::migrations::runner().set_target(target).run(&mut connection).unwrap();
    connection
}

/// An account of the target `pbx`, and what the brake has said of it after so many seconds.
fn braked(connection: &Connection, resource: i64, state: Option<&str>, mark: &str, second: i64) {
    let now = at(second).as_millisecond();
    if let Some(state) = state {
        let account = "INSERT INTO account (resource, target, tenant, wanted, applied, state, urgent, attempts, due_at, \
                       claims, doubt, secret_pending, updated) VALUES (?1, 'pbx', ?2, 1, 0, ?3, 1, 0, ?4, 0, 'none', 0, ?4)";
        connection.execute(account, params![resource, TENANT, state, now]).unwrap();
    }
    let brake = "INSERT INTO brake (resource, target, tenant, state, at) VALUES (?1, 'pbx', ?2, ?3, ?4)";
    connection.execute(brake, params![resource, TENANT, mark, now]).unwrap();
}

async fn ask(store: &Store, resource: i64, count: u64, since: i64, now: i64) -> Braked {
    let limit = BrakeLimit { count: Some(count), share: None, since: at(since) };
    store.write(move |tx| tx.brake(TENANT, "pbx", resource, &limit, at(now))).await.unwrap()
}

/// The brake of version 3 did not tell who was let through from who is gone. Version 4 takes for gone whose account has come
/// to rest or is no more; everybody else may be tried again.
#[tokio::test]
async fn whom_the_brake_of_version_3_let_through_is_told_apart_by_whether_the_account_has_ended() {
    const GONE: [i64; 3] = [1, 2, 3];
    const ON_THE_WAY: [i64; 4] = [11, 12, 13, 14];
    const HELD: i64 = 21;
    const LET_GO: i64 = 22;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bridge.db");
    let connection = made_at(&path, 3);
    for (resource, state) in GONE.into_iter().zip([Some("settled"), Some("task"), None]) {
        braked(&connection, resource, state, "passed", 10);
    }
    for (resource, state) in ON_THE_WAY.into_iter().zip(["due", "waiting", "parked", "held"]) {
        braked(&connection, resource, Some(state), "passed", 10);
    }
    braked(&connection, HELD, Some("held"), "held", 10);
    braked(&connection, LET_GO, Some("due"), "released", 10);
    drop(connection);

    let store = Store::open(&Options::serve(&path)).unwrap();
    // Within the window all seven that were let through count, gone or not.
    assert_eq!(ask(&store, 31, 7, 0, 20).await, Braked::Now);
    assert_eq!(ask(&store, 32, 8, 0, 20).await, Braked::No);
    // When it is over, who is on the way is still let through, and counts no more; who is gone counts anew.
    assert_eq!(ask(&store, 33, 1, 1_000, 1_010).await, Braked::No);
    for resource in ON_THE_WAY {
        assert_eq!(ask(&store, resource, 1, 1_000, 1_020).await, Braked::No, "{resource} was let through");
    }
    for resource in GONE {
        assert_eq!(ask(&store, resource, 1, 1_000, 1_030).await, Braked::Now, "{resource} was gone, and ends again");
    }
    assert_eq!(ask(&store, HELD, 1, 1_000, 1_040).await, Braked::Still, "nobody has let it go");
    assert_eq!(ask(&store, LET_GO, 1, 1_000, 1_050).await, Braked::No, "a person has");
}

/// A condition of an index that is a list of words makes one (version 5).
#[test]
fn no_change_of_an_account_makes_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let newest =
        embedded::migrations::runner().get_migrations().iter().map(refinery::Migration::version).max().unwrap();
    let connection = made_at(&folder.path().join("bridge.db"), newest);
    for sql in [
        "INSERT INTO account (resource, target, tenant, wanted, applied, state, urgent, attempts, due_at, claims, doubt, \
         secret_pending, updated) VALUES (1, 'pbx', 'acme', 1, 0, 'due', 0, 0, 0, 0, 'none', 0, 0)",
        "UPDATE account SET state = 'settled', urgent = 0, due_at = 0, lease_until = 1 WHERE resource = 1 AND target = 'pbx'",
    ] {
        let mut steps = connection.prepare(&format!("EXPLAIN {sql}")).unwrap();
        let steps: Vec<String> = steps.query_map([], |row| row.get(1)).unwrap().map(Result::unwrap).collect();
        assert!(steps.iter().any(|step| step == "IdxInsert"), "{sql}: {steps:?}");
        assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{sql}: {steps:?}");
    }
}
