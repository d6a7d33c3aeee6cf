//! What a client asks of a list, as numbers, an order and a filter (RFC 7644 sections 3.4.2 and 3.4.3). How real clients write
//! it is known to `scim_model::Parameters`.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use scim_filter::{AttributePath, Filter};
use scim_model::{Note, Parameters, Projection, ResourceType, ScimError, ScimType, read_filter, sort_notes};
use serde_json::Value;

use crate::{connections::Forgiveness, error::ApiError};

/// Resources on a page unless the client asks for another number.
pub const DEFAULT_COUNT: u64 = 100;

/// Resources on a page at most; `filter.maxResults` of the ServiceProviderConfig.
pub const MAX_COUNT: u64 = 1000;

/// The largest `startIndex`: as far as whole numbers are exact in every JSON reader.
const LAST_INDEX: u64 = (1 << 53) - 1;

/// What a client asks for.
#[derive(Debug, Default)]
pub struct Query {
    asked: Parameters,
    /// What was tolerated in the way in which it asks.
    notes: Vec<Note>,
}

/// The order that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The attribute.
    pub by: AttributePath,
    /// Whether the order is turned round.
    pub is_descending: bool,
}

/// How a client walks through a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging<'a> {
    /// From the n-th match on, counted from 1.
    Index(u64),
    /// By cursor (RFC 9865); an empty one asks for the first page.
    Cursor(&'a str),
}

impl Query {
    /// Reads a raw query string.
    ///
    /// # Errors
    /// 400 when the text is not UTF-8 after decoding, or a parameter is there twice with two values.
    pub fn parse(raw: &str) -> Result<Self, ApiError> {
        let (asked, notes) = Parameters::of_query(raw)?;
        Ok(Self { asked, notes })
    }

    /// Adds the parameters of a search request to those of its address.
    ///
    /// # Errors
    /// 400 `invalidSyntax` for another message, `invalidValue` for a value of another kind or two that contradict.
    pub fn with_body(mut self, body: &Value) -> Result<Self, ApiError> {
        self.notes.extend(self.asked.add_search(body)?);
        Ok(self)
    }

    /// Adds what was tolerated in the text of a body that came along.
    #[must_use]
    pub(crate) fn and(mut self, notes: Vec<Note>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// The first wanted match, from 1. Less than that is taken as 1 (RFC 7644 section 3.4.2.4).
    ///
    /// # Errors
    /// 400 `invalidValue` when it is no whole number.
    pub fn start_index(&self) -> Result<u64, ApiError> {
        Ok(whole("startIndex", self.asked.start_index.as_deref())?.unwrap_or(1).clamp(1, LAST_INDEX))
    }

    /// How many resources at most: 0 asks for the total alone, less than that is taken as 0 (RFC 7644 section 3.4.2.4). A
    /// page by cursor has at least one (RFC 9865 section 2).
    ///
    /// # Errors
    /// 400 `invalidValue` when it is no whole number; `invalidCount` where there is a cursor.
    pub fn count(&self) -> Result<u64, ApiError> {
        let count = whole("count", self.asked.count.as_deref());
        if self.asked.cursor.is_none() {
            return Ok(count?.unwrap_or(DEFAULT_COUNT).min(MAX_COUNT));
        }
        match count.map(|count| count.unwrap_or(DEFAULT_COUNT)) {
            Ok(count @ 1..) => Ok(count.min(MAX_COUNT)),
            Ok(0) | Err(_) => {
                let detail = format!("count must be a whole number from 1 to {MAX_COUNT} where there is a cursor");
                Err(ScimError::new(400, Some(ScimType::InvalidCount), detail).into())
            }
        }
    }

    /// Where the page begins.
    ///
    /// # Errors
    /// 400 `invalidValue` for a `startIndex` that is no whole number, or one beside a cursor.
    pub fn paging(&self) -> Result<Paging<'_>, ApiError> {
        match &self.asked.cursor {
            None => Ok(Paging::Index(self.start_index()?)),
            Some(cursor) => match whole("startIndex", self.asked.start_index.as_deref())? {
                None => Ok(Paging::Cursor(cursor)),
                Some(_) => Err(ScimError::invalid_value("Send startIndex or cursor, not both").into()),
            },
        }
    }

