//! `panda status ID`

use std::time::Duration;

use serde_json::Value;

use super::follow;
use super::view::{self, Job, Task};
use crate::cli::StatusArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::reference::Reference;
use crate::session::Session;
use crate::{screen, submit};

/// Tells the status; the exit code tells it too: 0 done, 3 partly, 4 failed, 5 not at its end.
pub async fn run(context: &Context, args: &StatusArgs) -> Result<u8, Failure> {
    let reference = Reference::parse(&args.id)?;
    let session = Session::open(context)?;
    let timeout = args.limits.timeout.as_deref().map(|text| submit::seconds(text, 1)).transpose()?.map(Duration::from_secs);
    if args.wait || timeout.is_some() {
        follow::until_end(&session, reference, timeout).await?;
    }
    match reference {
        Reference::Task(id) => {
            let (task, data) = Task::fetch(&session, id).await?;
            show(context, &data, || task_lines(&task));
            Ok(view::task_end(&task.status).unwrap_or(exit::TIMED_OUT))
        }
        Reference::Job(id) => {
            let (job, data) = Job::fetch(&session, id).await?;
            show(context, &data, || job_lines(&job));
            Ok(view::job_end(&job.status).unwrap_or(exit::TIMED_OUT))
        }
    }
}

fn show(context: &Context, data: &Value, lines: impl FnOnce() -> Vec<String>) {
    if context.json {
        screen::json(data);
    } else {
        lines().into_iter().for_each(screen::line);
    }
}

fn task_lines(task: &Task) -> Vec<String> {
    let mut lines = vec![
        format!("task/{}  {}", task.id, task.status),
        format!("name      {}", task.name.trim_end_matches('/')),
        format!("input     {} of {} done, {} failed", task.finished, task.files, task.failed),
    ];
    if !task.user.is_empty() {
        lines.push(format!("owner     {}", task.user));
    }
    if !task.created.is_empty() {
        lines.push(format!("submitted {}", view::moment(&task.created)));
    }
    if !task.reason.is_empty() {
        lines.push(format!("reason    {}", task.reason));
    }
    if view::task_end(&task.status) != Some(exit::OK) {
        lines.push(format!("hint: `panda why {}` tells more", task.id));
    }
    lines
}

fn job_lines(job: &Job) -> Vec<String> {
    let mut lines = vec![format!("job/{}  {}", job.id, job.status)];
    if job.task_id > 0 {
        lines.push(format!("task      task/{}", job.task_id));
    }
    lines.push(format!("queue     {}", if job.queue.is_empty() { "-" } else { &job.queue }));
    lines.push(format!("attempt   {}", job.attempt));
    if !job.reason.is_empty() {
        lines.push(format!("reason    {}", job.reason));
    }
    lines
}
