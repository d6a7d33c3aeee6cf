//! No field of any API is out of the identity provider's reach.

use bridge_mapping::{
    AccountSchema, FieldKind, FieldSchema, FieldValue, Outcome, Scope, SecretSource, TargetKind, default_rules,
};
use serde_json::{Value, json};

use crate::support::{Answers, User, compile, config, dana};

/// A value that the field takes, different from what the default rules set, and the same as the account holds it.
fn sample(field: &FieldSchema) -> (Value, Value) {
    let same = |value: Value| (value.clone(), value);
    match (field.name.as_str(), field.kind) {
        ("UserAddress", _) => (json!("D.Ortiz.Acme.glance.net"), json!("d.ortiz.acme.glance.net")),
        ("user", _) => same(json!("2077")),
        ("email-address", _) => same(json!("a@acme.example;b@acme.example")),
        ("language-token", _) => same(json!("es_MX")),
        ("username", _) => same(json!("dortiz")),
        ("ip_address", _) => same(json!("192.0.2.7")),
        ("fields_set", _) => same(json!("id,active")),
        ("cti_phone_extension_number", _) => same(json!("1077")),
        (_, FieldKind::Integer) => same(json!(field.minimum.unwrap_or(1).max(101))).clone(),
        (_, FieldKind::Number) => same(json!(2.5)),
        (_, FieldKind::Boolean) => same(json!(true)),
        (_, FieldKind::Date) => same(json!("2024-02-29")),
        (_, FieldKind::String) if field.secret => same(json!("4711471147")),
        (_, FieldKind::String) => same(json!(field.allowed.last().map_or("Sample text", String::as_str))),
    }
}

#[test]
fn every_field_can_be_set_through_its_extension_attribute() {
    for kind in TargetKind::ALL {
        let mut config = config(kind);
        config.cti_templates.extend(["agents".to_owned(), "Sample text".to_owned()]);
        config.allow.extend(match kind {
            TargetKind::Netsapiens => vec![("user-scope".to_owned(), vec!["NDP".to_owned()])],
            _ => vec![],
        });
        let rules = compile(&config).unwrap();
        for field in &AccountSchema::embedded(kind).fields {
            let (given, expected) = match field.name.as_str() {
                "directory-override-order-duplicate-dtmf-mapping" => (json!(7), json!(7)),
                _ => sample(field),
            };
            for name in std::iter::once(&field.name).chain(&field.aliases) {
                let mapping = User::with_extension(kind, name, given.clone()).map(&rules);
                let held = mapping.account.fields.get(&field.name);
                if field.same_as.is_some() {
                    continue; // repeats another field, see below
                }
                if field.secret {
                    assert_eq!(held, Some(&FieldValue::Secret(SecretSource::Supplied)), "{kind} {name}");
                } else {
                    assert_eq!(
                        held,
                        Some(&FieldValue::Plain(expected.clone())),
                        "{kind} {name}: {:?}",
                        mapping.problems
                    );
                }
                assert_eq!(mapping.source_of(&field.name), format!("{}:{}", kind.extension_urn(), field.name));
                assert_eq!(mapping.lineage_of(&field.name).outcome, Outcome::Set);
            }
        }
    }
}

#[test]
fn a_mapping_has_lineage_for_every_field_and_only_for_those() {
    for kind in TargetKind::ALL {
        let mapping = dana().map_with(&config(kind));
        assert_eq!(mapping.scope, Scope::In, "{kind}");
        let mut names: Vec<&str> =
            AccountSchema::embedded(kind).fields.iter().map(|field| field.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(mapping.lineage.iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
        for (name, lineage) in mapping.lineage.iter() {
            assert_eq!(lineage.outcome == Outcome::Set, mapping.account.fields.contains_key(name), "{kind} {name}");
        }
    }
}

#[test]
fn the_confirmation_is_always_the_password() {
    let generated = dana().map_with(&config(TargetKind::CrmCom));
    assert_eq!(generated.account.fields["password"], FieldValue::Secret(SecretSource::Generated));
    assert_eq!(generated.account.fields["password_confirmation"], FieldValue::Secret(SecretSource::Generated));
    assert_eq!(generated.source_of("password_confirmation"), "same as password");

    let supplied =
        User::with_extension(TargetKind::CrmCom, "password", "Gx7!qv02Lm").map_with(&config(TargetKind::CrmCom));
    assert_eq!(supplied.account.fields["password_confirmation"], FieldValue::Secret(SecretSource::Supplied));
}

#[test]
fn no_default_rule_sets_what_must_be_asked_for() {
    for kind in TargetKind::ALL {
        let file: toml::Table = toml::from_str(default_rules(kind)).unwrap();
        let map = file["map"].as_table().unwrap();
        let schema = AccountSchema::embedded(kind);
        for name in map.keys() {
            let field = schema.field(name).unwrap_or_else(|| panic!("{kind} has no {name}"));
            assert_eq!(*name, field.name);
            assert!(!field.never_by_default, "{kind} {name}");
        }
    }
}

#[test]
fn an_empty_extension_value_leaves_the_field_to_its_rule() {
    let mut user = crate::support::dana_json();
    user[TargetKind::Glance.extension_urn()] = json!({ "UserFirst": "  ", "UserRole": "Host" });
    let mapping = crate::support::user(user).map_with(&config(TargetKind::Glance));
    assert_eq!(mapping.plain("UserFirst"), Some(&json!("Dana")));
    assert_eq!(mapping.plain("UserRole"), Some(&json!("Host")));
}
