//! `compValue = false / null / true / number / string` (RFC 7644 figure 1), and the bare values clients send instead.

use super::cursor::{Cursor, error};
use crate::{Literal, Number, Operator, ParseError};

/// Reads the value after `operator`. The three names are taken in any letter case.
pub(super) fn literal(
    cursor: &mut Cursor<'_>,
    operator: Operator,
    takes_unquoted: bool,
) -> Result<Literal, ParseError> {
    if cursor.peek() == Some('"') {
        return string(cursor).map(Literal::String);
    }
    let word = cursor.word();
    let literal = if word.eq_ignore_ascii_case("true") {
        Literal::Boolean(true)
    } else if word.eq_ignore_ascii_case("false") {
        Literal::Boolean(false)
    } else if word.eq_ignore_ascii_case("null") {
        Literal::Null
    } else if let Some(number) = Number::parse(word) {
        Literal::Number(number)
    } else if word.is_empty() || is_keyword(word) {
        return Err(cursor.error(format!("expected a value after \"{operator}\", found {}", cursor.found())));
    } else if !takes_unquoted || word.starts_with(['\'', '‘', '’', '“', '”', '„', '`']) {
        return Err(cursor.error("a text value stands in double quotes"));
    } else if let Some(offset) = word.find(|character: char| character.is_control()) {
        return Err(error(cursor.position() + offset, "a control character cannot stand in a value without quotes"));
    } else {
        Literal::String(word.to_owned())
    };
    cursor.skip_word();
    Ok(literal)
}

/// Whether the value was forgotten and the filter goes on.
fn is_keyword(word: &str) -> bool {
    ["and", "or", "not"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// Reads a JSON string (RFC 8259 section 7), standing on its opening quote.
fn string(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let opened_at = cursor.position();
    cursor.skip_character();
    let mut value = String::new();
    loop {
        let rest = cursor.rest();
        let end = rest.find(|character: char| matches!(character, '"' | '\\' | '\0'..='\x1f')).unwrap_or(rest.len());
        let (plain, _) = rest.split_at(end);
        value.push_str(plain);
        cursor.skip(plain);
        match cursor.peek() {
            Some('"') => {
                cursor.skip_character();
                return Ok(value);
            }
            Some('\\') => value.push(escape(cursor)?),
            Some(_) => {
                return Err(cursor.error("a control character in a text value is written as an escape, such as \\n"));
            }
            None => return Err(cursor.error(format!("the text value opened at byte {opened_at} has no closing quote"))),
        }
    }
}

/// Reads one escape, standing on its backslash.
fn escape(cursor: &mut Cursor<'_>) -> Result<char, ParseError> {
    let start = *cursor;
    cursor.skip_character();
    let letter = cursor.peek();
    cursor.skip_character();
    Ok(match letter {
        Some(character @ ('"' | '\\' | '/')) => character,
        Some('b') => '\x08',
        Some('f') => '\x0c',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unicode_escape(cursor, &start),
        _ => return Err(start.error("this backslash begins no JSON escape; a backslash itself is written \\\\")),
    })
}

/// Reads the digits of `\uXXXX`, and the second half if the first is half of a surrogate pair.
fn unicode_escape(cursor: &mut Cursor<'_>, start: &Cursor<'_>) -> Result<char, ParseError> {
    let first = hexadecimal_digits(cursor).ok_or_else(|| start.error("\\u needs four hexadecimal digits"))?;
    if let Some(character) = char::from_u32(first) {
        return Ok(character);
    }
    let half = || start.error("this \\u escape is one half of a surrogate pair without the other");
    if !(cursor.eat('\\') && cursor.eat('u')) {
        return Err(half());
    }
    let second = hexadecimal_digits(cursor).ok_or_else(half)?;
    if !((0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&second)) {
        return Err(half());
    }
    char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or_else(half)
}

fn hexadecimal_digits(cursor: &mut Cursor<'_>) -> Option<u32> {
    let digits = cursor.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    cursor.skip(digits);
    Some(value)
}
