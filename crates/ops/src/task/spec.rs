//! From task parameters to a plan: which data sets a task has, how it is split, what its jobs' command lines look like
//! (`spec/payload_runners.md` section 10, `spec/engine.md` section 5.2). Pure; whatever is refused here is refused at submission.

use panda_core::policy::{
    names,
    split::{Limits, MAX_FILES, ceil_div},
    text,
};
use panda_wire::{
    TaskParameters,
    task_params::{Item, JobParameter},
};

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

/// An input data set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Input {
    /// Stream: `IN`, `IN2`, ….
    pub stream: String,
    /// Names, with scope where it was written; several are read one after the other.
    pub datasets: Vec<String>,
    /// Whether jobs are made along it.
    pub master: bool,
    /// A file is taken when one of these expressions matches at its start; empty = all.
    pub include: Vec<String>,
    /// A file is left out when one of these expressions is found in it.
    pub exclude: Vec<String>,
    /// Only these files, when there are any.
    pub files: Vec<String>,
    /// Skip so many files.
    pub offset: i64,
    /// Files a job, for a secondary.
    pub per_job: Option<i64>,
    /// Files a master file, for a secondary.
    pub ratio: Option<f64>,
    /// Every job gets the whole of it.
    pub whole: bool,
    /// It starts again when it is used up.
    pub reusable: bool,
}

/// An output or log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// `OUTPUT0`, `LOG0`, ….
    pub stream: String,
    /// Data set or container name.
    pub dataset: String,
    /// File name template.
    pub template: String,
    /// Whether it is the log.
    pub is_log: bool,
    /// Whether a job may end well without it.
    pub optional: bool,
    /// Serial numbers start behind this one.
    pub offset: i64,
}

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

/// What a task comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Input data sets, the master first.
    pub inputs: Vec<Input>,
    /// Pseudo input rows and events of each, when there is no input.
    pub pseudo: Option<(i64, i64)>,
    /// Addresses of the inputs (`pfnList`), instead of data sets.
    pub pfns: Vec<String>,
    /// Offset of `${SEQNUMBER}`, if the command line has one.
    pub sequence: Option<i64>,
    /// Offset of `${RNDMSEED}`, if it has one.
    pub random_seed: Option<i64>,
    /// Outputs and logs.
    pub outputs: Vec<Output>,
    /// Command line with placeholders.
    pub template: String,
    /// Build step.
    pub build: Option<Build>,
    /// Command line of merge jobs, if outputs are merged.
    pub merge: Option<String>,
    /// Splitting.
    pub limits: Limits,
    /// Splitting of merge jobs.
    pub merge_limits: Limits,
    /// Events of one row, when files are cut by events.
    pub events_per_row: Option<i64>,
    /// Events of a file, instead of what the catalogue says.
    pub events_per_file: Option<i64>,
    /// At most so many files.
    pub n_files: Option<i64>,
    /// At most so many events.
    pub n_events: Option<i64>,
    /// Cores.
    pub cores: i64,
    /// MB of the whole job.
    pub ram_mb: i64,
    /// MB of scratch space.
    pub disk_mb: i64,
    /// Seconds; 0 = not stated.
    pub walltime_s: i64,
    /// Attempts of each file.
    pub max_attempt: i64,
    /// Name of the payload runner, or an address.
    pub runner: String,
    /// Queues to use (empty = any).
    pub sites: Vec<String>,
    /// Queues not to use.
    pub not_sites: Vec<String>,
    /// Why the task is accepted but held.
    pub hold: Option<String>,
    /// `allowNoOutput` or pattern outputs, or a container: what an official generic pilot cannot do.
    pub needs_native: Option<&'static str>,
    /// Container image.
    pub container: Option<String>,
    /// Whether the data set may be empty.
    pub allow_empty: bool,
}

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

/// The merge runner.
pub const MERGE_RUNNER: &str = "runMerge-00-00-02";
/// Runners that this server ships; a foreign address that ends in one of them is replaced by ours.
pub const SHIPPED: &[&str] = &["runGen", "buildGen", "runMerge", "runcontainer"];

