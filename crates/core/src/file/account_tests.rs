//! The accounting table, row by row, and that counters always fit the rows (`spec/engine.md` section 3.6).

use super::*;
use crate::machine::{self, Actor};
use crate::policy::retry::Again;
use proptest::prelude::*;

const INPUT: InputUse = InputUse {
    state: FileState::Running,
    attempts: Attempts { attempt: 0, max_attempt: 3, failed: 0, max_failure: None },
    said: Said::Read,
    events: 10,
};
const LAST: InputUse = InputUse { attempts: Attempts { attempt: 2, failed: 2, ..INPUT.attempts }, ..INPUT };
const OUTPUT: OutputUse = OutputUse { role: FileRole::Output, state: FileState::Running, stored: true, transferring: false, events: 7 };
const USUAL: Verdict = Verdict::USUAL;

#[test]
fn inputs_row_by_row() {
    use FileState::{Failed, Finished, Notmerged, Ready, Skipped};
    let skipped = InputUse { said: Said::Skipped, ..INPUT };
    let bad = InputUse { said: Said::Bad, ..INPUT };
    let table: &[(InputUse, JobResult, FileState, [i64; 4])] = &[
        // attempt, failed attempts, used, failed
        (INPUT, JobResult::Finished, Finished, [1, 0, 0, 0]),
        (INPUT, JobResult::Failed, Ready, [1, 1, -1, 0]),
        (INPUT, JobResult::Cancelled, Ready, [1, 0, -1, 0]),
        (INPUT, JobResult::Closed, Ready, [1, 0, -1, 0]),
        (INPUT, JobResult::LostWorker, Ready, [0, 0, -1, 0]),
        (INPUT, JobResult::NotMerged, Notmerged, [1, 0, 0, 1]),
        (LAST, JobResult::Failed, Failed, [3, 3, 0, 1]),
        (LAST, JobResult::Cancelled, Failed, [3, 2, 0, 1]),
        (LAST, JobResult::LostWorker, Ready, [2, 2, -1, 0]),
        (skipped, JobResult::Finished, Ready, [1, 0, -1, 0]),
        (InputUse { said: Said::Skipped, ..LAST }, JobResult::Finished, Skipped, [3, 2, 0, 1]),
        (bad, JobResult::Finished, Ready, [1, 1, -1, 0]),
    ];
    for (file, result, state, [attempt, failures, used, failed]) in table {
        let o = input(file, *result, &USUAL).unwrap();
        let got = (o.state, o.attempts.attempt, o.attempts.failed, o.deltas.used, o.deltas.failed);
        assert_eq!(got, (*state, *attempt, *failures, *used, *failed), "{file:?} {result:?}");
        assert_eq!(o.deltas.finished, i64::from(*state == Finished));
        assert_eq!((o.deltas.events_used, o.deltas.events_finished), (used * 10, if *state == Finished { 10 } else { 0 }));
    }
    assert_eq!(input(&INPUT, JobResult::Merging, &USUAL), None);
}

#[test]
fn inputs_whose_events_are_told() {
    use FileState::{Failed, Finished, Ready};
    let table: &[(Said, InputUse, JobResult, FileState, [i64; 4])] = &[
        // attempt, most attempts, used, failed
        (Said::Done, INPUT, JobResult::Failed, Finished, [1, 3, 0, 0]),
        (Said::Merge, LAST, JobResult::Cancelled, Ready, [3, 6, -1, 0]),
        (Said::Left, INPUT, JobResult::Finished, Ready, [1, 3, -1, 0]),
        (Said::Left, LAST, JobResult::Finished, Failed, [3, 3, 0, 1]),
        (Said::Left, LAST, JobResult::Failed, Failed, [3, 3, 0, 1]),
        (Said::Left, LAST, JobResult::LostWorker, Ready, [2, 3, -1, 0]),
        (Said::LeftFree, LAST, JobResult::Failed, Ready, [3, 4, -1, 0]),
        (Said::Lost, INPUT, JobResult::Finished, Failed, [1, 3, 0, 1]),
    ];
    for (said, file, result, state, [attempt, most, used, failed]) in table {
        let o = input(&InputUse { said: *said, ..*file }, *result, &USUAL).unwrap();
        let got = (o.state, o.attempts.attempt, o.attempts.max_attempt, o.deltas.used, o.deltas.failed);
        assert_eq!(got, (*state, *attempt, *most, *used, *failed), "{said:?} {result:?}");
        assert_eq!((o.deltas.events_used, o.deltas.events_finished), (used * 10, if *state == Finished { 10 } else { 0 }));
    }
    assert_eq!(input(&InputUse { said: Said::Shared, ..INPUT }, JobResult::Finished, &USUAL), None);
}

