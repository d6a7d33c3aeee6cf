//! The query string of a SCIM request (RFC 7644 section 3.4.2), read as real clients write it.
//!
//! OneLogin ends it with a stray `&` or `?`, Entra writes blanks as `+` and lets administrators put flags behind the base
//! URL, everybody adds parameters of their own (`idp/others.md` section 11). All of that is taken. What must never happen
//! is that a filter is overlooked, because then the whole list looks like the answer to it.

use std::{
    borrow::Cow,
    future::{Ready, ready},
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use percent_encoding::percent_decode;
use scim_filter::Filter;
use scim_model::{Projection, ResourceType, ScimError, check_filter};

use crate::error::ApiError;

/// Resources on a page unless the client asks for another number.
pub const DEFAULT_COUNT: u64 = 100;

/// Resources on a page at most; `filter.maxResults` of the ServiceProviderConfig.
pub const MAX_COUNT: u64 = 1000;

/// The largest `startIndex`: as far as whole numbers are exact in every JSON reader.
const LAST_INDEX: u64 = (1 << 53) - 1;

/// The parameters that SCIM knows, decoded. Unknown ones are left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    filter: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

impl Query {
    /// Reads a raw query string.
    ///
    /// # Errors
    /// 400 when the text is not UTF-8 after decoding, or a parameter is there twice with two values.
    pub fn parse(raw: &str) -> Result<Self, ApiError> {
        let mut query = Self::default();
        for pair in raw.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A flag of the base URL and a second question mark may stand before the name.
            let name = decode(name.rsplit('?').next().unwrap_or(name))?;
            if let Some(place) = query.parameter(&name) {
                let value = decode(value)?.into_owned();
                if place.as_ref().is_some_and(|earlier| *earlier != value) {
                    return Err(ScimError::invalid_value(format!("The parameter {name} is there twice")).into());
                }
                *place = Some(value);
            }
        }
        Ok(query)
    }

    fn parameter(&mut self, name: &str) -> Option<&mut Option<String>> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("filter") => Some(&mut self.filter),
            () if is("startIndex") => Some(&mut self.start_index),
            () if is("count") => Some(&mut self.count),
            () if is("attributes") => Some(&mut self.attributes),
            () if is("excludedAttributes") => Some(&mut self.excluded_attributes),
            () => None,
        }
    }

    /// The first wanted match, from 1. Less than that is taken as 1 (RFC 7644 section 3.4.2.4).
    ///
    /// # Errors
    /// 400 `invalidValue` when it is no whole number.
    pub fn start_index(&self) -> Result<u64, ApiError> {
        Ok(whole("startIndex", self.start_index.as_deref())?.unwrap_or(1).clamp(1, LAST_INDEX))
    }

    /// How many resources at most: 0 asks for the total alone, less than that is taken as 0 (RFC 7644 section 3.4.2.4).
    ///
    /// # Errors
    /// 400 `invalidValue` when it is no whole number.
    pub fn count(&self) -> Result<u64, ApiError> {
        Ok(whole("count", self.count.as_deref())?.unwrap_or(DEFAULT_COUNT).min(MAX_COUNT))
    }

    /// The filter, checked against the schemas of the resource type. A filter that is there and cannot be understood is an
    /// error, an empty one too.
    ///
    /// # Errors
    /// 400 `invalidFilter` with the place of the mistake.
    pub fn filter(&self, resource_type: &ResourceType) -> Result<Option<Filter>, ApiError> {
        let Some(text) = &self.filter else { return Ok(None) };
        if text.contains('\0') {
            return Err(
                ScimError::invalid_filter("The filter contains the character NUL, which no value can have").into()
            );
        }
        let filter = Filter::parse(text)
            .map_err(|error| ScimError::invalid_filter(format!("The filter cannot be read: {error}")))?;
        check_filter(resource_type, &filter)?;
        Ok(Some(filter))
    }

    /// Whether the client says which attributes it wants to see.
    #[must_use]
    pub fn names_attributes(&self) -> bool {
        let is_given = |names: &Option<String>| names.as_ref().is_some_and(|names| !names.trim().is_empty());
        is_given(&self.attributes) || is_given(&self.excluded_attributes)
    }

    /// Whether there is a filter at all.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// Which attributes the answer shows.
    ///
    /// # Errors
    /// 400 when the lists cannot be used.
    pub fn projection(&self, resource_type: &ResourceType) -> Result<Projection, ApiError> {
        let (attributes, excluded) = (self.attributes.as_deref(), self.excluded_attributes.as_deref());
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

/// A number as clients write it; negative is 0, more than fits is the most that fits, empty is not there.
fn whole(name: &str, text: Option<&str>) -> Result<Option<u64>, ApiError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScimError::invalid_value(format!("{name} must be a whole number")).into());
    }
    // All digits: the only way to fail is to be too large.
    Ok(Some(if is_negative { 0 } else { digits.parse().unwrap_or(u64::MAX) }))
}

/// `+` and percent escapes to text.
fn decode(text: &str) -> Result<Cow<'_, str>, ApiError> {
    if !text.contains(['+', '%']) {
        return Ok(Cow::Borrowed(text));
    }
    let blanks = text.replace('+', " ");
    match percent_decode(blanks.as_bytes()).decode_utf8() {
        Ok(decoded) => Ok(Cow::Owned(decoded.into_owned())),
        Err(_) => Err(ScimError::invalid_syntax("The query string is not UTF-8 after percent-decoding").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(raw: &str) -> Option<String> {
        Query::parse(raw).unwrap().filter
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
}
