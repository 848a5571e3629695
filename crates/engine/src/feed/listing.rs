//! A listing under way: which files of a page become rows.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use panda_core::{
    file::FileState,
    policy::feed::{Cut, Feed, File, Part, Rules, Taken},
};
use panda_ops::task::{dag::Dag, plan::Plan};
use panda_store::query::{
    dataset::DatasetFile,
    task::{dataset::TaskDataset, file::TaskFile},
};
use regex::Regex;

use super::{
    known::{self, Known, Met},
    source::{Cursor, Item},
};

/// Rows of one batch; the rest of it is progress, counters and a change of state.
pub const ROWS: usize = 480;
/// Lost files of one listing that are told from those that are there.
const MAX_LOST: usize = 200_000;

/// Rows to be written.
#[derive(Debug, Default)]
pub struct Rows {
    /// The rows, without their numbers.
    pub files: Vec<TaskFile>,
    /// Their events.
    pub events: i64,
    /// Those of lost files.
    pub missing: i64,
    /// Nodes of a DAG that wait for others.
    pub waiting: i64,
}

/// Which files are taken.
#[derive(Debug, Default)]
pub struct Choice {
    /// A name is taken when one of these matches; none = all.
    pub include: Vec<Regex>,
    /// And when none of these is found in it.
    pub exclude: Vec<Regex>,
    /// Lost files are left out (IM) instead of being waited for.
    pub ignores_lost: bool,
    /// Files, and ranges of events, that other tasks have.
    pub used: Known,
    /// Whether a file without a number of events is a row all the same.
    pub uncounted: bool,
}

/// A listing under way.
#[derive(Debug)]
pub struct Listing {
    /// Files read and not taken yet.
    pub hand: VecDeque<Item>,
    /// Where it stands.
    pub feed: Feed,
    /// What the task says.
    pub rules: Rules,
    /// Which files.
    pub choice: Choice,
    /// Names that have rows, when names must be looked at: several data sets, an order of their own, a listing of what was listed before.
    pub known: Option<Known>,
    /// Whether it was listed before.
    pub again: bool,
    /// Names that have rows and are lost now.
    pub lost: BTreeSet<String>,
    /// Whether the input may grow.
    pub open: bool,
    /// Names of its data sets.
    pub names: Vec<String>,
    /// How far it is listed.
    pub cursor: Cursor,
    /// Whether the task has enough.
    pub full: bool,
    /// The DAG whose nodes the files are.
    pub dag: Option<Arc<Dag>>,
    /// Most rows.
    pub most_rows: i64,
    /// The row of the data set as written last.
    pub row: TaskDataset,
    /// Revision of the parameters that it was begun with.
    pub doc_rev: i64,
}

