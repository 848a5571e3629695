//! `panda man`

use crate::cli::{self, ManArgs};
use crate::failure::{Failure, exit, io};
use crate::screen;

/// Prints the manual page of the program, or writes those of all verbs to a folder.
pub fn run(args: &ManArgs) -> Result<u8, Failure> {
    if let Some(folder) = &args.to {
        std::fs::create_dir_all(folder).map_err(io("make", folder))?;
        clap_mangen::generate_to(cli::command(), folder).map_err(io("write to", folder))?;
        return Ok(exit::OK);
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(cli::command()).render(&mut text).map_err(|error| Failure::new(format!("cannot make the page: {error}")))?;
    screen::raw(&text);
    Ok(exit::OK)
}
