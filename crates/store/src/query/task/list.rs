//! Reading tasks: one, lists, history.

use panda_core::{id::TaskId, task::state::TaskState};

use super::{TaskRow, read, task_columns};
use crate::{
    Error, Row, Store,
    query::{MAX_PAGE, job::list::Event},
    statements,
};

statements! {
    [hot] read GET = "task.get", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.id = :id LIMIT 1");
    [hot] read PARAMS = "task.params", "SELECT params FROM task_doc WHERE task_id = :id LIMIT 1";
    [hot] read DOC = "task.doc", "SELECT params, adjust FROM task_doc WHERE task_id = :id LIMIT 1";
    [hot] read IN_STATES = "task.in_states", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.state IN (:states*) AND t.id > :after ORDER BY t.id LIMIT :n");
    [hot] read MANY = "task.many", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.id IN (:ids*) ORDER BY t.id LIMIT 1000");
    // Tasks that want jobs: only what their turn is decided on.
    [hot] read WAITING = "task.waiting", "SELECT t.id, t.vo, t.label, t.share_name, t.person_id, t.priority, t.state, d.n_files - d.n_used - d.n_missing - d.n_on_hold FROM task_dataset d JOIN task t ON t.id = d.task_id WHERE d.todo = 1 AND d.task_id > :after AND t.state IN ('ready', 'running', 'scouting') ORDER BY d.task_id LIMIT :n";
    // Tasks whose scouts may be assessed.
    [hot] read SCOUTED = "task.scouted", "SELECT t.id FROM task t JOIN task_dataset d ON d.task_id = t.id WHERE t.state = 'scouting' AND t.id > :after AND d.is_master = 1 GROUP BY t.id HAVING SUM(d.n_finished * 100 - d.n_used * :percent) >= 0 OR SUM(d.n_finished + d.n_failed - d.n_used) >= 0 ORDER BY t.id LIMIT :n";
    // Tasks at work that time-driven rules have not looked at lately.
    [hot] read UNCHECKED = "task.unchecked", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.state IN (:states*) AND t.id > :after AND (t.checked_us IS NULL OR t.checked_us < :before) ORDER BY t.id LIMIT :n");
    // Tasks in the middle of a command that nobody carries out.
    [hot] read STUCK = "task.stuck", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.state IN ('aborting', 'finishing', 'toretry', 'toincexec', 'toreassign', 'reassigning') AND t.id > :after AND NOT EXISTS (SELECT 1 FROM task_command c WHERE c.task_id = t.id) ORDER BY t.id LIMIT :n");
    // Tasks that go on although their parent ended badly.
    [hot] read ORPHANS = "task.orphans", concat!("SELECT ", task_columns!(), " FROM task t JOIN task p ON p.id = t.parent_id WHERE t.state IN (:states*) AND t.id > :after AND p.state IN ('failed', 'broken', 'aborted') ORDER BY t.id LIMIT :n");
    [hot] read OF_PERSON = "task.of_person", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.person_id = :person AND t.modified_us >= :since ORDER BY t.id DESC LIMIT :n");
    [hot] read OF_PERSON_PAGE = "task.of_person_page", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.person_id = :person AND t.modified_us >= :since AND t.id < :before ORDER BY t.id DESC LIMIT :n");
    [hot] read DOCS = "task.docs", "SELECT task_id, params, adjust FROM task_doc WHERE task_id IN (:ids*) ORDER BY task_id LIMIT 1000";
    [hot] read SINCE = "task.since", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.modified_us >= :since ORDER BY t.modified_us DESC, t.id LIMIT :n");
    [hot] read RECENT = "task.recent", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.id < :before ORDER BY t.id DESC LIMIT :n");
    [hot] read CHILDREN = "task.children", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.parent_id = :id ORDER BY t.id LIMIT 1000");
    [hot] read EVENTS = "task.events", "SELECT rev, from_state, to_state, actor, at_us, reason FROM task_event WHERE task_id = :id ORDER BY rev LIMIT 1000";
    [hot] read OF_GROUP = "task.of_group", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.state IN (:states*) AND t.vo = :vo AND t.working_group = :wg ORDER BY t.id DESC LIMIT :n");
    [hot] read COUNT_ACTIVE_LABEL = "task.count_active_label", "SELECT COUNT(*) FROM task t WHERE t.person_id = :person AND t.label = :label AND t.state IN (:states*) LIMIT 1";
    // Once a step in which tasks want a nucleus.
    [hot] read BACKLOG = "task.backlog", "SELECT t.nucleus, SUM(d.n_files - d.n_finished - d.n_failed) FROM task t JOIN task_dataset d ON d.task_id = t.id WHERE t.state IN (:states*) AND t.nucleus IS NOT NULL AND d.is_master = 1 GROUP BY t.nucleus ORDER BY t.nucleus LIMIT 10000";
    [hot] read COUNT_ACTIVE = "task.count_active", "SELECT COUNT(*) FROM task t WHERE t.person_id = :person AND t.state IN (:states*) LIMIT 1";
}

