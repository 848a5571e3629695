//! `POST pilot/update_worker_status`: takes the start or end of a worker.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::pilot::worker::{Status, status};
use panda_wire::lenient;

/// No data.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let number = args.take("worker_id").as_ref().and_then(lenient::int);
    let report = Status {
        harvester: args.take_text("harvester_id").unwrap_or_default(),
        number: number.ok_or_else(|| Refusal::new("Type error: 'worker_id' must be of type int."))?,
        status: args.take_text("status").unwrap_or_default(),
        site: args.take_text("site"),
        node: args.take_text("node_id"),
    };
    status(ctx.ops(), ctx.caller()?, &report).await?;
    Ok(Answer::nothing())
}
