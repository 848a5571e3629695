//! How rows become jobs: limits, events, boundaries, and what a job's wall time and disk grow with (`spec/engine.md` section 6.1).

use panda_core::policy::{
    feed::{self, Cut},
    split::{
        Boundary, ceil_div,
        limits::{Cpu, Estimate, Limits, MAX_FILES, MAX_OUTPUT, Output, Rules, Site},
    },
};
use panda_wire::{TaskParameters, task_params::Gigabytes};

use super::{MAX_JOBS, Plan, PlanError, not_negative, positive, wrong};

/// Most files of one job, whatever the task says (`spec/engine.md` section 6.1).
const MOST_FILES: i64 = 1_000;
/// Files of a merge job that states no number.
const MERGE_FILES: usize = 50;
/// CPU efficiency of a task that states none, per cent (`spec/engine.md` section 20.6).
const CPU_EFFICIENCY: i64 = 90;
/// Seconds of every job that do not grow with its input (`spec/engine.md` section 20.6).
const BASE_WALLTIME_S: i64 = 600;
/// Splitting beyond files, bytes and events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Splitting {
    /// What boundaries mean (GB).
    pub boundary: Boundary,
    /// Outputs are put together by boundary (GB 2 and 4).
    pub output_by_boundary: bool,
    /// One lumiblock a job (RL).
    pub respect_lumiblock: bool,
    /// Event counts of the catalogue go before the task's (UE).
    pub real_events: bool,
    /// Number of the first event (FT).
    pub first_event: Option<i64>,
    /// The number of events stands in the file's name (IF).
    pub position_in_file: bool,
    /// Inputs are cut to a multiple of `nEventsPerJob`.
    pub skip_short_input: bool,
    /// A chunk with fewer events or files than asked for is left out.
    pub skip_short_output: bool,
    /// Most bytes of one output data set in a job.
    pub max_output_bytes: i64,
    /// Most seconds of a job (MW).
    pub max_walltime_s: Option<i64>,
    /// Queues that share a chunk (NS); 1 = none.
    pub sites_per_job: i64,
    /// Most jobs of the task (TJ).
    pub total_jobs: Option<i64>,
    /// Files are cut into rows of so many events, and a job takes as many rows as fit (DY).
    pub granularity: Option<i64>,
}

impl Plan {
    /// The rules of splitting on a queue (`spec/engine.md` section 6.1). `scouts`: the jobs are the task's first ones.
    #[must_use]
    pub fn rules(&self, site: &Site, scouts: bool) -> Rules {
        // A task that wants its inputs copied gets them copied, wherever it runs (LI).
        let site = &Site { direct_io: site.direct_io && !self.needs.copies_input, ..*site };
        // Scouts of a task without rules of its own read one file each.
        let own = self.limits.files.is_some() || self.limits.events.is_some() || self.behaviour.scouts_split;
        let limits = if scouts && !own { Limits { files: Some(1), ..self.limits } } else { self.limits };
        let rules = Rules::of_runs(limits, &self.estimate, site, self.split.max_walltime_s, scouts);
        let output = rules.output.map(|_| Output::Estimated(self.split.max_output_bytes));
        Rules {
            boundary: self.split.boundary,
            respect_lumiblock: self.split.respect_lumiblock,
            by_file: self.split.granularity.is_some(),
            output,
            ..rules
        }
    }

    /// The rules of splitting merge jobs on a queue.
    #[must_use]
    pub fn merge_rules(&self, site: &Site) -> Rules {
        Rules::of_merges(self.merge_limits, site)
    }

    /// The rules of feeding an input: the events of each file are to be given through [`Plan::events_of`].
    #[must_use]
    pub fn feed_rules(&self, input: Option<&super::Input>, is_master: bool) -> feed::Rules {
        let (n_files, n_events) = if is_master { (self.n_files, self.n_events) } else { (None, None) };
        feed::Rules {
            offset: input.map_or(0, |i| i.offset),
            n_files,
            n_events,
            events_per_file: None,
            cut: if is_master { self.cut } else { Cut::No },
            skip_short: self.split.skip_short_input,
            respect_lumiblock: self.split.respect_lumiblock,
        }
    }
}

