//! The job dictionary, read.
//!
//! Owns the keys of `pilot.md` section 6 that the worker uses, with all their
//! spellings of nothing. Must not know where files lie.

use serde_json::Value;

use super::codes::{BAD_JOB, JobFailure};
use super::shlex;

/// Most files of one direction; the original's jobs have at most a few thousand.
const MAX_FILES: usize = 20_000;

/// An input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InputFile {
    pub(crate) lfn: String,
    pub(crate) scope: String,
    /// Bytes; `None` when the server does not know.
    pub(crate) size: Option<u64>,
    /// `ad:...`, `md5:...` or bare adler32; `None` when unknown.
    pub(crate) checksum: Option<String>,
    pub(crate) endpoint: Option<String>,
}

/// An output file, or the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputFile {
    pub(crate) lfn: String,
    pub(crate) scope: String,
    pub(crate) endpoint: Option<String>,
}

/// One step of a job: a script and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Address of the script.
    pub(crate) transformation: String,
    pub(crate) args: Vec<String>,
}

/// The container step between pre- and post-process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerStep {
    pub(crate) image: String,
    /// A command for `/bin/sh -c` inside.
    pub(crate) exec: String,
}

/// What a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// One script, in an image if one is named.
    Single(Step, Option<String>),
    /// Pre-process, container, post-process.
    Steps(Step, ContainerStep, Step),
}

/// A job as the worker runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) attempt: i64,
    pub(crate) task_id: Option<i64>,
    pub(crate) plan: Plan,
    pub(crate) inputs: Vec<InputFile>,
    pub(crate) outputs: Vec<OutputFile>,
    pub(crate) log: Option<OutputFile>,
    pub(crate) log_guid: Option<String>,
    pub(crate) cores: i64,
    /// Seconds; 0 is no limit.
    pub(crate) max_wall_time_s: u64,
    /// Memory that the job asked for, MB of all its processes; 0 is no limit.
    pub(crate) memory_mb: u64,
    /// Outputs that may be absent.
    pub(crate) may_be_absent: Vec<String>,
    /// JSON text for the payload.
    pub(crate) secrets: Option<String>,
}

/// Id and attempt, which even a faulty job needs for its report.
pub(crate) fn identity(value: &Value) -> Option<(i64, i64)> {
    let id = int(value, "PandaID")?;
    Some((id, int(value, "attemptNr").unwrap_or(0)))
}

impl Job {
    /// Reads a job dictionary.
    pub(crate) fn parse(value: &Value) -> Result<Self, JobFailure> {
        let (id, attempt) = identity(value).ok_or_else(|| bad("it has no PandaID"))?;
        let (outputs, log) = outputs(value)?;
        let allowed = text(value, "allowNoOutput").map(|t| csv(&t)).unwrap_or_default();
        Ok(Self {
            id,
            attempt,
            task_id: int(value, "taskID"),
            plan: plan(value)?,
            inputs: inputs(value)?,
            outputs,
            log,
            log_guid: text(value, "logGUID"),
            cores: int(value, "coreCount").filter(|n| *n > 0).unwrap_or(1),
            max_wall_time_s: int(value, "maxWalltime").and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            memory_mb: int(value, "minRamCount").and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            may_be_absent: allowed,
            secrets: text(value, "secrets"),
        })
    }
}

fn plan(value: &Value) -> Result<Plan, JobFailure> {
    let options = value.get("containerOptions").filter(|v| v.is_object());
    let option = |key: &str| options.and_then(|options| text(options, key));
    let image = option("containerImage").or_else(|| text(value, "container_name"));
    let pre = value.get("preprocess").filter(|v| v.is_object());
    let post = value.get("postprocess").filter(|v| v.is_object());
    match (pre, post) {
        (Some(pre), Some(post)) => {
            let image = image.ok_or_else(|| bad("it has steps around a container but no image"))?;
            let exec = option("containerExec").ok_or_else(|| bad("it has steps around a container but no containerExec"))?;
            let step = |step: &Value| -> Result<Step, JobFailure> {
                let command = text(step, "command").ok_or_else(|| bad("a step has no command"))?;
                words(command, &text(step, "args").unwrap_or_default())
            };
            Ok(Plan::Steps(step(pre)?, ContainerStep { image, exec }, step(post)?))
        }
        (None, None) => {
            let transformation = text(value, "transformation").ok_or_else(|| bad("it has no transformation"))?;
            let step = words(transformation, &text(value, "jobPars").unwrap_or_default())?;
            Ok(Plan::Single(step, image))
        }
        _ => Err(bad("it has only one of pre- and post-process")),
    }
}

