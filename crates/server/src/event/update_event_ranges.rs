//! `POST event/update_event_ranges`: takes what jobs say of their ranges, as a flat list (version 0) or by file with output (1, 2).

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::OpsError;
use panda_ops::event::{self, Change};
use panda_wire::{StatusCode, lenient};
use serde_json::{Map, Value, json};

/// Most ranges of one call.
const MAX_CHANGES: usize = 20_000;

/// `{"StatusCode": 0, "Returns": [bool, ...], "Commands": {job: text or null}}`.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let changes = read(args.get("event_ranges").unwrap_or(&Value::Null))?;
    let updated = event::update(ctx.ops(), ctx.caller()?, &changes).await?;
    Ok(Answer::data(json!({"StatusCode": StatusCode::Success.number(), "Returns": updated.taken, "Commands": updated.commands})))
}

/// The list: JSON as a text or as it is. Whatever its version, an element with `eventRanges` is a file with output.
pub(crate) fn read(value: &Value) -> Result<Vec<Change>, Refusal> {
    let wrong = |what: &str| {
        Refusal::from(OpsError::refused(format!("`event_ranges` {what}; give a JSON list of ranges, or of files with `eventRanges`")))
    };
    let parsed;
    let list = match value {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text).map_err(|e| wrong(&format!("is no JSON ({e})")))?;
            &parsed
        }
        other => other,
    };
    let list = list.as_array().ok_or_else(|| wrong("is no list"))?;
    let mut changes = Vec::new();
    for element in list {
        let element = element.as_object().ok_or_else(|| wrong("holds something that is no object"))?;
        match element.get("eventRanges").and_then(Value::as_array) {
            Some(ranges) => {
                let zip = element.get("zipFile").and_then(Value::as_object);
                changes.extend(ranges.iter().filter_map(Value::as_object).map(|r| change(r, zip)));
            }
            None => changes.push(change(element, None)),
        }
    }
    if changes.len() > MAX_CHANGES {
        return Err(wrong(&format!("has {} ranges, more than {MAX_CHANGES}", changes.len())));
    }
    Ok(changes)
}

fn change(r: &Map<String, Value>, zip: Option<&Map<String, Value>>) -> Change {
    let text = |of: &Map<String, Value>, key: &str| of.get(key).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
    let int = |of: &Map<String, Value>, key: &str| of.get(key).and_then(lenient::int);
    let output = zip.unwrap_or(r);
    Change {
        range: text(r, "eventRangeID").unwrap_or_default(),
        word: text(r, "eventStatus").unwrap_or_default(),
        output: text(output, "lfn"),
        store_id: int(output, "objstoreID"),
        error: int(r, "errorCode"),
        diag: text(r, "errorDiag"),
    }
}
