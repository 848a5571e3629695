//! The input files of a command: found, checked, linked into the run directory.
//!
//! Owns which names a stream has. Must not know how the pilot staged them in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::fail::{Failure, Number};
use super::getopt::Parsed;
use super::place::{Place, plain_name};
use super::{catalogue, encode};

/// Most names listed in a diagnosis.
const SHOWN_NAMES: usize = 10;

/// Streams as the command sees them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Inputs {
    /// Stream name to the names (LFNs, paths or URLs) of its files.
    pub(crate) streams: Vec<(String, Vec<String>)>,
    /// LFNs that lie in the job directory and are linked.
    pub(crate) local: Vec<String>,
}

impl Inputs {
    /// Reads `-i`, `--inMap`, `--skipInputByRetry`, `--givenPFN`, `--directIn`,
    /// and checks that everything is there.
    pub(crate) fn resolve(parsed: &Parsed, place: &Place, pre: bool) -> Result<Self, Failure> {
        let skip: BTreeSet<String> = parsed.value("skipInputByRetry").map(encode::commas).unwrap_or_default().into_iter().collect();
        let keep = |names: Vec<String>| -> Vec<String> { names.into_iter().filter(|name| !skip.contains(name)).collect() };
        let primary = parsed.value("i").map(|text| encode::list("-i", text)).transpose()?.map(keep);
        let map = parsed.value("inMap").map(|text| encode::map_of_lists("--inMap", text)).transpose()?;
        let mut streams: Vec<(String, Vec<String>)> =
            map.clone().unwrap_or_default().into_iter().map(|(stream, names)| (stream, keep(names))).collect();
        if let Some(primary) = &primary
            && !streams.iter().any(|(stream, _)| stream == "IN")
        {
            streams.insert(0, ("IN".to_owned(), primary.clone()));
        }
        let mut all: Vec<String> = primary.clone().unwrap_or_default();
        for (_, names) in &streams {
            all.extend(names.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
        }
        let declared = primary.is_some() || map.is_some();
        if declared && all.is_empty() {
            return Err(Failure::new(Number::NoInput, "no input file is available"));
        }
        if parsed.has("givenPFN") {
            return Ok(Self { streams, local: Vec::new() });
        }
        let urls = if parsed.has("directIn") || pre { catalogue::read(&place.job)? } else { BTreeMap::new() };
        Self::locate(streams, all, &urls, parsed.has("directIn"), place)
    }

    fn locate(
        mut streams: Vec<(String, Vec<String>)>,
        all: Vec<String>,
        urls: &BTreeMap<String, String>,
        direct: bool,
        place: &Place,
    ) -> Result<Self, Failure> {
        let mut local = Vec::new();
        let mut remote = BTreeMap::new();
        let mut missing = Vec::new();
        for name in all {
            plain_name("the input", &name)?;
            // Opening follows the link: a dangling one is a missing file.
            let there = File::open(place.job.join(&name)).is_ok();
            match urls.get(&name) {
                Some(url) if direct || !there => {
                    remote.insert(name, url.clone());
                }
                _ if there => local.push(name),
                _ => missing.push(name),
            }
        }
        if !missing.is_empty() {
            let count = missing.len();
            missing.truncate(SHOWN_NAMES);
            let mut text = format!("missing or unreadable input: {}", missing.join(", "));
            if count > SHOWN_NAMES {
                text.push_str(&format!(" and {} more", count - SHOWN_NAMES));
            }
            return Err(Failure::new(Number::InputUnavailable, text));
        }
        for (_, names) in &mut streams {
            for name in names {
                if let Some(url) = remote.get(name) {
                    name.clone_from(url);
                }
            }
        }
        Ok(Self { streams, local })
    }

    /// Links every local input into the run directory; `relative` makes links
    /// that also hold when the job directory is seen under another path.
    pub(crate) fn link(&self, place: &Place, relative: bool) -> Result<(), Failure> {
        link_all(&self.local, place, relative)
    }

    /// The values of the command's placeholders.
    pub(crate) fn values(&self) -> Vec<(String, String)> {
        self.streams.iter().map(|(stream, names)| (stream.clone(), names.join(","))).collect()
    }

    /// Writes the names of streams to files in the run directory
    /// (`--writeInputToTxt S:F,...`), comma-joined, no newline.
    pub(crate) fn write_lists(&self, spec: &str, place: &Place) -> Result<(), Failure> {
        for part in encode::commas(spec) {
            let (stream, file) = part
                .split_once(':')
                .ok_or_else(|| Failure::new(Number::Argument, format!("--writeInputToTxt `{part}` must be STREAM:FILE")))?;
            plain_name("the file of --writeInputToTxt", file)?;
            let names = self
                .streams
                .iter()
                .find(|(known, _)| known == stream)
                .map(|(_, names)| names.join(","))
                .ok_or_else(|| Failure::new(Number::Argument, format!("--writeInputToTxt names the unknown stream {stream}")))?;
            fs::write(place.run.join(file), names).map_err(|error| Failure::local(format!("cannot write {file}"), &error))?;
        }
        Ok(())
    }
}

/// Links `names` of the job directory into the run directory.
pub(crate) fn link_all(names: &[String], place: &Place, relative: bool) -> Result<(), Failure> {
    let up: PathBuf = place.run_below_job().components().map(|_| Path::new("..")).collect();
    for name in names {
        let target = if relative { up.join(name) } else { place.job.join(name) };
        let link = place.run.join(name);
        if link.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
            // A file of the sandbox under an input's name gives way.
            let _ = fs::remove_file(&link);
        }
        symlink(&target, &link).map_err(|error| Failure::local(format!("cannot link the input {name}"), &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::runner::getopt::{Known, parse};

    const KNOWN: Known = Known { short: "i:", long: &["inMap=", "skipInputByRetry=", "givenPFN", "directIn"], idle: &[], lenient: false };

    fn place(files: &[&str]) -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path().to_owned(), "sub").unwrap();
        fs::create_dir_all(&place.run).unwrap();
        for file in files {
            fs::write(dir.path().join(file), *file).unwrap();
        }
        (dir, place)
    }

    fn resolve(place: &Place, args: &[&str], pre: bool) -> Result<Inputs, Failure> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Inputs::resolve(&parse(&args, &KNOWN).unwrap(), place, pre)
    }

