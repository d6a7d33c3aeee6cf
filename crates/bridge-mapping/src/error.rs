//! What is wrong with a rule, a limit or a setting, said so that an administrator finds the spot.

use std::fmt;

/// A place in the text of one rule. Both numbers count from one; a column is a character, not a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line within the rule's text.
    pub line: usize,
    /// Column within that line.
    pub column: usize,
}

impl Position {
    /// The position of the byte `offset` in `text`.
    pub fn of(text: &str, offset: usize) -> Position {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// A configuration that cannot be compiled into rules.
///
/// The server knows file and line of `key`; this error knows the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingError {
    /// The key below the target's table, for example `map.UserRole`, `scope.filter`, `limits.UserRole`.
    pub key: String,
    /// The text of the rule, if a text is at fault.
    pub rule: Option<String>,
    /// Where in that text.
    pub position: Option<Position>,
    /// What is wrong, and where possible what would be right.
    pub message: String,
}

impl MappingError {
    /// An error about a key as a whole.
    pub(crate) fn at(key: impl Into<String>, message: impl Into<String>) -> MappingError {
        MappingError { key: key.into(), rule: None, position: None, message: message.into() }
    }

    /// An error at a byte of a rule's text.
    pub(crate) fn within(
        key: impl Into<String>,
        rule: &str,
        offset: usize,
        message: impl Into<String>,
    ) -> MappingError {
        MappingError {
            key: key.into(),
            rule: Some(rule.to_owned()),
            position: Some(Position::of(rule, offset)),
            message: message.into(),
        }
    }
}

impl fmt::Display for MappingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.key, self.message)?;
        if let Some(Position { line, column }) = self.position {
            write!(formatter, " (line {line}, column {column}")?;
            match &self.rule {
                Some(rule) => write!(formatter, " of {rule:?})")?,
                None => formatter.write_str(")")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for MappingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_and_lines_from_one() {
        let check = |text: &str, offset: usize, line: usize, column: usize| {
            assert_eq!(Position::of(text, offset), Position { line, column }, "{text:?} at {offset}");
        };
        check("abc", 0, 1, 1);
        check("abc", 2, 1, 3);
        check("äbc", 2, 1, 2);
        check("äbc", 1, 1, 1); // inside a character: its start
        check("a\nbc", 3, 2, 2);
        check("abc", 99, 1, 4);
    }

    #[test]
    fn an_error_names_key_text_and_place() {
        let error = MappingError::within("map.UserFirst", "nam.givenName", 0, "no schema has an attribute \"nam\"");
        assert_eq!(
            error.to_string(),
            r#"map.UserFirst: no schema has an attribute "nam" (line 1, column 1 of "nam.givenName")"#
        );
    }
}
