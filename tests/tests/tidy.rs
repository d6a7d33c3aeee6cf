//! Rules of this codebase that a machine can check.

#![expect(clippy::expect_used, reason = "a test may panic: that is how it fails")]

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// The rooms and what each may depend on (ARCHITECTURE.md). An arrow that is not here points up.
const ROOMS: &[(&str, &[&str])] = &[
    ("scim-filter", &[]),
    ("scim-model", &["scim-filter"]),
    ("bridge-mapping", &["scim-filter", "scim-model"]),
    ("bridge-connectors", &["bridge-mapping", "scim-model"]),
    ("bridge-simulators", &[]),
    ("bridge-store", &["scim-filter", "scim-model"]),
    (
        "bridge-server",
        &["scim-filter", "scim-model", "bridge-mapping", "bridge-connectors", "bridge-simulators", "bridge-store"],
    ),
    ("bridge-tests", &["scim-model", "bridge-mapping", "bridge-server", "bridge-simulators", "bridge-store"]),
];

/// Libraries that only some rooms may know. The bench is in `bridge-tests`: it measures two of them without the bridge.
const ONLY: &[(&str, &[&str])] = &[
    ("actix-web", &["bridge-server", "bridge-simulators", "bridge-tests"]),
    ("rusqlite", &["bridge-store", "bridge-tests"]),
    ("minijinja", &["bridge-mapping"]),
];

fn dependencies() -> BTreeMap<String, Vec<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo knows this workspace");
    let names = |package: &cargo_metadata::Package| {
        let is_built = |dependency: &&cargo_metadata::Dependency| dependency.kind != DependencyKind::Development;
        package.dependencies.iter().filter(is_built).map(|dependency| dependency.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), names(package))).collect()
}

#[test]
fn arrows_between_the_rooms_point_down() {
    let dependencies = dependencies();
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    for (room, used) in &dependencies {
        let allowed = rooms.get(room.as_str()).unwrap_or_else(|| panic!("{room} is no room of ARCHITECTURE.md"));
        for other in used.iter().filter(|name| rooms.contains_key(name.as_str())) {
            assert!(allowed.contains(&other.as_str()), "{room} must not depend on {other}");
        }
    }
    assert_eq!(dependencies.len(), ROOMS.len());
}

#[test]
fn each_library_stays_in_its_room() {
    for (room, used) in dependencies() {
        for (library, rooms) in ONLY {
            let is_at_home = rooms.contains(&room.as_str());
            assert!(is_at_home || !used.iter().any(|name| name == library), "{room} must not know {library}");
        }
    }
}

#[test]
fn the_filter_parser_depends_on_nothing() {
    assert_eq!(dependencies()["scim-filter"], Vec::<String>::new());
}
