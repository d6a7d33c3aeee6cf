//! The limits of each API: the last value that passes and the first that does not, per field.

use std::collections::BTreeMap;

use bridge_mapping::{AccountSchema, Bounds, FieldKind, Limit, Outcome, TargetKind};
use serde_json::{Value, json};

use crate::support::{Answers, User, compile, config, dana, with_map};

use TargetKind::{CrmCom, Glance, Netsapiens};

/// Both values are set through the extension.
fn check(kind: TargetKind, field: &str, good: impl Into<Value>, bad: impl Into<Value>, demand: &str) {
    let rules = compile(&config(kind)).unwrap();
    let (good, bad): (Value, Value) = (good.into(), bad.into());
    let mapping = User::with_extension(kind, field, good.clone()).map(&rules);
    assert!(mapping.problems.is_empty(), "{field} takes {good}: {:?}", mapping.problems);
    assert!(mapping.account.fields.contains_key(field), "{field} takes {good}");

    let mapping = User::with_extension(kind, field, bad.clone()).map(&rules);
    let problem = mapping.problem_of(field);
    assert!(problem.refuses && mapping.is_refused(), "{field} refuses {bad}");
    assert!(problem.message.contains(demand), "{:?} does not say {demand:?}", problem.message);
    assert!(problem.message.starts_with(field), "{}", problem.message);
    assert!(problem.message.chars().count() < 200, "{}", problem.message);
    assert_eq!(problem.attribute, Some(format!("{}:{field}", kind.extension_urn())));
    assert!(!mapping.account.fields.contains_key(field));
    if let Some(text) = bad.as_str().filter(|text| text.len() > 3) {
        assert!(!problem.message.contains(text), "{}", problem.message);
    }
}

fn long(length: usize) -> String {
    "ä".repeat(length)
}

#[test]
fn glance_fields_end_where_its_pages_say() {
    check(Glance, "PartnerUserID", long(255), long(256), "at most 255 characters");
    check(Glance, "PartnerUserID", "emp-4711", "emp*4711", "free of the character *");
    let address = |length: usize| format!("{}.glance.net", "a".repeat(length - ".glance.net".len()));
    check(Glance, "UserAddress", address(127), address(128), "at most 127 characters");
    check(Glance, "UserAddress", "ja.acme.glance.net", "ja.acme.example", "end in .glance.net");
    check(Glance, "UserAddress", "j-a.acme.glance.net", "-ja.acme.glance.net", "begin and end with a letter or digit");
    check(Glance, "UserAddress", "1.glance.net", "a_b.glance.net", "letters, digits, dots and dashes");
    check(Glance, "UserAddress", "a.glance.net", "a-.glance.net", "letters, digits, dots and dashes");
    check(Glance, "UserAddress", "ja.acme.glance.net", "jä.acme.glance.net", "letters, digits, dots and dashes");
    check(Glance, "UserAddress", "ja.acme.glance.net", ".glance.net", "letters, digits, dots and dashes");
    check(Glance, "UserFirst", long(49), long(50), "at most 49 characters");
    check(Glance, "UserLast", long(49), long(50), "at most 49 characters");
    check(Glance, "UserEmail", long(127), long(128), "at most 127 characters");
    check(Glance, "UserRole", long(31), long(32), "at most 31 characters");
    check(Glance, "AudioProvider", 0, -1, "at least 0");
}

