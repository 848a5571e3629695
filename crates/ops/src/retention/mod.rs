//! What has ended leaves the hot tables, and later the system: the archive ([`shift`]), and what is removed for good ([`step`]): archived tasks and
//! jobs, histories, sandboxes and other uploaded files, live logs, pre-merge files, output data sets, old records. How long what is kept are settings, for each
//! VO and label.
//!
//! Each class of things has one function that finds what is due and one that removes it; the dry run stops after the first. Everything works in
//! bounded steps that can be run again at any moment. What is removed leaves a line in the journal. Nothing is removed that a task which can
//! still run or be retried needs.

mod archived;
mod disk;
pub mod overview;
mod records;
pub mod report;
mod sets;
pub mod shift;
mod strays;
pub mod uses;

use std::collections::BTreeMap;

use panda_core::{
    policy::retention::{DAY_US, expired},
    setting::{ANY, Setting, Values, retention as set},
};
use panda_store::{
    Batch, IdKind,
    query::{
        journal::{self, Line},
        snapshot,
        task::TaskRow,
    },
};
use serde_json::{Map, Value, json};

use crate::{Ops, OpsError, clock, hold::ENGINE};

/// Area of the journal's lines.
pub const AREA: &str = "retention";
/// Things of one class that one step removes.
pub const A_STEP: usize = 500;
/// Name of the snapshot that keeps how far each class has been looked through.
const CURSORS: &str = "retention.cursors";
/// Pages of one step of the classes that are looked through row by row: 100,000 rows an hour; the next step goes on from there.
const SCAN_PAGES: usize = 200;
/// Pages that the dry run looks at for each class.
const DRY_PAGES: usize = 20;

/// Why nothing can be done with an archived task.
#[must_use]
pub fn archived(t: &TaskRow) -> String {
    let ended = clock::text(t.ended_us.unwrap_or(t.state_us));
    format!("task {} ended at {ended} and is in the archive: it can be looked at, not taken up again; submit it again instead", t.id)
}

/// What is kept for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Tasks in the archive, with their jobs.
    Tasks,
    /// Jobs in the archive that had no task.
    Jobs,
    /// Histories of archived jobs.
    History,
    /// Sandboxes.
    Sandboxes,
    /// Other uploaded files.
    Uploads,
    /// Leftovers of uploads that broke off.
    Leftovers,
    /// Live and debug logs.
    Logs,
    /// Merged pre-merge files.
    PreMerge,
    /// Output data sets of archived tasks.
    DataSets,
    /// Decision records.
    Decisions,
    /// Workers.
    Workers,
    /// Machines.
    Machines,
    /// Messages and measurements of Harvesters, and commands to them.
    Harvesters,
    /// The journal.
    Journal,
}

impl Class {
    /// All of them, in the order in which they are looked through.
    pub const ALL: &'static [Self] = &[
        Self::Tasks,
        Self::Jobs,
        Self::History,
        Self::Sandboxes,
        Self::Uploads,
        Self::Leftovers,
        Self::Logs,
        Self::PreMerge,
        Self::DataSets,
        Self::Decisions,
        Self::Workers,
        Self::Machines,
        Self::Harvesters,
        Self::Journal,
    ];
    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tasks => "archived tasks",
            Self::Jobs => "archived jobs",
            Self::History => "histories",
            Self::Sandboxes => "sandboxes",
            Self::Uploads => "other uploads",
            Self::Leftovers => "leftovers",
            Self::Logs => "live logs",
            Self::PreMerge => "pre-merge files",
            Self::DataSets => "data sets",
            Self::Decisions => "decisions",
            Self::Workers => "workers",
            Self::Machines => "machines",
            Self::Harvesters => "Harvester records",
            Self::Journal => "journal",
        }
    }
    /// The setting that says for how many days it is kept; leftovers have a fixed time.
    #[must_use]
    pub const fn setting(self) -> Option<&'static Setting> {
        Some(match self {
            Self::Tasks | Self::Jobs => &set::ARCHIVE_KEEP_DAYS,
            Self::History => &set::HISTORY_DAYS,
            Self::Sandboxes => &set::SANDBOX_DAYS,
            Self::Uploads => &set::CACHE_DAYS,
            Self::Leftovers => return None,
            Self::Logs => &set::LOG_DAYS,
            Self::PreMerge => &set::TEMPORARY_DAYS,
            Self::DataSets => &set::DATASET_DAYS,
            Self::Decisions => &set::DECISION_DAYS,
            Self::Workers => &set::WORKER_DAYS,
            Self::Machines => &set::NODE_DAYS,
            Self::Harvesters => &set::HARVESTER_DAYS,
            Self::Journal => &set::JOURNAL_DAYS,
        })
    }
    /// Whether it is looked through row by row, because no index knows what is due.
    const fn is_scanned(self) -> bool {
        matches!(self, Self::History | Self::Logs | Self::Decisions | Self::Workers)
    }
    /// What its age counts from.
    #[must_use]
    pub const fn counts_from(self) -> &'static str {
        match self {
            Self::Tasks | Self::Jobs | Self::History => "the end",
            Self::Sandboxes | Self::Uploads => "the last use",
            Self::Leftovers | Self::Logs => "the last byte",
            Self::PreMerge | Self::DataSets => "the end of the task",
            Self::Decisions => "the decision",
            Self::Workers | Self::Machines => "the last report",
            Self::Harvesters => "the record",
            Self::Journal => "the line",
        }
    }
}

