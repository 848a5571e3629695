//! DAGs of jobs: the pages of their nodes, the nodes that ended, and what becomes of those that depend on them. The nodes themselves are rows of
//! `task_file`.

use panda_core::{file::FileState, id::JobId};

use crate::{Batch, Error, Row, Store, Topic, query::code, statements};

/// A node, as far as it concerns others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Row id.
    pub id: i64,
    /// Number in its DAG, from 1.
    pub seq: i64,
    /// State.
    pub state: FileState,
    /// Dependencies that have not ended.
    pub n_wait: i64,
    /// The node (`seq`) because of which it does not run.
    pub blame: Option<i64>,
    /// The job in charge.
    pub job: Option<JobId>,
}

/// A node that ended and whose dependants do not know it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedNode {
    /// Its number; 0 = what every node waits for is to be counted anew.
    pub seq: i64,
    /// How many of its dependants know it; of number 0, which wish for a count it is (microseconds UTC).
    pub done: i64,
}

/// Nodes that do not run because of one other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blamed {
    /// The one.
    pub seq: i64,
    /// How many.
    pub nodes: i64,
}

macro_rules! node_columns {
    () => {
        "id, seq, state, n_wait, blame, job_id"
    };
}

statements! {
    insert PAGE_ADD = "task_dag.add" => task_dag (dataset_id: Int, first_seq: Int, doc: Text), "{skip_dup(dataset_id,first_seq)}";
    [hot] read PAGES = "task_dag.pages", "SELECT first_seq, doc FROM task_dag WHERE dataset_id = :dataset AND first_seq IN (:firsts*) ORDER BY first_seq LIMIT 1000";
    [hot] read NEXT_PAGES = "task_dag.next", "SELECT first_seq, doc FROM task_dag WHERE dataset_id = :dataset AND first_seq > :after ORDER BY first_seq LIMIT :n";
    insert ENDED_ADD = "dag_ended.add" => dag_ended (dataset_id: Int, seq: Int, done: Int), "{skip_dup(dataset_id,seq)}";
    [hot] read DATASETS = "dag_ended.datasets", "SELECT e.dataset_id, d.task_id, d.state FROM (SELECT DISTINCT dataset_id FROM dag_ended) e JOIN task_dataset d ON d.id = e.dataset_id ORDER BY e.dataset_id LIMIT 1000";
    [hot] read ENDED = "dag_ended.of", "SELECT seq, done FROM dag_ended WHERE dataset_id = :dataset AND seq >= :from ORDER BY seq LIMIT :n";
    [hot] write TOLD = "dag_ended.told", "DELETE FROM dag_ended WHERE dataset_id = :dataset AND seq IN (:seqs*)";
    [hot] write COUNTED = "dag_ended.counted", "DELETE FROM dag_ended WHERE dataset_id = :dataset AND seq = 0 AND done = :was";
    [hot] write TOLD_SOME = "dag_ended.told_some", "UPDATE dag_ended SET done = :done WHERE dataset_id = :dataset AND seq = :seq AND done = :was";
    [hot] write FORGET = "dag_ended.forget", "DELETE FROM dag_ended WHERE dataset_id = :dataset";
    [hot] read NODES = "task_file.nodes", concat!("SELECT ", node_columns!(), " FROM task_file WHERE dataset_id = :dataset AND seq IN (:seqs*) ORDER BY seq LIMIT 1000");
    [hot] read NODE_PAGE = "task_file.node_page", concat!("SELECT ", node_columns!(), " FROM task_file WHERE dataset_id = :dataset AND seq > :after ORDER BY seq LIMIT :n");
    [hot] write WAITS = "task_file.node_waits", "UPDATE task_file SET n_wait = :waits WHERE id IN (:ids*) AND state = 'pending' AND n_wait = :was";
    [hot] write SETTLES = "task_file.node_settles", "UPDATE task_file SET state = :state, n_wait = 0, blame = :blame WHERE id IN (:ids*) AND state = 'pending' AND n_wait = :was";
    [hot] write AGAIN = "task_file.nodes_again", "UPDATE task_file SET state = 'pending', n_wait = 0, blame = NULL, max_attempt = attempt + :more, max_failure = CASE WHEN max_failure IS NULL THEN NULL ELSE failed + :more END WHERE dataset_id = :dataset AND state IN ('failed', 'cancelled', 'skipped', 'notmerged', 'blocked', 'unneeded')";
    [hot] write STOP = "task_file.nodes_stop", "UPDATE task_file SET state = 'cancelled' WHERE dataset_id = :dataset AND state = 'pending'";
    read BLAMED = "task_file.nodes_blamed", "SELECT blame, COUNT(*) FROM task_file WHERE dataset_id = :dataset AND state = 'blocked' GROUP BY blame ORDER BY 2 DESC, blame LIMIT :n";
    read FIRST_IN = "task_file.node_first_in", concat!("SELECT ", node_columns!(), " FROM task_file WHERE dataset_id = :dataset AND state = :state ORDER BY seq LIMIT :n");
}

