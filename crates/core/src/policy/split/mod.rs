//! Splitting: which input rows go into one job (`spec/engine.md` section 6.1).
//!
//! One pure function, [`split()`], used for run jobs and for merge jobs: greedy, in the order given, deterministic. What a task and a queue
//! allow comes in as [`Rules`] (made by [`limits`]); how far secondary inputs are used comes in and goes out as numbers. It must not
//! know how rows are stored, nor queues.

pub mod limits;
pub mod secondary;
pub mod sequence;
pub mod take;

use std::ops::Range;

pub use limits::{Disk, Limits, MAX_BYTES, MAX_FILES, Output, Rules, Size, Walltime};
use secondary::Short;
pub use secondary::{Reuse, SecFile, Secondary, Take};
pub use sequence::{DEFAULT_SEQUENCE, MAX_SEQUENCE, Sequence, ceil_div, sequence_count};

/// Files of one job, secondary inputs included (`spec/engine.md` 6.1, 20.7).
pub const MAX_TOTAL_FILES: usize = 1_000;

/// A row of the master input: a file, a range of events of a file, a pseudo input, or a pre-merge file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Row {
    /// Rows of one file have the same number here, so that its bytes count once; 0 = a file of its own.
    pub file: i64,
    /// Bytes of the file.
    pub bytes: i64,
    /// Events of the row.
    pub events: i64,
    /// First and last event of the row within its file.
    pub range: Option<(i64, i64)>,
    /// Rows of different boundaries do not share a job, or rows of one boundary stay together ([`Boundary`]).
    pub boundary: Option<i64>,
    /// Lumiblock.
    pub lumiblock: Option<i64>,
    /// Memory that a retry asks for, MB; 0 = the task's. Rows of different memory never share a job.
    pub ram_mb: i64,
    /// Stands for the fields of its name that go into names of outputs (rules AN, UF); rows that differ never share a job.
    pub field: u64,
    /// Which of several data sets it belongs to, for the limit of each one's output; 0 when there is one.
    pub set: usize,
}

/// What boundaries mean (split rule GB, `inSplit`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Boundary {
    /// Nothing.
    #[default]
    Ignored,
    /// A job never spans two (`inSplit` 1: GB 1 and 2).
    Apart,
    /// One boundary is one job, whatever the limits say (`inSplit` 2: GB 3 and 4).
    Exactly,
    /// A boundary is never torn; several may share a job and each counts as one file (`inSplit` 3: merge jobs, a boundary is a pre-merge job).
    Together,
}

impl Boundary {
    /// What the value of split rule GB means for the input; `None`: no such value.
    #[must_use]
    pub const fn of_rule(gb: i64) -> Option<Self> {
        match gb {
            1 | 2 => Some(Self::Apart),
            3 | 4 => Some(Self::Exactly),
            _ => None,
        }
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Master rows.
    pub master: Range<usize>,
    /// Indices into the files in hand of each secondary input, in the order given.
    pub secondary: Vec<Vec<usize>>,
    /// Events.
    pub events: i64,
    /// Events of the first file before its row (`${SKIPEVENTS}`).
    pub skip_events: i64,
}

/// Why no more jobs were made although rows are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The last job could still grow: more rows follow.
    Grows,
    /// As many jobs as were asked for.
    Enough,
    /// This secondary input (index) is used up.
    Starved(usize),
    /// This secondary input (index) has more files, which are not in hand.
    More(usize),
    /// The next job has more than [`MAX_TOTAL_FILES`] files, whatever is done.
    TooMany,
}

/// All jobs that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The jobs.
    pub chunks: Vec<Chunk>,
    /// The first master row that is in no job.
    pub left: usize,
    /// Where each secondary input stands now.
    pub next: Vec<usize>,
    /// Why rows are left, if any are.
    pub stop: Option<Stop>,
}

/// Sums of a job under construction.
#[derive(Debug, Clone, Default)]
struct Totals {
    /// Rows, or boundaries where these count.
    files: usize,
    rows: usize,
    bytes: i64,
    events: i64,
    file: i64,
    boundary: Option<i64>,
    /// Bytes by data set, where the output of each is limited.
    sets: Vec<i64>,
}

impl Totals {
    fn add(&mut self, rows: &[Row], rules: &Rules) {
        for row in rows {
            let same = self.rows > 0
                && ((rules.boundary == Boundary::Together && row.boundary.is_some() && row.boundary == self.boundary)
                    || (rules.by_file && row.file != 0 && row.file == self.file));
            self.files += usize::from(!same);
            self.rows += 1;
            self.events = self.events.saturating_add(row.events);
            if row.file == 0 || row.file != self.file {
                self.bytes = self.bytes.saturating_add(row.bytes);
                if rules.output.is_some() {
                    if self.sets.len() <= row.set {
                        self.sets.resize(row.set + 1, 0);
                    }
                    self.sets[row.set] = self.sets[row.set].saturating_add(row.bytes);
                }
            }
            self.file = row.file;
            self.boundary = row.boundary;
        }
    }
    fn with(&self, rows: &[Row], rules: &Rules) -> Self {
        let mut more = self.clone();
        more.add(rows, rules);
        more
    }
}

