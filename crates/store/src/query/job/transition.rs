//! New jobs and changes of a job's state. The only writer of `job.state` and `job.ready_lane`: each change is checked against `core`'s table,
//! guarded by the revision it was decided on, and writes its event row in the same batch.

use panda_core::{
    id::{JobId, LaneId, QueueId},
    job::{state::JobState, transition},
    machine::{Actor, IllegalTransition},
};

use super::JobRow;
use crate::{Batch, Topic, Value, statements};

/// Longest diagnosis kept, characters (upstream's column width).
pub const MAX_DIAG: usize = 500;

statements! {
    insert ADD = "job.transition_new" => job (
        id: Int, task_id: Int, state: Text, sub_state: Text, kind: Text, queue_id: Int, lane_id: Int, ready_lane: Int, neg_priority: Int,
        attempt: Int, max_attempt: Int, vo: Text, label: Text, person_id: Int, name: Text, processing_type: Text, resource_type: Text,
        core_count: Int, ram_mb: Int, disk_mb: Int, walltime_s: Int, debug: Int, wait_job: Int, created_us: Int, modified_us: Int, state_us: Int, rev: Int
    ), "";
    insert DOC_ADD = "job.doc_add" => job_doc (job_id: Int, common_id: Int, doc: Text), "";
    insert COMMON_ADD = "job.common_add" => job_common (id: Int, task_id: Int, doc: Text), "";
    insert RETRY_ADD = "job_retry.add" => job_retry (new_id: Int, old_id: Int, relation: Text), "";
    insert EVENT = "job.event" => job_event (job_id: Int, rev: Int, from_state: Text, to_state: Text, actor: Text, at_us: Int, reason: Text), "";
    [hot] write MOVE = "job.transition", "UPDATE job SET state = :state, sub_state = :sub, ready_lane = :ready, attempt = :attempt, command = :command, host = :host, batch_id = :batch, trans_exit_code = :trans, pilot_error_code = :pilot, exe_error_code = :exe, ddm_error_code = :ddm, sup_error_code = :sup, dispatcher_error_code = :dispatcher, server_error_code = :server, diag = :diag, modified_us = :now, state_us = :now, started_us = :started, ended_us = :ended, rev = rev + 1 WHERE id = :id AND rev = :rev";
    [hot] write SET = "job.set", "UPDATE job SET command = :command, debug = :debug, host = :host, batch_id = :batch, neg_priority = :neg, server_error_code = :server, diag = :diag, modified_us = :now, rev = rev + 1 WHERE id = :id AND rev = :rev";
    [hot] write MARK = "job.mark", "UPDATE job SET sup_error_code = :sup, server_error_code = :server, diag = :diag, modified_us = :now, rev = rev + 1 WHERE id = :id AND rev = :rev";
    [hot] write GUARD = "job.guard", "UPDATE job SET modified_us = modified_us WHERE id = :id AND rev = :rev";
    [hot] write PLACE = "job.place", "UPDATE job SET queue_id = :queue, lane_id = :lane WHERE id = :id AND rev = :rev";
    [hot] write REPLACE = "job.transition_place", "UPDATE job SET queue_id = :queue, lane_id = :lane, ready_lane = :ready, modified_us = :now, rev = rev + 1 WHERE id = :id AND rev = :rev AND state = 'activated'";
    // A job that is not ready has no ready lane, and keeps none.
    [hot] write RELANE = "job.transition_lane", "UPDATE job SET lane_id = :lane, ready_lane = ready_lane + :ready - ready_lane, modified_us = :now, rev = rev + 1 WHERE id IN (:ids*) AND lane_id = :old";
    [hot] write PRIORITY = "job.priority", "UPDATE job SET neg_priority = :neg, modified_us = :now, rev = rev + 1 WHERE id = :id AND neg_priority = :old AND state IN ('pending', 'defined', 'assigned', 'waiting', 'activated', 'throttled')";
    write DOC_SET = "job.doc_set", "UPDATE job_doc SET doc = :doc WHERE job_id = :id";
    [hot] write COMMAND = "job.command", "UPDATE job SET command = :command, modified_us = :now WHERE id = :id AND state IN ('sent', 'starting', 'running', 'transferring', 'merging', 'holding')";
}

