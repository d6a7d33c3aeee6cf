//! Many writes in one request (RFC 7644 section 3.7).

use bridge_simulators::Fault;
use bridge_store::{Account, AccountState, RequestQuery};
use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup};
use serde_json::{Value, json};

use crate::{bridge, is_refused, names, with_users};

const REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const ENTERPRISE_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

async fn bulk(bridge: &Bridge, operations: Value) -> Answer {
    bridge.post("/Bulk", json!({"schemas": [REQUEST_URN], "Operations": operations})).await
}

fn create(name: &str) -> Value {
    json!({"method": "POST", "path": "/Users", "bulkId": name, "data": okta_user(name)})
}

/// A create of a user whose manager is another one.
fn managed(name: &str, manager: &str) -> Value {
    let mut operation = create(name);
    operation["data"][ENTERPRISE_URN] =
        json!({"department": "Support", "manager": {"value": format!("bulkId:{manager}")}});
    operation
}

fn group(name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|member| json!({"value": format!("bulkId:{member}")})).collect();
    let data =
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members});
    json!({"method": "POST", "path": "/Groups", "bulkId": name, "data": data})
}

fn results(answer: &Answer) -> &[Value] {
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    answer.body["Operations"].as_array().unwrap()
}

fn statuses(answer: &Answer) -> Vec<&str> {
    results(answer).iter().map(|result| result["status"].as_str().unwrap()).collect()
}

fn id_of(result: &Value) -> &str {
    result["location"].as_str().unwrap().rsplit('/').next().unwrap()
}

#[tokio::test]
async fn every_method_works_as_it_does_alone() {
    let bridge = with_users(&["ann", "bob", "cleo"]).await;
    let ids: Vec<String> = (bridge.get("/Users").await.body["Resources"].as_array().unwrap().iter())
        .map(|user| user["id"].as_str().unwrap().to_owned())
        .collect();
    let mut bob = okta_user("bob");
    bob["title"] = json!("Head");
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "Lead"}]});
    let answer = bulk(
        &bridge,
        json!([
            create("dora"),
            {"method": "PATCH", "path": format!("/Users/{}", ids[0]), "data": patch},
            {"method": "put", "path": format!("Users/{}", ids[1]), "data": bob, "version": "W/\"1\""},
            {"method": "DELETE", "path": format!("{}/Users/{}", bridge.scim_url(), ids[2])},
        ]),
    )
    .await;
    assert_eq!(statuses(&answer), ["201", "200", "200", "204"]);
    let results = results(&answer);
    assert_eq!(results[0]["bulkId"], "dora");
    assert_eq!((&results[0]["method"], &results[2]["method"]), (&json!("POST"), &json!("PUT")));
    assert_eq!((&results[0]["version"], &results[1]["version"]), (&json!("W/\"1\""), &json!("W/\"2\"")));
    assert!(results[3].get("version").is_none());
    assert!(results.iter().all(|result| result.get("response").is_none()));
    for (result, id) in results.iter().zip([id_of(&results[0]), &ids[0], &ids[1], &ids[2]]) {
        assert_eq!(result["location"], format!("{}/Users/{id}", bridge.scim_url()));
    }
    let list = bridge.get("/Users").await;
    assert_eq!(names(&list), ["ann", "bob", "dora"]);
    assert_eq!(
        (&list.body["Resources"][0]["title"], &list.body["Resources"][1]["title"]),
        (&json!("Lead"), &json!("Head"))
    );
}

#[tokio::test]
async fn an_operation_that_fails_fails_alone_and_says_why() {
    let bridge = with_users(&["ann"]).await;
    let id = bridge.get("/Users").await.body["Resources"][0]["id"].as_str().unwrap().to_owned();
    let answer = bulk(&bridge, json!([
        create("ann"),
        {"method": "POST", "path": "/Users", "bulkId": "x", "data": {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]}},
        {"method": "PATCH", "path": "/Users/nobody", "data": {"Operations": [{"op": "remove", "path": "title"}]}},
        {"method": "DELETE", "path": format!("/Users/{id}"), "version": "W/\"7\""},
        {"method": "GET", "path": "/Users"},
        {"method": "DELETE", "path": "/Users"},
        {"method": "POST", "path": format!("/Users/{id}")},
        {"method": "POST", "path": "/Nothing", "data": {}},
        {"method": "POST", "path": "/Users/1/2"},
        {"method": "POST", "path": "/Bulk", "data": {}},
        {"method": "POST"},
        {"path": "/Users"},
        {"method": 7, "path": "/Users"},
        "POST",
        {"method": "POST", "path": "/Users"},
        create("bob"),
    ]))
    .await;
    assert_eq!(
        statuses(&answer),
        [
            "409", "400", "404", "412", "405", "405", "405", "404", "404", "404", "400", "400", "400", "400", "400",
            "201"
        ]
    );
    let results = results(&answer);
    for (number, result) in results[..15].iter().enumerate() {
        let response = &result["response"];
        assert_eq!(response["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{number}");
        assert_eq!(response["status"], result["status"], "{number}");
        assert!(!response["detail"].as_str().unwrap().is_empty(), "{number}");
        assert!(result.get("version").is_none(), "{number}");
    }
    assert_eq!((&results[0]["response"]["scimType"], &results[0]["bulkId"]), (&json!("uniqueness"), &json!("ann")));
    assert!(results[0].get("location").is_none(), "a create that failed has no address");
    assert_eq!(results[3]["location"], format!("{}/Users/{id}", bridge.scim_url()));
    assert_eq!(names(&bridge.get("/Users").await), ["ann", "bob"]);
}

