//! `POST harvester/acknowledge_commands`: commands were carried out.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::command::acknowledge;

/// No data.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    acknowledge(ctx.ops(), ctx.caller()?, &args.ints("command_ids")).await?;
    Ok(Answer::nothing())
}
