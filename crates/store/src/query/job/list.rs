//! Reading jobs: one, lists, counts, history.

use panda_core::{
    id::{JobId, LaneId, QueueId, TaskId},
    job::{record::JobKind, state::JobState},
};

use super::{JobRow, job_columns, read};
use crate::{
    Error, Store,
    query::{MAX_PAGE, code},
    statements,
};

statements! {
    [hot] read GET = "job.get", concat!("SELECT ", job_columns!(), " FROM job WHERE id = :id LIMIT 1");
    [hot] read MANY = "job.many", concat!("SELECT ", job_columns!(), " FROM job WHERE id IN (:ids*) ORDER BY id LIMIT 1000");
    [hot] read OF_TASK = "job.of_task", concat!("SELECT ", job_columns!(), " FROM job WHERE task_id = :task AND id > :after ORDER BY id LIMIT :n");
    [hot] read OF_TASK_IN = "job.of_task_in", concat!("SELECT ", job_columns!(), " FROM job WHERE task_id = :task AND state IN (:states*) ORDER BY id LIMIT :n");
    [hot] read WAITING = "job.waiting", concat!("SELECT ", job_columns!(), " FROM job WHERE wait_job = :job AND state IN (:states*) ORDER BY id LIMIT :n");
    [hot] read IN_STATE = "job.in_state", concat!("SELECT ", job_columns!(), " FROM job WHERE state = :state AND id > :after ORDER BY id LIMIT :n");
    [hot] read UNPLACED = "job.unplaced", concat!("SELECT ", job_columns!(), " FROM job WHERE state = 'defined' AND queue_id IS NULL AND task_id IS NULL AND id > :after ORDER BY id LIMIT :n");
    [hot] read ALONE = "job.alone", concat!("SELECT ", job_columns!(), " FROM job WHERE person_id = :person AND task_id IS NULL ORDER BY id DESC LIMIT :n");
    read RECENT = "job.recent", concat!("SELECT ", job_columns!(), " FROM job WHERE id < :before ORDER BY id DESC LIMIT :n");
    [hot] read IDS_OF_TASK = "job.ids_of_task", "SELECT id FROM job WHERE task_id = :task AND id > :after ORDER BY id LIMIT :n";
    [hot] read BRIEF_OF_TASK = "job.brief_of_task", "SELECT id, state, kind FROM job WHERE task_id = :task AND id > :after ORDER BY id LIMIT :n";
    [hot] read DOCS = "job.docs", "SELECT d.job_id, d.doc, c.doc FROM job_doc d LEFT JOIN job_common c ON c.id = d.common_id WHERE d.job_id IN (:ids*) ORDER BY d.job_id LIMIT 1000";
    // Asked once a minute of a task whose jobs are told of; reads all of its jobs.
    [hot] read CHANGED = "job.changed", "SELECT id, state, sub_state, state_us FROM job WHERE task_id = :task AND state_us <= :until AND (state_us > :since OR (state_us = :since AND id > :after)) ORDER BY state_us, id LIMIT :n";
    [hot] read AHEAD = "job.ahead", "SELECT COUNT(*) FROM job WHERE ready_lane = :lane AND (neg_priority < :neg OR (neg_priority = :neg AND id < :id)) LIMIT 1";
    [hot] read PLACED = "job.placed", "SELECT id, lane_id, neg_priority, kind FROM job WHERE task_id = :task AND state = :state AND id > :after ORDER BY id LIMIT :n";
    // Reads the whole lane: asked for once in a while, for many jobs.
    [hot] read OLDEST_READY = "job.oldest_ready", "SELECT id FROM job WHERE ready_lane = :lane ORDER BY id LIMIT :n";
    [hot] read LAST_READY = "job.last_ready", "SELECT id, neg_priority FROM job WHERE ready_lane = :lane ORDER BY neg_priority DESC, id DESC LIMIT :n";
    [hot] read READY_WALLTIME = "job.ready_walltime", "SELECT MIN(w.walltime_s), SUM(w.walltime_s * w.core_count) FROM (SELECT walltime_s, core_count FROM job WHERE ready_lane IN (:lanes*) LIMIT 100000) w LIMIT 1";
    [hot] read DIAGS = "job.diags", "SELECT id, queue_id, diag FROM job WHERE task_id = :task AND state IN ('failed', 'cancelled', 'closed') AND diag IS NOT NULL ORDER BY id DESC LIMIT 500";
    [hot] read COUNT_QUEUES = "job.count_queues", "SELECT queue_id, COUNT(*) FROM job WHERE task_id = :task AND state = 'activated' AND queue_id IS NOT NULL GROUP BY queue_id ORDER BY queue_id LIMIT 1000";
    [hot] read COUNT_TASK = "job.count_task", "SELECT state, COUNT(*) FROM job WHERE task_id = :task GROUP BY state ORDER BY state LIMIT 100";
    [hot] read DOC = "job.doc", "SELECT d.doc, c.doc FROM job_doc d LEFT JOIN job_common c ON c.id = d.common_id WHERE d.job_id = :id LIMIT 1";
    [hot] read EVENTS = "job.events", "SELECT rev, from_state, to_state, actor, at_us, reason FROM job_event WHERE job_id = :id ORDER BY rev LIMIT 1000";
    [hot] read LIVE = "job.live", "SELECT attempt, seen_us, doc FROM job_live WHERE job_id = :id LIMIT 1";
    // Ended builds that jobs still wait for.
    [hot] read AWAITED = "job.awaited", "SELECT DISTINCT b.id FROM job j JOIN job b ON b.id = j.wait_job WHERE j.state IN ('pending', 'defined', 'waiting') AND b.state IN ('finished', 'failed', 'cancelled', 'closed') AND b.id > :after ORDER BY b.id LIMIT :n";
    // Jobs of a task that may still bring pre-merge files.
    [hot] read MAKING = "job.making", "SELECT COUNT(*) FROM job WHERE task_id = :task AND state IN (:states*) AND kind <> 'merge' LIMIT 1";
    [hot] read ANY_BUT_MERGE = "job.any_but_merge", "SELECT id FROM job WHERE task_id = :task AND state IN (:states*) AND kind NOT IN ('merge', 'es_merge') LIMIT 1";
    [hot] read OF_KIND = "job.of_kind", concat!("SELECT ", job_columns!(), " FROM job WHERE task_id = :task AND state IN (:states*) AND kind = :kind ORDER BY id LIMIT 1000");
    [hot] read ANY_READY = "job.any_ready", "SELECT id FROM job WHERE ready_lane IN (:lanes*) LIMIT 1";
    // Once at a worker's start: jobs that the database holds for it.
    read HELD = "job.held", "SELECT id, attempt FROM job WHERE state IN (:states*) AND queue_id = :queue AND host = :host ORDER BY id LIMIT :n";
    // From when on something may be overdue: a walk that tells that none is, so that the next ones need not be.
    [hot] read OLDEST = "job.oldest", "SELECT MIN(j.created_us), MIN(j.state_us), MIN(CASE WHEN l.seen_us > j.modified_us THEN l.seen_us ELSE j.modified_us END), MIN(CASE WHEN j.kind = 'merge' THEN j.created_us END) FROM job j LEFT JOIN job_live l ON l.job_id = j.id WHERE j.state = :state LIMIT 1";
    // What may be overdue: made, changed, or last heard of before these instants; merges and jobs of some queues have instants of their own.
    [hot] read OVERDUE = "job.overdue", "SELECT j.id, l.seen_us FROM job j LEFT JOIN job_live l ON l.job_id = j.id WHERE j.state = :state AND j.id > :after AND (j.created_us < :created OR j.state_us < :since OR (j.kind = 'merge' AND j.created_us < :merges) OR (j.state_us < :idle AND j.queue_id IN (:dead*)) OR (j.modified_us < :heard AND (l.seen_us IS NULL OR l.seen_us < :heard))) ORDER BY j.id LIMIT :n";
    [hot] read OF_TASK_AFTER = "job.of_task_after", concat!("SELECT ", job_columns!(), " FROM job WHERE task_id = :task AND state IN (:states*) AND id > :after ORDER BY id LIMIT :n");
    // Jobs of a task that a kill of the task has not reached: a job in `merging` has no pilot that could hear.
    [hot] read TO_KILL = "job.to_kill", concat!("SELECT ", job_columns!(), " FROM job WHERE task_id = :task AND state IN (:states*) AND id > :after AND (command IS NULL OR command <> 'tobekilled' OR state = 'merging') ORDER BY id LIMIT :n");
}

