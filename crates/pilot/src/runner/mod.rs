//! Payload runners: runGen, buildGen, runMerge, runcontainer, and clear
//! failures in place of those that need experiment software.
//!
//! Owns the contract of `payload_runners.md` sections 1 to 9 towards pilots: the
//! name of the program selects the behaviour, the exit status and
//! `payload_error_report.json` tell the outcome. Must not know the server beyond
//! fetching a sandbox, nor which pilot started it. Nothing is needed on the
//! machine but `/bin/sh`. All code here blocks; it runs in a process of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

mod absent;
mod build_gen;
mod catalogue;
mod command;
mod encode;
pub(crate) mod fail;
mod fetch;
pub(crate) mod getopt;
mod glob;
mod inputs;
mod merge;
mod merge_tar;
mod metadata;
mod outputs;
mod place;
mod run_container;
mod run_gen;
mod secrets;
mod setup;
mod substitute;
mod unpack;

use fail::{Failure, Number};

/// The names this program answers to, with the offset of their report codes
/// (5000 + offset + number).
const RUNNERS: [(&str, i64); 9] = [
    ("buildJob", 100),
    ("buildGen", 200),
    ("runGen", 300),
    ("runAthena", 400),
    ("runHPO", 500),
    ("runMerge", 600),
    ("preGoodRunList", 700),
    ("preEvtPick", 700),
    // Upstream's runcontainer writes no report; 800 is ours.
    ("runcontainer", 800),
];

/// The runner that a script name such as `runGen-00-00-02` selects: the part of
/// the last path element before the first dash. Any version will do.
#[must_use]
pub fn runner_name(script: &str) -> Option<&'static str> {
    let base = Path::new(script).file_name()?.to_str()?;
    let word = base.split('-').next()?;
    RUNNERS.iter().map(|(name, _)| *name).find(|name| *name == word)
}

/// Runs what the base name of `argv[0]` selects and returns the exit status;
/// `None` if it is neither a runner nor `pilot`.
///
/// The job directory is the current directory. To be called before a program
/// reads its own arguments: the multi-call programs `panda` and `panda-pilot`
/// are served under `/trf/user` by these names.
pub fn main_by_name(argv: Vec<OsString>) -> Option<i32> {
    let mut words = argv.into_iter();
    let program = words.next()?;
    let base = Path::new(&program).file_name()?.to_str()?.to_owned();
    if base.split('-').next() == Some("pilot") {
        return Some(crate::cli::main(words.collect()));
    }
    let name = runner_name(&base)?;
    Some(run(name, Path::new(&program), words.collect()))
}

fn run(name: &'static str, program: &Path, args: Vec<OsString>) -> i32 {
    let offset = RUNNERS.iter().find(|(known, _)| *known == name).map_or(0, |(_, offset)| *offset);
    let job = match std::env::current_dir() {
        Ok(dir) => dir,
        Err(error) => {
            let failure = Failure::local("the job directory cannot be found", &error);
            return fail::report(Path::new("."), offset, &failure);
        }
    };
    let keep = args.iter().any(|arg| arg == "--preprocess" || arg == "--debug");
    let outcome = texts(args).and_then(|args| dispatch(name, &args, job.clone()));
    if !keep {
        remove_own_copy(program, &job);
    }
    match outcome {
        Ok(()) => 0,
        Err(failure) => fail::report(&job, offset, &failure),
    }
}

/// Removes the copy of this program that a pilot fetched into the job directory:
/// pilots pack all that is left there into the log archive, and a program of some
/// megabytes would be most of it. A link, or a program started by hand, stays.
fn remove_own_copy(program: &Path, job: &Path) {
    let Some(name) = program.file_name() else { return };
    let by_pilot = std::env::var_os("PANDAID").is_some();
    let in_job = program.parent().is_some_and(|dir| dir.canonicalize().is_ok_and(|dir| dir == job));
    let copy = job.join(name);
    if by_pilot && in_job && copy.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
        // A copy that stays only makes the log archive larger.
        let _ = std::fs::remove_file(copy);
    }
}

fn dispatch(name: &str, args: &[String], job: PathBuf) -> Result<(), Failure> {
    match name {
        "runGen" => run_gen::main(args, job),
        "buildGen" => build_gen::main(args, job),
        "runMerge" => merge::main(args, job),
        "runcontainer" => run_container::main(args, job),
        other => Err(absent::failure(other)),
    }
}

fn texts(args: Vec<OsString>) -> Result<Vec<String>, Failure> {
    args.into_iter()
        .map(|arg| arg.into_string().map_err(|arg| Failure::new(Number::Argument, format!("the argument {} is not UTF-8", arg.display()))))
        .collect()
}

/// Tells on stdout which options had no effect.
fn mention_ignored(name: &str, parsed: &getopt::Parsed) {
    if !parsed.ignored.is_empty() {
        println!("{name}: without effect here: {}", parsed.ignored.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_any_version() {
        for (script, expected) in [
            ("runGen-00-00-02", Some("runGen")),
            ("./runGen-00-00-99", Some("runGen")),
            ("http://h/trf/user/buildGen-00-00-01", Some("buildGen")),
            ("runcontainer", Some("runcontainer")),
            ("runHPO-00-00-01", Some("runHPO")),
            ("runGenX", None),
            ("panda", None),
            ("panda-pilot", None),
            ("", None),
        ] {
            assert_eq!(runner_name(script), expected, "{script}");
        }
        assert_eq!(main_by_name(vec!["panda".into(), "up".into()]), None);
        assert_eq!(main_by_name(Vec::new()), None);
    }
}
