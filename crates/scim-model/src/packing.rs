//! What is round a message: the address and the headers of its request, and the text of its body (RFC 7644 section 3.1, RFC
//! 8259), read as real clients send them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{
    catalog::Catalog,
    document::{Note, Notes},
    error::ScimError,
    quirks::sending,
};

/// What a request says before its body.
#[derive(Debug, Default, Clone, Copy)]
pub struct Packing<'a> {
    /// The path behind the base URL, as it was sent, where that has slashes too many.
    pub sent_path: Option<&'a str>,
    /// The same path without them.
    pub path: &'a str,
    /// The media type of the body, if the request has one; empty if it says none.
    pub content_type: Option<&'a str>,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The header `If-Match`.
    pub if_match: Option<&'a str>,
    /// The header `If-None-Match`.
    pub if_none_match: Option<&'a str>,
}

impl Packing<'_> {
    /// What was tolerated of it.
    #[must_use]
    pub fn notes(&self, catalog: &Catalog) -> Vec<Note> {
        let mut notes = Notes::default();
        if let Some(sent) = self.sent_path {
            sending::slashes(sent, &mut notes);
        }
        sending::names(catalog, self.path, &mut notes);
        if let Some(content_type) = self.content_type {
            sending::media_type(content_type, &mut notes);
        }
        if let Some(authorization) = self.authorization {
            sending::token(authorization, &mut notes);
        }
        for (tags, header) in [(self.if_match, "If-Match"), (self.if_none_match, "If-None-Match")] {
            if let Some(tags) = tags {
                sending::tags(tags, header, &mut notes);
            }
        }
        notes.into_vec()
    }
}

/// Whether a body of this media type is read as JSON; one that says none is.
#[must_use]
pub fn is_json(content_type: &str) -> bool {
    sending::media_type(content_type, &mut Notes::default())
}

/// Reads the JSON object of a body, with what was tolerated in its text. NUL in a text is refused because no database can
/// keep it.
///
/// # Errors
///
/// 400 `invalidSyntax` for what is no JSON object, `invalidValue` for NUL.
pub fn read_body(text: &[u8]) -> Result<(Value, Vec<Note>), ScimError> {
    let mut notes = Notes::default();
    let text = sending::without_mark(text, &mut notes);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(ScimError::invalid_syntax("The body is empty, a JSON object is expected"));
    }
    let body = read(text, &mut notes)
        .map_err(|error| ScimError::invalid_syntax(format!("The body is not valid JSON: {error}")))?;
    if !body.is_object() {
        return Err(ScimError::invalid_syntax(format!("The body must be a JSON object, not {}", kind(&body))));
    }
    if has_nul(&body) {
        return Err(ScimError::invalid_value("The body contains the character NUL, which cannot be stored"));
    }
    Ok((body, notes.into_vec()))
}

fn read(text: &[u8], notes: &mut Notes) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let body = Reader(notes).deserialize(&mut reader)?;
    reader.end()?;
    Ok(body)
}

/// Reads a value as [`Value`] does, and notes names that are in an object twice.
struct Reader<'a>(&'a mut Notes);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element_seed(Reader(self.0))? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Reader(self.0))?;
            sending::put_member(&mut object, name, value, self.0);
        }
        Ok(Value::Object(object))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The reader of JSON goes 128 levels deep, so this recursion ends.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_read_as_any_reader_of_json_reads_it() {
        let check = |text: &str| {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read_body(text.as_bytes()).unwrap(), (expected, Vec::new()), "{text}");
        };
        check(r#" {"a": 1} "#);
        check(
            r#"{"a": [null, true, -1, 18446744073709551615, 1.5, 1e300, "\u00e9\n", [], {}], "": {"b": {"c": "d"}}}"#,
        );
        assert_eq!(read_body(b"\xef\xbb\xbf{}").unwrap().0, json!({}));
        assert_eq!(read_body(br#"{"a": 1, "b": 2, "a": 3}"#).unwrap().0, json!({"a": 3, "b": 2}));
    }

    #[test]
    fn what_is_no_json_object_is_refused_with_its_place() {
        let check = |body: &[u8], words: &str| {
            let error = read_body(body).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.to_string().contains(words), "{error}");
        };
        check(b"", "empty");
        check(b" \r\n", "empty");
        check(b"{\"userName\":\n  nope}", "line 2 column 4");
        check(b"{\"userName\": \"jo\"", "line 1 column 17");
        check(b"{\"a\": 1,}", "line 1 column 9");
        check(b"{} {}", "line 1 column 4");
        check(b"[]", "not an array");
        check(b"\"jo\"", "not a text");
        check(b"null", "not null");
        check(b"<html></html>", "line 1 column 1");
        check(b"{\"a\": \"\xff\xfe\"}", "line 1");
        check(b"{\"a\": \"\\ud800\"}", "line 1");
        check(br#"{"a": [{"b": "x\u0000y"}]}"#, "NUL");
        check(br#"{"a\u0000": 1}"#, "NUL");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_exhausts_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let error = read_body(deep.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
        let objects = "{\"a\":".repeat(100_000);
        assert_eq!(read_body(objects.as_bytes()).unwrap_err().status, 400);
    }

    #[test]
    fn a_media_type_is_known_by_its_name_alone() {
        let known = ["application/scim+json", "application/json", "application/scim+json; charset=utf-8", ""];
        let odd = ["application/scim+json;charset=UTF-8", "Application/JSON; charset=iso-8859-1; q=1", " ; q=1"];
        assert!(known.iter().chain(&odd).all(|content_type| is_json(content_type)));
        let others = ["text/plain", "application/xml", "multipart/form-data", "application/json-patch+json", "*/*"];
        assert!(!others.iter().any(|content_type| is_json(content_type)));
    }
}
