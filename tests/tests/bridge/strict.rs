//! Every tolerance that the bridge knows, one request each: on a lenient connection it is taken and counted, on a strict one
//! (`profile = "strict"`) refused with the status and the keyword of RFC 7644 table 9, or those of the interoperability profile
//! (draft-zollner-scim-interop-profile-01), unless both want it taken.

use bridge_tests::replay::SCIM_JSON;
use bridge_tests::samples::okta_user;
use bridge_tests::{Answer, Bridge, Setup};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use scim_model::Quirk;
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// A request that shows a quirk, and none before it that is refused.
struct Row {
    method: Method,
    /// `{user}` is Ann's id, `{group}` that of her group.
    path: String,
    /// One header in another way than the others send it, `{token}` in it the token; an empty one is left out.
    header: Option<(HeaderName, &'static str)>,
    body: Option<String>,
    /// How a strict connection refuses it: status and keyword, or nothing where the RFCs and the profile want it taken.
    refused: Option<(u16, &'static str)>,
}

impl Row {
    fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), header: None, body: None, refused: None }
    }

    fn post(path: &str, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body.to_string()), ..Self::get(path) }
    }

    /// Another user beside Ann.
    fn create(change: impl FnOnce(&mut Value)) -> Self {
        let mut body = json!({"schemas": [USER], "userName": "bob@acme.example"});
        change(&mut body);
        Self::post("/Users", body)
    }

    fn patch(path: &str, operation: Value) -> Self {
        let body = json!({"schemas": [PATCH], "Operations": [operation]});
        Self { method: Method::PATCH, ..Self::post(path, body) }
    }

    fn change(operation: Value) -> Self {
        Self::patch("/Users/{user}", operation)
    }

    /// A change of this attribute of Ann.
    fn set(path: &str, value: Value) -> Self {
        Self::change(json!({"op": "replace", "path": path, "value": value}))
    }

    /// A change of Ann without a path.
    fn merge(key: &str, value: Value) -> Self {
        Self::change(json!({"op": "replace", "value": {key: value}}))
    }

    fn with(self, header: HeaderName, value: &'static str) -> Self {
        Self { header: Some((header, value)), ..self }
    }

    /// The body as this text.
    fn text(self, change: impl FnOnce(String) -> String) -> Self {
        Self { body: self.body.map(change), ..self }
    }

    fn refused_as(self, keyword: &'static str) -> Self {
        Self { refused: Some((400, keyword)), ..self }
    }

    /// Refused with a status that has no keyword.
    fn refused_with(self, status: u16) -> Self {
        Self { refused: Some((status, "")), ..self }
    }
}

