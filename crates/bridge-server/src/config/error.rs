//! What is wrong with a configuration, and where: file, line, column, key, and what was probably meant.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A place in a text, both numbers from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Position {
    /// The place of the byte `offset` in `text`.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where, when it has a place.
    pub position: Option<Position>,
    /// The path of keys, such as `tenants.acme.targets.pbx.base_url`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: Option<PathBuf>,
    problems: Vec<ConfigProblem>,
}

impl ConfigError {
    /// These problems, in the order of the text.
    pub(crate) fn new(mut problems: Vec<ConfigProblem>) -> Self {
        problems.sort_by_key(|problem| {
            problem.position.map_or((usize::MAX, usize::MAX), |place| (place.line, place.column))
        });
        Self { file: None, problems }
    }

    /// The configuration file itself cannot be read.
    pub(super) fn unreadable(path: &Path, source: &std::io::Error) -> Self {
        Self::about_file(path, &format!("cannot be read: {source}"))
    }

    /// Something about a file as a whole.
    pub(super) fn about_file(path: &Path, message: &str) -> Self {
        let problem = ConfigProblem { position: None, key: String::new(), message: message.to_owned() };
        Self { file: Some(path.to_owned()), problems: vec![problem] }
    }

    /// The same, knowing the file.
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    /// The problems, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    /// One line per problem: `bridge.toml:12:3: server.lissten: …`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                writeln!(formatter)?;
            }
            match (&self.file, problem.position) {
                (Some(file), Some(position)) => write!(formatter, "{}:{position}: ", file.display())?,
                (Some(file), None) => write!(formatter, "{}: ", file.display())?,
                (None, Some(position)) => write!(formatter, "{position}: ")?,
                (None, None) => (),
            }
            if !problem.key.is_empty() {
                write!(formatter, "{}: ", problem.key)?;
            }
            formatter.write_str(&problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
