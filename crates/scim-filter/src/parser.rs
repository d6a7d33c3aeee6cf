//! Recursive descent over the filter and path grammar (RFC 7644 figures 1 and 7), one function per rule.
//!
//! Precedence is in the call order: alternatives (`or`) of conjunctions (`and`) of terms (`not`, groups, comparisons). The
//! recursion is counted, chains of `and` and `or` are loops, so the stack is bounded by [`Limits::DEEPEST`].

mod cursor;
mod names;
mod values;

use std::collections::BTreeSet;

use self::cursor::{Cursor, error};
use crate::{AttributePath, Filter, Leniency, Limits, Literal, Operator, ParseError, PatchPath};

/// One parse of one text.
pub(crate) struct Parser<'a> {
    cursor: Cursor<'a>,
    /// How deep `open` may go.
    deepest: usize,
    /// How many parentheses and brackets are open.
    open: usize,
    /// Whether one of them is a bracket.
    is_in_brackets: bool,
    unquoted_literals: bool,
    /// What was taken although the grammar has it not.
    leniencies: BTreeSet<Leniency>,
}

/// What comes after an attribute in a filter.
enum Comparison {
    Present,
    With(Operator, Literal),
}

impl<'a> Parser<'a> {
    /// Refuses a text that is too long before anything is read.
    pub(crate) fn new(text: &'a str, limits: &Limits) -> Result<Self, ParseError> {
        if text.len() > limits.length {
            let position = text.floor_char_boundary(limits.length);
            return Err(error(position, format!("the text is longer than {} bytes", limits.length)));
        }
        Ok(Self {
            cursor: Cursor::new(text),
            deepest: limits.depth.min(Limits::DEEPEST),
            open: 0,
            is_in_brackets: false,
            unquoted_literals: limits.unquoted_literals,
            leniencies: BTreeSet::new(),
        })
    }

    /// The whole text as a filter.
    pub(crate) fn filter(mut self) -> Result<(Filter, BTreeSet<Leniency>), ParseError> {
        self.no_space();
        if self.cursor.is_at_end() {
            return Err(self.cursor.error("the filter is empty"));
        }
        let filter = self.alternatives()?;
        self.no_space();
        match self.cursor.peek() {
            None => Ok((filter, self.leniencies)),
            Some(')') => Err(self.cursor.error("this closing parenthesis has no opening one")),
            Some(']') => Err(self.cursor.error("this closing bracket has no opening one")),
            Some(_) => Err(self.not_joined()),
        }
    }

    /// The whole text as the name of an attribute.
    pub(crate) fn attribute_path(mut self) -> Result<AttributePath, ParseError> {
        self.cursor.skip_spaces();
        if self.cursor.is_at_end() {
            return Err(self.cursor.error("the attribute name is empty"));
        }
        let attribute = self.attribute()?;
        self.end_of("attribute name")?;
        Ok(attribute)
    }

    /// The whole text as a PATCH path.
    pub(crate) fn patch_path(mut self) -> Result<(PatchPath, BTreeSet<Leniency>), ParseError> {
        self.no_space();
        if self.cursor.is_at_end() {
            return Err(self.cursor.error("the path is empty"));
        }
        let attribute = self.attribute()?;
        let path = if self.cursor.peek() == Some('[') {
            let (filter, sub_attribute) = self.selection(&attribute)?;
            PatchPath { attribute, filter: Some(Box::new(filter)), sub_attribute }
        } else {
            PatchPath::from(attribute)
        };
        self.end_of("path")?;
        Ok((path, self.leniencies))
    }

    /// `conjunction *(SP "or" SP conjunction)`
    fn alternatives(&mut self) -> Result<Filter, ParseError> {
        let first = self.conjunction()?;
        if !self.keyword("or") {
            return Ok(first);
        }
        let mut filters = Vec::new();
        Filter::push_alternative(&mut filters, first);
        loop {
            let next = self.conjunction()?;
            Filter::push_alternative(&mut filters, next);
            if !self.keyword("or") {
                return Ok(Filter::Or(filters));
            }
        }
    }

