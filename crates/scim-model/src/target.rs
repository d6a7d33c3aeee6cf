//! What a PATCH path or a key of a body is about.

use scim_filter::{Filter, PatchPath};

use crate::{
    catalog::{Home, Resolved, ResourceType},
    document::Notes,
    error::{ScimError, quoted},
    matching::{check_inner, with_sub},
    quirks::{self, Quirk, asking},
};

/// What a change is about.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// Everything under a URN.
    Schema(Home<'a>),
    /// An attribute, its sub-attribute, or some of its elements.
    Attribute(Selection<'a>),
    /// Nothing this bridge knows: an attribute, or the schema that it would belong to.
    Unknown(Quirk),
}

/// An attribute, its sub-attribute, or some of its elements.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    pub(crate) resolved: Resolved<'a>,
    pub(crate) filter: Option<Box<Filter>>,
}

impl<'a> Target<'a> {
    /// Reads the path of a PATCH operation.
    pub(crate) fn of_path(resource_type: &'a ResourceType, text: &str, notes: &mut Notes) -> Result<Self, ScimError> {
        if let Some(target) = Self::whole_schema(resource_type, text.trim(), notes) {
            return Ok(target);
        }
        let (path, taken) = PatchPath::parse_noting(text)
            .map_err(|error| ScimError::invalid_path(format!("the path {} cannot be read: {error}", quoted(text))))?;
        asking::grammar(taken, "path", notes);
        Self::of_parsed(resource_type, path, notes)
    }

    /// Reads a key of a body or of a value without path, found under `home`.
    pub(crate) fn of_key(
        resource_type: &'a ResourceType,
        home: Home<'a>,
        key: &str,
        notes: &mut Notes,
    ) -> Result<Self, ScimError> {
        if let Some((attribute, schema)) = resource_type.attribute_at(home, key) {
            if attribute.name != key {
                notes.add(Quirk::OtherCase, &attribute.name);
            }
            let resolved = Resolved { attribute, sub: None, schema };
            return Ok(Self::Attribute(Selection { resolved, filter: None }));
        }
        let form = quirks::key_form(key);
        if form.is_some()
            && let Some(target) = Self::whole_schema(resource_type, key, notes)
        {
            return Ok(target);
        }
        let Ok(mut path) = PatchPath::parse(key) else { return Ok(Self::Unknown(Quirk::UnknownAttribute)) };
        if let (None, Home::Extension(schema)) = (&path.attribute.schema, home) {
            path.attribute.schema = Some(schema.id.clone());
        }
        let target = Self::of_parsed(resource_type, path, notes)?;
        if let (Self::Attribute(selection), Some(form)) = (&target, form) {
            notes.add(form, &selection.resolved.path());
        }
        Ok(target)
    }

    fn whole_schema(resource_type: &'a ResourceType, text: &str, notes: &mut Notes) -> Option<Self> {
        let home = resource_type.home(text)?;
        asking::urn(resource_type, text, notes);
        Some(Self::Schema(home))
    }

    fn of_parsed(resource_type: &'a ResourceType, path: PatchPath, notes: &mut Notes) -> Result<Self, ScimError> {
        let resolved = resource_type.resolve(&path.attribute);
        let Some(resolved) = resolved.and_then(|resolved| with_sub(resolved, path.sub_attribute.as_deref())) else {
            let is_urn = path.attribute.schema.as_ref().is_some_and(|urn| resource_type.home(urn).is_none());
            return Ok(Self::Unknown(if is_urn { Quirk::UnknownSchema } else { Quirk::UnknownAttribute }));
        };
        asking::name(resource_type, &path.attribute, path.sub(), resolved, notes);
        if let Some(filter) = &path.filter {
            if !resolved.attribute.multi_valued {
                return Err(ScimError::invalid_path(format!(
                    "{} is a single value: leave out the brackets",
                    resolved.attribute.name
                )));
            }
            check_inner(resolved, filter).map_err(|error| ScimError::invalid_path(error.detail))?;
            asking::inner_filter(resolved, filter, notes);
        }
        Ok(Self::Attribute(Selection { resolved, filter: path.filter }))
    }
}
