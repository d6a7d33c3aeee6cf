//! Groups, their members, and what a membership means for an account.

use bridge_store::AccountState;
use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Bridge, Setup, account_where, calls_of};
use serde_json::{Value, json};

const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

fn group(name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    json!({"schemas": [GROUP], "displayName": name, "externalId": format!("g-{name}"), "members": members})
}

/// A bridge that makes Glance hosts of the members of a group.
async fn bridge_with_group_rules() -> Bridge {
    let glance = r#"map.UserRole = { groups = { "Glance Hosts" = "Host", "*" = "Agent" } }"#;
    Bridge::with(Setup::default().glance(glance)).await
}

async fn create(bridge: &Bridge, name: &str) -> String {
    bridge.post("/Users", okta_user(name)).await.has_status(201).id()
}

async fn create_group(bridge: &Bridge, name: &str, members: &[&str]) -> String {
    bridge.post("/Groups", group(name, members)).await.has_status(201).id()
}

async fn member_ids(bridge: &Bridge, group: &str) -> Vec<String> {
    let shown = bridge.get(&format!("/Groups/{group}")).await.has_status(200);
    let members = shown.body["members"].as_array().cloned().unwrap_or_default();
    members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
}

fn glance_role(bridge: &Bridge, name: &str) -> Value {
    let accounts = bridge.glance().accounts();
    account_where(&accounts, "UserAddress", &format!("{name}.acme.glance.net")).unwrap()["UserRole"].clone()
}

/// Waits until the Glance role of somebody is this one.
async fn until_glance_role(bridge: &Bridge, id: &str, name: &str, role: &str) {
    bridge.until(id, &format!("{role} at Glance"), |_| glance_role(bridge, name) == role).await;
}

#[tokio::test]
async fn a_group_is_created_read_listed_renamed_and_deleted() {
    let bridge = Bridge::start().await;
    let ann = create(&bridge, "ann").await;
    let created = bridge.post("/Groups", group("Sales EMEA", &[&ann])).await.has_status(201);
    let (id, location) = (created.id(), created.header("location").to_owned());
    assert_eq!(location, created.body["meta"]["location"].as_str().unwrap());
    let member = json!({
        "value": ann, "$ref": format!("{}/Users/{ann}", location.split("/Groups/").next().unwrap()),
        "display": "Ann Roe", "type": "User"
    });
    assert_eq!(created.body["members"], json!([member]));
    assert_eq!(bridge.get(&format!("/Groups/{id}")).await.has_status(200).body, created.body);
    let listed = bridge.get("/Groups?filter=displayName+eq+%22sales+emea%22").await.has_status(200);
    assert_eq!((&listed.body["totalResults"], &listed.body["Resources"][0]), (&json!(1), &created.body));
    let operations = json!([{"op": "replace", "value": {"id": id, "displayName": "Sales"}}]);
    let renamed = bridge.patch(&format!("/Groups/{id}"), operations).await.has_status(204);
    let read = bridge.get(&format!("/Groups/{id}?excludedAttributes=members")).await.has_status(200);
    assert_eq!((renamed.header("etag"), read.header("etag")), ("W/\"2\"", "W/\"2\""));
    assert_eq!(read.body["displayName"], "Sales");
    assert!(read.body.get("members").is_none(), "interop case 116");
    bridge.delete(&format!("/Groups/{id}")).await.has_status(204);
    bridge.delete(&format!("/Groups/{id}")).await.has_status(404);
    bridge.get(&format!("/Groups/{id}")).await.has_status(404);
    bridge.post("/Groups", group("Sales", &[])).await.has_status(201);
    bridge.stop().await;
}

#[tokio::test]
async fn a_user_shows_its_groups_and_the_groups_that_these_are_in() {
    let bridge = Bridge::start().await;
    let ann = create(&bridge, "ann").await;
    let sales = create_group(&bridge, "Sales", &[&ann]).await;
    let everybody = create_group(&bridge, "Everybody", &[&sales]).await;
    let shown = bridge.get(&format!("/Users/{ann}")).await;
    let expected = |id: &str, name: &str, kind: &str| json!({"value": id, "$ref": format!("{}/Groups/{id}", location_base(&shown.body)), "display": name, "type": kind});
    assert_eq!(
        shown.body["groups"],
        json!([expected(&sales, "Sales", "direct"), expected(&everybody, "Everybody", "indirect")])
    );
    for group in [&sales, &everybody] {
        let found = bridge.get(&format!("/Users?filter=groups.value+eq+%22{group}%22")).await.has_status(200);
        assert_eq!(found.body["totalResults"], 1, "{group}");
    }
    let found = bridge.get("/Users?filter=groups%5Btype+eq+%22indirect%22+and+display+eq+%22Everybody%22%5D").await;
    assert_eq!(found.body["totalResults"], 1);
    let members = bridge.get(&format!("/Groups/{everybody}")).await.body["members"].clone();
    assert_eq!(members[0]["type"], "Group");
    bridge.delete(&format!("/Groups/{sales}")).await.has_status(204);
    assert!(bridge.get(&format!("/Users/{ann}")).await.body.get("groups").is_none());
    assert_eq!(member_ids(&bridge, &everybody).await, [""; 0]);
    bridge.stop().await;
}

