//! One HTTP call as the simulated APIs see it, and their answer.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// What stands in the calls log in place of a credential or password.
pub(crate) const MASK: &str = "***";

/// The parameters that sign a call, as the three APIs name them.
const CREDENTIALS: &[&str] = &["PartnerPW", "PartnerAuth", "token"];

/// A call as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// Upper case.
    pub(crate) method: String,
    /// As sent, still percent-encoded.
    pub(crate) path: String,
    /// As sent, without the question mark.
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The pairs of the query string, decoded.
    pub(crate) fn query_pairs(&self) -> Vec<(String, String)> {
        form_pairs(self.query.as_bytes())
    }

    /// The pairs of a form body, decoded; empty when the body is not declared as a form.
    pub(crate) fn form_pairs(&self) -> Vec<(String, String)> {
        if self.has_content_type("application/x-www-form-urlencoded") { form_pairs(&self.body) } else { Vec::new() }
    }

    /// Whether `Content-Type` is `media_type`, whatever its parameters and letter case.
    pub(crate) fn has_content_type(&self, media_type: &str) -> bool {
        let declared = self.content_type.as_deref().unwrap_or_default();
        declared.split(';').next().is_some_and(|declared| declared.trim().eq_ignore_ascii_case(media_type))
    }

    /// What the call was signed with, as sent.
    pub(crate) fn credentials(&self) -> Vec<String> {
        let header = self.authorization.iter().filter_map(|value| value.split_whitespace().last()).map(str::to_owned);
        let body: Map<String, Value> = serde_json::from_slice(&self.body).unwrap_or_default();
        let members = body.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
        let pairs = self.query_pairs().into_iter().chain(self.form_pairs()).chain(members);
        let signs = |name: &str| CREDENTIALS.iter().any(|known| known.eq_ignore_ascii_case(name));
        header.chain(pairs.filter(|(name, _)| signs(name)).map(|(_, value)| value)).collect()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The path's segments below `base`, decoded; `None` when the path does not start with `base`.
    pub(crate) fn segments(&self, base: &str) -> Option<Vec<String>> {
        let rest = self.path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        Some(
            rest.trim_matches('/').split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into()).collect(),
        )
    }
}

fn form_pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Pairs as a JSON object for the calls log, the values of `secrets` (compared without letter case) masked.
pub(crate) fn masked_pairs(pairs: Vec<(String, String)>, secrets: &[&str]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| masked_pair(name, Value::String(value), secrets)).collect()
}

/// A JSON body for the calls log, the values of `secrets` masked at every depth.
pub(crate) fn masked_json(value: Value, secrets: &[&str]) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| masked_pair(name, value, secrets)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| masked_json(item, secrets)).collect()),
        other => other,
    }
}

fn masked_pair(name: String, value: Value, secrets: &[&str]) -> (String, Value) {
    let value = if secrets.iter().any(|secret| secret.eq_ignore_ascii_case(&name)) {
        Value::from(MASK)
    } else {
        masked_json(value, secrets)
    };
    (name, value)
}

/// An answer, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// One further header.
    pub(crate) header: Option<(&'static str, String)>,
    /// The API's verdict, for the calls log.
    pub(crate) outcome: String,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value, outcome: impl Into<String>) -> Self {
        Self { status, content_type: "application/json", body: body.to_string(), header: None, outcome: outcome.into() }
    }

    pub(crate) fn xml(body: String, outcome: impl Into<String>) -> Self {
        Self { status: 200, content_type: "text/xml", body, header: None, outcome: outcome.into() }
    }

    /// The page of a web server or proxy that stands in front of the API.
    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body =
            format!("<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
        Self { status, content_type: "text/html; charset=utf-8", body, header: None, outcome: title.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_at_every_depth_and_in_any_letter_case() {
        let body = json!({"token": "t", "user": {"Password": ["p"], "name": "n"}, "list": [{"password": 1}]});
        let masked = masked_json(body, &["TOKEN", "password"]);
        assert_eq!(
            masked,
            json!({"token": "***", "user": {"Password": "***", "name": "n"}, "list": [{"password": "***"}]})
        );
    }

    #[test]
    fn path_segments_are_decoded_one_by_one() {
        let request = Request { path: "/base/a%2Fb/c".to_owned(), ..Request::default() };
        assert_eq!(request.segments("/base"), Some(vec!["a/b".to_owned(), "c".to_owned()]));
        assert_eq!(request.segments("/other"), None);
        assert_eq!(request.segments("/ba"), None);
    }
}
