//! A job in the attribute names of job descriptions (`spec/api_v1.md` section 16), put together from its row, its dictionary, its files and
//! what its pilot measured.

use std::collections::HashMap;

use panda_core::id::JobId;
use panda_store::query::job::{JobRow, file::JobFile};
use panda_wire::{
    datetime, job_dict,
    job_spec::{Attributes, JobSpec},
};
use serde_json::{Map, Value};

/// Everything that a description is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The row.
    pub job: &'a JobRow,
    /// The owner's shown name.
    pub owner: &'a str,
    /// The queue's name.
    pub queue: Option<&'a str>,
    /// The share of its lane.
    pub share: Option<&'a str>,
    /// The dictionary, joined.
    pub dictionary: Map<String, Value>,
    /// Its file rows.
    pub files: &'a [JobFile],
    /// `{"errors", "metrics", "usage"}` as the finisher kept them, or what the last heartbeat measured under `metrics`.
    pub end: Map<String, Value>,
}

/// Text attributes that stand in the dictionary under the same or another name.
const FROM_DICTIONARY: &[(&str, &str)] = &[
    ("jobDefinitionID", "jobDefinitionID"),
    ("AtlasRelease", "swRelease"),
    ("transformation", "transformation"),
    ("homepackage", "homepackage"),
    ("prodUserID", "prodUserID"),
    ("maxCpuCount", "maxCpuCount"),
    ("jobParameters", "jobPars"),
    ("cloud", "cloud"),
    ("sourceSite", "sourceSite"),
    ("destinationSE", "destinationSE"),
    ("transferType", "transferType"),
    ("cmtConfig", "cmtConfig"),
    ("jobsetID", "jobsetID"),
    ("reqID", "reqID"),
    ("nucleus", "nucleus"),
    ("container_name", "container_name"),
];

/// Measured attributes: the wire's name and the attribute's.
const FROM_METRICS: &[(&str, &str)] = &[
    ("cpuConsumptionTime", "cpu_consumption_time"),
    ("cpuConsumptionUnit", "cpu_consumption_unit"),
    ("cpuConversion", "cpu_conversion_factor"),
    ("nEvents", "n_events"),
    ("nInputFiles", "n_input_files"),
    ("actualCoreCount", "core_count"),
    ("jobMetrics", "job_metrics"),
    ("pilotTiming", "pilot_timing"),
    ("pilotID", "pilot_id"),
    ("schedulerID", "scheduler_id"),
    ("computingElement", "computing_element"),
    ("cpu_architecture_level", "cpu_architecture_level"),
    ("maxRSS", "max_rss"),
    ("maxVMEM", "max_vmem"),
    ("maxSWAP", "max_swap"),
    ("maxPSS", "max_pss"),
    ("avgRSS", "avg_rss"),
    ("avgVMEM", "avg_vmem"),
    ("avgSWAP", "avg_swap"),
    ("avgPSS", "avg_pss"),
    ("totRCHAR", "tot_rchar"),
    ("totWCHAR", "tot_wchar"),
    ("totRBYTES", "tot_rbytes"),
    ("totWBYTES", "tot_wbytes"),
    ("rateRCHAR", "rate_rchar"),
    ("rateWCHAR", "rate_wchar"),
    ("rateRBYTES", "rate_rbytes"),
    ("rateWBYTES", "rate_wbytes"),
];

/// What it has used, as it was written with its end.
const FROM_USAGE: &[&str] = &["hs06sec", "gco2_regional", "gco2_global"];

