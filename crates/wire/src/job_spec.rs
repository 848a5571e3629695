//! The form in which jobs without a task are submitted (`job/submit`) and the
//! form in which jobs are described (`job/get_description`).
//!
//! Owns the order of the attributes, the positional decoder and the encoder
//! (API sheet section 16, client sheet 3.4). Must not know what an attribute
//! means to the system.

use crate::{datetime, lenient};
use serde_json::{Map, Value};

/// Most jobs in one submission; the original cuts there as well.
pub const MAX_JOBS: usize = 5000;

/// Most files of one job: more cannot be staged by any pilot, and the bound keeps a body small.
pub const MAX_FILES: usize = 20_000;

/// Attributes of a job in the order of a state array and of a description.
pub const JOB_ATTRIBUTES: [&str; 126] = [
    "PandaID",
    "jobDefinitionID",
    "schedulerID",
    "pilotID",
    "creationTime",
    "creationHost",
    "modificationTime",
    "modificationHost",
    "AtlasRelease",
    "transformation",
    "homepackage",
    "prodSeriesLabel",
    "prodSourceLabel",
    "prodUserID",
    "assignedPriority",
    "currentPriority",
    "attemptNr",
    "maxAttempt",
    "jobStatus",
    "jobName",
    "maxCpuCount",
    "maxCpuUnit",
    "maxDiskCount",
    "maxDiskUnit",
    "ipConnectivity",
    "minRamCount",
    "minRamUnit",
    "startTime",
    "endTime",
    "cpuConsumptionTime",
    "cpuConsumptionUnit",
    "commandToPilot",
    "transExitCode",
    "pilotErrorCode",
    "pilotErrorDiag",
    "exeErrorCode",
    "exeErrorDiag",
    "supErrorCode",
    "supErrorDiag",
    "ddmErrorCode",
    "ddmErrorDiag",
    "brokerageErrorCode",
    "brokerageErrorDiag",
    "jobDispatcherErrorCode",
    "jobDispatcherErrorDiag",
    "taskBufferErrorCode",
    "taskBufferErrorDiag",
    "computingSite",
    "computingElement",
    "jobParameters",
    "metadata",
    "prodDBlock",
    "dispatchDBlock",
    "destinationDBlock",
    "destinationSE",
    "nEvents",
    "grid",
    "cloud",
    "cpuConversion",
    "sourceSite",
    "destinationSite",
    "transferType",
    "taskID",
    "cmtConfig",
    "stateChangeTime",
    "prodDBUpdateTime",
    "lockedby",
    "relocationFlag",
    "jobExecutionID",
    "VO",
    "pilotTiming",
    "workingGroup",
    "processingType",
    "prodUserName",
    "nInputFiles",
    "countryGroup",
    "batchID",
    "parentID",
    "specialHandling",
    "jobsetID",
    "coreCount",
    "nInputDataFiles",
    "inputFileType",
    "inputFileProject",
    "inputFileBytes",
    "nOutputDataFiles",
    "outputFileBytes",
    "jobMetrics",
    "workQueue_ID",
    "jediTaskID",
    "jobSubStatus",
    "actualCoreCount",
    "reqID",
    "maxRSS",
    "maxVMEM",
    "maxSWAP",
    "maxPSS",
    "avgRSS",
    "avgVMEM",
    "avgSWAP",
    "avgPSS",
    "maxWalltime",
    "nucleus",
    "eventService",
    "failedAttempt",
    "hs06sec",
    "gshare",
    "hs06",
    "totRCHAR",
    "totWCHAR",
    "totRBYTES",
    "totWBYTES",
    "rateRCHAR",
    "rateWCHAR",
    "rateRBYTES",
    "rateWBYTES",
    "resource_type",
    "diskIO",
    "memory_leak",
    "memory_leak_x2",
    "container_name",
    "job_label",
    "gco2_regional",
    "gco2_global",
    "cpu_architecture_level",
    "outputFileType",
];

