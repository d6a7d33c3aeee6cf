//! The 221 time zones of the PBX, and the names that mean one of them.

use bridge_mapping::{AccountSchema, TargetKind};
use serde_json::json;

use crate::support::{User, compile, config};

#[test]
fn a_zone_is_sent_by_the_name_that_the_pbx_knows() {
    let rules = compile(&config(TargetKind::Netsapiens)).unwrap();
    let check = |given: &str, sent: &str| {
        let mapping = User::with("timezone", given).map(&rules);
        assert_eq!(mapping.account.text("time-zone"), Some(sent), "{given}: {:?}", mapping.problems);
        let through_extension = User::with_extension(TargetKind::Netsapiens, "time-zone", given).map(&rules);
        assert_eq!(through_extension.account.text("time-zone"), Some(sent), "{given}");
    };
    check("Europe/London", "Europe/London");
    check("europe/london", "Europe/London");
    check("America/Los_Angeles", "America/Los_Angeles");
    check("America/Chicago", "US/Central");
    check("UTC", "Etc/GMT");
    check("Etc/UTC", "Etc/GMT");
    check("GMT", "Etc/GMT");
    check("Asia/Kolkata", "Asia/Calcutta");
    check("Europe/Kyiv", "Europe/Kiev");
    check("America/Anchorage", "US/Alaska");
    check("America/Argentina/Buenos_Aires", "America/Buenos_Aires");
    check("America/Indiana/Indianapolis", "America/Indianapolis");
    check("America/Halifax", "Canada/Atlantic");
    check("America/St_Johns", "Canada/Newfoundland");
    check("Asia/Ho_Chi_Minh", "Asia/Saigon");
    check("Asia/Kathmandu", "Asia/Katmandu");
    check("Asia/Yangon", "Asia/Rangoon");
    check("Australia/Hobart", "Australia/Tasmania");
    check("Atlantic/Faroe", "Atlantic/Faeroe");
    check("Pacific/Pago_Pago", "Pacific/Midway");
    check("NZ", "Pacific/Auckland");
}

#[test]
fn every_zone_and_every_other_name_of_one_is_taken() {
    let field = AccountSchema::embedded(TargetKind::Netsapiens).field("time-zone").unwrap();
    assert_eq!(field.allowed.len(), 221);
    for zone in &field.allowed {
        assert_eq!(field.convert(&json!(zone)), Ok(Some(json!(zone))));
    }
    for (other, zone) in &field.replacements {
        assert_eq!(*other, other.to_lowercase(), "aliases are looked up in lower case");
        assert!(field.allowed.contains(zone), "{other} means {zone}, which is not listed");
        assert!(!field.allowed.contains(other));
        assert_eq!(field.convert(&json!(other.to_uppercase())), Ok(Some(json!(zone))));
    }
}

#[test]
fn the_telephone_s_own_zone_wins_over_the_user_s() {
    let mut body = crate::support::dana_json();
    body["timezone"] = json!("Europe/London");
    body["urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User"] = json!({ "timeZone": "Asia/Tokyo" });
    let mapping = crate::support::user(body).map_with(&config(TargetKind::Netsapiens));
    assert_eq!(mapping.account.text("time-zone"), Some("Asia/Tokyo"));
}