#[tokio::test]
async fn references_work_in_any_order() {
    let bridge = bridge().await;
    let answer = bulk(&bridge, json!([
        group("Staff", &["bob", "ann"]),
        managed("ann", "bob"),
        {"method": "PATCH", "path": "/Users/bulkId:bob", "data": {"Operations": [{"op": "add", "path": "title", "value": "Head"}]}},
        create("bob"),
        {"method": "PATCH", "path": "/Groups/bulkId:Staff",
         "data": {"Operations": [{"op": "remove", "path": "members[value eq \"bulkId:bob\"]"}]}},
        {"method": "DELETE", "path": "/Users/bulkId:cleo"},
        create("cleo"),
    ]))
    .await;
    assert_eq!(statuses(&answer), ["201", "201", "200", "201", "200", "204", "201"]);
    let results = results(&answer);
    let (staff, ann, bob) = (id_of(&results[0]), id_of(&results[1]), id_of(&results[3]));
    assert_eq!(results[2]["location"], results[3]["location"]);
    let user = bridge.get(&format!("/Users/{ann}")).await.has_status(200).body;
    assert_eq!(user[ENTERPRISE_URN]["manager"]["value"], bob);
    assert_eq!(user["groups"][0]["value"], staff);
    assert_eq!(bridge.get(&format!("/Users/{bob}")).await.body["title"], "Head");
    let members = bridge.get(&format!("/Groups/{staff}")).await.body["members"].clone();
    assert_eq!((members.as_array().unwrap().len(), &members[0]["value"]), (1, &json!(ann)));
    assert_eq!(names(&bridge.get("/Users").await), ["bob", "ann"]);
}

#[tokio::test]
async fn resources_may_refer_to_each_other() {
    let bridge = bridge().await;
    let answer = bulk(
        &bridge,
        json!([
            managed("ann", "bob"),
            managed("bob", "ann"),
            group("Inner", &["Outer", "ann"]),
            group("Outer", &["Inner", "bob"]),
            managed("eve", "eve"),
        ]),
    )
    .await;
    assert_eq!(statuses(&answer), ["201", "201", "201", "201", "201"]);
    let results = results(&answer);
    let ids: Vec<&str> = results.iter().map(id_of).collect();
    for (one, other) in [(0, 1), (1, 0), (4, 4)] {
        let user = bridge.get(&format!("/Users/{}", ids[one])).await;
        assert_eq!(user.body[ENTERPRISE_URN]["manager"]["value"], ids[other], "{:#}", user.body);
        assert_eq!(user.body[ENTERPRISE_URN]["department"], "Support");
        // What the groups add to the version of a user is not written here.
        let version = results[one]["version"].as_str().unwrap().trim_end_matches('"').to_owned();
        assert!(user.header("etag").starts_with(&version), "the version is that of the whole resource: {version}");
    }
    for (one, others) in [(2, [3, 0]), (3, [2, 1])] {
        let group = bridge.get(&format!("/Groups/{}", ids[one])).await.body;
        let mut members: Vec<&str> =
            group["members"].as_array().unwrap().iter().map(|one| one["value"].as_str().unwrap()).collect();
        let mut expected = others.map(|other| ids[other]);
        members.sort_unstable();
        expected.sort_unstable();
        assert_eq!(members, expected);
    }
}

