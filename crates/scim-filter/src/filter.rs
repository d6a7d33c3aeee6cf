//! The tree of a filter expression (RFC 7644 section 3.4.2.2) and its text.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{AttributePath, Leniency, Limits, Literal, ParseError, parser::Parser};

/// A filter expression.
///
/// `and` and `or` hold a list, so that a chain of thousands is one level deep. The parser keeps the list in *normal form*:
/// at least two elements, and no element of the same kind, because grouping like with like does not change the meaning
/// (`a and (b and c)` is `a and b and c`). [`Filter::all`] and [`Filter::any`] build that form too. For every filter in
/// normal form, parsing what `Display` wrote gives an equal filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    /// All must hold. At least two elements, none of them an `And`.
    And(Vec<Filter>),
    /// One must hold. At least two elements, none of them an `Or`.
    Or(Vec<Filter>),
    /// Must not hold.
    Not(Box<Filter>),
    /// `userName eq "jo"`, `name.familyName sw "R"`.
    Compare(AttributePath, Operator, Literal),
    /// `title pr`: the attribute has a value.
    Present(AttributePath),
    /// `emails[type eq "work"]`: one element of the attribute fulfils the whole inner filter.
    ///
    /// The attribute has no sub-attribute; the inner filter holds no value path of its own.
    ValuePath(AttributePath, Box<Filter>),
    /// `emails[type eq "work"].value eq "jo@corp.test"`: an element that fulfils the inner filter compares as said.
    ///
    /// Not in the RFC's filter grammar, but what Entra ID matches users by.
    ValuePathCompare {
        /// The multi-valued attribute, without a sub-attribute.
        attribute: AttributePath,
        /// Which elements are looked at.
        filter: Box<Filter>,
        /// What of them is compared. `None` for `emails[type eq "work"] eq "jo@corp.test"`, also seen from Entra ID: the
        /// caller may read it as `value`, or refuse it.
        sub_attribute: Option<String>,
        /// How.
        operator: Operator,
        /// With what.
        literal: Literal,
    },
    /// `emails[type eq "work"].value pr`: an element that fulfils the inner filter has the sub-attribute.
    ValuePathPresent {
        /// The multi-valued attribute, without a sub-attribute.
        attribute: AttributePath,
        /// Which elements are looked at.
        filter: Box<Filter>,
        /// What of them must have a value. `None` for `emails[type eq "work"] pr`: the element itself.
        sub_attribute: Option<String>,
    },
}

impl Filter {
    /// Parses a filter under the default [`Limits`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &Limits::default())
    }

    /// Parses a filter under the given limits.
    pub fn parse_with(text: &str, limits: &Limits) -> Result<Self, ParseError> {
        Parser::new(text, limits)?.filter().map(|(filter, _)| filter)
    }

    /// As [`Filter::parse`], with what was taken although the grammar has it not.
    pub fn parse_noting(text: &str) -> Result<(Self, BTreeSet<Leniency>), ParseError> {
        Parser::new(text, &Limits::default())?.filter()
    }

    /// The attributes that the filter asks about, in its order; not what stands inside brackets.
    pub fn paths(&self) -> Vec<&AttributePath> {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().flat_map(Self::paths).collect(),
            Self::Not(filter) => filter.paths(),
            Self::Compare(path, ..)
            | Self::Present(path)
            | Self::ValuePath(path, _)
            | Self::ValuePathCompare { attribute: path, .. }
            | Self::ValuePathPresent { attribute: path, .. } => vec![path],
        }
    }

    /// All of these must hold, in normal form: nested `And`s are dissolved, a single filter stays itself.
    ///
    /// `None` if there are no filters, as the grammar has no text for it.
    pub fn all(filters: impl IntoIterator<Item = Filter>) -> Option<Self> {
        let mut conjuncts = Vec::new();
        for filter in filters {
            Self::push_conjunct(&mut conjuncts, filter);
        }
        if conjuncts.len() > 1 { Some(Self::And(conjuncts)) } else { conjuncts.pop() }
    }

    /// One of these must hold, in normal form: nested `Or`s are dissolved, a single filter stays itself.
    ///
    /// `None` if there are no filters, as the grammar has no text for it.
    pub fn any(filters: impl IntoIterator<Item = Filter>) -> Option<Self> {
        let mut alternatives = Vec::new();
        for filter in filters {
            Self::push_alternative(&mut alternatives, filter);
        }
        if alternatives.len() > 1 { Some(Self::Or(alternatives)) } else { alternatives.pop() }
    }

    /// Appends an element of an `and`, or the elements of a nested one.
    pub(crate) fn push_conjunct(conjuncts: &mut Vec<Self>, filter: Self) {
        match filter {
            Self::And(inner) => conjuncts.extend(inner),
            other => conjuncts.push(other),
        }
    }

    /// Appends an element of an `or`, or the elements of a nested one.
    pub(crate) fn push_alternative(alternatives: &mut Vec<Self>, filter: Self) {
        match filter {
            Self::Or(inner) => alternatives.extend(inner),
            other => alternatives.push(other),
        }
    }

    /// Writes an element of an `and`, which binds tighter than `or`.
    fn write_conjunct(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(_) | Self::Or(_) => write!(formatter, "({self})"),
            _ => write!(formatter, "{self}"),
        }
    }

    /// Writes an element of an `or`.
    fn write_alternative(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(_) => write!(formatter, "({self})"),
            _ => write!(formatter, "{self}"),
        }
    }
}

impl FromStr for Filter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(filters) => {
                for (index, filter) in filters.iter().enumerate() {
                    formatter.write_str(if index == 0 { "" } else { " and " })?;
                    filter.write_conjunct(formatter)?;
                }
                Ok(())
            }
            Self::Or(filters) => {
                for (index, filter) in filters.iter().enumerate() {
                    formatter.write_str(if index == 0 { "" } else { " or " })?;
                    filter.write_alternative(formatter)?;
                }
                Ok(())
            }
            Self::Not(filter) => write!(formatter, "not ({filter})"),
            Self::Compare(attribute, operator, literal) => write!(formatter, "{attribute} {operator} {literal}"),
            Self::Present(attribute) => write!(formatter, "{attribute} pr"),
            Self::ValuePath(attribute, filter) => write!(formatter, "{attribute}[{filter}]"),
            Self::ValuePathCompare { attribute, filter, sub_attribute: Some(sub), operator, literal } => {
                write!(formatter, "{attribute}[{filter}].{sub} {operator} {literal}")
            }
            Self::ValuePathCompare { attribute, filter, sub_attribute: None, operator, literal } => {
                write!(formatter, "{attribute}[{filter}] {operator} {literal}")
            }
            Self::ValuePathPresent { attribute, filter, sub_attribute: Some(sub) } => {
                write!(formatter, "{attribute}[{filter}].{sub} pr")
            }
            Self::ValuePathPresent { attribute, filter, sub_attribute: None } => {
                write!(formatter, "{attribute}[{filter}] pr")
            }
        }
    }
}

/// A comparison operator (RFC 7644 table 3). `pr` is not one of them: it takes no value, see [`Filter::Present`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than: later, or further in the alphabet.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl Operator {
    /// All operators, in the order of the RFC's table.
    pub const ALL: [Self; 9] =
        [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    /// The operator of that name, in any letter case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.as_str().eq_ignore_ascii_case(name))
    }

    /// Its name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
