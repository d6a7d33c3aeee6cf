//! Where the parser stops, and what it tells the administrator.

use crate::{AttributePath, Filter, Limits, ParseError, PatchPath};

fn refused(error: Option<ParseError>, text: &str, position: usize, message: &str) {
    assert_eq!(error, Some(ParseError { position, message: message.to_owned() }), "{text}");
}

/// By the strict grammar.
fn check(text: &str, position: usize, message: &str) {
    refused(Filter::parse_with(text, &Limits::strict()).err(), text, position, message);
}

/// Even by the default, lenient one.
fn check_lenient(text: &str, position: usize, message: &str) {
    refused(Filter::parse(text).err(), text, position, message);
}

fn check_path(text: &str, position: usize, message: &str) {
    refused(PatchPath::parse(text).err(), text, position, message);
}

fn check_name(text: &str, position: usize, message: &str) {
    refused(AttributePath::parse(text).err(), text, position, message);
}

#[test]
fn a_filter_says_what_is_missing() {
    check("", 0, "the filter is empty");
    check("   ", 3, "the filter is empty");
    check("userName", 8, "expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found the end");
    check("userName eq", 11, "expected a value after \"eq\", found the end");
    check("userName eq ", 12, "expected a value after \"eq\", found the end");
    check_lenient("userName eq and active eq true", 12, "expected a value after \"eq\", found \"and\"");
    check("(userName eq)", 12, "expected a value after \"eq\", found \")\"");
    check("title pr and", 12, "expected an attribute name, found the end");
    check("title pr and ", 13, "expected an attribute name, found the end");
    check("and title pr", 4, "expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found \"title\"");
    check("title pr or ) ", 12, "expected an attribute name, found \")\"");
    check("()", 1, "expected an attribute name, found \")\"");
    check("\"jo\" eq userName", 0, "expected an attribute name, found a quoted text");
    check("emails[]", 7, "the brackets hold no filter");
    check("emails[ ]", 8, "the brackets hold no filter");
    check(
        "emails[type eq \"work\"].value",
        28,
        "expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found the end",
    );
    check("emails[type eq \"work\"]. eq \"x\"", 23, "an attribute name is missing");
}

#[test]
fn a_filter_says_what_is_too_much() {
    check("title pr nickName pr", 9, "expected \"and\" or \"or\", found \"nickName\"");
    check("title pr \"x\"", 9, "expected \"and\" or \"or\", found a quoted text");
    check("title pr)", 8, "this closing parenthesis has no opening one");
    check("title pr]", 8, "this closing bracket has no opening one");
    check("userName eq \"a\" \"b\"", 16, "expected \"and\" or \"or\", found a quoted text");
    check_lenient("displayName eq Sales EMEA", 21, "expected \"and\" or \"or\", found \"EMEA\"");
    check_lenient("displayName eq Sales(EMEA)", 20, "expected \"and\" or \"or\", found \"(\"");
    check("(title pr nickName pr)", 10, "expected \"and\" or \"or\", found \"nickName\"");
    check("title pr und einmalsehrlangesWortOhneEnde", 9, "expected \"and\" or \"or\", found \"und\"");
    check(
        "title pr einmalsehrlangesWortOhneEnde",
        9,
        "expected \"and\" or \"or\", found \"einmalsehrlangesWortOhne\"…",
    );
}

#[test]
fn operators_are_named_when_unknown() {
    check(
        "userName equals \"jo\"",
        9,
        "expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found \"equals\"",
    );
    check("userName = \"jo\"", 9, "expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found \"=\"");
    check("userName=\"jo\"", 8, "'=' cannot be part of an attribute name; operators are words, such as eq");
    check("userName (eq)", 9, "expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found \"(\"");
    check("not title pr", 4, "\"not\" needs parentheses: not (…)");
    check("not", 3, "\"not\" needs parentheses: not (…)");
}

#[test]
fn parentheses_and_brackets_must_pair() {
    check("(title pr", 9, "the parenthesis opened at byte 0 is not closed");
    check("a pr and ((b pr)", 16, "the parenthesis opened at byte 9 is not closed");
    check("emails[type pr", 14, "the bracket opened at byte 6 is not closed");
    check("emails[type pr)", 14, "expected \"]\" for the bracket opened at byte 6, found \")\"");
    check("emails[(type pr]", 15, "expected \")\" for the parenthesis opened at byte 7, found \"]\"");
    check("(emails[type pr)]", 15, "expected \"]\" for the bracket opened at byte 7, found \")\"");
    check("emails[type[a pr]]", 11, "a filter in brackets cannot hold further brackets");
    check("emails[(type[a pr])]", 12, "a filter in brackets cannot hold further brackets");
    check("emails.value[type pr]", 12, "brackets follow the attribute itself, not its sub-attribute \"value\"");
}

