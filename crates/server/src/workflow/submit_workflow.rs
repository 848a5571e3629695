//! `POST workflow/submit_workflow`: a workflow by its definition.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// A refusal that says how to run the same here.
pub async fn handle(_: Ctx, _: Args) -> Result<Answer, Refusal> {
    Err(Refusal::new(format!("Failed to submit workflow: {}", super::NOT_HERE)))
}
