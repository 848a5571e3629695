#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{
    exhaust::{Limits, Outcome, Reason, View, WIDE_FILES, judge},
    measure::{Asked, By, Job, Margins, Measured, cpu_time, measure, merges, percentile},
    *,
};
use crate::{
    policy::{ram::Ram, split::limits::Limits as Split},
    setting::{ANY, Setting, Values, scout},
};
use proptest::prelude::*;

fn values(given: &[(&Setting, &str)]) -> Values {
    let rows = given.iter().map(|(s, v)| ((s.name.to_owned(), ANY.to_owned(), ANY.to_owned()), (*v).to_owned()));
    let (values, problems) = Values::new(rows);
    assert_eq!(problems, Vec::<String>::new());
    values
}
fn margins(given: &[(&Setting, &str)]) -> Margins {
    Margins::of(&values(given), "amber", "user")
}

/// Ten jobs of one core and 100 events; the n-th took 600 s and n times 1,000 s more.
fn ten() -> Vec<Job> {
    (1..=10)
        .map(|n| Job {
            id: n,
            cores: 1,
            power_milli: 10_000,
            wall_s: 600 + n * 1_000,
            cpu_s: n * 900,
            events: 100,
            in_bytes: 100_000_000,
            out_bytes: n * 20_000_000,
            biggest_bytes: n * 10_000_000,
            pss_kb: n * 500_000,
            disk_bytes: Some(n * 1_024_000),
            work_bytes: n * 300_000_000,
            leak: Some((float(n), 2.0)),
        })
        .collect()
}
fn float(n: i64) -> f64 {
    n as f64
}
const ASKED: Asked = Asked {
    ram: Ram { mb: 2_000, per_core: true, fixed: false, base_mb: 0 },
    cpu_fixed: false,
    base_walltime_s: 600,
    cpu_efficiency: 90,
    pseudo: false,
    out_per_event: false,
    target_gb: None,
    lib_bytes: 0,
};

/// engine.md 4.2: what a turn may make.
#[test]
fn who_takes_part() {
    let stand = Stand { wanted: true, ..Stand::default() };
    assert_eq!(Part::of(&stand), Part::First);
    assert_eq!(Part::of(&Stand { scouts: Some(10), used: 10, ..stand }), Part::Again(0), "the rest waits");
    assert_eq!(Part::of(&Stand { scouts: Some(10), used: 8, ..stand }), Part::Again(2), "two are tried again");
    assert_eq!(Part::of(&Stand { scouts: Some(10), used: 40, ..stand }), Part::Again(0));
    assert_eq!(Part::of(&Stand { scouts: Some(10), used: 10, over: true, ..stand }), Part::All);
    assert_eq!(Part::of(&Stand { used: 5, ..stand }), Part::All, "it has begun without");
    assert_eq!(Part::of(&Stand::default()), Part::All);
}

/// engine.md 4.2, 20.8: all have ended, or 5/10 of them well.
#[test]
fn early_release() {
    let due = |finished, failed| is_due(&Count { scouts: 10, finished, failed }, 50);
    assert_eq!([due(4, 0), due(5, 0), due(4, 5), due(4, 6), due(0, 10), due(0, 9)], [false, true, false, true, true, false]);
    assert!(!is_due(&Count { scouts: 10, finished: 9, failed: 0 }, 100) && is_due(&Count { scouts: 10, finished: 9, failed: 1 }, 100));
    assert!(is_due(&Count { scouts: 3, finished: 2, failed: 0 }, 50) && !is_due(&Count { scouts: 3, finished: 1, failed: 0 }, 50));
}

/// engine.md 3.6, 7.1: again at 5 and at 100.
#[test]
fn marks_of_a_running_task() {
    let at = |finished, measured| is_marked(finished, measured, [5, 100]);
    assert_eq!(
        [at(4, 0), at(5, 0), at(6, 5), at(99, 5), at(100, 5), at(250, 100), at(100, 0)],
        [false, true, false, false, true, false, true]
    );
    assert!(!is_marked(1_000, 0, [0, 0]));
}

