//! The schemas and resource types of one tenant (RFC 7643 sections 6 and 7), and the look-up of attributes by path.

use scim_filter::AttributePath;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    quirks,
    schema::{Attribute, Returned, Schema, Type},
};

/// URN of the schema that describes resource types.
pub const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";

/// URN of the core schema of users.
pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// URN of the core schema of groups.
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// URN of the enterprise extension of users.
pub const ENTERPRISE_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// URN of the extension that carries what a telephone needs.
pub const TELEPHONY_URN: &str = "urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User";

/// URN of the read-only extension that shows where a user stands in each target.
pub const PROVISIONING_URN: &str = "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User";

const SCHEMAS: [&str; 5] = [
    include_str!("../../../schemas/scim/user.json"),
    include_str!("../../../schemas/scim/enterprise-user.json"),
    include_str!("../../../schemas/scim/bridge-telephony.json"),
    include_str!("../../../schemas/scim/bridge-provisioning.json"),
    include_str!("../../../schemas/scim/group.json"),
];

const RESOURCE_TYPES: [&str; 2] = [
    include_str!("../../../schemas/resource-types/user.json"),
    include_str!("../../../schemas/resource-types/group.json"),
];

const COMMON_ATTRIBUTES: &str = include_str!("../../../schemas/resource-types/common-attributes.json");

/// A schema that cannot be part of a catalog.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The JSON form is not that of a schema or resource type.
    #[error("a schema cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A schema extends a resource type that does not exist, contradicts itself, or another one.
    #[error("schema {schema}: {reason}")]
    Unfit {
        /// URN of the schema.
        schema: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The schemas and resource types of one tenant.
#[derive(Debug, Clone)]
pub struct Catalog {
    schemas: Vec<Schema>,
    resource_types: Vec<ResourceType>,
}

impl Catalog {
    /// The embedded schemas and the given extensions. Which resource type a schema extends is said by the last part of its
    /// URN: `urn:…:2.0:User`.
    pub fn new(extensions: Vec<Schema>) -> Result<Self, SchemaError> {
        let mut schemas = Vec::new();
        for text in SCHEMAS {
            schemas.push(serde_json::from_str::<Schema>(text)?);
        }
        let common: CommonAttributes = serde_json::from_str(COMMON_ATTRIBUTES)?;
        let mut resource_types = Vec::new();
        for text in RESOURCE_TYPES {
            resource_types.push(ResourceType::assemble(serde_json::from_str(text)?, &schemas, &common.attributes)?);
        }
        let mut catalog = Self { schemas, resource_types };
        for extension in extensions {
            catalog.extend(extension)?;
        }
        Ok(catalog)
    }

    fn extend(&mut self, extension: Schema) -> Result<(), SchemaError> {
        check(&extension)?;
        if self.schema(&extension.id).is_some() {
            return Err(unfit(&extension.id, "there is a schema with that URN already"));
        }
        let extended = extension.id.rsplit(':').next().unwrap_or_default();
        let Some(resource_type) = self.resource_types.iter_mut().find(|candidate| candidate.name == extended) else {
            return Err(unfit(&extension.id, "the last part of the URN must be the resource type: User or Group"));
        };
        resource_type.extensions.push((extension.clone(), false));
        self.schemas.push(extension);
        Ok(())
    }

    /// The resource type of that name: `User`, `Group`.
    pub fn resource_type(&self, name: &str) -> Option<&ResourceType> {
        self.resource_types.iter().find(|resource_type| resource_type.name.eq_ignore_ascii_case(name))
    }

    /// The resource type at that endpoint: `Users`, `Groups`.
    pub fn by_endpoint(&self, endpoint: &str) -> Option<&ResourceType> {
        self.resource_types.iter().find(|resource_type| resource_type.endpoint.eq_ignore_ascii_case(endpoint))
    }

    /// All resource types.
    pub fn resource_types(&self) -> &[ResourceType] {
        &self.resource_types
    }

    /// All schemas.
    pub fn schemas(&self) -> &[Schema] {
        &self.schemas
    }

    /// The schema of that URN, in any letter case.
    pub fn schema(&self, urn: &str) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }
}

