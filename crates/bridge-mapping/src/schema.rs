//! The account of a target kind, as its JSON Schema in `schemas/targets/` states it (draft 2020-12 plus `x-` keywords).
//!
//! Those files are the only place where a limit is written. This module reads them into a form that is quick to
//! check against; a test proves that both agree.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{MappingError, TargetKind};

/// The type of an account field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Number,
    /// True or false.
    Boolean,
    /// A calendar day, `YYYY-MM-DD`, as text.
    Date,
}

/// How the bridge makes a value for a secret field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generator {
    /// A password by the target's policy.
    Password,
    /// Digits only.
    Pin,
}

/// A regular expression, in the dialect common to ECMA 262 and Rust.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether the text has this form.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Regex::new(&text).map(Pattern)
    }
}

impl Generator {
    /// The word in a rule: `{ generate = "password" }`.
    pub fn name(self) -> &'static str {
        match self {
            Generator::Password => "password",
            Generator::Pin => "pin",
        }
    }
}

/// One field of an account: a property of the JSON Schema. An unknown keyword there is an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldSchema {
    /// The vendor's name, verbatim.
    #[serde(skip)]
    pub name: String,
    /// Other spellings that configuration and the extension accept (`x-alias`).
    #[serde(rename = "x-alias", default)]
    pub aliases: Vec<String>,
    /// The type.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// The text is an address of a host (`format: "ip"`), or a day (`format: "date"`, which makes the kind `Date`).
    #[serde(default)]
    pub format: Option<Format>,
    /// Whether the target cannot create an account without it.
    #[serde(skip)]
    pub required: bool,
    /// Fewest characters.
    #[serde(rename = "minLength", default)]
    pub min_length: Option<usize>,
    /// Most characters.
    #[serde(rename = "maxLength", default)]
    pub max_length: Option<usize>,
    /// Smallest number.
    #[serde(default)]
    pub minimum: Option<i64>,
    /// Largest number.
    #[serde(default)]
    pub maximum: Option<i64>,
    /// The form of a text.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// What the pattern asks for, to complete the sentence "must be …" (`x-meaning`).
    #[serde(rename = "x-meaning", default)]
    pub meaning: Option<String>,
    /// The only values there are (JSON Schema `enum`); empty = any.
    #[serde(rename = "enum", default)]
    pub allowed: Vec<String>,
    /// Other names of allowed values (`x-replace`), in lower case: the value to send instead.
    #[serde(rename = "x-replace", default)]
    pub replacements: BTreeMap<String, String>,
    /// Values that only configuration can unlock (`x-privileged`).
    #[serde(rename = "x-privileged", default)]
    pub privileged: Vec<String>,
    /// What the target takes when the field is not sent.
    #[serde(default)]
    pub default: Option<Value>,
    /// What the field is for.
    pub description: String,
    /// Where the rule comes from, or why it is so.
    #[serde(rename = "$comment", default)]
    pub comment: Option<String>,
    /// Only the create call can set it (`x-create-only`).
    #[serde(rename = "x-create-only", default)]
    pub create_only: bool,
    /// Never shown, never in a digest (`x-secret`).
    #[serde(rename = "x-secret", default)]
    pub secret: bool,
    /// How to make a value for a secret (`x-generate`).
    #[serde(rename = "x-generate", default)]
    pub generator: Option<Generator>,
    /// A secret that must repeat another field (`x-same-as`).
    #[serde(rename = "x-same-as", default)]
    pub same_as: Option<String>,
    /// The key by which the target knows the account; exactly one per kind (`x-natural-key`).
    #[serde(rename = "x-natural-key", default)]
    pub natural_key: bool,
    /// Unique at the target beside the natural key (`x-unique`).
    #[serde(rename = "x-unique", default)]
    pub unique: bool,
    /// May be sent on update (`x-update`).
    #[serde(rename = "x-update", default)]
    pub update: bool,
    /// Can be emptied on update (`x-clearable`).
    #[serde(rename = "x-clearable", default)]
    pub clearable: bool,
    /// Two values that differ only in letter case are the same value (`x-case-insensitive`).
    #[serde(rename = "x-case-insensitive", default)]
    pub case_insensitive: bool,
    /// Steers the call that carries it; not part of the account's state at the target (`x-call-only`).
    #[serde(rename = "x-call-only", default)]
    pub call_only: bool,
    /// Sent by no default rule, only when asked for (`x-never-by-default`).
    #[serde(rename = "x-never-by-default", default)]
    pub never_by_default: bool,
    /// Belongs to CTI-enabled templates only, and is required there (`x-cti`).
    #[serde(rename = "x-cti", default)]
    pub cti: bool,
    /// The setting that holds the text every value must end with, and its default (`x-suffix`).
    #[serde(rename = "x-suffix", default)]
    pub suffix: Option<Suffix>,
}

/// A form of text that is checked by code, not by a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A calendar day, `YYYY-MM-DD`.
    Date,
    /// An IPv4 or IPv6 address.
    Ip,
}

/// A required ending that the target's settings may change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suffix {
    /// The key in the target's settings.
    pub setting: String,
    /// The ending if the setting is absent.
    pub default: String,
    /// Another setting whose text must have that ending, because values are built with it.
    pub also: Option<String>,
}

/// A limit that a target's configuration writes in place of the schema's: `limits = { UserRole = 70 }`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Limit {
    /// Most characters of a text, largest value of a number.
    Most(i64),
    /// More than one bound at once.
    Bounds(Bounds),
}

/// Bounds of a field.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Fewest characters, or smallest number.
    pub min: Option<i64>,
    /// Most characters, or largest number.
    pub max: Option<i64>,
    /// A regular expression the whole text must match.
    pub pattern: Option<String>,
}