/// Refines parameters.
pub fn plan(p: &TaskParameters) -> Result<Plan, PlanError> {
    let name = p.task_name.as_deref().unwrap_or_default();
    if name.trim_end_matches('/').is_empty() {
        return Err(wrong("taskName", "is missing; give the task a name"));
    }
    if name.len() > 255 || name.chars().any(char::is_control) {
        return Err(wrong("taskName", "is too long or has control characters; use at most 255 plain characters"));
    }
    let mut plan = Plan { template: template(p), ..Plan::default() };
    read_items(p, &mut plan)?;
    read_input(p, &mut plan)?;
    read_limits(p, &mut plan)?;
    read_requirements(p, &mut plan)?;
    read_runner(p, &mut plan)?;
    read_build_and_merge(p, &mut plan)?;
    read_holds(p, &mut plan);
    check_placeholders(&plan)?;
    Ok(plan)
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

fn texts(list: Option<&panda_wire::lenient::TextList>) -> Vec<String> {
    list.map(|l| l.iter().map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()).unwrap_or_default()
}

/// The stream name of an input item: the text of its first placeholder up to a slash.
fn stream_of(value: &str) -> Option<String> {
    let at = value.find("${")?;
    let inner = &value[at + 2..];
    let end = inner.find(['/', '}', '[', ','])?;
    Some(inner[..end].to_owned())
}

fn read_items(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let (mut n_out, mut n_log) = (0, 0);
    let all = p.job_parameters.iter().flatten().chain(p.log.iter());
    for parameter in all {
        let item = parameter.item();
        match (parameter, item.param_type.as_deref()) {
            (JobParameter::Template(_), Some("input")) => read_input_item(item, p, plan)?,
            (JobParameter::Template(_), Some("pseudo_input" | "number")) => match stream_of(parameter.value()).as_deref() {
                Some("SEQNUMBER") => plan.sequence = Some(item.offset.unwrap_or(0)),
                Some("RNDMSEED") => plan.random_seed = Some(item.offset.unwrap_or(0)),
                _ => {}
            },
            (JobParameter::Template(_), Some(kind @ ("output" | "log"))) => {
                let is_log = kind == "log";
                let n = if is_log { &mut n_log } else { &mut n_out };
                let output = read_output(parameter, is_log, *n)?;
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

fn read_output(parameter: &JobParameter, is_log: bool, n: usize) -> Result<Output, PlanError> {
    let item = parameter.item();
    let key = if is_log { "log" } else { "jobParameters" };
    // The file name is what stands behind the last `=`, without quotes; a pattern output is kept whole.
    let value = parameter.value();
    let template = if value.starts_with("regex|") { value } else { value.rsplit('=').next().unwrap_or(value).trim_matches('\'') };
    let dataset = item.dataset.as_ref().and_then(|d| d.first().cloned()).or_else(|| item.container.clone()).unwrap_or_default();
    if dataset.is_empty() {
        return Err(wrong(key, format!("the {} `{value}` names no dataset", if is_log { "log" } else { "output" })));
    }
    if !template.starts_with("regex|") {
        let sample = names::lfn(template, 10_000_000, 1_000_000_000, 1);
        let sample = sample.replace("${MIDDLENAME}", "x").replace("${SEGMENT_ID}", "1").replace("${SEGMENT_NAME}", "x");
        if let Some(problem) = names::problem(&sample) {
            return Err(wrong(key, problem));
        }
        if !template.contains("${SN") && !template.contains("$PANDAID") {
            return Err(wrong(key, format!("the file name `{template}` is the same for every job; put `${{SN}}` into it")));
        }
    }
    let stream = format!("{}{n}", if is_log { "LOG" } else { "OUTPUT" });
    Ok(Output {
        stream,
        dataset,
        template: template.to_owned(),
        is_log,
        optional: item.allow_no_output == Some(true),
        offset: item.offset.unwrap_or(0),
    })
}

fn read_input_item(item: &Item, p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let value = item.value.as_deref().unwrap_or_default();
    let stream = stream_of(value).ok_or_else(|| wrong("jobParameters", format!("the input `{value}` has no placeholder `${{…}}`")))?;
    let mut datasets = texts(item.dataset.as_ref());
    if item.expand == Some(true) {
        // `dsFor<stream>` names the same inputs, opened; it may name more than the item does.
        for more in p.datasets_for(&stream).map(|l| texts(Some(&l))).unwrap_or_default() {
            if !datasets.contains(&more) {
                datasets.push(more);
            }
        }
    }
    if datasets.is_empty() {
        return Err(wrong("jobParameters", format!("the input stream {stream} names no dataset")));
    }
    if let Some(known) = plan.inputs.iter_mut().find(|i| i.stream == stream) {
        datasets.retain(|d| !known.datasets.contains(d));
        known.datasets.extend(datasets);
        return Ok(());
    }
    for expression in texts(item.include.as_ref()).iter().chain(&texts(item.exclude.as_ref())) {
        regex::Regex::new(expression)
            .map_err(|e| wrong("jobParameters", format!("the filter `{expression}` of stream {stream} is no expression: {e}")))?;
    }
    let attributes = texts(item.attributes.as_ref());
    let has = |word: &str| attributes.iter().any(|a| a == word);
    let master = plan.inputs.is_empty();
    plan.inputs.push(Input {
        stream,
        datasets,
        master,
        include: texts(item.include.as_ref()),
        exclude: texts(item.exclude.as_ref()),
        files: texts(item.files.as_ref()),
        offset: item.offset.unwrap_or(0),
        per_job: item.n_files_per_job,
        ratio: item.ratio,
        whole: has("nosplit"),
        reusable: item.reusable == Some(true) || has("repeat") || p.reuse_sec_on_demand == Some(true),
    });
    Ok(())
}

fn positive(key: &str, value: Option<i64>) -> Result<Option<i64>, PlanError> {
    match value {
        Some(v) if v <= 0 => Err(wrong(key, format!("is {v}; give a whole number above 0"))),
        other => Ok(other),
    }
}

fn read_input(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    plan.n_files = positive("nFiles", p.n_files.filter(|n| *n != 0))?;
    plan.n_events = positive("nEvents", p.n_events.filter(|n| *n != 0))?;
    plan.pfns = texts(p.pfn_list.as_ref());
    plan.allow_empty = p.allow_empty_input == Some(true);
    let per_job = positive("nEventsPerJob", p.n_events_per_job)?;
    if !plan.pfns.is_empty() {
        return Ok(());
    }
    if p.no_input == Some(true) {
        // A secondary input without a master: the pseudo input leads.
        for input in &mut plan.inputs {
            input.master = false;
        }
        let jobs = match (plan.n_events, per_job, positive("nJobs", p.n_jobs)?) {
            (Some(events), Some(per_job), _) => ceil_div(events, per_job),
            (_, _, Some(jobs)) => jobs,
            (Some(events), None, None) => events,
            (None, _, None) => plan.n_files.unwrap_or(1),
        };
        if jobs > MAX_JOBS {
            return Err(wrong("nEvents", format!("makes {jobs} jobs, at most {MAX_JOBS} are possible; use more events a job")));
        }
        plan.pseudo = Some((jobs, per_job.unwrap_or(1)));
    } else if plan.inputs.is_empty() {
        return Err(wrong("noInput", "is not set and no item of `jobParameters` is an input; name a data set or set `noInput`"));
    }
    Ok(())
}

fn read_limits(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let files = positive("nFilesPerJob", p.n_files_per_job)?;
    let max = positive("nMaxFilesPerJob", p.n_max_files_per_job)?.unwrap_or(MAX_FILES as i64);
    if let Some(files) = files
        && files > 1_000
    {
        return Err(wrong("nFilesPerJob", format!("is {files}; a job has at most 1000 files (`spec` of pilots)")));
    }
    let gigabytes = |key: &str, g: Option<panda_wire::task_params::Gigabytes>| match g.and_then(panda_wire::task_params::Gigabytes::limit) {
        Some(gb) if gb <= 0.0 => Err(wrong(key, format!("is {gb}; give a number above 0"))),
        #[expect(clippy::cast_possible_truncation, reason = "a size in bytes; f64 is exact far beyond any disk")]
        other => Ok(other.map(|gb| (gb * 1e9).min(1e18) as i64)),
    };
    let events = positive("nEventsPerJob", p.n_events_per_job)?;
    let per_file = positive("nEventsPerFile", p.n_events_per_file.or(p.n_events_per_input_file))?;
    plan.events_per_file = per_file;
    let no_files = plan.pseudo.is_some() || !plan.pfns.is_empty();
    let usize_of = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    plan.limits = Limits {
        files: if plan.pseudo.is_some() {
            Some(1)
        } else {
            files.map(usize_of).or(if no_files && events.is_none() { Some(1) } else { None })
        },
        max_files: usize_of(max),
        bytes: gigabytes("nGBPerJob", p.n_gb_per_job)?,
        events: if plan.pseudo.is_some() { None } else { events },
    };
    if let (Some(files), Some(events), Some(per_file)) = (files, events, per_file)
        && files.saturating_mul(per_file) != events
        && plan.pseudo.is_none()
    {
        return Err(wrong(
            "nEventsPerJob",
            format!("is {events}, but {files} files of {per_file} events are {}; leave one of them out", files.saturating_mul(per_file)),
        ));
    }
    // Files are cut by events when a job takes fewer than a file has.
    plan.events_per_row = if files.is_none() && plan.pseudo.is_none() { events } else { None };
    if let (Some(per_row), Some(per_file), Some(n)) = (plan.events_per_row, per_file, plan.n_files)
        && n.saturating_mul(ceil_div(per_file, per_row)) > MAX_JOBS
    {
        return Err(wrong("nEventsPerJob", format!("makes more than {MAX_JOBS} jobs; use more events a job")));
    }
    let merge_files = positive("nFilesPerMergeJob", p.n_files_per_merge_job)?;
    let merge_max = positive("nMaxFilesPerMergeJob", p.n_max_files_per_merge_job)?;
    plan.merge_limits = Limits {
        files: merge_files.map(usize_of),
        max_files: merge_max.map_or(50, usize_of),
        bytes: Some(gigabytes("nGBPerMergeJob", p.n_gb_per_merge_job)?.unwrap_or(5_000_000_000)),
        events: positive("nEventsPerMergeJob", p.n_events_per_merge_job)?,
    };
    Ok(())
}

fn read_requirements(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let not_negative = |key: &str, v: Option<i64>| match v {
        Some(v) if v < 0 => Err(wrong(key, format!("is {v}; give 0 or more"))),
        other => Ok(other.unwrap_or(0)),
    };
    plan.cores = not_negative("coreCount", p.core_count)?.max(1);
    let per_core = p.memory_unit().is_some_and(|u| u.contains("PerCore"));
    let ram = not_negative("ramCount", p.ram_count)?;
    let base = not_negative("baseRamCount", p.base_ram_count)?;
    plan.ram_mb = match (ram, per_core) {
        (0, _) => RAM_MB.saturating_mul(plan.cores),
        (mb, true) => mb.saturating_mul(plan.cores).saturating_add(base),
        (mb, false) => mb.saturating_add(base),
    };
    plan.walltime_s = not_negative("maxWalltime", p.max_walltime)?.saturating_mul(3_600).max(not_negative("walltime", p.walltime)?);
    let disk = |value: Option<f64>, unit: Option<&str>| {
        #[expect(clippy::cast_possible_truncation, reason = "megabytes")]
        let mb = value.unwrap_or(0.0).clamp(0.0, 1e12) as i64;
        if unit.is_some_and(|u| u.starts_with('k')) { mb / 1_000 } else { mb }
    };
    plan.disk_mb = disk(p.work_disk_count, p.work_disk_unit.as_deref()) + disk(p.out_disk_count, p.out_disk_unit.as_deref());
    plan.max_attempt = match p.max_attempt {
        Some(n) if n > MOST_ATTEMPTS => return Err(wrong("maxAttempt", format!("is {n}, at most {MOST_ATTEMPTS} are possible"))),
        Some(n) if n > 0 => n,
        _ => MAX_ATTEMPT,
    };
    if p.disable_auto_retry.is_some_and(|v| v != 0) {
        plan.max_attempt = 1;
    }
    plan.sites = p.site.iter().filter(|s| !s.is_empty()).cloned().chain(texts(p.included_site.as_ref())).collect();
    plan.not_sites = texts(p.excluded_site.as_ref());
    if let Some(both) = plan.sites.iter().find(|s| plan.not_sites.contains(s)) {
        return Err(wrong("excludedSite", format!("names {both}, which the task asks for as well; leave it out of one of them")));
    }
    Ok(())
}

fn read_runner(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
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

/// The name of one of our runners at the end of a foreign address, or a bare name.
fn shipped(path: &str) -> Option<String> {
    let last = path.rsplit('/').next().unwrap_or(path);
    let stem = last.split('-').next().unwrap_or(last);
    SHIPPED.contains(&stem).then(|| last.to_owned())
}

fn read_build_and_merge(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
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
        let text = p.merge_spec.as_ref().and_then(|m| m.job_parameters.clone()).unwrap_or_default();
        if text.is_empty() {
            return Err(wrong("mergeSpec", "has no `jobParameters`, but `mergeOutput` is set; say how outputs are merged"));
        }
        if plan.outputs.iter().all(|o| o.is_log) {
            return Err(wrong("mergeOutput", "is set, but the task has no outputs to merge"));
        }
        plan.merge = Some(text.trim_end().to_owned());
    }
    Ok(())
}

/// What is accepted but cannot run yet, and what only our own worker can do.
fn read_holds(p: &TaskParameters, plan: &mut Plan) {
    let stem = plan.runner.rsplit('/').next().unwrap_or_default().split('-').next().unwrap_or_default().to_owned();
    let build = plan.build.as_ref().map(|b| b.runner.split('-').next().unwrap_or_default().to_owned());
    plan.hold = if p.hpo_workflow == Some(true) || stem == "runHPO" {
        Some("hyper-parameter optimisation needs a runner and a point service that this server does not have yet".into())
    } else if p.prepro_spec.is_some() {
        Some("good-run lists and event picking need a preparation runner that this server does not have yet".into())
    } else if stem == "runAthena" || build.as_deref() == Some("buildJob") {
        Some("pathena tasks need runners with ATLAS software, which this server does not have".into())
    } else if p.load_xml.is_some() {
        Some("job lists from XML are not supported yet".into())
    } else {
        None
    };
    plan.container = p
        .container_name
        .clone()
        .or_else(|| p.multi_step_exec.as_ref().and_then(|m| m.container_options.as_ref()).and_then(|c| c.container_image.clone()))
        .filter(|c| !c.is_empty());
    plan.needs_native = if plan.container.is_some() || plan.runner == "runcontainer" {
        Some("the payload runs in a container, which an official generic pilot would ignore")
    } else if plan.outputs.iter().any(|o| o.optional) {
        Some("an output may be absent (allowNoOutput), which an official generic pilot does not accept")
    } else if plan.outputs.iter().any(|o| o.template.starts_with("regex|")) {
        Some("an output is a pattern (regex|), which an official generic pilot looks for literally")
    } else {
        None
    };
}

/// Words that are known in every command line.
const WORDS: &[&str] =
    &["SN", "SURL", "MAXEVENTS", "SKIPEVENTS", "FIRSTEVENT", "ATTEMPTNR", "MIDDLENAME", "SEGMENT_ID", "SEGMENT_NAME", "TRF", "TRF_ARGS"];

/// Words that are known in the command line of a merge.
const MERGE_WORDS: &[&str] = &["SURL", "LIB", "TRN_OUTPUT:OUTPUT", "TRN_LOG:LOG", "TRN_LOG_MERGE:LOG_MERGE"];

fn check_placeholders(plan: &Plan) -> Result<(), PlanError> {
    let mut streams: Vec<&str> =
        plan.inputs.iter().map(|i| i.stream.as_str()).chain(plan.outputs.iter().map(|o| o.stream.as_str())).collect();
    let mut words = WORDS.to_vec();
    if plan.sequence.is_some() {
        words.push("SEQNUMBER");
    }
    if plan.random_seed.is_some() {
        words.push("RNDMSEED");
    }
    if plan.build.is_some() {
        words.push("LIB");
    }
    if !plan.pfns.is_empty() {
        streams.push("IN");
    }
    text::check(&plan.template, &streams, &words).map_err(|e| wrong("jobParameters", e.to_string()))?;
    if let Some(build) = &plan.build {
        text::check(&build.text, &[], &["IN", "OUT", "SURL"]).map_err(|e| wrong("buildSpec", e.to_string()))?;
    }
    if let Some(merge) = &plan.merge {
        text::check(merge, &[], MERGE_WORDS).map_err(|e| wrong("mergeSpec", e.to_string()))?;
    }
    Ok(())
}
