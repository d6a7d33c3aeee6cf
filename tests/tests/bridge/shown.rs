//! What a person is shown of one account, of the requests, and of a configuration that does not fit what is there.

use bridge_simulators::Fault;
use bridge_tests::Bridge;
use bridge_tests::samples::okta_user;
use serde_json::{Value, json};

use crate::commands::{columns, run, with_user};

#[tokio::test]
async fn requests_are_found_by_what_came_of_them_by_user_and_by_time() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    with_user(&bridge, "bob").await;
    let name = |user: &str| okta_user(user)["userName"].as_str().unwrap().to_owned();
    bridge.post("/Users", okta_user("ann")).await.has_status(409);
    let listed = async |arguments: &str| {
        let listed = run(&bridge, format!("request list --json {arguments}").trim_end()).await.document();
        columns(&listed["requests"], &["status", "userName"])
    };
    let (created, refused) = (json!([201, name("ann")]), json!([409, name("ann")]));
    assert_eq!(listed("").await, [refused.clone(), json!([201, name("bob")]), created.clone()]);
    assert_eq!(listed("--failed").await, [refused.clone()]);
    assert_eq!(listed(&format!("--user {}", name("ann"))).await, [refused.clone(), created.clone()]);
    assert_eq!(listed(&format!("--user {id}")).await, [created.clone()], "what was refused is nobody's");
    assert_eq!(listed(&format!("--user {id} --failed")).await, [] as [Value; 0]);
    run(&bridge, "request list --user nobody@acme.example").await.complains(&["there is no such user"]);
    assert_eq!(listed("--since 1h --limit 1").await, [refused.clone()]);
    assert_eq!(listed("--until 1h").await, [] as [Value; 0]);
    assert_eq!(listed("--since 2020-01-01T00:00:00Z --until 2999-01-01T00:00:00Z --failed").await, [refused]);
    let table = run(&bridge, "request list").await.done();
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["received", "id", "connection", "method", "path", "status", "userName", "outcome"]);
    run(&bridge, "request list --since soon").await.complains(&["\"soon\"", "2h"]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_link_to_an_account_that_the_target_does_not_have_is_refused() {
    let bridge = Bridge::start().await;
    let id = with_user(&bridge, "ann").await;
    let before = bridge.accounts(&id).await;
    for target in ["crm", "pbx", "glance"] {
        let wrong = format!("link set {id} {target} --remote-id 98989");
        run(&bridge, &wrong).await.complains(&["there is no such account at the target"]);
    }
    assert_eq!(bridge.accounts(&id).await, before, "nothing has changed");
    // A target that does not answer says nothing about it.
    bridge.crm().fail_next(1, Fault::Status(503, None), Some("users/show"));
    let unknown = run(&bridge, &format!("link set {id} crm --remote-id 98989")).await.done();
    assert!(unknown.contains("the target was not asked"), "{unknown}");
    bridge.stop().await;
}
