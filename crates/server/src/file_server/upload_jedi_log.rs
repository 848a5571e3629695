//! `POST file_server/upload_jedi_log`: takes a log file from a machine of ours.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use serde_json::Value;

/// The address under which the file can be read.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let upload = args.take_upload().ok_or_else(|| Refusal::new("Argument error: missing a required argument: 'file'"))?;
    let url = format!("{}/cache/{}", ctx.base_url(), upload.name);
    ctx.state.files.put(ctx.caller()?, upload).await.map_err(|e| Refusal::new(e.to_string()))?;
    Ok(Answer::data(Value::String(url)))
}
