//! `panda run`: submit, follow, say how it went.

use std::time::Duration;

use serde_json::json;

use super::download;
use super::follow::{self, Options};
use super::view;
use crate::cli::RunArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::session::Session;
use crate::{screen, submit};

/// Runs a task to its end. What the jobs write goes to standard output, everything else to standard error.
pub async fn run(context: &Context, args: &RunArgs) -> Result<u8, Failure> {
    let timeout = args.wait.timeout.as_deref().map(|text| submit::seconds(text, 1)).transpose()?.map(Duration::from_secs);
    let session = Session::with_role(context, None, args.submit.vo.as_deref())?;
    let prepared = submit::prepare(context, &session, &args.submit).await?;
    if args.submit.dry_run {
        super::submit::show(&prepared);
        return Ok(exit::OK);
    }
    let task = submit::submit(&session, prepared).await?;
    screen::note(format!("task/{} {}", task.task_id, task.name));
    let options = Options { timeout, logs: !args.quiet && !context.json, quiet: context.json };
    let end = follow::task(&session, task.task_id, &options).await?;
    let code = view::task_end(&end.status).unwrap_or(exit::TIMED_OUT);
    let mut fetched = Vec::new();
    if let Some(folder) = &args.to
        && matches!(code, exit::OK | exit::PARTLY)
    {
        fetched = download::fetch(&session, task.task_id, folder, &download::Wanted::default()).await?;
    }
    if context.json {
        let files: Vec<String> = fetched.iter().map(|path| path.display().to_string()).collect();
        screen::json(&json!({ "task_id": task.task_id, "name": task.name, "status": end.status, "exit_code": code, "fetched": files }));
        return Ok(code);
    }
    for path in &fetched {
        screen::note(format!("fetched {}", path.display()));
    }
    match code {
        exit::OK => {}
        exit::TIMED_OUT => screen::note(format!("hint: it goes on; `panda status {} --wait` waits for it", task.task_id)),
        _ => screen::note(format!("hint: `panda why {0}` tells the reason, `panda logs {0}` what the jobs wrote", task.task_id)),
    }
    Ok(code)
}
