//! The one place that prints: lines or JSON on standard output, complaints on standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};

use serde_json::Value;

/// Standard output, either for people or for programs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    reader: Reader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Person,
    Program,
    #[cfg(test)]
    Nobody,
}

impl Output {
    /// `--json`: only JSON is printed.
    pub(super) fn new(is_json: bool) -> Self {
        Self { reader: if is_json { Reader::Program } else { Reader::Person } }
    }

    /// Prints nothing.
    #[cfg(test)]
    pub(super) fn silent() -> Self {
        Self { reader: Reader::Nobody }
    }

    /// A line for people.
    pub(super) fn line(self, text: impl Display) -> io::Result<()> {
        if self.reader != Reader::Person {
            return Ok(());
        }
        let lines: Vec<String> = text.to_string().split('\n').map(printable).collect();
        print(&lines.join("\n"))
    }

    /// A document for programs, over several lines.
    pub(super) fn json(self, value: &Value) -> io::Result<()> {
        if self.reader == Reader::Program { print(&format_args!("{value:#}")) } else { Ok(()) }
    }

    /// A document for programs, on one line.
    pub(super) fn json_line(self, value: &Value) -> io::Result<()> {
        if self.reader == Reader::Program { print(value) } else { Ok(()) }
    }
}

/// A text in which nothing moves the cursor, changes colours or turns the direction of reading: names come from identity
/// providers and their users, and a line is to show what is there.
pub(super) fn printable(text: &str) -> String {
    let is_harmless = |letter: char| !letter.is_control() && !is_bidirectional(letter);
    if text.chars().all(is_harmless) {
        return text.to_owned();
    }
    let shown = |letter: char| if is_harmless(letter) { letter.to_string() } else { escaped(letter) };
    text.chars().map(shown).collect()
}

fn escaped(letter: char) -> String {
    match letter {
        '\n' | '\r' | '\t' => letter.escape_default().to_string(),
        other => other.escape_unicode().to_string(),
    }
}

/// Marks of Unicode's bidirectional algorithm, and its separators of lines and paragraphs.
fn is_bidirectional(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn print(text: &dyn Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Says what went wrong; nothing if whoever read our output has left.
pub(super) fn complain(error: &anyhow::Error) {
    let is_broken_pipe = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    if !error.chain().filter_map(|cause| cause.downcast_ref()).any(is_broken_pipe) {
        // Nothing can be done if standard error is gone as well.
        let lines: Vec<String> = format!("{error:#}").split('\n').map(printable).collect();
        let _ = writeln!(io::stderr().lock(), "error: {}", lines.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_the_cursor_is_shown_instead() {
        let check = |text: &str, shown: &str| assert_eq!(printable(text), shown);
        check("Zoë 山田 O'Brien \\ \"x\"", "Zoë 山田 O'Brien \\ \"x\"");
        check("a\u{1b}]0;owned\u{7}\u{1b}[2K\rb", "a\\u{1b}]0;owned\\u{7}\\u{1b}[2K\\rb");
        check("one\ntwo\tthree", "one\\ntwo\\tthree");
        check("\u{9b}2J", "\\u{9b}2J");
        check("a\u{202e}cba\u{2066}", "a\\u{202e}cba\\u{2066}");
    }
}
