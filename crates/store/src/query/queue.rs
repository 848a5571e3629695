//! Queues, their storage endpoints and their dispatch lanes.

use panda_core::id::{LaneId, QueueId, TaskId};

use crate::{Batch, Error, Row, Store, statements};

/// A queue as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    /// Row id.
    pub id: QueueId,
    /// Unique name.
    pub name: String,
    /// Site.
    pub site: String,
    /// `online`, `offline`, `test`, `brokeroff`.
    pub state: String,
    /// Which pilots serve it: `native`, `official-generic`, `any`.
    pub pilot_family: String,
    /// Its storage endpoint.
    pub rse_id: i64,
    /// Base of the payload runners' addresses, when it is not the server's own.
    pub script_base: Option<String>,
    /// Cores of a slot.
    pub core_count: i64,
    /// Largest memory of a job, MB; 0 = no limit.
    pub max_ram_mb: i64,
    /// Largest scratch space of a job, MB; 0 = no limit.
    pub max_disk_mb: i64,
    /// Longest job, seconds; 0 = no limit.
    pub max_walltime_s: i64,
    /// Further configuration, a JSON object in the shape pilots read.
    pub doc: String,
    /// Revision.
    pub rev: i64,
}

/// A storage endpoint: a directory tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RseRow {
    /// Row id.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Absolute directory.
    pub root: String,
    /// `active` or `offline`.
    pub state: String,
    /// What is known of it besides, a JSON object.
    pub doc: Option<String>,
}

/// A way between two storage endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// From this endpoint.
    pub src: String,
    /// To this one.
    pub dst: String,
    /// Cost; more is worse.
    pub cost: i64,
    /// Megabits a second, if measured.
    pub mbps: Option<i64>,
    /// Files that wait on it.
    pub queued: i64,
    /// When that was so, microseconds UTC.
    pub at_us: i64,
}

/// A dispatch lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRow {
    /// Row id.
    pub id: LaneId,
    /// The queue.
    pub queue_id: QueueId,
    /// VO.
    pub vo: String,
    /// SCORE, MCORE, …
    pub resource_type: String,
    /// Label class.
    pub label: String,
    /// Share.
    pub share: String,
    /// Upper end of its memory step, MB.
    pub ram_step: i64,
}

statements! {
    read LIST = "queue.list", "SELECT id, name, site, state, pilot_family, rse_id, script_base, core_count, max_ram_mb, max_disk_mb, max_walltime_s, doc, rev FROM queue ORDER BY name LIMIT 10000";
    read CHANGED = "queue.changed", "SELECT name, modified_us FROM queue WHERE modified_us > :after ORDER BY name LIMIT 10000";
    insert ADD = "queue.add" => queue (id: Int, name: Text, site: Text, state: Text, pilot_family: Text, rse_id: Int, script_base: Text, core_count: Int, max_ram_mb: Int, max_disk_mb: Int, max_walltime_s: Int, doc: Text, rev: Int, modified_us: Int), "";
    write SET = "queue.set", "UPDATE queue SET site = :site, state = :state, pilot_family = :family, rse_id = :rse, script_base = :base, core_count = :cores, max_ram_mb = :ram, max_disk_mb = :disk, max_walltime_s = :wall, doc = :doc, rev = rev + 1, modified_us = :now WHERE id = :id AND rev = :rev";
    read RSES = "rse.list", "SELECT id, name, root, state, doc FROM rse ORDER BY name LIMIT 10000";
    insert RSE_ADD = "rse.add" => rse (id: Int, name: Text, root: Text, state: Text, doc: Text), "";
    write RSE_SET = "rse.set", "UPDATE rse SET state = :state, doc = :doc WHERE id = :id";
    // A queue or a way that came a moment ago keeps it.
    write RSE_DELETE = "rse.delete", "DELETE FROM rse WHERE id = :id AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.rse_id = :id) AND NOT EXISTS (SELECT 1 FROM rse_link l WHERE l.src = :name OR l.dst = :name)";
    read RSE_FILES = "rse.files", "SELECT id FROM dataset_file WHERE lost = 0 AND (rse = :name OR (surl >= :from AND surl < :to)) LIMIT 1";
    read RSE_TASKS = "rse.tasks", "SELECT id FROM task WHERE nucleus = :name AND ended_us IS NULL LIMIT 1";
    read LINKS = "rse_link.list", "SELECT src, dst, cost, mbps, queued, at_us FROM rse_link ORDER BY src, dst LIMIT 100000";
    write LINK_SET = "rse_link.set", "INSERT INTO rse_link (src, dst, cost, mbps, queued, at_us) VALUES (:src, :dst, :cost, :mbps, :queued, :at) {upsert(src,dst): cost,mbps,queued,at_us}";
    write LINK_DELETE = "rse_link.delete", "DELETE FROM rse_link WHERE src = :src AND dst = :dst";
    write RSE_ROOT = "rse.root", "UPDATE rse SET root = :root WHERE id = :id";
    read LANES = "lane.list", "SELECT id, queue_id, vo, resource_type, label, share_name, ram_step FROM lane WHERE id > :after ORDER BY id LIMIT 10000";
    insert LANE_ADD = "lane.add" => lane (id: Int, queue_id: Int, vo: Text, resource_type: Text, label: Text, share_name: Text, ram_step: Int), "";
}

