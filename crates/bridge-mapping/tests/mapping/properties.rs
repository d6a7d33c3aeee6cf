//! What holds for every user: nothing panics, order does not matter, and an account that is not refused obeys its JSON
//! Schema.

use std::collections::BTreeMap;

use bridge_mapping::{Account, AccountSchema, FieldValue, Rules, Scope, TargetKind};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{compile, config, dana, user, with_map};

fn json_schema(kind: TargetKind) -> Validator {
    let schema: Value = serde_json::from_str(AccountSchema::source(kind)).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// The account as the API would get it, with a value for each secret.
fn as_sent(account: &Account) -> Value {
    let value = |value: &FieldValue| match value {
        FieldValue::Plain(value) => value.clone(),
        FieldValue::Secret(_) => json!("4711471147"),
    };
    Value::Object(account.fields.iter().map(|(name, field)| (name.clone(), value(field))).collect())
}

#[test]
fn the_account_schemas_are_valid_json_schemas_and_take_the_default_accounts() {
    for kind in TargetKind::ALL {
        let validator = json_schema(kind);
        let account = as_sent(&dana().map_with(&config(kind)).account);
        let errors: Vec<String> = validator.iter_errors(&account).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{kind}: {errors:?}");
        assert!(!validator.is_valid(&json!({})), "{kind} requires something");
    }
}

fn all_rules() -> Vec<(Rules, Validator)> {
    let own_map = |kind| match kind {
        TargetKind::Glance => "UserRole = ['title', '{{ nickName | truncate(40) }}']\nAudioProvider = 'nickName'",
        TargetKind::Netsapiens => "status-message = '{{ displayName }}: {{ emails[1].value }}'\narea-code = 'title'",
        TargetKind::CrmCom => {
            "udf_float_1 = 'title'\nudf_date_1 = 'nickName'\nip_address = ['nickName', { value = '::1' }]"
        }
    };
    TargetKind::ALL
        .into_iter()
        .flat_map(|kind| [config(kind), with_map(kind, own_map(kind))].map(|config| (kind, config)))
        .map(|(kind, config)| (compile(&config).unwrap(), json_schema(kind)))
        .collect()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z.@ _-]{0,20}",
        2 => "\\PC{0,60}",
        1 => "[0-9.]{1,5}",
        1 => Just("2024-02-29".to_owned()),
        1 => "[a-z]{1,300}",
    ]
}

/// A value of any field of any extension, right or wrong.
fn extension(kind: TargetKind) -> impl Strategy<Value = Value> {
    let fields: Vec<String> = AccountSchema::embedded(kind).fields.iter().map(|field| field.name.clone()).collect();
    let allowed: Vec<String> =
        AccountSchema::embedded(kind).fields.iter().flat_map(|field| field.allowed.clone()).collect();
    let value =
        if allowed.is_empty() { text().boxed() } else { prop_oneof![text(), prop::sample::select(allowed)].boxed() };
    prop::collection::vec((prop::sample::select(fields), value, -10i64..5000), 0..4).prop_map(move |entries| {
        let schema = bridge_mapping::extension_schema(kind);
        let attributes = entries.into_iter().map(|(name, text, number)| {
            let value = match schema.attribute(&name).unwrap().kind {
                scim_model::Type::Integer | scim_model::Type::Decimal => json!(number),
                scim_model::Type::Boolean => json!(number % 2 == 0),
                _ => json!(text),
            };
            (name, value)
        });
        Value::Object(attributes.collect::<Map<_, _>>())
    })
}

fn any_user() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &["displayName", "nickName", "title", "locale", "preferredLanguage", "timezone"];
    let texts = prop::collection::btree_map(prop::sample::select(NAMES), text(), 0..6);
    let emails = prop::collection::vec((text(), any::<bool>()), 0..3);
    let extensions = TargetKind::ALL.map(extension);
    ("[a-zA-Z0-9.@_-]{1,20}", texts, prop::option::of((text(), text())), emails, extensions).prop_map(
        |(user_name, texts, name, emails, extensions)| {
            let mut body = json!({ "userName": user_name });
            for (attribute, text) in texts {
                body[attribute] = json!(text);
            }
            if let Some((given, family)) = name {
                body["name"] = json!({ "givenName": given, "familyName": family });
            }
            let primary = emails.iter().position(|(_, primary)| *primary);
            body["emails"] = emails
                .iter()
                .enumerate()
                .map(|(index, (value, _))| json!({ "value": value, "primary": Some(index) == primary }))
                .collect();
            for (kind, extension) in TargetKind::ALL.into_iter().zip(extensions) {
                body[kind.extension_urn()] = extension;
            }
            body
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn an_account_that_nothing_refuses_obeys_its_json_schema(body in any_user()) {
        let subject = user(body);
        for (rules, validator) in all_rules_once() {
            let mapping = subject.map(rules);
            prop_assert_eq!(mapping.lineage.iter().count(), rules.schema().fields.len());
            for problem in &mapping.problems {
                prop_assert!(problem.message.chars().count() < 200);
            }
            if mapping.scope == Scope::In && !mapping.is_refused() {
                let account = as_sent(&mapping.account);
                let errors: Vec<String> = validator.iter_errors(&account).map(|error| error.to_string()).collect();
                prop_assert!(errors.is_empty(), "{:?} in {}", errors, account);
            }
        }
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_anything(
        fields in prop::collection::btree_map("[a-zA-Z-]{1,12}", text(), 0..8),
        seed in any::<u64>(),
    ) {
        let plain: Vec<(String, FieldValue)> =
            fields.into_iter().map(|(name, value)| (name, FieldValue::Plain(json!(value)))).collect();
        let mut shuffled = plain.clone();
        shuffled.rotate_left(usize::try_from(seed % 8).unwrap() % plain.len().max(1));
        let account = |fields: Vec<(String, FieldValue)>| Account {
            kind: TargetKind::Glance,
            fields: fields.into_iter().collect::<BTreeMap<_, _>>(),
        };
        prop_assert_eq!(account(plain).digest(), account(shuffled).digest());
    }

    #[test]
    fn no_text_in_a_rule_makes_the_compiler_panic(rule in "[a-z{}%|'\"\\[\\]().: é]{0,24}") {
        for text in [rule.clone(), format!("{{{{ {rule} }}}}"), format!("{{{{ userName | {rule} }}}}")] {
            let mut config = config(TargetKind::Glance);
            config.map.insert("UserRole".to_owned(), toml::Value::String(text));
            if let Ok(rules) = compile(&config) {
                dana().map(&rules);
            }
        }
    }
}

fn all_rules_once() -> &'static [(Rules, Validator)] {
    static RULES: std::sync::LazyLock<Vec<(Rules, Validator)>> = std::sync::LazyLock::new(all_rules);
    &RULES
}

#[test]
fn the_same_user_in_another_key_order_has_the_same_account() {
    let forward =
        json!({ "userName": "dana", "displayName": "Dana Ortiz", "emails": [{ "value": "d@a.b", "type": "work" }] });
    let backward =
        json!({ "emails": [{ "type": "work", "value": "d@a.b" }], "displayName": "Dana Ortiz", "userName": "dana" });
    for kind in TargetKind::ALL {
        let digest = |body: &Value| user(body.clone()).map_with(&config(kind)).account.digest();
        assert_eq!(digest(&forward), digest(&backward), "{kind}");
    }
}
