//! What jobs that ended well tell of the requirements of the others (`spec/engine.md` sections 7.1 and 20.8).

use crate::{
    policy::{broker::CORE_POWER_MILLI, ram::Ram},
    setting::{Values, scout},
};

/// Bytes of a kB as pilots and requirements count them.
const KB: i64 = 1_000;
/// Bytes of an MB likewise.
const MB: i64 = 1_000_000;
/// Output that is allowed for beside the input of a job, GB (6.1).
const ALLOWANCE_GB: f64 = 1.5;
/// Least and most GB of a job that TN comes to (20.8).
const NG: (f64, f64) = (1.0, 100.0);

/// A job that ended well.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// Cores.
    pub cores: i64,
    /// Power of a core of its queue, thousandths; 0 = not known.
    pub power_milli: i64,
    /// Wall time, seconds.
    pub wall_s: i64,
    /// CPU seconds of all cores together; 0 = not reported.
    pub cpu_s: i64,
    /// Events that it had; 0 = not known.
    pub events: i64,
    /// Bytes of the input.
    pub in_bytes: i64,
    /// Bytes of the outputs.
    pub out_bytes: i64,
    /// Bytes of the largest output.
    pub biggest_bytes: i64,
    /// Most memory, kB (`max_pss`); 0 = not reported.
    pub pss_kb: i64,
    /// Bytes read from and written to the local disk; none = not reported.
    pub disk_bytes: Option<i64>,
    /// Bytes of the work directory; 0 = not reported.
    pub work_bytes: i64,
    /// Memory that it leaked, and how well that is known (`leak`, `chi2`); none = not reported.
    pub leak: Option<(f64, f64)>,
}

impl Job {
    fn cores(&self) -> i64 {
        self.cores.max(1)
    }
    /// CPU efficiency, per cent; none when nothing is known.
    #[must_use]
    pub fn efficiency(&self) -> Option<f64> {
        (self.cpu_s > 0 && self.wall_s > 0).then(|| float(self.cpu_s) * 100.0 / (float(self.wall_s) * float(self.cores())))
    }
}

/// What the task says itself, as far as it counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Asked {
    /// Memory.
    pub ram: Ram,
    /// Its CPU time stands, whatever is measured (`…Fixed`).
    pub cpu_fixed: bool,
    /// Seconds of each job that do not grow with its input.
    pub base_walltime_s: i64,
    /// CPU efficiency, per cent.
    pub cpu_efficiency: i64,
    /// It has no input files.
    pub pseudo: bool,
    /// Its output is counted for an event, not for an MB of input.
    pub out_per_event: bool,
    /// GB of the largest output that a job is to have (TN).
    pub target_gb: Option<i64>,
    /// Bytes of its library.
    pub lib_bytes: i64,
}

/// Percentiles and margins of a VO and label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins {
    cpu_percentile: i64,
    cpu_factor: f64,
    cpu_events: i64,
    cpu_long_s: i64,
    ram_percentile: i64,
    ram_margin: i64,
    ram_min_mb: i64,
    out_percentile: i64,
    out_cap_kb: i64,
    out_events: i64,
    walltime_factor: f64,
    walltime_floor_s: i64,
    disk_io_cap: Option<i64>,
}

impl Margins {
    /// Those of a VO and label.
    #[must_use]
    pub fn of(values: &Values, vo: &str, label: &str) -> Self {
        let int = |s| values.int(s, vo, label);
        Self {
            cpu_percentile: int(&scout::CPU_PERCENTILE),
            cpu_factor: values.float(&scout::CPU_FACTOR, vo, label),
            cpu_events: int(&scout::CPU_EVENTS),
            cpu_long_s: int(&scout::CPU_LONG_S),
            ram_percentile: int(&scout::RAM_PERCENTILE),
            ram_margin: int(&scout::RAM_MARGIN_PERCENT),
            ram_min_mb: int(&scout::RAM_MIN_MB),
            out_percentile: int(&scout::OUT_PERCENTILE),
            out_cap_kb: int(&scout::OUT_CAP_KB),
            out_events: int(&scout::OUT_EVENTS),
            walltime_factor: values.float(&scout::WALLTIME_FACTOR, vo, label),
            walltime_floor_s: int(&scout::WALLTIME_FLOOR_S),
            disk_io_cap: values.opt_int(&scout::DISK_IO_CAP_KB_S, vo, label),
        }
    }
}

/// A value, and the job that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// The value.
    pub n: i64,
    /// The job's number.
    pub job: i64,
}

