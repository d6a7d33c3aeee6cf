//! Whether the simulators hold what the identity providers asked for, as far as each API can.

use bridge_store::AccountState;
use serde_json::Value;

use super::samples::{End, Person, Sent};
use super::stage::Stage;
use crate::cli::table::row;

/// How one account of one person stands.
pub(super) struct Verdict {
    person: &'static str,
    /// For the table: what the target holds.
    holds: String,
    /// What is wrong, in a sentence.
    pub(super) wrong: Option<String>,
}

/// Looks at every account of everybody, person by person, target by target.
pub(super) async fn judge(stage: &Stage, people: &[Person], sent: &Sent) -> anyhow::Result<Vec<Verdict>> {
    let rows = stage.accounts().await?;
    let simulators = &stage.simulators;
    let (glance, pbx, crm) =
        (simulators.glance.accounts(), simulators.netsapiens.accounts(), simulators.crm_com.accounts());
    let mut verdicts = Vec::new();
    for person in people {
        let id = sent.id(person.key).unwrap_or_default();
        let targets = [
            ("glance", at_glance(person, find(&glance, "PartnerUserID", id))),
            ("netsapiens", at_pbx(person, find(&pbx, "login-username", person.user_name))),
            ("crm_com", at_crm(person, find(&crm, "udf_string_1", id))),
        ];
        for (target, (holds, is_right)) in targets {
            let row = rows.iter().find(|row| row.id == id && row.account.target == target);
            let task = person.crm_task.filter(|_| target == "crm_com");
            let (state, is_expected) = row.map_or(("unknown".to_owned(), false), |row| {
                let code = row.account.reason.as_ref().map(|reason| reason.code.as_str());
                standing(row.account.state, code, task)
            });
            let wrong =
                (!is_right || !is_expected).then(|| format!("{target}, {}: {holds} ({state})", person.user_name));
            verdicts.push(Verdict { person: person.key, holds: format!("{holds} ({state})"), wrong });
        }
    }
    Ok(verdicts)
}

/// The state of an account for the table, and whether it is the one that must come of this sample: settled, or the very task
/// by which the bridge says that this API cannot do it.
fn standing(state: AccountState, code: Option<&str>, task: Option<&str>) -> (String, bool) {
    let code = code.unwrap_or_default();
    match (state, task) {
        (AccountState::Task, Some(task)) if code == task => (format!("task {code}, as expected"), true),
        (AccountState::Task, _) => (format!("task {code}"), false),
        (AccountState::Settled, None) => (state.to_string(), true),
        (state, Some(task)) => (format!("{state}, expected the task {task}"), false),
        (state, None) => (state.to_string(), false),
    }
}

/// The verdicts as a table, one line per person.
pub(super) fn rows(people: &[Person], verdicts: &[Verdict]) -> Vec<Vec<String>> {
    let head = row(["user", "identity provider", "glance", "netsapiens", "crm_com"]);
    let line = |person: &Person| {
        let end = match person.end {
            End::Active => "active",
            End::Inactive => "deactivated",
            End::Deleted => "deleted",
        };
        let mut line = row([person.user_name, end]);
        line.extend(
            verdicts.iter().filter(|verdict| verdict.person == person.key).map(|verdict| verdict.holds.clone()),
        );
        line
    };
    std::iter::once(head).chain(people.iter().map(line)).collect()
}

fn find<'a>(accounts: &'a [Value], field: &str, value: &str) -> Option<&'a Value> {
    accounts.iter().find(|account| account[field].as_str().is_some_and(|text| text.eq_ignore_ascii_case(value)))
}

fn text<'a>(account: &'a Value, field: &str) -> &'a str {
    account[field].as_str().unwrap_or_default()
}

/// Glance can do everything; a deleted user is suspended there.
fn at_glance(person: &Person, account: Option<&Value>) -> (String, bool) {
    let Some(account) = account else { return ("nothing".to_owned(), false) };
    let is_suspended = account["UserSuspended"].as_bool() == Some(true);
    let is_named = text(account, "UserFirst") == person.given_name && text(account, "UserLast") == person.family_name;
    let holds = format!("{}{}", text(account, "UserAddress"), if is_suspended { ", suspended" } else { "" });
    (holds, is_named && is_suspended == (person.end != End::Active))
}

/// The PBX loses the extension of a deleted user; an inactive one keeps it without portal and calls.
fn at_pbx(person: &Person, account: Option<&Value>) -> (String, bool) {
    let Some(account) = account else { return ("gone".to_owned(), person.end == End::Deleted) };
    let is_suspended = text(account, "user-scope").trim() == "No Portal";
    let is_named =
        text(account, "name-first-name") == person.given_name && text(account, "name-last-name") == person.family_name;
    let holds = format!("extension {}{}", text(account, "user"), if is_suspended { ", suspended" } else { "" });
    (holds, person.end != End::Deleted && is_named && is_suspended == (person.end == End::Inactive))
}

/// CRM.COM as sold creates users and nothing more: what changes later is a task for a person.
fn at_crm(person: &Person, account: Option<&Value>) -> (String, bool) {
    let Some(account) = account else { return ("nothing".to_owned(), false) };
    let is_active = account["active"].as_bool() == Some(true);
    (text(account, "username").to_owned(), is_active || person.end != End::Active)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_task_is_right() {
        let check = |state: AccountState, code: Option<&str>, task: Option<&str>, expected: bool| {
            assert_eq!(standing(state, code, task).1, expected, "{state} {code:?} {task:?}");
        };
        check(AccountState::Settled, None, None, true);
        check(AccountState::Task, Some("cannot-update"), Some("cannot-update"), true);
        check(AccountState::Task, Some("cannot-suspend"), Some("cannot-update"), false);
        check(AccountState::Task, Some("cannot-update"), None, false);
        check(AccountState::Settled, None, Some("cannot-update"), false);
        check(AccountState::Parked, Some("conflict"), None, false);
    }
}
