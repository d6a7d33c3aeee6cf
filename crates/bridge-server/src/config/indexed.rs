//! `store.index`: the attributes by which resources are to be found.

use bridge_mapping::{TargetKind, extension_schema};
use scim_filter::AttributePath;
use scim_model::{Catalog, Resolved, Returned, Type};

/// What is wrong with paths that are to be indexed.
pub(super) fn problems(paths: &[String]) -> Vec<String> {
    let catalog = match Catalog::new(TargetKind::ALL.map(extension_schema).to_vec()) {
        Ok(catalog) => catalog,
        Err(error) => return vec![format!("the schemas do not fit together: {error}")],
    };
    paths.iter().filter_map(|path| Some(format!("{path:?} {}", problem(&catalog, path)?))).collect()
}

fn problem(catalog: &Catalog, path: &str) -> Option<String> {
    let parsed = match AttributePath::parse(path) {
        Ok(parsed) => parsed,
        Err(error) => return Some(format!("is not a SCIM attribute path: {error}")),
    };
    let Some(resolved) = catalog.resource_types().iter().find_map(|kind| kind.resolve(&parsed)) else {
        return Some("is an attribute that no schema has".to_owned());
    };
    let leaf = leaf(resolved);
    if leaf.returned == Returned::Never {
        return Some("is never shown, so nobody can search for it".to_owned());
    }
    match leaf.kind {
        Type::String | Type::Reference => None,
        Type::Complex => Some("has several parts: name one, such as name.familyName".to_owned()),
        _ => Some("is no text; only texts are indexed".to_owned()),
    }
}

/// What the path stands for: a complex attribute for its `value`, if it has one.
fn leaf(resolved: Resolved<'_>) -> &scim_model::Attribute {
    let leaf = resolved.leaf();
    leaf.value().filter(|_| leaf.kind == Type::Complex).unwrap_or(leaf)
}

#[cfg(test)]
mod tests {
    use super::problems;

    #[test]
    fn what_cannot_be_searched_for_is_not_indexed() {
        let check = |path: &str, expected: &[&str]| {
            let found = problems(&[path.to_owned()]);
            assert_eq!(found, expected, "{path}");
        };
        check("title", &[]);
        check("name.familyName", &[]);
        check("emails", &[]);
        check("urn:ietf:params:scim:schemas:extension:bridgeTelephony:2.0:User:extension", &[]);
        check("titel", &["\"titel\" is an attribute that no schema has"]);
        check("password", &["\"password\" is never shown, so nobody can search for it"]);
        check("name", &["\"name\" has several parts: name one, such as name.familyName"]);
        check("active", &["\"active\" is no text; only texts are indexed"]);
        let [unread] = <[String; 1]>::try_from(problems(&["emails[".to_owned()])).unwrap();
        assert!(unread.starts_with("\"emails[\" is not a SCIM attribute path: "), "{unread}");
    }
}
