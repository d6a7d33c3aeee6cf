//! `scim-bridge`: the one binary. What it can do is in [`bridge_server::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    bridge_server::cli::main()
}
