//! From task parameters to a plan: which data sets a task has, how it is split, what its jobs need, what their command lines look like
//! (`spec/payload_runners.md` section 10, `spec/engine.md` sections 5.2 and 6). Pure; whatever is refused here is refused at submission.
//!
//! A plan is never stored: it is the parameters, and what the engine itself changed since ([`Adjust`]), read again.

mod adjust;
mod behaviour;
mod build_merge;
mod events;
mod hardware;
mod holds;
mod inputs;
pub mod language;
mod limits;
mod measured;
mod outputs;
mod placeholders;
mod requirements;
#[cfg(test)]
mod tests;

pub use adjust::Adjust;
pub use behaviour::{Behaviour, RetryRam};
pub use build_merge::{Build, MERGE_RUNNER, Merge};
pub use events::{Events, MOST_SHARING, Mode};
pub use hardware::{CpuSpec, GpuSpec, Hardware};
pub use inputs::{Feed, Input};
pub use language::Accepted;
pub use limits::Splitting;
pub use measured::Measured;
pub use outputs::Output;
pub use requirements::{Ram, Requirements};

use panda_core::policy::{
    feed::Cut,
    split::limits::{Estimate, Limits},
};
use panda_wire::TaskParameters;

/// Most jobs of one task: more cannot be watched by anybody, and an endless expansion shows as this.
pub const MAX_JOBS: i64 = 200_000;
/// Memory of a job that states none, MB per core (`spec/engine.md` section 5.2, neutral refiner).
pub const RAM_MB: i64 = 2_000;
/// Attempts for each file when the task states none (`spec/engine.md` section 5.3).
pub const MAX_ATTEMPT: i64 = 3;
/// Most attempts that a task may ask for.
pub const MOST_ATTEMPTS: i64 = 50;

/// Why parameters cannot become a plan: the parameter, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{key}`: {what}")]
pub struct PlanError {
    /// The parameter.
    pub key: String,
    /// What is wrong and what to do.
    pub what: String,
}

fn wrong(key: &str, what: impl Into<String>) -> PlanError {
    PlanError { key: key.to_owned(), what: what.into() }
}

/// What a task comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Input data sets, the master first.
    pub inputs: Vec<Input>,
    /// Pseudo input rows and events of each, when there is no input.
    pub pseudo: Option<(i64, i64)>,
    /// An uploaded file with a DAG of jobs: its nodes are the pseudo input, each a job of its own.
    pub dag: Option<String>,
    /// Addresses of the inputs (`pfnList`), instead of data sets.
    pub pfns: Vec<String>,
    /// Offset of `${SEQNUMBER}`, if the command line has one.
    pub sequence: Option<i64>,
    /// How many sequence numbers the task asks for (`num_records`).
    pub sequence_records: Option<i64>,
    /// Offset of `${RNDMSEED}`, if it has one.
    pub random_seed: Option<i64>,
    /// How inputs are looked at.
    pub feed: Feed,
    /// Outputs and logs.
    pub outputs: Vec<Output>,
    /// Command line with placeholders.
    pub template: String,
    /// Build step.
    pub build: Option<Build>,
    /// Merge jobs, if outputs are merged.
    pub merge: Option<Merge>,
    /// How jobs share events, if they do.
    pub events: Option<Events>,
    /// Splitting by files, bytes, events.
    pub limits: Limits,
    /// Splitting of merge jobs.
    pub merge_limits: Limits,
    /// The rest of splitting.
    pub split: Splitting,
    /// What a job is expected to need, as far as it grows with its input.
    pub estimate: Estimate,
    /// How files of the master are cut by events.
    pub cut: Cut,
    /// Events of a file, instead of what the catalogue says ([`Plan::events_of`]).
    pub events_per_file: Option<i64>,
    /// At most so many files.
    pub n_files: Option<i64>,
    /// At most so many events.
    pub n_events: Option<i64>,
    /// Cores of a job as the task states it; at least 1.
    pub cores: i64,
    /// MB of the whole job on [`Plan::cores`] cores.
    pub ram_mb: i64,
    /// MB of scratch space that every job needs, without what grows with its input.
    pub disk_mb: i64,
    /// Seconds of a job; 0 = not stated. What grows with the input is in [`Plan::estimate`].
    pub walltime_s: i64,
    /// The time that a job takes was measured: each gets what its input comes to.
    pub measured_time: bool,
    /// What else a queue must offer.
    pub needs: Requirements,
    /// Attempts of each file.
    pub max_attempt: i64,
    /// Failures of each file, system errors not counted; none = only attempts count.
    pub max_failure: Option<i64>,
    /// Attempts, ends, people.
    pub behaviour: Behaviour,
    /// Name of the payload runner, or an address.
    pub runner: String,
    /// Queues to use (empty = any); a name may hold `*`.
    pub sites: Vec<String>,
    /// Queues not to use; a name may hold `*`.
    pub not_sites: Vec<String>,
    /// Why the task is accepted but held.
    pub hold: Option<String>,
    /// `allowNoOutput` or pattern outputs, or a container: what an official generic pilot cannot do.
    pub needs_native: Option<&'static str>,
    /// Container image.
    pub container: Option<String>,
}

