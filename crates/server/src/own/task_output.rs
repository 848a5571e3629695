//! `GET task/output`: the bytes of one registered output, for callers on other machines.

use crate::answer::{Answer, Refusal, Rejection};
use crate::args::Args;
use crate::ctx::Ctx;
use http::StatusCode;
use panda_core::id::TaskId;
use panda_ops::OpsError;
use panda_ops::task::outputs::open_named;

/// The file; 404 in plain text when there is none, since a program that saves the answer must not save an envelope.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let name = args.text("lfn").unwrap_or_default();
    match open_named(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id")), name).await {
        Ok(opened) => Ok(Answer::Open { file: opened.file, size: opened.size }),
        Err(OpsError::NotFound(why)) => Err(Rejection::new(StatusCode::NOT_FOUND, why).into()),
        Err(error) => Err(error.into()),
    }
}
