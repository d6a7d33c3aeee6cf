//! The accounts and the lineage that typical users of Okta and Entra ID get from the default rules.

use std::fmt::Write;

use bridge_mapping::{FieldValue, Mapping, Outcome, TargetKind};
use serde_json::{Value, json};

use crate::support::{config, user};

/// One line per field that has a value or could have had one.
fn show(mapping: &Mapping) -> String {
    let mut text = format!("scope: {:?}\n", mapping.scope);
    for (name, lineage) in mapping.lineage.iter() {
        let source = lineage.source.as_deref().unwrap_or("-");
        match (&lineage.outcome, mapping.account.fields.get(name)) {
            (Outcome::Set, Some(FieldValue::Plain(value))) => writeln!(text, "{name} = {value}  <- {source}"),
            (Outcome::Set, Some(FieldValue::Secret(secret))) => writeln!(text, "{name} = ({secret:?})  <- {source}"),
            (Outcome::Set, None) => writeln!(text, "{name} is set and missing!"),
            (Outcome::Absent { .. }, _) if lineage.rule.is_empty() => Ok(()),
            (Outcome::Absent { reason }, _) => writeln!(text, "{name} absent: {reason}"),
            (Outcome::LeftOut { problem }, _) => writeln!(text, "{name} left out: {}", problem.message),
        }
        .unwrap();
    }
    text
}

fn all_kinds(body: &Value) -> String {
    let mut text = String::new();
    for kind in TargetKind::ALL {
        let mapping = user(body.clone()).map_with(&config(kind));
        write!(text, "## {kind}\n{}", show(&mapping)).unwrap();
    }
    text
}

#[test]
fn a_typical_okta_user() {
    let body = json!({
        "userName": "jo.roe@corp.test",
        "name": { "givenName": "Jo", "familyName": "Roe" },
        "emails": [{ "primary": true, "value": "jo.roe@corp.test", "type": "work" }],
        "displayName": "Jo Roe", "locale": "en-US",
        "externalId": "00u1abcdEFGHijkl0h7",
        "groups": [],
        "password": "kJ8!random",
        "active": true,
    });
    insta::assert_snapshot!(all_kinds(&body));
}

#[test]
fn a_typical_entra_user() {
    let body = json!({
        "externalId": "jo", "userName": "Jo.Roe@Corp.test", "active": "True", "displayName": "Roe, Jo",
        "title": "Engineer", "preferredLanguage": "de-DE", "addresses": null, "timezone": "America/Chicago",
        "emails": [{ "type": "work", "value": "jo.roe@corp.test" }],
        "phoneNumbers": [{ "type": "work", "value": "+49 30 1042" }],
        "roles": [],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Support", "employeeNumber": "4711" },
        "urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User": { "extension": "2044", "site": "Berlin" },
    });
    insta::assert_snapshot!(all_kinds(&body));
}
