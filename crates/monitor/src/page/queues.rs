//! `/queues/`: every queue with its state, limits and jobs.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use panda_ops::statistics;
use panda_store::query::queue::QueueRow;
use serde_json::{Value, json};

use super::{
    finish,
    overview::{COLUMNS, Cell, by_queue, cells},
};
use crate::{
    app::{App, Asked},
    args::encode,
    frame::{self, Frame},
    show::{Tag, limit, span},
    trouble::Trouble,
};

struct Line {
    name: String,
    link: String,
    site: String,
    state: Tag,
    family: String,
    storage: String,
    cores: i64,
    ram: String,
    walltime: String,
    cells: Vec<Cell>,
}

#[derive(Template)]
#[template(path = "queues.html")]
struct Page {
    frame: Frame,
    columns: Vec<&'static str>,
    queues: Vec<Line>,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let page = load(&app, &asked).await;
    finish(&app, &asked, page)
}

/// The longest job as text.
pub(crate) fn walltime(seconds: i64) -> String {
    if seconds <= 0 { "no limit".to_owned() } else { span(seconds.saturating_mul(1_000_000)) }
}

/// A queue as JSON, without its configuration document.
pub(crate) fn queue_json(q: &QueueRow, storage: &str) -> Value {
    json!({
        "queue": q.name, "nickname": q.name, "site": q.site, "status": q.state, "pilotfamily": q.pilot_family, "storage": storage,
        "corecount": q.core_count, "maxrss": q.max_ram_mb, "maxwdir": q.max_disk_mb, "maxtime": q.max_walltime_s, "rev": q.rev,
    })
}

async fn load(app: &App, asked: &Asked) -> Result<Response, Trouble> {
    let queues = app.ops.queues().await?;
    let counts = statistics::counts(&app.ops).await?;
    let jobs = by_queue(&counts);
    let storage = |q: &QueueRow| queues.rses.get(&q.rse_id).map(|r| r.name.clone()).unwrap_or_default();
    if asked.json {
        let one = |q: &Arc<QueueRow>| {
            let mut value = queue_json(q, &storage(q));
            let states = jobs.get(&Some(q.id)).into_iter().flatten();
            value["jobs"] =
                states.map(|(s, n)| (s.as_str().to_owned(), Value::from(*n))).collect::<serde_json::Map<String, Value>>().into();
            value
        };
        return Ok(frame::json(&queues.sorted().iter().map(one).collect()));
    }
    let line = |q: &Arc<QueueRow>| Line {
        name: q.name.clone(),
        link: format!("/queue/{}/", encode(&q.name)),
        site: q.site.clone(),
        state: Tag::place(&q.state),
        family: q.pilot_family.clone(),
        storage: storage(q),
        cores: q.core_count,
        ram: limit(q.max_ram_mb, "MB"),
        walltime: walltime(q.max_walltime_s),
        cells: cells(&jobs.get(&Some(q.id)).cloned().unwrap_or_default(), Some(&q.name)),
    };
    Ok(frame::html(&Page {
        frame: Frame::new(app, asked, "queues", "Queues", true),
        columns: COLUMNS.iter().map(|c| c.0).collect(),
        queues: queues.sorted().iter().map(line).collect(),
    }))
}