    #[test]
    fn streams_and_links() {
        let (_dir, place) = place(&["a", "b", "c"]);
        let args = ["-i", "['a']", "--inMap", "{'IN': ['a'], 'IN2': ['b', 'c']}"];
        let inputs = resolve(&place, &args, false).unwrap();
        assert_eq!(inputs.local, ["a", "b", "c"]);
        assert_eq!(inputs.values(), [("IN".to_owned(), "a".to_owned()), ("IN2".to_owned(), "b,c".to_owned())]);
        inputs.link(&place, true).unwrap();
        assert_eq!(fs::read_link(place.run.join("b")).unwrap(), Path::new("../../b"));
        assert_eq!(fs::read_to_string(place.run.join("b")).unwrap(), "b");
        inputs.write_lists("IN2:two.txt", &place).unwrap();
        assert_eq!(fs::read_to_string(place.run.join("two.txt")).unwrap(), "b,c");
        assert!(inputs.write_lists("NO:x", &place).is_err());
    }

    #[test]
    fn missing_and_dangling_inputs_are_listed() {
        let (dir, place) = place(&["a"]);
        symlink("/nonexistent/x", dir.path().join("b")).unwrap();
        let failure = resolve(&place, &["-i", "['a', 'b', 'c']"], false).unwrap_err();
        assert_eq!(failure.exit_code(), 208);
        assert_eq!(failure.text, "missing or unreadable input: b, c");
    }

    #[test]
    fn skipped_given_and_absent_inputs() {
        let (_dir, place) = place(&["a"]);
        let args = ["-i", "['a', 'b']", "--skipInputByRetry", "b"];
        assert_eq!(resolve(&place, &args, false).unwrap().local, ["a"]);
        let args = ["-i", "['b']", "--skipInputByRetry=b"];
        assert_eq!(resolve(&place, &args, false).unwrap_err().exit_code(), 207);
        let given = resolve(&place, &["-i", "['root://a//b']", "--givenPFN"], false).unwrap();
        assert!(given.local.is_empty());
        assert_eq!(given.values()[0].1, "root://a//b");
        assert!(resolve(&place, &[], false).unwrap().values().is_empty());
        assert!(resolve(&place, &["-i", "['../a']"], false).is_err());
    }

    #[test]
    fn the_catalogue_gives_urls() {
        let (dir, place) = place(&["a"]);
        let entry = |lfn: &str| format!("<File ID=\"{lfn}\"><pfn name=\"root://s//{lfn}\"/><lfn name=\"{lfn}\"/></File>");
        fs::write(dir.path().join("PoolFileCatalog.xml"), entry("a") + &entry("b")).unwrap();
        let direct = resolve(&place, &["-i", "['a', 'b']", "--directIn"], false).unwrap();
        assert_eq!(direct.values()[0].1, "root://s//a,root://s//b");
        let pre = resolve(&place, &["-i", "['a', 'b']"], true).unwrap();
        assert_eq!(pre.values()[0].1, "a,root://s//b");
        assert!(resolve(&place, &["-i", "['a', 'b']"], false).is_err());
    }
}
