//! Users as identity providers send them.

use serde_json::{Value, json};

/// A user as Okta creates one (okta.md, section 4.2).
pub fn okta_user(name: &str) -> Value {
    let email = format!("{name}@acme.example");
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": email,
        "name": {"givenName": capital(name), "familyName": "Roe"},
        "emails": [{"primary": true, "value": email, "type": "work"}],
        "displayName": format!("{} Roe", capital(name)),
        "locale": "en-US",
        "externalId": format!("00u{name}"),
        "groups": [],
        "password": "kJ8!random",
        "active": true
    })
}

/// A user as Entra ID creates one (entra.md, section 3.2).
pub fn entra_user(name: &str) -> Value {
    let email = format!("{name}@acme.example");
    json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
        ],
        "externalId": name,
        "userName": email,
        "active": "True",
        "displayName": format!("{} Roe", capital(name)),
        "emails": [{"primary": true, "type": "work", "value": email}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": format!("{} Roe", capital(name)), "familyName": "Roe", "givenName": capital(name)},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Support", "employeeNumber": "4711"},
        "roles": []
    })
}

/// Ann, for tests that need one user.
pub fn ann() -> Value {
    okta_user("ann")
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
