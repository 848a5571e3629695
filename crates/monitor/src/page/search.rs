//! `/search?q=`: one field for everything. A number, `task/ID`, `job/ID`, a queue's name or an owner's name leads to its page.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use panda_core::id::{JobId, TaskId};
use panda_store::query::{archive, person};

use super::finish;
use crate::{
    app::{App, Asked},
    args::encode,
    trouble::Trouble,
};

/// Goes to what the text means.
pub(crate) async fn page(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let found = find(&app, &asked).await;
    finish(
        &app,
        &asked,
        found.map(|place| match HeaderValue::from_str(&place) {
            Ok(place) => (StatusCode::FOUND, [(header::LOCATION, place)]).into_response(),
            Err(_) => StatusCode::NOT_FOUND.into_response(),
        }),
    )
}

async fn find(app: &App, asked: &Asked) -> Result<String, Trouble> {
    let Some(text) = asked.query.text(&["q"])? else { return Ok("/".to_owned()) };
    let store = &app.ops.store;
    let (kind, rest) = text.split_once('/').unwrap_or(("", text));
    if let Ok(id) = rest.parse::<i64>() {
        if kind != "job" && archive::task::find(store, TaskId(id)).await?.is_some() {
            return Ok(format!("/task/{id}/"));
        }
        if kind != "task" && archive::job::find(store, JobId(id)).await?.is_some() {
            return Ok(format!("/job/{id}/"));
        }
    }
    if app.ops.queue(text).await?.is_some() {
        return Ok(format!("/queue/{}/", encode(text)));
    }
    if !person::by_name(store, text).await?.is_empty() {
        return Ok(format!("/tasks/?owner={}", encode(text)));
    }
    let hint = "Give the number of a task or job, the whole name of a queue, or the whole name of an owner; the lists show what there is.";
    Err(Trouble::missing(format!("Nothing here is called `{text}`."), hint))
}