/// The requests that show a quirk. A new quirk does not compile until it has one.
fn rows(quirk: Quirk) -> Vec<Row> {
    match quirk {
        Quirk::UnknownAttribute => vec![
            Row::create(|user| user["shoeSize"] = json!(44)).refused_as("invalidSyntax"),
            Row::change(json!({"op": "replace", "path": "title", "value": "Lead", "name": "title"}))
                .refused_as("invalidSyntax"),
            Row::post("/Users/.search", json!({"schemas": [SEARCH], "count": 5, "page": 1}))
                .refused_as("invalidSyntax"),
            Row::get("/Users?attributes=userName,shoeSize").refused_as("invalidSyntax"),
        ],
        Quirk::UnknownSchema => vec![
            Row::create(|user| user["urn:example:badge:2.0:User"] = json!({"floor": 4})).refused_as("invalidSyntax"),
            Row::create(|user| user["schemas"] = json!([USER, "urn:example:badge:2.0:User"]))
                .refused_as("invalidSyntax"),
        ],
        Quirk::UnknownPath => vec![
            Row::set("shoeSize", json!(44)).refused_as("invalidSyntax"),
            Row::set("urn:example:badge:2.0:User:floor", json!(4)).refused_as("invalidSyntax"),
            Row::merge("shoeSize", json!(44)).refused_as("invalidSyntax"),
            Row::patch("/Groups/{group}", json!({"op": "remove", "path": "shoeSize"})).refused_as("invalidSyntax"),
        ],
        Quirk::ReadOnlyAttribute => vec![Row::create(|user| user["meta"] = json!({"resourceType": "User"}))],
        Quirk::OtherCase => {
            vec![Row::create(|user| user["DISPLAYNAME"] = json!("Bob")), Row::get("/Users?filter=USERNAME%20pr")]
        }
        Quirk::DeletedUserName => {
            vec![Row::set("userName", json!("0123456789abcdef0123456789abcdefann@acme.example"))]
        }
        Quirk::Schemas => vec![
            Row::create(|user| user["schemas"] = Value::Null).refused_as("invalidSyntax"),
            Row::create(|user| user["schemas"] = json!([USER.to_lowercase()])).refused_as("invalidSyntax"),
            Row::create(|user| user["schemas"] = json!([USER, USER])).refused_as("invalidSyntax"),
            Row::create(|user| user[ENTERPRISE] = json!({"department": "Sales"})).refused_as("invalidSyntax"),
            Row::post("/Users/.search", json!({"filter": "title pr"})).refused_as("invalidSyntax"),
            Row::post(
                "/Bulk",
                json!({"Operations": [{"method": "PATCH", "path": "/Users/{user}", "data": {"schemas": [PATCH],
                    "Operations": [{"op": "add", "path": "title", "value": "Lead"}]}}]}),
            )
            .refused_as("invalidSyntax"),
        ],
        Quirk::LegacyUrn => vec![
            Row::create(|user| user["schemas"] = json!(["urn:scim:schemas:core:1.0"])).refused_as("invalidSyntax"),
            Row::get("/Users?filter=urn:scim:schemas:core:1.0:userName%20pr").refused_as("invalidFilter"),
        ],
        Quirk::OperationCase => vec![
            Row::change(json!({"op": "Replace", "path": "title", "value": "Lead"})).refused_as("invalidSyntax"),
            Row::post("/Bulk", bulk("delete")).refused_as("invalidSyntax"),
        ],
        Quirk::OtherName => vec![
            Row::set("roles", json!([{"value": "lead", "displayName": "Lead"}])).refused_as("invalidSyntax"),
            Row::get("/Users?filter=roles.displayName%20pr").refused_as("invalidFilter"),
        ],
        Quirk::TextForBoolean => vec![
            Row::set("active", json!("True")).refused_as("invalidValue"),
            Row::get("/Users?filter=active%20eq%20%22True%22").refused_as("invalidFilter"),
        ],
        // No attribute of the bridge is a number; the messages have some.
        Quirk::TextForNumber => {
            let mut bulk = bulk("DELETE");
            bulk["failOnErrors"] = json!("1");
            vec![
                Row::post("/Users/.search", json!({"schemas": [SEARCH], "count": "5"})).refused_as("invalidValue"),
                Row::post("/Bulk", bulk).refused_as("invalidValue"),
            ]
        }
        Quirk::NumberForText => vec![
            Row::set("title", json!(5)).refused_as("invalidValue"),
            Row::get("/Users?filter=externalId%20eq%204711").refused_as("invalidFilter"),
        ],
        Quirk::DecimalForInteger => {
            let mut bulk = bulk("DELETE");
            bulk["failOnErrors"] = json!(1.0);
            vec![
                Row::post("/Users/.search", json!({"schemas": [SEARCH], "count": 5.0})).refused_as("invalidValue"),
                Row::post("/Bulk", bulk).refused_as("invalidValue"),
            ]
        }
        Quirk::Base64Form => {
            let certificates = ["TUlJ\nTUlJ", "TUlJ TUlJ", "TU-JQ_M"];
            certificates
                .map(|bytes| Row::set("x509Certificates", json!([{"value": bytes}])).refused_as("invalidValue"))
                .into()
        }
        Quirk::SingleForList => {
            vec![Row::set("roles", json!({"value": "lead"})).refused_as("invalidValue")]
        }
        Quirk::ListForSingle => vec![Row::set("title", json!(["Lead"])).refused_as("invalidValue")],
        Quirk::TextForComplex => {
            vec![Row::set(&format!("{ENTERPRISE}:manager"), json!("u9")).refused_as("invalidValue")]
        }
        Quirk::ObjectInText => {
            vec![Row::set("roles", json!([{"value": "{\"value\": \"lead\"}"}])).refused_as("invalidValue")]
        }
        Quirk::DottedKey => vec![Row::merge("name.familyName", json!("Rowe")).refused_as("invalidPath")],
        Quirk::UrnKey => {
            vec![Row::merge(&format!("{ENTERPRISE}:department"), json!("Sales")).refused_as("invalidPath")]
        }
        Quirk::PathKey => {
            let key = "emails[type eq \"work\"].value";
            vec![
                Row::merge(key, json!("ann2@acme.example")).refused_as("invalidPath"),
                Row::get("/Users?attributes=emails%5Btype%20eq%20%22work%22%5D").refused_as("invalidPath"),
            ]
        }
        Quirk::BareEnterpriseAttribute => vec![
            Row::set("department", json!("Sales")).refused_as("invalidPath"),
            Row::get("/Users?filter=department%20pr").refused_as("invalidFilter"),
            Row::get("/Users?sortBy=department").refused_as("invalidPath"),
        ],
        Quirk::ElementMade => {
            let path = "emails[type eq \"home\"].value";
            vec![Row::set(path, json!("ann@home.example")).refused_as("noTarget")]
        }
        Quirk::NothingSelected => {
            let path = "emails[value eq \"old@acme.example\"].value";
            vec![Row::set(path, json!("new@acme.example")).refused_as("noTarget")]
        }
        Quirk::RemoveWithValue => {
            let operation = json!({"op": "remove", "path": "members", "value": [{"value": "{user}"}]});
            vec![Row::patch("/Groups/{group}", operation).refused_as("invalidSyntax")]
        }
        Quirk::NotUnassigned => vec![Row::merge("active", Value::Null).refused_as("mutability")],
        Quirk::UnquotedValue => vec![
            Row::get("/Users?filter=userName%20eq%20ann@acme.example").refused_as("invalidFilter"),
            Row::patch("/Groups/{group}", json!({"op": "remove", "path": "members[value eq {user}]"}))
                .refused_as("invalidFilter"),
        ],
        Quirk::LiteralCase => vec![Row::get("/Users?filter=active%20eq%20True").refused_as("invalidFilter")],
        Quirk::EmptyValue => vec![
            Row::set("title", json!("")),
            Row::set("name", json!({})),
            Row::create(|user| user["emails"] = json!([{"type": "work", "value": ""}])),
        ],
        Quirk::OtherSpaces => vec![
            Row::get("/Users?filter=userName%20%20pr").refused_as("invalidFilter"),
            Row::get("/Users?count=%205").refused_as("invalidValue"),
        ],
        Quirk::ComparedValuePath => {
            let filter = "emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22ann@acme.example%22";
            vec![Row::get(&format!("/Users?filter={filter}")).refused_as("invalidFilter")]
        }
        Quirk::ParameterCase => vec![
            Row::get("/Users?Filter=userName%20pr").refused_as("invalidValue"),
            Row::get("/Users?sortBy=userName&sortOrder=Descending").refused_as("invalidValue"),
        ],
        Quirk::EmptyParameter => vec![Row::get("/Users?startIndex=").refused_as("invalidValue")],
        Quirk::RepeatedParameter => vec![Row::get("/Users?count=5&count=5").refused_as("invalidValue")],
        Quirk::StraySeparator => vec![
            Row::get("/Users?count=5&").refused_as("invalidValue"),
            Row::get("/Users/{user}?flag?attributes=userName").refused_as("invalidValue"),
            Row { method: Method::DELETE, ..Row::get("/Users/{user}?&").refused_as("invalidValue") },
        ],
        Quirk::StrayPercent => {
            vec![Row::get("/Users?filter=displayName%20eq%20%22100%%22").refused_as("invalidValue")]
        }
        Quirk::EmptyPath => {
            let operation = json!({"op": "replace", "path": "", "value": {"title": "Lead"}});
            vec![Row::change(operation).refused_as("invalidPath")]
        }
        Quirk::NoPath => vec![
            Row::merge("title", json!("Lead")).refused_as("invalidSyntax"),
            Row::patch("/Groups/{group}", json!({"op": "replace", "value": {"displayName": "Sellers"}}))
                .refused_as("invalidSyntax"),
        ],
        Quirk::MemberCase => vec![
            Row::change(json!({"op": "replace", "Path": "title", "value": "Lead"})).refused_as("invalidSyntax"),
            Row::patch("/Groups/{group}", json!({"OP": "remove", "path": "members"})).refused_as("invalidSyntax"),
            Row::post("/Users/.search", json!({"schemas": [SEARCH], "startindex": 1})).refused_as("invalidSyntax"),
            Row::post("/Bulk", bulk("DELETE"))
                .text(|text| text.replace("Operations", "operations"))
                .refused_as("invalidSyntax"),
            Row::post("/Bulk", bulk("DELETE")).text(|text| text.replace("path", "PATH")).refused_as("invalidSyntax"),
        ],
        Quirk::BulkPath => {
            let bulk = |path: &'static str| {
                Row::post("/Bulk", bulk("DELETE")).text(|text| text.replace("/Users/{user}", path))
            };
            let paths = ["{base}/Users/{user}", "Users/{user}", "/users/{user}", "/Users/{user}/"];
            paths.map(|path| bulk(path).refused_as("invalidSyntax")).into()
        }
        Quirk::NoBulkId => {
            let data = json!({"schemas": [USER], "userName": "bob@acme.example"});
            let operations = json!([{"method": "POST", "path": "/Users", "data": data}]);
            let body = json!({"schemas": [BULK], "Operations": operations});
            vec![Row::post("/Bulk", body).refused_as("invalidSyntax")]
        }
        Quirk::NoErrorLimit => {
            let limited = |limit: i64| {
                let mut bulk = bulk("DELETE");
                bulk["failOnErrors"] = json!(limit);
                Row::post("/Bulk", bulk).refused_as("invalidValue")
            };
            vec![limited(0), limited(-1)]
        }
        Quirk::SeveralPrimary => {
            let email = |name: &str| json!({"value": format!("{name}@acme.example"), "primary": true});
            vec![Row::set("emails", json!([email("ann"), email("annie")])).refused_as("invalidValue")]
        }
        Quirk::IgnoredParameter => vec![
            Row::get("/Users?aadOptscim062020"),
            Row::get("/Users/{user}?count=5"),
            Row::get("/Schemas?startIndex=1"),
            Row::get("/ResourceTypes/User?attributes=name"),
            Row::get("/ServiceProviderConfig?count=5"),
            Row::post("/Bulk?attributes=id", bulk("DELETE")),
        ],
        Quirk::ExtraSlash => {
            let paths = ["//Users", "/Users/", "/Users/?count=5", "/Users//{user}", "//", "/Schemas/"];
            paths.map(|path| Row::get(path).refused_as("invalidValue")).into()
        }
        Quirk::OtherAddress => {
            let paths = ["/users", "/GROUPS/{group}", "/ServiceConfiguration", "/ResourceTypes/user"];
            let mut rows: Vec<Row> = paths.map(|path| Row::get(path).refused_as("invalidValue")).into();
            rows.push(Row::post("/users/.search", json!({"schemas": [SEARCH]})).refused_as("invalidValue"));
            rows
        }
        Quirk::NoMediaType => vec![
            Row::create(|_| ()).with(CONTENT_TYPE, "").refused_with(415),
            Row::change(json!({"op": "replace", "path": "title", "value": "Lead"}))
                .with(CONTENT_TYPE, "; charset=utf-8")
                .refused_with(415),
        ],
        Quirk::BareToken => vec![
            Row::get("/Users").with(AUTHORIZATION, "{token}").refused_with(401),
            Row::create(|_| ()).with(AUTHORIZATION, "{token}").refused_with(401),
        ],
        Quirk::BareTag => {
            let versioned = bulk("DELETE").to_string().replace("\"path\"", "\"version\":\"1\",\"path\"");
            vec![
                Row::get("/Users/{user}").with(IF_NONE_MATCH, "W/7").refused_as("invalidValue"),
                Row { method: Method::DELETE, ..Row::get("/Users/{user}") }
                    .with(IF_MATCH, "1")
                    .refused_as("invalidValue"),
                Row::post("/Bulk", Value::Null).text(|_| versioned).refused_as("invalidValue"),
            ]
        }
        Quirk::ByteOrderMark => {
            vec![Row::create(|_| ()).text(|text| format!("\u{feff}{text}")).refused_as("invalidSyntax")]
        }
        Quirk::RepeatedMember => {
            let twice = |text: String| text.replacen('{', "{\"title\": \"Boss\", \"title\": \"Lead\", ", 1);
            vec![
                Row::create(|_| ()).text(twice).refused_as("invalidSyntax"),
                Row::merge("title", json!("Boss"))
                    .text(|text| text.replace("\"title\"", "\"TITLE\": \"Lead\", \"title\""))
                    .refused_as("invalidSyntax"),
                Row::patch("/Groups/{group}", json!({"op": "add", "value": {"Members": [], "members": []}}))
                    .refused_as("invalidSyntax"),
                Row::post("/Users/.search", json!({"schemas": [SEARCH], "count": 5}))
                    .text(|text| text.replace("\"count\"", "\"count\": 4, \"count\""))
                    .refused_as("invalidSyntax"),
                Row::post("/Bulk", bulk("DELETE"))
                    .text(|text| text.replace("\"method\"", "\"method\": \"PUT\", \"method\""))
                    .refused_as("invalidSyntax"),
            ]
        }
    }
}

