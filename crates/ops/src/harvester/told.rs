//! Reads a worker as a Harvester sends it (`spec/harvester.md` section 7): numbers may be texts, times have the prefix `datetime/`, what is empty
//! is not told.

use panda_core::{id::JobId, worker::WorkerState};
use panda_store::query::worker::Told;
use panda_wire::{datetime, lenient};
use serde_json::{Map, Value};

use crate::{Ops, OpsError};

/// Most jobs of one worker.
const MAX_JOBS: usize = 1_000;
/// Most bytes of what is kept of a worker beside its columns.
const MAX_DOC: usize = 16_384;
/// What has a column or a table of its own.
const COLUMNS: [&str; 19] = [
    "workerID",
    "batchID",
    "queueName",
    "status",
    "computingSite",
    "nCore",
    "nodeID",
    "submissionHost",
    "submitTime",
    "startTime",
    "endTime",
    "jobType",
    "resourceType",
    "computingElement",
    "syncLevel",
    "errorCode",
    "diagMessage",
    "pandaid_list",
    "lastUpdate",
];

/// A worker that was told of.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    /// The instance's number of it.
    pub number: i64,
    /// Its state.
    pub state: WorkerState,
    /// Its jobs; empty says nothing.
    pub jobs: Vec<JobId>,
    /// Everything else.
    pub told: Told,
}

struct Doc(Map<String, Value>);

impl Doc {
    /// A text that says something, cut where its column ends.
    fn text(&self, key: &str, most: usize) -> Option<String> {
        let text = lenient::text(self.0.get(key)?.clone())?;
        let text = text.trim();
        let end = text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
        Some(text[..end].to_owned()).filter(|t| !t.is_empty())
    }
    fn int(&self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(lenient::int)
    }
    fn time(&self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(datetime::parse_value)
    }
}

/// Reads one; the error says what cannot be read.
pub(super) async fn read(ops: &Ops, value: Value) -> Result<Result<Worker, String>, OpsError> {
    let Value::Object(map) = value else { return Ok(Err("a worker must be an object".into())) };
    let d = Doc(map);
    let Some(number) = d.int("workerID").filter(|n| *n >= 0) else { return Ok(Err("workerID must be a number".into())) };
    let state = match WorkerState::parse(d.text("status", 20).unwrap_or_default().as_str()) {
        Ok(state) => state,
        Err(e) => return Ok(Err(format!("worker {number}: {e}"))),
    };
    let jobs = match d.0.get("pandaid_list") {
        Some(Value::Array(list)) => list.iter().filter_map(lenient::int).filter(|id| *id > 0).map(JobId).take(MAX_JOBS).collect(),
        _ => Vec::new(),
    };
    let site = [d.text("computingSite", 100), d.text("queueName", 100)];
    let told = Told {
        queue: super::queue_id(ops, [site[0].as_deref(), site[1].as_deref()]).await?,
        node: d.text("nodeID", 128),
        batch_id: d.text("batchID", 100),
        label: d.text("jobType", 20),
        resource_type: d.text("resourceType", 20),
        n_cores: d.int("nCore"),
        endpoint: d.text("computingElement", 128),
        submit_host: d.text("submissionHost", 128),
        sync_level: d.int("syncLevel"),
        error_code: d.int("errorCode").filter(|c| *c != 0),
        reason: d.text("diagMessage", 500),
        submitted_us: d.time("submitTime"),
        started_us: d.time("startTime"),
        ended_us: d.time("endTime"),
        doc: rest(&d.0),
    };
    Ok(Ok(Worker { number, state, jobs, told }))
}

/// Addresses of logs, native states and whatever else was told.
fn rest(map: &Map<String, Value>) -> Option<String> {
    let says = |v: &Value| !(v.is_null() || v.as_str().is_some_and(|t| t.trim().is_empty()));
    let kept: Map<String, Value> =
        map.iter().filter(|(k, v)| !COLUMNS.contains(&k.as_str()) && says(v)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let text = Value::Object(kept.clone()).to_string();
    (!kept.is_empty() && text.len() <= MAX_DOC).then_some(text)
}
