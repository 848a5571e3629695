//! Properties of splitting: nothing lost, nothing doubled, limits kept, the same every time.

use super::*;
use proptest::prelude::*;

fn row() -> impl Strategy<Value = Row> {
    (0_i64..6, 0_i64..3_000_000, 0_i64..400, proptest::option::of(0_i64..5), proptest::option::of(0_i64..3))
        .prop_map(|(file, bytes, events, boundary, lumiblock)| Row { file, bytes, events, range: None, boundary, lumiblock })
}

fn rules() -> impl Strategy<Value = Rules> {
    let limits =
        (proptest::option::of(1_usize..20), 1_usize..30, proptest::option::of(1_i64..20_000_000), proptest::option::of(1_i64..2_000))
            .prop_map(|(files, max_files, bytes, events)| Limits { files, max_files, bytes, events });
    let boundary = prop_oneof![Just(Boundary::Ignored), Just(Boundary::Apart), Just(Boundary::Exactly), Just(Boundary::Together)];
    (limits, boundary, any::<bool>(), proptest::option::of(1_i64..3_000), proptest::option::of(1_i64..100)).prop_map(
        |(limits, boundary, respect_lumiblock, max_s, max_mb)| Rules {
            limits,
            boundary,
            respect_lumiblock,
            walltime: max_s.map(|max_s| Walltime { base_s: 60, per_event_ms: 900, per_mb_ms: 100, max_s }),
            disk: max_mb.map(|max_mb| Disk { work_mb: 5, copies_input: true, out_kb_per_event: 10, out_kb_per_mb: 500, max_mb }),
        },
    )
}

fn secondary() -> impl Strategy<Value = Secondary> {
    let take = prop_oneof![Just(Take::Whole), (1_usize..5).prop_map(Take::PerJob), (0.0_f64..3.0).prop_map(Take::Ratio)];
    let reuse = prop_oneof![Just(Reuse::Never), Just(Reuse::Restart), Just(Reuse::Wrap)];
    (prop::collection::vec(0_i64..1_000_000, 0..60), take, reuse).prop_map(|(bytes, take, reuse)| Secondary { bytes, take, reuse, next: 0 })
}

/// Where the steps of a job (rows, or whole boundaries) end.
fn steps(job: &[Row], rules: &Rules) -> Vec<usize> {
    let mut ends = vec![];
    while ends.last().copied().unwrap_or(0) < job.len() {
        ends.push(step_end(job, ends.last().copied().unwrap_or(0), rules.boundary));
    }
    ends
}