impl Plan {
    /// Refines parameters, with what the engine changed since.
    ///
    /// # Errors
    /// The first parameter that makes no sense, with what to do.
    pub fn of(p: &TaskParameters, adjust: &Adjust) -> Result<Self, PlanError> {
        let mut plan = Self::read(p)?;
        adjust.apply(p, &mut plan);
        Ok(plan)
    }

    fn read(p: &TaskParameters) -> Result<Self, PlanError> {
        check_name(p)?;
        let mut plan = Self { template: template(p), ..Self::default() };
        read_items(p, &mut plan)?;
        inputs::read(p, &mut plan)?;
        limits::read(p, &mut plan)?;
        requirements::read(p, &mut plan)?;
        behaviour::read(p, &mut plan)?;
        build_merge::read_runner(p, &mut plan)?;
        build_merge::read(p, &mut plan)?;
        events::read(p, &mut plan)?;
        holds::read(p, &mut plan);
        placeholders::check(&plan)?;
        Ok(plan)
    }

    /// Events of an input file of which the catalogue knows so many (`nEventsPerFile`, `nEventsPerInputFile`, `useRealNumEvents`).
    #[must_use]
    pub fn events_of(&self, known: Option<i64>) -> Option<i64> {
        if self.split.real_events { known.or(self.events_per_file) } else { self.events_per_file.or(known) }
    }
}

fn check_name(p: &TaskParameters) -> Result<(), PlanError> {
    let name = p.task_name.as_deref().unwrap_or_default();
    if name.trim_end_matches('/').is_empty() {
        return Err(wrong("taskName", "is missing; give the task a name"));
    }
    if name.len() > 255 || name.chars().any(char::is_control) {
        return Err(wrong("taskName", "is too long or has control characters; use at most 255 plain characters"));
    }
    Ok(())
}

/// The command line: values of the items that are not hidden, each followed by a blank unless it says otherwise.
fn template(p: &TaskParameters) -> String {
    let mut out = String::new();
    for item in p.job_parameters.iter().flatten().filter(|i| !i.is_hidden()) {
        out.push_str(item.value());
        if item.is_padded() {
            out.push(' ');
        }
    }
    out.trim_end_matches(' ').to_owned()
}

fn read_items(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let (mut n_out, mut n_log) = (0, 0);
    for parameter in p.job_parameters.iter().flatten().chain(p.log.iter()).filter(|i| i.is_template()) {
        let item = parameter.item();
        match item.param_type.as_deref() {
            Some("input") => inputs::read_item(item, p, plan)?,
            Some("pseudo_input" | "number") => match inputs::stream_of(parameter.value()).as_deref() {
                Some("SEQNUMBER") => {
                    plan.sequence = Some(item.offset.unwrap_or(0));
                    plan.sequence_records = positive("jobParameters.num_records", item.num_records)?;
                }
                Some("RNDMSEED") => plan.random_seed = Some(item.offset.or(p.random_seed).unwrap_or(0)),
                _ => {}
            },
            Some(kind @ ("output" | "log")) => {
                let is_log = kind == "log";
                let n = if is_log { &mut n_log } else { &mut n_out };
                let output = outputs::read_item(parameter, is_log, *n)?;
                *n += 1;
                if !is_log || plan.outputs.iter().all(|o| !o.is_log) {
                    plan.outputs.push(output);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn texts(list: Option<&panda_wire::lenient::TextList>) -> Vec<String> {
    list.map(|l| l.iter().map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()).unwrap_or_default()
}

/// A number above 0, if it is given.
fn positive(key: &str, value: Option<i64>) -> Result<Option<i64>, PlanError> {
    match value {
        Some(v) if v <= 0 => Err(wrong(key, format!("is {v}; give a whole number above 0"))),
        other => Ok(other),
    }
}

/// A number of at least 0; 0 when it is not given.
fn not_negative(key: &str, value: Option<i64>) -> Result<i64, PlanError> {
    match value {
        Some(v) if v < 0 => Err(wrong(key, format!("is {v}; give 0 or more"))),
        other => Ok(other.unwrap_or(0)),
    }
}
