//! D. Users: create, replace, life cycle.

use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, account_where};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{ENTERPRISE, USER, change, found, read, run, user};

const OFF: &str = r#"[{"op": "replace", "value": {"active": false}}]"#;
const ON: &str = r#"[{"op": "replace", "value": {"active": true}}]"#;

async fn switch(bridge: &Bridge, id: &str, operations: &str) -> Value {
    change(bridge, id, serde_json::from_str(operations).unwrap()).await
}

/// Whether the accounts of a user can be used at the targets whose API can suspend.
fn is_usable(bridge: &Bridge, name: &str) -> (bool, bool) {
    let glance = bridge.glance().accounts();
    let glance = account_where(&glance, "UserAddress", &format!("{name}.acme.glance.net")).unwrap();
    let pbx = bridge.pbx().accounts();
    let pbx = account_where(&pbx, "login-username", &format!("{name}@acme.example")).unwrap();
    (glance["UserSuspended"] == false, pbx["user-scope"] == "Basic User")
}

/// A user with everything that Entra ID maps by default.
fn full_user(name: &str) -> Value {
    let email = format!("{name}@acme.example");
    json!({
        "schemas": [USER, ENTERPRISE],
        "externalId": name,
        "userName": email,
        "active": true,
        "displayName": "Jo Roe",
        "title": "Lead",
        "preferredLanguage": "en-US",
        "name": {"formatted": "Jo Roe", "familyName": "Roe", "givenName": "Jo"},
        "emails": [{"primary": true, "type": "work", "value": email}],
        "addresses": [{
            "type": "work", "formatted": "HQ 4", "streetAddress": "1 High Street", "locality": "Bristol",
            "region": "Avon", "postalCode": "BS1 1AA", "country": "GB"
        }],
        "phoneNumbers": [
            {"type": "work", "value": "+44 117 1"}, {"type": "mobile", "value": "+44 7700 2"}, {"type": "fax", "value": "+44 117 3"}
        ],
        ENTERPRISE: {"employeeNumber": "4711", "department": "R&D", "manager": {"value": "u9"}}
    })
}

fn assert_echoes(shown: &Value, sent: &Value) {
    for (name, value) in sent.as_object().unwrap().iter().filter(|(name, _)| *name != "schemas" && *name != "password")
    {
        assert_eq!(&shown[name], value, "{name}");
    }
}

#[test]
fn case_046_everything_mapped_by_default_is_stored_and_echoed() {
    run(async |bridge| {
        let created = bridge.post("/Users", full_user("c046")).await.has_status(201);
        assert_echoes(&created.body, &full_user("c046"));
        assert_echoes(&read(bridge, &created.id()).await, &full_user("c046"));
    });
}

#[test]
fn case_047_primary_is_taken() {
    run(async |bridge| {
        let mut body = full_user("c047");
        body["phoneNumbers"] =
            json!([{"type": "work", "value": "1", "primary": true}, {"type": "home", "value": "2", "primary": false}]);
        let created = bridge.post("/Users", body.clone()).await.has_status(201);
        assert_echoes(&created.body, &body);
    });
}

