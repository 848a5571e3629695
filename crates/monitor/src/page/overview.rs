//! `/`: tasks by state, the tasks that moved last, jobs by state of each queue, the engine's loops.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{extract::State, response::Response};
use panda_core::{
    id::{QueueId, TaskId},
    job::state::JobState,
    task::state::TaskState,
};
use panda_ops::statistics::{self, Count};
use panda_store::query::{
    archive,
    task::{self, page::Filter},
};
use serde_json::{Value, json};

use super::{Chip, finish, tasks::lines};
use crate::{
    app::{App, Asked},
    args::encode,
    frame::{self, Frame},
    rows::TaskLine,
    show::{Tag, Tone, When, count},
    trouble::Trouble,
};

/// Tasks shown.
const TASKS: i64 = 10;

/// Columns of jobs by state: heading, tone, states.
pub(crate) const COLUMNS: [(&str, Tone, &[JobState]); 9] = {
    use JobState::{
        Activated, Assigned, Cancelled, Closed, Defined, Failed, Finished, Holding, Merging, Pending, Running, Sent, Starting, Throttled,
        Transferring, Waiting,
    };
    [
        ("waiting", Tone::Wait, &[Pending, Defined, Assigned, Waiting]),
        ("throttled", Tone::Hold, &[Throttled]),
        ("activated", Tone::Wait, &[Activated]),
        ("starting", Tone::Run, &[Sent, Starting]),
        ("running", Tone::Run, &[Running]),
        ("ending", Tone::Run, &[Holding, Transferring, Merging]),
        ("finished", Tone::Ok, &[Finished]),
        ("failed", Tone::Bad, &[Failed]),
        ("cancelled", Tone::Off, &[Cancelled, Closed]),
    ]
};

/// A number with the list of the jobs behind it; empty when it is 0.
pub(crate) struct Cell {
    /// The number.
    pub n: String,
    /// The list.
    pub link: String,
    /// Class of its colour.
    pub class: &'static str,
}

/// Jobs by [`COLUMNS`], each a link to their list at `queue`.
pub(crate) fn cells(counts: &BTreeMap<JobState, i64>, queue: Option<&str>) -> Vec<Cell> {
    let cell = |(_, tone, states): &(&str, Tone, &[JobState])| {
        let n: i64 = states.iter().filter_map(|s| counts.get(s)).sum();
        let words: Vec<&str> = states.iter().map(|s| s.as_str()).collect();
        let at = queue.map(|q| format!("queue={}&", encode(q))).unwrap_or_default();
        Cell {
            n: if n == 0 { String::new() } else { count(n) },
            link: format!("/jobs/?{at}state={}", words.join(",")),
            class: tone.class(),
        }
    };
    COLUMNS.iter().map(cell).collect()
}

/// Jobs by state and queue.
pub(crate) fn by_queue(counts: &[Count]) -> BTreeMap<Option<QueueId>, BTreeMap<JobState, i64>> {
    let mut all: BTreeMap<Option<QueueId>, BTreeMap<JobState, i64>> = BTreeMap::new();
    for c in counts {
        *all.entry(c.queue_id).or_default().entry(c.state).or_default() += c.n;
    }
    all
}

struct QueueLine {
    name: String,
    link: String,
    state: Option<Tag>,
    cells: Vec<Cell>,
}

struct LoopLine {
    name: String,
    last: When,
    steps: String,
    done: String,
    error: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    tasks: Vec<Chip>,
    recent: Vec<TaskLine>,
    columns: Vec<&'static str>,
    queues: Vec<QueueLine>,
    loops: Option<Vec<LoopLine>>,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let page = load(&app, &asked).await;
    finish(&app, &asked, page)
}

async fn load(app: &App, asked: &Asked) -> Result<Response, Trouble> {
    let store = &app.ops.store;
    let tasks = task::page::counts(store).await?;
    let counts = statistics::counts(&app.ops).await?;
    let queues = app.ops.queues().await?;
    let jobs = by_queue(&counts);
    let engine = app.state.engine_status.as_ref().map(|status| status());
    if asked.json {
        return Ok(frame::json(&json!({
            "tasks": tasks.iter().map(|(state, n)| (state.clone(), (*n).into())).collect::<serde_json::Map<String, Value>>(),
            "queues": queues.sorted().iter().map(|q| {
                let states = jobs.get(&Some(q.id)).into_iter().flatten();
                json!({
                    "queue": q.name, "status": q.state,
                    "jobs": states.map(|(s, n)| (s.as_str().to_owned(), (*n).into())).collect::<serde_json::Map<String, Value>>(),
                })
            }).collect::<Value>(),
            "engine": engine,
        })));
    }
    let newest = Filter { states: Vec::new(), people: None, since_us: 0, before: TaskId(i64::MAX) };
    let recent = lines(app, &archive::task::page(store, &newest, TASKS).await?).await?;
    let mut lines: Vec<QueueLine> = Vec::new();
    for q in queues.sorted() {
        let counts = jobs.get(&Some(q.id)).cloned().unwrap_or_default();
        let link = format!("/queue/{}/", encode(&q.name));
        lines.push(QueueLine { cells: cells(&counts, Some(&q.name)), name: q.name.clone(), link, state: Some(Tag::place(&q.state)) });
    }
    if let Some(counts) = jobs.get(&None) {
        lines.push(QueueLine { name: "no queue yet".into(), link: String::new(), state: None, cells: cells(counts, None) });
    }
    Ok(frame::html(&Page {
        frame: Frame::new(app, asked, "overview", "Overview", true),
        tasks: chips(&tasks),
        recent,
        columns: COLUMNS.iter().map(|c| c.0).collect(),
        queues: lines,
        loops: engine.as_ref().map(|e| loops(e, app.ops.now().0)),
    }))
}

/// Tasks by state, in the order of a task's life.
fn chips(counts: &[(String, i64)]) -> Vec<Chip> {
    let of = |state: &TaskState| {
        let n = counts.iter().find(|(s, _)| s == state.as_str()).map_or(0, |(_, n)| *n);
        (n > 0).then(|| Chip { state: Tag::task(*state), n: count(n), link: format!("/tasks/?state={state}") })
    };
    TaskState::ALL.iter().filter_map(of).collect()
}

/// The loops as told; other shapes give no lines.
fn loops(status: &Value, now_us: i64) -> Vec<LoopLine> {
    let n = |v: &Value| v.as_i64().map_or_else(String::new, count);
    let line = |l: &Value| LoopLine {
        name: l["loop"].as_str().unwrap_or("?").to_owned(),
        last: When::ago(l["last_us"].as_i64().filter(|us| *us > 0), now_us),
        steps: n(&l["steps"]),
        done: n(&l["done"]),
        error: l["last_error"].as_str().unwrap_or_default().to_owned(),
    };
    status.as_array().into_iter().flatten().map(line).collect()
}
