//! `scim-bridge`: the one binary. What it can do is in [`bridge_server::cli`].

use std::process::ExitCode;

/// Requests allocate many small things on one thread and free them on another, which this allocator is quick at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bridge_server::cli::main()
}
