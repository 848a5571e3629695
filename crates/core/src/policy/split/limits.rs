//! What limits a job: what the task says, and what a queue can do (`spec/engine.md` section 6.1, "Limits per site", "Parameters").

use super::Boundary;

/// Files of one job when nothing else is said (split rule MF; `spec/engine.md` 20.7).
pub const MAX_FILES: usize = 200;
/// Input of one job when neither files, bytes, events nor a queue's scratch space limit it: 20 GB (20.7).
pub const MAX_BYTES: i64 = 20_000_000_000;
/// Output that every job is allowed beside its input: 1.5 GB (20.7).
pub const OUTPUT_ALLOWANCE: i64 = 1_500_000_000;
/// Input read in place, of a scout: 50 GB (20.7).
pub const DIRECT_SCOUT: i64 = 50_000_000_000;
/// Input read in place, after the scouts: 500 GB (20.7).
pub const DIRECT: i64 = 500_000_000_000;
/// Output of one data set of a run job: 10 GB (20.7).
pub const MAX_OUTPUT: i64 = 10_000_000_000;
/// Output of one data set of a merge job when ZG does not say: 5 GB (20.7).
pub const MAX_MERGED: i64 = 5_000_000_000;
/// Scratch space of a merge for each byte of its input, per mille: 1.2 times (20.7).
pub const MERGE_GRADIENT: i64 = 1_200;
/// Scratch space of a merge beside its input and output: at least 500 MB (20.7).
pub const MERGE_INTERCEPT: i64 = 500_000_000;
/// Bytes of a megabyte, as limits of queues are given.
pub const MB: i64 = 1_000_000;
/// Bytes of a kilobyte.
const KB: i64 = 1_000;

/// What the task itself limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many files a job (NF); the last job may have fewer.
    pub files: Option<usize>,
    /// At most so many files (MF).
    pub max_files: usize,
    /// At most so many bytes of input (NG); one file larger than that is a job of its own.
    pub bytes: Option<i64>,
    /// At most so many events (NE); one row with more is a job of its own.
    pub events: Option<i64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: None, max_files: MAX_FILES, bytes: None, events: None }
    }
}

/// What a job of a task is expected to need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Kilobytes of output for an event.
    pub out_kb_per_event: i64,
    /// Kilobytes of output for a megabyte of input.
    pub out_kb_per_mb: i64,
    /// Megabytes of scratch space beside input and output.
    pub work_mb: i64,
    /// Seconds that every job takes.
    pub base_walltime_s: i64,
    /// CPU need.
    pub cpu: Cpu,
    /// CPU efficiency, per cent; 0 = 100.
    pub cpu_efficiency: i64,
}

/// CPU need of a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cpu {
    /// Not known.
    #[default]
    Unknown,
    /// Milliseconds for an event on a core of power 1 (`HS06sPerEvent`).
    PerEvent(i64),
    /// Milliseconds of wall time for a megabyte of input.
    PerMegabyte(i64),
}

/// What a queue can do, as far as it limits a job; 0 = not stated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Site {
    /// Scratch space, MB (`maxwdir`).
    pub max_workdir_mb: i64,
    /// Longest job, seconds (`maxtime`).
    pub max_time_s: i64,
    /// Cores that the job gets.
    pub cores: i64,
    /// Power of a core, thousandths (`corepower`).
    pub core_power_milli: i64,
    /// Whether inputs are read in place.
    pub direct_io: bool,
}

/// The limit on input and output together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Most bytes of input, output and work files.
    pub max: i64,
    /// Bytes of work files.
    pub work: i64,
}

/// Wall time of a job, estimated: `base + per_event * events + per_mb * megabytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walltime {
    /// Seconds that every job takes.
    pub base_s: i64,
    /// Milliseconds for an event.
    pub per_event_ms: i64,
    /// Milliseconds for a megabyte of input.
    pub per_mb_ms: i64,
    /// Most seconds.
    pub max_s: i64,
}

impl Walltime {
    /// Estimated seconds.
    #[must_use]
    pub fn of(&self, events: i64, bytes: i64) -> i64 {
        let ms = self.per_event_ms.saturating_mul(events).saturating_add(self.per_mb_ms.saturating_mul(bytes / MB));
        self.base_s.saturating_add(ms / 1_000)
    }
}

/// Scratch disk of a job, estimated: `work + input (when it is copied) + output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Megabytes that every job needs.
    pub work_mb: i64,
    /// Whether inputs are copied.
    pub copies_input: bool,
    /// Most megabytes.
    pub max_mb: i64,
}

impl Disk {
    /// Estimated megabytes.
    #[must_use]
    pub fn of(&self, input: i64, output: i64) -> i64 {
        let up = |bytes: i64| bytes.saturating_add(MB - 1) / MB;
        let input = if self.copies_input { up(input) } else { 0 };
        self.work_mb.saturating_add(input).saturating_add(output / MB)
    }
}

