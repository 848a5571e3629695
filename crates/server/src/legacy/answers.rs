//! Answers of the old wire, made from those of the v1 siblings.
//!
//! Must not reach anything: only shapes.

use crate::answer::{Answer, Data, Refusal};
use crate::pilot::acquire_jobs::{JOBS_HEAD, JOBS_TAIL, NO_JOBS};
use panda_wire::StatusCode;
use panda_wire::pilot::NO_COMMAND;
use serde_json::{Map, Value, json};

/// A refusal in this wire's terms.
pub(super) fn coded(code: StatusCode, why: &str) -> Answer {
    Answer::document(json!({"StatusCode": code.number(), "errorDialog": why}))
}

/// Which code a refusal of the sibling gets.
fn refused(refusal: &Refusal) -> Answer {
    let message = refusal.message();
    let code = if message == NO_JOBS {
        return coded(StatusCode::NoJobs, "no jobs in PanDA");
    } else if message.contains("role") || message.contains("secure connection") {
        StatusCode::Role
    } else if message.starts_with("Argument error") || message.starts_with("Type error") || message.starts_with("Invalid") {
        StatusCode::Invalid
    } else {
        StatusCode::Failed
    };
    coded(code, message)
}

/// The data of a success; a refusal and a `success: false` become this wire's answer.
fn data(outcome: Result<Answer, Refusal>) -> Result<Data, Answer> {
    match outcome {
        Ok(Answer::Envelope { success: true, data, .. }) => Ok(data),
        Ok(Answer::Envelope { message, data, .. }) => Err(refused(&Refusal::with_data(message, data.into_value()))),
        Ok(other) => Err(other),
        Err(refusal) => Err(refused(&refusal)),
    }
}

fn object(outcome: Result<Answer, Refusal>) -> Result<Map<String, Value>, Answer> {
    match data(outcome)?.into_value() {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        other => Ok(Map::from_iter([("data".to_owned(), other)])),
    }
}

pub(super) fn plain(outcome: Result<Answer, Refusal>) -> Answer {
    match data(outcome) {
        Ok(_) => Answer::document(json!({"StatusCode": 0})),
        Err(answer) => answer,
    }
}

/// One job stands at the top, several stay in `jobs`.
pub(super) fn get_job(outcome: Result<Answer, Refusal>, request: &Map<String, Value>) -> Answer {
    let data = match data(outcome) {
        Ok(data) => data,
        Err(answer) => return answer,
    };
    let several = request.get("nJobs").and_then(panda_wire::lenient::int).is_some_and(|n| n > 1);
    if several {
        return Answer::Document(data);
    }
    match data {
        // The text of the only job is cut out without reading it.
        Data::Json(text) => match text.strip_prefix(JOBS_HEAD).and_then(|t| t.strip_suffix(JOBS_TAIL)) {
            Some(job) => Answer::Document(Data::Json(job.to_owned())),
            None => first(Data::Json(text)),
        },
        data => first(data),
    }
}

fn first(data: Data) -> Answer {
    match data.into_value() {
        Value::Object(mut map) => match map.get_mut("jobs").and_then(|jobs| jobs.get_mut(0)) {
            Some(job) => Answer::document(job.take()),
            None => Answer::document(Value::Object(map)),
        },
        _ => coded(StatusCode::Failed, "the server made no job"),
    }
}

pub(super) fn update_job(outcome: Result<Answer, Refusal>, _: &Map<String, Value>) -> Answer {
    // A refused update carries its code in `data` (50 for an unknown state).
    let outcome = match outcome {
        Err(Refusal::Envelope { message, data }) if data.get("StatusCode").is_some() => {
            let code = data.get("StatusCode").cloned().unwrap_or_default();
            return Answer::document(json!({"StatusCode": code, "errorDialog": message, "command": NO_COMMAND}));
        }
        other => other,
    };
    match object(outcome) {
        Ok(mut map) => {
            // Pilots look for a blank in the command: null would stop them.
            if !map.get("command").is_some_and(Value::is_string) {
                map.insert("command".to_owned(), Value::from(NO_COMMAND));
            }
            map.entry("StatusCode").or_insert(Value::from(0));
            Answer::document(Value::Object(map))
        }
        Err(answer) => answer,
    }
}

/// `[true, [{"StatusCode", "command"}, ...]]`, what callers of the old bulk update read.
pub(super) fn update_jobs(outcome: Result<Answer, Refusal>, _: &Map<String, Value>) -> Answer {
    match outcome {
        Ok(Answer::Envelope { success: true, data, .. }) => {
            let list = match data.into_value() {
                Value::Array(envelopes) => envelopes.into_iter().map(one_of_many).collect(),
                _ => Value::Array(Vec::new()),
            };
            Answer::document(json!([true, list]))
        }
        Ok(Answer::Envelope { message, .. }) => Answer::document(json!([false, message])),
        Ok(other) => other,
        Err(refusal) => Answer::document(json!([false, refusal.message()])),
    }
}

