//! Takes ended tasks up again: `retry` and `incexec` (`spec/engine.md` sections 4.3 and 5.7).

mod children;
mod gates;
pub mod reopen;

use panda_core::{
    file::{FileRole, FileState, account::is_lost},
    machine::Actor,
    policy::retry::task::ADDS,
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{Ops, job::judge, task::plan::Plan};
use panda_store::{
    Batch, Topic,
    query::{
        decision,
        task::{
            self, TaskRow,
            dataset::{Delta, TaskDataset},
            transition::TaskCommand,
        },
    },
};
use serde_json::{Value, json};

use crate::{EngineError, plan, scout};

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
pub async fn retry(ops: &Ops, batch: &mut Batch, t: &TaskRow, command: &TaskCommand, args: &Value, now: Micros) -> Result<(), EngineError> {
    let in_place = t.state != TaskState::Toretry;
    if in_place && !t.state.is_generating() && t.state != TaskState::Pending {
        return Ok(());
    }
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    let mut reviving = Batch::new();
    events(&mut reviving, t, &plan::of(ops, t).await?.plan, &datasets, args, now);
    let revived = revive(ops, &mut reviving, &datasets, now).await?;
    // A task that its scouts stopped has files that no job took.
    let rest = datasets.iter().any(TaskDataset::has_more);
    let beyond = if revived > 0 || rest { beyond(ops, t, &datasets, args).await? } else { None };
    match (beyond, in_place) {
        (Some(why), true) => {
            // It goes on with what it has.
            decision::set(batch, t.id.0, judge::STAGE, now.0, &json!({ "reason": why }).to_string());
        }
        (Some(why), false) => exhaust(ops, batch, t, &why, now).await?,
        (None, true) => {
            reopen::reopen(batch, t, &datasets);
            batch.append(reviving);
            task::transition::guard(batch, t, now.0);
        }
        (None, false) if revived > 0 || rest => {
            children::again(ops, t, command, args).await?;
            reopen::reopen(batch, t, &datasets);
            batch.append(reviving);
            scout::again(batch, &datasets);
            let mut after = TaskRow { state: TaskState::Ready, attempt: t.attempt + 1, reason: None, ended_us: None, ..back(t) };
            if args["keep_gshare_priority"] != true {
                reopen::rank(ops, &mut after).await?;
            }
            reopen::past_goal(ops, batch, t, &datasets).await?;
            ops.move_task(batch, t, &after, Actor::Engine, now.0, Some(&format!("{revived} files are tried again"))).await?;
        }
        (None, false) => {
            let after = TaskRow { state: t.prev_state.unwrap_or(TaskState::Finished), ..back(t) };
            ops.move_task(batch, t, &after, Actor::Engine, now.0, Some("there is nothing to try again")).await?;
        }
    }
    batch.wake(Topic::Files);
    Ok(())
}

/// The row without the command that is carried out.
fn back(t: &TaskRow) -> TaskRow {
    TaskRow { command: None, prev_state: None, ..t.clone() }
}

async fn exhaust(ops: &Ops, batch: &mut Batch, t: &TaskRow, why: &str, now: Micros) -> Result<(), EngineError> {
    let reason = Some(why.to_owned());
    let after = TaskRow { state: TaskState::Exhausted, ended_us: None, reason, ..back(t) };
    ops.move_task(batch, t, &after, Actor::Engine, now.0, Some(why)).await?;
    Ok(())
}

/// incexec: the parameters and every input are read anew; beyond a gate the task is exhausted instead.
pub async fn read_anew(
    ops: &Ops,
    batch: &mut Batch,
    t: &TaskRow,
    command: &TaskCommand,
    args: &Value,
    now: Micros,
) -> Result<(), EngineError> {
    if t.state != TaskState::Toincexec {
        return Ok(());
    }
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    if let Some(why) = beyond(ops, t, &datasets, args).await? {
        return exhaust(ops, batch, t, &why, now).await;
    }
    children::again(ops, t, command, args).await?;
    reopen::reopen(batch, t, &datasets);
    let mut after = TaskRow { state: TaskState::Rerefine, command: None, attempt: t.attempt + 1, ended_us: None, ..t.clone() };
    if args["keep_gshare_priority"] != true {
        reopen::rank(ops, &mut after).await?;
    }
    ops.move_task(batch, t, &after, Actor::Engine, now.0, None).await?;
    Ok(())
}

/// Makes the failed and cancelled input files of a task ready again; the answer is the number of those that jobs are made for.
pub async fn revive(ops: &Ops, batch: &mut Batch, datasets: &[TaskDataset], now: Micros) -> Result<i64, EngineError> {
    let mut revived = 0;
    for d in datasets.iter().filter(|d| d.role.is_input()) {
        revived += revive_dataset(ops, batch, d, now).await?;
    }
    Ok(revived)
}

/// What is done of the events of files that are to be tried again is forgotten, unless the task keeps it (ND).
pub fn events(batch: &mut Batch, t: &TaskRow, plan: &Plan, datasets: &[TaskDataset], args: &Value, now: Micros) {
    let Some(how) = &plan.events else { return };
    for d in datasets.iter().filter(|d| d.is_master) {
        if how.keeps && args["discard_events"] != true {
            task::events::renew(batch, t.id, d.id, how.attempts, now.0);
        } else {
            task::events::undo(batch, t.id, d.id);
        }
    }
}

/// Nodes of a DAG that ended otherwise than well wait again until loop `dag` has counted what each depends on.
fn revive_dag(batch: &mut Batch, d: &TaskDataset, totals: &[(FileState, i64, i64)], now: Micros) -> i64 {
    let sum = |of: &dyn Fn(FileState) -> bool| totals.iter().filter(|t| of(t.0)).map(|t| t.1).sum::<i64>();
    let (lost, unneeded) = (sum(&is_lost), sum(&|s| s == FileState::Unneeded));
    if lost > 0 {
        let all = lost + unneeded;
        task::dag::again(batch, d.id, ADDS, u64::try_from(all).unwrap_or(0), now.0);
        task::dataset::count(batch, d.id, Delta { used: -all, failed: -lost, finished: -unneeded, on_hold: all, ..Delta::default() });
    }
    lost
}

async fn revive_dataset(ops: &Ops, batch: &mut Batch, d: &TaskDataset, now: Micros) -> Result<i64, EngineError> {
    let totals = task::file::totals(&ops.store, d.id).await?;
    if d.is_dag() {
        return Ok(revive_dag(batch, d, &totals, now));
    }
    let lost = totals.into_iter().filter(|(state, ..)| is_lost(*state));
    let (all, events) = lost.fold((0, 0), |sum, (_, files, events)| (sum.0 + files, sum.1 + events));
    if all > 0 {
        task::file::revive(batch, d.id, ADDS, u64::try_from(all).unwrap_or(0));
        // All of them count as used and as failed: the cancelled ones were counted when their task was finished early.
        task::dataset::count(batch, d.id, Delta { used: -all, failed: -all, events_used: -events, ..Delta::default() });
    }
    Ok(if d.is_master || d.role == FileRole::Input { all } else { 0 })
}