/// What a resource type is made of.
#[derive(Debug, Clone)]
pub struct ResourceType {
    /// Name: `User`.
    pub name: String,
    /// Last part of the address, without a slash: `Users`.
    pub endpoint: String,
    /// What resources of that type are.
    pub description: String,
    /// Core schema.
    pub schema: Schema,
    /// Extensions, and whether a resource must have them.
    pub extensions: Vec<(Schema, bool)>,
    /// `schemas`, `id` and `meta` (RFC 7643 section 3.1).
    common: Vec<Attribute>,
}

/// Where the attributes under a URN live in a document.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Home<'a> {
    /// At the top.
    Core,
    /// In the object under the URN of this schema.
    Extension(&'a Schema),
}

impl ResourceType {
    fn assemble(record: ResourceTypeRecord, schemas: &[Schema], common: &[Attribute]) -> Result<Self, SchemaError> {
        let known = |urn: &str| match schemas.iter().find(|schema| schema.id == urn) {
            Some(schema) => check(schema).map(|()| schema.clone()),
            None => Err(unfit(urn, "the resource type names a schema that does not exist")),
        };
        let schema = known(&record.schema)?;
        let mut extensions = Vec::new();
        for extension in record.schema_extensions {
            extensions.push((known(&extension.schema)?, extension.required));
        }
        let endpoint = record.endpoint.trim_start_matches('/').to_owned();
        let common = common.to_vec();
        Ok(Self { name: record.name, endpoint, description: record.description, schema, extensions, common })
    }

    /// The attribute that a path means; `None` if no schema of this type knows it.
    ///
    /// The path may name the schema or not, in any letter case and with the URNs of older drafts.
    pub fn resolve<'a>(&'a self, path: &AttributePath) -> Option<Resolved<'a>> {
        let (attribute, schema) = match &path.schema {
            None => match self.core_attribute(&path.name) {
                Some(attribute) => (attribute, None),
                None => quirks::bare_enterprise_attribute(self, &path.name)?,
            },
            Some(urn) => self.attribute_at(self.home(urn)?, &path.name)?,
        };
        let sub = match &path.sub_attribute {
            None => None,
            Some(name) => Some(quirks::sub_attribute(attribute, name)?.0),
        };
        Some(Resolved { attribute, sub, schema })
    }

    /// The resource as `/ResourceTypes` serves it, but for `meta`, which needs the address of the server.
    pub fn to_json(&self) -> Value {
        let extensions: Vec<Value> = self
            .extensions
            .iter()
            .map(|(schema, required)| json!({ "schema": schema.id, "required": required }))
            .collect();
        json!({
            "schemas": [RESOURCE_TYPE_URN],
            "id": self.name,
            "name": self.name,
            "endpoint": format!("/{}", self.endpoint),
            "description": self.description,
            "schema": self.schema.id,
            "schemaExtensions": extensions,
        })
    }

    /// Whether resources of this type have members: elements that are known by their `value` alone.
    pub fn has_members(&self) -> bool {
        self.schema.attributes.iter().any(Attribute::has_identity)
    }

    /// The extension of that URN, in any letter case.
    pub fn extension(&self, urn: &str) -> Option<&Schema> {
        self.extensions.iter().map(|(schema, _)| schema).find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// What a URN means for this type, older spellings included.
    pub(crate) fn home(&self, urn: &str) -> Option<Home<'_>> {
        if self.schema.id.eq_ignore_ascii_case(urn) {
            return Some(Home::Core);
        }
        if let Some(schema) = self.extension(urn) {
            return Some(Home::Extension(schema));
        }
        let current = quirks::legacy_urn(&self.name, urn)?;
        if current == self.schema.id { Some(Home::Core) } else { self.extension(current).map(Home::Extension) }
    }

    pub(crate) fn attribute_at<'a>(&'a self, home: Home<'a>, name: &str) -> Option<(&'a Attribute, Option<&'a str>)> {
        match home {
            Home::Core => self.core_attribute(name).map(|attribute| (attribute, None)),
            Home::Extension(schema) => schema.attribute(name).map(|attribute| (attribute, Some(schema.id.as_str()))),
        }
    }

    /// A core or common attribute, in any letter case.
    pub(crate) fn core_attribute(&self, name: &str) -> Option<&Attribute> {
        let common = || self.common.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name));
        self.schema.attribute(name).or_else(common)
    }
}

