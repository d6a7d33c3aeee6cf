//! Runs the requests of `fixtures/`: what clients really send, and of `fixtures/rfc/requests`: what the RFCs show as examples;
//! what it must become, and which tolerances it took.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may panic, and so may its helpers")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use scim_model::{
    Attribute, Catalog, Context, Document, Mutability, Note, Packing, Parameters, Projection, Quirk, Replacement,
    ResourceType, Schema, ScimError, Type, accept, bulk, patch, read_body, read_filter,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    source: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    says: String,
    #[serde(rename = "type", default = "user")]
    resource_type: String,
    before: Option<Map<String, Value>>,
    post: Option<Value>,
    put: Option<Value>,
    patch: Option<Value>,
    operations: Option<Value>,
    /// Whether `replace` is meant as the interoperability profile has it.
    #[serde(default)]
    by_profile: bool,
    /// A filter over users and groups.
    filter: Option<String>,
    /// A query string as it stands in an address, or...
    query: Option<String>,
    /// ... the body of a search request: both become the parameters in `after`.
    search: Option<Value>,
    /// Address and headers of a request.
    packing: Option<Sent>,
    /// The text of a body, which becomes the JSON in `after`.
    text: Option<String>,
    /// A bulk request.
    bulk: Option<Value>,
    after: Option<Value>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    quirks: Vec<String>,
    error: Option<Expected>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sent {
    sent_path: Option<String>,
    #[serde(default)]
    path: String,
    content_type: Option<String>,
    authorization: Option<String>,
    if_match: Option<String>,
    if_none_match: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    scim_type: String,
    detail: String,
}

fn user() -> String {
    "User".to_owned()
}

/// An extension of a tenant, with the kinds of attributes that the standard ones lack.
fn badge() -> Schema {
    let text = |name: &str| Attribute::new(name, Type::String, "");
    Schema {
        id: "urn:example:badge:2.0:User".to_owned(),
        name: "Badge".to_owned(),
        description: "What is printed on a badge.".to_owned(),
        attributes: vec![
            Attribute { mutability: Mutability::Immutable, ..text("number") },
            Attribute::new("floor", Type::Integer, ""),
            Attribute::new("weight", Type::Decimal, ""),
            Attribute::new("issued", Type::DateTime, ""),
            Attribute { multi_valued: true, ..text("tags") },
        ],
    }
}

fn fixtures() -> Vec<(String, Fixture)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let entries = |folder: PathBuf| fs::read_dir(folder).expect("the folder is there");
    let mut fixtures = Vec::new();
    for entry in entries(root.clone()).chain(entries(root.join("rfc/requests"))) {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a fixture can be read");
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let fixture = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        fixtures.push((name, fixture));
    }
    fixtures.sort_by(|(left, _), (right, _)| left.cmp(right));
    fixtures
}

