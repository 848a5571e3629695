//! Harvester instances: heartbeats, what they have at queues, commands to them, their messages and measurements; slots that queues should have.

use panda_core::id::QueueId;

use crate::{Batch, Error, Row, Store, statements};

statements! {
    write BEAT = "harvester.beat", "INSERT INTO harvester (name, version, who, vo, started_us, heard_us, created_us, doc) VALUES (:name, :version, :who, :vo, :started, :now, :now, :doc) {upsert(name): who,heard_us, version = COALESCE(new.version, harvester.version), started_us = COALESCE(new.started_us, harvester.started_us), doc = COALESCE(new.doc, harvester.doc)}";
    read LIST = "harvester.list", "SELECT name, version, who, vo, started_us, heard_us, doc FROM harvester ORDER BY name LIMIT 1000";
    [hot] read VO = "harvester.vo", "SELECT vo FROM harvester WHERE name = :name LIMIT 1";
    [hot] read ADDRESSEES = "harvester_command.addressees", "SELECT id, harvester FROM harvester_command WHERE id IN (:ids*) LIMIT 1000";
    write STAT = "harvester_stat.set", "INSERT INTO harvester_stat (harvester, queue_name, at_us, doc) VALUES (:harvester, :queue, :at, :doc) {upsert(harvester,queue_name): at_us,doc}";
    read STATS = "harvester_stat.list", "SELECT harvester, queue_name, at_us, doc FROM harvester_stat WHERE at_us >= :since ORDER BY harvester, queue_name LIMIT 100000";
    insert COMMAND = "harvester_command.add" => harvester_command (id: Int, harvester: Text, name: Text, params: Text, ack: Int, state: Text, created_us: Int, changed_us: Int), "";
    // A newer command of the same name takes the place of one that nobody has fetched.
    [hot] write REPLACED = "harvester_command.replaced", "DELETE FROM harvester_command WHERE harvester = :harvester AND state = 'new' AND name = :name";
    [hot] read NEXT = "harvester_command.next", "SELECT id, name, params, ack, created_us FROM harvester_command WHERE harvester = :harvester AND state = 'new' ORDER BY id LIMIT :n";
    // Fetched, an acknowledgement asked for, and none came: the answer may have been lost.
    [hot] read AGAIN = "harvester_command.again", "SELECT id, name, params, ack, created_us FROM harvester_command WHERE harvester = :harvester AND state = 'retrieved' AND ack = 1 AND changed_us < :before ORDER BY id LIMIT :n";
    [hot] write FETCHED = "harvester_command.fetched", "UPDATE harvester_command SET state = 'retrieved', changed_us = :now WHERE id IN (:ids*) AND state <> 'acknowledged'";
    [hot] write ACKNOWLEDGED = "harvester_command.acknowledged", "UPDATE harvester_command SET state = 'acknowledged', changed_us = :now WHERE id IN (:ids*) AND state = 'retrieved'";
    read COMMANDS = "harvester_command.list", "SELECT id, name, params, ack, created_us, state FROM harvester_command WHERE harvester = :harvester ORDER BY id DESC LIMIT :n";
    write DIALOG = "harvester_dialog.set", "INSERT INTO harvester_dialog (harvester, dialog_no, module, subject, severity, message, at_us) VALUES (:harvester, :no, :module, :subject, :severity, :message, :at) {upsert(harvester,dialog_no): module,subject,severity,message,at_us}";
    read DIALOGS = "harvester_dialog.list", "SELECT dialog_no, module, subject, severity, message, at_us FROM harvester_dialog WHERE harvester = :harvester ORDER BY at_us DESC, dialog_no DESC LIMIT :n";
    write METRIC = "harvester_metric.set", "INSERT INTO harvester_metric (harvester, host, at_us, doc) VALUES (:harvester, :host, :at, :doc) {upsert(harvester,host,at_us): doc}";
    read METRICS = "harvester_metric.list", "SELECT host, at_us, doc FROM harvester_metric WHERE harvester = :harvester ORDER BY at_us DESC, host LIMIT :n";
    write SLOT = "target_slot.set", "INSERT INTO target_slot (queue_id, share_name, resource_type, n_slots, expires_us, modified_us) VALUES (:queue, :share, :kind, :n, :expires, :now) {upsert(queue_id,share_name,resource_type): n_slots,expires_us,modified_us}";
    write SLOT_DELETE = "target_slot.delete", "DELETE FROM target_slot WHERE queue_id = :queue AND share_name = :share AND resource_type = :kind";
    read SLOTS = "target_slot.list", "SELECT queue_id, share_name, resource_type, n_slots, expires_us FROM target_slot ORDER BY queue_id, share_name, resource_type LIMIT 10000";
    [hot] read OLD_DIALOGS = "harvester_dialog.old", "SELECT at_us FROM harvester_dialog WHERE at_us < :before ORDER BY at_us LIMIT :n";
    [hot] write DROP_DIALOGS = "harvester_dialog.drop", "DELETE FROM harvester_dialog WHERE at_us <= :last";
    [hot] read OLD_METRICS = "harvester_metric.old", "SELECT at_us FROM harvester_metric WHERE at_us < :before ORDER BY at_us LIMIT :n";
    [hot] write DROP_METRICS = "harvester_metric.drop", "DELETE FROM harvester_metric WHERE at_us <= :last";
    [hot] read OLD_COMMANDS = "harvester_command.old", "SELECT changed_us FROM harvester_command WHERE changed_us < :before ORDER BY changed_us LIMIT :n";
    [hot] write DROP_COMMANDS = "harvester_command.drop", "DELETE FROM harvester_command WHERE changed_us <= :last";
}

