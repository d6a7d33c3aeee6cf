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
        if self.reader == Reader::Person { print(&text) } else { Ok(()) }
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
        let _ = writeln!(io::stderr().lock(), "error: {error:#}");
    }
}