fn location_base(resource: &Value) -> String {
    resource["meta"]["location"].as_str().unwrap().split("/Users/").next().unwrap().to_owned()
}

#[tokio::test]
async fn a_membership_changes_the_account_that_it_concerns_and_no_other() {
    let bridge = bridge_with_group_rules().await;
    let (ann, bob) = (create(&bridge, "ann").await, create(&bridge, "bob").await);
    assert_eq!(glance_role(&bridge, "ann"), "Agent");
    let hosts = create_group(&bridge, "Glance Hosts", &[]).await;
    let before = [bridge.pbx(), bridge.crm()].map(|simulator| simulator.calls().len());
    let updates = calls_of(bridge.glance(), "UpdateUser").len();
    let add = json!([{"op": "add", "path": "members", "value": [{"value": ann}]}]);
    bridge.patch(&format!("/Groups/{hosts}"), add.clone()).await.has_status(204);
    until_glance_role(&bridge, &ann, "ann", "Host").await;
    bridge.patch(&format!("/Groups/{hosts}"), add).await.has_status(204);
    bridge.until_at_rest(&ann).await;
    assert_eq!(calls_of(bridge.glance(), "UpdateUser").len(), updates + 1, "a repeated membership sends nothing");
    assert_eq!(glance_role(&bridge, "bob"), "Agent");
    assert_eq!([bridge.pbx(), bridge.crm()].map(|simulator| simulator.calls().len()), before);
    let remove = json!([{"op": "remove", "path": format!("members[value eq \"{ann}\"]")}]);
    bridge.patch(&format!("/Groups/{hosts}"), remove).await.has_status(204);
    until_glance_role(&bridge, &ann, "ann", "Agent").await;
    bridge.until_at_rest(&bob).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_group_that_is_renamed_nested_or_deleted_changes_the_accounts_of_all_its_members() {
    let bridge = bridge_with_group_rules().await;
    let ann = create(&bridge, "ann").await;
    let sales = create_group(&bridge, "Sales", &[&ann]).await;
    let rename = |name: &str| json!([{"op": "replace", "path": "displayName", "value": name}]);
    bridge.patch(&format!("/Groups/{sales}"), rename("Glance Hosts")).await.has_status(204);
    until_glance_role(&bridge, &ann, "ann", "Host").await;
    bridge.patch(&format!("/Groups/{sales}"), rename("Sales")).await.has_status(204);
    until_glance_role(&bridge, &ann, "ann", "Agent").await;
    // A circle of groups: both directions are followed once.
    let hosts = create_group(&bridge, "Glance Hosts", &[&sales]).await;
    until_glance_role(&bridge, &ann, "ann", "Host").await;
    let add = json!([{"op": "add", "path": "members", "value": [{"value": hosts}]}]);
    bridge.patch(&format!("/Groups/{sales}"), add).await.has_status(204);
    bridge.delete(&format!("/Groups/{hosts}")).await.has_status(204);
    until_glance_role(&bridge, &ann, "ann", "Agent").await;
    bridge.until_at_rest(&ann).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_field_that_only_creation_sets_waits_for_the_group_that_decides_it() {
    let crm = r#"map.user_template_identifier = { groups = { "Team Leads" = "Agent", "*" = "Contact centre agent" } }"#;
    let bridge = Bridge::with(Setup::default().crm(crm)).await;
    let ann = create(&bridge, "ann").await;
    let waiting = bridge.account(&ann, "crm").await;
    assert_eq!(waiting.reason.unwrap().code, "waiting-for-group");
    assert_eq!(bridge.crm().accounts(), [] as [Value; 0]);
    create_group(&bridge, "Team Leads", &[&ann]).await;
    bridge.until_state(&ann, "crm", AccountState::Settled).await;
    assert_eq!(bridge.crm().accounts()[0]["user_template"], "Agent");
    bridge.stop().await;
}

#[tokio::test]
async fn twenty_parallel_patches_of_one_member_each_make_twenty_members() {
    let bridge = Bridge::start().await;
    let id = create_group(&bridge, "Staff", &[]).await;
    let path = format!("/Groups/{id}");
    let add = |number: usize| json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": format!("u{number:02}")}]}]);
    let adds = (0..20).chain(0..20).map(|number| bridge.patch(&path, add(number)));
    for answer in futures_util::future::join_all(adds).await {
        answer.has_status(204);
    }
    let expected: Vec<String> = (0..20).map(|number| format!("u{number:02}")).collect();
    assert_eq!(member_ids(&bridge, &id).await, expected, "interop case 119");
    let etag = bridge.get(&path).await.header("etag").to_owned();
    assert!(etag.starts_with("W/\"21-"), "a member that is there already changes nothing: {etag}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_member_list_of_any_length_is_read_to_its_end() {
    let bridge = Bridge::start().await;
    let ids: Vec<String> = (0..2_500).map(|number| format!("u{number:04}")).collect();
    let members: Vec<&str> = ids.iter().map(String::as_str).collect();
    let id = create_group(&bridge, "Staff", &members).await;
    create_group(&bridge, "Small", &["u1"]).await;
    assert_eq!(member_ids(&bridge, &id).await, ids);
    let listed = bridge.get("/Groups?count=10").await.has_status(200);
    assert_eq!(listed.body["itemsPerPage"], 2);
    assert_eq!(listed.body["Resources"][0]["members"].as_array().unwrap().len(), 2_500);
    assert_eq!(listed.body["Resources"][1]["members"], json!([{"value": "u1"}]));
    let values = bridge.get(&format!("/Groups/{id}?attributes=members.value")).await.has_status(200);
    assert_eq!(values.body["members"][2_499], json!({"value": "u2499"}));
    let found = bridge.get("/Groups?filter=members+eq+%22u2499%22&attributes=id").await;
    assert_eq!(found.body["totalResults"], 1);
    let empty = json!([{"op": "replace", "path": "members", "value": []}]);
    bridge.patch(&format!("/Groups/{id}"), empty).await.has_status(204);
    assert_eq!(member_ids(&bridge, &id).await, [""; 0], "interop case 110");
    bridge.stop().await;
}

#[tokio::test]
async fn a_put_without_members_keeps_them_and_one_with_a_list_replaces_them() {
    let bridge = Bridge::start().await;
    let id = create_group(&bridge, "Staff", &["u1", "u2"]).await;
    let path = format!("/Groups/{id}");
    let rename = json!({"schemas": [GROUP], "id": id, "displayName": "Crew"});
    assert_eq!(bridge.put(&path, rename).await.has_status(200).body["members"].as_array().unwrap().len(), 2);
    let replace = json!({"schemas": [GROUP], "displayName": "Crew", "members": [{"value": "u2", "display": null}, {"value": "u3"}]});
    bridge.put(&path, replace).await.has_status(200);
    assert_eq!(member_ids(&bridge, &id).await, ["u2", "u3"]);
    let read = bridge.get(&path).await.has_status(200);
    let again = bridge.put(&path, read.body.clone()).await.has_status(200);
    assert_eq!(again.body, read.body, "interop case 62: what was read is put back without a change");
    bridge.put(&path, json!({"schemas": [GROUP], "displayName": "Crew", "members": []})).await.has_status(200);
    assert_eq!(member_ids(&bridge, &id).await, [""; 0]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_group_name_is_unique_and_its_holder_is_found() {
    let bridge = Bridge::start().await;
    create_group(&bridge, "R&D / \"Zürich\", A+B: 1", &[]).await;
    let twice = bridge.post("/Groups", group("r&d / \"ZÜRICH\", a+b: 1", &[])).await.has_status(409);
    assert_eq!(twice.scim_type(), "uniqueness");
    let filter = "displayName%20eq%20%22R%26D%20%2F%20%5C%22Z%C3%BCrich%5C%22%2C%20A%2BB%3A%201%22";
    let found = bridge.get(&format!("/Groups?filter={filter}&startIndex=1&count=100")).await.has_status(200);
    assert_eq!(found.body["totalResults"], 1, "interop cases 42, 43, 128, 137");
    bridge.stop().await;
}

#[tokio::test]
async fn a_version_that_is_not_the_present_one_changes_no_members() {
    let bridge = Bridge::start().await;
    let id = create_group(&bridge, "Staff", &["u1"]).await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "remove", "path": "members"}]
    });
    let patch = |version: &'static str| {
        let request = bridge.request(reqwest::Method::PATCH, &format!("/Groups/{id}")).header("If-Match", version);
        bridge_tests::Answer::of(request.header("Content-Type", "application/scim+json").body(body.to_string()))
    };
    patch("W/\"7\"").await.has_status(412);
    assert_eq!(member_ids(&bridge, &id).await, ["u1"]);
    patch("W/\"1\"").await.has_status(204);
    assert_eq!(member_ids(&bridge, &id).await, [""; 0]);
    bridge.stop().await;
}