/// A bulk request of one operation.
fn bulk(method: &str) -> Value {
    json!({"schemas": [BULK], "Operations": [{"method": method, "path": "/Users/{user}"}]})
}

/// A bridge with Ann and her group, both made without a fault.
struct Stage {
    bridge: Bridge,
    user: String,
    group: String,
}

impl Stage {
    async fn set(profile: &str) -> Self {
        let more = format!("[tenants.default.connections.test]\nprofile = \"{profile}\"");
        Self::people(Bridge::with(Setup { more, ..Setup::default().wait("0s") }).await).await
    }

    async fn people(bridge: Bridge) -> Self {
        let mut ann = okta_user("ann");
        // Read-only, and Okta sends it empty.
        ann.as_object_mut().unwrap().remove("groups");
        let user = bridge.post("/Users", ann).await.has_status(201).id();
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "Sales",
            "members": [{"value": user}]
        });
        let group = bridge.post("/Groups", group).await.has_status(201).id();
        Self { bridge, user, group }
    }

    /// Everybody goes, so that the next row finds what this one found.
    async fn again(self) -> Self {
        for endpoint in ["/Users", "/Groups"] {
            for resource in self.bridge.get(endpoint).await.body["Resources"].as_array().unwrap() {
                let path = format!("{endpoint}/{}", resource["id"].as_str().unwrap());
                self.bridge.delete(&path).await.has_status(204);
            }
        }
        Self::people(self.bridge).await
    }

    async fn send(&self, row: &Row) -> Answer {
        let (base, token) = (self.bridge.scim_url(), &self.bridge.token);
        let pairs = [("{user}", &self.user), ("{group}", &self.group), ("{token}", token), ("{base}", &base)];
        let fill = |text: &str| pairs.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        let mut headers = HeaderMap::new();
        if row.body.is_some() {
            headers.insert(CONTENT_TYPE, SCIM_JSON.parse().unwrap());
        }
        match &row.header {
            Some((name, "")) => drop(headers.remove(name)),
            Some((name, value)) => drop(headers.insert(name, fill(value).parse().unwrap())),
            None => {}
        }
        // As it stands: the client would write some of it in the right way.
        let request = self.bridge.request(row.method.clone(), &fill(&row.path)).headers(headers);
        let request = match &row.body {
            Some(body) => request.body(fill(body)),
            None => request,
        };
        Answer::of(request).await
    }

    async fn count(&self, quirk: Quirk) -> u64 {
        let url = format!("{}/admin/v1/connections?connection=test", self.bridge.admin_url());
        let known = Answer::of(reqwest::Client::new().get(url)).await.has_status(200);
        known.body["connections"][0]["quirks"][quirk.as_str()]["count"].as_u64().unwrap_or_default()
    }

    /// All that a client can read of users and groups.
    async fn content(&self) -> [Value; 2] {
        let [users, groups] = ["/Users", "/Groups"].map(|endpoint| self.bridge.get(endpoint));
        [users.await.has_status(200).body, groups.await.has_status(200).body]
    }
}

