//! The program `panda`. Started under the name of a payload runner it is that runner.

use std::process::ExitCode;

/// Rows, batches and documents are many small pieces of memory: with the C library's allocator a simulated hour takes twice as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(status) = panda_pilot::runner::main_by_name(std::env::args_os().collect()) {
        return ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX));
    }
    panda::main()
}
