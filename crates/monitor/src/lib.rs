//! Pages for people; each page also answers as JSON.
//!
//! Owns what is seen in a browser: server-rendered pages (templates in `templates/`, one stylesheet and one script of our own in `assets/`), the
//! same data as JSON under the same address (`?json`, or `Accept: application/json`), and the conventions of both (`spec/monitor.md` section 2):
//! the complete state of a page is in its URL, names of parameters and keys are those that scripts know from the original's monitor.
//!
//! It reads and never writes; it must not know SQL, nor decide anything about tasks and jobs.
//!
//! Who may read is asked at the door ([`Door`]), before a page is made; without one whoever reaches the listener may. Whoever comes in sees the pages of
//! all VOs. What holds secrets is masked on every page. One page a file in `page/`: load, then the same values as template or as JSON.

mod app;
mod args;
mod assets;
mod door;
mod frame;
mod level;
mod mask;
mod page;
mod rows;
mod show;
mod trouble;

use std::sync::Arc;

use axum::{
    Router,
    routing::{any, get},
};
use panda_ops::Ops;
use serde_json::Value;

use app::App;
pub use door::{Door, Refused};

/// What the pages are made from.
#[derive(Clone)]
pub struct MonitorState {
    /// The operations, and with them the database that is read.
    pub ops: Arc<Ops>,
    /// How the engine's loops fare, where they run in this process: a JSON array of objects `{"loop", "last_us", "steps", "done",
    /// "last_error"}` (microseconds UTC, counts, a text or null). None leaves that part out.
    pub engine_status: Option<Arc<dyn Fn() -> Value + Send + Sync>>,
    /// Name of the installation, shown on every page; empty = `PanDA`.
    pub title: String,
    /// Who is let in; None = whoever reaches the listener.
    pub door: Option<Door>,
}

impl std::fmt::Debug for MonitorState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MonitorState").field("title", &self.title).finish_non_exhaustive()
    }
}

/// The pages: `/`, `/tasks/`, `/task/<id>/`, `/jobs/`, `/job/<id>/`, `/queues/`, `/queue/<name>/`, `/shares/`, `/holds/`, `/retention/`, `/search`, the addresses of the
/// original that mean the same, and `/static/`. It has no fallback, so that it can be merged with other routes; see [`fallback`].
pub fn router(state: MonitorState) -> Router {
    let app = Arc::new(App::new(state));
    Router::new()
        .route("/", get(page::overview::page))
        .route("/tasks/", get(page::tasks::page))
        .route("/task/{id}/", get(page::task::page))
        .route("/jobs/", get(page::jobs::page))
        .route("/job/{id}/", get(page::job::page))
        .route("/job/{id}/log", get(page::log::piece))
        .route("/queues/", get(page::queues::page))
        .route("/queue/{name}/", get(page::queue::page))
        .route("/shares/", get(page::shares::page))
        .route("/holds/", get(page::holds::page))
        .route("/retention/", get(page::retention::page))
        .route("/search", get(page::search::page))
        // Addresses that people type or know from elsewhere.
        .route("/tasks", get(page::moved::slash))
        .route("/task", get(page::moved::task))
        .route("/task/", get(page::moved::task))
        .route("/task/{id}", get(page::moved::slash))
        .route("/jobs", get(page::moved::slash))
        .route("/job", get(page::moved::job))
        .route("/job/", get(page::moved::job))
        .route("/job/{id}", get(page::moved::slash))
        .route("/queues", get(page::moved::slash))
        .route("/queue/{name}", get(page::moved::slash))
        .route("/shares", get(page::moved::slash))
        .route("/holds", get(page::moved::slash))
        .route("/retention", get(page::moved::slash))
        .route("/globalshares", get(page::moved::shares))
        .route("/globalshares/", get(page::moved::shares))
        .route("/sites", get(page::moved::sites))
        .route("/sites/", get(page::moved::sites))
        .route("/site/{name}", get(page::moved::site))
        .route("/site/{name}/", get(page::moved::site))
        // Behind the door is what stands above; stylesheet and script are needed to say that somebody is not let in.
        .route_layer(axum::middleware::from_fn_with_state(app.clone(), door::guard))
        .route("/static/{name}", get(assets::serve))
        .with_state(app)
}

/// Answers every other address with a page that says what to do; for a process that serves nothing but pages.
pub fn fallback(router: Router, state: MonitorState) -> Router {
    router.fallback_service(any(page::missing::page).with_state(Arc::new(App::new(state))))
}
