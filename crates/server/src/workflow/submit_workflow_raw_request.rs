//! `POST workflow/submit_workflow_raw_request`: a workflow in the language of pchain.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// A refusal that says how to run the same here; text that is no object is refused for that first.
pub async fn handle(_: Ctx, args: Args) -> Result<Answer, Refusal> {
    if let Some(text) = args.text("params") {
        super::object("params", text)?;
    }
    Err(Refusal::new(format!("Failed to submit raw workflow request: {}", super::NOT_HERE)))
}
