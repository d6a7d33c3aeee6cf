//! `POST /.search` (RFC 7644 section 3.4.3) and sorted lists (section 3.4.2.3).

use bridge_tests::samples::{entra_user, okta_user};
use bridge_tests::{Answer, Bridge};
use serde_json::{Value, json};

use crate::{bridge, escaped, is_refused, names, with_users};

const SEARCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

#[tokio::test]
async fn a_search_by_post_answers_what_the_list_answers() {
    let bridge = with_users(&["ann", "bob", "cleo"]).await;
    for (body, query) in [
        (json!({"schemas": [SEARCH_URN]}), ""),
        (json!({"filter": "userName eq \"bob@acme.example\""}), "filter=userName+eq+%22bob@acme.example%22"),
        (json!({"filter": "displayName co \"nobody\""}), "filter=displayName+co+%22nobody%22"),
        (json!({"startIndex": 2, "count": 1}), "startIndex=2&count=1"),
        (json!({"startIndex": "2", "count": "1"}), "startIndex=2&count=1"),
        (json!({"count": 0}), "count=0"),
        (json!({"sortBy": "userName", "sortOrder": "descending"}), "sortBy=userName&sortOrder=descending"),
        (json!({"attributes": ["userName", "name.familyName"]}), "attributes=userName,name.familyName"),
        (json!({"attributes": "userName"}), "attributes=userName"),
        (
            json!({"excludedAttributes": ["emails"], "FILTER": "active eq true"}),
            "excludedAttributes=emails&filter=active+eq+true",
        ),
    ] {
        let posted = bridge.post("/Users/.search", body.clone()).await.has_status(200);
        let listed = bridge.get(&format!("/Users?{query}")).await.has_status(200);
        assert_eq!(posted.body, listed.body, "{body}");
        assert_eq!(posted.header("content-type"), "application/scim+json;charset=utf-8");
    }
}

#[tokio::test]
async fn a_search_that_cannot_be_meant_never_becomes_the_whole_list() {
    let bridge = with_users(&["ann"]).await;
    for (body, keyword) in [
        (json!({"filter": "userName eq"}), "invalidFilter"),
        (json!({"filter": ""}), "invalidFilter"),
        (json!({"filter": ["userName pr"]}), "invalidValue"),
        (json!({"filter": {"userName": "ann"}}), "invalidValue"),
        (json!({"count": "ten"}), "invalidValue"),
        (json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}), "invalidSyntax"),
    ] {
        for path in ["/Users/.search", "/.search"] {
            let answer = bridge.post(path, body.clone()).await;
            is_refused(&answer, 400, keyword);
        }
    }
    for path in ["/Users/.search?filter=userName+eq+%22bob%22", "/.search?filter=userName+eq+%22bob%22"] {
        assert_eq!(bridge.post(path, json!({})).await.has_status(200).body["totalResults"], 0, "{path}");
    }
    let one_unknown = json!({"filter": "displayName eq \"Staff\" or shoeSize eq 44"});
    is_refused(&bridge.post("/.search", one_unknown).await, 400, "invalidFilter");
    for path in ["/Users/.search", "/Groups/.search"] {
        let of_another = json!({"filter": "userName pr and members pr"});
        is_refused(&bridge.post(path, of_another).await, 400, "invalidFilter");
    }
    is_refused(&bridge.post("/.search", json!({"filter": "password sw \"k\""})).await, 403, "sensitive");
    bridge.post("/Nothing/.search", json!({})).await.has_status(404);
    bridge.get("/.search").await.has_status(405);
    bridge.get("/Users/.search").await.has_status(405);
}