/// engine.md 7.1, 7.2: ok / (ok + definitely failed) against SS/10.
#[test]
fn how_many_must_succeed() {
    assert_eq!(
        [None, Some(0), Some(5), Some(10), Some(11), Some(80)].map(required_percent),
        [None, None, Some(50), Some(100), Some(11), Some(80)]
    );
    let of = |finished, failed, ss, least| success(&Count { scouts: 10, finished, failed }, ss, least);
    assert_eq!(of(0, 10, None, None), Success::None);
    assert_eq!(of(1, 9, None, None), Success::Enough, "without SS one is enough");
    assert_eq!(of(5, 5, Some(5), None), Success::Enough);
    assert_eq!(of(4, 6, Some(5), None), Success::TooFew(40.0));
    assert_eq!(of(4, 6, Some(5), Some(30.0)), Success::Poor(40.0));
    assert_eq!(of(2, 8, Some(5), Some(30.0)), Success::TooFew(20.0));
    assert_eq!(of(4, 6, Some(5), Some(60.0)), Success::TooFew(40.0), "a least above SS does not count");
    assert_eq!(of(8, 0, Some(10), None), Success::Enough, "only what has ended counts");
}

/// engine.md 7.1, 20.8: totFiles × nJobs / finished files; without any rule scaled by input / 500 GB.
#[test]
fn how_many_jobs_are_expected() {
    assert_eq!(expected_jobs(1_000, 10, 20, None), 500);
    assert_eq!(expected_jobs(1_000, 10, 20, Some(5_000_000_000)), 5, "5 GB each: 2.5 TB");
    assert_eq!(expected_jobs(1_000, 10, 20, Some(1)), 1);
    assert_eq!(expected_jobs(1_000, 10, 0, None), 0);
}

#[test]
fn percentiles() {
    let all: Vec<(f64, i64)> = (1..=10).map(|n| (float(n), n)).collect();
    let at = |p| percentile(all.clone(), p).unwrap().1;
    assert_eq!([at(95), at(75), at(50), at(10), at(1), at(100)], [10, 8, 5, 1, 1, 10]);
    assert_eq!(percentile(Vec::new(), 75), None);
}

/// engine.md 7.1, 20.8: 95th percentile of (wall − base)·power·cores·efficiency / events, × 1.5.
#[test]
fn cpu_time_of_an_event() {
    let of = |jobs: &[Job], asked: &Asked, given: &[(&Setting, &str)]| measure(jobs, asked, &margins(given)).cpu_ms_per_event;
    // 10,000 s × 10 × 0.9 / 100 events = 900 s, × 1.5.
    assert_eq!(of(&ten(), &ASKED, &[]), Some(By { n: 1_350_000, job: 10 }));
    assert_eq!(of(&ten(), &ASKED, &[(&scout::CPU_PERCENTILE, "50"), (&scout::CPU_FACTOR, "1")]), Some(By { n: 450_000, job: 5 }));
    assert_eq!(of(&ten(), &Asked { cpu_fixed: true, ..ASKED }, &[]), None, "…Fixed: the task's own stands");
    let few: Vec<Job> = ten().into_iter().map(|j| Job { events: 9, ..j }).collect();
    assert_eq!(of(&few, &ASKED, &[]), None, "fewer than 10 events a core");
    assert!(of(&few, &Asked { pseudo: true, ..ASKED }, &[]).is_some(), "pseudo input");
    assert!(of(&few, &ASKED, &[(&scout::CPU_LONG_S, "10000")]).is_some(), "few events but long");
    let eight: Vec<Job> = ten().into_iter().map(|j| Job { cores: 8, events: 79, ..j }).collect();
    assert_eq!(of(&eight, &ASKED, &[]), None, "80 events for 8 cores");
    let quick: Vec<Job> = ten().into_iter().map(|j| Job { wall_s: 600, ..j }).collect();
    assert_eq!(of(&quick, &ASKED, &[]), None, "nothing beyond the base");
    let unknown: Vec<Job> = ten().into_iter().map(|j| Job { power_milli: 0, ..j }).collect();
    assert_eq!(of(&unknown, &ASKED, &[]), Some(By { n: 1_350_000, job: 10 }), "core power 10 where a queue states none");
    assert_eq!((cpu_time(9_999), cpu_time(10_000)), ((9_999, "mHS06sPerEvent"), (10, "HS06sPerEvent")));
}

