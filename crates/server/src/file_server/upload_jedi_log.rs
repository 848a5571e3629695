//! `POST file_server/upload_jedi_log`: takes a log file, or the new bytes of one.

use super::increment;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use serde_json::Value;

/// The address under which the file can be read. What is compressed with zlib is added to the file of this name, anything else is the file.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let upload = args.take_upload().ok_or_else(|| Refusal::new("Argument error: missing a required argument: 'file'"))?;
    let url = format!("{}/cache/{}", ctx.base_url(), upload.name);
    let kept = match increment::text(&upload).await? {
        Some(text) => ctx.state.files.append(ctx.caller()?, &upload.name, text).await,
        None => ctx.state.files.put(ctx.caller()?, upload).await,
    };
    kept.map_err(|e| Refusal::new(e.to_string()))?;
    Ok(Answer::data(Value::String(url)))
}