/// How long what is kept.
pub(crate) struct Rules<'a> {
    pub values: &'a Values,
    pub now_us: i64,
}

impl Rules<'_> {
    fn days(&self, class: Class, vo: &str, label: &str) -> i64 {
        class.setting().map_or(disk::LEFTOVER_DAYS, |s| self.values.int(s, vo, label))
    }
    /// Whether something of this VO and label from `at_us` is due.
    fn due(&self, class: Class, vo: &str, label: &str, at_us: i64) -> bool {
        expired(self.now_us - at_us, self.days(class, vo, label))
    }
    /// Nothing younger than this is due, whatever VO and label; None when nothing is ever.
    fn before(&self, class: Class) -> Option<i64> {
        let Some(s) = class.setting() else { return Some(self.now_us - disk::LEFTOVER_DAYS * DAY_US) };
        let given = self.values.iter().filter(|(key, _)| key.0 == s.name).filter_map(|(_, v)| v.parse::<i64>().ok());
        let least = given.chain([self.values.int(s, ANY, ANY)]).filter(|d| *d > 0).min()?;
        // "At least so old" for what is found by "before".
        Some(self.now_us - least.saturating_mul(DAY_US) + 1)
    }
}

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What it is.
    pub class: Class,
    /// Its VO; empty when it belongs to none.
    pub vo: String,
    /// Its name, for people.
    pub name: String,
    /// What its age counts from, microseconds UTC.
    pub since_us: i64,
    /// Bytes, where they are known.
    pub bytes: i64,
    pub(crate) key: Key,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Task(Box<TaskRow>),
    Row(i64),
    Name(String),
    File(std::path::PathBuf),
    Machine(String, String),
    PreMerge(panda_store::query::old::PreMerge),
    Output(panda_store::query::old::Output),
}

/// A page of what is due, and where the next one begins; None at the end.
pub(crate) type Page = (Vec<Due>, Option<i64>);

async fn find(ops: &Ops, rules: &Rules<'_>, class: Class, from: i64) -> Result<Page, OpsError> {
    let Some(before) = rules.before(class) else { return Ok((Vec::new(), None)) };
    match class {
        Class::Tasks | Class::Jobs => archived::find(ops, rules, class, before, from).await,
        Class::History => archived::find_histories(ops, rules, before, from).await,
        Class::Sandboxes | Class::Uploads => disk::find_uploads(ops, rules, class, before, from).await,
        Class::Leftovers => disk::find_leftovers(ops).await,
        Class::Logs => disk::find_logs(ops, rules, before, from).await,
        Class::PreMerge => disk::find_pre_merge(ops, rules, before, from).await,
        Class::DataSets => sets::find(ops, rules, before, from).await,
        Class::Decisions => records::find_decisions(ops, rules, from).await,
        Class::Workers | Class::Journal => records::find_rows(ops, rules, class, from).await,
        Class::Machines => records::find_machines(ops, before).await,
        Class::Harvesters => records::find_harvesters(ops, before).await,
    }
}

