//! Workers, their jobs, and the machines they ran on.

use panda_core::id::{JobId, QueueId};

use crate::{Batch, Error, Row, Store, Value, statements};

statements! {
    [hot] read GET = "worker.get", "SELECT id, worker_no, state, rev, queue_id, batch_id, pilot_state, told_us, modified_us FROM worker WHERE harvester = :harvester AND worker_no IN (:nos*) ORDER BY worker_no LIMIT 1000";
    insert ADD = "worker.add" => worker (id: Int, harvester: Text, worker_no: Int, queue_id: Int, state: Text, pilot_us: Int, told_us: Int, created_us: Int, modified_us: Int, rev: Int), "";
    write MOVE = "worker.transition", "UPDATE worker SET state = :state, modified_us = :now, rev = rev + 1 WHERE id = :id AND rev = :rev";
    // What is not told stays as it is.
    [hot] write TELL = "worker.tell", "UPDATE worker SET queue_id = COALESCE(:queue, queue_id), node = COALESCE(:node, node), batch_id = COALESCE(:batch, batch_id), label = COALESCE(:label, label), resource_type = COALESCE(:kind, resource_type), n_cores = COALESCE(:cores, n_cores), endpoint = COALESCE(:endpoint, endpoint), submit_host = COALESCE(:host, submit_host), sync_level = COALESCE(:sync, sync_level), error_code = COALESCE(:code, error_code), reason = COALESCE(:reason, reason), submitted_us = COALESCE(:submitted, submitted_us), started_us = COALESCE(:started, started_us), ended_us = COALESCE(:ended, ended_us), doc = COALESCE(:doc, doc), told_us = :now, modified_us = :now WHERE id = :id";
    [hot] write PILOT = "worker.pilot", "UPDATE worker SET pilot_state = COALESCE(:state, pilot_state), node = COALESCE(:node, node), queue_id = COALESCE(:queue, queue_id), pilot_us = :now WHERE id = :id";
    // A number that its agent uses again.
    [hot] write DELETE = "worker.delete", "DELETE FROM worker WHERE id = :id AND rev = :rev";
    [hot] write DELETE_EVENTS = "worker.delete_events", "DELETE FROM worker_event WHERE worker_id = :id";
    [hot] read QUEUED = "worker.queued", "SELECT COUNT(*) FROM worker WHERE queue_id = :queue AND state IN ('pending', 'ready', 'submitted') LIMIT 1";
    [hot] read LATEST = "worker.latest", "SELECT pilot_us FROM worker WHERE queue_id = :queue ORDER BY pilot_us DESC LIMIT 1";
    // Of every queue; a scalar subquery with a limit reads one entry of the index.
    read LATEST_ALL = "worker.latest_all", "SELECT q.id, (SELECT w.pilot_us FROM worker w WHERE w.queue_id = q.id ORDER BY w.pilot_us DESC LIMIT 1) AS at_us FROM queue q ORDER BY q.id LIMIT 10000";
    [hot] read MAX_NO = "worker.max_no", "SELECT MAX(worker_no) FROM worker WHERE harvester = :harvester LIMIT 1";
    // Workers whose pilot has ended while their batch job goes on.
    [hot] read OUTLIVED = "worker.outlived", "SELECT harvester, worker_no FROM worker WHERE state IN ('submitted', 'running', 'idle') AND modified_us > :after AND pilot_state = 'finished' AND pilot_us < :before ORDER BY harvester, worker_no LIMIT 1000";
    insert EVENT = "worker.event" => worker_event (worker_id: Int, rev: Int, from_state: Text, to_state: Text, at_us: Int), "";
    [hot] read JOBS = "job_worker.jobs", "SELECT worker_id, job_id FROM job_worker WHERE worker_id IN (:ids*) ORDER BY worker_id, job_id LIMIT 100000";
    [hot] read OF_JOB = "job_worker.of_job", "SELECT w.harvester, w.worker_no, w.state, w.batch_id, w.node, w.endpoint, w.submit_host, w.error_code, w.reason, w.doc, w.resource_type, w.queue_id, w.pilot_state, w.modified_us FROM job_worker r JOIN worker w ON w.id = r.worker_id WHERE r.job_id = :job ORDER BY w.id LIMIT 100";
    [hot] read NEWEST = "worker.newest", "SELECT w.harvester, w.worker_no, w.state, w.batch_id, w.node, w.endpoint, w.submit_host, w.error_code, w.reason, w.doc, w.resource_type, w.queue_id, w.pilot_state, w.modified_us FROM worker w WHERE w.harvester = :harvester ORDER BY w.worker_no DESC LIMIT :n";
    write RELATE = "job_worker.add", "INSERT INTO job_worker (worker_id, job_id) VALUES (:id, :job) {skip_dup(worker_id,job_id)}";
    [hot] write UNRELATE = "job_worker.clear", "DELETE FROM job_worker WHERE worker_id = :id";
    write NODE = "worker_node.set", "INSERT INTO worker_node (site, host, doc, seen_us) VALUES (:site, :host, :doc, :now) {upsert(site,host): doc,seen_us}";
    write NODE_GPU = "worker_node.gpu", "INSERT INTO worker_node (site, host, gpu, seen_us) VALUES (:site, :host, :doc, :now) {upsert(site,host): gpu,seen_us}";
    [hot] read NODES = "worker_node.many", "SELECT host, doc FROM worker_node WHERE site = :site AND host IN (:hosts*) AND doc IS NOT NULL ORDER BY host LIMIT 1000";
    [hot] read NODE_GET = "worker_node.get", "SELECT doc, gpu, seen_us FROM worker_node WHERE site = :site AND host = :host LIMIT 1";
}

