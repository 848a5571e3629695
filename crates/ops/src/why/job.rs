//! Why a job is where it is.

use panda_access::Principal;
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
    let j = crate::job::read::row(ops, who, id).await?;
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
    because.extend(super::events::of_job(ops, &j).await?);
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

/// Time limits that end what does not go on by itself.
const LIMITS: &str = "what stays too long is ended or made anew (`panda setting list job.`)";

pub(super) fn by_state(j: &JobRow, seen: Option<i64>, because: &mut Vec<String>, frees: &mut Vec<String>) {
    let heard =
        seen.map_or_else(|| "its pilot has not reported yet".into(), |at| format!("its pilot reported last at {}", clock::text(at)));
    let host = j.host.as_deref().unwrap_or("an unnamed node");
    let mut say = |why: String, free: &str| {
        because.push(why);
        if !free.is_empty() {
            frees.push(free.to_owned());
        }
    };
    match j.state {
        JobState::Pending | JobState::Defined | JobState::Assigned | JobState::Waiting => match (j.wait_job, j.queue_id, j.state) {
            (Some(build), ..) => say(format!("it waits for the library of job/{build}"), &format!("the end of job/{build}")),
            (None, None, _) => {
                say("no queue fits now".into(), "a queue that fits; the decision records say what each one lacks");
            }
            (None, Some(_), JobState::Assigned) => {
                say("its inputs are on their way to its queue".into(), &format!("their arrival; {LIMITS}"));
            }
            (None, Some(_), JobState::Waiting) => say("its inputs are not there yet".into(), &format!("their arrival; {LIMITS}")),
            (None, Some(_), _) => say("it has a queue and is let go next".into(), &format!("the engine does it within seconds; {LIMITS}")),
        },
        JobState::Throttled => match j.sub_state.as_deref() {
            Some("capped_user") => say("its user has as much running as the cap allows".into(), "the end of jobs of that user"),
            Some("capped_group") => say("its working group has as much running as the cap allows".into(), "the end of jobs of that group"),
            Some("capped_vo") => say("its VO has as much running as the cap allows".into(), "the end of jobs of that VO"),
            _ => say("its task is paused".into(), "resuming its task"),
        },
        JobState::Sent => say(
            format!("it was handed to a pilot on {host}; {heard}"),
            "the first report of its pilot; without one it is lost after a while (setting job.sent_s)",
        ),
        JobState::Starting | JobState::Running => say(
            format!("it is with a pilot on {host}; {heard}"),
            "the pilot's report of its end; after a long silence it is lost (setting job.heartbeat_s)",
        ),
        JobState::Transferring => say(
            format!("its payload ended on {host} and its outputs are on their way; {heard}"),
            "the report that they arrived; after a long silence it fails (setting job.transferring_s)",
        ),
        JobState::Holding => say(
            "its final report is being checked: stored files are compared with what was reported".into(),
            "the finisher loop of an engine",
        ),
        JobState::Merging => say("its outputs wait for a merge job".into(), "the end of that merge job"),
        JobState::Finished => say("it ended well".into(), ""),
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
