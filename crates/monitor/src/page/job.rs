//! `/job/<id>/`: what a job is, what went wrong, what it writes, its files, why it is where it is, its history and its dictionary.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use panda_core::{
    file::FileRole,
    id::JobId,
    job::{error::Source, state::JobState},
};
use panda_ops::why;
use panda_store::query::{
    archive,
    job::{self, JobRow, file::JobFile, list::Event},
    task::{dataset::TaskDataset, file::TaskFile},
};
use panda_wire::job_dict;
use serde_json::{Map, Value, json};

use super::{Decided, Fact, Step, decisions, facts, finish, history_json, log, number, sentences, steps};
use crate::{
    app::{App, Asked, Names},
    frame::{self, Frame, Linked},
    mask,
    rows::{FileLine, job_file_json, job_json, task_file_json},
    show::{Tag, When, limit, span, stamp},
    trouble::Trouble,
};

struct ErrorLine {
    source: &'static str,
    code: String,
    diag: String,
}

#[derive(Template)]
#[template(path = "job.html")]
struct Page {
    frame: Frame,
    id: i64,
    name: String,
    state: Tag,
    sub_state: String,
    kind: &'static str,
    task: Option<i64>,
    queue: Option<String>,
    queue_link: String,
    owner: String,
    owner_link: String,
    since: When,
    command: String,
    diag: String,
    errors: Vec<ErrorLine>,
    facts: Vec<Fact>,
    because: Vec<Linked>,
    frees: Vec<Linked>,
    decisions: Vec<Decided>,
    log: LogView,
    files: Vec<FileLine>,
    history: Vec<Step>,
    metrics: Vec<(String, String)>,
    seen: When,
    meta: String,
    dictionary: String,
}

/// The log's part of the page.
struct LogView {
    /// `stdout` or `stderr`.
    stream: &'static str,
    stdout: String,
    stderr: String,
    raw: String,
    /// Address of the pieces that follow.
    follow: String,
    text: String,
    next: u64,
    ended: bool,
    cut: bool,
    /// Attempts with a link each, the one shown with none; empty when there was only one.
    attempts: Vec<(i64, String)>,
}

/// Everything that is read for the page.
struct Data {
    job: JobRow,
    files: Vec<JobFile>,
    inputs: Vec<TaskFile>,
    datasets: Vec<TaskDataset>,
    events: Vec<Event>,
    dictionary: Value,
    errors: Map<String, Value>,
    metrics: Map<String, Value>,
    meta: Value,
    seen: Option<i64>,
    why: Value,
    names: Names,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, Path(id): Path<String>, asked: Asked) -> Response {
    let page = load(&app, &asked, &id).await;
    finish(&app, &asked, page)
}

async fn load(app: &App, asked: &Asked, id: &str) -> Result<Response, Trouble> {
    let id = JobId(number(id, "job")?);
    let d = read(app, id).await?;
    if asked.json {
        return Ok(frame::json(&as_json(&d)));
    }
    let log = log_view(app, asked, &d.job).await?;
    Ok(frame::html(&view(app, asked, &d, log)))
}

async fn read(app: &App, id: JobId) -> Result<Data, Trouble> {
    let store = &app.ops.store;
    let Some(job) = archive::job::find(store, id).await? else {
        return Err(Trouble::missing(format!("There is no job {id}."), "Look for it in the list of jobs, or on the page of its task."));
    };
    let (own, common) = archive::job::doc(store, id).await?.unwrap_or_default();
    let live = job::list::live(store, id).await?;
    let (end, meta) = archive::job::end(store, id).await?.unwrap_or_default();
    let end = end.as_deref().map(mask::parsed).unwrap_or_default();
    let part = |key: &str| end[key].as_object().cloned().unwrap_or_default();
    let beat = live.as_ref().and_then(|l| l.2.as_deref()).map(mask::parsed);
    let mut metrics = part("metrics");
    if metrics.is_empty() {
        metrics = beat.and_then(|b| b.as_object().cloned()).unwrap_or_default();
    }
    Ok(Data {
        files: archive::job::files_of(store, &[id]).await?,
        inputs: archive::task::files_of_jobs(store, &[id]).await?,
        datasets: match job.task_id {
            Some(task) => archive::task::datasets(store, task).await?,
            None => Vec::new(),
        },
        events: archive::job::events(store, id).await?,
        dictionary: dictionary(&own, &common),
        errors: part("errors"),
        metrics,
        meta: meta.as_deref().map(mask::parsed).unwrap_or_default(),
        seen: live.map(|l| l.1),
        why: why::job::why(&app.ops, &app.reader, id).await?,
        names: app.names(std::iter::once(job.person_id)).await?,
        job,
    })
}

