//! `GET job/generate_offline_execution_script`: a job as a script that runs it by hand.
//!
//! The original answers anybody; here a job is shown to those who may see it.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::JobId;
use panda_ops::{OpsError, job::offline};

/// The script, or a text that begins with `ERROR`: no envelope, as in the original.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    match offline::script(ctx.ops(), ctx.caller()?, JobId(args.id("job_id")), args.int("days")).await {
        Ok(script) => Ok(Answer::Text(script)),
        Err(OpsError::Refused { message, .. } | OpsError::NotFound(message)) => Ok(Answer::Text(format!("ERROR: {message}"))),
        Err(error) => Err(error.into()),
    }
}
