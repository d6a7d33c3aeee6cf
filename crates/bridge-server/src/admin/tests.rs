//! The admin server over HTTP, in front of a bridge without targets.

use actix_web::http::StatusCode;
use serde_json::Value;

use crate::clock::Clock;
use crate::config::Config;
use crate::running::{self, Running};

/// A running bridge and the folder of its database.
struct Started {
    running: Running,
    folder: tempfile::TempDir,
    client: reqwest::Client,
}

async fn start(server: &str) -> Started {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "t0ken\n").unwrap();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_grace = \"1s\"\n{server}\n\
         [tenants.default]\n"
    );
    let config = Config::parse(&text, folder.path()).unwrap();
    let running = running::start(config, Clock::system()).await.unwrap();
    Started { running, folder, client: reqwest::Client::new() }
}

impl Started {
    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.running.admin_url()))
    }

    async fn check(&self, request: reqwest::RequestBuilder, status: StatusCode, word: &str) {
        let reply = request.send().await.unwrap();
        let found = reply.status().as_u16();
        let kind =
            reply.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
        let text = reply.text().await.unwrap();
        assert_eq!(found, status.as_u16(), "{text}");
        assert!(text.contains(word), "{word} is not in {text}");
        if status.is_client_error() {
            assert_eq!(kind, "application/problem+json");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["status"], found);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_readiness_and_metrics_need_no_token() {
    let started = start("admin_token = { file = \"token\" }").await;
    started.check(started.get("/healthz"), StatusCode::OK, "ok").await;
    started.check(started.get("/readyz"), StatusCode::OK, "ok").await;
    started.check(started.get("/metrics"), StatusCode::OK, "").await;
    started.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_api_asks_for_its_token() {
    let started = start("admin_token = { file = \"token\" }").await;
    started.check(started.get("/admin/v1/accounts"), StatusCode::UNAUTHORIZED, "admin token").await;
    started
        .check(started.get("/admin/v1/accounts").bearer_auth("wrong"), StatusCode::UNAUTHORIZED, "admin token")
        .await;
    started.check(started.get("/admin/v1/nowhere").bearer_auth("wrong"), StatusCode::UNAUTHORIZED, "admin token").await;
    started.check(started.get("/admin/v1/accounts").bearer_auth("t0ken"), StatusCode::OK, "\"accounts\":[]").await;
    started.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_a_web_page_is_not_served() {
    let started = start("").await;
    let list = || started.get("/admin/v1/accounts");
    started.check(list(), StatusCode::OK, "accounts").await;
    started.check(list().header("Origin", "https://evil.example"), StatusCode::FORBIDDEN, "this machine").await;
    started.check(list().header("Host", "evil.example"), StatusCode::FORBIDDEN, "this machine").await;
    started.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_or_not_understood_is_a_problem_document() {
    let started = start("").await;
    let post = |path: &str| started.client.post(format!("{}{path}", started.running.admin_url()));
    let put = |path: &str| started.client.put(format!("{}{path}", started.running.admin_url()));
    started.check(started.get("/"), StatusCode::NOT_FOUND, "address").await;
    started.check(started.get("/admin/v1/accounts?state=odd"), StatusCode::BAD_REQUEST, "parked").await;
    started.check(started.get("/admin/v1/accounts?stat=parked"), StatusCode::BAD_REQUEST, "stat").await;
    started.check(started.get("/admin/v1/accounts?after=x"), StatusCode::BAD_REQUEST, "next").await;
    started.check(post("/admin/v1/accounts/default/u1/pbx/retry"), StatusCode::NOT_FOUND, "resource").await;
    started.check(post("/admin/v1/tasks/default/u1/pbx/done"), StatusCode::NOT_FOUND, "resource").await;
    started.check(started.get("/admin/v1/requests/unknown"), StatusCode::NOT_FOUND, "request").await;
    started.check(started.get("/admin/v1/requests?resource=unknown"), StatusCode::NOT_FOUND, "resource").await;
    for path in [
        "accounts?tenant=acme",
        "tasks?tenant=acme",
        "links?tenant=acme",
        "connections?tenant=acme",
        "requests?tenant=acme",
    ] {
        let words = "there is no tenant \\\"acme\\\"; there are default";
        started.check(started.get(&format!("/admin/v1/{path}")), StatusCode::NOT_FOUND, words).await;
    }
    started.check(started.get("/admin/v1/accounts?target=pxb"), StatusCode::NOT_FOUND, "there is no target").await;
    started.check(post("/admin/v1/accounts/acme/u1/pbx/retry"), StatusCode::NOT_FOUND, "there is no tenant").await;
    let link = put("/admin/v1/links/default/u1/pbx");
    started.check(link.body("{}").header("Content-Type", "text/plain"), StatusCode::BAD_REQUEST, "body").await;
    let link = put("/admin/v1/links/default/u1/pbx").json(&serde_json::json!({ "remoteId": " " }));
    started.check(link, StatusCode::BAD_REQUEST, "remoteId").await;
    started.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_a_new_file() {
    let started = start("").await;
    let copy = started.folder.path().join("copy.db");
    let backup = |path: &std::path::Path| {
        let url = format!("{}/admin/v1/store/backup", started.running.admin_url());
        started.client.post(url).json(&serde_json::json!({ "path": path }))
    };
    started.check(backup(&copy), StatusCode::OK, "done").await;
    assert!(copy.metadata().unwrap().len() > 0);
    started.check(backup(&copy), StatusCode::CONFLICT, "name a file that is not").await;
    let nowhere = started.folder.path().join("no such folder").join("copy.db");
    started.check(backup(&nowhere), StatusCode::BAD_REQUEST, "make it").await;
    started.check(backup(std::path::Path::new("copy.db")), StatusCode::BAD_REQUEST, "absolute").await;
    started.running.stop().await;
}
