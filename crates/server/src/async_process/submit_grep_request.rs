//! `POST async_process/submit_grep_request`: searches a log of the server.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::requests::{self, Task};
use serde_json::json;

/// The id of the request.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |name: &str| args.text(name).unwrap_or_default().to_owned();
    let task = Task::Grep { pattern: text("pattern"), log: text("log_filename") };
    let at = (args.text("service_name"), args.text("machine_name"));
    let id = requests::submit(&ctx.state.ops, ctx.caller()?, task, at).await?;
    Ok(Answer::data(json!({"request_id": id})))
}
