//! What comes from outside besides the identity provider's own wishes: proxies of the company network, letters that move a
//! cursor, strangers who fill a disk.

use std::io::{Read as _, Write as _};

use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup};
use serde_json::json;

use super::commands::{Said, run, run_in};

/// Nobody answers there.
const PROXY: &str = "http://127.0.0.1:1";

#[tokio::test]
async fn what_stays_on_this_machine_passes_no_proxy() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let environment = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, PROXY));
    let listed = run_in(&bridge, "account list --json", &environment).await.document();
    assert_eq!(listed["accounts"], json!([]));
    let checked = run_in(&bridge, "check --online --json", &environment).await.document();
    assert_eq!(checked["ok"], true, "{checked:#}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_name_writes_nothing_but_itself_on_the_screen_of_an_administrator() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let mut user = okta_user("eve");
    user["userName"] = json!("eve\u{1b}[2K\racme\n  root\u{202e}@acme.example");
    bridge.post("/Users", user).await.has_status(201);
    let table = run(&bridge, "account list").await.done();
    let shown = table.lines().find(|line| line.contains("eve")).unwrap();
    assert!(shown.contains(r"eve\u{1b}[2K\racme\n  root\u{202e}@acme.example"), "{table:?}");
    assert!(!table.replace('\n', "").contains(|letter: char| letter.is_control() || letter == '\u{202e}'), "{table:?}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_stranger_leaves_no_more_in_the_journal_than_a_person_reads() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let address = format!("{}/Users/{}", bridge.scim_url(), "A".repeat(30_000));
    Answer::of(reqwest::Client::new().get(address)).await.has_status(401);
    let noted = loop {
        let listed = run(&bridge, "request list --json").await.document();
        if let Some(noted) = listed["requests"].as_array().and_then(|requests| requests.first()) {
            break noted["path"].as_str().unwrap().to_owned();
        }
    };
    assert!(noted.starts_with("/scim/v2/Users/AAA") && noted.chars().count() <= 200, "{noted}");
    bridge.stop().await;
}

#[test]
fn a_backup_that_nobody_finds_is_none() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    // It writes in a folder that only it sees.
    let elsewhere = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut request = [0; 4096];
        let mut read = 0;
        while !request[..read].ends_with(b"}") {
            read += stream.read(&mut request[read..]).unwrap();
        }
        let answer = r#"{"done":true}"#;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
    });
    let copy = std::env::temp_dir().join("scim-bridge-no-such-folder/copy.db");
    let command = ["store", "backup", copy.to_str().unwrap(), "--admin-url", &format!("http://{address}")];
    Said::by(&command).complains(&["copy.db", "no such file here", "PrivateTmp"]);
    elsewhere.join().unwrap();
}

#[test]
fn a_database_without_its_folder_is_told_to_have_one() {
    let folder = tempfile::tempdir().unwrap();
    let (file, database) = (folder.path().join("bridge.toml"), folder.path().join("there/bridge.db"));
    std::fs::write(&file, format!("[store]\nurl = \"sqlite:{}\"\n[tenants.acme]\n", database.display())).unwrap();
    let command = ["token", "new", "--label", "okta", "--config", file.to_str().unwrap()];
    Said::by(&command).complains(&["there is no folder for", "there/bridge.db", "make it"]);
}

#[tokio::test]
async fn tokens_of_a_tenant_that_is_not_there_are_not_listed_as_none() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    run(&bridge, "token list --tenant nope").await.complains(&["there is no tenant \"nope\"", "there are default"]);
    bridge.stop().await;
}
