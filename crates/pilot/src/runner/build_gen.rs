//! `buildGen`: compiles a sandbox and packs the result as the task's library.
//!
//! Owns the steps of `payload_runners.md` section 4.

use std::fs;
use std::path::PathBuf;

use super::fail::{Failure, Number};
use super::getopt::{self, Known, Parsed};
use super::place::{Place, plain_name};
use super::{command, encode, mention_ignored, secrets, setup, substitute, unpack};

const KNOWN: Known = Known {
    short: "i:o:u:r:",
    long: &[
        "sourceURL=",
        "bexec=",
        "noCompile",
        "noTarballDownload",
        "rootVer=",
        "cmtConfig=",
        "useRootCore",
        "useAthenaPackages",
        "useCMake",
        "debug",
        "ctrImage=",
    ],
    idle: &["pilotpars", "useMana", "manaVer="],
    lenient: false,
};

/// Runs the whole of buildGen in the job directory `job`.
pub(crate) fn main(args: &[String], job: PathBuf) -> Result<(), Failure> {
    let parsed = getopt::parse(args, &KNOWN)?;
    mention_ignored("buildGen", &parsed);
    let needed = |option: &str, what: &str| {
        parsed
            .value(option)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Failure::new(Number::Argument, format!("{what} (-{option}) is missing")))
    };
    let sandbox = needed("i", "the sandbox")?;
    let library = needed("o", "the library")?;
    plain_name("the library", library)?;
    setup::refuse_software(&parsed)?;
    let place = Place::new(job, parsed.value("r").unwrap_or("."))?;
    let result = build(&parsed, &place, sandbox, library);
    if !parsed.has("debug") {
        place.remove_work();
    }
    result
}

fn build(parsed: &Parsed, place: &Place, sandbox: &str, library: &str) -> Result<(), Failure> {
    place.make_work()?;
    place.unpack_sandbox(sandbox, parsed.value("sourceURL"), !parsed.has("noTarballDownload"), &place.work)?;
    if let Some(text) = parsed.value("bexec").filter(|text| !text.is_empty()) {
        let text = encode::command("--bexec", text)?;
        place.make_run()?;
        let variables = secrets::take(&place.job, &place.run)?;
        let line = substitute::substitute(&text, &substitute::core_numbers());
        // No library on failure: the task's jobs would run an old program.
        let status = match parsed.value("ctrImage") {
            Some(image) => command::run_in_image(image, &line, place, &[], &variables)?,
            None => command::run(&line, place, &variables)?,
        };
        command::judge(status)?;
    }
    let mut members: Vec<PathBuf> = fs::read_dir(&place.work)
        .map_err(|error| Failure::local("cannot list the work directory", &error))?
        .flatten()
        .map(|entry| PathBuf::from(entry.file_name()))
        .filter(|name| !name.to_string_lossy().starts_with('.'))
        .collect();
    members.sort();
    unpack::pack(&place.job.join(library), &place.work, &members).map_err(|error| Failure::local("cannot pack the library", &error))
}
