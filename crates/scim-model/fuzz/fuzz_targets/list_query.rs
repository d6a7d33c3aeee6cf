//! Any four lines as `filter`, `attributes`, `excludedAttributes` and `sortBy` of a list of users and of groups: no panic,
//! what a filter finds does not depend on how it is printed, and a projection only ever takes away.

#![no_main]

use libfuzzer_sys::fuzz_target;
use scim_filter::{AttributePath, Filter, Limits, PatchPath};
use scim_model::{Projection, check_filter, check_sort, get, matches, project, sort_value};
use scim_model_fuzz::{CATALOG, answered, sample, shown};
use serde_json::Value;

fuzz_target!(|query: &str| {
    let mut lines = query.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (filter, attributes, excluded, sort_by) = (line(), line(), line(), line());
    let filter = Filter::parse(filter).ok();
    for resource_type in CATALOG.resource_types() {
        let document = sample(resource_type);
        let resource = shown(resource_type, &document);
        if let Some(filter) = &filter
            && check_filter(resource_type, filter).is_ok()
        {
            // What is printed may be longer than what was read.
            let limits = Limits { length: usize::MAX, ..Limits::strict() };
            let printed = Filter::parse_with(&filter.to_string(), &limits).expect("what is printed can be read");
            let finds = matches(resource_type, filter, &resource);
            assert_eq!(matches(resource_type, &printed, &resource), finds);
            assert_eq!(matches(resource_type, &Filter::Not(Box::new(printed)), &resource), !finds);
        }
        if let Ok(path) = AttributePath::parse(sort_by) {
            let by = sort_value(resource_type, &path, &resource);
            let is_there = !get(&resource, resource_type, &PatchPath::from(path.clone())).is_empty();
            assert!(by.is_none() || is_there, "sorted by what is not there: {by:?}");
            if check_sort(resource_type, &path).is_ok() && path.sub_attribute.is_none() {
                assert_eq!(by.is_some(), is_there, "{path}");
            }
        }
        let Ok(projection) = Projection::parse(resource_type, Some(attributes), Some(excluded)) else { continue };
        let whole = Value::from(resource);
        let part = answered(resource_type, &document, &projection);
        assert!(part.contains_key("id") && part.contains_key("schemas"));
        let again = project(resource_type, part.clone(), &projection);
        assert_eq!(again, part, "a projection of a projection shows something else");
        let part = Value::from(part);
        let mut rest = part.clone();
        rest.as_object_mut().map(|rest| rest.remove("schemas"));
        assert!(is_part(&rest, &whole), "{part} is not part of {whole}");
    }
});

/// Whether a value is another one with less in it.
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|whole| is_part(value, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.iter().all(|element| whole.iter().any(|whole| is_part(element, whole)))
        }
        _ => part == whole,
    }
}