/// engine.md 7.1, 20.8: 75th percentile of maxPSS, 10 % more, no less than the least.
#[test]
fn memory() {
    let of = |ram: Ram, cores: i64, given: &[(&Setting, &str)]| {
        let jobs: Vec<Job> = ten().into_iter().map(|j| Job { cores, ..j }).collect();
        measure(&jobs, &Asked { ram, ..ASKED }, &margins(given)).ram_mb
    };
    let whole = Ram::job(2_000);
    assert_eq!(of(whole, 1, &[]), Some(By { n: 4_400, job: 8 }), "the eighth of ten, 4,000 MB");
    assert_eq!(of(whole, 8, &[]), Some(By { n: 4_400, job: 8 }), "of the job");
    assert_eq!(of(ASKED.ram, 8, &[]), Some(By { n: 550, job: 8 }), "for each core");
    assert_eq!(of(Ram { base_mb: 800, ..ASKED.ram }, 8, &[]), Some(By { n: 440, job: 8 }), "without the base");
    assert_eq!(of(Ram { fixed: true, ..ASKED.ram }, 1, &[]), None, "MBPerCoreFixed");
    assert_eq!(of(whole, 1, &[(&scout::RAM_MARGIN_PERCENT, "50"), (&scout::RAM_PERCENTILE, "100")]), Some(By { n: 7_500, job: 10 }));
    assert_eq!(of(whole, 1, &[(&scout::RAM_MIN_MB, "5000")]), Some(By { n: 5_000, job: 8 }));
    let silent: Vec<Job> = ten().into_iter().map(|j| Job { pss_kb: 0, ..j }).collect();
    assert_eq!(measure(&silent, &ASKED, &margins(&[(&scout::RAM_MIN_MB, "5000")])).ram_mb, None, "nothing was reported");
}

/// engine.md 7.1, 20.8: 75th percentile, for an event or an MB of input; at most 10 MB for an MB.
#[test]
fn output_sizes() {
    let of = |jobs: &[Job], asked: &Asked| {
        let m = measure(jobs, asked, &margins(&[]));
        (m.out_kb_per_event, m.out_kb_per_mb, m.out_mb)
    };
    assert_eq!(of(&ten(), &ASKED), (None, Some(By { n: 1_600, job: 8 }), None), "160 MB of 100 MB");
    assert_eq!(of(&ten(), &Asked { out_per_event: true, ..ASKED }), (Some(By { n: 1_600, job: 8 }), None, None), "160 MB of 100 events");
    assert_eq!(of(&ten(), &Asked { pseudo: true, ..ASKED }), (None, None, Some(By { n: 160, job: 8 })));
    let with = |f: fn(Job) -> Job| ten().into_iter().map(f).collect::<Vec<Job>>();
    assert_eq!(of(&with(|j| Job { events: 9, ..j }), &ASKED).1, None, "fewer than 10 events");
    assert!(of(&with(|j| Job { events: 0, ..j }), &ASKED).1.is_some(), "events that nobody counts");
    assert_eq!(of(&with(|j| Job { in_bytes: 2_000_000, ..j }), &ASKED).1.unwrap().n, 10_000, "the cap");
}

/// engine.md 7.1, 20.8: the most CPU time over the largest input, × 1.5; below 1 h it counts as 0.
#[test]
fn wall_time() {
    let of = |jobs: &[Job], asked: &Asked| measure(jobs, asked, &margins(&[])).walltime_ms;
    assert_eq!(of(&ten(), &ASKED), Some(By { n: 135_000, job: 10 }), "9,000 s × 1.5 / 100 MB");
    assert_eq!(of(&ten(), &Asked { pseudo: true, ..ASKED }), Some(By { n: 13_500_000, job: 10 }));
    let quick: Vec<Job> = ten().into_iter().map(|j| Job { cpu_s: 3_599, ..j }).collect();
    assert_eq!(of(&quick, &ASKED), None);
}

