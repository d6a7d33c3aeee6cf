//! The fields of a PBX user: type, range and default of each (NetSapiens dossier section 4, in its order).

use serde_json::{Value, json};

use super::time_zones;
use crate::options::{NetsapiensOptions, PbxVersion};

/// What values a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    YesNo,
    Choice(&'static [&'static str]),
    /// Least and greatest value.
    Integer(i64, i64),
    /// The extension.
    Extension,
    /// One or several addresses joined by `;`.
    Emails,
    TimeZone,
    DialPlan,
    DialPolicy,
    EmergencyAddress,
    /// Digits as a string; on v44 also an integer.
    Pin,
    /// A number as a string; on v44 also an integer from 10.
    PhoneNumber,
    /// A number as a string or an integer.
    AnyPhoneNumber,
}

/// What a read shows when the field was never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// The field is left out.
    Nothing,
    Text(&'static str),
    Number(i64),
    /// The value of the domain's field of the same name.
    Domain,
    /// `{user}@{domain}`.
    Login,
    /// Telephone keys of the last name's first three letters.
    DialByName,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Name in the spelling of v45.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Default,
    /// Assumed length (dossier section 14).
    limit: Option<usize>,
}

/// The extension.
pub(crate) const USER: &str = "user";
/// The portal login, unique in the whole system.
pub(crate) const LOGIN: &str = "login-username";
/// The permissions.
pub(crate) const SCOPE: &str = "user-scope";
/// The site.
pub(crate) const SITE: &str = "site";
/// The telephone PIN: a secret.
pub(crate) const PIN: &str = "voicemail-login-pin";

/// Fields that creating a user requires.
pub(crate) const REQUIRED: [&str; 5] = [USER, "name-first-name", "name-last-name", "email-address", SCOPE];

/// Permissions that a key or token of a single domain cannot grant.
pub(crate) const PRIVILEGED_SCOPES: [&str; 3] = ["Reseller", "Super User", "NDP"];

const SCOPES: &[&str] = &[
    "Basic User",
    "Simple User",
    "Advanced User",
    "Call Center Agent",
    "Site Manager",
    "Call Center Supervisor",
    "Office Manager",
    "Reseller",
    "Super User",
    "NDP",
    "No Portal",
];
const VOICEMAIL_MAIL: &[&str] =
    &["no", "yes", "attnew", "attsave", "atttrash", "brief", "briefattnew", "briefattsave", "briefatttrash"];
const TRANSCRIPTION: &[&str] = &["no", "Deepgram", "Google", "Mutare", "Voicebase"];
/// Also a field of devices.
pub(crate) const RECORDING: &[&str] = &["yes", "yes-with-transcription", "yes-with-transcription-and-sentiment", "no"];

const ANNOUNCE: &str = "directory-announce-in-dial-by-name-enabled";
/// Row 25 in the spelling of v44 (sic).
const ANNOUNCE_V44: &str = "directory-annouce-in-dial-by-name-enabled";

const UNLIMITED: i64 = i64::MAX;

const fn field(name: &'static str, kind: Kind, default: Default) -> Field {
    Field { name, kind, default, limit: None }
}

const fn text(name: &'static str, limit: usize) -> Field {
    Field { name, kind: Kind::Text, default: Default::Nothing, limit: Some(limit) }
}

const fn yes_no(name: &'static str, default: &'static str) -> Field {
    field(name, Kind::YesNo, Default::Text(default))
}