/// Both parts of the dictionary as one object, without secrets.
fn dictionary(own: &str, common: &str) -> Value {
    mask::parsed(&panda_ops::json::join(&[common, own]))
}

impl Data {
    fn dataset(&self, id: i64) -> Option<&TaskDataset> {
        self.datasets.iter().find(|d| d.id == id)
    }
    /// Inputs that only the dictionary names: a file row belongs to the job that has it now, which is another one after a retry.
    fn named_inputs(&self) -> Vec<(String, String)> {
        let list = |key: &str| {
            let text = self.dictionary[key].as_str().unwrap_or_default();
            job_dict::split(text).map(|v| v.unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let (lfns, mut scopes) = (list("inFiles"), list("scopeIn"));
        scopes.resize(lfns.len(), String::new());
        let known = |lfn: &str| lfn.is_empty() || self.inputs.iter().any(|f| f.lfn == lfn) || self.files.iter().any(|f| f.lfn == lfn);
        lfns.into_iter().zip(scopes).filter(|(lfn, _)| !known(lfn)).collect()
    }
}

fn as_json(d: &Data) -> Value {
    let mut job = job_json(&d.job, &d.names);
    if let Some(job) = job.as_object_mut() {
        for (key, value) in d.errors.iter().chain(&d.metrics) {
            // `pilot_error_diag` is `piloterrordiag` among the attributes.
            job.entry(key.replace('_', "").to_lowercase()).or_insert_with(|| value.clone());
        }
        job.insert("metadata".into(), d.meta.clone());
    }
    let name = |id: Option<i64>| id.and_then(|id| d.dataset(id)).map(|d| d.name.as_str()).unwrap_or_default();
    let role = |id: i64| d.dataset(id).map_or(FileRole::Input, |d| d.role).as_str();
    let inputs: Vec<Value> = d.inputs.iter().map(|f| task_file_json(f, name(Some(f.dataset_id)), role(f.dataset_id))).collect();
    let mut files: Vec<Value> = d.files.iter().map(|f| job_file_json(f, name(f.dataset_id))).collect();
    files.extend(
        d.named_inputs().into_iter().map(|(lfn, scope)| json!({"pandaid": d.job.id.0, "type": "input", "lfn": lfn, "scope": scope})),
    );
    files.extend(inputs.iter().cloned());
    let mut why = d.why.clone();
    mask::mask(&mut why);
    json!({
        "files": files, "job": job, "dsfiles": inputs, "jobparams": d.dictionary["jobPars"], "dictionary": d.dictionary,
        "statuslog": history_json(&d.events), "why": why,
    })
}

fn file_lines(d: &Data) -> Vec<FileLine> {
    let role = |id: i64| d.dataset(id).map_or(FileRole::Input, |d| d.role).as_str();
    let mut files: Vec<FileLine> = d.inputs.iter().map(|f| FileLine::input(f, role(f.dataset_id))).collect();
    let named = |(lfn, scope): (String, String)| FileLine {
        role: FileRole::Input.as_str(),
        lfn,
        scope,
        state: None,
        size: String::new(),
        checksum: String::new(),
        surl: String::new(),
        job: 0,
    };
    files.extend(d.named_inputs().into_iter().map(named));
    files.extend(d.files.iter().map(FileLine::output));
    files
}

/// Codes with what their source said of them.
fn errors(d: &Data) -> Vec<ErrorLine> {
    let text = |key: &str| d.errors.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let one = |(source, code): (Source, i64)| ErrorLine { source: source.as_str(), code: code.to_string(), diag: text(source.diag_key()) };
    d.job.codes().into_iter().map(one).collect()
}

fn view(app: &App, asked: &Asked, d: &Data, log: LogView) -> Page {
    let (j, now) = (&d.job, app.ops.now().0);
    let queue = d.names.queue(j.queue_id);
    let owner = d.names.person(j.person_id);
    let errors = errors(d);
    let diag = j.diag.clone().filter(|diag| errors.iter().all(|e| &e.diag != diag)).unwrap_or_default();
    let scalar = |(key, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (key.clone(), text)
    };
    Page {
        frame: Frame::new(app, asked, "jobs", format!("Job {}", j.id), !j.state.is_final()),
        id: j.id.0,
        name: j.name.clone().unwrap_or_default(),
        state: Tag::job(j.state),
        sub_state: j.sub_state.clone().unwrap_or_default(),
        kind: j.kind.as_str(),
        task: j.task_id.map(|t| t.0),
        queue_link: queue.as_deref().map(crate::args::encode).unwrap_or_default(),
        queue,
        owner_link: format!("/tasks/?owner={}", crate::args::encode(&owner)),
        owner,
        since: When::lasts(j.state_us, now),
        command: j.command.clone().unwrap_or_default(),
        diag,
        errors,
        facts: job_facts(j, now),
        because: sentences(&d.why, "because"),
        frees: sentences(&d.why, "frees"),
        decisions: decisions(&d.why),
        log,
        files: file_lines(d),
        history: steps(&d.events, Tag::job_word, now, !j.state.is_final()),
        metrics: d.metrics.iter().filter(|(_, v)| !v.is_null()).map(scalar).collect(),
        seen: When::ago(d.seen, now),
        meta: if d.meta.is_null() { String::new() } else { mask::pretty(&d.meta) },
        dictionary: mask::pretty(&d.dictionary),
    }
}

fn job_facts(j: &JobRow, now: i64) -> Vec<Fact> {
    let waited = j.started_us.map(|s| span(s - j.created_us)).unwrap_or_default();
    let ran = j.started_us.map(|s| span(j.ended_us.unwrap_or(now) - s)).unwrap_or_default();
    facts(vec![
        ("Attempt", format!("{} of {}", j.attempt + 1, (j.max_attempt).max(j.attempt + 1))),
        ("Priority", (-j.neg_priority).to_string()),
        ("Label", j.label.clone()),
        ("Processing type", j.processing_type.clone().unwrap_or_default()),
        ("Resource type", j.resource_type.clone()),
        ("Cores", j.core_count.to_string()),
        ("Memory", limit(j.ram_mb, "MB").replace("no limit", "not stated")),
        ("Scratch space", limit(j.disk_mb, "MB").replace("no limit", "not stated")),
        ("Wall time", super::queues::walltime(j.walltime_s).replace("no limit", "not stated")),
        ("Node", j.host.clone().unwrap_or_default()),
        ("Batch id", j.batch_id.clone().unwrap_or_default()),
        ("Exit code", j.trans_exit_code.map(|c| c.to_string()).unwrap_or_default()),
        ("Debug mode", if j.debug { "on".to_owned() } else { String::new() }),
        ("Made", stamp(j.created_us)),
        ("Started", j.started_us.map(stamp).unwrap_or_default()),
        ("Ended", j.ended_us.map(stamp).unwrap_or_default()),
        ("Waited", waited),
        ("Ran", ran),
    ])
}

async fn log_view(app: &App, asked: &Asked, j: &JobRow) -> Result<LogView, Trouble> {
    let which = log::which(asked, j.id.0)?;
    let t = log::tail(app, which).await?;
    let stream = if which.stream == panda_ops::job::log::Stream::Stderr { "stderr" } else { "stdout" };
    let at = |stream: &str| asked.query.link(&asked.path, &[("stream", Some(stream))]) + "#log";
    let log = format!("/job/{}/log?stream={stream}&attempt={}", j.id, t.attempt);
    let attempt = |n: i64| {
        let link =
            if n == t.attempt { String::new() } else { asked.query.link(&asked.path, &[("attempt", Some(&n.to_string()))]) + "#log" };
        (n, link)
    };
    // A log belongs to an attempt; a job has few.
    let attempts = if j.attempt > 0 { (0..=j.attempt.min(50)).map(attempt).collect() } else { Vec::new() };
    Ok(LogView {
        stream,
        stdout: at("stdout"),
        stderr: at("stderr"),
        raw: format!("{log}&raw"),
        follow: log,
        text: t.text,
        next: t.next,
        ended: t.ended || j.state.is_final() || (j.state == JobState::Holding && t.size == t.next),
        cut: t.cut,
        attempts,
    })
}
