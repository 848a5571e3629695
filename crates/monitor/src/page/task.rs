//! `/task/<id>/`: what a task is, how far it is, why it is where it is, its data sets, jobs, errors, outputs, history and parameters.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use panda_core::{file::FileState, id::TaskId, job::state::JobState, task::state::TaskState};
use panda_ops::why;
use panda_store::query::{
    archive,
    job::{list::Event, page::ErrorGroup},
    task::{TaskRow, dataset::TaskDataset},
};
use serde_json::{Value, json};

use super::{Chip, Decided, Fact, Step, decisions, facts, finish, history_json, number, sentences, steps};
use crate::{
    app::{App, Asked},
    frame::{self, Frame, Linked},
    mask,
    rows::{FileLine, Progress, dataset_json, task_json},
    show::{Bar, Tag, Tone, When, bytes, count, span, stamp},
    trouble::Trouble,
};

/// Output files that the page lists; the rest is one command away.
const OUTPUTS: usize = 50;
/// Data sets of a task whose files are looked at; a task has a handful.
const DATASETS: usize = 50;

struct DatasetLine {
    name: String,
    role: &'static str,
    stream: String,
    master: bool,
    state: String,
    bar: Bar,
    files: String,
    used: String,
    finished: String,
    failed: String,
    on_hold: String,
    events: String,
    size: String,
}

struct ErrorLine {
    code: String,
    diag: String,
    n: String,
    example: i64,
}

struct Child {
    id: i64,
    name: String,
    state: Tag,
}

#[derive(Template)]
#[template(path = "task.html")]
struct Page {
    frame: Frame,
    id: i64,
    name: String,
    state: Tag,
    owner: String,
    owner_link: String,
    reason: String,
    command: String,
    bar: Bar,
    progress: String,
    percent: i64,
    facts: Vec<Fact>,
    because: Vec<Linked>,
    frees: Vec<Linked>,
    decisions: Vec<Decided>,
    jobs: Vec<Chip>,
    errors: Vec<ErrorLine>,
    datasets: Vec<DatasetLine>,
    outputs: Vec<FileLine>,
    more_outputs: String,
    children: Vec<Child>,
    history: Vec<Step>,
    params: String,
    since: When,
}

/// Everything that is read for the page.
struct Data {
    task: TaskRow,
    owner: String,
    datasets: Vec<TaskDataset>,
    events: Vec<Event>,
    jobs: Vec<(String, i64)>,
    errors: Vec<ErrorGroup>,
    params: Value,
    why: Value,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, Path(id): Path<String>, asked: Asked) -> Response {
    let page = load(&app, &asked, &id).await;
    finish(&app, &asked, page)
}

async fn load(app: &App, asked: &Asked, id: &str) -> Result<Response, Trouble> {
    let id = TaskId(number(id, "task")?);
    let d = read(app, id).await?;
    if asked.json {
        return Ok(frame::json(&as_json(&d)));
    }
    html(app, asked, d).await
}

async fn read(app: &App, id: TaskId) -> Result<Data, Trouble> {
    let store = &app.ops.store;
    let Some(task) = archive::task::find(store, id).await? else {
        let hint = "Look for it in the list of tasks; a number below 10000000 is a request, not a task.";
        return Err(Trouble::missing(format!("There is no task {id}."), hint));
    };
    Ok(Data {
        owner: app.ops.person_by_id(task.person_id).await?.name.clone(),
        datasets: archive::task::datasets(store, id).await?,
        events: archive::task::events(store, id).await?,
        jobs: archive::job::count_task(store, id).await?,
        errors: archive::job::errors_of_task(store, id).await?,
        params: mask::parsed(&archive::task::params(store, id).await?.unwrap_or_default()),
        why: why::task::why(&app.ops, &app.reader, id).await?,
        task,
    })
}

fn as_json(d: &Data) -> Value {
    let mut task = task_json(&d.task, &d.owner, Progress::of(d.datasets.iter()), &[]);
    if let Some(task) = task.as_object_mut() {
        task.remove("datasets");
    }
    let mut why = d.why.clone();
    mask::mask(&mut why);
    json!({
        "task": task,
        "taskparams": d.params,
        "datasets": d.datasets.iter().map(dataset_json).collect::<Value>(),
        "jobsummary": d.jobs.iter().map(|(state, n)| json!({"jobstatus": state, "count": n})).collect::<Value>(),
        "errsByCount": d.errors.iter().map(error_json).collect::<Value>(),
        "statuslog": history_json(&d.events),
        "why": why,
    })
}

/// `trans:3`, or `none` for jobs that failed without a code.
fn group_name(e: &ErrorGroup, between: &str) -> String {
    e.codes.first().map_or_else(|| "none".to_owned(), |(source, code)| format!("{source}{between}{code}"))
}

fn error_json(e: &ErrorGroup) -> Value {
    let code = e.codes.first().copied();
    json!({
        "error": group_name(e, ":"), "codename": code.map(|c| c.0.as_str()), "codeval": code.map(|c| c.1), "diag": e.diag, "count": e.n,
        "example_pandaid": e.example.0,
    })
}