#[tokio::test]
async fn who_refers_to_what_failed_or_is_not_there_fails_too() {
    let bridge = with_users(&["ann"]).await;
    let answer = bulk(
        &bridge,
        json!([
            managed("bob", "ann"),
            create("ann"),
            managed("cleo", "nobody"),
            {"method": "DELETE", "path": "/Users/bulkId:nobody"},
            {"method": "DELETE", "path": "/Users/bulkId:ann"},
            create("dora"),
            create("dora"),
        ]),
    )
    .await;
    assert_eq!(statuses(&answer), ["409", "409", "400", "400", "409", "201", "400"]);
    assert!(results(&answer)[0]["response"]["detail"].as_str().unwrap().contains("bulkId:ann"));
    assert!(results(&answer)[2]["response"]["detail"].as_str().unwrap().contains("nobody"));
    assert_eq!(names(&bridge.get("/Users").await), ["ann", "dora"]);
}

#[tokio::test]
async fn what_follows_a_circular_reference_stays_done() {
    let bridge = with_users(&["boss"]).await;
    let boss = bridge.get("/Users").await.body["Resources"][0]["id"].as_str().unwrap().to_owned();
    let with_boss = |name: &str, other: &str| {
        let mut group = group(name, &[other]);
        group["data"]["members"].as_array_mut().unwrap().push(json!({"value": boss}));
        group
    };
    let patch =
        |path: &str, operation: Value| json!({"method": "PATCH", "path": path, "data": {"Operations": [operation]}});
    let put =
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Alone", "members": []});
    let mut ann = managed("ann", "bob");
    ann["data"][ENTERPRISE_URN]["department"] = json!("Old");
    // Whichever of two is created first, and whoever refers to itself.
    let answer = bulk(&bridge, json!([
        patch("/Groups/bulkId:Inner", json!({"op": "remove", "path": format!("members[value eq \"{boss}\"]")})),
        with_boss("Outer", "Inner"),
        with_boss("Inner", "Outer"),
        patch("/Groups/bulkId:Outer", json!({"op": "remove", "path": format!("members[value eq \"{boss}\"]")})),
        with_boss("Self", "Self"),
        patch("/Groups/bulkId:Self", json!({"op": "replace", "path": "members", "value": []})),
        with_boss("Alone", "Self"),
        {"method": "PUT", "path": "/Groups/bulkId:Alone", "data": put},
        ann,
        managed("bob", "ann"),
        patch("/Users/bulkId:ann", json!({"op": "replace", "path": format!("{ENTERPRISE_URN}:department"), "value": "New"})),
        patch("/Users/bulkId:bob", json!({"op": "remove", "path": format!("{ENTERPRISE_URN}:manager")})),
        managed("cleo", "cleo"),
        {"method": "DELETE", "path": "/Users/bulkId:cleo"},
    ]))
    .await;
    let expected = ["200", "201", "201", "200", "201", "200", "201", "200", "201", "201", "200", "200", "201", "204"];
    assert_eq!(statuses(&answer), expected, "{:#}", answer.body);
    let results = results(&answer);
    let read = async |number: usize| {
        let location = results[number]["location"].as_str().unwrap();
        bridge.get(location.strip_prefix(&bridge.scim_url()).unwrap()).await
    };
    let members = async |number: usize| {
        let group = read(number).await.has_status(200).body["members"].clone();
        group.as_array().into_iter().flatten().map(|one| one["value"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(members(1).await, [id_of(&results[2])]);
    assert_eq!(members(2).await, [id_of(&results[1])]);
    assert_eq!((members(4).await, members(6).await), (vec![], vec![]));
    let (ann, bob) = (read(8).await.body, read(9).await.body);
    assert_eq!(ann[ENTERPRISE_URN]["department"], "New");
    assert_eq!(
        (&ann[ENTERPRISE_URN]["manager"]["value"], &bob[ENTERPRISE_URN]["manager"]),
        (&json!(id_of(&results[9])), &Value::Null)
    );
    read(12).await.has_status(404);
    // The version that a change reports is the one that is there.
    for (created, changed) in [(2, 0), (1, 3), (4, 5), (8, 10), (9, 11)] {
        assert!(results[changed].get("response").is_none() && results[created].get("response").is_none());
        let version = results[changed]["version"].as_str().unwrap().trim_end_matches('"').to_owned();
        assert!(read(created).await.header("etag").starts_with(&version), "{version}");
    }
}

#[tokio::test]
async fn who_refers_to_a_failure_that_refers_back_is_created_without_it_in_any_order() {
    let bridge = with_users(&["ann"]).await;
    let mut inner = group("Inner", &["Outer", "dora"]);
    inner["data"]["displayName"] = json!("");
    let operations =
        [managed("ann", "bob"), managed("bob", "ann"), inner, group("Outer", &["Inner", "dora"]), create("dora")];
    let clean = |results: &[Value]| -> Vec<(String, String)> {
        let text = |result: &Value, name: &str| result[name].as_str().unwrap().to_owned();
        let mut clean: Vec<_> = results.iter().map(|one| (text(one, "bulkId"), text(one, "status"))).collect();
        clean.sort_unstable();
        clean
    };
    let expected = [("Inner", "400"), ("Outer", "201"), ("ann", "409"), ("bob", "201"), ("dora", "201")];
    let expected = expected.map(|(name, status)| (name.to_owned(), status.to_owned()));
    for is_reversed in [false, true] {
        let mut sent = operations.to_vec();
        if is_reversed {
            sent.reverse();
        }
        let answer = bulk(&bridge, Value::from(sent)).await;
        let results = results(&answer);
        assert_eq!(clean(results), expected, "{:#}", answer.body);
        let result = |name: &str| results.iter().find(|result| result["bulkId"] == name).unwrap();
        assert!(result("ann").get("location").is_none() && result("Inner").get("location").is_none());
        let (bob, outer) = (result("bob"), result("Outer"));
        // The answer says what they are: without her, and without it.
        assert_eq!(bob["response"][ENTERPRISE_URN], json!({"department": "Support"}));
        let members = outer["response"]["members"].as_array().unwrap();
        assert_eq!((members.len(), &members[0]["value"]), (1, &json!(id_of(result("dora")))));
        for (kind, created) in [("Users", bob), ("Groups", outer)] {
            let read = bridge.get(&format!("/{kind}/{}", id_of(created))).await.has_status(200);
            assert_eq!(read.body["id"], created["response"]["id"]);
            assert!(read.header("etag").starts_with(created["version"].as_str().unwrap().trim_end_matches('"')));
            bridge.delete(&format!("/{kind}/{}", id_of(created))).await.has_status(204);
        }
        bridge.delete(&format!("/Users/{}", id_of(result("dora")))).await.has_status(204);
    }
}

#[tokio::test]
async fn resources_may_refer_to_each_other_on_a_strict_connection() {
    let more = "[tenants.default.connections.test]\nprofile = \"strict\"".to_owned();
    let bridge = Bridge::with(Setup { more, ..Setup::default().wait("0s") }).await;
    let answer = bulk(&bridge, json!([group("Outer", &["Inner"]), group("Inner", &["Outer"])])).await;
    assert_eq!(statuses(&answer), ["201", "201"], "{:#}", answer.body);
    let results = results(&answer);
    for (one, other) in [(0, 1), (1, 0)] {
        let group = bridge.get(&format!("/Groups/{}", id_of(&results[one]))).await.body;
        assert_eq!(group["members"][0]["value"], id_of(&results[other]));
    }
}

#[tokio::test]
async fn what_is_left_undone_after_too_many_errors_is_left_out_of_what_was_created() {
    let bridge = with_users(&["ann"]).await;
    let operations = json!([managed("ann", "bob"), managed("bob", "ann"), create("cleo")]);
    let body = json!({"schemas": [REQUEST_URN], "failOnErrors": 1, "Operations": operations});
    let answer = bridge.post("/Bulk", body).await;
    assert_eq!(statuses(&answer), ["409", "201"]);
    assert_eq!(results(&answer)[1]["response"][ENTERPRISE_URN], json!({"department": "Support"}));
    let operations =
        json!([group("Outer", &["Inner", "ann", "dora"]), group("Inner", &["Outer"]), create("ann"), create("dora")]);
    let body = json!({"schemas": [REQUEST_URN], "failOnErrors": 1, "Operations": operations});
    let answer = bridge.post("/Bulk", body).await;
    // The first group is created last, when there is nothing more to be done; the other one stays without it.
    assert_eq!(statuses(&answer), ["201", "409"], "{:#}", answer.body);
    assert_eq!(results(&answer)[0]["response"].get("members"), None);
}

#[tokio::test]
async fn after_so_many_errors_nothing_more_is_done() {
    let bridge = with_users(&["ann"]).await;
    let operations = json!([create("ann"), create("bob"), create("ann"), create("cleo")]);
    let send = async |limit: Value, operations: &Value| {
        bridge.post("/Bulk", json!({"schemas": [REQUEST_URN], "failOnErrors": limit, "Operations": operations})).await
    };
    let renamed = json!([create("ann"), create("bob"), {"method": "DELETE", "path": "/Users/1"}, create("cleo")]);
    assert_eq!(statuses(&send(json!(1), &operations).await), ["409"]);
    assert_eq!(statuses(&send(json!("2"), &renamed).await), ["409", "201", "404"]);
    assert_eq!(names(&bridge.get("/Users").await), ["ann", "bob"]);
    assert_eq!(statuses(&send(json!(0), &json!([create("ann"), create("cleo")])).await), ["409", "201"]);
    is_refused(&send(json!("many"), &operations).await, 400, "invalidValue");
}

#[tokio::test]
async fn a_request_beyond_the_limits_is_refused_whole() {
    let setup = Setup { ..Setup::default().wait("0s") };
    let bridge =
        Bridge::with(Setup { server: "bulk_max_operations = 3\nbulk_max_payload = \"4KiB\"".to_owned(), ..setup })
            .await;
    let config = bridge.get("/ServiceProviderConfig").await.body;
    assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 3, "maxPayloadSize": 4096}));
    let four = bulk(&bridge, json!([create("ann"), create("bob"), create("cid"), create("dan")])).await;
    is_refused(&four, 413, "");
    assert!(four.detail().contains("maxOperations (3)"), "{}", four.detail());
    let mut long = create("ann");
    long["data"]["title"] = json!("x".repeat(4096));
    let long = bulk(&bridge, json!([long])).await;
    is_refused(&long, 413, "");
    assert!(long.detail().contains("4096"), "{}", long.detail());
    assert_eq!(bridge.get("/Users").await.body["totalResults"], 0);
    for body in [
        json!({}),
        json!({"Operations": []}),
        json!({"Operations": {}}),
        json!({"schemas": ["urn:x"], "Operations": [create("ann")]}),
    ] {
        is_refused(&bridge.post("/Bulk", body).await, 400, "invalidSyntax");
    }
    bridge.get("/Bulk").await.has_status(405);
}

