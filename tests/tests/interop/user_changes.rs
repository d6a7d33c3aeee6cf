//! E. PATCH on users.

use bridge_tests::Bridge;
use serde_json::{Value, json};

use crate::{ENTERPRISE, bare_user, change, run, user};

/// Makes a user without anything, applies operations, and compares one attribute.
async fn becomes(bridge: &Bridge, name: &str, operations: Value, attribute: &str, expected: Value) {
    let id = bare_user(bridge, name).await;
    let changed = change(bridge, &id, operations).await;
    assert_eq!(changed[attribute], expected, "{attribute}");
}

#[test]
fn case_069_five_operations_in_one_request() {
    run(async |bridge| {
        let id = user(bridge, "c069").await;
        let operations = json!([
            {"op": "Replace", "path": "displayName", "value": "Jo R"},
            {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "c069-new@acme.example"},
            {"op": "Replace", "path": "userName", "value": "c069-new@acme.example"},
            {"op": "Replace", "path": "name.familyName", "value": "Rowe"},
            {"op": "Replace", "path": "name.formatted", "value": "Jo Rowe"}
        ]);
        let changed = change(bridge, &id, operations).await;
        assert_eq!(changed["displayName"], "Jo R");
        assert_eq!(changed["emails"], json!([{"value": "c069-new@acme.example", "type": "work", "primary": true}]));
        assert_eq!(changed["userName"], "c069-new@acme.example");
        assert_eq!(changed["name"], json!({"formatted": "Jo Rowe", "familyName": "Rowe", "givenName": "C069"}));
    });
}

#[test]
fn case_070_replace_of_an_absent_element_makes_it() {
    run(async |bridge| {
        let operations =
            json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "c070@x.example"}]);
        becomes(bridge, "c070", operations, "emails", json!([{"value": "c070@x.example", "type": "work"}])).await;
    });
}

#[test]
fn case_071_so_does_add() {
    run(async |bridge| {
        let operations = json!([{"op": "Add", "path": "emails[type eq \"work\"].value", "value": "c071@x.example"}]);
        becomes(bridge, "c071", operations, "emails", json!([{"value": "c071@x.example", "type": "work"}])).await;
    });
}

#[test]
fn case_072_an_absent_element_is_never_no_target() {
    run(async |bridge| {
        let operations = json!([
            {"op": "replace", "path": "phoneNumbers[type eq \"fax\"].value", "value": "1"},
            {"op": "remove", "path": "phoneNumbers[type eq \"mobile\"].value"},
            {"op": "remove", "path": "addresses[type eq \"work\"]"}
        ]);
        becomes(bridge, "c072", operations, "phoneNumbers", json!([{"value": "1", "type": "fax"}])).await;
    });
}

#[test]
fn case_073_five_parts_of_one_address_make_one_address() {
    run(async |bridge| {
        let part =
            |name: &str| json!({"op": "Add", "path": format!("addresses[type eq \"work\"].{name}"), "value": name});
        let names = ["streetAddress", "locality", "region", "postalCode", "country"];
        let id = bare_user(bridge, "c073").await;
        let changed = change(bridge, &id, names.map(part).to_vec().into()).await;
        let addresses = changed["addresses"].as_array().unwrap();
        assert_eq!(addresses.len(), 1);
        assert!(names.iter().all(|name| addresses[0][name] == *name) && addresses[0]["type"] == "work");
    });
}

#[test]
fn case_074_primary_and_type_before_the_value_make_one_element() {
    run(async |bridge| {
        let operations = json!([
            {"op": "Add", "path": "emails[type eq \"work\"].primary", "value": "true"},
            {"op": "Add", "path": "emails[type eq \"work\"].type", "value": "work"},
            {"op": "Add", "path": "emails[type eq \"work\"].value", "value": "c074@x.example"}
        ]);
        let id = bare_user(bridge, "c074").await;
        let changed = change(bridge, &id, operations).await;
        assert_eq!(changed["emails"], json!([{"value": "c074@x.example", "type": "work", "primary": true}]));
        assert_eq!((changed.get("primary"), changed.get("type")), (None, None));
    });
}

