//! Every number of `spec/engine.md` sections 7, 7.1, 7.2 and 20.8, one row each: what ships, and what happens just before it and at it.

use super::{
    exhaust::{Limits, Outcome, Reason, View, WIDE_FILES, judge},
    measure::{Asked, Job, Margins, Measured, cpu_time, measure},
    *,
};
use crate::{
    policy::{broker::CORE_POWER_MILLI, ram::Ram, split::limits::DIRECT, split::limits::Limits as Split},
    setting::{ANY, Setting, Values, scout as s},
};

/// A number: its place in the specification, its setting and shipped value (none = it cannot be changed), what is seen just before it and at it.
struct Row {
    place: &'static str,
    shipped: Option<(&'static Setting, &'static str)>,
    before: String,
    at: String,
    want: (String, String),
}

fn row<T: std::fmt::Debug>(
    place: &'static str,
    shipped: impl Into<Option<(&'static Setting, &'static str)>>,
    (before, at): (T, T),
    want: (T, T),
) -> Row {
    let text = |t: T| format!("{t:?}");
    Row { place, shipped: shipped.into(), before: text(before), at: text(at), want: (text(want.0), text(want.1)) }
}

fn values(given: &[(&Setting, &str)]) -> Values {
    let rows = given.iter().map(|(s, v)| ((s.name.to_owned(), ANY.to_owned(), ANY.to_owned()), (*v).to_owned()));
    let (values, problems) = Values::new(rows);
    assert_eq!(problems, Vec::<String>::new());
    values
}
const ASKED: Asked = Asked {
    ram: Ram { mb: 2_000, per_core: false, fixed: false, base_mb: 0 },
    cpu_fixed: false,
    base_walltime_s: 600,
    cpu_efficiency: 100,
    pseudo: false,
    out_per_event: false,
    target_gb: None,
    lib_bytes: 0,
};
/// One core, 100 s beyond the base on a core of power 10, 100 events, 100 MB in, 10 MB out.
const JOB: Job = Job {
    id: 1,
    cores: 1,
    power_milli: 10_000,
    wall_s: 700,
    cpu_s: 600,
    events: 100,
    in_bytes: 100_000_000,
    out_bytes: 10_000_000,
    biggest_bytes: 10_000_000,
    pss_kb: 1_000_000,
    disk_bytes: None,
    work_bytes: 0,
    leak: None,
};
fn told(jobs: &[Job], given: &[(&Setting, &str)]) -> Measured {
    measure(jobs, &ASKED, &Margins::of(&values(given), "amber", "user"))
}
/// Twenty jobs of which the last `n` are changed by `f`.
fn last(n: usize, f: fn(&mut Job)) -> Vec<Job> {
    let mut jobs: Vec<Job> = (1..=20).map(|id| Job { id, ..JOB }).collect();
    jobs.iter_mut().rev().take(n).for_each(f);
    jobs
}
fn ram(jobs: &[Job], given: &[(&Setting, &str)]) -> Option<i64> {
    told(jobs, given).ram_mb.map(|b| b.n)
}
fn cpu(jobs: &[Job]) -> Option<i64> {
    told(jobs, &[]).cpu_ms_per_event.map(|b| b.n)
}
fn out(jobs: &[Job]) -> Option<i64> {
    told(jobs, &[]).out_kb_per_mb.map(|b| b.n)
}
fn wall(job: Job) -> Option<i64> {
    told(&[job], &[]).walltime_ms.map(|b| b.n)
}
fn gb(target: i64, in_bytes: i64, work_bytes: i64) -> Option<i64> {
    let asked = Asked { target_gb: Some(target), ..ASKED };
    measure(&[Job { in_bytes, work_bytes, ..JOB }], &asked, &Margins::of(&values(&[]), "amber", "user")).gb_per_job
}

