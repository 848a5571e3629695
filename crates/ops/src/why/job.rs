//! Why a job is where it is.

use panda_access::{Principal, Right, table};
use panda_core::{id::JobId, job::state::JobState};
use panda_store::query::{
    archive, decision,
    job::{self, JobRow},
    queue::QueueRow,
};
use serde_json::{Value, json};

use super::failed;
use crate::{Ops, OpsError, clock};

/// The answer for a job, in the shape of [`super`]; `jobs` is left out, `heartbeat`, `ahead` and, of a job that ended badly, `error` and `again` are
/// added: what went wrong, and whether its work is tried again.
pub async fn why(ops: &Ops, who: &Principal, id: JobId) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let j = archive::job::find(&ops.store, id).await?.ok_or_else(|| OpsError::NotFound(format!("job {id} not found")))?;
    let records = decision::list(&ops.store, id.0).await?;
    let events = archive::job::events(&ops.store, id).await?;
    let seen = job::list::live(&ops.store, id).await?.map(|(_, at, _)| at);
    let (mut because, mut frees) = (Vec::new(), Vec::new());
    let (mut ahead, mut said) = (None, failed::Said::default());
    match j.state {
        JobState::Activated => ahead = Some(waiting(ops, &j, &mut because, &mut frees).await?),
        state if failed::is_bad(state) => said = failed::of(ops, who, &j, &records).await?,
        _ => by_state(&j, seen, &mut because, &mut frees),
    }
    because.append(&mut said.because);
    frees.append(&mut said.frees);
    because.extend(j.diag.iter().filter(|_| !failed::is_bad(j.state)).cloned());
    because.extend(records.iter().filter_map(super::sentence));
    Ok(json!({
        "id": format!("job/{id}"), "name": j.name, "task": j.task_id.map(|t| format!("task/{t}")), "state": j.state.as_str(),
        "since": clock::text(j.state_us), "reason": j.diag, "command": j.command, "because": because, "frees": frees,
        "heartbeat": seen.map(clock::text), "ahead": ahead, "error": said.error, "again": said.again,
        "decisions": super::decisions(&records), "history": super::history(&events),
    }))
}

/// An activated job: its queue, its place in the lane, and limits of the queue that it does not fit.
async fn waiting(ops: &Ops, j: &JobRow, because: &mut Vec<String>, frees: &mut Vec<String>) -> Result<i64, OpsError> {
    let Some(queue) = j.queue_id else { return Ok(0) };
    let (reason, free) = super::queue(ops, queue).await?;
    because.push(reason);
    frees.push(free);
    let ahead = match j.lane_id {
        Some(lane) => job::list::ahead(&ops.store, lane, j.neg_priority, j.id).await?,
        None => 0,
    };
    because.push(format!("{ahead} jobs of its kind stand before it"));
    if let Some(q) = ops.queues().await?.by_id.get(&queue) {
        because.extend(too_big(j, q));
    }
    frees.retain(|f| !f.is_empty());
    Ok(ahead)
}

/// What the job needs beyond what a slot of the queue has.
pub(crate) fn too_big(j: &JobRow, q: &QueueRow) -> Vec<String> {
    let limits = [
        ("MB of memory", j.ram_mb, q.max_ram_mb),
        ("MB of scratch space", j.disk_mb, q.max_disk_mb),
        ("seconds", j.walltime_s, q.max_walltime_s),
        ("cores", j.core_count, q.core_count),
    ];
    let over = limits.into_iter().filter(|(_, need, limit)| *limit > 0 && need > limit);
    over.map(|(what, need, limit)| format!("it asks for {need} {what}, a slot of {} has {limit}", q.name)).collect()
}

pub(super) fn by_state(j: &JobRow, seen: Option<i64>, because: &mut Vec<String>, frees: &mut Vec<String>) {
    let heard =
        seen.map_or_else(|| "its pilot has not reported yet".into(), |at| format!("its pilot reported last at {}", clock::text(at)));
    let host = j.host.as_deref().unwrap_or("an unnamed node");
    match j.state {
        JobState::Pending | JobState::Defined | JobState::Assigned | JobState::Waiting => match (j.wait_job, j.queue_id) {
            (Some(build), _) => {
                because.push(format!("it waits for the library of job/{build}"));
                frees.push(format!("the end of job/{build}"));
            }
            (None, None) => {
                because.push("no queue fits now".into());
                frees.push("a queue that fits; the decision records say what each one lacks".into());
            }
            (None, Some(_)) => because.push("its inputs are being made ready".into()),
        },
        JobState::Throttled => {
            because.push("its task is paused".into());
            frees.push("resuming its task".into());
        }
        JobState::Sent => because.push(format!("it was handed to a pilot on {host}; {heard}")),
        JobState::Starting | JobState::Running | JobState::Transferring => because.push(format!("it is with a pilot on {host}; {heard}")),
        JobState::Holding => {
            because.push("its final report is being checked: stored files are compared with what was reported".into());
            frees.push("the finisher loop of an engine".into());
        }
        JobState::Merging => {
            because.push("its outputs wait for a merge job".into());
            frees.push("the end of that merge job".into());
        }
        JobState::Finished => because.push("it ended well".into()),
        // These have more to say.
        JobState::Activated | JobState::Failed | JobState::Cancelled | JobState::Closed => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};

    #[tokio::test]
    async fn a_waiting_job_knows_its_place() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        w.job(&alice(), None, q, JobState::Activated).await;
        let j = w.job(&alice(), None, q, JobState::Activated).await;
        let got = why(&w.ops, &bob(), j).await.unwrap();
        assert_eq!(got["ahead"], 1);
        assert_eq!(got["because"], json!(["no pilot of queue LOCAL was seen yet", "1 jobs of its kind stand before it"]));
        let row = JobRow { ram_mb: 5_000, ..w.job_row(j).await };
        let queues = w.ops.queues().await.unwrap();
        assert_eq!(too_big(&row, &queues.by_id[&q]), ["it asks for 5000 MB of memory, a slot of LOCAL has 4000"]);
        let running = w.job(&alice(), None, q, JobState::Running).await;
        let got = why(&w.ops, &bob(), running).await.unwrap();
        assert_eq!(got["because"], json!(["it is with a pilot on an unnamed node; its pilot has not reported yet"]));
        assert!(matches!(why(&w.ops, &bob(), JobId(4)).await, Err(OpsError::NotFound(_))));
    }
}
