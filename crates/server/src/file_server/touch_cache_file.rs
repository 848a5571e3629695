//! `POST file_server/touch_cache_file`: keeps an uploaded file from ageing.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use crate::upload::safe_name;

/// Success when the file is there.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let name = args.text("file_name").unwrap_or_default();
    let name = safe_name(name).ok_or_else(|| Refusal::new("the file name is not allowed"))?;
    ctx.state.files.touch(ctx.caller()?, name).await.map_err(|e| Refusal::new(e.to_string()))?;
    Ok(Answer::nothing())
}
