//! Options that ask for experiment software or side files.
//!
//! Owns the clear refusals: this runner has no set-up of CMT, CMake, ROOT or
//! database releases, and pretending would run the command in a wrong
//! environment.

use std::fs::{self, File};
use std::io;

use flate2::read::MultiGzDecoder;

use super::fail::{Failure, Number};
use super::fetch;
use super::getopt::Parsed;
use super::place::{Place, plain_name};
use super::run_gen::link_one;

/// Refuses software set-ups, with what they would need.
pub(crate) fn refuse_software(parsed: &Parsed) -> Result<(), Failure> {
    if let Some(version) = parsed.value("rootVer") {
        return Err(Failure::new(
            Number::NoRoot,
            format!(
                "--rootVer {version} needs a ROOT set-up from cvmfs, which this runner does not have; \
                 use an image or a queue that has ROOT"
            ),
        ));
    }
    for flag in ["useRootCore", "useAthenaPackages", "useCMake"] {
        if parsed.has(flag) {
            return Err(Failure::new(
                Number::Setup,
                format!("--{flag} needs experiment software from cvmfs, which this runner does not set up"),
            ));
        }
    }
    if parsed.has("cmtConfig") {
        println!("--cmtConfig has no effect without a software set-up");
    }
    Ok(())
}

/// Links a database release archive that is not to be expanded.
pub(crate) fn link_database_release(parsed: &Parsed, file: &str, place: &Place) -> Result<(), Failure> {
    if !(parsed.has("notExpandDBR") || parsed.has("noExpandDBR")) {
        return Err(Failure::new(
            Number::DbRelease,
            "--dbrFile needs experiment software to set the database release up; \
             this runner can only link it (--notExpandDBR)",
        ));
    }
    plain_name("the database release", file)?;
    if File::open(place.job.join(file)).is_err() {
        return Err(Failure::new(Number::DbRelease, format!("the database release {file} is not in the job directory")));
    }
    link_one(file, place)
}

/// `--fileToLoad LOCAL:REMOTE`: fetches a gzipped cache file into the run
/// directory.
pub(crate) fn load_file(spec: &str, source_url: Option<&str>, place: &Place) -> Result<(), Failure> {
    let refuse = |text: &str| Failure::new(Number::Argument, text.to_owned());
    let (local, remote) = spec.split_once(':').ok_or_else(|| refuse("--fileToLoad must be LOCAL:REMOTE"))?;
    plain_name("the file of --fileToLoad", local)?;
    plain_name("the file of --fileToLoad", remote)?;
    let url = source_url.ok_or_else(|| refuse("--fileToLoad needs --sourceURL"))?;
    let packed = place.job.join(format!(".fetched.{remote}"));
    fetch::fetch(url, remote, &packed)?;
    let result = File::open(&packed).and_then(|file| {
        let mut plain = MultiGzDecoder::new(file);
        io::copy(&mut plain, &mut File::create(place.run.join(local))?)
    });
    let _ = fs::remove_file(&packed);
    result
        .map(|_| ())
        .map_err(|error| Failure::new(Number::BadArchive, format!("the file {remote} of --fileToLoad cannot be unpacked: {error}")))
}
