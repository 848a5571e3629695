//! Workers and the machines they ran on.

use panda_core::id::QueueId;

use crate::{Batch, Error, Store, statements};

statements! {
    [hot] read GET = "worker.get", "SELECT id, state, rev FROM worker WHERE harvester = :harvester AND worker_no = :no LIMIT 1";
    insert ADD = "worker.add" => worker (id: Int, harvester: Text, worker_no: Int, queue_id: Int, state: Text, node: Text, created_us: Int, modified_us: Int, rev: Int), "";
    write MOVE = "worker.transition", "UPDATE worker SET state = :state, node = :node, modified_us = :now, rev = rev + 1 WHERE id = :id AND rev = :rev";
    [hot] read QUEUED = "worker.queued", "SELECT COUNT(*) FROM worker WHERE queue_id = :queue AND state IN ('pending', 'ready', 'submitted') LIMIT 1";
    [hot] read LATEST = "worker.latest", "SELECT modified_us FROM worker WHERE queue_id = :queue ORDER BY modified_us DESC LIMIT 1";
    // Of every queue; a scalar subquery with a limit reads one entry of the index.
    read LATEST_ALL = "worker.latest_all", "SELECT q.id, (SELECT w.modified_us FROM worker w WHERE w.queue_id = q.id ORDER BY w.modified_us DESC LIMIT 1) AS at_us FROM queue q ORDER BY q.id LIMIT 10000";
    insert EVENT = "worker.event" => worker_event (worker_id: Int, rev: Int, from_state: Text, to_state: Text, at_us: Int), "";
    write NODE = "worker_node.set", "INSERT INTO worker_node (site, host, doc, seen_us) VALUES (:site, :host, :doc, :now) {upsert(site,host): doc,seen_us}";
    write NODE_GPU = "worker_node.gpu", "INSERT INTO worker_node (site, host, gpu, seen_us) VALUES (:site, :host, :doc, :now) {upsert(site,host): gpu,seen_us}";
    [hot] read NODES = "worker_node.many", "SELECT host, doc FROM worker_node WHERE site = :site AND host IN (:hosts*) AND doc IS NOT NULL ORDER BY host LIMIT 1000";
    [hot] read NODE_GET = "worker_node.get", "SELECT doc, gpu, seen_us FROM worker_node WHERE site = :site AND host = :host LIMIT 1";
}

/// A worker's row id, state code and revision.
pub async fn get(store: &Store, harvester: &str, no: i64) -> Result<Option<(i64, String, i64)>, Error> {
    let rows = store.fetch(&GET, vec![("harvester", harvester.into()), ("no", no.into())]).await?;
    rows.first().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned(), r.int(2)?))).transpose()
}
/// Workers of a queue that do not run yet.
pub async fn queued(store: &Store, queue: QueueId) -> Result<i64, Error> {
    store.fetch(&QUEUED, vec![("queue", queue.into())]).await?.first().map_or(Ok(0), |r| r.int(0))
}
/// When a worker of this queue was last heard of, microseconds UTC.
pub async fn latest(store: &Store, queue: QueueId) -> Result<Option<i64>, Error> {
    store.fetch(&LATEST, vec![("queue", queue.into())]).await?.first().map(|r| r.int(0)).transpose()
}
/// When a worker of each queue was last heard of, microseconds UTC; queues without workers are left out.
pub async fn latest_all(store: &Store) -> Result<Vec<(QueueId, i64)>, Error> {
    let rows = store.fetch(&LATEST_ALL, vec![]).await?;
    let all: Result<Vec<_>, Error> = rows.iter().map(|r| Ok((QueueId(r.int(0)?), r.opt_int(1)?))).collect();
    Ok(all?.into_iter().filter_map(|(q, at)| at.map(|at| (q, at))).collect())
}
/// Adds a worker with its first event.
#[expect(clippy::too_many_arguments, reason = "one row's columns")]
pub fn add(batch: &mut Batch, id: i64, harvester: &str, no: i64, queue: Option<QueueId>, state: &str, node: Option<&str>, now_us: i64) {
    batch.insert(
        &ADD,
        vec![id.into(), harvester.into(), no.into(), queue.into(), state.into(), node.into(), now_us.into(), now_us.into(), 0.into()],
    );
    batch.insert(&EVENT, vec![id.into(), 0.into(), crate::Value::Null, state.into(), now_us.into()]);
}
/// Moves a worker that still has `rev`, with its event.
pub fn transition(batch: &mut Batch, id: i64, rev: i64, from: &str, to: &str, node: Option<&str>, now_us: i64) {
    batch.guard(
        &MOVE,
        vec![("state", to.into()), ("node", node.into()), ("now", now_us.into()), ("id", id.into()), ("rev", rev.into())],
        1,
    );
    batch.insert(&EVENT, vec![id.into(), (rev + 1).into(), from.into(), to.into(), now_us.into()]);
}
/// Records a node's description (JSON).
pub fn set_node(batch: &mut Batch, site: &str, host: &str, doc: &str, now_us: i64) {
    batch.exec(&NODE, vec![("site", site.into()), ("host", host.into()), ("doc", doc.into()), ("now", now_us.into())]);
}
/// Records a node's GPUs (JSON).
pub fn set_node_gpu(batch: &mut Batch, site: &str, host: &str, doc: &str, now_us: i64) {
    batch.exec(&NODE_GPU, vec![("site", site.into()), ("host", host.into()), ("doc", doc.into()), ("now", now_us.into())]);
}
/// A node's description and GPUs (JSON each).
pub async fn node(store: &Store, site: &str, host: &str) -> Result<Option<(Option<String>, Option<String>)>, Error> {
    let rows = store.fetch(&NODE_GET, vec![("site", site.into()), ("host", host.into())]).await?;
    rows.first().map(|r| Ok((r.opt_text(0)?.map(str::to_owned), r.opt_text(1)?.map(str::to_owned)))).transpose()
}
/// Descriptions of these machines of a site (JSON) by name, at most 1,000.
pub async fn nodes(store: &Store, site: &str, hosts: &[String]) -> Result<Vec<(String, String)>, Error> {
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = store.fetch(&NODES, vec![("site", site.into()), ("hosts", hosts.to_vec().into())]).await?;
    rows.iter_mut().map(|r| Ok((r.text(0)?.to_owned(), r.take_text(1)?.unwrap_or_default()))).collect()
}
