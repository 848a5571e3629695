//! Properties of splitting (`spec/engine.md` 6.1): nothing lost, nothing doubled, limits kept, the same every time, in windows as at once.

use super::*;
use proptest::prelude::*;

fn row() -> impl Strategy<Value = Row> {
    let some = proptest::option::of(0_i64..5);
    let rare = prop_oneof![9 => Just(0_i64), 1 => Just(4_000)];
    (
        0_i64..6,
        0_i64..3_000_000,
        0_i64..400,
        some,
        proptest::option::of(0_i64..3),
        rare,
        prop_oneof![9 => Just(0_u64), 1 => Just(7)],
        0_usize..3,
    )
        .prop_map(|(file, bytes, events, boundary, lumiblock, ram_mb, field, set)| Row {
            file,
            bytes,
            events,
            range: None,
            boundary,
            lumiblock,
            ram_mb,
            field,
            set,
        })
}

fn rules() -> impl Strategy<Value = Rules> {
    let some = |most: i64| proptest::option::of(1..most);
    let limits = (proptest::option::of(1_usize..20), 1_usize..30, some(20_000_000), some(2_000))
        .prop_map(|(files, max_files, bytes, events)| Limits { files, max_files, bytes, events });
    let boundary = prop_oneof![Just(Boundary::Ignored), Just(Boundary::Apart), Just(Boundary::Exactly), Just(Boundary::Together)];
    let output = prop_oneof![
        Just(None),
        (1_i64..9_000_000).prop_map(|b| Some(Output::OfEachSet(b))),
        (1_i64..9_000_000).prop_map(|b| Some(Output::Estimated(b)))
    ];
    (limits, boundary, any::<bool>(), some(3_000), some(100), output).prop_map(
        |(limits, boundary, respect_lumiblock, max_s, max_mb, output)| Rules {
            limits,
            boundary,
            respect_lumiblock,
            by_file: false,
            out_kb_per_event: 10,
            out_kb_per_mb: 500,
            size: max_mb.map(|mb| Size { max: mb * 1_000_000 + limits::OUTPUT_ALLOWANCE, work: 7 }),
            walltime: max_s.map(|max_s| Walltime { base_s: 60, per_event_ms: 900, per_mb_ms: 100, max_s }),
            disk: max_mb.map(|max_mb| Disk { work_mb: 5, copies_input: true, max_mb }),
            output,
        },
    )
}

fn secondary() -> impl Strategy<Value = Secondary> {
    let take = prop_oneof![
        Just(Take::Whole),
        (1_usize..5).prop_map(Take::PerJob),
        (0.0_f64..3.0).prop_map(Take::Ratio),
        (0.0_f64..2.0).prop_map(Take::EventRatio)
    ];
    let reuse = prop_oneof![Just(Reuse::Never), Just(Reuse::Restart), Just(Reuse::Wrap)];
    let file = (0_i64..1_000_000, 0_i64..300).prop_map(|(bytes, events)| SecFile { bytes, events });
    (prop::collection::vec(file, 0..60), take, reuse).prop_map(|(files, take, reuse)| Secondary::whole(files, take, reuse))
}

fn all(rows: &[Row], secondary: &[Secondary], rules: &Rules, complete: bool) -> Split {
    split(rows, secondary, rules, complete, usize::MAX)
}

/// Where the steps of a job (rows, or whole boundaries) end.
fn steps(job: &[Row], rules: &Rules) -> Vec<usize> {
    let mut ends = vec![];
    while ends.last().copied().unwrap_or(0) < job.len() {
        ends.push(step_end(job, ends.last().copied().unwrap_or(0), rules.boundary));
    }
    ends
}

fn totals(job: &[Row], rules: &Rules) -> Totals {
    Totals::default().with(job, rules)
}

