//! `panda jobs TASK`

use serde_json::Value;

use super::view::Job;
use crate::cli::JobsArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::reference::Reference;
use crate::screen;
use crate::session::Session;

/// Lists the jobs of a task.
pub async fn run(context: &Context, args: &JobsArgs) -> Result<u8, Failure> {
    let task = Reference::task(&args.task)?;
    let session = Session::open(context)?;
    let (jobs, data) = Job::of_task(&session, task).await?;
    let wanted = |status: &str| args.status.as_deref().is_none_or(|wanted| wanted == status);
    if context.json {
        let all = data.as_array().cloned().unwrap_or_default();
        screen::json(&Value::Array(all.into_iter().filter(|job| wanted(&Job::read(job).status)).collect()));
        return Ok(exit::OK);
    }
    let rows = jobs.iter().filter(|job| wanted(&job.status)).map(row).collect();
    screen::table(&["JOB", "STATUS", "SORT", "ATTEMPT", "QUEUE", "REASON"], rows, &format!("task/{task} has no such jobs"));
    Ok(exit::OK)
}

fn row(job: &Job) -> Vec<String> {
    vec![
        format!("job/{}", job.id),
        job.status.clone(),
        job.sort.clone(),
        job.attempt.to_string(),
        job.queue.clone(),
        job.reason.chars().take(100).collect(),
    ]
}