/// Cuts a diagnosis at [`MAX_DIAG`] characters.
#[must_use]
pub fn cut_diag(text: &str) -> String {
    text.chars().take(MAX_DIAG).collect()
}

/// Adds a job in its first state, with document and first event. `common_id` 0 means that there is no common part.
pub fn add(batch: &mut Batch, job: &JobRow, common_id: i64, doc: &str, actor: Actor) -> Result<(), IllegalTransition> {
    transition::check(None, job.state, actor)?;
    let ready = if job.state == JobState::Activated { job.lane_id } else { None };
    batch.insert(
        &ADD,
        vec![
            job.id.into(),
            job.task_id.into(),
            job.state.as_str().into(),
            job.sub_state.as_deref().into(),
            job.kind.as_str().into(),
            job.queue_id.into(),
            job.lane_id.into(),
            ready.into(),
            job.neg_priority.into(),
            job.attempt.into(),
            job.max_attempt.into(),
            (&job.vo).into(),
            (&job.label).into(),
            job.person_id.into(),
            job.name.as_deref().into(),
            job.processing_type.as_deref().into(),
            (&job.resource_type).into(),
            job.core_count.into(),
            job.ram_mb.into(),
            job.disk_mb.into(),
            job.walltime_s.into(),
            job.debug.into(),
            job.wait_job.into(),
            job.created_us.into(),
            job.created_us.into(),
            job.created_us.into(),
            0.into(),
        ],
    );
    batch.insert(&DOC_ADD, vec![job.id.into(), common_id.into(), Value::from(doc)]);
    event(batch, job.id, 0, None, job.state, actor, job.created_us, None);
    if let (JobState::Activated, Some(queue)) = (job.state, job.queue_id) {
        batch.wake(Topic::Ready(queue));
    }
    Ok(())
}

/// The relation of a job to the one whose files it tries again.
pub const RETRY: &str = "retry";

/// Notes that a new job takes up the work of another, and how.
pub fn add_retry(batch: &mut Batch, new: JobId, old: JobId, relation: &str) {
    batch.insert(&RETRY_ADD, vec![new.into(), old.into(), relation.into()]);
}

/// Adds the part of the job document that a task's jobs share.
pub fn add_common(batch: &mut Batch, id: i64, task: Option<panda_core::id::TaskId>, doc: &str) {
    batch.insert(&COMMON_ADD, vec![id.into(), task.into(), doc.into()]);
}

#[expect(clippy::too_many_arguments, reason = "one row's columns")]
fn event(batch: &mut Batch, id: JobId, rev: i64, from: Option<JobState>, to: JobState, actor: Actor, now_us: i64, reason: Option<&str>) {
    batch.log(
        &EVENT,
        vec![
            id.into(),
            rev.into(),
            from.map(JobState::as_str).into(),
            to.as_str().into(),
            actor.as_str().into(),
            now_us.into(),
            reason.map(cut_diag).into(),
        ],
    );
}

/// Moves `before` to the state of `after`, writing the changed columns of `after`; conflicts when the row no longer has `before.rev`.
/// `after.state` must differ from `before.state`; use [`set`] otherwise.
pub fn move_to(
    batch: &mut Batch,
    before: &JobRow,
    after: &JobRow,
    actor: Actor,
    now_us: i64,
    reason: Option<&str>,
) -> Result<(), IllegalTransition> {
    transition::check(Some(before.state), after.state, actor)?;
    let ready = if after.state == JobState::Activated { after.lane_id } else { None };
    batch.guard(
        &MOVE,
        vec![
            ("state", after.state.as_str().into()),
            ("sub", after.sub_state.as_deref().into()),
            ("ready", ready.into()),
            ("attempt", after.attempt.into()),
            ("command", after.command.as_deref().into()),
            ("host", after.host.as_deref().into()),
            ("batch", after.batch_id.as_deref().into()),
            ("trans", after.trans_exit_code.into()),
            ("pilot", after.pilot_error_code.into()),
            ("exe", after.exe_error_code.into()),
            ("ddm", after.ddm_error_code.into()),
            ("sup", after.sup_error_code.into()),
            ("dispatcher", after.dispatcher_error_code.into()),
            ("server", after.server_error_code.into()),
            ("diag", after.diag.as_deref().map(cut_diag).into()),
            ("now", now_us.into()),
            ("started", after.started_us.into()),
            ("ended", after.ended_us.into()),
            ("id", before.id.into()),
            ("rev", before.rev.into()),
        ],
        1,
    );
    event(batch, before.id, before.rev + 1, Some(before.state), after.state, actor, now_us, reason);
    if let (JobState::Activated, Some(queue)) = (after.state, after.queue_id) {
        batch.wake(Topic::Ready(queue));
    }
    if after.state.is_final() || after.state == JobState::Merging {
        batch.wake(Topic::Ended);
    }
    Ok(())
}