proptest! {
    #[test]
    fn every_row_is_in_one_job_and_limits_are_kept(rows in prop::collection::vec(row(), 0..150), rules in rules(), complete: bool) {
        let found = all(&rows, &[], &rules, complete);
        prop_assert_eq!(&found, &all(&rows, &[], &rules, complete));
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
                prop_assert_eq!(over(&totals(job, &rules), &[], &[], &rules), Ok(false));
            }
            if matches!(rules.boundary, Boundary::Together | Boundary::Exactly)
                && let (Some(last), Some(after)) = (job.last(), rows.get(next)) {
                prop_assert!(last.boundary.is_none() || last.boundary != after.boundary);
            }
        }
        prop_assert_eq!(found.left, next);
        if complete && found.stop.is_none() {
            prop_assert_eq!(next, rows.len());
        }
        prop_assert!(found.stop.is_some() || next == rows.len());
    }

    #[test]
    fn each_stated_limit_is_kept(rows in prop::collection::vec(row(), 0..120), rules in rules()) {
        // Without boundaries, so that a step is one row; said apart from the code that splits.
        let rules = Rules { boundary: Boundary::Ignored, ..rules };
        for chunk in all(&rows, &[], &rules, true).chunks {
            let job = &rows[chunk.master];
            prop_assert!(job.len() <= rules.limits.files.unwrap_or(rules.limits.max_files));
            prop_assert!(job.iter().all(|r| r.ram_mb == job[0].ram_mb && r.field == job[0].field));
            prop_assert!(!rules.respect_lumiblock || job.iter().all(|r| r.lumiblock == job[0].lumiblock));
            if job.len() == 1 {
                continue;
            }
            let mut bytes = job[0].bytes;
            for pair in job.windows(2) {
                bytes += if pair[1].file != 0 && pair[1].file == pair[0].file { 0 } else { pair[1].bytes };
            }
            let events: i64 = job.iter().map(|r| r.events).sum();
            let out = rules.output_of(events, bytes);
            prop_assert!(rules.limits.bytes.is_none_or(|l| bytes <= l));
            prop_assert!(rules.limits.events.is_none_or(|l| events <= l));
            prop_assert!(rules.size.is_none_or(|s| bytes + out + s.work <= s.max));
            prop_assert!(rules.disk.is_none_or(|d| d.of(bytes, out) <= d.max_mb));
            prop_assert!(rules.walltime.is_none_or(|w| w.of(events, bytes) <= w.max_s));
            if let Some(Output::Estimated(max)) = rules.output {
                prop_assert!(out <= max);
            }
        }
    }

    #[test]
    fn feeding_in_pieces_gives_the_same_jobs(rows in prop::collection::vec(row(), 1..100), rules in rules(), cut in 0_usize..100, most in 1_usize..9) {
        let whole = all(&rows, &[], &rules, true).chunks;
        let first = all(&rows[..cut.min(rows.len())], &[], &rules, false);
        // A few at a time, as for one queue after the other.
        let mut joined: Vec<Chunk> = first.chunks;
        let mut left = first.left;
        while left < rows.len() {
            let rest = split(&rows[left..], &[], &rules, true, most);
            prop_assert!(rest.chunks.len() <= most);
            if rest.chunks.is_empty() {
                prop_assert_eq!(rest.stop, Some(Stop::TooMany));
                break;
            }
            joined.extend(rest.chunks.into_iter().map(|c| Chunk { master: c.master.start + left..c.master.end + left, ..c }));
            left += rest.left;
        }
        prop_assert_eq!(joined, whole);
    }

    #[test]
    fn secondary_inputs_are_used_as_their_rule_says(n in 1_usize..80, rules in rules(), inputs in prop::collection::vec(secondary(), 1..3)) {
        let rows = vec![Row { bytes: 1, events: 1, ..Row::default() }; n];
        let found = all(&rows, &inputs, &rules, true);
        for (i, input) in inputs.iter().enumerate() {
            let taken: Vec<usize> = found.chunks.iter().flat_map(|c| c.secondary[i].iter().copied()).collect();
            prop_assert!(taken.iter().all(|t| *t < input.files.len()));
            if input.reuse == Reuse::Never && input.take != Take::Whole {
                prop_assert_eq!(&taken, &(0..taken.len()).collect::<Vec<_>>(), "once each, in order");
            }
            for chunk in &found.chunks {
                let mut sorted = chunk.secondary[i].clone();
                sorted.sort_unstable();
                sorted.dedup();
                prop_assert_eq!(sorted.len(), chunk.secondary[i].len(), "no file twice in one job");
                match input.take {
                    Take::Whole => prop_assert_eq!(sorted.len(), input.files.len()),
                    Take::PerJob(k) if input.reuse == Reuse::Never => prop_assert_eq!(sorted.len(), k),
                    _ => {}
                }
            }
        }
        for chunk in &found.chunks {
            prop_assert!(chunk.master.len() + chunk.secondary.iter().map(Vec::len).sum::<usize>() <= MAX_TOTAL_FILES);
        }
        if found.stop.is_none() {
            prop_assert_eq!(found.left, n);
        }
    }

    #[test]
    fn secondary_inputs_in_windows(n in 2_usize..60, window in 1_usize..20, per_rows in 1_usize..4, mut input in secondary()) {
        // Files of the secondary set come into hand a window at a time, from where it stands; of a set that recurs it wraps around.
        let rules = Rules { limits: Limits { files: Some(per_rows), ..Limits::default() }, ..Rules::default() };
        let rows = vec![Row { events: 10, ..Row::default() }; n];
        if input.take == Take::Whole {
            input.take = Take::PerJob(2);
        }
        let whole = all(&rows, std::slice::from_ref(&input), &rules, true);
        let (set, names) = (input.files.clone(), |s: &Secondary, pick: &[usize], len: usize| pick.iter().map(|p| (s.first + p) % len.max(1)).collect::<Vec<_>>());
        let (mut left, mut next, mut window) = (0, 0, window);
        let mut picked = Vec::new();
        for _ in 0..10_000 {
            let end = if input.reuse == Reuse::Never { set.len().min(next + window) } else { next + window.min(set.len()) };
            let hand: Vec<SecFile> = (next..end).map(|p| set[p % set.len()]).collect();
            let part = Secondary { files: hand, first: next % set.len().max(1), total: set.len(), next, ..input.clone() };
            let part = if input.reuse == Reuse::Never { Secondary { first: next, ..part } } else { part };
            let found = all(&rows[left..], std::slice::from_ref(&part), &rules, true);
            picked.extend(found.chunks.iter().map(|c| names(&part, &c.secondary[0], set.len())));
            left += found.left;
            next = found.next[0];
            match found.stop {
                Some(Stop::More(0)) if found.chunks.is_empty() => window += 10,
                Some(Stop::More(0)) => {}
                _ => break,
            }
        }
        let expected: Vec<_> = whole.chunks.iter().map(|c| c.secondary[0].clone()).collect();
        prop_assert_eq!(picked, expected);
        prop_assert_eq!(left, whole.left);
    }
}

