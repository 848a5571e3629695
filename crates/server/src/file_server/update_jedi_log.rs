//! `POST file_server/update_jedi_log`: adds bytes to a log file.

use super::increment;
use crate::answer::{Answer, Refusal, Rejection};
use crate::args::Args;
use crate::ctx::Ctx;

/// No data. The bytes are compressed with zlib, as upstream has it, or plain.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let upload = args.take_upload().ok_or_else(|| Refusal::new("Argument error: missing a required argument: 'file'"))?;
    let text = match increment::text(&upload).await? {
        Some(text) => text,
        None => tokio::fs::read(&upload.path).await.map_err(|error| {
            tracing::error!(%error, "an upload cannot be read back");
            Refusal::from(Rejection::internal("the server cannot read the file now"))
        })?,
    };
    ctx.state.files.append(ctx.caller()?, &upload.name, text).await.map_err(|e| Refusal::new(e.to_string()))?;
    Ok(Answer::nothing())
}
