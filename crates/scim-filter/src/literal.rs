//! The right side of a comparison: a JSON string, number, boolean or null (RFC 7644 section 3.4.2.2, `compValue`).

use std::fmt::{self, Write as _};

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Literal {
    /// A text, with escapes resolved. An unquoted value arrives here as well.
    String(String),
    /// A number as it was written.
    Number(Number),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`: the attribute has no value.
    Null,
}

impl fmt::Display for Literal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write_string(formatter, text),
            Self::Number(number) => number.fmt(formatter),
            Self::Boolean(value) => value.fmt(formatter),
            Self::Null => formatter.write_str("null"),
        }
    }
}

/// A JSON number that keeps its text, so that no digit is lost and `1.0` stays distinct from `1`.
///
/// Equality is equality of the text; compare values through [`Number::as_i64`] and [`Number::as_f64`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(String);

impl Number {
    /// Takes a text that is a number by the JSON grammar (RFC 8259 section 6): no leading zeros, no leading plus, digits
    /// on both sides of the point.
    pub fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (integer, fraction) = match mantissa.split_once('.') {
            Some((integer, fraction)) => (integer, Some(fraction)),
            None => (mantissa, None),
        };
        let exponent_digits = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
        let is_number = are_digits(integer)
            && (integer == "0" || !integer.starts_with('0'))
            && fraction.is_none_or(are_digits)
            && exponent_digits.is_none_or(are_digits);
        is_number.then(|| Self(text.to_owned()))
    }

    /// The number as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, if it is written as an integer and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The nearest double, if one is finite.
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value.to_string())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Writes a JSON string (RFC 8259 section 7), escaping only what must be escaped.
fn write_string(formatter: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => formatter.write_str("\\\"")?,
            '\\' => formatter.write_str("\\\\")?,
            '\n' => formatter.write_str("\\n")?,
            '\r' => formatter.write_str("\\r")?,
            '\t' => formatter.write_str("\\t")?,
            '\0'..='\x1f' => write!(formatter, "\\u{:04x}", u32::from(character))?,
            _ => formatter.write_char(character)?,
        }
    }
    formatter.write_char('"')
}
