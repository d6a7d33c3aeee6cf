//! What is wrong with a filter or path, and where, in words for the administrator who configured the client.

use std::fmt;

/// A filter or path that breaks the grammar or a limit.
///
/// The protocol answers it with `invalidFilter` or `invalidPath` (RFC 7644 section 3.12).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParseError {
    /// Offset in bytes, from 0, of the first character that cannot stay. It is the length of the text when something is
    /// missing at its end, and always a character boundary of the text.
    pub position: usize,
    /// What is wrong, in one sentence without a full stop. It may quote a few characters of the text.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (at byte {})", self.message, self.position)
    }
}

impl std::error::Error for ParseError {}
