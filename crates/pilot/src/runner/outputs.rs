//! What the command produced, under the names of the job.
//!
//! Owns `-o`: renames, patterns, `regex|` outputs, allowed absence. Must not
//! know how outputs are staged out.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::fail::{Failure, Number};
use super::place::{Place, copy_in, file_names, move_in, plain_name};
use super::{glob, unpack};

/// Start of an output that stands for all files an expression finds.
pub(crate) const REGEX_PREFIX: &str = "regex|";

/// Most missing outputs named in a diagnosis.
const SHOWN_NAMES: usize = 10;

/// What became of the outputs.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Produced name to LFN, of everything that was renamed.
    pub(crate) renamed: Vec<(String, String)>,
    missing: Vec<String>,
}

impl Collected {
    /// The failure for outputs that should be there.
    pub(crate) fn complete(&self) -> Result<(), Failure> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let mut text = self.missing.iter().take(SHOWN_NAMES).cloned().collect::<Vec<_>>().join(", ");
        if self.missing.len() > SHOWN_NAMES {
            text.push_str(", ...");
        }
        Err(Failure::new(Number::OutputMissing, format!("the command did not produce {text}")))
    }
}

/// Moves outputs from `from` into the job directory. `inputs` are never taken
/// for outputs; absent LFNs of `allowed` are fine.
pub(crate) fn collect(
    from: &Path,
    place: &Place,
    map: &[(String, String)],
    allowed: &[String],
    inputs: &[String],
) -> Result<Collected, Failure> {
    let mut collected = Collected::default();
    for (name, lfn) in map {
        let found = if let Some(expression) = name.strip_prefix(REGEX_PREFIX) {
            by_regex(expression, from, place, inputs)?
        } else {
            plain_name("the output", lfn)?;
            let to = place.job.join(lfn);
            let made = if name.contains('*') { pack_matches(name, from, &to, inputs) } else { take_one(&from.join(name), &to) };
            made.map_err(|error| Failure::local(format!("cannot bring {name} to {lfn}"), &error))?
        };
        if found {
            collected.renamed.push((name.clone(), lfn.clone()));
        } else if allowed.contains(lfn) {
            println!("{name} was not produced, which is allowed");
        } else {
            collected.missing.push(name.clone());
        }
    }
    Ok(collected)
}

