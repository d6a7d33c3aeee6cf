#!/usr/bin/env bash
# Installs what building and testing need beside Rust itself. Does nothing where it is there already.
set -euo pipefail

# Rust with rustup's minimal profile has neither; only `make check` and `make test` need them.
if command -v cargo >/dev/null; then
    for tool in "fmt rustfmt" "clippy clippy"; do
        read -r command component <<<"$tool"
        cargo "$command" --version >/dev/null 2>&1 && continue
        if command -v rustup >/dev/null; then
            rustup component add "$component"
        else
            echo "cargo $command is missing, and there is no rustup to add it: install $component as you installed Rust." >&2
        fi
    done
else
    echo "Rust is missing: install it (https://rustup.rs), then try again." >&2
    exit 1
fi

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v c++ >/dev/null || missing+=(g++)
# The example of a reverse proxy is tested against the real thing. Its package starts a web server where a service manager
# runs: there it is not installed for a test, which then only reads the example.
if [ ! -d /run/systemd/system ]; then
    PATH=$PATH:/usr/sbin command -v nginx >/dev/null || missing+=(nginx)
    command -v openssl >/dev/null || missing+=(openssl)
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    command -v cc >/dev/null && command -v c++ >/dev/null && exit 0
    echo "A C compiler is missing (${missing[*]}); install one, then try again." >&2
    exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
