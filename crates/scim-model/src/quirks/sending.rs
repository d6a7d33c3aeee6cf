//! How real clients address and pack their requests, beside the letter of HTTP and JSON. All of it is known before what a
//! request says is looked at.

use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::Quirk;
use crate::{catalog::Catalog, document::Notes};

/// The media types of a body: SCIM's own, that of JSON, and none at all, which is assumed to be JSON (RFC 9110 section 8.3
/// allows to; RFC 7644 section 3.1 wants SCIM's). A `charset` says nothing, as JSON has no such parameter (RFC 8259 section
/// 11). False for anything else. Source: others 11.2. Fixture: `sending.json`.
pub(crate) fn media_type(content_type: &str, notes: &mut Notes) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.is_empty() {
        notes.add(Quirk::NoMediaType, "Content-Type");
        return true;
    }
    ["application/scim+json", "application/json"].iter().any(|known| essence.eq_ignore_ascii_case(known))
}

/// A token without the word `Bearer`, which RFC 6750 section 2.1 puts before it (in any letter case: RFC 9110 section 11.1).
/// Okta's template "Header Auth" sends what the administrator typed. Source: okta 2. Fixture: `sending.json`.
pub(crate) fn token(authorization: &str, notes: &mut Notes) {
    if !authorization.trim().contains(' ') {
        notes.add(Quirk::BareToken, "Authorization");
    }
}

/// Versions without the quotes that a tag has (RFC 9110 section 8.8.3), in a header or in an operation of a bulk request.
/// Source: RFC 7644 section 3.14, where `meta.version` and the tag are the same text. Fixture: `sending.json`.
pub(crate) fn tags(tags: &str, place: &str, notes: &mut Notes) {
    let is_quoted = |tag: &str| tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"');
    let is_tag = |tag: &str| tag == "*" || is_quoted(tag.strip_prefix("W/").unwrap_or(tag));
    if !tags.split(',').map(str::trim).all(is_tag) {
        notes.add(Quirk::BareTag, place);
    }
}

/// Slashes too many in the part of an address behind the base URL of a tenant: `//Users`, `/Users/`. The base URL itself may
/// end in one (RFC 7644 section 1.3). Source: entra 7 (Microsoft's Postman tests), others 11.1, cases 24 and 29.
/// Fixture: `sending.json`.
pub(crate) fn slashes(sent: &str, notes: &mut Notes) {
    if has_extra_slash(sent) {
        notes.add(Quirk::ExtraSlash, "/");
    }
}

/// Whether there are such slashes.
pub fn has_extra_slash(sent: &str) -> bool {
    sent.contains("//") || (sent.len() > 1 && sent.ends_with('/'))
}

/// The parts of an address whose letter case counts (RFC 3986 section 6.2.2.1) and is not that of RFC 7644 section 3.2, and
/// the name that Microsoft's documents have for the configuration. Source: case 11 (letter case), Microsoft's tutorial on SCIM
/// endpoints. Fixture: `sending.json`.
pub(crate) fn names(catalog: &Catalog, path: &str, notes: &mut Notes) {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let (Some(endpoint), name) = (parts.next(), parts.next()) else { return };
    let known = match endpoint {
        "ServiceConfiguration" => Some("ServiceProviderConfig"),
        "ResourceTypes" => name.and_then(|name| catalog.resource_type(name)).map(|kind| kind.name.as_str()),
        "Schemas" => name.and_then(|urn| catalog.schema(urn)).map(|schema| schema.id.as_str()),
        _ => catalog.by_endpoint(endpoint).map(|kind| kind.endpoint.as_str()),
    };
    let sent = if matches!(endpoint, "ResourceTypes" | "Schemas") { name } else { Some(endpoint) };
    if let Some(known) = known.filter(|known| sent != Some(known)) {
        notes.add(Quirk::OtherAddress, known);
    }
}

/// RFC 7644 section 3.7 has the paths of bulk operations relative to the base URL: `/Users`, `/Users/{id}`. Whole addresses
/// are taken too, paths without slash or with several, with a query, with an endpoint in another letter case.
/// Source: others 11.1 and cases 24, 29, for addresses. Fixture: `sending.json`.
pub(crate) fn bulk_path(path: &str, endpoint: &str, notes: &mut Notes) {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(endpoint));
    let is_relative = rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && !rest.ends_with('/')));
    if !is_relative || path.contains("//") || path.contains('?') {
        notes.add(Quirk::BulkPath, "path");
    }
}

/// A bulk operation that creates something needs a name for it (RFC 7644 section 3.7), even if nobody refers to it.
/// Source: RFC 7644; without one the operation is as clear. Fixture: `sending.json`.
pub(crate) fn bulk_id(bulk_id: Option<&str>, notes: &mut Notes) {
    if bulk_id.is_none() {
        notes.add(Quirk::NoBulkId, "bulkId");
    }
}

/// After how many errors a bulk request ends. RFC 7644 section 3.7 does not say what less than one would mean; it stands for
/// no limit, as in clients that write every member. Source: as said. Fixture: `sending.json`.
pub(crate) fn error_limit(number: i64, notes: &mut Notes) -> Option<usize> {
    let limit = usize::try_from(number).ok().filter(|limit| *limit > 0);
    if limit.is_none() {
        notes.add(Quirk::NoErrorLimit, "failOnErrors");
    }
    limit
}

/// The mark that some writers of UTF-8 put before the text. Source: RFC 8259 section 8.1, where nobody may send it and who
/// reads may overlook it. Fixture: `sending.json`.
pub(crate) fn without_mark<'a>(text: &'a [u8], notes: &mut Notes) -> &'a [u8] {
    let Some(rest) = text.strip_prefix(b"\xef\xbb\xbf") else { return text };
    notes.add(Quirk::ByteOrderMark, "the body");
    rest
}

/// Adds a member to a JSON object. Of a name that is there twice the last value counts, as with most readers. Source: RFC
/// 8259 section 4, where names should be there once. Fixture: `sending.json`.
pub(crate) fn put_member(object: &mut Map<String, Value>, name: String, value: Value, notes: &mut Notes) {
    match object.entry(name) {
        Entry::Vacant(place) => {
            place.insert(value);
        }
        Entry::Occupied(mut place) => {
            notes.add(Quirk::RepeatedMember, place.key());
            place.insert(value);
        }
    }
}
