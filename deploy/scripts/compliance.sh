#!/usr/bin/env bash
# Runs public SCIM compliance tools against a bridge with simulated targets on this machine, and fails if they find
# anything else than deploy/compliance/expected.json says. Needs Python 3 with its venv module, and PyPI the first time.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=target/compliance
requirements=deploy/compliance/requirements.txt

if ! cmp --silent "$requirements" "$folder/installed.txt"; then
    rm -rf "$folder"
    mkdir -p "$folder"
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$folder/installed.txt"
fi

${CARGO:-cargo} build --locked -p bridge-server
addresses=$folder/addresses.json
: >"$addresses"
"${CARGO_TARGET_DIR:-target}/debug/scim-bridge" demo --json >"$addresses" 2>"$folder/bridge.log" &
bridge=$!
trap 'kill "$bridge" 2>/dev/null || true; wait "$bridge" 2>/dev/null || true' EXIT
for _ in $(seq 300); do
    [ -s "$addresses" ] && break
    if ! kill -0 "$bridge" 2>/dev/null; then
        cat "$folder/bridge.log" >&2
        exit 1
    fi
    sleep 0.1
done
"$folder/venv/bin/python" deploy/compliance/run.py <"$addresses"
