//! Takes ended tasks up again: `retry` and `incexec` (`spec/engine.md` sections 4.3 and 5.7).

mod gates;

use panda_core::{
    file::{FileRole, account::is_lost},
    machine::Actor,
    policy::retry::task::ADDS,
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{Ops, job::judge};
use panda_store::{
    Batch, Topic,
    query::{
        decision,
        task::{
            self, TaskRow,
            dataset::{Delta, TaskDataset},
        },
    },
};
use serde_json::{Value, json};

use crate::EngineError;

/// What a gate says to people.
fn refused(why: &str) -> String {
    format!("it is not retried: {why}; production may do so all the same with `ignore_hard_exhausted`")
}

/// Why a gate keeps a task from being taken up again; `args` may pass over all gates.
async fn beyond(ops: &Ops, t: &TaskRow, datasets: &[TaskDataset], args: &Value) -> Result<Option<String>, EngineError> {
    if args["ignore_hard_exhausted"] == true {
        return Ok(None);
    }
    Ok(gates::beyond(ops, t, datasets).await?.map(|why| refused(&why)))
}

/// retry: failed files become ready again with further attempts; beyond a gate the task is exhausted instead.
pub async fn retry(ops: &Ops, batch: &mut Batch, t: &TaskRow, args: &Value, now: Micros) -> Result<(), EngineError> {
    let in_place = t.state != TaskState::Toretry;
    if in_place && !t.state.is_generating() && t.state != TaskState::Pending {
        return Ok(());
    }
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    let mut reviving = Batch::new();
    let revived = revive(ops, &mut reviving, &datasets).await?;
    let beyond = if revived > 0 { beyond(ops, t, &datasets, args).await? } else { None };
    match (beyond, in_place) {
        (Some(why), true) => {
            // It goes on with what it has.
            decision::set(batch, t.id.0, judge::STAGE, now.0, &json!({ "reason": why }).to_string());
        }
        (Some(why), false) => exhaust(ops, batch, t, &why, now).await?,
        (None, true) => {
            batch.append(reviving);
            task::transition::guard(batch, t, now.0);
        }
        (None, false) => {
            batch.append(reviving);
            again(ops, batch, t, revived, now).await?;
        }
    }
    batch.wake(Topic::Files);
    Ok(())
}

/// Ready for its next jobs, or back where it was when there is nothing to try again.
async fn again(ops: &Ops, batch: &mut Batch, t: &TaskRow, revived: i64, now: Micros) -> Result<(), EngineError> {
    let mut after = TaskRow { command: None, prev_state: None, ..t.clone() };
    let why = if revived > 0 {
        (after.state, after.attempt, after.reason, after.ended_us) = (TaskState::Ready, t.attempt + 1, None, None);
        format!("{revived} files are tried again")
    } else {
        after.state = t.prev_state.unwrap_or(TaskState::Finished);
        "there is nothing to try again".into()
    };
    ops.move_task(batch, t, &after, Actor::Engine, now.0, Some(&why)).await?;
    Ok(())
}

async fn exhaust(ops: &Ops, batch: &mut Batch, t: &TaskRow, why: &str, now: Micros) -> Result<(), EngineError> {
    let reason = Some(why.to_owned());
    let after = TaskRow { state: TaskState::Exhausted, prev_state: None, command: None, ended_us: None, reason, ..t.clone() };
    ops.move_task(batch, t, &after, Actor::Engine, now.0, Some(why)).await?;
    Ok(())
}

/// incexec: the parameters and every input are read anew; beyond a gate the task is exhausted instead.
pub async fn read_anew(ops: &Ops, batch: &mut Batch, t: &TaskRow, args: &Value, now: Micros) -> Result<(), EngineError> {
    if t.state != TaskState::Toincexec {
        return Ok(());
    }
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    if let Some(why) = beyond(ops, t, &datasets, args).await? {
        return exhaust(ops, batch, t, &why, now).await;
    }
    let after = TaskRow { state: TaskState::Rerefine, command: None, attempt: t.attempt + 1, ended_us: None, ..t.clone() };
    ops.move_task(batch, t, &after, Actor::Engine, now.0, None).await?;
    Ok(())
}

/// Makes the failed and cancelled input files of a task ready again; the answer is the number of those that jobs are made for.
pub async fn revive(ops: &Ops, batch: &mut Batch, datasets: &[TaskDataset]) -> Result<i64, EngineError> {
    let mut revived = 0;
    for d in datasets.iter().filter(|d| d.role.is_input()) {
        revived += revive_dataset(ops, batch, d).await?;
    }
    Ok(revived)
}

async fn revive_dataset(ops: &Ops, batch: &mut Batch, d: &TaskDataset) -> Result<i64, EngineError> {
    let lost = task::file::totals(&ops.store, d.id).await?.into_iter().filter(|(state, ..)| is_lost(*state));
    let (all, events) = lost.fold((0, 0), |sum, (_, files, events)| (sum.0 + files, sum.1 + events));
    if all > 0 {
        task::file::revive(batch, d.id, ADDS, u64::try_from(all).unwrap_or(0));
        // All of them count as used and as failed: the cancelled ones were counted when their task was finished early.
        task::dataset::count(batch, d.id, Delta { used: -all, failed: -all, events_used: -events, ..Delta::default() });
    }
    Ok(if d.is_master || d.role == FileRole::Input { all } else { 0 })
}