/// engine.md 7.1, 20.8: work directory or library, traffic, leaks, efficiency.
#[test]
fn disk_traffic_leaks_and_efficiency() {
    let of = |asked: &Asked, given: &[(&Setting, &str)]| measure(&ten(), asked, &margins(given));
    let m = of(&ASKED, &[]);
    assert_eq!((m.jobs, m.work_mb), (10, Some(By { n: 3_000, job: 10 })));
    assert_eq!(of(&Asked { lib_bytes: 4_000_000_001, ..ASKED }, &[]).work_mb, Some(By { n: 4_001, job: 0 }), "the library is larger");
    // 120 MB in 1,600 s is 73.2 kB/s; the tenth moves 300 MB in 10,600 s.
    assert_eq!(m.io_kb_s, Some(By { n: 74, job: 1 }));
    let disk: f64 = ten().iter().map(|j| float(j.id) * 1_000.0 / float(j.wall_s)).sum::<f64>() / 10.0;
    assert_eq!(m.disk_io_kb_s, Some(disk.ceil() as i64));
    assert_eq!(of(&ASKED, &[(&scout::DISK_IO_CAP_KB_S, "0")]).disk_io_kb_s, Some(0));
    assert_eq!(m.leak, Some((5.5, 2.0)));
    // 4,500 s of 5,600 s: the fifth of ten.
    assert!((m.cpu_efficiency.unwrap() - 450_000.0 / 5_600.0).abs() < 1e-9);
    let two: Vec<Job> = ten().into_iter().map(|j| Job { cores: 2, ..j }).collect();
    assert_eq!(measure(&two, &ASKED, &margins(&[])).leak, Some((2.75, 2.0)), "for each core");
}

/// engine.md 7.1, 20.8: TN·total/biggest + input − 1.5 GB + work, between 1 and 100.
#[test]
fn size_of_jobs_with_a_target_output() {
    let of = |gb| measure(&ten(), &Asked { target_gb: Some(gb), ..ASKED }, &margins(&[])).gb_per_job;
    // Outputs are twice the largest; 0.1 GB of input, 3 GB of work.
    assert_eq!((of(10), of(1_000)), (Some(21), Some(100)), "20 + 0.1 − 1.5 + 3");
    let small: Vec<Job> = ten().into_iter().map(|j| Job { work_bytes: 0, in_bytes: 1, ..j }).collect();
    assert_eq!(measure(&small, &Asked { target_gb: Some(1), ..ASKED }, &margins(&[])).gb_per_job, Some(1));
    assert_eq!(measure(&ten(), &ASKED, &margins(&[])).gb_per_job, None);
}

/// engine.md 7.1: merge scouts.
#[test]
fn merge_jobs() {
    assert_eq!(merges(&ten(), &margins(&[])), (Some(By { n: 4_400, job: 8 }), Some(By { n: 15_900, job: 10 })));
}

#[test]
fn jobs_that_report_nothing_change_nothing() {
    let bare: Vec<Job> = (1..=10).map(|id| Job { id, cores: 1, ..Job::default() }).collect();
    assert_eq!(measure(&bare, &ASKED, &margins(&[])), Measured { jobs: 10, ..Measured::default() });
    assert_eq!(measure(&[], &ASKED, &margins(&[])), Measured::default());
}

/// A view that nothing is wrong with.
fn view<'a>(jobs: &'a [Job], measured: &'a Measured) -> View<'a> {
    View {
        jobs,
        measured,
        cpu_ms: None,
        ram: ASKED.ram,
        split: Split { files: Some(1), ..Split::default() },
        copies_input: false,
        min_efficiency: None,
        expected_jobs: 1_000,
        alike_jobs: 1_000,
        success: Success::Enough,
    }
}
fn reason(v: &View<'_>, given: &[(&Setting, &str)]) -> Option<Reason> {
    match judge(v, &Limits::of(&values(given), "amber", "user")) {
        Outcome::Exhaust(reason, text) => {
            assert!(!text.is_empty());
            Some(reason)
        }
        Outcome::Go | Outcome::Widen(_) => None,
    }
}

/// engine.md 7.2 rows 1 and 2.
#[test]
fn too_much_time_or_memory() {
    let (jobs, by) = (ten(), |n| Some(By { n, job: 1 }));
    let long: Vec<Job> = ten().into_iter().map(|j| Job { wall_s: 86_401, ..j }).collect();
    let m = Measured { cpu_ms_per_event: by(2_001), ..Measured::default() };
    let v = View { cpu_ms: Some(1_000), jobs: &long, ..view(&jobs, &m) };
    assert_eq!(reason(&v, &[]), Some(Reason::CpuTime));
    assert_eq!(reason(&View { jobs: &jobs, ..v }, &[]), None, "no job of 24 h");
    assert_eq!(reason(&View { cpu_ms: Some(1_001), ..v }, &[]), None, "not more than twice");
    assert_eq!(reason(&View { cpu_ms: None, ..v }, &[]), None, "it asked for none");
    assert_eq!(reason(&v, &[(&scout::CPU_RATIO, "3")]), None);
    assert_eq!(reason(&View { expected_jobs: 20, ..v }, &[]), None, "at most 20 jobs");
    assert_eq!(reason(&View { expected_jobs: 21, ..v }, &[]), Some(Reason::CpuTime));

    let m = Measured { ram_mb: by(4_001), ..Measured::default() };
    let v = view(&jobs, &m);
    assert_eq!(reason(&v, &[]), Some(Reason::RamCount));
    assert_eq!(reason(&View { ram: Ram { mb: 4_000, ..ASKED.ram }, ..v }, &[]), None, "it asked for as much as the bound");
    assert_eq!(reason(&View { ram: Ram::job(2_000), ..v }, &[]), None, "not for each core");
    assert_eq!(reason(&v, &[(&scout::RAM_MB, "4001")]), None);
}

