//! `panda completions SHELL`

use crate::cli::{self, CompletionsArgs};
use crate::failure::{Failure, exit};
use crate::screen;

/// Prints the completions of a shell.
pub fn run(args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "panda", &mut text);
    screen::raw(&text);
    Ok(exit::OK)
}
