//! Inputs: data sets, which of their files, in which order, how long they are waited for (`spec/engine.md` section 5.3).

use panda_core::policy::{
    feed::Order,
    split::{self, Reuse, Take, ceil_div},
};
use panda_wire::{TaskParameters, task_params::Item};

use crate::blob::is_safe_name;

use super::{MAX_JOBS, Plan, PlanError, not_negative, positive, texts, wrong};

/// An input data set.
#[derive(Debug, Clone, PartialEq)]
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
    /// Shuffle before anything is counted off.
    pub random: bool,
    /// How many files a job takes of it, when it is a secondary.
    pub take: Take,
    /// What happens when it is used up, when it is a secondary.
    pub reuse: Reuse,
    /// Whether its members are data sets of their own (`expand`); without it a container is read as one.
    pub expand: bool,
    /// A container to make of several data sets.
    pub consolidate: Option<String>,
    /// Other attributes, as written.
    pub attributes: Vec<String>,
}

impl Input {
    /// Whether files are used again, so that none is ever used up.
    #[must_use]
    pub fn is_recurring(&self) -> bool {
        self.take == Take::Whole || self.reuse != Reuse::Never
    }
}

/// How inputs are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feed {
    /// New files are taken until the data sets are closed (RC).
    pub until_closed: bool,
    /// Hours that a missing data set is waited for (WI); 0 = not stated.
    pub wait_hours: i64,
    /// Whether the task may begin although a data set is incomplete (AI).
    pub allow_incomplete: bool,
    /// Files that vanish after submission are ignored (IM).
    pub ignore_missing: bool,
    /// An empty input is no error (AE).
    pub allow_empty: bool,
    /// Does not wait for the parent to end (NW).
    pub no_wait_parent: bool,
    /// Does not begin before its data sets are closed (WH).
    pub holds_up: bool,
    /// A job is made when one input is ready (NI).
    pub no_pooling: bool,
    /// Lumiblocks are used when complete (RP).
    pub release_per_lumiblock: bool,
    /// Files used by these tasks are left out.
    pub skip_used_by: Vec<i64>,
    /// Order of the files; an input that is [`Input::random`] is shuffled instead.
    pub order: Order,
    /// Chunks to wait for before jobs are made (NT).
    pub chunks_to_wait: Option<i64>,
}

impl Feed {
    /// Whether more files may come after the first look (open inputs).
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.until_closed || self.no_wait_parent
    }
}

/// The stream name of an input item: the text of its first placeholder up to a slash.
pub(super) fn stream_of(value: &str) -> Option<String> {
    let at = value.find("${")?;
    let inner = &value[at + 2..];
    let end = inner.find(['/', '}', '[', ','])?;
    Some(inner[..end].to_owned())
}