/// The description: every attribute (null when missing) and `Files`.
#[must_use]
pub fn describe(p: &Parts<'_>) -> Value {
    let mut m = Map::with_capacity(70);
    from_row(&mut m, p);
    for (attribute, key) in FROM_DICTIONARY {
        put(&mut m, attribute, p.dictionary.get(*key).filter(|v| v.as_str() != Some(job_dict::MISSING)).cloned());
    }
    let part = |name: &str| p.end.get(name).and_then(Value::as_object);
    for (attribute, key) in FROM_METRICS {
        put(&mut m, attribute, part("metrics").and_then(|o| o.get(*key)).cloned());
    }
    let words = part("metrics").and_then(|o| o.get("job_metrics")).and_then(Value::as_str).unwrap_or_default();
    for (attribute, word) in [("memory_leak", "leak"), ("memory_leak_x2", "chi2")] {
        let value = words.split_whitespace().find_map(|w| w.strip_prefix(word)?.strip_prefix('=')?.parse::<f64>().ok());
        put(&mut m, attribute, value.filter(|x| x.is_finite()).map(Value::from));
    }
    for attribute in FROM_USAGE {
        put(&mut m, attribute, part("usage").and_then(|o| o.get(*attribute)).cloned());
    }
    for (attribute, key) in [("exeErrorDiag", "exe_error_diag"), ("pilotErrorDiag", "pilot_error_diag")] {
        put(&mut m, attribute, part("errors").and_then(|o| o.get(key)).cloned());
    }
    let files = files(p);
    let sum = |kind: &str| files.iter().filter(|f| f.text("type").as_deref() == Some(kind)).filter_map(|f| f.int("fsize")).sum::<i64>();
    let count = |kind: &str| files.iter().filter(|f| f.text("type").as_deref() == Some(kind)).count();
    put(&mut m, "nInputDataFiles", Some(count("input").into()));
    put(&mut m, "inputFileBytes", Some(sum("input").into()));
    put(&mut m, "nOutputDataFiles", Some(count("output").into()));
    put(&mut m, "outputFileBytes", Some(sum("output").into()));
    let dataset = |kind: &str| files.iter().find(|f| f.text("type").as_deref() == Some(kind)).and_then(|f| f.0.get("dataset").cloned());
    put(&mut m, "prodDBlock", dataset("input"));
    put(&mut m, "destinationDBlock", dataset("output"));
    JobSpec { attributes: Attributes(m), files }.describe()
}

fn put(m: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value.filter(|v| !v.is_null()) {
        m.insert(key.to_owned(), value);
    }
}

/// Words on how the job is treated, joined by commas: of its dictionary, and debug mode.
fn special(p: &Parts<'_>) -> Option<Value> {
    let made = p.dictionary.get("specialHandling").and_then(Value::as_str).filter(|w| !w.is_empty() && *w != job_dict::MISSING);
    let words: Vec<&str> = made.into_iter().chain(p.job.debug.then_some("debug")).collect();
    (!words.is_empty()).then(|| words.join(",").into())
}

fn from_row(m: &mut Map<String, Value>, p: &Parts<'_>) {
    let j = p.job;
    let time = |us: i64| Some(datetime::marker(us));
    let text = |t: Option<&str>| t.map(Value::from);
    let number = |n: i64| Some(Value::from(n));
    // One diagnosis is kept on the row, that of the source that spoke last; the report's own texts come with the report.
    let said = |code: Option<i64>| text(j.diag.as_deref().filter(|_| code.is_some()));
    for (key, value) in [
        ("PandaID", number(j.id.0)),
        ("eventService", number(j.kind.event_service()).filter(|n| *n != 0)),
        ("creationTime", time(j.created_us)),
        ("modificationTime", time(j.modified_us)),
        ("stateChangeTime", time(j.state_us)),
        ("startTime", j.started_us.and_then(time)),
        ("endTime", j.ended_us.and_then(time)),
        ("modificationHost", text(j.host.as_deref())),
        ("batchID", text(j.batch_id.as_deref())),
        ("prodSourceLabel", text(Some(&j.label))),
        ("job_label", text(Some(&j.label))),
        ("prodUserName", text(Some(p.owner))),
        ("assignedPriority", number(-j.neg_priority)),
        ("currentPriority", number(-j.neg_priority)),
        ("attemptNr", number(j.attempt)),
        ("maxAttempt", number(j.max_attempt)),
        ("jobStatus", text(Some(j.state.as_str()))),
        ("jobSubStatus", text(j.sub_state.as_deref())),
        ("specialHandling", special(p)),
        ("jobName", text(j.name.as_deref())),
        ("processingType", text(j.processing_type.as_deref())),
        ("minRamCount", number(j.ram_mb)),
        ("minRamUnit", text(Some("MB"))),
        ("maxDiskCount", number(j.disk_mb)),
        ("maxDiskUnit", text(Some("MB"))),
        ("maxWalltime", number(j.walltime_s)),
        ("coreCount", number(j.core_count)),
        ("resource_type", text(Some(&j.resource_type))),
        ("gshare", text(p.share)),
        ("VO", text(Some(&j.vo))),
        ("computingSite", text(p.queue)),
        ("jediTaskID", j.task_id.and_then(|t| number(t.0))),
        ("taskID", j.task_id.and_then(|t| number(t.0))),
        ("commandToPilot", text(j.command.as_deref())),
        ("transExitCode", j.trans_exit_code.and_then(number)),
        ("pilotErrorCode", number(j.pilot_error_code.unwrap_or(0))),
        ("exeErrorCode", number(j.exe_error_code.unwrap_or(0))),
        ("supErrorCode", number(j.sup_error_code.unwrap_or(0))),
        ("supErrorDiag", said(j.sup_error_code)),
        ("ddmErrorCode", number(j.ddm_error_code.unwrap_or(0))),
        ("ddmErrorDiag", said(j.ddm_error_code)),
        ("brokerageErrorCode", number(0)),
        ("jobDispatcherErrorCode", number(j.dispatcher_error_code.unwrap_or(0))),
        ("jobDispatcherErrorDiag", said(j.dispatcher_error_code)),
        // What this system itself says of a job is upstream's "task buffer".
        ("taskBufferErrorCode", number(j.server_error_code.unwrap_or(0))),
        ("taskBufferErrorDiag", said(j.server_error_code)),
    ] {
        put(m, key, value);
    }
}

