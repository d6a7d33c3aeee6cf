use serde_json::json;

use super::*;
use crate::{
    catalog::{Catalog, ENTERPRISE_URN, PROVISIONING_URN},
    list_response,
    schema::Schema,
};

const OWN_URN: &str = "urn:example:2.0:User";

/// Users with an extension of their own, of which one attribute is shown on request only.
fn users() -> ResourceType {
    let schema = json!({
        "id": OWN_URN,
        "attributes": [
            { "name": "room" },
            { "name": "shoeSize", "returned": "request" },
            { "name": "desk", "type": "complex", "subAttributes": [{ "name": "floor" }] },
        ],
    });
    let schema: Schema = serde_json::from_value(schema).unwrap();
    Catalog::new(vec![schema]).unwrap().resource_type("User").unwrap().clone()
}

fn full(document: &Value, derived: Value) -> FullResource {
    let meta = Meta {
        created: "2026-01-02T03:04:05Z".parse().unwrap(),
        last_modified: "2026-01-02T03:04:06.789Z".parse().unwrap(),
        version: 7,
        derived: 0,
        location: "https://bridge.example/scim/v2/Users/u\"1".to_owned(),
        resource_type: "User".to_owned(),
    };
    let derived = derived.as_object().expect("derived attributes are an object");
    let derived = derived.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    FullResource { id: "u\"1".to_owned(), document: document.to_string(), meta, derived }
}

/// What a client sees is the same whether the document is parsed or copied.
fn check(document: &Value, derived: &Value, attributes: Option<&str>, excluded: Option<&str>) {
    let users = users();
    let projection = Projection::parse(&users, attributes, excluded).unwrap();
    let full = full(document, derived.clone());
    let mut written = Vec::new();
    full.write(&users, &projection, &mut written).unwrap();
    let stored: Document = serde_json::from_value(document.clone()).unwrap();
    let mut expected = complete(&users, &full.id, &stored, &full.meta, Map::new());
    expected.extend(derived.as_object().cloned().unwrap_or_default());
    let expected = Value::Object(project(&users, expected, &projection));
    let text = String::from_utf8(written).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected, "{document} {attributes:?} {excluded:?}");
    if attributes.is_none() && excluded.is_none() {
        assert_eq!(text, expected.to_string(), "members come in the same order");
    }
}

#[test]
fn a_document_is_shown_as_if_it_had_been_parsed() {
    let documents = [
        json!({}),
        json!({ "userName": "ann", "active": true, "name": { "givenName": "A\"n\\n" }, "nickName": "ä\u{1}" }),
        json!({ "userName": "a", "emails": [{ "value": "a@x", "type": "work", "primary": true }, { "value": "b{}[]" }] }),
        json!({ "userName": "a", ENTERPRISE_URN: { "department": "Sales", "manager": { "value": "1" } } }),
        json!({ "userName": "a", OWN_URN: { "room": "1", "desk": { "floor": "2" } } }),
        json!({ OWN_URN: { "room": "1" }, "userName": "a", ENTERPRISE_URN: { "department": "Sales" } }),
        json!({ "userName": "a", "groups": [{ "value": "old" }] }),
        // Shown on request only, or forgotten by the schemas since it was stored.
        json!({ "userName": "a", OWN_URN: { "room": "1", "shoeSize": "42" } }),
        json!({ "userName": "a", OWN_URN: { "shoeSize": "42" } }),
        json!({ "userName": "a", "gone": 1, "urn:gone:2.0:User": { "a": 1 }, OWN_URN: { "gone": 1, "room": "1" } }),
        json!({ "userName": "a", "name": { "gone": "1" }, "emails": [{ "gone": 1 }, { "value": "x", "gone": 1 }] }),
        json!({ "userName": "a", "emails": [], OWN_URN: {}, "name": {} }),
    ];
    for document in &documents {
        for derived in [json!({}), json!({ "groups": [{ "value": "g", "display": "G" }] })] {
            check(document, &derived, None, None);
            check(document, &derived, Some("userName,emails.value"), None);
            check(document, &derived, Some(&format!("{OWN_URN}:shoeSize,meta.version")), None);
            check(document, &derived, None, Some("name.givenName,meta,groups"));
            check(document, &derived, None, Some(OWN_URN));
        }
        check(document, &json!({ PROVISIONING_URN: { "targets": [] } }), Some(PROVISIONING_URN), None);
    }
}

#[test]
fn an_everyday_document_is_copied() {
    let document = json!({
        "userName": "ann", "active": true, "name": { "givenName": "Ann" }, "emails": [{ "value": "a@x" }],
        ENTERPRISE_URN: { "department": "Sales" },
    });
    assert!(full(&document, json!({})).copy(&users(), &mut Vec::new()).is_some());
}

#[test]
fn a_text_that_is_no_document_is_not_shown() {
    let broken = FullResource { document: "{\"userName\":".to_owned(), ..full(&json!({}), json!({})) };
    broken.write(&users(), &Projection::default(), &mut Vec::new()).unwrap_err();
}

#[test]
fn a_page_of_copies_is_the_page_of_the_resources() {
    let users = users();
    for count in 0..3 {
        let page: Vec<FullResource> =
            (0..count).map(|number| full(&json!({ "userName": format!("u{number}") }), json!({}))).collect();
        let written = write_list(&users, page.iter(), &Projection::default(), 12, 5).unwrap();
        let one = |full: &FullResource| {
            let document = serde_json::from_str(&full.document).unwrap();
            Value::Object(complete(&users, &full.id, &document, &full.meta, Map::new()))
        };
        let expected = list_response(page.iter().map(one).collect(), 12, 5);
        assert_eq!(String::from_utf8(written).unwrap(), expected.to_string());
    }
}
