//! What an administrator reads when a rule cannot work: which key, which text, where in it, and why.

use bridge_mapping::{Position, RulesConfig, ScopeConfig, TargetKind};

use crate::support::{compile, config, with_map};

use TargetKind::{CrmCom, Glance, Netsapiens};

/// The error's column is where `^` stands under the rule; `-` if the whole rule is meant.
fn check(rule: &str, pointer: &str, message: &str) {
    check_field(Glance, "UserRole", rule, pointer, message);
}

fn check_field(kind: TargetKind, field: &str, rule: &str, pointer: &str, message: &str) {
    let error = compile(&with_map(kind, &format!("{field} = {rule}"))).unwrap_err();
    assert_eq!(error.key, format!("map.{field}"), "{rule}");
    assert_eq!(error.message, message, "{rule}");
    let column = pointer.find('^').map(|column| column + 1);
    assert_eq!(error.position, column.map(|column| Position { line: 1, column }), "{rule}: {error}");
}

#[test]
fn a_path_that_no_schema_knows_is_named_where_it_stands() {
    check("'nam.givenName'", "^", "no schema has an attribute \"nam\"");
    check("'name.givenNam'", "     ^", "name has no part \"givenNam\"");
    check("'emails[type eq \"work\"].valu'", "                       ^", "emails has no part \"valu\"");
    check(
        "'name'",
        "    ^",
        "name has parts; name one of them: formatted, familyName, givenName, middleName, honorificPrefix, honorificSuffix",
    );
    check("'urn:acme:2.0:User:title'", "^", "there is no schema urn:acme:2.0:User");
    check(
        "'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:dept'",
        "                                                           ^",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User has no attribute \"dept\"",
    );
    check(
        "'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'",
        "                                                          ^",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User is a whole schema; name an attribute of it",
    );
    check("'meta.created'", "^", "meta is not known to rules");
    check("'password'", "^", "password is a secret and UserRole is not");
    check_field(Glance, "UserPW", "'title'", "^", "UserPW is a secret and title is not");
}

#[test]
fn a_path_that_breaks_the_grammar_says_where() {
    let error = compile(&with_map(Glance, "UserRole = 'emails[type eq ].value'")).unwrap_err();
    assert_eq!(error.position, Some(Position { line: 1, column: 16 }), "{error}");
    assert_eq!(error.rule.as_deref(), Some("emails[type eq ].value"));
    let error = compile(&with_map(Glance, "UserRole = 'emails[typ eq \"work\"].value'")).unwrap_err();
    assert_eq!(error.position, Some(Position { line: 1, column: 8 }), "{error}");
    assert!(error.message.contains("emails has no part"), "{error}");
}

#[test]
fn a_template_with_an_unknown_name_says_where() {
    check("'{{ usrName }}'", "   ^", "no schema has an attribute \"usrName\"");
    check("'a {{ userName }} {{ nick }}'", "                    ^", "no schema has an attribute \"nick\"");
    check("'{{ name.given }}.'", "        ^", "name has no part \"given\"");
    check("'{{ emails[0].valeu }}'", "             ^", "emails has no part \"valeu\"");
    check("'{{ emails.Value }}'", "          ^", "write \"value\"");
    check("'{{ userName.first }}'", "            ^", "userName has no part \"first\"");
    check("'{{ title[0] }}'", "   ^", "title is not a list");
    check("'{{ password }}'", "   ^", "password is a secret and UserRole is not");
    check("'{{ password }}!'", "   ^", "password is a secret; only a secret field takes it, as a path");
    check("'{{ meta.version }}'", "   ^", "meta is not known to rules");
    check(
        "'{{ enterprise.dept }}'",
        "              ^",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User has no attribute \"dept\"",
    );
    check("'{{ assigned.desk }}'", "            ^", "the tenant has no pool \"desk\"");
    check("'{{ assigned }}'", "   ^", "write assigned.NAME with the name of a pool");
    check("\"{{ assigned['extension'] }}\"", "   ^", "write assigned.NAME with the name of a pool");
    check("'{{ target.domian }}'", "          ^", "the target has no setting \"domian\"");
    check("'{{ userName | slugg }}'", "              ^", "there is no filter \"slugg\"");
    check("'{{ 1 if userName is emptyish }}'", "                    ^", "there is no test \"emptyish\"");
    check("'{% if title %}{{ titel }}{% endif %}'", "                 ^", "no schema has an attribute \"titel\"");
    check_field(
        Glance,
        "UserPW",
        "'{{ userName }}'",
        "^",
        "a secret comes from a path such as \"password\" or from { generate = … }, never from a template",
    );
}

#[test]
fn a_template_that_breaks_the_grammar_says_where() {
    let position = |rule: &str| compile(&with_map(Glance, &format!("UserRole = '''{rule}'''"))).unwrap_err().position;
    assert_eq!(position("{{ userName | }}"), Some(Position { line: 1, column: 15 }));
    assert_eq!(position("{{ userName }}\n{% if %}"), Some(Position { line: 2, column: 7 }));
    assert_eq!(position("{% include 'secrets' %}"), Some(Position { line: 1, column: 4 }));
}