/// engine.md 7.2 row 3 and section 18: upstream only tells it.
#[test]
fn memory_that_leaks() {
    let (jobs, m) = (ten(), Measured { leak: Some((5.5, 2.0)), ..Measured::default() });
    let v = view(&jobs, &m);
    assert_eq!(reason(&v, &[]), None, "no bound is given");
    assert_eq!(reason(&v, &[(&scout::LEAK_PER_CORE, "5.4")]), Some(Reason::MemoryLeak));
    assert_eq!(reason(&v, &[(&scout::LEAK_PER_CORE, "5.5")]), None);
}

/// engine.md 7.2 row 4 and section 18: dead upstream.
#[test]
fn short_jobs() {
    // The first three of ten are shorter than 4,000 s.
    let (jobs, m) = (ten(), Measured::default());
    let v = view(&jobs, &m);
    let given = |percent, n| [(&scout::SHORT_PERCENT, percent), (&scout::SHORT_JOBS, n), (&scout::SHORT_S, "4000")];
    assert_eq!(reason(&v, &given("30", "1000")), Some(Reason::ShorterJobs));
    assert_eq!(reason(&v, &given("31", "1000")), None);
    assert_eq!(reason(&v, &given("30", "1001")), None, "fewer jobs than the bound");
    assert_eq!(reason(&v, &given("30", "1000")[..2]), None, "no job is short as shipped");
    assert_eq!(reason(&v, &given("30", "1000")[1..]), None, "no part is given");
    assert_eq!(reason(&View { copies_input: true, ..v }, &given("30", "1000")), None, "copied to scratch");
    let plain = View { split: Split::default(), ..v };
    assert_eq!(reason(&View { alike_jobs: 10_000, ..plain }, &given("30", "1000")), None, "ten times as long without rules");
    let events = Split { events: Some(10), ..Split::default() };
    assert_eq!(reason(&View { alike_jobs: 10_000, split: events, ..v }, &given("30", "1000")), Some(Reason::ShorterJobs), "NE");
}

/// engine.md 7.2 row 4: SCOUT_CHANGE_SR.
#[test]
fn short_jobs_get_longer_first() {
    let (jobs, m) = (ten(), Measured::default());
    let v = view(&jobs, &m);
    let given = [(&scout::SHORT_PERCENT, "30"), (&scout::SHORT_JOBS, "10"), (&scout::SHORT_S, "4000"), (&scout::CHANGE_RULES, "true")];
    let limits = Limits::of(&values(&given), "amber", "user");
    assert!(matches!(judge(&v, &limits), Outcome::Widen(why) if why.contains(&format!("up to {WIDE_FILES} files"))));
    let plain = View { split: Split::default(), ..v };
    assert_eq!(reason(&plain, &given), Some(Reason::ShorterJobs), "there is no rule to drop");
    let over: Vec<Job> = ten().into_iter().map(|j| Job { cpu_s: j.wall_s * 3, ..j }).collect();
    assert_eq!(reason(&View { jobs: &over, ..v }, &given), Some(Reason::OverCpu), "what comes behind counts all the same");
}

