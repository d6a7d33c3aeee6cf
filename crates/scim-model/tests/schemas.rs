//! The embedded schemas: what `/Schemas` serves, and which extensions a tenant may add.

#![expect(clippy::expect_used, reason = "a test may panic, and so may its helpers")]

use scim_filter::AttributePath;
use scim_model::{
    Attribute, Catalog, ENTERPRISE_URN, GROUP_URN, Mutability, PROVISIONING_URN, Returned, Schema, TELEPHONY_URN, Type,
    USER_URN,
};
use serde_json::Value;

fn catalog() -> Catalog {
    Catalog::new(Vec::new()).expect("the embedded schemas fit together")
}

#[test]
fn schemas_are_served_as_they_are_written() {
    let catalog = catalog();
    for text in [
        include_str!("../../../schemas/scim/user.json"),
        include_str!("../../../schemas/scim/group.json"),
        include_str!("../../../schemas/scim/enterprise-user.json"),
        include_str!("../../../schemas/scim/bridge-telephony.json"),
        include_str!("../../../schemas/scim/bridge-provisioning.json"),
    ] {
        let written: Value = serde_json::from_str(text).expect("the file is JSON");
        let urn = written["id"].as_str().expect("a schema has an id");
        let served = catalog.schema(urn).expect("the schema is in the catalog").to_json();
        assert_eq!(served.to_string(), written.to_string());
        assert!(!served.to_string().contains("null"), "{urn} serves a null");
    }
    assert_eq!(catalog.schemas().len(), 5);
}

#[test]
fn resource_types_are_served_as_they_are_written() {
    let catalog = catalog();
    for (name, text) in [
        ("User", include_str!("../../../schemas/resource-types/user.json")),
        ("Group", include_str!("../../../schemas/resource-types/group.json")),
    ] {
        let written: Value = serde_json::from_str(text).expect("the file is JSON");
        let resource_type = catalog.resource_type(name).expect("it is in the catalog");
        assert_eq!(resource_type.to_json().to_string(), written.to_string());
    }
    assert_eq!(catalog.by_endpoint("Users").map(|it| it.name.as_str()), Some("User"));
    assert_eq!(catalog.by_endpoint("Groups").map(|it| it.schema.id.as_str()), Some(GROUP_URN));
    assert!(catalog.by_endpoint("Devices").is_none());
}

/// What Entra ID reads from `/Schemas` (entra 6).
#[test]
fn schemas_have_the_traits_that_entra_id_looks_for() {
    let catalog = catalog();
    let user = catalog.schema(USER_URN).expect("there are users");
    let group = catalog.schema(GROUP_URN).expect("there are groups");
    assert!(user.attribute("externalId").is_some() && group.attribute("externalId").is_some());
    let types = |name: &str| {
        let attribute = user.attribute(name).expect("it is in the schema");
        attribute.sub("type").expect("it has a type").canonical_values.join(" ")
    };
    assert_eq!(types("emails"), "work home other");
    assert_eq!(types("addresses"), "work home other");
    assert_eq!(types("phoneNumbers"), "work home mobile fax pager other");
    assert_eq!(types("roles"), "");
    assert!(user.attribute("roles").is_some_and(|roles| roles.sub("primary").is_some()));
    assert!(user.attribute("active").is_some_and(|active| active.kind == Type::Boolean));
    for schema in catalog.schemas().iter().filter(|schema| schema.id.contains("extension")) {
        assert!(schema.id.starts_with("urn:ietf:params:scim:schemas:extension:") && schema.id.ends_with(":2.0:User"));
    }
}

#[test]
fn every_attribute_is_described_in_sentences() {
    let catalog = catalog();
    let attributes = catalog.schemas().iter().flat_map(|schema| &schema.attributes);
    for attribute in attributes.flat_map(|attribute| std::iter::once(attribute).chain(&attribute.sub_attributes)) {
        let text = &attribute.description;
        assert!(text.ends_with('.') && text.starts_with(char::is_uppercase), "{}: {text}", attribute.name);
    }
}

