//! Another share or priority for tasks: their jobs move with them (`spec/engine.md` sections 3.2 and 9.1, `spec/api_v1.md` section 13).
//!
//! A task and a mark are written in one batch; then its jobs move, a page a batch, and the mark goes. After a crash the engine finds the mark and
//! goes on.

use panda_access::{Object, Principal, Right, table};
use panda_core::{
    id::{JobId, LaneId, TaskId},
    job::{record::JobKind, state::JobState},
    policy::{label, priority::USER, share::UNDEFINED},
    setting::dispatch::JUMP_OVER,
};
use panda_store::{
    Batch,
    query::{
        job, snapshot,
        task::{self, TaskRow},
    },
};
use serde_json::{Value, json};

use crate::{MAX_CONFLICTS, Ops, OpsError};

/// Kind of the marks of tasks whose jobs are to be moved.
pub const MARK: &str = "moving";
/// Jobs moved by one batch.
const PAGE: i64 = 400;
/// Result code of a share that tasks cannot be in.
pub const CODE_NO_LEAF: i64 = 1;

/// States of jobs that have not started.
const QUEUED: &[JobState] =
    &[JobState::Pending, JobState::Defined, JobState::Assigned, JobState::Waiting, JobState::Activated, JobState::Throttled];

/// Puts tasks into a leaf share; `running`: jobs that are with pilots count for it too. The answer is upstream's code: 0, or [`CODE_NO_LEAF`].
pub async fn share(ops: &Ops, who: &Principal, tasks: &[TaskId], share: &str, running: bool) -> Result<(i64, String), OpsError> {
    table::allowed(Right::TaskSteer, Some(who), None)?;
    if !ops.reread_shares().await?.tree.is_leaf(share) {
        return Ok((
            CODE_NO_LEAF,
            format!("share `{share}` does not exist or has parts; tasks belong to leaves, `panda share list` shows them"),
        ));
    }
    let mut moved = 0;
    for id in tasks {
        let to = |t: &TaskRow| TaskRow { share_name: Some(share.to_owned()), ..t.clone() };
        if change(ops, who, *id, &to, &json!({ "running": running })).await? {
            moved += 1;
        }
    }
    Ok((0, format!("{moved} of {} tasks belong to share `{share}` now", tasks.len())))
}

/// Gives a task another priority; its jobs that have not started move with it: those of users to the new priority or back to that of users when it
/// crosses the jump-over threshold (below it their priority is not the task's), others by the difference. Builds and merges keep theirs. False when
/// there is no such task.
pub async fn priority(ops: &Ops, who: &Principal, id: TaskId, priority: i64) -> Result<bool, OpsError> {
    table::allowed(Right::TaskSteer, Some(who), None)?;
    let Some(before) = task::list::get(&ops.store, id).await? else { return Ok(false) };
    let settings = ops.settings().await?;
    let jump = settings.int(&JUMP_OVER, &before.vo, &before.label);
    let user = label::class(&settings, &before.vo, &before.label) == label::ANALYSIS;
    let doc = match (user, priority >= jump, before.priority >= jump) {
        (false, ..) => json!({ "by": priority - before.priority }),
        (true, true, _) => json!({ "to": priority }),
        (true, false, true) => json!({ "to": USER }),
        (true, false, false) => json!({ "by": 0 }),
    };
    change(ops, who, id, &|t| TaskRow { priority, ..t.clone() }, &doc).await
}

