//! Changes a document, one operation at a time. `accept` and `patch` are two ways to feed it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashSet},
    mem,
};

use serde_json::{Map, Value};

use crate::{
    catalog::{Home, Resolved, ResourceType},
    change::{self, Change},
    document::{Document, Draft, Notes},
    error::ScimError,
    limits::Work,
    patch::Replacement,
    quirks::{self, Operation, Quirk},
    schema::{Attribute, Mutability, Returned},
    target::{Selection, Target},
    value::{self, Place},
};

/// A document under change.
pub(crate) struct Editor<'a> {
    resource_type: &'a ResourceType,
    /// The id in the address of the request; `None` at creation.
    id: Option<&'a str>,
    root: Map<String, Value>,
    secrets: BTreeMap<String, String>,
    /// Attributes of elements with an identity for which a list was sent, be it an empty one.
    listed: BTreeSet<String>,
    unknown: Unknown,
    replacement: Replacement,
    work: Work,
    pub(crate) notes: Notes,
}

/// What it is that nobody knows. A provider may leave out what a POST or PUT has (RFC 7644 section 3.3); the path of a PATCH
/// operation is invalid (section 3.12, table 9), and a key of one without a path stands for a path (section 3.5.2.1).
/// Source: entra 3.3 number 8, okta 7. Fixture: `unknown.json`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unknown {
    Attribute,
    Path,
}

/// How the client named what is to change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Naming {
    /// By the path of an operation: it means exactly this.
    Path,
    /// By a key among others, perhaps just sent along from the last answer.
    Key,
}

impl<'a> Editor<'a> {
    pub(crate) fn new(
        resource_type: &'a ResourceType,
        id: Option<&'a str>,
        document: Document,
        unknown: Unknown,
    ) -> Self {
        Self {
            resource_type,
            id,
            root: document.into_map(),
            secrets: BTreeMap::new(),
            listed: BTreeSet::new(),
            unknown,
            replacement: Replacement::default(),
            work: Work::default(),
            notes: Notes::default(),
        }
    }

    /// The same, with another meaning of `replace`.
    pub(crate) fn replacing(self, replacement: Replacement) -> Self {
        Self { replacement, ..self }
    }

    /// Applies one operation to what its path, if any, selects.
    pub(crate) fn apply(
        &mut self,
        operation: Operation,
        path: Option<&str>,
        value: Option<&Value>,
    ) -> Result<(), ScimError> {
        let Some(path) = path else {
            return match (operation, value) {
                (Operation::Remove, _) => {
                    Err(ScimError::no_target("remove needs a path: name the attribute to remove"))
                }
                (_, Some(Value::Object(members))) => self.apply_members(operation, Home::Core, members),
                _ => Err(ScimError::invalid_value("without a path, value must be an object of attributes")),
            };
        };
        match Target::of_path(self.resource_type, path, &mut self.notes)? {
            Target::Unknown(what) => {
                self.note_unknown(what, path);
                Ok(())
            }
            Target::Schema(home) => self.apply_schema(operation, home, value),
            Target::Attribute(selection) => self.apply_attribute(operation, &selection, value, Naming::Path),
        }
    }

    /// Applies an operation to each member of an object, whose keys are names or paths.
    pub(crate) fn apply_members(
        &mut self,
        operation: Operation,
        home: Home<'a>,
        members: &Map<String, Value>,
    ) -> Result<(), ScimError> {
        let mut named = HashSet::new();
        for (key, value) in members {
            match Target::of_key(self.resource_type, home, key, &mut self.notes)? {
                Target::Unknown(what) => self.note_unknown(what, key),
                Target::Schema(home) => match value {
                    Value::Object(_) => self.apply_schema(operation, home, Some(value))?,
                    unassigned if quirks::is_unassigned(unassigned) => {
                        self.apply_schema(Operation::Remove, home, None)?;
                    }
                    _ => return Err(ScimError::invalid_value("a schema's URN takes an object of its attributes")),
                },
                Target::Attribute(selection) => {
                    quirks::named_again(&mut named, key, selection.resolved, &mut self.notes);
                    self.apply_attribute(operation, &selection, Some(value), Naming::Key)?
                }
            }
        }
        Ok(())
    }

