//! Names of attributes (RFC 7644 section 3.10) and PATCH paths (section 3.5.2), and their text.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{Filter, Leniency, Limits, ParseError, parser::Parser};

/// The name of an attribute or sub-attribute, perhaps qualified by the URI of its schema.
///
/// Names stay as they were written; compare them with [`AttributePath::is`] and its siblings, which ignore letter case
/// (RFC 7643 section 2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttributePath {
    /// The schema's URI without the colon after it: `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`.
    pub schema: Option<String>,
    /// The attribute: `manager`.
    pub name: String,
    /// The sub-attribute: `value`.
    pub sub_attribute: Option<String>,
}

/// What a text that may be the bare URI of a schema means, once the schemas are known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UrnPath<'a> {
    /// The whole extension, as spelled among the known schemas.
    Schema(&'a str),
    /// An attribute.
    Attribute(AttributePath),
}

impl AttributePath {
    /// The attribute of that name, without schema and sub-attribute.
    pub fn named(name: &str) -> Self {
        Self { schema: None, name: name.to_owned(), sub_attribute: None }
    }

    /// Parses an attribute's name under the default [`Limits`].
    ///
    /// The last colon ends the schema, so a schema's bare URI reads as an attribute of a shorter schema, or as an error:
    /// see [`AttributePath::split_urn`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &Limits::default())
    }

    /// Parses an attribute's name under the given limits.
    pub fn parse_with(text: &str, limits: &Limits) -> Result<Self, ParseError> {
        Parser::new(text, limits)?.attribute_path()
    }

    /// Parses a text that is the URI of a known schema, or an attribute's name.
    ///
    /// Without the schemas, `urn:a:b:c` might be the extension `urn:a:b:c` or the attribute `c` of `urn:a:b`. Known schemas
    /// are recognised in any letter case and returned in their own spelling.
    pub fn split_urn<'a>(text: &str, known_schemas: &[&'a str]) -> Result<UrnPath<'a>, ParseError> {
        let trimmed = text.trim_ascii();
        if let Some(schema) = known_schemas.iter().find(|schema| schema.eq_ignore_ascii_case(trimmed)) {
            return Ok(UrnPath::Schema(schema));
        }
        let mut path = Self::parse(text)?;
        if let Some(written) = &path.schema
            && let Some(schema) = known_schemas.iter().find(|schema| schema.eq_ignore_ascii_case(written))
        {
            path.schema = Some((*schema).to_owned());
        }
        Ok(UrnPath::Attribute(path))
    }

    /// The known schema whose bare URI this path spells, if it does: `urn:a:b:c` was then not the attribute `c` but the
    /// whole extension.
    pub fn as_schema<'a>(&self, known_schemas: &[&'a str]) -> Option<&'a str> {
        self.schema.as_ref()?;
        let spelled = self.to_string();
        known_schemas.iter().find(|schema| schema.eq_ignore_ascii_case(&spelled)).copied()
    }

    /// Whether the attribute, whatever its schema and sub-attribute, has this name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether there is a sub-attribute and it has this name.
    pub fn sub_is(&self, name: &str) -> bool {
        self.sub_attribute.as_ref().is_some_and(|sub| sub.eq_ignore_ascii_case(name))
    }

    /// Whether there is a schema and it has this URI.
    pub fn schema_is(&self, uri: &str) -> bool {
        self.schema.as_ref().is_some_and(|schema| schema.eq_ignore_ascii_case(uri))
    }
}

impl FromStr for AttributePath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(formatter, "{schema}:")?;
        }
        formatter.write_str(&self.name)?;
        if let Some(sub) = &self.sub_attribute {
            write!(formatter, ".{sub}")?;
        }
        Ok(())
    }
}

/// What a PATCH operation is about: an attribute, elements of it, or something of those elements.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PatchPath {
    /// The attribute. Its sub-attribute is set only when there is no filter (`name.familyName`).
    pub attribute: AttributePath,
    /// Which elements: `type eq "work"` of `emails[type eq "work"].value`.
    pub filter: Option<Box<Filter>>,
    /// What of those elements: `value` of `emails[type eq "work"].value`. `None` when there is no filter.
    pub sub_attribute: Option<String>,
}

impl PatchPath {
    /// Parses a path under the default [`Limits`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &Limits::default())
    }

    /// Parses a path under the given limits.
    pub fn parse_with(text: &str, limits: &Limits) -> Result<Self, ParseError> {
        Parser::new(text, limits)?.patch_path().map(|(path, _)| path)
    }

    /// As [`PatchPath::parse`], with what was taken although the grammar has it not.
    pub fn parse_noting(text: &str) -> Result<(Self, BTreeSet<Leniency>), ParseError> {
        Parser::new(text, &Limits::default())?.patch_path()
    }

    /// The sub-attribute, with or without a filter before it.
    pub fn sub(&self) -> Option<&str> {
        self.sub_attribute.as_deref().or(self.attribute.sub_attribute.as_deref())
    }
}

impl From<AttributePath> for PatchPath {
    fn from(attribute: AttributePath) -> Self {
        Self { attribute, filter: None, sub_attribute: None }
    }
}

impl FromStr for PatchPath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for PatchPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.attribute.fmt(formatter)?;
        if let Some(filter) = &self.filter {
            write!(formatter, "[{filter}]")?;
        }
        if let Some(sub) = &self.sub_attribute {
            write!(formatter, ".{sub}")?;
        }
        Ok(())
    }
}