async fn remove(ops: &Ops, class: Class, due: &[Due]) -> Result<(), OpsError> {
    match class {
        Class::Tasks | Class::Jobs => archived::remove(ops, class, due).await,
        Class::History => archived::remove_histories(ops, due).await,
        Class::Sandboxes | Class::Uploads => disk::remove_uploads(ops, due).await,
        Class::Leftovers | Class::Logs => disk::remove_files(due).await,
        Class::PreMerge => disk::remove_pre_merge(ops, due).await,
        Class::DataSets => sets::remove(ops, due).await,
        Class::Decisions | Class::Workers | Class::Machines | Class::Harvesters | Class::Journal => records::remove(ops, class, due).await,
    }
}

/// What one step removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// By class: things and bytes.
    pub by: BTreeMap<Class, (usize, i64)>,
    /// Whether there may be more to do at once.
    pub more: bool,
}

/// One step: a page of each class, or many of those that are looked through.
pub async fn step(ops: &Ops) -> Result<Removed, OpsError> {
    let settings = ops.settings().await?;
    let rules = Rules { values: &settings, now_us: ops.now().0 };
    let mut cursors = cursors(ops).await?;
    let mut removed = Removed::default();
    for class in Class::ALL {
        let mut from = cursors.get(class.name()).and_then(Value::as_i64);
        for _ in 0..if class.is_scanned() { SCAN_PAGES } else { 1 } {
            let (due, next) = find(ops, &rules, *class, from.unwrap_or(i64::MIN)).await?;
            if !due.is_empty() {
                remove(ops, *class, &due).await?;
                note(ops, *class, &due).await?;
                let sum = removed.by.entry(*class).or_insert((0, 0));
                *sum = (sum.0 + due.len(), sum.1 + due.iter().map(|d| d.bytes).sum::<i64>());
            }
            from = next;
            if next.is_none() {
                break;
            }
        }
        removed.more |= from.is_some() && !class.is_scanned();
        match from {
            Some(next) => drop(cursors.insert(class.name().into(), next.into())),
            None => drop(cursors.remove(class.name())),
        }
    }
    let mut batch = Batch::new();
    snapshot::set(&mut batch, CURSORS, ops.now().0, &Value::Object(cursors).to_string());
    ops.store.apply(batch).await?;
    Ok(removed)
}

async fn cursors(ops: &Ops) -> Result<Map<String, Value>, OpsError> {
    let doc = snapshot::get(&ops.store, CURSORS).await?.map(|(_, doc)| doc).unwrap_or_default();
    Ok(serde_json::from_str(&doc).unwrap_or_default())
}

/// One line of the journal for each VO.
async fn note(ops: &Ops, class: Class, due: &[Due]) -> Result<(), OpsError> {
    let mut by: BTreeMap<&str, (usize, i64, i64)> = BTreeMap::new();
    for d in due {
        let entry = by.entry(&d.vo).or_insert((0, 0, i64::MAX));
        *entry = (entry.0 + 1, entry.1 + d.bytes, entry.2.min(d.since_us));
    }
    let mut batch = Batch::new();
    for (vo, (n, bytes, oldest)) in by {
        let doc = json!({"vo": vo, "rows": n, "bytes": bytes, "oldest": clock::text(oldest)});
        let line = Line {
            id: ops.store.id(IdKind::Row).await?,
            at_us: ops.now().0,
            area: AREA.into(),
            what: "removed".into(),
            subject: class.name().into(),
            who: ENGINE.into(),
            doc: Some(doc.to_string()),
        };
        tracing::info!(class = class.name(), vo, n, bytes, "removed");
        journal::add(&mut batch, &line);
    }
    ops.store.apply(batch).await.map_err(Into::into)
}

/// What a step would remove, of every class, at most some thousands; nothing is changed.
pub async fn dry_run(ops: &Ops) -> Result<Vec<Due>, OpsError> {
    let settings = ops.settings().await?;
    let rules = Rules { values: &settings, now_us: ops.now().0 };
    let mut all = Vec::new();
    for class in Class::ALL {
        let mut from = i64::MIN;
        for _ in 0..DRY_PAGES {
            let (due, next) = find(ops, &rules, *class, from).await?;
            all.extend(due);
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    Ok(all)
}
