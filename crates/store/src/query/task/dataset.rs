//! Data sets of a task and their counters.

use panda_core::{file::FileRole, id::TaskId};

use crate::{Batch, Error, Row, Store, query::code, statements};

/// A row of `task_dataset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDataset {
    /// Row id.
    pub id: i64,
    /// Its task.
    pub task_id: TaskId,
    /// What it is for.
    pub role: FileRole,
    /// Name.
    pub name: String,
    /// Stream (`IN`, `OUTPUT0`, `LOG0`, …).
    pub stream: Option<String>,
    /// Whether jobs are made along its files.
    pub is_master: bool,
    /// `defined`, `feeding` (its files are being listed), `ready` (listed), `done` (its task has ended).
    pub state: String,
    /// File name template of outputs and logs; queue name of a library.
    pub pattern: Option<String>,
    /// Files.
    pub n_files: i64,
    /// Files taken by jobs (running, finished or failed for good).
    pub n_used: i64,
    /// Files done.
    pub n_finished: i64,
    /// Files failed for good.
    pub n_failed: i64,
    /// Files held: outputs of jobs that transfer or wait for their merge; nodes of a DAG that wait for others.
    pub n_on_hold: i64,
    /// Events.
    pub n_events: i64,
    /// Next serial number of an output template; of an input that recurs, the place of the next file to use.
    pub next_serial: i64,
    /// Order within the task.
    pub seq: i64,
    /// Whether more files may come.
    pub is_open: bool,
    /// How many of its constituents have been listed.
    pub part: i64,
    /// The last file listed of the next constituent.
    pub part_after: Option<String>,
    /// Microseconds UTC when it was listed last.
    pub checked_us: Option<i64>,
    /// Files that are known to be missing or lost.
    pub n_missing: i64,
    /// Events taken by jobs.
    pub n_events_used: i64,
    /// Events done.
    pub n_events_finished: i64,
    /// When it is to be listed (again), microseconds UTC; none = never.
    pub look_us: Option<i64>,
    /// How its files were numbered and cut so far (`core::policy::feed`).
    pub feed: Option<String>,
}

/// Stream of the pseudo input whose files are the nodes of a DAG.
pub const DAG: &str = "dag";

/// What a loop has to do for a data set, as the column `todo` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Todo {
    /// Jobs are to be made of an input.
    Generate = 1,
    /// An input has ended.
    Close = 2,
    /// Outputs are to be merged.
    Merge = 3,
}

impl TaskDataset {
    /// Whether its files are the nodes of a DAG.
    #[must_use]
    pub fn is_dag(&self) -> bool {
        self.role == FileRole::PseudoInput && self.stream.as_deref() == Some(DAG)
    }
    /// Whether it is an input with files that jobs can be made of: neither taken nor missing, nor nodes of a DAG that wait for others.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.is_master && self.n_used + self.n_missing + self.n_on_hold < self.n_files
    }
    /// The same rule as statement `task_dataset.count` has.
    fn todo(&self) -> Option<i64> {
        let ended = self.n_finished + self.n_failed;
        let what = if self.has_more() {
            Todo::Generate
        } else if self.is_master
            && !self.is_open
            && !matches!(self.state.as_str(), "defined" | "feeding")
            && ended + self.n_missing >= self.n_files
        {
            Todo::Close
        } else if self.role.is_pre_merge() && ended < self.n_files {
            Todo::Merge
        } else {
            return None;
        };
        Some(what as i64)
    }
    /// A data set without files, state `defined`.
    #[must_use]
    pub fn new(task_id: TaskId, role: FileRole, name: impl Into<String>, stream: &str) -> Self {
        Self {
            id: 0,
            task_id,
            role,
            name: name.into(),
            stream: Some(stream.to_owned()),
            is_master: false,
            state: "defined".into(),
            pattern: None,
            n_files: 0,
            n_used: 0,
            n_finished: 0,
            n_failed: 0,
            n_on_hold: 0,
            n_events: 0,
            next_serial: 1,
            seq: 0,
            is_open: false,
            part: 0,
            part_after: None,
            checked_us: None,
            n_missing: 0,
            n_events_used: 0,
            n_events_finished: 0,
            look_us: None,
            feed: None,
        }
    }
}