/// A worker as decisions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// Row id.
    pub id: i64,
    /// The number that its Harvester gave it.
    pub number: i64,
    /// State code.
    pub state: String,
    /// Revision.
    pub rev: i64,
    /// Its queue.
    pub queue: Option<QueueId>,
    /// Its name in the batch system.
    pub batch_id: Option<String>,
    /// What its pilot said last: `started`, `finished`.
    pub pilot_state: Option<String>,
    /// When its Harvester told of it last, microseconds UTC; 0 = only its pilot did.
    pub told_us: i64,
    /// When it was last heard of, microseconds UTC.
    pub modified_us: i64,
}

/// What a Harvester tells of a worker; what is none is not told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "names of the columns, explained in the schema")]
pub struct Told {
    pub queue: Option<QueueId>,
    pub node: Option<String>,
    pub batch_id: Option<String>,
    pub label: Option<String>,
    pub resource_type: Option<String>,
    pub n_cores: Option<i64>,
    pub endpoint: Option<String>,
    pub submit_host: Option<String>,
    pub sync_level: Option<i64>,
    pub error_code: Option<i64>,
    pub reason: Option<String>,
    pub submitted_us: Option<i64>,
    pub started_us: Option<i64>,
    pub ended_us: Option<i64>,
    pub doc: Option<String>,
}

/// A worker, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "names of the columns, explained in the schema")]
pub struct Shown {
    pub harvester: String,
    pub number: i64,
    pub state: String,
    pub batch_id: Option<String>,
    pub node: Option<String>,
    pub endpoint: Option<String>,
    pub submit_host: Option<String>,
    pub error_code: Option<i64>,
    pub reason: Option<String>,
    pub doc: Option<String>,
    pub resource_type: Option<String>,
    pub queue: Option<QueueId>,
    pub pilot_state: Option<String>,
    pub modified_us: i64,
}

fn text(r: &Row, at: usize) -> Result<Option<String>, Error> {
    Ok(r.opt_text(at)?.map(str::to_owned))
}

