//! Two thousand requests that nobody planned: whatever arrives at any address, the answer is SCIM, a refusal says what is
//! wrong, and nothing is a failure of the bridge.
//!
//! Requests are made of good ones by changing them at random. What went wrong is made smaller and printed with the seed;
//! `PROPTEST_RNG_SEED=<seed> cargo test -p bridge-tests --test generative` sends the same again.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic: that is how it fails")]

use std::cell::RefCell;

use bridge_tests::replay::{SCIM_JSON, check_always};
use bridge_tests::samples::{entra_user, okta_user};
use bridge_tests::{Answer, Bridge, Setup};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

/// How many requests are sent.
const REQUESTS: u32 = 2000;

/// How many tries are spent on making a failure smaller.
const SHRINKING: u32 = 300;

/// Stands in addresses and bodies for the id of some resource that is there, or was.
const ID: &str = "{id}";

/// A request before the ids are filled in.
#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    path: String,
    query: Option<String>,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Option<Vec<u8>>,
    /// Which of the known ids are meant.
    id: Index,
}

fn request() -> impl Strategy<Value = Request> {
    let odd_method = select(vec!["OPTIONS", "HEAD", "TRACE", "PROPFIND", "get"]);
    let method = prop_oneof![12 => select(vec!["GET", "POST", "PUT", "PATCH", "DELETE"]), 1 => odd_method];
    let unfitting = (method, path(), body());
    // Else most bodies would miss the address that reads them.
    let fitting = prop_oneof![
        4 => create().prop_map(|body| ("POST", body)),
        3 => create().prop_map(|body| ("PUT", body)),
        6 => change().prop_map(|body| ("PATCH", body)),
        4 => bulk().prop_map(|body| ("BULK", body)),
        3 => search().prop_map(|body| ("SEARCH", body)),
    ];
    let type_name = select(vec!["Users", "Users", "Groups"]);
    let fitting = (fitting, type_name, mutations()).prop_map(|((kind, body), name, mutations)| {
        let home = if body.get("userName").is_some() { "Users" } else { "Groups" };
        let body = Some(mutated(body, &mutations));
        match kind {
            "BULK" => ("POST", "/Bulk".to_owned(), body),
            "SEARCH" => ("POST", format!("/{name}/.search"), body),
            "POST" => ("POST", format!("/{home}"), body),
            "PUT" => ("PUT", format!("/{home}/{ID}"), body),
            _ => (kind, format!("/{name}/{ID}"), body),
        }
    });
    let listed = select(vec!["/Users", "/Groups", "/Users/{id}", "/Groups/{id}", "", "/Schemas"])
        .prop_map(|path| ("GET", path.to_owned(), None));
    let unfitting = (unfitting, option::weighted(0.3, query()));
    let fitting = (fitting, option::weighted(0.1, query()));
    let listed = (listed, option::weighted(0.9, query()));
    let target = prop_oneof![2 => unfitting, 4 => fitting, 3 => listed];
    let headers = prop_oneof![2 => Just(Vec::new()), 1 => vec(header(), 1..4)];
    (target, headers, any::<Index>()).prop_map(|(((method, path, body), query), headers, id)| Request {
        method,
        path,
        query,
        headers,
        body,
        id,
    })
}

/// Addresses that there are, and such as there are not.
fn path() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        "/Users",
        "/Groups",
        "/users",
        "/Users/{id}",
        "/Groups/{id}",
        "/Users/.search",
        "/Groups/.search",
        "/.search",
        "/Bulk",
        "/Me",
        "/Schemas",
        "/ResourceTypes",
        "/ResourceTypes/User",
        "/ServiceProviderConfig",
        "/ServiceConfiguration",
        "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
    ]);
    let odd = select(vec![
        "/",
        "//Users",
        "/Users/",
        "/Users//",
        "/Users/%00",
        "/Users/%2F",
        "/Users/%zz",
        "/Users/%ff%fe",
        "/Users/%",
        "/Users/..%2fGroups",
        "/Users/%25",
        "/Users/é",
        "/Users/%F0%9F%98%80",
        "/Users/{id}/emails",
        "/Users/{id}%20",
        "/Users/bulkId:x",
        "/Devices",
        "/Devices/{id}",
        "/Bulk/{id}",
        "/Me/{id}",
        "/Schemas/%00",
        "/.search/x",
        "/Users;a=b",
        "/Users/'%20or%201=1--",
        "/%55sers",
        "/ResourceTypes/%F0%9F%98%80",
    ]);
    let long = (1..3000_usize).prop_map(|length| format!("/Users/{}", "a".repeat(length)));
    prop_oneof![6 => known.prop_map(str::to_owned), 4 => odd.prop_map(str::to_owned), 1 => long]
}