#[test]
fn text_values_must_be_json() {
    check("userName eq jo", 12, "a text value stands in double quotes");
    check("userName eq 007", 12, "a text value stands in double quotes");
    check_lenient("userName eq 'jo'", 12, "a text value stands in double quotes");
    check_lenient("userName eq “jo”", 12, "a text value stands in double quotes");
    check("userName eq \"jo", 15, "the text value opened at byte 12 has no closing quote");
    check("userName eq \"", 13, "the text value opened at byte 12 has no closing quote");
    check("userName eq \"jo\\\"", 17, "the text value opened at byte 12 has no closing quote");
    check("userName eq \"é\\x\"", 15, "this backslash begins no JSON escape; a backslash itself is written \\\\");
    check("userName eq \"\\", 13, "this backslash begins no JSON escape; a backslash itself is written \\\\");
    check("userName eq \"\\u12G4\"", 13, "\\u needs four hexadecimal digits");
    check("userName eq \"\\u12\"", 13, "\\u needs four hexadecimal digits");
    check("userName eq \"\\u+123\"", 13, "\\u needs four hexadecimal digits");
    check("userName eq \"\\u00é0\"", 13, "\\u needs four hexadecimal digits");
    check("userName eq \"\\uD83D\"", 13, "this \\u escape is one half of a surrogate pair without the other");
    check("userName eq \"\\uD83D\\n\"", 13, "this \\u escape is one half of a surrogate pair without the other");
    check("userName eq \"\\uD83D\\u0041\"", 13, "this \\u escape is one half of a surrogate pair without the other");
    check("userName eq \"\\uDE00\\uD83D\"", 13, "this \\u escape is one half of a surrogate pair without the other");
    check("userName eq \"\\uD83D\\uD83D\"", 13, "this \\u escape is one half of a surrogate pair without the other");
    check("userName eq \"a\nb\"", 14, "a control character in a text value is written as an escape, such as \\n");
    check_lenient("userName eq a\u{1}b", 13, "a control character cannot stand in a value without quotes");
}

#[test]
fn names_must_follow_the_grammar() {
    check_name("", 0, "the attribute name is empty");
    check_name("user name", 5, "nothing may follow the attribute name, found \"name\"");
    check_name("userName[a pr]", 8, "nothing may follow the attribute name, found \"[\"");
    check_name("user/name", 4, "'/' cannot be part of an attribute name");
    check_name("größe", 2, "'ö' cannot be part of an attribute name");
    check_name("1st", 0, "an attribute name begins with a letter, unlike \"1st\"");
    check_name("-x", 0, "an attribute name begins with a letter, unlike \"-x\"");
    check_name(".value", 0, "an attribute name is missing");
    check_name("name.", 5, "an attribute name is missing");
    check_name("name.a.b", 6, "a sub-attribute has no further sub-attribute");
    check_name("name..b", 5, "a sub-attribute has no further sub-attribute");
    check_name("urn:a:b:", 8, "an attribute name is missing");
    check_name("urn:a:ext:2.0", 10, "an attribute name begins with a letter, unlike \"2\"");
    check_name("foo:bar", 0, "\"foo\" before the colon is not a schema URI");
    check_name(":bar", 0, "\"\" before the colon is not a schema URI");
    check_name("urn::bar", 0, "\"urn:\" before the colon is not a schema URI");
    check_name("1:2:bar", 0, "\"1:2\" before the colon is not a schema URI");
    check_name("urn:a{b}:c", 5, "'{' cannot be part of a schema URI");
    check("(größe pr)", 3, "'ö' cannot be part of an attribute name");
}

#[test]
fn paths_must_follow_the_grammar() {
    check_path("", 0, "the path is empty");
    check_path(" ", 1, "the path is empty");
    check_path("/title", 0, "'/' cannot be part of an attribute name");
    check_path("title nickName", 6, "nothing may follow the path, found \"nickName\"");
    check_path("title eq \"x\"", 6, "nothing may follow the path, found \"eq\"");
    check_path("emails[type eq \"work\"] eq \"x\"", 23, "nothing may follow the path, found \"eq\"");
    check_path("emails[type eq \"work\"].value.x", 28, "a sub-attribute has no further sub-attribute");
    check_path("emails[type eq \"work\"]value", 22, "nothing may follow the path, found \"value\"");
    check_path("emails[type eq \"work\"][value pr]", 22, "nothing may follow the path, found \"[\"");
    check_path("emails[type eq \"work\"", 21, "the bracket opened at byte 6 is not closed");
    check_path("emails[]", 7, "the brackets hold no filter");
    check_path(
        "emails.value[type eq \"work\"]",
        12,
        "brackets follow the attribute itself, not its sub-attribute \"value\"",
    );
    check_path("[type eq \"work\"]", 0, "expected an attribute name, found \"[\"");
    check_path("members[value]", 13, "expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found \"]\"");
}

#[test]
fn an_error_prints_message_and_place() {
    let error = Filter::parse("title pr nickName").unwrap_err();
    assert_eq!(error.to_string(), "expected \"and\" or \"or\", found \"nickName\" (at byte 9)");
}
