//! `POST file_server/register_cache_file`: notes a file that came to the folder of uploads by another way.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::file::register::{File, register};

/// Success, or that it is known.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |name: &str| args.text(name).unwrap_or_default();
    let file = File { user: text("user_name"), name: text("file_name"), size: args.id("file_size"), checksum: text("checksum") };
    register(ctx.ops(), ctx.caller()?, &file).await?;
    Ok(Answer::nothing())
}