    /// The order of the list, if the client asks for one. `sortOrder` alone orders nothing.
    ///
    /// # Errors
    /// 400 `invalidValue` for what is no path, and for another order than ascending or descending.
    pub fn order(&self) -> Result<Option<Order>, ApiError> {
        let is_descending = match given_order(self.asked.sort_order.as_deref()) {
            Some(is_descending) => is_descending,
            None => return Err(ScimError::invalid_value("sortOrder is ascending or descending").into()),
        };
        let Some(by) = self.asked.sort_by.as_deref() else { return Ok(None) };
        let by = AttributePath::parse(by)
            .map_err(|error| ScimError::invalid_value(format!("sortBy cannot be read: {error}")))?;
        Ok(Some(Order { by, is_descending }))
    }

    /// Whether the client asks for what a plain walk by index does not give: an order, or a cursor.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.asked.cursor.is_none() && self.asked.sort_by.is_none() && self.asked.sort_order.is_none()
    }

    /// What of a query must stay the same from page to page: all but cursor, count and what is shown.
    #[must_use]
    pub fn identity(&self) -> String {
        let [filter, by, order] =
            [&self.asked.filter, &self.asked.sort_by, &self.asked.sort_order].map(Option::as_deref);
        let order = order.map(str::to_ascii_lowercase);
        format!("{filter:?} {by:?} {order:?}")
    }

    /// The filter, checked against the schemas of the resource types that are searched, and what it was forgiven. A filter
    /// that is there and cannot be understood is an error, an empty one too.
    ///
    /// # Errors
    /// 400 `invalidFilter` with the place of the mistake.
    pub fn filter(&self, resource_types: &[&ResourceType]) -> Result<(Option<Filter>, Vec<Note>), ApiError> {
        let Some(text) = &self.asked.filter else { return Ok((None, Vec::new())) };
        let (filter, notes) = read_filter(resource_types, text)?;
        Ok((Some(filter), notes))
    }

    /// What was forgiven, with what the filter was. An order or list that cannot be used is an error elsewhere.
    #[must_use]
    pub(crate) fn forgiven(&self, resource_types: &[&ResourceType], filter: Vec<Note>) -> Forgiveness {
        let mut elsewhere = self.notes.clone();
        let (attributes, excluded) = (self.asked.attributes.as_deref(), self.asked.excluded_attributes.as_deref());
        if self.names_attributes() {
            let projections = resource_types.iter().map(|kind| Projection::parse_noting(kind, attributes, excluded));
            elsewhere.extend(projections.flatten().flat_map(|(_, notes)| notes));
        }
        if let Ok(Some(order)) = self.order() {
            elsewhere.extend(sort_notes(resource_types, &order.by));
        }
        Forgiveness { filter, elsewhere }
    }

    /// The same of a request about one resource, where the parameters of lists say nothing.
    #[must_use]
    pub(crate) fn forgiven_of_one(&self, resource_type: &ResourceType) -> Forgiveness {
        let mut forgiven = self.forgiven(&[resource_type], Vec::new());
        forgiven.elsewhere.extend(self.asked.ignored(&["attributes", "excludedAttributes"]));
        forgiven
    }

    /// The same where no parameter says anything: in discovery (RFC 7644 section 4) and bulk requests.
    #[must_use]
    pub(crate) fn forgiven_of_none(&self) -> Forgiveness {
        Forgiveness { filter: Vec::new(), elsewhere: [self.notes.clone(), self.asked.ignored(&[])].concat() }
    }

    /// Whether the client says which attributes it wants to see.
    #[must_use]
    pub fn names_attributes(&self) -> bool {
        self.asked.attributes.is_some() || self.asked.excluded_attributes.is_some()
    }

    /// Whether there is a filter at all.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        self.asked.filter.is_some()
    }

    /// Which attributes the answer shows.
    ///
    /// # Errors
    /// 400 when the lists cannot be used.
    pub fn projection(&self, resource_type: &ResourceType) -> Result<Projection, ApiError> {
        let (attributes, excluded) = (self.asked.attributes.as_deref(), self.asked.excluded_attributes.as_deref());
        Ok(Projection::parse(resource_type, attributes, excluded)?)
    }
}

