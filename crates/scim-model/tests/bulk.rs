//! Bulk requests as RFC 7644 section 3.7 shows them and as clients write them, from `fixtures/rfc/bulk.json`.

#![expect(clippy::expect_used, reason = "a test may panic, and so may its helpers")]

use scim_model::{
    Catalog,
    bulk::{Action, Entry, Operation, Request, ResourceId},
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    source: String,
    requests: Vec<Case>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    says: String,
    body: Value,
    fail_on_errors: Option<usize>,
    /// Method, endpoint, resource and version of each, or the status of its error.
    entries: Vec<String>,
    order: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Refused {
    says: String,
    body: Value,
    status: u16,
    scim_type: Option<String>,
}

fn fixture() -> Fixture {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../fixtures/rfc/bulk.json")).expect("the file is of this form");
    assert!(!fixture.source.is_empty());
    fixture
}

fn read(body: Value) -> Result<Request, scim_model::ScimError> {
    let catalog = Catalog::new(Vec::new()).expect("the embedded schemas fit together");
    Request::read(body, &catalog, "https://scim.corp.example/v2", 13)
}

fn text(entry: &Entry) -> String {
    let Operation { endpoint, action, if_match, .. } = match &entry.operation {
        Ok(operation) => operation,
        Err(why) => return why.status.to_string(),
    };
    let version = if_match.iter().map(|version| format!(" {version}")).collect::<String>();
    match action {
        Action::Create(_) => format!("POST {endpoint}{version}"),
        Action::Change(ResourceId::Known(id), change) => format!("{} {endpoint}/{id}{version}", change.method()),
        Action::Change(ResourceId::Created(name), change) => {
            format!("{} {endpoint}/bulkId:{name}{version}", change.method())
        }
    }
}

#[test]
fn a_bulk_request_is_read_operation_by_operation() {
    for Case { says, body, fail_on_errors, entries, order } in fixture().requests {
        let request = read(body).expect(&says);
        assert_eq!(request.entries.iter().map(text).collect::<Vec<_>>(), entries, "{says}");
        assert_eq!(request.fail_on_errors, fail_on_errors, "{says}");
        assert_eq!(request.order(), order, "{says}");
    }
}

#[test]
fn what_is_no_bulk_request_or_too_long_is_refused_whole() {
    for Refused { says, body, status, scim_type } in fixture().refused {
        let error = read(body).expect_err(&says);
        let found = error.scim_type.map(|scim_type| scim_type.to_string());
        assert_eq!((error.status, found), (status, scim_type), "{says}");
    }
}

#[test]
fn an_answer_repeats_method_and_name_even_of_what_cannot_be_meant() {
    let body = serde_json::json!({"Operations": [{"method": "get", "path": 7, "bulkId": "ada"}]});
    let request = read(body).expect("the message is fine");
    let Entry { method, bulk_id, operation } = &request.entries[0];
    assert_eq!((method.as_deref(), bulk_id.as_deref()), (Some("GET"), Some("ada")));
    assert!(operation.is_err());
}
