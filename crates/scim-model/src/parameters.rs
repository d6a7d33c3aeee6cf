//! What a client asks of a list or an answer, in the query string (RFC 7644 section 3.4.2) or in the body of `.search`
//! (section 3.4.3), read as real clients write it.
//!
//! OneLogin ends a query with a stray `&` or `?`, Entra writes blanks as `+` and lets administrators put flags behind the base
//! URL, everybody adds parameters of their own (`idp/others.md` section 11). All of that is taken and noted. What must never
//! happen is that a filter is overlooked, because then the whole list looks like the answer to it.

use scim_filter::{AttributePath, Filter};
use serde_json::Value;

use crate::{
    catalog::ResourceType,
    document::{Note, Notes},
    error::ScimError,
    matching::check_filter_of_all,
    quirks::{self, Quirk, asking},
};

/// URN of search requests.
pub const SEARCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// The names of the parameters.
const NAMES: [&str; 8] =
    ["filter", "sortBy", "sortOrder", "cursor", "startIndex", "count", "attributes", "excludedAttributes"];

/// The parameters that SCIM knows, decoded. Unknown ones are left out, and those without a value, but for `filter` and
/// `cursor`: an empty cursor asks for the first page, an empty filter is a mistake.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Which resources.
    pub filter: Option<String>,
    /// Their order.
    pub sort_by: Option<String>,
    /// Whether the order is turned round.
    pub sort_order: Option<String>,
    /// The first one.
    pub start_index: Option<String>,
    /// How many at most.
    pub count: Option<String>,
    /// Where the walk is (RFC 9865).
    pub cursor: Option<String>,
    /// What is shown of them.
    pub attributes: Option<String>,
    /// What is not.
    pub excluded_attributes: Option<String>,
}

impl Parameters {
    /// Reads a raw query string, with what was tolerated.
    ///
    /// # Errors
    ///
    /// 400 when the text is not UTF-8 after decoding, or a parameter is there twice with two values.
    pub fn of_query(raw: &str) -> Result<(Self, Vec<Note>), ScimError> {
        let (mut parameters, mut notes) = (Self::default(), Notes::default());
        for (name, value) in asking::pairs(raw, &mut notes) {
            let name = asking::decode(asking::behind_question_mark(name, &mut notes), &mut notes)?;
            if let Some(name) = asking::known_word(&name, &NAMES, &mut notes) {
                let value = asking::decode(value, &mut notes)?;
                parameters.set(name, &value, &mut notes)?;
            } else {
                asking::ignored(&name, &mut notes);
            }
        }
        Ok((parameters, notes.into_vec()))
    }

    /// Adds the parameters of a search request to those of its address, and says what was tolerated. Lists of names may be
    /// texts, numbers may be in quotes, null is not there, and the URN is often forgotten, as in other messages
    /// (`idp/others.md` section 11).
    ///
    /// # Errors
    ///
    /// 400 `invalidSyntax` for another message, `invalidValue` for a value of another kind or two that contradict.
    pub fn add_search(&mut self, body: &Value) -> Result<Vec<Note>, ScimError> {
        let mut notes = Notes::default();
        let mut schemas = None;
        let members = body.as_object().into_iter().flatten();
        for (name, value) in members.filter(|(_, value)| !value.is_null()) {
            let known = NAMES.iter().chain(&["schemas"]).find(|known| known.eq_ignore_ascii_case(name));
            let Some(known) = known else {
                notes.add(Quirk::UnknownAttribute, name);
                continue;
            };
            if known != name {
                notes.add(Quirk::MemberCase, known);
            }
            if *known == "schemas" {
                schemas = Some(value);
            } else {
                let value = parameter_text(known, value, &mut notes)?;
                self.set(known, &value, &mut notes)?;
            }
        }
        if quirks::names_message(schemas, SEARCH_URN, &mut notes) == Some(false) {
            return Err(ScimError::invalid_syntax(format!("schemas must be a list with {SEARCH_URN}")));
        }
        Ok(notes.into_vec())
    }