fn read(row: &Row) -> Result<QueueRow, Error> {
    Ok(QueueRow {
        id: QueueId(row.int(0)?),
        name: row.text(1)?.to_owned(),
        site: row.text(2)?.to_owned(),
        state: row.text(3)?.to_owned(),
        pilot_family: row.text(4)?.to_owned(),
        rse_id: row.int(5)?,
        script_base: row.opt_text(6)?.map(str::to_owned),
        core_count: row.int(7)?,
        max_ram_mb: row.int(8)?,
        max_disk_mb: row.int(9)?,
        max_walltime_s: row.int(10)?,
        doc: row.text(11)?.to_owned(),
        rev: row.int(12)?,
    })
}

/// Every queue, by name; at most 10,000.
pub async fn list(store: &Store) -> Result<Vec<QueueRow>, Error> {
    store.fetch(&LIST, vec![]).await?.iter().map(read).collect()
}
/// Queues that were added or changed after an instant, each with when that was, microseconds UTC; by name, at most 10,000.
pub async fn changed(store: &Store, after_us: i64) -> Result<Vec<(String, i64)>, Error> {
    let rows = store.fetch(&CHANGED, vec![("after", after_us.into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect()
}
/// Adds a queue.
pub fn add(batch: &mut Batch, q: &QueueRow, now_us: i64) {
    batch.insert(
        &ADD,
        vec![
            q.id.into(),
            (&q.name).into(),
            (&q.site).into(),
            (&q.state).into(),
            (&q.pilot_family).into(),
            q.rse_id.into(),
            q.script_base.as_deref().into(),
            q.core_count.into(),
            q.max_ram_mb.into(),
            q.max_disk_mb.into(),
            q.max_walltime_s.into(),
            (&q.doc).into(),
            0.into(),
            now_us.into(),
        ],
    );
}
/// Changes a queue that still has revision `q.rev`.
pub fn set(batch: &mut Batch, q: &QueueRow, now_us: i64) {
    batch.guard(
        &SET,
        vec![
            ("site", (&q.site).into()),
            ("state", (&q.state).into()),
            ("family", (&q.pilot_family).into()),
            ("rse", q.rse_id.into()),
            ("base", q.script_base.as_deref().into()),
            ("cores", q.core_count.into()),
            ("ram", q.max_ram_mb.into()),
            ("disk", q.max_disk_mb.into()),
            ("wall", q.max_walltime_s.into()),
            ("doc", (&q.doc).into()),
            ("now", now_us.into()),
            ("id", q.id.into()),
            ("rev", q.rev.into()),
        ],
        1,
    );
}
/// Every storage endpoint, by name; at most 10,000.
pub async fn rses(store: &Store) -> Result<Vec<RseRow>, Error> {
    let rows = store.fetch(&RSES, vec![]).await?;
    rows.iter()
        .map(|r| {
            Ok(RseRow {
                id: r.int(0)?,
                name: r.text(1)?.to_owned(),
                root: r.text(2)?.to_owned(),
                state: r.text(3)?.to_owned(),
                doc: r.opt_text(4)?.map(str::to_owned),
            })
        })
        .collect()
}
/// Adds a storage endpoint.
pub fn add_rse(batch: &mut Batch, rse: &RseRow) {
    batch.insert(&RSE_ADD, vec![rse.id.into(), (&rse.name).into(), (&rse.root).into(), (&rse.state).into(), rse.doc.as_deref().into()]);
}
/// Writes state and document of a storage endpoint.
pub fn set_rse(batch: &mut Batch, rse: &RseRow) {
    batch.guard(&RSE_SET, vec![("state", (&rse.state).into()), ("doc", rse.doc.as_deref().into()), ("id", rse.id.into())], 1);
}
/// Takes out a storage endpoint that no queue has and no way leads to; a conflict means that one does.
pub fn delete_rse(batch: &mut Batch, rse: &RseRow) {
    batch.guard(&RSE_DELETE, vec![("id", rse.id.into()), ("name", (&rse.name).into())], 1);
}
/// Whether a file of a data set lies at a storage endpoint, or below its directory.
pub async fn rse_files(store: &Store, rse: &RseRow) -> Result<bool, Error> {
    let address = format!("file://localhost{}", rse.root.trim_end_matches('/'));
    // From the first name below the directory to the first one behind: `0` follows `/`.
    let binds = vec![("name", (&rse.name).into()), ("from", format!("{address}/").into()), ("to", format!("{address}0").into())];
    Ok(!store.fetch(&RSE_FILES, binds).await?.is_empty())
}
/// A task that has not ended and keeps its outputs at the endpoint of this name.
pub async fn rse_task(store: &Store, name: &str) -> Result<Option<TaskId>, Error> {
    store.fetch(&RSE_TASKS, vec![("name", name.into())]).await?.first().map(|r| r.int(0).map(TaskId)).transpose()
}
/// Every way between storage endpoints, by names; at most 100,000.
pub async fn links(store: &Store) -> Result<Vec<LinkRow>, Error> {
    let rows = store.fetch(&LINKS, vec![]).await?;
    rows.iter()
        .map(|r| {
            Ok(LinkRow {
                src: r.text(0)?.to_owned(),
                dst: r.text(1)?.to_owned(),
                cost: r.int(2)?,
                mbps: r.opt_int(3)?,
                queued: r.int(4)?,
                at_us: r.int(5)?,
            })
        })
        .collect()
}
/// Writes a way.
pub fn set_link(batch: &mut Batch, l: &LinkRow) {
    let binds = vec![
        ("src", (&l.src).into()),
        ("dst", (&l.dst).into()),
        ("cost", l.cost.into()),
        ("mbps", l.mbps.into()),
        ("queued", l.queued.into()),
        ("at", l.at_us.into()),
    ];
    batch.exec(&LINK_SET, binds);
}
/// Takes a way out.
pub fn delete_link(batch: &mut Batch, src: &str, dst: &str) {
    batch.exec(&LINK_DELETE, vec![("src", src.into()), ("dst", dst.into())]);
}
/// Moves a storage endpoint to another directory.
pub fn set_rse_root(batch: &mut Batch, id: i64, root: &str) {
    batch.guard(&RSE_ROOT, vec![("root", root.into()), ("id", id.into())], 1);
}
/// Lanes with an id above `after`; at most 10,000.
pub async fn lanes(store: &Store, after: LaneId) -> Result<Vec<LaneRow>, Error> {
    let rows = store.fetch(&LANES, vec![("after", after.into())]).await?;
    rows.iter()
        .map(|r| {
            Ok(LaneRow {
                id: LaneId(r.int(0)?),
                queue_id: QueueId(r.int(1)?),
                vo: r.text(2)?.to_owned(),
                resource_type: r.text(3)?.to_owned(),
                label: r.text(4)?.to_owned(),
                share: r.text(5)?.to_owned(),
                ram_step: r.int(6)?,
            })
        })
        .collect()
}
/// Adds a lane; a duplicate means another process interned it first.
pub fn add_lane(batch: &mut Batch, l: &LaneRow) {
    batch.insert(
        &LANE_ADD,
        vec![
            l.id.into(),
            l.queue_id.into(),
            (&l.vo).into(),
            (&l.resource_type).into(),
            (&l.label).into(),
            (&l.share).into(),
            l.ram_step.into(),
        ],
    );
}
