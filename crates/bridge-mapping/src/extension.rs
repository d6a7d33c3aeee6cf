//! The SCIM extension by which an identity provider sets the fields of a target itself.
//!
//! Generated from the account schema, so that no field is out of reach and no limit is written twice. Attribute names
//! are the vendor's names, verbatim.

use scim_model::{Attribute, Mutability, Returned, Schema, Type};

use crate::{AccountSchema, FieldKind, FieldSchema, TargetKind};

/// The extension schema of a target kind, as `/Schemas` serves it.
///
/// Other spellings of a field are attributes of their own. The values of an enum are suggestions (`canonicalValues`):
/// the mapper also takes other names of them, and refuses the rest with the target's own words.
pub fn extension_schema(kind: TargetKind) -> Schema {
    let product = match kind {
        TargetKind::Glance => "Glance",
        TargetKind::Netsapiens => "domain PBX (NetSapiens)",
        TargetKind::CrmCom => "CRM.COM",
    };
    let urn = kind.extension_urn();
    let name = urn.rsplit(':').nth(2).unwrap_or(urn);
    let mut attributes = Vec::new();
    for field in &AccountSchema::embedded(kind).fields {
        attributes.push(attribute(field, &field.name, description(field)));
        for alias in &field.aliases {
            attributes.push(attribute(field, alias, format!("Another spelling of {}.", field.name)));
        }
    }
    Schema {
        id: urn.to_owned(),
        name: format!("{}{}", name[..1].to_uppercase(), &name[1..]),
        description: format!(
            "Fields of the user's account at {product}. They win over the mapping rules of the target."
        ),
        attributes,
    }
}

fn attribute(field: &FieldSchema, name: &str, description: String) -> Attribute {
    let kind = match field.kind {
        FieldKind::String | FieldKind::Date => Type::String,
        FieldKind::Integer => Type::Integer,
        FieldKind::Number => Type::Decimal,
        FieldKind::Boolean => Type::Boolean,
    };
    let mut attribute = Attribute::new(name, kind, description);
    attribute.case_exact = kind == Type::String && !field.case_insensitive && field.allowed.is_empty();
    attribute.canonical_values = field.allowed.clone();
    if field.secret {
        attribute.mutability = Mutability::WriteOnly;
        attribute.returned = Returned::Never;
    }
    attribute
}

/// What the field is for and what it takes, for the administrator of the identity provider.
fn description(field: &FieldSchema) -> String {
    let mut text = field.description.clone();
    match (field.min_length, field.max_length) {
        (Some(least), Some(most)) if least > 1 => text.push_str(&format!(" {least} to {most} characters.")),
        (_, Some(most)) => text.push_str(&format!(" At most {most} characters.")),
        _ => {}
    }
    match (field.minimum, field.maximum) {
        (Some(least), Some(most)) => text.push_str(&format!(" From {least} to {most}.")),
        (Some(least), None) => text.push_str(&format!(" {least} or more.")),
        (None, Some(most)) => text.push_str(&format!(" At most {most}.")),
        (None, None) => {}
    }
    if field.kind == FieldKind::Date {
        text.push_str(" Written YYYY-MM-DD.");
    }
    if field.create_only {
        text.push_str(" Takes effect only when the account is made.");
    }
    text
}

#[cfg(test)]
mod tests {
    use scim_model::Catalog;

    use super::*;

    #[test]
    fn every_field_and_alias_is_an_attribute_of_a_sound_schema() {
        let schemas: Vec<Schema> = TargetKind::ALL.into_iter().map(extension_schema).collect();
        for (kind, schema) in TargetKind::ALL.into_iter().zip(&schemas) {
            for field in &AccountSchema::embedded(kind).fields {
                let attribute = schema.attribute(&field.name).expect(&field.name);
                assert!(!attribute.multi_valued && !attribute.required, "{}", field.name);
                assert_eq!(attribute.returned == Returned::Never, field.secret, "{}", field.name);
                assert!(field.aliases.iter().all(|alias| schema.attribute(alias).is_some()), "{}", field.name);
            }
        }
        Catalog::new(schemas).expect("the catalog takes all three");
    }

    #[test]
    fn the_number_of_fields_is_that_of_each_api() {
        let count = |kind| AccountSchema::embedded(kind).fields.len();
        assert_eq!(count(TargetKind::Glance), 9);
        assert_eq!(count(TargetKind::Netsapiens), 50);
        assert_eq!(count(TargetKind::CrmCom), 9 + 8 + 4 + 4 + 1);
    }

    #[test]
    fn a_schema_is_named_after_its_urn() {
        assert_eq!(extension_schema(TargetKind::Netsapiens).name, "BridgeNetsapiens");
    }
}