#[test]
fn case_075_any_type_is_taken() {
    run(async |bridge| {
        let operations = json!([{"op": "add", "path": "ims[type eq \"untyped\"].value", "value": "jo"}]);
        becomes(bridge, "c075", operations, "ims", json!([{"value": "jo", "type": "untyped"}])).await;
    });
}

#[test]
fn case_076_a_value_path_changes_the_number_that_is_there() {
    run(async |bridge| {
        let operations = json!([
            {"op": "add", "path": "phoneNumbers", "value": [{"type": "work", "value": "1"}, {"type": "mobile", "value": "2"}]},
            {"op": "replace", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "3"}
        ]);
        let expected = json!([{"value": "1", "type": "work"}, {"value": "3", "type": "mobile"}]);
        becomes(bridge, "c076", operations, "phoneNumbers", expected).await;
    });
}

#[test]
fn case_077_replace_without_a_path_takes_dotted_keys() {
    run(async |bridge| {
        let operations = json!([{"op": "replace", "value": {"name.givenName": "Jo", "name.familyName": "Roe"}}]);
        becomes(bridge, "c077", operations, "name", json!({"familyName": "Roe", "givenName": "Jo"})).await;
    });
}

#[test]
fn case_078_add_without_a_path_takes_dotted_keys() {
    run(async |bridge| {
        let id = user(bridge, "c078").await;
        let changed = change(bridge, &id, json!([{"op": "add", "value": {"name.givenName": "Jo"}}])).await;
        assert_eq!(changed["name"], json!({"familyName": "Roe", "givenName": "Jo"}));
    });
}

#[test]
fn case_079_a_dotted_key_makes_the_name_that_is_absent() {
    run(async |bridge| {
        let operations = json!([{"op": "add", "value": {"name.formatted": "Jo Roe"}}]);
        becomes(bridge, "c079", operations, "name", json!({"formatted": "Jo Roe"})).await;
    });
}

#[test]
fn case_080_keys_with_the_urn_of_an_extension_are_taken() {
    run(async |bridge| {
        let key = format!("{ENTERPRISE}:department");
        let operations = json!([{"op": "add", "value": {key: "R&D"}}]);
        becomes(bridge, "c080", operations, ENTERPRISE, json!({"department": "R&D"})).await;
    });
}

#[test]
fn case_081_the_dialect_with_the_flag_is_taken_in_full() {
    run(async |bridge| {
        let id = user(bridge, "c081").await;
        let operations = json!([
            {"op": "replace", "value": {
                "displayName": "Jo R", "active": false, "name.familyName": "Rowe", "title": "Lead",
                format!("{ENTERPRISE}:department"): "R&D", format!("{ENTERPRISE}:manager"): "u9"
            }},
            {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "c081-new@acme.example"}
        ]);
        let changed = change(bridge, &id, operations).await;
        assert_eq!(
            (&changed["displayName"], &changed["active"], &changed["title"]),
            (&json!("Jo R"), &json!(false), &json!("Lead"))
        );
        assert_eq!(changed["name"], json!({"familyName": "Rowe", "givenName": "C081"}));
        assert_eq!(changed[ENTERPRISE]["department"], "R&D");
        assert_eq!(changed[ENTERPRISE]["manager"]["value"], "u9");
        assert_eq!(changed["emails"][0]["value"], "c081-new@acme.example");
    });
}

#[test]
fn case_082_the_path_of_the_manager_is_read_with_its_dot_and_colon() {
    run(async |bridge| {
        let operations = json!([{"op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": {"value": "u9"}}]);
        becomes(bridge, "c082", operations, ENTERPRISE, json!({"manager": {"value": "u9"}})).await;
    });
}