    fn note_unknown(&mut self, what: Quirk, name: &str) {
        let quirk = match self.unknown {
            Unknown::Attribute => what,
            Unknown::Path => Quirk::UnknownPath,
        };
        self.notes.add(quirk, name);
    }

    fn apply_schema(&mut self, operation: Operation, home: Home<'a>, value: Option<&Value>) -> Result<(), ScimError> {
        match (operation, home, value) {
            (Operation::Add | Operation::Replace, _, Some(Value::Object(members))) => {
                self.apply_members(operation, home, members)
            }
            (_, Home::Core, _) => Err(ScimError::no_target("the core schema cannot be removed: name the attribute")),
            (Operation::Remove, Home::Extension(schema), _) => self.remove_extension(&schema.id, &schema.attributes),
            (_, Home::Extension(schema), Some(unassigned)) if quirks::is_unassigned(unassigned) => {
                self.remove_extension(&schema.id, &schema.attributes)
            }
            _ => Err(ScimError::invalid_value("a schema's URN takes an object of its attributes")),
        }
    }

    fn remove_extension(&mut self, urn: &'a str, attributes: &'a [Attribute]) -> Result<(), ScimError> {
        for attribute in attributes {
            let resolved = Resolved { attribute, sub: None, schema: Some(urn) };
            self.apply_attribute(Operation::Remove, &Selection { resolved, filter: None }, None, Naming::Key)?;
        }
        Ok(())
    }

    fn apply_attribute(
        &mut self,
        operation: Operation,
        selection: &Selection<'a>,
        value: Option<&Value>,
        naming: Naming,
    ) -> Result<(), ScimError> {
        let Resolved { attribute, schema, .. } = selection.resolved;
        let place = Place::of(schema, attribute);
        if attribute.is_read_only() {
            return self.refuse_read_only(attribute, place, value, naming);
        }
        if selection.resolved.sub.is_some_and(Attribute::is_read_only) {
            self.notes.add(Quirk::ReadOnlyAttribute, &selection.resolved.path());
            return Ok(());
        }
        if operation != Operation::Remove && value.is_none() {
            return Err(value::no_value(place));
        }
        if attribute.returned == Returned::Never {
            return self.keep_secret(operation, attribute, place, value);
        }
        if attribute.has_identity() && value.is_some_and(Value::is_array) {
            self.listed.insert(place.to_string());
        }
        let current = self.take(selection.resolved);
        let is_immutable = attribute.mutability == Mutability::Immutable;
        let stays = quirks::cannot_be_unassigned(attribute);
        let before = if is_immutable || stays { current.clone() } else { None };
        let change = Change { operation, selection, value, naming, place, replacement: self.replacement };
        self.work.spend(&change, current.as_ref())?;
        let mut changed = change::apply(&change, current, &mut self.notes)?;
        if stays && changed.is_none() {
            self.notes.add(Quirk::NotUnassigned, &place.to_string());
            changed.clone_from(&before);
        }
        if is_immutable && before.is_some() && before != changed {
            return Err(immutable(place));
        }
        self.put(selection.resolved, changed);
        Ok(())
    }

    /// What the bridge itself decides is ignored among other attributes and refused when meant. `id` must be the one of the
    /// address wherever it is sent (others 11.5, cases 49, 50, 113).
    fn refuse_read_only(
        &mut self,
        attribute: &Attribute,
        place: Place<'_>,
        value: Option<&Value>,
        naming: Naming,
    ) -> Result<(), ScimError> {
        let is_same_id = match (attribute.name.as_str(), self.id, value) {
            ("id", Some(id), Some(Value::String(sent))) if !sent.is_empty() => {
                if sent != id {
                    return Err(ScimError::mutability(
                        "id differs from the one in the address: send the same, or none",
                    ));
                }
                true
            }
            _ => false,
        };
        if naming == Naming::Path && !is_same_id && attribute.name != "schemas" {
            return Err(ScimError::mutability(format!("{place} is set by the bridge and cannot be changed")));
        }
        if attribute.name != "schemas" {
            self.notes.add(Quirk::ReadOnlyAttribute, &place.to_string());
        }
        Ok(())
    }