#[tokio::test]
async fn one_member_more_or_less_writes_no_more_for_a_large_group_than_for_a_small_one() {
    let bridge = Bridge::start().await;
    let log = bridge.running.bridge.store.path().with_extension("db-wal");
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for (name, count) in [("small", 10), ("large", 10_000)] {
        let members: Vec<String> = (0..count).map(|number| format!("{name}-{number:05}")).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let id = create_group(&bridge, name, &members).await;
        let written = async |operation: Value| {
            let before = log.metadata().unwrap().len();
            bridge.patch(&format!("/Groups/{id}"), json!([operation])).await.has_status(204);
            log.metadata().unwrap().len() - before
        };
        // Now and then a page of a tree is full and becomes two.
        let mut least = [u64::MAX; 2];
        for number in 0..5 {
            let member = format!("{name}-05000-{number}");
            let add = json!({"op": "add", "path": "members", "value": [{"value": member}]});
            least[0] = least[0].min(written(add).await);
            let remove = json!({"op": "remove", "path": format!("members[value eq \"{member}\"]")});
            least[1] = least[1].min(written(remove).await);
        }
        assert_eq!(member_ids(&bridge, &id).await.len(), count);
        added.push(least[0]);
        removed.push(least[1]);
    }
    for written in [added, removed] {
        assert!(written[0] > 0 && written[1] <= written[0], "bytes in SQLite's log: {written:?}");
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_patch_with_one_bad_operation_changes_nothing_of_a_group() {
    let bridge = Bridge::start().await;
    let id = create_group(&bridge, "Staff", &["u1"]).await;
    let operations = json!([
        {"op": "add", "path": "members", "value": [{"value": "u2"}]},
        {"op": "replace", "path": "displayName", "value": "Crew"},
        {"op": "replace", "path": "displayName", "value": ""}
    ]);
    bridge.patch(&format!("/Groups/{id}"), operations).await.has_status(400).names(&["displayName"]);
    let read = bridge.get(&format!("/Groups/{id}")).await;
    assert_eq!((&read.body["displayName"], &read.body["members"]), (&json!("Staff"), &json!([{"value": "u1"}])));
    bridge.stop().await;
}

#[tokio::test]
async fn members_chosen_by_more_than_their_id_are_removed_too() {
    let bridge = Bridge::start().await;
    let (ann, bob) = (create(&bridge, "ann").await, create(&bridge, "bob").await);
    let id = create_group(&bridge, "Staff", &[&ann, &bob]).await;
    let operations = json!([{"op": "remove", "path": "members[display eq \"Ann Roe\"]"}]);
    bridge.patch(&format!("/Groups/{id}"), operations).await.has_status(204);
    assert_eq!(member_ids(&bridge, &id).await, [bob]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_member_has_its_real_name_whatever_the_client_calls_it() {
    let bridge = Bridge::start().await;
    let ann = create(&bridge, "ann").await;
    let named = json!([{"value": ann, "display": "Somebody"}, {"value": "u9", "display": "Nobody"}]);
    let id = bridge.post("/Groups", json!({"displayName": "Staff", "members": named})).await.has_status(201).id();
    let by_path = format!("members[value eq \"{ann}\"].display");
    let operations = json!([
        {"op": "replace", "path": by_path, "value": "Somebody"},
        {"op": "Replace", "path": "members", "value": named}
    ]);
    bridge.patch(&format!("/Groups/{id}"), operations).await.has_status(204);
    let put = json!({"displayName": "Staff", "members": named});
    bridge.put(&format!("/Groups/{id}"), put).await.has_status(200);
    let read = bridge.get(&format!("/Groups/{id}")).await;
    assert!(read.header("etag").starts_with("W/\"1-"), "a name alone changes nothing: {}", read.header("etag"));
    let names: Vec<_> =
        read.body["members"].as_array().unwrap().iter().map(|member| member.get("display").cloned()).collect();
    assert_eq!(names, [Some(json!("Ann Roe")), None]);
    bridge.stop().await;
}

#[tokio::test]
async fn a_deleted_user_is_in_no_group_any_more() {
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let group = create_group(&bridge, "Staff", &[&id, "u9"]).await;
    bridge.delete(&format!("/Users/{id}")).await.has_status(204);
    let read = bridge.get(&format!("/Groups/{group}")).await;
    assert_eq!(read.body["members"], json!([{"value": "u9"}]));
    assert!(read.header("etag").starts_with("W/\"2-"), "{}", read.header("etag"));
    bridge.stop().await;
}

#[tokio::test]
async fn what_a_group_write_left_to_do_is_done_after_a_restart() {
    let bridge = bridge_with_group_rules().await;
    let ids = futures_util::future::join_all(["ann", "bob", "cleo"].map(|name| create(&bridge, name))).await;
    let members: Vec<&str> = ids.iter().map(String::as_str).collect();
    // The store knows of the change, the bridge that wrote it ends at once.
    create_group(&bridge, "Glance Hosts", &members).await;
    let bridge = bridge.restart().await;
    for (id, name) in ids.iter().zip(["ann", "bob", "cleo"]) {
        until_glance_role(&bridge, id, name, "Host").await;
    }
    bridge.stop().await;
}

#[tokio::test]
async fn groups_that_are_all_members_of_each_other_are_walked_once_each() {
    let bridge = bridge_with_group_rules().await;
    let ann = create(&bridge, "ann").await;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(create_group(&bridge, &format!("Mesh {number}"), &[]).await);
    }
    for id in &ids {
        let members: Vec<Value> = ids.iter().chain([&ann]).map(|id| json!({"value": id})).collect();
        let add = json!([{"op": "add", "path": "members", "value": members}]);
        bridge.patch(&format!("/Groups/{id}"), add).await.has_status(204);
    }
    let rename = json!([{"op": "replace", "path": "displayName", "value": "Glance Hosts"}]);
    bridge.patch(&format!("/Groups/{}", ids[0]), rename).await.has_status(204);
    until_glance_role(&bridge, &ann, "ann", "Host").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_group_is_renamed_while_its_members_are_pushed() {
    let bridge = Bridge::start().await;
    let id = create_group(&bridge, "Staff", &[]).await;
    let path = format!("/Groups/{id}");
    let add = |number: usize| json!([{"op": "add", "path": "members", "value": [{"value": format!("u{number:02}")}]}]);
    let adds = futures_util::future::join_all((0..40).map(|number| bridge.patch(&path, add(number))));
    let rename = async {
        for number in 0..10 {
            let operations = json!([{"op": "replace", "path": "displayName", "value": format!("Staff {number}")}]);
            bridge.patch(&path, operations).await.has_status(204);
        }
    };
    let (adds, ()) = tokio::join!(adds, rename);
    adds.into_iter().for_each(|answer| drop(answer.has_status(204)));
    assert_eq!(member_ids(&bridge, &id).await.len(), 40);
    bridge.stop().await;
}

#[tokio::test]
async fn a_long_member_list_of_which_the_first_part_shows_nothing_is_still_json() {
    let bridge = Bridge::start().await;
    let ann = create(&bridge, "ann").await;
    // Unknown members have no name; their ids sort before any of the bridge's own.
    let unknown: Vec<String> = (0..450).map(|number| format!("0000-{number:04}")).collect();
    let members: Vec<&str> = unknown.iter().map(String::as_str).chain([ann.as_str()]).collect();
    let id = create_group(&bridge, "Staff", &members).await;
    let shown = bridge.get(&format!("/Groups/{id}?attributes=members.display")).await.has_status(200);
    assert_eq!(shown.body["members"], json!([{"display": "Ann Roe"}]));
    bridge.stop().await;
}

#[tokio::test]
async fn a_version_that_a_client_has_is_not_the_present_one_once_the_user_is_in_another_group() {
    let bridge = Bridge::start().await;
    let ann = create(&bridge, "ann").await;
    let read = |etag: String| {
        let request = bridge.request(reqwest::Method::GET, &format!("/Users/{ann}")).header("If-None-Match", etag);
        bridge_tests::Answer::of(request)
    };
    let etag = bridge.get(&format!("/Users/{ann}")).await.header("etag").to_owned();
    read(etag.clone()).await.has_status(304);
    create_group(&bridge, "Staff", &[&ann]).await;
    let now = read(etag).await.has_status(200);
    assert_eq!(now.body["groups"][0]["display"], "Staff");
    assert_eq!(now.body["meta"]["version"], now.header("etag"));
    let etag = now.header("etag").to_owned();
    read(etag.clone()).await.has_status(304);
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "Agent"}]
    });
    let patch = bridge.request(reqwest::Method::PATCH, &format!("/Users/{ann}")).header("If-Match", etag);
    bridge_tests::Answer::of(patch.body(body.to_string())).await.has_status(200);
    bridge.stop().await;
}