#[test]
fn case_083_so_is_that_of_its_value() {
    run(async |bridge| {
        let operations = json!([{"op": "replace", "path": format!("{ENTERPRISE}:manager.value"), "value": "u9"}]);
        becomes(bridge, "c083", operations, ENTERPRISE, json!({"manager": {"value": "u9"}})).await;
    });
}

#[test]
fn case_084_one_part_of_a_name_leaves_the_others() {
    run(async |bridge| {
        let id = user(bridge, "c084").await;
        let operations = json!([{"op": "replace", "path": "name.formatted", "value": "Jo Roe"}]);
        let expected = json!({"formatted": "Jo Roe", "familyName": "Roe", "givenName": "C084"});
        assert_eq!(change(bridge, &id, operations).await["name"], expected);
    });
}

#[test]
fn case_085_a_name_with_some_parts_is_merged() {
    run(async |bridge| {
        let id = user(bridge, "c085").await;
        for operation in [
            json!([{"op": "replace", "path": "name", "value": {"givenName": "Jo"}}]),
            json!([{"op": "replace", "value": {"name": {"givenName": "Jo"}}}]),
        ] {
            assert_eq!(change(bridge, &id, operation).await["name"], json!({"familyName": "Roe", "givenName": "Jo"}));
        }
    });
}

#[test]
fn case_086_a_manager_is_stored_from_a_bare_id() {
    run(async |bridge| {
        let operations = json!([{"op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": "u9"}]);
        becomes(bridge, "c086", operations, ENTERPRISE, json!({"manager": {"value": "u9"}})).await;
    });
}

#[test]
fn case_087_so_it_is_in_a_post_and_a_replace() {
    run(async |bridge| {
        let mut body = bridge_tests::samples::entra_user("c087");
        body[ENTERPRISE]["manager"] = json!("u8");
        let created = bridge.post("/Users", body).await.has_status(201);
        assert_eq!(created.body[ENTERPRISE]["manager"], json!({"value": "u8"}));
        let operations = json!([{"op": "Replace", "path": format!("{ENTERPRISE}:manager"), "value": "u9"}]);
        assert_eq!(change(bridge, &created.id(), operations).await[ENTERPRISE]["manager"], json!({"value": "u9"}));
    });
}

#[test]
fn case_088_a_manager_is_shown_as_an_object() {
    run(async |bridge| {
        for (number, value) in
            [json!("u9"), json!({"value": "u9"}), json!([{"$ref": null, "value": "u9"}])].into_iter().enumerate()
        {
            let operations = json!([{"op": "Replace", "path": format!("{ENTERPRISE}:manager"), "value": value}]);
            becomes(bridge, &format!("c088-{number}"), operations, ENTERPRISE, json!({"manager": {"value": "u9"}}))
                .await;
        }
    });
}

#[test]
fn case_089_a_manager_is_shown_under_the_enterprise_urn() {
    run(async |bridge| {
        let mut body = bridge_tests::samples::entra_user("c089");
        body["manager"] = json!({"value": "u9"});
        let created = bridge.post("/Users", body).await.has_status(201);
        assert_eq!(created.body.get("manager"), None);
        assert_eq!(created.body[ENTERPRISE]["manager"]["value"], "u9");
    });
}

#[test]
fn case_090_a_path_without_the_urn_means_the_enterprise_manager() {
    run(async |bridge| {
        let operations = json!([{"op": "Add", "path": "manager", "value": "u9"}]);
        becomes(bridge, "c090", operations, ENTERPRISE, json!({"manager": {"value": "u9"}})).await;
    });
}

#[test]
fn case_091_roles_may_be_plain_texts() {
    run(async |bridge| {
        let operations = json!([{"op": "Add", "path": "roles", "value": ["Admin", "User"]}]);
        becomes(bridge, "c091", operations, "roles", json!([{"value": "Admin"}, {"value": "User"}])).await;
    });
}

