//! Scouts: the first jobs of a task, from which its requirements are measured before the rest is made (`spec/engine.md` sections 4.2, 7 and 20.8).
//!
//! Who takes part ([`Part`]), when scouts are assessed ([`is_due`]), whether enough of them ended well ([`success`]), what they tell ([`measure`]),
//! and whether the task stops for it ([`exhaust`]). It must not know how jobs and their reports are stored.

pub mod exhaust;
pub mod measure;

#[cfg(test)]
mod constants_tests;
#[cfg(test)]
mod tests;

/// Values of SS up to this are tenths, as upstream counts with them; above it they are per cent, as it documents them.
const TENTHS: i64 = 10;

/// How far the scouts of a task are, in files of its master inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Files that scouts take.
    pub scouts: i64,
    /// Files that ended well.
    pub finished: i64,
    /// Files that failed for good.
    pub failed: i64,
}

/// What a turn of a task may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Any jobs: the task has no scouts, or they are done with.
    All,
    /// Its first jobs, the scouts; none of its files was used so far.
    First,
    /// Of the files that scouts take, the ones that wait to be tried again: so many.
    Again(i64),
}

/// How a task stands with scouts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stand {
    /// It wants scouts, and its VO and label have them.
    pub wanted: bool,
    /// They were assessed, or a person said not to wait for them.
    pub over: bool,
    /// Files that its scouts take, once they were made.
    pub scouts: Option<i64>,
    /// Files in the hands of jobs, or ended.
    pub used: i64,
}

impl Part {
    /// What comes next. A task that has used files without scouts (its wish changed meanwhile) goes on without.
    #[must_use]
    pub const fn of(s: &Stand) -> Self {
        match (s.wanted && !s.over, s.scouts) {
            (false, _) => Self::All,
            (true, Some(scouts)) => Self::Again(if scouts > s.used { scouts - s.used } else { 0 }),
            (true, None) if s.used == 0 => Self::First,
            (true, None) => Self::All,
        }
    }
}

/// Whether scouts are assessed now: all of them ended, or enough of them ended well (early release).
#[must_use]
pub const fn is_due(c: &Count, early_percent: i64) -> bool {
    c.finished + c.failed >= c.scouts || c.finished.saturating_mul(100) >= c.scouts.saturating_mul(early_percent)
}

/// Whether a task that runs is measured (again): it has reached a mark that its last measurement, made at `measured` finished files, had not.
#[must_use]
pub const fn is_marked(finished: i64, measured: i64, marks: [i64; 2]) -> bool {
    let [first, second] = marks;
    (first > 0 && finished >= first && measured == 0) || (second > 0 && finished >= second && measured < second)
}

/// What part of the scouts must end well, per cent, as SS says; none = one of them is enough.
#[must_use]
pub const fn required_percent(ss: Option<i64>) -> Option<i64> {
    match ss {
        None | Some(i64::MIN..=0) => None,
        Some(tenths @ 1..=TENTHS) => Some(tenths * 10),
        Some(percent) => Some(percent),
    }
}

/// How scouts ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Success {
    /// None of them well.
    None,
    /// Fewer well than the task wants: per cent.
    TooFew(f64),
    /// Fewer than the task wants, but enough for a person to look at it: per cent.
    Poor(f64),
    /// Enough.
    Enough,
}

/// How scouts ended, with what the task wants (SS) and the least of `scout.min_ok_percent` that stops it instead of breaking it.
#[must_use]
pub fn success(c: &Count, ss: Option<i64>, min_ok_percent: Option<f64>) -> Success {
    if c.finished <= 0 {
        return Success::None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of files")]
    let (rate, wanted) = (c.finished as f64 * 100.0 / (c.finished + c.failed) as f64, required_percent(ss).unwrap_or(0) as f64);
    match min_ok_percent {
        _ if rate >= wanted => Success::Enough,
        Some(least) if least < wanted && rate >= least => Success::Poor(rate),
        _ => Success::TooFew(rate),
    }
}

/// Jobs that the whole task comes to, as its scouts took their files: `jobs` ended well with `finished` of `files`. Without any split rule the
/// others read up to 500 GB each, so that there are fewer of them: `input` bytes of a scout, when that holds.
#[must_use]
pub fn expected_jobs(files: i64, jobs: i64, finished: i64, input: Option<i64>) -> i64 {
    if finished <= 0 {
        return 0;
    }
    let jobs = i128::from(files.max(0)) * i128::from(jobs.max(0)) / i128::from(finished);
    let scaled = match input.filter(|bytes| *bytes > 0) {
        Some(bytes) => (jobs * i128::from(bytes) + i128::from(super::split::limits::DIRECT) - 1) / i128::from(super::split::limits::DIRECT),
        None => jobs,
    };
    i64::try_from(scaled).unwrap_or(i64::MAX)
}
