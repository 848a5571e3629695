//! The program `panda`. Started under the name of a payload runner it is that runner.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(status) = panda_pilot::runner::main_by_name(std::env::args_os().collect()) {
        return ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX));
    }
    panda::main()
}