/// Moves one file; false when it is not there. A directory is no output.
fn take_one(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::metadata(from) {
        Ok(meta) if meta.is_dir() => Err(io::Error::other("it is a directory; name its files, with * if there are several")),
        Ok(_) => move_in(from, to).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Packs all matches of a pattern into a gzipped tar; none is a missing output.
fn pack_matches(pattern: &str, from: &Path, to: &Path, inputs: &[String]) -> io::Result<bool> {
    let members: Vec<PathBuf> = glob::matches(from, pattern)
        .into_iter()
        .filter(|path| !inputs.iter().any(|input| Path::new(input) == path))
        .filter(|path| from.join(path) != to)
        .collect();
    if members.is_empty() {
        return Ok(false);
    }
    // A member that is a link leaving the run directory is delivered as a file.
    for member in &members {
        let path = from.join(member);
        if path.symlink_metadata()?.is_symlink() && path.metadata().is_ok_and(|m| m.is_file()) {
            copy_in(&path.canonicalize()?, &path)?;
        }
    }
    let part = to.with_file_name(format!(".part.{}", to.file_name().unwrap_or_default().to_string_lossy()));
    unpack::pack(&part, from, &members)?;
    fs::rename(&part, to)?;
    Ok(true)
}

/// Moves every file whose name the expression finds, under its own name.
fn by_regex(expression: &str, from: &Path, place: &Place, inputs: &[String]) -> Result<bool, Failure> {
    let regex = Regex::new(expression)
        .map_err(|error| Failure::new(Number::Argument, format!("the output expression `{expression}` cannot be used: {error}")))?;
    let names = file_names(from).map_err(|error| Failure::local("cannot list the run directory", &error))?;
    let inputs: BTreeSet<&str> = inputs.iter().map(String::as_str).collect();
    let mut found = false;
    for name in names.iter().filter_map(|name| name.to_str()) {
        if inputs.contains(name) || !regex.is_match(name) {
            continue;
        }
        let to = place.job.join(name);
        if to != from.join(name) {
            if to.symlink_metadata().is_ok() {
                return Err(Failure::new(Number::OutputMissing, format!("the output {name} would replace a file of the job directory")));
            }
            move_in(&from.join(name), &to).map_err(|error| Failure::local(format!("cannot bring out {name}"), &error))?;
        }
        found = true;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn place(files: &[&str]) -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path().to_owned(), ".").unwrap();
        fs::create_dir_all(place.run.join("sub")).unwrap();
        for file in files {
            fs::write(place.run.join(file), *file).unwrap();
        }
        (dir, place)
    }

    fn run(place: &Place, map: &[(&str, &str)], allowed: &[&str], inputs: &[&str]) -> Result<Collected, Failure> {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let map: Vec<_> = map.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        collect(&place.run, place, &map, &own(allowed), &own(inputs))
    }

    #[test]
    fn plain_outputs_are_renamed_and_the_missing_ones_named() {
        let (dir, place) = place(&["out.root", "sub/deep"]);
        let map = [("none", "L.none"), ("out.root", "L.out.root"), ("sub/deep", "L.deep")];
        let collected = run(&place, &map, &[], &[]).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("L.out.root")).unwrap(), "out.root");
        assert!(dir.path().join("L.deep").exists());
        let failure = collected.complete().unwrap_err();
        assert_eq!(failure.exit_code(), 216);
        assert_eq!(failure.text, "the command did not produce none");
        assert!(run(&place, &[("none", "L.none")], &["L.none"], &[]).unwrap().complete().is_ok());
        assert!(run(&place, &[("sub", "L.sub")], &[], &[]).is_err());
    }

    #[test]
    fn patterns_are_packed_without_inputs() {
        let (dir, place) = place(&["h1.root", "h2.root", "h_in.root"]);
        let map = [("h*.root", "L.hXYZ.root.tgz")];
        run(&place, &map, &[], &["h_in.root"]).unwrap().complete().unwrap();
        let out = tempfile::tempdir().unwrap();
        unpack::unpack(&dir.path().join("L.hXYZ.root.tgz"), out.path()).unwrap();
        let names = file_names(out.path()).unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["h1.root", "h2.root"]);
        let none = run(&place, &[("x*", "L.x.tgz")], &[], &[]).unwrap();
        assert!(none.complete().is_err() && !dir.path().join("L.x.tgz").exists());
    }

    #[test]
    fn expressions_find_files_by_search() {
        let (dir, place) = place(&["x1.dat", "x2.dat", "y.dat", "xin.dat"]);
        let map = [(r"regex|^x.*\.dat$", r"regex|^x.*\.dat$")];
        run(&place, &map, &[], &["xin.dat"]).unwrap().complete().unwrap();
        assert!(dir.path().join("x1.dat").exists() && dir.path().join("x2.dat").exists());
        assert!(!dir.path().join("y.dat").exists() && !dir.path().join("xin.dat").exists());
        assert!(run(&place, &[("regex|z", "regex|z")], &[], &[]).unwrap().complete().is_err());
        assert!(run(&place, &[("regex|(", "regex|(")], &[], &[]).is_err());
    }

    #[test]
    fn an_output_that_is_a_link_becomes_a_file() {
        let (dir, place) = place(&[]);
        let store = dir.path().join("store");
        fs::write(&store, "data").unwrap();
        std::os::unix::fs::symlink(&store, place.run.join("o")).unwrap();
        run(&place, &[("o", "L.o")], &[], &[]).unwrap().complete().unwrap();
        assert!(dir.path().join("L.o").symlink_metadata().unwrap().is_file());
        assert!(store.exists());
    }
}
