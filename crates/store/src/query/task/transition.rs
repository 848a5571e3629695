//! New tasks, changes of a task's state, and commands on tasks. The only writer of `task.state`: each change is checked against `core`'s
//! table, guarded by the revision it was decided on, and writes its event row in the same batch.

use panda_core::{
    machine::{Actor, IllegalTransition},
    task::{state::TaskState, timers::frozen_after, transition},
};

use super::TaskRow;
use crate::{Batch, Error, Store, Topic, Value, batch::Op, query::job::transition::cut_diag, statements};

statements! {
    insert ADD = "task.transition_new" => task (id: Int, name: Text, state: Text, vo: Text, label: Text, person_id: Int, working_group: Text, processing_type: Text, priority: Int, parent_id: Int, attempt: Int, reason: Text, created_us: Int, modified_us: Int, state_us: Int, share_name: Text, nucleus: Text, doc_rev: Int, n_throttled: Int, checked_us: Int, rev: Int), "";
    insert DOC_ADD = "task.doc_add" => task_doc (task_id: Int, params: Text), "";
    write DOC_SET = "task.doc_set", "UPDATE task_doc SET params = :params WHERE task_id = :id";
    write ADJUST_SET = "task.adjust_set", "UPDATE task_doc SET adjust = :adjust WHERE task_id = :id";
    [hot] write DOC_REV = "task.doc_rev", "UPDATE task SET doc_rev = doc_rev + 1 WHERE id = :id";
    insert NAME_ADD = "task_name.add" => task_name (person_id: Int, name: Text, task_id: Int), "";
    [hot] read NAME_GET = "task_name.get", "SELECT task_id FROM task_name WHERE person_id = :person AND name = :name LIMIT 1";
    write NAME_MOVE = "task_name.move", "UPDATE task_name SET task_id = :id WHERE person_id = :person AND name = :name AND task_id = :old";
    insert EVENT = "task.event" => task_event (task_id: Int, rev: Int, from_state: Text, to_state: Text, actor: Text, at_us: Int, reason: Text), "";
    [hot] write MOVE = "task.transition", "UPDATE task SET state = :state, prev_state = :prev, priority = :priority, attempt = :attempt, command = :command, reason = :reason, modified_us = :now, started_us = :started, ended_us = :ended, state_us = :now, share_name = :share, nucleus = :nucleus, n_throttled = :throttled, checked_us = :checked, frozen_us = :frozen, rev = :next WHERE id = :id AND rev = :rev";
    [hot] write SET = "task.set", "UPDATE task SET priority = :priority, attempt = :attempt, command = :command, reason = :reason, modified_us = :now, share_name = :share, nucleus = :nucleus, n_throttled = :throttled, checked_us = :checked, rev = rev + 1 WHERE id = :id AND rev = :rev";
    [hot] write GUARD = "task.guard", "UPDATE task SET modified_us = :now, frozen_us = NULL WHERE id = :id AND rev = :rev";
    [hot] write CHECKED = "task.checked", "UPDATE task SET checked_us = :now WHERE id = :id";
    [hot] write TIMES = "task.times", "UPDATE task SET modified_us = :at, state_us = :at, checked_us = NULL, rev = rev + 1 WHERE id = :id AND rev = :rev";
    write COMMAND_SET = "task_command.set", "INSERT INTO task_command (task_id, command, person_id, at_us, doc) VALUES (:id, :command, :person, :now, :doc) {upsert(task_id): command,person_id,at_us,doc}";
    read COMMANDS = "task_command.list", "SELECT task_id, command, person_id, at_us, doc FROM task_command WHERE task_id > :after ORDER BY task_id LIMIT :n";
    write COMMAND_DONE = "task_command.done", "DELETE FROM task_command WHERE task_id = :id AND at_us = :at";
}

/// A command waiting to be carried out; a newer one replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCommand {
    /// The task.
    pub task_id: panda_core::id::TaskId,
    /// `kill`, `finish`, `retry`, …
    pub command: String,
    /// Who gave it.
    pub person_id: i64,
    /// Microseconds UTC.
    pub at_us: i64,
    /// Arguments, a JSON object.
    pub doc: Option<String>,
}

