//! Splitting with everything the specification knows (`spec/engine.md` section 6.1): boundaries, lumiblocks, event order, wall time,
//! disk, secondary inputs, whole pre-merge jobs.
//!
//! Greedy, in the order given, deterministic. It must not know queues: what a queue allows comes in as limits. It holds no state between
//! calls: how far secondary inputs are used comes in and goes out as numbers.

use std::ops::Range;

use super::chunk::{Limits, MAX_BYTES};

/// Files of one job, secondary inputs included (`spec/engine.md` 6.1).
pub const MAX_TOTAL_FILES: usize = 1_000;
/// Sequence numbers when nothing tells how many are wanted (`spec/engine.md` 20.7).
pub const DEFAULT_SEQUENCE: i64 = 10_000;
/// Most sequence numbers of a task (`spec/engine.md` 20.7).
pub const MAX_SEQUENCE: i64 = 200_000;
/// Bytes of a megabyte, as limits of queues are given.
const MB: i64 = 1_000_000;

/// A row of the master input: a file, a range of events of a file, or a pseudo input.
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
}

/// What boundaries mean (split rule GB, `inSplit`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Boundary {
    /// Nothing.
    #[default]
    Ignored,
    /// A job never spans two.
    Apart,
    /// One boundary is one job, whatever the limits say.
    Exactly,
    /// A boundary is never torn; several may share a job (merge jobs: a boundary is a pre-merge job).
    Together,
}

/// Wall time of a job, estimated: `base + per_event * events + per_mb * megabytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walltime {
    /// Seconds that every job takes.
    pub base_s: i64,
    /// Milliseconds for an event.
    pub per_event_ms: i64,
    /// Milliseconds for a megabyte of input.
    pub per_mb_ms: i64,
    /// Most seconds.
    pub max_s: i64,
}

/// Scratch disk of a job, estimated: `work + input (when it is copied) + output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Megabytes that every job needs.
    pub work_mb: i64,
    /// Whether inputs are copied.
    pub copies_input: bool,
    /// Kilobytes of output for an event.
    pub out_kb_per_event: i64,
    /// Kilobytes of output for a megabyte of input.
    pub out_kb_per_mb: i64,
    /// Most megabytes.
    pub max_mb: i64,
}

/// How rows become jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Files, bytes, events.
    pub limits: Limits,
    /// Boundaries.
    pub boundary: Boundary,
    /// Whether a job has rows of one lumiblock only (`respectLB`).
    pub respect_lumiblock: bool,
    /// Wall time.
    pub walltime: Option<Walltime>,
    /// Disk.
    pub disk: Option<Disk>,
}

/// How many files of a secondary input a job takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Take {
    /// All of them (`nosplit`).
    Whole,
    /// So many (`nFilesPerJob`).
    PerJob(usize),
    /// So many for each master row, rounded (`ratio`); 1 when the task says nothing.
    Ratio(f64),
}

/// What happens when a secondary input is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reuse {
    /// No more jobs can be made.
    #[default]
    Never,
    /// When a job finds too few, it starts again at the first (`reusable`, `reuseSecOnDemand`).
    Restart,
    /// It wraps around, so that every file is used equally often (`repeat`).
    Wrap,
}

/// A secondary input.
#[derive(Debug, Clone, PartialEq)]
pub struct Secondary {
    /// Bytes of its files, in order.
    pub bytes: Vec<i64>,
    /// How many a job takes.
    pub take: Take,
    /// What happens at its end.
    pub reuse: Reuse,
    /// Where the next job starts to take.
    pub next: usize,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Master rows.
    pub master: Range<usize>,
    /// Indices into each secondary input, in the order given.
    pub secondary: Vec<Vec<usize>>,
    /// Events.
    pub events: i64,
    /// Events of the first file before its row (`${SKIPEVENTS}`).
    pub skip_events: i64,
}

/// All jobs that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The jobs.
    pub chunks: Vec<Chunk>,
    /// The first master row that is in no job; the rest waits for more rows or for secondary inputs.
    pub left: usize,
    /// Where each secondary input stands now.
    pub next: Vec<usize>,
    /// The secondary input that ran out (index), if one did.
    pub starved: Option<usize>,
    /// The master rows that can never fit because of [`MAX_TOTAL_FILES`], if that stopped the split.
    pub too_many: bool,
}

/// Sums of a job under construction.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    rows: usize,
    bytes: i64,
    events: i64,
    file: i64,
}