#[test]
fn rows_in_other_hands_are_left_alone() {
    for state in FileState::ALL.iter().filter(|s| **s != FileState::Running) {
        for result in [JobResult::Finished, JobResult::Failed, JobResult::Cancelled, JobResult::NotMerged] {
            assert_eq!(input(&InputUse { state: *state, ..INPUT }, result, &USUAL), None);
        }
    }
    for state in [FileState::Finished, FileState::Failed, FileState::Cancelled, FileState::Nooutput] {
        assert_eq!(output(&OutputUse { state, ..OUTPUT }, JobResult::Failed), None);
    }
}

#[test]
fn outputs_row_by_row() {
    use FileState::{Cancelled, Failed, Finished, Nooutput, Ready};
    let trn = OutputUse { role: FileRole::TrnOutput, ..OUTPUT };
    let waits = OutputUse { state: Ready, ..trn };
    let absent = OutputUse { stored: false, ..OUTPUT };
    let held = OutputUse { transferring: true, ..OUTPUT };
    let table: &[(OutputUse, JobResult, FileState, [i64; 4])] = &[
        // finished, failed, on hold, events
        (OUTPUT, JobResult::Finished, Finished, [1, 0, 0, 7]),
        (absent, JobResult::Finished, Nooutput, [0, 0, 0, 0]),
        (OUTPUT, JobResult::Failed, Failed, [0, 1, 0, 0]),
        (OUTPUT, JobResult::LostWorker, Failed, [0, 1, 0, 0]),
        (OUTPUT, JobResult::Cancelled, Cancelled, [0, 1, 0, 0]),
        (OUTPUT, JobResult::Closed, Cancelled, [0, 1, 0, 0]),
        (held, JobResult::Finished, Finished, [1, 0, -1, 7]),
        (held, JobResult::Failed, Failed, [0, 1, -1, 0]),
        (trn, JobResult::Merging, Ready, [0, 0, 1, 0]),
        (OutputUse { stored: false, ..trn }, JobResult::Merging, Nooutput, [0, 0, 0, 0]),
        (waits, JobResult::Finished, Finished, [1, 0, -1, 7]),
        (waits, JobResult::NotMerged, Failed, [0, 1, -1, 0]),
        (waits, JobResult::Cancelled, Cancelled, [0, 1, -1, 0]),
    ];
    for (file, result, state, want) in table {
        let o = output(file, *result).unwrap();
        assert_eq!(
            (o.state, [o.deltas.finished, o.deltas.failed, o.deltas.on_hold, o.deltas.events]),
            (*state, *want),
            "{file:?} {result:?}"
        );
    }
    assert_eq!(output(&waits, JobResult::Merging), None);
}

