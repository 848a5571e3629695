//! Splitting by files, bytes and events alone: which files go into one job. [`split`](mod@super::split) knows the rest.
//!
//! A file here may be a part of a file (a range of events) or a pseudo input; the caller has made the rows. Pure and deterministic.

use std::ops::Range;

use super::split::{Row, Rules, split};

/// Files of one job when nothing else is said (split rule MF).
pub const MAX_FILES: usize = 200;
/// Input of one job when neither files, bytes nor events are limited: 20 GB.
pub const MAX_BYTES: i64 = 20_000_000_000;

/// Limits of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Exactly so many files a job (NF); the last job may have fewer.
    pub files: Option<usize>,
    /// At most so many files (MF).
    pub max_files: usize,
    /// At most so many bytes (NG); one file larger than that is a job of its own.
    pub bytes: Option<i64>,
    /// At most so many events (NE); one row with more is a job of its own.
    pub events: Option<i64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: None, max_files: MAX_FILES, bytes: None, events: None }
    }
}

/// What splitting needs to know of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unit {
    /// Bytes.
    pub bytes: i64,
    /// Events.
    pub events: i64,
}

/// Cuts files, in order, into jobs. With `complete` false more files follow later, so that a last job which could still grow is not made.
/// Every file is in exactly one job, or in the tail that is left for later.
#[must_use]
pub fn chunks(files: &[Unit], limits: &Limits, complete: bool) -> Vec<Range<usize>> {
    let rows: Vec<Row> = files.iter().map(|f| Row { bytes: f.bytes, events: f.events, ..Row::default() }).collect();
    let rules = Rules { limits: *limits, ..Rules::default() };
    split(&rows, &[], &rules, complete).chunks.into_iter().map(|c| c.master).collect()
}

/// Cuts whole groups (the files of one pre-merge job) into merge jobs: a group is never torn.
#[must_use]
pub fn groups(sizes: &[Unit], limits: &Limits, complete: bool) -> Vec<Range<usize>> {
    chunks(sizes, limits, complete)
}

/// Cuts a file of `events` events into rows of `per_row` events: first and last event of each.
#[must_use]
pub fn event_rows(events: i64, per_row: i64) -> Vec<(i64, i64)> {
    let per_row = per_row.max(1);
    let mut rows = Vec::new();
    let mut first = 0;
    while first < events {
        let last = (first + per_row).min(events) - 1;
        rows.push((first, last));
        first = last + 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit() -> impl Strategy<Value = Unit> {
        (0_i64..5_000, 0_i64..500).prop_map(|(bytes, events)| Unit { bytes, events })
    }
    fn limits() -> impl Strategy<Value = Limits> {
        let some = |r: Range<i64>| proptest::option::of(r);
        (proptest::option::of(1_usize..20), 1_usize..30, some(1..20_000), some(1..2_000))
            .prop_map(|(files, max_files, bytes, events)| Limits { files, max_files, bytes, events })
    }

    proptest! {
        #[test]
        fn no_file_is_lost_or_doubled_and_every_limit_is_kept(files in prop::collection::vec(unit(), 0..200), limits in limits(), complete: bool) {
            let jobs = chunks(&files, &limits, complete);
            let mut next = 0;
            for job in &jobs {
                prop_assert_eq!(job.start, next);
                prop_assert!(job.end > job.start);
                next = job.end;
                let n = job.len();
                prop_assert!(n <= limits.files.unwrap_or(limits.max_files));
                if n > 1 {
                    let sum: i64 = files[job.clone()].iter().map(|f| f.bytes).sum();
                    let events: i64 = files[job.clone()].iter().map(|f| f.events).sum();
                    prop_assert!(limits.bytes.is_none_or(|l| sum <= l));
                    prop_assert!(limits.events.is_none_or(|l| events <= l));
                }
            }
            if complete {
                prop_assert_eq!(next, files.len());
            }
        }

        #[test]
        fn feeding_in_pieces_gives_the_same_jobs(files in prop::collection::vec(unit(), 1..120), limits in limits(), cut in 0_usize..120) {
            let whole = chunks(&files, &limits, true);
            let cut = cut.min(files.len());
            let first = chunks(&files[..cut], &limits, false);
            let at = first.last().map_or(0, |r| r.end);
            let rest = chunks(&files[at..], &limits, true);
            let joined: Vec<_> = first.into_iter().chain(rest.into_iter().map(|r| r.start + at..r.end + at)).collect();
            prop_assert_eq!(joined, whole);
        }

        #[test]
        fn event_rows_cover_a_file(events in 0_i64..10_000, per_row in 1_i64..1_000) {
            let rows = event_rows(events, per_row);
            let mut next = 0;
            for (first, last) in rows {
                prop_assert_eq!(first, next);
                prop_assert!(last >= first && last - first < per_row);
                next = last + 1;
            }
            prop_assert_eq!(next, events);
        }
    }
}
