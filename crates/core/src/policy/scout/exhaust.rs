//! When a task stops because of what its scouts show (`spec/engine.md` sections 7.2, 18 and 20.8).
//!
//! Upstream computes all of these, but never acts on short jobs and on memory that leaks (its section 18); here each of them counts where a site
//! gives its bound.

use super::{
    Success,
    measure::{Job, Measured},
};
use crate::{
    policy::{ram::Ram, split::limits::Limits as Split},
    setting::{Setting, Values, scout},
    words::word_enum,
};

/// Most files of a job of a task whose rules were changed (20.8).
pub const WIDE_FILES: usize = 200;

word_enum! {
    /// Why a task is exhausted, as upstream names it.
    Reason, "reason" {
        /// Far more CPU time than asked for.
        CpuTime = "scout_cpuTime",
        /// Much more memory than asked for.
        RamCount = "scout_ramCount",
        /// Memory that leaks.
        MemoryLeak = "scout_memory_leak",
        /// Very many short jobs.
        ShorterJobs = "many_shorter_jobs",
        /// Cores that idle.
        LowEfficiency = "low_efficiency",
        /// More cores than asked for.
        OverCpu = "over_cpu_consumption",
        /// Failed scouts.
        LowSuccess = "low_success_rate",
    }
}

/// Bounds of a VO and label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    above_jobs: i64,
    cpu_ratio: f64,
    cpu_exec_s: i64,
    ram_mb: i64,
    leak_per_core: Option<f64>,
    short: Option<(f64, i64)>,
    short_s: i64,
    change_rules: bool,
    inefficient: Option<(f64, i64)>,
    low_efficiency: f64,
    io_waiver_kb_s: Option<i64>,
    over_cpu: f64,
}

impl Limits {
    /// Those of a VO and label.
    #[must_use]
    pub fn of(values: &Values, vo: &str, label: &str) -> Self {
        let int = |s| values.int(s, vo, label);
        let float = |s| values.float(s, vo, label);
        let both = |part: &Setting, jobs: &Setting| values.opt_float(part, vo, label).zip(values.opt_int(jobs, vo, label));
        Self {
            above_jobs: int(&scout::EXHAUST_ABOVE_JOBS),
            cpu_ratio: float(&scout::CPU_RATIO),
            cpu_exec_s: int(&scout::CPU_EXEC_S),
            ram_mb: int(&scout::RAM_MB),
            leak_per_core: values.opt_float(&scout::LEAK_PER_CORE, vo, label),
            short: both(&scout::SHORT_PERCENT, &scout::SHORT_JOBS),
            short_s: int(&scout::SHORT_S),
            change_rules: values.flag(&scout::CHANGE_RULES, vo, label),
            inefficient: both(&scout::INEFFICIENT_PERCENT, &scout::INEFFICIENT_JOBS),
            low_efficiency: float(&scout::LOW_EFFICIENCY_PERCENT),
            io_waiver_kb_s: values.opt_int(&scout::IO_WAIVER_KB_S, vo, label),
            over_cpu: float(&scout::OVER_CPU_FACTOR),
        }
    }
}

/// What is decided on.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Scouts that ended well.
    pub jobs: &'a [Job],
    /// What they tell.
    pub measured: &'a Measured,
    /// CPU time that the task asked for, HEP-score milliseconds for an event; none = it asked for none in this unit.
    pub cpu_ms: Option<i64>,
    /// Memory that it asked for.
    pub ram: Ram,
    /// How it is split.
    pub split: Split,
    /// Its inputs are copied to scratch because it says so.
    pub copies_input: bool,
    /// Least CPU efficiency that it wants, per cent (MC).
    pub min_efficiency: Option<i64>,
    /// Jobs that the task will have.
    pub expected_jobs: i64,
    /// The same if all were like its scouts.
    pub alike_jobs: i64,
    /// How scouts ended.
    pub success: Success,
}

/// What becomes of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Go,
    /// It goes on with longer jobs: no number of files or bytes a job, at most [`WIDE_FILES`] files. Why, one sentence.
    Widen(String),
    /// It stops: why, for programs and for people.
    Exhaust(Reason, String),
}

#[expect(clippy::cast_precision_loss, reason = "counts and seconds")]
fn float(n: i64) -> f64 {
    n as f64
}
fn percent(jobs: &[Job], fits: impl Fn(&Job) -> bool) -> f64 {
    let n = |n: usize| float(i64::try_from(n).unwrap_or(i64::MAX));
    if jobs.is_empty() { 0.0 } else { n(jobs.iter().filter(|j| fits(j)).count()) * 100.0 / n(jobs.len()) }
}

/// Goes through the reasons in upstream's order; the first that holds counts.
#[must_use]
pub fn judge(v: &View<'_>, l: &Limits) -> Outcome {
    if v.expected_jobs <= l.above_jobs {
        return Outcome::Go;
    }
    let first = [cpu_time, ram_count, memory_leak].into_iter().find_map(|check| check(v, l));
    if let Some((reason, text)) = first {
        return Outcome::Exhaust(reason, text);
    }
    let short = short_jobs(v, l);
    if let Some(text) = &short
        && (!l.change_rules || (v.split.files.is_none() && v.split.bytes.is_none()))
    {
        return Outcome::Exhaust(Reason::ShorterJobs, text.clone());
    }
    match [low_efficiency, over_cpu, low_success].into_iter().find_map(|check| check(v, l)) {
        Some((reason, text)) => Outcome::Exhaust(reason, text),
        None => short.map_or(Outcome::Go, |text| Outcome::Widen(format!("{text}; its jobs get up to {WIDE_FILES} files"))),
    }
}