/// Reads one item of `jobParameters`.
pub(super) fn read_item(item: &Item, p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let value = item.value.as_deref().unwrap_or_default();
    let stream = stream_of(value).ok_or_else(|| wrong("jobParameters", format!("the input `{value}` has no placeholder `${{…}}`")))?;
    let mut datasets = texts(item.dataset.as_ref());
    if item.expand == Some(true) {
        // `dsFor<stream>` and `expandedList` name the same inputs, opened; they may name more than the item does.
        let more = p.datasets_for(&stream).map(|l| texts(Some(&l))).unwrap_or_default();
        for name in more.into_iter().chain(texts(item.expanded_list.as_ref())) {
            if !datasets.contains(&name) {
                datasets.push(name);
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
    let take = match positive("jobParameters.nFilesPerJob", item.n_files_per_job)? {
        _ if has("nosplit") => Take::Whole,
        None if item.event_ratio.is_some() => Take::EventRatio(ratio("jobParameters.eventRatio", item.event_ratio)?.unwrap_or(1.0)),
        Some(n) => Take::PerJob(usize::try_from(n).unwrap_or(usize::MAX)),
        None => Take::Ratio(ratio("jobParameters.ratio", item.ratio)?.unwrap_or(1.0)),
    };
    let reuse = if has("repeat") {
        Reuse::Wrap
    } else if item.reusable == Some(true) || has("reusable") || p.reuse_sec_on_demand == Some(true) {
        Reuse::Restart
    } else {
        Reuse::Never
    };
    plan.inputs.push(Input {
        stream,
        datasets,
        master: plan.inputs.is_empty(),
        include: texts(item.include.as_ref()),
        exclude: texts(item.exclude.as_ref()),
        files: texts(item.files.as_ref()),
        offset: not_negative("jobParameters.offset", item.offset)?,
        random: item.random == Some(true) || has("random"),
        take,
        reuse,
        expand: item.expand == Some(true),
        consolidate: item.consolidate.clone().filter(|c| !c.is_empty()),
        attributes,
    });
    Ok(())
}

fn ratio(key: &str, value: Option<f64>) -> Result<Option<f64>, PlanError> {
    match value {
        Some(r) if !(r.is_finite() && r > 0.0) => Err(wrong(key, format!("is {r}; give a number above 0"))),
        other => Ok(other),
    }
}

/// Reads what concerns all inputs.
pub(super) fn read(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    plan.n_files = positive("nFiles", p.n_files.filter(|n| *n != 0))?;
    plan.n_events = positive("nEvents", p.n_events.filter(|n| *n != 0))?;
    plan.pfns = texts(p.pfn_list.as_ref());
    plan.feed = feed(p)?;
    let per_job = positive("nEventsPerJob", p.n_events_per_job)?;
    if plan.sequence_records.is_some_and(|n| n > split::MAX_SEQUENCE) {
        let most = split::MAX_SEQUENCE;
        return Err(wrong("jobParameters.num_records", format!("asks for more than {most} sequence numbers; use several tasks")));
    }
    if !plan.pfns.is_empty() {
        return Ok(());
    }
    if let Some(file) = p.dag.as_deref().filter(|f| !f.is_empty()) {
        return read_dag(p, file, plan);
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
            (None, _, None) => plan.n_files.or(plan.sequence_records).unwrap_or(1),
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

/// A DAG leads; data sets are secondary inputs of its nodes. How many there are is known when its file is read.
fn read_dag(p: &TaskParameters, file: &str, plan: &mut Plan) -> Result<(), PlanError> {
    if !is_safe_name(file) {
        return Err(wrong("dag", format!("is `{file}`; give the name under which the file was uploaded")));
    }
    let counts = ["nFiles", "nEvents", "nJobs", "nEventsPerJob", "nFilesPerJob"];
    let given = [p.n_files, p.n_events, p.n_jobs, p.n_events_per_job, p.n_files_per_job];
    if let Some((key, _)) = counts.iter().zip(given).find(|(_, n)| n.is_some_and(|n| n > 0)) {
        return Err(wrong(key, "is given beside `dag`, where each node is one job; leave it out"));
    }
    if p.merge_output == Some(true) {
        return Err(wrong("mergeOutput", "is set beside `dag`, whose nodes end one by one; let a node that depends on the others merge"));
    }
    for input in &mut plan.inputs {
        input.master = false;
    }
    plan.pseudo = Some((0, 1));
    plan.dag = Some(file.to_owned());
    Ok(())
}

fn feed(p: &TaskParameters) -> Result<Feed, PlanError> {
    let order = match p.order_input_by.as_deref().filter(|o| !o.is_empty()) {
        Some("eventsAlignment") => match positive("nEventsPerJob", p.n_events_per_job.or(p.tgt_num_events_per_job))? {
            Some(n) => Order::Aligned(n),
            None => return Err(wrong("orderInputBy", "aligns files to `nEventsPerJob`, which is missing")),
        },
        Some(other) => return Err(wrong("orderInputBy", format!("is `{other}`; only `eventsAlignment` is known"))),
        None if p.order_by_lb == Some(true) => Order::Lumiblock,
        None => Order::Name,
    };
    let mut skip_used_by = Vec::new();
    for word in texts(p.skip_files_used_by.as_ref()) {
        let id = word.parse().map_err(|_| wrong("skipFilesUsedBy", format!("holds `{word}`; give numbers of tasks")))?;
        skip_used_by.push(id);
    }
    let yes = |flag: Option<bool>| flag == Some(true);
    Ok(Feed {
        until_closed: yes(p.run_until_closed),
        wait_hours: not_negative("waitInput", p.wait_input)?,
        allow_incomplete: yes(p.allow_incomplete_in_ds),
        ignore_missing: yes(p.ignore_missing_in_ds),
        allow_empty: yes(p.allow_empty_input),
        no_wait_parent: yes(p.no_wait_parent),
        holds_up: yes(p.workflow_holdup),
        no_pooling: yes(p.no_input_pooling),
        release_per_lumiblock: yes(p.release_per_lb),
        skip_used_by,
        order,
        chunks_to_wait: positive("nChunksToWait", p.n_chunks_to_wait.filter(|n| *n != 0))?,
    })
}
