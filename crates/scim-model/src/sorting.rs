//! The order of a sorted list (RFC 7644 section 3.4.2.3): by the type of the attribute, texts letter by letter in the form
//! in which they are compared, of a list the primary value or else the first.

use std::cmp::Ordering;

use jiff::Timestamp;
use scim_filter::AttributePath;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    catalog::{Resolved, ResourceType},
    error::{ScimError, quoted},
    matching::{accepted_by_some, fold},
    schema::{Attribute, Returned, Type},
    value::nearest_timestamp,
};

/// Of a longer text only so many bytes count: it has to fit into the cursor of the next page.
const LONGEST: usize = 16 * 1024;

/// What a resource is sorted by. Values of one attribute are of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SortValue {
    /// False comes before true.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Decimal(f64),
    /// A point in time.
    Time(Timestamp),
    /// A text in comparable form.
    Text(String),
}

impl Eq for SortValue {}

impl PartialOrd for SortValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SortValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(one), Self::Boolean(two)) => one.cmp(two),
            (Self::Integer(one), Self::Integer(two)) => one.cmp(two),
            (Self::Decimal(one), Self::Decimal(two)) => one.total_cmp(two),
            (Self::Time(one), Self::Time(two)) => one.cmp(two),
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            // Two types that know the name may disagree on its kind; then the kinds follow each other.
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl SortValue {
    /// Whether it may be only the beginning of what the resource is sorted by.
    #[must_use]
    pub fn may_be_cut(&self) -> bool {
        // A letter that does not fit any more leaves up to three bytes free.
        matches!(self, Self::Text(text) if text.len() > LONGEST - char::MAX.len_utf8())
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Integer(_) => 1,
            Self::Decimal(_) => 2,
            Self::Time(_) => 3,
            Self::Text(_) => 4,
        }
    }
}

/// Refuses an attribute that a list of this type cannot be sorted by.
///
/// # Errors
///
/// 400 `invalidValue` for an unknown attribute, one with parts of which none is named, and bytes; 403 `sensitive` for a
/// secret, whose order would tell what it is.
pub fn check_sort(resource_type: &ResourceType, path: &AttributePath) -> Result<(), ScimError> {
    let Some(resolved) = resource_type.resolve(path) else {
        return Err(ScimError::invalid_value(format!(
            "sortBy: a {} has no attribute {}, see /Schemas",
            resource_type.name,
            quoted(&path.to_string())
        )));
    };
    if resolved.leaf().returned == Returned::Never {
        return Err(ScimError::sensitive(format!("{} cannot be sorted by", resolved.path())));
    }
    match leaf(resolved).map(|leaf| leaf.kind) {
        Some(Type::Complex) | None => {
            Err(ScimError::invalid_value(format!("sortBy: {} has parts, name one of them", resolved.path())))
        }
        Some(Type::Binary) => Err(ScimError::invalid_value(format!("sortBy: {} has no order", resolved.path()))),
        Some(_) => Ok(()),
    }
}

/// Refuses an attribute that a list over these types cannot be sorted by: one of them must know it, and for none of them it
/// is a secret.
///
/// # Errors
///
/// What [`check_sort`] says of the type that has the attribute, or of the first.
pub fn check_sort_of_all(resource_types: &[&ResourceType], path: &AttributePath) -> Result<(), ScimError> {
    accepted_by_some(resource_types, &[path], |resource_type| check_sort(resource_type, path))
}

/// What a resource is sorted by: the value at the path; `None` if it has none. Takes a document as well as a full resource.
pub fn sort_value(
    resource_type: &ResourceType,
    path: &AttributePath,
    resource: &Map<String, Value>,
) -> Option<SortValue> {
    let resolved = resource_type.resolve(path)?;
    let home = match resolved.schema {
        None => resource,
        Some(urn) => resource.get(urn)?.as_object()?,
    };
    let element = preferred(home.get(&resolved.attribute.name)?)?;
    let leaf = leaf(resolved)?;
    let value = match (resolved.sub, element) {
        (Some(sub), element) => preferred(element.get(&sub.name)?)?,
        (None, Value::Object(parts)) => parts.get(&leaf.name)?,
        (None, simple) => simple,
    };
    comparable(leaf, value)
}

/// The attribute whose type decides: a complex one stands for its `value`.
fn leaf(resolved: Resolved<'_>) -> Option<&Attribute> {
    match resolved.leaf() {
        complex if complex.kind == Type::Complex => complex.value(),
        simple => Some(simple),
    }
}

/// Of a list the primary value, or else the first.
fn preferred(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(elements) => {
            let primary = elements.iter().find(|element| element.get("primary") == Some(&Value::Bool(true)));
            primary.or_else(|| elements.first())
        }
        single => Some(single),
    }
}

