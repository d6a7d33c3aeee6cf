//! Every attribute of every schema that a tenant can have, with every operator (RFC 7644 section 3.4.2.2, table 3): a filter
//! finds the value, or is refused where the operator does not fit the type.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use bridge_mapping::{TargetKind, extension_schema};
use scim_filter::{AttributePath, Filter};
use scim_model::{Attribute, Catalog, ResourceType, Returned, ScimError, ScimType, Type, check_filter, matches};
use serde_json::{Map, Value, json};

const OPERATORS: [&str; 9] = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];

/// The schemas of a tenant with all extensions.
fn catalog() -> Catalog {
    Catalog::new(TargetKind::ALL.map(extension_schema).to_vec()).unwrap()
}

/// A value of a simple type, and one that is greater and shares no end with it.
fn samples(attribute: &Attribute) -> [Value; 2] {
    match attribute.kind {
        Type::String => [json!("Ann \"Bé\" \\ 1"), json!("zoë")],
        Type::Boolean => [json!(true), json!(false)],
        Type::Decimal => [json!(1.5), json!(2.25)],
        Type::Integer => [json!(7), json!(8)],
        Type::DateTime => [json!("2026-01-31T09:30:00Z"), json!("2027-02-01T10:00:00.5Z")],
        Type::Binary => [json!("TUlJQw=="), json!("VElJQg")],
        Type::Reference => [json!("https://acme.example/a"), json!("urn:b")],
        Type::Complex => unreachable!("its parts have values"),
    }
}

/// A resource with one value: of an attribute, or of a part of it.
fn holding(urn: Option<&str>, attribute: &Attribute, sub: Option<&Attribute>, value: Value) -> Map<String, Value> {
    let leaf = sub.unwrap_or(attribute);
    let value = if leaf.multi_valued { json!([value]) } else { value };
    let whole = match sub {
        None => value,
        Some(sub) if attribute.multi_valued => json!([{ sub.name.as_str(): value }]),
        Some(sub) => json!({ sub.name.as_str(): value }),
    };
    let whole = json!({ attribute.name.as_str(): whole });
    let resource = match urn {
        Some(urn) => json!({ urn: whole }),
        None => whole,
    };
    resource.as_object().unwrap().clone()
}

fn refused(error: Result<(), ScimError>) -> Option<ScimType> {
    error.err().map(|error| error.scim_type.unwrap())
}

/// Whether the RFC, or the nature of the type, gives the operator no meaning.
fn is_senseless(kind: Type, operator: &str) -> bool {
    match kind {
        Type::Boolean => !matches!(operator, "eq" | "ne"),
        Type::Binary => matches!(operator, "gt" | "ge" | "lt" | "le"),
        _ => false,
    }
}

/// Whether a value stands in that relation to itself; `None` where parts of what is no text are asked for.
fn holds_for_itself(kind: Type, operator: &str) -> Option<bool> {
    match operator {
        "eq" | "ge" | "le" => Some(true),
        "co" | "sw" | "ew" => matches!(kind, Type::String | Type::Reference | Type::Binary).then_some(true),
        _ => Some(false),
    }
}

/// Filters on one path. `leaf` is what is compared: the attribute, its part, or the part that stands for the whole.
fn check(kind: &ResourceType, path: &str, leaf: &Attribute, holder: impl Fn(Value) -> Map<String, Value>) {
    let parsed = |text: &str| Filter::parse(text).unwrap();
    let [value, greater] = samples(leaf);
    let resource = holder(value.clone());
    let other = holder(greater.clone());
    let present = parsed(&format!("{path} pr"));
    if leaf.returned == Returned::Never {
        assert_eq!(refused(check_filter(kind, &present)), Some(ScimType::Sensitive), "{path}");
    } else {
        assert_eq!(refused(check_filter(kind, &present)), None, "{path}");
        assert!(matches(kind, &present, &resource) && !matches(kind, &present, &Map::new()), "{path} pr");
    }
    for operator in OPERATORS {
        let text = format!("{path} {operator} {value}");
        let filter = parsed(&text);
        let refused = refused(check_filter(kind, &filter));
        if leaf.returned == Returned::Never {
            assert_eq!(refused, Some(ScimType::Sensitive), "{text}");
            continue;
        }
        if is_senseless(leaf.kind, operator) {
            assert_eq!(refused, Some(ScimType::InvalidFilter), "{text}");
            continue;
        }
        assert_eq!(refused, None, "{text}");
        if let Some(expected) = holds_for_itself(leaf.kind, operator) {
            assert_eq!(matches(kind, &filter, &resource), expected, "{text} of {value}");
        }
        let of_greater = matches!(operator, "ne" | "gt" | "ge");
        assert_eq!(matches(kind, &filter, &other), of_greater, "{text} of {greater}");
        assert_eq!(matches(kind, &filter, &Map::new()), operator == "ne", "{text} of nothing");
    }
}

#[test]
fn every_attribute_is_found_by_every_operator_that_fits_its_type() {
    let catalog = catalog();
    let mut count = 0;
    for kind in catalog.resource_types() {
        let common = ["id", "schemas", "meta"].map(|name| AttributePath::parse(name).unwrap());
        let common = common.iter().map(|path| (None, kind.resolve(path).unwrap().attribute));
        let core = kind.schema.attributes.iter().map(|attribute| (None, attribute));
        let extensions = kind
            .extensions
            .iter()
            .flat_map(|(schema, _)| schema.attributes.iter().map(|attribute| (Some(schema.id.as_str()), attribute)));
        for (urn, attribute) in common.chain(core).chain(extensions) {
            let prefix = urn.map_or(String::new(), |urn| format!("{urn}:"));
            let name = format!("{prefix}{}", attribute.name);
            if attribute.kind != Type::Complex {
                check(kind, &name, attribute, |value| holding(urn, attribute, None, value));
                count += 1;
                continue;
            }
            // The whole stands for its value, if it has one.
            match attribute.value() {
                Some(leaf) => check(kind, &name, leaf, |value| holding(urn, attribute, Some(leaf), value)),
                None => {
                    let whole = Filter::parse(&format!("{name} eq \"x\"")).unwrap();
                    assert_eq!(refused(check_filter(kind, &whole)), Some(ScimType::InvalidFilter), "{name}");
                }
            }
            for sub in &attribute.sub_attributes {
                check(kind, &format!("{name}.{}", sub.name), sub, |value| holding(urn, attribute, Some(sub), value));
                count += 1;
                if attribute.multi_valued {
                    let [value, greater] = samples(sub);
                    for (text, value, expected) in [
                        (format!("{name}[{} eq {value}]", sub.name), &value, true),
                        (format!("{name}[{} eq {value}]", sub.name), &greater, false),
                        (format!("{name}[{} pr].{} eq {value}", sub.name, sub.name), &value, true),
                        (format!("{name}[{} pr].{} eq {value}", sub.name, sub.name), &greater, false),
                    ] {
                        let filter = Filter::parse(&text).unwrap();
                        assert_eq!(refused(check_filter(kind, &filter)), None, "{text}");
                        let resource = holding(urn, attribute, Some(sub), value.clone());
                        assert_eq!(matches(kind, &filter, &resource), expected, "{text} of {value}");
                    }
                }
            }
        }
    }
    assert!(count > 150, "so many attributes were looked at: {count}");
}
