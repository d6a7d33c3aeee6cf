//! The `scim-bridge` binary again, under a name that Cargo builds for these tests, so that they can kill it.

fn main() -> std::process::ExitCode {
    bridge_server::cli::main()
}
