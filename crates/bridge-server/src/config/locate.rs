//! Finds the place of a key in the text of the configuration, for errors that are found after reading.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Position;

/// The place of the key at the end of `path`; of the nearest key above it that the text does have, otherwise.
pub(super) fn key(text: &str, path: &[&str]) -> Option<Position> {
    let document = DeTable::parse(text).ok()?;
    span(document.get_ref(), path).map(|span| Position::of(text, span.start))
}

/// The byte range of the key at the end of `path`, or of the nearest key above it.
pub(super) fn span(table: &DeTable<'_>, path: &[&str]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    match value.get_ref() {
        DeValue::Table(inner) => span(inner, rest).or_else(|| Some(key.span())),
        _ => Some(key.span()),
    }
}

/// The path of the innermost key of `table` whose value holds the byte `offset`; empty where none does.
pub(super) fn path_at(table: &DeTable<'_>, offset: usize) -> Vec<String> {
    for (key, value) in table {
        let inner = match value.get_ref() {
            DeValue::Table(inner) => path_at(inner, offset),
            _ => Vec::new(),
        };
        if !inner.is_empty() || value.span().contains(&offset) {
            return std::iter::once(key.get_ref().to_string()).chain(inner).collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_headers_dotted_keys_and_inline_tables() {
        let check = |text: &str, path: &[&str], expected: Option<(usize, usize)>| {
            assert_eq!(key(text, path), expected.map(|(line, column)| Position { line, column }), "{path:?} in {text}");
        };
        check("[server]\nlisten = 1", &["server", "listen"], Some((2, 1)));
        check("[a.b]\n  \"é\".c = 1\n", &["a", "b", "é", "c"], Some((2, 7)));
        check("a = { b = { c = 1 } }", &["a", "b", "c"], Some((1, 13)));
        check("[a.b]\nc = 1", &["a", "b", "missing"], Some((1, 4)));
        check("[a]", &["z"], None);
    }
}