/// Adds a task in its first state with its parameters (JSON) and first event. With `unique_name` a second live task of the same name and
/// owner is a duplicate.
pub fn add(batch: &mut Batch, t: &TaskRow, params: &str, unique_name: bool, actor: Actor) -> Result<(), IllegalTransition> {
    transition::check(None, t.state, actor)?;
    batch.insert(
        &ADD,
        vec![
            t.id.into(),
            (&t.name).into(),
            t.state.as_str().into(),
            (&t.vo).into(),
            (&t.label).into(),
            t.person_id.into(),
            t.working_group.as_deref().into(),
            t.processing_type.as_deref().into(),
            t.priority.into(),
            t.parent_id.into(),
            t.attempt.into(),
            t.reason.as_deref().map(cut_diag).into(),
            t.created_us.into(),
            t.created_us.into(),
            t.created_us.into(),
            t.share_name.as_deref().into(),
            t.nucleus.as_deref().into(),
            0.into(),
            t.n_throttled.into(),
            t.checked_us.into(),
            0.into(),
        ],
    );
    batch.insert(&DOC_ADD, vec![t.id.into(), params.into()]);
    if unique_name {
        batch.insert(&NAME_ADD, vec![t.person_id.into(), (&t.name).into(), t.id.into()]);
    }
    event(batch, t, 0, None, actor, t.created_us, None);
    batch.wake(Topic::Tasks);
    Ok(())
}
/// The task that holds this name for this person.
pub async fn named(store: &Store, person: i64, name: &str) -> Result<Option<panda_core::id::TaskId>, Error> {
    let rows = store.fetch(&NAME_GET, vec![("person", person.into()), ("name", name.into())]).await?;
    rows.first().map(|r| Ok(panda_core::id::TaskId(r.int(0)?))).transpose()
}
/// Gives a name from an ended task to a new one.
pub fn move_name(batch: &mut Batch, person: i64, name: &str, old: panda_core::id::TaskId, new: panda_core::id::TaskId) {
    let binds = vec![("id", new.into()), ("person", person.into()), ("name", name.into()), ("old", old.into())];
    batch.guard(&NAME_MOVE, binds, 1);
}
/// Replaces the parameters (JSON); adds one to `doc_rev`. The caller guards the batch by the task's revision.
pub fn set_params(batch: &mut Batch, id: panda_core::id::TaskId, params: &str) {
    batch.guard(&DOC_SET, vec![("params", params.into()), ("id", id.into())], 1);
    batch.guard(&DOC_REV, vec![("id", id.into())], 1);
}
/// Replaces what the engine itself changed (JSON); adds one to `doc_rev`. The caller guards the batch by the task's revision.
pub fn set_adjust(batch: &mut Batch, id: panda_core::id::TaskId, adjust: &str) {
    batch.guard(&ADJUST_SET, vec![("adjust", adjust.into()), ("id", id.into())], 1);
    batch.guard(&DOC_REV, vec![("id", id.into())], 1);
}
fn event(batch: &mut Batch, t: &TaskRow, rev: i64, from: Option<TaskState>, actor: Actor, now_us: i64, reason: Option<&str>) {
    batch.log(
        &EVENT,
        vec![
            t.id.into(),
            rev.into(),
            from.map(TaskState::as_str).into(),
            t.state.as_str().into(),
            actor.as_str().into(),
            now_us.into(),
            reason.map(cut_diag).into(),
        ],
    );
}
/// Moves `before` to the state of `after`, writing the changed columns of `after`; conflicts when the row no longer has `before.rev`. Moves that
/// follow one another in a batch are one write of the row, and an event each.
pub fn move_to(
    batch: &mut Batch,
    before: &TaskRow,
    after: &TaskRow,
    actor: Actor,
    now_us: i64,
    reason: Option<&str>,
) -> Result<(), IllegalTransition> {
    transition::check(Some(before.state), after.state, actor)?;
    let earlier = earlier(batch, before);
    let from = earlier.and_then(|at| bound(&batch.ops[at], "rev")).unwrap_or(before.rev);
    let binds = vec![
        ("state", after.state.as_str().into()),
        ("prev", after.prev_state.map(TaskState::as_str).into()),
        ("priority", after.priority.into()),
        ("attempt", after.attempt.into()),
        ("command", after.command.as_deref().into()),
        ("reason", after.reason.as_deref().map(cut_diag).into()),
        ("now", now_us.into()),
        ("share", after.share_name.as_deref().into()),
        ("nucleus", after.nucleus.as_deref().into()),
        ("throttled", after.n_throttled.into()),
        ("checked", after.checked_us.into()),
        ("frozen", frozen_after(before.state, before.frozen_us, after.state, now_us).into()),
        ("started", after.started_us.into()),
        ("ended", after.ended_us.into()),
        ("next", (before.rev + 1).into()),
        ("id", before.id.into()),
        ("rev", from.into()),
    ];
    match earlier.map(|at| &mut batch.ops[at]) {
        Some(Op::Exec { binds: old, .. }) => *old = binds,
        _ => drop(batch.guard(&MOVE, binds, 1)),
    }
    event(batch, after, before.rev + 1, Some(before.state), actor, now_us, reason);
    // States that the loop behind it looks at; commands wake it by themselves.
    if matches!(after.state, TaskState::Registered | TaskState::Rerefine | TaskState::Defined) {
        batch.wake(Topic::Tasks);
    }
    Ok(())
}
/// The statement of a batch that makes a task what `before` is, unless one behind it counts on that.
fn earlier(batch: &Batch, before: &TaskRow) -> Option<usize> {
    let of_task = |op: &Op, name: &str| bound(op, "id") == Some(before.id.0) && bound(op, name) == Some(before.rev);
    let at = batch.ops.iter().rposition(|op| std::ptr::eq(op.stmt(), &MOVE) && of_task(op, "next"))?;
    (!batch.ops[at + 1..].iter().any(|op| of_task(op, "rev"))).then_some(at)
}
/// A number that is bound by name.
fn bound(op: &Op, name: &str) -> Option<i64> {
    let Op::Exec { binds, .. } = op else { return None };
    binds.iter().find(|(n, _)| *n == name).and_then(|(_, v)| if let Value::Int(n) = v { Some(*n) } else { None })
}
/// Writes priority, attempt, command and reason of a task that still has `before.rev`, without a change of state.
pub fn set(batch: &mut Batch, before: &TaskRow, after: &TaskRow, now_us: i64) {
    batch.guard(
        &SET,
        vec![
            ("priority", after.priority.into()),
            ("attempt", after.attempt.into()),
            ("command", after.command.as_deref().into()),
            ("reason", after.reason.as_deref().map(cut_diag).into()),
            ("now", now_us.into()),
            ("share", after.share_name.as_deref().into()),
            ("nucleus", after.nucleus.as_deref().into()),
            ("throttled", after.n_throttled.into()),
            ("checked", after.checked_us.into()),
            ("id", before.id.into()),
            ("rev", before.rev.into()),
        ],
        1,
    );
}
/// Notes that time-driven rules have looked at a task; no change of the task.
pub fn checked(batch: &mut Batch, id: panda_core::id::TaskId, now_us: i64) {
    batch.exec(&CHECKED, vec![("now", now_us.into()), ("id", id.into())]);
}
/// Sets when a task that still has `before.rev` last changed, and its state: what time-driven rules count from.
pub fn set_times(batch: &mut Batch, before: &TaskRow, at_us: i64) {
    batch.guard(&TIMES, vec![("at", at_us.into()), ("id", before.id.into()), ("rev", before.rev.into())], 1);
}
/// Makes the batch a conflict when the task has changed since it was read. What follows in the batch is progress: the task is not on hold any more.
pub fn guard(batch: &mut Batch, t: &TaskRow, now_us: i64) {
    batch.guard(&GUARD, vec![("now", now_us.into()), ("id", t.id.into()), ("rev", t.rev.into())], 1);
}
/// Leaves a command for the engine, replacing an older one.
pub fn add_command(batch: &mut Batch, c: &TaskCommand) {
    batch.exec(
        &COMMAND_SET,
        vec![
            ("id", c.task_id.into()),
            ("command", (&c.command).into()),
            ("person", c.person_id.into()),
            ("now", c.at_us.into()),
            ("doc", c.doc.as_deref().into()),
        ],
    );
    batch.wake(Topic::Tasks);
}
/// Waiting commands of tasks above `after`; at most `n` and 1,000.
pub async fn commands(store: &Store, after: panda_core::id::TaskId, n: i64) -> Result<Vec<TaskCommand>, Error> {
    let rows = store.fetch(&COMMANDS, vec![("after", after.into()), ("n", n.min(crate::query::MAX_PAGE).into())]).await?;
    rows.iter()
        .map(|r| {
            Ok(TaskCommand {
                task_id: panda_core::id::TaskId(r.int(0)?),
                command: r.text(1)?.to_owned(),
                person_id: r.int(2)?,
                at_us: r.int(3)?,
                doc: r.opt_text(4)?.map(str::to_owned),
            })
        })
        .collect()
}
/// Removes a command that was carried out, unless a newer one has replaced it.
pub fn command_done(batch: &mut Batch, c: &TaskCommand) {
    batch.exec(&COMMAND_DONE, vec![("id", c.task_id.into()), ("at", c.at_us.into())]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use panda_core::id::TaskId;

    fn row(state: TaskState, rev: i64) -> TaskRow {
        TaskRow { rev, ..TaskRow::new(TaskId(7), "t", state, "amber", "user", 1, 0) }
    }
    fn moves(batch: &Batch) -> Vec<(Option<i64>, Option<i64>)> {
        let own = batch.ops.iter().filter(|op| std::ptr::eq(op.stmt(), &MOVE));
        own.map(|op| (bound(op, "rev"), bound(op, "next"))).collect()
    }
    fn step(batch: &mut Batch, from: TaskState, rev: i64, to: TaskState) {
        move_to(batch, &row(from, rev), &row(to, rev), Actor::Engine, 5, None).unwrap();
    }

    #[test]
    fn moves_that_follow_one_another_are_one_write() {
        let mut batch = Batch::new();
        step(&mut batch, TaskState::Registered, 0, TaskState::Defined);
        step(&mut batch, TaskState::Defined, 1, TaskState::Ready);
        assert_eq!(moves(&batch), [(Some(0), Some(2))]);
        let events: usize = batch.ops.iter().map(|op| if let Op::Insert { rows, .. } = op { rows.len() } else { 0 }).sum();
        assert_eq!(events, 2);
    }

    #[test]
    fn a_move_that_something_counts_on_stays() {
        let mut batch = Batch::new();
        step(&mut batch, TaskState::Registered, 0, TaskState::Defined);
        guard(&mut batch, &row(TaskState::Defined, 1), 5);
        step(&mut batch, TaskState::Defined, 1, TaskState::Ready);
        assert_eq!(moves(&batch), [(Some(0), Some(1)), (Some(1), Some(2))]);
    }
}