/// The state of a job, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Number.
    pub id: JobId,
    /// State.
    pub state: JobState,
    /// Sub-state.
    pub sub_state: Option<String>,
    /// Microseconds UTC.
    pub state_us: i64,
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Revision after the change.
    pub rev: i64,
    /// State before; None for the creation.
    pub from: Option<String>,
    /// State after.
    pub to: String,
    /// Who did it.
    pub actor: String,
    /// Microseconds UTC.
    pub at_us: i64,
    /// Why, when there is something to say.
    pub reason: Option<String>,
}

/// One job.
pub async fn get(store: &Store, id: JobId) -> Result<Option<JobRow>, Error> {
    store.fetch(&GET, vec![("id", id.into())]).await?.first().map(read).transpose()
}
/// Jobs of these ids (at most 1,000), by id; unknown ones are left out.
pub async fn many(store: &Store, ids: &[JobId]) -> Result<Vec<JobRow>, Error> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    store.fetch(&MANY, vec![("ids", ids.into())]).await?.iter().map(read).collect()
}
/// Jobs of a task with an id above `after`, by id; at most `n` and 1,000.
pub async fn of_task(store: &Store, task: TaskId, after: JobId, n: i64) -> Result<Vec<JobRow>, Error> {
    let binds = vec![("task", task.into()), ("after", after.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&OF_TASK, binds).await?.iter().map(read).collect()
}
pub(crate) fn words(states: &[JobState]) -> crate::Value {
    states.iter().map(|s| s.as_str().to_owned()).collect::<Vec<_>>().into()
}
/// Jobs of a task in one of these states, by id; at most `n` and 1,000.
pub async fn of_task_in(store: &Store, task: TaskId, states: &[JobState], n: i64) -> Result<Vec<JobRow>, Error> {
    let binds = vec![("task", task.into()), ("states", words(states)), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&OF_TASK_IN, binds).await?.iter().map(read).collect()
}
/// Whether a task has a job in one of these states that is no merge job.
pub async fn any_but_merge(store: &Store, task: TaskId, states: &[JobState]) -> Result<bool, Error> {
    Ok(!store.fetch(&ANY_BUT_MERGE, vec![("task", task.into()), ("states", words(states))]).await?.is_empty())
}
/// Jobs that wait for the library of `job` in one of these states; at most `n` and 1,000.
pub async fn waiting_for(store: &Store, job: JobId, states: &[JobState], n: i64) -> Result<Vec<JobRow>, Error> {
    let binds = vec![("job", job.into()), ("states", words(states)), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&WAITING, binds).await?.iter().map(read).collect()
}
/// Jobs in a state with an id above `after`, by id; at most `n` and 1,000.
pub async fn in_state(store: &Store, state: JobState, after: JobId, n: i64) -> Result<Vec<JobRow>, Error> {
    let binds = vec![("state", state.as_str().into()), ("after", after.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&IN_STATE, binds).await?.iter().map(read).collect()
}
/// Jobs without a task above `after` that no queue could take yet, by id; at most `n` and 1,000.
pub async fn unplaced(store: &Store, after: JobId, n: i64) -> Result<Vec<JobRow>, Error> {
    store.fetch(&UNPLACED, vec![("after", after.into()), ("n", n.min(MAX_PAGE).into())]).await?.iter().map(read).collect()
}
/// A person's jobs without a task, newest first; at most `n` and 1,000.
pub async fn alone(store: &Store, person: i64, n: i64) -> Result<Vec<JobRow>, Error> {
    let binds = vec![("person", person.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&ALONE, binds).await?.iter().map(read).collect()
}
/// The newest jobs with an id below `before`; at most `n` and 1,000.
pub async fn recent(store: &Store, before: JobId, n: i64) -> Result<Vec<JobRow>, Error> {
    let binds = vec![("before", before.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&RECENT, binds).await?.iter().map(read).collect()
}
/// Ids of a task's jobs above `after`; at most `n` and 10,000.
pub async fn ids_of_task(store: &Store, task: TaskId, after: JobId, n: i64) -> Result<Vec<JobId>, Error> {
    let binds = vec![("task", task.into()), ("after", after.into()), ("n", n.min(10_000).into())];
    store.fetch(&IDS_OF_TASK, binds).await?.iter().map(|r| Ok(JobId(r.int(0)?))).collect()
}
/// Id, state and kind of a task's jobs above `after`, by id; at most `n` and 10,000.
pub async fn brief_of_task(store: &Store, task: TaskId, after: JobId, n: i64) -> Result<Vec<(JobId, JobState, JobKind)>, Error> {
    let binds = vec![("task", task.into()), ("after", after.into()), ("n", n.min(10_000).into())];
    let rows = store.fetch(&BRIEF_OF_TASK, binds).await?;
    rows.iter()
        .map(|r| {
            let state = code("job state", r.text(1)?, JobState::parse(r.text(1)?).ok())?;
            Ok((JobId(r.int(0)?), state, code("job kind", r.text(2)?, JobKind::parse(r.text(2)?).ok())?))
        })
        .collect()
}
/// How many activated jobs of a lane are handed out before this one.
pub async fn ahead(store: &Store, lane: LaneId, neg_priority: i64, id: JobId) -> Result<i64, Error> {
    let binds = vec![("lane", lane.into()), ("neg", neg_priority.into()), ("id", id.into())];
    store.fetch(&AHEAD, binds).await?.first().map_or(Ok(0), |r| r.int(0))
}
/// Id and priority of the activated jobs of a lane that would be handed out last; at most `n` and 1,000.
pub async fn last_ready(store: &Store, lane: LaneId, n: i64) -> Result<Vec<(i64, JobId)>, Error> {
    let rows = store.fetch(&LAST_READY, vec![("lane", lane.into()), ("n", n.min(MAX_PAGE).into())]).await?;
    rows.iter().map(|r| Ok((-r.int(1)?, JobId(r.int(0)?)))).collect()
}
/// The oldest activated jobs of a lane; at most `n` and 1,000.
pub async fn oldest_ready(store: &Store, lane: LaneId, n: i64) -> Result<Vec<i64>, Error> {
    let rows = store.fetch(&OLDEST_READY, vec![("lane", lane.into()), ("n", n.min(MAX_PAGE).into())]).await?;
    rows.iter().map(|r| r.int(0)).collect()
}
/// Whether all activated jobs of these lanes (at most 1,000) state their wall time, and the sum of it times cores, seconds; the first 100,000 of them.
pub async fn ready_walltime(store: &Store, lanes: &[LaneId]) -> Result<(bool, i64), Error> {
    let lanes: Vec<i64> = lanes.iter().map(|l| l.0).collect();
    let rows = store.fetch(&READY_WALLTIME, vec![("lanes", lanes.into())]).await?;
    rows.first().map_or(Ok((true, 0)), |r| Ok((r.opt_int(0)?.is_none_or(|least| least > 0), r.opt_int(1)?.unwrap_or(0))))
}
/// Where a job of a task stands in the order of dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The job.
    pub id: JobId,
    /// Its lane.
    pub lane: Option<LaneId>,
    /// Its priority.
    pub priority: i64,
    /// What it is.
    pub kind: JobKind,
}
/// Jobs of a task in a state with an id above `after`, by id; at most `n` and 1,000.
pub async fn placed(store: &Store, task: TaskId, state: JobState, after: JobId, n: i64) -> Result<Vec<Placed>, Error> {
    let binds = vec![("task", task.into()), ("state", state.as_str().into()), ("after", after.into()), ("n", n.min(MAX_PAGE).into())];
    let rows = store.fetch(&PLACED, binds).await?;
    rows.iter()
        .map(|r| {
            Ok(Placed {
                id: JobId(r.int(0)?),
                lane: r.opt_int(1)?.map(LaneId),
                priority: -r.int(2)?,
                kind: code("job kind", r.text(3)?, JobKind::parse(r.text(3)?).ok())?,
            })
        })
        .collect()
}
/// Queue and diagnosis of a task's newest 500 jobs that ended badly.
pub async fn diags(store: &Store, task: TaskId) -> Result<Vec<(JobId, Option<QueueId>, String)>, Error> {
    let rows = store.fetch(&DIAGS, vec![("task", task.into())]).await?;
    rows.iter().map(|r| Ok((JobId(r.int(0)?), r.opt_int(1)?.map(QueueId), r.text(2)?.to_owned()))).collect()
}
/// How many activated jobs of a task each queue has.
pub async fn count_queues(store: &Store, task: TaskId) -> Result<Vec<(QueueId, i64)>, Error> {
    let rows = store.fetch(&COUNT_QUEUES, vec![("task", task.into())]).await?;
    rows.iter().map(|r| Ok((QueueId(r.int(0)?), r.int(1)?))).collect()
}
/// How many jobs of a task are in each state.
pub async fn count_task(store: &Store, task: TaskId) -> Result<Vec<(String, i64)>, Error> {
    let rows = store.fetch(&COUNT_TASK, vec![("task", task.into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect()
}
/// The job's own document fragment and the common one.
pub async fn doc(store: &Store, id: JobId) -> Result<Option<(String, String)>, Error> {
    let mut rows = store.fetch(&DOC, vec![("id", id.into())]).await?;
    rows.first_mut().map(|r| Ok((r.take_text(0)?.unwrap_or_default(), r.take_text(1)?.unwrap_or_default()))).transpose()
}
/// The own and common document fragments of these jobs (at most 1,000), by job.
pub async fn docs(store: &Store, ids: &[JobId]) -> Result<Vec<(JobId, String, String)>, Error> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let mut rows = store.fetch(&DOCS, vec![("ids", ids.into())]).await?;
    rows.iter_mut().map(|r| Ok((JobId(r.int(0)?), r.take_text(1)?.unwrap_or_default(), r.take_text(2)?.unwrap_or_default()))).collect()
}
/// A job's history, oldest first.
pub async fn events(store: &Store, id: JobId) -> Result<Vec<Event>, Error> {
    let rows = store.fetch(&EVENTS, vec![("id", id.into())]).await?;
    rows.iter().map(event).collect()
}
pub(crate) fn event(r: &crate::Row) -> Result<Event, Error> {
    Ok(Event {
        rev: r.int(0)?,
        from: r.opt_text(1)?.map(str::to_owned),
        to: r.text(2)?.to_owned(),
        actor: r.text(3)?.to_owned(),
        at_us: r.int(4)?,
        reason: r.opt_text(5)?.map(str::to_owned),
    })
}
/// The last heartbeat: attempt, microseconds UTC, metrics (JSON).
pub async fn live(store: &Store, id: JobId) -> Result<Option<(i64, i64, Option<String>)>, Error> {
    let rows = store.fetch(&LIVE, vec![("id", id.into())]).await?;
    rows.first().map(|r| Ok((r.int(0)?, r.int(1)?, r.opt_text(2)?.map(str::to_owned)))).transpose()
}
/// Most rows that [`overdue`] answers: each call walks over all jobs of the state, so that pages as small as others' would walk as often as there are
/// pages.
pub const MAX_OVERDUE: i64 = 20_000;

/// What makes a job overdue: instants, microseconds UTC; none = not looked at.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// Made before this.
    pub created: Option<i64>,
    /// In its state since before this.
    pub since: Option<i64>,
    /// Last heard of before this.
    pub heard: Option<i64>,
    /// A merge job made before this.
    pub merges: Option<i64>,
    /// In its state since before this, at one of the queues `dead`.
    pub idle: Option<i64>,
    /// Those queues, at most 1,000.
    pub dead: Vec<i64>,
}

/// The oldest instants of jobs in a state, microseconds UTC; `i64::MAX` where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oldest {
    /// Of the making.
    pub created: i64,
    /// Of the last change of state.
    pub since: i64,
    /// Of the last change or sign of life.
    pub heard: i64,
    /// Of the making of a merge job.
    pub merges: i64,
}

impl Oldest {
    /// Whether no job that has these instants, or later ones, is overdue.
    #[must_use]
    pub fn is_in_time(&self, before: &Before) -> bool {
        let later = |oldest: i64, limit: Option<i64>| limit.is_none_or(|at| oldest >= at);
        later(self.created, before.created)
            && later(self.since, before.since)
            && later(self.since, before.idle)
            && later(self.heard, before.heard)
            && later(self.merges, before.merges)
    }
}

/// The oldest instants of the jobs in a state.
pub async fn oldest(store: &Store, state: JobState) -> Result<Oldest, Error> {
    let rows = store.fetch(&OLDEST, vec![("state", state.as_str().into())]).await?;
    let at = |i| rows.first().map_or(Ok(None), |r| r.opt_int(i)).map(|at| at.unwrap_or(i64::MAX));
    Ok(Oldest { created: at(0)?, since: at(1)?, heard: at(2)?, merges: at(3)? })
}

/// Jobs in `state` above `after` that are overdue, by id, each with its last heartbeat; at most [`MAX_OVERDUE`].
pub async fn overdue(store: &Store, state: JobState, after: JobId, before: &Before) -> Result<Vec<(JobId, Option<i64>)>, Error> {
    let never = |at: Option<i64>| crate::Value::from(at.unwrap_or(i64::MIN));
    // No queue has the number 0.
    let dead = if before.dead.is_empty() { vec![0] } else { before.dead.clone() };
    let binds = vec![
        ("state", state.as_str().into()),
        ("after", after.into()),
        ("created", never(before.created)),
        ("since", never(before.since)),
        ("merges", never(before.merges)),
        ("idle", never(before.idle)),
        ("dead", dead.into()),
        ("heard", never(before.heard)),
        ("n", MAX_OVERDUE.into()),
    ];
    store.fetch(&OVERDUE, binds).await?.iter().map(|r| Ok((JobId(r.int(0)?), r.opt_int(1)?))).collect()
}
/// Jobs of a task in one of these states above `after`, by id; at most `n` and 1,000.
pub async fn of_task_after(store: &Store, task: TaskId, states: &[JobState], after: JobId, n: i64) -> Result<Vec<JobRow>, Error> {
    let binds = vec![("task", task.into()), ("states", words(states)), ("after", after.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&OF_TASK_AFTER, binds).await?.iter().map(read).collect()
}
/// Jobs of a task in one of these states above `after` whose pilots were not told to stop, by id; at most `n` and 1,000.
pub async fn to_kill(store: &Store, task: TaskId, states: &[JobState], after: JobId, n: i64) -> Result<Vec<JobRow>, Error> {
    let binds = vec![("task", task.into()), ("states", words(states)), ("after", after.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&TO_KILL, binds).await?.iter().map(read).collect()
}
/// Id and attempt of a queue's jobs in one of these states that were handed to this host, by id; at most `n` and 10,000.
pub async fn held(store: &Store, states: &[JobState], queue: QueueId, host: &str, n: i64) -> Result<Vec<(JobId, i64)>, Error> {
    let binds = vec![("states", words(states)), ("queue", queue.0.into()), ("host", host.into()), ("n", n.min(10_000).into())];
    store.fetch(&HELD, binds).await?.iter().map(|r| Ok((JobId(r.int(0)?), r.int(1)?))).collect()
}
/// Whether any of these lanes (at most 1,000) has an activated job.
pub async fn any_ready(store: &Store, lanes: &[LaneId]) -> Result<bool, Error> {
    if lanes.is_empty() {
        return Ok(false);
    }
    let lanes: Vec<i64> = lanes.iter().map(|l| l.0).collect();
    Ok(!store.fetch(&ANY_READY, vec![("lanes", lanes.into())]).await?.is_empty())
}
/// Ended build jobs above `after` that jobs still wait for, by id; at most `n` and 1,000.
pub async fn awaited(store: &Store, after: JobId, n: i64) -> Result<Vec<JobId>, Error> {
    let binds = vec![("after", after.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&AWAITED, binds).await?.iter().map(|r| Ok(JobId(r.int(0)?))).collect()
}
/// Jobs of a task and a kind that have not ended; at most 1,000.
pub async fn live_of_kind(store: &Store, task: TaskId, kind: JobKind) -> Result<Vec<JobRow>, Error> {
    let binds = vec![("task", task.into()), ("states", words(JobState::LIVE)), ("kind", kind.as_str().into())];
    store.fetch(&OF_KIND, binds).await?.iter().map(read).collect()
}
/// How many jobs of a task, merge jobs aside, have not come to `merging` or an end.
pub async fn making(store: &Store, task: TaskId) -> Result<i64, Error> {
    let before: Vec<JobState> = JobState::LIVE.iter().copied().filter(|s| *s != JobState::Merging).collect();
    let rows = store.fetch(&MAKING, vec![("task", task.into()), ("states", words(&before))]).await?;
    rows.first().map_or(Ok(0), |r| r.int(0))
}
/// Jobs at hand of a task whose state has changed behind this instant and number, and not after `until_us`, in the order of their changes; at most `n` and
/// 1,000.
pub async fn changed(store: &Store, task: TaskId, behind: (i64, i64), until_us: i64, n: i64) -> Result<Vec<Changed>, Error> {
    let binds = vec![
        ("task", task.into()),
        ("until", until_us.into()),
        ("since", behind.0.into()),
        ("after", behind.1.into()),
        ("n", n.min(MAX_PAGE).into()),
    ];
    let rows = store.fetch(&CHANGED, binds).await?;
    let one = |r: &crate::Row| {
        let state = code("job state", r.text(1)?, JobState::parse(r.text(1)?).ok())?;
        Ok(Changed { id: JobId(r.int(0)?), state, sub_state: r.opt_text(2)?.map(str::to_owned), state_us: r.int(3)? })
    };
    rows.iter().map(one).collect()
}
