//! `POST harvester/acquire_commands`: hands a Harvester its commands.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::command::acquire;
use panda_store::query::harvester::CommandRow;
use panda_wire::datetime::iso;
use serde_json::{Value, json};

/// A list of `{"command_id", "command", "params", "ack_requested", "creation_date"}`; never null, always all of the keys: a Harvester without one of
/// them loses its thread for good.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let commands = acquire(ctx.ops(), ctx.caller()?, args.text("harvester_id").unwrap_or_default(), args.id("n_commands")).await?;
    Ok(Answer::data(commands.iter().map(command).collect::<Value>()))
}

fn command(c: &CommandRow) -> Value {
    let params: Value = c.params.as_deref().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default();
    json!({
        "command_id": c.id, "command": c.name, "params": params, "ack_requested": i64::from(c.ack), "creation_date": iso(c.created_us),
    })
}
