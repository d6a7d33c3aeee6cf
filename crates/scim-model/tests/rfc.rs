//! The examples and tables of RFC 7643, RFC 7644 and RFC 9865 that are not requests: filters, projections, errors and
//! schemas, from `fixtures/rfc`. The requests among the examples are in `fixtures/rfc/requests`, run by `fixtures.rs`.

#![expect(clippy::expect_used, reason = "a test may panic, and so may its helpers")]

use std::collections::{BTreeMap, BTreeSet};

use scim_filter::Filter;
use scim_model::{
    Attribute, Catalog, Projection, Quirk, ResourceType, ScimError, ScimType, check_filter, matches, project,
    read_filter,
};
use serde::Deserialize;
use serde_json::{Map, Value};

fn catalog() -> Catalog {
    Catalog::new(Vec::new()).expect("the embedded schemas fit together")
}

fn user(catalog: &Catalog) -> &ResourceType {
    catalog.resource_type("User").expect("there are users")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filters {
    source: String,
    resources: BTreeMap<String, Map<String, Value>>,
    filters: Vec<Found>,
    refused: Vec<Refused>,
    unreadable: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    filter: String,
    finds: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    filter: String,
    says: String,
}

fn filters() -> Filters {
    let filters: Filters =
        serde_json::from_str(include_str!("../fixtures/rfc/filters.json")).expect("the file is of this form");
    assert!(!filters.source.is_empty());
    filters
}

#[test]
fn every_filter_of_the_rfc_finds_whom_it_means_and_nobody_else() {
    let catalog = catalog();
    let user = user(&catalog);
    let Filters { resources, filters, .. } = filters();
    for Found { filter: text, finds } in &filters {
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        check_filter(user, &filter).unwrap_or_else(|error| panic!("{text}: {error}"));
        let found = resources.iter().filter(|(_, resource)| matches(user, &filter, resource));
        let found: BTreeSet<String> = found.map(|(name, _)| name.clone()).collect();
        assert_eq!(found, *finds, "{text}");
    }
}

/// One example writes `eq User` without quotes, which the RFC's own grammar has not.
#[test]
fn the_filters_of_the_rfc_need_no_forgiveness_but_the_one_that_its_grammar_forbids() {
    let catalog = catalog();
    let types: Vec<&ResourceType> = catalog.resource_types().iter().collect();
    for Found { filter: text, .. } in filters().filters {
        let (_, notes) = read_filter(&types, &text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let refused: Vec<Quirk> = notes.iter().map(|note| note.quirk).filter(|quirk| !quirk.is_by_the_rfc()).collect();
        let expected: &[Quirk] = if text.contains("eq User") { &[Quirk::UnquotedValue] } else { &[] };
        assert_eq!(refused, expected, "{text}");
    }
}

#[test]
fn filters_that_the_rfc_wants_refused_are_refused() {
    let catalog = catalog();
    let Filters { refused, unreadable, .. } = filters();
    for Refused { filter: text, says } in refused {
        let filter = Filter::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = check_filter(user(&catalog), &filter).expect_err(&says);
        assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidFilter)), "{says}: {text}");
    }
    for text in unreadable {
        assert!(Filter::parse(&text).is_err(), "{text}");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Projections {
    source: String,
    resource: Map<String, Value>,
    projections: Vec<Shown>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Shown {
    says: String,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
    shows: Map<String, Value>,
}

#[test]
fn every_projection_shows_what_the_rfc_says() {
    let catalog = catalog();
    let user = user(&catalog);
    let fixture: Projections =
        serde_json::from_str(include_str!("../fixtures/rfc/projections.json")).expect("the file is of this form");
    assert!(!fixture.source.is_empty());
    for Shown { says, attributes, excluded_attributes, shows } in fixture.projections {
        let projection = Projection::parse(user, attributes.as_deref(), excluded_attributes.as_deref()).expect(&says);
        assert_eq!(project(user, fixture.resource.clone(), &projection), shows, "{says}");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Errors {
    source: String,
    errors: Vec<Example>,
    keywords: BTreeMap<String, u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Example {
    says: String,
    status: u16,
    scim_type: Option<String>,
    detail: String,
    body: Value,
}

#[test]
fn errors_have_the_form_and_the_keywords_of_the_rfc() {
    let fixture: Errors =
        serde_json::from_str(include_str!("../fixtures/rfc/errors.json")).expect("the file is of this form");
    assert!(!fixture.source.is_empty());
    let made = [
        ScimError::invalid_filter("x"),
        ScimError::too_many("x"),
        ScimError::uniqueness("x"),
        ScimError::mutability("x"),
        ScimError::invalid_syntax("x"),
        ScimError::invalid_path("x"),
        ScimError::no_target("x"),
        ScimError::invalid_value("x"),
        ScimError::new(400, Some(ScimType::InvalidVers), "x"),
        ScimError::sensitive("x"),
        ScimError::new(400, Some(ScimType::InvalidCursor), "x"),
        ScimError::new(400, Some(ScimType::ExpiredCursor), "x"),
        ScimError::new(400, Some(ScimType::InvalidCount), "x"),
    ];
    let keyword = |error: &ScimError| error.scim_type.map(|scim_type| scim_type.to_string()).unwrap_or_default();
    let statuses: BTreeMap<String, u16> = made.iter().map(|error| (keyword(error), error.status)).collect();
    assert_eq!(statuses, fixture.keywords);
    for Example { says, status, scim_type, detail, body } in fixture.errors {
        let scim_type = scim_type.map(|name| {
            let named = made.iter().find(|error| keyword(error) == name);
            named.and_then(|error| error.scim_type).unwrap_or_else(|| panic!("{says}: no keyword {name}"))
        });
        assert_eq!(ScimError::new(status, scim_type, detail).to_json(), body, "{says}");
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Schemas {
    source: String,
    schemas: BTreeMap<String, BTreeMap<String, String>>,
    /// What differs, and why.
    ours: BTreeMap<String, String>,
    resource_types: Vec<Map<String, Value>>,
}

fn characteristics(attribute: &Attribute) -> String {
    let json = attribute_json(attribute);
    let is = |name: &str| json[name].as_bool().unwrap_or(false);
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    let many = if is("multiValued") { "*" } else { "" };
    let required = if is("required") { "!" } else { "" };
    format!("{}{many}{required} {} {} {}", text("type"), text("mutability"), text("returned"), text("uniqueness"))
}

fn attribute_json(attribute: &Attribute) -> Value {
    serde_json::to_value(attribute).expect("an attribute is JSON")
}

/// Where the schemas served differ from the ones of the RFC, the fixture says why; they differ nowhere else.
#[test]
fn the_schemas_are_those_of_the_rfc_but_for_what_is_said() {
    let catalog = catalog();
    let fixture: Schemas =
        serde_json::from_str(include_str!("../fixtures/rfc/schemas.json")).expect("the file is of this form");
    assert!(!fixture.source.is_empty());
    let mut differences = BTreeSet::new();
    for (urn, mut expected) in fixture.schemas {
        let schema = catalog.schema(&urn).unwrap_or_else(|| panic!("there is no {urn}"));
        for attribute in &schema.attributes {
            let parts = attribute.sub_attributes.iter().map(|sub| (format!("{}.{}", attribute.name, sub.name), sub));
            for (path, attribute) in std::iter::once((attribute.name.clone(), attribute)).chain(parts) {
                if expected.remove(&path) != Some(characteristics(attribute)) {
                    differences.insert(format!("{urn}:{path}"));
                }
            }
        }
        assert!(expected.is_empty(), "{urn} lacks {:?}", expected.keys());
    }
    assert!(fixture.ours.values().all(|reason| !reason.is_empty()));
    assert_eq!(differences, fixture.ours.into_keys().collect());
    for expected in fixture.resource_types {
        let name = expected["name"].as_str().unwrap_or_default();
        let served = catalog.resource_type(name).unwrap_or_else(|| panic!("there is no {name}")).to_json();
        for (member, value) in &expected {
            assert_eq!(served[member], *value, "{name}: {member}");
        }
    }
}
