//! Any text as a PATCH path and as an attribute name: no panic, an error that points into the text, or a round trip.

#![no_main]

use libfuzzer_sys::fuzz_target;
use scim_filter::{AttributePath, Limits, PatchPath};

fuzz_target!(|text: &str| {
    // What is printed may be longer than what was read, and needs no leniency.
    let strict = Limits { length: usize::MAX, ..Limits::strict() };
    let attribute = AttributePath::parse(text);
    match PatchPath::parse(text) {
        Ok(path) => {
            assert_eq!(path.filter.is_none(), attribute.is_ok());
            assert_eq!(PatchPath::parse_with(&path.to_string(), &strict), Ok(path));
        }
        Err(error) => {
            assert!(text.is_char_boundary(error.position), "{error}");
            assert!(attribute.is_err(), "an attribute name is a path");
        }
    }
    match attribute {
        Ok(attribute) => assert_eq!(AttributePath::parse_with(&attribute.to_string(), &strict), Ok(attribute)),
        Err(error) => assert!(text.is_char_boundary(error.position), "{error}"),
    }
});
