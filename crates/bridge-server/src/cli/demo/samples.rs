//! The sample users, as Okta and Entra ID send them (dossiers okta.md section 4 and entra.md section 3). `{ann}` in a path
//! or a body stands for the id that the bridge gave to Ann.

use std::collections::BTreeMap;

use serde_json::{Value, json};

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// One request, and how it must be answered.
pub(super) struct Step {
    pub(super) title: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) body: Option<Value>,
    pub(super) status: u16,
    /// `totalResults` of the answer.
    pub(super) total: Option<u32>,
    /// The person whose id the answer carries.
    pub(super) creates: Option<&'static str>,
}

/// A sample user, and how things stand at the end.
pub(super) struct Person {
    pub(super) key: &'static str,
    pub(super) user_name: &'static str,
    pub(super) given_name: &'static str,
    pub(super) family_name: &'static str,
    pub(super) end: End,
    /// What CRM.COM as sold cannot do of it, by the code of the task that a person gets.
    pub(super) crm_task: Option<&'static str>,
}

/// What the identity provider said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Active,
    Inactive,
    Deleted,
}

/// The ids that the bridge gave out.
#[derive(Default)]
pub(super) struct Sent {
    ids: BTreeMap<&'static str, String>,
}

impl Sent {
    pub(super) fn remember(&mut self, person: &'static str, id: &str) {
        self.ids.insert(person, id.to_owned());
    }

    pub(super) fn id(&self, person: &str) -> Option<&str> {
        self.ids.get(person).map(String::as_str)
    }

    /// The text with ids in place of names.
    pub(super) fn fill(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (person, id)| text.replace(&format!("{{{person}}}"), id))
    }
}

/// Everybody, as they are at the end.
pub(super) fn people() -> Vec<Person> {
    let person = |key, user_name, (given_name, family_name), end, crm_task| Person {
        key,
        user_name,
        given_name,
        family_name,
        end,
        crm_task,
    };
    vec![
        person("ann", "ann.lee@acme.example", ("Ann", "Lee-Park"), End::Active, Some("cannot-update")),
        person("ben", "ben.ito@acme.example", ("Benjamin", "Ito"), End::Inactive, Some("cannot-suspend")),
        person("cleo", "cleo.roy@acme.example", ("Cleo", "Roy"), End::Deleted, Some("cannot-suspend")),
        person("dan", "dan.wu@acme.example", ("Dan", "Wu"), End::Active, None),
    ]
}

/// Every request, in order.
pub(super) fn steps() -> Vec<Step> {
    let mut steps = okta();
    steps.extend(entra());
    steps
}

fn get(title: &'static str, path: &'static str, total: Option<u32>) -> Step {
    Step { title, method: "GET", path, body: None, status: 200, total, creates: None }
}

fn post(title: &'static str, person: &'static str, body: Value) -> Step {
    Step { title, method: "POST", path: "/Users", body: Some(body), status: 201, total: None, creates: Some(person) }
}

fn put(title: &'static str, path: &'static str, body: Value) -> Step {
    Step { title, method: "PUT", path, body: Some(body), status: 200, total: None, creates: None }
}

fn patch(title: &'static str, path: &'static str, operations: Value) -> Step {
    let body = json!({ "schemas": [PATCH], "Operations": operations });
    Step { title, method: "PATCH", path, body: Some(body), status: 200, total: None, creates: None }
}

/// Okta looks up, creates, reads before each update, replaces the whole profile, and switches `active` without a path.
fn okta() -> Vec<Step> {
    const FILTER: &str = "/Users?filter=userName%20eq%20%22ann.lee%40acme.example%22&startIndex=1&count=100";
    let ann = json!({
        "schemas": [CORE], "userName": "ann.lee@acme.example", "name": { "givenName": "Ann", "familyName": "Lee" },
        "emails": [{ "primary": true, "value": "ann.lee@acme.example", "type": "work" }], "displayName": "Ann Lee",
        "locale": "en-US", "externalId": "00u1annAAAAAAAAAA0h7", "groups": [], "password": "kJ8!random-placeholder", "active": true
    });
    let ann_again = json!({
        "schemas": [CORE, ENTERPRISE], "id": "{ann}", "userName": "ann.lee@acme.example",
        "name": { "givenName": "Ann", "familyName": "Lee-Park" },
        "emails": [{ "primary": true, "value": "ann.lee@acme.example", "type": "work" }], "displayName": "Ann Lee-Park",
        "title": "Team lead", "locale": "en-US", "externalId": "00u1annAAAAAAAAAA0h7", "groups": [], "active": true,
        ENTERPRISE: { "department": "Support" }, "meta": { "resourceType": "User" }
    });
    vec![
        get("Okta tests the connection", "/Users?startIndex=1&count=2", Some(0)),
        get("Okta looks Ann up: not here yet", FILTER, Some(0)),
        post("Okta creates Ann", "ann", ann),
        get("Okta looks Ann up again, to link her", FILTER, Some(1)),
        get("Okta reads Ann before an update", "/Users/{ann}", None),
        put("Okta replaces Ann's profile: a new family name", "/Users/{ann}", ann_again),
        patch("Okta deactivates Ann", "/Users/{ann}", json!([{ "op": "replace", "value": { "active": false } }])),
        patch("Okta reactivates Ann", "/Users/{ann}", json!([{ "op": "replace", "value": { "active": true } }])),
    ]
}

/// Entra ID looks up with a plus for the space, creates, patches attribute by attribute with booleans as strings, disables,
/// and deletes what was purged.
fn entra() -> Vec<Step> {
    let user = |user_name: &str, given: &str, family: &str| {
        json!({
            "schemas": [CORE, ENTERPRISE], "externalId": user_name.split('@').next(), "userName": user_name, "active": true,
            "displayName": format!("{given} {family}"), "emails": [{ "primary": true, "type": "work", "value": user_name }],
            "meta": { "resourceType": "User" },
            "name": { "formatted": format!("{given} {family}"), "givenName": given, "familyName": family }, "roles": []
        })
    };
    vec![
        get(
            "Entra tests the connection",
            "/Users?filter=userName+eq+%22b5c1e7f2-0000-4000-8000-000000000000%22",
            Some(0),
        ),
        post("Entra creates Ben", "ben", user("ben.ito@acme.example", "Ben", "Ito")),
        get("Entra looks Ben up", "/Users?filter=userName+eq+%22ben.ito%40acme.example%22", Some(1)),
        patch(
            "Entra changes Ben's names and department",
            "/Users/{ben}",
            json!([
                { "op": "Replace", "path": "displayName", "value": "Benjamin Ito" },
                { "op": "Replace", "path": "name.givenName", "value": "Benjamin" },
                { "op": "Add", "path": "emails[type eq \"work\"].value", "value": "benjamin.ito@acme.example" },
                { "op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "Sales" }
            ]),
        ),
        patch("Entra disables Ben", "/Users/{ben}", json!([{ "op": "Replace", "path": "active", "value": "False" }])),
        post("Entra creates Cleo", "cleo", user("cleo.roy@acme.example", "Cleo", "Roy")),
        Step {
            title: "Entra deletes Cleo",
            method: "DELETE",
            path: "/Users/{cleo}",
            body: None,
            status: 204,
            total: None,
            creates: None,
        },
        post("Entra creates Dan", "dan", user("dan.wu@acme.example", "Dan", "Wu")),
        get(
            "How Dan stands in each target",
            "/Users/{dan}?attributes=urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User:targets",
            None,
        ),
    ]
}
