//! One user's accounts as lines for a person: the state of each, why, and the commands that change it.

use serde_json::Value;

use super::client::cell;

/// The lines. `bridge` is how a command says where the bridge is.
pub(super) fn lines(shown: &Value, bridge: &str) -> Vec<String> {
    let text = |name: &str| cell(&shown[name]);
    let activity = if shown["active"] == true { "active" } else { "inactive" };
    let mut lines = vec![format!(
        "{} ({}) in tenant {}: {}, {activity}",
        text("userName"),
        text("resource"),
        text("tenant"),
        text("resourceState")
    )];
    for account in list(&shown["accounts"]) {
        lines.push(String::new());
        lines.extend(account_lines(account, bridge));
    }
    if let [_, ..] = list(&shown["notUnderstood"]) {
        lines.push(String::new());
    }
    for one in list(&shown["notUnderstood"]) {
        let (attribute, request, received) = (cell(&one["attribute"]), cell(&one["request"]), cell(&one["received"]));
        lines.push(format!(
            "not understood: {attribute}: no schema has it; sent with the request {request} at {received}"
        ));
    }
    lines
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn account_lines(account: &Value, bridge: &str) -> Vec<String> {
    let text = |name: &str| cell(&account[name]);
    let mut lines = vec![format!("{}: {}, remote id {}", text("target"), text("state"), text("remoteId"))];
    if !account["reason"].is_null() {
        lines.push(format!("  {}", text("reason")));
    }
    if !account["next"].is_null() {
        lines.push(format!("  next attempt: {}", text("next")));
    }
    let (resource, target, tenant) = (text("resource"), text("target"), text("tenant"));
    let command = |name: &str, options: &str| {
        format!("    scim-bridge {name} {resource} {target}{options} --tenant {tenant}{bridge}")
    };
    let candidate = &account["candidate"];
    if !candidate.is_null() {
        let remote_id = cell(&candidate["remoteId"]);
        let keys = candidate["keys"].as_object().into_iter().flatten();
        let keys: String = keys.map(|(name, value)| format!(", {name} = {}", cell(value))).collect();
        lines.push(format!("  candidate, found at the target: remote id {remote_id}{keys}"));
        match account["heldBy"].as_str() {
            Some(holder) => {
                lines
                    .push(format!("  it is the account of the user {holder} here; if it is to be this user's, first:"));
                lines.push(format!("    scim-bridge account drop {holder} {target} --tenant {tenant}{bridge}"));
                lines.push("  and then:".to_owned());
            }
            None => lines.push("  if it is this user's:".to_owned()),
        }
        lines.push(command("account release", ""));
        lines.push("  if this user has another account there:".to_owned());
        lines.push(command("link set", " --remote-id ITS-REMOTE-ID"));
    } else {
        match account["state"].as_str() {
            Some("parked") => lines.extend(["  once the reason is gone:".to_owned(), command("account retry", "")]),
            Some("held") => lines.extend(["  to let it go:".to_owned(), command("account release", "")]),
            Some("task") => lines.extend(["  once it is done:".to_owned(), command("task done", "")]),
            _ => {}
        }
    }
    for one in list(&account["leftOut"]) {
        let what = if one["refused"] == true { "refused" } else { "left out" };
        let (field, message, code) = (cell(&one["field"]), cell(&one["message"]), cell(&one["code"]));
        lines.push(format!("  {what}: {field}: {message} [{code}]"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_for_a_person_is_shown_with_the_command_that_moves_it() {
        let check = |state: &str, command: Option<&str>| {
            let account = json!({
                "tenant": "acme", "resource": "u1", "target": "pbx", "state": state, "remoteId": "1400",
                "reason": { "code": "some-code", "text": "some text" }
            });
            let printed = account_lines(&account, " --config bridge.toml").join("\n");
            assert!(printed.starts_with(&format!("pbx: {state}, remote id 1400\n  some-code: some text")), "{printed}");
            let expected = command.map(|name| format!("scim-bridge {name} u1 pbx --tenant acme --config bridge.toml"));
            assert_eq!(printed.lines().nth(3).map(str::trim), expected.as_deref(), "{printed}");
        };
        check("parked", Some("account retry"));
        check("held", Some("account release"));
        check("task", Some("task done"));
        check("settled", None);
    }
}