/// Workers of these numbers (at most 1,000) of a Harvester, by number; numbers that are not known are left out.
pub async fn many(store: &Store, harvester: &str, numbers: &[i64]) -> Result<Vec<WorkerRow>, Error> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store.fetch(&GET, vec![("harvester", harvester.into()), ("nos", numbers.to_vec().into())]).await?;
    rows.iter()
        .map(|r| {
            Ok(WorkerRow {
                id: r.int(0)?,
                number: r.int(1)?,
                state: r.text(2)?.to_owned(),
                rev: r.int(3)?,
                queue: r.opt_int(4)?.map(QueueId),
                batch_id: text(r, 5)?,
                pilot_state: text(r, 6)?,
                told_us: r.int(7)?,
                modified_us: r.int(8)?,
            })
        })
        .collect()
}
/// One worker.
pub async fn get(store: &Store, harvester: &str, number: i64) -> Result<Option<WorkerRow>, Error> {
    Ok(many(store, harvester, &[number]).await?.pop())
}
/// Workers of a queue that do not run yet.
pub async fn queued(store: &Store, queue: QueueId) -> Result<i64, Error> {
    store.fetch(&QUEUED, vec![("queue", queue.into())]).await?.first().map_or(Ok(0), |r| r.int(0))
}
/// When a pilot of a worker of this queue was last heard of, microseconds UTC.
pub async fn latest(store: &Store, queue: QueueId) -> Result<Option<i64>, Error> {
    let at = store.fetch(&LATEST, vec![("queue", queue.into())]).await?.first().map(|r| r.int(0)).transpose()?;
    Ok(at.filter(|at| *at > 0))
}
/// When a pilot of a worker of each queue was last heard of, microseconds UTC; queues without are left out.
pub async fn latest_all(store: &Store) -> Result<Vec<(QueueId, i64)>, Error> {
    let rows = store.fetch(&LATEST_ALL, vec![]).await?;
    let all: Result<Vec<_>, Error> = rows.iter().map(|r| Ok((QueueId(r.int(0)?), r.opt_int(1)?))).collect();
    Ok(all?.into_iter().filter_map(|(q, at)| at.filter(|at| *at > 0).map(|at| (q, at))).collect())
}
/// The highest number that a Harvester has used.
pub async fn max_number(store: &Store, harvester: &str) -> Result<Option<i64>, Error> {
    store.fetch(&MAX_NO, vec![("harvester", harvester.into())]).await?.first().map_or(Ok(None), |r| r.opt_int(0))
}
/// Workers, as (harvester, number), that were heard of since `after_us`, whose pilot ended before `before_us` and whose batch job goes on; at most
/// 1,000.
pub async fn outlived(store: &Store, after_us: i64, before_us: i64) -> Result<Vec<(String, i64)>, Error> {
    let rows = store.fetch(&OUTLIVED, vec![("after", after_us.into()), ("before", before_us.into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect()
}
/// Adds a worker with its first event; nothing else is known of it yet.
pub fn add(batch: &mut Batch, id: i64, harvester: &str, number: i64, queue: Option<QueueId>, state: &str, now_us: i64) {
    let row: Vec<Value> = vec![
        id.into(),
        harvester.into(),
        number.into(),
        queue.into(),
        state.into(),
        0.into(),
        0.into(),
        now_us.into(),
        now_us.into(),
        0.into(),
    ];
    batch.insert(&ADD, row);
    batch.insert(&EVENT, vec![id.into(), 0.into(), Value::Null, state.into(), now_us.into()]);
}
/// Moves a worker that still has `rev`, with its event.
pub fn transition(batch: &mut Batch, id: i64, rev: i64, from: &str, to: &str, now_us: i64) {
    batch.guard(&MOVE, vec![("state", to.into()), ("now", now_us.into()), ("id", id.into()), ("rev", rev.into())], 1);
    batch.insert(&EVENT, vec![id.into(), (rev + 1).into(), from.into(), to.into(), now_us.into()]);
}
/// Writes what its Harvester told of a worker.
pub fn tell(batch: &mut Batch, id: i64, t: &Told, now_us: i64) {
    let binds = vec![
        ("queue", t.queue.into()),
        ("node", t.node.as_deref().into()),
        ("batch", t.batch_id.as_deref().into()),
        ("label", t.label.as_deref().into()),
        ("kind", t.resource_type.as_deref().into()),
        ("cores", t.n_cores.into()),
        ("endpoint", t.endpoint.as_deref().into()),
        ("host", t.submit_host.as_deref().into()),
        ("sync", t.sync_level.into()),
        ("code", t.error_code.into()),
        ("reason", t.reason.as_deref().into()),
        ("submitted", t.submitted_us.into()),
        ("started", t.started_us.into()),
        ("ended", t.ended_us.into()),
        ("doc", t.doc.as_deref().into()),
        ("now", now_us.into()),
        ("id", id.into()),
    ];
    batch.exec(&TELL, binds);
}
/// Writes what its pilot said: `started` or `finished`, or only that it is there.
pub fn pilot(batch: &mut Batch, id: i64, state: Option<&str>, node: Option<&str>, queue: Option<QueueId>, now_us: i64) {
    let binds = vec![("state", state.into()), ("node", node.into()), ("queue", queue.into()), ("now", now_us.into()), ("id", id.into())];
    batch.exec(&PILOT, binds);
}
/// Takes a worker out that still has `rev`, with its history and its jobs: its Harvester has given its number to another one.
pub fn delete(batch: &mut Batch, id: i64, rev: i64) {
    batch.guard(&DELETE, vec![("id", id.into()), ("rev", rev.into())], 1);
    batch.exec(&DELETE_EVENTS, vec![("id", id.into())]);
    batch.exec(&UNRELATE, vec![("id", id.into())]);
}
/// Jobs of these workers (at most 1,000): worker row and job, in order.
pub async fn jobs(store: &Store, ids: &[i64]) -> Result<Vec<(i64, JobId)>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store.fetch(&JOBS, vec![("ids", ids.to_vec().into())]).await?;
    rows.iter().map(|r| Ok((r.int(0)?, JobId(r.int(1)?)))).collect()
}
/// Workers that a job had, at most 100.
pub async fn of_job(store: &Store, job: JobId) -> Result<Vec<Shown>, Error> {
    shown(&store.fetch(&OF_JOB, vec![("job", job.into())]).await?)
}
/// The workers of a Harvester with the highest numbers, the highest first.
pub async fn newest(store: &Store, harvester: &str, n: i64) -> Result<Vec<Shown>, Error> {
    shown(&store.fetch(&NEWEST, vec![("harvester", harvester.into()), ("n", n.into())]).await?)
}
fn shown(rows: &[Row]) -> Result<Vec<Shown>, Error> {
    rows.iter()
        .map(|r| {
            Ok(Shown {
                harvester: r.text(0)?.to_owned(),
                number: r.int(1)?,
                state: r.text(2)?.to_owned(),
                batch_id: text(r, 3)?,
                node: text(r, 4)?,
                endpoint: text(r, 5)?,
                submit_host: text(r, 6)?,
                error_code: r.opt_int(7)?,
                reason: text(r, 8)?,
                doc: text(r, 9)?,
                resource_type: text(r, 10)?,
                queue: r.opt_int(11)?.map(QueueId),
                pilot_state: text(r, 12)?,
                modified_us: r.int(13)?,
            })
        })
        .collect()
}
/// Adds a job to a worker, if it is not there yet.
pub fn relate(batch: &mut Batch, id: i64, job: JobId) {
    batch.exec(&RELATE, vec![("id", id.into()), ("job", job.into())]);
}
/// Takes all jobs from a worker.
pub fn unrelate(batch: &mut Batch, id: i64) {
    batch.exec(&UNRELATE, vec![("id", id.into())]);
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