#[test]
fn netsapiens_fields_end_where_its_pages_say() {
    check(Netsapiens, "user", "10", "1", "at least 2 characters");
    check(Netsapiens, "user", "1".repeat(16), "1".repeat(17), "at most 16 characters");
    check(Netsapiens, "user", "1042", "1042a", "digits only");
    check(Netsapiens, "name-first-name", long(64), long(65), "at most 64 characters");
    check(Netsapiens, "name-last-name", long(64), long(65), "at most 64 characters");
    check(Netsapiens, "login-username", long(128), long(129), "at most 128 characters");
    let mail = |length: usize| format!("{}@a.b", "x".repeat(length - 4));
    check(Netsapiens, "email-address", mail(255), mail(256), "at most 255 characters");
    check(Netsapiens, "email-address", "a@b.c;d@e.f", "a@b.c;", "joined by semicolons");
    check(Netsapiens, "email-address", "a@b.c", "a@b.c, d@e.f", "joined by semicolons");
    check(Netsapiens, "user-scope", "office manager", "Office Boss", "one of the 11 values");
    check(Netsapiens, "user-scope", "Site Manager", "Reseller", "privileged");
    check(Netsapiens, "user-scope", "No Portal ", "Super User", "privileged");
    check(Netsapiens, "user-scope", "Call Center Agent", "NDP", "privileged");
    check(Netsapiens, "department", long(64), long(65), "at most 64 characters");
    check(Netsapiens, "site", long(64), long(65), "at most 64 characters");
    check(Netsapiens, "time-zone", "US/Central", "Moon/Tranquility", "one of the 221 values");
    check(Netsapiens, "directory-name-number-dtmf-mapping", 100, 99, "between 100 and 999");
    check(Netsapiens, "directory-name-number-dtmf-mapping", 999, 1000, "between 100 and 999");
    check(Netsapiens, "ring-no-answer-timeout-seconds", 0, -1, "between 0 and 3600");
    check(Netsapiens, "ring-no-answer-timeout-seconds", 3600, 3601, "between 0 and 3600");
    check(Netsapiens, "language-token", "ca_FR", "en", "language_REGION");
    check(Netsapiens, "limits-max-data-storage-kilobytes", 0, -1, "at least 0");
    check(Netsapiens, "limits-max-active-calls-total", 3600, 3601, "between 0 and 3600");
    check(Netsapiens, "directory-override-order-duplicate-dtmf-mapping", 100, 101, "between 0 and 100");
    check(Netsapiens, "voicemail-greeting-index", 0, -1, "at least 0");
    check(Netsapiens, "email-send-alert-new-voicemail-behavior", "briefatttrash", "brief-ish", "one of the 9 values");
    check(Netsapiens, "area-code", 100, 99, "between 100 and 999");
    check(Netsapiens, "area-code", 999, 1000, "between 100 and 999");
    check(
        Netsapiens,
        "voicemail-transcription-enabled",
        "deepgram",
        "Siri",
        "one of no, Deepgram, Google, Mutare, Voicebase",
    );
    check(Netsapiens, "music-on-hold-comfort-message-repeat-interval-seconds", 3600, 3601, "between 0 and 3600");
    check(Netsapiens, "recording-configuration", "yes-with-transcription", "maybe", "one of yes, ");
}

#[test]
fn every_yes_or_no_of_the_pbx_is_yes_or_no() {
    let answers: Vec<&str> = AccountSchema::embedded(Netsapiens)
        .fields
        .iter()
        .filter(|field| field.allowed == ["yes", "no"])
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(answers.len(), 19);
    for field in answers {
        check(Netsapiens, field, "yes", "perhaps", "one of yes, no");
        check(Netsapiens, field, "NO", "y", "one of yes, no");
    }
}

#[test]
fn crm_com_fields_end_where_its_pages_say() {
    check(CrmCom, "username", "abc", "ab", "at least 3 characters");
    check(CrmCom, "username", "a".repeat(50), "a".repeat(51), "at most 50 characters");
    check(CrmCom, "username", "D.o_r-t@x1", "dana ortiz", "lower-case letters, digits, dot");
    check(CrmCom, "first_name", long(100), long(101), "at most 100 characters");
    check(CrmCom, "last_name", long(100), long(101), "at most 100 characters");
    check(CrmCom, "ip_address", "2001:db8::1", "192.0.2.300", "an IPv4 or IPv6 address");
    check(CrmCom, "fields_set", "id,email", "id, email", "field names joined by commas");
    for field in 1..=8 {
        check(CrmCom, &format!("udf_string_{field}"), long(100), long(101), "at most 100 characters");
    }
    for field in 1..=4 {
        check(CrmCom, &format!("udf_date_{field}"), "2024-02-29", "2023-02-29", "YYYY-MM-DD");
        check(CrmCom, &format!("udf_date_{field}"), "2024-02-29T10:00:00Z", "29.02.2024", "YYYY-MM-DD");
    }
}

