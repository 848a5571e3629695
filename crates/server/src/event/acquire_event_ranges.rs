//! `POST event/acquire_event_ranges`: hands ranges of events to a job.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::policy::names;
use panda_ops::event;
use panda_wire::StatusCode;
use serde_json::{Value, json};

/// `{"StatusCode": 0, "eventRanges": [...]}`, as pilots and Harvester read it; no range ends the asking.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let (job, task) = super::asker(&args);
    let handed = event::acquire(ctx.ops(), ctx.caller()?, job, task, args.int("n_ranges").unwrap_or(0)).await?;
    let one = |(r, f): &event::Handed| -> Value {
        json!({
            "eventRangeID": event::name(r).to_string(), "startEvent": r.first_event, "lastEvent": r.last_event, "LFN": f.lfn, "GUID": f.guid,
            "scope": f.scope.clone().unwrap_or_else(|| names::scope(&f.lfn)),
        })
    };
    Ok(Answer::data(json!({"StatusCode": StatusCode::Success.number(), "eventRanges": handed.iter().map(one).collect::<Vec<_>>()})))
}