    /// A secret goes beside the document. Unassigning it changes nothing: an account is never left without a password.
    fn keep_secret(
        &mut self,
        operation: Operation,
        attribute: &Attribute,
        place: Place<'_>,
        value: Option<&Value>,
    ) -> Result<(), ScimError> {
        let secret = match value {
            Some(value) if operation != Operation::Remove => value::whole(attribute, value, place, &mut self.notes)?,
            _ => None,
        };
        match secret {
            Some(Value::String(secret)) => {
                self.secrets.insert(place.to_string(), secret);
            }
            _ => self.notes.add(Quirk::NotUnassigned, &place.to_string()),
        }
        Ok(())
    }

    fn take(&mut self, resolved: Resolved<'_>) -> Option<Value> {
        let home = match resolved.schema {
            None => &mut self.root,
            Some(urn) => self.root.get_mut(urn)?.as_object_mut()?,
        };
        home.swap_remove(&resolved.attribute.name)
    }

    fn put(&mut self, resolved: Resolved<'_>, value: Option<Value>) {
        let Some(value) = value else { return };
        let name = resolved.attribute.name.clone();
        let Some(urn) = resolved.schema else {
            self.root.insert(name, value);
            return;
        };
        match self.root.get_mut(urn).and_then(Value::as_object_mut) {
            Some(home) => {
                home.insert(name, value);
            }
            None => {
                self.root.insert(urn.to_owned(), Value::Object(Map::from_iter([(name, value)])));
            }
        }
    }

    /// Takes over what a PUT leaves out but must not lose, and checks what may not change (RFC 7644 section 3.5.1).
    pub(crate) fn inherit(&mut self, current: &Document) -> Result<(), ScimError> {
        let resource_type = self.resource_type;
        let core = resource_type.schema.attributes.iter().map(|attribute| (attribute, None));
        let extended = resource_type
            .extensions
            .iter()
            .flat_map(|(schema, _)| schema.attributes.iter().map(|attribute| (attribute, Some(schema.id.as_str()))));
        for (attribute, schema) in core.chain(extended) {
            let is_immutable = attribute.mutability == Mutability::Immutable;
            let is_kept = quirks::is_kept_when_absent(attribute)
                && !self.listed.contains(&Place::of(schema, attribute).to_string());
            if !is_immutable && !is_kept {
                continue;
            }
            let resolved = Resolved { attribute, sub: None, schema };
            let home = match schema {
                None => Some(current.as_map()),
                Some(urn) => current.get(urn).and_then(Value::as_object),
            };
            let Some(kept) = home.and_then(|home| home.get(&attribute.name)) else { continue };
            match self.take(resolved) {
                Some(sent) if is_immutable && sent != *kept => return Err(immutable(Place::of(schema, attribute))),
                Some(sent) => self.put(resolved, Some(sent)),
                None => self.put(resolved, Some(kept.clone())),
            }
        }
        Ok(())
    }

    /// Sets an attribute of the core schema that has no value yet.
    pub(crate) fn default(&mut self, name: &str, value: Value) {
        self.root.entry(name).or_insert(value);
    }