fn one_of_many(mut envelope: Value) -> Value {
    let message = envelope.get("message").cloned().unwrap_or_default();
    match envelope.get_mut("data").map(Value::take) {
        Some(Value::Object(mut map)) => {
            map.entry("command").or_insert(Value::from(NO_COMMAND));
            Value::Object(map)
        }
        _ => json!({"StatusCode": StatusCode::Failed.number(), "errorDialog": message, "command": NO_COMMAND}),
    }
}

/// `status` and `attemptNr` as comma lists.
pub(super) fn status(outcome: Result<Answer, Refusal>, _: &Map<String, Value>) -> Answer {
    let list = match data(outcome) {
        Ok(data) => data.into_value(),
        Err(answer) => return answer,
    };
    let column = |name: &str| -> String {
        let texts = list.as_array().into_iter().flatten().map(|job| match job.get(name) {
            Some(Value::String(s)) => s.replace(' ', ""),
            Some(other) => other.to_string(),
            None => String::new(),
        });
        texts.collect::<Vec<_>>().join(",")
    };
    Answer::document(json!({"StatusCode": 0, "status": column("status"), "attemptNr": column("attempt_number")}))
}

/// The list as JSON text: pilots read a text, and ignore a bare list.
pub(super) fn resource_types(outcome: Result<Answer, Refusal>, _: &Map<String, Value>) -> Answer {
    match data(outcome) {
        Ok(data) => Answer::document(json!({"StatusCode": 0, "ResourceTypes": data.into_value().to_string()})),
        Err(answer) => answer,
    }
}

pub(super) fn proxy(outcome: Result<Answer, Refusal>, _: &Map<String, Value>) -> Answer {
    match outcome {
        Err(Refusal::Envelope { message, .. }) if message.contains("not found") => coded(StatusCode::ProxyError, &message),
        outcome => match object(outcome) {
            Ok(map) => Answer::document(json!({"StatusCode": 0, "userProxy": map.get("user_proxy")})),
            Err(answer) => answer,
        },
    }
}

pub(super) fn key_pair(outcome: Result<Answer, Refusal>, _: &Map<String, Value>) -> Answer {
    match outcome {
        Err(Refusal::Envelope { message, .. }) if !message.contains("role") && !message.contains("secure") => {
            coded(StatusCode::KeyMissing, &message)
        }
        outcome => match object(outcome) {
            Ok(map) => Answer::document(json!({"StatusCode": 0, "publicKey": map.get("public_key"), "privateKey": map.get("private_key")})),
            Err(answer) => answer,
        },
    }
}

/// `[true, {..}]` with `get_json`, else `[true, "<JSON text>"]`.
pub(super) fn secrets(outcome: Result<Answer, Refusal>, request: &Map<String, Value>) -> Answer {
    let data = match outcome {
        Ok(Answer::Envelope { success: true, data, .. }) => data.into_value(),
        Ok(Answer::Envelope { message, .. }) => return Answer::document(json!([false, message])),
        Ok(other) => return other,
        Err(refusal) => return Answer::document(json!([false, refusal.message()])),
    };
    let wants_object = request.get("get_json").and_then(panda_wire::lenient::boolean).unwrap_or(false);
    let data = match &data {
        Value::String(text) if wants_object => serde_json::from_str(text).unwrap_or(data),
        _ => data,
    };
    Answer::document(json!([true, data]))
}

/// The data of the new answer is the old one.
pub(super) fn event_ranges(outcome: Result<Answer, Refusal>) -> Answer {
    data(outcome).map_or_else(|answer| answer, |data| Answer::document(data.into_value()))
}

/// Whether it was done, with the data of the new answer or a text.
fn outcome_of(outcome: Result<Answer, Refusal>) -> Result<(bool, String, Value), Answer> {
    match outcome {
        Ok(Answer::Envelope { success, message, data, .. }) => Ok((success, message, data.into_value())),
        Ok(other) => Err(other),
        Err(refusal) => Ok((false, refusal.message().to_owned(), Value::Null)),
    }
}

/// `[bool, data]`, with the message where there are no data.
pub(super) fn pair(outcome: Result<Answer, Refusal>) -> Answer {
    outcome_of(outcome).map_or_else(
        |answer| answer,
        |(done, message, data)| Answer::document(if data.is_null() { json!([done, message]) } else { json!([done, data]) }),
    )
}

/// `{"status": bool, "message": text}`.
pub(super) fn status_message(outcome: Result<Answer, Refusal>) -> Answer {
    outcome_of(outcome).map_or_else(
        |answer| answer,
        |(done, message, data)| {
            let message = data.as_str().map_or(message, str::to_owned);
            Answer::document(json!({"status": done, "message": message}))
        },
    )
}

/// `True`, or the text, which begins with `ERROR`.
pub(super) fn said(outcome: Result<Answer, Refusal>) -> Answer {
    outcome_of(outcome).map_or_else(
        |answer| answer,
        |(done, message, _)| match (done, message) {
            (true, _) => Answer::Text("True".to_owned()),
            (false, text) if text.starts_with("ERROR") => Answer::Text(text),
            (false, text) => Answer::Text(format!("ERROR : {text}")),
        },
    )
}