#[test]
fn values_arrive_in_many_types_and_leave_in_the_field_s_own() {
    let check = |kind: TargetKind, field: &str, map: &str, expected: Value| {
        let mapping = dana().map_with(&with_map(kind, map));
        assert_eq!(mapping.plain(field), Some(&expected), "{map}: {:?}", mapping.problems);
    };
    check(Glance, "AudioProvider", "AudioProvider = { value = \"1\" }", json!(1));
    check(Glance, "UserSuspended", "UserSuspended = { value = \"yes\" }", json!(true));
    check(Glance, "UserSuspended", "UserSuspended = { value = 0 }", json!(false));
    check(Netsapiens, "area-code", "area-code = { value = 117.0 }", json!(117));
    check(Netsapiens, "privacy", "privacy = \"active\"", json!("yes"));
    check(Netsapiens, "recording-configuration", "recording-configuration = { value = false }", json!("no"));
    check(Netsapiens, "service-code", "service-code = { value = 42 }", json!("42"));
    check(CrmCom, "udf_float_1", "udf_float_1 = { value = \"2.50\" }", json!(2.5));
    check(CrmCom, "udf_float_1", "udf_float_1 = { value = 2 }", json!(2.0));
    check(CrmCom, "udf_date_1", "udf_date_1 = { value = 2024-05-02 }", json!("2024-05-02"));
    check(CrmCom, "udf_string_2", "udf_string_2 = { value = \"  x \" }", json!("x"));
}

#[test]
fn an_optional_value_that_a_rule_found_is_left_out_and_not_refused() {
    let mapping = User::with("timezone", "Pacific/Chatham").map_with(&config(Netsapiens));
    assert!(!mapping.is_refused());
    assert_eq!(mapping.plain("time-zone"), None);
    let problem = mapping.problem_of("time-zone");
    assert_eq!(
        problem.message,
        "time-zone must be one of the 221 values that the target knows; it comes from timezone"
    );
    assert_eq!(problem.code, "not-allowed");
    assert_eq!(mapping.lineage_of("time-zone").outcome, Outcome::LeftOut { problem: Box::new(problem.clone()) });
    assert!(mapping.plain("user").is_some(), "the rest of the account stands");
}

#[test]
fn a_required_value_or_key_that_a_rule_found_is_refused() {
    let mapping = User::with("userName", "**@acme.example").map_with(&config(Glance));
    assert!(mapping.problem_of("UserAddress").refuses);
    let mapping =
        User::with("name", json!({ "givenName": "x".repeat(65), "familyName": "Ortiz" })).map_with(&config(Netsapiens));
    let problem = mapping.problem_of("name-first-name");
    assert!(problem.refuses);
    assert_eq!(problem.message, "name-first-name must have at most 64 characters; it comes from name.givenName");
}

#[test]
fn a_target_s_configuration_can_move_a_limit() {
    let mut config = config(Glance);
    config.limits = BTreeMap::from([("UserRole".to_owned(), Limit::Most(70))]);
    let rules = compile(&config).unwrap();
    assert!(User::with_extension(Glance, "UserRole", long(70)).map(&rules).problems.is_empty());
    let mapping = User::with_extension(Glance, "UserRole", long(71)).map(&rules);
    assert!(mapping.problem_of("UserRole").message.contains("at most 70 characters"));

    let mut config = crate::support::config(Netsapiens);
    let bounds = Bounds { min: Some(4), max: Some(4), pattern: Some("[2-8][0-9]*".to_owned()) };
    config.limits = BTreeMap::from([("user".to_owned(), Limit::Bounds(bounds))]);
    let rules = compile(&config).unwrap();
    assert!(User::with_extension(Netsapiens, "user", "2042").map(&rules).problems.is_empty());
    for bad in ["1042", "204", "20420"] {
        assert!(User::with_extension(Netsapiens, "user", bad).map(&rules).is_refused(), "{bad}");
    }
}