/// engine.md 7.2 rows 5 to 7.
#[test]
fn idle_cores_too_many_cores_and_failures() {
    let jobs = ten();
    let m = Measured { cpu_efficiency: Some(40.0), io_kb_s: Some(By { n: 500, job: 1 }), ..Measured::default() };
    let v = View { min_efficiency: Some(41), ..view(&jobs, &m) };
    assert_eq!(reason(&v, &[]), Some(Reason::LowEfficiency));
    assert_eq!(reason(&View { min_efficiency: Some(40), ..v }, &[]), None);
    assert_eq!(reason(&v, &[(&scout::IO_WAIVER_KB_S, "499")]), None, "it waits for its data");
    assert_eq!(reason(&v, &[(&scout::IO_WAIVER_KB_S, "500")]), Some(Reason::LowEfficiency));
    // Of ten the first uses 56%, the second 69%, the others more than 70%.
    let v = view(&jobs, &m);
    let given =
        |percent, n| [(&scout::INEFFICIENT_PERCENT, percent), (&scout::INEFFICIENT_JOBS, n), (&scout::LOW_EFFICIENCY_PERCENT, "70")];
    assert_eq!(reason(&v, &given("20", "999")), Some(Reason::LowEfficiency));
    assert_eq!(reason(&v, &given("21", "999")), None);
    assert_eq!(reason(&v, &given("20", "1000")), None, "not more jobs than the bound");
    assert_eq!(reason(&v, &given("20", "999")[..2]), None, "no job is inefficient as shipped");

    let mut over = ten();
    over[3].cpu_s = over[3].wall_s * 2;
    assert_eq!(reason(&View { jobs: &over, ..v }, &[]), None, "twice is allowed");
    over[3].cpu_s += 1;
    assert_eq!(reason(&View { jobs: &over, ..v }, &[]), Some(Reason::OverCpu));

    assert_eq!(reason(&View { success: Success::Poor(40.0), ..v }, &[]), Some(Reason::LowSuccess));
    assert_eq!(reason(&View { success: Success::Poor(40.0), expected_jobs: 20, ..v }, &[]), None);
}

/// The first reason in upstream's order counts.
#[test]
fn the_order_of_reasons() {
    let jobs: Vec<Job> = ten().into_iter().map(|j| Job { wall_s: 90_000, cpu_s: 300_000, ..j }).collect();
    let by = |n| Some(By { n, job: 1 });
    let mut m = Measured {
        cpu_ms_per_event: by(5_000),
        ram_mb: by(9_000),
        leak: Some((9.0, 1.0)),
        cpu_efficiency: Some(1.0),
        ..Measured::default()
    };
    let given = [(&scout::LEAK_PER_CORE, "1"), (&scout::SHORT_PERCENT, "1"), (&scout::SHORT_JOBS, "1"), (&scout::SHORT_S, "100000")];
    let mut found = Vec::new();
    for step in 0..7 {
        let v = View {
            cpu_ms: Some(1_000).filter(|_| step < 1),
            copies_input: step >= 4,
            min_efficiency: Some(50).filter(|_| step < 5),
            success: Success::Poor(30.0),
            ..view(&jobs, &m)
        };
        let calm = ten();
        let v = if step >= 6 { View { jobs: &calm, ..v } } else { v };
        found.extend(reason(&v, &given));
        if step == 1 {
            m.ram_mb = None;
        }
        if step == 2 {
            m.leak = None;
        }
    }
    assert_eq!(found, Reason::ALL);
}

proptest! {
    /// Whatever jobs report: values are never negative, and margins never make less of what was measured.
    #[test]
    fn anything_can_be_measured(
        rows in prop::collection::vec((0_i64..128, any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>()), 0..40),
        per_core: bool, pseudo: bool,
    ) {
        let jobs: Vec<Job> = rows.iter().enumerate().map(|(n, (cores, wall_s, cpu_s, bytes, pss_kb, events))| Job {
            id: n as i64, cores: *cores, wall_s: wall_s >> 20, cpu_s: cpu_s >> 20, in_bytes: bytes >> 1, out_bytes: bytes >> 2, biggest_bytes: bytes >> 3,
            pss_kb: *pss_kb, events: *events, work_bytes: *bytes, disk_bytes: Some(*bytes), leak: Some((1.0, 1.0)), power_milli: 0,
        }).collect();
        let asked = Asked { ram: Ram { per_core, ..ASKED.ram }, pseudo, target_gb: Some(1), ..ASKED };
        let m = measure(&jobs, &asked, &margins(&[]));
        for by in [m.cpu_ms_per_event, m.ram_mb, m.out_kb_per_event, m.out_kb_per_mb, m.out_mb, m.walltime_ms, m.work_mb, m.io_kb_s].into_iter().flatten() {
            prop_assert!(by.n > 0);
        }
        prop_assert!(m.gb_per_job.is_none_or(|gb| (1..=100).contains(&gb)));
    }
}
