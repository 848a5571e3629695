//! `POST file_server/upload_cache_file`: takes a sandbox; it is then readable
//! without identity at `/cache/<name>`, the unguessable name being the capability.

use super::BlobError;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// Nothing but success. A file of the same name that is there already only becomes young again.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let owner = ctx.caller()?;
    let upload = args.take_upload().ok_or_else(|| Refusal::new("Argument error: missing a required argument: 'file'"))?;
    let name = upload.name.clone();
    match ctx.state.files.put(owner, upload).await {
        Ok(()) => Ok(Answer::nothing()),
        Err(error @ BlobError::Exists) => {
            // Refreshing is a courtesy: that the file cannot be overwritten is the answer either way.
            if let Err(error) = ctx.state.files.touch(owner, &name).await {
                tracing::debug!(%error, %name, "not touched");
            }
            Err(Refusal::new(error.to_string()))
        }
        Err(error) => Err(Refusal::new(error.to_string())),
    }
}