/// Good query strings with letters taken out and put in.
fn query() -> impl Strategy<Value = String> {
    let part = select(vec![
        "filter=userName%20eq%20%22ann@acme.example%22",
        "filter=emails[type%20eq%20%22work%22%20and%20value%20co%20%22acme%22]",
        "filter=not%20(title%20pr)%20or%20meta.lastModified%20gt%20%222026-01-01T00:00:00Z%22",
        "filter=members.value+eq+%22{id}%22",
        "filter=groups.display+sw+%22S%22",
        "filter=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department%20ne%20null",
        "filter=urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User:targets[state%20eq%20%22settled%22]",
        "filter=active%20eq%20True",
        "filter=",
        "filter=((((((((((((((((((((((((((((((((((userName%20pr))))))))))))))))))))))))))))))))))",
        "startIndex=2",
        "startIndex=-99999999999999999999",
        "startIndex=18446744073709551615",
        "count=0",
        "count=1000000000000000000000",
        "count=x",
        "cursor",
        "cursor=",
        "cursor=AAAA",
        "cursor=%00",
        "cursor&count=1",
        "sortBy=userName&sortOrder=descending",
        "sortBy=emails.value",
        "sortBy=meta.created",
        "sortBy=password",
        "sortBy=name",
        "sortBy=x509Certificates",
        "sortOrder=sideways",
        "attributes=userName,emails.value",
        "attributes=id",
        "attributes=%2C%2C",
        "excludedAttributes=members",
        "excludedAttributes=id,schemas,meta",
        "attributes=urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User",
        "%ff=%fe",
        "&&==",
        "?",
    ]);
    let letter =
        select(vec!["%", "%00", "%22", "\"", "[", "]", "(", "+", "&", "=", "\\", "%5C", "é", "%C3", " ", ".", ":"]);
    let edit = (any::<Index>(), option::of(letter));
    (vec(part, 1..3), vec(edit, 0..3)).prop_map(|(parts, edits)| {
        let mut letters: Vec<String> = parts.join("&").chars().map(String::from).collect();
        for (at, letter) in edits {
            let at = at.index(letters.len().max(1));
            match letter {
                Some(letter) => letters.insert(at.min(letters.len()), letter.to_owned()),
                None if !letters.is_empty() => drop(letters.remove(at)),
                None => {}
            }
        }
        letters.concat()
    })
}

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let values = vec![
        ("if-match", vec!["*", "W/\"1\"", "W/\"99\"", "\"", "W/\"1\", W/\"2\"", "", "\u{ff}"]),
        ("if-none-match", vec!["*", "W/\"1\"", "\u{ff}", ","]),
        (
            "content-type",
            vec![SCIM_JSON, "application/json;charset=latin1", "text/plain", "", "application/xml", "\u{ff}", "a/b;;="],
        ),
        ("content-encoding", vec!["gzip", "identity", "br", "\u{ff}"]),
        ("accept", vec!["*/*", "text/html", "application/scim+json;q=0", "\u{ff}"]),
        ("accept-encoding", vec!["gzip", "gzip, br;q=0.5", "identity;q=0", "*;q=0", "\u{ff}", "gzip;q=x"]),
        ("accept-language", vec!["de", "\u{ff}"]),
        ("range", vec!["bytes=0-1", "bytes=9-1"]),
        ("host", vec!["", "a b", "[::1", "other.example"]),
        ("x-http-method-override", vec!["DELETE"]),
        ("x-request-id", vec!["\u{ff}", "1"]),
        ("authorization", vec!["", "Bearer", "Bearer x", "Basic YTpi", "\u{ff}"]),
    ];
    select(values).prop_flat_map(|(name, values)| {
        select(values).prop_map(move |value| {
            // U+00FF stands for the byte, which is no UTF-8.
            (name, value.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect())
        })
    })
}

