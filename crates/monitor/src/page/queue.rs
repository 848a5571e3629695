//! `/queue/<name>/`: one queue with its storage, limits, jobs, lanes and configuration.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use panda_core::{id::JobId, job::state::JobState};
use panda_ops::{pilot::seen, statistics};
use panda_store::query::{archive::job::page as select, job::page::Filter};
use serde_json::{Map, Value, json};

use super::{
    Fact, facts, finish,
    overview::{COLUMNS, Cell, cells},
    queues::{queue_json, walltime},
};
use crate::{
    app::{App, Asked},
    frame::{self, Frame},
    mask,
    rows::{JobLine, job_json},
    show::{Tag, When, limit},
    trouble::Trouble,
};

/// Jobs shown.
const JOBS: i64 = 20;

struct TypeLine {
    name: String,
    cells: Vec<Cell>,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct Page {
    frame: Frame,
    name: String,
    state: Tag,
    seen: When,
    facts: Vec<Fact>,
    columns: Vec<&'static str>,
    types: Vec<TypeLine>,
    jobs: Vec<JobLine>,
    all: String,
    doc: String,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, Path(name): Path<String>, asked: Asked) -> Response {
    let page = load(&app, &asked, &name).await;
    finish(&app, &asked, page)
}

async fn load(app: &App, asked: &Asked, name: &str) -> Result<Response, Trouble> {
    let Some(q) = app.ops.queue(name).await? else {
        let shown: String = name.chars().take(100).collect();
        let hint = "The list of queues shows what there is; `panda queue add NAME` adds one.";
        return Err(Trouble::missing(format!("There is no queue `{shown}`."), hint));
    };
    let queues = app.ops.queues().await?;
    let rse = queues.rses.get(&q.rse_id);
    let storage = rse.map(|r| r.name.clone()).unwrap_or_default();
    let mut types: BTreeMap<String, BTreeMap<JobState, i64>> = BTreeMap::new();
    for c in statistics::counts(&app.ops).await?.iter().filter(|c| c.queue_id == Some(q.id)) {
        *types.entry(c.resource_type.clone()).or_default().entry(c.state).or_default() += c.n;
    }
    let filter = Filter { task: None, queue: Some(q.id), states: Vec::new(), since_us: 0, before: JobId(i64::MAX) };
    let rows = select(&app.ops.store, &filter, JOBS).await?;
    let names = app.names(rows.iter().map(|j| j.person_id)).await?;
    let doc = mask::parsed(&q.doc);
    let (last, now) = (seen::last(&app.ops, q.id).await?, app.ops.now().0);
    if asked.json {
        let counts = types.into_iter().map(|(name, states)| {
            let states: Map<String, Value> = states.into_iter().map(|(s, n)| (s.as_str().to_owned(), n.into())).collect();
            (name, Value::Object(states))
        });
        let mut queue = queue_json(&q, &storage);
        queue["config"] = doc;
        queue["pilotseen"] = last.map(crate::show::stamp).into();
        let jobs: Value = rows.iter().map(|j| job_json(j, &names)).collect();
        return Ok(frame::json(&json!({"queue": queue, "jobcounts": counts.collect::<Map<String, Value>>(), "jobs": jobs})));
    }
    Ok(frame::html(&Page {
        frame: Frame::new(app, asked, "queues", format!("Queue {}", q.name), true),
        name: q.name.clone(),
        state: Tag::place(&q.state),
        seen: When::ago(last, now),
        facts: facts(vec![
            ("Site", q.site.clone()),
            ("Pilots", q.pilot_family.clone()),
            ("Storage", storage),
            ("Directory", rse.map(|r| r.root.clone()).unwrap_or_default()),
            ("Runner scripts", q.script_base.clone().unwrap_or_default()),
            ("Cores of a slot", q.core_count.to_string()),
            ("Memory of a job", limit(q.max_ram_mb, "MB")),
            ("Scratch space", limit(q.max_disk_mb, "MB")),
            ("Longest job", walltime(q.max_walltime_s)),
            ("Revision", q.rev.to_string()),
        ]),
        columns: COLUMNS.iter().map(|c| c.0).collect(),
        types: types.iter().map(|(name, counts)| TypeLine { name: name.clone(), cells: cells(counts, Some(&q.name)) }).collect(),
        jobs: rows.iter().map(|j| JobLine::new(j, &names, now)).collect(),
        all: format!("/jobs/?queue={}", crate::args::encode(&q.name)),
        doc: mask::pretty(&doc),
    }))
}