#[test]
fn case_048_what_was_patched_is_read_again() {
    run(async |bridge| {
        let id = user(bridge, "c048").await;
        let operations = json!([
            {"op": "Replace", "path": "name.givenName", "value": "Jo"},
            {"op": "Replace", "path": "name.familyName", "value": "Rowe"},
            {"op": "Replace", "path": "emails[type eq \"work\"].primary", "value": true},
            {"op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "R&D"},
            {"op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": "u9"}
        ]);
        let changed = change(bridge, &id, operations).await;
        assert_eq!(changed["name"], json!({"familyName": "Rowe", "givenName": "Jo"}));
        assert_eq!(changed["emails"], json!([{"value": "c048@acme.example", "type": "work", "primary": true}]));
        assert_eq!(changed[ENTERPRISE]["department"], "R&D");
        assert_eq!(changed[ENTERPRISE]["manager"]["value"], "u9");
    });
}

#[test]
fn case_049_a_client_does_not_choose_the_id() {
    run(async |bridge| {
        let other = user(bridge, "c049a").await;
        let mut body = okta_user("c049b");
        body["id"] = json!(other);
        let created = bridge.post("/Users", body).await.has_status(201).id();
        assert_ne!(created, other);
        assert_eq!(read(bridge, &other).await["userName"], "c049a@acme.example");
    });
}

#[test]
fn case_050_the_id_in_a_put_is_that_of_the_address() {
    run(async |bridge| {
        let id = user(bridge, "c050").await;
        let mut body = okta_user("c050");
        for (sent, status) in [(json!(id), 200), (Value::Null, 200), (json!("another"), 400)] {
            body["id"] = sent;
            bridge.put(&format!("/Users/{id}"), body.clone()).await.has_status(status);
        }
    });
}

#[tokio::test]
async fn case_051_an_id_outlives_a_change_a_rename_and_a_restart() {
    let bridge = Bridge::start().await;
    let id = user(&bridge, "c051").await;
    let operations = json!([{"op": "replace", "value": {"userName": "c051-new@acme.example", "displayName": "New"}}]);
    assert_eq!(change(&bridge, &id, operations).await["id"], id.as_str());
    let bridge = bridge.restart().await;
    assert_eq!(found(&bridge, "/Users", "userName eq \"c051-new@acme.example\"").await, [id]);
    bridge.stop().await;
}

#[test]
fn case_052_a_deactivation_lasts() {
    run(async |bridge| {
        let id = user(bridge, "c052").await;
        assert_eq!(switch(bridge, &id, OFF).await["active"], false);
        let filter = "userName eq \"c052@acme.example\" and active eq false";
        assert_eq!(found(bridge, "/Users", filter).await, [id]);
    });
}

#[test]
fn case_053_active_is_written_by_patch_and_put() {
    run(async |bridge| {
        let id = user(bridge, "c053").await;
        switch(bridge, &id, OFF).await;
        let mut body = okta_user("c053");
        for active in [true, false] {
            body["active"] = json!(active);
            bridge.put(&format!("/Users/{id}"), body.clone()).await.has_status(200);
            assert_eq!(read(bridge, &id).await["active"], active);
        }
    });
}

#[test]
fn case_054_an_inactive_user_is_made_active_by_patch() {
    run(async |bridge| {
        let id = user(bridge, "c054").await;
        switch(bridge, &id, OFF).await;
        assert_eq!(switch(bridge, &id, ON).await["active"], true);
    });
}

#[test]
fn case_055_who_is_active_again_can_work_again() {
    run(async |bridge| {
        let id = user(bridge, "c055").await;
        switch(bridge, &id, OFF).await;
        bridge.until_at_rest(&id).await;
        assert_eq!(is_usable(bridge, "c055"), (false, false));
        bridge.put(&format!("/Users/{id}"), okta_user("c055")).await.has_status(200);
        bridge.until_at_rest(&id).await;
        assert_eq!(is_usable(bridge, "c055"), (true, true));
    });
}

#[test]
fn case_056_who_is_unassigned_and_assigned_again_is_found_and_put() {
    run(async |bridge| {
        let id = user(bridge, "c056").await;
        switch(bridge, &id, OFF).await;
        let listed = bridge.get("/Users?filter=userName%20eq%20%22c056@acme.example%22").await;
        let mut stored = listed.body["Resources"][0].clone();
        assert_eq!((&stored["id"], &stored["active"]), (&json!(id), &json!(false)));
        stored["active"] = json!(true);
        assert_eq!(bridge.put(&format!("/Users/{id}"), stored).await.has_status(200).body["active"], true);
    });
}

#[test]
fn case_057_a_post_for_an_inactive_user_makes_no_second_one() {
    run(async |bridge| {
        let id = user(bridge, "c057").await;
        switch(bridge, &id, OFF).await;
        let mut renamed = okta_user("c057");
        renamed["userName"] = json!("c057-renamed@acme.example");
        for body in [okta_user("c057"), renamed] {
            assert_eq!(bridge.post("/Users", body).await.has_status(409).scim_type(), "uniqueness");
        }
        assert_eq!(found(bridge, "/Users", "externalId eq \"00uc057\"").await, [id]);
    });
}

#[test]
fn case_058_who_was_deleted_is_made_again_under_the_same_external_id() {
    run(async |bridge| {
        let before = user(bridge, "c058").await;
        bridge.delete(&format!("/Users/{before}")).await.has_status(204);
        let after = user(bridge, "c058").await;
        assert_ne!(after, before);
        assert_eq!(found(bridge, "/Users", "externalId eq \"00uc058\"").await, [after]);
    });
}

#[test]
fn case_059_a_put_with_active_false_deactivates() {
    run(async |bridge| {
        let id = user(bridge, "c059").await;
        let mut body = read(bridge, &id).await;
        body["active"] = json!(false);
        bridge.put(&format!("/Users/{id}"), body).await.has_status(200);
        bridge.until_at_rest(&id).await;
        assert_eq!(is_usable(bridge, "c059"), (false, false));
    });
}

#[test]
fn case_060_activation_and_password_come_by_patch_alone() {
    run(async |bridge| {
        let id = user(bridge, "c060").await;
        for (value, expected) in [
            (json!({"active": false}), false),
            (json!({"active": true}), true),
            (json!({"password": "n3w!pass"}), true),
        ] {
            let changed = change(bridge, &id, json!([{"op": "replace", "value": value}])).await;
            assert_eq!(changed["active"], expected);
            assert_eq!(changed.get("password"), None);
        }
    });
}

#[test]
fn case_061_a_second_post_is_a_conflict_and_changes_nothing() {
    run(async |bridge| {
        let id = user(bridge, "c061").await;
        let before = read(bridge, &id).await;
        let mut body = okta_user("c061");
        body["displayName"] = json!("Somebody else");
        let refused = bridge.post("/Users", body).await.has_status(409).names(&["userName"]);
        assert_eq!(refused.scim_type(), "uniqueness");
        assert_eq!(read(bridge, &id).await, before);
    });
}

#[test]
fn case_062_what_was_read_can_be_put_back() {
    run(async |bridge| {
        let id = bridge.post("/Users", full_user("c062")).await.has_status(201).id();
        crate::group(bridge, "c062", &[&id]).await;
        let before = read(bridge, &id).await;
        assert!(before["groups"].is_array() && before["meta"].is_object());
        assert_eq!(bridge.put(&format!("/Users/{id}"), before.clone()).await.has_status(200).body, before);
    });
}

#[test]
fn case_063_a_put_to_an_unknown_id_makes_nothing() {
    run(async |bridge| {
        bridge.put("/Users/c063-unknown", okta_user("c063")).await.has_status(404);
        assert_eq!(found(bridge, "/Users", "userName eq \"c063@acme.example\"").await, [""; 0]);
    });
}

#[test]
fn case_064_a_put_without_active_deactivates_nobody() {
    run(async |bridge| {
        let id = user(bridge, "c064").await;
        let mut body = okta_user("c064");
        for absent in [None, Some(Value::Null)] {
            body.as_object_mut().unwrap().shift_remove("active");
            body.as_object_mut().unwrap().extend(absent.map(|value| ("active".to_owned(), value)));
            assert_eq!(bridge.put(&format!("/Users/{id}"), body.clone()).await.has_status(200).body["active"], true);
        }
    });
}

#[test]
fn case_065_a_rename_keeps_the_user() {
    run(async |bridge| {
        let id = user(bridge, "c065").await;
        let operations = json!([{"op": "Replace", "path": "userName", "value": "c065-new@acme.example"}]);
        let changed = change(bridge, &id, operations).await;
        assert_eq!((&changed["id"], &changed["active"]), (&json!(id), &json!(true)));
        assert_eq!(found(bridge, "/Users", "userName eq \"c065-new@acme.example\"").await, [id]);
        assert_eq!(found(bridge, "/Users", "userName eq \"c065@acme.example\"").await, [""; 0]);
    });
}

#[test]
fn case_066_who_is_deactivated_or_deleted_is_out_at_the_targets() {
    run(async |bridge| {
        let (left, deleted) = (user(bridge, "c066a").await, user(bridge, "c066b").await);
        switch(bridge, &left, OFF).await;
        bridge.until_at_rest(&left).await;
        assert_eq!(is_usable(bridge, "c066a"), (false, false));
        bridge.delete(&format!("/Users/{deleted}")).await.has_status(204);
        let is_gone = |_: &[_]| {
            let (glance, pbx) = (bridge.glance().accounts(), bridge.pbx().accounts());
            account_where(&glance, "UserAddress", "c066b.acme.glance.net").unwrap()["UserSuspended"] == true
                && account_where(&pbx, "login-username", "c066b@acme.example").is_none()
        };
        bridge.until(&deleted, "out", is_gone).await;
    });
}

#[test]
fn case_067_what_was_written_is_read_at_once() {
    run(async |bridge| {
        for round in 0..10 {
            let name = format!("c067-{round}");
            let mut body = okta_user(&name);
            body["active"] = json!(false);
            let id = bridge.post("/Users", body).await.has_status(201).id();
            assert_eq!(read(bridge, &id).await["id"], id.as_str());
            let filter = format!("userName eq \"{name}@acme.example\"");
            assert_eq!(found(bridge, "/Users", &filter).await, [id]);
        }
    });
}

#[test]
fn case_068_of_two_parallel_posts_of_one_name_one_wins() {
    run(async |bridge| {
        let mut bodies = [okta_user("c068"), okta_user("c068")];
        bodies[1]["externalId"] = json!("00uc068-other");
        let posts = bodies.map(|body| {
            let request = bridge.request(Method::POST, "/Users").header("Content-Type", "application/scim+json");
            Answer::of(request.body(body.to_string()))
        });
        let mut statuses: Vec<u16> =
            futures_util::future::join_all(posts).await.into_iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        assert_eq!(found(bridge, "/Users", "userName eq \"c068@acme.example\"").await.len(), 1);
    });
}
