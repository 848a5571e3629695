//! `POST file_server/upload_file_recovery_request`: looks for lost output files.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::file::recovery::{Request, request};
use serde_json::json;

/// The address of the report.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let asked = Request {
        task_id: args.int("task_id"),
        dry_run: args.flag("dry_run"),
        dataset: args.take_text("dataset"),
        files: args.texts("files"),
    };
    let accepted = request(ctx.ops(), ctx.caller()?, &asked).await?;
    Ok(Answer::said(accepted.message, json!({"logFileURL": accepted.log_url})))
}
