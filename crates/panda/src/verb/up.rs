//! `panda up`

use serde_json::json;

use crate::builder::Server;
use crate::cli::UpArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;

/// Runs everything until it is told to end.
pub async fn run(context: &Context, _: &UpArgs) -> Result<u8, Failure> {
    let config = context.config.clone();
    let (data, database, worker) = (config.data.clone(), config.database.clone(), config.worker.clone());
    let running = Server::builder(config).start().await?;
    tracing::info!(data = %data.display(), worker = worker.enabled, queue = worker.queue, slots = worker.slots, "system up");
    if context.json {
        let backend = database.split(':').next().unwrap_or_default();
        screen::json(&json!({ "ready": true, "url": running.url(), "data": data, "backend": backend, "pid": std::process::id() }));
    } else {
        screen::line(format!("ready: {}", running.url()));
    }
    running.until_signal().await?;
    Ok(exit::OK)
}