#[test]
fn every_request_becomes_what_its_fixture_says() {
    let catalog = Catalog::new(vec![badge()]).expect("the schemas fit together");
    let mut failures = Vec::new();
    let mut count = 0;
    for (name, fixture) in fixtures() {
        assert!(!fixture.source.is_empty(), "{name} names no source");
        for case in fixture.cases {
            count += 1;
            if let Err(difference) = check(&catalog, &case) {
                failures.push(format!("{name}: {}\n{difference}", case.says));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} failed\n\n{}", failures.len(), failures.join("\n\n"));
}

fn check(catalog: &Catalog, case: &Case) -> Result<(), String> {
    let resource_type = catalog.resource_type(&case.resource_type).ok_or("no such resource type")?;
    if case.filter.is_some() || case.query.is_some() || case.search.is_some() {
        return check_asked(catalog, resource_type, case);
    }
    if case.packing.is_some() || case.text.is_some() || case.bulk.is_some() {
        return check_sent(catalog, case);
    }
    let before = Document::from_map(case.before.clone().unwrap_or_default());
    let replacement = if case.by_profile { Replacement::OfTheWhole } else { Replacement::OfParts };
    let result = match case {
        Case { post: Some(body), .. } => accept(resource_type, body.clone(), Context::Create),
        Case { put: Some(body), .. } => {
            accept(resource_type, body.clone(), Context::Replace { current: &before, id: "u1" })
        }
        Case { patch: Some(body), .. } => patch(resource_type, &before, "u1", body, replacement),
        Case { operations: Some(operations), .. } => {
            let body = json!({ "schemas": [scim_model::PATCH_URN], "Operations": operations });
            patch(resource_type, &before, "u1", &body, replacement)
        }
        _ => return Err("the case holds no request".to_owned()),
    };
    let draft = match (&case.error, result) {
        (Some(expected), Err(error)) => return check_error(expected, &error),
        (Some(expected), Ok(draft)) => return Err(format!("no {}: {draft:?}", expected.scim_type)),
        (None, Err(error)) => return Err(format!("refused: {error:?}")),
        (None, Ok(draft)) => draft,
    };
    let document = Value::Object(draft.document.as_map().clone());
    let after = case.after.as_ref().ok_or("the case says not what the document becomes")?;
    same("document", &document, after)?;
    same("secrets", &draft.secrets.keys().cloned().collect(), &case.secrets)?;
    check_quirks(case, &draft.notes)?;
    check_put_of_itself(resource_type, &draft.document)
}

/// What was tolerated round a message, in its text, or in a bulk request.
fn check_sent(catalog: &Catalog, case: &Case) -> Result<(), String> {
    if let Some(sent) = &case.packing {
        let packing = Packing {
            sent_path: sent.sent_path.as_deref(),
            path: &sent.path,
            content_type: sent.content_type.as_deref(),
            authorization: sent.authorization.as_deref(),
            if_match: sent.if_match.as_deref(),
            if_none_match: sent.if_none_match.as_deref(),
        };
        return check_quirks(case, &packing.notes(catalog));
    }
    let notes = match (&case.text, &case.bulk) {
        (Some(text), _) => {
            let (body, notes) = read_body(text.as_bytes()).map_err(|error| format!("refused: {error:?}"))?;
            same("body", &Some(&body), &case.after.as_ref())?;
            notes
        }
        (None, body) => {
            let body = body.clone().unwrap_or_default();
            let request = bulk::Request::read(body, catalog, "https://scim.corp.example/v2", 10);
            let request = request.map_err(|error| format!("refused: {error:?}"))?;
            if let Some(Err(error)) = request.entries.iter().map(|entry| &entry.operation).find(|it| it.is_err()) {
                return Err(format!("refused: {error:?}"));
            }
            request.notes
        }
    };
    check_quirks(case, &notes)
}

/// What a filter or a query becomes, and what it took.
fn check_asked(catalog: &Catalog, resource_type: &ResourceType, case: &Case) -> Result<(), String> {
    let asked = match case {
        Case { filter: Some(text), .. } => {
            let types: Vec<&ResourceType> = catalog.resource_types().iter().collect();
            read_filter(&types, text).map(|(_, notes)| (None, notes))
        }
        Case { query: Some(raw), .. } => Parameters::of_query(raw).map(|(parameters, notes)| (Some(parameters), notes)),
        _ => {
            let mut parameters = Parameters::default();
            let notes = parameters.add_search(case.search.as_ref().unwrap_or(&Value::Null));
            notes.map(|notes| (Some(parameters), notes))
        }
    };
    let (parameters, mut notes) = match (&case.error, asked) {
        (Some(expected), Err(error)) => return check_error(expected, &error),
        (Some(expected), Ok(_)) => return Err(format!("no {}", expected.scim_type)),
        (None, Err(error)) => return Err(format!("refused: {error:?}")),
        (None, Ok(asked)) => asked,
    };
    if let Some(parameters) = parameters {
        let after = case.after.as_ref().ok_or("the case says not what the parameters become")?;
        same("parameters", &shown(&parameters), after)?;
        let (attributes, excluded) = (parameters.attributes.as_deref(), parameters.excluded_attributes.as_deref());
        let projection = Projection::parse_noting(resource_type, attributes, excluded);
        notes.extend(projection.map_err(|error| format!("refused: {error:?}"))?.1);
    }
    check_quirks(case, &notes)
}

fn shown(parameters: &Parameters) -> Value {
    let all = [
        ("filter", &parameters.filter),
        ("sortBy", &parameters.sort_by),
        ("sortOrder", &parameters.sort_order),
        ("startIndex", &parameters.start_index),
        ("count", &parameters.count),
        ("cursor", &parameters.cursor),
        ("attributes", &parameters.attributes),
        ("excludedAttributes", &parameters.excluded_attributes),
    ];
    let given = all.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into())));
    given.collect::<Map<_, _>>().into()
}

