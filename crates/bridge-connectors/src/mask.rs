//! Keeps secrets and the person's values out of what a target says, before it becomes the reason of an error.

use crate::error::shorten;
use crate::http::encode;
use crate::plan::MASK;

/// Longest reason that is taken over from a target, in characters.
const LONGEST: usize = 140;
/// A target's text is read no further than this.
const READ: usize = 2000;

/// A value that must not appear in a reason, and what to write in its place.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    value: String,
    name: String,
}

impl Known {
    /// A value that the target was sent: its field's name stands in for it.
    pub(crate) fn field(name: &str, value: &str) -> Self {
        Self { value: value.to_owned(), name: format!("[{name}]") }
    }

    /// A secret.
    pub(crate) fn secret(value: &str) -> Self {
        Self { value: value.to_owned(), name: MASK.to_owned() }
    }
}

/// What a target said, fit for an error's reason: one short line without the known values and without e-mail addresses.
pub(crate) fn clean(said: &str, known: &[Known]) -> String {
    let text: String = said.chars().take(READ).collect();
    let text = hide(&text, known);
    let words =
        text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.map(|word| if is_address(word) { "[address]" } else { word }).collect();
    let line = words.join(" ");
    if line.is_empty() { "no reason given".to_owned() } else { shorten(&line, LONGEST) }
}

/// The text without the known values.
pub(crate) fn hide(text: &str, known: &[Known]) -> String {
    let mut known: Vec<&Known> = known.iter().filter(|known| worth_hiding(known)).collect();
    known.sort_by_key(|known| std::cmp::Reverse(known.value.len()));
    let mut text = text.to_owned();
    for known in known {
        text = replace(&text, known.value.trim(), &known.name);
        // A target that quotes the address or the form that it was sent, quotes a secret as it travels.
        let travels = encode(known.value.trim());
        if known.name == MASK && travels != known.value.trim() {
            text = replace(&text, &travels, &known.name);
        }
    }
    text
}

/// Short words such as `no` and `1` are nobody's, and hiding them would make the reason unreadable.
fn worth_hiding(known: &Known) -> bool {
    known.name == MASK && !known.value.is_empty() || known.value.trim().chars().count() > 3
}

fn is_address(word: &str) -> bool {
    word.find('@').is_some_and(|at| at > 0 && at + 1 < word.len())
}

/// Replaces without regard to case.
fn replace(text: &str, value: &str, name: &str) -> String {
    let wanted: Vec<char> = value.chars().flat_map(char::to_lowercase).collect();
    if wanted.is_empty() {
        return text.to_owned();
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(length) = starts_with(rest, &wanted) {
            result.push_str(name);
            rest = &rest[length..];
        } else {
            result.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    result
}

/// The length in bytes of the text's beginning that equals `wanted` (in lower case), if it does.
fn starts_with(text: &str, wanted: &[char]) -> Option<usize> {
    let mut matched = 0;
    for (start, letter) in text.char_indices() {
        for lower in letter.to_lowercase() {
            if wanted.get(matched) != Some(&lower) {
                return None;
            }
            matched += 1;
        }
        if matched == wanted.len() {
            return Some(start + letter.len_utf8());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_fields_instead_of_values() {
        let check = |said: &str, expected: &str| {
            let known = [
                Known::field("UserAddress", "dana.ortiz.acme.glance.net"),
                Known::field("UserLast", "Ortiz"),
                Known::field("voicemail-enabled", "no"),
                Known::secret("s3c"),
                Known::secret("$1$99$k-Y"),
            ];
            assert_eq!(clean(said, &known), expected);
        };
        check("Dana.Ortiz.acme.glance.NET is taken", "[UserAddress] is taken");
        check("ORTIZ, there is no role", "[UserLast], there is no role");
        check("write to\n admin@acme.example  now", "write to [address] now");
        check("password s3c is too short", "password *** is too short");
        check("PartnerAuth=%241%2499%24k-Y is wrong", "PartnerAuth=*** is wrong");
        check("", "no reason given");
        check("  \r\n\t\u{0}", "no reason given");
    }

    #[test]
    fn a_novel_becomes_a_line() {
        assert_eq!(clean(&"word ".repeat(10_000), &[]).chars().count(), LONGEST);
    }

    proptest::proptest! {
        #[test]
        fn a_planted_value_never_survives(before in ".*", after in ".*") {
            let said = format!("{before}pLanted-Value{after}");
            let cleaned = clean(&said, &[Known::field("UserLast", "Planted-value")]);
            proptest::prop_assert!(!cleaned.to_lowercase().contains("planted-value"));
        }
    }
}