/// All fields that can be written, without `synchronous`.
pub(crate) const FIELDS: [Field; 49] = [
    field(USER, Kind::Extension, Default::Nothing),
    text("name-first-name", 64),
    text("name-last-name", 64),
    Field { name: LOGIN, kind: Kind::Text, default: Default::Login, limit: Some(128) },
    Field { name: "email-address", kind: Kind::Emails, default: Default::Nothing, limit: Some(255) },
    field(SCOPE, Kind::Choice(SCOPES), Default::Nothing),
    text("department", 64),
    text(SITE, 64),
    field("time-zone", Kind::TimeZone, Default::Domain),
    field(PIN, Kind::Pin, Default::Nothing),
    yes_no("privacy", "no"),
    field("dial-plan", Kind::DialPlan, Default::Domain),
    field("dial-policy", Kind::DialPolicy, Default::Domain),
    field("status-message", Kind::Text, Default::Nothing),
    field("directory-name-number-dtmf-mapping", Kind::Integer(100, 999), Default::DialByName),
    yes_no("voicemail-user-control-enabled", "yes"),
    yes_no("phone-numbers-to-allow-enabled", "yes"),
    yes_no("phone-numbers-to-reject-enabled", "yes"),
    yes_no("call-screening-enabled", "yes"),
    field("ring-no-answer-timeout-seconds", Kind::Integer(0, 3600), Default::Number(25)),
    field("language-token", Kind::Text, Default::Text("en_US")),
    field("limits-max-data-storage-kilobytes", Kind::Integer(0, UNLIMITED), Default::Number(50_000)),
    field("limits-max-active-calls-total", Kind::Integer(0, 3600), Default::Number(15)),
    yes_no(ANNOUNCE, "yes"),
    field("directory-override-order-duplicate-dtmf-mapping", Kind::Integer(0, 100), Default::Nothing),
    field("voicemail-greeting-index", Kind::Integer(0, UNLIMITED), Default::Number(0)),
    yes_no("voicemail-enabled", "yes"),
    yes_no("voicemail-receive-broadcast-enabled", "yes"),
    yes_no("reject-anonymous-calls-enabled", "no"),
    yes_no("voicemail-playback-announce-datetime-received", "no"),
    yes_no("voicemail-playback-announce-caller-id", "no"),
    yes_no("voicemail-playback-sort-newest-to-oldest", "yes"),
    field("email-send-alert-new-voicemail-cc-list-csv", Kind::Text, Default::Nothing),
    field("email-send-alert-new-voicemail-behavior", Kind::Choice(VOICEMAIL_MAIL), Default::Text("no")),
    yes_no("email-send-alert-new-voicemail-enabled", "no"),
    yes_no("email-send-alert-new-missed-call-enabled", "no"),
    yes_no("email-send-alert-data-storage-limit-reached-enabled", "no"),
    field("caller-id-number", Kind::PhoneNumber, Default::Domain),
    field("caller-id-name", Kind::Text, Default::Domain),
    field("caller-id-number-emergency", Kind::AnyPhoneNumber, Default::Nothing),
    field("area-code", Kind::Integer(100, 999), Default::Domain),
    yes_no("directory-name-visible-in-list-enabled", "yes"),
    field("service-code", Kind::Text, Default::Nothing),
    field("voicemail-transcription-enabled", Kind::Choice(TRANSCRIPTION), Default::Text("no")),
    field("emergency-address-id", Kind::EmergencyAddress, Default::Nothing),
    yes_no("call-recordings-hide-from-others-enabled", "no"),
    yes_no("music-on-hold-randomized-enabled", "no"),
    field("music-on-hold-comfort-message-repeat-interval-seconds", Kind::Integer(0, 3600), Default::Nothing),
    field("recording-configuration", Kind::Choice(RECORDING), Default::Text("no")),
];

/// The field with this name on a server of this version; each version knows only its own spelling of row 25.
pub(crate) fn named(name: &str, version: PbxVersion) -> Option<&'static Field> {
    FIELDS.iter().find(|field| spelled(field.name, version) == name)
}

