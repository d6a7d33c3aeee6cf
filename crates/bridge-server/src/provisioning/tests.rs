//! What happens between two steps of a write: moments that nobody hits from outside.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bridge_simulators::{Fault, Options, Simulators, credentials};
use bridge_store::{AccountState, Member, NewResource, Resource, StoreError};
use jiff::Timestamp;
use scim_model::{Context, PATCH_URN, accept};
use serde_json::json;

use super::regroup::{self, Touched};
use super::{Ask, Caller, Received, View, create, patch, tenant};
use crate::bridge::Bridge;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::ApiError;

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);

const GLANCE: &str = r#"
[store]
url = "sqlite:bridge.db"

[tenants.default.targets.glance]
kind = "glance"
base_url = "{base_url}"
partner_login = "{login}"
partner_id = "{partner}"
partner_password = { file = "password" }
address_domain = "acme.glance.net"
map.UserRole = { groups = { "Glance Hosts" = "Host", "*" = "Agent" } }
"#;

/// A bridge without its servers, in front of a Glance that makes hosts of the members of a group.
struct Stage {
    bridge: Arc<Bridge>,
    simulators: Simulators,
    caller: Caller,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn start(clock: Clock) -> Self {
        let simulators = bridge_simulators::start(Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), credentials::glance::PARTNER_PASSWORD).unwrap();
        let text = GLANCE
            .replace("{base_url}", &simulators.glance.api_url())
            .replace("{login}", credentials::glance::PARTNER_LOGIN)
            .replace("{partner}", credentials::glance::PARTNER_ID);
        let bridge = Bridge::start(Config::parse(&text, folder.path()).unwrap(), clock).await.unwrap();
        let caller = Caller {
            tenant: "default".to_owned(),
            connection: "okta".to_owned(),
            label: "okta".to_owned(),
            user: None,
        };
        Self { bridge, simulators, caller, _folder: folder }
    }

    fn received(&self, method: &'static str) -> Received {
        Received {
            request_id: "1".to_owned(),
            method,
            path: "/scim/v2/Users".to_owned(),
            user_agent: None,
            at: self.bridge.clock.now(),
            waits: true,
        }
    }

    /// Ann, with her account.
    async fn ann(&self) -> Resource {
        let received = self.received("POST");
        let body = json!({
            "userName": "ann@acme.example", "name": { "givenName": "Ann", "familyName": "Roe" },
            "emails": [{ "value": "ann@acme.example", "primary": true }], "active": true
        });
        let id = create(&self.bridge, &ask(&self.caller, &received), body).await.unwrap().resource.id;
        self.bridge.store.read(|db| db.resource_by_id("default", "User", &id)).await.unwrap().unwrap()
    }

    /// The group of the rule, of which nobody is a member yet.
    async fn hosts(&self) -> Resource {
        let tenant = self.bridge.tenant("default").unwrap();
        let kind = tenant.resource_type("Group").unwrap();
        let document = accept(kind, json!({ "displayName": "Glance Hosts" }), Context::Create).unwrap().document;
        let new = NewResource {
            tenant: "default".to_owned(),
            resource_type: "Group".to_owned(),
            id: "hosts".to_owned(),
            values: self.bridge.store.indexed_values("default", kind, &document),
            document,
            active: true,
            connection: "okta".to_owned(),
            now: self.bridge.clock.now(),
        };
        self.bridge.store.write(move |tx| tx.insert_resource(&new)).await.unwrap()
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "never: {what}");
    }

    async fn until_role(&self, role: &str) {
        self.until(&format!("Ann is {role} at Glance"), async || {
            self.simulators.glance.accounts().iter().any(|account| account["UserRole"] == role)
        })
        .await;
    }

    async fn until_account(&self, key: i64, state: AccountState) {
        self.until(&format!("the account is {state:?}"), async || {
            let rows = self.bridge.store.read(|db| db.accounts_of(key)).await.unwrap();
            rows.iter().any(|row| row.state == state)
        })
        .await;
    }

    async fn stop(self) {
        self.bridge.stop().await;
        self.simulators.stop().await;
    }
}