#[test]
fn a_limit_that_cannot_be_meant_is_an_error() {
    let check = |kind: TargetKind, field: &str, limit: Limit, expected: &str| {
        let mut config = config(kind);
        config.limits = BTreeMap::from([(field.to_owned(), limit)]);
        assert_eq!(compile(&config).unwrap_err().to_string(), expected);
    };
    let bounds =
        |min, max, pattern: Option<&str>| Limit::Bounds(Bounds { min, max, pattern: pattern.map(str::to_owned) });
    check(Glance, "UserRoles", Limit::Most(70), "limits.UserRoles: glance has no field of this name");
    check(Glance, "UserRole", Limit::Most(-1), "limits.UserRole: a length of -1 is not possible");
    check(Glance, "UserRole", bounds(Some(3), Some(2), None), "limits.UserRole: min is larger than max");
    check(Glance, "AudioProvider", bounds(None, None, Some("1")), "limits.AudioProvider: a number has no pattern");
    check(Glance, "UserSuspended", Limit::Most(1), "limits.UserSuspended: this field has no limit to change");
}

#[test]
fn limits_read_as_a_number_or_as_bounds() {
    #[derive(serde::Deserialize)]
    struct File {
        limits: BTreeMap<String, Limit>,
    }
    let file: File = toml::from_str("limits = { UserRole = 70, user = { min = 3, max = 5 } }").unwrap();
    assert_eq!(file.limits["UserRole"], Limit::Most(70));
    assert_eq!(file.limits["user"], Limit::Bounds(Bounds { min: Some(3), max: Some(5), pattern: None }));
}

#[test]
fn a_privileged_value_needs_the_configuration_s_leave() {
    let mut config = config(Netsapiens);
    config.allow = BTreeMap::from([("user-scope".to_owned(), vec!["Reseller".to_owned()])]);
    let rules = compile(&config).unwrap();
    let mapping = User::with_extension(Netsapiens, "user-scope", "reseller").map(&rules);
    assert_eq!(mapping.plain("user-scope"), Some(&json!("Reseller")));
    assert!(User::with_extension(Netsapiens, "user-scope", "Super User").map(&rules).is_refused());

    config.allow = BTreeMap::from([("user-scope".to_owned(), vec!["Basic User".to_owned()])]);
    let error = compile(&config).unwrap_err().to_string();
    assert!(error.starts_with("allow.user-scope: \"Basic User\" is not a privileged value"), "{error}");
}

#[test]
fn a_supplied_secret_is_checked_without_being_shown() {
    let check = |kind: TargetKind, field: &str, value: &str, expected: &[&str]| {
        let rules = compile(&config(kind)).unwrap();
        let user = User::with_extension(kind, field, value);
        let problems = rules.check_secrets(user.secrets());
        let codes: Vec<&str> = problems.iter().map(|problem| &*problem.code).collect();
        assert_eq!(codes, expected, "{field}");
        assert!(problems.iter().all(|problem| problem.refuses && !problem.message.contains(value)), "{problems:?}");
    };
    check(Glance, "UserPW", "8letters", &[]);
    check(Glance, "UserPW", "7letter", &["too-short"]);
    check(Glance, "UserPW", &"x".repeat(50), &["too-long"]);
    check(Netsapiens, "voicemail-login-pin", "4711", &[]);
    check(Netsapiens, "voicemail-login-pin", "47x11", &["form"]);
    check(CrmCom, "password", "Gx7!qv02Lm", &[]);
    check(CrmCom, "password_confirmation", "Gx7!qv02Lm", &["not-same"]);
}

#[test]
fn messages_stay_short_for_the_longest_field_names() {
    for kind in TargetKind::ALL {
        let rules = compile(&config(kind)).unwrap();
        for field in &AccountSchema::embedded(kind).fields {
            let bad = match field.kind {
                FieldKind::String => json!("*".repeat(300)),
                FieldKind::Date => json!("never"),
                FieldKind::Integer => json!(-5),
                FieldKind::Number | FieldKind::Boolean => continue,
            };
            let mapping = User::with_extension(kind, &field.name, bad).map(&rules);
            for problem in &mapping.problems {
                assert!(
                    problem.message.chars().count() < 200 && !problem.message.contains("***"),
                    "{}",
                    problem.message
                );
            }
        }
    }
}
