//! `panda submit`

use serde_json::json;

use crate::cli::SubmitArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::session::Session;
use crate::{screen, submit};

/// Submits a task and prints its id, alone on standard output.
pub async fn run(context: &Context, args: &SubmitArgs) -> Result<u8, Failure> {
    let session = Session::with_role(context, None, args.vo.as_deref())?;
    let prepared = submit::prepare(context, &session, args).await?;
    if args.dry_run {
        show(&prepared);
        return Ok(exit::OK);
    }
    let task = submit::submit(&session, prepared).await?;
    if context.json {
        screen::json(&json!({ "task_id": task.task_id, "name": task.name, "message": task.message }));
    } else {
        screen::line(task.task_id);
        screen::note(&task.message);
    }
    Ok(exit::OK)
}

/// Prints what would be sent.
pub(super) fn show(prepared: &submit::Prepared) {
    let sandbox = prepared.packed.as_ref().map(|packed| json!({ "name": packed.name, "bytes": packed.size, "files": packed.members }));
    let dataset = prepared.dataset.as_ref().map(|(name, files)| json!({ "name": name, "files": files }));
    screen::json(&json!({ "task_parameters": prepared.params, "sandbox": sandbox, "dataset": dataset }));
}
