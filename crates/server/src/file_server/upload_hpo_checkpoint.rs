//! `POST file_server/upload_hpo_checkpoint`: keeps the checkpoint of a point of a search, in place of an older one.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::file::checkpoint;
use serde_json::Value;

/// The address of the file; the original tells its place on the server's disk.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let mut upload = args.take_upload().ok_or_else(|| Refusal::new("Argument error: missing a required argument: 'file'"))?;
    let (task, sub) = upload.name.split_once('_').unwrap_or_default();
    upload.name = checkpoint::name(ctx.ops(), ctx.caller()?, task, sub).await?;
    let url = format!("{}/cache/{}", ctx.base_url(), upload.name);
    ctx.state.files.replace(ctx.caller()?, upload).await.map_err(|e| Refusal::new(e.to_string()))?;
    Ok(Answer::data(Value::String(url)))
}
