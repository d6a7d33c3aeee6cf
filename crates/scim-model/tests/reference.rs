//! Random PATCH requests against a model of a user and of a group so simple that one can see it is right: a map, a list of
//! addresses, a list of ids. Whatever dialect an operation is written in, both must come to the same.

#![expect(clippy::expect_used, reason = "a test may panic, and so may its helpers")]

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*, sample::select};
use scim_filter::PatchPath;
use scim_model::{
    Catalog, Context, Document, ENTERPRISE_URN, GROUP_URN, Meta, PATCH_URN, Replacement, ResourceType, USER_URN,
    accept, complete, get, patch,
};
use serde_json::{Map, Value, json};

/// A user as plain facts.
#[derive(Debug, Clone, PartialEq)]
struct Person {
    /// Single values by their path.
    singles: BTreeMap<&'static str, String>,
    emails: Vec<Email>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Email {
    value: Option<String>,
    kind: Option<&'static str>,
    is_primary: Option<bool>,
}

impl Email {
    /// Two addresses are the same if they have the same value, in any letter case, for the same type; or nothing at all
    /// distinguishes them.
    fn is_same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Some(value), Some(other_value)) => value.eq_ignore_ascii_case(other_value) && self.kind == other.kind,
            (None, None) => self == other,
            _ => false,
        }
    }

    fn merge(&mut self, sent: Self) {
        self.value = sent.value.or(self.value.take());
        self.kind = sent.kind.or(self.kind);
        self.is_primary = sent.is_primary.or(self.is_primary);
    }

    fn to_json(&self) -> Value {
        let mut parts = Map::new();
        parts.extend(self.value.as_ref().map(|value| ("value".to_owned(), value.as_str().into())));
        parts.extend(self.kind.map(|kind| ("type".to_owned(), kind.into())));
        parts.extend(self.is_primary.map(|is_primary| ("primary".to_owned(), is_primary.into())));
        parts.into()
    }
}

/// Everybody but the one at this place ceases to be primary.
fn only_primary(emails: &mut [Email], kept: usize) {
    for (place, email) in emails.iter_mut().enumerate() {
        if place != kept && email.is_primary == Some(true) {
            email.is_primary = Some(false);
        }
    }
}

fn add(emails: &mut Vec<Email>, sent: Vec<Email>) {
    for email in sent {
        let is_primary = email.is_primary == Some(true);
        let place = emails.iter().position(|known| known.is_same(&email));
        match place {
            Some(place) => emails[place].merge(email),
            None => emails.push(email),
        }
        if is_primary {
            let kept = place.unwrap_or(emails.len() - 1);
            only_primary(emails, kept);
        }
    }
}

/// A list without what is there twice, and without what is nothing.
fn list_of(sent: &[Email]) -> Vec<Email> {
    let mut list = Vec::new();
    add(&mut list, sent.iter().filter(|email| **email != Email::default()).cloned().collect());
    list
}

