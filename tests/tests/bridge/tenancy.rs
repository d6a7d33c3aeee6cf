//! Tenants see nothing of each other.

use bridge_server::config::Config;
use bridge_tests::samples::ann;
use bridge_tests::{Answer, Bridge, Setup};
use serde_json::json;

fn two_tenants() -> Setup {
    Setup { more: "[tenants.other]\nextensions = []\n".to_owned(), ..Setup::default() }
}

#[tokio::test]
async fn a_tenant_sees_and_changes_only_its_own_users() {
    let bridge = Bridge::with(two_tenants()).await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let other = bridge.running.new_token("other", "test").await.unwrap();
    let base = format!("http://{}/t/other/scim/v2", bridge.running.scim_addr);
    let client = reqwest::Client::new();
    let list = Answer::of(client.get(format!("{base}/Users")).bearer_auth(&other)).await.has_status(200);
    assert_eq!(list.body["totalResults"], 0);
    for request in [
        client.get(format!("{base}/Users/{id}")),
        client.delete(format!("{base}/Users/{id}")),
        client
            .put(format!("{base}/Users/{id}"))
            .header("Content-Type", "application/scim+json")
            .body(ann().to_string()),
    ] {
        Answer::of(request.bearer_auth(&other)).await.has_status(404);
    }
    // The same userName is free in the other tenant.
    let made = client.post(format!("{base}/Users")).header("Content-Type", "application/scim+json");
    Answer::of(made.bearer_auth(&other).body(ann().to_string())).await.has_status(201);
    bridge.get(&format!("/Users/{id}")).await.has_status(200);
    bridge.stop().await;
}

#[tokio::test]
async fn a_token_of_another_tenant_is_no_token() {
    let bridge = Bridge::with(two_tenants()).await;
    let other = bridge.running.new_token("other", "test").await.unwrap();
    let client = reqwest::Client::new();
    let strange = Answer::of(client.get(format!("{}/Users", bridge.scim_url())).bearer_auth(&other)).await;
    let unknown = Answer::of(client.get(format!("{}/Users", bridge.scim_url())).bearer_auth("scimb_nothing")).await;
    assert_eq!(strange.status, 401);
    assert_eq!(unknown.status, 401);
    assert_eq!(strange.scim_type(), unknown.scim_type());
    bridge.stop().await;
}

#[tokio::test]
async fn a_tenant_that_is_not_configured_looks_like_a_wrong_token() {
    let bridge = Bridge::start().await;
    let client = reqwest::Client::new();
    let url = format!("http://{}/t/nobody/scim/v2/Users", bridge.running.scim_addr);
    let answer = Answer::of(client.get(url).bearer_auth(&bridge.token)).await.has_status(401);
    assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    bridge.stop().await;
}

#[tokio::test]
async fn another_kind_of_credential_is_no_move_and_another_organisation_is_one() {
    use bridge_simulators::credentials::crm_com::{ORGANISATION, PASSWORD, USERNAME};
    let bridge = Bridge::start().await;
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    bridge.until_at_rest(&id).await;
    std::fs::write(bridge.folder().join("crm_password"), PASSWORD).unwrap();
    let key = r#"web_api_key = { file = "crm_web_api_key" }"#;
    let by_password = |organisation: &str| {
        let password = r#"password = { file = "crm_password" }"#;
        let lines = format!("username = \"{USERNAME}\"\n{password}\norganisation = \"{organisation}\"");
        Config::parse(&bridge.file().replace(key, &lines), bridge.folder()).unwrap()
    };
    let by_key = || Config::parse(&bridge.file(), bridge.folder()).unwrap();
    bridge.running.reload(by_password(ORGANISATION)).await.unwrap();
    bridge.running.reload(by_key()).await.unwrap();
    // The key does not name the organisation; that it is this one is still known.
    let error = bridge.running.reload(by_password("ELSEWHERE")).await.unwrap_err();
    assert!(error.to_string().contains("ELSEWHERE"), "{error}");
    bridge.running.reload(by_password(ORGANISATION)).await.unwrap();
    bridge.stop().await;
}