#[tokio::test]
async fn a_search_at_the_root_goes_over_all_types() {
    let bridge = with_users(&["ann", "bob"]).await;
    let all = bridge.post("/.search", json!({"schemas": [SEARCH_URN]})).await.has_status(200);
    assert_eq!(all.body["totalResults"], 2);
    let resources = all.body["Resources"].as_array().unwrap();
    assert!(resources.iter().all(|one| one["meta"]["resourceType"] == "User" && one["userName"].is_string()));
    assert_eq!(bridge.get("").await.has_status(200).body, all.body, "GET of the base URL says the same");
    let second = bridge.post("/.search", json!({"startIndex": 2, "count": 1})).await.has_status(200);
    assert_eq!((names(&second), &second.body["startIndex"]), (vec!["bob"], &json!(2)));
    let found = bridge.get(&format!("?filter={}", escaped("userName sw \"bo\""))).await.has_status(200);
    assert_eq!(names(&found), ["bob"]);
    is_refused(&bridge.post("/.search", json!({"filter": "shoeSize eq 44"})).await, 400, "invalidFilter");
    let urn = "urn:ietf:params:scim:schemas:extension:bridgeProvisioning:2.0:User";
    let shown = bridge.post("/.search", json!({"attributes": [urn]})).await.has_status(200);
    assert!(shown.body["Resources"][0][urn]["targets"].is_array(), "{:#}", shown.body);
}

/// Two groups around a user: `Abacus` without members, `Staff` with more than one read brings.
async fn with_groups() -> Bridge {
    let bridge = with_users(&["bob"]).await;
    let members: Vec<Value> = (0..250).map(|number| json!({"value": format!("nobody-{number}")})).collect();
    for (name, members) in [("Staff", members), ("Abacus", Vec::new())] {
        let urn = "urn:ietf:params:scim:schemas:core:2.0:Group";
        let group = json!({"schemas": [urn], "displayName": name, "externalId": name, "members": members});
        bridge.post("/Groups", group).await.has_status(201);
    }
    bridge
}

