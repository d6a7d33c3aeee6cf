//! Any text as a filter: no panic, an error that points into the text, or a tree that survives the round trip.

#![no_main]

use libfuzzer_sys::fuzz_target;
use scim_filter::{Filter, Limits};

fuzz_target!(|text: &str| {
    // What is printed may be longer than what was read, and needs no leniency.
    let strict = Limits { length: usize::MAX, ..Limits::strict() };
    match Filter::parse(text) {
        Ok(filter) => assert_eq!(Filter::parse_with(&filter.to_string(), &strict), Ok(filter)),
        Err(error) => {
            assert!(text.is_char_boundary(error.position), "{error}");
            assert!(Filter::parse_with(text, &Limits::strict()).is_err(), "strict takes what lenient refuses");
        }
    }
});
