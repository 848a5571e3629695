//! The parameters of a task, in the shape that prun gives them (`spec/client.md` section 7).
//!
//! Owns which parameter follows from which option. Must not do I/O.

use serde_json::{Map, Value, json};

use super::inputs::Inputs;
use super::{command, needs, outputs};
use crate::cli::SubmitArgs;
use crate::failure::Failure;

/// Most files of a job that the server makes by itself, prun's default.
const MAX_FILES_PER_JOB: i64 = 200;
/// Files that are no input even when they lie in an input data set, prun's rule.
const EXCLUDED: &str = r"\.log\.tgz(\.\d+)*$";
/// What a container runs: the script that the first step leaves (`spec/payload_runners.md` section 3.5).
const CONTAINER_COMMAND: &str = "/bin/sh __run_main_exec.sh";

/// What the parameters are made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The options.
    pub args: &'a SubmitArgs,
    /// Name without slash.
    pub name: &'a str,
    /// VO.
    pub vo: &'a str,
    /// The command with its environment.
    pub command: &'a str,
    /// The input.
    pub inputs: &'a Inputs,
    /// Data set that local files are registered as.
    pub dataset: Option<&'a str>,
    /// Name of the DAG on the server, if there is one.
    pub dag: Option<&'a str>,
    /// Name of the sandbox, if there is one.
    pub archive: Option<&'a str>,
    /// The command line, for people.
    pub line: &'a str,
}

/// Makes the parameters.
pub fn make(parts: &Parts<'_>) -> Result<Value, Failure> {
    let args = parts.args;
    let mut params = Map::new();
    let mut set = |key: &str, value: Value| params.insert(key.to_owned(), value);
    set("taskName", json!(format!("{}/", parts.name)));
    set("uniqueTaskName", json!(true));
    set("vo", json!(parts.vo));
    set("architecture", json!(args.container.as_ref().map(|_| "")));
    set("transUses", json!(""));
    set("transHome", Value::Null);
    set("processingType", json!(concat!("panda-", env!("CARGO_PKG_VERSION"), "-jedi-run")));
    set("prodSourceLabel", json!("user"));
    sites(args, &mut set);
    set("cliParams", json!(parts.line));
    set("osInfo", json!(format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)));
    set("nMaxFilesPerJob", json!(MAX_FILES_PER_JOB));
    set("respectSplitRule", json!(true));
    let log = format!("{}.log/", parts.name);
    let value = format!("{}.log.$JEDITASKID.${{SN}}.log.tgz", parts.name);
    set("log", json!({ "dataset": log, "container": log, "type": "template", "param_type": "log", "value": value }));
    splitting(parts, &mut params)?;
    needs::add(args, &mut params)?;
    if let Some(image) = &args.container {
        params.insert("container_name".into(), json!(image));
        params.insert("multiStepExec".into(), container(image));
    }
    params.insert("jobParameters".into(), Value::Array(items(parts)?));
    steps(parts, &mut params);
    Ok(Value::Object(params))
}

/// Queues to use and not to use; several are a list, one is a name.
fn sites(args: &SubmitArgs, set: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let queues: Vec<&str> = args.queue.as_deref().unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let (site, included) = match queues.as_slice() {
        [] => (Value::Null, Value::Null),
        ["AUTO"] => (Value::Null, Value::Null),
        [one] => (json!(one), Value::Null),
        many => (Value::Null, json!(many)),
    };
    set("site", site);
    set("excludedSite", json!(args.exclude_queue));
    set("includedSite", included);
}

/// How the input is cut into jobs.
fn splitting(parts: &Parts<'_>, params: &mut Map<String, Value>) -> Result<(), Failure> {
    let args = parts.args;
    let mut set = |key: &str, value: Value| params.insert(key.to_owned(), value);
    let count = parts.inputs.count();
    if let Some(dag) = parts.dag {
        set("dag", json!(dag));
        return Ok(());
    }
    if parts.inputs == &Inputs::Nothing {
        if args.files_per_job.is_some() || args.files.is_some() {
            return Err(
                Failure::usage("`--files-per-job` and `--files` need input").hint("give input with `--in`, or count jobs with `--jobs`")
            );
        }
        set("noInput", json!(true));
        set("nEvents", json!(args.jobs.unwrap_or(1)));
        set("nEventsPerJob", json!(1));
        return Ok(());
    }
    let mut files = args.files;
    let mut per_job = args.files_per_job;
    match (args.jobs, per_job, count) {
        (Some(jobs), Some(per_job), _) if files.is_none() => files = Some(jobs.saturating_mul(per_job)),
        (Some(jobs), None, Some(count)) => per_job = Some(files.map_or(count, |files| files.min(count)).max(1).div_ceil_signed(jobs)),
        (Some(_), None, None) => {
            crate::screen::note("note: `--jobs` is not used: with a data set, say how to cut it with `--files-per-job`");
        }
        _ => {}
    }
    if matches!(parts.inputs, Inputs::Urls(_)) {
        set("noInput", json!(true));
        files = files.or(count);
    }
    if let Some(files) = files {
        set("nFiles", json!(files));
    }
    if let Some(per_job) = per_job {
        set("nFilesPerJob", json!(per_job));
    }
    match parts.inputs {
        Inputs::Urls(urls) => set("pfnList", json!(urls)),
        _ => set("dsForIN", json!(dataset_names(parts))),
    };
    Ok(())
}

