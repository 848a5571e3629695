//! Addresses at which there is nothing.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use crate::{
    app::{App, Asked},
    frame,
    trouble::Trouble,
};

/// Any address of no page.
pub(crate) async fn page(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let shown: String = asked.path.chars().take(100).collect();
    let hint = "Tasks are at /tasks/ and /task/ID/, jobs at /jobs/ and /job/ID/, queues at /queues/ and /queue/NAME/, shares at \
                /shares/, what is on hold at /holds/, what is kept at /retention/. The field above finds a task, job, queue or owner.";
    frame::trouble(&app, &asked, Trouble::missing(format!("There is no page at {shown}."), hint))
}
