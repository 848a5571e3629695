//! `/jobs/`: the newest jobs, of a task, a queue or all, filtered by state and time; pages follow each other by `before`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use askama::Template;
use axum::{extract::State, response::Response};
use panda_core::{
    id::{JobId, TaskId},
    job::state::JobState,
};
use panda_ops::statistics;
use panda_store::query::{
    archive::{self, job::page as select},
    job::{JobRow, page::Filter},
};
use serde_json::{Value, json};

use super::{Chip, finish, tasks::cut};
use crate::{
    app::{App, Asked, Names},
    frame::{self, Frame},
    rows::{JobLine, job_json},
    show::{Tag, count},
    trouble::Trouble,
};

const STATE: &[&str] = &["state", "jobstatus", "status"];
const QUEUE: &[&str] = &["queue", "computingsite", "site"];
const TASK: &[&str] = &["jeditaskid", "taskid"];

#[derive(Template)]
#[template(path = "jobs.html")]
struct Page {
    frame: Frame,
    task: Option<i64>,
    task_name: String,
    queue: String,
    state: String,
    days: String,
    limit: i64,
    chips: Vec<Chip>,
    any: String,
    jobs: Vec<JobLine>,
    errors: Vec<ErrorLine>,
    older: String,
    newest: String,
}

struct ErrorLine {
    code: String,
    diag: String,
    n: String,
    example: i64,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let page = load(&app, &asked).await;
    finish(&app, &asked, page)
}

async fn load(app: &App, asked: &Asked) -> Result<Response, Trouble> {
    let (q, store) = (&asked.query, &app.ops.store);
    let limit = q.limit()?;
    let task_id = q.int(TASK)?.map(TaskId);
    let queue_name = q.text(QUEUE)?;
    let queue = match queue_name {
        Some(name) => {
            let found = app.ops.queue(name).await?;
            Some(
                found
                    .ok_or_else(|| Trouble::missing(format!("There is no queue `{name}`."), "The list of queues shows what there is."))?
                    .id,
            )
        }
        None => None,
    };
    let states = q.words(STATE, |w| JobState::parse(w).map_err(|e| e.to_string()))?;
    let before = q.int(&["before"])?;
    let filter = Filter { task: task_id, queue, states, since_us: q.since(app.ops.now().0)?, before: JobId(before.unwrap_or(i64::MAX)) };
    let mut rows = select(store, &filter, limit + 1).await?;
    let more = cut(&mut rows, limit) || rows.len() as i64 == panda_store::query::MAX_PAGE;
    let names = app.names(rows.iter().map(|j| j.person_id)).await?;
    if asked.json {
        return Ok(frame::json(&as_json(app, asked, &rows, &names).await?));
    }
    let task_name = match task_id {
        Some(id) => archive::task::find(store, id).await?.map(|t| t.name).unwrap_or_default(),
        None => String::new(),
    };
    let now = app.ops.now().0;
    let last = rows.last().map(|j| j.id.0.to_string());
    Ok(frame::html(&Page {
        task: task_id.map(|t| t.0),
        task_name,
        queue: queue_name.unwrap_or_default().to_owned(),
        state: q.get(STATE).unwrap_or_default().to_owned(),
        days: q.get(&["days"]).unwrap_or_default().to_owned(),
        limit,
        chips: chips(app, asked, &filter).await?,
        any: if filter.states.is_empty() { String::new() } else { with_state(asked, None) },
        jobs: rows.iter().map(|j| JobLine::new(j, &names, now)).collect(),
        errors: errors(&rows).iter().map(|(code, e)| e.line(code)).collect(),
        older: last.filter(|_| more).map(|last| q.link(&asked.path, &[("before", Some(&last))])).unwrap_or_default(),
        newest: if before.is_some() { q.link(&asked.path, &[("before", None)]) } else { String::new() },
        frame: Frame::new(app, asked, "jobs", "Jobs", before.is_none()),
    }))
}

fn with_state(asked: &Asked, state: Option<&str>) -> String {
    asked.query.link(&asked.path, &[("state", state), ("jobstatus", None), ("status", None), ("before", None)])
}

/// Jobs by state within task and queue; days do not count here. A task's jobs at one queue are not counted, since nothing keeps that count.
async fn chips(app: &App, asked: &Asked, filter: &Filter) -> Result<Vec<Chip>, Trouble> {
    let mut counts: BTreeMap<JobState, i64> = BTreeMap::new();
    match (filter.task, filter.queue) {
        (Some(_), Some(_)) => {}
        (Some(task), None) => {
            for (state, n) in archive::job::count_task(&app.ops.store, task).await? {
                if let Ok(state) = JobState::parse(&state) {
                    counts.insert(state, n);
                }
            }
        }
        (None, queue) => {
            for c in statistics::counts(&app.ops).await?.iter().filter(|c| queue.is_none() || c.queue_id == queue) {
                *counts.entry(c.state).or_default() += c.n;
            }
        }
    }
    let chip = |(state, n): (JobState, i64)| Chip { state: Tag::job(state), n: count(n), link: with_state(asked, Some(state.as_str())) };
    Ok(counts.into_iter().filter(|c| c.1 > 0).map(chip).collect())
}

