//! What identity providers send, as far as it is special.

use super::shape::shape;
use crate::{Filter, Leniency, Limits, PatchPath};

fn check(text: &str, expected: &str) {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(shape(&filter), expected, "{text}");
    assert_eq!(Filter::parse_with(&filter.to_string(), &Limits::strict()), Ok(filter), "round trip of {text}");
}

fn check_path(text: &str, expected: &str) {
    let path = PatchPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(path.to_string(), expected, "{text}");
    assert_eq!(PatchPath::parse_with(&path.to_string(), &Limits::strict()), Ok(path), "round trip of {text}");
}

#[test]
fn okta_finds_users_and_groups() {
    check(r#"userName eq "jo@corp.test""#, "userName:eq:'jo@corp.test'");
    check(r#"externalId eq "00u1abcdEFGHijkl0h7""#, "externalId:eq:'00u1abcdEFGHijkl0h7'");
    check(r#"emails.value eq "jo@corp.test""#, "emails.value:eq:'jo@corp.test'");
    check(r#"displayName eq "R&D / \"Blue\", EMEA: Łódź + 1""#, "displayName:eq:'R&D / \"Blue\", EMEA: Łódź + 1'");
    check_path(r#"members[value eq "u1"]"#, r#"members[value eq "u1"]"#);
}

#[test]
fn entra_probes_matches_and_asks_for_references() {
    check(
        r#"userName eq "b5c1a1f0-0000-4a6b-9c1d-0123456789ab""#,
        "userName:eq:'b5c1a1f0-0000-4a6b-9c1d-0123456789ab'",
    );
    check(
        r##"userName eq "jo_corp.test#EXT#@tenant.test" and active eq true"##,
        "(and userName:eq:'jo_corp.test#EXT#@tenant.test' active:eq:?true)",
    );
    check(r#"emails[type eq "work"].value eq "jo+x@corp.test""#, "emails[type:eq:'work']/value:eq:'jo+x@corp.test'");
    check(r#"emails[type eq "work"] eq "jo@corp.test""#, "emails[type:eq:'work']/-:eq:'jo@corp.test'");
    check(r#"id eq "u1" and manager eq "u9""#, "(and id:eq:'u1' manager:eq:'u9')");
    check(r#"id eq "g1" and members eq "u1""#, "(and id:eq:'g1' members:eq:'u1')");
    check(r#"DisplayName eq "Sales EMEA""#, "DisplayName:eq:'Sales EMEA'");
    check(
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq "007""#,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber:eq:'007'",
    );
}

#[test]
fn entra_patches_by_value_path() {
    for path in [
        r#"emails[type eq "work"].value"#,
        r#"emails[primary eq true].value"#,
        r#"addresses[type eq "work"].formatted"#,
        r#"phoneNumbers[type eq "untyped"].value"#,
        r#"roles[primary eq "True"].value"#,
        r#"emails[type eq "work"]"#,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
    ] {
        check_path(path, path);
    }
}

#[test]
fn values_without_quotes_are_read_as_text() {
    check("userName sw O", "userName:sw:'O'");
    check("externalId eq jyoung", "externalId:eq:'jyoung'");
    check("meta.Created gt 2015-10-10T14:38:21.8617979-07:00", "meta.Created:gt:'2015-10-10T14:38:21.8617979-07:00'");
    check(
        "(userName sw J and title co lead) or active eq True",
        "(or (and userName:sw:'J' title:co:'lead') active:eq:?true)",
    );
    check(r"userName eq CORP\jo", r"userName:eq:'CORP\jo'");
    check("userName eq o'hara@corp.test", "userName:eq:'o'hara@corp.test'");
    check("employeeNumber eq 00701", "employeeNumber:eq:'00701'");
    check("employeeNumber eq 701", "employeeNumber:eq:#701");
    check("displayName eq Łódź", "displayName:eq:'Łódź'");
    check("displayName eq truest", "displayName:eq:'truest'");
    check_path(
        "members[value eq 2819c223-7f76-453a-919d-413861904646]",
        r#"members[value eq "2819c223-7f76-453a-919d-413861904646"]"#,
    );
    check_path("emails[type eq work].value", r#"emails[type eq "work"].value"#);
}

#[test]
fn what_the_grammar_has_not_is_named() {
    let check = |text: &str, expected: &[Leniency]| {
        let (filter, taken) = Filter::parse_noting(text).unwrap();
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), expected, "{text}");
        let (_, printed) = Filter::parse_noting(&filter.to_string()).unwrap();
        assert!(printed.iter().all(|leniency| *leniency == Leniency::ComparedValuePath), "{filter} is what we write");
    };
    for by_the_grammar in [
        r#"userName Eq "jo" AND (title pr Or not (active eq true))"#,
        r#"emails[type eq "work" and (value sw "a" or not(primary eq true))] and title pr"#,
        r#"(emails[type eq "work"])"#,
        r#"age gt -1.5e3 or manager eq null"#,
    ] {
        check(by_the_grammar, &[]);
    }
    check("userName eq jo", &[Leniency::UnquotedValue]);
    check("active eq True or manager ne NULL", &[Leniency::LiteralCase]);
    check(r#"meta.lastModified gt 2011-05-13T04:42:34Z"#, &[Leniency::UnquotedValue]);
    for spaced in [
        r#" userName eq "jo""#,
        r#"userName eq "jo" "#,
        r#"userName  eq "jo""#,
        r#"userName eq  "jo""#,
        r#"userName eq"jo""#,
        "userName\teq \"jo\"",
        "title pr  and active pr",
        "title pr and  active pr",
        "(title pr)or active pr",
        "title pr or(active pr)",
        "( title pr)",
        "(title pr )",
        r#"emails[ type eq "work"]"#,
        r#"emails[type eq "work" ]"#,
        r#"emails[type eq "work"]  and title pr"#,
    ] {
        check(spaced, &[Leniency::OtherSpaces]);
    }
    check(r#"emails[type eq "work"].value eq "a""#, &[Leniency::ComparedValuePath]);
    check(
        r#"emails[type eq work]  pr"#,
        &[Leniency::UnquotedValue, Leniency::OtherSpaces, Leniency::ComparedValuePath],
    );
    let path = |text: &str| PatchPath::parse_noting(text).unwrap().1.into_iter().collect::<Vec<_>>();
    assert_eq!(path(r#"emails[type eq "work"].value"#), []);
    assert_eq!(path("members[value eq u1]"), [Leniency::UnquotedValue]);
    assert_eq!(path(" title"), [Leniency::OtherSpaces]);
    assert_eq!(path("title "), [Leniency::OtherSpaces]);
}
