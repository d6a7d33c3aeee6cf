//! The bench runs, stops by itself and says what it found; how fast is not judged here.

use std::process::Command;

use serde_json::Value;

#[test]
fn the_bench_measures_every_kind_of_work() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Command::new(env!("CARGO_BIN_EXE_bench"))
        .env("BENCH_USERS", "30,200")
        .env("BENCH_SECONDS", "0.1")
        .env("BENCH_SENT", "5")
        .env("BENCH_FOLDER", folder.path())
        .output()
        .unwrap();
    let (printed, complaint) = (String::from_utf8_lossy(&bench.stdout), String::from_utf8_lossy(&bench.stderr));
    assert!(bench.status.success(), "{complaint}");
    let rows: Vec<Value> = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let works = [
        "static",
        "GET",
        "filter",
        "list",
        "one member more",
        "SQLite alone",
        "POST",
        "PATCH",
        "start",
        "memory",
        "map",
    ];
    for users in [30, 200] {
        for work in works {
            let is_it = |row: &&Value| row["users"] == users && row["work"].as_str().unwrap().starts_with(work);
            let row = rows.iter().find(is_it).unwrap_or_else(|| panic!("no {work} at {users} users: {printed}"));
            let has_result = row["per_second"].as_f64().is_some_and(|rate| rate > 0.0) || row["found"].is_string();
            assert!(has_result, "{row}");
        }
    }
    let sent = rows.iter().find(|row| row["users"] == 5).unwrap_or_else(|| panic!("no run of users: {printed}"));
    assert!(sent["found"].as_str().unwrap().contains("% of the ideal"), "{sent}");
    assert_eq!(printed.lines().filter(|line| line.starts_with('|')).count(), rows.len() + 2, "{printed}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}
