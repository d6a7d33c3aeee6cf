//! A. Booleans, letter case, types.

use bridge_tests::samples::okta_user;
use serde_json::{Value, json};

use crate::{USER, change, change_group, found, group, read, run, user};

#[test]
fn case_001_replace_active_with_the_text_false_deactivates() {
    run(async |bridge| {
        let id = user(bridge, "c001").await;
        let changed = change(bridge, &id, json!([{"op": "Replace", "path": "active", "value": "False"}])).await;
        assert_eq!(changed["active"], false);
    });
}

#[test]
fn case_002_capital_texts_are_booleans_with_and_without_a_path() {
    run(async |bridge| {
        let id = user(bridge, "c002").await;
        for (text, expected) in [("False", false), ("True", true)] {
            let flip = json!([{"op": "replace", "path": "active", "value": !expected}]);
            for operation in [
                json!([{"op": "replace", "path": "active", "value": text}]),
                json!([{"op": "replace", "value": {"active": text}}]),
            ] {
                assert_eq!(change(bridge, &id, flip.clone()).await["active"], !expected);
                assert_eq!(change(bridge, &id, operation).await["active"], expected);
            }
        }
    });
}

#[test]
fn case_003_a_post_with_active_as_capital_text_makes_an_active_user() {
    run(async |bridge| {
        let mut body = okta_user("c003");
        body["active"] = json!("True");
        assert_eq!(bridge.post("/Users", body).await.has_status(201).body["active"], true);
    });
}

#[test]
fn case_004_the_text_false_is_not_taken_for_true() {
    run(async |bridge| {
        let mut body = okta_user("c004");
        body["active"] = json!("false");
        assert_eq!(bridge.post("/Users", body).await.has_status(201).body["active"], false);
    });
}

#[test]
fn case_005_a_boolean_as_text_means_the_same_by_every_verb() {
    run(async |bridge| {
        let id = user(bridge, "c005").await;
        let path = format!("/Users/{id}");
        for (text, expected) in [("False", false), ("TRUE", true), ("false", false), ("true", true)] {
            let mut body = okta_user("c005");
            body["active"] = json!(text);
            assert_eq!(bridge.put(&path, body).await.has_status(200).body["active"], expected, "PUT {text}");
            change(bridge, &id, json!([{"op": "replace", "path": "active", "value": !expected}])).await;
            let changed = change(bridge, &id, json!([{"op": "Add", "path": "active", "value": text}])).await;
            assert_eq!(changed["active"], expected, "PATCH {text}");
        }
    });
}

#[test]
fn case_006_what_is_no_boolean_is_refused_and_nothing_is_stored() {
    run(async |bridge| {
        let mut body = okta_user("c006");
        body["active"] = json!("maybe");
        let refused = bridge.post("/Users", body).await.has_status(400).names(&["active"]);
        assert_eq!(refused.scim_type(), "invalidValue");
        assert_eq!(found(bridge, "/Users", "userName eq \"c006@acme.example\"").await, [""; 0]);
        let id = user(bridge, "c006").await;
        let operations = json!([
            {"op": "replace", "path": "displayName", "value": "Somebody else"},
            {"op": "replace", "path": "active", "value": "maybe"}
        ]);
        let refused = bridge.patch(&format!("/Users/{id}"), operations).await.has_status(400);
        assert_eq!(refused.scim_type(), "invalidValue");
        assert_eq!(read(bridge, &id).await["displayName"], "C006 Roe");
    });
}

#[test]
fn case_007_primary_as_text_is_stored_as_a_boolean() {
    run(async |bridge| {
        let mut body = okta_user("c007");
        body["roles"] = json!([{"primary": "True", "type": "app", "value": "Admin", "display": "Admin"}]);
        let created = bridge.post("/Users", body).await.has_status(201);
        assert_eq!(created.body["roles"][0]["primary"], true);
        let operations = json!([{"op": "Replace", "path": "emails[type eq \"work\"].primary", "value": "False"}]);
        assert_eq!(change(bridge, &created.id(), operations).await["emails"][0]["primary"], false);
    });
}