/// Attributes of a file. Clients know the first eighteen only.
pub const FILE_ATTRIBUTES: [&str; 22] = [
    "row_ID",
    "PandaID",
    "GUID",
    "lfn",
    "type",
    "dataset",
    "status",
    "prodDBlock",
    "prodDBlockToken",
    "dispatchDBlock",
    "dispatchDBlockToken",
    "destinationDBlock",
    "destinationDBlockToken",
    "destinationSE",
    "fsize",
    "md5sum",
    "checksum",
    "scope",
    "jediTaskID",
    "datasetID",
    "fileID",
    "attemptNr",
];

/// Why a submission cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobSpecError {
    /// The text is no JSON.
    #[error("the list of jobs is not valid JSON: {0}")]
    Json(String),
    /// The top is no list.
    #[error("the jobs must be a list")]
    NotAList,
    /// Too many jobs at once.
    #[error("{0} jobs in one submission; send at most {MAX_JOBS}")]
    TooMany(usize),
    /// A job has too many files.
    #[error("job {0} has more than {MAX_FILES} files")]
    TooManyFiles(usize),
    /// An element is neither a state array nor an object.
    #[error("job {0} must be a list of attribute values that ends with the list of its files")]
    NotAState(usize),
    /// The array does not end in a list of files.
    #[error("the last value of job {0} must be the list of its files")]
    NoFiles(usize),
    /// A file is neither an array nor an object.
    #[error("file {file} of job {job} must be a list of attribute values")]
    NotAFileState {
        /// Index of the job.
        job: usize,
        /// Index of the file.
        file: usize,
    },
}

/// Attribute values by name; an attribute that was missing (`"NULL"` or null) is absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attributes(
    /// The values, in the order they came.
    pub Map<String, Value>,
);

impl Attributes {
    /// The value as text; numbers and booleans are printed.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().and_then(lenient::text)
    }

    /// The value as an integer, from any shape that means one.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(lenient::int)
    }

    /// The value as a float.
    #[must_use]
    pub fn float(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(lenient::float)
    }

    /// The value as microseconds since 1970.
    #[must_use]
    pub fn time(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(datetime::parse_value)
    }

    fn from_positions(names: &[&str], values: Vec<Value>) -> Self {
        // Most of a state is missing; what is dropped gets no name first.
        let named = names.iter().zip(values).filter(|(_, v)| !is_missing(v));
        Attributes(named.map(|(n, v)| ((*n).to_owned(), v)).collect())
    }

    fn from_map(map: Map<String, Value>) -> Self {
        Attributes(map.into_iter().filter(|(_, v)| !is_missing(v)).collect())
    }

    fn describe(&self, names: &[&str]) -> Map<String, Value> {
        names.iter().map(|name| ((*name).to_owned(), self.0.get(*name).cloned().unwrap_or(Value::Null))).collect()
    }
}

fn is_missing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("NULL")
}

/// One job with its files.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobSpec {
    /// Attributes by their names in [`JOB_ATTRIBUTES`].
    pub attributes: Attributes,
    /// Files, attributes by their names in [`FILE_ATTRIBUTES`].
    pub files: Vec<Attributes>,
}

impl JobSpec {
    /// The object of `job/get_description`: every attribute (null when missing) and `Files`.
    #[must_use]
    pub fn describe(&self) -> Value {
        let mut map = self.attributes.describe(&JOB_ATTRIBUTES);
        let files = self.files.iter().map(|f| Value::Object(f.describe(&FILE_ATTRIBUTES)));
        map.insert("Files".to_owned(), files.collect());
        Value::Object(map)
    }
}

/// Decodes the text of `job/submit`.
///
/// # Errors
/// [`JobSpecError`] that names the job (and the file) by its index.
pub fn decode(text: &str) -> Result<Vec<JobSpec>, JobSpecError> {
    let value = serde_json::from_str(text).map_err(|e| JobSpecError::Json(e.to_string()))?;
    decode_value(value)
}

