//! Each form of a rule, and who has an account at all.

use bridge_mapping::{FieldValue, RulesConfig, Scope, ScopeConfig, SecretSource, TargetKind};
use serde_json::{Value, json};

use crate::support::{Answers, User, compile, config, dana, dana_json, user, with_map};

use TargetKind::{CrmCom, Glance, Netsapiens};

/// Maps a rich user with one Glance rule; `None` = the field is absent.
fn check(rule: &str, expected: Option<&str>, source: &str) {
    let mut body = dana_json();
    body["displayName"] = json!("Dana Ortiz");
    body["title"] = json!("Engineer");
    body["emails"] = json!([
        { "value": "home@dana.example", "type": "home" },
        { "value": "work@acme.example", "type": "work", "primary": true },
    ]);
    body["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = json!({ "department": "Support" });
    body["urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User"] = json!({ "extension": "2044" });
    let mapping =
        user(body).in_groups(&["Hosts", "Everyone"]).map_with(&with_map(Glance, &format!("UserRole = {rule}")));
    assert_eq!(mapping.account.text("UserRole"), expected, "{rule}: {:?}", mapping.lineage_of("UserRole"));
    match expected {
        Some(_) => assert_eq!(mapping.source_of("UserRole"), source, "{rule}"),
        None => assert_eq!(mapping.absent_because("UserRole"), source, "{rule}"),
    }
}

#[test]
fn a_path_takes_the_first_value_it_selects() {
    check("'title'", Some("Engineer"), "title");
    check("'TITLE'", Some("Engineer"), "TITLE");
    check("'name.givenName'", Some("Dana"), "name.givenName");
    check("'emails[type eq \"work\"].value'", Some("work@acme.example"), "emails[type eq \"work\"].value");
    check("'emails[primary eq true].value'", Some("work@acme.example"), "emails[primary eq true].value");
    check("'emails.value'", Some("home@dana.example"), "emails.value");
    check("'department'", Some("Support"), "department");
    let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    check(&format!("'{department}'"), Some("Support"), department);
    check("'id'", Some("b7c1f2d0-4711"), "id");
    check("'groups.display'", Some("Hosts"), "groups.display");
    check(
        "'groups[value eq \"id-of-Everyone\"].display'",
        Some("Everyone"),
        "groups[value eq \"id-of-Everyone\"].display",
    );
    check("'active'", Some("true"), "active");
    check("'nickName'", None, "nickName has no value");
    check("'emails[type eq \"other\"].value'", None, "emails[type eq \"other\"].value has no value");
}

#[test]
fn a_template_reads_attributes_extensions_groups_pools_and_settings() {
    check("'{{ title }}'", Some("Engineer"), "title");
    check("'{{ name.givenName }} {{ name.familyName }}'", Some("Dana Ortiz"), "name.givenName, name.familyName");
    check("\"{{ userName | before('@') | slug }}\"", Some("dana.ortiz"), "userName");
    check("'{{ emails.value }}'", Some("work@acme.example"), "emails.value");
    check("'{{ emails[0].value }}'", Some("home@dana.example"), "emails.value");
    check("'{{ emails[-1].type }}{{ emails | length }}'", Some("work2"), "emails.type, emails");
    let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    check("'{{ enterprise.department }}!'", Some("Support!"), department);
    check("'{{ department }}!'", Some("Support!"), department);
    let extension = "urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User:extension";
    check("'{{ telephony.extension }}!'", Some("2044!"), extension);
    check("'{{ bridgeTelephony.extension }}!'", Some("2044!"), extension);
    let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    check(&format!("\"{{{{ resource['{urn}'].department }}}}\""), Some("Support"), "resource");
    check("\"{{ 'Host' if 'Hosts' in groups else 'Guest' }}\"", Some("Host"), "groups");
    check("\"{{ groups | join('+') }}\"", Some("Hosts+Everyone"), "groups");
    check("'{{ assigned.extension }}'", Some("1042"), "pool extension");
    check("'x{{ assigned.extension }}'", Some("x1042"), "pool extension");
    check("'{{ target.address_domain }}'", Some("acme.glance.net"), "constant");
    check("'{{ title }}@{{ target.address_domain }}'", Some("Engineer@acme.glance.net"), "title");
    check("'{{ id }}'", Some("b7c1f2d0-4711"), "id");
    check("'{{ id | upper }}'", Some("B7C1F2D0-4711"), "id");
    check("'{% for email in emails %}{{ email.type[0] }}{% endfor %}'", Some("hw"), "emails");
}

#[test]
fn a_template_that_prints_an_absent_value_yields_none() {
    check("'{{ nickName }}'", None, "nickName has no value");
    check("'({{ nickName }})'", None, "nickName has no value");
    check("'{{ nickName | upper }}'", None, "nickName has no value");
    check("'{{ name.middleName }}.'", None, "name.middleName has no value");
    check("'{{ phoneNumbers.value }}.'", None, "phoneNumbers.value has no value");
    check("'{{ phoneNumbers[0].value }}.'", None, "phoneNumbers.value has no value");
    check("'{{ nickName or displayName }}'", Some("Dana Ortiz"), "nickName, displayName");
    check("\"{{ nickName | default('none') }}\"", Some("none"), "nickName");
    check("'{% if nickName %}a{% else %}b{% endif %}'", Some("b"), "nickName");
    check("\"{{ '' }}\"", None, " has no value");
}

#[test]
fn a_list_takes_the_first_that_yields_a_value() {
    check("['nickName', 'title']", Some("Engineer"), "title");
    check("['nickName', '{{ nickName }}', { value = 'Guest' }]", Some("Guest"), "constant");
    check("['nickName', { groups = { Hosts = 'Host' } }]", Some("Host"), "group: Hosts");
    check("['nickName', 'profileUrl']", None, "no value in nickName, profileUrl");
    check("[]", None, "its rule has no source here");
}

#[test]
fn a_constant_is_the_same_for_all() {
    check("{ value = 'Guest' }", Some("Guest"), "constant");
    check("{ value = 42 }", Some("42"), "constant");
}

#[test]
fn a_group_table_takes_the_first_group_in_the_order_of_the_file() {
    check("{ groups = { Everyone = 'Guest', Hosts = 'Host' } }", Some("Guest"), "group: Everyone");
    check("{ groups = { hosts = 'Host', Everyone = 'Guest' } }", Some("Host"), "group: hosts");
    check("{ groups = { Admins = 'Admin', '*' = 'Guest' } }", Some("Guest"), "group: *");
    check("{ groups = { Admins = 'Admin' } }", None, "the user is in none of the groups that the rule names");
}

#[test]
fn a_group_table_on_a_field_that_only_creation_sets_waits_for_a_membership() {
    let config =
        with_map(CrmCom, "template = { groups = { Supervisors = 'Supervisor', Agents = 'Agent', '*' = 'Guest' } }");
    let rules = compile(&config).unwrap();
    let waiting = Scope::Waiting {
        field: "user_template_identifier".to_owned(),
        groups: vec!["Supervisors".to_owned(), "Agents".to_owned()],
    };
    assert_eq!(dana().map(&rules).scope, waiting);
    assert_eq!(dana().in_groups(&["Everyone"]).map(&rules).scope, waiting);

    let member = dana().in_groups(&["agents"]).map(&rules);
    assert_eq!((member.scope.clone(), member.account.text("user_template_identifier")), (Scope::In, Some("Agent")));
    let nobody = dana().after_group_wait().map(&rules);
    assert_eq!((nobody.scope.clone(), nobody.account.text("user_template_identifier")), (Scope::In, Some("Guest")));
    let told = User::with_extension(CrmCom, "user_template_identifier", "Boss").map(&rules);
    assert_eq!((told.scope.clone(), told.account.text("user_template_identifier")), (Scope::In, Some("Boss")));
}

#[test]
fn what_does_not_depend_on_the_membership_that_is_waited_for_is_checked_at_once() {
    let mut config = with_map(CrmCom, "template = { groups = { Agents = 'Agent' } }");
    config.cti_templates.insert("Agent".to_owned());
    let mapping = User::with_extension(CrmCom, "username", "zq").map_with(&config);
    assert!(matches!(mapping.scope, Scope::Waiting { .. }));
    assert_eq!((mapping.problem_of("username").code.as_ref(), mapping.is_refused()), ("too-short", true));
    // Whether an extension fits depends on the template, and that on the membership.
    let field = "cti_phone_extension_number";
    let mapping = User::with_extension(CrmCom, field, "1077").map_with(&config);
    assert_eq!((mapping.is_refused(), mapping.pools.is_empty()), (false, true));
    assert_eq!(mapping.absent_because(field), "waits for the user's template, which a membership decides");
    let mapping = User::with_extension(CrmCom, field, "1077").in_groups(&["Agents"]).map_with(&config);
    assert_eq!(mapping.account.text(field), Some("1077"));
}

#[test]
fn without_a_star_a_required_field_waits_on_and_an_optional_one_goes_without() {
    let required = with_map(CrmCom, "user_template_identifier = { groups = { Agents = 'Agent' } }");
    assert!(matches!(dana().after_group_wait().map_with(&required).scope, Scope::Waiting { .. }));
    let optional = with_map(CrmCom, "udf_string_2 = { groups = { Agents = 'Agent' } }");
    assert!(matches!(dana().map_with(&optional).scope, Scope::Waiting { .. }));
    let mapping = dana().after_group_wait().map_with(&optional);
    assert_eq!((mapping.scope.clone(), mapping.plain("udf_string_2")), (Scope::In, None));
}

#[test]
fn a_field_that_can_change_later_does_not_wait() {
    let mapping = dana().map_with(&with_map(Glance, "UserRole = { groups = { Hosts = 'Host', '*' = 'Guest' } }"));
    assert_eq!((mapping.scope.clone(), mapping.account.text("UserRole")), (Scope::In, Some("Guest")));
}

#[test]
fn a_secret_is_generated_or_supplied_and_never_seen() {
    let held = |config: &RulesConfig, user: User, field: &str| user.map_with(config).account.fields.get(field).cloned();
    let generated = with_map(Glance, "UserPW = { generate = 'password' }");
    assert_eq!(held(&generated, dana(), "UserPW"), Some(FieldValue::Secret(SecretSource::Generated)));
    let supplied = with_map(Glance, "UserPW = 'password'");
    assert_eq!(held(&supplied, dana(), "UserPW"), None);
    let with_password = || User::with("password", "kJ8!random");
    assert_eq!(held(&supplied, with_password(), "UserPW"), Some(FieldValue::Secret(SecretSource::Supplied)));
    assert!(compile(&supplied).unwrap().uses_password());
    assert!(!compile(&generated).unwrap().uses_password());
    let takes = |config: &RulesConfig, path: &str| compile(config).unwrap().takes_secret(path);
    let own = format!("{}:UserPW", Glance.extension_urn());
    assert!(takes(&supplied, "password") && !takes(&generated, "password"));
    assert!(takes(&supplied, &own) && takes(&generated, &own), "the extension wins over any rule");
    assert!(!takes(&supplied, &format!("{}:password", CrmCom.extension_urn())));
    let either = with_map(Glance, "UserPW = ['password', { generate = 'password' }]");
    assert_eq!(held(&either, dana(), "UserPW"), Some(FieldValue::Secret(SecretSource::Generated)));
    assert_eq!(with_password().map_with(&either).source_of("UserPW"), "password");
    let mapping = with_password().map_with(&either);
    assert!(!format!("{mapping:?}").contains("kJ8!random"));
    assert_eq!(
        held(&with_map(Netsapiens, "voicemail-login-pin = { generate = 'pin' }"), dana(), "voicemail-login-pin"),
        Some(FieldValue::Secret(SecretSource::Generated))
    );
}

#[test]
fn the_target_says_which_pools_groups_and_passwords_it_uses() {
    let rules = compile(&with_map(
        Netsapiens,
        "department = 'groups.display'\nsite = { groups = { Bristol = 'Bristol', '*' = 'Main' } }\nservice-code = '{{ assigned.extension }}'",
    ))
    .unwrap();
    assert_eq!(rules.pools(), ["extension"]);
    assert!(rules.uses_groups());
    assert_eq!(rules.group_names(), ["Bristol"]);
    let plain = compile(&config(Glance)).unwrap();
    assert!(plain.pools().is_empty() && !plain.uses_groups() && !plain.uses_password());
}

#[test]
fn a_default_rule_for_a_pool_that_is_not_there_does_not_exist() {
    let mut config = config(Netsapiens);
    config.pools.clear();
    let rules = compile(&config).unwrap();
    assert!(rules.pools().is_empty());
    let extension = "urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User";
    assert_eq!(dana().map(&rules).out_because(), format!("user: {extension}:extension has no value"));
    let mapping = User::with(extension, json!({ "extension": "2044" })).map(&rules);
    assert_eq!((mapping.scope.clone(), mapping.account.text("user")), (Scope::In, Some("2044")));
}

#[test]
fn a_mapping_names_the_pools_it_came_to() {
    let rules = compile(&config(Netsapiens)).unwrap();
    let pools = |mapping: bridge_mapping::Mapping| mapping.pools.into_iter().collect::<Vec<_>>();
    let unassigned = dana().without_assignments().map(&rules);
    assert!(unassigned.out_because().contains("pool extension"));
    assert_eq!(pools(unassigned), ["extension"]);
    assert_eq!(pools(dana().map(&rules)), ["extension"]);
    assert!(pools(User::with_extension(Netsapiens, "user", "2044").map(&rules)).is_empty());
}

#[test]
fn a_user_without_what_the_target_cannot_do_without_is_out_of_scope() {
    let mapping = user(json!({ "userName": "dana" })).map_with(&config(Netsapiens));
    assert!(mapping.out_because().starts_with("email-address: no value in emails[primary eq true].value"));
    assert!(mapping.account.fields.is_empty() && mapping.problems.is_empty());
    let own = with_map(Netsapiens, "email-address = 'emails[type eq \"work\"].value'");
    let mapping = user(json!({ "userName": "dana@acme.example" })).map_with(&own);
    let problem = mapping.problem_of("email-address");
    assert!(problem.refuses, "a rule of one's own that yields nothing is a fault of the data");
    assert_eq!(
        problem.message,
        "email-address must have a value, and its rule yields none; it comes from emails[type eq \"work\"].value"
    );
}

#[test]
fn names_fall_back_to_what_the_user_has() {
    let check = |mut body: Value, given: &str, family: &str| {
        body["emails"] = json!([{ "value": "a@b.c" }]);
        for (kind, first, last) in [
            (Glance, "UserFirst", "UserLast"),
            (Netsapiens, "name-first-name", "name-last-name"),
            (CrmCom, "first_name", "last_name"),
        ] {
            let mapping = user(body.clone()).map_with(&config(kind));
            assert_eq!(mapping.account.text(first), Some(given), "{kind} of {body}");
            assert_eq!(mapping.account.text(last), Some(family), "{kind} of {body}");
        }
    };
    check(json!({ "userName": "x", "name": { "givenName": "Dana", "familyName": "Ortiz" } }), "Dana", "Ortiz");
    check(json!({ "userName": "x", "name": { "formatted": "Dana M. Ortiz" }, "displayName": "D" }), "Dana", "M. Ortiz");
    check(json!({ "userName": "x", "displayName": "Ortiz, Dana" }), "Dana", "Ortiz");
    check(json!({ "userName": "dana.ortiz@acme.example" }), "Dana", "Ortiz");
    check(json!({ "userName": "scanner1" }), "scanner1", "scanner1");
}

#[test]
fn a_scope_filter_and_scope_groups_decide_who_has_an_account() {
    let scoped = |filter: Option<&str>, groups: &[&str]| {
        let groups = groups.iter().map(|name| (*name).to_owned()).collect();
        RulesConfig { scope: ScopeConfig { filter: filter.map(str::to_owned), groups }, ..config(Glance) }
    };
    let employee = || User::with("userType", "Employee");
    let filter = Some("userType eq \"Employee\"");
    assert_eq!(employee().map_with(&scoped(filter, &[])).scope, Scope::In);
    let contractor = dana().map_with(&scoped(filter, &[]));
    assert_eq!(contractor.out_because(), "the user does not match the target's scope userType eq \"Employee\"");
    assert!(contractor.account.fields.is_empty());
    assert_eq!(contractor.absent_because("UserFirst"), "the user has no account at this target");

    let members = scoped(None, &["Glance Users", "Hosts"]);
    assert_eq!(dana().in_groups(&["hosts"]).map_with(&members).scope, Scope::In);
    assert_eq!(
        dana().map_with(&members).out_because(),
        "the user is in none of the target's groups: Glance Users, Hosts"
    );
    assert!(compile(&members).unwrap().uses_groups());
    assert_eq!(compile(&members).unwrap().group_names(), ["Glance Users", "Hosts"]);

    let both = scoped(filter, &["Hosts"]);
    assert!(matches!(employee().map_with(&both).scope, Scope::Out { .. }));
    assert_eq!(employee().in_groups(&["Hosts"]).map_with(&both).scope, Scope::In);

    let by_group = scoped(Some("groups.display eq \"Hosts\" or id eq \"nobody\""), &[]);
    assert!(compile(&by_group).unwrap().uses_groups());
    assert_eq!(dana().in_groups(&["Hosts"]).map_with(&by_group).scope, Scope::In);
    assert!(matches!(dana().map_with(&by_group).scope, Scope::Out { .. }));
}

#[test]
fn scope_reads_from_a_file_and_refuses_unknown_keys() {
    let scope: ScopeConfig = toml::from_str("filter = 'active eq true'\ngroups = ['PBX Users']").unwrap();
    assert_eq!(scope, ScopeConfig { filter: Some("active eq true".to_owned()), groups: vec!["PBX Users".to_owned()] });
    assert!(toml::from_str::<ScopeConfig>("group = ['PBX Users']").is_err());
}

#[test]
fn a_glance_address_can_have_another_ending() {
    let mut config = config(Glance);
    config.settings.insert("address_suffix".to_owned(), "partner.example".to_owned());
    config.settings.insert("address_domain".to_owned(), "acme.partner.example".to_owned());
    let mapping = dana().map_with(&config);
    assert_eq!(mapping.account.text("UserAddress"), Some("dana.ortiz.acme.partner.example"));
    config.settings.insert("address_domain".to_owned(), "acme.glance.net".to_owned());
    assert_eq!(compile(&config).unwrap_err().to_string(), "address_domain: must end in .partner.example");
}

#[test]
fn a_crm_com_user_name_comes_from_the_local_part_or_the_whole() {
    let mut config = config(CrmCom);
    assert_eq!(dana().map_with(&config).account.text("username"), Some("dana.ortiz"));
    config.settings.insert("username_from".to_owned(), "whole".to_owned());
    assert_eq!(dana().map_with(&config).account.text("username"), Some("dana.ortiz@acme.example"));
    config.settings.insert("username_from".to_owned(), "all".to_owned());
    assert_eq!(compile(&config).unwrap_err().to_string(), "username_from: must be one of local, whole");
}

#[test]
fn the_setting_that_would_keep_namesakes_apart_is_named_unless_it_is_set_or_a_rule_takes_its_place() {
    let apart = |config: &RulesConfig| {
        compile(config).unwrap().keeps_apart().map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let mut crm = config(CrmCom);
    assert_eq!(apart(&crm), Some(("username_from".to_owned(), "whole".to_owned())));
    crm.settings.insert("username_from".to_owned(), "whole".to_owned());
    assert_eq!(apart(&crm), None);
    let mut own = config(CrmCom);
    own.map.insert("username".to_owned(), "{{ userName | before('@') | login }}".into());
    assert_eq!(apart(&own), None);
    assert_eq!([Glance, Netsapiens].map(|kind| apart(&config(kind))), [None, None]);
}

#[test]
fn a_telephone_extension_goes_to_cti_enabled_templates_only() {
    let mut config = config(CrmCom);
    let field = "cti_phone_extension_number";
    let plain = dana().map_with(&config);
    assert_eq!(plain.absent_because(field), "the user's template is not CTI enabled");
    assert!(plain.pools.is_empty(), "no extension is taken for nothing");
    let told = User::with_extension(CrmCom, field, "1077").map_with(&config);
    assert_eq!((told.problem_of(field).code.as_ref(), told.is_refused()), ("not-applicable", true));

    config.cti_templates.insert("Agents".to_owned());
    assert_eq!(dana().map_with(&config).account.text(field), Some("1042"));
    let without = dana().without_assignments().map_with(&config);
    assert_eq!((without.problem_of(field).code.as_ref(), without.is_refused()), ("required", true));
    assert_eq!(
        without.problem_of(field).message,
        format!("{field} must have a value, as the user's template is CTI enabled")
    );
}

#[test]
fn a_natural_key_is_folded_for_comparison() {
    let schema = bridge_mapping::AccountSchema::embedded(Glance);
    let mapping = User::with_extension(Glance, "UserAddress", "Dana.ACME.glance.net").map_with(&config(Glance));
    assert_eq!(mapping.account.natural_key(schema).as_deref(), Some("dana.acme.glance.net"));
    assert_eq!(mapping.account.text("UserAddress"), Some("dana.acme.glance.net"));
}
