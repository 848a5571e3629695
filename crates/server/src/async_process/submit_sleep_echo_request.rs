//! `POST async_process/submit_sleep_echo_request`: an echo of the machines of a service.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::requests::{self, Task};
use serde_json::json;

/// The id of the request.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let message = args.text("message").unwrap_or_default().to_owned();
    let task = Task::Echo { message, seconds: args.int("seconds").unwrap_or_default() };
    let id = requests::submit(&ctx.state.ops, ctx.caller()?, task, (args.text("service_name"), None)).await?;
    Ok(Answer::data(json!({"request_id": id})))
}