#[test]
fn case_092_a_role_may_be_json_inside_a_text() {
    run(async |bridge| {
        let text = r#"{"id":"4711","value":"Admin","displayName":"Administrator"}"#;
        let operations = json!([{"op": "Add", "path": "roles", "value": [{"value": text}]}]);
        becomes(bridge, "c092", operations, "roles", json!([{"value": "Admin", "display": "Administrator"}])).await;
    });
}

#[test]
fn case_093_the_primary_role_is_replaced_and_no_second_one_made() {
    run(async |bridge| {
        let id = bare_user(bridge, "c093").await;
        let role = |value: &str| json!([{"op": "replace", "path": "roles[primary eq \"True\"].value", "value": value}]);
        for value in ["Admin", "User"] {
            assert_eq!(change(bridge, &id, role(value)).await["roles"], json!([{"value": value, "primary": true}]));
        }
    });
}

#[test]
fn case_094_remove_with_a_plain_path_clears() {
    run(async |bridge| {
        let id = user(bridge, "c094").await;
        let changed =
            change(bridge, &id, json!([{"op": "remove", "path": "displayName"}, {"op": "Remove", "path": "emails"}]))
                .await;
        assert_eq!((changed.get("displayName"), changed.get("emails")), (None, None));
    });
}

#[test]
fn case_095_a_patch_is_answered_with_the_user() {
    run(async |bridge| {
        let id = user(bridge, "c095").await;
        let operations = json!([{"op": "replace", "path": "title", "value": "Lead"}]);
        let answer = bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
        assert_eq!((answer.id(), &answer.body["title"]), (id, &json!("Lead")));
        assert_eq!(answer.body.get("Operations"), None);
    });
}

#[test]
fn case_096_add_to_a_list_appends() {
    run(async |bridge| {
        let id = user(bridge, "c096").await;
        let operations =
            json!([{"op": "add", "path": "emails", "value": [{"type": "home", "value": "c096@home.example"}]}]);
        let emails = change(bridge, &id, operations).await["emails"].clone();
        let values: Vec<&Value> = emails.as_array().unwrap().iter().map(|email| &email["value"]).collect();
        assert_eq!(values, ["c096@acme.example", "c096@home.example"]);
    });
}

#[test]
fn case_097_the_value_may_be_a_list_an_object_or_a_text() {
    run(async |bridge| {
        let forms = [json!([{"value": "Admin"}]), json!({"value": "Admin"}), json!("Admin"), json!(["Admin"])];
        for (number, value) in forms.into_iter().enumerate() {
            let operations = json!([{"op": "replace", "path": "roles", "value": value}]);
            becomes(bridge, &format!("c097-{number}"), operations, "roles", json!([{"value": "Admin"}])).await;
        }
    });
}

#[test]
fn case_098_an_empty_text_and_null_unassign_everything_optional() {
    run(async |bridge| {
        let paths = [
            "displayName",
            "title",
            "preferredLanguage",
            "nickName",
            "userType",
            "locale",
            "timezone",
            "name.formatted",
            "name.givenName",
            "name.familyName",
            "externalId",
            "emails[type eq \"work\"].value",
            "phoneNumbers[type eq \"work\"].value",
            "addresses[type eq \"work\"].formatted",
            "addresses[type eq \"work\"].country",
        ];
        let enterprise = ["department", "employeeNumber", "manager"].map(|name| format!("{ENTERPRISE}:{name}"));
        let paths: Vec<&str> = paths.into_iter().chain(enterprise.iter().map(String::as_str)).collect();
        let all = |value: Value| -> Value {
            let operation = |path: &&str| json!({"op": "replace", "path": path, "value": value});
            paths.iter().map(operation).collect()
        };
        let id = bare_user(bridge, "c098").await;
        let bare = change(bridge, &id, json!([{"op": "replace", "path": "active", "value": true}])).await;
        for unassigned in [json!(""), Value::Null] {
            change(bridge, &id, all(json!("c098@x.example"))).await;
            let mut cleared = change(bridge, &id, all(unassigned)).await;
            cleared["meta"] = bare["meta"].clone();
            assert_eq!(cleared, bare);
        }
    });
}
