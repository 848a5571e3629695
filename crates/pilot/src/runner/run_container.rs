//! `runcontainer`: prun's old container mode, in the job directory itself.
//!
//! Owns `payload_runners.md` section 6. The image option is removed by official
//! pilots, so `--ctrImage`, which they leave alone, counts as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::container::{ContainerRun, Engine, outside_directories};

use super::fail::{Failure, Number, payload_status};
use super::getopt::{self, Known, Parsed};
use super::inputs::Inputs;
use super::place::Place;
use super::{command, encode, mention_ignored, outputs, secrets, substitute};

const SCRIPT: &str = "_runcontainer.sh";

/// Where the job directory is seen inside.
const DATA_DIR: &str = "/ctrdata";

/// How deep below the job directory outputs are looked for.
const MAX_DEPTH: usize = 16;

const KNOWN: Known = Known {
    short: "i:o:r:j:l:p:u:a:",
    long: &[
        "containerImage=",
        "ctrImage=",
        "inMap=",
        "skipInputByRetry=",
        "givenPFN",
        "writeInputToTxt=",
        "allowNoOutput=",
        "sourceURL=",
        "datadir=",
        "workdir=",
        "cvmfs",
        "noX509",
        "env=",
        "debug",
        "runtime-version=",
    ],
    idle: &["ctrDebug", "ctrNoX509"],
    lenient: true,
};

/// Runs the whole of runcontainer in the job directory `job`.
pub(crate) fn main(args: &[String], job: PathBuf) -> Result<(), Failure> {
    let parsed = getopt::parse(args, &KNOWN)?;
    mention_ignored("runcontainer", &parsed);
    let text = parsed.value("p").ok_or_else(|| Failure::new(Number::Argument, "the command (-p) is missing"))?;
    let text = encode::command("-p", text)?;
    let image = parsed
        .value("ctrImage")
        .or_else(|| parsed.value("containerImage"))
        .ok_or_else(|| Failure::new(Number::Argument, "the image (--containerImage) is missing"))?;
    let refuse = |error: crate::container::ContainerError| Failure::new(Number::NoContainer, error.to_string());
    let engine = Engine::find(image).map_err(refuse)?;
    let mut place = Place::new(job, ".")?;
    place.run = place.job.clone();
    if let Some(name) = parsed.value("a").filter(|name| !name.is_empty()) {
        place.unpack_sandbox(name, parsed.value("sourceURL"), true, &place.job)?;
    }
    let mut variables = secrets::take(&place.job, &place.run)?;
    variables.extend(extra_variables(&parsed)?);
    let inputs = Inputs::resolve(&parsed, &place, false)?;
    if let Some(spec) = parsed.value("writeInputToTxt") {
        inputs.write_lists(spec, &place)?;
    }
    let mut values = inputs.values();
    values.extend(substitute::core_numbers());
    let line = substitute::substitute(&text, &values);
    fs::write(place.job.join(SCRIPT), format!("{line}\n"))
        .map_err(|error| Failure::local("cannot write the container's script", &error))?;
    command::make_first_word_executable(&line, &place.job);
    let mut read_only = outside_directories(&place.job, &inputs.local);
    if parsed.has("cvmfs") {
        read_only.push("/cvmfs".into());
    }
    let data_dir = PathBuf::from(parsed.value("datadir").filter(|d| !d.is_empty()).unwrap_or(DATA_DIR));
    let run = ContainerRun {
        image: image.to_owned(),
        job: place.job.clone(),
        data_dir,
        read_only,
        variables,
        contained: true,
        argv: vec!["/bin/sh".to_owned(), SCRIPT.to_owned()],
    };
    let status = engine
        .command(&run)
        .map_err(refuse)?
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::local("cannot start the container engine", &error))?;
    let collected = deliver(&parsed, &place, &inputs);
    if !parsed.has("debug") {
        let _ = fs::remove_file(place.job.join(SCRIPT));
    }
    command::judge(payload_status(status))?;
    collected?.complete()
}

/// `--env K=V[,K=V]`.
fn extra_variables(parsed: &Parsed) -> Result<Vec<(String, String)>, Failure> {
    parsed
        .value("env")
        .map(encode::commas)
        .unwrap_or_default()
        .into_iter()
        .map(|pair| {
            pair.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .ok_or_else(|| Failure::new(Number::Argument, format!("--env `{pair}` must be NAME=VALUE")))
        })
        .collect()
}

fn deliver(parsed: &Parsed, place: &Place, inputs: &Inputs) -> Result<outputs::Collected, Failure> {
    let map = parsed.value("o").map(|text| encode::map("-o", text)).transpose()?.unwrap_or_default();
    let allowed = parsed.value("allowNoOutput").map(encode::commas).unwrap_or_default();
    // Outputs may lie anywhere below: a plain name is looked up by itself.
    let map: Vec<(String, String)> = map
        .into_iter()
        .map(|(name, lfn)| {
            let special = name.contains(['*', '/']) || name.starts_with(outputs::REGEX_PREFIX);
            let found = if special { None } else { find_below(&place.job, Path::new(""), &name, 0) };
            (found.unwrap_or(name), lfn)
        })
        .collect();
    let user = place.job.join("userJobMetadata.json");
    if user.is_file() {
        fs::rename(&user, place.job.join("jobReport.json"))
            .map_err(|error| Failure::local("cannot rename userJobMetadata.json", &error))?;
    }
    outputs::collect(&place.run, place, &map, &allowed, &inputs.local)
}

fn find_below(root: &Path, dir: &Path, name: &str, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut below = Vec::new();
    for entry in fs::read_dir(root.join(dir)).ok()?.flatten() {
        let path = dir.join(entry.file_name());
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            below.push(path);
        } else if entry.file_name() == name {
            return path.into_os_string().into_string().ok();
        }
    }
    below.sort();
    below.into_iter().find_map(|dir| find_below(root, &dir, name, depth + 1))
}
