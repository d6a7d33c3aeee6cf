//! Schemas and the characteristics of attributes (RFC 7643 sections 2 and 7), as data.
//!
//! Code asks for a characteristic, never for the name of an attribute. The JSON form is that of `/Schemas`, both ways.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// URN of the schema that describes schemas.
pub const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// What kind of value an attribute has (RFC 7643 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    /// Text.
    #[default]
    String,
    /// `true` or `false`.
    Boolean,
    /// A number with a fraction.
    Decimal,
    /// A number without one.
    Integer,
    /// A point in time, as `xsd:dateTime`.
    DateTime,
    /// Bytes in base64.
    Binary,
    /// The address of something, absolute or relative.
    Reference,
    /// An object of sub-attributes.
    Complex,
}

impl Type {
    /// Its name in the JSON form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Decimal => "decimal",
            Self::Integer => "integer",
            Self::DateTime => "dateTime",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }
}

/// Who may set an attribute, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// Only the bridge.
    ReadOnly,
    /// Clients, at any time.
    #[default]
    ReadWrite,
    /// Clients, once.
    Immutable,
    /// Clients, but nobody reads it.
    WriteOnly,
}

/// When an attribute is part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// In every answer, even if excluded.
    Always,
    /// Never. Its values do not belong in a document either.
    Never,
    /// Unless excluded, or not among the attributes asked for.
    #[default]
    Default,
    /// Only if asked for.
    Request,
}

/// Among which resources a value may exist once only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// It may repeat.
    #[default]
    None,
    /// Among the resources of that type in one tenant.
    Server,
    /// Everywhere.
    Global,
}

/// An attribute or sub-attribute and its characteristics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attribute {
    /// Name, in its canonical letter case.
    pub name: String,
    /// What kind of value it has.
    #[serde(rename = "type", default)]
    pub kind: Type,
    /// Whether it is a list.
    #[serde(default)]
    pub multi_valued: bool,
    /// What it means, for the administrator of the identity provider.
    #[serde(default)]
    pub description: String,
    /// Whether a resource (or an element of a complex attribute) cannot be without it.
    #[serde(default)]
    pub required: bool,
    /// Suggested values. Others are taken too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canonical_values: Vec<String>,
    /// Whether letter case makes a difference when values are compared.
    #[serde(default)]
    pub case_exact: bool,
    /// Who may set it.
    #[serde(default)]
    pub mutability: Mutability,
    /// When it is part of an answer.
    #[serde(default)]
    pub returned: Returned,
    /// Among which resources its values are unique.
    #[serde(default)]
    pub uniqueness: Uniqueness,
    /// What a reference may point to: names of resource types, `uri` or `external`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_types: Vec<String>,
    /// The parts of a complex attribute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_attributes: Vec<Attribute>,
}

impl Attribute {
    /// A single, optional, readable and writable attribute; the other characteristics are set through the fields.
    pub fn new(name: impl Into<String>, kind: Type, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            multi_valued: false,
            description: description.into(),
            required: false,
            canonical_values: Vec::new(),
            case_exact: false,
            mutability: Mutability::default(),
            returned: Returned::default(),
            uniqueness: Uniqueness::default(),
            reference_types: Vec::new(),
            sub_attributes: Vec::new(),
        }
    }

    /// The sub-attribute of that name, in any letter case.
    pub fn sub(&self, name: &str) -> Option<&Attribute> {
        find(&self.sub_attributes, name)
    }

    /// The sub-attribute that stands for the whole: `value`, if the attribute has one (RFC 7643 section 2.4).
    pub fn value(&self) -> Option<&Attribute> {
        self.sub("value")
    }

    /// Whether clients may not set it.
    pub fn is_read_only(&self) -> bool {
        self.mutability == Mutability::ReadOnly
    }

    /// Whether elements are known by their `value` alone and are added or removed, but never changed: the members of a
    /// group.
    pub fn has_identity(&self) -> bool {
        self.multi_valued && self.value().is_some_and(|value| value.mutability == Mutability::Immutable)
    }
}

/// A schema: a URN and the attributes under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// URN.
    pub id: String,
    /// Name for people.
    #[serde(default)]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// The attributes, in the order in which they are shown.
    pub attributes: Vec<Attribute>,
}

impl Schema {
    /// The attribute of that name, in any letter case.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.attributes, name)
    }

    /// The resource as `/Schemas` serves it, but for `meta`, which needs the address of the server.
    pub fn to_json(&self) -> Value {
        json!({
            "schemas": [SCHEMA_URN],
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": self.attributes,
        })
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}
