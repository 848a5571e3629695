//! `POST harvester/heartbeat`: a Harvester is there.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::report::heartbeat;
use serde_json::{Map, Value};

/// No data.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let data = match args.take("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    heartbeat(ctx.ops(), ctx.caller()?, args.text("harvester_id").unwrap_or_default(), &data).await?;
    Ok(Answer::nothing())
}
