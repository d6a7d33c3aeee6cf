//! Checks one value against one field, and says what is wrong without repeating the value.

use std::{borrow::Cow, net::IpAddr};

use serde_json::{Number, Value};

use crate::{FieldKind, FieldSchema, Format, Suffix};

/// Why a value does not fit a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable word for machines: `too-long`, `too-short`, `range`, `form`, `not-allowed`, `type`, `privileged`, `suffix`.
    pub code: &'static str,
    /// What the field asks for: completes the sentence "FIELD must …".
    pub demand: String,
}

impl Fault {
    fn new(code: &'static str, demand: impl Into<String>) -> Fault {
        Fault { code, demand: demand.into() }
    }
}

/// How many allowed values a message names before it only counts them.
const NAMED_VALUES: usize = 6;

impl FieldSchema {
    /// The value as the target takes it: of the field's type, trimmed, aliases replaced, keys in lower case.
    ///
    /// `None` if there is nothing in it: null and empty text mean unassigned (RFC 7643 section 2.5).
    ///
    /// # Errors
    /// The first limit that the value breaks.
    pub fn convert(&self, value: &Value) -> Result<Option<Value>, Fault> {
        let scalar = match value {
            Value::Null => return Ok(None),
            Value::String(text) if text.trim().is_empty() => return Ok(None),
            Value::Array(_) | Value::Object(_) => return Err(Fault::new("type", "be a single value")),
            scalar => scalar,
        };
        match self.kind {
            FieldKind::String => self.text(scalar).map(Value::String),
            FieldKind::Integer => self.integer(scalar),
            FieldKind::Number => self.number(scalar),
            FieldKind::Boolean => boolean(scalar).map(Value::Bool),
            FieldKind::Date => date(scalar).map(Value::String),
        }
        .map(Some)
    }

    fn text(&self, value: &Value) -> Result<String, Fault> {
        let raw: Cow<'_, str> = match value {
            Value::String(text) => Cow::Borrowed(text.trim()),
            Value::Bool(flag) if self.is_yes_no() => Cow::Borrowed(if *flag { "yes" } else { "no" }),
            other => Cow::Owned(other.to_string()),
        };
        let text = if self.natural_key { raw.to_lowercase() } else { raw.into_owned() };
        let text = if self.allowed.is_empty() { text } else { self.choice(&text)?.to_owned() };
        self.check_text(&text)?;
        Ok(text)
    }

    /// Checks a text as it is: for secrets, which are never converted.
    ///
    /// # Errors
    /// The first limit that the text breaks.
    pub fn check_text(&self, text: &str) -> Result<(), Fault> {
        let length = text.chars().count();
        if let Some(most) = self.max_length.filter(|most| length > *most) {
            return Err(Fault::new("too-long", format!("have at most {most} {}", characters(most))));
        }
        if let Some(least) = self.min_length.filter(|least| length < *least) {
            return Err(Fault::new("too-short", format!("have at least {least} {}", characters(least))));
        }
        let mut stem = text;
        if let Some(Suffix { default: ending, .. }) = &self.suffix {
            match text.strip_suffix(ending.as_str()) {
                Some(before) => stem = before,
                None => return Err(Fault::new("suffix", format!("end in {ending}"))),
            }
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(stem)) {
            return Err(Fault::new("form", format!("be {}", self.meaning.as_deref().unwrap_or("of another form"))));
        }
        if self.format == Some(Format::Ip) && text.parse::<IpAddr>().is_err() {
            return Err(Fault::new("form", "be an IPv4 or IPv6 address"));
        }
        Ok(())
    }

    /// The allowed value that this text means: letter case does not matter, known other names are replaced.
    fn choice(&self, text: &str) -> Result<&str, Fault> {
        let allowed = self
            .allowed
            .iter()
            .find(|allowed| *allowed == text)
            .or_else(|| self.replacements.get(&text.to_lowercase()))
            .or_else(|| self.allowed.iter().find(|allowed| allowed.eq_ignore_ascii_case(text)));
        match allowed {
            Some(value) if self.privileged.contains(value) => {
                Err(Fault::new("privileged", "not be a privileged value; the target's `allow` setting can unlock it"))
            }
            Some(value) => Ok(value),
            None if self.allowed.len() > NAMED_VALUES => Err(Fault::new(
                "not-allowed",
                format!("be one of the {} values that the target knows", self.allowed.len()),
            )),
            None => Err(Fault::new("not-allowed", format!("be one of {}", self.allowed.join(", ")))),
        }
    }

    fn integer(&self, value: &Value) -> Result<Value, Fault> {
        let whole = match value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole_number)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
        .ok_or_else(|| Fault::new("type", "be a whole number"))?;
        self.check_range(
            self.minimum.is_some_and(|least| whole < least),
            self.maximum.is_some_and(|most| whole > most),
        )?;
        Ok(whole.into())
    }

    fn number(&self, value: &Value) -> Result<Value, Fault> {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
        .ok_or_else(|| Fault::new("type", "be a number"))?;
        #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
        let (below, above) = (
            self.minimum.is_some_and(|least| number < least as f64),
            self.maximum.is_some_and(|most| number > most as f64),
        );
        self.check_range(below, above)?;
        Number::from_f64(number).map(Value::Number).ok_or_else(|| Fault::new("type", "be a finite number"))
    }

    fn check_range(&self, below: bool, above: bool) -> Result<(), Fault> {
        if !below && !above {
            return Ok(());
        }
        let demand = match (self.minimum, self.maximum) {
            (Some(least), Some(most)) => format!("be between {least} and {most}"),
            (Some(least), None) => format!("be at least {least}"),
            (None, Some(most)) => format!("be at most {most}"),
            (None, None) => "be in range".to_owned(),
        };
        Err(Fault::new("range", demand))
    }
}

fn characters(count: usize) -> &'static str {
    if count == 1 { "character" } else { "characters" }
}

/// A float that is a whole number, as some clients send counts (`1042.0`).
fn whole_number(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: above it floats skip whole numbers
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}

fn boolean(value: &Value) -> Result<bool, Fault> {
    let known = match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    known.ok_or_else(|| Fault::new("type", "be true or false"))
}

/// A day, or the day of a SCIM dateTime (RFC 7643 section 2.3.5).
fn date(value: &Value) -> Result<String, Fault> {
    let fault = || Fault::new("form", "be a day written YYYY-MM-DD");
    let text = value.as_str().map(str::trim).ok_or_else(fault)?;
    let day = text.split_once(['T', 't']).map_or(text, |(day, _)| day);
    if day.len() != "YYYY-MM-DD".len() {
        return Err(fault());
    }
    day.parse::<jiff::civil::Date>().map(|day| day.to_string()).map_err(|_| fault())
}