impl FromRequest for Query {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

/// Whether an order is descending, in any letter case; `None` for another word.
fn given_order(text: Option<&str>) -> Option<bool> {
    match text {
        None => Some(false),
        Some(word) if word.eq_ignore_ascii_case("ascending") => Some(false),
        Some(word) if word.eq_ignore_ascii_case("descending") => Some(true),
        Some(_) => None,
    }
}

/// A number; negative is 0, more than fits is the most that fits.
fn whole(name: &str, text: Option<&str>) -> Result<Option<u64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScimError::invalid_value(format!("{name} must be a whole number")).into());
    }
    // All digits: the only way to fail is to be too large.
    Ok(Some(if is_negative { 0 } else { digits.parse().unwrap_or(u64::MAX) }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter_of(raw: &str) -> Option<String> {
        Query::parse(raw).unwrap().asked.filter
    }

    #[test]
    fn a_filter_is_found_however_the_client_writes_the_query() {
        let check = |raw: &str| assert_eq!(filter_of(raw).as_deref(), Some(r#"userName eq "jo@corp.test""#), "{raw}");
        check("filter=userName%20eq%20%22jo%40corp.test%22&startIndex=1&count=100");
        check("filter=userName+eq+%22jo@corp.test%22");
        check("filter=userName+eq+%22jo%40corp.test%22&");
        check("&&filter=userName+eq+%22jo@corp.test%22&&");
        check("?filter=userName+eq+%22jo@corp.test%22");
        check("aadOptscim062020?filter=userName+eq+%22jo@corp.test%22");
        check("aadOptscim062020&filter=userName+eq+%22jo@corp.test%22");
        check("Filter=userName+eq+%22jo@corp.test%22");
        check("sortBy=userName&tenant=x%20y&filter=userName%20eq%20%22jo%40corp.test%22");
        check("%66ilter=userName+eq+%22jo@corp.test%22");
    }

    #[test]
    fn special_characters_of_a_value_arrive_as_they_are() {
        let check = |raw: &str, filter: &str| assert_eq!(filter_of(raw).as_deref(), Some(filter), "{raw}");
        check("filter=displayName+eq+%22R%26D+%2B+100%25%22", r#"displayName eq "R&D + 100%""#);
        check("filter=displayName+eq+%22100%%22", r#"displayName eq "100%""#);
        check("filter=displayName+eq+%22M%C3%BCller%22", r#"displayName eq "Müller""#);
        check("filter=userName+eq+%22a%3Fb%3Dc%22", r#"userName eq "a?b=c""#);
        check("filter=userName+eq+%22a=b%22", r#"userName eq "a=b""#);
    }

    #[test]
    fn an_empty_query_asks_for_the_first_page_of_everything() {
        for raw in ["", "&", "?", "=", "startIndex=&count=", "count=%20"] {
            let query = Query::parse(raw).unwrap();
            assert!(!query.has_filter(), "{raw}");
            assert_eq!(query.start_index().unwrap(), 1);
            assert_eq!(query.count().unwrap(), DEFAULT_COUNT);
        }
    }

    #[test]
    fn an_empty_filter_is_not_no_filter() {
        assert!(Query::parse("filter=").unwrap().has_filter());
        assert!(Query::parse("filter").unwrap().has_filter());
    }

    #[test]
    fn paging_numbers_are_brought_into_range() {
        let check = |raw: &str, start_index: u64, count: u64| {
            let query = Query::parse(raw).unwrap();
            assert_eq!((query.start_index().unwrap(), query.count().unwrap()), (start_index, count), "{raw}");
        };
        check("startIndex=101&count=100", 101, 100);
        check("startIndex=0&count=0", 1, 0);
        check("startIndex=-5&count=-1", 1, 0);
        check("startIndex=99999999999999999999999&count=99999999999999999999999", LAST_INDEX, MAX_COUNT);
        check("STARTINDEX=2&Count=3", 2, 3);
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        for raw in ["count=ten", "count=1.5", "count=-", "count=1e3", "count=0x10", "count=１"] {
            let error = Query::parse(raw).unwrap().count().unwrap_err();
            assert_eq!(error.status().as_u16(), 400, "{raw}");
            assert!(error.to_string().contains("count"), "{error}");
        }
    }

    #[test]
    fn a_parameter_with_two_values_is_refused() {
        let error = Query::parse("filter=a+pr&filter=b+pr").unwrap_err();
        assert!(error.to_string().contains("filter"), "{error}");
        assert!(Query::parse("filter=a+pr&filter=a+pr").is_ok());
    }

    #[test]
    fn what_does_not_decode_to_text_is_refused() {
        assert_eq!(Query::parse("filter=%ff").unwrap_err().status().as_u16(), 400);
        assert_eq!(Query::parse("filter=%C3%28").unwrap_err().status().as_u16(), 400);
    }

    #[test]
    fn a_search_request_says_the_same_as_a_query_string() {
        let check = |body: Value, raw: &str| {
            let query = Query::default().with_body(&body).unwrap();
            assert_eq!(query.asked, Query::parse(raw).unwrap().asked, "{body}");
        };
        check(
            json!({
                "schemas": [scim_model::SEARCH_URN], "filter": "userName sw \"a\"", "startIndex": 11, "count": 10,
                "sortBy": "userName", "sortOrder": "descending",
                "attributes": ["userName", "emails.value"], "excludedAttributes": ["groups"],
            }),
            "filter=userName+sw+%22a%22&startIndex=11&count=10&sortBy=userName&sortOrder=descending\
             &attributes=userName,emails.value&excludedAttributes=groups",
        );
        check(
            json!({"Filter": "active pr", "COUNT": "10", "attributes": "userName,id"}),
            "filter=active+pr&count=10&attributes=userName,id",
        );
        check(json!({"schemas": [], "filter": null, "cursor": "", "other": {"a": 1}}), "cursor=");
        check(json!({}), "");
    }

    #[test]
    fn a_search_request_that_cannot_be_meant_is_refused() {
        let check = |body: Value, words: &str| {
            let error = Query::default().with_body(&body).unwrap_err();
            assert_eq!(error.status().as_u16(), 400, "{body}");
            assert!(error.to_string().contains(words), "{error}");
        };
        check(json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}), "SearchRequest");
        check(json!({"schemas": "x"}), "SearchRequest");
        check(json!({"filter": ["a", "b"]}), "filter");
        check(json!({"filter": true}), "filter");
        check(json!({"count": {}}), "count");
        check(json!({"attributes": [1]}), "attributes");
        let address = Query::parse("filter=active+pr").unwrap();
        assert!(address.with_body(&json!({"filter": "title pr"})).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn an_order_is_read_in_any_letter_case() {
        let order = |raw: &str| Query::parse(raw).unwrap().order();
        let by = |path: &str, is_descending| Some(Order { by: AttributePath::parse(path).unwrap(), is_descending });
        assert_eq!(order("sortBy=name.familyName").unwrap(), by("name.familyName", false));
        assert_eq!(order("sortBy=title&sortOrder=DESCENDING").unwrap(), by("title", true));
        assert_eq!(order("sortOrder=descending").unwrap(), None);
        assert_eq!(order("sortBy=&sortOrder=").unwrap(), None);
        assert!(order("sortBy=title&sortOrder=up").unwrap_err().to_string().contains("sortOrder"));
        assert!(order("sortBy=a..b").unwrap_err().to_string().contains("sortBy"));
    }

    #[test]
    fn a_cursor_goes_without_an_index_and_with_a_count() {
        let check = |raw: &str, keyword: ScimType| {
            let query = Query::parse(raw).unwrap();
            let error = query.paging().map(drop).and(query.count().map(drop)).unwrap_err();
            assert_eq!((error.status().as_u16(), error.scim_type()), (400, Some(keyword)), "{raw}");
        };
        check("cursor=&startIndex=1", ScimType::InvalidValue);
        check("cursor=abc&startIndex=3", ScimType::InvalidValue);
        check("cursor=&count=0", ScimType::InvalidCount);
        check("cursor=&count=-1", ScimType::InvalidCount);
        check("cursor=&count=ten", ScimType::InvalidCount);
        let query = Query::parse("cursor&count=5000").unwrap();
        assert_eq!((query.paging().unwrap(), query.count().unwrap()), (Paging::Cursor(""), MAX_COUNT));
        assert_eq!(Query::parse("").unwrap().paging().unwrap(), Paging::Index(1));
    }
}