/// Changes a live task and moves its jobs.
async fn change(ops: &Ops, who: &Principal, id: TaskId, to: &(dyn Fn(&TaskRow) -> TaskRow + Sync), doc: &Value) -> Result<bool, OpsError> {
    for _ in 0..MAX_CONFLICTS {
        let Some(before) = task::list::get(&ops.store, id).await? else { return Ok(false) };
        table::allowed(Right::TaskSteer, Some(who), Some(Object::of_vo(&before.vo)))?;
        let now = ops.now().0;
        let mut batch = Batch::new();
        task::transition::set(&mut batch, &before, &to(&before), now);
        snapshot::set(&mut batch, &mark(id), now, &doc.to_string());
        match ops.store.apply(batch).await {
            Ok(()) => {
                jobs(ops, id).await?;
                return Ok(true);
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused(format!("task {id} changes all the time; try again")))
}

fn mark(id: TaskId) -> String {
    format!("{MARK}:{id}")
}

/// Goes on with tasks whose jobs were not all moved; the answer is how many there were.
pub async fn leftovers(ops: &Ops) -> Result<usize, OpsError> {
    let mut n = 0;
    for (id, _) in snapshot::kind(&ops.store, MARK).await? {
        if let Ok(id) = id.parse() {
            jobs(ops, TaskId(id)).await?;
            n += 1;
        }
    }
    Ok(n)
}

/// Moves the jobs of a marked task.
async fn jobs(ops: &Ops, id: TaskId) -> Result<(), OpsError> {
    let Some((_, doc)) = snapshot::get(&ops.store, &mark(id)).await? else { return Ok(()) };
    let doc: Value = serde_json::from_str(&doc).unwrap_or_default();
    if let Some(t) = task::list::get(&ops.store, id).await? {
        if doc.get("running").is_some() {
            lanes(ops, &t, doc["running"] == json!(true)).await?;
        } else if doc["by"] != json!(0) {
            priorities(ops, &t, &doc).await?;
        }
    }
    let mut batch = Batch::new();
    snapshot::delete(&mut batch, &mark(id));
    Ok(ops.store.apply(batch).await?)
}

async fn lanes(ops: &Ops, t: &TaskRow, running: bool) -> Result<(), OpsError> {
    let share = t.share_name.as_deref().unwrap_or(UNDEFINED);
    let states = QUEUED.iter().chain(if running { JobState::WITH_PILOT } else { &[] });
    for state in states {
        let mut after = JobId(0);
        loop {
            let page = job::list::placed(&ops.store, t.id, *state, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let mut olds: Vec<LaneId> = page.iter().filter_map(|j| j.lane).collect();
            olds.sort();
            olds.dedup();
            let mut batch = Batch::new();
            for old in olds {
                let mut queues = ops.queues().await?;
                if queues.lane(old).is_none() {
                    queues = ops.queues_changed().await?;
                }
                let Some(lane) = queues.lane(old).filter(|l| l.share != share) else { continue };
                let new = ops.lane_like(panda_store::query::queue::LaneRow { share: share.to_owned(), ..lane.clone() }).await?;
                let ids: Vec<i64> = page.iter().filter(|j| j.lane == Some(old)).map(|j| j.id.0).collect();
                job::transition::relane(&mut batch, &ids, old, new, ops.now().0);
            }
            if !batch.is_empty() {
                ops.store.apply(batch).await?;
            }
        }
    }
    Ok(())
}

/// Moves priorities by a difference or to a value. How far it came stands in the mark, so that no job is moved twice.
async fn priorities(ops: &Ops, t: &TaskRow, doc: &Value) -> Result<(), OpsError> {
    let new = |old: i64| doc["to"].as_i64().unwrap_or_else(|| old.saturating_add(doc["by"].as_i64().unwrap_or(0)));
    let (from, mut after) = (doc["state"].as_u64().unwrap_or(0), JobId(doc["after"].as_i64().unwrap_or(0)));
    for (n, state) in (0_u64..).zip(QUEUED).skip_while(|(n, _)| *n < from) {
        loop {
            let page = job::list::placed(&ops.store, t.id, *state, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let now = ops.now().0;
            let mut batch = Batch::new();
            for j in page.iter().filter(|j| !matches!(j.kind, JobKind::Build | JobKind::Merge | JobKind::EsMerge)) {
                job::transition::set_priority(&mut batch, j.id, j.priority, new(j.priority), now);
            }
            let mut reached = doc.clone();
            (reached["after"], reached["state"]) = (after.0.into(), n.into());
            snapshot::set(&mut batch, &mark(t.id), now, &reached.to_string());
            ops.store.apply(batch).await?;
        }
        after = JobId(0);
    }
    Ok(())
}