impl Totals {
    fn with(mut self, rows: &[Row]) -> Self {
        for row in rows {
            self.rows += 1;
            self.events = self.events.saturating_add(row.events);
            if row.file == 0 || row.file != self.file {
                self.bytes = self.bytes.saturating_add(row.bytes);
            }
            self.file = row.file;
        }
        self
    }
}

/// Splits rows, in order, into jobs. With `complete` false more rows follow later, and a last job that could still grow is not made.
#[must_use]
pub fn split(rows: &[Row], secondary: &[Secondary], rules: &Rules, complete: bool) -> Split {
    let mut next: Vec<usize> = secondary.iter().map(|s| s.next).collect();
    let mut out = Split { chunks: Vec::new(), left: 0, next: Vec::new(), starved: None, too_many: false };
    while out.left < rows.len() {
        let Some(end) = job_end(rows, out.left, secondary, rules, complete) else { break };
        let count = end - out.left;
        match pick_all(secondary, &next, count) {
            Err(starved) => {
                out.starved = Some(starved);
                break;
            }
            Ok((picks, moved)) => {
                if count + picks.iter().map(Vec::len).sum::<usize>() > MAX_TOTAL_FILES {
                    out.too_many = true;
                    break;
                }
                next = moved;
                let job = &rows[out.left..end];
                out.chunks.push(Chunk {
                    master: out.left..end,
                    secondary: picks,
                    events: Totals::default().with(job).events,
                    skip_events: job.first().and_then(|r| r.range).map_or(0, |(first, _)| first),
                });
                out.left = end;
            }
        }
    }
    out.next = next;
    out
}

/// The end of the job that starts at `start`; `None` when it could still grow.
fn job_end(rows: &[Row], start: usize, secondary: &[Secondary], rules: &Rules, complete: bool) -> Option<usize> {
    let mut end = start;
    let mut totals = Totals::default();
    while end < rows.len() {
        let step = step_end(rows, end, rules.boundary);
        if step == rows.len() && !complete && matches!(rules.boundary, Boundary::Exactly | Boundary::Together) {
            return None; // more rows of this boundary may come
        }
        if end > start && (parts(&rows[end - 1], &rows[end], rules) || over(&totals.with(&rows[end..step]), secondary, rules)) {
            return Some(end);
        }
        totals = totals.with(&rows[end..step]);
        end = step;
        if rules.boundary == Boundary::Exactly || full(&totals, rules) {
            return Some(end);
        }
    }
    complete.then_some(end)
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
    boundary || lumiblock || gap
}

/// Whether a limit would be exceeded.
fn over(t: &Totals, secondary: &[Secondary], rules: &Rules) -> bool {
    if rules.boundary == Boundary::Exactly {
        return false;
    }
    let l = &rules.limits;
    let more = |limit: Option<i64>, now: i64| limit.is_some_and(|limit| now > limit);
    let secondaries: usize = secondary.iter().map(|s| wanted(s, t.rows)).sum();
    let bytes = t.bytes.saturating_add(secondary.iter().map(|s| likely_bytes(s, t.rows)).fold(0, i64::saturating_add));
    t.rows > l.files.unwrap_or(l.max_files).max(1)
        || t.rows.saturating_add(secondaries) > MAX_TOTAL_FILES
        || more(byte_limit(l), bytes)
        || more(l.events, t.events)
        || rules.walltime.is_some_and(|w| walltime(&w, t.events, bytes) > w.max_s)
        || rules.disk.is_some_and(|d| disk(&d, t.events, bytes) > d.max_mb)
}

/// Whether nothing more can be added, whatever comes.
fn full(t: &Totals, rules: &Rules) -> bool {
    let l = &rules.limits;
    t.rows >= l.files.unwrap_or(l.max_files).max(1)
        || l.events.is_some_and(|limit| t.events >= limit)
        || byte_limit(l).is_some_and(|limit| t.bytes >= limit)
}

/// Bytes are limited to [`MAX_BYTES`] when the task limits neither files nor bytes nor events.
fn byte_limit(l: &Limits) -> Option<i64> {
    match (l.bytes, l.files, l.events) {
        (Some(bytes), _, _) => Some(bytes),
        (None, None, None) => Some(MAX_BYTES),
        _ => None,
    }
}

/// Estimated wall time in seconds.
#[must_use]
pub fn walltime(w: &Walltime, events: i64, bytes: i64) -> i64 {
    let ms = w.per_event_ms.saturating_mul(events).saturating_add(w.per_mb_ms.saturating_mul(bytes / MB));
    w.base_s.saturating_add(ms / 1_000)
}

