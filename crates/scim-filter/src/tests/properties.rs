//! For every tree: printed and parsed again it is the same. For every text: an answer, never a panic.

use proptest::{collection::vec, option, prelude::*};

use crate::{AttributePath, Filter, Limits, Literal, Number, Operator, ParseError, PatchPath, UrnPath};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z$][A-Za-z0-9$_-]{0,8}",
        1 => prop::sample::select(vec!["and", "or", "not", "pr", "eq", "true", "null", "value", "$ref"]).prop_map(str::to_owned),
    ]
}

fn schema() -> impl Strategy<Value = String> {
    prop_oneof![
        "urn(:[A-Za-z0-9._-]{1,8}){1,5}",
        "https?://[a-z.]{1,12}(:[0-9]{1,4})?/[A-Za-z0-9/._~%?#@!$&'*+,;=-]{0,12}",
    ]
}

fn attribute() -> impl Strategy<Value = AttributePath> {
    (option::weighted(0.2, schema()), name(), option::weighted(0.3, name()))
        .prop_map(|(schema, name, sub_attribute)| AttributePath { schema, name, sub_attribute })
}

/// An attribute that brackets may follow.
fn selected() -> impl Strategy<Value = AttributePath> {
    attribute().prop_map(|attribute| AttributePath { sub_attribute: None, ..attribute })
}

fn literal() -> impl Strategy<Value = Literal> {
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?"
        .prop_filter_map("the pattern is JSON's", |text| Number::parse(&text));
    prop_oneof![
        any::<String>().prop_map(Literal::String),
        "[ -~\\x00-\\x1f]{0,12}".prop_map(Literal::String),
        number.prop_map(Literal::Number),
        any::<i64>().prop_map(|value| Literal::Number(Number::from(value))),
        any::<bool>().prop_map(Literal::Boolean),
        Just(Literal::Null),
    ]
}

fn operator() -> impl Strategy<Value = Operator> {
    prop::sample::select(Operator::ALL.to_vec())
}

/// Filters in normal form grown from the given leaves.
fn grown<S: Strategy<Value = Filter> + 'static>(leaf: S) -> impl Strategy<Value = Filter> {
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..5).prop_filter_map("not empty", Filter::all),
            vec(inner.clone(), 1..5).prop_filter_map("not empty", Filter::any),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn comparison() -> impl Strategy<Value = Filter> {
    prop_oneof![
        3 => (attribute(), operator(), literal()).prop_map(|(path, operator, value)| Filter::Compare(path, operator, value)),
        1 => attribute().prop_map(Filter::Present),
    ]
}

fn value_filter() -> impl Strategy<Value = Box<Filter>> {
    grown(comparison()).prop_map(Box::new)
}

fn value_path() -> impl Strategy<Value = Filter> {
    prop_oneof![
        (selected(), value_filter()).prop_map(|(attribute, filter)| Filter::ValuePath(attribute, filter)),
        (selected(), value_filter(), option::of(name())).prop_map(|(attribute, filter, sub_attribute)| {
            Filter::ValuePathPresent { attribute, filter, sub_attribute }
        }),
        (selected(), value_filter(), option::of(name()), operator(), literal()).prop_map(
            |(attribute, filter, sub_attribute, operator, literal)| {
                Filter::ValuePathCompare { attribute, filter, sub_attribute, operator, literal }
            }
        ),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    grown(prop_oneof![4 => comparison(), 1 => value_path()])
}

fn patch_path() -> impl Strategy<Value = PatchPath> {
    prop_oneof![
        attribute().prop_map(PatchPath::from),
        (selected(), value_filter(), option::of(name())).prop_map(|(attribute, filter, sub_attribute)| PatchPath {
            attribute,
            filter: Some(filter),
            sub_attribute
        }),
    ]
}

/// Any text, and texts that are nearly right.
fn text() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "userName",
        "emails",
        "urn:a:2.0:User:manager",
        ".value",
        "$ref",
        " ",
        " ",
        " ",
        "eq",
        "PR",
        "Co",
        "and",
        "OR",
        "not",
        "(",
        ")",
        "[",
        "]",
        "\"",
        "\"work\"",
        "\\",
        "\\u00e9",
        "\\ud83d",
        "\\uDE00",
        "true",
        "Null",
        "-1.5e3",
        "007",
        "é",
        "\0",
        ":",
        ".",
        "'",
        "😀",
    ]);
    prop_oneof![any::<String>(), vec(token, 0..40).prop_map(|tokens| tokens.concat())]
}

fn strict_without_length() -> Limits {
    Limits { length: usize::MAX, ..Limits::strict() }
}

/// The error points into the text.
fn points_into(error: &ParseError, text: &str) -> bool {
    text.is_char_boundary(error.position) && !error.message.is_empty() && error.message.chars().count() < 200
}

proptest! {
    #[test]
    fn a_filter_reads_as_it_prints(filter in filter()) {
        prop_assert_eq!(Filter::parse_with(&filter.to_string(), &strict_without_length()), Ok(filter));
    }

    #[test]
    fn a_path_reads_as_it_prints(path in patch_path()) {
        prop_assert_eq!(PatchPath::parse_with(&path.to_string(), &strict_without_length()), Ok(path));
    }

    #[test]
    fn an_attribute_name_reads_as_it_prints(path in attribute()) {
        prop_assert_eq!(AttributePath::parse(&path.to_string()), Ok(path));
    }

    #[test]
    fn any_text_gets_an_answer_that_holds(text in text()) {
        for limits in [Limits::default(), Limits::strict()] {
            match Filter::parse_with(&text, &limits) {
                Ok(filter) => prop_assert_eq!(Filter::parse_with(&filter.to_string(), &strict_without_length()), Ok(filter)),
                Err(error) => prop_assert!(points_into(&error, &text), "{:?}", error),
            }
            match PatchPath::parse_with(&text, &limits) {
                Ok(path) => prop_assert_eq!(PatchPath::parse_with(&path.to_string(), &strict_without_length()), Ok(path)),
                Err(error) => prop_assert!(points_into(&error, &text), "{:?}", error),
            }
        }
    }

    #[test]
    fn every_attribute_name_is_a_path_and_the_reverse_without_brackets(text in text()) {
        let attribute = AttributePath::parse(&text).ok();
        let path = PatchPath::parse(&text).ok().filter(|path| path.filter.is_none());
        prop_assert_eq!(attribute.clone().map(PatchPath::from), path);
        prop_assert_eq!(AttributePath::split_urn(&text, &[]).ok(), attribute.map(UrnPath::Attribute));
    }

    #[test]
    fn strict_takes_nothing_that_lenient_reads_otherwise(text in text()) {
        if let Ok(filter) = Filter::parse_with(&text, &Limits::strict()) {
            prop_assert_eq!(Filter::parse(&text), Ok(filter));
        }
    }
}
