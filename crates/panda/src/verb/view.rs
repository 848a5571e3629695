//! Tasks and jobs as verbs read and show them.
//!
//! Owns the reading of the dictionaries that the API answers with, and which status means which exit code. Must not know how they were got.

use serde_json::Value;

use crate::failure::{Failure, exit};
use crate::session::Session;

/// A task, as far as verbs look at it.
#[derive(Debug, Clone)]
pub struct Task {
    /// Number.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Status.
    pub status: String,
    /// Files (or counted inputs) in all.
    pub files: i64,
    /// Processed.
    pub finished: i64,
    /// Given up.
    pub failed: i64,
    /// Owner's shown name.
    pub user: String,
    /// When it was submitted.
    pub created: String,
    /// Why it waits or failed.
    pub reason: String,
}

impl Task {
    /// Reads one element of `task/get_tasks_detailed_info_since` or the answer of `task/get_detailed_info`.
    pub fn read(value: &Value) -> Self {
        Self {
            id: int(value, "jediTaskID"),
            name: text(value, "taskName"),
            status: text(value, "status"),
            files: int(value, "nFiles"),
            finished: int(value, "nFilesFinished"),
            failed: int(value, "nFilesFailed"),
            user: text(value, "userName"),
            created: text(value, "creationDate"),
            reason: text(value, "errorDialog"),
        }
    }

    /// Asks the server.
    pub async fn fetch(session: &Session, id: i64) -> Result<(Self, Value), Failure> {
        let data = session.client.get("task", "get_detailed_info", &[("task_id", id)]).await?.ok()?.data;
        Ok((Self::read(&data), data))
    }
}

/// A job, as far as verbs look at it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Number.
    pub id: i64,
    /// Its task, 0 for none.
    pub task_id: i64,
    /// Status.
    pub status: String,
    /// Sort of job: build, merge or an ordinary one.
    pub sort: String,
    /// Queue.
    pub queue: String,
    /// Which attempt, from 0.
    pub attempt: i64,
    /// Diagnosis, if any.
    pub reason: String,
}

impl Job {
    /// Reads one element of `job/get_description`.
    pub fn read(value: &Value) -> Self {
        let diagnoses = [
            "pilotErrorDiag",
            "exeErrorDiag",
            "taskBufferErrorDiag",
            "jobDispatcherErrorDiag",
            "ddmErrorDiag",
            "supErrorDiag",
            "brokerageErrorDiag",
        ];
        let reason = diagnoses.iter().map(|key| text(value, key)).find(|text| !text.is_empty()).unwrap_or_default();
        let label = text(value, "prodSourceLabel");
        let kind = text(value, "processingType");
        let sort = if label.starts_with("panda") || label.ends_with("_build") {
            "build"
        } else if kind == "pmerge" || label.ends_with("_pmerge") {
            "merge"
        } else {
            "run"
        };
        Self {
            id: int(value, "PandaID"),
            task_id: int(value, "jediTaskID").max(int(value, "taskID")),
            status: text(value, "jobStatus"),
            sort: sort.to_owned(),
            queue: text(value, "computingSite"),
            attempt: int(value, "attemptNr"),
            reason,
        }
    }

    /// Asks the server for the jobs of a task.
    pub async fn of_task(session: &Session, task_id: i64) -> Result<(Vec<Self>, Value), Failure> {
        let data = session.client.get("task", "get_job_descriptions", &[("task_id", task_id)]).await?.ok()?.data;
        let mut jobs: Vec<Self> = data.as_array().map(|jobs| jobs.iter().map(Self::read).collect()).unwrap_or_default();
        jobs.sort_by_key(|job| job.id);
        Ok((jobs, data))
    }

    /// Asks the server for one job.
    pub async fn fetch(session: &Session, id: i64) -> Result<(Self, Value), Failure> {
        let data = session.client.get("job", "get_description_incl_archive", &[("job_ids", id)]).await?.ok()?.data;
        let found = data.as_array().and_then(|jobs| jobs.iter().find(|job| !job.is_null())).cloned();
        found.map(|job| (Self::read(&job), job)).ok_or_else(|| Failure::new(format!("there is no job/{id}")))
    }
}

/// The exit code of a task's status, when it is at its end.
#[must_use]
pub fn task_end(status: &str) -> Option<u8> {
    match status {
        "done" => Some(exit::OK),
        "finished" => Some(exit::PARTLY),
        // An exhausted task goes on only when somebody does something.
        "failed" | "broken" | "aborted" | "exhausted" => Some(exit::TASK_FAILED),
        _ => None,
    }
}

/// The exit code of a job's status, when it is at its end.
#[must_use]
pub fn job_end(status: &str) -> Option<u8> {
    match status {
        "finished" => Some(exit::OK),
        "failed" | "cancelled" | "closed" => Some(exit::TASK_FAILED),
        _ => None,
    }
}

/// A text of a dictionary; numbers as their digits, null and the old wire's `NULL` as nothing.
pub fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) if text != "NULL" => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        // A time in the client's JSON: {"__datetime__": "2026-01-01T10:00:00"}
        Some(Value::Object(map)) => map.values().next().and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// A number of a dictionary, also when it is written as text; 0 when there is none.
pub fn int(value: &Value, key: &str) -> i64 {
    match value.get(key) {
        Some(Value::Number(number)) => number.as_i64().unwrap_or_default(),
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        _ => 0,
    }
}

/// A number of bytes for people.
#[must_use]
pub fn bytes(n: i64) -> String {
    indicatif::HumanBytes(u64::try_from(n).unwrap_or(0)).to_string()
}

/// A time without the part of a second.
#[must_use]
pub fn moment(text: &str) -> String {
    text.replace('T', " ").split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ends() {
        let codes = ["done", "finished", "failed", "aborted", "exhausted", "running", "paused"].map(task_end);
        assert_eq!(codes, [Some(0), Some(3), Some(4), Some(4), Some(4), None, None]);
        assert_eq!(["finished", "failed", "closed", "running", "merging"].map(job_end), [Some(0), Some(4), Some(4), None, None]);
    }

    #[test]
    fn dictionaries_are_read_leniently() {
        let value = json!({ "a": "NULL", "b": 1, "c": { "__datetime__": "2026-01-01T10:00:00.5" }, "d": "7", "e": null });
        assert_eq!((text(&value, "a"), text(&value, "b"), text(&value, "e")), (String::new(), "1".to_owned(), String::new()));
        assert_eq!((moment(&text(&value, "c")), int(&value, "d"), int(&value, "x")), ("2026-01-01 10:00:00".to_owned(), 7, 0));
    }
}