/// Changes of counters, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    /// To `n_files`.
    pub files: i64,
    /// To `n_used`.
    pub used: i64,
    /// To `n_finished`.
    pub finished: i64,
    /// To `n_failed`.
    pub failed: i64,
    /// To `n_on_hold`.
    pub on_hold: i64,
    /// To `n_events`.
    pub events: i64,
    /// To `n_missing`.
    pub missing: i64,
    /// To `n_events_used`.
    pub events_used: i64,
    /// To `n_events_finished`.
    pub events_finished: i64,
}

/// The select list that [`read`] expects.
macro_rules! set_columns {
    () => {
        "id, task_id, role, name, stream, is_master, state, pattern, n_files, n_used, n_finished, n_failed, n_on_hold, n_events, next_serial, seq, is_open, part, part_after, checked_us, n_missing, n_events_used, n_events_finished, look_us, feed"
    };
}
pub(crate) use set_columns;

statements! {
    insert ADD = "task_dataset.add" => task_dataset (id: Int, task_id: Int, role: Text, name: Text, stream: Text, is_master: Int, state: Text, pattern: Text, n_files: Int, n_used: Int, n_finished: Int, n_failed: Int, n_on_hold: Int, n_events: Int, next_serial: Int, seq: Int, is_open: Int, part: Int, part_after: Text, checked_us: Int, n_missing: Int, n_events_used: Int, n_events_finished: Int, todo: Int, look_us: Int, feed: Text), "";
    [hot] read OF_TASK = "task_dataset.of_task", concat!("SELECT ", set_columns!(), " FROM task_dataset WHERE task_id = :task ORDER BY seq LIMIT 1000");
    [hot] read OF_TASKS = "task_dataset.of_tasks", concat!("SELECT ", set_columns!(), " FROM task_dataset WHERE task_id IN (:tasks*) ORDER BY task_id, seq LIMIT 20000");
    // `todo` comes first: some servers use the values that were assigned before.
    [hot] write COUNT = "task_dataset.count", "UPDATE task_dataset SET todo = CASE WHEN is_master = 1 AND n_used + :used + n_missing + :missing + n_on_hold + :hold < n_files + :files THEN 1 WHEN is_master = 1 AND is_open = 0 AND state NOT IN ('defined', 'feeding') AND n_finished + :finished + n_failed + :failed + n_missing + :missing >= n_files + :files THEN 2 WHEN role IN ('trn_output', 'trn_log') AND n_finished + :finished + n_failed + :failed < n_files + :files THEN 3 ELSE NULL END, n_files = n_files + :files, n_used = n_used + :used, n_finished = n_finished + :finished, n_failed = n_failed + :failed, n_on_hold = n_on_hold + :hold, n_events = n_events + :events, n_missing = n_missing + :missing, n_events_used = n_events_used + :evused, n_events_finished = n_events_finished + :evdone WHERE id = :id";
    [hot] write SERIAL = "task_dataset.serial", "UPDATE task_dataset SET next_serial = next_serial + :n WHERE id = :id AND next_serial = :expected";
    [hot] write PROGRESS = "task_dataset.progress", "UPDATE task_dataset SET state = :state, is_open = :open, part = :part, part_after = :after, feed = :feed, look_us = :look, checked_us = :now WHERE id = :id AND part = :from_part AND COALESCE(part_after, ' ') = :from_after AND n_files = :from_files";
    [hot] read TO_LOOK = "task_dataset.to_look", "SELECT look_us, id, task_id FROM task_dataset WHERE look_us <= :now ORDER BY look_us LIMIT :n";
    [hot] write REST = "task_dataset.rest", "UPDATE task_dataset SET todo = NULL WHERE id = :id AND n_files = :files AND n_used = :used AND is_open = :open AND state = :state";
    [hot] write LOOK = "task_dataset.look", "UPDATE task_dataset SET look_us = :look WHERE id = :id";
    [hot] write LOOK_INPUTS = "task_dataset.look_inputs", "UPDATE task_dataset SET look_us = 0 WHERE look_us > 0 AND task_id = :id";
    [hot] write LOOK_CHILDREN = "task_dataset.look_children", "UPDATE task_dataset SET look_us = 0 WHERE look_us > 0 AND task_id IN (SELECT t.id FROM task t WHERE t.parent_id = :id)",
        mysql: "UPDATE task_dataset d JOIN task t ON t.id = d.task_id SET d.look_us = 0 WHERE t.parent_id = :id AND d.look_us > 0";
    [hot] write ENDED = "task_dataset.ended", "UPDATE task_dataset SET state = :state, todo = NULL, look_us = NULL, is_open = 0 WHERE id = :id";
    [hot] write REOPEN = "task_dataset.reopen", "UPDATE task_dataset SET look_us = CASE WHEN role IN ('input', 'pseudo_input') AND (part > 0 OR part_after IS NOT NULL) THEN 0 ELSE look_us END, state = CASE WHEN role IN ('input', 'pseudo_input') AND (part > 0 OR part_after IS NOT NULL) THEN 'feeding' WHEN role IN ('input', 'pseudo_input') THEN 'ready' ELSE 'defined' END WHERE task_id = :task AND state IN ('done', 'finished', 'failed', 'removed')";
    [hot] read WITH_WORK = "task_dataset.with_work", "SELECT DISTINCT task_id FROM task_dataset WHERE todo = :todo AND task_id > :after ORDER BY task_id LIMIT :n";
    [hot] write DELETE = "task_dataset.delete", "DELETE FROM task_dataset WHERE task_id = :task AND role = :role";
}