/// Bytes of a size in GB, if it is a limit.
fn gigabytes(key: &str, size: Option<Gigabytes>) -> Result<Option<i64>, PlanError> {
    match size.and_then(Gigabytes::limit) {
        Some(gb) if gb.is_nan() || gb <= 0.0 => Err(wrong(key, format!("is {gb}; give a number above 0"))),
        #[expect(clippy::cast_possible_truncation, reason = "a size in bytes; f64 is exact far beyond any disk")]
        other => Ok(other.map(|gb| (gb * 1e9).min(1e18) as i64)),
    }
}

fn usize_of(n: i64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Reads limits and splitting.
pub(super) fn read(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let files = positive("nFilesPerJob", p.n_files_per_job.filter(|n| *n != 0))?;
    let max = positive("nMaxFilesPerJob", p.n_max_files_per_job.filter(|n| *n != 0))?.unwrap_or(MAX_FILES as i64);
    if let Some(files) = files
        && files > MOST_FILES
    {
        return Err(wrong("nFilesPerJob", format!("is {files}; a job has at most {MOST_FILES} files (`spec` of pilots)")));
    }
    plan.split = splitting(p)?;
    plan.estimate = estimate(p)?;
    let events = positive("nEventsPerJob", p.n_events_per_job.filter(|n| *n != 0))?;
    let target = positive("tgtNumEventsPerJob", p.tgt_num_events_per_job.filter(|n| *n != 0))?;
    let per_input = positive("nEventsPerInputFile", p.n_events_per_input_file.filter(|n| *n != 0))?;
    let per_file = positive("nEventsPerFile", p.n_events_per_file.filter(|n| *n != 0))?.or(per_input);
    plan.events_per_file = per_file;
    let pseudo = plan.pseudo.is_some();
    if let (Some(files), Some(events), Some(per_file)) = (files, events, per_file)
        && files.saturating_mul(per_file) != events
        && !pseudo
    {
        return Err(wrong(
            "nEventsPerJob",
            format!("is {events}, but {files} files of {per_file} events are {}; leave one of them out", files.saturating_mul(per_file)),
        ));
    }
    // Several files a job when a job takes more events than a file has (`spec/engine.md` section 5.2).
    let files = match (files, events, per_input) {
        (None, Some(events), Some(per_input)) if events > per_input && target.is_none() => Some(events / per_input),
        _ => files,
    };
    let events = if files.is_some() { events } else { target.or(events) };
    if plan.split.granularity.is_some() {
        let other = [("nEventsPerJob", events.or(target)), ("nFilesPerJob", files), ("noInput", pseudo.then_some(1))];
        if let Some((key, _)) = other.into_iter().find(|(_, given)| given.is_some()) {
            return Err(wrong(
                key,
                "says how much a job takes, and `minGranularity` leaves that to the time of the queue; leave one of them out",
            ));
        }
    }
    let events = match plan.split.granularity {
        Some(_) => positive("maxEventsPerJob", p.max_events_per_job.filter(|n| *n != 0))?,
        None => events,
    };
    let no_files = pseudo || !plan.pfns.is_empty();
    plan.limits = Limits {
        files: if pseudo {
            Some(1)
        } else if no_files {
            Some(usize_of(files.unwrap_or(1)))
        } else {
            files.map(usize_of)
        },
        max_files: usize_of(max.min(MOST_FILES)),
        bytes: gigabytes("nGBPerJob", p.n_gb_per_job)?,
        events: if pseudo { None } else { events },
    };
    // Files are cut by events when the number of files is not given.
    let per_row = if files.is_none() && !pseudo { events } else { None };
    plan.cut = match plan.split.granularity.or(per_row) {
        None => Cut::No,
        Some(n) if target.is_some() => Cut::Target(n),
        Some(n) => Cut::Every(n),
    };
    if let (Some(per_row), Some(per_file), Some(n)) = (per_row, per_file, plan.n_files)
        && n.saturating_mul(ceil_div(per_file, per_row)) > MAX_JOBS
    {
        return Err(wrong("nEventsPerJob", format!("makes more than {MAX_JOBS} jobs; use more events a job")));
    }
    read_merge_limits(p, plan)
}

fn read_merge_limits(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    plan.merge_limits = Limits {
        files: positive("nFilesPerMergeJob", p.n_files_per_merge_job.filter(|n| *n != 0))?.map(usize_of),
        max_files: positive("nMaxFilesPerMergeJob", p.n_max_files_per_merge_job.filter(|n| *n != 0))?.map_or(MERGE_FILES, usize_of),
        bytes: gigabytes("nGBPerMergeJob", p.n_gb_per_merge_job)?,
        events: positive("nEventsPerMergeJob", p.n_events_per_merge_job.filter(|n| *n != 0))?,
    };
    Ok(())
}

fn splitting(p: &TaskParameters) -> Result<Splitting, PlanError> {
    let yes = |flag: Option<bool>| flag == Some(true);
    let boundary = match p.group_boundary_id.filter(|gb| *gb != 0) {
        None => Boundary::Ignored,
        Some(gb) => Boundary::of_rule(gb).ok_or_else(|| wrong("groupBoundaryID", format!("is {gb}; give 1 to 4")))?,
    };
    let target_gb = positive("tgtMaxOutputForNG", p.tgt_max_output_for_ng.filter(|n| *n != 0))?;
    let hours = not_negative("maxWalltime", p.max_walltime)?;
    Ok(Splitting {
        boundary,
        output_by_boundary: matches!(p.group_boundary_id, Some(2 | 4)),
        respect_lumiblock: yes(p.respect_lb),
        real_events: yes(p.use_real_num_events),
        first_event: p.first_event,
        position_in_file: yes(p.in_file_pos_evt_num),
        skip_short_input: yes(p.skip_short_input),
        skip_short_output: yes(p.skip_short_output),
        max_output_bytes: target_gb.map_or(MAX_OUTPUT, |gb| gb.saturating_mul(1_000_000_000)),
        max_walltime_s: Some(hours.saturating_mul(3_600)).filter(|s| *s > 0),
        sites_per_job: positive("nSitesPerJob", p.n_sites_per_job.filter(|n| *n != 0))?.unwrap_or(1),
        total_jobs: positive("totNumJobs", p.tot_num_jobs.filter(|n| *n != 0))?,
        granularity: positive("minGranularity", p.min_granularity.or(p.n_events_per_range).filter(|n| *n != 0))?,
    })
}

/// What a job needs for each event or megabyte: `cpuTime`, `walltime` with a unit, `outDiskCount`, `workDiskCount`.
fn estimate(p: &TaskParameters) -> Result<Estimate, PlanError> {
    let amount = |key: &str, value: Option<f64>| match value {
        Some(v) if !v.is_finite() || v < 0.0 => Err(wrong(key, format!("is {v}; give a number of at least 0"))),
        other => Ok(other.unwrap_or(0.0)),
    };
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let whole = |x: f64| x.round() as i64;
    let unit = |unit: &Option<String>| unit.clone().unwrap_or_default();
    let cpu_unit = unit(&p.cpu_time_unit);
    let cpu = whole(amount("cpuTime", p.cpu_time)? * if cpu_unit.starts_with('m') { 1.0 } else { 1_000.0 });
    let grows = unit(&p.walltime_unit).contains("Per");
    let wall = p.walltime.filter(|w| *w > 0 && grows).map_or(0, |w| w.saturating_mul(1_000));
    let out_unit = unit(&p.out_disk_unit);
    let out = whole(amount("outDiskCount", p.out_disk_count)? * if out_unit.starts_with('M') { 1_000.0 } else { 1.0 });
    let by_event = out_unit.contains("PerEvent");
    Ok(Estimate {
        out_kb_per_event: if by_event { out } else { 0 },
        out_kb_per_mb: if by_event { 0 } else { out },
        work_mb: super::requirements::megabytes(p.work_disk_count, p.work_disk_unit.as_deref()),
        base_walltime_s: p.base_walltime.map_or(Ok(BASE_WALLTIME_S), |s| not_negative("baseWalltime", Some(s)))?,
        cpu: match (cpu, wall) {
            (0, 0) => Cpu::Unknown,
            (0, wall) => Cpu::PerMegabyte(wall),
            (cpu, _) => Cpu::PerEvent(cpu),
        },
        cpu_efficiency: p.cpu_efficiency.filter(|e| *e > 0).map_or(CPU_EFFICIENCY, |e| e.min(100)),
    })
}
