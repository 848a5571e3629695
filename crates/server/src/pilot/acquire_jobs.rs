//! `POST pilot/acquire_jobs`: hands jobs to a pilot.

use crate::answer::{Answer, Data, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::pilot::acquire::{Ask, acquire};

/// What a pilot reads when there is nothing for it.
pub const NO_JOBS: &str = "No jobs in PanDA";
/// How the data begins and ends; what stands between are the jobs. The old wire cuts its one job out.
pub const JOBS_HEAD: &str = r#"{"StatusCode":0,"jobs":["#;
/// See [`JOBS_HEAD`].
pub const JOBS_TAIL: &str = "]}";

/// `{"StatusCode": 0, "jobs": [..]}`, or the refusal [`NO_JOBS`].
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let harvester = panda_ops::harvester::instance(args.text("harvester_id"), args.text("scheduler_id")).map(str::to_owned);
    let number = args.int("worker_id").filter(|n| *n >= 0);
    // A Harvester that asks for itself names its own machine, where no job will run.
    let fetches =
        harvester.is_some() && number.is_none() && args.text("node").is_some() && args.text("node") == args.text("computing_element");
    let ask = Ask {
        queue: args.take_text("site_name").unwrap_or_default(),
        label: args.take_text("prod_source_label"),
        memory_mb: args.int("memory").unwrap_or(0),
        disk_mb: args.int("disk_space").unwrap_or(0),
        remaining_s: args.int("remaining_time").unwrap_or(0),
        task_id: args.int("task_id").filter(|id| *id > 0).map(TaskId),
        user: args.take_text("prod_user_id"),
        resource_type: args.take_text("resource_type"),
        node: args.take_text("node").filter(|_| !fetches),
        worker: harvester.zip(number),
        n: u32::try_from(args.int("n_jobs").unwrap_or(1).max(1)).unwrap_or(u32::MAX),
    };
    let jobs = acquire(ctx.ops(), ctx.caller()?, &ask).await?;
    if jobs.is_empty() {
        return Err(Refusal::new(NO_JOBS));
    }
    let mut text = String::with_capacity(JOBS_HEAD.len() + JOBS_TAIL.len() + jobs.iter().map(|j| j.len() + 1).sum::<usize>());
    text.push_str(JOBS_HEAD);
    for (n, job) in jobs.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push_str(job);
    }
    text.push_str(JOBS_TAIL);
    Ok(Answer::data(Data::Json(text)))
}