fn comparable(leaf: &Attribute, value: &Value) -> Option<SortValue> {
    match leaf.kind {
        Type::Boolean => value.as_bool().map(SortValue::Boolean),
        Type::Integer => value.as_i64().map(SortValue::Integer),
        Type::Decimal => value.as_f64().map(SortValue::Decimal),
        Type::DateTime => nearest_timestamp(value.as_str()?).map(SortValue::Time),
        Type::String | Type::Reference => {
            let mut text = fold(leaf, value.as_str()?);
            text.truncate(text.floor_char_boundary(LONGEST));
            Some(SortValue::Text(text))
        }
        Type::Binary | Type::Complex => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Catalog;

    fn users() -> ResourceType {
        Catalog::new(Vec::new()).unwrap().resource_type("User").unwrap().clone()
    }

    fn value(path: &str, resource: &Value) -> Option<SortValue> {
        sort_value(&users(), &AttributePath::parse(path).unwrap(), resource.as_object().unwrap())
    }

    fn text(text: &str) -> Option<SortValue> {
        Some(SortValue::Text(text.to_owned()))
    }

    #[test]
    fn a_value_is_compared_by_the_type_of_its_attribute() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let user = json!({
            "userName": "ANN", "externalId": "A7", "active": true, "name": {"familyName": "ß ÄRGER"},
            "emails": [{"value": "First@x"}, {"value": "Main@x", "primary": true}],
            "phoneNumbers": [{"value": "+1"}, {"value": "+2"}],
            "meta": {"created": "2026-01-31T10:30:00+01:00"},
            enterprise: {"department": "Support", "manager": {"value": "M1"}},
        });
        assert_eq!(value("userName", &user), text("ann"));
        assert_eq!(value("externalId", &user), text("A7"));
        assert_eq!(value("active", &user), Some(SortValue::Boolean(true)));
        assert_eq!(value("name.familyName", &user), text("ß ärger"));
        assert_eq!(value("emails", &user), text("main@x"));
        assert_eq!(value("emails.value", &user), text("main@x"));
        assert_eq!(value("phoneNumbers.value", &user), text("+1"));
        let moment: Timestamp = "2026-01-31T09:30:00Z".parse().unwrap();
        assert_eq!(value("meta.created", &user), Some(SortValue::Time(moment)));
        assert_eq!(value(&format!("{enterprise}:department"), &user), text("support"));
        assert_eq!(value(&format!("{enterprise}:manager.value"), &user), text("M1"));
        assert_eq!(value("nickName", &user), None);
        assert_eq!(value("emails.value", &json!({"emails": []})), None);
        assert_eq!(value("shoeSize", &json!({"shoeSize": 44})), None);
    }

    #[test]
    fn numbers_times_and_truth_have_their_own_order() {
        assert!(SortValue::Integer(9) < SortValue::Integer(10));
        assert!(SortValue::Decimal(-0.5) < SortValue::Decimal(0.25));
        assert!(SortValue::Boolean(false) < SortValue::Boolean(true));
        assert!(SortValue::Text("b".into()) < SortValue::Text("é".into()));
    }

    #[test]
    fn what_a_list_cannot_be_sorted_by_is_refused() {
        let check = |path: &str, status: u16, keyword: &str| {
            let error = check_sort(&users(), &AttributePath::parse(path).unwrap()).unwrap_err();
            let found = error.scim_type.map(|keyword| keyword.as_str());
            assert_eq!((error.status, found), (status, Some(keyword)), "{path}");
        };
        check("shoeSize", 400, "invalidValue");
        check("name", 400, "invalidValue");
        check("meta", 400, "invalidValue");
        check("x509Certificates", 400, "invalidValue");
        check("password", 403, "sensitive");
        for path in ["id", "userName", "emails", "emails.type", "meta.lastModified", "active"] {
            check_sort(&users(), &AttributePath::parse(path).unwrap()).unwrap();
        }
    }
    #[test]
    fn a_text_that_does_not_fit_into_a_cursor_says_that_it_was_cut() {
        let is_cut = |text: &str| value("displayName", &json!({ "displayName": text })).unwrap().may_be_cut();
        for letter in ["a", "ä", "€", "😀"] {
            for before in ["", "a", "aa", "aaa"] {
                let text = format!("{before}{}", letter.repeat(LONGEST));
                assert!(is_cut(&text), "{letter} after {before:?}");
            }
        }
        assert!(!is_cut("a") && !is_cut(&"a".repeat(LONGEST / 2)));
    }

    #[test]
    fn a_list_over_several_types_is_sorted_by_what_one_of_them_has_and_by_no_secret() {
        let catalog = Catalog::new(Vec::new()).unwrap();
        let both = ["Group", "User"].map(|name| catalog.resource_type(name).unwrap());
        let check = |path: &str| check_sort_of_all(&both, &AttributePath::parse(path).unwrap());
        check("userName").unwrap();
        check("members.value").unwrap();
        assert_eq!(check("shoeSize").unwrap_err().status, 400);
        assert_eq!(check("password").unwrap_err().status, 403);
    }
}