/// The name of a field as a server of this version writes it.
pub(crate) fn spelled(name: &'static str, version: PbxVersion) -> &'static str {
    if name == ANNOUNCE && version == PbxVersion::V44 { ANNOUNCE_V44 } else { name }
}

/// Checks a value and gives it in the form in which it is stored; the error is what is wrong with it.
pub(crate) fn checked(
    field: &Field,
    value: &Value,
    options: &NetsapiensOptions,
    domain: &str,
) -> Result<Value, String> {
    let word = || value.as_str().ok_or_else(|| "must be a string".to_owned());
    if let (Some(limit), true, Some(text)) = (field.limit, options.assumed_limits, value.as_str())
        && text.chars().count() > limit
    {
        return Err(format!("is longer than {limit} characters"));
    }
    let is_fit = match field.kind {
        Kind::Text => word().map(|_| true)?,
        Kind::YesNo => is_one_of(word()?, &["yes", "no"])?,
        // The scope `No Portal` has a space at its end in v44 and is compared without it.
        Kind::Choice(allowed) => {
            return is_one_of(word()?.trim_end(), allowed).map(|_| json!(word().map(str::trim_end).ok()));
        }
        Kind::Integer(least, greatest) => {
            let number = value.as_i64().ok_or("must be an integer")?;
            if !(least..=greatest).contains(&number) {
                let range =
                    if greatest == UNLIMITED { format!("{least} or more") } else { format!("{least} to {greatest}") };
                return Err(format!("must be {range}"));
            }
            true
        }
        Kind::Extension => is_extension(word()?),
        Kind::Emails => word()?.split(';').all(is_email),
        Kind::TimeZone => time_zones::is_known(word()?),
        Kind::DialPlan => {
            word()? == domain || options.dial_plans.iter().any(|plan| Some(plan.as_str()) == value.as_str())
        }
        Kind::DialPolicy => {
            let policy = word()?;
            options.dial_policies.iter().any(|known| known == policy)
        }
        Kind::EmergencyAddress => {
            let id = word()?;
            options.emergency_addresses.iter().any(|known| known == id)
        }
        Kind::Pin => {
            let is_pin = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            number_or_text(value, options, 0, false)? || value.as_str().is_some_and(is_pin)
        }
        Kind::PhoneNumber => number_or_text(value, options, 10, false)? || value.is_string(),
        Kind::AnyPhoneNumber => number_or_text(value, options, 10, true)? || value.is_string(),
    };
    if is_fit { Ok(value.clone()) } else { Err("has a value that is not allowed".to_owned()) }
}

/// Whether the value is an integer that this server takes here; an error when it must not be the type that it is.
fn number_or_text(value: &Value, options: &NetsapiensOptions, least: i64, on_v45: bool) -> Result<bool, String> {
    let takes_integer = on_v45 || options.numbers_as_integers || options.version == PbxVersion::V44;
    match value {
        Value::String(_) if options.numbers_as_integers => Err("must be an integer".to_owned()),
        Value::String(_) => Ok(false),
        Value::Number(number) if takes_integer => match number.as_i64() {
            Some(number) if number >= least => Ok(true),
            Some(_) => Err(format!("must be {least} or more")),
            None => Err("must be an integer".to_owned()),
        },
        _ => Err("must be a string".to_owned()),
    }
}

fn is_one_of(text: &str, allowed: &[&str]) -> Result<bool, String> {
    if allowed.contains(&text) { Ok(true) } else { Err(format!("must be one of {}", allowed.join(", "))) }
}

/// At most 16 characters that can stand in a path.
pub(crate) fn is_extension(text: &str) -> bool {
    (1..=16).contains(&text.chars().count())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn is_email(text: &str) -> bool {
    let text = text.trim();
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace)
    })
}