/// What was measured of a task that is due to be stopped for `of`, and that would go on for everything else.
fn stops(of: impl Fn(&mut View<'_>, &mut Measured, &mut Vec<Job>), given: &[(&Setting, &str)]) -> Option<Reason> {
    let (mut m, mut jobs) = (Measured::default(), vec![JOB; 10]);
    let mut v = View {
        jobs: &[],
        measured: &Measured::default(),
        cpu_ms: None,
        ram: Ram { mb: 2_000, per_core: true, ..Ram::default() },
        split: Split { files: Some(1), ..Split::default() },
        copies_input: false,
        min_efficiency: None,
        expected_jobs: 1_000,
        alike_jobs: 1_000,
        success: Success::Enough,
    };
    of(&mut v, &mut m, &mut jobs);
    let v = View { jobs: &jobs, measured: &m, ..v };
    match judge(&v, &Limits::of(&values(given), "amber", "user")) {
        Outcome::Exhaust(reason, _) => Some(reason),
        Outcome::Go | Outcome::Widen(_) => None,
    }
}
fn by(n: i64) -> Option<measure::By> {
    Some(measure::By { n, job: 1 })
}

fn measurements() -> Vec<Row> {
    let due = |finished| is_due(&Count { scouts: 10, finished, failed: 0 }, 50);
    let ok = |finished| success(&Count { scouts: 10, finished, failed: 10 - finished }, Some(8), None) == Success::Enough;
    let marked = |finished, before| is_marked(finished, before, [5, 100]);
    vec![
        row("20.8 early avalanche: finished >= 5/10", (&s::EARLY_PERCENT, "50"), (due(4), due(5)), (false, true)),
        row("20.8 required success rate SS/10", None, (ok(7), ok(8)), (false, true)),
        row("3.6, 7.1 measured again at 5 finished", (&s::FIRST_MARK, "5"), (marked(4, 0), marked(5, 0)), (false, true)),
        row("3.6, 7.1 and at 100", (&s::SECOND_MARK, "100"), (marked(99, 5), marked(100, 5)), (false, true)),
        // 100 s x 10 / 100 events = 10 s, x 1.5; the 19th of 20 counts, the 20th does not.
        row(
            "7.1, 20.8 cpuTime: 95th percentile",
            (&s::CPU_PERCENTILE, "95"),
            (cpu(&last(1, |j| j.wall_s = 1_600)), cpu(&last(2, |j| j.wall_s = 1_600))),
            (Some(15_000), Some(150_000)),
        ),
        row(
            "7.1, 20.8 cpuTime: x 1.5, nothing for what the base takes",
            (&s::CPU_FACTOR, "1.5"),
            (cpu(&[Job { wall_s: 600, ..JOB }]), cpu(&[Job { wall_s: 601, ..JOB }])),
            (None, Some(150)),
        ),
        row(
            "7.1, 20.8 below 10: x 1000, mHS06sPerEvent",
            None,
            (cpu_time(9_999), cpu_time(10_000)),
            ((9_999, "mHS06sPerEvent"), (10, "HS06sPerEvent")),
        ),
        row(
            "7.1, 20.8 cpuTime: 10 events for each core",
            (&s::CPU_EVENTS, "10"),
            (cpu(&[Job { events: 79, cores: 8, ..JOB }]).is_some(), cpu(&[Job { events: 80, cores: 8, ..JOB }]).is_some()),
            (false, true),
        ),
        row(
            "7.1 corepower defaults to 10",
            None,
            (cpu(&[Job { power_milli: 0, ..JOB }]), cpu(&[Job { power_milli: CORE_POWER_MILLI, ..JOB }])),
            (Some(15_000), Some(15_000)),
        ),
        row(
            "7.1, 20.8 ramCount: 75th percentile",
            (&s::RAM_PERCENTILE, "75"),
            (ram(&last(5, |j| j.pss_kb *= 2), &[]), ram(&last(6, |j| j.pss_kb *= 2), &[])),
            (Some(1_100), Some(2_200)),
        ),
        row(
            "7.1, 20.8 ramCount: 10 % more",
            (&s::RAM_MARGIN_PERCENT, "10"),
            (ram(&[Job { pss_kb: 0, ..JOB }], &[]), ram(&[Job { pss_kb: 10_000, ..JOB }], &[])),
            (None, Some(11)),
        ),
        row(
            "7.1, 20.8 ramCount: no least",
            (&s::RAM_MIN_MB, ""),
            (ram(&[JOB], &[(&s::RAM_MIN_MB, "1100")]), ram(&[JOB], &[(&s::RAM_MIN_MB, "1101")])),
            (Some(1_100), Some(1_101)),
        ),
        row(
            "7.1, 20.8 outDiskCount: 75th percentile",
            (&s::OUT_PERCENTILE, "75"),
            (out(&last(5, |j| j.out_bytes *= 2)), out(&last(6, |j| j.out_bytes *= 2))),
            (Some(100), Some(200)),
        ),
        row(
            "7.1, 20.8 outDiskCount: at most 10 MB for an MB",
            (&s::OUT_CAP_KB, "10000"),
            (out(&[Job { out_bytes: 999_000_000, ..JOB }]), out(&[Job { out_bytes: 2_000_000_000, ..JOB }])),
            (Some(9_990), Some(10_000)),
        ),
        row(
            "7.1, 20.8 outDiskCount: jobs of 10 events",
            (&s::OUT_EVENTS, "10"),
            (out(&[Job { events: 9, ..JOB }]), out(&[Job { events: 10, ..JOB }])),
            (None, Some(100)),
        ),
        // 3,600 s / 100 MB x 1.5.
        row(
            "7.1, 20.8 walltime: below an hour it counts as 0",
            (&s::WALLTIME_FLOOR_S, "3600"),
            (wall(Job { cpu_s: 3_599, ..JOB }), wall(Job { cpu_s: 3_600, ..JOB })),
            (None, Some(54_000)),
        ),
        row(
            "7.1, 20.8 walltime: x 1.5",
            (&s::WALLTIME_FACTOR, "1.5"),
            (wall(Job { cpu_s: 7_200, in_bytes: 200_000_000, ..JOB }), wall(Job { cpu_s: 7_200, ..JOB })),
            (Some(54_000), Some(108_000)),
        ),
        row(
            "7.1, 20.8 diskIO: no cap",
            (&s::DISK_IO_CAP_KB_S, ""),
            {
                let job = Job { disk_bytes: Some(716_800_000), ..JOB };
                let io = |given: &[(&Setting, &str)]| told(&[job], given).disk_io_kb_s;
                (io(&[]), io(&[(&s::DISK_IO_CAP_KB_S, "999")]))
            },
            (Some(1_000), Some(999)),
        ),
        // Target + 0 input - 1.5 GB + work.
        row("7.1, 20.8 new NG: at least 1", None, (gb(1, 0, 0), gb(4, 0, 0)), (Some(1), Some(2))),
        row("7.1, 20.8 new NG: at most 100", None, (gb(100, 0, 1_400_000_000), gb(100, 0, 9_000_000_000)), (Some(99), Some(100))),
        row(
            "7.1, 20.8 expected jobs without rules: input / 500 GB",
            None,
            (expected_jobs(10, 10, 10, Some(DIRECT / 10)), expected_jobs(10, 10, 10, Some(DIRECT / 10 + 1))),
            (1, 2),
        ),
    ]
}

fn bounds() -> Vec<Row> {
    let jobs = |n| stops(|v, m, _| (v.expected_jobs, m.ram_mb) = (n, by(4_001)), &[]);
    let cpu = |measured, longest| {
        stops(
            |v, m, jobs| {
                (v.cpu_ms, m.cpu_ms_per_event, jobs[0].wall_s) = (Some(1_000), by(measured), longest);
                jobs[0].cpu_s = longest;
            },
            &[],
        )
    };
    let memory = |asked, measured| stops(|v, m, _| (v.ram.mb, m.ram_mb) = (asked, by(measured)), &[]);
    let leak = |given: &[(&Setting, &str)]| stops(|_, m, _| m.leak = Some((5.0, 1.0)), given);
    let short = |n: usize, jobs, given: &[(&Setting, &str)]| {
        stops(
            |v, _, all| {
                (v.expected_jobs, v.alike_jobs) = (jobs, jobs);
                all.iter_mut().take(n).for_each(|j| j.wall_s = 399);
                all.iter_mut().for_each(|j| j.cpu_s = j.wall_s);
            },
            given,
        )
    };
    let idle = |n: usize, jobs, given: &[(&Setting, &str)]| {
        stops(
            |v, _, all| {
                v.expected_jobs = jobs;
                all.iter_mut().take(n).for_each(|j| j.cpu_s = 279);
            },
            given,
        )
    };
    let given_short = [(&s::SHORT_PERCENT, "30"), (&s::SHORT_JOBS, "100"), (&s::SHORT_S, "400")];
    let given_idle = [(&s::INEFFICIENT_PERCENT, "30"), (&s::INEFFICIENT_JOBS, "100"), (&s::LOW_EFFICIENCY_PERCENT, "40")];
    let least = |found, given: &[(&Setting, &str)]| {
        stops(|v, m, _| (v.min_efficiency, m.cpu_efficiency, m.io_kb_s) = (Some(50), Some(found), by(300)), given)
    };
    let over = |cpu_s| stops(|_, _, all| all[3] = Job { cpu_s, cores: 2, ..JOB }, &[]);
    let poor = |finished, given: Option<f64>| success(&Count { scouts: 10, finished, failed: 10 - finished }, Some(8), given);
    use Reason::{CpuTime, LowEfficiency, MemoryLeak, OverCpu, RamCount, ShorterJobs};
    vec![
        row("7.2, 20.8 only above 20 new jobs", (&s::EXHAUST_ABOVE_JOBS, "20"), (jobs(20), jobs(21)), (None, Some(RamCount))),
        row("7.2/1, 20.8 cpuTime: more than 2 x", (&s::CPU_RATIO, "2"), (cpu(2_000, 86_401), cpu(2_001, 86_401)), (None, Some(CpuTime))),
        row("7.2/1, 20.8 and more than 24 h", (&s::CPU_EXEC_S, "86400"), (cpu(2_001, 86_400), cpu(2_001, 86_401)), (None, Some(CpuTime))),
        row(
            "7.2/2, 20.8 RAM: above 4 x 1000 MB",
            (&s::RAM_MB, "4000"),
            (memory(2_000, 4_000), memory(2_000, 4_001)),
            (None, Some(RamCount)),
        ),
        row("7.2/2, 20.8 when less was asked for", None, (memory(4_000, 4_001), memory(3_999, 4_001)), (None, Some(RamCount))),
        row(
            "7.2/3, 20.8 leak: unset",
            (&s::LEAK_PER_CORE, ""),
            (leak(&[(&s::LEAK_PER_CORE, "5")]), leak(&[(&s::LEAK_PER_CORE, "4.9")])),
            (None, Some(MemoryLeak)),
        ),
        row(
            "7.2/4, 20.8 short jobs: fraction unset",
            (&s::SHORT_PERCENT, ""),
            (short(2, 100, &given_short), short(3, 100, &given_short)),
            (None, Some(ShorterJobs)),
        ),
        row(
            "7.2/4, 20.8 short jobs: number unset",
            (&s::SHORT_JOBS, ""),
            (short(3, 99, &given_short), short(3, 100, &given_short)),
            (None, Some(ShorterJobs)),
        ),
        row(
            "20.8 exec time of short jobs: 0",
            (&s::SHORT_S, "0"),
            (short(3, 100, &given_short[..2]), short(3, 100, &given_short)),
            (None, Some(ShorterJobs)),
        ),
        row("7.2/4, 20.8 MF after changing rules", (&s::CHANGE_RULES, "false"), (WIDE_FILES, WIDE_FILES), (200, 200)),
        row("7.2/5 efficiency below MC", None, (least(50.0, &[]), least(49.9, &[])), (None, Some(LowEfficiency))),
        row(
            "7.2/5, 20.8 IO intensity that waives it: unset",
            (&s::IO_WAIVER_KB_S, ""),
            (least(10.0, &[(&s::IO_WAIVER_KB_S, "299")]), least(10.0, &[(&s::IO_WAIVER_KB_S, "300")])),
            (None, Some(LowEfficiency)),
        ),
        row(
            "7.2/5, 20.8 inefficient jobs: fraction unset",
            (&s::INEFFICIENT_PERCENT, ""),
            (idle(2, 101, &given_idle), idle(3, 101, &given_idle)),
            (None, Some(LowEfficiency)),
        ),
        row(
            "7.2/5, 20.8 inefficient jobs: number unset",
            (&s::INEFFICIENT_JOBS, ""),
            (idle(3, 100, &given_idle), idle(3, 101, &given_idle)),
            (None, Some(LowEfficiency)),
        ),
        row(
            "20.8 efficiency of inefficient jobs: 0",
            (&s::LOW_EFFICIENCY_PERCENT, "0"),
            (idle(3, 101, &given_idle[..2]), idle(3, 101, &given_idle)),
            (None, Some(LowEfficiency)),
        ),
        // 700 s on two cores.
        row("7.2/6, 20.8 CPU time above 2 x wall x cores", (&s::OVER_CPU_FACTOR, "2"), (over(2_800), over(2_801)), (None, Some(OverCpu))),
        row(
            "7.2/7, 20.8 success rate: unset, and below SS/10",
            (&s::MIN_OK_PERCENT, ""),
            (poor(7, None), poor(7, Some(70.0))),
            (Success::TooFew(70.0), Success::Poor(70.0)),
        ),
    ]
}

#[test]
fn every_number_before_it_and_at_it() {
    for r in measurements().into_iter().chain(bounds()) {
        if let Some((setting, shipped)) = r.shipped {
            assert_eq!(setting.default.text(), shipped, "{}: {}", r.place, setting.name);
        }
        assert_eq!((&r.before, &r.at), (&r.want.0, &r.want.1), "{}", r.place);
    }
}

/// What has no boundary that a pure function shows: who is sampled, and when.
#[test]
fn the_other_numbers_as_shipped() {
    for (setting, shipped) in [(&s::JOBS, "10"), (&s::JOBS_A_DRAW, "2"), (&s::SAMPLE_JOBS, "1000")] {
        assert_eq!(setting.default.text(), shipped, "{}", setting.name);
    }
}

/// Every setting of the area stands in one of the two tables, so that none is added without its number.
#[test]
fn no_setting_of_scouts_is_left_out() {
    let rows = measurements().into_iter().chain(bounds());
    let mut named: Vec<&str> = rows.filter_map(|r| r.shipped.map(|(s, _)| s.name)).collect();
    // Its number is ours (7.1: "few events but long").
    named.extend([s::JOBS.name, s::JOBS_A_DRAW.name, s::SAMPLE_JOBS.name, s::CPU_LONG_S.name]);
    named.sort_unstable();
    let mut all: Vec<&str> = s::ALL.iter().map(|s| s.name).collect();
    all.sort_unstable();
    assert_eq!(named, all);
}