/// Writes command, debug flag, node, batch id, priority, the server's code and the diagnosis of a job that still has `before.rev`, without a change of state.
pub fn set(batch: &mut Batch, before: &JobRow, after: &JobRow, now_us: i64) {
    batch.guard(
        &SET,
        vec![
            ("command", after.command.as_deref().into()),
            ("debug", after.debug.into()),
            ("host", after.host.as_deref().into()),
            ("batch", after.batch_id.as_deref().into()),
            ("neg", after.neg_priority.into()),
            ("server", after.server_error_code.into()),
            ("diag", after.diag.as_deref().map(cut_diag).into()),
            ("now", now_us.into()),
            ("id", before.id.into()),
            ("rev", before.rev.into()),
        ],
        1,
    );
}

/// Makes the batch a conflict when a job has changed since it was read; who changes it at the same time waits.
pub fn guard(batch: &mut Batch, job: &JobRow) {
    batch.guard(&GUARD, vec![("id", job.id.into()), ("rev", job.rev.into())], 1);
}

/// Gives a job that still has `before.rev` a queue and lane; [`move_to`] follows in the same batch.
pub fn place(batch: &mut Batch, before: &JobRow, queue: QueueId, lane: LaneId) {
    let binds = vec![("queue", queue.into()), ("lane", lane.into()), ("id", before.id.into()), ("rev", before.rev.into())];
    batch.guard(&PLACE, binds, 1);
}
/// Gives a job that is ready, and still has `before.rev`, another queue and lane; its state stays.
pub fn replace(batch: &mut Batch, before: &JobRow, queue: QueueId, lane: LaneId, now_us: i64) {
    let binds = vec![
        ("queue", queue.into()),
        ("lane", lane.into()),
        ("ready", lane.into()),
        ("now", now_us.into()),
        ("id", before.id.into()),
        ("rev", before.rev.into()),
    ];
    batch.guard(&REPLACE, binds, 1);
    batch.wake(Topic::Ready(queue));
}
/// Moves those of these jobs (at most 1,000) that are in lane `old` to another lane of the same queue, whatever their state.
pub fn relane(batch: &mut Batch, ids: &[i64], old: LaneId, new: LaneId, now_us: i64) {
    batch.exec(
        &RELANE,
        vec![("lane", new.into()), ("ready", new.into()), ("now", now_us.into()), ("ids", ids.to_vec().into()), ("old", old.into())],
    );
}
/// Gives a job that has not started and still has priority `old` another priority.
pub fn set_priority(batch: &mut Batch, id: JobId, old: i64, new: i64, now_us: i64) {
    batch.exec(&PRIORITY, vec![("neg", (-new).into()), ("now", now_us.into()), ("id", id.into()), ("old", (-old).into())]);
}
/// Replaces a job's own document fragment.
pub fn set_doc(batch: &mut Batch, id: JobId, doc: &str) {
    batch.guard(&DOC_SET, vec![("doc", doc.into()), ("id", id.into())], 1);
}
/// Writes the worker's code, the server's code and the diagnosis of a job that still has `before.rev`, whose state stays.
pub fn mark(batch: &mut Batch, before: &JobRow, after: &JobRow, now_us: i64) {
    let binds = vec![
        ("sup", after.sup_error_code.into()),
        ("server", after.server_error_code.into()),
        ("diag", after.diag.as_deref().map(cut_diag).into()),
        ("now", now_us.into()),
        ("id", before.id.into()),
        ("rev", before.rev.into()),
    ];
    batch.guard(&MARK, binds, 1);
}

/// Leaves a command for the pilot of a job that is with one; touches nothing otherwise.
pub fn command(batch: &mut Batch, id: JobId, command: &str, now_us: i64) {
    batch.exec(&COMMAND, vec![("command", command.into()), ("now", now_us.into()), ("id", id.into())]);
}
