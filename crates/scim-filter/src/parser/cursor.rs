//! A place in the text: what comes next, and how to complain about it.

use crate::ParseError;

/// A place in the text, always at a character boundary.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The characters up to the next space, quote, parenthesis or bracket: a name, an operator, a keyword, a bare value.
    pub(super) fn word(&self) -> &'a str {
        let rest = self.rest();
        rest.find(is_delimiter).map_or(rest, |end| rest.split_at(end).0)
    }

    pub(super) fn skip_word(&mut self) {
        self.position += self.word().len();
    }

    pub(super) fn skip_character(&mut self) {
        self.position += self.peek().map_or(0, char::len_utf8);
    }

    /// Skips what was just looked at in [`Cursor::rest`].
    pub(super) fn skip(&mut self, read: &str) {
        self.position += read.len();
    }

    /// Skips any white space, and returns it. The grammar has one space or none; clients send other ones.
    pub(super) fn skip_spaces(&mut self) -> &'a str {
        let rest = self.rest();
        let (skipped, _) = rest.split_at(rest.len() - rest.trim_ascii_start().len());
        self.position += skipped.len();
        skipped
    }

    /// The place after the next word and the spaces behind it.
    pub(super) fn after_word(mut self) -> Self {
        self.skip_word();
        self.skip_spaces();
        self
    }

    pub(super) fn eat(&mut self, expected: char) -> bool {
        let is_next = self.peek() == Some(expected);
        if is_next {
            self.skip_character();
        }
        is_next
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        error(self.position, message)
    }

    /// What stands here, in words. Quoted values are not repeated: they may be personal data.
    pub(super) fn found(&self) -> String {
        match self.peek() {
            None => "the end".to_owned(),
            Some('"') => "a quoted text".to_owned(),
            Some(delimiter @ ('(' | ')' | '[' | ']')) => format!("\"{delimiter}\""),
            Some(_) => excerpt(self.word()),
        }
    }
}

pub(super) fn error(position: usize, message: impl Into<String>) -> ParseError {
    ParseError { position, message: message.into() }
}

/// The beginning of a text in quotes, control characters escaped.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 24;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.split_at(end).0),
    }
}

fn is_delimiter(character: char) -> bool {
    matches!(character, '(' | ')' | '[' | ']' | '"') || character.is_ascii_whitespace()
}