fn create() -> impl Strategy<Value = Value> {
    let name = "[a-z]{3,4}";
    prop_oneof![
        name.prop_map(|name| okta_user(&name)),
        name.prop_map(|name| entra_user(&name)),
        name.prop_map(|name| json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": format!("Team {name}"),
            "externalId": name,
            "members": [{ "value": ID }, { "value": "nobody-yet", "type": "User", "$ref": "../Users/nobody-yet" }]
        })),
    ]
}

fn operation() -> impl Strategy<Value = Value> {
    select(vec![
        json!({ "op": "Replace", "path": "active", "value": "False" }),
        json!({ "op": "replace", "value": { "active": true, "name.givenName": "Jo" } }),
        json!({ "op": "Add", "path": "emails[type eq \"work\"].value", "value": "new@acme.example" }),
        json!({ "op": "replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": ID }),
        json!({ "op": "add", "path": "members", "value": [{ "value": ID }, { "value": "x" }] }),
        json!({ "op": "remove", "path": "members[value eq \"{id}\"]" }),
        json!({ "op": "remove", "path": "members" }),
        json!({ "op": "Remove", "path": "members", "value": [{ "value": ID }] }),
        json!({ "op": "replace", "path": "displayName", "value": "Renamed" }),
        json!({ "op": "replace", "path": "userName", "value": "renamed@acme.example" }),
        json!({ "op": "add", "path": "roles", "value": [{ "value": "{\"value\":\"Admin\"}", "primary": "True" }] }),
        json!({ "op": "replace", "path": "password", "value": "kJ8!random" }),
        json!({ "op": "remove", "path": "name" }),
    ])
}

fn change() -> impl Strategy<Value = Value> {
    vec(operation(), 1..4).prop_map(
        |operations| json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations }),
    )
}

fn search() -> impl Strategy<Value = Value> {
    Just(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName sw \"a\" or displayName pr",
        "attributes": ["userName", "displayName", "members"],
        "excludedAttributes": ["emails"],
        "sortBy": "displayName",
        "sortOrder": "descending",
        "startIndex": 1,
        "count": 3,
        "cursor": ""
    }))
}

fn bulk() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        (create(), "[a-c]").prop_map(|(data, bulk_id)| {
            json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data })
        }),
        ("[a-c]", "[a-c]").prop_map(|(bulk_id, other)| json!({
            "method": "POST", "path": "/Groups", "bulkId": bulk_id,
            "data": { "displayName": format!("Bulk {bulk_id}"), "members": [{ "value": format!("bulkId:{other}") }] }
        })),
        change()
            .prop_map(|data| json!({ "method": "PATCH", "path": "/Groups/{id}", "version": "W/\"1\"", "data": data })),
        create().prop_map(|data| json!({ "method": "PUT", "path": "/Users/bulkId:a", "data": data })),
        Just(json!({ "method": "DELETE", "path": "/Users/{id}" })),
    ];
    (vec(one, 1..5), option::of(0..3)).prop_map(|(operations, most)| {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "failOnErrors": most,
            "Operations": operations
        })
    })
}

