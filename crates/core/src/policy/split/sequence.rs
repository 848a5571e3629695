//! Sequence numbers and pseudo inputs: how many there are, and which one a job gets (`spec/payload_runners.md` section 10.3).

/// Sequence numbers when nothing tells how many are wanted (`spec/engine.md` 20.7).
pub const DEFAULT_SEQUENCE: i64 = 10_000;
/// Most sequence numbers of a task (`spec/engine.md` 20.7).
pub const MAX_SEQUENCE: i64 = 200_000;

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

/// How many sequence numbers a task gets (10.3). More than [`MAX_SEQUENCE`] is the caller's to refuse.
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

/// What decides the number of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbering {
    /// Whether the master is a pseudo input.
    pub pseudo: bool,
    /// Files of every job, when files alone decide (NF without a limit of bytes or events).
    pub files: Option<i64>,
    /// Events of every job, when files are cut by events.
    pub events: Option<i64>,
}

/// The number of a job, from 1, by its first row: place within its data set, number of its file, and of its first event (from 0) over the whole
/// data set. Where the task fixes the size of jobs a retry gets the same number; otherwise it is the job's serial.
#[must_use]
pub fn number(n: &Numbering, seq: i64, file: i64, event: Option<i64>, serial: i64) -> i64 {
    match (n.pseudo, n.files, n.events, event) {
        (true, _, _, _) => seq,
        (false, Some(files), None, _) => (file - 1) / files.max(1) + 1,
        (false, None, Some(events), Some(event)) => event / events.max(1) + 1,
        _ => serial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_sequence_numbers() {
        let n = |s: Sequence| sequence_count(&s);
        assert_eq!(n(Sequence { events: Some(3), events_per_job: Some(1), ..Sequence::default() }), 3);
        assert_eq!(n(Sequence { files: Some(4), events_per_file: Some(100), events_per_job: Some(30), ..Sequence::default() }), 16);
        assert_eq!(n(Sequence { records: Some(9), files: Some(4), ..Sequence::default() }), 9);
        assert_eq!(n(Sequence { events: Some(10), events_per_job: Some(4), ..Sequence::default() }), 3);
        assert_eq!(n(Sequence { master_files: Some(7), ..Sequence::default() }), 7);
        assert_eq!(n(Sequence::default()), DEFAULT_SEQUENCE);
        assert_eq!(n(Sequence { events: Some(i64::MAX), ..Sequence::default() }), i64::MAX);
    }

    #[test]
    fn which_number_a_job_gets() {
        let plain = Numbering::default();
        assert_eq!(number(&Numbering { pseudo: true, ..plain }, 7, 7, None, 40), 7, "a retry keeps it");
        let files = Numbering { files: Some(5), ..plain };
        assert_eq!([1, 5, 6].map(|f| number(&files, 99, f, None, 40)), [1, 1, 2]);
        let events = Numbering { events: Some(30), ..plain };
        assert_eq!([0, 30, 90].map(|e| number(&events, 99, 1, Some(e), 40)), [1, 2, 4]);
        assert_eq!(number(&events, 99, 1, None, 40), 40);
        assert_eq!(number(&plain, 99, 1, Some(0), 40), 40);
    }
}