    /// `term *(SP "and" SP term)`
    fn conjunction(&mut self) -> Result<Filter, ParseError> {
        let first = self.term()?;
        if !self.keyword("and") {
            return Ok(first);
        }
        let mut filters = Vec::new();
        Filter::push_conjunct(&mut filters, first);
        loop {
            let next = self.term()?;
            Filter::push_conjunct(&mut filters, next);
            if !self.keyword("and") {
                return Ok(Filter::And(filters));
            }
        }
    }

    /// `attrExp / valuePath / *1"not" "(" FILTER ")"`
    fn term(&mut self) -> Result<Filter, ParseError> {
        if self.cursor.peek() == Some('(') {
            return self.group();
        }
        if self.cursor.word().eq_ignore_ascii_case("not") {
            let after = self.cursor.after_word();
            if after.peek() == Some('(') {
                self.cursor = after;
                return Ok(Filter::Not(Box::new(self.group()?)));
            }
            // An attribute may be called `not`; then brackets or an operator follow.
            if after.peek() != Some('[') && !is_comparison(after.word()) {
                return Err(after.error("\"not\" needs parentheses: not (…)"));
            }
        }
        let attribute = self.attribute()?;
        if self.cursor.peek() == Some('[') {
            return self.value_path(attribute);
        }
        match self.comparison()? {
            Some(Comparison::Present) => Ok(Filter::Present(attribute)),
            Some(Comparison::With(operator, literal)) => Ok(Filter::Compare(attribute, operator, literal)),
            None => Err(self.no_operator()),
        }
    }

    /// `"(" FILTER ")"`, standing on the parenthesis.
    fn group(&mut self) -> Result<Filter, ParseError> {
        let opened_at = self.enter()?;
        self.no_space();
        let filter = self.alternatives()?;
        self.leave(')', "parenthesis", opened_at)?;
        Ok(filter)
    }

    /// `valuePath [subAttr] [SP operator]`, standing on the bracket.
    fn value_path(&mut self, attribute: AttributePath) -> Result<Filter, ParseError> {
        let (filter, sub_attribute) = self.selection(&attribute)?;
        let filter = Box::new(filter);
        let after = self.cursor;
        let compared = self.comparison()?;
        if compared.is_some() {
            self.leniencies.insert(Leniency::ComparedValuePath);
        }
        match compared {
            Some(Comparison::Present) => Ok(Filter::ValuePathPresent { attribute, filter, sub_attribute }),
            Some(Comparison::With(operator, literal)) => {
                Ok(Filter::ValuePathCompare { attribute, filter, sub_attribute, operator, literal })
            }
            None if sub_attribute.is_some() => Err(self.no_operator()),
            None => {
                self.cursor = after;
                Ok(Filter::ValuePath(attribute, filter))
            }
        }
    }

    /// `"[" valFilter "]" [subAttr]`, standing on the bracket.
    fn selection(&mut self, attribute: &AttributePath) -> Result<(Filter, Option<String>), ParseError> {
        if self.is_in_brackets {
            return Err(self.cursor.error("a filter in brackets cannot hold further brackets"));
        }
        if let Some(sub) = &attribute.sub_attribute {
            let message = format!("brackets follow the attribute itself, not its sub-attribute {sub:?}");
            return Err(self.cursor.error(message));
        }
        let opened_at = self.enter()?;
        self.is_in_brackets = true;
        self.no_space();
        if self.cursor.peek() == Some(']') {
            return Err(self.cursor.error("the brackets hold no filter"));
        }
        let filter = self.alternatives()?;
        self.is_in_brackets = false;
        self.leave(']', "bracket", opened_at)?;
        let sub_attribute = if self.cursor.eat('.') {
            let sub = names::sub_attribute(self.cursor.word(), self.cursor.position())?;
            self.cursor.skip_word();
            Some(sub)
        } else {
            None
        };
        Ok((filter, sub_attribute))
    }

    /// `attrPath`
    fn attribute(&mut self) -> Result<AttributePath, ParseError> {
        let word = self.cursor.word();
        if word.is_empty() {
            return Err(self.cursor.error(format!("expected an attribute name, found {}", self.cursor.found())));
        }
        let attribute = names::attribute(word, self.cursor.position())?;
        self.cursor.skip_word();
        Ok(attribute)
    }

