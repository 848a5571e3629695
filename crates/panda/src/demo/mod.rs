//! The demo's task: its files, its options, and the check of its outputs. `demo` and `selftest` share it.
//!
//! Owns nothing of the system: the task goes the way of every task. Must not know how it gets there.

mod data;
mod verify;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::cli::SubmitArgs;
use crate::failure::{Failure, io};

pub use verify::{Totals, verify};

/// Input files of a job: 48 files make eight jobs.
const FILES_PER_JOB: i64 = 6;

/// Jobs of the task: a build, eight over the input, a merge.
pub const JOBS: u64 = 10;

/// Files of the task on disk.
#[derive(Debug, Clone)]
pub struct Files {
    /// Folder of the program's sources.
    pub program: PathBuf,
    /// Folder of the input.
    pub input: PathBuf,
}

/// Writes program and input below a folder.
pub fn write(folder: &Path) -> Result<Files, Failure> {
    let files = Files { program: folder.join("program"), input: folder.join("input") };
    for (name, text) in data::PROGRAM {
        let path = files.program.join(name);
        put(&path, text)?;
        if name.ends_with(".sh") && !name.contains('/') {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(io("write", &path))?;
        }
    }
    for (name, text) in data::INPUT {
        put(&files.input.join(name), text)?;
    }
    Ok(files)
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io("make", folder))?;
    std::fs::write(path, text).map_err(io("write", path))
}

/// The input files, by name.
pub fn inputs(files: &Files) -> Vec<PathBuf> {
    data::INPUT.iter().map(|(name, _)| files.input.join(name)).collect()
}

/// The options with which a user would submit the task: a build, several input files a job, two outputs, a merge.
pub fn options(files: &Files, input: String, name: &str) -> SubmitArgs {
    SubmitArgs {
        exec: Some("./lib/analyse %IN".to_owned()),
        input: vec![input],
        outputs: vec!["summary.csv".to_owned(), "histogram.txt".to_owned()],
        name: Some(name.to_owned()),
        sandbox: files.program.display().to_string(),
        merge: true,
        merge_command: Some("./merge.sh".to_owned()),
        build: Some("./build.sh".to_owned()),
        files_per_job: Some(FILES_PER_JOB),
        ..SubmitArgs::default()
    }
}