proptest! {
    #[test]
    fn every_row_is_in_one_job_and_limits_are_kept(rows in prop::collection::vec(row(), 0..150), rules in rules(), complete: bool) {
        let found = split(&rows, &[], &rules, complete);
        prop_assert_eq!(&found, &split(&rows, &[], &rules, complete));
        let mut next = 0;
        for chunk in &found.chunks {
            prop_assert_eq!(chunk.master.start, next);
            prop_assert!(chunk.master.end > next);
            next = chunk.master.end;
            let job = &rows[chunk.master.clone()];
            prop_assert_eq!(chunk.events, job.iter().map(|r| r.events).sum::<i64>());
            let ends = steps(job, &rules);
            for at in &ends[..ends.len() - 1] {
                prop_assert!(!parts(&job[at - 1], &job[*at], &rules));
            }
            if ends.len() > 1 {
                prop_assert!(!over(&Totals::default().with(job), &[], &rules));
            }
            if matches!(rules.boundary, Boundary::Together | Boundary::Exactly)
                && let (Some(last), Some(after)) = (job.last(), rows.get(next)) {
                prop_assert!(last.boundary.is_none() || last.boundary != after.boundary);
            }
        }
        prop_assert_eq!(found.left, next);
        if complete {
            prop_assert_eq!(next, rows.len());
        }
    }

    #[test]
    fn feeding_in_pieces_gives_the_same_jobs(rows in prop::collection::vec(row(), 1..100), rules in rules(), cut in 0_usize..100) {
        let whole = split(&rows, &[], &rules, true).chunks;
        let first = split(&rows[..cut.min(rows.len())], &[], &rules, false);
        let rest = split(&rows[first.left..], &[], &rules, true).chunks;
        let moved = rest.into_iter().map(|c| Chunk { master: c.master.start + first.left..c.master.end + first.left, ..c });
        let joined: Vec<Chunk> = first.chunks.into_iter().chain(moved).collect();
        prop_assert_eq!(joined, whole);
    }

    #[test]
    fn secondary_inputs_are_used_as_their_rule_says(n in 1_usize..80, rules in rules(), inputs in prop::collection::vec(secondary(), 1..3)) {
        let rows = vec![Row { bytes: 1, events: 1, ..Row::default() }; n];
        let found = split(&rows, &inputs, &rules, true);
        for (i, input) in inputs.iter().enumerate() {
            let taken: Vec<usize> = found.chunks.iter().flat_map(|c| c.secondary[i].iter().copied()).collect();
            prop_assert!(taken.iter().all(|t| *t < input.bytes.len()));
            if input.reuse == Reuse::Never && input.take != Take::Whole {
                prop_assert_eq!(&taken, &(0..taken.len()).collect::<Vec<_>>(), "once each, in order");
            }
            for chunk in &found.chunks {
                let mut sorted = chunk.secondary[i].clone();
                sorted.sort_unstable();
                sorted.dedup();
                prop_assert_eq!(sorted.len(), chunk.secondary[i].len(), "no file twice in one job");
            }
        }
        for chunk in &found.chunks {
            prop_assert!(chunk.master.len() + chunk.secondary.iter().map(Vec::len).sum::<usize>() <= MAX_TOTAL_FILES);
        }
        if found.starved.is_none() && !found.too_many {
            prop_assert_eq!(found.left, n);
        }
    }

    #[test]
    fn secondary_inputs_go_on_where_they_stood(n in 2_usize..40, cut in 1_usize..40, mut input in secondary()) {
        let rules = Rules { limits: Limits { files: Some(2), ..Limits::default() }, ..Rules::default() };
        let rows = vec![Row::default(); n];
        let whole = split(&rows, std::slice::from_ref(&input), &rules, true);
        let first = split(&rows[..cut.min(n)], std::slice::from_ref(&input), &rules, false);
        input.next = first.next[0];
        let rest = split(&rows[first.left..], std::slice::from_ref(&input), &rules, true);
        let picks: Vec<_> = first.chunks.iter().chain(&rest.chunks).map(|c| c.secondary.clone()).collect();
        let expected: Vec<_> = whole.chunks.iter().map(|c| c.secondary.clone()).collect();
        prop_assert_eq!(picks, expected);
    }
}

#[test]
fn events_of_one_file() {
    // 100 events a file, 10 a job: ten jobs a file, each knows what it skips (capture j).
    let rows: Vec<Row> = super::super::chunk::event_rows(100, 10)
        .into_iter()
        .map(|(first, last)| Row { file: 1, bytes: 700, events: last - first + 1, range: Some((first, last)), ..Row::default() })
        .collect();
    let rules = Rules { limits: Limits { events: Some(10), ..Limits::default() }, ..Rules::default() };
    let jobs = split(&rows, &[], &rules, true).chunks;
    assert_eq!(jobs.iter().map(|j| (j.events, j.skip_events)).collect::<Vec<_>>(), (0..10).map(|i| (10, 10 * i)).collect::<Vec<_>>());
    let gap = [rows[0], rows[2]];
    let wide = Rules { limits: Limits { events: Some(100), ..Limits::default() }, ..Rules::default() };
    assert_eq!(split(&gap, &[], &wide, true).chunks.len(), 2, "events of a job follow one another");
}

#[test]
fn whole_pre_merge_jobs_stay_together() {
    let rows: Vec<Row> = [5, 5, 6, 7, 7, 7]
        .iter()
        .enumerate()
        .map(|(i, b)| Row { file: i as i64 + 1, bytes: 10, boundary: Some(*b), ..Row::default() })
        .collect();
    let merge = |max_files| Rules { limits: Limits { max_files, ..Limits::default() }, boundary: Boundary::Together, ..Rules::default() };
    let cuts = |rules: &Rules, complete| split(&rows, &[], rules, complete).chunks.into_iter().map(|c| c.master).collect::<Vec<_>>();
    assert_eq!(cuts(&merge(3), true), [0..3, 3..6]);
    assert_eq!(cuts(&merge(2), true), [0..2, 2..3, 3..6], "a job that is too large is merged alone");
    assert_eq!(cuts(&merge(3), false), vec![0..3; 1], "more files of job 7 may come");
}

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
