//! C. Filters.

use serde_json::json;

use crate::{change_group, found, group, run, search, user};

#[test]
fn case_036_matching_attributes_are_found_in_every_spelling() {
    run(async |bridge| {
        let id = user(bridge, "c036").await;
        for filter in [
            "externalId eq \"00uc036\"",
            "emails[type eq \"work\"].value eq \"c036@acme.example\"",
            "emails[type eq \"work\" and value eq \"c036@acme.example\"]",
            "emails.value eq \"c036@acme.example\"",
            "id eq \"ID\"",
        ] {
            let filter = filter.replace("ID", &id);
            assert_eq!(found(bridge, "/Users", &filter).await, [id.as_str()], "{filter}");
        }
    });
}

#[test]
fn case_037_a_value_path_without_a_part_finds_the_value() {
    run(async |bridge| {
        let id = user(bridge, "c037").await;
        let home = json!([{"op": "add", "path": "emails", "value": [{"type": "home", "value": "c037@home.example"}]}]);
        bridge.patch(&format!("/Users/{id}"), home).await.has_status(200);
        assert_eq!(found(bridge, "/Users", "emails eq \"c037@home.example\"").await, [id.as_str()]);
        for (address, expected) in [("c037@acme.example", vec![id]), ("c037@home.example", vec![])] {
            let filter = format!("emails[type eq \"work\"] eq \"{address}\"");
            assert_eq!(found(bridge, "/Users", &filter).await, expected, "{filter}");
        }
    });
}

#[test]
fn case_038_a_filter_that_is_not_understood_is_refused_and_never_overlooked() {
    run(async |bridge| {
        user(bridge, "c038").await;
        for filter in ["", "userName", "userName eq", "userName is \"x\"", "(userName pr", "userName eq \"x", "1 eq 1"]
        {
            for endpoint in ["/Users", "/Groups"] {
                let answer = search(bridge, endpoint, filter).await;
                assert_eq!((answer.status, answer.scim_type()), (400, "invalidFilter"), "{filter:?} {}", answer.body);
            }
        }
    });
}

#[test]
fn case_039_both_sides_of_and_count() {
    run(async |bridge| {
        let id = user(bridge, "c039").await;
        let name = "userName eq \"c039@acme.example\"";
        assert_eq!(found(bridge, "/Users", &format!("{name} and active eq true")).await, [id.as_str()]);
        assert_eq!(found(bridge, "/Users", &format!("{name} and active eq false")).await, [""; 0]);
        assert_eq!(found(bridge, "/Users", &format!("active eq true and {name}")).await, [id]);
        assert_eq!(found(bridge, "/Users", "userName eq \"nobody\" and active eq true").await, [""; 0]);
    });
}

#[test]
fn case_040_escaped_quotes_and_backslashes_are_read() {
    run(async |bridge| {
        let id = group(bridge, r#"c040 "quoted" \ back"#, &[]).await;
        assert_eq!(found(bridge, "/Groups", r#"displayName eq "c040 \"quoted\" \\ back""#).await, [id]);
        assert_eq!(found(bridge, "/Groups", r#"displayName eq "c040 \"quoted\" \\\\ back""#).await, [""; 0]);
    });
}

#[test]
fn case_041_blanks_in_a_literal_are_part_of_it() {
    run(async |bridge| {
        let id = group(bridge, "c041 Sales EMEA", &[]).await;
        group(bridge, "c041", &[]).await;
        assert_eq!(found(bridge, "/Groups", "displayName eq \"c041 Sales EMEA\"").await, [id]);
    });
}

#[test]
fn case_042_group_names_with_everything_survive() {
    run(async |bridge| {
        for (number, name) in
            ["R&D", "A/B", "A+B", "a:b", "a, b", "Zürich", "東京", "100%", "#1?", "a'b;c=d"].iter().enumerate()
        {
            let name = format!("c042 {name}");
            let id = group(bridge, &name, &[]).await;
            assert_eq!(found(bridge, "/Groups", &format!("displayName eq \"{name}\"")).await, [id.as_str()], "{name}");
            let renamed = format!("{name} {number}");
            change_group(bridge, &id, json!([{"op": "replace", "value": {"displayName": renamed}}])).await;
            assert_eq!(bridge.get(&format!("/Groups/{id}")).await.body["displayName"], renamed.as_str());
        }
    });
}

#[test]
fn case_043_a_group_is_found_by_its_name_and_no_other() {
    run(async |bridge| {
        let id = group(bridge, "c043", &[]).await;
        group(bridge, "c043 two", &[]).await;
        assert_eq!(found(bridge, "/Groups", "displayName eq \"c043\"").await, [id]);
    });
}

#[test]
fn case_044_a_filter_on_groups_is_not_overlooked() {
    run(async |bridge| {
        let id = group(bridge, "c044", &["c044-member"]).await;
        assert_eq!(found(bridge, "/Groups", "displayName sw \"c044-nothing\"").await, [""; 0]);
        assert_eq!(found(bridge, "/Groups", "members.value eq \"c044-member\"").await, [id.as_str()]);
        assert_eq!(found(bridge, "/Groups", "members eq \"c044-member\" and displayName ne \"c044\"").await, [""; 0]);
    });
}

#[test]
fn case_045_a_user_is_matched_by_an_address_of_any_type() {
    run(async |bridge| {
        let id = user(bridge, "c045").await;
        let operations =
            json!([{"op": "add", "path": "emails", "value": [{"type": "home", "value": "c045@home.example"}]}]);
        bridge.patch(&format!("/Users/{id}"), operations).await.has_status(200);
        for address in ["c045@acme.example", "c045@home.example"] {
            assert_eq!(found(bridge, "/Users", &format!("emails.value eq \"{address}\"")).await, [id.as_str()]);
        }
    });
}