/// What was measured; none = the jobs tell nothing of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// Jobs that it was measured of.
    pub jobs: i64,
    /// HEP-score milliseconds for an event, the margin included.
    pub cpu_ms_per_event: Option<By>,
    /// MB in the task's unit, the margin included.
    pub ram_mb: Option<By>,
    /// kB of output for an event.
    pub out_kb_per_event: Option<By>,
    /// kB of output for an MB of input.
    pub out_kb_per_mb: Option<By>,
    /// MB of output of a job, where there is nothing that it grows with.
    pub out_mb: Option<By>,
    /// Milliseconds for an MB of input, the margin included; of a task without input, for the job.
    pub walltime_ms: Option<By>,
    /// MB of the work directory.
    pub work_mb: Option<By>,
    /// kB a second and core that jobs read and write.
    pub io_kb_s: Option<By>,
    /// kB a second that jobs exchange with the local disk, mean.
    pub disk_io_kb_s: Option<i64>,
    /// Memory that leaks for each core, mean, and how well that is known.
    pub leak: Option<(f64, f64)>,
    /// Median CPU efficiency, per cent.
    pub cpu_efficiency: Option<f64>,
    /// GB of a job that make its largest output as large as TN says.
    pub gb_per_job: Option<i64>,
}

#[expect(clippy::cast_precision_loss, reason = "a measured amount")]
fn float(n: i64) -> f64 {
    n as f64
}
#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn up(x: f64) -> i64 {
    // What is a whole number but for the last bits of its fraction is one.
    (x - 1e-9).ceil() as i64
}

/// The least value that so many percent of all do not exceed, with its job; of several the first.
#[must_use]
pub fn percentile(mut all: Vec<(f64, i64)>, percent: i64) -> Option<(f64, i64)> {
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let n = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let rank = (n.saturating_mul(percent.clamp(1, 100)) + 99) / 100;
    all.get(usize::try_from(rank - 1).ok()?).copied()
}

fn mean(all: &[f64]) -> Option<f64> {
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / float(i64::try_from(all.len()).unwrap_or(i64::MAX)))
}

/// The largest of what jobs tell.
fn largest(jobs: &[Job], of: impl Fn(&Job) -> Option<f64>) -> Option<(f64, i64)> {
    percentile(told(jobs, of), 100)
}
fn told(jobs: &[Job], of: impl Fn(&Job) -> Option<f64>) -> Vec<(f64, i64)> {
    jobs.iter().filter_map(|j| of(j).map(|x| (x, j.id))).collect()
}
fn by((x, job): (f64, i64)) -> By {
    By { n: up(x), job }
}
fn some(found: Option<(f64, i64)>) -> Option<By> {
    found.map(by).filter(|b| b.n > 0)
}

/// What these jobs tell.
#[must_use]
pub fn measure(jobs: &[Job], asked: &Asked, m: &Margins) -> Measured {
    let mut out = Measured {
        jobs: i64::try_from(jobs.len()).unwrap_or(i64::MAX),
        cpu_ms_per_event: if asked.cpu_fixed { None } else { cpu(jobs, asked, m) },
        ram_mb: if asked.ram.fixed { None } else { ram(jobs, &asked.ram, m) },
        walltime_ms: walltime(jobs, asked, m),
        work_mb: work(jobs, asked),
        io_kb_s: some(largest(jobs, |j| {
            (j.wall_s > 0).then(|| float(j.in_bytes.saturating_add(j.out_bytes)) / 1_024.0 / float(j.wall_s) / float(j.cores()))
        })),
        disk_io_kb_s: disk_io(jobs, m),
        leak: leak(jobs),
        cpu_efficiency: percentile(told(jobs, Job::efficiency), 50).map(|(x, _)| x),
        gb_per_job: target(jobs, asked),
        ..Measured::default()
    };
    output(&mut out, jobs, asked, m);
    out
}

/// (wall − base) · power · cores · efficiency, for an event; the base is what does not grow with events.
fn cpu(jobs: &[Job], asked: &Asked, m: &Margins) -> Option<By> {
    let one = |j: &Job| {
        let events = if asked.pseudo { j.events.max(1) } else { j.events };
        let tells = asked.pseudo || events >= m.cpu_events.saturating_mul(j.cores()) || j.wall_s >= m.cpu_long_s;
        let power = if j.power_milli > 0 { j.power_milli } else { CORE_POWER_MILLI };
        let s = (j.wall_s - asked.base_walltime_s).max(0);
        // Power is in thousandths, the result in milliseconds.
        let ms = float(s) * float(power) * float(j.cores()) * float(asked.cpu_efficiency) / 100.0;
        (tells && events > 0 && s > 0).then(|| ms / float(events))
    };
    some(percentile(told(jobs, one), m.cpu_percentile).map(|(ms, job)| (ms * m.cpu_factor, job)))
}

