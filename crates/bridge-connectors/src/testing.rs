//! What the table tests of all targets share: accounts and keys from JSON, and plans as lines of text.

use bridge_mapping::{Account, FieldValue, TargetKind};
use serde_json::{Value, json};
use url::Url;

use crate::{AccountKeys, Existence, Observed, Plan};

/// An account of these fields; `{"secret": "generated"}` is a secret.
pub(crate) fn account(kind: TargetKind, fields: &Value) -> Account {
    let mut account = Account::new(kind);
    for (name, value) in fields.as_object().unwrap() {
        account.fields.insert(name.clone(), serde_json::from_value::<FieldValue>(value.clone()).unwrap());
    }
    account
}

/// Keys of the SCIM id `scim-1`.
pub(crate) fn keys(remote_id: Option<&str>) -> AccountKeys {
    AccountKeys { remote_id: remote_id.map(str::to_owned), marker: "scim-1".to_owned(), ..AccountKeys::default() }
}

/// A present account as last seen.
pub(crate) fn present(remote_id: &str, active: Option<bool>, fields: &Value) -> Observed {
    Observed {
        existence: Existence::Present,
        remote_id: Some(remote_id.to_owned()),
        active,
        fields: serde_json::from_value(fields.clone()).unwrap(),
        ..Observed::default()
    }
}

/// A plan as lines: calls as they would be printed, tasks by code and fields, then what is kept and the key that differs.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let base = Url::parse("https://target.example/").unwrap();
    let calls = plan.calls.iter().map(|call| {
        let masked = call.masked(&base);
        let path = masked.url.trim_start_matches("https://target.example/");
        format!("{} {path} {}", masked.method.as_str(), masked.body)
    });
    let tasks = plan.tasks.iter().map(|task| format!("task {} {}", task.code, task.fields.join(",")).trim().to_owned());
    let keep = plan.keep.iter().map(|keep| format!("keep {}", json!(keep)));
    let rekey = plan.rekey.iter().map(|rekey| format!("rekey {} {} {}", rekey.field, rekey.from, rekey.to));
    calls.chain(tasks).chain(keep).chain(rekey).collect()
}

/// What the account looks like after all calls of a plan have succeeded.
pub(crate) fn after(plan: &Plan, mut observed: Observed) -> Observed {
    for call in &plan.calls {
        observed.apply(&call.effect);
    }
    observed
}
