//! `POST file_server/upload_workflow_request`: a workflow in the language of pchain.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use crate::workflow;

/// A refusal that says how to run the same here.
pub async fn handle(_: Ctx, args: Args) -> Result<Answer, Refusal> {
    workflow::object("data", args.text("data").unwrap_or_default())?;
    Err(Refusal::new(workflow::NOT_HERE))
}