/// Any share or resource type of a target slot.
pub const ANY: &str = "*";

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HarvesterRow {
    /// Its name (`harvester_id`).
    pub name: String,
    /// Version of its program.
    pub version: Option<String>,
    /// Shown name of who runs it.
    pub who: String,
    /// The VO that it works for; none = the whole site.
    pub vo: Option<String>,
    /// When it says that it started, microseconds UTC.
    pub started_us: Option<i64>,
    /// When it was last heard of, microseconds UTC.
    pub heard_us: i64,
    /// What its heartbeat at the start said besides (JSON): the commands that it takes.
    pub doc: Option<String>,
}

/// What an instance has at a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatRow {
    /// The instance.
    pub harvester: String,
    /// The queue's name.
    pub queue: String,
    /// When it was told, microseconds UTC.
    pub at_us: i64,
    /// `{label: {resource type: {state: workers}}}`.
    pub doc: String,
}

/// A command to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRow {
    /// Its number.
    pub id: i64,
    /// `KILL_WORKERS`, `SET_N_WORKERS_JOBTYPE:<queue>`, ….
    pub name: String,
    /// JSON.
    pub params: Option<String>,
    /// Whether an acknowledgement is asked for.
    pub ack: bool,
    /// When it was made, microseconds UTC.
    pub created_us: i64,
    /// `new`, `retrieved`, `acknowledged`.
    pub state: String,
}

/// A message of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogRow {
    /// The instance's number of it.
    pub number: i64,
    /// Part of the program.
    pub module: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// `INFO`, `WARNING`, `ERROR`, ….
    pub severity: String,
    /// The text.
    pub message: Option<String>,
    /// When, microseconds UTC.
    pub at_us: i64,
}

/// Slots that a queue should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRow {
    /// The queue.
    pub queue_id: QueueId,
    /// For this share; [`ANY`].
    pub share: String,
    /// For this resource type; [`ANY`].
    pub resource_type: String,
    /// How many.
    pub n: i64,
    /// Until when, microseconds UTC; none = for good.
    pub expires_us: Option<i64>,
}

fn text(r: &Row, at: usize) -> Result<Option<String>, Error> {
    Ok(r.opt_text(at)?.map(str::to_owned))
}