#[tokio::test]
async fn a_thousand_users_come_in_one_request() {
    let held = r#"mode = "hold""#;
    let bridge = Bridge::with(Setup::default().wait("0s").glance(held).pbx(held).crm(held)).await;
    let config = bridge.get("/ServiceProviderConfig").await.body;
    assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 1000, "maxPayloadSize": 1 << 20}));
    let operations: Vec<Value> = (0..1000).map(|number| create(&format!("user{number:04}"))).collect();
    let answer = bulk(&bridge, Value::from(operations)).await;
    assert!(statuses(&answer).iter().all(|status| *status == "201"));
    assert_eq!(bridge.get("/Users?count=0").await.body["totalResults"], 1000);
}

#[tokio::test]
async fn a_bulk_request_answers_when_it_is_stored() {
    let bridge = Bridge::start().await;
    bridge.glance().fail_next(1, Fault::Refuse("role is not provisioned".to_owned()), Some("NewUser"));
    // Alone, this create would wait, be refused and taken back.
    let answer = bulk(&bridge, json!([create("ann"), create("bob")])).await;
    assert_eq!(statuses(&answer), ["201", "201"]);
    let mut states = Vec::new();
    for result in results(&answer) {
        let is_at_rest = |state| matches!(state, AccountState::Settled | AccountState::Parked);
        let is_decided = |account: &Account| account.target == "glance" && is_at_rest(account.state);
        let accounts = bridge.until(id_of(result), "decided by glance", |all| all.iter().any(is_decided)).await;
        states.extend(accounts.into_iter().filter(|account| account.target == "glance").map(|account| account.state));
    }
    states.sort_unstable();
    assert_eq!(states, [AccountState::Settled, AccountState::Parked]);
}