#[tokio::test]
async fn what_the_rfcs_allow_in_addresses_and_headers_needs_no_forgiveness() {
    let strict = Stage::set("strict").await;
    let small = Row::get("/Users/{user}").with(AUTHORIZATION, "bearer  {token}");
    let rows = [
        // The base URL may end in a slash, and is what a search over everything asks (RFC 7644 sections 1.3 and 3.4.2.1).
        Row::get("/"),
        Row::get(""),
        // A letter may be escaped (RFC 3986 section 6.2.2.2).
        Row::get("/%55sers/{user}"),
        Row::get(&format!("/%53chemas/{USER}")),
        Row::post("/Users/%2Esearch", json!({"schemas": [SEARCH]})),
        small,
        Row::get("/Users/{user}").with(IF_NONE_MATCH, "W/\"7\", \"8\""),
        Row::get("/Users").with(ACCEPT, "text/html"),
        Row::create(|_| ()).with(CONTENT_TYPE, "Application/JSON; charset=utf-8"),
        Row::change(json!({"op": "add", "path": "title", "value": "Lead"})).text(|text| format!(" \r\n{text}\n")),
    ];
    for row in rows {
        let answer = strict.send(&row).await;
        assert!((200..300).contains(&answer.status), "{} {}: {:#}", row.method, row.path, answer.body);
    }
    for quirk in Quirk::ALL {
        assert_eq!(strict.count(quirk).await, 0, "{quirk}");
    }
    strict.bridge.stop().await;
}