/// Listed jobs with the same first code.
struct Group {
    source: &'static str,
    code: i64,
    diag: Option<String>,
    jobs: Vec<i64>,
}

impl Group {
    fn line(&self, code: &str) -> ErrorLine {
        ErrorLine {
            code: code.replace(':', " "),
            diag: self.diag.clone().unwrap_or_default(),
            n: count(i64::try_from(self.jobs.len()).unwrap_or(0)),
            example: self.jobs.first().copied().unwrap_or(0),
        }
    }
}

/// What the listed jobs that ended badly died of, most frequent first.
fn errors(rows: &[JobRow]) -> Vec<(String, Group)> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for j in rows.iter().filter(|j| j.state == JobState::Failed) {
        let Some((source, code)) = j.codes().first().copied() else { continue };
        let group = groups.entry(format!("{source}:{code}")).or_insert_with(|| Group {
            source: source.as_str(),
            code,
            diag: None,
            jobs: Vec::new(),
        });
        group.jobs.push(j.id.0);
        if group.diag.is_none() {
            group.diag.clone_from(&j.diag);
        }
    }
    let mut groups: Vec<(String, Group)> = groups.into_iter().collect();
    groups.sort_by_key(|g| std::cmp::Reverse(g.1.jobs.len()));
    groups
}

/// Counts of the listed jobs by attribute: `[{"field", "list": [{"kname", "kvalue"}]}]`.
fn summary(rows: &[JobRow], names: &Names) -> Value {
    type Of<'a> = (&'static str, Box<dyn Fn(&JobRow) -> String + 'a>);
    let fields: Vec<Of<'_>> = vec![
        ("jobstatus", Box::new(|j| j.state.as_str().to_owned())),
        ("category", Box::new(|j| j.kind.as_str().to_owned())),
        ("computingsite", Box::new(|j| names.queue(j.queue_id).unwrap_or_default())),
        ("jeditaskid", Box::new(|j| j.task_id.map(|t| t.to_string()).unwrap_or_default())),
        ("produsername", Box::new(|j| names.person(j.person_id))),
        ("prodsourcelabel", Box::new(|j| j.label.clone())),
        ("resourcetype", Box::new(|j| j.resource_type.clone())),
        ("vo", Box::new(|j| j.vo.clone())),
    ];
    let field = |(name, of): &Of<'_>| {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for j in rows {
            *counts.entry(of(j)).or_default() += 1;
        }
        json!({"field": name, "list": counts.iter().map(|(k, n)| json!({"kname": k, "kvalue": n})).collect::<Value>()})
    };
    fields.iter().map(field).collect()
}

async fn as_json(app: &App, asked: &Asked, rows: &[JobRow], names: &Names) -> Result<Value, Trouble> {
    let mut jobs: Vec<Value> = rows.iter().map(|j| job_json(j, names)).collect();
    if asked.query.flag("datasets") {
        let files = datasets(app, rows).await?;
        for (job, row) in jobs.iter_mut().zip(rows) {
            job["datasets"] = files.get(&row.id).cloned().unwrap_or_default().into();
        }
    }
    let errors = errors(rows);
    Ok(json!({
        "selectionsummary": summary(rows, names),
        "jobs": jobs,
        "errsByCount": errors.iter().map(|(name, g)| json!({
            "error": name, "codename": g.source, "codeval": g.code, "diag": g.diag, "count": g.jobs.len(),
            "example_pandaid": g.jobs.first(), "pandalist": g.jobs,
        })).collect::<Value>(),
    }))
}

/// Files of these jobs with their data sets: `[{"lfn", "type", "datasetid", "datasetname"}]` a job.
async fn datasets(app: &App, rows: &[JobRow]) -> Result<HashMap<JobId, Vec<Value>>, Trouble> {
    let store = &app.ops.store;
    let mut found: HashMap<JobId, Vec<Value>> = HashMap::new();
    if rows.is_empty() {
        return Ok(found);
    }
    let jobs: Vec<JobId> = rows.iter().map(|j| j.id).collect();
    let mut tasks: Vec<TaskId> = rows.iter().filter_map(|j| j.task_id).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let mut sets: HashMap<i64, (String, &'static str)> = HashMap::new();
    if !tasks.is_empty() {
        let all = archive::task::datasets_of(store, &tasks).await?;
        sets.extend(all.into_iter().map(|d| (d.id, (d.name, d.role.as_str()))));
    }
    let line = |lfn: &str, id: Option<i64>, role: Option<&str>| {
        let set = id.and_then(|id| sets.get(&id));
        json!({"lfn": lfn, "type": role.or(set.map(|s| s.1)), "datasetid": id, "datasetname": set.map(|s| s.0.as_str())})
    };
    for f in archive::task::files_of_jobs(store, &jobs).await? {
        if let Some(job) = f.job_id {
            found.entry(job).or_default().push(line(&f.lfn, Some(f.dataset_id), None));
        }
    }
    for f in archive::job::files_of(store, &jobs).await? {
        found.entry(f.job_id).or_default().push(line(&f.lfn, f.dataset_id, Some(f.role.as_str())));
    }
    Ok(found)
}