fn check_quirks(case: &Case, notes: &[Note]) -> Result<(), String> {
    let quirks: BTreeSet<&str> = notes.iter().map(|note| note.quirk.as_str()).collect();
    same("quirks", &quirks, &case.quirks.iter().map(String::as_str).collect())
}

/// What is sent back as it was read changes nothing, not even the order of the attributes.
fn check_put_of_itself(resource_type: &ResourceType, document: &Document) -> Result<(), String> {
    let mut body: Map<String, Value> =
        document.as_map().iter().rev().map(|(name, value)| (name.clone(), value.clone())).collect();
    body.insert("schemas".to_owned(), json!([resource_type.schema.id]));
    let context = Context::Replace { current: document, id: "u1" };
    let draft = accept(resource_type, body.into(), context).map_err(|error| format!("PUT of itself: {error:?}"))?;
    let text = |document: &Document| Value::from(document.as_map().clone()).to_string();
    same("document after a PUT of itself", &text(&draft.document), &text(document))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, actual: &T, expected: &T) -> Result<(), String> {
    if actual == expected { Ok(()) } else { Err(format!("  {what}: {actual:?}\n  expected: {expected:?}")) }
}

fn check_error(expected: &Expected, error: &ScimError) -> Result<(), String> {
    same("status", &error.status, &400)?;
    same("scimType", &error.scim_type.map(|scim_type| scim_type.as_str()), &Some(expected.scim_type.as_str()))?;
    if error.detail.contains(&expected.detail) { Ok(()) } else { Err(format!("  detail: {}", error.detail)) }
}

#[test]
fn every_quirk_is_shown_by_a_fixture() {
    let shown: BTreeSet<String> =
        fixtures().into_iter().flat_map(|(_, fixture)| fixture.cases).flat_map(|case| case.quirks).collect();
    let missing: Vec<&str> =
        Quirk::ALL.iter().map(|quirk| quirk.as_str()).filter(|name| !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "no fixture shows {missing:?}");
    // Each has a name, or it would not compile: so none is missing in the list of all.
    let source = include_str!("../src/quirks/quirk.rs");
    assert_eq!(source.matches(" => \"").count(), Quirk::ALL.len(), "a quirk is not among all of them");
}

#[test]
fn nothing_that_the_rfcs_show_is_refused_by_a_strict_connection() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/rfc/requests");
    let names: BTreeSet<String> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    let shown: Vec<(String, Fixture)> = fixtures().into_iter().filter(|(name, _)| names.contains(name)).collect();
    assert_eq!(shown.len(), names.len());
    for (name, fixture) in shown {
        for case in fixture.cases {
            let is_refused =
                |name: &str| Quirk::ALL.iter().any(|quirk| quirk.as_str() == name && !quirk.is_by_the_rfc());
            let refused: Vec<&String> = case.quirks.iter().filter(|name| is_refused(name)).collect();
            assert!(refused.is_empty(), "{name}: {}: {refused:?}", case.says);
        }
    }
}

#[test]
fn every_fixture_that_a_quirk_names_is_there() {
    let names: BTreeSet<String> = fixtures().into_iter().map(|(name, _)| name).collect();
    let sources = [
        include_str!("../src/quirks.rs"),
        include_str!("../src/quirks/asking.rs"),
        include_str!("../src/quirks/sending.rs"),
        include_str!("../src/editor.rs"),
    ];
    let sources = sources.concat();
    let named: Vec<&str> = sources.split('`').filter(|word| word.ends_with(".json")).collect();
    assert!(named.len() >= 15, "{named:?}");
    for name in named {
        assert!(names.contains(name), "{name} is missing");
    }
}
