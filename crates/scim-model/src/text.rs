//! The parts of JSON that was written without blanks, found without parsing it: for documents on their way from the store
//! to an answer. What looks like anything else ends the walk early, which `is_whole` tells.

/// The members of an object: name and text of the value. Names with escapes end the walk.
pub(crate) struct Members<'t>(Parts<'t>);

/// The texts of the elements of an array.
pub(crate) struct Elements<'t>(Parts<'t>);

/// What is left between the brackets.
struct Parts<'t> {
    rest: &'t str,
    is_first: bool,
    is_good: bool,
}

impl<'t> Members<'t> {
    /// `None` if the text is no object.
    pub(crate) fn of(text: &'t str) -> Option<Self> {
        Parts::between(text, '{', '}').map(Self)
    }

    /// Whether the walk has come to the end of the object.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.is_good
    }
}

impl<'t> Iterator for Members<'t> {
    type Item = (&'t str, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|rest| {
            let name_end = end_of_string(rest.as_bytes())?;
            let name = rest.get(1..name_end - 1).filter(|name| !name.contains('\\'))?;
            let value = rest.get(name_end..)?.strip_prefix(':')?;
            let end = end_of_value(value.as_bytes())?;
            Some(((name, value.get(..end)?), value.get(end..)?))
        })
    }
}

impl<'t> Elements<'t> {
    /// `None` if the text is no array.
    pub(crate) fn of(text: &'t str) -> Option<Self> {
        Parts::between(text, '[', ']').map(Self)
    }

    /// Whether the walk has come to the end of the array.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.is_good
    }
}

impl<'t> Iterator for Elements<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|rest| {
            let end = end_of_value(rest.as_bytes())?;
            Some((rest.get(..end)?, rest.get(end..)?))
        })
    }
}

impl<'t> Parts<'t> {
    fn between(text: &'t str, open: char, close: char) -> Option<Self> {
        let rest = text.strip_prefix(open)?.strip_suffix(close)?;
        Some(Self { rest, is_first: true, is_good: true })
    }

    /// Takes the next part, which `take` tells from the rest.
    fn next<T>(&mut self, take: impl FnOnce(&'t str) -> Option<(T, &'t str)>) -> Option<T> {
        if self.rest.is_empty() || !self.is_good {
            return None;
        }
        let begin = if self.is_first { Some(self.rest) } else { self.rest.strip_prefix(',') };
        self.is_first = false;
        let taken = begin.and_then(take);
        self.is_good = taken.is_some();
        let (part, rest) = taken?;
        self.rest = rest;
        Some(part)
    }
}

/// Where the value ends that the text begins with.
fn end_of_value(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'"' => end_of_string(text),
        b'{' | b'[' => {
            let (mut at, mut depth) = (0, 0_usize);
            loop {
                match text.get(at)? {
                    b'"' => {
                        at += end_of_string(text.get(at..)?)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        b't' | b'f' | b'n' | b'-' | b'0'..=b'9' => {
            let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
            Some(text.iter().position(|byte| !is_inside(byte)).unwrap_or(text.len()))
        }
        _ => None,
    }
}

/// Where the string ends, its quotation mark included, that the text begins with.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let inside = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        at += inside.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if inside.get(at) == Some(&b'"') {
            return Some(at + 2);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::sample::select(vec![0.5, -1.25, 1e30, 1e-9]).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\"\\\\{}\\[\\],:]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z:.$]{1,5}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_members_of_any_object_are_those_that_a_parser_finds(
            members in prop::collection::btree_map("[a-z:.$]{1,5}", any_value(), 0..5)
        ) {
            let object: Map<String, Value> = members.into_iter().collect();
            let text = serde_json::to_string(&object).unwrap();
            let mut walk = Members::of(&text).unwrap();
            let found: Map<String, Value> =
                walk.by_ref().map(|(name, value)| (name.to_owned(), serde_json::from_str(value).unwrap())).collect();
            prop_assert!(walk.is_whole());
            prop_assert_eq!(found, object);
        }

        #[test]
        fn the_elements_of_any_array_are_those_that_a_parser_finds(
            elements in prop::collection::vec(any_value(), 0..5)
        ) {
            let text = serde_json::to_string(&elements).unwrap();
            let mut walk = Elements::of(&text).unwrap();
            let found: Vec<Value> = walk.by_ref().map(|value| serde_json::from_str(value).unwrap()).collect();
            prop_assert!(walk.is_whole());
            prop_assert_eq!(found, elements);
        }

        #[test]
        fn no_text_makes_the_walk_fail(text in "[{}\\[\\]\",:a1\\\\ ä]{0,12}") {
            Members::of(&text).into_iter().flatten().for_each(drop);
            Elements::of(&text).into_iter().flatten().for_each(drop);
        }
    }

    #[test]
    fn what_was_written_otherwise_ends_the_walk() {
        for text in
            [r#"{"a": 1}"#, r#"{"a":1,}x}"#, r#"{"a\n":1}"#, r#"{"a":}"#, r#"{a:1}"#, r#"{"a":"1}"#, r#"{,"a":1}"#]
        {
            let mut walk = Members::of(text).unwrap();
            walk.by_ref().for_each(drop);
            assert!(!walk.is_whole(), "{text}");
        }
        assert!(Members::of(&json!([1]).to_string()).is_none());
        assert!(Elements::of(&json!({}).to_string()).is_none());
    }
}
