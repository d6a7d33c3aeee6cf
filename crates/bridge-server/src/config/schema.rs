//! JSON Schema (draft 2020-12) of the configuration file, for editors and for `check --print-schema`.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::file::File;

/// The schema of the whole file.
#[must_use]
pub fn json_schema() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>().to_value()
}

/// The same without references, to walk along a document.
pub(super) static INLINED: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<File>().to_value()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_the_keys_of_each_kind_of_target() {
        let text = json_schema().to_string();
        for key in [
            "admin_listen",
            "journal_days",
            "confirmed_by",
            "on_rekey",
            "address_suffix",
            "suspend_dial_policy",
            "marker_field",
        ] {
            assert!(text.contains(&format!("{key:?}:")), "{key} in {text}");
        }
    }

    #[test]
    fn the_inlined_schema_has_no_references() {
        assert!(!INLINED.to_string().contains("$ref"));
    }
}
