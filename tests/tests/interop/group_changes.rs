//! F. Groups.

use bridge_tests::{Bridge, replay};
use serde_json::{Value, json};

use crate::{GROUP, change_group, found, group, members, read, run, user};

/// A PATCH of one operation on the members of a new group of `u1` and `u2`; what is left of them.
async fn left(bridge: &Bridge, name: &str, operation: Value) -> Vec<String> {
    let id = group(bridge, name, &["u1", "u2"]).await;
    change_group(bridge, &id, json!([operation])).await
}

fn put_body(name: &str, members: &Value) -> Value {
    json!({"schemas": [GROUP], "displayName": name, "members": members})
}

#[test]
fn case_099_remove_with_a_list_removes_only_those() {
    run(async |bridge| {
        let operation = json!({"op": "Remove", "path": "members", "value": [{"value": "u1"}]});
        assert_eq!(left(bridge, "c099", operation).await, ["u2"]);
    });
}

#[test]
fn case_100_remove_with_a_value_is_not_refused() {
    run(async |bridge| {
        let operation = json!({"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "u1"}]});
        assert_eq!(left(bridge, "c100", operation).await, ["u2"]);
    });
}

#[test]
fn case_101_members_are_compared_by_their_id_alone() {
    run(async |bridge| {
        let value = json!([{"value": "u1", "display": "Somebody", "type": "User", "$ref": "https://elsewhere.example/Users/u1"}]);
        assert_eq!(left(bridge, "c101", json!({"op": "Remove", "path": "members", "value": value})).await, ["u2"]);
    });
}

#[test]
fn case_102_remove_in_any_form_of_value_has_an_effect() {
    run(async |bridge| {
        for (number, value) in
            [json!([{"value": "u1"}]), json!({"value": "u1"}), json!("u1"), json!(["u1"])].into_iter().enumerate()
        {
            let operation = json!({"op": "remove", "path": "members", "value": value});
            assert_eq!(left(bridge, &format!("c102-{number}"), operation).await, ["u2"]);
        }
    });
}

#[test]
fn case_103_remove_by_filter_removes() {
    run(async |bridge| {
        let operation = json!({"op": "remove", "path": "members[value eq \"u1\"]"});
        assert_eq!(left(bridge, "c103", operation).await, ["u2"]);
    });
}

#[test]
fn case_104_who_was_removed_can_be_added_again() {
    run(async |bridge| {
        let id = group(bridge, "c104", &["u1"]).await;
        let add = json!([{"op": "add", "path": "members", "value": [{"value": "u1"}]}]);
        for remove in
            [json!({"op": "remove", "path": "members[value eq \"u1\"]"}), json!({"op": "Remove", "path": "members"})]
        {
            assert_eq!(change_group(bridge, &id, json!([remove])).await, [""; 0]);
            assert_eq!(change_group(bridge, &id, add.clone()).await, ["u1"]);
        }
    });
}

#[test]
fn case_105_an_id_without_quotes_removes_that_member_alone() {
    run(async |bridge| {
        let id = group(bridge, "c105", &["u1", "u2"]).await;
        let operations = json!([{"op": "remove", "path": "members[value eq u1]"}]);
        let answer = bridge.patch(&format!("/Groups/{id}"), operations).await;
        assert_eq!((answer.status, members(bridge, &id).await), (204, vec!["u2".to_owned()]));
    });
}

#[test]
fn case_106_several_removals_in_one_request_remove_exactly_those() {
    run(async |bridge| {
        let id = group(bridge, "c106", &["u1", "u2", "u3", "u4", "u5"]).await;
        let operations: Value = ["u1", "u3", "u4"]
            .iter()
            .map(|member| json!({"op": "remove", "path": format!("members[value eq \"{member}\"]")}))
            .collect();
        assert_eq!(change_group(bridge, &id, operations).await, ["u2", "u5"]);
    });
}

#[test]
fn case_107_who_is_a_member_already_is_not_added_twice() {
    run(async |bridge| {
        let id = group(bridge, "c107", &["u1"]).await;
        let operations = json!([{"op": "Add", "path": "members", "value": [{"value": "u1"}, {"value": "u1"}]}]);
        assert_eq!(change_group(bridge, &id, operations).await, ["u1"]);
    });
}

#[test]
fn case_108_nor_is_that_a_conflict_by_put() {
    run(async |bridge| {
        let id = group(bridge, "c108", &["u1"]).await;
        let body = put_body("c108", &json!([{"value": "u1"}, {"value": "u1"}]));
        bridge.put(&format!("/Groups/{id}"), body).await.has_status(200);
        assert_eq!(members(bridge, &id).await, ["u1"]);
    });
}

#[test]
fn case_109_nor_a_failure_for_a_member_that_is_a_user() {
    run(async |bridge| {
        let member = user(bridge, "c109").await;
        let id = group(bridge, "c109", &[&member]).await;
        let operations = json!([{"op": "add", "path": "members", "value": [{"value": member, "display": "Jo"}]}]);
        assert_eq!(change_group(bridge, &id, operations).await, [member]);
    });
}

#[test]
fn case_110_an_empty_list_empties_the_group() {
    run(async |bridge| {
        let operation = json!({"op": "replace", "path": "members", "value": []});
        assert_eq!(left(bridge, "c110", operation).await, [""; 0]);
    });
}

#[test]
fn case_111_a_list_replaces_the_members() {
    run(async |bridge| {
        let operation = json!({"op": "replace", "path": "members", "value": [{"value": "u2"}, {"value": "u3"}]});
        assert_eq!(left(bridge, "c111", operation).await, ["u2", "u3"]);
    });
}

#[test]
fn case_112_members_are_replaced_without_a_path() {
    run(async |bridge| {
        let operation = json!({"op": "replace", "value": {"members": [{"value": "u3"}]}});
        assert_eq!(left(bridge, "c112", operation).await, ["u3"]);
    });
}

#[test]
fn case_113_a_rename_may_carry_the_id() {
    run(async |bridge| {
        let id = group(bridge, "c113", &["u1"]).await;
        let operations = json!([{"op": "replace", "value": {"id": id, "displayName": "c113 new"}}]);
        assert_eq!(change_group(bridge, &id, operations).await, ["u1"]);
        assert_eq!(found(bridge, "/Groups", "displayName eq \"c113 new\"").await, [id]);
    });
}

#[test]
fn case_114_what_names_no_members_changes_none() {
    run(async |bridge| {
        let id = group(bridge, "c114", &["u1", "u2"]).await;
        for operation in [
            json!({"op": "replace", "path": "displayName", "value": "c114 new"}),
            json!({"op": "replace", "path": "externalId", "value": "7d3b"}),
            json!({"op": "replace", "value": {"externalId": "9e1f", "displayName": "c114 newer"}}),
            json!({"op": "remove", "path": "externalId"}),
        ] {
            assert_eq!(change_group(bridge, &id, json!([operation])).await, ["u1", "u2"]);
        }
    });
}

#[test]
fn case_115_what_is_malformed_never_means_remove_all() {
    run(async |bridge| {
        let id = group(bridge, "c115", &["u1", "u2"]).await;
        let malformed = [
            json!([{}]),
            json!([{"display": "Jo"}]),
            json!([[]]),
            json!([null]),
            json!([""]),
            json!(true),
            json!({"members": []}),
        ];
        for value in malformed {
            for operation in ["add", "replace", "remove"] {
                let operations = json!([{"op": operation, "path": "members", "value": value}]);
                let answer = bridge.patch(&format!("/Groups/{id}"), operations).await;
                let refused = (answer.status, answer.scim_type());
                assert_eq!(refused, (400, "invalidValue"), "{operation} {value}: {}", answer.body);
                assert_eq!(members(bridge, &id).await, ["u1", "u2"], "{operation} {value}");
            }
        }
    });
}

#[test]
fn case_116_members_that_are_excluded_are_not_shown_as_a_key_either() {
    run(async |bridge| {
        let id = group(bridge, "c116", &["u1"]).await;
        for path in [
            format!("/Groups/{id}?excludedAttributes=members"),
            format!("/Groups/{id}?excludedAttributes=externalId,Members"),
        ] {
            let shown = bridge.get(&path).await.has_status(200);
            assert_eq!(shown.body.get("members"), None, "{path}");
        }
    });
}

#[test]
fn case_117_members_come_one_by_one_after_reads_without_members() {
    run(async |bridge| {
        let id = group(bridge, "c117", &[]).await;
        for member in ["u1", "u2", "u3"] {
            let shown = bridge.get(&format!("/Groups/{id}?excludedAttributes=members")).await.has_status(200);
            assert_eq!(shown.body.get("members"), None);
            let operations = json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": member}]}]);
            let answer = bridge.patch(&format!("/Groups/{id}"), operations).await.has_status(204);
            assert!(answer.body.is_null(), "no members in the answer of a PATCH");
        }
        assert_eq!(members(bridge, &id).await, ["u1", "u2", "u3"]);
    });
}

#[test]
fn case_118_three_groups_stay_three_groups() {
    run(async |bridge| {
        let mut ids = Vec::new();
        for number in 1..=3 {
            let body = json!({"schemas": [GROUP], "displayName": format!("c118 {number}"), "externalId": format!("c118-{number}")});
            ids.push(bridge.post("/Groups", body).await.has_status(201).id());
        }
        assert_eq!(found(bridge, "/Groups", "displayName sw \"c118\"").await, ids);
        assert_eq!(found(bridge, "/Groups", "externalId eq \"c118-2\"").await, ids[1..2]);
    });
}

#[test]
fn case_119_twenty_parallel_additions_make_twenty_members() {
    run(async |bridge| {
        let id = group(bridge, "c119", &[]).await;
        let expected: Vec<String> = (0..20).map(|number| format!("u{number:02}")).collect();
        let path = format!("/Groups/{id}");
        let adds = expected
            .iter()
            .chain(&expected)
            .map(|member| bridge.patch(&path, json!([{"op": "Add", "path": "members", "value": [{"value": member}]}])));
        for answer in futures_util::future::join_all(adds).await {
            answer.has_status(204);
        }
        assert_eq!(members(bridge, &id).await, expected);
    });
}

#[test]
fn case_120_more_keys_than_known_do_no_harm() {
    run(async |bridge| {
        let operation = json!({"op": "Add", "path": "members", "name": "x", "id": 7, "value": [{"displayName": "Jo", "value": "u3"}]});
        assert_eq!(left(bridge, "c120", operation).await, ["u1", "u2", "u3"]);
    });
}

#[test]
fn case_121_a_member_may_be_a_bare_id() {
    run(async |bridge| {
        assert_eq!(
            left(bridge, "c121a", json!({"op": "add", "path": "members", "value": "u3"})).await,
            ["u1", "u2", "u3"]
        );
        let created = bridge.post("/Groups", put_body("c121b", &json!(["u1", "u2"]))).await.has_status(201);
        assert_eq!(members(bridge, &created.id()).await, ["u1", "u2"]);
    });
}

#[test]
fn case_122_a_member_without_a_type_is_found_by_its_id() {
    run(async |bridge| {
        let member = user(bridge, "c122").await;
        let inner = group(bridge, "c122 inner", &[]).await;
        let id = group(bridge, "c122", &[&member, &inner]).await;
        let shown = bridge.get(&format!("/Groups/{id}")).await.body["members"].clone();
        let types: Vec<(&Value, &Value)> =
            shown.as_array().unwrap().iter().map(|member| (&member["value"], &member["type"])).collect();
        assert_eq!(types, [(&json!(member), &json!("User")), (&json!(inner), &json!("Group"))]);
        assert_eq!(read(bridge, &member).await["groups"][0]["value"], id.as_str());
    });
}

#[test]
fn case_123_neither_display_nor_schemas_is_needed() {
    run(async |bridge| {
        let id = group(bridge, "c123", &[]).await;
        let path = format!("/Groups/{id}");
        bridge.put(&path, json!({"displayName": "c123", "members": [{"value": "u1"}]})).await.has_status(200);
        let body = json!({"Operations": [{"op": "add", "path": "members", "value": [{"value": "u2"}]}]});
        let request = bridge.request(reqwest::Method::PATCH, &path).header("Content-Type", "application/scim+json");
        bridge_tests::Answer::of(request.body(body.to_string())).await.has_status(204);
        assert_eq!(members(bridge, &id).await, ["u1", "u2"]);
    });
}

#[test]
fn case_124_a_group_is_no_conflict_with_itself() {
    run(async |bridge| {
        let id = group(bridge, "c124", &["u1"]).await;
        bridge.put(&format!("/Groups/{id}"), put_body("c124", &json!([{"value": "u1"}]))).await.has_status(200);
        bridge.put(&format!("/Groups/{id}"), put_body("C124", &json!([{"value": "u1"}]))).await.has_status(200);
    });
}

#[test]
fn case_125_a_rename_by_put_leaves_the_members() {
    run(async |bridge| {
        let id = group(bridge, "c125", &["u1", "u2"]).await;
        let path = format!("/Groups/{id}");
        let members_with_null = json!([{"value": "u1", "display": null}, {"value": "u2", "display": null}]);
        bridge.put(&path, put_body("c125 new", &members_with_null)).await.has_status(200);
        bridge.put(&path, json!({"schemas": [GROUP], "id": id, "displayName": "c125 newer"})).await.has_status(200);
        assert_eq!(members(bridge, &id).await, ["u1", "u2"]);
        assert_eq!(found(bridge, "/Groups", "displayName eq \"c125 newer\"").await, [id]);
    });
}

#[test]
fn case_126_a_put_changes_name_and_members() {
    run(async |bridge| {
        let id = group(bridge, "c126", &["u1", "u2"]).await;
        let replaced =
            bridge.put(&format!("/Groups/{id}"), put_body("c126 new", &json!([{"value": "u3"}]))).await.has_status(200);
        assert_eq!(replaced.body["displayName"], "c126 new");
        assert_eq!(members(bridge, &id).await, ["u3"]);
    });
}

#[test]
fn case_127_members_are_taken_from_every_client() {
    run(async |bridge| {
        for (number, agent) in ["Okta SCIM Client 1.0.0", "curl/8.0", ""].into_iter().enumerate() {
            let body = put_body(&format!("c127 {number}"), &json!([{"value": "u1"}]));
            let send = async |method: reqwest::Method, path: &str, body: &Value| {
                let request = bridge
                    .request(method, path)
                    .header("Content-Type", "application/scim+json")
                    .header("User-Agent", agent);
                bridge_tests::Answer::of(request.body(body.to_string())).await
            };
            let id = send(reqwest::Method::POST, "/Groups", &body).await.has_status(201).id();
            assert_eq!(members(bridge, &id).await, ["u1"], "{agent}");
            let body = put_body(&format!("c127 {number}"), &json!([{"value": "u2"}]));
            send(reqwest::Method::PUT, &format!("/Groups/{id}"), &body).await.has_status(200);
            assert_eq!(members(bridge, &id).await, ["u2"], "{agent}");
        }
    });
}

#[test]
fn case_128_a_name_that_is_there_is_a_conflict_and_can_be_linked() {
    run(async |bridge| {
        let id = group(bridge, "c128", &["u1"]).await;
        let refused = bridge.post("/Groups", put_body("c128", &json!([]))).await.has_status(409);
        assert_eq!(refused.scim_type(), "uniqueness");
        assert_eq!(found(bridge, "/Groups", "displayName eq \"c128\"").await, [id.as_str()]);
        let operations = json!([{"op": "replace", "path": "members", "value": [{"value": "u2"}]}]);
        assert_eq!(change_group(bridge, &id, operations).await, ["u2"]);
    });
}

#[test]
fn case_129_unknown_members_are_kept_and_a_failing_replace_leaves_the_old_ones() {
    run(async |bridge| {
        let id = group(bridge, "c129", &["u1"]).await;
        let bad = json!([{"op": "replace", "path": "members", "value": [{"value": "u2"}, {"display": "nobody"}]}]);
        bridge.patch(&format!("/Groups/{id}"), bad).await.has_status(400);
        assert_eq!(members(bridge, &id).await, ["u1"]);
        let all_unknown = json!([{"op": "replace", "path": "members", "value": [{"value": "not-yet"}]}]);
        assert_eq!(change_group(bridge, &id, all_unknown).await, ["not-yet"]);
    });
}

#[test]
fn case_130_mistakes_in_a_patch_are_4xx() {
    run(async |bridge| {
        let id = group(bridge, "c130", &["u1"]).await;
        for operations in [
            json!([]),
            json!([{"op": "move", "path": "members"}]),
            json!([{"op": "add", "path": "members[", "value": []}]),
            json!([{"op": "remove"}]),
            json!([{"op": "replace", "path": "displayName", "value": {"a": 1}}]),
            json!([{"op": "add", "path": "members", "value": [{"value": {"a": 1}}]}]),
            json!("add"),
            Value::Null,
        ] {
            let answer = bridge.patch(&format!("/Groups/{id}"), operations.clone()).await;
            assert_eq!(answer.status, 400, "{operations}: {}", answer.body);
        }
        bridge.patch("/Groups/unknown", json!([{"op": "remove", "path": "members"}])).await.has_status(404);
        assert_eq!(members(bridge, &id).await, ["u1"]);
    });
}

#[test]
fn case_131_the_answer_to_a_patch_is_that_of_the_new_state() {
    run(async |bridge| {
        let id = group(bridge, "c131", &[]).await;
        let operations = json!([{"op": "add", "path": "members", "value": [{"value": "u1"}]}]);
        let answer = bridge.patch(&format!("/Groups/{id}?attributes=members,meta"), operations).await.has_status(200);
        let shown = bridge.get(&format!("/Groups/{id}")).await;
        assert_eq!(answer.body["members"], json!([{"value": "u1"}]));
        assert_eq!(answer.body["meta"]["version"], shown.body["meta"]["version"]);
        assert_eq!(answer.header("etag"), shown.header("etag"));
    });
}

#[tokio::test]
async fn case_132_rippling_makes_a_group_and_then_fills_it() {
    replay::replay("others", "rippling_groups").await;
}

#[tokio::test]
async fn case_133_onelogin_sends_empty_parameters_legacy_urns_and_patches() {
    replay::replay("others", "onelogin_user").await;
    replay::replay("others", "onelogin_group").await;
}

#[test]
fn case_134_a_whole_group_without_a_path_may_carry_its_ids() {
    run(async |bridge| {
        let id = group(bridge, "c134", &["u1"]).await;
        let whole = json!({"schemas": [GROUP], "id": id, "externalId": "ak-134", "displayName": "c134 new"});
        assert_eq!(change_group(bridge, &id, json!([{"op": "replace", "value": whole}])).await, ["u1"]);
        assert_eq!(found(bridge, "/Groups", "externalId eq \"ak-134\" and displayName eq \"c134 new\"").await, [id]);
    });
}

#[test]
fn case_135_an_empty_list_by_put_empties_the_group() {
    run(async |bridge| {
        let id = group(bridge, "c135", &["u1", "u2"]).await;
        assert_eq!(members(bridge, &id).await, ["u1", "u2"]);
        bridge.put(&format!("/Groups/{id}"), put_body("c135", &json!([]))).await.has_status(200);
        assert_eq!(members(bridge, &id).await, [""; 0]);
    });
}

#[test]
fn case_136_more_than_a_hundred_members_fit_in_one_request() {
    run(async |bridge| {
        let all: Vec<String> = (0..250).map(|number| format!("u{number:03}")).collect();
        let values: Value = all.iter().map(|member| json!({"value": member})).collect();
        let id = group(bridge, "c136", &[]).await;
        bridge.put(&format!("/Groups/{id}"), put_body("c136", &values)).await.has_status(200);
        assert_eq!(members(bridge, &id).await, all);
        let removals: Value = all
            .iter()
            .map(|member| json!({"op": "remove", "path": format!("members[value eq \"{member}\"]")}))
            .collect();
        assert_eq!(change_group(bridge, &id, removals).await, [""; 0]);
        assert_eq!(change_group(bridge, &id, json!([{"op": "add", "path": "members", "value": values}])).await, all);
    });
}

#[test]
fn case_137_whoever_is_told_of_a_conflict_finds_it() {
    run(async |bridge| {
        let name = "c137 \"R&D\" +1";
        let id = group(bridge, name, &[]).await;
        bridge.post("/Groups", put_body(&name.to_uppercase(), &json!([]))).await.has_status(409);
        assert_eq!(found(bridge, "/Groups", r#"displayName eq "C137 \"R&D\" +1""#).await, [id]);
        let id = user(bridge, "c137").await;
        let mut body = bridge_tests::samples::okta_user("c137");
        body["userName"] = json!("C137@ACME.EXAMPLE");
        bridge.post("/Users", body).await.has_status(409);
        assert_eq!(found(bridge, "/Users", "userName eq \"C137@ACME.EXAMPLE\"").await, [id]);
    });
}