/// Inputs as the dictionary lists them, then outputs and log as their rows say.
fn files(p: &Parts<'_>) -> Vec<Attributes> {
    let list = |key: &str| -> Vec<Option<String>> {
        job_dict::split(p.dictionary.get(key).and_then(Value::as_str).unwrap_or_default()).map(|v| v.map(str::to_owned)).collect()
    };
    let lists: HashMap<&str, Vec<Option<String>>> =
        ["inFiles", "scopeIn", "GUID", "fsize", "checksum", "realDatasetsIn", "outFiles", "realDatasets"]
            .iter()
            .map(|k| (*k, list(k)))
            .collect();
    let at = |key: &str, i: usize| lists.get(key).and_then(|l| l.get(i)).cloned().flatten();
    let rows: HashMap<&str, &JobFile> = p.files.iter().map(|f| (f.lfn.as_str(), f)).collect();
    let mut files = Vec::new();
    for (i, lfn) in lists["inFiles"].iter().enumerate() {
        let Some(lfn) = lfn else { continue };
        let mut f = common(p.job.id, p.job, lfn, "input", at("realDatasetsIn", i));
        put(&mut f, "scope", at("scopeIn", i).map(Value::from));
        put(&mut f, "GUID", at("GUID", i).map(Value::from));
        put(&mut f, "fsize", at("fsize", i).and_then(|n| n.parse::<i64>().ok()).map(Value::from));
        put(&mut f, "checksum", at("checksum", i).map(Value::from));
        put(&mut f, "status", Some(rows.get(lfn.as_str()).map_or("ready", |r| r.state.as_str()).into()));
        files.push(Attributes(f));
    }
    let datasets: HashMap<String, Option<String>> =
        lists["outFiles"].iter().enumerate().filter_map(|(i, lfn)| Some((lfn.clone()?, at("realDatasets", i)))).collect();
    for row in p.files.iter().filter(|f| f.role.is_output()) {
        let kind = if row.role.is_log() { "log" } else { "output" };
        let dataset = datasets.get(&row.lfn).cloned().flatten();
        let mut f = common(p.job.id, p.job, &row.lfn, kind, dataset.clone());
        put(&mut f, "destinationDBlock", dataset.map(Value::from));
        put(&mut f, "row_ID", Some(row.id.into()));
        put(&mut f, "fileID", Some(row.id.into()));
        put(&mut f, "datasetID", row.dataset_id.map(Value::from));
        put(&mut f, "scope", row.scope.clone().map(Value::from));
        put(&mut f, "GUID", row.guid.clone().map(Value::from));
        put(&mut f, "fsize", row.fsize.map(Value::from));
        put(&mut f, "checksum", row.checksum.clone().map(Value::from));
        put(&mut f, "status", Some(row.state.as_str().into()));
        files.push(Attributes(f));
    }
    files
}

fn common(id: JobId, job: &JobRow, lfn: &str, kind: &str, dataset: Option<String>) -> Map<String, Value> {
    let mut f = Map::with_capacity(14);
    put(&mut f, "PandaID", Some(id.0.into()));
    put(&mut f, "lfn", Some(lfn.into()));
    put(&mut f, "type", Some(kind.into()));
    put(&mut f, "dataset", dataset.clone().map(Value::from));
    put(&mut f, "prodDBlock", dataset.filter(|_| kind == "input").map(Value::from));
    put(&mut f, "jediTaskID", job.task_id.map(|t| t.0.into()));
    put(&mut f, "attemptNr", Some(job.attempt.into()));
    f
}