/// Splits parameters; words that are for the pilot alone are dropped.
fn words(transformation: String, parameters: &str) -> Result<Step, JobFailure> {
    let words = shlex::split(parameters).map_err(|error| bad(format!("its parameters cannot be split: {error}")))?;
    let for_pilot = |word: &String| {
        let lower = word.to_ascii_lowercase();
        lower.starts_with("--overwritequeuedata") || lower.starts_with("--overwritestoragedata")
    };
    Ok(Step { transformation, args: words.into_iter().filter(|word| !for_pilot(word)).collect() })
}

fn inputs(value: &Value) -> Result<Vec<InputFile>, JobFailure> {
    let names = list(value, "inFiles");
    if names.len() > MAX_FILES {
        return Err(bad(format!("it has more than {MAX_FILES} input files")));
    }
    let [scopes, sizes, checksums, endpoints] = ["scopeIn", "fsize", "checksum", "ddmEndPointIn"].map(|key| list(value, key));
    let mut files: Vec<InputFile> = Vec::new();
    for (at, lfn) in names.into_iter().enumerate() {
        let Some(lfn) = lfn else { continue };
        if files.iter().any(|file| file.lfn == lfn) {
            continue;
        }
        check_name(&lfn)?;
        let scope = entry(&scopes, at).unwrap_or_default();
        check_scope(&scope)?;
        files.push(InputFile {
            scope,
            size: entry(&sizes, at).and_then(|size| size.parse().ok()).filter(|size| *size > 0),
            checksum: entry(&checksums, at),
            endpoint: entry(&endpoints, at),
            lfn,
        });
    }
    Ok(files)
}

fn outputs(value: &Value) -> Result<(Vec<OutputFile>, Option<OutputFile>), JobFailure> {
    let names = list(value, "outFiles");
    if names.len() > MAX_FILES {
        return Err(bad(format!("it has more than {MAX_FILES} output files")));
    }
    let log_name = text(value, "logFile");
    let scopes = list(value, "scopeOut");
    let endpoints = list(value, "ddmEndPointOut");
    let mut files: Vec<OutputFile> = Vec::new();
    let mut log = None;
    // The scopes skip the log, the endpoints do not.
    let mut scope_at = 0;
    for (at, lfn) in names.into_iter().enumerate() {
        let Some(lfn) = lfn else { continue };
        let endpoint = entry(&endpoints, at);
        if Some(&lfn) == log_name.as_ref() {
            check_name(&lfn)?;
            let scope = text(value, "scopeLog").unwrap_or_default();
            check_scope(&scope)?;
            log = Some(OutputFile { lfn, scope, endpoint });
            continue;
        }
        let scope = entry(&scopes, scope_at).unwrap_or_default();
        scope_at += 1;
        check_scope(&scope)?;
        if !lfn.starts_with(REGEX_PREFIX) {
            check_name(&lfn)?;
        }
        if !files.iter().any(|file| file.lfn == lfn) {
            files.push(OutputFile { lfn, scope, endpoint });
        }
    }
    Ok((files, log))
}

/// Start of an output that stands for all files an expression finds.
pub(crate) const REGEX_PREFIX: &str = "regex|";

fn check_name(lfn: &str) -> Result<(), JobFailure> {
    let fine = !lfn.contains(['/', '\0']) && lfn != "." && lfn != ".." && lfn.len() <= 255;
    if fine { Ok(()) } else { Err(bad(format!("`{lfn}` is no file name"))) }
}

fn check_scope(scope: &str) -> Result<(), JobFailure> {
    let fine = scope.is_empty() || (!scope.contains(['/', '\0']) && scope.split('.').all(|part| !part.is_empty()));
    if fine { Ok(()) } else { Err(bad(format!("`{scope}` is no scope"))) }
}

fn bad(reason: impl std::fmt::Display) -> JobFailure {
    JobFailure::new(BAD_JOB, format!("the job cannot be understood: {reason}"))
}

