//! B. Connection, media types, lists.

use std::process::Command;
use std::time::Duration;

use bridge_server::clock::Clock;
use bridge_tests::replay::{SCIM_JSON, check_always};
use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup, replay};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{found, read, run, search, user};

#[test]
fn case_017_numbers_in_a_list_are_integers() {
    run(async |bridge| {
        user(bridge, "c017").await;
        let listed = bridge.get("/Users?startIndex=1&count=2").await.has_status(200);
        for name in ["totalResults", "startIndex", "itemsPerPage"] {
            assert!(listed.body[name].is_u64(), "{name} is {}", listed.body[name]);
        }
        assert_eq!(listed.body["startIndex"], 1);
    });
}

#[test]
fn case_018_items_per_page_is_what_the_page_holds() {
    run(async |bridge| {
        user(bridge, "c018").await;
        for (path, expected) in [
            ("/Users?count=50&filter=userName+sw+%22c018%22", 1),
            ("/Users?count=50&filter=userName+sw+%22nobody%22", 0),
            ("/Users?count=0&filter=userName+sw+%22c018%22", 0),
        ] {
            let listed = bridge.get(path).await.has_status(200);
            assert_eq!(listed.body["itemsPerPage"], expected, "{path}");
            assert_eq!(listed.body["Resources"].as_array().unwrap().len(), expected, "{path}");
        }
    });
}

#[test]
fn case_019_total_results_counts_all_pages() {
    run(async |bridge| {
        for name in ["c019a", "c019b", "c019c"] {
            user(bridge, name).await;
        }
        for start in 1..=3 {
            let path = format!("/Users?startIndex={start}&count=1&filter=userName+sw+%22c019%22");
            let listed = bridge.get(&path).await.has_status(200);
            assert_eq!((&listed.body["totalResults"], &listed.body["itemsPerPage"]), (&json!(3), &json!(1)));
        }
    });
}

#[tokio::test]
async fn case_020_250_users_are_read_in_pages_of_100_to_the_last() {
    replay::replay("okta", "import_three_pages").await;
}

#[test]
fn case_021_a_page_past_the_end_is_empty() {
    run(async |bridge| {
        user(bridge, "c021").await;
        let listed = bridge.get("/Users?startIndex=100000&count=10").await.has_status(200);
        assert_eq!(listed.body["Resources"], json!([]));
        assert!(listed.body["totalResults"].as_u64().unwrap() > 0);
    });
}

#[test]
fn case_022_a_list_needs_no_parameter() {
    run(async |bridge| {
        user(bridge, "c022").await;
        for path in ["/Users", "/Groups"] {
            bridge.get(path).await.has_status(200).body["Resources"].as_array().unwrap();
        }
    });
}

#[test]
fn case_023_a_filter_without_a_hit_is_an_empty_list() {
    run(async |bridge| {
        for endpoint in ["/Users", "/Groups"] {
            assert_eq!(found(bridge, endpoint, "displayName eq \"b5c1f0c4-nobody\"").await, [""; 0]);
        }
    });
}

#[test]
fn case_024_a_slash_before_the_question_mark_is_the_collection() {
    run(async |bridge| {
        let id = user(bridge, "c024").await;
        let listed = bridge.get("/Users/?filter=DisplayName+eq+%22C024+Roe%22").await.has_status(200);
        assert_eq!(listed.body["Resources"][0]["id"], id);
        assert_eq!(listed.body["totalResults"], 1);
    });
}

#[test]
fn case_025_what_a_client_accepts_is_not_held_against_it() {
    run(async |bridge| {
        let id = user(bridge, "c025").await;
        for accept in ["application/json", "text/html", "*/*", "application/scim+json;q=0.5", "nonsense"] {
            let request = bridge.request(Method::GET, &format!("/Users/{id}")).header("Accept", accept);
            Answer::of(request).await.has_status(200);
        }
    });
}

#[test]
fn case_026_scim_json_with_a_charset_is_understood_and_answered() {
    run(async |bridge| {
        let request = bridge.request(Method::POST, "/Users");
        let request = request.header("Content-Type", "application/scim+json; charset=utf-8");
        let created = Answer::of(request.body(okta_user("c026").to_string())).await.has_status(201);
        assert_eq!(created.header("content-type"), SCIM_JSON);
    });
}

#[test]
fn case_027_every_answer_with_a_body_is_scim_json() {
    run(async |bridge| {
        let id = user(bridge, "c027").await;
        let answers = [
            bridge.get(&format!("/Users/{id}")).await.has_status(200),
            bridge.get("/Users/nobody").await.has_status(404),
            bridge.get("/ServiceProviderConfig").await.has_status(200),
            bridge.get("/Schemas").await.has_status(200),
            bridge.post("/Users", okta_user("c027")).await.has_status(409),
            bridge.post("/Users", json!({})).await.has_status(400),
            search(bridge, "/Users", "userName is \"x\"").await.has_status(400),
        ];
        for answer in answers {
            assert_eq!(answer.header("content-type"), SCIM_JSON);
        }
    });
}