fn ask<'a>(caller: &'a Caller, received: &'a Received) -> Ask<'a> {
    Ask { caller, received, resource_type: "User", view: View::default(), if_none_match: None }
}

fn member(id: &str) -> Vec<Member> {
    vec![Member { value: id.to_owned(), kind: None }]
}

#[tokio::test]
async fn what_a_group_write_left_is_taken_up_within_a_minute_even_if_nobody_rang() {
    let clock = Clock::hand_set(Timestamp::from_second(1_800_000_000).unwrap());
    let stage = Stage::start(clock.clone()).await;
    let (ann, hosts) = (stage.ann().await, stage.hosts().await);
    stage.until_role("Agent").await;
    // A group write whose request goes away once it is stored.
    let (tenant, now) = (tenant(&stage.bridge, &stage.caller).unwrap(), clock.now());
    let stored = stage.bridge.store.write(move |tx| {
        let added = tx.add_members("default", hosts.key, &member(&ann.id))?;
        let touched = Touched { all: false, members: added.into_iter().collect() };
        regroup::remember(tx, &tenant, &hosts, &touched, now)
    });
    stored.await.unwrap();
    let is_left = async || stage.bridge.store.read(|db| db.next_backlog("regroup")).await.unwrap().is_some();
    assert!(is_left().await);
    clock.advance(Duration::from_secs(60));
    stage.until_role("Host").await;
    assert!(!is_left().await);
    stage.stop().await;
}

#[tokio::test]
async fn a_refused_update_is_taken_back_also_when_a_membership_moves_meanwhile() {
    let stage = Stage::start(Clock::system()).await;
    let (ann, hosts) = (stage.ann().await, stage.hosts().await);
    stage.simulators.glance.fail_next(1, Fault::Refuse("address is taken".to_owned()), Some("UpdateUser"));

    // One task after the other gets its turn: the update, this test, and the update again when it is refused.
    let turn = stage.bridge.locks.turn(&ann.id).await;
    let update = tokio::spawn({
        let (bridge, caller, received, id) =
            (stage.bridge.clone(), stage.caller.clone(), stage.received("PATCH"), ann.id.clone());
        async move {
            let operations = json!([{ "op": "replace", "path": "name.familyName", "value": "Smith" }]);
            let body = json!({ "schemas": [PATCH_URN], "Operations": operations });
            patch(&bridge, &ask(&caller, &received), &id, body, None).await
        }
    });
    tokio::task::yield_now().await;
    drop(turn);
    let turn = stage.bridge.locks.turn(&ann.id).await;
    assert_eq!(family_name(&stage, ann.key).await, "Smith");
    stage.until_account(ann.key, AccountState::Parked).await;

    // The writer is in the middle of a group write when the update reads what it goes back to.
    let (begun, has_begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let (may_go, id) = (Mutex::new(may_go), ann.id.clone());
    let moving = tokio::spawn({
        let bridge = stage.bridge.clone();
        async move {
            let stored = bridge.store.write(move |tx| {
                // Both run dry when it runs again, together with a write that was refused.
                let _: Result<(), _> = begun.send(());
                let _: Result<(), _> = may_go.lock().unwrap().recv();
                tx.add_members("default", hosts.key, &member(&id)).map(drop)
            });
            stored.await
        }
    });
    tokio::task::yield_now().await;
    has_begun.recv().unwrap();
    drop(turn);
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
    drop(go);
    let moved: Result<(), StoreError> = moving.await.unwrap();
    moved.unwrap();

    let why = update.await.unwrap().unwrap_err();
    assert!(matches!(why, ApiError::Refused(_)), "{why:?}");
    assert_eq!(family_name(&stage, ann.key).await, "Roe");
    stage.until_role("Host").await;
    stage.stop().await;
}

async fn family_name(stage: &Stage, key: i64) -> String {
    let resource = stage.bridge.store.read(|db| db.resource_by_key(key)).await.unwrap().unwrap();
    resource.document.get("name").and_then(|name| name["familyName"].as_str()).unwrap_or_default().to_owned()
}