/// Splits rows, in order, into at most `most` jobs. With `complete` false more rows follow later, and a last job that could still grow is not
/// made.
#[must_use]
pub fn split(rows: &[Row], secondary: &[Secondary], rules: &Rules, complete: bool, most: usize) -> Split {
    let mut out = Split { chunks: Vec::new(), left: 0, next: secondary.iter().map(|s| s.next).collect(), stop: None };
    while out.left < rows.len() {
        if out.chunks.len() >= most {
            out.stop = Some(Stop::Enough);
            break;
        }
        let end = match job_end(rows, out.left, secondary, &out.next, rules, complete) {
            Ok(end) => end,
            Err(stop) => {
                out.stop = Some(stop);
                break;
            }
        };
        let job = &rows[out.left..end];
        let events = job.iter().fold(0_i64, |sum, r| sum.saturating_add(r.events));
        match secondary::pick_all(secondary, &out.next, job.len(), events) {
            Err(stop) => {
                out.stop = Some(stop);
                break;
            }
            Ok((picks, moved)) => {
                if job.len() + picks.iter().map(Vec::len).sum::<usize>() > MAX_TOTAL_FILES {
                    out.stop = Some(Stop::TooMany);
                    break;
                }
                out.next = moved;
                let skip_events = job.first().and_then(|r| r.range).map_or(0, |(first, _)| first);
                out.chunks.push(Chunk { master: out.left..end, secondary: picks, events, skip_events });
                out.left = end;
            }
        }
    }
    out
}

/// The end of the job that starts at `start`; otherwise why it cannot be told yet.
fn job_end(rows: &[Row], start: usize, secondary: &[Secondary], next: &[usize], rules: &Rules, complete: bool) -> Result<usize, Stop> {
    let mut end = start;
    let mut totals = Totals::default();
    while end < rows.len() {
        let step = step_end(rows, end, rules.boundary);
        if step == rows.len() && !complete && matches!(rules.boundary, Boundary::Exactly | Boundary::Together) {
            return Err(Stop::Grows); // more rows of this boundary may come
        }
        if end > start {
            let longer = totals.with(&rows[end..step], rules);
            if parts(&rows[end - 1], &rows[end], rules) || over(&longer, secondary, next, rules)? {
                return Ok(end);
            }
            totals = longer;
        } else {
            totals.add(&rows[end..step], rules);
        }
        end = step;
        if rules.boundary == Boundary::Exactly || full(&totals, rules) {
            return Ok(end);
        }
    }
    if complete { Ok(end) } else { Err(Stop::Grows) }
}

/// What is added at once: a row, or all rows of a boundary.
fn step_end(rows: &[Row], at: usize, boundary: Boundary) -> usize {
    match boundary {
        Boundary::Ignored | Boundary::Apart => at + 1,
        Boundary::Exactly | Boundary::Together => {
            let same = rows[at..].iter().take_while(|r| r.boundary.is_some() && r.boundary == rows[at].boundary).count();
            at + same.max(1)
        }
    }
}

/// Whether two neighbours must not share a job.
fn parts(before: &Row, after: &Row, rules: &Rules) -> bool {
    let boundary = rules.boundary == Boundary::Apart && before.boundary != after.boundary;
    let lumiblock = rules.respect_lumiblock && before.lumiblock != after.lumiblock;
    let gap = match (before.range, after.range) {
        (Some((_, last)), Some((first, _))) if before.file != 0 && before.file == after.file => first != last.saturating_add(1),
        _ => false,
    };
    boundary || lumiblock || gap || before.ram_mb != after.ram_mb || before.field != after.field
}

/// Whether a limit would be exceeded, or a secondary input has too few files for so many rows.
fn over(t: &Totals, secondary: &[Secondary], next: &[usize], rules: &Rules) -> Result<bool, Stop> {
    if rules.boundary == Boundary::Exactly {
        return Ok(false);
    }
    let l = &rules.limits;
    if t.files > l.files.unwrap_or(l.max_files).max(1) || t.rows > MAX_TOTAL_FILES || l.events.is_some_and(|limit| t.events > limit) {
        return Ok(true);
    }
    let (mut files, mut bytes) = (t.rows, t.bytes);
    for (i, (s, at)) in secondary.iter().zip(next).enumerate() {
        match s.pick(*at, t.rows, t.events) {
            Ok((picked, _)) => {
                files += picked.len();
                bytes = picked.iter().fold(bytes, |sum, at| sum.saturating_add(s.files[*at].bytes));
            }
            Err(Short::Starved) => return Ok(true),
            Err(Short::More) => return Err(Stop::More(i)),
        }
    }
    Ok(files > MAX_TOTAL_FILES || l.bytes.is_some_and(|limit| bytes > limit) || rules.beyond(t.events, bytes, &t.sets))
}

/// Whether nothing more can be added, whatever comes.
fn full(t: &Totals, rules: &Rules) -> bool {
    let l = &rules.limits;
    t.files >= l.files.unwrap_or(l.max_files).max(1)
        || l.events.is_some_and(|limit| t.events >= limit)
        || l.bytes.is_some_and(|limit| t.bytes >= limit)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
