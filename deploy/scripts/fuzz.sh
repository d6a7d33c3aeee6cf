#!/usr/bin/env bash
# Runs every fuzz target for the given number of seconds. A finding ends the run and is left under fuzz/artifacts.
set -euo pipefail
seconds=${1:-600}
cd "$(dirname "$0")/../.."

command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
for manifest in crates/*/fuzz/Cargo.toml; do
    package=$(dirname "$(dirname "$manifest")")
    for target in $(cd "$package" && cargo +nightly fuzz list); do
        echo "== $package: $target, $seconds s"
        seeds=$package/fuzz/seeds/$target
        mkdir -p "$package/fuzz/corpus/$target"
        [ -d "$seeds" ] && cp -n "$seeds"/* "$package/fuzz/corpus/$target/"
        (cd "$package" && cargo +nightly fuzz run "$target" -- -max_total_time="$seconds")
    done
done