    /// `SP "pr"` or `SP compareOp SP compValue`; nothing is read unless an operator is there.
    fn comparison(&mut self) -> Result<Option<Comparison>, ParseError> {
        let before = self.cursor.skip_spaces();
        let word = self.cursor.word();
        if word.eq_ignore_ascii_case("pr") {
            self.expect_space(before, " ");
            self.cursor.skip_word();
            return Ok(Some(Comparison::Present));
        }
        let Some(operator) = Operator::named(word) else { return Ok(None) };
        self.expect_space(before, " ");
        self.cursor.skip_word();
        self.one_space();
        let (begin, word) = (self.cursor.peek(), self.cursor.word());
        let literal = values::literal(&mut self.cursor, operator, self.unquoted_literals)?;
        match literal {
            Literal::String(_) if begin != Some('"') => self.leniencies.insert(Leniency::UnquotedValue),
            Literal::Boolean(_) | Literal::Null if word.bytes().any(|letter| letter.is_ascii_uppercase()) => {
                self.leniencies.insert(Leniency::LiteralCase)
            }
            _ => false,
        };
        Ok(Some(Comparison::With(operator, literal)))
    }

    /// Reads `and` or `or` if it comes next.
    fn keyword(&mut self, keyword: &str) -> bool {
        let mut ahead = self.cursor;
        let before = ahead.skip_spaces();
        let is_next = ahead.word().eq_ignore_ascii_case(keyword);
        if is_next {
            self.cursor = ahead;
            self.expect_space(before, " ");
            self.cursor.skip_word();
            self.one_space();
        }
        is_next
    }

    /// Skips white space where the grammar has none.
    fn no_space(&mut self) {
        let skipped = self.cursor.skip_spaces();
        self.expect_space(skipped, "");
    }

    /// Skips white space where the grammar has one blank.
    fn one_space(&mut self) {
        let skipped = self.cursor.skip_spaces();
        self.expect_space(skipped, " ");
    }

    fn expect_space(&mut self, skipped: &str, expected: &str) {
        if skipped != expected {
            self.leniencies.insert(Leniency::OtherSpaces);
        }
    }

    /// Steps over an opening parenthesis or bracket and returns its position.
    fn enter(&mut self) -> Result<usize, ParseError> {
        if self.open >= self.deepest {
            let message = format!("more than {} parentheses and brackets are open at once", self.deepest);
            return Err(self.cursor.error(message));
        }
        self.open += 1;
        let opened_at = self.cursor.position();
        self.cursor.skip_character();
        Ok(opened_at)
    }

    /// Steps over the closing counterpart.
    fn leave(&mut self, closing: char, name: &str, opened_at: usize) -> Result<(), ParseError> {
        self.no_space();
        if self.cursor.eat(closing) {
            self.open -= 1;
            return Ok(());
        }
        Err(match self.cursor.peek() {
            None => self.cursor.error(format!("the {name} opened at byte {opened_at} is not closed")),
            Some(')' | ']') => {
                let found = self.cursor.found();
                self.cursor
                    .error(format!("expected \"{closing}\" for the {name} opened at byte {opened_at}, found {found}"))
            }
            Some(_) => self.not_joined(),
        })
    }

    fn end_of(&mut self, what: &str) -> Result<(), ParseError> {
        self.no_space();
        if self.cursor.is_at_end() {
            return Ok(());
        }
        Err(self.cursor.error(format!("nothing may follow the {what}, found {}", self.cursor.found())))
    }

    fn not_joined(&self) -> ParseError {
        self.cursor.error(format!("expected \"and\" or \"or\", found {}", self.cursor.found()))
    }

    fn no_operator(&self) -> ParseError {
        let found = self.cursor.found();
        self.cursor.error(format!("expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found {found}"))
    }
}

fn is_comparison(word: &str) -> bool {
    word.eq_ignore_ascii_case("pr") || Operator::named(word).is_some()
}