/// One task.
pub async fn get(store: &Store, id: TaskId) -> Result<Option<TaskRow>, Error> {
    store.fetch(&GET, vec![("id", id.into())]).await?.first().map(read).transpose()
}
/// A task's parameters, JSON.
pub async fn params(store: &Store, id: TaskId) -> Result<Option<String>, Error> {
    let mut rows = store.fetch(&PARAMS, vec![("id", id.into())]).await?;
    Ok(rows.first_mut().map(|r| r.take_text(0)).transpose()?.flatten())
}
/// A task's parameters and what the engine changed since, both JSON.
pub async fn doc(store: &Store, id: TaskId) -> Result<Option<(String, Option<String>)>, Error> {
    let mut rows = store.fetch(&DOC, vec![("id", id.into())]).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    let params = row.take_text(0)?.unwrap_or_default();
    Ok(Some((params, row.take_text(1)?)))
}
/// Tasks in these states above `after`, by id; at most `n` and 1,000.
pub async fn in_states(store: &Store, states: &[TaskState], after: TaskId, n: i64) -> Result<Vec<TaskRow>, Error> {
    let states: Vec<String> = states.iter().map(|s| s.as_str().to_owned()).collect();
    let binds = vec![("states", states.into()), ("after", after.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&IN_STATES, binds).await?.iter().map(read).collect()
}
/// Tasks in these states above `after` that time-driven rules have not looked at since `before_us`, by id; at most `n` and 1,000.
pub async fn unchecked(store: &Store, states: &[TaskState], after: TaskId, before_us: i64, n: i64) -> Result<Vec<TaskRow>, Error> {
    let states: Vec<String> = states.iter().map(|s| s.as_str().to_owned()).collect();
    let binds = vec![("states", states.into()), ("after", after.into()), ("before", before_us.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&UNCHECKED, binds).await?.iter().map(read).collect()
}
/// Tasks above `after` in the middle of a command that is not there, by id; at most `n` and 1,000.
pub async fn stuck(store: &Store, after: TaskId, n: i64) -> Result<Vec<TaskRow>, Error> {
    let binds = vec![("after", after.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&STUCK, binds).await?.iter().map(read).collect()
}
/// Tasks in these states above `after` whose parent failed, was broken or killed, by id; at most `n` and 1,000.
pub async fn orphans(store: &Store, states: &[TaskState], after: TaskId, n: i64) -> Result<Vec<TaskRow>, Error> {
    let states: Vec<String> = states.iter().map(|s| s.as_str().to_owned()).collect();
    let binds = vec![("states", states.into()), ("after", after.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&ORPHANS, binds).await?.iter().map(read).collect()
}
/// Tasks of these numbers (at most 1,000), by number; unknown ones are left out.
pub async fn many(store: &Store, ids: &[TaskId]) -> Result<Vec<TaskRow>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    store.fetch(&MANY, vec![("ids", ids.into())]).await?.iter().map(read).collect()
}
/// A task that wants jobs, as far as its turn is decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Number.
    pub id: TaskId,
    /// VO.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// Share.
    pub share_name: Option<String>,
    /// Owner.
    pub person_id: i64,
    /// Priority.
    pub priority: i64,
    /// State.
    pub state: TaskState,
    /// Input files that no job has taken.
    pub rows: i64,
}
/// Tasks above `after` with input files that no job has taken, by number; at most `n` and 10,000.
pub async fn waiting(store: &Store, after: TaskId, n: i64) -> Result<Vec<Waiting>, Error> {
    let rows = store.fetch(&WAITING, vec![("after", after.into()), ("n", n.min(10_000).into())]).await?;
    rows.iter()
        .map(|r| {
            Ok(Waiting {
                id: TaskId(r.int(0)?),
                vo: r.text(1)?.to_owned(),
                label: r.text(2)?.to_owned(),
                share_name: r.opt_text(3)?.map(str::to_owned),
                person_id: r.int(4)?,
                priority: r.int(5)?,
                state: crate::query::code("task state", r.text(6)?, TaskState::parse(r.text(6)?).ok())?,
                rows: r.int(7)?,
            })
        })
        .collect()
}
/// Scouting tasks above `after` of whose files in use so many per cent are finished, or all have ended, by number; at most `n` and 1,000.
pub async fn scouted(store: &Store, after: TaskId, percent: i64, n: i64) -> Result<Vec<TaskId>, Error> {
    let binds = vec![("after", after.into()), ("percent", percent.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&SCOUTED, binds).await?.iter().map(|r| Ok(TaskId(r.int(0)?))).collect()
}
/// A person's tasks changed since `since_us`, newest first; at most `n` and 1,000.
pub async fn of_person(store: &Store, person: i64, since_us: i64, n: i64) -> Result<Vec<TaskRow>, Error> {
    let binds = vec![("person", person.into()), ("since", since_us.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&OF_PERSON, binds).await?.iter().map(read).collect()
}
/// As [`of_person`], only tasks below `before`; for the next page.
pub async fn of_person_page(store: &Store, person: i64, since_us: i64, before: TaskId, n: i64) -> Result<Vec<TaskRow>, Error> {
    let binds = vec![("person", person.into()), ("since", since_us.into()), ("before", before.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&OF_PERSON_PAGE, binds).await?.iter().map(read).collect()
}
/// A task with its parameters and what the engine changed since, JSON each.
pub type Doc = (TaskId, String, Option<String>);

pub(crate) fn read_doc(r: &mut Row) -> Result<Doc, Error> {
    Ok((TaskId(r.int(0)?), r.take_text(1)?.unwrap_or_default(), r.take_text(2)?))
}
/// The documents of these tasks (at most 1,000), by task.
pub async fn docs(store: &Store, ids: &[TaskId]) -> Result<Vec<Doc>, Error> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    store.fetch(&DOCS, vec![("ids", ids.into())]).await?.iter_mut().map(read_doc).collect()
}
/// Tasks changed since `since_us`, latest change first; at most `n` and 1,000.
pub async fn since(store: &Store, since_us: i64, n: i64) -> Result<Vec<TaskRow>, Error> {
    let binds = vec![("since", since_us.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&SINCE, binds).await?.iter().map(read).collect()
}
/// The newest tasks below `before`; at most `n` and 1,000.
pub async fn recent(store: &Store, before: TaskId, n: i64) -> Result<Vec<TaskRow>, Error> {
    let binds = vec![("before", before.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&RECENT, binds).await?.iter().map(read).collect()
}
/// Child tasks.
pub async fn children(store: &Store, id: TaskId) -> Result<Vec<TaskRow>, Error> {
    store.fetch(&CHILDREN, vec![("id", id.into())]).await?.iter().map(read).collect()
}
/// A task's history, oldest first.
pub async fn events(store: &Store, id: TaskId) -> Result<Vec<Event>, Error> {
    store.fetch(&EVENTS, vec![("id", id.into())]).await?.iter().map(crate::query::job::list::event).collect()
}
/// Tasks of a working group in these states, newest first; at most `n` and 1,000.
pub async fn of_group(store: &Store, vo: &str, group: &str, states: &[TaskState], n: i64) -> Result<Vec<TaskRow>, Error> {
    let states: Vec<String> = states.iter().map(|s| s.as_str().to_owned()).collect();
    let binds = vec![("states", states.into()), ("vo", vo.into()), ("wg", group.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&OF_GROUP, binds).await?.iter().map(read).collect()
}
/// Input files that live tasks have still to process, by nucleus; at most 10,000.
pub async fn backlog(store: &Store) -> Result<Vec<(String, i64)>, Error> {
    let states: Vec<String> = TaskState::LIVE.iter().map(|s| s.as_str().to_owned()).collect();
    let rows = store.fetch(&BACKLOG, vec![("states", states.into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?.max(0)))).collect()
}
/// How many tasks of a person are in these states.
pub async fn count_active(store: &Store, person: i64, states: &[TaskState]) -> Result<i64, Error> {
    let states: Vec<String> = states.iter().map(|s| s.as_str().to_owned()).collect();
    store.fetch(&COUNT_ACTIVE, vec![("person", person.into()), ("states", states.into())]).await?.first().map_or(Ok(0), |r| r.int(0))
}
/// The same for tasks of a label.
pub async fn count_active_label(store: &Store, person: i64, label: &str, states: &[TaskState]) -> Result<i64, Error> {
    let states: Vec<String> = states.iter().map(|s| s.as_str().to_owned()).collect();
    let binds = vec![("person", person.into()), ("label", label.into()), ("states", states.into())];
    store.fetch(&COUNT_ACTIVE_LABEL, binds).await?.first().map_or(Ok(0), |r| r.int(0))
}
