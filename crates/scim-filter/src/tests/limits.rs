//! Hostile sizes: refused with a reason, or handled without a deep stack.

use std::thread;

use crate::{AttributePath, Filter, Limits, PatchPath};

/// Runs on a quarter of a worker thread's usual stack, so that recursion without bound would show.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(512 * 1024).spawn(work).unwrap().join().unwrap();
}

fn nested(levels: usize) -> String {
    format!("{}title pr{}", "not (".repeat(levels), ")".repeat(levels))
}

#[test]
fn nesting_ends_at_the_limit() {
    assert!(Filter::parse(&nested(32)).is_ok());
    let error = Filter::parse(&nested(33)).unwrap_err();
    assert_eq!(error.message, "more than 32 parentheses and brackets are open at once");
    assert_eq!(error.position, "not (".len() * 33 - 1);
    assert!(Filter::parse(&format!("{}title pr{}", "(".repeat(33), ")".repeat(33))).is_err());
    assert!(Filter::parse("((a pr)) and ".repeat(100).trim_end_matches(" and ")).is_ok());
}

#[test]
fn brackets_count_as_nesting() {
    let limits = Limits { depth: 1, ..Limits::default() };
    assert!(Filter::parse_with("emails[type pr]", &limits).is_ok());
    assert!(Filter::parse_with("emails[(type pr)]", &limits).is_err());
    assert!(PatchPath::parse_with("emails[(type pr)]", &limits).is_err());
    assert!(PatchPath::parse_with("emails[type pr]", &Limits { depth: 0, ..limits }).is_err());
}

#[test]
fn no_limit_allows_more_than_the_deepest_nesting() {
    on_a_small_stack(|| {
        let limits = Limits { depth: usize::MAX, length: usize::MAX, ..Limits::default() };
        assert!(Filter::parse_with(&nested(Limits::DEEPEST + 1), &limits).is_err());
        assert!(Filter::parse_with(&nested(100_000), &limits).is_err());
        let deepest = Filter::parse_with(&nested(Limits::DEEPEST), &limits).unwrap();
        assert_eq!(deepest.clone(), deepest);
        assert_eq!(Filter::parse_with(&deepest.to_string(), &limits), Ok(deepest));
    });
}

#[test]
fn chains_of_thousands_are_one_level_deep() {
    on_a_small_stack(|| {
        let limits = Limits { length: usize::MAX, ..Limits::default() };
        let chain = (0..20_000).map(|index| format!("id eq \"{index}\"")).collect::<Vec<_>>();
        for keyword in [" or ", " and "] {
            let filter = Filter::parse_with(&chain.join(keyword), &limits).unwrap();
            assert!(matches!(&filter, Filter::Or(filters) | Filter::And(filters) if filters.len() == 20_000));
            assert_eq!(filter.clone(), filter);
            assert_eq!(Filter::parse_with(&filter.to_string(), &limits), Ok(filter));
        }
    });
}

#[test]
fn length_ends_at_the_limit() {
    let limits = Limits { length: 8, ..Limits::default() };
    assert!(Filter::parse_with("title pr", &limits).is_ok());
    let error = Filter::parse_with("title  pr", &limits).unwrap_err();
    assert_eq!((error.position, error.message.as_str()), (8, "the text is longer than 8 bytes"));
    assert!(PatchPath::parse_with("familyName", &limits).is_err());
    assert!(AttributePath::parse_with("familyName", &limits).is_err());
    assert_eq!(Filter::parse_with("titlé pöß", &Limits { length: 9, ..limits }).unwrap_err().position, 8);
}

#[test]
fn filters_are_joined_in_normal_form() {
    let filter = |text: &str| Filter::parse(text).unwrap();
    assert_eq!(Filter::all([]), None);
    assert_eq!(Filter::any([]), None);
    assert_eq!(Filter::all([filter("a pr")]), Some(filter("a pr")));
    assert_eq!(Filter::all([filter("a pr and b pr"), filter("c pr")]), Some(filter("a pr and b pr and c pr")));
    assert_eq!(Filter::any([filter("a pr"), filter("b pr or c pr")]), Some(filter("a pr or b pr or c pr")));
    assert_eq!(Filter::all([filter("a pr or b pr"), filter("c pr")]), Some(filter("(a pr or b pr) and c pr")));
}
