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

#[test]
fn make_tools_adds_what_a_minimal_rust_lacks_and_says_so_where_it_cannot() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder for the test");
    let command = |name: &str, script: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a stand-in is written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is made a program");
    };
    // Rust as rustup's minimal profile leaves it, on a machine that has all the rest.
    command("cargo", r#"case $1 in fmt|clippy) exit 1;; esac"#);
    for name in ["cc", "c++", "nginx", "openssl"] {
        command(name, "exit 0");
    }
    let run = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/scripts/install-tools.sh");
        let mut bash = std::process::Command::new("/bin/bash");
        // Nothing else is in reach: what the machine has does not matter, and nothing is installed.
        let output = bash.arg(script).env("PATH", folder.path()).output().expect("the script runs");
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
        String::from_utf8_lossy(&text).into_owned()
    };
    let warned = run();
    assert!(warned.contains("install rustfmt") && warned.contains("install clippy"), "{warned}");
    command("rustup", r#"echo "rustup $*""#);
    assert_eq!(run(), "rustup component add rustfmt\nrustup component add clippy\n");
    command("cargo", "exit 0");
    assert_eq!(run(), "", "nothing is done where all is there");
}
