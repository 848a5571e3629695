//! What a task has behind it, measured against the gates of its VO and label. Nothing is counted where no gate is set, and only what a gate asks for.

use panda_core::{
    job::state::JobState,
    policy::retry::task::{self as policy, Gates, Past, Sample, efficiency, score_hours},
};
use panda_ops::Ops;
use panda_store::query::{
    job::past,
    task::{self, TaskRow, dataset::TaskDataset},
};

use crate::{EngineError, finish::report::decode};

/// Jobs that tell the CPU efficiency of a task, the newest.
const SAMPLES: i64 = 1_000;

/// Why a task is not taken up again, if a gate says so.
pub async fn beyond(ops: &Ops, t: &TaskRow, datasets: &[TaskDataset]) -> Result<Option<String>, EngineError> {
    let gates = Gates::of(&*ops.settings().await?, &t.vo, &t.label);
    if gates == Gates::default() {
        return Ok(None);
    }
    Ok(policy::beyond(&gates, &past(ops, t, datasets, &gates).await?))
}

async fn past(ops: &Ops, t: &TaskRow, datasets: &[TaskDataset], gates: &Gates) -> Result<Past, EngineError> {
    let mut past = Past { task_attempts: t.attempt, ..Past::default() };
    if gates.job_attempts.is_some() {
        for d in datasets.iter().filter(|d| d.is_master) {
            past.job_attempts = past.job_attempts.max(task::file::most_attempts(&ops.store, d.id).await?);
        }
    }
    if gates.count_jobs() {
        count(ops, t, &mut past).await?;
    }
    if gates.cpu_efficiency.is_some() {
        let jobs = past::sample(&ops.store, t.id, SAMPLES).await?;
        let one = |j: past::Sample| Sample {
            cpu_s: decode(&j.doc).number("cpu_consumption_time"),
            wall_s: (j.ended_us - j.started_us) / 1_000_000,
            cores: j.cores,
        };
        past.cpu_efficiency = efficiency(&jobs.into_iter().map(one).collect::<Vec<_>>());
    }
    Ok(past)
}

/// Jobs by their end, and what they used of cores of the power that their queues have now.
async fn count(ops: &Ops, t: &TaskRow, past: &mut Past) -> Result<(), EngineError> {
    let queues = ops.queues().await?;
    for e in past::ended(&ops.store, t.id).await? {
        let power = e.queue_id.and_then(|id| queues.facts.iter().find(|q| q.id == id)).map_or(0, |q| q.core_power_milli);
        let hours = score_hours(e.core_s, power);
        if e.state == JobState::Finished {
            past.finished += e.jobs;
            past.finished_score_hours += hours;
        } else {
            past.failed += e.jobs;
            past.failed_score_hours += hours;
        }
    }
    Ok(())
}