fn ram(jobs: &[Job], ram: &Ram, m: &Margins) -> Option<By> {
    let one = |j: &Job| {
        let mb = (float(j.pss_kb) / float(KB) - float(ram.base_mb)).max(0.0);
        (j.pss_kb > 0).then(|| mb / float(ram.factor(j.cores())))
    };
    let (mb, job) = percentile(told(jobs, one), m.ram_percentile)?;
    let n = up(mb * float(100 + m.ram_margin) / 100.0).max(m.ram_min_mb);
    (n > 0).then_some(By { n, job })
}

fn output(out: &mut Measured, jobs: &[Job], asked: &Asked, m: &Margins) {
    if asked.out_per_event {
        let one = |j: &Job| (j.events >= m.out_events).then(|| float(j.out_bytes) / float(KB) / float(j.events));
        out.out_kb_per_event = some(percentile(told(jobs, one), m.out_percentile));
    } else if asked.pseudo {
        out.out_mb = some(percentile(told(jobs, |j| Some(float(j.out_bytes) / float(MB))), m.out_percentile));
    } else {
        // Events that are not known do not tell against a job.
        let tells = |j: &Job| j.in_bytes > 0 && (j.events == 0 || j.events >= m.out_events);
        let one = |j: &Job| tells(j).then(|| float(j.out_bytes) / float(KB) / (float(j.in_bytes) / float(MB)).max(1.0));
        let found = some(percentile(told(jobs, one), m.out_percentile));
        out.out_kb_per_mb = found.map(|b| By { n: b.n.min(m.out_cap_kb), ..b });
    }
}

/// The most CPU time over the largest input.
fn walltime(jobs: &[Job], asked: &Asked, m: &Margins) -> Option<By> {
    let (cpu, job) = largest(jobs, |j| (j.cpu_s > 0 && j.cpu_s >= m.walltime_floor_s).then(|| float(j.cpu_s)))?;
    let mb = jobs.iter().map(|j| j.in_bytes / MB).max().unwrap_or(0).max(1);
    let of = if asked.pseudo { 1.0 } else { float(mb) };
    some(Some((cpu * 1_000.0 * m.walltime_factor / of, job)))
}

fn work(jobs: &[Job], asked: &Asked) -> Option<By> {
    let lib = (float(asked.lib_bytes) / float(MB), 0);
    let dir = largest(jobs, |j| (j.work_bytes > 0).then(|| float(j.work_bytes) / float(MB)));
    some(Some(dir.filter(|d| d.0 >= lib.0).unwrap_or(lib)))
}

fn disk_io(jobs: &[Job], m: &Margins) -> Option<i64> {
    let one = |j: &Job| j.disk_bytes.filter(|_| j.wall_s > 0).map(|b| float(b) / 1_024.0 / float(j.wall_s));
    let all: Vec<f64> = jobs.iter().filter_map(one).collect();
    mean(&all).map(|x| up(x).min(m.disk_io_cap.unwrap_or(i64::MAX)))
}

fn leak(jobs: &[Job]) -> Option<(f64, f64)> {
    let told: Vec<(f64, f64)> = jobs.iter().filter_map(|j| j.leak.map(|(leak, chi2)| (leak / float(j.cores()), chi2))).collect();
    let (leaks, chis): (Vec<f64>, Vec<f64>) = told.into_iter().unzip();
    mean(&leaks).zip(mean(&chis))
}

/// GB of a job whose largest output is as large as TN says: all outputs grow with the largest, the input and what the job works with come to it,
/// less what is allowed for outputs in any case.
fn target(jobs: &[Job], asked: &Asked) -> Option<i64> {
    let gb = asked.target_gb?;
    let sum = |of: fn(&Job) -> i64| float(jobs.iter().fold(0_i64, |sum, j| sum.saturating_add(of(j))));
    let (all, biggest) = (sum(|j| j.out_bytes), sum(|j| j.biggest_bytes));
    let input = float(jobs.iter().map(|j| j.in_bytes).max().unwrap_or(0)) / 1e9;
    let work = work(jobs, asked).map_or(0.0, |b| float(b.n) / 1e3);
    let want = float(gb) * all / biggest + input - ALLOWANCE_GB + work;
    #[expect(clippy::cast_possible_truncation, reason = "between 1 and 100")]
    (biggest > 0.0).then(|| want.clamp(NG.0, NG.1) as i64)
}

/// What merge jobs that ended well tell: MB of the whole job, and seconds, margins included.
#[must_use]
pub fn merges(jobs: &[Job], m: &Margins) -> (Option<By>, Option<By>) {
    let wall = largest(jobs, |j| (j.wall_s > 0).then(|| float(j.wall_s) * m.walltime_factor));
    (ram(jobs, &Ram::job(0), m), some(wall))
}

/// CPU time as requirements state it: a value below 10 seconds is in thousandths.
#[must_use]
pub fn cpu_time(ms: i64) -> (i64, &'static str) {
    if ms < 10_000 { (ms, "mHS06sPerEvent") } else { (ms / 1_000, "HS06sPerEvent") }
}