/// A text; nothing, the empty text, `NULL` and `None` are all `None`.
pub(crate) fn text(value: &Value, key: &str) -> Option<String> {
    let text = match value.get(key)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    some(&text)
}

fn some(text: &str) -> Option<String> {
    (!matches!(text, "" | "NULL" | "None")).then(|| text.to_owned())
}

/// A whole number, also as a text.
fn int(value: &Value, key: &str) -> Option<i64> {
    match value.get(key)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A comma list with its places kept.
fn list(value: &Value, key: &str) -> Vec<Option<String>> {
    match value.get(key) {
        Some(Value::String(list)) if !list.is_empty() => list.split(',').map(some).collect(),
        Some(Value::Number(one)) => vec![Some(one.to_string())],
        _ => Vec::new(),
    }
}

fn entry(list: &[Option<String>], at: usize) -> Option<String> {
    list.get(at).cloned().flatten()
}

fn csv(text: &str) -> Vec<String> {
    text.split(',').filter_map(some).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_prun_job() {
        let job = Job::parse(&json!({
            "PandaID": "5001", "attemptNr": 2, "taskID": 10_000_101,
            "transformation": "http://h/trf/user/runGen-00-00-02",
            "jobPars": "-j \"\" --overwriteQueueData={} -p \"a b\"",
            "inFiles": "f0,NULL,f1,f0", "scopeIn": "u.b,x,u.c,u.b", "fsize": "700,0,0,700",
            "checksum": "ad:2c08c351,,NULL,", "ddmEndPointIn": "RSE,,,",
            "outFiles": "log.tgz,o1,o2", "logFile": "log.tgz", "scopeOut": "s1,s2", "scopeLog": "sl",
            "ddmEndPointOut": "R0,R1,R2", "coreCount": "NULL", "maxWalltime": "60",
            "allowNoOutput": "o2", "container_name": "NULL",
        }))
        .unwrap();
        assert_eq!((job.id, job.attempt, job.cores, job.max_wall_time_s), (5001, 2, 1, 60));
        let Plan::Single(step, image) = &job.plan else { panic!() };
        assert_eq!(step.args, ["-j", "", "-p", "a b"]);
        assert_eq!(image, &None);
        assert_eq!(job.inputs.len(), 2);
        assert_eq!((job.inputs[0].size, job.inputs[1].size), (Some(700), None));
        assert_eq!(job.inputs[1].scope, "u.c");
        assert_eq!(job.inputs[1].checksum, None);
        assert_eq!(job.outputs[1].scope, "s2");
        assert_eq!(job.outputs[1].endpoint.as_deref(), Some("R2"));
        assert_eq!(job.log.unwrap().scope, "sl");
        assert_eq!(job.may_be_absent, ["o2"]);
    }

    #[test]
    fn steps_around_a_container() {
        let step = |option: &str| json!({"command": "http://h/trf/user/runGen-00-00-02", "args": option});
        let job = json!({
            "PandaID": 1, "preprocess": step("--preprocess -p x"), "postprocess": step("--postprocess -p x"),
            "containerOptions": {"containerExec": "/bin/sh s", "containerImage": "docker://busybox"},
        });
        let Plan::Steps(pre, container, _) = Job::parse(&job).unwrap().plan else { panic!() };
        assert_eq!(pre.args[0], "--preprocess");
        assert_eq!(container.image, "docker://busybox");
        let mut half = job;
        half.as_object_mut().unwrap().remove("postprocess");
        assert_eq!(Job::parse(&half).unwrap_err().code, BAD_JOB);
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for (key, text) in [("inFiles", "../x"), ("outFiles", "a/b"), ("inFiles", "..")] {
            let job = json!({"PandaID": 1, "transformation": "t", key: text});
            assert!(Job::parse(&job).is_err(), "{text}");
        }
        let job = json!({"PandaID": 1, "transformation": "t", "inFiles": "a", "scopeIn": "u..b"});
        assert!(Job::parse(&job).is_err());
        let job = json!({"PandaID": 1, "transformation": "t", "jobPars": "'open"});
        assert!(Job::parse(&job).unwrap_err().diag.contains("not closed"));
        assert_eq!(identity(&json!({"PandaID": null})), None);
    }
}
