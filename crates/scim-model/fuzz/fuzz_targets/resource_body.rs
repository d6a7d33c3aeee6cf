//! Any bytes as the body of a POST and of a PUT: no panic, JSON read as any reader reads it, and nothing but what may be stored.

#![no_main]

use libfuzzer_sys::fuzz_target;
use scim_model::{Context, accept, read_body};
use scim_model_fuzz::{CATALOG, ID, check, sample};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let any_reader = serde_json::from_slice::<Value>(text).ok();
    match read_body(bytes) {
        Ok((body, _)) => assert_eq!(Some(body), any_reader),
        Err(error) => assert!(error.status == 400 && !error.detail.is_empty(), "{error:?}"),
    }
    let Some(body) = any_reader else { return };
    for resource_type in CATALOG.resource_types() {
        let current = sample(resource_type);
        for context in [Context::Create, Context::Replace { current: &current, id: ID }] {
            match accept(resource_type, body.clone(), context) {
                Ok(draft) => check(resource_type, &draft),
                Err(error) => assert!(error.status == 400 && !error.detail.is_empty(), "{error:?}"),
            }
        }
    }
});