#[test]
fn attributes_are_found_by_any_spelling_of_their_path() {
    let catalog = catalog();
    let check = |resource_type: &str, path: &str, expected: Option<&str>| {
        let resource_type = catalog.resource_type(resource_type).expect("it is in the catalog");
        let path = AttributePath::parse(path).expect("it is a path");
        let found = resource_type.resolve(&path).map(|resolved| resolved.path());
        assert_eq!(found.as_deref(), expected, "{path}");
    };
    let manager = format!("{ENTERPRISE_URN}:manager.value");
    let telephone = format!("{TELEPHONY_URN}:extension");
    check("User", "USERNAME", Some("userName"));
    check("User", "name.givenname", Some("name.givenName"));
    check("User", "id", Some("id"));
    check("User", "meta.lastmodified", Some("meta.lastModified"));
    check("User", "roles.displayName", Some("roles.display"));
    check("User", "groups.$ref", Some("groups.$ref"));
    check("User", "urn:ietf:params:scim:schemas:core:2.0:user:title", Some("title"));
    check("User", "urn:scim:schemas:core:2.0:title", Some("title"));
    check("User", &manager, Some(&manager));
    check("User", "urn:scim:schemas:extension:enterprise:2.0:manager.managerId", Some(&manager));
    check("User", "manager.value", Some(&manager));
    check("User", &telephone.to_uppercase(), Some(&telephone));
    check("User", "extension", None);
    check("User", "members", None);
    check("User", "userName.value", None);
    check("User", "urn:acme:2.0:User:badge", None);
    check("Group", "members.value", Some("members.value"));
    check("Group", "manager", None);
    check("Group", &manager, None);
}

#[test]
fn a_tenant_adds_extensions_that_fit() {
    let badge = |id: &str, attributes: Vec<Attribute>| Schema {
        id: id.to_owned(),
        name: "Badge".to_owned(),
        description: "A badge.".to_owned(),
        attributes,
    };
    let number = || Attribute::new("number", Type::String, "Printed on it.");
    let catalog = Catalog::new(vec![badge("urn:example:badge:2.0:User", vec![number()])]).expect("it fits");
    let user = catalog.resource_type("User").expect("there are users");
    assert!(user.extension("URN:example:badge:2.0:user").is_some());
    assert!(user.to_json()["schemaExtensions"].to_string().contains("urn:example:badge:2.0:User"));

    let refused = |id: &str, attributes: Vec<Attribute>, reason: &str| {
        let error = Catalog::new(vec![badge(id, attributes)]).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    };
    let fine = "urn:example:badge:2.0:User";
    refused("urn:example:badge:2.0:Door", vec![], "must be the resource type");
    refused("badge", vec![], "must be a URN");
    refused(TELEPHONY_URN, vec![], "already");
    refused(fine, vec![Attribute::new("badge number", Type::String, "")], "a name starts with");
    refused(fine, vec![number(), Attribute::new("NUMBER", Type::String, "")], "there twice");
    refused(fine, vec![Attribute::new("parts", Type::Complex, "")], "has no parts");
    refused(fine, vec![Attribute { sub_attributes: vec![number()], ..number() }], "only a complex");
    let inner = Attribute { sub_attributes: vec![number()], ..Attribute::new("inner", Type::Complex, "") };
    let outer = Attribute { sub_attributes: vec![inner], ..Attribute::new("outer", Type::Complex, "") };
    refused(fine, vec![outer], "cannot be complex");
    let never = Attribute { returned: Returned::Never, multi_valued: true, ..number() };
    refused(fine, vec![never], "returned never");
}

#[test]
fn only_the_bridge_writes_the_state_of_accounts() {
    let catalog = catalog();
    let schema = catalog.schema(PROVISIONING_URN).expect("it is in the catalog");
    let targets = schema.attribute("targets").expect("it is in the schema");
    assert_eq!((targets.mutability, targets.returned), (Mutability::ReadOnly, Returned::Request));
    let names: Vec<&str> = targets.sub_attributes.iter().map(|sub| sub.name.as_str()).collect();
    assert_eq!(names, ["name", "kind", "state", "remoteId", "lastError", "updated"]);
}
