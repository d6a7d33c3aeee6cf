//! Values of the file that are written as text: durations, sizes, ranges. Each is read once, here; its error gets its place from the reader.

use std::{borrow::Cow, fmt, net::SocketAddr, time::Duration};

use jiff::{Span, SpanRelativeTo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use url::Url;

use super::Range;

/// Reads the address of a server, which is never quoted: it may hold a credential.
pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    parse_url(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same of a text that was found elsewhere.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .map_err(|error| format!("is not a whole address ({error}); write \"https://scim.example.com\", scheme first"))
}

/// As [`url`], for a key that can be left out.
pub(super) fn some_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    url(deserializer).map(Some)
}

/// Reads an address to listen at.
pub(super) fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is not an IP address with a port; write \"127.0.0.1:8080\" or \"0.0.0.0:8080\""
        ))
    })
}

/// `"4s"`, `"250ms"`, `"15m"`, `"1h30m"`, `"30d"`; a day is 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

impl Period {
    /// Reads a duration.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration; write \"4s\", \"250ms\", \"15m\", \"2h\" or \"30d\"");
        let span: Span = text.parse().map_err(|_| wrong())?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        Duration::try_from(duration).map(Self).map_err(|_| format!("{text:?} is negative"))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Period;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a duration as text, such as \"4s\", \"250ms\", \"15m\" or \"30d\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
                Period::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A duration: \"4s\", \"250ms\", \"15m\", \"2h\", \"30d\".", "examples": ["4s", "15m", "30d"] })
    }
}

/// `"1MiB"`, `"64KiB"`, or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl Size {
    /// Reads a size.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size; write a number of bytes, \"64KiB\" or \"1MiB\"");
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
        let unit: u64 = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = Size;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a size: a number of bytes, \"64KiB\" or \"1MiB\"")
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Size, E> {
                u64::try_from(number).map(Size).map_err(|_| E::custom(format!("{number} is negative")))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Size, E> {
                Ok(Size(number))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "description": "A size: a number of bytes, \"64KiB\" or \"1MiB\".", "examples": ["1MiB"] })
    }
}

/// `"10%"`: so many of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share(pub(super) u8);

impl Share {
    /// Reads a share.
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|digits| digits.trim_end().parse().ok());
        let share = number.filter(|number| (1..=100).contains(number)).map(Self);
        share.ok_or_else(|| format!("{text:?} is not a share; write \"1%\" to \"100%\""))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ *%$", "description": "So many of a hundred, \"10%\".", "examples": ["10%"] })
    }
}

/// `"1000-1999"`, or one number. Leading zeros are kept: `"0100-0199"` hands out four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RangeText(pub(super) Range);

impl RangeText {
    /// Reads a range.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a range; write \"1000-1999\" with as many digits on both sides");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.trim(), last.trim());
        let number = |digits: &str| {
            let is_plain = !digits.is_empty() && digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_plain { digits.parse::<u64>().map_err(|_| wrong()) } else { Err(wrong()) }
        };
        let range = Range { first: number(first)?, last: number(last)?, width: first.len() };
        if first.len() != last.len() {
            return Err(wrong());
        }
        if range.first > range.last {
            return Err(format!("{text:?} runs backwards; write the smaller number first"));
        }
        Ok(Self(range))
    }
}

impl<'de> Deserialize<'de> for RangeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for RangeText {
    fn schema_name() -> Cow<'static, str> {
        "Range".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$", "description": "Consecutive numbers, \"1000-1999\".", "examples": ["1000-1999"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, expected: Option<Duration>| {
            assert_eq!(Period::parse(text).ok().map(|period| period.0), expected, "{text}")
        };
        check("4s", Some(Duration::from_secs(4)));
        check("0s", Some(Duration::ZERO));
        check("250ms", Some(Duration::from_millis(250)));
        check("15m", Some(Duration::from_secs(900)));
        check("1h30m", Some(Duration::from_secs(5_400)));
        check("30d", Some(Duration::from_secs(2_592_000)));
        check("4", None);
        check("", None);
        check("-4s", None);
        check("soon", None);
        check("1 year", None);
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(Size::parse(text).ok().map(|size| size.0), expected, "{text}")
        };
        check("1MiB", Some(1_048_576));
        check("64 KiB", Some(65_536));
        check("1000", Some(1_000));
        check("2MB", Some(2_000_000));
        check("", None);
        check("MiB", None);
        check("-1", None);
        check("1mib", None);
        check("99999999999999999999", None);
        check("18446744073709551615GiB", None);
    }

    #[test]
    fn shares() {
        let check = |text: &str, expected: Option<u8>| {
            assert_eq!(Share::parse(text).ok().map(|share| share.0), expected, "{text}")
        };
        check("10%", Some(10));
        check("100 %", Some(100));
        check("0%", None);
        check("101%", None);
        check("10", None);
        check("-1%", None);
        check("%", None);
    }

    #[test]
    fn ranges() {
        let check = |text: &str, expected: Option<(u64, u64, usize)>| {
            let range = RangeText::parse(text).ok().map(|range| (range.0.first, range.0.last, range.0.width));
            assert_eq!(range, expected, "{text}");
        };
        check("1000-1999", Some((1000, 1999, 4)));
        check("0100-0199", Some((100, 199, 4)));
        check("7", Some((7, 7, 1)));
        check("1000 - 1001", Some((1000, 1001, 4)));
        check("1999-1000", None);
        check("999-1000", None);
        check("a-b", None);
        check("-", None);
        check("+1-+2", None);
        check("1000-1999-2000", None);
    }
}