type Found = Option<(Reason, String)>;

fn cpu_time(v: &View<'_>, l: &Limits) -> Found {
    let (asked, measured) = (v.cpu_ms?, v.measured.cpu_ms_per_event?);
    let longest = v.jobs.iter().map(|j| j.wall_s).max().unwrap_or(0);
    (asked > 0 && float(measured.n) > l.cpu_ratio * float(asked) && longest > l.cpu_exec_s).then(|| {
        let text = format!(
            "its scouts need {} HS06 ms an event and it asked for {asked}, with jobs of up to {} h (settings {}, {})",
            measured.n,
            longest / 3_600,
            scout::CPU_RATIO.name,
            scout::CPU_EXEC_S.name
        );
        (Reason::CpuTime, text)
    })
}

fn ram_count(v: &View<'_>, l: &Limits) -> Found {
    let measured = v.measured.ram_mb?.n;
    (v.ram.per_core && v.ram.mb < l.ram_mb && l.ram_mb < measured).then(|| {
        let text = format!(
            "its scouts need {measured} MB for each core and it asked for {}; ask for more than {} MB if that is right (setting {})",
            v.ram.mb,
            l.ram_mb,
            scout::RAM_MB.name
        );
        (Reason::RamCount, text)
    })
}

fn memory_leak(v: &View<'_>, l: &Limits) -> Found {
    let ((leak, _), most) = (v.measured.leak?, l.leak_per_core?);
    (leak > most).then(|| {
        let text = format!(
            "its scouts leak {leak:.1} of memory for each core, at most {most:.1} are allowed (setting {})",
            scout::LEAK_PER_CORE.name
        );
        (Reason::MemoryLeak, text)
    })
}

/// Very many short jobs; not when the others will be long enough, because without rules they take more input than scouts.
fn short_jobs(v: &View<'_>, l: &Limits) -> Option<String> {
    let (most, jobs) = l.short?;
    if v.copies_input || v.expected_jobs < jobs {
        return None;
    }
    let longer = if v.split.events.is_none() { float(v.alike_jobs) / float(v.expected_jobs.max(1)) } else { 1.0 };
    let found = percent(v.jobs, |j| float(j.wall_s) * longer.max(1.0) < float(l.short_s));
    (found > 0.0 && found >= most).then(|| {
        format!(
            "{found:.0}% of its scouts took less than {} s, and {} such jobs are expected (settings {}, {}, {})",
            l.short_s,
            v.expected_jobs,
            scout::SHORT_S.name,
            scout::SHORT_PERCENT.name,
            scout::SHORT_JOBS.name
        )
    })
}

fn low_efficiency(v: &View<'_>, l: &Limits) -> Found {
    if v.measured.io_kb_s.zip(l.io_waiver_kb_s).is_some_and(|(io, most)| io.n > most) {
        return None;
    }
    if let (Some(found), Some(least)) = (v.measured.cpu_efficiency, v.min_efficiency)
        && found < float(least)
    {
        return Some((
            Reason::LowEfficiency,
            format!("its scouts use {found:.0}% of the CPU time of their cores, it wants at least {least}%"),
        ));
    }
    let (most, jobs) = l.inefficient?;
    let found = percent(v.jobs, |j| j.efficiency().is_some_and(|e| e < l.low_efficiency));
    (found > 0.0 && found >= most && v.expected_jobs > jobs).then(|| {
        let text = format!(
            "{found:.0}% of its scouts use less than {:.0}% of the CPU time of their cores, and {} such jobs are expected (settings {}, {}, {})",
            l.low_efficiency,
            v.expected_jobs,
            scout::LOW_EFFICIENCY_PERCENT.name,
            scout::INEFFICIENT_PERCENT.name,
            scout::INEFFICIENT_JOBS.name
        );
        (Reason::LowEfficiency, text)
    })
}

fn over_cpu(v: &View<'_>, l: &Limits) -> Found {
    let j = v.jobs.iter().find(|j| j.wall_s > 0 && float(j.cpu_s) > float(j.wall_s) * float(j.cores.max(1)) * l.over_cpu)?;
    let text = format!(
        "its scout {} used {} s of CPU time in {} s on {} cores; ask for the cores that it uses (setting {})",
        j.id,
        j.cpu_s,
        j.wall_s,
        j.cores.max(1),
        scout::OVER_CPU_FACTOR.name
    );
    Some((Reason::OverCpu, text))
}

fn low_success(v: &View<'_>, _: &Limits) -> Found {
    let Success::Poor(rate) = v.success else { return None };
    Some((Reason::LowSuccess, format!("{rate:.0}% of its scouts ended well, fewer than it wants (setting {})", scout::MIN_OK_PERCENT.name)))
}