/// The account of one target kind.
#[derive(Debug, Clone)]
pub struct AccountSchema {
    /// Whose account.
    pub kind: TargetKind,
    /// The fields, in the order of the vendor's page.
    pub fields: Vec<Arc<FieldSchema>>,
    natural_key: Arc<FieldSchema>,
}

static EMBEDDED: LazyLock<[AccountSchema; 3]> = LazyLock::new(|| {
    TargetKind::ALL.map(|kind| {
        #[expect(clippy::expect_used, reason = "embedded at compile time; a test reads all three")]
        AccountSchema::parse(kind, AccountSchema::source(kind)).expect("the embedded account schemas are sound")
    })
});

impl AccountSchema {
    /// The text of the JSON Schema (draft 2020-12).
    pub fn source(kind: TargetKind) -> &'static str {
        match kind {
            TargetKind::Glance => include_str!("../../../schemas/targets/glance.json"),
            TargetKind::Netsapiens => include_str!("../../../schemas/targets/netsapiens.json"),
            TargetKind::CrmCom => include_str!("../../../schemas/targets/crm_com.json"),
        }
    }

    /// The account schema of a kind, with the limits that its API is documented to have.
    pub fn embedded(kind: TargetKind) -> &'static AccountSchema {
        match kind {
            TargetKind::Glance => &EMBEDDED[0],
            TargetKind::Netsapiens => &EMBEDDED[1],
            TargetKind::CrmCom => &EMBEDDED[2],
        }
    }

    /// This schema with the limits that a target's configuration states.
    ///
    /// # Errors
    /// An unknown field, or a bound that the field's type does not have.
    pub fn with_limits(&self, limits: &BTreeMap<String, Limit>) -> Result<AccountSchema, MappingError> {
        let mut schema = self.clone();
        for (name, limit) in limits {
            let key = format!("limits.{name}");
            let Some(position) = schema.position(name) else {
                return Err(MappingError::at(key, format!("{} has no field of this name", self.kind)));
            };
            let field = Arc::make_mut(&mut schema.fields[position]);
            field.set_limit(limit).map_err(|message| MappingError::at(key, message))?;
            if field.natural_key {
                schema.natural_key = Arc::clone(&schema.fields[position]);
            }
        }
        Ok(schema)
    }

    /// The field of this name or alias.
    pub fn field(&self, name: &str) -> Option<&FieldSchema> {
        self.position(name).map(|position| &*self.fields[position])
    }

    /// The key by which the target knows an account.
    pub fn natural_key(&self) -> &FieldSchema {
        &self.natural_key
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name || field.aliases.iter().any(|alias| alias == name))
    }

    fn parse(kind: TargetKind, text: &str) -> Result<AccountSchema, String> {
        let file: SchemaFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut fields = Vec::with_capacity(file.properties.len());
        for (name, value) in file.properties {
            let mut field: FieldSchema =
                serde_json::from_value(value).map_err(|error| format!("{kind}.{name}: {error}"))?;
            if field.format == Some(Format::Date) {
                field.kind = FieldKind::Date;
            }
            field.required = file.required.contains(&name);
            field.name = name;
            fields.push(Arc::new(field));
        }
        let mut keys = fields.iter().filter(|field| field.natural_key);
        let natural_key = keys.next().cloned().ok_or_else(|| format!("{kind} has no natural key"))?;
        if keys.next().is_some() {
            return Err(format!("{kind} has more than one natural key"));
        }
        Ok(AccountSchema { kind, fields, natural_key })
    }
}

impl FieldSchema {
    /// The text by which two values of this field are compared.
    pub fn fold(&self, text: &str) -> String {
        if self.case_insensitive || self.natural_key { text.to_lowercase() } else { text.to_owned() }
    }

    /// Whether yes and no are among the allowed values, so that the bridge also takes a boolean.
    pub(crate) fn is_yes_no(&self) -> bool {
        ["yes", "no"].into_iter().all(|answer| self.allowed.iter().any(|allowed| allowed == answer))
    }

    fn set_limit(&mut self, limit: &Limit) -> Result<(), String> {
        let bounds = match limit {
            Limit::Most(most) => Bounds { max: Some(*most), ..Bounds::default() },
            Limit::Bounds(bounds) => bounds.clone(),
        };
        if bounds.min.zip(bounds.max).is_some_and(|(least, most)| least > most) {
            return Err("min is larger than max".to_owned());
        }
        let length = |bound: i64| usize::try_from(bound).map_err(|_| format!("a length of {bound} is not possible"));
        match self.kind {
            FieldKind::String => {
                if let Some(least) = bounds.min {
                    self.min_length = Some(length(least)?);
                }
                if let Some(most) = bounds.max {
                    self.max_length = Some(length(most)?);
                }
                if let Some(pattern) = &bounds.pattern {
                    let whole = Pattern::try_from(format!("^(?:{pattern})$"));
                    self.pattern = Some(whole.map_err(|error| error.to_string())?);
                    self.meaning = Some(format!("of the form {pattern}"));
                }
            }
            FieldKind::Integer | FieldKind::Number => {
                if bounds.pattern.is_some() {
                    return Err("a number has no pattern".to_owned());
                }
                self.minimum = bounds.min.or(self.minimum);
                self.maximum = bounds.max.or(self.maximum);
            }
            FieldKind::Boolean | FieldKind::Date => return Err("this field has no limit to change".to_owned()),
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct SchemaFile {
    properties: serde_json::Map<String, Value>,
    required: Vec<String>,
}
