//! `GET system/is_alive`: the server answers. Needs neither identity nor database.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// Null data.
pub async fn handle(_: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::nothing())
}