pub(crate) fn read(r: &Row) -> Result<TaskDataset, Error> {
    Ok(TaskDataset {
        id: r.int(0)?,
        task_id: TaskId(r.int(1)?),
        role: code("file role", r.text(2)?, FileRole::parse(r.text(2)?).ok())?,
        name: r.text(3)?.to_owned(),
        stream: r.opt_text(4)?.map(str::to_owned),
        is_master: r.int(5)? != 0,
        state: r.text(6)?.to_owned(),
        pattern: r.opt_text(7)?.map(str::to_owned),
        n_files: r.int(8)?,
        n_used: r.int(9)?,
        n_finished: r.int(10)?,
        n_failed: r.int(11)?,
        n_on_hold: r.int(12)?,
        n_events: r.int(13)?,
        next_serial: r.int(14)?,
        seq: r.int(15)?,
        is_open: r.int(16)? != 0,
        part: r.int(17)?,
        part_after: r.opt_text(18)?.map(str::to_owned),
        checked_us: r.opt_int(19)?,
        n_missing: r.int(20)?,
        n_events_used: r.int(21)?,
        n_events_finished: r.int(22)?,
        look_us: r.opt_int(23)?,
        feed: r.opt_text(24)?.map(str::to_owned),
    })
}
/// Adds a data set.
pub fn add(batch: &mut Batch, d: &TaskDataset) {
    batch.insert(
        &ADD,
        vec![
            d.id.into(),
            d.task_id.into(),
            d.role.as_str().into(),
            (&d.name).into(),
            d.stream.as_deref().into(),
            d.is_master.into(),
            (&d.state).into(),
            d.pattern.as_deref().into(),
            d.n_files.into(),
            d.n_used.into(),
            d.n_finished.into(),
            d.n_failed.into(),
            d.n_on_hold.into(),
            d.n_events.into(),
            d.next_serial.into(),
            d.seq.into(),
            d.is_open.into(),
            d.part.into(),
            d.part_after.as_deref().into(),
            d.checked_us.into(),
            d.n_missing.into(),
            d.n_events_used.into(),
            d.n_events_finished.into(),
            d.todo().into(),
            d.look_us.into(),
            d.feed.as_deref().into(),
        ],
    );
}
/// A task's data sets in order.
pub async fn of_task(store: &Store, task: TaskId) -> Result<Vec<TaskDataset>, Error> {
    store.fetch(&OF_TASK, vec![("task", task.into())]).await?.iter().map(read).collect()
}
/// Data sets of these tasks (at most 1,000), by task and order.
pub async fn of_tasks(store: &Store, tasks: &[TaskId]) -> Result<Vec<TaskDataset>, Error> {
    let ids: Vec<i64> = tasks.iter().map(|t| t.0).collect();
    store.fetch(&OF_TASKS, vec![("tasks", ids.into())]).await?.iter().map(read).collect()
}
/// Adds to counters; deltas commute, so there is no guard.
pub fn count(batch: &mut Batch, id: i64, d: Delta) {
    if d != Delta::default() {
        add_up(batch, id, d);
    }
}
/// What is to be done for a data set follows from its counters again, after [`rest`].
pub fn again(batch: &mut Batch, id: i64) {
    add_up(batch, id, Delta::default());
}
fn add_up(batch: &mut Batch, id: i64, d: Delta) {
    batch.exec(
        &COUNT,
        vec![
            ("files", d.files.into()),
            ("used", d.used.into()),
            ("finished", d.finished.into()),
            ("failed", d.failed.into()),
            ("hold", d.on_hold.into()),
            ("events", d.events.into()),
            ("missing", d.missing.into()),
            ("evused", d.events_used.into()),
            ("evdone", d.events_finished.into()),
            ("id", id.into()),
        ],
    );
}
/// Writes how far an input is listed: state, openness, cursor, when to look again; and what came (`d`). A conflict when somebody else has listed it
/// further than `before`.
pub fn progress(batch: &mut Batch, before: &TaskDataset, after: &TaskDataset, d: Delta, now_us: i64) {
    batch.guard(
        &PROGRESS,
        vec![
            ("state", (&after.state).into()),
            ("open", after.is_open.into()),
            ("part", after.part.into()),
            ("after", after.part_after.as_deref().into()),
            ("feed", after.feed.as_deref().into()),
            ("look", after.look_us.into()),
            ("now", now_us.into()),
            ("id", before.id.into()),
            ("from_part", before.part.into()),
            ("from_after", before.part_after.as_deref().unwrap_or(" ").into()),
            ("from_files", before.n_files.into()),
        ],
        1,
    );
    // What there is to do follows from the state as well.
    add_up(batch, before.id, d);
}
/// Nothing is to be made of an input until it changes; touches nothing when it has changed already.
pub fn rest(batch: &mut Batch, d: &TaskDataset) {
    let binds = vec![
        ("id", d.id.into()),
        ("files", d.n_files.into()),
        ("used", d.n_used.into()),
        ("open", d.is_open.into()),
        ("state", (&d.state).into()),
    ];
    batch.exec(&REST, binds);
}
/// When to look at an input again; none = never.
pub fn look(batch: &mut Batch, id: i64, at_us: Option<i64>) {
    batch.exec(&LOOK, vec![("look", at_us.into()), ("id", id.into())]);
}
/// The inputs of a task that are waited for, or may grow, are looked at at once.
pub fn look_at_inputs(batch: &mut Batch, task: TaskId) {
    batch.exec(&LOOK_INPUTS, vec![("id", task.into())]);
    batch.wake(crate::Topic::Inputs);
}
/// The inputs of a task's children that are waited for, or may grow, are looked at at once.
pub fn look_at_children(batch: &mut Batch, parent: TaskId) {
    batch.exec(&LOOK_CHILDREN, vec![("id", parent.into())]);
    batch.wake(crate::Topic::Inputs);
}
/// Tasks with an input to be looked at by now, each with that input, the longest due first; at most `n` and 1,000.
pub async fn to_look(store: &Store, now_us: i64, n: i64) -> Result<Vec<(TaskId, i64)>, Error> {
    let rows = store.fetch(&TO_LOOK, vec![("now", now_us.into()), ("n", n.min(crate::query::MAX_PAGE).into())]).await?;
    rows.iter().map(|r| Ok((TaskId(r.int(2)?), r.int(1)?))).collect()
}
/// Tasks above `after` with a data set for which this is to be done, by number; at most `n` and 10,000.
pub async fn with_work(store: &Store, todo: Todo, after: TaskId, n: i64) -> Result<Vec<TaskId>, Error> {
    let binds = vec![("todo", (todo as i64).into()), ("after", after.into()), ("n", n.min(10_000).into())];
    store.fetch(&WITH_WORK, binds).await?.iter().map(|r| Ok(TaskId(r.int(0)?))).collect()
}
/// Takes `n` serial numbers from `expected` on; a conflict when somebody else took some.
pub fn take_serials(batch: &mut Batch, id: i64, expected: i64, n: i64) {
    batch.guard(&SERIAL, vec![("n", n.into()), ("id", id.into()), ("expected", expected.into())], 1);
}
/// Its ended task is taken up again: the data sets are as before its end. An input that was not listed to its end, which its cursor tells, is
/// listed on.
pub fn reopen(batch: &mut Batch, task: TaskId) {
    batch.exec(&REOPEN, vec![("task", task.into())]);
    batch.wake(crate::Topic::Inputs);
}
/// Its task has ended: nothing is to be done for it, and it watches no data set any more. `state`: `done`, `finished`, `failed`.
pub fn ended(batch: &mut Batch, id: i64, state: &str) {
    batch.exec(&ENDED, vec![("state", state.into()), ("id", id.into())]);
    crate::query::dataset::input::end_watch(batch, id);
}
