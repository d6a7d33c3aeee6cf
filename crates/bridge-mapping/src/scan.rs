//! Finds the names in a template, with their places.
//!
//! MiniJinja knows which variables a template leaves open, but not where they stand nor which filters it calls. This
//! scanner reads the same text just deep enough to say that.

/// A name in an expression with what is looked up on it: `emails[0].value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain<'a> {
    /// What the first name is.
    pub(crate) role: Role,
    /// The first name and the names after dots, each with its byte offset.
    pub(crate) names: Vec<(&'a str, usize)>,
    /// Whether brackets stand after the first name.
    pub(crate) indexed: bool,
}

/// What a name in an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A variable, a function or a word of the language.
    Variable,
    /// A filter: stands after `|`.
    Filter,
    /// A test: stands after `is` or `is not`.
    Test,
}

/// All names in the expressions and statements of a template, in order.
pub(crate) fn names(template: &str) -> Vec<Chain<'_>> {
    let mut chains = Vec::new();
    let mut rest = 0;
    while let Some(open) = template[rest..].find('{').map(|found| rest + found) {
        let close = match template.as_bytes().get(open + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => {
                rest = template[open..].find("#}").map_or(template.len(), |found| open + found + 2);
                continue;
            }
            _ => {
                rest = open + 1;
                continue;
            }
        };
        rest = scan_expression(template, open + 2, close, &mut chains);
    }
    chains
}

/// Reads from `start` to after `close`; returns where it stopped.
fn scan_expression<'a>(template: &'a str, start: usize, close: &str, chains: &mut Vec<Chain<'a>>) -> usize {
    let bytes = template.as_bytes();
    let mut at = start;
    let mut role = Role::Variable;
    // Chains that a closing bracket would continue, and the one that a dot would.
    let mut open_brackets: Vec<Option<usize>> = Vec::new();
    let mut current: Option<usize> = None;
    while at < bytes.len() {
        match bytes[at] {
            _ if open_brackets.is_empty() && bytes[at..].starts_with(close.as_bytes()) => return at + close.len(),
            quote @ (b'"' | b'\'') => {
                at = after_string(bytes, at, quote);
                current = None;
            }
            byte if byte == b'_' || byte.is_ascii_alphabetic() => {
                let end = at + bytes[at..].iter().take_while(|byte| is_name_byte(**byte)).count();
                let name = &template[at..end];
                let after_dot = current.filter(|_| template[..at].trim_end().ends_with('.'));
                match (after_dot, role, name) {
                    (Some(chain), _, _) => chains[chain].names.push((name, at)),
                    (None, _, "is") => (role, current) = (Role::Test, None),
                    (None, Role::Test, "not") => {}
                    _ => {
                        chains.push(Chain { role, names: vec![(name, at)], indexed: false });
                        current = Some(chains.len() - 1);
                        role = Role::Variable;
                    }
                }
                at = end;
            }
            byte if byte.is_ascii_digit() => {
                at += bytes[at..].iter().take_while(|byte| is_name_byte(**byte)).count();
                current = None;
            }
            b'[' | b'{' | b'(' => {
                let continued = if bytes[at] == b'[' { current } else { None };
                if let Some(chain) = continued {
                    chains[chain].indexed = true;
                }
                open_brackets.push(continued);
                current = None;
                at += 1;
            }
            b']' | b'}' | b')' => {
                current = open_brackets.pop().flatten();
                at += 1;
            }
            b'|' => {
                (role, current) = (Role::Filter, None);
                at += 1;
            }
            byte => {
                if byte != b'.' && !byte.is_ascii_whitespace() {
                    current = None;
                }
                at += 1;
            }
        }
    }
    at
}

fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// The offset after the string that starts at `start`.
fn after_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: &str) {
        let found: Vec<String> = names(template)
            .into_iter()
            .map(|chain| {
                let mark = match chain.role {
                    Role::Variable => "",
                    Role::Filter => "|",
                    Role::Test => "?",
                };
                let path: Vec<&str> = chain.names.iter().map(|(name, _)| *name).collect();
                for (name, at) in &chain.names {
                    assert_eq!(&template[*at..*at + name.len()], *name);
                }
                format!("{mark}{}{}", path.join("."), if chain.indexed { "[]" } else { "" })
            })
            .collect();
        assert_eq!(found.join(" "), expected, "{template}");
    }

    #[test]
    fn names_are_found_with_their_roles() {
        check("plain text, no { name }", "");
        check("{{ userName }}", "userName");
        check("a {{userName|before('@')|slug}}.b {{ id }}", "userName |before |slug id");
        check("{{ name.givenName ~ ' ' ~ name . familyName }}", "name.givenName name.familyName");
        check("{{ emails[0].value }}", "emails.value[]");
        check("{{ emails[index].value | x(y) }}", "emails.value[] index |x y");
        check("{{ 'not.a.name' ~ \"nor \\\" this\" }}", "");
        check(
            "{% if title is defined and nickName is not none %}x{% endif %}",
            "if title ?defined and nickName ?none endif",
        );
        check("{# userName #}{{ id }}", "id");
        check("{{ {'a': b}['a'] }} {{ 10.5 }}", "b");
        check("{{ (a or b).c }}", "a or b c");
        check("{{ \"}}\" }} {{ äb }}", "b");
        check("{{ unclosed", "unclosed");
        check("{{ 'unclosed", "");
    }
}
