//! `POST pilot/update_jobs_bulk`: takes reports about several jobs.

use super::update_job;
use crate::answer::{Answer, Data, Refusal};
use crate::args::{self, Args};
use crate::ctx::Ctx;
use crate::methods::{self, Space};
use panda_ops::pilot::update::{self, Update};
use serde_json::{Map, Value, json};

/// Most reports in one call: what a Harvester sends at once, with room.
pub const MAX_REPORTS: usize = 5_000;

/// A list of envelopes in the order of the reports; one report that names no job or state refuses them all.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let Some(Value::Array(list)) = args.take("job_list") else { return Err(Refusal::with_data("no list of jobs", json!([]))) };
    if list.len() > MAX_REPORTS {
        return Err(Refusal::with_data(format!("{} reports in one call; send at most {MAX_REPORTS}", list.len()), json!([])));
    }
    let reports: Vec<Map<String, Value>> =
        list.into_iter().filter_map(|report| if let Value::Object(map) = report { Some(map) } else { None }).collect();
    for report in &reports {
        for name in ["job_id", "job_status"] {
            if !report.contains_key(name) {
                return Err(Refusal::with_data(format!("failed with KeyError '{name}'"), json!([])));
            }
        }
    }
    Ok(Answer::data(Value::Array(apply(&ctx, reports).await)))
}

/// Applies the reports that can be read together; the envelopes come in the order of the reports.
async fn apply(ctx: &Ctx, reports: Vec<Map<String, Value>>) -> Vec<Value> {
    let vo = update_job::only_vo(ctx);
    let read = reports.into_iter().map(|report| Ok(Update { vo: vo.clone(), ..one(report)? }));
    let read: Vec<Result<Update, Refusal>> = read.collect();
    let updates: Vec<Update> = read.iter().filter_map(|r| r.as_ref().ok().cloned()).collect();
    let mut applied = update::many(ctx.ops(), &updates).await.into_iter();
    let mut out = Vec::with_capacity(read.len());
    for report in read {
        let outcome = match report {
            Ok(report) => match applied.next() {
                Some(applied) => update_job::answer(report.job_id, applied),
                None => Err(Refusal::new("the report was not applied; send it again")),
            },
            Err(refusal) => Err(refusal),
        };
        out.push(envelope(outcome));
    }
    out
}

fn one(report: Map<String, Value>) -> Result<Update, Refusal> {
    let (_, method) = methods::find(Space::V1, "pilot/update_job").ok_or_else(|| Refusal::new("update_job is gone"))?;
    let args = args::bind_leniently(method, report).map_err(Refusal::new)?;
    update_job::read(args.into_object())
}

fn envelope(outcome: Result<Answer, Refusal>) -> Value {
    match outcome.unwrap_or_else(Answer::from) {
        Answer::Envelope { success, message, data, .. } => json!({"success": success, "message": message, "data": Data::into_value(data)}),
        Answer::Text(text) => json!({"success": false, "message": text, "data": null}),
        _ => json!({"success": false, "message": "", "data": null}),
    }
}