/// Writes down that an instance was heard of; what is none stays as it is known.
/// The VO is the one of its first word.
pub fn beat(batch: &mut Batch, h: &HarvesterRow) {
    let binds = vec![
        ("name", (&h.name).into()),
        ("version", h.version.as_deref().into()),
        ("who", (&h.who).into()),
        ("vo", h.vo.as_deref().into()),
        ("started", h.started_us.into()),
        ("now", h.heard_us.into()),
        ("doc", h.doc.as_deref().into()),
    ];
    batch.exec(&BEAT, binds);
}
/// Every instance, by name; at most 1,000.
pub async fn list(store: &Store) -> Result<Vec<HarvesterRow>, Error> {
    let rows = store.fetch(&LIST, vec![]).await?;
    rows.iter()
        .map(|r| {
            Ok(HarvesterRow {
                name: r.text(0)?.to_owned(),
                version: text(r, 1)?,
                who: r.text(2)?.to_owned(),
                vo: text(r, 3)?,
                started_us: r.opt_int(4)?,
                heard_us: r.int(5)?,
                doc: text(r, 6)?,
            })
        })
        .collect()
}
/// The VO of an instance; None when it is not known, `Some(None)` when it serves the whole site.
pub async fn vo(store: &Store, name: &str) -> Result<Option<Option<String>>, Error> {
    let rows = store.fetch(&VO, vec![("name", name.into())]).await?;
    rows.first().map(|r| text(r, 0)).transpose()
}
/// To whom commands (at most 1,000) are: `(command, instance)`.
pub async fn addressees(store: &Store, ids: &[i64]) -> Result<Vec<(i64, String)>, Error> {
    let rows = store.fetch(&ADDRESSEES, vec![("ids", ids.to_vec().into())]).await?;
    rows.iter().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned()))).collect()
}
/// Writes what an instance has at a queue, in place of what it had.
pub fn set_stat(batch: &mut Batch, harvester: &str, queue: &str, doc: &str, now_us: i64) {
    batch.exec(&STAT, vec![("harvester", harvester.into()), ("queue", queue.into()), ("at", now_us.into()), ("doc", doc.into())]);
}
/// What instances told since an instant, by instance and queue; at most 100,000.
pub async fn stats(store: &Store, since_us: i64) -> Result<Vec<StatRow>, Error> {
    let rows = store.fetch(&STATS, vec![("since", since_us.into())]).await?;
    rows.iter()
        .map(|r| {
            Ok(StatRow { harvester: r.text(0)?.to_owned(), queue: r.text(1)?.to_owned(), at_us: r.int(2)?, doc: r.text(3)?.to_owned() })
        })
        .collect()
}
/// Adds a command, which is `new`; one of the same name that nobody has fetched goes, when `replaces`.
pub fn command(batch: &mut Batch, harvester: &str, c: &CommandRow, replaces: bool) {
    if replaces {
        batch.exec(&REPLACED, vec![("harvester", harvester.into()), ("name", (&c.name).into())]);
    }
    let params = c.params.as_deref().into();
    let at = c.created_us.into();
    batch.insert(
        &COMMAND,
        vec![c.id.into(), harvester.into(), (&c.name).into(), params, c.ack.into(), (&c.state).into(), at, c.created_us.into()],
    );
}
fn commands_of(rows: &[Row], state: &str) -> Result<Vec<CommandRow>, Error> {
    rows.iter()
        .map(|r| {
            Ok(CommandRow {
                id: r.int(0)?,
                name: r.text(1)?.to_owned(),
                params: text(r, 2)?,
                ack: r.int(3)? != 0,
                created_us: r.int(4)?,
                state: state.to_owned(),
            })
        })
        .collect()
}
/// Commands that an instance has not fetched, oldest first.
pub async fn next_commands(store: &Store, harvester: &str, n: i64) -> Result<Vec<CommandRow>, Error> {
    commands_of(&store.fetch(&NEXT, vec![("harvester", harvester.into()), ("n", n.into())]).await?, "new")
}
/// Commands that an instance fetched before an instant and should have acknowledged.
pub async fn unacknowledged(store: &Store, harvester: &str, before_us: i64, n: i64) -> Result<Vec<CommandRow>, Error> {
    let binds = vec![("harvester", harvester.into()), ("before", before_us.into()), ("n", n.into())];
    commands_of(&store.fetch(&AGAIN, binds).await?, "retrieved")
}
/// The latest commands of an instance, the newest first.
pub async fn commands(store: &Store, harvester: &str, n: i64) -> Result<Vec<CommandRow>, Error> {
    let rows = store.fetch(&COMMANDS, vec![("harvester", harvester.into()), ("n", n.into())]).await?;
    let mut all = commands_of(&rows, "")?;
    for (one, r) in all.iter_mut().zip(&rows) {
        r.text(5)?.clone_into(&mut one.state);
    }
    Ok(all)
}
/// Marks commands (at most 1,000) as fetched; a conflict means that one was acknowledged or removed meanwhile.
pub fn fetched(batch: &mut Batch, ids: &[i64], now_us: i64) {
    let n = ids.len() as u64;
    batch.guard(&FETCHED, vec![("ids", ids.to_vec().into()), ("now", now_us.into())], n);
}
/// Marks commands (at most 1,000) as acknowledged; those that are not known or were not fetched are left as they are.
pub fn acknowledged(batch: &mut Batch, ids: &[i64], now_us: i64) {
    batch.exec(&ACKNOWLEDGED, vec![("ids", ids.to_vec().into()), ("now", now_us.into())]);
}
/// Writes a message of an instance, in place of one with the same number.
pub fn set_dialog(batch: &mut Batch, harvester: &str, d: &DialogRow) {
    let binds = vec![
        ("harvester", harvester.into()),
        ("no", d.number.into()),
        ("module", d.module.as_deref().into()),
        ("subject", d.subject.as_deref().into()),
        ("severity", (&d.severity).into()),
        ("message", d.message.as_deref().into()),
        ("at", d.at_us.into()),
    ];
    batch.exec(&DIALOG, binds);
}
/// The latest messages of an instance, the newest first.
pub async fn dialogs(store: &Store, harvester: &str, n: i64) -> Result<Vec<DialogRow>, Error> {
    let rows = store.fetch(&DIALOGS, vec![("harvester", harvester.into()), ("n", n.into())]).await?;
    rows.iter()
        .map(|r| {
            Ok(DialogRow {
                number: r.int(0)?,
                module: text(r, 1)?,
                subject: text(r, 2)?,
                severity: r.text(3)?.to_owned(),
                message: text(r, 4)?,
                at_us: r.int(5)?,
            })
        })
        .collect()
}
/// Writes what an instance measured at an instant (JSON).
pub fn set_metric(batch: &mut Batch, harvester: &str, host: &str, at_us: i64, doc: &str) {
    batch.exec(&METRIC, vec![("harvester", harvester.into()), ("host", host.into()), ("at", at_us.into()), ("doc", doc.into())]);
}
/// The latest measurements of an instance: host, instant, JSON; the newest first.
pub async fn metrics(store: &Store, harvester: &str, n: i64) -> Result<Vec<(String, i64, String)>, Error> {
    let rows = store.fetch(&METRICS, vec![("harvester", harvester.into()), ("n", n.into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?, r.text(2)?.to_owned()))).collect()
}
/// Writes how many slots a queue should have.
pub fn set_slot(batch: &mut Batch, s: &SlotRow, now_us: i64) {
    let binds = vec![
        ("queue", s.queue_id.into()),
        ("share", (&s.share).into()),
        ("kind", (&s.resource_type).into()),
        ("n", s.n.into()),
        ("expires", s.expires_us.into()),
        ("now", now_us.into()),
    ];
    batch.exec(&SLOT, binds);
}
/// Takes out how many slots a queue should have.
pub fn delete_slot(batch: &mut Batch, queue: QueueId, share: &str, resource_type: &str) {
    batch.exec(&SLOT_DELETE, vec![("queue", queue.into()), ("share", share.into()), ("kind", resource_type.into())]);
}
/// Slots of all queues, at most 10,000.
pub async fn slots(store: &Store) -> Result<Vec<SlotRow>, Error> {
    let rows = store.fetch(&SLOTS, vec![]).await?;
    rows.iter()
        .map(|r| {
            Ok(SlotRow {
                queue_id: QueueId(r.int(0)?),
                share: r.text(1)?.to_owned(),
                resource_type: r.text(2)?.to_owned(),
                n: r.int(3)?,
                expires_us: r.opt_int(4)?,
            })
        })
        .collect()
}
/// Instants of the oldest messages, measurements and commands that are older than `before_us`, at most `n` and 1,000 of each kind.
pub async fn old(store: &Store, before_us: i64, n: i64) -> Result<[Vec<i64>; 3], Error> {
    let mut out: [Vec<i64>; 3] = Default::default();
    for (all, statement) in out.iter_mut().zip([&OLD_DIALOGS, &OLD_METRICS, &OLD_COMMANDS]) {
        let rows = store.fetch(statement, vec![("before", before_us.into()), ("n", n.min(super::MAX_PAGE).into())]).await?;
        *all = rows.iter().map(|r| r.int(0)).collect::<Result<_, _>>()?;
    }
    Ok(out)
}
/// Removes what [`old`] found, up to the last instant of each kind.
pub fn drop_old(batch: &mut Batch, found: &[Vec<i64>; 3]) {
    for (all, statement) in found.iter().zip([&DROP_DIALOGS, &DROP_METRICS, &DROP_COMMANDS]) {
        if let Some(last) = all.last() {
            batch.exec(statement, vec![("last", (*last).into())]);
        }
    }
}