/// How much a job may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// What is estimated of a run job, bytes.
    Estimated(i64),
    /// What goes into one data set of a merge job, bytes: as much as is read for it.
    OfEachSet(i64),
}

/// How rows become jobs on one queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Files, bytes, events, as the task limits them.
    pub limits: Limits,
    /// Boundaries.
    pub boundary: Boundary,
    /// Whether a job has rows of one lumiblock only (`respectLB`).
    pub respect_lumiblock: bool,
    /// Whether rows of one file that follow each other count as one file (DY).
    pub by_file: bool,
    /// Output for an event, kB.
    pub out_kb_per_event: i64,
    /// Output for a megabyte of input, kB.
    pub out_kb_per_mb: i64,
    /// Input and output together.
    pub size: Option<Size>,
    /// Scratch disk.
    pub disk: Option<Disk>,
    /// Wall time.
    pub walltime: Option<Walltime>,
    /// Output.
    pub output: Option<Output>,
}

impl Rules {
    /// Rules of run jobs on a queue. With NF (and no RL) a job is exactly so many files and what is only estimated does not cut it: the
    /// number that a job gets from its place must not depend on the queue (the broker leaves out queues that are too small).
    #[must_use]
    pub fn of_runs(limits: Limits, e: &Estimate, site: &Site, max_walltime_s: Option<i64>, scouts: bool) -> Self {
        let plain = Self { limits, out_kb_per_event: e.out_kb_per_event, out_kb_per_mb: e.out_kb_per_mb, ..Self::default() };
        if limits.files.is_some() {
            return plain;
        }
        let work = e.work_mb.saturating_mul(MB);
        let workdir = (site.max_workdir_mb > 0).then(|| site.max_workdir_mb.saturating_mul(MB));
        let max = match (limits.bytes, limits.events, workdir) {
            (Some(bytes), _, _) => Some(bytes.saturating_add(OUTPUT_ALLOWANCE).saturating_add(work)),
            (None, Some(_), _) if site.direct_io => None,
            (None, None, workdir) if site.direct_io => Some(workdir.unwrap_or(0).max(if scouts { DIRECT_SCOUT } else { DIRECT })),
            (None, None, None) => Some(MAX_BYTES),
            (None, _, workdir) => workdir,
        };
        let longest = [max_walltime_s, Some(site.max_time_s)].into_iter().flatten().filter(|s| *s > 0).min();
        Self {
            size: max.map(|max| Size { max, work }),
            disk: workdir.map(|_| Disk { work_mb: e.work_mb, copies_input: !site.direct_io, max_mb: site.max_workdir_mb }),
            walltime: longest.and_then(|max_s| walltime(e, site, max_s)),
            output: Some(Output::Estimated(MAX_OUTPUT)),
            ..plain
        }
    }
    /// Rules of merge jobs on a queue: whole pre-merge jobs, of which `files` (ZF), at most `max_files` (ZM), go into one, with at most
    /// `bytes` (ZG) in each data set and `events` (ZE).
    #[must_use]
    pub fn of_merges(limits: Limits, site: &Site) -> Self {
        let of_each = limits.bytes.unwrap_or(MAX_MERGED);
        // What the merge needs beside its input is the gradient above 1, and the intercept.
        let max = (site.max_workdir_mb > 0).then(|| site.max_workdir_mb.saturating_mul(MB).saturating_sub(MERGE_INTERCEPT));
        let max = max.map(|max| i64::try_from(i128::from(max) * 1_000 / i128::from(1_000 + MERGE_GRADIENT)).unwrap_or(i64::MAX).max(0));
        Self {
            limits: Limits { bytes: max, ..limits },
            boundary: Boundary::Together,
            output: Some(Output::OfEachSet(of_each)),
            ..Self::default()
        }
    }
    /// Whether what is estimated goes beyond what the queue can do; `sets` are the bytes read for each data set.
    pub(super) fn beyond(&self, events: i64, bytes: i64, sets: &[i64]) -> bool {
        let out = self.output_of(events, bytes);
        let size = self.size.is_some_and(|s| {
            bytes.saturating_add(out).saturating_add(s.work) > s.max || (out < OUTPUT_ALLOWANCE && bytes > s.max - OUTPUT_ALLOWANCE)
        });
        let output = match self.output {
            None => false,
            Some(Output::Estimated(max)) => out > max,
            Some(Output::OfEachSet(max)) => sets.iter().any(|b| *b > max),
        };
        size || output
            || self.disk.is_some_and(|d| d.of(bytes, out) > d.max_mb)
            || self.walltime.is_some_and(|w| w.of(events, bytes) > w.max_s)
    }
    /// Estimated bytes of output.
    #[must_use]
    pub fn output_of(&self, events: i64, bytes: i64) -> i64 {
        let of_events = self.out_kb_per_event.saturating_mul(events).saturating_mul(KB);
        let of_bytes = self.out_kb_per_mb.saturating_mul(bytes.saturating_add(MB - 1) / MB).saturating_mul(KB);
        of_events.saturating_add(of_bytes)
    }
}

