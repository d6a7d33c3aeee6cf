//! The filters that templates have beside MiniJinja's own. All are pure text to text.
//!
//! A filter that finds nothing yields undefined, and a template that prints undefined yields no value at all, so that a
//! list of rules goes on to its next entry.

use std::borrow::Cow;

use minijinja::{Environment, Value};

/// Adds the filters to an environment.
pub(crate) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("before", |text: Cow<'_, str>, mark: Cow<'_, str>| before(&text, &mark).to_owned());
    environment.add_filter("after", |text: Cow<'_, str>, mark: Cow<'_, str>| found(after(&text, &mark)));
    environment.add_filter("slug", |text: Cow<'_, str>| slug(&text));
    environment.add_filter("login", |text: Cow<'_, str>| login(&text));
    environment.add_filter("ascii", |text: Cow<'_, str>| ascii(&text));
    environment
        .add_filter("truncate", |text: Cow<'_, str>, length: usize| text.chars().take(length).collect::<String>());
    environment
        .add_filter("digits", |text: Cow<'_, str>| text.chars().filter(char::is_ascii_digit).collect::<String>());
    environment.add_filter("initial", |text: Cow<'_, str>| found(text.trim().chars().next().map(String::from)));
    environment.add_filter("language", |text: Cow<'_, str>| found(language(&text)));
    environment.add_filter("given_name", |text: Cow<'_, str>| found(split_name(&text).map(|(given, _)| given)));
    environment.add_filter("family_name", |text: Cow<'_, str>| found(split_name(&text).map(|(_, family)| family)));
    environment.add_filter("email", |text: Cow<'_, str>| found(email(&text)));
    environment.add_filter("with_domain", |text: Cow<'_, str>, domain: Cow<'_, str>| with_domain(&text, &domain));
}

fn found(text: Option<impl Into<Value>>) -> Value {
    text.map_or(Value::UNDEFINED, Into::into)
}

/// What stands before the first `mark`; all of it if there is none.
fn before<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or(text, |(before, _)| before)
}

/// What stands after the first `mark`.
fn after(text: &str, mark: &str) -> Option<String> {
    text.split_once(mark).map(|(_, after)| after.to_owned())
}

/// The text in ASCII: accents dropped, other scripts spelled as they sound.
fn ascii(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { deunicode::deunicode(text) }
}

/// A label that fits into a host-like name: lower-case letters and digits, single dots and dashes inside.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    let mut gap = None;
    for character in ascii(text).chars() {
        if character.is_ascii_alphanumeric() {
            if let Some(mark) = gap.take().filter(|_| !slug.is_empty()) {
                slug.push(mark);
            }
            slug.push(character.to_ascii_lowercase());
        } else if character == '.' || gap.is_none() {
            gap = Some(if character == '.' { '.' } else { '-' });
        }
    }
    slug
}

/// A login name: lower-case letters, digits and `. _ - @`; anything else becomes a dash.
fn login(text: &str) -> String {
    let login: String = ascii(text.trim())
        .chars()
        .map(|character| match character {
            'a'..='z' | '0'..='9' | '.' | '_' | '-' | '@' => character,
            'A'..='Z' => character.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    login.trim_matches('-').to_owned()
}

/// `en-US`, `en_us` or `en-US,en;q=0.8` as `en_US`; nothing if there is no region.
fn language(text: &str) -> Option<String> {
    let first = text.split([',', ';']).next()?.trim();
    let mut parts = first.split(['-', '_', '.']);
    let language = parts.next().filter(|part| matches!(part.len(), 2 | 3))?;
    let region = parts.find(|part| part.len() == 2)?;
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    (letters(language) && letters(region))
        .then(|| format!("{}_{}", language.to_ascii_lowercase(), region.to_ascii_uppercase()))
}

/// Given and family name of a name written in one: `Dana Ortiz`, `Ortiz, Dana`, `dana.ortiz`.
///
/// The first word is the given name, all others are the family name, so that nothing is lost. One word is both.
fn split_name(text: &str) -> Option<(String, String)> {
    if let Some((family, given)) = text.split_once(',') {
        let (family, given) = (words(family).join(" "), words(given).join(" "));
        if !family.is_empty() && !given.is_empty() {
            return Some((given, family));
        }
    }
    let mut words = words(text);
    if let [login] = words.as_slice() {
        words = login_words(login);
    }
    let (given, family) = words.split_first()?;
    let family = if family.is_empty() { given.clone() } else { family.join(" ") };
    Some((given.clone(), family))
}

fn words(text: &str) -> Vec<String> {
    text.split(|character: char| character.is_whitespace() || character == ',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The words of a login name, with capitals; a word without dot or underscore stays as it is.
fn login_words(text: &str) -> Vec<String> {
    let parts: Vec<&str> = text.split(['.', '_']).filter(|part| !part.is_empty()).collect();
    if let [single] = parts.as_slice() {
        return vec![(*single).to_owned()];
    }
    parts
        .into_iter()
        .map(|part| {
            let mut characters = part.chars();
            let first = characters.next().map(char::to_uppercase);
            first.into_iter().flatten().chain(characters).collect()
        })
        .collect()
}

/// The text, if it has the outer form of an e-mail address.
fn email(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.contains(|character: char| character.is_whitespace() || matches!(character, ';' | ',' | '@'))
    };
    (is_plain(local) && is_plain(domain)).then(|| text.to_owned())
}

/// The text with `@domain`, unless it has one.
fn with_domain(text: &str, domain: &str) -> String {
    if text.contains('@') { text.to_owned() } else { format!("{text}@{domain}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renders a template with one variable; `-` stands for no value.
    fn check(template: &str, text: &str, expected: &str) {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::SemiStrict);
        register(&mut environment);
        let rendered = environment.render_str(template, Value::from_pairs([("x", text)]));
        assert_eq!(rendered.as_deref().unwrap_or("-"), expected, "{template} of {text:?}");
    }

    #[test]
    fn filters_do_what_their_names_say() {
        check("{{ x | before('@') }}", "jo@corp.test", "jo");
        check("{{ x | before('@') }}", "jo", "jo");
        check("{{ x | after('@') }}", "jo@corp.test", "corp.test");
        check("{{ x | after('@') }}", "jo", "-");
        check("{{ x | lower }}", "JÖ", "jö");
        check("{{ x | upper }}", "jö", "JÖ");
        check("{{ x | ascii }}", "Zoë Åström", "Zoe Astrom");
        check("{{ x | truncate(3) }}", "äbcd", "äbc");
        check("{{ x | digits }}", "+44 (117) 10-42", "441171042");
        check("{{ x | initial }}", " Ångström", "Å");
        check("{{ x | initial }}", " ", "-");
        check("{{ x | with_domain('acme.test') }}", "jo", "jo@acme.test");
        check("{{ x | with_domain('acme.test') }}", "jo@corp.test", "jo@corp.test");
        check("{{ x | email }}", " jo@corp.test ", "jo@corp.test");
        check("{{ x | email }}", "CORP\\jo", "-");
        check("{{ x | email }}", "jo@", "-");
        check("{{ x | email }}", "jo roe@corp.test", "-");
    }

    #[test]
    fn a_slug_has_single_marks_and_only_inside() {
        check("{{ x | slug }}", "Dana.Ortiz", "dana.ortiz");
        check("{{ x | slug }}", "..Dana__O'Ortiz--", "dana-o-ortiz");
        check("{{ x | slug }}", "dana.-.ortiz", "dana.ortiz");
        check("{{ x | slug }}", "Jürgen Groß", "jurgen-gross");
        check("{{ x | slug }}", "Шаталов", "shatalov");
        check("{{ x | slug }}", "***", "");
        check("{{ x | login }}", "Dana_Ortiz+x@Acme.Test", "dana_ortiz-x@acme.test");
    }

    #[test]
    fn a_language_needs_a_region() {
        check("{{ x | language }}", "en-US", "en_US");
        check("{{ x | language }}", "es_mx", "es_MX");
        check("{{ x | language }}", "en-GB,en;q=0.8", "en_GB");
        check("{{ x | language }}", "zh-Hant-TW", "zh_TW");
        check("{{ x | language }}", "en", "-");
        check("{{ x | language }}", "es-419", "-");
    }

    #[test]
    fn a_name_is_split_without_losing_a_word() {
        let check_both = |text: &str, given: &str, family: &str| {
            check("{{ x | given_name }}", text, given);
            check("{{ x | family_name }}", text, family);
        };
        check_both("Dana Ortiz", "Dana", "Ortiz");
        check_both("Ludwig van Beethoven", "Ludwig", "van Beethoven");
        check_both("Ortiz, Dana", "Dana", "Ortiz");
        check_both("Ortiz,", "Ortiz", "Ortiz");
        check_both("dana.ortiz", "Dana", "Ortiz");
        check_both("dana_maria.ortiz", "Dana", "Maria Ortiz");
        check_both("Scanner", "Scanner", "Scanner");
        check_both("  ", "-", "-");
    }
}