#[test]
fn a_rule_of_no_known_form_says_what_forms_there_are() {
    check("42", "", "a constant is written { value = 42 }");
    check("['title', 7]", "", "a constant is written { value = 7 }");
    check("['title', ['userName']]", "", "a list of rules cannot hold another list");
    check("{ }", "", "a rule's table has one key: value, groups or generate");
    check("{ value = 1, groups = {} }", "", "a rule's table has one key: value, groups or generate");
    check("{ constant = 1 }", "", "there is no form of rule \"constant\": use value, groups or generate");
    check("{ value = [1] }", "", "value must be a text, number or boolean");
    check("{ value = '' }", "", "the value is empty; an empty list [] keeps a field unset");
    check("{ groups = 'Hosts' }", "", "write { groups = { \"Group name\" = … } }");
    check(
        "{ groups = { '*' = 'Guest', Hosts = 'Host' } }",
        "",
        "\"*\" fits everybody, so it must come after \"Hosts\"",
    );
    check("{ groups = { Hosts = {} } }", "", "the value of \"Hosts\" must be a text, number or boolean");
    check("{ generate = 'password' }", "", "UserRole is not a secret, so nothing can be generated for it");
    check_field(Glance, "UserPW", "{ generate = 'pin' }", "", "UserPW takes { generate = \"password\" }");
    let shown = "a secret must not stand in the configuration's rules; use { generate = … }";
    check_field(Glance, "UserPW", "{ value = 'hunter22' }", "", shown);
    check_field(Glance, "UserPW", "{ groups = { Hosts = 'hunter22' } }", "", shown);
}

#[test]
fn a_constant_that_breaks_a_limit_breaks_it_for_everybody() {
    check("{ value = 'A role of more than thirty-one characters' }", "", "UserRole must have at most 31 characters");
    check(
        "{ groups = { } }",
        "",
        "names no group: write { groups = { \"Group name\" = …, \"*\" = … } }, or [] for no value",
    );
    check(
        "{ groups = { Hosts = 'A role of more than thirty-one characters' } }",
        "",
        "the value of \"Hosts\": UserRole must have at most 31 characters",
    );
    check_field(
        Netsapiens,
        "user-scope",
        "{ groups = { Bosses = 'Super User' } }",
        "",
        "the value of \"Bosses\": user-scope must not be a privileged value; the target's `allow` setting can unlock it",
    );
}

#[test]
fn a_field_the_target_does_not_have_is_an_error() {
    let message = |kind, map: &str| compile(&with_map(kind, map)).unwrap_err().to_string();
    assert_eq!(message(Glance, "Role = 'title'"), "map.Role: glance has no field of this name");
    assert_eq!(
        message(Glance, "userrole = 'title'"),
        "map.userrole: glance has no field of this name; did you mean UserRole?"
    );
    assert_eq!(
        message(Glance, "UserRolle = 'title'"),
        "map.UserRolle: glance has no field of this name; did you mean UserRole?"
    );
    assert_eq!(message(Glance, "OKURL = 'title'"), "map.OKURL: glance has no field of this name");
    assert_eq!(
        message(CrmCom, "template = { value = 'A' }\nuser_template_identifier = { value = 'B' }"),
        "map.user_template_identifier: is another spelling of template, which has a rule already"
    );
    assert_eq!(
        message(CrmCom, "password_confirmation = { generate = 'password' }"),
        "map.password_confirmation: is always the same as password and has no rule of its own"
    );
    assert_eq!(message(CrmCom, "username = []"), "map.username: the target requires this field, so it needs a rule");
}

#[test]
fn a_setting_that_a_required_field_needs_is_asked_for() {
    let message = |kind| compile(&RulesConfig::new(kind)).unwrap_err().to_string();
    assert_eq!(
        message(Glance),
        "map.UserAddress: the target requires this field: set `address_domain`, or write a rule"
    );
    assert_eq!(
        message(CrmCom),
        "map.user_template_identifier: the target requires this field: set `template`, or write a rule"
    );
    compile(&RulesConfig::new(Netsapiens)).expect("the login name is optional");
}

#[test]
fn a_scope_that_cannot_work_says_where() {
    let check = |filter: &str, column: Option<usize>, message: &str| {
        let scope = ScopeConfig { filter: Some(filter.to_owned()), groups: Vec::new() };
        let error = compile(&RulesConfig { scope, ..config(Glance) }).unwrap_err();
        assert_eq!(error.key, "scope.filter");
        assert_eq!(error.position, column.map(|column| Position { line: 1, column }), "{error}");
        assert!(error.message.contains(message), "{error}");
    };
    check("userTyp eq \"Employee\"", Some(1), "userTyp");
    check("active eq true and userTyp eq \"Employee\"", Some(20), "userTyp");
    check("userType eq", Some(12), "");
    check("meta.created pr", Some(1), "meta is not known to rules");
}
