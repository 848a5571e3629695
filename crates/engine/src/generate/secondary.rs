//! Secondary inputs of a turn: which part of each set is in hand, and what of it the jobs took (`spec/engine.md` section 6.1).

use panda_core::{
    file::FileRole,
    id::JobId,
    policy::split::{
        MAX_TOTAL_FILES, SecFile, Secondary as Hand, Take,
        take::{self, Taker},
    },
};
use panda_ops::{
    Ops,
    task::plan::{Input, Plan},
};
use panda_store::{
    Batch,
    query::task::{
        self,
        dataset::{Delta, TaskDataset},
        file::TaskFile,
    },
};

use super::job::{Reads, reads_of};
use crate::EngineError;

/// Files of one set in hand at a time.
const WINDOW: usize = 10_000;
/// Rows of one page.
const PAGE: i64 = 1_000;

/// A secondary set.
#[derive(Debug)]
pub struct Set {
    /// Stream.
    stream: String,
    /// Data set.
    dataset: TaskDataset,
    /// Rows in hand.
    files: Vec<TaskFile>,
    /// What splitting is told.
    pub hand: Hand,
    /// Whether its rows are only read, never used up.
    recurs: bool,
}

/// Loads the sets for jobs of at most `rows` master rows; otherwise why no job can ever have them.
pub async fn load(ops: &Ops, plan: &Plan, datasets: &[TaskDataset], rows: usize) -> Result<Result<Vec<Set>, String>, EngineError> {
    let mut sets = Vec::new();
    for input in plan.inputs.iter().filter(|i| !i.master) {
        let found = datasets.iter().find(|d| d.role == FileRole::Input && d.stream.as_deref() == Some(&input.stream));
        let Some(d) = found else { continue };
        match set(ops, input, d, rows).await? {
            Ok(set) => sets.push(set),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    Ok(Ok(sets))
}

async fn set(ops: &Ops, input: &Input, d: &TaskDataset, rows: usize) -> Result<Result<Set, String>, EngineError> {
    let take = input.take;
    let recurs = input.is_recurring();
    let (mut files, first, total) = if take == Take::Whole {
        if d.n_files >= MAX_TOTAL_FILES as i64 {
            return Ok(Err(format!(
                "every job would read all {} files of {}, and a job has at most {MAX_TOTAL_FILES}; leave out the attribute `nosplit`",
                d.n_files, d.name
            )));
        }
        let all = pages(ops, d, 0, MAX_TOTAL_FILES).await?;
        let n = all.len();
        (all, 0, n)
    } else if recurs {
        match ring(ops, d).await? {
            Ok(ring) => ring,
            Err(reason) => return Ok(Err(reason)),
        }
    } else {
        let want = wanted(take, rows).min(WINDOW);
        let some = pages(ops, d, 0, want + 1).await?;
        let all = some.len() <= want && !d.is_open && d.state != "feeding";
        let n = some.len();
        (some, 0, if all { n } else { usize::MAX })
    };
    files.truncate(WINDOW + 1);
    let hand = Hand {
        files: files.iter().map(|f| SecFile { bytes: f.fsize.unwrap_or(0), events: f.n_events.unwrap_or(0) }).collect(),
        first,
        total,
        take,
        reuse: input.reuse,
        next: if recurs { first } else { 0 },
    };
    Ok(Ok(Set { stream: input.stream.clone(), dataset: d.clone(), files, hand, recurs }))
}

/// Files that jobs of so many rows may take, roughly; more are read when these do not suffice.
fn wanted(take: Take, rows: usize) -> usize {
    match take {
        Take::Whole => MAX_TOTAL_FILES,
        Take::PerJob(n) => n.saturating_mul(rows),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "clamped")]
        Take::Ratio(r) => (r.max(0.0) * rows as f64).ceil().min(1e6) as usize + rows,
        Take::EventRatio(_) => WINDOW,
    }
}

/// The part of a set that starts again which the next jobs use: from where it stands, over its end.
async fn ring(ops: &Ops, d: &TaskDataset) -> Result<Result<(Vec<TaskFile>, usize, usize), String>, EngineError> {
    let total = usize::try_from(d.n_files - d.n_missing).unwrap_or(0);
    if total <= WINDOW {
        let mut all = pages(ops, d, 0, WINDOW).await?;
        let n = all.len();
        let at = usize::try_from(d.next_serial - 1).unwrap_or(0);
        let at = if n == 0 { 0 } else { at % n };
        all.rotate_left(at);
        return Ok(Ok((all, at, n)));
    }
    if d.n_missing > 0 {
        // Places and numbers of rows would not agree.
        return Ok(Err(format!(
            "{} files of {} are lost, and it is too large to be used again with gaps; leave them out by a filter, or set `ignoreMissingInDS`",
            d.n_missing, d.name
        )));
    }
    let at = usize::try_from(d.next_serial - 1).unwrap_or(0) % total;
    let mut part = pages(ops, d, at as i64, WINDOW).await?;
    if part.len() < WINDOW {
        let more = pages(ops, d, 0, WINDOW - part.len()).await?;
        part.extend(more);
    }
    Ok(Ok((part, at, total)))
}

/// At most `n` ready rows behind `after`.
async fn pages(ops: &Ops, d: &TaskDataset, mut after: i64, n: usize) -> Result<Vec<TaskFile>, EngineError> {
    let mut files: Vec<TaskFile> = Vec::new();
    while files.len() < n {
        let want = PAGE.min(i64::try_from(n - files.len()).unwrap_or(PAGE));
        let page = task::file::ready(&ops.store, d.id, after, want).await?;
        let full = page.len() as i64 == want;
        files.extend(page);
        after = files.last().map_or(after, |f| f.seq);
        if !full {
            break;
        }
    }
    Ok(files)
}

impl Set {
    /// Name of the data set, for people.
    pub fn name(&self) -> &str {
        &self.dataset.name
    }
    /// What a job reads of it.
    pub fn reads(&self, picks: &[usize]) -> impl Iterator<Item = Reads> {
        picks.iter().map(|i| reads_of(&self.files[*i], &self.stream, &self.dataset.name))
    }
    /// Gives the rows to their jobs.
    pub fn take(&self, batch: &mut Batch, jobs: &[(JobId, &[usize])]) {
        if self.recurs {
            return;
        }
        let takers: Vec<Taker> =
            jobs.iter().map(|(id, picks)| Taker { job: id.0, seqs: picks.iter().map(|i| self.files[*i].seq).collect() }).collect();
        for run in take::runs(&takers) {
            task::file::take(batch, self.dataset.id, &run);
        }
        let picked = || jobs.iter().flat_map(|(_, picks)| picks.iter());
        let used = i64::try_from(picked().count()).unwrap_or(0);
        let events_used = picked().filter_map(|i| self.files[*i].n_events).sum();
        task::dataset::count(batch, self.dataset.id, Delta { used, events_used, ..Delta::default() });
    }
    /// Writes where a set that recurs stands now; a conflict when somebody else used it meanwhile.
    pub fn advance(&self, batch: &mut Batch, next: usize) {
        if self.recurs && self.hand.take != Take::Whole {
            let next = i64::try_from(next).unwrap_or(0);
            let at = self.dataset.next_serial;
            task::dataset::take_serials(batch, self.dataset.id, at, next + 1 - at);
        }
    }
}