#[test]
fn states_of_jobs_mean_results() {
    let of = JobResult::of;
    assert_eq!(of(JobState::Failed, Some(LOST_WORKER)), Some(JobResult::LostWorker));
    assert_eq!(of(JobState::Failed, Some(NOT_MERGED)), Some(JobResult::NotMerged));
    assert_eq!(of(JobState::Failed, Some("x")), Some(JobResult::Failed));
    for state in JobState::ALL {
        assert_eq!(of(*state, None).is_some(), state.is_final() || *state == JobState::Merging, "{state}");
    }
    assert_eq!(
        (Said::named("user"), Said::named("panda"), Said::named("managed"), Said::named("ptest")),
        (Said::Skipped, Said::Skipped, Said::Bad, Said::Bad)
    );
}

#[test]
fn a_merge_is_tried_three_times() {
    let failed = MergeEnd::of(JobResult::Failed, &USUAL).unwrap();
    assert_eq!((0..4).map(|n| failed.again(n)).collect::<Vec<_>>(), [true, true, false, false]);
    assert!(MergeEnd::of(JobResult::LostWorker, &USUAL).unwrap().again(2), "a lost worker spends nothing");
    assert!(MergeEnd::of(JobResult::Closed, &USUAL).unwrap().again(2), "a replaced one neither");
    assert_eq!(MergeEnd::of(JobResult::Cancelled, &USUAL), Some(MergeEnd::Never), "a kill ends it");
    let never = Verdict { again: Again::Never, ..USUAL };
    assert_eq!(MergeEnd::of(JobResult::Failed, &never), Some(MergeEnd::Never));
    assert_eq!(MergeEnd::of(JobResult::Merging, &USUAL), None);
}

fn result() -> impl Strategy<Value = JobResult> {
    use JobResult::{Cancelled, Closed, Failed, Finished, LostWorker, NotMerged};
    prop_oneof![Just(Finished), Just(Failed), Just(Cancelled), Just(Closed), Just(LostWorker), Just(NotMerged)]
}
fn said() -> impl Strategy<Value = Said> {
    prop_oneof![Just(Said::Read), Just(Said::Skipped), Just(Said::Bad)]
}
fn verdict() -> impl Strategy<Value = Verdict> {
    (prop_oneof![Just(Again::Usual), Just(Again::Never), (1_i64..4).prop_map(Again::AtMost)], any::<bool>())
        .prop_map(|(again, not_counted)| Verdict { again, not_counted })
}

proptest! {
    /// A file goes through jobs until it is settled: the counters then say exactly what became of it, and no job is made beyond its attempts.
    #[test]
    fn counters_fit_the_row(ends in prop::collection::vec((result(), said(), verdict()), 1..30), max_attempt in 1_i64..6, max_failure in proptest::option::of(1_i64..4)) {
        let mut file = InputUse { attempts: Attempts { max_attempt, max_failure, ..INPUT.attempts }, ..INPUT };
        let mut sum = Deltas { used: 1, events_used: 10, ..Deltas::default() };
        for (result, said, verdict) in ends {
            let o = input(&InputUse { said, ..file }, result, &verdict).expect("the job has the file");
            prop_assert!(machine::check(Some(file.state), o.state, Actor::Finisher).is_ok());
            sum.used += o.deltas.used;
            sum.finished += o.deltas.finished;
            sum.failed += o.deltas.failed;
            sum.events_used += o.deltas.events_used;
            sum.events_finished += o.deltas.events_finished;
            let (used, finished) = (i64::from(o.state != FileState::Ready), i64::from(o.state == FileState::Finished));
            prop_assert_eq!(sum.used, used);
            prop_assert_eq!(sum.finished, finished);
            prop_assert_eq!(sum.failed, i64::from(is_lost(o.state)));
            prop_assert_eq!((sum.events_used, sum.events_finished), (10 * used, 10 * finished));
            prop_assert!(o.attempts.attempt <= max_attempt);
            prop_assert!(o.state != FileState::Ready || o.attempts.may_try());
            if o.state != FileState::Ready {
                break;
            }
            // The next job takes it.
            sum.used += 1;
            sum.events_used += 10;
            file = InputUse { attempts: o.attempts, ..file };
        }
    }
}
