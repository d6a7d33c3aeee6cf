//! The `scim-bridge` binary again, under a name that Cargo builds for these tests, so that they can kill it.

/// As in the real one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    bridge_server::cli::main()
}
