//! Why every field of an account is what it is (DESIGN section 2).
//!
//! A mapping only notes which part of its rules decided; the words are made of that when somebody asks for them. A user has
//! some hundred fields at three targets, and almost always nobody asks.

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    Problem, Rules,
    rule::{Rule, Source},
    rules::FieldRules,
};

/// Where the value of one field came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lineage {
    /// The text of the rule; empty if there is none. For the extension, the path of the attribute.
    pub rule: String,
    /// The SCIM attribute, or `constant`, `generated`, `group: NAME`, `pool NAME`, `same as FIELD`.
    pub source: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is in the account.
    Set,
    /// There is no value.
    Absent {
        /// Why.
        reason: Cow<'static, str>,
    },
    /// There is a value that the target would not take.
    LeftOut {
        /// What is wrong with it.
        problem: Box<Problem>,
    },
}

/// The lineage of every field of one account.
#[derive(Debug, Clone)]
pub struct Lineages {
    rules: Rules,
    /// In schema order, one for each field.
    notes: Vec<Note>,
}

impl Lineages {
    pub(crate) fn new(rules: Rules, notes: Vec<Note>) -> Lineages {
        Lineages { rules, notes }
    }

    /// The lineage of a field, by the vendor's name.
    pub fn get(&self, field: &str) -> Option<Lineage> {
        let position = self.rules.schema().position(field)?;
        Some(self.notes.get(position)?.told(&self.rules.compiled.fields[position]))
    }

    /// The lineage of all fields, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Lineage)> {
        let compiled = &self.rules.compiled;
        compiled.by_name.iter().filter_map(|position| {
            let rules = &compiled.fields[*position];
            Some((rules.field.name.as_str(), self.notes.get(*position)?.told(rules)))
        })
    }
}

impl PartialEq for Lineages {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// What is noted of one field: which parts of its rules decided.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) by: By,
    pub(crate) from: From,
    pub(crate) fate: Fate,
}

/// Who decided.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    /// The field's rule, if it has one.
    Rule,
    /// The identity provider, through the target's extension.
    Extension,
    /// The field that it repeats.
    Other,
}

/// Where the value comes from, or should come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    Nowhere,
    Extension,
    /// The source at this position of the rule.
    Source(usize),
    /// The table of groups at this position of the rule.
    Group(usize, Membership),
    Other,
}

/// Which entry of a table of groups it was.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Membership {
    /// The one at this position.
    Named(usize),
    /// `*`.
    Other,
}

/// What became of the field.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    Set,
    Absent(Why),
    LeftOut(Box<Problem>),
}

/// Why there is no value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why {
    Said(&'static str),
    /// No source of the rule had one.
    NoValue,
    /// The field that it repeats has none.
    NoOther,
}

impl Note {
    fn told(&self, rules: &FieldRules) -> Lineage {
        let outcome = match &self.fate {
            Fate::Set => Outcome::Set,
            Fate::Absent(why) => Outcome::Absent { reason: why.words(rules) },
            Fate::LeftOut(problem) => Outcome::LeftOut { problem: problem.clone() },
        };
        Lineage {
            rule: self.by.words(rules).into_owned(),
            source: self.from.words(rules).map(Cow::into_owned),
            outcome,
        }
    }
}

impl By {
    fn words(self, rules: &FieldRules) -> Cow<'_, str> {
        match self {
            By::Rule => rules.rule.as_ref().map_or("", |rule| &rule.text).into(),
            By::Extension => rules.extension_path.as_str().into(),
            By::Other => same_as(rules).into(),
        }
    }
}

impl From {
    /// As an administrator knows it.
    pub(crate) fn words(self, rules: &FieldRules) -> Option<Cow<'_, str>> {
        let source = |position: usize| rules.rule.as_ref().and_then(|rule: &Rule| rule.sources.get(position));
        match self {
            From::Nowhere => None,
            From::Extension => Some(rules.extension_path.as_str().into()),
            From::Other => Some(same_as(rules).into()),
            From::Source(position) => source(position).map(Source::words),
            From::Group(position, membership) => {
                let Source::Groups(table) = source(position)? else { return None };
                let name = match membership {
                    Membership::Named(entry) => table.entries.get(entry)?.0.as_str(),
                    Membership::Other => "*",
                };
                Some(format!("group: {name}").into())
            }
        }
    }
}

impl Why {
    fn words(self, rules: &FieldRules) -> Cow<'static, str> {
        match self {
            Why::Said(reason) => reason.into(),
            Why::NoValue => rules.rule.as_ref().map_or_else(String::new, |rule| rule.no_value.clone()).into(),
            Why::NoOther => format!("there is no {}", rules.field.same_as.as_deref().unwrap_or_default()).into(),
        }
    }
}

fn same_as(rules: &FieldRules) -> String {
    format!("same as {}", rules.field.same_as.as_deref().unwrap_or_default())
}