impl Listing {
    /// Whether it goes on with what is stored.
    pub fn fits(&self, d: &TaskDataset, doc_rev: i64) -> bool {
        let stamp = |d: &TaskDataset| (d.n_files, d.part, d.part_after.clone(), d.state.clone(), d.feed.clone());
        self.doc_rev == doc_rev && stamp(&self.row) == stamp(d)
    }
    /// Whether nothing more is to be taken; `ended`: the source has no more.
    pub fn is_over(&self, ended: bool) -> bool {
        (ended && self.hand.is_empty()) || (self.full && !self.again)
    }
    /// Writes the cursor, which counts only while names are not looked at: otherwise a listing begins anew and leaves out what has rows.
    pub fn put_cursor(&self, d: &mut TaskDataset, over: bool) {
        if self.known.is_none() && !over {
            d.part = i64::try_from(self.cursor.part).unwrap_or(0);
            d.part_after = Some(self.cursor.after.clone()).filter(|a| !a.is_empty());
        } else {
            (d.part, d.part_after) = (0, None);
        }
    }
    /// Adds rows of the files in hand, as many as fit into a batch; otherwise why the task can never be fed.
    pub fn take(&mut self, plan: &Plan, d: &TaskDataset, rows: &mut Rows) -> Result<(), String> {
        while rows.files.len() < ROWS && (self.again || !self.full) {
            let Some(item) = self.hand.pop_front() else { break };
            let fresh = self.feed.within() || self.is_new(&item.file);
            if !fresh || self.full || !self.chooses(&item.file) {
                self.cursor = item.cursor;
                continue;
            }
            let facts = File { events: plan.events_of(item.file.n_events), lumiblock: item.file.lumiblock };
            match self.parts(&facts, ROWS - rows.files.len()) {
                Taken::Skipped => self.cursor = item.cursor,
                Taken::Full => self.full = true,
                Taken::Uncounted => {
                    return Err(format!(
                        "nobody knows how many events {} has, so it cannot be cut into jobs by events; give `nEventsPerFile`, or register the events",
                        item.file.lfn
                    ));
                }
                Taken::Rows { parts, done } => {
                    self.rows(plan, d, &item.file, &parts, rows);
                    if done {
                        self.cursor = item.cursor;
                    } else {
                        self.hand.push_front(item);
                    }
                }
            }
        }
        Ok(())
    }
    /// Whether a file has no row yet; notes that it is there.
    fn is_new(&mut self, file: &DatasetFile) -> bool {
        let Some(known) = &mut self.known else { return true };
        let met = known.meet(known::key(&file.lfn));
        if met == Met::Known && file.lost && self.lost.len() < MAX_LOST {
            self.lost.insert(file.lfn.clone());
        }
        met == Met::New
    }
    fn chooses(&self, file: &DatasetFile) -> bool {
        let c = &self.choice;
        let left_out = (file.lost && c.ignores_lost) || (!c.used.is_empty() && c.used.has(known::key(&file.lfn)));
        !left_out
            && (c.include.is_empty() || c.include.iter().any(|r| r.is_match(&file.lfn)))
            && !c.exclude.iter().any(|r| r.is_match(&file.lfn))
    }
    fn parts(&mut self, facts: &File, room: usize) -> Taken {
        let taken = self.feed.take(&self.rules, facts, room);
        if taken == Taken::Uncounted && self.choice.uncounted {
            return self.feed.take(&Rules { cut: Cut::No, ..self.rules }, facts, room);
        }
        taken
    }
    fn rows(&self, plan: &Plan, d: &TaskDataset, file: &DatasetFile, parts: &[Part], rows: &mut Rows) {
        for part in parts {
            if part.range.is_some_and(|(first, last)| self.choice.used.has(known::range_key(&file.lfn, first, last))) {
                continue;
            }
            let seq = self.row.n_files + i64::try_from(rows.files.len()).unwrap_or(0) + 1;
            rows.events = rows.events.saturating_add(part.events.unwrap_or(0));
            rows.missing += i64::from(file.lost);
            let n_wait = self.dag.as_ref().map(|dag| waits(dag, seq));
            let waits = n_wait.is_some_and(|n| n > 0);
            rows.waiting += i64::from(waits);
            rows.files.push(TaskFile {
                scope: Some(file.scope.clone()).filter(|s| !s.is_empty()),
                guid: file.guid.clone(),
                fsize: file.fsize,
                checksum: file.checksum.clone(),
                n_events: part.events,
                first_event: part.range.map(|r| r.0),
                last_event: part.range.map(|r| r.1),
                state: match (file.lost, waits) {
                    (true, _) => FileState::Lost,
                    (false, true) => FileState::Pending,
                    (false, false) => FileState::Ready,
                },
                n_wait,
                max_attempt: plan.max_attempt,
                max_failure: plan.max_failure,
                file_no: self.feed.files,
                boundary: file.boundary,
                lumiblock: file.lumiblock,
                event_no: part.number,
                ..TaskFile::new(d, seq, &file.lfn)
            });
        }
    }
}

/// How many others a node waits for, by its number.
fn waits(dag: &Dag, seq: i64) -> i64 {
    let node = usize::try_from(seq - 1).ok().and_then(|at| dag.nodes.get(at));
    node.map_or(0, |n| i64::try_from(n.on.len()).unwrap_or(i64::MAX))
}
