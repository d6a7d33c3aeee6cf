//! `attrPath = [URI ":"] ATTRNAME *1subAttr` (RFC 7644 figure 1; `$` in names as in RFC 7643 section 2.1).

use super::cursor::{error, excerpt};
use crate::{AttributePath, ParseError};

/// Reads a word that starts at byte `position` of the text. The last colon ends the schema.
pub(super) fn attribute(word: &str, position: usize) -> Result<AttributePath, ParseError> {
    let (schema, local) = match word.rsplit_once(':') {
        Some((schema, local)) => (Some(checked_schema(schema, position)?), local),
        None => (None, word),
    };
    let local_position = position + word.len() - local.len();
    let (name, sub) = match local.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (local, None),
    };
    let sub_position = local_position + name.len() + 1;
    Ok(AttributePath {
        schema,
        name: checked_name(name, local_position)?,
        sub_attribute: sub.map(|sub| sub_attribute(sub, sub_position)).transpose()?,
    })
}

/// Reads the word after the dot.
pub(super) fn sub_attribute(word: &str, position: usize) -> Result<String, ParseError> {
    if let Some(dot) = word.find('.') {
        return Err(error(position + dot, "a sub-attribute has no further sub-attribute"));
    }
    checked_name(word, position)
}

fn checked_name(name: &str, position: usize) -> Result<String, ParseError> {
    if let Some((offset, character)) = name.char_indices().find(|(_, character)| !is_name_character(*character)) {
        let hint = if matches!(character, '=' | '<' | '>' | '!') { "; operators are words, such as eq" } else { "" };
        return Err(error(position + offset, format!("{character:?} cannot be part of an attribute name{hint}")));
    }
    match name.chars().next() {
        None => Err(error(position, "an attribute name is missing")),
        Some('$' | 'a'..='z' | 'A'..='Z') => Ok(name.to_owned()),
        Some(_) => Err(error(position, format!("an attribute name begins with a letter, unlike {}", excerpt(name)))),
    }
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '$' | '-' | '_')
}

/// Takes an absolute URI (RFC 3986 section 3) without the parentheses and brackets that end a word.
fn checked_schema(schema: &str, position: usize) -> Result<String, ParseError> {
    if let Some((offset, character)) = schema.char_indices().find(|(_, character)| !is_uri_character(*character)) {
        return Err(error(position + offset, format!("{character:?} cannot be part of a schema URI")));
    }
    let is_absolute = schema.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|character: char| character.is_ascii_alphabetic())
            && scheme.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.'))
            && !rest.is_empty()
    });
    if is_absolute {
        Ok(schema.to_owned())
    } else {
        Err(error(position, format!("{} before the colon is not a schema URI", excerpt(schema))))
    }
}

fn is_uri_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~:/?#@!$&'*+,;=%".contains(character)
}