/// Decodes the jobs when they come as a list and not as its text.
///
/// # Errors
/// As [`decode`].
pub fn decode_value(value: Value) -> Result<Vec<JobSpec>, JobSpecError> {
    let Value::Array(states) = value else {
        return Err(JobSpecError::NotAList);
    };
    if states.len() > MAX_JOBS {
        return Err(JobSpecError::TooMany(states.len()));
    }
    states.into_iter().enumerate().map(|(i, state)| job(i, state)).collect()
}

fn job(index: usize, state: Value) -> Result<JobSpec, JobSpecError> {
    let (attributes, files) = match state {
        Value::Array(mut values) => {
            let files = values.pop();
            (Attributes::from_positions(&JOB_ATTRIBUTES, values), files)
        }
        Value::Object(mut map) => {
            let files = map.remove("Files").or(Some(Value::Array(Vec::new())));
            (Attributes::from_map(map), files)
        }
        _ => return Err(JobSpecError::NotAState(index)),
    };
    let Some(Value::Array(states)) = files else {
        return Err(JobSpecError::NoFiles(index));
    };
    if states.len() > MAX_FILES {
        return Err(JobSpecError::TooManyFiles(index));
    }
    let files = states.into_iter().enumerate().map(|(file, state)| match state {
        Value::Array(mut values) => {
            // The last value is the owner, always null.
            values.pop();
            Ok(Attributes::from_positions(&FILE_ATTRIBUTES, values))
        }
        Value::Object(map) => Ok(Attributes::from_map(map)),
        _ => Err(JobSpecError::NotAFileState { job: index, file }),
    });
    Ok(JobSpec { attributes, files: files.collect::<Result<_, _>>()? })
}

/// Encodes jobs as `job/submit` sends them: state arrays with `"NULL"` for what is missing.
#[must_use]
pub fn encode(jobs: &[JobSpec]) -> String {
    let positions = |values: &Attributes, names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| values.0.get(*name).cloned().unwrap_or_else(|| Value::from("NULL"))).collect()
    };
    let states = jobs.iter().map(|job| {
        let mut state = positions(&job.attributes, &JOB_ATTRIBUTES);
        let files = job.files.iter().map(|file| {
            let mut state = positions(file, &FILE_ATTRIBUTES);
            state.push(Value::Null);
            Value::Array(state)
        });
        state.push(files.collect());
        Value::Array(state)
    });
    states.collect::<Value>().to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn round_trip() {
        let mut spec = JobSpec::default();
        spec.attributes.0.insert("jobName".into(), json!("a"));
        spec.attributes.0.insert("creationTime".into(), json!({"_datetime_object": "2026-01-01 00:00:00.000001"}));
        spec.files.push(Attributes(json!({"lfn": "x", "type": "output", "fsize": 5}).as_object().unwrap().clone()));
        let back = decode(&encode(std::slice::from_ref(&spec))).unwrap();
        assert_eq!(back, [spec]);
        assert_eq!(back[0].attributes.time("creationTime"), datetime::parse("2026-01-01T00:00:00.000001"));
        let shown = back[0].describe();
        assert_eq!(shown.as_object().unwrap().len(), 127);
        assert_eq!(shown["Files"][0]["lfn"], "x");
        assert_eq!(shown["PandaID"], Value::Null);
    }

    #[test]
    fn faults_name_the_place() {
        assert_eq!(decode("{").unwrap_err().to_string().split(':').next(), Some("the list of jobs is not valid JSON"));
        assert_eq!(decode("{}"), Err(JobSpecError::NotAList));
        assert_eq!(decode("[1]"), Err(JobSpecError::NotAState(0)));
        assert_eq!(decode("[[1,2]]"), Err(JobSpecError::NoFiles(0)));
        assert_eq!(decode("[[]]"), Err(JobSpecError::NoFiles(0)));
        assert_eq!(decode("[[1,[2]]]"), Err(JobSpecError::NotAFileState { job: 0, file: 0 }));
        assert_eq!(decode("[]"), Ok(vec![]));
        assert_eq!(decode(&format!("[{}]", vec!["[[]]"; 5001].join(","))), Err(JobSpecError::TooMany(5001)));
    }
}