#[test]
fn case_028_both_media_types_are_parsed() {
    run(async |bridge| {
        for (name, media) in [("c028a", "application/scim+json"), ("c028b", "application/json")] {
            let post = bridge.request(Method::POST, "/Users").header("Content-Type", media);
            let id = Answer::of(post.body(okta_user(name).to_string())).await.has_status(201).id();
            let put = bridge.request(Method::PUT, &format!("/Users/{id}")).header("Content-Type", media);
            Answer::of(put.body(okta_user(name).to_string())).await.has_status(200);
        }
    });
}

#[test]
fn case_029_the_base_address_works_with_and_without_a_slash_at_its_end() {
    run(async |bridge| {
        let id = user(bridge, "c029").await;
        for path in [format!("/Users/{id}"), format!("/Users/{id}/"), format!("//Users/{id}")] {
            assert_eq!(bridge.get(&path).await.has_status(200).id(), id, "{path}");
        }
        for path in ["", "/"] {
            check_always(&bridge.get(path).await, path);
        }
    });
}

#[tokio::test]
async fn case_030_a_wrong_or_expired_token_is_refused_in_scim_json() {
    let clock = Clock::hand_set(Clock::system().now());
    let bridge = Bridge::with(Setup { clock: clock.clone(), ..Setup::default() }).await;
    let file = bridge.folder().join("bridge.toml");
    std::fs::write(&file, bridge.file()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bridge-under-test"));
    command.args(["token", "new", "--label", "short", "--expires", "1h", "--json", "--config"]).arg(&file);
    let made: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let expiring = made["token"].as_str().unwrap();
    let ask = async |token: &str| {
        let request = reqwest::Client::new().get(format!("{}/Users", bridge.scim_url())).bearer_auth(token);
        Answer::of(request.header("Accept", "text/html")).await
    };
    ask(expiring).await.has_status(200);
    clock.advance(Duration::from_secs(2 * 3600));
    for token in [expiring, "wrong", "scimb_0000000000000000000000000000000000000000000", ""] {
        let refused = ask(token).await.has_status(401);
        assert!(!refused.body.is_null(), "{token}");
        check_always(&refused, token);
    }
    bridge.get("/Users").await.has_status(200);
    bridge.stop().await;
}

#[test]
fn case_031_every_error_has_the_error_schema() {
    run(async |bridge| {
        let answers = [
            bridge.get("/Nothing").await.has_status(404),
            bridge.get("/Users/x/y/z").await.has_status(404),
            bridge.delete("/Users").await.has_status(405),
            bridge.get("/Users/%00").await,
        ];
        for answer in answers {
            assert!(answer.status >= 400);
            check_always(&answer, "an error");
        }
    });
}

#[test]
fn case_032_an_error_is_flat() {
    run(async |bridge| {
        let refused = bridge.post("/Users", json!({"schemas": ["urn:x"]})).await.has_status(400);
        let error = refused.body.as_object().unwrap();
        assert!(error.values().all(|value| value.is_string() || value.is_array()), "{error:?}");
        for name in ["schemas", "status", "scimType", "detail"] {
            assert!(error.contains_key(name), "no {name} in {error:?}");
        }
    });
}

#[test]
fn case_033_what_is_no_json_is_refused_in_json() {
    run(async |bridge| {
        for body in ["<user/>", "", "{", "[1, 2", "\u{feff}"] {
            let request = bridge.request(Method::POST, "/Users").header("Content-Type", "application/scim+json");
            let refused = Answer::of(request.body(body)).await.has_status(400);
            assert_eq!(refused.scim_type(), "invalidSyntax", "{body:?}");
        }
    });
}

#[test]
fn case_034_discovery_is_there_with_real_content() {
    run(async |bridge| {
        let config = bridge.get("/ServiceProviderConfig").await.has_status(200);
        for name in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
            assert!(config.body[name]["supported"].is_boolean(), "{name}");
        }
        assert!(config.body["authenticationSchemes"].is_array());
        for path in ["/ResourceTypes", "/Schemas"] {
            let listed = bridge.get(path).await.has_status(200);
            assert!(listed.body["totalResults"].as_u64().unwrap() >= 2, "{path}");
        }
        let types = bridge.get("/ResourceTypes").await;
        let endpoints: Vec<&Value> =
            types.body["Resources"].as_array().unwrap().iter().map(|kind| &kind["endpoint"]).collect();
        assert_eq!(endpoints, ["/Users", "/Groups"]);
    });
}

#[test]
fn case_035_patch_is_said_to_work_and_works() {
    run(async |bridge| {
        assert_eq!(bridge.get("/ServiceProviderConfig").await.body["patch"]["supported"], true);
        let id = user(bridge, "c035").await;
        bridge
            .patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "title", "value": "Lead"}]))
            .await
            .has_status(200);
        assert_eq!(read(bridge, &id).await["title"], "Lead");
    });
}