#[test]
fn events_of_one_file() {
    // 100 events a file, 10 a job: ten jobs a file, each knows what it skips.
    let rows: Vec<Row> =
        (0..10).map(|i| Row { file: 1, bytes: 700, events: 10, range: Some((i * 10, i * 10 + 9)), ..Row::default() }).collect();
    let rules = |events| Rules { limits: Limits { events: Some(events), ..Limits::default() }, ..Rules::default() };
    let jobs = all(&rows, &[], &rules(10), true).chunks;
    assert_eq!(jobs.iter().map(|j| (j.events, j.skip_events)).collect::<Vec<_>>(), (0..10).map(|i| (10, 10 * i)).collect::<Vec<_>>());
    let gap = [rows[0], rows[2]];
    assert_eq!(all(&gap, &[], &rules(100), true).chunks.len(), 2, "events of a job follow one another");
}

#[test]
fn boundaries_by_rule_gb() {
    // 6.1 "GB semantics".
    assert_eq!(
        [1, 2, 3, 4, 5].map(Boundary::of_rule),
        [Some(Boundary::Apart), Some(Boundary::Apart), Some(Boundary::Exactly), Some(Boundary::Exactly), None]
    );
    let rows: Vec<Row> = [1, 1, 1, 2, 2, 3].iter().map(|b| Row { bytes: 10, boundary: Some(*b), ..Row::default() }).collect();
    let cuts = |boundary| {
        let rules = Rules { limits: Limits { max_files: 2, ..Limits::default() }, boundary, ..Rules::default() };
        all(&rows, &[], &rules, true).chunks.into_iter().map(|c| c.master).collect::<Vec<_>>()
    };
    assert_eq!(cuts(Boundary::Ignored), [0..2, 2..4, 4..6]);
    assert_eq!(cuts(Boundary::Apart), [0..2, 2..3, 3..5, 5..6]);
    assert_eq!(cuts(Boundary::Exactly), [0..3, 3..5, 5..6], "limits do not count");
}

