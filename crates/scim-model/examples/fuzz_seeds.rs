//! Writes what the fuzz targets begin with into the folder given: the requests, filters and projections of `fixtures/`, one
//! file each in a folder per target. `deploy/scripts/fuzz.sh` runs it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let Some(corpus) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("name the folder to write to"));
    };
    for fixture in fixtures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"))? {
        let text = |name: &str| fixture[name].as_str().unwrap_or_default().to_owned();
        let bodies = |name: &str| list(&fixture, "cases").iter().filter_map(|case| case.get(name)).collect::<Vec<_>>();
        for body in ["post", "put"].into_iter().flat_map(bodies) {
            write(&corpus, "resource_body", &body.to_string())?;
        }
        for body in bodies("patch") {
            write(&corpus, "patch_body", &body.to_string())?;
        }
        for operations in bodies("operations") {
            let body = json!({ "schemas": [scim_model::PATCH_URN], "Operations": operations });
            write(&corpus, "patch_body", &body.to_string())?;
        }
        for request in list(&fixture, "requests").iter().chain(list(&fixture, "refused")) {
            if let Some(body) = request.get("body") {
                write(&corpus, "bulk_body", &body.to_string())?;
            }
        }
        for case in list(&fixture, "filters") {
            write(&corpus, "list_query", case["filter"].as_str().unwrap_or_default())?;
        }
        for case in list(&fixture, "projections") {
            let name = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
            let query = ["filter", "attributes", "excludedAttributes", "sortBy"].map(name).join("\n");
            write(&corpus, "list_query", &query)?;
        }
        if text("source").is_empty() {
            return Err(io::Error::other("a fixture names no source"));
        }
    }
    Ok(())
}

fn fixtures(folder: &Path) -> io::Result<Vec<Value>> {
    let mut fixtures = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            fixtures.extend(self::fixtures(&path)?);
        } else {
            fixtures.push(serde_json::from_slice(&fs::read(&path)?)?);
        }
    }
    Ok(fixtures)
}

fn list<'a>(fixture: &'a Value, name: &str) -> &'a [Value] {
    fixture[name].as_array().map_or(&[], Vec::as_slice)
}

/// The name of the file is made of its text, so that the same text is there once.
fn write(corpus: &Path, target: &str, text: &str) -> io::Result<()> {
    let folder = corpus.join(target);
    fs::create_dir_all(&folder)?;
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    fs::write(folder.join(format!("fixture-{hash:016x}")), text)
}