/// One operation on a user, and how it is written.
#[derive(Debug, Clone)]
enum Act {
    /// Sets a single value, or unassigns it.
    Single {
        path: &'static str,
        value: Option<String>,
        verb: &'static str,
        form: usize,
    },
    AddEmails(Vec<Email>, bool),
    ReplaceEmails(Vec<Email>, bool),
    RemoveEmails,
    /// `remove` with a list: these, whatever their type.
    RemoveListed(Vec<&'static str>),
    /// `emails[type eq "work"]`
    RemoveKind(&'static str),
    /// `emails[type eq "work"]` with an object of parts.
    Element {
        kind: &'static str,
        verb: &'static str,
        value: Option<&'static str>,
        is_primary: Option<bool>,
    },
    /// `emails[type eq "work"].value`
    Value {
        kind: &'static str,
        value: Option<&'static str>,
        verb: &'static str,
        by_key: bool,
    },
    /// `emails[type eq "work"].primary`
    Primary(&'static str),
}

const SINGLES: [&str; 6] = [
    "title",
    "displayName",
    "name.givenName",
    "name.familyName",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
];
const KINDS: [&str; 2] = ["work", "home"];
const VALUES: [&str; 4] = ["a@x", "A@x", "b@x", "c@x"];

fn email() -> impl Strategy<Value = Email> {
    let value = option::weighted(0.9, select(&VALUES[..]).prop_map(str::to_owned));
    (value, option::of(select(&KINDS[..])), option::weighted(0.4, any::<bool>()))
        .prop_map(|(value, kind, is_primary)| Email { value, kind, is_primary })
}

fn act() -> impl Strategy<Value = Act> {
    let verb = || select(vec!["add", "Add", "replace", "REPLACE"]);
    let single = (select(&SINGLES[..]), option::weighted(0.7, "[a-c]{0,2}"), verb(), 0..6_usize)
        .prop_map(|(path, value, verb, form)| Act::Single { path, value, verb, form });
    let kind = || select(&KINDS[..]);
    let value = || option::weighted(0.8, select(&VALUES[..]));
    let element = (kind(), verb(), value(), option::of(any::<bool>()))
        .prop_map(|(kind, verb, value, is_primary)| Act::Element { kind, verb, value, is_primary });
    prop_oneof![
        4 => single,
        3 => (vec(email(), 0..3), any::<bool>()).prop_map(|(emails, by_key)| Act::AddEmails(emails, by_key)),
        2 => (vec(email(), 0..4), any::<bool>()).prop_map(|(emails, by_key)| Act::ReplaceEmails(emails, by_key)),
        1 => Just(Act::RemoveEmails),
        1 => vec(select(&VALUES[..]), 0..3).prop_map(Act::RemoveListed),
        1 => kind().prop_map(Act::RemoveKind),
        2 => element,
        3 => (kind(), value(), verb(), any::<bool>())
            .prop_map(|(kind, value, verb, by_key)| Act::Value { kind, value, verb, by_key }),
        1 => kind().prop_map(Act::Primary),
    ]
}

impl Act {
    /// Does it to the model.
    fn apply(&self, person: &mut Person) {
        let emails = &mut person.emails;
        let places = |emails: &[Email], kind: &str| -> Vec<usize> {
            (0..emails.len()).filter(|place| emails[*place].kind == Some(kind)).collect()
        };
        match self {
            Self::Single { path, value: Some(value), .. } if !value.is_empty() => {
                person.singles.insert(path, value.clone());
            }
            Self::Single { path, .. } => {
                person.singles.remove(path);
            }
            Self::AddEmails(sent, _) => add(emails, list_of(sent)),
            Self::ReplaceEmails(sent, _) => *emails = list_of(sent),
            Self::RemoveEmails => emails.clear(),
            Self::RemoveListed(values) => emails.retain(|email| {
                let is = |value: &&str| email.value.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(value));
                !values.iter().any(is)
            }),
            Self::RemoveKind(kind) => emails.retain(|email| email.kind != Some(*kind)),
            Self::Element { kind, verb, value, is_primary } => {
                let mut selected = places(emails, kind);
                let sent = Email { value: value.map(str::to_owned), kind: None, is_primary: *is_primary };
                if sent == Email::default() {
                    // An empty object is no value: replaced by nothing, it is removed.
                    if !verb.eq_ignore_ascii_case("add") {
                        emails.retain(|email| email.kind != Some(*kind));
                    }
                    return;
                }
                if selected.is_empty() {
                    emails.push(Email { kind: Some(kind), ..Email::default() });
                    selected.push(emails.len() - 1);
                }
                for place in selected {
                    if verb.eq_ignore_ascii_case("replace") {
                        emails[place] = Email { kind: Some(kind), ..Email::default() };
                    }
                    emails[place].merge(sent.clone());
                    if emails[place].is_primary == Some(true) {
                        only_primary(emails, place);
                    }
                }
            }
            Self::Value { kind, value: Some(value), .. } => {
                let mut selected = places(emails, kind);
                if selected.is_empty() {
                    emails.push(Email { kind: Some(kind), ..Email::default() });
                    selected.push(emails.len() - 1);
                }
                selected.into_iter().for_each(|place| emails[place].value = Some((*value).to_owned()));
            }
            // An address that loses its value is none any more.
            Self::Value { kind, value: None, .. } => {
                emails.retain(|email| email.kind != Some(*kind) || email.value.is_none());
            }
            Self::Primary(kind) => {
                let mut selected = places(emails, kind);
                if selected.is_empty() {
                    emails.push(Email { kind: Some(kind), ..Email::default() });
                    selected.push(emails.len() - 1);
                }
                for place in selected {
                    emails[place].is_primary = Some(true);
                    only_primary(emails, place);
                }
            }
        }
    }

    /// Writes it as an operation.
    fn to_json(&self) -> Value {
        let list = |emails: &[Email]| Value::from(emails.iter().map(Email::to_json).collect::<Vec<_>>());
        let listed = |verb: &str, emails: &[Email], by_key: bool| match by_key {
            true => json!({ "op": verb, "value": { "emails": list(emails) } }),
            false => json!({ "op": verb, "path": "emails", "value": list(emails) }),
        };
        match self {
            Self::Single { path, value, verb, form } => single(path, value.as_deref(), verb, *form),
            Self::AddEmails(emails, by_key) => listed("add", emails, *by_key),
            Self::ReplaceEmails(emails, by_key) => listed("replace", emails, *by_key),
            Self::RemoveEmails => json!({ "op": "remove", "path": "emails" }),
            Self::RemoveListed(values) => {
                let values: Vec<Value> = values.iter().map(|value| json!({ "value": value })).collect();
                json!({ "op": "remove", "path": "emails", "value": values })
            }
            Self::RemoveKind(kind) => json!({ "op": "Remove", "path": format!("emails[type eq \"{kind}\"]") }),
            Self::Element { kind, verb, value, is_primary } => {
                let sent = Email { value: value.map(str::to_owned), kind: None, is_primary: *is_primary };
                json!({ "op": verb, "path": format!("emails[type eq \"{kind}\"]"), "value": sent.to_json() })
            }
            Self::Value { kind, value, verb, by_key } => {
                let path = format!("Emails[Type eq \"{kind}\"].value");
                match (by_key, value) {
                    (true, _) => json!({ "op": verb, "value": { path: value } }),
                    (false, Some(_)) => json!({ "op": verb, "path": path, "value": value }),
                    (false, None) => json!({ "op": "remove", "path": path }),
                }
            }
            Self::Primary(kind) => {
                json!({ "op": "replace", "path": format!("emails[type eq \"{kind}\"].primary"), "value": "True" })
            }
        }
    }
}

/// The same change in the words of one dialect or another.
fn single(path: &str, value: Option<&str>, verb: &str, form: usize) -> Value {
    let (urn, name) = match path.strip_prefix(ENTERPRISE_URN) {
        Some(rest) => (ENTERPRISE_URN, &rest[1..]),
        None => (USER_URN, path),
    };
    let whole = format!("{urn}:{name}");
    let nested = match name.split_once('.') {
        Some((name, part)) => json!({ (name): { (part): value } }),
        None => json!({ (name): value }),
    };
    match form {
        0 if value.is_none() => json!({ "op": "remove", "path": path }),
        0 => json!({ "op": verb, "path": path, "value": value }),
        1 => json!({ "op": verb, "path": whole.to_lowercase(), "value": value }),
        2 => json!({ "op": verb, "value": { (path): value } }),
        3 => json!({ "op": verb, "value": { whole: value } }),
        4 if urn == USER_URN => json!({ "op": verb, "value": nested }),
        4 => json!({ "op": verb, "path": urn, "value": nested }),
        _ => json!({ "op": verb, "value": { (urn): nested } }),
    }
}

impl Person {
    /// What a request leaves: an address without a value is none, and none is there twice.
    fn settle(&mut self) {
        self.emails.retain(|email| email.value.is_some());
        self.emails = list_of(&self.emails);
    }

    fn of(user: &ResourceType, document: &Document) -> Self {
        let texts = |path: &str| -> Vec<String> {
            let path = PatchPath::parse(path).expect("it is a path");
            get(document.as_map(), user, &path).into_iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let singles = SINGLES.into_iter().flat_map(|path| texts(path).into_iter().map(move |value| (path, value)));
        let emails = document.get("emails").and_then(Value::as_array).cloned().unwrap_or_default();
        let email = |email: Value| Email {
            value: email["value"].as_str().map(str::to_owned),
            kind: KINDS.into_iter().find(|kind| email["type"] == **kind),
            is_primary: email["primary"].as_bool(),
        };
        Self { singles: singles.collect(), emails: emails.into_iter().map(email).collect() }
    }
}

fn catalog() -> Catalog {
    Catalog::new(Vec::new()).expect("the embedded schemas fit together")
}

fn message(operations: &[Value]) -> Value {
    json!({ "schemas": [PATCH_URN], "Operations": operations })
}

/// Sends operations as one request, and holds it to what holds for every request: it is done wholly or not at all, done
/// again if it says what shall be it changes nothing more, and what a GET shows of the result can be PUT back.
fn send(resource_type: &ResourceType, before: &Document, operations: &[Value]) -> Result<Document, TestCaseError> {
    let body = message(operations);
    let draft = patch(resource_type, before, "u1", &body, Replacement::OfParts);
    let document = draft.map_err(|error| TestCaseError::fail(format!("{body}: {error}")))?.document;

    let mut faulty = operations.to_vec();
    faulty.push(json!({ "op": "replace", "path": "displayName", "value": { "no": "text" } }));
    let error = patch(resource_type, before, "u1", &message(&faulty), Replacement::OfParts);
    let number = format!("Operation {0} of {0}: ", faulty.len());
    prop_assert!(error.is_err_and(|error| error.detail.starts_with(&number)));

    if let [only] = operations
        && !only["op"].as_str().is_some_and(|verb| verb.eq_ignore_ascii_case("add"))
    {
        let again = patch(resource_type, &document, "u1", &body, Replacement::OfParts).map(|draft| draft.document);
        prop_assert_eq!(again.as_ref(), Ok(&document), "{} sent again", body);
    }

    let meta = Meta {
        created: "2026-01-02T03:04:05Z".parse().expect("it is a time"),
        last_modified: "2026-01-02T03:04:05Z".parse().expect("it is a time"),
        version: 3,
        derived: 0,
        location: format!("https://scim.acme.example/scim/v2/{}/u1", resource_type.endpoint),
        resource_type: resource_type.name.clone(),
    };
    let shown = complete(resource_type, "u1", &document, &meta, Map::new());
    let put = accept(resource_type, shown.into(), Context::Replace { current: &document, id: "u1" });
    let text = |document: &Document| Value::from(document.as_map().clone()).to_string();
    prop_assert_eq!(put.map(|draft| text(&draft.document)), Ok(text(&document)), "a PUT of what a GET shows");
    Ok(document)
}

/// One operation on the members of a group, and how it is written.
#[derive(Debug, Clone)]
enum GroupAct {
    Add(Vec<&'static str>, usize),
    Remove(Vec<&'static str>, usize),
    Replace(Vec<&'static str>, usize),
    Rename(&'static str),
}

fn group_act() -> impl Strategy<Value = GroupAct> {
    let ids = || vec(select(vec!["u1", "u2", "u3", "U1", "g7"]), 0..4);
    prop_oneof![
        3 => (ids(), 0..4_usize).prop_map(|(ids, form)| GroupAct::Add(ids, form)),
        3 => (ids(), 0..4_usize).prop_map(|(ids, form)| GroupAct::Remove(ids, form)),
        1 => (ids(), 0..4_usize).prop_map(|(ids, form)| GroupAct::Replace(ids, form)),
        1 => select(vec!["Sales", "Support"]).prop_map(GroupAct::Rename),
    ]
}

impl GroupAct {
    fn apply(&self, name: &mut &'static str, members: &mut Vec<&'static str>) {
        let add = |ids: &[&'static str], members: &mut Vec<&'static str>| {
            for id in ids {
                if !members.contains(id) {
                    members.push(id);
                }
            }
        };
        match self {
            Self::Add(ids, _) => add(ids, members),
            Self::Remove(ids, _) => members.retain(|id| !ids.contains(id)),
            Self::Replace(ids, _) => {
                members.clear();
                add(ids, members);
            }
            Self::Rename(to) => *name = to,
        }
    }

    fn to_json(&self) -> Value {
        let elements = |ids: &[&str], form: usize| -> Value {
            match (form, ids) {
                (1, [id]) => json!({ "value": id }),
                (2, _) => ids.into(),
                _ => ids.iter().map(|id| json!({ "value": id, "$ref": null })).collect::<Vec<_>>().into(),
            }
        };
        let write = |verb: &str, ids: &[&str], form: usize| match form {
            3 => json!({ "op": verb, "value": { (format!("{GROUP_URN}:members")): elements(ids, 0) } }),
            _ => json!({ "op": verb, "path": "members", "value": elements(ids, form) }),
        };
        match self {
            Self::Add(ids, form) => write("Add", ids, *form),
            Self::Replace(ids, form) => write("replace", ids, *form),
            Self::Remove(ids, 3) if !ids.is_empty() => {
                let filters: Vec<String> = ids.iter().map(|id| format!("value eq \"{id}\"")).collect();
                json!({ "op": "remove", "path": format!("members[{}]", filters.join(" or ")) })
            }
            Self::Remove(ids, form) => write("remove", ids, form % 3),
            Self::Rename(name) => json!({ "op": "replace", "value": { "id": "u1", "displayName": name } }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_user_becomes_what_the_operations_say_in_any_dialect(requests in vec(vec(act(), 1..5), 1..6)) {
        let catalog = catalog();
        let user = catalog.resource_type("User").expect("there are users");
        let body = json!({ "userName": "jo@corp.example", "emails": [{ "value": "a@x", "type": "work", "primary": true }] });
        let mut document = accept(user, body, Context::Create).expect("the body is fine").document;
        let mut person = Person::of(user, &document);
        for acts in requests {
            let operations: Vec<Value> = acts.iter().map(Act::to_json).collect();
            document = send(user, &document, &operations)?;
            acts.iter().for_each(|act| act.apply(&mut person));
            person.settle();
            prop_assert_eq!(Person::of(user, &document), person.clone(), "{}", message(&operations));
        }
    }

    #[test]
    fn a_group_has_the_members_that_the_operations_say(requests in vec(vec(group_act(), 1..5), 1..6)) {
        let catalog = catalog();
        let group = catalog.resource_type("Group").expect("there are groups");
        let body = json!({ "displayName": "Sales", "members": [{ "value": "u1" }] });
        let mut document = accept(group, body, Context::Create).expect("the body is fine").document;
        let (mut name, mut members) = ("Sales", vec!["u1"]);
        for acts in requests {
            let operations: Vec<Value> = acts.iter().map(GroupAct::to_json).collect();
            document = send(group, &document, &operations)?;
            acts.iter().for_each(|act| act.apply(&mut name, &mut members));
            let stored = document.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
            let ids: Vec<&str> = stored.iter().filter_map(|member| member["value"].as_str()).collect();
            prop_assert_eq!((document.text("displayName"), ids), (Some(name), members.clone()), "{}", message(&operations));
        }
    }
}
