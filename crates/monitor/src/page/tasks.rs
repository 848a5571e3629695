//! `/tasks/`: the newest tasks, filtered by state, owner and time; pages follow each other by `before`.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{extract::State, response::Response};
use panda_core::{id::TaskId, task::state::TaskState};
use panda_store::query::{
    archive::{self, task::page as select},
    person,
    task::{TaskRow, dataset::TaskDataset, page::Filter},
};
use serde_json::Value;

use super::finish;
use crate::{
    app::{App, Asked},
    frame::{self, Frame},
    rows::{Progress, TaskLine, task_json},
    trouble::Trouble,
};

#[derive(Template)]
#[template(path = "tasks.html")]
struct Page {
    frame: Frame,
    tasks: Vec<TaskLine>,
    state: String,
    owner: String,
    days: String,
    limit: i64,
    presets: Vec<Preset>,
    older: String,
    newest: String,
}

/// A choice of states under one word.
struct Preset {
    word: &'static str,
    link: String,
    on: &'static str,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let page = load(&app, &asked).await;
    finish(&app, &asked, page)
}

const STATE: &[&str] = &["state", "status"];
const OWNER: &[&str] = &["owner", "username"];

/// The page after this one exists when one row more was found.
pub(crate) fn cut<T>(rows: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

async fn load(app: &App, asked: &Asked) -> Result<Response, Trouble> {
    let q = &asked.query;
    let limit = q.limit()?;
    let owner = q.text(OWNER)?;
    let people = match owner {
        Some(name) => Some(person::by_name(&app.ops.store, name).await?.into_iter().map(|p| p.id).collect()),
        None => None,
    };
    let states = q.words(STATE, |w| TaskState::parse(w).map_err(|e| e.to_string()))?;
    let before = q.int(&["before"])?;
    let filter = Filter { states, people, since_us: q.since(app.ops.now().0)?, before: TaskId(before.unwrap_or(i64::MAX)) };
    // The store cuts at MAX_PAGE: of a page that long the last row tells whether there may be more.
    let mut rows = select(&app.ops.store, &filter, limit + 1).await?;
    let more = cut(&mut rows, limit) || rows.len() as i64 == panda_store::query::MAX_PAGE;
    if asked.json {
        return Ok(frame::json(&list_json(app, &rows).await?));
    }
    let last = rows.last().map(|t| t.id.0.to_string());
    Ok(frame::html(&Page {
        tasks: lines(app, &rows).await?,
        state: q.get(STATE).unwrap_or_default().to_owned(),
        owner: owner.unwrap_or_default().to_owned(),
        days: q.get(&["days"]).unwrap_or_default().to_owned(),
        limit,
        presets: presets(asked),
        older: last.filter(|_| more).map(|last| q.link(&asked.path, &[("before", Some(&last))])).unwrap_or_default(),
        newest: if before.is_some() { q.link(&asked.path, &[("before", None)]) } else { String::new() },
        frame: Frame::new(app, asked, "tasks", "Tasks", before.is_none()),
    }))
}

fn presets(asked: &Asked) -> Vec<Preset> {
    let words = |states: &[TaskState]| states.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(",");
    use TaskState::{Aborted, Broken, Done, Exhausted, Failed, Finished, Paused, Pending, Running, Scouting, Throttled};
    let choices = [
        ("all", String::new()),
        ("live", words(TaskState::LIVE)),
        ("running", words(&[Scouting, Running])),
        ("held", words(&[Pending, Paused, Throttled, Exhausted])),
        ("done", words(&[Done])),
        ("finished", words(&[Finished])),
        ("failed", words(&[Failed, Broken, Aborted])),
    ];
    let now = asked.query.get(STATE).unwrap_or_default();
    let one = |(word, states): (&'static str, String)| Preset {
        word,
        on: if now == states { "page" } else { "false" },
        link: asked
            .query
            .link(&asked.path, &[("state", Some(states.as_str()).filter(|s| !s.is_empty())), ("status", None), ("before", None)]),
    };
    choices.into_iter().map(one).collect()
}

/// Data sets of these tasks.
async fn datasets(app: &App, rows: &[TaskRow]) -> Result<HashMap<TaskId, Vec<TaskDataset>>, Trouble> {
    let ids: Vec<TaskId> = rows.iter().map(|t| t.id).collect();
    let mut all: HashMap<TaskId, Vec<TaskDataset>> = HashMap::new();
    if !ids.is_empty() {
        for d in archive::task::datasets_of(&app.ops.store, &ids).await? {
            all.entry(d.task_id).or_default().push(d);
        }
    }
    Ok(all)
}

/// Tasks as lines of a table.
pub(crate) async fn lines(app: &App, rows: &[TaskRow]) -> Result<Vec<TaskLine>, Trouble> {
    let names = app.names(rows.iter().map(|t| t.person_id)).await?;
    let datasets = datasets(app, rows).await?;
    let now = app.ops.now().0;
    let line = |t: &TaskRow| TaskLine::new(t, names.person(t.person_id), Progress::of(datasets.get(&t.id).into_iter().flatten()), now);
    Ok(rows.iter().map(line).collect())
}

/// Tasks as JSON.
pub(crate) async fn list_json(app: &App, rows: &[TaskRow]) -> Result<Value, Trouble> {
    let names = app.names(rows.iter().map(|t| t.person_id)).await?;
    let datasets = datasets(app, rows).await?;
    let one = |t: &TaskRow| {
        let datasets = datasets.get(&t.id).map(Vec::as_slice).unwrap_or_default();
        task_json(t, &names.person(t.person_id), Progress::of(datasets.iter()), datasets)
    };
    Ok(rows.iter().map(one).collect())
}
