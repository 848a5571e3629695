//! Counting jobs over everything, for decisions and for people; the engine's `count` loop and the statistics of the API run these.

use panda_core::{
    id::{LaneId, QueueId},
    job::state::JobState,
    task::state::TaskState,
};

use super::list::words;
use crate::{Error, Store, query::code, statements};

/// Most lines of one count; what is beyond is not counted.
pub const MAX_LINES: usize = 100_000;

statements! {
    // Both read the index job_count alone.
    read LIVE = "job.count_live", "SELECT state, lane_id, label, vo, person_id, core_count, COUNT(*) FROM job WHERE state IN (:states*) GROUP BY state, lane_id, label, vo, person_id, core_count LIMIT 100000";
    read ALL_STATES = "job.count", "SELECT state, lane_id, label, COUNT(*) FROM job GROUP BY state, lane_id, label LIMIT 100000";
    // Reads the rows: for people, who wait; answers are kept for a while.
    read LIVE_TYPES = "job.count_live_types", "SELECT state, lane_id, label, processing_type, COUNT(*) FROM job WHERE state IN (:states*) GROUP BY state, lane_id, label, processing_type LIMIT 100000";
    read ENDED_TYPES = "job.count_ended_types", "SELECT state, lane_id, label, processing_type, COUNT(*) FROM job WHERE queue_id IN (:queues*) AND ended_us > :since GROUP BY state, lane_id, label, processing_type LIMIT 100000";
    // Working groups are the tasks'; jobs on the way to a pilot or with one.
    [hot] read WORKING_GROUPS = "job.count_groups", "SELECT t.vo, t.working_group, j.state, j.core_count, COUNT(*) FROM task t JOIN job j ON j.task_id = t.id WHERE t.state IN (:live*) AND t.working_group IS NOT NULL AND j.state IN ('activated', 'sent', 'starting', 'running') GROUP BY t.vo, t.working_group, j.state, j.core_count LIMIT 100000";
    // The state is left to the caller: with it SQLite takes the index of states and walks over all that ever ended.
    [hot] read ENDED = "job.count_ended", "SELECT queue_id, person_id, state, COUNT(*) FROM job WHERE queue_id IN (:queues*) AND ended_us > :since AND ended_us <= :until GROUP BY queue_id, person_id, state LIMIT 100000";
}

/// Live jobs of a working group's tasks that share all that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfGroup {
    /// VO.
    pub vo: String,
    /// Working group.
    pub group: String,
    /// State.
    pub state: JobState,
    /// Cores of each.
    pub core_count: i64,
    /// How many.
    pub n: i64,
}

/// Live jobs that share all that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// State.
    pub state: JobState,
    /// Lane; none before they have a queue.
    pub lane: Option<LaneId>,
    /// `prodSourceLabel`.
    pub label: String,
    /// VO.
    pub vo: String,
    /// Owner's row id.
    pub person: i64,
    /// Cores of each.
    pub core_count: i64,
    /// How many.
    pub n: i64,
}

/// Jobs of a state, lane and label, ended ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// State.
    pub state: JobState,
    /// Lane; none before they have a queue.
    pub lane: Option<LaneId>,
    /// `prodSourceLabel`.
    pub label: String,
    /// How many.
    pub n: i64,
}

/// Jobs of a state, lane, label and processing type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfType {
    /// State.
    pub state: JobState,
    /// Lane; none before they have a queue.
    pub lane: Option<LaneId>,
    /// `prodSourceLabel`.
    pub label: String,
    /// Processing type; empty when they have none.
    pub processing_type: String,
    /// How many.
    pub n: i64,
}

fn state(text: &str) -> Result<JobState, Error> {
    code("job state", text, JobState::parse(text).ok())
}

/// All live jobs; at most [`MAX_LINES`] lines.
pub async fn live(store: &Store) -> Result<Vec<Live>, Error> {
    let rows = store.fetch(&LIVE, vec![("states", words(JobState::LIVE))]).await?;
    rows.iter()
        .map(|r| {
            Ok(Live {
                state: state(r.text(0)?)?,
                lane: r.opt_int(1)?.map(LaneId),
                label: r.text(2)?.to_owned(),
                vo: r.text(3)?.to_owned(),
                person: r.int(4)?,
                core_count: r.int(5)?,
                n: r.int(6)?,
            })
        })
        .collect()
}
/// All jobs; at most [`MAX_LINES`] lines.
pub async fn groups(store: &Store) -> Result<Vec<Group>, Error> {
    let rows = store.fetch(&ALL_STATES, vec![]).await?;
    rows.iter()
        .map(|r| Ok(Group { state: state(r.text(0)?)?, lane: r.opt_int(1)?.map(LaneId), label: r.text(2)?.to_owned(), n: r.int(3)? }))
        .collect()
}
/// Live jobs, and those that ended at these queues (at most 1,000) after `since_us` and are not archived; at most [`MAX_LINES`] lines each.
pub async fn types(store: &Store, queues: &[QueueId], since_us: i64) -> Result<Vec<OfType>, Error> {
    let queues: Vec<i64> = queues.iter().map(|q| q.0).collect();
    let mut rows = store.fetch(&LIVE_TYPES, vec![("states", words(JobState::LIVE))]).await?;
    if !queues.is_empty() {
        rows.extend(store.fetch(&ENDED_TYPES, vec![("queues", queues.into()), ("since", since_us.into())]).await?);
    }
    rows.iter()
        .map(|r| {
            Ok(OfType {
                state: state(r.text(0)?)?,
                lane: r.opt_int(1)?.map(LaneId),
                label: r.text(2)?.to_owned(),
                processing_type: r.opt_text(3)?.unwrap_or_default().to_owned(),
                n: r.int(4)?,
            })
        })
        .collect()
}
/// Jobs of working groups that are ready for a pilot or with one; at most [`MAX_LINES`] lines.
pub async fn working_groups(store: &Store) -> Result<Vec<OfGroup>, Error> {
    let live: Vec<String> = TaskState::LIVE.iter().map(|s| s.as_str().to_owned()).collect();
    let rows = store.fetch(&WORKING_GROUPS, vec![("live", live.into())]).await?;
    rows.iter()
        .map(|r| {
            Ok(OfGroup {
                vo: r.text(0)?.to_owned(),
                group: r.text(1)?.to_owned(),
                state: state(r.text(2)?)?,
                core_count: r.int(3)?,
                n: r.int(4)?,
            })
        })
        .collect()
}
/// Jobs that finished or failed at these queues (at most 1,000) after `since_us` and not after `until_us`, by queue and person; at most
/// [`MAX_LINES`] lines.
pub async fn ended(store: &Store, queues: &[QueueId], since_us: i64, until_us: i64) -> Result<Vec<(QueueId, i64, JobState, i64)>, Error> {
    let queues: Vec<i64> = queues.iter().map(|q| q.0).collect();
    let rows = store.fetch(&ENDED, vec![("queues", queues.into()), ("since", since_us.into()), ("until", until_us.into())]).await?;
    let lines = rows.iter().map(|r| Ok((QueueId(r.int(0)?), r.int(1)?, state(r.text(2)?)?, r.int(3)?)));
    lines.filter(|l| l.as_ref().map_or(true, |(_, _, state, _)| matches!(state, JobState::Finished | JobState::Failed))).collect()
}
