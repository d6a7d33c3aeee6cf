//! An answer of the bridge, and what a test expects of it.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer as a client sees it.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: HeaderMap,
    /// The body; null if there is none.
    pub body: Value,
}

impl Answer {
    /// Sends a request and reads the answer. A body must be JSON.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("the bridge answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("the answer is whole");
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in the answer {text:?}")),
        };
        Self { status, headers, body }
    }

    /// Expects a status.
    #[track_caller]
    pub fn has_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    /// Expects a SCIM error whose detail names all of these.
    #[track_caller]
    pub fn names(self, words: &[&str]) -> Self {
        let detail = self.detail().to_owned();
        for word in words {
            assert!(detail.contains(word), "the detail {detail:?} does not name {word:?}");
        }
        self
    }

    /// The detail of a SCIM error.
    #[track_caller]
    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_else(|| panic!("no detail in {:#}", self.body))
    }

    /// The keyword of a SCIM error, empty if there is none.
    pub fn scim_type(&self) -> &str {
        self.body["scimType"].as_str().unwrap_or_default()
    }

    /// The id of the resource in the body.
    #[track_caller]
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {:#}", self.body)).to_owned()
    }

    /// A header, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