/// Any body, good or no JSON at all.
fn body() -> impl Strategy<Value = Option<Vec<u8>>> {
    let message = prop_oneof![create(), change(), search(), bulk()];
    let good = (message, mutations()).prop_map(|(message, mutations)| mutated(message, &mutations));
    let odd = select(vec![
        Vec::new(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"userName\": \"\xff\"}".to_vec(),
        b"{\"userName\": \"\\ud800\"}".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{\"a\":1e999}".to_vec(),
        b"<Users/>".to_vec(),
        "{\"a\":".repeat(5000).into_bytes(),
        format!("{{\"userName\":\"{}\"}}", "x".repeat(2_000_000)).into_bytes(),
    ]);
    option::weighted(0.8, prop_oneof![5 => good, 1 => odd])
}

/// What is done to a message.
#[derive(Debug, Clone)]
enum Mutation {
    /// Another value at some place.
    Put(Index, Value),
    /// A member or element less.
    Remove(Index),
    /// A member under another name.
    Rename(Index, &'static str),
    /// The text ends early.
    Cut(Index),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let deep = |levels: usize| (0..levels).fold(json!({ "value": "x" }), |inner, _| json!([inner]));
    let value = select(vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!(" "),
        json!("\0"),
        json!("a\u{202e}b\u{200d}\u{10FFFF}é\u{0301}"),
        json!("{\"value\": {\"value\": 1}}"),
        json!("x".repeat(20_000)),
        json!([]),
        json!({}),
        json!([null, [], {}]),
        json!([{ "value": {} }]),
        json!({ "value": "u1" }),
        json!("bulkId:a"),
        json!("bulkId:"),
        json!("urn:ietf:params:scim:schemas:core:2.0:User"),
        json!("emails[type eq \"work\" and (value co \"a\")].value"),
        json!("members[not (value eq \"x\")]"),
        json!("/Users/../Groups"),
        deep(10),
        deep(120),
    ]);
    let name = select(vec![
        "",
        "op",
        "path",
        "value",
        "schemas",
        "id",
        "meta",
        "members",
        "MEMBERS",
        "userName",
        "emails[type eq \"x\"].value",
        "name.",
        ".",
        "urn:",
        "a.b.c",
        "password",
        "\u{0}",
        "é",
        "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User",
        "$ref",
        "primary",
    ]);
    let mutation = prop_oneof![
        6 => (any::<Index>(), value).prop_map(|(at, value)| Mutation::Put(at, value)),
        2 => any::<Index>().prop_map(Mutation::Remove),
        3 => (any::<Index>(), name).prop_map(|(at, name)| Mutation::Rename(at, name)),
        1 => any::<Index>().prop_map(Mutation::Cut),
    ];
    prop_oneof![1 => Just(Vec::new()), 1 => vec(mutation, 1..4)]
}

fn mutated(mut message: Value, mutations: &[Mutation]) -> Vec<u8> {
    let mut end = None;
    for mutation in mutations {
        let mut places = Vec::new();
        collect(&message, String::new(), &mut places);
        let (Mutation::Put(at, _) | Mutation::Remove(at) | Mutation::Rename(at, _) | Mutation::Cut(at)) = mutation;
        let place = at.get(&places).clone();
        let (parent, name) = place.rsplit_once('/').unwrap_or_default();
        let name = name.replace("~1", "/").replace("~0", "~");
        match mutation {
            Mutation::Put(_, value) => *message.pointer_mut(&place).unwrap() = value.clone(),
            Mutation::Cut(at) => end = Some(at),
            Mutation::Remove(_) => drop(take(&mut message, parent, &name)),
            Mutation::Rename(_, to) => {
                if let Some(value) = take(&mut message, parent, &name)
                    && let Some(Value::Object(members)) = message.pointer_mut(parent)
                {
                    members.insert((*to).to_owned(), value);
                }
            }
        }
    }
    let mut text = message.to_string().into_bytes();
    if let Some(end) = end {
        text.truncate(end.index(text.len()));
    }
    text
}

/// The JSON pointers of all values in a message.
fn collect(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Array(elements) => {
            elements
                .iter()
                .enumerate()
                .for_each(|(number, element)| collect(element, format!("{at}/{number}"), places));
        }
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            collect(member, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), places);
        }),
        _ => {}
    }
    places.push(at);
}

fn take(message: &mut Value, parent: &str, name: &str) -> Option<Value> {
    match message.pointer_mut(parent)? {
        Value::Object(members) => members.shift_remove(name),
        Value::Array(elements) => {
            let number = name.parse::<usize>().ok().filter(|number| *number < elements.len())?;
            Some(elements.remove(number))
        }
        _ => None,
    }
}

/// The ids of what was created, the latest last.
#[derive(Debug, Default)]
struct Known {
    users: Vec<String>,
    groups: Vec<String>,
}