#[tokio::test]
async fn a_fault_does_not_hide_behind_many_things_that_may_be_overlooked() {
    let strict = Stage::set("strict").await;
    let many: String = (0..200).map(|number| format!("unknown{number}=1&")).collect();
    let row = Row::get(&format!("/Users?{many}count=5&count=5"));
    let answer = strict.send(&row).await.has_status(400).names(&["repeated_parameter"]);
    assert_eq!(answer.scim_type(), "invalidValue");
    strict.bridge.stop().await;
}

#[tokio::test]
async fn each_tolerance_is_taken_and_counted_and_refused_by_a_strict_connection_unless_the_rfcs_want_it() {
    let (mut lenient, mut strict) = (Stage::set("lenient").await, Stage::set("strict").await);
    for quirk in Quirk::ALL {
        let rows = rows(quirk);
        assert!(!rows.is_empty(), "{quirk} is shown by no request");
        for row in rows {
            let at = format!("{quirk}: {} {}", row.method, row.path);
            let counted = lenient.count(quirk).await;
            let taken = lenient.send(&row).await;
            assert!((200..300).contains(&taken.status), "{at}: {} {:#}", taken.status, taken.body);
            let mut operations = taken.body["Operations"].as_array().into_iter().flatten();
            let is_done =
                |operation: &Value| operation["status"].as_str().is_some_and(|status| status.starts_with('2'));
            assert!(operations.all(is_done), "{at}: {:#}", taken.body);
            assert_eq!(lenient.count(quirk).await, counted + 1, "{at}");
            lenient = lenient.again().await;

            let (before, counted) = (strict.content().await, strict.count(quirk).await);
            let answer = strict.send(&row).await;
            match row.refused {
                None => {
                    assert!((200..300).contains(&answer.status), "{at}: {} {:#}", answer.status, answer.body);
                    assert_eq!(strict.count(quirk).await, counted + 1, "{at}");
                }
                Some(refused) => {
                    assert_eq!((answer.status, answer.scim_type()), refused, "{at}: {:#}", answer.body);
                    answer.names(&["strict", quirk.as_str(), quirk.demand()]);
                    assert_eq!(strict.content().await, before, "{at}: nothing is changed");
                    assert_eq!(strict.count(quirk).await, counted, "{at}: nothing was forgiven");
                }
            }
            strict = strict.again().await;
        }
    }
    lenient.bridge.stop().await;
    strict.bridge.stop().await;
}
