//! The multi-call program: a payload runner or the pilot by the name it is
//! started under, and small enough to be fetched by every job.
//!
//! `panda-pilot NAME ARGUMENTS...` does the same without a link.

use std::process::ExitCode;

const USAGE: &str = "\
usage: panda-pilot pilot --server URL --queue NAME --token-file FILE [--work-dir DIR] [--slots N]
       panda-pilot runGen|buildGen|runMerge|runcontainer OPTIONS...
or start it under one of these names (a version after a dash is allowed), e.g. through a link";

fn main() -> ExitCode {
    let argv: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let status =
        panda_pilot::runner::main_by_name(argv.clone()).or_else(|| panda_pilot::runner::main_by_name(argv.into_iter().skip(1).collect()));
    match status {
        Some(status) => ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