impl Known {
    /// One of the latest that fit the address; the others may be deleted again.
    fn pick(&self, request: &Request) -> String {
        let ids = if request.path.starts_with("/Groups") { &self.groups } else { &self.users };
        request.id.get(&ids[ids.len().saturating_sub(10)..]).clone()
    }

    fn add(&mut self, created: &Answer) {
        let is_group = created.header("location").contains("/Groups/");
        let ids = if is_group { &mut self.groups } else { &mut self.users };
        ids.extend(created.header("location").rsplit('/').next().map(str::to_owned));
    }
}

/// Sends a request, judges the answer and remembers the id of what was created. A request that HTTP itself cannot carry is
/// not sent.
async fn send(bridge: &Bridge, client: &Client, request: &Request, known: &RefCell<Known>) {
    let id = known.borrow().pick(request);
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let address = format!("{}{}{query}", bridge.scim_url(), request.path).replace(ID, &id);
    let (Ok(address), Ok(method)) = (Url::parse(&address), request.method.parse::<Method>()) else { return };
    let mut sent = reqwest::Request::new(method.clone(), address);
    let headers = sent.headers_mut();
    headers.insert("authorization", format!("Bearer {}", bridge.token).parse().unwrap());
    headers.insert("content-type", HeaderValue::from_static(SCIM_JSON));
    for (name, value) in &request.headers {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    *sent.body_mut() = request.body.as_ref().map(|body| match std::str::from_utf8(body) {
        Ok(text) => text.replace(ID, &id).into(),
        Err(_) => body.clone().into(),
    });
    let at = format!("{method} {}", request.path);
    let response = client.execute(sent).await.unwrap_or_else(|error| panic!("{at}: no answer: {error:?}"));
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{at}: half an answer: {error:?}"));
    let is_packed = !bytes.is_empty() && headers.get("content-encoding").is_some_and(|coding| coding == "gzip");
    let body = if is_packed {
        assert!(bytes.starts_with(&[0x1f, 0x8b]), "{at}: says gzip and is not");
        Value::Null
    } else if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{at}: {error} in the answer {bytes:?}"))
    };
    let answer = Answer { status, headers, body };
    assert!(status < 500 || (status == 501 && request.path.starts_with("/Me")), "{at}: {status} {:#}", answer.body);
    if (method == Method::HEAD && answer.body.is_null()) || is_packed {
        assert!(!answer.header("x-request-id").is_empty(), "{at}: no request id");
        return;
    }
    check_always(&answer, &at);
    let may_be_silent = matches!(status, 204 | 304);
    assert_eq!(answer.body.is_null(), may_be_silent, "{at}: {status} {:#}", answer.body);
    assert!(may_be_silent || answer.body["schemas"].is_array(), "{at}: no schemas in {:#}", answer.body);
    for result in answer.body["Operations"].as_array().into_iter().flatten() {
        let status = result["status"].as_str().and_then(|status| status.parse::<u16>().ok());
        assert!(status.is_some_and(|status| (200..500).contains(&status)), "{at}: a result {result:#}");
    }
    if status == 201 {
        known.borrow_mut().add(&answer);
    }
}

#[test]
fn no_request_is_answered_by_a_failure_or_in_other_words_than_those_of_scim() {
    let seed = match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => rand_seed(),
    };
    let config = Config {
        cases: REQUESTS,
        failure_persistence: None,
        max_shrink_iters: SHRINKING,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bridge = runtime.block_on(Bridge::with(Setup::default().wait("0s")));
    let client = Client::new();
    let mut known = Known::default();
    for name in ["ann", "bob", "eve"] {
        known.add(&runtime.block_on(bridge.post("/Users", okta_user(name))).has_status(201));
    }
    let group = json!({ "displayName": "Staff", "members": [{ "value": known.users[0] }] });
    known.add(&runtime.block_on(bridge.post("/Groups", group)).has_status(201));
    let known = RefCell::new(known);
    let outcome = TestRunner::new(config).run(&request(), |request| {
        runtime.block_on(send(&bridge, &client, &request, &known));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("PROPTEST_RNG_SEED={seed}\n{failure}");
    }
    runtime.block_on(bridge.stop());
}

/// A seed for which nobody has to care, new with each run.
fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