async fn html(app: &App, asked: &Asked, d: Data) -> Result<Response, Trouble> {
    let (t, now) = (&d.task, app.ops.now().0);
    let progress = Progress::of(d.datasets.iter());
    let (sizes, outputs, more) = outputs(app, &d.datasets).await?;
    let children = archive::task::children(&app.ops.store, t.id).await?;
    let id = t.id.0;
    let known = |e: &&(String, i64)| JobState::parse(&e.0).is_ok();
    let mut jobs: Vec<&(String, i64)> = d.jobs.iter().filter(known).collect();
    jobs.sort_by_key(|e| JobState::ALL.iter().position(|s| s.as_str() == e.0));
    let lines = d.datasets.iter().map(|ds| dataset_line(ds, sizes.iter().find(|s| s.0 == ds.id).map(|s| s.1)));
    Ok(frame::html(&Page {
        frame: Frame::new(app, asked, "tasks", format!("Task {id}"), !t.state.is_final()),
        id,
        name: t.name.clone(),
        state: Tag::task(t.state),
        owner_link: format!("/tasks/?owner={}", crate::args::encode(&d.owner)),
        owner: d.owner.clone(),
        reason: t.reason.clone().unwrap_or_default(),
        command: t.command.clone().unwrap_or_default(),
        bar: progress.bar(),
        progress: progress.bar().words(),
        percent: progress.percent(progress.finished),
        facts: task_facts(t, progress, now),
        because: sentences(&d.why, "because"),
        frees: sentences(&d.why, "frees"),
        decisions: decisions(&d.why),
        jobs: jobs
            .into_iter()
            .map(|(state, n)| Chip { state: Tag::job_word(state), n: count(*n), link: format!("/jobs/?jeditaskid={id}&state={state}") })
            .collect(),
        errors: d
            .errors
            .iter()
            .map(|e| ErrorLine { code: group_name(e, " "), diag: e.diag.clone().unwrap_or_default(), n: count(e.n), example: e.example.0 })
            .collect(),
        datasets: lines.collect(),
        outputs,
        more_outputs: if more > 0 { count(more) } else { String::new() },
        children: children.iter().map(|c| Child { id: c.id.0, name: c.name.clone(), state: Tag::task(c.state) }).collect(),
        history: steps(&d.events, Tag::task_word, now, !t.state.is_final()),
        params: mask::pretty(&d.params),
        since: When::lasts(t.state_us, now),
    }))
}

fn task_facts(t: &TaskRow, p: Progress, now: i64) -> Vec<Fact> {
    let started = t.started_us.map(|s| span(t.ended_us.unwrap_or(now) - s)).unwrap_or_default();
    facts(vec![
        ("VO", t.vo.clone()),
        ("Label", t.label.clone()),
        ("Processing type", t.processing_type.clone().unwrap_or_default()),
        ("Working group", t.working_group.clone().unwrap_or_default()),
        ("Priority", t.priority.to_string()),
        ("Retries", if t.attempt > 0 { t.attempt.to_string() } else { String::new() }),
        ("Before the hold", t.prev_state.map(TaskState::as_str).unwrap_or_default().to_owned()),
        ("Events", if p.events > 0 { count(p.events) } else { String::new() }),
        ("Parent", t.parent_id.filter(|p| *p != t.id).map(|p| p.to_string()).unwrap_or_default()),
        ("Submitted", stamp(t.created_us)),
        ("Started", t.started_us.map(stamp).unwrap_or_default()),
        ("Ended", t.ended_us.map(stamp).unwrap_or_default()),
        ("Duration", started),
        ("Changed", stamp(t.modified_us)),
    ])
}

fn dataset_line(d: &TaskDataset, size: Option<i64>) -> DatasetLine {
    let some = |n: i64| if n == 0 { String::new() } else { count(n) };
    let in_work = if d.role.is_input() { (d.n_used - d.n_finished - d.n_failed).max(0) } else { 0 };
    DatasetLine {
        name: d.name.clone(),
        role: d.role.as_str(),
        stream: d.stream.clone().unwrap_or_default(),
        master: d.is_master,
        state: d.state.clone(),
        bar: Bar::new(
            vec![(Tone::Ok, "done", d.n_finished), (Tone::Run, "in work", in_work), (Tone::Bad, "failed", d.n_failed)],
            d.n_files,
        ),
        files: some(d.n_files),
        used: some(d.n_used),
        finished: some(d.n_finished),
        failed: some(d.n_failed),
        on_hold: some(d.n_on_hold),
        events: some(d.n_events),
        size: size.filter(|s| *s > 0).map(bytes).unwrap_or_default(),
    }
}

/// Bytes by data set, the first finished output files, and how many there are besides.
async fn outputs(app: &App, datasets: &[TaskDataset]) -> Result<(Vec<(i64, i64)>, Vec<FileLine>, i64), Trouble> {
    let store = &app.ops.store;
    let (mut sizes, mut files, mut more) = (Vec::new(), Vec::new(), 0);
    for d in datasets.iter().filter(|d| d.role.is_output()).take(DATASETS) {
        let done = archive::job::count_files(store, d.id).await?.into_iter().find(|c| c.0 == FileState::Finished.as_str());
        let Some((_, n, size)) = done else { continue };
        sizes.push((d.id, size));
        if d.role.is_pre_merge() {
            continue;
        }
        let room = i64::try_from(OUTPUTS.saturating_sub(files.len())).unwrap_or(0);
        let page = if room > 0 { archive::job::files_of_dataset(store, d.id, &[FileState::Finished], 0, room).await? } else { Vec::new() };
        more += n - i64::try_from(page.len()).unwrap_or(n);
        files.extend(page.iter().map(FileLine::output));
    }
    Ok((sizes, files, more))
}