#[test]
fn whole_pre_merge_jobs_stay_together() {
    let rows: Vec<Row> = [5, 5, 6, 7, 7, 7]
        .iter()
        .enumerate()
        .map(|(i, b)| Row { file: i as i64 + 1, bytes: 10, boundary: Some(*b), ..Row::default() })
        .collect();
    let merge = |max_files| Rules { limits: Limits { max_files, ..Limits::default() }, boundary: Boundary::Together, ..Rules::default() };
    let cuts = |rules: &Rules, complete| all(&rows, &[], rules, complete).chunks.into_iter().map(|c| c.master).collect::<Vec<_>>();
    assert_eq!(cuts(&merge(2), true), [0..3, 3..6], "a pre-merge job counts once");
    assert_eq!(cuts(&merge(1), true), [0..2, 2..3, 3..6]);
    assert_eq!(cuts(&merge(2), false), vec![0..3; 1], "more files of job 7 may come");
    let sets: Vec<Row> =
        (0..6_i64).map(|i| Row { bytes: 10, boundary: Some(i / 2), set: usize::try_from(i % 2).unwrap(), ..Row::default() }).collect();
    let each = |max| Rules { output: Some(Output::OfEachSet(max)), ..merge(50) };
    let n = |max| all(&sets, &[], &each(max), true).chunks.len();
    assert_eq!((n(10), n(20), n(30)), (3, 2, 1), "bytes of one data set, not of all");
}

#[test]
fn too_many_files_of_one_job() {
    let rows = vec![Row { boundary: Some(1), ..Row::default() }; MAX_TOTAL_FILES + 1];
    let rules = Rules { boundary: Boundary::Exactly, ..Rules::default() };
    assert_eq!(all(&rows, &[], &rules, true).stop, Some(Stop::TooMany));
    assert_eq!(all(&rows[1..], &[], &rules, true).chunks.len(), 1);
    let whole = Secondary::whole(vec![SecFile::default(); 900], Take::Whole, Reuse::Never);
    let rules = Rules { limits: Limits { max_files: 200, ..Limits::default() }, ..Rules::default() };
    let found = all(&vec![Row::default(); 250], std::slice::from_ref(&whole), &rules, true);
    assert_eq!(found.chunks.iter().map(|c| c.master.len()).collect::<Vec<_>>(), [100, 100, 50]);
}

#[test]
fn a_secondary_that_ends_stops_the_split() {
    let input = Secondary::whole(vec![SecFile::default(); 5], Take::Ratio(1.0), Reuse::Never);
    let rules = Rules { limits: Limits { files: Some(2), ..Limits::default() }, ..Rules::default() };
    let found = all(&[Row::default(); 8], std::slice::from_ref(&input), &rules, true);
    assert_eq!(found.chunks.iter().map(|c| c.master.len()).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!((found.left, found.stop), (5, Some(Stop::Starved(0))));
}