/// An attribute that a path means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolved<'a> {
    /// The attribute.
    pub attribute: &'a Attribute,
    /// Its sub-attribute, if the path names one.
    pub sub: Option<&'a Attribute>,
    /// URN of the extension the attribute belongs to; `None` for core attributes.
    pub schema: Option<&'a str>,
}

impl<'a> Resolved<'a> {
    /// The attribute whose type the values have: the sub-attribute, or else the attribute.
    pub fn leaf(&self) -> &'a Attribute {
        self.sub.unwrap_or(self.attribute)
    }

    /// The path in canonical letter case: `urn:…:User:manager.value`.
    pub fn path(&self) -> String {
        let mut path = match self.schema {
            Some(urn) => format!("{urn}:{}", self.attribute.name),
            None => self.attribute.name.clone(),
        };
        if let Some(sub) = self.sub {
            path.push('.');
            path.push_str(&sub.name);
        }
        path
    }
}

#[derive(Deserialize)]
struct CommonAttributes {
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceTypeRecord {
    name: String,
    endpoint: String,
    description: String,
    schema: String,
    schema_extensions: Vec<ExtensionRecord>,
}

#[derive(Deserialize)]
struct ExtensionRecord {
    schema: String,
    required: bool,
}

fn unfit(schema: &str, reason: impl Into<String>) -> SchemaError {
    SchemaError::Unfit { schema: schema.to_owned(), reason: reason.into() }
}

/// Checks what the rest of this crate relies on.
fn check(schema: &Schema) -> Result<(), SchemaError> {
    if !schema.id.contains(':') {
        return Err(unfit(&schema.id, "the id must be a URN"));
    }
    check_attributes(schema, &schema.attributes, true)
}

fn check_attributes(schema: &Schema, attributes: &[Attribute], is_top: bool) -> Result<(), SchemaError> {
    for (index, attribute) in attributes.iter().enumerate() {
        let name = &attribute.name;
        let refused = |reason: &str| Err(unfit(&schema.id, format!("attribute {name}: {reason}")));
        if !is_name(name) {
            return refused("a name starts with a letter or $ and goes on with letters, digits, $, - or _");
        }
        if attributes[..index].iter().any(|earlier| earlier.name.eq_ignore_ascii_case(name)) {
            return refused("the name is there twice");
        }
        match attribute.kind {
            Type::Complex if !is_top => return refused("a sub-attribute cannot be complex"),
            Type::Complex if attribute.sub_attributes.is_empty() => return refused("it is complex, but has no parts"),
            Type::Complex => check_attributes(schema, &attribute.sub_attributes, false)?,
            _ if !attribute.sub_attributes.is_empty() => return refused("only a complex attribute has parts"),
            _ => {}
        }
        let can_be_secret = is_top && attribute.kind == Type::String && !attribute.multi_valued;
        if attribute.returned == Returned::Never && !can_be_secret {
            return refused("only a single text at the top of a schema can be returned never");
        }
    }
    Ok(())
}

/// `ATTRNAME` of RFC 7643 section 2.1, and `$ref`.
fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'-' | b'_');
    name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'$') && name.bytes().all(is_part)
}