/// The estimate of wall time on a queue: CPU over cores, their power and the efficiency; `None` when the task says nothing of its CPU need.
#[must_use]
pub fn walltime(e: &Estimate, site: &Site, max_s: i64) -> Option<Walltime> {
    let (per_event_ms, per_mb_ms) = match e.cpu {
        Cpu::Unknown => return None,
        Cpu::PerMegabyte(ms) => (0, ms),
        Cpu::PerEvent(ms) => {
            let or = |n: i64, unit: i64| i128::from(if n > 0 { n } else { unit });
            let power = or(site.cores, 1) * or(site.core_power_milli, 1_000) * or(e.cpu_efficiency, 100);
            let ms = i128::from(ms) * 1_000 * 100 / power.max(1);
            (i64::try_from(ms).unwrap_or(i64::MAX), 0)
        }
    };
    Some(Walltime { base_s: e.base_walltime_s, per_event_ms, per_mb_ms, max_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(limits: Limits, site: Site) -> Rules {
        let e = Estimate {
            out_kb_per_mb: 500,
            work_mb: 200,
            base_walltime_s: 600,
            cpu: Cpu::PerEvent(10_000),
            cpu_efficiency: 90,
            ..Estimate::default()
        };
        Rules::of_runs(limits, &e, &site, Some(36_000), false)
    }

    #[test]
    fn size_limits_of_a_site() {
        // 6.1 "Limits per site", one line each.
        let site = Site { max_workdir_mb: 30_000, max_time_s: 86_400, cores: 8, core_power_milli: 10_000, direct_io: false };
        let max = |limits, site| on(limits, site).size.map(|s| s.max);
        let (none, ne, ng) = (
            Limits::default(),
            Limits { events: Some(100), ..Limits::default() },
            Limits { bytes: Some(4_000_000_000), ..Limits::default() },
        );
        assert_eq!(max(ng, site), Some(4_000_000_000 + OUTPUT_ALLOWANCE + 200 * MB), "NG + 1.5 GB + work");
        assert_eq!(max(none, site), Some(30_000 * MB), "maxwdir");
        assert_eq!(max(ne, site), Some(30_000 * MB));
        assert_eq!(max(none, Site { max_workdir_mb: 0, ..site }), Some(MAX_BYTES), "20 GB");
        assert_eq!(max(ne, Site { max_workdir_mb: 0, ..site }), None);
        assert_eq!(max(none, Site { direct_io: true, ..site }), Some(DIRECT), "read in place");
        assert_eq!(max(ne, Site { direct_io: true, ..site }), None);
        let scouts = Rules::of_runs(none, &Estimate::default(), &Site { direct_io: true, ..site }, None, true);
        assert_eq!(scouts.size.map(|s| s.max), Some(DIRECT_SCOUT));
        assert_eq!(
            on(Limits { files: Some(5), ..none }, site),
            Rules { limits: Limits { files: Some(5), ..none }, out_kb_per_mb: 500, ..Rules::default() }
        );
        assert_eq!(
            on(none, site).walltime,
            Some(Walltime { base_s: 600, per_event_ms: 138, per_mb_ms: 0, max_s: 36_000 }),
            "10 s / (8 * 10 * 0.9)"
        );
        assert_eq!(on(none, Site { max_time_s: 7_200, ..site }).walltime.unwrap().max_s, 7_200, "min(MW, maxtime)");
    }

    #[test]
    fn the_allowance_for_outputs() {
        let rules = Rules { size: Some(Size { max: 10_000_000_000, work: 0 }), ..Rules::default() };
        assert!(!rules.beyond(0, 8_500_000_000, &[]));
        assert!(rules.beyond(0, 8_500_000_001, &[]), "little output: 1.5 GB are kept free");
        let writes = Rules { out_kb_per_mb: 200, ..rules };
        assert!(!writes.beyond(0, 8_300_000_000, &[]), "8.3 GB and 1.66 GB of output");
        assert!(writes.beyond(0, 8_400_000_000, &[]));
    }

    #[test]
    fn merges() {
        let site = Site { max_workdir_mb: 10_000, ..Site::default() };
        let rules = Rules::of_merges(Limits::default(), &site);
        assert_eq!(rules.limits.bytes, Some(4_318_181_818), "(10 GB - 500 MB) / 2.2: input and 1.2 times the input");
        assert!(rules.beyond(0, 0, &[1, MAX_MERGED + 1]) && !rules.beyond(0, 0, &[MAX_MERGED; 3]));
        assert_eq!(Rules::of_merges(Limits { bytes: Some(7), ..Limits::default() }, &Site::default()).output, Some(Output::OfEachSet(7)));
    }
}
