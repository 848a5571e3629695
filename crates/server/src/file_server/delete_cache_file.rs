//! `POST file_server/delete_cache_file`: succeeds and deletes nothing, as the
//! original means it: other tasks may use the same file, and age removes it.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// Success.
pub async fn handle(_: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::nothing())
}