/// The data sets of a task with input, as clients write them.
fn dataset_names(parts: &Parts<'_>) -> String {
    match parts.inputs {
        Inputs::Datasets(names) => names.join(","),
        _ => parts.dataset.unwrap_or_default().to_owned(),
    }
}

trait DivCeil {
    fn div_ceil_signed(self, by: i64) -> i64;
}

impl DivCeil for i64 {
    /// Both are at least 1.
    fn div_ceil_signed(self, by: i64) -> i64 {
        self.saturating_add(by - 1) / by.max(1)
    }
}

/// The job parameters, item by item in prun's order.
fn items(parts: &Parts<'_>) -> Result<Vec<Value>, Failure> {
    let args = parts.args;
    let constant = |value: &str| json!({ "type": "constant", "value": value });
    let mut items = vec![
        constant("-j \"\" --sourceURL ${SURL}"),
        constant("-r ."),
        json!({ "type": "constant", "value": "__delimiter__", "hidden": true }),
    ];
    match (parts.archive, &args.build) {
        (_, Some(_)) => items.push(constant("-l ${LIB}")),
        (Some(archive), None) => items.push(constant(&format!("-a {archive}"))),
        (None, None) => {}
    }
    items.extend(outputs::items(parts.name, &args.outputs)?);
    let is_addresses = matches!(parts.inputs, Inputs::Urls(_));
    if is_addresses {
        items.push(constant("-i \"${IN/T}\""));
    } else if parts.inputs != &Inputs::Nothing {
        let dataset = dataset_names(parts);
        let mut item = json!({
            "type": "template", "param_type": "input", "value": "-i \"${IN/T}\"", "dataset": dataset, "exclude": EXCLUDED, "expand": true,
        });
        if let Some(pattern) = &args.pattern {
            item["include"] = json!(pattern);
        }
        items.push(item);
    }
    items.extend(command::items(parts.command, parts.dag.is_some())?);
    if is_addresses {
        items.push(constant("--givenPFN "));
    }
    Ok(items)
}

/// Build and merge steps.
fn steps(parts: &Parts<'_>, params: &mut Map<String, Value>) {
    let args = parts.args;
    if let (Some(build), Some(archive)) = (&args.build, parts.archive) {
        let text = format!("-i ${{IN}} -o ${{OUT}} --sourceURL ${{SURL}} -r . --bexec \"{}\" ", command::encode(build));
        params.insert("buildSpec".into(), json!({ "prodSourceLabel": "panda", "archiveName": archive, "jobParameters": text }));
    }
    if args.merge {
        let mut text = String::from("-r . ");
        if let Some(script) = &args.merge_command {
            text.push_str(&format!("-j \"{}\" ", merge_command(script)));
        }
        match (&args.build, parts.archive) {
            (Some(_), _) => text.push_str("-l ${LIB} "),
            (None, Some(archive)) => text.push_str(&format!("-a {archive} --sourceURL ${{SURL}} ")),
            (None, None) => {}
        }
        text.push_str("${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}");
        params.insert("mergeSpec".into(), json!({ "useLocalIO": 1, "jobParameters": text }));
        params.insert("mergeOutput".into(), json!(true));
    }
}

/// The merge command inside double quotes: only what would end them, or read as an escape, is encoded; `%IN` and `%OUT` stay.
fn merge_command(script: &str) -> String {
    let mut text = String::new();
    let bytes = script.as_bytes();
    for (at, c) in script.char_indices() {
        let hex = |offset: usize| bytes.get(at + offset).is_some_and(u8::is_ascii_hexdigit);
        match c {
            '"' | '\\' | '$' | '`' => text.push_str(&format!("%{:02X}", u32::from(c))),
            '%' if hex(1) && hex(2) => text.push_str("%25"),
            c => text.push(c),
        }
    }
    text
}

/// The three steps of a job in a container.
fn container(image: &str) -> Value {
    json!({
        "preprocess": { "command": "${TRF}", "args": "--preprocess ${TRF_ARGS}" },
        "postprocess": { "command": "${TRF}", "args": "--postprocess ${TRF_ARGS}" },
        "containerOptions": { "containerExec": CONTAINER_COMMAND, "containerImage": image },
    })
}

#[cfg(test)]
mod tests;