fn node(r: &Row) -> Result<Node, Error> {
    Ok(Node {
        id: r.int(0)?,
        seq: r.int(1)?,
        state: code("file state", r.text(2)?, FileState::parse(r.text(2)?).ok())?,
        n_wait: r.opt_int(3)?.unwrap_or(0),
        blame: r.opt_int(4)?,
        job: r.opt_int(5)?.map(JobId),
    })
}
/// Adds a page of nodes that begins with node `first`; one that is there stays.
pub fn add_page(batch: &mut Batch, dataset: i64, first: i64, doc: &str) {
    batch.insert(&PAGE_ADD, vec![dataset.into(), first.into(), doc.into()]);
}
/// Pages (at most 1,000) by the nodes that they begin with.
pub async fn pages(store: &Store, dataset: i64, firsts: &[i64]) -> Result<Vec<(i64, String)>, Error> {
    let rows = store.fetch(&PAGES, vec![("dataset", dataset.into()), ("firsts", firsts.to_vec().into())]).await?;
    rows.iter().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned()))).collect()
}
/// Pages behind the one that begins with node `after`; at most `n` and 1,000.
pub async fn next_pages(store: &Store, dataset: i64, after: i64, n: i64) -> Result<Vec<(i64, String)>, Error> {
    let binds = vec![("dataset", dataset.into()), ("after", after.into()), ("n", n.min(crate::query::MAX_PAGE).into())];
    store.fetch(&NEXT_PAGES, binds).await?.iter().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned()))).collect()
}
/// A node ended: its dependants are to be told. Nothing when that is to be done already.
pub fn ended(batch: &mut Batch, dataset: i64, seq: i64) {
    batch.insert(&ENDED_ADD, vec![dataset.into(), seq.into(), 0.into()]);
    batch.wake(Topic::Nodes);
}
/// What every node waits for is to be counted anew.
pub fn count_anew(batch: &mut Batch, dataset: i64, now_us: i64) {
    batch.insert(&ENDED_ADD, vec![dataset.into(), 0.into(), now_us.into()]);
    batch.wake(Topic::Nodes);
}
/// Data sets with nodes that ended: number, task, state; at most 1,000.
pub async fn with_ended(store: &Store) -> Result<Vec<(i64, panda_core::id::TaskId, String)>, Error> {
    let rows = store.fetch(&DATASETS, vec![]).await?;
    rows.iter().map(|r| Ok((r.int(0)?, panda_core::id::TaskId(r.int(1)?), r.text(2)?.to_owned()))).collect()
}
/// Nodes of a data set that ended, from number `from` on; at most `n` and 10,000.
pub async fn ended_of(store: &Store, dataset: i64, from: i64, n: i64) -> Result<Vec<EndedNode>, Error> {
    let rows = store.fetch(&ENDED, vec![("dataset", dataset.into()), ("from", from.into()), ("n", n.min(10_000).into())]).await?;
    rows.iter().map(|r| Ok(EndedNode { seq: r.int(0)?, done: r.int(1)? })).collect()
}
/// All dependants of these nodes (at most 1,000) know that they ended. A conflict when somebody else told them.
pub fn told(batch: &mut Batch, dataset: i64, seqs: &[i64]) {
    if !seqs.is_empty() {
        batch.guard(&TOLD, vec![("dataset", dataset.into()), ("seqs", seqs.to_vec().into())], seqs.len() as u64);
    }
}
/// What this wish asked for is done. A conflict when there is another wish by now.
pub fn counted(batch: &mut Batch, dataset: i64, wish: &EndedNode) {
    batch.guard(&COUNTED, vec![("dataset", dataset.into()), ("was", wish.done.into())], 1);
}
/// Some dependants of a node know that it ended: `done` of them, where `node` says how many there were.
pub fn told_some(batch: &mut Batch, dataset: i64, node: &EndedNode, done: i64) {
    let binds = vec![("done", done.into()), ("dataset", dataset.into()), ("seq", node.seq.into()), ("was", node.done.into())];
    batch.guard(&TOLD_SOME, binds, 1);
}
/// Nobody is to be told anything any more: the task has ended.
pub fn forget(batch: &mut Batch, dataset: i64) {
    batch.exec(&FORGET, vec![("dataset", dataset.into())]);
}
/// Nodes by number (at most 1,000).
pub async fn nodes(store: &Store, dataset: i64, seqs: &[i64]) -> Result<Vec<Node>, Error> {
    store.fetch(&NODES, vec![("dataset", dataset.into()), ("seqs", seqs.to_vec().into())]).await?.iter().map(node).collect()
}
/// Nodes above number `after`, in order; at most `n` and 10,000.
pub async fn page(store: &Store, dataset: i64, after: i64, n: i64) -> Result<Vec<Node>, Error> {
    let binds = vec![("dataset", dataset.into()), ("after", after.into()), ("n", n.min(10_000).into())];
    store.fetch(&NODE_PAGE, binds).await?.iter().map(node).collect()
}
/// Nodes (row ids, at most 1,000) that waited for `was` others wait for so many now. A conflict when one does not wait any more, or for another number.
pub fn wait(batch: &mut Batch, ids: &[i64], was: i64, waits: i64) {
    batch.guard(&WAITS, vec![("waits", waits.into()), ("ids", ids.to_vec().into()), ("was", was.into())], ids.len() as u64);
}
/// Nodes (row ids, at most 1,000) that waited for `was` others wait no more. A conflict as with [`wait`].
pub fn settle(batch: &mut Batch, ids: &[i64], was: i64, state: FileState, blame: Option<i64>) {
    let binds = vec![("state", state.as_str().into()), ("blame", blame.into()), ("ids", ids.to_vec().into()), ("was", was.into())];
    batch.guard(&SETTLES, binds, ids.len() as u64);
}
/// Nodes that ended otherwise than well wait again, with `more` further attempts, and are to be counted; `expected`: how many there are. Counters are
/// corrected by the caller.
pub fn again(batch: &mut Batch, dataset: i64, more: i64, expected: u64, now_us: i64) {
    batch.guard(&AGAIN, vec![("more", more.into()), ("dataset", dataset.into())], expected);
    forget(batch, dataset);
    count_anew(batch, dataset, now_us);
}
/// Cancels the nodes that wait: their task ends.
pub fn stop(batch: &mut Batch, dataset: i64, expected: u64) {
    batch.guard(&STOP, vec![("dataset", dataset.into())], expected);
}
/// Who keeps others from running, those that keep most first; at most `n` and 100.
pub async fn blamed(store: &Store, dataset: i64, n: i64) -> Result<Vec<Blamed>, Error> {
    let rows = store.fetch(&BLAMED, vec![("dataset", dataset.into()), ("n", n.min(100).into())]).await?;
    rows.iter().map(|r| Ok(Blamed { seq: r.opt_int(0)?.unwrap_or(0), nodes: r.int(1)? })).collect()
}
/// The first nodes in a state; at most `n` and 100.
pub async fn first_in(store: &Store, dataset: i64, state: FileState, n: i64) -> Result<Vec<Node>, Error> {
    let binds = vec![("dataset", dataset.into()), ("state", state.as_str().into()), ("n", n.min(100).into())];
    store.fetch(&FIRST_IN, binds).await?.iter().map(node).collect()
}