#[test]
fn case_008_capital_add_on_a_group_is_add() {
    run(async |bridge| {
        let id = group(bridge, "c008", &[]).await;
        let operations = json!([{"op": "Add", "path": "members", "value": [{"value": "u1"}]}]);
        assert_eq!(change_group(bridge, &id, operations).await, ["u1"]);
    });
}

#[test]
fn case_009_capital_add_on_a_user_is_add() {
    run(async |bridge| {
        let id = user(bridge, "c009").await;
        let changed = change(bridge, &id, json!([{"op": "Add", "path": "active", "value": false}])).await;
        assert_eq!(changed["active"], false);
    });
}

#[test]
fn case_010_add_on_a_single_value_that_is_there_replaces_it() {
    run(async |bridge| {
        let id = user(bridge, "c010").await;
        let operations = json!([
            {"op": "add", "path": "active", "value": false},
            {"op": "add", "path": "displayName", "value": "New"}
        ]);
        let changed = change(bridge, &id, operations).await;
        assert_eq!((&changed["active"], &changed["displayName"]), (&json!(false), &json!("New")));
    });
}

#[test]
fn case_011_operations_and_names_in_any_case_are_understood() {
    run(async |bridge| {
        let id = user(bridge, "c011").await;
        let changed = change(bridge, &id, json!([{"op": "REPLACE", "path": "DISPLAYNAME", "value": "New"}])).await;
        assert_eq!(changed["displayName"], "New");
    });
}

#[test]
fn case_012_names_in_other_case_are_read_and_answered_in_their_own() {
    run(async |bridge| {
        let body = json!({"schemas": [USER], "UserName": "c012@acme.example", "DisplayName": "Jo", "Active": true});
        let created = bridge.post("/Users", body.clone()).await.has_status(201);
        let replaced = bridge.put(&format!("/Users/{}", created.id()), body).await.has_status(200);
        for shown in [&created.body, &replaced.body] {
            assert_eq!((&shown["userName"], &shown["displayName"]), (&json!("c012@acme.example"), &json!("Jo")));
            assert_eq!((shown.get("UserName"), shown.get("DisplayName")), (None, None));
        }
    });
}

#[test]
fn case_013_names_of_parts_in_other_case_are_read_too() {
    run(async |bridge| {
        let mut body = okta_user("c013");
        body.as_object_mut().unwrap().remove("emails");
        body["Emails"] = json!([{"Value": "c013@acme.example", "Type": "work", "Primary": true}]);
        body["name"] = json!({"GivenName": "Jo", "FAMILYNAME": "Roe"});
        let created = bridge.post("/Users", body).await.has_status(201);
        let expected = json!([{"value": "c013@acme.example", "type": "work", "primary": true}]);
        assert_eq!(created.body["emails"], expected);
        assert_eq!(created.body["name"], json!({"familyName": "Roe", "givenName": "Jo"}));
    });
}

#[test]
fn case_014_a_filter_on_user_name_overlooks_letter_case() {
    run(async |bridge| {
        let id = user(bridge, "c014").await;
        assert_eq!(found(bridge, "/Users", "userName eq \"C014@ACME.example\"").await, [id]);
    });
}

#[test]
fn case_015_so_does_one_on_an_address_or_display_name() {
    run(async |bridge| {
        let id = user(bridge, "c015").await;
        for filter in ["emails.value eq \"C015@Acme.Example\"", "displayName eq \"c015 ROE\""] {
            assert_eq!(found(bridge, "/Users", filter).await, [id.as_str()], "{filter}");
        }
    });
}

#[test]
fn case_016_a_user_name_is_shown_as_it_was_sent() {
    run(async |bridge| {
        let mut body = okta_user("c016");
        body["userName"] = json!("C016.Roe@Acme.example");
        let created = bridge.post("/Users", body).await.has_status(201);
        assert_eq!(read(bridge, &created.id()).await["userName"], "C016.Roe@Acme.example");
        let mut again = okta_user("c016");
        again["userName"] = json!("c016.roe@ACME.example");
        again["externalId"] = Value::Null;
        assert_eq!(bridge.post("/Users", again).await.has_status(409).scim_type(), "uniqueness");
    });
}