#[tokio::test]
async fn each_operation_is_in_the_journal_and_the_audit_trail_like_a_request() {
    let bridge = with_users(&["ann"]).await;
    let mut secret = create("bob");
    secret["data"]["password"] = json!("hunter2-hunter2");
    let answer = bulk(&bridge, json!([secret, create("ann")])).await;
    let request_id = answer.header("x-request-id").to_owned();
    let journal = bridge
        .running
        .bridge
        .store
        .read(|db| db.requests(&RequestQuery { tenant: "default".to_owned(), ..RequestQuery::default() }));
    let entries = journal.await.unwrap();
    let entry =
        |number: usize| entries.iter().find(|entry| entry.request_id == format!("{request_id}.{number}")).unwrap();
    let (first, second) = (entry(1), entry(2));
    assert_eq!((first.method.as_str(), first.path.as_str(), first.status), ("POST", "/scim/v2/Users", Some(201)));
    let body: Value = serde_json::from_str(first.body.as_ref().unwrap()).unwrap();
    assert_eq!(body["password"], "***");
    assert_eq!((second.status, second.connection.as_deref()), (Some(409), Some("test")));
    let audited = bridge.running.bridge.store.scan(|db| db.audit("default", 0, 100)).await.unwrap();
    let bob = id_of(&results(&answer)[0]);
    assert!(audited.iter().any(|entry| entry.action == "create" && entry.subject == bob));
}
