#!/usr/bin/env bash
# Runs every fuzz target for the given number of seconds. A finding ends the run and is left under fuzz/artifacts.
# A target begins with its files in fuzz/seeds, and with what the package's example `fuzz_seeds` writes.
set -euo pipefail
seconds=${1:-600}
cd "$(dirname "$0")/../.."

command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
for manifest in crates/*/fuzz/Cargo.toml; do
    package=$(dirname "$(dirname "$manifest")")
    if [ -e "$package/examples/fuzz_seeds.rs" ]; then
        cargo run --locked --quiet --manifest-path "$package/Cargo.toml" --example fuzz_seeds "$package/fuzz/corpus"
    fi
    for target in $(cd "$package" && cargo +nightly fuzz list); do
        echo "== $package: $target, $seconds s"
        seeds=$package/fuzz/seeds/$target
        mkdir -p "$package/fuzz/corpus/$target"
        [ -d "$seeds" ] && cp -n "$seeds"/* "$package/fuzz/corpus/$target/"
        options=(-max_total_time="$seconds")
        [ -e "$package/fuzz/tokens.dict" ] && options+=(-dict=fuzz/tokens.dict)
        (cd "$package" && cargo +nightly fuzz run "$target" -- "${options[@]}")
    done
done
