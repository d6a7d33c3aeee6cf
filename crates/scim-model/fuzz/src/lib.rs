//! What the fuzz targets share: a catalog, resources to begin with, and what holds for whatever is stored.

use std::sync::LazyLock;

use jiff::Timestamp;
use scim_model::{
    Attribute, Catalog, Context, Document, Draft, ENTERPRISE_URN, FullResource, Meta, Mutability, Projection,
    ResourceType, Schema, Type, accept, complete, project,
};
use serde_json::{Map, Value, json};

/// The id of every resource here.
pub const ID: &str = "u1";

/// The embedded schemas, and an extension with the kinds of attributes that they lack.
pub static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let text = |name: &str| Attribute::new(name, Type::String, "");
    let badge = Schema {
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
    };
    Catalog::new(vec![badge]).expect("the schemas fit together")
});

/// A document of that type with something in every corner.
pub fn sample(resource_type: &ResourceType) -> Document {
    static SAMPLES: LazyLock<[Document; 2]> = LazyLock::new(|| {
        ["User", "Group"].map(|name| make(CATALOG.resource_type(name).expect("there are users and groups")))
    });
    SAMPLES[usize::from(resource_type.name == "Group")].clone()
}

fn make(resource_type: &ResourceType) -> Document {
    let body = match resource_type.name.as_str() {
        "User" => json!({
            "userName": "jo@corp.example",
            "name": { "givenName": "Jo", "familyName": "Röe" },
            "title": "Lead",
            "emails": [{ "value": "a@b.example", "type": "work", "primary": true }, { "value": "c@d.example" }],
            "addresses": [{ "country": "DE", "type": "work" }],
            "roles": [{ "value": "Admin", "primary": true }],
            (ENTERPRISE_URN): { "department": "R&D", "manager": { "value": "u9" } },
            "urn:example:badge:2.0:User": { "floor": 3, "weight": 1.5, "issued": "2026-01-31T09:30:00Z", "tags": ["a"] },
        }),
        _ => json!({ "displayName": "Sales", "members": [{ "value": "u1", "display": "Jo" }, { "value": "u2" }] }),
    };
    accept(resource_type, body, Context::Create).expect("the body is fine").document
}

fn meta(resource_type: &ResourceType) -> Meta {
    Meta {
        created: Timestamp::UNIX_EPOCH,
        last_modified: Timestamp::UNIX_EPOCH,
        version: 3,
        derived: 0,
        location: format!("https://scim.acme.example/scim/v2/{}/{ID}", resource_type.endpoint),
        resource_type: resource_type.name.clone(),
    }
}

/// The full resource.
pub fn shown(resource_type: &ResourceType, document: &Document) -> Map<String, Value> {
    complete(resource_type, ID, document, &meta(resource_type), Map::new())
}

/// What an answer shows of a document, which is the same whether its stored text is copied or parsed.
pub fn answered(resource_type: &ResourceType, document: &Document, projection: &Projection) -> Map<String, Value> {
    let meta = meta(resource_type);
    let stored = FullResource { id: ID.to_owned(), document: text(document), meta, derived: Vec::new() };
    let mut copied = Vec::new();
    stored.write(resource_type, projection, &mut copied).expect("a document is stored");
    let parsed = project(resource_type, shown(resource_type, document), projection);
    let copied: Value = serde_json::from_slice(&copied).expect("an answer is JSON");
    assert_eq!(copied, Value::from(parsed.clone()), "copied and parsed differ");
    parsed
}

/// What is stored is in canonical form, and a PUT of what a GET shows of it changes nothing, not even the order.
pub fn check(resource_type: &ResourceType, draft: &Draft) {
    let document = draft.document.as_map();
    document.values().for_each(check_value);
    for name in document.keys() {
        let is_known = resource_type.schema.attribute(name).is_some_and(|attribute| attribute.name == *name)
            || resource_type.extensions.iter().any(|(schema, _)| schema.id == *name);
        assert!(is_known, "{name} is stored");
        assert!(!["id", "meta", "schemas", "groups", "password"].contains(&name.as_str()), "{name} is stored");
    }
    let put = answered(resource_type, &draft.document, &Projection::default()).into();
    let again = accept(resource_type, put, Context::Replace { current: &draft.document, id: ID });
    let again = again.expect("what a GET shows can be PUT");
    assert_eq!(text(&again.document), text(&draft.document), "a PUT of what a GET shows changes something");
}

/// A document with the order of its attributes.
fn text(document: &Document) -> String {
    Value::from(document.as_map().clone()).to_string()
}

fn check_value(value: &Value) {
    match value {
        Value::Null => panic!("a null is stored"),
        Value::String(text) => assert!(!text.is_empty() && !text.contains('\0'), "{text:?} is stored"),
        Value::Array(elements) => {
            assert!(!elements.is_empty(), "an empty list is stored");
            let primaries = elements.iter().filter(|element| element.get("primary") == Some(&Value::Bool(true)));
            assert!(primaries.count() <= 1, "two are primary: {value}");
            elements.iter().for_each(check_value);
        }
        Value::Object(members) => {
            assert!(!members.is_empty(), "an empty object is stored");
            members.values().for_each(check_value);
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
}
