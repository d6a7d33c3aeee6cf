//! Faults that a simulator can be told to show: what they are, how the control call writes them, and whose turn it is.

use std::time::Duration;

use serde_json::Value;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; the answer has this HTTP status (400 to 599) and, if given, `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// The call is carried out, then the connection is closed without a byte of answer.
    DropAfterApply,
    /// Nothing is done; the connection is closed without a byte of answer.
    DropBefore,
    /// Nothing is done; the connection stays open without an answer until the client leaves, at most 120 s.
    Timeout,
    /// The call is carried out; then as [`Fault::Timeout`].
    TimeoutAfterApply,
    /// The call is carried out; the answer is HTTP 200 with the vendor's media type and an unreadable body.
    Garbage,
    /// Nothing is done; the answer is HTTP 200 with the HTML page of a proxy.
    Html,
    /// The call is carried out at once, the answer leaves this much later.
    Slow(Duration),
    /// Nothing is done; the API's own business refusal with this text.
    ///
    /// NetSapiens answers 400, unless the text starts with a status: `409 UID already exists.`. CRM.COM answers a code of
    /// its own, unless the text starts with one: `COM.CRM.EXCEPTION.USERS.USERNOTFOUNDEXCEPTION No such user`.
    Refuse(String),
    /// Nothing is done; the API's own business refusal quotes the credentials that the call carried, as careless servers do.
    Echo,
}

/// The forms of a fault in a control call, for error texts.
pub(crate) const FORMS: &str = "status:CODE (400 to 599), drop-after-apply, drop-before-apply, timeout, \
                                timeout-after-apply, garbage, html, slow:MILLISECONDS, refuse:TEXT, echo";

impl Fault {
    /// Reads the form of the control call, such as `status:503` or `refuse:address taken`.
    pub(crate) fn parse(text: &str, retry_after: Option<u32>) -> Option<Self> {
        let (name, argument) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let fault = match (name.trim().to_ascii_lowercase().as_str(), argument) {
            ("status", Some(code)) => {
                let code = code.trim().parse().ok().filter(|code| (400..600).contains(code))?;
                Self::Status(code, retry_after)
            }
            ("drop-after-apply", None) => Self::DropAfterApply,
            ("drop-before-apply" | "drop-before", None) => Self::DropBefore,
            ("timeout", None) => Self::Timeout,
            ("timeout-after-apply", None) => Self::TimeoutAfterApply,
            ("garbage", None) => Self::Garbage,
            ("html", None) => Self::Html,
            ("slow", Some(wait)) => Self::Slow(Duration::from_millis(wait.trim().parse().ok()?)),
            ("echo", None) => Self::Echo,
            ("refuse", Some(reason)) => Self::Refuse(reason.trim().to_owned()),
            _ => return None,
        };
        Some(fault)
    }

    /// The name in the calls log.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Status(code, _) => format!("status:{code}"),
            Self::DropAfterApply => "drop-after-apply".to_owned(),
            Self::DropBefore => "drop-before-apply".to_owned(),
            Self::Timeout => "timeout".to_owned(),
            Self::TimeoutAfterApply => "timeout-after-apply".to_owned(),
            Self::Garbage => "garbage".to_owned(),
            Self::Html => "html".to_owned(),
            Self::Slow(wait) => format!("slow:{}", wait.as_millis()),
            Self::Refuse(reason) => format!("refuse:{reason}"),
            Self::Echo => "echo".to_owned(),
        }
    }
}

/// A fault that waits for its calls.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// How many calls are still to be hit.
    pub(crate) left: u32,
    pub(crate) fault: Fault,
    /// Operation names as the vendor writes them; empty means any call.
    pub(crate) operations: Vec<String>,
}

/// The faults that wait, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Order>);

impl Faults {
    pub(crate) fn add(&mut self, order: Order) {
        if order.left > 0 {
            self.0.push(order);
        }
    }

    /// Takes the fault for a call of `operation`: the first order that fits has one call less.
    pub(crate) fn take(&mut self, operation: &str) -> Option<Fault> {
        let fits = |order: &Order| order.operations.is_empty() || order.operations.iter().any(|name| name == operation);
        let index = self.0.iter().position(fits)?;
        let order = self.0.get_mut(index)?;
        order.left -= 1;
        let fault = order.fault.clone();
        if order.left == 0 {
            self.0.remove(index);
        }
        Some(fault)
    }
}

/// Finds the vendor's operations that `text` means, forgivingly: letter case, a trailing `.asp`, leading and trailing
/// slashes and the placeholders of a path do not matter, and the method may be left out.
///
/// `NewUser` is `NewUser.asp`; `post users` is `POST users`; `PUT users` is `PUT users/{user}`; `users/create` is
/// itself. An exact name wins over a looser reading, so `GET users` is only the list.
pub(crate) fn operations_named<'a>(text: &str, known: &[&'a str]) -> Vec<&'a str> {
    let wanted = fold(text);
    let readings: [fn(&str) -> String; 4] = [
        fold,
        |name| without_placeholders(&fold(name)),
        |name| without_method(&fold(name)),
        |name| without_placeholders(&without_method(&fold(name))),
    ];
    for reading in readings {
        let found: Vec<&str> = known.iter().copied().filter(|name| reading(name) == wanted).collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn fold(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.trim_matches('/').to_ascii_lowercase().trim_end_matches(".asp").to_owned())
        .collect();
    words.join(" ")
}

fn without_placeholders(name: &str) -> String {
    name.split('/').filter(|part| !part.starts_with('{')).collect::<Vec<_>>().join("/")
}

fn without_method(name: &str) -> String {
    name.split_once(' ').map_or(name, |(_, path)| path).to_owned()
}

/// Reads the body of `POST /_sim/faults`; the error text says what is allowed.
pub(crate) fn parse_order(body: &Value, known: &[&str]) -> Result<Order, String> {
    let members = body.as_object().ok_or("the body must be a JSON object")?;
    for name in members.keys() {
        if !["next", "fault", "retry_after", "operation"].contains(&name.as_str()) {
            return Err(format!("unknown member '{name}'"));
        }
    }
    let left = match members.get("next") {
        None => 1,
        Some(value) => {
            let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
            count.ok_or("'next' must be a positive whole number of calls")?
        }
    };
    let retry_after = match members.get("retry_after") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
            Some(seconds.ok_or("'retry_after' must be a whole number of seconds")?)
        }
    };
    let text = members.get("fault").and_then(Value::as_str).ok_or("'fault' is required and must be a string")?;
    let fault = Fault::parse(text, retry_after).ok_or_else(|| format!("unknown fault '{text}'"))?;
    let operations = match members.get("operation") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => {
            let text = value.as_str().ok_or("'operation' must be a string")?;
            let found = operations_named(text, known);
            if found.is_empty() {
                return Err(format!("unknown operation '{text}'"));
            }
            found.into_iter().map(str::to_owned).collect()
        }
    };
    Ok(Order { left, fault, operations })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["NewUser.asp", "POST users", "GET users", "GET users/{user}", "PUT users/{user}"];

    #[test]
    fn an_operation_is_recognised_however_it_is_written() {
        let check = |text: &str, expected: &[&str]| assert_eq!(operations_named(text, KNOWN), expected, "{text}");
        check("NewUser", &["NewUser.asp"]);
        check("newuser.ASP", &["NewUser.asp"]);
        check("POST users", &["POST users"]);
        check("post  /users/", &["POST users"]);
        check("GET users", &["GET users"]);
        check("get users/{user}", &["GET users/{user}"]);
        check("PUT users", &["PUT users/{user}"]);
        check("users", &["POST users", "GET users"]);
        check("users/{user}", &["GET users/{user}", "PUT users/{user}"]);
        check("DropUser", &[]);
    }

    #[test]
    fn a_fault_is_read_from_its_written_form() {
        let check = |text: &str, expected: Option<Fault>| assert_eq!(Fault::parse(text, Some(7)), expected, "{text}");
        check("status:503", Some(Fault::Status(503, Some(7))));
        check("status:200", None);
        check("status", None);
        check("drop-after-apply", Some(Fault::DropAfterApply));
        check("drop-before-apply", Some(Fault::DropBefore));
        check("timeout", Some(Fault::Timeout));
        check("timeout-after-apply", Some(Fault::TimeoutAfterApply));
        check("garbage", Some(Fault::Garbage));
        check("HTML", Some(Fault::Html));
        check("slow:500", Some(Fault::Slow(Duration::from_millis(500))));
        check("slow:soon", None);
        check("echo", Some(Fault::Echo));
        check("echo:all", None);
        check("refuse:Address taken: choose another", Some(Fault::Refuse("Address taken: choose another".to_owned())));
        check("explode", None);
    }

    #[test]
    fn a_fault_is_used_up_by_the_calls_it_is_meant_for() {
        let mut faults = Faults::default();
        faults.add(Order { left: 2, fault: Fault::Html, operations: vec!["POST users".to_owned()] });
        faults.add(Order { left: 1, fault: Fault::Garbage, operations: Vec::new() });
        assert_eq!(faults.take("GET users"), Some(Fault::Garbage));
        assert_eq!(faults.take("GET users"), None);
        assert_eq!(faults.take("POST users"), Some(Fault::Html));
        assert_eq!(faults.take("POST users"), Some(Fault::Html));
        assert_eq!(faults.take("POST users"), None);
    }
}
