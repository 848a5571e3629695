//! The accounting table, row by row, and that counters always fit the rows.

use super::*;
use crate::machine;
use proptest::prelude::*;

const INPUT: FileUse = FileUse {
    role: FileRole::Input,
    reads: true,
    state: FileState::Running,
    attempts: Attempts { attempt: 0, max_attempt: 3, failed: 0, max_failure: None },
    job_attempt: 0,
    keep_track: true,
    events: 10,
    allowed_missing: false,
    hpo: false,
    waiting: false,
    on_hold: false,
};
const OUTPUT: FileUse = FileUse { role: FileRole::Output, reads: false, ..INPUT };

#[test]
fn rows_of_the_table() {
    let state = |file: FileUse, result| account(&file, result).map(|o| (o.state, o.deltas.used, o.deltas.finished, o.deltas.failed));
    assert_eq!(state(INPUT, JobResult::Finished), Some((FileState::Finished, 0, 1, 0)));
    assert_eq!(state(INPUT, JobResult::Failed), Some((FileState::Ready, -1, 0, 0)));
    let last = FileUse { attempts: Attempts { attempt: 2, failed: 2, ..INPUT.attempts }, job_attempt: 2, ..INPUT };
    assert_eq!(state(last, JobResult::Failed), Some((FileState::Failed, 0, 0, 1)));
    assert_eq!(state(FileUse { hpo: true, ..last }, JobResult::Failed), Some((FileState::Ready, -1, 0, 0)));
    assert_eq!(account(&INPUT, JobResult::Failed).unwrap().attempts.failed, 1);
    assert_eq!(account(&INPUT, JobResult::Closed).unwrap().attempts.failed, 0);
    assert_eq!(state(OUTPUT, JobResult::Finished), Some((FileState::Finished, 0, 1, 0)));
    assert_eq!(state(OUTPUT, JobResult::Failed), Some((FileState::Failed, 0, 0, 1)));
    assert_eq!(state(OUTPUT, JobResult::Closed), Some((FileState::Cancelled, 0, 0, 1)));
    assert_eq!(state(FileUse { allowed_missing: true, ..OUTPUT }, JobResult::Finished), Some((FileState::Nooutput, 0, 0, 0)));
    let pre_merge = FileUse { role: FileRole::TrnOutput, ..OUTPUT };
    let waits = account(&pre_merge, JobResult::Merging).unwrap();
    assert_eq!((waits.state, waits.attempts.max_attempt, waits.deltas.on_hold), (FileState::Ready, 3, 1));
    assert_eq!(account(&pre_merge, JobResult::Finished), None);
    assert_eq!(account(&INPUT, JobResult::Merging), None);
}

#[test]
fn rows_of_others_are_left_alone() {
    for result in [JobResult::Finished, JobResult::Failed, JobResult::Cancelled] {
        assert_eq!(account(&FileUse { job_attempt: 1, ..INPUT }, result), None);
        assert_eq!(account(&FileUse { keep_track: false, ..INPUT }, result), None);
        assert_eq!(account(&FileUse { state: FileState::Cancelled, ..INPUT }, result), None);
        assert_eq!(account(&FileUse { role: FileRole::Lib, ..OUTPUT }, result), None);
    }
}

fn result() -> impl Strategy<Value = JobResult> {
    prop_oneof![Just(JobResult::Finished), Just(JobResult::Failed), Just(JobResult::Cancelled), Just(JobResult::Closed)]
}

proptest! {
    /// A file goes through jobs until it is settled: the counters then say exactly what became of it.
    #[test]
    fn counters_fit_the_row(results in prop::collection::vec(result(), 1..20), max_attempt in 1_i64..6, max_failure in proptest::option::of(1_i64..4)) {
        let mut file = FileUse { attempts: Attempts { max_attempt, max_failure, ..INPUT.attempts }, ..INPUT };
        let mut sum = Deltas { used: 1, ..Deltas::default() };
        for result in results {
            let outcome = account(&file, result).expect("the job has the file");
            prop_assert!(machine::check(Some(file.state), outcome.state, Finisher).is_ok());
            sum.used += outcome.deltas.used;
            sum.finished += outcome.deltas.finished;
            sum.failed += outcome.deltas.failed;
            prop_assert_eq!(sum.used, i64::from(outcome.state != FileState::Ready));
            prop_assert_eq!(sum.finished, i64::from(outcome.state == FileState::Finished));
            prop_assert_eq!(sum.failed, i64::from(outcome.state == FileState::Failed));
            prop_assert!(outcome.attempts.attempt <= max_attempt);
            if !outcome.again {
                break;
            }
            // The next job takes it.
            sum.used += 1;
            file = FileUse { attempts: outcome.attempts, job_attempt: outcome.attempts.attempt, ..file };
        }
    }
}