fn displayed(answer: &Answer) -> Vec<&str> {
    let resources = answer.body["Resources"].as_array().unwrap().iter();
    resources.map(|resource| resource["displayName"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn users_come_before_groups_and_an_order_goes_over_both() {
    let bridge = with_groups().await;
    let all = bridge.post("/.search", json!({})).await.has_status(200);
    assert_eq!((displayed(&all), &all.body["totalResults"]), (vec!["Bob Roe", "Staff", "Abacus"], &json!(3)));
    assert_eq!(all.body["itemsPerPage"], 3);
    assert_eq!(all.body["Resources"][1]["members"].as_array().unwrap().len(), 250);
    let sorted = bridge.post("/.search", json!({"sortBy": "displayName", "attributes": ["displayName"]})).await;
    assert_eq!(displayed(&sorted), ["Abacus", "Bob Roe", "Staff"]);
    assert!(sorted.body["Resources"][2].get("members").is_none());
    let second = bridge.post("/.search", json!({"startIndex": 2, "count": 1})).await;
    assert_eq!((displayed(&second), &second.body["totalResults"]), (vec!["Staff"], &json!(3)));
    for (filter, expected) in [
        ("userName pr", vec!["Bob Roe"]),
        ("members.value eq \"nobody-7\"", vec!["Staff"]),
        ("displayName pr", vec!["Bob Roe", "Staff", "Abacus"]),
        ("meta.resourceType eq \"Group\"", vec!["Staff", "Abacus"]),
        ("displayName eq \"Staff\" or userName sw \"bob\"", vec!["Bob Roe", "Staff"]),
        ("displayName eq \"Staff\" and userName sw \"bob\"", vec![]),
        ("not (userName pr)", vec!["Staff", "Abacus"]),
        ("userName ne \"ann\"", vec!["Bob Roe", "Staff", "Abacus"]),
        ("userName eq null or members pr", vec!["Staff", "Abacus"]),
        ("emails[type eq \"work\"] or externalId eq \"Abacus\"", vec!["Bob Roe", "Abacus"]),
    ] {
        let found = bridge.post("/.search", json!({"filter": filter})).await.has_status(200);
        assert_eq!(
            (displayed(&found), &found.body["totalResults"]),
            (expected.clone(), &json!(expected.len())),
            "{filter}"
        );
    }
    for order in [json!({}), json!({"sortBy": "displayName"})] {
        let (mut seen, mut cursor) = (Vec::new(), json!(""));
        while cursor.is_string() {
            let mut body = json!({"cursor": cursor, "count": 1});
            body.as_object_mut().unwrap().extend(order.as_object().unwrap().clone());
            let page = bridge.post("/.search", body).await.has_status(200);
            assert!(page.body.get("startIndex").is_none(), "{:#}", page.body);
            seen.extend(displayed(&page).into_iter().map(str::to_owned));
            cursor = page.body.get("nextCursor").cloned().unwrap_or(Value::Null);
        }
        assert_eq!(seen.len(), 3, "{order}: {seen:?}");
    }
    let groups = bridge.get("/Groups?sortBy=externalId&sortOrder=descending").await.has_status(200);
    assert_eq!(displayed(&groups), ["Staff", "Abacus"]);
    assert_eq!(groups.body["Resources"][0]["members"].as_array().unwrap().len(), 250);
}

#[tokio::test]
async fn lists_are_sorted_by_any_attribute() {
    let bridge = bridge().await;
    for (name, department, title) in [("cleo", "Support", Some("a")), ("ann", "sales", None), ("bob", "Zoo", Some("B"))]
    {
        let mut user = entra_user(name);
        user["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["department"] = department.into();
        user["name"]["familyName"] = department.into();
        user["active"] = json!(name != "ann");
        if let Some(title) = title {
            user["title"] = title.into();
        }
        bridge.post("/Users", user).await.has_status(201);
    }
    for (by, expected) in [
        ("userName", ["ann", "bob", "cleo"]),
        ("USERNAME", ["ann", "bob", "cleo"]),
        ("name.familyName", ["ann", "cleo", "bob"]),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", ["ann", "cleo", "bob"]),
        ("title", ["cleo", "bob", "ann"]),
        ("emails.value", ["ann", "bob", "cleo"]),
        ("active", ["ann", "cleo", "bob"]),
        ("meta.created", ["cleo", "ann", "bob"]),
    ] {
        let list = bridge.get(&format!("/Users?sortBy={by}")).await.has_status(200);
        assert_eq!(names(&list), expected, "{by}");
        let backwards = bridge.get(&format!("/Users?sortBy={by}&sortOrder=descending")).await.has_status(200);
        assert_eq!(names(&backwards), expected.into_iter().rev().collect::<Vec<_>>(), "{by}");
    }
    let second = bridge.get("/Users?sortBy=title&startIndex=2&count=1").await.has_status(200);
    assert_eq!(names(&second), ["bob"]);
    assert_eq!((&second.body["totalResults"], &second.body["startIndex"]), (&json!(3), &json!(2)));
    let filter = escaped("title pr");
    let filtered = bridge.get(&format!("/Users?sortBy=title&sortOrder=descending&filter={filter}")).await;
    assert_eq!(names(&filtered), ["bob", "cleo"]);
    let some = bridge.get("/Users?sortBy=title&attributes=userName").await.has_status(200);
    assert!(some.body["Resources"][0].get("emails").is_none());
}

#[tokio::test]
async fn what_a_list_cannot_be_sorted_by_is_refused_by_name() {
    let bridge = with_users(&["ann"]).await;
    for (query, keyword, status) in [
        ("sortBy=shoeSize", "invalidValue", 400),
        ("sortBy=name", "invalidValue", 400),
        ("sortBy=a..b", "invalidValue", 400),
        ("sortBy=userName&sortOrder=up", "invalidValue", 400),
        ("sortBy=password", "sensitive", 403),
    ] {
        is_refused(&bridge.get(&format!("/Users?{query}")).await, status, keyword);
    }
    assert_eq!(bridge.get("/Users?sortOrder=descending").await.has_status(200).body["totalResults"], 1);
}

#[tokio::test]
async fn pages_of_a_sorted_list_join() {
    let bridge = bridge().await;
    let order = ["k", "c", "a", "j", "e", "b", "i", "d", "h", "f", "g"];
    for name in order {
        let mut user = okta_user(&name.repeat(3));
        user["nickName"] = if "aeiou".contains(name) { Value::Null } else { name.into() };
        bridge.post("/Users", user).await.has_status(201);
    }
    for by in ["userName", "nickName", "externalId"] {
        let whole = bridge.get(&format!("/Users?sortBy={by}")).await.has_status(200);
        let mut joined = Vec::new();
        for start in [1, 5, 9] {
            let page = bridge.get(&format!("/Users?sortBy={by}&count=4&startIndex={start}")).await.has_status(200);
            assert_eq!(page.body["totalResults"], 11);
            joined.extend(page.body["Resources"].as_array().unwrap().clone());
        }
        assert_eq!(whole.body["Resources"], Value::from(joined), "{by}");
    }
}
