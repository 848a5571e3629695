//! Files between the storage and the job directory.
//!
//! Owns checks of inputs and what becomes of outputs. All of it blocks and is
//! called on the blocking pool.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::codes::{INPUT_ADLER, INPUT_MD5, JobFailure, MISSING_OUTPUT, STAGE_IN, STAGE_OUT};
use super::job::{InputFile, Job, OutputFile, REGEX_PREFIX};
use super::storage::{self, Storage};

/// Links every input into the job directory, after a check of size and checksum.
pub(crate) fn stage_in(job: &Job, storage: &Storage, dir: &Path) -> Result<(), JobFailure> {
    for file in &job.inputs {
        let fail = |reason: String| JobFailure::new(STAGE_IN, format!("Failed to stage-in file: {}: {reason}", file.lfn));
        let root = storage.read_root(file.endpoint.as_deref()).map_err(&fail)?;
        let path = storage::path_of(root, &file.scope, &file.lfn);
        check(file, &path)?;
        symlink(&path, dir.join(&file.lfn)).map_err(|error| fail(error.to_string()))?;
    }
    Ok(())
}

fn check(file: &InputFile, path: &Path) -> Result<(), JobFailure> {
    let fail = |code, reason: String| JobFailure::new(code, format!("Failed to stage-in file: {}: {reason}", file.lfn));
    let meta = fs::metadata(path).map_err(|error| fail(STAGE_IN, format!("{}: {error}", path.display())))?;
    if !meta.is_file() {
        return Err(fail(STAGE_IN, format!("{} is not a file", path.display())));
    }
    if let Some(size) = file.size
        && size != meta.len()
    {
        return Err(fail(STAGE_IN, format!("it has {} bytes instead of {size}", meta.len())));
    }
    let Some(checksum) = &file.checksum else {
        return Ok(());
    };
    let unreadable = |error: std::io::Error| fail(STAGE_IN, error.to_string());
    let (kind, expected) = checksum.split_once(':').unwrap_or(("ad", checksum));
    let (code, found) = match kind {
        "ad" | "adler32" => (INPUT_ADLER, storage::measure(path).map_err(unreadable)?.1),
        "md" | "md5" => (INPUT_MD5, storage::md5_of(path).map_err(unreadable)?),
        _ => return Ok(()),
    };
    let expected = expected.to_ascii_lowercase();
    // Leading zeros are lost by some tools.
    if found.trim_start_matches('0') == expected.trim_start_matches('0') {
        Ok(())
    } else {
        Err(fail(code, format!("its checksum is {found} instead of {expected}")))
    }
}

/// A file on its way into the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) lfn: String,
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    endpoint: String,
    guid: String,
}

/// Where `file` (under the name `lfn`) goes.
pub(crate) fn delivery(file: &OutputFile, lfn: &str, from: PathBuf, guid: Option<&str>, storage: &Storage) -> Result<Delivery, JobFailure> {
    let (endpoint, root) = storage
        .write_root(file.endpoint.as_deref())
        .map_err(|reason| JobFailure::new(STAGE_OUT, format!("Failed to stage-out file: {reason}")))?;
    Ok(Delivery {
        to: storage::path_of(root, &file.scope, lfn),
        lfn: lfn.to_owned(),
        from,
        endpoint: endpoint.to_owned(),
        guid: guid.map_or_else(new_guid, str::to_owned),
    })
}

fn new_guid() -> String {
    uuid::Uuid::new_v4().to_string().to_ascii_uppercase()
}

/// The outputs that the payload left, in the job's order: missing ones are a
/// failure unless they may be absent, `regex|` ones become what they find.
pub(crate) fn outputs(job: &Job, storage: &Storage, dir: &Path, known: &BTreeSet<String>) -> Result<Vec<Delivery>, JobFailure> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for file in &job.outputs {
        let names = if let Some(expression) = file.lfn.strip_prefix(REGEX_PREFIX) {
            search(expression, job, dir, known)?
        } else if dir.join(&file.lfn).is_file() {
            vec![file.lfn.clone()]
        } else {
            Vec::new()
        };
        if names.is_empty() && !job.may_be_absent.contains(&file.lfn) {
            missing.push(file.lfn.as_str());
        }
        for name in names {
            found.push(delivery(file, &name, dir.join(&name), None, storage)?);
        }
    }
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(JobFailure::new(MISSING_OUTPUT, format!("Local output file is missing: {}", missing.join(", "))))
    }
}

/// Files of the job directory that the expression finds and that are nothing
/// else: not an input, not another output, not there before the payload.
fn search(expression: &str, job: &Job, dir: &Path, known: &BTreeSet<String>) -> Result<Vec<String>, JobFailure> {
    let regex = Regex::new(expression)
        .map_err(|error| JobFailure::new(MISSING_OUTPUT, format!("the output expression `{expression}` cannot be used: {error}")))?;
    let entries = fs::read_dir(dir).map_err(|error| JobFailure::new(STAGE_OUT, format!("Failed to stage-out file: {error}")))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && !known.contains(name))
        .filter(|name| !job.outputs.iter().any(|file| &file.lfn == name))
        .filter(|name| regex.is_match(name))
        .collect();
    names.sort();
    Ok(names)
}

/// Puts files into the storage and returns their entries of the report.
pub(crate) fn deliver(files: &[Delivery]) -> Result<Map<String, Value>, JobFailure> {
    let mut report = Map::new();
    for file in files {
        let (size, adler) = storage::put(&file.from, &file.to).map_err(|error| {
            JobFailure::new(STAGE_OUT, format!("Failed to stage-out file: {} to {}: {error}", file.lfn, file.to.display()))
        })?;
        report.insert(
            file.lfn.clone(),
            json!({
                "guid": file.guid,
                "fsize": size,
                "adler32": adler,
                "surl": format!("file://localhost{}", file.to.display()),
                "endpoint": file.endpoint,
            }),
        );
    }
    Ok(report)
}

/// Removes files (and their unfinished copies) of an attempt that is lost.
pub(crate) fn remove(files: &[PathBuf]) {
    for file in files {
        for path in [file.clone(), storage::part_of(file)] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove a stray file");
            }
        }
    }
}
