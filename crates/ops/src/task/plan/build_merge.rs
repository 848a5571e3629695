//! Build and merge steps, and which runner a job starts.

use panda_wire::TaskParameters;

use super::{Plan, PlanError, not_negative, wrong};

/// A build step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Sandbox with the sources.
    pub archive: String,
    /// Command line with `${IN}`, `${OUT}`, `${SURL}`.
    pub text: String,
    /// `prodSourceLabel` of the build job.
    pub label: String,
    /// Name of the runner.
    pub runner: String,
}

/// Merge jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// Command line with `${TRN_OUTPUT:OUTPUT}` and the like.
    pub text: String,
    /// Name of the runner, or an address.
    pub runner: String,
    /// Cores; at least 1.
    pub cores: i64,
    /// MB of the job.
    pub ram_mb: i64,
    /// Seconds of the job; 0 = not stated.
    pub walltime_s: i64,
    /// Only at the queue where the outputs are (OM); always so here.
    pub on_site: bool,
}

/// The merge runner.
pub const MERGE_RUNNER: &str = "runMerge-00-00-02";
/// Runners that this server ships; a foreign address that ends in one of them is replaced by ours.
const SHIPPED: &[&str] = &["runGen", "buildGen", "runMerge", "runcontainer"];

/// The runner for a word of `processingType` (`spec/payload_runners.md` section 1.1).
fn runner_of(processing_type: &str) -> &'static str {
    let words: Vec<&str> = processing_type.split('-').collect();
    if words.contains(&"athena") {
        "runAthena-00-00-12"
    } else if words.contains(&"cont") {
        "runcontainer"
    } else {
        "runGen-00-00-02"
    }
}

/// The name of one of our runners at the end of a foreign address, or a bare name.
fn shipped(path: &str) -> Option<String> {
    let last = path.rsplit('/').next().unwrap_or(path);
    let stem = last.split('-').next().unwrap_or(last);
    SHIPPED.contains(&stem).then(|| last.to_owned())
}

pub(super) fn read_runner(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let own = runner_of(p.processing_type.as_deref().unwrap_or_default());
    plan.runner = match p.trans_path.as_deref().filter(|t| !t.is_empty()) {
        None => own.to_owned(),
        Some(path) => shipped(path).unwrap_or_else(|| path.to_owned()),
    };
    if plan.template.is_empty() {
        return Err(wrong("jobParameters", "is missing or empty; a job needs a command line"));
    }
    Ok(())
}

pub(super) fn read(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    if let Some(build) = &p.build_spec {
        let archive = build.archive_name.clone().unwrap_or_default();
        if archive.is_empty() {
            return Err(wrong("buildSpec", "names no `archiveName`; upload the sources and name them"));
        }
        let athena = p.processing_type.as_deref().unwrap_or_default().split('-').any(|w| w == "athena");
        plan.build = Some(Build {
            archive,
            text: build.job_parameters.clone().unwrap_or_default().trim_end().to_owned(),
            label: build.prod_source_label.clone().unwrap_or_else(|| "panda".into()),
            runner: if athena { "buildJob-00-00-03".into() } else { "buildGen-00-00-01".into() },
        });
    }
    if p.merge_output == Some(true) {
        plan.merge = Some(merge_of(p, plan, "")?);
    }
    Ok(())
}

/// How outputs are merged; `usual`: the command line when the task gives none.
pub(super) fn merge_of(p: &TaskParameters, plan: &Plan, usual: &str) -> Result<Merge, PlanError> {
    let given = p.merge_spec.as_ref().and_then(|m| m.job_parameters.clone());
    let text = given.filter(|t| !t.is_empty()).unwrap_or_else(|| usual.to_owned());
    if text.is_empty() {
        return Err(wrong("mergeSpec", "has no `jobParameters`, but `mergeOutput` is set; say how outputs are merged"));
    }
    if plan.outputs.iter().all(|o| o.is_log) {
        return Err(wrong("mergeOutput", "is set, but the task has no outputs to merge"));
    }
    let path = p.merge_spec.as_ref().and_then(|m| m.trans_path.clone()).filter(|t| !t.is_empty());
    let cores = not_negative("mergeCoreCount", p.merge_core_count)?;
    let cores = if cores > 0 { cores } else { plan.cores };
    let ram = not_negative("mergeRamCount", p.merge_ram_count)?;
    Ok(Merge {
        text: text.trim_end().to_owned(),
        runner: path.map_or_else(|| MERGE_RUNNER.to_owned(), |path| shipped(&path).unwrap_or(path)),
        cores,
        ram_mb: if ram > 0 { ram } else { plan.needs.ram.of(cores) },
        walltime_s: plan.walltime_s,
        on_site: p.on_site_merging == Some(true),
    })
}