    /// Keeps the name of a user who is active while Entra ID renames it for its deletion, and gives it back when the user
    /// is active again before the rename back has come. The name while inactive is what was sent.
    pub(crate) fn keep_name(&mut self, current: &Document) {
        if self.resource_type.name != "User" || self.root.get("active") == Some(&Value::Bool(false)) {
            return;
        }
        let Some(Value::String(sent)) = self.root.get("userName") else { return };
        let (Some(before), Some(name)) = (quirks::name_before_deletion(sent), current.text("userName")) else { return };
        let kept = if before.eq_ignore_ascii_case(name) {
            name.to_owned()
        } else if sent == name && !current.is_active() {
            before.to_owned()
        } else {
            return;
        };
        self.notes.add(Quirk::DeletedUserName, "userName");
        self.root.insert("userName".to_owned(), Value::String(kept));
    }

    /// Checks that nothing required is missing and brings everything into order.
    pub(crate) fn finish(mut self) -> Result<Draft, ScimError> {
        let mut root = self.root;
        let mut document = Map::new();
        let mut extensions = Map::new();
        for (schema, is_required) in &self.resource_type.extensions {
            match root.swap_remove(&schema.id) {
                Some(Value::Object(mut attributes)) if !attributes.is_empty() => {
                    drop_idle(&schema.attributes, &mut attributes);
                    check_required(&schema.attributes, Some(&schema.id), &attributes)?;
                    if !attributes.is_empty() {
                        let attributes = value::ordered(&schema.attributes, attributes);
                        extensions.insert(schema.id.clone(), Value::Object(attributes));
                    }
                }
                _ if *is_required => {
                    return Err(ScimError::invalid_value(format!("{} is required: send it", schema.id)));
                }
                _ => {}
            }
        }
        let core = &self.resource_type.schema.attributes;
        read_texts(core, &mut root, &mut self.notes)?;
        drop_idle(core, &mut root);
        check_required(core, None, &root)?;
        document.append(&mut value::ordered(core, root));
        document.append(&mut extensions);
        let notes = self.notes.into_vec();
        Ok(Draft { document: Document(document), secrets: self.secrets, listed: self.listed, notes })
    }
}

/// Reads an object inside the text of a value also where a path put it: only so a PUT of what is shown changes nothing.
fn read_texts(core: &[Attribute], present: &mut Map<String, Value>, notes: &mut Notes) -> Result<(), ScimError> {
    for attribute in core.iter().filter(|attribute| attribute.multi_valued) {
        let Some(Value::Array(elements)) = present.get_mut(&attribute.name) else { continue };
        let place = Place::of(None, attribute);
        for element in elements {
            while let Value::Object(parts) = &*element
                && let Cow::Owned(read) = quirks::value_in_text(attribute, parts, place, notes)
                && let Some(read) = value::single(attribute, &Value::Object(read), place, notes)?
            {
                *element = read;
            }
        }
    }
    Ok(())
}

/// Drops the elements that say nothing, and those that became the same as another. Only now, as one operation may name the
/// type and a later one the value.
fn drop_idle(attributes: &[Attribute], present: &mut Map<String, Value>) {
    for attribute in attributes.iter().filter(|attribute| attribute.multi_valued) {
        if let Some(Value::Array(elements)) = present.get_mut(&attribute.name) {
            elements.retain(|element| !quirks::says_nothing(attribute, element));
            // Elements with an identity keep it, so they stay apart.
            if !attribute.has_identity() {
                let changed = mem::take(elements);
                value::append(attribute, elements, changed);
            }
            if elements.is_empty() {
                present.swap_remove(&attribute.name);
            }
        }
    }
}

fn check_required(
    attributes: &[Attribute],
    schema: Option<&str>,
    present: &Map<String, Value>,
) -> Result<(), ScimError> {
    for attribute in attributes.iter().filter(|attribute| attribute.required && !attribute.is_read_only()) {
        if !present.contains_key(&attribute.name) {
            let place = Place::of(schema, attribute);
            return Err(ScimError::invalid_value(format!("{place} is required: send a value that is not empty")));
        }
    }
    Ok(())
}

fn immutable(place: Place<'_>) -> ScimError {
    ScimError::mutability(format!("{place} is set once and cannot be changed afterwards"))
}
