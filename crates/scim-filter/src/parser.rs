//! Reads the grammar.

use crate::{AttributePath, Filter, Limits, ParseError, PatchPath};

pub(crate) struct Parser<'a> {
    text: &'a str,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str, _limits: &Limits) -> Result<Self, ParseError> {
        Ok(Self { text })
    }

    pub(crate) fn filter(self) -> Result<Filter, ParseError> {
        Err(self.unread())
    }

    pub(crate) fn attribute_path(self) -> Result<AttributePath, ParseError> {
        Err(self.unread())
    }

    pub(crate) fn patch_path(self) -> Result<PatchPath, ParseError> {
        Err(self.unread())
    }

    fn unread(&self) -> ParseError {
        ParseError { position: 0, message: format!("cannot read {:?} yet", self.text) }
    }
}
