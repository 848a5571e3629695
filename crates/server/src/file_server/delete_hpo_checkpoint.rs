//! `POST file_server/delete_hpo_checkpoint`: takes the checkpoint of a point of a search away.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use crate::file_server::BlobError;
use panda_ops::file::checkpoint;

/// Success when it was there.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |name: &str| args.text(name).unwrap_or_default();
    let name = checkpoint::name(ctx.ops(), ctx.caller()?, text("task_id"), text("sub_id")).await?;
    match ctx.state.files.remove(&name).await {
        Ok(()) => Ok(Answer::nothing()),
        Err(BlobError::Missing) => Err(Refusal::new(format!("there is no checkpoint {name}"))),
        Err(error) => Err(Refusal::new(error.to_string())),
    }
}