/// Telephone keys of the first three letters of a last name (Smith is 764).
pub(crate) fn dial_by_name(last_name: &str) -> Option<i64> {
    let key = |letter: char| match letter.to_ascii_lowercase() {
        'a'..='c' => Some(2),
        'd'..='f' => Some(3),
        'g'..='i' => Some(4),
        'j'..='l' => Some(5),
        'm'..='o' => Some(6),
        'p'..='s' => Some(7),
        't'..='v' => Some(8),
        'w'..='z' => Some(9),
        _ => None,
    };
    let keys: Vec<i64> = last_name.chars().filter_map(key).take(3).collect();
    (keys.len() == 3).then(|| keys.into_iter().fold(0, |number, key| number * 10 + key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_takes_what_is_documented_and_nothing_else() {
        let options = NetsapiensOptions::default();
        let check = |name: &str, value: Value, expected: bool| {
            let field = named(name, PbxVersion::V45).unwrap();
            assert_eq!(checked(field, &value, &options, "acme.example").is_ok(), expected, "{name} {value}");
        };
        check("user", json!("1042"), true);
        check("user", json!("1234567890123456"), true);
        check("user", json!("12345678901234567"), false);
        check("user", json!(1042), false);
        check("user", json!("10 42"), false);
        check("email-address", json!("a@b.example;c@d.example"), true);
        check("email-address", json!("a@b.example;"), false);
        check("email-address", json!("a b@c.example"), false);
        check("user-scope", json!("No Portal "), true);
        check("user-scope", json!("Owner"), false);
        check("time-zone", json!("US/Central"), true);
        check("time-zone", json!("America/Chicago"), false);
        check("privacy", json!("yes"), true);
        check("privacy", json!(true), false);
        check("dial-plan", json!("acme.example"), true);
        check("dial-plan", json!("nowhere"), false);
        check("dial-policy", json!("Deny All"), true);
        check("dial-policy", json!("nothing"), false);
        check("directory-name-number-dtmf-mapping", json!(99), false);
        check("directory-name-number-dtmf-mapping", json!(100), true);
        check("directory-name-number-dtmf-mapping", json!(1000), false);
        check("ring-no-answer-timeout-seconds", json!(3600), true);
        check("ring-no-answer-timeout-seconds", json!(3601), false);
        check("ring-no-answer-timeout-seconds", json!("25"), false);
        check("limits-max-data-storage-kilobytes", json!(-1), false);
        check("directory-override-order-duplicate-dtmf-mapping", json!(101), false);
        check("email-send-alert-new-voicemail-behavior", json!("briefattsave"), true);
        check("email-send-alert-new-voicemail-behavior", json!("attach"), false);
        check("voicemail-transcription-enabled", json!("Google"), true);
        check("voicemail-transcription-enabled", json!("yes"), false);
        check("recording-configuration", json!("yes-with-transcription-and-sentiment"), true);
        check("emergency-address-id", json!("5f3c0de1"), true);
        check("emergency-address-id", json!("unknown"), false);
        check("voicemail-login-pin", json!("1234"), true);
        check("voicemail-login-pin", json!("12a4"), false);
        check("voicemail-login-pin", json!(1234), false);
        check("caller-id-number", json!("[*]"), true);
        check("caller-id-number", json!(18_585_551_234_i64), false);
        check("caller-id-number-emergency", json!(18_585_551_234_i64), true);
        check("caller-id-number-emergency", json!(9), false);
        check("area-code", json!(858), true);
        check("name-first-name", json!("x".repeat(65)), false);
    }

    #[test]
    fn an_early_v44_server_takes_numbers_only_as_integers() {
        let late = NetsapiensOptions { version: PbxVersion::V44, ..NetsapiensOptions::default() };
        let early = NetsapiensOptions { numbers_as_integers: true, ..late.clone() };
        let check = |options: &NetsapiensOptions, name: &str, value: Value, expected: bool| {
            let field = named(name, PbxVersion::V44).unwrap();
            assert_eq!(checked(field, &value, options, "acme.example").is_ok(), expected, "{name} {value}");
        };
        for name in ["voicemail-login-pin", "caller-id-number", "caller-id-number-emergency"] {
            check(&late, name, json!("18585551234"), true);
            check(&late, name, json!(18_585_551_234_i64), true);
            check(&early, name, json!("18585551234"), false);
            check(&early, name, json!(18_585_551_234_i64), true);
        }
    }

    #[test]
    fn each_version_knows_its_own_spelling_of_the_announcement() {
        assert!(named(ANNOUNCE, PbxVersion::V45).is_some());
        assert!(named(ANNOUNCE_V44, PbxVersion::V45).is_none());
        assert!(named(ANNOUNCE, PbxVersion::V44).is_none());
        assert!(named(ANNOUNCE_V44, PbxVersion::V44).is_some());
    }

    #[test]
    fn smith_is_764_on_the_telephone_keys() {
        assert_eq!(dial_by_name("Smith"), Some(764));
        assert_eq!(dial_by_name("O'Neil"), Some(663));
        assert_eq!(dial_by_name("Li"), None);
    }
}
