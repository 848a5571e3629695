//! `POST pilot/update_job`: takes a pilot's report about its job.
//!
//! Owns which parameter is what: a result, an error, a measurement (API sheet
//! 10.2). Texts are cut where the original's columns end.

use crate::answer::{Answer, DATABASE, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::JobId;
use panda_core::job::report::{Command, Reported};
use panda_ops::OpsError;
use panda_ops::pilot::update::{Update, update};
use panda_wire::StatusCode;
use panda_wire::pilot::NO_COMMAND;
use serde_json::{Map, Value, json};

/// Codes and diagnoses: they come with the final report, or with a failure on the way.
const ERRORS: [&str; 6] =
    ["trans_exit_code", "pilot_error_code", "pilot_error_diag", "exe_error_code", "exe_error_diag", "corrupted_files"];

/// Longest texts, in characters, as in the original's columns.
const LENGTHS: [(&str, usize); 9] = [
    ("pilot_error_diag", 500),
    ("exe_error_diag", 500),
    ("job_metrics", 500),
    ("node", 128),
    ("pilot_id", 200),
    ("batch_id", 80),
    ("cpu_architecture_level", 20),
    ("pilot_timing", 100),
    ("pilot_log", 1024),
];

/// How much of the payload's output is kept in debug mode, characters; the end counts.
const STDOUT_TAIL: usize = 2048;

/// `{"StatusCode": 0, "command": text}`; the command also stands at the top when there is one.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let request = Update { vo: only_vo(&ctx), ..read(args.into_object())? };
    answer(request.job_id, update(ctx.ops(), &request).await)
}

/// What a pilot is told of its report.
pub(super) fn answer(job_id: JobId, applied: Result<Command, OpsError>) -> Result<Answer, Refusal> {
    match applied {
        Ok(command) => {
            let command = command.as_str();
            Ok(Answer::Envelope {
                success: true,
                message: String::new(),
                data: json!({"StatusCode": StatusCode::Success.number(), "command": command}).into(),
                command: (command != NO_COMMAND).then(|| command.to_owned()),
            })
        }
        // Success with a code of its own: a pilot repeats the call then.
        Err(OpsError::Store(cause)) => {
            tracing::error!(%cause, job = job_id.0, "an update was lost to the database");
            Ok(Answer::said(
                DATABASE,
                json!({"StatusCode": StatusCode::Failed.number(), "ErrorDiag": "Database error", "command": NO_COMMAND}),
            ))
        }
        Err(error) => Err(error.into()),
    }
}

/// The only VO whose jobs the caller may report.
pub(super) fn only_vo(ctx: &Ctx) -> Option<String> {
    ctx.principal.as_ref().and_then(|who| who.worker_vo()).map(str::to_owned)
}

/// Sorts the parameters of a report.
pub(super) fn read(mut given: Map<String, Value>) -> Result<Update, Refusal> {
    for (name, most) in LENGTHS {
        if let Some(Value::String(text)) = given.get_mut(name) {
            cut(text, most);
        }
    }
    let word = match given.remove("job_status") {
        Some(Value::String(word)) => word,
        other => other.unwrap_or_default().to_string(),
    };
    let state = word
        .parse::<Reported>()
        .map_err(|_| Refusal::with_data(format!("Invalid job status: {word}"), json!({"StatusCode": StatusCode::Invalid.number()})))?;
    let job_id = given.remove("job_id").as_ref().and_then(panda_wire::lenient::int).unwrap_or_default();
    let mut errors = Map::new();
    for name in ERRORS {
        if let Some(value) = given.remove(name)
            && (state.is_final() || says_something(&value))
        {
            errors.insert(name.to_owned(), value);
        }
    }
    let update = Update {
        job_id: JobId(job_id),
        state,
        attempt: given.remove("attempt_nr").as_ref().and_then(panda_wire::lenient::int),
        node: text(given.remove("node")),
        batch_id: text(given.remove("batch_id")),
        sub_state: text(given.remove("job_sub_status")),
        report: document(given.remove("job_output_report")),
        meta: document(given.remove("meta_data")),
        errors,
        metrics: metrics(given),
        vo: None,
    };
    Ok(update)
}

/// What is left is measured; what says nothing is dropped, so that a heartbeat stays small.
fn metrics(mut given: Map<String, Value>) -> Map<String, Value> {
    given.remove("timeout");
    if let Some(Value::String(text)) = given.get_mut("stdout") {
        keep_tail(text, STDOUT_TAIL);
    }
    given.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
    given
}

fn says_something(value: &Value) -> bool {
    !(value.is_null() || value.as_i64() == Some(0) || value.as_str().is_some_and(str::is_empty))
}

fn text(value: Option<Value>) -> Option<String> {
    value.and_then(panda_wire::lenient::text).filter(|text| !text.is_empty() && text != "NULL")
}

/// JSON text as pilots send it; newer ones may send the object itself. Empty means nothing.
fn document(value: Option<Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text).filter(|text| !text.is_empty() && text != "NULL"),
        other => Some(other.to_string()),
    }
}

fn cut(text: &mut String, most: usize) {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
    }
}

fn keep_tail(text: &mut String, most: usize) {
    let count = text.chars().count();
    if count > most
        && let Some((at, _)) = text.char_indices().nth(count - most)
    {
        text.drain(..at);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(value: Value) -> Result<Update, Refusal> {
        read(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_heartbeat_is_pure() {
        let update = of(json!({
            "job_id": 5, "job_status": "running", "attempt_nr": 1, "node": "n", "job_output_report": "", "meta_data": "",
            "pilot_error_code": 0, "pilot_error_diag": "", "core_count": 1, "timeout": 60, "batch_id": "NULL", "job_metrics": "",
        }))
        .unwrap();
        assert!(update.report.is_none() && update.meta.is_none() && update.errors.is_empty() && update.batch_id.is_none());
        assert_eq!(Value::Object(update.metrics), json!({"core_count": 1}));
    }

    #[test]
    fn a_final_report_keeps_its_zeros() {
        let update =
            of(json!({"job_id": "5", "job_status": "finished", "job_output_report": {"f": {"fsize": 1}}, "trans_exit_code": 0})).unwrap();
        assert_eq!(update.job_id.0, 5);
        assert_eq!(update.report.unwrap(), r#"{"f":{"fsize":1}}"#);
        assert_eq!(update.errors["trans_exit_code"], 0);
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        let update =
            of(json!({"job_id": 5, "job_status": "failed", "pilot_error_diag": "é".repeat(900), "stdout": "ü".repeat(3000) + "end"}))
                .unwrap();
        assert_eq!(update.errors["pilot_error_diag"].as_str().unwrap().chars().count(), 500);
        let tail = update.metrics["stdout"].as_str().unwrap();
        assert!(tail.ends_with("end") && tail.chars().count() == STDOUT_TAIL);
    }

    #[test]
    fn unknown_states() {
        let refusal = of(json!({"job_id": 2, "job_status": "bogus"})).unwrap_err();
        assert_eq!(refusal, Refusal::with_data("Invalid job status: bogus", json!({"StatusCode": 50})));
    }
}
