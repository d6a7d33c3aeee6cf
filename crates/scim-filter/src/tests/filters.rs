//! Filters of RFC 7644 section 3.4.2.2, each form of its examples with values of ours.

use super::shape::shape;
use crate::{Filter, Limits};

/// The text reads as this tree, also by the strict grammar, and what the tree prints reads as the same tree.
fn check(text: &str, expected: &str) {
    let filter = Filter::parse_with(text, &Limits::strict()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(shape(&filter), expected, "{text}");
    assert_eq!(Filter::parse(&filter.to_string()), Ok(filter), "round trip of {text}");
}

#[test]
fn a_filter_compares_an_attribute_with_a_value() {
    check(r#"userName eq "jo""#, "userName:eq:'jo'");
    check(r#"name.familyName co "O'Hara""#, "name.familyName:co:'O'Hara'");
    check(r#"userName sw "J""#, "userName:sw:'J'");
    check(r#"userName ew ".test""#, "userName:ew:'.test'");
    check(r#"nickName ne "Al""#, "nickName:ne:'Al'");
    check(
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
        "urn:ietf:params:scim:schemas:core:2.0:User:userName:sw:'J'",
    );
    check("title pr", "title:pr");
    check(r#"meta.lastModified gt "2020-02-03T04:05:06Z""#, "meta.lastModified:gt:'2020-02-03T04:05:06Z'");
    check(r#"meta.lastModified ge "2020-02-03T04:05:06Z""#, "meta.lastModified:ge:'2020-02-03T04:05:06Z'");
    check(r#"meta.lastModified lt "2020-02-03T04:05:06Z""#, "meta.lastModified:lt:'2020-02-03T04:05:06Z'");
    check(r#"meta.lastModified le "2020-02-03T04:05:06Z""#, "meta.lastModified:le:'2020-02-03T04:05:06Z'");
    check(
        r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
        "schemas:eq:'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'",
    );
}

#[test]
fn operators_and_keywords_are_read_in_any_letter_case() {
    check(r#"userName EQ "jo""#, "userName:eq:'jo'");
    check(r#"userName Eq "jo""#, "userName:eq:'jo'");
    check("title PR", "title:pr");
    check("title pr AND nickName Pr", "(and title:pr nickName:pr)");
    check("title pr Or nickName pR", "(or title:pr nickName:pr)");
    check("NOT (title pr)", "(not title:pr)");
    check("active eq TRUE", "active:eq:?true");
    check("active eq False", "active:eq:?false");
    check("title eq NULL", "title:eq:nothing");
}

#[test]
fn names_keep_their_letter_case() {
    check(r#"USERNAME eq "jo""#, "USERNAME:eq:'jo'");
    check(r#"Emails[Type eq "work"]"#, "Emails[Type:eq:'work']");
}

#[test]
fn not_binds_tighter_than_and_and_and_tighter_than_or() {
    check(r#"title pr and userType eq "Staff""#, "(and title:pr userType:eq:'Staff')");
    check(r#"title pr or userType eq "Temp""#, "(or title:pr userType:eq:'Temp')");
    check("a pr or b pr and c pr", "(or a:pr (and b:pr c:pr))");
    check("a pr and b pr or c pr", "(or (and a:pr b:pr) c:pr)");
    check("a pr and b pr or c pr and d pr", "(or (and a:pr b:pr) (and c:pr d:pr))");
    check("not (a pr) and b pr", "(and (not a:pr) b:pr)");
    check("a pr and not (b pr or c pr)", "(and a:pr (not (or b:pr c:pr)))");
    check("not (not (a pr))", "(not (not a:pr))");
}

#[test]
fn parentheses_group() {
    check(
        r#"userType eq "Staff" and (emails co "corp.test" or emails.value co "corp.example")"#,
        "(and userType:eq:'Staff' (or emails:co:'corp.test' emails.value:co:'corp.example'))",
    );
    check(
        r#"userType ne "Staff" and not (emails co "corp.test" or emails.value co "corp.example")"#,
        "(and userType:ne:'Staff' (not (or emails:co:'corp.test' emails.value:co:'corp.example')))",
    );
    check(r#"userType eq "Staff" and (emails.type eq "work")"#, "(and userType:eq:'Staff' emails.type:eq:'work')");
    check("(a pr or b pr) and c pr", "(and (or a:pr b:pr) c:pr)");
    check("((a pr))", "a:pr");
    check("( a pr )", "a:pr");
}

#[test]
fn grouping_like_with_like_is_dissolved() {
    check("a pr and (b pr and c pr)", "(and a:pr b:pr c:pr)");
    check("(a pr and b pr) and c pr", "(and a:pr b:pr c:pr)");
    check("a pr or (b pr or (c pr or d pr))", "(or a:pr b:pr c:pr d:pr)");
    check("a pr and (b pr or (c pr and d pr))", "(and a:pr (or b:pr (and c:pr d:pr)))");
    check("(a pr and b pr) or c pr", "(or (and a:pr b:pr) c:pr)");
}

#[test]
fn a_value_path_holds_for_one_element() {
    check(
        r#"userType eq "Staff" and emails[type eq "work" and value co "@corp.test"]"#,
        "(and userType:eq:'Staff' emails[(and type:eq:'work' value:co:'@corp.test')])",
    );
    check(
        r#"emails[type eq "work" and value co "@a.test"] or ims[type eq "xmpp" and value co "@b.test"]"#,
        "(or emails[(and type:eq:'work' value:co:'@a.test')] ims[(and type:eq:'xmpp' value:co:'@b.test')])",
    );
    check(
        r#"emails[not (type eq "home") and (primary eq true or value pr)]"#,
        "emails[(and (not type:eq:'home') (or primary:eq:?true value:pr))]",
    );
    check(r#"not (emails[type eq "work"])"#, "(not emails[type:eq:'work'])");
    check(r#"emails[ type eq "work" ]"#, "emails[type:eq:'work']");
    check(r#"urn:acme:scim:1.0:User:badges[colour eq "red"]"#, "urn:acme:scim:1.0:User:badges[colour:eq:'red']");
}

#[test]
fn a_value_path_may_be_compared() {
    check(r#"emails[type eq "work"].value eq "jo@corp.test""#, "emails[type:eq:'work']/value:eq:'jo@corp.test'");
    check(r#"emails[type eq "work"].value pr"#, "emails[type:eq:'work']/value:pr");
    check(r#"emails[type eq "work"] eq "jo@corp.test""#, "emails[type:eq:'work']/-:eq:'jo@corp.test'");
    check(r#"emails[type eq "work"] pr"#, "emails[type:eq:'work']/-:pr");
    check(r#"emails[type eq "work"] and active eq true"#, "(and emails[type:eq:'work'] active:eq:?true)");
    check(
        r#"emails[type eq "work"].value eq "a" or emails[type eq "home"].value eq "b""#,
        "(or emails[type:eq:'work']/value:eq:'a' emails[type:eq:'home']/value:eq:'b')",
    );
}

#[test]
fn text_values_are_json_strings() {
    check(r#"displayName eq "Sales EMEA""#, "displayName:eq:'Sales EMEA'");
    check(r#"displayName eq """#, "displayName:eq:''");
    check(r#"displayName eq "say \"hi\" \\ \/""#, "displayName:eq:'say \"hi\" \\ /'");
    check(r#"displayName eq "\b\f\n\r\t""#, "displayName:eq:'\u{8}\u{c}\n\r\t'");
    check(r#"displayName eq "\u0041\u00e9\u20AC""#, "displayName:eq:'Aé€'");
    check(r#"displayName eq "\uD83D\ude00""#, "displayName:eq:'😀'");
    check(r#"displayName eq "Ærø & Søn / 北京 😀""#, "displayName:eq:'Ærø & Søn / 北京 😀'");
    check(r#"displayName eq "a) and (b] or [c""#, "displayName:eq:'a) and (b] or [c'");
    check(r#"displayName eq "\u0000""#, "displayName:eq:'\0'");
}

#[test]
fn numbers_keep_their_text() {
    check("weight gt 0", "weight:gt:#0");
    check("weight lt -12", "weight:lt:#-12");
    check("weight ge 1.50", "weight:ge:#1.50");
    check("weight le 6.02E+23", "weight:le:#6.02E+23");
    check("weight le 1e-9", "weight:le:#1e-9");
    check("weight eq 123456789012345678901234567890", "weight:eq:#123456789012345678901234567890");
}

#[test]
fn spaces_may_be_many_or_missing_where_nothing_is_ambiguous() {
    check("  title \t pr  ", "title:pr");
    check("title\npr", "title:pr");
    check("not(title pr)", "(not title:pr)");
    check("not  (title pr)", "(not title:pr)");
    check("(a pr)and(b pr)", "(and a:pr b:pr)");
    check(r#"userName eq"jo"and title pr"#, "(and userName:eq:'jo' title:pr)");
}

#[test]
fn keywords_are_names_where_a_name_is_due() {
    check("not pr", "not:pr");
    check(r#"not eq "x""#, "not:eq:'x'");
    check("not[value pr] and not.value pr", "(and not[value:pr] not.value:pr)");
    check("and pr and or pr or pr pr", "(or (and and:pr or:pr) pr:pr)");
    check(r#"eq eq "eq""#, "eq:eq:'eq'");
    check("true eq true", "true:eq:?true");
}