    /// The parameters that were given and say nothing where only `used` ones do.
    #[must_use]
    pub fn ignored(&self, used: &[&str]) -> Vec<Note> {
        let given = [
            &self.filter,
            &self.sort_by,
            &self.sort_order,
            &self.cursor,
            &self.start_index,
            &self.count,
            &self.attributes,
            &self.excluded_attributes,
        ];
        let mut notes = Notes::default();
        for (name, _) in NAMES.iter().zip(given).filter(|(name, given)| given.is_some() && !used.contains(name)) {
            asking::ignored(name, &mut notes);
        }
        notes.into_vec()
    }

    fn set(&mut self, name: &'static str, value: &str, notes: &mut Notes) -> Result<(), ScimError> {
        let value = match name {
            "filter" => value.to_owned(),
            "cursor" if value.is_empty() => String::new(),
            _ => match asking::given(value, name, notes) {
                Some(value) => value,
                None => return Ok(()),
            },
        };
        if name == "sortOrder" {
            asking::known_word(&value, &["ascending", "descending"], notes);
        }
        let place = match name {
            "filter" => &mut self.filter,
            "sortBy" => &mut self.sort_by,
            "sortOrder" => &mut self.sort_order,
            "cursor" => &mut self.cursor,
            "startIndex" => &mut self.start_index,
            "count" => &mut self.count,
            "attributes" => &mut self.attributes,
            _ => &mut self.excluded_attributes,
        };
        match place {
            Some(earlier) if *earlier != value => {
                return Err(ScimError::invalid_value(format!("The parameter {name} is there twice")));
            }
            Some(_) => notes.add(Quirk::RepeatedParameter, name),
            None => *place = Some(value),
        }
        Ok(())
    }
}

/// Reads a filter over these types: one of them must have what it asks about, the others have no value there (RFC 7644
/// section 3.4.2.1). Beside it what was tolerated.
///
/// # Errors
///
/// 400 `invalidFilter` with the place of the mistake; those of [`check_filter_of_all`].
pub fn read_filter(resource_types: &[&ResourceType], text: &str) -> Result<(Filter, Vec<Note>), ScimError> {
    if text.contains('\0') {
        return Err(ScimError::invalid_filter("The filter contains the character NUL, which no value can have"));
    }
    let (filter, taken) = Filter::parse_noting(text)
        .map_err(|error| ScimError::invalid_filter(format!("The filter cannot be read: {error}")))?;
    check_filter_of_all(resource_types, &filter)?;
    let mut notes = Notes::default();
    asking::grammar(taken, "filter", &mut notes);
    asking::filter(resource_types, &filter, &mut notes);
    Ok((filter, notes.into_vec()))
}

/// What a list over these types that is sorted by this path was forgiven.
#[must_use]
pub fn sort_notes(resource_types: &[&ResourceType], by: &AttributePath) -> Vec<Note> {
    let mut notes = Notes::default();
    asking::sort(resource_types, by, &mut notes);
    notes.into_vec()
}

/// The value of a search request as the query string would say it.
fn parameter_text(name: &str, value: &Value, notes: &mut Notes) -> Result<String, ScimError> {
    let is_number = matches!(name, "startIndex" | "count");
    let is_list = matches!(name, "attributes" | "excludedAttributes");
    match value {
        Value::String(text) => {
            if is_number {
                notes.add(Quirk::TextForNumber, name);
            } else if is_list {
                notes.add(Quirk::SingleForList, name);
            }
            Ok(text.clone())
        }
        Value::Number(_) if is_number => match quirks::whole_number(value, &name, notes) {
            Some(number) => Ok(number.to_string()),
            None => Err(unfit(name)),
        },
        Value::Number(number) => {
            notes.add(Quirk::NumberForText, name);
            Ok(number.to_string())
        }
        Value::Array(names) if is_list => {
            let texts: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(",")).ok_or_else(|| unfit(name))
        }
        Value::Null | Value::Bool(_) | Value::Object(_) | Value::Array(_) => Err(unfit(name)),
    }
}

fn unfit(name: &str) -> ScimError {
    ScimError::invalid_value(format!("{name} has a value that cannot be meant, see RFC 7644 section 3.4.3"))
}
