//! What an error code of CRM.COM means. The real codes of the users and authentication methods are not published, so a
//! table of patterns decides, in the order of crmcom.md section 10; `errors.json` is that table, and a target's
//! configuration may put lines before it.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A class of errors, by what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The token has expired: renew it and repeat once.
    Token,
    /// The sign-in is wrong: alert, pause.
    Credentials,
    /// The API user may not do this: alert.
    Rights,
    /// Somebody has this key.
    Conflict,
    /// No such user; or no such template.
    NotFound,
    /// The password does not meet the policy, or differs from its confirmation.
    Password,
    /// A value is missing or wrong.
    Validation,
    /// Not in the table.
    Unknown,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorPattern {
    /// Parts of the code in capitals, in order, separated by `...`.
    pub pattern: String,
    /// What such a code means.
    pub class: ErrorClass,
}

static TABLE: LazyLock<Vec<ErrorPattern>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "embedded at compile time; a test reads it")]
    serde_json::from_str(include_str!("errors.json")).expect("the embedded error table is sound")
});

/// Classifies by the code, then by the message. The first line that fits decides; `own` comes before the table.
pub(super) fn classify(own: &[ErrorPattern], code: &str, message: &str) -> ErrorClass {
    [code, message]
        .into_iter()
        .find_map(|text| {
            let text = squeeze(text);
            let line = own.iter().chain(TABLE.iter()).find(|line| fits(&line.pattern, &text))?;
            Some(line.class)
        })
        .unwrap_or(ErrorClass::Unknown)
}

/// Capitals without spaces, as codes are written.
fn squeeze(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_uppercase).collect()
}

fn fits(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    pattern.split("...").map(squeeze).all(|part| match rest.find(&part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// The field that a code or message speaks of, as far as it decides anything.
pub(super) fn named_field(code: &str, message: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 6] = [
        ("TEMPLATE", "user_template_identifier"),
        ("USERNAME", "username"),
        ("EMAIL", "email"),
        ("CTI", "cti_phone_extension_number"),
        ("PASSWORD", "password"),
        ("E-MAIL", "email"),
    ];
    [code, message].into_iter().find_map(|text| {
        let text = squeeze(text).replace('_', "");
        NAMES.iter().find(|(part, _)| text.contains(part)).map(|(_, field)| *field)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_classified_in_the_order_of_the_dossier() {
        let check = |code: &str, message: &str, expected: ErrorClass| {
            assert_eq!(classify(&[], code, message), expected, "{code} {message}");
        };
        check("COM.CRM.EXCEPTION.SECURITY.INVALIDTOKENEXCEPTION", "", ErrorClass::Token);
        check("com.crm.exception.security.sessionExpiredException", "", ErrorClass::Token);
        check("COM.CRM.EXCEPTION.SECURITY.INVALIDCREDENTIALSEXCEPTION", "", ErrorClass::Credentials);
        check("COM.CRM.EXCEPTION.SECURITY.USERLOCKEDEXCEPTION", "", ErrorClass::Credentials);
        check("COM.CRM.EXCEPTION.SECURITY.NOTALLOWEDEXCEPTION", "", ErrorClass::Rights);
        check("COM.CRM.EXCEPTION.USERS.USERNAMEALREADYEXISTSEXCEPTION", "", ErrorClass::Conflict);
        check("COM.CRM.EXCEPTION.USERS.USERNOTFOUNDEXCEPTION", "", ErrorClass::NotFound);
        check("COM.CRM.EXCEPTION.USERS.USERTEMPLATENOTFOUNDEXCEPTION", "", ErrorClass::NotFound);
        check("COM.CRM.EXCEPTION.USERS.INVALIDUSERIDENTIFIEREXCEPTION", "", ErrorClass::NotFound);
        check("COM.CRM.EXCEPTION.USERS.PASSWORDPOLICYEXCEPTION", "", ErrorClass::Password);
        check("COM.CRM.EXCEPTION.USERS.PASSWORDCONFIRMATIONMISMATCHEXCEPTION", "", ErrorClass::Password);
        check("COM.CRM.EXCEPTION.COMMON.MANDATORYPARAMETERMISSINGEXCEPTION", "", ErrorClass::Validation);
        check("COM.CRM.EXCEPTION.USERS.CTIEXTENSIONMANDATORYEXCEPTION", "", ErrorClass::Validation);
        check(
            "COM.CRM.EXCEPTION.SUBSCRIPTIONS.ATLEASTONEOFTHEFIELDSMUSTBEAMENDEDEXCEPTION",
            "",
            ErrorClass::Validation,
        );
        check("COM.CRM.EXCEPTION.COMMON.ONLYONEIDENTIFIERALLOWEDEXCEPTION", "", ErrorClass::Unknown);
        check("E17", "The user was not found", ErrorClass::NotFound);
        check("E17", "", ErrorClass::Unknown);
        check("", "", ErrorClass::Unknown);
    }

    #[test]
    fn a_line_of_the_configuration_comes_first() {
        let own = [ErrorPattern { pattern: "E17".into(), class: ErrorClass::Conflict }];
        assert_eq!(classify(&own, "E17", "The user was not found"), ErrorClass::Conflict);
    }

    #[test]
    fn parts_of_a_pattern_stand_in_order() {
        assert!(fits("INVALID...IDENTIFIER", "INVALIDUSERIDENTIFIER"));
        assert!(!fits("INVALID...IDENTIFIER", "IDENTIFIERINVALID"));
    }

    #[test]
    fn the_field_at_fault_is_named() {
        assert_eq!(
            named_field("COM.CRM.EXCEPTION.USERS.USERTEMPLATENOTFOUNDEXCEPTION", ""),
            Some("user_template_identifier")
        );
        assert_eq!(named_field("COM.CRM.EXCEPTION.USERS.USERNAMEALREADYEXISTSEXCEPTION", ""), Some("username"));
        assert_eq!(named_field("E18", "This e-mail is in use"), Some("email"));
        assert_eq!(named_field("E17", "No"), None);
    }
}