/// Estimated scratch disk in megabytes.
#[must_use]
pub fn disk(d: &Disk, events: i64, bytes: i64) -> i64 {
    let input_mb = bytes.saturating_add(MB - 1) / MB;
    let out_kb = d.out_kb_per_event.saturating_mul(events).saturating_add(d.out_kb_per_mb.saturating_mul(input_mb));
    let input_mb = if d.copies_input { input_mb } else { 0 };
    d.work_mb.saturating_add(input_mb).saturating_add(out_kb / 1_000)
}

/// How many files of a secondary input a job of `rows` master rows takes.
fn wanted(s: &Secondary, rows: usize) -> usize {
    match s.take {
        Take::Whole => s.bytes.len(),
        Take::PerJob(count) => count,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "clamped to a few thousand"
        )]
        Take::Ratio(ratio) => (ratio.max(0.0) * rows as f64).round().min(1e6) as usize,
    }
}

/// Bytes of the next files; which they are is only known once the job is fixed, so sizes are taken from where the input stands.
fn likely_bytes(s: &Secondary, rows: usize) -> i64 {
    s.bytes
        .iter()
        .cycle()
        .skip(s.next % s.bytes.len().max(1))
        .take(wanted(s, rows).min(s.bytes.len()))
        .fold(0, |sum, b| sum.saturating_add(*b))
}

/// Picks the files of each secondary input for one job, and where each stands afterwards; the index of the one that ran out otherwise.
fn pick_all(secondary: &[Secondary], next: &[usize], rows: usize) -> Result<(Vec<Vec<usize>>, Vec<usize>), usize> {
    let mut picks = Vec::with_capacity(secondary.len());
    let mut moved = Vec::with_capacity(secondary.len());
    for (i, (s, at)) in secondary.iter().zip(next).enumerate() {
        let (pick, to) = pick(s, *at, wanted(s, rows)).ok_or(i)?;
        picks.push(pick);
        moved.push(to);
    }
    Ok((picks, moved))
}

fn pick(s: &Secondary, at: usize, count: usize) -> Option<(Vec<usize>, usize)> {
    let have = s.bytes.len();
    if s.take == Take::Whole {
        return (have > 0).then(|| ((0..have).collect(), at));
    }
    if count == 0 {
        return Some((Vec::new(), at));
    }
    match s.reuse {
        _ if at.saturating_add(count) <= have => Some(((at..at + count).collect(), at + count)),
        Reuse::Restart if count <= have => Some(((0..count).collect(), count)),
        // Too few even from the start: all of them, rather than no job ever.
        Reuse::Restart if have > 0 => Some(((0..have).collect(), have)),
        Reuse::Wrap if have > 0 => {
            let count = count.min(have);
            let at = at % have;
            Some(((at..at + count).map(|i| i % have).collect(), (at + count) % have))
        }
        Reuse::Never | Reuse::Restart | Reuse::Wrap => None,
    }
}

/// What decides how many sequence numbers or pseudo inputs a task gets; 0 or less counts as not given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sequence {
    /// `num_records` of the item.
    pub records: Option<i64>,
    /// `nFiles`.
    pub files: Option<i64>,
    /// `nEvents`.
    pub events: Option<i64>,
    /// `nEventsPerJob`.
    pub events_per_job: Option<i64>,
    /// `nEventsPerFile`.
    pub events_per_file: Option<i64>,
    /// Files of the master input.
    pub master_files: Option<i64>,
}

/// How many sequence numbers a task gets (`spec/payload_runners.md` 10.3). More than [`MAX_SEQUENCE`] is the caller's to refuse.
#[must_use]
pub fn sequence_count(s: &Sequence) -> i64 {
    let given = |n: Option<i64>| n.filter(|n| *n > 0);
    if let Some(records) = given(s.records) {
        return records;
    }
    let per_job = given(s.events_per_job);
    if let Some(files) = given(s.files) {
        return match (given(s.events_per_file), per_job) {
            (Some(per_file), Some(per_job)) => files.saturating_mul(ceil_div(per_file, per_job)),
            _ => files,
        };
    }
    if let Some(events) = given(s.events) {
        return ceil_div(events, per_job.unwrap_or(1));
    }
    given(s.master_files).unwrap_or(DEFAULT_SEQUENCE)
}

/// `a / b` rounded up, for positive numbers.
#[must_use]
pub const fn ceil_div(a: i64, b: i64) -> i64 {
    let b = if b < 1 { 1 } else { b };
    a / b + if a % b > 0 { 1 } else { 0 }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
