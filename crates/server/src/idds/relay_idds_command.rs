//! `POST idds/relay_idds_command`: a command for a workflow service.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// A refusal: there is none.
pub async fn handle(_: Ctx, args: Args) -> Result<Answer, Refusal> {
    Err(super::refused(&args, &["args", "kwargs"]))
}
